/* schedule_scan.c - `spread` of running folds, whose results on the way are stored.
 *
 *   spread 256 1 4 i:   for i { acc = 0;  for k in K { acc = acc + x[i, k];  y[i, k] = acc } }
 *   becomes             grid i {
 *                         acc = 0
 *                         for k.0 in ceil(K / 1024) {
 *                           run = 0
 *                           thread k.1 in 256 { unroll k.2 in 4 { if (k < K) {
 *                             own[k.2] = x[i, k];  run = run + own[k.2] } } }
 *                           scan run after acc by add of 256
 *                           thread k.1 in 256 { unroll k.3 in 4 { if (k < K) {
 *                             run = run + own[k.3];  y[i, k] = run } } } } }
 *
 * where k is 1024 * k.0 + 4 * k.1 + k.2: a thread folds a few neighbours, the scan gives each what
 * is in front of its own, and acc goes from piece to piece. */
#include "ir/schedule_spread.h"

typedef struct Scan {
    Spread *spread;
    const Stmt *stage;
    StageFold fold;
    const Stmt *update;  /* acc = fn(acc, x) */
    const Expr *element; /* x */
    const Buffer *run, *own;
    const Dim *piece; /* k.0 */
} Scan;

/* --- reading the stage ------------------------------------------------------------------------ */

static bool is_load_of(const Expr *e, const Buffer *buffer) {
    return e->kind == EXPR_LOAD && e->u.load.buffer == buffer;
}

/* Iterations store different elements. */
static bool moves(const Stmt *store, const Dim *var) {
    bool found = false;
    for (int i = 0; i < store->u.store.buffer->rank; i++)
        found |= lt_dim_mentions(store->u.store.index[i], var);
    return found;
}

bool lt_spread_is_scan(const Stmt *stage, StageFold *out) {
    const Stmt *update = NULL;
    int readers = 0;
    for (const Stmt *s = stage->u.loop.body; s; s = s->next) {
        if (s->kind != STMT_STORE)
            return false;
        if (s->u.store.buffer->kind == BUFFER_OUTPUT && moves(s, stage->u.loop.var))
            continue;
        if (update || s->u.store.buffer->kind != BUFFER_REGISTER || !lt_spread_is_fold(s, out) ||
            s->u.store.value->u.call.fn == FN_FMA)
            return false;
        update = s;
    }
    for (const Stmt *s = stage->u.loop.body; s && update; s = s->next)
        readers += s != update && lt_expr_loads(s->u.store.value, out->buffer);
    return readers > 0;
}

static const Stmt *find_update(const Stmt *stage) {
    const Stmt *s = stage->u.loop.body;
    while (s->u.store.buffer->kind == BUFFER_OUTPUT)
        s = s->next;
    return s;
}

/* --- what each thread does -------------------------------------------------------------------- */

/* x becomes own[neighbour], and acc becomes run. */
typedef struct Replace {
    const Scan *scan;
    const Expr *element, *run;
} Replace;

static const Expr *replace(Kernel *k, const Expr *e, void *user) {
    const Replace *r = user;
    (void)k;
    return e == r->scan->element ? r->element : is_load_of(e, r->scan->fold.buffer) ? r->run : e;
}

/* The stage's body with the thread's own elements. */
static Stmt *stores(Scan *sc, const Dim *neighbour) {
    Kernel *k = sc->spread->kernel;
    const Replace by = {sc, lt_expr_load(k, sc->own, &neighbour, NULL),
                        lt_expr_load(k, sc->run, NULL, NULL)};
    Stmt *body = lt_stmt_copy(k, sc->stage->u.loop.body, NULL, NULL);
    lt_stmt_map(k, body, replace, (void *)&by);
    for (Stmt *s = body; s; s = s->next)
        if (s->u.store.buffer == sc->fold.buffer)
            s->u.store.buffer = sc->run;
    return body;
}

