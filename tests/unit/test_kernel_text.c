/* test_kernel_text.c - kernels as text and back: exact round trips, and errors that point at their
 * place. */
#include "tests/unit/kernel_fixture.h"

static Arena arena;

static void check_round_trip(const Kernel *k) {
    const char *text = kernel_text(&arena, k, true);
    ck_assert_str_eq(kernel_text(&arena, kernel_from(&arena, text), true), text);
    const char *bare = kernel_text(&arena, k, false);
    ck_assert_str_eq(kernel_text(&arena, kernel_from(&arena, bare), false), bare);
}

/* Text that prints as itself. */
static const char *const canonical[] = {
    "kernel empty() {\n}\n",
    "kernel ints(n in 1..inf, m in -3..7;) {\n}\n",
    "kernel scalar(in0: f32[] in, out: f32[] out) {\n  out[] = exp(in0[])\n}\n",
    "kernel matmul(n in 1..inf; a: f32[n, 64] in, b: f32[64, 10] in, out: f32[n, 10] out) contract "
    "in_place 1 schedule \"parallel m; split n 4\" @ \"Gemm_3\"(\"Gemm\") + \"Relu \\\"4\\\"\" {\n"
    "  parallel m in n {\n"
    "    unroll j.0 in 10 {\n"
    "      alloc acc: f32[1] register\n"
    "      acc[0] = 0\n"
    "      for k in 64 @ (\"MatMul\") {\n"
    "        acc[0] = fma(a[m, k], b[k, j.0], acc[0])\n"
    "      }\n"
    "      out[m, j.0] = max(acc[0], 0) @ 12:5\n"
    "    }\n"
    "  }\n"
    "}\n",
    "kernel \"a b\"(h in 4..16; in0: f32[h] in, out: f32[2*h] out) map {\n"
    "  vector i in 8 {\n"
    "    if (i < h and not(isnan(in0[0])) or in0[1] == 1.5) {\n"
    "      out[i] = in0[i - 1] where (0 < i)\n"
    "    } else {\n"
    "      out[h + i] = in0[0] - (in0[1] - in0[2]) / (in0[3] * -2)\n"
    "    }\n"
    "  }\n"
    "}\n",
    "kernel lets(n in 1..inf; idx: i32[n] in, w: i64[n] in, out: i64[n] out) {\n"
    "  for i in n {\n"
    "    let t in -inf..100 = i64(idx[i]) * 2 + i\n"
    "    let u in 0..9 = w[i] where (t < 7)\n"
    "    out[min(u, n - 1)] = select(t + u < (i + 1) floordiv 3, mod(w[i], 3), i mod 5 * w[i])\n"
    "  }\n"
    "  for i in n {\n"
    "    out[i] = i*i\n"
    "  }\n"
    "}\n",
    "kernel team(t in 1..inf; out: f32[8] out) {\n"
    "  alloc both: f32[2, 8] shared\n"
    "  for s in t {\n"
    "    parallel i in 8 {\n"
    "      both[s mod 2, i] = 1\n"
    "    }\n"
    "    barrier @ (\"LSTM\")\n"
    "    parallel j in 8 {\n"
    "      out[j] = both[s mod 2, -j + 7]\n"
    "    }\n"
    "  }\n"
    "}\n",
    "kernel block(n in 1..inf; x: f32[n, 8] in, out: f32[n] out) rows {\n"
    "  grid b in n {\n"
    "    alloc sum: f32[] register\n"
    "    sum[] = 0\n"
    "    thread t in 8 {\n"
    "      sum[] = sum[] + x[b, t]\n"
    "    }\n"
    "    combine sum by max of 2 apart 4\n"
    "    combine sum by add of 8 @ (\"ReduceSum\")\n"
    "    alloc run: f32[] register\n"
    "    run[] = 0\n"
    "    scan run after sum by add of 4 apart 2\n"
    "    thread s in 1 {\n"
    "      out[b] = sum[]\n"
    "    }\n"
    "  }\n"
    "}\n",
    "kernel dtypes(a: f16[4] in, b: f64[4] in, c: u8[4] in, out: bool[4] out) {\n"
    "  alloc tmp: f64[2, 3] stack\n"
    "  tmp[0, 1] = b[0] * 1e-300 + 0.1\n"
    "  tmp[1, 2] = f64(f32(a[1]) * 0.1) + -inf\n"
    "  out[0] = a[0] < 0.5 and b[0] + 0.1 == nan\n"
    "  out[1] = c[0] <= 200\n"
    "  out[2] = 200:u8 < c[0]\n"
    "  out[3] = 1.5:f16 < a[0]\n"
    "  out[0] = bitcast.i16(a[0]) < 7 and bitcast.bool(c[1])\n"
    "}\n",
};

START_TEST(canonical_text_prints_as_itself) {
    for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
        lt_arena_init(&arena);
        Kernel *k = kernel_from(&arena, canonical[i]);
        ck_assert_str_eq(kernel_text(&arena, k, true), canonical[i]);
        check_round_trip(k);
    }
}
END_TEST

