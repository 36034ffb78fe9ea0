/* context.c - making contexts, binding tensors, running.
 *
 * Everything that depends on dims happens in lathe_prepare; a run whose dims have not changed goes
 * straight into the compiled code. */
#include "runtime/context.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/cpu_info.h"
#include "runtime/device_cuda.h"
#include "runtime/tensor.h"

enum { MAX_THREADS = 1024, DEVICE_ALIGN = 16 /* the most that a thread moves at once */ };

/* Grows the buffer to at least `size` bytes; its contents are lost when it grows. `all_used`: it
 * will be used to its last page, so that the system may make all pages at once. */
bool lt_buffer_reserve(Buffer *buffer, size_t size, bool all_used) {
    if (size <= buffer->size && buffer->data)
        return true;
    size_t rounded = (size + LT_TENSOR_ALIGN) & ~(size_t)(LT_TENSOR_ALIGN - 1);
    if (rounded < size)
        return false;
    void *data = aligned_alloc(LT_TENSOR_ALIGN, rounded);
    if (!data)
        return false;
#ifdef MADV_POPULATE_WRITE
    /* Takes half of the time of as many page faults. Advice only: a system that does not know it
     * (before Linux 5.14) or has larger pages makes them at their faults. */
    if (all_used)
        madvise((void *)((uintptr_t)data & -4096), rounded, MADV_POPULATE_WRITE);
#endif
    free(buffer->data);
    *buffer = (Buffer){data, rounded};
    return true;
}

/* --- life --- */

void lathe_context_free(lathe_context *context) {
    if (!context)
        return;
    const LtDescriptor *d = context->model->descriptor;
    lt_cuda_context_free(context);
    for (size_t i = 0; context->bindings && i < (size_t)d->input_count + d->output_count; i++)
        free(context->bindings[i].own.data);
    free(context->bindings);
    free(context->tensors);
    free(context->symbols);
    free(context->output_dims);
    free(context->arena.data);
    free(context->scratch.data);
    for (uint64_t i = 0; context->slots && i < context->slot_count; i++)
        free(context->slots[i].data);
    free(context->slots);
    lt_profile_free(&context->profile);
    lt_pool_release(context->pool);
    lathe_model_close(context->model);
    free(context);
}

/* Pages that no kernel touches never exist. */
static lathe_status build_scratch(lathe_context *context, ErrorText *error) {
    const uint64_t bytes = context->model->descriptor->scratch_bytes;
    const size_t threads = (size_t)context->threads;
    if (!bytes)
        return LATHE_OK;
    context->scratch_bytes = (bytes + LT_TENSOR_ALIGN - 1) / LT_TENSOR_ALIGN * LT_TENSOR_ALIGN;
    if (bytes > SIZE_MAX / MAX_THREADS / 2 ||
        !lt_buffer_reserve(&context->scratch, context->scratch_bytes * threads, false))
        return lt_fail(error, LATHE_NO_MEMORY,
                       "no memory for %zu bytes of scratch memory for each of %zu threads",
                       context->scratch_bytes, threads);
    return LATHE_OK;
}

static lathe_status build_context(lathe_context *context, const lathe_context_options *options,
                                  ErrorText *error) {
    const LtDescriptor *d = context->model->descriptor;
    size_t tensor_count = (size_t)d->input_count + d->output_count, dim_count = 0;
    for (uint32_t i = 0; i < d->output_count; i++)
        dim_count += (size_t)d->outputs[i].rank;
    context->bindings = calloc(tensor_count + 1, sizeof *context->bindings);
    context->tensors = calloc(tensor_count + 1, sizeof *context->tensors);
    context->symbols = calloc((size_t)d->symbol_count + 1, sizeof *context->symbols);
    context->output_dims = calloc(dim_count + 1, sizeof *context->output_dims);
    context->slot_count = d->abi < 2 ? 0 : d->slot_count;
    context->slots = calloc((size_t)context->slot_count + 1, sizeof *context->slots);
    if (!context->bindings || !context->tensors || !context->symbols || !context->output_dims ||
        !context->slots)
        return lt_fail(error, LATHE_NO_MEMORY, "out of memory");
    const lathe_status status = build_scratch(context, error);
    if (status)
        return status;
    lt_host_api_init(context);
    if (lt_model_device(context->model))
        return lt_cuda_context(context, options, error);
    return lt_pool_acquire(context->threads, &context->pool, error);
}

