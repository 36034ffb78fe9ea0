/* lex.h - tokens of the text form. Inside ir/ only. The text ends with a NUL that is not part of
 * it; other bytes, NUL included, may be anything. */
#ifndef LATHE_IR_LEX_H
#define LATHE_IR_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/arena.h"

typedef enum {
    TOKEN_END,
    TOKEN_WORD,   /* reduce.add, batch, _ */
    TOKEN_VALUE,  /* %12, %x; text without the % */
    TOKEN_NUMBER, /* -1.5e3; the decimal point and the exponent are optional */
    TOKEN_STRING, /* text is unquoted */
    TOKEN_MARK,   /* one character of punctuation */
    TOKEN_BAD     /* error says why */
} TokenKind;

typedef struct Token {
    TokenKind kind;
    char mark;
    const char *text;  /* WORD, VALUE, NUMBER, STRING; NUL-terminated, in the arena */
    const char *start; /* in the source */
    const char *error;
} Token;

typedef struct Lexer {
    Arena *arena;
    const char *text, *end; /* *end is NUL */
    const char *at;         /* behind the current token */
    Token token;            /* the current one */
    const char *line_start; /* where the last search for a position ended */
    int32_t line;
} Lexer;

void lt_lex_init(Lexer *lexer, Arena *arena, const char *text, size_t len);
void lt_lex_next(Lexer *lexer);
/* Continues at a place in the text: for parts with a scanner of their own (dims, hex blobs). */
void lt_lex_seek(Lexer *lexer, const char *at);
/* From 1; the column counts bytes. Fast when the places asked for go forwards. */
void lt_lex_position(Lexer *lexer, const char *at, int32_t *line, int32_t *column);
/* The line of the last position as people may see it: without control bytes, its beginning when it
 * is long. */
const char *lt_lex_line(const Lexer *lexer);

/* Bytes of the identifier at text, 0 when there is none: a letter or _, then letters, digits, _ and
 * single dots. */
size_t lt_identifier_length(const char *text);
bool lt_is_identifier(const char *text);
/* The text of the quoted literal at *at, which is advanced behind it. NULL: not closed on its line,
 * an unknown escape, or a NUL inside. */
const char *lt_unquote(Arena *arena, const char **at);

#endif
