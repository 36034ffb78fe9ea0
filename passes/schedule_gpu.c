/* schedule_gpu.c - chooses a schedule on a GPU: the class of a kernel picks a row of schedules.def.
 *
 * Every kernel with output loops can run with one thread for each of their iterations; what has
 * none, or runs as it is, is one thread. */
#include "passes/schedule_nest.h"

const char *lt_choose_gpu(Nest *nest) {
    const KernelClass class = nest->kernel->class;
    const bool has_folds = class == KERNEL_REDUCE || class == KERNEL_ROWS ||
                           class == KERNEL_WINDOW || class == KERNEL_CONTRACT ||
                           class == KERNEL_CONV;
    if (class == KERNEL_ATTENTION)
        return lt_schedule_fill(nest, SCHEDULE_BLOCKS);
    const ScheduleRow tile = lt_choose_gpu_tile(nest);
    if (tile != SCHEDULE_LIMIT)
        return lt_schedule_fill(nest, tile);
    const char *rows = has_folds ? lt_choose_gpu_rows(nest) : NULL;
    if (rows)
        return rows;
    const char *steps = class == KERNEL_SERIAL ? lt_choose_gpu_steps(nest) : NULL;
    if (steps)
        return steps;
    if (class == KERNEL_SERIAL || nest->loop_count == 0)
        return "";
    return lt_schedule_fill(nest, class == KERNEL_MAP                 ? lt_choose_gpu_map(nest)
                                  : has_folds && class != KERNEL_ROWS ? lt_choose_gpu_sweep(nest)
                                                                      : SCHEDULE_THREADS);
}
