/* math.c - the rows of scalars.def that say MATH: which function emits them.
 *
 * f32 functions are polynomials (math_exp.c, math_log.c, math_trig.c). f64 functions call the C
 * library lane by lane, and the artifact then names libm: models with f64 transcendentals are rare.
 * Remainders of floats do so too. */
#include "codegen/llvm/math.h"

#include <math.h>

/* --- the C library --- */

static Val call_library(MathCall *m, const char *name, Val *args, unsigned count) {
    Unit *u = m->unit;
    LLVMTypeRef types[] = {u->f64, u->f64};
    LLVMTypeRef type = LLVMFunctionType(u->f64, types, count, false);
    Val function = LLVMGetNamedFunction(u->module, name);
    if (!function)
        function = LLVMAddFunction(u->module, name, type);
    u->needs_libm = true;
    if (!lt_is_vector(args[0]))
        return LLVMBuildCall2(m->b, type, function, args, count, "");
    Val result = LLVMGetPoison(m->type);
    for (unsigned lane = 0; lane < LLVMGetVectorSize(m->type); lane++) {
        Val scalars[2], at = LLVMConstInt(u->i32, lane, false);
        for (unsigned i = 0; i < count; i++)
            scalars[i] = LLVMBuildExtractElement(m->b, args[i], at, "");
        Val v = LLVMBuildCall2(m->b, type, function, scalars, count, "");
        result = LLVMBuildInsertElement(m->b, result, v, at, "");
    }
    return result;
}

static Val call1(MathCall *m, const char *name, Val a) { return call_library(m, name, &a, 1); }

static Val sigmoid_f64(MathCall *m, Val x) {
    Val z = call1(m, "exp", LLVMBuildFNeg(m->b, x, ""));
    return m_div(m, m_float(m, 1), m_add(m, z, m_float(m, 1)));
}

static Val softplus_f64(MathCall *m, Val x) {
    Val z = call1(m, "exp", LLVMBuildFNeg(m->b, m_abs(m, x), ""));
    Val positive = m_select(m, m_less(m, m_float(m, 0), x), x, m_float(m, 0));
    return m_add(m, positive, call1(m, "log1p", z));
}

static Val gelu_f64(MathCall *m, Val x) {
    Val erf = call1(m, "erf", m_scale(m, x, 0.70710678118654752));
    return m_mul(m, m_scale(m, x, 0.5), m_add(m, erf, m_float(m, 1)));
}

static Val gelu_tanh_f64(MathCall *m, Val x) {
    Val cubic = m_fma(m, m_scale(m, m_mul(m, x, x), 0.044715), x, x);
    return m_mul(m, x, sigmoid_f64(m, m_scale(m, cubic, 2 * 0.79788456080286536)));
}

/* --- tables --- */

typedef Val Math1(MathCall *m, Val x);
typedef Val Math2(MathCall *m, Val x, Val y);

typedef struct MathRow {
    Math1 *f32; /* one operand */
    Math2 *f32_2;
    Math1 *f64;          /* made of several calls */
    const char *library; /* or one function of the C library */
} MathRow;

static const MathRow rows[LT_FN_LIMIT] = {
    [FN_EXP] = {.f32 = lt_math_exp, .library = "exp"},
    [FN_EXP2] = {.f32 = lt_math_exp2, .library = "exp2"},
    [FN_EXPM1] = {.f32 = lt_math_expm1, .library = "expm1"},
    [FN_LOG] = {.f32 = lt_math_log, .library = "log"},
    [FN_LOG2] = {.f32 = lt_math_log2, .library = "log2"},
    [FN_LOG1P] = {.f32 = lt_math_log1p, .library = "log1p"},
    [FN_SIN] = {.f32 = lt_math_sin, .library = "sin"},
    [FN_COS] = {.f32 = lt_math_cos, .library = "cos"},
    [FN_TAN] = {.f32 = lt_math_tan, .library = "tan"},
    [FN_ASIN] = {.f32 = lt_math_asin, .library = "asin"},
    [FN_ACOS] = {.f32 = lt_math_acos, .library = "acos"},
    [FN_ATAN] = {.f32 = lt_math_atan, .library = "atan"},
    [FN_ATAN2] = {.f32_2 = lt_math_atan2, .library = "atan2"},
    [FN_SINH] = {.f32 = lt_math_sinh, .library = "sinh"},
    [FN_COSH] = {.f32 = lt_math_cosh, .library = "cosh"},
    [FN_TANH] = {.f32 = lt_math_tanh, .library = "tanh"},
    [FN_ASINH] = {.f32 = lt_math_asinh, .library = "asinh"},
    [FN_ACOSH] = {.f32 = lt_math_acosh, .library = "acosh"},
    [FN_ATANH] = {.f32 = lt_math_atanh, .library = "atanh"},
    [FN_ERF] = {.f32 = lt_math_erf, .library = "erf"},
    [FN_POW] = {.f32_2 = lt_math_pow, .library = "pow"},
    [FN_SIGMOID] = {.f32 = lt_math_sigmoid, .f64 = sigmoid_f64},
    [FN_SOFTPLUS] = {.f32 = lt_math_softplus, .f64 = softplus_f64},
    [FN_GELU] = {.f32 = lt_math_gelu, .f64 = gelu_f64},
    [FN_GELU_TANH] = {.f32 = lt_math_gelu_tanh, .f64 = gelu_tanh_f64},
};

