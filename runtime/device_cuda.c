/* device_cuda.c - a model on its device: the kernels and the weights, loaded once. */
#include "runtime/device_cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_BYTES = 2048 };

void lt_cuda_enter(const CudaModel *cuda) { cuda->api->push(cuda->primary); }

void lt_cuda_leave(const CudaModel *cuda) {
    CUcontext before;
    cuda->api->pop(&before);
}

/* --- memory --- */

const char *lt_cuda_room(const CudaModel *cuda, char text[96]) {
    size_t left = 0, all = 0;
    lt_cuda_enter(cuda);
    cuda->api->memory_info(&left, &all);
    lt_cuda_leave(cuda);
    snprintf(text, 96, "the GPU has %zu of %zu MB left", left >> 20, all >> 20);
    return text;
}

/* On the device, or pinned memory of the host. */
static bool reserve(const CudaModel *cuda, Buffer *buffer, size_t size, bool is_host) {
    const size_t rounded = (size + LT_TENSOR_ALIGN) & ~(size_t)(LT_TENSOR_ALIGN - 1);
    if (size <= buffer->size && buffer->data)
        return true;
    if (rounded < size)
        return false;
    lt_cuda_enter(cuda);
    void *pinned = NULL;
    CUdeviceptr address = 0;
    const CUresult result =
        is_host ? cuda->api->alloc_host(&pinned, rounded) : cuda->api->alloc(&address, rounded);
    if (result == CUDA_SUCCESS && buffer->data && is_host)
        cuda->api->free_host(buffer->data);
    else if (result == CUDA_SUCCESS && buffer->data)
        cuda->api->free(lt_cuda_address(buffer->data));
    lt_cuda_leave(cuda);
    if (result != CUDA_SUCCESS)
        return false;
    *buffer = (Buffer){is_host ? pinned : (void *)(uintptr_t)address, rounded};
    return true;
}

bool lt_cuda_reserve(const CudaModel *cuda, Buffer *buffer, size_t size) {
    return reserve(cuda, buffer, size, false);
}

bool lt_cuda_reserve_host(const CudaModel *cuda, Buffer *buffer, size_t size) {
    return reserve(cuda, buffer, size, true);
}

/* --- the device --- */

static lathe_status find_device(CudaModel *cuda, ErrorText *error) {
    const CudaApi *api = cuda->api;
    int count = 0, major = 0, minor = 0;
    const CUresult counted = api->device_count(&count);
    if (counted != CUDA_SUCCESS && counted != CUDA_ERROR_NO_DEVICE)
        return lt_cuda_fail(api, error, counted, "the GPUs cannot be counted");
    if (count == 0)
        return lt_fail(error, LATHE_MACHINE, "it runs on an NVIDIA GPU, and there is none here");
    if (cuda->ordinal < 0 || cuda->ordinal >= count)
        return lt_fail(error, LATHE_MACHINE, "there is no CUDA device %d: there are %d",
                       cuda->ordinal, count);
    CUresult result = api->device_get(&cuda->device, cuda->ordinal);
    if (!result)
        result = api->device_name(cuda->name, sizeof cuda->name, cuda->device);
    if (!result)
        result = api->device_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                                       cuda->device);
    if (!result)
        result = api->device_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                                       cuda->device);
    if (!result)
        result = api->primary_retain(&cuda->primary, cuda->device);
    cuda->capability = 10 * major + minor;
    return result ? lt_cuda_fail(api, error, result, "CUDA device %d cannot be used", cuda->ordinal)
                  : LATHE_OK;
}

/* --- kernels --- */

static lathe_status explain_load(const CudaModel *cuda, const LtDeviceDecl *decl, CUresult result,
                                 const char *log, ErrorText *error) {
    int version = 0;
    cuda->api->driver_version(&version);
    if (result == CUDA_ERROR_NO_BINARY_FOR_GPU)
        return lt_fail(error, LATHE_MACHINE,
                       "its kernels are for %s; the GPU, %s, is sm_%d (lathec --target cuda:sm_%d "
                       "makes them for it)",
                       decl->architectures, cuda->name, cuda->capability, cuda->capability);
    if (result == CUDA_ERROR_UNSUPPORTED_PTX_VERSION)
        return lt_fail(error, LATHE_MACHINE,
                       "its kernels are for %s, and the NVIDIA driver, for CUDA %d.%d, is too old "
                       "to make code of them for %s, which is sm_%d",
                       decl->architectures, version / 1000, version % 1000 / 10, cuda->name,
                       cuda->capability);
    return lt_cuda_fail(cuda->api, error, result,
                        "the driver, for CUDA %d.%d, does not load its kernels for %s on %s, which "
                        "is sm_%d%s%.120s",
                        version / 1000, version % 1000 / 10, decl->architectures, cuda->name,
                        cuda->capability, *log ? ": " : "", log);
}

