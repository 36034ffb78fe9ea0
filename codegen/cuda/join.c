/* join.c - branches of one condition.
 *
 * Several things are done under one condition, each by a loop over the threads:
 *   thread a in 256 { if (k < 7) { .. } }
 *   thread b in 256 { if (k < 7) { if (b < 128) { .. } } }
 * which is one branch:
 *   if (k < 7) { thread a in 256 { .. } thread b in 256 { if (b < 128) { .. } } } */
#include "codegen/cuda/cuda.h"

/* The branch that the statement is, or all that is in a loop that all threads run; NULL: none. */
static const Stmt *branch_of(const Writer *w, const Stmt *s) {
    if (lt_cuda_covers_block(w, s) && s->u.loop.body && !s->u.loop.body->next)
        s = s->u.loop.body;
    return s->kind == STMT_IF && !s->u.branch.otherwise ? s : NULL;
}

/* The number that the expression is when the block's threads have `thread`. */
static const Dim *number_of(Writer *w, const Expr *e, const Stmt *loop, const Dim *thread) {
    const Dim *d = e->kind == EXPR_INDEX ? e->u.dim : lt_dim_const(&w->dims, e->u.i);
    if (!lt_cuda_covers_block(w, loop) || !thread)
        return d;
    const Dim **by = LT_ARRAY(w->arena, const Dim *, w->dims.symbols.len);
    by[loop->u.loop.var->symbol] = thread;
    return lt_dim_substitute(&w->dims, d, by);
}

static bool is_number(const Expr *e) {
    return e->kind == EXPR_INDEX || (e->kind == EXPR_CONST && !lt_dtype_is_float(e->dtype));
}

/* Whether both are the same of what each thread is; no memory is asked. */
static bool is_same(Writer *w, const Expr *a, const Stmt *in_a, const Expr *b, const Stmt *in_b) {
    const Dim *thread = lt_cuda_covers_block(w, in_a)   ? in_a->u.loop.var
                        : lt_cuda_covers_block(w, in_b) ? in_b->u.loop.var
                                                        : NULL;
    if (is_number(a) && is_number(b))
        return a->dtype == b->dtype &&
               number_of(w, a, in_a, thread) == number_of(w, b, in_b, thread);
    if (a->kind != EXPR_CALL || b->kind != EXPR_CALL || a->u.call.fn != b->u.call.fn)
        return false;
    for (int i = 0; i < lt_scalar_info[a->u.call.fn].arity; i++)
        if (!is_same(w, a->u.call.args[i], in_a, b->u.call.args[i], in_b))
            return false;
    return true;
}

static Stmt *copy_one(Writer *w, const Stmt *s) {
    Stmt *copy = LT_NEW(w->arena, Stmt);
    *copy = *s;
    copy->next = NULL;
    return copy;
}

/* What the branch does, at the end of the list; the end after that. */
static Stmt **append_body(Writer *w, Stmt **end, const Stmt *s, const Stmt *branch) {
    if (s != branch) {
        *end = copy_one(w, s);
        (*end)->u.loop.body = branch->u.branch.body;
        return &(*end)->next;
    }
    for (const Stmt *part = branch->u.branch.body; part; part = part->next) {
        *end = copy_one(w, part);
        end = &(*end)->next;
    }
    return end;
}

const Stmt *lt_cuda_join(Writer *w, const Stmt *s) {
    const Stmt *first = branch_of(w, s), *next = s->next;
    Stmt *body = NULL, **end = &body;
    if (!first)
        return s;
    end = append_body(w, end, s, first);
    for (const Stmt *other; next && (other = branch_of(w, next)); next = next->next) {
        if (!is_same(w, first->u.branch.condition, s, other->u.branch.condition, next))
            break;
        end = append_body(w, end, next, other);
    }
    if (next == s->next)
        return s;
    if (s != first)
        lt_cuda_bind_thread(w, s);
    Stmt *joined = copy_one(w, first);
    joined->u.branch.body = body;
    joined->next = (Stmt *)next;
    return joined;
}