/* Programs that were compiled with an older header do not have the last fields. */
static bool read_options(const lathe_context_options *given, lathe_context_options *out) {
    *out = (lathe_context_options){0};
    if (!given)
        return true;
    if (given->struct_size < offsetof(lathe_context_options, stream))
        return false;
    memcpy(out, given, given->struct_size < sizeof *out ? given->struct_size : sizeof *out);
    return true;
}

lathe_status lathe_context_new(lathe_model *model, const lathe_context_options *options,
                               lathe_context **out) {
    ErrorText *error = lt_thread_error();
    lathe_context_options chosen;
    if (!model || !out || !read_options(options, &chosen))
        return lt_fail(error, LATHE_BAD_ARGUMENT,
                       "model, out and options->struct_size must be set");
    const int32_t threads = chosen.threads;
    if (threads < 0 || threads > MAX_THREADS)
        return lt_fail(error, LATHE_BAD_ARGUMENT, "expected 0..%d threads, found %d", MAX_THREADS,
                       threads);
    lathe_context *context = calloc(1, sizeof *context);
    if (!context)
        return lt_fail(error, LATHE_NO_MEMORY, "out of memory");
    lt_model_retain(model);
    context->model = model;
    context->threads = lt_model_device(model) ? 1 : threads ? threads : lt_cpu_cores();
    lathe_status status = build_context(context, &chosen, error);
    if (status)
        lathe_context_free(context);
    else
        *out = context;
    return status;
}

/* --- tensors --- */

static lathe_status check_place(lathe_context *context, const lathe_tensor_info *info,
                                const lathe_tensor *tensor) {
    const lathe_device device = tensor->device;
    if (device.type == LATHE_CPU)
        return LATHE_OK;
    if (!context->cuda)
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT,
                       "'%s': expected memory of the CPU, found device %d", info->name,
                       device.type);
    if (device.type == LATHE_CUDA && device.index == context->model->device)
        return LATHE_OK;
    return lt_fail(&context->error, LATHE_BAD_ARGUMENT,
                   "'%s': expected memory of the CPU or of CUDA device %d, found device %d of type "
                   "%d",
                   info->name, context->model->device, device.index, device.type);
}

static lathe_status check_tensor(lathe_context *context, const lathe_tensor_info *info,
                                 const lathe_tensor *tensor, size_t *bytes) {
    ErrorText *error = &context->error;
    if (tensor->dtype != info->dtype)
        return lt_fail(error, LATHE_BAD_ARGUMENT, "'%s': expected %s, found %s", info->name,
                       lathe_dtype_name(info->dtype), lathe_dtype_name(tensor->dtype));
    if (tensor->rank != info->rank || (tensor->rank && !tensor->dims))
        return lt_fail(error, LATHE_BAD_SHAPE, "'%s': expected rank %d, found %d%s", info->name,
                       info->rank, tensor->rank,
                       tensor->rank && !tensor->dims ? " without dims" : "");
    const lathe_status status = check_place(context, info, tensor);
    if (status)
        return status;
    if (!lt_dense_bytes(tensor->dtype, tensor->rank, tensor->dims, bytes))
        return lt_fail(error, LATHE_BAD_SHAPE, "'%s': dims are negative or too large", info->name);
    if (*bytes && !tensor->data)
        return lt_fail(error, LATHE_BAD_ARGUMENT, "'%s': no data", info->name);
    return LATHE_OK;
}

