/* schedule_share.c - `share`: a block of threads computes a tile of a sum of products from copies
 * of its factors in shared memory.
 *
 *   share k N m I n J:
 *     for m in M { for n in N { acc = 0;  for k { acc = fma(a[m, k], b[k, n], acc) };  rest } }
 * becomes
 *     alloc tile[I, J];  alloc a.share[M, N] shared;  alloc b.share[N, N] shared
 *     thread t { tile = 0 }
 *     for k.0 {
 *       thread t { a.share[..] = a[..] };  thread t { b.share[..] = b[..] };  barrier
 *       thread t { for k.1 in N { row[I] = a.share;  column[J] = b.share;  tile += row * column } }
 *       barrier
 *     }
 *     thread t { rest, of tile }
 *
 * A factor is copied as it lies in memory: the axis that it is contiguous along is the copy's last
 * one, and neighbouring threads copy neighbouring elements, several at once where they are aligned.
 * What lies beyond an edge, or where a condition of the fold does not hold, is 0 in the copy. A
 * factor that is computed is computed once for the block.
 *
 * A thread's rows are spread over the tile: groups of a few that are read at once lie next to those
 * of the next thread, so that threads which read at the same time use all banks. Rows of a copy
 * whose last axis is the fold are a group longer than they have to be for the same reason.
 *
 * With `mma` the products of 32 bytes of the fold are one loop that warps run on tensor cores,
 * and a thread's rows and columns are those that these leave it: of a tile of 16 x 8, two
 * neighbours in two rows that are 8 apart.
 *
 * With several stages there are so many copies of each factor: see ir/schedule_pipeline.c. */
#include "ir/schedule_share.h"

#include <stdlib.h>
#include <string.h>

enum { VECTOR_BYTES = 16, LEAST_BYTES = 4 };

static const char *base_name(Share *s, const char *name) {
    return lt_arena_strndup(s->k->arena, name, strcspn(name, "_."));
}

/* --- reading the nest ------------------------------------------------------------------------- */

static const char *read_loop(Share *s, Stmt **at, const char *name, int64_t own, Side *side) {
    Stmt *loop = *at;
    if (!loop || loop->next || loop->kind != STMT_FOR ||
        strcmp(loop->u.loop.var->name, name) != 0 || !lt_dim_is_const(loop->u.loop.extent))
        return lt_arena_printf(
            s->k->arena, "share: '%s' is not directly inside, or has no constant extent", name);
    side->var = loop->u.loop.var;
    side->extent = loop->u.loop.extent->value;
    side->own = own;
    if (own < 1 || side->extent % own)
        return lt_arena_printf(s->k->arena, "share: %lld does not divide the extent of '%s'",
                               (long long)own, name);
    *at = loop->u.loop.body;
    return NULL;
}

/* Both loops, and the conditions around what is in them. */
static const char *read_tile(Share *s, Stmt *at, const ShareSpec *spec) {
    const Expr *found[4] = {NULL, NULL, NULL, NULL};
    const Expr *guards[SIDES] = {NULL, NULL};
    int count = 0;
    const char *error = NULL;
    for (int i = 0; i <= SIDES && !error; i++) {
        while (i > 0 && at && at->kind == STMT_IF && !at->next && !at->u.branch.otherwise &&
               count < 4) {
            found[count++] = at->u.branch.condition;
            at = at->u.branch.body;
        }
        if (i < SIDES)
            error = read_loop(s, &at, spec->loops[i], spec->sizes[i], &s->sides[i]);
    }
    const Dim *vars[SIDES] = {s->sides[ROWS].var, s->sides[COLUMNS].var};
    for (int i = 0; i < count && !error; i++)
        error = lt_schedule_add_condition(s->k, found[i], vars, guards);
    if (!error)
        error = lt_schedule_products(s->k, at, vars[ROWS], vars[COLUMNS], &s->sum);
    for (int i = 0; i < SIDES; i++)
        s->sides[i].guard = guards[i];
    return error;
}

