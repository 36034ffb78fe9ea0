/* ops_tree.c - ensembles of trees, as ai.onnx.ml writes them: TreeEnsemble, and before version 5
 * TreeEnsembleRegressor and TreeEnsembleClassifier. */
#include <math.h>
#include <string.h>

#include "frontends/onnx/forest.h"

/* Names of modes, in the order of TreeEnsemble's numbers. */
static const struct {
    const char *name;
    int truths;
} modes[] = {
    {"BRANCH_LEQ", TREE_LESS | TREE_EQUAL},
    {"BRANCH_LT", TREE_LESS},
    {"BRANCH_GTE", TREE_GREATER | TREE_EQUAL},
    {"BRANCH_GT", TREE_GREATER},
    {"BRANCH_EQ", TREE_EQUAL},
    {"BRANCH_NEQ", TREE_LESS | TREE_GREATER | TREE_NAN},
};
enum { MODES = 6, MODE_MEMBER = 6 };

/* An attribute of integers, one for each node; absent where `optional`. */
static const int64_t *node_ints(Import *im, const char *name, int64_t count, bool optional) {
    int64_t given;
    const int64_t *values = lt_onnx_ints(im, name, &given);
    if (given == count || (optional && given == 0))
        return given ? values : lt_onnx_int_array(im, count, 0);
    lt_onnx_malformed(im, "%s has %lld numbers for %lld nodes", name, (long long)given,
                      (long long)count);
    return NULL;
}

static void add_node(Import *im, Forest *f, TreeNode node) {
    lt_vec_push(im->arena, &f->nodes, node);
}

/* --- TreeEnsemble ----------------------------------------------------------------------------- */

/* What TreeEnsemble's attributes say, by node. */
typedef struct Ensemble {
    int64_t count, leaves, members, next_member;
    const double *splits, *modes, *weights, *member;
    const int64_t *features, *yes, *no, *yes_is_leaf, *no_is_leaf, *nan_is_true, *targets;
} Ensemble;

static bool read_ensemble(Import *im, Ensemble *e) {
    int64_t count;
    e->splits = lt_onnx_tensor_reals(im, "nodes_splits", &e->count);
    e->modes = lt_onnx_tensor_reals(im, "nodes_modes", &count);
    e->weights = lt_onnx_tensor_reals(im, "leaf_weights", &e->leaves);
    e->member = lt_onnx_tensor_reals(im, "membership_values", &e->members);
    if (!e->splits || !e->modes || !e->weights || count != e->count)
        return lt_onnx_malformed(im, "nodes_splits, nodes_modes and leaf_weights must be given, "
                                     "the first two of one length");
    e->features = node_ints(im, "nodes_featureids", e->count, false);
    e->yes = node_ints(im, "nodes_truenodeids", e->count, false);
    e->no = node_ints(im, "nodes_falsenodeids", e->count, false);
    e->yes_is_leaf = node_ints(im, "nodes_trueleafs", e->count, false);
    e->no_is_leaf = node_ints(im, "nodes_falseleafs", e->count, false);
    e->nan_is_true = node_ints(im, "nodes_missing_value_tracks_true", e->count, true);
    e->targets = node_ints(im, "leaf_targetids", e->leaves, false);
    return e->features && e->yes && e->no && e->yes_is_leaf && e->no_is_leaf && e->nan_is_true &&
           e->targets;
}

static int64_t place_of(int64_t id, int64_t is_leaf) { return is_leaf ? ~id : id; }

/* A set is a chain of comparisons with each of its members, which end with a NaN in the list. The
 * first is the node itself, the others come behind all nodes. */
static bool add_members(Import *im, Forest *f, Ensemble *e, int64_t node) {
    TreeNode link = f->nodes.data[node];
    const int64_t no = link.no;
    int64_t at = node;
    bool is_first = true;
    for (; e->next_member < e->members && !isnan(e->member[e->next_member]); e->next_member++) {
        link.split = e->member[e->next_member];
        if (!is_first) {
            const int64_t next = (int64_t)f->nodes.len;
            f->nodes.data[at].no = next;
            link.truths &= ~TREE_NAN;
            add_node(im, f, link);
            at = next;
        } else {
            f->nodes.data[node].split = link.split;
        }
        f->nodes.data[at].no = no;
        is_first = false;
    }
    e->next_member++;
    return !is_first || lt_onnx_malformed(im, "node %lld has no members", (long long)node);
}

