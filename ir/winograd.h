/* winograd.h - the matrices of Winograd's minimal filtering F(m, 3): m outputs of a filter of 3
 * taps from n = m + 2 products.
 *
 * y = A^T [(G g) * (B^T d)] for n inputs d, 3 taps g, m outputs y; in two dimensions each matrix is
 * applied along both axes. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
 * 2015; the construction from points is Toom and Cook's. */
#ifndef LATHE_IR_WINOGRAD_H
#define LATHE_IR_WINOGRAD_H

enum { WINOGRAD_TAPS = 3, WINOGRAD_MOST_OUTPUTS = 4, WINOGRAD_MOST_INPUTS = 6 };

typedef struct Winograd {
    int m, n;
    double at[WINOGRAD_MOST_OUTPUTS][WINOGRAD_MOST_INPUTS]; /* A^T, m x n */
    double bt[WINOGRAD_MOST_INPUTS][WINOGRAD_MOST_INPUTS];  /* B^T, n x n */
    double g[WINOGRAD_MOST_INPUTS][WINOGRAD_TAPS];          /* G, n x 3 */
    int pairs; /* rows 2i + 1 and 2i + 2 of B^T and G, and those columns of A^T, belong to points p
                * and -p, for i < pairs */
} Winograd;

/* m: 2 or 4. Points 0, 1, -1, 2, -2, and infinity. */
Winograd lt_winograd(int m);

#endif
