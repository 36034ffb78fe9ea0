/* lex.c - cuts the text form into tokens. Line and column are found from a pointer when they are
 * needed, by a search that starts where the last one ended. */
#include "ir/lex.h"

#include <ctype.h>
#include <string.h>

#include "runtime/base/str.h"

enum { SHOWN_LIMIT = 1024 }; /* bytes of a line that a message shows */

/* --- identifiers and strings ----------------------------------------------------------------- */

static bool is_word_start(char c) { return isalpha((unsigned char)c) || c == '_'; }
static bool is_word_part(char c) { return isalnum((unsigned char)c) || c == '_'; }

size_t lt_identifier_length(const char *text) {
    if (!is_word_start(*text))
        return 0;
    size_t len = 1;
    while (is_word_part(text[len]) || (text[len] == '.' && is_word_part(text[len + 1])))
        len++;
    return len;
}

bool lt_is_identifier(const char *text) {
    const size_t len = lt_identifier_length(text);
    return len > 0 && text[len] == '\0';
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that the escape behind a backslash stands for, advancing past it; -1: none, or NUL. */
static int unescape(const char **at) {
    static const char letters[] = "\"\\nt", bytes[] = "\"\\\n\t";
    const char c = *(*at)++;
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter)
        return bytes[letter - letters];
    if (c != 'x')
        return -1;
    const int high = hex_digit(**at);
    const int low = high < 0 ? -1 : hex_digit((*at)[1]);
    if (low < 0 || high * 16 + low == 0)
        return -1;
    *at += 2;
    return high * 16 + low;
}

const char *lt_unquote(Arena *arena, const char **at) {
    const char *from = *at + 1;
    size_t len = 0;
    while (from[len] && from[len] != '"' && from[len] != '\n')
        len += from[len] == '\\' && from[len + 1] ? 2 : 1;
    char *text = lt_arena_alloc(arena, len + 1);
    size_t used = 0;
    while (*from && *from != '"' && *from != '\n') {
        int byte = (unsigned char)*from++;
        if (byte == '\\' && (byte = unescape(&from)) < 0)
            return NULL;
        text[used++] = (char)byte;
    }
    if (*from != '"')
        return NULL;
    *at = from + 1;
    return text;
}

/* --- tokens ---------------------------------------------------------------------------------- */

static void skip_blank(Lexer *lexer) {
    for (;;) {
        const char c = *lexer->at;
        if (lexer->at < lexer->end && c == '#') {
            const char *newline = memchr(lexer->at, '\n', (size_t)(lexer->end - lexer->at));
            lexer->at = newline ? newline : lexer->end;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            lexer->at++;
        } else {
            return;
        }
    }
}

static size_t digits_length(const char *text) {
    size_t len = 0;
    while (isdigit((unsigned char)text[len]))
        len++;
    return len;
}

/* 0 when there is no number at text. `1..` is the number 1. */
static size_t number_length(const char *text) {
    size_t len = *text == '-';
    const size_t whole = digits_length(text + len);
    if (whole == 0)
        return strncmp(text, "-inf", 4) == 0 && !is_word_part(text[4]) ? 4 : 0;
    len += whole;
    if (text[len] == '.' && isdigit((unsigned char)text[len + 1]))
        len += 1 + digits_length(text + len + 1);
    if (text[len] == 'e' || text[len] == 'E') {
        const size_t sign = text[len + 1] == '-' || text[len + 1] == '+';
        const size_t exponent = digits_length(text + len + 1 + sign);
        len += exponent ? 1 + sign + exponent : 0;
    }
    return len;
}

static size_t value_length(const char *text) {
    if (*text != '%')
        return 0;
    const size_t digits = digits_length(text + 1);
    const size_t len = digits ? digits : lt_identifier_length(text + 1);
    return len ? len + 1 : 0;
}

static void take(Lexer *lexer, TokenKind kind, size_t len, size_t skip) {
    lexer->token.kind = kind;
    lexer->token.text = lt_arena_strndup(lexer->arena, lexer->at + skip, len - skip);
    lexer->at += len;
}

static void take_string(Lexer *lexer) {
    lexer->token.text = lt_unquote(lexer->arena, &lexer->at);
    lexer->token.kind = lexer->token.text ? TOKEN_STRING : TOKEN_BAD;
    if (!lexer->token.text)
        lexer->token.error =
            "this string is not closed on its line, or has an escape that is not known";
}

static void take_mark(Lexer *lexer) {
    const char c = *lexer->at;
    if (c && strchr("{}()[]=:,.-+*", c)) {
        lexer->token.kind = TOKEN_MARK;
        lexer->token.mark = c;
    } else {
        lexer->token.kind = TOKEN_BAD;
        lexer->token.error = isgraph((unsigned char)c)
                                 ? lt_arena_printf(lexer->arena, "'%c' has no meaning here", c)
                                 : lt_arena_printf(lexer->arena, "byte 0x%02x has no meaning here",
                                                   (unsigned)(unsigned char)c);
    }
    lexer->at++;
}

void lt_lex_next(Lexer *lexer) {
    skip_blank(lexer);
    const char *at = lexer->at;
    lexer->token = (Token){.kind = TOKEN_END, .start = at};
    size_t len;
    if (at == lexer->end)
        return;
    if ((len = lt_identifier_length(at)) > 0)
        take(lexer, TOKEN_WORD, len, 0);
    else if ((len = value_length(at)) > 0)
        take(lexer, TOKEN_VALUE, len, 1);
    else if ((len = number_length(at)) > 0)
        take(lexer, TOKEN_NUMBER, len, 0);
    else if (*at == '"')
        take_string(lexer);
    else
        take_mark(lexer);
}

void lt_lex_init(Lexer *lexer, Arena *arena, const char *text, size_t len) {
    *lexer = (Lexer){
        .arena = arena, .text = text, .end = text + len, .at = text, .line_start = text, .line = 1};
    lt_lex_next(lexer);
}

void lt_lex_seek(Lexer *lexer, const char *at) {
    lexer->at = at;
    lt_lex_next(lexer);
}

/* --- positions ------------------------------------------------------------------------------- */

void lt_lex_position(Lexer *lexer, const char *at, int32_t *line, int32_t *column) {
    if (at < lexer->line_start) {
        lexer->line_start = lexer->text;
        lexer->line = 1;
    }
    const char *newline;
    while ((newline = memchr(lexer->line_start, '\n', (size_t)(at - lexer->line_start)))) {
        lexer->line_start = newline + 1;
        lexer->line++;
    }
    *line = lexer->line;
    *column = (int32_t)(at - lexer->line_start) + 1;
}

const char *lt_lex_line(const Lexer *lexer) {
    const char *start = lexer->line_start;
    const char *newline = memchr(start, '\n', (size_t)(lexer->end - start));
    size_t len = (size_t)((newline ? newline : lexer->end) - start);
    len = len < SHOWN_LIMIT ? len : SHOWN_LIMIT;
    char *line = lt_arena_strndup(lexer->arena, start, len);
    for (size_t i = 0; i < len; i++) {
        if (iscntrl((unsigned char)start[i]) && start[i] != '\t')
            line[i] = '?';
    }
    return line;
}
