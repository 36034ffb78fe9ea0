/* gpu.h - lathe's kernels on a GPU beside cuBLAS and cuDNN, and whole models.
 *
 * Each product or convolution is a model of one node. It and the library's call run on the same
 * inputs in device memory, on one stream; results are compared before anything is timed. Times are
 * of events around as many calls as take some milliseconds; the contenders take turns, round by
 * round, and the least time of each counts. */
#ifndef LATHE_TESTS_BENCH_GPU_H
#define LATHE_TESTS_BENCH_GPU_H

#include "lathe/runtime.h"
#include "runtime/base/vec.h"
#include "runtime/cuda_api.h"
#include "tools/cli.h"

#define GPU_FOLDER "build/bench-gpu"

typedef struct GpuOptions {
    const char *only, *filter, *json, *libraries, *lathec;
    int64_t rounds, scale, jobs, device;
    double milliseconds;
    CliList models; /* files, besides */
    bool cuda_jit, info;
} GpuOptions;

typedef struct Gpu {
    const CudaApi *api;
    CUdevice device;
    CUstream stream;
    int ordinal, capability, driver; /* 90 for sm_90; 12040 for CUDA 12.4 */
    int processors;
    double hertz;        /* the processors' greatest clock rate */
    double memory_bytes; /* that the memory moves in a second at most */
    char name[96];
} Gpu;

/* A product of [batch, m, k] and [batch, k, n], or a convolution of x [batch, m, m, k] (channels
 * last) with n filters of size x size, padded by size / 2. */
typedef struct GpuCase {
    const char *group;      /* "gemm", or of which model the convolution is */
    lathe_dtype dtype, sum; /* of the operands, and of the result */
    int64_t batch, m, n, k;
    int size, stride;      /* 0: a product */
    int count;             /* how often its model has it; 0: it is a case by itself */
    const char *what;      /* for people: "4096 x 4096 x 4096" */
    const char *precision; /* what operands are rounded to, of lathec's and cuBLAS's; NULL: not */
} GpuCase;
typedef Vec(GpuCase) GpuCaseList;

typedef struct GpuModel {
    const char *name;
    const char *path; /* NULL: build/models/NAME.onnx */
} GpuModel;

/* What was found out about a case or a model. Milliseconds; 0: not known. */
typedef struct GpuKernel {
    const char *name;
    double calls, ms; /* of one run */
} GpuKernel;
typedef struct GpuRow {
    const GpuCase *of; /* or */
    const GpuModel *model;
    double lathe_ms, peer_ms;
    const char *peer;    /* "cuBLAS" */
    const char *trouble; /* why there is no time of lathe's; NULL: there is */
    const char *peer_trouble;
    uint32_t launches;      /* of one run */
    double kernel_ms;       /* the sum of its kernels, one by one */
    double greatest_gap_us; /* between two kernels, launched one by one */
    Vec(GpuKernel) kernels; /* the most expensive first */
} GpuRow;
typedef Vec(GpuRow) GpuRowList;

typedef struct GpuBench {
    const GpuOptions *options;
    Arena *arena;
    Gpu gpu;
    const struct GpuPeers *peers;
    GpuCaseList cases;
    Vec(GpuModel) models;
    GpuRowList rows; /* the cases', then the models' */
} GpuBench;

/* --- cases.c --- */

/* Fills bench->cases and bench->models with what the options choose. */
void gpu_choose(GpuBench *bench);
double gpu_flops(const GpuCase *c);
/* "f16", "tf32" */
const char *gpu_dtype_name(const GpuCase *c);
/* The model of one node, in lathe's text. */
const char *gpu_case_text(Arena *arena, const GpuCase *c);

/* --- device.c --- */

/* Opens the driver and the device, whose context becomes the thread's. NULL, or a sentence. */
const char *gpu_open(Arena *arena, Gpu *gpu, int ordinal);
/* Multiplications and additions that the device does in a second at most; 0: it is not known. */
double gpu_peak(const Gpu *gpu, const char *dtype);
/* Device memory, or a sentence in *trouble. bytes 0 gives NULL. */
void *gpu_alloc(const Gpu *gpu, size_t bytes, const char **trouble);
void gpu_free(const Gpu *gpu, void *memory);
bool gpu_upload(const Gpu *gpu, void *to, const void *from, size_t bytes);
bool gpu_download(const Gpu *gpu, void *to, const void *from, size_t bytes);
/* "an illegal memory access was encountered" */
const char *gpu_error(const Gpu *gpu, CUresult result);

