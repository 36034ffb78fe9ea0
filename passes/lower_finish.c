/* lower_finish.c - the last move of lowering: fewer axes, fewer loops, final names.
 *
 * Axes of extent 1 leave every parameter. Two loops directly inside one another become one where
 * every access sees them only as adjacent indices (or as outer * extent + inner), and so does a
 * pair x floordiv n, x mod n of indices: the axes of the buffers merge with them, which dense
 * row-major memory allows. Each merge is tried on a copy and kept if nothing was left that needs
 * the two variables apart. */
#include <assert.h>
#include <string.h>

#include "passes/lower_internal.h"

enum { MAX_PAIRS = 8 };

/* Two loops that become one. */
typedef struct Pair {
    const Dim *outer, *inner, *extent; /* of the inner loop */
    const Dim *merged;
} Pair;

typedef struct Rewrite {
    Lowering *lo;
    Kernel *k;
    uint32_t *dropped; /* by buffer: bit p: axis p goes, its index is 0 */
    uint32_t *joined;  /* by buffer: bit p: axes p and p + 1 become one */
    const Buffer **buffers;
    const Expr **done; /* by expression */
    Pair pairs[MAX_PAIRS];
    int pair_count;
    bool failed;
} Rewrite;

typedef struct Access {
    const Buffer *buffer;
    const Dim *const *index;
} Access;

typedef struct Accesses {
    Arena *arena;
    bool *seen; /* by expression */
    Vec(Access) list;
    Vec(Stmt *) loops; /* outer ones first */
} Accesses;

/* --- reading the kernel -------------------------------------------------------------------- */

static void collect_expr(Accesses *a, const Expr *e) {
    if (!e || a->seen[e->id])
        return;
    a->seen[e->id] = true;
    if (e->kind == EXPR_LOAD) {
        lt_vec_push(a->arena, &a->list, (Access){e->u.load.buffer, e->u.load.index});
        collect_expr(a, e->u.load.predicate);
    }
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        collect_expr(a, e->u.call.args[i]);
}

static void collect(Accesses *a, Stmt *list) {
    for (Stmt *s = list; s; s = s->next) {
        switch (s->kind) {
        case STMT_FOR:
            lt_vec_push(a->arena, &a->loops, s);
            collect(a, s->u.loop.body);
            break;
        case STMT_IF:
            collect_expr(a, s->u.branch.condition);
            collect(a, s->u.branch.body);
            collect(a, s->u.branch.otherwise);
            break;
        case STMT_STORE:
            lt_vec_push(a->arena, &a->list, (Access){s->u.store.buffer, s->u.store.index});
            collect_expr(a, s->u.store.value);
            break;
        case STMT_LET: collect_expr(a, s->u.let.value); break;
        case STMT_ALLOC:
        case STMT_PREFETCH:
        case STMT_BARRIER:
        case STMT_COMMIT:
        case STMT_COMBINE: break;
        }
    }
}

static Accesses read_accesses(Lowering *lo) {
    Accesses a = {.arena = lo->ctx->scratch};
    a.seen = LT_ARRAY(a.arena, bool, lo->k->next_expr);
    collect(&a, lo->k->body);
    return a;
}

/* --- rewriting indices --------------------------------------------------------------------- */

static bool mentions_pair(const Dim *d, const Pair *p) {
    return lt_dim_mentions(d, p->outer) || lt_dim_mentions(d, p->inner);
}

static const Dim *rewrite_dim(Rewrite *rw, const Dim *d);

typedef const Dim *DimFn(DimTable *t, const Dim *a, const Dim *b);

static const Dim *rewrite_args(Rewrite *rw, const Dim *d) {
    static DimFn *const fns[] = {
        [DIM_ADD] = lt_dim_add,         [DIM_MUL] = lt_dim_mul, [DIM_FLOORDIV] = lt_dim_floordiv,
        [DIM_CEILDIV] = lt_dim_ceildiv, [DIM_MOD] = lt_dim_mod, [DIM_MIN] = lt_dim_min,
        [DIM_MAX] = lt_dim_max};
    DimTable *t = &rw->k->dims;
    const Dim *result = rewrite_dim(rw, d->args[0]);
    for (uint32_t i = 1; i < d->count; i++)
        result = fns[d->kind](t, result, rewrite_dim(rw, d->args[i]));
    if (d->kind == DIM_MUL)
        return lt_dim_mul_const(t, result, d->value);
    return d->kind == DIM_ADD ? lt_dim_add_const(t, result, d->value) : result;
}

