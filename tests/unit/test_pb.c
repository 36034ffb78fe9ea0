/* test_pb.c - the protobuf reader: what it reads, and that nothing outside of a message is ever
 * touched. */
#include "frontends/onnx/pb.h"

#include "tests/test.h"

typedef struct Case {
    const char *bytes;
    size_t len;
    const char *error; /* NULL: reads well */
    size_t offset;
} Case;

#define BYTES(text) text, sizeof(text) - 1

/* Reads all fields of the outermost message. */
static size_t count_fields(const uint8_t *data, size_t len, PbError *error) {
    Pb pb = lt_pb_open(data, len, error);
    PbField field;
    size_t count = 0;
    while (lt_pb_next(&pb, &field))
        count++;
    return count;
}

START_TEST(reads_every_wire_type) {
    static const uint8_t data[] = {0x08, 0x96, 0x01, 0x15, 0, 0,    0x80, 0x3f, 0x19, 1,   0,
                                   0,    0,    0,    0,    0, 0x80, 0x22, 0x03, 'a',  'b', 'c'};
    PbError error = {0};
    Pb pb = lt_pb_open(data, sizeof data, &error);
    PbField field;
    Arena arena;
    lt_arena_init(&arena);
    ck_assert(lt_pb_next(&pb, &field));
    ck_assert_int_eq(field.number, 1);
    ck_assert_int_eq(lt_pb_int(&pb, &field), 150);
    ck_assert(lt_pb_next(&pb, &field));
    ck_assert_float_eq(lt_pb_float(&pb, &field), 1.0f);
    ck_assert(lt_pb_next(&pb, &field));
    ck_assert_uint_eq(field.value, UINT64_C(0x8000000000000001));
    ck_assert(lt_pb_next(&pb, &field));
    ck_assert_str_eq(lt_pb_string(&pb, &field, &arena), "abc");
    ck_assert(!lt_pb_next(&pb, &field));
    ck_assert_ptr_null(error.text);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(negative_numbers_have_ten_bytes) {
    static const uint8_t data[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0x01};
    PbError error = {0};
    Pb pb = lt_pb_open(data, sizeof data, &error);
    PbField field;
    ck_assert(lt_pb_next(&pb, &field));
    ck_assert_int_eq(lt_pb_int(&pb, &field), -1);
}
END_TEST

static const Case broken[] = {
    {BYTES("\x08"), "cut off", 1},
    {BYTES("\x08\x80\x80"), "cut off", 1},
    {BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "more than 64 bits", 1},
    {BYTES("\x08\x01\x15\x01\x02\x03"), "cut off", 3},
    {BYTES("\x19\x01\x02"), "cut off", 1},
    {BYTES("\x0a\x05"
           "abc"),
     "longer than what contains it", 1},
    {BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "longer than what contains it", 1},
    {BYTES("\x08\x01\x0b\x01"), "wire type", 2},
    {BYTES("\x0e"), "wire type", 0},
    {BYTES("\x00\x01"), "field number", 0},
};

START_TEST(errors_name_the_byte) {
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        PbError error = {0};
        count_fields((const uint8_t *)broken[i].bytes, broken[i].len, &error);
        ck_assert_msg(error.text && strstr(error.text, broken[i].error), "case %zu: %s", i,
                      error.text ? error.text : "no error");
        ck_assert_uint_eq(error.offset, broken[i].offset);
    }
}
END_TEST

START_TEST(repeated_fields_may_be_packed_or_not) {
    static const uint8_t data[] = {0x0a, 0x03, 0x01, 0x96, 0x01, 0x08, 0x07, 0x12, 0x04,
                                   1,    0,    0,    0,    0x15, 2,    0,    0,    0};
    PbError error = {0};
    Pb pb = lt_pb_open(data, sizeof data, &error);
    PbField field;
    Arena arena;
    PbInts ints = {0};
    PbWords32 words = {0};
    lt_arena_init(&arena);
    while (lt_pb_next(&pb, &field))
        ck_assert(field.number == 1 ? lt_pb_ints(&pb, &field, &arena, &ints)
                                    : lt_pb_words32(&pb, &field, &arena, &words));
    ck_assert_uint_eq(ints.len, 3);
    ck_assert_int_eq(ints.data[1], 150);
    ck_assert_int_eq(ints.data[2], 7);
    ck_assert_uint_eq(words.len, 2);
    ck_assert_uint_eq(words.data[1], 2);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(packed_words_need_whole_words) {
    static const uint8_t data[] = {0x0a, 0x03, 1, 2, 3};
    PbError error = {0};
    Pb pb = lt_pb_open(data, sizeof data, &error);
    PbField field;
    Arena arena;
    PbWords32 words = {0};
    PbWords64 longs = {0};
    lt_arena_init(&arena);
    ck_assert(lt_pb_next(&pb, &field));
    ck_assert(!lt_pb_words32(&pb, &field, &arena, &words));
    ck_assert(!lt_pb_words64(&pb, &field, &arena, &longs));
    ck_assert_str_eq(error.text, "a number is cut off");
    lt_arena_free(&arena);
}
END_TEST

START_TEST(another_wire_type_than_expected_is_an_error) {
    static const uint8_t data[] = {0x08, 0x01};
    PbError error = {0};
    Pb pb = lt_pb_open(data, sizeof data, &error);
    PbField field;
    ck_assert(lt_pb_next(&pb, &field));
    Pb inner = lt_pb_message(&pb, &field);
    ck_assert(!lt_pb_next(&inner, &field));
    ck_assert_ptr_nonnull(strstr(error.text, "wire type"));
}
END_TEST

/* Messages of one field, each inside the next: the innermost is read only while the depth allows.
 */
START_TEST(depth_is_limited) {
    uint8_t data[2 * 100];
    PbError error = {0};
    for (size_t i = 0; i < 100; i++) {
        data[2 * i] = 0x0a;
        data[2 * i + 1] = (uint8_t)(2 * (99 - i) > 127 ? 0 : 2 * (99 - i));
    }
    Pb pb =
        lt_pb_open(data + 72, sizeof data - 72, &error); /* 64 levels: each length is one byte */
    PbField field;
    int depth = 0;
    while (lt_pb_next(&pb, &field)) {
        pb = lt_pb_message(&pb, &field);
        depth++;
    }
    ck_assert_int_eq(depth, 64);
    ck_assert_ptr_null(error.text);
    pb = lt_pb_open(data + 72, sizeof data - 72, &error);
    pb.depth = 10;
    while (lt_pb_next(&pb, &field))
        pb = lt_pb_message(&pb, &field);
    ck_assert_str_eq(error.text, "messages are nested too deeply");
}
END_TEST

START_TEST(a_name_with_nul_is_refused) {
    static const uint8_t data[] = {0x0a, 0x03, 'a', 0, 'b'};
    PbError error = {0};
    Pb pb = lt_pb_open(data, sizeof data, &error);
    PbField field;
    Arena arena;
    lt_arena_init(&arena);
    ck_assert(lt_pb_next(&pb, &field));
    ck_assert_str_eq(lt_pb_string(&pb, &field, &arena), "");
    ck_assert_ptr_nonnull(error.text);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_pb", reads_every_wire_type, negative_numbers_have_ten_bytes,
             errors_name_the_byte, repeated_fields_may_be_packed_or_not,
             packed_words_need_whole_words, another_wire_type_than_expected_is_an_error,
             depth_is_limited, a_name_with_nul_is_refused)
