/* schedule_turn.c - `turn`: what a nest reads across memory goes through shared memory.
 *
 *   turn x u v:   for o { for u { for v { y[o, u, v] = f(x[o, v, u]) } } }
 *   becomes       for o { for u.0 { for v.0 {
 *                   alloc x.turned[32, 33] shared
 *                   thread r_c in 256 { unroll step in 4 {
 *                     x.turned[8*step + r, c] = x[o, 32*v.0 + 8*step + r, 32*u.0 + c] } }
 *                   barrier
 *                   thread r_c in 256 { unroll step in 4 {
 *                     y[o, 32*u.0 + 8*step + r, 32*v.0 + c] = f(x.turned[c, 8*step + r]) } } } } }
 *
 * where r is r_c / 32 and c is r_c mod 32: neighbouring threads read and write neighbouring
 * elements. A row of the copy is one longer than it has to be, so that a column of it lies in all
 * banks. */
#include "ir/schedule.h"

#include <string.h>

enum { SIDE = 32, BLOCK = 256, STEPS = SIDE * SIDE / BLOCK, MAX_AROUND = 16 };

typedef struct Turn {
    Kernel *k;
    const Stmt *u, *v, *store;
    const Stmt *around[MAX_AROUND]; /* the other loops, outermost first */
    int around_count;
    const Expr *load;
    const Buffer *copy;
    const Dim *u_block, *v_block, *thread, *step;
} Turn;

/* A nest of loops alone, around one store. */
static bool read_nest(Turn *t, const char *u, const char *v) {
    const Stmt *s = t->k->body;
    for (; s && s->kind == STMT_FOR && !s->next; s = s->u.loop.body) {
        if (s->u.loop.kind != LOOP_SERIAL || t->around_count == MAX_AROUND)
            return false;
        if (strcmp(s->u.loop.var->name, u) == 0)
            t->u = s;
        else if (strcmp(s->u.loop.var->name, v) == 0)
            t->v = s;
        else
            t->around[t->around_count++] = s;
    }
    t->store = s;
    return s && !s->next && s->kind == STMT_STORE && t->u && t->v;
}

static const Expr *map_load(Kernel *k, const Expr *e, void *user) {
    const Turn *t = user;
    const Dim *side = lt_dim_const(&k->dims, SIDE);
    if (e != t->load)
        return e;
    const Dim *row = lt_dim_mod(&k->dims, t->v->u.loop.var, side);
    const Dim *column = lt_dim_mod(&k->dims, t->u->u.loop.var, side);
    return lt_expr_load(k, t->copy, (const Dim *const[]){row, column}, NULL);
}

/* thread r_c { unroll step { if (inside) { store } } }, `rows` along r and `columns` along c. */
static Stmt *pass_over(Turn *t, Stmt *store, const Stmt *rows, const Dim *row_block,
                       const Stmt *columns, const Dim *column_block) {
    Kernel *k = t->k;
    DimTable *dims = &k->dims;
    const Dim *side = lt_dim_const(dims, SIDE), **by = lt_schedule_substitution(k);
    const Dim *r = lt_dim_add(dims, lt_dim_mul_const(dims, t->step, SIDE / STEPS),
                              lt_dim_floordiv(dims, t->thread, side));
    const Dim *c = lt_dim_mod(dims, t->thread, side);
    const Dim *row = lt_dim_add(dims, lt_dim_mul(dims, row_block, side), r);
    const Dim *column = lt_dim_add(dims, lt_dim_mul(dims, column_block, side), c);
    by[rows->u.loop.var->symbol] = row;
    by[columns->u.loop.var->symbol] = column;
    Stmt *body = lt_stmt_copy(k, store, by, NULL);
    const Expr *inside = NULL;
    if (!lt_dim_divisible(dims, rows->u.loop.extent, SIDE))
        inside = lt_expr_less(k, row, rows->u.loop.extent);
    if (!lt_dim_divisible(dims, columns->u.loop.extent, SIDE))
        inside = lt_expr_and(k, inside, lt_expr_less(k, column, columns->u.loop.extent));
    if (inside)
        body = lt_stmt_if(k, inside, body, NULL);
    body = lt_stmt_for(k, LOOP_UNROLL, t->step, lt_dim_const(dims, STEPS), body);
    return lt_stmt_for(k, LOOP_THREAD, t->thread, lt_dim_const(dims, BLOCK), body);
}

static const Dim *block_var(Turn *t, const Stmt *loop, const Dim **blocks) {
    Kernel *k = t->k;
    *blocks = lt_dim_ceildiv(&k->dims, loop->u.loop.extent, lt_dim_const(&k->dims, SIDE));
    return lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.0", loop->u.loop.var->name),
                              *blocks);
}

const char *lt_schedule_turn(Kernel *k, const char *buffer, const char *u, const char *v) {
    Turn t = {.k = k};
    const Buffer *from = lt_schedule_input(k, buffer);
    if (!from || !read_nest(&t, u, v))
        return lt_arena_printf(k->arena,
                               "turn: '%s' is no input, or the nest has no loops '%s' and '%s' "
                               "around one store",
                               buffer, u, v);
    t.load = lt_schedule_only_load(k, (Stmt *)t.store, from);
    if (!t.load || t.load->u.load.predicate)
        return lt_arena_printf(k->arena, "turn: '%s' is not read once, without a condition",
                               buffer);
    const Dim *side = lt_dim_const(&k->dims, SIDE);
    const Dim *dims[] = {side, lt_dim_add_const(&k->dims, side, 1)}, *u_blocks, *v_blocks;
    t.copy = lt_kernel_local(k, BUFFER_SHARED, lt_arena_printf(k->arena, "%s.turned", buffer),
                             from->dtype, 2, dims);
    t.u_block = block_var(&t, t.u, &u_blocks);
    t.v_block = block_var(&t, t.v, &v_blocks);
    t.thread = lt_kernel_loop_var(k, "r_c", lt_dim_const(&k->dims, BLOCK));
    t.step = lt_kernel_loop_var(k, "step", lt_dim_const(&k->dims, STEPS));
    const Dim *place[] = {lt_dim_mod(&k->dims, t.v->u.loop.var, side),
                          lt_dim_mod(&k->dims, t.u->u.loop.var, side)};
    Stmt *fill = lt_stmt_store(k, t.copy, place, t.load);
    Stmt *store = lt_stmt_copy(k, t.store, NULL, NULL);
    lt_stmt_map(k, store, map_load, &t);
    Stmt *list = lt_stmt_alloc(k, t.copy);
    list = lt_stmt_join(list, pass_over(&t, fill, t.v, t.v_block, t.u, t.u_block));
    list = lt_stmt_join(list, lt_stmt_barrier(k));
    list = lt_stmt_join(list, pass_over(&t, store, t.u, t.u_block, t.v, t.v_block));
    list = lt_stmt_for(k, LOOP_SERIAL, t.v_block, v_blocks, list);
    list = lt_stmt_for(k, LOOP_SERIAL, t.u_block, u_blocks, list);
    for (int i = t.around_count - 1; i >= 0; i--)
        list =
            lt_stmt_for(k, LOOP_SERIAL, t.around[i]->u.loop.var, t.around[i]->u.loop.extent, list);
    k->body = list;
    return NULL;
}
