/* device_cuda_jit.c - CUDA-C compiled when a model is loaded, by NVRTC.
 *
 * NVRTC is opened when it is needed, and never for what is in the cache: there, a file's name says
 * the text, the device and the version of lathe, and its end the hash of what it holds. A cache
 * that cannot be read or written changes nothing but the time. */
#include <dlfcn.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/map.h"
#include "runtime/device_cuda.h"

/* --- the cache --- */

/* $XDG_CACHE_HOME/lathe, or ~/.cache/lathe; made where it is not there. */
static bool cache_folder(char folder[PATH_MAX]) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length;
    if (cache && *cache == '/')
        length = snprintf(folder, PATH_MAX, "%s/lathe", cache);
    else if (home && *home == '/')
        length = snprintf(folder, PATH_MAX, "%s/.cache/lathe", home);
    else
        return false;
    if (length >= PATH_MAX - 64)
        return false;
    for (char *at = strchr(folder + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(folder, 0700);
        *at = '/';
    }
    mkdir(folder, 0700);
    return true;
}

static bool cache_path(const char *text, int capability, char path[PATH_MAX]) {
    const size_t size = strlen(text);
    if (!cache_folder(path))
        return false;
    const size_t used = strlen(path);
    snprintf(path + used, PATH_MAX - used, "/%016" PRIx64 "%016" PRIx64 "-%s-sm_%d.image",
             (uint64_t)lt_hash_bytes(text, size, 1), (uint64_t)lt_hash_bytes(text, size, 2),
             LATHE_VERSION, capability);
    return true;
}

static bool read_cache(const char *path, Buffer *image) {
    MappedFile file;
    char reason[128];
    uint64_t hash;
    if (!lt_file_map(&file, path, reason, sizeof reason))
        return false;
    bool is_good = file.size > sizeof hash;
    const size_t size = is_good ? file.size - sizeof hash : 0;
    if (is_good)
        memcpy(&hash, file.data + size, sizeof hash);
    is_good = is_good && lt_hash_bytes(file.data, size, 0) == hash;
    image->data = is_good ? malloc(size) : NULL;
    image->size = size;
    if (image->data)
        memcpy(image->data, file.data, size);
    lt_file_unmap(&file);
    return image->data != NULL;
}

static void write_cache(const char *path, const Buffer *image) {
    OutputFile out;
    const uint64_t hash = lt_hash_bytes(image->data, image->size, 0);
    if (!lt_output_open(&out, path))
        return;
    lt_output_write(&out, image->data, image->size);
    lt_output_write(&out, &hash, sizeof hash);
    lt_output_commit(&out, 0600);
}

/* --- NVRTC --- */

typedef struct Program *NvrtcProgram;

/* X(field, symbol, parameters) */
#define NVRTC_CALLS(X) \
    X(error_text, nvrtcGetErrorString, const char *, (int result)) \
    X(arch_count, nvrtcGetNumSupportedArchs, int, (int *count)) \
    X(archs, nvrtcGetSupportedArchs, int, (int *archs)) \
    X(create, nvrtcCreateProgram, int, \
      (NvrtcProgram * program, const char *text, const char *name, int header_count, \
       const char *const *headers, const char *const *names)) \
    X(compile, nvrtcCompileProgram, int, \
      (NvrtcProgram program, int count, const char *const *options)) \
    X(log_size, nvrtcGetProgramLogSize, int, (NvrtcProgram program, size_t * size)) \
    X(log, nvrtcGetProgramLog, int, (NvrtcProgram program, char *log)) \
    X(cubin_size, nvrtcGetCUBINSize, int, (NvrtcProgram program, size_t * size)) \
    X(cubin, nvrtcGetCUBIN, int, (NvrtcProgram program, char *image)) \
    X(ptx_size, nvrtcGetPTXSize, int, (NvrtcProgram program, size_t * size)) \
    X(ptx, nvrtcGetPTX, int, (NvrtcProgram program, char *image)) \
    X(destroy, nvrtcDestroyProgram, int, (NvrtcProgram * program))

typedef struct Nvrtc {
    void *library;
#define X(field, symbol, type, params) type(*field) params;
    NVRTC_CALLS(X)
#undef X
} Nvrtc;

static const struct {
    const char *symbol;
    size_t offset;
} calls[] = {
#define X(field, symbol, type, params) {#symbol, offsetof(Nvrtc, field)},
    NVRTC_CALLS(X)
#undef X
};

