/* ops_quant.c - linear quantization as maps. */
#include <string.h>

#include "frontends/onnx/quant.h"

/* Each block's parameter for all of its elements; the last block may be cut. */
Value *lt_onnx_spread_blocks(Import *im, Value *v, const Type *x, int axis, int64_t block) {
    const Type *p = v->type;
    const Dim *split[LT_MAX_RANK + 1], *wide[LT_MAX_RANK + 1], *merged[LT_MAX_RANK];
    if (p->rank != x->rank || x->rank == LT_MAX_RANK) {
        lt_onnx_malformed(im, "parameters of blocks have rank %d; expected %d", p->rank, x->rank);
        return NULL;
    }
    for (int i = 0; i <= x->rank; i++) {
        int from = i > axis ? i - 1 : i;
        split[i] = wide[i] = p->dims[from];
        merged[from] = p->dims[from];
    }
    split[axis + 1] = lt_dim_const(im->dims, 1);
    wide[axis + 1] = lt_dim_const(im->dims, block);
    merged[axis] = lt_dim_mul_const(im->dims, p->dims[axis], block);
    v = lt_build_broadcast(&im->b, lt_build_reshape(&im->b, v, x->rank + 1, split), x->rank + 1,
                           wide);
    v = lt_build_reshape(&im->b, v, x->rank, merged);
    return lt_onnx_slice_axis(im, v, axis, lt_dim_const(im->dims, 0), x->dims[axis]);
}

/* A parameter for the whole tensor, one along the axis, or one for each block of the axis. */
static Value *parameter(Import *im, Value *v) {
    const Type *x = im->inputs[0]->type;
    int64_t axis, block = lt_onnx_int(im, "block_size", 0);
    if (v->type->rank == 0)
        return v;
    if (v->type->rank == 1 && lt_dim_is(v->type->dims[0], 1))
        return lt_build_reshape(&im->b, v, 0, NULL);
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 1), x->rank, &axis))
        return NULL;
    if (block < 0 || block > INT32_MAX) {
        lt_onnx_malformed(im, "block_size is %lld", (long long)block);
        return NULL;
    }
    return block ? lt_onnx_spread_blocks(im, v, x, (int)axis, block)
                 : lt_onnx_along(im, v, (int)axis, x->rank);
}

/* The dtype of the attribute `name`, which must be a float; else the scale's, f32 where that is an
 * exponent alone. */
static bool computed_dtype(Import *im, const char *name, DType *out) {
    const int64_t wanted = lt_onnx_int(im, name, 0);
    *out = im->inputs[1]->type->dtype;
    if (lt_dtype_is_minifloat(*out))
        *out = DT_F32;
    return !wanted || (lt_onnx_dtype(wanted, out) && lt_dtype_is_float(*out)) ||
           lt_onnx_malformed(im, "%s is %s, no float", name, lt_onnx_data_type_name(wanted));
}

bool lt_onnx_dequantize_linear(Import *im) {
    Value *x = im->inputs[0], *scale = im->inputs[1], *zero = onnx_in(im, 2);
    DType dtype;
    if (!computed_dtype(im, "output_dtype", &dtype))
        return false;
    scale = lt_build_convert(&im->b, scale, dtype);
    DType exact = lt_dtype_is_float(x->type->dtype) ? dtype : DT_I32;
    Value *wide = lt_build_convert(&im->b, x, exact);
    if (zero) {
        Value *offset = parameter(im, zero);
        wide = lt_build_map2(&im->b, FN_SUB, wide,
                             offset ? lt_build_convert(&im->b, offset, exact) : NULL);
    }
    return onnx_set(
        im, 0,
        lt_build_map2(&im->b, FN_MUL, lt_build_convert(&im->b, wide, dtype),
                      scale ? parameter(im, scale) : NULL));
}

static const struct {
    DType dtype;
    double lo, hi;
} ranges[] = {{DT_I8, -128, 127}, {DT_U8, 0, 255}, {DT_I16, -32768, 32767}, {DT_U16, 0, 65535},
              {DT_I4, -8, 7},     {DT_U4, 0, 15},  {DT_I2, -2, 1},          {DT_U2, 0, 3}};

