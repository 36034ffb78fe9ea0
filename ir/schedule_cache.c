/* schedule_cache.c - `cache`: an accumulator becomes a tile, and the loops around it move inside
 * the fold.
 *
 *   for m.1 { for n.1 { alloc acc; acc = 0;  for k { acc = fma(a, b, acc) };  out = relu(acc) } }
 * becomes
 *   alloc tile[M1, N1]
 *   for m.1 { for n.1 { tile[m.1, n.1] = 0 } }
 *   for k { for m.1 { for n.1 { tile[m.1, n.1] = fma(a, b, tile[m.1, n.1]) } } }
 *   for m.1 { for n.1 { out = relu(tile[m.1, n.1]) } }
 *
 * Tail guards between the tile loops protect the final stage as they stand. The fold runs for the
 * whole tile: what it reads beyond the edge is never stored, so its loads are only made safe: an
 * index is clamped to the last valid position, or, along a vector loop, the load gets the guard as
 * its predicate. */
#include "ir/schedule.h"

#include <assert.h>
#include <string.h>

enum { MAX_TILE_LOOPS = 8, MAX_ACCUMULATORS = 4 };

typedef struct Tile {
    Kernel *kernel;
    int loop_count, guard_count, accumulator_count;
    Stmt *loops[MAX_TILE_LOOPS]; /* outermost first */
    const Dim *vars[MAX_TILE_LOOPS], *extents[MAX_TILE_LOOPS];
    const Expr *guards[MAX_TILE_LOOPS];
    const Buffer *accumulators[MAX_ACCUMULATORS], *tiles[MAX_ACCUMULATORS];
    Stmt *init, *fold, *rest; /* the three stages of the body, cut apart */
} Tile;

/* Each part of a conjunction is a guard of its own. */
static bool add_guards(Tile *t, const Expr *condition) {
    if (condition->kind == EXPR_CALL && condition->u.call.fn == FN_AND)
        return add_guards(t, condition->u.call.args[0]) && add_guards(t, condition->u.call.args[1]);
    if (t->guard_count == MAX_TILE_LOOPS)
        return false;
    t->guards[t->guard_count++] = condition;
    return true;
}

static bool is_guard(Tile *t, const Stmt *s) {
    bool plain = s && !s->next && s->kind == STMT_IF && !s->u.branch.otherwise;
    return plain && add_guards(t, s->u.branch.condition);
}

static const char *collect_loops(Tile *t, Stmt *s, const char *const *names, int count,
                                 Stmt **body) {
    Kernel *k = t->kernel;
    while (t->loop_count < count) {
        if (!s || s->next)
            return "cache: the loops are not directly nested";
        if (is_guard(t, s)) {
            s = s->u.branch.body;
            continue;
        }
        if (s->kind != STMT_FOR || strcmp(s->u.loop.var->name, names[t->loop_count]) != 0)
            return lt_arena_printf(k->arena, "cache: '%s' is not directly inside",
                                   names[t->loop_count]);
        if (!lt_dim_is_const(s->u.loop.extent))
            return lt_arena_printf(k->arena, "cache: '%s' has no constant extent",
                                   names[t->loop_count]);
        t->loops[t->loop_count] = s;
        t->vars[t->loop_count] = s->u.loop.var;
        t->extents[t->loop_count++] = s->u.loop.extent;
        s = s->u.loop.body;
    }
    while (is_guard(t, s))
        s = s->u.branch.body;
    *body = s;
    return NULL;
}

/* The body must read: alloc ..., stores of initial values, one loop that folds, the rest. */
static const char *cut_body(Tile *t, Stmt *s) {
    while (s && s->kind == STMT_ALLOC && s->u.alloc.buffer->kind == BUFFER_REGISTER) {
        if (t->accumulator_count == MAX_ACCUMULATORS)
            return "cache: too many accumulators";
        t->accumulators[t->accumulator_count++] = s->u.alloc.buffer;
        s = s->next;
    }
    if (t->accumulator_count == 0)
        return "cache: there is no accumulator inside";
    Stmt **tail = &t->init;
    while (s && s->kind == STMT_STORE) {
        *tail = s;
        tail = &s->next;
        s = s->next;
    }
    *tail = NULL;
    if (!t->init || !s || s->kind != STMT_FOR)
        return "cache: there is no folding loop inside";
    t->fold = s;
    t->rest = s->next;
    s->next = NULL;
    return NULL;
}

static void make_tiles(Tile *t) {
    Kernel *k = t->kernel;
    for (int i = 0; i < t->accumulator_count; i++) {
        const Buffer *from = t->accumulators[i];
        const Dim **dims = LT_ARRAY(k->arena, const Dim *, t->loop_count + from->rank + 1);
        for (int j = 0; j < t->loop_count; j++)
            dims[j] = t->extents[j];
        for (int j = 0; j < from->rank; j++)
            dims[t->loop_count + j] = from->dims[j];
        t->tiles[i] =
            lt_kernel_local(k, BUFFER_REGISTER, lt_arena_printf(k->arena, "%s.tile", from->name),
                            from->dtype, t->loop_count + from->rank, dims);
    }
}

