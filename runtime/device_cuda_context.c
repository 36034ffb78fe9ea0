/* device_cuda_context.c - a context of a model on a GPU: its memory there and on the host, and
 * runs.
 *
 * Host memory of the caller goes through pinned memory of the context, since the device can copy
 * that while the host goes on. Memory that the caller has on the device is used where it is. */
#include <stdlib.h>
#include <string.h>

#include "runtime/device_cuda.h"
#include "runtime/tensor.h"

/* --- life --- */

static size_t tensor_count(const LtDescriptor *d) {
    return (size_t)d->input_count + d->output_count;
}

static lathe_status make_tables(CudaContext *cuda, const LtDescriptor *d, ErrorText *error) {
    size_t params = 1;
    for (uint32_t i = 0; i < d->kernel_count; i++) {
        const LtDeviceKernel *k = &d->device->kernels[i];
        const size_t count = (size_t)k->buffer_count + k->int_count;
        params = count > params ? count : params;
    }
    cuda->key_length = tensor_count(d) + d->symbol_count + 1;
    cuda->params = calloc(params, sizeof *cuda->params);
    cuda->key = calloc(cuda->key_length, sizeof *cuda->key);
    return cuda->params && cuda->key ? LATHE_OK : lt_fail(error, LATHE_NO_MEMORY, "out of memory");
}

/* A stream of its own waits for the default stream and that for it, so that what other libraries
 * have computed there is seen. A recorder must not: else nobody could use the default stream while
 * it records. */
static lathe_status make_streams(CudaContext *cuda, const lathe_context_options *options,
                                 ErrorText *error) {
    const CudaApi *api = cuda->model->api;
    CUresult result = CUDA_SUCCESS;
    lt_cuda_enter(cuda->model);
    cuda->is_callers = options->flags & LATHE_ON_STREAM;
    if (cuda->is_callers)
        cuda->stream = options->stream;
    else
        result = api->stream_create(&cuda->stream, CU_STREAM_DEFAULT);
    if (!result)
        result = api->stream_create(&cuda->recorder, CU_STREAM_NON_BLOCKING);
    lt_cuda_leave(cuda->model);
    cuda->at = cuda->stream;
    return result ? lt_cuda_fail(api, error, result, "there is no stream on the GPU") : LATHE_OK;
}

lathe_status lt_cuda_context(lathe_context *context, const lathe_context_options *options,
                             ErrorText *error) {
    lathe_status status = lt_cuda_model(context->model, error);
    if (status)
        return status;
    CudaContext *cuda = calloc(1, sizeof *cuda);
    if (!cuda)
        return lt_fail(error, LATHE_NO_MEMORY, "out of memory");
    context->cuda = cuda;
    cuda->model = context->model->cuda;
    cuda->outputs_stay = options->flags & LATHE_OUTPUTS_ON_DEVICE;
    cuda->patience = 1;
    status = make_tables(cuda, context->model->descriptor, error);
    if (!status)
        status = make_streams(cuda, options, error);
    if (!status)
        lt_cuda_host_api(context);
    return status;
}

static void free_on_device(const CudaApi *api, Buffer *buffer) {
    if (buffer->data)
        api->free(lt_cuda_address(buffer->data));
    *buffer = (Buffer){0};
}

static void free_on_host(const CudaApi *api, Buffer *buffer) {
    if (buffer->data)
        api->free_host(buffer->data);
    *buffer = (Buffer){0};
}

static void free_memory(lathe_context *context, const CudaApi *api) {
    const size_t tensors = tensor_count(context->model->descriptor);
    for (size_t i = 0; i < tensors; i++) {
        free_on_device(api, &context->bindings[i].device);
        free_on_host(api, &context->bindings[i].own);
    }
    for (uint64_t i = 0; i < context->slot_count; i++)
        free_on_device(api, &context->slots[i]);
    free_on_device(api, &context->arena);
    free_on_host(api, &context->cuda->fetched);
    free_on_host(api, &context->cuda->staging);
}

void lt_cuda_context_free(lathe_context *context) {
    CudaContext *cuda = context->cuda;
    if (!cuda)
        return;
    const CudaApi *api = cuda->model->api;
    lt_cuda_settle(context);
    lt_cuda_enter(cuda->model);
    free_memory(context, api);
    lt_cuda_times_free(cuda);
    if (cuda->graph)
        api->executable_destroy(cuda->graph);
    if (cuda->recorder)
        api->stream_destroy(cuda->recorder);
    if (cuda->stream && !cuda->is_callers)
        api->stream_destroy(cuda->stream);
    lt_cuda_leave(cuda->model);
    free(cuda->params);
    free(cuda->key);
    free(cuda);
    context->cuda = NULL;
}

/* --- tensors --- */

static bool is_on_device(const Binding *binding) {
    return binding->set && binding->where == LATHE_CUDA;
}

/* Whether the host has, or gets, what the tensor holds. */
static bool is_on_host(const lathe_context *context, size_t slot) {
    const Binding *binding = &context->bindings[slot];
    const bool is_input = slot < context->model->descriptor->input_count;
    return binding->set ? binding->where == LATHE_CPU : !is_input && !context->cuda->outputs_stay;
}

