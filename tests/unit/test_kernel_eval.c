/* test_kernel_eval.c - the kernel and program interpreters: values, and every check that they make.
 */
#include <math.h>

#include "ir/program.h"
#include "tests/unit/kernel_eval_fixture.h"

/* --- values -------------------------------------------------------------------------------- */

static const char matmul[] =
    "kernel mm(m in 1..inf; a: f32[m, 5] in, b: f32[5, 3] in, out: f32[m, 3] out) {\n"
    "  parallel i in m { for j in 3 {\n"
    "    alloc acc: f32[1] register\n"
    "    acc[0] = 0\n"
    "    for k in 5 { acc[0] = fma(a[i, k], b[k, j], acc[0]) }\n"
    "    out[i, j] = acc[0]\n"
    "  } } }";

START_TEST(multiplies_matrices) {
    const Kernel *k = load_kernel(matmul);
    float a[4][5], b[5][3], out[4][3];
    for (int i = 0; i < 20; i++)
        (&a[0][0])[i] = (float)(i * 7 % 11) - 3;
    for (int i = 0; i < 15; i++)
        (&b[0][0])[i] = (float)(i * 5 % 13) / 4;
    void *buffers[] = {a, b, out};
    ck_assert_ptr_null(run(k, buffers, (const int64_t[]){4}));
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 3; j++) {
            float sum = 0;
            for (int n = 0; n < 5; n++)
                sum += a[i][n] * b[n][j]; /* exact: small multiples of 1/4 */
            ck_assert_float_eq(out[i][j], sum);
        }
    }
}
END_TEST

START_TEST(runs_a_part_of_the_parallel_loop) {
    const Kernel *k =
        load_kernel("kernel t(n in 1..inf; out: f32[n] out) { parallel i in n { out[i] = 1 } }");
    float out[6] = {0};
    void *buffers[] = {out};
    const int64_t ints[] = {6};
    ck_assert_int_eq(lt_kernel_parallel_extent(k, ints), 6);
    ck_assert_ptr_null(lt_kernel_eval(k, &arena, buffers, ints, 2, 4));
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(out[i], i == 2 || i == 3 ? 1 : 0);
    ck_assert_ptr_null(lt_kernel_eval(k, &arena, buffers, ints, 5, 5));
    ck_assert_float_eq(out[5], 0);
    ck_assert_ptr_nonnull(lt_kernel_eval(k, &arena, buffers, ints, 4, 7));
    ck_assert_ptr_nonnull(lt_kernel_eval(k, &arena, buffers, ints, -1, 2));
}
END_TEST

START_TEST(pads_with_predicates) {
    const Kernel *k =
        load_kernel("kernel t(n in 1..inf; a: f32[n] in, out: f32[n + 4] out) {\n"
                    "  for i in n + 4 { out[i] = a[i - 2] where (1 < i and i - 2 < n) }\n"
                    "}");
    float a[3] = {1, 2, 3}, out[7];
    void *buffers[] = {a, out};
    ck_assert_ptr_null(run(k, buffers, (const int64_t[]){3}));
    const float wanted[] = {0, 0, 1, 2, 3, 0, 0};
    for (int i = 0; i < 7; i++)
        ck_assert_float_eq(out[i], wanted[i]);
}
END_TEST

START_TEST(guards_the_tail_of_a_vector_loop) {
    const Kernel *k =
        load_kernel("kernel t(n in 1..inf; a: f32[n] in, out: f32[n] out) {\n"
                    "  parallel i.0 in (n + 7) floordiv 8 { vector i.1 in 8 {\n"
                    "    if (8*i.0 + i.1 < n) { out[8*i.0 + i.1] = a[8*i.0 + i.1] * 2 }\n"
                    "  } } }");
    float a[11], out[11];
    for (int i = 0; i < 11; i++)
        a[i] = (float)i;
    void *buffers[] = {a, out};
    ck_assert_int_eq(lt_kernel_parallel_extent(k, (const int64_t[]){11}), 2);
    ck_assert_ptr_null(run(k, buffers, (const int64_t[]){11}));
    for (int i = 0; i < 11; i++)
        ck_assert_float_eq(out[i], (float)(2 * i));
}
END_TEST

