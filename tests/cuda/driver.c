/* driver.c - the calls of the tests' driver: a libcuda.so.1 that runs kernels on the CPU. See
 * driver.h. With -DOLD it has no graphs, as drivers before CUDA 10 had none. */
#include "tests/cuda/driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct CUctx_st {
    int references;
};
struct CUmod_st {
    void *code;
    struct CUfunc_st *functions[256];
    int function_count;
};

static struct CUctx_st primary;
static struct CUstream_st default_stream, *streams = &default_stream;
static _Thread_local int depth; /* contexts that were pushed */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static long setting(const char *name, long usual) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : usual;
}

/* --- failing on demand, the log --- */

static CUresult wanted_failure(const char *name) {
    static char seen[128];
    static int left;
    const char *text = getenv("FAKE_CUDA_FAIL");
    char call[64];
    int number = 0, code = 0;
    if (!text || sscanf(text, "%63[^:]:%d:%d", call, &number, &code) != 3) {
        seen[0] = '\0';
        return CUDA_SUCCESS;
    }
    if (strcmp(seen, text) != 0) {
        snprintf(seen, sizeof seen, "%s", text);
        left = number;
    }
    if (strcmp(call, name) != 0)
        return CUDA_SUCCESS;
    return number == 0 || --left == 0 ? (CUresult)code : CUDA_SUCCESS;
}

/* Threads take turns. */
static pthread_mutex_t *take_turn(void) {
    pthread_mutex_lock(&lock);
    return &lock;
}
static void end_turn(pthread_mutex_t *const *held) { pthread_mutex_unlock(*held); }

/* Every call begins with it. */
static CUresult begin(const char *name, bool needs_context) {
    const char *path = getenv("FAKE_CUDA_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s\n", name);
        fclose(file);
    }
    const CUresult wanted = wanted_failure(name);
    return wanted ? wanted : needs_context && depth == 0 ? INVALID_CONTEXT : fake_failure();
}

#define BEGIN(needs_context) \
    pthread_mutex_t *const held __attribute__((cleanup(end_turn))) = take_turn(); \
    const CUresult refused = held ? begin(__func__, needs_context) : INVALID_VALUE; \
    if (refused) \
    return refused

/* Calls as cuda_api.h declares them. */
#define X(field, symbol, params) EXPORT CUresult symbol params;
CUDA_CALLS(X)
#undef X

