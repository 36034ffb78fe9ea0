/* ops_signal.c - windows, mel filters and Fourier transforms. A transform is a contraction with a
 * matrix of cosines and one of sines, which fold where the length is known. */
#include <math.h>

#include "frontends/onnx/extents.h"

static Value *mul(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_MUL, x, y); }
static Value *add(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_ADD, x, y); }
static Value *sub(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_SUB, x, y); }
static Value *scale(Import *im, Value *x, double by) {
    return lt_onnx_map_scalar(im, FN_MUL, x, by);
}

/* --- windows ---------------------------------------------------------------------------------- */

/* a0 - a1 cos(x) + a2 cos(2 x), at x = 2 pi i / n, or n - 1 for a symmetric window. */
static bool set_window(Import *im, double a0, double a1, double a2) {
    DType dtype;
    const int64_t wanted = lt_onnx_int(im, "output_datatype", 1);
    const Dim *size = lt_onnx_extent(im, im->inputs[0], "the size of the window");
    if (!size)
        return false;
    if (!lt_onnx_dtype(wanted, &dtype))
        return lt_onnx_unsupported(im, "windows of %s are not supported",
                                   lt_onnx_data_type_name(wanted));
    const DType compute = dtype == DT_F64 ? DT_F64 : DT_F32;
    const bool periodic = lt_onnx_int(im, "periodic", 1) != 0;
    const Dim *period = periodic ? size : lt_dim_add_const(im->dims, size, -1);
    Value *x = scale(im, lt_build_iota(&im->b, compute, 1, &size, 0), 2 * M_PI);
    x = lt_build_map2(&im->b, FN_DIV, x, lt_onnx_dim_value(im, period, compute));
    Value *y = lt_onnx_map_scalar(im, FN_ADD, scale(im, lt_build_map1(&im->b, FN_COS, x), -a1), a0);
    if (a2 != 0)
        y = add(im, y, scale(im, lt_build_map1(&im->b, FN_COS, scale(im, x, 2)), a2));
    return onnx_set(im, 0, lt_build_convert(&im->b, y, dtype));
}

bool lt_onnx_hann_window(Import *im) { return set_window(im, 0.5, 0.5, 0); }
bool lt_onnx_hamming_window(Import *im) { return set_window(im, 25.0 / 46, 21.0 / 46, 0); }
bool lt_onnx_blackman_window(Import *im) { return set_window(im, 0.42, 0.5, 0.08); }

/* --- MelWeightMatrix -------------------------------------------------------------------------- */

#define MEL_SCALE 2595.0
#define MEL_CORNER 700.0

static Value *scalar_f64(Import *im, uint32_t input) {
    return lt_build_convert(&im->b, lt_build_reshape(&im->b, im->inputs[input], 0, NULL), DT_F64);
}

static Value *to_mel(Import *im, Value *hertz) {
    Value *x = lt_build_map1(&im->b, FN_LOG1P, scale(im, hertz, 1 / MEL_CORNER));
    return scale(im, x, MEL_SCALE / log(10));
}

/* f64[bins + 2]: the spectrogram's bins between which the triangles lie. */
static Value *mel_edges(Import *im, const Dim *bins, const Dim *length) {
    const Dim *count = lt_dim_add_const(im->dims, bins, 2);
    Value *low = to_mel(im, scalar_f64(im, 3)), *high = to_mel(im, scalar_f64(im, 4));
    Value *step = lt_build_map2(&im->b, FN_DIV, sub(im, high, low),
                                lt_onnx_dim_value(im, count, DT_F64));
    Value *x = add(im, mul(im, lt_build_iota(&im->b, DT_F64, 1, &count, 0), step), low);
    x = lt_build_map1(&im->b, FN_EXPM1, scale(im, x, log(10) / MEL_SCALE));
    Value *points = lt_onnx_dim_value(im, lt_dim_add_const(im->dims, length, 1), DT_F64);
    x = mul(im, scale(im, x, MEL_CORNER), points);
    return lt_build_map2(&im->b, FN_FLOORDIV, x, scalar_f64(im, 2));
}

