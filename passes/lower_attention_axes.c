/* lower_attention_axes.c - where the elements of an attention are, and what is made of them. */
#include "passes/lower_attention.h"

#include <math.h>
#include <string.h>

AttentionAxes lt_attention_axes(Lowering *lo) {
    const Attention *a = lo->attention;
    const Type *scores = lt_output(a->scores)->type, *sums = lt_output(a->sums)->type;
    return (AttentionAxes){.lo = lo,
                           .a = a,
                           .rows = lower_dim(lo, scores->dims[a->row]),
                           .columns = lower_dim(lo, scores->dims[scores->rank - 1]),
                           .outputs = lower_dim(lo, sums->dims[sums->rank - 1])};
}

void lt_attention_loops(AttentionAxes *of, LoopNest *outer) {
    const Type *scores = lt_output(of->a->scores)->type;
    for (int i = 0; i < scores->rank - 1; i++)
        if (i != of->a->row)
            of->axes[i] = lt_lower_loop(of->lo, outer, "b#", lower_dim(of->lo, scores->dims[i]));
}

void lt_attention_place(const AttentionAxes *of, const char *letters, const Dim *row,
                        const Dim *column, const Dim **places) {
    for (int i = 0; letters[i]; i++)
        places[(unsigned char)letters[i]] = i == of->a->row  ? row
                                            : letters[i + 1] ? of->axes[i]
                                                             : column;
}

/* An element of the scores, or of what is made of them. */
static At scores_at(const AttentionAxes *of, const Dim *row, const Dim *column) {
    const int rank = lt_output(of->a->scores)->type->rank;
    At at = {.predicate = NULL};
    memcpy(at.index, of->axes, sizeof of->axes);
    at.index[of->a->row] = row;
    at.index[rank - 1] = column;
    return at;
}

const Expr *lt_attention_operand(const AttentionAxes *of, const Expr *score, const At *at) {
    Lowering *lo = of->lo;
    const Value *scores = lt_output(of->a->scores);
    At there = scores_at(of, at->index[0], at->index[1]);
    there.predicate = at->predicate;
    lo->given = scores;
    lo->given_element = lt_expr_convert(lo->k, score, scores->type->dtype);
    const Expr *e = lt_lower_at_as(lo, lt_input(of->a->softmax, 0), &there, DT_F32);
    lo->given = NULL;
    return e;
}

const Expr *lt_attention_base(const AttentionAxes *of, const Expr *peak) {
    Kernel *k = of->lo->k;
    const Expr *least = lt_expr_float(k, DT_F32, -INFINITY);
    const Expr *nothing = lt_expr_call(k, FN_EQ, peak, least, NULL);
    return lt_expr_call(k, FN_SELECT, nothing, lt_lower_zero(of->lo, DT_F32), peak);
}

const Expr *lt_attention_inverse(const AttentionAxes *of, const Expr *sum) {
    Kernel *k = of->lo->k;
    const Expr *one = lt_expr_float(k, DT_F32, 1);
    const Expr *some = lt_expr_less(k, lower_number(of->lo, 0), of->columns);
    return lt_expr_call(k, FN_DIV, one, lt_expr_call(k, FN_SELECT, some, sum, one), NULL);
}

/* No weight of a row is a NaN, or all are: then its sum is 0 or a NaN. */
const Expr *lt_attention_result(const AttentionAxes *of, const Dim *row, const Expr *sum,
                                const Expr *factor) {
    Lowering *lo = of->lo;
    const Attention *a = of->a;
    const Expr *value = lt_expr_call(lo->k, FN_MUL, sum, factor, NULL);
    const Expr *zero = lt_lower_zero(lo, DT_F32);
    if (!a->choice)
        return value;
    if (a->test) {
        const Expr *most = lt_expr_float(lo->k, DT_F32, INFINITY);
        const Expr *is_some = lt_expr_call(lo->k, FN_LT, factor, most, NULL);
        return lt_expr_call(lo->k, FN_SELECT, is_some, value, zero);
    }
    Value *condition = lt_input(a->choice, 0);
    const At at = scores_at(of, row, lower_number(lo, 0));
    const At there = lt_lower_broadcast(lo, condition->type, lt_output(a->choice)->type->rank, &at);
    return lt_expr_call(lo->k, FN_SELECT, lt_lower_at(lo, condition, &there), zero, value);
}

Stmt *lt_attention_store(const AttentionAxes *of, const Dim *row, const Dim *column,
                         const Expr *value) {
    Lowering *lo = of->lo;
    const LtEinsum *e = &of->a->of_sums;
    const Dim *places[128] = {NULL};
    lt_attention_place(of, e->letters[EINSUM_A], row, NULL, places);
    places[(unsigned char)lt_einsum_column(e)] = column;
    const At at = lt_lower_letters_at(e->letters[EINSUM_OUT], places);
    const DType dtype = lt_output(of->a->sums)->type->dtype;
    return lt_lower_store(lo, at.index, lt_expr_convert(lo->k, value, dtype));
}
