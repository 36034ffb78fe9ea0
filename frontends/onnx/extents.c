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
