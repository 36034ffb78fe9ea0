/* test_math.c - the f32 functions of compiled code against the C library in double: the ULP bounds
 * that codegen/llvm/math_*.c state, on a dense sample of all floats and on the values where things
 * go wrong. */
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "codegen/codegen.h"
#include "runtime/base/half.h"
#include "tests/test.h"

enum { LANES = 16, STRIDE = 4001, BLOCK = 4096, MAX_SPECIAL = 64 };

/* One function, its bound, and where the bound holds. */
typedef struct MathCase {
    ScalarFn fn;
    double ulp;
    float lo, hi;    /* arguments outside are not sampled */
    double relative; /* or within this of the value ... */
    double absolute; /* ... or within this: for where a bound in ULP would not mean anything */
} MathCase;

static const MathCase cases[] = {
    {FN_EXP, 2, -INFINITY, INFINITY, 0, FLT_MIN},
    {FN_EXP2, 2, -INFINITY, INFINITY, 0, FLT_MIN},
    {FN_EXPM1, 3, -INFINITY, INFINITY, 0, 0},
    {FN_LOG, 2, -INFINITY, INFINITY, 0, 0},
    {FN_LOG2, 3, -INFINITY, INFINITY, 0, 0},
    {FN_LOG1P, 3, -INFINITY, INFINITY, 0, 0},
    {FN_SIN, 2, -0x1p30f, 0x1p30f, 0, 0},
    {FN_COS, 2, -0x1p30f, 0x1p30f, 0, 0},
    {FN_TAN, 4, -0x1p30f, 0x1p30f, 0, 0},
    {FN_ASIN, 4, -INFINITY, INFINITY, 0, 0},
    {FN_ACOS, 4, -INFINITY, INFINITY, 0, 0},
    {FN_ATAN, 3, -INFINITY, INFINITY, 0, 0},
    {FN_SINH, 4, -INFINITY, INFINITY, 0, 0},
    {FN_COSH, 4, -INFINITY, INFINITY, 0, 0},
    {FN_TANH, 4, -INFINITY, INFINITY, 0, 0},
    {FN_ASINH, 4, -INFINITY, INFINITY, 0, 0},
    {FN_ACOSH, 4, -INFINITY, INFINITY, 0, 0},
    {FN_ATANH, 4, -INFINITY, INFINITY, 0, 0},
    {FN_ERF, 4, -INFINITY, INFINITY, 0, 0},
    {FN_SIGMOID, 4, -INFINITY, INFINITY, 0, FLT_MIN},
    {FN_SOFTPLUS, 3, -INFINITY, INFINITY, 0, FLT_MIN},
    {FN_GELU, 4, -INFINITY, INFINITY, 4e-6, 3e-8},
    {FN_GELU_TANH, 4, -INFINITY, INFINITY, 2e-6, 1e-7},
    {FN_TF32, 0, -INFINITY, INFINITY, 0, 0},
    {FN_SQRT, 1, -INFINITY, INFINITY, 0, 0},
    {FN_RSQRT, 2, -INFINITY, INFINITY, 0, 0},
    {FN_RECIP, 1, -INFINITY, INFINITY, 0, 0},
    {FN_SIGN, 0, -INFINITY, INFINITY, 0, 0},
    {FN_RELU, 0, -INFINITY, INFINITY, 0, 0},
    {FN_ROUND, 0, -INFINITY, INFINITY, 0, 0},
};

static const float specials[] = {
    0.0f,       -0.0f,      NAN,         INFINITY,    -INFINITY,  1.0f,        -1.0f,
    0x1p-149f,  -0x1p-149f, 0x1p-126f,   0x1p-127f,   1e-30f,     -1e-30f,     0x1p-25f,
    0x1p-24f,   0.5f,       -0.5f,       0.92f,       88.72f,     88.73f,      89.5f,
    -87.3f,     -87.4f,     -103.9f,     -104.1f,     -150.0f,    128.0f,      127.999f,
    -126.0f,    -149.0f,    -149.6f,     -150.5f,     3.4028e38f, -3.4e38f,    0.99999994f,
    1.0000001f, 2.0f,       4.25f,       4.26f,       6.1f,       -6.1f,       9.0f,
    -9.0f,      20.0f,      20.01f,      0.785398f,   1.570796f,  3.1415927f,  1e5f,
    1e9f,       1.1e9f,     16777216.0f, 33554432.0f, -0.75f,     0.70710677f, 0.70710683f,
    1.4142135f, 1.4142137f, -13.0f,      -0.99999994f};
