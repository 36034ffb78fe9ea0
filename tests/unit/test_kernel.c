/* test_kernel.c - building kernels: names, imported dims, folding, proofs, substitution, copies. */
#include <math.h>

#include "tests/unit/kernel_fixture.h"

static Arena arena;

static Kernel *new_kernel(void) {
    lt_arena_init(&arena);
    return lt_kernel_new(&arena, "test", NULL);
}

static const Dim *num(Kernel *k, int64_t value) { return lt_dim_const(&k->dims, value); }
static const Expr *f32(Kernel *k, double value) { return lt_expr_float(k, DT_F32, value); }
static const Expr *index_of(Kernel *k, const Dim *d) { return lt_expr_index(k, d); }

START_TEST(names_are_unique_and_plain) {
    Kernel *k = new_kernel();
    const Dim *four = num(k, 4);
    ck_assert_str_eq(lt_kernel_loop_var(k, "m", four)->name, "m");
    ck_assert_str_eq(lt_kernel_loop_var(k, "m", four)->name, "m_2");
    ck_assert_str_eq(lt_kernel_loop_var(k, "m", four)->name, "m_3");
    ck_assert_str_eq(lt_kernel_loop_var(k, "m.0.1", four)->name, "m.0.1");
    ck_assert_str_eq(lt_kernel_loop_var(k, "a*b", four)->name, "a_b");
    ck_assert_str_eq(lt_kernel_loop_var(k, "for", four)->name, "for_2");
    ck_assert_str_eq(lt_kernel_loop_var(k, "3x.", four)->name, "_3x_");
    ck_assert_str_eq(lt_kernel_param(k, BUFFER_INPUT, "w", DT_F32, 1, &four)->name, "w");
    ck_assert_str_eq(lt_kernel_local(k, BUFFER_STACK, "w", DT_F32, 1, &four)->name, "w_2");
}
END_TEST

START_TEST(buffers_are_numbered_in_call_order) {
    Kernel *k = new_kernel();
    const Dim *dims[] = {num(k, 4), num(k, 5)};
    const Buffer *in = lt_kernel_param(k, BUFFER_INPUT, "in", DT_F32, 2, dims);
    const Buffer *out = lt_kernel_param(k, BUFFER_OUTPUT, "out", DT_F32, 2, dims);
    const Buffer *tile = lt_kernel_local(k, BUFFER_REGISTER, "acc", DT_F32, 1, dims);
    dims[0] = NULL; /* the kernel has its own copy */
    ck_assert_uint_eq(in->index, 0);
    ck_assert_uint_eq(out->index, 1);
    ck_assert_uint_eq(tile->index, 2);
    ck_assert_uint_eq(k->param_count, 2);
    ck_assert(lt_dim_is(in->dims[0], 4) && lt_dim_is(tile->dims[0], 4));
}
END_TEST

START_TEST(imports_the_models_dims) {
    Kernel *k = new_kernel();
    DimTable model;
    lt_dims_init(&model, &arena);
    const Dim *h = lt_dim_symbol(&model, "h"), *w = lt_dim_symbol(&model, "w");
    lt_dim_set_range(&model, h, 8, 64);
    lt_kernel_loop_var(k, "w", num(k, 3)); /* takes the name before the import does */
    const Dim *d = lt_dim_floordiv(&model, lt_dim_add_const(&model, h, 3), lt_dim_const(&model, 2));
    d = lt_dim_add(&model, lt_dim_mul(&model, d, w), lt_dim_min(&model, h, w));
    const Dim *imported = lt_kernel_import_dim(k, &model, d);
    ck_assert_ptr_eq(lt_kernel_import_dim(k, &model, d), imported);
    ck_assert_uint_eq(k->ints.len, 2);
    ck_assert_ptr_ne(k->int_sources.data[0], k->int_sources.data[1]);
    int64_t values[3] = {0, 0, 0}, model_values[2] = {11, 5};
    for (size_t i = 0; i < 2; i++) {
        const Dim *source = k->int_sources.data[i];
        values[k->ints.data[i]->symbol] = model_values[source->symbol];
        if (source == w)
            ck_assert_str_eq(k->ints.data[i]->name, "w_2");
    }
    ck_assert_int_eq(lt_dim_eval(imported, values), 7 * 5 + 5);
    int64_t lo, hi;
    lt_dim_range(&k->dims, lt_kernel_import_dim(k, &model, h), &lo, &hi);
    ck_assert_int_eq(lo, 8);
    ck_assert_int_eq(hi, 64);
}
END_TEST

