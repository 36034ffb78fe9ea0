/* test_lower_groups.c - lowering against the evaluator: groups with producers and epilogues, and
 * random graphs; which loops merge, which kernels are shared, and what is refused. */
#include "tests/diff/artifact_fixture.h"
#include "tests/diff/group_cases.h"
#include "tests/diff/random_graph.h"

enum { RANDOM_GRAPHS = 150 };

/* --- groups ----------------------------------------------------------------------------------- */

START_TEST(groups) { CHECK_CASES(group_cases); }
END_TEST

/* Two equal layers are one kernel; distinct ones have distinct names. */
START_TEST(shares_kernels) {
    static const char text[] =
        "module \"case\"\nsymbol n in 1..\ngraph main(%x: f32[n,8]) {\n"
        "%a = exp %x loc(\"A\" \"Exp\")\n%b = exp %a loc(\"B\" \"Exp\")\n%c = neg %b loc(\"A\" "
        "\"Neg\")\nyield %c\n}\n";
    Arena arena;
    lt_arena_init(&arena);
    const Program *p = lower(parse(&arena, text), 0, text);
    ck_assert_uint_eq(p->steps.len, 3);
    ck_assert_uint_eq(p->kernels.len, 2);
    ck_assert_uint_eq(p->steps.data[0].kernel, p->steps.data[1].kernel);
    ck_assert_str_ne(p->kernels.data[0]->name, p->kernels.data[1]->name);
    ck_assert_str_eq(p->steps.data[1].name, "B");
    ck_assert_uint_eq(p->kernels.data[0]->in_place, 1);
    lt_arena_free(&arena);
}
END_TEST

/* How many loops of each letter the kernel of a case has. */
static void expect_loops(const Case *c, KernelClass class, const char *names) {
    Arena arena;
    lt_arena_init(&arena);
    const char *text = lt_arena_printf(&arena,
                                       "module \"case\"\nsymbol n in 0..\nsymbol h in 1..\n"
                                       "graph main(%s, %%unused: u8[n,h]) {\n%s\n}\n",
                                       c->inputs, c->body);
    const Program *p = lower(parse(&arena, text), 0, text);
    Str found;
    lt_str_init(&found, &arena);
    ck_assert_uint_eq(p->kernels.len, 1);
    ck_assert_int_eq(p->kernels.data[0]->class, class);
    for (const Stmt *s = p->kernels.data[0]->body; s;) {
        if (s->kind == STMT_FOR)
            lt_str_printf(&found, "%s ", s->u.loop.var->name);
        s = s->kind == STMT_FOR ? s->u.loop.body : s->kind == STMT_IF ? s->u.branch.body : s->next;
    }
    ck_assert_msg(strcmp(found.text, names) == 0, "loops %s, expected %s in\n%s", found.text, names,
                  text);
    lt_arena_free(&arena);
}