_Static_assert(sizeof specials / sizeof *specials <= MAX_SPECIAL, "specials fit");

/* out[i] = fn(a[i]) or fn(a[i], b[i]), 16 lanes at a time with a masked tail. */
static LtKernelFn *compile(Arena *arena, DiagList *diags, ScalarFn fn, DType dtype, void **handle) {
    const char *type = lt_dtype_name(dtype),
               *second = lt_scalar_info[fn].arity == 2 ? ", b[16*i + v]" : "";
    const char *text = lt_arena_printf(
        arena,
        "kernel k(n in 1..inf; a: %s[n] in, b: %s[n] in, out: %s[n] out) {\n"
        "  parallel i in n ceildiv 16 {\n    vector v in 16 {\n      if (16*i + v < n) {\n"
        "        out[16*i + v] = %s(a[16*i + v]%s)\n      }\n    }\n  }\n}\n",
        type, type, type, lt_scalar_info[fn].name, second);
    const Kernel *k = lt_kernel_parse(arena, text, strlen(text), diags);
    ck_assert_msg(k != NULL, "%s", text);
    LtKernelFn *function = lt_codegen_load_kernel(k, &(CodegenOptions){.level = 2}, handle, diags);
    ck_assert_msg(function != NULL, "%s does not compile: %s", lt_scalar_info[fn].name,
                  diags->items.len ? diags->items.data[0].text : "");
    return function;
}

/* Distance of `got` from the true value, in units of the last place of an f32 of that size. */
static double ulp_error(float got, double want) {
    const float nearest = (float)want;
    if (isnan(want) || isinf(nearest) || isinf(got) || isnan(got))
        return (isnan(want) && isnan(got)) || got == nearest ? 0 : INFINITY;
    int exponent;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

static double worst_here(const MathCase *c, const float *in, const float *out, int n, float *at) {
    double worst = 0;
    for (int i = 0; i < n; i++) {
        const double want = lt_scalar_eval_float(c->fn, in[i], 0, 0),
                     error = ulp_error(out[i], want);
        const double distance = fabs((double)out[i] - want);
        if (error <= worst || distance <= c->absolute || distance <= c->relative * fabs(want))
            continue;
        worst = error;
        *at = in[i];
    }
    return worst;
}

static double worst_of(const MathCase *c, LtKernelFn *function, float *at) {
    static float in[BLOCK], out[BLOCK];
    void *buffers[] = {in, in, out};
    double worst = 0;
    uint64_t bits = 0;
    while (bits < UINT64_C(1) << 32) {
        int64_t n = 0;
        for (; n < BLOCK - 1 && bits < UINT64_C(1) << 32; bits += STRIDE) {
            const uint32_t word = (uint32_t)bits;
            memcpy(&in[n], &word, sizeof word);
            n += isnan(in[n]) || (in[n] >= c->lo && in[n] <= c->hi);
        }
        function(buffers, &n, 0, (n + LANES - 1) / LANES, NULL);
        float place = 0;
        const double here = worst_here(c, in, out, (int)n, &place);
        if (here > worst)
            *at = place;
        worst = here > worst ? here : worst;
    }
    return worst;
}

/* 0, or 1 and a line that says what is too far off. */
static int check_case(const MathCase *c) {
    Arena arena;
    DiagList diags;
    void *handle;
    float at = 0, place = 0, out[MAX_SPECIAL], in[MAX_SPECIAL];
    lt_arena_init(&arena);
    lt_diag_init(&diags, &arena, "math");
    LtKernelFn *function = compile(&arena, &diags, c->fn, DT_F32, &handle);
    double worst = worst_of(c, function, &at);
    int64_t n = 0;
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        in[n] = specials[i];
        n += !(in[n] < c->lo) && !(in[n] > c->hi);
    }
    function((void *[]){in, in, out}, &n, 0, (n + LANES - 1) / LANES, NULL);
    const double special = worst_here(c, in, out, (int)n, &place);
    if (worst > c->ulp || special > c->ulp)
        printf("%s: %.2f ULP at %.9g, %.2f at the special value %.9g; %g are stated\n",
               lt_scalar_info[c->fn].name, worst, at, special, place, c->ulp);
    lt_codegen_unload(handle);
    lt_arena_free(&arena);
    return worst > c->ulp || special > c->ulp;
}

