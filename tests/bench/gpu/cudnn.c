/* cudnn.c - convolutions on cuDNN, channels last, sums in f32: the algorithm that it finds to be
 * the fastest of all that it has, with as much memory as that needs. */
#include "tests/bench/gpu/cudnn.h"

#include "tests/bench/gpu/gpu.h"

static CudnnApi api;
static const GpuCall calls[] = {
#define X(field, symbol, params) {#symbol, offsetof(CudnnApi, field)},
    CUDNN_CALLS(X)
#undef X
        {"cudnnGetVersion", offsetof(CudnnApi, version)},
};

enum { X_FORM, FILTERS, Y_FORM, CONVOLUTION, MOST_ALGORITHMS = 16 };

bool gpu_cudnn_open(const GpuBench *bench, GpuPeer *peer) {
    if (!gpu_find_calls(bench, peer, calls, sizeof calls / sizeof *calls, &api) ||
        api.create(&peer->handle) || api.set_stream(peer->handle, bench->gpu.stream))
        return false;
    const int version = (int)api.version(), unit = version < 90000 ? 1000 : 10000;
    peer->version = lt_arena_printf(bench->arena, "cuDNN %d.%d.%d", version / unit,
                                    version % unit / 100, version % 100);
    return true;
}

void gpu_cudnn_close(GpuPeer *peer) { api.destroy(peer->handle); }

static const char *explain(PeerRun *run, const char *what, int status) {
    if (!status)
        return NULL;
    snprintf(run->words, sizeof run->words, "cuDNN says %d of %s", status, what);
    return run->words;
}

static int describe(PeerRun *run) {
    const GpuCase *c = run->of;
    void **d = run->descriptors;
    const int batch = (int)c->batch, m = (int)c->m, pad = c->size / 2;
    const int out = (m + 2 * pad - c->size) / c->stride + 1;
    const int type = c->dtype == LATHE_F16    ? CUDNN_DATA_HALF
                     : c->dtype == LATHE_BF16 ? CUDNN_DATA_BFLOAT16
                                              : CUDNN_DATA_FLOAT;
    int status = api.create_tensor(&d[X_FORM]);
    status = status ? status : api.create_filter(&d[FILTERS]);
    status = status ? status : api.create_tensor(&d[Y_FORM]);
    status = status ? status : api.create_convolution(&d[CONVOLUTION]);
    if (!status)
        status = api.set_tensor(d[X_FORM], CUDNN_TENSOR_NHWC, type, batch, (int)c->k, m, m);
    if (!status)
        status = api.set_filter(d[FILTERS], type, CUDNN_TENSOR_NHWC, (int)c->n, (int)c->k, c->size,
                                c->size);
    if (!status)
        status = api.set_tensor(d[Y_FORM], CUDNN_TENSOR_NHWC, type, batch, (int)c->n, out, out);
    if (!status)
        status = api.set_convolution(d[CONVOLUTION], pad, pad, c->stride, c->stride, 1, 1,
                                     CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
    /* Of floats no tf32: lathe's are not rounded either. */
    if (!status)
        status = api.set_math(d[CONVOLUTION],
                              c->dtype == LATHE_F32 ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH);
    return status;
}

const char *gpu_cudnn_prepare(PeerRun *run) {
    cudnnConvolutionFwdAlgoPerf_t found[MOST_ALGORITHMS];
    void **d = run->descriptors;
    const char *trouble = explain(run, "the convolution's form", describe(run));
    int count = 0;
    if (trouble)
        return trouble;
    const int status = api.find_algorithms(run->peer->handle, d[X_FORM], d[FILTERS], d[CONVOLUTION],
                                           d[Y_FORM], MOST_ALGORITHMS, &count, found);
    if (status || count == 0 || found[0].status)
        return explain(run, "its algorithms", status ? status : -1);
    run->algorithm = found[0].algo;
    run->workspace_bytes = found[0].memory;
    if (api.set_math(d[CONVOLUTION], found[0].mathType))
        return explain(run, "the algorithm's arithmetic", -1);
    run->workspace = gpu_alloc(&run->bench->gpu, run->workspace_bytes, &trouble);
    return trouble;
}

const char *gpu_cudnn_enqueue(PeerRun *run) {
    static const float one = 1, zero = 0;
    void **d = run->descriptors;
    return explain(run, "the convolution",
                   api.forward(run->peer->handle, &one, d[X_FORM], run->x, d[FILTERS], run->w,
                               d[CONVOLUTION], run->algorithm, run->workspace, run->workspace_bytes,
                               &zero, d[Y_FORM], run->output));
}

void gpu_cudnn_finish(PeerRun *run) {
    void **d = run->descriptors;
    if (d[X_FORM])
        api.destroy_tensor(d[X_FORM]);
    if (d[FILTERS])
        api.destroy_filter(d[FILTERS]);
    if (d[Y_FORM])
        api.destroy_tensor(d[Y_FORM]);
    if (d[CONVOLUTION])
        api.destroy_convolution(d[CONVOLUTION]);
}
