/* device_cuda_launch.c - what the host entry of a model on a GPU calls: launches, copies, and the
 * few values that the host reads. Times of kernels are taken by events around each launch. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device_cuda.h"
#include "runtime/kernels/library.h"

enum { TIMED_LAUNCHES = 256 };

bool lt_cuda_note(lathe_context *context, CUresult result, const char *what, const char *name) {
    CudaContext *cuda = context->cuda;
    if (result && !cuda->status)
        cuda->status = lt_cuda_fail(cuda->model->api, &context->error, result, "%s %s", what, name);
    return result == CUDA_SUCCESS;
}

/* Kernels run while the host goes on: which of them failed, the driver does not say. */
bool lt_cuda_wait(lathe_context *context) {
    CudaContext *cuda = context->cuda;
    const CUresult result = cuda->model->api->stream_wait(cuda->stream);
    return lt_cuda_note(context, result, "the kernels failed",
                        "(with CUDA_LAUNCH_BLOCKING=1 in the environment, the one is named)");
}

/* --- times --- */

void lt_cuda_times_free(CudaContext *cuda) {
    CudaTimes *times = &cuda->times;
    for (uint32_t i = 0; times->events && i < 2 * TIMED_LAUNCHES; i++)
        if (times->events[i])
            cuda->model->api->event_destroy(times->events[i]);
    if (times->origin)
        cuda->model->api->event_destroy(times->origin);
    free(times->events);
    free(times->rows);
    *times = (CudaTimes){0};
}

static bool make_events(CudaContext *cuda) {
    CudaTimes *times = &cuda->times;
    const CudaApi *api = cuda->model->api;
    times->events = calloc(2 * TIMED_LAUNCHES, sizeof *times->events);
    times->rows = calloc(TIMED_LAUNCHES, sizeof *times->rows);
    bool is_good = times->events && times->rows &&
                   api->event_create(&times->origin, CU_EVENT_DEFAULT) == CUDA_SUCCESS;
    for (int i = 0; i < 2 * TIMED_LAUNCHES && is_good; i++)
        is_good = api->event_create(&times->events[i], CU_EVENT_DEFAULT) == CUDA_SUCCESS;
    if (!is_good)
        lt_cuda_times_free(cuda);
    else
        times->limit = TIMED_LAUNCHES;
    return is_good;
}

/* The clocks meet at an event that the host waits for. */
static void begin_times(lathe_context *context) {
    CudaContext *cuda = context->cuda;
    CudaTimes *times = &cuda->times;
    times->count = 0;
    lt_cuda_note(context, cuda->model->api->event_record(times->origin, cuda->stream), "the event",
                 "that times begin with");
    lt_cuda_wait(context);
    times->origin_ns = lt_profile_now();
}

void lt_cuda_times_begin(lathe_context *context) {
    CudaContext *cuda = context->cuda;
    if (!context->profile.on)
        return;
    if (cuda->times.limit || make_events(cuda))
        begin_times(context);
    else
        cuda->status =
            lt_fail(&context->error, LATHE_NO_MEMORY, "no memory for the events of a profile");
}

/* The stream is done. Milliseconds with a fraction: half a microsecond is what events resolve. */
void lt_cuda_times_take(lathe_context *context) {
    CudaContext *cuda = context->cuda;
    CudaTimes *times = &cuda->times;
    for (uint32_t i = 0; i < times->count && !cuda->status; i++) {
        const CUevent begin = times->events[2 * i], end = times->events[2 * i + 1];
        float from = 0, took = 0;
        CUresult result = cuda->model->api->event_elapsed(&from, times->origin, begin);
        if (!result)
            result = cuda->model->api->event_elapsed(&took, begin, end);
        if (lt_cuda_note(context, result, "the times of", "kernels"))
            lt_profile_add(&context->profile, times->rows[i],
                           times->origin_ns + (uint64_t)(from * 1e6F), (uint64_t)(took * 1e6F));
    }
    times->count = 0;
}

/* The place of the next launch's events, or NULL. */
static CUevent *next_events(lathe_context *context, uint32_t row) {
    CudaTimes *times = &context->cuda->times;
    if (!context->profile.on || !times->limit)
        return NULL;
    if (times->count == times->limit) {
        lt_cuda_wait(context);
        lt_cuda_times_take(context);
        begin_times(context);
    }
    times->rows[times->count] = row;
    return &times->events[2 * times->count++];
}

