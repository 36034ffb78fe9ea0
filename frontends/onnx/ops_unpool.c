/* ops_unpool.c - where the elements that MaxPool picks lie, and MaxUnpool, which puts them back. */
#include "frontends/onnx/extents.h"
#include "frontends/onnx/spatial.h"

enum { MOST_TAPS = 1024 }; /* of a window: each becomes a few nodes */

static Value *add(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_ADD, x, y); }
static Value *mul(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_MUL, x, y); }
static Value *both(Import *im, Value *x, Value *y) {
    return x ? lt_build_map2(&im->b, FN_AND, x, y) : y;
}

typedef struct Window {
    const Spatial *s;
    Value *x;
    const Dim *out[LT_MAX_RANK];
    int64_t offset[LT_MAX_RANK]; /* of the tap at hand, along each axis */
    Value *best, *index, *seen;  /* of the taps so far; seen: whether there was one */
} Window;

/* i64 along an axis of the output: where the tap lies in the input. */
static Value *tap_place(Import *im, const Window *w, int axis) {
    const int rank = w->x->type->rank;
    const Dim *line[LT_MAX_RANK];
    for (int i = 0; i < rank; i++)
        line[i] = i == axis + 2 ? w->out[i] : lt_dim_const(im->dims, 1);
    Value *at = lt_build_iota(&im->b, DT_I64, rank, line, axis + 2);
    at = lt_onnx_map_scalar(im, FN_MUL, at, (double)w->s->strides[axis]);
    const Dim *shift = lt_dim_sub(
        im->dims, lt_dim_const(im->dims, w->offset[axis] * w->s->dilations[axis]), w->s->lo[axis]);
    return add(im, at, lt_onnx_dim_value(im, shift, DT_I64));
}

