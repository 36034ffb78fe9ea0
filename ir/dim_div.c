/* dim_div.c - division, remainder, min and max of dims, simplified where that is exact for every
 * value.
 *
 * floordiv(a, n) moves whole multiples of n out, so that what stays inside has its constant in
 * 0..n-1; nested divisions become one; factors common to a and n cancel. ceildiv(a, b) has no form
 * of its own: it is floordiv(a + b - 1, b), so that equal extents meet however they were written.
 */
#include <assert.h>

#include "ir/dim_poly.h"
#include "runtime/base/checked.h"

enum { LONG_DIVISION_STEPS = 64 };

static const Dim *term_as_dim(DimTable *t, int64_t coefficient, const Dim *product) {
    return product ? lt_dim_mul_const(t, product, coefficient) : lt_dim_const(t, coefficient);
}

/* --- exact division -------------------------------------------------------------------------- */

static DimTerm leading_term(const DimPoly *poly) {
    return poly->count ? poly->terms[poly->count - 1] : (DimTerm){poly->constant, NULL};
}

/* a / b as a dim, NULL when b does not divide a. */
static const Dim *divide_terms(DimTable *t, DimTerm a, DimTerm b) {
    if (b.coefficient == 0 || a.coefficient % b.coefficient != 0 || (b.product && !a.product))
        return NULL;
    const Dim *product = b.product ? lt_product_divide(t, a.product, b.product) : a.product;
    if (b.product && !product)
        return NULL;
    return term_as_dim(t, a.coefficient / b.coefficient, product);
}

const Dim *lt_dim_exact_div(DimTable *t, const Dim *a, const Dim *b) {
    DimPoly rest, divisor, quotient;
    lt_poly_from(&rest, t, a);
    lt_poly_from(&divisor, t, b);
    lt_poly_init(&quotient, t, 0);
    const DimTerm lead = leading_term(&divisor);
    for (int step = 0; step < LONG_DIVISION_STEPS; step++) {
        if (rest.count == 0 && rest.constant == 0)
            return lead.coefficient ? lt_poly_dim(&quotient) : NULL;
        const Dim *part = divide_terms(t, leading_term(&rest), lead);
        if (!part)
            return NULL;
        lt_poly_add(&quotient, 1, part);
        lt_poly_add(&rest, -1, lt_dim_mul(t, part, b));
    }
    return NULL;
}

/* --- what division and remainder share ------------------------------------------------------- */

/* a = whole * n + rest; the constant of rest is in 0..n-1, its coefficients within -n+1..n-1. */
static void split_by_const(DimTable *t, const Dim *a, int64_t n, DimPoly *whole, DimPoly *rest) {
    DimPoly all;
    lt_poly_from(&all, t, a);
    lt_poly_init(whole, t, lt_floordiv(all.constant, n));
    lt_poly_init(rest, t, lt_floormod(all.constant, n));
    for (uint32_t i = 0; i < all.count; i++) {
        const DimTerm term = all.terms[i];
        lt_poly_add_term(whole, term.coefficient / n, term.product);
        lt_poly_add_term(rest, term.coefficient % n, term.product);
    }
}

/* a = whole * b + rest: terms that b divides go to whole. */
static void split_by_dim(DimTable *t, const Dim *a, const Dim *b, DimPoly *whole, DimPoly *rest) {
    DimPoly all;
    lt_poly_from(&all, t, a);
    lt_poly_init(whole, t, 0);
    lt_poly_init(rest, t, all.constant);
    const Dim *quotient = lt_dim_exact_div(t, a, b);
    if (quotient) {
        lt_poly_add(whole, 1, quotient);
        rest->constant = 0;
        return;
    }
    for (uint32_t i = 0; i < all.count; i++) {
        const Dim *term = term_as_dim(t, all.terms[i].coefficient, all.terms[i].product);
        const Dim *part = lt_dim_exact_div(t, term, b);
        lt_poly_add(part ? whole : rest, 1, part ? part : term);
    }
}

static int64_t coefficient_gcd(const DimPoly *poly, int64_t n) {
    for (uint32_t i = 0; i < poly->count; i++)
        n = lt_dim_gcd(n, poly->terms[i].coefficient);
    return n;
}

/* poly / g, where g divides every coefficient; the constant is rounded down. */
static const Dim *divide_through(const DimPoly *poly, int64_t g) {
    DimPoly result;
    lt_poly_init(&result, poly->table, lt_floordiv(poly->constant, g));
    for (uint32_t i = 0; i < poly->count; i++)
        lt_poly_add_term(&result, poly->terms[i].coefficient / g, poly->terms[i].product);
    return lt_poly_dim(&result);
}

/* True when floor(d / n) is the same number for the whole range of d. */
static bool one_quotient(const DimTable *t, const Dim *d, int64_t n, int64_t *quotient) {
    int64_t lo, hi;
    lt_dim_range(t, d, &lo, &hi);
    if (lo == -LT_DIM_UNBOUNDED || hi == LT_DIM_UNBOUNDED)
        return false;
    *quotient = lt_floordiv(lo, n);
    return *quotient == lt_floordiv(hi, n);
}

