/* resample.c - resizing one axis after the other: nearest as a gather, the others as products with
 * a matrix of weights, [output, input]. The weights are computed in the graph, and fold where the
 * scales are known. Coordinates and filters are those of the ONNX specification of Resize. */
#include <string.h>

#include "frontends/onnx/resample.h"

typedef struct Line {
    int64_t axis;
    const Dim *in, *out;
    Value *scale, *width;       /* f64[]; width: scale times the input's extent */
    Value *start, *end, *place; /* f64[]: the region of interest, or NULL; f64[out] */
} Line;

static Value *mul(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_MUL, x, y); }
static Value *add(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_ADD, x, y); }
static Value *sub(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_SUB, x, y); }
static Value *quotient(Import *im, Value *x, Value *y) {
    return lt_build_map2(&im->b, FN_DIV, x, y);
}
static Value *shift(Import *im, Value *x, double by) {
    return lt_onnx_map_scalar(im, FN_ADD, x, by);
}
static Value *times(Import *im, Value *x, double by) {
    return lt_onnx_map_scalar(im, FN_MUL, x, by);
}
static Value *select(Import *im, Value *c, Value *x, Value *y) {
    return lt_build_map3(&im->b, FN_SELECT, c, x, y);
}
static Value *extent_of(Import *im, const Dim *d) { return lt_onnx_dim_value(im, d, DT_F64); }

/* Element i of a vector, f64[]. */
static Value *element(Import *im, Value *v, int64_t i) {
    v = lt_onnx_slice_axis(im, v, 0, lt_dim_const(im->dims, i), lt_dim_const(im->dims, 1));
    return lt_build_convert(&im->b, lt_build_reshape(&im->b, v, 0, NULL), DT_F64);
}

/* --- scales and extents --- */

/* The scale that all axes share, when the ratio of the sides is to stay. */
static Value *common_scale(Import *im, const Resample *r, Value *const *scales) {
    const ScalarFn fn = strcmp(r->policy, "not_larger") == 0 ? FN_MIN : FN_MAX;
    Value *scale = scales[0];
    for (int64_t i = 1; i < r->count; i++)
        scale = lt_build_map2(&im->b, fn, scale, scales[i]);
    return scale;
}

static const Dim *whole(Import *im, Value *x) {
    x = lt_build_convert(&im->b, x, DT_I64);
    return x ? lt_onnx_extent(im, x, "an extent") : NULL;
}

/* floor of the product in f32, as scales are. */
static const Dim *scaled_extent(Import *im, const Line *l) {
    Value *scale = lt_build_convert(&im->b, l->scale, DT_F32);
    Value *product = mul(im, scale, lt_onnx_dim_value(im, l->in, DT_F32));
    return whole(im, lt_build_map1(&im->b, FN_FLOOR, product));
}

static bool set_extents(Import *im, const Resample *r, Line *lines) {
    const bool stretch = strcmp(r->policy, "stretch") == 0;
    Value *scales[LT_MAX_RANK] = {NULL};
    int64_t count;
    const Dim *const *sizes = NULL;
    if (r->sizes && !(sizes = lt_onnx_extents(im, r->sizes, "the list of sizes", &count)))
        return false;
    for (int64_t i = 0; i < r->count; i++)
        scales[i] = sizes ? quotient(im, extent_of(im, sizes[i]), extent_of(im, lines[i].in))
                          : element(im, r->scales, i);
    Value *common = sizes && !stretch ? common_scale(im, r, scales) : NULL;
    for (int64_t i = 0; i < r->count; i++) {
        Line *l = &lines[i];
        l->scale = common ? common : scales[i];
        l->width = mul(im, l->scale, extent_of(im, l->in));
        if (!l->width)
            return false;
        if (common)
            l->out = whole(im, lt_build_map1(&im->b, FN_FLOOR, shift(im, l->width, 0.5)));
        else
            l->out = sizes ? sizes[i] : scaled_extent(im, l);
        if (!l->out)
            return false;
    }
    return true;
}

/* --- where outputs lie in the input --- */

static Value *half_pixel(Import *im, const Line *l, Value *at) {
    return shift(im, quotient(im, shift(im, at, 0.5), l->scale), -0.5);
}

