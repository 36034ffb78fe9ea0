/* winograd.c - F(m, r) from interpolation points.
 *
 * With points p_i, i < n - 1, and the last one infinity: A^T[i][j] = p_j^i, G[i][j] = p_i^j / f_i
 * where f_i = prod_{j != i} (p_i - p_j), and row i of B^T holds the coefficients of
 * prod_{j != i} (x - p_j). Infinity takes the highest power in each of them. */
#include "ir/winograd.h"

#include <assert.h>

static const double points[WINOGRAD_MOST_INPUTS - 1] = {0, 1, -1, 2, -2, 0.5, -0.5};

/* Coefficients of prod (x - p_j) over all points but `skip` (-1: none), lowest power first. */
static void product_of_roots(int count, int skip, double *coefficients) {
    int degree = 0;
    coefficients[0] = 1;
    for (int j = 0; j < count; j++) {
        if (j == skip)
            continue;
        coefficients[++degree] = 0;
        for (int k = degree; k > 0; k--)
            coefficients[k] = coefficients[k - 1] - points[j] * coefficients[k];
        coefficients[0] *= -points[j];
    }
}

static double power(double base, int exponent) {
    double result = 1;
    for (int i = 0; i < exponent; i++)
        result *= base;
    return result;
}

bool lt_winograd_has(int64_t m, int64_t taps) {
    if (m == 1 || taps == 1)
        return m == 1 && taps == 1;
    return (m == 2 || m == WINOGRAD_MOST_OUTPUTS) && taps >= 3 && taps <= WINOGRAD_MOST_TAPS &&
           taps % 2 == 1 && m + taps - 1 <= WINOGRAD_MOST_INPUTS;
}

Winograd lt_winograd(int m, int taps) {
    assert(lt_winograd_has(m, taps));
    Winograd w = {.m = m, .taps = taps, .n = m + taps - 1, .pairs = (m + taps - 2) / 2};
    const int finite = w.n - 1;
    for (int i = 0; i < finite; i++) {
        double scale = 1;
        for (int j = 0; j < finite; j++)
            scale *= j == i ? 1 : points[i] - points[j];
        for (int j = 0; j < taps; j++)
            w.g[i][j] = power(points[i], j) / scale;
        for (int j = 0; j < m; j++)
            w.at[j][i] = power(points[i], j);
        product_of_roots(finite, i, w.bt[i]);
    }
    w.g[finite][taps - 1] = 1;
    w.at[m - 1][finite] = 1;
    product_of_roots(finite, -1, w.bt[finite]);
    return w;
}