/* Triangles: up from an edge to the next, down to the one after that. */
bool lt_onnx_mel_weight_matrix(Import *im) {
    DType dtype;
    const int64_t wanted = lt_onnx_int(im, "output_datatype", 1);
    const Dim *bins = lt_onnx_extent(im, im->inputs[0], "num_mel_bins"),
              *length = lt_onnx_extent(im, im->inputs[1], "dft_length");
    if (!bins || !length)
        return false;
    if (!lt_onnx_dtype(wanted, &dtype))
        return lt_onnx_unsupported(im, "weights of %s are not supported",
                                   lt_onnx_data_type_name(wanted));
    const Dim *shape[] = {
        lt_dim_add_const(im->dims, lt_dim_floordiv(im->dims, length, lt_dim_const(im->dims, 2)), 1),
        lt_dim_const(im->dims, 1)};
    Value *at = lt_build_iota(&im->b, DT_F64, 2, shape, 0), *edges = mel_edges(im, bins, length);
    Value *edge[3];
    for (int i = 0; i < 3; i++)
        edge[i] = lt_onnx_slice_axis(im, edges, 0, lt_dim_const(im->dims, i), bins);
    Value *width[2], *part[2], *one = lt_onnx_scalar_like(im, at, 1);
    for (int i = 0; i < 2; i++)
        width[i] = lt_build_map2(&im->b, FN_MAX, sub(im, edge[i + 1], edge[i]), one);
    part[0] = lt_build_map2(&im->b, FN_DIV, sub(im, at, edge[0]), width[0]);
    part[1] = lt_build_map2(&im->b, FN_DIV, sub(im, edge[2], at), width[1]);
    Value *is_center = lt_build_map2(&im->b, FN_EQ, at, edge[1]);
    Value *is_rising = lt_build_map2(&im->b, FN_LT, at, edge[1]);
    Value *y = lt_build_map3(&im->b, FN_SELECT, is_rising, part[0], part[1]);
    y = lt_build_map3(&im->b, FN_SELECT, is_center, one, y);
    y = lt_build_map2(&im->b, FN_MAX, y, lt_onnx_scalar_like(im, at, 0));
    return onnx_set(im, 0, lt_build_convert(&im->b, y, dtype));
}

/* --- Fourier transforms ----------------------------------------------------------------------- */

typedef struct Transform {
    int64_t axis;
    const Dim *length; /* of the whole spectrum */
    bool inverse, one_sided;
} Transform;

/* fn(2 pi (i j mod length) / length), [rows, columns]. */
static Value *waves(Import *im, const Transform *t, ScalarFn fn, DType dtype, const Dim *rows,
                    const Dim *columns) {
    const Dim *one = lt_dim_const(im->dims, 1);
    const Dim *down[] = {rows, one}, *across[] = {one, columns};
    Value *turns = mul(im, lt_build_iota(&im->b, DT_I64, 2, down, 0),
                       lt_build_iota(&im->b, DT_I64, 2, across, 1));
    turns = lt_build_map2(&im->b, FN_MOD, turns, lt_onnx_dim_value(im, t->length, DT_I64));
    Value *angle = scale(im, lt_build_convert(&im->b, turns, DT_F64), 2 * M_PI);
    angle = lt_build_map2(&im->b, FN_DIV, angle, lt_onnx_dim_value(im, t->length, DT_F64));
    return lt_build_convert(&im->b, lt_build_map1(&im->b, fn, angle), dtype);
}

/* The axis gets this extent: cut, or with zeros behind it. */
static Value *fit(Import *im, Value *x, int64_t axis, const Dim *extent) {
    const Dim *low[LT_MAX_RANK], *high[LT_MAX_RANK];
    for (int i = 0; i < x->type->rank; i++)
        low[i] = high[i] = lt_dim_const(im->dims, 0);
    const Dim *kept = lt_dim_min(im->dims, x->type->dims[axis], extent);
    high[axis] = lt_dim_sub(im->dims, extent, kept);
    x = lt_onnx_slice_axis(im, x, (int)axis, lt_dim_const(im->dims, 0), kept);
    return lt_dim_is(high[axis], 0) ? x : lt_build_pad(&im->b, x, low, high, NULL, NULL);
}

/* Part 0 (real) or 1 (imaginary) of [..., 1 or 2]; NULL: it is 0. */
static Value *part_of(Import *im, Value *x, int which) {
    const int64_t last = x->type->rank - 1;
    if (which == 1 && lt_dim_is(x->type->dims[last], 1))
        return NULL;
    Value *part = lt_onnx_slice_axis(im, x, (int)last, lt_dim_const(im->dims, which),
                                     lt_dim_const(im->dims, 1));
    return lt_build_squeeze(&im->b, part, &last, 1);
}

/* Sums over the axis, which becomes `columns` of the matrix. NULL: x is 0. */
static Value *along(Import *im, const Transform *t, Value *x, Value *matrix) {
    char spec[3 * LT_MAX_RANK + 8], *s = spec;
    if (!x)
        return NULL;
    for (int i = 0; i < x->type->rank; i++)
        *s++ = (char)(i == t->axis ? 'y' : 'a' + i);
    for (const char *middle = ",yz->"; *middle;)
        *s++ = *middle++;
    for (int i = 0; i < x->type->rank; i++)
        *s++ = (char)(i == t->axis ? 'z' : 'a' + i);
    *s = '\0';
    return lt_build_contract(&im->b, x, matrix, spec);
}

