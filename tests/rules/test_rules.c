/* test_rules.c - every rewrite rule: its left side is built with random operands, shapes, dtypes
 * and orders, rewritten by that rule alone, and evaluated before and after. A rule that does not
 * fire often enough on its own left side fails. Rewrites that are functions have cases as text. */
#include <math.h>

#include "ir/build.h"
#include "ir/eval.h"
#include "passes/rewrite.h"
#include "tests/rules/rule_cases.h"
#include "tests/test.h"

enum { ATTEMPTS = 160, LEAST_FIRINGS = 6, MAX_INPUTS = 16 };

/* --- random choices --------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t random_below(uint32_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static double random_real(double lo, double hi) {
    return lo + (hi - lo) * (double)random_below(1 << 20) / (1 << 20);
}

static void fill_random(Tensor *t, bool positive) {
    for (int64_t i = 0; i < lt_tensor_elements(t); i++) {
        if (lt_dtype_is_float(t->dtype))
            lt_tensor_set_float(t, i, random_real(positive ? 0.25 : -3, 3));
        else
            lt_tensor_set_int(t, i, t->dtype == DT_BOOL ? random_below(2) : random_below(9) + 1);
    }
}

/* --- one left side ---------------------------------------------------------------------------- */

typedef struct Side {
    Arena *arena;
    Module *module;
    Builder b;
    bool positive;
    DType dtype; /* of what takes any */
    Value *slots[RULE_MAX_SLOTS];
    const Tensor *inputs[MAX_INPUTS];
} Side;

static int random_dims(int64_t dims[2]) {
    static const int64_t shapes[][2] = {{3, 5}, {3, 5}, {3, 5}, {1, 5}, {3, 1}, {1, 1}};
    uint32_t which = random_below(sizeof shapes / sizeof *shapes);
    dims[0] = shapes[which][0];
    dims[1] = shapes[which][1];
    return 2;
}

static Value *make_input(Side *s, DType dtype) {
    int64_t dims[2];
    int rank = random_dims(dims);
    Tensor *t = lt_tensor_new(s->arena, dtype, rank, dims);
    fill_random(t, s->positive);
    s->inputs[s->module->main->inputs.len] = t;
    return lt_graph_add_input(s->module->main, lt_type_static(s->module, dtype, rank, dims), NULL);
}

static Value *make_const(Side *s, DType dtype) {
    int64_t dims[2];
    int rank = random_below(2) ? 0 : random_dims(dims);
    Tensor *t = lt_tensor_new(s->arena, dtype, rank, dims);
    fill_random(t, s->positive);
    bool powers = lt_dtype_is_float(dtype) && random_below(3) == 0;
    for (int64_t i = 0; powers && i < lt_tensor_elements(t); i++)
        lt_tensor_set_float(t, i, ldexp(1, (int)random_below(7) - 3));
    return lt_build_const(
        &s->b, lt_const(s->module, lt_type_static(s->module, dtype, rank, dims), t->data));
}

static Value *make_number(Side *s, double number, DType dtype) {
    return lt_dtype_is_float(dtype) ? lt_build_float(&s->b, dtype, number)
                                    : lt_build_int(&s->b, dtype, (int64_t)number);
}

static DType random_dtype(void) {
    static const DType dtypes[] = {DT_F32, DT_F64, DT_I32, DT_I64, DT_U8, DT_BOOL, DT_F16};
    return dtypes[random_below(sizeof dtypes / sizeof *dtypes)];
}

/* Which dtype operand i of a map takes where its result is to be `dtype`. */
static DType operand_dtype(const Side *s, ScalarFn fn, int i, DType dtype) {
    switch (lt_scalar_info[fn].rule) {
    case RULE_LOGIC: return DT_BOOL;
    case RULE_COMPARE:
    case RULE_TEST: return s->dtype;
    case RULE_SELECT: return i == 0 ? DT_BOOL : dtype;
    default: return dtype;
    }
}

static Value *build_side(Side *s, const Pattern *p, DType dtype);

/* Attributes of an op that is no map, random where that makes sense. */
static uint32_t random_attrs(Side *s, const Pattern *p, const Value *x, Attr *attrs,
                             const Dim **shape, int64_t *axes) {
    Module *m = s->module;
    int rank = x->type->rank;
    bool same = random_below(2);
    switch (p->op) {
    case OP_RESHAPE:
        *shape = lt_type_elements(m, x->type);
        attrs[0] = same ? lt_dims(ATTR_SHAPE, x->type->dims, (uint32_t)rank)
                        : lt_dims(ATTR_SHAPE, shape, 1);
        return 1;
    case OP_BROADCAST:
        shape[0] = lt_dim_const(&m->dims, 2);
        for (int i = 0; i < rank; i++)
            shape[i + 1] = x->type->dims[i];
        attrs[0] = same ? lt_dims(ATTR_SHAPE, shape + 1, (uint32_t)rank)
                        : lt_dims(ATTR_SHAPE, shape, (uint32_t)rank + 1);
        return 1;
    case OP_CONVERT: attrs[0] = lt_int(ATTR_DTYPE, random_dtype()); return 1;
    case OP_REDUCE:
        axes[0] = random_below((uint32_t)rank);
        attrs[0] = lt_int(ATTR_FN, p->fn);
        attrs[1] = lt_ints(ATTR_AXES, axes, random_below(2));
        attrs[2] = lt_int(ATTR_KEEP, random_below(2));
        return 3;
    default: attrs[0] = lt_int(ATTR_AXIS, random_below((uint32_t)rank)); return 1;
    }
}

