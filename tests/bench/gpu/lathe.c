/* lathe.c - an artifact on the bench's stream, with inputs in device memory. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/half.h"
#include "runtime/context.h"
#include "runtime/tensor.h"
#include "tests/bench/gpu/gpu.h"

/* --- inputs --- */

/* Eighths of small integers: sums of products of them are exact in f32, in whatever order. */
static float number_at(size_t i) {
    const uint32_t mixed = (uint32_t)i * 2654435761u;
    return (float)((int)(mixed >> 16) % 17 - 8) / 8;
}

static void fill(Tensor *t) {
    const size_t size = lathe_dtype_size(t->dtype);
    for (size_t i = 0; i < t->count; i++) {
        const float value = number_at(i);
        const uint16_t half = t->dtype == LATHE_F16 ? lt_f32_to_f16(value) : lt_f32_to_bf16(value);
        char *to = (char *)t->host + i * size;
        if (t->dtype == LATHE_F32)
            memcpy(to, &value, size);
        else if (t->dtype == LATHE_F16 || t->dtype == LATHE_BF16)
            memcpy(to, &half, size);
        else
            *to = (char)(t->dtype == LATHE_I8 ? (int)(value * 8) : value > 0);
    }
}

/* Symbolic extents are as small as they may be. */
static const char *make_input(const GpuBench *bench, LatheRun *run, uint32_t index) {
    const lathe_tensor_info *info = lathe_input_info(run->model, index);
    Tensor *t = &run->inputs[index];
    const char *trouble = NULL;
    *t = (Tensor){.dtype = info->dtype, .rank = info->rank, .count = 1};
    for (int32_t i = 0; i < info->rank; i++) {
        t->dims[i] = info->dims[i].lo > 0 ? info->dims[i].lo : 1;
        t->count *= (size_t)t->dims[i];
    }
    if (!lt_dense_bytes(t->dtype, t->rank, t->dims, &t->bytes))
        return "an input is too large";
    t->host = calloc(1, t->bytes);
    if (!t->host)
        return "out of memory";
    fill(t);
    t->device = gpu_alloc(&bench->gpu, t->bytes, &trouble);
    if (trouble || !gpu_upload(&bench->gpu, t->device, t->host, t->bytes))
        return trouble ? trouble : "an input does not reach the GPU";
    const lathe_tensor tensor = {.data = t->device,
                                 .dtype = t->dtype,
                                 .rank = t->rank,
                                 .dims = t->dims,
                                 .device = {LATHE_CUDA, bench->gpu.ordinal}};
    return lathe_set_input(run->context, index, &tensor) ? lathe_context_error(run->context) : NULL;
}

/* --- life --- */

static const char *keep(const GpuBench *bench, const char *words) {
    return words ? lt_arena_strdup(bench->arena, words) : NULL;
}

const char *gpu_lathe_open(const GpuBench *bench, const char *artifact, LatheRun *run) {
    const lathe_model_options model = {.struct_size = sizeof model, .device = bench->gpu.ordinal};
    const lathe_context_options context = {.struct_size = sizeof context,
                                           .flags = LATHE_OUTPUTS_ON_DEVICE | LATHE_ON_STREAM,
                                           .stream = bench->gpu.stream};
    *run = (LatheRun){0};
    if (lathe_model_open(artifact, &model, &run->model) ||
        lathe_context_new(run->model, &context, &run->context))
        return keep(bench, lathe_last_error());
    run->input_count = lathe_input_count(run->model);
    if (run->input_count > GPU_TENSORS)
        return "it has more inputs than are measured";
    for (uint32_t i = 0; i < run->input_count; i++) {
        const char *trouble = make_input(bench, run, i);
        if (trouble)
            return keep(bench, trouble);
    }
    if (lathe_run(run->context) || lathe_get_output(run->context, 0, &run->output))
        return keep(bench, lathe_context_error(run->context));
    const CUresult result = bench->gpu.api->stream_wait(bench->gpu.stream);
    return result ? gpu_error(&bench->gpu, result) : NULL;
}

const char *gpu_lathe_enqueue(void *opaque) {
    LatheRun *run = opaque;
    return lathe_run(run->context) ? lathe_context_error(run->context) : NULL;
}

void gpu_lathe_close(const GpuBench *bench, LatheRun *run) {
    lathe_context_free(run->context);
    lathe_model_close(run->model);
    for (uint32_t i = 0; i < GPU_TENSORS; i++) {
        gpu_free(&bench->gpu, run->inputs[i].device);
        free(run->inputs[i].host);
    }
    *run = (LatheRun){0};
}

/* --- the profile --- */

enum { PROFILED_RUNS = 10 };

static int by_time(const void *a, const void *b) {
    const double x = ((const GpuKernel *)a)->ms, y = ((const GpuKernel *)b)->ms;
    return (x < y) - (x > y);
}

/* Between the end of a kernel and the begin of the next one: of each such place in the model the
 * least of all runs, since a gap that is not there each time is the host's, and of the places the
 * greatest. */
static double greatest_gap_us(const GpuBench *bench, const Profile *p) {
    double *least = LT_ARRAY(bench->arena, double, p->event_count + 1), greatest = 0;
    size_t place = 0, places = 0;
    uint64_t end = 0;
    for (size_t i = 0; i < p->event_count; i++) {
        const ProfileEvent *e = &p->events[i];
        if (e->row == LT_PROFILE_RUN) {
            place = 0;
            continue;
        }
        const double gap = place && e->start_ns > end ? (double)(e->start_ns - end) * 1e-3 : 0;
        least[place] = place < places && least[place] < gap ? least[place] : gap;
        end = e->start_ns + e->duration_ns;
        places = ++place > places ? place : places;
    }
    for (size_t i = 0; i < places; i++)
        greatest = least[i] > greatest ? least[i] : greatest;
    return greatest;
}

const char *gpu_lathe_profile(const GpuBench *bench, LatheRun *run, GpuRow *row) {
    const char *trouble = NULL;
    double launches = 0;
    if (lathe_profile_start(run->context, 0))
        return keep(bench, lathe_context_error(run->context));
    for (int i = 0; i < PROFILED_RUNS && !trouble; i++)
        trouble = keep(bench, gpu_lathe_enqueue(run));
    lathe_profile_stop(run->context);
    for (uint32_t i = 0; i < lathe_profile_count(run->context) && !trouble; i++) {
        lathe_kernel_time time;
        if (lathe_profile_get(run->context, i, &time) || !time.calls)
            continue;
        const GpuKernel kernel = {lt_arena_strdup(bench->arena, time.name),
                                  (double)time.calls / PROFILED_RUNS,
                                  (double)time.total_ns * 1e-6 / PROFILED_RUNS};
        lt_vec_push(bench->arena, &row->kernels, kernel);
        launches += kernel.calls;
        row->kernel_ms += kernel.ms;
    }
    if (row->kernels.len)
        qsort(row->kernels.data, row->kernels.len, sizeof *row->kernels.data, by_time);
    row->launches = (uint32_t)(launches + 0.5);
    row->greatest_gap_us = greatest_gap_us(bench, &run->context->profile);
    return trouble;
}
