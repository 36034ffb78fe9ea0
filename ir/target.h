/* target.h - what schedules and code generation know about a machine. Rows: ir/targets.def. */
#ifndef LATHE_IR_TARGET_H
#define LATHE_IR_TARGET_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Target {
    const char *name;      /* row: "x86-64-avx2" */
    const char *triple;    /* LLVM's: "x86_64-unknown-linux-gnu" */
    const char *cpu;       /* LLVM's CPU for scheduling models: "znver3", "x86-64-v3" */
    const char *features;  /* LLVM's: "+avx2,+fma" */
    const char *arch;      /* for the artifact's footer: "x86_64" */
    uint64_t cpu_features; /* LT_CPU_* bits (runtime/artifact.h) that the artifact will need */
    int vector_bytes;      /* width of a SIMD register */
    int registers;         /* SIMD registers */
    int tile_rows,
        tile_vectors;       /* register tile of contractions: rows x vectors of output columns */
    int l1_bytes, l2_bytes; /* data cache of one core */
} Target;

extern const Target lt_targets[];
extern const int lt_target_count;
const Target *lt_target_find(const char *name);
/* What schedules for a GPU count on, whichever it is. */
enum {
    LT_GPU_PROCESSORS = 108, /* that have blocks to work on */
    LT_GPU_THREADS = 65536,  /* that keep it busy */
    LT_UNKNOWN_EXTENT = 2048 /* what an extent that is not known is taken for */
};
/* Kernels run in blocks of threads; there is CUDA-C for it, and no machine code. */
bool lt_target_is_gpu(const Target *t);
/* The architecture of a GPU: 80 for sm_80, 90 for sm_90a. */
int lt_target_sm(const Target *t);
/* The last row whose architecture is not newer than that. */
const Target *lt_target_find_gpu(int sm);
/* f32 lanes of a vector. */
static inline int lt_target_lanes(const Target *t, int element_bytes) {
    return t->vector_bytes / element_bytes;
}
/* Columns of a register tile, which is what a panel of packed weights holds, for so many columns in
 * all (INT64_MAX: not known): tile_vectors vectors, or fewer where the last panel would be mostly
 * empty. */
int lt_target_panel(const Target *t, int element_bytes, int64_t columns);
/* Rows of a register tile that is `vectors` wide, for so many rows in all: as many as there are
 * registers for, or fewer where the last tile would be mostly empty. */
int lt_target_tile_rows(const Target *t, int vectors, int64_t rows);

#endif
