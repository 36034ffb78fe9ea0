/* test_rules.c - every rewrite rule: its left side is built on random tensors, rewritten, and
 * evaluated before and after. A rule that does not fire on its own left side fails; so does a
 * rewrite without a case. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/build.h"
#include "ir/eval.h"
#include "passes/pass.h"
#include "passes/rules.h"
#include "tests/test.h"

enum { ROWS = 3, COLUMNS = 5, ELEMENTS = ROWS * COLUMNS };

static Arena arena, scratch;

static bool remarked(const Module *m, const char *name) {
    for (size_t i = 0; i < m->diags.items.len; i++)
        if (strstr(m->diags.items.data[i].text, name))
            return true;
    return false;
}

static void run_simplify(Module *m) {
    PassContext ctx = {.module = m, .level = 2, .scratch = &scratch};
    const char *const names[] = {"simplify", "dce"};
    PassOptions options = {.limit = -1, .verify = true};
    m->diags.want_remarks = true;
    ck_assert_msg(lt_passes_run(&ctx, names, 2, &options), "%s",
                  m->diags.items.len ? m->diags.items.data[0].text : "the pass failed");
}

static Tensor *random_tensor(DType dtype, int rank, const int64_t *dims) {
    Tensor *t = lt_tensor_new(&arena, dtype, rank, dims);
    for (int64_t i = 0; i < lt_tensor_elements(t); i++) {
        if (lt_dtype_is_float(dtype))
            lt_tensor_set_float(t, i, 0.25 + (double)(rand() % 1000) / 500);
        else
            lt_tensor_set_int(t, i, dtype == DT_BOOL ? rand() % 2 : rand() % 19 - 9);
    }
    return t;
}

static const Tensor *evaluate(Module *m, const Tensor *const *inputs) {
    Evaluation ev;
    const Tensor *outputs[4];
    ck_assert_msg(lt_eval_module(&ev, &arena, m, inputs, outputs), "%s", ev.error);
    return outputs[0];
}

static void assert_close(const Tensor *a, const Tensor *b, const char *name) {
    ck_assert_int_eq(lt_tensor_elements(a), lt_tensor_elements(b));
    ck_assert_int_eq(a->dtype, b->dtype);
    for (int64_t i = 0; i < lt_tensor_elements(a); i++) {
        double x = lt_tensor_get_float(a, i), y = lt_tensor_get_float(b, i);
        ck_assert_msg(fabs(x - y) <= 1e-5 + 1e-5 * fabs(x), "%s: %g before, %g after", name, x, y);
    }
}

/* --- rules as text ------------------------------------------------------------------------- */

typedef struct Side {
    const Rule *rule;
    Module *module;
    Builder b;
    Value *variables[LT_VARIABLES];
    const Tensor *inputs[LT_VARIABLES];
    int input_count;
    DType dtype;
} Side;

static DType variable_dtype(const Side *s, int variable) {
    if (lt_rule_asks(s->rule, variable, CONDITION_BOOL))
        return DT_BOOL;
    return s->dtype;
}

static Value *build_variable(Side *s, int variable) {
    if (s->variables[variable])
        return s->variables[variable];
    DType dtype = variable_dtype(s, variable);
    int64_t dims[] = {ROWS, COLUMNS};
    if (lt_rule_asks(s->rule, variable, CONDITION_CONST)) {
        double value = variable == 'b' - 'a' ? 1.75 : 0.5; /* ordered, as clamp needs its bounds */
        s->variables[variable] = lt_build_float(&s->b, dtype, value);
    } else {
        const Type *type = lt_type_static(s->module, dtype, 2, dims);
        s->variables[variable] = lt_graph_add_input(s->module->main, type, NULL);
        s->inputs[s->input_count++] = random_tensor(dtype, 2, dims);
    }
    return s->variables[variable];
}

static Value *build_left(Side *s, const Pattern *p) {
    if (p->kind == PATTERN_VARIABLE)
        return build_variable(s, p->variable);
    if (p->kind == PATTERN_NUMBER)
        return lt_dtype_is_float(s->dtype) ? lt_build_float(&s->b, s->dtype, p->number)
                                           : lt_build_int(&s->b, s->dtype, (int64_t)p->number);
    Value *args[3] = {NULL, NULL, NULL};
    for (int i = 0; i < lt_scalar_info[p->fn].arity; i++)
        args[i] = build_left(s, p->args[i]);
    if (!args[1])
        return lt_build_map1(&s->b, p->fn, args[0]);
    return args[2] ? lt_build_map3(&s->b, p->fn, args[0], args[1], args[2])
                   : lt_build_map2(&s->b, p->fn, args[0], args[1]);
}

static bool asks_any(const Rule *rule, ConditionKind kind) {
    for (int i = 0; i < rule->condition_count; i++)
        if (rule->conditions[i].kind == kind)
            return true;
    return false;
}

static void check_rule(const Rule *rule) {
    Side s = {.rule = rule, .module = lt_module_new(&arena, rule->name), .dtype = DT_F32};
    if (asks_any(rule, CONDITION_INT))
        s.dtype = DT_I64;
    bool logic = lt_scalar_info[rule->left->fn].rule == RULE_LOGIC;
    if (asks_any(rule, CONDITION_BOOL) && logic)
        s.dtype = DT_BOOL;
    s.b.graph = s.module->main;
    Value *left = build_left(&s, rule->left);
    ck_assert_msg(left != NULL, "%s: the left side is not well-typed", rule->name);
    /* One more node, so that the rule's result is no output of the model. */
    Value *out = lt_build_reshape(&s.b, left, left->type->rank, left->type->dims);
    lt_graph_set_outputs(s.module->main, &out, 1);
    const Tensor *before = evaluate(s.module, s.inputs);
    run_simplify(s.module);
    ck_assert_msg(remarked(s.module, rule->name), "rule %s (line %d) does not fire", rule->name,
                  rule->line);
    assert_close(before, evaluate(s.module, s.inputs), rule->name);
}