/* 0 <= a < b for all values. */
static bool lies_below(const DimTable *t, const Dim *a, const Dim *b) {
    int64_t a_lo, a_hi, b_lo, b_hi;
    lt_dim_range(t, a, &a_lo, &a_hi);
    lt_dim_range(t, b, &b_lo, &b_hi);
    return a_lo >= 0 && a_hi < b_lo;
}

/* --- floordiv -------------------------------------------------------------------------------- */

/* floordiv(floordiv(x, c) + k, b) = floordiv(x + k * c, c * b); NULL when `rest` is not of that
 * form. */
static const Dim *merge_nested(DimTable *t, const DimPoly *rest, const Dim *b) {
    if (rest->count != 1 || rest->terms[0].coefficient != 1)
        return NULL;
    const Dim *inner = rest->terms[0].product;
    if (inner->kind != DIM_FLOORDIV)
        return NULL;
    const Dim *c = inner->args[1];
    int64_t ignored;
    if (lt_dim_is_const(b) && lt_dim_is_const(c) && !lt_mul_i64(b->value, c->value, &ignored))
        return NULL;
    const Dim *shift = lt_dim_mul_const(t, c, rest->constant);
    return lt_dim_floordiv(t, lt_dim_add(t, inner->args[0], shift), lt_dim_mul(t, c, b));
}

static const Dim *floordiv_by_const(DimTable *t, const Dim *a, int64_t n) {
    DimPoly whole, rest;
    split_by_const(t, a, n, &whole, &rest);
    if (rest.count == 0)
        return lt_poly_dim(&whole);
    const Dim *inside = lt_poly_dim(&rest);
    const Dim *divisor = lt_dim_const(t, n);
    const int64_t g = coefficient_gcd(&rest, n);
    int64_t quotient;
    const Dim *part;
    if (one_quotient(t, inside, n, &quotient))
        part = lt_dim_const(t, quotient);
    else if (g > 1)
        part = floordiv_by_const(t, divide_through(&rest, g), n / g);
    else if (!(part = merge_nested(t, &rest, divisor)))
        part = lt_dim_intern2(t, DIM_FLOORDIV, inside, divisor);
    lt_poly_add(&whole, 1, part);
    return lt_poly_dim(&whole);
}

/* Divides both by one factor that all their terms share. False when there is none. */
static bool cancel_factor(DimTable *t, const DimPoly *rest, const Dim **a, const Dim **b) {
    if ((*b)->kind == DIM_ADD || rest->constant != 0)
        return false;
    const DimTerm divisor = lt_dim_term(t, *b);
    const int64_t g = coefficient_gcd(rest, divisor.coefficient);
    uint32_t count;
    const Dim *const *atoms = lt_product_atoms(&divisor.product, &count);
    for (uint32_t i = 0; i <= count; i++) {
        const Dim *factor = i < count ? atoms[i] : lt_dim_const(t, g);
        const Dim *less = lt_dim_is(factor, 1) ? NULL : lt_dim_exact_div(t, *a, factor);
        if (less) {
            *a = less;
            *b = lt_dim_exact_div(t, *b, factor);
            return true;
        }
    }
    return false;
}

static const Dim *floordiv_by_dim(DimTable *t, const Dim *a, const Dim *b) {
    DimPoly whole, rest;
    split_by_dim(t, a, b, &whole, &rest);
    if (rest.count == 0 && rest.constant == 0)
        return lt_poly_dim(&whole);
    const Dim *inside = lt_poly_dim(&rest);
    const Dim *part;
    if (lies_below(t, inside, b))
        part = lt_dim_const(t, 0);
    else if (cancel_factor(t, &rest, &inside, &b))
        part = lt_dim_floordiv(t, inside, b);
    else if (!(part = merge_nested(t, &rest, b)))
        part = lt_dim_intern2(t, DIM_FLOORDIV, inside, b);
    lt_poly_add(&whole, 1, part);
    return lt_poly_dim(&whole);
}

const Dim *lt_dim_floordiv(DimTable *t, const Dim *a, const Dim *b) {
    if (!lt_dim_is_const(b))
        return floordiv_by_dim(t, a, b);
    if (b->value == 0)
        return b;
    if (b->value < 0)
        return floordiv_by_const(t, lt_dim_mul_const(t, a, -1), -b->value);
    return floordiv_by_const(t, a, b->value);
}

const Dim *lt_dim_ceildiv(DimTable *t, const Dim *a, const Dim *b) {
    if (lt_dim_is_const(b) && b->value < 0) {
        a = lt_dim_mul_const(t, a, -1);
        b = lt_dim_const(t, -b->value);
    }
    return lt_dim_floordiv(t, lt_dim_add(t, a, lt_dim_add_const(t, b, -1)), b);
}

/* --- mod ------------------------------------------------------------------------------------- */