START_TEST(folds_rows) {
    const Kernel *k =
        load_kernel("kernel t(a: f32[2, 4] in, most: f32[2] out, count: i32[2] out) {\n"
                    "  for i in 2 {\n"
                    "    most[i] = -inf\n"
                    "    count[i] = 0\n"
                    "    for r in 4 {\n"
                    "      most[i] = max(most[i], a[i, r])\n"
                    "      count[i] = count[i] + i32(a[i, r] > 1)\n"
                    "    }\n"
                    "  } }");
    float a[2][4] = {{3, -1, 2, 0}, {1, NAN, 5, 1}}, most[2];
    int32_t count[2];
    void *buffers[] = {a, most, count};
    ck_assert_ptr_null(run(k, buffers, NULL));
    ck_assert_float_eq(most[0], 3);
    ck_assert(isnan(most[1]));
    ck_assert_int_eq(count[0], 2);
    ck_assert_int_eq(count[1], 1);
}
END_TEST

START_TEST(rounds_after_each_call) {
    const Kernel *k =
        load_kernel("kernel t(a: f32[3] in, h: f16[2] in, out: f32[3] out, g: f16[1] out) {\n"
                    "  out[0] = a[0] + a[1] - a[0]\n"
                    "  out[1] = fma(a[2], a[2], -1)\n"
                    "  out[2] = a[2] * a[2] - 1\n"
                    "  g[0] = h[0] + h[1]\n"
                    "}");
    float a[3] = {1, 1e-9f, 1 + 0x1p-12f}, out[3];
    uint16_t h[2] = {0x6800 /* 2048 */, 0x3c00 /* 1 */}, g[1];
    void *buffers[] = {a, h, out, g};
    ck_assert_ptr_null(run(k, buffers, NULL));
    ck_assert_float_eq(out[0], 0);
    ck_assert_float_eq(out[1], fmaf(a[2], a[2], -1));
    ck_assert_float_eq(out[2], 0x1p-11f);
    ck_assert_float_ne(out[1], out[2]);
    ck_assert_uint_eq(g[0], 0x6800);
}
END_TEST

START_TEST(wraps_and_saturates) {
    const Kernel *k = load_kernel(
        "kernel t(a: i8[2] in, u: u64[2] in, f: f32[2] in, s: i8[2] out, v: u64[1] out,\n"
        "  c: u8[2] out, b: bool[1] out) {\n"
        "  s[0] = a[0] + a[1]\n"
        "  s[1] = i8(300:i32 + i32(a[1]))\n"
        "  v[0] = u[0] / u[1]\n"
        "  c[0] = u8(f[0])\n"
        "  c[1] = u8(f[1])\n"
        "  b[0] = u[1] < u[0]\n"
        "}");
    int8_t a[2] = {127, 2}, s[2];
    uint64_t u[2] = {UINT64_MAX, 2}, v[1];
    float f[2] = {1e9f, NAN};
    uint8_t c[2], b[1];
    void *buffers[] = {a, u, f, s, v, c, b};
    ck_assert_ptr_null(run(k, buffers, NULL));
    ck_assert_int_eq(s[0], -127);
    ck_assert_int_eq(s[1], 46);
    ck_assert_uint_eq(v[0], UINT64_MAX / 2);
    ck_assert_uint_eq(c[0], 255);
    ck_assert_uint_eq(c[1], 0);
    ck_assert_uint_eq(b[0], 1);
}
END_TEST

START_TEST(stores_show_in_the_next_statement) {
    const Kernel *k = load_kernel("kernel t(a: f32[1] in, out: f32[2] out) {\n"
                                  "  out[0] = a[0]\n"
                                  "  out[1] = out[0] + 1\n"
                                  "  out[0] = out[0] + 1\n"
                                  "  out[1] = out[0] + 1\n"
                                  "}");
    float a[1] = {5}, out[2];
    void *buffers[] = {a, out};
    ck_assert_ptr_null(run(k, buffers, NULL));
    ck_assert_float_eq(out[0], 6);
    ck_assert_float_eq(out[1], 7);
}
END_TEST

