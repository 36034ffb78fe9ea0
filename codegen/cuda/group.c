/* group.c - blocks of several groups of threads, each of which has a row of its own.
 *
 *   const int i = 8 * blockIdx.x + threadIdx.x / 32;
 *   const int lane = threadIdx.x % 32;
 *   if (i >= n)
 *       return;
 *
 * A thread's number is made of its lane and its group, and the group of the row i, so that no index
 * mentions blocks and threads. Groups that only wait for each other inside of a warp leave where
 * there is no row for them. */
#include <string.h>

#include "codegen/cuda/cuda.h"
#include "ir/schedule.h"

static const Stmt *narrowest(const Stmt *list) {
    const Stmt *found = NULL;
    for (const Stmt *s = list; s; s = s->next) {
        const Stmt *here = s->kind == STMT_COMBINE ? s
                           : s->kind == STMT_FOR   ? narrowest(s->u.loop.body)
                                                   : NULL;
        if (here && (!found || here->u.combine.width < found->u.combine.width))
            found = here;
    }
    return found;
}

static bool waits_for_warps(const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        const bool is_loop = s->kind == STMT_FOR && waits_for_warps(s->u.loop.body);
        if (is_loop || s->kind == STMT_BARRIER ||
            (s->kind == STMT_COMBINE && (s->u.combine.width > LT_WARP || s->u.combine.apart > 1)))
            return true;
    }
    return false;
}

/* --- the row's condition --- */

/* What the row is below, by this condition; NULL: it does not say so. */
static const Dim *row_end(Writer *w, const Expr *e) {
    if (e->kind != EXPR_CALL || e->u.call.fn != FN_LT)
        return NULL;
    Kernel *k = (Kernel *)w->kernel; /* interning only adds to it */
    const Dim *row = lt_expr_dim(k, e->u.call.args[0]), *end = lt_expr_dim(k, e->u.call.args[1]);
    return row && end && lt_cuda_replaced(w, row) == w->row ? end : NULL;
}

/* The part of a conjunction that is about the row, or NULL. */
static const Expr *find_condition(Writer *w, const Expr *e) {
    if (e->kind != EXPR_CALL || e->u.call.fn != FN_AND)
        return row_end(w, e) ? e : NULL;
    const Expr *a = e->u.call.args[0], *b = e->u.call.args[1];
    return row_end(w, a) ? a : row_end(w, b) ? b : NULL;
}

/* What all thread loops ask of the row, and those before `common`, which may be NULL; NULL:
 * nothing, or not all. */
static const Dim *common_end(Writer *w, const Stmt *list, const Dim *common) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind != STMT_FOR)
            continue;
        if (s->u.loop.kind != LOOP_THREAD) {
            if (lt_stmt_threads(s->u.loop.body) &&
                !(common = common_end(w, s->u.loop.body, common)))
                return NULL;
            continue;
        }
        const Stmt *body = s->u.loop.body;
        const bool is_branch =
            body && !body->next && body->kind == STMT_IF && !body->u.branch.otherwise;
        const Expr *found = is_branch ? find_condition(w, body->u.branch.condition) : NULL;
        const Dim *end = found ? row_end(w, found) : NULL;
        if (!end || (common && end != common))
            return NULL;
        common = end;
    }
    return common;
}

const Expr *lt_cuda_open_condition(Writer *w, const Expr *e) {
    const Expr *known = w->row_end ? find_condition(w, e) : NULL;
    if (!known)
        return e;
    return known == e ? NULL : e->u.call.args[e->u.call.args[0] == known];
}

/* --- groups --- */

static void replace_threads(Writer *w, const Stmt *list, const Dim *thread) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_FOR && s->u.loop.kind == LOOP_THREAD)
            w->replaced[s->u.loop.var->symbol] = thread;
        else if (s->kind == STMT_FOR)
            replace_threads(w, s->u.loop.body, thread);
    }
}

void lt_cuda_find_groups(Writer *w) {
    const Stmt *grid = w->kernel->body;
    const bool is_grid = grid && grid->kind == STMT_FOR && grid->u.loop.kind == LOOP_GRID;
    /* An attention's groups share all of a tile of rows. */
    const bool has_rows = is_grid && w->kernel->class != KERNEL_ATTENTION;
    const Stmt *combine = has_rows ? narrowest(grid->u.loop.body) : NULL;
    if (!combine || combine->u.combine.width == w->threads || w->axis)
        return;
    DimTable *t = &w->dims;
    const char *name = grid->u.loop.var->name;
    const size_t stem = lt_str_ends(name, ".0") ? strlen(name) - 2 : strlen(name);
    w->lanes = combine->u.combine.width;
    w->apart = combine->u.combine.apart;
    const int64_t groups = w->threads / w->lanes;
    const Dim *group = lt_dim_symbol(t, "group"), *block = grid->u.loop.var;
    w->lane = lt_dim_symbol(t, "lane");
    w->row = lt_dim_symbol(t, lt_arena_printf(w->arena, "%.*s.at", (int)stem, name));
    lt_dim_set_range(t, group, 0, groups - 1);
    lt_dim_set_range(t, w->lane, 0, w->lanes - 1);
    w->block = block;
    w->positions = groups;
    const Dim *start = lt_dim_mul_const(t, block, groups);
    int64_t lo, hi;
    lt_dim_range(t, lt_dim_add(t, start, group), &lo, &hi);
    lt_dim_set_range(t, w->row, lo, hi);
    w->replaced[group->symbol] = lt_dim_sub(t, w->row, start);
    const Dim *thread = w->apart > 1 ? lt_dim_add(t, lt_dim_mul_const(t, w->lane, groups), group)
                                     : lt_dim_add(t, lt_dim_mul_const(t, group, w->lanes), w->lane);
    replace_threads(w, grid->u.loop.body, thread);
    w->any_replaced = true;
    if (!waits_for_warps(grid->u.loop.body))
        w->row_end = common_end(w, grid->u.loop.body, NULL);
}

void lt_cuda_begin_groups(Writer *w, const Stmt *grid) {
    const bool is_across = w->apart > 1;
    const char *type = lt_cuda_index_type(w, w->row);
    const int64_t groups = w->threads / w->lanes, by = is_across ? groups : w->lanes;
    const char *stem = lt_arena_strndup(w->arena, w->row->name, strlen(w->row->name) - 3);
    const char *row = lt_cuda_name(w->arena, &w->names, strpbrk(stem, "_.") ? "i" : stem);
    const char *lane = lt_cuda_name(w->arena, &w->names, "lane");
    lt_cuda_line(w, "const %s %s = %lld * %s + threadIdx.x %c %lld;", type, row, (long long)groups,
                 strcmp(type, "int") == 0 ? "blockIdx.x" : "int64_t(blockIdx.x)",
                 is_across ? '%' : '/', (long long)by);
    lt_cuda_line(w, "const int %s = threadIdx.x %c %lld;", lane, is_across ? '/' : '%',
                 (long long)by);
    lt_cuda_bind(w, w->row, row);
    lt_cuda_bind(w, w->lane, lane);
    lt_cuda_bind(
        w, grid->u.loop.var,
        lt_arena_printf(w->arena, "%s(blockIdx.x)", lt_cuda_index_type(w, grid->u.loop.var)));
    if (!w->row_end)
        return;
    lt_cuda_line(w, "if (%s >= %s)", row,
                 lt_cuda_tight(w->arena, lt_cuda_dim(w, w->row_end), BIND_SUM));
    lt_cuda_line(w, "    return;");
}
