/* tensor.c - TensorProto to constants. Raw data is used where it lies in the file, aligned or not;
 * the typed fields and external files take other roads to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "frontends/onnx/ops.h"
#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/narrow.h"

static const struct {
    int64_t onnx;
    DType dtype;
} dtype_table[] = {
    {ONNX_FLOAT, DT_F32},
    {ONNX_DOUBLE, DT_F64},
    {ONNX_FLOAT16, DT_F16},
    {ONNX_BFLOAT16, DT_BF16},
    {ONNX_INT8, DT_I8},
    {ONNX_INT16, DT_I16},
    {ONNX_INT32, DT_I32},
    {ONNX_INT64, DT_I64},
    {ONNX_UINT8, DT_U8},
    {ONNX_UINT16, DT_U16},
    {ONNX_UINT32, DT_U32},
    {ONNX_UINT64, DT_U64},
    {ONNX_BOOL, DT_BOOL},
    {ONNX_FLOAT8E4M3FN, DT_F8E4M3FN},
    {ONNX_FLOAT8E4M3FNUZ, DT_F8E4M3FNUZ},
    {ONNX_FLOAT8E5M2, DT_F8E5M2},
    {ONNX_FLOAT8E5M2FNUZ, DT_F8E5M2FNUZ},
    {ONNX_FLOAT8E8M0, DT_F8E8M0},
    {ONNX_FLOAT4E2M1, DT_F4E2M1},
    {ONNX_UINT4, DT_U4},
    {ONNX_INT4, DT_I4},
    {ONNX_UINT2, DT_U2},
    {ONNX_INT2, DT_I2},
};

static const char *const data_type_names[] = {
    "undefined",      "float",    "uint8",        "int8",           "uint16",
    "int16",          "int32",    "int64",        "string",         "bool",
    "float16",        "double",   "uint32",       "uint64",         "complex64",
    "complex128",     "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
    "float8e5m2fnuz", "uint4",    "int4",         "float4e2m1",     "float8e8m0",
    "uint2",          "int2"};

bool lt_onnx_dtype(int64_t data_type, DType *out) {
    for (size_t i = 0; i < sizeof dtype_table / sizeof *dtype_table; i++) {
        if (dtype_table[i].onnx != data_type)
            continue;
        *out = dtype_table[i].dtype;
        return true;
    }
    return false;
}

const char *lt_onnx_data_type_name(int64_t data_type) {
    int64_t known = sizeof data_type_names / sizeof *data_type_names;
    return data_type >= 0 && data_type < known ? data_type_names[data_type] : "unknown";
}

/* What a tensor needs: its type, number of elements and bytes. */
typedef struct Layout {
    DType dtype;
    int64_t elements;
    size_t bytes;  /* one element a byte or more */
    size_t stored; /* in the model: elements of fewer than 8 bits lie packed */
    int64_t dims[LT_MAX_RANK];
} Layout;

#define FAIL_TENSOR(status, ...) (lt_error(&im->module->diags, status, loc, __VA_ARGS__), false)

static bool tensor_layout(Import *im, const OnnxTensor *t, const Loc *loc, Layout *out) {
    if (!lt_onnx_dtype(t->data_type, &out->dtype))
        return FAIL_TENSOR(t->data_type > 0 && t->data_type <= ONNX_INT2 ? LT_UNSUPPORTED
                                                                         : LT_MALFORMED,
                           "tensor '%s' has data type %s (%lld), which is not supported", t->name,
                           lt_onnx_data_type_name(t->data_type), (long long)t->data_type);
    if (t->dims.len > LT_MAX_RANK)
        return FAIL_TENSOR(LT_UNSUPPORTED, "tensor '%s' has rank %zu; at most %d is supported",
                           t->name, t->dims.len, LT_MAX_RANK);
    out->elements = 1;
    bool fits = true, empty = false;
    for (size_t i = 0; i < t->dims.len; i++) {
        int64_t d = out->dims[i] = t->dims.data[i];
        if (d < 0)
            return FAIL_TENSOR(LT_MALFORMED, "tensor '%s' has a negative dim %lld", t->name,
                               (long long)d);
        empty |= d == 0;
        fits = fits && lt_mul_i64(out->elements, d, &out->elements);
    }
    if (empty)
        out->elements = 0, fits = true;
    fits = fits && lt_mul_size((size_t)out->elements, lt_dtype_size(out->dtype), &out->bytes);
    int bits = lt_dtype_bits(out->dtype);
    out->stored = bits < 8 ? lt_packed_bytes((size_t)out->elements, bits) : out->bytes;
    return fits ? true
                : FAIL_TENSOR(LT_MALFORMED, "tensor '%s' has more elements than memory can hold",
                              t->name);
}

