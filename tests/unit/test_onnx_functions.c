/* test_onnx_functions.c - functions that a model defines: scopes, attributes, versions, what is
 * refused; and tensors that are written sparsely. */
#include "tests/unit/onnx_fixture.h"

/* FunctionProto: names by blanks. */
static Bytes new_function(const char *name, const char *inputs, const char *outputs,
                          const char *attributes) {
    Bytes f = {.len = 0};
    put_string(&f, 1, name);
    put_names(&f, 4, inputs);
    put_names(&f, 5, outputs);
    put_names(&f, 6, attributes);
    put_string(&f, 10, "local");
    return f;
}

static void import_opset(Bytes *f, int64_t version) {
    Bytes o = {.len = 0};
    put_string(&o, 1, "");
    put_int(&o, 2, version);
    put_message(f, 9, &o);
}

static void body_node(Bytes *f, const Bytes *n) { put_message(f, 7, n); }

static void body(Bytes *f, const char *op, const char *inputs, const char *outputs) {
    Bytes n = new_node(op, inputs, outputs);
    body_node(f, &n);
}

/* An attribute of this type that is the function's. */
static void add_reference(Bytes *node, const char *name, const char *of, int type) {
    Bytes a = {.len = 0};
    put_string(&a, 1, name);
    put_int(&a, 20, type);
    put_string(&a, 21, of);
    put_message(node, 5, &a);
}

static void add_float(Bytes *holder, uint32_t field, const char *name, float value) {
    Bytes a = {.len = 0};
    put_string(&a, 1, name);
    put_float(&a, 2, value);
    put_int(&a, 20, 1);
    put_message(holder, field, &a);
}

static Bytes new_call(const char *function, const char *inputs, const char *outputs) {
    Bytes n = new_node(function, inputs, outputs);
    put_string(&n, 7, "local");
    return n;
}

static void add_call(Bytes *graph, const char *function, const char *inputs, const char *outputs) {
    Bytes n = new_call(function, inputs, outputs);
    put_message(graph, 1, &n);
}

static void add_function(Bytes *model, const Bytes *f) { put_message(model, 25, f); }

static void expect(const Bytes *m, double first, double second) {
    setup();
    expect_result(m, 1, (int64_t[]){2}, (double[]){first, second}, 2);
}

/* twice(a) = a + a: its names are its own, at each call. */
START_TEST(each_call_has_its_names) {
    Bytes g = graph_of("2"), f = new_function("Twice", "x", "y", "");
    body(&f, "Add", "x x", "t");
    body(&f, "Identity", "t", "y");
    add_call(&g, "Twice", "x", "t");
    add_call(&g, "Twice", "t", "u");
    add_node(&g, "Neg", "u", "y");
    Bytes m = new_model(&g, 17);
    add_function(&m, &f);
    expect(&m, -4, -8);
}
END_TEST

/* leak(a) = LeakyRelu(-a, alpha): the call's alpha, the default, the op's own. */
static Bytes leak_model(bool gives, bool has_default) {
    Bytes g = graph_of("2"), f = new_function("Leak", "a", "b", has_default ? "" : "slope"),
          n = new_node("LeakyRelu", "t", "b"), call = new_call("Leak", "x", "y");
    body(&f, "Neg", "a", "t");
    add_reference(&n, "alpha", "slope", 1);
    body_node(&f, &n);
    if (has_default)
        add_float(&f, 11, "slope", 0.25f);
    if (gives)
        add_float(&call, 5, "slope", 0.5f);
    put_message(&g, 1, &call);
    Bytes m = new_model(&g, 17);
    add_function(&m, &f);
    return m;
}

START_TEST(attributes_are_the_calls) {
    const Bytes given = leak_model(true, true), by_default = leak_model(false, true),
                left_out = leak_model(false, false);
    expect(&given, -0.5, -1);
    expect(&by_default, -0.25, -0.5);
    expect(&left_out, -0.01, -0.02);
}
END_TEST

