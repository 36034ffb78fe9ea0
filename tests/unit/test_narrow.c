/* test_narrow.c - minifloats against the definition of their formats, and compiled conversions, of
 * vectors and of scalars, against the evaluator's. */
#include <math.h>

#include "codegen/codegen.h"
#include "ir/eval_ops.h"
#include "runtime/base/narrow.h"
#include "tests/unit/kernel_fixture.h"

/* How each format reads: bits, bias, and what the codes at the end of its range are. */
static const struct Format {
    DType dtype;
    int exponent, mantissa, bias;
    int infinity; /* the code, or -1 */
    int nan_from; /* magnitudes from here on are NaN; 128: none */
    bool is_fnuz; /* 0x80 is NaN */
} formats[] = {
    {DT_F8E4M3FN, 4, 3, 7, -1, 0x7f, false},  {DT_F8E4M3FNUZ, 4, 3, 8, -1, 128, true},
    {DT_F8E5M2, 5, 2, 15, 0x7c, 0x7d, false}, {DT_F8E5M2FNUZ, 5, 2, 16, -1, 128, true},
    {DT_F4E2M1, 2, 1, 1, -1, 128, false},
};
enum { FORMATS = (int)(sizeof formats / sizeof *formats) };

static double decode(const struct Format *f, int code) {
    const int width = f->exponent + f->mantissa, magnitude = code & ((1 << width) - 1);
    const double sign = code >> width & 1 ? -1 : 1;
    const int exponent = magnitude >> f->mantissa, mantissa = magnitude & ((1 << f->mantissa) - 1);
    if ((f->is_fnuz && code == 0x80) || magnitude >= f->nan_from)
        return NAN;
    if (magnitude == f->infinity)
        return sign * INFINITY;
    const double fraction = ldexp(mantissa, -f->mantissa);
    return sign *
           (exponent ? ldexp(1 + fraction, exponent - f->bias) : ldexp(fraction, 1 - f->bias));
}

static void check_code(const struct Format *f, int code) {
    const double want = decode(f, code);
    const float got = lt_minifloat_to_f32((int)f->dtype, (uint8_t)code);
    const uint8_t back = lt_f32_to_minifloat((int)f->dtype, got);
    if (isnan(want)) {
        ck_assert(isnan(got));
        ck_assert(isnan(decode(f, back)));
        return;
    }
    ck_assert_msg((double)got == want && !signbit(got) == !signbit(want), "%s 0x%02x is %a not %a",
                  lt_dtype_name(f->dtype), code, (double)got, want);
    ck_assert_int_eq(back, code & ((2 << (f->exponent + f->mantissa)) - 1));
}

START_TEST(all_codes) {
    for (int i = 0; i < FORMATS; i++)
        for (int code = 0; code < 256; code++)
            check_code(&formats[i], code);
}
END_TEST

/* Below the middle of two neighbours goes down, above it up, the middle to the even code. */
START_TEST(all_borders) {
    for (int i = 0; i < FORMATS; i++) {
        const struct Format *f = &formats[i];
        const int dtype = (int)f->dtype, last = (1 << (f->exponent + f->mantissa)) - 1;
        for (int low = 0; low < last; low++) {
            const double above = decode(f, low + 1);
            if (isnan(above) || isinf(above))
                break;
            const float middle = (float)((decode(f, low) + above) / 2);
            ck_assert_int_eq(lt_f32_to_minifloat(dtype, middle), low + low % 2);
            ck_assert_int_eq(lt_f32_to_minifloat(dtype, nextafterf(middle, 0)), low);
            ck_assert_int_eq(lt_f32_to_minifloat(dtype, nextafterf(middle, INFINITY)), low + 1);
        }
    }
}
END_TEST

START_TEST(exponents) {
    for (int code = 0; code < 255; code++) {
        const float value = lt_minifloat_to_f32(DT_F8E8M0, (uint8_t)code);
        ck_assert((double)value == ldexp(1, code - 127));
        ck_assert_int_eq(lt_f32_to_minifloat(DT_F8E8M0, value), code);
        const float middle = 1.5f * value;
        ck_assert_int_eq(lt_f32_to_minifloat(DT_F8E8M0, middle), code + 1);
        ck_assert_int_eq(lt_f32_to_minifloat(DT_F8E8M0, nextafterf(middle, 0)), code);
    }
    ck_assert(isnan(lt_minifloat_to_f32(DT_F8E8M0, 255)));
    ck_assert_int_eq(lt_f32_to_minifloat(DT_F8E8M0, INFINITY), 255);
}
END_TEST

START_TEST(packed_elements) {
    uint8_t nibbles[8] = {0x21, 0xf8, 0x07}, crumbs[8] = {0xe4, 0x02};
    lt_unpack_elements(nibbles, 5, 4, true, nibbles);
    ck_assert(memcmp(nibbles, (uint8_t[]){1, 2, 0xf8, 0xff, 7}, 5) == 0);
    lt_unpack_elements(crumbs, 5, 2, false, crumbs);
    ck_assert(memcmp(crumbs, (uint8_t[]){0, 1, 2, 3, 2}, 5) == 0);
    ck_assert_uint_eq(lt_packed_bytes(5, 4), 3);
    ck_assert_uint_eq(lt_packed_bytes(9, 2), 3);
}
END_TEST

