/* ops_ms_fused.c - ops of com.microsoft that join a product or a sum with what follows it. */
#include <string.h>

#include "frontends/onnx/ops.h"

/* --- activations --------------------------------------------------------------------------- */

static Value *plus(Import *im, Value *x, Value *bias) {
    return bias ? lt_build_map2(&im->b, FN_ADD, x, bias) : x;
}

bool lt_onnx_ms_gelu(Import *im) {
    return onnx_set(im, 0, lt_build_map1(&im->b, FN_GELU, im->inputs[0]));
}

bool lt_onnx_ms_bias_gelu(Import *im) {
    Value *x = plus(im, im->inputs[0], im->inputs[1]);
    return onnx_set(im, 0, lt_build_map1(&im->b, FN_GELU, x));
}

bool lt_onnx_ms_fast_gelu(Import *im) {
    Value *x = plus(im, im->inputs[0], onnx_in(im, 1));
    return onnx_set(im, 0, lt_build_map1(&im->b, FN_GELU_TANH, x));
}

/* x * sigmoid(alpha * x) */
bool lt_onnx_ms_quick_gelu(Import *im) {
    Value *gate = lt_onnx_map_scalar(im, FN_MUL, im->inputs[0], lt_onnx_float(im, "alpha", 1.702f));
    gate = lt_build_map1(&im->b, FN_SIGMOID, gate);
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_MUL, im->inputs[0], gate));
}

/* The activations that fused ops name, and what their two numbers are where none are given. */
static const struct {
    const char *name;
    ScalarFn fn;
    double alpha, beta;
} activations[] = {{"Relu", FN_RELU, 0, 0},
                   {"Sigmoid", FN_SIGMOID, 0, 0},
                   {"Tanh", FN_TANH, 0, 0},
                   {"Softplus", FN_SOFTPLUS, 0, 0},
                   {"LeakyRelu", FN_MAX, 0.01, 0},
                   {"Clip", FN_CLAMP, 0, 0},
                   {"HardSigmoid", FN_CLAMP, 0.2, 0.5}};

enum { ACTIVATIONS = sizeof activations / sizeof *activations };

static Value *clamp(Import *im, Value *x, double low, double high) {
    return lt_build_map3(&im->b, FN_CLAMP, x, lt_onnx_scalar_like(im, x, low),
                         lt_onnx_scalar_like(im, x, high));
}

/* x after the activation that the node names; numbers: what it has of alpha and beta. */
static Value *activate(Import *im, Value *x, const double *numbers, int count) {
    const char *name = lt_onnx_string(im, "activation", "");
    int row = 0;
    if (!*name || !x)
        return x;
    while (row < ACTIVATIONS && strcmp(activations[row].name, name) != 0)
        row++;
    if (row == ACTIVATIONS) {
        lt_onnx_unsupported(im, "the activation '%s' is not supported", name);
        return NULL;
    }
    const double alpha = count > 0 ? numbers[0] : activations[row].alpha,
                 beta = count > 1 ? numbers[1] : activations[row].beta;
    if (activations[row].fn == FN_MAX) {
        Value *is_below = lt_onnx_map_scalar(im, FN_LT, x, 0);
        return lt_build_map3(&im->b, FN_SELECT, is_below, lt_onnx_map_scalar(im, FN_MUL, x, alpha),
                             x);
    }
    if (activations[row].fn != FN_CLAMP)
        return lt_build_map1(&im->b, activations[row].fn, x);
    if (strcmp(name, "Clip") == 0)
        return clamp(im, x, alpha, beta);
    x = lt_onnx_map_scalar(im, FN_ADD, lt_onnx_map_scalar(im, FN_MUL, x, alpha), beta);
    return clamp(im, x, 0, 1);
}

/* --- products ------------------------------------------------------------------------------ */

/* A factor as MatMul has it: its rows may lie in front of the batch axes, and be columns. */
static Value *factor(Import *im, Value *x, bool is_transposed, bool is_batch_transposed) {
    const int rank = x->type->rank;
    int64_t perm[LT_MAX_RANK];
    if (rank < 2)
        return x;
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    if (is_batch_transposed && rank > 2) {
        for (int i = 0; i < rank - 2; i++)
            perm[i] = i + 1;
        perm[rank - 2] = 0;
    }
    if (is_transposed) {
        const int64_t last = perm[rank - 1];
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = last;
    }
    return lt_build_transpose(&im->b, x, perm);
}

