/* program.h - a whole compiled model: buffers with their places, kernels, and the steps that launch
 * them.
 *
 * This is what is left of a graph after lowering: what the host entry does, in order. The
 * interpreter (ir/program_eval.c) runs it for tests; codegen turns it into machine code. Dims here
 * are of the module's table. */
#ifndef LATHE_IR_PROGRAM_H
#define LATHE_IR_PROGRAM_H

#include "ir/eval.h"
#include "ir/graph.h"
#include "ir/kernel.h"

typedef enum { PLACE_ARENA, PLACE_WEIGHTS, PLACE_INPUT, PLACE_OUTPUT } Place;

typedef struct ProgramBuffer {
    Place place;
    const Type *type;
    const char *name;               /* for people; may be NULL */
    const Const *value;             /* WEIGHTS: the tensor */
    uint32_t index;                 /* INPUT, OUTPUT: position in the model's signature */
    const Dim *offset;              /* ARENA, WEIGHTS: bytes; a multiple of LT_TENSOR_ALIGN */
    const Dim *bytes;               /* ARENA */
    uint32_t first_step, last_step; /* ARENA: live range, both inclusive */
} ProgramBuffer;

typedef enum { STEP_LAUNCH, STEP_LIBRARY, STEP_COPY } StepKind;

typedef struct Step {
    StepKind kind;
    uint32_t kernel;  /* LAUNCH: index into kernels; LIBRARY: row of runtime/kernels/library.def */
    const char *name; /* made of the model's node names; kernels may be shared by steps */
    uint32_t buffer_count;
    const uint32_t *buffers; /* into Program.buffers. COPY: source, destination */
    uint32_t int_count;
    const Dim *const *ints; /* the kernel's integer arguments */
    const Dim *count;       /* LAUNCH: extent of the parallel loop (1: none); COPY: bytes */
    const Dim *rounds; /* LAUNCH of a team's kernel: how often its innermost loop with a barrier
                               runs; NULL: not a team's */
    const Loc *loc;
} Step;

typedef struct Program {
    Arena *arena;
    Module *module;
    Vec(ProgramBuffer) buffers;
    Vec(Kernel *) kernels;
    Vec(Step) steps;
    const Dim *arena_size;  /* bytes */
    const Dim *lower_bound; /* the greatest sum of live buffers over the steps: what a perfect plan
                               would need; max() */
    int64_t weights_size;
} Program;

void lt_program_print(Str *out, const Program *p);
/* The same without the kernels. */
void lt_program_print_plan(Str *out, const Program *p);
/* Runs p through the kernel interpreter. Same contract as lt_eval_module. NULL, or the error. */
const char *lt_program_eval(const Program *p, Arena *arena, const Tensor *const *inputs,
                            const Tensor **outputs);

/* The runtime's irregular operations (LtHostApi.library): ir/ does not link them. */
typedef struct ProgramLibrary {
    int32_t (*call)(void *context, uint32_t function, void *const *buffers, const int64_t *ints);
    void *context;
} ProgramLibrary;

/* The same with library steps, which are an error without a library. Buffers lie in one arena at
 * their planned offsets, as in compiled code, so that a wrong plan shows in the results. */
const char *lt_program_eval_with(const Program *p, Arena *arena, const Tensor *const *inputs,
                                 const Tensor **outputs, const ProgramLibrary *library);

#endif
