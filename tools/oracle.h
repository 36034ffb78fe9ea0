/* oracle.h - the evaluator as the judge of compiled code: it runs a graph, slowly, in plain loops
 * that share nothing with what is judged, and its results are compared with others. */
#ifndef LATHE_TOOLS_ORACLE_H
#define LATHE_TOOLS_ORACLE_H

#include "ir/eval.h"

/* What comparing two tensors found. */
typedef struct Difference {
    bool differs; /* beyond tolerance, or in dtype or dims */
    bool shapes_differ;
    int64_t elements, wrong; /* wrong: beyond tolerance */
    double greatest; /* the greatest |found - wanted|; NaN or inf where one of them is not finite */
    int64_t at;      /* the element with it, -1: none */
    double wanted_there, found_there;
} Difference;

Difference lt_compare_tensors(const Tensor *wanted, const Tensor *found);
/* The same where operands of products of f32 were rounded: what is in f32 may be as far off as what
 * is in `rounded`. */
Difference lt_compare_rounded(const Tensor *wanted, const Tensor *found, DType rounded);
/* "greatest error 1.2e-06 at [0,3]: 0.5, expected 0.500001". In the arena. */
const char *lt_difference_text(Arena *arena, const Tensor *wanted, const Difference *d);
/* "f32[1,1000]". In the arena. */
const char *lt_tensor_type_text(Arena *arena, const Tensor *t);

/* One run of a module's main graph: ev has every value, by its id. */
typedef struct OracleRun {
    Arena *arena; /* of all results */
    Module *module;
    const Tensor *const *inputs; /* in the graph's order */
    const char *title;           /* not NULL: a line on stderr tells how far it is */
    Evaluation ev;
    const Tensor **outputs; /* in the graph's order */
} OracleRun;

/* False: run->ev.error says why not. */
bool lt_oracle_run(OracleRun *run);

#endif
