/* test_onnx_files.c - where the numbers of a model lie: constants in every form, initializers that
 * are defaults of inputs, files of more than 2 and 4 GiB, graphs in the wrong order. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/onnx_fixture.h"

/* --- constants --- */

static void no_value(Bytes *n) { (void)n; }
static void value_int(Bytes *n) { add_int(n, "value_int", 3); }
static void value_ints(Bytes *n) { add_ints(n, "value_ints", (int64_t[]){3, 4}, 2); }
static void two_values(Bytes *n) {
    value_int(n);
    value_ints(n);
}
static void wrong_type(Bytes *n) { add_string(n, "value_int", "3"); }
static void value_float(Bytes *n) {
    Bytes a = {.len = 0};
    put_string(&a, 1, "value_float");
    put_float(&a, 2, 2.5f);
    put_int(&a, 20, 1);
    put_message(n, 5, &a);
}
static void value_floats(Bytes *n) {
    Bytes a = {.len = 0};
    put_string(&a, 1, "value_floats");
    put_float(&a, 7, 2.5f);
    put_float(&a, 7, -1);
    put_int(&a, 20, 6);
    put_message(n, 5, &a);
}
static void value_tensor(Bytes *n) {
    static const float values[] = {1.5f, 8};
    Bytes a = {.len = 0}, t = new_tensor("", 1, (int64_t[]){2}, 1);
    put_bytes(&t, 9, values, sizeof values);
    put_string(&a, 1, "value");
    put_message(&a, 5, &t);
    put_int(&a, 20, 4);
    put_message(n, 5, &a);
}

/* y = x + the constant, made a float; x is 1 2. */
static Bytes constant_model(void (*fill)(Bytes *n)) {
    Bytes g = graph_of("2"), n = new_node("Constant", "", "c"), cast = new_node("Cast", "c", "f");
    fill(&n);
    add_int(&cast, "to", 1);
    put_message(&g, 1, &n);
    put_message(&g, 1, &cast);
    add_node(&g, "Add", "x f", "y");
    return new_model(&g, 17);
}

START_TEST(constants_in_every_form) {
    static const struct {
        void (*fill)(Bytes *n);
        double y[2];
    } forms[] = {{value_int, {4, 5}},
                 {value_ints, {4, 6}},
                 {value_float, {3.5, 4.5}},
                 {value_floats, {3.5, 1}},
                 {value_tensor, {2.5, 10}}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const Bytes m = constant_model(forms[i].fill);
        setup();
        expect_result(&m, 1, (int64_t[]){2}, forms[i].y, 2);
    }
    const Bytes none = constant_model(no_value), two = constant_model(two_values),
                wrong = constant_model(wrong_type);
    setup();
    expect_refusal(&none, LT_MALFORMED, "c (Constant): error: it must have one attribute");
    setup();
    expect_refusal(&two, LT_MALFORMED, "c (Constant): error: it must have one attribute");
    setup();
    expect_refusal(&wrong, LT_MALFORMED, "attribute value_int must be an integer, not a string");
}
END_TEST

/* --- initializers --- */

/* Files of old writers list each initializer among the inputs; it is no input of the artifact. */
START_TEST(an_initializer_is_the_value_of_its_input) {
    static const float w[2] = {10, 20};
    Bytes g = graph_of("2");
    add_value(&g, 11, "w", "2");
    add_tensor(&g, "w", 1, (int64_t[]){2}, 1, w, sizeof w);
    add_node(&g, "Add", "x w", "y");
    Bytes m = new_model(&g, 17);
    setup();
    expect_result(&m, 1, (int64_t[]){2}, (double[]){11, 22}, 2);
    ck_assert_uint_eq(import_model(&m, NULL)->main->inputs.len, 1);
}
END_TEST

