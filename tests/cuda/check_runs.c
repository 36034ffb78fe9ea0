/* check_runs.c - `check_runs MLP.so`: inputs and outputs on the host and on the device, other
 * shapes, graphs, contexts of one model, profiles. */
#include <pthread.h>

#include "tests/cuda/check.h"

static const lathe_device cpu = {LATHE_CPU, 0}, gpu = {LATHE_CUDA, 0};
static Mlp first, second, small;

static void check_host(lathe_model *model) {
    lathe_context *context = new_context(model, 0);
    bool is_right = true;
    check(lathe_context_threads(context) == 1, "a context on a GPU has one thread", NULL);
    log_begin();
    for (int run = 0; run < 6; run++)
        is_right = is_right && mlp_runs(context, run % 2 ? &second : &first);
    check(is_right, "six runs on tensors of the host, which change", lathe_context_error(context));
    check(log_count("cuStreamBeginCapture_v2") == 1 && log_count("cuGraphLaunch") == 5,
          "the second run is recorded, and launched from then on as one", NULL);
    is_right = true;
    for (int64_t batch = 1; batch <= 64; batch *= 2) {
        Mlp other;
        mlp_make(&other, 65 - batch, (int)batch);
        is_right = is_right && mlp_runs(context, &other) && mlp_runs(context, &other);
    }
    check(is_right && mlp_runs(context, &first), "batches of several sizes, larger ones first",
          lathe_context_error(context));
    log_begin();
    for (int run = 0; run < 40; run++) /* pairs of two sizes */
        is_right = is_right && mlp_runs(context, run / 2 % 2 ? &first : &small);
    check(is_right && log_count("cuStreamBeginCapture_v2") <= 2,
          "what changes often is not recorded each time", lathe_context_error(context));
    for (int run = 0; run < 40; run++)
        is_right = is_right && mlp_runs(context, &first);
    check(is_right && log_count("cuGraphLaunch") > 20, "what then stays is",
          lathe_context_error(context));
    check(lathe_context_memory(context) > lathe_context_arena_bytes(context) &&
              lathe_context_arena_bytes(context) > 0,
          "the context tells its memory", NULL);
    lathe_context_free(context);
}

static void check_copies(lathe_model *model) {
    lathe_context *context = new_context(model, 0);
    const lathe_tensor w = mlp_tensor(&first, 1, first.w, cpu);
    lathe_tensor x = mlp_tensor(&first, 0, NULL, cpu), scores;
    static float columns[MLP_X * MLP_BATCH]; /* x, the other way round */
    const int64_t strides[] = {1, MLP_BATCH};
    for (int i = 0; i < MLP_BATCH; i++)
        for (int j = 0; j < MLP_X; j++)
            columns[j * MLP_BATCH + i] = first.x[i * MLP_X + j];
    x.data = columns;
    x.strides = strides;
    bool is_right = !lathe_copy_input(context, 0, &x) && !lathe_copy_input(context, 1, &w);
    memset(columns, 0, sizeof columns);
    log_begin();
    for (int run = 0; run < 4; run++)
        is_right = is_right && !lathe_run(context) && !lathe_get_output(context, 0, &scores) &&
                   mlp_is_right(&first, 0, scores.data);
    check(is_right, "inputs that were copied, with strides", lathe_context_error(context));
    check(log_count("cuMemcpyHtoDAsync_v2") == 2, "they are brought over once", NULL);
    lathe_context_free(context);
}

/* As another library hands it over: with an offset of bytes. */
static lathe_tensor borrow(const Mlp *m, int which, void *data) {
    lathe_tensor tensor = mlp_tensor(m, which, data, gpu), view;
    lathe_dl_tensor dl;
    must(lathe_tensor_to_dlpack(&tensor, &dl), "to DLPack");
    check(dl.device.type == 2 && dl.device.index == 0 && dl.data == data,
          "a DLTensor of the device", NULL);
    dl.data = (char *)data - 256;
    dl.byte_offset = 256;
    must(lathe_tensor_from_dlpack(&dl, &view), "from DLPack");
    return view;
}

static void check_device(lathe_model *model) {
    lathe_context *context = new_context(model, 0);
    const MlpOnDevice d = mlp_bring(&first);
    void *const data[] = {d.x, d.w, d.scores, d.hidden};
    bool is_right = true;
    for (int i = 0; i < 4; i++) {
        const lathe_tensor view = borrow(&first, i, data[i]);
        is_right = is_right && !(i < 2 ? lathe_set_input(context, (uint32_t)i, &view)
                                       : lathe_set_output(context, (uint32_t)i - 2, &view));
    }
    log_begin();
    for (int run = 0; run < 3; run++)
        is_right = is_right && !lathe_run(context);
    check(log_count("cuMemcpyHtoDAsync_v2") + log_count("cuMemcpyDtoHAsync_v2") == 0,
          "tensors of the device are not copied", NULL);
    check(log_count("cuMemAlloc_v2") == 1 && log_count("cuMemAllocHost_v2") == 0,
          "but for the arena, a context needs no memory for them", NULL);
    check(is_right && mlp_is_right_there(&first, 0, d.scores) &&
              mlp_is_right_there(&first, 1, d.hidden),
          "inputs and outputs on the device, by DLPack", lathe_context_error(context));
    lathe_tensor scores;
    must(lathe_get_output(context, 0, &scores), "get_output");
    check(scores.data == d.scores && scores.device.type == LATHE_CUDA,
          "the output is the caller's memory", NULL);

    /* Back to the host, one after the other, with the same dims. */
    static float mine[64 * MLP_SCORES];
    const lathe_tensor to = mlp_tensor(&first, 2, mine, cpu),
                       x = mlp_tensor(&first, 0, first.x, cpu);
    must(lathe_set_output(context, 0, &to), "set_output");
    check(!lathe_run(context) && mlp_is_right(&first, 0, mine), "an output's memory on the host",
          lathe_context_error(context));
    must(lathe_set_input(context, 0, &x), "set_input");
    memset(mine, 0, sizeof mine);
    check(!lathe_run(context) && mlp_is_right(&first, 0, mine), "an input's, too",
          lathe_context_error(context));
    must(lathe_set_output(context, 0, NULL), "set_output");
    check(!lathe_run(context) && !lathe_get_output(context, 0, &scores) &&
              scores.device.type == LATHE_CPU && mlp_is_right(&first, 0, scores.data),
          "and the context's own", lathe_context_error(context));
    const lathe_tensor dense = mlp_tensor(&first, 0, d.x, gpu);
    check(!lathe_copy_input(context, 0, &dense) &&
              (to_device(d.x, second.x, sizeof second.x), true) && !lathe_run(context) &&
              !lathe_get_output(context, 0, &scores) && mlp_is_right(&first, 0, scores.data),
          "an input that is copied on the device", lathe_context_error(context));
    lathe_context_free(context);
    mlp_drop(&d);
}

