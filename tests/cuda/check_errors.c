/* check_errors.c - `check_errors MLP.so`: what goes wrong on a GPU is a status and a sentence, and
 * what can go on afterwards does. */
#include "tests/cuda/check.h"

static Mlp mlp;

static bool says(lathe_status found, lathe_status wanted, const char *text, const char *part) {
    if (found == wanted && strstr(text, part))
        return true;
    printf("found status %d: %s\n", found, text);
    return false;
}

/* --- loading --- */

typedef struct LoadCase {
    const char *name, *value; /* of the environment */
    int32_t device;
    lathe_status status;
    const char *part;
} LoadCase;

static const LoadCase load_cases[] = {
    {"FAKE_CUDA_FAIL", "cuInit:1:100", 0, LATHE_MACHINE, "the NVIDIA driver does not start: "},
    {"FAKE_CUDA_DEVICES", "0", 0, LATHE_MACHINE,
     "it runs on an NVIDIA GPU, and there is none here"},
    {"FAKE_CUDA_DEVICES", "2", 2, LATHE_MACHINE, "there is no CUDA device 2: there are 2"},
    {"FAKE_CUDA_SM", "70", 0, LATHE_MACHINE,
     "its kernels are for sm_75, sm_80, sm_90; the GPU, Fake 7, "
     "is sm_70 (lathec --target cuda:sm_70 makes"},
    {"FAKE_CUDA_FAIL", "cuModuleLoadDataEx:1:222", 0, LATHE_MACHINE, "for CUDA 12.4, is too old"},
    {"FAKE_CUDA_FAIL", "cuDevicePrimaryCtxRetain:1:2", 0, LATHE_NO_MEMORY,
     "CUDA device 0 cannot be used: out of memory (CUDA_ERROR_OUT_OF_MEMORY)"},
    {"FAKE_CUDA_FAIL", "cuModuleLoadDataEx:1:1", 0, LATHE_FAILED,
     "the driver, for CUDA 12.4, does not load its kernels for sm_75, sm_80, sm_90 on Fake 7, "
     "which is sm_80: "},
    {"FAKE_CUDA_FAIL", "cuModuleGetFunction:2:500", 0, LATHE_FAILED, "kernel "},
    {"FAKE_CUDA_FAIL", "cuMemAlloc_v2:1:2", 0, LATHE_NO_MEMORY,
     "bytes of weights: the GPU has 256 of 256 MB left"},
    {"FAKE_CUDA_FAIL", "cuMemcpyHtoD_v2:1:700", 0, LATHE_FAILED,
     "the weights do not reach the GPU: an illegal memory access"},
    {"FAKE_CUDA_FAIL", "cuStreamCreate:1:2", 0, LATHE_NO_MEMORY, "there is no stream on the GPU"},
};

static void check_load(const char *path, const LoadCase *c) {
    const lathe_model_options options = {.struct_size = sizeof options, .device = c->device};
    lathe_model *model = NULL;
    lathe_context *context = NULL;
    must(lathe_model_open(path, &options, &model), "a model opens without a GPU");
    setenv(c->name, c->value, 1);
    const lathe_status status = lathe_context_new(model, NULL, &context);
    unsetenv(c->name);
    check(says(status, c->status, lathe_last_error(), c->part) && !context, c->part, "not said");
    if (c->device == 0) {
        context = new_context(model, 0);
        check(mlp_runs(context, &mlp), "then it loads", lathe_context_error(context));
        lathe_context_free(context);
    }
    lathe_model_close(model);
}

/* --- running --- */

typedef struct RunCase {
    const char *fail;
    lathe_status status;
    const char *part;
} RunCase;

static const RunCase run_cases[] = {
    {"cuMemAlloc_v2:1:2", LATHE_NO_MEMORY,
     "no memory on the GPU for 'scores' of 84 bytes: the GPU has"},
    {"cuMemAlloc_v2:3:2", LATHE_NO_MEMORY, "no memory on the GPU for 'x' of 560 bytes"},
    {"cuMemAlloc_v2:5:2", LATHE_NO_MEMORY, "no memory on the GPU for the arena of"},
    {"cuMemAllocHost_v2:1:2", LATHE_NO_MEMORY, "no pinned memory for 'scores' of 84 bytes"},
    {"cuMemcpyHtoDAsync_v2:2:1", LATHE_FAILED, "input w: "},
    {"cuMemcpyDtoHAsync_v2:1:1", LATHE_FAILED, "output scores: "},
    {"cuLaunchKernel:1:1", LATHE_FAILED, "kernel gemm_0"},
    {"cuLaunchKernel:2:701", LATHE_FAILED, "kernel "},
    {"cuStreamSynchronize:1:700", LATHE_FAILED,
     "the kernels failed (with CUDA_LAUNCH_BLOCKING=1 in the environment, the one is named): an "
     "illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS)"},
};

