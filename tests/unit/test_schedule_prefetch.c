/* test_schedule_prefetch.c - `prefetch`: which lines are asked for, that nothing else changes, and
 * what it refuses. */
#include "tests/unit/schedule_fixture.h"

static const char product[] =
    "kernel product(m in 1..40; a: f32[m, 10] in, b: f32[3, 10, 32] in, out: f32[m, 96] out) "
    "contract {\n"
    "  for p in 3 { for t in (m + 3) floordiv 4 { for i in min(4, m - 4*t) {\n"
    "    alloc acc: f32[32] register\n"
    "    vector v in 32 { acc[v] = 0 }\n"
    "    for k in 10 { vector v in 32 { acc[v] = fma(a[4*t + i, k], b[p, k, v], acc[v]) } }\n"
    "    vector v in 32 { out[4*t + i, 32*p + v] = acc[v] }\n"
    "  } } }\n"
    "}\n";

static void run(const Kernel *k, int64_t rows, float *out) {
    static float a[40 * 10], b[3 * 10 * 32];
    for (int i = 0; i < 40 * 10; i++)
        a[i] = (float)(i * 7 % 31 - 15);
    for (int i = 0; i < 3 * 10 * 32; i++)
        b[i] = (float)(i * 5 % 23 - 11);
    const char *error = lt_kernel_eval(k, &arena, (void *[]){a, b, out}, &rows, 0, 1);
    ck_assert_msg(error == NULL, "%s", error);
}

START_TEST(asks_for_the_next_part) {
    setup();
    const Kernel *plain = parse(product);
    Kernel *k = parse(product);
    const char *error = lt_schedule_apply(k, "prefetch b p t k");
    ck_assert_msg(error == NULL, "%s", error);
    check_verified(k, "prefetch b p t k");
    Str text;
    lt_str_init(&text, &arena);
    lt_kernel_print(&text, k, false);
    /* At most ten repetitions of ten steps: the t-th asks for the t-th step of the next part. */
    ck_assert_ptr_nonnull(strstr(text.text, "prefetch b[p + 1, t, 0]"));
    ck_assert_ptr_nonnull(strstr(text.text, "prefetch b[p + 1, t, 16]"));
    const Kernel *again = parse(text.text);
    for (int64_t rows = 1; rows <= 40; rows++) {
        float want[40 * 96], got[40 * 96], reread[40 * 96];
        run(plain, rows, want);
        run(k, rows, got);
        run(again, rows, reread);
        ck_assert_mem_eq(got, want, (size_t)rows * 96 * sizeof *want);
        ck_assert_mem_eq(reread, want, (size_t)rows * 96 * sizeof *want);
    }
    teardown();
}
END_TEST

START_TEST(refuses) {
    setup();
    expect_error(product, "prefetch b x t k", "no loop named 'x'");
    expect_error(product, "prefetch b p k t", "no loop named 't' inside k");
    expect_error(product, "prefetch c p t k", "no input 'c'");
    expect_error(product, "prefetch out p t k", "no input 'out'");
    expect_error(product, "prefetch a t i k", "'t' must move 'a', and 'i' must not");
    expect_error(product, "prefetch a p t k", "'p' must move 'a', and 't' must not");
    expect_error(product, "prefetch b p t", "takes 4 to 4");
    teardown();
}
END_TEST

START_TEST(only_parameters) {
    setup();
    Kernel *k = parse("kernel local(out: f32[4] out) map {\n"
                      "  alloc t: f32[4] stack\n"
                      "  for i in 4 { prefetch t[i] out[i] = 1 }\n"
                      "}\n");
    ck_assert(!lt_kernel_verify(k, &diags));
    ck_assert_ptr_nonnull(strstr(diags.items.data[0].text, "prefetch-param"));
    teardown();
}
END_TEST

LT_TEST_MAIN("test_schedule_prefetch", asks_for_the_next_part, refuses, only_parameters)