/* 2^60 paths: only feasible when a shared value is computed once. */
START_TEST(shared_values_are_computed_once) {
    lt_arena_init(&arena);
    Kernel *k = lt_kernel_new(&arena, "t", NULL);
    const Dim *one = lt_dim_const(&k->dims, 1), *zero = lt_dim_const(&k->dims, 0);
    const Buffer *in = lt_kernel_param(k, BUFFER_INPUT, "a", DT_F32, 1, &one);
    const Buffer *out = lt_kernel_param(k, BUFFER_OUTPUT, "out", DT_F32, 1, &one);
    const Expr *e = lt_expr_load(k, in, &zero, NULL);
    for (int i = 0; i < 60; i++)
        e = lt_expr_call(k, FN_ADD, e, e, NULL);
    k->body = lt_stmt_store(k, out, &zero, e);
    float a[1] = {1}, result[1];
    void *buffers[] = {a, result};
    ck_assert_ptr_null(run(k, buffers, NULL));
    ck_assert_float_eq(result[0], 0x1p60f);
}
END_TEST

/* --- checks -------------------------------------------------------------------------------- */

START_TEST(finds_accesses_out_of_bounds) {
    const Kernel *k =
        load_kernel("kernel t(n in 1..inf, m in 1..inf; a: f32[n, 4] in, out: f32[n] out) {\n"
                    "  for i in m { out[i] = a[i, 1] }\n"
                    "}");
    float a[12] = {0}, out[3];
    void *buffers[] = {a, out};
    ck_assert_ptr_null(run(k, buffers, (const int64_t[]){3, 3}));
    check_error(k, buffers, (const int64_t[]){3, 4},
                "kernel t: load of a[3, 1], outside its extents [3, 4]");
    k = load_kernel("kernel t(n in 1..inf; out: f32[4] out) { out[n - 2] = 0 }");
    buffers[0] = out;
    ck_assert_ptr_null(run(k, buffers, (const int64_t[]){2}));
    check_error(k, buffers, (const int64_t[]){1}, "store to out[-1], outside its extents [4]");
}
END_TEST

/* A wrong column may still lie inside the buffer: each axis is checked. */
START_TEST(checks_each_axis) {
    const Kernel *k =
        load_kernel("kernel t(n in 1..inf; a: f32[2, 4] in, out: f32[1] out) { out[0] = a[0, n] }");
    float a[8] = {0}, out[1];
    void *buffers[] = {a, out};
    ck_assert_ptr_null(run(k, buffers, (const int64_t[]){3}));
    check_error(k, buffers, (const int64_t[]){4}, "load of a[0, 4]");
}
END_TEST

/* A team's kernel: one line of it, which may be anything, in a loop over steps. */
static const Kernel *team(const char *line) {
    return load_kernel(
        lt_arena_printf(&arena,
                        "kernel t(n in 1..inf; out: f32[8] out) {\n"
                        "  alloc all: f32[2, 4] shared\n  alloc own: f32[4] stack\n"
                        "  parallel i in 4 { all[0, i] = f32(i) all[1, i] = 2 own[i] = 3 }\n"
                        "  barrier\n  for t in n {\n%s\n  } }",
                        line));
}

/* What would depend on how fast threads are is an error, though nothing is parallel here. */
START_TEST(finds_races) {
    static const struct {
        const char *line, *error; /* NULL: none */
    } cases[] = {
        {"parallel j in 4 { out[j] = all[0, 3 - j] }", NULL},
        {"parallel j in 4 { all[(t + 1) mod 2, j] = all[t mod 2, 3 - j] } barrier", NULL},
        {"own[2] = 1\n parallel j in 4 { out[j] = own[2] }", NULL},
        {"parallel j in 4 { all[0, j] = all[0, j] + own[j] }", NULL},
        {"parallel j in 4 { all[0, j] = all[0, 3 - j] } barrier", "of all is touched"},
        {"parallel j in 4 { all[(t + 1) mod 2, j] = all[t mod 2, 3 - j] }", "of all is touched"},
        {"parallel j in 4 { out[j] = all[0, 3 - j] } parallel k in 4 { all[0, k] = 1 } barrier",
         "by iteration 3 with no barrier between"},
        {"parallel j in 4 { out[j floordiv 2] = 1 }", "element 0 of out is touched by iteration 1"},
        {"parallel j in 4 { out[j] = own[3 - j] } barrier", "of another thread's own buffer"},
        {"parallel j in 4 { own[j] = 1 } barrier own[0] = own[1]", "another thread's own buffer"},
    };
    float out[8];
    void *buffers[] = {out};
    const int64_t ints[] = {2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Kernel *k = team(cases[i].line);
        if (cases[i].error)
            check_error(k, buffers, ints, cases[i].error);
        else
            ck_assert_ptr_null(run(k, buffers, ints));
    }
    const Kernel *k = team(cases[1].line);
    ck_assert_int_eq(lt_kernel_parallel_extent(k, ints), 4);
    ck_assert_ptr_nonnull(lt_kernel_eval(k, &arena, buffers, ints, 0, 2)); /* in part: no meaning */
}
END_TEST

