/* test_cuda_sort.c - what moves elements by their values, as kernels of a GPU: top-k and sorts, the
 * positions of a mask, scatters. Interpreted with its races found, and as CUDA-C on the CPU, both
 * against the evaluator. */
#include "tests/diff/cuda_fixture.h"

static void begin(void) {
    cuda_begin_cases(0, cuda_collect);
}

/* The graph under n and h, whose text is `format` with the rest. */
__attribute__((format(printf, 4, 5))) static void check_graph(int64_t n, int64_t h,
                                                              const char *inputs,
                                                              const char *format, ...) {
    Arena arena;
    va_list args;
    lt_arena_init(&arena);
    va_start(args, format);
    const char *text =
        lt_arena_printf(&arena,
                        "module \"case\"\nsymbol n in 0..\nsymbol h in 0..\nsymbol d0 in 0.. data\n"
                        "graph main(%s, %%unused: u8[n,h]) {\n%s\n}\n",
                        inputs, lt_arena_vprintf(&arena, format, args));
    va_end(args);
    random_state = (uint64_t)(n + 3 * h + 1);
    ck_assert_msg(check_module(parse(&arena, text), (int64_t[]){n, h}, 2, text),
                  "never evaluated: %s", text);
    lt_arena_free(&arena);
}

/* --- top-k -------------------------------------------------------------------------------- */

/* Text of a format. */
#define TOPK(of, axis, size, largest) \
    "%%v, %%j = topk " of " {axis = " axis ", size = [" size "], largest = " largest \
    ", sorted = true} yield %%v, %%j"

static const int64_t lengths[] = {1, 2, 3, 7, 31, 32, 33, 127, 129, 1000, 1023, 1024, 1025, 2500};

START_TEST(rows_of_all_lengths) {
    begin();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char size[24], k[24], inputs[64];
        snprintf(size, sizeof size, "%lld", (long long)lengths[i]);
        snprintf(k, sizeof k, "%lld", (long long)(i % 2 ? lengths[i] : (lengths[i] + 2) / 3));
        snprintf(inputs, sizeof inputs, "%%x: %s[2,%s,%d]", i % 3 ? "f32" : "i8", size,
                 i % 2 ? 1 : 3);
        check_graph(1, 1, inputs, TOPK("%%x", "1", "%s", "%s"), k, i / 2 % 2 ? "true" : "false");
    }
    ck_assert_uint_eq(cuda_finish(), sizeof lengths / sizeof *lengths);
}
END_TEST

START_TEST(lengths_that_nobody_knows) {
    static const int64_t values[][2] = {{0, 2}, {1, 0}, {2, 3}, {33, 2}, {1024, 1}, {1030, 2}};
    begin();
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const int64_t n = values[i][0], h = values[i][1];
        check_graph(n, h, "%x: i32[h,n]", TOPK("%%x", "1", "n", "true"));
        check_graph(n, h, "%x: f32[n,h]", TOPK("%%x", "0", "n", "false"));
        if (n > 2)
            check_graph(n, h, "%x: i64[h,n]", TOPK("%%x", "1", "3", "false"));
    }
    ck_assert_uint_ge(cuda_finish(), 2 * sizeof values / sizeof *values);
}
END_TEST

/* So many pieces that they are merged in two steps. */
START_TEST(long_rows) {
    begin();
    check_graph(1, 1, "%x: f32[65700]", TOPK("%%x", "0", "65", "true"));
    check_graph(1, 1, "%x: u8[2,9000]", TOPK("%%x", "1", "5", "true"));
    cuda_finish();
}
END_TEST

/* NaN, -inf, both zeros, and each several times. */
START_TEST(dtypes_and_their_orders) {
    static const char *const floats[] = {"f32", "f64", "f16", "bf16"};
    static const char *const others[] = {"i8",  "i16", "i32",  "i64",      "u8",    "u16",
                                         "u32", "u64", "bool", "f8e4m3fn", "f8e5m2"};
    begin();
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        for (int largest = 0; largest < 2; largest++)
            check_graph(40, 2, "%x: i64[h,n]",
                        "%%f = convert %%x {dtype = %s} %%l = log %%f %%z = neg %%f "
                        "%%s = concat %%l, %%z, %%f {axis = 1} " TOPK("%%s", "1", "3*n", "%s"),
                        floats[i], largest ? "true" : "false");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        for (int largest = 0; largest < 2; largest++)
            check_graph(70, 2, "%x: i64[h,n]",
                        "%%s = convert %%x {dtype = %s} " TOPK("%%s", "1", "n", "%s"), others[i],
                        largest ? "true" : "false");
    cuda_finish();
}
END_TEST

/* --- masks -------------------------------------------------------------------------------- */

START_TEST(masks) {
    static const int64_t sizes[] = {0, 1, 2, 255, 1023, 1024, 1025, 5000};
    begin();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char inputs[32];
        static const char body[] = "%%c = convert %%m {dtype = i64} "
                                   "%%s = reduce.add %%c {axes = [0], keep = false} "
                                   "%%b = bind %%s {dims = [d0]} %%p = find %%m {size = [d0]} "
                                   "yield %%p";
        check_graph(sizes[i], 1, "%m: bool[n]", body);
        snprintf(inputs, sizeof inputs, "%%m: bool[%lld]", (long long)sizes[i]);
        check_graph(1, 1, inputs, body);
    }
    cuda_finish();
}
END_TEST