/* d in terms of the merged loops; the rewrite fails where it needs one of the two variables alone.
 */
static const Dim *rewrite_dim(Rewrite *rw, const Dim *d) {
    DimTable *t = &rw->k->dims;
    for (int i = 0; i < rw->pair_count; i++) {
        const Pair *p = &rw->pairs[i];
        if (!mentions_pair(d, p))
            continue;
        const Dim *both = lt_dim_add(t, lt_dim_mul(t, p->outer, p->extent), p->inner);
        const Dim *rest = lt_dim_sub(t, d, both);
        if (!mentions_pair(rest, p))
            return lt_dim_add(t, rewrite_dim(rw, rest), p->merged);
        if (d->count > 0)
            return rewrite_args(rw, d);
        rw->failed = true;
        return d;
    }
    return d;
}

static bool is_op(const Dim *d, DimKind kind, const Dim *by) {
    return d->kind == kind && d->args[1] == by;
}

/* a * extent + b where that is the quotient and the remainder of one index; else NULL. */
static const Dim *refold(DimTable *t, const Dim *a, const Dim *b, const Dim *extent) {
    if (!is_op(b, DIM_MOD, extent))
        return NULL;
    const Dim *x = b->args[0];
    if (is_op(a, DIM_FLOORDIV, extent) && a->args[0] == x)
        return x;
    const bool nested =
        a->kind == DIM_MOD && is_op(a->args[0], DIM_FLOORDIV, extent) && a->args[0]->args[0] == x;
    return nested ? lt_dim_mod(t, x, lt_dim_mul(t, extent, a->args[1])) : NULL;
}

static const Dim *join_indices(Rewrite *rw, const Dim *a, const Dim *b, const Dim *extent) {
    DimTable *t = &rw->k->dims;
    for (int i = 0; i < rw->pair_count; i++)
        if (a == rw->pairs[i].outer && b == rw->pairs[i].inner)
            return rw->pairs[i].merged;
    const Dim *whole = refold(t, a, b, extent);
    if (whole)
        return rewrite_dim(rw, whole);
    rw->failed |= !lt_dim_is_const(a) || !lt_dim_is_const(b);
    return lt_dim_add(t, lt_dim_mul(t, a, extent), b);
}

static const Buffer *rewrite_buffer(Rewrite *rw, const Buffer *b) { return rw->buffers[b->index]; }

static void rewrite_index(Rewrite *rw, const Buffer *b, const Dim *const *index, const Dim **out) {
    int rank = 0;
    for (int p = 0; p < b->rank; p++) {
        if (rw->dropped[b->index] >> p & 1)
            continue;
        if (rw->joined[b->index] >> p & 1) {
            out[rank++] = join_indices(rw, index[p], index[p + 1], b->dims[p + 1]);
            p++;
        } else {
            out[rank++] = rewrite_dim(rw, index[p]);
        }
    }
}

/* --- rewriting expressions and statements -------------------------------------------------- */

static const Expr *rewrite_expr(Rewrite *rw, const Expr *e);

static const Expr *rebuild_expr(Rewrite *rw, const Expr *e) {
    const Dim *index[LT_MAX_RANK];
    const Expr *args[3] = {NULL, NULL, NULL};
    switch (e->kind) {
    case EXPR_CONST: return e;
    case EXPR_INDEX: return lt_expr_index(rw->k, rewrite_dim(rw, e->u.dim));
    case EXPR_CONVERT:
    case EXPR_BITCAST: return lt_expr_cast_like(rw->k, e, rewrite_expr(rw, e->u.call.args[0]));
    case EXPR_LOAD:
        rewrite_index(rw, e->u.load.buffer, e->u.load.index, index);
        return lt_expr_load(rw->k, rewrite_buffer(rw, e->u.load.buffer), index,
                            e->u.load.predicate ? rewrite_expr(rw, e->u.load.predicate) : NULL);
    case EXPR_CALL:
        for (int i = 0; i < lt_scalar_info[e->u.call.fn].arity; i++)
            args[i] = rewrite_expr(rw, e->u.call.args[i]);
        return lt_expr_call(rw->k, e->u.call.fn, args[0], args[1], args[2]);
    }
    assert(!"an expression");
    return e;
}

