/* lower_attention.h - what the kernels of attentions for CPUs and for GPUs share. Inside
 * passes/lower_attention*.c only. */
#ifndef LATHE_PASSES_LOWER_ATTENTION_H
#define LATHE_PASSES_LOWER_ATTENTION_H

#include "passes/lower_internal.h"

typedef struct AttentionAxes {
    Lowering *lo;
    const Attention *a;
    const Dim *axes[LT_MAX_RANK]; /* of the scores but m and n: where the loops around are */
    const Dim *rows, *columns;    /* extents of the scores' m and n */
    const Dim *outputs;           /* extent of v's own axis */
} AttentionAxes;

/* Of lo->attention. */
AttentionAxes lt_attention_axes(Lowering *lo);
/* The loops over the other axes, which are placed there. */
void lt_attention_loops(AttentionAxes *of, LoopNest *outer);
/* The position of each letter of a contraction's tensors: the scores' axes, whatever letters they
 * have there. */
void lt_attention_place(const AttentionAxes *of, const char *letters, const Dim *row,
                        const Dim *column, const Dim **places);
/* What the softmax is taken of at a row and a column, made of the score there. */
const Expr *lt_attention_operand(const AttentionAxes *of, const Expr *score, const At *at);
/* What exponentials are relative to where this is the greatest score so far: that; or 0, where
 * nothing but -infinity came. */
const Expr *lt_attention_base(const AttentionAxes *of, const Expr *peak);
/* 1 / sum; the sum of no exponentials divides nothing. */
const Expr *lt_attention_inverse(const AttentionAxes *of, const Expr *sum);
/* sum * factor, where the factor is 1 / the row's sum; or 0 where the row's weights are to be. */
const Expr *lt_attention_result(const AttentionAxes *of, const Dim *row, const Expr *sum,
                                const Expr *factor);
/* Stores an element of the result, and all that the kernel makes of it; column is v's own. */
Stmt *lt_attention_store(const AttentionAxes *of, const Dim *row, const Dim *column,
                         const Expr *value);

#endif
