/* dim.h - symbolic dimensions.
 *
 * A Dim is an interned integer expression in canonical form: equal dims are the same pointer, so
 * `==` compares them. Sums are flattened to constant + coefficient * product terms in a fixed
 * order; constants fold; floordiv, ceildiv, mod, min and max simplify where ranges prove it
 * (floordiv(8 * h, 8) is h, mod(8 * h + 3, 8) is 3, min(h, h + 1) is h). Symbols carry an inclusive
 * range that may be narrowed by --dim; all dims are mathematical integers, in practice within
 * int64. */
#ifndef LATHE_IR_DIM_H
#define LATHE_IR_DIM_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/map.h"
#include "runtime/base/str.h"
#include "runtime/base/vec.h"

#define LT_DIM_UNBOUNDED INT64_MAX

/* DIM_ADD: value + sum of args; DIM_MUL: value * product of args; the others have two
 * args. Nothing makes a DIM_CEILDIV: the canonical form of ceildiv(a, b) is floordiv(a + b - 1, b).
 */
typedef enum {
    DIM_CONST,
    DIM_SYMBOL,
    DIM_ADD,
    DIM_MUL,
    DIM_FLOORDIV,
    DIM_CEILDIV,
    DIM_MOD,
    DIM_MIN,
    DIM_MAX
} DimKind;

typedef struct Dim {
    DimKind kind;
    uint32_t id;   /* creation order within the table */
    int64_t value; /* DIM_CONST: the number; DIM_ADD: the constant term; DIM_MUL: the coefficient */
    const char *name; /* DIM_SYMBOL */
    uint32_t symbol;  /* DIM_SYMBOL: index into DimTable.symbols */
    uint32_t count;
    const struct Dim *const *args;
} Dim;

typedef struct DimSymbol {
    const Dim *dim;
    int64_t lo, hi;      /* inclusive */
    bool data_dependent; /* defined by a node at run time, not by an input's shape */
} DimSymbol;

typedef struct DimTable {
    Arena *arena;
    Map interned; /* hash -> chain, see dim.c */
    Vec(DimSymbol) symbols;
    uint32_t next_id;
} DimTable;

void lt_dims_init(DimTable *table, Arena *arena);
const Dim *lt_dim_const(DimTable *t, int64_t value);
/* The symbol of that name, created with range 1..unbounded on first use. */
const Dim *lt_dim_symbol(DimTable *t, const char *name);
/* A symbol with a fresh name "prefix0", "prefix1", ... */
const Dim *lt_dim_fresh(DimTable *t, const char *prefix);
/* One whose value only the data tells, 0 or more. */
const Dim *lt_dim_fresh_data(DimTable *t, const char *prefix);
void lt_dim_set_range(DimTable *t, const Dim *symbol, int64_t lo, int64_t hi);

/* The greatest common divisor, not negative. */
int64_t lt_dim_gcd(int64_t a, int64_t b);

const Dim *lt_dim_add(DimTable *t, const Dim *a, const Dim *b);
const Dim *lt_dim_sub(DimTable *t, const Dim *a, const Dim *b);
const Dim *lt_dim_mul(DimTable *t, const Dim *a, const Dim *b);
const Dim *lt_dim_floordiv(DimTable *t, const Dim *a, const Dim *b); /* b > 0 at run time */
const Dim *lt_dim_ceildiv(DimTable *t, const Dim *a, const Dim *b);
const Dim *lt_dim_mod(DimTable *t, const Dim *a, const Dim *b);
const Dim *lt_dim_min(DimTable *t, const Dim *a, const Dim *b);
const Dim *lt_dim_max(DimTable *t, const Dim *a, const Dim *b);
const Dim *lt_dim_add_const(DimTable *t, const Dim *a, int64_t b);
const Dim *lt_dim_mul_const(DimTable *t, const Dim *a, int64_t b);
/* dims[0] * ... * dims[count - 1]; 1 when count is 0. */
const Dim *lt_dim_product(DimTable *t, const Dim *const *dims, int count);

static inline bool lt_dim_is_const(const Dim *d) { return d->kind == DIM_CONST; }
static inline bool lt_dim_is(const Dim *d, int64_t value) {
    return d->kind == DIM_CONST && d->value == value;
}
/* Inclusive bounds from the symbols' ranges; LT_DIM_UNBOUNDED / -LT_DIM_UNBOUNDED when there is
 * none. */
void lt_dim_range(const DimTable *t, const Dim *d, int64_t *lo, int64_t *hi);
/* True when a is a multiple of n for every value of the symbols. */
bool lt_dim_divisible(const DimTable *t, const Dim *a, int64_t n);
/* a / b when that is exact for every value of the symbols (b a product that divides a), else NULL.
 */
const Dim *lt_dim_exact_div(DimTable *t, const Dim *a, const Dim *b);
/* Value under symbol_values[symbol]; saturates on overflow. Division by 0 gives 0. */
int64_t lt_dim_eval(const Dim *d, const int64_t *symbol_values);
/* d with each symbol s replaced by by[s] (NULL: stays). */
const Dim *lt_dim_substitute(DimTable *t, const Dim *d, const Dim *const *by);
/* Whether d mentions a symbol whose value only the data tells. */
bool lt_dim_is_data(const DimTable *t, const Dim *d);
/* Whether no symbol in d has the value -1, which stands for none. */
bool lt_dim_is_bound(const Dim *d, const int64_t *symbol_values);
bool lt_dim_mentions(const Dim *d, const Dim *symbol);
/* Marks used[s] for every symbol in d. */
void lt_dim_symbols_used(const Dim *d, bool *used);

/* A copy that shares the dims that there are: what is made in it is not seen in the table. */
void lt_dims_fork(DimTable *out, const DimTable *table, Arena *arena);

/* Text: `64`, `batch`, `2*h + 1`, `(h + 1) floordiv 2`, `min(h, 8)`; reads back to the same
 * pointer. */
void lt_dim_print(Str *out, const Dim *d);
/* Parses a dim expression at *text and advances it. NULL on error, with *error naming what was
 * expected. */
const Dim *lt_dim_parse(DimTable *t, const char **text, const char **error);

#endif
