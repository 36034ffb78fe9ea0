/* schedule_mma.c - `share` with `mma`: which elements of a tile tensor cores leave to which thread,
 * and the loop that they run; see codegen/cuda/mma.c. */
#include "ir/schedule_share.h"

enum { MMA_ROWS = 16, MMA_COLUMNS = 8 };

bool lt_is_tf32(const Expr *factor) {
    return factor->kind == EXPR_CALL && factor->u.call.fn == FN_TF32 && factor->dtype == DT_F32;
}

/* f16, bf16, and f32 rounded to tf32 add up to f32; bytes to i32. */
static bool multiplies(const Share *s) {
    const DType a = s->sides[ROWS].value->dtype, b = s->sides[COLUMNS].value->dtype;
    const bool is_tf32 = lt_is_tf32(s->sum.factors[ROWS]) && lt_is_tf32(s->sum.factors[COLUMNS]);
    switch (s->sum.sum->dtype) {
    case DT_F32: return a == b && (a == DT_F16 || a == DT_BF16 || is_tf32);
    case DT_I32: return lt_dtype_is_byte(a) && lt_dtype_is_byte(b);
    default: return false;
    }
}

const char *lt_share_check_mma(Share *s) {
    const Side *rows = &s->sides[ROWS], *columns = &s->sides[COLUMNS];
    if (!multiplies(s))
        return "share: tensor cores multiply f16, bf16 or tf32 into f32, i8 and u8 into i32";
    s->mma_fold = MMA_FOLD_BYTES / (int64_t)lt_dtype_size(rows->value->dtype);
    if (s->size % s->mma_fold || rows->own % 2 || columns->own % 4 ||
        rows->extent % (MMA_ROWS / 2 * rows->own) ||
        columns->extent % (MMA_COLUMNS / 2 * columns->own))
        return "share: the tile is not made of 16 x 16 elements a warp and 32 bytes of the fold";
    return NULL;
}

/* What an instruction leaves to a thread of a warp. */
void lt_share_place_lanes(Share *s) {
    DimTable *t = s->t;
    Side *sides = s->sides;
    const int64_t rows = MMA_ROWS / 2 * sides[ROWS].own;
    const int64_t columns = MMA_COLUMNS / 2 * sides[COLUMNS].own;
    const Dim *across = number(s, sides[COLUMNS].extent / columns), *two = number(s, 2);
    const Dim *warp = lt_dim_floordiv(t, s->thread, number(s, LT_WARP));
    const Dim *lane = lt_dim_mod(t, s->thread, number(s, LT_WARP)), *four = number(s, 4);
    const Dim *i = sides[ROWS].own_var, *j = sides[COLUMNS].own_var;
    sides[ROWS].at = lt_dim_add(
        t, lt_dim_mul_const(t, lt_dim_floordiv(t, warp, across), rows),
        lt_dim_add(t, lt_dim_mul_const(t, i, MMA_ROWS / 2), lt_dim_floordiv(t, lane, four)));
    const Dim *pair = lt_dim_add(t, lt_dim_mul_const(t, lt_dim_floordiv(t, j, two), MMA_COLUMNS),
                                 lt_dim_mod(t, j, two));
    sides[COLUMNS].at =
        lt_dim_add(t, lt_dim_mul_const(t, lt_dim_mod(t, warp, across), columns),
                   lt_dim_add(t, pair, lt_dim_mul_const(t, lt_dim_mod(t, lane, four), 2)));
}

Stmt *lt_share_multiply_in_warps(Share *s) {
    Kernel *k = s->k;
    const Dim *fold = number(s, s->mma_fold), *inner = lt_kernel_loop_var(k, "mma", fold);
    const Dim *within = lt_dim_add(s->t, lt_dim_mul_const(s->t, s->within, s->mma_fold), inner);
    const Expr *factors[SIDES];
    for (int i = 0; i < SIDES; i++)
        factors[i] = lt_share_copied(s, &s->sides[i], within);
    Stmt *list = lt_stmt_for(k, LOOP_MMA, inner, fold, lt_share_update(s, factors));
    const Dim *steps = number(s, s->size / s->mma_fold);
    return lt_share_in_threads(s, lt_stmt_for(k, LOOP_UNROLL, s->within, steps, list));
}
