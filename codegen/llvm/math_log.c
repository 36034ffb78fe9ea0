/* math_log.c - logarithms and what is made of them; powers.
 *
 * x = 2^e m with m in [sqrt(1/2), sqrt(2)), log(x) = e ln 2 + log1p(f), f = m - 1. Coefficients:
 * see math_exp.c. pow is computed in f64: its exponent y log2(x) needs 8 bits more than an f32 has.
 *
 * Bounds in ULP: log 2, log2 3, log1p 3, softplus 3, asinh 4, acosh 4, atanh 4, pow 2. */
#include <math.h>

#include "codegen/llvm/math.h"

/* log1p(f) = f - f^2 / 2 + f^3 P(f) */
static const double log_poly[] = {0.33333312,   -0.250000087, 0.200021671,
                                  -0.166680904, 0.142185544,  -0.124030838,
                                  0.118935125,  -0.116943349, 0.0675757007}; /* err 8e-10 */

#define LN2 0.69314718055994531
#define LN2_HIGH 0.693359375
#define LN2_LOW (-2.12194440e-4)
#define SQRT_HALF_BITS 0x3f3504f3

typedef struct Parts {
    Val e; /* as a float */
    Val f, square;
    Val p; /* f^3 P(f) */
} Parts;

static void finish_parts(MathCall *m, Parts *parts) {
    parts->square = m_mul(m, parts->f, parts->f);
    Val poly = m_polynomial(m, parts->f, log_poly);
    parts->p = m_mul(m, m_mul(m, parts->square, parts->f), poly);
}

/* The exponent as an i32 that makes the rest lie around 1. */
static Val exponent_of(MathCall *m, Val bits) {
    return m_sar(m, m_isub(m, bits, m_int(m, SQRT_HALF_BITS)), 23);
}

static Parts split(MathCall *m, Val x) {
    Val is_denormal = m_less(m, x, m_float(m, 0x1p-126));
    Val bits = m_bits(m, m_select(m, is_denormal, m_scale(m, x, 0x1p23), x));
    Val e = exponent_of(m, bits);
    Parts parts;
    parts.f = m_sub(m, m_from_bits(m, m_isub(m, bits, m_shl(m, e, 23))), m_float(m, 1));
    parts.e = m_add(m, LLVMBuildSIToFP(m->b, e, m->type, ""),
                    m_select(m, is_denormal, m_float(m, -23), m_float(m, 0)));
    finish_parts(m, &parts);
    return parts;
}

/* 0 gives -inf, what is below or NaN gives NaN, inf gives inf. */
static Val with_specials(MathCall *m, Val x, Val result, double zero_at) {
    Val zero = m_float(m, zero_at), infinity = m_float(m, INFINITY);
    result = m_select(m, m_equal(m, x, infinity), infinity, result);
    Val is_positive = m_less(m, zero, x);
    Val other = m_select(m, m_equal(m, x, zero), m_float(m, -INFINITY), m_float(m, NAN));
    return m_select(m, is_positive, result, other);
}

static Val natural(MathCall *m, const Parts *parts) {
    Val y = m_fma(m, parts->e, m_float(m, LN2_LOW), parts->p);
    y = m_fma(m, parts->square, m_float(m, -0.5), y);
    return m_fma(m, parts->e, m_float(m, LN2_HIGH), m_add(m, parts->f, y));
}

Val lt_math_log(MathCall *m, Val x) {
    const Parts parts = split(m, x);
    return with_specials(m, x, natural(m, &parts), 0);
}

/* log2(e) is 1 + 0.44...: the products with the small part are added first. */
Val lt_math_log2(MathCall *m, Val x) {
    const double rest = 0.44269504088896341;
    const Parts parts = split(m, x);
    Val y = m_fma(m, parts.square, m_float(m, -0.5), parts.p);
    Val sum = m_fma(m, parts.f, m_float(m, rest), m_scale(m, y, rest));
    sum = m_add(m, m_add(m, sum, y), parts.f);
    return with_specials(m, x, m_add(m, sum, parts.e), 0);
}

