/* peers.c - NVIDIA's libraries, opened where they are: nothing of them is needed to build this. */
#include <dlfcn.h>
#include <glob.h>
#include <string.h>

#include "tests/bench/gpu/gpu.h"

/* --- finding --- */

/* Newest first. */
static const char *const versions[] = {"13", "12", "11", "9", "8"};

static void *open_in(Arena *arena, const char *folder, const char *stem) {
    void *library = NULL;
    for (size_t i = 0; i < sizeof versions / sizeof *versions && !library; i++)
        library = dlopen(
            lt_arena_printf(arena, "%s%s%s.so.%s", folder, *folder ? "/" : "", stem, versions[i]),
            RTLD_NOW | RTLD_GLOBAL);
    return library;
}

/* As wheels of NVIDIA's have them, in the environment of `make bench`. */
static void *open_wheel(Arena *arena, const char *stem) {
    glob_t found;
    void *library = NULL;
    if (glob("build/bench-venv/lib/python3*/site-packages/nvidia/*/lib", 0, NULL, &found))
        return NULL;
    for (size_t i = 0; i < found.gl_pathc && !library; i++)
        library = open_in(arena, found.gl_pathv[i], stem);
    globfree(&found);
    return library;
}

static void *open_library(const GpuBench *bench, const char *stem) {
    static const char *const usual[] = {"", "/usr/local/cuda/lib64", "/usr/local/cuda/lib"};
    if (bench->options->libraries)
        return open_in(bench->arena, bench->options->libraries, stem);
    void *library = NULL;
    for (size_t i = 0; i < sizeof usual / sizeof *usual && !library; i++)
        library = open_in(bench->arena, usual[i], stem);
    return library ? library : open_wheel(bench->arena, stem);
}

bool gpu_find_calls(const GpuBench *bench, GpuPeer *peer, const GpuCall *calls, size_t count,
                    void *table) {
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(peer->library, calls[i].symbol);
        if (!address) {
            peer->trouble =
                lt_arena_printf(bench->arena, "%s here has no %s", peer->name, calls[i].symbol);
            return false;
        }
        memcpy((char *)table + calls[i].offset, &address, sizeof address);
    }
    return true;
}

static void open_peer(const GpuBench *bench, GpuPeer *peer, const char *name, const char *before,
                      const char *stem, bool (*open)(const GpuBench *, GpuPeer *)) {
    const char *where = bench->options->libraries
                            ? bench->options->libraries
                            : "/usr/local/cuda, build/bench-venv or where the loader looks";
    *peer = (GpuPeer){.name = name};
    if (before)
        open_library(bench, before); /* needed by the other, and perhaps not found by it */
    peer->library = open_library(bench, stem);
    if (!peer->library)
        peer->trouble = lt_arena_printf(bench->arena, "%s is not here: there is no %s.so.N in %s",
                                        name, stem, where);
    else if (!open(bench, peer) && !peer->trouble)
        peer->trouble = lt_arena_printf(bench->arena, "%s does not start", name);
}

const GpuPeers *gpu_peers_open(GpuBench *bench) {
    GpuPeers *peers = LT_NEW(bench->arena, GpuPeers);
    open_peer(bench, &peers->blas, "cuBLAS", "libcublasLt", "libcublas", gpu_cublas_open);
    open_peer(bench, &peers->dnn, "cuDNN", NULL, "libcudnn", gpu_cudnn_open);
    return peers;
}

void gpu_peers_close(const GpuPeers *peers) {
    GpuPeers copy = *peers;
    if (!copy.blas.trouble)
        gpu_cublas_close(&copy.blas);
    if (!copy.dnn.trouble)
        gpu_cudnn_close(&copy.dnn);
}

/* --- cases --- */

/* lathe has filters as [size, size, channels, filters], cuDNN as [filters, size, size, channels].
 */
static const char *turn_filters(PeerRun *run, const Tensor *w) {
    const GpuBench *bench = run->bench;
    const size_t size = lathe_dtype_size(w->dtype), filters = (size_t)run->of->n;
    const size_t taps = w->count / filters;
    const char *trouble = NULL;
    char *turned = lt_arena_alloc(bench->arena, w->bytes);
    for (size_t f = 0; f < filters; f++)
        for (size_t tap = 0; tap < taps; tap++)
            memcpy(turned + (f * taps + tap) * size,
                   (const char *)w->host + (tap * filters + f) * size, size);
    run->w = gpu_alloc(&bench->gpu, w->bytes, &trouble);
    run->owns_w = run->w != NULL;
    if (!trouble && !gpu_upload(&bench->gpu, run->w, turned, w->bytes))
        trouble = "the filters do not reach the GPU";
    lt_arena_release(bench->arena, turned);
    return trouble;
}

const char *gpu_peer_open(const GpuBench *bench, const GpuCase *c, const LatheRun *lathe,
                          PeerRun *run) {
    const GpuPeer *peer = c->size ? &bench->peers->dnn : &bench->peers->blas;
    const char *trouble = peer->trouble;
    *run = (PeerRun){.bench = bench,
                     .of = c,
                     .peer = peer,
                     .x = lathe->inputs[0].device,
                     .w = lathe->inputs[1].device};
    run->output_bytes = lathe_dtype_size(c->sum);
    for (int32_t i = 0; i < lathe->output.rank; i++)
        run->output_bytes *= (size_t)lathe->output.dims[i];
    if (!trouble)
        run->output = gpu_alloc(&bench->gpu, run->output_bytes, &trouble);
    if (!trouble && c->size)
        trouble = turn_filters(run, &lathe->inputs[1]);
    if (!trouble && c->size)
        trouble = gpu_cudnn_prepare(run);
    return trouble;
}

const char *gpu_peer_enqueue(void *opaque) {
    PeerRun *run = opaque;
    return run->of->size ? gpu_cudnn_enqueue(run) : gpu_cublas_enqueue(run);
}

void gpu_peer_close(PeerRun *run) {
    const Gpu *gpu = &run->bench->gpu;
    if (!run->peer->trouble && run->of->size)
        gpu_cudnn_finish(run);
    gpu_free(gpu, run->output);
    gpu_free(gpu, run->workspace);
    if (run->owns_w)
        gpu_free(gpu, run->w);
}