static const Expr *rewrite_expr(Rewrite *rw, const Expr *e) {
    if (!rw->done[e->id])
        rw->done[e->id] = rebuild_expr(rw, e);
    return rw->done[e->id];
}

static Stmt *rewrite_list(Rewrite *rw, const Stmt *list);

static Stmt *rewrite_loop(Rewrite *rw, const Stmt *s) {
    const Stmt *body = s->u.loop.body;
    for (int i = 0; i < rw->pair_count; i++) {
        if (s->u.loop.var != rw->pairs[i].outer)
            continue;
        const Dim *extent = lt_dim_mul(&rw->k->dims, s->u.loop.extent, body->u.loop.extent);
        return lt_stmt_for(rw->k, s->u.loop.kind, rw->pairs[i].merged, extent,
                           rewrite_list(rw, body->u.loop.body));
    }
    return lt_stmt_for(rw->k, s->u.loop.kind, s->u.loop.var, s->u.loop.extent,
                       rewrite_list(rw, body));
}

static Stmt *rewrite_stmt(Rewrite *rw, const Stmt *s) {
    const Dim *index[LT_MAX_RANK];
    switch (s->kind) {
    case STMT_FOR: return rewrite_loop(rw, s);
    case STMT_IF:
        return lt_stmt_if(rw->k, rewrite_expr(rw, s->u.branch.condition),
                          rewrite_list(rw, s->u.branch.body),
                          rewrite_list(rw, s->u.branch.otherwise));
    case STMT_STORE:
        rewrite_index(rw, s->u.store.buffer, s->u.store.index, index);
        return lt_stmt_store(rw->k, rewrite_buffer(rw, s->u.store.buffer), index,
                             rewrite_expr(rw, s->u.store.value));
    case STMT_LET: return lt_stmt_let(rw->k, s->u.let.var, rewrite_expr(rw, s->u.let.value));
    case STMT_ALLOC: return lt_stmt_alloc(rw->k, rewrite_buffer(rw, s->u.alloc.buffer));
    case STMT_BARRIER:
        return lt_stmt_barrier_but(rw->k, s->u.barrier.fetches, s->u.barrier.products);
    case STMT_COMMIT: return lt_stmt_commit(rw->k);
    case STMT_COMBINE:
        return lt_stmt_scan(rw->k, rewrite_buffer(rw, s->u.combine.buffer),
                            s->u.combine.total ? rewrite_buffer(rw, s->u.combine.total) : NULL,
                            s->u.combine.fn, s->u.combine.width, s->u.combine.apart);
    case STMT_PREFETCH:
        rewrite_index(rw, s->u.prefetch.buffer, s->u.prefetch.index, index);
        return lt_stmt_prefetch(rw->k, rewrite_buffer(rw, s->u.prefetch.buffer), index);
    }
    assert(!"a statement");
    return NULL;
}

static Stmt *rewrite_list(Rewrite *rw, const Stmt *list) {
    Stmt *first = NULL, **link = &first;
    for (; list && !rw->failed; list = list->next) {
        *link = rewrite_stmt(rw, list);
        (*link)->loc = list->loc;
        link = &(*link)->next;
    }
    return first;
}

/* The buffer without the axes that go, or the buffer itself. */
static const Buffer *changed_buffer(const Rewrite *rw, const Buffer *b) {
    const uint32_t dropped = rw->dropped[b->index], joined = rw->joined[b->index];
    if (!dropped && !joined)
        return b;
    const Dim **dims = LT_ARRAY(rw->k->arena, const Dim *, b->rank);
    Buffer *changed = lt_arena_copy(rw->k->arena, b, sizeof *b);
    changed->rank = 0;
    changed->dims = dims;
    for (int p = 0; p < b->rank; p++) {
        if (dropped >> p & 1)
            continue;
        const bool joins = joined >> p & 1;
        dims[changed->rank++] =
            joins ? lt_dim_mul(&rw->k->dims, b->dims[p], b->dims[p + 1]) : b->dims[p];
        p += joins;
    }
    return changed;
}

