/* types.c - element types as LLVM types, in registers and in memory, and the conversions between
 * them.
 *
 * The narrow floats are computed with in f32: a register holds a float that the narrow type
 * represents exactly. They are unpacked with bit operations where the machine has no instruction
 * for it, so that no helper library is called. */
#include <assert.h>

#include "codegen/llvm/bits.h"

LLVMTypeRef lt_register_type(const Unit *u, DType dtype) {
    if (lt_dtype_is_float(dtype))
        return dtype == DT_F64 ? u->f64 : u->f32;
    return dtype == DT_BOOL ? u->i1 : lt_memory_type(u, dtype);
}

LLVMTypeRef lt_memory_type(const Unit *u, DType dtype) {
    switch (lt_dtype_size(dtype)) {
    case 1: return u->i8;
    case 2: return u->i16;
    case 4: return dtype == DT_F32 ? u->f32 : u->i32;
    default: return dtype == DT_F64 ? u->f64 : u->i64;
    }
}

LLVMTypeRef lt_vector_of(LLVMTypeRef scalar, int lanes) {
    return lanes > 0 ? LLVMVectorType(scalar, (unsigned)lanes) : scalar;
}

LLVMTypeRef lt_scalar_type(LLVMTypeRef type) {
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type;
}

LLVMTypeRef lt_type_like(LLVMTypeRef scalar, LLVMValueRef shape) {
    return lt_is_vector(shape) ? LLVMVectorType(scalar, LLVMGetVectorSize(LLVMTypeOf(shape)))
                               : scalar;
}

static LLVMValueRef const_splat(LLVMTypeRef type, LLVMValueRef scalar) {
    LLVMValueRef lanes[LT_MAX_LANES];
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return scalar;
    const unsigned count = LLVMGetVectorSize(type);
    assert(count <= LT_MAX_LANES);
    for (unsigned i = 0; i < count; i++)
        lanes[i] = scalar;
    return LLVMConstVector(lanes, count);
}

LLVMValueRef lt_const_int_like(LLVMTypeRef type, int64_t value) {
    return const_splat(type, LLVMConstInt(lt_scalar_type(type), (unsigned long long)value, true));
}

LLVMValueRef lt_const_float_like(LLVMTypeRef type, double value) {
    return const_splat(type, LLVMConstReal(lt_scalar_type(type), value));
}

LLVMValueRef lt_splat(LLVMBuilderRef b, LLVMValueRef scalar, int lanes) {
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
    if (LLVMIsConstant(scalar) && !LLVMIsAConstantExpr(scalar))
        return const_splat(type, scalar);
    LLVMTypeRef i32 = LLVMInt32TypeInContext(LLVMGetTypeContext(type));
    LLVMValueRef zero = LLVMConstInt(i32, 0, false), poison = LLVMGetPoison(type);
    LLVMValueRef first = LLVMBuildInsertElement(b, poison, scalar, zero, "");
    return LLVMBuildShuffleVector(b, first, poison,
                                  LLVMConstNull(LLVMVectorType(i32, (unsigned)lanes)), "");
}

void lt_unify(LLVMBuilderRef b, LLVMValueRef *values, int count) {
    int lanes = 0;
    for (int i = 0; i < count; i++) {
        if (lt_is_vector(values[i]))
            lanes = (int)LLVMGetVectorSize(LLVMTypeOf(values[i]));
    }
    for (int i = 0; i < count && lanes; i++) {
        if (!lt_is_vector(values[i]))
            values[i] = lt_splat(b, values[i], lanes);
    }
}

/* --- f16 and bf16 --- */