/* own[neighbour] = x; run = fn(run, own[neighbour]) */
static Stmt *folds(Scan *sc, const Dim *neighbour) {
    Kernel *k = sc->spread->kernel;
    const Expr *own = lt_expr_load(k, sc->own, &neighbour, NULL);
    const Expr *run = lt_expr_load(k, sc->run, NULL, NULL);
    Stmt *keep = lt_stmt_store(k, sc->own, &neighbour, sc->element);
    const Expr *both = lt_expr_call(k, sc->fold.fn, run, own, NULL);
    return lt_stmt_join(keep, lt_stmt_store(k, sc->run, NULL, both));
}

typedef Stmt *ElementFn(Scan *sc, const Dim *neighbour);

/* thread k.1 { unroll k.SUFFIX in V { if (k < K) { element } } } */
static Stmt *for_own(Scan *sc, const char *suffix, ElementFn *element) {
    Spread *s = sc->spread;
    Kernel *k = s->kernel;
    DimTable *t = &k->dims;
    const int64_t count = s->groups * s->width;
    const Dim *extent = sc->stage->u.loop.extent, *few = lt_dim_const(t, s->vector);
    const char *name = sc->stage->u.loop.var->name;
    const Dim *var = lt_spread_thread_var(s, lt_arena_printf(k->arena, "%s.1", name), count);
    const Dim *neighbour =
        lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.%s", name, suffix), few);
    const Dim *part =
        lt_dim_add(t, lt_dim_mul_const(t, sc->piece, s->width), lt_spread_lane(s, var));
    const Dim *position = lt_dim_add(t, lt_dim_mul(t, part, few), neighbour);
    Stmt *body = lt_stmt_replace_var(k, element(sc, neighbour), sc->stage->u.loop.var, position);
    const bool is_even = lt_dim_divisible(t, extent, s->width * s->vector);
    const bool are_together = lt_dim_divisible(t, extent, s->vector);
    if (!are_together)
        body = lt_stmt_if(k, lt_expr_less(k, position, extent), body, NULL);
    body = lt_stmt_for(k, LOOP_UNROLL, neighbour, few, body);
    const Expr *is_inside =
        are_together && !is_even ? lt_expr_less(k, part, lt_dim_floordiv(t, extent, few)) : NULL;
    return lt_spread_threads(s, var, count, is_inside, body);
}

Stmt *lt_spread_scan(Spread *s, const Stmt *stage) {
    Kernel *k = s->kernel;
    DimTable *t = &k->dims;
    Scan sc = {.spread = s, .stage = stage};
    lt_spread_is_scan(stage, &sc.fold);
    sc.update = find_update(stage);
    const Expr *const *args = sc.update->u.store.value->u.call.args;
    sc.element = is_load_of(args[0], sc.fold.buffer) ? args[1] : args[0];
    const Buffer *acc = sc.fold.buffer;
    const Dim *few = lt_dim_const(t, s->vector);
    sc.run = lt_kernel_local(k, BUFFER_REGISTER, lt_arena_printf(k->arena, "%s.run", acc->name),
                             acc->dtype, 0, NULL);
    sc.own = lt_kernel_local(k, BUFFER_REGISTER, lt_arena_printf(k->arena, "%s.own", acc->name),
                             acc->dtype, 1, &few);
    const Dim *pieces =
        lt_dim_ceildiv(t, stage->u.loop.extent, lt_dim_const(t, s->width * s->vector));
    sc.piece =
        lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.0", stage->u.loop.var->name), pieces);
    Stmt *list = lt_stmt_join(lt_stmt_alloc(k, sc.own), lt_stmt_alloc(k, sc.run));
    const Expr *none = lt_spread_identity(k, sc.fold.fn, acc->dtype);
    list = lt_stmt_join(list, lt_stmt_store(k, sc.run, NULL, none));
    list = lt_stmt_join(list, for_own(&sc, "2", folds));
    list = lt_stmt_join(
        list, lt_stmt_scan(k, sc.run, acc, sc.fold.fn, s->width, s->is_across ? s->groups : 1));
    list = lt_stmt_join(list, for_own(&sc, "3", stores));
    return lt_stmt_for(k, LOOP_SERIAL, sc.piece, pieces, list);
}
