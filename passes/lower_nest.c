/* lower_nest.c - the draft loops and accumulators that all anchors build their nests from. */
#include <assert.h>
#include <string.h>

#include "passes/lower_internal.h"

const Dim *lt_lower_full_loop(Lowering *lo, LoopNest *nest, const char *name, const Dim *extent) {
    assert(nest->count < MAX_NEST);
    const Dim *var = lt_kernel_loop_var(lo->k, "draft", extent);
    lt_vec_push(lo->k->arena, &lo->loops, (DraftLoop){var, name});
    nest->vars[nest->count] = var;
    nest->extents[nest->count++] = extent;
    return var;
}

const Dim *lt_lower_loop(Lowering *lo, LoopNest *nest, const char *name, const Dim *extent) {
    return lt_dim_is(extent, 1) ? lower_number(lo, 0) : lt_lower_full_loop(lo, nest, name, extent);
}

void lt_lower_axes(Lowering *lo, LoopNest *nest, const char *name, const Type *type,
                   const Dim **index) {
    for (int i = 0; i < type->rank; i++)
        index[i] = lt_lower_loop(lo, nest, name, lower_dim(lo, type->dims[i]));
}

Stmt *lt_lower_nest(Lowering *lo, const LoopNest *nest, Stmt *body) {
    for (int i = nest->count - 1; i >= 0; i--)
        body = lt_stmt_for(lo->k, LOOP_SERIAL, nest->vars[i], nest->extents[i], body);
    return body;
}

At lt_lower_here(const Dim *const *index, int rank) {
    At at = {.predicate = NULL};
    memcpy(at.index, index, (size_t)rank * sizeof *index);
    return at;
}

/* --- accumulators -------------------------------------------------------------------------- */

Accumulator lt_lower_accumulator(Lowering *lo, const char *name, DType dtype) {
    return (Accumulator){lt_kernel_local(lo->k, BUFFER_REGISTER, name, dtype, 0, NULL)};
}

const Expr *lt_lower_get(Lowering *lo, Accumulator acc) {
    const Dim *none[1] = {NULL};
    return lt_expr_load(lo->k, acc.buffer, none, NULL);
}

Stmt *lt_lower_set(Lowering *lo, Accumulator acc, const Expr *value) {
    const Dim *none[1] = {NULL};
    return lt_stmt_store(lo->k, acc.buffer, none, value);
}

Stmt *lt_lower_begin(Lowering *lo, Accumulator acc, const Expr *value) {
    return lt_stmt_join(lt_stmt_alloc(lo->k, acc.buffer), lt_lower_set(lo, acc, value));
}

DType lt_lower_sum_dtype(DType dtype) {
    if (lt_dtype_is_float(dtype) && lt_dtype_size(dtype) < 4)
        return DT_F32;
    /* Wrapping arithmetic may be done in any wider type. */
    const bool is_small = lt_dtype_is_int(dtype) && lt_dtype_size(dtype) < 4;
    return is_small ? DT_I32 : dtype;
}

const Expr *lt_lower_identity(Lowering *lo, ScalarFn fn, DType dtype) {
    if (lt_dtype_is_float(dtype))
        return lt_expr_float(lo->k, dtype, lt_scalar_identity_float(fn));
    return lt_expr_int(lo->k, dtype, lt_scalar_identity_int(fn, dtype));
}
