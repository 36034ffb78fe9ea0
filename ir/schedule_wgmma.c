/* schedule_wgmma.c - `share` with `wgmma`: four warps multiply 64 rows by all columns of the tile
 * out of shared memory, and leave the sums to their threads as `mma` does; see
 * codegen/cuda/wgmma.c.
 *
 * A copy is made of blocks of 64 x 64 elements, whose lines have 128 bytes: along the fold where
 * the factor lies so in memory, else along its other axis. */
#include "ir/schedule_share.h"

enum { BLOCK = 64, OWN_ROWS = 2, LANE_COLUMNS = 4, MOST_COLUMNS = 256 };

const char *lt_share_check_wgmma(Share *s) {
    const char *error = lt_share_check_mma(s);
    const Side *rows = &s->sides[ROWS], *columns = &s->sides[COLUMNS];
    const int64_t width = columns->extent;
    if (error)
        return error;
    if (rows->value->dtype != DT_F16 && rows->value->dtype != DT_BF16)
        return "share: warpgroups multiply f16 or bf16";
    if (s->size != BLOCK || rows->own != OWN_ROWS || columns->own * LANE_COLUMNS != width ||
        rows->extent % BLOCK || (width != BLOCK && width != 2 * BLOCK && width != MOST_COLUMNS))
        return "share: the tile is not made of 64 rows and 64, 128 or 256 columns for four warps, "
               "and 64 of the fold";
    return NULL;
}

void lt_share_swizzled_extents(Share *s, const Side *side, const Dim **extents) {
    extents[0] = number(s, side->extent / BLOCK);
    extents[1] = extents[2] = number(s, BLOCK);
}

void lt_share_swizzled_index(Share *s, const Side *side, const Dim *outer, const Dim *inner,
                             const Dim **index) {
    const Dim *block = number(s, BLOCK), *position = side->folds_last ? outer : inner;
    index[0] = lt_dim_floordiv(s->t, position, block);
    index[1] = side->folds_last ? lt_dim_mod(s->t, outer, block) : outer;
    index[2] = side->folds_last ? inner : lt_dim_mod(s->t, inner, block);
}

Stmt *lt_share_multiply_in_warpgroups(Share *s) {
    Kernel *k = s->k;
    const Dim *size = number(s, s->size), *inner = lt_kernel_loop_var(k, "wgmma", size);
    const Expr *factors[SIDES];
    for (int i = 0; i < SIDES; i++)
        factors[i] = lt_share_copied(s, &s->sides[i], inner);
    Stmt *list = lt_stmt_for(k, LOOP_WGMMA, inner, size, lt_share_update(s, factors));
    return lt_share_in_threads(s, list);
}
