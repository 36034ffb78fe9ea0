/* lower_attention_gpu.c - attention on a GPU: a block of threads has a tile of rows, and walks
 * tiles of columns; the scores never lie in memory.
 *
 *   for each of the other axes, tile q of rows:
 *     fetch the rows' q, k of tile 0;  peak = -inf;  total, sums = 0
 *     for tile:
 *       barrier;  fetch v of the tile
 *       scores[i, j] = sum over d of q k                         in registers
 *       for row i: most = max(peak[i], max of f(scores[i, :])),  over the threads that share it
 *         scale = exp(peak[i] - most), peak[i] = most
 *         weights[i, j] = exp(f(scores[i, j]) - most)            in shared memory
 *         total[i] = scale * total[i] + sum of weights[i, :];  sums[i, :] *= scale
 *       barrier;  fetch k of the next tile
 *       sums += weights v
 *     out = sums / total
 *
 * Where one tile has all columns, nothing is scaled.
 * The softmax is online: Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018;
 * Dao et al., "FlashAttention", 2022. A copy from memory arrives while the other product is
 * computed. Both products are LOOP_MMA nests where tensor cores take the operands, and register
 * tiles else; in either case the rows of a thread are the same in both, and a row's threads are
 * neighbours in one warp. */
#include "ir/schedule.h"
#include "passes/lower_attention.h"

enum { QUERIES, KEYS, VALUES, PARTS };
enum { VECTOR_BYTES = 16, LEAST_BYTES = 4, MMA_FOLD = 16, FOLD_PIECE = 8 };

/* A tile of an operand in shared memory: lines are rows, or columns, of the scores. */
typedef struct Part {
    Value *value;
    int64_t lines, length; /* of the tile */
    const Dim *end, *size; /* of the operand's lines; of a line */
    bool is_across;        /* neighbours in memory are in neighbouring lines */
    int64_t vector;        /* elements that are copied at once */
    const Buffer *copy;
} Part;

/* A product that a thread adds to its tile. */
typedef struct Product {
    const Buffer *tile;
    int64_t columns; /* of it */
    const Dim *j;    /* one of them */
    int64_t fold;
} Product;

typedef struct AttentionBlock {
    AttentionAxes of;
    Lowering *lo;
    Kernel *k;
    DimTable *t;
    AttentionTile tile;
    int64_t threads;
    int64_t group; /* neighbouring outputs of a thread */
    Part parts[PARTS];
    const Dim *thread, *i, *j, *c; /* a thread, its rows, its columns of the scores and of v */
    const Dim *first, *left;       /* row and column of the tile at hand */
    const Dim *tiles;              /* of columns */
    const Buffer *scores, *weights, *peak, *total, *sums;
} AttentionBlock;

static const Dim *number(const AttentionBlock *b, int64_t n) { return lt_dim_const(b->t, n); }

static const Dim *loop_var(const AttentionBlock *b, const char *name, int64_t extent) {
    LoopNest nest = {.count = 0};
    return lt_lower_full_loop(b->lo, &nest, name, number(b, extent));
}

static Stmt *loop(const AttentionBlock *b, LoopKind kind, const Dim *var, int64_t extent,
                  Stmt *body) {
    return lt_stmt_for(b->k, kind, var, number(b, extent), body);
}

static Stmt *in_threads(const AttentionBlock *b, Stmt *body) {
    return loop(b, LOOP_THREAD, b->thread, b->threads, body);
}

static Stmt *for_rows(const AttentionBlock *b, Stmt *body) {
    return loop(b, LOOP_UNROLL, b->i, b->tile.own_rows, body);
}

static Stmt *for_columns(const AttentionBlock *b, Stmt *body) {
    return loop(b, LOOP_UNROLL, b->j, b->tile.columns / b->tile.mates, body);
}

static Stmt *for_outputs(const AttentionBlock *b, Stmt *body) {
    return loop(b, LOOP_UNROLL, b->c, b->tile.outputs / b->tile.mates, body);
}

