/* test_kernel_verify.c - one good kernel, and for each rule kernels that break it and nothing else.
 */
#include "tests/unit/kernel_fixture.h"

static Arena arena;

static void expect_breach(const Kernel *k, const char *rule) {
    DiagList diags;
    lt_diag_init(&diags, &arena, NULL);
    const bool is_valid = lt_kernel_verify(k, &diags);
    if (!rule) {
        ck_assert_msg(is_valid, "%s", diags.errors ? diags.items.data[0].text : "");
        ck_assert_uint_eq(diags.errors, 0);
        return;
    }
    ck_assert_msg(!is_valid, "%s holds in\n%s", rule, kernel_text(&arena, k, true));
    for (size_t i = 0; i < diags.items.len; i++) {
        const char *text = diags.items.data[i].text;
        ck_assert_msg(strstr(text, lt_arena_printf(&arena, "breaks '%s'", rule)), "%s: %s", rule,
                      text);
        ck_assert_int_eq(diags.items.data[i].status, 70);
    }
}

typedef struct Case {
    const char *rule; /* NULL: a good kernel */
    const char *text; /* behind "kernel t(" */
} Case;

#define SIGNATURE "n in 1..inf; a: f32[n] in, d: f64[n] in, w: i64[n] in, out: f32[n] out) "

/* What is around a combine, and it: in blocks of eight threads. */
#define BLOCK(before, combine) \
    SIGNATURE "{ grid b in n { " before " thread i in 8 { out[8*b + i] = 1 } " combine " } }"

