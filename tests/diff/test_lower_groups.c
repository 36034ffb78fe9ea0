/* test_lower_groups.c - lowering against the evaluator: groups with producers and epilogues, and
 * random graphs; which loops merge, which kernels are shared, and what is refused. */
#include "tests/diff/artifact_fixture.h"

enum { RANDOM_GRAPHS = 150 };

/* --- groups ----------------------------------------------------------------------------------- */

static const Case group_cases[] = {
    {"%x: f32[n,h,6], %y: f32[n,h,6]",
     "%a, %b = fused %x, %y region(%p: f32[n,h,6], %q: f32[n,h,6]) { %s = add %p, %q %t = sigmoid "
     "%s "
     "%u = mul %s, %t yield %u, %s } yield %a, %b"},
    /* the same operand at its own and at another place: not in place */
    {"%x: f32[6,6]",
     "%k = neg %x %a = fused %k region(%p: f32[6,6]) { %t = transpose %p {perm = [1, 0]} "
     "%u = add %p, %t yield %u } yield %a"},
    {"%x: f32[n,h,6]", "%k = neg %x %r = reshape %k {shape = [n, 6, h]} "
                       "%a = fused %k, %r region(%p: f32[n,h,6], %q: f32[n,6,h]) { "
                       "%t = transpose %q {perm = [0, 2, 1]} %u = add %p, %t yield %u } yield %a"},
    {"%x: f32[n,4,6], %w: f32[6,7], %b: f32[7], %r: f32[n,4,7]",
     "%a = fused %x, %w, %b, %r region(%p: f32[n,4,6], %q: f32[6,7], %c: f32[7], %d: f32[n,4,7]) { "
     "%m = contract %p, %q {spec = \"bmk,kn->bmn\"} %s = add %m, %c %t = relu %s %u = add %t, %d "
     "yield %u } "
     "yield %a"},
    /* heads: reshape and transpose behind a contraction, and a map at the new place */
    {"%x: f32[n,h,6], %w: f32[6,8], %s: f32[n,2,h,4]",
     "%a = fused %x, %w, %s region(%p: f32[n,h,6], %q: f32[6,8], %c: f32[n,2,h,4]) { "
     "%m = contract %p, %q {spec = \"bmk,kn->bmn\"} %v = reshape %m {shape = [n, h, 2, 4]} "
     "%t = transpose %v {perm = [0, 2, 1, 3]} %u = add %t, %c yield %u } yield %a"},
    {"%x: f32[n,h,2,4], %w: f32[8,5]",
     "%a = fused %x, %w region(%p: f32[n,h,2,4], %q: f32[8,5]) { "
     "%r = reshape %p {shape = [n, h, 8]} %m = contract %r, %q {spec = \"bmk,kn->bmn\"} yield %m "
     "} yield %a"},
    {"%x: f32[n,2,h,4], %w: f32[8,5]",
     "%a = fused %x, %w region(%p: f32[n,2,h,4], %q: f32[8,5]) { %t = transpose %p {perm = [0, 2, "
     "1, 3]} "
     "%r = reshape %t {shape = [n, h, 8]} %m = contract %r, %q {spec = \"bmk,kn->bmn\"} yield %m "
     "} yield %a"},
    {"%x: f32[n,h + 2,5,3], %w: f32[3,3,3,8], %b: f32[8], %r: f32[n,h + 2,5,8]",
     "%a = fused %x, %w, %b, %r region(%p: f32[n,h + 2,5,3], %q: f32[3,3,3,8], %c: f32[8], "
     "%d: f32[n,h + 2,5,8]) { %i = pad %p {pad_lo = [0, 1, 1, 0], pad_hi = [0, 1, 1, 0]} "
     "%m = conv %i, %q {strides = [1, 1], dilations = [1, 1], pad_lo = [0, 0], pad_hi = [0, 0], "
     "groups = 1} "
     "%s = add %m, %c %u = add %s, %d %v = relu %u yield %v } yield %a"},
    {"%x: f32[n,h,9]",
     "%a = fused %x region(%p: f32[n,h,9]) { %m = reduce.add %p {axes = [2], keep = true} "
     "%c = const f32[] [0.111] %u = mul %m, %c %s = sqrt %u %v = abs %s yield %v } "
     "yield %a"},
    {"%x: f32[n,h,9]",
     "%a, %b = fused %x region(%p: f32[n,h,9]) { %e = exp %p "
     "%m = reduce.add %e {axes = [1], keep = false} %v = neg %m yield %v, %m } yield %a, %b"},
    /* scale and mask in front of a softmax */
    {"%x: f32[n,2,h,h], %k: f32[n,1,1,h]",
     "%a = fused %x, %k region(%p: f32[n,2,h,h], %q: f32[n,1,1,h]) { %c = const f32[] [0.5] "
     "%s = mul %p, %c %t = add %s, %q %u = softmax %t {axis = 3} yield %u } yield %a"},
    {"%x: f32[n,37], %k: f32[n,37]",
     "%a = fused %x, %k region(%p: f32[n,37], %q: f32[n,37]) { %t = add %p, %q "
     "%u = softmax %t {axis = 1} %v = convert %u {dtype = f16} yield %v } yield %a"},
    {"%x: f32[n,h], %k: f32[n,h]",
     "%a = fused %x, %k region(%p: f32[n,h], %q: f32[n,h]) { %t = add %p, %q "
     "%u = log_softmax %t {axis = 1} %v = convert %u {dtype = f64} yield %v } yield %a"},
    {"%x: f32[n,h,16], %y: f32[n,h,16], %s: f32[16], %b: f32[16]",
     "%a, %e = fused %x, %y, %s, %b region(%p: f32[n,h,16], %q: f32[n,h,16], %c: f32[16], %d: "
     "f32[16]) { "
     "%t = add %p, %q %u = layer_norm %t, %c, %d {axis = 2, epsilon = 1e-5} %v = relu %u yield "
     "%v, %u } "
     "yield %a, %e"},
    {"%x: f32[9,h], %i: i64[n,3], %p: f32[3,h], %s: f32[h]",
     "%a = fused %x, %i, %p, %s region(%e: f32[9,h], %j: i64[n,3], %q: f32[3,h], %c: f32[h]) { "
     "%g = gather %e, %j {axis = 0} %t = add %g, %q %u = layer_norm %t, %c {axis = 2, epsilon = "
     "1e-5} "
     "yield %u } yield %a"},
    {"%x: f32[n,4,3], %y: f32[n,4,h]",
     "%a = fused %x, %y region(%p: f32[n,4,3], %q: f32[n,4,h]) { %r = relu %p "
     "%c = concat %r, %q {axis = 2} %s = neg %c yield %s } yield %a"},
    {"%x: f32[n,6]", "%a = fused %x region(%p: f32[n,6]) { %c = const f32[6] [1,2,3,4,5,6] "
                     "%s = mul %p, %c yield %s } yield %a"},
    {"%x: f32[n,4], %i: i64[n,2]",
     "%a = fused %x, %i region(%p: f32[n,4], %j: i64[n,2]) { %g = gather_elements %p, %j {axis = "
     "1} "
     "%q = pad %g {pad_lo = [0, 1], pad_hi = [0, 1]} %s = neg %q yield %s } yield %a"},
    {"%x: f32[n,h,5,4]",
     "%a = fused %x region(%p: f32[n,h,5,4]) { %t = transpose %p {perm = [0, 3, 1, 2]} %r = relu "
     "%t "
     "%m = window.max %p {axes = [2], kernel = [2], strides = [2], dilations = [1], pad_lo = [0], "
     "pad_hi = [0]}"
     " %v = transpose %m {perm = [0, 3, 1, 2]} %w = neg %v yield %w } yield %a"},
};

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

