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
    void *data;    /* what the code gets: the caller's memory or own.data */
    bool set;      /* inputs: a tensor was given; outputs: the caller's memory is used */
    int64_t dims[LATHE_MAX_RANK]; /* of the tensor that was set */
    Buffer own;
} Binding;

struct lathe_context {
    lathe_model *model;
    Pool *pool;
    int32_t threads;
    bool prepared; /* symbols, output_dims, arena and tensors fit the bound inputs and outputs */
    LtHostApi api;
    Buffer arena;
    size_t arena_bytes; /* what the code needs of it */
    Buffer scratch; /* scratch_bytes for each thread */
    size_t scratch_bytes;
    Binding *bindings;    /* inputs, then outputs */
    void **tensors;       /* the data pointers of bindings */
    int64_t *symbols;
    int64_t *output_dims; /* one output after the other */
    Profile profile;
    ErrorText error;
};

/* Fills context->api: how compiled code calls back. */
void lt_host_api_init(lathe_context *context);
/* Checks the shapes of inputs against the signature and each other; fills context->symbols. */
lathe_status lt_bind_symbols(lathe_context *context);

#endif
