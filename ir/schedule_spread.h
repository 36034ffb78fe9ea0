/* schedule_spread.h - what the parts of `spread` share. Inside ir/schedule_spread.c and
 * ir/schedule_scan.c only. */
#ifndef LATHE_IR_SCHEDULE_SPREAD_H
#define LATHE_IR_SCHEDULE_SPREAD_H

#include "ir/schedule.h"

/* What a stage does with a scalar that was there before it. */
typedef struct StageFold {
    const Buffer *buffer;
    ScalarFn fn;
    const Buffer *where; /* of a search: what has the position; NULL: a plain fold */
} StageFold;

typedef struct Spread {
    Kernel *kernel;
    int64_t width, groups, vector;
    bool is_across;    /* a thread's number is lane * groups + group, not group * width + lane */
    const Dim *row;    /* the loop's variable, or NULL */
    const Dim *extent; /* of rows */
    const Dim *block;  /* the blocks' variable: row itself where a block has one */
    const Dim *stage;  /* the extent of all stages so far; NULL: none yet */
    const char *error;
} Spread;

/* --- schedule_spread.c --- */

/* The statement, a store, as a fold: acc = fn(acc, x) or fn(x, acc), or fma(a, b, acc), where the
 * value reads acc no further. */
bool lt_spread_is_fold(const Stmt *s, StageFold *out);
/* The variable of a thread loop. */
const Dim *lt_spread_thread_var(Spread *s, const char *name, int64_t count);
/* The thread's number in its group, in a thread loop over var. */
const Dim *lt_spread_lane(Spread *s, const Dim *var);
/* thread var in count { if (condition) { list } }, for one row of those that the block has. The
 * condition may be NULL. */
Stmt *lt_spread_threads(Spread *s, const Dim *var, int64_t count, const Expr *condition,
                        Stmt *list);
/* What fn changes nothing with. */
const Expr *lt_spread_identity(Kernel *k, ScalarFn fn, DType dtype);

/* --- schedule_scan.c --- */

/* The running fold that the stage's results need on the way, in *out: all that it does is to fold
 * into one scalar and to store to parameters. */
bool lt_spread_is_scan(const Stmt *stage, StageFold *out);
Stmt *lt_spread_scan(Spread *s, const Stmt *stage);

#endif
