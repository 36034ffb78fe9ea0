/* dim_text.c - dims as text, and back to the same pointer.
 *
 *   expr   := term { ("+" | "-") term }
 *   term   := factor { ("*" | "floordiv" | "ceildiv" | "mod") factor }      left to right
 *   factor := INTEGER | NAME | STRING | "-" factor | "(" expr ")" | ("min" | "max") "(" expr ","
 * expr ")"
 *
 * A symbol whose name is not an identifier, or is a keyword, is quoted. */
#include <ctype.h>
#include <string.h>

#include "ir/dim_poly.h"
#include "ir/lex.h"

/* --- printing -------------------------------------------------------------------------------- */

typedef const Dim *(*DimOperation)(DimTable *, const Dim *, const Dim *);

typedef struct DimKeyword {
    const char *word;
    DimKind kind;
    DimOperation build;
} DimKeyword;

static const DimKeyword infix_words[] = {
    {"floordiv", DIM_FLOORDIV, lt_dim_floordiv},
    {"ceildiv", DIM_CEILDIV, lt_dim_ceildiv},
    {"mod", DIM_MOD, lt_dim_mod},
};
static const DimKeyword call_words[] = {
    {"min", DIM_MIN, lt_dim_min},
    {"max", DIM_MAX, lt_dim_max},
};
enum { INFIX_WORDS = 3, CALL_WORDS = 2 };

static const DimKeyword *find_keyword(const DimKeyword *words, int count, const char *word,
                                      size_t len) {
    for (int i = 0; i < count; i++) {
        if (strlen(words[i].word) == len && memcmp(words[i].word, word, len) == 0)
            return &words[i];
    }
    return NULL;
}

static const char *kind_word(DimKind kind) {
    for (int i = 0; i < INFIX_WORDS; i++) {
        if (infix_words[i].kind == kind)
            return infix_words[i].word;
    }
    return kind == DIM_MIN ? "min" : "max";
}

static void print_symbol(Str *out, const char *name) {
    const size_t len = strlen(name);
    if (lt_is_identifier(name) && !find_keyword(infix_words, INFIX_WORDS, name, len) &&
        !find_keyword(call_words, CALL_WORDS, name, len))
        lt_str_append(out, name);
    else
        lt_str_quote(out, name);
}

/* A dim as an operand of `*` or of a division: whatever binds weaker is put in parentheses. */
static void print_operand(Str *out, const Dim *d) {
    const bool plain = d->kind == DIM_SYMBOL || d->kind == DIM_MIN || d->kind == DIM_MAX ||
                       (d->kind == DIM_CONST && d->value >= 0);
    lt_str_append(out, plain ? "" : "(");
    lt_dim_print(out, d);
    lt_str_append(out, plain ? "" : ")");
}

/* |coefficient| * atom * ...; the sign is printed by the caller. */
static void print_term(Str *out, const Dim *d) {
    if (d->kind != DIM_MUL) {
        lt_dim_print(out, d);
        return;
    }
    if (d->value != 1 && d->value != -1)
        lt_str_printf(out, "%lld*", (long long)(d->value < 0 ? -d->value : d->value));
    for (uint32_t i = 0; i < d->count; i++) {
        lt_str_append(out, i > 0 ? "*" : "");
        print_operand(out, d->args[i]);
    }
}

static bool is_negative(const Dim *d) { return d->kind == DIM_MUL && d->value < 0; }

static void print_sum(Str *out, const Dim *d) {
    for (uint32_t i = 0; i < d->count; i++) {
        if (i > 0)
            lt_str_append(out, is_negative(d->args[i]) ? " - " : " + ");
        else if (is_negative(d->args[i]))
            lt_str_char(out, '-');
        print_term(out, d->args[i]);
    }
    if (d->value != 0)
        lt_str_printf(out, d->value < 0 ? " - %lld" : " + %lld",
                      (long long)(d->value < 0 ? -d->value : d->value));
}

void lt_dim_print(Str *out, const Dim *d) {
    switch (d->kind) {
    case DIM_CONST: lt_str_printf(out, "%lld", (long long)d->value); break;
    case DIM_SYMBOL: print_symbol(out, d->name); break;
    case DIM_ADD: print_sum(out, d); break;
    case DIM_MUL:
        lt_str_append(out, is_negative(d) ? "-" : "");
        print_term(out, d);
        break;
    case DIM_MIN:
    case DIM_MAX:
        lt_str_printf(out, "%s(", kind_word(d->kind));
        lt_dim_print(out, d->args[0]);
        lt_str_append(out, ", ");
        lt_dim_print(out, d->args[1]);
        lt_str_char(out, ')');
        break;
    default:
        print_operand(out, d->args[0]);
        lt_str_printf(out, " %s ", kind_word(d->kind));
        print_operand(out, d->args[1]);
        break;
    }
}

