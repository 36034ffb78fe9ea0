/* half.c - 16-bit floats by integer arithmetic on their bits, so that the results do not depend on
 * the compiler's or the CPU's half support. Formats: IEEE 754-2019, 3.4 and 3.6 (binary16: 1-5-10);
 * bfloat16 is the upper half of binary32. NaNs become quiet and keep the payload that fits. */
#include "runtime/base/half.h"

#include "runtime/base/float_bits.h"

enum { F16_QUIET = 0x0200, F16_INF = 0x7c00, BF16_QUIET = 0x0040 };
#define F32_QUIET 0x00400000u

float lt_f16_to_f32(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    uint32_t exponent = (bits >> 10) & 0x1f, mantissa = bits & 0x3ff;
    if (exponent == 0x1f)
        return bits_float(sign | F32_INF | mantissa << 13 | (mantissa ? F32_QUIET : 0));
    if (exponent == 0) { /* zero and subnormals: a multiple of 2^-24, exact in f32 */
        float magnitude = (float)mantissa * 0x1p-24f;
        return bits_float(sign | float_bits(magnitude));
    }
    return bits_float(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

uint16_t lt_f32_to_f16(float value) {
    uint32_t bits = float_bits(value), magnitude = bits & 0x7fffffff;
    uint32_t sign = (bits >> 16) & 0x8000, result;
    if (magnitude > F32_INF) {
        result = F16_INF | F16_QUIET | ((magnitude >> 13) & 0x3ff);
    } else if (magnitude >= 0x47800000) { /* 2^16 and more */
        result = F16_INF;
    } else if (magnitude >= 0x38800000) { /* 2^-14: normal. A carry may make it infinite: right. */
        result = shift_round(magnitude - ((127 - 15) << 23), 13);
    } else if (magnitude >= 0x33000000) { /* 2^-25: subnormal, in units of 2^-24 */
        uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
        result = shift_round(mantissa, 126 - (int)(magnitude >> 23));
    } else {
        result = 0;
    }
    return (uint16_t)(sign | result);
}

float lt_bf16_to_f32(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    return bits_float((wide & 0x7fffffff) > F32_INF ? wide | F32_QUIET : wide);
}

uint16_t lt_f32_to_bf16(float value) {
    uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffff) > F32_INF)
        return (uint16_t)(bits >> 16 | BF16_QUIET);
    return (uint16_t)shift_round(bits, 16);
}
