/* host.h - between host.c, which emits the code of the host entry, host_control.c, which emits what
 * of it depends on data, and descriptor.c, which emits its data. */
#ifndef LATHE_CODEGEN_LLVM_HOST_H
#define LATHE_CODEGEN_LLVM_HOST_H

#include "codegen/llvm/llvm.h"

typedef struct Host {
    Unit *unit;
    const Program *program;
    const Dim **symbols; /* of the signature, in its order */
    int32_t *number;     /* by the module's symbol: place in `symbols`, -1: no input tells it */
    uint32_t symbol_count;
} Host;

/* run(), while it is emitted. */
typedef struct Run {
    Emitter e;
    Host *host;
    LLVMValueRef context, launch, library, launch_team, reserve, output;
    LLVMValueRef copy, fetch; /* of a device */
    LLVMValueRef buffers, ints; /* tables for the step's call */
    LLVMValueRef *slots;        /* by number: where a slot's address is kept */
    LLVMValueRef *variables;    /* by the module's symbol: memory of one that ASSIGN changes */
    struct Construct *innermost;
    const Graph *graph; /* at hand */
} Run;

enum { RUN_API, RUN_ARENA, RUN_WEIGHTS, RUN_TENSORS, RUN_SYMBOLS }; /* its parameters */

LLVMValueRef lt_host_int(const Unit *u, int64_t value); /* i64 */
/* The address of element `index` of an array of this type. */
LLVMValueRef lt_host_element(Emitter *e, LLVMTypeRef type, LLVMValueRef base, int64_t index);
/* Returns `result` unless `condition`; goes on behind it. */
void lt_host_return_unless(Run *r, LLVMValueRef condition, LLVMValueRef result);
/* Guards over symbols that have values by now: those of the graph at hand, which begins; or, with
 * `bound`, of all that run, over the symbols which that gives values. */
void lt_host_emit_guards(Run *r, const Step *bound);
LLVMValueRef lt_host_buffer_address(Run *r, uint32_t index);
/* Where the host can read the buffer's first `bytes`: itself, or, on a device, a copy. */
LLVMValueRef lt_host_readable(Run *r, uint32_t index, int64_t bytes);
/* Room on the stack, from the entry block on. */
LLVMValueRef lt_host_local(Run *r, LLVMTypeRef type, const char *name);
/* All steps that no other file emits: RESERVE, BIND, ASSIGN, branches and loops. */
void lt_host_emit_control(Run *r, const Step *s);

/* functions: output_dims, arena_size, run. */
void lt_host_emit_descriptor(Host *h, const LLVMValueRef functions[3]);

#endif
