/* test_onnx.c - the ONNX reader: what it refuses and how it says so, symbolic dims, and what
 * converters mean. */
#include <sys/stat.h>

#include "tests/unit/onnx_fixture.h"

/* --- refusals --- */

static void undefined_name(Bytes *g) { add_node(g, "Add", "x z", "y"); }
static void cycle(Bytes *g) {
    add_node(g, "Add", "x b", "a");
    add_node(g, "Relu", "a", "b");
    add_node(g, "Relu", "b", "y");
}
static void defined_twice(Bytes *g) {
    add_node(g, "Relu", "x", "y");
    add_node(g, "Abs", "x", "y");
}
static void output_undefined(Bytes *g) { add_node(g, "Relu", "x", "z"); }
static void operand_missing(Bytes *g) { add_node(g, "Add", "x", "y"); }
static void operand_left_out(Bytes *g) { add_node(g, "Add", "x -", "y"); }
static void operands_too_many(Bytes *g) { add_node(g, "Relu", "x x", "y"); }
static void outputs_too_many(Bytes *g) { add_node(g, "Relu", "x", "y z"); }

static void shapes_disagree(Bytes *g) {
    static const float w[3] = {1, 2, 3};
    add_tensor(g, "w", 1, (int64_t[]){3}, 1, w, sizeof w);
    add_node(g, "Add", "x w", "y");
}
static void data_too_short(Bytes *g) {
    add_tensor(g, "w", 1, (int64_t[]){3}, 1, "12345678", 8);
    add_node(g, "Add", "x w", "y");
}
static void dims_overflow(Bytes *g) {
    add_tensor(g, "w", 1, (int64_t[]){INT64_C(1) << 40, INT64_C(1) << 40}, 2, "", 0);
    add_node(g, "Add", "x w", "y");
}
static void dim_negative(Bytes *g) {
    add_tensor(g, "w", 1, (int64_t[]){-2}, 1, "", 0);
    add_node(g, "Add", "x w", "y");
}
static void initializer_twice(Bytes *g) {
    add_tensor(g, "w", 1, (int64_t[]){1}, 1, "1234", 4);
    add_tensor(g, "w", 1, (int64_t[]){1}, 1, "1234", 4);
    add_node(g, "Add", "x w", "y");
}
static void input_twice(Bytes *g) {
    add_value(g, 11, "x", "2");
    add_node(g, "Relu", "x", "y");
}
static void attribute_type(Bytes *g) {
    Bytes n = new_node("Transpose", "x", "y");
    add_string(&n, "perm", "01");
    put_message(g, 1, &n);
}
static void attribute_twice(Bytes *g) {
    Bytes n = new_node("Flatten", "x", "y");
    add_int(&n, "axis", 1);
    add_int(&n, "axis", 1);
    put_message(g, 1, &n);
}
static void axis_outside(Bytes *g) {
    Bytes n = new_node("Softmax", "x", "y");
    add_int(&n, "axis", 7);
    put_message(g, 1, &n);
}
static void reshape_wrong(Bytes *g) {
    add_list(g, "s", (int64_t[]){5, 5}, 2);
    add_node(g, "Reshape", "x s", "y");
}
static void conv_channels(Bytes *g) {
    static const float w[4 * 5] = {1};
    add_tensor(g, "w", 1, (int64_t[]){4, 5, 1, 1}, 4, w, sizeof w);
    add_node(g, "Unsqueeze", "x a", "u");
    add_list(g, "a", (int64_t[]){0, 3}, 2);
    add_node(g, "Conv", "u w", "y");
}
static void pool_of_a_scalar(Bytes *g) { add_node(g, "GlobalAveragePool", "x", "y"); }
static void stored_outside(Bytes *g) {
    Bytes t = new_tensor("w", 1, (int64_t[]){1}, 1), entry = {.len = 0};
    put_string(&entry, 1, "location");
    put_string(&entry, 2, "a/../../secret");
    put_message(&t, 13, &entry);
    put_int(&t, 14, 1);
    put_message(g, 5, &t);
    add_node(g, "Add", "x w", "y");
}
static void string_tensor(Bytes *g) {
    Bytes t = new_tensor("w", 8, (int64_t[]){1}, 1);
    put_string(&t, 6, "text");
    put_message(g, 5, &t);
    add_node(g, "Add", "x w", "y");
}
static void unknown_attribute(Bytes *g) {
    Bytes n = new_node("Relu", "x", "y");
    add_int(&n, "slope", 1);
    put_message(g, 1, &n);
}
static void nameless_attribute(Bytes *g) {
    Bytes n = new_node("Relu", "x", "y");
    add_int(&n, "", 1);
    put_message(g, 1, &n);
}
static void version_too_old(Bytes *g) { add_node(g, "Swish", "x", "y"); }
static void shape_from_data(Bytes *g) {
    Bytes n = new_node("Cast", "x", "s");
    add_int(&n, "to", 7);
    put_message(g, 1, &n);
    add_node(g, "Expand", "x s", "y");
}

