/* lower.h - from fused groups to kernels, and from a graph of them to a Program. */
#ifndef LATHE_PASSES_LOWER_H
#define LATHE_PASSES_LOWER_H

#include "passes/pass.h"

/* The naive kernel of one node of the main graph (a `fused` node, or any single computing op):
 * always right, never fast. Parameters: the node's distinct operands that are read, then its
 * outputs. */
typedef struct Lowered {
    Kernel *kernel;
    Vec(Value *) operands; /* one for each input parameter */
    Vec(Value *) results;  /* one for each output parameter */
    Vec(const Dim *) ints; /* the module's symbol behind each integer argument */
} Lowered;
/* False: a diagnostic says why there is no kernel for it. */
bool lt_lower_node(PassContext *ctx, Node *node, Lowered *out);

/* Chooses and applies a schedule (passes/schedule_cpu.c). No-op at -O0. */
void lt_schedule_kernel(PassContext *ctx, Kernel *kernel);

/* A fold whose parts one kernel leaves in memory, and another one folds. */
#define LT_PARTIAL UINT32_MAX
typedef struct SplitFold {
    Kernel *kernels[2];
    uint32_t *params[2]; /* by parameter: which one of the kernel it was, or LT_PARTIAL */
    DType dtype;         /* of what is between */
    int64_t elements;
} SplitFold;
/* True where the naive kernel has few results and a long fold, so that one kernel would leave most
 * of a GPU idle (passes/schedule_split.c). */
bool lt_split_fold(Kernel *kernel, SplitFold *out);

/* The pass `lower` is in passes/lower_program.c: it fills ctx->program with buffers, deduplicated
 * kernels and steps; `plan-memory` gives the buffers their offsets. */

#endif