/* Rounded and saturated; NULL after an error. */
Value *lt_onnx_saturate(Import *im, Value *x, DType dtype) {
    size_t row = 0;
    while (row < sizeof ranges / sizeof *ranges && ranges[row].dtype != dtype)
        row++;
    if (row == sizeof ranges / sizeof *ranges) {
        lt_onnx_unsupported(im, "quantization to %s is not supported", lt_dtype_name(dtype));
        return NULL;
    }
    x = lt_build_map3(&im->b, FN_CLAMP, x, lt_onnx_scalar_like(im, x, ranges[row].lo),
                      lt_onnx_scalar_like(im, x, ranges[row].hi));
    return lt_build_convert(&im->b, x, dtype);
}

/* round(x / scale) + zero point, saturated. */
bool lt_onnx_quantize_linear(Import *im) {
    Value *x = im->inputs[0], *zero = onnx_in(im, 2);
    DType dtype = zero ? zero->type->dtype : DT_U8, computed;
    int64_t wanted = lt_onnx_int(im, "output_dtype", 0);
    if (!computed_dtype(im, "precision", &computed))
        return false;
    if (!zero && wanted && !lt_onnx_dtype(wanted, &dtype))
        return lt_onnx_unsupported(im, "output_dtype %s is not supported",
                                   lt_onnx_data_type_name(wanted));
    Value *scale = parameter(im, im->inputs[1]);
    scale = lt_build_convert(&im->b, scale, computed);
    x = lt_build_convert(&im->b, x, computed);
    Value *y = lt_build_map2(&im->b, FN_DIV, x, scale);
    const bool to_float = lt_dtype_is_minifloat(dtype);
    if (!to_float)
        y = lt_build_map1(&im->b, FN_ROUND, y);
    if (zero) {
        Value *offset = parameter(im, zero);
        y = lt_build_map2(&im->b, FN_ADD, y,
                          offset ? lt_build_convert(&im->b, offset, computed) : NULL);
    }
    return onnx_set(im, 0,
                    to_float ? lt_onnx_cast_to(im, y, dtype) : lt_onnx_saturate(im, y, dtype));
}

/* --- products of quantized tensors --------------------------------------------------------- */

/* One number as a scalar; a vector along `axis` of a tensor of this rank; others as they are. */
Value *lt_onnx_laid_along(Import *im, Value *v, int axis, int rank) {
    if (v->type->rank == 1 && lt_dim_is(v->type->dims[0], 1))
        return lt_build_reshape(&im->b, v, 0, NULL);
    return v->type->rank == 1 && rank > 1 ? lt_onnx_along(im, v, axis, rank) : v;
}

/* x - zero in i32. */
Value *lt_onnx_centered(Import *im, Value *x, Value *zero, int axis) {
    Value *wide = lt_build_convert(&im->b, x, DT_I32);
    if (!zero)
        return wide;
    zero = lt_onnx_laid_along(im, zero, axis, x->type->rank);
    zero = zero ? lt_build_convert(&im->b, zero, DT_I32) : NULL;
    return lt_build_map2(&im->b, FN_SUB, wide, zero);
}

/* Runs the converter of the plain product on these operands. */
Value *lt_onnx_product(Import *im, OnnxConverter convert, Value *x, Value *y, Value *bias) {
    Value *operands[] = {x, y, bias};
    if (!x || !y)
        return NULL;
    im->inputs = lt_arena_copy(im->arena, operands, sizeof operands);
    im->input_count = bias ? 3 : 2;
    return convert(im) ? im->outputs[0] : NULL;
}

bool lt_onnx_mat_mul_integer(Import *im) {
    Value *a = im->inputs[0], *b = im->inputs[1];
    Value *x = lt_onnx_centered(im, a, onnx_in(im, 2), a->type->rank - 2),
          *y = lt_onnx_centered(im, b, onnx_in(im, 3), b->type->rank - 1);
    return lt_onnx_product(im, lt_onnx_mat_mul, x, y, NULL) != NULL;
}

bool lt_onnx_conv_integer(Import *im) {
    Value *x = lt_onnx_centered(im, im->inputs[0], onnx_in(im, 2), 1),
          *w = lt_onnx_centered(im, im->inputs[1], onnx_in(im, 3), 0);
    return lt_onnx_product(im, lt_onnx_conv, x, w, NULL) != NULL;
}