static Value *random_move(Builder *b, Value *x) {
    DimTable *t = &b->graph->module->dims;
    const int rank = x->type->rank;
    int64_t perm[LT_MAX_RANK], steps[LT_MAX_RANK];
    const Dim *dims[LT_MAX_RANK], *zeros[LT_MAX_RANK], *pads[LT_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        perm[i] = rank - 1 - i;
        steps[i] = 1;
        zeros[i] = lt_dim_const(t, 0);
        pads[i] = lt_dim_const(t, random_below(3));
        dims[i] = x->type->dims[i];
    }
    switch (random_below(5)) {
    case 0: return lt_build_transpose(b, x, perm);
    case 1:
        dims[0] = lt_type_elements(b->graph->module, x->type);
        return lt_build_reshape(b, x, 1, dims);
    case 2:
        steps[0] = lt_dim_is_const(dims[0]) && dims[0]->value > 2 ? 2 : 1;
        dims[0] = lt_dim_ceildiv(t, dims[0], lt_dim_const(t, steps[0]));
        return lt_build_slice(b, x, zeros, dims, steps);
    case 3: return rank < 4 ? lt_build_pad(b, x, pads, zeros, "constant", NULL) : x;
    default: return lt_build_concat(b, (Value *const[]){x, x}, 2, (int)random_below(rank));
    }
}

