/* target.c - the rows of targets.def as data. */
#include "ir/target.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/artifact.h"

#define F(X) LT_CPU_##X
const Target lt_targets[] = {
#define TARGET(name_, triple_, cpu_, features_, arch_, bits, width, count, rows, vectors, l1, l2) \
    {.name = name_, \
     .triple = triple_, \
     .cpu = cpu_, \
     .features = features_, \
     .arch = arch_, \
     .cpu_features = (bits), \
     .vector_bytes = (width), \
     .registers = (count), \
     .tile_rows = (rows), \
     .tile_vectors = (vectors), \
     .l1_bytes = (l1), \
     .l2_bytes = (l2)},
#include "ir/targets.def"
#undef TARGET
};
#undef F

const int lt_target_count = (int)(sizeof lt_targets / sizeof *lt_targets);

const Target *lt_target_find(const char *name) {
    for (int i = 0; i < lt_target_count; i++) {
        if (strcmp(lt_targets[i].name, name) == 0)
            return &lt_targets[i];
    }
    return NULL;
}

bool lt_target_is_gpu(const Target *t) { return strcmp(t->arch, "cuda") == 0; }

int lt_target_sm(const Target *t) { return atoi(t->cpu + strlen("sm_")); }

const Target *lt_target_find_gpu(int sm) {
    const Target *found = lt_target_find("cuda");
    for (int i = 0; i < lt_target_count; i++)
        if (lt_target_is_gpu(&lt_targets[i]) && strchr(lt_targets[i].name, ':') &&
            lt_target_sm(&lt_targets[i]) <= sm)
            found = &lt_targets[i];
    return found;
}

int lt_target_panel(const Target *t, int element_bytes, int64_t columns) {
    enum { WORTH_PERCENT = 92 }; /* what a narrower panel must bring the padded columns down to */
    const int64_t lanes = lt_target_lanes(t, element_bytes);
    int64_t best = t->tile_vectors * lanes;
    if (columns < 1 || columns > INT32_MAX)
        return (int)best;
    for (int64_t width = best - lanes; width > 0; width -= lanes) {
        const int64_t padded = (columns + width - 1) / width * width;
        if (padded * 100 <= (columns + best - 1) / best * best * WORTH_PERCENT)
            best = width;
    }
    return (int)best;
}

int lt_target_tile_rows(const Target *t, int vectors, int64_t rows) {
    enum { LEAST_TILE_ROWS = 4, MANY_TILES = 64 };
    const int most = t->tile_rows * t->tile_vectors / vectors;
    int best = most;
    double least = 0;
    if (rows < 1 || rows >= (int64_t)MANY_TILES * most)
        return best;
    for (int tile = most; tile >= LEAST_TILE_ROWS; tile--) {
        /* A step of the fold takes about as long as one and a half rows more. */
        const double cost = (double)((rows + tile - 1) / tile) * (tile + 1.5);
        if (least == 0 || cost < least) {
            least = cost;
            best = tile;
        }
    }
    return rows < best ? (int)rows : best;
}
