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
/* f32 lanes of a vector. */
static inline int lt_target_lanes(const Target *t, int element_bytes) {
    return t->vector_bytes / element_bytes;
}
/* Rows of a register tile for so many rows in all: fewer than tile_rows where the last tile would
 * be mostly empty. */
int lt_target_tile_rows(const Target *t, int64_t rows);
/* Columns of a register tile: what a panel of packed weights holds. */
static inline int lt_target_panel(const Target *t, int element_bytes) {
    return t->tile_vectors * lt_target_lanes(t, element_bytes);
}

#endif
