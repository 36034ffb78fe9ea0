/* test_npy.c - reading .npy and TensorProto files, good, strange and broken. */
#include <stdint.h>

#include "tests/test.h"
#include "tools/npy.h"
#include "tools/tensor_pb.h"

static Arena arena;

/* A .npy file with this header text and these bytes behind it. */
static const uint8_t *npy_bytes(const char *header, const void *payload, size_t bytes,
                                size_t *size) {
    size_t len = strlen(header);
    uint8_t *data = lt_arena_alloc(&arena, 10 + len + bytes);
    memcpy(data, "\x93NUMPY\x01\x00", 8);
    data[8] = (uint8_t)len;
    data[9] = (uint8_t)(len >> 8);
    memcpy(data + 10, header, len);
    memcpy(data + 10 + len, payload, bytes);
    *size = 10 + len + bytes;
    return data;
}

static lathe_status parse(const char *header, const void *payload, size_t bytes, HostTensor *out) {
    size_t size;
    const char *error = NULL;
    const uint8_t *data = npy_bytes(header, payload, bytes, &size);
    lathe_status status = lt_npy_parse(&arena, data, size, out, &error);
    ck_assert_msg((status != LATHE_OK) == (error != NULL), "%s", header);
    return status;
}

START_TEST(writes_what_it_reads) {
    char folder[64], path[128];
    uint8_t bytes[24 * 8];
    const char *error;
    lt_arena_init(&arena);
    lt_test_mkdtemp(folder);
    snprintf(path, sizeof path, "%s/a.npy", folder);
    for (int dtype = 0; dtype < LATHE_DTYPE_LIMIT; dtype++)
        for (int32_t rank = 0; rank <= LATHE_MAX_RANK; rank++) {
            HostTensor tensor = {.dtype = (lathe_dtype)dtype, .rank = rank, .data = bytes}, back;
            for (int32_t axis = 0; axis < rank; axis++)
                tensor.dims[axis] = axis < 3 ? axis + 2 : 1;
            for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = dtype == LATHE_BOOL ? i % 2 : (uint8_t)(i * 7);
            ck_assert(lt_host_tensor_bytes(&tensor, &tensor.bytes));
            ck_assert(lt_npy_write(&arena, path, &tensor));
            ck_assert_int_eq(lt_npy_read(&arena, path, &back, &error), LATHE_OK);
            ck_assert(lt_npy_same_code(back.dtype, tensor.dtype));
            ck_assert_int_eq(back.rank, rank);
            ck_assert_mem_eq(back.dims, tensor.dims, sizeof tensor.dims);
            ck_assert_uint_eq(back.bytes, tensor.bytes);
            ck_assert_mem_eq(back.data, bytes, tensor.bytes);
            size_t size;
            lt_test_read_file(&arena, path, &size);
            ck_assert_uint_eq((size - tensor.bytes) % 64, 0);
        }
    ck_assert_int_eq(lt_npy_read(&arena, "/nonexistent.npy", &(HostTensor){0}, &error), LATHE_IO);
    lt_test_rmdir(folder);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(reads_strange_but_good_headers) {
    HostTensor out;
    static const uint8_t big_endian[] = {0x3f, 0x80, 0, 0, 0x40, 0, 0, 0};
    static const int32_t columns[] = {1, 4, 2, 5, 3, 6}, rows[] = {1, 2, 3, 4, 5, 6};
    static const uint8_t flags[] = {0, 2, 255};
    static const uint8_t expected_flags[] = {0, 1, 1};
    lt_arena_init(&arena);
    ck_assert_int_eq(
        parse("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }\n", big_endian, 8, &out),
        0);
    ck_assert_float_eq(((float *)out.data)[0], 1);
    ck_assert_float_eq(((float *)out.data)[1], 2);
    ck_assert_int_eq(
        parse("{'shape':(2,3),'fortran_order':True,\"descr\":'<i4'}", columns, 24, &out), 0);
    ck_assert_mem_eq(out.data, rows, 24);
    ck_assert_int_eq(
        parse("{'descr': '|b1', 'fortran_order': False, 'shape': (3)}", flags, 3, &out), 0);
    ck_assert_mem_eq(out.data, expected_flags, 3);
    ck_assert_int_eq(
        parse("{'descr': '<i8', 'fortran_order': False, 'shape': (4, 0, 5)}", "", 0, &out), 0);
    ck_assert_uint_eq(out.bytes, 0);
    ck_assert_int_eq(parse("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", rows, 8, &out),
                     0);
    ck_assert_int_eq(out.rank, 0);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(refuses_malformed_headers) {
    static const char *const headers[] = {
        "",
        "{",
        "{}",
        "[]",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4<f4<f4<f4<f4<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 9)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
    };
    HostTensor out;
    lt_arena_init(&arena);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        ck_assert_msg(parse(headers[i], "12345678", 8, &out) == LATHE_MALFORMED, "%s", headers[i]);
    static const char *const types[] = {"<c8", "<U4", "|O", "<f3", "f4", "", "<M8[s]"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *header = lt_arena_printf(
            &arena, "{'descr': '%s', 'fortran_order': False, 'shape': (1,)}", types[i]);
        ck_assert_msg(parse(header, "12345678", 8, &out) == LATHE_UNSUPPORTED, "%s", header);
    }
    lt_arena_free(&arena);
}
END_TEST

/* Every prefix of a good file, and every byte of its header changed: an answer, never a crash. */
START_TEST(survives_damage) {
    static const float values[] = {1, 2, 3, 4};
    HostTensor out;
    const char *error;
    size_t size;
    lt_arena_init(&arena);
    const uint8_t *good = npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n",
                                    values, sizeof values, &size);
    for (size_t cut = 0; cut < size; cut++) {
        void *copy = lt_arena_copy(&arena, good, cut);
        ck_assert_int_eq(lt_npy_parse(&arena, copy, cut, &out, &error), LATHE_MALFORMED);
    }
    for (size_t at = 0; at < size - sizeof values; at++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *copy = lt_arena_copy(&arena, good, size);
            copy[at] ^= (uint8_t)(1 << bit);
            lathe_status status = lt_npy_parse(&arena, copy, size, &out, &error);
            ck_assert(status == LATHE_OK || status == LATHE_MALFORMED ||
                      status == LATHE_UNSUPPORTED);
        }
    lt_arena_free(&arena);
}
END_TEST

