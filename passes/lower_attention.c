/* lower_attention.c - attention, a block of rows at a time; the scores never lie in memory.
 *
 *   for each of the other axes, block q of rows:
 *     j, m, n: scores[m, n] = sum over k of q[m, k] * k[n, k]        panels j of the packed k
 *     i: s = f(scores[i, :]), e = exp(s - max s), scores[i, :] = e, scale[i] = 1 / sum e
 *     e, y, c: out[y, c] = scale[y] * sum over z of scores[y, z] * v[z, c]
 *
 * The block's scores fit the L2 cache. Where there are too many columns for that, or nobody knows
 * how many, they come in blocks t, and the softmax is online (Milakov and Gimelshein, "Online
 * normalizer calculation for softmax", 2018; Dao et al., "FlashAttention", 2022): each block's
 * exponentials are relative to the greatest score so far, and when that grows, sums and results so
 * far are scaled down. */
#include "passes/lower_attention.h"

#include <math.h>

/* Scores' rows end with a spare cache line, so that they do not meet in the same sets of L1. Each
 * block of rows reads all of k and v: it has several register tiles of rows, but there are pieces
 * of work enough for several threads. */
enum { LINE_ELEMENTS = 16, BLOCK_PANELS = 8, BLOCK_TILES = 4, LEAST_PIECES = 8 };

typedef struct AttentionNest {
    AttentionAxes of;
    Lowering *lo;
    Kernel *k;
    const Attention *a;
    int64_t block, width, out_width; /* rows of a block; columns of a panel of k, of v */
    int64_t column_block;            /* 0: all columns at once */
    const Dim *first, *row_extent;   /* the block's rows */
    const Dim *left, *column_extent; /* the block's columns */
    const Buffer *scores;            /* [block, columns of a block] */
    const Buffer *scale;             /* [block]: of the sums */
    /* In blocks of columns, so far: the greatest score and the sum of exponentials, [block]; the
     * results, [block, outputs]. */
    const Buffer *peak, *total, *sums;
} AttentionNest;

static bool is_online(const AttentionNest *n) { return n->column_block > 0; }

static const Buffer *make_scratch(const AttentionNest *n, const char *name, int64_t columns) {
    const Dim **dims = LT_ARRAY(n->k->arena, const Dim *, 2);
    dims[0] = lower_number(n->lo, n->block);
    dims[1] = lower_number(n->lo, columns);
    return lt_kernel_local(n->k, BUFFER_SCRATCH, name, DT_F32, columns ? 2 : 1, dims);
}

static const Dim *const *place(const AttentionNest *n, const Dim *row, const Dim *column) {
    const Dim **index = LT_ARRAY(n->k->arena, const Dim *, 2);
    index[0] = row;
    index[1] = column;
    return index;
}

static const Expr *load(const AttentionNest *n, const Buffer *b, const Dim *row,
                        const Dim *column) {
    return lt_expr_load(n->k, b, place(n, row, column), NULL);
}

static Stmt *store(const AttentionNest *n, const Buffer *b, const Dim *row, const Dim *column,
                   const Expr *value) {
    return lt_stmt_store(n->k, b, place(n, row, column), value);
}

static const Expr *call(const AttentionNest *n, ScalarFn fn, const Expr *a, const Expr *b) {
    return lt_expr_call(n->k, fn, a, b, NULL);
}

/* Panels of this width that hold so many columns. */
static const Dim *panels_of(const AttentionNest *n, const Dim *columns, int64_t width) {
    return lt_dim_ceildiv(&n->k->dims, columns, lower_number(n->lo, width));
}

/* --- stage 1: scores -------------------------------------------------------------------------- */