static Value *random_fold(Builder *b, Value *x) {
    const int64_t axis = random_below(x->type->rank);
    const Attr attrs[] = {lt_int(ATTR_AXIS, axis)};
    const NodeSpec softmax = {
        .op = OP_SOFTMAX, .inputs = &x, .input_count = 1, .attrs = attrs, .attr_count = 1};
    switch (random_below(3)) {
    case 0: return lt_build_reduce(b, FN_MAX, x, &axis, 1, true);
    case 1: return lt_build_reduce(b, FN_ADD, x, &axis, 1, x->type->rank == 1);
    default: return lt_build(b, &softmax);
    }
}

/* A few ops over inputs, each reading what came before. */
static Module *random_graph(Arena *arena) {
    static const ScalarFn unary[] = {FN_SIGMOID, FN_ABS, FN_TANH, FN_RELU},
                          binary[] = {FN_ADD, FN_MUL, FN_MAX};
    Module *m = lt_module_new(arena, "random");
    m->main = lt_graph_new(m, NULL, "main");
    Builder b = {.graph = m->main};
    const Dim *n = lt_dim_symbol(&m->dims, "n"), *h = lt_dim_symbol(&m->dims, "h");
    const Dim *shapes[3][3] = {{n, h, lt_dim_const(&m->dims, 6)},
                               {n, lt_dim_const(&m->dims, 5), lt_dim_const(&m->dims, 1)},
                               {h, lt_dim_const(&m->dims, 3), lt_dim_const(&m->dims, 4)}};
    Value *pool[24];
    int count = 0;
    lt_dim_set_range(&m->dims, n, 0, LT_DIM_UNBOUNDED);
    for (; count < 3; count++)
        pool[count] = lt_graph_add_input(m->main, lt_type(m, DT_F32, 3, shapes[count]), NULL);
    while (count < 12) {
        Value *x = pool[random_below(count)], *y = pool[random_below(count)];
        Value *made;
        switch (random_below(5)) {
        case 0: made = random_move(&b, x); break;
        case 1: made = random_fold(&b, x); break;
        case 2: made = lt_build_map1(&b, unary[random_below(4)], x); break;
        default:
            made = lt_build_map2(&b, binary[random_below(3)], x, x->type == y->type ? y : x);
            break;
        }
        ck_assert_msg(made != NULL, "%s", first_diag(m));
        pool[count++] = made;
    }
    lt_graph_set_outputs(m->main, (Value *const[]){pool[11], pool[10], pool[7]}, 3);
    return m;
}

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
