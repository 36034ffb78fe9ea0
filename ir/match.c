/* match.c - matches the left side of a rule and builds its right side.
 *
 * Which operand of a commutative node comes first is not searched for by backtracking: a rule has
 * few such nodes, so every way to swap them is tried in turn, as the bits of a number. A try that
 * fails before it comes to some of them stands for all that differ in those alone. */
#include "ir/match.h"

#include <math.h>
#include <string.h>

#include "ir/eval.h"

/* --- constants -------------------------------------------------------------------------------- */

static int64_t const_elements(const Const *c) {
    int64_t count = 1;
    lt_type_is_static(c->type, &count);
    return c->is_splat && count > 0 ? 1 : count;
}

/* The number as c's dtype can hold it, everywhere in c. */
static bool is_number(Module *m, const Const *c, double number) {
    if (const_elements(c) != 1)
        return false;
    if (lt_dtype_is_float(c->type->dtype))
        number = lt_const_get_float(lt_const_float(m, c->type->dtype, number), 0);
    return lt_const_get_float(c, 0) == number;
}

/* --- conditions ------------------------------------------------------------------------------- */

static DType dtype_of(const RuleMatch *match, ConditionArg arg) {
    return match->values[arg.slot]->type->dtype;
}

static bool is_float(const RuleMatch *match, const ConditionArg *args) {
    return lt_dtype_is_float(dtype_of(match, args[0]));
}

static bool is_int(const RuleMatch *match, const ConditionArg *args) {
    return lt_dtype_is_int(dtype_of(match, args[0]));
}

/* 1 / c is exact, and so is x * (1 / c). */
static bool is_power_of_two(const RuleMatch *match, const ConditionArg *args) {
    const Const *c = lt_value_const(match->values[args[0].slot]);
    enum { LEAST_EXPONENT = -13, GREATEST_EXPONENT = 14 }; /* f16 holds both it and its inverse */
    int64_t count = c ? const_elements(c) : 0;
    for (int64_t i = 0; i < count; i++) {
        int exponent;
        double part = frexp(lt_const_get_float(c, i), &exponent);
        if (fabs(part) != 0.5 || exponent < LEAST_EXPONENT || exponent > GREATEST_EXPONENT)
            return false;
    }
    return count > 0;
}

/* The least and the greatest element, or the number. */
static bool range_of(const RuleMatch *match, ConditionArg arg, double *lo, double *hi) {
    *lo = *hi = arg.number;
    if (arg.slot < 0)
        return true;
    const Const *c = lt_value_const(match->values[arg.slot]);
    int64_t count = c ? const_elements(c) : 0;
    for (int64_t i = 0; i < count; i++) {
        double x = lt_const_get_float(c, i);
        if (isnan(x))
            return false;
        *lo = i == 0 || x < *lo ? x : *lo;
        *hi = i == 0 || x > *hi ? x : *hi;
    }
    return count > 0;
}

static bool is_less_equal(const RuleMatch *match, const ConditionArg *args) {
    double a_lo, a_hi, b_lo, b_hi;
    return range_of(match, args[0], &a_lo, &a_hi) && range_of(match, args[1], &b_lo, &b_hi) &&
           a_hi <= b_lo;
}

/* Significant bits and exponent bits of the float dtypes. */
static const struct {
    int8_t significand, exponent;
} precisions[LT_DTYPE_LIMIT] = {
    [DT_F64] = {53, 11},  [DT_F32] = {24, 8},       [DT_F16] = {11, 5},
    [DT_BF16] = {8, 8},   [DT_F8E4M3FN] = {4, 4},   [DT_F8E4M3FNUZ] = {4, 4},
    [DT_F8E5M2] = {3, 5}, [DT_F8E5M2FNUZ] = {3, 5}, [DT_F8E8M0] = {1, 8},
    [DT_F4E2M1] = {2, 2},
};

/* The 8-bit floats each lack something: -0, infinity, or 0. */
static bool is_wider_float(DType wide, DType narrow) {
    return lt_dtype_size(wide) > lt_dtype_size(narrow) &&
           precisions[wide].significand > precisions[narrow].significand &&
           precisions[wide].exponent >= precisions[narrow].exponent;
}

