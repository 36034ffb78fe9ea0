/* build.c - small compositions that several converters use. */
#include <string.h>

#include "frontends/onnx/ops.h"

const Dim **lt_onnx_dim_array(Import *im, int64_t count) {
    return LT_ARRAY(im->arena, const Dim *, count > 0 ? count : 1);
}

const Dim *const *lt_onnx_dims_copy(Import *im, const Type *type) {
    const Dim **dims = lt_onnx_dim_array(im, type->rank);
    for (int i = 0; i < type->rank; i++)
        dims[i] = type->dims[i];
    return dims;
}

int64_t *lt_onnx_int_array(Import *im, int64_t count, int64_t fill) {
    int64_t *values = LT_ARRAY(im->arena, int64_t, count > 0 ? count : 1);
    for (int64_t i = 0; i < count; i++)
        values[i] = fill;
    return values;
}

Value *lt_onnx_scalar_like(Import *im, const Value *x, double value) {
    if (!x)
        return NULL;
    if (lt_dtype_is_float(x->type->dtype))
        return lt_build_float(&im->b, x->type->dtype, value);
    return lt_build_int(&im->b, x->type->dtype, (int64_t)value);
}

Value *lt_onnx_map_scalar(Import *im, ScalarFn fn, Value *x, double value) {
    return lt_build_map2(&im->b, fn, x, lt_onnx_scalar_like(im, x, value));
}

Value *lt_onnx_along(Import *im, Value *vector, int axis, int rank) {
    if (!vector)
        return NULL;
    if (vector->type->rank != 1) {
        lt_onnx_malformed(im, "a vector is expected, found rank %d", vector->type->rank);
        return NULL;
    }
    const Dim *one = lt_dim_const(im->dims, 1);
    const Dim **dims = lt_onnx_dim_array(im, rank);
    dims[0] = vector->type->dims[0];
    for (int i = 1; i < rank - axis; i++)
        dims[i] = one;
    return lt_build_reshape(&im->b, vector, rank - axis, dims);
}

Value *lt_onnx_slice_axis(Import *im, Value *x, int axis, const Dim *start, const Dim *size) {
    if (!x)
        return NULL;
    const Dim **starts = lt_onnx_dim_array(im, x->type->rank),
              **sizes = lt_onnx_dim_array(im, x->type->rank);
    for (int i = 0; i < x->type->rank; i++) {
        starts[i] = i == axis ? start : lt_dim_const(im->dims, 0);
        sizes[i] = i == axis ? size : x->type->dims[i];
    }
    return lt_build_slice(&im->b, x, starts, sizes, NULL);
}

Value *lt_onnx_broadcast_to(Import *im, Value *x, const Type *type) {
    if (!x || (x->type->rank == type->rank && x->type->dims == type->dims))
        return x;
    return lt_build_broadcast(&im->b, x, type->rank, type->dims);
}

Value *lt_onnx_full(Import *im, DType dtype, int rank, const Dim *const *shape, Value *scalar) {
    if (!scalar)
        return NULL;
    const Type *type = lt_type(im->module, dtype, rank, shape);
    const Const *c = lt_value_const(scalar);
    if (c && lt_type_is_static(type, NULL))
        return lt_build_const(&im->b, lt_const_splat(im->module, type, c->data));
    return lt_build_broadcast(&im->b, scalar, rank, shape);
}

Value *lt_onnx_dim_value(Import *im, const Dim *d, DType dtype) {
    Value *number = lt_build_reshape(&im->b, lt_build_dims(&im->b, 1, &d), 0, NULL);
    return dtype == DT_I64 ? number : lt_build_convert(&im->b, number, dtype);
}

Value *lt_onnx_flip(Import *im, Value *x, int64_t axis) {
    const Dim *starts[LT_MAX_RANK], *sizes[LT_MAX_RANK];
    int64_t steps[LT_MAX_RANK];
    for (int i = 0; i < x->type->rank; i++) {
        sizes[i] = x->type->dims[i];
        steps[i] = i == axis ? -1 : 1;
        starts[i] =
            i == axis ? lt_dim_add_const(im->dims, sizes[i], -1) : lt_dim_const(im->dims, 0);
    }
    return lt_build_slice(&im->b, x, starts, sizes, steps);
}

/* The sum divided by the number of elements, which may be symbolic. */
Value *lt_onnx_mean(Import *im, Value *x, const int64_t *axes, int count, bool keep) {
    if (!x)
        return NULL;
    const Dim *elements = lt_dim_const(im->dims, 1);
    for (int i = 0; i < count; i++)
        elements = lt_dim_mul(im->dims, elements, x->type->dims[axes[i]]);
    Value *sum = lt_build_reduce(&im->b, FN_ADD, x, axes, count, keep);
    if (lt_dim_is_const(elements))
        return lt_onnx_map_scalar(im, FN_DIV, sum, (double)elements->value);
    return lt_build_map2(&im->b, FN_DIV, sum, lt_onnx_dim_value(im, elements, x->type->dtype));
}

Value *lt_onnx_to_channels_last(Import *im, Value *x) {
    if (!x || x->type->rank < 3) /* one order alone, or an error that the caller reports */
        return x;
    int rank = x->type->rank;
    int64_t perm[LT_MAX_RANK] = {0};
    for (int i = 1; i + 1 < rank; i++)
        perm[i] = i + 1;
    perm[rank - 1] = 1;
    return lt_build_transpose(&im->b, x, perm);
}

Value *lt_onnx_to_channels_first(Import *im, Value *x) {
    if (!x || x->type->rank < 3) /* one order alone, or an error that the caller reports */
        return x;
    int rank = x->type->rank;
    int64_t perm[LT_MAX_RANK] = {0};
    perm[1] = rank - 1;
    for (int i = 2; i < rank; i++)
        perm[i] = i - 1;
    return lt_build_transpose(&im->b, x, perm);
}
