/* schedule_quads.c - `share` with `quads`: tensor cores of sm_70, where threads 4 * p to 4 * p + 3
 * and 16 more multiply 8 x 8 elements by themselves. The four pairs of a warp have a tile of 16 x
 * 16; see codegen/cuda/quads.c. */
#include "ir/schedule_share.h"

const char *lt_share_check_quads(Share *s) {
    const char *error = lt_share_check_mma(s);
    if (!error && s->sides[ROWS].value->dtype != DT_F16)
        error = "share: tensor cores of sm_70 multiply f16";
    return error;
}

/* The bit of d with that value. */
static const Dim *bit(Share *s, const Dim *d, int64_t value) {
    return lt_dim_mod(s->t, lt_dim_floordiv(s->t, d, number(s, value)), number(s, 2));
}

static const Dim *plus(Share *s, const Dim *sum, const Dim *d, int64_t factor) {
    return lt_dim_add(s->t, sum, lt_dim_mul_const(s->t, d, factor));
}

/* Thread l of a warp has row 16 * (i / 2) + 2 * (i % 2) + l % 2 and column 16 * (j / 4) +
 * 4 * (j / 2 % 2) + j % 2 + 2 * (l / 2 % 2), in the part of its pair, 8 rows and columns apart, and
 * the lower four rows of it with l >= 16. */
void lt_share_place_quads(Share *s) {
    DimTable *t = s->t;
    Side *sides = s->sides;
    const int64_t rows = 8 * sides[ROWS].own, columns = 4 * sides[COLUMNS].own;
    const Dim *across = number(s, sides[COLUMNS].extent / columns), *thread = s->thread;
    const Dim *warp = lt_dim_floordiv(t, thread, number(s, LT_WARP));
    const Dim *i = sides[ROWS].own_var, *j = sides[COLUMNS].own_var;
    const Dim *row = lt_dim_mul_const(t, lt_dim_floordiv(t, warp, across), rows);
    row = plus(s, row, lt_dim_floordiv(t, i, number(s, 2)), 16);
    row = plus(s, plus(s, row, lt_dim_mod(t, i, number(s, 2)), 2), bit(s, thread, 1), 1);
    sides[ROWS].at = plus(s, plus(s, row, bit(s, thread, 16), 4), bit(s, thread, 8), 8);
    const Dim *column = lt_dim_mul_const(t, lt_dim_mod(t, warp, across), columns);
    column = plus(s, column, lt_dim_floordiv(t, j, number(s, 4)), 16);
    column = plus(s, plus(s, column, bit(s, j, 2), 4), bit(s, j, 1), 1);
    sides[COLUMNS].at = plus(s, plus(s, column, bit(s, thread, 2), 2), bit(s, thread, 4), 8);
}