/* The loops around a piece. */
static void name_pieces(Share *s, const char *fold) {
    const char *name = lt_arena_printf(s->k->arena, "%s.0", fold);
    if (!lt_share_is_ahead(s)) {
        s->piece = lt_kernel_loop_var(s->k, name, s->pieces);
        return;
    }
    s->steps = s->pieces;
    for (int i = 0; i + 1 < s->sum.fold_count; i++)
        s->steps = lt_dim_mul(s->t, s->steps, s->sum.folds[i]->u.loop.extent);
    s->step = lt_kernel_loop_var(s->k, name, s->steps);
    s->piece = s->sum.fold_count > 1 ? lt_dim_mod(s->t, s->step, s->pieces) : s->step;
}

static const char *read_how(Share *s, const ShareSpec *spec) {
    enum { MOST_STAGES = 8 };
    s->stages = 1;
    for (int i = 0; i < spec->how_count; i++) {
        const char *word = spec->how[i];
        s->is_wgmma |= strcmp(word, "wgmma") == 0;
        s->is_quads |= strcmp(word, "quads") == 0;
        s->is_mma |= s->is_wgmma || s->is_quads || strcmp(word, "mma") == 0;
        if (strcmp(word, "double") == 0)
            s->stages = 2;
        else if (word[0] >= '2' && word[0] <= '0' + MOST_STAGES && !word[1])
            s->stages = word[0] - '0';
        else if (strcmp(word, "double") != 0 && strcmp(word, "mma") != 0 &&
                 strcmp(word, "wgmma") != 0 && strcmp(word, "quads") != 0)
            return lt_arena_printf(s->k->arena, "share: '%s' is no way to do it", word);
    }
    return NULL;
}

static const char *read_fold(Share *s, const ShareSpec *spec) {
    const Stmt *inner = s->sum.folds[s->sum.fold_count - 1];
    if (strcmp(inner->u.loop.var->name, spec->fold) != 0)
        return lt_arena_printf(s->k->arena, "share: '%s' is not the innermost folding loop",
                               spec->fold);
    const Dim *n = number(s, spec->piece);
    s->fold = inner->u.loop.var;
    s->extent = inner->u.loop.extent;
    s->pieces = lt_dim_ceildiv(s->t, s->extent, n);
    name_pieces(s, spec->fold);
    s->within = lt_kernel_loop_var(s->k, lt_arena_printf(s->k->arena, "%s.1", spec->fold),
                                   s->is_mma ? number(s, spec->piece / s->mma_fold) : n);
    const int64_t rows = s->sides[ROWS].extent / s->sides[ROWS].own;
    const int64_t columns = s->sides[COLUMNS].extent / s->sides[COLUMNS].own;
    if (rows > LT_MAX_THREADS || columns > LT_MAX_THREADS || rows * columns > LT_MAX_THREADS)
        return "share: the tile takes more threads than a block has";
    s->threads = rows * columns;
    return NULL;
}

/* --- how a factor is copied ------------------------------------------------------------------- */

/* The first load of a parameter that goes along the symbol, or NULL. */
static const Expr *load_along(const Expr *e, const Dim *symbol) {
    const Expr *found = NULL;
    if (e->kind == EXPR_LOAD)
        return e->u.load.buffer->kind <= BUFFER_OUTPUT && lt_expr_mentions(e, symbol) ? e : NULL;
    for (int i = 0; i < 3 && lt_expr_has_args(e) && !found; i++)
        if (e->u.call.args[i])
            found = load_along(e->u.call.args[i], symbol);
    return found;
}

static const Dim *flat_index(Share *s, const Expr *load) {
    return lt_buffer_flat(s->t, load->u.load.buffer, load->u.load.index);
}

/* How far apart neighbours lie in memory at the beginning of all loops; extents that are not known
 * are taken to be UNKNOWN. */
static int64_t distance(Share *s, const Expr *value, const Dim *symbol) {
    enum { UNKNOWN = 64 };
    const Expr *load = load_along(value, symbol);
    if (!load)
        return INT64_MAX;
    const Dim *flat = flat_index(s, load);
    int64_t *at = LT_ARRAY(s->k->arena, int64_t, s->t->symbols.len);
    for (size_t i = 0; i < s->k->ints.len; i++)
        at[s->k->ints.data[i]->symbol] = UNKNOWN;
    const int64_t here = lt_dim_eval(flat, at);
    at[symbol->symbol] = 1;
    return llabs(lt_dim_eval(flat, at) - here);
}

