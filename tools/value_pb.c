/* value_pb.c - values of a model that are several tensors of an artifact. */
#include "tools/value_pb.h"

#include <string.h>

#include "frontends/onnx/pb.h"
#include "runtime/base/file.h"
#include "runtime/base/str.h"

static lathe_status fail(const char **error, lathe_status status, const char *text) {
    *error = text;
    return status;
}

/* --- slots --- */

typedef const lathe_tensor_info *InfoOf(const lathe_model *model, uint32_t index);

/* Whether `info` is called NAME.MEMBER. */
static bool is_member(const lathe_tensor_info *info, const char *name, const char *member) {
    const size_t length = strlen(name);
    return info && strncmp(info->name, name, length) == 0 && info->name[length] == '.' &&
           strcmp(info->name + length + 1, member) == 0;
}

static ValueSlot find_slot(Arena *arena, InfoOf *info_of, const lathe_model *model,
                           uint32_t index) {
    const lathe_tensor_info *first = info_of(model, index);
    ValueSlot slot = {.name = first->name, .count = 1, .info = {first}};
    const char *dot = strrchr(first->name, '.');
    if (!dot)
        return slot;
    const char *stem = lt_arena_strndup(arena, first->name, (size_t)(dot - first->name));
    const uint32_t has = is_member(first, stem, "has");
    const lathe_tensor_info *value = info_of(model, index + has);
    const lathe_tensor_info *shapes = info_of(model, index + has + 1);
    const bool is_sequence = is_member(value, stem, "values") && is_member(shapes, stem, "shapes");
    const bool is_strings = is_member(value, stem, "bytes") && is_member(shapes, stem, "lengths");
    if (!is_sequence && !is_strings && !(has && is_member(value, stem, "value")))
        return slot;
    slot = (ValueSlot){.name = stem,
                       .is_optional = has,
                       .is_sequence = is_sequence,
                       .is_strings = is_strings,
                       .count = 1 + has + (is_sequence || is_strings)};
    for (uint32_t i = 0; i < slot.count; i++)
        slot.info[i] = info_of(model, index + i);
    return slot;
}

ValueSlot lt_input_slot(Arena *arena, const lathe_model *model, uint32_t index) {
    return find_slot(arena, lathe_input_info, model, index);
}

ValueSlot lt_output_slot(Arena *arena, const lathe_model *model, uint32_t index) {
    return find_slot(arena, lathe_output_info, model, index);
}

/* --- files --- */

/* The bytes of a message field. */
typedef struct Part {
    const uint8_t *data;
    size_t size;
} Part;
typedef Vec(Part) Parts;

enum { SEQUENCE_TENSORS = 3, OPTIONAL_TYPE = 2, OPTIONAL_TENSOR = 3, OPTIONAL_SEQUENCE = 5 };

/* All fields of that number; false: the bytes are no message. */
static bool find_parts(Arena *arena, Part message, uint32_t number, Parts *out, int64_t *type) {
    PbError error = {0};
    Pb pb = lt_pb_open(message.data, message.size, &error);
    PbField field;
    while (lt_pb_next(&pb, &field)) {
        if (field.number == OPTIONAL_TYPE && field.wire == PB_VARINT)
            *type = (int64_t)field.value;
        if (field.number == number && lt_pb_expect(&pb, &field, PB_BYTES))
            lt_vec_push(arena, out, ((Part){message.data + field.pos, field.len}));
    }
    return !error.text;
}

static lathe_status read_elements(Arena *arena, const Parts *parts, HostValue *out,
                                  const char **error) {
    out->count = (uint32_t)parts->len;
    out->elements = LT_ARRAY(arena, HostTensor, parts->len + 1);
    lathe_status status = LATHE_OK;
    for (size_t i = 0; i < parts->len && !status; i++)
        status = lt_tensor_pb_parse(arena, parts->data[i].data, parts->data[i].size,
                                    &out->elements[i], error);
    return status;
}

static lathe_status read_strings(Arena *arena, Part message, HostValue *out, const char **error) {
    out->elements = LT_ARRAY(arena, HostTensor, 2);
    lathe_status status =
        lt_tensor_pb_members(arena, message.data, message.size, out->elements, &out->count, error);
    return status || out->count == 2
               ? status
               : fail(error, LATHE_BAD_ARGUMENT, "its elements are no strings");
}

