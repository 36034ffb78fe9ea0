/* rules.h - rewrite rules as text: `name: left => right if condition(variable), ...`, one a line.
 *
 * A pattern is a scalar function of patterns, `mul(add(x, a), 2)`; a variable, one letter, which
 * stands for any value (the same letter for the same value); or a number, which matches a constant
 * whose elements all have that value. A pattern matches maps; commutative ones match in either
 * order. Conditions: const(a), int(x), float(x), bool(x). */
#ifndef LATHE_PASSES_RULES_H
#define LATHE_PASSES_RULES_H

#include "ir/graph.h"

typedef enum { PATTERN_CALL, PATTERN_VARIABLE, PATTERN_NUMBER } PatternKind;

typedef struct Pattern {
    PatternKind kind;
    ScalarFn fn;
    int variable; /* 0..25 */
    double number;
    struct Pattern *args[3];
} Pattern;

typedef enum { CONDITION_CONST, CONDITION_INT, CONDITION_FLOAT, CONDITION_BOOL } ConditionKind;
enum { LT_MAX_CONDITIONS = 4, LT_VARIABLES = 26 };

typedef struct Rule {
    const char *name;
    int line;
    Pattern *left, *right;
    int condition_count;
    struct {
        ConditionKind kind;
        int variable;
    } conditions[LT_MAX_CONDITIONS];
} Rule;

typedef struct RuleSet {
    Rule *data;
    size_t len, cap;
} RuleSet;

extern const char lt_simplify_rules[]; /* the text of simplify.rules */

/* Parses and checks: known functions, right arity, every variable of the right side bound by the
 * left, and a right side that costs less than the left. NULL, or the error with its line, in the
 * arena. */
const char *lt_rules_parse(Arena *arena, const char *text, RuleSet *out);
/* True when the condition asks that of the variable. */
bool lt_rule_asks(const Rule *rule, int variable, ConditionKind kind);

/* Applies the first rule that matches the map n: the value that replaces its output, or NULL.
 * *fired: the rule. */
Value *lt_rules_apply(const RuleSet *rules, Node *n, const Rule **fired);

/* Rewrites that need more than a pattern (passes/simplify_rewrites.c). */
typedef struct Rewrite {
    const char *name;
    Op op; /* root */
    Value *(*apply)(Node *n);
} Rewrite;
extern const Rewrite lt_rewrites[];
extern const int lt_rewrite_count;

#endif
