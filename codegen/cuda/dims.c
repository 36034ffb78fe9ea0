/* dims.c - index arithmetic as text. In a kernel, quotients and remainders get names, in the
 * outermost scope that knows their symbols, so that each is computed once; on the host, long ones
 * get them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/cuda/cuda.h"

enum { SHORT_TEXT = 32 }; /* on the host, needs no name */

/* --- 32 bits --- */

/* The greatest magnitude of d, at most INT64_MAX. */
static int64_t magnitude(const DimTable *t, const Dim *d) {
    int64_t lo, hi;
    lt_dim_range(t, d, &lo, &hi);
    if (hi == LT_DIM_UNBOUNDED || lo == -LT_DIM_UNBOUNDED)
        return INT64_MAX;
    return llabs(lo) > llabs(hi) ? llabs(lo) : llabs(hi);
}

/* Terms are added, and factors multiplied, in an order of their own: all parts of the sum or of the
 * product must fit, whatever their signs. */
bool lt_cuda_fits_int(const DimTable *t, const Dim *d) {
    if (magnitude(t, d) > INT32_MAX)
        return false;
    int64_t all = d->kind == DIM_ADD || d->kind == DIM_MUL ? llabs(d->value) : 0;
    for (uint32_t i = 0; i < d->count; i++) {
        if (!lt_cuda_fits_int(t, d->args[i]))
            return false;
        const int64_t part = magnitude(t, d->args[i]);
        if (d->kind == DIM_ADD)
            all += part;
        if (d->kind == DIM_MUL && part > 1)
            all *= part;
        if (all > INT32_MAX)
            return false;
    }
    return true;
}

/* --- names --- */

void lt_cuda_bind(Writer *w, const Dim *symbol, const char *text) {
    w->symbols[symbol->symbol] = text;
    w->symbol_scopes[symbol->symbol] = w->scope;
}

/* The innermost of the scopes that d's symbols are bound in. */
static Scope *scope_of(const Writer *w, const Dim *d, Scope *outermost) {
    Scope *found = outermost;
    if (d->kind == DIM_SYMBOL && w->symbol_scopes[d->symbol])
        found = w->symbol_scopes[d->symbol];
    for (uint32_t i = 0; i < d->count; i++) {
        Scope *inner = scope_of(w, d->args[i], outermost);
        found = inner->depth > found->depth ? inner : found;
    }
    return found;
}

/* Which part of a merged loop's name (b_y0_o) this is: the quotient's, the remainder's, or, by its
 * place between, NULL. */
static const char *part_name(Arena *arena, const Dim *d) {
    const Dim *inner = d->args[0];
    const bool is_middle = d->kind == DIM_MOD && inner->kind == DIM_FLOORDIV;
    const Dim *symbol = is_middle ? inner->args[0] : inner;
    if (symbol->kind != DIM_SYMBOL)
        return NULL;
    const bool is_axis = lt_str_ends(symbol->name, ".at");
    const char *name =
        lt_arena_strndup(arena, symbol->name, strlen(symbol->name) - (is_axis ? 3 : 0));
    if (is_axis && strchr(name, '_') && lt_str_ends(name, ".0")) /* around vectors */
        name = lt_arena_strndup(arena, name, strlen(name) - 2);
    const char *dot = strchr(name, '.'), *first = strchr(dot ? dot : name, '_');
    const char *last = strrchr(name, '_');
    if (!first)
        return lt_arena_printf(arena, "%s_%s", lt_cuda_loop_name(arena, name),
                               d->kind == DIM_MOD ? "rest" : "part");
    if (is_middle && first != last)
        return lt_arena_strndup(arena, first + 1, strcspn(first + 1, "_"));
    const char *part =
        d->kind == DIM_MOD ? last + 1 : lt_arena_strndup(arena, name, (size_t)(first - name));
    return lt_cuda_loop_name(arena, part);
}