/* first + at * span / (width - 1); with a width of 1, `single`. */
static Value *between_corners(Import *im, const Line *l, Value *at, Value *span, Value *single) {
    Value *is_one = lt_onnx_map_scalar(im, FN_EQ, l->width, 1);
    Value *steps = select(im, is_one, lt_onnx_scalar_like(im, l->width, 1),
                          shift(im, l->width, -1));
    return select(im, is_one, single, quotient(im, mul(im, at, span), steps));
}

static Value *place(Import *im, const Resample *r, const Line *l) {
    Value *at = lt_build_iota(&im->b, DT_F64, 1, &l->out, 0);
    Value *last = shift(im, extent_of(im, l->in), -1);
    const char *how = r->direction;
    if (strcmp(how, "asymmetric") == 0)
        return quotient(im, at, l->scale);
    if (strcmp(how, "align_corners") == 0)
        return between_corners(im, l, at, last, lt_onnx_scalar_like(im, at, 0));
    if (strcmp(how, "pytorch_half_pixel") == 0)
        return select(im, lt_onnx_map_scalar(im, FN_EQ, l->width, 1),
                      lt_onnx_scalar_like(im, at, -0.5), half_pixel(im, l, at));
    if (strcmp(how, "half_pixel_symmetric") == 0) {
        Value *rest = sub(im, lt_onnx_scalar_like(im, at, 1),
                          quotient(im, extent_of(im, l->out), l->width));
        Value *offset = mul(im, times(im, extent_of(im, l->in), 0.5), rest);
        return add(im, half_pixel(im, l, at), offset);
    }
    if (strcmp(how, "tf_crop_and_resize") == 0) {
        Value *span = mul(im, sub(im, l->end, l->start), last);
        return add(im, between_corners(im, l, at, span, times(im, span, 0.5)),
                   mul(im, l->start, last));
    }
    return half_pixel(im, l, at);
}

/* --- filters --- */

static Value *nearest(Import *im, const Resample *r, Value *x, const Line *l) {
    Value *at = l->place;
    if (strcmp(r->nearest, "floor") == 0)
        at = lt_build_map1(&im->b, FN_FLOOR, at);
    else if (strcmp(r->nearest, "ceil") == 0)
        at = lt_build_map1(&im->b, FN_CEIL, at);
    else if (strcmp(r->nearest, "round_prefer_ceil") == 0)
        at = lt_build_map1(&im->b, FN_FLOOR, shift(im, at, 0.5));
    else
        at = lt_build_map1(&im->b, FN_CEIL, shift(im, at, -0.5));
    Value *last = shift(im, extent_of(im, l->in), -1);
    at = lt_build_map3(&im->b, FN_CLAMP, at, lt_onnx_scalar_like(im, last, 0), last);
    at = lt_build_convert(&im->b, at, DT_I64);
    return at ? lt_build_gather(&im->b, x, at, (int)l->axis) : NULL;
}

/* R. Keys, Cubic convolution interpolation (1981), at distances d >= 0. */
static Value *cubic(Import *im, Value *d, double a) {
    Value *square = mul(im, d, d);
    Value *near = shift(im, mul(im, shift(im, times(im, d, a + 2), -(a + 3)), square), 1);
    Value *far = shift(im, times(im, d, a), -5 * a);
    far = shift(im, mul(im, far, d), 8 * a);
    far = shift(im, mul(im, far, d), -4 * a);
    far = select(im, lt_onnx_map_scalar(im, FN_LT, d, 2), far, lt_onnx_scalar_like(im, d, 0));
    return select(im, lt_onnx_map_scalar(im, FN_LE, d, 1), near, far);
}

/* min(scale, 1): by how much a filter against aliasing is wider. */
static Value *narrowing(Import *im, const Line *l) {
    return lt_build_map2(&im->b, FN_MIN, l->scale, lt_onnx_scalar_like(im, l->scale, 1));
}