static const Expr *load(const AttentionBlock *b, const Buffer *buffer, const Dim *at0,
                        const Dim *at1) {
    const Dim *index[2] = {at0, at1};
    return lt_expr_load(b->k, buffer, lt_arena_copy(b->k->arena, index, sizeof index), NULL);
}

static Stmt *store(const AttentionBlock *b, const Buffer *buffer, const Dim *at0, const Dim *at1,
                   const Expr *value) {
    const Dim *index[2] = {at0, at1};
    return lt_stmt_store(b->k, buffer, lt_arena_copy(b->k->arena, index, sizeof index), value);
}

static const Expr *call(const AttentionBlock *b, ScalarFn fn, const Expr *x, const Expr *y) {
    return lt_expr_call(b->k, fn, x, y, NULL);
}

static const Buffer *local(const AttentionBlock *b, BufferKind kind, const char *name, DType dtype,
                           int64_t rows, int64_t columns) {
    const Dim **dims = LT_ARRAY(b->k->arena, const Dim *, 2);
    dims[0] = number(b, rows);
    dims[1] = number(b, columns);
    return lt_kernel_local(b->k, kind, name, dtype, columns ? 2 : 1, dims);
}

/* --- where a thread's elements are ------------------------------------------------------------ */

/* Of an instruction's 16 rows, a thread has two that are 8 apart. */
static const Dim *own_row(const AttentionBlock *b) {
    DimTable *t = b->t;
    if (!b->tile.is_mma)
        return lt_dim_add(t, lt_dim_mul_const(t, b->i, b->tile.rows / b->tile.own_rows),
                          lt_dim_floordiv(t, b->thread, number(b, b->tile.mates)));
    const Dim *warp = lt_dim_floordiv(t, b->thread, number(b, LT_WARP));
    const Dim *lane = lt_dim_mod(t, b->thread, number(b, LT_WARP));
    const Dim *own = lt_dim_add(t, lt_dim_mul_const(t, b->i, 8),
                                lt_dim_floordiv(t, lane, number(b, b->tile.mates)));
    return lt_dim_add(t, lt_dim_mul_const(t, warp, 8 * b->tile.own_rows), own);
}

/* Groups of neighbours, those of all threads of a row beside each other; an instruction has 8
 * columns, of which a thread has two. */
static const Dim *own_column(const AttentionBlock *b, const Dim *own, int64_t group) {
    DimTable *t = b->t;
    const Dim *by = number(b, group), *within = lt_dim_mod(t, own, by);
    const Dim *mate = lt_dim_mod(t, b->thread, number(b, b->tile.mates));
    const Dim *far = lt_dim_mul_const(t, lt_dim_floordiv(t, own, by), group * b->tile.mates);
    return lt_dim_add(t, far, lt_dim_add(t, within, lt_dim_mul_const(t, mate, group)));
}

static const Dim *score_column(const AttentionBlock *b) {
    return own_column(b, b->j, b->tile.is_mma ? 2 : 1);
}

static const Dim *output_column(const AttentionBlock *b) { return own_column(b, b->c, b->group); }

/* --- copies in shared memory ------------------------------------------------------------------ */

/* The letters that the scores are summed over, at an element of a head. */
static void place_fold(const AttentionBlock *b, const Dim *at, const Dim **places) {
    const LtEinsum *e = &b->of.a->of_scores;
    const Type *type = lt_input(b->of.a->scores, 0)->type;
    bool is_last = true;
    for (int i = e->count[EINSUM_A] - 1; i >= 0; i--) {
        const char letter = e->letters[EINSUM_A][i];
        if (lt_einsum_axis(e, EINSUM_OUT, letter) >= 0)
            continue;
        const Dim *extent = lower_dim(b->lo, type->dims[i]);
        const int64_t left = lt_attention_head_size(b->of.a);
        const bool is_only = is_last && extent->value == left;
        places[(unsigned char)letter] = is_only ? at : lt_dim_mod(b->t, at, extent);
        at = is_only ? at : lt_dim_floordiv(b->t, at, extent);
        is_last = false;
    }
}

