/* schedule_gpu_sweep.c - folds over a few taps on a GPU, whose results lie beside each other.
 *
 * Windows of neighbouring results overlap: a thread with several results in a row loads what they
 * share once, and its weights too. How many follows from the results that there are: threads come
 * first, then wide loads, then results in a row. */
#include "passes/schedule_nest.h"

enum {
    MOST_RESULTS = 4     /* of a thread, in a row */
};

ScheduleRow lt_choose_gpu_sweep(Nest *nest) {
    if (nest->loop_count < 2 || !lt_nest_taps(nest))
        return SCHEDULE_THREADS;
    const Stmt *last = nest->loops[nest->loop_count - 1], *row = nest->loops[nest->loop_count - 2];
    const int64_t results = lt_loops_iterations(nest->loops, nest->loop_count, INT64_MAX);
    int lanes = lt_gpu_lanes(nest, last), rows = MOST_RESULTS;
    while (lanes > 1 && results / lanes < LT_GPU_THREADS)
        lanes /= 2;
    while (rows > 1 && (results / lanes / rows < LT_GPU_THREADS ||
                        !lt_dim_divisible(&nest->kernel->dims, row->u.loop.extent, rows)))
        rows /= 2;
    if (lanes == 1 && rows == 1)
        return SCHEDULE_THREADS;
    nest->has_few_taps = true;
    nest->u = row;
    nest->v = last;
    nest->mr = rows;
    nest->vl = lanes;
    return SCHEDULE_THREAD_SWEEP;
}
