/* rules.c - reads rewrite rules, checks them, and applies them to maps. */
#include "passes/rules.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/build.h"

/* --- reading ------------------------------------------------------------------------------------
 */

typedef struct Reader {
    Arena *arena;
    const char *at;
    int line;
    const char *error;
} Reader;

static void fail(Reader *r, const char *what, const char *word) {
    if (!r->error)
        r->error = lt_arena_printf(r->arena, "line %d: %s '%.40s'", r->line, what, word);
}

static void skip_blanks(Reader *r) {
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
}

static bool take(Reader *r, const char *word) {
    skip_blanks(r);
    if (!lt_str_starts(r->at, word))
        return false;
    r->at += strlen(word);
    return true;
}

static const char *take_name(Reader *r) {
    skip_blanks(r);
    size_t len = 0;
    while (isalnum((unsigned char)r->at[len]) || r->at[len] == '_')
        len++;
    const char *name = lt_arena_strndup(r->arena, r->at, len);
    if (!len)
        fail(r, "a name is expected, found", r->at);
    r->at += len;
    return name;
}

static Pattern *read_pattern(Reader *r);

static void read_call(Reader *r, Pattern *p, const char *name) {
    p->kind = PATTERN_CALL;
    if (!lt_scalar_parse(name, &p->fn)) {
        fail(r, "no scalar function is named", name);
        return;
    }
    int count = 0, arity = lt_scalar_info[p->fn].arity;
    do {
        Pattern *arg = read_pattern(r);
        if (r->error)
            return;
        if (count < 3)
            p->args[count] = arg;
        count++;
    } while (take(r, ","));
    if (count != arity || !take(r, ")"))
        fail(r, "the wrong number of operands for", name);
}

static Pattern *read_pattern(Reader *r) {
    Pattern *p = LT_NEW(r->arena, Pattern);
    skip_blanks(r);
    if (isdigit((unsigned char)*r->at) || *r->at == '-') {
        char *end;
        p->kind = PATTERN_NUMBER;
        p->number = strtod(r->at, &end);
        if (end == r->at)
            fail(r, "a number is expected, found", r->at);
        r->at = end;
        return p;
    }
    const char *name = take_name(r);
    if (r->error)
        return p;
    if (take(r, "(")) {
        read_call(r, p, name);
    } else if (strlen(name) == 1 && islower((unsigned char)name[0])) {
        p->kind = PATTERN_VARIABLE;
        p->variable = name[0] - 'a';
    } else {
        fail(r, "a variable is one letter, found", name);
    }
    return p;
}

static void read_condition(Reader *r, Rule *rule) {
    static const char *const names[] = {"const(", "int(", "float(", "bool("};
    for (int i = 0; i < 4; i++) {
        if (!take(r, names[i]))
            continue;
        const char *variable = take_name(r);
        if (r->error)
            return;
        if (rule->condition_count == LT_MAX_CONDITIONS || !take(r, ")")) {
            fail(r, "a condition is not right near", variable);
            return;
        }
        int at = rule->condition_count++;
        rule->conditions[at].kind = (ConditionKind)i;
        rule->conditions[at].variable = variable[0] - 'a';
        return;
    }
    fail(r, "no condition is named", r->at);
}

static void read_rule(Reader *r, Rule *rule) {
    rule->line = r->line;
    rule->name = take_name(r);
    if (!take(r, ":"))
        fail(r, "':' is expected behind", rule->name);
    rule->left = read_pattern(r);
    if (!r->error && !take(r, "=>"))
        fail(r, "'=>' is expected in", rule->name);
    if (r->error)
        return;
    rule->right = read_pattern(r);
    if (r->error || !take(r, "if"))
        return;
    do
        read_condition(r, rule);
    while (!r->error && take(r, ","));
}

/* --- checking -----------------------------------------------------------------------------------
 */

bool lt_rule_asks(const Rule *rule, int variable, ConditionKind kind) {
    for (int i = 0; i < rule->condition_count; i++)
        if (rule->conditions[i].kind == kind && rule->conditions[i].variable == variable)
            return true;
    return false;
}

static void mark_variables(const Pattern *p, bool *seen) {
    if (p->kind == PATTERN_VARIABLE)
        seen[p->variable] = true;
    for (int i = 0; i < 3; i++)
        if (p->args[i])
            mark_variables(p->args[i], seen);
}

static bool is_constant(const Rule *rule, const Pattern *p) {
    if (p->kind == PATTERN_NUMBER)
        return true;
    if (p->kind == PATTERN_VARIABLE)
        return lt_rule_asks(rule, p->variable, CONDITION_CONST);
    for (int i = 0; i < 3; i++)
        if (p->args[i] && !is_constant(rule, p->args[i]))
            return false;
    return true;
}

/* What a pattern costs at run time: the measure that every rule must lower, so that rewriting ends.
 * What is constant is folded and costs nothing. */
static int cost(const Rule *rule, const Pattern *p) {
    if (p->kind != PATTERN_CALL || is_constant(rule, p))
        return 0;
    static const struct {
        ScalarFn fn;
        int cost;
    } costs[] = {{FN_POW, 12}, {FN_DIV, 6}, {FN_RECIP, 5}, {FN_SQRT, 5}, {FN_MUL, 4}};
    int sum = 1 + lt_scalar_info[p->fn].arity;
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++)
        if (costs[i].fn == p->fn)
            sum = costs[i].cost;
    for (int i = 0; i < 3; i++)
        if (p->args[i])
            sum += cost(rule, p->args[i]);
    return sum;
}