static void set_up(void) {
    lt_arena_init(&arena);
    lt_arena_init(&scratch);
}

START_TEST(every_rule_keeps_values) {
    set_up();
    RuleSet rules = {0};
    const char *error = lt_rules_parse(&arena, lt_simplify_rules, &rules);
    ck_assert_msg(!error, "%s", error);
    ck_assert_uint_gt(rules.len, 30);
    for (size_t i = 0; i < rules.len; i++)
        for (int round = 0; round < 4; round++)
            check_rule(&rules.data[i]);
}
END_TEST

START_TEST(bad_rules_are_refused) {
    set_up();
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"a: mul(x, 1 => x", "wrong number"},
        {"a: mul(x) => x", "wrong number"},
        {"a: frob(x) => x", "no scalar function"},
        {"a: neg(x) => y", "variable of its own"},
        {"a: neg(x) => neg(neg(x))", "not cheaper"},
        {"a: neg(xy) => x", "one letter"},
        {"a: x => x", "not a call"},
        {"a neg(x) => x", "':' is expected"},
        {"a: neg(neg(x)) x", "'=>' is expected"},
        {"a: neg(neg(x)) => x if odd(x)", "no condition"},
        {"a: neg(neg(x)) => x also", "goes on"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        RuleSet rules = {0};
        const char *error = lt_rules_parse(&arena, cases[i].text, &rules);
        ck_assert_msg(error && strstr(error, cases[i].error), "'%s': %s", cases[i].text,
                      error ? error : "no error");
    }
}
END_TEST

/* --- rewrites ------------------------------------------------------------------------------ */

static const struct {
    const char *name, *text;
} rewrite_cases[] = {
    {"fold_scale",
     "graph main(%x: f32[1,4,4,2]) {\n"
     "  %w = const f32[1,1,2,3] [1, 2, 3, 4, 5, 6]\n"
     "  %s = const f32[1,1,1,3] [0.5, 2, 3]\n"
     "  %1 = conv %x, %w {strides = [1, 1], dilations = [1, 1], pad_lo = [0, 0],\n"
     "    pad_hi = [0, 0], groups = 1}\n"
     "  %2 = mul %1, %s\n  %3 = relu %2\n  yield %3\n}\n"},
    {"drop_broadcast_operand",
     "graph main(%x: f32[3], %y: f32[2,3]) {\n  %1 = broadcast %x {shape = [2, 3]}\n"
     "  %2 = add %1, %y\n  yield %2\n}\n"},
    {"merge_reshapes", "graph main(%x: f32[2,6]) {\n  %1 = reshape %x {shape = [12]}\n"
                       "  %2 = reshape %1 {shape = [3, 4]}\n  %3 = neg %2\n  yield %3\n}\n"},
    {"drop_pad", "graph main(%x: f32[2,3]) {\n  %1 = pad %x {pad_lo = [0, 0], pad_hi = [0, 0]}\n"
                 "  %2 = neg %1\n  yield %2\n}\n"},
    {"drop_slice",
     "graph main(%x: f32[2,3]) {\n  %1 = slice %x {start = [0, 0], size = [2, 3], step = [1, 1]}\n"
     "  %2 = neg %1\n  yield %2\n}\n"},
    {"drop_concat",
     "graph main(%x: f32[2,3]) {\n  %1 = concat %x {axis = 0}\n  %2 = neg %1\n  yield %2\n}\n"},
    {"drop_convert",
     "graph main(%x: f32[2,3]) {\n  %1 = convert %x {dtype = f32}\n  %2 = neg %1\n  yield %2\n}\n"},
    {"drop_broadcast", "graph main(%x: f32[2,3]) {\n  %1 = broadcast %x {shape = [2, 3]}\n"
                       "  %2 = reshape %1 {shape = [6]}\n  yield %2\n}\n"},
};

START_TEST(every_rewrite_keeps_values) {
    set_up();
    for (int r = 0; r < lt_rewrite_count; r++) {
        const char *text = NULL;
        for (size_t i = 0; i < sizeof rewrite_cases / sizeof *rewrite_cases; i++)
            if (strcmp(rewrite_cases[i].name, lt_rewrites[r].name) == 0)
                text = rewrite_cases[i].text;
        ck_assert_msg(text != NULL, "rewrite %s has no case", lt_rewrites[r].name);
        Module *m = lt_module_new(&arena, lt_rewrites[r].name);
        bool read = lt_module_read(m, text, strlen(text));
        ck_assert_msg(read, "%s: %s", lt_rewrites[r].name,
                      m->diags.items.len ? m->diags.items.data[0].text : "");
        const Tensor *inputs[4];
        for (size_t i = 0; i < m->main->inputs.len; i++) {
            const Type *type = m->main->inputs.data[i]->type;
            int64_t dims[LT_MAX_RANK];
            for (int d = 0; d < type->rank; d++)
                dims[d] = type->dims[d]->value;
            inputs[i] = random_tensor(type->dtype, type->rank, dims);
        }
        const Tensor *before = evaluate(m, inputs);
        run_simplify(m);
        ck_assert_msg(remarked(m, lt_rewrites[r].name), "rewrite %s does not fire",
                      lt_rewrites[r].name);
        assert_close(before, evaluate(m, inputs), lt_rewrites[r].name);
    }
}
END_TEST

LT_TEST_MAIN("test_rules", every_rule_keeps_values, bad_rules_are_refused,
             every_rewrite_keeps_values)
