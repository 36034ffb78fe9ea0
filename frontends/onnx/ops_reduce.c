/* ops_reduce.c - folds over axes, and the soft maxima.
 *
 * Axes that only a run tells are branches: for each axis of the operand one that folds it, with an
 * extent of 1 left, and one that does not. */
#include <string.h>

#include "frontends/onnx/ops.h"

typedef struct Fold {
    const int64_t *axes;
    int count;
    bool keep;
    Value *const *folded; /* by axis: whether it is folded, a bool[]; NULL: `axes` says it */
} Fold;

typedef Value *FoldFn(Import *im, Value *x, const Fold *f);

/* if folded: fold of x over the axis; else: x. */
static Value *fold_axis_if(Import *im, FoldFn *fold, Value *x, int64_t axis, Value *folded) {
    Node *node = lt_node_new(im->b.graph, NULL,
                             &(NodeSpec){.op = OP_IF,
                                         .inputs = (Value *[]){folded, x},
                                         .input_count = 2,
                                         .region_count = 2,
                                         .output_count = 1,
                                         .loc = im->b.loc});
    const Builder outer = im->b;
    bool built = true;
    for (int i = 0; i < 2; i++) {
        im->b = (Builder){.graph = node->regions[i], .loc = outer.loc};
        Value *v = lt_graph_add_input(im->b.graph, x->type, NULL);
        v = i == 0 ? fold(im, v, &(Fold){.axes = &axis, .count = 1, .keep = true}) : v;
        built = built && v;
        if (v)
            lt_graph_set_outputs(im->b.graph, &v, 1);
    }
    im->b = outer;
    return built && lt_infer_node(node) ? lt_output(node) : NULL;
}

/* For folds of which several, one after the other, make one over all their axes. */
static Value *fold_each_if(Import *im, FoldFn *fold, Value *x, Value *const *folded) {
    const int rank = x->type->rank;
    for (int axis = 0; x && axis < rank; axis++)
        if (!lt_dim_is(x->type->dims[axis], 1))
            x = fold_axis_if(im, fold, x, axis, folded[axis]);
    return x;
}

static Value *sum(Import *im, Value *x, const Fold *f) {
    return f->folded ? fold_each_if(im, sum, x, f->folded)
                     : lt_build_reduce(&im->b, FN_ADD, x, f->axes, f->count, f->keep);
}

static Value *square(Import *im, Value *x) { return lt_build_map2(&im->b, FN_MUL, x, x); }

static Value *fold_sum(Import *im, Value *x, const Fold *f) { return sum(im, x, f); }
static Value *fold_mean(Import *im, Value *x, const Fold *f) {
    if (!f->folded)
        return lt_onnx_mean(im, x, f->axes, f->count, f->keep);
    Value *total = sum(im, x, f);
    if (!total)
        return NULL;
    const Dim *elements[] = {lt_type_elements(im->module, x->type)};
    const Dim *results[] = {lt_type_elements(im->module, total->type)};
    Value *share = lt_build_map2(&im->b, FN_FLOORDIV, lt_build_dims(&im->b, 1, elements),
                                 lt_build_dims(&im->b, 1, results));
    share = lt_build_convert(&im->b, lt_build_reshape(&im->b, share, 0, NULL), x->type->dtype);
    return lt_build_map2(&im->b, FN_DIV, total, share);
}
static Value *fold_max(Import *im, Value *x, const Fold *f) {
    return f->folded ? fold_each_if(im, fold_max, x, f->folded)
                     : lt_build_reduce(&im->b, FN_MAX, x, f->axes, f->count, f->keep);
}
static Value *fold_min(Import *im, Value *x, const Fold *f) {
    return f->folded ? fold_each_if(im, fold_min, x, f->folded)
                     : lt_build_reduce(&im->b, FN_MIN, x, f->axes, f->count, f->keep);
}
static Value *fold_prod(Import *im, Value *x, const Fold *f) {
    return f->folded ? fold_each_if(im, fold_prod, x, f->folded)
                     : lt_build_reduce(&im->b, FN_MUL, x, f->axes, f->count, f->keep);
}
static Value *fold_l1(Import *im, Value *x, const Fold *f) {
    return sum(im, lt_build_map1(&im->b, FN_ABS, x), f);
}
static Value *fold_sum_square(Import *im, Value *x, const Fold *f) {
    return sum(im, square(im, x), f);
}
static Value *fold_l2(Import *im, Value *x, const Fold *f) {
    return lt_build_map1(&im->b, FN_SQRT, sum(im, square(im, x), f));
}
static Value *fold_log_sum(Import *im, Value *x, const Fold *f) {
    return lt_build_map1(&im->b, FN_LOG, sum(im, x, f));
}