static Stmt *score_stage(const AttentionNest *n) {
    Lowering *lo = n->lo;
    DimTable *t = &n->k->dims;
    const LtEinsum *e = &n->a->of_scores;
    const Dim *of[128] = {NULL};
    LoopNest outer = {.count = 0}, inner = {.count = 0};
    const Dim *panels = panels_of(n, n->column_extent, n->width);
    const Dim *j = lt_lower_full_loop(lo, &outer, "j", panels);
    const Dim *m = lt_lower_full_loop(lo, &outer, "m", n->row_extent);
    const Dim *within = lt_lower_full_loop(lo, &outer, "n", lower_number(lo, n->width));
    lt_attention_place(&n->of, e->letters[EINSUM_OUT], lt_dim_add(t, n->first, m), within, of);
    for (int i = 0; i < e->count[EINSUM_A]; i++) {
        const char letter = e->letters[EINSUM_A][i];
        const Dim *extent = lower_dim(lo, lt_input(n->a->scores, 0)->type->dims[i]);
        if (lt_einsum_axis(e, EINSUM_OUT, letter) < 0)
            of[(unsigned char)letter] = lt_lower_full_loop(lo, &inner, "k", extent);
    }
    const At a = lt_lower_letters_at(e->letters[EINSUM_A], of);
    const Dim *panel = lt_dim_add(t, lt_dim_floordiv(t, n->left, lower_number(lo, n->width)), j);
    const At b = lt_lower_packed_at(e, of, panel, within);
    const Expr *x = lt_lower_at_as(lo, lt_input(n->a->scores, 0), &a, DT_F32);
    const Expr *y = lt_lower_at_as(lo, lt_input(n->a->scores, 1), &b, DT_F32);
    const Accumulator acc = lt_lower_accumulator(lo, "score", DT_F32);
    Stmt *body = lt_lower_sum(lo, &inner, &(Sum){acc, x, y, lt_lower_zero(lo, DT_F32), NULL});
    const Dim *column = lt_dim_add(t, lt_dim_mul_const(t, j, n->width), within);
    body = lt_stmt_join(body, store(n, n->scores, m, column, lt_lower_get(lo, acc)));
    return lt_lower_nest(lo, &outer, body);
}

/* --- stage 2: softmax ------------------------------------------------------------------------- */

/* What the softmax is taken of, made of the score in scratch memory. */
static const Expr *softmax_operand(const AttentionNest *n, const Dim *row, const Dim *column) {
    DimTable *t = &n->k->dims;
    const At at = {{lt_dim_add(t, n->first, row), lt_dim_add(t, n->left, column)}, NULL};
    return lt_attention_operand(&n->of, load(n, n->scores, row, column), &at);
}

/* most = the greatest element of the row, which is then kept in place of the scores. */
static Stmt *find_most(const AttentionNest *n, const Dim *row, Accumulator most) {
    Lowering *lo = n->lo;
    LoopNest along = {.count = 0};
    const Dim *r = lt_lower_full_loop(lo, &along, "r#", n->column_extent);
    const Expr *e = softmax_operand(n, row, r);
    Stmt *update = lt_lower_take_prelude(lo);
    update =
        lt_stmt_join(update, lt_lower_set(lo, most, call(n, FN_MAX, lt_lower_get(lo, most), e)));
    if (n->a->link_count)
        update = lt_stmt_join(update, store(n, n->scores, row, r, e));
    const Expr *least = lt_lower_identity(lo, FN_MAX, DT_F32);
    return lt_stmt_join(lt_lower_begin(lo, most, least), lt_lower_nest(lo, &along, update));
}

/* sum = the sum of the row's exponentials, which are kept in its place. */
static Stmt *add_exponentials(const AttentionNest *n, const Dim *row, Accumulator base,
                              Accumulator sum) {
    Lowering *lo = n->lo;
    LoopNest along = {.count = 0};
    const Dim *r = lt_lower_full_loop(lo, &along, "r#", n->column_extent);
    const Expr *below = call(n, FN_SUB, load(n, n->scores, row, r), lt_lower_get(lo, base));
    const Expr *e = call(n, FN_EXP, below, NULL);
    Stmt *update = lt_lower_set(lo, sum, call(n, FN_ADD, lt_lower_get(lo, sum), e));
    update = lt_stmt_join(update, store(n, n->scores, row, r, e));
    return lt_stmt_join(lt_lower_begin(lo, sum, lt_lower_zero(lo, DT_F32)),
                        lt_lower_nest(lo, &along, update));
}

