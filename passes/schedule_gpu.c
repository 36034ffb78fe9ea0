/* schedule_gpu.c - chooses a schedule on a GPU: the class of a kernel picks a row of schedules.def.
 *
 * Every kernel with output loops can run with one thread for each of their iterations; what has
 * none, or runs as it is, is one thread. */
#include "passes/schedule_nest.h"

const char *lt_choose_gpu(Nest *nest) {
    const bool is_serial = nest->kernel->class == KERNEL_SERIAL || nest->loop_count == 0;
    return is_serial ? "" : lt_schedule_fill(nest, SCHEDULE_THREADS);
}
