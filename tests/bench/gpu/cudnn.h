/* cudnn.h - the part of cuDNN that the benchmark calls, the same in 8 and 9. */
#ifndef LATHE_TESTS_BENCH_GPU_CUDNN_H
#define LATHE_TESTS_BENCH_GPU_CUDNN_H

#include <stddef.h>

#include "runtime/cuda_api.h"

#ifndef CUDNN_H_
typedef void *cudnnHandle_t, *cudnnTensorDescriptor_t, *cudnnFilterDescriptor_t;
typedef void *cudnnConvolutionDescriptor_t;
enum { CUDNN_DATA_FLOAT = 0, CUDNN_DATA_HALF = 2, CUDNN_DATA_BFLOAT16 = 9 };
enum { CUDNN_TENSOR_NHWC = 1, CUDNN_CROSS_CORRELATION = 1 };
enum { CUDNN_TENSOR_OP_MATH = 1, CUDNN_FMA_MATH = 3 };
typedef struct cudnnConvolutionFwdAlgoPerfStruct {
    int algo, status;
    float time;
    size_t memory;
    int determinism, mathType;
    int reserved[3];
} cudnnConvolutionFwdAlgoPerf_t;
#define CUDNN_ENUM(type) int
#else
#define CUDNN_ENUM(type) type
#endif

/* X(field, symbol, parameters); all give a cudnnStatus_t, 0 when they went well. */
#define CUDNN_CALLS(X) \
    X(create, cudnnCreate, (cudnnHandle_t * handle)) \
    X(destroy, cudnnDestroy, (cudnnHandle_t handle)) \
    X(set_stream, cudnnSetStream, (cudnnHandle_t handle, CUstream stream)) \
    X(create_tensor, cudnnCreateTensorDescriptor, (cudnnTensorDescriptor_t * tensor)) \
    X(destroy_tensor, cudnnDestroyTensorDescriptor, (cudnnTensorDescriptor_t tensor)) \
    X(set_tensor, cudnnSetTensor4dDescriptor, \
      (cudnnTensorDescriptor_t tensor, CUDNN_ENUM(cudnnTensorFormat_t) format, \
       CUDNN_ENUM(cudnnDataType_t) type, int batch, int channels, int height, int width)) \
    X(create_filter, cudnnCreateFilterDescriptor, (cudnnFilterDescriptor_t * filter)) \
    X(destroy_filter, cudnnDestroyFilterDescriptor, (cudnnFilterDescriptor_t filter)) \
    X(set_filter, cudnnSetFilter4dDescriptor, \
      (cudnnFilterDescriptor_t filter, CUDNN_ENUM(cudnnDataType_t) type, \
       CUDNN_ENUM(cudnnTensorFormat_t) format, int filters, int channels, int height, int width)) \
    X(create_convolution, cudnnCreateConvolutionDescriptor, \
      (cudnnConvolutionDescriptor_t * convolution)) \
    X(destroy_convolution, cudnnDestroyConvolutionDescriptor, \
      (cudnnConvolutionDescriptor_t convolution)) \
    X(set_convolution, cudnnSetConvolution2dDescriptor, \
      (cudnnConvolutionDescriptor_t convolution, int pad_height, int pad_width, int stride_height, \
       int stride_width, int dilation_height, int dilation_width, \
       CUDNN_ENUM(cudnnConvolutionMode_t) mode, CUDNN_ENUM(cudnnDataType_t) sums)) \
    X(set_math, cudnnSetConvolutionMathType, \
      (cudnnConvolutionDescriptor_t convolution, CUDNN_ENUM(cudnnMathType_t) math)) \
    X(find_algorithms, cudnnFindConvolutionForwardAlgorithm, \
      (cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t w, \
       const cudnnConvolutionDescriptor_t convolution, const cudnnTensorDescriptor_t y, \
       const int wanted, int *found, cudnnConvolutionFwdAlgoPerf_t *results)) \
    X(forward, cudnnConvolutionForward, \
      (cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t x_form, \
       const void *x, const cudnnFilterDescriptor_t w_form, const void *w, \
       const cudnnConvolutionDescriptor_t convolution, \
       CUDNN_ENUM(cudnnConvolutionFwdAlgo_t) algorithm, void *workspace, size_t workspace_bytes, \
       const void *beta, const cudnnTensorDescriptor_t y_form, void *y))

typedef struct CudnnApi {
#define X(field, symbol, params) CUDNN_ENUM(cudnnStatus_t)(*field) params;
    CUDNN_CALLS(X)
#undef X
    size_t (*version)(void);
} CudnnApi;

#endif
