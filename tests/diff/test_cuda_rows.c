/* test_cuda_rows.c - folds and rows that several threads work on, as CUDA-C and as kernels that are
 * interpreted, against the evaluator: rows of many lengths, of every dtype, and of lengths that
 * only a run tells. */
#include "tests/diff/cuda_fixture.h"

/* A word that the schedule of some kernel of each case must have, or NULL, and how many have
 * `spread`. */
static const char *needed;
static int spread_count;

static void collect(const Program *p, const Tensor *const *inputs, const Tensor *const *expected,
                    const char *listing) {
    int found = 0;
    for (size_t i = 0; i < p->kernels.len; i++) {
        found += needed && strstr(p->kernels.data[i]->schedule, needed) != NULL;
        spread_count += strstr(p->kernels.data[i]->schedule, "spread") != NULL;
    }
    ck_assert_msg(found || !needed, "no schedule has '%s' in\n%.4000s", needed, listing);
    cuda_collect(p, inputs, expected, listing);
}

static void begin(const char *word) {
    needed = word;
    spread_count = 0;
    cuda_begin_cases(2, collect);
}

static const Case rows[] = {
    {"%x: T[n,N]", "%a = softmax %x {axis = 1} yield %a"},
    {"%x: T[n,N]", "%a = log_softmax %x {axis = 1} yield %a"},
    {"%x: T[n,N], %s: T[N], %b: T[N]",
     "%a = layer_norm %x, %s, %b {axis = 1, epsilon = 1e-5} yield %a"},
};

static const Case folds[] = {
    {"%x: T[n,N]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
    {"%x: T[n,N]", "%a = reduce.max %x {axes = [1], keep = true} yield %a"},
    {"%x: T[n,N]", "%a = reduce.min %x {axes = [1], keep = false} yield %a"},
    {"%x: T[n,N]", "%a = argreduce.max %x {axis = 1, keep = false} yield %a"},
    {"%x: T[n,N]", "%a = argreduce.min %x {axis = 1, keep = false} yield %a"},
};

static const Case products[] = {
    {"%x: T[n,N]", "%a = reduce.mul %x {axes = [1], keep = false} yield %a"},
};

START_TEST(many_lengths) {
    static const int64_t few[] = {1, 3, 8}, lengths[] = {16, 31, 32, 33, 97, 512, 1000, 4096, 9001};
    begin(NULL);
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
        CHECK_FILLED(rows, few[i], "f32");
        CHECK_FILLED(folds, few[i], "f32");
    }
    needed = "spread";
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        CHECK_FILLED(rows, lengths[i], "f32");
        CHECK_FILLED(folds, lengths[i], "f32");
    }
    ck_assert_uint_gt(cuda_finish(), 300);
    ck_assert_int_gt(spread_count, 250);
}
END_TEST

START_TEST(many_dtypes) {
    static const char *const floats[] = {"f64", "f16", "bf16"};
    static const char *const ints[] = {"i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"};
    begin("spread");
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        CHECK_FILLED(rows, 97, floats[i]);
        CHECK_FILLED(rows, 1000, floats[i]);
        CHECK_FILLED(folds, 1000, floats[i]);
    }
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        CHECK_FILLED(folds, 33, ints[i]);
        CHECK_FILLED(folds, 1000, ints[i]);
        CHECK_FILLED(products, 1000, ints[i]);
    }
    ck_assert_uint_gt(cuda_finish(), 300);
}
END_TEST