/* What the row's exponentials are relative to, and how what was summed up so far is scaled. */
static Stmt *raise_peak(const AttentionNest *n, const Dim *row, Accumulator most,
                        Accumulator base) {
    Lowering *lo = n->lo;
    const Expr *old = load(n, n->peak, row, NULL);
    const Expr *peak = call(n, FN_MAX, old, lt_lower_get(lo, most));
    Stmt *list = lt_lower_begin(lo, base, lt_attention_base(&n->of, peak));
    const Expr *factor = call(n, FN_EXP, call(n, FN_SUB, old, lt_lower_get(lo, base)), NULL);
    list = lt_stmt_join(list, store(n, n->scale, row, NULL, factor));
    return lt_stmt_join(list, store(n, n->peak, row, NULL, peak));
}

static Stmt *softmax_stage(const AttentionNest *n) {
    Lowering *lo = n->lo;
    LoopNest rows = {.count = 0};
    const Dim *row = lt_lower_full_loop(lo, &rows, "i", n->row_extent);
    const Accumulator most = lt_lower_accumulator(lo, "most", DT_F32);
    const Accumulator sum = lt_lower_accumulator(lo, "sum", DT_F32);
    Accumulator base = most;
    Stmt *body = find_most(n, row, most);
    if (is_online(n)) {
        base = lt_lower_accumulator(lo, "base", DT_F32);
        body = lt_stmt_join(body, raise_peak(n, row, most, base));
    }
    body = lt_stmt_join(body, add_exponentials(n, row, base, sum));
    if (!is_online(n)) {
        const Expr *scale = lt_attention_inverse(&n->of, lt_lower_get(lo, sum));
        return lt_lower_nest(lo, &rows, lt_stmt_join(body, store(n, n->scale, row, NULL, scale)));
    }
    const Expr *total = lt_expr_call(n->k, FN_FMA, load(n, n->total, row, NULL),
                                     load(n, n->scale, row, NULL), lt_lower_get(lo, sum));
    return lt_lower_nest(lo, &rows, lt_stmt_join(body, store(n, n->total, row, NULL, total)));
}

/* --- stage 3: sums ---------------------------------------------------------------------------- */

static Stmt *store_result(const AttentionNest *n, const Dim *row, const Dim *column,
                          const Expr *value) {
    return lt_attention_store(&n->of, lt_dim_add(&n->k->dims, n->first, row), column, value);
}

static Stmt *sum_stage(const AttentionNest *n) {
    Lowering *lo = n->lo;
    DimTable *t = &n->k->dims;
    const LtEinsum *e = &n->a->of_sums;
    const Dim *of[128] = {NULL};
    LoopNest outer = {.count = 0}, inner = {.count = 0};
    const Dim *panel =
        lt_lower_full_loop(lo, &outer, "e", panels_of(n, n->of.outputs, n->out_width));
    const Dim *y = lt_lower_full_loop(lo, &outer, "y", n->row_extent);
    const Dim *within = lt_lower_full_loop(lo, &outer, "c", lower_number(lo, n->out_width));
    const Dim *z = lt_lower_full_loop(lo, &inner, "z", n->column_extent);
    lt_attention_place(&n->of, e->letters[EINSUM_A], lt_dim_add(t, n->first, y),
                       lt_dim_add(t, n->left, z), of);
    const At b = lt_lower_packed_at(e, of, panel, within);
    const Expr *v = lt_lower_at_as(lo, lt_input(n->a->sums, 1), &b, DT_F32);
    const Dim *column = lt_dim_add(t, lt_dim_mul_const(t, panel, n->out_width), within);
    const Expr *scale = load(n, n->scale, y, NULL), *begin = lt_lower_zero(lo, DT_F32);
    if (is_online(n))
        begin = call(n, FN_MUL, load(n, n->sums, y, column), scale);
    const Accumulator acc = lt_lower_accumulator(lo, "acc", DT_F32);
    Stmt *body = lt_lower_sum(lo, &inner, &(Sum){acc, load(n, n->scores, y, z), v, begin, NULL});
    if (is_online(n)) {
        body = lt_stmt_join(body, store(n, n->sums, y, column, lt_lower_get(lo, acc)));
        return lt_lower_nest(lo, &outer, body);
    }
    const Expr *value =
        lt_attention_result(&n->of, lt_dim_add(t, n->first, y), lt_lower_get(lo, acc), scale);
    Stmt *result = store_result(n, y, column, value);
    const Expr *is_column = lt_expr_less(n->k, column, n->of.outputs);
    if (!lt_expr_is_const_bool(is_column, true))
        result = lt_stmt_if(n->k, is_column, result, NULL);
    return lt_lower_nest(lo, &outer, lt_stmt_join(body, result));
}