static lathe_status load_module(CudaModel *cuda, const LtDeviceDecl *decl, const void *image,
                                ErrorText *error) {
    char log[LOG_BYTES] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    const CUresult result = cuda->api->module_load(&cuda->module, image, 2, options, values);
    log[LOG_BYTES - 1] = '\0';
    return result ? explain_load(cuda, decl, result, log, error) : LATHE_OK;
}

static lathe_status load_image(CudaModel *cuda, const LtDeviceDecl *decl, ErrorText *error) {
    if (decl->image)
        return load_module(cuda, decl, decl->image, error);
    Buffer image = {0};
    lathe_status status = lt_cuda_jit(decl->text, cuda->capability, &image, error);
    if (!status)
        status = load_module(cuda, decl, image.data, error);
    free(image.data);
    return status;
}

static lathe_status find_function(CudaModel *cuda, const LtDeviceKernel *kernel, CUfunction *out,
                                  ErrorText *error) {
    enum { USUAL_BYTES = 49152 }; /* more has to be asked for */
    CUresult result = cuda->api->module_function(out, cuda->module, kernel->symbol);
    if (!result && kernel->shared_bytes > USUAL_BYTES)
        result = cuda->api->function_set(*out, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                         (int)kernel->shared_bytes);
    return result
               ? lt_cuda_fail(cuda->api, error, result, "kernel %s cannot be used", kernel->symbol)
               : LATHE_OK;
}

static lathe_status load_kernels(CudaModel *cuda, const LtDescriptor *d, ErrorText *error) {
    if (d->kernel_count == 0)
        return LATHE_OK;
    cuda->functions = calloc(d->kernel_count, sizeof *cuda->functions);
    if (!cuda->functions)
        return lt_fail(error, LATHE_NO_MEMORY, "out of memory");
    lathe_status status = load_image(cuda, d->device, error);
    for (uint32_t i = 0; i < d->kernel_count && !status; i++)
        status = find_function(cuda, &d->device->kernels[i], &cuda->functions[i], error);
    return status;
}

/* --- weights --- */

static lathe_status load_weights(CudaModel *cuda, const lathe_model *model, ErrorText *error) {
    const size_t bytes = model->footer.weights_size;
    char room[96];
    if (bytes == 0)
        return LATHE_OK;
    if (!lt_cuda_reserve(cuda, &cuda->weights, bytes))
        return lt_fail(error, LATHE_NO_MEMORY, "no memory on the GPU for %zu bytes of weights: %s",
                       bytes, lt_cuda_room(cuda, room));
    const CUresult result =
        cuda->api->upload_now(lt_cuda_address(cuda->weights.data), model->weights, bytes);
    return result ? lt_cuda_fail(cuda->api, error, result, "the weights do not reach the GPU")
                  : LATHE_OK;
}

/* --- life --- */

void lt_cuda_model_free(CudaModel *cuda) {
    if (!cuda)
        return;
    if (cuda->primary) {
        lt_cuda_enter(cuda);
        if (cuda->weights.data)
            cuda->api->free(lt_cuda_address(cuda->weights.data));
        if (cuda->module)
            cuda->api->module_unload(cuda->module);
        lt_cuda_leave(cuda);
        cuda->api->primary_release(cuda->device);
    }
    free(cuda->functions);
    free(cuda);
}

static lathe_status load(CudaModel *cuda, const lathe_model *model, ErrorText *error) {
    cuda->api = lt_cuda_api(error);
    if (!cuda->api)
        return LATHE_MACHINE;
    lathe_status status = find_device(cuda, error);
    if (status)
        return status;
    lt_cuda_enter(cuda);
    status = load_kernels(cuda, model->descriptor, error);
    if (!status)
        status = load_weights(cuda, model, error);
    lt_cuda_leave(cuda);
    return status;
}

lathe_status lt_cuda_model(lathe_model *model, ErrorText *error) {
    lathe_status status = LATHE_OK;
    pthread_mutex_lock(&model->device_lock);
    if (!model->cuda) {
        CudaModel *cuda = calloc(1, sizeof *cuda);
        if (cuda) {
            cuda->ordinal = model->device;
            status = load(cuda, model, error);
        } else {
            status = lt_fail(error, LATHE_NO_MEMORY, "out of memory");
        }
        if (status)
            lt_cuda_model_free(cuda);
        else
            model->cuda = cuda;
    }
    pthread_mutex_unlock(&model->device_lock);
    return status;
}
