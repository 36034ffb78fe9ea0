/* test_bisect.c - bisection by passes: passes that are wrong on purpose are found, and the value
 * that they spoil is named; right ones are not blamed. */
#include "tests/test.h"
#include "tools/bisect.h"

static const char model[] = "graph main(%x \"x\": f32[n,4], %w \"w\": f32[4,4]) {\n"
                            "  %1 \"scaled\" = sub %x, %x\n"
                            "  %2 \"moved\" = add %x, %x\n"
                            "  %3 \"product\" = contract %2, %w {spec = \"mk,kn->mn\"}\n"
                            "  %4 \"second\" = contract %3, %w {spec = \"mk,kn->mn\"}\n"
                            "  %5 \"out\" = add %4, %1\n"
                            "  yield %5\n"
                            "}\n";

static Arena arena, scratch;
static PassContext ctx;
static Bisect bisect;
static const Tensor *inputs[2];

static Tensor *counting(int64_t rows) {
    const int64_t dims[] = {rows, 4};
    Tensor *t = lt_tensor_new(&arena, DT_F32, 2, dims);
    for (int64_t i = 0; i < rows * 4; i++)
        lt_tensor_set_float(t, i, (double)i - 5);
    return t;
}

static void begin(void) {
    lt_arena_init(&arena);
    lt_arena_init(&scratch);
    ctx = (PassContext){.module = lt_module_parse(&arena, model, strlen(model), "t.lir"),
                        .target = lt_target_find("x86-64"),
                        .scratch = &scratch};
    ck_assert_ptr_nonnull(ctx.module);
    inputs[0] = counting(3);
    inputs[1] = counting(4);
    bisect = (Bisect){.ctx = &ctx, .inputs = inputs};
    ck_assert_ptr_null(lt_bisect_begin(&bisect, &arena));
}

static void end(void) {
    lt_bisect_free(&bisect);
    lt_arena_free(&scratch);
    lt_arena_free(&arena);
}

static void run(const Pass *pass) {
    ck_assert_ptr_nonnull(pass);
    pass->run(&ctx);
    lt_arena_free(&scratch);
    ck_assert_uint_eq(ctx.module->diags.errors, 0);
    lt_bisect_after(&bisect, pass);
}

static void run_named(const char *name) { run(lt_pass_find(name)); }

static Node *node_of(const char *name) {
    LT_EACH_NODE(n, ctx.module->main)
    if (n->output_count && lt_output(n)->name && strcmp(lt_output(n)->name, name) == 0)
        return n;
    ck_abort_msg("no node makes %s", name);
    return NULL;
}

static bool says(const char *text) { return strstr(bisect.report.text, text) != NULL; }

START_TEST(does_not_blame_right_passes) {
    int count;
    begin();
    ctx.level = 2;
    const char *const *names = lt_pipeline(&count);
    for (int i = 0; i < count; i++)
        run_named(names[i]);
    ck_assert_msg(!bisect.pass, "%s: %s", bisect.pass, bisect.report.text);
    ck_assert_int_eq(bisect.passes, count);
    ck_assert_int_gt(bisect.stages, 2);
    ck_assert_str_eq(bisect.report.text, "");
    end();
}
END_TEST

/* A node that is changed in place. */
static bool subtracts_instead(PassContext *c) {
    (void)c;
    Attr fn = {.name = ATTR_FN, .u.i = FN_SUB};
    lt_node_set_attr(node_of("moved"), fn);
    return true;
}

START_TEST(names_the_value_that_differs_first) {
    const Pass wrong = {.name = "wrong", .run = subtracts_instead};
    begin();
    run_named("infer");
    run(&wrong);
    run_named("cse");
    ck_assert_str_eq(bisect.pass, "wrong");
    ck_assert_int_eq(bisect.passes, 2);
    ck_assert(says("output out f32[3,4]: greatest error"));
    ck_assert(says("= sub %0, %0 : f32[n,4]"));
    ck_assert(says("\"moved\""));
    ck_assert(!says("\"second\""));
    end();
}
END_TEST