START_TEST(uninitialised_reads_show) {
    const Kernel *k = load_kernel("kernel t(out: f32[3] out, v: i32[1] out) {\n"
                                  "  for i in 2 {\n"
                                  "    alloc t: f32[2] register\n"
                                  "    alloc u: i32[1] stack\n"
                                  "    if (i < 1) { t[1] = 7 }\n"
                                  "    out[i] = t[1]\n"
                                  "    v[0] = u[0]\n"
                                  "  } }");
    float out[3] = {0, 0, 0};
    int32_t v[1] = {0};
    void *buffers[] = {out, v};
    ck_assert_ptr_null(run(k, buffers, NULL));
    ck_assert_float_eq(out[0], 7);
    ck_assert(isnan(out[1])); /* fresh in each iteration */
    ck_assert_int_eq(v[0], (int32_t)0xa5a5a5a5);
}
END_TEST

START_TEST(false_predicates_do_not_touch_memory) {
    const Kernel *k = load_kernel("kernel t(n in 1..inf; a: f32[n] in, out: f32[1] out) {\n"
                                  "  out[0] = a[n + 1000] where (n < 0 or out[0] < 0)\n"
                                  "}");
    float a[2] = {1, 2}, out[1] = {5};
    void *buffers[] = {a, out};
    ck_assert_ptr_null(run(k, buffers, (const int64_t[]){2}));
    ck_assert_float_eq(out[0], 0);
    out[0] = -5;
    check_error(k, buffers, (const int64_t[]){2}, "load of a[1002]");
}
END_TEST

START_TEST(select_is_lazy) {
    const Kernel *k =
        load_kernel("kernel t(n in 1..inf; a: f32[n] in, b: f32[2] in, out: f32[n + 2] out) {\n"
                    "  for i in n + 2 { out[i] = select(i < n, a[i], b[i - n]) }\n"
                    "}");
    float a[3] = {1, 2, 3}, b[2] = {4, 5}, out[5];
    void *buffers[] = {a, b, out};
    ck_assert_ptr_null(run(k, buffers, (const int64_t[]){3}));
    for (int i = 0; i < 5; i++)
        ck_assert_float_eq(out[i], (float)(i + 1));
}
END_TEST

START_TEST(lets_keep_their_range) {
    const Kernel *k = load_kernel("kernel t(idx: i64[1] in, a: f32[4] in, out: f32[1] out) {\n"
                                  "  let x in 0..3 = idx[0] + 1\n"
                                  "  out[0] = a[x]\n"
                                  "}");
    int64_t idx[1] = {2};
    float a[4] = {1, 2, 3, 4}, out[1];
    void *buffers[] = {idx, a, out};
    ck_assert_ptr_null(run(k, buffers, NULL));
    ck_assert_float_eq(out[0], 4);
    idx[0] = 3;
    check_error(k, buffers, NULL, "x is 4, outside its range 0..3");
}
END_TEST

START_TEST(empty_loops_run_nothing) {
    const Kernel *k = load_kernel("kernel t(n in 0..inf; out: f32[n] out) {\n"
                                  "  parallel i in n { for j in i - 5 { out[i + 9] = 1 } } }");
    ck_assert_ptr_null(run(k, (void *const[]){NULL}, (const int64_t[]){0}));
    float out[4];
    ck_assert_ptr_null(run(k, (void *const[]){out}, (const int64_t[]){4}));
}
END_TEST

/* --- programs ------------------------------------------------------------------------------ */

