/* check_compare.c - a model on a GPU beside the same one on the CPU.
 *
 *     check_compare GPU.so CPU.so          several runs on equal inputs give equal outputs
 *     check_compare --nvrtc MODEL.so 80    NVRTC makes a cubin for sm_80 of the model's text */
#include "tests/cuda/check.h"

#include <math.h>

#include "runtime/device_cuda.h"
#include "runtime/tensor.h"

enum { MOST = 8, MOST_BYTES = 1 << 16, RUNS = 4 };

typedef struct Inputs {
    int64_t dims[MOST][LATHE_MAX_RANK];
    union {
        uint8_t bytes[MOST_BYTES];
        float floats[MOST_BYTES / 4];
        int64_t ints[MOST_BYTES / 8];
    } data[MOST];
} Inputs;
static Inputs inputs;

/* Symbols grow from run to run; integers are 3, 0, 3, ..., flags true and false. */
static lathe_tensor make_input(const lathe_tensor_info *info, uint32_t index, int run) {
    int64_t *dims = inputs.dims[index];
    size_t bytes = 0;
    for (int32_t i = 0; i < info->rank; i++)
        dims[i] = info->dims[i].lo == info->dims[i].hi ? info->dims[i].lo
                                                       : info->dims[i].lo + (run + 1) / 2;
    if (!lt_dense_bytes(info->dtype, info->rank, dims, &bytes) || bytes > MOST_BYTES)
        must(LATHE_FAILED, "inputs are too large");
    for (size_t i = 0; i < MOST_BYTES / 4 && info->dtype == LATHE_F32; i++)
        inputs.data[index].floats[i] = (float)((i * 37 + (size_t)run * 5 + index) % 41) / 20 - 1;
    if (info->dtype == LATHE_I64)
        inputs.data[index].ints[0] = run % 2 ? 0 : 3;
    if (info->dtype == LATHE_BOOL)
        inputs.data[index].bytes[0] = run < 2;
    return (lathe_tensor){.data = inputs.data[index].bytes,
                          .dtype = info->dtype,
                          .rank = info->rank,
                          .dims = dims,
                          .device = {LATHE_CPU, 0}};
}

static bool is_equal(const lathe_tensor *a, const lathe_tensor *b) {
    size_t bytes = 0;
    bool same = a->rank == b->rank && a->dtype == b->dtype;
    for (int32_t i = 0; i < a->rank && same; i++)
        same = a->dims[i] == b->dims[i];
    if (!same || !lt_dense_bytes(a->dtype, a->rank, a->dims, &bytes))
        return false;
    if (a->dtype != LATHE_F32)
        return memcmp(a->data, b->data, bytes) == 0;
    const float *x = a->data, *y = b->data;
    for (size_t i = 0; i < bytes / sizeof *x && same; i++)
        same = fabsf(x[i] - y[i]) <= 2e-5F * fmaxf(1, fabsf(y[i]));
    return same;
}

static void run_one(lathe_model *model, lathe_context *context, int run) {
    for (uint32_t i = 0; i < lathe_input_count(model); i++) {
        const lathe_tensor tensor = make_input(lathe_input_info(model, i), i, run);
        if (lathe_set_input(context, i, &tensor))
            check(false, "set_input", lathe_context_error(context));
    }
    if (lathe_run(context))
        check(false, "a run", lathe_context_error(context));
}

static void compare(const char *gpu_path, const char *cpu_path) {
    lathe_model *gpu = open_model(gpu_path), *cpu = open_model(cpu_path);
    lathe_context *a = new_context(gpu, 0), *b = new_context(cpu, 0);
    for (int run = 0; run < RUNS; run++) {
        char words[160];
        run_one(gpu, a, run);
        run_one(cpu, b, run);
        for (uint32_t i = 0; i < lathe_output_count(gpu); i++) {
            lathe_tensor x, y;
            const bool is_there = !lathe_get_output(a, i, &x) && !lathe_get_output(b, i, &y);
            snprintf(words, sizeof words, "%s, run %d, output %s", strrchr(gpu_path, '/') + 1, run,
                     lathe_output_info(gpu, i)->name);
            check(is_there && is_equal(&x, &y), words, "differs from the CPU's");
        }
    }
    lathe_context_free(a);
    lathe_context_free(b);
    lathe_model_close(gpu);
    lathe_model_close(cpu);
    if (getenv("CHECK_LOG"))
        check(device_use() == 0, "all memory of the device is given back", NULL);
}

static void compile(const char *path, int capability) {
    lathe_model *model = open_model(path);
    Buffer image = {0};
    ErrorText error = {""};
    const lathe_status status =
        lt_cuda_jit(lt_model_device(model)->text, capability, &image, &error);
    char words[64];
    snprintf(words, sizeof words, "NVRTC compiles the kernels for sm_%d", capability);
    check(!status && image.size > 4 && memcmp(image.data, "\177ELF", 4) == 0, words, error.text);
    free(image.data);
    lathe_model_close(model);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "--nvrtc") == 0)
        compile(argv[2], atoi(argv[3]));
    else if (argc == 3)
        compare(argv[1], argv[2]);
    else
        return 2;
    return failures != 0;
}