/* The operand's element; where the condition does not hold, any value. */
static const Expr *element(const AttentionBlock *b, int which, const Dim *line, const Dim *along,
                           const Expr *condition) {
    const Attention *a = b->of.a;
    const Dim *places[128] = {NULL};
    const bool is_query = which == QUERIES;
    const LtEinsum *e = which == VALUES ? &a->of_sums : &a->of_scores;
    lt_attention_place(&b->of, e->letters[which == VALUES ? EINSUM_A : EINSUM_OUT],
                       is_query ? line : NULL, is_query ? NULL : line, places);
    if (which == VALUES)
        places[(unsigned char)lt_einsum_column(e)] = along;
    else
        place_fold(b, along, places);
    At at = lt_lower_letters_at(e->letters[is_query ? EINSUM_A : EINSUM_B], places);
    at.predicate = condition;
    return lt_lower_at(b->lo, b->parts[which].value, &at);
}

static bool is_parameter(const Expr *e) {
    return e->kind == EXPR_LOAD && e->u.load.buffer->kind <= BUFFER_OUTPUT;
}

/* Whether n elements from a multiple of n on are so in memory too. */
static bool is_aligned(const AttentionBlock *b, int which, int64_t n) {
    const Part *part = &b->parts[which];
    const Dim *chunk = loop_var(b, "chunk", part->lines * part->length);
    const Dim *lane = loop_var(b, "lane", n), *other = loop_var(b, "other", part->lines);
    const Dim *at = lt_dim_add(b->t, lt_dim_mul_const(b->t, chunk, n), lane);
    const Expr *e =
        element(b, which, part->is_across ? at : other, part->is_across ? other : at, NULL);
    lt_lower_take_prelude(b->lo);
    if (!is_parameter(e))
        return false;
    const Dim *rest =
        lt_dim_sub(b->t, lt_buffer_flat(b->t, e->u.load.buffer, e->u.load.index), lane);
    return !lt_dim_mentions(rest, lane) && lt_dim_divisible(b->t, rest, n);
}

static bool is_across(const AttentionBlock *b, int which) {
    const Dim *line = loop_var(b, "line", 2), *along = loop_var(b, "along", 2);
    const Expr *e = element(b, which, line, along, NULL);
    lt_lower_take_prelude(b->lo);
    if (!is_parameter(e))
        return false;
    const Dim *flat = lt_buffer_flat(b->t, e->u.load.buffer, e->u.load.index);
    return lt_dim_is(lt_dim_step(b->k, flat, line), 1) &&
           !lt_dim_is(lt_dim_step(b->k, flat, along), 1);
}

static void plan_part(AttentionBlock *b, int which, const char *name) {
    Part *part = &b->parts[which];
    const int64_t size = (int64_t)lt_dtype_size(part->value->type->dtype);
    part->is_across = is_across(b, which);
    const int64_t inner = part->is_across ? part->lines : part->length;
    const Dim *extent = part->is_across ? part->end : part->size;
    part->vector = VECTOR_BYTES / size;
    while (part->vector > 1 &&
           (part->vector * size < LEAST_BYTES || inner % part->vector ||
            !lt_dim_divisible(b->t, extent, part->vector) || !is_aligned(b, which, part->vector)))
        part->vector /= 2;
    part->copy = local(b, BUFFER_SHARED, name, part->value->type->dtype,
                       part->is_across ? part->length : part->lines, inner + VECTOR_BYTES / size);
}

static const Expr *copied(const AttentionBlock *b, int which, const Dim *line, const Dim *along) {
    const Part *part = &b->parts[which];
    return part->is_across ? load(b, part->copy, along, line) : load(b, part->copy, line, along);
}

/* What is copied to a place of the tile whose first line is `start`; `begin` is the first of a
 * vector's positions. 0 beyond the operand's end. */