/* Every element of x survives the way through y's dtype, whatever it is converted to next. */
static bool is_lossless(const RuleMatch *match, const ConditionArg *args) {
    DType x = dtype_of(match, args[0]), y = dtype_of(match, args[1]);
    if (x == y || x == DT_BOOL)
        return y != DT_F8E8M0 || x == y;
    if (lt_dtype_is_float(x))
        return lt_dtype_is_float(y) && is_wider_float(y, x);
    bool widens = lt_dtype_bits(y) > lt_dtype_bits(x);
    return lt_dtype_is_int(y) && widens && (lt_dtype_is_unsigned(x) || lt_dtype_is_signed(y));
}

static bool is_same_type(const RuleMatch *match, const ConditionArg *args) {
    return match->values[args[0].slot]->type == match->values[args[1].slot]->type;
}

static bool is_read_once(const RuleMatch *match, const ConditionArg *args) {
    return lt_value_use_count(match->values[args[0].slot]) == 1;
}

ConditionFn *lt_condition_find(const char *name, int *arg_count) {
    static const struct {
        const char *name;
        ConditionFn *holds;
        int arg_count;
    } rows[] = {
        {"float", is_float, 1},
        {"int", is_int, 1},
        {"power_of_two", is_power_of_two, 1},
        {"less_equal", is_less_equal, 2},
        {"lossless", is_lossless, 2},
        {"same_type", is_same_type, 2},
        {"single_use", is_read_once, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            *arg_count = rows[i].arg_count;
            return rows[i].holds;
        }
    }
    return NULL;
}

/* --- the left side ---------------------------------------------------------------------------- */

static bool same_attr(const Attr *a, const Attr *b) {
    if (a->name != b->name || a->count != b->count)
        return false;
    switch (lt_attr_info[a->name].kind) {
    case ATTR_KIND_STRING: return strcmp(a->u.s, b->u.s) == 0;
    case ATTR_KIND_INTS: return memcmp(a->u.ints, b->u.ints, a->count * sizeof(int64_t)) == 0;
    case ATTR_KIND_DIMS: return memcmp(a->u.dims, b->u.dims, a->count * sizeof(Dim *)) == 0;
    case ATTR_KIND_CONST: return a->u.c == b->u.c;
    case ATTR_KIND_FLOAT: return a->u.f == b->u.f;
    default: return a->u.i == b->u.i;
    }
}

static bool same_value(const Value *a, const Value *b) {
    const Const *c = lt_value_const(a);
    return a == b || (c && c == lt_value_const(b));
}

static bool bind_value(RuleMatch *match, int slot, Value *v) {
    if (slot < 0)
        return true;
    if (!match->values[slot])
        match->values[slot] = v;
    return same_value(match->values[slot], v);
}

static bool match_attrs(RuleMatch *match, const Pattern *p, const Node *n) {
    for (int i = 0; i < p->attr_count; i++) {
        const Attr *attr = lt_attr(n, p->attrs[i].name), **bound = &match->attrs[p->attrs[i].slot];
        if (!attr || (*bound && !same_attr(*bound, attr)))
            return false;
        *bound = attr;
    }
    return true;
}

static bool match_value(RuleMatch *match, const Pattern *p, Value *v, unsigned swaps);

static bool match_node(RuleMatch *match, const Pattern *p, Node *n, unsigned swaps) {
    if (n->op != p->op || (int)n->input_count != p->arg_count)
        return false;
    const Attr *fn = lt_attr(n, ATTR_FN);
    if ((fn && (ScalarFn)fn->u.i != p->fn) || !match_attrs(match, p, n))
        return false;
    bool swapped = p->swap >= 0 && (swaps >> p->swap & 1);
    match->asked |= p->swap >= 0 ? 1u << p->swap : 0;
    for (int i = 0; i < p->arg_count; i++) {
        Value *v = lt_input(n, (uint32_t)(swapped ? 1 - i : i));
        if (!v || !match_value(match, p->args[i], v, swaps))
            return false;
    }
    match->loc = lt_loc_join(match->module->arena, match->loc, n->loc);
    return true;
}