START_TEST(other_spellings_are_read) {
    static const char *const pairs[][2] = {
        {"out[0] = 1:f32 * a[0]", "out[0] = a[0]"},
        {"out[2 - 1] = ((a[0])) # why\n", "out[1] = a[0]"},
        {"out[0] = a[0] -1.5", "out[0] = a[0] + -1.5"},
        {"out[0] = -a[0]", "out[0] = neg(a[0])"},
        {"out[0] = add(a[0], a[1])", "out[0] = a[0] + a[1]"},
        {"out[0] = f32(3)", "out[0] = 3"},
        {"out[0] = 1e3", "out[0] = 1000"},
        {"out[0] = -0", "out[0] = -0"},
        {"for i in 9 { out[-i + 8] = a[i * 2 - i] }", "for i in 9 {\n    out[-i + 8] = a[i]\n  }"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        lt_arena_init(&arena);
        const char *frame = "kernel t(a: f32[9] in, out: f32[9] out) {\n  %s\n}\n";
        Kernel *k = kernel_from(&arena, lt_arena_printf(&arena, frame, pairs[i][0]));
        ck_assert_str_eq(kernel_text(&arena, k, true), lt_arena_printf(&arena, frame, pairs[i][1]));
    }
}
END_TEST

/* The order in which symbols were made is not in the text, and so must not be visible in it. */
START_TEST(text_does_not_depend_on_creation_order) {
    lt_arena_init(&arena);
    const char *texts[2];
    for (int order = 0; order < 2; order++) {
        Kernel *k = lt_kernel_new(&arena, "t", NULL);
        const Dim *eight = lt_dim_const(&k->dims, 8), *vars[2];
        vars[order] = lt_kernel_loop_var(k, order ? "j" : "i", eight);
        vars[!order] = lt_kernel_loop_var(k, order ? "i" : "j", eight);
        const Dim *i = vars[0], *j = vars[1], *size = lt_dim_const(&k->dims, 100);
        const Buffer *out = lt_kernel_param(k, BUFFER_OUTPUT, "out", DT_F32, 1, &size);
        const Dim *at =
            lt_dim_add(&k->dims, lt_dim_mul(&k->dims, j, i), lt_dim_min(&k->dims, j, i));
        at = lt_dim_add(&k->dims, at, lt_dim_sub(&k->dims, j, i));
        Stmt *store = lt_stmt_store(k, out, &at, lt_expr_float(k, DT_F32, 0));
        store = lt_stmt_for(k, LOOP_SERIAL, j, eight, store);
        k->body = lt_stmt_for(k, LOOP_SERIAL, i, eight, store);
        check_round_trip(k);
        texts[order] = kernel_text(&arena, k, true);
    }
    ck_assert_str_eq(texts[0], texts[1]);
}
END_TEST

START_TEST(bare_text_is_without_names) {
    lt_arena_init(&arena);
    const char *text = kernel_text(&arena, kernel_from(&arena, canonical[3]), false);
    ck_assert_ptr_null(strstr(text, "matmul"));
    ck_assert_ptr_null(strstr(text, "Gemm"));
    ck_assert_ptr_null(strstr(text, "MatMul"));
    ck_assert_ptr_null(strstr(text, "schedule"));
    ck_assert_ptr_nonnull(strstr(text, "contract in_place 1 {"));
    ck_assert_ptr_nonnull(strstr(text, "for k in 64 {"));
}
END_TEST

START_TEST(locations_are_read) {
    lt_arena_init(&arena);
    const Kernel *k = kernel_from(&arena, canonical[3]);
    ck_assert_str_eq(lt_loc_text(&arena, k->loc, 0), "Gemm_3 (Gemm) + Relu \"4\"");
    ck_assert_ptr_eq(k->body->loc, k->loc);
    const Stmt *fold = k->body->u.loop.body->u.loop.body->next->next;
    ck_assert_str_eq(fold->loc->op, "MatMul");
    ck_assert_ptr_null(fold->loc->node);
    ck_assert_int_eq(fold->next->loc->line, 12);
    ck_assert_int_eq(k->class, KERNEL_CONTRACT);
    ck_assert_str_eq(k->schedule, "parallel m; split n 4");
}
END_TEST

typedef struct Mistake {
    const char *body; /* of a kernel with a: f32[4] in, n: i64[4] in, out: f32[4] out, m in 1..8 */
    int line, column;
    const char *text;
} Mistake;

static const Mistake mistakes[] = {
    {"out[0] = a[0] +\n}", 3, 1, "expected a value"},
    {"out[0] = b[0]\n}", 2, 10, "there is no buffer 'b' here"},
    {"out[0] = a[i]\n}", 2, 12, "there is no variable 'i' here"},
    {"out[0, 1] = 1\n}", 2, 1, "'out' has rank 1, found 2 indices"},
    {"out[0] = a[]\n}", 2, 10, "'a' has rank 1, found 0 indices"},
    {"out[n[0]] = 1\n}", 2, 5, "expected index arithmetic"},
    {"out[0] = n[0]\n}", 2, 10, "'out' holds f32, found i64"},
    {"out[0] = a[0] + n[0]\n}", 2, 15, "operand 1 of add: expected f32, found i64"},
    {"out[0] = exp(m)\n}", 2, 10, "operand 0 of exp: expected a float, found i64"},
    {"out[0] = expo(a[0])\n}", 2, 10, "there is no scalar function 'expo'"},
    {"out[0] = bitcast.f31(a[0])\n}", 2, 10, "there is no scalar function 'bitcast.f31'"},
    {"out[0] = bitcast.f32(n[0])\n}", 2, 10, "a bitcast from i64 to f32: they differ in size"},
    {"out[0] = a[0] where (m)\n}", 2, 22, "expected a condition, found i64"},
    {"if (a[0]) { }\n}", 2, 5, "expected a condition, found f32"},
    {"let x in 0..4 = a[0]\n}", 2, 17, "expected a value of dtype i64, found f32"},
    {"let x in 4..0 = 1\n}", 2, 10, "the range is empty"},
    {"for m in 4 { }\n}", 2, 5, "'m' is already defined"},
    {"for min in 4 { }\n}", 2, 5, "'min' is a keyword"},
    {"for barrier in 4 { }\n}", 2, 5, "'barrier' is a keyword"},
    {"for i in 4 { }\nout[i] = 0\n}", 3, 5, "there is no variable 'i' here"},
    {"alloc t: f33[1] register\n}", 2, 10, "there is no dtype 'f33'"},
    {"alloc t: f32[1] heap\n}", 2, 17, "expected 'register', 'stack', 'scratch' or 'shared'"},
    {"out[m floordiv 0] = 0\n}", 2, 7, "floordiv needs a positive divisor"},
    {"out[0] = 99999999999999999999:i64\n}", 2, 10, "does not fit into i64"},
    {"out[0] = f32(300:u8)\n}", 2, 14, "300 does not fit into u8"},
    {"out[1.5] = 0\n}", 2, 5, "expected a number of dtype i64, found 1.5"},
    {"out[0] = $\n}", 2, 10, "has no meaning here"},
    {"out[0] = 0\n", 3, 1, "expected a statement"},
    {"out[0] = 0\n} }", 3, 3, "expected the end of the text"},
    {"out[0] = 0 @ \"x\n}", 2, 14, "not closed"},
};

START_TEST(errors_point_at_their_place) {
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const Mistake *mistake = &mistakes[i];
        lt_arena_init(&arena);
        const char *text = lt_arena_printf(
            &arena, "kernel t(m in 1..8; a: f32[4] in, n: i64[4] in, out: f32[4] out) {\n%s",
            mistake->body);
        DiagList diags;
        ck_assert_msg(!try_kernel(&arena, text, &diags), "accepted: %s", mistake->body);
        ck_assert_uint_eq(diags.errors, 1);
        const Diag *diag = &diags.items.data[0];
        ck_assert_msg(strstr(diag->text, mistake->text), "%s: %s", mistake->body, diag->text);
        ck_assert_msg(diag->loc->line == mistake->line && diag->loc->column == mistake->column,
                      "%s: at %d:%d", mistake->body, diag->loc->line, diag->loc->column);
        ck_assert_int_eq(diag->status, 4);
        ck_assert_ptr_nonnull(diag->source_line);
    }
}
END_TEST

