/* ops_quant.c - linear quantization as maps. */
#include <string.h>

#include "frontends/onnx/ops.h"

/* A parameter for the whole tensor, or one along the axis. */
static Value *parameter(Import *im, Value *v) {
    const Type *x = im->inputs[0]->type;
    int64_t axis;
    if (v->type->rank == 0)
        return v;
    if (v->type->rank == 1 && lt_dim_is(v->type->dims[0], 1))
        return lt_build_reshape(&im->b, v, 0, NULL);
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 1), x->rank, &axis))
        return NULL;
    return lt_onnx_along(im, v, (int)axis, x->rank);
}

static bool check_blocks(Import *im) {
    return !lt_onnx_int(im, "block_size", 0) ||
           lt_onnx_unsupported(im, "block_size is not supported");
}

bool lt_onnx_dequantize_linear(Import *im) {
    Value *x = im->inputs[0], *scale = im->inputs[1], *zero = onnx_in(im, 2);
    DType dtype = scale->type->dtype;
    if (!check_blocks(im))
        return false;
    Value *wide = lt_build_convert(&im->b, x, DT_I32);
    if (zero) {
        Value *offset = parameter(im, zero);
        wide = lt_build_map2(&im->b, FN_SUB, wide,
                             offset ? lt_build_convert(&im->b, offset, DT_I32) : NULL);
    }
    return onnx_set(
        im, 0,
        lt_build_map2(&im->b, FN_MUL, lt_build_convert(&im->b, wide, dtype), parameter(im, scale)));
}

static const struct {
    DType dtype;
    double lo, hi;
} ranges[] = {{DT_I8, -128, 127}, {DT_U8, 0, 255}, {DT_I16, -32768, 32767}, {DT_U16, 0, 65535}};

/* round(x / scale) + zero point, saturated. */
bool lt_onnx_quantize_linear(Import *im) {
    Value *x = im->inputs[0], *zero = onnx_in(im, 2);
    DType dtype = zero ? zero->type->dtype : DT_U8;
    int64_t wanted = lt_onnx_int(im, "output_dtype", 0);
    if (!check_blocks(im))
        return false;
    if (lt_onnx_int(im, "precision", 0))
        return lt_onnx_unsupported(im, "precision is not supported");
    if (!zero && wanted && !lt_onnx_dtype(wanted, &dtype))
        return lt_onnx_unsupported(im, "output_dtype %s is not supported",
                                   lt_onnx_data_type_name(wanted));
    size_t row = 0;
    while (row < sizeof ranges / sizeof *ranges && ranges[row].dtype != dtype)
        row++;
    if (row == sizeof ranges / sizeof *ranges)
        return lt_onnx_unsupported(im, "quantization to %s is not supported", lt_dtype_name(dtype));
    Value *scale = parameter(im, im->inputs[1]);
    if (scale && scale->type->dtype != x->type->dtype)
        scale = lt_build_convert(&im->b, scale, x->type->dtype);
    Value *y = lt_build_map1(&im->b, FN_ROUND, lt_build_map2(&im->b, FN_DIV, x, scale));
    if (zero) {
        Value *offset = parameter(im, zero);
        y = lt_build_map2(&im->b, FN_ADD, y,
                          offset ? lt_build_convert(&im->b, offset, x->type->dtype) : NULL);
    }
    y = lt_build_map3(&im->b, FN_CLAMP, y, lt_onnx_scalar_like(im, x, ranges[row].lo),
                      lt_onnx_scalar_like(im, x, ranges[row].hi));
    return onnx_set(im, 0, lt_build_convert(&im->b, y, dtype));
}