static void check_stay(lathe_model *model) {
    lathe_context *context = new_context(model, LATHE_OUTPUTS_ON_DEVICE);
    const lathe_tensor x = mlp_tensor(&first, 0, first.x, cpu),
                       w = mlp_tensor(&first, 1, first.w, cpu);
    lathe_tensor scores, again;
    must(lathe_set_input(context, 0, &x), "set_input");
    must(lathe_set_input(context, 1, &w), "set_input");
    must(lathe_prepare(context), "prepare");
    must(lathe_get_output(context, 0, &scores), "get_output");
    log_begin();
    bool is_right = !lathe_run(context) && !lathe_run(context) &&
                    !lathe_get_output(context, 0, &again) && again.data == scores.data;
    check(is_right && scores.device.type == LATHE_CUDA && log_count("cuMemcpyDtoHAsync_v2") == 0 &&
              log_count("cuMemAlloc_v2") == 0 && mlp_is_right_there(&first, 0, scores.data),
          "outputs that stay on the device, where lathe_prepare put them",
          lathe_context_error(context));
    lathe_context_free(context);
}

static void check_shared(lathe_model *model) {
    log_begin();
    lathe_context *a = new_context(model, 0), *b = new_context(model, 0);
    check(log_count("cuModuleLoadDataEx") == 0 && log_count("cuMemcpyHtoD_v2") == 0,
          "contexts share kernels and weights", NULL);
    check(mlp_runs(a, &first) && mlp_runs(b, &second) && mlp_runs(a, &first),
          "two contexts, in turns", lathe_context_error(b));
    lathe_context_free(a);
    check(mlp_runs(b, &second), "one outlives the other", lathe_context_error(b));
    lathe_context_free(b);
}

/* With a context of its own. */
static void *run_often(void *opaque) {
    lathe_context *context = opaque;
    bool is_right = true;
    for (int run = 0; run < 30; run++)
        is_right = is_right && mlp_runs(context, run % 2 ? &second : &first);
    return is_right ? context : NULL;
}

static void check_threads(lathe_model *model) {
    enum { THREADS = 4 };
    lathe_context *contexts[THREADS];
    pthread_t threads[THREADS];
    bool is_right = true;
    for (int i = 0; i < THREADS; i++) {
        contexts[i] = new_context(model, 0);
        must(pthread_create(&threads[i], NULL, run_often, contexts[i]) ? LATHE_FAILED : LATHE_OK,
             "a thread");
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        is_right = is_right && result;
        lathe_context_free(contexts[i]);
    }
    check(is_right, "threads with a context each", NULL);
}

static void check_profile(lathe_model *model) {
    lathe_context *context = new_context(model, 0);
    must(lathe_profile_start(context, 0), "profile");
    uint64_t calls = 0, kernel_ns = 0;
    bool is_right = true;
    log_begin();
    for (int run = 0; run < 200; run++) /* more launches than are timed at once */
        is_right = is_right && mlp_runs(context, &first);
    lathe_profile_stop(context);
    for (uint32_t i = 0; i < lathe_profile_count(context); i++) {
        lathe_kernel_time t;
        must(lathe_profile_get(context, i, &t), "profile");
        calls += t.calls;
        kernel_ns += t.total_ns;
        is_right = is_right && (!t.calls || (t.min_ns <= t.max_ns && t.total_ns >= t.min_ns));
    }
    check(is_right && calls > 0 && calls == (uint64_t)log_count("cuLaunchKernel"),
          "a profile has every launch", NULL);
    check(kernel_ns > 0 && kernel_ns < UINT64_C(60000000000), "and plausible times", NULL);
    check(mlp_runs(context, &first) && mlp_runs(context, &first) && log_count("cuGraphLaunch") > 0,
          "graphs come back behind it", NULL);
    lathe_context_free(context);
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
    check_host(model);
    check_copies(model);
    check_device(model);
    check_stay(model);
    check_shared(model);
    check_threads(model);
    check_profile(model);
    lathe_context_free(keeper);
    lathe_model_close(model);
    check(device_use() == 0, "all memory of the device is given back", NULL);
    return failures != 0;
}