static Value *build_node(Side *s, const Pattern *p, DType dtype) {
    Value *args[RULE_MAX_ARGS];
    Attr attrs[4];
    const Dim *shape[LT_MAX_RANK + 1];
    int64_t axes[1];
    uint32_t attr_count = 1;
    bool swapped = p->swap >= 0 && random_below(2);
    for (int i = 0; i < p->arg_count; i++) {
        DType wanted = p->op == OP_MAP       ? operand_dtype(s, p->fn, i, dtype)
                       : p->op == OP_CONVERT ? random_dtype()
                                             : dtype;
        args[swapped ? 1 - i : i] = build_side(s, p->args[i], wanted);
        if (!args[swapped ? 1 - i : i])
            return NULL;
    }
    if (p->op == OP_MAP)
        attrs[0] = lt_int(ATTR_FN, p->fn);
    else
        attr_count = random_attrs(s, p, args[0], attrs, shape, axes);
    return lt_build(&s->b, &(NodeSpec){.op = p->op,
                                       .inputs = args,
                                       .input_count = (uint32_t)p->arg_count,
                                       .attrs = attrs,
                                       .attr_count = attr_count});
}

static Value *build_side(Side *s, const Pattern *p, DType dtype) {
    if (p->kind == PATTERN_NUMBER)
        return make_number(s, p->number, dtype);
    if (p->slot >= 0 && s->slots[p->slot])
        return s->slots[p->slot];
    Value *v = p->kind == PATTERN_VALUE   ? make_input(s, dtype)
               : p->kind == PATTERN_CONST ? make_const(s, dtype)
                                          : build_node(s, p, dtype);
    if (p->slot >= 0)
        s->slots[p->slot] = v;
    return v;
}

/* --- before and after ------------------------------------------------------------------------- */

static const Tensor *evaluate(Arena *arena, Module *m, const Tensor *const *inputs) {
    Evaluation ev;
    const Tensor *outputs[4];
    ck_assert_msg(lt_eval_module(&ev, arena, m, inputs, outputs), "%s", ev.error);
    return outputs[0];
}

static void assert_close(const Tensor *a, const Tensor *b, const char *name) {
    ck_assert_msg(a->dtype == b->dtype && a->rank == b->rank &&
                      memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0,
                  "%s: the type changed", name);
    const double tolerance = a->dtype == DT_F16 ? 4e-3 : lt_dtype_is_float(a->dtype) ? 2e-5 : 0;
    for (int64_t i = 0; i < lt_tensor_elements(a); i++) {
        double x = lt_tensor_get_float(a, i), y = lt_tensor_get_float(b, i);
        bool same = (isnan(x) && isnan(y)) || x == y || fabs(x - y) <= tolerance * (1 + fabs(x));
        ck_assert_msg(same, "%s: element %d is %.9g before, %.9g after", name, (int)i, x, y);
    }
}

/* Applies the one rule or rewrite; false: it does not fire. */
static bool rewrite(Arena *arena, Module *m, const RewriteSet *all, const char *only) {
    Arena scratch;
    lt_arena_init(&scratch);
    RewriteSet set = *all;
    set.only = only;
    PassContext ctx = {.module = m, .level = 2, .scratch = &scratch};
    m->diags.want_remarks = true;
    bool fired = lt_rewrite(&ctx, &set);
    lt_arena_free(&scratch);
    ck_assert_msg(m->diags.errors == 0 && lt_module_verify(m), "%s: %s", only,
                  m->diags.items.len ? m->diags.items.data[m->diags.items.len - 1].text : "");
    (void)arena;
    return fired;
}

/* One attempt; false: the operands do not suit the rule. */
static bool attempt(const RewriteSet *set, const Rule *rule) {
    static const DType dtypes[] = {DT_F32, DT_F32, DT_I64, DT_BOOL, DT_F64, DT_I32};
    Arena arena;
    lt_arena_init(&arena);
    Side s = {.arena = &arena, .module = lt_module_new(&arena, rule->name)};
    s.positive = random_below(2);
    s.dtype = dtypes[random_below(sizeof dtypes / sizeof *dtypes)];
    s.b.graph = s.module->main;
    bool fired = false;
    Value *left = build_side(&s, rule->left, s.dtype);
    if (left) {
        /* One more node, so that the result is no output of the model. */
        Value *out = lt_build_reshape(&s.b, left, left->type->rank, left->type->dims);
        lt_graph_set_outputs(s.module->main, &out, 1);
        const Tensor *before = evaluate(&arena, s.module, s.inputs);
        fired = rewrite(&arena, s.module, set, rule->name);
        assert_close(before, evaluate(&arena, s.module, s.inputs), rule->name);
    }
    lt_arena_free(&arena);
    return fired;
}

