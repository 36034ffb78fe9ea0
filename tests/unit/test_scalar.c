/* test_scalar.c - the reference meaning of scalar functions: hand-computed values, edges of
 * integers, NaN. */
#include <math.h>

#include "ir/op.h"
#include "tests/test.h"

typedef struct FloatCase {
    ScalarFn fn;
    double a, b, c, expected;
} FloatCase;

static const FloatCase float_cases[] = {
    {FN_ADD, 1.5, 2, 0, 3.5},
    {FN_SUB, 1.5, 2, 0, -0.5},
    {FN_DIV, 1, 0, 0, INFINITY},
    {FN_MOD, -7, 3, 0, 2},
    {FN_MOD, 7, -3, 0, -2},
    {FN_MOD, 6, -3, 0, 0},
    {FN_FMOD, -7, 3, 0, -1},
    {FN_MIN, 1, 2, 0, 1},
    {FN_MIN, NAN, 2, 0, NAN},
    {FN_MIN, 2, NAN, 0, NAN},
    {FN_MIN, 0.0, -0.0, 0, -0.0},
    {FN_MAX, 1, 2, 0, 2},
    {FN_MAX, NAN, 2, 0, NAN},
    {FN_MAX, 2, NAN, 0, NAN},
    {FN_MAX, -0.0, 0.0, 0, 0.0},
    {FN_POW, 2, 10, 0, 1024},
    {FN_SIGN, -3, 0, 0, -1},
    {FN_SIGN, 0, 0, 0, 0},
    {FN_SIGN, NAN, 0, 0, NAN},
    {FN_RELU, -1, 0, 0, 0},
    {FN_RELU, 2, 0, 0, 2},
    {FN_RELU, NAN, 0, 0, NAN},
    {FN_CLAMP, 5, 0, 3, 3},
    {FN_CLAMP, -5, 0, 3, 0},
    {FN_CLAMP, NAN, 0, 3, NAN},
    {FN_FMA, 2, 3, 4, 10},
    {FN_ROUND, 2.5, 0, 0, 2},
    {FN_ROUND, -3.5, 0, 0, -4},
    {FN_TRUNC, -2.7, 0, 0, -2},
    {FN_RSQRT, 4, 0, 0, 0.5},
    {FN_RECIP, 4, 0, 0, 0.25},
    {FN_EXP2, 5, 0, 0, 32},
    {FN_LOG2, 8, 0, 0, 3},
    {FN_SIGMOID, 0, 0, 0, 0.5},
    {FN_SIGMOID, -1000, 0, 0, 0},
    {FN_SOFTPLUS, 0, 0, 0, 0.69314718055994530942},
    {FN_SOFTPLUS, 1000, 0, 0, 1000},
    {FN_GELU, 1, 0, 0, 0.84134474606854294859},
    {FN_GELU_TANH, 1, 0, 0, 0.84119199060827670479},
    {FN_EQ, 1, 1, 0, 1},
    {FN_NE, NAN, NAN, 0, 1},
    {FN_LT, NAN, 1, 0, 0},
    {FN_SELECT, 1, 5, 6, 5},
    {FN_SELECT, 0, 5, 6, 6},
    {FN_ISNAN, NAN, 0, 0, 1},
    {FN_ISINF, -INFINITY, 0, 0, 1},
    {FN_ISINF, 1, 0, 0, 0},
};

START_TEST(floats) {
    for (size_t i = 0; i < sizeof float_cases / sizeof *float_cases; i++) {
        const FloatCase *f = &float_cases[i];
        const double found = lt_scalar_eval_float(f->fn, f->a, f->b, f->c);
        const bool same = isnan(f->expected) ? isnan(found)
                          : isinf(f->expected)
                              ? found == f->expected
                              : fabs(found - f->expected) <= 1e-15 * fabs(f->expected);
        ck_assert_msg(same && (isnan(found) || !signbit(found) == !signbit(f->expected)),
                      "%s(%g, %g, %g) is %.17g, expected %.17g", lt_scalar_info[f->fn].name, f->a,
                      f->b, f->c, found, f->expected);
    }
}
END_TEST

typedef struct IntCase {
    ScalarFn fn;
    int64_t a, b, c, expected, expected_unsigned;
} IntCase;

