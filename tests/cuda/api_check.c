/* api_check.c - compiles where runtime/cuda_api.h declares every call as NVIDIA's cuda.h does, and
 * the numbers that it gives names are the same there. */
#include <cuda.h>

/* As runtime/cuda_api.h has them, whose own are left out here. */
#define SAME(name, number) _Static_assert((int)(name) == (number), #name)
SAME(CUDA_SUCCESS, 0);
SAME(CUDA_ERROR_OUT_OF_MEMORY, 2);
SAME(CUDA_ERROR_NO_DEVICE, 100);
SAME(CUDA_ERROR_NO_BINARY_FOR_GPU, 209);
SAME(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, 222);
SAME(CU_JIT_ERROR_LOG_BUFFER, 5);
SAME(CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, 6);
SAME(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75);
SAME(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 76);
SAME(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 8);
SAME(CU_STREAM_DEFAULT, 0);
SAME(CU_STREAM_NON_BLOCKING, 1);
SAME(CU_EVENT_DEFAULT, 0);
SAME(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, 1);
_Static_assert(sizeof(CUresult) == sizeof(int) && sizeof(CUdeviceptr) == 8, "sizes");
_Static_assert(sizeof(CUdevice) == sizeof(int) && sizeof(CUjit_option) == sizeof(int), "sizes");

#include "runtime/cuda_api.h"

/* A call that is declared otherwise has another type. */
void assign(CudaApi *api);
void assign(CudaApi *api) {
#define X(field, symbol, params) api->field = symbol;
    CUDA_CALLS(X)
#undef X
}
