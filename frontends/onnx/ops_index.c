/* ops_index.c - ops that read or write at indices, and those about order. */
#include <string.h>

#include "frontends/onnx/ops.h"

bool lt_onnx_gather(Import *im) {
    int64_t axis;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), im->inputs[0]->type->rank, &axis))
        return false;
    return onnx_set(im, 0, lt_build_gather(&im->b, im->inputs[0], im->inputs[1], (int)axis));
}

static bool set_node(Import *im, Op op, uint32_t inputs, const Attr *attrs, uint32_t attr_count) {
    NodeSpec spec = {.op = op,
                     .inputs = im->inputs,
                     .input_count = inputs,
                     .attrs = attrs,
                     .attr_count = attr_count};
    return onnx_set(im, 0, lt_build(&im->b, &spec));
}

bool lt_onnx_gather_elements(Import *im) {
    int64_t axis;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), im->inputs[0]->type->rank, &axis))
        return false;
    return set_node(im, OP_GATHER_ELEMENTS, 2, (Attr[]){lt_int(ATTR_AXIS, axis)}, 1);
}

bool lt_onnx_gather_nd(Import *im) {
    return set_node(im, OP_GATHER_ND, 2,
                    (Attr[]){lt_int(ATTR_COUNT, lt_onnx_int(im, "batch_dims", 0))}, 1);
}

static const struct {
    const char *name;
    ScalarFn fn;
} reductions[] = {{"add", FN_ADD}, {"mul", FN_MUL}, {"min", FN_MIN}, {"max", FN_MAX}};

/* Appends the fn attribute; "none" has none. */
static bool add_reduction(Import *im, Attr *attrs, uint32_t *count) {
    const char *reduction = lt_onnx_string(im, "reduction", "none");
    if (strcmp(reduction, "none") == 0)
        return true;
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++) {
        if (strcmp(reduction, reductions[i].name) != 0)
            continue;
        attrs[(*count)++] = lt_int(ATTR_FN, (int64_t)reductions[i].fn);
        return true;
    }
    return lt_onnx_malformed(im, "reduction is '%s'; expected none, add, mul, min or max",
                             reduction);
}

bool lt_onnx_scatter_elements(Import *im) {
    int64_t axis;
    uint32_t count = 1;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), im->inputs[0]->type->rank, &axis))
        return false;
    Attr attrs[2] = {lt_int(ATTR_AXIS, axis)};
    return add_reduction(im, attrs, &count) && set_node(im, OP_SCATTER_ELEMENTS, 3, attrs, count);
}

bool lt_onnx_scatter_nd(Import *im) {
    Attr attrs[1];
    uint32_t count = 0;
    return add_reduction(im, attrs, &count) && set_node(im, OP_SCATTER_ND, 3, attrs, count);
}

/* One of the two values, as a scalar. */
static Value *pick_value(Import *im, int64_t index) {
    Value *v = lt_onnx_slice_axis(im, im->inputs[2], 0, lt_dim_const(im->dims, index),
                                  lt_dim_const(im->dims, 1));
    return lt_build_reshape(&im->b, v, 0, NULL);
}

/* index == position along a new axis; indices from -depth on count from the back, others match
 * nowhere. */
