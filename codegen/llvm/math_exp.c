/* math_exp.c - exponentials and what is made of them: tanh, sigmoid, erf, GELU.
 *
 * exp(x) = 2^n exp(r) with n = round(x / ln 2) and |r| <= ln(2) / 2. The coefficients of all
 * polynomials are least maximum errors (iteratively reweighted least squares at 600 Chebyshev
 * nodes, 40 digits), relative to the function that they are part of; `err` is that maximum.
 *
 * Bounds, in ULP of the f32 result: exp 2, exp2 2, expm1 3, tanh 4, sinh 4, cosh 4, sigmoid 4,
 * erf 4. gelu: 4 ULP for x >= -1; below, 4e-6 of the value or 3e-8, whichever is more. gelu_tanh:
 * 2e-6 of the value, or 1e-7. What exp and exp2 give is 0 below the smallest normal number: it is
 * their results that softmax and sigmoid go on with, and many processors take a hundred cycles for
 * arithmetic on each denormal number. */
#include "codegen/llvm/math.h"

static const double exp_poly[] = {0.499999931, 0.166665148, 0.0416684568, 0.00836941884,
                                  0.00138131445}; /* err 3e-9 */
static const double expm1_poly[] = {0.500000005,   0.166666664,   0.0416663487,
                                    0.00833339164, 0.00139416526, 0.00019845958}; /* err 3e-10 */
static const double exp2_poly[] = {0.693147204,   0.240226477,   0.0555032935,
                                   0.00961844996, 0.00134001701, 0.000153523173}; /* err 2e-9 */
/* erf(t) = t P(t^2) below ERF_SPLIT; log(erfc(t)) = P(t - ERFC_MIDDLE) from there to ERFC_END. */
static const double erf_poly[] = {1.12837917,    -0.376126332,    0.112836872,   -0.0268589418,
                                  0.00519990727, -0.000813001814, 8.31679449e-05}; /* err 5e-10 */
static const double erfc_poly[] =
    {-7.80681529,    -5.35268074,     -0.943893492,   -0.0108581632,
     0.00216481769,  -0.000420716037, 7.76423774e-05, -1.29735498e-05,
     1.55868902e-06, -6.51179347e-08}; /* err 1e-8, absolute in the logarithm */
#define ERF_SPLIT 0.92
#define ERFC_MIDDLE 2.5
#define ERFC_END 4.25

/* ln 2 in two parts; the first has so few bits that n times it is exact. */
#define LN2_HIGH 0.693359375
#define LN2_LOW (-2.12194440e-4)
#define LOG2_E 1.44269504088896341
/* Adding it to |x| < 2^22 rounds x to an integer that ends up in the low bits. */
#define ROUND_MAGIC 12582912.0
/* exp and exp2 of these are the smallest normal number. */
#define EXP_LEAST (-87.33654)
#define EXP2_LEAST (-126.0)

Val lt_math_polynomial(MathCall *m, Val x, const double *c, int count) {
    Val sum = m_float(m, c[count - 1]);
    for (int i = count - 2; i >= 0; i--)
        sum = m_fma(m, sum, x, m_float(m, c[i]));
    return sum;
}

typedef struct Reduced {
    Val n; /* i32; for NaN anything */
    Val r;
} Reduced;

static Reduced reduce(MathCall *m, Val x) {
    Val shifted = m_fma(m, x, m_float(m, LOG2_E), m_float(m, ROUND_MAGIC));
    Val n = m_sub(m, shifted, m_float(m, ROUND_MAGIC));
    Val r = m_fma(m, n, m_float(m, -LN2_HIGH), x);
    r = m_fma(m, n, m_float(m, -LN2_LOW), r);
    return (Reduced){m_isub(m, m_bits(m, shifted), m_bits(m, m_float(m, ROUND_MAGIC))), r};
}

static Val power_of_two(MathCall *m, Val n) {
    return m_from_bits(m, m_shl(m, m_iadd(m, n, m_int(m, 127)), 23));
}

/* v * 2^n in two steps, each with an exponent in range: n may be 128. */
static Val scale_by_power(MathCall *m, Val v, Val n) {
    Val half = m_sar(m, n, 1);
    v = m_mul(m, v, power_of_two(m, half));
    return m_mul(m, v, power_of_two(m, m_isub(m, n, half)));
}

Val lt_math_exp_scaled(MathCall *m, Val x, int power) {
    x = m_at_least(m, m_at_most(m, x, 90), EXP_LEAST);
    const Reduced d = reduce(m, x);
    Val square = m_mul(m, d.r, d.r);
    Val p = m_fma(m, square, m_polynomial(m, d.r, exp_poly), d.r);
    Val n = power ? m_iadd(m, d.n, m_int(m, power)) : d.n;
    return scale_by_power(m, m_add(m, p, m_float(m, 1)), n);
}

static Val zero_below(MathCall *m, Val x, double least, Val result) {
    return m_select(m, m_less(m, x, m_float(m, least)), m_float(m, 0), result);
}

Val lt_math_exp(MathCall *m, Val x) {
    return zero_below(m, x, EXP_LEAST, lt_math_exp_scaled(m, x, 0));
}

