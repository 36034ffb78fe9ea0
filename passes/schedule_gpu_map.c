/* schedule_gpu_map.c - kernels that work element by element on a GPU: a thread has an element or,
 * where memory is walked in order, several neighbours at once. */
#include "passes/schedule_nest.h"

enum {
    VECTOR_BYTES = 16,
    LEAST_LANES = 2,
    LEAST_ELEMENTS = 65536 /* with fewer, more threads are worth more than wide loads */
};

/* Elements, as far as extents are known. */
static int64_t count_elements(const Nest *nest) {
    int64_t count = 1;
    for (int i = 0; i < nest->loop_count; i++) {
        const Dim *extent = nest->loops[i]->u.loop.extent;
        if (!lt_dim_is_const(extent) || __builtin_mul_overflow(count, extent->value, &count))
            return INT64_MAX;
    }
    return count;
}

int64_t lt_kernel_widest_element(const Kernel *k) {
    size_t bytes = 1;
    for (uint32_t i = 0; i < k->param_count; i++)
        if (lt_dtype_size(k->buffers.data[i]->dtype) > bytes)
            bytes = lt_dtype_size(k->buffers.data[i]->dtype);
    return (int64_t)bytes;
}

ScheduleRow lt_choose_gpu_map(Nest *nest) {
    Kernel *k = nest->kernel;
    const Stmt *last = nest->loops[nest->loop_count - 1];
    for (const Stmt *s = last->u.loop.body; s; s = s->next)
        if (s->kind != STMT_STORE)
            return SCHEDULE_THREADS;
    int64_t lanes = VECTOR_BYTES / lt_kernel_widest_element(k);
    while (lanes >= LEAST_LANES && !lt_dim_divisible(&k->dims, last->u.loop.extent, lanes))
        lanes /= 2;
    if (lanes < LEAST_LANES || count_elements(nest) < LEAST_ELEMENTS ||
        !lt_nest_walks(nest, last, true) || !lt_nest_walks(nest, last, false))
        return SCHEDULE_THREADS;
    nest->v = last;
    nest->vl = (int)lanes;
    return SCHEDULE_THREAD_VECTORS;
}
