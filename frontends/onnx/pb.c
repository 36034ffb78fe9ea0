/* pb.c - the protobuf wire format (protobuf.dev/programming-guides/encoding), read with bounds
 * checks. */
#include "frontends/onnx/pb.h"

#include <string.h>

Pb lt_pb_open(const uint8_t *data, size_t size, PbError *error) {
    return (Pb){.data = data, .end = size, .error = error};
}

bool lt_pb_fail(Pb *pb, size_t offset, const char *text) {
    if (!pb->error->text)
        *pb->error = (PbError){.text = text, .offset = offset};
    return false;
}

/* Base 128, least significant group first; at most 10 bytes, of which the last holds one bit. */
static bool read_varint(Pb *pb, uint64_t *out) {
    uint64_t value = 0;
    size_t start = pb->pos;
    for (int shift = 0; shift < 64; shift += 7) {
        if (pb->pos == pb->end)
            return lt_pb_fail(pb, start, "a number is cut off");
        uint8_t byte = pb->data[pb->pos++];
        if (shift == 63 && byte > 1)
            return lt_pb_fail(pb, start, "a number has more than 64 bits");
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return true;
        }
    }
    return lt_pb_fail(pb, start, "a number has more than 10 bytes");
}

static bool read_fixed(Pb *pb, size_t bytes, uint64_t *out) {
    if (pb->end - pb->pos < bytes)
        return lt_pb_fail(pb, pb->pos, "a number is cut off");
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)pb->data[pb->pos + i] << (8 * i);
    pb->pos += bytes;
    *out = value;
    return true;
}

static bool read_bytes(Pb *pb, PbField *field) {
    size_t start = pb->pos;
    uint64_t len;
    if (!read_varint(pb, &len))
        return false;
    if (len > pb->end - pb->pos)
        return lt_pb_fail(pb, start, "a field is longer than what contains it");
    field->pos = pb->pos;
    field->len = (size_t)len;
    pb->pos += (size_t)len;
    return true;
}

bool lt_pb_next(Pb *pb, PbField *field) {
    if (pb->error->text || pb->pos == pb->end)
        return false;
    size_t start = pb->pos;
    uint64_t tag;
    if (!read_varint(pb, &tag))
        return false;
    if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return lt_pb_fail(pb, start, "a field number is not valid");
    *field = (PbField){.number = (uint32_t)(tag >> 3), .wire = tag & 7, .pos = start};
    switch (field->wire) {
    case PB_VARINT: return read_varint(pb, &field->value);
    case PB_FIXED64: return read_fixed(pb, 8, &field->value);
    case PB_BYTES: return read_bytes(pb, field);
    case PB_FIXED32: return read_fixed(pb, 4, &field->value);
    default: return lt_pb_fail(pb, start, "a field has a wire type that is not in use");
    }
}

bool lt_pb_expect(Pb *pb, const PbField *field, uint32_t wire) {
    if (pb->error->text)
        return false;
    if (field->wire == wire)
        return true;
    return lt_pb_fail(pb, field->pos, "a field has another wire type than the schema says");
}

Pb lt_pb_message(Pb *pb, const PbField *field) {
    Pb inner = {.data = pb->data, .error = pb->error, .depth = pb->depth + 1};
    if (!lt_pb_expect(pb, field, PB_BYTES))
        return inner;
    if (inner.depth > PB_MAX_DEPTH) {
        lt_pb_fail(pb, field->pos, "messages are nested too deeply");
        return inner;
    }
    inner.pos = field->pos;
    inner.end = field->pos + field->len;
    return inner;
}

const char *lt_pb_string(Pb *pb, const PbField *field, Arena *arena) {
    if (!lt_pb_expect(pb, field, PB_BYTES))
        return "";
    const char *text = (const char *)pb->data + field->pos;
    if (memchr(text, 0, field->len)) {
        lt_pb_fail(pb, field->pos, "a name contains a NUL byte");
        return "";
    }
    return lt_arena_strndup(arena, text, field->len);
}

int64_t lt_pb_int(Pb *pb, const PbField *field) {
    return lt_pb_expect(pb, field, PB_VARINT) ? (int64_t)field->value : 0;
}

float lt_pb_float(Pb *pb, const PbField *field) {
    if (!lt_pb_expect(pb, field, PB_FIXED32))
        return 0;
    uint32_t bits = (uint32_t)field->value;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool lt_pb_ints(Pb *pb, const PbField *field, Arena *arena, PbInts *out) {
    if (field->wire == PB_VARINT) {
        lt_vec_push(arena, out, (int64_t)field->value);
        return true;
    }
    Pb packed = lt_pb_message(pb, field);
    uint64_t value;
    while (!pb->error->text && packed.pos < packed.end)
        if (read_varint(&packed, &value))
            lt_vec_push(arena, out, (int64_t)value);
    return !pb->error->text;
}

bool lt_pb_words32(Pb *pb, const PbField *field, Arena *arena, PbWords32 *out) {
    if (field->wire == PB_FIXED32) {
        lt_vec_push(arena, out, (uint32_t)field->value);
        return true;
    }
    Pb packed = lt_pb_message(pb, field);
    uint64_t value;
    while (!pb->error->text && packed.pos < packed.end)
        if (read_fixed(&packed, 4, &value))
            lt_vec_push(arena, out, (uint32_t)value);
    return !pb->error->text;
}

bool lt_pb_words64(Pb *pb, const PbField *field, Arena *arena, PbWords64 *out) {
    if (field->wire == PB_FIXED64) {
        lt_vec_push(arena, out, field->value);
        return true;
    }
    Pb packed = lt_pb_message(pb, field);
    uint64_t value;
    while (!pb->error->text && packed.pos < packed.end)
        if (read_fixed(&packed, 8, &value))
            lt_vec_push(arena, out, value);
    return !pb->error->text;
}
