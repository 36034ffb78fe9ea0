/* runtime.h - running compiled models. The only header that a program needs; link with -llathe_rt.
 *
 *     lathe_model *model;
 *     lathe_context *context;
 *     if (lathe_model_open("model.so", NULL, &model) || lathe_context_new(model, NULL, &context))
 *         return fail(lathe_last_error());
 *     int64_t dims[] = {1, 3, 224, 224};
 *     lathe_tensor image = {.data = pixels, .dtype = LATHE_F32, .rank = 4, .dims = dims,
 *                           .device = {LATHE_CPU, 0}};
 *     lathe_tensor scores;
 *     if (lathe_set_input(context, 0, &image) || lathe_run(context) ||
 *         lathe_get_output(context, 0, &scores))
 *         return fail(lathe_context_error(context));
 *     ... scores.data, scores.dims[0 .. scores.rank) ...
 *     lathe_context_free(context);
 *     lathe_model_close(model);
 *
 * Errors. Functions return a lathe_status, LATHE_OK (0) on success. The sentence behind the last
 * error is lathe_context_error(context) for functions that take a context, and lathe_last_error()
 * for all others. After an error the out parameters are untouched, and nothing else has changed.
 * The library prints nothing, never ends the process, installs no handlers and leaves the
 * floating-point mode alone.
 *
 * Threads. A model is immutable: any number of threads may use it at once. A context belongs to
 * one thread at a time; run concurrently with one context each. Contexts with the same number of
 * threads share one pool.
 *
 * Memory. lathe_run allocates nothing unless an input's dims differ from those of the run before,
 * or sizes depend on the data, and more memory is needed than ever before. An artifact's weights
 * are mapped, not copied, and shared between processes; the artifact must not be written to or cut
 * short while it is open (replacing it by renaming is fine). */
#ifndef LATHE_RUNTIME_H
#define LATHE_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define LATHE_VERSION "0.1.0"
/* Of artifacts. The runtime runs those whose ABI is LATHE_ABI or older (0 < abi <= LATHE_ABI). */
#define LATHE_ABI 4
#define LATHE_MAX_RANK 8

typedef struct lathe_model lathe_model;
typedef struct lathe_context lathe_context;

/* LATHE_OK, LATHE_FAILED, LATHE_BAD_ARGUMENT, ...: see lathe/status.def. */
typedef enum lathe_status {
#define STATUS(e, number, exit_code, text) LATHE_##e = number,
#include "lathe/status.def"
#undef STATUS
    LATHE_STATUS_LIMIT
} lathe_status;

/* LATHE_F32, LATHE_I64, ...: see lathe/dtypes.def. A bool is one byte, 0 or 1; f16 and bf16 are 16
 * bits. Elements of fewer than 8 bits are not packed: i4 and i2 are a signed byte, u4, u2 and
 * f4e2m1 (its code) an unsigned one, of which the low bits are read. */
typedef enum lathe_dtype {
#define DTYPE(e, name, bits, kind, dlpack) LATHE_##e,
#include "lathe/dtypes.def"
#undef DTYPE
    LATHE_DTYPE_LIMIT
} lathe_dtype;

/* Where memory lives; the numbers are DLPack's. */
enum { LATHE_CPU = 1, LATHE_CUDA = 2 };
typedef struct lathe_device {
    int32_t type, index;
} lathe_device;

/* A view of memory that somebody else owns. */
typedef struct lathe_tensor {
    void *data; /* the first element; may be NULL when there are no elements */
    lathe_dtype dtype;
    int32_t rank;           /* 0..LATHE_MAX_RANK; 0 is a scalar */
    const int64_t *dims;    /* rank extents, outermost first; may be NULL for a scalar */
    const int64_t *strides; /* rank distances in elements; NULL: dense, row-major */
    lathe_device device;
} lathe_tensor;

/* The text of a status: "out of memory". Never NULL. */
const char *lathe_status_text(lathe_status status);
/* LATHE_VERSION of the library that runs, which may be newer than the header. */
const char *lathe_version(void);
/* What went wrong in this thread's last failing call that takes no context; "" before the first.
 * Valid until the thread's next such call. */
const char *lathe_last_error(void);
/* "f32", or "?" for a number that is no dtype. */
const char *lathe_dtype_name(lathe_dtype dtype);
/* Bytes of one element, 0 for a number that is no dtype. */
size_t lathe_dtype_size(lathe_dtype dtype);

/* --- models --- */

/* Start reading the weights at once, not when they are first used. */
enum { LATHE_PREFETCH_WEIGHTS = 1 };

typedef struct lathe_model_options {
    size_t struct_size; /* sizeof(lathe_model_options): lets later versions append fields */
    uint32_t flags;     /* LATHE_PREFETCH_WEIGHTS */
    int32_t device;     /* of a model for GPUs: the number of the one that it runs on */
} lathe_model_options;

