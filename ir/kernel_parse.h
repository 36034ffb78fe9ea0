/* kernel_parse.h - what the two halves of the kernel parser share. Inside ir/kernel_parse*.c only.
 */
#ifndef LATHE_IR_KERNEL_PARSE_H
#define LATHE_IR_KERNEL_PARSE_H

#include <setjmp.h>

#include "ir/kernel_expr.h"
#include "ir/lex.h"

/* A name that is visible: a symbol or a buffer. */
typedef struct Named {
    const char *name;
    const Dim *symbol;
    const Buffer *buffer;
} Named;

typedef struct KernelParser {
    Lexer lexer;
    Kernel *kernel;
    DiagList *diags;
    Vec(Named) scope; /* the innermost last */
    int depth;        /* of blocks and parentheses: bounded, since the text may be anything */
    jmp_buf failed;   /* the first error ends the reading */
} KernelParser;

_Noreturn void lt_read_fail(KernelParser *p, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void lt_read_deeper(KernelParser *p);
void lt_read_next(KernelParser *p);
bool lt_read_at_mark(const KernelParser *p, char mark);
bool lt_read_at_word(const KernelParser *p, const char *word);
/* Consumes it if it is there. */
bool lt_read_mark(KernelParser *p, char mark);
bool lt_read_word(KernelParser *p, const char *word);
void lt_read_expect(KernelParser *p, char mark);
const char *lt_read_name(KernelParser *p, const char *what);
int64_t lt_read_int(KernelParser *p);
DType lt_read_dtype(KernelParser *p);
const Named *lt_read_find(const KernelParser *p, const char *name);

/* --- expressions (kernel_parse_expr.c) ------------------------------------------------------- */

/* DT_BOOL as `expected`: numbers have no dtype from their context. */
const Expr *lt_read_expr(KernelParser *p, DType expected);
const Dim *lt_read_dim(KernelParser *p);
/* "[" dims "]"; returns how many, at most LT_MAX_RANK. */
int lt_read_dims(KernelParser *p, const Dim **dims);

#endif