START_TEST(equal_expressions_are_one) {
    Kernel *k = new_kernel();
    const Dim *n = num(k, 8), *i = lt_kernel_loop_var(k, "i", n),
              *j = lt_kernel_loop_var(k, "j", n);
    const Buffer *in = lt_kernel_param(k, BUFFER_INPUT, "in", DT_F32, 1, &n);
    const Expr *a = lt_expr_load(k, in, &i, NULL), *b = lt_expr_load(k, in, &j, NULL);
    ck_assert_ptr_ne(a, b);
    ck_assert_ptr_eq(a, lt_expr_load(k, in, &i, NULL));
    ck_assert_ptr_eq(lt_expr_call(k, FN_EXP, a, NULL, NULL),
                     lt_expr_call(k, FN_EXP, a, NULL, NULL));
    ck_assert_ptr_ne(lt_expr_call(k, FN_SUB, a, b, NULL), lt_expr_call(k, FN_SUB, b, a, NULL));
    ck_assert_ptr_ne(f32(k, 0.0), f32(k, -0.0));
    ck_assert_ptr_eq(f32(k, NAN), f32(k, -NAN));
    ck_assert_ptr_eq(f32(k, 0.1), f32(k, (double)0.1f));
    ck_assert_ptr_ne(lt_expr_int(k, DT_I32, 1), lt_expr_int(k, DT_I64, 1));
    ck_assert_ptr_eq(index_of(k, num(k, 7)), lt_expr_int(k, DT_I64, 7));
    ck_assert_int_eq(lt_expr_int(k, DT_I8, 200)->u.i, -56);
}
END_TEST

START_TEST(folds_what_is_exact) {
    Kernel *k = new_kernel();
    const Dim *n = num(k, 8), *i = lt_kernel_loop_var(k, "i", n);
    const Buffer *in = lt_kernel_param(k, BUFFER_INPUT, "in", DT_F32, 1, &n);
    const Buffer *whole = lt_kernel_param(k, BUFFER_INPUT, "whole", DT_I32, 1, &n);
    const Expr *x = lt_expr_load(k, in, &i, NULL), *v = lt_expr_load(k, whole, &i, NULL);
    const Expr *zero = lt_expr_int(k, DT_I32, 0), *one = lt_expr_int(k, DT_I32, 1);
    ck_assert_ptr_eq(lt_expr_call(k, FN_MUL, x, f32(k, 1), NULL), x);
    ck_assert_ptr_eq(lt_expr_call(k, FN_MUL, f32(k, 1), x, NULL), x);
    ck_assert_ptr_eq(lt_expr_call(k, FN_ADD, x, f32(k, -0.0), NULL), x);
    ck_assert_ptr_eq(lt_expr_call(k, FN_SUB, x, f32(k, 0), NULL), x);
    ck_assert_int_eq(lt_expr_call(k, FN_ADD, x, f32(k, 0), NULL)->kind, EXPR_CALL);
    ck_assert_int_eq(lt_expr_call(k, FN_SUB, x, f32(k, -0.0), NULL)->kind, EXPR_CALL);
    ck_assert_int_eq(lt_expr_call(k, FN_MUL, x, f32(k, 0), NULL)->kind, EXPR_CALL);
    ck_assert_ptr_eq(lt_expr_call(k, FN_ADD, v, zero, NULL), v);
    ck_assert_ptr_eq(lt_expr_call(k, FN_MUL, v, zero, NULL), zero);
    ck_assert_ptr_eq(lt_expr_call(k, FN_DIV, v, one, NULL), v);
    ck_assert_ptr_eq(lt_expr_call(k, FN_MAX, x, x, NULL), x);
    ck_assert_ptr_eq(lt_expr_call(k, FN_NEG, lt_expr_call(k, FN_NEG, x, NULL, NULL), NULL, NULL),
                     x);
    const Expr *sum = lt_expr_call(k, FN_FMA, x, f32(k, 1), f32(k, 2));
    ck_assert_ptr_eq(sum, lt_expr_call(k, FN_ADD, x, f32(k, 2), NULL));
    ck_assert(lt_expr_call(k, FN_ADD, f32(k, 0.1), f32(k, 0.2), NULL)->u.f ==
              (double)(0.1f + 0.2f));
    const Expr *wrapped =
        lt_expr_call(k, FN_ADD, lt_expr_int(k, DT_I8, 127), lt_expr_int(k, DT_I8, 1), NULL);
    ck_assert_int_eq(wrapped->u.i, -128);
    ck_assert_int_eq(lt_expr_call(k, FN_LT, x, f32(k, 1), NULL)->dtype, DT_BOOL);
}
END_TEST

