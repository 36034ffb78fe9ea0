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

/* The symbol of a merged loop, b_y0_o or b_y0_o.1, in the dim, or NULL. */
static const Dim *merged_symbol(const Dim *d) {
    const Dim *found = NULL;
    if (d->kind == DIM_SYMBOL) {
        const char *dot = strchr(d->name, '.'), *joint = strchr(d->name, '_');
        return joint && (!dot || (joint < dot && !strchr(dot, '_'))) ? d : NULL;
    }
    for (uint32_t i = 0; i < d->count && !found; i++)
        found = merged_symbol(d->args[i]);
    return found;
}

/* Which axis of the output has rows of that many elements behind it; -1: none. */
static int axis_of_stride(Writer *w, const Dim *stride, int rank) {
    const Kernel *k = w->kernel;
    for (size_t i = 0; i < k->buffers.len; i++) {
        const Buffer *b = k->buffers.data[i];
        const Dim *product = lt_dim_const(&w->dims, 1);
        if (b->kind != BUFFER_OUTPUT || b->rank != rank)
            continue;
        for (int axis = rank - 1; axis >= 0; axis--) {
            if (product == stride)
                return axis;
            product = lt_dim_mul(&w->dims, product, b->dims[axis]);
        }
    }
    return -1;
}

/* The same of a symbol whose parts were split before: y0_y1.0_o.0 has y_block and o_block. */
static const char *part_of_symbol(Writer *w, const char *name, bool is_mod) {
    const char *dot = strchr(name, '.'), *joint = dot ? strchr(dot, '_') : NULL;
    if (!joint)
        return lt_arena_printf(w->arena, "%s_%s", lt_cuda_loop_name(w->arena, name),
                               is_mod ? "rest" : "part");
    const char *part =
        is_mod ? strrchr(name, '_') + 1 : lt_arena_strndup(w->arena, name, (size_t)(joint - name));
    return lt_cuda_loop_name(w->arena, part);
}

/* Which part of a merged loop (b_y0_o) this is: the quotient is the first, the remainder the last,
 * what is both is between; NULL where that cannot be said. */
static const char *part_name(Writer *w, const Dim *d) {
    const Dim *inner = d->args[0], *symbol = merged_symbol(d);
    const bool is_mod = d->kind == DIM_MOD, is_middle = is_mod && inner->kind == DIM_FLOORDIV;
    const char *parts[LT_MAX_RANK + 1], *name = symbol ? symbol->name : "";
    int count = 0;
    if (!symbol && inner->kind == DIM_SYMBOL && !is_middle)
        return part_of_symbol(w, inner->name, is_mod);
    char *words = lt_arena_strndup(w->arena, name, strcspn(name, "."));
    for (char *save, *word = strtok_r(words, "_", &save); word && count <= LT_MAX_RANK;
         word = strtok_r(NULL, "_", &save))
        parts[count++] = word;
    if (count < 2 || (!is_mod && inner->kind == DIM_MOD))
        return NULL;
    const Dim *stride = is_middle ? inner->args[1] : d->args[1];
    const int axis = w->kernel && (is_middle || !is_mod) ? axis_of_stride(w, stride, count) : -1;
    if (!is_middle)
        return is_mod ? parts[count - 1] : axis > 0 ? NULL : parts[0];
    return count == 3 ? parts[1] : axis >= 0 ? parts[axis] : NULL;
}

/* A kernel computes it once, as far out as it can be known; the host where it is needed. */
static const char *declare(Writer *w, const Dim *d, Text value) {
    Scope *outermost = w->scope;
    while (outermost->around)
        outermost = outermost->around;
    Scope *scope = w->kernel ? scope_of(w, d, outermost) : w->scope;
    const char *wanted = part_name(w, d);
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

static int64_t coefficient_of(const Dim *d) { return d->kind == DIM_MUL ? d->value : 1; }

/* The terms of a sum that has the coefficient `value`, without it. */
static Text terms_with(Writer *w, const Dim *d, int64_t value, uint32_t *count) {
    Text sum = {NULL, BIND_ATOM};
    *count = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        if (coefficient_of(d->args[i]) != value)
            continue;
        const Text term = value == 1 ? lt_cuda_dim(w, d->args[i]) : product_of(w, d->args[i], 1);
        sum = sum.text ? lt_cuda_binary(w->arena, sum, "+", term, BIND_SUM) : term;
        ++*count;
    }
    return sum;
}

/* The next smaller coefficient of a positive term; 0: there is none. */
static int64_t next_coefficient(const Dim *d, int64_t below) {
    int64_t next = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        const int64_t value = coefficient_of(d->args[i]);
        next = value < below && value > next ? value : next;
    }
    return next;
}

/* As elements of rows are numbered: 784 * b + 28 * (y + k) + x; what has a negative coefficient is
 * subtracted last. */
static Text sum_of(Writer *w, const Dim *d) {
    Text sum = {NULL, BIND_ATOM};
    for (int64_t value = next_coefficient(d, INT64_MAX); value > 0;
         value = next_coefficient(d, value)) {
        uint32_t count;
        Text terms = terms_with(w, d, value, &count);
        if (value != 1)
            terms = lt_cuda_binary(w->arena, number(w, value), "*", terms, BIND_PRODUCT);
        if (sum.text)
            terms.binding = BIND_PRODUCT; /* a sum in a sum needs no parentheses */
        sum = sum.text ? lt_cuda_binary(w->arena, sum, "+", terms, BIND_SUM) : terms;
    }
    if (!sum.text)
        sum = number(w, d->value);
    else if (d->value)
        sum = lt_cuda_binary(w->arena, sum, d->value < 0 ? "-" : "+", number(w, llabs(d->value)),
                             BIND_SUM);
    for (uint32_t i = 0; i < d->count; i++)
        if (coefficient_of(d->args[i]) < 0)
            sum = lt_cuda_binary(w->arena, sum, "-", product_of(w, d->args[i], -d->args[i]->value),
                                 BIND_SUM);
    return sum;
}

static const char *known_dim(const Writer *w, const Dim *d) {
    for (size_t i = 0; i < w->named_dims.len; i++)
        if (w->named_dims.data[i].dim == d)
            return w->named_dims.data[i].name;
    return NULL;
}

static Text division_of(Writer *w, const Dim *d) {
    int64_t top, least, hi;
    lt_dim_range(&w->dims, d->args[0], &top, &hi);
    lt_dim_range(&w->dims, d->args[1], &least, &hi);
    const bool is_mod = d->kind == DIM_MOD;
    const bool is_middle = is_mod && d->args[0]->kind == DIM_FLOORDIV &&
                           d->args[0]->args[0]->kind == DIM_SYMBOL && !known_dim(w, d->args[0]);
    const Text a = is_middle ? division_of(w, d->args[0]) : lt_cuda_dim(w, d->args[0]);
    const Text b = lt_cuda_dim(w, d->args[1]);
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
    if (known_dim(w, d))
        return (Text){known_dim(w, d), BIND_ATOM};
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
