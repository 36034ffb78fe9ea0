/* npy.c - see npy.h. The header is a Python dict literal with the keys descr, fortran_order and
 * shape:
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 * It is parsed as just that: anything else is malformed. */
#include "tools/npy.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/str.h"

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

/* numpy's letter and size; reading tries all, writing takes the first of a dtype. */
static const struct {
    lathe_dtype dtype;
    char kind;
    int size;
} codes[] = {
    {LATHE_F32, 'f', 4},    {LATHE_F64, 'f', 8},        {LATHE_F16, 'f', 2},
    {LATHE_BF16, 'V', 2},   {LATHE_I8, 'i', 1},         {LATHE_I16, 'i', 2},
    {LATHE_I32, 'i', 4},    {LATHE_I64, 'i', 8},        {LATHE_U8, 'u', 1},
    {LATHE_U16, 'u', 2},    {LATHE_U32, 'u', 4},        {LATHE_U64, 'u', 8},
    {LATHE_BOOL, 'b', 1},   {LATHE_F8E4M3FN, 'V', 1},   {LATHE_F8E4M3FNUZ, 'V', 1},
    {LATHE_F8E5M2, 'V', 1}, {LATHE_F8E5M2FNUZ, 'V', 1}, {LATHE_F8E8M0, 'V', 1},
    {LATHE_F4E2M1, 'V', 1}, {LATHE_I4, 'i', 1},         {LATHE_U4, 'u', 1},
    {LATHE_I2, 'i', 1},     {LATHE_U2, 'u', 1},
};

static size_t code_of(lathe_dtype dtype) {
    size_t i = 0;
    while (codes[i].dtype != dtype)
        i++;
    return i;
}

bool lt_npy_same_code(lathe_dtype a, lathe_dtype b) {
    size_t i = code_of(a), j = code_of(b);
    return codes[i].kind == codes[j].kind && codes[i].size == codes[j].size;
}

bool lt_host_tensor_bytes(const HostTensor *tensor, size_t *out) {
    int64_t bytes = (int64_t)lathe_dtype_size(tensor->dtype);
    bool empty = false;
    for (int32_t i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] < 0)
            return false;
        empty |= tensor->dims[i] == 0;
    }
    for (int32_t i = 0; i < tensor->rank && !empty; i++)
        if (!lt_mul_i64(bytes, tensor->dims[i], &bytes))
            return false;
    *out = empty ? 0 : (size_t)bytes;
    return true;
}

int64_t lt_host_tensor_count(const HostTensor *tensor) {
    int64_t count = 1;
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] == 0)
            return 0;
    for (int32_t i = 0; i < tensor->rank; i++)
        count *= tensor->dims[i];
    return count;
}

/* --- the header --- */

typedef struct Header {
    const char *at, *end; /* text that is not read yet */
    bool bad;             /* sticky: what was read does not follow the grammar */
    bool swap, fortran;
    bool has_type, has_order, has_shape;
    char descr[16];
} Header;

static void skip_space(Header *h) {
    while (h->at < h->end && strchr(" \t\n\r", *h->at) && *h->at)
        h->at++;
}

/* Takes `c` when it comes next. */
static bool take(Header *h, char c) {
    skip_space(h);
    if (h->at == h->end || *h->at != c)
        return false;
    h->at++;
    return true;
}

static void expect(Header *h, char c) { h->bad |= !take(h, c); }

static void read_string(Header *h, char *text, size_t size) {
    char quote = take(h, '\'') ? '\'' : take(h, '"') ? '"' : '\0';
    size_t len = 0;
    h->bad |= !quote;
    while (!h->bad && h->at < h->end && *h->at != quote) {
        if (len + 1 == size) {
            h->bad = true;
            return;
        }
        text[len++] = *h->at++;
    }
    text[len] = '\0';
    if (!h->bad)
        expect(h, quote);
}

