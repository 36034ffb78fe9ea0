/* schedule_partial.c - `partial`: a long fold runs in pieces, so that what a piece reads stays in
 * the cache while everything that needs it is computed.
 *
 *   partial k N L i j:   for L { for i { for j { acc = 0;  for k { acc += x };  out = acc } } }
 * becomes
 *   for L {
 *     alloc sums[I, J]
 *     for k.0 { for i { for j {
 *       acc = k.0 > 0 ? sums[i, j] : 0;  for k.1 in N { acc += x }
 *       if (k.0 is the last) { out = acc } else { sums[i, j] = acc }
 *     } } }
 *   }
 * The order of the sum stays as it was. */
#include "ir/schedule.h"

#include <string.h>

enum { MAX_PARTIAL_SUMS = 4 };

typedef struct Partial {
    Kernel *kernel;
    LoopAxes axes;
    const Dim *piece, *pieces; /* k.0 and its extent */
    Stmt *allocs;              /* of the sums */
    int count;
    const Buffer *accumulators[MAX_PARTIAL_SUMS], *sums[MAX_PARTIAL_SUMS];
} Partial;

/* The list around the accumulators: behind loops that are axes, and conditions. */
static const char *find_sums(const Partial *p, Stmt *around, Stmt ***out) {
    Stmt **link = &around->u.loop.body;
    for (;;) {
        Stmt *s = *link;
        if (!s || (s->kind != STMT_ALLOC && (s->next || s->kind > STMT_IF)))
            return "partial: the loops are not directly nested around an accumulator";
        *out = link;
        if (s->kind == STMT_ALLOC)
            return NULL;
        bool is_axis = s->kind == STMT_IF && !s->u.branch.otherwise;
        for (int i = 0; s->kind == STMT_FOR && i < p->axes.count; i++)
            is_axis |= p->axes.vars[i] == s->u.loop.var;
        if (!is_axis)
            return "partial: the sums need an axis for each loop around the accumulator";
        link = s->kind == STMT_FOR ? &s->u.loop.body : &s->u.branch.body;
    }
}

static const char *add_sums(Partial *p, const Buffer *accumulator) {
    Kernel *k = p->kernel;
    const Dim **dims = LT_ARRAY(k->arena, const Dim *, p->axes.count);
    int64_t bytes = (int64_t)lt_dtype_size(accumulator->dtype);
    if (p->count == MAX_PARTIAL_SUMS || accumulator->rank > 0)
        return "partial: the accumulators are too many, or no scalars";
    for (int i = 0; i < p->axes.count; i++) {
        dims[i] = lt_dim_const(&k->dims, p->axes.sizes[i]);
        if (__builtin_mul_overflow(bytes, p->axes.sizes[i], &bytes) || bytes > LT_MAX_SCRATCH / 2)
            return "partial: the sums take too much memory";
    }
    const char *name = lt_arena_printf(k->arena, "%s.sums", accumulator->name);
    p->accumulators[p->count] = accumulator;
    p->sums[p->count] =
        lt_kernel_local(k, BUFFER_SCRATCH, name, accumulator->dtype, p->axes.count, dims);
    p->allocs = lt_stmt_join(p->allocs, lt_stmt_alloc(k, p->sums[p->count++]));
    return NULL;
}

/* acc = first becomes acc = first, or the sum so far. */
static void continue_sum(const Partial *p, Stmt *init) {
    Kernel *k = p->kernel;
    const Dim *none = lt_dim_const(&k->dims, 0);
    const Expr *has_sum = lt_expr_less(k, none, p->piece);
    for (int i = 0; i < p->count; i++) {
        if (init->u.store.buffer != p->accumulators[i])
            continue;
        const Expr *sum = lt_expr_load(k, p->sums[i], p->axes.vars, has_sum);
        const Expr *first = init->u.store.value;
        const bool is_zero = first->kind == EXPR_CONST && first->u.i == 0; /* of floats: +0.0 */
        init->u.store.value = is_zero ? sum : lt_expr_call(k, FN_SELECT, has_sum, sum, first);
    }
}

