/* ops_order.c - NonMaxSuppression and Unique: sorted, then what stays found by a mask. */
#include <string.h>

#include "frontends/onnx/extents.h"
#include "frontends/onnx/loop.h"

static Value *sub(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_SUB, x, y); }

/* All elements of an axis in order, equal ones as they lie: the values, and their indices through
 * *indices. */
static Value *sorted(Import *im, Value *x, int64_t axis, bool largest, Value **indices) {
    if (!x)
        return NULL;
    const Attr attrs[] = {lt_int(ATTR_AXIS, axis), lt_dims(ATTR_SIZE, &x->type->dims[axis], 1),
                          lt_int(ATTR_LARGEST, largest), lt_int(ATTR_SORTED, 1)};
    NodeSpec spec = {
        .op = OP_SORT, .inputs = &x, .input_count = 1, .attrs = attrs, .attr_count = 4};
    Value *values = lt_build(&im->b, &spec);
    *indices = values ? values->def->outputs[1] : NULL;
    return values;
}

/* --- NonMaxSuppression ------------------------------------------------------------------------ */

typedef struct Suppression {
    const Dim *batches, *classes, *boxes;
    Value *order;   /* i64[b, c, n]: boxes by falling score */
    Value *keep;    /* bool[b, c, n]: those that may be selected, in that order */
    Value *edge[4]; /* f[b, c, n] in that order: y0, x0, y1, x1, the lower ones first */
    Value *most, *overlap; /* i64[]; f[]: IoU above it suppresses */
} Suppression;

/* Column i of boxes [b, n, 4]. */
static Value *column(Import *im, Value *boxes, int64_t i) {
    static const int64_t last[] = {2};
    Value *v = lt_onnx_slice_axis(im, boxes, 2, lt_dim_const(im->dims, i),
                                  lt_dim_const(im->dims, 1));
    return lt_build_squeeze(&im->b, v, last, 1);
}

/* Sets the edges along dim (0: y, 1: x), [b, n]. */
static void set_edges(Import *im, Value *boxes, int dim, Value **low, Value **high) {
    if (lt_onnx_int(im, "center_point_box", 0) != 0) {
        Value *center = column(im, boxes, 1 - dim),
              *half = lt_onnx_map_scalar(im, FN_MUL, column(im, boxes, 3 - dim), 0.5);
        *low = sub(im, center, half);
        *high = lt_build_map2(&im->b, FN_ADD, center, half);
        return;
    }
    Value *a = column(im, boxes, dim), *b = column(im, boxes, dim + 2);
    *low = lt_build_map2(&im->b, FN_MIN, a, b);
    *high = lt_build_map2(&im->b, FN_MAX, a, b);
}

/* [b, n] read in the order of each class. */
static Value *in_order(Import *im, const Suppression *s, Value *x) {
    static const int64_t middle[] = {1};
    const Dim *shape[] = {s->batches, s->classes, s->boxes};
    x = lt_build_broadcast(&im->b, lt_build_unsqueeze(&im->b, x, middle, 1), 3, shape);
    const Attr axis = lt_int(ATTR_AXIS, 2);
    Value *inputs[] = {x, s->order};
    NodeSpec spec = {.op = OP_GATHER_ELEMENTS,
                     .inputs = inputs,
                     .input_count = 2,
                     .attrs = &axis,
                     .attr_count = 1};
    return x && s->order ? lt_build(&im->b, &spec) : NULL;
}

/* The threshold at input i, or `otherwise`. */
static Value *limit(Import *im, uint32_t i, DType dtype, int64_t otherwise) {
    Value *v = onnx_in(im, i);
    if (!v)
        return lt_build_convert(&im->b, lt_build_int(&im->b, DT_I64, otherwise), dtype);
    return lt_build_convert(&im->b, lt_build_reshape(&im->b, v, 0, NULL), dtype);
}

