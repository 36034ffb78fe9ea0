/* extents.c - extents that only a run may tell. */
#include "frontends/onnx/extents.h"

const Dim *lt_onnx_extent(Import *im, Value *v, const char *what) {
    int64_t count;
    const Dim *const *dims = lt_onnx_extents(im, v, what, &count);
    if (dims && count != 1)
        return lt_onnx_malformed(im, "%s must be one number, not %lld", what, (long long)count),
               NULL;
    return dims ? dims[0] : NULL;
}

Value *lt_onnx_fix_dims(Import *im, Value *x, int rank, const Dim *const *dims, const char *what) {
    bool same = x && x->type->rank == rank;
    if (x && !same)
        return lt_onnx_malformed(im, "%s has rank %d; expected %d", what, x->type->rank, rank),
               NULL;
    for (int i = 0; x && i < rank; i++) {
        const Dim *found = x->type->dims[i];
        if (found == dims[i])
            continue;
        same = false;
        if (lt_dim_is_const(found) && lt_dim_is_const(dims[i]))
            return lt_onnx_malformed(im, "axis %d of %s has extent %lld; expected %lld", i, what,
                                     (long long)found->value, (long long)dims[i]->value),
                   NULL;
        lt_graph_add_guard(im->b.graph, found, dims[i], im->node->loc);
    }
    return same || !x ? x : lt_build_reshape(&im->b, x, rank, dims);
}

Value *lt_onnx_fix_dim(Import *im, Value *x, int axis, const Dim *extent, const char *what) {
    if (!x)
        return NULL;
    const Dim **dims = lt_onnx_dim_array(im, x->type->rank);
    for (int i = 0; i < x->type->rank; i++)
        dims[i] = i == axis ? extent : x->type->dims[i];
    return lt_onnx_fix_dims(im, x, x->type->rank, dims, what);
}

Value *lt_onnx_fix_extent(Import *im, Value *x, int axis, int64_t extent, const char *what) {
    return lt_onnx_fix_dim(im, x, axis, lt_dim_const(im->dims, extent), what);
}

Value *lt_onnx_stretch(Import *im, Value *x, int axis, const Dim *extent) {
    const Dim *own = x ? x->type->dims[axis] : NULL;
    if (!x || own == extent || lt_dim_is_const(own))
        return x;
    const Dim *last = lt_dim_add_const(im->dims, own, -1);
    const Dim *either = lt_dim_mul(im->dims, last, lt_dim_sub(im->dims, own, extent));
    lt_graph_add_guard(im->b.graph, either, lt_dim_const(im->dims, 0), im->node->loc);
    Value *at = lt_build_map2(&im->b, FN_MIN, lt_build_iota(&im->b, DT_I64, 1, &extent, 0),
                              lt_onnx_dim_value(im, last, DT_I64));
    return at ? lt_build_gather(&im->b, x, at, axis) : NULL;
}

const Dim *lt_onnx_part_extent(Import *im, const Dim *extent, const Dim *parts) {
    const Dim *part = lt_dim_exact_div(im->dims, extent, parts);
    if (part)
        return part;
    part = lt_dim_floordiv(im->dims, extent, parts);
    const Dim *whole = lt_dim_mul(im->dims, part, parts);
    if (lt_dim_is_const(extent) && lt_dim_is_const(whole) && whole != extent)
        return NULL;
    lt_graph_add_guard(im->b.graph, whole, extent, im->node->loc);
    return part;
}

Value *lt_onnx_find_some(Import *im, Value *mask, const Dim *k) {
    const Attr size = lt_dims(ATTR_SIZE, &k, 1);
    NodeSpec spec = {
        .op = OP_FIND, .inputs = &mask, .input_count = 1, .attrs = &size, .attr_count = 1};
    return mask ? lt_build(&im->b, &spec) : NULL;
}

Value *lt_onnx_find(Import *im, Value *mask) {
    static const int64_t axis[] = {0};
    Value *ones = lt_build_convert(&im->b, mask, DT_I64);
    Value *total = lt_build_reduce(&im->b, FN_ADD, ones, axis, 1, false);
    const Dim *size = total ? lt_onnx_extent(im, total, "how many are true") : NULL;
    return size ? lt_onnx_find_some(im, mask, size) : NULL;
}

Value *lt_onnx_running_sum(Import *im, Value *v) {
    const Attr attrs[] = {lt_int(ATTR_FN, (int64_t)FN_ADD), lt_int(ATTR_AXIS, 0)};
    NodeSpec spec = {
        .op = OP_SCANREDUCE, .inputs = &v, .input_count = 1, .attrs = attrs, .attr_count = 2};
    return v ? lt_build(&im->b, &spec) : NULL;
}

Value *lt_onnx_scattered(Import *im, const Dim *size, Value *indices, Value *updates, bool add) {
    const Attr attrs[] = {lt_int(ATTR_AXIS, 0), lt_int(ATTR_FN, (int64_t)FN_ADD)};
    if (!indices || !updates)
        return NULL;
    Value *zeros =
        lt_onnx_full(im, updates->type->dtype, 1, &size, lt_onnx_scalar_like(im, updates, 0));
    Value *inputs[] = {zeros, indices, updates};
    NodeSpec spec = {.op = OP_SCATTER_ELEMENTS,
                     .inputs = inputs,
                     .input_count = 3,
                     .attrs = attrs,
                     .attr_count = add ? 2 : 1};
    return zeros ? lt_build(&im->b, &spec) : NULL;
}
