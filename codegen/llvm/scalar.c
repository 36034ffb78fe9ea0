/* scalar.c - the scalar functions: the llvm column of scalars.def as instructions and intrinsics.
 *
 * Operands are all scalars or all vectors, so nothing here asks which. f16 and bf16 are computed in
 * f32 and rounded after each function. Rows that say MATH are in math*.c. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "codegen/llvm/llvm.h"

typedef enum {
    EMIT_MATH,
    EMIT_OP_ADD,
    EMIT_OP_SUB,
    EMIT_OP_MUL,
    EMIT_OP_DIV,
    EMIT_OP_NEG,
    EMIT_OP_AND,
    EMIT_OP_OR,
    EMIT_OP_XOR,
    EMIT_OP_NOT,
    EMIT_OP_CMP,
    EMIT_OP_SELECT,
    EMIT_FN_MINIMUM,
    EMIT_FN_MAXIMUM,
    EMIT_FN_ABS,
    EMIT_FN_FMA,
    EMIT_FN_FLOOR,
    EMIT_FN_CEIL,
    EMIT_FN_TRUNC,
    EMIT_FN_ROUNDEVEN,
    EMIT_FN_SQRT
} EmitKind;

static const EmitKind emit_kinds[LT_FN_LIMIT] = {
#define SCALAR(e, name, arity, rule, F, I, llvm, cuda) [FN_##e] = EMIT_##llvm,
#include "ir/scalars.def"
#undef SCALAR
};

LLVMValueRef lt_intrinsic_at(Unit *u, LLVMBuilderRef b, const char *name, LLVMTypeRef *types,
                             unsigned type_count, LLVMValueRef *args, unsigned count) {
    char full[48];
    const int len = snprintf(full, sizeof full, "llvm.%s", name);
    const unsigned id = LLVMLookupIntrinsicID(full, (size_t)len);
    assert(id != 0 && "an intrinsic of this LLVM");
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(u->module, id, types, type_count);
    LLVMTypeRef type = LLVMIntrinsicGetType(u->context, id, types, type_count);
    return LLVMBuildCall2(b, type, function, args, count, "");
}

LLVMValueRef lt_intrinsic(Unit *u, LLVMBuilderRef b, const char *name, LLVMValueRef *args,
                          unsigned count) {
    LLVMTypeRef type = LLVMTypeOf(args[0]);
    return lt_intrinsic_at(u, b, name, &type, 1, args, count);
}

/* A multiplication may be contracted with the addition that uses it, and nothing else is relaxed.
 */
static LLVMValueRef contract(LLVMValueRef v) {
    if (LLVMIsAInstruction(v))
        LLVMSetFastMathFlags(v, LLVMFastMathAllowContract);
    return v;
}

static bool is_plain_number(LLVMValueRef v) {
    LLVMValueRef scalar = v;
    if (LLVMIsConstant(v) && lt_is_vector(v))
        scalar = LLVMGetAggregateElement(v, 0);
    LLVMBool lossy;
    return scalar && LLVMIsAConstantFP(scalar) &&
           LLVMConstRealGetDouble(scalar, &lossy) == LLVMConstRealGetDouble(scalar, &lossy);
}

/* min and max that give NaN when either is one. `b > a ? b : a` gives a when a is NaN, which is one
 * instruction on x86; when b may be NaN too, that needs a second look. Which zero is returned of
 * two unlike ones is open. */
static LLVMValueRef float_extreme(LLVMBuilderRef b, LLVMValueRef *v, bool is_max) {
    LLVMValueRef x = v[0], y = v[1];
    if (is_plain_number(x)) {
        x = v[1];
        y = v[0];
    }
    LLVMValueRef takes_y = LLVMBuildFCmp(b, is_max ? LLVMRealOGT : LLVMRealOLT, y, x, "");
    LLVMValueRef result = LLVMBuildSelect(b, takes_y, y, x, "");
    if (is_plain_number(y))
        return result;
    LLVMValueRef is_nan = LLVMBuildFCmp(b, LLVMRealUNO, y, y, "");
    return LLVMBuildSelect(b, is_nan, y, result, "");
}

static LLVMValueRef emit_fma(Unit *u, LLVMBuilderRef b, LLVMValueRef *v) {
    return lt_intrinsic(u, b, u->has_fma ? "fma" : "fmuladd", v, 3);
}

static LLVMRealPredicate float_predicate(ScalarFn fn) {
    switch (fn) {
    case FN_EQ: return LLVMRealOEQ;
    case FN_NE: return LLVMRealUNE;
    case FN_LT: return LLVMRealOLT;
    case FN_LE: return LLVMRealOLE;
    case FN_GT: return LLVMRealOGT;
    default: return LLVMRealOGE;
    }
}

static LLVMIntPredicate int_predicate(ScalarFn fn, bool is_signed) {
    switch (fn) {
    case FN_EQ: return LLVMIntEQ;
    case FN_NE: return LLVMIntNE;
    case FN_LT: return is_signed ? LLVMIntSLT : LLVMIntULT;
    case FN_LE: return is_signed ? LLVMIntSLE : LLVMIntULE;
    case FN_GT: return is_signed ? LLVMIntSGT : LLVMIntUGT;
    default: return is_signed ? LLVMIntSGE : LLVMIntUGE;
    }
}

