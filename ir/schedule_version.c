/* schedule_version.c - `version` and `peel`: a loop whose conditions hold for most of its
 * iterations runs those without them; `unswitch`: it runs only where they hold.
 *
 *   version K:   for K in 3 { if (-1 < i + K - 1 and i + K - 1 < n) { ... } }
 * becomes
 *   if (-1 < i - 1 and i + 1 < n) { for K in 3 { ... } }
 *   else { for K in 3 { if (-1 < i + K - 1 and i + K - 1 < n) { ... } } }
 *
 *   peel L:      for L in n { ... if (-1 < L + k - 1 and L + k - 1 < n) { ... } }
 * becomes three loops, L.lo over the first iterations, L.in over those in which the condition holds
 * for every k, and does not stand there any more, and L.hi over the rest.
 *
 *   unswitch L:  for L in n { if (a and b[L]) { ... } }
 * becomes
 *   if (a) { for L in n { if (b[L]) { ... } } }
 *
 * Conditions of the first two are orders of indices, each of which is asked for where it is hardest
 * to meet. */
#include "ir/schedule.h"

#include <string.h>

enum { MOST_VARS = 16 };

typedef struct Version {
    Kernel *kernel;
    const Stmt *loops[MOST_VARS]; /* the loop and those inside it */
    int loop_count;
    const Expr *all;    /* version: the conditions at their corners; NULL: none yet */
    const Stmt *peeled; /* peel: the loop, and its iterations for which the conditions hold */
    const Dim *begin, *end;
    const char *error;
} Version;

/* The greatest that d gets inside the loops; NULL: it is not known where. */
static const Dim *greatest(Version *v, const Dim *d) {
    DimTable *t = &v->kernel->dims;
    for (int i = 0; i < v->loop_count; i++) {
        const Dim *var = v->loops[i]->u.loop.var, **by = lt_schedule_substitution(v->kernel);
        if (!lt_dim_mentions(d, var))
            continue;
        const Dim *step = lt_dim_step(v->kernel, d, var);
        if (!lt_dim_is_const(step))
            return NULL;
        by[var->symbol] = step->value > 0 ? lt_dim_add_const(t, v->loops[i]->u.loop.extent, -1)
                                          : lt_dim_const(t, 0);
        d = lt_dim_substitute(t, d, by);
    }
    for (int i = 0; i < v->loop_count; i++)
        if (lt_dim_mentions(d, v->loops[i]->u.loop.var))
            return NULL;
    return d;
}

/* Iterations of the peeled loop for which most < 0: step * L + rest < 0. */
static bool narrow(Version *v, const Dim *most) {
    DimTable *t = &v->kernel->dims;
    const Dim *var = v->peeled->u.loop.var, **by = lt_schedule_substitution(v->kernel);
    const Dim *step = lt_dim_step(v->kernel, most, var);
    by[var->symbol] = lt_dim_const(t, 0);
    const Dim *rest = lt_dim_substitute(t, most, by);
    if (!lt_dim_is_const(step) || step->value == 0)
        return false;
    const Dim *by_step = lt_dim_const(t, step->value > 0 ? step->value : -step->value);
    if (step->value > 0)
        v->end = lt_dim_min(t, v->end, lt_dim_ceildiv(t, lt_dim_mul_const(t, rest, -1), by_step));
    else
        v->begin =
            lt_dim_max(t, v->begin, lt_dim_add_const(t, lt_dim_floordiv(t, rest, by_step), 1));
    return true;
}

