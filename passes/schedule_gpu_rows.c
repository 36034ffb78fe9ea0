/* schedule_gpu_rows.c - folds and rows on a GPU: several threads work on one of them together.
 *
 * A short row has a part of a warp, so that a block has several rows; a longer one has a block. A
 * thread keeps at most MOST_KEPT elements of a row in registers; where there are few rows, more
 * threads share each. Where results lie beside each other in memory and what they fold does not,
 * neighbours among the threads work on neighbouring results, and with enough of these each has a
 * thread of its own. */
#include "passes/schedule_nest.h"

#include <assert.h>

enum {
    LEAST_FOLD = 16,     /* elements that are worth several threads */
    GOOD_PART = 4,       /* elements for a thread, at least */
    MOST_KEPT = 16,
    VECTOR_BYTES = 16,
    COLUMNS = 32
};

/* --- making one loop of several --------------------------------------------------------------- */

/* The loops from s inward that hold nothing but the next one, as `fuse` primitives. */
static void append_fuses(Str *out, Arena *arena, const Stmt *s) {
    const char *name = s->u.loop.var->name;
    for (const Stmt *inner = s->u.loop.body; inner && inner->kind == STMT_FOR && !inner->next;
         inner = inner->u.loop.body) {
        if (lt_dim_mentions(inner->u.loop.extent, s->u.loop.var))
            return;
        lt_str_printf(out, "%sfuse %s %s", out->len ? "; " : "", name, inner->u.loop.var->name);
        name = lt_arena_printf(arena, "%s_%s", name, inner->u.loop.var->name);
    }
}

/* One loop around everything at most, and one a stage. */
static void fuse_loops(Nest *nest) {
    Kernel *k = nest->kernel;
    Str text;
    lt_str_init(&text, k->arena);
    const Stmt *stages = k->body;
    if (nest->loop_count) {
        stages = nest->loops[nest->loop_count - 1]->u.loop.body;
        append_fuses(&text, k->arena, k->body);
    }
    for (const Stmt *s = stages; s; s = s->next)
        if (s->kind == STMT_FOR)
            append_fuses(&text, k->arena, s);
    if (!text.len)
        return;
    const char *error = lt_schedule_apply(k, text.text);
    assert(!error && "loops that hold nothing but each other are fused");
    (void)error;
    *nest = (Nest){.kernel = k, .target = nest->target};
    lt_nest_read(nest);
}

/* --- how many threads ------------------------------------------------------------------------- */

/* The power of two that is not less than n, in low..high. */
static int64_t power_above(int64_t n, int64_t low, int64_t high) {
    while (low < n && low < high)
        low *= 2;
    return low;
}

static int64_t choose_width(int64_t rows, int64_t elements) {
    if (!elements)
        return BLOCK_THREADS;
    int64_t width =
        elements <= MOST_KEPT * LT_WARP
            ? power_above((elements + GOOD_PART - 1) / GOOD_PART, GOOD_PART, LT_WARP)
            : power_above((elements + MOST_KEPT - 1) / MOST_KEPT, 4 * LT_WARP, LT_MAX_THREADS);
    while (rows && rows * width < LT_GPU_THREADS && width < LT_MAX_THREADS &&
           elements > 2 * GOOD_PART * width)
        width *= 2;
    return width;
}

/* A block has COLUMNS results beside each other, and so many threads for each as there is work and
 * room for. */
static SpreadSpec choose_columns(int64_t rows, int64_t elements) {
    int64_t groups = power_above(rows ? rows : COLUMNS, 1, COLUMNS);
    int64_t width = BLOCK_THREADS / groups;
    while (rows && elements && rows * width < LT_GPU_THREADS && width * groups < LT_MAX_THREADS &&
           elements > 2 * GOOD_PART * width)
        width *= 2;
    while (elements && width > 2 && elements < GOOD_PART * width)
        width /= 2;
    while (elements > MOST_KEPT * width && width < LT_MAX_THREADS)
        width *= 2;
    while (width * groups > LT_MAX_THREADS)
        groups /= 2;
    return (SpreadSpec){.width = width, .groups = groups, .vector = 1, .is_across = groups > 1};
}

