/* position.c - numbers of blocks in indices, where the positions on an axis have a name.
 *
 * A thread's number became i - N * block, where i is its position: what is left of the block's
 * number is put in terms of the position, too: i % N, i / (N * m). */
#include "codegen/cuda/cuda.h"

static const Dim *position_of(const Writer *w) { return w->axis ? w->position : w->row; }

static const Dim *product_in(const Dim *term) {
    return term->kind == DIM_MUL && term->count == 1 ? term->args[0] : term;
}

/* The coefficient that a sum has of the product; 0: it has none. */
static int64_t coefficient_in(const Dim *sum, const Dim *product) {
    for (uint32_t i = 0; i < sum->count; i++)
        if (product_in(sum->args[i]) == product)
            return lt_cuda_coefficient(sum->args[i]);
    return 0;
}

/* What the sum has as coefficient * (block mod m), or NULL. */
static const Dim *find_mod(const Writer *w, const Dim *sum, int64_t coefficient) {
    for (uint32_t i = 0; i < sum->count; i++) {
        const Dim *mod = product_in(sum->args[i]);
        if (lt_cuda_coefficient(sum->args[i]) == coefficient && mod->kind == DIM_MOD &&
            mod->args[0] == w->block && mod->args[1]->kind == DIM_CONST)
            return mod;
    }
    return NULL;
}

/* i, or i / s where s divides the positions of a block: how many of it a block has; else 0. */
static int64_t steps_of(const Writer *w, const Dim *d) {
    if (d == position_of(w))
        return w->positions;
    const bool is_part =
        d->kind == DIM_FLOORDIV && d->args[0] == position_of(w) && d->args[1]->kind == DIM_CONST;
    return is_part && w->positions % d->args[1]->value == 0 ? w->positions / d->args[1]->value : 0;
}

/* c * (i - N * block), and N * c * (block mod m) beside it, is c * (i mod N), or c * (i mod N * m);
 * so it is with i / s and N / s. */
static const Dim *fold_sum(Writer *w, const Dim *d) {
    DimTable *t = &w->dims;
    const int64_t blocks = -coefficient_in(d, w->block);
    for (uint32_t at = 0; at < d->count && blocks > 0; at++) {
        const Dim *i = product_in(d->args[at]);
        const int64_t n = steps_of(w, i), c = lt_cuda_coefficient(d->args[at]);
        if (n == 0 || c < 1 || blocks != c * n)
            continue;
        const Dim *mod = find_mod(w, d, blocks);
        const Dim *part = lt_dim_mod(t, i, lt_dim_const(t, mod ? n * mod->args[1]->value : n));
        d = lt_dim_add(t, d, lt_dim_mul_const(t, w->block, blocks));
        d = lt_dim_sub(t, d, lt_dim_mul_const(t, i, c));
        if (mod)
            d = lt_dim_sub(t, d, lt_dim_mul_const(t, mod, blocks));
        return lt_dim_add(t, d, lt_dim_mul_const(t, part, c));
    }
    return d;
}

/* --- quotients and remainders that make up the whole --- */

/* A remainder of x / n among the factors of a sum's terms, or NULL. */
static const Dim *find_next_mod(DimTable *t, const Dim *sum, const Dim *mod) {
    const Dim *quotient = lt_dim_floordiv(t, mod->args[0], mod->args[1]);
    for (uint32_t i = 0; i < sum->count; i++) {
        const Dim *term = sum->args[i], *const *factors =
                                            term->kind == DIM_MUL ? term->args : &term;
        const uint32_t count = term->kind == DIM_MUL ? term->count : 1;
        for (uint32_t at = 0; at < count; at++)
            if (factors[at]->kind == DIM_MOD && factors[at]->args[0] == quotient)
                return factors[at];
    }
    return NULL;
}

/* c * (n * (x / n)) + c * (x mod n) is c * x, and c * (n * (x / n mod m)) + c * (x mod n) is
 * c * (x mod n * m); NULL: the sum has neither. */
static const Dim *fold_one(DimTable *t, const Dim *sum) {
    for (uint32_t i = 0; i < sum->count; i++) {
        const Dim *mod = product_in(sum->args[i]);
        const int64_t c = lt_cuda_coefficient(sum->args[i]);
        if (mod->kind != DIM_MOD)
            continue;
        const Dim *x = mod->args[0], *n = mod->args[1], *next = find_next_mod(t, sum, mod);
        const Dim *rest = lt_dim_sub(t, sum, lt_dim_mul_const(t, mod, c));
        const Dim *higher = next ? next : lt_dim_floordiv(t, x, n);
        const Dim *whole = next ? lt_dim_mod(t, x, lt_dim_mul(t, n, next->args[1])) : x;
        rest = lt_dim_sub(t, rest, lt_dim_mul_const(t, lt_dim_mul(t, n, higher), c));
        rest = lt_dim_add(t, rest, lt_dim_mul_const(t, whole, c));
        if (rest->kind != DIM_ADD || rest->count < sum->count)
            return rest;
    }
    return NULL;
}

static const Dim *fold_parts(Writer *w, const Dim *d) {
    const Dim *folded = d;
    while (d->kind == DIM_ADD && (folded = fold_one(&w->dims, d)))
        d = folded;
    return d;
}

/* --- all of them --- */

const Dim *lt_cuda_fold_positions(Writer *w, const Dim *d) {
    DimTable *t = &w->dims;
    if (d->kind == DIM_CONST || d->kind == DIM_SYMBOL)
        return d;
    const Dim *sum = lt_dim_const(t, d->kind == DIM_ADD || d->kind == DIM_MUL ? d->value : 0);
    for (uint32_t i = 0; i < d->count && (d->kind == DIM_ADD || d->kind == DIM_MUL); i++) {
        const Dim *arg = lt_cuda_fold_positions(w, d->args[i]);
        sum = d->kind == DIM_ADD ? lt_dim_add(t, sum, arg) : lt_dim_mul(t, sum, arg);
    }
    if (d->kind == DIM_ADD)
        return fold_parts(w, w->positions ? fold_sum(w, sum) : sum);
    if (d->kind == DIM_MUL)
        return sum;
    const Dim *a = lt_cuda_fold_positions(w, d->args[0]),
              *b = lt_cuda_fold_positions(w, d->args[1]);
    switch (d->kind) {
    case DIM_FLOORDIV:
        if (w->positions && a == w->block && b->kind == DIM_CONST)
            return lt_dim_floordiv(t, position_of(w), lt_dim_mul_const(t, b, w->positions));
        return lt_dim_floordiv(t, a, b);
    case DIM_MOD: return lt_dim_mod(t, a, b);
    case DIM_MIN: return lt_dim_min(t, a, b);
    case DIM_MAX: return lt_dim_max(t, a, b);
    default: return d;
    }
}