static const Case cases[] = {
    {NULL, SIGNATURE "in_place 1 { parallel i in n { out[i] = a[i] } }"},
    {NULL, SIGNATURE "{ parallel i in n { alloc t: f32[8] stack\n vector j in 8 { t[j] = a[i] }"
                     " unroll k in 2 { out[i] = t[k] } } }"},
    {NULL, SIGNATURE "{ parallel i in n { let x in 0..7 = w[i]\n out[x] = 1 } }"},
    {NULL, SIGNATURE "{ for i in n + 1 { out[i] = a[i - 1] where (0 < i) } }"},
    {NULL, SIGNATURE "{ for i in n { out[i] = select(i < 3, 0, a[i - 3]) } }"},
    {NULL, SIGNATURE "{ for i in n { alloc t: f32[1] register\n t[0] = a[i]\n out[i] = t[0] }"
                     " for i in n { out[i] = 0 } }"},
    {NULL, SIGNATURE "{ for i in n - 1 { if (a[i] < 0) { out[n + i] = 0 } } }"},
    {"input-store", SIGNATURE "{ for i in n { a[i] = 0 } }"},
    {"index-range", SIGNATURE "{ out[n] = 0 }"},
    {"index-range", SIGNATURE "{ for i in n { out[i] = a[i + n] } }"},
    {"index-range", SIGNATURE "{ out[0] = a[-1] }"},
    {NULL, SIGNATURE "{ alloc t: f32[1] stack\n t[0] = 1\n for i in n { parallel j in 4 {"
                     " out[j] = t[0] } barrier parallel k in 4 { out[4 + k] = out[3 - k] } } }"},
    {"parallel-place",
     SIGNATURE "{ parallel i in n { alloc t: f32[4] stack\n parallel j in 4 { t[j] = 0 } } }"},
    {"parallel-place",
     SIGNATURE "{ for i in n { if (a[i] < 0) { parallel j in 4 { out[j] = 0 } } } }"},
    {"parallel-place", SIGNATURE "{ for i in n { let x in 0..7 = w[i]\n for j in x {"
                                 " parallel k in 4 { out[k] = 0 } } } }"},
    {"team-extent", SIGNATURE "{ parallel i in n { out[i] = 0 } parallel j in 4 { out[j] = 0 } }"},
    {"team-extent", SIGNATURE "{ for i in n { parallel j in i { out[j] = 0 } } }"},
    {"team-store", SIGNATURE "{ parallel i in n { out[i] = 0 } out[0] = 1 }"},
    {"team-store", SIGNATURE "{ alloc t: f32[1] shared\n t[0] = 1\n parallel i in n {"
                             " out[i] = 0 } }"},
    {"barrier-place", SIGNATURE "{ parallel i in n { out[i] = 0 barrier } }"},
    {"barrier-place", SIGNATURE "{ for i in n { if (a[i] < 0) { barrier } } }"},
    {"barrier-place", SIGNATURE "{ for i in n { let x in 0..7 = w[i]\n for j in x { barrier } } }"},
    {NULL, SIGNATURE "{ grid b in n { alloc t: f32[1] register\n t[0] = 0\n"
                     " if (t[0] < 1) { let x in 0..7 = i64(t[0])\n t[0] = f32(x) }"
                     " thread i in 4 { let y in 0..0 = i64(t[0])\n t[0] = a[b + y] } barrier"
                     " thread j in 1 { out[b] = t[0] } } }"},
    {"thread-let", SIGNATURE "{ grid b in n { alloc t: f32[1] register\n t[0] = 0\n"
                             " let x in 0..7 = i64(t[0])\n"
                             " thread j in 1 { out[b] = t[0] + f32(x) } } }"},
    {NULL, BLOCK("alloc t: f32[1] register t[0] = 0", "combine t by max of 4")},
    {NULL, BLOCK("alloc t: bool[] stack t[] = true", "for j in n { combine t by or of 1 }")},
    {NULL, BLOCK("alloc t: i8[] register t[] = 0 alloc s: i8[1] register s[0] = 0",
                 "scan t after s by add of 2 apart 4")},
    {"combine", BLOCK("alloc t: f32[] register", "scan t after t by add of 8")},
    {"combine", BLOCK("alloc t: f32[] register alloc s: f64[] register",
                      "scan t after s by add of 8")},
    {"combine", BLOCK("alloc t: f32[] register alloc s: f32[2] register",
                      "scan t after s by add of 8")},
    {"combine", BLOCK("alloc t: f32[2] register", "combine t by max of 8")},
    {"combine", BLOCK("alloc t: f32[1] shared", "combine t by max of 8")},
    {"combine", BLOCK("alloc t: f32[1] register", "combine t by max of 16")},
    {"combine", BLOCK("alloc t: f32[1] register", "combine t by max of 3")},
    {NULL, BLOCK("alloc t: f32[1] register t[0] = 0", "combine t by max of 2 apart 4")},
    {"combine", BLOCK("alloc t: f32[1] register", "combine t by max of 4 apart 4")},
    {"combine", BLOCK("alloc t: f32[1] register", "combine t by max of 2 apart 3")},
    {"combine", BLOCK("alloc t: f32[1] register", "combine t by max of 0")},
    {"combine", BLOCK("alloc t: f32[1] register", "combine t by sub of 8")},
    {"combine", BLOCK("alloc t: f32[1] register", "combine t by and of 8")},
    {"combine", BLOCK("alloc t: f32[1] register", "combine t by exp of 8")},
    {"combine",
     BLOCK("alloc t: f32[1] register t[0] = 0", "if (t[0] < 1) { combine t by max of 8 }")},
    {"combine", BLOCK("alloc t: f32[1] register", "thread j in 8 { combine t by max of 8 }")},
    {"combine", SIGNATURE "{ alloc t: f32[1] register t[0] = 0 combine t by max of 8 }"},
    {"scratch-place", SIGNATURE "{ vector i in 4 { alloc t: f32[1] shared\n t[0] = 1 } }"},
    {"constant-extent", SIGNATURE "{ vector i in n { out[i] = 0 } }"},
    {"constant-extent", SIGNATURE "{ unroll i in n { out[i] = 0 } }"},
    {"vector-nest",
     SIGNATURE "{ vector i in 4 { unroll k in 2 { vector j in 2 { out[4*j + i] = 0 } } } }"},
    {"race", SIGNATURE "{ parallel i in n { out[0] = a[i] } }"},
    {"race", SIGNATURE "{ for i in n { vector j in 4 { out[i] = a[j] } } }"},
    {"race", SIGNATURE "{ alloc t: f32[4] stack\n vector j in 4 { alloc u: f32[1] register\n"
                       " u[0] = a[j]\n t[2] = u[0] } out[0] = t[2] }"},
    {"stack-size", SIGNATURE "{ alloc t: f32[256, 200] stack\n alloc u: f32[256, 100] stack\n"
                             " t[0, 0] = 0\n u[0, 0] = 0 }"},
    {"local-extents", SIGNATURE "{ alloc t: f32[n] stack\n t[0] = 0 }"},
    {"local-extents", SIGNATURE "{ for i in 0 { alloc t: f32[0] register\n t[i] = 0 } }"},
    {"in-place", SIGNATURE "in_place 2 { out[0] = 0 }"},
    {"in-place", SIGNATURE "in_place 8 { out[0] = 0 }"},
    {"in-place", SIGNATURE "in_place 64 { out[0] = 0 }"},
};

START_TEST(texts_break_their_rule) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lt_arena_init(&arena);
        expect_breach(kernel_from(&arena, lt_arena_printf(&arena, "kernel t(%s", cases[i].text)),
                      cases[i].rule);
    }
}
END_TEST

/* --- what text cannot say: kernels made by hand -------------------------------------------- */

static Kernel *k;
static const Dim *four, *i;
static Buffer *in, *whole, *out;

static void new_kernel(void) {
    lt_arena_init(&arena);
    k = lt_kernel_new(&arena, "t", NULL);
    four = lt_dim_const(&k->dims, 4);
    i = lt_kernel_loop_var(k, "i", four);
    in = lt_kernel_param(k, BUFFER_INPUT, "in", DT_F32, 1, &four);
    whole = lt_kernel_param(k, BUFFER_INPUT, "whole", DT_I32, 1, &four);
    out = lt_kernel_param(k, BUFFER_OUTPUT, "out", DT_F32, 1, &four);
}

