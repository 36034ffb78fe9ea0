/* host.h - between host.c, which emits the host entry's code, and descriptor.c, which emits its
 * data. */
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

/* functions: output_dims, arena_size, run. */
void lt_host_emit_descriptor(Host *h, const LLVMValueRef functions[3]);

#endif
