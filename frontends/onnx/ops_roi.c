/* ops_roi.c - parts of an image pooled. RoiAlign reads between elements, as sums over the corners
 * around each sample; MaxRoiPool takes whole elements. */
#include <math.h>
#include <string.h>

#include "frontends/onnx/extents.h"

static Value *add(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_ADD, x, y); }
static Value *sub(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_SUB, x, y); }
static Value *mul(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_MUL, x, y); }
static Value *both(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_AND, x, y); }
static Value *select(Import *im, Value *c, Value *x, Value *y) {
    return lt_build_map3(&im->b, FN_SELECT, c, x, y);
}

/* A place on one axis between two elements; all have the same shape. */
typedef struct Between {
    Value *index[2], *weight[2]; /* i64 within the axis; 0 where there is nothing to be read */
} Between;

/* --- RoiAlign --------------------------------------------------------------------------------- */

typedef struct Regions {
    Value *x, *rois; /* [n, c, h, w]; [r, 4] */
    const Dim *count;
    int64_t out[2], ratio;
    double scale;
    bool half_pixel, is_max;
    const Dim *grid[2];          /* samples of a bin, at most */
    Value *samples[2], *used[2]; /* f[r, 1, 1]: samples of a bin; bool[r, 1, g]: which there are */
    Between at[2];               /* [r, out, grid] */
} Regions;

/* f[r, 1, 1]: an edge of the regions on an axis. */
static Value *edge_of(Import *im, const Regions *g, int axis, int end) {
    const Dim *one = lt_dim_const(im->dims, 1), *shape[] = {g->count, one, one};
    Value *v = lt_onnx_slice_axis(im, g->rois, 1, lt_dim_const(im->dims, 2 * end + 1 - axis), one);
    v = lt_onnx_map_scalar(im, FN_MUL, lt_build_reshape(&im->b, v, 3, shape), g->scale);
    return lt_onnx_map_scalar(im, FN_ADD, v, g->half_pixel ? -0.5 : 0);
}

/* f[r, 1, 1] samples of each bin: what the attribute says, or about one an element. */
static bool set_samples(Import *im, Regions *g, int axis, Value *bin) {
    static const int64_t all[] = {0, 1, 2};
    Value *fixed = lt_onnx_scalar_like(im, bin, (double)g->ratio);
    g->grid[axis] = lt_dim_const(im->dims, g->ratio);
    g->samples[axis] = lt_onnx_broadcast_to(im, fixed, bin->type);
    if (g->ratio > 0)
        return g->samples[axis] != NULL;
    g->samples[axis] = lt_build_map2(&im->b, FN_MAX, lt_build_map1(&im->b, FN_CEIL, bin),
                                     lt_onnx_scalar_like(im, bin, 0));
    Value *most = lt_build_reduce(&im->b, FN_MAX, g->samples[axis], all, 3, false);
    most = lt_build_convert(&im->b, most, DT_I64);
    g->grid[axis] = most ? lt_onnx_extent(im, most, "the samples of a bin") : NULL;
    return g->grid[axis] != NULL;
}

/* Places beyond the image by more than 1 count as 0; nearer ones move to its edge. */
static void set_between(Import *im, Value *at, const Dim *extent, Between *b) {
    Value *zero = lt_onnx_scalar_like(im, at, 0), *one = lt_onnx_scalar_like(im, at, 1);
    Value *size = lt_onnx_dim_value(im, extent, at->type->dtype), *last = sub(im, size, one);
    Value *is_there = both(im, lt_onnx_map_scalar(im, FN_GE, at, -1),
                           lt_build_map2(&im->b, FN_LE, at, size));
    at = lt_build_map3(&im->b, FN_CLAMP, at, zero, last);
    Value *low = lt_build_map1(&im->b, FN_FLOOR, at), *part = sub(im, at, low);
    Value *high = lt_build_map2(&im->b, FN_MIN, add(im, low, one), last);
    b->index[0] = lt_build_convert(&im->b, low, DT_I64);
    b->index[1] = lt_build_convert(&im->b, high, DT_I64);
    b->weight[0] = select(im, is_there, sub(im, one, part), zero);
    b->weight[1] = select(im, is_there, part, zero);
}

static bool set_axis(Import *im, Regions *g, int axis) {
    const Dim *one = lt_dim_const(im->dims, 1);
    const Dim *bins[] = {one, lt_dim_const(im->dims, g->out[axis]), one};
    Value *start = edge_of(im, g, axis, 0), *span = sub(im, edge_of(im, g, axis, 1), start);
    if (!g->half_pixel)
        span = lt_build_map2(&im->b, FN_MAX, span, lt_onnx_scalar_like(im, span, 1));
    Value *bin = lt_onnx_map_scalar(im, FN_DIV, span, (double)g->out[axis]);
    if (!bin || !set_samples(im, g, axis, bin))
        return false;
    const Dim *line[] = {one, one, g->grid[axis]};
    const DType dtype = bin->type->dtype;
    Value *i = lt_build_iota(&im->b, dtype, 3, line, 2);
    g->used[axis] = lt_build_map2(&im->b, FN_LT, i, g->samples[axis]);
    Value *within = lt_build_map2(&im->b, FN_DIV, lt_onnx_map_scalar(im, FN_ADD, i, 0.5),
                                  lt_build_map2(&im->b, FN_MAX, g->samples[axis],
                                                lt_onnx_scalar_like(im, bin, 1)));
    Value *at = add(im, lt_build_iota(&im->b, dtype, 3, bins, 1), within);
    at = add(im, start, mul(im, at, bin));
    if (at)
        set_between(im, at, g->x->type->dims[axis + 2], &g->at[axis]);
    return at && g->at[axis].weight[0] && g->at[axis].weight[1];
}

