/* schedule_nest.h - what the parts of scheduling share. Inside passes/schedule*.c only. */
#ifndef LATHE_PASSES_SCHEDULE_NEST_H
#define LATHE_PASSES_SCHEDULE_NEST_H

#include "ir/schedule.h"
#include "passes/lower.h"

typedef enum {
#define SCHEDULE(e, text) SCHEDULE_##e,
#include "passes/schedules.def"
#undef SCHEDULE
    SCHEDULE_LIMIT
} ScheduleRow;

enum { MAX_LOOPS = 16, PACKED_PANELS = 16, BLOCK_THREADS = 256 };

/* What a choice is made from. */
typedef struct Nest {
    Kernel *kernel;
    const Target *target;
    const Stmt *loops[MAX_LOOPS]; /* output loops, outermost first */
    int loop_count;
    const Stmt *folds[MAX_LOOPS]; /* folding loops, outermost first */
    int fold_count;
    const Stmt *m, *n, *v, *u, *y, *p; /* roles; NULL: none */
    const char *a, *b;                 /* the operands that m and n walk; NULL: not simply loaded */
    const Stmt *w; /* the loop that gets a version without conditions, or NULL */
    int mr, nr, mc, vc, kc, mt, nt, kt, vl;
    bool has_few_taps;      /* the folding loops are to be unrolled */
    bool merges_folds;      /* the folding loops become one */
    bool is_mma;            /* on tensor cores */
    bool is_wgmma;          /* by four warps together */
    bool is_quads;          /* by pairs of four threads */
    int stages;             /* parts that are there while one is used, and that one; 0: one */
    const char *why_no_mma; /* for a remark; NULL: it is, or nobody would expect it */
} Nest;

/* --- schedule_nest.c: reading a kernel ------------------------------------------------------ */

void lt_nest_read(Nest *nest); /* kernel and target are set; fills in the loops */
/* All loads of parameters in the loop (stores: all stores to them) stand still or move by one
 * element with it; stores must move. */
bool lt_nest_walks(Nest *nest, const Stmt *loop, bool stores);
/* At least `least` iterations, as far as is known. */
bool lt_loop_reaches(const Stmt *loop, int64_t least);
/* The loop along the rows of a contraction or a convolution: the last one of m or y but for the
 * innermost loop, or NULL. */
const Stmt *lt_nest_rows(const Nest *nest);
/* Iterations of all the loops; `unknown` where an extent is not constant, or they are too many. */
int64_t lt_loops_iterations(const Stmt *const *loops, int count, int64_t unknown);
/* Elements of a vector: of the widest result, at most of f32. */
int lt_nest_lanes(const Nest *nest);
/* What one step of `var` is in elements of the buffer; NULL: it depends on where one is. */
const Dim *lt_load_stride(Kernel *k, const Expr *load, const Dim *var);

/* --- schedule_gpu.c: blocks and threads ------------------------------------------------------ */

const char *lt_choose_gpu(Nest *nest);

/* --- schedule_gpu_map.c: element by element --------------------------------------------------- */

ScheduleRow lt_choose_gpu_map(Nest *nest);
/* Bytes of an element of the widest parameter. */
int64_t lt_kernel_widest_element(const Kernel *k);
/* Iterations of the loop that are neighbours in memory, or one element, in every parameter, at most
 * 16 bytes of each; they divide its extent. */
int lt_gpu_lanes(Nest *nest, const Stmt *loop);

/* --- schedule_gpu_sweep.c: folds over few taps ------------------------------------------------ */

ScheduleRow lt_choose_gpu_sweep(Nest *nest);

/* --- schedule_gpu_rows.c: threads that work on a fold or on a row together -------------------- */

/* The text; NULL where a thread a result is better, or all that is possible. May make one loop of
 * several that are around each other. */
const char *lt_choose_gpu_rows(Nest *nest);

/* --- schedule_gpu_scan.c: running folds ----------------------------------------------------- */

/* How threads share the stage out, of `rows` rows (0: not known); false: it is no running fold, or
 * a thread a row is better. */
bool lt_choose_gpu_scan(const Stmt *stage, int64_t rows, bool is_across, SpreadSpec *spec);

/* --- schedule_gpu_steps.c: a block runs the steps of a sequence ------------------------------- */

/* The text; NULL where there are no steps with barriers between. */
const char *lt_choose_gpu_steps(Nest *nest);

/* --- schedule_gpu_tile.c: tiles of a block and of its threads -------------------------------- */

/* The row for a sum of products; SCHEDULE_LIMIT: it is none, or too small. */
ScheduleRow lt_choose_gpu_tile(Nest *nest);

/* --- schedule_gpu_wgmma.c: tiles of warpgroups ------------------------------------------------ */

/* Sizes and stages of the tile whose loops and dtype are known, where warpgroups multiply it. */
bool lt_choose_wgmma(Nest *nest, const ProductSum *sum);
/* How long the processors take with such tiles, in no unit; speed: of the multiplications. */
int64_t lt_gpu_tile_cost(const Nest *nest, int mt, int nt, int speed);

/* --- schedule_fill.c: a row of schedules.def with its words filled in ----------------------- */

const char *lt_schedule_fill(const Nest *nest, ScheduleRow row);

/* --- schedule_stages.c: several stages, appended as text ------------------------------------- */

void lt_schedule_rows(Nest *nest, Str *out);
void lt_schedule_steps(Nest *nest, Str *out);

/* --- schedule_sweep.c: folds over few taps -------------------------------------------------- */

/* The row for a fold whose results lie along its last loop; nest->v is that. */
ScheduleRow lt_choose_columns(Nest *nest);
/* Iterations of all folding loops together; 0: many, or not known. */
int64_t lt_nest_taps(const Nest *nest);

/* --- schedule_tile.c: register tiles -------------------------------------------------------- */

/* The row for a contraction, or for a convolution over channels. */
ScheduleRow lt_choose_tile(Nest *nest);
/* The text for a winograd kernel. */
const char *lt_choose_winograd(Nest *nest);
/* The text for an attention. */
const char *lt_choose_attention(Nest *nest);
/* What e loads from an input along one loop and not along another one, or NULL. */
const Expr *lt_operand_along(const Expr *e, const Dim *along, const Dim *not_along);
/* Text that makes one loop of a convolution's positions. */
const char *lt_fuse_positions(Nest *nest);

#endif
