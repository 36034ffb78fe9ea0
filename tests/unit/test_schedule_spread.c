/* test_schedule_spread.c - threads that work on one row together: what becomes of the loops, that
 * the results stay, and what cannot be spread. */
#include "tests/unit/schedule_fixture.h"

#define SUM \
    "kernel t(n in 1..inf; x: f32[n, 70] in, y: f32[n] out) {\n" \
    "  for i in n { alloc acc: f32[] register acc[] = 0 for k in 70 { acc[] = acc[] + x[i, k] } " \
    "y[i] = acc[] } }"

static const char *scheduled(const char *kernel, const char *schedule) {
    Kernel *k = parse(kernel);
    const char *error = lt_schedule_apply(k, schedule);
    ck_assert_msg(!error, "%s: %s", schedule, error);
    check_verified(k, schedule);
    Str out;
    lt_str_init(&out, &arena);
    lt_kernel_print(&out, k, false);
    return out.text;
}

START_TEST(a_block_a_row) {
    setup();
    ck_assert_str_eq(scheduled(SUM, "spread 32 1 1 i"),
                     "kernel(n in 1..inf; x: f32[n, 70] in, y: f32[n] out) {\n"
                     "  grid i in n {\n"
                     "    alloc acc: f32[] register\n"
                     "    acc[] = 0\n"
                     "    thread k.1 in 32 {\n"
                     "      for k.0 in (-k.1 + 5) floordiv 32 + 3 {\n"
                     "        acc[] = acc[] + x[i, k.1 + 32*k.0]\n"
                     "      }\n"
                     "    }\n"
                     "    combine acc by add of 32\n"
                     "    thread t in 1 {\n"
                     "      y[i] = acc[]\n"
                     "    }\n"
                     "  }\n"
                     "}\n");
    teardown();
}
END_TEST

START_TEST(several_rows_a_block) {
    setup();
    ck_assert_str_eq(scheduled(SUM, "spread 8 4 1 i"),
                     "kernel(n in 1..inf; x: f32[n, 70] in, y: f32[n] out) {\n"
                     "  grid i.0 in (n + 3) floordiv 4 {\n"
                     "    alloc acc: f32[] register\n"
                     "    acc[] = 0\n"
                     "    thread k.1 in 32 {\n"
                     "      if (4*i.0 + k.1 floordiv 8 < n) {\n"
                     "        for k.0 in (-(k.1 mod 8) + 5) floordiv 8 + 9 {\n"
                     "          acc[] = acc[] + x[4*i.0 + k.1 floordiv 8, 8*k.0 + k.1 mod 8]\n"
                     "        }\n"
                     "      }\n"
                     "    }\n"
                     "    combine acc by add of 8\n"
                     "    thread t in 32 {\n"
                     "      if (t mod 8 == 0 and 4*i.0 + t floordiv 8 < n) {\n"
                     "        y[4*i.0 + t floordiv 8] = acc[]\n"
                     "      }\n"
                     "    }\n"
                     "  }\n"
                     "}\n");
    teardown();
}
END_TEST

START_TEST(a_running_sum_is_scanned) {
    setup();
    ck_assert_str_eq(scheduled("kernel t(x: f32[70] in, y: f32[70] out) {\n"
                               "  alloc acc: f32[] register acc[] = 0\n"
                               "  for k in 70 { acc[] = acc[] + x[k] y[k] = acc[] } }",
                               "spread 8 1 2"),
                     "kernel(x: f32[70] in, y: f32[70] out) {\n"
                     "  alloc acc: f32[] register\n"
                     "  acc[] = 0\n"
                     "  for k.0 in 5 {\n"
                     "    alloc acc.own: f32[2] register\n"
                     "    alloc acc.run: f32[] register\n"
                     "    acc.run[] = 0\n"
                     "    thread k.1 in 8 {\n"
                     "      if (8*k.0 + k.1 < 35) {\n"
                     "        unroll k.2 in 2 {\n"
                     "          acc.own[k.2] = x[16*k.0 + 2*k.1 + k.2]\n"
                     "          acc.run[] = acc.run[] + acc.own[k.2]\n"
                     "        }\n"
                     "      }\n"
                     "    }\n"
                     "    scan acc.run after acc by add of 8\n"
                     "    thread k.1_2 in 8 {\n"
                     "      if (8*k.0 + k.1_2 < 35) {\n"
                     "        unroll k.3 in 2 {\n"
                     "          acc.run[] = acc.run[] + acc.own[k.3]\n"
                     "          y[16*k.0 + 2*k.1_2 + k.3] = acc.run[]\n"
                     "        }\n"
                     "      }\n"
                     "    }\n"
                     "  }\n"
                     "}\n");
    teardown();
}
END_TEST

/* --- results ---------------------------------------------------------------------------------- */

/* Stages over rows of m elements, of which two results are made. */
static const char *const bodies[] = {
    "alloc acc: f32[] register acc[] = 0 for k in 36 { acc[] = fma(x[i, k], x[i, k], acc[]) } "
    "alloc b: f32[] register b[] = acc[] / 2 for j in 36 { y[i, j] = x[i, j] - b[] } z[i] = 7",
    "alloc row: f32[36] stack alloc acc: f32[] register acc[] = -inf for k in 36 { "
    "row[k] = x[i, k] * 3 acc[] = max(row[k], acc[]) } for j in 36 { row[j] = row[j] - acc[] } "
    "for r in 36 { y[i, r] = row[r] + 1 } z[i] = i64(acc[])",
    "alloc best: f32[] register best[] = inf alloc where_: i64[] register where_[] = 0 "
    "for k in 36 { where_[] = select(x[i, k] < best[], k, where_[]) "
    "best[] = select(x[i, k] < best[], x[i, k], best[]) } for j in 36 { y[i, j] = best[] } "
    "z[i] = where_[]",
    "alloc a: i64[] register a[] = 1 alloc b: f32[] register b[] = 0 for k in 36 { "
    "if (x[i, k] < 0) { a[] = 3 * a[] } b[] = b[] + 1 y[i, k] = 2 } z[i] = a[] + i64(b[])",
};