static bool match_value(RuleMatch *match, const Pattern *p, Value *v, unsigned swaps) {
    const Const *c = lt_value_const(v);
    switch (p->kind) {
    case PATTERN_VALUE: return bind_value(match, p->slot, v);
    case PATTERN_CONST: return c && bind_value(match, p->slot, v);
    case PATTERN_NUMBER: return c && is_number(match->module, c, p->number);
    case PATTERN_NODE: break;
    }
    if (!v->def || !match_node(match, p, v->def, swaps))
        return false;
    if (lt_value_use_count(v) == 1)
        match->removed_weight += lt_rule_weight(p->op, p->fn);
    return bind_value(match, p->slot, v);
}

static bool conditions_hold(const Rule *rule, const RuleMatch *match) {
    for (int i = 0; i < rule->condition_count; i++)
        if (!rule->conditions[i].holds(match, rule->conditions[i].args))
            return false;
    return true;
}

/* Arithmetic on bools keeps only whether the result is 0: the laws of rings do not hold. */
static bool is_bool_arithmetic(const Node *n) {
    return n->op == OP_MAP && lt_scalar_info[lt_node_fn(n)].rule == RULE_SAME &&
           lt_output(n)->type->dtype == DT_BOOL;
}

bool lt_rule_matches(const Rule *rule, Node *n, RuleMatch *match) {
    if (rule->left->op != n->op || is_bool_arithmetic(n))
        return false;
    for (unsigned swaps = 0, failed = 0; swaps < 1u << rule->swap_count; swaps++) {
        if (swaps > 0 && ((swaps ^ failed) & match->asked) == 0)
            continue;
        failed = swaps;
        *match = (RuleMatch){.module = n->graph->module};
        match->removed_weight = lt_rule_weight(n->op, rule->left->fn);
        if (match_node(match, rule->left, n, swaps) && conditions_hold(rule, match))
            return true;
    }
    return false;
}

/* --- the right side --------------------------------------------------------------------------- */

void lt_remove_unused(Value *v) {
    Node *n = v->def;
    if (!n || !n->graph || lt_op_has(n->op, OPF_TERMINATOR))
        return;
    for (uint32_t i = 0; i < n->output_count; i++)
        if (n->outputs[i]->uses)
            return;
    Value *inputs[RULE_MAX_SLOTS];
    uint32_t count = n->input_count < RULE_MAX_SLOTS ? n->input_count : RULE_MAX_SLOTS;
    for (uint32_t i = 0; i < count; i++)
        inputs[i] = lt_input(n, i);
    lt_node_remove(n);
    for (uint32_t i = 0; i < count; i++)
        if (inputs[i])
            lt_remove_unused(inputs[i]);
}

Value *lt_build_folded(Builder *b, Value *v) {
    const Const *result;
    if (!v || !v->def || v->def->op == OP_CONST || !lt_type_is_static(v->type, NULL))
        return v;
    for (uint32_t i = 0; i < v->def->input_count; i++)
        if (!lt_input(v->def, i) || !lt_value_const(lt_input(v->def, i)))
            return v;
    if (v->def->input_count == 0 || !lt_eval_const_node(b->graph->module, v->def, &result))
        return v;
    lt_remove_unused(v);
    return lt_build_const(b, result);
}

typedef struct RightSide {
    Builder b;
    const RuleMatch *match;
    int weight; /* of the nodes built so far */
} RightSide;

static Value *build_pattern(RightSide *r, const Pattern *p, DType dtype);

static bool build_args(RightSide *r, const Pattern *p, DType dtype, Value **args) {
    for (int i = 0; i < p->arg_count; i++) {
        if (p->args[i]->kind == PATTERN_NUMBER)
            continue;
        args[i] = build_pattern(r, p->args[i], dtype);
        if (!args[i])
            return false;
        dtype = args[i]->type->dtype;
    }
    for (int i = 0; i < p->arg_count; i++)
        if (p->args[i]->kind == PATTERN_NUMBER)
            args[i] = build_pattern(r, p->args[i], dtype);
    return true;
}

