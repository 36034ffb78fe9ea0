/* schedule_gpu_tile.c - contractions and convolutions over channels on a GPU: which loops are the
 * rows and columns of a block's tile, and how large it is.
 *
 * A block's tile of the result is computed from its part of both operands in shared memory
 * (`share`) where the kernel is a plain sum of products; else each thread reads what it needs for a
 * tile in its registers. */
#include "passes/schedule_nest.h"
#include "runtime/base/checked.h"

#include <string.h>

/* --- tiles in registers alone ----------------------------------------------------------------- */

enum {
    THREAD_ROWS = 4,
    THREAD_COLUMNS = 4,
    LEAST_ROWS = 32,
    LEAST_COLUMNS = 16,
    MOST_COLUMNS = 64
};

static bool find_register_tile(Nest *nest) {
    const Stmt *last = nest->loops[nest->loop_count - 1], *m = lt_nest_rows(nest);
    if (!m || !lt_loop_reaches(m, LEAST_ROWS) || !lt_loop_reaches(last, LEAST_COLUMNS) ||
        !lt_nest_walks(nest, last, true))
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

/* --- tiles in shared memory ------------------------------------------------------------------- */

/* Rows and columns of a block and of a thread; the speed is that of the multiplications: a larger
 * tile loads less for each. */
typedef struct TileSize {
    int mt, nt, mr, nr, speed;
} TileSize;

static const TileSize sizes[] = {
    {128, 128, 8, 8, 100}, {128, 64, 8, 4, 85}, {64, 128, 4, 8, 85}, {64, 64, 4, 4, 65},
    {128, 32, 4, 4, 60},   {256, 16, 4, 4, 50}, {64, 32, 4, 2, 45},  {32, 64, 2, 4, 45},
    {32, 32, 2, 2, 30},    {64, 16, 2, 2, 25},  {16, 64, 2, 2, 25},  {16, 16, 1, 1, 15},
};
/* A warp has 8 rows for each of a thread's, and 4 columns. */
static const TileSize mma_sizes[] = {
    {128, 128, 8, 8, 100}, {128, 64, 8, 4, 80}, {64, 128, 4, 8, 80}, {64, 64, 4, 4, 60},
    {64, 32, 4, 4, 45},    {32, 64, 2, 8, 45},  {32, 32, 2, 4, 30},  {16, 64, 2, 4, 25},
    {64, 16, 2, 4, 25},    {16, 16, 2, 4, 10},
};
enum { LEAST_SIDE = 16, FOLD_PIECE = 16 };

static int64_t extent_of(const Stmt *loop) {
    const Dim *extent = loop->u.loop.extent;
    return lt_dim_is_const(extent) ? extent->value : LT_UNKNOWN_EXTENT;
}

int64_t lt_gpu_tile_cost(const Nest *nest, int mt, int nt, int speed) {
    int64_t blocks = lt_ceildiv(extent_of(nest->m), mt) * lt_ceildiv(extent_of(nest->n), nt);
    for (int i = 0; i < nest->loop_count; i++)
        if (nest->loops[i] != nest->m && nest->loops[i] != nest->n)
            blocks *= extent_of(nest->loops[i]);
    return lt_ceildiv(blocks, LT_GPU_PROCESSORS) * mt * nt * 100 / speed;
}

static int64_t cost_of(const Nest *nest, const TileSize *tile) {
    return lt_gpu_tile_cost(nest, tile->mt, tile->nt, tile->speed);
}

static void choose_size(Nest *nest) {
    const TileSize *all = nest->is_mma ? mma_sizes : sizes, *best = all;
    const size_t count =
        nest->is_mma ? sizeof mma_sizes / sizeof *mma_sizes : sizeof sizes / sizeof *sizes;
    for (size_t i = 1; i < count; i++)
        if (cost_of(nest, &all[i]) < cost_of(nest, best))
            best = &all[i];
    nest->mt = best->mt;
    nest->nt = best->nt;
    nest->mr = best->mr;
    nest->nr = best->nr;
}

/* Of what is copied of a factor: conversions to something wider come later. */
static DType copied_dtype(const Expr *factor) {
    return factor->kind == EXPR_CONVERT ? factor->u.call.args[0]->dtype : factor->dtype;
}

/* f16, from sm_80 on also bf16 and what is rounded to tf32, add up to f32; bytes to i32. */
static const char *why_no_mma(const Nest *nest, const ProductSum *sum) {
    const DType a = copied_dtype(sum->factors[0]), b = copied_dtype(sum->factors[1]);
    const bool is_tf32 = lt_is_tf32(sum->factors[0]) && lt_is_tf32(sum->factors[1]);
    if (sum->sum->dtype == DT_I32)
        return !lt_dtype_is_byte(a) || !lt_dtype_is_byte(b)
                   ? "of integers they multiply bytes alone"
               : lt_target_sm(nest->target) < 75 ? "bytes begin with sm_75"
                                                 : NULL;
    if (sum->sum->dtype != DT_F32)
        return "they do not add up this dtype";
    if (a != b)
        return "the operands differ in dtype";
    if (a == DT_F32 && !is_tf32)
        return "they would round f32 to tf32, which --precision tf32 allows";
    if (!is_tf32 && a != DT_F16 && a != DT_BF16)
        return "they do not multiply this dtype";
    if (a != DT_F16 && lt_target_sm(nest->target) < 80)
        return is_tf32 ? "tf32 begins with sm_80" : "bf16 begins with sm_80";
    return NULL;
}

static void choose_mma(Nest *nest, const ProductSum *sum) {
    nest->why_no_mma = why_no_mma(nest, sum);
    nest->is_mma = !nest->why_no_mma;
    nest->is_quads = nest->is_mma && lt_target_sm(nest->target) < 75;
}

/* Where pieces of the innermost folding loop would be mostly empty, all loops become one. */
static void choose_fold(Nest *nest, const ProductSum *sum) {
    enum { MMA_FOLD_BYTES = 32 }; /* of an instruction */
    const int64_t last = extent_of(nest->folds[nest->fold_count - 1]);
    const int piece = nest->is_mma
                          ? MMA_FOLD_BYTES / (int)lt_dtype_size(copied_dtype(sum->factors[0]))
                          : FOLD_PIECE;
    nest->kt = nest->is_mma && last > piece ? 2 * piece : piece;
    nest->merges_folds =
        nest->fold_count > 1 && lt_ceildiv(last, nest->kt) * nest->kt * 4 > last * 5;
    for (int i = 0; i < nest->fold_count; i++)
        nest->merges_folds &= lt_dim_is_const(nest->folds[i]->u.loop.extent);
}

/* Of the larger layout of a factor's part in shared memory. */
static int64_t part_bytes(const ProductSum *sum, int i, int64_t extent, int64_t fold) {
    enum { GAP_BYTES = 16, WIDE_GAP_BYTES = 32 }; /* between rows */
    const int64_t bytes = (int64_t)lt_dtype_size(copied_dtype(sum->factors[i]));
    const int64_t along_fold = GAP_BYTES * extent, across = WIDE_GAP_BYTES * fold;
    return bytes * extent * fold + (along_fold > across ? along_fold : across);
}

/* From sm_80 on copies come on their own, so that the next part is fetched while one is used, where
 * there is a next one and room for both; on tensor cores, which use parts up faster, several. */
static void choose_stages(Nest *nest, const ProductSum *sum) {
    enum { MOST_STAGES = 4, GOOD_BYTES = 83456 }; /* two blocks of the latter share a processor */
    const int64_t bytes =
        part_bytes(sum, 0, nest->mt, nest->kt) + part_bytes(sum, 1, nest->nt, nest->kt);
    const int64_t room = nest->target->l1_bytes, good = room < GOOD_BYTES ? room : GOOD_BYTES;
    int64_t fold = 1;
    for (int i = 0; i < nest->fold_count; i++)
        fold *= extent_of(nest->folds[i]);
    if (fold <= nest->kt || 2 * bytes > room || lt_target_sm(nest->target) < 80)
        return;
    nest->stages = 2;
    while (nest->is_mma && nest->stages < MOST_STAGES && (nest->stages + 1) * bytes <= good &&
           fold > nest->stages * nest->kt)
        nest->stages++;
}

/* Columns are the last loop, rows the innermost other one that shares no operand with it. */
static bool find_shared_tile(Nest *nest) {
    const Stmt *last = nest->loops[nest->loop_count - 1];
    ProductSum sum;
    for (int i = nest->loop_count - 2; i >= 0; i--) {
        const Stmt *m = nest->loops[i];
        if (!lt_loop_reaches(m, LEAST_SIDE) || !lt_loop_reaches(last, LEAST_SIDE) ||
            lt_schedule_products(nest->kernel, last->u.loop.body, m->u.loop.var, last->u.loop.var,
                                 &sum))
            continue;
        nest->m = m;
        nest->n = last;
        choose_mma(nest, &sum);
        if (lt_choose_wgmma(nest, &sum))
            return true;
        choose_size(nest);
        choose_fold(nest, &sum);
        choose_stages(nest, &sum);
        return true;
    }
    return false;
}

/* --- the choice ------------------------------------------------------------------------------- */

static bool folds_channels(const Nest *nest) {
    return nest->kernel->class == KERNEL_CONTRACT ||
           (nest->kernel->class == KERNEL_CONV &&
            strcmp(nest->folds[nest->fold_count - 1]->u.loop.var->name, "c") == 0);
}

ScheduleRow lt_choose_gpu_tile(Nest *nest) {
    if (nest->loop_count == 0 || nest->fold_count == 0 || !folds_channels(nest))
        return SCHEDULE_LIMIT;
    nest->why_no_mma = "the sum, or its extents, do not fit a tile";
    return find_shared_tile(nest)     ? SCHEDULE_SHARED_TILE
           : find_register_tile(nest) ? SCHEDULE_THREAD_TILE
                                      : SCHEDULE_LIMIT;
}
