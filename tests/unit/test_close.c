/* test_close.c - which results count as near enough: the judge of the conformance suite. */
#include <math.h>

#include "tests/close.h"
#include "tests/test.h"

static const Tolerance suite = {.relative = 1e-3, .absolute = 1e-7};
static char words[160];

static bool close_in(lathe_dtype dtype, const void *wanted, const void *found, int64_t count) {
    const HostTensor left = {
        .dtype = dtype, .rank = 1, .dims = {count}, .data = (void *)(uintptr_t)wanted};
    const lathe_tensor right = {
        .dtype = dtype, .rank = 1, .dims = &count, .data = (void *)(uintptr_t)found};
    return lt_tensor_close(&left, &right, &suite, words, sizeof words);
}

START_TEST(floats_may_err_in_proportion) {
    const float wanted[] = {1, -1000, 0}, near[] = {1.0009f, -1000.9f, 1e-8f};
    const float far[] = {1, -1001.1f, 0}, not_zero[] = {1, -1000, 1e-6f};
    ck_assert(close_in(LATHE_F32, wanted, near, 3));
    ck_assert(!close_in(LATHE_F32, wanted, far, 3));
    ck_assert_str_eq(words, "1 of 3 elements differ; 1 is -1001.1, expected -1000");
    ck_assert(!close_in(LATHE_F32, wanted, not_zero, 3));
}
END_TEST

START_TEST(nan_is_nan_and_infinity_itself) {
    const float nan[] = {NAN}, one[] = {1}, up[] = {INFINITY}, down[] = {-INFINITY};
    ck_assert(close_in(LATHE_F32, nan, nan, 1));
    ck_assert(close_in(LATHE_F32, up, up, 1));
    ck_assert(!close_in(LATHE_F32, nan, one, 1));
    ck_assert(!close_in(LATHE_F32, one, nan, 1));
    ck_assert(!close_in(LATHE_F32, up, down, 1));
    ck_assert(!close_in(LATHE_F32, up, one, 1));
}
END_TEST

START_TEST(integers_keep_all_their_bits) {
    const uint64_t wanted[] = {UINT64_MAX}, far[] = {UINT64_MAX / 1000 * 998};
    const int64_t small[] = {100}, other[] = {101};
    ck_assert(close_in(LATHE_U64, wanted, wanted, 1));
    ck_assert(!close_in(LATHE_U64, wanted, far, 1));
    ck_assert(!close_in(LATHE_I64, small, other, 1));
}
END_TEST

START_TEST(bf16_has_two_units_in_the_last_place) {
    const uint16_t wanted[] = {0x3f80}, near[] = {0x3f82}, far[] = {0x3f83};
    ck_assert(close_in(LATHE_BF16, wanted, near, 1));
    ck_assert(!close_in(LATHE_BF16, wanted, far, 1));
}
END_TEST

START_TEST(types_must_be_the_same) {
    const float data[] = {1, 2};
    const int64_t two[] = {2}, rows[] = {2, 1};
    const HostTensor wanted = {
        .dtype = LATHE_F32, .rank = 1, .dims = {2}, .data = (void *)(uintptr_t)data};
    lathe_tensor found = {
        .dtype = LATHE_I32, .rank = 1, .dims = two, .data = (void *)(uintptr_t)data};
    ck_assert(!lt_tensor_close(&wanted, &found, &suite, words, sizeof words));
    ck_assert_str_eq(words, "expected f32[2], found i32[2]");
    found = (lathe_tensor){
        .dtype = LATHE_F32, .rank = 2, .dims = rows, .data = (void *)(uintptr_t)data};
    ck_assert(!lt_tensor_close(&wanted, &found, &suite, words, sizeof words));
    ck_assert_str_eq(words, "expected f32[2], found f32[2,1]");
}
END_TEST

LT_TEST_MAIN("test_close", floats_may_err_in_proportion, nan_is_nan_and_infinity_itself,
             integers_keep_all_their_bits, bf16_has_two_units_in_the_last_place,
             types_must_be_the_same)