typedef struct Refusal {
    void (*fill)(Bytes *g);
    const char *dims;
    int status;
    const char *words;
} Refusal;

static const Refusal refusals[] = {
    {undefined_name, "2", LT_MALFORMED, "y (Add): error: input 1, 'z', is not defined"},
    {cycle, "2", LT_MALFORMED,
     "a (Add): error: input 1, 'b', is used before the node that defines it"},
    {defined_twice, "2", LT_MALFORMED, "output 'y' is defined twice"},
    {output_undefined, "2", LT_MALFORMED, "output 'y' is not defined by any node"},
    {operand_missing, "2", LT_MALFORMED, "input 1 is missing; at least 2 are expected"},
    {operand_left_out, "2", LT_MALFORMED, "input 1 is missing"},
    {operands_too_many, "2", LT_MALFORMED, "it has 2 inputs; at most 1 are expected"},
    {outputs_too_many, "2", LT_MALFORMED, "it has 2 outputs; at most 1 are expected"},
    {shapes_disagree, "2", LT_MALFORMED, "y (Add): error:"},
    {data_too_short, "3", LT_MALFORMED, "tensor 'w' has 8 bytes of data; its dims need 12"},
    {dims_overflow, "3", LT_MALFORMED, "more elements than memory can hold"},
    {dim_negative, "3", LT_MALFORMED, "tensor 'w' has a negative dim -2"},
    {initializer_twice, "3", LT_MALFORMED, "initializer 'w' is defined twice"},
    {input_twice, "2", LT_MALFORMED, "input 'x' is declared twice"},
    {attribute_type, "2x2", LT_MALFORMED, "attribute perm must be integers, not a string"},
    {attribute_twice, "2x2", LT_MALFORMED, "attribute axis is given twice"},
    {axis_outside, "2x2", LT_MALFORMED, "axis 7 is not one of a tensor of rank 2"},
    {reshape_wrong, "2x3", LT_MALFORMED, "y (Reshape): error: cannot reshape"},
    {conv_channels, "2x3", LT_MALFORMED, "input 0 has 2 channels, the weight expects 5"},
    {pool_of_a_scalar, "", LT_MALFORMED, "input 0 has rank 0; expected at least 3"},
    {stored_outside, "1", LT_MALFORMED, "which is outside the model's folder"},
    {string_tensor, "1", LT_UNSUPPORTED, "input 1 is a tensor of strings, which the op does not"},
    {unknown_attribute, "2", LT_UNSUPPORTED,
     "y (ai.onnx::Relu v17): error: attribute 'slope' is not supported"},
    {nameless_attribute, "2", LT_UNSUPPORTED, "attribute '' is not supported"},
    {version_too_old, "2", LT_UNSUPPORTED, "this version of the op is not supported"},
    {shape_from_data, "n", LT_UNSUPPORTED, "the length of the shape is not known"},
};

START_TEST(refuses_with_the_reason) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        setup();
        Bytes g = graph_of(refusals[i].dims);
        refusals[i].fill(&g);
        Bytes m = new_model(&g, 17);
        expect_refusal(&m, refusals[i].status, refusals[i].words);
    }
}
END_TEST