START_TEST(folds_conditions) {
    Kernel *k = new_kernel();
    const Dim *n = num(k, 8), *i = lt_kernel_loop_var(k, "i", n);
    const Buffer *in = lt_kernel_param(k, BUFFER_INPUT, "in", DT_F32, 1, &n);
    const Expr *yes = lt_expr_int(k, DT_BOOL, true), *no = lt_expr_int(k, DT_BOOL, false);
    const Expr *x = lt_expr_load(k, in, &i, NULL), *c = lt_expr_call(k, FN_LT, x, f32(k, 1), NULL);
    ck_assert_ptr_eq(lt_expr_call(k, FN_SELECT, yes, x, f32(k, 3)), x);
    ck_assert_ptr_eq(lt_expr_call(k, FN_SELECT, no, x, f32(k, 3)), f32(k, 3));
    ck_assert_ptr_eq(lt_expr_call(k, FN_SELECT, c, x, x), x);
    ck_assert_ptr_eq(lt_expr_call(k, FN_SELECT, c, yes, no), c);
    ck_assert_ptr_eq(lt_expr_and(k, c, yes), c);
    ck_assert_ptr_eq(lt_expr_and(k, no, c), no);
    ck_assert_ptr_eq(lt_expr_and(k, NULL, c), c);
    ck_assert_ptr_null(lt_expr_and(k, NULL, NULL));
    ck_assert_ptr_eq(lt_expr_load(k, in, &i, yes), x);
    ck_assert_ptr_eq(lt_expr_load(k, in, &i, no), f32(k, 0));
    ck_assert_ptr_ne(lt_expr_load(k, in, &i, c), x);
    ck_assert(lt_expr_is_const_bool(yes, true) && !lt_expr_is_const_bool(yes, false));
    ck_assert(!lt_expr_is_const_bool(lt_expr_int(k, DT_I32, 1), true));
}
END_TEST

START_TEST(conversions_follow_the_op) {
    Kernel *k = new_kernel();
    ck_assert_int_eq(lt_expr_convert(k, f32(k, 300.7), DT_U8)->u.i, 255);
    ck_assert_int_eq(lt_expr_convert(k, f32(k, -300.7), DT_U8)->u.i, 0);
    ck_assert_int_eq(lt_expr_convert(k, f32(k, -2.7), DT_I32)->u.i, -2);
    ck_assert_int_eq(lt_expr_convert(k, f32(k, NAN), DT_I32)->u.i, 0);
    ck_assert_int_eq(lt_expr_convert(k, f32(k, NAN), DT_BOOL)->u.i, 1);
    ck_assert_int_eq(lt_expr_convert(k, f32(k, INFINITY), DT_I64)->u.i, INT64_MAX);
    ck_assert_int_eq(lt_expr_convert(k, f32(k, -INFINITY), DT_I64)->u.i, INT64_MIN);
    ck_assert_int_eq(lt_expr_convert(k, f32(k, 1e30), DT_U64)->u.i, -1);
    ck_assert_int_eq(lt_expr_convert(k, lt_expr_int(k, DT_I32, 300), DT_I8)->u.i, 44);
    ck_assert_int_eq(lt_expr_convert(k, lt_expr_int(k, DT_I32, 256), DT_BOOL)->u.i, 1);
    const Expr *most = lt_expr_convert(k, lt_expr_int(k, DT_U64, -1), DT_F64);
    ck_assert(most->u.f == 18446744073709551616.0);
    ck_assert(lt_expr_convert(k, f32(k, 0.1), DT_F16)->u.f == 0.0999755859375);
}
END_TEST