/* --- TensorProto --- */

#define PARSE_PB(text, out) lt_tensor_pb_parse(&arena, text, sizeof text - 1, out, &error)

START_TEST(reads_tensor_protos) {
    HostTensor out;
    const char *error;
    static const float floats[] = {1, 2};
    lt_arena_init(&arena);
    /* dims [2] (field 1), type float (2), raw_data (9) */
    ck_assert_int_eq(PARSE_PB("\x08\x02\x10\x01\x4a\x08\x00\x00\x80\x3f\x00\x00\x00\x40", &out),
                     LATHE_OK);
    ck_assert_mem_eq(out.data, floats, sizeof floats);
    ck_assert_int_eq(out.dims[0], 2);
    /* packed dims [1, 2], float_data (4) packed, a name (8) before */
    ck_assert_int_eq(
        PARSE_PB("\x42\x01x\x0a\x02\x01\x02\x10\x01\x22\x08\x00\x00\x80\x3f\x00\x00\x00\x40", &out),
        LATHE_OK);
    ck_assert_int_eq(out.rank, 2);
    ck_assert_mem_eq(out.data, floats, sizeof floats);
    /* float_data one by one (wire type 5) */
    ck_assert_int_eq(PARSE_PB("\x08\x02\x10\x01\x25\x00\x00\x80\x3f\x25\x00\x00\x00\x40", &out),
                     LATHE_OK);
    ck_assert_mem_eq(out.data, floats, sizeof floats);
    /* i64: -1 as a ten-byte varint, and 300 */
    ck_assert_int_eq(
        PARSE_PB("\x08\x02\x10\x07\x3a\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xac\x02", &out),
        LATHE_OK);
    ck_assert_int_eq(((int64_t *)out.data)[0], -1);
    ck_assert_int_eq(((int64_t *)out.data)[1], 300);
    /* bool, i8 and f16 in int32_data; a scalar has no dims */
    ck_assert_int_eq(PARSE_PB("\x10\x09\x28\x01", &out), LATHE_OK);
    ck_assert_int_eq(out.rank, 0);
    ck_assert_int_eq(*(uint8_t *)out.data, 1);
    ck_assert_int_eq(PARSE_PB("\x10\x03\x28\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", &out),
                     LATHE_OK);
    ck_assert_int_eq(*(int8_t *)out.data, -2);
    ck_assert_int_eq(PARSE_PB("\x10\x0a\x28\x80\x78", &out), LATHE_OK);
    ck_assert_int_eq(*(uint16_t *)out.data, 0x3c00);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(refuses_bad_tensor_protos) {
    HostTensor out;
    const char *error;
    lt_arena_init(&arena);
    ck_assert_int_eq(PARSE_PB("", &out), LATHE_UNSUPPORTED);
    ck_assert_int_eq(PARSE_PB("\x08", &out), LATHE_MALFORMED);
    ck_assert_int_eq(PARSE_PB("\x0f", &out), LATHE_MALFORMED);
    ck_assert_int_eq(PARSE_PB("\x08\x02\x10\x08", &out), LATHE_UNSUPPORTED);         /* string */
    ck_assert_int_eq(PARSE_PB("\x08\x02\x10\x01\x70\x01", &out), LATHE_UNSUPPORTED); /* external */
    ck_assert_int_eq(PARSE_PB("\x08\x02\x10\x01\x4a\x04\x00\x00\x80\x3f", &out), LATHE_MALFORMED);
    ck_assert_int_eq(PARSE_PB("\x08\x01\x10\x01\x4a\x08\x00\x00\x80\x3f\x00\x00\x80\x3f", &out),
                     LATHE_MALFORMED);
    ck_assert_int_eq(PARSE_PB("\x08\x01\x10\x01\x4a\x7f\x00", &out), LATHE_MALFORMED);
    ck_assert_int_eq(PARSE_PB("\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x10\x01", &out),
                     LATHE_MALFORMED);
    ck_assert_int_eq(PARSE_PB("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01", &out),
                     LATHE_MALFORMED);
    ck_assert_int_eq(
        PARSE_PB("\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x10\x01",
                 &out),
        LATHE_MALFORMED);
    static const char good[] =
        "\x42\x01x\x0a\x02\x01\x02\x10\x01\x22\x08\x00\x00\x80\x3f\x00\x00\x00\x40";
    for (size_t cut = 0; cut + 1 < sizeof good; cut++)
        ck_assert_int_ne(
            lt_tensor_pb_parse(&arena, lt_arena_copy(&arena, good, cut), cut, &out, &error),
            LATHE_OK);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_npy", writes_what_it_reads, reads_strange_but_good_headers,
             refuses_malformed_headers, survives_damage, reads_tensor_protos,
             refuses_bad_tensor_protos)
