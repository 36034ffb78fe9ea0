/* math_trig.c - trigonometric functions and their inverses.
 *
 * The argument is reduced in f64: r = x - n pi / 2 with |r| <= pi / 4 keeps all bits of an f32
 * result for |x| < 2^30 (2^20 on machines without FMA). From 2^51 on, where neighbouring f32 are
 * millions of turns apart, finite x counts as 0. Coefficients: see math_exp.c.
 *
 * Bounds in ULP, within that range: sin 2, cos 2, tan 4, asin 4, acos 4, atan 3, atan2 4. */
#include <math.h>

#include "codegen/llvm/math.h"

static const double sin_poly[] = {-0.166666666, 0.00833332906, -0.000198392327,
                                  2.71736673e-06}; /* err 6e-12 */
static const double cos_poly[] = {0.0416666666, -0.00138888832, 2.47993727e-05,
                                  -2.71986283e-07}; /* err 2e-13 */
static const double asin_poly[] = {0.166666598,  0.0750051627, 0.0445144703,
                                   0.0318297575, 0.0143506921, 0.0376459052}; /* err 3e-10 */
static const double atan_poly[] = {-0.333332991,  0.199985483,   -0.142642417,
                                   0.10952186,    -0.0840345089, 0.0579576027,
                                   -0.0311778546, 0.0109146103,  -0.00179362269}; /* err 3e-9 */

/* pi / 2 in two doubles; the first has 33 bits, so that n times it is exact for n < 2^20. */
#define HALF_PI_HIGH 1.57079632673412561417
#define HALF_PI_LOW 6.07710050650619224932e-11
#define HALF_PI 1.57079632679489662
#define HALF_PI_ROUNDING (-4.37113900018624283e-8) /* pi / 2 - (float)(pi / 2) */
#define PI 3.14159265358979324
#define ROUND_MAGIC_F64 6755399441055744.0

typedef struct Angle {
    Val sin, cos; /* of the reduced angle */
    Val quadrant; /* i32, its low two bits count */
} Angle;

static Angle reduce_angle(MathCall *m, Val x) {
    MathCall d = {.unit = m->unit,
                  .b = m->b,
                  .type = lt_type_like(m->unit->f64, x),
                  .int_type = lt_type_like(m->unit->i64, x)};
    Val wide = LLVMBuildFPExt(m->b, x, d.type, ""), magic = m_float(&d, ROUND_MAGIC_F64);
    Val shifted = m_fma(&d, wide, m_float(&d, 0.63661977236758134), magic);
    Val n = m_sub(&d, shifted, magic);
    Val r = m_fma(&d, n, m_float(&d, -HALF_PI_HIGH), wide);
    r = m_fma(&d, n, m_float(&d, -HALF_PI_LOW), r);
    Val is_huge = m_less(&d, m_float(&d, 0x1p51), m_abs(&d, wide));
    r = m_select(&d, is_huge, m_scale(&d, wide, 0), r); /* infinity gives NaN */
    Val bits = LLVMBuildTrunc(m->b, m_bits(&d, shifted), m->int_type, "");
    Angle angle = {.quadrant = m_select(m, is_huge, m_int(m, 0), bits)};
    Val a = LLVMBuildFPTrunc(m->b, r, m->type, ""), square = m_mul(m, a, a);
    angle.sin = m_fma(m, m_mul(m, square, a), m_polynomial(m, square, sin_poly), a);
    Val tail = m_mul(m, m_mul(m, square, square), m_polynomial(m, square, cos_poly));
    angle.cos = m_add(m, m_fma(m, square, m_float(m, -0.5), m_float(m, 1)), tail);
    return angle;
}

static Val has_bit(MathCall *m, Val v, int bit) {
    Val masked = LLVMBuildAnd(m->b, v, m_int(m, bit), "");
    return LLVMBuildICmp(m->b, LLVMIntNE, masked, m_int(m, 0), "");
}

static Val negate_if(MathCall *m, Val condition, Val v) {
    return m_select(m, condition, LLVMBuildFNeg(m->b, v, ""), v);
}

/* sin(r + q pi / 2) */
static Val sin_in_quadrant(MathCall *m, const Angle *angle, Val quadrant) {
    Val v = m_select(m, has_bit(m, quadrant, 1), angle->cos, angle->sin);
    return negate_if(m, has_bit(m, quadrant, 2), v);
}

Val lt_math_sin(MathCall *m, Val x) {
    const Angle angle = reduce_angle(m, x);
    Val result = sin_in_quadrant(m, &angle, angle.quadrant);
    return m_select(m, m_less(m, m_abs(m, x), m_float(m, 0x1p-20)), x, result);
}

