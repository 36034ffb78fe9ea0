/* dims.c - index arithmetic as text. In a kernel, quotients and remainders get names, in the
 * outermost scope that knows their symbols, so that each is computed once; on the host, long ones
 * get them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/cuda/cuda.h"

enum { SHORT_TEXT = 32 }; /* on the host, needs no name */

/* --- 32 bits --- */

/* Leaves room for a step of a loop. */
enum { LARGEST_INT = INT32_MAX - LT_MAX_THREADS };

/* The greatest magnitude of d, at most INT64_MAX. */
static int64_t magnitude(const DimTable *t, const Dim *d) {
    int64_t lo, hi;
    lt_dim_range(t, d, &lo, &hi);
    if (hi == LT_DIM_UNBOUNDED || lo == -LT_DIM_UNBOUNDED)
        return INT64_MAX;
    return llabs(lo) > llabs(hi) ? llabs(lo) : llabs(hi);
}

static int64_t times(int64_t a, int64_t b) {
    return b > 1 && a > INT64_MAX / b ? INT64_MAX : a * (b > 1 ? b : 1);
}
static int64_t plus(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

/* What the parts of a sum or of a product that are int may come to, in whatever order. */
static int64_t narrow_part(const Writer *w, const Dim *d) {
    const bool is_sum = d->kind == DIM_ADD;
    int64_t all = llabs(d->value);
    for (uint32_t i = 0; i < d->count; i++) {
        if (lt_cuda_is_wide(w, d->args[i]))
            continue;
        const int64_t part = magnitude(&w->dims, d->args[i]);
        all = is_sum ? plus(all, part) : times(all, part);
    }
    return all;
}

/* The text's parts are of the types that they have, and C++ computes with the wider one: only where
 * narrow ones overflow does the text say int64_t. */
bool lt_cuda_is_wide(const Writer *w, const Dim *d) {
    if (d->kind == DIM_CONST)
        return llabs(d->value) > INT32_MAX;
    if (!w->kernel)
        return true;
    if (d->kind != DIM_ADD && d->kind != DIM_MUL)
        return magnitude(&w->dims, d) > LARGEST_INT;
    for (uint32_t i = 0; i < d->count; i++)
        if (lt_cuda_is_wide(w, d->args[i]))
            return true;
    return narrow_part(w, d) > INT32_MAX;
}

const char *lt_cuda_index_type(const Writer *w, const Dim *d) {
    return !w->kernel || magnitude(&w->dims, d) > LARGEST_INT ? "int64_t" : "int";
}

/* --- names --- */

void lt_cuda_bind(Writer *w, const Dim *symbol, const char *text) {
    w->symbols[symbol->symbol] = text;
    w->symbol_scopes[symbol->symbol] = w->scope;
}

static Scope *scope_within(const Writer *w, const Dim *d, Scope *outermost) {
    Scope *found = outermost;
    if (d->kind == DIM_SYMBOL && w->symbol_scopes[d->symbol])
        found = w->symbol_scopes[d->symbol];
    for (uint32_t i = 0; i < d->count; i++) {
        Scope *inner = scope_within(w, d->args[i], outermost);
        found = inner->depth > found->depth ? inner : found;
    }
    return found;
}

Scope *lt_cuda_scope_of(const Writer *w, const Dim *d) {
    Scope *outermost = w->scope;
    while (outermost->around)
        outermost = outermost->around;
    return scope_within(w, d, outermost);
}

/* A kernel computes it once, as far out as it can be known; the host where it is needed. */
static const char *declare(Writer *w, const Dim *d, Text value) {
    Scope *scope = w->kernel ? lt_cuda_scope_of(w, d) : w->scope;
    const char *name = lt_cuda_scope_name(w, scope, lt_cuda_part_name(w, d));
    lt_cuda_line_in(scope, "const %s %s = %s;", lt_cuda_index_type(w, d), name, value.text);
    lt_vec_push(w->arena, &w->named_dims, (NamedDim){d, name, scope});
    return name;
}

/* --- arithmetic --- */

static Text number(Writer *w, int64_t value) {
    return (Text){lt_arena_printf(w->arena, "%lld", (long long)value),
                  value < 0 ? BIND_UNARY : BIND_ATOM};
}

static Text widened(Writer *w, Text text) {
    return (Text){lt_arena_printf(w->arena, "int64_t(%s)", text.text), BIND_ATOM};
}

static Text product_of(Writer *w, const Dim *d, int64_t coefficient) {
    const bool overflows = w->kernel && d->kind == DIM_MUL &&
                           times(narrow_part(w, d) / llabs(d->value), coefficient) > INT32_MAX;
    Text result = number(w, coefficient);
    if (overflows && coefficient != 1)
        result = widened(w, result);
    for (uint32_t i = 0; i < d->count; i++) {
        Text factor = lt_cuda_dim(w, d->args[i]);
        if (i == 0 && coefficient == 1)
            result = overflows ? widened(w, factor) : factor;
        else
            result = lt_cuda_binary(w->arena, result, "*", factor, BIND_PRODUCT);
    }
    return result;
}

/* The terms of a sum that have one coefficient; the constant is one of them where it is as much. */
typedef struct Terms {
    Text text;
    bool is_wide;
    int64_t size; /* with the coefficient; 0 of wide ones */
} Terms;

static Terms terms_with(Writer *w, const Dim *d, int64_t value) {
    Terms terms = {.text = {NULL, BIND_ATOM}};
    const Dim *only = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        const Dim *arg = d->args[i];
        if (lt_cuda_coefficient(arg) != value)
            continue;
        const Text term = value == 1 ? lt_cuda_dim(w, arg) : product_of(w, arg, 1);
        terms.text =
            terms.text.text ? lt_cuda_binary(w->arena, terms.text, "+", term, BIND_SUM) : term;
        terms.is_wide |= lt_cuda_is_wide(w, arg);
        terms.size = plus(terms.size, magnitude(&w->dims, arg));
        only = arg;
        count++;
    }
    if (count == 1 && value != 1 && llabs(d->value) != value)
        return (Terms){product_of(w, only, value), lt_cuda_is_wide(w, only), terms.size};
    if (value != 1 && llabs(d->value) == value) {
        terms.text =
            lt_cuda_binary(w->arena, terms.text, d->value < 0 ? "-" : "+", number(w, 1), BIND_SUM);
        terms.size = plus(terms.size, value);
    }
    if (value != 1 && terms.text.text) {
        const bool overflows = w->kernel && !terms.is_wide && terms.size > INT32_MAX;
        const Text coefficient = overflows ? widened(w, number(w, value)) : number(w, value);
        terms.text = lt_cuda_binary(w->arena, coefficient, "*", terms.text, BIND_PRODUCT);
        terms.is_wide |= overflows;
    }
    return terms;
}