static int64_t read_extent(Header *h) {
    int64_t value = 0;
    skip_space(h);
    h->bad |= h->at == h->end || *h->at < '0' || *h->at > '9';
    while (!h->bad && h->at < h->end && *h->at >= '0' && *h->at <= '9')
        h->bad |= !lt_mul_i64(value, 10, &value) || !lt_add_i64(value, *h->at++ - '0', &value);
    return value;
}

static void read_shape(Header *h, HostTensor *out) {
    expect(h, '(');
    while (!h->bad && !take(h, ')')) {
        int64_t extent = read_extent(h);
        h->bad |= out->rank == LATHE_MAX_RANK;
        if (h->bad)
            return;
        out->dims[out->rank++] = extent;
        if (!take(h, ',')) {
            expect(h, ')');
            return;
        }
    }
}

static void read_bool(Header *h, bool *out) {
    static const char *const words[] = {"False", "True"};
    skip_space(h);
    for (int i = 0; i < 2; i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(h->end - h->at) >= len && memcmp(h->at, words[i], len) == 0) {
            h->at += len;
            *out = i;
            return;
        }
    }
    h->bad = true;
}

static void read_entry(Header *h, HostTensor *out) {
    char key[20] = "";
    read_string(h, key, sizeof key);
    expect(h, ':');
    if (h->bad)
        return;
    if (strcmp(key, "descr") == 0 && !h->has_type) {
        read_string(h, h->descr, sizeof h->descr);
        h->has_type = true;
    } else if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
        read_bool(h, &h->fortran);
        h->has_order = true;
    } else if (strcmp(key, "shape") == 0 && !h->has_shape) {
        read_shape(h, out);
        h->has_shape = true;
    } else {
        h->bad = true;
    }
}

static bool read_header(Header *h, HostTensor *out) {
    expect(h, '{');
    while (!h->bad && !take(h, '}')) {
        read_entry(h, out);
        if (!h->bad && !take(h, ',')) {
            expect(h, '}');
            break;
        }
    }
    skip_space(h);
    return !h->bad && h->at == h->end && h->has_type && h->has_order && h->has_shape;
}

/* "<f4": byte order, kind, size. */
static bool decode_type(Header *h, HostTensor *out) {
    const char *descr = h->descr;
    if (!*descr || !strchr("<>=|", *descr))
        return false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (descr[1] == codes[i].kind && descr[2] == '0' + codes[i].size && !descr[3]) {
            out->dtype = codes[i].dtype;
            h->swap = *descr == '>' && codes[i].size > 1;
            return true;
        }
    return false;
}

/* --- the elements --- */

static void swap_bytes(uint8_t *data, size_t bytes, size_t width) {
    for (size_t at = 0; at + width <= bytes; at += width)
        for (size_t i = 0; i < width / 2; i++) {
            uint8_t byte = data[at + i];
            data[at + i] = data[at + width - 1 - i];
            data[at + width - 1 - i] = byte;
        }
}

/* Element order of Fortran (first axis fastest) to row-major. */
static void copy_fortran(const HostTensor *out, const uint8_t *from) {
    size_t width = lathe_dtype_size(out->dtype);
    int64_t index[LATHE_MAX_RANK] = {0}, strides[LATHE_MAX_RANK], stride = 1;
    for (int32_t axis = 0; axis < out->rank; axis++) {
        strides[axis] = stride;
        stride *= out->dims[axis];
    }
    uint8_t *to = out->data;
    for (int64_t i = lt_host_tensor_count(out); i-- > 0; to += width) {
        int64_t offset = 0;
        for (int32_t axis = 0; axis < out->rank; axis++)
            offset += index[axis] * strides[axis];
        memcpy(to, from + (size_t)offset * width, width);
        for (int32_t axis = out->rank; axis-- > 0;) {
            if (++index[axis] < out->dims[axis])
                break;
            index[axis] = 0;
        }
    }
}

static void copy_elements(const Header *h, const HostTensor *out, const uint8_t *from) {
    uint8_t *data = out->data;
    if (h->fortran && out->rank > 1)
        copy_fortran(out, from);
    else if (out->bytes)
        memcpy(data, from, out->bytes);
    if (h->swap)
        swap_bytes(data, out->bytes, lathe_dtype_size(out->dtype));
    for (size_t i = 0; out->dtype == LATHE_BOOL && i < out->bytes; i++)
        data[i] = data[i] != 0;
}