/* x + sign * y, either of which may be absent. */
static Value *signed_sum(Import *im, Value *x, Value *y, double sign) {
    if (!y)
        return x;
    if (!x)
        return sign < 0 ? lt_build_map1(&im->b, FN_NEG, y) : y;
    return sign < 0 ? sub(im, x, y) : add(im, x, y);
}

/* What stands for both halves of a spectrum counts twice: all but the first element, and the last
 * one of an even length. f[n] */
static Value *halves(Import *im, const Transform *t, DType dtype, const Dim *extent) {
    Value *at = lt_build_iota(&im->b, DT_I64, 1, &extent, 0);
    Value *mirror = lt_build_map2(&im->b, FN_MOD,
                                  sub(im, lt_onnx_dim_value(im, t->length, DT_I64), at),
                                  lt_onnx_dim_value(im, t->length, DT_I64));
    Value *is_own = lt_build_map2(&im->b, FN_EQ, at, mirror);
    Value *one = lt_build_float(&im->b, dtype, 1), *two = lt_build_float(&im->b, dtype, 2);
    return lt_build_map3(&im->b, FN_SELECT, is_own, one, two);
}

static Value *transform(Import *im, const Transform *t, Value *x) {
    const DType dtype = x->type->dtype;
    const int64_t axis = t->axis, last = x->type->rank - 1;
    const Dim *half = lt_dim_add_const(
        im->dims, lt_dim_floordiv(im->dims, t->length, lt_dim_const(im->dims, 2)), 1);
    const Dim *rows = t->inverse && t->one_sided ? half : t->length,
              *columns = !t->inverse && t->one_sided ? half : t->length;
    if (!(x = fit(im, x, axis, rows)))
        return NULL;
    if (t->inverse)
        x = lt_build_map2(&im->b, FN_DIV, x, lt_onnx_dim_value(im, t->length, dtype));
    if (t->inverse && t->one_sided)
        x = mul(im, x, lt_onnx_along(im, halves(im, t, dtype, rows), (int)axis, (int)last + 1));
    Value *cosines = waves(im, t, FN_COS, dtype, rows, columns),
          *sines = waves(im, t, FN_SIN, dtype, rows, columns);
    if (!x || !cosines || !sines)
        return NULL;
    Value *re = part_of(im, x, 0), *i = part_of(im, x, 1);
    const double sign = t->inverse ? 1 : -1;
    Value *parts[2];
    parts[0] = signed_sum(im, along(im, t, re, cosines), along(im, t, i, sines), -sign);
    parts[1] = signed_sum(im, along(im, t, i, cosines), along(im, t, re, sines), sign);
    for (int p = 0; p < 2; p++)
        if (!parts[p] || !(parts[p] = lt_build_unsqueeze(&im->b, parts[p], &last, 1)))
            return NULL;
    return t->inverse && t->one_sided ? parts[0] : lt_build_concat(&im->b, parts, 2, (int)last);
}

/* [batch, ..., 1 or 2]: a symbol is taken for 2. NULL after an error. */
static Value *read_signal(Import *im) {
    Value *x = im->inputs[0];
    const int rank = x->type->rank;
    if (rank < 2 || !lt_dtype_is_float(x->type->dtype))
        return lt_onnx_malformed(im, "the signal must be of floats, [batch, ..., 1 or 2]"), NULL;
    return lt_dim_is(x->type->dims[rank - 1], 1)
               ? x
               : lt_onnx_fix_extent(im, x, rank - 1, 2, "the signal");
}

/* The length operand, or what the axis has. NULL after an error. */
static const Dim *transform_length(Import *im, const Transform *t, const Value *x) {
    const Dim *extent = x->type->dims[t->axis];
    if (onnx_in(im, 1))
        return lt_onnx_extent(im, onnx_in(im, 1), "dft_length");
    if (t->inverse && t->one_sided)
        return lt_dim_mul_const(im->dims, lt_dim_add_const(im->dims, extent, -1), 2);
    return extent;
}

/* The extents of x but the last, i64[rank - 1]: where `is_here`, `at`; elsewhere `otherwise`, NULL:
 * they stay. */
static Value *extents_where(Import *im, const Value *x, Value *is_here, Value *at,
                            Value *otherwise) {
    Value *own = lt_build_dims(&im->b, x->type->rank - 1, x->type->dims);
    return lt_build_map3(&im->b, FN_SELECT, is_here, at ? at : own, otherwise ? otherwise : own);
}

static Value *product(Import *im, Value *extents) {
    static const int64_t first = 0;
    return lt_build_reduce(&im->b, FN_MUL, extents, &first, 1, false);
}

/* Where only a run tells the axis: [before, extent, behind, parts] have the elements in the same
 * order, and the transform is along axis 1. */
