/* host_api.c - what compiled code calls: launching kernels and irregular operations. */
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

static int32_t host_library(void *opaque, uint32_t function, void *const *buffers,
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

void lt_host_api_init(lathe_context *context) {
    context->api = (LtHostApi){.context = context,
                               .launch = host_launch,
                               .library = host_library,
                               .launch_team = host_launch_team};
}