/* Members in the order of the nodes of their mode. */
static bool add_nodes(Import *im, Forest *f, Ensemble *e) {
    for (int64_t i = 0; i < e->count; i++) {
        const int mode = e->modes[i] >= 0 && e->modes[i] <= MODE_MEMBER ? (int)e->modes[i] : -1;
        if (mode < 0)
            return lt_onnx_malformed(im, "node %lld has mode %g", (long long)i, e->modes[i]);
        if (e->yes[i] < 0 || e->no[i] < 0)
            return lt_onnx_malformed(im, "node %lld has no child", (long long)i);
        add_node(im, f,
                 (TreeNode){.feature = e->features[i],
                            .split = e->splits[i],
                            .truths = (mode == MODE_MEMBER ? TREE_EQUAL : modes[mode].truths) |
                                      (e->nan_is_true[i] ? TREE_NAN : 0),
                            .yes = place_of(e->yes[i], e->yes_is_leaf[i]),
                            .no = place_of(e->no[i], e->no_is_leaf[i])});
    }
    for (int64_t i = 0; i < e->count; i++)
        if ((int)e->modes[i] == MODE_MEMBER && !add_members(im, f, e, i))
            return false;
    return true;
}

static bool add_roots(Import *im, Forest *f, const Ensemble *e) {
    int64_t count;
    const int64_t *roots = lt_onnx_ints(im, "tree_roots", &count);
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = roots[i];
        if (at < 0 || at >= e->count)
            return lt_onnx_malformed(im, "there is no root %lld", (long long)at);
        const bool is_leaf = e->yes_is_leaf[at] && e->no_is_leaf[at] && e->yes[at] == e->no[at];
        lt_vec_push(im->arena, &f->roots, is_leaf ? ~e->yes[at] : at);
    }
    return true;
}

static bool add_leaves(Import *im, Forest *f, const Ensemble *e) {
    f->leaves = e->leaves;
    f->targets = lt_onnx_int(im, "n_targets", 1);
    if (!lt_forest_weights(im, f))
        return false;
    for (int64_t i = 0; i < e->leaves; i++) {
        if (e->targets[i] < 0 || e->targets[i] >= f->targets)
            return lt_onnx_malformed(im, "leaf %lld has target %lld of %lld", (long long)i,
                                     (long long)e->targets[i], (long long)f->targets);
        f->weights[i * f->targets + e->targets[i]] = e->weights[i];
        f->is_given[i * f->targets + e->targets[i]] = true;
    }
    return true;
}

bool lt_onnx_tree_ensemble(Import *im) {
    static const char *const transforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                             "PROBIT"};
    const int64_t fold = lt_onnx_int(im, "aggregate_function", FOREST_SUM);
    const int64_t transform = lt_onnx_int(im, "post_transform", 0);
    Ensemble e = {0};
    Forest f = {.fold = (ForestFold)fold};
    Value *x = lt_onnx_features(im, im->inputs[0], true);
    if (fold < FOREST_AVERAGE || fold > FOREST_MAX || transform < 0 || transform > 4)
        return lt_onnx_malformed(im, "aggregate_function is %lld, post_transform %lld",
                                 (long long)fold, (long long)transform);
    if (!x || !read_ensemble(im, &e) || !add_nodes(im, &f, &e) || !add_roots(im, &f, &e) ||
        !add_leaves(im, &f, &e))
        return false;
    Value *y = lt_forest_scores(im, &f, x);
    return onnx_set(im, 0, lt_onnx_post_transform(im, y, transforms[transform]));
}

/* --- TreeEnsembleRegressor and TreeEnsembleClassifier ----------------------------------------- */

/* Nodes are known by a tree's id and their own. */
static uint64_t key_of(int64_t tree, int64_t node) {
    return lt_hash_u64((uint64_t)tree * 0x9e3779b97f4a7c15U + (uint64_t)node) | 1;
}

typedef struct Named {
    int64_t tree, node, place;
} Named;

/* Fills *place; false: there is no such node, which is an error. */
static bool find_place(Import *im, const Map *named, int64_t tree, int64_t node, int64_t *place) {
    const Named *n = lt_map_get(named, key_of(tree, node));
    if (!n || n->tree != tree || n->node != node)
        return lt_onnx_malformed(im, "tree %lld has no node %lld", (long long)tree,
                                 (long long)node);
    *place = n->place;
    return true;
}

