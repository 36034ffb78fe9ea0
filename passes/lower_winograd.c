/* lower_winograd.c - convolutions by F(m, r), a block of tiles at a time.
 *
 *   for each image, block of tiles, group of filter panels:
 *     t: spread[p, t, c] = (B^T d B)[p]           for the tiles of the block, all channels
 *     j: for the panels of the group:
 *       p, m, n: product[p, m, n] = sum over k of spread[p, m, k] * filter[p, panel, k, n]
 *       s: the outputs of A^T product A            and what follows them
 *
 * where p counts the elements of a transformed tile. What is between the stages stays in
 * the thread's scratch memory, which fits the L2 cache. Tiles whose elements all lie inside the
 * operand are read without a condition. Loops along vectors are called v. */
#include <string.h>

#include "ir/winograd.h"
#include "passes/lower_internal.h"

/* Rows of scratch memory are a cache line longer, so that the elements of a tile lie in different
 * sets; pieces of work that a launch should have. */
enum { LINE_ELEMENTS = 16, LEAST_PIECES = 8 };

typedef struct WinogradNest {
    Lowering *lo;
    Kernel *k;
    Winograd wy, wx;      /* along the axes of a tile */
    int products;         /* elements of a transformed tile */
    int64_t block;        /* tiles in a block */
    int64_t panel, group; /* columns of a panel, panels of a group */
    const Dim *height, *width, *channels, *outputs, *panels; /* of the operand; of the result */
    const Dim *low[2];
    const Dim *out_height, *out_width;
    const Dim *tiles_x, *tiles; /* in a row, in an image */
    const Dim *image, *first;   /* loop variables: the image, the block's first tile */
    const Dim *block_extent;    /* tiles of this block */
    const Buffer *spread, *product;
} WinogradNest;

/* --- the transforms as expressions ------------------------------------------------------------ */

static const Expr *scaled_sum(Kernel *k, const Expr *sum, double factor, const Expr *x) {
    if (factor == 0)
        return sum;
    if (!sum)
        return factor == 1 ? x
               : factor == -1
                   ? lt_expr_call(k, FN_NEG, x, NULL, NULL)
                   : lt_expr_call(k, FN_MUL, x, lt_expr_float(k, x->dtype, factor), NULL);
    if (factor == 1 || factor == -1)
        return lt_expr_call(k, factor == 1 ? FN_ADD : FN_SUB, sum, x, NULL);
    return lt_expr_call(k, FN_FMA, x, lt_expr_float(k, x->dtype, factor), sum);
}

/* Row `row` of B^T times x. Rows of points p and -p differ in the sign of every other coefficient,
 * so both are a sum and a difference of the same two parts. */
static const Expr *spread_row(Kernel *k, const Winograd *w, int row, const Expr *const *x) {
    const Expr *parts[2] = {NULL, NULL};
    const bool paired = row > 0 && row <= 2 * w->pairs;
    const int base = paired ? row - (row - 1) % 2 : row;
    for (int i = 0; i < w->n; i++) {
        const Expr **part = &parts[paired ? i % 2 : 0];
        *part = scaled_sum(k, *part, w->bt[base][i], x[i]);
    }
    if (!paired)
        return parts[0];
    /* p: the coefficients of (x + p) x (x^2 - q^2), -p: of (x - p) x (x^2 - q^2). */
    const bool negative = row != base;
    return lt_expr_call(k, negative ? FN_SUB : FN_ADD, parts[0], parts[1], NULL);
}

/* Row `row` of A^T times x: p^row and (-p)^row are equal or opposite. */
static const Expr *fold_row(Kernel *k, const Winograd *w, int row, const Expr *const *x) {
    const Expr *sum = scaled_sum(k, NULL, w->at[row][0], x[0]);
    for (int i = 0; i < w->pairs; i++) {
        const Expr *a = x[2 * i + 1], *b = x[2 * i + 2];
        const Expr *both = lt_expr_call(k, row % 2 ? FN_SUB : FN_ADD, a, b, NULL);
        sum = scaled_sum(k, sum, w->at[row][2 * i + 1], both);
    }
    return w->n > 1 ? scaled_sum(k, sum, w->at[row][w->n - 1], x[w->n - 1]) : sum;
}

/* --- small matrices in registers -------------------------------------------------------------- */