CUresult cuInit(unsigned flags) {
    BEGIN(false);
    return flags ? INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    *version = (int)setting("FAKE_CUDA_VERSION", 12040);
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **text) {
    *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY"
            : error == ILLEGAL_ADDRESS        ? "CUDA_ERROR_ILLEGAL_ADDRESS"
            : error == INVALID_CONTEXT        ? "CUDA_ERROR_INVALID_CONTEXT"
                                              : NULL;
    return *text ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory"
            : error == ILLEGAL_ADDRESS        ? "an illegal memory access was encountered"
                                              : NULL;
    return *text ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuDeviceGetCount(int *count) {
    BEGIN(false);
    *count = (int)setting("FAKE_CUDA_DEVICES", 1);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    BEGIN(false);
    *device = 7 + ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
    BEGIN(false);
    snprintf(name, (size_t)size, "Fake %d", device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    BEGIN(false);
    const int sm = (int)setting("FAKE_CUDA_SM", 80);
    (void)device;
    switch ((int)attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = sm / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = sm % 10; break;
    case 13: *value = 1000000; break; /* kHz, of 10 processors */
    case 16: *value = 10; break;
    case 36: *value = 2000000; break; /* kHz, of memory that is 512 bits wide */
    case 37: *value = 512; break;
    default: return INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    BEGIN(false);
    primary.references++;
    *context = &primary;
    return device >= 7 ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    BEGIN(false);
    return device >= 7 && primary.references-- > 0 ? CUDA_SUCCESS : INVALID_CONTEXT;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    depth++;
    return context == &primary ? CUDA_SUCCESS : INVALID_CONTEXT;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    *context = &primary;
    return depth-- > 0 ? CUDA_SUCCESS : INVALID_CONTEXT;
}

/* --- memory --- */

enum { MOST_BLOCKS = 4096, GRAIN = 4096 };

typedef struct Block {
    char *begin;
    size_t bytes;
} Block;

static char *device_memory;
static size_t device_bytes;
static Block blocks[MOST_BLOCKS], pinned[MOST_BLOCKS]; /* blocks: by address */
static int block_count, pinned_count;

void fake_open_memory(bool is_open) {
    if (device_memory)
        mprotect(device_memory, device_bytes, is_open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

static size_t used_bytes(void) {
    size_t used = 0;
    for (int i = 0; i < block_count; i++)
        used += blocks[i].bytes;
    return used;
}

CUresult cuMemGetInfo_v2(size_t *left, size_t *total) {
    BEGIN(true);
    *total = (size_t)setting("FAKE_CUDA_MB", 256) << 20;
    *left = *total - used_bytes();
    return CUDA_SUCCESS;
}

/* The first gap that is large enough. What is there is not zero. */
CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    BEGIN(true);
    const size_t rounded = (bytes + GRAIN - 1) / GRAIN * GRAIN;
    if (bytes == 0 || block_count == MOST_BLOCKS)
        return INVALID_VALUE;
    if (!device_memory) {
        device_bytes = (size_t)setting("FAKE_CUDA_MB", 256) << 20;
        device_memory =
            mmap(NULL, device_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    int at = 0;
    char *begin_at = device_memory;
    while (at < block_count && (size_t)(blocks[at].begin - begin_at) < rounded) {
        begin_at = blocks[at].begin + blocks[at].bytes;
        at++;
    }
    if ((size_t)(device_memory + device_bytes - begin_at) < rounded)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memmove(&blocks[at + 1], &blocks[at], (size_t)(block_count++ - at) * sizeof *blocks);
    blocks[at] = (Block){begin_at, rounded};
    fake_open_memory(true);
    memset(begin_at, 0xff, rounded);
    fake_open_memory(false);
    *address = (CUdeviceptr)(uintptr_t)begin_at;
    return CUDA_SUCCESS;
}

static CUresult finish_all(void) {
    CUresult result = CUDA_SUCCESS;
    for (struct CUstream_st *s = streams; s; s = s->next)
        if (!s->is_capturing && !result)
            result = fake_finish(&s->work);
    return result;
}

CUresult cuMemFree_v2(CUdeviceptr address) {
    BEGIN(true);
    finish_all();
    for (int i = 0; i < block_count; i++) {
        if ((CUdeviceptr)(uintptr_t)blocks[i].begin != address)
            continue;
        memmove(&blocks[i], &blocks[i + 1], (size_t)(--block_count - i) * sizeof *blocks);
        return CUDA_SUCCESS;
    }
    return INVALID_VALUE;
}

CUresult cuMemAllocHost_v2(void **address, size_t bytes) {
    BEGIN(true);
    if (bytes == 0 || pinned_count == MOST_BLOCKS)
        return INVALID_VALUE;
    *address = aligned_alloc(GRAIN, (bytes + GRAIN - 1) / GRAIN * GRAIN);
    pinned[pinned_count++] = (Block){*address, bytes};
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *address) {
    BEGIN(true);
    finish_all();
    for (int i = 0; i < pinned_count; i++) {
        if (pinned[i].begin != address)
            continue;
        pinned[i] = pinned[--pinned_count];
        free(address);
        return CUDA_SUCCESS;
    }
    return INVALID_VALUE;
}

static bool holds(const Block *list, int count, const void *at, size_t bytes) {
    for (int i = 0; i < count; i++)
        if ((const char *)at >= list[i].begin &&
            (const char *)at + bytes <= list[i].begin + list[i].bytes)
            return true;
    return false;
}

static bool is_on_device(CUdeviceptr at, size_t bytes) {
    return holds(blocks, block_count, (const void *)(uintptr_t)at, bytes);
}

/* --- modules --- */

/* "FAKEIMAGE sm_75 compute_80 12345\n" and the shared object. */
static CUresult check_codes(const char *line, size_t *size) {
    char copy[256], *save, *word;
    const int sm = (int)setting("FAKE_CUDA_SM", 80);
    bool fits = false, needs_compiler = false;
    snprintf(copy, sizeof copy, "%.*s", (int)strcspn(line, "\n"), line);
    word = strtok_r(copy, " ", &save);
    for (word = strtok_r(NULL, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        const bool is_code = strncmp(word, "sm_", 3) == 0;
        const bool is_ptx = strncmp(word, "compute_", 8) == 0;
        const int of = atoi(word + (is_code ? 3 : is_ptx ? 8 : 0));
        fits |= is_code && of / 10 == sm / 10 && of <= sm;
        needs_compiler |= is_ptx && of <= sm;
        *size = (size_t)of;
    }
    if (fits)
        return CUDA_SUCCESS;
    if (!needs_compiler)
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    return setting("FAKE_CUDA_VERSION", 12040) < 12000 ? CUDA_ERROR_UNSUPPORTED_PTX_VERSION
                                                       : CUDA_SUCCESS;
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                            CUjit_option *options, void **values) {
    BEGIN(true);
    size_t size = 0;
    char path[64];
    (void)count, (void)options, (void)values;
    if (memcmp(image, "FAKEIMAGE ", 10) != 0)
        return INVALID_VALUE;
    const CUresult result = check_codes(image, &size);
    if (result)
        return result;
    const char *code = strchr(image, '\n') + 1;
    const int fd = memfd_create("image", MFD_CLOEXEC);
    if (write(fd, code, size) != (ssize_t)size)
        return INVALID_VALUE;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    *module = calloc(1, sizeof **module);
    (*module)->code = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return (*module)->code ? CUDA_SUCCESS : INVALID_VALUE;
}

CUresult cuModuleUnload(CUmodule module) {
    BEGIN(true);
    for (int i = 0; i < module->function_count; i++)
        free(module->functions[i]);
    dlclose(module->code);
    free(module);
    return CUDA_SUCCESS;
}

static void *find(CUmodule module, const char *prefix, const char *name) {
    char symbol[256];
    snprintf(symbol, sizeof symbol, "%s%s", prefix, name);
    return dlsym(module->code, symbol);
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    BEGIN(true);
    void *run = find(module, "fake_run_", name), *sizes = find(module, "fake_sizes_", name);
    void *error = find(module, "emulate_error", "");
    const unsigned *(*ask)(unsigned *);
    if (!run || !sizes || !error || module->function_count == 256)
        return NOT_FOUND;
    struct CUfunc_st *f = calloc(1, sizeof *f);
    snprintf(f->name, sizeof f->name, "%s", name);
    f->shared_limit = 49152;
    memcpy(&f->run, &run, sizeof run);
    memcpy(&f->error, &error, sizeof error);
    memcpy(&ask, &sizes, sizeof sizes);
    f->sizes = ask(&f->count);
    *function = module->functions[module->function_count++] = f;
    return CUDA_SUCCESS;
}

/* No more than such a GPU has for a block. */
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
    BEGIN(true);
    const long sm = setting("FAKE_CUDA_SM", 80);
    const int most = sm < 80 ? 65536 : sm == 80 ? 166912 : sm < 90 ? 101376 : 232448;
    if (!function || attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value > most)
        return INVALID_VALUE;
    function->shared_limit = value;
    return CUDA_SUCCESS;
}

/* --- work --- */

static CUstream named(CUstream stream) { return stream ? stream : &default_stream; }

static CUresult queue(CUstream stream, Work work) {
    fake_push(&named(stream)->work, work);
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned blocks_x, unsigned blocks_y,
                        unsigned blocks_z, unsigned threads_x, unsigned threads_y,
                        unsigned threads_z, unsigned shared_bytes, CUstream stream, void **params,
                        void **extra) {
    BEGIN(true);
    Work work = {.kind = WORK_LAUNCH,
                 .function = function,
                 .blocks = blocks_x,
                 .threads = (int)threads_x,
                 .shared = (int)shared_bytes};
    if (!function || extra || work.shared > function->shared_limit || blocks_x == 0 ||
        threads_x == 0 || threads_x > 1024 || blocks_y != 1 || blocks_z != 1 || threads_y != 1 ||
        threads_z != 1)
        return INVALID_VALUE;
    work.args = calloc(function->count + 1, 8);
    for (unsigned i = 0; i < function->count; i++)
        memcpy(work.args + 8 * i, params[i], function->sizes[i]);
    return queue(stream, work);
}

CUresult fake_call(CUstream stream, void (*run)(void *), void *argument) {
    BEGIN(true);
    if (named(stream)->is_capturing)
        return CAPTURE_INVALIDATED;
    return queue(stream, (Work){.kind = WORK_CALL, .call = run, .args = argument});
}

static CUresult queue_copy(CUstream stream, void *to, const void *from, size_t bytes) {
    return queue(stream, (Work){.kind = WORK_COPY, .to = to, .from = from, .bytes = bytes});
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
    BEGIN(true);
    if (!is_on_device(to, bytes))
        return INVALID_VALUE;
    const CUresult result = finish_all();
    fake_open_memory(true);
    memcpy((void *)(uintptr_t)to, from, bytes);
    fake_open_memory(false);
    return result;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    BEGIN(true);
    if (!is_on_device(to, bytes) || !holds(pinned, pinned_count, from, bytes))
        return INVALID_VALUE;
    return queue_copy(stream, (void *)(uintptr_t)to, from, bytes);
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    BEGIN(true);
    if (!is_on_device(from, bytes) || !holds(pinned, pinned_count, to, bytes))
        return INVALID_VALUE;
    return queue_copy(stream, to, (void *)(uintptr_t)from, bytes);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    BEGIN(true);
    if (!is_on_device(to, bytes) || !is_on_device(from, bytes))
        return INVALID_VALUE;
    return queue_copy(stream, (void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes);
}

/* --- streams and events --- */

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    BEGIN(true);
    (void)flags;
    *stream = calloc(1, sizeof **stream);
    (*stream)->next = streams;
    streams = *stream;
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    BEGIN(true);
    struct CUstream_st **at = &streams;
    while (*at && *at != stream)
        at = &(*at)->next;
    if (!*at || !stream || stream == &default_stream)
        return INVALID_VALUE;
    *at = stream->next;
    fake_free(&stream->work);
    free(stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
    BEGIN(true);
    return named(stream)->is_capturing ? CAPTURE_INVALIDATED : fake_finish(&named(stream)->work);
}

CUresult cuEventCreate(CUevent *event, unsigned flags) {
    BEGIN(true);
    (void)flags;
    *event = calloc(1, sizeof **event);
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
    BEGIN(true);
    free(event);
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    BEGIN(true);
    event->is_done = false;
    return queue(stream, (Work){.kind = WORK_EVENT, .event = event});
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to) {
    BEGIN(true);
    if (!from->is_done || !to->is_done)
        return NOT_READY;
    *milliseconds = (float)((double)(int64_t)(to->ns - from->ns) / 1e6);
    return CUDA_SUCCESS;
}

/* --- graphs --- */

#ifndef OLD
CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
    BEGIN(true);
    if (stream->is_capturing || stream->work.count || mode > 2)
        return INVALID_VALUE;
    stream->is_capturing = true;
    return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    BEGIN(true);
    if (!stream->is_capturing)
        return INVALID_VALUE;
    stream->is_capturing = false;
    *graph = calloc(1, sizeof **graph);
    (*graph)->work = stream->work;
    stream->work = (WorkList){0};
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                     unsigned long long flags) {
    BEGIN(true);
    *executable = calloc(1, sizeof **executable);
    (*executable)->work = fake_copy(&graph->work);
    return flags ? INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    BEGIN(true);
    WorkList copy = fake_copy(&executable->work);
    for (size_t i = 0; i < copy.count; i++)
        queue(stream, copy.items[i]);
    free(copy.items);
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
    BEGIN(true);
    fake_free(&graph->work);
    free(graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec executable) {
    BEGIN(true);
    fake_free(&executable->work);
    free(executable);
    return CUDA_SUCCESS;
}
#endif
