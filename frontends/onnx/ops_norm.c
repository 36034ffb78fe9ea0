/* ops_norm.c - normalizations. Those with trained statistics become x * a + b with a and b computed
 * from constants. */
#include <string.h>

#include "frontends/onnx/extents.h"
#include "frontends/onnx/norm.h"

static Value *rsqrt_plus(Import *im, Value *variance, double epsilon) {
    Value *root = lt_build_map1(&im->b, FN_SQRT, lt_onnx_map_scalar(im, FN_ADD, variance, epsilon));
    return lt_build_map1(&im->b, FN_RECIP, root);
}

/* x * scale + bias with vectors laid along an axis, in x's dtype. */
static Value *scale_along(Import *im, Value *x, Value *scale, Value *bias, int axis) {
    if (!x || !scale || !bias)
        return NULL;
    DType dtype = x->type->dtype;
    int rank = x->type->rank;
    if (scale->type->dtype != dtype)
        scale = lt_build_convert(&im->b, scale, dtype);
    if (bias->type->dtype != dtype)
        bias = lt_build_convert(&im->b, bias, dtype);
    Value *scaled = lt_build_map2(&im->b, FN_MUL, x, lt_onnx_along(im, scale, axis, rank));
    return lt_build_map2(&im->b, FN_ADD, scaled, lt_onnx_along(im, bias, axis, rank));
}

static bool need_rank(Import *im, int least) {
    int rank = im->inputs[0]->type->rank;
    return rank >= least ||
           lt_onnx_malformed(im, "the input has rank %d; expected at least %d", rank, least);
}

/* a = scale / sqrt(var + epsilon), b = bias - mean * a: both fold to constants. */
static Value *normalize_with(Import *im, Value *mean, Value *variance) {
    Value *x = im->inputs[0], *scale = im->inputs[1], *bias = im->inputs[2];
    if (!mean || !variance)
        return NULL;
    DType dtype = mean->type->dtype;
    if (scale->type->dtype != dtype)
        scale = lt_build_convert(&im->b, scale, dtype);
    if (bias->type->dtype != dtype)
        bias = lt_build_convert(&im->b, bias, dtype);
    double epsilon = lt_onnx_float(im, "epsilon", 1e-5f);
    Value *a = lt_build_map2(&im->b, FN_MUL, scale, rsqrt_plus(im, variance, epsilon));
    Value *b = lt_build_map2(&im->b, FN_SUB, bias, lt_build_map2(&im->b, FN_MUL, mean, a));
    return scale_along(im, x, a, b, 1);
}

/* momentum * past + (1 - momentum) * present */
static Value *running(Import *im, Value *past, Value *present) {
    double momentum = lt_onnx_float(im, "momentum", 0.9f);
    present = present ? lt_build_convert(&im->b, present, past->type->dtype) : NULL;
    return lt_build_map2(&im->b, FN_ADD, lt_onnx_map_scalar(im, FN_MUL, past, momentum),
                         lt_onnx_map_scalar(im, FN_MUL, present, 1 - momentum));
}

/* With the statistics of the batch itself; outputs 1 and 2 are the running ones. */
static bool train(Import *im) {
    Value *x = im->inputs[0];
    int64_t axes[LT_MAX_RANK], count = 0;
    for (int i = 0; i < x->type->rank; i++)
        if (i != 1)
            axes[count++] = i;
    Value *mean = lt_onnx_mean(im, x, axes, (int)count, true);
    Value *centered = lt_build_map2(&im->b, FN_SUB, x, mean);
    Value *variance = lt_onnx_mean(im, lt_build_map2(&im->b, FN_MUL, centered, centered), axes,
                                   (int)count, false);
    mean = lt_build_squeeze(&im->b, mean, axes, (int)count);
    if (onnx_wants(im, 1))
        onnx_set(im, 1, running(im, im->inputs[3], mean));
    if (onnx_wants(im, 2))
        onnx_set(im, 2, running(im, im->inputs[4], variance));
    return onnx_set(im, 0, normalize_with(im, mean, variance));
}

bool lt_onnx_batch_normalization(Import *im) {
    bool is_training = lt_onnx_int(im, "training_mode", 0) != 0;
    if (lt_onnx_int(im, "spatial", 1) != 1)
        return lt_onnx_unsupported(im, "spatial = 0 is not supported");
    if (!need_rank(im, 2))
        return false;
    if (is_training)
        return train(im);
    return onnx_set(im, 0, normalize_with(im, im->inputs[3], im->inputs[4]));
}

/* Before opset 7 is_test told inference from training. */
bool lt_onnx_batch_normalization_1(Import *im) {
    if (!lt_onnx_int(im, "is_test", 0))
        return lt_onnx_unsupported(im, "is_test must be 1");
    return lt_onnx_batch_normalization(im);
}

typedef struct Normalized {
    Value *mean, *inverse; /* 1 / sqrt(variance + epsilon) */
    Value *result;
} Normalized;