/* f32 -> the f32 nearest to it that bf16 holds. */
static LLVMValueRef round_bf16(Unit *u, LLVMBuilderRef b, LLVMValueRef v) {
    const Bits x = {b, lt_type_like(u->i32, v)};
    LLVMValueRef bits = LLVMBuildBitCast(b, v, x.type, "");
    LLVMValueRef rounded = bits_and(x, bits_round(x, bits, 16), (int64_t)0xffff0000u);
    LLVMValueRef quiet =
        bits_and(x, LLVMBuildOr(b, bits, bits_const(x, 0x400000), ""), (int64_t)0xffff0000u);
    LLVMValueRef is_nan = LLVMBuildFCmp(b, LLVMRealUNO, v, v, "");
    return LLVMBuildBitCast(b, LLVMBuildSelect(b, is_nan, quiet, rounded, ""), LLVMTypeOf(v), "");
}

/* i16 bits of a half -> f32. The exponent is moved by a multiplication, which also normalizes
 * denormals; infinity and NaN are what ends at 2^16 or above, and get the greatest exponent. */
static LLVMValueRef unpack_half(Unit *u, LLVMBuilderRef b, LLVMValueRef v) {
    const Bits x = {b, lt_type_like(u->i32, v)};
    LLVMTypeRef f32 = lt_type_like(u->f32, v);
    LLVMValueRef wide = LLVMBuildZExt(b, v, x.type, "");
    LLVMValueRef magnitude = bits_shl(x, bits_and(x, wide, 0x7fff), 13);
    LLVMValueRef scaled = LLVMBuildFMul(b, LLVMBuildBitCast(b, magnitude, f32, ""),
                                        lt_const_float_like(f32, 0x1p112), "");
    LLVMValueRef is_special =
        LLVMBuildFCmp(b, LLVMRealOGE, scaled, lt_const_float_like(f32, 65536), "");
    LLVMValueRef bits = LLVMBuildBitCast(b, scaled, x.type, "");
    LLVMValueRef special = LLVMBuildOr(b, bits, bits_const(x, 0x7f800000), "");
    bits = LLVMBuildSelect(b, is_special, special, bits, "");
    LLVMValueRef sign = bits_shl(x, bits_and(x, wide, 0x8000), 16);
    return LLVMBuildBitCast(b, LLVMBuildOr(b, bits, sign, ""), f32, "");
}

/* f32 -> i16 bits of the nearest half. Normal results are rounded in the bits; denormal ones by
 * adding 0.5, whose last place is the denormals' one; from 65520 up it is infinity. */
static LLVMValueRef pack_half(Unit *u, LLVMBuilderRef b, LLVMValueRef v) {
    const Bits x = {b, lt_type_like(u->i32, v)};
    LLVMTypeRef f32 = LLVMTypeOf(v);
    LLVMValueRef all = LLVMBuildBitCast(b, v, x.type, "");
    LLVMValueRef bits = bits_and(x, all, 0x7fffffff);
    LLVMValueRef normal =
        bits_shr(x, LLVMBuildSub(b, bits_round(x, bits, 13), bits_const(x, 112 << 23), ""), 13);
    LLVMValueRef half = lt_const_float_like(f32, 0.5);
    LLVMValueRef sum = LLVMBuildFAdd(b, LLVMBuildBitCast(b, bits, f32, ""), half, "");
    LLVMValueRef denormal =
        LLVMBuildSub(b, LLVMBuildBitCast(b, sum, x.type, ""), bits_const(x, 0x3f000000), "");
    LLVMValueRef is_small = LLVMBuildICmp(b, LLVMIntULT, bits, bits_const(x, 113 << 23), "");
    LLVMValueRef result = LLVMBuildSelect(b, is_small, denormal, normal, "");
    LLVMValueRef is_large = LLVMBuildICmp(b, LLVMIntUGE, bits, bits_const(x, 0x477ff000), "");
    result = LLVMBuildSelect(b, is_large, bits_const(x, 0x7c00), result, "");
    LLVMValueRef is_nan = LLVMBuildICmp(b, LLVMIntUGT, bits, bits_const(x, 0x7f800000), "");
    result = LLVMBuildSelect(b, is_nan, bits_const(x, 0x7e00), result, "");
    LLVMValueRef sign = bits_and(x, bits_shr(x, all, 16), 0x8000);
    return LLVMBuildTrunc(b, LLVMBuildOr(b, result, sign, ""), lt_type_like(u->i16, v), "");
}

