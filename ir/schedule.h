/* schedule.h - schedules are data: a list of primitives applied to a kernel's loop nest.
 *
 * Text form, primitives separated by `;`, loops named by their variables:
 *   split L N         L becomes L.0 (outer) and L.1 (inner, extent N); a tail is guarded by `if`
 *   block L N         the same, but the last inner loop is shorter instead of guarded: L.1 stays a
 *                     plain loop
 *   fuse A B          A directly around B: one loop named A_B
 *   reorder A B C     perfectly nested loops get this order, outermost first
 *   unroll L, vectorize L, parallel L
 *   grid L, thread L  on a GPU: iterations of L are blocks; threads of a block
 *   spread N G V L    on a GPU: N threads work on an iteration of L together, and a block on G of
 *                     them; L, or nothing where L is left out, is around everything, and the loops
 *                     directly inside are stages over one extent, of which a thread takes V
 *                     neighbours at a time. `spread N G V L across`: neighbours among the threads
 *                     are those of neighbouring iterations of L. One stage may be a running fold
 *                     whose results are stored on the way: a scan, in pieces of N * V
 *   turn X U V        on a GPU: a nest of loops around one store reads input X in the order of U
 *                     and stores in that of V; squares of X go through shared memory
 *   own B N           on a GPU: local buffer B, of which a thread uses every N-th element, or a few
 *                     of each N, keeps only those
 *   team L M ..       in a kernel with barriers: the threads of a team share out the iterations of
 *                     each of these loops, which have one extent; all that is stored to memory that
 *                     the threads share is stored in them
 *   cache A B ..      A, B .. are the innermost output loops around an accumulator: it becomes a
 *                     register tile, and they move inside the folding loops
 *   rfactor K N       the folding loop K runs N partial accumulators, combined at its end
 *   pack A L N V ..   what loop L reads of input A is copied in front of it, N elements at once,
 *                     into scratch memory with an axis for each of the loops V, all inside L
 *   hold A L N V ..   the same into registers, for a small part whose loops are unrolled
 *   partial K N L V ..   the folding loop K runs in pieces of N, each for all that loop L does; in
 *                     between the sums are in scratch memory with an axis for each of the loops V,
 *                     which are all between L and the accumulators
 *   share K N R I C J on a GPU: R and C are the loops along a block's rows and columns, around sums
 *                     of products over K. I x J of them are a thread's; the block's part of both
 *                     factors is copied into shared memory, N elements of K at a time. With `mma`
 *                     behind it, warps multiply 16 x 8 elements over 16 of K on tensor cores; with
 *                     `wgmma` four warps do so with 64 x N over 64 of K, out of shared memory; with
 *                     `quads` pairs of four threads do so with 8 x 8 over 4, as on sm_70; with
 *                     `double`, or a number, there are so many copies, which are fetched while
 *                     others are used
 *   prefetch B P T K  loop K reads input B, the same part in each iteration of T around it; the
 *                     part that the next iteration of P around T reads is fetched meanwhile
 *   version L         a second L without the conditions inside it, for when all of them hold
 *   peel L            L.lo, L.in, L.hi: L.in without the conditions on L, which all hold there
 *   unswitch L        what stays as it is along L of the conditions directly inside it is asked
 *                     outside of it, in all loops of that name
 *   compute_at S L    the stage that writes local buffer S moves into loop L of its consumer
 * Each primitive preserves what the kernel computes, up to the documented order of floating point
 * sums; it fails with a sentence when it does not apply. */
#ifndef LATHE_IR_SCHEDULE_H
#define LATHE_IR_SCHEDULE_H

#include "ir/kernel.h"

/* Applies all primitives of text in order and records it in k->schedule. NULL, or the error (in
 * k->arena; the kernel is then unusable). */
const char *lt_schedule_apply(Kernel *k, const char *text);

