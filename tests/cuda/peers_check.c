/* peers_check.c - compiles where tests/bench/gpu/cublas.h and cudnn.h declare every call as
 * NVIDIA's headers do, and the numbers that they give names are the same there. */
#define SAME(name, number) _Static_assert((int)(name) == (number), #name)
#include <cublas_v2.h>
#include <cudnn.h>

SAME(CUBLAS_OP_N, 0);
SAME(CUBLAS_COMPUTE_32F, 68);
SAME(CUBLAS_COMPUTE_32I, 72);
SAME(CUBLAS_COMPUTE_32F_FAST_TF32, 77);
SAME(CUBLAS_GEMM_DEFAULT, -1);
SAME(CUDA_R_32F, 0);
SAME(CUDA_R_16F, 2);
SAME(CUDA_R_8I, 3);
SAME(CUDA_R_32I, 10);
SAME(CUDA_R_16BF, 14);
SAME(CUDNN_DATA_FLOAT, 0);
SAME(CUDNN_DATA_HALF, 2);
SAME(CUDNN_DATA_BFLOAT16, 9);
SAME(CUDNN_TENSOR_NHWC, 1);
SAME(CUDNN_CROSS_CORRELATION, 1);
SAME(CUDNN_TENSOR_OP_MATH, 1);
SAME(CUDNN_FMA_MATH, 3);
SAME(sizeof(cudnnConvolutionFwdAlgoPerf_t), 48);
SAME(offsetof(cudnnConvolutionFwdAlgoPerf_t, memory), 16);
SAME(offsetof(cudnnConvolutionFwdAlgoPerf_t, mathType), 28);

#include "tests/bench/gpu/cublas.h"
#include "tests/bench/gpu/cudnn.h"

/* A call that is declared otherwise has another type. */
void assign(CublasApi *blas, CudnnApi *dnn);
void assign(CublasApi *blas, CudnnApi *dnn) {
#define X(field, symbol, params) blas->field = symbol;
    CUBLAS_CALLS(X)
#undef X
#define X(field, symbol, params) dnn->field = symbol;
    CUDNN_CALLS(X)
#undef X
    dnn->version = cudnnGetVersion;
}
