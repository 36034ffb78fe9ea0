/* op.h - the tables of ops, scalar functions and attributes as data: enums, names, traits. */
#ifndef LATHE_IR_OP_H
#define LATHE_IR_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/type.h"

typedef enum {
#define OP(e, ...) OP_##e,
#include "ir/ops.def"
#undef OP
    LT_OP_LIMIT
} Op;

typedef enum {
#define SCALAR(e, ...) FN_##e,
#include "ir/scalars.def"
#undef SCALAR
    LT_FN_LIMIT
} ScalarFn;

typedef enum {
#define ATTR(e, name, kind) ATTR_##e,
#include "ir/attrs.def"
#undef ATTR
    LT_ATTR_LIMIT
} AttrName;

typedef enum {
    ATTR_KIND_INT,
    ATTR_KIND_BOOL,
    ATTR_KIND_FLOAT,
    ATTR_KIND_STRING,
    ATTR_KIND_INTS,
    ATTR_KIND_DIMS,
    ATTR_KIND_DTYPE,
    ATTR_KIND_SCALAR,
    ATTR_KIND_CONST
} AttrKind;

enum {
    OPF_ELEMENTWISE = 1 << 0,
    OPF_INJECTIVE = 1 << 1,
    OPF_VIEW = 1 << 2,
    OPF_REDUCTION = 1 << 3,
    OPF_CONTRACTION = 1 << 4,
    OPF_COMPOSITE = 1 << 5,
    OPF_REGION = 1 << 6,
    OPF_IRREGULAR = 1 << 7,
    OPF_TERMINATOR = 1 << 8,
    OPF_BINDS = 1 << 9
};

typedef enum {
    RULE_SAME,
    RULE_FLOAT,
    RULE_INT,
    RULE_COMPARE,
    RULE_LOGIC,
    RULE_TEST,
    RULE_SELECT
} ScalarRule;

typedef struct OpInfo {
    const char *name;
    int16_t min_inputs, max_inputs; /* max -1: any number */
    int16_t outputs;                /* -1: any number */
    uint16_t flags;
    uint64_t required, optional; /* sets of attributes, bit 1 << AttrName */
} OpInfo;

typedef struct ScalarInfo {
    const char *name;
    int32_t arity;
    ScalarRule rule;
    bool for_floats, for_ints;
    bool commutative, associative;
} ScalarInfo;

typedef struct AttrInfo {
    const char *name;
    AttrKind kind;
} AttrInfo;

extern const OpInfo lt_op_info[LT_OP_LIMIT];
extern const ScalarInfo lt_scalar_info[LT_FN_LIMIT];
extern const AttrInfo lt_attr_info[LT_ATTR_LIMIT];

/* False when there is none of that name. */
bool lt_op_parse(const char *name, Op *out);
bool lt_scalar_parse(const char *name, ScalarFn *out);
bool lt_attr_parse(const char *name, AttrName *out);
static inline bool lt_op_has(Op op, unsigned flags) { return (lt_op_info[op].flags & flags) != 0; }

/* Reference meaning of a scalar function (ir/scalar_eval.c): the row's F, computed in double. */
double lt_scalar_eval_float(ScalarFn fn, double a, double b, double c);
/* The row's I; `unsigned_64` selects unsigned division, comparison and shifts. */
int64_t lt_scalar_eval_int(ScalarFn fn, int64_t a, int64_t b, int64_t c, bool is_unsigned);
/* The neutral element of a fold (add 0, mul 1, min +inf or the greatest, max -inf or the least, and
 * 1, or 0). */
double lt_scalar_identity_float(ScalarFn fn);
int64_t lt_scalar_identity_int(ScalarFn fn, DType dtype);

#endif
