/* forest.h - ensembles of decision trees: reading puts them into one form, which is evaluated for
 * all rows and trees at once. */
#ifndef LATHE_FRONTENDS_ONNX_FOREST_H
#define LATHE_FRONTENDS_ONNX_FOREST_H

#include "frontends/onnx/ml.h"
#include "runtime/base/vec.h"

/* How a feature compares with the split; a node's truths are those for which it goes to yes. */
enum { TREE_LESS = 1, TREE_EQUAL = 2, TREE_GREATER = 4, TREE_NAN = 8 };

/* A place is a node's index, or ~leaf. */
typedef struct TreeNode {
    int64_t feature;
    double split;
    int truths;
    int64_t yes, no;
} TreeNode;

typedef enum { FOREST_AVERAGE, FOREST_SUM, FOREST_MIN, FOREST_MAX } ForestFold;

typedef struct Forest {
    Vec(TreeNode) nodes;
    Vec(int64_t) roots; /* places, one a tree */
    int64_t leaves, targets;
    double *weights; /* [leaves, targets] */
    bool *is_given;  /* the same: false: the leaf says nothing about the target */
    ForestFold fold;
} Forest;

/* Room for the weights. False after an error: too many. */
bool lt_forest_weights(Import *im, Forest *f);
/* Checks that these are trees, then: what they say of x, f[n, features], folded over the trees:
 * [n, targets]. NULL after an error. */
Value *lt_forest_scores(Import *im, const Forest *f, Value *x);

#endif