/* log(sum(exp(x - m))) + m with the greatest element m, or 0 where that is infinite. */
static Value *fold_log_sum_exp(Import *im, Value *x, const Fold *f) {
    if (f->folded)
        return fold_each_if(im, fold_log_sum_exp, x, f->folded);
    Value *most = lt_build_reduce(&im->b, FN_MAX, x, f->axes, f->count, true);
    Value *is_inf = lt_build_map1(&im->b, FN_ISINF, most);
    most = lt_build_map3(&im->b, FN_SELECT, is_inf, lt_onnx_scalar_like(im, x, 0), most);
    Value *total =
        sum(im, lt_build_map1(&im->b, FN_EXP, lt_build_map2(&im->b, FN_SUB, x, most)), f);
    if (!f->keep)
        most = lt_build_squeeze(&im->b, most, f->axes, f->count);
    return lt_build_map2(&im->b, FN_ADD, lt_build_map1(&im->b, FN_LOG, total), most);
}

/* is_plain: with no axes to fold, the op gives its input. */
static const struct {
    const char *op;
    FoldFn *fold;
    bool is_plain;
} folds[] = {
    {"ReduceSum", fold_sum, true},         {"ReduceMean", fold_mean, true},
    {"ReduceMax", fold_max, true},         {"ReduceMin", fold_min, true},
    {"ReduceProd", fold_prod, true},       {"ReduceL1", fold_l1, false},
    {"ReduceL2", fold_l2, false},          {"ReduceSumSquare", fold_sum_square, false},
    {"ReduceLogSum", fold_log_sum, false}, {"ReduceLogSumExp", fold_log_sum_exp, false},
};

/* --- axes of data ---------------------------------------------------------------------------- */

/* Axes as an operand that only a run tells, `count` of them. */
static bool reduce_axes_of_data(Import *im, FoldFn *fold, int64_t count, bool keep) {
    Value *x = im->inputs[0], *folded[LT_MAX_RANK];
    Value *axes = lt_build_convert(&im->b, im->inputs[1], DT_I64);
    const int rank = x->type->rank;
    for (int i = 0; i < rank; i++)
        if (!(folded[i] = lt_onnx_is_axis(im, axes, i, rank)))
            return false;
    Value *v = fold(im, x, &(Fold){.keep = true, .folded = folded});
    if (v && !keep)
        v = lt_onnx_keep_axes(im, v, folded, count);
    return onnx_set(im, 0, v);
}

bool lt_onnx_reduce(Import *im) {
    Value *x = im->inputs[0];
    int64_t count, keep = lt_onnx_int(im, "keepdims", 1),
                   noop = lt_onnx_int(im, "noop_with_empty_axes", 0);
    size_t row = 0;
    while (strcmp(folds[row].op, im->node->op) != 0)
        row++;
    Value *operand = onnx_in(im, 1);
    int64_t given;
    if (operand && operand->type->rank == 1 && lt_type_is_static(operand->type, &given) &&
        given > 0 && !lt_onnx_is_known(im, operand))
        return reduce_axes_of_data(im, folds[row].fold, given, keep != 0);
    const int64_t *axes = lt_onnx_axes(im, 1, x->type->rank, &count);
    if (count == -2)
        return false;
    if (count <= 0 && noop) {
        if (folds[row].is_plain)
            return onnx_set(im, 0, x);
        return lt_onnx_unsupported(im, "noop_with_empty_axes without axes is not supported");
    }
    if (count <= 0) {
        int64_t *all = lt_onnx_int_array(im, x->type->rank, 0);
        for (int i = 0; i < x->type->rank; i++)
            all[i] = i;
        axes = all;
        count = x->type->rank;
    }
    Fold fold = {.axes = axes, .count = (int)count, .keep = keep != 0};
    return onnx_set(im, 0, folds[row].fold(im, x, &fold));
}