/* --- measure.c --- */

/* What takes turns: `enqueue` puts one call on the stream, and says what went wrong, or NULL. */
typedef struct Contender {
    const char *(*enqueue)(void *self);
    void *self;
    int calls; /* as many take about the wanted time */
    double ms; /* the least of all rounds, of one call */
    const char *trouble;
} Contender;
void gpu_measure(const GpuBench *bench, Contender *contenders, int count);

/* --- lathe.c --- */

typedef struct Tensor {
    lathe_dtype dtype;
    int32_t rank;
    int64_t dims[LATHE_MAX_RANK];
    size_t count, bytes;
    void *host, *device;
} Tensor;

enum { GPU_TENSORS = 8 };
typedef struct LatheRun {
    lathe_model *model;
    lathe_context *context;
    uint32_t input_count;
    Tensor inputs[GPU_TENSORS];
    lathe_tensor output; /* the first one, on the device */
} LatheRun;
/* Compiles all of the bench's cases and models for its device, several at once. */
void gpu_compile(GpuBench *bench);
/* The artifact of row `index`, or NULL and why in *trouble. */
const char *gpu_artifact(const GpuBench *bench, size_t index, const char **trouble);
/* Opens it, makes inputs, and runs once. NULL, or what went wrong. */
const char *gpu_lathe_open(const GpuBench *bench, const char *artifact, LatheRun *run);
const char *gpu_lathe_enqueue(void *run);
void gpu_lathe_close(const GpuBench *bench, LatheRun *run);
/* Sums, launches, gaps and kernels of some runs, one by one, into the row. */
const char *gpu_lathe_profile(const GpuBench *bench, LatheRun *run, GpuRow *row);

/* --- peers.c, cublas.c, cudnn.c --- */

typedef struct GpuPeer {
    const char *name;
    void *library, *handle;
    const char *trouble; /* why it cannot be used; NULL: it can */
    const char *version;
} GpuPeer;
typedef struct GpuPeers {
    GpuPeer blas, dnn;
} GpuPeers;
const GpuPeers *gpu_peers_open(GpuBench *bench);
void gpu_peers_close(const GpuPeers *peers);

/* Of one library: which calls it needs, by name. */
typedef struct GpuCall {
    const char *symbol;
    size_t offset;
} GpuCall;
bool gpu_cublas_open(const GpuBench *bench, GpuPeer *peer);
void gpu_cublas_close(GpuPeer *peer);
bool gpu_cudnn_open(const GpuBench *bench, GpuPeer *peer);
void gpu_cudnn_close(GpuPeer *peer);
/* The address of every call, into table + offset. False: peer->trouble says which is missing. */
bool gpu_find_calls(const GpuBench *bench, GpuPeer *peer, const GpuCall *calls, size_t count,
                    void *table);

/* The case on a library, with lathe's inputs; its result is in `output`. */
typedef struct PeerRun {
    const GpuBench *bench;
    const GpuCase *of;
    const GpuPeer *peer;
    void *x, *w, *output, *workspace;
    bool owns_w;
    size_t output_bytes, workspace_bytes;
    int algorithm;
    void *descriptors[4]; /* of cuDNN: x, filters, y, the convolution */
    char words[160];
} PeerRun;
const char *gpu_peer_open(const GpuBench *bench, const GpuCase *c, const LatheRun *lathe,
                          PeerRun *run);
const char *gpu_peer_enqueue(void *run);
void gpu_peer_close(PeerRun *run);
const char *gpu_cublas_enqueue(PeerRun *run);
const char *gpu_cudnn_prepare(PeerRun *run);
const char *gpu_cudnn_enqueue(PeerRun *run);
void gpu_cudnn_finish(PeerRun *run);

/* --- report.c --- */

/* The device, the libraries, and what is missing. */
void gpu_report_info(const GpuBench *bench, FILE *out);
/* The same and the tables, as Markdown. */
void gpu_report(const GpuBench *bench, FILE *out);
bool gpu_report_json(const GpuBench *bench, FILE *out);

#endif
