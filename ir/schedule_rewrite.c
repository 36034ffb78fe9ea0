/* schedule_rewrite.c - finding loops and rewriting the expressions of a nest: what all primitives
 * share. */
#include "ir/schedule.h"

#include <assert.h>
#include <string.h>

static Stmt **find_link(Stmt **link, const char *loop) {
    for (; *link; link = &(*link)->next) {
        Stmt *s = *link;
        Stmt **inner = NULL;
        if (s->kind == STMT_FOR) {
            if (strcmp(s->u.loop.var->name, loop) == 0)
                return link;
            inner = find_link(&s->u.loop.body, loop);
        } else if (s->kind == STMT_IF) {
            inner = find_link(&s->u.branch.body, loop);
            if (!inner)
                inner = find_link(&s->u.branch.otherwise, loop);
        }
        if (inner)
            return inner;
    }
    return NULL;
}

Stmt **lt_schedule_link(Kernel *k, const char *loop) { return find_link(&k->body, loop); }

Stmt *lt_schedule_find(const Kernel *k, const char *loop) {
    Stmt *body = k->body;
    Stmt **link = find_link(&body, loop);
    return link ? *link : NULL;
}

const char *lt_schedule_axes(Kernel *k, const char *verb, const Stmt *around, LoopNames loops,
                             LoopAxes *out) {
    *out = (LoopAxes){.count = loops.count};
    if (loops.count > MAX_LOOP_AXES)
        return lt_arena_printf(k->arena, "%s: takes at most %d loops", verb, MAX_LOOP_AXES);
    for (int i = 0; i < loops.count; i++) {
        Kernel probe = *k;
        probe.body = around->u.loop.body;
        const Stmt *s = lt_schedule_find(&probe, loops.names[i]);
        int64_t lo;
        if (!s)
            return lt_arena_printf(k->arena, "%s: '%s' is not inside '%s'", verb, loops.names[i],
                                   around->u.loop.var->name);
        out->vars[i] = s->u.loop.var;
        out->extents[i] = s->u.loop.extent;
        lt_dim_range(&k->dims, s->u.loop.extent, &lo, &out->sizes[i]);
        if (out->sizes[i] < 1 || out->sizes[i] > LT_MAX_SCRATCH)
            return lt_arena_printf(k->arena, "%s: the extent of '%s' has no bound", verb,
                                   loops.names[i]);
    }
    return NULL;
}

const Dim **lt_schedule_substitution(Kernel *k) {
    return LT_ARRAY(k->arena, const Dim *, k->dims.symbols.len + 1);
}

Stmt *lt_stmt_replace_var(Kernel *k, const Stmt *list, const Dim *var, const Dim *by) {
    const Dim **substitution = lt_schedule_substitution(k);
    substitution[var->symbol] = by;
    return lt_stmt_copy(k, list, substitution, NULL);
}

bool lt_expr_mentions(const Expr *e, const Dim *symbol) {
    switch (e->kind) {
    case EXPR_CONST: return false;
    case EXPR_INDEX: return lt_dim_mentions(e->u.dim, symbol);
    case EXPR_LOAD:
        for (int i = 0; i < e->u.load.buffer->rank; i++)
            if (lt_dim_mentions(e->u.load.index[i], symbol))
                return true;
        return e->u.load.predicate && lt_expr_mentions(e->u.load.predicate, symbol);
    case EXPR_CALL:
    case EXPR_CONVERT:
    case EXPR_BITCAST:
        for (int i = 0; i < 3; i++)
            if (e->u.call.args[i] && lt_expr_mentions(e->u.call.args[i], symbol))
                return true;
        return false;
    }
    return false;
}

typedef struct Mapping {
    Kernel *kernel;
    ExprMapFn *fn;
    void *user;
    Map done; /* expression id + 1 -> result */
} Mapping;

static const Expr *map_expr(Mapping *m, const Expr *e) {
    const Expr *known = lt_map_get(&m->done, (uint64_t)e->id + 1);
    if (known)
        return known;
    Kernel *k = m->kernel;
    const Expr *result = e;
    if (e->kind == EXPR_LOAD && e->u.load.predicate) {
        result =
            lt_expr_load(k, e->u.load.buffer, e->u.load.index, map_expr(m, e->u.load.predicate));
    } else if (e->kind == EXPR_CONVERT || e->kind == EXPR_BITCAST) {
        result = lt_expr_cast_like(k, e, map_expr(m, e->u.call.args[0]));
    } else if (e->kind == EXPR_CALL) {
        const Expr *args[3] = {NULL, NULL, NULL};
        for (int i = 0; i < 3; i++)
            if (e->u.call.args[i])
                args[i] = map_expr(m, e->u.call.args[i]);
        result = lt_expr_call(k, e->u.call.fn, args[0], args[1], args[2]);
    }
    result = m->fn(k, result, m->user);
    lt_map_set(&m->done, (uint64_t)e->id + 1, (void *)(uintptr_t)result);
    return result;
}

