/* cublas.c - products on cuBLAS: sums in f32, but of integers, and floats as they are, unless the
 * case asks for tf32. tests/cuda/peers_check.c compares the declarations with NVIDIA's headers. */
#include "tests/bench/gpu/cublas.h"

#include "tests/bench/gpu/gpu.h"

static CublasApi api;
static const GpuCall calls[] = {
#define X(field, symbol, params) {#symbol, offsetof(CublasApi, field)},
    CUBLAS_CALLS(X)
#undef X
};

bool gpu_cublas_open(const GpuBench *bench, GpuPeer *peer) {
    int version = 0;
    if (!gpu_find_calls(bench, peer, calls, sizeof calls / sizeof *calls, &api) ||
        api.create(&peer->handle) || api.set_stream(peer->handle, bench->gpu.stream) ||
        api.version(peer->handle, &version))
        return false;
    /* 130001 is 13.0.1, and 11401 is 11.4.1. */
    const int unit = version < 100000 ? 1000 : 10000;
    peer->version = lt_arena_printf(bench->arena, "cuBLAS %d.%d.%d", version / unit,
                                    version % unit / 100, version % 100);
    return true;
}

void gpu_cublas_close(GpuPeer *peer) { api.destroy(peer->handle); }

static int data_type(lathe_dtype dtype) {
    switch (dtype) {
    case LATHE_F16: return CUDA_R_16F;
    case LATHE_BF16: return CUDA_R_16BF;
    case LATHE_I8: return CUDA_R_8I;
    case LATHE_I32: return CUDA_R_32I;
    default: return CUDA_R_32F;
    }
}

/* cuBLAS's matrices lie the other way round: what it is asked for is w x, both as they are. */
const char *gpu_cublas_enqueue(PeerRun *run) {
    const GpuCase *c = run->of;
    static const float one = 1, zero = 0;
    static const int32_t int_one = 1, int_zero = 0;
    const bool is_int = c->sum == LATHE_I32;
    const void *alpha = is_int ? (const void *)&int_one : &one;
    const void *beta = is_int ? (const void *)&int_zero : &zero;
    const int m = (int)c->m, n = (int)c->n, k = (int)c->k, type = data_type(c->dtype);
    const int compute = is_int         ? CUBLAS_COMPUTE_32I
                        : c->precision ? CUBLAS_COMPUTE_32F_FAST_TF32
                                       : CUBLAS_COMPUTE_32F;
    const int status = api.gemm(run->peer->handle, CUBLAS_OP_N, CUBLAS_OP_N, n, m, k, alpha, run->w,
                                type, n, (long long)k * n, run->x, type, k, (long long)m * k, beta,
                                run->output, data_type(c->sum), n, (long long)m * n, (int)c->batch,
                                compute, CUBLAS_GEMM_DEFAULT);
    if (!status)
        return NULL;
    snprintf(run->words, sizeof run->words, "cuBLAS says %d", status);
    return run->words;
}
