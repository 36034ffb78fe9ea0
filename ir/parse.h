/* parse.h - what the parts of the reader share. Inside ir/parse*.c only.
 *
 * Every function that reads something starts at the current token and leaves the one behind what it
 * read; it gives false after an error, and the first error ends reading. */
#ifndef LATHE_IR_PARSE_H
#define LATHE_IR_PARSE_H

#include "ir/graph.h"
#include "ir/lex.h"

typedef struct Parser {
    Lexer lexer;
    Module *module;
    int nesting; /* regions inside regions */
} Parser;

/* An error at a place of the text. */
bool lt_parse_fail(Parser *p, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "`what` is expected, found ..." at the current token. */
bool lt_parse_expected(Parser *p, const char *what);
bool lt_parse_mark(Parser *p, char mark);
/* Goes past the mark or the word when it is the current token. */
bool lt_parse_accept(Parser *p, char mark);
bool lt_parse_accept_word(Parser *p, const char *word);
bool lt_parse_is_mark(const Parser *p, char mark);
bool lt_parse_is_word(const Parser *p, const char *word);
bool lt_parse_string(Parser *p, const char **out);
bool lt_parse_integer(Parser *p, int64_t *out);
const Loc *lt_parse_here(Parser *p);

/* parse_attr.c */
bool lt_parse_dim(Parser *p, const Dim **out);
bool lt_parse_type(Parser *p, const Type **out);
bool lt_parse_const(Parser *p, const Const **out);
typedef Vec(Attr) AttrVec;
/* `{name = value, ...}`, or nothing. */
bool lt_parse_attrs(Parser *p, AttrVec *attrs);

#endif
