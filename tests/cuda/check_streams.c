/* check_streams.c - `check_streams MLP.so`: runs on a stream of the caller, which nobody waits for.
 * What is queued in the tests' driver runs only when its own stream is waited for: a result that is
 * there before, or a call that waits, is found. */
#include "tests/cuda/check.h"

#include <stddef.h>

static const lathe_device cpu = {LATHE_CPU, 0}, gpu = {LATHE_CUDA, 0};
static Mlp first, second, small;

static lathe_context *context_on(lathe_model *model, CUstream stream, uint32_t flags) {
    lathe_context *context = NULL;
    const lathe_context_options options = {
        .struct_size = sizeof options, .flags = LATHE_ON_STREAM | flags, .stream = stream};
    must(lathe_context_new(model, &options, &context), "a context on a stream");
    return context;
}

static CUstream new_stream(void) {
    CUstream stream = NULL;
    if (driver()->stream_create(&stream, CU_STREAM_NON_BLOCKING))
        must(LATHE_FAILED, "a stream");
    return stream;
}

static void bind(lathe_context *context, const Mlp *m, const MlpOnDevice *d) {
    void *const data[] = {d->x, d->w, d->scores, d->hidden};
    for (int i = 0; i < 4; i++) {
        const lathe_tensor tensor = mlp_tensor(m, i, data[i], gpu);
        must(i < 2 ? lathe_set_input(context, (uint32_t)i, &tensor)
                   : lathe_set_output(context, (uint32_t)i - 2, &tensor),
             "set");
    }
}

static int waits(void) {
    return log_count("cuStreamSynchronize") + log_count("cuMemFree_v2") +
           log_count("cuMemFreeHost") + log_count("cuMemcpyHtoD_v2");
}

static void check_waits_for_nothing(lathe_model *model, CUstream stream, const char *name) {
    char words[160];
    lathe_context *context = context_on(model, stream, 0);
    const MlpOnDevice d = mlp_bring(&first);
    bind(context, &first, &d);
    bool is_right = true;
    log_begin();
    for (int run = 0; run < 4; run++)
        is_right = is_right && !lathe_run(context);
    snprintf(words, sizeof words, "four runs on %s return before anything has run", name);
    check(is_right && waits() == 0 && !mlp_is_right_there(&first, 0, d.scores), words,
          lathe_context_error(context));
    snprintf(words, sizeof words, "and %s runs them, the later ones as graphs", name);
    check(log_count("cuLaunchKernel") > 0 && log_count("cuGraphLaunch") == 3 &&
              !driver()->stream_wait(stream) && mlp_is_right_there(&first, 0, d.scores) &&
              mlp_is_right_there(&first, 1, d.hidden),
          words, "the outputs are not right");
    lathe_context_free(context);
    mlp_drop(&d);
}

static void copy(void *to, const void *from, size_t bytes, CUstream stream) {
    if (driver()->copy((CUdeviceptr)(uintptr_t)to, (CUdeviceptr)(uintptr_t)from, bytes, stream))
        must(LATHE_FAILED, "a copy on the stream");
}

/* What is ahead of a run in the stream writes its inputs, what is behind reads its outputs. */
static void check_order(lathe_model *model) {
    CUstream stream = new_stream();
    lathe_context *context = context_on(model, stream, 0);
    const MlpOnDevice d = mlp_bring(&first), one = mlp_bring(&first), two = mlp_bring(&second);
    bind(context, &first, &d);
    const MlpOnDevice *const sources[] = {&two, &one, &two, &one};
    bool is_right = true;
    for (int run = 0; run < 4; run++) {
        copy(d.x, sources[run]->x, sizeof first.x, stream);
        copy(d.w, sources[run]->w, sizeof first.w, stream);
        is_right = is_right && !lathe_run(context);
        copy(sources[run]->scores, d.scores, sizeof first.scores, stream);
    }
    driver()->stream_wait(stream);
    check(is_right && mlp_is_right_there(&first, 0, one.scores) &&
              mlp_is_right_there(&second, 0, two.scores),
          "runs are in order with the stream's other work", lathe_context_error(context));
    lathe_context_free(context);
    check(!driver()->stream_destroy(stream), "the stream stays the caller's", NULL);
    mlp_drop(&d);
    mlp_drop(&one);
    mlp_drop(&two);
}