bool lt_onnx_ms_fused_mat_mul(Import *im) {
    const double alpha = lt_onnx_float(im, "alpha", 1);
    Value *factors[] = {factor(im, im->inputs[0], lt_onnx_int(im, "transA", 0) != 0,
                               lt_onnx_int(im, "transBatchA", 0) != 0),
                        factor(im, im->inputs[1], lt_onnx_int(im, "transB", 0) != 0,
                               lt_onnx_int(im, "transBatchB", 0) != 0)};
    if (!factors[0] || !factors[1])
        return false;
    im->inputs = lt_arena_copy(im->arena, factors, sizeof factors);
    if (!lt_onnx_mat_mul(im))
        return false;
    return alpha == 1 || onnx_set(im, 0, lt_onnx_map_scalar(im, FN_MUL, im->outputs[0], alpha));
}

bool lt_onnx_ms_fused_gemm(Import *im) {
    const double numbers[] = {lt_onnx_float(im, "activation_alpha", 0),
                              lt_onnx_float(im, "activation_beta", 0)};
    const int count = lt_onnx_has(im, "activation_beta")    ? 2
                      : lt_onnx_has(im, "activation_alpha") ? 1
                                                            : 0;
    return lt_onnx_gemm(im) && onnx_set(im, 0, activate(im, im->outputs[0], numbers, count));
}

/* Z, which has the shape of the result, is added before the activation. */
bool lt_onnx_ms_fused_conv(Import *im) {
    const OnnxAttribute *given = lt_onnx_attribute(im, "activation_params", ONNX_ATTR_FLOATS);
    Value *sum = onnx_in(im, 3);
    double numbers[2] = {0};
    int count = 0;
    for (; given && count < 2 && (size_t)count < given->floats.len; count++) {
        float number;
        memcpy(&number, &given->floats.data[count], sizeof number);
        numbers[count] = (double)number;
    }
    if (im->input_count > 3)
        im->input_count = 3;
    return lt_onnx_conv(im) &&
           onnx_set(im, 0, activate(im, plus(im, im->outputs[0], sum), numbers, count));
}

/* --- others -------------------------------------------------------------------------------- */

/* Distances between the rows of [m, d] and of [n, d]. */
bool lt_onnx_ms_cdist(Import *im) {
    static const int64_t front = 0, middle = 1, last = 2;
    const char *metric = lt_onnx_string(im, "metric", "sqeuclidean");
    const bool is_root = strcmp(metric, "euclidean") == 0;
    if (!is_root && strcmp(metric, "sqeuclidean") != 0)
        return lt_onnx_malformed(im, "metric is '%s'; expected euclidean or sqeuclidean", metric);
    if (im->inputs[0]->type->rank != 2 || im->inputs[1]->type->rank != 2)
        return lt_onnx_malformed(im, "the inputs have ranks %d and %d; expected 2",
                                 im->inputs[0]->type->rank, im->inputs[1]->type->rank);
    Value *difference =
        lt_build_map2(&im->b, FN_SUB, lt_build_unsqueeze(&im->b, im->inputs[0], &middle, 1),
                      lt_build_unsqueeze(&im->b, im->inputs[1], &front, 1));
    Value *sum = lt_build_reduce(
        &im->b, FN_ADD, lt_build_map2(&im->b, FN_MUL, difference, difference), &last, 1, false);
    return onnx_set(im, 0, is_root ? lt_build_map1(&im->b, FN_SQRT, sum) : sum);
}

/* A new axis of extent 1; the axis may count from behind. */
bool lt_onnx_ms_expand_dims(Import *im) {
    int64_t axis;
    if (im->inputs[0]->type->rank == LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %d is the most that is supported", LT_MAX_RANK);
    if (!lt_onnx_number(im, im->inputs[1], "the axis", &axis) ||
        !lt_onnx_axis(im, axis, im->inputs[0]->type->rank + 1, &axis))
        return false;
    return onnx_set(im, 0, lt_build_unsqueeze(&im->b, im->inputs[0], &axis, 1));
}

/* As Range; the step may be left out. */
bool lt_onnx_ms_range(Import *im) {
    Value *in[] = {im->inputs[0], im->inputs[1], onnx_in(im, 2)};
    if (!in[2])
        in[2] = lt_onnx_scalar_like(im, in[0], 1);
    if (!in[2])
        return false;
    im->inputs = lt_arena_copy(im->arena, in, sizeof in);
    im->input_count = 3;
    return lt_onnx_range(im);
}