/* d is symbol + rest, where n divides the rest. */
static bool is_aligned(Share *s, const Dim *d, const Dim *symbol, int64_t n) {
    const Dim *rest = lt_dim_sub(s->t, d, symbol);
    return !lt_dim_mentions(rest, symbol) && lt_dim_divisible(s->t, rest, n);
}

/* The condition is the same for n neighbours along the symbol. */
static bool is_even(Share *s, const Expr *condition, const Dim *symbol, int64_t n) {
    if (!condition || !lt_expr_mentions(condition, symbol))
        return true;
    if (condition->kind != EXPR_CALL)
        return false;
    const Expr *const *args = condition->u.call.args;
    if (condition->u.call.fn == FN_AND)
        return is_even(s, args[0], symbol, n) && is_even(s, args[1], symbol, n);
    const Dim *a = condition->u.call.fn == FN_LT ? lt_expr_dim(s->k, args[0]) : NULL;
    const Dim *b = a ? lt_expr_dim(s->k, args[1]) : NULL;
    return b && is_aligned(s, a, symbol, n) && !lt_dim_mentions(b, symbol) &&
           lt_dim_divisible(s->t, b, n);
}

static int64_t vector_of(Share *s, const Side *side) {
    const Expr *load = side->value;
    const Dim *along = side->folds_last ? s->fold : side->var;
    const int64_t size = (int64_t)lt_dtype_size(load->dtype);
    const int64_t extent = side->folds_last ? s->size : side->extent;
    if (load->kind != EXPR_LOAD || load->u.load.buffer->kind > BUFFER_OUTPUT)
        return 1;
    const Dim *flat = flat_index(s, load);
    for (int64_t n = VECTOR_BYTES / size; n > 1 && n * size >= LEAST_BYTES; n /= 2)
        if (extent % n == 0 && is_aligned(s, flat, along, n) &&
            is_even(s, side->condition, along, n) &&
            (!side->folds_last || lt_dim_divisible(s->t, s->extent, n)))
            return n;
    return 1;
}

/* Conversions to something wider are left for later: the copy is smaller. So is what rounds to
 * tf32: the copy can be fetched. */
static void read_value(Share *s, Side *side, const Expr *factor, const Expr *condition) {
    side->value = factor;
    side->condition = lt_expr_and(s->k, side->guard, condition);
    const bool is_tf32 = lt_is_tf32(factor);
    const Expr *from = is_tf32 || factor->kind == EXPR_CONVERT ? factor->u.call.args[0] : NULL;
    if (from && (is_tf32 || lt_dtype_size(from->dtype) < lt_dtype_size(factor->dtype))) {
        side->cast = factor;
        side->value = from;
    }
}

static void plan_side(Share *s, Side *side) {
    side->folds_last = distance(s, side->value, s->fold) < distance(s, side->value, side->var);
    side->vector = vector_of(s, side);
    side->group = 1;
    const int64_t most = VECTOR_BYTES / (int64_t)lt_dtype_size(side->value->dtype);
    while (!side->folds_last && !s->is_mma && side->own % (2 * side->group) == 0 &&
           2 * side->group <= most)
        side->group *= 2;
}

static void make_buffers(Share *s, Side *side, const char *held) {
    Kernel *k = s->k;
    const Expr *load = load_along(side->value, side->var);
    const char *name = load ? load->u.load.buffer->name : "factor";
    const int64_t most = VECTOR_BYTES / (int64_t)lt_dtype_size(side->value->dtype);
    /* What tensor cores take of each row, and of no more than 8 rows, is in banks of its own. */
    const int64_t apart = !side->folds_last && most == VECTOR_BYTES / 4 ? 2 * most : most;
    const int64_t gap = s->is_mma ? apart : side->folds_last ? side->vector : 0;
    const int64_t row = (side->folds_last ? s->size : side->extent) + gap;
    const bool is_ahead = lt_share_is_ahead(s);
    const Dim *dims[4] = {number(s, s->stages),
                          number(s, side->folds_last ? side->extent : s->size), number(s, row)};
    if (s->is_wgmma)
        lt_share_swizzled_extents(s, side, dims + 1);
    Buffer *copy =
        lt_kernel_local(k, BUFFER_SHARED, lt_arena_printf(k->arena, "%s.share", name),
                        side->value->dtype, (s->is_wgmma ? 3 : 2) + is_ahead, dims + !is_ahead);
    copy->is_swizzled = s->is_wgmma;
    side->copy = copy;
    const Dim *own[1] = {number(s, side->own)};
    if (s->is_mma)
        return;
    side->held = lt_kernel_local(k, BUFFER_REGISTER, held, s->sum.sum->dtype, 1, own);
}