START_TEST(index_arithmetic_becomes_dims) {
    Kernel *k = new_kernel();
    const Dim *n = lt_kernel_int(k, "n", 1, LT_DIM_UNBOUNDED), *i = lt_kernel_loop_var(k, "i", n);
    const Expr *x = index_of(k, i), *three = lt_expr_int(k, DT_I64, 3);
    const Expr *sum = lt_expr_call(k, FN_ADD, lt_expr_call(k, FN_MUL, x, three, NULL), three, NULL);
    ck_assert_ptr_eq(sum,
                     index_of(k, lt_dim_mul_const(&k->dims, lt_dim_add_const(&k->dims, i, 1), 3)));
    ck_assert_ptr_eq(lt_expr_call(k, FN_FLOORDIV, sum, three, NULL),
                     index_of(k, lt_dim_add_const(&k->dims, i, 1)));
    ck_assert_ptr_eq(lt_expr_call(k, FN_FMA, x, three, three), sum);
    ck_assert_int_eq(lt_expr_call(k, FN_NEG, x, NULL, NULL)->kind, EXPR_INDEX);
    ck_assert_int_eq(lt_expr_call(k, FN_MIN, x, three, NULL)->kind, EXPR_INDEX);
    const Expr *maybe_zero = lt_expr_call(k, FN_SUB, x, three, NULL);
    ck_assert_int_eq(lt_expr_call(k, FN_MOD, x, maybe_zero, NULL)->kind, EXPR_CALL);
    ck_assert(lt_expr_is_const_bool(lt_expr_call(k, FN_EQ, x, x, NULL), true));
    ck_assert(lt_expr_is_const_bool(lt_expr_call(k, FN_NE, x, index_of(k, n), NULL), true));
}
END_TEST

START_TEST(proves_comparisons) {
    Kernel *k = new_kernel();
    DimTable *t = &k->dims;
    const Dim *n = lt_kernel_int(k, "n", 1, LT_DIM_UNBOUNDED),
              *w = lt_kernel_int(k, "w", 1, LT_DIM_UNBOUNDED);
    const Dim *i = lt_kernel_loop_var(k, "i", n), *j = lt_kernel_loop_var(k, "j", w);
    const Dim *flat = lt_kernel_loop_var(k, "f", lt_dim_mul(t, n, w));
    const Dim *position = lt_dim_add(t, lt_dim_mul(t, i, w), j), *after = lt_dim_add_const(t, i, 1);
    ck_assert(lt_expr_is_const_bool(lt_expr_less(k, i, n), true));
    ck_assert(lt_expr_is_const_bool(lt_expr_less(k, n, i), false));
    ck_assert(lt_expr_is_const_bool(lt_expr_less(k, i, i), false));
    ck_assert(lt_expr_is_const_bool(lt_expr_in_range(k, position, lt_dim_mul(t, n, w)), true));
    ck_assert(lt_expr_is_const_bool(lt_expr_in_range(k, lt_dim_floordiv(t, flat, w), n), true));
    ck_assert(lt_expr_is_const_bool(lt_expr_in_range(k, lt_dim_mod(t, flat, w), w), true));
    ck_assert_int_eq(lt_expr_less(k, after, n)->kind, EXPR_CALL);
    ck_assert_int_eq(lt_expr_less(k, lt_dim_add_const(t, position, 1), lt_dim_mul(t, n, w))->kind,
                     EXPR_CALL);
    ck_assert_int_eq(lt_expr_less(k, j, n)->kind, EXPR_CALL);
    ck_assert_int_eq(lt_expr_in_range(k, lt_dim_add_const(t, i, -1), n)->u.call.fn, FN_LT);
    ck_assert(lt_expr_is_const_bool(lt_expr_less(k, lt_dim_add(t, i, n), n), false));
}
END_TEST

