/* rules.c - reads and checks rewrite rules. The first error ends reading. */
#include "ir/rules.h"

#include <stdlib.h>
#include <string.h>

#include "ir/lex.h"

enum { MAX_SWAPS = 8 };

typedef struct RuleReader {
    Lexer lexer;
    Arena *arena;
    const char *error;
    const char *rule_name; /* of the rule being read */
    const char *names[RULE_MAX_SLOTS];
    char sigils[RULE_MAX_SLOTS];
    int slot_count, swap_count;
    bool on_left;
} RuleReader;

static bool fail(RuleReader *r, const char *at, const char *what, const char *found) {
    int32_t line, column;
    if (r->error)
        return false;
    lt_lex_position(&r->lexer, at, &line, &column);
    r->error = lt_arena_printf(r->arena, "rule '%s', line %d, column %d: %s%s%s",
                               r->rule_name ? r->rule_name : "?", line, column, what,
                               found ? ": " : "", found ? found : "");
    return false;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static const Token *current(const RuleReader *r) { return &r->lexer.token; }
/* `$` and `>` mean nothing elsewhere in the IR's text: the lexer hands them over as bad. */
static bool is_mark(const RuleReader *r, char mark) {
    const Token *token = current(r);
    return (token->kind == TOKEN_MARK || token->kind == TOKEN_BAD) && *token->start == mark;
}

static bool accept(RuleReader *r, char mark) {
    if (!is_mark(r, mark))
        return false;
    lt_lex_next(&r->lexer);
    return true;
}

static bool need(RuleReader *r, char mark) {
    char what[] = "'?' is expected";
    what[1] = mark;
    return accept(r, mark) || fail(r, current(r)->start, what, NULL);
}

static const char *need_word(RuleReader *r, const char *what) {
    const char *text = current(r)->text;
    if (current(r)->kind != TOKEN_WORD) {
        fail(r, current(r)->start, what, NULL);
        return NULL;
    }
    lt_lex_next(&r->lexer);
    return text;
}

/* The slot of a name; the left side makes new ones. -1 after an error. */
static int slot_of(RuleReader *r, char sigil, const char *name, const char *at) {
    for (int i = 0; i < r->slot_count; i++)
        if (r->sigils[i] == sigil && strcmp(r->names[i], name) == 0)
            return i;
    if (!r->on_left)
        fail(r, at, "this name is not bound on the left", name);
    else if (r->slot_count == RULE_MAX_SLOTS)
        fail(r, at, "too many names", NULL);
    if (r->error)
        return -1;
    r->names[r->slot_count] = name;
    r->sigils[r->slot_count] = sigil;
    return r->slot_count++;
}

/* `$` was read: the name behind it. */
static int read_dollar(RuleReader *r) {
    const char *at = current(r)->start, *name = need_word(r, "a name behind $ is expected");
    return name ? slot_of(r, '$', name, at) : -1;
}

/* --- patterns --------------------------------------------------------------------------------- */

static bool carries_fn(Op op) { return (lt_op_info[op].required & (UINT64_C(1) << ATTR_FN)) != 0; }

/* `mul`, `softmax`, `reduce.add` */
static bool read_op(RuleReader *r, Pattern *p) {
    const char *at = current(r)->start, *word = need_word(r, "a pattern is expected");
    if (!word)
        return false;
    p->fn = FN_ADD;
    if (lt_scalar_parse(word, &p->fn)) {
        p->op = OP_MAP;
        return true;
    }
    const char *dot = strchr(word, '.');
    const char *name = dot ? lt_arena_strndup(r->arena, word, (size_t)(dot - word)) : word;
    if (!lt_op_parse(name, &p->op))
        return fail(r, at, "there is no op of this name", word);
    bool has_fn = dot && lt_scalar_parse(dot + 1, &p->fn);
    if (has_fn != carries_fn(p->op) || (dot && !has_fn))
        return fail(r, at, "this op does not go with this scalar function", word);
    return true;
}

static bool read_attrs(RuleReader *r, Pattern *p) {
    if (!accept(r, '{'))
        return true;
    do {
        PatternAttr attr;
        const char *at = current(r)->start, *name = need_word(r, "an attribute is expected");
        if (!name || !need(r, '=') || !need(r, '$'))
            return false;
        if (!lt_attr_parse(name, &attr.name) || p->attr_count == RULE_MAX_ATTRS)
            return fail(r, at, "there is no such attribute, or there are too many", name);
        const uint64_t allowed = lt_op_info[p->op].required | lt_op_info[p->op].optional;
        if (!(allowed & (UINT64_C(1) << attr.name)))
            return fail(r, at, "the op has no such attribute", name);
        attr.slot = read_dollar(r);
        if (attr.slot < 0)
            return false;
        p->attrs[p->attr_count++] = attr;
    } while (accept(r, ','));
    return need(r, '}');
}

static const Pattern *read_pattern(RuleReader *r);

static bool read_args(RuleReader *r, Pattern *p) {
    if (accept(r, ')'))
        return true;
    do {
        if (p->arg_count == RULE_MAX_ARGS)
            return fail(r, current(r)->start, "too many operands", NULL);
        p->args[p->arg_count] = read_pattern(r);
        if (!p->args[p->arg_count++])
            return false;
    } while (accept(r, ','));
    return need(r, ')');
}

static bool read_node(RuleReader *r, Pattern *p) {
    p->kind = PATTERN_NODE;
    if (!read_op(r, p) || !need(r, '(') || !read_args(r, p) || !read_attrs(r, p))
        return false;
    const OpInfo *info = &lt_op_info[p->op];
    int least = p->op == OP_MAP ? lt_scalar_info[p->fn].arity : info->min_inputs;
    int most = p->op == OP_MAP ? least : info->max_inputs;
    if (p->arg_count < least || (most >= 0 && p->arg_count > most) || info->outputs != 1)
        return fail(r, p->at, "wrong number of operands or results for this op", NULL);
    bool commutes = p->op == OP_MAP && lt_scalar_info[p->fn].commutative;
    p->swap = r->on_left && commutes ? r->swap_count++ : -1;
    return p->swap < MAX_SWAPS || fail(r, p->at, "too many commutative nodes", NULL);
}

static bool read_number(RuleReader *r, double *number) {
    char *end;
    *number = strtod(current(r)->text, &end);
    if (*end)
        return fail(r, current(r)->start, "this is not a number", NULL);
    lt_lex_next(&r->lexer);
    return true;
}

static const Pattern *read_pattern(RuleReader *r) {
    Pattern *p = LT_NEW(r->arena, Pattern);
    p->at = current(r)->start;
    p->slot = p->swap = -1;
    if (current(r)->kind == TOKEN_NUMBER) {
        p->kind = PATTERN_NUMBER;
        return read_number(r, &p->number) ? p : NULL;
    }
    if (accept(r, '$')) {
        p->kind = PATTERN_CONST;
        p->slot = read_dollar(r);
        return p->slot >= 0 ? p : NULL;
    }
    if (current(r)->kind == TOKEN_VALUE) {
        p->kind = PATTERN_VALUE;
        p->slot = slot_of(r, '%', current(r)->text, p->at);
        lt_lex_next(&r->lexer);
        if (p->slot < 0 || !r->on_left || !accept(r, ':'))
            return p->slot >= 0 ? p : NULL;
    }
    return read_node(r, p) ? p : NULL;
}

/* --- conditions ------------------------------------------------------------------------------- */

static bool read_condition_arg(RuleReader *r, ConditionArg *arg) {
    arg->slot = -1;
    if (current(r)->kind == TOKEN_NUMBER)
        return read_number(r, &arg->number);
    if (accept(r, '$')) {
        arg->slot = read_dollar(r);
    } else if (current(r)->kind == TOKEN_VALUE) {
        arg->slot = slot_of(r, '%', current(r)->text, current(r)->start);
        lt_lex_next(&r->lexer);
    } else {
        return fail(r, current(r)->start, "a name or a number is expected", NULL);
    }
    return arg->slot >= 0;
}

static bool read_condition(RuleReader *r, Rule *rule) {
    if (rule->condition_count == RULE_MAX_CONDITIONS)
        return fail(r, current(r)->start, "too many conditions", NULL);
    Condition *c = &rule->conditions[rule->condition_count++];
    const char *at = current(r)->start, *name = need_word(r, "a condition is expected");
    int count = 0;
    if (!name || !need(r, '('))
        return false;
    c->holds = lt_condition_find(name, &c->arg_count);
    if (!c->holds)
        return fail(r, at, "there is no condition of this name", name);
    do {
        if (count == c->arg_count)
            return fail(r, at, "too many arguments for this condition", name);
        if (!read_condition_arg(r, &c->args[count++]))
            return false;
    } while (accept(r, ','));
    if (count < c->arg_count)
        return fail(r, at, "too few arguments for this condition", name);
    return need(r, ')');
}

static bool read_conditions(RuleReader *r, Rule *rule) {
    if (current(r)->kind != TOKEN_WORD || strcmp(current(r)->text, "if") != 0)
        return true;
    lt_lex_next(&r->lexer);
    do {
        if (!read_condition(r, rule))
            return false;
    } while (accept(r, ','));
    return true;
}

/* --- the measure ------------------------------------------------------------------------------ */

int lt_rule_weight(Op op, ScalarFn fn) {
    static const int weights[LT_FN_LIMIT] = {
        [FN_ADD] = 20,   [FN_SUB] = 30,   [FN_MUL] = 20,    [FN_MIN] = 20,   [FN_MAX] = 20,
        [FN_NEG] = 15,   [FN_ABS] = 15,   [FN_NOT] = 10,    [FN_RELU] = 12,  [FN_CLAMP] = 24,
        [FN_AND] = 10,   [FN_OR] = 10,    [FN_SELECT] = 25, [FN_DIV] = 60,   [FN_RECIP] = 55,
        [FN_SQRT] = 60,  [FN_RSQRT] = 80, [FN_POW] = 300,   [FN_EQ] = 10,    [FN_NE] = 10,
        [FN_FLOOR] = 15, [FN_CEIL] = 15,  [FN_TRUNC] = 15,  [FN_ROUND] = 15,
    };
    enum { OTHER_FUNCTION = 100, WHOLE_OP = 200, VIEW = 5, MOVE = 40 };
    if (op == OP_CONST)
        return 0;
    if (op == OP_MAP)
        return weights[fn] ? weights[fn] : OTHER_FUNCTION;
    if (op == OP_CONVERT)
        return weights[FN_ADD];
    if (lt_op_has(op, OPF_VIEW))
        return VIEW;
    return lt_op_has(op, OPF_INJECTIVE) ? MOVE : WHOLE_OP;
}

static bool depends_on_constants_alone(const Pattern *p) {
    if (p->kind != PATTERN_NODE)
        return p->kind != PATTERN_VALUE;
    bool constant = true;
    for (int i = 0; i < p->arg_count; i++)
        constant &= depends_on_constants_alone(p->args[i]);
    return constant;
}

static int weight_of(const Pattern *p) {
    if (p->kind != PATTERN_NODE || depends_on_constants_alone(p))
        return 0;
    int weight = lt_rule_weight(p->op, p->fn);
    for (int i = 0; i < p->arg_count; i++)
        weight += weight_of(p->args[i]);
    return weight;
}

/* Required attributes must be there on the right: nothing else could supply them. */
static bool check_right(RuleReader *r, const Pattern *p) {
    if (p->kind != PATTERN_NODE)
        return true;
    uint64_t given = carries_fn(p->op) ? UINT64_C(1) << ATTR_FN : 0;
    for (int i = 0; i < p->attr_count; i++)
        given |= UINT64_C(1) << p->attrs[i].name;
    if (lt_op_info[p->op].required & ~given)
        return fail(r, p->at, "an attribute that the op needs is missing", lt_op_info[p->op].name);
    for (int i = 0; i < p->arg_count; i++)
        if (!check_right(r, p->args[i]))
            return false;
    return true;
}

static bool check_rule(RuleReader *r, const Rule *rule) {
    if (rule->left->kind != PATTERN_NODE)
        return fail(r, rule->left->at, "the left side must be an op", NULL);
    if (!check_right(r, rule->right))
        return false;
    if (weight_of(rule->right) >= weight_of(rule->left))
        return fail(r, rule->right->at, "the right side does not weigh less than the left", NULL);
    return true;
}

/* --- rules ------------------------------------------------------------------------------------ */

static bool read_rule(RuleReader *r, Rule *rule) {
    int32_t column;
    r->rule_name = NULL;
    r->slot_count = r->swap_count = 0;
    r->on_left = true;
    lt_lex_position(&r->lexer, current(r)->start, &rule->line, &column);
    if (current(r)->kind != TOKEN_WORD || strcmp(current(r)->text, "rule") != 0)
        return fail(r, current(r)->start, "'rule' is expected", NULL);
    lt_lex_next(&r->lexer);
    rule->name = r->rule_name = need_word(r, "the rule's name is expected");
    if (!rule->name || !need(r, ':') || !(rule->left = read_pattern(r)))
        return false;
    rule->swap_count = r->swap_count;
    r->on_left = false;
    if (!need(r, '=') || !need(r, '>') || !(rule->right = read_pattern(r)))
        return false;
    return read_conditions(r, rule) && check_rule(r, rule);
}

static void add_rule(RuleReader *r, RuleSet *set, Rule *rule) {
    const Rule **link = &set->by_op[rule->left->op][rule->left->fn];
    rule->index = (int)set->rules.len;
    while (*link)
        link = (const Rule **)&((Rule *)*link)->next;
    *link = rule;
    lt_vec_push(r->arena, &set->rules, rule);
}

RuleSet *lt_rules_read(Arena *arena, const char *text, const char **error) {
    RuleReader r = {.arena = arena};
    RuleSet *set = LT_NEW(arena, RuleSet);
    lt_lex_init(&r.lexer, arena, text, strlen(text));
    while (current(&r)->kind != TOKEN_END) {
        Rule *rule = LT_NEW(arena, Rule);
        if (!read_rule(&r, rule)) {
            *error = r.error;
            return NULL;
        }
        add_rule(&r, set, rule);
    }
    return set;
}

const Rule *lt_rules_for(const RuleSet *rules, const Node *n) {
    const Attr *fn = lt_attr(n, ATTR_FN);
    return rules->by_op[n->op][fn ? (ScalarFn)fn->u.i : FN_ADD];
}
