/* onnx_writer.h - writes small ONNX models into memory, right or wrong ones, field by field of
 * onnx.proto3. */
#ifndef LATHE_TESTS_ONNX_WRITER_H
#define LATHE_TESTS_ONNX_WRITER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Bytes {
    uint8_t data[4096];
    size_t len;
} Bytes;

static inline void put_varint(Bytes *b, uint64_t value) {
    for (; value > 0x7f; value >>= 7)
        b->data[b->len++] = (uint8_t)(value | 0x80);
    b->data[b->len++] = (uint8_t)value;
}

static inline void put_int(Bytes *b, uint32_t field, int64_t value) {
    put_varint(b, (uint64_t)field << 3);
    put_varint(b, (uint64_t)value);
}

static inline void put_bytes(Bytes *b, uint32_t field, const void *data, size_t len) {
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, len);
    if (b->len + len > sizeof b->data)
        abort();
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static inline void put_string(Bytes *b, uint32_t field, const char *text) {
    put_bytes(b, field, text, strlen(text));
}

static inline void put_message(Bytes *b, uint32_t field, const Bytes *inner) {
    put_bytes(b, field, inner->data, inner->len);
}

static inline void put_float(Bytes *b, uint32_t field, float value) {
    put_varint(b, (uint64_t)field << 3 | 5);
    memcpy(b->data + b->len, &value, 4);
    b->len += 4;
}

/* --- messages --- */

/* Names separated by blanks; "-" is an empty name. */
static inline void put_names(Bytes *b, uint32_t field, const char *names) {
    char copy[256], *rest = copy, *name;
    snprintf(copy, sizeof copy, "%s", names);
    while ((name = strsep(&rest, " ")))
        if (*name)
            put_string(b, field, strcmp(name, "-") == 0 ? "" : name);
}

/* AttributeProto of type INT, INTS, STRING; added to a NodeProto. */
static inline void add_int(Bytes *node, const char *name, int64_t value) {
    Bytes a = {.len = 0};
    put_string(&a, 1, name);
    put_int(&a, 3, value);
    put_int(&a, 20, 2);
    put_message(node, 5, &a);
}

static inline void add_ints(Bytes *node, const char *name, const int64_t *values, size_t count) {
    Bytes a = {.len = 0};
    put_string(&a, 1, name);
    for (size_t i = 0; i < count; i++)
        put_int(&a, 8, values[i]);
    put_int(&a, 20, 7);
    put_message(node, 5, &a);
}

static inline void add_string(Bytes *node, const char *name, const char *value) {
    Bytes a = {.len = 0};
    put_string(&a, 1, name);
    put_string(&a, 4, value);
    put_int(&a, 20, 3);
    put_message(node, 5, &a);
}

static inline void add_graph(Bytes *node, const char *name, const Bytes *graph) {
    Bytes a = {.len = 0};
    put_string(&a, 1, name);
    put_message(&a, 6, graph);
    put_int(&a, 20, 5);
    put_message(node, 5, &a);
}

static inline Bytes new_node(const char *op, const char *inputs, const char *outputs) {
    Bytes n = {.len = 0};
    put_names(&n, 1, inputs);
    put_names(&n, 2, outputs);
    put_string(&n, 4, op);
    return n;
}

static inline void add_node(Bytes *graph, const char *op, const char *inputs, const char *outputs) {
    Bytes n = new_node(op, inputs, outputs);
    put_message(graph, 1, &n);
}

/* A float input (11) or output (12); dims separated by 'x', a name is a dim_param, "?" unknown. */
static inline void add_value(Bytes *graph, uint32_t field, const char *name, const char *dims) {
    Bytes value = {.len = 0}, type = {.len = 0}, tensor = {.len = 0}, shape = {.len = 0};
    char copy[64], *rest = copy, *part;
    snprintf(copy, sizeof copy, "%s", dims);
    while (*dims && (part = strsep(&rest, "x"))) {
        Bytes dim = {.len = 0};
        char *end;
        long long number = strtoll(part, &end, 10);
        if (!*end)
            put_int(&dim, 1, number);
        else if (*part != '?')
            put_string(&dim, 2, part);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_string(&value, 1, name);
    put_message(&value, 2, &type);
    put_message(graph, field, &value);
}

static inline Bytes new_tensor(const char *name, int type, const int64_t *dims, size_t rank) {
    Bytes t = {.len = 0};
    for (size_t i = 0; i < rank; i++)
        put_int(&t, 1, dims[i]);
    put_int(&t, 2, type);
    put_string(&t, 8, name);
    return t;
}

/* An initializer with raw data. */
static inline void add_tensor(Bytes *graph, const char *name, int type, const int64_t *dims,
                              size_t rank, const void *data, size_t size) {
    Bytes t = new_tensor(name, type, dims, rank);
    put_bytes(&t, 9, data, size);
    put_message(graph, 5, &t);
}

/* A list of i64. */
static inline void add_list(Bytes *graph, const char *name, const int64_t *values, int64_t count) {
    add_tensor(graph, name, 7, &count, 1, values, (size_t)count * 8);
}

static inline void add_opset(Bytes *model, const char *domain, int64_t version) {
    Bytes o = {.len = 0};
    put_string(&o, 1, domain);
    put_int(&o, 2, version);
    put_message(model, 8, &o);
}

static inline Bytes new_model(const Bytes *graph, int64_t opset) {
    Bytes m = {.len = 0};
    put_int(&m, 1, 8);
    put_message(&m, 7, graph);
    add_opset(&m, "", opset);
    return m;
}

#endif