/* An attribute that is handed on, into a branch of an If as well. */
START_TEST(attributes_reach_nested_calls_and_branches) {
    static const uint8_t yes = 1;
    Bytes g = graph_of("2"), inner = new_function("Inner", "a", "b", "slope"),
          outer = new_function("Outer", "a c", "b", "k"), call = new_call("Outer", "x c", "y"),
          leaky = new_node("LeakyRelu", "n", "r"), branch = {.len = 0}, other = {.len = 0},
          choice = new_node("If", "c", "b"), step = new_call("Inner", "n", "r");
    add_reference(&leaky, "alpha", "slope", 1);
    body(&inner, "Identity", "a", "n");
    body_node(&inner, &leaky);
    body(&inner, "Identity", "r", "b");
    add_reference(&step, "slope", "k", 1);
    add_node(&branch, "Neg", "a", "n");
    put_message(&branch, 1, &step);
    add_value(&branch, 12, "r", "2");
    add_node(&other, "Identity", "a", "r");
    add_value(&other, 12, "r", "2");
    add_graph(&choice, "then_branch", &branch);
    add_graph(&choice, "else_branch", &other);
    body_node(&outer, &choice);
    add_float(&call, 5, "k", 0.125f);
    add_tensor(&g, "c", 9, NULL, 0, &yes, 1);
    put_message(&g, 1, &call);
    Bytes m = new_model(&g, 17);
    add_function(&m, &outer);
    add_function(&m, &inner);
    expect(&m, -0.125, -0.25);
}
END_TEST

/* clip(a, low, high) with what the call leaves out; an output that nobody wants. */
START_TEST(operands_may_be_absent) {
    static const float one_and_half = 1.5f;
    Bytes g = graph_of("2"), f = new_function("Bound", "a low high", "b c", "");
    body(&f, "Clip", "a low high", "b");
    body(&f, "Neg", "a", "c");
    add_tensor(&g, "w", 1, NULL, 0, &one_and_half, 4);
    add_call(&g, "Bound", "x - w", "s");
    add_call(&g, "Bound", "s w", "t -");
    add_call(&g, "Bound", "t", "- y");
    Bytes m = new_model(&g, 17);
    add_function(&m, &f);
    expect(&m, -1.5, -1.5);
}
END_TEST

/* Softmax of opset 12 flattens what follows its axis, that of 13 does not. */
START_TEST(a_function_has_its_own_versions) {
    const double e = 2.718281828459045, all = 1 + e + e * e + e * e * e;
    Bytes g = graph_of("1x2x2"), f = new_function("Old", "a", "b", ""),
          n = new_node("Softmax", "a", "b");
    add_int(&n, "axis", 1);
    body_node(&f, &n);
    import_opset(&f, 12);
    add_call(&g, "Old", "x", "y");
    Bytes m = new_model(&g, 17);
    add_function(&m, &f);
    setup();
    expect_result(&m, 3, (int64_t[]){1, 2, 2},
                  (double[]){1 / all, e / all, e * e / all, e * e * e / all}, 4);
}
END_TEST

/* Same name, another overload. */
START_TEST(overloads_are_told_apart) {
    Bytes g = graph_of("2"), plain = new_function("F", "a", "b", ""),
          second = new_function("F", "a", "b", ""), call = new_call("F", "x", "y");
    body(&plain, "Identity", "a", "b");
    body(&second, "Neg", "a", "b");
    put_string(&second, 13, "negative");
    put_string(&call, 8, "negative");
    put_message(&g, 1, &call);
    Bytes m = new_model(&g, 17);
    add_function(&m, &plain);
    add_function(&m, &second);
    expect(&m, -1, -2);
}
END_TEST

static void expect_bad(const Bytes *f, const char *inputs, const char *outputs, const char *words) {
    Bytes g = graph_of("2");
    setup();
    add_call(&g, "F", inputs, outputs);
    Bytes m = new_model(&g, 17);
    add_function(&m, f);
    expect_refusal(&m, LT_MALFORMED, words);
}

START_TEST(bad_calls_are_refused) {
    Bytes f = new_function("F", "a", "b", "");
    body(&f, "Neg", "a", "b");
    expect_bad(&f, "x x", "y", "y (F): error: it has 2 inputs; the function has 1");
    expect_bad(&f, "x", "y z", "it has 2 outputs; the function has 1");
    expect_bad(&f, "w", "y", "y (F): error: input 0, 'w', is not defined");
    f = new_function("F", "a", "b", "");
    body(&f, "Neg", "x", "b");
    expect_bad(&f, "x", "y", "y/b (Neg): error: input 0, 'x', is not defined");
    f = new_function("F", "a", "b", "");
    expect_bad(&f, "x", "y", "output 'b' of the function is not defined by any of its nodes");
    f = new_function("F", "a c", "c", "");
    expect_bad(&f, "x", "y", "output 'c' of the function is an input that is left out");
    f = new_function("F", "a c", "b", "");
    body(&f, "Add", "a c", "b");
    expect_bad(&f, "x", "y", "y/b (Add): error: input 1, 'c', is left out by the call");
    f = new_function("F", "a a", "b", "");
    body(&f, "Neg", "a", "b");
    expect_bad(&f, "x x", "y", "input 'a' of the function is declared twice");
    f = new_function("F", "a", "b", "");
    Bytes again = new_call("F", "a", "b");
    body_node(&f, &again);
    expect_bad(&f, "x", "y", "y/b (F): error: the function calls itself");
    f = new_function("F", "a", "b", "k");
    Bytes n = new_node("LeakyRelu", "a", "b"), g = graph_of("2"), call = new_call("F", "x", "y");
    add_reference(&n, "alpha", "k", 1);
    body_node(&f, &n);
    add_int(&call, "k", 1);
    put_message(&g, 1, &call);
    Bytes m = new_model(&g, 17);
    add_function(&m, &f);
    setup();
    expect_refusal(&m, LT_MALFORMED, "attribute alpha has another type than k of the function");
}
END_TEST