/* Of the copy that a step has, where there are several: lane elements, less than a vector, behind
 * the inner position. */
static const Dim *const *copy_index(Share *s, const Side *side, const Dim *outer, const Dim *inner,
                                    const Dim *lane) {
    const Dim *index[4] = {NULL, outer, inner};
    const bool is_ahead = lt_share_is_ahead(s);
    if (is_ahead)
        index[0] = lt_dim_mod(s->t, s->step, number(s, s->stages));
    if (s->is_wgmma)
        lt_share_swizzled_index(s, side, outer, inner, index + 1);
    const int last = s->is_wgmma ? 3 : 2;
    index[last] = lt_dim_add(s->t, index[last], lane);
    return (const Dim *const *)lt_arena_copy(s->k->arena, index, sizeof index) + !is_ahead;
}

/* --- filling the copies ----------------------------------------------------------------------- */

const Expr *lt_share_load_where(Kernel *k, const Expr *e, void *condition) {
    if (e->kind != EXPR_LOAD || e->u.load.buffer->kind > BUFFER_OUTPUT)
        return e;
    return lt_expr_load(k, e->u.load.buffer, e->u.load.index,
                        lt_expr_and(k, e->u.load.predicate, condition));
}

static const Expr *zero_of(Kernel *k, DType dtype) {
    return lt_dtype_is_float(dtype) ? lt_expr_float(k, dtype, 0) : lt_expr_int(k, dtype, 0);
}

/* The value where the condition holds, else 0, and no load out of range. */
static const Expr *guarded_value(Share *s, const Side *side, const Dim *const *by,
                                 const Dim *const *first) {
    Kernel *k = s->k;
    const Expr *value = lt_expr_substitute(k, side->value, by, NULL);
    const Expr *condition =
        side->condition ? lt_expr_substitute(k, side->condition, first, NULL) : NULL;
    if (!lt_dim_divisible(s->t, s->extent, s->size))
        condition = lt_expr_and(k, condition, lt_expr_less(k, first[s->fold->symbol], s->extent));
    if (!condition || lt_expr_is_const_bool(condition, true))
        return value;
    value = lt_expr_map(k, value, lt_share_load_where, (void *)(uintptr_t)condition);
    return value->kind == EXPR_LOAD
               ? value
               : lt_expr_call(k, FN_SELECT, condition, value, zero_of(k, value->dtype));
}

/* The folding loops around K, where a step stands for all of them. */
static const Dim **place_folds(Share *s) {
    const Dim **by = lt_schedule_substitution(s->k);
    const Dim *rest = lt_share_is_ahead(s) ? lt_dim_floordiv(s->t, s->step, s->pieces) : NULL;
    for (int i = s->sum.fold_count - 2; i >= 0 && rest; i--) {
        const Dim *extent = s->sum.folds[i]->u.loop.extent;
        by[s->sum.folds[i]->u.loop.var->symbol] = i ? lt_dim_mod(s->t, rest, extent) : rest;
        rest = lt_dim_floordiv(s->t, rest, extent);
    }
    return by;
}

/* What is only moved, in parts of 4 bytes or more, may come on its own. */
static bool fetches(const Share *s, const Side *side) {
    return lt_share_is_ahead(s) && side->value->kind == EXPR_LOAD &&
           side->value->u.load.buffer->kind <= BUFFER_OUTPUT &&
           side->vector * (int64_t)lt_dtype_size(side->value->dtype) >= LEAST_BYTES;
}

