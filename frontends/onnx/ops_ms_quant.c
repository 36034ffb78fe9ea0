/* ops_ms_quant.c - quantized ops of com.microsoft: what they compute in floats, between steps of
 * their operands and of their result; and products of integers. */
#include <string.h>

#include "frontends/onnx/quant.h"

static Value *as_f32(Import *im, Value *v) {
    return v ? lt_build_convert(&im->b, v, DT_F32) : NULL;
}

/* One number as a scalar. */
static Value *number(Import *im, Value *v) { return v ? lt_onnx_laid_along(im, v, 0, 1) : NULL; }

/* (x - zero) * scale in f32; the three are operands from `first` on, the zero point may be
 * absent. */
static Value *dequantized(Import *im, uint32_t first) {
    Value *wide = lt_onnx_centered(im, im->inputs[first], number(im, onnx_in(im, first + 2)), 0);
    return lt_build_map2(&im->b, FN_MUL, as_f32(im, wide),
                         as_f32(im, number(im, im->inputs[first + 1])));
}

/* Output 0: y in the steps of operands `scale` and, behind it, the zero point, in the dtype of
 * operand `like`. */
static bool set_quantized(Import *im, Value *y, uint32_t scale, uint32_t zero, DType dtype) {
    Value *steps = as_f32(im, number(im, im->inputs[scale]));
    y = lt_build_map1(&im->b, FN_ROUND, lt_build_map2(&im->b, FN_DIV, y, steps));
    if (onnx_in(im, zero))
        y = lt_build_map2(&im->b, FN_ADD, y, as_f32(im, number(im, onnx_in(im, zero))));
    return onnx_set(im, 0, y ? lt_onnx_saturate(im, y, dtype) : NULL);
}

/* --- maps ---------------------------------------------------------------------------------- */

static bool binary(Import *im, ScalarFn fn) {
    if (!lt_onnx_need(im, 3) || !lt_onnx_need(im, 4) || !lt_onnx_need(im, 6))
        return false;
    Value *y = lt_build_map2(&im->b, fn, dequantized(im, 0), dequantized(im, 3));
    return set_quantized(im, y, 6, 7, im->inputs[0]->type->dtype);
}

bool lt_onnx_ms_q_linear_add(Import *im) { return binary(im, FN_ADD); }
bool lt_onnx_ms_q_linear_mul(Import *im) { return binary(im, FN_MUL); }

bool lt_onnx_ms_q_linear_sigmoid(Import *im) {
    if (!lt_onnx_need(im, 3))
        return false;
    Value *y = lt_build_map1(&im->b, FN_SIGMOID, dequantized(im, 0));
    return set_quantized(im, y, 3, 4, im->inputs[0]->type->dtype);
}

bool lt_onnx_ms_q_linear_leaky_relu(Import *im) {
    if (!lt_onnx_need(im, 3))
        return false;
    Value *x = dequantized(im, 0),
          *below = lt_onnx_map_scalar(im, FN_MUL, x, lt_onnx_float(im, "alpha", 0.01f));
    x = lt_build_map3(&im->b, FN_SELECT, lt_onnx_map_scalar(im, FN_LT, x, 0), below, x);
    return set_quantized(im, x, 3, 4, im->inputs[0]->type->dtype);
}

/* Inputs: condition, x with scale and zero point, y with both, those of the result. */
bool lt_onnx_ms_q_linear_where(Import *im) {
    Value *y =
        lt_build_map3(&im->b, FN_SELECT, im->inputs[0], dequantized(im, 1), dequantized(im, 4));
    return set_quantized(im, y, 7, 8, im->inputs[1]->type->dtype);
}

/* Inputs: the result's scale and zero point, then x, scale, zero point again and again. */
bool lt_onnx_ms_q_linear_concat(Import *im) {
    const uint32_t count = (im->input_count - 2) / 3;
    int64_t axis;
    if (im->input_count % 3 != 2 || !im->inputs[2])
        return lt_onnx_malformed(im, "it has %u inputs; expected 2 and 3 for each part",
                                 im->input_count);
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), im->inputs[2]->type->rank, &axis))
        return false;
    Value **parts = LT_ARRAY(im->arena, Value *, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!im->inputs[2 + 3 * i] || !im->inputs[3 + 3 * i])
            return lt_onnx_malformed(im, "part %u lacks its values or their scale", i);
        if (!(parts[i] = dequantized(im, 2 + 3 * i)))
            return false;
    }
    return set_quantized(im, lt_build_concat(&im->b, parts, count, (int)axis), 0, 1,
                         im->inputs[2]->type->dtype);
}

/* --- what has a converter for floats ------------------------------------------------------- */

