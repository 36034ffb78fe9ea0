/* schedule_pack.c - `pack` and `hold`: the part of a parameter that a loop reads again and again is
 * copied in front of it, in the order in which it is read: into scratch memory of the thread, or,
 * when it is small, into registers.
 *
 *   pack a L 16 i k:   for L { for i { for k { ... a[i0 + i, k] ... } } }
 * becomes
 *   alloc a.pack[I, K'] scratch
 *   for i { for k.0 { vector k.1 in 16 { a.pack[i, 16 k.0 + k.1] = a[i0 + i, 16 k.0 + k.1] } } }
 *   for L { for i { for k { ... a.pack[i, k] ... } } }
 *
 * Rows of the copy are a cache line longer than they have to be where many of them would otherwise
 * fall into one set of the cache: that, and not the order, is what a matrix whose rows are 4096
 * bytes apart needs. */
#include "ir/schedule.h"

#include <assert.h>
#include <string.h>

enum { LINE_BYTES = 64, CONFLICT_BYTES = 256 };

typedef struct Pack {
    Kernel *kernel;
    const Buffer *buffer, *copy;
    int lanes;
    bool in_registers;
    const char *verb; /* "pack" or "hold" */
    LoopAxes axes;
    const Expr *load; /* the one that is packed */
} Pack;

static const Expr *use_copy(Kernel *k, const Expr *e, void *user) {
    const Pack *p = user;
    if (e != p->load)
        return e;
    return lt_expr_load(k, p->copy, lt_arena_copy(k->arena, p->axes.vars, sizeof p->axes.vars),
                        NULL);
}

/* Inner loops other than the axes must not move the load: the copy has no axis for them. */
static bool moves_with(const Pack *p, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        const Dim *var = s->kind == STMT_FOR   ? s->u.loop.var
                         : s->kind == STMT_LET ? s->u.let.var
                                               : NULL;
        bool is_axis = false;
        for (int i = 0; i < p->axes.count; i++)
            is_axis |= p->axes.vars[i] == var;
        if (var && !is_axis && lt_expr_mentions(p->load, var))
            return true;
        if (s->kind == STMT_FOR && moves_with(p, s->u.loop.body))
            return true;
        if (s->kind == STMT_IF &&
            (moves_with(p, s->u.branch.body) || moves_with(p, s->u.branch.otherwise)))
            return true;
    }
    return false;
}

static const char *make_copy(Pack *p) {
    Kernel *k = p->kernel;
    const int64_t size = (int64_t)lt_dtype_size(p->buffer->dtype);
    const Dim **dims = LT_ARRAY(k->arena, const Dim *, p->axes.count);
    int64_t *last = &p->axes.sizes[p->axes.count - 1], bytes = size;
    *last = (*last + p->lanes - 1) / p->lanes * p->lanes;
    if (!p->in_registers && *last * size % CONFLICT_BYTES == 0)
        *last += LINE_BYTES / size;
    for (int i = 0; i < p->axes.count; i++) {
        dims[i] = lt_dim_const(&k->dims, p->axes.sizes[i]);
        if (__builtin_mul_overflow(bytes, p->axes.sizes[i], &bytes) || bytes > LT_MAX_SCRATCH / 2)
            return lt_arena_printf(k->arena, "%s: the copy of '%s' is too large", p->verb,
                                   p->buffer->name);
    }
    p->copy = lt_kernel_local(k, p->in_registers ? BUFFER_REGISTER : BUFFER_SCRATCH,
                              lt_arena_printf(k->arena, "%s.%s", p->buffer->name, p->verb),
                              p->buffer->dtype, p->axes.count, dims);
    return NULL;
}