START_TEST(reports_every_unsupported_node) {
    setup();
    Bytes g = graph_of("2"), custom = new_node("Foo", "x", "a");
    put_string(&custom, 3, "Foo_7");
    put_string(&custom, 7, "com.acme");
    put_message(&g, 1, &custom);
    add_node(&g, "Relu", "a", "b"); /* depends on what failed: no error of its own */
    add_node(&g, "Bar", "x", "c");
    unknown_attribute(&g);
    Bytes m = new_model(&g, 17);
    add_opset(&m, "com.acme", 3);
    expect_refusal(&m, LT_UNSUPPORTED, "Foo_7 (com.acme::Foo v3): error: this op is not known");
    ck_assert_int_eq(diags->errors, 3);
    ck_assert_ptr_nonnull(strstr(all_text(), "c (ai.onnx::Bar v17): error: this op is not known"));
    ck_assert_ptr_nonnull(strstr(all_text(), "3 nodes need what is not supported"));
}
END_TEST

static Bytes good_model(void) {
    static const float w[2] = {10, 20};
    Bytes g = graph_of("nx2");
    add_tensor(&g, "w", 1, (int64_t[]){2}, 1, w, sizeof w);
    add_node(&g, "Add", "x w", "sum");
    add_node(&g, "Relu", "sum", "y");
    return new_model(&g, 17);
}

START_TEST(no_prefix_of_a_model_is_a_model) {
    Bytes m = good_model();
    size_t whole = m.len;
    for (m.len = 0; m.len < whole; m.len++) {
        setup();
        ck_assert_msg(!import_model(&m, NULL), "%zu of %zu bytes", m.len, whole);
        ck_assert_int_eq(lt_diag_status(diags), LT_MALFORMED);
    }
    setup();
    ck_assert_ptr_nonnull(import_model(&m, NULL));
}
END_TEST

START_TEST(changed_bytes_are_read_safely) {
    Bytes m = good_model();
    change_every_byte(&m);
}
END_TEST

START_TEST(files_that_are_no_models) {
    static const struct {
        const char *name, *text;
        int status;
    } files[] = {{"text.onnx", "This is text, not a model.\n", LT_MALFORMED},
                 {"empty.onnx", "", LT_MALFORMED},
                 {"page.onnx", "<!DOCTYPE html><html>", LT_MALFORMED},
                 {"text.lir", "not lathe IR", LT_MALFORMED},
                 {"net.tflite", "TFL3", LT_UNSUPPORTED}};
    char folder[64];
    lt_test_mkdtemp(folder);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        setup();
        const char *path = lt_arena_printf(&arena, "%s/%s", folder, files[i].name);
        FILE *file = fopen(path, "w");
        fputs(files[i].text, file);
        fclose(file);
        ck_assert_ptr_null(lt_import_file(&arena, path, NULL, &diags));
        ck_assert_int_eq(lt_diag_status(diags), files[i].status);
        ck_assert_uint_ge(diags->errors, 1);
    }
    ck_assert_ptr_null(
        lt_import_file(&arena, lt_arena_printf(&arena, "%s/none.onnx", folder), NULL, &diags));
    ck_assert_int_eq(lt_diag_status(diags), LT_IO);
    lt_test_rmdir(folder);
}
END_TEST

START_TEST(opsets_are_checked) {
    setup();
    Bytes g = graph_of("2");
    add_node(&g, "Relu", "x", "y");
    Bytes m = new_model(&g, 99);
    expect_refusal(&m, LT_UNSUPPORTED, "the model uses opset 99");
    m.len = 0;
    put_int(&m, 1, 8);
    put_message(&m, 7, &g);
    expect_refusal(&m, LT_MALFORMED, "does not say which version");
}
END_TEST

/* --- inputs, dims, constants --- */

static const Type *input_type_of(const Module *m) { return m->main->inputs.data[0]->type; }

START_TEST(dims_become_symbols) {
    setup();
    Bytes g = graph_of("nx?x3x?");
    add_node(&g, "Relu", "x", "y");
    Bytes model = new_model(&g, 17);
    Module *m = import_model(&model, NULL);
    ck_assert_ptr_nonnull(m);
    const Type *type = input_type_of(m);
    ck_assert_str_eq(type->dims[0]->name, "n");
    ck_assert_str_eq(type->dims[1]->name, "x_d1");
    ck_assert(lt_dim_is(type->dims[2], 3));
    ck_assert_str_eq(type->dims[3]->name, "x_d3");
    ck_assert(lt_module_verify(m));
}
END_TEST