static void check_run(lathe_model *model, const RunCase *c) {
    lathe_context *context = new_context(model, 0);
    const lathe_device cpu = {LATHE_CPU, 0};
    const lathe_tensor x = mlp_tensor(&mlp, 0, mlp.x, cpu), w = mlp_tensor(&mlp, 1, mlp.w, cpu);
    must(lathe_set_input(context, 0, &x), "set_input");
    must(lathe_set_input(context, 1, &w), "set_input");
    setenv("FAKE_CUDA_FAIL", c->fail, 1);
    const lathe_status status = lathe_run(context);
    unsetenv("FAKE_CUDA_FAIL");
    check(says(status, c->status, lathe_context_error(context), c->part), c->fail, "not said");
    check(mlp_runs(context, &mlp), "the next run goes well", lathe_context_error(context));
    lathe_context_free(context);
}

/* A graph that cannot be made is no error. */
static void check_graphs(lathe_model *model) {
    lathe_model_info info;
    char launch[64]; /* the first one that is recorded */
    lathe_model_get_info(model, &info);
    snprintf(launch, sizeof launch, "cuLaunchKernel:%u:1", info.kernel_count + 1);
    const char *const calls[] = {"cuStreamBeginCapture_v2:1:1", "cuStreamEndCapture:1:901",
                                 "cuGraphInstantiateWithFlags:1:2", launch};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        lathe_context *context = new_context(model, 0);
        setenv("FAKE_CUDA_FAIL", calls[i], 1);
        bool is_right = true;
        for (int run = 0; run < 3; run++)
            is_right = is_right && mlp_runs(context, &mlp);
        unsetenv("FAKE_CUDA_FAIL");
        check(is_right && log_count("cuGraphLaunch") == 0, calls[i], lathe_context_error(context));
        lathe_context_free(context);
    }
    lathe_context *context = new_context(model, 0);
    bool is_right = mlp_runs(context, &mlp) && mlp_runs(context, &mlp);
    setenv("FAKE_CUDA_FAIL", "cuGraphLaunch:1:1", 1);
    const lathe_status status = lathe_run(context);
    unsetenv("FAKE_CUDA_FAIL");
    check(is_right &&
              says(status, LATHE_FAILED, lathe_context_error(context), "the graph of kernels"),
          "a graph that does not start is one", NULL);
    lathe_context_free(context);
}

/* --- tensors --- */

static void check_tensor(lathe_context *context, const lathe_tensor *tensor, const char *part) {
    check(says(lathe_set_input(context, 0, tensor), LATHE_BAD_ARGUMENT,
               lathe_context_error(context), part),
          part, "not said");
}

static void check_tensors(lathe_model *model) {
    lathe_context *context = new_context(model, 0);
    char *memory = device_memory(sizeof mlp.x + 256);
    static const int64_t strides[] = {1, MLP_BATCH};
    lathe_tensor x = mlp_tensor(&mlp, 0, memory, (lathe_device){LATHE_CUDA, 1});
    check_tensor(context, &x,
                 "expected memory of the CPU or of CUDA device 0, found device 1 of type 2");
    x.device = (lathe_device){10, 0};
    check_tensor(context, &x, "found device 0 of type 10");
    x = mlp_tensor(&mlp, 0, memory + 4, (lathe_device){LATHE_CUDA, 0});
    check_tensor(context, &x, "'x': memory of a GPU must be aligned to 16 bytes");
    x.data = memory;
    x.strides = strides;
    check_tensor(context, &x, "borrowed memory must be dense");
    check(says(lathe_copy_input(context, 0, &x), LATHE_UNSUPPORTED, lathe_context_error(context),
               "dense tensors alone are copied"),
          "strides on the device", "not said");
    driver()->free((CUdeviceptr)(uintptr_t)memory);
    lathe_context_free(context);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    mlp_make(&mlp, MLP_BATCH, 3);
    for (size_t i = 0; i < sizeof load_cases / sizeof *load_cases; i++)
        check_load(argv[1], &load_cases[i]);
    lathe_model *model = open_model(argv[1]);
    lathe_context *keeper = new_context(model, 0);
    driver();
    for (size_t i = 0; i < sizeof run_cases / sizeof *run_cases; i++)
        check_run(model, &run_cases[i]);
    log_begin();
    check_graphs(model);
    check_tensors(model);
    lathe_context_free(keeper);
    lathe_model_close(model);
    check(device_use() == 0, "all memory of the device is given back", NULL);
    return failures != 0;
}
