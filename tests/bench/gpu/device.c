/* device.c - the GPU at hand: what it is, what it can do at most, its memory. */
#include <string.h>

#include "runtime/device_cuda.h"
#include "tests/bench/gpu/gpu.h"

/* The driver's numbers of attributes. */
enum { CLOCK_KHZ = 13, PROCESSORS = 16, MEMORY_KHZ = 36, MEMORY_BITS = 37 };

/* Multiply-adds of one processor in one cycle: on floats, and dense ones on tensor cores. */
static const struct {
    int capability, f32, f16, tf32, i8;
} rates[] = {
    {70, 64, 512, 0, 0},          {75, 64, 512, 0, 1024},     {80, 64, 1024, 512, 2048},
    {86, 128, 512, 256, 1024},    {89, 128, 512, 256, 1024},  {90, 128, 2048, 1024, 4096},
    {100, 128, 4096, 2048, 8192}, {120, 128, 512, 256, 1024},
};

double gpu_peak(const Gpu *gpu, const char *dtype) {
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        if (rates[i].capability != gpu->capability)
            continue;
        const int rate = strcmp(dtype, "f32") == 0    ? rates[i].f32
                         : strcmp(dtype, "tf32") == 0 ? rates[i].tf32
                         : strcmp(dtype, "i8") == 0   ? rates[i].i8
                                                      : rates[i].f16;
        return 2.0 * rate * gpu->processors * gpu->hertz;
    }
    return 0;
}

static int attribute(const Gpu *gpu, int number) {
    int value = 0;
    return gpu->api->device_attribute(&value, number, gpu->device) ? 0 : value;
}

static void ask(Gpu *gpu) {
    gpu->api->driver_version(&gpu->driver);
    gpu->api->device_name(gpu->name, sizeof gpu->name, gpu->device);
    gpu->capability = 10 * attribute(gpu, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
                      attribute(gpu, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    gpu->processors = attribute(gpu, PROCESSORS);
    gpu->hertz = 1e3 * attribute(gpu, CLOCK_KHZ);
    /* Twice a cycle. */
    gpu->memory_bytes = 2e3 * attribute(gpu, MEMORY_KHZ) * attribute(gpu, MEMORY_BITS) / 8;
}

const char *gpu_open(Arena *arena, Gpu *gpu, int ordinal) {
    ErrorText error;
    CUcontext context;
    int count = 0;
    gpu->ordinal = ordinal;
    gpu->api = lt_cuda_api(&error);
    if (!gpu->api)
        return lt_arena_strdup(arena, error.text);
    if (gpu->api->device_count(&count) || count == 0)
        return "there is no NVIDIA GPU here";
    if (ordinal >= count)
        return lt_arena_printf(arena, "there is no CUDA device %d: there are %d", ordinal, count);
    CUresult result = gpu->api->device_get(&gpu->device, ordinal);
    if (!result)
        result = gpu->api->primary_retain(&context, gpu->device);
    if (!result)
        result = gpu->api->push(context);
    if (!result)
        result = gpu->api->stream_create(&gpu->stream, CU_STREAM_NON_BLOCKING);
    if (result)
        return lt_arena_printf(arena, "CUDA device %d cannot be used: %s", ordinal,
                               gpu_error(gpu, result));
    ask(gpu);
    return NULL;
}

const char *gpu_error(const Gpu *gpu, CUresult result) {
    const char *text = NULL;
    gpu->api->error_text(result, &text);
    return text ? text : "an error that the driver has no words for";
}

/* --- memory --- */

void *gpu_alloc(const Gpu *gpu, size_t bytes, const char **trouble) {
    CUdeviceptr address = 0;
    const CUresult result = bytes ? gpu->api->alloc(&address, bytes) : CUDA_SUCCESS;
    if (result)
        *trouble = gpu_error(gpu, result);
    return result ? NULL : (void *)(uintptr_t)address;
}

void gpu_free(const Gpu *gpu, void *memory) {
    if (memory)
        gpu->api->free((CUdeviceptr)(uintptr_t)memory);
}

bool gpu_upload(const Gpu *gpu, void *to, const void *from, size_t bytes) {
    return !bytes || !gpu->api->upload_now((CUdeviceptr)(uintptr_t)to, from, bytes);
}

bool gpu_download(const Gpu *gpu, void *to, const void *from, size_t bytes) {
    void *pinned = NULL;
    if (gpu->api->alloc_host(&pinned, bytes))
        return false;
    const bool is_done =
        !gpu->api->download(pinned, (CUdeviceptr)(uintptr_t)from, bytes, gpu->stream) &&
        !gpu->api->stream_wait(gpu->stream);
    if (is_done)
        memcpy(to, pinned, bytes);
    gpu->api->free_host(pinned);
    return is_done;
}
