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

/* SLOT: memory of its own that is reserved during the run, because its size depends on data. */
typedef enum { PLACE_ARENA, PLACE_WEIGHTS, PLACE_INPUT, PLACE_OUTPUT, PLACE_SLOT } Place;

typedef struct ProgramBuffer {
    Place place;
    const Type *type;
    const char *name;               /* for people; may be NULL */
    const Const *value;             /* WEIGHTS: the tensor */
    uint32_t index;                 /* INPUT, OUTPUT: position in the signature; SLOT: number */
    const Dim *offset;              /* ARENA, WEIGHTS: bytes; a multiple of LT_TENSOR_ALIGN */
    const Dim *bytes;               /* ARENA, SLOT */
    uint32_t first_step, last_step; /* ARENA: live range, both inclusive */
} ProgramBuffer;

/* Steps run in order, but for those of branches and loops, which nest:
 *   IF then... ELSE else... END     LOOP body... NEXT
 * Symbols that no input's shape tells get their values from BIND and ASSIGN; `ints` of ELSE, END,
 * LOOP and NEXT are the assigned ones that are read behind it, as what they are by then. */
typedef enum {
    STEP_LAUNCH,
    STEP_LIBRARY,
    STEP_COPY,    /* count bytes of buffer 0, to `offset` bytes into buffer 1 */
    STEP_RESERVE, /* count bytes for buffer 0: a slot, or an output whose dims depend on data; what
                     a slot holds is kept */
    STEP_BIND,    /* ints, symbols: the elements of buffer 0, i64 */
    STEP_ASSIGN,  /* ints: symbol, value, symbol, value, ...; all values are read first */
    STEP_IF,      /* buffer 0: bool */
    STEP_ELSE,
    STEP_END,
    STEP_LOOP, /* buffer 0: most iterations, i64; buffer 1: whether to begin, bool; ints[0]: the
                  number of the iteration, a symbol; behind NEXT, how many there were */
    STEP_NEXT  /* buffer 0: whether to go on, bool */
} StepKind;

typedef struct Step {
    StepKind kind;
    uint32_t kernel;  /* LAUNCH: index into kernels; LIBRARY: row of runtime/kernels/library.def */
    const char *name; /* made of the model's node names; kernels may be shared by steps */
    uint32_t buffer_count;
    const uint32_t *buffers; /* into Program.buffers. COPY: source, destination */
    uint32_t int_count;
    const Dim *const *ints; /* the kernel's integer arguments */
    const Dim *count;       /* LAUNCH: extent of the parallel loop (1: none); others: bytes */
    const Dim *offset;      /* COPY: NULL: 0 */
    const Dim *rounds; /* LAUNCH of a team's kernel: how often its innermost loop with a barrier
                               runs; NULL: not a team's */
    const Graph *graph; /* IF, ELSE, LOOP: what runs from here on, whose guards must hold */
    const Loc *loc;
} Step;

typedef struct Program {
    Arena *arena;
    Module *module;
    Vec(ProgramBuffer) buffers;
    Vec(Kernel *) kernels;
    Vec(Step) steps;
    uint32_t slot_count;
    const Dim *arena_size;  /* bytes */
    const Dim *lower_bound; /* the greatest sum of live buffers over the steps: what a perfect plan
                               would need; max() */
    int64_t weights_size;
} Program;

extern const char *const lt_step_names[STEP_NEXT + 1];

/* The step that ends the branch or loop which begins or goes on at step `at`: ELSE, END or NEXT. */
uint32_t lt_program_match(const Program *p, uint32_t at);

/* Whether d mentions a symbol that the step, BIND or ASSIGN, gives a value. */
bool lt_step_binds(const Step *s, const Dim *d);

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
