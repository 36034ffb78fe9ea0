/* test_cuda_split.c - long folds with few results, which are two kernels on a GPU: as CUDA-C and
 * interpreted, against the evaluator. */
#include "tests/diff/cuda_fixture.h"

static int least_split; /* folds of each case that are split */

static void collect(const Program *p, const Tensor *const *inputs, const Tensor *const *expected,
                    const char *listing) {
    int found = 0;
    for (size_t i = 0; i < p->kernels.len; i++) {
        const Kernel *k = p->kernels.data[i];
        for (uint32_t b = 0; b < k->param_count; b++)
            found += k->buffers.data[b]->kind == BUFFER_OUTPUT &&
                     strcmp(k->buffers.data[b]->name, "partial") == 0;
    }
    ck_assert_msg(found >= least_split, "%d folds are split in\n%.4000s", found, listing);
    ck_assert_msg(least_split || !found, "a fold is split in\n%.4000s", listing);
    cuda_collect(p, inputs, expected, listing);
}

static void begin(int least) {
    tolerance_f32 = 1e-4;
    least_split = least;
    cuda_begin_cases(2, collect);
}

/* Some values are larger than others, so that the greatest is not everywhere. */
static const Case folds[] = {
    {"%x: T[N]", "%a = reduce.add %x {axes = [0], keep = false} yield %a"},
    {"%x: T[2,N]", "%a = reduce.max %x {axes = [1], keep = true} %b = neg %a yield %b"},
    {"%x: T[N]", "%a = reduce.min %x {axes = [0], keep = false} yield %a"},
};
static const Case columns[] = {
    {"%x: T[N,40]", "%a = reduce.add %x {axes = [0], keep = false} yield %a"},
    {"%x: T[2,N,33], %y: T[2,33]",
     "%a = reduce.max %x {axes = [1], keep = false} %b = add %a, %y %c = relu %b yield %c"},
    {"%x: T[N], %y: T[N,33], %b: T[33]",
     "%a = contract %x, %y {spec = \"k,kn->n\"} %c = add %a, %b yield %c"},
};
static const Case tiles[] = {
    {"%x: T[20,N], %y: T[N,24], %b: T[24]",
     "%a = contract %x, %y {spec = \"mk,kn->mn\"} %c = add %a, %b %d = relu %c yield %d"},
    {"%x: T[N,17], %y: T[N,33]", "%a = contract %x, %y {spec = \"km,kn->mn\"} yield %a"},
};

START_TEST(rows) {
    begin(1);
    CHECK_FILLED(folds, 16384, "f32");
    CHECK_FILLED(folds, 20011, "f32");
    CHECK_FILLED(folds, 16500, "i8");
    CHECK_FILLED(folds, 16411, "f16");
    ck_assert_uint_gt(cuda_finish(), 32);
}
END_TEST

START_TEST(results_beside_each_other) {
    begin(1);
    CHECK_FILLED(columns, 1024, "f32");
    CHECK_FILLED(columns, 1031, "f32");
    CHECK_FILLED(columns, 1030, "bf16");
    ck_assert_uint_gt(cuda_finish(), 22);
}
END_TEST

START_TEST(products) {
    begin(1);
    CHECK_FILLED(tiles, 512, "f32");
    CHECK_FILLED(tiles, 640, "f16");
    CHECK_FILLED(tiles, 525, "i32");
    ck_assert_uint_gt(cuda_finish(), 15);
}
END_TEST

static const Case others[] = {
    {"%x: f32[4,64,256]", "%a = reduce.add %x {axes = [0, 1, 2], keep = false} %c = const f32[] "
                          "[0.0001] %b = mul %a, %c yield %b"},
    {"%x: f32[1,64,64,4]",
     "%a = window.add %x {axes = [1, 2], kernel = [64, 64], strides = [1, 1], "
     "dilations = [1, 1], pad_lo = [0, 0], pad_hi = [0, 0]} yield %a"},
    {"%x: f32[1,5,5,64], %w: f32[3,3,64,32]",
     CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 1")},
    {"%x: bool[40000]", "%a = reduce.or %x {axes = [0], keep = false} yield %a"},
    {"%x: f32[40000]", "%s = mul %x, %x %a = reduce.add %s {axes = [0], keep = false} yield %a"},
    {"%x: f32[150,150]", "%t = transpose %x {perm = [1, 0]} "
                         "%a = reduce.max %t {axes = [0, 1], keep = false} yield %a"},
};

START_TEST(other_folds) {
    begin(1);
    CHECK_CASES(others);
    cuda_finish();
}
END_TEST

/* Many results, short folds, and what only a run tells. */
static const Case whole[] = {
    {"%x: f32[300,200]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
    {"%x: f32[4000]", "%a = reduce.add %x {axes = [0], keep = false} yield %a"},
    {"%x: f32[n,1000,100]", "%a = reduce.add %x {axes = [0, 1], keep = false} yield %a"},
    {"%x: f32[40,100], %y: f32[100,40]", "%a = contract %x, %y {spec = \"mk,kn->mn\"} yield %a"},
    {"%x: f32[20,601], %y: f32[601,24]",
     "%a = contract %x, %y {spec = \"mk,kn->mn\"} yield %a"},
    {"%x: f32[16384]", "%c = const f32[] [1] %s = softmax %x {axis = 0} yield %s"},
};

START_TEST(what_stays_whole) {
    begin(0);
    CHECK_CASES(whole);
    cuda_finish();
}
END_TEST

LT_TEST_MAIN("test_cuda_split", rows, results_beside_each_other, products, other_folds,
             what_stays_whole)
