/* test_schedule_share.c - `share`: what it computes on any extents, and what it refuses. */
#include "runtime/base/half.h"
#include "tests/unit/schedule_fixture.h"

enum { MOST_ROWS = 37, FOLD = 23, COLUMNS = 18 };

/* a[m, k] * b[k, n], and with either of them the other way round; taps with a condition. */
static const char *const products[] = {
    "kernel product(m in 1..37; a: f32[m, 23] in, b: f32[23, 18] in, out: f32[m, 18] out) "
    "contract {\n"
    "  for m0 in m { for n0 in 18 {\n"
    "    alloc acc: f32[] register\n acc[] = 0\n"
    "    for k0 in 23 { acc[] = fma(a[m0, k0], b[k0, n0], acc[]) }\n"
    "    out[m0, n0] = relu(acc[])\n"
    "  } }\n"
    "}\n",
    "kernel across(m in 1..37; a: f32[23, m] in, b: f32[18, 23] in, out: f32[m, 18] out) "
    "contract {\n"
    "  for m0 in m { for n0 in 18 {\n"
    "    alloc acc: f32[] register\n acc[] = b[n0, 3]\n"
    "    for k0 in 23 { acc[] = fma(b[n0, k0], relu(a[k0, m0]), acc[]) }\n"
    "    out[m0, n0] = acc[]\n"
    "  } }\n"
    "}\n",
    "kernel taps(m in 1..37; a: f32[m, 7] in, b: f32[3, 7, 18] in, out: f32[m, 18] out) conv {\n"
    "  for m0 in m { for n0 in 18 {\n"
    "    alloc acc: f32[] register\n acc[] = 0\n"
    "    for t in 3 { for k0 in 7 {\n"
    "      if (-1 < m0 + t - 1 and m0 + t - 1 < m) {\n"
    "        acc[] = fma(a[m0 + t - 1, k0], b[t, k0, n0], acc[])\n"
    "    } } }\n"
    "    out[m0, n0] = acc[]\n"
    "  } }\n"
    "}\n",
};

static void run(const Kernel *k, int64_t rows, float *out) {
    static float a[MOST_ROWS * FOLD], b[FOLD * COLUMNS];
    for (int i = 0; i < MOST_ROWS * FOLD; i++)
        a[i] = (float)(i * 7 % 31 - 15) / 7;
    for (int i = 0; i < FOLD * COLUMNS; i++)
        b[i] = (float)(i * 5 % 23 - 11) / 9;
    const char *error = lt_kernel_eval(k, &arena, (void *[]){a, b, out}, &rows, 0, 1);
    ck_assert_msg(error == NULL, "%s", error);
}

/* The order of the sums stays, so every bit does. */
START_TEST(computes_the_same) {
    setup();
    static const char *const tiles[] = {
        "split m0 16; split n0 8; reorder m0.0 n0.0 m0.1 n0.1; share k0 8 m0.1 4 n0.1 2",
        "split m0 8; split n0 32; reorder m0.0 n0.0 m0.1 n0.1; share k0 4 m0.1 1 n0.1 8",
        "split m0 64; split n0 18; reorder m0.0 n0.0 m0.1 n0.1; share k0 32 m0.1 8 n0.1 9",
        "split m0 5; split n0 6; reorder m0.0 n0.0 m0.1 n0.1; share k0 3 m0.1 5 n0.1 6",
    };
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        for (size_t j = 0; j < 2 * (sizeof products / sizeof *products); j++) {
            const Kernel *plain = parse(products[j / 2]);
            Kernel *k = parse(products[j / 2]);
            const char *schedule = lt_arena_printf(&arena, "%s%s; fuse m0.0 n0.0; grid m0.0_n0.0",
                                                   tiles[i], j % 2 ? " double" : "");
            const char *error = lt_schedule_apply(k, schedule);
            ck_assert_msg(error == NULL, "%s: %s", schedule, error);
            check_verified(k, schedule);
            for (int64_t rows = 1; rows <= MOST_ROWS; rows++) {
                float want[MOST_ROWS * COLUMNS], got[MOST_ROWS * COLUMNS];
                run(plain, rows, want);
                run(k, rows, got);
                for (int64_t at = 0; at < rows * COLUMNS; at++)
                    ck_assert_msg(got[at] == want[at], "%s: kernel %zu, %lld rows, element %lld",
                                  schedule, j / 2, (long long)rows, (long long)at);
            }
        }
    }
    teardown();
}
END_TEST

