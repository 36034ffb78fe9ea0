/* conv_taps.c - convolutions of which only a run tells the kernel's extents, or the groups: on each
 * axis the elements that each tap of the kernel sees are gathered, then one product sums over them.
 *
 * x[n, c, a, b] with a kernel of k x l becomes [n, c, y, k, z, l], and the weight [o, c, k, l]. */
#include "frontends/onnx/extents.h"
#include "frontends/onnx/spatial.h"

typedef struct Taps {
    const Spatial *s;
    const Dim *groups;
    const int64_t *extra;            /* of a transposed convolution; NULL: it is none */
    const Dim *extent, *out;         /* of the axis at hand */
    const Dim *outputs[LT_MAX_RANK]; /* of all axes */
} Taps;

static Value *map(Import *im, ScalarFn fn, Value *a, Value *b) {
    return lt_build_map2(&im->b, fn, a, b);
}

/* The result's extent on this axis, which must be at least 1. */
static void set_output(Import *im, Taps *t, const Dim *extent, int axis) {
    DimTable *d = im->dims;
    const Spatial *s = t->s;
    const Dim *pads = lt_dim_add(d, s->lo[axis], s->hi[axis]), *reach = lt_onnx_reach(im, s, axis);
    const Dim *stride = lt_dim_const(d, s->strides[axis]), *one = lt_dim_const(d, 1), *out;
    if (t->extra) {
        out = lt_dim_add(d, lt_dim_mul(d, lt_dim_add_const(d, extent, -1), stride), reach);
        out = lt_dim_sub(d, lt_dim_add_const(d, out, 1 + t->extra[axis]), pads);
    } else {
        const Dim *room = lt_dim_sub(d, lt_dim_add(d, extent, pads), reach);
        out = lt_dim_add_const(d, lt_dim_floordiv(d, lt_dim_add_const(d, room, -1), stride), 1);
    }
    lt_graph_add_guard(im->b.graph, lt_dim_max(d, out, one), out, im->node->loc);
    t->extent = extent;
    t->out = t->outputs[axis] = out;
}

/* i64[out, k]: which element of the axis each tap sees; *is_there, bool: whether it is one. */
static Value *tap_places(Import *im, const Taps *t, int axis, Value **is_there) {
    const Spatial *s = t->s;
    const Dim *one = lt_dim_const(im->dims, 1);
    const Dim *down[] = {t->out, one}, *across[] = {one, s->extents[axis]};
    const int64_t forward = t->extra ? 1 : s->strides[axis], backward = t->extra ? -1 : 1;
    Value *out =
        lt_onnx_map_scalar(im, FN_MUL, lt_build_iota(&im->b, DT_I64, 2, down, 0), (double)forward);
    Value *tap = lt_onnx_map_scalar(im, FN_MUL, lt_build_iota(&im->b, DT_I64, 2, across, 1),
                                    (double)(backward * s->dilations[axis]));
    Value *pad = lt_onnx_dim_value(im, s->lo[axis], DT_I64);
    Value *at = map(im, t->extra ? FN_ADD : FN_SUB, map(im, FN_ADD, out, tap), pad);
    *is_there = NULL;
    if (t->extra) { /* the input's elements lie `stride` apart */
        const double stride = (double)s->strides[axis];
        Value *rest = lt_onnx_map_scalar(im, FN_MOD, at, stride);
        *is_there = lt_onnx_map_scalar(im, FN_EQ, rest, 0);
        at = lt_onnx_map_scalar(im, FN_FLOORDIV, at, stride);
    }
    Value *inside = map(im, FN_AND, lt_onnx_map_scalar(im, FN_GE, at, 0),
                        map(im, FN_LT, at, lt_onnx_dim_value(im, t->extent, DT_I64)));
    *is_there = *is_there ? map(im, FN_AND, *is_there, inside) : inside;
    Value *last = lt_onnx_dim_value(im, lt_dim_add_const(im->dims, t->extent, -1), DT_I64);
    return map(im, FN_MAX, map(im, FN_MIN, at, last), lt_onnx_scalar_like(im, at, 0));
}

