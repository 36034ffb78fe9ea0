/* test_cuda_sweep.c - folds over few taps on a GPU (pooling, convolutions that do not mix channels)
 * against the evaluator: by the interpreter of kernels, and as CUDA-C with every access checked. */
#include "tests/diff/cuda_schedule_fixture.h"

static const int64_t extents[][2] = {{1, 1}, {2, 3}, {3, 4}, {5, 7}, {1, 13}, {4, 16}, {3, 17}};
enum { EXTENTS = sizeof extents / sizeof *extents };

#define WINDOW \
    "%a = window.max %x {axes = [1, 2], kernel = [3, 3], strides = [2, 1], dilations = [1, 1], " \
    "pad_lo = [1, 1], pad_hi = [1, 0]} yield %a"

static const Case convolutions[] = {
    {"%x: f32[n,h,9,16], %w: f32[3,3,1,16]",
     CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 16")},
    {"%x: f32[2,11,h,8], %w: f32[3,5,1,8]",
     CONV("[2, 1]", "[1, 2]", "[1, 4]", "[1, 4]", "groups = 8")},
    {"%x: f16[2,7,h,24], %w: f16[2,3,1,24]",
     CONV("[1, 2]", "[1, 1]", "[0, 1]", "[1, 1]", "groups = 24")},
    {"%x: f32[1,n,h,7], %w: f32[1,3,1,7]",
     CONV("[1, 1]", "[1, 1]", "[0, 1]", "[0, 1]", "groups = 7")},
};

/* A thread has as many results in a row as the first says, and neighbours as the second. */
static const int parts[][2] = {{1, 4}, {4, 2}, {2, 8}, {3, 1}};

static const char *swept(const int part[2]) {
    return lt_arena_printf(
        &texts,
        "split y1 %d; split o %d; reorder b y0 y1.0 o.0 y1.1 o.1; unroll y1.1; vectorize o.1; "
        "cache y1.1 o.1; unswitch o.1; unroll k0; unroll k1; fuse b y0; fuse b_y0 y1.0; "
        "fuse b_y0_y1.0 o.0; split b_y0_y1.0_o.0 64; grid b_y0_y1.0_o.0.0; "
        "thread b_y0_y1.0_o.0.1",
        part[0], part[1]);
}

START_TEST(convolutions_of_channels) {
    const size_t count = sizeof convolutions / sizeof *convolutions;
    begin();
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++) {
            lower_schedule = swept(parts[j]);
            check_at(convolutions[i].inputs, convolutions[i].body,
                     extents[(3 * i + 5 * j + 2) % EXTENTS]);
        }
    }
    finish(count);
}
END_TEST

/* Large enough for all that the target's row has. */
static const Case chosen[] = {
    {"%x: f32[1,129,128,32], %w: f32[3,3,1,32]",
     CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 32")},
    {"%x: f16[n,64,60,64], %w: f16[3,3,1,64]",
     CONV("[1, 2]", "[1, 1]", "[0, 1]", "[0, 0]", "groups = 64")},
    {"%x: f32[2,131,128,16]", WINDOW},
    {"%x: f32[n,h,65,48]", WINDOW},
};

START_TEST(chosen_by_the_target) {
    const size_t count = sizeof chosen / sizeof *chosen;
    begin();
    for (size_t i = 0; i < count; i++)
        check_at(chosen[i].inputs, chosen[i].body, (const int64_t[]){1, 5});
    const char *text = cuda_runs.source.text;
    ck_assert_ptr_nonnull(strstr(text, "acc[2][4]"));
    ck_assert_ptr_nonnull(strstr(text, "load_pack<8>(&in0"));
    ck_assert_ptr_nonnull(strstr(text, "load_pack<4>(&in0"));
    finish(count);
}
END_TEST

LT_TEST_MAIN("test_cuda_sweep", convolutions_of_channels, chosen_by_the_target)
