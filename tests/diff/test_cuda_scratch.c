/* test_cuda_scratch.c - scratch buffers of a GPU's kernels: schedules that make some, interpreted
 * and as CUDA-C, and what becomes of those that threads share out and of those that they do not. */
#include "tests/diff/cuda_fixture.h"
#include "tests/unit/kernel_fixture.h"

START_TEST(products_keep_partial_sums) {
    static const Case cases[] = {
        {"%a: f32[16,23], %b: f32[23,6]", "%c = contract %a, %b {spec = \"mk,kn->mn\"} yield %c"},
        {"%a: i64[16,h], %b: i64[h,6]", "%c = contract %a, %b {spec = \"mk,kn->mn\"} yield %c"},
    };
    static const char *const schedules[] = {
        "partial k0 8 m0 n0",
        "split m0 4; partial k0 8 m0.1 n0; grid m0.0; thread m0.1",
        "split m0 4; partial k0 3 m0.0 m0.1 n0; grid m0.0; thread m0.1",
        "split m0 4; partial k0 8 m0.0 m0.1 n0; grid m0.0",
    };
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
        lower_schedule = schedules[i];
        cuda_begin_cases(2, cuda_collect);
        CHECK_CASES(cases);
        ck_assert_uint_ge(cuda_finish(), 2);
    }
}
END_TEST

static void check_placed(const char *body, const float *expected) {
    Arena arena;
    DiagList diags;
    lt_arena_init(&arena);
    lt_diag_init(&diags, &arena, NULL);
    const char *text = lt_arena_printf(
        &arena, "kernel t(a: f32[2, 4] in, out: f32[2, 4] out) {\n  grid b in 2 { %s }\n}\n", body);
    Kernel *k = kernel_from(&arena, text);
    lt_kernel_place_scratch(k);
    ck_assert_msg(lt_kernel_verify(k, &diags), "%s", kernel_text(&arena, k, false));
    ck_assert_ptr_nonnull(strstr(kernel_text(&arena, k, false), "f32[8, 3] out"));
    ck_assert_ptr_null(strstr(kernel_text(&arena, k, false), "scratch"));
    float a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8], rows[8 * 3];
    const char *error = lt_kernel_eval(k, &arena, (void *[]){a, out, rows}, NULL, 0, 1);
    ck_assert_msg(!error, "%s", error);
    for (int i = 0; i < 8; i++)
        ck_assert_float_eq(out[i], expected[i]);
    lt_arena_free(&arena);
}

START_TEST(each_thread_has_a_row) {
    check_placed("alloc s: f32[3] scratch thread t in 4 { s[1] = a[b, t] } barrier\n"
                 "thread r in 4 { out[b, r] = s[1] }",
                 (float[]){1, 2, 3, 4, 5, 6, 7, 8});
    check_placed("alloc s: f32[3] scratch s[2] = a[b, 1] for i in 2 { s[2] = s[2] + 1 }\n"
                 "thread t in 4 { out[b, t] = s[2] + a[b, t] }",
                 (float[]){5, 6, 7, 8, 13, 14, 15, 16});
    check_placed("alloc s: f32[3] scratch s[0] = 1\n"
                 "for i in 2 { thread t in 4 { s[0] = s[0] + a[b, t] } barrier }\n"
                 "thread t in 4 { out[b, t] = s[0] }",
                 (float[]){3, 5, 7, 9, 11, 13, 15, 17});
}
END_TEST

LT_TEST_MAIN("test_cuda_scratch", products_keep_partial_sums, each_thread_has_a_row)