/* Threads copy vectors one after the other. */
static Stmt *fill(Share *s, const Side *side) {
    Kernel *k = s->k;
    DimTable *t = s->t;
    const char *axis = base_name(s, side->var->name), *fold = base_name(s, s->fold->name);
    const int64_t width = (side->folds_last ? s->size : side->extent) / side->vector;
    const int64_t chunks = width * (side->folds_last ? side->extent : s->size);
    const int64_t turns = (chunks + s->threads - 1) / s->threads;
    const char *name = side->folds_last ? lt_arena_printf(k->arena, "%s_%s", axis, fold)
                                        : lt_arena_printf(k->arena, "%s_%s", fold, axis);
    const Dim *thread = lt_kernel_loop_var(k, name, number(s, s->threads));
    const Dim *turn = turns > 1 ? lt_kernel_loop_var(k, "turn", number(s, turns)) : number(s, 0);
    const LoopKind kind = fetches(s, side) ? LOOP_FETCH : LOOP_VECTOR;
    const bool has_lanes = side->vector > 1 || kind == LOOP_FETCH;
    const Dim *lane =
        has_lanes ? lt_kernel_loop_var(k, "lane", number(s, side->vector)) : number(s, 0);
    const Dim *chunk = lt_dim_add(t, lt_dim_mul_const(t, turn, s->threads), thread);
    const Dim *outer = lt_dim_floordiv(t, chunk, number(s, width));
    const Dim *begin = lt_dim_mul_const(t, lt_dim_mod(t, chunk, number(s, width)), side->vector);
    const Dim *inner = lt_dim_add(t, begin, lane), *start = lt_dim_mul_const(t, s->piece, s->size);
    const Dim **by = place_folds(s), **first = place_folds(s);
    by[s->fold->symbol] = lt_dim_add(t, start, side->folds_last ? inner : outer);
    by[side->var->symbol] = side->folds_last ? outer : inner;
    first[s->fold->symbol] = lt_dim_add(t, start, side->folds_last ? begin : outer);
    first[side->var->symbol] = side->folds_last ? outer : begin;
    Stmt *list = lt_stmt_store(k, side->copy, copy_index(s, side, outer, begin, lane),
                               guarded_value(s, side, by, first));
    if (has_lanes)
        list = lt_stmt_for(k, kind, lane, number(s, side->vector), list);
    if (chunks % s->threads)
        list = lt_stmt_if(k, lt_expr_less(k, chunk, number(s, chunks)), list, NULL);
    if (turns > 1)
        list = lt_stmt_for(k, LOOP_UNROLL, turn, number(s, turns), list);
    return lt_stmt_for(k, LOOP_THREAD, thread, number(s, s->threads), list);
}

/* --- what a thread computes ------------------------------------------------------------------- */

Stmt *lt_share_in_threads(Share *s, Stmt *list) {
    return lt_stmt_for(s->k, LOOP_THREAD, s->thread, number(s, s->threads), list);
}

/* row * group + i: groups of neighbours, and then those of the next thread. */
static void place_thread(Share *s, Side *side) {
    DimTable *t = s->t;
    const int64_t threads = side->extent / side->own;
    const Dim *group = number(s, side->group);
    const Dim *far =
        lt_dim_mul_const(t, lt_dim_floordiv(t, side->own_var, group), side->group * threads);
    const Dim *near = lt_dim_mod(t, side->own_var, group);
    const Dim *own = lt_dim_mul_const(t, side->number, side->group);
    side->at = lt_dim_add(t, lt_dim_add(t, own, far), near);
}

static void make_threads(Share *s) {
    Kernel *k = s->k;
    const char *names[SIDES] = {"i", "j"};
    s->thread = lt_kernel_loop_var(k,
                                   lt_arena_printf(k->arena, "%s.0_%s.0", s->sides[ROWS].var->name,
                                                   s->sides[COLUMNS].var->name),
                                   number(s, s->threads));
    const Dim *across = number(s, s->sides[COLUMNS].extent / s->sides[COLUMNS].own);
    s->sides[ROWS].number = lt_dim_floordiv(s->t, s->thread, across);
    s->sides[COLUMNS].number = lt_dim_mod(s->t, s->thread, across);
    const Dim *dims[SIDES];
    for (int i = 0; i < SIDES; i++) {
        dims[i] = number(s, s->sides[i].own);
        s->sides[i].own_var = lt_kernel_loop_var(k, names[i], dims[i]);
    }
    s->tile =
        lt_kernel_local(k, BUFFER_REGISTER, lt_arena_printf(k->arena, "%s.tile", s->sum.sum->name),
                        s->sum.sum->dtype, SIDES, dims);
}

