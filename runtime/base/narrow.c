/* narrow.c - minifloats by integer arithmetic on the bits of f32, and packed integers.
 *
 * Formats: f8e4m3fn and f8e5m2 are those of the OCP 8-bit floating point specification 1.0, the
 * fnuz ones of "8-bit Numerical Formats for Deep Neural Networks" (Noune et al. 2022: one NaN in
 * place of -0, and a bias greater by one), f8e8m0 and f4e2m1 of OCP microscaling 1.0. */
#include "runtime/base/narrow.h"

#include "runtime/base/float_bits.h"

#include "lathe/runtime.h"

#define F32_NAN 0x7fc00000u

static const Minifloat formats[LATHE_DTYPE_LIMIT] = {
    [LATHE_F8E4M3FN] = {4, 3, 7, 0x7e, 0x7f, 0x7f, true, true},
    [LATHE_F8E4M3FNUZ] = {4, 3, 8, 0x7f, 0x80, 0x80, true, false},
    [LATHE_F8E5M2] = {5, 2, 15, 0x7b, 0x7c, 0x7e, true, true},
    [LATHE_F8E5M2FNUZ] = {5, 2, 16, 0x7f, 0x80, 0x80, true, false},
    [LATHE_F8E8M0] = {8, 0, 127, 0xfe, 0xff, 0xff, false, false},
    [LATHE_F4E2M1] = {2, 1, 1, 0x07, 0x07, 0x08, true, true},
};

const Minifloat *lt_minifloat(int dtype) {
    return formats[dtype].exponent_bits ? &formats[dtype] : NULL;
}

/* 2^n of a normal f32. */
static float power_of_two(int n) { return bits_float((uint32_t)(n + 127) << 23); }

/* --- f8e8m0: the exponent of an f32 --- */

static float exponent_to_f32(uint8_t code) {
    return bits_float(code == 0xff ? F32_NAN : code == 0 ? 0x00400000 : (uint32_t)code << 23);
}

/* The middle of 2^-127 and 2^-126 is 0x600000, that of others has a mantissa of one half. */
static uint8_t f32_to_exponent(uint32_t magnitude) {
    if (magnitude < 0x600000)
        return 0;
    return magnitude >= F32_INF ? 0xff : (uint8_t)((magnitude + 0x400000) >> 23);
}

/* --- the others --- */

float lt_minifloat_to_f32(int dtype, uint8_t code) {
    const Minifloat *f = &formats[dtype];
    if (!f->has_sign)
        return exponent_to_f32(code);
    const int bits = f->exponent_bits + f->mantissa_bits;
    const uint8_t magnitude = code & ((1u << bits) - 1);
    const uint32_t sign = (uint32_t)(code >> bits & 1) << 31;
    if (!f->has_negative_zero && code == f->nan)
        return bits_float(F32_NAN);
    if (magnitude > f->max)
        return bits_float(sign |
                          (magnitude == f->overflow && f->overflow != f->nan ? F32_INF : F32_NAN));
    const int exponent = magnitude >> f->mantissa_bits, hidden = 1 << f->mantissa_bits;
    const int significand = (magnitude & (hidden - 1)) + (exponent ? hidden : 0);
    const int scale = (exponent ? exponent : 1) - f->bias - f->mantissa_bits;
    return bits_float(sign | float_bits((float)significand * power_of_two(scale)));
}

/* Of a number that is no NaN. Those below 2^-126 are far below half of any format's least one. */
static uint32_t round_magnitude(const Minifloat *f, uint32_t magnitude) {
    const int drop = 23 - f->mantissa_bits, exponent = (int)(magnitude >> 23) - 127 + f->bias;
    const uint32_t mantissa = magnitude & 0x7fffff;
    if (exponent >= 1) { /* a carry goes into the exponent, which is right */
        const uint32_t code = shift_round((uint32_t)exponent << 23 | mantissa, drop);
        return code > f->max ? f->overflow : code;
    }
    const int denormal_drop = drop + 1 - exponent;
    return denormal_drop > 25 ? 0 : shift_round(mantissa | 0x800000, denormal_drop);
}

uint8_t lt_f32_to_minifloat(int dtype, float value) {
    const Minifloat *f = &formats[dtype];
    const uint32_t bits = float_bits(value), magnitude = bits & 0x7fffffff;
    if (!f->has_sign)
        return f32_to_exponent(magnitude);
    const uint32_t sign_bit = 1u << (f->exponent_bits + f->mantissa_bits);
    const uint32_t code = magnitude > F32_INF ? f->nan : round_magnitude(f, magnitude);
    const bool is_signed = code < sign_bit && (code || f->has_negative_zero);
    return (uint8_t)(is_signed && bits >> 31 ? code | sign_bit : code);
}

/* --- integers ------------------------------------------------------------------------------ */

static int low_bits(uint8_t byte, int bits, bool is_signed) {
    const int value = byte & ((1 << bits) - 1), sign = 1 << (bits - 1);
    return is_signed ? (value ^ sign) - sign : value;
}

int lt_low_bits(int dtype, uint8_t byte) {
    const bool is_signed = dtype == LATHE_I4 || dtype == LATHE_I2;
    return low_bits(byte, dtype == LATHE_I4 || dtype == LATHE_U4 ? 4 : 2, is_signed);
}

int lt_packed_bits(int dtype) {
    switch (dtype) {
    case LATHE_I4:
    case LATHE_U4:
    case LATHE_F4E2M1: return 4;
    case LATHE_I2:
    case LATHE_U2: return 2;
    default: return 0;
    }
}

size_t lt_packed_bytes(size_t count, int bits) {
    const size_t per_byte = 8 / (size_t)bits;
    return count / per_byte + (count % per_byte != 0);
}

/* From the last on: an element's byte is never read after it was written. */
void lt_unpack_elements(const uint8_t *packed, size_t count, int bits, bool is_signed,
                        uint8_t *out) {
    const size_t per_byte = 8 / (size_t)bits;
    for (size_t i = count; i-- > 0;) {
        const int shift = (int)(i % per_byte) * bits;
        out[i] = (uint8_t)low_bits((uint8_t)(packed[i / per_byte] >> shift), bits, is_signed);
    }
}