/* Gives nodes and leaves their places, in order; a tree's first node is its root. */
static bool name_nodes(Import *im, Forest *f, Map *named, int64_t count) {
    const OnnxAttribute *mode = lt_onnx_attribute(im, "nodes_modes", ONNX_ATTR_STRINGS);
    const int64_t *trees = node_ints(im, "nodes_treeids", count, false);
    const int64_t *ids = node_ints(im, "nodes_nodeids", count, false);
    Map roots;
    int64_t inner = 0;
    lt_map_init(&roots, im->arena);
    if (!trees || !ids || !mode || (int64_t)mode->strings.len != count)
        return lt_onnx_malformed(im, "nodes_modes, nodes_treeids and nodes_nodeids must have one "
                                     "length");
    for (int64_t i = 0; i < count; i++) {
        const bool is_leaf = strcmp(mode->strings.data[i], "LEAF") == 0;
        Named *n = LT_NEW(im->arena, Named);
        *n = (Named){trees[i], ids[i], is_leaf ? ~f->leaves++ : inner++};
        if (lt_map_get(named, key_of(trees[i], ids[i])))
            return lt_onnx_malformed(im, "tree %lld has two nodes %lld", (long long)trees[i],
                                     (long long)ids[i]);
        lt_map_set(named, key_of(trees[i], ids[i]), n);
        if (lt_map_get(&roots, key_of(trees[i], 0)))
            continue;
        lt_map_set(&roots, key_of(trees[i], 0), n);
        lt_vec_push(im->arena, &f->roots, n->place);
    }
    return true;
}

static int truths_of(const char *mode) {
    for (int i = 0; i < MODES; i++)
        if (strcmp(modes[i].name, mode) == 0)
            return modes[i].truths;
    return 0;
}

static bool read_nodes(Import *im, Forest *f, Map *named) {
    int64_t count, values;
    lt_onnx_ints(im, "nodes_nodeids", &count);
    const double *splits = lt_onnx_reals(im, "nodes_values", &values);
    const int64_t *features = node_ints(im, "nodes_featureids", count, false);
    const int64_t *yes = node_ints(im, "nodes_truenodeids", count, false);
    const int64_t *no = node_ints(im, "nodes_falsenodeids", count, false);
    const int64_t *nan_is_true = node_ints(im, "nodes_missing_value_tracks_true", count, true);
    if (!features || !yes || !no || !nan_is_true || !name_nodes(im, f, named, count))
        return false;
    if (values != count)
        return lt_onnx_malformed(im, "nodes_values has %lld numbers for %lld nodes",
                                 (long long)values, (long long)count);
    const OnnxAttribute *mode = lt_onnx_attribute(im, "nodes_modes", ONNX_ATTR_STRINGS);
    const int64_t *trees = node_ints(im, "nodes_treeids", count, false);
    for (int64_t i = 0; i < count; i++) {
        TreeNode node = {.feature = features[i], .split = splits[i]};
        if (strcmp(mode->strings.data[i], "LEAF") == 0)
            continue;
        node.truths = truths_of(mode->strings.data[i]);
        if (!node.truths)
            return lt_onnx_malformed(im, "node %lld has mode '%s'", (long long)i,
                                     mode->strings.data[i]);
        node.truths |= nan_is_true[i] ? TREE_NAN : 0;
        if (!find_place(im, named, trees[i], yes[i], &node.yes) ||
            !find_place(im, named, trees[i], no[i], &node.no))
            return false;
        add_node(im, f, node);
    }
    return true;
}

/* The weights of the attributes prefix_ids, prefix_nodeids, prefix_treeids and prefix_weights. */
static bool read_weights(Import *im, Forest *f, const Map *named, const char *prefix) {
    int64_t count;
    const double *weights =
        lt_onnx_reals(im, lt_arena_printf(im->arena, "%s_weights", prefix), &count);
    const int64_t *lists[3];
    static const char *const names[] = {"ids", "nodeids", "treeids"};
    for (int i = 0; i < 3; i++)
        if (count < 0 ||
            !(lists[i] = node_ints(im, lt_arena_printf(im->arena, "%s_%s", prefix, names[i]), count,
                                   false)))
            return false;
    if (!lt_forest_weights(im, f))
        return false;
    for (int64_t i = 0; i < count; i++) {
        int64_t place;
        if (!find_place(im, named, lists[2][i], lists[1][i], &place))
            return false;
        if (place >= 0 || lists[0][i] < 0 || lists[0][i] >= f->targets)
            return lt_onnx_malformed(im, "weight %lld is not that of a leaf and a target",
                                     (long long)i);
        f->weights[~place * f->targets + lists[0][i]] += weights[i];
        f->is_given[~place * f->targets + lists[0][i]] = true;
    }
    return true;
}

static bool read_forest(Import *im, Forest *f, const char *prefix) {
    Map named;
    lt_map_init(&named, im->arena);
    return read_nodes(im, f, &named) && read_weights(im, f, &named, prefix);
}

