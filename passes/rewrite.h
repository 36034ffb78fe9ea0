/* rewrite.h - applies rules and rewrite functions to a graph until none fires. */
#ifndef LATHE_PASSES_REWRITE_H
#define LATHE_PASSES_REWRITE_H

#include "ir/match.h"
#include "passes/pass.h"

/* A rewrite that does not fit the text of a rule. Builds in front of n what replaces its result;
 * NULL where it does not apply (what it has built until then is taken back). It must make the graph
 * smaller or cheaper, so that rewriting ends. */
typedef Value *RewriteFn(Builder *b, Node *n);

typedef struct Rewrite {
    const char *name;
    Op op; /* of the root */
    RewriteFn *apply;
} Rewrite;

typedef struct RewriteSet {
    const char *pass;  /* named in remarks */
    const char *rules; /* text, see ir/rules.h */
    const Rewrite *rewrites;
    int rewrite_count;
    const char *only; /* the one rule or rewrite to apply; NULL: all */
} RewriteSet;

/* Returns whether anything fired; remarks say what, and how often. */
bool lt_rewrite(PassContext *ctx, const RewriteSet *set);

/* passes/simplify.c, passes/recognize.c */
extern const RewriteSet lt_simplify_set, lt_recognize_set;

/* passes/simplify_move.c */
Value *lt_rewrite_transpose(Builder *b, Node *n);
Value *lt_rewrite_slice(Builder *b, Node *n);
Value *lt_rewrite_pad(Builder *b, Node *n);
Value *lt_rewrite_gather(Builder *b, Node *n);
Value *lt_rewrite_reduce(Builder *b, Node *n);
Value *lt_rewrite_operands(Builder *b, Node *n);
/* passes/simplify_tables.c */
Value *lt_rewrite_one_hot(Builder *b, Node *n);
Value *lt_rewrite_lookup_map(Builder *b, Node *n);
/* passes/simplify_weights.c */
Value *lt_rewrite_scale(Builder *b, Node *n);
/* passes/recognize_rows.c */
Value *lt_recognize_softmax(Builder *b, Node *n);
Value *lt_recognize_layer_norm(Builder *b, Node *n);
Value *lt_recognize_norm_scale(Builder *b, Node *n);
Value *lt_recognize_norm_bias(Builder *b, Node *n);

#endif