/* --- launches --- */

/* An integer argument that the kernel declares as int is the low half of these. */
static void fill_params(CudaContext *cuda, const LtDeviceKernel *kernel, void *const *buffers,
                        const int64_t *ints) {
    for (uint32_t i = 0; i < kernel->buffer_count; i++)
        cuda->params[i] = (void *)(uintptr_t)&buffers[i];
    for (uint32_t i = 0; i < kernel->int_count; i++)
        cuda->params[kernel->buffer_count + i] = (void *)(uintptr_t)&ints[i];
}

static void device_launch(void *opaque, uint32_t kernel, LtKernelFn *fn, void *const *buffers,
                          const int64_t *ints, int64_t blocks) {
    lathe_context *context = opaque;
    CudaContext *cuda = context->cuda;
    const CudaApi *api = cuda->model->api;
    const LtDescriptor *d = context->model->descriptor;
    const LtDeviceKernel *k = &d->device->kernels[kernel];
    const char *name = d->kernels[kernel].name;
    (void)fn;
    if (cuda->status || blocks <= 0)
        return;
    if (blocks > INT32_MAX) {
        cuda->status = lt_fail(&context->error, LATHE_BAD_SHAPE,
                               "kernel %s would have %" PRId64 " blocks; a GPU runs %d at most",
                               name, blocks, INT32_MAX);
        return;
    }
    CUevent *events = next_events(context, kernel);
    if (events)
        lt_cuda_note(context, api->event_record(events[0], cuda->at), "kernel", name);
    fill_params(cuda, k, buffers, ints);
    const CUresult result =
        api->launch(cuda->model->functions[kernel], (unsigned)blocks, 1, 1, k->threads, 1, 1,
                    k->shared_bytes, cuda->at, cuda->params, NULL);
    lt_cuda_note(context, result, "kernel", name);
    if (events)
        lt_cuda_note(context, api->event_record(events[1], cuda->at), "kernel", name);
}

static void device_copy(void *opaque, void *to, const void *from, int64_t bytes) {
    lathe_context *context = opaque;
    CudaContext *cuda = context->cuda;
    if (!cuda->status && bytes > 0)
        lt_cuda_note(context,
                     cuda->model->api->copy(lt_cuda_address(to), lt_cuda_address(from),
                                            (size_t)bytes, cuda->at),
                     "a copy", "on the GPU");
}

/* --- what the host reads --- */

/* Weights are on the host as well. */
static const uint8_t *find_weights(const lathe_context *context, const void *from, size_t bytes) {
    const Buffer *weights = &context->cuda->model->weights;
    const uintptr_t begin = (uintptr_t)weights->data, at = (uintptr_t)from;
    const size_t size = context->model->footer.weights_size;
    const bool is_inside =
        weights->data && at >= begin && at - begin <= size && bytes <= size - (at - begin);
    return is_inside ? context->model->weights + (at - begin) : NULL;
}

static int32_t device_fetch(void *opaque, void *to, const void *from, int64_t bytes) {
    lathe_context *context = opaque;
    CudaContext *cuda = context->cuda;
    const size_t size = (size_t)bytes;
    const uint8_t *known = find_weights(context, from, size);
    if (known && !cuda->status) {
        memcpy(to, known, size);
        return LATHE_OK;
    }
    if (!cuda->status && !lt_cuda_reserve_host(cuda->model, &cuda->fetched, size))
        cuda->status =
            lt_fail(&context->error, LATHE_NO_MEMORY, "no pinned memory for %zu bytes", size);
    if (cuda->status)
        return (int32_t)cuda->status;
    lt_cuda_note(
        context,
        cuda->model->api->download(cuda->fetched.data, lt_cuda_address(from), size, cuda->stream),
        "a value", "that the host needs");
    if (lt_cuda_wait(context))
        memcpy(to, cuda->fetched.data, size);
    return (int32_t)cuda->status;
}

/* --- library functions: on the host, of copies --- */

static size_t round_up(int64_t bytes) {
    return ((size_t)bytes + LT_TENSOR_ALIGN - 1) / LT_TENSOR_ALIGN * LT_TENSOR_ALIGN;
}