/* y, [n, k], plus the base values: one, or k. */
static Value *add_base(Import *im, Value *y, const double *base, int64_t count) {
    if (count <= 0 || !y)
        return y;
    return lt_build_map2(&im->b, FN_ADD, y, lt_onnx_real_list(im, y->type->dtype, base, 1, &count));
}

bool lt_onnx_tree_ensemble_regressor(Import *im) {
    static const char *const folds[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const char *fold = lt_onnx_string(im, "aggregate_function", "SUM");
    Forest f = {.fold = FOREST_AVERAGE, .targets = lt_onnx_int(im, "n_targets", 1)};
    int64_t bases;
    const double *base = lt_onnx_reals(im, "base_values", &bases);
    Value *x = lt_onnx_features(im, im->inputs[0], true);
    while ((int)f.fold < 4 && strcmp(folds[f.fold], fold) != 0)
        f.fold++;
    if ((int)f.fold == 4)
        return lt_onnx_malformed(im, "aggregate_function is '%s'", fold);
    if (!x || bases < 0 || !read_forest(im, &f, "target"))
        return false;
    if (bases > 0 && bases != f.targets)
        return lt_onnx_malformed(im, "%lld base values of %lld targets", (long long)bases,
                                 (long long)f.targets);
    Value *y = add_base(im, lt_forest_scores(im, &f, x), base, bases);
    y = lt_onnx_post_transform(im, y, lt_onnx_string(im, "post_transform", "NONE"));
    return onnx_set(im, 0, lt_build_convert(&im->b, y, DT_F32));
}

/* --- classes ---------------------------------------------------------------------------------- */

/* Two classes, and all weights are those of one. */
static bool is_binary(const Forest *f, bool *all_positive) {
    int64_t first = -1;
    bool one_class = true;
    *all_positive = true;
    for (int64_t i = 0; i < f->leaves * f->targets; i++) {
        if (!f->is_given[i])
            continue;
        first = first < 0 ? i % f->targets : first;
        one_class &= i % f->targets == first;
        *all_positive &= f->weights[i] >= 0;
    }
    return one_class && f->targets == 2;
}

/* The one score of a binary ensemble, [n, 1], of [n, 2]. */
static Value *one_score(Import *im, Value *y) {
    static const int64_t classes = 1;
    return y ? lt_build_reduce(&im->b, FN_ADD, y, &classes, 1, true) : NULL;
}

static bool set_binary(Import *im, const ClassLabels *labels, Value *score, bool is_share) {
    Value *is_second = lt_onnx_map_scalar(im, FN_GT, score, is_share ? 0.5 : 0);
    onnx_set(im, 0, lt_onnx_either_label(im, is_second, labels->ints[1], labels->ints[0]));
    return onnx_set(
        im, 1,
        lt_onnx_two_scores(im, score, is_share, lt_onnx_string(im, "post_transform", "NONE")));
}

bool lt_onnx_tree_ensemble_classifier(Import *im) {
    Forest f = {.fold = FOREST_SUM};
    ClassLabels labels;
    int64_t bases;
    bool all_positive;
    const double *base = lt_onnx_reals(im, "base_values", &bases);
    Value *x = lt_onnx_features(im, im->inputs[0], true);
    if (!x || bases < 0 ||
        !lt_onnx_class_labels(im, "classlabels_int64s", "classlabels_strings", &labels))
        return false;
    if (labels.count < 2)
        return lt_onnx_unsupported(im, "%lld labels are not supported: there must be two or more",
                                   (long long)labels.count);
    f.targets = labels.count;
    if (!read_forest(im, &f, "class"))
        return false;
    if (bases > 0 && bases != f.targets && bases != 1)
        return lt_onnx_malformed(im, "%lld base values of %lld classes", (long long)bases,
                                 (long long)f.targets);
    Value *y = lt_forest_scores(im, &f, x);
    if (is_binary(&f, &all_positive)) {
        y = one_score(im, y);
        if (bases > 1)
            return lt_onnx_unsupported(im, "two base values, and weights of one class");
        y = add_base(im, y, base, bases);
        return y && set_binary(im, &labels, y, all_positive);
    }
    y = lt_build_convert(&im->b, add_base(im, y, base, bases), DT_F32);
    onnx_set(im, 0, lt_onnx_best_label(im, &labels, y));
    return onnx_set(im, 1,
                    lt_onnx_post_transform(im, y, lt_onnx_string(im, "post_transform", "NONE")));
}
