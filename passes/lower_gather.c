/* lower_gather.c - elements that are read at positions held in another tensor.
 *
 * A position is a LET in front of the statement that uses it, and a symbol of the index from then
 * on. */
#include "passes/lower_internal.h"

const Dim *lt_lower_position(Lowering *lo, Value *indices, const At *at, const Dim *extent) {
    Kernel *k = lo->k;
    const Expr *size = lt_expr_index(k, extent), *zero = lt_expr_int(k, DT_I64, 0);
    const Expr *raw = lt_lower_at_as(lo, indices, at, DT_I64);
    const Expr *is_negative = lt_expr_call(k, FN_LT, raw, zero, NULL);
    const Expr *wrapped =
        lt_expr_call(k, FN_SELECT, is_negative, lt_expr_call(k, FN_ADD, raw, size, NULL), raw);
    const Expr *last = lt_expr_index(k, lt_dim_add_const(&k->dims, extent, -1));
    const Expr *inside =
        lt_expr_call(k, FN_MAX, lt_expr_call(k, FN_MIN, wrapped, last, NULL), zero, NULL);
    int64_t lowest, greatest;
    if (inside->kind == EXPR_INDEX)
        return inside->u.dim;
    if (inside->kind == EXPR_CONST)
        return lower_number(lo, inside->u.i);
    lt_dim_range(&k->dims, extent, &lowest, &greatest);
    greatest = greatest == LT_DIM_UNBOUNDED ? greatest : greatest > 0 ? greatest - 1 : 0;
    const Dim *var = lt_kernel_let_var(k, "at", 0, greatest);
    lo->prelude = lt_stmt_join(lo->prelude, lt_stmt_let(k, var, inside));
    return var;
}

/* Position 0 of an empty axis is outside, too: there, the predicate keeps the load away. */
static void require_some(Lowering *lo, At *at, const Dim *extent) {
    const Expr *some = lt_expr_less(lo->k, lower_number(lo, 0), extent);
    if (!lt_expr_is_const_bool(some, true))
        at->predicate = lt_expr_and(lo->k, at->predicate, some);
}

const Expr *lt_lower_at_gather(Lowering *lo, const Node *node, const At *at) {
    Value *data = lt_input(node, 0), *indices = lt_input(node, 1);
    const int axis = (int)lt_attr_int(node, ATTR_AXIS, 0), span = indices->type->rank;
    const Dim *extent = lower_dim(lo, data->type->dims[axis]);
    At where = {.predicate = at->predicate}, there = {.predicate = at->predicate};
    for (int i = 0; i < span; i++)
        where.index[i] = at->index[axis + i];
    for (int i = 0; i < data->type->rank; i++)
        if (i != axis)
            there.index[i] = at->index[i < axis ? i : i + span - 1];
    there.index[axis] = lt_lower_position(lo, indices, &where, extent);
    require_some(lo, &there, extent);
    return lt_lower_at(lo, data, &there);
}

const Expr *lt_lower_at_gather_elements(Lowering *lo, const Node *node, const At *at) {
    Value *data = lt_input(node, 0);
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0);
    const Dim *extent = lower_dim(lo, data->type->dims[axis]);
    At there = *at;
    there.index[axis] = lt_lower_position(lo, lt_input(node, 1), at, extent);
    require_some(lo, &there, extent);
    return lt_lower_at(lo, data, &there);
}

const Expr *lt_lower_at_gather_nd(Lowering *lo, const Node *node, const At *at) {
    Value *data = lt_input(node, 0), *indices = lt_input(node, 1);
    const int batch = (int)lt_attr_int(node, ATTR_COUNT, 0), last = indices->type->rank - 1;
    const int depth = (int)indices->type->dims[last]->value;
    At where = *at, there = {.predicate = at->predicate};
    for (int i = 0; i < data->type->rank; i++) {
        if (i < batch) {
            there.index[i] = at->index[i];
        } else if (i >= batch + depth) {
            there.index[i] = at->index[last + i - batch - depth];
        } else {
            const Dim *extent = lower_dim(lo, data->type->dims[i]);
            where.index[last] = lower_number(lo, i - batch);
            there.index[i] = lt_lower_position(lo, indices, &where, extent);
            require_some(lo, &there, extent);
        }
    }
    return lt_lower_at(lo, data, &there);
}
