/* str.h - a string that grows in an arena. Always NUL-terminated at text[len]. */
#ifndef LATHE_BASE_STR_H
#define LATHE_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/arena.h"

typedef struct Str {
    Arena *arena;
    char *text; /* "" before the first append, never NULL after lt_str_init */
    size_t len, cap;
} Str;

void lt_str_init(Str *s, Arena *arena);
void lt_str_append(Str *s, const char *text);
void lt_str_append_n(Str *s, const char *text, size_t len);
void lt_str_char(Str *s, char c);
void lt_str_printf(Str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends text as a quoted literal: \" \\ \n \t and \xNN for other bytes outside 0x20..0x7e. */
void lt_str_quote(Str *s, const char *text);
/* Appends the shortest decimal that reads back as the same double (float when is_float); nan, inf,
 * -inf. */
void lt_str_double(Str *s, double value, bool is_float);

bool lt_str_equal(const char *a, const char *b);
bool lt_str_starts(const char *text, const char *prefix);
bool lt_str_ends(const char *text, const char *suffix);

#endif