static const IntCase int_cases[] = {
    {FN_ADD, INT64_MAX, 1, 0, INT64_MIN, INT64_MIN},
    {FN_SUB, 0, 1, 0, -1, -1},
    {FN_MUL, INT64_MAX, 2, 0, -2, -2},
    {FN_DIV, 7, -2, 0, -3, 0},
    {FN_DIV, 7, 0, 0, 0, 0},
    {FN_DIV, INT64_MIN, -1, 0, INT64_MIN, 0},
    {FN_DIV, -1, 2, 0, 0, INT64_MAX},
    {FN_MOD, -7, 3, 0, 2, 0},
    {FN_MOD, 7, 0, 0, 0, 0},
    {FN_FMOD, -7, 3, 0, -1, 0},
    {FN_FMOD, INT64_MIN, -1, 0, 0, INT64_MIN},
    {FN_MIN, -1, 1, 0, -1, 1},
    {FN_MAX, -1, 1, 0, 1, -1},
    {FN_POW, 3, 4, 0, 81, 81},
    {FN_POW, 2, 64, 0, 0, 0},
    {FN_POW, -1, -3, 0, -1, -1},
    {FN_ABS, INT64_MIN, 0, 0, INT64_MIN, INT64_MIN},
    {FN_SIGN, -5, 0, 0, -1, 1},
    {FN_RELU, -5, 0, 0, 0, -5},
    {FN_CLAMP, 9, 1, 5, 5, 5},
    {FN_AND, 1, 0, 0, 0, 0},
    {FN_XOR, 1, 0, 0, 1, 1},
    {FN_NOT, 1, 0, 0, 0, 0},
    {FN_BITAND, 12, 10, 0, 8, 8},
    {FN_BITOR, 12, 10, 0, 14, 14},
    {FN_BITXOR, 12, 10, 0, 6, 6},
    {FN_BITNOT, 0, 0, 0, -1, -1},
    {FN_SHL, 1, 63, 0, INT64_MIN, INT64_MIN},
    {FN_SHL, 1, 64, 0, 0, 0},
    {FN_SHL, 1, -1, 0, 0, 0},
    {FN_SHR, -2, 1, 0, -1, INT64_MAX},
    {FN_SHR, -2, 64, 0, -1, 0},
    {FN_SHR, 2, -1, 0, 0, 0},
    {FN_LT, -1, 1, 0, 1, 0},
    {FN_GE, -1, 1, 0, 0, 1},
    {FN_EQ, 4, 4, 0, 1, 1},
    {FN_SELECT, 1, 5, 6, 5, 5},
};

START_TEST(integers) {
    for (size_t i = 0; i < sizeof int_cases / sizeof *int_cases; i++) {
        const IntCase *t = &int_cases[i];
        const char *name = lt_scalar_info[t->fn].name;
        const int64_t found = lt_scalar_eval_int(t->fn, t->a, t->b, t->c, false);
        /* MOD of -7 as unsigned: 2^64 - 7 = 3 * 6148914691236517203 + 0. */
        const int64_t wide = lt_scalar_eval_int(t->fn, t->a, t->b, t->c, true);
        ck_assert_msg(found == t->expected, "%s, case %zu: %lld", name, i, (long long)found);
        ck_assert_msg(wide == t->expected_unsigned, "unsigned %s, case %zu: %lld", name, i,
                      (long long)wide);
    }
}
END_TEST

START_TEST(identities) {
    static const ScalarFn folds[] = {FN_ADD, FN_MUL, FN_MIN, FN_MAX};
    static const DType dtypes[] = {DT_I8, DT_U8, DT_I32, DT_U32, DT_I64, DT_U64};
    for (size_t f = 0; f < sizeof folds / sizeof *folds; f++) {
        const double neutral = lt_scalar_identity_float(folds[f]);
        ck_assert_double_eq(lt_scalar_eval_float(folds[f], neutral, -3.5, 0), -3.5);
        for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
            const bool wide = dtypes[d] == DT_U64;
            const int64_t identity = lt_scalar_identity_int(folds[f], dtypes[d]);
            ck_assert_int_eq(lt_scalar_eval_int(folds[f], identity, 100, 0, wide), 100);
        }
    }
    ck_assert_int_eq(lt_scalar_identity_int(FN_MIN, DT_I8), 127);
    ck_assert_int_eq(lt_scalar_identity_int(FN_MAX, DT_I8), -128);
    ck_assert_int_eq(lt_scalar_identity_int(FN_MIN, DT_U8), 255);
    ck_assert_int_eq(lt_scalar_identity_int(FN_MAX, DT_U8), 0);
    ck_assert_int_eq(lt_scalar_identity_int(FN_MAX, DT_I64), INT64_MIN);
    ck_assert_int_eq(lt_scalar_identity_int(FN_MIN, DT_BOOL), 1);
    ck_assert_int_eq(lt_scalar_identity_int(FN_AND, DT_BOOL), 1);
    ck_assert_int_eq(lt_scalar_identity_int(FN_OR, DT_BOOL), 0);
}
END_TEST

LT_TEST_MAIN("test_scalar", floats, integers, identities)