/* --- blocks of columns ------------------------------------------------------------------------ */

/* Nothing summed up yet, in all rows of the block: they are read and written whole. */
static Stmt *begin_sums(const AttentionNest *n) {
    Lowering *lo = n->lo;
    LoopNest rows = {.count = 0}, along = {.count = 0};
    const Dim *row = lt_lower_full_loop(lo, &rows, "f", lower_number(lo, n->block));
    const Dim *column = lt_lower_full_loop(lo, &along, "v", n->sums->dims[1]);
    const Expr *zero = lt_lower_zero(lo, DT_F32);
    Stmt *list = store(n, n->peak, row, NULL, lt_expr_float(n->k, DT_F32, -INFINITY));
    list = lt_stmt_join(list, store(n, n->total, row, NULL, zero));
    list = lt_stmt_join(list, lt_lower_nest(lo, &along, store(n, n->sums, row, column, zero)));
    return lt_lower_nest(lo, &rows, list);
}

static Stmt *finish_sums(const AttentionNest *n) {
    Lowering *lo = n->lo;
    LoopNest rows = {.count = 0}, along = {.count = 0};
    const Dim *row = lt_lower_full_loop(lo, &rows, "f", n->row_extent);
    const Dim *column = lt_lower_full_loop(lo, &along, "v", n->of.outputs);
    const Accumulator factor = lt_lower_accumulator(lo, "factor", DT_F32);
    Stmt *list =
        lt_lower_begin(lo, factor, lt_attention_inverse(&n->of, load(n, n->total, row, NULL)));
    const Expr *value =
        lt_attention_result(&n->of, lt_dim_add(&n->k->dims, n->first, row),
                            load(n, n->sums, row, column), lt_lower_get(lo, factor));
    list = lt_stmt_join(list, lt_lower_nest(lo, &along, store_result(n, row, column, value)));
    return lt_lower_nest(lo, &rows, list);
}

static Stmt *all_columns(AttentionNest *n) {
    Lowering *lo = n->lo;
    DimTable *t = &n->k->dims;
    LoopNest blocks = {.count = 0};
    n->left = lower_number(lo, 0);
    n->column_extent = n->of.columns;
    if (is_online(n)) {
        const Dim *by = lower_number(lo, n->column_block);
        const Dim *block =
            lt_lower_full_loop(lo, &blocks, "t", lt_dim_ceildiv(t, n->of.columns, by));
        n->left = lt_dim_mul(t, block, by);
        n->column_extent = lt_dim_min(t, by, lt_dim_sub(t, n->of.columns, n->left));
    }
    Stmt *stages = lt_stmt_join(score_stage(n), softmax_stage(n));
    return lt_lower_nest(lo, &blocks, lt_stmt_join(stages, sum_stage(n)));
}

/* --- sizes ------------------------------------------------------------------------------------ */

