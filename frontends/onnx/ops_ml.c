/* ops_ml.c - ops of the domain ai.onnx.ml. */
#include "frontends/onnx/ops.h"

/* 1 above the threshold, else 0. */
bool lt_onnx_binarizer(Import *im) {
    Value *x = im->inputs[0];
    Value *is_above = lt_onnx_map_scalar(im, FN_GT, x, lt_onnx_float(im, "threshold", 0));
    return onnx_set(im, 0, lt_build_convert(&im->b, is_above, x->type->dtype));
}

/* Some elements of the last axis; a vector becomes a row. */
bool lt_onnx_array_feature_extractor(Import *im) {
    static const int64_t first[] = {0};
    Value *x = im->inputs[0], *index = im->inputs[1];
    const Dim *count = lt_type_elements(im->module, index->type);
    if (x->type->rank < 1)
        return lt_onnx_malformed(im, "the input is a scalar");
    index = lt_build_reshape(&im->b, index, 1, &count);
    Value *y = index ? lt_build_gather(&im->b, x, index, x->type->rank - 1) : NULL;
    return onnx_set(im, 0, x->type->rank == 1 ? lt_build_unsqueeze(&im->b, y, first, 1) : y);
}
