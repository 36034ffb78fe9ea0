/* cuda_api.h - the part of NVIDIA's driver API that the runtime uses, as the library's binary
 * interface has it. Nothing of CUDA is needed to build this: libcuda.so.1 is opened when a model
 * needs it. Where cuda.h is included first, its types are used, so that a test can compare the
 * declarations (tests/cuda/api_check.c). */
#ifndef LATHE_RUNTIME_CUDA_API_H
#define LATHE_RUNTIME_CUDA_API_H

#include <stddef.h>

#ifndef __cuda_cuda_h__
typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef int CUdevice_attribute, CUfunction_attribute, CUjit_option, CUstreamCaptureMode;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;

enum {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
    CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222
};
enum {
    CU_JIT_ERROR_LOG_BUFFER = 5,
    CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76
};
enum { CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8 };
enum { CU_STREAM_DEFAULT = 0, CU_STREAM_NON_BLOCKING = 1, CU_EVENT_DEFAULT = 0 };
enum { CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1 };
#endif

/* X(field, symbol, parameters). All are there since CUDA 11.4. */
#define CUDA_CALLS(X) \
    X(init, cuInit, (unsigned flags)) \
    X(driver_version, cuDriverGetVersion, (int *version)) \
    X(error_name, cuGetErrorName, (CUresult error, const char **text)) \
    X(error_text, cuGetErrorString, (CUresult error, const char **text)) \
    X(device_count, cuDeviceGetCount, (int *count)) \
    X(device_get, cuDeviceGet, (CUdevice * device, int ordinal)) \
    X(device_name, cuDeviceGetName, (char *name, int size, CUdevice device)) \
    X(device_attribute, cuDeviceGetAttribute, \
      (int *value, CUdevice_attribute attribute, CUdevice device)) \
    X(primary_retain, cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device)) \
    X(primary_release, cuDevicePrimaryCtxRelease_v2, (CUdevice device)) \
    X(push, cuCtxPushCurrent_v2, (CUcontext context)) \
    X(pop, cuCtxPopCurrent_v2, (CUcontext * context)) \
    X(module_load, cuModuleLoadDataEx, \
      (CUmodule * module, const void *image, unsigned count, CUjit_option *options, \
       void **values)) \
    X(module_unload, cuModuleUnload, (CUmodule module)) \
    X(module_function, cuModuleGetFunction, \
      (CUfunction * function, CUmodule module, const char *name)) \
    X(function_set, cuFuncSetAttribute, \
      (CUfunction function, CUfunction_attribute attribute, int value)) \
    X(memory_info, cuMemGetInfo_v2, (size_t * free, size_t * total)) \
    X(alloc, cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes)) \
    X(free, cuMemFree_v2, (CUdeviceptr address)) \
    X(alloc_host, cuMemAllocHost_v2, (void **address, size_t bytes)) \
    X(free_host, cuMemFreeHost, (void *address)) \
    X(upload_now, cuMemcpyHtoD_v2, (CUdeviceptr to, const void *from, size_t bytes)) \
    X(upload, cuMemcpyHtoDAsync_v2, \
      (CUdeviceptr to, const void *from, size_t bytes, CUstream stream)) \
    X(download, cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream stream)) \
    X(copy, cuMemcpyDtoDAsync_v2, \
      (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)) \
    X(launch, cuLaunchKernel, \
      (CUfunction function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, \
       unsigned threads_x, unsigned threads_y, unsigned threads_z, unsigned shared_bytes, \
       CUstream stream, void **params, void **extra)) \
    X(stream_create, cuStreamCreate, (CUstream * stream, unsigned flags)) \
    X(stream_destroy, cuStreamDestroy_v2, (CUstream stream)) \
    X(stream_wait, cuStreamSynchronize, (CUstream stream)) \
    X(capture_begin, cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode)) \
    X(capture_end, cuStreamEndCapture, (CUstream stream, CUgraph * graph)) \
    X(graph_instantiate, cuGraphInstantiateWithFlags, \
      (CUgraphExec * executable, CUgraph graph, unsigned long long flags)) \
    X(graph_launch, cuGraphLaunch, (CUgraphExec executable, CUstream stream)) \
    X(graph_destroy, cuGraphDestroy, (CUgraph graph)) \
    X(executable_destroy, cuGraphExecDestroy, (CUgraphExec executable)) \
    X(event_create, cuEventCreate, (CUevent * event, unsigned flags)) \
    X(event_destroy, cuEventDestroy_v2, (CUevent event)) \
    X(event_record, cuEventRecord, (CUevent event, CUstream stream)) \
    X(event_elapsed, cuEventElapsedTime, (float *milliseconds, CUevent from, CUevent to))

typedef struct CudaApi {
#define X(field, symbol, params) CUresult(*field) params;
    CUDA_CALLS(X)
#undef X
} CudaApi;

#endif