/* For each of a thread's rows, or columns. */
static Stmt *along(Share *s, const Side *side, Stmt *list) {
    return lt_stmt_for(s->k, LOOP_UNROLL, side->own_var, number(s, side->own), list);
}

static Stmt *at_own_position(Share *s, const Stmt *list) {
    const Dim **by = lt_schedule_substitution(s->k);
    for (int i = 0; i < SIDES; i++)
        by[s->sides[i].var->symbol] = s->sides[i].at;
    return lt_stmt_copy(s->k, list, by, NULL);
}

static const Dim *const *own_index(Share *s) {
    const Dim *index[SIDES] = {s->sides[ROWS].own_var, s->sides[COLUMNS].own_var};
    return lt_arena_copy(s->k->arena, index, sizeof index);
}

/* For each element of the thread's tile that is one of the result, where that matters. */
static Stmt *for_own(Share *s, Stmt *list, bool is_guarded) {
    for (int i = COLUMNS; i >= ROWS; i--) {
        if (is_guarded && s->sides[i].guard)
            list = lt_stmt_if(s->k, s->sides[i].guard, list, NULL);
        list = along(s, &s->sides[i], list);
    }
    return lt_share_in_threads(s, at_own_position(s, list));
}

static Stmt *clear_tile(Share *s) {
    const Expr *begin = s->sum.begin;
    return for_own(s, lt_stmt_store(s->k, s->tile, own_index(s), begin), begin->kind != EXPR_CONST);
}

/* What the thread multiplies, out of the copy. */
const Expr *lt_share_copied(Share *s, const Side *side, const Dim *within) {
    Kernel *k = s->k;
    const Dim *zero = number(s, 0);
    const Dim *const *index = side->folds_last ? copy_index(s, side, side->at, within, zero)
                                               : copy_index(s, side, within, side->at, zero);
    const Expr *value = lt_expr_load(k, side->copy, index, NULL);
    return side->cast ? lt_expr_cast_like(k, side->cast, value) : value;
}

Stmt *lt_share_update(Share *s, const Expr *const *factors) {
    const Dim *const *index = own_index(s);
    const Expr *sum = lt_expr_load(s->k, s->tile, index, NULL);
    Stmt *list = lt_stmt_store(s->k, s->tile, index,
                               lt_expr_call(s->k, FN_FMA, factors[ROWS], factors[COLUMNS], sum));
    return along(s, &s->sides[ROWS], along(s, &s->sides[COLUMNS], list));
}

static Stmt *multiply(Share *s) {
    Kernel *k = s->k;
    const Side *sides = s->sides;
    const Expr *factors[SIDES];
    Stmt *list = NULL;
    for (int i = 0; i < SIDES; i++)
        list = lt_stmt_join(list, lt_stmt_alloc(k, sides[i].held));
    for (int i = 0; i < SIDES; i++) {
        Stmt *hold = lt_stmt_store(k, sides[i].held, &sides[i].own_var,
                                   lt_share_copied(s, &sides[i], s->within));
        list = lt_stmt_join(list, along(s, &sides[i], hold));
        factors[i] = lt_expr_load(k, sides[i].held, &own_index(s)[i], NULL);
    }
    list = lt_stmt_join(list, lt_share_update(s, factors));
    return lt_share_in_threads(s, lt_stmt_for(k, LOOP_UNROLL, s->within, number(s, s->size), list));
}

Stmt *lt_share_multiply(Share *s) {
    return s->is_wgmma ? lt_share_multiply_in_warpgroups(s)
           : s->is_mma ? lt_share_multiply_in_warps(s)
                       : multiply(s);
}

Stmt *lt_share_fill(Share *s) {
    Stmt *list = NULL;
    for (int i = 0; i < SIDES; i++)
        list = lt_stmt_join(list, fill(s, &s->sides[i]));
    return list;
}

/* Whether n of a thread's neighbours in a row are stored beside each other, at a multiple of n
 * elements, all or none. */
