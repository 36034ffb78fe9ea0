/* test_const.c - the const store: equal content is one Const, equal elements are a splat, nothing
 * is copied, elements convert from every dtype, and what no node has is released. */
#include <math.h>

#include "ir/build.h"
#include "tests/test.h"

static Arena arena;
static Module *module;

static void start(void) {
    lt_arena_init(&arena);
    module = lt_module_new(&arena, "m.onnx");
}

static const Type *vector(DType dtype, int64_t count) {
    return lt_type_static(module, dtype, 1, &count);
}

START_TEST(equal_content_is_one_const) {
    start();
    static const float a[] = {1, 2, 3}, b[] = {1, 2, 3}, c[] = {1, 2, 4};
    const Const *first = lt_const(module, vector(DT_F32, 3), a);
    ck_assert_ptr_eq(first, lt_const(module, vector(DT_F32, 3), b));
    ck_assert_ptr_ne(first, lt_const(module, vector(DT_F32, 3), c));
    ck_assert_ptr_ne(first, lt_const(module, vector(DT_I32, 3), a));
    ck_assert_ptr_ne(first,
                     lt_const(module, lt_type_static(module, DT_F32, 2, (int64_t[]){1, 3}), a));
    ck_assert_ptr_eq(first->data, a);
    ck_assert_uint_eq(first->bytes, sizeof a);
    ck_assert_uint_eq(module->const_list.len, 4);
    for (size_t i = 0; i < module->const_list.len; i++)
        ck_assert_uint_eq(module->const_list.data[i]->id, i);
}
END_TEST

/* -0 equals 0 but is another constant; the same NaN bits are the same constant. */
START_TEST(bytes_decide_not_values) {
    start();
    static const float zeros[] = {0, -0.0f}, nans[] = {NAN, NAN};
    ck_assert(!lt_const(module, vector(DT_F32, 2), zeros)->is_splat);
    ck_assert(lt_const(module, vector(DT_F32, 2), nans)->is_splat);
    ck_assert_ptr_ne(lt_const_float(module, DT_F32, 0), lt_const_float(module, DT_F32, -0.0));
}
END_TEST

START_TEST(equal_elements_are_a_splat) {
    start();
    int16_t same[100], last[100];
    for (int i = 0; i < 100; i++)
        same[i] = last[i] = 7;
    last[99] = 8;
    const Const *splat = lt_const(module, vector(DT_I16, 100), same);
    ck_assert(splat->is_splat);
    ck_assert_uint_eq(splat->bytes, 2);
    ck_assert_int_eq(lt_const_get_int(splat, 99), 7);
    ck_assert_ptr_eq(splat, lt_const_splat(module, vector(DT_I16, 100), same));
    const Const *other = lt_const(module, vector(DT_I16, 100), last);
    ck_assert(!other->is_splat);
    ck_assert_int_eq(lt_const_get_int(other, 99), 8);
}
END_TEST

/* The element of a splat may lie on the stack of the caller. */
static const Const *splat_from_stack(int64_t value) {
    return lt_const_splat(module, vector(DT_I64, 5), &value);
}

START_TEST(a_splat_keeps_its_element) {
    start();
    const Const *a = splat_from_stack(11), *b = splat_from_stack(12);
    ck_assert_int_eq(lt_const_get_int(a, 4), 11);
    ck_assert_int_eq(lt_const_get_int(b, 0), 12);
}
END_TEST

START_TEST(empty_and_single) {
    start();
    const Const *empty = lt_const(module, vector(DT_F32, 0), "");
    ck_assert_uint_eq(empty->bytes, 0);
    ck_assert(!empty->is_splat);
    ck_assert_ptr_eq(empty, lt_const_splat(module, vector(DT_F32, 0), &(float){1}));
    static const float one[] = {3};
    ck_assert_ptr_eq(lt_const(module, lt_type(module, DT_F32, 0, NULL), one),
                     lt_const_float(module, DT_F32, 3));
}
END_TEST

typedef struct Conversion {
    DType dtype;
    double value, as_float;
    int64_t as_int;
} Conversion;

