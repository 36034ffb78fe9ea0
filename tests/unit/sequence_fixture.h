/* sequence_fixture.h - models of sequences, optionals and strings: written, compiled, run, and
 * compared with answers that are known and with the evaluator's.
 *
 * Values are texts: elements behind one another, each its extents and its numbers,
 * "2:1 2; 0:; 2x2:1 2 3 4; :5"; "none" is an optional without a value. A tensor of strings is its
 * extents and its elements, "3:one|two|". */
#ifndef LATHE_TESTS_SEQUENCE_FIXTURE_H
#define LATHE_TESTS_SEQUENCE_FIXTURE_H

#include <ctype.h>

#include "frontends/import.h"
#include "ir/eval.h"
#include "tests/test.h"
#include "tests/unit/onnx_writer.h"
#include "tools/compile.h"
#include "tools/value_pb.h"

enum { OPSET = 20, ML_OPSET = 4, MOST_VALUES = 8, FLOATS = 1, INTS = 7, STRINGS = 8, BOOLS = 9 };

static Arena arena;
static char folder[64];

static inline void setup(void) {
    lt_arena_free(&arena);
    lt_arena_init(&arena);
    lt_test_mkdtemp(folder);
}

static inline void teardown(void) { lt_test_rmdir(folder); }

/* --- models ----------------------------------------------------------------------------------- */

/* A type of tensor, "" a scalar, NULL of no rank; then what is made of it. */
static inline Bytes tensor_type(int elements, const char *dims) {
    Bytes type = {.len = 0}, tensor = {.len = 0}, shape = {.len = 0};
    put_int(&tensor, 1, elements);
    for (const char *at = dims; at && *at;) {
        Bytes dim = {.len = 0};
        char name[32] = "";
        sscanf(at, "%31[^x]", name);
        if (isdigit((unsigned char)*name))
            put_int(&dim, 1, atoi(name));
        else if (*name != '?')
            put_string(&dim, 2, name);
        put_message(&shape, 1, &dim);
        at += strlen(name);
        at += *at == 'x';
    }
    if (dims)
        put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    return type;
}

static inline Bytes type_of(uint32_t field, const Bytes *element) {
    Bytes type = {.len = 0}, inner = {.len = 0};
    put_message(&inner, 1, element);
    put_message(&type, field, &inner);
    return type;
}

static inline Bytes sequence_type(int elements, const char *dims) {
    const Bytes element = tensor_type(elements, dims);
    return type_of(4, &element);
}

static inline Bytes optional_type(const Bytes *element) { return type_of(9, element); }

enum { INPUT = 11, OUTPUT = 12 };

static inline void declare(Bytes *graph, uint32_t field, const char *name, Bytes type) {
    Bytes value = {.len = 0};
    put_string(&value, 1, name);
    put_message(&value, 2, &type);
    put_message(graph, field, &value);
}

static inline void add_node_int(Bytes *graph, const char *op, const char *names,
                                const char *attribute, int64_t value) {
    char inputs[64] = "", outputs[64] = "";
    sscanf(names, "%63[^>]> %63[^\n]", inputs, outputs);
    Bytes n = new_node(op, inputs, outputs);
    if (*attribute)
        add_int(&n, attribute, value);
    put_message(graph, 1, &n);
}

/* --- texts and values --- */

/* The extents before ':'; *rest: what is behind. */
static inline HostTensor read_extents(const char *text, lathe_dtype dtype, char **rest) {
    HostTensor t = {.dtype = dtype};
    char *end = (char *)text;
    while (*end != ':') {
        t.dims[t.rank++] = strtoll(end, &end, 10);
        end += *end == 'x';
    }
    ck_assert(lt_host_tensor_bytes(&t, &t.bytes));
    t.data = lt_arena_alloc(&arena, t.bytes + 1);
    *rest = end + 1;
    return t;
}

static inline HostTensor read_element(const char *text, lathe_dtype dtype) {
    char *end;
    const HostTensor t = read_extents(text, dtype, &end);
    for (int64_t i = 0; i < lt_host_tensor_count(&t); i++) {
        const double number = strtod(end, &end);
        switch (dtype) {
        case LATHE_F32: ((float *)t.data)[i] = (float)number; break;
        case LATHE_I64: ((int64_t *)t.data)[i] = (int64_t)number; break;
        default: ((uint8_t *)t.data)[i] = number != 0;
        }
    }
    return t;
}

