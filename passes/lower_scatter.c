/* lower_scatter.c - scatter: a copy of the data, then the updates one after the other, because
 * later ones may hit what earlier ones wrote. */
#include "passes/lower_internal.h"

static const Buffer *only_result(Lowering *lo) {
    if (lo->yield_count != 1 || lo->yields[0] != lt_output(lo->anchor))
        lt_lower_fail(lo, "it is not grouped with nodes behind it");
    return lo->results[0];
}

static Stmt *copy_data(Lowering *lo, const Buffer *out) {
    Value *data = lt_input(lo->anchor, 0);
    const Dim *index[LT_MAX_RANK];
    LoopNest nest = {.count = 0};
    lt_lower_axes(lo, &nest, "i#", data->type, index);
    const At at = lt_lower_here(index, data->type->rank);
    Stmt *store = lt_stmt_store(lo->k, out, index, lt_lower_at(lo, data, &at));
    return lt_lower_nest(lo, &nest, lt_stmt_join(lt_lower_take_prelude(lo), store));
}

/* out[index] = fn(out[index], update), or the update alone. */
static Stmt *write_update(Lowering *lo, const Buffer *out, const Dim *const *index,
                          const At *update) {
    const Attr *fn = lt_attr(lo->anchor, ATTR_FN);
    const Expr *value = lt_lower_at(lo, lt_input(lo->anchor, 2), update);
    if (fn)
        value = lt_expr_call(lo->k, (ScalarFn)fn->u.i, lt_expr_load(lo->k, out, index, NULL), value,
                             NULL);
    return lt_stmt_join(lt_lower_take_prelude(lo), lt_stmt_store(lo->k, out, index, value));
}

/* Joins extent > 0 to the condition, which may be NULL: nothing fits on an empty axis. */
static const Expr *require_some(Lowering *lo, const Expr *condition, const Dim *extent) {
    const Expr *some = lt_expr_less(lo->k, lower_number(lo, 0), extent);
    return lt_expr_is_const_bool(some, true) ? condition : lt_expr_and(lo->k, condition, some);
}

static bool finish(Lowering *lo, const Buffer *out, const LoopNest *nest, Stmt *update) {
    lo->k->class = KERNEL_SERIAL;
    lo->k->body = lt_stmt_join(copy_data(lo, out), lt_lower_nest(lo, nest, update));
    return !lo->failed;
}

bool lt_lower_scatter_elements(Lowering *lo) {
    Value *data = lt_input(lo->anchor, 0), *indices = lt_input(lo->anchor, 1);
    const Buffer *out = only_result(lo);
    const int axis = (int)lt_attr_int(lo->anchor, ATTR_AXIS, 0), rank = indices->type->rank;
    const Dim *index[LT_MAX_RANK];
    LoopNest nest = {.count = 0};
    lt_lower_axes(lo, &nest, "u#", indices->type, index);
    const At from = lt_lower_here(index, rank);
    const Dim *extent = lower_dim(lo, data->type->dims[axis]);
    index[axis] = lt_lower_position(lo, indices, &from, extent);
    const Expr *condition = require_some(lo, NULL, extent);
    Stmt *update = write_update(lo, out, index, &from);
    return finish(lo, out, &nest, condition ? lt_stmt_if(lo->k, condition, update, NULL) : update);
}

bool lt_lower_scatter_nd(Lowering *lo) {
    Value *data = lt_input(lo->anchor, 0), *indices = lt_input(lo->anchor, 1);
    Value *updates = lt_input(lo->anchor, 2);
    const Buffer *out = only_result(lo);
    const int last = indices->type->rank - 1, depth = (int)indices->type->dims[last]->value;
    const Dim *index[LT_MAX_RANK], *position[LT_MAX_RANK];
    const Expr *condition = NULL;
    LoopNest nest = {.count = 0};
    lt_lower_axes(lo, &nest, "u#", updates->type, index);
    const At from = lt_lower_here(index, updates->type->rank);
    for (int i = 0; i < data->type->rank; i++) {
        const Dim *extent = lower_dim(lo, data->type->dims[i]);
        if (i >= depth) {
            position[i] = index[last + i - depth];
            continue;
        }
        At where = from;
        where.index[last] = lower_number(lo, i);
        position[i] = lt_lower_position(lo, indices, &where, extent);
        condition = require_some(lo, condition, extent);
    }
    Stmt *update = write_update(lo, out, position, &from);
    return finish(lo, out, &nest, condition ? lt_stmt_if(lo->k, condition, update, NULL) : update);
}