/* The first stage, or NULL. */
static const Stmt *first_stage(const Nest *nest) {
    const Stmt *s = nest->kernel->body;
    for (int i = 0; i < nest->loop_count; i++)
        s = s->u.loop.body;
    while (s && s->kind != STMT_FOR)
        s = s->next;
    return s;
}

/* Neighbours that a thread loads at once: at most 16 bytes, and no fewer parts than a warp has
 * threads. */
static int64_t choose_vector(Nest *nest, const Stmt *stage, int64_t elements) {
    Kernel *k = nest->kernel;
    int64_t vector = VECTOR_BYTES / lt_kernel_widest_element(k);
    for (const Stmt *s = stage; s; s = s->next)
        if (s->kind == STMT_FOR && !lt_nest_walks(nest, s, false))
            return 1;
    while (vector > 1 && (!lt_dim_divisible(&k->dims, stage->u.loop.extent, vector) ||
                          (elements && elements < vector * LT_WARP)))
        vector /= 2;
    return vector > 1 ? vector : 1;
}

static SpreadSpec choose_rows(Nest *nest, const Stmt *stage, int64_t rows, int64_t elements) {
    const int64_t vector = choose_vector(nest, stage, elements);
    int64_t width = choose_width(rows, elements);
    while (elements && width > LT_WARP && width * vector > elements)
        width /= 2;
    const bool is_short = nest->loop_count && width <= LT_WARP;
    return (SpreadSpec){
        .width = width, .groups = is_short ? BLOCK_THREADS / width : 1, .vector = vector};
}

/* Whether results with a thread each keep the device busy, and do so in a good order. Where many of
 * them read the same, as in products, the cache has it. */
static bool is_busy(KernelClass class, int64_t rows, bool is_across) {
    switch (class) {
    case KERNEL_ROWS: return false;
    case KERNEL_REDUCE: return is_across && rows >= LT_GPU_THREADS;
    case KERNEL_CONTRACT: return rows >= LT_GPU_THREADS;
    default: return rows == 0 || rows >= LT_GPU_THREADS;
    }
}

const char *lt_choose_gpu_rows(Nest *nest) {
    Kernel *k = nest->kernel;
    const int64_t folded = lt_loops_iterations(nest->folds, nest->fold_count, 0);
    if (!nest->fold_count || (folded && folded < LEAST_FOLD))
        return NULL;
    const Stmt *last = nest->loop_count ? nest->loops[nest->loop_count - 1] : NULL;
    const int64_t rows = lt_loops_iterations(nest->loops, nest->loop_count, 0);
    const bool is_along = lt_nest_walks(nest, nest->folds[nest->fold_count - 1], false);
    const bool is_across = !is_along && last && lt_nest_walks(nest, last, false);
    if (is_busy(k->class, rows, is_across))
        return NULL;
    fuse_loops(nest);
    const Stmt *stage = first_stage(nest);
    if (!stage || nest->loop_count > 1)
        return NULL;
    const int64_t elements = lt_loops_iterations(&stage, 1, 0);
    if (elements && elements < LEAST_FOLD)
        return NULL;
    SpreadSpec spec;
    if (!lt_choose_gpu_scan(stage, rows, is_across, &spec))
        spec =
            is_across ? choose_columns(rows, elements) : choose_rows(nest, stage, rows, elements);
    spec.loop = nest->loop_count ? nest->loops[0]->u.loop.var->name : NULL;
    if (lt_schedule_spread_error(k, &spec))
        return NULL;
    return lt_arena_printf(k->arena, "spread %lld %lld %lld%s%s%s", (long long)spec.width,
                           (long long)spec.groups, (long long)spec.vector, spec.loop ? " " : "",
                           spec.loop ? spec.loop : "", spec.is_across ? " across" : "");
}