static void add_condition(Version *v, const Expr *e) {
    Kernel *k = v->kernel;
    if (e->kind == EXPR_CALL && e->u.call.fn == FN_AND) {
        add_condition(v, e->u.call.args[0]);
        add_condition(v, e->u.call.args[1]);
        return;
    }
    if (v->peeled && !lt_expr_mentions(e, v->peeled->u.loop.var))
        return;
    const bool is_order = e->kind == EXPR_CALL && e->u.call.fn == FN_LT;
    const Dim *a = is_order ? lt_expr_dim(k, e->u.call.args[0]) : NULL;
    const Dim *b = is_order ? lt_expr_dim(k, e->u.call.args[1]) : NULL;
    const Dim *most = a && b ? greatest(v, lt_dim_sub(&k->dims, a, b)) : NULL;
    if (!most || (v->peeled && !narrow(v, most)))
        v->error = "version, peel: a condition is no order of indices that grow steadily";
    else if (!v->peeled)
        v->all = lt_expr_and(k, v->all, lt_expr_less(k, most, lt_dim_const(&k->dims, 0)));
}

static void read_list(Version *v, const Stmt *list);

static void read_loop(Version *v, const Stmt *s) {
    for (int i = 0; i < v->loop_count; i++)
        if (lt_dim_mentions(s->u.loop.extent, v->loops[i]->u.loop.var))
            v->error = "version, peel: the extent of an inner loop depends on another one";
    if (v->loop_count == MOST_VARS)
        v->error = "version, peel: too many loops";
    if (v->error)
        return;
    v->loops[v->loop_count++] = s;
    read_list(v, s->u.loop.body);
}

static void read_list(Version *v, const Stmt *list) {
    for (const Stmt *s = list; s && !v->error; s = s->next) {
        if (s->kind == STMT_FOR)
            read_loop(v, s);
        if (s->kind == STMT_LET)
            v->error = "version, peel: there is a let inside";
        if (s->kind != STMT_IF)
            continue;
        if (s->u.branch.otherwise)
            v->error = "version, peel: a condition has another way";
        else
            add_condition(v, s->u.branch.condition);
        read_list(v, s->u.branch.body);
    }
}

/* The list without its conditions, in place. */
static Stmt *unconditional(Stmt *list) {
    Stmt *first = NULL;
    for (Stmt *s = list, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        if (s->kind == STMT_FOR)
            s->u.loop.body = unconditional(s->u.loop.body);
        first = lt_stmt_join(first, s->kind == STMT_IF ? unconditional(s->u.branch.body) : s);
    }
    return first;
}

const char *lt_schedule_version(Kernel *k, const char *loop) {
    Stmt **link = lt_schedule_link(k, loop);
    Version v = {.kernel = k};
    if (!link)
        return lt_arena_printf(k->arena, "there is no loop named '%s'", loop);
    Stmt *s = *link, *after = s->next;
    read_loop(&v, s);
    if (!v.error && !v.all)
        v.error = lt_arena_printf(k->arena, "version: there is no condition inside '%s'", loop);
    if (v.error)
        return v.error;
    s->next = NULL;
    Stmt *plain = unconditional(lt_stmt_copy(k, s, NULL, NULL));
    *link = lt_stmt_if(k, v.all, plain, s);
    (*link)->loc = s->loc;
    (*link)->next = after;
    return NULL;
}

/* --- peel ------------------------------------------------------------------------------------- */

/* The parts of a conjunction that mention the variable, or those that do not; NULL: none. */
static const Expr *parts(Kernel *k, const Expr *e, const Dim *var, bool that_mention) {
    if (e->kind == EXPR_CALL && e->u.call.fn == FN_AND)
        return lt_expr_and(k, parts(k, e->u.call.args[0], var, that_mention),
                           parts(k, e->u.call.args[1], var, that_mention));
    return lt_expr_mentions(e, var) == that_mention ? e : NULL;
}

/* The list without conditions on the variable, in place. */
static Stmt *freed(Kernel *k, Stmt *list, const Dim *var) {
    Stmt *first = NULL;
    for (Stmt *s = list, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        if (s->kind == STMT_FOR)
            s->u.loop.body = freed(k, s->u.loop.body, var);
        if (s->kind == STMT_IF) {
            const Expr *rest = parts(k, s->u.branch.condition, var, false);
            Stmt *body = freed(k, s->u.branch.body, var);
            s = rest ? lt_stmt_if(k, rest, body, NULL) : body;
        }
        first = lt_stmt_join(first, s);
    }
    return first;
}