/* int32_data holds every type of at most 32 bits but float; floats of 16 bits
 * and fewer as their bits, packed elements a byte at a time. */
static void narrow_ints(const OnnxTensor *t, const Layout *l, uint8_t *out) {
    size_t size = lt_dtype_size(l->dtype);
    for (size_t i = 0; i < t->int32s.len; i++) {
        uint64_t bits = (uint64_t)t->int32s.data[i];
        if (l->dtype == DT_BOOL)
            bits = bits != 0;
        memcpy(out + i * size, &bits, size); /* little endian, as every target of lathe */
    }
}

static void copy_uint64s(const OnnxTensor *t, const Layout *l, uint8_t *out) {
    size_t size = lt_dtype_size(l->dtype);
    for (size_t i = 0; i < t->uint64s.len; i++)
        memcpy(out + i * size, &t->uint64s.data[i], size);
}

/* Which typed field holds this dtype, and how many elements are in it. */
static size_t typed_count(const OnnxTensor *t, DType dtype) {
    switch (dtype) {
    case DT_F32: return t->floats.len;
    case DT_F64: return t->doubles.len;
    case DT_I64: return t->int64s.len;
    case DT_U32:
    case DT_U64: return t->uint64s.len;
    default: return t->int32s.len;
    }
}

static const void *typed_bytes(Import *im, const OnnxTensor *t, const Layout *l) {
    if (l->dtype == DT_F32)
        return t->floats.data;
    if (l->dtype == DT_F64)
        return t->doubles.data;
    if (l->dtype == DT_I64)
        return t->int64s.data;
    uint8_t *out = lt_arena_alloc_aligned(im->arena, l->stored, 64);
    if (l->dtype == DT_U32 || l->dtype == DT_U64)
        copy_uint64s(t, l, out);
    else
        narrow_ints(t, l, out);
    return out;
}

static const char *external_entry(const OnnxTensor *t, const char *key) {
    for (size_t i = 0; i < t->external.len; i++)
        if (strcmp(t->external.data[i].key, key) == 0)
            return t->external.data[i].value;
    return NULL;
}

static bool parse_size(const char *text, size_t *out) {
    if (!text || !*text || strlen(text) > 18)
        return false;
    *out = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        *out = *out * 10 + (size_t)(*text - '0');
    return !*text;
}

/* A path leaves the folder when it is absolute or climbs with "..". Links are checked by the real
 * path below. */
static bool stays_inside(const char *location) {
    if (!*location || *location == '/' || strchr(location, '\\'))
        return false;
    for (const char *part = location; part; part = strchr(part, '/')) {
        if (*part == '/')
            part++;
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0))
            return false;
    }
    return true;
}

static bool resolves_inside(const char *folder, const char *path) {
    char *real_folder = realpath(folder, NULL), *real_path = realpath(path, NULL);
    bool inside = real_folder && real_path &&
                  strncmp(real_folder, real_path, strlen(real_folder)) == 0 &&
                  (real_path[strlen(real_folder)] == '/' || strcmp(real_folder, "/") == 0);
    free(real_folder);
    free(real_path);
    return inside;
}