START_TEST(an_initializer_that_contradicts_its_input_is_refused) {
    static const float w[2] = {10, 20};
    static const struct {
        const char *dims;
        bool fits;
    } cases[] = {{"2", true}, {"n", true}, {"?", true}, {"3", false}, {"1x2", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Bytes g = graph_of("2");
        add_value(&g, 11, "w", cases[i].dims);
        add_tensor(&g, "w", 1, (int64_t[]){2}, 1, w, sizeof w);
        add_node(&g, "Add", "x w", "y");
        Bytes m = new_model(&g, 17);
        setup();
        if (cases[i].fits)
            ck_assert_msg(import_model(&m, NULL) != NULL, "%s: %s", cases[i].dims, all_text());
        else
            expect_refusal(&m, LT_MALFORMED,
                           "the initializer of input 'w' has another type than the input");
    }
}
END_TEST

/* --- large files --- */

static void write_at(int fd, int64_t offset, const void *data, size_t size) {
    ck_assert_int_eq(pwrite(fd, data, size, (off_t)offset), (ssize_t)size);
}

/* A file that is mostly a hole: it takes a page of the disk. */
START_TEST(external_data_beyond_4_gib) {
    static const float w[2] = {10, 20};
    const int64_t offset = (INT64_C(9) << 29) + 12;
    char folder[64];
    lt_test_mkdtemp(folder);
    setup();
    const char *path = lt_arena_printf(&arena, "%s/w.bin", folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    write_at(fd, offset, w, sizeof w);
    close(fd);
    Bytes m = external_model("w.bin", lt_arena_printf(&arena, "%lld", (long long)offset), "8");
    Module *found = lt_import_onnx(&arena, lt_arena_printf(&arena, "%s/m.onnx", folder), m.data,
                                   m.len, NULL, &diags);
    ck_assert_msg(found, "%s", all_text());
    const Const *c = NULL;
    LT_EACH_NODE(n, found->main)
    if (n->op == OP_CONST)
        c = lt_attr(n, ATTR_VALUE)->u.c;
    ck_assert_ptr_nonnull(c);
    ck_assert_double_eq(lt_const_get_float(c, 1), 20);
    lt_test_rmdir(folder);
}
END_TEST

/* A field of 3 GiB, whose length needs more than 31 bits, and the model behind it. */
START_TEST(a_model_of_more_than_2_gib) {
    const uint64_t hole = UINT64_C(3) << 30;
    char folder[64];
    lt_test_mkdtemp(folder);
    setup();
    Bytes g = graph_of("2"), head = {.len = 0};
    add_node(&g, "Neg", "x", "y");
    Bytes m = new_model(&g, 17);
    put_varint(&head, UINT64_C(1000) << 3 | 2); /* a field that nobody knows */
    put_varint(&head, hole);
    const char *path = lt_arena_printf(&arena, "%s/m.onnx", folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    write_at(fd, 0, head.data, head.len);
    write_at(fd, (int64_t)(head.len + hole), m.data, m.len);
    Module *found = lt_import_file(&arena, path, NULL, &diags);
    ck_assert_msg(found, "%s", all_text());
    ck_assert_uint_eq(found->main->inputs.len, 1);
    ck_assert_int_eq(ftruncate(fd, (off_t)(head.len + hole - 1)), 0); /* the field is cut */
    ck_assert_ptr_null(lt_import_file(&arena, path, NULL, &diags));
    ck_assert_int_eq(lt_diag_status(diags), LT_MALFORMED);
    close(fd);
    lt_test_rmdir(folder);
}
END_TEST

/* --- order --- */

START_TEST(nodes_out_of_order_are_named) {
    Bytes g = graph_of("2"), second = new_node("Relu", "middle", "y"),
          first = new_node("Neg", "x", "middle");
    put_string(&second, 3, "activation");
    put_message(&g, 1, &second);
    put_message(&g, 1, &first);
    Bytes m = new_model(&g, 17);
    setup();
    expect_refusal(&m, LT_MALFORMED,
                   "activation (Relu): error: input 0, 'middle', is used before the node that "
                   "defines it");
}
END_TEST

LT_TEST_MAIN("test_onnx_files", constants_in_every_form, an_initializer_is_the_value_of_its_input,
             an_initializer_that_contradicts_its_input_is_refused, external_data_beyond_4_gib,
             a_model_of_more_than_2_gib, nodes_out_of_order_are_named)