START_TEST(merges_loops) {
    expect_loops(&(Case){"%x: f32[n,h,5], %y: f32[n,h,5]", "%a = add %x, %y yield %a"}, KERNEL_MAP,
                 "i0 ");
    expect_loops(&(Case){"%x: f32[n,h,5], %y: f32[5]", "%a = add %x, %y yield %a"}, KERNEL_MAP,
                 "i0 i1 ");
    expect_loops(&(Case){"%x: f32[n,h,5], %y: f32[1,h,5]", "%a = add %x, %y yield %a"}, KERNEL_MAP,
                 "i0 i1 ");
    expect_loops(&(Case){"%x: f32[n,h,5,1], %y: f32[n,1,1,1]", "%a = add %x, %y yield %a"},
                 KERNEL_MAP, "i0 i1 ");
    expect_loops(
        &(Case){"%x: f32[n,h,5]", "%a = reduce.add %x {axes = [1, 2], keep = false} yield %a"},
        KERNEL_REDUCE, "i0 k0 ");
    expect_loops(&(Case){"%x: f32[n,h,5], %y: f32[5,6]",
                         "%a = contract %x, %y {spec = \"bmk,kn->bmn\"} yield %a"},
                 KERNEL_CONTRACT, "m0 n0 k0 ");
    expect_loops(&(Case){"%x: f32[n,h,7,3], %w: f32[1,1,3,8]",
                         CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
                 KERNEL_CONTRACT, "m0 n0 k0 ");
    expect_loops(&(Case){"%x: f32[n,9,7,3], %w: f32[3,3,3,8]",
                         CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
                 KERNEL_CONV, "b y0 y1 o k0 k1 c ");
    expect_loops(&(Case){"%x: f32[n,4,h], %s: f32[4,h]",
                         "%a = layer_norm %x, %s {axis = 1, epsilon = 0.1} yield %a"},
                 KERNEL_ROWS, "i0 r0 ");
    expect_loops(
        &(Case){"%x: f32[n,h,6], %y: f32[n,h,2,3]",
                "%a = fused %x, %y region(%p: f32[n,h,6], %q: f32[n,h,2,3]) { "
                "%r = reshape %p {shape = [n, h, 2, 3]} %s = add %r, %q yield %s } yield %a"},
        KERNEL_MAP, "i0 ");
}
END_TEST

enum { RANDOM_ARTIFACTS = 16 };

/* --- random graphs ---------------------------------------------------------------------------- */

START_TEST(random_graphs) {
    int compared = 0;
    for (int i = 0; i < RANDOM_GRAPHS; i++) {
        for (int fuse = 0; fuse <= 1; fuse++) {
            Arena arena, scratch;
            lt_arena_init(&arena);
            lt_arena_init(&scratch);
            random_state = (uint64_t)i * 7919 + 3;
            Module *m = random_graph(&arena);
            PassContext ctx = {.module = m,
                               .target = lt_target_find("x86-64-avx2"),
                               .level = 2,
                               .scratch = &scratch};
            if (fuse)
                lt_pass_fuse(&ctx);
            Str text;
            lt_str_init(&text, &arena);
            lt_module_print(&text, m);
            compared += check_module(m, symbol_values[i % TRIALS], i % 2 * 2, text.text);
            lt_arena_free(&scratch);
            lt_arena_free(&arena);
        }
    }
    ck_assert_int_gt(compared, RANDOM_GRAPHS);
}
END_TEST

/* The same program as machine code, at -O0 and -O2. */
static void check_artifact(const Program *p, const Tensor *const *inputs,
                           const Tensor *const *expected, const char *text) {
    for (int level = 0; level <= 2; level += 2)
        check_run(p, &(ArtifactRun){inputs, expected, level, .threads = 1, .repeat = 1}, text);
}

START_TEST(random_artifacts) {
    check_more = check_artifact;
    int compared = 0;
    for (int i = 0; i < RANDOM_ARTIFACTS; i++) {
        Arena arena, scratch;
        lt_arena_init(&arena);
        lt_arena_init(&scratch);
        random_state = (uint64_t)i * 104729 + 11;
        Module *m = random_graph(&arena);
        PassContext ctx = {
            .module = m, .target = lt_target_find("x86-64-avx2"), .level = 2, .scratch = &scratch};
        if (i % 2)
            lt_pass_fuse(&ctx);
        compared += check_module(m, symbol_values[i % TRIALS], i % 4 < 2 ? 2 : 0, "random graph");
        lt_arena_free(&scratch);
        lt_arena_free(&arena);
    }
    ck_assert_int_gt(compared, RANDOM_ARTIFACTS / 2);
}
END_TEST

/* What has no kernel is said, not guessed. */
START_TEST(refuses) {
    static const char text[] =
        "module \"case\"\ngraph main(%x: f32[4,4]) {\n%a = fused %x region(%p: f32[4,4]) {\n"
        "%s = softmax %p {axis = 1}\n%m = reduce.add %s {axes = [1], keep = true}\nyield "
        "%m\n}\nyield %a\n}\n";
    Arena arena, scratch;
    lt_arena_init(&arena);
    lt_arena_init(&scratch);
    PassContext ctx = {.module = parse(&arena, text),
                       .target = lt_target_find("x86-64-avx2"),
                       .scratch = &scratch};
    lt_pass_lower(&ctx);
    ck_assert_ptr_null(ctx.program);
    ck_assert_uint_eq(ctx.module->diags.errors, 1);
    ck_assert_int_eq(lt_diag_status(&ctx.module->diags), 3);
    ck_assert_str_eq(first_diag(ctx.module),
                     "there is no kernel for softmax: softmax and reduce are in one group");
    lt_arena_free(&scratch);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_lower_groups", groups, shares_kernels, merges_loops, refuses, random_graphs,
             random_artifacts)
