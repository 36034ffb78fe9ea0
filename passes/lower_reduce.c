/* lower_reduce.c - folds: reduce, window, argreduce and cumulate.
 *
 *   for i { alloc acc; acc = identity; for k { acc = fn(acc, x) }; out = epilogue(acc) }
 * Floats are summed in f32 (f64 for f64), in the order of the loops. Where window meets padding,
 * the update is under an IF, because padding holds fn's identity. */
#include "passes/lower_internal.h"

/* Loops over the axes of the operand, and where they lead. */
typedef struct Fold {
    LoopNest outer, inner;
    At at;                         /* in the operand */
    const Dim *index[LT_MAX_RANK]; /* in the result */
    const Expr *condition;         /* NULL: always */
    ScalarFn fn;
    DType dtype; /* of the accumulator */
} Fold;

static void choose_accumulator(Lowering *lo, Fold *fold) {
    const DType dtype = lt_input(lo->anchor, 0)->type->dtype;
    const bool is_sum = fold->fn == FN_ADD || fold->fn == FN_MUL || lt_dtype_is_float(dtype);
    fold->dtype = is_sum ? lt_lower_sum_dtype(dtype) : dtype;
    if (dtype == DT_BOOL)
        fold->fn = fold->fn == FN_MIN ? FN_AND : fold->fn == FN_MAX ? FN_OR : fold->fn;
}

static void build_fold(Lowering *lo, Fold *fold) {
    Value *x = lt_input(lo->anchor, 0);
    const DType result = lt_output(lo->anchor)->type->dtype;
    const Accumulator acc = lt_lower_accumulator(lo, "acc", fold->dtype);
    Stmt *begin = lt_lower_begin(lo, acc, lt_lower_identity(lo, fold->fn, fold->dtype));
    const Expr *element = lt_lower_at_as(lo, x, &fold->at, fold->dtype);
    const Expr *folded = lt_expr_call(lo->k, fold->fn, lt_lower_get(lo, acc), element, NULL);
    Stmt *update = lt_stmt_join(lt_lower_take_prelude(lo), lt_lower_set(lo, acc, folded));
    if (fold->condition)
        update = lt_stmt_if(lo->k, fold->condition, update, NULL);
    Stmt *loops = lt_lower_nest(lo, &fold->inner, update);
    Stmt *store =
        lt_lower_store(lo, fold->index, lt_expr_convert(lo->k, lt_lower_get(lo, acc), result));
    lo->k->body = lt_lower_nest(lo, &fold->outer, lt_stmt_join(begin, lt_stmt_join(loops, store)));
}

static bool has_axis(const Attr *axes, int axis) {
    for (uint32_t i = 0; i < axes->count; i++)
        if (axes->u.ints[i] == axis)
            return true;
    return false;
}

bool lt_lower_reduce(Lowering *lo) {
    const Node *node = lo->anchor;
    const Attr *axes = lt_attr(node, ATTR_AXES);
    const Type *type = lt_input(node, 0)->type;
    const bool keep = lt_attr_int(node, ATTR_KEEP, 0);
    Fold fold = {.fn = lt_node_fn(node)};
    int rank = 0;
    for (int i = 0; i < type->rank; i++) {
        const bool folded = has_axis(axes, i);
        fold.at.index[i] = lt_lower_loop(lo, folded ? &fold.inner : &fold.outer,
                                         folded ? "k#" : "i#", lower_dim(lo, type->dims[i]));
        if (!folded || keep)
            fold.index[rank++] = folded ? lower_number(lo, 0) : fold.at.index[i];
    }
    lo->k->class = fold.inner.count ? KERNEL_REDUCE : KERNEL_MAP;
    choose_accumulator(lo, &fold);
    if (fold.inner.count) {
        build_fold(lo, &fold);
        return !lo->failed;
    }
    Stmt *store = lt_lower_store(lo, fold.index, lt_lower_at(lo, lt_input(node, 0), &fold.at));
    lo->k->body = lt_lower_nest(lo, &fold.outer, store);
    return !lo->failed;
}

/* --- window -------------------------------------------------------------------------------- */