/* Copies buffers [first, last) to the staging memory, or from there, and waits. */
static void move_operands(lathe_context *context, void *const *buffers, const int64_t *bytes,
                          uint32_t first, uint32_t last) {
    CudaContext *cuda = context->cuda;
    const CudaApi *api = cuda->model->api;
    const bool is_input = first == 0;
    uint8_t *host = cuda->staging.data;
    for (uint32_t i = 0; i < last && !cuda->status; host += round_up(bytes[i++])) {
        const size_t size = (size_t)bytes[i];
        if (i < first || size == 0)
            continue;
        const CUresult result =
            is_input ? api->download(host, lt_cuda_address(buffers[i]), size, cuda->stream)
                     : api->upload(lt_cuda_address(buffers[i]), host, size, cuda->stream);
        lt_cuda_note(context, result, "an operand", "of a library function");
    }
    lt_cuda_wait(context);
}

enum { MOST_OPERANDS = 8 };

static lathe_status stage_operands(lathe_context *context, void **staged, const int64_t *bytes,
                                   uint32_t count) {
    CudaContext *cuda = context->cuda;
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += round_up(bytes[i]);
    if (!lt_cuda_reserve_host(cuda->model, &cuda->staging, total))
        return lt_fail(&context->error, LATHE_NO_MEMORY, "no pinned memory for %zu bytes", total);
    uint8_t *at = cuda->staging.data;
    for (uint32_t i = 0; i < count; at += round_up(bytes[i]), i++)
        staged[i] = at;
    return LATHE_OK;
}

static int32_t device_library(void *opaque, uint32_t function, void *const *buffers,
                              const int64_t *ints, const int64_t *bytes, uint32_t count) {
    lathe_context *context = opaque;
    CudaContext *cuda = context->cuda;
    void *staged[MOST_OPERANDS];
    if (!cuda->status && (function >= LT_LIBRARY_LIMIT || count > MOST_OPERANDS))
        cuda->status = lt_fail(&context->error, LATHE_BAD_ABI,
                               "the model needs library function %u of %u buffers, this runtime "
                               "has %d",
                               function, count, LT_LIBRARY_LIMIT);
    if (!cuda->status)
        cuda->status = stage_operands(context, staged, bytes, count);
    if (cuda->status)
        return (int32_t)cuda->status;
    const uint32_t inputs = lt_library_inputs(function);
    move_operands(context, buffers, bytes, 0, inputs);
    if (!cuda->status)
        cuda->status = (lathe_status)lt_host_library(context, function, staged, ints);
    if (!cuda->status)
        move_operands(context, buffers, bytes, inputs, count);
    return (int32_t)cuda->status;
}

/* --- memory --- */

/* Grows as host_reserve does; what was there moves along. */
static void *device_reserve(void *opaque, uint32_t slot, int64_t bytes) {
    lathe_context *context = opaque;
    CudaContext *cuda = context->cuda;
    if (slot >= context->slot_count || bytes < 0 || cuda->status)
        return NULL;
    Buffer *buffer = &context->slots[slot], larger = {0};
    if (buffer->data && (uint64_t)bytes <= buffer->size)
        return buffer->data;
    const size_t half_more = buffer->size + buffer->size / 2;
    char room[96];
    if (!lt_cuda_reserve(cuda->model, &larger,
                         (size_t)bytes > half_more ? (size_t)bytes : half_more)) {
        cuda->status = lt_fail(&context->error, LATHE_NO_MEMORY,
                               "no memory on the GPU for %" PRId64 " bytes: %s", bytes,
                               lt_cuda_room(cuda->model, room));
        return NULL;
    }
    if (buffer->data) {
        device_copy(context, larger.data, buffer->data, (int64_t)buffer->size);
        lt_cuda_wait(context);
        cuda->model->api->free(lt_cuda_address(buffer->data));
    }
    *buffer = larger;
    return cuda->status ? NULL : buffer->data;
}

void lt_cuda_host_api(lathe_context *context) {
    context->api.launch = device_launch;
    context->api.reserve = device_reserve;
    context->api.copy = device_copy;
    context->api.fetch = device_fetch;
    context->api.library_on_device = device_library;
}
