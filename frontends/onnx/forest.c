/* forest.c - decision trees on tensors.
 *
 * All trees of all rows go down one level at a time: place[n, tree] holds where each is, and a loop
 * of as many iterations as the deepest tree has levels gathers the node there, compares, and
 * gathers the next place. Leaves lead to themselves, and have the first numbers, so that at the end
 * a place is the row of the leaf's weights. */
#include "frontends/onnx/forest.h"

#include <math.h>
#include <string.h>

#include "frontends/onnx/loop.h"

enum { MOST_WEIGHTS = 1 << 25 };

bool lt_forest_weights(Import *im, Forest *f) {
    if (f->targets < 1 || f->leaves < 1 || f->targets > MOST_WEIGHTS / f->leaves)
        return lt_onnx_unsupported(im, "%lld leaves and %lld targets are not supported",
                                   (long long)f->leaves, (long long)f->targets);
    f->weights = LT_ARRAY(im->arena, double, f->leaves * f->targets);
    f->is_given = LT_ARRAY(im->arena, bool, f->leaves * f->targets);
    return true;
}

/* --- checks ----------------------------------------------------------------------------------- */

static bool check_place(Import *im, const Forest *f, int64_t place) {
    return (place >= 0 ? place < (int64_t)f->nodes.len : ~place < f->leaves) ||
           lt_onnx_malformed(im, "there is no node %lld", (long long)place);
}

/* How many levels of nodes the deepest tree has, -1 after an error: each node has one parent. */
static int64_t depth_of(Import *im, const Forest *f) {
    int64_t *level = LT_ARRAY(im->arena, int64_t, f->nodes.len + 1), depth = 0;
    int64_t *queue = LT_ARRAY(im->arena, int64_t, f->nodes.len + 1);
    size_t tail = 0;
    for (size_t i = 0; i < f->roots.len + 2 * tail; i++) {
        const bool is_root = i < f->roots.len;
        const size_t from = (i - f->roots.len) / 2;
        const int64_t parent = is_root ? 0 : queue[from];
        const bool takes_yes = (i - f->roots.len) % 2 == 0;
        const int64_t place = is_root     ? f->roots.data[i]
                              : takes_yes ? f->nodes.data[parent].yes
                                          : f->nodes.data[parent].no;
        if (!check_place(im, f, place))
            return -1;
        if (place < 0)
            continue;
        if (level[place]) {
            lt_onnx_malformed(im, "node %lld has two parents", (long long)place);
            return -1;
        }
        level[place] = is_root ? 1 : level[parent] + 1;
        depth = level[place] > depth ? level[place] : depth;
        queue[tail++] = place;
    }
    return depth;
}

/* Features are columns of x. */
static bool check_features(Import *im, const Forest *f, const Value *x) {
    int64_t most = 0;
    for (size_t i = 0; i < f->nodes.len; i++) {
        const int64_t feature = f->nodes.data[i].feature;
        if (feature < 0 || feature > INT32_MAX)
            return lt_onnx_malformed(im, "node %zu asks for feature %lld", i, (long long)feature);
        most = feature > most ? feature : most;
    }
    const Dim *columns = x->type->dims[1], *least = lt_dim_const(im->dims, most + 1);
    if (lt_dim_is_const(columns) && columns->value <= most)
        return lt_onnx_malformed(im, "a node asks for feature %lld of %lld", (long long)most,
                                 (long long)columns->value);
    lt_graph_add_guard(im->b.graph, lt_dim_max(im->dims, columns, least), columns, im->node->loc);
    return true;
}

/* --- tables ----------------------------------------------------------------------------------- */

/* By place: i32[leaves + nodes]. */
typedef struct Tables {
    Value *feature, *truths, *yes, *no, *split;
    int common; /* truths of all nodes; -1: they differ */
} Tables;

static int64_t number_of(const Forest *f, int64_t place) {
    return place < 0 ? ~place : f->leaves + place;
}

static Value *int_list(Import *im, const int32_t *values, int64_t count) {
    return lt_build_const(
        &im->b, lt_const(im->module, lt_type_static(im->module, DT_I32, 1, &count), values));
}

static Tables make_tables(Import *im, const Forest *f, DType dtype) {
    const int64_t count = f->leaves + (int64_t)f->nodes.len;
    int32_t *list[4];
    double *split = LT_ARRAY(im->arena, double, count);
    Tables t = {.common = f->nodes.len ? f->nodes.data[0].truths : -1};
    for (int i = 0; i < 4; i++)
        list[i] = LT_ARRAY(im->arena, int32_t, count);
    for (int32_t i = 0; i < count; i++) {
        const bool is_leaf = i < f->leaves;
        const TreeNode *n = is_leaf ? NULL : &f->nodes.data[i - f->leaves];
        list[0][i] = is_leaf ? 0 : (int32_t)n->feature;
        list[1][i] = is_leaf ? 0 : n->truths;
        list[2][i] = is_leaf ? i : (int32_t)number_of(f, n->yes);
        list[3][i] = is_leaf ? i : (int32_t)number_of(f, n->no);
        split[i] = is_leaf ? 0 : n->split;
        t.common = is_leaf || n->truths == t.common ? t.common : -1;
    }
    t.feature = int_list(im, list[0], count);
    t.truths = int_list(im, list[1], count);
    t.yes = int_list(im, list[2], count);
    t.no = int_list(im, list[3], count);
    t.split = lt_onnx_real_list(im, dtype, split, 1, &count);
    return t;
}

/* --- going down ------------------------------------------------------------------------------- */