lathe_status lt_value_pb_parse(Arena *arena, const void *bytes, size_t size, const ValueSlot *slot,
                               HostValue *out, const char **error) {
    const uint32_t inner = slot->is_sequence ? OPTIONAL_SEQUENCE : OPTIONAL_TENSOR;
    Part message = {bytes, size};
    Parts parts = {0}, elements = {0};
    int64_t type = 0, unused;
    *out = (HostValue){0};
    if (slot->is_optional) {
        if (!find_parts(arena, message, inner, &parts, &type))
            return fail(error, LATHE_MALFORMED, "it is no ONNX optional, or is cut short");
        if ((out->is_absent = type == 0 || parts.len == 0))
            return LATHE_OK;
        message = parts.data[0];
    }
    if (slot->is_strings)
        return read_strings(arena, message, out, error);
    if (!slot->is_sequence)
        lt_vec_push(arena, &elements, message);
    else if (!find_parts(arena, message, SEQUENCE_TENSORS, &elements, &unused))
        return fail(error, LATHE_MALFORMED, "it is no ONNX sequence, or is cut short");
    return read_elements(arena, &elements, out, error);
}

lathe_status lt_value_pb_read(Arena *arena, const char *path, const ValueSlot *slot, HostValue *out,
                              const char **error) {
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, path, reason, sizeof reason))
        return fail(error, LATHE_IO, lt_arena_strdup(arena, reason));
    lathe_status status = lt_value_pb_parse(arena, file.data, file.size, slot, out, error);
    lt_file_unmap(&file);
    return status;
}

/* --- packing --- */

static void make_tensor(Arena *arena, HostTensor *tensor) {
    lt_host_tensor_bytes(tensor, &tensor->bytes);
    tensor->data = lt_arena_alloc_aligned(arena, tensor->bytes + 1, 64);
    memset(tensor->data, 0, tensor->bytes);
}

/* A tensor of the declared type, with symbolic dims as small as they may be. */
static HostTensor smallest(Arena *arena, const lathe_tensor_info *info) {
    HostTensor tensor = {.dtype = info->dtype, .rank = info->rank};
    for (int32_t i = 0; i < info->rank; i++)
        tensor.dims[i] = info->dims[i].lo;
    make_tensor(arena, &tensor);
    return tensor;
}

/* How many extents a row has: what is declared, or as many as the longest shape. */
static int32_t row_length(const lathe_dim *declared, const HostValue *value) {
    int32_t longest = (int32_t)declared->lo;
    for (uint32_t i = 0; declared->lo != declared->hi && i < value->count; i++)
        longest = value->elements[i].rank > longest ? value->elements[i].rank : longest;
    return longest;
}

static lathe_status pack_sequence(Arena *arena, const ValueSlot *slot, const HostValue *value,
                                  HostTensor *members, const char **error) {
    const lathe_tensor_info *values_info = slot->info[slot->count - 2];
    const lathe_tensor_info *shapes_info = slot->info[slot->count - 1];
    const int32_t length = row_length(&shapes_info->dims[1], value);
    HostTensor *values = &members[0], *shapes = &members[1];
    *values = (HostTensor){.dtype = values_info->dtype, .rank = 1};
    *shapes = (HostTensor){.dtype = LATHE_I64, .rank = 2, .dims = {value->count, length}};
    for (uint32_t i = 0; i < value->count; i++) {
        const HostTensor *element = &value->elements[i];
        if (element->dtype != values->dtype || element->rank > length)
            return fail(error, LATHE_BAD_ARGUMENT,
                        lt_arena_printf(arena,
                                        "element %u is %s of rank %d, expected %s of rank %d", i,
                                        lathe_dtype_name(element->dtype), element->rank,
                                        lathe_dtype_name(values->dtype), length));
        values->dims[0] += lt_host_tensor_count(element);
    }
    make_tensor(arena, values);
    make_tensor(arena, shapes);
    char *to = values->data;
    int64_t *row = shapes->data;
    for (uint32_t i = 0; i < value->count; i++) {
        const HostTensor *element = &value->elements[i];
        memcpy(to, element->data, element->bytes);
        to += element->bytes;
        for (int32_t axis = 0; axis < length; axis++)
            *row++ = axis < element->rank ? element->dims[axis] : -1;
    }
    return LATHE_OK;
}

