/* schedule_gpu_rows.c - folds and rows on a GPU: several threads work on one of them together.
 *
 * A short row has a part of a warp, so that a block has several rows; a longer one has a block. A
 * thread keeps at most MOST_KEPT elements of a row in registers; where there are few rows, more
 * threads share each. What is folded across memory, with many results, is left to one thread each:
 * neighbours then read neighbouring elements. */
#include "passes/schedule_nest.h"

#include <assert.h>

enum {
    LEAST_FOLD = 16,      /* elements that are worth several threads */
    LEAST_ACROSS = 256,   /* the same where neighbours do not read neighbouring elements */
    LEAST_THREADS = 4096, /* results that keep a GPU busy with a thread each */
    FULL_DEVICE = 65536,  /* threads that do */
    GOOD_PART = 4,        /* elements for a thread, at least */
    MOST_KEPT = 16
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

/* --- which kernels ---------------------------------------------------------------------------- */

/* Iterations of all the loops; 0: not known. */
static int64_t iterations(const Stmt *const *loops, int count) {
    int64_t product = 1;
    for (int i = 0; i < count && product; i++) {
        const Dim *extent = loops[i]->u.loop.extent;
        if (!lt_dim_is_const(extent) || __builtin_mul_overflow(product, extent->value, &product))
            product = 0;
    }
    return product;
}

static bool is_worth_it(Nest *nest, int64_t rows, int64_t elements) {
    const Stmt *last = nest->folds[nest->fold_count - 1];
    if (elements && elements < LEAST_FOLD)
        return false;
    if (nest->kernel->class == KERNEL_ROWS || lt_nest_walks(nest, last, false))
        return true;
    const bool has_few = rows && rows < LEAST_THREADS;
    return has_few && (!elements || elements >= LEAST_ACROSS);
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
    while (rows && rows * width < FULL_DEVICE && width < LT_MAX_THREADS &&
           elements > 2 * GOOD_PART * width)
        width *= 2;
    return width;
}

const char *lt_choose_gpu_rows(Nest *nest) {
    Kernel *k = nest->kernel;
    if (!nest->fold_count)
        return NULL;
    const int64_t rows = iterations(nest->loops, nest->loop_count);
    if (!is_worth_it(nest, rows, iterations(nest->folds, nest->fold_count)))
        return NULL;
    fuse_loops(nest);
    const int64_t elements = iterations(nest->folds, nest->fold_count ? 1 : 0);
    const int64_t width = choose_width(rows, elements);
    const char *row = nest->loop_count ? nest->loops[0]->u.loop.var->name : NULL;
    const int64_t groups = row && width < LT_WARP * 4 ? BLOCK_THREADS / width : 1;
    if (nest->loop_count > 1 || lt_schedule_spread_error(k, width, groups, row))
        return NULL;
    return lt_arena_printf(k->arena, "spread %lld %lld%s%s", (long long)width, (long long)groups,
                           row ? " " : "", row ? row : "");
}