START_TEST(functions_of_one_operand) {
    int failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        failures += check_case(&cases[i]);
    ck_assert_msg(failures == 0, "%d functions are less exact than stated", failures);
}
END_TEST

/* --- two operands --- */

static void check_pairs(ScalarFn fn, double bound) {
    enum { COUNT = (int)(sizeof specials / sizeof *specials) };
    static float a[COUNT * COUNT], b[COUNT * COUNT], out[COUNT * COUNT];
    Arena arena;
    DiagList diags;
    void *handle;
    lt_arena_init(&arena);
    lt_diag_init(&diags, &arena, "math");
    LtKernelFn *function = compile(&arena, &diags, fn, DT_F32, &handle);
    int64_t n = 0;
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++, n++) {
            a[n] = specials[i];
            b[n] = specials[j];
        }
    }
    function((void *[]){a, b, out}, &n, 0, (n + LANES - 1) / LANES, NULL);
    for (int64_t i = 0; i < n; i++) {
        const double want = lt_scalar_eval_float(fn, a[i], b[i], 0),
                     error = ulp_error(out[i], want);
        ck_assert_msg(error <= bound, "%s(%.9g, %.9g) is %.9g, expected %.9g: %.2f ULP",
                      lt_scalar_info[fn].name, a[i], b[i], out[i], want, error);
    }
    lt_codegen_unload(handle);
    lt_arena_free(&arena);
}

START_TEST(powers) { check_pairs(FN_POW, 2); }
END_TEST

START_TEST(angles_of_two) { check_pairs(FN_ATAN2, 4); }
END_TEST

START_TEST(extremes_keep_nan) {
    check_pairs(FN_MIN, 0);
    check_pairs(FN_MAX, 0);
}
END_TEST

/* pow away from special values: bases around 1 with large exponents, where log2 must be most exact.
 */
START_TEST(powers_are_exact_enough) {
    enum { COUNT = 60000 };
    static float a[COUNT], b[COUNT], out[COUNT];
    Arena arena;
    DiagList diags;
    void *handle;
    lt_arena_init(&arena);
    lt_diag_init(&diags, &arena, "math");
    LtKernelFn *function = compile(&arena, &diags, FN_POW, DT_F32, &handle);
    int64_t n = COUNT;
    for (int i = 0; i < COUNT; i++) {
        a[i] = expf((float)(i % 251 - 125) / 17.0f);
        b[i] = (float)(i % 241 - 120) / 7.3f;
    }
    function((void *[]){a, b, out}, &n, 0, (n + LANES - 1) / LANES, NULL);
    for (int i = 0; i < COUNT; i++)
        ck_assert_msg(ulp_error(out[i], pow(a[i], b[i])) <= 2, "pow(%.9g, %.9g) is %.9g", a[i],
                      b[i], out[i]);
    lt_codegen_unload(handle);
    lt_arena_free(&arena);
}
END_TEST

/* A remainder is exact: any other bit is an error. */
START_TEST(remainders) { check_pairs(FN_FMOD, 0); }
END_TEST

/* --- other dtypes --- */

enum { CASES = (int)(sizeof cases / sizeof *cases), FEW = 24, HALVES = 1 << 16 };