/* Where rows follow each other at multiples of 16 bytes, four elements are copied at once. */
START_TEST(copies_vectors) {
    setup();
    Kernel *k = parse("kernel product(m in 1..37; a: f32[m, 24] in, b: f32[24, 18] in, "
                      "out: f32[m, 18] out) contract {\n"
                      "  for m0 in m { for n0 in 18 {\n"
                      "    alloc acc: f32[] register\n acc[] = 0\n"
                      "    for k0 in 24 { acc[] = fma(a[m0, k0], b[k0, n0], acc[]) }\n"
                      "    out[m0, n0] = acc[]\n"
                      "  } }\n"
                      "}\n");
    const char *error = lt_schedule_apply(k, "split m0 16; split n0 8; reorder m0.0 n0.0 m0.1 n0.1;"
                                             "share k0 8 m0.1 4 n0.1 2; fuse m0.0 n0.0; grid "
                                             "m0.0_n0.0");
    ck_assert_ptr_null(error);
    Str text;
    lt_str_init(&text, &arena);
    lt_kernel_print(&text, k, false);
    static const char *const parts[] = {"alloc a.share: f32[16, 12] shared", "vector lane in 4",
                                        "alloc b.share: f32[8, 8] shared", "vector lane_2 in 2"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(text.text, parts[i]), "no '%s' in\n%s", parts[i], text.text);
    teardown();
}
END_TEST

static const char halves[] =
    "kernel halves(m in 1..37; a: f16[m, 23] in, b: f16[23, 18] in, out: f32[m, 18] out) "
    "contract {\n"
    "  for m0 in m { for n0 in 18 {\n"
    "    alloc acc: f32[] register\n acc[] = 0\n"
    "    for k0 in 23 { acc[] = fma(f32(a[m0, k0]), f32(b[k0, n0]), acc[]) }\n"
    "    out[m0, n0] = acc[]\n"
    "  } }\n"
    "}\n";

static void run_halves(const Kernel *k, int64_t rows, float *out) {
    static uint16_t a[MOST_ROWS * FOLD], b[FOLD * COLUMNS];
    for (int i = 0; i < MOST_ROWS * FOLD; i++)
        a[i] = lt_f32_to_f16((float)(i * 7 % 31 - 15) / 7);
    for (int i = 0; i < FOLD * COLUMNS; i++)
        b[i] = lt_f32_to_f16((float)(i * 5 % 23 - 11) / 9);
    const char *error = lt_kernel_eval(k, &arena, (void *[]){a, b, out}, &rows, 0, 1);
    ck_assert_msg(error == NULL, "%s", error);
}

/* As the interpreter has it, where an mma loop adds up in order. */
START_TEST(computes_the_same_in_warps) {
    setup();
    const Kernel *plain = parse(halves);
    Kernel *k = parse(halves);
    const char *error = lt_schedule_apply(
        k, "split m0 32; split n0 32; reorder m0.0 n0.0 m0.1 n0.1; "
           "share k0 16 m0.1 2 n0.1 4 mma double; fuse m0.0 n0.0; grid m0.0_n0.0");
    ck_assert_msg(error == NULL, "%s", error);
    check_verified(k, "mma");
    Str text;
    lt_str_init(&text, &arena);
    lt_kernel_print(&text, k, true);
    ck_assert_ptr_nonnull(strstr(text.text, "mma mma in 16 {"));
    const Kernel *again = parse(text.text);
    for (int64_t rows = 1; rows <= MOST_ROWS; rows++) {
        float want[MOST_ROWS * COLUMNS], got[MOST_ROWS * COLUMNS], read[MOST_ROWS * COLUMNS];
        run_halves(plain, rows, want);
        run_halves(k, rows, got);
        run_halves(again, rows, read);
        ck_assert_mem_eq(got, want, (size_t)rows * COLUMNS * sizeof *want);
        ck_assert_mem_eq(read, want, (size_t)rows * COLUMNS * sizeof *want);
    }
    expect_error(halves,
                 "split m0 16; split n0 16; reorder m0.0 n0.0 m0.1 n0.1; "
                 "share k0 16 m0.1 2 n0.1 2 mma",
                 "is not made of 16 x 16 elements a warp");
    expect_error(halves,
                 "split m0 16; split n0 16; reorder m0.0 n0.0 m0.1 n0.1; "
                 "share k0 8 m0.1 2 n0.1 4 mma",
                 "and 32 bytes of the fold");
    expect_error(halves, "split m0 16; reorder m0.0 m0.1 n0; share k0 16 m0.1 2 n0 2 fast",
                 "'fast' is no way to do it");
    expect_error(products[0],
                 "split m0 16; split n0 16; reorder m0.0 n0.0 m0.1 n0.1; "
                 "share k0 16 m0.1 2 n0.1 4 mma",
                 "multiply f16, bf16 or tf32 into f32");
    teardown();
}
END_TEST