START_TEST(overrides_fix_and_bound_dims) {
    setup();
    Bytes model = good_model();
    DimOverride fix = {"n", 4, 4}, range = {"n", 2, 9}, wrong = {"q", 1, 1}, empty = {"n", 5, 2};
    int64_t lo, hi;
    Module *m = import_model(&model, &(ImportOptions){.dims = &fix, .dim_count = 1});
    ck_assert(m && lt_dim_is(input_type_of(m)->dims[0], 4));
    m = import_model(&model, &(ImportOptions){.dims = &range, .dim_count = 1});
    lt_dim_range(&m->dims, input_type_of(m)->dims[0], &lo, &hi);
    ck_assert(lo == 2 && hi == 9);
    ck_assert(!import_model(&model, &(ImportOptions){.dims = &wrong, .dim_count = 1}));
    ck_assert_int_eq(lt_diag_status(diags), LT_BAD_ARGUMENT);
    ck_assert(!import_model(&model, &(ImportOptions){.dims = &empty, .dim_count = 1}));
    ck_assert_int_eq(lt_diag_status(diags), LT_BAD_ARGUMENT);
}
END_TEST

START_TEST(overrides_give_shapes) {
    static const struct {
        const char *name, *shape;
        bool fits;
    } cases[] = {{"x", "7x2", true},  {"x", "Bx2", true},   {"x", "BxC", true},
                 {"x", "BxB", true},  {"x", "7x3", false},  {"x", "7", false},
                 {"x", "7x", false},  {"z", "7x2", false},  {"x", "0x2", false},
                 {"x", "7x0", false}, {"x", "ax-1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup();
        Bytes model = good_model();
        InputOverride o = {cases[i].name, cases[i].shape};
        Module *m = import_model(&model, &(ImportOptions){.inputs = &o, .input_count = 1});
        ck_assert_msg(!m == !cases[i].fits, "%s=%s", cases[i].name, cases[i].shape);
        if (!m)
            ck_assert_int_eq(lt_diag_status(diags), LT_BAD_ARGUMENT);
    }
}
END_TEST

static const Const *first_const(const Module *m, DType dtype) {
    LT_EACH_NODE(n, m->main)
    if (n->op == OP_CONST && lt_attr(n, ATTR_VALUE)->u.c->type->dtype == dtype)
        return lt_attr(n, ATTR_VALUE)->u.c;
    return NULL;
}

/* Wherever it lies; what computes with it sees to the alignment. */
START_TEST(raw_data_is_never_copied) {
    setup();
    for (size_t shift = 0; shift < 4; shift++) {
        Bytes model = good_model();
        uint8_t *at = (uint8_t *)lt_arena_alloc(&arena, model.len + 4) + shift;
        memcpy(at, model.data, model.len);
        Module *m = lt_import_onnx(&arena, "m.onnx", at, model.len, NULL, &diags);
        const Const *c = first_const(m, DT_F32), *negated, *reshaped;
        ck_assert((const uint8_t *)c->data >= at && (const uint8_t *)c->data < at + model.len);
        ck_assert_double_eq(lt_const_get_float(c, 1), 20);
        Builder b = {.graph = m->main};
        Value *v = lt_build_const(&b, c);
        const Dim *column[] = {v->type->dims[0], lt_dim_const(&m->dims, 1)};
        ck_assert(lt_eval_const_node(m, lt_build_map1(&b, FN_NEG, v)->def, &negated));
        ck_assert_double_eq(lt_const_get_float(negated, 1), -20);
        ck_assert(lt_eval_const_node(m, lt_build_reshape(&b, v, 2, column)->def, &reshaped));
        ck_assert_ptr_eq(reshaped->data, c->data);
    }
}
END_TEST

START_TEST(external_data_stays_in_the_folder) {
    static const struct {
        const char *location, *offset, *length;
        int status;
    } cases[] = {{"w.bin", "4", "8", LT_OK},           {"w.bin", "8", "8", LT_MALFORMED},
                 {"w.bin", "4", "4", LT_MALFORMED},    {"w.bin", "-4", "8", LT_MALFORMED},
                 {"w.bin", "x", "8", LT_MALFORMED},    {"link.bin", "4", "8", LT_MALFORMED},
                 {"../w.bin", "4", "8", LT_MALFORMED}, {"/etc/passwd", "4", "8", LT_MALFORMED},
                 {"none.bin", "4", "8", LT_IO}};
    char folder[64];
    static const float content[3] = {1, 2, 3};
    lt_test_mkdtemp(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup();
        FILE *file = fopen(lt_arena_printf(&arena, "%s/w.bin", folder), "wb");
        fwrite(content, 4, 3, file);
        fclose(file);
        const char *link = lt_arena_printf(&arena, "%s/link.bin", folder);
        ck_assert(symlink("/etc/passwd", link) == 0 || i > 0);
        Bytes m = external_model(cases[i].location, cases[i].offset, cases[i].length);
        const char *path = lt_arena_printf(&arena, "%s/m.onnx", folder);
        Module *found = lt_import_onnx(&arena, path, m.data, m.len, NULL, &diags);
        ck_assert_msg(lt_diag_status(diags) == cases[i].status, "%s: %s", cases[i].location,
                      all_text());
        if (found)
            ck_assert_double_eq(lt_const_get_float(first_const(found, DT_F32), 1), 3);
    }
    lt_test_rmdir(folder);
}
END_TEST

/* --- meaning --- */

/* Kernel 2x1 = stride: blocks side by side. Kernel 3 with stride 2: they overlap. */
START_TEST(transposed_convolutions) {
    static const float w[3] = {1, 10, 100};
    for (int64_t kernel = 2; kernel <= 3; kernel++) {
        setup();
        Bytes g = graph_of("1x1x2"), n = new_node("ConvTranspose", "x w", "y");
        add_ints(&n, "strides", (int64_t[]){2}, 1);
        put_message(&g, 1, &n);
        add_tensor(&g, "w", 1, (int64_t[]){1, 1, kernel}, 3, w, (size_t)kernel * 4);
        if (kernel == 2)
            EXPECT(g, 17, DIMS(1, 1, 2), 1, 10, 2, 20);
        else
            EXPECT(g, 17, DIMS(1, 1, 2), 1, 10, 102, 20, 200);
    }
}
END_TEST

/* x is 1 2 3 4; the kernel is 3, the stride 2, with one element of padding in front. */
static Bytes pool_model(int64_t ceil_mode, int64_t count_pads, int64_t after) {
    Bytes g = graph_of("1x1x4"), n = new_node("AveragePool", "x", "y");
    add_ints(&n, "kernel_shape", (int64_t[]){3}, 1);
    add_ints(&n, "strides", (int64_t[]){2}, 1);
    add_ints(&n, "pads", (int64_t[]){1, after}, 2);
    add_int(&n, "ceil_mode", ceil_mode);
    add_int(&n, "count_include_pad", count_pads);
    put_message(&g, 1, &n);
    return g;
}

START_TEST(average_pools_count_what_they_should) {
    setup();
    Bytes plain = pool_model(0, 0, 0), counted = pool_model(0, 1, 0);
    EXPECT(plain, 17, DIMS(1, 1, 4), 1.5, 3);
    EXPECT(counted, 17, DIMS(1, 1, 4), 1, 3);
    Bytes hanging = pool_model(1, 0, 1), hanging_counted = pool_model(1, 1, 1);
    EXPECT(hanging, 17, DIMS(1, 1, 4), 1.5, 3, 4);
    EXPECT(hanging_counted, 17, DIMS(1, 1, 4), 1, 3,
           2); /* of the last 3, one is beyond the padding */
}
END_TEST

START_TEST(slices_count_from_both_ends) {
    static const struct {
        int64_t start, end, step, count;
        double y[4];
    } cases[] = {
        {1, 3, 1, 2, {2, 3}},    {-2, INT64_MAX, 1, 2, {4, 5}},  {-1, INT64_MIN, -2, 3, {5, 3, 1}},
        {-100, 2, 1, 2, {1, 2}}, {3, -100, -1, 4, {4, 3, 2, 1}}, {0, 100, 3, 2, {1, 4}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup();
        Bytes g = graph_of("5");
        add_list(&g, "s", &cases[i].start, 1);
        add_list(&g, "e", &cases[i].end, 1);
        add_list(&g, "a", (int64_t[]){0}, 1);
        add_list(&g, "t", &cases[i].step, 1);
        add_node(&g, "Slice", "x s e a t", "y");
        Bytes m = new_model(&g, 17);
        expect_result(&m, 1, (int64_t[]){5}, cases[i].y, cases[i].count);
    }
}
END_TEST

START_TEST(softmax_changed_with_opset_13) {
    Bytes g = graph_of("1x2x2"), n = new_node("Softmax", "x", "s");
    const double e = 2.718281828459045, all = 1 + e + e * e + e * e * e, two = 1 + e * e;
    add_int(&n, "axis", 1);
    put_message(&g, 1, &n);
    add_node(&g, "Relu", "s", "y");
    setup();
    EXPECT(g, 12, DIMS(1, 2, 2), 1 / all, e / all, e * e / all, e * e * e / all);
    setup();
    EXPECT(g, 13, DIMS(1, 2, 2), 1 / two, 1 / two, e * e / two, e * e / two);
}
END_TEST

START_TEST(shape_arithmetic_is_followed) {
    setup();
    Bytes g = graph_of("nx2x3");
    add_node(&g, "Shape", "x", "s");
    add_node(&g, "Gather", "s zero", "n1");
    add_list(&g, "zero", (int64_t[]){0}, 1);
    add_list(&g, "rest", (int64_t[]){-1}, 1);
    Bytes n = new_node("Concat", "n1 rest", "t");
    add_int(&n, "axis", 0);
    put_message(&g, 1, &n);
    add_node(&g, "Reshape", "x t", "y");
    Bytes model = new_model(&g, 17);
    Module *m = import_model(&model, NULL);
    ck_assert_msg(m, "%s", all_text());
    const Type *type = lt_input(lt_graph_yield(m->main), 0)->type;
    ck_assert_int_eq(type->rank, 2);
    ck_assert_ptr_eq(type->dims[0], input_type_of(m)->dims[0]);
    ck_assert(lt_dim_is(type->dims[1], 6));
    ck_assert_uint_eq(m->guards.len, 0);
}
END_TEST

START_TEST(a_known_condition_takes_its_branch) {
    static const uint8_t no = 0;
    Bytes g = graph_of("2"), yes_graph = {.len = 0}, no_graph = {.len = 0},
          n = new_node("If", "c", "r");
    setup();
    add_node(&yes_graph, "Foo", "x", "b");
    add_value(&yes_graph, 12, "b", "2");
    add_node(&no_graph, "Neg", "x", "b");
    add_value(&no_graph, 12, "b", "2");
    add_tensor(&g, "c", 9, NULL, 0, &no, 1);
    add_graph(&n, "then_branch", &yes_graph);
    add_graph(&n, "else_branch", &no_graph);
    put_message(&g, 1, &n);
    add_node(&g, "Identity", "r", "y");
    EXPECT(g, 17, DIMS(2), -1, -2);
}
END_TEST

/* Outputs keep their names even when they are inputs, or the same value. */
START_TEST(outputs_have_their_own_values) {
    setup();
    Bytes g = graph_of("2");
    add_value(&g, 12, "z", "2");
    add_node(&g, "Identity", "x", "y");
    add_node(&g, "Identity", "y", "z");
    Bytes model = new_model(&g, 17);
    Module *m = import_model(&model, NULL);
    ck_assert_msg(m, "%s", all_text());
    ck_assert(lt_module_verify(m));
    const Node *yield = lt_graph_yield(m->main);
    ck_assert_str_eq(lt_input(yield, 0)->name, "y");
    ck_assert_str_eq(lt_input(yield, 1)->name, "z");
    ck_assert_str_eq(m->main->inputs.data[0]->name, "x");
}
END_TEST

LT_TEST_MAIN("test_onnx", refuses_with_the_reason, reports_every_unsupported_node,
             no_prefix_of_a_model_is_a_model, changed_bytes_are_read_safely,
             files_that_are_no_models, opsets_are_checked, dims_become_symbols,
             overrides_fix_and_bound_dims, overrides_give_shapes,
             raw_data_is_never_copied, external_data_stays_in_the_folder,
             transposed_convolutions, average_pools_count_what_they_should,
             slices_count_from_both_ends, softmax_changed_with_opset_13,
             shape_arithmetic_is_followed, a_known_condition_takes_its_branch,
             outputs_have_their_own_values)