/* All functions in one kernel, since there are many and linking takes its time: row f of the output
 * is the f-th function of the input. */
static LtKernelFn *compile_all(Arena *arena, DType dtype, void **handle) {
    const char *type = lt_dtype_name(dtype);
    DiagList diags;
    Str text;
    lt_diag_init(&diags, arena, "math");
    lt_str_init(&text, arena);
    lt_str_printf(&text,
                  "kernel k(n in 1..inf; a: %s[n] in, out: %s[%d, n] out) {\n"
                  "  parallel i in n ceildiv 8 { vector v in 8 { if (8*i + v < n) {\n",
                  type, type, CASES);
    for (int f = 0; f < CASES; f++)
        lt_str_printf(&text, "    out[%d, 8*i + v] = %s(a[8*i + v])\n", f,
                      lt_scalar_info[cases[f].fn].name);
    lt_str_printf(&text, "  } } }\n}\n");
    const Kernel *k = lt_kernel_parse(arena, text.text, text.len, &diags);
    ck_assert_msg(k != NULL, "%s", text.text);
    LtKernelFn *function = lt_codegen_load_kernel(k, &(CodegenOptions){.level = 1}, handle, &diags);
    ck_assert_msg(function != NULL, "%s", diags.items.len ? diags.items.data[0].text : "?");
    return function;
}

/* What the f32 function is off by is far below the last place of an f16, but may decide which way a
 * value between two is rounded. */
static bool is_near_half(uint16_t bits, double want) {
    const uint16_t nearest = lt_f32_to_f16((float)want);
    const float value = lt_f16_to_f32(bits), wanted = lt_f16_to_f32(nearest);
    if (isnan(value) || isnan(wanted))
        return isnan(value) && isnan(wanted);
    return value == wanted || abs((int)bits - (int)nearest) <= 1;
}

START_TEST(halves_are_rounded) {
    static uint16_t in[HALVES], out[CASES][HALVES];
    Arena arena;
    void *handle;
    int64_t n = HALVES;
    lt_arena_init(&arena);
    for (int i = 0; i < HALVES; i++)
        in[i] = (uint16_t)i;
    compile_all(&arena, DT_F16, &handle)((void *[]){in, out}, &n, 0, HALVES / 8, NULL);
    for (int f = 0; f < CASES; f++) {
        for (int i = 0; i < HALVES; i++) {
            const double x = (double)lt_f16_to_f32(in[i]),
                         want = lt_scalar_eval_float(cases[f].fn, x, 0, 0);
            ck_assert_msg(is_near_half(out[f][i], want), "%s(%.9g) is %.9g in f16, expected %.9g",
                          lt_scalar_info[cases[f].fn].name, x, (double)lt_f16_to_f32(out[f][i]),
                          want);
        }
    }
    lt_codegen_unload(handle);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(doubles_call_the_c_library) {
    double in[FEW], out[CASES][FEW];
    Arena arena;
    void *handle;
    int64_t n = FEW;
    lt_arena_init(&arena);
    for (int i = 0; i < FEW; i++)
        in[i] = (i - 11) * 0.37;
    compile_all(&arena, DT_F64, &handle)((void *[]){in, out}, &n, 0, FEW / 8, NULL);
    for (int f = 0; f < CASES; f++) {
        for (int i = 0; i < FEW; i++) {
            const double want = lt_scalar_eval_float(cases[f].fn, in[i], 0, 0), got = out[f][i];
            const bool is_same = (isnan(want) && isnan(got)) || got == want;
            ck_assert_msg(is_same || fabs(got - want) <= 1e-14 * fmax(1, fabs(want)),
                          "%s(%g) is %.17g, expected %.17g", lt_scalar_info[cases[f].fn].name,
                          in[i], got, want);
        }
    }
    lt_codegen_unload(handle);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_math", functions_of_one_operand, powers, powers_are_exact_enough, angles_of_two,
             extremes_keep_nan, remainders, halves_are_rounded, doubles_call_the_c_library)