static Buffer *make_matrix(const WinogradNest *n, const char *name, int rows) {
    const Dim **dims = LT_ARRAY(n->k->arena, const Dim *, 2);
    dims[0] = lower_number(n->lo, rows);
    dims[1] = lower_number(n->lo, n->wx.n);
    return lt_kernel_local(n->k, BUFFER_REGISTER, name, DT_F32, 2, dims);
}

static const Dim *const *matrix_index(const WinogradNest *n, int row, int column) {
    const Dim **index = LT_ARRAY(n->k->arena, const Dim *, 2);
    index[0] = lower_number(n->lo, row);
    index[1] = lower_number(n->lo, column);
    return index;
}

static const Expr *get(const WinogradNest *n, const Buffer *matrix, int row, int column) {
    return lt_expr_load(n->k, matrix, matrix_index(n, row, column), NULL);
}

static Stmt *set(const WinogradNest *n, const Buffer *matrix, int row, int column, const Expr *e) {
    return lt_stmt_store(n->k, matrix, matrix_index(n, row, column), e);
}

/* to[i, j] = sum over y of M[i, y] * from[y, j], where fn gives a row of M times a vector. */
typedef const Expr *RowFn(Kernel *k, const Winograd *w, int row, const Expr *const *x);
static Stmt *transform_columns(const WinogradNest *n, RowFn *fn, const Buffer *from,
                               const Buffer *to) {
    Stmt *list = NULL;
    const int rows = (int)to->dims[0]->value;
    for (int j = 0; j < n->wx.n; j++) {
        const Expr *x[WINOGRAD_MOST_INPUTS];
        for (int i = 0; i < n->wy.n; i++)
            x[i] = get(n, from, i, j);
        for (int i = 0; i < rows; i++)
            list = lt_stmt_join(list, set(n, to, i, j, fn(n->k, &n->wy, i, x)));
    }
    return list;
}

/* --- stage 1 ---------------------------------------------------------------------------------- */

/* A tile's place: its first output row and column. */
typedef struct TilePlace {
    const Dim *y, *x;
    Stmt *lets;
} TilePlace;

static const Dim *let_dim(const WinogradNest *n, const char *name, const Dim *value,
                          const Dim *extent, Stmt **lets) {
    int64_t lo, hi;
    lt_dim_range(&n->k->dims, extent, &lo, &hi);
    const Dim *var =
        lt_kernel_let_var(n->k, name, 0, hi == LT_DIM_UNBOUNDED || hi < 1 ? hi : hi - 1);
    *lets = lt_stmt_join(*lets, lt_stmt_let(n->k, var, lt_expr_index(n->k, value)));
    return var;
}

static TilePlace tile_place(const WinogradNest *n, const Dim *tile) {
    DimTable *t = &n->k->dims;
    const Dim *number = lt_dim_add(t, n->first, tile);
    const Dim *rows = lt_dim_ceildiv(t, n->out_height, lower_number(n->lo, n->wy.m));
    TilePlace place = {.lets = NULL};
    const Dim *y = let_dim(n, "ty", lt_dim_floordiv(t, number, n->tiles_x), rows, &place.lets);
    const Dim *x = let_dim(n, "tx", lt_dim_mod(t, number, n->tiles_x), n->tiles_x, &place.lets);
    place.y = lt_dim_mul_const(t, y, n->wy.m);
    place.x = lt_dim_mul_const(t, x, n->wx.m);
    return place;
}

/* Where 0 <= position and position < extent; parts that always hold are left out. */
static const Expr *inside(const WinogradNest *n, const Dim *position, const Dim *extent) {
    Kernel *k = n->k;
    return lt_expr_and(k, lt_expr_less(k, lower_number(n->lo, -1), position),
                       lt_expr_less(k, position, extent));
}

/* Reads a tile for one channel, transforms it and puts it into scratch memory; where is_guarded,
 * what lies outside of the operand is 0. */