static void use_tiles(Tile *t, Stmt *list) {
    for (int i = 0; i < t->accumulator_count; i++)
        lt_stmt_retarget(t->kernel, list, t->accumulators[i], t->tiles[i], t->vars, t->loop_count);
}

/* list inside the tile loops, all or only the first of them; variables are shared by the copies. */
static Stmt *in_tile_loops(Tile *t, Stmt *list) {
    for (int i = t->loop_count - 1; i >= 0; i--)
        list = lt_stmt_for(t->kernel, t->loops[i]->u.loop.kind, t->vars[i], t->extents[i], list);
    return list;
}

/* --- making the fold's loads safe ---------------------------------------------------------- */

/* The guard `position < bound` of one tile variable: position = var + rest. */
typedef struct TileGuard {
    const Expr *condition; /* position < bound */
    const Dim *position;
    const Dim *var;
    const Dim *last; /* greatest valid value of var: bound - 1 - rest */
} TileGuard;

static bool read_guard(Tile *t, const Expr *condition, TileGuard *out) {
    Kernel *k = t->kernel;
    if (condition->kind != EXPR_CALL || condition->u.call.fn != FN_LT)
        return false;
    const Dim *position = lt_expr_dim(k, condition->u.call.args[0]);
    const Dim *bound = lt_expr_dim(k, condition->u.call.args[1]);
    if (!position || !bound)
        return false;
    for (int i = t->loop_count - 1; i >= 0; i--) {
        const Dim *rest = lt_dim_sub(&k->dims, position, t->vars[i]);
        if (lt_dim_mentions(rest, t->vars[i]) || lt_dim_mentions(bound, t->vars[i]))
            continue;
        if (!lt_dim_mentions(position, t->vars[i]))
            continue;
        *out = (TileGuard){
            .condition = condition,
            .position = position,
            .var = t->vars[i],
            .last = lt_dim_add_const(&k->dims, lt_dim_sub(&k->dims, bound, rest), -1),
        };
        return true;
    }
    return false;
}

static bool index_is_safe(Kernel *k, const Dim *index, const Dim *extent) {
    int64_t lo, hi;
    lt_dim_range(&k->dims, index, &lo, &hi);
    if (lo < 0)
        return false;
    lt_dim_range(&k->dims, lt_dim_sub(&k->dims, extent, index), &lo, &hi);
    return lo >= 1;
}

typedef struct SafeLoads {
    Tile *tile;
    const TileGuard *guard;
    bool predicate;
    const Dim **substitution; /* var -> min(var, last) */
} SafeLoads;

/* The symbol is a term of the position, or a multiple of it is. */
static bool is_term(const Dim *position, const Dim *symbol) {
    bool found = position == symbol;
    const bool may_hold =
        position->kind == DIM_ADD || (position->kind == DIM_MUL && position->count == 1);
    for (uint32_t i = 0; i < position->count && may_hold && !found; i++)
        found = is_term(position->args[i], symbol);
    return found;
}

/* Where tiles are whole rows of an image, the number of a row does not mention the variable of the
 * tile, but others that are terms of the position. */
static bool goes_along(const Dim *d, const Dim *position) {
    if (d->kind == DIM_SYMBOL)
        return is_term(position, d);
    for (uint32_t i = 0; i < d->count; i++)
        if (goes_along(d->args[i], position))
            return true;
    return false;
}

/* The same, unless the index is the variable of a loop over just this extent. */
static bool follows(const Kernel *k, const TileGuard *guard, const Dim *d, const Dim *extent) {
    const bool walks_all =
        d->kind == DIM_SYMBOL && d->symbol < k->extents.len && k->extents.data[d->symbol] == extent;
    return !walks_all && goes_along(d, guard->position);
}

static const Expr *make_load_safe(Kernel *k, const Expr *e, void *user) {
    const SafeLoads *s = user;
    if (e->kind != EXPR_LOAD || e->u.load.buffer->kind > BUFFER_OUTPUT)
        return e;
    const Buffer *buffer = e->u.load.buffer;
    const Dim **index = LT_ARRAY(k->arena, const Dim *, buffer->rank + 1);
    bool changed = false, predicate = s->predicate;
    for (int i = 0; i < buffer->rank; i++) {
        const Dim *d = e->u.load.index[i];
        index[i] = d;
        const bool moves = lt_dim_mentions(d, s->guard->var);
        if ((!moves && !follows(k, s->guard, d, buffer->dims[i])) ||
            index_is_safe(k, d, buffer->dims[i]))
            continue;
        changed = true;
        predicate |= !moves;
        if (!predicate)
            index[i] = lt_dim_substitute(&k->dims, d, s->substitution);
    }
    if (!changed)
        return e;
    const Expr *condition = e->u.load.predicate;
    if (predicate)
        condition = lt_expr_and(k, condition, s->guard->condition);
    return lt_expr_load(k, buffer, index, condition);
}