/* The nest that fills the copy: loops of its own over the same extents, the last one in vectors. */
static Stmt *fill_copy(Pack *p) {
    Kernel *k = p->kernel;
    const Dim *vars[MAX_LOOP_AXES], *outer = NULL, *inner = NULL, *blocks = NULL;
    const Dim *lanes = lt_dim_const(&k->dims, p->lanes);
    const int last = p->axes.count - 1;
    for (int i = 0; i < last; i++)
        vars[i] = lt_kernel_loop_var(
            k, lt_arena_printf(k->arena, "%s.%s", p->axes.vars[i]->name, p->verb),
            p->axes.extents[i]);
    blocks = lt_dim_ceildiv(&k->dims, p->axes.extents[last], lanes);
    outer = lt_kernel_loop_var(
        k, lt_arena_printf(k->arena, "%s.%s.0", p->axes.vars[last]->name, p->verb), blocks);
    inner = lt_kernel_loop_var(
        k, lt_arena_printf(k->arena, "%s.%s.1", p->axes.vars[last]->name, p->verb), lanes);
    vars[last] = lt_dim_add(&k->dims, lt_dim_mul(&k->dims, outer, lanes), inner);
    const Dim **by = lt_schedule_substitution(k);
    for (int i = 0; i < p->axes.count; i++)
        by[p->axes.vars[i]->symbol] = vars[i];
    Stmt *list = lt_stmt_store(k, p->copy, lt_arena_copy(k->arena, vars, sizeof vars),
                               lt_expr_substitute(k, p->load, by, NULL));
    if (!lt_dim_divisible(&k->dims, p->axes.extents[last], p->lanes))
        list = lt_stmt_if(k, lt_expr_less(k, vars[last], p->axes.extents[last]), list, NULL);
    const LoopKind kind = p->in_registers ? LOOP_UNROLL : LOOP_SERIAL;
    list = lt_stmt_for(k, LOOP_VECTOR, inner, lanes, list);
    list = lt_stmt_for(k, kind, outer, blocks, list);
    for (int i = last - 1; i >= 0; i--)
        list = lt_stmt_for(k, kind, vars[i], lt_dim_substitute(&k->dims, p->axes.extents[i], by),
                           list);
    return list;
}

/* Extents of the copy's loops may use what is visible around L, and axes further out. */
static bool extents_are_visible(const Pack *p, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        const Dim *var = s->kind == STMT_FOR ? s->u.loop.var : NULL;
        for (int i = 0; var && i < p->axes.count; i++) {
            bool is_outer_axis = false;
            for (int j = 0; j < i; j++)
                is_outer_axis |= p->axes.vars[j] == var;
            if (!is_outer_axis && lt_dim_mentions(p->axes.extents[i], var))
                return false;
        }
        if (s->kind == STMT_FOR && !extents_are_visible(p, s->u.loop.body))
            return false;
    }
    return true;
}

const char *lt_schedule_pack(Kernel *k, const PackSpec *spec) {
    Stmt **link = lt_schedule_link(k, spec->loop);
    Pack p = {.kernel = k,
              .buffer = lt_schedule_input(k, spec->buffer),
              .lanes = spec->lanes,
              .in_registers = spec->in_registers,
              .verb = spec->in_registers ? "hold" : "pack"};
    if (!link)
        return lt_arena_printf(k->arena, "there is no loop named '%s'", spec->loop);
    if (!p.buffer)
        return lt_arena_printf(k->arena, "%s: there is no input '%s'", p.verb, spec->buffer);
    if (spec->axis_count < 1 || p.lanes < 1 || p.lanes > LINE_BYTES)
        return lt_arena_printf(k->arena, "%s: takes 1 to 64 lanes and at least one loop", p.verb);
    Stmt *around = *link;
    const LoopNames names = {spec->axes, spec->axis_count};
    const char *error = lt_schedule_axes(k, p.verb, around, names, &p.axes);
    if (error)
        return error;
    Stmt *body = around->u.loop.body;
    p.load = lt_schedule_only_load(k, body, p.buffer);
    if (!p.load)
        return lt_arena_printf(k->arena, "%s: '%s' is not read by exactly one expression", p.verb,
                               spec->buffer);
    if (lt_expr_mentions(p.load, around->u.loop.var) || moves_with(&p, body) ||
        !extents_are_visible(&p, body))
        return lt_arena_printf(k->arena, "%s: other loops than the axes move '%s'", p.verb,
                               spec->buffer);
    for (int i = 0; p.in_registers && i < p.axes.count; i++)
        if (!lt_dim_is_const(p.axes.extents[i]))
            return lt_arena_printf(k->arena, "hold: '%s' has no constant extent", spec->axes[i]);
    error = make_copy(&p);
    if (error)
        return error;
    lt_stmt_map(k, body, use_copy, &p);
    *link = lt_stmt_join(lt_stmt_alloc(k, p.copy), lt_stmt_join(fill_copy(&p), around));
    return NULL;
}