/* What borrowed memory must be besides. */
static lathe_status check_layout(lathe_context *context, const lathe_tensor_info *info,
                                 const lathe_tensor *tensor) {
    if (!lt_tensor_is_dense(tensor))
        return lt_fail(
            &context->error, LATHE_BAD_ARGUMENT,
            "'%s': borrowed memory must be dense and row-major; lathe_copy_input takes others",
            info->name);
    if ((uintptr_t)tensor->data % lathe_dtype_size(tensor->dtype))
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT,
                       "'%s': borrowed memory must be aligned for %s", info->name,
                       lathe_dtype_name(tensor->dtype));
    if (tensor->device.type == LATHE_CUDA && (uintptr_t)tensor->data % DEVICE_ALIGN)
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT,
                       "'%s': memory of a GPU must be aligned to %d bytes", info->name,
                       DEVICE_ALIGN);
    return LATHE_OK;
}

static void set_binding(lathe_context *context, size_t slot, const lathe_tensor *tensor,
                        void *data) {
    Binding *binding = &context->bindings[slot];
    size_t bytes = (size_t)tensor->rank * sizeof(int64_t);
    if (!binding->set || (bytes && memcmp(binding->dims, tensor->dims, bytes) != 0))
        context->prepared = false;
    if (bytes)
        memcpy(binding->dims, tensor->dims, bytes);
    binding->set = true;
    binding->where = tensor->device.type;
    binding->data = context->tensors[slot] = data;
}

lathe_status lathe_set_input(lathe_context *context, uint32_t index, const lathe_tensor *tensor) {
    const lathe_tensor_info *info = lathe_input_info(context->model, index);
    size_t bytes;
    if (!info || !tensor)
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT,
                       "the model has no input %u, or no tensor", index);
    lathe_status status = check_tensor(context, info, tensor, &bytes);
    if (!status)
        status = check_layout(context, info, tensor);
    if (!status)
        set_binding(context, index, tensor, tensor->data);
    return status;
}

/* In place of lt_buffer_reserve for memory that the device copies from or to. */
static bool reserve_own(lathe_context *context, Binding *binding, size_t bytes) {
    return context->cuda ? lt_cuda_reserve_host(context->cuda->model, &binding->own, bytes)
                         : lt_buffer_reserve(&binding->own, bytes, true);
}

static lathe_status copy_on_device(lathe_context *context, uint32_t index,
                                   const lathe_tensor *tensor, size_t bytes) {
    if (!lt_tensor_is_dense(tensor))
        return lt_fail(&context->error, LATHE_UNSUPPORTED,
                       "'%s': of a GPU's memory, dense tensors alone are copied",
                       lathe_input_info(context->model, index)->name);
    const lathe_status status = lt_cuda_copy_input(context, index, tensor, bytes);
    if (!status)
        set_binding(context, index, tensor, context->bindings[index].device.data);
    return status;
}

lathe_status lathe_copy_input(lathe_context *context, uint32_t index, const lathe_tensor *tensor) {
    const lathe_tensor_info *info = lathe_input_info(context->model, index);
    size_t bytes;
    if (!info || !tensor)
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT,
                       "the model has no input %u, or no tensor", index);
    lathe_status status = check_tensor(context, info, tensor, &bytes);
    if (status)
        return status;
    if (tensor->device.type == LATHE_CUDA)
        return copy_on_device(context, index, tensor, bytes);
    Binding *binding = &context->bindings[index];
    bool in_use = binding->set && binding->data == binding->own.data;
    if (!reserve_own(context, binding, bytes))
        return lt_fail(&context->error, LATHE_NO_MEMORY, "no memory for input '%s' of %zu bytes",
                       info->name, bytes);
    if (in_use)
        binding->data = context->tensors[index] = binding->own.data;
    lt_tensor_pack(tensor, binding->own.data);
    binding->is_stale = true;
    set_binding(context, index, tensor, binding->own.data);
    return LATHE_OK;
}

lathe_status lathe_set_output(lathe_context *context, uint32_t index, const lathe_tensor *tensor) {
    const lathe_tensor_info *info = lathe_output_info(context->model, index);
    size_t slot = (size_t)context->model->descriptor->input_count + index, bytes;
    if (!info)
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT, "the model has no output %u", index);
    if (!tensor) {
        context->bindings[slot].set = false;
        context->prepared = false;
        return LATHE_OK;
    }
    lathe_status status = check_tensor(context, info, tensor, &bytes);
    if (!status)
        status = check_layout(context, info, tensor);
    if (!status)
        set_binding(context, slot, tensor, tensor->data);
    return status;
}

