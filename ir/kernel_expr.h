/* kernel_expr.h - replacing symbols and buffers in expressions, and values of a dtype. Inside
 * ir/kernel*.c only. */
#ifndef LATHE_IR_KERNEL_EXPR_H
#define LATHE_IR_KERNEL_EXPR_H

#include "ir/kernel.h"

/* One replacement, applied to any number of expressions: what was replaced once is remembered, so
 * that a DAG costs its nodes and not its paths. */
typedef struct Substitution {
    Kernel *kernel;
    const Dim *const *by;           /* by symbol; may be NULL */
    const Buffer *const *buffer_by; /* by buffer index; may be NULL */
    const Expr **done;              /* by expression id */
    uint32_t done_count;
} Substitution;

void lt_substitution_init(Substitution *s, Kernel *k, const Dim *const *by,
                          const Buffer *const *buffer_by);
const Dim *lt_substitute_dim(Substitution *s, const Dim *d);
const Buffer *lt_substitute_buffer(Substitution *s, const Buffer *b);
void lt_substitute_index(Substitution *s, const Dim *const *index, int rank, const Dim **out);
const Expr *lt_substitute_expr(Substitution *s, const Expr *e);

/* dim made again in the table t, with what `symbol` gives for each of its symbols. */
typedef const Dim *SymbolFn(void *user, const Dim *symbol);
const Dim *lt_dim_rebuild(DimTable *t, const Dim *dim, SymbolFn *symbol, void *user);

bool lt_kernel_name_is_reserved(const char *name);
/* NULL, or why fn does not take operands of these dtypes. */
const char *lt_scalar_check(Arena *arena, ScalarFn fn, const Expr *const args[3]);
/* A value as dtype holds it: floats rounded, integers wrapped, bool 0 or 1. */
double lt_dtype_round(DType dtype, double value);
int64_t lt_dtype_wrap(DType dtype, int64_t value);
/* The meaning of a conversion: truncates and saturates towards integers, NaN gives 0. */
int64_t lt_convert_to_int(DType dtype, double value);
double lt_convert_to_float(DType from, int64_t value, DType to);

#endif