static bool prepare(Import *im, Suppression *s) {
    Value *boxes = im->inputs[0], *scores = im->inputs[1], *low[2], *high[2];
    if (boxes->type->rank != 3 || scores->type->rank != 3)
        return lt_onnx_malformed(im, "boxes must be [batch, n, 4] and scores [batch, classes, n]");
    if (!(boxes = lt_onnx_fix_extent(im, boxes, 2, 4, "boxes")))
        return false;
    s->batches = scores->type->dims[0];
    s->classes = scores->type->dims[1];
    s->boxes = scores->type->dims[2];
    scores = sorted(im, scores, 2, true, &s->order);
    for (int dim = 0; dim < 2; dim++) {
        set_edges(im, boxes, dim, &low[dim], &high[dim]);
        s->edge[dim] = in_order(im, s, low[dim]);
        s->edge[dim + 2] = in_order(im, s, high[dim]);
    }
    if (!scores || !s->edge[0] || !s->edge[1] || !s->edge[2] || !s->edge[3])
        return false;
    if (onnx_in(im, 4))
        s->keep = lt_build_map2(&im->b, FN_GT, scores, limit(im, 4, scores->type->dtype, 0));
    else
        s->keep = lt_onnx_full(im, DT_BOOL, 3, scores->type->dims,
                               lt_build_const(&im->b, lt_const_int(im->module, DT_BOOL, 1)));
    s->most = limit(im, 2, DT_I64, 0);
    s->overlap = limit(im, 3, boxes->type->dtype, 0);
    return s->keep && s->most && s->overlap;
}

/* [b, c, n, 4]. */
static Value *edges(Import *im, const Suppression *s) {
    static const int64_t last[] = {3};
    Value *columns[4];
    for (int i = 0; i < 4; i++)
        if (!(columns[i] = lt_build_unsqueeze(&im->b, s->edge[i], last, 1)))
            return NULL;
    return lt_build_concat(&im->b, columns, 4, 3);
}

static Value *suppress(Import *im, const Suppression *s) {
    Value *inputs[] = {s->keep, edges(im, s), s->most, s->overlap};
    NodeSpec spec = {.op = OP_SUPPRESS, .inputs = inputs, .input_count = 4};
    return inputs[1] ? lt_build(&im->b, &spec) : NULL;
}

/* i64[k, 3]: batch, class, box. */
bool lt_onnx_non_max_suppression(Import *im) {
    static const int64_t last[] = {1};
    Suppression s = {0};
    Value *keep = prepare(im, &s) ? suppress(im, &s) : NULL;
    if (!keep)
        return false;
    const Dim *flat = lt_type_elements(im->module, keep->type);
    Value *at = lt_onnx_find(im, lt_build_reshape(&im->b, keep, 1, &flat));
    Value *box = lt_build_gather(&im->b, lt_build_reshape(&im->b, s.order, 1, &flat), at, 0);
    Value *list = lt_build_map2(&im->b, FN_FLOORDIV, at, lt_onnx_dim_value(im, s.boxes, DT_I64));
    Value *classes = lt_onnx_dim_value(im, s.classes, DT_I64);
    Value *columns[] = {lt_build_map2(&im->b, FN_FLOORDIV, list, classes),
                        lt_build_map2(&im->b, FN_MOD, list, classes), box};
    for (int i = 0; i < 3; i++)
        if (!(columns[i] = lt_build_unsqueeze(&im->b, columns[i], last, 1)))
            return false;
    return onnx_set(im, 0, lt_build_concat(&im->b, columns, 3, 1));
}

/* --- Unique ----------------------------------------------------------------------------------- */

/* i64[n]: the rows of [n, m] in lexicographic order, equal ones as they lie: sorted by one column
 * after the other, the most significant one last. */
static Value *row_order(Import *im, Value *rows) {
    static const int64_t to_front[] = {1, 0};
    const Dim *n = rows->type->dims[0], *m = rows->type->dims[1];
    Value *order, *columns = lt_build_transpose(&im->b, rows, to_front);
    if (lt_dim_is(m, 1))
        return sorted(im, lt_build_reshape(&im->b, rows, 1, &n), 0, false, &order) ? order : NULL;
    OnnxLoop loop = {.trips = m, .reverse = true, .carried = 1};
    loop.starts[0] = lt_build_iota(&im->b, DT_I64, 1, &n, 0);
    if (!columns || !lt_onnx_loop_begin(im, &loop))
        return NULL;
    Value *key = lt_onnx_loop_step(im, &loop, columns);
    key = key ? lt_build_gather(&im->b, key, loop.state[0], 0) : NULL;
    Value *next = sorted(im, key, 0, false, &order)
                      ? lt_build_gather(&im->b, loop.state[0], order, 0)
                      : NULL;
    return lt_onnx_loop_end(im, &loop, &next) ? loop.state[0] : NULL;
}

