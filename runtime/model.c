/* model.c - opening and closing artifacts, and what they say of themselves. */
#include "runtime/model.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/device_cuda.h"

/* --- weights --- */

/* A relative name none of whose parts is "..". */
static bool stays_inside(const char *name) {
    if (!*name || *name == '/')
        return false;
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || !at[2]))
            return false;
    }
    return true;
}

/* The real path of `name` beside the artifact; refused when a link leads out of the folder. */
static lathe_status locate_weights(const char *artifact, const char *name, char path[PATH_MAX],
                                   ErrorText *error) {
    char folder[PATH_MAX], joined[PATH_MAX + 160];
    if (!realpath(artifact, folder))
        return lt_fail(error, LATHE_IO, "its folder cannot be found: %s", strerror(errno));
    *strrchr(folder, '/') = '\0';
    snprintf(joined, sizeof joined, "%s/%s", folder, name);
    if (!realpath(joined, path))
        return lt_fail(error, LATHE_IO, "its weights, %s, cannot be read: %s", name,
                       strerror(errno));
    size_t len = strlen(folder);
    if (strncmp(path, folder, len) != 0 || path[len] != '/')
        return lt_fail(error, LATHE_MALFORMED, "its weights, %s, lie outside its folder", name);
    return LATHE_OK;
}

static lathe_status map_weights_file(lathe_model *model, const char *artifact, ErrorText *error) {
    const LtFooter *footer = &model->footer;
    char name[sizeof footer->weights_file + 1] = {0}, path[PATH_MAX], reason[128];
    memcpy(name, footer->weights_file, sizeof footer->weights_file);
    if (!stays_inside(name))
        return lt_fail(error, LATHE_MALFORMED, "its weights, '%s', are not inside its folder",
                       name);
    lathe_status status = locate_weights(artifact, name, path, error);
    if (status)
        return status;
    if (!lt_file_map(&model->weights_file, path, reason, sizeof reason))
        return lt_fail(error, LATHE_IO, "its weights, %s, cannot be read: %s", name, reason);
    if (model->weights_file.size != footer->weights_size)
        return lt_fail(error, LATHE_MALFORMED, "its weights, %s, have %zu bytes, expected %llu",
                       name, model->weights_file.size, (unsigned long long)footer->weights_size);
    model->weights = model->weights_file.data;
    return LATHE_OK;
}

static lathe_status map_weights(lathe_model *model, const char *artifact, ErrorText *error) {
    const LtFooter *footer = &model->footer;
    if (footer->weights_size == 0)
        return LATHE_OK;
    if (footer->weights_offset == 0)
        return map_weights_file(model, artifact, error);
    /* The whole file is mapped from its start, so a page-aligned offset stays page-aligned. */
    model->weights = model->file.data + footer->weights_offset;
    return LATHE_OK;
}

/* --- code --- */

/* dlopen looks a name without a slash up in the system's folders; a path is what the caller means.
 * */
static void *load_library(const char *path) {
    if (strchr(path, '/'))
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    char local[PATH_MAX];
    if ((size_t)snprintf(local, sizeof local, "./%s", path) >= sizeof local)
        return NULL;
    return dlopen(local, RTLD_NOW | RTLD_LOCAL);
}

static lathe_status load_code(lathe_model *model, const char *path, ErrorText *error) {
    model->library = load_library(path);
    if (!model->library) {
        const char *reason = dlerror();
        return lt_fail(error, LATHE_MACHINE, "the system cannot load it: %s",
                       reason ? reason : "its path is too long");
    }
    model->descriptor = dlsym(model->library, LT_DESCRIPTOR_SYMBOL);
    if (!model->descriptor)
        return lt_fail(error, LATHE_MALFORMED, "it has no symbol %s", LT_DESCRIPTOR_SYMBOL);
    return lt_descriptor_check(model->descriptor, &model->footer, error);
}

/* --- signature --- */

static lathe_dim public_dim(const LtDescriptor *d, const LtDimDecl *dim) {
    if (dim->symbol == -1)
        return (lathe_dim){dim->value, dim->value, NULL, dim->text};
    if (dim->symbol < 0)
        return (lathe_dim){0, INT64_MAX, NULL, dim->text};
    const LtSymbolDecl *symbol = &d->symbols[dim->symbol];
    return (lathe_dim){symbol->lo, symbol->hi, symbol->name, dim->text};
}

