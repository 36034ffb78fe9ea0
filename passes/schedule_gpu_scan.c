/* schedule_gpu_scan.c - running folds on a GPU: how many threads work on one of them, and how many
 * neighbours each of them takes before they tell each other. */
#include "passes/schedule_nest.h"

enum {
    RUN_BYTES = 16,
    COLUMNS = 32,
    LEAST_LENGTH = 16 /* elements that are worth several threads */
};

/* One loop that folds into a register and stores what it has so far. */
static bool runs(const Stmt *loop) {
    bool folds = false, stores = false;
    for (const Stmt *s = loop->u.loop.body; s; s = s->next) {
        if (s->kind != STMT_STORE)
            return false;
        folds |= s->u.store.buffer->kind == BUFFER_REGISTER;
        stores |= s->u.store.buffer->kind == BUFFER_OUTPUT;
    }
    return folds && stores;
}

static int64_t power_above(int64_t n, int64_t most) {
    int64_t power = 1;
    while (power < n && power < most)
        power *= 2;
    return power;
}

bool lt_choose_gpu_scan(const Stmt *stage, int64_t rows, bool is_across, SpreadSpec *spec) {
    if (!stage || !runs(stage))
        return false;
    const int64_t elements = lt_loops_iterations(&stage, 1, 0);
    if ((elements && elements < LEAST_LENGTH) || (is_across && rows >= LT_GPU_THREADS))
        return false;
    const Buffer *sum = NULL;
    for (const Stmt *s = stage->u.loop.body; s; s = s->next)
        if (s->u.store.buffer->kind == BUFFER_REGISTER)
            sum = s->u.store.buffer;
    const int64_t vector = RUN_BYTES / (int64_t)lt_dtype_size(sum->dtype);
    const int64_t parts = elements ? (elements + vector - 1) / vector : BLOCK_THREADS;
    *spec = (SpreadSpec){.vector = vector, .groups = 1, .is_across = is_across};
    if (is_across) {
        spec->groups = power_above(rows ? rows : COLUMNS, COLUMNS);
        spec->width = power_above(parts, LT_MAX_THREADS / spec->groups);
        spec->is_across = spec->groups > 1;
    } else {
        spec->width = power_above(parts, LT_MAX_THREADS);
        if (spec->width <= LT_WARP)
            spec->groups = rows == 1 ? 1 : BLOCK_THREADS / spec->width;
    }
    return true;
}
