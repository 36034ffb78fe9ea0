/* utf8.c - UTF-8, and the simple case mappings of Unicode. */
#include "frontends/onnx/utf8.h"

#define TO_LOWER(first, last, step, delta) {first, last, step, delta, CASE_LOWER},
#define TO_UPPER(first, last, step, delta) {first, last, step, delta, CASE_UPPER},
const CaseRange lt_case_ranges[] = {
#include "frontends/onnx/unicode_case.def"
};
#undef TO_LOWER
#undef TO_UPPER
const size_t lt_case_count = sizeof lt_case_ranges / sizeof *lt_case_ranges;

Utf8 lt_utf8_decode(const char *text, size_t length) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *at = (const uint8_t *)text;
    const Utf8 none = {0, 0};
    if (length == 0)
        return none;
    const uint32_t size = at[0] < 0x80   ? 1
                          : at[0] < 0xc0 ? 0
                          : at[0] < 0xe0 ? 2
                          : at[0] < 0xf0 ? 3
                          : at[0] < 0xf8 ? 4
                                         : 0;
    if (size == 0 || size > length)
        return none;
    uint32_t code = size == 1 ? at[0] : at[0] & (0x7fu >> size);
    for (uint32_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return none;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return none;
    return (Utf8){code, size};
}

uint32_t lt_utf8_encode(uint32_t code, uint8_t bytes[4]) {
    if (code < 0x80) {
        bytes[0] = (uint8_t)code;
        return 1;
    }
    const uint32_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (uint32_t i = size - 1; i > 0; i--, code >>= 6)
        bytes[i] = (uint8_t)(0x80 | (code & 0x3f));
    bytes[0] = (uint8_t)((0xf00u >> size) | code);
    return size;
}
