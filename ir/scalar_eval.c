/* scalar_eval.c - the reference meaning of scalar functions: the F and I columns of scalars.def as
 * code, one element at a time and, for the evaluator's loops, a row at a time. */
#include <assert.h>

#include "ir/eval_ops.h"
#include "ir/op.h"
#include "ir/scalar_ref.h"

double lt_scalar_eval_float(ScalarFn fn, double a, double b, double c) {
    switch (fn) {
#define X NAN
#define SCALAR(e, name, arity, rule, F, I, llvm, cuda) \
    case FN_##e: \
        return (F);
#include "ir/scalars.def"
#undef SCALAR
#undef X
    case LT_FN_LIMIT: break;
    }
    assert(!"a scalar function");
    return NAN;
}

/* u64 where it differs from i64: division, order and shifts. False: the function is not among
 * these. */
static bool eval_unsigned(ScalarFn fn, const uint64_t v[3], uint64_t *out) {
    const uint64_t a = v[0], b = v[1], c = v[2];
    switch (fn) {
    case FN_DIV: *out = b ? a / b : 0; return true;
    case FN_MOD:
    case FN_FMOD: *out = b ? a % b : 0; return true;
    case FN_MIN: *out = a < b ? a : b; return true;
    case FN_MAX: *out = a > b ? a : b; return true;
    case FN_ABS:
    case FN_RELU: *out = a; return true;
    case FN_SIGN: *out = a != 0; return true;
    case FN_CLAMP: *out = a < b ? b : a > c ? c : a; return true;
    case FN_SHR: *out = b > 63 ? 0 : a >> b; return true;
    case FN_LT: *out = a < b; return true;
    case FN_LE: *out = a <= b; return true;
    case FN_GT: *out = a > b; return true;
    case FN_GE: *out = a >= b; return true;
    default: return false;
    }
}

int64_t lt_scalar_eval_int(ScalarFn fn, int64_t a, int64_t b, int64_t c, bool is_unsigned) {
    uint64_t result;
    if (is_unsigned &&
        eval_unsigned(fn, (const uint64_t[]){(uint64_t)a, (uint64_t)b, (uint64_t)c}, &result))
        return (int64_t)result;
    switch (fn) {
#define X 0
#define SCALAR(e, name, arity, rule, F, I, llvm, cuda) \
    case FN_##e: \
        return (I);
#include "ir/scalars.def"
#undef SCALAR
#undef X
    case LT_FN_LIMIT: break;
    }
    assert(!"a scalar function");
    return 0;
}

void lt_scalar_row_float(ScalarFn fn, int64_t n, const double *const *args, double *out) {
    const double *x = args[0], *y = args[1], *z = args[2];
    switch (fn) {
#define X NAN
#define SCALAR(e, name, arity, rule, F, I, llvm, cuda) \
    case FN_##e: \
        for (int64_t i = 0; i < n; i++) { \
            const double a = x[i], b = y[i], c = z[i]; \
            (void)a, (void)b, (void)c; \
            out[i] = (F); \
        } \
        break;
#include "ir/scalars.def"
#undef SCALAR
#undef X
    case LT_FN_LIMIT: assert(!"a scalar function");
    }
}

void lt_scalar_row_int(ScalarFn fn, int64_t n, const int64_t *const *args, int64_t *out,
                       bool is_unsigned) {
    for (int64_t i = 0; i < n; i++)
        out[i] = lt_scalar_eval_int(fn, args[0][i], args[1][i], args[2][i], is_unsigned);
}

double lt_scalar_identity_float(ScalarFn fn) {
    return fn == FN_MUL   ? 1
           : fn == FN_MIN ? INFINITY
           : fn == FN_MAX ? -INFINITY
           : fn == FN_AND ? 1
                          : 0;
}

int64_t lt_scalar_identity_int(ScalarFn fn, DType dtype) {
    const int bits = lt_dtype_bits(dtype);
    const bool is_signed = lt_dtype_is_signed(dtype);
    const int64_t most = dtype == DT_BOOL ? 1 : (int64_t)(UINT64_MAX >> (64 - bits + is_signed));
    const int64_t least = is_signed ? -most - 1 : 0;
    return fn == FN_MUL || fn == FN_AND ? 1 : fn == FN_MIN ? most : fn == FN_MAX ? least : 0;
}
