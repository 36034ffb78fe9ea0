/* schedule_gpu.c - chooses a schedule on a GPU: the class of a kernel picks a row of schedules.def.
 *
 * Every kernel with output loops can run with one thread for each of their iterations; what has
 * none, or runs as it is, is one thread. */
#include "passes/schedule_nest.h"

#include <string.h>

enum {
    THREAD_ROWS = 4,
    THREAD_COLUMNS = 4,
    LEAST_ROWS = 32,
    LEAST_COLUMNS = 16,
    MOST_COLUMNS = 64
};

/* Loops of a contraction or of a convolution over channels, as lt_choose_tile finds them; false
 * when they are too short for a tile. */
static bool find_tile(Nest *nest) {
    const Stmt *last = nest->loops[nest->loop_count - 1], *m = NULL;
    for (int i = 0; i + 1 < nest->loop_count; i++) {
        const char kind = nest->loops[i]->u.loop.var->name[0];
        if (kind == 'm' || kind == 'y')
            m = nest->loops[i];
    }
    if (!m || nest->fold_count == 0 || !lt_loop_reaches(m, LEAST_ROWS) ||
        !lt_loop_reaches(last, LEAST_COLUMNS) || !lt_nest_walks(nest, last, true))
        return false;
    nest->m = m;
    nest->n = last;
    nest->mr = THREAD_ROWS;
    nest->nr = THREAD_COLUMNS;
    nest->nt = LEAST_COLUMNS;
    while (nest->nt < MOST_COLUMNS && lt_loop_reaches(last, nest->nt + 1))
        nest->nt *= 2;
    nest->mt = BLOCK_THREADS / (nest->nt / nest->nr) * nest->mr;
    return true;
}

static bool folds_channels(const Nest *nest) {
    return nest->kernel->class == KERNEL_CONTRACT ||
           (nest->kernel->class == KERNEL_CONV && nest->fold_count &&
            strcmp(nest->folds[nest->fold_count - 1]->u.loop.var->name, "c") == 0);
}

const char *lt_choose_gpu(Nest *nest) {
    const KernelClass class = nest->kernel->class;
    const bool has_folds = class == KERNEL_REDUCE || class == KERNEL_ROWS ||
                           class == KERNEL_WINDOW || class == KERNEL_CONTRACT ||
                           class == KERNEL_CONV;
    if (nest->loop_count && folds_channels(nest) && find_tile(nest))
        return lt_schedule_fill(nest, SCHEDULE_THREAD_TILE);
    const char *rows = has_folds ? lt_choose_gpu_rows(nest) : NULL;
    if (rows)
        return rows;
    if (class == KERNEL_SERIAL || nest->loop_count == 0)
        return "";
    return lt_schedule_fill(nest, class == KERNEL_MAP ? lt_choose_gpu_map(nest) : SCHEDULE_THREADS);
}
