/* onnx_fixture.h - what the tests of the ONNX reader share: reading a model from memory, what is
 * said of it, and what it computes. */
#ifndef LATHE_TESTS_ONNX_FIXTURE_H
#define LATHE_TESTS_ONNX_FIXTURE_H

#include "frontends/import.h"
#include "frontends/onnx/status.h"
#include "ir/build.h"
#include "ir/eval.h"
#include "tests/test.h"
#include "tests/unit/onnx_writer.h"

static Arena arena;
static DiagList *diags;

static inline void setup(void) {
    lt_arena_free(&arena);
    lt_arena_init(&arena);
}

static inline Module *import_model(const Bytes *m, const ImportOptions *options) {
    uint8_t *copy = lt_arena_copy(&arena, m->data, m->len + 1);
    return lt_import_onnx(&arena, "/nowhere/model.onnx", copy, m->len, options, &diags);
}

static inline const char *all_text(void) {
    Str text;
    lt_str_init(&text, &arena);
    for (size_t i = 0; i < diags->items.len; i++)
        lt_str_printf(&text, "%s\n", lt_diag_format(diags, &diags->items.data[i], false));
    return text.text;
}

static inline void expect_refusal(const Bytes *m, int status, const char *words) {
    Module *found = import_model(m, NULL);
    ck_assert_msg(!found, "was imported; expected: %s", words);
    ck_assert_msg(strstr(all_text(), words), "expected '%s' in: %s", words, all_text());
    ck_assert_int_eq(lt_diag_status(diags), status);
}

/* x [dims] -> nodes made by `fill` -> y */
static inline Bytes graph_of(const char *dims) {
    Bytes g = {.len = 0};
    add_value(&g, 11, "x", dims);
    add_value(&g, 12, "y", dims);
    return g;
}

/* x [2] + w, whose elements lie in a file. */
static inline Bytes external_model(const char *location, const char *offset,
                                   const char *length) {
    Bytes g = graph_of("2"), t = new_tensor("w", 1, (int64_t[]){2}, 1);
    const char *const entries[][2] = {
        {"location", location}, {"offset", offset}, {"length", length}};
    for (size_t i = 0; i < 3; i++) {
        Bytes entry = {.len = 0};
        put_string(&entry, 1, entries[i][0]);
        put_string(&entry, 2, entries[i][1]);
        put_message(&t, 13, &entry);
    }
    put_int(&t, 14, 1);
    put_message(&g, 5, &t);
    add_node(&g, "Add", "x w", "y");
    return new_model(&g, 17);
}

/* Each byte in turn gets other values: the reader may accept or refuse, and says why when it
 * refuses. */
static inline void change_every_byte(Bytes *m) {
    static const uint8_t changes[] = {0xff, 0x80, 0x01, 0x07};
    for (size_t i = 0; i < m->len; i++) {
        for (size_t j = 0; j < sizeof changes; j++) {
            setup();
            m->data[i] ^= changes[j];
            Module *found = import_model(m, NULL);
            ck_assert(found || lt_diag_status(diags) != 0);
            m->data[i] ^= changes[j];
        }
    }
}

/* Runs the model on x = 1, 2, 3, ... and compares y. */
static inline void expect_result(const Bytes *m, int rank, const int64_t *dims, const double *y,
                                 int64_t count) {
    Module *found = import_model(m, NULL);
    ck_assert_msg(found, "%s", all_text());
    ck_assert_msg(lt_module_verify(found), "%s", all_text());
    Tensor *x = lt_tensor_new(&arena, DT_F32, rank, dims);
    for (int64_t i = 0; i < lt_tensor_elements(x); i++)
        lt_tensor_set_float(x, i, (double)i + 1);
    const Tensor *inputs[] = {x}, *outputs[1];
    Evaluation ev = {0};
    ck_assert_msg(lt_eval_module(&ev, &arena, found, inputs, outputs), "%s", ev.error);
    ck_assert_int_eq(lt_tensor_elements(outputs[0]), count);
    for (int64_t i = 0; i < count; i++)
        ck_assert_double_eq_tol(lt_tensor_get_float(outputs[0], i), y[i], 1e-5);
}
#define EXPECT(g, opset, dims, ...) \
    do { \
        const double lt_y[] = {__VA_ARGS__}; \
        const int64_t lt_dims[] = dims; \
        Bytes lt_m = new_model(&(g), opset); \
        expect_result(&lt_m, sizeof lt_dims / 8, lt_dims, lt_y, sizeof lt_y / 8); \
    } while (0)
#define DIMS(...) \
    { __VA_ARGS__ }

#endif