static void run_body(const char *body, const char *schedule, float *y, int64_t *z) {
    enum { ROWS = 5, LENGTH = 36 };
    static float x[ROWS * LENGTH];
    for (int i = 0; i < ROWS * LENGTH; i++)
        x[i] = (float)((i * 29 + i / 7) % 23) - 11;
    const char *text = lt_arena_printf(&arena,
                                       "kernel t(n in 1..inf; x: f32[n, 36] in, y: f32[n, 36] out, "
                                       "z: i64[n] out) {\n for i in n { %s } }",
                                       body);
    Kernel *k = parse(text);
    const char *error = lt_schedule_apply(k, schedule);
    ck_assert_msg(!error, "%s: %s", schedule, error);
    check_verified(k, schedule);
    void *buffers[] = {x, y, z};
    error = lt_kernel_eval(k, &arena, buffers, (const int64_t[]){ROWS}, 0, 1);
    ck_assert_msg(!error, "%s, %s: %s", body, schedule, error);
}

START_TEST(results_stay) {
    setup();
    static const char *const schedules[] = {
        "spread 8 1 1 i", "spread 64 1 1 i", "spread 8 4 1 i",        "spread 16 2 1 i",
        "spread 2 2 1 i", "spread 1 1 1 i",  "spread 8 4 1 i across", "spread 64 2 1 i across",
        "spread 8 1 4 i", "spread 4 2 2 i",  "spread 16 1 36 i"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        float wanted[5 * 36], got[5 * 36];
        int64_t wanted_z[5], got_z[5];
        run_body(bodies[i], "", wanted, wanted_z);
        for (size_t j = 0; j < sizeof schedules / sizeof *schedules; j++) {
            memset(got, 0xff, sizeof got);
            memset(got_z, 0xff, sizeof got_z);
            run_body(bodies[i], schedules[j], got, got_z);
            for (int at = 0; at < 5 * 36; at++)
                ck_assert_float_eq(got[at], wanted[at]); /* exact: sums of small integers */
            ck_assert_mem_eq(got_z, wanted_z, sizeof got_z);
        }
    }
    teardown();
}
END_TEST

/* --- errors ----------------------------------------------------------------------------------- */

#define ROW(body) \
    "kernel t(n in 1..inf; x: f32[n, 8] in, y: f32[n, 8] out) { for i in n { " \
    "alloc acc: f32[] register alloc row: f32[8] stack acc[] = 0 " body " } }"

START_TEST(what_cannot_be_spread) {
    setup();
    static const struct {
        const char *kernel, *schedule, *words;
    } cases[] = {
        {SUM, "spread 32 1 1 j", "not around everything"},
        {SUM, "spread 32 1 1 k", "not around everything"},
        {SUM, "spread 24 1 1 i", "powers of two"},
        {SUM, "spread 512 4 1 i", "powers of two"},
        {SUM, "spread 32 0 1 i", "powers of two"},
        {SUM, "spread 32 1 4 i", "no multiple of the neighbours"},
        {SUM, "spread 32 1 0 i", "no multiple of the neighbours"},
        {SUM, "unroll k; spread 32 1 1 i", "are marked"},
        {ROW("y[i, 0] = 1"), "spread 8 1 1 i", "there is no stage"},
        {ROW("for k in 8 { acc[] = acc[] - x[i, k] }"), "spread 8 1 1 i",
         "this is no fold ('acc')"},
        {ROW("for k in 8 { acc[] = x[i, k] }"), "spread 8 1 1 i", "this is no fold ('acc')"},
        {ROW("for k in 8 { acc[] = acc[] + x[i, k] y[i, 0] = acc[] }"), "spread 8 1 1 i",
         "a part of a fold is read ('acc')"},
        {ROW("acc[] = 1 for k in 8 { acc[] = acc[] + x[i, k] }"), "spread 8 1 1 i",
         "does not begin with what changes nothing ('acc')"},
        {ROW("for k in 8 { acc[] = acc[] + x[i, k] } for j in 8 { acc[] = acc[] + x[i, j] }"),
         "spread 8 1 1 i", "does not begin with what changes nothing ('acc')"},
        {ROW("for k in 8 { row[k] = x[i, k] } for j in 8 { y[i, j] = row[7 - j] }"),
         "spread 8 1 1 i", "another position of the row is needed ('row')"},
        {ROW("for k in 8 { y[i, k] = 0 } for j in 7 { y[i, j] = 1 }"), "spread 8 1 1 i",
         "different extents"},
        {ROW("for k in 8 { y[i, k] = 0 } if (x[i, 0] < 1) { y[i, 0] = 2 }"), "spread 8 1 1 i",
         "something else is between its stages"},
        {ROW("for k in 4 { y[i, k] = 0 }"), "spread 8 1 1 i", "a local buffer is no row ('row')"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(cases[i].kernel, cases[i].schedule, cases[i].words);
    teardown();
}
END_TEST

LT_TEST_MAIN("test_schedule_spread", a_block_a_row, several_rows_a_block, a_running_sum_is_scanned,
             results_stay, what_cannot_be_spread)