Val lt_math_cos(MathCall *m, Val x) {
    const Angle angle = reduce_angle(m, x);
    return sin_in_quadrant(m, &angle, m_iadd(m, angle.quadrant, m_int(m, 1)));
}

Val lt_math_tan(MathCall *m, Val x) {
    const Angle angle = reduce_angle(m, x);
    Val is_odd = has_bit(m, angle.quadrant, 1);
    Val top = m_select(m, is_odd, LLVMBuildFNeg(m->b, angle.cos, ""), angle.sin);
    Val result = m_div(m, top, m_select(m, is_odd, angle.sin, angle.cos));
    return m_select(m, m_less(m, m_abs(m, x), m_float(m, 0x1p-20)), x, result);
}

/* --- inverses --- */

typedef struct ArcSine {
    Val is_near; /* |x| <= 1/2 */
    Val value;   /* asin(|x|), or asin(sqrt((1 - |x|) / 2)) */
} ArcSine;

static ArcSine arc_sine(MathCall *m, Val a) {
    Val is_near = m_less(m, a, m_float(m, 0.5));
    Val rest = m_scale(m, m_sub(m, m_float(m, 1), a), 0.5);
    Val square = m_select(m, is_near, m_mul(m, a, a), rest);
    Val root = m_select(m, is_near, a, m_sqrt(m, rest));
    return (ArcSine){is_near,
                     m_fma(m, m_mul(m, square, root), m_polynomial(m, square, asin_poly), root)};
}

/* pi / 2 - v with the bits that an f32 of pi / 2 lacks. */
static Val from_half_pi(MathCall *m, Val v) {
    return m_sub(m, m_float(m, HALF_PI), m_sub(m, v, m_float(m, HALF_PI_ROUNDING)));
}

Val lt_math_asin(MathCall *m, Val x) {
    const ArcSine s = arc_sine(m, m_abs(m, x));
    Val far = from_half_pi(m, m_add(m, s.value, s.value));
    return m_copysign(m, m_select(m, s.is_near, s.value, far), x);
}

Val lt_math_acos(MathCall *m, Val x) {
    const ArcSine s = arc_sine(m, m_abs(m, x));
    Val is_negative = m_less(m, x, m_float(m, 0));
    Val near = from_half_pi(m, m_copysign(m, s.value, x)), twice = m_add(m, s.value, s.value);
    Val left = m_sub(m, m_float(m, PI), m_sub(m, twice, m_float(m, 2 * HALF_PI_ROUNDING)));
    return m_select(m, s.is_near, near, m_select(m, is_negative, left, twice));
}

static Val atan_of_fraction(MathCall *m, Val z) {
    Val square = m_mul(m, z, z);
    return m_fma(m, m_mul(m, square, z), m_polynomial(m, square, atan_poly), z);
}

Val lt_math_atan(MathCall *m, Val x) {
    Val a = m_abs(m, x), one = m_float(m, 1), is_large = m_less(m, one, a);
    Val v = atan_of_fraction(m, m_select(m, is_large, m_div(m, one, a), a));
    return m_copysign(m, m_select(m, is_large, from_half_pi(m, v), v), x);
}

/* The angle in the first octant, then mirrored: at the diagonal, at the y axis, at the x axis. */
Val lt_math_atan2(MathCall *m, Val y, Val x) {
    Val a = m_abs(m, x), b = m_abs(m, y), zero = m_float(m, 0);
    Val is_steep = m_less(m, a, b);
    Val high = m_select(m, is_steep, b, a), low = m_select(m, is_steep, a, b);
    Val ratio = m_div(m, low, high);
    ratio = m_select(m, m_equal(m, high, zero), zero, ratio);
    ratio = m_select(m, m_equal(m, low, m_float(m, INFINITY)), m_float(m, 1), ratio);
    Val v = atan_of_fraction(m, ratio);
    v = m_select(m, is_steep, from_half_pi(m, v), v);
    Val is_left = LLVMBuildICmp(m->b, LLVMIntSLT, m_bits(m, x), m_int(m, 0), "");
    Val mirrored = m_sub(m, m_float(m, PI), m_sub(m, v, m_float(m, 2 * HALF_PI_ROUNDING)));
    v = m_copysign(m, m_select(m, is_left, mirrored, v), y);
    Val is_nan = LLVMBuildFCmp(m->b, LLVMRealUNO, x, y, "");
    return m_select(m, is_nan, m_float(m, NAN), v);
}