/* One primitive each; NULL or the error. */
const char *lt_schedule_split(Kernel *k, const char *loop, int64_t factor);
const char *lt_schedule_block(Kernel *k, const char *loop, int64_t factor);
const char *lt_schedule_fuse(Kernel *k, const char *outer, const char *inner);
const char *lt_schedule_reorder(Kernel *k, const char *const *loops, int count);
const char *lt_schedule_mark(Kernel *k, const char *loop, LoopKind kind);
const char *lt_schedule_own(Kernel *k, const char *buffer, int64_t period);
const char *lt_schedule_team(Kernel *k, const char *const *loops, int count);
const char *lt_schedule_cache(Kernel *k, const char *const *loops, int count);
const char *lt_schedule_turn(Kernel *k, const char *buffer, const char *u, const char *v);
typedef struct SpreadSpec {
    int64_t width, groups; /* threads of a group, groups of a block: powers of two */
    int64_t vector;        /* neighbours; divides the stages' extent */
    const char *loop;      /* or NULL */
    bool is_across;
} SpreadSpec;
const char *lt_schedule_spread(Kernel *k, const SpreadSpec *spec);
/* The error that it would give, or NULL; leaves the loops as they are. */
const char *lt_schedule_spread_error(Kernel *k, const SpreadSpec *spec);
const char *lt_schedule_rfactor(Kernel *k, const char *loop, int64_t lanes);
const char *lt_schedule_peel(Kernel *k, const char *loop);
const char *lt_schedule_version(Kernel *k, const char *loop);
const char *lt_schedule_unswitch(Kernel *k, const char *loop);
const char *lt_schedule_prefetch(Kernel *k, const char *buffer, const char *const loops[3]);
typedef struct PackSpec {
    const char *buffer, *loop;
    int lanes;
    const char *const *axes; /* loops, outermost first */
    int axis_count;
    bool in_registers;
} PackSpec;
const char *lt_schedule_pack(Kernel *k, const PackSpec *spec);
typedef struct PartialSpec {
    const char *fold, *loop;
    int64_t size;
    const char *const *axes; /* loops, outermost first */
    int axis_count;
} PartialSpec;
const char *lt_schedule_partial(Kernel *k, const PartialSpec *spec);
typedef struct ShareSpec {
    const char *fold;
    int64_t piece;          /* of the fold */
    const char *loops[2];   /* along the rows and the columns of a block's tile */
    int64_t sizes[2];       /* a thread's part of them */
    const char *const *how; /* "mma", "wgmma": on tensor cores; "double", "3"..: stages */
    int how_count;
} ShareSpec;
const char *lt_schedule_share(Kernel *k, const ShareSpec *spec);
const char *lt_schedule_compute_at(Kernel *k, const char *stage, const char *loop);
/* The FOR of that name, or NULL. */
Stmt *lt_schedule_find(const Kernel *k, const char *loop);

/* --- shared by the primitives (ir/schedule_*.c) -------------------------------------------- */

enum { MAX_LOOP_AXES = LT_MAX_RANK };

typedef struct LoopNames {
    const char *const *names; /* outermost first */
    int count;
} LoopNames;

/* Loops that are the axes of a buffer. */
typedef struct LoopAxes {
    int count;
    const Dim *vars[MAX_LOOP_AXES], *extents[MAX_LOOP_AXES];
    int64_t sizes[MAX_LOOP_AXES]; /* the greatest extents */
} LoopAxes;

/* Finds the loops inside of `around`; an error names the primitive `verb`. */
const char *lt_schedule_axes(Kernel *k, const char *verb, const Stmt *around, LoopNames loops,
                             LoopAxes *out);

/* The link (a body pointer or a `next`) that holds the FOR of that name, or NULL. */
Stmt **lt_schedule_link(Kernel *k, const char *loop);
/* An array of `by` for lt_expr_substitute and lt_stmt_copy, all NULL; with one entry set. */
const Dim **lt_schedule_substitution(Kernel *k);
Stmt *lt_stmt_replace_var(Kernel *k, const Stmt *list, const Dim *var, const Dim *by);
bool lt_expr_mentions(const Expr *e, const Dim *symbol);

/* The input of that name, or NULL. */
const Buffer *lt_schedule_input(const Kernel *k, const char *name);
/* The load of the buffer in the list; NULL: there is none, or not just one. */
const Expr *lt_schedule_only_load(Kernel *k, Stmt *list, const Buffer *buffer);
/* The Dim behind an integer expression, or NULL. */
const Dim *lt_expr_dim(Kernel *k, const Expr *e);
/* What d grows by when the symbol grows by one. */
const Dim *lt_dim_step(Kernel *k, const Dim *d, const Dim *symbol);

/* sum = begin;  for folds { sum = fma(factors[0], factors[1], sum) };  rest */
enum { MAX_PRODUCT_FOLDS = 16 };
typedef struct ProductSum {
    const Buffer *sum; /* a scalar in a register */
    const Expr *begin;
    Stmt *folds[MAX_PRODUCT_FOLDS]; /* outermost first */
    int fold_count;
    const Expr *factors[2];    /* the first stands still along columns, the second along rows */
    const Expr *conditions[2]; /* where they do not hold, the factor is 0; NULL: everywhere */
    Stmt *rest;
} ProductSum;
/* The factor is an f32 rounded to tf32. */
bool lt_is_tf32(const Expr *factor);
/* Reads the list inside of the loops over rows and columns. NULL, or why it is no such sum. */
const char *lt_schedule_products(Kernel *k, Stmt *list, const Dim *rows, const Dim *columns,
                                 ProductSum *out);
/* Adds each part of a conjunction to the side that it belongs to. */
const char *lt_schedule_add_condition(Kernel *k, const Expr *condition, const Dim *const *vars,
                                      const Expr **sides);

/* Rewrites every expression of a list in place, operands first; `fn` sees each rebuilt node. */
typedef const Expr *ExprMapFn(Kernel *k, const Expr *e, void *user);
const Expr *lt_expr_map(Kernel *k, const Expr *e, ExprMapFn *fn, void *user);
void lt_stmt_map(Kernel *k, Stmt *list, ExprMapFn *fn, void *user);
/* Loads and stores of `from` become those of `to`, with `count` indices put in front, in place. */
void lt_stmt_retarget(Kernel *k, Stmt *list, const Buffer *from, const Buffer *to,
                      const Dim *const *prefix, int count);

#endif