/* A node that is replaced by a new one, which gets its name. */
static bool transposes_instead(PassContext *c) {
    Node *old = node_of("second");
    Value *operands[] = {lt_input(old, 1), lt_input(old, 0)};
    const Attr wrong = {.name = ATTR_SPEC, .u.s = "nk,mk->mn"}; /* right: "kn,mk->mn" */
    Node *new = lt_node_new(c->module->main, old,
                            &(NodeSpec){.op = OP_CONTRACT,
                                        .inputs = operands,
                                        .input_count = 2,
                                        .attrs = &wrong,
                                        .attr_count = 1});
    lt_replace(lt_output(old), lt_output(new));
    lt_node_remove(old);
    return false; /* and it does not even admit it */
}

START_TEST(finds_a_new_node_by_its_name) {
    const Pass wrong = {.name = "liar", .run = transposes_instead};
    begin();
    run(&wrong);
    ck_assert_str_eq(bisect.pass, "liar");
    ck_assert(says("\"second\" = contract"));
    end();
}
END_TEST

/* What is lost to rounding is no difference; what makes the graph impossible to run is one. */
static bool asks_for_another_shape(PassContext *c) {
    const Dim *n = lt_output(node_of("moved"))->type->dims[0];
    lt_module_add_guard(c->module, n, lt_dim_const(&c->module->dims, 99), NULL);
    return true;
}

START_TEST(blames_a_graph_that_does_not_run) {
    const Pass wrong = {.name = "narrow", .run = asks_for_another_shape};
    begin();
    run(&wrong);
    ck_assert_str_eq(bisect.pass, "narrow");
    ck_assert(says("it cannot be run any more: "));
    end();
}
END_TEST

static void lower(void) {
    run_named("infer");
    run_named("fuse");
    run_named("lower");
    ck_assert_ptr_null(bisect.pass);
}

/* The first step that reads a temporary reads the input x instead, which has the same shape. */
static bool crosses_buffers(PassContext *c) {
    for (size_t i = 0; i < c->program->steps.len; i++) {
        Step *s = &c->program->steps.data[i];
        uint32_t *buffers = lt_arena_copy(&arena, s->buffers, s->buffer_count * sizeof *buffers);
        bool temporary = c->program->buffers.data[buffers[0]].place == PLACE_ARENA;
        bool is_input = c->program->kernels.data[s->kernel]->buffers.data[0]->kind == BUFFER_INPUT;
        if (temporary && is_input) {
            buffers[0] = 0;
            s->buffers = buffers;
            return true;
        }
    }
    ck_abort_msg("no step reads a temporary");
    return true;
}

START_TEST(names_the_step_that_differs_first) {
    const Pass wrong = {.name = "crossed", .run = crosses_buffers};
    begin();
    lower();
    run(&wrong);
    ck_assert_str_eq(bisect.pass, "crossed");
    ck_assert_msg(says("it starts in step"), "%s", bisect.report.text);
    end();
}
END_TEST

static bool puts_all_in_one_place(PassContext *c) {
    lt_pass_find("plan-memory")->run(c);
    for (size_t i = 0; i < c->program->buffers.len; i++)
        if (c->program->buffers.data[i].place == PLACE_ARENA)
            c->program->buffers.data[i].offset = lt_dim_const(&c->module->dims, 0);
    return true;
}

START_TEST(blames_a_wrong_plan) {
    const Pass wrong = {.name = "heap", .run = puts_all_in_one_place};
    begin();
    lower();
    run(&wrong);
    ck_assert_str_eq(bisect.pass, "heap");
    ck_assert(says("output out"));
    ck_assert_msg(says(" share memory from step "), "%s", bisect.report.text);
    ck_assert(says("scaled"));
    end();
}
END_TEST

LT_TEST_MAIN("test_bisect", does_not_blame_right_passes, names_the_value_that_differs_first,
             finds_a_new_node_by_its_name, blames_a_graph_that_does_not_run,
             names_the_step_that_differs_first, blames_a_wrong_plan)
