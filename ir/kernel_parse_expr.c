/* kernel_parse_expr.c - reads expressions and dims of the kernel text (grammar: kernel_text.c).
 * Dims are expressions that fold into one: one reader serves both. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/kernel_parse.h"

#define NO_DTYPE DT_BOOL

typedef const Dim *DimFn(DimTable *t, const Dim *a, const Dim *b);

typedef struct Operator {
    const char *text;
    int precedence;
    ScalarFn fn;
    DimFn *dims; /* an operator on dims alone */
} Operator;

/* Longer ones first: `<=` is not `<`. */
static const Operator operators[] = {
    {"or", 1, FN_OR, NULL},
    {"and", 2, FN_AND, NULL},
    {"<=", 3, FN_LE, NULL},
    {">=", 3, FN_GE, NULL},
    {"==", 3, FN_EQ, NULL},
    {"!=", 3, FN_NE, NULL},
    {"<", 3, FN_LT, NULL},
    {">", 3, FN_GT, NULL},
    {"+", 4, FN_ADD, NULL},
    {"-", 4, FN_SUB, NULL},
    {"*", 5, FN_MUL, NULL},
    {"/", 5, FN_DIV, NULL},
    {"floordiv", 5, FN_FLOORDIV, lt_dim_floordiv},
    {"ceildiv", 5, FN_FLOORDIV, lt_dim_ceildiv},
    {"mod", 5, FN_MOD, lt_dim_mod},
};

static const Expr *parse_binary(KernelParser *p, DType expected, int precedence);

/* --- literals --------------------------------------------------------------------------------- */

static const Expr *make_number(KernelParser *p, const Token *token, DType dtype) {
    Kernel *k = p->kernel;
    const char *text = token->text;
    if (dtype == DT_F64)
        return lt_expr_float(k, dtype, strtod(text, NULL));
    if (lt_dtype_is_float(dtype))
        return lt_expr_float(k, dtype, (double)strtof(text, NULL));
    if (dtype == DT_BOOL || strpbrk(text, ".einEN"))
        lt_read_fail(p, token->start, "expected a number of dtype %s, found %s",
                     lt_dtype_name(dtype), text);
    errno = 0;
    const int64_t value = strtoll(text, NULL, 10);
    if (errno || lt_dtype_wrap(dtype, value) != value)
        lt_read_fail(p, token->start, "%s does not fit into %s", text, lt_dtype_name(dtype));
    return lt_expr_int(k, dtype, value);
}

static const Expr *parse_number(KernelParser *p, DType expected) {
    const Token token = p->lexer.token;
    lt_read_next(p);
    if (lt_read_mark(p, ':'))
        return make_number(p, &token, lt_read_dtype(p));
    const DType otherwise = strpbrk(token.text, ".einEN") ? DT_F32 : DT_I64;
    return make_number(p, &token, expected == NO_DTYPE ? otherwise : expected);
}

/* --- operands --------------------------------------------------------------------------------- */

static const Dim *as_dim(KernelParser *p, const Expr *e, const char *at) {
    if (e->kind == EXPR_INDEX)
        return e->u.dim;
    if (e->kind != EXPR_CONST || e->dtype != DT_I64)
        lt_read_fail(p, at, "expected index arithmetic over loop variables and integers");
    return lt_dim_const(&p->kernel->dims, e->u.i);
}

const Dim *lt_read_dim(KernelParser *p) {
    const char *at = p->lexer.token.start;
    return as_dim(p, lt_read_expr(p, DT_I64), at);
}

int lt_read_dims(KernelParser *p, const Dim **dims) {
    int rank = 0;
    lt_read_expect(p, '[');
    while (!lt_read_at_mark(p, ']')) {
        if (rank > 0)
            lt_read_expect(p, ',');
        if (rank == LT_MAX_RANK)
            lt_read_fail(p, p->lexer.token.start, "more than %d axes", LT_MAX_RANK);
        dims[rank++] = lt_read_dim(p);
    }
    lt_read_expect(p, ']');
    return rank;
}