static Value *arg_reduce(Import *im, Value *x, ScalarFn fn, int64_t axis, bool keep) {
    Attr attrs[] = {lt_int(ATTR_FN, (int64_t)fn), lt_int(ATTR_AXIS, axis), lt_int(ATTR_KEEP, keep)};
    return lt_build(
        &im->b,
        &(NodeSpec){
            .op = OP_ARGREDUCE, .inputs = &x, .input_count = 1, .attrs = attrs, .attr_count = 3});
}

/* The last of equals is the first of the flipped axis, counted from the back. */
bool lt_onnx_arg(Import *im) {
    Value *x = im->inputs[0];
    ScalarFn fn = strcmp(im->node->op, "ArgMax") == 0 ? FN_MAX : FN_MIN;
    bool keep = lt_onnx_int(im, "keepdims", 1) != 0;
    int64_t axis;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), x->type->rank, &axis))
        return false;
    if (!lt_onnx_int(im, "select_last_index", 0))
        return onnx_set(im, 0, arg_reduce(im, x, fn, axis, keep));
    const Dim *last = lt_dim_add_const(im->dims, x->type->dims[axis], -1);
    Value *from_back = arg_reduce(im, lt_onnx_flip(im, x, axis), fn, axis, keep);
    Value *end = lt_onnx_dim_value(im, last, DT_I64);
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_SUB, end, from_back));
}

/* --- Softmax, LogSoftmax, Hardmax ---------------------------------------------------------- */

/* 1 at the first greatest element along the axis. */
static Value *hardmax(Import *im, Value *x, int64_t axis) {
    Value *at = arg_reduce(im, x, FN_MAX, axis, true);
    const Dim *line[LT_MAX_RANK];
    for (int i = 0; i < x->type->rank; i++)
        line[i] = i == axis ? x->type->dims[i] : lt_dim_const(im->dims, 1);
    Value *position = lt_build_iota(&im->b, DT_I64, x->type->rank, line, (int)axis);
    return lt_build_convert(&im->b, lt_build_map2(&im->b, FN_EQ, at, position), x->type->dtype);
}

static Value *soft_max(Import *im, Value *x, int64_t axis) {
    if (!x || strcmp(im->node->op, "Hardmax") == 0)
        return x ? hardmax(im, x, axis) : NULL;
    Op op = strcmp(im->node->op, "LogSoftmax") == 0 ? OP_LOG_SOFTMAX : OP_SOFTMAX;
    Attr axis_attr = lt_int(ATTR_AXIS, axis);
    return lt_build(
        &im->b,
        &(NodeSpec){
            .op = op, .inputs = &x, .input_count = 1, .attrs = &axis_attr, .attr_count = 1});
}

bool lt_onnx_softmax(Import *im) {
    int64_t axis;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", -1), im->inputs[0]->type->rank, &axis))
        return false;
    return onnx_set(im, 0, soft_max(im, im->inputs[0], axis));
}

/* Before opset 13 all axes from `axis` on are taken as one. */
bool lt_onnx_softmax_1(Import *im) {
    Value *x = im->inputs[0];
    int64_t axis, rank = x->type->rank;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 1), rank, &axis))
        return false;
    if (axis == rank - 1)
        return onnx_set(im, 0, soft_max(im, x, axis));
    const Dim *flat[2] = {lt_dim_product(im->dims, x->type->dims, (int)axis),
                          lt_dim_product(im->dims, x->type->dims + axis, (int)(rank - axis))};
    Value *result = soft_max(im, lt_build_reshape(&im->b, x, 2, flat), 1);
    return onnx_set(im, 0, lt_build_reshape(&im->b, result, (int)rank, x->type->dims));
}
