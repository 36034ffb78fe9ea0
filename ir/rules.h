/* rules.h - rewrite rules as text, in the words of the IR.
 *
 *     # comment
 *     rule pow_two: pow(%x, 2) => mul(%x, %x)
 *     rule add_constants: add(add(%x, $a), $b) => add(%x, add($a, $b))
 *     rule convert_twice: convert(%y: convert(%x)) {dtype = $d} => convert(%x) {dtype = $d}
 *                         if lossless(%x, %y)
 *
 *     rule      := "rule" NAME ":" pattern "=>" pattern [ "if" condition { "," condition } ]
 *     pattern   := "%"NAME | "$"NAME | NUMBER
 *                | [ "%"NAME ":" ] op "(" [ pattern { "," pattern } ] ")" [ attrs ]
 *     attrs     := "{" ATTRIBUTE "=" "$"NAME { "," ATTRIBUTE "=" "$"NAME } "}"
 *     condition := NAME "(" argument { "," argument } ")"
 *     argument  := "%"NAME | "$"NAME | NUMBER
 *
 * On the left, %x stands for any value, $c for a constant, a number for a constant that is this
 * number everywhere, $p behind an attribute's name for what the attribute holds; a name that comes
 * twice stands for the same thing both times. Operands of commutative maps are tried both ways.
 * On the right, names give back what the left has bound; a number takes the dtype of its
 * neighbours. What depends on constants alone is computed at once and costs nothing.
 *
 * A rule must pay: the nodes on its right weigh less than those that it removes. This is checked
 * when rules are read, and again for each match, since a node that somebody else reads stays. So
 * rewriting ends, whatever the rules are. */
#ifndef LATHE_IR_RULES_H
#define LATHE_IR_RULES_H

#include "ir/graph.h"

enum { RULE_MAX_SLOTS = 12, RULE_MAX_ARGS = 4, RULE_MAX_ATTRS = 4, RULE_MAX_CONDITIONS = 4 };

typedef enum { PATTERN_VALUE, PATTERN_CONST, PATTERN_NUMBER, PATTERN_NODE } PatternKind;

typedef struct PatternAttr {
    AttrName name;
    int slot;
} PatternAttr;

typedef struct Pattern {
    PatternKind kind;
    const char *at; /* in the text */
    int slot;       /* VALUE, CONST, a named NODE; else -1 */
    double number;
    Op op;
    ScalarFn fn; /* ops that carry one; else FN_ADD */
    int swap;    /* number of a commutative node on the left, else -1 */
    int arg_count, attr_count;
    const struct Pattern *args[RULE_MAX_ARGS];
    PatternAttr attrs[RULE_MAX_ATTRS];
} Pattern;

typedef struct ConditionArg {
    int slot; /* -1: a number */
    double number;
} ConditionArg;

typedef struct RuleMatch RuleMatch;
typedef bool ConditionFn(const RuleMatch *match, const ConditionArg *args);

typedef struct Condition {
    ConditionFn *holds;
    int arg_count;
    ConditionArg args[2];
} Condition;

typedef struct Rule {
    const char *name;
    int line;
    int index; /* place among the rules */
    const Pattern *left, *right;
    int swap_count;
    int condition_count;
    Condition conditions[RULE_MAX_CONDITIONS];
    const struct Rule *next; /* the next one with the same root */
} Rule;

typedef struct RuleSet {
    Vec(const Rule *) rules; /* in the order of the text */
    const Rule *by_op[LT_OP_LIMIT][LT_FN_LIMIT];
} RuleSet;

/* NULL: a rule is wrong; *error says which one, where and why. */
RuleSet *lt_rules_read(Arena *arena, const char *text, const char **error);
/* The rules whose root is the op of n; NULL: none. Follow ->next. */
const Rule *lt_rules_for(const RuleSet *rules, const Node *n);
/* What a node costs, on one scale for both sides of a rule. */
int lt_rule_weight(Op op, ScalarFn fn);
/* ir/match.c: the predicate of that name and how many arguments it takes; NULL: none. */
ConditionFn *lt_condition_find(const char *name, int *arg_count);

#endif