typedef struct Fixture {
    Program program;
    Module *m;
    const Dim *n;
} Fixture;

static Kernel *unary_kernel(const char *value) {
    return kernel_from(&arena,
                       lt_arena_printf(&arena,
                                       "kernel step(n in 1..inf; a: f32[n] in, out: f32[n] out) {\n"
                                       "  parallel i in n { out[i] = %s } }",
                                       value));
}

static const Dim *bytes_dim(Fixture *f, int64_t factor) {
    return lt_dim_mul_const(&f->m->dims, f->n, factor);
}

static void add_step(Fixture *f, StepKind kind, uint32_t kernel, uint32_t from, uint32_t to) {
    const uint32_t buffers[] = {from, to};
    const Dim **ints = lt_arena_copy(&arena, &f->n, sizeof f->n);
    Step step = {.kind = kind, .kernel = kernel, .name = "step", .buffer_count = 2, .int_count = 1};
    step.buffers = lt_arena_copy(&arena, buffers, sizeof buffers);
    step.ints = ints;
    step.count = kind == STEP_COPY ? bytes_dim(f, 4) : f->n;
    lt_vec_push(&arena, &f->program.steps, step);
}

/* t = 2 x; y = t + t[0]: two temporaries, the second one at second_offset * n. And a weight. */
static Fixture make_program(int64_t second_offset) {
    lt_arena_init(&arena);
    Fixture f = {.m = lt_module_new(&arena, "test")};
    f.n = lt_dim_symbol(&f.m->dims, "n");
    const Type *type = lt_type(f.m, DT_F32, 1, &f.n);
    f.m->main = f.m->main ? f.m->main : lt_graph_new(f.m, NULL, "main");
    Value *x = lt_graph_add_input(f.m->main, type, "x");
    lt_graph_set_outputs(f.m->main, &x, 1);
    f.program = (Program){.arena = &arena, .module = f.m, .weights_size = 64};
    f.program.arena_size = bytes_dim(&f, 128);
    f.program.lower_bound = bytes_dim(&f, 8);
    const Const *weight =
        lt_const_splat(f.m, lt_type_static(f.m, DT_F32, 1, (const int64_t[]){4}), &(float){0.5f});
    const Dim *zero = lt_dim_const(&f.m->dims, 0);
    const ProgramBuffer buffers[] = {
        {.place = PLACE_INPUT, .type = type, .name = "x"},
        {.place = PLACE_ARENA, .type = type, .offset = zero, .bytes = bytes_dim(&f, 4)},
        {.place = PLACE_ARENA,
         .type = type,
         .offset = bytes_dim(&f, second_offset),
         .bytes = bytes_dim(&f, 4)},
        {.place = PLACE_OUTPUT, .type = type, .name = "y"},
        {.place = PLACE_WEIGHTS, .type = weight->type, .value = weight, .offset = zero},
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        lt_vec_push(&arena, &f.program.buffers, buffers[i]);
    lt_vec_push(&arena, &f.program.kernels, unary_kernel("a[i] * 2"));
    lt_vec_push(&arena, &f.program.kernels, unary_kernel("a[i] + a[0]"));
    add_step(&f, STEP_LAUNCH, 0, 0, 1);
    add_step(&f, STEP_LAUNCH, 1, 1, 2);
    add_step(&f, STEP_COPY, 0, 2, 3);
    return f;
}

static const char *run_program(Fixture *f, const ProgramLibrary *library, const Tensor **out) {
    Tensor *x = lt_tensor_new(&arena, DT_F32, 1, (const int64_t[]){3});
    for (int i = 0; i < 3; i++)
        lt_tensor_set_float(x, i, i + 1);
    const Tensor *inputs[] = {x};
    return lt_program_eval_with(&f->program, &arena, inputs, out, library);
}

START_TEST(runs_a_program) {
    Fixture f = make_program(64);
    const Tensor *out;
    const char *error = run_program(&f, NULL, &out);
    ck_assert_msg(error == NULL, "%s", error);
    ck_assert_int_eq(out->dims[0], 3);
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq(lt_tensor_get_float(out, i), 2 * (i + 1) + 2);
    Str text;
    lt_str_init(&text, &arena);
    lt_program_print(&text, &f.program);
    ck_assert_ptr_nonnull(strstr(text.text, "step 1: launch step(%1, %2; n) over n as \"step\""));
    ck_assert_ptr_nonnull(strstr(text.text, "%2: f32[n] arena 64*n bytes 4*n steps 0..0"));
    ck_assert_ptr_nonnull(strstr(text.text, "%0: f32[n] input 0 \"x\""));
}
END_TEST

/* Two live buffers at one place: the results are wrong, as they would be in compiled code. */
START_TEST(a_wrong_plan_shows) {
    Fixture f = make_program(0);
    const Tensor *out;
    ck_assert_ptr_null(run_program(&f, NULL, &out));
    ck_assert_double_eq(lt_tensor_get_float(out, 0), 4);
    ck_assert_double_eq(lt_tensor_get_float(out, 1), 4 + 4); /* a[0] was overwritten */
}
END_TEST

static void expect_program_error(Fixture *f, const char *wanted) {
    const Tensor *out;
    const char *error = run_program(f, NULL, &out);
    ck_assert_msg(error && strstr(error, wanted), "wanted: %s, found: %s", wanted,
                  error ? error : "none");
}

START_TEST(checks_the_plan) {
    Fixture f = make_program(128);
    expect_program_error(&f, "do not fit");
    f = make_program(4);
    expect_program_error(&f, "do not fit"); /* not aligned */
    f = make_program(64);
    f.program.steps.data[1].count = lt_dim_const(&f.m->dims, 2);
    expect_program_error(&f, "launched over 2, its loop runs 3");
    f = make_program(64);
    f.program.steps.data[0].ints = (const Dim *[]){lt_dim_const(&f.m->dims, 9)};
    expect_program_error(&f, "a has 36 bytes, its buffer only 12");
    f = make_program(64);
    f.program.steps.data[2].count = lt_dim_const(&f.m->dims, 16);
    expect_program_error(&f, "a copy of 16 bytes");
    f = make_program(64);
    lt_module_add_guard(f.m, f.n, lt_dim_const(&f.m->dims, 4), NULL);
    expect_program_error(&f, "dims 3 and 4 must be equal");
}
END_TEST

static int32_t negate(void *context, uint32_t function, void *const *buffers, const int64_t *ints) {
    ck_assert_uint_eq(function, 7);
    for (int64_t i = 0; i < ints[0]; i++)
        ((float *)buffers[1])[i] = -((const float *)buffers[0])[i];
    return *(const int32_t *)context;
}

START_TEST(calls_the_library) {
    Fixture f = make_program(64);
    f.program.steps.data[1].kind = STEP_LIBRARY;
    f.program.steps.data[1].kernel = 7;
    expect_program_error(&f, "kernel library");
    int32_t status = 0;
    const ProgramLibrary library = {negate, &status};
    const Tensor *out;
    ck_assert_ptr_null(run_program(&f, &library, &out));
    ck_assert_double_eq(lt_tensor_get_float(out, 2), -6);
    status = 3;
    ck_assert_ptr_nonnull(strstr(run_program(&f, &library, &out), "status 3"));
}
END_TEST

START_TEST(places_weights) {
    Fixture f = make_program(64);
    f.program.steps.data[0].buffers = (const uint32_t[]){4, 1};
    const Tensor *out;
    const char *error = run_program(&f, NULL, &out);
    ck_assert_msg(error == NULL, "%s", error);
    ck_assert_double_eq(lt_tensor_get_float(out, 2), 0.5 * 2 + 1);
}
END_TEST

LT_TEST_MAIN("test_kernel_eval", multiplies_matrices, runs_a_part_of_the_parallel_loop,
             pads_with_predicates, guards_the_tail_of_a_vector_loop, folds_rows,
             rounds_after_each_call, wraps_and_saturates, stores_show_in_the_next_statement,
             shared_values_are_computed_once, finds_accesses_out_of_bounds, checks_each_axis,
             finds_races, uninitialised_reads_show, false_predicates_do_not_touch_memory,
             select_is_lazy, lets_keep_their_range, empty_loops_run_nothing, runs_a_program,
             a_wrong_plan_shows, checks_the_plan, calls_the_library, places_weights)