static Stmt *store(const Buffer *buffer, const Dim *at, const Expr *value) {
    return lt_stmt_store(k, buffer, &at, value);
}

static const Expr *half(void) { return lt_expr_float(k, DT_F32, 0.5); }

START_TEST(symbol_scope) {
    new_kernel();
    k->body = store(out, i, half());
    expect_breach(k, "symbol-scope");
    Stmt *loop = lt_stmt_for(k, LOOP_SERIAL, i, four, store(out, i, half()));
    k->body = loop;
    expect_breach(k, NULL);
    k->body = lt_stmt_join(loop, store(out, i, half()));
    expect_breach(k, "symbol-scope");
    k->body = lt_stmt_for(k, LOOP_SERIAL, i, i, NULL);
    expect_breach(k, "symbol-scope");
    /* What a list inside defines is gone behind it. */
    const Dim *x = lt_kernel_let_var(k, "x", 0, 3), *zero = lt_dim_const(&k->dims, 0);
    const Expr *condition = lt_expr_call(k, FN_LT, lt_expr_load(k, in, &zero, NULL), half(), NULL);
    Stmt *branch = lt_stmt_if(k, condition, lt_stmt_let(k, x, lt_expr_int(k, DT_I64, 1)), NULL);
    k->body = lt_stmt_join(branch, store(out, x, half()));
    expect_breach(k, "symbol-scope");
}
END_TEST

START_TEST(buffer_scope) {
    new_kernel();
    const Buffer *tile = lt_kernel_local(k, BUFFER_REGISTER, "t", DT_F32, 1, &four);
    const Dim *zero = lt_dim_const(&k->dims, 0);
    k->body = store(tile, zero, half());
    expect_breach(k, "buffer-scope");
    k->body = lt_stmt_for(k, LOOP_SERIAL, i, four, lt_stmt_alloc(k, tile));
    expect_breach(k, NULL);
    k->body = lt_stmt_join(k->body, store(out, zero, lt_expr_load(k, tile, &zero, NULL)));
    expect_breach(k, "buffer-scope");
}
END_TEST

START_TEST(defined_once) {
    new_kernel();
    k->body = lt_stmt_for(k, LOOP_SERIAL, i, four, lt_stmt_for(k, LOOP_SERIAL, i, four, NULL));
    expect_breach(k, "defined-once");
    const Buffer *tile = lt_kernel_local(k, BUFFER_REGISTER, "t", DT_F32, 1, &four);
    k->body = lt_stmt_join(lt_stmt_alloc(k, tile), lt_stmt_alloc(k, tile));
    expect_breach(k, "defined-once");
    k->body = lt_stmt_alloc(k, out);
    expect_breach(k, "defined-once");
}
END_TEST

START_TEST(params_first) {
    new_kernel();
    out->kind = BUFFER_STACK;
    expect_breach(k, "params-first");
    new_kernel();
    out->index = 0;
    expect_breach(k, "params-first");
    new_kernel();
    k->param_count = 2;
    expect_breach(k, "params-first");
}
END_TEST

START_TEST(names) {
    new_kernel();
    out->name = in->name;
    expect_breach(k, "names");
}
END_TEST

START_TEST(dtypes) {
    new_kernel();
    const Dim *zero = lt_dim_const(&k->dims, 0);
    const Expr *x = lt_expr_load(k, in, &zero, NULL), *v = lt_expr_load(k, whole, &zero, NULL);
    k->body = store(out, zero, v);
    expect_breach(k, "store-dtype");
    k->body = store(out, zero, lt_expr_call(k, FN_ADD, x, v, NULL));
    expect_breach(k, "operands");
    k->body = store(out, zero, lt_expr_call(k, FN_SELECT, v, x, half()));
    expect_breach(k, "operands");
    k->body = store(out, zero, lt_expr_load(k, in, &zero, v));
    expect_breach(k, "condition-dtype");
    k->body = lt_stmt_if(k, v, NULL, NULL);
    expect_breach(k, "condition-dtype");
    k->body = lt_stmt_let(k, lt_kernel_let_var(k, "x", 0, 9), v);
    expect_breach(k, "let-dtype");
}
END_TEST

/* A DAG of 2^100 paths is checked by its nodes. */
START_TEST(shared_expressions_are_checked_once) {
    new_kernel();
    const Expr *e = lt_expr_load(k, in, &i, NULL);
    for (int depth = 0; depth < 100; depth++)
        e = lt_expr_call(k, FN_SUB, lt_expr_call(k, FN_EXP, e, NULL, NULL), e, NULL);
    k->body = lt_stmt_for(k, LOOP_PARALLEL, i, four, store(out, i, e));
    expect_breach(k, NULL);
}
END_TEST

LT_TEST_MAIN("test_kernel_verify", texts_break_their_rule, symbol_scope, buffer_scope, defined_once,
             params_first, names, dtypes, shared_expressions_are_checked_once)