static void check_rules(const RewriteSet *set, size_t least) {
    Arena arena;
    const char *error = NULL;
    lt_arena_init(&arena);
    const RuleSet *rules = lt_rules_read(&arena, set->rules, &error);
    ck_assert_msg(rules != NULL, "%s", error);
    ck_assert_uint_ge(rules->rules.len, least);
    for (size_t i = 0; i < rules->rules.len; i++) {
        const Rule *rule = rules->rules.data[i];
        int fired = 0;
        random_state = i + 1;
        for (int k = 0; k < ATTEMPTS; k++)
            fired += attempt(set, rule);
        ck_assert_msg(fired >= LEAST_FIRINGS, "rule %s (line %d) fired %d times in %d attempts",
                      rule->name, rule->line, fired, ATTEMPTS);
    }
    lt_arena_free(&arena);
}

START_TEST(simplify_rules_keep_values) { check_rules(&lt_simplify_set, 90); }
END_TEST
START_TEST(recognize_rules_keep_values) { check_rules(&lt_recognize_set, 8); }
END_TEST

START_TEST(names_of_rules_differ) {
    Arena arena;
    const char *error = NULL;
    lt_arena_init(&arena);
    Map seen;
    lt_map_init(&seen, &arena);
    const RuleSet *rules = lt_rules_read(&arena, lt_simplify_set.rules, &error);
    for (size_t i = 0; i < rules->rules.len; i++) {
        const char *name = rules->rules.data[i]->name;
        ck_assert_msg(!lt_strmap_has(&seen, name), "two rules are called %s", name);
        lt_strmap_set(&seen, name, &seen);
    }
    lt_arena_free(&arena);
}
END_TEST

START_TEST(bad_rules_are_refused) {
    for (size_t i = 0; i < sizeof bad_rules / sizeof *bad_rules; i++) {
        Arena arena;
        const char *error = NULL;
        lt_arena_init(&arena);
        ck_assert_msg(!lt_rules_read(&arena, bad_rules[i].text, &error), "accepted: %s",
                      bad_rules[i].text);
        ck_assert_msg(error && strstr(error, bad_rules[i].error), "'%s': %s", bad_rules[i].text,
                      error ? error : "no error");
        lt_arena_free(&arena);
    }
}
END_TEST

/* --- rewrites that are functions -------------------------------------------------------------- */

static const Tensor *random_input(Arena *arena, const Type *type) {
    enum { SYMBOLIC_EXTENT = 4 };
    int64_t dims[LT_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        dims[i] = lt_dim_is_const(type->dims[i]) ? type->dims[i]->value : SYMBOLIC_EXTENT;
    Tensor *t = lt_tensor_new(arena, type->dtype, type->rank, dims);
    fill_random(t, false);
    return t;
}

static void check_case(const RewriteSet *set, const RewriteCase *c) {
    Arena arena;
    lt_arena_init(&arena);
    Module *m = lt_module_new(&arena, c->name);
    bool read = lt_module_read(m, c->text, strlen(c->text));
    ck_assert_msg(read, "%s: %s", c->name, m->diags.items.len ? m->diags.items.data[0].text : "");
    const Tensor *inputs[MAX_INPUTS];
    for (size_t i = 0; i < m->main->inputs.len; i++)
        inputs[i] = random_input(&arena, m->main->inputs.data[i]->type);
    const Tensor *before = evaluate(&arena, m, inputs);
    bool fired = rewrite(&arena, m, set, c->name);
    ck_assert_msg(fired == c->fires, "rewrite %s %s:\n%s", c->name,
                  fired ? "must not fire" : "does not fire", c->text);
    assert_close(before, evaluate(&arena, m, inputs), c->name);
    lt_arena_free(&arena);
}

static void check_cases(const RewriteSet *set) {
    for (int r = 0; r < set->rewrite_count; r++) {
        int fires = 0;
        for (size_t i = 0; i < sizeof rewrite_cases / sizeof *rewrite_cases; i++) {
            if (strcmp(rewrite_cases[i].name, set->rewrites[r].name) != 0)
                continue;
            check_case(set, &rewrite_cases[i]);
            fires += rewrite_cases[i].fires;
        }
        ck_assert_msg(fires > 0, "rewrite %s has no case", set->rewrites[r].name);
    }
}

START_TEST(rewrites_keep_values) {
    random_state = 7;
    check_cases(&lt_simplify_set);
    check_cases(&lt_recognize_set);
}
END_TEST

LT_TEST_MAIN("test_rules", simplify_rules_keep_values, recognize_rules_keep_values,
             names_of_rules_differ, bad_rules_are_refused, rewrites_keep_values)