static const Expr *parse_load(KernelParser *p, const Named *named, const char *name,
                              const char *at) {
    const Dim *index[LT_MAX_RANK];
    if (!named || !named->buffer)
        lt_read_fail(p, at, "there is no buffer '%s' here", name);
    const int rank = lt_read_dims(p, index);
    if (rank != named->buffer->rank)
        lt_read_fail(p, at, "'%s' has rank %d, found %d indices", name, named->buffer->rank, rank);
    const Expr *predicate = NULL;
    if (lt_read_word(p, "where")) {
        lt_read_expect(p, '(');
        const char *condition = p->lexer.token.start;
        predicate = lt_read_expr(p, NO_DTYPE);
        if (predicate->dtype != DT_BOOL)
            lt_read_fail(p, condition, "expected a condition, found %s",
                         lt_dtype_name(predicate->dtype));
        lt_read_expect(p, ')');
    }
    return lt_expr_load(p->kernel, named->buffer, index, predicate);
}

static const Expr *checked_call(KernelParser *p, ScalarFn fn, const Expr *const args[3],
                                const char *at) {
    const char *error = lt_scalar_check(p->kernel->arena, fn, args);
    if (error)
        lt_read_fail(p, at, "%s", error);
    return lt_expr_call(p->kernel, fn, args[0], args[1], args[2]);
}

/* As operand_dtype of kernel_text.c says. */
static DType argument_dtype(ScalarFn fn, const Expr *const args[3], int i, DType expected) {
    const ScalarRule rule = lt_scalar_info[fn].rule;
    if (rule == RULE_LOGIC || rule == RULE_TEST || (rule == RULE_SELECT && i == 0))
        return NO_DTYPE;
    if (rule == RULE_COMPARE)
        return i == 0 ? NO_DTYPE : args[0]->dtype;
    const int first = rule == RULE_SELECT;
    return i > first && expected == NO_DTYPE ? args[first]->dtype : expected;
}

/* The dtype behind `bitcast.` */
static bool is_bitcast(const char *name, DType *dtype) {
    static const char prefix[] = "bitcast.";
    return strncmp(name, prefix, sizeof prefix - 1) == 0 &&
           lt_dtype_parse(name + sizeof prefix - 1, dtype);
}

static const Expr *parse_bitcast(KernelParser *p, const char *at, DType dtype) {
    const Expr *operand = lt_read_expr(p, NO_DTYPE);
    if (lt_dtype_bits(operand->dtype) != lt_dtype_bits(dtype))
        lt_read_fail(p, at, "a bitcast from %s to %s: they differ in size",
                     lt_dtype_name(operand->dtype), lt_dtype_name(dtype));
    lt_read_expect(p, ')');
    return lt_expr_bitcast(p->kernel, operand, dtype);
}

static const Expr *parse_call(KernelParser *p, const char *name, const char *at, DType expected) {
    DType dtype;
    ScalarFn fn;
    lt_read_expect(p, '(');
    if (lt_dtype_parse(name, &dtype)) {
        const Expr *operand = lt_read_expr(p, NO_DTYPE);
        lt_read_expect(p, ')');
        return lt_expr_convert(p->kernel, operand, dtype);
    }
    if (is_bitcast(name, &dtype))
        return parse_bitcast(p, at, dtype);
    if (!lt_scalar_parse(name, &fn))
        lt_read_fail(p, at, "there is no scalar function '%s'", name);
    const Expr *args[3] = {NULL, NULL, NULL};
    for (int i = 0; i < lt_scalar_info[fn].arity; i++) {
        if (i > 0)
            lt_read_expect(p, ',');
        args[i] = lt_read_expr(p, argument_dtype(fn, args, i, expected));
    }
    lt_read_expect(p, ')');
    return checked_call(p, fn, args, at);
}

