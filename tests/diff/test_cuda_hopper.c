/* test_cuda_hopper.c - tiles with several stages, and those that warpgroups multiply out of
 * swizzled shared memory, against the evaluator: by the interpreter of kernels, and as CUDA-C with
 * every access checked. */
#include "tests/diff/cuda_schedule_fixture.h"

/* Extents around the edges of tiles; n is the first. */
static const int64_t extents[][2] = {{1, 1},    {64, 64},  {61, 7},    {65, 63},
                                     {63, 128}, {128, 65}, {127, 192}, {131, 257}};
enum { EXTENTS = sizeof extents / sizeof *extents };

/* A tile of rows x columns, of which a thread has some. */
typedef struct Shape {
    int rows, columns, fold, own_rows, own_columns;
    const char *how;
} Shape;

static const char *tiled(const Shape *s) {
    return lt_arena_printf(&texts,
                           "split m0 %d; split n0 %d; reorder m0.0 n0.0 m0.1 n0.1; "
                           "share k0 %d m0.1 %d n0.1 %d %s; fuse m0.0 n0.0; grid m0.0_n0.0",
                           s->rows, s->columns, s->fold, s->own_rows, s->own_columns, s->how);
}

#define CONTRACT(spec) "%a = contract %x, %y {spec = \"" spec "\"} yield %a"

/* Each case in one of the shapes. */
static void check_all(const Case *cases, size_t count, const Shape *shapes, size_t shape_count) {
    for (size_t i = 0; i < count; i++) {
        const size_t j = i % shape_count;
        lower_schedule = tiled(&shapes[j]);
        check_at(cases[i].inputs, cases[i].body, extents[(3 * i + 5 * j + 2) % EXTENTS]);
    }
}
#define CHECK_ALL(cases, shapes) \
    check_all(cases, sizeof(cases) / sizeof *(cases), shapes, sizeof(shapes) / sizeof *(shapes))

/* --- stages ----------------------------------------------------------------------------------- */

static const Case plain[] = {
    {"%x: f32[n,h], %y: f32[h,19]", CONTRACT("mk,kn->mn")},
    {"%x: f32[40,n], %y: f32[h,40]", CONTRACT("km,nk->mn")},
    {"%x: f16[n,h], %y: f16[h,48]", CONTRACT("mk,kn->mn")},
};
static const Shape stages[] = {
    {64, 64, 16, 4, 4, "3"},
    {32, 32, 8, 2, 2, "5"},
};

START_TEST(several_stages) {
    begin();
    tolerance_f32 = 1e-4;
    CHECK_ALL(plain, stages);
    ck_assert_ptr_nonnull(strstr(cuda_runs.source.text, "arrived_but<3>()"));
    finish(3);
}
END_TEST

/* With more than 48 KiB, the launch asks for it. */
static const Case halves[] = {
    {"%x: f16[n,h], %y: f16[h,72]", CONTRACT("mk,kn->mn")},
    {"%x: bf16[h,n], %y: bf16[132,h]", CONTRACT("km,nk->mn")},
};
static const Shape warps[] = {
    {128, 128, 32, 8, 8, "mma 4"},
    {64, 128, 32, 4, 8, "mma 3"},
};

START_TEST(warps_with_several_stages) {
    begin();
    CHECK_ALL(halves, warps);
    ck_assert_ptr_nonnull(strstr(cuda_runs.source.text, "shared_at<__half[4][128][40]>(0)"));
    finish(2);
}
END_TEST

/* --- warpgroups ------------------------------------------------------------------------------- */

/* Factors along the fold, and along rows and columns; aligned, and by single elements. */
static const Case products[] = {
    {"%x: f16[n,h], %y: f16[h,72]", CONTRACT("mk,kn->mn")},
    {"%x: bf16[n,264], %y: bf16[h,264]", CONTRACT("mk,nk->mn")},
    {"%x: f16[h,n], %y: f16[132,h]", CONTRACT("km,nk->mn")},
    {"%x: bf16[192,n], %y: bf16[192,h]", CONTRACT("km,kn->mn")},
};

static void check_warpgroups(const Shape *shape, const int64_t (*values)[2]) {
    begin();
    tolerance_f32 = 1e-4;
    lower_schedule = tiled(shape);
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (values[i][0])
            check_at(products[i].inputs, products[i].body, values[i]);
}

START_TEST(one_warpgroup) {
    const Shape shape = {64, 64, 64, 2, 16, "wgmma 4"};
    check_warpgroups(&shape, (const int64_t[][2]){{61, 129}, {1, 65}, {65, 136}, {64, 48}});
    const char *text = cuda_runs.source.text;
    ck_assert(strstr(text, "wgmmahalf64<false, true>(") &&
              strstr(text, "wgmmabf1664<false, false>("));
    ck_assert(strstr(text, "wgmmahalf64<true, false>(") &&
              strstr(text, "wgmmabf1664<true, true>("));
    finish(4);
}
END_TEST

START_TEST(without_stages) {
    const Shape shape = {64, 128, 64, 2, 32, "wgmma"};
    check_warpgroups(&shape, (const int64_t[][2]){{7, 127}, {0}, {63, 72}, {0}});
    finish(2);
}
END_TEST

START_TEST(two_warpgroups) {
    const Shape shape = {128, 128, 64, 2, 32, "wgmma 3"};
    check_warpgroups(&shape, (const int64_t[][2]){{97, 130}, {0}, {0}, {120, 61}});
    ck_assert_ptr_nonnull(strstr(cuda_runs.source.text, "[t / 128], "));
    finish(2);
}
END_TEST

START_TEST(two_stages) {
    const Shape shape = {128, 64, 64, 2, 16, "wgmma 2"};
    check_warpgroups(&shape, (const int64_t[][2]){{0}, {113, 61}, {127, 72}, {0}});
    finish(2);
}
END_TEST

START_TEST(wide_tiles) {
    const Shape shape = {64, 256, 64, 2, 64, "wgmma 3"};
    check_warpgroups(&shape, (const int64_t[][2]){{64, 130}, {17, 255}, {0}, {0}});
    finish(2);
}
END_TEST

/* --- tensor cores of sm_70 -------------------------------------------------------------------- */

static const Case quads[] = {
    {"%x: f16[n,h], %y: f16[h,19]", CONTRACT("mk,kn->mn")},
    {"%x: f16[n,40], %y: f16[h,40]", CONTRACT("mk,nk->mn")},
    {"%x: f16[h,n], %y: f16[52,h]", CONTRACT("km,nk->mn")},
    {"%x: f16[32,n], %y: f16[32,h]", CONTRACT("km,kn->mn")},
};
static const Shape quad_shapes[] = {{64, 32, 16, 4, 4, "quads"}, {32, 64, 32, 2, 4, "quads"}};

START_TEST(pairs_of_quads) {
    begin();
    tolerance_f32 = 1e-4;
    CHECK_ALL(quads, quad_shapes);
    const char *text = cuda_runs.source.text;
    ck_assert(strstr(text, "quads<false, true>(acc") && strstr(text, "quads<false, false>(acc"));
    ck_assert(strstr(text, "quads<true, false>(acc") && strstr(text, "quads<true, true>(acc"));
    finish(4);
}
END_TEST

LT_TEST_MAIN("test_cuda_hopper", several_stages, warps_with_several_stages, one_warpgroup,
             without_stages, two_warpgroups, two_stages, wide_tiles, pairs_of_quads)