static Stmt *spread_channels(const WinogradNest *n, const TilePlace *place, const Dim *tile,
                             bool is_guarded) {
    Lowering *lo = n->lo;
    DimTable *t = &n->k->dims;
    LoopNest loops = {.count = 0};
    const Dim *c = lt_lower_full_loop(lo, &loops, "v", n->channels);
    Buffer *read = make_matrix(n, "d", n->wy.n), *half = make_matrix(n, "half", n->wy.n);
    Stmt *list = lt_stmt_join(lt_stmt_alloc(n->k, read), lt_stmt_alloc(n->k, half));
    for (int i = 0; i < n->products; i++) {
        const Dim *y = lt_dim_sub(t, lt_dim_add_const(t, place->y, i / n->wx.n), n->low[0]);
        const Dim *x = lt_dim_sub(t, lt_dim_add_const(t, place->x, i % n->wx.n), n->low[1]);
        At at = {.index = {n->image, y, x, c}};
        if (is_guarded)
            at.predicate = lt_expr_and(n->k, inside(n, y, n->height), inside(n, x, n->width));
        const Expr *e = lt_lower_at(lo, lt_input(lo->anchor, 0), &at);
        list = lt_stmt_join(list, lt_lower_take_prelude(lo));
        list = lt_stmt_join(list, set(n, read, i / n->wx.n, i % n->wx.n, e));
    }
    list = lt_stmt_join(list, transform_columns(n, spread_row, read, half));
    for (int i = 0; i < n->wy.n; i++) {
        const Expr *x[WINOGRAD_MOST_INPUTS];
        for (int j = 0; j < n->wx.n; j++)
            x[j] = get(n, half, i, j);
        for (int j = 0; j < n->wx.n; j++) {
            const Dim **index = LT_ARRAY(n->k->arena, const Dim *, 2);
            index[0] = lower_number(lo, i * n->wx.n + j);
            index[1] = lt_dim_add(t, lt_dim_mul(t, tile, n->channels), c);
            list = lt_stmt_join(
                list, lt_stmt_store(n->k, n->spread, index, spread_row(n->k, &n->wx, j, x)));
        }
    }
    return lt_lower_nest(lo, &loops, list);
}

static Stmt *spread_stage(const WinogradNest *n) {
    DimTable *t = &n->k->dims;
    LoopNest loops = {.count = 0};
    const Dim *tile = lt_lower_full_loop(n->lo, &loops, "t", n->block_extent);
    const TilePlace place = tile_place(n, tile);
    const Dim *y = lt_dim_sub(t, place.y, n->low[0]), *x = lt_dim_sub(t, place.x, n->low[1]);
    const Expr *whole = lt_expr_and(n->k, inside(n, y, n->height), inside(n, x, n->width));
    whole = lt_expr_and(n->k, whole, inside(n, lt_dim_add_const(t, y, n->wy.n - 1), n->height));
    whole = lt_expr_and(n->k, whole, inside(n, lt_dim_add_const(t, x, n->wx.n - 1), n->width));
    Stmt *body = spread_channels(n, &place, tile, false);
    if (!lt_expr_is_const_bool(whole, true))
        body = lt_stmt_if(n->k, whole, body, spread_channels(n, &place, tile, true));
    return lt_lower_nest(n->lo, &loops, lt_stmt_join(place.lets, body));
}

/* --- stage 2 ---------------------------------------------------------------------------------- */

static Stmt *product_stage(const WinogradNest *n, const Dim *panel) {
    Lowering *lo = n->lo;
    Kernel *k = n->k;
    DimTable *t = &k->dims;
    LoopNest outer = {.count = 0}, inner = {.count = 0};
    const Dim *p = lt_lower_full_loop(lo, &outer, "p", lower_number(lo, n->products));
    const Dim *m = lt_lower_full_loop(lo, &outer, "m", n->block_extent);
    const Dim *column = lt_lower_full_loop(lo, &outer, "n", lower_number(lo, n->panel));
    const Dim *c = lt_lower_full_loop(lo, &inner, "k", n->channels);
    const Dim *spread[] = {p, lt_dim_add(t, lt_dim_mul(t, m, n->channels), c)};
    const Dim **product = LT_ARRAY(k->arena, const Dim *, 2);
    product[0] = p;
    product[1] = lt_dim_add(t, lt_dim_mul_const(t, m, n->panel), column);
    const Dim *side = lower_number(lo, n->wx.n);
    const At at = {
        .index = {lt_dim_floordiv(t, p, side), lt_dim_mod(t, p, side), panel, c, column}};
    const Expr *filter = lt_lower_at(lo, lt_input(lo->anchor, 1), &at);
    const Accumulator acc = lt_lower_accumulator(lo, "acc", DT_F32);
    const Expr *x =
        lt_expr_load(k, n->spread, lt_arena_copy(k->arena, spread, sizeof spread), NULL);
    const Sum sum = {acc, x, filter, lt_lower_zero(lo, DT_F32), NULL};
    Stmt *body = lt_lower_sum(lo, &inner, &sum);
    body = lt_stmt_join(body, lt_stmt_store(k, n->product, product, lt_lower_get(lo, acc)));
    return lt_lower_nest(lo, &outer, body);
}

