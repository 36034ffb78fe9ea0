/* device_cuda.h - models whose kernels run on an NVIDIA GPU.
 *
 * A model is loaded onto its device when its first context is made: the kernels once, and the
 * weights once. A context has a stream, an arena and buffers for inputs and outputs there, and
 * pinned memory on the host for those that the caller has on the CPU. The host entry is the same
 * code as for a CPU; its buffers are addresses on the device, and what it calls (LtHostApi) issues
 * launches and copies on the stream. Where a run issues the same ones as the run before, they are
 * recorded as a graph, and launched as one from then on. */
#ifndef LATHE_RUNTIME_DEVICE_CUDA_H
#define LATHE_RUNTIME_DEVICE_CUDA_H

#include <stdbool.h>

#include "runtime/context.h"
#include "runtime/cuda_api.h"

typedef struct CudaModel {
    const CudaApi *api;
    CUcontext primary; /* the device's primary context, retained */
    CUdevice device;
    int32_t ordinal;
    int capability; /* 80 for sm_80 */
    char name[96];
    CUmodule module;       /* NULL: the model has no kernels */
    CUfunction *functions; /* by kernel */
    Buffer weights;
} CudaModel;

/* Launches that are not timed yet. */
typedef struct CudaTimes {
    CUevent origin;
    CUevent *events; /* begin and end of each */
    uint32_t *rows;
    uint32_t count, limit;
    uint64_t origin_ns; /* lt_profile_now when `origin` was recorded */
} CudaTimes;

typedef struct CudaContext {
    CudaModel *model;
    CUstream stream;     /* the caller's, or one of its own */
    bool is_callers;     /* runs do not wait, unless they must: LATHE_ON_STREAM */
    bool is_in_flight;   /* a run that nobody has waited for is in the stream */
    bool has_moved;      /* the run at hand copies from the host, or to it */
    CUstream recorder;   /* what a graph is captured from; nothing runs there */
    CUstream at;         /* where launches go: one of the two */
    void **params;       /* of one launch */
    lathe_status status; /* of the run at hand: what failed first. Its words are the context's */
    bool outputs_stay;   /* LATHE_OUTPUTS_ON_DEVICE */
    Buffer fetched, staging; /* pinned: what the host reads, and operands of library functions */
    CUgraphExec graph;       /* of runs with `key`, or NULL */
    bool has_no_graphs;      /* one could not be made: none is tried again */
    uint32_t equal_runs;     /* with `key`, before this one */
    uint32_t launches;       /* of the graph */
    uint32_t patience;       /* equal runs that there must be before one is made */
    uint64_t *key;           /* tensors, symbols, arena of the last run */
    size_t key_length;
    bool has_key;
    CudaTimes times;
} CudaContext;

/* Memory of the device is a pointer wherever it may be the host's, too. */
static inline CUdeviceptr lt_cuda_address(const void *data) { return (CUdeviceptr)(uintptr_t)data; }

/* --- device_cuda_driver.c --- */

/* The driver, opened once a process; NULL: `error` says why. */
const CudaApi *lt_cuda_api(ErrorText *error);
/* LATHE_NO_MEMORY when memory ran out, else LATHE_FAILED: "WHAT: the driver's words (its name)". */
lathe_status lt_cuda_fail(const CudaApi *api, ErrorText *error, CUresult result, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));

/* --- device_cuda_jit.c --- */

/* What NVRTC makes of the text for a device of that capability: a cubin, or PTX where it does not
 * know that one. malloc'ed. */
lathe_status lt_cuda_jit(const char *text, int capability, Buffer *image, ErrorText *error);

/* --- device_cuda.c --- */

/* Loads the model onto its device, if it is not there yet. The model keeps it. */
lathe_status lt_cuda_model(lathe_model *model, ErrorText *error);
void lt_cuda_model_free(CudaModel *cuda);
/* Makes the device's context the thread's, and what was before so again. They nest. */
void lt_cuda_enter(const CudaModel *cuda);
void lt_cuda_leave(const CudaModel *cuda);
/* As lt_buffer_reserve, on the device, and in memory of the host that the device can copy. They
 * enter by themselves. */
bool lt_cuda_reserve(const CudaModel *cuda, Buffer *buffer, size_t size);
bool lt_cuda_reserve_host(const CudaModel *cuda, Buffer *buffer, size_t size);
/* "the GPU has 12 of 16 MB left", for sentences about memory. */
const char *lt_cuda_room(const CudaModel *cuda, char text[96]);

/* --- device_cuda_context.c --- */

/* For a context whose tables are there. */
lathe_status lt_cuda_context(lathe_context *context, const lathe_context_options *options,
                             ErrorText *error);
/* All memory of the context that malloc did not give, too. */
void lt_cuda_context_free(lathe_context *context);
/* Makes tensors[slot] an address on the device: the caller's, or memory of the context, where host
 * memory for its contents is there, too, if the caller wants them on the host. */
lathe_status lt_cuda_place(lathe_context *context, size_t slot, const char *name, size_t bytes);
/* The same for all inputs, which are set. */
lathe_status lt_cuda_place_inputs(lathe_context *context);
/* Copies a tensor of the device into the input's own memory there, which becomes its data. */
lathe_status lt_cuda_copy_input(lathe_context *context, uint32_t index, const lathe_tensor *tensor,
                                size_t bytes);
/* Waits for runs that are still in the caller's stream, whose memory is used there. */
lathe_status lt_cuda_settle(lathe_context *context);
/* Brings inputs to the device, runs, brings outputs back; all have their places. *result: what
 * run() gave. */
lathe_status lt_cuda_run(lathe_context *context, int32_t *result);

/* --- device_cuda_launch.c --- */

/* Fills context->api. */
void lt_cuda_host_api(lathe_context *context);
/* Keeps the first failure of a run. True when the call went well. */
bool lt_cuda_note(lathe_context *context, CUresult result, const char *what, const char *name);
/* Waits for the stream. */
bool lt_cuda_wait(lathe_context *context);
/* Begins timing a run, adds what was timed to the profile, and ends it. */
void lt_cuda_times_begin(lathe_context *context);
void lt_cuda_times_take(lathe_context *context);
void lt_cuda_times_free(CudaContext *cuda);

#endif
