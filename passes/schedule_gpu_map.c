/* schedule_gpu_map.c - kernels that work element by element on a GPU: a thread has an element or,
 * where memory is walked in order, several neighbours at once. */
#include "passes/schedule_nest.h"

enum {
    VECTOR_BYTES = 16,
    LEAST_SIDE = 16,       /* of what is turned around */
    LEAST_ELEMENTS = 65536 /* with fewer, more threads are worth more than wide loads */
};

int64_t lt_kernel_widest_element(const Kernel *k) {
    size_t bytes = 1;
    for (uint32_t i = 0; i < k->param_count; i++)
        if (lt_dtype_size(k->buffers.data[i]->dtype) > bytes)
            bytes = lt_dtype_size(k->buffers.data[i]->dtype);
    return (int64_t)bytes;
}

int lt_gpu_lanes(Nest *nest, const Stmt *loop) {
    Kernel *k = nest->kernel;
    int64_t lanes = VECTOR_BYTES / lt_kernel_widest_element(k);
    while (lanes > 1 && !lt_dim_divisible(&k->dims, loop->u.loop.extent, lanes))
        lanes /= 2;
    const bool walks =
        lanes > 1 && lt_nest_walks(nest, loop, true) && lt_nest_walks(nest, loop, false);
    return walks ? (int)lanes : 1;
}

/* --- across memory ------------------------------------------------------------------------- */

/* The load that does not run along v, in *out; false: there are several, or one with no stride. */
static bool find_across(const Nest *nest, const Expr *e, const Stmt *v, const Expr **out) {
    if (e->kind == EXPR_LOAD) {
        const Dim *stride = lt_load_stride(nest->kernel, e, v->u.loop.var);
        if (e->u.load.predicate || !stride ||
            (*out && *out != e && !lt_dim_is(stride, 0) && !lt_dim_is(stride, 1)))
            return false;
        if (!lt_dim_is(stride, 0) && !lt_dim_is(stride, 1))
            *out = e;
        return true;
    }
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        if (e->u.call.args[i] && !find_across(nest, e->u.call.args[i], v, out))
            return false;
    return true;
}

/* The nest turns squares of an input around: its u, v and a are set. */
static bool turns(Nest *nest, const Stmt *last) {
    Stmt *store = last->u.loop.body;
    const Expr *across = NULL;
    if (store->kind != STMT_STORE || store->next || !lt_loop_reaches(last, LEAST_SIDE) ||
        !lt_nest_walks(nest, last, true) ||
        !find_across(nest, store->u.store.value, last, &across) || !across ||
        lt_schedule_only_load(nest->kernel, store, across->u.load.buffer) != across ||
        across->u.load.buffer->kind != BUFFER_INPUT)
        return false;
    for (int i = 0; i + 1 < nest->loop_count; i++) {
        const Dim *stride = lt_load_stride(nest->kernel, across, nest->loops[i]->u.loop.var);
        if (!stride || !lt_dim_is(stride, 1) || !lt_loop_reaches(nest->loops[i], LEAST_SIDE))
            continue;
        nest->u = nest->loops[i];
        nest->v = last;
        nest->a = across->u.load.buffer->name;
        return true;
    }
    return false;
}

ScheduleRow lt_choose_gpu_map(Nest *nest) {
    const Stmt *last = nest->loops[nest->loop_count - 1];
    if (last->u.loop.body && turns(nest, last))
        return SCHEDULE_THREAD_TURN;
    for (const Stmt *s = last->u.loop.body; s; s = s->next)
        if (s->kind != STMT_STORE)
            return SCHEDULE_THREADS;
    const int lanes = lt_gpu_lanes(nest, last);
    if (lanes == 1 ||
        lt_loops_iterations(nest->loops, nest->loop_count, INT64_MAX) < LEAST_ELEMENTS)
        return SCHEDULE_THREADS;
    nest->v = last;
    nest->vl = lanes;
    return SCHEDULE_THREAD_VECTORS;
}