static LLVMValueRef half_to_float(Unit *u, LLVMBuilderRef b, LLVMValueRef v) {
    if (!u->has_f16)
        return unpack_half(u, b, v);
    LLVMValueRef half = LLVMBuildBitCast(b, v, lt_type_like(u->half, v), "");
    return LLVMBuildFPExt(b, half, lt_type_like(u->f32, v), "");
}

static LLVMValueRef float_to_half(Unit *u, LLVMBuilderRef b, LLVMValueRef v) {
    if (!u->has_f16)
        return pack_half(u, b, v);
    LLVMValueRef half = LLVMBuildFPTrunc(b, v, lt_type_like(u->half, v), "");
    return LLVMBuildBitCast(b, half, lt_type_like(u->i16, v), "");
}

/* --- integers of fewer bits than a byte --- */

static bool is_sub_byte(DType dtype) { return lt_dtype_is_int(dtype) && lt_dtype_bits(dtype) < 8; }

/* i8 -> the value of its low bits. */
static LLVMValueRef wrap_low_bits(LLVMBuilderRef b, LLVMValueRef v, DType dtype) {
    const int bits = lt_dtype_bits(dtype);
    LLVMTypeRef type = LLVMTypeOf(v);
    if (lt_dtype_is_unsigned(dtype))
        return LLVMBuildAnd(b, v, lt_const_int_like(type, (1 << bits) - 1), "");
    LLVMValueRef count = lt_const_int_like(type, 8 - bits);
    return LLVMBuildAShr(b, LLVMBuildShl(b, v, count, ""), count, "");
}

/* --- memory --- */

LLVMValueRef lt_round_to(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype) {
    if (dtype == DT_F16)
        return half_to_float(u, b, float_to_half(u, b, v));
    if (lt_dtype_is_minifloat(dtype))
        return lt_unpack_minifloat(u, b, lt_pack_minifloat(u, b, v, dtype), dtype);
    if (is_sub_byte(dtype))
        return wrap_low_bits(b, v, dtype);
    return dtype == DT_BF16 ? round_bf16(u, b, v) : v;
}