lathe_status lt_cuda_place(lathe_context *context, size_t slot, const char *name, size_t bytes) {
    Binding *binding = &context->bindings[slot];
    const CudaModel *cuda = context->cuda->model;
    char room[96];
    if (is_on_device(binding)) {
        context->tensors[slot] = binding->data;
        return LATHE_OK;
    }
    if (!lt_cuda_reserve(cuda, &binding->device, bytes))
        return lt_fail(&context->error, LATHE_NO_MEMORY,
                       "no memory on the GPU for '%s' of %zu bytes: %s", name, bytes,
                       lt_cuda_room(cuda, room));
    if (is_on_host(context, slot) && !lt_cuda_reserve_host(cuda, &binding->own, bytes))
        return lt_fail(&context->error, LATHE_NO_MEMORY, "no pinned memory for '%s' of %zu bytes",
                       name, bytes);
    context->tensors[slot] = binding->device.data;
    return LATHE_OK;
}

lathe_status lt_cuda_place_inputs(lathe_context *context) {
    const LtDescriptor *d = context->model->descriptor;
    lathe_status status = LATHE_OK;
    for (uint32_t i = 0; i < d->input_count && !status; i++) {
        const Binding *binding = &context->bindings[i];
        size_t bytes = 0;
        lt_dense_bytes((lathe_dtype)d->inputs[i].dtype, d->inputs[i].rank, binding->dims, &bytes);
        status = lt_cuda_place(context, i, d->inputs[i].name, bytes);
    }
    return status;
}

lathe_status lt_cuda_copy_input(lathe_context *context, uint32_t index, const lathe_tensor *tensor,
                                size_t bytes) {
    const LtDescriptor *d = context->model->descriptor;
    Binding *binding = &context->bindings[index];
    const CudaModel *cuda = context->cuda->model;
    CUresult result = CUDA_SUCCESS;
    const lathe_status status = lt_cuda_settle(context);
    if (status)
        return status;
    if (!lt_cuda_reserve(cuda, &binding->device, bytes))
        return lt_fail(&context->error, LATHE_NO_MEMORY,
                       "no memory on the GPU for input '%s' of %zu bytes", d->inputs[index].name,
                       bytes);
    lt_cuda_enter(cuda);
    if (bytes)
        result = cuda->api->copy(lt_cuda_address(binding->device.data),
                                 lt_cuda_address(tensor->data), bytes, context->cuda->stream);
    if (!result)
        result = cuda->api->stream_wait(context->cuda->stream);
    lt_cuda_leave(cuda);
    return result ? lt_cuda_fail(cuda->api, &context->error, result, "input '%s' is not copied",
                                 d->inputs[index].name)
                  : LATHE_OK;
}

/* --- bringing inputs and outputs over --- */

/* What was copied into the context's own memory is brought over once; the caller's memory may have
 * changed since the last run. */
static void upload_inputs(lathe_context *context) {
    const LtDescriptor *d = context->model->descriptor;
    CudaContext *cuda = context->cuda;
    for (uint32_t i = 0; i < d->input_count && !cuda->status; i++) {
        Binding *binding = &context->bindings[i];
        const bool is_own = binding->data == binding->own.data;
        size_t bytes = 0;
        lt_dense_bytes((lathe_dtype)d->inputs[i].dtype, d->inputs[i].rank, binding->dims, &bytes);
        if (is_on_device(binding) || bytes == 0 || (is_own && !binding->is_stale))
            continue;
        if (!is_own)
            memcpy(binding->own.data, binding->data, bytes);
        const CUresult result = cuda->model->api->upload(lt_cuda_address(binding->device.data),
                                                         binding->own.data, bytes, cuda->stream);
        binding->is_stale = !lt_cuda_note(context, result, "input", d->inputs[i].name);
        cuda->has_moved = true;
    }
}

static size_t output_bytes(const lathe_context *context, uint32_t index, const int64_t **dims) {
    const LtTensorDecl *output = &context->model->descriptor->outputs[index];
    size_t bytes = 0;
    lt_dense_bytes((lathe_dtype)output->dtype, output->rank, *dims, &bytes);
    *dims += output->rank;
    return bytes;
}

static void download_outputs(lathe_context *context) {
    const LtDescriptor *d = context->model->descriptor;
    CudaContext *cuda = context->cuda;
    const int64_t *dims = context->output_dims;
    for (uint32_t i = 0; i < d->output_count && !cuda->status; i++) {
        const size_t slot = d->input_count + i, bytes = output_bytes(context, i, &dims);
        if (!bytes || !is_on_host(context, slot))
            continue;
        const CUresult result = cuda->model->api->download(context->bindings[slot].own.data,
                                                           lt_cuda_address(context->tensors[slot]),
                                                           bytes, cuda->stream);
        lt_cuda_note(context, result, "output", d->outputs[i].name);
        cuda->has_moved = true;
    }
}