Val lt_math_exp2(MathCall *m, Val at) {
    Val x = m_at_least(m, m_at_most(m, at, 130), EXP2_LEAST);
    Val shifted = m_add(m, x, m_float(m, ROUND_MAGIC));
    Val r = m_sub(m, x, m_sub(m, shifted, m_float(m, ROUND_MAGIC)));
    Val n = m_isub(m, m_bits(m, shifted), m_bits(m, m_float(m, ROUND_MAGIC)));
    Val p = m_fma(m, m_polynomial(m, r, exp2_poly), r, m_float(m, 1));
    return zero_below(m, at, EXP2_LEAST, scale_by_power(m, p, n));
}

/* 2^n (exp(r) - 1) + (2^n - 1), computed at half size so that 2^128 does not come up. */
Val lt_math_expm1(MathCall *m, Val x) {
    Val limited = m_at_least(m, m_at_most(m, x, 88.9), -20); /* n <= 128 */
    const Reduced d = reduce(m, limited);
    Val p = m_fma(m, m_mul(m, d.r, d.r), m_polynomial(m, d.r, expm1_poly), d.r);
    Val half_power = power_of_two(m, m_isub(m, d.n, m_int(m, 1)));
    Val result = m_fma(m, p, half_power, m_sub(m, half_power, m_float(m, 0.5)));
    result = m_add(m, result, result);
    /* Tiny values keep their last bits, and zero its sign. */
    Val is_tiny = m_less(m, m_abs(m, x), m_float(m, 0x1p-25));
    return m_select(m, is_tiny, x, result);
}

Val lt_math_tanh(MathCall *m, Val x) {
    Val a = m_at_most(m, m_abs(m, x), 10);
    Val t = lt_math_expm1(m, m_add(m, a, a));
    return m_copysign(m, m_div(m, t, m_add(m, t, m_float(m, 2))), x);
}

Val lt_math_sinh(MathCall *m, Val x) {
    Val a = m_abs(m, x), t = lt_math_expm1(m, m_at_most(m, a, 20));
    Val small = m_scale(m, m_add(m, t, m_div(m, t, m_add(m, t, m_float(m, 1)))), 0.5);
    Val result = m_select(m, m_less(m, m_float(m, 20), a), lt_math_exp_scaled(m, a, -1), small);
    return m_copysign(m, result, x);
}

Val lt_math_cosh(MathCall *m, Val x) {
    Val half = lt_math_exp_scaled(m, m_abs(m, x), -1);
    return m_add(m, half, m_div(m, m_float(m, 0.25), half));
}

/* From exp(-|x|), which does not overflow and keeps the small values on the left exact. */
Val lt_math_sigmoid(MathCall *m, Val x) {
    Val z = lt_math_exp(m, LLVMBuildFNeg(m->b, m_abs(m, x), ""));
    Val right = m_div(m, m_float(m, 1), m_add(m, z, m_float(m, 1)));
    return m_select(m, m_less(m, x, m_float(m, 0)), m_mul(m, z, right), right);
}

/* --- the error function --- */

/* erfc(t) for ERF_SPLIT <= t; 0 behind ERFC_END, where it is below 2e-9. */
static Val complement(MathCall *m, Val t) {
    Val s = m_sub(m, m_at_most(m, t, ERFC_END), m_float(m, ERFC_MIDDLE));
    Val e = lt_math_exp(m, m_polynomial(m, s, erfc_poly));
    return m_select(m, m_less(m, m_float(m, ERFC_END), t), m_float(m, 0), e);
}

Val lt_math_erf(MathCall *m, Val x) {
    Val a = m_abs(m, x);
    Val near = m_mul(m, x, m_polynomial(m, m_mul(m, x, x), erf_poly));
    Val far = m_copysign(m, m_sub(m, m_float(m, 1), complement(m, a)), x);
    return m_select(m, m_less(m, m_float(m, ERF_SPLIT), a), far, near);
}

/* x / 2 erfc(-x / sqrt 2): on the left the small factor is computed as such, and nothing cancels.
 */
Val lt_math_gelu(MathCall *m, Val x) {
    Val half = m_scale(m, x, 0.5), t = m_scale(m, x, 0.70710678118654752), a = m_abs(m, t);
    Val erf = m_mul(m, t, m_polynomial(m, m_mul(m, t, t), erf_poly));
    Val near = m_fma(m, half, erf, half);
    Val e = complement(m, a);
    Val factor = m_select(m, m_less(m, x, m_float(m, 0)), e, m_sub(m, m_float(m, 2), e));
    Val far = m_mul(m, half, factor);
    return m_select(m, m_less(m, m_float(m, ERF_SPLIT), a), far, near);
}

/* (1 + tanh(u)) / 2 is sigmoid(2 u). */
Val lt_math_gelu_tanh(MathCall *m, Val x) {
    Val cubic = m_fma(m, m_scale(m, m_mul(m, x, x), 0.044715), x, x);
    return m_mul(m, x, lt_math_sigmoid(m, m_scale(m, cubic, 2 * 0.79788456080286536)));
}
