/* ops_deform.c - DeformConv: a convolution whose taps lie where offsets move them, each read
 * between the image's elements as a sum over the corners around it. */
#include "frontends/onnx/extents.h"
#include "frontends/onnx/spatial.h"

typedef struct Deform {
    Spatial s;
    int64_t groups, offset_groups, taps;
    Value *image;               /* [n, offset groups, places, channels of one] */
    const Dim *out[LT_MAX_RANK]; /* n, offset groups, taps, y...: of what follows */
    Value *low[LT_MAX_RANK], *part[LT_MAX_RANK]; /* on each axis: before the place; the rest */
} Deform;

static Value *add(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_ADD, x, y); }
static Value *mul(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_MUL, x, y); }

static bool read_deform(Import *im, Deform *d) {
    const Type *x = im->inputs[0]->type, *w = im->inputs[1]->type, *moved = im->inputs[2]->type;
    d->groups = lt_onnx_int(im, "group", 1);
    d->offset_groups = lt_onnx_int(im, "offset_group", 1);
    d->taps = 1;
    if (x->rank < 3 || w->rank != x->rank || moved->rank != x->rank || x->rank + 2 > LT_MAX_RANK)
        return lt_onnx_malformed(im, "inputs have ranks %d, %d and %d", x->rank, w->rank,
                                 moved->rank);
    if (d->groups < 1 || d->offset_groups < 1)
        return lt_onnx_malformed(im, "group and offset_group must be at least 1");
    if (!lt_onnx_spatial(im, true, &d->s))
        return false;
    if (!d->s.kernel)
        return lt_onnx_unsupported(im, "the weight's extents are not known");
    for (int i = 0; i < d->s.rank; i++)
        d->taps *= d->s.kernel[i];
    d->out[0] = x->dims[0];
    d->out[1] = lt_dim_const(im->dims, d->offset_groups);
    d->out[2] = lt_dim_const(im->dims, d->taps);
    for (int i = 0; i < d->s.rank; i++)
        d->out[i + 3] = moved->dims[i + 2];
    return true;
}

/* Where the taps lie on an axis: as in a plain convolution, and by how much they are moved. */
static Value *tap_places(Import *im, const Deform *d, Value *offsets, int axis) {
    static const int64_t which[] = {3};
    const int rank = d->s.rank + 3;
    const DType dtype = offsets->type->dtype;
    const Dim *line[LT_MAX_RANK], *one = lt_dim_const(im->dims, 1);
    int64_t inner = 1, *taps = lt_onnx_int_array(im, d->taps, 0);
    for (int i = axis + 1; i < d->s.rank; i++)
        inner *= d->s.kernel[i];
    for (int64_t i = 0; i < d->taps; i++)
        taps[i] = i / inner % d->s.kernel[axis] * d->s.dilations[axis];
    for (int i = 0; i < rank; i++)
        line[i] = i == axis + 3 ? d->out[i] : one;
    Value *at = lt_build_iota(&im->b, dtype, rank, line, axis + 3);
    at = lt_onnx_map_scalar(im, FN_MUL, at, (double)d->s.strides[axis]);
    at = lt_build_map2(&im->b, FN_SUB, at, lt_onnx_dim_value(im, d->s.lo[axis], dtype));
    Value *tap = lt_build_convert(&im->b, lt_build_ints(&im->b, d->taps, taps), dtype);
    at = add(im, at, lt_onnx_along(im, tap, 2, rank));
    Value *moved = lt_onnx_slice_axis(im, offsets, 3, lt_dim_const(im->dims, axis), one);
    return add(im, at, lt_build_squeeze(&im->b, moved, which, 1));
}

static bool set_places(Import *im, Deform *d) {
    const Dim *shape[LT_MAX_RANK];
    for (int i = 0; i < d->s.rank + 4; i++)
        shape[i] = i < 3 ? d->out[i] : i == 3 ? lt_dim_const(im->dims, d->s.rank) : d->out[i - 1];
    Value *offsets = lt_build_reshape(&im->b, im->inputs[2], d->s.rank + 4, shape);
    for (int i = 0; offsets && i < d->s.rank; i++) {
        Value *at = tap_places(im, d, offsets, i);
        d->low[i] = lt_build_map1(&im->b, FN_FLOOR, at);
        d->part[i] = lt_build_map2(&im->b, FN_SUB, at, d->low[i]);
        if (!d->part[i])
            return false;
    }
    return offsets != NULL;
}

/* [n, offset groups, taps, y..., c]: one corner (bit i: the later element on axis i), weighted; 0
 * outside of the image. */
