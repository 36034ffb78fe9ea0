/* host_api.c - what compiled code calls: launching kernels and irregular operations. */
#include <stdlib.h>
#include <string.h>

#include "runtime/context.h"
#include "runtime/kernels/library.h"

static void run_launch(lathe_context *context, uint32_t kernel, Launch launch) {
    const uint64_t start = context->profile.on ? lt_profile_now() : 0;
    launch.scratch = context->scratch.data;
    launch.scratch_bytes = context->scratch_bytes;
    lt_pool_run(context->pool, &launch);
    if (context->profile.on)
        lt_profile_record(&context->profile, kernel, start);
}

static void host_launch(void *opaque, uint32_t kernel, LtKernelFn *fn, void *const *buffers,
                        const int64_t *ints, int64_t count) {
    run_launch(opaque, kernel,
               (Launch){.fn = fn, .buffers = buffers, .ints = ints, .count = count});
}

static void host_launch_team(void *opaque, uint32_t kernel, LtTeamFn *fn, void *const *buffers,
                             const int64_t *ints, int64_t count, int64_t rounds) {
    run_launch(
        opaque, kernel,
        (Launch){
            .team_fn = fn, .buffers = buffers, .ints = ints, .count = count, .rounds = rounds});
}

int32_t lt_host_library(void *opaque, uint32_t function, void *const *buffers,
                        const int64_t *ints) {
    lathe_context *context = opaque;
    LtLibraryFn *call = lt_library_function(function);
    if (!call)
        return (int32_t)lt_fail(&context->error, LATHE_BAD_ABI,
                                "the model needs library function %u, this runtime has %d",
                                function, LT_LIBRARY_LIMIT);
    uint64_t start = context->profile.on ? lt_profile_now() : 0;
    int32_t status = call(buffers, ints);
    if (context->profile.on)
        lt_profile_record(&context->profile, context->model->descriptor->kernel_count + function,
                          start);
    if (status)
        lt_fail(&context->error, (lathe_status)status, "%s: %s", lt_library_name(function),
                lathe_status_text((lathe_status)status));
    return status;
}

/* Grows by half at least, so that what grows in a loop is not copied each time. */
static void *host_reserve(void *opaque, uint32_t slot, int64_t bytes) {
    lathe_context *context = opaque;
    if (slot >= context->slot_count || bytes < 0)
        return NULL;
    Buffer *buffer = &context->slots[slot], larger = {0};
    if (buffer->data && (uint64_t)bytes <= buffer->size)
        return buffer->data;
    const size_t half_more = buffer->size + buffer->size / 2;
    if (!lt_buffer_reserve(&larger, (size_t)bytes > half_more ? (size_t)bytes : half_more, false))
        return NULL;
    if (buffer->data)
        memcpy(larger.data, buffer->data, buffer->size);
    free(buffer->data);
    *buffer = larger;
    return buffer->data;
}

static int32_t host_output(void *opaque, uint32_t index, const int64_t *dims) {
    lathe_context *context = opaque;
    const LtDescriptor *d = context->model->descriptor;
    int64_t *known = context->output_dims;
    for (uint32_t i = 0; i < index; i++)
        known += d->outputs[i].rank;
    memcpy(known, dims, (size_t)d->outputs[index].rank * sizeof *known);
    return (int32_t)lt_output_place(context, index, known);
}

void lt_host_api_init(lathe_context *context) {
    context->api = (LtHostApi){.context = context,
                               .launch = host_launch,
                               .library = lt_host_library,
                               .launch_team = host_launch_team,
                               .reserve = host_reserve,
                               .output = host_output};
}