/* A condition of the fold's own mentions the variable: under a clamped index it would be about
 * another position, so such loads take the guard as a predicate instead. */
static bool has_predicate(const Expr *e, const Dim *var) {
    if (e->kind == EXPR_LOAD)
        return e->u.load.predicate && lt_expr_mentions(e->u.load.predicate, var);
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        if (e->u.call.args[i] && has_predicate(e->u.call.args[i], var))
            return true;
    return false;
}

static bool is_conditional(const Stmt *updates, const Dim *var) {
    for (const Stmt *s = updates; s; s = s->next) {
        if (s->kind == STMT_IF &&
            (lt_expr_mentions(s->u.branch.condition, var) || is_conditional(s->u.branch.body, var)))
            return true;
        if (s->kind == STMT_FOR && is_conditional(s->u.loop.body, var))
            return true;
        if (s->kind == STMT_STORE && has_predicate(s->u.store.value, var))
            return true;
        if (s->kind == STMT_LET && has_predicate(s->u.let.value, var))
            return true;
    }
    return false;
}

static const char *guard_fold(Tile *t, Stmt *updates) {
    Kernel *k = t->kernel;
    for (int i = 0; i < t->guard_count; i++) {
        TileGuard guard;
        if (!read_guard(t, t->guards[i], &guard))
            return "cache: a condition around the tile is not a tail guard";
        SafeLoads s = {.tile = t, .guard = &guard};
        for (int j = 0; j < t->loop_count; j++)
            if (t->vars[j] == guard.var)
                s.predicate = t->loops[j]->u.loop.kind == LOOP_VECTOR;
        s.predicate |= is_conditional(updates, guard.var);
        s.substitution = lt_schedule_substitution(k);
        s.substitution[guard.var->symbol] = lt_dim_min(&k->dims, guard.var, guard.last);
        lt_stmt_map(k, updates, make_load_safe, &s);
    }
    return NULL;
}

/* --- the fold: tile loops go inside the last loop that no tile variable controls ----------- */

static bool mentions_tile_expr(const Tile *t, const Expr *e) {
    for (int i = 0; i < t->loop_count; i++)
        if (lt_expr_mentions(e, t->vars[i]))
            return true;
    return false;
}

static bool mentions_tile_dim(const Tile *t, const Dim *d) {
    for (int i = 0; i < t->loop_count; i++)
        if (lt_dim_mentions(d, t->vars[i]))
            return true;
    return false;
}

static const char *sink_tile_loops(Tile *t) {
    Stmt **link = &t->fold;
    for (;;) {
        Stmt *s = *link;
        bool single = s && !s->next;
        if (single && s->kind == STMT_FOR) {
            if (mentions_tile_dim(t, s->u.loop.extent))
                return "cache: a folding loop depends on the tile";
            link = &s->u.loop.body;
        } else if (single && s->kind == STMT_IF && !s->u.branch.otherwise &&
                   !mentions_tile_expr(t, s->u.branch.condition)) {
            link = &s->u.branch.body;
        } else {
            break;
        }
    }
    const char *error = guard_fold(t, *link);
    if (error)
        return error;
    use_tiles(t, *link);
    *link = in_tile_loops(t, *link);
    return NULL;
}

const char *lt_schedule_cache(Kernel *k, const char *const *loops, int count) {
    if (count > MAX_TILE_LOOPS)
        return "cache: too many loops";
    Stmt **link = lt_schedule_link(k, loops[0]);
    if (!link)
        return lt_arena_printf(k->arena, "there is no loop named '%s'", loops[0]);
    Stmt *first = *link, *after = first->next, *body = NULL;
    Tile t = {.kernel = k};
    first->next = NULL;
    const char *error = collect_loops(&t, first, loops, count, &body);
    if (!error)
        error = cut_body(&t, body);
    if (!error)
        make_tiles(&t);
    if (!error)
        error = sink_tile_loops(&t);
    if (error)
        return error;
    use_tiles(&t, t.init);
    use_tiles(&t, t.rest);
    Stmt *rest = t.rest;
    for (int i = t.guard_count - 1; i >= 0 && rest; i--)
        rest = lt_stmt_if(k, t.guards[i], rest, NULL);
    Stmt *result = NULL;
    for (int i = 0; i < t.accumulator_count; i++)
        result = lt_stmt_join(result, lt_stmt_alloc(k, t.tiles[i]));
    result = lt_stmt_join(result, in_tile_loops(&t, t.init));
    result = lt_stmt_join(result, t.fold);
    if (rest)
        result = lt_stmt_join(result, in_tile_loops(&t, rest));
    *link = lt_stmt_join(result, after);
    return NULL;
}