/* What 1 + x loses is added to f, scaled like it. */
Val lt_math_log1p(MathCall *m, Val x) {
    Val one = m_float(m, 1), u = m_add(m, x, one);
    Val lost = m_select(m, m_less(m, one, x), m_sub(m, one, m_sub(m, u, x)),
                        m_sub(m, x, m_sub(m, u, one)));
    Val bits = m_bits(m, u), e = exponent_of(m, bits);
    Val scale = m_from_bits(m, m_shl(m, m_isub(m, m_int(m, 127), e), 23));
    scale = m_select(m, m_less(m, m_float(m, 0x1p30), x), m_float(m, 0),
                     scale); /* 2^-127 is no such number */
    Val mantissa = m_from_bits(m, m_isub(m, bits, m_shl(m, e, 23)));
    Parts parts = {.e = LLVMBuildSIToFP(m->b, e, m->type, "")};
    parts.f = m_fma(m, lost, scale, m_sub(m, mantissa, one));
    finish_parts(m, &parts);
    Val result = with_specials(m, x, natural(m, &parts), -1);
    return m_select(m, m_less(m, m_abs(m, x), m_float(m, 0x1p-25)), x, result);
}

/* log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)) */
Val lt_math_softplus(MathCall *m, Val x) {
    Val z = lt_math_exp(m, LLVMBuildFNeg(m->b, m_abs(m, x), ""));
    Val positive = m_select(m, m_less(m, m_float(m, 0), x), x, m_float(m, 0));
    return m_add(m, positive, lt_math_log1p(m, z));
}

/* --- inverse hyperbolic functions --- */

/* log1p(argument), but log(2 a) where a^2 would overflow. */
static Val log1p_or_double(MathCall *m, Val argument, Val a) {
    Val is_large = m_less(m, m_float(m, 1e9), a);
    Val log = lt_math_log1p(m, m_select(m, is_large, a, argument));
    return m_add(m, log, m_select(m, is_large, m_float(m, LN2), m_float(m, 0)));
}

Val lt_math_asinh(MathCall *m, Val x) {
    Val a = m_abs(m, x), square = m_mul(m, a, a), one = m_float(m, 1);
    Val root = m_add(m, m_sqrt(m, m_add(m, square, one)), one);
    return m_copysign(m, log1p_or_double(m, m_add(m, a, m_div(m, square, root)), a), x);
}

Val lt_math_acosh(MathCall *m, Val x) {
    Val t = m_sub(m, x, m_float(m, 1));
    Val root = m_sqrt(m, m_fma(m, t, t, m_add(m, t, t)));
    Val result = log1p_or_double(m, m_add(m, t, root), x);
    return m_select(m, m_less(m, x, m_float(m, 1)), m_float(m, NAN), result);
}

Val lt_math_atanh(MathCall *m, Val x) {
    Val a = m_abs(m, x);
    Val ratio = m_div(m, m_add(m, a, a), m_sub(m, m_float(m, 1), a));
    return m_copysign(m, m_scale(m, lt_math_log1p(m, ratio), 0.5), x);
}

/* --- powers --- */

/* log2(m) = s P(s^2), s = (m - 1) / (m + 1): the series of atanh, 2 / (ln 2 (2 k + 1)); |s| <
 * 0.172. */
static const double atanh_series[] = {2.8853900817779268,  0.96179669392597560, 0.57707801635558536,
                                      0.41219858311113240, 0.32059889797532520, 0.26230818925253880,
                                      0.22195308321368668, 0.19235933878519512};
/* 2^r = sum (r ln 2)^k / k!; |r| <= 1/2 */
static const double exp2_series[] = {1,
                                     0.69314718055994531,
                                     0.24022650695910071,
                                     0.055504108664821580,
                                     0.0096181291076284772,
                                     0.0013333558146428443,
                                     0.00015403530393381610,
                                     1.5252733804059840e-05,
                                     1.3215486790144310e-06,
                                     1.0178086009239700e-07};
#define ROUND_MAGIC_F64 6755399441055744.0 /* 1.5 * 2^52 */

