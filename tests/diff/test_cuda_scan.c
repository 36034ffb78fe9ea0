/* test_cuda_scan.c - running folds that several threads work on, as CUDA-C and as kernels that are
 * interpreted, against the evaluator. */
#include "tests/diff/cuda_fixture.h"

static bool is_needed; /* each case has a scan */
static int scan_count;

static void collect(const Program *p, const Tensor *const *inputs, const Tensor *const *expected,
                    const char *listing) {
    int found = 0;
    for (size_t i = 0; i < p->kernels.len; i++) {
        Str text;
        lt_str_init(&text, p->module->arena);
        lt_kernel_print(&text, p->kernels.data[i], false);
        found += strstr(text.text, "scan ") != NULL;
    }
    ck_assert_msg(found || !is_needed, "no kernel has a scan in\n%.4000s", listing);
    scan_count += found;
    cuda_collect(p, inputs, expected, listing);
}

static void begin(bool needed) {
    is_needed = needed;
    scan_count = 0;
    cuda_begin_cases(2, collect);
}

#define CUMULATE(fn, axis, rest) "%a = cumulate %x {fn = " fn ", axis = " axis rest "} yield %a"

/* Along memory, and across it. */
static const Case along[] = {
    {"%x: T[n,N]", CUMULATE("add", "1", "")},
    {"%x: T[n,N]", CUMULATE("add", "1", ", exclusive = true")},
    {"%x: T[N]", CUMULATE("add", "0", ", reverse = true")},
    {"%x: T[3,N]", CUMULATE("max", "1", ", exclusive = true, reverse = true")},
};
static const Case across[] = {
    {"%x: T[N,h]", CUMULATE("add", "0", "")},
    {"%x: T[N,33]", CUMULATE("add", "0", ", exclusive = true")},
    {"%x: T[2,N,n]", CUMULATE("min", "1", ", reverse = true")},
    {"%x: T[N,5]", CUMULATE("add", "0", ", exclusive = true, reverse = true")},
};
/* Every other element is 1, so that the product neither vanishes nor grows without end. */
static const Case products[] = {
    {"%x: T[n,N]", "%c = const T[] [1] %o = max %x, %c %a = cumulate %o {fn = mul, axis = 1} "
                   "yield %a"},
};

START_TEST(many_lengths) {
    static const int64_t few[] = {0, 1, 3, 15};
    static const int64_t lengths[] = {16, 31, 33, 128, 509, 1025, 4099, 9001};
    begin(false);
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
        CHECK_FILLED(along, few[i], "f32");
        CHECK_FILLED(across, few[i], "f32");
    }
    is_needed = true;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        CHECK_FILLED(along, lengths[i], "i32");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i += 2)
        CHECK_FILLED(across, lengths[i], "i64");
    ck_assert_uint_gt(cuda_finish(), 150);
    ck_assert_int_gt(scan_count, 100);
}
END_TEST

START_TEST(many_dtypes) {
    static const char *const ints[] = {"i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"};
    static const char *const floats[] = {"f32", "f64", "f16", "bf16"};
    begin(true);
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        CHECK_FILLED(along, 100, ints[i]);
        CHECK_FILLED(across, 65, ints[i]);
        CHECK_FILLED(products, 1003, ints[i]);
    }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        CHECK_FILLED(along, 132, floats[i]);
        CHECK_FILLED(across, 65, floats[i]);
    }
    ck_assert_uint_gt(cuda_finish(), 200);
}
END_TEST

/* Lengths that only a run tells, and rows that are several axes. */
static const Case others[] = {
    {"%x: f32[n,61*h]", CUMULATE("add", "1", "")},
    {"%x: f32[61*h]", CUMULATE("add", "0", ", exclusive = true")},
    {"%x: i32[n,32*h]", CUMULATE("add", "1", ", reverse = true")},
    {"%x: f32[n,h,40]", CUMULATE("add", "2", "")},
    {"%x: f32[h,n,40]", CUMULATE("add", "1", "")},
    {"%x: f32[61*h,n]", CUMULATE("max", "0", ", exclusive = true")},
    {"%x: bool[n,300]", CUMULATE("or", "1", "")},
    {"%x: bool[300,n]", CUMULATE("and", "0", ", reverse = true")},
    {"%x: f32[n,300]", "%l = log %x %a = cumulate %l {fn = max, axis = 1} yield %a"},
};

START_TEST(other_rows) {
    begin(true);
    tolerance_f32 = 1e-4;
    CHECK_CASES(others);
    ck_assert_uint_gt(cuda_finish(), 25);
}
END_TEST

LT_TEST_MAIN("test_cuda_scan", many_lengths, many_dtypes, other_rows)