static void check_rule(Reader *r, const Rule *rule) {
    bool left[LT_VARIABLES] = {false}, right[LT_VARIABLES] = {false};
    if (rule->left->kind != PATTERN_CALL) {
        fail(r, "the left side is not a call in", rule->name);
        return;
    }
    mark_variables(rule->left, left);
    mark_variables(rule->right, right);
    for (int i = 0; i < LT_VARIABLES; i++)
        if (right[i] && !left[i])
            fail(r, "the right side has a variable of its own in", rule->name);
    if (cost(rule, rule->right) >= cost(rule, rule->left))
        fail(r, "the right side is not cheaper in", rule->name);
}

const char *lt_rules_parse(Arena *arena, const char *text, RuleSet *out) {
    Reader r = {.arena = arena, .line = 0};
    for (const char *p = text; *p && !r.error; p += strcspn(p, "\n"), p += *p == '\n') {
        char *line = lt_arena_strndup(arena, p, strcspn(p, "\n"));
        r.line++;
        r.at = line;
        skip_blanks(&r);
        if (!*r.at || *r.at == '#')
            continue;
        Rule rule = {0};
        read_rule(&r, &rule);
        skip_blanks(&r);
        if (!r.error && *r.at)
            fail(&r, "the rule goes on with", r.at);
        if (!r.error)
            check_rule(&r, &rule);
        if (!r.error)
            lt_vec_push(arena, out, rule);
    }
    return r.error;
}

/* --- matching -----------------------------------------------------------------------------------
 */

typedef struct Match {
    const Rule *rule;
    Value *bound[LT_VARIABLES];
} Match;

static bool is_number(const Value *v, double number) {
    const Const *c = lt_value_const(v);
    int64_t elements;
    if (!c || !lt_type_is_static(c->type, &elements))
        return false;
    if (!c->is_splat && elements != 1)
        return false;
    /* A number with a fraction may have been rounded to the constant's dtype. */
    double value = lt_const_get_float(c, 0);
    return number == floor(number) ? value == number : fabs(value - number) <= 1e-6 * fabs(number);
}

static bool conditions_hold(const Match *m, int variable, const Value *v) {
    for (int i = 0; i < m->rule->condition_count; i++) {
        if (m->rule->conditions[i].variable != variable)
            continue;
        DType dtype = v->type->dtype;
        bool holds = true;
        switch (m->rule->conditions[i].kind) {
        case CONDITION_CONST: holds = lt_value_const(v) != NULL; break;
        case CONDITION_INT: holds = lt_dtype_is_int(dtype); break;
        case CONDITION_FLOAT: holds = lt_dtype_is_float(dtype); break;
        case CONDITION_BOOL: holds = dtype == DT_BOOL; break;
        }
        if (!holds)
            return false;
    }
    return true;
}

static bool match_pattern(Match *m, const Pattern *p, Value *v);

static bool match_args(Match *m, const Pattern *p, const Node *n, bool swapped) {
    for (uint32_t i = 0; i < n->input_count; i++)
        if (!match_pattern(m, p->args[i], lt_input(n, swapped ? 1 - i : i)))
            return false;
    return true;
}

static bool match_pattern(Match *m, const Pattern *p, Value *v) {
    if (p->kind == PATTERN_NUMBER)
        return is_number(v, p->number);
    if (p->kind == PATTERN_VARIABLE) {
        if (m->bound[p->variable])
            return m->bound[p->variable] == v;
        if (!conditions_hold(m, p->variable, v))
            return false;
        m->bound[p->variable] = v;
        return true;
    }
    const Node *n = v->def;
    if (!n || n->op != OP_MAP || lt_node_fn(n) != p->fn)
        return false;
    Match before = *m;
    if (match_args(m, p, n, false))
        return true;
    *m = before;
    return lt_scalar_info[p->fn].commutative && match_args(m, p, n, true);
}

/* --- building the right side --------------------------------------------------------------------
 */

static Value *build_right(const Match *m, Builder *b, const Pattern *p, DType dtype) {
    if (p->kind == PATTERN_VARIABLE)
        return m->bound[p->variable];
    if (p->kind == PATTERN_NUMBER)
        return lt_dtype_is_float(dtype) ? lt_build_float(b, dtype, p->number)
                                        : lt_build_int(b, dtype, (int64_t)p->number);
    Value *args[3] = {NULL, NULL, NULL};
    int arity = lt_scalar_info[p->fn].arity;
    for (int i = 0; i < arity; i++)
        args[i] = build_right(m, b, p->args[i], dtype);
    if (arity == 1)
        return lt_build_map1(b, p->fn, args[0]);
    if (arity == 2)
        return lt_build_map2(b, p->fn, args[0], args[1]);
    return lt_build_map3(b, p->fn, args[0], args[1], args[2]);
}

Value *lt_rules_apply(const RuleSet *rules, Node *n, const Rule **fired) {
    for (size_t i = 0; i < rules->len; i++) {
        Match m = {.rule = &rules->data[i]};
        if (m.rule->left->fn != lt_node_fn(n) || !match_pattern(&m, m.rule->left, lt_output(n)))
            continue;
        const Type *type = lt_output(n)->type;
        Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
        Value *v = build_right(&m, &b, m.rule->right, type->dtype);
        if (v && v->type != type)
            v = lt_build_broadcast(&b, v, type->rank, type->dims);
        if (!v || v->type != type)
            continue;
        *fired = m.rule;
        return v;
    }
    return NULL;
}
