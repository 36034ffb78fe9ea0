/* check.c - what the checks share (check.h), and a model of their own: mlp.lir, computed here. */
#include "tests/cuda/check.h"

#include <math.h>

#include "runtime/device_cuda.h"

int failures;

void check(bool holds, const char *words, const char *why) {
    failures += !holds;
    printf(holds ? "ok: %s\n" : "FAILED: %s: %s\n", words, why ? why : "");
}

void must(lathe_status status, const char *words) {
    if (!status)
        return;
    printf("FAILED: %s: %s\n", words, lathe_last_error());
    exit(1);
}

lathe_model *open_model(const char *path) {
    lathe_model *model = NULL;
    must(lathe_model_open(path, NULL, &model), path);
    return model;
}

lathe_context *new_context(lathe_model *model, uint32_t flags) {
    lathe_context *context = NULL;
    const lathe_context_options options = {.struct_size = sizeof options, .flags = flags};
    must(lathe_context_new(model, &options, &context), "a context");
    return context;
}

/* --- the device --- */

const CudaApi *driver(void) {
    static const CudaApi *api;
    ErrorText error;
    CUcontext context;
    if (api)
        return api;
    api = lt_cuda_api(&error);
    CUdevice device;
    if (!api || api->device_get(&device, 0) || api->primary_retain(&context, device) ||
        api->push(context))
        must(LATHE_FAILED, "the driver");
    return api;
}

void to_device(void *device, const void *host, size_t bytes) {
    if (driver()->upload_now((CUdeviceptr)(uintptr_t)device, host, bytes))
        must(LATHE_FAILED, "upload");
}

void *device_memory(size_t bytes) {
    CUdeviceptr address;
    if (driver()->alloc(&address, bytes))
        must(LATHE_FAILED, "device memory");
    return (void *)(uintptr_t)address;
}

/* By way of pinned memory and a stream: there is no other call among those of the runtime. */
void from_device(void *host, const void *device, size_t bytes) {
    const CudaApi *api = driver();
    CUstream stream;
    void *pinned = NULL;
    if (api->stream_create(&stream, 0) || api->alloc_host(&pinned, bytes) ||
        api->download(pinned, (CUdeviceptr)(uintptr_t)device, bytes, stream) ||
        api->stream_wait(stream))
        must(LATHE_FAILED, "download");
    memcpy(host, pinned, bytes);
    api->free_host(pinned);
    api->stream_destroy(stream);
}

size_t device_use(void) {
    size_t left = 0, all = 0;
    driver()->memory_info(&left, &all);
    return all - left;
}

/* --- the log --- */

void log_begin(void) {
    const char *path = getenv("CHECK_LOG");
    remove(path);
    setenv("FAKE_CUDA_LOG", path, 1);
}

int log_count(const char *call) {
    FILE *file = fopen(getenv("CHECK_LOG"), "r");
    char line[128];
    int count = 0;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        count += strcmp(line, call) == 0;
    }
    if (file)
        fclose(file);
    return count;
}

/* --- mlp.lir --- */

static void compute(Mlp *m, int64_t row) {
    double products[MLP_HIDDEN], logit = 0;
    for (int j = 0; j < MLP_HIDDEN; j++) {
        products[j] = 0;
        for (int k = 0; k < MLP_X; k++)
            products[j] += (double)m->x[row * MLP_X + k] * (double)m->w[k * MLP_HIDDEN + j];
        m->hidden[row * MLP_HIDDEN + j] = (float)exp(products[j]);
        logit += 0.125 * fmax(products[j] + 0.5, 0);
    }
    /* A constant weight for each class, and a bias that grows. */
    double sum = 0;
    for (int c = 0; c < MLP_SCORES; c++)
        sum += exp(logit * (c + 1));
    for (int c = 0; c < MLP_SCORES; c++)
        m->scores[row * MLP_SCORES + c] = (float)(exp(logit * (c + 1)) / sum);
}

void mlp_make(Mlp *m, int64_t batch, int seed) {
    *m = (Mlp){.batch = batch};
    for (int64_t i = 0; i < batch * MLP_X; i++)
        m->x[i] = (float)((i * 37 + seed * 11) % 23 - 11) / 16;
    for (int i = 0; i < MLP_X * MLP_HIDDEN; i++)
        m->w[i] = (float)((i * 53 + seed * 7) % 19 - 9) / 32;
    for (int64_t row = 0; row < batch; row++)
        compute(m, row);
}

lathe_tensor mlp_tensor(const Mlp *m, int which, const void *data, lathe_device device) {
    static _Thread_local int64_t dims[4][2];
    static const int64_t rows[] = {0, MLP_X, 0, 0};
    static const int64_t columns[] = {MLP_X, MLP_HIDDEN, MLP_SCORES, MLP_HIDDEN};
    dims[which][0] = rows[which] ? rows[which] : m->batch;
    dims[which][1] = columns[which];
    return (lathe_tensor){.data = (void *)(uintptr_t)data,
                          .dtype = LATHE_F32,
                          .rank = 2,
                          .dims = dims[which],
                          .device = device};
}

bool mlp_is_right(const Mlp *m, int output, const float *data) {
    const float *wanted = output ? m->hidden : m->scores;
    const int64_t count = m->batch * (output ? MLP_HIDDEN : MLP_SCORES);
    bool is_right = data != NULL;
    for (int64_t i = 0; i < count && is_right; i++)
        is_right = fabsf(data[i] - wanted[i]) <= 1e-5F * fmaxf(1, fabsf(wanted[i]));
    return is_right;
}

MlpOnDevice mlp_bring(const Mlp *m) {
    MlpOnDevice d = {device_memory(sizeof m->x), device_memory(sizeof m->w),
                     device_memory(sizeof m->scores), device_memory(sizeof m->hidden)};
    to_device(d.x, m->x, sizeof m->x);
    to_device(d.w, m->w, sizeof m->w);
    return d;
}

void mlp_drop(const MlpOnDevice *d) {
    void *const all[] = {d->x, d->w, d->scores, d->hidden};
    for (int i = 0; i < 4; i++)
        driver()->free((CUdeviceptr)(uintptr_t)all[i]);
}

bool mlp_is_right_there(const Mlp *m, int output, const void *device) {
    float host[64 * MLP_HIDDEN];
    from_device(host, device, (size_t)m->batch * (output ? MLP_HIDDEN : MLP_SCORES) * sizeof *host);
    return mlp_is_right(m, output, host);
}

bool mlp_runs(lathe_context *context, const Mlp *m) {
    const lathe_device cpu = {LATHE_CPU, 0};
    const lathe_tensor x = mlp_tensor(m, 0, m->x, cpu), w = mlp_tensor(m, 1, m->w, cpu);
    lathe_tensor scores, hidden;
    if (lathe_set_input(context, 0, &x) || lathe_set_input(context, 1, &w) || lathe_run(context) ||
        lathe_get_output(context, 0, &scores) || lathe_get_output(context, 1, &hidden))
        return false;
    return scores.device.type == LATHE_CPU && scores.dims[0] == m->batch &&
           mlp_is_right(m, 0, scores.data) && mlp_is_right(m, 1, hidden.data);
}
