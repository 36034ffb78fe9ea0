/* cublas.h - the part of cuBLAS that the benchmark calls. */
#ifndef LATHE_TESTS_BENCH_GPU_CUBLAS_H
#define LATHE_TESTS_BENCH_GPU_CUBLAS_H

#include "runtime/cuda_api.h"

#ifndef CUBLAS_API_H_
typedef void *cublasHandle_t;
enum { CUBLAS_OP_N = 0 };
enum { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32I = 72, CUBLAS_COMPUTE_32F_FAST_TF32 = 77 };
enum { CUBLAS_GEMM_DEFAULT = -1 };
enum { CUDA_R_32F = 0, CUDA_R_16F = 2, CUDA_R_8I = 3, CUDA_R_32I = 10, CUDA_R_16BF = 14 };
#define CUBLAS_ENUM(type) int
#else
#define CUBLAS_ENUM(type) type
#endif

/* X(field, symbol, parameters); all give a cublasStatus_t, 0 when they went well. */
#define CUBLAS_CALLS(X) \
    X(create, cublasCreate_v2, (cublasHandle_t * handle)) \
    X(destroy, cublasDestroy_v2, (cublasHandle_t handle)) \
    X(version, cublasGetVersion_v2, (cublasHandle_t handle, int *version)) \
    X(set_stream, cublasSetStream_v2, (cublasHandle_t handle, CUstream stream)) \
    X(gemm, cublasGemmStridedBatchedEx, \
      (cublasHandle_t handle, CUBLAS_ENUM(cublasOperation_t) turn_a, \
       CUBLAS_ENUM(cublasOperation_t) turn_b, int m, int n, int k, const void *alpha, \
       const void *a, CUBLAS_ENUM(cudaDataType) a_type, int a_row, long long a_matrix, \
       const void *b, CUBLAS_ENUM(cudaDataType) b_type, int b_row, long long b_matrix, \
       const void *beta, void *c, CUBLAS_ENUM(cudaDataType) c_type, int c_row, long long c_matrix, \
       int count, CUBLAS_ENUM(cublasComputeType_t) compute, \
       CUBLAS_ENUM(cublasGemmAlgo_t) algorithm))

typedef struct CublasApi {
#define X(field, symbol, params) CUBLAS_ENUM(cublasStatus_t)(*field) params;
    CUBLAS_CALLS(X)
#undef X
} CublasApi;

#endif
