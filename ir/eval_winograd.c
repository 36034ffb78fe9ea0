/* eval_winograd.c - evaluates `winograd` as it is defined: tile by tile, in double. */
#include <string.h>

#include "ir/eval_ops.h"
#include "ir/winograd.h"

typedef struct Tiles {
    Winograd wy, wx;
    int64_t height, width, channels; /* of the operand */
    int64_t low[2];                  /* padding in front */
    int64_t outputs, panel;          /* columns, and how many a panel of the filter holds */
    int64_t blocks;
    const Wide *x, *filter;
} Tiles;

/* A tile, or its transform. */
typedef double Tile[WINOGRAD_MOST_INPUTS][WINOGRAD_MOST_INPUTS];

/* The matrix of one axis. */
typedef struct Matrix {
    int rows, columns;
    const double (*m)[WINOGRAD_MOST_INPUTS];
} Matrix;

/* out = Y in X^T. */
static void transform(const Matrix *y, const Matrix *x, const Tile in, Tile out) {
    Tile half;
    for (int i = 0; i < y->rows; i++) {
        for (int j = 0; j < x->columns; j++) {
            half[i][j] = 0;
            for (int k = 0; k < y->columns; k++)
                half[i][j] += y->m[i][k] * in[k][j];
        }
    }
    for (int i = 0; i < y->rows; i++) {
        for (int j = 0; j < x->rows; j++) {
            out[i][j] = 0;
            for (int k = 0; k < x->columns; k++)
                out[i][j] += x->m[j][k] * half[i][k];
        }
    }
}

/* B^T d B of the tile whose outputs begin at y, x, for all channels:
 * spread[i * nx + j][channel]. */
static void spread_tile(const Tiles *t, const Wide *image, int64_t y, int64_t x, double *spread) {
    const int ny = t->wy.n, nx = t->wx.n;
    const Matrix my = {ny, ny, t->wy.bt}, mx = {nx, nx, t->wx.bt};
    for (int64_t c = 0; c < t->channels; c++) {
        Tile d, v;
        for (int i = 0; i < ny; i++) {
            for (int j = 0; j < nx; j++) {
                const int64_t row = y + i - t->low[0], column = x + j - t->low[1];
                const bool inside = row >= 0 && row < t->height && column >= 0 && column < t->width;
                d[i][j] = inside ? image[(row * t->width + column) * t->channels + c].f : 0;
            }
        }
        transform(&my, &mx, d, v);
        for (int i = 0; i < ny * nx; i++)
            spread[i * t->channels + c] = v[i / nx][i % nx];
    }
}

/* The outputs of one column. */
static void fold_tile(const Tiles *t, const double *spread, int64_t column, Tile out) {
    const int ny = t->wy.n, nx = t->wx.n;
    const Matrix my = {t->wy.m, ny, t->wy.at}, mx = {t->wx.m, nx, t->wx.at};
    Tile products;
    for (int p = 0; p < ny * nx; p++) {
        const Wide *filter = t->filter +
                             ((p * t->blocks + column / t->panel) * t->channels) * t->panel +
                             column % t->panel;
        double sum = 0;
        for (int64_t c = 0; c < t->channels; c++)
            sum += spread[p * t->channels + c] * filter[c * t->panel].f;
        products[p / nx][p % nx] = sum;
    }
    transform(&my, &mx, products, out);
}

static void store_tile(const Tiles *t, Tensor *out, const int64_t *at, const Tile tile) {
    const int64_t height = out->dims[1], width = out->dims[2], columns = out->dims[3];
    for (int i = 0; i < t->wy.m && at[1] + i < height; i++) {
        for (int j = 0; j < t->wx.m && at[2] + j < width; j++) {
            const Wide value = {.f = tile[i][j]};
            const int64_t place = ((at[0] * height + at[1] + i) * width + at[2] + j) * columns;
            lt_tensor_store_row(out, (Row){place + at[3], 1, 1}, &value);
        }
    }
}

static Winograd winograd_of(int64_t m, int64_t n) { return lt_winograd((int)m, (int)(n - m + 1)); }

bool lt_eval_WINOGRAD(Evaluation *ev, const Node *node) {
    const Tensor *x = eval_input(ev, node, 0), *filter = eval_input(ev, node, 1);
    Tensor *out = lt_eval_output(ev, node, 0);
    const int64_t *tile = lt_attr(node, ATTR_TILE)->u.ints;
    Tiles t = {.wy = winograd_of(tile[0], filter->dims[0]),
               .wx = winograd_of(tile[1], filter->dims[1]),
               .height = x->dims[1],
               .width = x->dims[2],
               .channels = x->dims[3],
               .outputs = out->dims[3],
               .panel = filter->dims[4],
               .blocks = filter->dims[2],
               .x = lt_tensor_widen(ev->scratch, x),
               .filter = lt_tensor_widen(ev->scratch, filter)};
    lt_eval_dims(ev, node, ATTR_PAD_LO, t.low);
    double *spread = LT_ARRAY(ev->scratch, double, t.wy.n *t.wx.n *t.channels);
    int64_t at[4] = {0};
    for (at[0] = 0; at[0] < out->dims[0]; at[0]++) {
        const Wide *image = t.x + at[0] * t.height * t.width * t.channels;
        for (at[1] = 0; at[1] < out->dims[1]; at[1] += t.wy.m) {
            for (at[2] = 0; at[2] < out->dims[2]; at[2] += t.wx.m) {
                spread_tile(&t, image, at[1], at[2], spread);
                for (at[3] = 0; at[3] < t.outputs; at[3]++) {
                    Tile outputs;
                    fold_tile(&t, spread, at[3], outputs);
                    store_tile(&t, out, at, outputs);
                }
            }
        }
    }
    return true;
}
