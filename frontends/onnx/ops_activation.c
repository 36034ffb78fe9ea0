/* ops_activation.c - activations with parameters, as small compositions of scalar functions. */
#include <string.h>

#include "frontends/onnx/ops.h"

/* x < 0 ? negative : x */
static bool set_below_zero(Import *im, Value *x, Value *negative) {
    Value *is_below = lt_onnx_map_scalar(im, FN_LT, x, 0);
    return onnx_set(im, 0, lt_build_map3(&im->b, FN_SELECT, is_below, negative, x));
}

static Value *clamp(Import *im, Value *x, double low, double high) {
    return lt_build_map3(&im->b, FN_CLAMP, x, lt_onnx_scalar_like(im, x, low),
                         lt_onnx_scalar_like(im, x, high));
}

bool lt_onnx_leaky_relu(Import *im) {
    Value *x = im->inputs[0];
    return set_below_zero(im, x,
                          lt_onnx_map_scalar(im, FN_MUL, x, lt_onnx_float(im, "alpha", 0.01)));
}

/* Before opset 7 the slope was one number, or one for each channel. */
bool lt_onnx_prelu(Import *im) {
    Value *x = im->inputs[0], *slope = im->inputs[1];
    if (im->version < 7 && x->type->rank > 1)
        slope = lt_onnx_along(im, slope, 1, x->type->rank);
    return set_below_zero(im, x, lt_build_map2(&im->b, FN_MUL, x, slope));
}

bool lt_onnx_elu(Import *im) {
    Value *x = im->inputs[0], *grown = lt_build_map1(&im->b, FN_EXPM1, x);
    return set_below_zero(im, x,
                          lt_onnx_map_scalar(im, FN_MUL, grown, lt_onnx_float(im, "alpha", 1)));
}

/* The defaults are those of the specification, to the last digit of a float. */
bool lt_onnx_selu(Import *im) {
    double alpha = lt_onnx_float(im, "alpha", 1.67326319217681884765625);
    double gamma = lt_onnx_float(im, "gamma", 1.05070102214813232421875);
    Value *x = im->inputs[0], *grown = lt_build_map1(&im->b, FN_EXPM1, x);
    Value *below = lt_onnx_map_scalar(im, FN_MUL, grown, alpha * gamma);
    Value *above = lt_onnx_map_scalar(im, FN_MUL, x, gamma);
    Value *is_below = lt_onnx_map_scalar(im, FN_LE, x, 0);
    return onnx_set(im, 0, lt_build_map3(&im->b, FN_SELECT, is_below, below, above));
}

bool lt_onnx_celu(Import *im) {
    double alpha = lt_onnx_float(im, "alpha", 1);
    Value *x = im->inputs[0];
    Value *grown = lt_build_map1(&im->b, FN_EXPM1, lt_onnx_map_scalar(im, FN_DIV, x, alpha));
    Value *below = lt_onnx_map_scalar(im, FN_MIN, lt_onnx_map_scalar(im, FN_MUL, grown, alpha), 0);
    return onnx_set(im, 0,
                    lt_build_map2(&im->b, FN_ADD, lt_onnx_map_scalar(im, FN_MAX, x, 0), below));
}

bool lt_onnx_hard_sigmoid(Import *im) {
    Value *x = lt_onnx_map_scalar(im, FN_MUL, im->inputs[0], lt_onnx_float(im, "alpha", 0.2f));
    x = lt_onnx_map_scalar(im, FN_ADD, x, lt_onnx_float(im, "beta", 0.5));
    return onnx_set(im, 0, clamp(im, x, 0, 1));
}

bool lt_onnx_hard_swish(Import *im) {
    Value *gate = lt_onnx_map_scalar(im, FN_MUL, im->inputs[0], 1.0 / 6.0);
    gate = clamp(im, lt_onnx_map_scalar(im, FN_ADD, gate, 0.5), 0, 1);
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_MUL, im->inputs[0], gate));
}

bool lt_onnx_thresholded_relu(Import *im) {
    Value *x = im->inputs[0];
    Value *is_above = lt_onnx_map_scalar(im, FN_GT, x, lt_onnx_float(im, "alpha", 1));
    return onnx_set(im, 0,
                    lt_build_map3(&im->b, FN_SELECT, is_above, x, lt_onnx_scalar_like(im, x, 0)));
}

bool lt_onnx_shrink(Import *im) {
    double limit = lt_onnx_float(im, "lambd", 0.5), bias = lt_onnx_float(im, "bias", 0);
    Value *x = im->inputs[0], *zero = lt_onnx_scalar_like(im, x, 0);
    Value *is_above = lt_onnx_map_scalar(im, FN_GT, x, limit),
          *is_below = lt_onnx_map_scalar(im, FN_LT, x, -limit);
    Value *above =
        lt_build_map3(&im->b, FN_SELECT, is_above, lt_onnx_map_scalar(im, FN_SUB, x, bias), zero);
    Value *below = lt_onnx_map_scalar(im, FN_ADD, x, bias);
    return onnx_set(im, 0, lt_build_map3(&im->b, FN_SELECT, is_below, below, above));
}

bool lt_onnx_mish(Import *im) {
    Value *x = im->inputs[0];
    Value *gate = lt_build_map1(&im->b, FN_TANH, lt_build_map1(&im->b, FN_SOFTPLUS, x));
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_MUL, x, gate));
}

bool lt_onnx_softsign(Import *im) {
    Value *x = im->inputs[0];
    Value *divisor = lt_onnx_map_scalar(im, FN_ADD, lt_build_map1(&im->b, FN_ABS, x), 1);
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_DIV, x, divisor));
}

static Value *swish(Import *im, Value *x) {
    Value *gate = lt_onnx_map_scalar(im, FN_MUL, x, lt_onnx_float(im, "alpha", 1));
    return lt_build_map2(&im->b, FN_MUL, x, lt_build_map1(&im->b, FN_SIGMOID, gate));
}

bool lt_onnx_swish(Import *im) { return onnx_set(im, 0, swish(im, im->inputs[0])); }

bool lt_onnx_swiglu(Import *im) {
    return onnx_set(im, 0,
                    lt_build_map2(&im->b, FN_MUL, swish(im, im->inputs[0]), im->inputs[1]));
}

bool lt_onnx_gelu(Import *im) {
    const char *mode = lt_onnx_string(im, "approximate", "none");
    bool is_tanh = strcmp(mode, "tanh") == 0;
    if (!is_tanh && strcmp(mode, "none") != 0)
        return lt_onnx_malformed(im, "approximate is '%s'; expected none or tanh", mode);
    return onnx_set(im, 0, lt_build_map1(&im->b, is_tanh ? FN_GELU_TANH : FN_GELU, im->inputs[0]));
}