/* f64[out, in + 2 * border] */
static Value *weights(Import *im, const Resample *r, const Line *l, const Dim *border) {
    static const int64_t row[] = {1};
    const Dim *wide = lt_dim_add(im->dims, l->in, lt_dim_mul_const(im->dims, border, 2));
    const Dim *across[] = {lt_dim_const(im->dims, 1), wide};
    Value *at = sub(im, lt_build_iota(&im->b, DT_F64, 2, across, 1), extent_of(im, border));
    Value *d = sub(im, at, lt_build_unsqueeze(&im->b, l->place, row, 1));
    d = lt_build_map1(&im->b, FN_ABS, d);
    if (r->antialias)
        d = mul(im, d, narrowing(im, l));
    Value *zero = lt_onnx_scalar_like(im, d, 0);
    Value *w = r->filter == RESAMPLE_CUBIC
                   ? cubic(im, d, r->cubic)
                   : lt_build_map2(&im->b, FN_MAX, shift(im, times(im, d, -1), 1), zero);
    if (!r->antialias && !r->exclude_outside)
        return w;
    Value *sum = lt_build_reduce(&im->b, FN_ADD, w, row, 1, true);
    sum = select(im, lt_onnx_map_scalar(im, FN_EQ, sum, 0), lt_onnx_scalar_like(im, sum, 1), sum);
    return quotient(im, w, sum);
}

/* How far filters reach beyond the input's ends. NULL after an error. */
static const Dim *border_of(Import *im, const Resample *r, const Line *l) {
    const int64_t support = r->filter == RESAMPLE_CUBIC ? 2 : 1;
    if (r->exclude_outside)
        return lt_dim_const(im->dims, 0);
    if (!r->antialias)
        return lt_dim_const(im->dims, support + 1);
    Value *reach = quotient(im, lt_onnx_scalar_like(im, l->scale, (double)support),
                            narrowing(im, l));
    const Dim *d = whole(im, lt_build_map1(&im->b, FN_CEIL, reach));
    return d ? lt_dim_add_const(im->dims, d, 1) : NULL;
}

static Value *filtered(Import *im, const Resample *r, Value *x, const Line *l) {
    char spec[2 * LT_MAX_RANK + 8], *s = spec;
    const Dim *pads[LT_MAX_RANK], *border = border_of(im, r, l);
    const int rank = x->type->rank;
    if (!border)
        return NULL;
    for (int i = 0; i < rank; i++)
        pads[i] = i == l->axis ? border : lt_dim_const(im->dims, 0);
    Value *w = lt_build_convert(&im->b, weights(im, r, l, border), x->type->dtype);
    if (!lt_dim_is(border, 0))
        x = lt_build_pad(&im->b, x, pads, pads, "edge", NULL);
    for (int i = 0; i < rank; i++)
        *s++ = (char)(i == l->axis ? 'y' : 'a' + i);
    for (const char *middle = ",zy->"; *middle;)
        *s++ = *middle++;
    for (int i = 0; i < rank; i++)
        *s++ = (char)(i == l->axis ? 'z' : 'a' + i);
    *s = '\0';
    return lt_build_contract(&im->b, x, w, spec);
}

static Value *resample_line(Import *im, const Resample *r, Value *x, Line *l) {
    if (!(l->place = place(im, r, l)))
        return NULL;
    const int rank = x->type->rank;
    Value *y = (r->filter == RESAMPLE_NEAREST ? nearest : filtered)(im, r, x, l);
    if (!y || strcmp(r->direction, "tf_crop_and_resize") != 0)
        return y;
    Value *last = shift(im, extent_of(im, l->in), -1);
    Value *is_out = lt_build_map2(&im->b, FN_OR, lt_onnx_map_scalar(im, FN_LT, l->place, 0),
                                  lt_build_map2(&im->b, FN_GT, l->place, last));
    return select(im, lt_onnx_along(im, is_out, (int)l->axis, rank),
                  lt_onnx_scalar_like(im, y, r->extrapolation), y);
}

Value *lt_onnx_resample(Import *im, Value *x, const Resample *r) {
    Line lines[LT_MAX_RANK] = {{0}};
    const DType dtype = x->type->dtype;
    for (int64_t i = 0; i < r->count; i++) {
        Line *l = &lines[i];
        if (!lt_onnx_axis(im, r->axes ? r->axes[i] : i, x->type->rank, &l->axis))
            return NULL;
        l->in = x->type->dims[l->axis];
        if (r->roi) {
            l->start = element(im, r->roi, i);
            l->end = element(im, r->roi, i + r->count);
        }
    }
    if (!set_extents(im, r, lines))
        return NULL;
    if (r->filter != RESAMPLE_NEAREST && dtype != DT_F64)
        x = lt_build_convert(&im->b, x, DT_F32);
    for (int64_t i = 0; x && i < r->count; i++)
        x = resample_line(im, r, x, &lines[i]);
    return lt_build_convert(&im->b, x, dtype);
}
