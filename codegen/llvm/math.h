/* math.h - shorthands for floating point code, and the functions of math_*.c. Inside
 * codegen/llvm/math*.c only.
 *
 * Everything takes f32 operands of one shape, scalar or vector alike, and never branches. No
 * fast-math flags: error compensation relies on the order of operations. */
#ifndef LATHE_CODEGEN_LLVM_MATH_H
#define LATHE_CODEGEN_LLVM_MATH_H

#include "codegen/llvm/llvm.h"

typedef LLVMValueRef Val;

static inline Val m_float(MathCall *m, double value) { return lt_const_float_like(m->type, value); }
static inline Val m_int(MathCall *m, int64_t value) {
    return lt_const_int_like(m->int_type, value);
}
static inline Val m_add(MathCall *m, Val a, Val b) { return LLVMBuildFAdd(m->b, a, b, ""); }
static inline Val m_sub(MathCall *m, Val a, Val b) { return LLVMBuildFSub(m->b, a, b, ""); }
static inline Val m_mul(MathCall *m, Val a, Val b) { return LLVMBuildFMul(m->b, a, b, ""); }
static inline Val m_div(MathCall *m, Val a, Val b) { return LLVMBuildFDiv(m->b, a, b, ""); }
static inline Val m_scale(MathCall *m, Val a, double by) { return m_mul(m, a, m_float(m, by)); }
/* a * b + c, rounded once where the machine can. */
static inline Val m_fma(MathCall *m, Val a, Val b, Val c) {
    Val args[] = {a, b, c};
    return lt_intrinsic(m->unit, m->b, m->unit->has_fma ? "fma" : "fmuladd", args, 3);
}
static inline Val m_abs(MathCall *m, Val a) { return lt_intrinsic(m->unit, m->b, "fabs", &a, 1); }
static inline Val m_sqrt(MathCall *m, Val a) { return lt_intrinsic(m->unit, m->b, "sqrt", &a, 1); }
static inline Val m_copysign(MathCall *m, Val a, Val sign) {
    Val args[] = {a, sign};
    return lt_intrinsic(m->unit, m->b, "copysign", args, 2);
}
static inline Val m_select(MathCall *m, Val c, Val a, Val b) {
    return LLVMBuildSelect(m->b, c, a, b, "");
}
static inline Val m_less(MathCall *m, Val a, Val b) {
    return LLVMBuildFCmp(m->b, LLVMRealOLT, a, b, "");
}
static inline Val m_equal(MathCall *m, Val a, Val b) {
    return LLVMBuildFCmp(m->b, LLVMRealOEQ, a, b, "");
}
/* a, but at most (at least) the limit; NaN stays NaN. */
static inline Val m_at_most(MathCall *m, Val a, double limit) {
    return m_select(m, m_less(m, m_float(m, limit), a), m_float(m, limit), a);
}
static inline Val m_at_least(MathCall *m, Val a, double limit) {
    return m_select(m, m_less(m, a, m_float(m, limit)), m_float(m, limit), a);
}
static inline Val m_bits(MathCall *m, Val a) { return LLVMBuildBitCast(m->b, a, m->int_type, ""); }
static inline Val m_from_bits(MathCall *m, Val a) { return LLVMBuildBitCast(m->b, a, m->type, ""); }
static inline Val m_iadd(MathCall *m, Val a, Val b) { return LLVMBuildAdd(m->b, a, b, ""); }
static inline Val m_isub(MathCall *m, Val a, Val b) { return LLVMBuildSub(m->b, a, b, ""); }
static inline Val m_shl(MathCall *m, Val a, int by) {
    return LLVMBuildShl(m->b, a, m_int(m, by), "");
}
static inline Val m_sar(MathCall *m, Val a, int by) {
    return LLVMBuildAShr(m->b, a, m_int(m, by), "");
}

/* c[0] + c[1] x + ..., by Horner's rule. */
Val lt_math_polynomial(MathCall *m, Val x, const double *c, int count);
#define m_polynomial(m, x, c) lt_math_polynomial((m), (x), (c), (int)(sizeof(c) / sizeof *(c)))

/* math_exp.c; exp_scaled: 2^power * exp(x), rounded once at the end. */
Val lt_math_exp_scaled(MathCall *m, Val x, int power);
Val lt_math_exp(MathCall *m, Val x);
Val lt_math_exp2(MathCall *m, Val x);
Val lt_math_expm1(MathCall *m, Val x);
Val lt_math_tanh(MathCall *m, Val x);
Val lt_math_sinh(MathCall *m, Val x);
Val lt_math_cosh(MathCall *m, Val x);
Val lt_math_sigmoid(MathCall *m, Val x);
Val lt_math_erf(MathCall *m, Val x);
Val lt_math_gelu(MathCall *m, Val x);
Val lt_math_gelu_tanh(MathCall *m, Val x);

/* math_log.c */
Val lt_math_log(MathCall *m, Val x);
Val lt_math_log2(MathCall *m, Val x);
Val lt_math_log1p(MathCall *m, Val x);
Val lt_math_softplus(MathCall *m, Val x);
Val lt_math_asinh(MathCall *m, Val x);
Val lt_math_acosh(MathCall *m, Val x);
Val lt_math_atanh(MathCall *m, Val x);
Val lt_math_pow(MathCall *m, Val x, Val y);

/* math_trig.c */
Val lt_math_sin(MathCall *m, Val x);
Val lt_math_cos(MathCall *m, Val x);
Val lt_math_tan(MathCall *m, Val x);
Val lt_math_asin(MathCall *m, Val x);
Val lt_math_acos(MathCall *m, Val x);
Val lt_math_atan(MathCall *m, Val x);
Val lt_math_atan2(MathCall *m, Val y, Val x);

#endif
