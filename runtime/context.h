/* context.h - one run at a time: bound tensors, values of the symbols, arena, profile. */
#ifndef LATHE_RUNTIME_CONTEXT_H
#define LATHE_RUNTIME_CONTEXT_H

#include <stdbool.h>

#include "runtime/model.h"
#include "runtime/pool.h"
#include "runtime/profile.h"

/* Memory that grows and never shrinks, LT_TENSOR_ALIGN aligned. */
typedef struct Buffer {
    void *data;
    size_t size;
} Buffer;

typedef struct Binding {
    void *data;    /* what the caller sees: his memory or own.data */
    bool set;      /* inputs: a tensor was given; outputs: the caller's memory is used */
    int32_t where; /* data: LATHE_CPU, or LATHE_CUDA, the model's device */
    int64_t dims[LATHE_MAX_RANK]; /* of the tensor that was set */
    Buffer own;    /* on the host; pinned, where the model runs on a device */
    Buffer device; /* there */
    bool is_stale; /* own.data is newer than device.data */
} Binding;

struct lathe_context {
    lathe_model *model;
    Pool *pool;
    int32_t threads;
    bool prepared; /* symbols, output_dims, arena and tensors fit the bound inputs and outputs */
    LtHostApi api;
    struct CudaContext *cuda; /* NULL: kernels run on the CPU */
    Buffer arena;
    size_t arena_bytes; /* what the code needs of it */
    Buffer scratch; /* scratch_bytes for each thread */
    size_t scratch_bytes;
    Buffer *slots; /* memory that the code reserves while it runs */
    uint64_t slot_count;
    bool has_run; /* since it was prepared: output_dims that depend on data are those of that run */
    Binding *bindings;    /* inputs, then outputs */
    void **tensors;       /* what the code gets: data of the bindings, or memory of the device */
    int64_t *symbols;
    int64_t *output_dims; /* one output after the other */
    Profile profile;
    ErrorText error;
};

/* Fills context->api: how compiled code calls back. */
void lt_host_api_init(lathe_context *context);
/* LtHostApi.library. */
int32_t lt_host_library(void *context, uint32_t function, void *const *buffers,
                        const int64_t *ints);
/* Memory for an output of these dims, the caller's or the context's. */
lathe_status lt_output_place(lathe_context *context, uint32_t index, const int64_t *dims);
/* Grows the buffer to at least `size` bytes; its contents are lost when it grows. all_used: its
 * pages are made at once. */
bool lt_buffer_reserve(Buffer *buffer, size_t size, bool all_used);
/* Checks the shapes of inputs against the signature and each other; fills context->symbols. */
lathe_status lt_bind_symbols(lathe_context *context);

#endif