static Value *corner(Import *im, const Deform *d, unsigned bits) {
    const int64_t last = d->s.rank + 3;
    Value *flat = NULL, *weight = NULL;
    for (int i = 0; i < d->s.rank; i++) {
        const Dim *extent = im->inputs[0]->type->dims[i + 2];
        const bool is_later = bits >> i & 1;
        Value *at = lt_onnx_map_scalar(im, FN_ADD, d->low[i], is_later), *part = d->part[i];
        Value *zero = lt_onnx_scalar_like(im, at, 0);
        Value *end = lt_onnx_dim_value(im, lt_dim_add_const(im->dims, extent, -1),
                                       part->type->dtype);
        if (!is_later)
            part = lt_build_map2(&im->b, FN_SUB, lt_onnx_scalar_like(im, part, 1), part);
        Value *is_there = lt_build_map2(&im->b, FN_AND, lt_build_map2(&im->b, FN_GE, at, zero),
                                        lt_build_map2(&im->b, FN_LE, at, end));
        part = lt_build_map3(&im->b, FN_SELECT, is_there, part, zero);
        at = lt_build_convert(&im->b, lt_build_map3(&im->b, FN_CLAMP, at, zero, end), DT_I64);
        if (flat)
            flat = mul(im, flat, lt_onnx_dim_value(im, extent, DT_I64));
        flat = flat ? add(im, flat, at) : at;
        weight = weight ? mul(im, weight, part) : part;
    }
    const Attr batch = lt_int(ATTR_COUNT, 2);
    Value *inputs[] = {d->image, lt_build_unsqueeze(&im->b, flat, &last, 1)};
    NodeSpec spec = {.op = OP_GATHER_ND,
                     .inputs = inputs,
                     .input_count = 2,
                     .attrs = &batch,
                     .attr_count = 1};
    Value *value = inputs[1] ? lt_build(&im->b, &spec) : NULL;
    return mul(im, value, lt_build_unsqueeze(&im->b, weight, &last, 1));
}

/* [n, groups, c, taps, places of y] */
static Value *columns_of(Import *im, const Deform *d, const Dim *channels, const Dim *places) {
    static const int64_t perm[] = {0, 1, 4, 2, 3};
    const int64_t last = d->s.rank + 3;
    Value *total = NULL;
    for (unsigned bits = 0; bits < 1u << d->s.rank; bits++) {
        Value *part = corner(im, d, bits);
        total = total ? add(im, total, part) : part;
    }
    if (onnx_in(im, 4)) {
        Value *mask = lt_build_reshape(&im->b, onnx_in(im, 4), d->s.rank + 3, d->out);
        total = mul(im, total, lt_build_unsqueeze(&im->b, mask, &last, 1));
    }
    const Dim *own = lt_dim_floordiv(im->dims, im->inputs[0]->type->dims[1], d->out[1]);
    const Dim *flat[] = {d->out[0], d->out[1], d->out[2], places, own};
    const Dim *grouped[] = {d->out[0], lt_dim_const(im->dims, d->groups), channels, d->out[2],
                            places};
    total = lt_build_transpose(&im->b, lt_build_reshape(&im->b, total, 5, flat), perm);
    return lt_build_reshape(&im->b, total, 5, grouped);
}

bool lt_onnx_deform_conv(Import *im) {
    static const int64_t channels_last[] = {0, 1, 3, 2};
    Deform d = {0};
    if (!read_deform(im, &d))
        return false;
    const Dim *const *x = im->inputs[0]->type->dims, *const *w = im->inputs[1]->type->dims;
    const Dim *split[] = {x[0], d.out[1], lt_dim_floordiv(im->dims, x[1], d.out[1]),
                          lt_dim_product(im->dims, x + 2, d.s.rank)};
    d.image = lt_build_transpose(&im->b, lt_build_reshape(&im->b, im->inputs[0], 4, split),
                                 channels_last);
    if (!d.image || !set_places(im, &d))
        return false;
    const Dim *groups = lt_dim_const(im->dims, d.groups);
    const Dim *filter[] = {groups, lt_dim_floordiv(im->dims, w[0], groups), w[1], d.out[2]};
    const Dim *shape[LT_MAX_RANK] = {x[0], w[0]};
    for (int i = 0; i < d.s.rank; i++)
        shape[i + 2] = d.out[i + 3];
    Value *columns = columns_of(im, &d, w[1], lt_dim_product(im->dims, shape + 2, d.s.rank));
    Value *weights = lt_build_reshape(&im->b, im->inputs[1], 4, filter);
    Value *y = columns && weights
                   ? lt_build_contract(&im->b, columns, weights, "ngikp,goik->ngop")
                   : NULL;
    y = lt_build_reshape(&im->b, y, d.s.rank + 2, shape);
    if (onnx_in(im, 3))
        y = add(im, y, lt_onnx_along(im, onnx_in(im, 3), 1, d.s.rank + 2));
    return onnx_set(im, 0, y);
}