static const char *cuda_home(void) {
    const char *home = getenv("CUDA_HOME");
    return home && *home ? home : "/usr/local/cuda";
}

static void *open_library(void) {
    static const char *const names[] = {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12",
                                        "libnvrtc.so.11.2"};
    char path[PATH_MAX];
    void *library = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    for (int i = 0; i < 2 && !library; i++) {
        snprintf(path, sizeof path, "%s/%s/libnvrtc.so", cuda_home(), i ? "lib" : "lib64");
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

static lathe_status open_nvrtc(Nvrtc *n, ErrorText *error) {
    n->library = open_library();
    if (!n->library)
        return lt_fail(error, LATHE_MACHINE,
                       "its kernels are to be compiled here, and there is no NVRTC (libnvrtc.so, "
                       "of the CUDA toolkit); lathec without --cuda-jit compiles them before");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *address = dlsym(n->library, calls[i].symbol);
        if (!address) {
            dlclose(n->library);
            return lt_fail(error, LATHE_MACHINE, "NVRTC is too old: it has no %s", calls[i].symbol);
        }
        memcpy((char *)n + calls[i].offset, &address, sizeof address);
    }
    return LATHE_OK;
}

/* The greatest that NVRTC knows of those that code for the device can be made for; 0: none. */
static int find_architecture(const Nvrtc *n, int capability) {
    int count = 0, found = 0, *archs;
    if (n->arch_count(&count) != 0 || count <= 0 || !(archs = calloc((size_t)count, sizeof *archs)))
        return 0;
    n->archs(archs);
    for (int i = 0; i < count; i++)
        found = archs[i] <= capability && archs[i] > found ? archs[i] : found;
    free(archs);
    return found;
}

static lathe_status explain_compile(const Nvrtc *n, NvrtcProgram program, int result,
                                    ErrorText *error) {
    size_t size = 0;
    char *log = n->log_size(program, &size) == 0 && size ? calloc(1, size + 1) : NULL;
    if (log)
        n->log(program, log);
    lt_fail(error, LATHE_FAILED, "NVRTC does not compile its kernels: %s: %.300s",
            n->error_text(result), log ? log : "");
    free(log);
    return LATHE_FAILED;
}

static lathe_status take_image(const Nvrtc *n, NvrtcProgram program, bool is_cubin, Buffer *image,
                               ErrorText *error) {
    int result =
        is_cubin ? n->cubin_size(program, &image->size) : n->ptx_size(program, &image->size);
    image->data = result == 0 ? malloc(image->size + 1) : NULL;
    if (image->data)
        result = is_cubin ? n->cubin(program, image->data) : n->ptx(program, image->data);
    return image->data && result == 0 ? LATHE_OK : explain_compile(n, program, result, error);
}

static lathe_status compile(const Nvrtc *n, const char *text, int capability, Buffer *image,
                            ErrorText *error) {
    char architecture[64];
    const int known = find_architecture(n, capability);
    if (!known)
        return lt_fail(error, LATHE_MACHINE, "NVRTC makes no code for the GPU, which is sm_%d",
                       capability);
    /* What only this very architecture has, and no later one, must be asked for. */
    const bool is_own = capability == 90 && known == 90 && strstr(text, "_FEAT_SM90_ALL");
    snprintf(architecture, sizeof architecture, "--gpu-architecture=%s_%d%s",
             known == capability ? "sm" : "compute", known, is_own ? "a" : "");
    const char *const options[] = {architecture, "--std=c++17"};
    NvrtcProgram program = NULL;
    int result = n->create(&program, text, "model.cu", 0, NULL, NULL);
    if (result)
        return lt_fail(error, LATHE_FAILED, "NVRTC: %s", n->error_text(result));
    result = n->compile(program, sizeof options / sizeof *options, options);
    const lathe_status status = result ? explain_compile(n, program, result, error)
                                       : take_image(n, program, known == capability, image, error);
    n->destroy(&program);
    return status;
}

lathe_status lt_cuda_jit(const char *text, int capability, Buffer *image, ErrorText *error) {
    char path[PATH_MAX];
    Nvrtc nvrtc;
    const bool has_cache = cache_path(text, capability, path);
    if (has_cache && read_cache(path, image))
        return LATHE_OK;
    lathe_status status = open_nvrtc(&nvrtc, error);
    if (status)
        return status;
    status = compile(&nvrtc, text, capability, image, error);
    dlclose(nvrtc.library);
    if (!status && has_cache)
        write_cache(path, image);
    return status;
}
