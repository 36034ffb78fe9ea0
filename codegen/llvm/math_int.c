/* math_int.c - the rows of scalars.def that say MATH, on integers: what must not trap, and shifts.
 *
 * x86 traps on a division by zero and on INT_MIN / -1, and masks shift counts. The table's meaning
 * is kept by dividing by something harmless and choosing the result afterwards, which folds away
 * when the divisor is a constant. */
#include "codegen/llvm/llvm.h"

typedef LLVMValueRef Val;

static Val constant(const ScalarCall *c, int64_t value) {
    return lt_const_int_like(LLVMTypeOf(c->v[0]), value);
}
static bool is_signed(const ScalarCall *c) { return lt_dtype_is_signed(c->dtype); }

static Val equals(const ScalarCall *c, Val a, int64_t value) {
    return LLVMBuildICmp(c->b, LLVMIntEQ, a, constant(c, value), "");
}

static Val is_less(const ScalarCall *c, Val a, Val b) {
    return LLVMBuildICmp(c->b, is_signed(c) ? LLVMIntSLT : LLVMIntULT, a, b, "");
}

/* b, or 1 where dividing by b would trap. */
static Val harmless(const ScalarCall *c, Val b) {
    Val is_bad = equals(c, b, 0);
    if (is_signed(c))
        is_bad = LLVMBuildOr(c->b, is_bad, equals(c, b, -1), "");
    return LLVMBuildSelect(c->b, is_bad, constant(c, 1), b, "");
}

static Val divide(const ScalarCall *c) {
    Val a = c->v[0], b = c->v[1], safe = harmless(c, b);
    Val quotient =
        is_signed(c) ? LLVMBuildSDiv(c->b, a, safe, "") : LLVMBuildUDiv(c->b, a, safe, "");
    if (is_signed(c))
        quotient = LLVMBuildSelect(c->b, equals(c, b, -1), LLVMBuildNeg(c->b, a, ""), quotient, "");
    return LLVMBuildSelect(c->b, equals(c, b, 0), constant(c, 0), quotient, "");
}

/* With the dividend's sign; 0 for a divisor of 0, as for 1 and -1. */
static Val remainder_of(const ScalarCall *c) {
    Val a = c->v[0], safe = harmless(c, c->v[1]);
    Val rest = is_signed(c) ? LLVMBuildSRem(c->b, a, safe, "") : LLVMBuildURem(c->b, a, safe, "");
    return LLVMBuildSelect(c->b, equals(c, c->v[1], 0), constant(c, 0), rest, "");
}

/* Where the quotient is not exact and the signs differ. */
static Val rounds_down(const ScalarCall *c, Val rest) {
    Val differs = LLVMBuildXor(c->b, is_less(c, rest, constant(c, 0)),
                               is_less(c, c->v[1], constant(c, 0)), "");
    return LLVMBuildAnd(c->b, LLVMBuildNot(c->b, equals(c, rest, 0), ""), differs, "");
}

static Val floor_mod(const ScalarCall *c) {
    Val rest = remainder_of(c);
    if (!is_signed(c))
        return rest;
    return LLVMBuildSelect(c->b, rounds_down(c, rest), LLVMBuildAdd(c->b, rest, c->v[1], ""), rest,
                           "");
}

static Val floor_divide(const ScalarCall *c) {
    Val quotient = divide(c);
    if (!is_signed(c))
        return quotient;
    Val less = LLVMBuildSub(c->b, quotient, constant(c, 1), "");
    return LLVMBuildSelect(c->b, rounds_down(c, remainder_of(c)), less, quotient, "");
}

/* Beyond the width nothing is left, but for the sign of what is shifted right. */
static Val shift(const ScalarCall *c, bool is_left) {
    const int64_t bits = (int64_t)lt_dtype_size(c->dtype) * 8;
    Val count = LLVMBuildAnd(c->b, c->v[1], constant(c, bits - 1), "");
    Val fits = LLVMBuildICmp(c->b, LLVMIntULT, c->v[1], constant(c, bits), "");
    Val shifted = is_left        ? LLVMBuildShl(c->b, c->v[0], count, "")
                  : is_signed(c) ? LLVMBuildAShr(c->b, c->v[0], count, "")
                                 : LLVMBuildLShr(c->b, c->v[0], count, "");
    Val rest = !is_left && is_signed(c)
                   ? LLVMBuildAShr(c->b, c->v[0], constant(c, bits - 1), "")
                   : constant(c, 0);
    return LLVMBuildSelect(c->b, fits, shifted, rest, "");
}

static Val sign_of(const ScalarCall *c) {
    Val zero = constant(c, 0);
    Val negative = LLVMBuildSelect(c->b, is_less(c, c->v[0], zero), constant(c, -1), zero, "");
    return LLVMBuildSelect(c->b, is_less(c, zero, c->v[0]), constant(c, 1), negative, "");
}

static Val clamp(const ScalarCall *c) {
    Val top = LLVMBuildSelect(c->b, is_less(c, c->v[2], c->v[0]), c->v[2], c->v[0], "");
    return LLVMBuildSelect(c->b, is_less(c, c->v[0], c->v[1]), c->v[1], top, "");
}

/* Square and multiply over all bits of the exponent; a negative power is 0 unless the base is 1 or
 * -1. */
static Val power(const ScalarCall *c) {
    const int bits = (int)lt_dtype_size(c->dtype) * 8;
    Val base = c->v[0], result = constant(c, 1), one = constant(c, 1);
    for (int bit = 0; bit < bits - (is_signed(c) ? 1 : 0); bit++) {
        Val shifted = LLVMBuildLShr(c->b, c->v[1], constant(c, bit), "");
        Val is_set = equals(c, LLVMBuildAnd(c->b, shifted, one, ""), 1);
        result = LLVMBuildSelect(c->b, is_set, LLVMBuildMul(c->b, result, base, ""), result, "");
        base = LLVMBuildMul(c->b, base, base, "");
    }
    if (!is_signed(c))
        return result;
    Val is_odd = equals(c, LLVMBuildAnd(c->b, c->v[1], one, ""), 1);
    Val minus = LLVMBuildSelect(c->b, is_odd, constant(c, -1), one, "");
    Val inverse = LLVMBuildSelect(c->b, equals(c, c->v[0], -1), minus, constant(c, 0), "");
    inverse = LLVMBuildSelect(c->b, equals(c, c->v[0], 1), one, inverse, "");
    return LLVMBuildSelect(c->b, is_less(c, c->v[1], constant(c, 0)), inverse, result, "");
}

LLVMValueRef lt_emit_integer_math(const ScalarCall *c) {
    switch (c->fn) {
    case FN_DIV: return divide(c);
    case FN_MOD: return floor_mod(c);
    case FN_FMOD: return remainder_of(c);
    case FN_FLOORDIV: return floor_divide(c);
    case FN_SHL: return shift(c, true);
    case FN_SHR: return shift(c, false);
    case FN_SIGN: return sign_of(c);
    case FN_RELU:
        return LLVMBuildSelect(c->b, is_less(c, c->v[0], constant(c, 0)), constant(c, 0), c->v[0],
                               "");
    case FN_CLAMP: return clamp(c);
    case FN_POW: return power(c);
    default: return NULL;
    }
}
