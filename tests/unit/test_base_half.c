/* test_base_half.c - 16-bit floats against the definition of their formats: every pattern both
 * ways, and every border between two neighbours from below, above and in the middle. */
#include <math.h>

#include "runtime/base/half.h"
#include "tests/test.h"

/* The value of a 16-bit pattern by the definition of the format. */
static double decode(uint16_t bits, int exponent_bits) {
    int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    int exponent = (bits & 0x7fff) >> mantissa_bits, mantissa = bits & ((1 << mantissa_bits) - 1);
    double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1)
        return mantissa ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

typedef float ToFloat(uint16_t bits);
typedef uint16_t FromFloat(float value);

static void check_patterns(ToFloat *widen, FromFloat *narrow, int exponent_bits) {
    uint16_t quiet = (uint16_t)(1u << (14 - exponent_bits));
    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        uint16_t bits = (uint16_t)i;
        double expected = decode(bits, exponent_bits);
        float wide = widen(bits);
        if (isnan(expected)) {
            ck_assert(isnan(wide));
            ck_assert_uint_eq(narrow(wide), bits | quiet);
            continue;
        }
        ck_assert_msg((double)wide == expected && !signbit(wide) == !signbit(expected),
                      "0x%04x is %a, expected %a", bits, (double)wide, expected);
        ck_assert_uint_eq(narrow(wide), bits);
    }
}

/* Between two neighbours: below the middle goes down, above it goes up, the middle to the even one.
 * The border to infinity lies where the next power of two would be rounded. */
static void check_borders(FromFloat *narrow, int exponent_bits) {
    int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    uint16_t infinity = (uint16_t)(((1u << exponent_bits) - 1) << mantissa_bits);
    for (uint16_t low = 0; low < infinity; low++) {
        uint16_t high = (uint16_t)(low + 1);
        double above = high == infinity ? ldexp(1, bias + 1) : decode(high, exponent_bits);
        double middle = (decode(low, exponent_bits) + above) / 2;
        float border = (float)middle;
        ck_assert((double)border == middle);
        ck_assert_uint_eq(narrow(border), low % 2 ? high : low);
        ck_assert_uint_eq(narrow(nextafterf(border, 0)), low);
        ck_assert_uint_eq(narrow(nextafterf(border, INFINITY)), high);
        ck_assert_uint_eq(narrow(-border), (low % 2 ? high : low) | 0x8000);
    }
    ck_assert_uint_eq(narrow(INFINITY), infinity);
    ck_assert_uint_eq(narrow(-INFINITY), infinity | 0x8000);
    ck_assert_uint_eq(narrow(0x1.fffffep127f), infinity);
}

START_TEST(f16_all_patterns) { check_patterns(lt_f16_to_f32, lt_f32_to_f16, 5); }
END_TEST
START_TEST(bf16_all_patterns) { check_patterns(lt_bf16_to_f32, lt_f32_to_bf16, 8); }
END_TEST
START_TEST(f16_all_borders) { check_borders(lt_f32_to_f16, 5); }
END_TEST
START_TEST(bf16_all_borders) { check_borders(lt_f32_to_bf16, 8); }
END_TEST

START_TEST(half_nan_with_low_payload_stays_nan) {
    uint32_t bits = 0x7f800001; /* the payload lies in bits that 16-bit formats do not have */
    float value;
    memcpy(&value, &bits, sizeof value);
    ck_assert_uint_eq(lt_f32_to_f16(value), 0x7e00);
    ck_assert_uint_eq(lt_f32_to_bf16(value), 0x7fc0);
}
END_TEST

/* ---- the program ---- */

LT_TEST_MAIN("test_base_half", f16_all_patterns, bf16_all_patterns, f16_all_borders,
             bf16_all_borders, half_nan_with_low_payload_stays_nan)