const Expr *lt_lower_sweep_condition(Lowering *lo, const Dim *position, const Dim *extent,
                                     const Dim *below, const Dim *above) {
    int64_t lo_below, hi_below, lo_above, hi_above;
    const Expr *condition = NULL;
    lt_dim_range(lower_table(lo), below, &lo_below, &hi_below);
    lt_dim_range(lower_table(lo), above, &lo_above, &hi_above);
    if (hi_below > 0)
        condition = lt_expr_less(lo->k, lower_number(lo, -1), position);
    if (hi_above > 0)
        condition = lt_expr_and(lo->k, condition, lt_expr_less(lo->k, position, extent));
    return condition && lt_expr_is_const_bool(condition, true) ? NULL : condition;
}

static int window_axis(const Attr *axes, int axis) {
    for (uint32_t i = 0; i < axes->count; i++)
        if (axes->u.ints[i] == axis)
            return (int)i;
    return -1;
}

/* Axis `axis` of the operand, the which-th that the window runs over. */
static void sweep_axis(Lowering *lo, Fold *fold, int axis, int which) {
    const Node *node = lo->anchor;
    DimTable *t = lower_table(lo);
    const Dim *below = lower_dim(lo, lt_attr(node, ATTR_PAD_LO)->u.dims[which]);
    const Dim *above = lower_dim(lo, lt_attr(node, ATTR_PAD_HI)->u.dims[which]);
    const Dim *taps = lower_number(lo, lt_attr(node, ATTR_KERNEL)->u.ints[which]);
    const Dim *tap = lt_lower_full_loop(lo, &fold->inner, "k#", taps);
    const Dim *begin =
        lt_dim_mul_const(t, fold->index[axis], lt_attr(node, ATTR_STRIDES)->u.ints[which]);
    const Dim *offset = lt_dim_mul_const(t, tap, lt_attr(node, ATTR_DILATIONS)->u.ints[which]);
    const Dim *position = lt_dim_sub(t, lt_dim_add(t, begin, offset), below);
    const Dim *extent = lower_dim(lo, lt_input(node, 0)->type->dims[axis]);
    fold->at.index[axis] = position;
    fold->condition = lt_expr_and(lo->k, fold->condition,
                                  lt_lower_sweep_condition(lo, position, extent, below, above));
}

bool lt_lower_window(Lowering *lo) {
    const Node *node = lo->anchor;
    const Attr *axes = lt_attr(node, ATTR_AXES);
    const Type *type = lt_output(node)->type;
    Fold fold = {.fn = lt_node_fn(node)};
    lt_lower_axes(lo, &fold.outer, "i#", type, fold.index);
    for (int i = 0; i < type->rank; i++) {
        const int which = window_axis(axes, i);
        if (which < 0)
            fold.at.index[i] = fold.index[i];
        else
            sweep_axis(lo, &fold, i, which);
    }
    lo->k->class = axes->count ? KERNEL_WINDOW : KERNEL_MAP;
    choose_accumulator(lo, &fold);
    if (axes->count) {
        build_fold(lo, &fold);
        return !lo->failed;
    }
    Stmt *store = lt_lower_store(lo, fold.index, lt_lower_at(lo, lt_input(node, 0), &fold.at));
    lo->k->body = lt_lower_nest(lo, &fold.outer, store);
    return !lo->failed;
}

/* --- rows with a state that is more than a fold -------------------------------------------- */

/* NaN wins over all numbers, and the first one over later ones. */
static const Expr *is_better(Lowering *lo, ScalarFn fn, const Expr *element, const Expr *old) {
    Kernel *k = lo->k;
    const Expr *better = lt_expr_call(k, fn == FN_MIN ? FN_LT : FN_GT, element, old, NULL);
    if (!lt_dtype_is_float(element->dtype))
        return better;
    const Expr *is_number =
        lt_expr_call(k, FN_NOT, lt_expr_call(k, FN_ISNAN, old, NULL, NULL), NULL, NULL);
    const Expr *first_nan =
        lt_expr_call(k, FN_AND, lt_expr_call(k, FN_ISNAN, element, NULL, NULL), is_number, NULL);
    return lt_expr_call(k, FN_OR, better, first_nan, NULL);
}

