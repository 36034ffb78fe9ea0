/* dim_range.c - what is known of a dim's value: bounds, divisibility, the value itself under given
 * symbols. */
#include <assert.h>

#include "ir/dim_poly.h"
#include "runtime/base/checked.h"

/* Inclusive; -LT_DIM_UNBOUNDED and LT_DIM_UNBOUNDED stand for no bound. */
typedef struct Range {
    int64_t lo, hi;
} Range;

static bool is_unbounded(int64_t bound) {
    return bound == LT_DIM_UNBOUNDED || bound == -LT_DIM_UNBOUNDED;
}

/* --- interval arithmetic --------------------------------------------------------------------- */

/* `missing`: what a sum is when one of its parts has no bound on this side. */
static int64_t add_bounds(int64_t a, int64_t b, int64_t missing) {
    return a == missing || b == missing ? missing : lt_dim_saturating_add(a, b);
}

static Range range_add(Range a, Range b) {
    return (Range){add_bounds(a.lo, b.lo, -LT_DIM_UNBOUNDED),
                   add_bounds(a.hi, b.hi, LT_DIM_UNBOUNDED)};
}

static Range range_of_corners(const int64_t corners[4]) {
    Range range = {corners[0], corners[0]};
    for (int i = 1; i < 4; i++) {
        range.lo = corners[i] < range.lo ? corners[i] : range.lo;
        range.hi = corners[i] > range.hi ? corners[i] : range.hi;
    }
    return range;
}

/* Saturation keeps an unbounded corner unbounded, and 0 times anything is 0. */
static Range range_mul(Range a, Range b) {
    return range_of_corners(
        (int64_t[]){lt_dim_saturating_mul(a.lo, b.lo), lt_dim_saturating_mul(a.lo, b.hi),
                    lt_dim_saturating_mul(a.hi, b.lo), lt_dim_saturating_mul(a.hi, b.hi)});
}

static int64_t divide_bound(int64_t a, int64_t b) {
    if (is_unbounded(a) && !is_unbounded(b))
        return a;
    if (is_unbounded(b))
        return a < 0 ? -1 : is_unbounded(a) ? a : 0;
    return lt_floordiv(a, b);
}

/* Divisors are positive at run time; 0 is covered because it gives 0. */
static Range range_floordiv(Range a, Range b) {
    const bool may_be_zero = b.lo <= 0;
    if (b.lo < 0)
        return (Range){-LT_DIM_UNBOUNDED, LT_DIM_UNBOUNDED};
    b.lo = b.lo < 1 ? 1 : b.lo;
    b.hi = b.hi < 1 ? 1 : b.hi;
    Range range = range_of_corners((int64_t[]){divide_bound(a.lo, b.lo), divide_bound(a.lo, b.hi),
                                               divide_bound(a.hi, b.lo), divide_bound(a.hi, b.hi)});
    if (may_be_zero) {
        range.lo = range.lo > 0 ? 0 : range.lo;
        range.hi = range.hi < 0 ? 0 : range.hi;
    }
    return range;
}

static Range range_mod(Range a, Range b) {
    if (b.lo < 0)
        return (Range){-LT_DIM_UNBOUNDED, LT_DIM_UNBOUNDED};
    Range range = {0, is_unbounded(b.hi) ? LT_DIM_UNBOUNDED : b.hi > 0 ? b.hi - 1 : 0};
    if (a.lo >= 0 && a.hi < range.hi)
        range.hi = a.hi;
    return range;
}

static Range range_min(Range a, Range b) {
    return (Range){a.lo < b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi};
}