/* --- running --- */

static lathe_status check_output_dims(lathe_context *context, const LtTensorDecl *output,
                                      const Binding *binding, const int64_t *dims) {
    for (int32_t axis = 0; axis < output->rank; axis++) {
        if (dims[axis] < 0)
            return lt_fail(&context->error, LATHE_BAD_SHAPE,
                           "the inputs are too small: output '%s' axis %d (%s) would be %" PRId64,
                           output->name, axis, output->dims[axis].text, dims[axis]);
        if (binding->set && binding->dims[axis] != dims[axis])
            return lt_fail(&context->error, LATHE_BAD_SHAPE,
                           "output '%s' axis %d: the result has %" PRId64
                           ", the memory given has %" PRId64,
                           output->name, axis, dims[axis], binding->dims[axis]);
    }
    return LATHE_OK;
}

static bool depends_on_data(const LtTensorDecl *output) {
    for (int32_t axis = 0; axis < output->rank; axis++)
        if (output->dims[axis].symbol == LT_DIM_OF_DATA)
            return true;
    return false;
}

lathe_status lt_output_place(lathe_context *context, uint32_t index, const int64_t *dims) {
    const LtDescriptor *d = context->model->descriptor;
    const LtTensorDecl *output = &d->outputs[index];
    Binding *binding = &context->bindings[d->input_count + index];
    size_t bytes;
    lathe_status status = check_output_dims(context, output, binding, dims);
    if (status)
        return status;
    const bool fits = lt_dense_bytes((lathe_dtype)output->dtype, output->rank, dims, &bytes);
    if (!fits || (!context->cuda && !binding->set && !reserve_own(context, binding, bytes)))
        return lt_fail(&context->error, LATHE_NO_MEMORY, "no memory for output '%s'", output->name);
    if (context->cuda)
        return lt_cuda_place(context, d->input_count + index, output->name, bytes);
    if (!binding->set)
        binding->data = binding->own.data;
    context->tensors[d->input_count + index] = binding->data;
    return LATHE_OK;
}

static lathe_status prepare_outputs(lathe_context *context) {
    const LtDescriptor *d = context->model->descriptor;
    const int64_t *dims = context->output_dims;
    lathe_status status = LATHE_OK;
    d->output_dims(context->symbols, context->output_dims);
    for (uint32_t i = 0; i < d->output_count && !status; i++) {
        if (!depends_on_data(&d->outputs[i]))
            status = lt_output_place(context, i, dims);
        dims += d->outputs[i].rank;
    }
    return status;
}

static bool reserve_arena(lathe_context *context, int64_t size) {
    if (size < 0)
        return false;
    if (!context->cuda)
        return lt_buffer_reserve(&context->arena, (size_t)size, true);
    return lt_cuda_reserve(context->cuda->model, &context->arena, (size_t)size);
}

lathe_status lathe_prepare(lathe_context *context) {
    if (context->prepared)
        return LATHE_OK;
    lathe_status status = lt_bind_symbols(context);
    if (!status && context->cuda)
        status = lt_cuda_settle(context); /* memory of earlier runs may move */
    if (!status)
        status = prepare_outputs(context);
    if (!status && context->cuda)
        status = lt_cuda_place_inputs(context);
    if (status)
        return status;
    int64_t size = context->model->descriptor->arena_size(context->symbols);
    if (!reserve_arena(context, size))
        return lt_fail(&context->error, LATHE_NO_MEMORY,
                       "no memory%s for the arena of %" PRId64 " bytes",
                       context->cuda ? " on the GPU" : "", size);
    context->arena_bytes = (size_t)size;
    context->prepared = true;
    context->has_run = false;
    return LATHE_OK;
}

