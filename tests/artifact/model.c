/* model.c - a compiled model written by hand, as the compiler would: what the runtime's tests open.
 *
 *   x, y: f32[batch, width]; batch in 1..8 (with -DSTATIC: 2 and 3)
 *   sum:  f32[batch, width] = weight[0] * x + weight[1] * y
 *   prefix: f32[batch, width + 1], running sums of rows of `sum`, made in the arena
 *   best, where: f32[batch, 1] and i64[batch, 1], the library's top-1 of each row of `sum`
 * With -DDEVICE=type, it says that its kernels run there, and has none of them.
 * Width 13 breaks a guard, 14 reports a status, 15 calls a library function that does not exist. */
#include <stddef.h>

#include "runtime/artifact.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

#ifdef STATIC
enum { BATCH = -1, WIDTH = -1, SYMBOLS = 0 };
#define VALUE_OF(symbols, s, fixed) fixed
#else
enum { BATCH, WIDTH, SYMBOLS };
#define VALUE_OF(symbols, s, fixed) (symbols)[s]
#endif
#define BATCH_OF(symbols) VALUE_OF(symbols, BATCH, 2)
#define WIDTH_OF(symbols) VALUE_OF(symbols, WIDTH, 3)

#ifndef ABI
#define ABI 4
#endif
#ifndef MAX_BATCH
#define MAX_BATCH 8
#endif

static const LtSymbolDecl symbol_decls[] = {{"batch", 1, MAX_BATCH}, {"width", 0, INT64_MAX}};
static const LtDimDecl in_dims[] = {{2, BATCH, 0, "batch"}, {3, WIDTH, 0, "width"}};
static const LtDimDecl prefix_dims[] = {{2, BATCH, 0, "batch"},
                                        {4, WIDTH < 0 ? -1 : -2, 0, "width + 1"}};
static const LtDimDecl best_dims[] = {{2, BATCH, 0, "batch"}, {1, -1, 0, "1"}};
static const LtTensorDecl inputs[] = {{"x", 0, 2, in_dims}, {"y", 0, 2, in_dims}};
static const LtTensorDecl outputs[] = {{"sum", 0, 2, in_dims},
                                       {"pre/fix", 0, 2, prefix_dims},
                                       {"best", 0, 2, best_dims},
                                       {"where", 7, 2, best_dims}};
static const LtKernelDecl kernels[] = {{"Add_0+Mul_1", "Add_0,Mul_1"}, {"Prefix_2", "Prefix_2"}};
static const char *const guards[] = {"width must not be 13"};

static void output_dims(const int64_t *symbols, int64_t *dims) {
    int64_t batch = BATCH_OF(symbols), width = WIDTH_OF(symbols);
    int64_t all[] = {batch, width, batch, width + 1, batch, 1, batch, 1};
    (void)symbols;
    for (int i = 0; i < (int)LENGTH(all); i++)
        dims[i] = all[i];
}

enum { SCRATCH_BYTES = 72 };

static int64_t arena_size(const int64_t *symbols) {
    (void)symbols;
    return BATCH_OF(symbols) * (WIDTH_OF(symbols) + 1) * 4;
}

/* Every element on its own: the range is over all of them. */
static void add_kernel(void *const *buffers, const int64_t *ints, int64_t begin, int64_t end,
                       void *scratch) {
    const float *x = buffers[0], *y = buffers[1], *weights = buffers[3];
    float *sum = buffers[2];
    (void)ints, (void)scratch;
    for (int64_t i = begin; i < end; i++)
        sum[i] = weights[0] * x[i] + weights[1] * y[i];
}

/* The range is over rows. The running sum lies at the end of the thread's scratch memory: two
 * threads with the same memory would disturb each other. */
static void prefix_kernel(void *const *buffers, const int64_t *ints, int64_t begin, int64_t end,
                       void *scratch) {
    const float *sum = buffers[0];
    float *arena = buffers[1], *prefix = buffers[2];
    volatile float *running = (float *)((char *)scratch + SCRATCH_BYTES) - 1;
    int64_t width = ints[0];
    for (int64_t row = begin; row < end; row++) {
        float *to = arena + row * (width + 1);
        *running = to[0] = 0;
        for (int64_t i = 0; i < width; i++)
            to[i + 1] = *running += sum[row * width + i];
        for (int64_t i = 0; i <= width; i++)
            prefix[row * (width + 1) + i] = to[i];
    }
}

static int32_t run(const LtHostApi *api, uint8_t *arena, const uint8_t *weights,
                   void *const *tensors, const int64_t *symbols) {
    int64_t batch = BATCH_OF(symbols), width = WIDTH_OF(symbols);
    void *add[] = {tensors[0], tensors[1], tensors[2], (void *)(uintptr_t)weights};
    void *prefix[] = {tensors[2], arena, tensors[3]};
    void *top[] = {tensors[2], tensors[4], tensors[5]};
    int64_t top_ints[] = {batch, width, 1, 1, 1, 1, 0};
    (void)symbols;
    if (width == 13)
        return 1;
    if (width == 14)
        return -3; /* LATHE_UNSUPPORTED */
    if (width == 15)
        return -api->library(api->context, 999, top, top_ints);
    api->launch(api->context, 0, add_kernel, add, 0, batch * width);
    api->launch(api->context, 1, prefix_kernel, prefix, &width, batch);
    return -api->library(api->context, 0, top, top_ints);
}

#ifdef DEVICE
static const LtDeviceDecl device = {.type = DEVICE};
#endif

extern const LtDescriptor lathe_model_descriptor;
const LtDescriptor lathe_model_descriptor = {
    .abi = ABI,
    .size = ABI < 3 ? offsetof(LtDescriptor, device) : sizeof(LtDescriptor),
    .version = "0.1.0",
    .target = "test",
    .model_name = "hand \"made\"",
    .symbol_count = SYMBOLS,
    .input_count = LENGTH(inputs),
    .output_count = LENGTH(outputs),
    .kernel_count = LENGTH(kernels),
    .guard_count = LENGTH(guards),
    .symbols = symbol_decls,
    .inputs = inputs,
    .outputs = outputs,
    .kernels = kernels,
    .guards = guards,
    .weights_size = 8,
    .output_dims = output_dims,
    .arena_size = arena_size,
    .run = run,
    .scratch_bytes = SCRATCH_BYTES,
#ifdef DEVICE
    .device = &device,
#endif
};