static inline HostValue read_strings(const char *text) {
    HostValue v = {.elements = LT_ARRAY(&arena, HostTensor, 2), .count = 2};
    HostTensor *bytes = &v.elements[0], *lengths = &v.elements[1];
    char *at;
    *lengths = read_extents(text, LATHE_I64, &at);
    *bytes = (HostTensor){.dtype = LATHE_U8, .rank = 1, .data = lt_arena_alloc(&arena, 4096)};
    for (int64_t i = 0; i < lt_host_tensor_count(lengths); i++) {
        const size_t length = strcspn(at, "|");
        memcpy((char *)bytes->data + bytes->dims[0], at, length);
        ((int64_t *)lengths->data)[i] = (int64_t)length;
        bytes->dims[0] += (int64_t)length;
        at += length + (at[length] == '|');
    }
    ck_assert_int_eq(*at, 0);
    bytes->bytes = (size_t)bytes->dims[0];
    return v;
}

static inline const char *text_of_strings(const HostValue *v) {
    const HostTensor *lengths = &v->elements[1];
    const char *at = v->elements[0].data, *end = at + v->elements[0].dims[0];
    Str text;
    lt_str_init(&text, &arena);
    for (int32_t axis = 0; axis < lengths->rank; axis++)
        lt_str_printf(&text, "%s%d", axis ? "x" : "", (int)lengths->dims[axis]);
    lt_str_char(&text, ':');
    for (int64_t i = 0; i < lt_host_tensor_count(lengths); i++) {
        const int64_t length = ((const int64_t *)lengths->data)[i];
        ck_assert(length >= 0 && length <= end - at);
        lt_str_append(&text, i ? "|" : "");
        lt_str_append_n(&text, at, (size_t)length);
        at += length;
    }
    ck_assert_ptr_eq(at, end);
    return v->is_absent ? "none" : text.text;
}

static inline HostValue read_text(const char *text, const ValueSlot *slot) {
    HostValue v = {.elements = LT_ARRAY(&arena, HostTensor, MOST_VALUES)};
    const lathe_dtype dtype = slot->info[slot->is_optional]->dtype;
    char *rest = lt_arena_strdup(&arena, text), *part;
    if (strcmp(text, "none") == 0)
        return (HostValue){.is_absent = true};
    if (slot->is_strings)
        return read_strings(text);
    while ((part = strsep(&rest, ";")))
        if (strchr(part, ':'))
            v.elements[v.count++] = read_element(part + strspn(part, " "), dtype);
    return v;
}

static inline const char *text_of(const HostValue *v) {
    Str text;
    lt_str_init(&text, &arena);
    for (uint32_t i = 0; i < v->count; i++) {
        const HostTensor *t = &v->elements[i];
        lt_str_append(&text, i ? "; " : "");
        for (int32_t axis = 0; axis < t->rank; axis++)
            lt_str_printf(&text, "%s%d", axis ? "x" : "", (int)t->dims[axis]);
        lt_str_char(&text, ':');
        for (int64_t j = 0; j < lt_host_tensor_count(t); j++) {
            const double number = t->dtype == LATHE_F32   ? (double)((float *)t->data)[j]
                                  : t->dtype == LATHE_I64 ? (double)((int64_t *)t->data)[j]
                                                          : ((uint8_t *)t->data)[j];
            lt_str_printf(&text, "%s%g", j ? " " : "", number);
        }
    }
    return v->is_absent ? "none" : text.text;
}

/* --- running ---------------------------------------------------------------------------------- */

typedef struct Running {
    Bytes bytes;
    lathe_model *model;
    lathe_context *context;
    const Tensor *inputs[3 * MOST_VALUES];
    HostTensor members[3 * MOST_VALUES];
} Running;

/* Compiles; the exit code. */
static inline int compile(Running *r, const Bytes *graph) {
    const CompileOptions options = {.pass_limit = -1, .quiet = true, .verify = true};
    const char *path = lt_arena_printf(&arena, "%s/m.onnx", folder);
    const char *artifact = lt_arena_printf(&arena, "%s/m.so", folder);
    Compilation c;
    r->bytes = new_model(graph, OPSET);
    add_opset(&r->bytes, "ai.onnx.ml", ML_OPSET);
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(r->bytes.data, 1, r->bytes.len, f) == r->bytes.len && fclose(f) == 0);
    lt_compile_init(&c, path, &options);
    const int code = lt_compile_run(&c, artifact);
    lt_compile_free(&c);
    if (code)
        return code;
    const lathe_context_options one = {.struct_size = sizeof one, .threads = 1};
    ck_assert_msg(!lathe_model_open(artifact, NULL, &r->model), "%s", lathe_last_error());
    ck_assert(!lathe_context_new(r->model, &one, &r->context));
    return 0;
}

