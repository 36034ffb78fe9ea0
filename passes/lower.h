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

/* The pass `lower` is in passes/lower_program.c: it fills ctx->program with buffers, deduplicated
 * kernels and steps; `plan-memory` gives the buffers their offsets. */

#endif