static const Expr *parse_word(KernelParser *p, DType expected) {
    const char *at = p->lexer.token.start, *name = p->lexer.token.text;
    if (lt_read_at_word(p, "inf") || lt_read_at_word(p, "nan"))
        return parse_number(p, expected);
    lt_read_next(p);
    if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0)
        return lt_expr_int(p->kernel, DT_BOOL, name[0] == 't');
    if (lt_read_at_mark(p, '('))
        return parse_call(p, name, at, expected);
    const Named *named = lt_read_find(p, name);
    if (lt_read_at_mark(p, '['))
        return parse_load(p, named, name, at);
    if (!named || !named->symbol)
        lt_read_fail(p, at, "there is no variable '%s' here", name);
    return lt_expr_index(p->kernel, named->symbol);
}

static const Expr *parse_unary(KernelParser *p, DType expected) {
    const Token *token = &p->lexer.token;
    const char *at = token->start;
    if (token->kind == TOKEN_NUMBER)
        return parse_number(p, expected);
    if (token->kind == TOKEN_WORD)
        return parse_word(p, expected);
    const Expr *args[3] = {NULL, NULL, NULL};
    lt_read_deeper(p);
    if (lt_read_mark(p, '-')) {
        args[0] = parse_unary(p, expected);
        args[0] = checked_call(p, FN_NEG, args, at);
    } else if (lt_read_mark(p, '(')) {
        args[0] = lt_read_expr(p, expected);
        lt_read_expect(p, ')');
    } else {
        lt_read_fail(p, at, "expected a value");
    }
    p->depth--;
    return args[0];
}

/* --- operators -------------------------------------------------------------------------------- */

static const Operator *peek_operator(const KernelParser *p) {
    const Token *token = &p->lexer.token;
    const bool is_word = token->kind == TOKEN_WORD;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        const char *text = operators[i].text;
        if (is_word ? strcmp(token->text, text) == 0
                    : token->kind == TOKEN_MARK && strncmp(token->start, text, strlen(text)) == 0)
            return &operators[i];
    }
    return NULL;
}

static void take_operator(KernelParser *p, const Operator *operator) {
    if (p->lexer.token.kind == TOKEN_MARK && operator->text[1])
        lt_lex_seek(&p->lexer, p->lexer.token.start + 1);
    lt_read_next(p);
}

static const Expr *combine(KernelParser *p, const Operator *operator, const Expr * const args[3],
                           const char *at) {
    if (!operator->dims)
        return checked_call(p, operator->fn, args, at);
    const Dim *a = as_dim(p, args[0], at), *b = as_dim(p, args[1], at);
    if (lt_dim_is_const(b) && b->value <= 0)
        lt_read_fail(p, at, "%s needs a positive divisor", operator->text);
    return lt_expr_index(p->kernel, operator->dims(&p->kernel->dims, a, b));
}

static const Expr *parse_binary(KernelParser *p, DType expected, int precedence) {
    static const Operator plus = {"+", 4, FN_ADD, NULL};
    const Expr *left = parse_unary(p, expected);
    for (;;) {
        const char *at = p->lexer.token.start;
        /* `a -1` is read as a and the number -1. */
        const bool is_negative = p->lexer.token.kind == TOKEN_NUMBER && *at == '-';
        const Operator *operator= is_negative ? &plus : peek_operator(p);
        if (!operator|| operator->precedence<precedence)
            return left;
        if (!is_negative)
            take_operator(p, operator);
        const Expr *args[3] = {left, NULL, NULL};
        args[1] = parse_binary(
            p, argument_dtype(operator->fn, args, 1, expected), operator->precedence + 1);
        left = combine(p, operator, args, at);
    }
}

const Expr *lt_read_expr(KernelParser *p, DType expected) {
    lt_read_deeper(p);
    const Expr *e = parse_binary(p, expected, 0);
    p->depth--;
    return e;
}
