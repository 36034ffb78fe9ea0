/* float_bits.h - floats of 32 bits as bits, for conversions that do not depend on the compiler's or
 * the CPU's own. */
#ifndef LATHE_BASE_FLOAT_BITS_H
#define LATHE_BASE_FLOAT_BITS_H

#include <stdint.h>
#include <string.h>

#define F32_INF 0x7f800000u

static inline uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* x / 2^shift, to nearest, ties to even; shift >= 1. */
static inline uint32_t shift_round(uint32_t x, int shift) {
    uint32_t half_less_one = (1u << (shift - 1)) - 1, odd = (x >> shift) & 1;
    return (x + half_less_one + odd) >> shift;
}

#endif
