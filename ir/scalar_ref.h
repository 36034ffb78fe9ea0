/* scalar_ref.h - the helpers that the F and I columns of scalars.def name. */
#ifndef LATHE_IR_SCALAR_REF_H
#define LATHE_IR_SCALAR_REF_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* --- floats: a NaN in gives a NaN out, as ONNX and IEEE 754-2019 minimum/maximum have it --- */

static inline double lt_ref_min(double a, double b) {
    if (isnan(a) || isnan(b))
        return NAN;
    return a < b || (a == b && signbit(a)) ? a : b;
}
static inline double lt_ref_max(double a, double b) {
    if (isnan(a) || isnan(b))
        return NAN;
    return a > b || (a == b && !signbit(a)) ? a : b;
}
static inline double lt_ref_clamp(double a, double lo, double hi) {
    return lt_ref_min(lt_ref_max(a, lo), hi);
}
static inline double lt_ref_sign(double a) { return isnan(a) ? a : (double)((a > 0) - (a < 0)); }
/* The remainder with the divisor's sign. */
static inline double lt_ref_floormod(double a, double b) {
    const double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
/* log(1 + exp(a)) that neither overflows nor loses small values. */
static inline double lt_ref_softplus(double a) {
    return a > 0 ? a + log1p(exp(-a)) : log1p(exp(a));
}
static inline double lt_ref_gelu_tanh(double a) {
    const double inner = M_2_SQRTPI * M_SQRT1_2 * (a + 0.044715 * a * a * a);
    return 0.5 * a * (1 + tanh(inner));
}

/* What is left of an f32 with 10 bits behind the point, the nearest one, ties away from zero: what
 * tensor cores multiply as tf32. */
static inline double lt_ref_tf32(double a) {
    enum { DROPPED_BITS = 13 };
    float x = (float)a;
    uint32_t bits;
    if (isnan(x))
        return a;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + (UINT32_C(1) << (DROPPED_BITS - 1))) & UINT32_MAX << DROPPED_BITS;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* --- integers: nothing traps ---------------------------------------------------------------------
 */

static inline int64_t lt_ref_div(int64_t a, int64_t b) {
    if (b == 0)
        return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
/* The remainder with the dividend's sign. */
static inline int64_t lt_ref_rem(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
/* The remainder with the divisor's sign. */
static inline int64_t lt_ref_mod(int64_t a, int64_t b) {
    const int64_t r = lt_ref_rem(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
/* By squaring, wrapping. A negative power is 1 / a^-b, truncated: 0 unless a is 1 or -1. */
static inline int64_t lt_ref_ipow(int64_t a, int64_t b) {
    uint64_t base = (uint64_t)a, result = 1;
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    for (; b > 0; b >>= 1) {
        if (b & 1)
            result *= base;
        base *= base;
    }
    return (int64_t)result;
}
/* Shifts by the width or more (or by a negative count) give 0; the evaluator passes the dtype's own
 * width. */
static inline int64_t lt_ref_shl(int64_t a, int64_t b) {
    return b < 0 || b > 63 ? 0 : (int64_t)((uint64_t)a << b);
}
/* Beyond the width only the sign is left. */
static inline int64_t lt_ref_shr(int64_t a, int64_t b) { return a >> (b < 0 || b > 63 ? 63 : b); }

#endif
