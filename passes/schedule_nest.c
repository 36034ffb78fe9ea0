/* schedule_nest.c - reads the loops of a naive kernel, and how they walk memory. */
#include "passes/schedule_nest.h"

#include <string.h>

/* --- reading the nest ---------------------------------------------------------------------------
 */

static void find_folds(Nest *nest, const Stmt *list) {
    for (const Stmt *s = list; s && nest->fold_count == 0; s = s->next) {
        const Stmt *inner = s;
        while (inner && (inner->kind == STMT_FOR || inner->kind == STMT_IF) &&
               nest->fold_count < MAX_LOOPS) {
            if (inner->kind == STMT_FOR)
                nest->folds[nest->fold_count++] = inner;
            inner = inner->kind == STMT_FOR ? inner->u.loop.body : inner->u.branch.body;
        }
    }
}

void lt_nest_read(Nest *nest) {
    const Stmt *s = nest->kernel->body;
    while (s && s->kind == STMT_FOR && !s->next && nest->loop_count < MAX_LOOPS) {
        nest->loops[nest->loop_count++] = s;
        s = s->u.loop.body;
    }
    find_folds(nest, s);
}

/* --- how a loop walks memory --------------------------------------------------------------------
 */

/* Steps of 0, 1, or anything else that every access makes when `var` grows by one, as a set of
 * bits. */
enum { STEP_NONE = 1, STEP_ONE = 2, STEP_OTHER = 4 };

static int access_step(Kernel *k, const Buffer *buffer, const Dim *const *index, const Dim *var) {
    int step = STEP_NONE;
    for (int i = 0; i < buffer->rank; i++) {
        if (!lt_dim_mentions(index[i], var))
            continue;
        const Dim *rest = lt_dim_sub(&k->dims, index[i], var);
        bool unit = !lt_dim_mentions(rest, var);
        bool last = i == buffer->rank - 1;
        /* The panels of a packed operand: n floordiv p, ..., n mod p walks like n within a panel.
         */
        bool within_panel = index[i]->kind == DIM_MOD && last && index[i]->args[0] == var;
        bool panel_number = index[i]->kind == DIM_FLOORDIV && index[i]->args[0] == var && !last;
        if (panel_number)
            continue;
        step |= last && (unit || within_panel) ? STEP_ONE : STEP_OTHER;
    }
    return step == STEP_NONE ? STEP_NONE : step & ~STEP_NONE;
}

static int expr_step(Kernel *k, const Expr *e, const Dim *var) {
    if (e->kind == EXPR_LOAD) {
        bool local = e->u.load.buffer->kind > BUFFER_OUTPUT;
        return local ? 0 : access_step(k, e->u.load.buffer, e->u.load.index, var);
    }
    int steps = 0;
    if (lt_expr_has_args(e))
        for (int i = 0; i < 3; i++)
            if (e->u.call.args[i])
                steps |= expr_step(k, e->u.call.args[i], var);
    return steps;
}

/* Loads only (stores false), or stores only. */
static int list_step(Kernel *k, const Stmt *list, const Dim *var, bool stores) {
    int steps = 0;
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_FOR)
            steps |= list_step(k, s->u.loop.body, var, stores);
        if (s->kind == STMT_IF) {
            steps |= list_step(k, s->u.branch.body, var, stores);
            steps |= list_step(k, s->u.branch.otherwise, var, stores);
        }
        if (s->kind == STMT_LET && !stores)
            steps |= expr_step(k, s->u.let.value, var);
        if (s->kind != STMT_STORE)
            continue;
        if (!stores)
            steps |= expr_step(k, s->u.store.value, var);
        if (stores && s->u.store.buffer->kind == BUFFER_OUTPUT)
            steps |= access_step(k, s->u.store.buffer, s->u.store.index, var);
    }
    return steps;
}

bool lt_nest_walks(Nest *nest, const Stmt *loop, bool stores) {
    int steps = list_step(nest->kernel, loop->u.loop.body, loop->u.loop.var, stores);
    return !(steps & STEP_OTHER) && (!stores || steps & STEP_ONE);
}

bool lt_loop_reaches(const Stmt *loop, int64_t least) {
    return !lt_dim_is_const(loop->u.loop.extent) || loop->u.loop.extent->value >= least;
}

int lt_nest_lanes(const Nest *nest) {
    size_t bytes = 4;
    for (size_t i = 0; i < nest->kernel->param_count; i++) {
        const Buffer *b = nest->kernel->buffers.data[i];
        if (b->kind == BUFFER_OUTPUT && lt_dtype_size(b->dtype) > bytes)
            bytes = lt_dtype_size(b->dtype);
    }
    return lt_target_lanes(nest->target, (int)bytes);
}

const Stmt *lt_nest_rows(const Nest *nest) {
    for (int i = nest->loop_count - 2; i >= 0; i--) {
        const char kind = nest->loops[i]->u.loop.var->name[0];
        if (kind == 'm' || kind == 'y')
            return nest->loops[i];
    }
    return NULL;
}

int64_t lt_loops_iterations(const Stmt *const *loops, int count, int64_t unknown) {
    int64_t product = 1;
    for (int i = 0; i < count; i++) {
        const Dim *extent = loops[i]->u.loop.extent;
        if (!lt_dim_is_const(extent) || __builtin_mul_overflow(product, extent->value, &product))
            return unknown;
    }
    return product;
}

const Dim *lt_load_stride(Kernel *k, const Expr *load, const Dim *var) {
    const Dim *flat = lt_buffer_flat(&k->dims, load->u.load.buffer, load->u.load.index);
    const Dim *stride = lt_dim_step(k, flat, var);
    return lt_dim_mentions(stride, var) ? NULL : stride;
}