static bool dft_any_axis(Import *im, Transform *t, Value *x, Value *axis) {
    const int count = x->type->rank - 1;
    const Dim *length = lt_dim_const(im->dims, count), *dims[LT_MAX_RANK];
    Value *one = lt_build_int(&im->b, DT_I64, 1);
    axis = lt_build_convert(&im->b, lt_build_reshape(&im->b, axis, 0, NULL), DT_I64);
    axis = lt_onnx_map_scalar(im, FN_MOD, axis, count + 1);
    Value *at = lt_build_iota(&im->b, DT_I64, 1, &length, 0);
    Value *is_here = lt_build_map2(&im->b, FN_EQ, at, axis);
    Value *parts[3];
    parts[0] = product(im, extents_where(im, x, lt_build_map2(&im->b, FN_LT, at, axis), NULL, one));
    parts[1] = product(im, extents_where(im, x, is_here, NULL, one));
    parts[2] = product(im, extents_where(im, x, lt_build_map2(&im->b, FN_GT, at, axis), NULL, one));
    for (int i = 0; i < 3; i++)
        if (!(dims[i] = parts[i] ? lt_onnx_extent(im, parts[i], "an extent of the signal") : NULL))
            return false;
    dims[3] = x->type->dims[count];
    x = lt_build_reshape(&im->b, x, 4, dims);
    t->axis = 1;
    t->length = x ? transform_length(im, t, x) : NULL;
    Value *y = t->length ? transform(im, t, x) : NULL;
    if (!y)
        return false;
    Value *made = lt_onnx_dim_value(im, y->type->dims[1], DT_I64);
    const Dim *const *shape = lt_onnx_bind_elements(
        im, extents_where(im, im->inputs[0], is_here, made, NULL), "extent");
    for (int i = 0; shape && i < count; i++)
        dims[i] = shape[i];
    dims[count] = y->type->dims[3];
    return shape && onnx_set(im, 0, lt_build_reshape(&im->b, y, count + 1, dims));
}

bool lt_onnx_dft(Import *im) {
    Value *x = read_signal(im), *axis = onnx_in(im, 2);
    Transform t = {.inverse = lt_onnx_int(im, "inverse", 0) != 0,
                   .one_sided = lt_onnx_int(im, "onesided", 0) != 0};
    int64_t given = im->version < 20 ? lt_onnx_int(im, "axis", 1) : -2;
    if (!x)
        return false;
    if (axis && !axis->content && !lt_onnx_const(im, axis))
        return dft_any_axis(im, &t, x, axis);
    if ((axis && !lt_onnx_number(im, axis, "the axis", &given)) ||
        !lt_onnx_axis(im, given, x->type->rank, &t.axis))
        return false;
    if (t.axis == x->type->rank - 1)
        return lt_onnx_malformed(im, "the last axis has the parts of the numbers");
    t.length = transform_length(im, &t, x);
    return t.length && onnx_set(im, 0, transform(im, &t, x));
}

/* [b, frames, length, parts]: pieces of the signal, each `step` after the one before. */
static Value *frames_of(Import *im, Value *x, const Dim *step, const Dim *length) {
    const Dim *one = lt_dim_const(im->dims, 1);
    const Dim *free = lt_dim_sub(im->dims, x->type->dims[1], length);
    const Dim *frames = lt_dim_add_const(
        im->dims, lt_dim_floordiv(im->dims, free, lt_dim_max(im->dims, step, one)), 1);
    const Dim *down[] = {frames, one}, *across[] = {one, length};
    Value *at = add(im, mul(im, lt_build_iota(&im->b, DT_I64, 2, down, 0),
                            lt_onnx_dim_value(im, step, DT_I64)),
                    lt_build_iota(&im->b, DT_I64, 2, across, 1));
    return at ? lt_build_gather(&im->b, x, at, 1) : NULL;
}

bool lt_onnx_stft(Import *im) {
    Value *x = read_signal(im), *window = onnx_in(im, 2);
    if (!x)
        return false;
    if (x->type->rank != 3)
        return lt_onnx_malformed(im, "the signal has rank %d; expected 3", x->type->rank);
    if (window && window->type->rank != 1)
        return lt_onnx_malformed(im, "the window has rank %d; expected 1", window->type->rank);
    const Dim *step = lt_onnx_extent(im, im->inputs[1], "frame_step"),
              *length = x->type->dims[1];
    if (window)
        length = window->type->dims[0];
    else if (onnx_in(im, 3))
        length = lt_onnx_extent(im, onnx_in(im, 3), "frame_length");
    if (!step || !length)
        return false;
    Value *frames = frames_of(im, x, step, length);
    if (window)
        frames = mul(im, frames, lt_onnx_along(im, window, 2, 4));
    Transform t = {
        .axis = 2, .length = length, .one_sided = lt_onnx_int(im, "onesided", 1) != 0};
    return frames && onnx_set(im, 0, transform(im, &t, frames));
}