/* bool[n]: whether a row of the sorted ones differs from the one before. */
static Value *is_first(Import *im, Value *rows) {
    static const int64_t last[] = {1};
    const Dim *n = rows->type->dims[0];
    Value *at = lt_build_iota(&im->b, DT_I64, 1, &n, 0);
    Value *before = lt_build_map2(&im->b, FN_MAX, lt_onnx_map_scalar(im, FN_ADD, at, -1),
                                  lt_onnx_scalar_like(im, at, 0));
    Value *differs = lt_build_map2(&im->b, FN_NE, rows, lt_build_gather(&im->b, rows, before, 0));
    differs = lt_build_reduce(&im->b, FN_OR, differs, last, 1, false);
    return lt_build_map2(&im->b, FN_OR, differs, lt_onnx_map_scalar(im, FN_EQ, at, 0));
}

typedef struct Groups {
    Value *first, *inverse, *counts; /* i64[u], i64[n], i64[u] */
} Groups;

static bool find_groups(Import *im, Value *rows, Groups *g) {
    const Dim *n = rows->type->dims[0];
    Value *order = row_order(im, rows);
    Value *starts = order ? is_first(im, lt_build_gather(&im->b, rows, order, 0)) : NULL;
    Value *places = starts ? lt_onnx_find(im, starts) : NULL;
    if (!places)
        return false;
    Value *ones = lt_build_convert(&im->b, starts, DT_I64);
    Value *group = lt_onnx_map_scalar(im, FN_ADD, lt_onnx_running_sum(im, ones), -1);
    Value *each = lt_onnx_full(im, DT_I64, 1, &n, lt_build_int(&im->b, DT_I64, 1));
    g->first = lt_build_gather(&im->b, order, places, 0);
    g->inverse = lt_onnx_scattered(im, n, order, group, false);
    g->counts = lt_onnx_scattered(im, places->type->dims[0], group, each, true);
    return g->first && g->inverse && g->counts;
}

/* The groups in the order of their first elements. */
static bool unsort(Import *im, Groups *g) {
    const Dim *u = g->first->type->dims[0];
    Value *order, *first = sorted(im, g->first, 0, false, &order);
    if (!first)
        return false;
    Value *rank = lt_onnx_scattered(im, u, order, lt_build_iota(&im->b, DT_I64, 1, &u, 0), false);
    g->first = first;
    g->counts = lt_build_gather(&im->b, g->counts, order, 0);
    g->inverse = rank ? lt_build_gather(&im->b, rank, g->inverse, 0) : NULL;
    return g->counts && g->inverse;
}

bool lt_onnx_unique(Import *im) {
    Value *x = im->inputs[0], *rows = x;
    int64_t axis = 0, perm[LT_MAX_RANK];
    const Dim *shape[2] = {lt_type_elements(im->module, x->type), lt_dim_const(im->dims, 1)};
    if (!lt_onnx_has(im, "axis")) {
        rows = x = lt_build_reshape(&im->b, x, 1, shape);
    } else {
        if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), x->type->rank, &axis))
            return false;
        for (int i = 0; i < x->type->rank; i++)
            perm[i] = i == 0 ? axis : i <= axis ? i - 1 : i;
        rows = lt_build_transpose(&im->b, x, perm);
        shape[0] = x->type->dims[axis];
        for (int i = 0; i < x->type->rank; i++)
            if (i != axis)
                shape[1] = lt_dim_mul(im->dims, shape[1], x->type->dims[i]);
    }
    Groups g;
    rows = lt_build_reshape(&im->b, rows, 2, shape);
    if (!rows || !find_groups(im, rows, &g))
        return false;
    if (!lt_onnx_int(im, "sorted", 1) && !unsort(im, &g))
        return false;
    onnx_set(im, 1, g.first);
    onnx_set(im, 2, g.inverse);
    onnx_set(im, 3, g.counts);
    return onnx_set(im, 0, lt_build_gather(&im->b, x, g.first, (int)axis));
}