/* Translates what compiled code returns (runtime/artifact.h). */
static lathe_status explain_result(lathe_context *context, int32_t result) {
    const LtDescriptor *d = context->model->descriptor;
    if (result > 0 && (uint32_t)result <= d->guard_count)
        return lt_fail(&context->error, LATHE_BAD_SHAPE, "%s", d->guards[result - 1]);
    if (result > 0)
        return lt_fail(&context->error, LATHE_INTERNAL, "the model reports guard %d of %u", result,
                       d->guard_count);
    lathe_status status = (lathe_status)-result;
    if (!context->error.text[0])
        lt_fail(&context->error, status, "the model reports: %s", lathe_status_text(status));
    return status;
}

/* Which tensors lie where may have changed though dims have not. */
static lathe_status place_on_device(lathe_context *context) {
    const LtDescriptor *d = context->model->descriptor;
    const int64_t *dims = context->output_dims;
    lathe_status status = lt_cuda_place_inputs(context);
    for (uint32_t i = 0; i < d->output_count && !status; i++) {
        if (!depends_on_data(&d->outputs[i]))
            status = lt_output_place(context, i, dims);
        dims += d->outputs[i].rank;
    }
    return status;
}

lathe_status lathe_run(lathe_context *context) {
    lathe_status status = lathe_prepare(context);
    if (!status && context->cuda)
        status = place_on_device(context);
    if (status)
        return status;
    bool profiled = context->profile.on;
    uint64_t start = profiled ? lt_profile_now() : 0;
    context->error.text[0] = '\0'; /* a library function may leave its own sentence there */
    int32_t result = 0;
    if (context->cuda)
        status = lt_cuda_run(context, &result);
    else
        result = context->model->descriptor->run(&context->api, context->arena.data,
                                                 context->model->weights, context->tensors,
                                                 context->symbols);
    if (profiled)
        lt_profile_record(&context->profile, LT_PROFILE_RUN, start);
    context->has_run = result == 0 && !status;
    return status || result == 0 ? status : explain_result(context, result);
}

lathe_status lathe_get_output(lathe_context *context, uint32_t index, lathe_tensor *out) {
    const lathe_tensor_info *info = lathe_output_info(context->model, index);
    const LtDescriptor *d = context->model->descriptor;
    if (!info || !out)
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT,
                       "the model has no output %u, or out is NULL", index);
    if (!context->prepared)
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT,
                       "output '%s' does not exist before lathe_run or lathe_prepare", info->name);
    if (depends_on_data(&d->outputs[index]) && !context->has_run)
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT,
                       "the dims of output '%s' depend on the data: they are known after lathe_run",
                       info->name);
    const int64_t *dims = context->output_dims;
    for (uint32_t i = 0; i < index; i++)
        dims += d->outputs[i].rank;
    const Binding *binding = &context->bindings[d->input_count + index];
    const bool stays = context->cuda && !binding->set && context->cuda->outputs_stay;
    const bool is_on_device = stays || (binding->set && binding->where == LATHE_CUDA);
    *out = (lathe_tensor){.data = stays          ? binding->device.data
                                  : binding->set ? binding->data
                                                 : binding->own.data,
                          .dtype = info->dtype,
                          .rank = info->rank,
                          .dims = dims,
                          .device = {LATHE_CPU, 0}};
    if (is_on_device)
        out->device = (lathe_device){LATHE_CUDA, context->model->device};
    return LATHE_OK;
}

/* --- questions --- */

const char *lathe_context_error(const lathe_context *context) { return context->error.text; }

int32_t lathe_context_threads(const lathe_context *context) { return context->threads; }

size_t lathe_context_arena_bytes(const lathe_context *context) { return context->arena_bytes; }

size_t lathe_context_memory(const lathe_context *context) {
    const LtDescriptor *d = context->model->descriptor;
    size_t bytes = context->arena.size + context->scratch.size;
    for (uint64_t i = 0; i < context->slot_count; i++)
        bytes += context->slots[i].size;
    for (size_t i = 0; i < (size_t)d->input_count + d->output_count; i++)
        bytes += context->bindings[i].own.size + context->bindings[i].device.size;
    return bytes;
}
