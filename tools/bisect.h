/* bisect.h - finds the first pass that changes what a model computes.
 *
 * The graph as read is run by the evaluator; after every pass the graph is run again, or the
 * program once there is one (through the kernel interpreter), and the outputs are compared. In the
 * first stage whose outputs differ, every value that was known before is compared too: the first of
 * them that differs, in the order of execution, is where it went wrong. */
#ifndef LATHE_TOOLS_BISECT_H
#define LATHE_TOOLS_BISECT_H

#include "passes/pass.h"
#include "tools/oracle.h"

/* What a stage computed. */
typedef struct BisectStage {
    Arena arena;
    const Tensor **values; /* by value id; NULL: not computed */
    uint32_t value_count;
    Map names;     /* a value's name -> its tensor */
    uint64_t hash; /* of the graph's text: a stage with the same text is not run again */
} BisectStage;

typedef struct Bisect {
    const PassContext *ctx;
    const Tensor *const *inputs;
    const char *title;         /* not NULL: a line on stderr tells how far it is */
    BisectStage *first, *last; /* as read; before the pass that is judged */
    const Tensor **wanted;     /* outputs of the graph as read */
    int stages;                /* how many were run and compared */
    int passes;                /* how many ran */
    double greatest;           /* error of an output that was still right */
    const char *pass;          /* the first one after which outputs differ; NULL: none so far */
    Str report;                /* then: what differs, by how much, and where it starts, as lines */
} Bisect;

/* Runs the graph as read. NULL, or why the evaluator cannot. The texts of b live in `arena`. */
const char *lt_bisect_begin(Bisect *b, Arena *arena);
/* After every pass, until b->pass is set. */
void lt_bisect_after(Bisect *b, const Pass *pass);
void lt_bisect_free(Bisect *b);

#endif