static Stmt *copy_element(const AttentionBlock *b, int which, const Dim *start,
                          const Dim *const index[3]) {
    const Part *part = &b->parts[which];
    const Dim *outer = index[0], *begin = index[1], *inner = index[2];
    const Dim *line = lt_dim_add(b->t, start, part->is_across ? begin : outer);
    const Expr *inside = lt_expr_less(b->k, part->is_across ? outer : begin, part->size);
    if (!lt_dim_divisible(b->t, part->end, part->lines)) /* tiles are not whole */
        inside = lt_expr_and(b->k, lt_expr_less(b->k, line, part->end), inside);
    const Expr *condition = lt_expr_is_const_bool(inside, true) ? NULL : inside;
    line = lt_dim_add(b->t, start, part->is_across ? inner : outer);
    const Expr *value = element(b, which, line, part->is_across ? outer : inner, condition);
    if (condition && !is_parameter(value))
        value = lt_expr_call(b->k, FN_SELECT, inside, value, lt_lower_zero(b->lo, value->dtype));
    Stmt *prelude = lt_lower_take_prelude(b->lo);
    return lt_stmt_join(prelude, store(b, part->copy, outer, inner, value));
}

/* Threads copy vectors one after the other, which may arrive later. */
static Stmt *fetch(const AttentionBlock *b, int which, const Dim *start) {
    const Part *part = &b->parts[which];
    const int64_t vector = part->vector, lines = part->is_across ? part->length : part->lines;
    const int64_t width = (part->is_across ? part->lines : part->length) / vector;
    const int64_t chunks = width * lines, turns = (chunks + b->threads - 1) / b->threads;
    const int64_t size = (int64_t)lt_dtype_size(part->value->type->dtype);
    const bool has_lanes = vector * size >= LEAST_BYTES;
    const Dim *turn = turns > 1 ? loop_var(b, "turn", turns) : number(b, 0);
    const Dim *lane = has_lanes ? loop_var(b, "lane", vector) : number(b, 0);
    const Dim *chunk = lt_dim_add(b->t, lt_dim_mul_const(b->t, turn, b->threads), b->thread);
    const Dim *by = number(b, width);
    const Dim *begin = lt_dim_mul_const(b->t, lt_dim_mod(b->t, chunk, by), vector);
    const Dim *const index[3] = {lt_dim_floordiv(b->t, chunk, by), begin,
                                 lt_dim_add(b->t, begin, lane)};
    Stmt *list = copy_element(b, which, start, index);
    if (has_lanes)
        list = loop(b, list->next ? LOOP_UNROLL : LOOP_FETCH, lane, vector, list);
    if (chunks % b->threads)
        list = lt_stmt_if(b->k, lt_expr_less(b->k, chunk, number(b, chunks)), list, NULL);
    return turns > 1 ? loop(b, LOOP_UNROLL, turn, turns, list) : list;
}

/* --- products --------------------------------------------------------------------------------- */

static const Expr *as_f32(const AttentionBlock *b, const Expr *e) {
    return lt_expr_convert(b->k, e, DT_F32);
}

/* Both factors of an element of the thread's tile, at a position of the fold. */
static void find_factors(const AttentionBlock *b, const Product *p, const Dim *at,
                         const Expr *factors[2]) {
    const bool is_scores = p->tile == b->scores;
    factors[0] = as_f32(b, is_scores ? copied(b, QUERIES, own_row(b), at)
                                     : load(b, b->weights, own_row(b), at));
    factors[1] = as_f32(b, is_scores ? copied(b, KEYS, score_column(b), at)
                                     : copied(b, VALUES, at, output_column(b)));
}

static Stmt *update(const AttentionBlock *b, const Product *p, const Expr *const factors[2]) {
    const Expr *sum =
        lt_expr_call(b->k, FN_FMA, factors[0], factors[1], load(b, p->tile, b->i, p->j));
    Stmt *list = store(b, p->tile, b->i, p->j, sum);
    return for_rows(b, loop(b, LOOP_UNROLL, p->j, p->columns, list));
}

