/* schedule_pipeline.c - the folding loops of `share`: what is copied when.
 *
 * With one copy of each factor a part is copied, used, and copied over:
 *
 *     for k.0 { copy k.0;  barrier;  multiply;  barrier }
 *
 * With several all folding loops are one, whose steps fetch what later steps need: with S copies,
 * that of S - 1 steps on. When the barrier of a step is passed, what it needs has arrived, the S -
 * 2 newest groups perhaps not; and all threads are done with the step before, whose copy is free.
 *
 *     for p in S - 1 { fetch p;  commit }
 *     for k.0 { barrier fetches S - 2;  fetch k.0 + S - 1;  commit;  multiply }
 *
 * Where products are added up while threads go on, those of the step before may still run behind
 * the barrier, which keep one copy more; the step's own begin before anything is fetched. */
#include "ir/schedule_share.h"

/* What copies the parts of a step. */
typedef struct Fills {
    const Stmt *list;
    const Dim *step;
} Fills;

/* Steps that are fetched may lie behind the last one. */
static Fills make_fills(Share *s, int64_t distance) {
    const Dim *step = s->step, *piece = s->piece;
    const Dim *ahead =
        lt_kernel_loop_var(s->k, "ahead", lt_dim_add_const(s->t, s->steps, distance));
    s->step = ahead;
    s->piece = piece == step ? ahead : lt_dim_mod(s->t, ahead, s->pieces);
    const Fills fills = {lt_share_fill(s), ahead};
    s->step = step;
    s->piece = piece;
    return fills;
}

/* What the list does for `step`, where there is such a step. Between products that still run and
 * the barrier that waits for them there must be no branch, or they do not run at once: zeros are
 * copied then. */
static Stmt *at_step(Share *s, const Fills *fills, const Dim *step) {
    const Expr *condition = lt_expr_less(s->k, step, s->steps);
    Stmt *list = lt_stmt_replace_var(s->k, fills->list, fills->step, step);
    if (lt_expr_is_const_bool(condition, true))
        return list;
    if (s->is_wgmma)
        lt_stmt_map(s->k, list, lt_share_load_where, (void *)(uintptr_t)condition);
    for (Stmt *at = list; at && !s->is_wgmma; at = at->next)
        at->u.loop.body = lt_stmt_if(s->k, condition, at->u.loop.body, NULL);
    return list;
}

/* The first steps' parts. */
static Stmt *fetch_first(Share *s, const Fills *fills, int64_t distance) {
    Kernel *k = s->k;
    if (distance == 1)
        return at_step(s, fills, number(s, 0));
    const Dim *part = lt_kernel_loop_var(k, "part", number(s, distance));
    Stmt *list = lt_stmt_join(at_step(s, fills, part), lt_stmt_commit(k));
    return lt_stmt_for(k, LOOP_UNROLL, part, number(s, distance), list);
}

static Stmt *fold_ahead(Share *s) {
    Kernel *k = s->k;
    const int64_t products = s->is_wgmma && s->stages > 2;
    const int64_t distance = s->stages - 1 - products;
    const Fills fills = make_fills(s, distance);
    Stmt *before = fetch_first(s, &fills, distance);
    Stmt *fetch = at_step(s, &fills, lt_dim_add_const(s->t, s->step, distance));
    if (distance > 1)
        fetch = lt_stmt_join(fetch, lt_stmt_commit(k));
    Stmt *list = lt_stmt_barrier_but(k, distance - 1, products);
    if (s->is_wgmma)
        list = lt_stmt_join(lt_stmt_join(list, lt_share_multiply(s)), fetch);
    else
        list = lt_stmt_join(lt_stmt_join(list, fetch), lt_share_multiply(s));
    list = lt_stmt_join(before, lt_stmt_for(k, LOOP_SERIAL, s->step, s->steps, list));
    return s->is_wgmma ? lt_stmt_join(list, lt_stmt_barrier(k)) : list;
}

static Stmt *fold_in_place(Share *s) {
    Kernel *k = s->k;
    Stmt *list = lt_share_fill(s);
    list = lt_stmt_join(list, lt_stmt_barrier(k));
    list = lt_stmt_join(list, lt_share_multiply(s));
    list = lt_stmt_join(list, lt_stmt_barrier(k));
    list = lt_stmt_for(k, LOOP_SERIAL, s->piece, s->pieces, list);
    for (int i = s->sum.fold_count - 2; i >= 0; i--)
        list = lt_stmt_for(k, LOOP_SERIAL, s->sum.folds[i]->u.loop.var,
                           s->sum.folds[i]->u.loop.extent, list);
    return list;
}

Stmt *lt_share_fold(Share *s) { return lt_share_is_ahead(s) ? fold_ahead(s) : fold_in_place(s); }
