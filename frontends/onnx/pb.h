/* pb.h - a reader of the protobuf wire format that trusts no byte.
 *
 * A Pb is a window [pos, end) of the file. Every length is checked against the window before use,
 * so that a field's bytes always lie inside its message. The first error sticks, with its byte
 * offset in the file, and ends every loop. */
#ifndef LATHE_FRONTENDS_ONNX_PB_H
#define LATHE_FRONTENDS_ONNX_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "runtime/base/vec.h"

enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 }; /* wire types */
enum { PB_MAX_DEPTH = 64 };

typedef struct PbError {
    const char *text; /* NULL: none so far */
    size_t offset;
} PbError;

typedef struct Pb {
    const uint8_t *data; /* the whole file */
    size_t pos, end;
    PbError *error;
    int depth;
} Pb;

typedef struct PbField {
    uint32_t number;
    uint32_t wire;
    uint64_t value;  /* of a varint or a fixed field */
    size_t pos, len; /* of the content of PB_BYTES */
} PbField;

typedef Vec(int64_t) PbInts;
typedef Vec(uint32_t) PbWords32;
typedef Vec(uint64_t) PbWords64;

Pb lt_pb_open(const uint8_t *data, size_t size, PbError *error);
/* The next field, with unknown ones left to the caller to ignore. False at the end or after an
 * error. */
bool lt_pb_next(Pb *pb, PbField *field);
/* Records an error at the reader's position, unless there is one already. Returns false. */
bool lt_pb_fail(Pb *pb, size_t offset, const char *text);
/* True when the field has this wire type; otherwise an error. */
bool lt_pb_expect(Pb *pb, const PbField *field, uint32_t wire);
/* A reader of a message field; empty after an error (wrong wire type, too deep). */
Pb lt_pb_message(Pb *pb, const PbField *field);
/* A string field, copied with a NUL; "" after an error. A NUL byte inside is an error. */
const char *lt_pb_string(Pb *pb, const PbField *field, Arena *arena);
int64_t lt_pb_int(Pb *pb, const PbField *field);
float lt_pb_float(Pb *pb, const PbField *field);
/* Appends a repeated field, packed or not. */
bool lt_pb_ints(Pb *pb, const PbField *field, Arena *arena, PbInts *out);
bool lt_pb_words32(Pb *pb, const PbField *field, Arena *arena, PbWords32 *out);
bool lt_pb_words64(Pb *pb, const PbField *field, Arena *arena, PbWords64 *out);

#endif
