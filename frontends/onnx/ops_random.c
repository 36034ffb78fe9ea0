/* ops_random.c - random tensors, samples, and dropout while training. */
#include <math.h>

#include "frontends/onnx/random.h"

#define MOST_ELEMENTS (INT64_C(1) << 40)

static DType wide_of(DType dtype) { return dtype == DT_F64 ? DT_F64 : DT_F32; }

/* The attribute dtype, which must be a float; else `otherwise`. */
static bool float_dtype(Import *im, DType otherwise, DType *out) {
    const int64_t wanted = lt_onnx_int(im, "dtype", 0);
    *out = otherwise;
    if ((wanted && !lt_onnx_dtype(wanted, out)) || !lt_dtype_is_float(*out))
        return lt_onnx_unsupported(im, "random numbers of %s are not supported",
                                   wanted ? lt_onnx_data_type_name(wanted) : lt_dtype_name(*out));
    return true;
}

/* --- tensors ---------------------------------------------------------------------------------- */

typedef Value *RandomFn(Import *im, DType dtype, int rank, const Dim *const *shape);

/* a + b * random */
static bool set_random(Import *im, const Type *type, RandomFn *random, double a, double b) {
    Value *y = random(im, wide_of(type->dtype), type->rank, type->dims);
    if (b != 1)
        y = lt_onnx_map_scalar(im, FN_MUL, y, b);
    if (a != 0)
        y = lt_onnx_map_scalar(im, FN_ADD, y, a);
    return onnx_set(im, 0, lt_build_convert(&im->b, y, type->dtype));
}

/* Of the attribute shape, or like the operand. */
static const Type *wanted_type(Import *im) {
    const Type *like = onnx_in(im, 0) ? im->inputs[0]->type : NULL;
    const Dim *dims[LT_MAX_RANK];
    int64_t rank;
    DType dtype;
    if (!float_dtype(im, like ? like->dtype : DT_F32, &dtype))
        return NULL;
    if (like)
        return lt_type_with_dtype(im->module, like, dtype);
    const int64_t *shape = lt_onnx_ints(im, "shape", &rank);
    bool is_shape = shape && rank <= LT_MAX_RANK;
    int64_t elements = 1;
    for (int64_t i = 0; is_shape && i < rank; i++) {
        dims[i] = lt_dim_const(im->dims, shape[i]);
        is_shape = shape[i] >= 0 && (shape[i] == 0 || elements <= MOST_ELEMENTS / shape[i]);
        elements *= is_shape && shape[i] ? shape[i] : 1;
    }
    if (is_shape)
        return lt_type(im->module, dtype, (int)rank, dims);
    lt_onnx_malformed(im, "attribute shape is missing, or no shape");
    return NULL;
}

bool lt_onnx_random_uniform(Import *im) {
    const double low = lt_onnx_float(im, "low", 0), high = lt_onnx_float(im, "high", 1);
    const Type *type = wanted_type(im);
    return type && set_random(im, type, lt_onnx_uniform, low, high - low);
}

bool lt_onnx_random_normal(Import *im) {
    const double mean = lt_onnx_float(im, "mean", 0), scale = lt_onnx_float(im, "scale", 1);
    const Type *type = wanted_type(im);
    return type && set_random(im, type, lt_onnx_normal, mean, scale);
}

/* --- samples ---------------------------------------------------------------------------------- */

/* 1 with the probability that the operand has, else 0. */
bool lt_onnx_bernoulli(Import *im) {
    Value *p = im->inputs[0];
    DType dtype = p->type->dtype;
    const int64_t wanted = lt_onnx_int(im, "dtype", 0);
    if (!lt_dtype_is_float(dtype))
        return lt_onnx_malformed(im, "the probabilities are %s", lt_dtype_name(dtype));
    if (wanted && !lt_onnx_dtype(wanted, &dtype))
        return lt_onnx_unsupported(im, "samples of %s are not supported",
                                   lt_onnx_data_type_name(wanted));
    p = lt_build_convert(&im->b, p, wide_of(p->type->dtype));
    Value *u = p ? lt_onnx_uniform(im, p->type->dtype, p->type->rank, p->type->dims) : NULL;
    return onnx_set(im, 0, lt_build_convert(&im->b, onnx_map2(im, FN_LT, u, p), dtype));
}

/* Classes by the logarithms of their weights, [n, classes]: how many of the sums of the first 1, 2,
 * ... weights a random part of the whole sum reaches. */