static inline void set_inputs(Running *r, const char *const *texts) {
    const char *error = "";
    uint32_t at = 0;
    for (; at < lathe_input_count(r->model); texts++) {
        const ValueSlot slot = lt_input_slot(&arena, r->model, at);
        const HostValue value = read_text(*texts, &slot);
        ck_assert_msg(!lt_value_pack(&arena, &slot, &value, r->members + at, &error), "%s", error);
        for (uint32_t i = 0; i < slot.count; i++, at++) {
            const HostTensor *t = &r->members[at];
            Tensor *copy = lt_tensor_new(&arena, (DType)t->dtype, t->rank, t->dims);
            memcpy(copy->data, t->data, t->bytes);
            r->inputs[at] = copy;
            const lathe_tensor given = {.data = t->data,
                                        .dtype = t->dtype,
                                        .rank = t->rank,
                                        .dims = t->dims,
                                        .device = {LATHE_CPU, 0}};
            ck_assert_msg(!lathe_set_input(r->context, at, &given), "%s",
                          lathe_context_error(r->context));
        }
    }
}

/* The evaluator has the same bytes in the outputs. */
static inline void check_evaluator(Running *r) {
    DiagList *diags;
    Evaluation ev;
    const Tensor *found[3 * MOST_VALUES];
    Module *m = lt_import_onnx(&arena, "m.onnx", r->bytes.data, r->bytes.len, NULL, &diags);
    ck_assert(m && lt_infer_graph(m->main) && lt_module_verify(m));
    ck_assert_msg(lt_eval_module(&ev, &arena, m, r->inputs, found), "%s", ev.error);
    for (uint32_t i = 0; i < lathe_output_count(r->model); i++) {
        lathe_tensor t;
        ck_assert(!lathe_get_output(r->context, i, &t));
        ck_assert_int_eq(t.rank, found[i]->rank);
        for (int32_t axis = 0; axis < t.rank; axis++)
            ck_assert_int_eq(t.dims[axis], found[i]->dims[axis]);
        ck_assert(lt_tensor_bytes(found[i]) == 0 ||
                  memcmp(t.data, found[i]->data, lt_tensor_bytes(found[i])) == 0);
    }
}

/* Inputs, then what the outputs are; or "!" and words of why the run fails. */
typedef struct Try {
    const char *inputs[MOST_VALUES], *outputs[MOST_VALUES + 1];
} Try;

static inline void check_outputs(Running *r, const Try *t) {
    const char *error = "";
    uint32_t at = 0;
    for (const char *const *wanted = t->outputs; *wanted; wanted++) {
        ck_assert(at < lathe_output_count(r->model));
        const ValueSlot slot = lt_output_slot(&arena, r->model, at);
        lathe_tensor members[SLOT_MEMBERS];
        HostValue found;
        for (uint32_t i = 0; i < slot.count; i++)
            ck_assert(!lathe_get_output(r->context, at++, &members[i]));
        ck_assert_msg(!lt_value_unpack(&arena, &slot, members, &found, &error), "%s", error);
        ck_assert_str_eq(slot.is_strings ? text_of_strings(&found) : text_of(&found), *wanted);
    }
    ck_assert_int_eq(at, lathe_output_count(r->model));
    check_evaluator(r);
}

static inline void check_model(const Bytes *graph, const Try *tries, size_t count) {
    Running r = {.model = NULL};
    ck_assert_int_eq(compile(&r, graph), 0);
    for (size_t i = 0; i < count; i++) {
        set_inputs(&r, tries[i].inputs);
        const lathe_status status = lathe_run(r.context);
        const char *words = tries[i].outputs[0];
        if (*words != '!') {
            ck_assert_msg(!status, "%zu: %s", i, lathe_context_error(r.context));
            check_outputs(&r, &tries[i]);
            continue;
        }
        ck_assert_msg(status, "%zu ran; expected: %s", i, words);
        ck_assert_msg(strstr(lathe_context_error(r.context), words + 1), "%zu: %s", i,
                      lathe_context_error(r.context));
    }
    lathe_context_free(r.context);
    lathe_model_close(r.model);
}

#define CHECK_MODEL(graph, tries) check_model(&(graph), tries, sizeof(tries) / sizeof *(tries))

#endif