/* Without SSE4.1 rounding is a call of the C library. */
static LLVMValueRef emit_rounding(const ScalarCall *c, const char *name) {
    if (!c->unit->has_rounding)
        c->unit->needs_libm = true;
    LLVMValueRef args[] = {c->v[0]};
    return lt_intrinsic(c->unit, c->b, name, args, 1);
}

static LLVMValueRef emit_float(const ScalarCall *c) {
    LLVMBuilderRef b = c->b;
    LLVMValueRef v[] = {c->v[0], c->v[1], c->v[2]};
    switch (emit_kinds[c->fn]) {
    case EMIT_OP_ADD: return contract(LLVMBuildFAdd(b, v[0], v[1], ""));
    case EMIT_OP_SUB: return contract(LLVMBuildFSub(b, v[0], v[1], ""));
    case EMIT_OP_MUL: return contract(LLVMBuildFMul(b, v[0], v[1], ""));
    case EMIT_OP_DIV: return LLVMBuildFDiv(b, v[0], v[1], "");
    case EMIT_OP_NEG: return LLVMBuildFNeg(b, v[0], "");
    case EMIT_OP_CMP: return LLVMBuildFCmp(b, float_predicate(c->fn), v[0], v[1], "");
    case EMIT_FN_MINIMUM: return float_extreme(b, v, false);
    case EMIT_FN_MAXIMUM: return float_extreme(b, v, true);
    case EMIT_FN_ABS: return lt_intrinsic(c->unit, b, "fabs", v, 1);
    case EMIT_FN_FMA: return emit_fma(c->unit, b, v);
    case EMIT_FN_FLOOR: return emit_rounding(c, "floor");
    case EMIT_FN_CEIL: return emit_rounding(c, "ceil");
    case EMIT_FN_TRUNC: return emit_rounding(c, "trunc");
    case EMIT_FN_ROUNDEVEN: return emit_rounding(c, "rint");
    case EMIT_FN_SQRT: return lt_intrinsic(c->unit, b, "sqrt", v, 1);
    default: return lt_emit_math(c->unit, b, c->fn, v, c->dtype == DT_F64);
    }
}

/* min, max, abs on integers; bool counts as unsigned. */
static LLVMValueRef int_extreme(const ScalarCall *c, bool is_max) {
    const bool is_signed = lt_dtype_is_signed(c->dtype);
    LLVMValueRef args[] = {c->v[0], c->v[1]};
    return lt_intrinsic(c->unit, c->b,
                        is_max      ? is_signed ? "smax" : "umax"
                        : is_signed ? "smin"
                                    : "umin",
                        args, 2);
}

static LLVMValueRef int_abs(const ScalarCall *c) {
    if (!lt_dtype_is_signed(c->dtype))
        return c->v[0];
    LLVMTypeRef type = LLVMTypeOf(c->v[0]);
    LLVMValueRef args[] = {c->v[0], LLVMConstInt(c->unit->i1, 0, false)};
    return lt_intrinsic_at(c->unit, c->b, "abs", &type, 1, args, 2);
}

static LLVMValueRef emit_int(const ScalarCall *c) {
    LLVMBuilderRef b = c->b;
    const LLVMValueRef *v = c->v;
    const bool is_bool =
        c->dtype == DT_BOOL; /* a sum of bools is stored as 0 or 1: or; a product: and */
    switch (emit_kinds[c->fn]) {
    case EMIT_OP_ADD:
        return is_bool ? LLVMBuildOr(b, v[0], v[1], "") : LLVMBuildAdd(b, v[0], v[1], "");
    case EMIT_OP_SUB: return LLVMBuildSub(b, v[0], v[1], "");
    case EMIT_OP_MUL: return LLVMBuildMul(b, v[0], v[1], "");
    case EMIT_OP_NEG: return LLVMBuildNeg(b, v[0], "");
    case EMIT_OP_AND: return LLVMBuildAnd(b, v[0], v[1], "");
    case EMIT_OP_OR: return LLVMBuildOr(b, v[0], v[1], "");
    case EMIT_OP_XOR: return LLVMBuildXor(b, v[0], v[1], "");
    case EMIT_OP_NOT: return LLVMBuildNot(b, v[0], "");
    case EMIT_OP_CMP:
        return LLVMBuildICmp(b, int_predicate(c->fn, lt_dtype_is_signed(c->dtype)), v[0], v[1], "");
    case EMIT_FN_MINIMUM: return int_extreme(c, false);
    case EMIT_FN_MAXIMUM: return int_extreme(c, true);
    case EMIT_FN_ABS: return int_abs(c);
    case EMIT_FN_FMA: return LLVMBuildAdd(b, LLVMBuildMul(b, v[0], v[1], ""), v[2], "");
    default: return lt_emit_integer_math(c);
    }
}

LLVMValueRef lt_emit_scalar(Unit *u, LLVMBuilderRef b, ScalarFn fn, DType dtype,
                            LLVMValueRef *args) {
    if (emit_kinds[fn] == EMIT_OP_SELECT)
        return LLVMBuildSelect(b, args[0], args[1], args[2], "");
    const ScalarCall c = {
        .unit = u, .b = b, .fn = fn, .dtype = dtype, .v = {args[0], args[1], args[2]}};
    LLVMValueRef result = lt_dtype_is_float(dtype) ? emit_float(&c) : emit_int(&c);
    assert(result && "a function that the verifier let pass is emitted");
    const bool is_test =
        lt_scalar_info[fn].rule == RULE_COMPARE || lt_scalar_info[fn].rule == RULE_TEST;
    return is_test ? result : lt_round_to(u, b, result, dtype);
}
