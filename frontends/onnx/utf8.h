/* utf8.h - UTF-8, and the simple case mappings of Unicode. */
#ifndef LATHE_FRONTENDS_ONNX_UTF8_H
#define LATHE_FRONTENDS_ONNX_UTF8_H

#include <stddef.h>
#include <stdint.h>

typedef struct Utf8 {
    uint32_t code;
    uint32_t length; /* bytes that it takes; 0: they are not UTF-8 */
} Utf8;

/* The first character; surrogates and forms that are longer than needed are none. */
Utf8 lt_utf8_decode(const char *text, size_t length);
/* The bytes of a code point, 1 to 4; their number. */
uint32_t lt_utf8_encode(uint32_t code, uint8_t bytes[4]);

/* The letters first, first + step, ... last become others: letter + delta. */
typedef struct CaseRange {
    uint32_t first, last, step;
    int32_t delta;
    enum { CASE_LOWER, CASE_UPPER } to;
} CaseRange;

extern const CaseRange lt_case_ranges[];
extern const size_t lt_case_count;

#endif