/* [r, a, b] of axis 0 or 1 as [r, a, b, 1, 1] or [r, 1, 1, a, b]. */
static Value *spread(Import *im, Value *v, int axis) {
    static const int64_t where[2][2] = {{3, 4}, {1, 2}};
    return lt_build_unsqueeze(&im->b, v, where[axis], 2);
}

/* [r, h, g, w, g', c]: the image at a corner of each sample, times its weight. */
static Value *corner(Import *im, const Regions *g, Value *flat, Value *batch, int y, int x) {
    static const int64_t all[] = {1, 2, 3, 4}, last[] = {5};
    const Dim *const *d = g->x->type->dims;
    Value *row = lt_build_unsqueeze(&im->b, batch, all, 4);
    row = add(im, mul(im, row, lt_onnx_dim_value(im, d[2], DT_I64)),
              spread(im, g->at[0].index[y], 0));
    Value *index = add(im, mul(im, row, lt_onnx_dim_value(im, d[3], DT_I64)),
                       spread(im, g->at[1].index[x], 1));
    Value *weight = mul(im, spread(im, g->at[0].weight[y], 0), spread(im, g->at[1].weight[x], 1));
    Value *value = index && flat ? lt_build_gather(&im->b, flat, index, 0) : NULL;
    return mul(im, value, lt_build_unsqueeze(&im->b, weight, last, 1));
}

/* [r, h, w, c] */
static Value *pooled(Import *im, const Regions *g, Value *flat, Value *batch) {
    static const int64_t last[] = {5}, samples[] = {2, 4};
    Value *total = NULL;
    for (int i = 0; i < 4; i++) {
        Value *part = corner(im, g, flat, batch, i / 2, i % 2);
        total = total ? lt_build_map2(&im->b, g->is_max ? FN_MAX : FN_ADD, total, part) : part;
    }
    Value *used = both(im, spread(im, g->used[0], 0), spread(im, g->used[1], 1));
    const ScalarFn fn = g->is_max ? FN_MAX : FN_ADD;
    Value *none = lt_onnx_scalar_like(im, total, g->is_max ? -(double)INFINITY : 0);
    total = select(im, lt_build_unsqueeze(&im->b, used, last, 1), total, none);
    Value *y = lt_build_reduce(&im->b, fn, total, samples, 2, false);
    if (g->is_max)
        return y;
    static const int64_t channel[] = {3};
    Value *number = mul(im, g->samples[0], g->samples[1]);
    number = lt_build_map2(&im->b, FN_MAX, number, lt_onnx_scalar_like(im, number, 1));
    return lt_build_map2(&im->b, FN_DIV, y, lt_build_unsqueeze(&im->b, number, channel, 1));
}

bool lt_onnx_roi_align(Import *im) {
    const char *mode = lt_onnx_string(im, "mode", "avg");
    const char *how = lt_onnx_string(im, "coordinate_transformation_mode",
                                     im->version < 16 ? "output_half_pixel" : "half_pixel");
    Regions g = {.x = im->inputs[0],
                 .rois = im->inputs[1],
                 .ratio = lt_onnx_int(im, "sampling_ratio", 0),
                 .scale = lt_onnx_float(im, "spatial_scale", 1),
                 .half_pixel = strcmp(how, "half_pixel") == 0,
                 .is_max = strcmp(mode, "max") == 0,
                 .out = {lt_onnx_int(im, "output_height", 1), lt_onnx_int(im, "output_width", 1)}};
    if (!g.is_max && strcmp(mode, "avg") != 0)
        return lt_onnx_malformed(im, "mode is '%s'; expected avg or max", mode);
    if (g.x->type->rank != 4 || g.rois->type->rank != 2 || im->inputs[2]->type->rank != 1 ||
        g.ratio < 0 || g.out[0] < 1 || g.out[1] < 1)
        return lt_onnx_malformed(im, "an image [n, c, h, w], regions [r, 4] and batches [r] are "
                                     "expected, with outputs of at least 1");
    if (!(g.rois = lt_onnx_fix_extent(im, g.rois, 1, 4, "the regions")))
        return false;
    g.count = g.rois->type->dims[0];
    const Dim *const *d = g.x->type->dims;
    const Dim *lines[] = {lt_dim_mul(im->dims, d[0], lt_dim_mul(im->dims, d[2], d[3])), d[1]};
    Value *flat = lt_build_reshape(&im->b, lt_onnx_to_channels_last(im, g.x), 2, lines);
    Value *batch = lt_build_convert(&im->b, im->inputs[2], DT_I64);
    if (!flat || !batch || !set_axis(im, &g, 0) || !set_axis(im, &g, 1))
        return false;
    return onnx_set(im, 0, lt_onnx_to_channels_first(im, pooled(im, &g, flat, batch)));
}