static void begin_rewrite(Rewrite *rw, Lowering *lo) {
    *rw = (Rewrite){.lo = lo, .k = lo->k};
    rw->dropped = LT_ARRAY(lo->ctx->scratch, uint32_t, lo->k->buffers.len);
    rw->joined = LT_ARRAY(lo->ctx->scratch, uint32_t, lo->k->buffers.len);
    rw->buffers = LT_ARRAY(lo->ctx->scratch, const Buffer *, lo->k->buffers.len);
}

/* Replaces the body and the buffers; false, and nothing has changed, when the rewrite failed. */
static bool apply_rewrite(Rewrite *rw) {
    Kernel *k = rw->k;
    rw->done = LT_ARRAY(rw->lo->ctx->scratch, const Expr *, k->next_expr);
    for (size_t i = 0; i < k->buffers.len; i++)
        rw->buffers[i] = changed_buffer(rw, k->buffers.data[i]);
    Stmt *body = rewrite_list(rw, k->body);
    if (rw->failed)
        return false;
    for (size_t i = 0; i < k->buffers.len; i++)
        k->buffers.data[i] = (Buffer *)rw->buffers[i];
    k->body = body;
    return true;
}

/* --- what is tried ------------------------------------------------------------------------- */

static void drop_unit_axes(Lowering *lo) {
    Rewrite rw;
    begin_rewrite(&rw, lo);
    for (size_t i = 0; i < lo->k->buffers.len; i++) {
        const Buffer *b = lo->k->buffers.data[i];
        for (int p = 0; p < b->rank; p++)
            if (lt_dim_is(b->dims[p], 1))
                rw.dropped[i] |= 1u << p;
    }
    const bool ok = apply_rewrite(&rw);
    assert(ok && "nothing has to be kept apart");
    (void)ok;
}

static bool try_refold(Lowering *lo, const Accesses *a) {
    for (size_t i = 0; i < a->list.len; i++) {
        const Access *access = &a->list.data[i];
        const Buffer *b = access->buffer;
        for (int p = 0; p + 1 < b->rank; p++) {
            Rewrite rw;
            if (!refold(&lo->k->dims, access->index[p], access->index[p + 1], b->dims[p + 1]))
                continue;
            begin_rewrite(&rw, lo);
            rw.joined[b->index] = 1u << p;
            if (apply_rewrite(&rw))
                return true;
        }
    }
    return false;
}

static const char *draft_name(const Lowering *lo, const Dim *var) {
    for (size_t i = 0; i < lo->loops.len; i++)
        if (lo->loops.data[i].var == var)
            return lo->loops.data[i].name;
    assert(!"a draft loop");
    return "";
}

/* The loop is around nothing but one other of the same kind. */
static bool may_merge(const Lowering *lo, const Stmt *s) {
    const Stmt *body = s->u.loop.body;
    if (!body || body->kind != STMT_FOR || body->next)
        return false;
    const char *name = draft_name(lo, s->u.loop.var);
    return lt_str_ends(name, "#") && strcmp(name, draft_name(lo, body->u.loop.var)) == 0;
}

/* Adds the pair of the loop `s`; false when one of its variables is in another pair already. */
static bool add_pair(Rewrite *rw, const Stmt *s) {
    const Stmt *inner = s->u.loop.body;
    const Dim *a = s->u.loop.var, *b = inner->u.loop.var;
    for (int i = 0; i < rw->pair_count; i++) {
        const Pair *p = &rw->pairs[i];
        if (p->outer == a && p->inner == b)
            return true;
        if (p->outer == a || p->outer == b || p->inner == a || p->inner == b)
            return false;
    }
    if (rw->pair_count == MAX_PAIRS)
        return false;
    const Dim *extent = lt_dim_mul(&rw->k->dims, s->u.loop.extent, inner->u.loop.extent);
    const Dim *merged = lt_kernel_loop_var(rw->k, "draft", extent);
    lt_vec_push(rw->k->arena, &rw->lo->loops, (DraftLoop){merged, draft_name(rw->lo, a)});
    rw->pairs[rw->pair_count++] = (Pair){a, b, inner->u.loop.extent, merged};
    return true;
}