/* [n, c, x...] to [n, c, out, k, out, k, ...], zeros where a tap sees no element. */
static Value *gather_taps(Import *im, Taps *t, Value *x) {
    const Spatial *s = t->s;
    for (int i = 0; x && i < s->rank; i++) {
        const int at = 2 + 2 * i, behind = s->rank - 1 - i;
        Value *is_there, *places;
        set_output(im, t, x->type->dims[at], i);
        places = tap_places(im, t, i, &is_there);
        if (!places || !is_there)
            return NULL;
        const Dim *dims[LT_MAX_RANK] = {t->out, s->extents[i]};
        for (int j = 0; j < behind; j++)
            dims[2 + j] = lt_dim_const(im->dims, 1);
        is_there = lt_build_reshape(&im->b, is_there, 2 + behind, dims);
        x = lt_build_gather(&im->b, x, places, at);
        x = lt_build_map3(&im->b, FN_SELECT, is_there, x, lt_onnx_scalar_like(im, x, 0));
    }
    return x;
}

/* The axis becomes two, of which the first is the groups. */
static Value *split_groups(Import *im, Value *x, int axis, const Dim *groups) {
    const Dim *dims[LT_MAX_RANK + 1];
    if (!x)
        return NULL;
    const Dim *part = lt_onnx_part_extent(im, x->type->dims[axis], groups);
    if (!part || x->type->rank == LT_MAX_RANK)
        return lt_onnx_unsupported(im, "%s groups of %s channels", lt_onnx_dim_text(im, groups),
                                   lt_onnx_dim_text(im, x->type->dims[axis])),
               NULL;
    for (int i = 0; i < x->type->rank; i++)
        dims[i < axis ? i : i + 1] = x->type->dims[i];
    dims[axis] = groups;
    dims[axis + 1] = part;
    return lt_build_reshape(&im->b, x, x->type->rank + 1, dims);
}

/* Letters: n, g groups, c channels, o outputs of a group; pA, qB, ... places and taps of each
 * axis. */
static Value *sum_taps(Import *im, const Taps *t, Value *x, Value *w, bool is_grouped) {
    const char *group = is_grouped ? "g" : "";
    char pairs[2 * LT_MAX_RANK + 1] = "", places[LT_MAX_RANK + 1] = "", taps[LT_MAX_RANK + 1] = "";
    for (int i = 0; i < t->s->rank; i++) {
        places[i] = pairs[2 * i] = (char)('p' + i);
        taps[i] = pairs[2 * i + 1] = (char)('A' + i);
    }
    const char *spec = lt_arena_printf(im->arena, "n%sc%s,%s%s%s->n%so%s", group, pairs, group,
                                       t->extra ? "co" : "oc", taps, group, places);
    return x && w ? lt_build_contract(&im->b, x, w, spec) : NULL;
}

bool lt_onnx_conv_by_taps(Import *im, const Spatial *s, const Dim *groups, const int64_t *extra) {
    Taps t = {.s = s, .groups = groups, .extra = extra};
    const bool is_grouped = !lt_dim_is(groups, 1);
    Value *x = gather_taps(im, &t, im->inputs[0]), *w = im->inputs[1], *bias = onnx_in(im, 2);
    if (is_grouped) {
        x = split_groups(im, x, 1, groups);
        w = split_groups(im, w, 0, groups);
    }
    Value *y = sum_taps(im, &t, x, w, is_grouped);
    if (y && is_grouped) {
        const Dim *dims[LT_MAX_RANK] = {y->type->dims[0],
                                        lt_dim_mul(im->dims, groups, y->type->dims[2])};
        for (int i = 0; i < s->rank; i++)
            dims[i + 2] = t.outputs[i];
        y = lt_build_reshape(&im->b, y, s->rank + 2, dims);
    }
    if (y && bias)
        y = map(im, FN_ADD, y, lt_onnx_along(im, bias, 1, y->type->rank));
    return onnx_set(im, 0, y);
}