/* Opens an artifact. It is checked before any of its code runs: LATHE_IO when a file cannot be
 * read, LATHE_MALFORMED when it is no artifact, is cut short or damaged, LATHE_BAD_ABI when it is
 * for another runtime, LATHE_MACHINE when the CPU lacks what it needs, LATHE_NO_MEMORY. options
 * may be NULL. */
lathe_status lathe_model_open(const char *path, const lathe_model_options *options,
                              lathe_model **out);
/* NULL is fine. Memory goes when the model's last context is freed. */
void lathe_model_close(lathe_model *model);

/* A range of extents: lo == hi for a fixed one; hi is INT64_MAX when there is no upper bound. */
typedef struct lathe_dim {
    int64_t lo, hi;
    const char *symbol; /* "batch" when it is a symbol by itself, else NULL */
    const char *text;   /* for people: "64", "batch", "floor(h/32)" */
} lathe_dim;

/* An input or output as the model declares it. Lives as long as the model.
 *
 * What is no tensor in the model is several here, named after it:
 *   a sequence x      x.values  T[total]: the elements' data, one behind the other, each row-major
 *                     x.shapes  i64[n, rank]: a row of extents for each element. Where elements may
 *                               have several ranks, rows of those with fewer axes end with -1
 *   an optional x     x.has     bool[]: whether there is a value. Where there is none, the others
 *                               are there all the same, and say nothing
 *                     x.value   T[...]: a tensor; or x.values and x.shapes: a sequence
 *   strings x         x.bytes   u8[total]: the strings, one behind the other, in row-major order,
 *                               as UTF-8, without a NUL at their ends
 *                     x.lengths i64[shape of x]: how many bytes each has */
typedef struct lathe_tensor_info {
    const char *name;
    lathe_dtype dtype;
    int32_t rank;
    const lathe_dim *dims;
} lathe_tensor_info;

typedef struct lathe_model_info {
    const char *name, *target; /* of the model; triple and CPU it was compiled for */
    const char *version;       /* LATHE_VERSION of the compiler */
    uint64_t weights_bytes;
    uint32_t symbol_count, kernel_count;
} lathe_model_info;

void lathe_model_get_info(const lathe_model *model, lathe_model_info *out);
uint32_t lathe_input_count(const lathe_model *model);
uint32_t lathe_output_count(const lathe_model *model);
/* NULL when index is out of range. */
const lathe_tensor_info *lathe_input_info(const lathe_model *model, uint32_t index);
const lathe_tensor_info *lathe_output_info(const lathe_model *model, uint32_t index);
/* The index of that name, or -1. */
int32_t lathe_input_find(const lathe_model *model, const char *name);
int32_t lathe_output_find(const lathe_model *model, const char *name);
/* Symbolic dim `index` < symbol_count and its range; NULL when out of range. */
const lathe_dim *lathe_symbol_info(const lathe_model *model, uint32_t index);

/* --- contexts --- */

/* Of a model on a GPU.
 * LATHE_OUTPUTS_ON_DEVICE: outputs without memory of the caller stay there. lathe_get_output then
 * gives device memory, and nothing is copied back.
 * LATHE_ON_STREAM: runs go onto the caller's stream, behind what is there already. lathe_run
 * returns when all of its work is in the stream, and does not wait for it: inputs may be written by
 * work that is ahead of it there, and outputs are done when the stream has come so far. An error of
 * a kernel is told by what waits for the stream, or by a later call. A run still waits where it
 * must: when an input or output is in memory of the host, when values on the GPU decide what runs
 * next, while a profile measures, and, for runs before it, when dims have changed. */
enum { LATHE_OUTPUTS_ON_DEVICE = 1, LATHE_ON_STREAM = 2 };

typedef struct lathe_context_options {
    size_t struct_size; /* sizeof(lathe_context_options) */
    int32_t threads;    /* 0: one a physical core that the process may use; 1: no pool */
    uint32_t flags;     /* LATHE_OUTPUTS_ON_DEVICE, LATHE_ON_STREAM */
    void *stream; /* with LATHE_ON_STREAM: a CUstream or cudaStream_t of the device's primary
                     context, or NULL, the default stream; it must outlive the context */
} lathe_context_options;

/* A place to run the model: its memory and its bound inputs and outputs. options may be NULL.
 * Fails with LATHE_BAD_ARGUMENT (threads < 0 or above 1024) or LATHE_NO_MEMORY; the text is in
 * lathe_last_error.
 *
 * The first context of a model for GPUs loads kernels and weights onto the device; all others share
 * them. LATHE_MACHINE when there is no driver, no GPU, or none that its kernels are for. */
lathe_status lathe_context_new(lathe_model *model, const lathe_context_options *options,
                               lathe_context **out);
/* NULL is fine. Ends every view that lathe_get_output gave. */
void lathe_context_free(lathe_context *context);
/* What went wrong in the last failing call on this context; "" before the first. */
const char *lathe_context_error(const lathe_context *context);
int32_t lathe_context_threads(const lathe_context *context);
/* Bytes of the arena that the dims of the last lathe_prepare or lathe_run need; 0 before. */
size_t lathe_context_arena_bytes(const lathe_context *context);
/* Bytes of working memory that are in use now: the arena, and the input and output buffers of its
 * own. */