/* (x - mean) / sqrt(variance + epsilon) over these axes. */
static Normalized normalize(Import *im, Value *x, const int64_t *axes, int count, double epsilon) {
    Normalized n;
    n.mean = lt_onnx_mean(im, x, axes, count, true);
    Value *centered = lt_build_map2(&im->b, FN_SUB, x, n.mean);
    Value *variance =
        lt_onnx_mean(im, lt_build_map2(&im->b, FN_MUL, centered, centered), axes, count, true);
    n.inverse = rsqrt_plus(im, variance, epsilon);
    n.result = lt_build_map2(&im->b, FN_MUL, centered, n.inverse);
    return n;
}

static void axes_from(int64_t *axes, int first, int rank) {
    for (int i = first; i < rank; i++)
        axes[i - first] = i;
}

bool lt_onnx_instance_normalization(Import *im) {
    Value *x = im->inputs[0];
    int64_t axes[LT_MAX_RANK];
    if (!need_rank(im, 3))
        return false;
    axes_from(axes, 2, x->type->rank);
    Normalized n = normalize(im, x, axes, x->type->rank - 2, lt_onnx_float(im, "epsilon", 1e-5f));
    return onnx_set(im, 0, scale_along(im, n.result, im->inputs[1], im->inputs[2], 1));
}

/* The op's scale and bias have exactly the normalized axes. */
static Value *whole_parameter(Import *im, Value *parameter, const Type *type, int axis) {
    int rank = type->rank - axis;
    if (parameter->type->rank == rank) {
        bool same = true;
        for (int i = 0; i < rank; i++)
            same &= parameter->type->dims[i] == type->dims[axis + i];
        if (same)
            return parameter;
    }
    return lt_build_broadcast(&im->b, parameter, rank, type->dims + axis);
}

Value *lt_onnx_layer_norm(Import *im, Value *x, const NormSpec *norm) {
    if (!x)
        return NULL;
    Value *inputs[] = {x, whole_parameter(im, norm->scale, x->type, norm->axis),
                       norm->bias ? whole_parameter(im, norm->bias, x->type, norm->axis) : NULL};
    Attr attrs[] = {lt_int(ATTR_AXIS, norm->axis), lt_float(ATTR_EPSILON, norm->epsilon)};
    NodeSpec spec = {.op = OP_LAYER_NORM,
                     .inputs = inputs,
                     .input_count = norm->bias ? 3 : 2,
                     .attrs = attrs,
                     .attr_count = 2};
    return inputs[1] && (inputs[2] || !norm->bias) ? lt_build(&im->b, &spec) : NULL;
}

/* What both kinds of normalization say in their attributes. */
static bool read_norm(Import *im, NormSpec *norm) {
    int64_t axis;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", -1), im->inputs[0]->type->rank, &axis))
        return false;
    if (lt_onnx_int(im, "stash_type", 1) != 1)
        return lt_onnx_unsupported(im, "only stash_type 1 (float) is supported");
    *norm = (NormSpec){.scale = im->inputs[1],
                       .bias = onnx_in(im, 2),
                       .axis = (int)axis,
                       .epsilon = lt_onnx_float(im, "epsilon", 1e-5f)};
    return true;
}

bool lt_onnx_layer_normalization(Import *im) {
    Value *x = im->inputs[0];
    int64_t axes[LT_MAX_RANK];
    NormSpec norm;
    if (!read_norm(im, &norm) || !onnx_set(im, 0, lt_onnx_layer_norm(im, x, &norm)))
        return false;
    if (!onnx_wants(im, 1) && !onnx_wants(im, 2))
        return true;
    axes_from(axes, norm.axis, x->type->rank);
    Normalized n = normalize(im, x, axes, x->type->rank - norm.axis, norm.epsilon);
    return onnx_set(im, 1, n.mean) && onnx_set(im, 2, n.inverse);
}

Value *lt_onnx_rms_norm(Import *im, Value *x, const NormSpec *norm, Value **inverse) {
    int64_t axes[LT_MAX_RANK];
    if (!x)
        return NULL;
    axes_from(axes, norm->axis, x->type->rank);
    Value *mean = lt_onnx_mean(im, lt_build_map2(&im->b, FN_MUL, x, x), axes,
                               x->type->rank - norm->axis, true);
    Value *root = rsqrt_plus(im, mean, norm->epsilon);
    if (inverse)
        *inverse = root;
    Value *y = lt_build_map2(&im->b, FN_MUL, lt_build_map2(&im->b, FN_MUL, x, root), norm->scale);
    return norm->bias ? lt_build_map2(&im->b, FN_ADD, y, norm->bias) : y;
}

/* x / sqrt(mean(x * x) + epsilon) * scale */
bool lt_onnx_rms_normalization(Import *im) {
    NormSpec norm;
    return read_norm(im, &norm) &&
           onnx_set(im, 0, lt_onnx_rms_norm(im, im->inputs[0], &norm, NULL));
}

/* The same as onnxruntime's tools write it, with 1 / sqrt(...) as a second output. */
bool lt_onnx_simplified_layer_normalization(Import *im) {
    NormSpec norm;
    Value *inverse;
    return read_norm(im, &norm) &&
           onnx_set(im, 0, lt_onnx_rms_norm(im, im->inputs[0], &norm, &inverse)) &&
           onnx_set(im, 1, inverse);
}