/* mod(.. + k * mod(x, m), n) = mod(.. + k * x, n) when n divides m. False: nothing to do. */
static bool drop_inner_mods(DimPoly *rest, int64_t n, const Dim **out) {
    DimTable *t = rest->table;
    DimPoly flat;
    lt_poly_init(&flat, t, rest->constant);
    bool changed = false;
    for (uint32_t i = 0; i < rest->count; i++) {
        const DimTerm term = rest->terms[i];
        const Dim *p = term.product;
        const bool drop =
            p->kind == DIM_MOD && lt_dim_is_const(p->args[1]) && p->args[1]->value % n == 0;
        lt_poly_add(&flat, term.coefficient, drop ? p->args[0] : p);
        changed = changed || drop;
    }
    *out = lt_poly_dim(&flat);
    return changed;
}

static const Dim *mod_by_const(DimTable *t, const Dim *a, int64_t n);

/* mod(g * x + r, n) = g * mod(x, n / g) + r, where g divides n and 0 <= r < g; NULL: there is no
 * such g among the coefficients. */
static const Dim *mod_of_large_terms(DimTable *t, const DimPoly *rest, int64_t n) {
    for (uint32_t i = 0; i < rest->count; i++) {
        const int64_t g = lt_dim_gcd(n, rest->terms[i].coefficient);
        DimPoly large, small;
        int64_t lo, hi;
        lt_poly_init(&large, t, lt_floordiv(rest->constant, g));
        lt_poly_init(&small, t, lt_floormod(rest->constant, g));
        for (uint32_t j = 0; j < rest->count; j++) {
            const DimTerm term = rest->terms[j];
            const bool is_large = term.coefficient % g == 0;
            lt_poly_add_term(is_large ? &large : &small, term.coefficient / (is_large ? g : 1),
                             term.product);
        }
        const Dim *left = lt_poly_dim(&small);
        lt_dim_range(t, left, &lo, &hi);
        if (g > 1 && lo >= 0 && hi < g) {
            const Dim *kept = mod_by_const(t, lt_poly_dim(&large), n / g);
            return lt_dim_add(t, lt_dim_mul_const(t, kept, g), left);
        }
    }
    return NULL;
}

static const Dim *mod_by_const(DimTable *t, const Dim *a, int64_t n) {
    DimPoly whole, rest;
    split_by_const(t, a, n, &whole, &rest);
    const Dim *inside;
    if (drop_inner_mods(&rest, n, &inside))
        return mod_by_const(t, inside, n);
    int64_t quotient;
    if (one_quotient(t, inside, n, &quotient))
        return lt_dim_add_const(t, inside, lt_dim_saturating_mul(-quotient, n));
    const int64_t g = coefficient_gcd(&rest, n);
    if (g > 1) {
        const Dim *scaled =
            lt_dim_mul_const(t, mod_by_const(t, divide_through(&rest, g), n / g), g);
        return lt_dim_add_const(t, scaled, lt_floormod(rest.constant, g));
    }
    const Dim *split = mod_of_large_terms(t, &rest, n);
    return split ? split : lt_dim_intern2(t, DIM_MOD, inside, lt_dim_const(t, n));
}

static const Dim *mod_by_dim(DimTable *t, const Dim *a, const Dim *b) {
    DimPoly whole, rest;
    split_by_dim(t, a, b, &whole, &rest);
    const Dim *inside = lt_poly_dim(&rest);
    if (lt_dim_is(inside, 0) || lies_below(t, inside, b))
        return inside;
    return lt_dim_intern2(t, DIM_MOD, inside, b);
}

const Dim *lt_dim_mod(DimTable *t, const Dim *a, const Dim *b) {
    if (!lt_dim_is_const(b))
        return mod_by_dim(t, a, b);
    if (b->value == 0)
        return b;
    if (b->value < 0) {
        const Dim *negated = mod_by_const(t, lt_dim_mul_const(t, a, -1), -b->value);
        return lt_dim_mul_const(t, negated, -1);
    }
    return mod_by_const(t, a, b->value);
}

/* --- min and max ----------------------------------------------------------------------------- */

/* a when it is `kind` of b and something. */
static bool absorbs(const Dim *a, DimKind kind, const Dim *b) {
    return a->kind == kind && (a->args[0] == b || a->args[1] == b);
}

static const Dim *choose(DimTable *t, DimKind kind, const Dim *a, const Dim *b) {
    int64_t lo, hi;
    lt_dim_range(t, lt_dim_sub(t, a, b), &lo, &hi);
    if (hi <= 0)
        return kind == DIM_MIN ? a : b;
    if (lo >= 0)
        return kind == DIM_MIN ? b : a;
    if (absorbs(a, kind, b))
        return a;
    if (absorbs(b, kind, a))
        return b;
    return lt_dim_compare(a, b) < 0 ? lt_dim_intern2(t, kind, a, b) : lt_dim_intern2(t, kind, b, a);
}

const Dim *lt_dim_min(DimTable *t, const Dim *a, const Dim *b) { return choose(t, DIM_MIN, a, b); }
const Dim *lt_dim_max(DimTable *t, const Dim *a, const Dim *b) { return choose(t, DIM_MAX, a, b); }
