/* host.h - between the files that write the host's functions: host.c and host_control.c. Inside
 * codegen/cuda only.
 *
 * Symbols of the module are int64_t variables: parts of `dims`, or found by the run. Buffers are
 * pointers, declared in the scope that needs them first. What lies on the device is fetched where
 * the host decides by it, which waits for the stream. */
#ifndef LATHE_CODEGEN_CUDA_HOST_H
#define LATHE_CODEGEN_CUDA_HOST_H

#include "codegen/cuda/cuda.h"

typedef struct HostBuffer {
    const char *name; /* its variable; NULL: none is visible */
    const Scope *scope;
} HostBuffer;

/* A symbol whose value changes. */
typedef struct HostVariable {
    const char *name; /* NULL: not declared */
    const Scope *scope;
} HostVariable;

/* A branch or a loop that is not closed yet. */
typedef struct Construct {
    struct Construct *around;
    Scope body;
    const char *head;
    const Step *loop; /* NULL: a branch */
    const char *goes_on;
    const Graph *graph; /* what ran before */
} Construct;

typedef struct HostWriter {
    Writer w;
    const Program *program;
    const char *name;
    const CudaFunction *kernels;
    HostBuffer *buffers;     /* by buffer */
    HostVariable *variables; /* by symbol */
    const char **slots;      /* by slot: its Memory */
    const char **told;       /* the names of those that inputs tell */
    int symbol_count;        /* of those that inputs tell: how many `dims` begins with */
    int *found;              /* by output: where its dims are in `dims`; -1: its type has them */
    Construct *innermost;
    const Graph *graph; /* at hand */
    const Step *step;   /* after which buffers without a name are called */
    Str refused;        /* conditions, joined by ||, that a value must not have */
} HostWriter;

/* --- host.c --- */

/* The functions, behind the kernels that they launch. False: a diagnostic says why not. */
bool lt_cuda_host(Str *out, const Program *p, const char *name, const CudaFunction *kernels,
                  Arena *arena, DiagList *diags);
/* What each of `dims` is, as comments. */
void lt_cuda_dims_comment(Str *out, const Program *p);

/* The text of a dim of the module; an error where it has no value yet. */
const char *lt_host_dim(HostWriter *h, const Dim *d, const Loc *loc);
const char *lt_host_buffer(HostWriter *h, uint32_t number);
/* Its variable, if there is one, is not what it was. */
void lt_host_forget_buffer(HostWriter *h, uint32_t number);
/* Adds guards over symbols that have values by now to what is refused: those of the graph at hand,
 * which begins; or, with `bound`, of all that run, over the symbols that the step gives values. */
void lt_host_guards(HostWriter *h, const Step *bound);
/* The same for a symbol's value, just told, that is outside of its range. */
void lt_host_check_range(HostWriter *h, const Dim *symbol);
/* Returns from the run where anything that both found holds. */
void lt_host_refuse(HostWriter *h);

/* --- host_control.c: RESERVE, BIND, ASSIGN, branches and loops --- */

void lt_host_control(HostWriter *h, uint32_t at);

#endif
