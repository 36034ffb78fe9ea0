/* match.h - applies one rule to one node. */
#ifndef LATHE_IR_MATCH_H
#define LATHE_IR_MATCH_H

#include "ir/build.h"
#include "ir/rules.h"

/* What the names of a rule stand for, by slot. */
struct RuleMatch {
    Module *module;
    Value *values[RULE_MAX_SLOTS];
    const Attr *attrs[RULE_MAX_SLOTS];
    unsigned asked;     /* commutative nodes that the last try came to, as bits */
    int removed_weight; /* of the matched nodes that nobody else reads, the root included */
    const Loc *loc;     /* of all matched nodes */
};

/* Whether the left side and the conditions hold at n. */
bool lt_rule_matches(const Rule *rule, Node *n, RuleMatch *match);
/* The right side, built before n; NULL: the rule does not apply, and nothing was changed. Has the
 * type of n's result, through a broadcast where the rule alone would give fewer elements. */
Value *lt_rule_apply(const Rule *rule, Node *n);
/* What is built before n from here on can be taken back, with what it reported as
 * wrong. */
typedef struct BuildMark {
    Node *before, *last;
    size_t diags, guards;
    uint32_t errors;
} BuildMark;
BuildMark lt_build_mark(Node *n);
void lt_build_undo(const BuildMark *mark);
/* v, or the constant that it is when its node depends on constants alone. */
Value *lt_build_folded(Builder *b, Value *v);
/* Removes v's node when nobody reads it, and then what only that one read. */
void lt_remove_unused(Value *v);

#endif