START_TEST(depth_is_bounded) {
    lt_arena_init(&arena);
    Str text;
    lt_str_init(&text, &arena);
    lt_str_append(&text, "kernel t(out: f32[1] out) { out[0] = ");
    for (int i = 0; i < 100000; i++)
        lt_str_append(&text, i % 2 ? "(" : "-");
    DiagList diags;
    ck_assert_ptr_null(try_kernel(&arena, text.text, &diags));
    ck_assert_ptr_nonnull(strstr(diags.items.data[0].text, "deep"));
}
END_TEST

/* Every prefix of a good text is refused, and none crashes. */
START_TEST(prefixes_are_refused) {
    const char *text = canonical[5];
    for (size_t len = 0; len + 2 < strlen(text); len++) {
        lt_arena_init(&arena);
        DiagList diags;
        lt_diag_init(&diags, &arena, NULL);
        ck_assert_ptr_null(lt_kernel_parse(&arena, text, len, &diags));
        ck_assert_uint_eq(diags.errors, 1);
        lt_arena_free(&arena);
    }
}
END_TEST

LT_TEST_MAIN("test_kernel_text", canonical_text_prints_as_itself, other_spellings_are_read,
             text_does_not_depend_on_creation_order, bare_text_is_without_names, locations_are_read,
             errors_point_at_their_place, depth_is_bounded, prefixes_are_refused)