static const Conversion conversions[] = {
    {DT_F32, 0.1, (double)0.1f, 0},
    {DT_F64, -2.75, -2.75, -2},
    {DT_F16, 65504, 65504, 65504},
    {DT_BF16, 257, 256, 256},
    {DT_F64, 1e300, 1e300, INT64_MAX},
    {DT_F64, -1e300, -1e300, INT64_MIN},
    {DT_I8, -1, -1, -1},
    {DT_U8, 255, 255, 255},
    {DT_I16, -32768, -32768, -32768},
    {DT_U16, 65535, 65535, 65535},
    {DT_I32, -5, -5, -5},
    {DT_U32, 4294967295.0, 4294967295.0, 4294967295},
    {DT_I64, -9007199254740992.0, -9007199254740992.0, -9007199254740992},
    {DT_BOOL, 0.5, 1, 1},
};

START_TEST(elements_convert) {
    start();
    for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++) {
        const Conversion *row = &conversions[i];
        const Const *c = lt_const_float(module, row->dtype, row->value);
        ck_assert_msg(lt_const_get_float(c, 0) == row->as_float, "row %zu: %g", i,
                      lt_const_get_float(c, 0));
        ck_assert_msg(lt_const_get_int(c, 0) == row->as_int, "row %zu", i);
    }
    ck_assert_int_eq(lt_const_get_int(lt_const_float(module, DT_F32, NAN), 0), 0);
    ck_assert(lt_const_get_float(lt_const_int(module, DT_U64, -1), 0) == 0x1p64);
    ck_assert(lt_const_get_float(lt_const_int(module, DT_F16, 3), 0) == 3);
    ck_assert_int_eq(lt_const_get_int(lt_const_int(module, DT_BOOL, 256), 0), 1);
}
END_TEST

START_TEST(integers_are_copied) {
    start();
    int64_t values[] = {3, -1, 0};
    const Const *c = lt_const_ints(module, 3, values);
    values[1] = 9;
    ck_assert_int_eq(lt_const_get_int(c, 1), -1);
    ck_assert_ptr_eq(c->type, vector(DT_I64, 3));
    /* Data of a mapped file need not be aligned. */
    static const char bytes[] = "x\1\0\0\0\2\0\0\0";
    ck_assert_int_eq(lt_const_get_int(lt_const(module, vector(DT_I32, 2), bytes + 1), 1), 2);
}
END_TEST

START_TEST(types_are_interned) {
    start();
    const Dim *h = lt_dim_symbol(&module->dims, "h");
    const Type *a = lt_type(module, DT_F32, 2, (const Dim *[]){h, lt_dim_const(&module->dims, 3)});
    ck_assert_ptr_eq(
        a, lt_type(module, DT_F32, 2, (const Dim *[]){h, lt_dim_const(&module->dims, 3)}));
    ck_assert_ptr_ne(a, lt_type_with_dtype(module, a, DT_F16));
    ck_assert_ptr_eq(a, lt_type_with_dtype(module, lt_type_with_dtype(module, a, DT_F16), DT_F32));
    ck_assert_ptr_eq(lt_type_elements(module, a), lt_dim_mul_const(&module->dims, h, 3));
    int64_t count;
    ck_assert(!lt_type_is_static(a, &count));
    ck_assert(
        lt_type_is_static(lt_type_static(module, DT_F32, 2, (int64_t[]){INT64_MAX, 0}), &count));
    ck_assert_int_eq(count, 0);
    ck_assert(
        !lt_type_is_static(lt_type_static(module, DT_F32, 2, (int64_t[]){INT64_MAX, 2}), &count));
    Str text;
    lt_str_init(&text, &arena);
    lt_type_print(&text, a);
    ck_assert_str_eq(text.text, "f32[h,3]");
}
END_TEST

/* --- the end of constants --- */

enum { LARGE = LT_ARENA_LARGE / sizeof(float) };

static float *large_data(float first) {
    float *data = LT_ARRAY(&arena, float, LARGE);
    data[0] = first;
    return data;
}

