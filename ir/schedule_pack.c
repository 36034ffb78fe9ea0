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

enum { MAX_PACK_AXES = LT_MAX_RANK, LINE_BYTES = 64, CONFLICT_BYTES = 256 };

typedef struct Pack {
    Kernel *kernel;
    const Buffer *buffer, *copy;
    int axis_count, lanes;
    bool in_registers;
    const char *verb; /* "pack" or "hold" */
    const Dim *vars[MAX_PACK_AXES], *extents[MAX_PACK_AXES];
    int64_t sizes[MAX_PACK_AXES]; /* the greatest extents */
    const Expr *load;             /* the one that is packed */
} Pack;

static const Expr *use_copy(Kernel *k, const Expr *e, void *user) {
    const Pack *p = user;
    if (e != p->load)
        return e;
    return lt_expr_load(k, p->copy, lt_arena_copy(k->arena, p->vars, sizeof p->vars), NULL);
}

static const char *find_axes(Pack *p, const Stmt *around, const char *const *loops) {
    Kernel *k = p->kernel;
    for (int i = 0; i < p->axis_count; i++) {
        Kernel probe = *k;
        probe.body = around->u.loop.body;
        const Stmt *s = lt_schedule_find(&probe, loops[i]);
        int64_t lo;
        if (!s)
            return lt_arena_printf(k->arena, "%s: '%s' is not inside '%s'", p->verb, loops[i],
                                   around->u.loop.var->name);
        p->vars[i] = s->u.loop.var;
        p->extents[i] = s->u.loop.extent;
        lt_dim_range(&k->dims, s->u.loop.extent, &lo, &p->sizes[i]);
        if (p->sizes[i] < 1 || p->sizes[i] > LT_MAX_SCRATCH)
            return lt_arena_printf(k->arena, "%s: the extent of '%s' has no bound", p->verb,
                                   loops[i]);
    }
    return NULL;
}

/* Inner loops other than the axes must not move the load: the copy has no axis for them. */
static bool moves_with(const Pack *p, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        const Dim *var = s->kind == STMT_FOR   ? s->u.loop.var
                         : s->kind == STMT_LET ? s->u.let.var
                                               : NULL;
        bool is_axis = false;
        for (int i = 0; i < p->axis_count; i++)
            is_axis |= p->vars[i] == var;
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
    const Dim **dims = LT_ARRAY(k->arena, const Dim *, p->axis_count);
    int64_t *last = &p->sizes[p->axis_count - 1], bytes = size;
    *last = (*last + p->lanes - 1) / p->lanes * p->lanes;
    if (!p->in_registers && *last * size % CONFLICT_BYTES == 0)
        *last += LINE_BYTES / size;
    for (int i = 0; i < p->axis_count; i++) {
        dims[i] = lt_dim_const(&k->dims, p->sizes[i]);
        if (__builtin_mul_overflow(bytes, p->sizes[i], &bytes) || bytes > LT_MAX_SCRATCH / 2)
            return lt_arena_printf(k->arena, "%s: the copy of '%s' is too large", p->verb,
                                   p->buffer->name);
    }
    p->copy = lt_kernel_local(k, p->in_registers ? BUFFER_REGISTER : BUFFER_SCRATCH,
                              lt_arena_printf(k->arena, "%s.%s", p->buffer->name, p->verb),
                              p->buffer->dtype, p->axis_count, dims);
    return NULL;
}

/* The nest that fills the copy: loops of its own over the same extents, the last one in vectors. */
static Stmt *fill_copy(Pack *p) {
    Kernel *k = p->kernel;
    const Dim *vars[MAX_PACK_AXES], *outer = NULL, *inner = NULL, *blocks = NULL;
    const Dim *lanes = lt_dim_const(&k->dims, p->lanes);
    const int last = p->axis_count - 1;
    for (int i = 0; i < last; i++)
        vars[i] = lt_kernel_loop_var(
            k, lt_arena_printf(k->arena, "%s.%s", p->vars[i]->name, p->verb), p->extents[i]);
    blocks = lt_dim_ceildiv(&k->dims, p->extents[last], lanes);
    outer = lt_kernel_loop_var(
        k, lt_arena_printf(k->arena, "%s.%s.0", p->vars[last]->name, p->verb), blocks);
    inner = lt_kernel_loop_var(
        k, lt_arena_printf(k->arena, "%s.%s.1", p->vars[last]->name, p->verb), lanes);
    vars[last] = lt_dim_add(&k->dims, lt_dim_mul(&k->dims, outer, lanes), inner);
    const Dim **by = lt_schedule_substitution(k);
    for (int i = 0; i < p->axis_count; i++)
        by[p->vars[i]->symbol] = vars[i];
    Stmt *list = lt_stmt_store(k, p->copy, lt_arena_copy(k->arena, vars, sizeof vars),
                               lt_expr_substitute(k, p->load, by, NULL));
    if (!lt_dim_divisible(&k->dims, p->extents[last], p->lanes))
        list = lt_stmt_if(k, lt_expr_less(k, vars[last], p->extents[last]), list, NULL);
    const LoopKind kind = p->in_registers ? LOOP_UNROLL : LOOP_SERIAL;
    list = lt_stmt_for(k, LOOP_VECTOR, inner, lanes, list);
    list = lt_stmt_for(k, kind, outer, blocks, list);
    for (int i = last - 1; i >= 0; i--)
        list = lt_stmt_for(k, kind, vars[i], lt_dim_substitute(&k->dims, p->extents[i], by), list);
    return list;
}

/* Extents of the copy's loops may use what is visible around L, and axes further out. */
static bool extents_are_visible(const Pack *p, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        const Dim *var = s->kind == STMT_FOR ? s->u.loop.var : NULL;
        for (int i = 0; var && i < p->axis_count; i++) {
            bool is_outer_axis = false;
            for (int j = 0; j < i; j++)
                is_outer_axis |= p->vars[j] == var;
            if (!is_outer_axis && lt_dim_mentions(p->extents[i], var))
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
              .axis_count = spec->axis_count,
              .lanes = spec->lanes,
              .in_registers = spec->in_registers,
              .verb = spec->in_registers ? "hold" : "pack"};
    if (!link)
        return lt_arena_printf(k->arena, "there is no loop named '%s'", spec->loop);
    if (!p.buffer)
        return lt_arena_printf(k->arena, "%s: there is no input '%s'", p.verb, spec->buffer);
    if (p.axis_count < 1 || p.axis_count > MAX_PACK_AXES || p.lanes < 1 || p.lanes > LINE_BYTES)
        return lt_arena_printf(k->arena, "%s: takes 1 to 64 lanes and at least one loop", p.verb);
    Stmt *around = *link;
    const char *error = find_axes(&p, around, spec->axes);
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
    for (int i = 0; p.in_registers && i < p.axis_count; i++)
        if (!lt_dim_is_const(p.extents[i]))
            return lt_arena_printf(k->arena, "hold: '%s' has no constant extent", spec->axes[i]);
    error = make_copy(&p);
    if (error)
        return error;
    lt_stmt_map(k, body, use_copy, &p);
    *link = lt_stmt_join(lt_stmt_alloc(k, p.copy), lt_stmt_join(fill_copy(&p), around));
    return NULL;
}
