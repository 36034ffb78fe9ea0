/* tensor_pb.c - one message, TensorProto (onnx.proto), read from the protobuf wire format.
 *
 * Elements are in raw_data, or in the repeated field of their kind. The file is read twice: first
 * type and dims, then the elements, since the order of fields is free. */
#include "tools/tensor_pb.h"

#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/narrow.h"
#include "runtime/base/str.h"

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };
/* Field numbers of TensorProto. */
enum {
    DIMS = 1,
    DATA_TYPE = 2,
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    STRING_DATA = 6,
    INT64_DATA = 7,
    RAW_DATA = 9,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11,
    DATA_LOCATION = 14
};

/* TensorProto.DataType, and which repeated field holds its elements when raw_data does not. */
static const struct {
    int type;
    lathe_dtype dtype;
    int field;
} types[] = {
    {1, LATHE_F32, FLOAT_DATA},         {2, LATHE_U8, INT32_DATA},
    {3, LATHE_I8, INT32_DATA},          {4, LATHE_U16, INT32_DATA},
    {5, LATHE_I16, INT32_DATA},         {6, LATHE_I32, INT32_DATA},
    {7, LATHE_I64, INT64_DATA},         {9, LATHE_BOOL, INT32_DATA},
    {10, LATHE_F16, INT32_DATA},        {11, LATHE_F64, DOUBLE_DATA},
    {12, LATHE_U32, UINT64_DATA},       {13, LATHE_U64, UINT64_DATA},
    {16, LATHE_BF16, INT32_DATA},       {17, LATHE_F8E4M3FN, INT32_DATA},
    {18, LATHE_F8E4M3FNUZ, INT32_DATA}, {19, LATHE_F8E5M2, INT32_DATA},
    {20, LATHE_F8E5M2FNUZ, INT32_DATA}, {21, LATHE_U4, INT32_DATA},
    {22, LATHE_I4, INT32_DATA},         {23, LATHE_F4E2M1, INT32_DATA},
    {24, LATHE_F8E8M0, INT32_DATA},     {25, LATHE_U2, INT32_DATA},
    {26, LATHE_I2, INT32_DATA},
};

typedef struct Reader {
    const uint8_t *at, *end;
    bool bad;
} Reader;

/* One field: a number, or bytes. */
typedef struct Field {
    uint64_t number, value;
    int wire;
    Reader bytes;
} Field;

typedef struct Message {
    HostTensor tensor;
    int64_t type, location;
    int element_field, packed;
    size_t stored; /* bytes that the elements take in the file's typed fields or raw_data */
    size_t filled; /* bytes of elements so far */
    bool raw, overflow, too_many_dims;
} Message;

static uint64_t read_varint(Reader *r) {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (r->at == r->end)
            break;
        uint8_t byte = *r->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    r->bad = true;
    return 0;
}

static uint64_t read_fixed(Reader *r, size_t width) {
    uint64_t value = 0;
    if ((size_t)(r->end - r->at) < width) {
        r->bad = true;
        return 0;
    }
    memcpy(&value, r->at, width);
    r->at += width;
    return value;
}

static bool read_field(Reader *r, Field *field) {
    if (r->at == r->end || r->bad)
        return false;
    uint64_t key = read_varint(r);
    *field = (Field){.number = key >> 3, .wire = (int)(key & 7)};
    switch (field->wire) {
    case WIRE_VARINT: field->value = read_varint(r); break;
    case WIRE_64: field->value = read_fixed(r, 8); break;
    case WIRE_32: field->value = read_fixed(r, 4); break;
    case WIRE_BYTES:
        field->value = read_varint(r);
        if (r->bad || field->value > (uint64_t)(r->end - r->at)) {
            r->bad = true;
            break;
        }
        field->bytes = (Reader){r->at, r->at + field->value, false};
        r->at += field->value;
        break;
    default: r->bad = true;
    }
    return !r->bad;
}

static void add_dim(Message *m, uint64_t value) {
    m->too_many_dims |= m->tensor.rank == LATHE_MAX_RANK;
    if (!m->too_many_dims)
        m->tensor.dims[m->tensor.rank++] = (int64_t)value;
}

static bool read_head(Message *m, Reader r) {
    Field field;
    while (read_field(&r, &field)) {
        if (field.number == DIMS && field.wire == WIRE_VARINT)
            add_dim(m, field.value);
        while (field.number == DIMS && field.wire == WIRE_BYTES &&
               field.bytes.at < field.bytes.end) {
            add_dim(m, read_varint(&field.bytes));
            r.bad |= field.bytes.bad;
        }
        if (field.number == DATA_TYPE)
            m->type = (int64_t)field.value;
        if (field.number == DATA_LOCATION)
            m->location = (int64_t)field.value;
    }
    return !r.bad;
}

/* Elements of less than 4 bytes are stored as varints in int32_data: the low bytes are the element
 * (for f16 and bf16: its bits). */
static void add_element(Message *m, uint64_t value) {
    size_t width = lathe_dtype_size(m->tensor.dtype);
    m->overflow |= m->stored - m->filled < width;
    if (m->overflow)
        return;
    memcpy((uint8_t *)m->tensor.data + m->filled, &value, width); /* little endian */
    m->filled += width;
}

static uint64_t read_element(Message *m, Reader *r) {
    if (m->element_field == FLOAT_DATA)
        return read_fixed(r, 4);
    return m->element_field == DOUBLE_DATA ? read_fixed(r, 8) : read_varint(r);
}