static lathe_status build_signature(lathe_model *model, ErrorText *error) {
    const LtDescriptor *d = model->descriptor;
    size_t tensor_count = (size_t)d->input_count + d->output_count, dim_count = d->symbol_count;
    for (size_t i = 0; i < tensor_count; i++)
        dim_count +=
            (size_t)(i < d->input_count ? &d->inputs[i] : &d->outputs[i - d->input_count])->rank;
    model->tensors = calloc(tensor_count + 1, sizeof *model->tensors);
    model->dims = calloc(dim_count + 1, sizeof *model->dims);
    if (!model->tensors || !model->dims)
        return lt_fail(error, LATHE_NO_MEMORY, "out of memory");
    lathe_dim *next = model->dims;
    for (uint32_t i = 0; i < d->symbol_count; i++) {
        const LtSymbolDecl *symbol = &d->symbols[i];
        *next++ = (lathe_dim){symbol->lo, symbol->hi, symbol->name, symbol->name};
    }
    for (size_t i = 0; i < tensor_count; i++) {
        const LtTensorDecl *tensor =
            i < d->input_count ? &d->inputs[i] : &d->outputs[i - d->input_count];
        model->tensors[i] =
            (lathe_tensor_info){tensor->name, (lathe_dtype)tensor->dtype, tensor->rank, next};
        for (int32_t axis = 0; axis < tensor->rank; axis++)
            *next++ = public_dim(d, &tensor->dims[axis]);
    }
    return LATHE_OK;
}

/* --- life --- */

static void free_model(lathe_model *model) {
    lt_cuda_model_free(model->cuda);
    pthread_mutex_destroy(&model->device_lock);
    free(model->tensors);
    free(model->dims);
    if (model->library)
        dlclose(model->library);
    if (model->weights_file.data)
        lt_file_unmap(&model->weights_file);
    if (model->file.data)
        lt_file_unmap(&model->file);
    free(model);
}

void lt_model_retain(lathe_model *model) { atomic_fetch_add(&model->references, 1); }

void lathe_model_close(lathe_model *model) {
    if (model && atomic_fetch_sub(&model->references, 1) == 1)
        free_model(model);
}

static lathe_status open_model(lathe_model *model, const char *path, ErrorText *error) {
    char reason[128];
    if (!lt_file_map(&model->file, path, reason, sizeof reason))
        return lt_fail(error, LATHE_IO, "it cannot be read: %s", reason);
    lathe_status status = lt_artifact_check(&model->file, &model->footer, error);
    if (!status)
        status = map_weights(model, path, error);
    if (!status)
        status = load_code(model, path, error);
    return status ? status : build_signature(model, error);
}

lathe_status lathe_model_open(const char *path, const lathe_model_options *options,
                              lathe_model **out) {
    ErrorText *error = lt_thread_error();
    if (!path || !out || (options && options->struct_size < sizeof *options))
        return lt_fail(error, LATHE_BAD_ARGUMENT, "path, out and options->struct_size must be set");
    lathe_model *model = calloc(1, sizeof *model);
    if (!model)
        return lt_fail(error, LATHE_NO_MEMORY, "out of memory");
    atomic_init(&model->references, 1);
    pthread_mutex_init(&model->device_lock, NULL);
    model->device = options ? options->device : 0;
    lathe_status status = open_model(model, path, error);
    if (status) {
        free_model(model);
        return status;
    }
    /* Advice only: whether the system takes it changes no result. */
    if (options && options->flags & LATHE_PREFETCH_WEIGHTS && model->weights)
        madvise((void *)(uintptr_t)model->weights, model->footer.weights_size, MADV_WILLNEED);
    *out = model;
    return LATHE_OK;
}

/* --- questions --- */

void lathe_model_get_info(const lathe_model *model, lathe_model_info *out) {
    const LtDescriptor *d = model->descriptor;
    *out =
        (lathe_model_info){d->model_name,   d->target,      d->version, model->footer.weights_size,
                           d->symbol_count, d->kernel_count};
}

uint32_t lathe_input_count(const lathe_model *model) { return model->descriptor->input_count; }

uint32_t lathe_output_count(const lathe_model *model) { return model->descriptor->output_count; }

const lathe_tensor_info *lathe_input_info(const lathe_model *model, uint32_t index) {
    return index < model->descriptor->input_count ? &model->tensors[index] : NULL;
}

const lathe_tensor_info *lathe_output_info(const lathe_model *model, uint32_t index) {
    const LtDescriptor *d = model->descriptor;
    return index < d->output_count ? &model->tensors[d->input_count + index] : NULL;
}

static int32_t find_tensor(const lathe_tensor_info *tensors, uint32_t count, const char *name) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

int32_t lathe_input_find(const lathe_model *model, const char *name) {
    return find_tensor(model->tensors, model->descriptor->input_count, name);
}

int32_t lathe_output_find(const lathe_model *model, const char *name) {
    const LtDescriptor *d = model->descriptor;
    return find_tensor(model->tensors + d->input_count, d->output_count, name);
}

const lathe_dim *lathe_symbol_info(const lathe_model *model, uint32_t index) {
    return index < model->descriptor->symbol_count ? &model->dims[index] : NULL;
}