/* --- compiled code ------------------------------------------------------------------------- */

enum { COUNT = 1 << 16 };

/* Vectors of 8, or one element at a time. */
static void compile_and_run(DType from, DType to, bool is_vector, void *in, void *out) {
    Arena arena;
    DiagList diags;
    void *handle;
    int64_t n = COUNT;
    lt_arena_init(&arena);
    lt_diag_init(&diags, &arena, "narrow");
    const char *loop = is_vector ? "vector v in 8" : "for v in 8";
    const char *text = lt_arena_printf(
        &arena,
        "kernel k(n in 1..inf; a: %s[n] in, out: %s[n] out) {\n  parallel i in n ceildiv 8 { %s {"
        " if (8*i + v < n) {\n    out[8*i + v] = %s(a[8*i + v])\n  } } }\n}\n",
        lt_dtype_name(from), lt_dtype_name(to), loop, lt_dtype_name(to));
    Kernel *k = kernel_from(&arena, text);
    LtKernelFn *function =
        lt_codegen_load_kernel(k, &(CodegenOptions){.level = 1}, &handle, &diags);
    ck_assert_msg(function != NULL, "%s", diags.items.len ? diags.items.data[0].text : "?");
    function((void *[]){in, out}, &n, 0, COUNT / 8, NULL);
    lt_codegen_unload(handle);
    lt_arena_free(&arena);
}

/* A NaN's code may differ. */
static bool same_element(const Tensor *want, const Tensor *got, int64_t i) {
    const double x = lt_tensor_get_float(want, i), y = lt_tensor_get_float(got, i);
    return isnan(x) || isnan(y) ? isnan(x) && isnan(y) : x == y && !signbit(x) == !signbit(y);
}

static void check_conversion(const Tensor *in, DType to) {
    Arena arena;
    lt_arena_init(&arena);
    const int64_t count = COUNT;
    Tensor *got = lt_tensor_new(&arena, to, 1, &count),
           *want = lt_tensor_new(&arena, to, 1, &count);
    const bool is_integer = !lt_dtype_is_float(in->dtype) && !lt_dtype_is_float(to);
    for (int64_t i = 0; i < count; i++) {
        if (is_integer)
            lt_tensor_set_int(want, i, lt_tensor_get_int(in, i));
        else
            lt_tensor_set_float(want, i, lt_tensor_get_float(in, i));
    }
    for (int is_vector = 0; is_vector < 2; is_vector++) {
        compile_and_run(in->dtype, to, is_vector, in->data, got->data);
        for (int64_t i = 0; i < count; i++)
            ck_assert_msg(same_element(want, got, i), "%g of %s is %g in %s, expected %g",
                          lt_tensor_get_float(in, i), lt_dtype_name(in->dtype),
                          lt_tensor_get_float(got, i), lt_dtype_name(to),
                          lt_tensor_get_float(want, i));
    }
    lt_arena_free(&arena);
}

static const DType narrow[] = {DT_F8E4M3FN, DT_F8E4M3FNUZ, DT_F8E5M2, DT_F8E5M2FNUZ, DT_F8E8M0,
                               DT_F4E2M1,   DT_I4,         DT_U4,     DT_I2,         DT_U2};
enum { NARROW = (int)(sizeof narrow / sizeof *narrow) };

/* Every pattern of 16 bits; as f32, the upper half with a tail that decides ties. */
START_TEST(compiled_conversions_down) {
    static uint16_t halves[COUNT];
    static uint32_t words[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        halves[i] = (uint16_t)i, words[i] = i << 16 | (i * 7919 % 3 == 0 ? 0 : i * 40503 & 0xffff);
    const Tensor inputs[] = {{.dtype = DT_F16, .rank = 1, .dims = {COUNT}, .data = halves},
                             {.dtype = DT_BF16, .rank = 1, .dims = {COUNT}, .data = halves},
                             {.dtype = DT_I16, .rank = 1, .dims = {COUNT}, .data = halves},
                             {.dtype = DT_F32, .rank = 1, .dims = {COUNT}, .data = words}};
    for (int i = 0; i < NARROW; i++)
        for (size_t k = 0; k < sizeof inputs / sizeof *inputs; k++)
            check_conversion(&inputs[k], narrow[i]);
}
END_TEST

START_TEST(compiled_conversions_up) {
    static uint8_t codes[COUNT];
    for (int i = 0; i < COUNT; i++)
        codes[i] = (uint8_t)i;
    for (int i = 0; i < NARROW; i++) {
        const Tensor in = {.dtype = narrow[i], .rank = 1, .dims = {COUNT}, .data = codes};
        check_conversion(&in, DT_F32);
        check_conversion(&in, DT_I8);
    }
}
END_TEST

LT_TEST_MAIN("test_narrow", all_codes, all_borders, exponents, packed_elements,
             compiled_conversions_down, compiled_conversions_up)