/* --- a few instructions, f32 and f64 alike --- */

static Val emit_sign(MathCall *m, Val a) {
    Val negative = m_select(m, m_less(m, a, m_float(m, 0)), m_float(m, -1), a); /* NaN and 0 stay */
    return m_select(m, m_less(m, m_float(m, 0), a), m_float(m, 1), negative);
}

/* 0 > a ? 0 : a is one instruction on x86, and NaN stays NaN. */
static Val emit_relu(MathCall *m, Val a) {
    return m_select(m, m_less(m, a, m_float(m, 0)), m_float(m, 0), a);
}

static Val emit_remainder(MathCall *m, Val a, Val b) {
    m->unit->needs_libm = true;
    return LLVMBuildFRem(m->b, a, b, "");
}

/* The remainder with the divisor's sign. */
static Val emit_floormod(MathCall *m, Val a, Val b) {
    Val r = emit_remainder(m, a, b), zero = m_float(m, 0);
    Val differs = LLVMBuildXor(m->b, m_less(m, r, zero), m_less(m, b, zero), "");
    Val is_rest = LLVMBuildFCmp(m->b, LLVMRealUNE, r, zero, "");
    return m_select(m, LLVMBuildAnd(m->b, is_rest, differs, ""), m_add(m, r, b), r);
}

static Val emit_floordiv(MathCall *m, Val a, Val b, DType dtype) {
    Val quotient[] = {m_div(m, a, b), NULL, NULL};
    return lt_emit_scalar(m->unit, m->b, FN_FLOOR, dtype, quotient);
}

static Val emit_clamp(MathCall *m, Val *v, DType dtype) {
    Val low[] = {v[0], v[1], NULL};
    Val high[] = {lt_emit_scalar(m->unit, m->b, FN_MAX, dtype, low), v[2], NULL};
    return lt_emit_scalar(m->unit, m->b, FN_MIN, dtype, high);
}

/* See lt_ref_tf32. */
static Val emit_tf32(MathCall *m, Val a, DType dtype) {
    if (dtype == DT_F64) {
        MathCall single = *m;
        single.type = lt_type_like(m->unit->f32, a);
        single.int_type = lt_type_like(m->unit->i32, a);
        Val narrow = LLVMBuildFPTrunc(m->b, a, single.type, "");
        return LLVMBuildFPExt(m->b, emit_tf32(&single, narrow, DT_F32), m->type, "");
    }
    Val up = m_iadd(m, m_bits(m, a), m_int(m, 0x1000));
    Val rounded = m_from_bits(m, LLVMBuildAnd(m->b, up, m_int(m, -0x2000), ""));
    return m_select(m, LLVMBuildFCmp(m->b, LLVMRealUNO, a, a, ""), a, rounded);
}

static Val emit_small(MathCall *m, ScalarFn fn, Val *v, DType dtype) {
    switch (fn) {
    case FN_SIGN: return emit_sign(m, v[0]);
    case FN_RELU: return emit_relu(m, v[0]);
    case FN_CLAMP: return emit_clamp(m, v, dtype);
    case FN_TF32: return emit_tf32(m, v[0], dtype);
    case FN_RECIP: return m_div(m, m_float(m, 1), v[0]);
    case FN_RSQRT: return m_div(m, m_float(m, 1), m_sqrt(m, v[0]));
    case FN_FMOD: return emit_remainder(m, v[0], v[1]);
    case FN_MOD: return emit_floormod(m, v[0], v[1]);
    case FN_FLOORDIV: return emit_floordiv(m, v[0], v[1], dtype);
    case FN_ISNAN: return LLVMBuildFCmp(m->b, LLVMRealUNO, v[0], v[0], "");
    case FN_ISINF: return m_equal(m, m_abs(m, v[0]), m_float(m, INFINITY));
    default: return NULL;
    }
}

Val lt_emit_math(Unit *u, LLVMBuilderRef b, ScalarFn fn, Val *args, bool is_double) {
    MathCall m = {.unit = u, .b = b, .type = LLVMTypeOf(args[0])};
    m.int_type = lt_type_like(is_double ? u->i64 : u->i32, args[0]);
    const MathRow *row = &rows[fn];
    if (is_double && row->f64)
        return row->f64(&m, args[0]);
    if (is_double && row->library)
        return call_library(&m, row->library, args, (unsigned)lt_scalar_info[fn].arity);
    if (row->f32)
        return row->f32(&m, args[0]);
    if (row->f32_2)
        return row->f32_2(&m, args[0], args[1]);
    return emit_small(&m, fn, args, is_double ? DT_F64 : DT_F32);
}
