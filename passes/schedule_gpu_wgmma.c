/* schedule_gpu_wgmma.c - which contractions and convolutions warpgroups multiply out of shared
 * memory, on sm_90: those with f16 or bf16, whose tiles and folds are mostly full. */
#include "passes/schedule_nest.h"
#include "runtime/base/checked.h"

enum { FOLD = 64, LANE_COLUMNS = 4, OWN_ROWS = 2, LEAST_SIDE = 64, HOPPER = 90 };

/* Rows and columns of a block, the speed of the multiplications, and how many parts are good to
 * have: all that a block may have, or what leaves room for a second block. */
typedef struct TileSize {
    int mt, nt, speed, stages;
} TileSize;

static const TileSize sizes[] = {
    {128, 256, 100, 4}, {64, 256, 80, 5}, {128, 128, 80, 3},
    {128, 64, 60, 4},   {64, 128, 60, 4}, {64, 64, 45, 6},
};

/* At most a fourth of the pieces is empty. */
static bool fills_pieces(const Stmt *fold, int64_t piece) {
    const Dim *extent = fold->u.loop.extent;
    return lt_dim_is_const(extent)
               ? lt_ceildiv(extent->value, piece) * piece * 4 <= extent->value * 5
               : lt_loop_reaches(fold, piece);
}

bool lt_choose_wgmma(Nest *nest, const ProductSum *sum) {
    const Stmt *fold = nest->folds[nest->fold_count - 1];
    (void)sum;
    if (!nest->is_mma || lt_target_sm(nest->target) != HOPPER ||
        !lt_loop_reaches(nest->m, LEAST_SIDE) || !lt_loop_reaches(nest->n, LEAST_SIDE) ||
        !fills_pieces(fold, FOLD))
        return false;
    const TileSize *best = sizes;
    for (size_t i = 1; i < sizeof sizes / sizeof *sizes; i++)
        if (lt_gpu_tile_cost(nest, sizes[i].mt, sizes[i].nt, sizes[i].speed) <
            lt_gpu_tile_cost(nest, best->mt, best->nt, best->speed))
            best = &sizes[i];
    const int64_t steps = lt_dim_is_const(fold->u.loop.extent) && nest->fold_count == 1
                              ? lt_ceildiv(fold->u.loop.extent->value, FOLD)
                              : best->stages;
    nest->is_wgmma = true;
    nest->mt = best->mt;
    nest->nt = best->nt;
    nest->mr = OWN_ROWS;
    nest->nr = best->nt / LANE_COLUMNS;
    nest->kt = FOLD;
    nest->stages = steps < best->stages ? (int)steps : best->stages;
    return true;
}
