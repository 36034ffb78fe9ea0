/* ops_matmul.c - matrix products as contractions: one letter an axis. */
#include <ctype.h>
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

/* --- Einsum --- */

typedef struct Equation {
    char terms[3][LT_MAX_RANK + 1]; /* two operands and the result */
    int operands;
    bool has_result;
} Equation;

static bool read_equation(Import *im, const char *text, Equation *e) {
    int term = 0, len = 0;
    e->operands = 1;
    for (const char *c = text; *c; c++) {
        if (*c == ' ')
            continue;
        if (*c == ',' || (c[0] == '-' && c[1] == '>')) {
            bool arrow = *c == '-';
            if (e->has_result || (!arrow && ++e->operands > 2))
                return lt_onnx_unsupported(im,
                                           "only equations of one or two operands are supported");
            e->has_result = arrow;
            term = arrow ? 2 : 1;
            len = 0;
            c += arrow;
            continue;
        }
        if (*c == '.')
            return lt_onnx_unsupported(im, "an ellipsis in the equation is not supported");
        if (!isalpha((unsigned char)*c))
            return lt_onnx_malformed(im, "the equation has the character '%c'", *c);
        if (strchr(e->terms[term], *c))
            return lt_onnx_unsupported(im, "a repeated letter in one term is not supported");
        if (len == LT_MAX_RANK)
            return lt_onnx_unsupported(im, "more than %d axes are not supported", LT_MAX_RANK);
        e->terms[term][len++] = *c;
    }
    return true;
}

/* Without "->" the result has the letters that occur once, in the order of the alphabet, capitals
 * first. */
static bool default_result(Import *im, Equation *e) {
    int len = 0;
    for (int c = 'A'; !e->has_result && c <= 'z'; c++) {
        if (!isalpha(c) || !strchr(e->terms[0], c) == !strchr(e->terms[1], c))
            continue;
        if (len == LT_MAX_RANK)
            return lt_onnx_unsupported(im, "more than %d axes are not supported", LT_MAX_RANK);
        e->terms[2][len++] = (char)c;
    }
    for (const char *c = e->terms[2]; *c; c++)
        if (!strchr(e->terms[0], *c) && !strchr(e->terms[1], *c))
            return lt_onnx_malformed(im, "the letter '%c' of the result is in no operand", *c);
    return true;
}

/* Sums what the result lacks, then orders the rest. */
static Value *einsum_one(Import *im, const Equation *e) {
    Value *x = im->inputs[0];
    int64_t axes[LT_MAX_RANK], perm[LT_MAX_RANK];
    char kept[LT_MAX_RANK + 1] = "";
    int count = 0, rank = 0;
    for (int i = 0; e->terms[0][i]; i++) {
        if (strchr(e->terms[2], e->terms[0][i]))
            kept[rank++] = e->terms[0][i];
        else
            axes[count++] = i;
    }
    for (int i = 0; i < rank; i++)
        perm[i] = strchr(kept, e->terms[2][i]) - kept;
    if (count)
        x = lt_build_reduce(&im->b, FN_ADD, x, axes, count, false);
    return lt_build_transpose(&im->b, x, perm);
}

bool lt_onnx_einsum(Import *im) {
    Equation e = {0};
    if (!read_equation(im, lt_onnx_string(im, "equation", ""), &e) || !default_result(im, &e))
        return false;
    if ((uint32_t)e.operands != im->input_count)
        return lt_onnx_malformed(im, "the equation has %d operands, the node %u", e.operands,
                                 im->input_count);
    for (int i = 0; i < e.operands; i++)
        if (!im->inputs[i] || im->inputs[i]->type->rank != (int)strlen(e.terms[i]))
            return lt_onnx_malformed(im, "term '%s' of the equation has another rank than input %d",
                                     e.terms[i], i);
    if (e.operands == 1)
        return onnx_set(im, 0, einsum_one(im, &e));
    const char *spec = lt_arena_printf(im->arena, "%s,%s->%s", e.terms[0], e.terms[1], e.terms[2]);
    return onnx_set(im, 0, lt_build_contract(&im->b, im->inputs[0], im->inputs[1], spec));
}