bool lt_onnx_multinomial(Import *im) {
    static const int64_t last = 1, sums = 2, middle = 1;
    const int64_t size = lt_onnx_int(im, "sample_size", 1), wanted = lt_onnx_int(im, "dtype", 6);
    DType dtype;
    Value *x = im->inputs[0];
    if (x->type->rank != 2 || !lt_dtype_is_float(x->type->dtype) || size < 1)
        return lt_onnx_malformed(im, "floats of rank 2 and a positive sample_size are expected");
    if (!lt_onnx_dtype(wanted, &dtype) || !lt_dtype_is_int(dtype))
        return lt_onnx_malformed(im, "dtype is %s", lt_onnx_data_type_name(wanted));
    const DType wide = wide_of(x->type->dtype);
    const Dim *shape[] = {x->type->dims[0], lt_dim_const(im->dims, size)};
    x = lt_build_convert(&im->b, x, wide);
    Value *most = lt_build_reduce(&im->b, FN_MAX, x, &last, 1, true);
    Value *weight = lt_build_map1(&im->b, FN_EXP, onnx_map2(im, FN_SUB, x, most));
    const Attr attrs[] = {lt_int(ATTR_FN, FN_ADD), lt_int(ATTR_AXIS, 1)};
    Value *sum = weight ? lt_build(&im->b, &(NodeSpec){.op = OP_SCANREDUCE,
                                                       .inputs = &weight,
                                                       .input_count = 1,
                                                       .attrs = attrs,
                                                       .attr_count = 2})
                        : NULL;
    Value *whole = lt_build_reduce(&im->b, FN_ADD, weight, &last, 1, true);
    Value *part = onnx_map2(im, FN_MUL, lt_onnx_uniform(im, wide, 2, shape), whole);
    Value *reaches = onnx_map2(im, FN_GE, lt_build_unsqueeze(&im->b, part, &sums, 1),
                               lt_build_unsqueeze(&im->b, sum, &middle, 1));
    Value *count = lt_build_convert(&im->b, reaches, DT_I64);
    count = lt_build_reduce(&im->b, FN_ADD, count, &sums, 1, false);
    const Dim *greatest = lt_dim_add_const(im->dims, x ? x->type->dims[1] : shape[1], -1);
    count = onnx_map2(im, FN_MIN, count, lt_onnx_dim_value(im, greatest, DT_I64));
    return onnx_set(im, 0, lt_build_convert(&im->b, count, dtype));
}

/* --- dropout ---------------------------------------------------------------------------------- */

static Value *all_true(Import *im, const Type *type) {
    return lt_onnx_full(im, DT_BOOL, type->rank, type->dims, lt_build_int(&im->b, DT_BOOL, 1));
}

/* Elements stay where a random number reaches the ratio, divided by 1 - ratio. training: bool[],
 * whether that is so; NULL: it is. */
static bool drop(Import *im, Value *ratio, Value *training) {
    Value *x = im->inputs[0];
    const Type *type = x->type;
    const DType wide = wide_of(type->dtype);
    Value *one = lt_build_float(&im->b, wide, 1);
    ratio = lt_build_convert(&im->b, ratio, wide);
    Value *mask = onnx_map2(im, FN_GE, lt_onnx_uniform(im, wide, type->rank, type->dims), ratio);
    Value *scale = onnx_map2(im, FN_DIV, one, onnx_map2(im, FN_SUB, one, ratio));
    if (training) {
        mask = onnx_map2(im, FN_OR, mask, lt_build_map1(&im->b, FN_NOT, training));
        scale = lt_build_map3(&im->b, FN_SELECT, training, scale, one);
    }
    Value *y = onnx_map2(im, FN_MUL, lt_build_convert(&im->b, x, wide), scale);
    y = lt_build_map3(&im->b, FN_SELECT, mask, y, lt_build_float(&im->b, wide, 0));
    onnx_set(im, 1, mask);
    return onnx_set(im, 0, lt_build_convert(&im->b, y, type->dtype));
}

/* At inference dropout passes its input on; its mask is all true. */
static bool keep_all(Import *im) {
    if (onnx_wants(im, 1))
        onnx_set(im, 1, all_true(im, im->inputs[0]->type));
    return onnx_set(im, 0, im->inputs[0]);
}

bool lt_onnx_dropout(Import *im) {
    Value *training = onnx_in(im, 2), *ratio = onnx_in(im, 1);
    const Const *c = training ? lt_onnx_const(im, training) : NULL;
    const bool is_old = im->version < 7;
    if (is_old ? lt_onnx_int(im, "is_test", 0) != 0 : !training || (c && !lt_const_get_int(c, 0)))
        return keep_all(im);
    ratio = ratio ? lt_build_reshape(&im->b, ratio, 0, NULL)
                  : lt_build_float(&im->b, DT_F32, is_old ? lt_onnx_float(im, "ratio", 0.5) : 0.5);
    return drop(im, ratio, c || is_old ? NULL : lt_build_reshape(&im->b, training, 0, NULL));
}