/* What is fetched may be used behind a barrier alone. */
START_TEST(waits_for_what_is_fetched) {
    setup();
    for (int has_barrier = 0; has_barrier < 2; has_barrier++) {
        const Kernel *k = parse(lt_arena_printf(
            &arena,
            "kernel t(a: f32[8] in, out: f32[8] out) {\n"
            "  grid b in 1 {\n alloc all: f32[8] shared\n"
            "    thread t in 2 { fetch v in 4 { all[4*t + v] = a[4*t + v] } }\n    %s\n"
            "    thread s in 2 { for i in 4 { out[4*s + i] = all[4*s + i] } }\n"
            "  }\n}\n",
            has_barrier ? "barrier" : ""));
        check_verified(k, "fetch");
        float a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
        const char *error = lt_kernel_eval(k, &arena, (void *[]){a, out}, NULL, 0, 1);
        if (has_barrier)
            ck_assert_msg(!error && memcmp(a, out, sizeof a) == 0, "%s", error ? error : "");
        else
            ck_assert_msg(error && strstr(error, "of all is read before it has arrived"), "%s",
                          error ? error : "no error");
    }
    teardown();
}
END_TEST

START_TEST(refuses) {
    setup();
    const char *plain = products[0];
    expect_error(plain, "share k0 8 x 1 n0 1", "no loop named 'x'");
    expect_error(plain, "share k0 8 m0 1 n0 1", "'m0' is not directly inside, or has no constant");
    expect_error(plain, "split m0 8; reorder m0.0 m0.1 n0; share k0 8 m0.1 3 n0 1",
                 "3 does not divide the extent of 'm0.1'");
    expect_error(plain, "split m0 8; share k 8 m0.1 1 n0 1", "'k' is not the innermost folding");
    expect_error(plain, "split m0 64; share k0 8 m0.1 1 n0 1", "more threads than a block has");
    expect_error("kernel t(a: f32[8, 8] in, out: f32[8, 8] out) contract {\n"
                 "  for m0 in 8 { for n0 in 8 {\n"
                 "    alloc acc: f32[] register\n acc[] = 0\n"
                 "    for k0 in 8 { acc[] = max(a[m0, k0], acc[]) }\n"
                 "    out[m0, n0] = acc[]\n"
                 "  } }\n"
                 "}\n",
                 "share k0 8 m0 1 n0 1", "does not add up products");
    expect_error("kernel t(a: f32[8, 8] in, out: f32[8, 8] out) contract {\n"
                 "  for m0 in 8 { for n0 in 8 {\n"
                 "    alloc acc: f32[] register\n acc[] = 0\n"
                 "    for k0 in 8 { acc[] = fma(a[m0, k0], a[m0, n0], acc[]) }\n"
                 "    out[m0, n0] = acc[]\n"
                 "  } }\n"
                 "}\n",
                 "share k0 8 m0 1 n0 1", "a factor goes along rows and columns");
    teardown();
}
END_TEST

LT_TEST_MAIN("test_schedule_share", computes_the_same, copies_vectors, computes_the_same_in_warps,
             waits_for_what_is_fetched, refuses)