/* --- MaxRoiPool ------------------------------------------------------------------------------- */

/* bool[r, out, extent]: which elements of an axis each bin of the regions [r, 5] has. Edges are
 * rounded, and both belong to the region. */
static Value *bin_mask(Import *im, Value *rois, int axis, int64_t out, const Dim *extent) {
    const double scale = lt_onnx_float(im, "spatial_scale", 1);
    const Dim *one = lt_dim_const(im->dims, 1), *shape[] = {rois->type->dims[0], one, one};
    const Dim *bins[] = {one, lt_dim_const(im->dims, out), one}, *line[] = {one, one, extent};
    const DType dtype = rois->type->dtype;
    Value *edge[2];
    for (int end = 0; end < 2; end++) {
        Value *v =
            lt_onnx_slice_axis(im, rois, 1, lt_dim_const(im->dims, 2 * end + 2 - axis), one);
        v = lt_onnx_map_scalar(im, FN_MUL, lt_build_reshape(&im->b, v, 3, shape), scale);
        v = lt_onnx_map_scalar(im, FN_ADD, v, 0.5); /* halves go up */
        edge[end] = lt_build_map1(&im->b, FN_FLOOR, v);
    }
    Value *span = lt_onnx_map_scalar(im, FN_ADD, sub(im, edge[1], edge[0]), 1);
    Value *size = lt_build_map2(&im->b, FN_MAX, span, lt_onnx_scalar_like(im, span, 1));
    size = lt_onnx_map_scalar(im, FN_DIV, size, (double)out);
    Value *bin = lt_build_iota(&im->b, dtype, 3, bins, 1);
    Value *low = lt_build_map1(&im->b, FN_FLOOR, mul(im, bin, size));
    Value *high = lt_build_map1(
        &im->b, FN_CEIL, mul(im, lt_onnx_map_scalar(im, FN_ADD, bin, 1), size));
    Value *at = lt_build_iota(&im->b, dtype, 3, line, 2);
    return both(im, lt_build_map2(&im->b, FN_GE, at, add(im, low, edge[0])),
                lt_build_map2(&im->b, FN_LT, at, add(im, high, edge[0])));
}

/* The maxima of bins: along the rows first, then along the columns. A bin of no element has 0. */
bool lt_onnx_max_roi_pool(Import *im) {
    static const int64_t across_axes[] = {1, 2}, down_axes[] = {1, 4};
    static const int64_t one = 1, two = 2, three = 3, four = 4;
    Value *x = im->inputs[0], *rois = im->inputs[1];
    const int64_t *out = lt_onnx_ints_of(im, "pooled_shape", 2, 0, 1);
    const Dim *start = lt_dim_const(im->dims, 0), *size = lt_dim_const(im->dims, 1);
    if (!out || out[0] < 1 || x->type->rank != 4 || rois->type->rank != 2)
        return lt_onnx_malformed(im, "an image of rank 4, regions of rank 2 and a pooled_shape are "
                                     "expected");
    if (lt_dim_is_const(rois->type->dims[1]) && !lt_dim_is(rois->type->dims[1], 5))
        return lt_onnx_malformed(im, "regions have %s numbers; expected 5",
                                 lt_onnx_dim_text(im, rois->type->dims[1]));
    lt_graph_add_guard(im->b.graph, rois->type->dims[1], lt_dim_const(im->dims, 5), im->node->loc);
    Value *batch = lt_build_convert(&im->b, lt_onnx_slice_axis(im, rois, 1, start, size), DT_I64);
    batch = lt_build_squeeze(&im->b, batch, &one, 1);
    if (!batch || !(x = lt_build_gather(&im->b, x, batch, 0)))
        return false;
    Value *none = lt_onnx_scalar_like(im, x, -(double)INFINITY);
    Value *across = bin_mask(im, rois, 1, out[1], x->type->dims[3]);
    Value *down = bin_mask(im, rois, 0, out[0], x->type->dims[2]);
    /* [r, c, h, out, w] to [r, c, h, out] */
    Value *y = select(im, lt_build_unsqueeze(&im->b, across, across_axes, 2),
                      lt_build_unsqueeze(&im->b, x, &three, 1), none);
    y = lt_build_reduce(&im->b, FN_MAX, y, &four, 1, false);
    /* [r, c, out, h, out] to [r, c, out, out] */
    y = select(im, lt_build_unsqueeze(&im->b, down, down_axes, 2),
               lt_build_unsqueeze(&im->b, y, &two, 1), none);
    y = lt_build_reduce(&im->b, FN_MAX, y, &three, 1, false);
    Value *is_empty = lt_build_map2(&im->b, FN_EQ, y, none);
    return onnx_set(im, 0, select(im, is_empty, lt_onnx_scalar_like(im, y, 0), y));
}