static bool read_elements(Message *m, Reader r) {
    Field field;
    while (read_field(&r, &field)) {
        if (field.number == RAW_DATA && field.wire == WIRE_BYTES) {
            size_t size = (size_t)(field.bytes.end - field.bytes.at);
            m->overflow |= size > m->stored;
            if (!m->overflow && size)
                memcpy(m->tensor.data, field.bytes.at, size);
            m->filled = size;
        } else if (field.number == (uint64_t)m->element_field) {
            if (field.wire != WIRE_BYTES)
                add_element(m, field.value);
            while (field.wire == WIRE_BYTES && field.bytes.at < field.bytes.end && !r.bad) {
                add_element(m, read_element(m, &field.bytes));
                r.bad |= field.bytes.bad;
            }
        }
    }
    return !r.bad;
}

static bool find_type(Message *m) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == m->type) {
            m->tensor.dtype = types[i].dtype;
            m->element_field = types[i].field;
            m->packed = lt_packed_bits((int)types[i].dtype);
            return true;
        }
    return false;
}

static lathe_status fail(const char **error, lathe_status status, const char *text) {
    *error = text;
    return status;
}

lathe_status lt_tensor_pb_parse(Arena *arena, const void *bytes, size_t size, HostTensor *out,
                                const char **error) {
    Message m = {0};
    Reader r = {bytes, (const uint8_t *)bytes + size, false};
    if (!read_head(&m, r) || m.too_many_dims)
        return fail(error, LATHE_MALFORMED,
                    "it is no ONNX tensor, is cut short or has too many dims");
    if (!find_type(&m))
        return fail(error, LATHE_UNSUPPORTED,
                    lt_arena_printf(arena, "elements of ONNX type %lld are not supported",
                                    (long long)m.type));
    if (m.location != 0)
        return fail(error, LATHE_UNSUPPORTED, "its elements are in another file");
    HostTensor *tensor = &m.tensor;
    /* A packed element takes at least one byte of the file: more elements than bytes cannot be. */
    bool fits = lt_host_tensor_bytes(tensor, &tensor->bytes);
    size_t per_byte = m.packed ? 8 / (size_t)m.packed : 1;
    if (!fits || tensor->bytes / lathe_dtype_size(tensor->dtype) / per_byte > size)
        return fail(error, LATHE_MALFORMED, "its dims need more elements than it holds");
    m.stored = m.packed ? lt_packed_bytes(tensor->bytes, m.packed) : tensor->bytes;
    tensor->data = lt_arena_alloc_aligned(arena, tensor->bytes, 64);
    if (!read_elements(&m, r) || m.overflow || m.filled != m.stored)
        return fail(error, LATHE_MALFORMED,
                    lt_arena_printf(arena, "it holds %s bytes of elements than its dims need: %zu",
                                    m.overflow ? "more" : "fewer", m.stored));
    if (m.packed)
        lt_unpack_elements(tensor->data, tensor->bytes, m.packed,
                           tensor->dtype == LATHE_I4 || tensor->dtype == LATHE_I2, tensor->data);
    uint8_t *flags = tensor->data;
    for (size_t i = 0; tensor->dtype == LATHE_BOOL && i < tensor->bytes; i++)
        flags[i] = flags[i] != 0;
    *out = *tensor;
    return LATHE_OK;
}

/* --- strings ---------------------------------------------------------------------------------- */

enum { TYPE_STRING = 8 };

static lathe_status read_strings(Arena *arena, Message *m, Reader r, HostTensor *out) {
    Field field;
    size_t count = 0, total = 0;
    for (Reader all = r; read_field(&all, &field);)
        if (field.number == STRING_DATA && field.wire == WIRE_BYTES) {
            count++;
            total += field.value;
        }
    m->tensor.dtype = LATHE_I64;
    if (!lt_host_tensor_bytes(&m->tensor, &m->tensor.bytes) || m->tensor.bytes != count * 8)
        return LATHE_MALFORMED;
    out[0] = (HostTensor){.dtype = LATHE_U8, .rank = 1, .dims = {(int64_t)total}, .bytes = total};
    out[1] = m->tensor;
    uint8_t *bytes = out[0].data = lt_arena_alloc_aligned(arena, total, 64);
    int64_t *length = out[1].data = lt_arena_alloc_aligned(arena, out[1].bytes, 64);
    while (read_field(&r, &field))
        if (field.number == STRING_DATA && field.wire == WIRE_BYTES) {
            if (field.value)
                memcpy(bytes, field.bytes.at, field.value);
            bytes += field.value;
            *length++ = (int64_t)field.value;
        }
    return LATHE_OK;
}

lathe_status lt_tensor_pb_members(Arena *arena, const void *bytes, size_t size, HostTensor out[2],
                                  uint32_t *count, const char **error) {
    Message m = {0};
    Reader r = {bytes, (const uint8_t *)bytes + size, false};
    *count = 1;
    if (!read_head(&m, r) || m.too_many_dims || m.type != TYPE_STRING)
        return lt_tensor_pb_parse(arena, bytes, size, out, error);
    *count = 2;
    if (read_strings(arena, &m, r, out) != LATHE_OK)
        return fail(error, LATHE_MALFORMED, "its dims are not as many strings as it holds");
    return LATHE_OK;
}

lathe_status lt_tensor_pb_read(Arena *arena, const char *path, HostTensor *out,
                               const char **error) {
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, path, reason, sizeof reason))
        return fail(error, LATHE_IO, lt_arena_strdup(arena, reason));
    lathe_status status = lt_tensor_pb_parse(arena, file.data, file.size, out, error);
    lt_file_unmap(&file);
    return status;
}

lathe_status lt_tensor_file_read(Arena *arena, const char *path, HostTensor *out,
                                 const char **error) {
    return lt_str_ends(path, ".pb") ? lt_tensor_pb_read(arena, path, out, error)
                                    : lt_npy_read(arena, path, out, error);
}