/* --- stage 3 ---------------------------------------------------------------------------------- */

/* One output of the tile, and all that the kernel makes of it. */
static Stmt *store_output(const WinogradNest *n, const Dim *const *index, const Expr *value) {
    Kernel *k = n->k;
    const Expr *is_there = lt_expr_and(k, lt_expr_less(k, index[1], n->out_height),
                                       lt_expr_less(k, index[2], n->out_width));
    Stmt *store = lt_lower_store(n->lo, index, value);
    return lt_expr_is_const_bool(is_there, true) ? store : lt_stmt_if(k, is_there, store, NULL);
}

static Stmt *fold_columns(const WinogradNest *n, const TilePlace *place, const Dim *tile,
                          const Dim *panel) {
    Lowering *lo = n->lo;
    DimTable *t = &n->k->dims;
    LoopNest loops = {.count = 0};
    const Dim *within = lt_lower_full_loop(lo, &loops, "v", lower_number(lo, n->panel));
    const Dim *column = lt_dim_add(t, lt_dim_mul_const(t, panel, n->panel), within);
    Buffer *read = make_matrix(n, "r", n->wy.n), *half = make_matrix(n, "rows", n->wy.m);
    Stmt *list = lt_stmt_join(lt_stmt_alloc(n->k, read), lt_stmt_alloc(n->k, half));
    for (int i = 0; i < n->products; i++) {
        const Dim **index = LT_ARRAY(n->k->arena, const Dim *, 2);
        index[0] = lower_number(lo, i);
        index[1] = lt_dim_add(t, lt_dim_mul_const(t, tile, n->panel), within);
        list = lt_stmt_join(list, set(n, read, i / n->wx.n, i % n->wx.n,
                                      lt_expr_load(n->k, n->product, index, NULL)));
    }
    list = lt_stmt_join(list, transform_columns(n, fold_row, read, half));
    Stmt *stores = NULL;
    for (int i = 0; i < n->wy.m; i++) {
        const Expr *x[WINOGRAD_MOST_INPUTS];
        for (int j = 0; j < n->wx.n; j++)
            x[j] = get(n, half, i, j);
        for (int j = 0; j < n->wx.m; j++) {
            const Dim *index[] = {n->image, lt_dim_add_const(t, place->y, i),
                                  lt_dim_add_const(t, place->x, j), column};
            stores = lt_stmt_join(stores, store_output(n, index, fold_row(n->k, &n->wx, j, x)));
        }
    }
    const Expr *is_column = lt_expr_less(n->k, column, n->outputs);
    if (!lt_expr_is_const_bool(is_column, true))
        stores = lt_stmt_if(n->k, is_column, stores, NULL);
    return lt_lower_nest(lo, &loops, lt_stmt_join(list, stores));
}

static Stmt *fold_stage(const WinogradNest *n, const Dim *panel) {
    LoopNest loops = {.count = 0};
    const Dim *tile = lt_lower_full_loop(n->lo, &loops, "s", n->block_extent);
    const TilePlace place = tile_place(n, tile);
    return lt_lower_nest(n->lo, &loops,
                         lt_stmt_join(place.lets, fold_columns(n, &place, tile, panel)));
}

/* --- sizes ------------------------------------------------------------------------------------ */

static void choose_sizes(WinogradNest *n) {
    const Target *target = n->lo->ctx->target;
    const int64_t tiles = lt_dim_is_const(n->tiles) ? n->tiles->value : INT64_MAX;
    const int lanes = lt_target_lanes(target, sizeof(float));
    const int vectors = n->panel > lanes ? target->tile_vectors : 1;
    const int64_t rows = lt_target_tile_rows(target, vectors, tiles);
    const int64_t bytes = n->products * n->channels->value * rows * (int64_t)sizeof(float);
    n->block = rows * (bytes * 4 <= target->l2_bytes ? 2 : 1);
    int64_t pieces = LEAST_PIECES;
    const Dim *image = lt_input(n->lo->anchor, 0)->type->dims[0];
    if (lt_dim_is_const(n->tiles) && lt_dim_is_const(image))
        pieces = image->value * ((n->tiles->value + n->block - 1) / n->block);
    int64_t groups = pieces > 0 && pieces < LEAST_PIECES ? (LEAST_PIECES + pieces - 1) / pieces : 1;
    const int64_t panels = n->panels->value;
    groups = groups > panels ? panels : groups;
    n->group = (panels + groups - 1) / groups;
}

