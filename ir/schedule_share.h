/* schedule_share.h - what the parts of `share` share. Inside ir/schedule_share.c, _pipeline.c,
 * _mma.c and _wgmma.c only. */
#ifndef LATHE_IR_SCHEDULE_SHARE_H
#define LATHE_IR_SCHEDULE_SHARE_H

#include "ir/schedule.h"

enum { ROWS, COLUMNS, SIDES };
enum { MMA_FOLD_BYTES = 32 }; /* elements of the fold in one instruction */

/* One of the factors and the axis of the tile that it goes along. */
typedef struct Side {
    const Dim *var;        /* the loop's, 0 <= var < extent */
    int64_t extent, own;   /* own: those of a thread */
    const Expr *value;     /* what is copied */
    const Expr *cast;      /* of value, on its way into the product; NULL: none */
    const Expr *condition; /* where the value is not 0; NULL: everywhere */
    const Expr *guard;     /* where the axis has not ended; NULL: everywhere */
    bool folds_last;       /* the copy's last axis is the fold */
    int64_t vector;        /* elements that are copied at once */
    int64_t group;         /* a thread's neighbours */
    const Buffer *copy, *held;
    const Dim *number, *at; /* a thread's number in the axis, and its own element's position */
    const Dim *own_var;
} Side;

typedef struct Share {
    Kernel *k;
    DimTable *t;
    ProductSum sum;
    Side sides[SIDES];
    const Dim *fold, *extent;           /* K */
    const Dim *piece, *pieces, *within; /* k.0 and its extent, k.1 */
    const Dim *step, *steps;            /* where all folding loops are one, else NULL */
    int64_t size;                       /* of a piece */
    int64_t mma_fold;                   /* elements of the fold in an instruction; 0: none */
    int64_t threads;
    int64_t stages; /* copies of each factor's part */
    bool is_mma;    /* on tensor cores */
    bool is_wgmma;  /* by four warps together, out of shared memory */
    bool is_quads;  /* by pairs of four threads */
    const Dim *thread;
    const Buffer *tile;
} Share;

/* All folding loops are one. */
static inline bool lt_share_is_ahead(const Share *s) { return s->stages > 1; }
static inline const Dim *number(Share *s, int64_t value) { return lt_dim_const(s->t, value); }

/* --- schedule_share.c --- */

/* The list as what each of the threads does. */
Stmt *lt_share_in_threads(Share *s, Stmt *list);
/* The side's factor at the thread's own element and that of the piece of the fold. */
const Expr *lt_share_copied(Share *s, const Side *side, const Dim *within);
/* An ExprMapFn: loads of parameters are 0, too, where the condition does not hold. */
const Expr *lt_share_load_where(Kernel *k, const Expr *e, void *condition);
/* Adds the product to each element of the thread's tile. */
Stmt *lt_share_update(Share *s, const Expr *const *factors);
/* Copies the parts of both factors that the step needs. */
Stmt *lt_share_fill(Share *s);
/* Adds up the products of what was copied. */
Stmt *lt_share_multiply(Share *s);

/* --- schedule_pipeline.c --- */

/* All folding loops. */
Stmt *lt_share_fold(Share *s);

/* --- schedule_mma.c --- */

/* Sets mma_fold; gives why tensor cores do not multiply this, or NULL. */
const char *lt_share_check_mma(Share *s);
/* Sets where the elements of each thread are. */
void lt_share_place_lanes(Share *s);
Stmt *lt_share_multiply_in_warps(Share *s);

/* --- schedule_quads.c --- */

const char *lt_share_check_quads(Share *s);
void lt_share_place_quads(Share *s);

/* --- schedule_wgmma.c --- */

const char *lt_share_check_wgmma(Share *s);
/* Where an element of a factor's part lies in its copy: the axes behind the stage, 3 of them. */
void lt_share_swizzled_index(Share *s, const Side *side, const Dim *outer, const Dim *inner,
                             const Dim **index);
/* The extents of these axes. */
void lt_share_swizzled_extents(Share *s, const Side *side, const Dim **extents);
Stmt *lt_share_multiply_in_warpgroups(Share *s);

#endif