/* [n, c, x...] as [n, groups, everything else of the group]; scale and bias per group before opset
 * 21, then per channel. */
bool lt_onnx_group_normalization(Import *im) {
    static const int64_t axes[] = {2};
    Value *x = im->inputs[0];
    const Type *type = x->type;
    int64_t groups = lt_onnx_int(im, "num_groups", 0);
    if (!need_rank(im, 3))
        return false;
    const Dim *part =
        groups < 1 ? NULL : lt_onnx_part_extent(im, type->dims[1], lt_dim_const(im->dims, groups));
    if (!part)
        return lt_onnx_malformed(im, "%s channels have no %lld equal groups",
                                 lt_onnx_dim_text(im, type->dims[1]), (long long)groups);
    if (lt_onnx_int(im, "stash_type", 1) != 1)
        return lt_onnx_unsupported(im, "only stash_type 1 (float) is supported");
    const Dim *rest =
        lt_dim_mul(im->dims, part, lt_dim_product(im->dims, type->dims + 2, type->rank - 2));
    const Dim *grouped[] = {type->dims[0], lt_dim_const(im->dims, groups), rest};
    Normalized n = normalize(im, lt_build_reshape(&im->b, x, 3, grouped), axes, 1,
                             lt_onnx_float(im, "epsilon", 1e-5f));
    Value *y = n.result;
    if (im->version < 21)
        y = scale_along(im, y, im->inputs[1], im->inputs[2], 1);
    y = lt_build_reshape(&im->b, y, type->rank, type->dims);
    return onnx_set(im, 0,
                    im->version < 21 ? y : scale_along(im, y, im->inputs[1], im->inputs[2], 1));
}

bool lt_onnx_mean_variance_normalization(Import *im) {
    Value *x = im->inputs[0];
    int64_t count;
    static const int64_t usual[] = {0, 2, 3};
    const int64_t *axes = lt_onnx_axes(im, 1, x->type->rank, &count);
    if (count == -2)
        return false;
    if (!axes && !need_rank(im, 4))
        return false;
    Normalized n = normalize(im, x, axes ? axes : usual, axes ? (int)count : 3, 1e-9);
    return onnx_set(im, 0, n.result);
}

/* Where the norm is 0, so is the result. */
bool lt_onnx_lp_normalization(Import *im) {
    Value *x = im->inputs[0];
    int64_t axis, p = lt_onnx_int(im, "p", 2);
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", -1), x->type->rank, &axis))
        return false;
    if (p != 1 && p != 2)
        return lt_onnx_malformed(im, "p is %lld; expected 1 or 2", (long long)p);
    Value *part = p == 1 ? lt_build_map1(&im->b, FN_ABS, x) : lt_build_map2(&im->b, FN_MUL, x, x);
    Value *norm = lt_build_reduce(&im->b, FN_ADD, part, &axis, 1, true);
    if (p == 2)
        norm = lt_build_map1(&im->b, FN_SQRT, norm);
    Value *is_zero = lt_onnx_map_scalar(im, FN_EQ, norm, 0),
          *ratio = lt_build_map2(&im->b, FN_DIV, x, norm);
    return onnx_set(
        im, 0, lt_build_map3(&im->b, FN_SELECT, is_zero, lt_onnx_scalar_like(im, x, 0), ratio));
}

/* x / (bias + alpha / size * sum of squares of the `size` channels around) ^ beta */
bool lt_onnx_lrn(Import *im) {
    Value *x = im->inputs[0];
    int64_t size = lt_onnx_int(im, "size", 0), axis = 1, one = 1;
    if (size < 1 || size > 1 << 20)
        return lt_onnx_malformed(im, "size is %lld", (long long)size);
    if (!need_rank(im, 2))
        return false;
    const Dim *low = lt_dim_const(im->dims, (size - 1) / 2),
              *high = lt_dim_const(im->dims, size - 1 - (size - 1) / 2);
    Attr attrs[] = {lt_int(ATTR_FN, FN_ADD),          lt_ints(ATTR_AXES, &axis, 1),
                    lt_ints(ATTR_KERNEL, &size, 1),   lt_ints(ATTR_STRIDES, &one, 1),
                    lt_ints(ATTR_DILATIONS, &one, 1), lt_dims(ATTR_PAD_LO, &low, 1),
                    lt_dims(ATTR_PAD_HI, &high, 1)};
    Value *squares = lt_build_map2(&im->b, FN_MUL, x, x);
    if (!squares)
        return false;
    NodeSpec spec = {
        .op = OP_WINDOW, .inputs = &squares, .input_count = 1, .attrs = attrs, .attr_count = 7};
    Value *base = lt_onnx_map_scalar(im, FN_MUL, lt_build(&im->b, &spec),
                                     lt_onnx_float(im, "alpha", 1e-4f) / (double)size);
    base = lt_onnx_map_scalar(im, FN_ADD, base, lt_onnx_float(im, "bias", 1));
    Value *power = lt_onnx_map_scalar(im, FN_POW, base, lt_onnx_float(im, "beta", 0.75));
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_DIV, x, power));
}