/* Buffer axes that the pairs walk merge; at these, other loops that walk them must merge too. */
static bool extend_pairs(Rewrite *rw, const Accesses *a) {
    for (int done = -1; done != rw->pair_count;) {
        done = rw->pair_count;
        for (size_t i = 0; i < a->list.len; i++) {
            const Access *x = &a->list.data[i];
            for (int p = 0; p + 1 < x->buffer->rank; p++) {
                uint32_t *joined = &rw->joined[x->buffer->index];
                for (int j = 0; j < rw->pair_count; j++)
                    if (x->index[p] == rw->pairs[j].outer &&
                        x->index[p + 1] == rw->pairs[j].inner &&
                        x->buffer->dims[p + 1] == rw->pairs[j].extent)
                        *joined |= 1u << p;
                for (size_t l = 0; (*joined >> p & 1) && l < a->loops.len; l++) {
                    const Stmt *s = a->loops.data[l];
                    if (s->u.loop.var == x->index[p] && may_merge(rw->lo, s) &&
                        s->u.loop.body->u.loop.var == x->index[p + 1] && !add_pair(rw, s))
                        return false;
                }
            }
        }
    }
    for (size_t i = 0; i < rw->k->buffers.len; i++)
        if (rw->joined[i] & rw->joined[i] << 1)
            return false;
    return true;
}

/* Innermost pairs first, so that a third loop sees the product of the extents inside of it. */
static bool try_merge(Lowering *lo, const Accesses *a) {
    for (size_t i = a->loops.len; i-- > 0;) {
        Rewrite rw;
        if (!may_merge(lo, a->loops.data[i]))
            continue;
        begin_rewrite(&rw, lo);
        if (add_pair(&rw, a->loops.data[i]) && extend_pairs(&rw, a) && apply_rewrite(&rw))
            return true;
    }
    return false;
}

/* --- names ------------------------------------------------------------------------------------ */

static const Dim *final_var(Lowering *lo, const Stmt *s, int *counts) {
    const char *name = draft_name(lo, s->u.loop.var);
    if (lt_str_ends(name, "#"))
        name = lt_arena_printf(lo->k->arena, "%c%d", name[0], counts[(unsigned char)name[0]]++);
    return lt_kernel_loop_var(lo->k, name, s->u.loop.extent);
}

static void name_loops(Lowering *lo) {
    const Accesses a = read_accesses(lo);
    const Dim **vars = LT_ARRAY(lo->ctx->scratch, const Dim *, a.loops.len + 1);
    int counts[256] = {0};
    bool *named = LT_ARRAY(lo->ctx->scratch, bool, lo->k->dims.symbols.len);
    for (size_t i = 0; i < a.loops.len; i++) {
        bool *is_named = &named[a.loops.data[i]->u.loop.var->symbol];
        vars[i] = *is_named ? NULL : final_var(lo, a.loops.data[i], counts);
        *is_named = true;
    }
    const Dim **by = LT_ARRAY(lo->ctx->scratch, const Dim *, lo->k->dims.symbols.len);
    for (size_t i = 0; i < a.loops.len; i++)
        if (vars[i]) /* loops one after the other may share a variable */
            by[a.loops.data[i]->u.loop.var->symbol] = vars[i];
    lo->k->body = lt_stmt_copy(lo->k, lo->k->body, by, NULL);
}

void lt_lower_finish(Lowering *lo) {
    drop_unit_axes(lo);
    for (bool changed = lo->k->class != KERNEL_CONV; changed;) {
        const Accesses a = read_accesses(lo);
        changed = try_refold(lo, &a) || try_merge(lo, &a);
    }
    name_loops(lo);
}
