/* schedule_prefetch.c - `prefetch`: while a part of an input is used from the cache, the next part
 * is fetched from memory.
 *
 *   prefetch b P T K:  for P { for T { for K { ... vector v in V { ... b[P, K, v] ... } } } }
 * reads, inside of P, one part of b in each iteration of T. Spread evenly over them, the part of
 * the next iteration of P is asked for, the cache lines of one row each S steps of K:
 *   for P { for T { for K.0 { prefetch b[P + 1, (T * K.0' + K.0) * S floordiv T', 0]; ...
 *                             for K.1 in S { ... } } } }
 * where T' and K.0' are the extents of T and K.0, and S is the greatest power of two up to T' that
 * divides the extent of K. Where that is 1, K stays one loop. */
#include "ir/schedule.h"

#include <string.h>

enum { LINE_BYTES = 64, MOST_LINES = 8 };

typedef struct Prefetch {
    const Buffer *buffer;
    const Expr *load; /* the one of the buffer inside K */
    const Stmt *part, *repeat, *step;
} Prefetch;

static const Stmt *find_inside(const Kernel *k, const Stmt *around, const char *name) {
    Kernel probe = *k;
    probe.body = around ? around->u.loop.body : k->body;
    return lt_schedule_find(&probe, name);
}

/* The loop along a row: the vector loop whose variable moves the load. */
static const Stmt *row_loop(const Prefetch *p, const Stmt *list) {
    const Stmt *found = NULL;
    for (const Stmt *s = list; s && !found; s = s->next) {
        if (s->kind == STMT_IF)
            found = row_loop(p, s->u.branch.body);
        if (s->kind != STMT_FOR)
            continue;
        const bool moves = lt_expr_mentions(p->load, s->u.loop.var);
        found = moves && s->u.loop.kind == LOOP_VECTOR ? s : row_loop(p, s->u.loop.body);
    }
    return found;
}

static int64_t most_repeats(Kernel *k, const Prefetch *p) {
    int64_t lo, repeats;
    lt_dim_range(&k->dims, p->repeat->u.loop.extent, &lo, &repeats);
    return repeats;
}

/* Steps for one row that is asked for: all rows are, in T' * K' / S turns. */
static int64_t steps_for_row(Kernel *k, const Prefetch *p) {
    const int64_t repeats = most_repeats(k, p);
    int64_t steps = 1;
    while (2 * steps <= repeats && lt_dim_divisible(&k->dims, p->step->u.loop.extent, 2 * steps))
        steps *= 2;
    return steps;
}

/* One statement for each cache line of a row. `turn` is the loop over K, or over K.0. */
static Stmt *make_statements(Kernel *k, const Prefetch *p, const Stmt *row, const Stmt *turn,
                             int64_t steps) {
    DimTable *t = &k->dims;
    const Dim *turns =
        lt_dim_add(t, lt_dim_mul(t, p->repeat->u.loop.var, turn->u.loop.extent), turn->u.loop.var);
    const Dim **by = lt_schedule_substitution(k);
    by[p->part->u.loop.var->symbol] = lt_dim_add_const(t, p->part->u.loop.var, 1);
    by[p->step->u.loop.var->symbol] = lt_dim_floordiv(
        t, lt_dim_mul(t, turns, lt_dim_const(t, steps)), lt_dim_const(t, most_repeats(k, p)));
    const int64_t per_line = LINE_BYTES / (int64_t)lt_dtype_size(p->buffer->dtype);
    Stmt *list = NULL;
    for (int64_t v = 0; v < row->u.loop.extent->value; v += per_line) {
        const Dim *index[LT_MAX_RANK];
        by[row->u.loop.var->symbol] = lt_dim_const(t, v);
        for (int i = 0; i < p->buffer->rank; i++)
            index[i] = lt_dim_substitute(t, p->load->u.load.index[i], by);
        list = lt_stmt_join(list, lt_stmt_prefetch(k, p->buffer, index));
    }
    return list;
}

static const char *insert(Kernel *k, const Prefetch *p, const Stmt *row) {
    const int64_t steps = steps_for_row(k, p);
    const char *name = p->step->u.loop.var->name;
    if (steps > 1) {
        const char *error = lt_schedule_split(k, name, steps);
        if (error)
            return error;
        name = lt_arena_printf(k->arena, "%s.0", name);
    }
    Stmt *turn = lt_schedule_find(k, name);
    turn->u.loop.body = lt_stmt_join(make_statements(k, p, row, turn, steps), turn->u.loop.body);
    return NULL;
}

static const char *check(Kernel *k, const Prefetch *p, const char *buffer) {
    if (!p->buffer)
        return lt_arena_printf(k->arena, "prefetch: there is no input '%s'", buffer);
    if (!p->load)
        return lt_arena_printf(k->arena, "prefetch: '%s' is not read by exactly one expression",
                               buffer);
    const int64_t repeats = most_repeats(k, p);
    if (repeats < 1 || repeats > INT32_MAX)
        return lt_arena_printf(k->arena, "prefetch: the extent of '%s' has no bound",
                               p->repeat->u.loop.var->name);
    if (lt_expr_mentions(p->load, p->repeat->u.loop.var) ||
        !lt_expr_mentions(p->load, p->part->u.loop.var))
        return lt_arena_printf(k->arena, "prefetch: '%s' must move '%s', and '%s' must not",
                               p->part->u.loop.var->name, buffer, p->repeat->u.loop.var->name);
    return NULL;
}

const char *lt_schedule_prefetch(Kernel *k, const char *buffer, const char *const loops[3]) {
    Prefetch p = {.buffer = lt_schedule_input(k, buffer)};
    const Stmt *found[3], *around = NULL;
    for (int i = 0; i < 3; i++) {
        around = found[i] = find_inside(k, around, loops[i]);
        if (!around)
            return lt_arena_printf(k->arena, "there is no loop named '%s'%s%s", loops[i],
                                   i ? " inside " : "", i ? loops[i - 1] : "");
    }
    p.part = found[0];
    p.repeat = found[1];
    p.step = found[2];
    p.load = lt_schedule_only_load(k, p.step->u.loop.body, p.buffer);
    const char *error = check(k, &p, buffer);
    if (error)
        return error;
    const Stmt *row = row_loop(&p, p.step->u.loop.body);
    const int64_t bytes =
        row ? row->u.loop.extent->value * (int64_t)lt_dtype_size(p.buffer->dtype) : 0;
    if (!row || bytes > MOST_LINES * LINE_BYTES)
        return lt_arena_printf(k->arena, "prefetch: '%s' is not read in short rows", buffer);
    return insert(k, &p, row);
}