size_t lathe_context_memory(const lathe_context *context);

/* Borrows: the caller's memory is read by every run until another input is set, and must stay
 * valid until then. tensor->dims is copied. The tensor must be dense, on the CPU, aligned for its
 * dtype, of the declared dtype and rank. LATHE_BAD_ARGUMENT or LATHE_BAD_SHAPE; dims are compared
 * with the others when the model runs.
 *
 * A model on a GPU also takes memory of its device, aligned to 16 bytes, and uses it where it is.
 * What writes it must be done, or be ahead of the run in the default stream, or in the context's
 * (LATHE_ON_STREAM). */
lathe_status lathe_set_input(lathe_context *context, uint32_t index, const lathe_tensor *tensor);
/* Copies into the context's own buffer; any strides (negative ones and 0 too), any alignment; from
 * a GPU's memory dense tensors only.
 * Allocates when the tensor is larger than those before. */
lathe_status lathe_copy_input(lathe_context *context, uint32_t index, const lathe_tensor *tensor);
/* Writes output `index` into the caller's memory from now on; NULL: into the context's own again.
 * Checks as lathe_set_input; the run fails with LATHE_BAD_SHAPE when dims are not those of the
 * result. The memory must not overlap an input or another output. A model on a GPU also writes to
 * memory of its device. */
lathe_status lathe_set_output(lathe_context *context, uint32_t index, const lathe_tensor *tensor);
/* Checks the inputs' shapes, computes those of the outputs and allocates what is needed, so that
 * the next run does not; lathe_get_output then tells dims and memory before anything has run, but
 * for outputs whose dims depend on the data (how many boxes are left). All inputs must be set. */
lathe_status lathe_prepare(lathe_context *context);
/* Runs, and returns when all is done (LATHE_ON_STREAM: when it is in the stream).
 * LATHE_BAD_ARGUMENT when an input is not set, LATHE_BAD_SHAPE when shapes are not what the model
 * declares or needs, LATHE_NO_MEMORY, LATHE_FAILED when a GPU does. After an error the contents of
 * outputs are undefined. */
lathe_status lathe_run(lathe_context *context);
/* A view of output `index`: dense, row-major. Valid, with its dims, until the context runs with
 * other input dims, or is freed; the next run overwrites it. Where its dims depend on the data, the
 * next run may move it, too. LATHE_BAD_ARGUMENT before lathe_run or lathe_prepare. */
lathe_status lathe_get_output(lathe_context *context, uint32_t index, lathe_tensor *out);

/* --- profiles --- */

/* What one kernel took, over all calls since lathe_profile_start. */
typedef struct lathe_kernel_time {
    const char *name;  /* after the model's nodes: "Conv_23+Relu_24" */
    const char *nodes; /* the model's nodes, comma separated; "" for a library function */
    uint64_t calls, total_ns, min_ns, max_ns;
} lathe_kernel_time;

/* Measures from now on, from zero. max_events bounds the trace (0: 65536); times are summed beyond
 * it. */
lathe_status lathe_profile_start(lathe_context *context, size_t max_events);
/* Stops measuring; what was measured stays until the next start. */
void lathe_profile_stop(lathe_context *context);
/* Rows of the table: the model's kernels in the order of its code, then the library's functions; 0
 * before the first start. */
uint32_t lathe_profile_count(const lathe_context *context);
/* Row `index`; calls is 0 for a kernel that did not run. LATHE_BAD_ARGUMENT when index is out of
 * range. */
lathe_status lathe_profile_get(lathe_context *context, uint32_t index, lathe_kernel_time *out);
/* Writes the events as a Chrome trace (JSON, for chrome://tracing or ui.perfetto.dev). LATHE_IO. */
lathe_status lathe_profile_write(lathe_context *context, const char *path);

/* --- DLPack --- lathe_dl_tensor is DLTensor when dlpack.h is included before this header, and has
 * its layout otherwise (cast the pointer then). Nothing is copied: dims, strides and data are
 * those of the source. */
#ifdef DLPACK_DLPACK_H_
typedef DLTensor lathe_dl_tensor;
#else
typedef struct lathe_dl_tensor {
    void *data;
    lathe_device device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} lathe_dl_tensor;
#endif

/* LATHE_UNSUPPORTED for a dtype that lathe does not have or more than one lane, LATHE_BAD_ARGUMENT
 * for a bad rank. The source must outlive the view. */
lathe_status lathe_tensor_from_dlpack(const lathe_dl_tensor *source, lathe_tensor *out);
/* The view's shape and strides point to the tensor's dims and strides: do not write through them.
 * */
lathe_status lathe_tensor_to_dlpack(const lathe_tensor *source, lathe_dl_tensor *out);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
