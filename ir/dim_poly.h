/* dim_poly.h - a dim taken apart as constant + sum of coefficient * product. Inside ir/dim*.c only.
 *
 * A product is an atom (a symbol, a division, mod, min, max, or a product of two sums that was too
 * large to expand) or a DIM_MUL of value 1 over two or more atoms in order. Terms are ordered by
 * degree, then by their atoms: a graded order, so that long division by one divisor finds every
 * exact quotient. */
#ifndef LATHE_IR_DIM_POLY_H
#define LATHE_IR_DIM_POLY_H

#include "ir/dim.h"

typedef struct DimTerm {
    int64_t coefficient; /* never 0 */
    const Dim *product;
} DimTerm;

enum { LT_POLY_LOCAL = 8 };

typedef struct DimPoly {
    DimTable *table;
    int64_t constant;
    uint32_t count, cap;
    DimTerm *terms; /* `local`, or in the arena when there are more */
    DimTerm local[LT_POLY_LOCAL];
} DimPoly;

void lt_poly_init(DimPoly *poly, DimTable *t, int64_t constant);
void lt_poly_from(DimPoly *poly, DimTable *t, const Dim *d);
/* Terms may be added in any order; like terms are combined. */
void lt_poly_add_term(DimPoly *poly, int64_t coefficient, const Dim *product);
/* poly += factor * d */
void lt_poly_add(DimPoly *poly, int64_t factor, const Dim *d);
const Dim *lt_poly_dim(const DimPoly *poly);

/* The coefficient and the product of a dim that is not a sum; a constant has product NULL. */
DimTerm lt_dim_term(DimTable *t, const Dim *d);
/* The atoms of a product; an atom is its own only one, held in *single. */
const Dim *const *lt_product_atoms(const Dim *const *single, uint32_t *count);
/* coefficient * product of atoms, interned. Atoms need not be in order. */
const Dim *lt_dim_from_atoms(DimTable *t, int64_t coefficient, const Dim *const *atoms,
                             uint32_t count);
/* a / b when every atom of b is in a, else NULL; 1 when they are the same product. */
const Dim *lt_product_divide(DimTable *t, const Dim *a, const Dim *b);
/* Interns a node of two operands as it is, in the given order. */
const Dim *lt_dim_intern2(DimTable *t, DimKind kind, const Dim *a, const Dim *b);
/* The canonical order: structural, so that it does not depend on what was built before. */
int lt_dim_compare(const Dim *a, const Dim *b);

/* Within -INT64_MAX..INT64_MAX: symmetric, so that negation is exact. */
int64_t lt_dim_saturate(__int128 value);
static inline int64_t lt_dim_saturating_mul(int64_t a, int64_t b) {
    return lt_dim_saturate((__int128)a * b);
}
static inline int64_t lt_dim_saturating_add(int64_t a, int64_t b) {
    return lt_dim_saturate((__int128)a + b);
}

#endif