/* Lengths that a run tells, several axes, everything at once, NaNs, and what stands around. */
static const Case others[] = {
    {"%x: f32[n,61*h]", "%a = softmax %x {axis = 1} yield %a"},
    {"%x: f16[n,61*h]", "%a = softmax %x {axis = 1} yield %a"},
    {"%x: f32[n,h,33]", "%a = softmax %x {axis = 2} yield %a"},
    {"%x: f32[n,4,5,8]", "%a = softmax %x {axis = 2} yield %a"},
    {"%x: f32[h,64,n]", "%a = softmax %x {axis = 1} yield %a"},
    {"%x: f32[n,61*h]", "%a = layer_norm %x {axis = 1, epsilon = 1e-5} yield %a"},
    {"%x: f32[n,0]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
    {"%x: f32[n,0]", "%a = softmax %x {axis = 1} %b = relu %a yield %b"},
    {"%x: f32[0,40]", "%a = reduce.max %x {axes = [1], keep = false} %b = neg %x yield %a, %b"},
    {"%x: f32[2,0,40]", "%a = reduce.max %x {axes = [1], keep = false} yield %a"},
    {"%x: f32[n,12,9], %s: f32[12,9]", "%a = layer_norm %x, %s {axis = 1, epsilon = 0.1} yield %a"},
    {"%x: f32[n,h,40]", "%a = layer_norm %x {axis = 1, epsilon = 0.1} yield %a"},
    {"%x: f32[n,61*h]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
    {"%x: f32[n,61*h]", "%a = argreduce.max %x {axis = 1, keep = false} yield %a"},
    {"%x: f32[n,h,40]", "%a = reduce.add %x {axes = [0, 1, 2], keep = false} yield %a"},
    {"%x: i32[9,70,100]", "%a = reduce.add %x {axes = [0, 1, 2], keep = false} yield %a"},
    {"%x: f32[n,5,h,40]", "%a = reduce.max %x {axes = [1, 3], keep = false} yield %a"},
    {"%x: f32[300,n,7]", "%a = reduce.add %x {axes = [0], keep = false} yield %a"},
    {"%x: bool[n,300]", "%a = reduce.and %x {axes = [1], keep = false} yield %a"},
    {"%x: bool[n,300]", "%a = reduce.or %x {axes = [1], keep = false} yield %a"},
    {"%x: f32[n,300]", "%q = log %x %a = argreduce.max %q {axis = 1, keep = false} yield %a"},
    {"%x: f32[n,300]",
     "%c = const f32[] [1.99] %q = add %x, %c %r = log %q "
     "%a = argreduce.min %r {axis = 1, keep = false} %b = reduce.max %r {axes = [1], keep = false} "
     "yield %a, %b"},
    {"%x: f32[2,20000]", "%a = softmax %x {axis = 1} %b = reduce.add %x {axes = [1], keep = true} "
                         "yield %a, %b"},
};

/* Results beside each other, each of which folds what lies apart. */
static const Case columns[] = {
    {"%x: T[n,N,32]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
    {"%x: T[N,h]", "%a = reduce.max %x {axes = [0], keep = false} yield %a"},
    {"%x: T[N,13]", "%a = reduce.min %x {axes = [0], keep = false} yield %a"},
    {"%x: T[2,N,h,3]", "%a = reduce.add %x {axes = [0, 1], keep = false} yield %a"},
    {"%x: T[N,h]", "%a = argreduce.min %x {axis = 0, keep = false} yield %a"},
};

static const Case column_rows[] = {
    {"%x: T[n,N,h]", "%a = softmax %x {axis = 1} yield %a"},
    {"%x: T[N,40]", "%a = log_softmax %x {axis = 0} yield %a"},
};

START_TEST(many_columns) {
    static const int64_t lengths[] = {16, 49, 97, 256, 1000};
    begin("spread");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        CHECK_FILLED(columns, lengths[i], "f32");
        CHECK_FILLED(column_rows, lengths[i], "f32");
    }
    CHECK_FILLED(columns, 100, "f16");
    CHECK_FILLED(columns, 100, "i8");
    CHECK_FILLED(columns, 100, "i64");
    CHECK_FILLED(column_rows, 100, "bf16");
    ck_assert_uint_gt(cuda_finish(), 100);
}
END_TEST

/* Products of few results, and sums over windows and kernels that are long. */
static const Case few_results[] = {
    {"%x: T[N], %y: T[N]", "%a = contract %x, %y {spec = \"k,k->\"} yield %a"},
    {"%x: T[N], %y: T[N,40]", "%a = contract %x, %y {spec = \"k,kn->n\"} yield %a"},
    {"%x: T[3,N], %y: T[11,N]", "%a = contract %x, %y {spec = \"mk,nk->mn\"} yield %a"},
    {"%x: T[5,N], %y: T[N,10]", "%a = contract %x, %y {spec = \"mk,kn->mn\"} yield %a"},
    {"%x: T[2,N,8,3]", "%a = window.add %x {axes = [1, 2], kernel = [16, 2], strides = [9, 2], "
                       "dilations = [1, 1], pad_lo = [2, 0], pad_hi = [7, 1]} yield %a"},
};

START_TEST(few_long_sums) {
    begin("spread");
    CHECK_FILLED(few_results, 100, "f32");
    CHECK_FILLED(few_results, 1003, "f32");
    CHECK_FILLED(few_results, 300, "f16");
    CHECK_FILLED(few_results, 300, "i32");
    ck_assert_uint_gt(cuda_finish(), 50);
}
END_TEST

/* Element by element along memory, as many at once as 16 bytes have, and some that cannot be. */
static const Case vectors[] = {
    {"%x: T[n,16]", "%a = neg %x yield %a"},
    {"%x: T[n,h,24], %y: T[24]", "%a = add %x, %y yield %a"},
    {"%x: T[n,h,24], %y: T[h,1]", "%a = mul %x, %y %b = max %a, %x yield %b"},
    {"%x: T[n,8*h], %y: f32[n,8*h]", "%a = convert %x {dtype = f32} %b = sub %a, %y yield %b"},
    {"%x: T[n,8,16], %y: T[8,1]",
     "%g = gt %x, %y %a = select %g, %x, %y %b = convert %a {dtype = f16} yield %b, %g"},
};

START_TEST(many_vectors) {
    static const char *const names[] = {"f32", "f64", "f16", "bf16", "i8", "i32", "i64", "u16"};
    begin("vectorize");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_FILLED(vectors, 0, names[i]);
    ck_assert_uint_gt(cuda_finish(), 100);
}
END_TEST

/* Across memory: squares that go through shared memory. */
static const Case squares[] = {
    {"%x: T[n,40,33]", "%a = transpose %x {perm = [0, 2, 1]} yield %a"},
    {"%x: T[64,n,8*h]", "%a = transpose %x {perm = [2, 1, 0]} yield %a"},
    {"%x: T[32,n,2,32], %y: T[n,1,32]",
     "%a = transpose %x {perm = [1, 2, 3, 0]} %b = max %a, %y yield %b"},
};

START_TEST(many_squares) {
    static const char *const names[] = {"f32", "f64", "f16", "bf16", "i8", "i32", "i64", "bool"};
    begin("turn");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_FILLED(squares, 0, names[i]);
    ck_assert_uint_gt(cuda_finish(), 60);
}
END_TEST

START_TEST(other_rows) {
    begin(NULL);
    CHECK_CASES(others);
    ck_assert_int_gt(spread_count, 40);
    cuda_finish();
}
END_TEST

LT_TEST_MAIN("test_cuda_rows", many_lengths, many_dtypes, many_columns, few_long_sums, many_vectors,
             many_squares, other_rows)