/* i64 that broadcast: the flat index of a place, whole tensor included. */
static Value *flat_index(Import *im, const Window *w, Value *const *places) {
    const Type *type = w->x->type;
    const bool columns = lt_onnx_int(im, "storage_order", 0) != 0;
    const Dim *inner = lt_dim_product(im->dims, type->dims + 2, w->s->rank);
    const Dim *planes[] = {type->dims[0], type->dims[1], lt_dim_const(im->dims, 1)};
    const Dim *shape[LT_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        shape[i] = i < 2 ? planes[i] : lt_dim_const(im->dims, 1);
    Value *plane = add(im,
                       mul(im, lt_build_iota(&im->b, DT_I64, type->rank, shape, 0),
                           lt_onnx_dim_value(im, type->dims[1], DT_I64)),
                       lt_build_iota(&im->b, DT_I64, type->rank, shape, 1));
    Value *inside = NULL;
    for (int n = 0; n < w->s->rank; n++) {
        const int axis = columns ? w->s->rank - 1 - n : n;
        Value *size = lt_onnx_dim_value(im, type->dims[axis + 2], DT_I64);
        inside = inside ? add(im, mul(im, inside, size), places[axis]) : places[axis];
    }
    return add(im, mul(im, plane, lt_onnx_dim_value(im, inner, DT_I64)), inside);
}

/* The input at the tap, read at the nearest place that there is. */
static bool visit_tap(Import *im, Window *w) {
    Value *value = w->x, *is_there = NULL, *places[LT_MAX_RANK];
    for (int axis = 0; axis < w->s->rank; axis++) {
        Value *at = places[axis] = tap_place(im, w, axis);
        const Dim *last = lt_dim_add_const(im->dims, w->x->type->dims[axis + 2], -1);
        Value *zero = lt_onnx_scalar_like(im, at, 0), *end = lt_onnx_dim_value(im, last, DT_I64);
        is_there = both(im, is_there, lt_build_map2(&im->b, FN_GE, at, zero));
        is_there = both(im, is_there, lt_build_map2(&im->b, FN_LE, at, end));
        at = lt_build_map3(&im->b, FN_CLAMP, at, zero, end);
        at = lt_build_reshape(&im->b, at, 1, &w->out[axis + 2]);
        if (!value || !at)
            return false;
        value = lt_build_gather(&im->b, value, at, axis + 2);
    }
    Value *index = flat_index(im, w, places), *is_new = is_there;
    if (w->best) {
        Value *is_more = lt_build_map2(&im->b, FN_GT, value, w->best);
        is_more = lt_build_map2(&im->b, FN_OR, is_more, lt_build_map1(&im->b, FN_NOT, w->seen));
        is_new = both(im, is_there, is_more);
    }
    w->index = w->index ? lt_build_map3(&im->b, FN_SELECT, is_new, index, w->index) : index;
    w->best = w->best ? lt_build_map3(&im->b, FN_SELECT, is_new, value, w->best) : value;
    w->seen = w->seen ? lt_build_map2(&im->b, FN_OR, w->seen, is_there) : is_there;
    return w->index && w->best && w->seen;
}

Value *lt_onnx_pool_indices(Import *im, Value *x, const Spatial *s, const Type *y) {
    Window w = {.s = s, .x = x};
    int64_t taps = 1;
    int axis = 0;
    for (int i = 0; i < y->rank; i++)
        w.out[i] = y->dims[i];
    for (int i = 0; i < s->rank && taps <= MOST_TAPS; i++)
        taps *= s->kernel[i];
    if (taps > MOST_TAPS)
        return lt_onnx_unsupported(im, "indices of windows of more than %d elements", MOST_TAPS),
               NULL;
    while (axis >= 0) {
        if (!visit_tap(im, &w))
            return NULL;
        for (axis = s->rank - 1; axis >= 0 && ++w.offset[axis] == s->kernel[axis]; axis--)
            w.offset[axis] = 0;
    }
    return lt_build_broadcast(&im->b, w.index, y->rank, y->dims);
}

/* Zeros but where the indices, into what a pool had as its input, put elements; then zeros at the
 * ends up to the shape that is given. */
bool lt_onnx_max_unpool(Import *im) {
    Value *x = im->inputs[0];
    const Type *type = x->type;
    Spatial s = {0};
    const Dim *shape[LT_MAX_RANK], *low[LT_MAX_RANK], *high[LT_MAX_RANK];
    if (!lt_onnx_spatial(im, false, &s))
        return false;
    for (int i = 0; i < type->rank; i++) {
        shape[i] = type->dims[i];
        low[i] = high[i] = lt_dim_const(im->dims, 0);
        if (i < 2)
            continue;
        const Dim *wide = lt_dim_mul_const(im->dims, lt_dim_add_const(im->dims, shape[i], -1),
                                           s.strides[i - 2]);
        wide = lt_dim_add_const(im->dims, wide, s.kernel[i - 2]);
        shape[i] = lt_dim_sub(im->dims, wide, lt_dim_add(im->dims, s.lo[i - 2], s.hi[i - 2]));
    }
    const Dim *elements = lt_type_elements(im->module, type),
              *all = lt_dim_product(im->dims, shape, type->rank);
    const Attr axis = lt_int(ATTR_AXIS, 0);
    Value *inputs[] = {lt_onnx_full(im, type->dtype, 1, &all, lt_onnx_scalar_like(im, x, 0)),
                       lt_build_reshape(&im->b, im->inputs[1], 1, &elements),
                       lt_build_reshape(&im->b, x, 1, &elements)};
    NodeSpec spec = {.op = OP_SCATTER_ELEMENTS,
                     .inputs = inputs,
                     .input_count = 3,
                     .attrs = &axis,
                     .attr_count = 1};
    Value *y = inputs[0] && inputs[1] && inputs[2] ? lt_build(&im->b, &spec) : NULL;
    y = lt_build_reshape(&im->b, y, type->rank, shape);
    if (!y || !onnx_in(im, 2))
        return onnx_set(im, 0, y);
    int64_t count;
    const Dim *const *wanted = lt_onnx_extents(im, onnx_in(im, 2), "the output's shape", &count);
    if (wanted && count != type->rank)
        return lt_onnx_malformed(im, "the output's shape has %lld extents; expected %d",
                                 (long long)count, type->rank);
    for (int i = 0; wanted && i < type->rank; i++)
        high[i] = lt_dim_sub(im->dims, wanted[i], shape[i]);
    return wanted && onnx_set(im, 0, lt_build_pad(&im->b, y, low, high, NULL, NULL));
}