/* --- scatters ----------------------------------------------------------------------------- */

/* Integers of -3..2 as positions: most are there several times. */
START_TEST(scatters_that_meet) {
    static const int64_t values[][2] = {{0, 3}, {1, 1}, {33, 2}, {40, 3}, {1100, 1}};
    static const char *const fns[] = {"", ", fn = add", ", fn = mul", ", fn = max", ", fn = min"};
    static const char *const blocks[] = {"", "{fn = add}", "{fn = mul}", "{fn = max}",
                                         "{fn = min}"};
    begin();
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const int64_t n = values[i][0], h = values[i][1];
        for (size_t f = 0; f < sizeof fns / sizeof *fns; f++) {
            check_graph(n, h, "%x: f32[5], %i: i64[n], %u: f32[n]",
                        "%%a = scatter_elements %%x, %%i, %%u {axis = 0%s} yield %%a", fns[f]);
            if (n > 100)
                continue;
            check_graph(n, h, "%x: f32[3,5,h], %i: i32[2,n,h], %u: f32[2,n,h]",
                        "%%a = scatter_elements %%x, %%i, %%u {axis = 1%s} yield %%a", fns[f]);
            check_graph(n, h, "%x: i64[5,3,h], %i: i64[n,2], %u: i64[n,h]",
                        "%%a = scatter_nd %%x, %%i, %%u %s yield %%a", blocks[f]);
            check_graph(n, h, "%x: u8[5,2,h], %i: i64[2,n,1], %u: u8[2,n,2,h]",
                        "%%a = scatter_nd %%x, %%i, %%u %s yield %%a", blocks[f]);
        }
    }
    ck_assert_uint_gt(cuda_finish(), 50);
}
END_TEST

START_TEST(scatters_of_known_extents) {
    static const char *const dtypes[] = {"f16", "bf16", "f64", "i8", "i64", "bool"};
    begin();
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        char inputs[96];
        const char *fn = i == 5 ? "" : ", fn = add";
        snprintf(inputs, sizeof inputs, "%%x: %s[4,6], %%i: i64[%d,6], %%u: %s[%d,6]", dtypes[i],
                 i % 2 ? 3 : 50, dtypes[i], i % 2 ? 3 : 50);
        check_graph(1, 1, inputs, "%%a = scatter_elements %%x, %%i, %%u {axis = 0%s} yield %%a",
                    fn);
    }
    check_graph(1, 1, "%x: f32[3,9000], %i: i64[40,9000], %u: f32[40,9000]",
                "%%a = scatter_elements %%x, %%i, %%u {axis = 0} yield %%a");
    check_graph(70, 1, "%u: f32[n]", /* a permutation */
                "%%a = iota {axis = 0, shape = [n], dtype = i64} %%b = const i64[] [7] "
                "%%c = mul %%a, %%b %%d = dims {dims = [n]} %%i = mod %%c, %%d "
                "%%x = const f32[] [2.5] %%y = broadcast %%x {shape = [n]} "
                "%%s = scatter_elements %%y, %%i, %%u {axis = 0} yield %%s");
    check_graph(60, 1, "%i: i64[n]", /* how often there is each */
                "%%x = const i64[6] [0, 0, 0, 0, 0, 0] %%a = const i64[] [1] "
                "%%u = broadcast %%a {shape = [n]} "
                "%%s = scatter_elements %%x, %%i, %%u {axis = 0, fn = add} yield %%s");
    cuda_finish();
}
END_TEST

/* --- boxes -------------------------------------------------------------------------------- */

/* Edges of -2..2 and lengths of up to 2. */
#define BOXES(dims, size) \
    "%%a = slice %%e {start = [0, 0], size = [" size "], step = [1, 1]} %%b = abs %%e " \
    "%%c = slice %%b {start = [0, 2], size = [" size "], step = [1, 1]} %%d = add %%a, %%c " \
    "%%f = concat %%a, %%d {axis = 1} %%g = reshape %%f {shape = [" dims ", 4]} " \
    "%%s = suppress %%k, %%g, %%m, %%o yield %%s"

START_TEST(boxes_that_overlap) {
    begin();
    check_graph(300, 1, "%k: bool[2,n], %e: f32[2*n,4], %o: f32[]",
                "%%m = const i64[] [7] " BOXES("2, n", "2*n, 2"));
    check_graph(40, 3, "%k: bool[h,n], %e: f16[h*n,4], %m: i64[], %o: f16[]",
                BOXES("h, n", "h*n, 2"));
    check_graph(0, 3, "%k: bool[h,n], %e: f64[h*n,4], %m: i64[], %o: f64[]",
                BOXES("h, n", "h*n, 2"));
    check_graph(1, 1, "%k: bool[2,3,17], %e: f32[102,4]",
                "%%m = const i64[] [100] %%o = const f32[] [0.25] " BOXES("2, 3, 17", "102, 2"));
    ck_assert_uint_eq(cuda_finish(), 4);
}
END_TEST

LT_TEST_MAIN("test_cuda_sort", rows_of_all_lengths, lengths_that_nobody_knows, long_rows,
             dtypes_and_their_orders, masks, scatters_that_meet, scatters_of_known_extents,
             boxes_that_overlap)