static Stmt *multiply_in_warps(const AttentionBlock *b, const Product *p) {
    const int64_t steps = p->fold / MMA_FOLD;
    const Dim *step = loop_var(b, "k", steps), *inner = loop_var(b, "mma", MMA_FOLD);
    const Expr *factors[2];
    find_factors(b, p, lt_dim_add(b->t, lt_dim_mul_const(b->t, step, MMA_FOLD), inner), factors);
    Stmt *list = loop(b, LOOP_MMA, inner, MMA_FOLD, update(b, p, factors));
    return loop(b, LOOP_UNROLL, step, steps, list);
}

/* A thread holds its rows and columns of both factors at a position of the fold. */
static Stmt *multiply_in_threads(const AttentionBlock *b, const Product *p) {
    const int64_t pieces = p->fold / FOLD_PIECE;
    const Dim *piece = loop_var(b, "k", pieces), *within = loop_var(b, "l", FOLD_PIECE);
    const Expr *factors[2];
    const Buffer *row = local(b, BUFFER_REGISTER, "row", DT_F32, b->tile.own_rows, 0);
    const Buffer *column = local(b, BUFFER_REGISTER, "column", DT_F32, p->columns, 0);
    find_factors(b, p, lt_dim_add(b->t, lt_dim_mul_const(b->t, piece, FOLD_PIECE), within),
                 factors);
    Stmt *list = lt_stmt_join(lt_stmt_alloc(b->k, row), lt_stmt_alloc(b->k, column));
    list = lt_stmt_join(list, for_rows(b, store(b, row, b->i, NULL, factors[0])));
    list = lt_stmt_join(
        list, loop(b, LOOP_UNROLL, p->j, p->columns, store(b, column, p->j, NULL, factors[1])));
    factors[0] = load(b, row, b->i, NULL);
    factors[1] = load(b, column, p->j, NULL);
    list = lt_stmt_join(list, update(b, p, factors));
    list = loop(b, LOOP_UNROLL, within, FOLD_PIECE, list);
    return loop(b, LOOP_SERIAL, piece, pieces, list);
}

static Stmt *multiply(const AttentionBlock *b, const Product *p) {
    return b->tile.is_mma ? multiply_in_warps(b, p) : multiply_in_threads(b, p);
}

static Stmt *compute_scores(const AttentionBlock *b) {
    const Product p = {b->scores, b->tile.columns / b->tile.mates, b->j, b->tile.fold};
    Stmt *clear = store(b, b->scores, b->i, b->j, lt_lower_zero(b->lo, DT_F32));
    clear = for_rows(b, for_columns(b, clear));
    return in_threads(b, lt_stmt_join(clear, multiply(b, &p)));
}

static Stmt *add_values(const AttentionBlock *b) {
    const Product p = {b->sums, b->tile.outputs / b->tile.mates, b->c, b->tile.columns};
    return in_threads(b, multiply(b, &p));
}

/* --- softmax ---------------------------------------------------------------------------------- */

/* The scores become what the softmax is taken of, -infinity beyond the last column; most is the
 * greatest of a thread's. */
static Stmt *find_most(const AttentionBlock *b, Accumulator most) {
    Lowering *lo = b->lo;
    const At at = {
        {lt_dim_add(b->t, b->first, own_row(b)), lt_dim_add(b->t, b->left, score_column(b))}, NULL};
    const Expr *is_row = lt_expr_less(b->k, at.index[0], b->of.rows);
    const Expr *is_column = lt_expr_less(b->k, at.index[1], b->of.columns);
    At inside = at;
    inside.predicate = lt_expr_and(b->k, is_row, is_column);
    if (lt_expr_is_const_bool(inside.predicate, true))
        inside.predicate = NULL;
    const Expr *score = load(b, b->scores, b->i, b->j);
    const Expr *operand = lt_attention_operand(&b->of, score, &inside);
    const Expr *least = lt_lower_identity(lo, FN_MAX, DT_F32);
    operand = lt_expr_call(b->k, FN_SELECT, is_column, operand, least);
    Stmt *list = lt_lower_take_prelude(lo);
    if (operand != score)
        list = lt_stmt_join(list, store(b, b->scores, b->i, b->j, operand));
    const Expr *greater = call(b, FN_MAX, lt_lower_get(lo, most), score);
    list = for_columns(b, lt_stmt_join(list, lt_lower_set(lo, most, greater)));
    return in_threads(b, list);
}