/* Where the header's text lies; false when the file ends before. */
static bool find_header(const uint8_t *data, size_t size, Header *h, size_t *payload) {
    if (size < 10 || memcmp(data, magic, sizeof magic) != 0 || data[6] < 1 || data[6] > 3)
        return false;
    size_t start = data[6] == 1 ? 10 : 12, len = 0;
    if (size < start)
        return false;
    for (size_t i = start; i-- > 8;)
        len = len << 8 | data[i];
    if (len > size - start)
        return false;
    h->at = (const char *)data + start;
    h->end = h->at + len;
    *payload = start + len;
    return true;
}

lathe_status lt_npy_parse(Arena *arena, const void *bytes, size_t size, HostTensor *out,
                          const char **error) {
    HostTensor tensor = {0};
    Header h = {0};
    size_t payload = 0;
    if (!find_header(bytes, size, &h, &payload)) {
        *error = "it is no .npy file, or its header is cut short";
        return LATHE_MALFORMED;
    }
    if (!read_header(&h, &tensor)) {
        *error = lt_arena_printf(arena, "its .npy header is malformed (rank at most %d)",
                                 LATHE_MAX_RANK);
        return LATHE_MALFORMED;
    }
    if (!decode_type(&h, &tensor)) {
        *error = lt_arena_printf(arena, "elements of numpy type '%s' are not supported", h.descr);
        return LATHE_UNSUPPORTED;
    }
    if (!lt_host_tensor_bytes(&tensor, &tensor.bytes) || tensor.bytes > size - payload) {
        *error = lt_arena_printf(arena, "its shape needs more than the %zu bytes that it holds",
                                 size - payload);
        return LATHE_MALFORMED;
    }
    tensor.data = lt_arena_alloc_aligned(arena, tensor.bytes, 64);
    copy_elements(&h, &tensor, (const uint8_t *)bytes + payload);
    *out = tensor;
    return LATHE_OK;
}

lathe_status lt_npy_read(Arena *arena, const char *path, HostTensor *out, const char **error) {
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, path, reason, sizeof reason)) {
        *error = lt_arena_strdup(arena, reason);
        return LATHE_IO;
    }
    lathe_status status = lt_npy_parse(arena, file.data, file.size, out, error);
    lt_file_unmap(&file);
    return status;
}

/* --- writing --- */

static void append_header(Str *text, const HostTensor *tensor) {
    size_t i = code_of(tensor->dtype);
    bool plain = codes[i].size == 1 || codes[i].kind == 'V';
    lt_str_printf(text, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (", plain ? '|' : '<',
                  codes[i].kind, codes[i].size);
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        lt_str_printf(text, "%lld%s", (long long)tensor->dims[axis],
                      tensor->rank == 1         ? ","
                      : axis + 1 < tensor->rank ? ", "
                                                : "");
    lt_str_append(text, "), }");
}

bool lt_npy_write(Arena *arena, const char *path, const HostTensor *tensor) {
    enum { PREFIX = 10, ALIGN = 64 };
    OutputFile file;
    Str header;
    if (!lt_output_open(&file, path))
        return false;
    lt_str_init(&header, arena);
    append_header(&header, tensor);
    /* The elements begin at a multiple of 64; the header ends with a line feed (NEP 1). At most 8
     * dims of 19 digits: it always fits version 1.0. */
    while ((PREFIX + header.len + 1) % ALIGN)
        lt_str_char(&header, ' ');
    lt_str_char(&header, '\n');
    uint8_t prefix[PREFIX] = {[6] = 1, [8] = (uint8_t)header.len, [9] = (uint8_t)(header.len >> 8)};
    memcpy(prefix, magic, sizeof magic);
    lt_output_write(&file, prefix, sizeof prefix);
    lt_output_write(&file, header.text, header.len);
    lt_output_write(&file, tensor->data, tensor->bytes);
    return lt_output_commit(&file, 0644);
}