/* Each external file is mapped once, and stays mapped as the model does. */
static const MappedFile *external_file(Import *im, const OnnxTensor *t, const char *location,
                                       const Loc *loc) {
    MappedFile *file = lt_strmap_get(&im->files, location);
    if (file)
        return file;
    const char *slash = strrchr(im->path, '/');
    const char *folder =
        slash ? lt_arena_strndup(im->arena, im->path, (size_t)(slash - im->path) + 1) : "./";
    const char *path = lt_arena_printf(im->arena, "%s%s", folder, location);
    char error[160];
    file = LT_NEW(im->arena, MappedFile);
    if (!lt_file_map(file, path, error, sizeof error)) {
        lt_error(&im->module->diags, LT_IO, loc,
                 "the file '%s' with the data of tensor '%s' cannot be read: %s", location, t->name,
                 error);
        return NULL;
    }
    if (!resolves_inside(folder, path)) {
        lt_file_unmap(file);
        lt_error(&im->module->diags, LT_MALFORMED, loc,
                 "tensor '%s' is stored in '%s', which is a link out of the model's folder",
                 t->name, location);
        return NULL;
    }
    lt_strmap_set(&im->files, location, file);
    lt_vec_push(im->arena, &im->module->files, *file);
    return file;
}

static bool external_bytes(Import *im, const OnnxTensor *t, const Loc *loc, const void **data,
                           size_t *size) {
    const char *location = external_entry(t, "location");
    if (!location || !stays_inside(location))
        return FAIL_TENSOR(LT_MALFORMED,
                           "tensor '%s' is stored in '%s', which is outside the model's folder",
                           t->name, location ? location : "");
    const char *offset_text = external_entry(t, "offset"),
               *length_text = external_entry(t, "length");
    size_t offset = 0, length;
    if ((offset_text && !parse_size(offset_text, &offset)) ||
        (length_text && !parse_size(length_text, &length)))
        return FAIL_TENSOR(LT_MALFORMED,
                           "tensor '%s' has an external offset or length that is no number",
                           t->name);
    const MappedFile *file = external_file(im, t, location, loc);
    if (!file)
        return false;
    if (offset > file->size || (length_text && length > file->size - offset))
        return FAIL_TENSOR(LT_MALFORMED, "tensor '%s' lies beyond the end of '%s'", t->name,
                           location);
    *data = file->data + offset;
    *size = length_text ? length : *size < file->size - offset ? *size : file->size - offset;
    return true;
}

static bool has_typed_data(const OnnxTensor *t) {
    return t->floats.len || t->doubles.len || t->int32s.len || t->int64s.len || t->uint64s.len;
}

static const void *unpacked(Import *im, const Layout *l, const void *packed) {
    uint8_t *out = lt_arena_alloc_aligned(im->arena, l->bytes, 64);
    lt_unpack_elements(packed, (size_t)l->elements, lt_dtype_bits(l->dtype),
                       lt_dtype_is_signed(l->dtype), out);
    return out;
}

const Const *lt_onnx_tensor(Import *im, const OnnxTensor *t, const Loc *loc) {
    Layout l = {0};
    if (t->values)
        return lt_onnx_sparse_tensor(im, t, loc);
    if (!tensor_layout(im, t, loc, &l))
        return NULL;
    const void *data = t->raw;
    size_t size = t->raw_size;
    if (t->is_external) {
        size = l.stored;
        if (!external_bytes(im, t, loc, &data, &size))
            return NULL;
    } else if (!t->raw || (t->raw_size == 0 && has_typed_data(t))) {
        size = typed_count(t, l.dtype) * lt_dtype_size(l.dtype);
        data = size == l.stored ? typed_bytes(im, t, &l) : NULL;
    }
    if (size != l.stored) {
        lt_error(&im->module->diags, LT_MALFORMED, loc,
                 "tensor '%s' has %zu bytes of data; its dims need %zu", t->name, size, l.stored);
        return NULL;
    }
    if (!data)
        data = lt_arena_alloc(im->arena, 1);
    if (lt_dtype_bits(l.dtype) < 8)
        data = unpacked(im, &l, data);
    return lt_const(im->module, lt_type_static(im->module, l.dtype, (int)t->dims.len, l.dims),
                    data);
}
