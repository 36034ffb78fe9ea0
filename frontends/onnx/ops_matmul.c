/* ops_matmul.c - matrix products as contractions: one letter an axis. */
#include <string.h>

#include "frontends/onnx/ops.h"

/* --- MatMul --- */

typedef struct Product {
    char spec[3][LT_MAX_RANK + 1]; /* letters of a, b and the result */
    int len[3];
} Product;

static void add_letter(Product *p, int tensor, char letter) {
    p->spec[tensor][p->len[tensor]++] = letter;
}

/* Removes the axes of extent 1 in `drop`: the other operand's axis stands alone there. */
static Value *drop_axes(Import *im, Value *x, unsigned drop) {
    const Dim *dims[LT_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->type->rank; i++)
        if (!(drop >> i & 1))
            dims[rank++] = x->type->dims[i];
    return drop ? lt_build_reshape(&im->b, x, rank, dims) : x;
}

/* Letters for the batch axes, aligned at their ends. Returns the axes to drop of a (bits 0..) and b
 * (bits 16..). */
static unsigned batch_letters(const Type *a, const Type *b, int batch_a, int batch_b, Product *p) {
    int rank = batch_a > batch_b ? batch_a : batch_b;
    unsigned drop = 0;
    for (int i = 0; i < rank; i++) {
        int at_a = i - (rank - batch_a), at_b = i - (rank - batch_b);
        char letter = (char)('A' + i);
        bool in_a = at_a >= 0, in_b = at_b >= 0;
        bool one_a = in_a && lt_dim_is(a->dims[at_a], 1),
             one_b = in_b && lt_dim_is(b->dims[at_b], 1);
        if (in_a && in_b && one_a != one_b) {
            drop |= one_a ? 1u << at_a : 1u << (16 + at_b);
            in_a = !one_a;
            in_b = !one_b;
        }
        if (in_a)
            add_letter(p, 0, letter);
        if (in_b)
            add_letter(p, 1, letter);
        add_letter(p, 2, letter);
    }
    return drop;
}

bool lt_onnx_mat_mul(Import *im) {
    Value *a = im->inputs[0], *b = im->inputs[1];
    int rank_a = a->type->rank, rank_b = b->type->rank;
    Product p = {0};
    if (rank_a < 1 || rank_b < 1)
        return lt_onnx_malformed(im, "a factor is a scalar");
    unsigned drop = batch_letters(a->type, b->type, rank_a > 2 ? rank_a - 2 : 0,
                                  rank_b > 2 ? rank_b - 2 : 0, &p);
    if (rank_a > 1)
        add_letter(&p, 0, 'm'), add_letter(&p, 2, 'm');
    add_letter(&p, 0, 'k');
    add_letter(&p, 1, 'k');
    if (rank_b > 1)
        add_letter(&p, 1, 'n'), add_letter(&p, 2, 'n');
    a = drop_axes(im, a, drop & 0xffff);
    b = drop_axes(im, b, drop >> 16);
    const char *spec = lt_arena_printf(im->arena, "%s,%s->%s", p.spec[0], p.spec[1], p.spec[2]);
    return onnx_set(im, 0, lt_build_contract(&im->b, a, b, spec));
}

bool lt_onnx_gemm(Import *im) {
    Value *a = im->inputs[0], *b = im->inputs[1], *c = onnx_in(im, 2);
    double alpha = lt_onnx_float(im, "alpha", 1), beta = lt_onnx_float(im, "beta", 1);
    const char *spec =
        lt_arena_printf(im->arena, "%s,%s->mn", lt_onnx_int(im, "transA", 0) ? "km" : "mk",
                        lt_onnx_int(im, "transB", 0) ? "nk" : "kn");
    if (a->type->rank != 2 || b->type->rank != 2)
        return lt_onnx_malformed(im, "the factors have ranks %d and %d; expected 2", a->type->rank,
                                 b->type->rank);
    Value *y = lt_build_contract(&im->b, a, b, spec);
    if (alpha != 1)
        y = lt_onnx_map_scalar(im, FN_MUL, y, alpha);
    if (!c || beta == 0)
        return onnx_set(im, 0, y);
    if (beta != 1)
        c = lt_onnx_map_scalar(im, FN_MUL, c, beta);
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_ADD, y, c));
}
