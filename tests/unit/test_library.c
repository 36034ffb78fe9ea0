/* test_library.c - the irregular operations against the plainest code for the same thing. */
#include <math.h>
#include <stdbool.h>

#include "lathe/runtime.h"
#include "runtime/base/half.h"
#include "runtime/kernels/library.h"
#include "tests/test.h"

enum { MOST = 512 };

typedef struct Case {
    int64_t outer, length, inner, k;
    bool largest;
} Case;

/* Whether `a` comes strictly before `b`: NaN is the greatest, equal ones keep their order. */
static bool goes_before(double a, double b, bool largest) {
    if (isnan(a) || isnan(b))
        return largest ? isnan(a) && !isnan(b) : !isnan(a) && isnan(b);
    return largest ? a > b : a < b;
}

/* Insertion sort of the indices of one row. */
static void sort_row(const double *values, const Case *c, int64_t origin, int64_t *order) {
    for (int64_t i = 0; i < c->length; i++) {
        int64_t at = i;
        while (at > 0 && goes_before(values[origin + i * c->inner],
                                     values[origin + order[at - 1] * c->inner], c->largest)) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
}

/* Runs top-k on data of `dtype`, whose values are also given as doubles. */
static void check_topk(const Case *c, lathe_dtype dtype, void *data, const double *values) {
    static uint8_t picked[MOST * 8];
    static int64_t indices[MOST], order[MOST];
    size_t width = lathe_dtype_size(dtype);
    void *buffers[] = {data, picked, indices};
    int64_t ints[] = {c->outer, c->length, c->inner, c->k, c->largest, 1, (int64_t)dtype};
    ck_assert_int_eq(lt_kernel_topk(buffers, ints), LATHE_OK);
    for (int64_t o = 0; o < c->outer; o++)
        for (int64_t i = 0; i < c->inner; i++) {
            int64_t origin = o * c->length * c->inner + i, to = o * c->k * c->inner + i;
            sort_row(values, c, origin, order);
            for (int64_t j = 0; j < c->k; j++, to += c->inner) {
                ck_assert_int_eq(indices[to], order[j]);
                size_t from = (size_t)(origin + order[j] * c->inner);
                ck_assert_mem_eq(picked + (size_t)to * width, (uint8_t *)data + from * width,
                                 width);
            }
        }
}

static const Case cases[] = {
    {1, 10, 1, 3, true},  {1, 10, 1, 3, false}, {1, 10, 1, 10, true}, {1, 1, 1, 1, false},
    {2, 7, 3, 4, true},   {2, 7, 3, 4, false},  {1, 100, 1, 5, true}, {3, 20, 2, 19, false},
    {4, 16, 1, 16, true}, {1, 5, 1, 0, true},
};
enum { CASES = sizeof cases / sizeof *cases };

START_TEST(sorts_floats) {
    static const double special[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1e-40, -1e-40};
    float data[MOST];
    double values[MOST];
    for (int round = 0; round < 20; round++)
        for (int n = 0; n < CASES; n++) {
            const Case *c = &cases[n];
            for (int64_t i = 0; i < c->outer * c->length * c->inner; i++) {
                int pick = (int)((i * 31 + round * 17) % 23);
                data[i] = pick < 7 ? (float)special[pick] : (float)(pick - 14) / 4;
                values[i] = (double)data[i];
            }
            check_topk(c, LATHE_F32, data, values);
        }
}
END_TEST

#define CHECK_TYPE(Type, dtype, convert, back) \
    do { \
        Type data[MOST]; \
        for (int n = 0; n < CASES; n++) { \
            for (int i = 0; i < MOST; i++) { \
                data[i] = convert((i * 37 % 41) - 20); \
                values[i] = (double)back(data[i]); \
            } \
            check_topk(&cases[n], dtype, data, values); \
        } \
    } while (0)
#define AS_BOOL(x) ((x) > 3)

START_TEST(sorts_every_dtype) {
    double values[MOST];
    CHECK_TYPE(double, LATHE_F64, (double), );
    CHECK_TYPE(uint16_t, LATHE_F16, lt_f32_to_f16, lt_f16_to_f32);
    CHECK_TYPE(uint16_t, LATHE_BF16, lt_f32_to_bf16, lt_bf16_to_f32);
    CHECK_TYPE(int8_t, LATHE_I8, (int8_t), );
    CHECK_TYPE(int16_t, LATHE_I16, (int16_t), );
    CHECK_TYPE(int32_t, LATHE_I32, 100000 *, );
    CHECK_TYPE(int64_t, LATHE_I64, INT64_C(10000000000) *, );
    CHECK_TYPE(uint8_t, LATHE_U8, (uint8_t), );
    CHECK_TYPE(uint16_t, LATHE_U16, (uint16_t), );
    CHECK_TYPE(uint32_t, LATHE_U32, (uint32_t), );
    CHECK_TYPE(uint64_t, LATHE_U64, (uint32_t), ); /* a double holds 32 bits exactly */
    CHECK_TYPE(uint8_t, LATHE_BOOL, AS_BOOL, );
}
END_TEST

/* Neighbours that a double cannot tell apart. */
START_TEST(sorts_large_integers) {
    int64_t data[] = {INT64_MAX - 1, INT64_MIN, INT64_MAX, INT64_MIN + 1, -1, 0}, values[6],
            indices[6];
    void *buffers[] = {data, values, indices};
    int64_t ints[] = {1, 6, 1, 6, 1, 1, LATHE_I64};
    static const int64_t expected[] = {2, 0, 5, 4, 3, 1};
    ck_assert_int_eq(lt_kernel_topk(buffers, ints), LATHE_OK);
    ck_assert_mem_eq(indices, expected, sizeof expected);
}
END_TEST

START_TEST(refuses_bad_arguments) {
    float data[4] = {0}, values[4];
    int64_t indices[4];
    void *buffers[] = {data, values, indices};
    int64_t too_many[] = {1, 3, 1, 4, 1, 1, LATHE_F32}, negative[] = {1, 3, 1, -1, 1, 1, LATHE_F32};
    int64_t no_type[] = {1, 3, 1, 1, 1, 1, LATHE_DTYPE_LIMIT};
    ck_assert_int_eq(lt_kernel_topk(buffers, too_many), LATHE_BAD_SHAPE);
    ck_assert_int_eq(lt_kernel_topk(buffers, negative), LATHE_BAD_SHAPE);
    ck_assert_int_eq(lt_kernel_topk(buffers, no_type), LATHE_UNSUPPORTED);
}
END_TEST

START_TEST(finds_functions) {
    ck_assert(lt_library_function(LT_LIBRARY_TOPK) == lt_kernel_topk);
    ck_assert_str_eq(lt_library_name(LT_LIBRARY_TOPK), "topk");
    ck_assert(lt_library_function(LT_LIBRARY_LIMIT) == NULL);
    ck_assert_ptr_null(lt_library_name(UINT32_MAX));
}
END_TEST

LT_TEST_MAIN("test_library", sorts_floats, sorts_every_dtype, sorts_large_integers,
             refuses_bad_arguments, finds_functions)