static bool is_online(const AttentionBlock *b) { return !lt_dim_is(b->tiles, 1); }

/* What was summed up so far becomes relative to `base`, and `most` the peak. */
static Stmt *rescale(const AttentionBlock *b, Accumulator most, Accumulator base) {
    Lowering *lo = b->lo;
    const Accumulator scale = lt_lower_accumulator(lo, "scale", DT_F32);
    const Expr *peak = load(b, b->peak, b->i, NULL), *total = load(b, b->total, b->i, NULL);
    const Expr *sum = load(b, b->sums, b->i, b->c);
    const Expr *below = call(b, FN_SUB, peak, lt_lower_get(lo, base));
    Stmt *list = lt_lower_begin(lo, scale, call(b, FN_EXP, below, NULL));
    list = lt_stmt_join(list, store(b, b->peak, b->i, NULL, lt_lower_get(lo, most)));
    const Expr *scaled = call(b, FN_MUL, total, lt_lower_get(lo, scale));
    list = lt_stmt_join(list, store(b, b->total, b->i, NULL, scaled));
    scaled = call(b, FN_MUL, sum, lt_lower_get(lo, scale));
    return lt_stmt_join(list, for_outputs(b, store(b, b->sums, b->i, b->c, scaled)));
}

/* The row's exponentials, relative to `most`. */
static Stmt *weigh(const AttentionBlock *b, Accumulator most) {
    Lowering *lo = b->lo;
    const Accumulator base = lt_lower_accumulator(lo, "base", DT_F32);
    const Accumulator weight = lt_lower_accumulator(lo, "weight", DT_F32);
    const Expr *total = load(b, b->total, b->i, NULL), *score = load(b, b->scores, b->i, b->j);
    Stmt *list = lt_lower_begin(lo, base, lt_attention_base(&b->of, lt_lower_get(lo, most)));
    if (is_online(b))
        list = lt_stmt_join(list, rescale(b, most, base));
    const Expr *below = call(b, FN_SUB, score, lt_lower_get(lo, base));
    Stmt *each = lt_lower_begin(lo, weight, call(b, FN_EXP, below, NULL));
    const Expr *narrow = lt_expr_convert(b->k, lt_lower_get(lo, weight), b->weights->dtype);
    each = lt_stmt_join(each, store(b, b->weights, own_row(b), score_column(b), narrow));
    const Expr *more = call(b, FN_ADD, total, lt_lower_get(lo, weight));
    each = lt_stmt_join(each, store(b, b->total, b->i, NULL, more));
    return in_threads(b, lt_stmt_join(list, for_columns(b, each)));
}

static Stmt *soften(const AttentionBlock *b) {
    const Accumulator most = lt_lower_accumulator(b->lo, "most", DT_F32);
    const Expr *least = lt_lower_identity(b->lo, FN_MAX, DT_F32);
    Stmt *list = lt_lower_begin(b->lo, most, is_online(b) ? load(b, b->peak, b->i, NULL) : least);
    list = lt_stmt_join(list, find_most(b, most));
    list = lt_stmt_join(list, lt_stmt_combine(b->k, most.buffer, FN_MAX, b->tile.mates, 1));
    return for_rows(b, lt_stmt_join(list, weigh(b, most)));
}

/* --- the block -------------------------------------------------------------------------------- */

/* Nothing summed up yet. */
static Stmt *begin_sums(const AttentionBlock *b) {
    const Expr *zero = lt_lower_zero(b->lo, DT_F32);
    Stmt *list = store(b, b->total, b->i, NULL, zero);
    if (is_online(b)) {
        const Expr *least = lt_lower_identity(b->lo, FN_MAX, DT_F32);
        list = lt_stmt_join(list, store(b, b->peak, b->i, NULL, least));
    }
    list = lt_stmt_join(list, for_outputs(b, store(b, b->sums, b->i, b->c, zero)));
    return in_threads(b, for_rows(b, list));
}