/* Whether the nodes are true: one comparison where they are all of one kind. */
static Value *is_true(Import *im, Value *x, Value *split, Value *truths, int common) {
    static const ScalarFn functions[] = {[TREE_LESS] = FN_LT,
                                         [TREE_EQUAL] = FN_EQ,
                                         [TREE_GREATER] = FN_GT,
                                         [TREE_LESS | TREE_EQUAL] = FN_LE,
                                         [TREE_GREATER | TREE_EQUAL] = FN_GE};
    if (common > 0 && common < (int)(sizeof functions / sizeof *functions) &&
        common != (TREE_LESS | TREE_GREATER))
        return onnx_map2(im, functions[common], x, split);
    Value *outcome = lt_build_int(&im->b, DT_I32, TREE_NAN);
    outcome = onnx_pick(im, onnx_map2(im, FN_GT, x, split),
                        lt_build_int(&im->b, DT_I32, TREE_GREATER), outcome);
    outcome = onnx_pick(im, onnx_map2(im, FN_EQ, x, split),
                        lt_build_int(&im->b, DT_I32, TREE_EQUAL), outcome);
    outcome = onnx_pick(im, onnx_map2(im, FN_LT, x, split), lt_build_int(&im->b, DT_I32, TREE_LESS),
                        outcome);
    return lt_onnx_map_scalar(im, FN_NE, onnx_map2(im, FN_BITAND, outcome, truths), 0);
}

static Value *step_down(Import *im, OnnxLoop *l, const Tables *t, Value *x) {
    Value *place = l->state[0], *at[5];
    Value *const tables[] = {t->feature, t->truths, t->yes, t->no, t->split};
    for (int i = 0; i < 5; i++) {
        Value *table = lt_onnx_loop_capture(im, l, tables[i]);
        if (!table || !(at[i] = lt_build_gather(&im->b, table, place, 0)))
            return NULL;
    }
    const Attr axis = lt_int(ATTR_AXIS, 1);
    Value *inputs[] = {lt_onnx_loop_capture(im, l, x), at[0]};
    Value *feature = inputs[0] ? lt_build(&im->b, &(NodeSpec){.op = OP_GATHER_ELEMENTS,
                                                              .inputs = inputs,
                                                              .input_count = 2,
                                                              .attrs = &axis,
                                                              .attr_count = 1})
                               : NULL;
    return onnx_pick(im, is_true(im, feature, at[4], at[1], t->common), at[2], at[3]);
}

/* i32[n, trees]: the leaf of each. */
static Value *leaves_of(Import *im, const Forest *f, Value *x, int64_t depth) {
    const int64_t count = (int64_t)f->roots.len;
    int32_t *roots = LT_ARRAY(im->arena, int32_t, count);
    const Dim *shape[] = {x->type->dims[0], lt_dim_const(im->dims, count)};
    Value *next;
    for (int64_t i = 0; i < count; i++)
        roots[i] = (int32_t)number_of(f, f->roots.data[i]);
    OnnxLoop l = {.trips = lt_dim_const(im->dims, depth), .carried = 1};
    l.starts[0] = lt_build_broadcast(&im->b, int_list(im, roots, count), 2, shape);
    if (depth == 0)
        return l.starts[0];
    const Tables t = make_tables(im, f, x->type->dtype);
    if (!lt_onnx_loop_begin(im, &l))
        return NULL;
    next = step_down(im, &l, &t, x);
    return lt_onnx_loop_end(im, &l, &next) ? l.state[0] : NULL;
}

/* --- folding ---------------------------------------------------------------------------------- */

/* The leaves' weights; what is not given is the fold's identity. */
static Value *weight_table(Import *im, const Forest *f, DType dtype) {
    const int64_t dims[] = {f->leaves, f->targets};
    double *values = LT_ARRAY(im->arena, double, f->leaves * f->targets);
    const double identity = f->fold == FOREST_MIN   ? INFINITY
                            : f->fold == FOREST_MAX ? -INFINITY
                                                    : 0;
    for (int64_t i = 0; i < f->leaves * f->targets; i++)
        values[i] = f->is_given[i] ? f->weights[i] : identity;
    return lt_onnx_real_list(im, dtype, values, 2, dims);
}

Value *lt_forest_scores(Import *im, const Forest *f, Value *x) {
    static const int64_t trees = 1;
    static const ScalarFn folds[] = {FN_ADD, FN_ADD, FN_MIN, FN_MAX};
    const DType dtype = x->type->dtype;
    const int64_t depth = depth_of(im, f);
    if (depth < 0 || !check_features(im, f, x))
        return NULL;
    if (f->roots.len == 0 || f->leaves + (int64_t)f->nodes.len > INT32_MAX) {
        lt_onnx_malformed(im, "there are %zu trees of %zu nodes", f->roots.len, f->nodes.len);
        return NULL;
    }
    Value *leaf = leaves_of(im, f, x, depth);
    Value *y = leaf ? lt_build_gather(&im->b, weight_table(im, f, dtype), leaf, 0) : NULL;
    y = lt_build_reduce(&im->b, folds[f->fold], y, &trees, 1, false);
    if (f->fold == FOREST_AVERAGE)
        return lt_onnx_map_scalar(im, FN_DIV, y, (double)f->roots.len);
    if (f->fold == FOREST_SUM)
        return y;
    Value *is_none = lt_build_map1(&im->b, FN_ISINF, y); /* no leaf speaks of the target */
    return onnx_pick(im, is_none, lt_onnx_scalar_like(im, y, 0), y);
}