/* Runs that converter on x (from operand 0), and quantizes with operands 3 and 4. */
static bool through_floats(Import *im, OnnxConverter convert) {
    if (!lt_onnx_need(im, 3))
        return false;
    Value *const *quantized = im->inputs;
    const DType dtype = im->inputs[0]->type->dtype;
    const bool is_last = lt_onnx_int(im, "channels_last", 0) != 0;
    Value *x = dequantized(im, 0);
    if (is_last && x && x->type->rank > 2)
        x = lt_onnx_to_channels_first(im, x);
    if (!x)
        return false;
    im->inputs = lt_arena_copy(im->arena, &x, sizeof x);
    const uint32_t count = im->input_count;
    im->input_count = 1;
    const bool ok = convert(im);
    im->inputs = lt_arena_copy(im->arena, quantized, count * sizeof *quantized);
    im->input_count = count;
    Value *y = ok ? im->outputs[0] : NULL;
    if (is_last && y && y->type->rank > 2)
        y = lt_onnx_to_channels_last(im, y);
    return y && set_quantized(im, y, 3, 4, dtype);
}

bool lt_onnx_ms_q_linear_global_average_pool(Import *im) {
    return through_floats(im, lt_onnx_global_average_pool);
}

bool lt_onnx_ms_q_linear_average_pool(Import *im) {
    return through_floats(im, lt_onnx_average_pool);
}

/* The attribute opset tells which of the two softmaxes it is. */
bool lt_onnx_ms_q_linear_softmax(Import *im) {
    const bool is_old = lt_onnx_int(im, "opset", 13) < 13;
    return through_floats(im, is_old ? lt_onnx_softmax_1 : lt_onnx_softmax);
}

/* As of ai.onnx, or with channels last in and out. */
bool lt_onnx_ms_q_linear_conv(Import *im) {
    const bool is_last = lt_onnx_int(im, "channels_last", 0) != 0;
    if (is_last && im->inputs[0]->type->rank < 3)
        return lt_onnx_malformed(im, "input 0 has rank %d; expected at least 3",
                                 im->inputs[0]->type->rank);
    if (is_last && !(im->inputs[0] = lt_onnx_to_channels_first(im, im->inputs[0])))
        return false;
    if (!lt_onnx_q_linear_conv(im))
        return false;
    return !is_last || onnx_set(im, 0, lt_onnx_to_channels_last(im, im->outputs[0]));
}

/* --- products of integers ------------------------------------------------------------------ */

/* a * b, each less its zero point, times both scales, plus the bias: in f32. */
typedef struct IntegerProduct {
    Value *a, *a_scale, *a_zero, *b, *b_scale, *b_zero, *bias;
} IntegerProduct;

static bool set_product(Import *im, const IntegerProduct *p) {
    const int rows = p->a->type->rank - 2, columns = p->b->type->rank - 1;
    Value *x = lt_onnx_centered(im, p->a, p->a_zero, rows),
          *y = lt_onnx_centered(im, p->b, p->b_zero, columns);
    Value *scale = lt_build_map2(&im->b, FN_MUL, as_f32(im, number(im, p->a_scale)),
                                 as_f32(im, lt_onnx_laid_along(im, p->b_scale, 0, 1)));
    y = as_f32(im, lt_onnx_product(im, lt_onnx_mat_mul, x, y, NULL));
    y = lt_build_map2(&im->b, FN_MUL, y, scale);
    return onnx_set(im, 0, p->bias ? lt_build_map2(&im->b, FN_ADD, y, p->bias) : y);
}

bool lt_onnx_ms_mat_mul_integer_to_float(Import *im) {
    Value *const *in = im->inputs;
    const IntegerProduct p = {.a = in[0],
                              .b = in[1],
                              .a_scale = in[2],
                              .b_scale = in[3],
                              .a_zero = onnx_in(im, 4),
                              .b_zero = onnx_in(im, 5),
                              .bias = onnx_in(im, 6)};
    return set_product(im, &p);
}

bool lt_onnx_ms_dynamic_quantize_mat_mul(Import *im) {
    const DynamicQuantization a = lt_onnx_quantize_dynamically(im, im->inputs[0]);
    const IntegerProduct p = {.a = a.values,
                              .a_scale = a.scale,
                              .a_zero = a.zero,
                              .b = im->inputs[1],
                              .b_scale = im->inputs[2],
                              .b_zero = onnx_in(im, 3),
                              .bias = onnx_in(im, 4)};
    return a.values && set_product(im, &p);
}

/* Inputs: a, scale, zero point, b, scale, zero point (those of b may be of its columns), C in i32,
 * and the result's, without which it is f32. */