bool lt_lower_argreduce(Lowering *lo) {
    const Node *node = lo->anchor;
    Value *x = lt_input(node, 0);
    Kernel *k = lo->k;
    const bool keep = lt_attr_int(node, ATTR_KEEP, 0);
    const int axis = (int)lt_attr_int(node, ATTR_AXIS, 0);
    const DType dtype = x->type->dtype;
    Fold fold = {.fn = lt_node_fn(node)};
    int rank = 0;
    for (int i = 0; i < x->type->rank; i++) {
        const Dim *extent = lower_dim(lo, x->type->dims[i]);
        fold.at.index[i] = i == axis ? lt_lower_full_loop(lo, &fold.inner, "k#", extent)
                                     : lt_lower_loop(lo, &fold.outer, "i#", extent);
        if (i != axis || keep)
            fold.index[rank++] = i == axis ? lower_number(lo, 0) : fold.at.index[i];
    }
    k->class = KERNEL_ROWS;
    const Accumulator best = lt_lower_accumulator(lo, "best", dtype);
    const Accumulator where = lt_lower_accumulator(lo, "where", DT_I64);
    Stmt *begin = lt_stmt_join(lt_lower_begin(lo, best, lt_lower_identity(lo, fold.fn, dtype)),
                               lt_lower_begin(lo, where, lt_expr_int(k, DT_I64, 0)));
    const Expr *element = lt_lower_at(lo, x, &fold.at), *old = lt_lower_get(lo, best);
    const Expr *better = is_better(lo, fold.fn, element, old);
    const Expr *here = lt_expr_index(k, fold.at.index[axis]);
    Stmt *update = lt_stmt_join(
        lt_lower_set(lo, where, lt_expr_call(k, FN_SELECT, better, here, lt_lower_get(lo, where))),
        lt_lower_set(lo, best, lt_expr_call(k, FN_SELECT, better, element, old)));
    Stmt *loops = lt_lower_nest(lo, &fold.inner, lt_stmt_join(lt_lower_take_prelude(lo), update));
    Stmt *store = lt_lower_store(lo, fold.index, lt_lower_get(lo, where));
    k->body = lt_lower_nest(lo, &fold.outer, lt_stmt_join(begin, lt_stmt_join(loops, store)));
    return !lo->failed;
}

bool lt_lower_cumulate(Lowering *lo) {
    const Node *node = lo->anchor;
    Value *x = lt_input(node, 0);
    Kernel *k = lo->k;
    const int axis = (int)lt_attr_int(node, ATTR_AXIS, 0);
    Fold fold = {.fn = lt_node_fn(node)};
    for (int i = 0; i < x->type->rank; i++)
        if (i != axis)
            fold.at.index[i] =
                lt_lower_loop(lo, &fold.outer, "i#", lower_dim(lo, x->type->dims[i]));
    const Dim *extent = lower_dim(lo, x->type->dims[axis]);
    const Dim *step = lt_lower_full_loop(lo, &fold.inner, "k#", extent);
    const Dim *last = lt_dim_add_const(lower_table(lo), extent, -1);
    const bool backwards = lt_attr_int(node, ATTR_REVERSE, 0);
    fold.at.index[axis] = backwards ? lt_dim_sub(lower_table(lo), last, step) : step;
    k->class = KERNEL_ROWS;
    choose_accumulator(lo, &fold);
    const Accumulator acc = lt_lower_accumulator(lo, "acc", fold.dtype);
    Stmt *begin = lt_lower_begin(lo, acc, lt_lower_identity(lo, fold.fn, fold.dtype));
    const Expr *element = lt_lower_at_as(lo, x, &fold.at, fold.dtype);
    const Expr *folded = lt_expr_call(k, fold.fn, lt_lower_get(lo, acc), element, NULL);
    Stmt *update = lt_stmt_join(lt_lower_take_prelude(lo), lt_lower_set(lo, acc, folded));
    Stmt *store = lt_lower_store(lo, fold.at.index,
                                 lt_expr_convert(k, lt_lower_get(lo, acc), x->type->dtype));
    const bool exclusive = lt_attr_int(node, ATTR_EXCLUSIVE, 0);
    Stmt *body = exclusive ? lt_stmt_join(store, update) : lt_stmt_join(update, store);
    k->body =
        lt_lower_nest(lo, &fold.outer, lt_stmt_join(begin, lt_lower_nest(lo, &fold.inner, body)));
    return !lo->failed;
}