/* --- parsing --------------------------------------------------------------------------------- */

/* Both limits keep hostile text from exhausting the stack: one of the parser, one of what it
 * builds. */
enum { NESTING_LIMIT = 64, OPERATOR_LIMIT = 256 };

typedef struct DimParser {
    DimTable *table;
    const char *at;
    const char *error;
    int nesting, operators;
} DimParser;

static const Dim *parse_expression(DimParser *p);

static const Dim *fail(DimParser *p, const char *error) {
    p->error = p->error ? p->error : error;
    return NULL;
}

static void skip_space(DimParser *p) {
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
        p->at++;
}

static bool accept(DimParser *p, char c) {
    skip_space(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static const Dim *apply(DimParser *p, DimOperation build, const Dim *a, const Dim *b) {
    if (!a || !b)
        return NULL;
    if (++p->operators > OPERATOR_LIMIT)
        return fail(p, "a dim with at most 256 operators");
    return build(p->table, a, b);
}

static const Dim *parse_integer(DimParser *p) {
    int64_t value = 0;
    for (; isdigit((unsigned char)*p->at); p->at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p->at - '0', &value))
            return fail(p, "an integer below 2^63");
    }
    return lt_dim_const(p->table, value);
}

static const Dim *parse_call(DimParser *p, DimOperation build) {
    if (!accept(p, '('))
        return fail(p, "'('");
    const Dim *a = parse_expression(p);
    if (a && !accept(p, ','))
        return fail(p, "','");
    const Dim *b = a ? parse_expression(p) : NULL;
    if (b && !accept(p, ')'))
        return fail(p, "')'");
    return apply(p, build, a, b);
}

static const Dim *parse_name(DimParser *p) {
    const size_t len = lt_identifier_length(p->at);
    const DimKeyword *call = find_keyword(call_words, CALL_WORDS, p->at, len);
    if (find_keyword(infix_words, INFIX_WORDS, p->at, len))
        return fail(p, "a dim");
    const char *name = lt_arena_strndup(p->table->arena, p->at, len);
    p->at += len;
    return call ? parse_call(p, call->build) : lt_dim_symbol(p->table, name);
}

static const Dim *parse_quoted(DimParser *p) {
    const char *name = lt_unquote(p->table->arena, &p->at);
    return name ? lt_dim_symbol(p->table, name) : fail(p, "a closed string without NUL");
}

static const Dim *parse_atom(DimParser *p) {
    if (accept(p, '(')) {
        const Dim *inner = parse_expression(p);
        return inner && !accept(p, ')') ? fail(p, "')'") : inner;
    }
    if (isdigit((unsigned char)*p->at))
        return parse_integer(p);
    if (*p->at == '"')
        return parse_quoted(p);
    return lt_identifier_length(p->at) > 0 ? parse_name(p) : fail(p, "a dim");
}

static const Dim *parse_factor(DimParser *p) {
    if (++p->nesting > NESTING_LIMIT)
        return fail(p, "a dim of less than 64 nested parts");
    const bool negate = accept(p, '-');
    const Dim *factor = negate ? parse_factor(p) : parse_atom(p);
    p->nesting--;
    return factor && negate ? lt_dim_mul_const(p->table, factor, -1) : factor;
}

static DimOperation accept_multiplication(DimParser *p) {
    if (accept(p, '*'))
        return lt_dim_mul;
    const size_t len = lt_identifier_length(p->at);
    const DimKeyword *word = find_keyword(infix_words, INFIX_WORDS, p->at, len);
    if (!word)
        return NULL;
    p->at += len;
    return word->build;
}

static const Dim *parse_term(DimParser *p) {
    const Dim *term = parse_factor(p);
    DimOperation build;
    while (term && (build = accept_multiplication(p)))
        term = apply(p, build, term, parse_factor(p));
    return term;
}

static DimOperation accept_addition(DimParser *p) {
    if (accept(p, '+'))
        return lt_dim_add;
    return accept(p, '-') ? lt_dim_sub : NULL;
}

static const Dim *parse_expression(DimParser *p) {
    const Dim *sum = parse_term(p);
    DimOperation build;
    while (sum && (build = accept_addition(p)))
        sum = apply(p, build, sum, parse_term(p));
    return sum;
}

const Dim *lt_dim_parse(DimTable *t, const char **text, const char **error) {
    DimParser parser = {.table = t, .at = *text};
    const Dim *dim = parse_expression(&parser);
    *text = parser.at;
    if (!dim)
        *error = parser.error;
    return dim;
}