static Stmt *store_sums(const Partial *p) {
    Kernel *k = p->kernel;
    const Dim *none[1] = {NULL};
    Stmt *list = NULL;
    for (int i = 0; i < p->count; i++) {
        const Expr *sum = lt_expr_load(k, p->accumulators[i], none, NULL);
        list = lt_stmt_join(list, lt_stmt_store(k, p->sums[i], p->axes.vars, sum));
    }
    return list;
}

/* The fold over one piece, in the place of the fold. */
static Stmt *fold_piece(Partial *p, const Stmt *fold, int64_t size) {
    Kernel *k = p->kernel;
    DimTable *t = &k->dims;
    const Dim *extent = fold->u.loop.extent, *var = fold->u.loop.var;
    const Dim *n = lt_dim_const(t, size);
    p->pieces = lt_dim_ceildiv(t, extent, n);
    p->piece = lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.0", var->name), p->pieces);
    const Dim *start = lt_dim_mul(t, p->piece, n);
    if (!lt_dim_divisible(t, extent, size))
        n = lt_dim_min(t, n, lt_dim_sub(t, extent, start));
    const Dim *inner = lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.1", var->name), n);
    Stmt *body = lt_stmt_replace_var(k, fold->u.loop.body, var, lt_dim_add(t, start, inner));
    return lt_stmt_for(k, LOOP_SERIAL, inner, n, body);
}

/* alloc ..., acc = 0 ..., for K { ... }, the rest. */
static const char *cut_fold(Partial *p, Stmt *list, const PartialSpec *spec) {
    Kernel *k = p->kernel;
    Stmt *s = list, *inits = NULL, *before = NULL;
    const char *error = NULL;
    for (; s && s->kind == STMT_ALLOC && !error; before = s, s = s->next)
        error = add_sums(p, s->u.alloc.buffer);
    for (inits = s; s && s->kind == STMT_STORE; before = s, s = s->next)
        ;
    if (error)
        return error;
    if (!s || inits == s || s->kind != STMT_FOR || strcmp(s->u.loop.var->name, spec->fold) != 0)
        return lt_arena_printf(k->arena, "partial: '%s' is not the fold of an accumulator",
                               spec->fold);
    Stmt *piece = fold_piece(p, s, spec->size), *rest = s->next;
    for (Stmt *init = inits; init != s; init = init->next)
        continue_sum(p, init);
    const Dim *last = lt_dim_add_const(&k->dims, p->pieces, -1);
    const Expr *more = lt_expr_less(k, p->piece, last);
    piece->next = lt_stmt_if(k, more, store_sums(p), rest);
    before->next = piece;
    return NULL;
}

const char *lt_schedule_partial(Kernel *k, const PartialSpec *spec) {
    Partial p = {.kernel = k};
    Stmt *around = lt_schedule_find(k, spec->loop), **sums = NULL;
    if (!around)
        return lt_arena_printf(k->arena, "there is no loop named '%s'", spec->loop);
    if (spec->size < 1)
        return "partial: the pieces must be positive";
    const LoopNames names = {spec->axes, spec->axis_count};
    const char *error = lt_schedule_axes(k, "partial", around, names, &p.axes);
    for (int i = 0; i < names.count && !error; i++)
        if (strcmp(names.names[i], spec->fold) == 0)
            error =
                lt_arena_printf(k->arena, "partial: '%s' is no axis of its own sums", spec->fold);
    if (!error)
        error = find_sums(&p, around, &sums);
    if (!error)
        error = cut_fold(&p, *sums, spec);
    if (error)
        return error;
    Stmt *body = lt_stmt_for(k, LOOP_SERIAL, p.piece, p.pieces, around->u.loop.body);
    around->u.loop.body = lt_stmt_join(p.allocs, body);
    return NULL;
}