lathe_status lt_value_pack(Arena *arena, const ValueSlot *slot, const HostValue *value,
                           HostTensor *members, const char **error) {
    if (slot->is_optional) {
        members[0] = smallest(arena, slot->info[0]);
        *(uint8_t *)members[0].data = !value->is_absent;
    }
    if (slot->is_sequence)
        return pack_sequence(arena, slot, value, members + slot->is_optional, error);
    for (uint32_t i = slot->is_optional; i < slot->count; i++)
        members[i] = value->is_absent ? smallest(arena, slot->info[i])
                                      : value->elements[i - slot->is_optional];
    return LATHE_OK;
}

/* --- unpacking --- */

static HostTensor host_tensor(const lathe_tensor *from) {
    HostTensor tensor = {.dtype = from->dtype, .rank = from->rank, .data = from->data};
    for (int32_t i = 0; i < from->rank; i++)
        tensor.dims[i] = from->dims[i];
    lt_host_tensor_bytes(&tensor, &tensor.bytes);
    return tensor;
}

static lathe_status unpack_sequence(Arena *arena, const lathe_tensor *values,
                                    const lathe_tensor *shapes, HostValue *out,
                                    const char **error) {
    const int64_t *row = shapes->data;
    char *at = values->data;
    size_t left = host_tensor(values).bytes;
    out->count = (uint32_t)shapes->dims[0];
    out->elements = LT_ARRAY(arena, HostTensor, out->count + 1);
    for (uint32_t i = 0; i < out->count; i++, row += shapes->dims[1]) {
        HostTensor *element = &out->elements[i];
        *element = (HostTensor){.dtype = values->dtype, .data = at};
        while (element->rank < shapes->dims[1] && row[element->rank] >= 0) {
            element->dims[element->rank] = row[element->rank];
            element->rank++;
        }
        if (!lt_host_tensor_bytes(element, &element->bytes) || element->bytes > left)
            return fail(error, LATHE_BAD_SHAPE,
                        lt_arena_printf(arena, "element %u lies outside of the values", i));
        at += element->bytes;
        left -= element->bytes;
    }
    return left == 0 ? LATHE_OK
                     : fail(error, LATHE_BAD_SHAPE,
                            lt_arena_printf(arena, "%zu bytes of values are no element's", left));
}

lathe_status lt_value_unpack(Arena *arena, const ValueSlot *slot, const lathe_tensor *members,
                             HostValue *out, const char **error) {
    *out = (HostValue){0};
    if (slot->is_optional && !*(const uint8_t *)(members++)->data) {
        out->is_absent = true;
        return LATHE_OK;
    }
    if (slot->is_sequence)
        return unpack_sequence(arena, &members[0], &members[1], out, error);
    out->count = slot->count - slot->is_optional;
    out->elements = LT_ARRAY(arena, HostTensor, out->count);
    for (uint32_t i = 0; i < out->count; i++)
        out->elements[i] = host_tensor(&members[i]);
    return LATHE_OK;
}

/* --- values that no file tells --- */

/* Whether they are called NAME.FIRST and NAME.SECOND. */
static bool is_pair(const char *name, const char *first, const char *other, const char *second) {
    const char *dot = strrchr(name, '.');
    const size_t length = dot ? (size_t)(dot - name) + 1 : 0;
    return dot && strcmp(dot + 1, first) == 0 && strncmp(name, other, length) == 0 &&
           strcmp(other + length, second) == 0;
}

static void fill_shapes(HostTensor *shapes, int64_t total) {
    int64_t *row = shapes->data;
    for (int64_t i = 0; i < lt_host_tensor_count(shapes); i++)
        row[i] = i % shapes->dims[1] > 0 ? 1 : i == 0 ? total : 0;
}

static void fill_lengths(HostTensor *lengths, int64_t total) {
    const int64_t count = lt_host_tensor_count(lengths);
    int64_t *length = lengths->data;
    for (int64_t i = 0; i < count; i++)
        length[i] = total / count + (i < total % count);
}

void lt_fill_member(HostTensor *tensor, const char *name, const char *before, int64_t total) {
    if (is_pair(before, "values", name, "shapes"))
        fill_shapes(tensor, total);
    else if (is_pair(before, "bytes", name, "lengths"))
        fill_lengths(tensor, total);
}