static const Buffer *make_scratch(const WinogradNest *n, const char *name, int64_t row) {
    const Dim **dims = LT_ARRAY(n->k->arena, const Dim *, 2);
    dims[0] = lower_number(n->lo, n->products);
    dims[1] = lower_number(n->lo, n->block * row + LINE_ELEMENTS);
    return lt_kernel_local(n->k, BUFFER_SCRATCH, name, DT_F32, 2, dims);
}

static bool read_shapes(WinogradNest *n) {
    Lowering *lo = n->lo;
    DimTable *t = &n->k->dims;
    const Node *node = lo->anchor;
    const Type *x = lt_input(node, 0)->type, *filter = lt_input(node, 1)->type;
    const Type *out = lt_output(node)->type;
    if (x->dtype != DT_F32 || !lt_dim_is_const(x->dims[3]) || !lt_dim_is_const(filter->dims[2]) ||
        x->dims[3]->value < 1 || filter->dims[2]->value < 1 || lt_dim_is(out->dims[3], 1))
        return lt_lower_fail(lo, "its channels must be f32, of a known number, and the outputs "
                                 "more than one");
    const int64_t *tile = lt_attr(node, ATTR_TILE)->u.ints;
    n->wy = lt_winograd((int)tile[0], (int)(filter->dims[0]->value - tile[0] + 1));
    n->wx = lt_winograd((int)tile[1], (int)(filter->dims[1]->value - tile[1] + 1));
    n->products = n->wy.n * n->wx.n;
    n->height = lower_dim(lo, x->dims[1]);
    n->width = lower_dim(lo, x->dims[2]);
    n->channels = lower_dim(lo, x->dims[3]);
    n->out_height = lower_dim(lo, out->dims[1]);
    n->out_width = lower_dim(lo, out->dims[2]);
    n->outputs = lower_dim(lo, out->dims[3]);
    n->panels = lower_dim(lo, filter->dims[2]);
    n->panel = filter->dims[4]->value;
    for (int i = 0; i < 2; i++)
        n->low[i] = lower_dim(lo, lt_attr(node, ATTR_PAD_LO)->u.dims[i]);
    n->tiles_x = lt_dim_ceildiv(t, n->out_width, lower_number(lo, n->wx.m));
    n->tiles =
        lt_dim_mul(t, n->tiles_x, lt_dim_ceildiv(t, n->out_height, lower_number(lo, n->wy.m)));
    return true;
}

bool lt_lower_winograd(Lowering *lo) {
    WinogradNest n = {.lo = lo, .k = lo->k};
    DimTable *t = &lo->k->dims;
    LoopNest outer = {.count = 0}, panels = {.count = 0};
    if (!read_shapes(&n))
        return false;
    choose_sizes(&n);
    const Dim *block = lower_number(lo, n.block), *group = lower_number(lo, n.group);
    const Type *x = lt_input(lo->anchor, 0)->type;
    n.image = lt_lower_full_loop(lo, &outer, "b", lower_dim(lo, x->dims[0]));
    const Dim *q = lt_lower_full_loop(lo, &outer, "q", lt_dim_ceildiv(t, n.tiles, block));
    const Dim *o = lt_lower_full_loop(lo, &outer, "o", lt_dim_ceildiv(t, n.panels, group));
    n.first = lt_dim_mul(t, q, block);
    n.block_extent = lt_dim_divisible(t, n.tiles, n.block)
                         ? block
                         : lt_dim_min(t, block, lt_dim_sub(t, n.tiles, n.first));
    n.spread = make_scratch(&n, "spread", n.channels->value);
    n.product = make_scratch(&n, "product", n.panel);
    Stmt *body = lt_stmt_join(lt_stmt_alloc(lo->k, n.spread), lt_stmt_alloc(lo->k, n.product));
    body = lt_stmt_join(body, spread_stage(&n));
    const Dim *base = lt_dim_mul(t, o, group);
    const Dim *j =
        lt_lower_full_loop(lo, &panels, "j", lt_dim_min(t, group, lt_dim_sub(t, n.panels, base)));
    const Dim *panel = lt_dim_add(t, base, j);
    Stmt *stages = lt_stmt_join(product_stage(&n, panel), fold_stage(&n, panel));
    body = lt_stmt_join(body, lt_lower_nest(lo, &panels, stages));
    lo->k->class = KERNEL_WINOGRAD;
    lo->k->body = lt_lower_nest(lo, &outer, body);
    return !lo->failed;
}