static Val log2_f64(MathCall *d, Val a) {
    const int64_t sqrt_half = 0x3fe6a09e667f3bcd;
    Val bits = m_bits(d, a);
    Val e = m_sar(d, m_isub(d, bits, m_int(d, sqrt_half)), 52);
    Val mantissa = m_from_bits(d, m_isub(d, bits, m_shl(d, e, 52)));
    Val one = m_float(d, 1);
    Val s = m_div(d, m_sub(d, mantissa, one), m_add(d, mantissa, one));
    /* e is small: the magic number turns it into a double without a conversion of i64. */
    Val magic = m_float(d, ROUND_MAGIC_F64);
    Val exponent = m_sub(d, m_from_bits(d, m_iadd(d, m_bits(d, magic), e)), magic);
    Val log = m_fma(d, s, m_polynomial(d, m_mul(d, s, s), atanh_series), exponent);
    log = m_select(d, m_equal(d, a, m_float(d, 0)), m_float(d, -INFINITY), log);
    Val is_number = m_less(d, a, m_float(d, INFINITY));
    return m_select(d, is_number, log, a);
}

static Val exp2_f64(MathCall *d, Val t) {
    t = m_at_least(d, m_at_most(d, t, 1000), -1000);
    Val magic = m_float(d, ROUND_MAGIC_F64), shifted = m_add(d, t, magic);
    Val r = m_sub(d, t, m_sub(d, shifted, magic));
    Val n = m_isub(d, m_bits(d, shifted), m_bits(d, magic));
    Val power = m_from_bits(d, m_shl(d, m_iadd(d, n, m_int(d, 1023)), 52));
    return m_mul(d, m_polynomial(d, r, exp2_series), power);
}

typedef struct Parity {
    Val is_integer, is_odd; /* i1 */
} Parity;

static Parity parity_of(MathCall *m, Val y) {
    LLVMTypeRef types[] = {m->int_type, m->type};
    Val n = lt_intrinsic_at(m->unit, m->b, "fptosi.sat", types, 2, &y, 1);
    Val is_small = m_less(m, m_abs(m, y), m_float(m, 0x1p31));
    Val is_exact = m_equal(m, LLVMBuildSIToFP(m->b, n, m->type, ""), y);
    Val is_large = m_less(m, m_float(m, 0x1p30), m_abs(m, y));
    Val low = LLVMBuildTrunc(m->b, n, lt_type_like(m->unit->i1, n), "");
    Val odd = LLVMBuildAnd(m->b, LLVMBuildAnd(m->b, is_exact, is_small, ""), low, "");
    return (Parity){LLVMBuildOr(m->b, is_exact, is_large, ""), odd};
}

Val lt_math_pow(MathCall *m, Val x, Val y) {
    MathCall d = {.unit = m->unit,
                  .b = m->b,
                  .type = lt_type_like(m->unit->f64, x),
                  .int_type = lt_type_like(m->unit->i64, x)};
    Val a = m_abs(m, x), one = m_float(m, 1);
    Val log = log2_f64(&d, LLVMBuildFPExt(m->b, a, d.type, ""));
    Val wide = exp2_f64(&d, m_mul(&d, log, LLVMBuildFPExt(m->b, y, d.type, "")));
    Val result = LLVMBuildFPTrunc(m->b, wide, m->type, "");
    const Parity parity = parity_of(m, y);
    result = m_select(m, parity.is_odd, m_copysign(m, result, x), result);
    Val is_negative =
        LLVMBuildAnd(m->b, m_less(m, x, m_float(m, 0)), m_less(m, m_float(m, -INFINITY), x), "");
    Val is_bad = LLVMBuildAnd(m->b, is_negative, LLVMBuildNot(m->b, parity.is_integer, ""), "");
    result = m_select(m, is_bad, m_float(m, NAN), result);
    /* x^0 is 1 for any x, 1^y for any y, and (-1)^inf is 1. */
    Val is_endless =
        LLVMBuildAnd(m->b, m_equal(m, a, one), m_equal(m, m_abs(m, y), m_float(m, INFINITY)), "");
    Val is_one = LLVMBuildOr(m->b, m_equal(m, x, one), m_equal(m, y, m_float(m, 0)), "");
    return m_select(m, LLVMBuildOr(m->b, is_one, is_endless, ""), one, result);
}