static void check_host(lathe_model *model) {
    CUstream stream = new_stream();
    lathe_context *context = context_on(model, stream, 0);
    check(mlp_runs(context, &first) && mlp_runs(context, &second) && mlp_runs(context, &first),
          "runs on a stream with tensors of the host wait", lathe_context_error(context));
    lathe_context_free(context);

    /* Inputs that were copied are on the device from the first run on. */
    context = context_on(model, stream, LATHE_OUTPUTS_ON_DEVICE);
    const lathe_tensor x = mlp_tensor(&first, 0, first.x, cpu),
                       w = mlp_tensor(&first, 1, first.w, cpu);
    lathe_tensor scores;
    must(lathe_copy_input(context, 0, &x), "copy_input");
    must(lathe_copy_input(context, 1, &w), "copy_input");
    bool is_right = !lathe_run(context);
    log_begin();
    is_right = is_right && !lathe_run(context) && !lathe_run(context) &&
               !lathe_get_output(context, 0, &scores) && scores.device.type == LATHE_CUDA;
    check(is_right && waits() == 0 && !driver()->stream_wait(stream) &&
              mlp_is_right_there(&first, 0, scores.data),
          "runs on inputs that were copied before do not", lathe_context_error(context));
    lathe_context_free(context);
    driver()->stream_destroy(stream);
}

/* The arena and the outputs move: what is in the stream still uses them. */
static void check_dims(lathe_model *model) {
    CUstream stream = new_stream();
    lathe_context *context = context_on(model, stream, 0);
    const MlpOnDevice a = mlp_bring(&small), b = mlp_bring(&first);
    bind(context, &small, &a);
    bool is_right = !lathe_run(context);
    bind(context, &first, &b);
    is_right = is_right && !lathe_run(context);
    check(is_right && mlp_is_right_there(&small, 0, a.scores), "other dims wait for earlier runs",
          lathe_context_error(context));
    lathe_context_free(context);
    check(mlp_is_right_there(&first, 0, b.scores), "and so does the end of a context", NULL);
    driver()->stream_destroy(stream);
    mlp_drop(&a);
    mlp_drop(&b);
}

static void check_profile(lathe_model *model) {
    lathe_context *context = context_on(model, NULL, 0);
    const MlpOnDevice d = mlp_bring(&first);
    lathe_kernel_time time;
    bind(context, &first, &d);
    must(lathe_profile_start(context, 0), "profile");
    check(!lathe_run(context) && !lathe_profile_get(context, 0, &time) && time.calls == 1 &&
              mlp_is_right_there(&first, 0, d.scores),
          "a profile waits", lathe_context_error(context));
    lathe_context_free(context);
    mlp_drop(&d);
}

static void check_errors(lathe_model *model) {
    CUstream stream = new_stream();
    lathe_context *context = context_on(model, stream, 0);
    const MlpOnDevice d = mlp_bring(&first);
    bind(context, &first, &d);
    setenv("FAKE_CUDA_FAIL", "cuLaunchKernel:1:1", 1);
    const lathe_status status = lathe_run(context);
    unsetenv("FAKE_CUDA_FAIL");
    check(status == LATHE_FAILED && strstr(lathe_context_error(context), "kernel gemm_0"),
          "a launch that fails is told at once", lathe_context_error(context));
    check(!lathe_run(context) && !driver()->stream_wait(stream) &&
              mlp_is_right_there(&first, 0, d.scores),
          "and the next run goes well", lathe_context_error(context));
    lathe_context_free(context);
    driver()->stream_destroy(stream);
    mlp_drop(&d);
}

/* As programs have it that were compiled before there were streams. */
static void check_older_options(lathe_model *model) {
    lathe_context *context = NULL;
    lathe_context_options options = {.struct_size = offsetof(lathe_context_options, stream)};
    check(!lathe_context_new(model, &options, &context) && mlp_runs(context, &first),
          "options without a stream are taken", lathe_last_error());
    lathe_context_free(context);
    options.struct_size--;
    context = NULL;
    check(lathe_context_new(model, &options, &context) == LATHE_BAD_ARGUMENT && !context,
          "fewer are not", NULL);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    mlp_make(&first, MLP_BATCH, 1);
    mlp_make(&second, MLP_BATCH, 2);
    mlp_make(&small, 2, 3);
    lathe_model *model = open_model(argv[1]);
    lathe_context *keeper = new_context(model, 0);
    driver();
    CUstream stream = new_stream();
    check_waits_for_nothing(model, stream, "a stream");
    check_waits_for_nothing(model, NULL, "the default stream");
    driver()->stream_destroy(stream);
    check_order(model);
    check_host(model);
    check_dims(model);
    check_profile(model);
    check_errors(model);
    check_older_options(model);
    lathe_context_free(keeper);
    lathe_model_close(model);
    check(device_use() == 0, "all memory of the device is given back", NULL);
    return failures != 0;
}
