/* cudnn.c - stands in for cuDNN in tests: a libcudnn.so.9 whose convolutions run on the CPU, on the
 * streams of the tests' driver, and need a byte of memory besides. */
#include "tests/bench/gpu/cudnn.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/half.h"
#include "tests/cuda/driver.h"

typedef struct Handle {
    CUstream stream;
} Handle;

/* Of any kind. A tensor is batch, channels, height, width; filters are like it. */
typedef struct Form {
    int type, dims[4], pad, stride;
} Form;

typedef struct Convolution {
    Form x, w, y, how;
    const void *x_data, *w_data;
    void *y_data;
} Convolution;

#define X(field, symbol, params) EXPORT int symbol params;
CUDNN_CALLS(X)
#undef X
EXPORT size_t cudnnGetVersion(void);

enum { BAD_PARAM = 2000, NOT_SUPPORTED = 3000, EXECUTION_FAILED = 5000 };

size_t cudnnGetVersion(void) { return 90102; }

static int make(void **out, size_t bytes) {
    *out = calloc(1, bytes);
    return 0;
}
static int drop(void *object) {
    free(object);
    return 0;
}
int cudnnCreate(cudnnHandle_t *handle) { return make(handle, sizeof(Handle)); }
int cudnnDestroy(cudnnHandle_t handle) { return drop(handle); }
int cudnnSetStream(cudnnHandle_t handle, CUstream stream) {
    ((Handle *)handle)->stream = stream;
    return 0;
}
int cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *out) { return make(out, sizeof(Form)); }
int cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t form) { return drop(form); }
int cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *out) { return make(out, sizeof(Form)); }
int cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t form) { return drop(form); }
int cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *out) {
    return make(out, sizeof(Form));
}
int cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t form) { return drop(form); }

int cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t form, int format, int type, int batch,
                               int channels, int height, int width) {
    *(Form *)form = (Form){.type = type, .dims = {batch, channels, height, width}};
    return format == CUDNN_TENSOR_NHWC ? 0 : NOT_SUPPORTED;
}
int cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t form, int type, int format, int filters,
                               int channels, int height, int width) {
    return cudnnSetTensor4dDescriptor(form, format, type, filters, channels, height, width);
}
int cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t form, int pad_height,
                                    int pad_width, int stride_height, int stride_width,
                                    int dilation_height, int dilation_width, int mode, int sums) {
    if (pad_height != pad_width || stride_height != stride_width || dilation_height != 1 ||
        dilation_width != 1 || mode != CUDNN_CROSS_CORRELATION || sums != CUDNN_DATA_FLOAT)
        return NOT_SUPPORTED;
    *(Form *)form = (Form){.pad = pad_height, .stride = stride_height};
    return 0;
}
int cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t form, int math) {
    (void)form;
    return math == CUDNN_FMA_MATH || math == CUDNN_TENSOR_OP_MATH ? 0 : BAD_PARAM;
}

int cudnnFindConvolutionForwardAlgorithm(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
                                         const cudnnFilterDescriptor_t w,
                                         const cudnnConvolutionDescriptor_t convolution,
                                         const cudnnTensorDescriptor_t y, const int wanted,
                                         int *found, cudnnConvolutionFwdAlgoPerf_t *results) {
    (void)handle, (void)x, (void)w, (void)convolution, (void)y;
    *found = wanted > 0;
    results[0] =
        (cudnnConvolutionFwdAlgoPerf_t){.algo = 1, .memory = 1, .mathType = CUDNN_FMA_MATH};
    return 0;
}

/* --- running --- */

static float element(int type, const void *data, long i) {
    const uint16_t half = type == CUDNN_DATA_FLOAT ? 0 : ((const uint16_t *)data)[i];
    return type == CUDNN_DATA_HALF       ? lt_f16_to_f32(half)
           : type == CUDNN_DATA_BFLOAT16 ? lt_bf16_to_f32(half)
                                         : ((const float *)data)[i];
}

/* Channels are last. */
static long place(const Form *f, int n, int c, int h, int w) {
    return (((long)n * f->dims[2] + h) * f->dims[3] + w) * f->dims[1] + c;
}

static double sum_at(const Convolution *c, int n, int filter, int row, int column) {
    double sum = 0;
    for (int i = 0; i < c->w.dims[2]; i++)
        for (int j = 0; j < c->w.dims[3]; j++) {
            const int h = row * c->how.stride + i - c->how.pad;
            const int w = column * c->how.stride + j - c->how.pad;
            const int is_inside = h >= 0 && h < c->x.dims[2] && w >= 0 && w < c->x.dims[3];
            for (int k = 0; k < c->x.dims[1] && is_inside; k++)
                sum += (double)element(c->x.type, c->x_data, place(&c->x, n, k, h, w)) *
                       (double)element(c->w.type, c->w_data, place(&c->w, filter, k, i, j));
        }
    return sum;
}

static void convolve(void *argument) {
    const Convolution *c = argument;
    for (int n = 0; n < c->y.dims[0]; n++)
        for (int filter = 0; filter < c->y.dims[1]; filter++)
            for (int row = 0; row < c->y.dims[2]; row++)
                for (int column = 0; column < c->y.dims[3]; column++) {
                    const float value = (float)sum_at(c, n, filter, row, column);
                    const long at = place(&c->y, n, filter, row, column);
                    if (c->y.type == CUDNN_DATA_FLOAT)
                        ((float *)c->y_data)[at] = value;
                    else
                        ((uint16_t *)c->y_data)[at] = c->y.type == CUDNN_DATA_HALF
                                                          ? lt_f32_to_f16(value)
                                                          : lt_f32_to_bf16(value);
                }
}

int cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha,
                            const cudnnTensorDescriptor_t x_form, const void *x,
                            const cudnnFilterDescriptor_t w_form, const void *w,
                            const cudnnConvolutionDescriptor_t how, int algorithm, void *workspace,
                            size_t workspace_bytes, const void *beta,
                            const cudnnTensorDescriptor_t y_form, void *y) {
    if (*(const float *)alpha != 1 || *(const float *)beta != 0 || algorithm != 1 || !workspace ||
        workspace_bytes < 1)
        return BAD_PARAM;
    Convolution *c = malloc(sizeof *c);
    *c = (Convolution){.x_data = x, .w_data = w, .y_data = y};
    memcpy(&c->x, x_form, sizeof c->x);
    memcpy(&c->w, w_form, sizeof c->w);
    memcpy(&c->y, y_form, sizeof c->y);
    memcpy(&c->how, how, sizeof c->how);
    return fake_call(((Handle *)handle)->stream, convolve, c) ? EXECUTION_FAILED : 0;
}
