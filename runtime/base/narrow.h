/* narrow.h - elements of 8 bits and fewer: minifloats (floats of 8 and 4 bits) and the integers of
 * 4 and 2 bits. Dtypes are numbers of lathe/dtypes.def; every element takes a byte, whose high bits
 * are ignored when it is read. */
#ifndef LATHE_BASE_NARROW_H
#define LATHE_BASE_NARROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A float format of a sign (but f8e8m0), exponent_bits and mantissa_bits, with denormals. Codes are
 * those of magnitudes, without the sign. */
typedef struct Minifloat {
    uint8_t exponent_bits, mantissa_bits; /* 0 exponent bits: the dtype is no minifloat */
    uint8_t bias;
    uint8_t max;      /* the greatest finite number */
    uint8_t overflow; /* what is rounded to beyond max: infinity, NaN or max itself */
    uint8_t nan;      /* with the sign bit in it: the one NaN, which has no sign */
    bool has_sign, has_negative_zero;
} Minifloat;

/* NULL when the dtype is no minifloat. */
const Minifloat *lt_minifloat(int dtype);
/* Exact. The dtype must be a minifloat. */
float lt_minifloat_to_f32(int dtype, uint8_t code);
/* To nearest, ties to even, f8e8m0's ties up. What lies beyond the greatest number by more than
 * half a step becomes infinity in f8e5m2, the greatest number in f4e2m1, and NaN in the others. A
 * NaN in f4e2m1 becomes -0; f8e8m0 drops the sign, and has 2^-127 for 0. */
uint8_t lt_f32_to_minifloat(int dtype, float value);

/* The value of an i4, u4, i2 or u2 in its byte. */
int lt_low_bits(int dtype, uint8_t byte);

/* Bits of an element that files pack several of into a byte; 0: the dtype is none of those. */
int lt_packed_bits(int dtype);
/* Bytes of `count` elements of `bits` (2 or 4) that lie packed, the first in the lowest bits. */
size_t lt_packed_bytes(size_t count, int bits);
/* To one byte an element, sign-extended or not. `out` may be `packed`. */
void lt_unpack_elements(const uint8_t *packed, size_t count, int bits, bool is_signed,
                        uint8_t *out);

#endif
