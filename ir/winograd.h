/* winograd.h - the matrices of Winograd's minimal filtering F(m, r): m outputs of a filter of r
 * taps from n = m + r - 1 products.
 *
 * y = A^T [(G g) * (B^T d)] for n inputs d, r taps g, m outputs y; in two dimensions each axis has
 * its own matrices. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
 * 2015; the construction from points is Toom and Cook's. */
#ifndef LATHE_IR_WINOGRAD_H
#define LATHE_IR_WINOGRAD_H

#include <stdbool.h>
#include <stdint.h>

/* The most along one axis; and of products for a tile, because errors grow with both axes. */
enum {
    WINOGRAD_MOST_OUTPUTS = 4,
    WINOGRAD_MOST_TAPS = 7,
    WINOGRAD_MOST_INPUTS = 8,
    WINOGRAD_MOST_PRODUCTS = 36
};

typedef struct Winograd {
    int m, taps, n;
    double at[WINOGRAD_MOST_OUTPUTS][WINOGRAD_MOST_INPUTS]; /* A^T, m x n */
    double bt[WINOGRAD_MOST_INPUTS][WINOGRAD_MOST_INPUTS];  /* B^T, n x n */
    double g[WINOGRAD_MOST_INPUTS][WINOGRAD_MOST_TAPS];     /* G, n x taps */
    int pairs; /* rows 2i + 1 and 2i + 2 of B^T and G, and those columns of A^T, belong to points p
                * and -p, for i < pairs */
} Winograd;

/* Whether there is an F(m, taps) here: m 2 or 4 with an odd number of taps, 3 or more; or F(1, 1),
 * for an axis along which the filter is flat. */
bool lt_winograd_has(int64_t m, int64_t taps);

/* Points 0, 1, -1, 2, -2, 1/2, -1/2, as many as it takes, and infinity. */
Winograd lt_winograd(int m, int taps);

#endif