static void map_list(Mapping *m, Stmt *list) {
    for (Stmt *s = list; s; s = s->next) {
        switch (s->kind) {
        case STMT_FOR: map_list(m, s->u.loop.body); break;
        case STMT_IF:
            s->u.branch.condition = map_expr(m, s->u.branch.condition);
            map_list(m, s->u.branch.body);
            map_list(m, s->u.branch.otherwise);
            break;
        case STMT_STORE: s->u.store.value = map_expr(m, s->u.store.value); break;
        case STMT_LET: s->u.let.value = map_expr(m, s->u.let.value); break;
        case STMT_ALLOC:
        case STMT_PREFETCH:
        case STMT_BARRIER:
        case STMT_COMMIT:
        case STMT_COMBINE: break;
        }
    }
}

static Mapping start_mapping(Kernel *k, ExprMapFn *fn, void *user) {
    Mapping m = {.kernel = k, .fn = fn, .user = user};
    lt_map_init(&m.done, k->arena);
    return m;
}

const Expr *lt_expr_map(Kernel *k, const Expr *e, ExprMapFn *fn, void *user) {
    Mapping m = start_mapping(k, fn, user);
    return map_expr(&m, e);
}

void lt_stmt_map(Kernel *k, Stmt *list, ExprMapFn *fn, void *user) {
    Mapping m = start_mapping(k, fn, user);
    map_list(&m, list);
}

/* --- moving accesses to another buffer ----------------------------------------------------------
 */

typedef struct Retarget {
    const Buffer *from, *to;
    const Dim *const *prefix;
    int count;
} Retarget;

static const Dim *const *prefixed(Kernel *k, const Retarget *r, const Dim *const *index) {
    assert(r->to->rank == r->from->rank + r->count);
    const Dim **out = LT_ARRAY(k->arena, const Dim *, r->to->rank + 1);
    for (int i = 0; i < r->count; i++)
        out[i] = r->prefix[i];
    for (int i = 0; i < r->from->rank; i++)
        out[r->count + i] = index[i];
    return out;
}

static const Expr *retarget_load(Kernel *k, const Expr *e, void *user) {
    const Retarget *r = user;
    if (e->kind != EXPR_LOAD || e->u.load.buffer != r->from)
        return e;
    return lt_expr_load(k, r->to, prefixed(k, r, e->u.load.index), e->u.load.predicate);
}

static void retarget_stores(Kernel *k, Stmt *list, const Retarget *r) {
    for (Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_FOR) {
            retarget_stores(k, s->u.loop.body, r);
        } else if (s->kind == STMT_IF) {
            retarget_stores(k, s->u.branch.body, r);
            retarget_stores(k, s->u.branch.otherwise, r);
        } else if (s->kind == STMT_STORE && s->u.store.buffer == r->from) {
            s->u.store.index = prefixed(k, r, s->u.store.index);
            s->u.store.buffer = r->to;
        }
    }
}

void lt_stmt_retarget(Kernel *k, Stmt *list, const Buffer *from, const Buffer *to,
                      const Dim *const *prefix, int count) {
    Retarget r = {.from = from, .to = to, .prefix = prefix, .count = count};
    lt_stmt_map(k, list, retarget_load, &r);
    retarget_stores(k, list, &r);
}

/* --- reading ---------------------------------------------------------------------------------- */

const Buffer *lt_schedule_input(const Kernel *k, const char *name) {
    for (uint32_t i = 0; i < k->param_count; i++)
        if (k->buffers.data[i]->kind == BUFFER_INPUT && strcmp(k->buffers.data[i]->name, name) == 0)
            return k->buffers.data[i];
    return NULL;
}

typedef struct Loads {
    const Buffer *buffer;
    const Expr *load;
    bool differ;
} Loads;

static const Expr *see_load(Kernel *k, const Expr *e, void *user) {
    Loads *loads = user;
    (void)k;
    if (e->kind != EXPR_LOAD || e->u.load.buffer != loads->buffer)
        return e;
    loads->differ |= loads->load && loads->load != e;
    loads->load = e;
    return e;
}

const Expr *lt_schedule_only_load(Kernel *k, Stmt *list, const Buffer *buffer) {
    Loads loads = {.buffer = buffer};
    lt_stmt_map(k, list, see_load, &loads);
    return loads.differ ? NULL : loads.load;
}

const Dim *lt_expr_dim(Kernel *k, const Expr *e) {
    if (e->kind == EXPR_CONST)
        return lt_dim_const(&k->dims, e->u.i);
    return e->kind == EXPR_INDEX ? e->u.dim : NULL;
}

const Dim *lt_dim_step(Kernel *k, const Dim *d, const Dim *symbol) {
    const Dim **by = lt_schedule_substitution(k);
    by[symbol->symbol] = lt_dim_add_const(&k->dims, symbol, 1);
    return lt_dim_sub(&k->dims, lt_dim_substitute(&k->dims, d, by), d);
}
