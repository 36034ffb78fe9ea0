/* op.c - the .def tables as arrays, and names back to enums. */
#include "ir/op.h"

#include <stddef.h>
#include <string.h>

/* The bare words of the flags column. */
enum {
    ELEMENTWISE = OPF_ELEMENTWISE,
    INJECTIVE = OPF_INJECTIVE,
    VIEW = OPF_VIEW,
    REDUCTION = OPF_REDUCTION,
    CONTRACTION = OPF_CONTRACTION,
    COMPOSITE = OPF_COMPOSITE,
    REGION = OPF_REGION,
    IRREGULAR = OPF_IRREGULAR,
    TERMINATOR = OPF_TERMINATOR,
    BINDS = OPF_BINDS
};

_Static_assert(LT_ATTR_LIMIT <= 64, "sets of attributes are 64 bits wide");

#define A(name) | UINT64_C(1) << ATTR_##name
#define OP(e, op_name, low, high, outs, bits, needs, takes) \
    [OP_##e] = {.name = op_name, \
                .min_inputs = low, \
                .max_inputs = high, \
                .outputs = outs, \
                .flags = bits, \
                .required = 0 needs, \
                .optional = 0 takes},
const OpInfo lt_op_info[LT_OP_LIMIT] = {
#include "ir/ops.def"
};
#undef OP
#undef A

/* Folds whose operands may be swapped and regrouped (in floating point up to rounding). */
#define IS_FOLD(fn) \
    ((fn) == FN_ADD || (fn) == FN_MUL || (fn) == FN_MIN || (fn) == FN_MAX || (fn) == FN_AND || \
     (fn) == FN_OR || (fn) == FN_XOR || (fn) == FN_BITAND || (fn) == FN_BITOR || \
     (fn) == FN_BITXOR)
/* A meaning is there unless its column is the single letter X. */
#define IS_GIVEN(column) (sizeof(#column) > sizeof("X"))

#define SCALAR(e, scalar_name, count, kind, F, I, llvm, cuda) \
    [FN_##e] = {.name = scalar_name, \
                .arity = count, \
                .rule = RULE_##kind, \
                .for_floats = IS_GIVEN(F), \
                .for_ints = IS_GIVEN(I), \
                .commutative = IS_FOLD(FN_##e) || FN_##e == FN_EQ || FN_##e == FN_NE, \
                .associative = IS_FOLD(FN_##e)},
const ScalarInfo lt_scalar_info[LT_FN_LIMIT] = {
#include "ir/scalars.def"
};
#undef SCALAR

#define ATTR(e, attr_name, attr_kind) [ATTR_##e] = {attr_name, ATTR_KIND_##attr_kind},
const AttrInfo lt_attr_info[LT_ATTR_LIMIT] = {
#include "ir/attrs.def"
};
#undef ATTR

/* Every table above starts its rows with the name; `stride` is the size of a row. */
static bool find_name(const char *name, const void *rows, size_t stride, int limit, int *out) {
    for (int i = 0; i < limit; i++) {
        const char *const *row = (const void *)((const char *)rows + (size_t)i * stride);
        if (strcmp(*row, name) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

bool lt_op_parse(const char *name, Op *out) {
    int found;
    if (!find_name(name, lt_op_info, sizeof *lt_op_info, LT_OP_LIMIT, &found))
        return false;
    *out = (Op)found;
    return true;
}

bool lt_scalar_parse(const char *name, ScalarFn *out) {
    int found;
    if (!find_name(name, lt_scalar_info, sizeof *lt_scalar_info, LT_FN_LIMIT, &found))
        return false;
    *out = (ScalarFn)found;
    return true;
}

bool lt_attr_parse(const char *name, AttrName *out) {
    int found;
    if (!find_name(name, lt_attr_info, sizeof *lt_attr_info, LT_ATTR_LIMIT, &found))
        return false;
    *out = (AttrName)found;
    return true;
}