/* The loop over [from, to) under a name of its own. */
static Stmt *part_of(Kernel *k, const Stmt *s, const char *suffix, const Dim *from, const Dim *to) {
    DimTable *t = &k->dims;
    const Dim *extent = lt_dim_sub(t, to, from);
    const Dim *var = lt_kernel_loop_var(
        k, lt_arena_printf(k->arena, "%s.%s", s->u.loop.var->name, suffix), extent);
    Stmt *body = lt_stmt_replace_var(k, s->u.loop.body, s->u.loop.var, lt_dim_add(t, from, var));
    Stmt *part = lt_stmt_for(k, s->u.loop.kind, var, extent, body);
    part->loc = s->loc;
    return part;
}

const char *lt_schedule_peel(Kernel *k, const char *loop) {
    Stmt **link = lt_schedule_link(k, loop);
    if (!link)
        return lt_arena_printf(k->arena, "there is no loop named '%s'", loop);
    Stmt *s = *link, *after = s->next;
    DimTable *t = &k->dims;
    const Dim *zero = lt_dim_const(t, 0), *extent = s->u.loop.extent;
    Version v = {.kernel = k, .peeled = s, .begin = zero, .end = extent};
    if (s->u.loop.kind != LOOP_SERIAL)
        return lt_arena_printf(k->arena, "peel: '%s' is not a plain loop", loop);
    read_list(&v, s->u.loop.body);
    if (v.error)
        return v.error;
    const Dim *begin = lt_dim_min(t, v.begin, extent), *end = lt_dim_max(t, begin, v.end);
    s->next = NULL;
    Stmt *first = part_of(k, s, "lo", zero, begin);
    Stmt *inside = lt_stmt_copy(k, s, NULL, NULL);
    inside->u.loop.body = freed(k, inside->u.loop.body, s->u.loop.var);
    inside = part_of(k, inside, "in", begin, end);
    Stmt *last = part_of(k, s, "hi", end, extent);
    *link = lt_stmt_join(first, lt_stmt_join(inside, lt_stmt_join(last, after)));
    return NULL;
}

/* --- unswitch --------------------------------------------------------------------------------- */

/* The loop inside of what it asks that stays as it is along it; NULL: it asks no such thing. */
static Stmt *unswitched(Kernel *k, Stmt *s) {
    Stmt *branch = s->u.loop.body;
    if (!branch || branch->next || branch->kind != STMT_IF || branch->u.branch.otherwise)
        return NULL;
    const Dim *var = s->u.loop.var;
    const Expr *outside = parts(k, branch->u.branch.condition, var, false);
    if (!outside)
        return NULL;
    const Expr *inside = parts(k, branch->u.branch.condition, var, true);
    Stmt *body = branch->u.branch.body, *after = s->next;
    s->u.loop.body = inside ? lt_stmt_if(k, inside, body, NULL) : body;
    s->next = NULL;
    Stmt *out = lt_stmt_if(k, outside, s, NULL);
    out->loc = s->loc;
    out->next = after;
    return out;
}

static void unswitch_list(Kernel *k, Stmt **link, const char *loop) {
    for (; *link; link = &(*link)->next) {
        Stmt *s = *link;
        if (s->kind == STMT_IF) {
            unswitch_list(k, &s->u.branch.body, loop);
            unswitch_list(k, &s->u.branch.otherwise, loop);
        }
        if (s->kind != STMT_FOR)
            continue;
        unswitch_list(k, &s->u.loop.body, loop);
        Stmt *out = strcmp(s->u.loop.var->name, loop) == 0 ? unswitched(k, s) : NULL;
        if (out)
            *link = out;
    }
}

const char *lt_schedule_unswitch(Kernel *k, const char *loop) {
    if (!lt_schedule_link(k, loop))
        return lt_arena_printf(k->arena, "there is no loop named '%s'", loop);
    unswitch_list(k, &k->body, loop);
    return NULL;
}