/* Blocks of rows, if each has so many tiles; INT64_MAX: not known. */
static int64_t count_pieces(const AttentionNest *n, int64_t rows) {
    const Type *scores = lt_output(n->a->scores)->type;
    int64_t pieces = 1;
    for (int i = 0; i < scores->rank - 1; i++) {
        const int64_t extent = lt_dim_is_const(scores->dims[i]) ? scores->dims[i]->value : -1;
        const int64_t blocks = i == n->a->row ? (extent + rows - 1) / rows : extent;
        if (extent < 0 || __builtin_mul_overflow(pieces, blocks, &pieces))
            return INT64_MAX;
    }
    return pieces;
}

/* Whole register tiles of rows; all columns at once where their scores take an eighth of L2. */
static void choose_sizes(AttentionNest *n) {
    const Target *target = n->lo->ctx->target;
    const int lanes = lt_target_lanes(target, sizeof(float));
    const int64_t rows = lt_dim_is_const(n->of.rows) ? n->of.rows->value : INT64_MAX;
    const int vectors = n->width > lanes ? target->tile_vectors : 1;
    const int64_t tile = lt_target_tile_rows(target, vectors, rows);
    int64_t tiles = BLOCK_TILES;
    while (tiles > 1 && count_pieces(n, tiles * tile) < LEAST_PIECES)
        tiles /= 2;
    n->block = tiles * tile;
    const int64_t most = target->l2_bytes / 8 / (n->block * (int64_t)sizeof(float));
    if (!lt_dim_is_const(n->of.columns) || n->of.columns->value > most)
        n->column_block = BLOCK_PANELS * n->width;
}

static int64_t round_up(int64_t count, int64_t by) { return (count + by - 1) / by * by; }

static Stmt *make_buffers(AttentionNest *n) {
    const int64_t columns =
        is_online(n) ? n->column_block : round_up(n->of.columns->value, n->width);
    n->scores = make_scratch(n, "scores", columns + LINE_ELEMENTS);
    n->scale = make_scratch(n, "scale", 0);
    Stmt *list = lt_stmt_join(lt_stmt_alloc(n->k, n->scores), lt_stmt_alloc(n->k, n->scale));
    if (!is_online(n))
        return list;
    n->peak = make_scratch(n, "peak", 0);
    n->total = make_scratch(n, "total", 0);
    n->sums = make_scratch(n, "sums", round_up(n->of.outputs->value, n->out_width));
    list = lt_stmt_join(list, lt_stmt_alloc(n->k, n->peak));
    list = lt_stmt_join(list, lt_stmt_alloc(n->k, n->total));
    return lt_stmt_join(list, lt_stmt_alloc(n->k, n->sums));
}

bool lt_lower_attention(Lowering *lo) {
    const Attention *a = lo->attention;
    AttentionNest n = {.of = lt_attention_axes(lo), .lo = lo, .k = lo->k, .a = a};
    DimTable *t = &lo->k->dims;
    LoopNest outer = {.count = 0};
    n.width = lt_attr_int(a->scores, ATTR_PACKED, 0);
    n.out_width = lt_attr_int(a->sums, ATTR_PACKED, 0);
    if (!lt_dim_is_const(n.of.outputs))
        return lt_lower_fail(lo, "the size of its values must be known");
    choose_sizes(&n);
    lt_attention_loops(&n.of, &outer);
    const Dim *block = lower_number(lo, n.block);
    const Dim *q = lt_lower_full_loop(lo, &outer, "q", lt_dim_ceildiv(t, n.of.rows, block));
    n.first = lt_dim_mul(t, q, block);
    n.row_extent = lt_dim_divisible(t, n.of.rows, n.block)
                       ? block
                       : lt_dim_min(t, block, lt_dim_sub(t, n.of.rows, n.first));
    Stmt *body = make_buffers(&n);
    if (is_online(&n))
        body = lt_stmt_join(body, begin_sums(&n));
    body = lt_stmt_join(body, all_columns(&n));
    if (is_online(&n))
        body = lt_stmt_join(body, finish_sums(&n));
    lo->k->class = KERNEL_ATTENTION;
    lo->k->body = lt_lower_nest(lo, &outer, body);
    return !lo->failed;
}