/* A row's results, in groups of neighbours that are stored at once. */
static Stmt *store_row(const AttentionBlock *b, const Dim *row, Accumulator factor) {
    const int64_t groups = b->tile.outputs / b->tile.mates / b->group;
    const Dim *far = loop_var(b, "c", groups), *near = loop_var(b, "e", b->group);
    const Dim *begin = lt_dim_mul_const(b->t, far, b->group), *own = lt_dim_add(b->t, begin, near);
    const Expr *sum = load(b, b->sums, b->i, own);
    const bool is_even = lt_dim_divisible(b->t, b->of.outputs, b->group);
    const Expr *inside =
        lt_expr_less(b->k, own_column(b, is_even ? begin : own, b->group), b->of.outputs);
    const bool is_guarded = !lt_expr_is_const_bool(inside, true);
    const Expr *value = lt_attention_result(&b->of, row, sum, lt_lower_get(b->lo, factor));
    Stmt *list = lt_attention_store(&b->of, row, own_column(b, own, b->group), value);
    if (is_guarded && !is_even)
        list = lt_stmt_if(b->k, inside, list, NULL);
    list = loop(b, LOOP_UNROLL, near, b->group, list);
    if (is_guarded && is_even)
        list = lt_stmt_if(b->k, inside, list, NULL);
    return loop(b, LOOP_UNROLL, far, groups, list);
}

static Stmt *finish_sums(const AttentionBlock *b) {
    Lowering *lo = b->lo;
    const Accumulator sum = lt_lower_accumulator(lo, "sum", DT_F32);
    const Accumulator factor = lt_lower_accumulator(lo, "factor", DT_F32);
    const Dim *row = lt_dim_add(b->t, b->first, own_row(b));
    const Expr *inside = lt_expr_less(b->k, row, b->of.rows);
    Stmt *list = lt_lower_begin(lo, sum, load(b, b->total, b->i, NULL));
    list = lt_stmt_join(list, lt_stmt_combine(b->k, sum.buffer, FN_ADD, b->tile.mates, 1));
    Stmt *results = lt_lower_begin(lo, factor, lt_attention_inverse(&b->of, lt_lower_get(lo, sum)));
    results = lt_stmt_join(results, store_row(b, row, factor));
    if (!lt_expr_is_const_bool(inside, true))
        results = lt_stmt_if(b->k, inside, results, NULL);
    return for_rows(b, lt_stmt_join(list, in_threads(b, results)));
}

static Stmt *walk_tiles(AttentionBlock *b) {
    LoopNest nest = {.count = 0};
    const Dim *by = number(b, b->tile.columns);
    const Dim *tile = lt_lower_full_loop(b->lo, &nest, "tile", b->tiles);
    b->left = lt_dim_mul(b->t, tile, by);
    Stmt *list = lt_stmt_barrier(b->k);
    list = lt_stmt_join(list, in_threads(b, fetch(b, VALUES, b->left)));
    list = lt_stmt_join(list, lt_stmt_join(compute_scores(b), soften(b)));
    list = lt_stmt_join(list, lt_stmt_barrier(b->k));
    const Expr *is_more = lt_expr_less(b->k, lt_dim_add_const(b->t, tile, 1), b->tiles);
    if (!lt_expr_is_const_bool(is_more, false)) {
        Stmt *next = fetch(b, KEYS, lt_dim_add(b->t, b->left, by));
        list = lt_stmt_join(list, in_threads(b, lt_stmt_if(b->k, is_more, next, NULL)));
    }
    return lt_lower_nest(b->lo, &nest, lt_stmt_join(list, add_values(b)));
}