LLVMValueRef lt_from_memory(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype) {
    if (dtype == DT_BOOL)
        return LLVMBuildICmp(b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
    if (dtype == DT_F16)
        return half_to_float(u, b, v);
    if (lt_dtype_is_minifloat(dtype))
        return lt_unpack_minifloat(u, b, v, dtype);
    if (is_sub_byte(dtype))
        return wrap_low_bits(b, v, dtype);
    if (dtype != DT_BF16)
        return v;
    const Bits x = {b, lt_type_like(u->i32, v)};
    LLVMValueRef bits = bits_shl(x, LLVMBuildZExt(b, v, x.type, ""), 16);
    return LLVMBuildBitCast(b, bits, lt_type_like(u->f32, v), "");
}

LLVMValueRef lt_to_memory(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype) {
    if (dtype == DT_BOOL)
        return LLVMBuildZExt(b, v, lt_type_like(u->i8, v), "");
    if (dtype == DT_F16)
        return float_to_half(u, b, v);
    if (lt_dtype_is_minifloat(dtype))
        return lt_pack_minifloat(u, b, v, dtype);
    if (dtype != DT_BF16)
        return v;
    const Bits x = {b, lt_type_like(u->i32, v)};
    LLVMValueRef bits = bits_shr(x, LLVMBuildBitCast(b, v, x.type, ""), 16);
    return LLVMBuildTrunc(b, bits, lt_type_like(u->i16, v), "");
}

/* --- conversions --- */

static LLVMValueRef float_to_int(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType to) {
    LLVMTypeRef types[] = {lt_type_like(lt_register_type(u, to), v), LLVMTypeOf(v)};
    const char *name = lt_dtype_is_signed(to) ? "fptosi.sat" : "fptoui.sat";
    LLVMValueRef whole = lt_intrinsic_at(u, b, name, types, 2, &v, 1);
    if (!is_sub_byte(to))
        return whole;
    const int64_t most = lt_scalar_identity_int(FN_MIN, to);
    LLVMValueRef high[] = {whole, lt_const_int_like(types[0], most)};
    if (lt_dtype_is_unsigned(to))
        return lt_intrinsic(u, b, "umin", high, 2);
    LLVMValueRef low[] = {lt_intrinsic(u, b, "smin", high, 2),
                          lt_const_int_like(types[0], -most - 1)};
    return lt_intrinsic(u, b, "smax", low, 2);
}

/* A double to a narrower float goes through f32: rounded to odd there, the second rounding is
 * as good as
 * one. */
static LLVMValueRef double_to_float(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType to) {
    LLVMTypeRef f32 = lt_type_like(u->f32, v), i32 = lt_type_like(u->i32, v);
    LLVMValueRef near = LLVMBuildFPTrunc(b, v, f32, "");
    if (to == DT_F32)
        return near;
    LLVMValueRef back = LLVMBuildFPExt(b, near, LLVMTypeOf(v), "");
    LLVMValueRef bits = LLVMBuildBitCast(b, near, i32, "");
    LLVMValueRef is_inexact = LLVMBuildFCmp(b, LLVMRealONE, back, v, "");
    LLVMValueRef is_even =
        LLVMBuildICmp(b, LLVMIntEQ, LLVMBuildAnd(b, bits, lt_const_int_like(i32, 1), ""),
                      lt_const_int_like(i32, 0), "");
    /* The odd neighbour lies on the side of v: one place up when v is larger in magnitude. */
    LLVMValueRef far = lt_intrinsic(u, b, "fabs", &v, 1),
                 close = lt_intrinsic(u, b, "fabs", &back, 1);
    LLVMValueRef is_above = LLVMBuildFCmp(b, LLVMRealOGT, far, close, "");
    LLVMValueRef step =
        LLVMBuildSelect(b, is_above, lt_const_int_like(i32, 1), lt_const_int_like(i32, -1), "");
    LLVMValueRef is_moved = LLVMBuildAnd(b, is_inexact, is_even, "");
    LLVMValueRef moved = LLVMBuildSelect(b, is_moved, LLVMBuildAdd(b, bits, step, ""), bits, "");
    return lt_round_to(u, b, LLVMBuildBitCast(b, moved, f32, ""), to);
}

static LLVMValueRef to_float(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType from, DType to) {
    LLVMTypeRef type = lt_type_like(lt_register_type(u, to), v);
    if (from == DT_F64)
        return double_to_float(u, b, v, to);
    if (lt_dtype_is_float(from))
        return to == DT_F64 ? LLVMBuildFPExt(b, v, type, "") : lt_round_to(u, b, v, to);
    LLVMValueRef exact = lt_dtype_is_signed(from) ? LLVMBuildSIToFP(b, v, type, "")
                                                  : LLVMBuildUIToFP(b, v, type, "");
    return lt_round_to(u, b, exact, to);
}

LLVMValueRef lt_convert(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType from, DType to) {
    if (from == to)
        return v;
    if (to == DT_BOOL && lt_dtype_is_float(from))
        return LLVMBuildFCmp(b, LLVMRealUNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
    if (to == DT_BOOL)
        return LLVMBuildICmp(b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
    if (lt_dtype_is_float(to))
        return to == DT_F64 && lt_dtype_is_float(from) && from != DT_F64
                   ? LLVMBuildFPExt(b, v, lt_type_like(u->f64, v), "")
                   : to_float(u, b, v, from, to);
    if (lt_dtype_is_float(from))
        return float_to_int(u, b, v, to);
    LLVMTypeRef type = lt_type_like(lt_register_type(u, to), v);
    return lt_round_to(u, b, LLVMBuildIntCast2(b, v, type, lt_dtype_is_signed(from), ""), to);
}
