/* test_schedule_turn.c - squares of an input that go through shared memory: results stay, and
 * what cannot be turned. */
#include "tests/unit/schedule_fixture.h"

#define NEST(body) \
    "kernel t(n in 1..inf; x: f32[3, 70, n] in, b: f32[70] in, y: f32[n, 3, 70] out) { " \
    "for i in n { for j in 3 { for k in 70 { " body " } } } }"

static void run(const char *schedule, int64_t n, float *y) {
    static float x[3 * 70 * 70], b[70];
    for (int i = 0; i < 3 * 70 * 70; i++)
        x[i] = (float)i;
    for (int i = 0; i < 70; i++)
        b[i] = (float)(i * i);
    Kernel *k = parse(NEST("y[i, j, k] = x[j, k, i] * 2 + b[k]"));
    const char *error = lt_schedule_apply(k, schedule);
    ck_assert_msg(!error, "%s: %s", schedule, error);
    check_verified(k, schedule);
    void *buffers[] = {x, b, y};
    error = lt_kernel_eval(k, &arena, buffers, &n, 0, 1);
    ck_assert_msg(!error, "%s: %s", schedule, error);
}

START_TEST(results_stay) {
    static const int64_t sizes[] = {1, 31, 32, 33, 64, 70};
    static float wanted[70 * 3 * 70], got[70 * 3 * 70];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        setup();
        memset(got, 0xff, sizeof got);
        run("", sizes[i], wanted);
        run("turn x i k; fuse j i.0; fuse j_i.0 k.0; grid j_i.0_k.0", sizes[i], got);
        ck_assert_mem_eq(got, wanted, (size_t)sizes[i] * 3 * 70 * sizeof(float));
        teardown();
    }
}
END_TEST

START_TEST(what_cannot_be_turned) {
    static const char *const good = NEST("y[i, j, k] = x[j, k, i]");
    setup();
    expect_error(good, "turn y i k", "'y' is no input");
    expect_error(good, "turn x i z", "has no loops 'i' and 'z'");
    expect_error(good, "unroll j; turn x i k", "has no loops 'i' and 'k'");
    expect_error(good, "turn b i k", "'b' is not read once");
    expect_error(NEST("y[i, j, k] = x[j, k, i] y[i, j, k] = 0"), "turn x i k", "around one store");
    expect_error(NEST("y[i, j, k] = x[j, k, i] + x[0, k, i]"), "turn x i k", "is not read once");
    expect_error(NEST("y[i, j, k] = x[j, k, i] where (0 < i)"), "turn x i k",
                 "without a condition");
    teardown();
}
END_TEST

LT_TEST_MAIN("test_schedule_turn", results_stay, what_cannot_be_turned)