static Stmt *make_buffers(AttentionBlock *b) {
    const AttentionTile *tile = &b->tile;
    const DType dtype = tile->is_mma ? b->parts[VALUES].value->type->dtype : DT_F32;
    const int64_t gap = VECTOR_BYTES / (int64_t)lt_dtype_size(dtype);
    b->weights = local(b, BUFFER_SHARED, "exponentials", dtype, tile->rows, tile->columns + gap);
    b->scores =
        local(b, BUFFER_REGISTER, "scores", DT_F32, tile->own_rows, tile->columns / tile->mates);
    if (is_online(b))
        b->peak = local(b, BUFFER_REGISTER, "peak", DT_F32, tile->own_rows, 0);
    b->total = local(b, BUFFER_REGISTER, "total", DT_F32, tile->own_rows, 0);
    b->sums =
        local(b, BUFFER_REGISTER, "sums", DT_F32, tile->own_rows, tile->outputs / tile->mates);
    const Buffer *all[] = {b->parts[QUERIES].copy,
                           b->parts[KEYS].copy,
                           b->parts[VALUES].copy,
                           b->weights,
                           b->scores,
                           b->total,
                           b->sums,
                           b->peak};
    const size_t count = sizeof all / sizeof *all - !is_online(b);
    Stmt *list = NULL;
    for (size_t i = 0; i < count; i++)
        list = lt_stmt_join(list, lt_stmt_alloc(b->k, all[i]));
    return list;
}

/* Operands as they lie in memory, and what a thread has of the tile. */
static void plan(AttentionBlock *b) {
    static const char *const names[PARTS] = {"queries", "keys", "values"};
    const AttentionTile *tile = &b->tile;
    const Attention *a = b->of.a;
    const Dim *head = number(b, lt_attention_head_size(a));
    b->tiles = lt_dim_ceildiv(b->t, b->of.columns, number(b, tile->columns));
    b->threads = tile->rows / tile->own_rows * tile->mates;
    b->thread = loop_var(b, "x", b->threads);
    b->i = loop_var(b, "i", tile->own_rows);
    b->j = loop_var(b, "j", tile->columns / tile->mates);
    b->c = loop_var(b, "c", tile->outputs / tile->mates);
    b->group = tile->is_mma ? 2 : 1;
    while (!tile->is_mma && b->group < 4 && tile->outputs / tile->mates % (2 * b->group) == 0)
        b->group *= 2;
    b->parts[QUERIES] = (Part){.value = lt_input(a->scores, 0),
                               .lines = tile->rows,
                               .length = tile->fold,
                               .end = b->of.rows,
                               .size = head};
    b->parts[KEYS] = (Part){.value = lt_input(a->scores, 1),
                            .lines = tile->columns,
                            .length = tile->fold,
                            .end = b->of.columns,
                            .size = head};
    b->parts[VALUES] = (Part){.value = lt_input(a->sums, 1),
                              .lines = tile->columns,
                              .length = tile->outputs,
                              .end = b->of.columns,
                              .size = b->of.outputs};
    for (int i = 0; i < PARTS; i++)
        plan_part(b, i, names[i]);
}

bool lt_lower_attention_gpu(Lowering *lo) {
    AttentionBlock b = {.of = lt_attention_axes(lo), .lo = lo, .k = lo->k, .t = &lo->k->dims};
    LoopNest outer = {.count = 0};
    const char *error = lt_attention_tile(lo->attention, lo->ctx->target, &b.tile);
    if (error)
        return lt_lower_fail(lo, "%s", error);
    lt_attention_loops(&b.of, &outer);
    plan(&b);
    const Dim *by = number(&b, b.tile.rows);
    const Dim *q = lt_lower_full_loop(lo, &outer, "q", lt_dim_ceildiv(b.t, b.of.rows, by));
    b.first = lt_dim_mul(b.t, q, by);
    Stmt *body = make_buffers(&b);
    body = lt_stmt_join(body, in_threads(&b, fetch(&b, QUERIES, b.first)));
    body = lt_stmt_join(body, in_threads(&b, fetch(&b, KEYS, number(&b, 0))));
    body = lt_stmt_join(body, begin_sums(&b));
    body = lt_stmt_join(body, walk_tiles(&b));
    lo->k->class = KERNEL_ATTENTION;
    lo->k->body = lt_lower_nest(lo, &outer, lt_stmt_join(body, finish_sums(&b)));
    return !lo->failed;
}