bool lt_onnx_ms_q_gemm(Import *im) {
    Value *const *in = im->inputs;
    const bool is_transposed = lt_onnx_int(im, "transB", 0) != 0;
    const double alpha = lt_onnx_float(im, "alpha", 1);
    Value *output[] = {onnx_in(im, 7), onnx_in(im, 8)};
    if (in[0]->type->rank != 2 || in[3]->type->rank != 2)
        return lt_onnx_malformed(im, "the factors have ranks %d and %d; expected 2",
                                 in[0]->type->rank, in[3]->type->rank);
    Value *x = lt_onnx_centered(im, in[0], number(im, in[2]), 0),
          *y = lt_onnx_centered(im, in[3], in[5], is_transposed ? 0 : 1);
    Value *scale = lt_build_map2(&im->b, FN_MUL, as_f32(im, number(im, in[1])),
                                 as_f32(im, lt_onnx_laid_along(im, in[4], 0, 1)));
    if (alpha != 1)
        scale = lt_onnx_map_scalar(im, FN_MUL, scale, alpha);
    const char *spec =
        lt_arena_printf(im->arena, "%s,%s->mn", lt_onnx_int(im, "transA", 0) ? "km" : "mk",
                        is_transposed ? "nk" : "kn");
    Value *sum = lt_build_contract(&im->b, x, y, spec);
    if (onnx_in(im, 6))
        sum = lt_build_map2(&im->b, FN_ADD, sum, onnx_in(im, 6));
    if (!output[0] != !output[1])
        return lt_onnx_malformed(im, "y_scale and y_zero_point must be given together");
    if (output[0])
        return lt_onnx_set_requantized(im, sum, scale, output);
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_MUL, as_f32(im, sum), scale));
}

/* The sum of products of i16 in i32. */
bool lt_onnx_ms_mat_mul_integer_16(Import *im) {
    Value *x = lt_build_convert(&im->b, im->inputs[0], DT_I32),
          *y = lt_build_convert(&im->b, im->inputs[1], DT_I32);
    return lt_onnx_product(im, lt_onnx_mat_mul, x, y, NULL) != NULL;
}

/* --- layers -------------------------------------------------------------------------------- */

/* A weight [directions, n, m] in f32; scale and zero point are of a direction or of a column. */
static Value *dequantized_weight(Import *im, uint32_t weight, uint32_t scale) {
    const Dim *one = lt_dim_const(im->dims, 1);
    Value *parts[] = {im->inputs[weight], im->inputs[scale], im->inputs[scale + 1]};
    if (parts[0]->type->rank != 3) {
        lt_onnx_malformed(im, "input %u has rank %d; expected 3", weight, parts[0]->type->rank);
        return NULL;
    }
    for (int i = 1; i < 3; i++) {
        const Type *type = parts[i]->type;
        const Dim *dims[] = {type->rank ? type->dims[0] : one, one,
                             type->rank > 1 ? type->dims[1] : one};
        if (type->rank > 2) {
            lt_onnx_malformed(im, "input %u has rank %d; expected 2", scale, type->rank);
            return NULL;
        }
        if (!(parts[i] = lt_build_reshape(&im->b, parts[i], 3, dims)))
            return NULL;
    }
    Value *wide = lt_build_map2(&im->b, FN_SUB, lt_build_convert(&im->b, parts[0], DT_I32),
                                lt_build_convert(&im->b, parts[2], DT_I32));
    return lt_build_map2(&im->b, FN_MUL, as_f32(im, wide), as_f32(im, parts[1]));
}

/* As LSTM, with weights [directions, inputs, 4 * hidden] in integers. The inputs stay floats:
 * nearer to the model before it was quantized than steps of 8 bits. */
bool lt_onnx_ms_dynamic_quantize_lstm(Import *im) {
    static const int64_t swap[] = {0, 2, 1};
    for (uint32_t i = 8; i < 12; i++)
        if (!lt_onnx_need(im, i))
            return false;
    Value **in = lt_arena_copy(im->arena, im->inputs, 8 * sizeof *im->inputs);
    in[1] = lt_build_transpose(&im->b, dequantized_weight(im, 1, 8), swap);
    in[2] = lt_build_transpose(&im->b, dequantized_weight(im, 2, 10), swap);
    im->inputs = in;
    im->input_count = 8;
    return in[1] && in[2] && lt_onnx_lstm(im);
}

/* Channels last. */
bool lt_onnx_ms_nhwc_max_pool(Import *im) {
    if (im->inputs[0]->type->rank < 3)
        return lt_onnx_malformed(im, "input 0 has rank %d; expected at least 3",
                                 im->inputs[0]->type->rank);
    im->inputs[0] = lt_onnx_to_channels_first(im, im->inputs[0]);
    return im->inputs[0] && lt_onnx_max_pool(im) &&
           onnx_set(im, 0, lt_onnx_to_channels_last(im, im->outputs[0]));
}
