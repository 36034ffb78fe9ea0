/* test_schedule_partial.c - `partial`: what it computes on any extents, and what it refuses. */
#include "tests/unit/schedule_fixture.h"

enum { MOST = 20, FOLD = 23, COLUMNS = 6 };

static const char product[] =
    "kernel product(m in 1..20; a: f32[m, 23] in, b: f32[23, 6] in, out: f32[m, 6] out) "
    "contract {\n"
    "  for m0 in m { for n0 in 6 {\n"
    "    alloc acc: f32[] register\n"
    "    acc[] = 0\n"
    "    for k0 in 23 { acc[] = fma(a[m0, k0], b[k0, n0], acc[]) }\n"
    "    out[m0, n0] = relu(acc[])\n"
    "  } }\n"
    "}\n";

/* A sum that does not begin with 0. */
static const char biased[] =
    "kernel biased(m in 1..20; a: f32[m, 23] in, b: f32[23, 6] in, out: f32[m, 6] out) contract {\n"
    "  for m0 in m { for n0 in 6 {\n"
    "    alloc acc: f32[] register\n"
    "    acc[] = b[3, 0]\n"
    "    for k0 in 23 { acc[] = fma(a[m0, k0], b[k0, n0], acc[]) }\n"
    "    out[m0, n0] = acc[]\n"
    "  } }\n"
    "}\n";

static void run(const Kernel *k, int64_t rows, float *out) {
    static float a[MOST * FOLD], b[FOLD * COLUMNS];
    for (int i = 0; i < MOST * FOLD; i++)
        a[i] = (float)(i * 7 % 31 - 15) / 7;
    for (int i = 0; i < FOLD * COLUMNS; i++)
        b[i] = (float)(i * 5 % 23 - 11) / 9;
    const int64_t extent = lt_kernel_parallel_extent(k, &rows);
    const char *error = lt_kernel_eval(k, &arena, (void *[]){a, b, out}, &rows, 0, extent);
    ck_assert_msg(error == NULL, "%s", error);
}

/* The order of the sums stays, so every bit does. */
START_TEST(computes_the_same) {
    setup();
    static const char *const texts[] = {product, biased};
    static const char *const schedules[] = {
        "partial k0 8 m0 n0", "partial k0 23 m0 n0; parallel m0", "partial k0 100 m0 n0",
        "block m0 8; split n0 4; split m0.1 3; reorder m0.0 n0.0 m0.1.0 m0.1.1 n0.1; "
        "partial k0 5 m0.0 n0.0 m0.1.0 m0.1.1 n0.1; vectorize n0.1; cache m0.1.1 n0.1; "
        "pack a n0.0 8 m0.1.0 m0.1.1 k0.1; parallel m0.0"};
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
            const Kernel *plain = parse(texts[j]);
            Kernel *k = parse(texts[j]);
            const char *error = lt_schedule_apply(k, schedules[i]);
            ck_assert_msg(error == NULL, "%s: %s", schedules[i], error);
            check_verified(k, schedules[i]);
            for (int64_t rows = 1; rows <= MOST; rows++) {
                float want[MOST * COLUMNS], got[MOST * COLUMNS];
                run(plain, rows, want);
                run(k, rows, got);
                ck_assert_mem_eq(got, want, (size_t)rows * COLUMNS * sizeof *want);
            }
        }
    }
    teardown();
}
END_TEST

START_TEST(refuses) {
    setup();
    expect_error(product, "partial k0 8 x n0", "no loop named 'x'");
    expect_error(product, "partial k0 8 n0 m0", "'m0' is not inside 'n0'");
    expect_error(product, "partial k 8 m0 n0", "'k' is not the fold of an accumulator");
    expect_error(product, "partial k0 0 m0 n0", "the pieces must be positive");
    expect_error(product, "split n0 2; partial k0 8 m0 n0.1",
                 "need an axis for each loop around the accumulator");
    expect_error(product, "partial k0 8 n0 k0", "'k0' is no axis of its own sums");
    teardown();
}
END_TEST

LT_TEST_MAIN("test_schedule_partial", computes_the_same, refuses)