/* The next smaller coefficient of a positive term; 0: there is none. */
static int64_t next_coefficient(const Dim *d, int64_t below) {
    int64_t next = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        const int64_t value = lt_cuda_coefficient(d->args[i]);
        next = value < below && value > next ? value : next;
    }
    return next;
}

/* As elements of rows are numbered: 784 * b + 28 * (y + k) + x; what has a negative coefficient is
 * subtracted last. */
static Text sum_of(Writer *w, const Dim *d) {
    Text sum = {NULL, BIND_ATOM};
    int64_t constant = d->value;
    for (int64_t value = next_coefficient(d, INT64_MAX); value > 0;
         value = next_coefficient(d, value)) {
        Terms terms = terms_with(w, d, value);
        if (value != 1 && value == llabs(constant))
            constant = 0;
        if (sum.text)
            terms.text.binding = BIND_PRODUCT; /* a sum in a sum needs no parentheses */
        else if (w->kernel && !terms.is_wide && narrow_part(w, d) > INT32_MAX)
            terms.text = widened(w, terms.text);
        sum = sum.text ? lt_cuda_binary(w->arena, sum, "+", terms.text, BIND_SUM) : terms.text;
    }
    if (!sum.text)
        sum = number(w, constant);
    else if (constant)
        sum = lt_cuda_binary(w->arena, sum, constant < 0 ? "-" : "+", number(w, llabs(constant)),
                             BIND_SUM);
    for (uint32_t i = 0; i < d->count; i++)
        if (lt_cuda_coefficient(d->args[i]) < 0)
            sum = lt_cuda_binary(w->arena, sum, "-", product_of(w, d->args[i], -d->args[i]->value),
                                 BIND_SUM);
    return sum;
}

