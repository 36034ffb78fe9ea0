/* image.h - around the text of an artifact's kernels, compiled as C++: what lets the driver of the
 * tests (driver.c) find a kernel, copy its arguments and run it. tests/cuda/nvcc includes it. */
#ifndef LATHE_TESTS_CUDA_IMAGE_H
#define LATHE_TESTS_CUDA_IMAGE_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <utility>

#include "codegen/cuda/emulate.h"

template <class... P> struct FakeKernel {
    static const unsigned *sizes(unsigned *count) {
        static const unsigned all[] = {sizeof(P)..., 0};
        *count = sizeof...(P);
        return all;
    }
    template <size_t... I>
    static void run(void (*kernel)(P...), int64_t blocks, Block block, void **args,
                    std::index_sequence<I...>) {
        launch(kernel, blocks, block, nullptr, *(P *)args[I]...);
    }
};

template <class... P> static FakeKernel<P...> fake_kernel(void (*)(P...)) { return {}; }
template <class... P>
static void fake_run(void (*kernel)(P...), int64_t blocks, Block block, void **args) {
    FakeKernel<P...>::run(kernel, blocks, block, args, std::index_sequence_for<P...>());
}

#define FAKE_KERNEL(name) \
    LATHE_EXPORT const unsigned *fake_sizes_##name(unsigned *count) { \
        return decltype(fake_kernel(name))::sizes(count); \
    } \
    LATHE_EXPORT void fake_run_##name(int64_t blocks, int threads, int shared, void **args) { \
        fake_run(name, blocks, {threads, shared}, args); \
    }

#endif