START_TEST(constants_end_that_no_node_has) {
    start();
    Builder b = {.graph = module->main};
    float *data[3] = {large_data(1), large_data(2), large_data(3)};
    const Const *kept = lt_const(module, vector(DT_F32, LARGE), data[0]);
    const Const *dead = lt_const(module, vector(DT_F32, LARGE), data[1]);
    const Const *held = lt_const(module, vector(DT_F32, LARGE), data[2]);
    const Const *number = lt_const_float(module, DT_F32, 5);
    Value *x = lt_build_const(&b, kept);
    lt_build_const(&b, held);
    lt_graph_set_outputs(module->main, &x, 1);
    const size_t used = arena.used;
    lt_module_release_consts(module);
    ck_assert_ptr_eq(kept->data, data[0]);
    ck_assert_ptr_eq(held->data, data[2]);
    ck_assert_ptr_null(dead->data);
    ck_assert_ptr_null(number->data);
    ck_assert_uint_lt(arena.used, used - LT_ARENA_LARGE / 2);
    /* The same content is a new constant; what lives is still found. */
    const Const *again = lt_const(module, vector(DT_F32, LARGE), large_data(2));
    ck_assert_ptr_ne(again, dead);
    ck_assert(lt_const_get_float(again, 0) == 2);
    ck_assert(lt_const_get_float(lt_const_float(module, DT_F32, 5), 0) == 5);
    ck_assert_ptr_eq(lt_const(module, vector(DT_F32, LARGE), large_data(1)), kept);
}
END_TEST

/* A matrix and its reshape have the same bytes: they end with the last. */
START_TEST(shared_bytes_end_once) {
    start();
    Builder b = {.graph = module->main};
    float *data = large_data(4);
    const int64_t dims[] = {2, LARGE / 2};
    lt_const(module, vector(DT_F32, LARGE), data);
    const Const *matrix = lt_const(module, lt_type_static(module, DT_F32, 2, dims), data);
    Value *x = lt_build_const(&b, matrix);
    lt_module_release_consts(module);
    ck_assert(lt_const_get_float(matrix, 0) == 4);
    lt_node_remove(x->def);
    lt_module_release_consts(module);
    ck_assert_ptr_null(matrix->data);
    ck_assert(!lt_arena_release(&arena, data));
}
END_TEST

START_TEST(constants_of_regions_and_attributes_live) {
    start();
    const char text[] = "graph main(%x: f32[2], %c: bool[]) {\n"
                        "  %p = pad %x {pad_lo = [1], pad_hi = [0], value = f32[] splat(7)}\n"
                        "  %r = if %c, %p region(%a: f32[3]) {\n"
                        "    %k = const f32[3] [1, 2, 3]\n"
                        "    yield %k\n"
                        "  } region(%b: f32[3]) {\n"
                        "    yield %b\n"
                        "  }\n"
                        "  yield %r\n"
                        "}\n";
    ck_assert_msg(lt_module_read(module, text, sizeof text - 1), "%s",
                  module->diags.items.len ? module->diags.items.data[0].text : "");
    lt_module_release_consts(module);
    for (size_t i = 0; i < module->const_list.len; i++)
        ck_assert_ptr_nonnull(module->const_list.data[i]->data);
    ck_assert_uint_eq(module->const_list.len, 2);
    module->main = lt_graph_new(module, NULL, "empty");
    module->keep_consts = true; /* somebody reads them still */
    lt_module_release_consts(module);
    ck_assert_ptr_nonnull(module->const_list.data[0]->data);
    module->keep_consts = false;
    lt_module_release_consts(module);
    ck_assert_ptr_null(module->const_list.data[0]->data);
}
END_TEST

LT_TEST_MAIN("test_const", equal_content_is_one_const, bytes_decide_not_values,
             equal_elements_are_a_splat, a_splat_keeps_its_element, empty_and_single,
             elements_convert, integers_are_copied, types_are_interned,
             constants_end_that_no_node_has, shared_bytes_end_once,
             constants_of_regions_and_attributes_live)