/* A kernel computes it once, as far out as it can be known; the host where it is needed. */
static const char *declare(Writer *w, const Dim *d, Text value) {
    Scope *outermost = w->scope;
    while (outermost->around)
        outermost = outermost->around;
    Scope *scope = w->kernel ? scope_of(w, d, outermost) : w->scope;
    const char *wanted = part_name(w->arena, d);
    const char *name = lt_cuda_scope_name(w, scope, wanted ? wanted : "at");
    lt_cuda_line_in(scope, "const %s %s = %s;", w->index_type, name, value.text);
    lt_vec_push(w->arena, &w->named_dims, (NamedDim){d, name, scope});
    return name;
}

/* --- arithmetic --- */

static Text number(Writer *w, int64_t value) {
    return (Text){lt_arena_printf(w->arena, "%lld", (long long)value),
                  value < 0 ? BIND_UNARY : BIND_ATOM};
}

static Text product_of(Writer *w, const Dim *d, int64_t coefficient) {
    Text result = number(w, coefficient);
    for (uint32_t i = 0; i < d->count; i++) {
        Text factor = lt_cuda_dim(w, d->args[i]);
        result = i == 0 && coefficient == 1
                     ? factor
                     : lt_cuda_binary(w->arena, result, "*", factor, BIND_PRODUCT);
    }
    return result;
}

/* Products come first, then single terms; what has a negative coefficient is subtracted last. */
static bool is_negative_term(const Dim *d) { return d->kind == DIM_MUL && d->value < 0; }

static Text sum_of(Writer *w, const Dim *d) {
    Text sum = {NULL, BIND_ATOM};
    for (uint32_t i = 0; i < 2 * d->count; i++) {
        const Dim *arg = d->args[i % d->count];
        if (is_negative_term(arg) || (arg->kind == DIM_MUL) != (i < d->count))
            continue;
        Text term = lt_cuda_dim(w, arg);
        sum = sum.text ? lt_cuda_binary(w->arena, sum, "+", term, BIND_SUM) : term;
    }
    if (!sum.text)
        sum = number(w, d->value);
    else if (d->value)
        sum = lt_cuda_binary(w->arena, sum, d->value < 0 ? "-" : "+", number(w, llabs(d->value)),
                             BIND_SUM);
    for (uint32_t i = 0; i < d->count; i++)
        if (is_negative_term(d->args[i]))
            sum = lt_cuda_binary(w->arena, sum, "-", product_of(w, d->args[i], -d->args[i]->value),
                                 BIND_SUM);
    return sum;
}

static Text division_of(Writer *w, const Dim *d) {
    int64_t top, least, hi;
    lt_dim_range(&w->dims, d->args[0], &top, &hi);
    lt_dim_range(&w->dims, d->args[1], &least, &hi);
    const Text a = lt_cuda_dim(w, d->args[0]), b = lt_cuda_dim(w, d->args[1]);
    const bool is_mod = d->kind == DIM_MOD;
    if (top >= 0 && least >= 1)
        return lt_cuda_binary(w->arena, a, is_mod ? "%" : "/", b, BIND_PRODUCT);
    return (Text){lt_arena_printf(w->arena, "%s<%s>(%s, %s)", is_mod ? "imod" : "ifloordiv",
                                  w->index_type, a.text, b.text),
                  BIND_ATOM};
}

static Text choice_of(Writer *w, const Dim *d) {
    const Text a = lt_cuda_dim(w, d->args[0]), b = lt_cuda_dim(w, d->args[1]);
    const bool is_deduced = (d->args[0]->kind != DIM_CONST && d->args[1]->kind != DIM_CONST) ||
                            strcmp(w->index_type, "int") == 0;
    const char *type = is_deduced ? "" : lt_arena_printf(w->arena, "<%s>", w->index_type);
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
    for (size_t i = 0; i < w->named_dims.len; i++)
        if (w->named_dims.data[i].dim == d)
            return (Text){w->named_dims.data[i].name, BIND_ATOM};
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
    return d;
}

Text lt_cuda_dim(Writer *w, const Dim *d) { return now_dim(w, lt_cuda_replaced(w, d)); }

const Dim *lt_cuda_flat(Writer *w, const Buffer *b, const Dim *const *index) {
    const Dim *flat = lt_dim_const(&w->dims, 0);
    for (int i = 0; i < b->rank; i++)
        flat = lt_dim_add(&w->dims, lt_dim_mul(&w->dims, flat, b->dims[i]), index[i]);
    return flat;
}