/* To memory of the caller, once the device is done. */
static void hand_outputs(lathe_context *context) {
    const LtDescriptor *d = context->model->descriptor;
    const int64_t *dims = context->output_dims;
    for (uint32_t i = 0; i < d->output_count; i++) {
        const Binding *binding = &context->bindings[d->input_count + i];
        const size_t bytes = output_bytes(context, i, &dims);
        if (bytes && binding->set && binding->where == LATHE_CPU)
            memcpy(binding->data, binding->own.data, bytes);
    }
}

/* --- running --- */

static int32_t call_run(lathe_context *context) {
    return context->model->descriptor->run(&context->api, context->arena.data,
                                           context->cuda->model->weights.data, context->tensors,
                                           context->symbols);
}

/* Whether this run will do what the last one did. Counts those that do. */
static bool is_as_before(lathe_context *context) {
    CudaContext *cuda = context->cuda;
    const LtDescriptor *d = context->model->descriptor;
    bool is_same = cuda->has_key;
    for (size_t i = 0; i < cuda->key_length; i++) {
        const uint64_t value = i == 0 ? (uintptr_t)context->arena.data
                               : i <= d->symbol_count
                                   ? (uint64_t)context->symbols[i - 1]
                                   : (uintptr_t)context->tensors[i - 1 - d->symbol_count];
        is_same = is_same && cuda->key[i] == value;
        cuda->key[i] = value;
    }
    cuda->has_key = true;
    cuda->equal_runs = is_same ? cuda->equal_runs + 1 : 0;
    return is_same;
}

/* Making a graph takes longer than a few runs. After one that was hardly used, the next one waits
 * for more equal runs in a row. */
static void drop_graph(CudaContext *cuda) {
    enum { ENOUGH = 8, MOST_PATIENCE = 64 };
    if (!cuda->graph)
        return;
    cuda->patience = cuda->launches >= ENOUGH ? 1 : 2 * cuda->patience;
    cuda->patience = cuda->patience > MOST_PATIENCE ? MOST_PATIENCE : cuda->patience;
    cuda->model->api->executable_destroy(cuda->graph);
    cuda->graph = NULL;
    cuda->launches = 0;
}

/* Nothing runs yet. That there is no graph is no error: the launches will do. */
static void record_graph(lathe_context *context) {
    CudaContext *cuda = context->cuda;
    const CudaApi *api = cuda->model->api;
    CUgraph graph = NULL;
    cuda->has_no_graphs = true;
    if (api->capture_begin(cuda->recorder, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) != CUDA_SUCCESS)
        return;
    cuda->at = cuda->recorder;
    const int32_t result = call_run(context);
    cuda->at = cuda->stream;
    const bool is_recorded = api->capture_end(cuda->recorder, &graph) == CUDA_SUCCESS && graph;
    if (is_recorded && result == 0 && !cuda->status &&
        api->graph_instantiate(&cuda->graph, graph, 0) == CUDA_SUCCESS)
        cuda->has_no_graphs = false;
    else
        cuda->graph = NULL;
    if (graph)
        api->graph_destroy(graph);
    cuda->status = LATHE_OK; /* what failed was not a run yet */
    context->error.text[0] = '\0';
}

static int32_t run_kernels(lathe_context *context) {
    CudaContext *cuda = context->cuda;
    const LtDescriptor *d = context->model->descriptor;
    const bool repeats = (d->device->flags & LT_DEVICE_REPEATS) && d->kernel_count > 0;
    const bool is_same = is_as_before(context);
    if (!is_same)
        drop_graph(cuda);
    if (!repeats || cuda->equal_runs < cuda->patience || context->profile.on)
        return call_run(context);
    if (!cuda->graph && !cuda->has_no_graphs)
        record_graph(context);
    if (!cuda->graph)
        return call_run(context);
    cuda->launches++;
    lt_cuda_note(context, cuda->model->api->graph_launch(cuda->graph, cuda->stream), "the graph",
                 "of kernels");
    return 0;
}

lathe_status lt_cuda_settle(lathe_context *context) {
    CudaContext *cuda = context->cuda;
    cuda->status = LATHE_OK;
    if (!cuda->is_in_flight)
        return LATHE_OK;
    lt_cuda_enter(cuda->model);
    lt_cuda_wait(context);
    lt_cuda_leave(cuda->model);
    cuda->is_in_flight = false;
    return cuda->status;
}

lathe_status lt_cuda_run(lathe_context *context, int32_t *result) {
    CudaContext *cuda = context->cuda;
    cuda->status = LATHE_OK;
    cuda->has_moved = false;
    lt_cuda_enter(cuda->model);
    lt_cuda_times_begin(context);
    upload_inputs(context);
    *result = cuda->status ? 0 : run_kernels(context);
    if (*result == 0)
        download_outputs(context);
    const bool may_go_on = cuda->is_callers && !cuda->has_moved && !context->profile.on;
    if (!may_go_on)
        lt_cuda_wait(context);
    cuda->is_in_flight = may_go_on;
    lt_cuda_times_take(context);
    lt_cuda_leave(cuda->model);
    if (cuda->has_moved && *result == 0 && !cuda->status)
        hand_outputs(context);
    return cuda->status;
}