/* 40 functions, each twice the one behind it: a few bytes for 2^40 nodes. */
START_TEST(calls_that_explode_are_refused) {
    char name[16], next[16];
    Bytes g = graph_of("2");
    setup();
    add_call(&g, "F0", "x", "y");
    Bytes m = new_model(&g, 17);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "F%d", i);
        snprintf(next, sizeof next, "F%d", i + 1);
        Bytes f = new_function(name, "a", "b", "");
        for (int j = 0; j < 2; j++) {
            Bytes n = new_call(i < 39 ? next : "F39x", j ? "t" : "a", j ? "b" : "t");
            body_node(&f, &n);
        }
        add_function(&m, &f);
    }
    Bytes last = new_function("F39x", "a", "b", "");
    body(&last, "Identity", "a", "b");
    add_function(&m, &last);
    expect_refusal(&m, LT_UNSUPPORTED, "functions stand for more than");
}
END_TEST

START_TEST(changed_bytes_of_functions_are_read_safely) {
    Bytes m = leak_model(true, true);
    change_every_byte(&m);
}
END_TEST

/* --- sparse tensors --- */

/* SparseTensorProto of two values of f32[2,2]. */
static Bytes sparse_of(const int64_t *places, int64_t width) {
    static const float values[] = {5, 7};
    Bytes s = {.len = 0}, v = new_tensor("w", 1, (int64_t[]){2}, 1),
          at = new_tensor("", 7, (int64_t[]){2, width}, width > 1 ? 2 : 1);
    put_bytes(&v, 9, values, sizeof values);
    put_bytes(&at, 9, places, (size_t)width * 16);
    put_message(&s, 1, &v);
    put_message(&s, 2, &at);
    put_int(&s, 3, 2);
    put_int(&s, 3, 2);
    return s;
}

START_TEST(sparse_tensors_are_written_out) {
    const Bytes flat = sparse_of((int64_t[]){1, 2}, 1),
                wide = sparse_of((int64_t[]){0, 0, 1, 1}, 2);
    Bytes g = graph_of("2x2"), h = graph_of("2x2"), n = new_node("Constant", "", "w"),
          a = {.len = 0};
    setup();
    put_message(&g, 15, &flat);
    add_node(&g, "Add", "x w", "y");
    EXPECT(g, 17, DIMS(2, 2), 1, 7, 10, 4);
    setup();
    put_string(&a, 1, "sparse_value");
    put_message(&a, 22, &wide);
    put_int(&a, 20, 11);
    put_message(&n, 5, &a);
    put_message(&h, 1, &n);
    add_node(&h, "Add", "x w", "y");
    EXPECT(h, 17, DIMS(2, 2), 6, 2, 3, 11);
}
END_TEST

START_TEST(bad_sparse_tensors_are_refused) {
    static const int64_t outside[][4] = {{1, 4}, {-1, 0}, {0, 0, 0, 2}};
    for (int i = 0; i < 3; i++) {
        Bytes g = graph_of("2x2"), s = sparse_of(outside[i], i == 2 ? 2 : 1);
        setup();
        put_message(&g, 15, &s);
        add_node(&g, "Add", "x w", "y");
        Bytes m = new_model(&g, 17);
        expect_refusal(&m, LT_MALFORMED, "of sparse tensor 'w' lies outside of its dims");
    }
    Bytes g = graph_of("2x2"), s = {.len = 0}, v = new_tensor("w", 1, (int64_t[]){2}, 1);
    put_message(&s, 1, &v);
    put_message(&g, 15, &s);
    Bytes m = new_model(&g, 17);
    setup();
    expect_refusal(&m, LT_MALFORMED, "a sparse tensor lacks its values or indices");
}
END_TEST

LT_TEST_MAIN("test_onnx_functions", each_call_has_its_names, attributes_are_the_calls,
             attributes_reach_nested_calls_and_branches, operands_may_be_absent,
             a_function_has_its_own_versions, overloads_are_told_apart, bad_calls_are_refused,
             calls_that_explode_are_refused, changed_bytes_of_functions_are_read_safely,
             sparse_tensors_are_written_out, bad_sparse_tensors_are_refused)
