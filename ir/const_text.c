/* const_text.c - constants as text that reads back to the same bytes. A list of numbers is used
 * only when it does so: a NaN with a payload, or a bool that is 7, makes the whole constant a hex
 * blob. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ir/text.h"
#include "runtime/base/half.h"
#include "runtime/base/narrow.h"

enum {
    LIST_LIMIT = 256,  /* elements that are written as numbers */
    ELIDED_LIMIT = 16, /* the same for people */
    ELEMENT_BYTES = 8
};

/* --- elements -------------------------------------------------------------------------------- */

static void print_float(Str *out, DType dtype, const void *bytes) {
    float f32;
    double f64;
    uint16_t half;
    switch (dtype) {
    case DT_F64:
        memcpy(&f64, bytes, sizeof f64);
        lt_str_double(out, f64, false);
        break;
    case DT_F32:
        memcpy(&f32, bytes, sizeof f32);
        lt_str_double(out, (double)f32, true);
        break;
    case DT_F16:
    case DT_BF16:
        memcpy(&half, bytes, sizeof half);
        f32 = dtype == DT_F16 ? lt_f16_to_f32(half) : lt_bf16_to_f32(half);
        lt_str_double(out, (double)f32, true);
        break;
    default: lt_str_double(out, (double)lt_minifloat_to_f32(dtype, *(const uint8_t *)bytes), true);
    }
}

void lt_element_print(Str *out, DType dtype, const void *bytes) {
    const size_t size = lt_dtype_size(dtype);
    uint64_t bits = 0;
    memcpy(&bits, bytes, size);
    if (lt_dtype_is_float(dtype))
        print_float(out, dtype, bytes);
    else if (dtype == DT_BOOL)
        lt_str_append(out, bits ? "true" : "false");
    else if (lt_dtype_is_unsigned(dtype))
        lt_str_printf(out, "%llu", (unsigned long long)bits);
    else
        lt_str_printf(out, "%lld",
                      (long long)((int64_t)(bits << (64 - 8 * size)) >> (64 - 8 * size)));
}

static bool parse_float(DType dtype, const char *text, void *bytes) {
    char *end;
    const double f64 = strtod(text, &end);
    if (end == text || *end)
        return false;
    const float f32 = strtof(text, NULL);
    const uint16_t half = dtype == DT_F16 ? lt_f32_to_f16(f32) : lt_f32_to_bf16(f32);
    const uint8_t small = lt_dtype_is_minifloat(dtype) ? lt_f32_to_minifloat(dtype, f32) : 0;
    const void *source = dtype == DT_F64                ? (const void *)&f64
                         : dtype == DT_F32              ? (const void *)&f32
                         : lt_dtype_is_minifloat(dtype) ? (const void *)&small
                                                        : &half;
    memcpy(bytes, source, lt_dtype_size(dtype));
    return true;
}

static bool parse_unsigned(DType dtype, const char *text, void *bytes) {
    const size_t size = lt_dtype_size(dtype);
    char *end;
    errno = 0;
    const uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end || errno || *text == '-' || (size < 8 && value >> lt_dtype_bits(dtype)))
        return false;
    memcpy(bytes, &value, size);
    return true;
}

static bool parse_signed(DType dtype, const char *text, void *bytes) {
    const int width = lt_dtype_bits(dtype);
    char *end;
    errno = 0;
    const int64_t value = strtoll(text, &end, 10);
    if (end == text || *end || errno ||
        (int64_t)((uint64_t)value << (64 - width)) >> (64 - width) != value)
        return false;
    memcpy(bytes, &value, lt_dtype_size(dtype));
    return true;
}

bool lt_element_parse(DType dtype, const char *text, void *bytes) {
    if (lt_dtype_is_float(dtype))
        return parse_float(dtype, text, bytes);
    if (lt_dtype_is_signed(dtype))
        return parse_signed(dtype, text, bytes);
    if (dtype != DT_BOOL)
        return parse_unsigned(dtype, text, bytes);
    const bool is_true = strcmp(text, "true") == 0;
    memcpy(bytes, &is_true, 1);
    return is_true || strcmp(text, "false") == 0;
}

/* --- constants ------------------------------------------------------------------------------- */

static bool reads_back(const Const *c) {
    const DType dtype = c->type->dtype;
    const size_t size = lt_dtype_size(dtype);
    for (size_t offset = 0; offset < c->bytes; offset += size) {
        Arena arena;
        Str text;
        uint8_t bytes[ELEMENT_BYTES];
        lt_arena_init(&arena);
        lt_str_init(&text, &arena);
        lt_element_print(&text, dtype, (const char *)c->data + offset);
        const bool same = lt_element_parse(dtype, text.text, bytes) &&
                          memcmp(bytes, (const char *)c->data + offset, size) == 0;
        lt_arena_free(&arena);
        if (!same)
            return false;
    }
    return true;
}

static void print_list(Str *out, const Const *c) {
    const size_t size = lt_dtype_size(c->type->dtype);
    lt_str_append(out, c->is_splat ? " splat(" : " [");
    for (size_t offset = 0; offset < c->bytes; offset += size) {
        lt_str_append(out, offset > 0 ? ", " : "");
        lt_element_print(out, c->type->dtype, (const char *)c->data + offset);
    }
    lt_str_char(out, c->is_splat ? ')' : ']');
}

static void print_hex(Str *out, const Const *c) {
    static const char digits[] = "0123456789abcdef";
    lt_str_append(out, c->is_splat ? " splat hex\"" : " hex\"");
    for (size_t i = 0; i < c->bytes; i++) {
        const uint8_t byte = ((const uint8_t *)c->data)[i];
        lt_str_char(out, digits[byte >> 4]);
        lt_str_char(out, digits[byte & 15]);
    }
    lt_str_char(out, '"');
}

void lt_const_print(Str *out, const Const *c, bool elided) {
    const size_t elements = c->bytes / lt_dtype_size(c->type->dtype);
    lt_type_print(out, c->type);
    if (elided && elements > ELIDED_LIMIT)
        lt_str_printf(out, " hash 0x%016llx", (unsigned long long)c->hash);
    else if (elements <= LIST_LIMIT && reads_back(c))
        print_list(out, c);
    else
        print_hex(out, c);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool lt_hex_parse(const char *text, uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const int high = hex_value(text[2 * i]);
        const int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return text[2 * count] == '\0';
}