bool lt_onnx_one_hot(Import *im) {
    int64_t count, axis;
    Value *indices = lt_build_convert(&im->b, im->inputs[0], DT_I64);
    Value *size_of = lt_build_convert(&im->b, im->inputs[1], DT_I64); /* may be floating point */
    const Dim *const *depth = size_of ? lt_onnx_extents(im, size_of, "the depth", &count) : NULL;
    if (!indices || !depth)
        return false;
    int rank = indices->type->rank + 1;
    if (rank > LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %d is more than %d", rank, LT_MAX_RANK);
    if (count != 1 || im->inputs[2]->type->rank != 1)
        return lt_onnx_malformed(im, "depth must be one number and values a pair");
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", -1), rank, &axis))
        return false;
    Value *size = lt_onnx_dim_value(im, depth[0], DT_I64);
    Value *wrapped = lt_build_map2(&im->b, FN_ADD, indices, size);
    Value *is_negative = lt_onnx_map_scalar(im, FN_LT, indices, 0);
    indices = lt_build_map3(&im->b, FN_SELECT, is_negative, wrapped, indices);
    const Dim *line[LT_MAX_RANK];
    for (int i = 0; i < rank; i++)
        line[i] = i == axis ? depth[0] : lt_dim_const(im->dims, 1);
    Value *position = lt_build_iota(&im->b, DT_I64, rank, line, (int)axis);
    Value *is_here =
        lt_build_map2(&im->b, FN_EQ, lt_build_unsqueeze(&im->b, indices, &axis, 1), position);
    return onnx_set(
        im, 0, lt_build_map3(&im->b, FN_SELECT, is_here, pick_value(im, 1), pick_value(im, 0)));
}

bool lt_onnx_top_k(Import *im) {
    int64_t axis, count = 1;
    const Dim *from_attribute = lt_dim_const(im->dims, lt_onnx_int(im, "k", 0));
    const Dim *const *k = &from_attribute;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", -1), im->inputs[0]->type->rank, &axis))
        return false;
    if (im->version >= 10) {
        if (!onnx_in(im, 1))
            return lt_onnx_malformed(im, "input 1, how many, is missing");
        k = lt_onnx_extents(im, onnx_in(im, 1), "how many", &count);
    }
    if (!k)
        return false;
    if (count != 1)
        return lt_onnx_malformed(im, "how many must be one number");
    Attr attrs[] = {lt_int(ATTR_AXIS, axis), lt_dims(ATTR_SIZE, k, 1),
                    lt_int(ATTR_LARGEST, lt_onnx_int(im, "largest", 1) != 0),
                    lt_int(ATTR_SORTED, lt_onnx_int(im, "sorted", 1) != 0)};
    if (!set_node(im, OP_SORT, 1, attrs, 4))
        return false;
    if (im->output_count > 1)
        im->outputs[1] = im->outputs[0]->def->outputs[1];
    return true;
}

static Value *cumulate(Import *im, Value *x, int64_t axis) {
    ScalarFn fn = strcmp(im->node->op, "CumProd") == 0 ? FN_MUL : FN_ADD;
    Attr attrs[] = {lt_int(ATTR_FN, (int64_t)fn), lt_int(ATTR_AXIS, axis),
                    lt_int(ATTR_EXCLUSIVE, lt_onnx_int(im, "exclusive", 0) != 0),
                    lt_int(ATTR_REVERSE, lt_onnx_int(im, "reverse", 0) != 0)};
    NodeSpec spec = {
        .op = OP_SCANREDUCE, .inputs = &x, .input_count = 1, .attrs = attrs, .attr_count = 4};
    return lt_build(&im->b, &spec);
}

/* The result's type does not depend on the axis: where only a run tells it, that along each axis is
 * made, and one is chosen. */
static Value *cumulate_any(Import *im, Value *x, Value *axis) {
    int rank = x->type->rank;
    axis = lt_build_convert(&im->b, axis, DT_I64);
    if (axis && axis->type->rank > 0)
        axis = lt_build_reshape(&im->b, axis, 0, NULL);
    axis = lt_onnx_map_scalar(im, FN_MOD, axis, rank);
    Value *result = cumulate(im, x, 0);
    for (int i = 1; i < rank; i++)
        result = lt_build_map3(&im->b, FN_SELECT, lt_onnx_map_scalar(im, FN_EQ, axis, i),
                               cumulate(im, x, i), result);
    return result;
}

bool lt_onnx_cumulate(Import *im) {
    Value *x = im->inputs[0], *axis = im->inputs[1];
    int64_t known;
    if (x->type->rank < 1)
        return lt_onnx_malformed(im, "the input is a scalar");
    if (!axis->content && !lt_onnx_const(im, axis))
        return onnx_set(im, 0, cumulate_any(im, x, axis));
    return lt_onnx_number(im, axis, "the axis", &known) &&
           lt_onnx_axis(im, known, x->type->rank, &known) &&
           onnx_set(im, 0, cumulate(im, x, known));
}

/* --- ReverseSequence, TensorScatter: x read along an axis at computed places ---------------- */

/* index has x's rank; its other axes may be 1. */
static Value *gather_along(Import *im, Value *x, Value *index, const Type *shape, int64_t axis) {
    Attr attr = lt_int(ATTR_AXIS, axis);
    Value *inputs[] = {x, lt_build_broadcast(&im->b, index, shape->rank, shape->dims)};
    NodeSpec spec = {.op = OP_GATHER_ELEMENTS,
                     .inputs = inputs,
                     .input_count = 2,
                     .attrs = &attr,
                     .attr_count = 1};
    return inputs[1] ? lt_build(&im->b, &spec) : NULL;
}

/* i64 along `axis` of a tensor of this rank: 0, 1, ... */
static Value *positions(Import *im, const Type *type, int64_t axis) {
    const Dim *line[LT_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        line[i] = i == axis ? type->dims[i] : lt_dim_const(im->dims, 1);
    return lt_build_iota(&im->b, DT_I64, type->rank, line, (int)axis);
}

/* The first lengths[b] elements of each sequence, backwards. */
bool lt_onnx_reverse_sequence(Import *im) {
    Value *x = im->inputs[0];
    int64_t time = lt_onnx_int(im, "time_axis", 0), batch = lt_onnx_int(im, "batch_axis", 1);
    if (x->type->rank < 2 || time + batch != 1 || time * batch != 0)
        return lt_onnx_malformed(im, "time_axis and batch_axis must be 0 and 1");
    Value *lengths = lt_build_convert(&im->b, im->inputs[1], DT_I64);
    lengths = lt_onnx_along(im, lengths, (int)batch, x->type->rank);
    Value *at = positions(im, x->type, time);
    Value *back = lt_onnx_map_scalar(im, FN_SUB, lt_build_map2(&im->b, FN_SUB, lengths, at), 1);
    Value *is_within = lt_build_map2(&im->b, FN_LT, at, lengths);
    Value *index = lt_build_map3(&im->b, FN_SELECT, is_within, back, at);
    return onnx_set(im, 0, gather_along(im, x, index, x->type, time));
}

/* Each sample's update from its own place on; "circular" wraps at the end of the cache. */
bool lt_onnx_tensor_scatter(Import *im) {
    Value *cache = im->inputs[0], *update = im->inputs[1];
    const char *mode = lt_onnx_string(im, "mode", "linear");
    bool circular = strcmp(mode, "circular") == 0;
    int64_t axis;
    if (!circular && strcmp(mode, "linear") != 0)
        return lt_onnx_malformed(im, "mode is '%s'; expected linear or circular", mode);
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", -2), cache->type->rank, &axis))
        return false;
    if (axis == 0 || update->type->rank != cache->type->rank)
        return lt_onnx_malformed(im, "axis 0 is the batch, and the ranks must be the same");
    Value *at = positions(im, cache->type, axis);
    if (onnx_in(im, 2)) {
        Value *first = lt_build_convert(&im->b, onnx_in(im, 2), DT_I64);
        at = lt_build_map2(&im->b, FN_SUB, at, lt_onnx_along(im, first, 0, cache->type->rank));
    }
    Value *sizes[2];
    for (int i = 0; i < 2; i++)
        sizes[i] = lt_build_reshape(
            &im->b, lt_build_dims(&im->b, 1, &im->inputs[i]->type->dims[axis]), 0, NULL);
    if (circular)
        at = lt_build_map2(&im->b, FN_MOD, at, sizes[0]);
    Value *is_new = lt_build_map2(&im->b, FN_AND, lt_onnx_map_scalar(im, FN_GE, at, 0),
                                  lt_build_map2(&im->b, FN_LT, at, sizes[1]));
    Value *index = lt_build_map3(&im->b, FN_SELECT, is_new, at, lt_onnx_scalar_like(im, at, 0));
    Value *fresh = gather_along(im, update, index, cache->type, axis);
    return onnx_set(im, 0, lt_build_map3(&im->b, FN_SELECT, is_new, fresh, cache));
}
