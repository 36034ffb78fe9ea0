/* schedule_own.c - `own`: a thread keeps the elements of a local buffer that it uses, no others.
 *
 *   own b N:   alloc b[4 * N];    thread v in N { b[v + N * g] }
 *   becomes    alloc b.own[4];    thread v in N { b.own[g] }
 *
 * With W threads for the N iterations of v = W * v.0 + v.1, b[W * v.0 + v.1 + N * g] becomes
 * b.own[J * g + v.0], where J is ceil(N / W). */
#include "ir/schedule.h"

#include <string.h>

typedef struct Own {
    Kernel *k;
    const Buffer *from, *to;
    int64_t period;    /* N */
    int64_t kept;      /* J */
    const Dim *thread; /* the thread loop's around what is at hand, or NULL */
    int64_t threads;   /* W, of all thread loops in which the buffer is used; 0: none yet */
    const char *error;
} Own;

static const Dim *own_index(Own *o, const Dim *index) {
    DimTable *t = &o->k->dims;
    const Dim *period = lt_dim_const(t, o->period), *threads = lt_dim_const(t, o->threads);
    const Dim *step = o->thread ? lt_dim_step(o->k, index, o->thread) : NULL;
    if (!step || !lt_dim_is(step, 1)) {
        o->error = "own: it is used elsewhere than at a thread's own elements";
        return index;
    }
    const Dim *rest = lt_dim_sub(t, index, o->thread), *within = lt_dim_mod(t, rest, period);
    if (!lt_dim_divisible(t, within, o->threads))
        o->error = "own: threads use each other's elements";
    const Dim *first = lt_dim_mul_const(t, lt_dim_floordiv(t, rest, period), o->kept);
    return lt_dim_add(t, first, lt_dim_floordiv(t, within, threads));
}

static const Expr *map_load(Kernel *k, const Expr *e, void *user) {
    Own *o = user;
    if (e->kind != EXPR_LOAD || e->u.load.buffer != o->from)
        return e;
    const Dim *index = own_index(o, e->u.load.index[0]);
    return lt_expr_load(k, o->to, &index, e->u.load.predicate);
}

static void retarget_stores(Own *o, Stmt *list) {
    for (Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_FOR)
            retarget_stores(o, s->u.loop.body);
        if (s->kind == STMT_IF) {
            retarget_stores(o, s->u.branch.body);
            retarget_stores(o, s->u.branch.otherwise);
        }
        if (s->kind != STMT_STORE || s->u.store.buffer != o->from)
            continue;
        const Dim *index = own_index(o, s->u.store.index[0]);
        s->u.store.buffer = o->to;
        s->u.store.index = lt_arena_copy(o->k->arena, &index, sizeof(const Dim *));
    }
}

static void rewrite_threads(Own *o, Stmt *loop) {
    o->thread = loop->u.loop.var;
    lt_stmt_map(o->k, loop->u.loop.body, map_load, o);
    retarget_stores(o, loop->u.loop.body);
    o->thread = NULL;
}

/* Thread loops one by one; `first`: only looks how many threads there are. */
static void visit(Own *o, Stmt *list, bool first) {
    for (Stmt *s = list; s && !o->error; s = s->next) {
        const bool is_loop = s->kind == STMT_FOR;
        if (s->kind == STMT_ALLOC && s->u.alloc.buffer == o->from && !first)
            s->u.alloc.buffer = o->to;
        if (is_loop && s->u.loop.kind != LOOP_THREAD) {
            visit(o, s->u.loop.body, first);
            continue;
        }
        if (!is_loop || !lt_stmt_uses(s->u.loop.body, o->from)) {
            Stmt alone = *s;
            alone.next = NULL;
            if (!is_loop && lt_stmt_uses(&alone, o->from))
                o->error = "own: it is used outside of thread loops";
            continue;
        }
        const int64_t threads = s->u.loop.extent->value;
        if (first && o->threads && o->threads != threads)
            o->error = "own: it is used by different numbers of threads";
        o->threads = threads;
        if (!first)
            rewrite_threads(o, s);
    }
}

static const Buffer *find_local(const Kernel *k, const char *name) {
    for (size_t i = k->param_count; i < k->buffers.len; i++)
        if (strcmp(k->buffers.data[i]->name, name) == 0)
            return k->buffers.data[i];
    return NULL;
}

const char *lt_schedule_own(Kernel *k, const char *buffer, int64_t period) {
    Own o = {.k = k, .from = find_local(k, buffer), .period = period};
    if (!o.from || !lt_buffer_is_private(o.from) || o.from->rank != 1 || period < 1)
        return lt_arena_printf(k->arena, "own: '%s' is no private buffer with one axis", buffer);
    visit(&o, k->body, true);
    if (o.error || !o.threads)
        return o.error ? o.error : "own: no thread uses it";
    DimTable *t = &k->dims;
    o.kept = (period + o.threads - 1) / o.threads;
    const Dim *parts = lt_dim_ceildiv(t, o.from->dims[0], lt_dim_const(t, period));
    const Dim *extent = lt_dim_mul_const(t, parts, o.kept);
    o.to = lt_kernel_local(k, BUFFER_REGISTER, lt_arena_printf(k->arena, "%s.own", buffer),
                           o.from->dtype, 1, &extent);
    visit(&o, k->body, false);
    return o.error;
}
