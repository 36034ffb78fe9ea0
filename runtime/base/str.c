/* str.c - strings that grow in an arena: capacity doubles, the old text stays behind in the arena.
 * (So a string may be appended to itself.) */
#include "runtime/base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

enum { FIRST_CAPACITY = 64, FLOAT_DIGITS = 9, DOUBLE_DIGITS = 17 };

/* What every empty string points to. Never written: cap 0 makes the first append allocate. */
static char empty_text[1];

void lt_str_init(Str *s, Arena *arena) { *s = (Str){.arena = arena, .text = empty_text}; }

/* Makes room for `extra` bytes and the NUL. An overflowing size is more than any arena has. */
static void reserve(Str *s, size_t extra) {
    size_t need;
    if (!lt_add_size(s->len, extra, &need) || !lt_add_size(need, 1, &need))
        need = SIZE_MAX;
    if (need <= s->cap)
        return;
    size_t cap = s->cap < FIRST_CAPACITY ? FIRST_CAPACITY : s->cap;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
    char *text = lt_arena_alloc_aligned(s->arena, cap, 1);
    memcpy(text, s->text, s->len);
    s->text = text;
    s->cap = cap;
}

void lt_str_append_n(Str *s, const char *text, size_t len) {
    reserve(s, len);
    if (len > 0)
        memcpy(s->text + s->len, text, len);
    s->len += len;
    s->text[s->len] = '\0';
}

void lt_str_append(Str *s, const char *text) { lt_str_append_n(s, text, strlen(text)); }

void lt_str_char(Str *s, char c) { lt_str_append_n(s, &c, 1); }

void lt_str_printf(Str *s, const char *format, ...) {
    char local[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(local, sizeof local, format, args);
    if (len >= 0 && (size_t)len < sizeof local)
        lt_str_append_n(s, local, (size_t)len);
    else
        lt_str_append(s, lt_arena_vprintf(s->arena, format, again));
    va_end(again);
    va_end(args);
}

static void quote_char(Str *s, unsigned char c) {
    static const char plain[] = "\"\\\n\t", escape[] = "\"\\nt";
    const char *special = c ? strchr(plain, c) : NULL;
    if (special) {
        lt_str_char(s, '\\');
        lt_str_char(s, escape[special - plain]);
    } else if (c < 0x20 || c > 0x7e) {
        lt_str_printf(s, "\\x%02x", c);
    } else {
        lt_str_char(s, (char)c);
    }
}

void lt_str_quote(Str *s, const char *text) {
    lt_str_char(s, '"');
    for (; *text; text++)
        quote_char(s, (unsigned char)*text);
    lt_str_char(s, '"');
}

static bool reads_back(const char *text, double value, bool is_float) {
    return (is_float ? (double)strtof(text, NULL) : strtod(text, NULL)) == value;
}

/* printf and strtod agree on the locale's decimal point; ours is always a dot. */
static void append_with_dot(Str *s, const char *text) {
    while (*text) {
        size_t number = strspn(text, "0123456789eE+-");
        lt_str_append_n(s, text, number);
        text += number;
        size_t point = strcspn(text, "0123456789eE+-");
        if (point > 0)
            lt_str_char(s, '.');
        text += point;
    }
}

void lt_str_double(Str *s, double value, bool is_float) {
    value = is_float ? (double)(float)value : value;
    if (isnan(value) || isinf(value)) {
        lt_str_append(s, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    char text[64];
    int most = is_float ? FLOAT_DIGITS : DOUBLE_DIGITS;
    for (int digits = 1; digits <= most; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (reads_back(text, value, is_float))
            break;
    }
    append_with_dot(s, text);
}

bool lt_str_equal(const char *a, const char *b) { return strcmp(a, b) == 0; }

bool lt_str_starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool lt_str_ends(const char *text, const char *suffix) {
    size_t text_len = strlen(text), suffix_len = strlen(suffix);
    return text_len >= suffix_len && strcmp(text + text_len - suffix_len, suffix) == 0;
}
