/* test_oracle.c - comparing tensors to a tolerance: what passes, what does not, and what is said of
 * it. */
#include <math.h>

#include "tests/test.h"
#include "tools/oracle.h"

static Arena arena;

static Tensor *floats(DType dtype, int64_t count, const double *values) {
    Tensor *t = lt_tensor_new(&arena, dtype, 1, &count);
    for (int64_t i = 0; i < count; i++)
        lt_tensor_set_float(t, i, values[i]);
    return t;
}

static Tensor *ints(DType dtype, int64_t value) {
    const int64_t one = 1;
    Tensor *t = lt_tensor_new(&arena, dtype, 1, &one);
    lt_tensor_set_int(t, 0, value);
    return t;
}

static bool differ(DType dtype, double wanted, double found) {
    return lt_compare_tensors(floats(dtype, 1, &wanted), floats(dtype, 1, &found)).differs;
}

START_TEST(takes_errors_of_rounding_alone) {
    lt_arena_init(&arena);
    const double one = 1, near = 1.01;
    const Tensor *wanted = floats(DT_F32, 1, &one), *found = floats(DT_F32, 1, &near);
    ck_assert(lt_compare_tensors(wanted, found).differs);
    ck_assert(!lt_compare_rounded(wanted, found, DT_F16).differs);
    wanted = floats(DT_F64, 1, &one), found = floats(DT_F64, 1, &near);
    ck_assert(lt_compare_rounded(wanted, found, DT_F16).differs);
    ck_assert(!differ(DT_F32, 1, 1 + 1e-6));
    ck_assert(differ(DT_F32, 1, 1.01));
    ck_assert(differ(DT_F64, 1, 1 + 1e-6));
    ck_assert(!differ(DT_F64, 1, 1 + 1e-12));
    ck_assert(!differ(DT_F16, 1, 1.004));
    ck_assert(differ(DT_F16, 1, 1.1));
    ck_assert(!differ(DT_BF16, 1, 1.02));
    ck_assert(differ(DT_BF16, 1, 1.3));
    ck_assert(!differ(DT_F32, 0, 1e-9));
    ck_assert(differ(DT_F32, 0, 1e-3));
    ck_assert(differ(DT_F32, 1e-4, 2e-4)); /* small numbers are not all equal */
    lt_arena_free(&arena);
}
END_TEST

START_TEST(measures_small_elements_by_the_great_ones) {
    lt_arena_init(&arena);
    const double wanted[] = {1000, 0}, found[] = {1000, 0.01}, far[] = {1000, 1};
    ck_assert(!lt_compare_tensors(floats(DT_F32, 2, wanted), floats(DT_F32, 2, found)).differs);
    Difference d = lt_compare_tensors(floats(DT_F32, 2, wanted), floats(DT_F32, 2, far));
    ck_assert(d.differs);
    ck_assert_int_eq(d.wrong, 1);
    ck_assert_int_eq(d.at, 1);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(knows_nan_and_infinity) {
    lt_arena_init(&arena);
    ck_assert(!differ(DT_F32, NAN, NAN));
    ck_assert(differ(DT_F32, 1, NAN));
    ck_assert(differ(DT_F32, NAN, 1));
    ck_assert(!differ(DT_F32, INFINITY, INFINITY));
    ck_assert(differ(DT_F32, INFINITY, -INFINITY));
    ck_assert(differ(DT_F32, 1, INFINITY));
    lt_arena_free(&arena);
}
END_TEST

START_TEST(compares_integers_exactly) {
    lt_arena_init(&arena);
    ck_assert(!lt_compare_tensors(ints(DT_I64, INT64_MAX), ints(DT_I64, INT64_MAX)).differs);
    ck_assert(lt_compare_tensors(ints(DT_I64, INT64_MAX), ints(DT_I64, INT64_MAX - 1)).differs);
    ck_assert(lt_compare_tensors(ints(DT_I32, 5), ints(DT_I32, 6)).differs);
    ck_assert(lt_compare_tensors(ints(DT_BOOL, 0), ints(DT_BOOL, 1)).differs);
    ck_assert(!lt_compare_tensors(ints(DT_U8, 5), ints(DT_U8, 6)).differs); /* quantized */
    ck_assert(lt_compare_tensors(ints(DT_I8, 5), ints(DT_I8, 7)).differs);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(says_what_differs) {
    lt_arena_init(&arena);
    const double wanted[] = {1, 2}, found[] = {1, 3};
    const Tensor *a = floats(DT_F32, 2, wanted);
    Difference d = lt_compare_tensors(a, floats(DT_F32, 2, found));
    ck_assert_str_eq(lt_difference_text(&arena, a, &d),
                     "greatest error 1 at [1] (3, expected 2); 1 of 2 elements are wrong");
    d = lt_compare_tensors(a, floats(DT_F32, 1, found));
    ck_assert(d.differs && d.shapes_differ);
    ck_assert_str_eq(lt_difference_text(&arena, a, &d), "f32[2] is expected");
    ck_assert(lt_compare_tensors(a, floats(DT_F64, 2, wanted)).differs);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(runs_a_graph) {
    static const char text[] = "graph main(%x: f32[n]) { %1 = neg %x yield %1 }";
    lt_arena_init(&arena);
    Module *m = lt_module_parse(&arena, text, strlen(text), "t.lir");
    ck_assert_ptr_nonnull(m);
    const double values[] = {1, -2, 3};
    const Tensor *inputs[] = {floats(DT_F32, 3, values)};
    OracleRun run = {.arena = &arena, .module = m, .inputs = inputs};
    ck_assert(lt_oracle_run(&run));
    ck_assert(lt_tensor_get_float(run.outputs[0], 1) == 2);
    inputs[0] = ints(DT_I32, 1);
    ck_assert(!lt_oracle_run(&run));
    ck_assert_ptr_nonnull(run.ev.error);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_oracle", takes_errors_of_rounding_alone,
             measures_small_elements_by_the_great_ones, knows_nan_and_infinity,
             compares_integers_exactly, says_what_differs, runs_a_graph)