/* A constant made of constants must not be larger than they are: [4, 1] * [1, 4] would be. */
static bool has_grown(const Value *v, Value *const *args, int count) {
    const Const *c = lt_value_const(v);
    for (int i = 0; c && i < count; i++) {
        const Const *arg = lt_value_const(args[i]);
        if (arg && arg->bytes >= c->bytes)
            return false;
    }
    return c != NULL && count > 0;
}

static Value *build_node(RightSide *r, const Pattern *p, DType dtype) {
    Value *args[RULE_MAX_ARGS];
    Attr attrs[RULE_MAX_ATTRS + 1];
    uint32_t attr_count = 0;
    if (!build_args(r, p, dtype, args))
        return NULL;
    if (lt_op_info[p->op].required & (UINT64_C(1) << ATTR_FN))
        attrs[attr_count++] = lt_int(ATTR_FN, p->fn);
    for (int i = 0; i < p->attr_count; i++)
        attrs[attr_count++] = *r->match->attrs[p->attrs[i].slot];
    Value *v = lt_build(&r->b, &(NodeSpec){.op = p->op,
                                           .inputs = args,
                                           .input_count = (uint32_t)p->arg_count,
                                           .attrs = attrs,
                                           .attr_count = attr_count});
    v = lt_build_folded(&r->b, v);
    if (!v || has_grown(v, args, p->arg_count))
        return NULL;
    r->weight += lt_rule_weight(v->def->op, p->fn);
    return v;
}

static Value *build_number(RightSide *r, double number, DType dtype) {
    return lt_dtype_is_float(dtype) ? lt_build_float(&r->b, dtype, number)
                                    : lt_build_int(&r->b, dtype, (int64_t)number);
}

static Value *build_pattern(RightSide *r, const Pattern *p, DType dtype) {
    if (p->kind == PATTERN_NUMBER)
        return build_number(r, p->number, dtype);
    return p->kind == PATTERN_NODE ? build_node(r, p, dtype) : r->match->values[p->slot];
}

/* v with the type of the result that it replaces. */
static Value *fit_type(Builder *b, Value *v, const Node *n) {
    const Type *type = lt_output(n)->type;
    if (!v || v->type == type)
        return v;
    if (v->type->dtype != type->dtype || n->op != OP_MAP)
        return NULL;
    v = lt_build_broadcast(b, v, type->rank, type->dims);
    return v && v->type == type ? v : NULL;
}

BuildMark lt_build_mark(Node *n) {
    const Module *m = n->graph->module;
    return (BuildMark){.before = n,
                       .last = n->prev,
                       .diags = m->diags.items.len,
                       .guards = m->guards.len,
                       .errors = m->diags.errors};
}

void lt_build_undo(const BuildMark *mark) {
    Module *m = mark->before->graph->module;
    while (mark->before->prev != mark->last)
        lt_node_remove(mark->before->prev);
    size_t kept = mark->diags;
    for (size_t i = mark->diags; i < m->diags.items.len; i++)
        if (m->diags.items.data[i].level == DIAG_REMARK)
            m->diags.items.data[kept++] = m->diags.items.data[i];
    m->diags.items.len = kept;
    m->diags.errors = mark->errors;
    m->guards.len = mark->guards;
}

Value *lt_rule_apply(const Rule *rule, Node *n) {
    RuleMatch match;
    if (!lt_rule_matches(rule, n, &match))
        return NULL;
    const BuildMark mark = lt_build_mark(n);
    RightSide r = {.b = {.graph = n->graph, .before = n, .loc = match.loc}, .match = &match};
    DType dtype = n->input_count ? lt_input(n, 0)->type->dtype : lt_output(n)->type->dtype;
    if (rule->right->kind == PATTERN_NUMBER)
        dtype = lt_output(n)->type->dtype;
    Value *v = fit_type(&r.b, build_pattern(&r, rule->right, dtype), n);
    if (v && r.weight < match.removed_weight)
        return v;
    lt_build_undo(&mark);
    return NULL;
}
