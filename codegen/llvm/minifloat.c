/* minifloat.c - floats of 8 and 4 bits to and from f32, for every format of runtime/base/narrow.h.
 *
 * The roads are those of f16 in types.c: the exponent is moved by a multiplication on the way up,
 * and on the way down normal numbers are rounded in the bits, denormal ones by adding a number
 * whose last place is theirs. */
#include <math.h>

#include "codegen/llvm/bits.h"
#include "runtime/base/narrow.h"

static LLVMValueRef select_bits(Bits x, LLVMValueRef condition, int64_t value, LLVMValueRef v) {
    return LLVMBuildSelect(x.b, condition, bits_const(x, value), v, "");
}

/* --- f8e8m0 --- */

static LLVMValueRef unpack_exponent(Bits x, LLVMValueRef wide) {
    LLVMValueRef bits = bits_shl(x, wide, 23);
    bits = select_bits(x, bits_compare(x, LLVMIntEQ, wide, 0), 0x400000, bits);
    return select_bits(x, bits_compare(x, LLVMIntEQ, wide, 0xff), 0x7fc00000, bits);
}

static LLVMValueRef pack_exponent(Bits x, LLVMValueRef magnitude) {
    LLVMValueRef up = LLVMBuildAdd(x.b, magnitude, bits_const(x, 0x400000), "");
    LLVMValueRef code = bits_shr(x, up, 23);
    code = select_bits(x, bits_compare(x, LLVMIntULT, magnitude, 0x600000), 0, code);
    return select_bits(x, bits_compare(x, LLVMIntUGE, magnitude, 0x7f800000), 0xff, code);
}

/* --- the others --- */

LLVMValueRef lt_unpack_minifloat(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype) {
    const Minifloat *f = lt_minifloat((int)dtype);
    const Bits x = {b, lt_type_like(u->i32, v)};
    LLVMTypeRef f32 = lt_type_like(u->f32, v);
    LLVMValueRef wide = LLVMBuildZExt(b, v, x.type, "");
    if (!f->has_sign)
        return LLVMBuildBitCast(b, unpack_exponent(x, wide), f32, "");
    const int width = f->exponent_bits + f->mantissa_bits;
    LLVMValueRef magnitude = bits_and(x, wide, (1 << width) - 1);
    LLVMValueRef small =
        LLVMBuildBitCast(b, bits_shl(x, magnitude, 23 - f->mantissa_bits), f32, "");
    LLVMValueRef scaled =
        LLVMBuildFMul(b, small, lt_const_float_like(f32, ldexp(1, 127 - f->bias)), "");
    LLVMValueRef bits = LLVMBuildBitCast(b, scaled, x.type, "");
    /* Above the greatest number the mantissa tells infinity from NaN, as in f32. */
    if (f->max < (1 << width) - 1)
        bits = LLVMBuildSelect(b, bits_compare(x, LLVMIntUGT, magnitude, f->max),
                               bits_or(x, bits, 0x7f800000), bits, "");
    LLVMValueRef sign = bits_shl(x, bits_and(x, wide, 1 << width), 31 - width);
    bits = LLVMBuildOr(b, bits, sign, "");
    if (!f->has_negative_zero)
        bits = select_bits(x, bits_compare(x, LLVMIntEQ, wide, f->nan), 0x7fc00000, bits);
    return LLVMBuildBitCast(b, bits, f32, "");
}

static LLVMValueRef pack_magnitude(Bits x, const Minifloat *f, LLVMValueRef magnitude,
                                   LLVMTypeRef f32) {
    const int drop = 23 - f->mantissa_bits, shift = 127 - f->bias;
    LLVMValueRef rebiased =
        LLVMBuildSub(x.b, bits_round(x, magnitude, drop), bits_const(x, shift << 23), "");
    LLVMValueRef normal = bits_shr(x, rebiased, drop);
    /* 2^23 steps of the denormals. */
    const int exponent = 1 - f->bias - f->mantissa_bits + 23;
    LLVMValueRef unit = lt_const_float_like(f32, ldexp(1, exponent));
    LLVMValueRef sum = LLVMBuildFAdd(x.b, LLVMBuildBitCast(x.b, magnitude, f32, ""), unit, "");
    LLVMValueRef denormal = LLVMBuildSub(x.b, LLVMBuildBitCast(x.b, sum, x.type, ""),
                                         bits_const(x, (exponent + 127) << 23), "");
    LLVMValueRef is_small = bits_compare(x, LLVMIntULT, magnitude, (shift + 1) << 23);
    LLVMValueRef code = LLVMBuildSelect(x.b, is_small, denormal, normal, "");
    code = select_bits(x, bits_compare(x, LLVMIntUGT, code, f->max), f->overflow, code);
    return select_bits(x, bits_compare(x, LLVMIntUGT, magnitude, 0x7f800000), f->nan, code);
}

LLVMValueRef lt_pack_minifloat(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype) {
    const Minifloat *f = lt_minifloat((int)dtype);
    const Bits x = {b, lt_type_like(u->i32, v)};
    const int width = f->exponent_bits + f->mantissa_bits;
    LLVMValueRef all = LLVMBuildBitCast(b, v, x.type, "");
    LLVMValueRef magnitude = bits_and(x, all, 0x7fffffff), code;
    if (f->has_sign) {
        code = pack_magnitude(x, f, magnitude, LLVMTypeOf(v));
        LLVMValueRef sign = bits_and(x, bits_shr(x, all, 31 - width), 1 << width);
        LLVMValueRef with_sign = LLVMBuildOr(b, code, sign, "");
        /* The one NaN has no sign: it is the sign bit itself. Nor does 0 where there is no -0. */
        if (!f->has_negative_zero)
            with_sign = select_bits(x, bits_compare(x, LLVMIntEQ, code, 0), 0, with_sign);
        code = f->nan >> width ? LLVMBuildSelect(b, bits_compare(x, LLVMIntEQ, code, f->nan), code,
                                                 with_sign, "")
                               : with_sign;
    } else {
        code = pack_exponent(x, magnitude);
    }
    return LLVMBuildTrunc(b, code, lt_type_like(u->i8, v), "");
}
