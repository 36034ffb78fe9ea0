/* schedule_prefetch.c - `prefetch`: while a part of an input is used from the cache, the next part
 * is fetched from memory.
 *
 *   prefetch b P T K:  for P { for T { for K { ... vector v in V { ... b[P, K, v] ... } } } }
 * reads, inside of P, one part of b in each iteration of T. Spread evenly over them, the part of
 * the next iteration of P is asked for, one cache line of a row after the other:
 *   for P { for T { for K { prefetch b[P + 1, (T * K' + K) floordiv T', 0]; ... } } }
 * where T' and K' are the extents of T and K. */
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

/* One statement for each cache line of a row. */
static Stmt *make_statements(Kernel *k, const Prefetch *p, const Stmt *row) {
    DimTable *t = &k->dims;
    int64_t lo, repeats;
    lt_dim_range(t, p->repeat->u.loop.extent, &lo, &repeats);
    const Dim *steps = lt_dim_add(t, lt_dim_mul(t, p->repeat->u.loop.var, p->step->u.loop.extent),
                                  p->step->u.loop.var);
    const Dim **by = lt_schedule_substitution(k);
    by[p->part->u.loop.var->symbol] = lt_dim_add_const(t, p->part->u.loop.var, 1);
    by[p->step->u.loop.var->symbol] = lt_dim_floordiv(t, steps, lt_dim_const(t, repeats));
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

static const char *check(Kernel *k, const Prefetch *p, const char *buffer) {
    int64_t lo, repeats;
    if (!p->buffer)
        return lt_arena_printf(k->arena, "prefetch: there is no input '%s'", buffer);
    if (!p->load)
        return lt_arena_printf(k->arena, "prefetch: '%s' is not read by exactly one expression",
                               buffer);
    lt_dim_range(&k->dims, p->repeat->u.loop.extent, &lo, &repeats);
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
    Stmt *step = (Stmt *)p.step;
    step->u.loop.body = lt_stmt_join(make_statements(k, &p, row), step->u.loop.body);
    return NULL;
}
