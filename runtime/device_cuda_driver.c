/* device_cuda_driver.c - NVIDIA's driver library, opened when a model first needs it, and its
 * errors in words. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/device_cuda.h"

static const struct {
    const char *symbol;
    size_t offset;
} calls[] = {
#define X(field, symbol, params) {#symbol, offsetof(CudaApi, field)},
    CUDA_CALLS(X)
#undef X
};

/* Needs the call of the version alone, which all drivers have. */
static void explain_missing(void *library, const char *symbol, ErrorText *error) {
    int version = 0;
    CUresult (*ask)(int *);
    void *address = dlsym(library, "cuDriverGetVersion");
    memcpy(&ask, &address, sizeof ask);
    if (address)
        ask(&version);
    lt_fail(error, LATHE_MACHINE,
            "the NVIDIA driver is too old: it is for CUDA %d.%d and has no %s; the one for CUDA "
            "11.4 or a later one is needed",
            version / 1000, version % 1000 / 10, symbol);
}

static bool find_calls(void *library, CudaApi *api, ErrorText *error) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *address = dlsym(library, calls[i].symbol);
        if (!address) {
            explain_missing(library, calls[i].symbol, error);
            return false;
        }
        memcpy((char *)api + calls[i].offset, &address, sizeof address);
    }
    return true;
}

static bool open_driver(CudaApi *api, ErrorText *error) {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        lt_fail(error, LATHE_MACHINE,
                "it runs on an NVIDIA GPU, whose driver is not installed here: %s", dlerror());
        return false;
    }
    if (!find_calls(library, api, error)) {
        dlclose(library);
        return false;
    }
    const CUresult result = api->init(0);
    if (result == CUDA_SUCCESS)
        return true;
    lt_cuda_fail(api, error, result, "the NVIDIA driver does not start");
    dlclose(library);
    return false;
}

const CudaApi *lt_cuda_api(ErrorText *error) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static CudaApi api;
    static bool is_open; /* what failed is tried again: a driver may have been installed */
    pthread_mutex_lock(&lock);
    is_open = is_open || open_driver(&api, error);
    pthread_mutex_unlock(&lock);
    return is_open ? &api : NULL;
}

lathe_status lt_cuda_fail(const CudaApi *api, ErrorText *error, CUresult result, const char *format,
                          ...) {
    char what[400];
    const char *text = NULL, *name = NULL;
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    api->error_text(result, &text);
    api->error_name(result, &name);
    return lt_fail(error, result == CUDA_ERROR_OUT_OF_MEMORY ? LATHE_NO_MEMORY : LATHE_FAILED,
                   "%s: %s (%s)", what, text ? text : "an error that the driver has no words for",
                   name ? name : "?");
}