static Value *as_f32(Import *im, Value *v) {
    return v ? lt_build_convert(&im->b, v, DT_F32) : NULL;
}

/* An i32 result in steps of scale_x * scale_y, in those of the output. */
bool lt_onnx_set_requantized(Import *im, Value *y, Value *scale, Value *const *output) {
    Value *zero = output[1];
    scale =
        lt_build_map2(&im->b, FN_DIV, scale, as_f32(im, lt_onnx_laid_along(im, output[0], 0, 1)));
    y = lt_build_map1(&im->b, FN_ROUND, lt_build_map2(&im->b, FN_MUL, as_f32(im, y), scale));
    y = lt_build_map2(&im->b, FN_ADD, y, as_f32(im, lt_onnx_laid_along(im, zero, 0, 1)));
    return onnx_set(im, 0, y ? lt_onnx_saturate(im, y, zero->type->dtype) : NULL);
}

/* Inputs: a, its scale and zero point, b, its, the result's. */
bool lt_onnx_q_linear_mat_mul(Import *im) {
    Value *const *in = im->inputs;
    int rows = in[0]->type->rank - 2, columns = in[3]->type->rank - 1;
    Value *x = lt_onnx_centered(im, in[0], in[2], rows),
          *y = lt_onnx_centered(im, in[3], in[5], columns);
    Value *scale = lt_build_map2(
        &im->b, FN_MUL, as_f32(im, lt_onnx_laid_along(im, in[1], rows, in[0]->type->rank)),
        as_f32(im, lt_onnx_laid_along(im, in[4], columns, in[3]->type->rank)));
    return lt_onnx_set_requantized(im, lt_onnx_product(im, lt_onnx_mat_mul, x, y, NULL), scale,
                                   in + 6);
}

/* The weight's scale and zero point may be one for each output channel. */
bool lt_onnx_q_linear_conv(Import *im) {
    Value *const *in = im->inputs;
    Value *x = lt_onnx_centered(im, in[0], in[2], 1), *w = lt_onnx_centered(im, in[3], in[5], 0);
    Value *scale = lt_build_map2(&im->b, FN_MUL, as_f32(im, lt_onnx_laid_along(im, in[1], 0, 1)),
                                 as_f32(im, lt_onnx_laid_along(im, in[4], 1, in[0]->type->rank)));
    return lt_onnx_set_requantized(im, lt_onnx_product(im, lt_onnx_conv, x, w, onnx_in(im, 8)),
                                   scale, in + 6);
}

DynamicQuantization lt_onnx_quantize_dynamically(Import *im, Value *x) {
    int64_t axes[LT_MAX_RANK];
    for (int i = 0; i < x->type->rank; i++)
        axes[i] = i;
    Value *least = lt_build_reduce(&im->b, FN_MIN, x, axes, x->type->rank, false),
          *most = lt_build_reduce(&im->b, FN_MAX, x, axes, x->type->rank, false);
    least = lt_onnx_map_scalar(im, FN_MIN, least, 0);
    most = lt_onnx_map_scalar(im, FN_MAX, most, 0);
    Value *scale = lt_onnx_map_scalar(im, FN_DIV, lt_build_map2(&im->b, FN_SUB, most, least), 255);
    Value *zero = lt_build_map2(&im->b, FN_DIV, lt_build_map1(&im->b, FN_NEG, least), scale);
    zero = lt_build_map1(&im->b, FN_ROUND, zero);
    Value *y = lt_build_map1(&im->b, FN_ROUND, lt_build_map2(&im->b, FN_DIV, x, scale));
    y = lt_build_map2(&im->b, FN_ADD, y, zero);
    if (!y)
        return (DynamicQuantization){0};
    return (DynamicQuantization){lt_onnx_saturate(im, y, DT_U8), scale,
                                 lt_onnx_saturate(im, zero, DT_U8)};
}

bool lt_onnx_dynamic_quantize_linear(Import *im) {
    const DynamicQuantization q = lt_onnx_quantize_dynamically(im, im->inputs[0]);
    return q.values && onnx_set(im, 1, q.scale) && onnx_set(im, 2, q.zero) &&
           onnx_set(im, 0, q.values);
}