START_TEST(substitutes_a_dag_in_linear_time) {
    Kernel *k = new_kernel();
    const Dim *n = num(k, 8), *i = lt_kernel_loop_var(k, "i", n),
              *j = lt_kernel_loop_var(k, "j", n);
    const Buffer *in = lt_kernel_param(k, BUFFER_INPUT, "in", DT_F32, 1, &n);
    const Buffer *other = lt_kernel_param(k, BUFFER_INPUT, "other", DT_F32, 1, &n);
    const Expr *e = lt_expr_load(k, in, &i, NULL), *wanted = lt_expr_load(k, other, &j, NULL);
    for (int depth = 0; depth < 200; depth++) { /* 2^200 paths */
        e = lt_expr_call(k, FN_MUL, lt_expr_call(k, FN_EXP, e, NULL, NULL), e, NULL);
        wanted = lt_expr_call(k, FN_MUL, lt_expr_call(k, FN_EXP, wanted, NULL, NULL), wanted, NULL);
    }
    const Dim *by[2] = {j, NULL};
    const Buffer *buffer_by[2] = {other, NULL};
    ck_assert_ptr_eq(lt_expr_substitute(k, e, by, buffer_by), wanted);
    ck_assert_ptr_eq(lt_expr_substitute(k, e, NULL, NULL), e);
}
END_TEST

START_TEST(substitution_folds_again) {
    Kernel *k = new_kernel();
    const Dim *n = lt_kernel_int(k, "n", 1, LT_DIM_UNBOUNDED),
              *i = lt_kernel_loop_var(k, "i", lt_dim_add_const(&k->dims, n, 2));
    const Dim *j = lt_kernel_loop_var(k, "j", n);
    const Buffer *in = lt_kernel_param(k, BUFFER_INPUT, "in", DT_F32, 1, &n);
    const Dim *shifted = lt_dim_add_const(&k->dims, i, -1);
    const Expr *padded = lt_expr_load(k, in, &shifted, lt_expr_in_range(k, shifted, n));
    ck_assert_ptr_nonnull(padded->u.load.predicate);
    const Dim *by[3] = {NULL, lt_dim_add_const(&k->dims, j, 1), NULL};
    ck_assert_ptr_eq(lt_expr_substitute(k, padded, by, NULL), lt_expr_load(k, in, &j, NULL));
}
END_TEST

START_TEST(copies_statements) {
    lt_arena_init(&arena);
    Kernel *k = kernel_from(&arena, "kernel t(n in 1..inf; in0: f32[n] in, out: f32[n] out) {\n"
                                    "  for i in n {\n"
                                    "    alloc acc: f32[1] register\n"
                                    "    acc[0] = in0[i]\n"
                                    "    if (acc[0] < 0) { out[i] = 0 } else { out[i] = acc[0] }\n"
                                    "  }\n"
                                    "}\n");
    const Dim *n = k->ints.data[0], *i = k->body->u.loop.var,
              *fresh = lt_kernel_loop_var(k, "i", n);
    const Dim *one = num(k, 1);
    const Buffer *tile = lt_kernel_local(k, BUFFER_REGISTER, "acc", DT_F32, 1, &one);
    const Dim *by[3] = {NULL, NULL, NULL};
    const Buffer *buffer_by[4] = {NULL, NULL, tile, NULL};
    by[i->symbol] = fresh;
    lt_stmt_join(k->body, lt_stmt_copy(k, k->body, by, buffer_by));
    ck_assert_str_eq(kernel_text(&arena, k, false),
                     "kernel(n in 1..inf; in0: f32[n] in, out: f32[n] out) {\n"
                     "  for i in n {\n"
                     "    alloc acc: f32[1] register\n"
                     "    acc[0] = in0[i]\n"
                     "    if (acc[0] < 0) {\n"
                     "      out[i] = 0\n"
                     "    } else {\n"
                     "      out[i] = acc[0]\n"
                     "    }\n"
                     "  }\n"
                     "  for i_2 in n {\n"
                     "    alloc acc_2: f32[1] register\n"
                     "    acc_2[0] = in0[i_2]\n"
                     "    if (acc_2[0] < 0) {\n"
                     "      out[i_2] = 0\n"
                     "    } else {\n"
                     "      out[i_2] = acc_2[0]\n"
                     "    }\n"
                     "  }\n"
                     "}\n");
}
END_TEST

LT_TEST_MAIN("test_kernel", names_are_unique_and_plain, buffers_are_numbered_in_call_order,
             imports_the_models_dims, equal_expressions_are_one, folds_what_is_exact,
             folds_conditions, conversions_follow_the_op, index_arithmetic_becomes_dims,
             proves_comparisons, substitutes_a_dag_in_linear_time, substitution_folds_again,
             copies_statements)
