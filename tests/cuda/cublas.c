/* cublas.c - stands in for cuBLAS in tests: a libcublas.so.12 whose products run on the CPU, on the
 * streams of the tests' driver. FAKE_CUBLAS_FAIL=14: what every product gives. FAKE_CUBLAS_WRONG=1:
 * its results are off. */
#include "tests/bench/gpu/cublas.h"

#include <stdlib.h>

#include "runtime/base/half.h"
#include "tests/cuda/driver.h"

typedef struct Handle {
    CUstream stream;
} Handle;

/* Of matrices that lie column by column. */
typedef struct Product {
    int m, n, k, a_row, b_row, c_row, count, type;
    long long a_matrix, b_matrix, c_matrix;
    const void *a, *b;
    void *c;
} Product;

#define X(field, symbol, params) EXPORT int symbol params;
CUBLAS_CALLS(X)
#undef X

int cublasCreate_v2(cublasHandle_t *handle) {
    *handle = calloc(1, sizeof(Handle));
    return *handle ? 0 : 3;
}
int cublasDestroy_v2(cublasHandle_t handle) {
    free(handle);
    return 0;
}
int cublasGetVersion_v2(cublasHandle_t handle, int *version) {
    (void)handle;
    *version = 120304;
    return 0;
}
int cublasSetStream_v2(cublasHandle_t handle, CUstream stream) {
    ((Handle *)handle)->stream = stream;
    return 0;
}

static float element(const Product *p, const void *data, long long i) {
    if (p->type == CUDA_R_8I)
        return ((const int8_t *)data)[i];
    const uint16_t half = p->type == CUDA_R_32F ? 0 : ((const uint16_t *)data)[i];
    return p->type == CUDA_R_16F    ? lt_f16_to_f32(half)
           : p->type == CUDA_R_16BF ? lt_bf16_to_f32(half)
                                    : ((const float *)data)[i];
}

static void put(const Product *p, long long i, float value) {
    if (p->type == CUDA_R_32F)
        ((float *)p->c)[i] = value;
    else if (p->type == CUDA_R_8I)
        ((int32_t *)p->c)[i] = (int32_t)value;
    else
        ((uint16_t *)p->c)[i] =
            p->type == CUDA_R_16F ? lt_f32_to_f16(value) : lt_f32_to_bf16(value);
}

static void multiply(void *argument) {
    const Product *p = argument;
    const float off = getenv("FAKE_CUBLAS_WRONG") ? 1000 : 0;
    for (int matrix = 0; matrix < p->count; matrix++)
        for (int j = 0; j < p->n; j++)
            for (int i = 0; i < p->m; i++) {
                double sum = (double)off;
                for (int k = 0; k < p->k; k++)
                    sum += (double)element(p, p->a, matrix * p->a_matrix + k * p->a_row + i) *
                           (double)element(p, p->b, matrix * p->b_matrix + j * p->b_row + k);
                put(p, matrix * p->c_matrix + j * p->c_row + i, (float)sum);
            }
}

int cublasGemmStridedBatchedEx(cublasHandle_t handle, int turn_a, int turn_b, int m, int n, int k,
                               const void *alpha, const void *a, int a_type, int a_row,
                               long long a_matrix, const void *b, int b_type, int b_row,
                               long long b_matrix, const void *beta, void *c, int c_type, int c_row,
                               long long c_matrix, int count, int compute, int algorithm) {
    const char *fails = getenv("FAKE_CUBLAS_FAIL");
    if (fails)
        return atoi(fails);
    const bool is_int = a_type == CUDA_R_8I;
    const bool has_factors = is_int ? *(const int32_t *)alpha == 1 && *(const int32_t *)beta == 0
                                    : *(const float *)alpha == 1 && *(const float *)beta == 0;
    const bool has_sums =
        is_int ? compute == CUBLAS_COMPUTE_32I && c_type == CUDA_R_32I
               : (compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_FAST_TF32) &&
                     c_type == a_type;
    if (turn_a || turn_b || a_type != b_type || a_row < m || b_row < k || c_row < m ||
        algorithm != CUBLAS_GEMM_DEFAULT || !has_factors || !has_sums)
        return 7;
    Product *p = malloc(sizeof *p);
    *p = (Product){m,      n,        k,        a_row,    b_row, c_row, count,
                   a_type, a_matrix, b_matrix, c_matrix, a,     b,     c};
    return fake_call(((Handle *)handle)->stream, multiply, p) ? 13 : 0;
}