static bool stores_neighbours(Share *s, const Stmt *list, int64_t n) {
    const Side *columns = &s->sides[COLUMNS];
    for (; list; list = list->next) {
        if (list->kind != STMT_STORE || list->u.store.buffer->kind > BUFFER_OUTPUT)
            return false;
        const Dim *flat = lt_buffer_flat(s->t, list->u.store.buffer, list->u.store.index);
        if (!is_aligned(s, flat, columns->var, n))
            return false;
    }
    return n > 1 && is_even(s, columns->guard, columns->var, n);
}

/* A thread's columns, with n neighbours in a loop of their own: they may be stored at once. */
static Stmt *for_neighbours(Share *s, Stmt *list, int64_t n) {
    Kernel *k = s->k;
    const Side *columns = &s->sides[COLUMNS];
    const Dim *count = number(s, columns->own / n), *among = number(s, n);
    const bool is_one = lt_dim_is(count, 1);
    const Dim *group = is_one ? number(s, 0) : lt_kernel_loop_var(k, "group", count);
    const Dim *v = lt_kernel_loop_var(k, "v", among), **by = lt_schedule_substitution(k);
    const Dim *first = lt_dim_mul_const(s->t, group, n);
    by[columns->own_var->symbol] = first;
    const Dim *at = lt_dim_substitute(s->t, columns->at, by);
    by[columns->own_var->symbol] = NULL;
    by[columns->var->symbol] = columns->at;
    list = lt_stmt_copy(k, list, by, NULL);
    list = lt_stmt_replace_var(k, list, columns->own_var, lt_dim_add(s->t, first, v));
    list = lt_stmt_for(k, LOOP_UNROLL, v, among, list);
    by[columns->var->symbol] = at;
    if (columns->guard)
        list = lt_stmt_if(k, lt_expr_substitute(k, columns->guard, by, NULL), list, NULL);
    return is_one ? list : lt_stmt_for(k, LOOP_UNROLL, group, count, list);
}

static Stmt *finish(Share *s) {
    enum { MMA_NEIGHBOURS = 2 };
    const Side *rows = &s->sides[ROWS];
    const int64_t n = s->is_mma ? MMA_NEIGHBOURS : s->sides[COLUMNS].group;
    Stmt *list = s->sum.rest;
    lt_stmt_retarget(s->k, list, s->sum.sum, s->tile, own_index(s), SIDES);
    if (!stores_neighbours(s, list, n))
        return for_own(s, list, true);
    list = for_neighbours(s, list, n);
    if (rows->guard)
        list = lt_stmt_if(s->k, rows->guard, list, NULL);
    return lt_share_in_threads(s, at_own_position(s, along(s, rows, list)));
}

const char *lt_schedule_share(Kernel *k, const ShareSpec *spec) {
    static const char *const held[SIDES] = {"row", "column"};
    Share s = {.k = k, .t = &k->dims, .size = spec->piece};
    Stmt **link = lt_schedule_link(k, spec->loops[ROWS]);
    if (!link)
        return lt_arena_printf(k->arena, "there is no loop named '%s'", spec->loops[ROWS]);
    if (spec->piece < 1)
        return "share: a piece of the fold has no elements";
    const char *error = read_how(&s, spec);
    if (!error)
        error = read_tile(&s, *link, spec);
    for (int i = 0; i < SIDES && !error; i++)
        read_value(&s, &s.sides[i], s.sum.factors[i], s.sum.conditions[i]);
    if (!error && s.is_mma)
        error = s.is_quads   ? lt_share_check_quads(&s)
                : s.is_wgmma ? lt_share_check_wgmma(&s)
                             : lt_share_check_mma(&s);
    if (!error)
        error = read_fold(&s, spec);
    if (error)
        return error;
    make_threads(&s);
    Stmt *list = lt_stmt_alloc(k, s.tile);
    for (int i = 0; i < SIDES; i++) {
        plan_side(&s, &s.sides[i]);
        make_buffers(&s, &s.sides[i], held[i]);
        if (!s.is_mma)
            place_thread(&s, &s.sides[i]);
        list = lt_stmt_join(list, lt_stmt_alloc(k, s.sides[i].copy));
    }
    if (s.is_quads)
        lt_share_place_quads(&s);
    else if (s.is_mma)
        lt_share_place_lanes(&s);
    list = lt_stmt_join(list, clear_tile(&s));
    list = lt_stmt_join(list, lt_share_fold(&s));
    *link = lt_stmt_join(list, finish(&s));
    return NULL;
}