static Range range_max(Range a, Range b) {
    return (Range){a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

static Range range_ceildiv(Range a, Range b) {
    const Range floor = range_floordiv(a, b);
    return range_add(floor, (Range){0, 1});
}

static Range (*const range_rules[])(Range, Range) = {
    [DIM_ADD] = range_add,         [DIM_MUL] = range_mul, [DIM_FLOORDIV] = range_floordiv,
    [DIM_CEILDIV] = range_ceildiv, [DIM_MOD] = range_mod, [DIM_MIN] = range_min,
    [DIM_MAX] = range_max,
};

static Range dim_range(const DimTable *t, const Dim *d) {
    if (d->kind == DIM_CONST)
        return (Range){d->value, d->value};
    if (d->kind == DIM_SYMBOL) {
        const DimSymbol *symbol = &t->symbols.data[d->symbol];
        return (Range){symbol->lo, symbol->hi};
    }
    Range range = {d->value, d->value};
    uint32_t next = 0;
    if (d->kind != DIM_ADD && d->kind != DIM_MUL)
        range = dim_range(t, d->args[next++]);
    for (; next < d->count; next++)
        range = range_rules[d->kind](range, dim_range(t, d->args[next]));
    return range;
}

void lt_dim_range(const DimTable *t, const Dim *d, int64_t *lo, int64_t *hi) {
    const Range range = dim_range(t, d);
    *lo = range.lo;
    *hi = range.hi;
}

/* --- divisibility ---------------------------------------------------------------------------- */

static int64_t known_factor(const DimTable *t, const Dim *d);

static int64_t product_factor(const DimTable *t, const Dim *d) {
    int64_t factor = d->value < 0 ? -d->value : d->value;
    for (uint32_t i = 0; i < d->count; i++) {
        int64_t wider;
        if (lt_mul_i64(factor, known_factor(t, d->args[i]), &wider))
            factor = wider;
    }
    return factor;
}

/* A number that divides d for every value of the symbols; 0 when d is 0. */
static int64_t known_factor(const DimTable *t, const Dim *d) {
    switch (d->kind) {
    case DIM_CONST: return d->value < 0 ? -d->value : d->value;
    case DIM_SYMBOL: {
        const DimSymbol *symbol = &t->symbols.data[d->symbol];
        return symbol->lo == symbol->hi ? lt_dim_gcd(symbol->lo, 0) : 1;
    }
    case DIM_MUL: return product_factor(t, d);
    case DIM_ADD:
    case DIM_MIN:
    case DIM_MAX:
    case DIM_MOD: {
        int64_t factor = d->kind == DIM_ADD ? d->value : 0;
        for (uint32_t i = 0; i < d->count; i++)
            factor = lt_dim_gcd(factor, known_factor(t, d->args[i]));
        return factor;
    }
    default: return 1;
    }
}

bool lt_dim_divisible(const DimTable *t, const Dim *a, int64_t n) {
    return n != 0 && known_factor(t, a) % n == 0;
}

/* --- values ---------------------------------------------------------------------------------- */

static int64_t eval_floordiv(int64_t a, int64_t b) { return b == 0 ? 0 : lt_floordiv(a, b); }
static int64_t eval_ceildiv(int64_t a, int64_t b) { return b == 0 ? 0 : lt_ceildiv(a, b); }
static int64_t eval_mod(int64_t a, int64_t b) { return b == 0 ? 0 : lt_floormod(a, b); }
static int64_t eval_min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t eval_max(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t (*const eval_rules[])(int64_t, int64_t) = {
    [DIM_ADD] = lt_dim_saturating_add,
    [DIM_MUL] = lt_dim_saturating_mul,
    [DIM_FLOORDIV] = eval_floordiv,
    [DIM_CEILDIV] = eval_ceildiv,
    [DIM_MOD] = eval_mod,
    [DIM_MIN] = eval_min,
    [DIM_MAX] = eval_max,
};

int64_t lt_dim_eval(const Dim *d, const int64_t *symbol_values) {
    if (d->kind == DIM_CONST)
        return d->value;
    if (d->kind == DIM_SYMBOL)
        return lt_dim_saturate(symbol_values[d->symbol]);
    uint32_t next = 0;
    int64_t value = d->value;
    if (d->kind != DIM_ADD && d->kind != DIM_MUL)
        value = lt_dim_eval(d->args[next++], symbol_values);
    for (; next < d->count; next++)
        value = eval_rules[d->kind](value, lt_dim_eval(d->args[next], symbol_values));
    return value;
}

static const Dim *(*const build_rules[])(DimTable *, const Dim *, const Dim *) = {
    [DIM_ADD] = lt_dim_add,         [DIM_MUL] = lt_dim_mul, [DIM_FLOORDIV] = lt_dim_floordiv,
    [DIM_CEILDIV] = lt_dim_ceildiv, [DIM_MOD] = lt_dim_mod, [DIM_MIN] = lt_dim_min,
    [DIM_MAX] = lt_dim_max,
};

const Dim *lt_dim_substitute(DimTable *t, const Dim *d, const Dim *const *by) {
    if (d->kind == DIM_CONST)
        return d;
    if (d->kind == DIM_SYMBOL)
        return by[d->symbol] ? by[d->symbol] : d;
    uint32_t next = 0;
    const Dim *result = d->kind == DIM_ADD || d->kind == DIM_MUL
                            ? lt_dim_const(t, d->value)
                            : lt_dim_substitute(t, d->args[next++], by);
    for (; next < d->count; next++)
        result = build_rules[d->kind](t, result, lt_dim_substitute(t, d->args[next], by));
    return result;
}

bool lt_dim_is_data(const DimTable *t, const Dim *d) {
    if (d->kind == DIM_SYMBOL)
        return t->symbols.data[d->symbol].data_dependent;
    for (uint32_t i = 0; i < d->count; i++)
        if (lt_dim_is_data(t, d->args[i]))
            return true;
    return false;
}

bool lt_dim_is_bound(const Dim *d, const int64_t *symbol_values) {
    if (d->kind == DIM_SYMBOL)
        return symbol_values[d->symbol] >= 0;
    for (uint32_t i = 0; i < d->count; i++)
        if (!lt_dim_is_bound(d->args[i], symbol_values))
            return false;
    return true;
}

void lt_dim_symbols_used(const Dim *d, bool *used) {
    if (d->kind == DIM_SYMBOL)
        used[d->symbol] = true;
    for (uint32_t i = 0; i < d->count; i++)
        lt_dim_symbols_used(d->args[i], used);
}