const char *lt_cuda_known_dim(const Writer *w, const Dim *d) {
    for (size_t i = 0; i < w->named_dims.len; i++)
        if (w->named_dims.data[i].dim == d)
            return w->named_dims.data[i].name;
    return NULL;
}

static const char *wider_type(Writer *w, const Dim *d) {
    return lt_cuda_is_wide(w, d->args[0]) || lt_cuda_is_wide(w, d->args[1]) ? "int64_t" : "int";
}

static Text division_of(Writer *w, const Dim *d) {
    int64_t top, least, hi;
    lt_dim_range(&w->dims, d->args[0], &top, &hi);
    lt_dim_range(&w->dims, d->args[1], &least, &hi);
    const bool is_mod = d->kind == DIM_MOD;
    const bool is_middle = is_mod && d->args[0]->kind == DIM_FLOORDIV &&
                           d->args[0]->args[0]->kind == DIM_SYMBOL &&
                           !lt_cuda_known_dim(w, d->args[0]);
    const Text a = is_middle ? division_of(w, d->args[0]) : lt_cuda_dim(w, d->args[0]);
    const Text b = lt_cuda_dim(w, d->args[1]);
    if (top >= 0 && least >= 1)
        return lt_cuda_binary(w->arena, a, is_mod ? "%" : "/", b, BIND_PRODUCT);
    return (Text){lt_arena_printf(w->arena, "%s<%s>(%s, %s)", is_mod ? "imod" : "ifloordiv",
                                  wider_type(w, d), a.text, b.text),
                  BIND_ATOM};
}

static Text choice_of(Writer *w, const Dim *d) {
    const Text a = lt_cuda_dim(w, d->args[0]), b = lt_cuda_dim(w, d->args[1]);
    const bool is_deduced = lt_cuda_is_wide(w, d->args[0]) == lt_cuda_is_wide(w, d->args[1]);
    const char *type = is_deduced ? "" : "<int64_t>";
    return (Text){lt_arena_printf(w->arena, "%s%s(%s, %s)", d->kind == DIM_MIN ? "imin" : "imax",
                                  type, a.text, b.text),
                  BIND_ATOM};
}

static Text now_dim(Writer *w, const Dim *d) {
    switch (d->kind) {
    case DIM_CONST: return number(w, d->value);
    case DIM_SYMBOL:
        if (!w->symbols[d->symbol])
            assert(!"a symbol is used inside its scope");
        return (Text){w->symbols[d->symbol], BIND_ATOM};
    case DIM_ADD: return sum_of(w, d);
    case DIM_MUL: return product_of(w, d, d->value);
    default: break;
    }
    if (lt_cuda_known_dim(w, d))
        return (Text){lt_cuda_known_dim(w, d), BIND_ATOM};
    const bool is_choice = d->kind == DIM_MIN || d->kind == DIM_MAX;
    const Text value = is_choice ? choice_of(w, d) : division_of(w, d);
    if (!w->kernel && strlen(value.text) <= SHORT_TEXT)
        return value;
    return (Text){declare(w, d, value), BIND_ATOM};
}

/* Twice: a thread's number becomes its group and lane, and a lane what is left of a position. */
const Dim *lt_cuda_replaced(Writer *w, const Dim *d) {
    for (int i = 0; w->any_replaced && i < 2; i++)
        d = lt_dim_substitute(&w->dims, d, w->replaced);
    return lt_cuda_fold_positions(w, d);
}

Text lt_cuda_dim(Writer *w, const Dim *d) { return now_dim(w, lt_cuda_replaced(w, d)); }
