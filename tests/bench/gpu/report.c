/* report.c - what was measured, as Markdown and as JSON. */
#include <string.h>

#include "tests/bench/gpu/gpu.h"

enum { SHOWN_KERNELS = 8 };

static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

/* "1.23", or a dash where there is none. */
static const char *figure(Arena *arena, double value) {
    return value <= 0      ? "-"
           : value >= 1000 ? lt_arena_printf(arena, "%.0f", value)
                           : lt_arena_printf(arena, "%.3g", value);
}
static const char *share(Arena *arena, double value) {
    return value > 0 ? lt_arena_printf(arena, "%.0f %%", value) : "-";
}

static double flops_per_second(const GpuRow *row, double ms) {
    return ms > 0 ? gpu_flops(row->of) / (ms * 1e-3) : 0;
}

/* --- products and convolutions --- */

static const GpuPeer *peer_of(const GpuBench *bench, const GpuCase *c) {
    return c->size ? &bench->peers->dnn : &bench->peers->blas;
}

static void report_case(const GpuBench *bench, const GpuRow *row, FILE *out) {
    Arena *arena = bench->arena;
    const double rate = flops_per_second(row, row->lathe_ms);
    const char *times =
        row->of->count > 1 ? lt_arena_printf(arena, "%d times ", row->of->count) : "";
    if (row->trouble) {
        fprintf(out, "| %s%s | %s | %s | | | | |\n", times, row->of->what, gpu_dtype_name(row->of),
                row->trouble);
        return;
    }
    fprintf(out, "| %s%s | %s | %s | %s | %s | %s | %s |\n", times, row->of->what,
            gpu_dtype_name(row->of), figure(arena, row->lathe_ms),
            row->peer_trouble && row->peer_trouble != peer_of(bench, row->of)->trouble
                ? row->peer_trouble
                : figure(arena, row->peer_ms),
            share(arena, percent(row->peer_ms, row->lathe_ms)), figure(arena, rate * 1e-12),
            share(arena, percent(rate, gpu_peak(&bench->gpu, gpu_dtype_name(row->of)))));
}

/* All convolutions of a model, each as often as it has them; those that only one of both has
 * measured are left out. */
static void report_sum(const GpuBench *bench, const char *group, FILE *out) {
    Arena *arena = bench->arena;
    double lathe = 0, peer = 0, flops = 0;
    const char *dtype = "f32";
    int count = 0;
    for (size_t i = 0; i < bench->cases.len; i++) {
        const GpuRow *row = &bench->rows.data[i];
        if (strcmp(row->of->group, group) != 0 || row->lathe_ms <= 0 || row->peer_ms <= 0)
            continue;
        lathe += row->of->count * row->lathe_ms;
        peer += row->of->count * row->peer_ms;
        flops += row->of->count * gpu_flops(row->of);
        count += row->of->count;
        dtype = gpu_dtype_name(row->of);
    }
    const double rate = lathe > 0 ? flops / (lathe * 1e-3) : 0;
    if (count > 1)
        fprintf(out, "| all %d | %s | %s | %s | %s | %s | %s |\n", count, dtype,
                figure(arena, lathe), figure(arena, peer), share(arena, percent(peer, lathe)),
                figure(arena, rate * 1e-12),
                share(arena, percent(rate, gpu_peak(&bench->gpu, dtype))));
}

static bool begins_group(const GpuBench *bench, size_t index) {
    return index == 0 ||
           strcmp(bench->cases.data[index].group, bench->cases.data[index - 1].group) != 0;
}

static void report_cases(const GpuBench *bench, FILE *out) {
    for (size_t i = 0; i < bench->cases.len; i++) {
        const GpuCase *c = &bench->cases.data[i];
        const char *peer = peer_of(bench, c)->name;
        if (begins_group(bench, i))
            fprintf(out,
                    "\n| %s%s | dtype | lathe, ms | %s, ms | of its speed | TFLOP/s | of the peak "
                    "|\n|---|---|---|---|---|---|---|\n",
                    c->size ? "convolutions of " : "products, m x n x k", c->size ? c->group : "",
                    peer);
        report_case(bench, &bench->rows.data[i], out);
        if (c->size && (i + 1 == bench->cases.len || begins_group(bench, i + 1)))
            report_sum(bench, c->group, out);
    }
}

/* --- models --- */

/* What a launch adds to its kernel, where all are launched as one graph. */
static double graph_gap_us(const GpuRow *row) {
    const double apart = row->lathe_ms - row->kernel_ms;
    return row->launches && apart > 0 ? 1e3 * apart / row->launches : 0;
}

static void report_model(const GpuBench *bench, const GpuRow *row, FILE *out) {
    Arena *arena = bench->arena;
    if (row->trouble) {
        fprintf(out, "| %s | %s | | | | |\n", row->model->name, row->trouble);
        return;
    }
    fprintf(out, "| %s | %s | %u | %s | %.2f | %.2f |\n", row->model->name,
            figure(arena, row->lathe_ms), row->launches, figure(arena, row->kernel_ms),
            graph_gap_us(row), row->greatest_gap_us);
}

static void report_kernels(const GpuBench *bench, const GpuRow *row, FILE *out) {
    for (size_t i = 0; i < row->kernels.len && i < SHOWN_KERNELS; i++) {
        const GpuKernel *k = &row->kernels.data[i];
        fprintf(out, "| %s | %s | %.0f | %s | %s |\n", row->model->name, k->name, k->calls,
                figure(bench->arena, k->ms), share(bench->arena, percent(k->ms, row->kernel_ms)));
    }
}

static void report_models(const GpuBench *bench, FILE *out) {
    const size_t cases = bench->cases.len;
    if (bench->models.len == 0)
        return;
    fputs("\n| model | lathe, ms | kernels | their sum, ms | between two, us |"
          " at most, one by one, us |\n|---|---|---|---|---|---|\n",
          out);
    for (size_t i = cases; i < bench->rows.len; i++)
        report_model(bench, &bench->rows.data[i], out);
    fputs("\n| model | its longest kernels | calls | ms | of the sum |\n"
          "|---|---|---|---|---|\n",
          out);
    for (size_t i = cases; i < bench->rows.len; i++)
        report_kernels(bench, &bench->rows.data[i], out);
}

static void report_peer(const GpuPeer *peer, FILE *out) {
    if (peer->trouble)
        fprintf(out, "%s.\n", peer->trouble);
}

void gpu_report_info(const GpuBench *bench, FILE *out) {
    const Gpu *gpu = &bench->gpu;
    const GpuPeers *peers = bench->peers;
    fprintf(out,
            "%s (sm_%d, %d processors, %.2f GHz, %.0f GB/s), CUDA %d.%d, %s, %s; the least of %lld "
            "rounds.\n",
            gpu->name, gpu->capability, gpu->processors, gpu->hertz * 1e-9,
            gpu->memory_bytes * 1e-9, gpu->driver / 1000, gpu->driver % 1000 / 10,
            peers->blas.version ? peers->blas.version : "no cuBLAS",
            peers->dnn.version ? peers->dnn.version : "no cuDNN",
            (long long)bench->options->rounds);
    report_peer(&peers->blas, out);
    report_peer(&peers->dnn, out);
    if (gpu_peak(gpu, "f32") <= 0)
        fprintf(out, "What sm_%d can do at most is not known here.\n", gpu->capability);
}

void gpu_report(const GpuBench *bench, FILE *out) {
    gpu_report_info(bench, out);
    report_cases(bench, out);
    report_models(bench, out);
}

/* --- JSON --- */

static void key(FILE *out, const char *name, const char *before) {
    fprintf(out, "%s\"%s\": ", before, name);
}
static void text(FILE *out, const char *name, const char *value, const char *before) {
    key(out, name, before);
    if (value)
        lt_json_string(out, value);
    else
        fputs("null", out);
}
static void number(FILE *out, const char *name, double value, const char *before) {
    key(out, name, before);
    lt_json_double(out, value);
}

static void json_kernels(const GpuRow *row, FILE *out) {
    key(out, "kernels", ", ");
    fputc('[', out);
    for (size_t i = 0; i < row->kernels.len; i++) {
        text(out, "name", row->kernels.data[i].name, i ? ",\n    {" : "\n    {");
        number(out, "calls", row->kernels.data[i].calls, ", ");
        number(out, "ms", row->kernels.data[i].ms, ", ");
        fputc('}', out);
    }
    fputc(']', out);
}

static void json_row(const GpuBench *bench, const GpuRow *row, FILE *out) {
    text(out, "name", row->of ? row->of->what : row->model->name, "{");
    text(out, "group", row->of ? row->of->group : "models", ", ");
    number(out, "lathe_ms", row->lathe_ms, ", ");
    text(out, "trouble", row->trouble, ", ");
    if (row->of) {
        text(out, "dtype", gpu_dtype_name(row->of), ", ");
        number(out, "count", row->of->count, ", ");
        number(out, "flop", gpu_flops(row->of), ", ");
        number(out, "peak_flop_per_second", gpu_peak(&bench->gpu, gpu_dtype_name(row->of)), ", ");
        text(out, "peer", row->peer, ", ");
        number(out, "peer_ms", row->peer_ms, ", ");
        text(out, "peer_trouble", row->peer_trouble, ", ");
    } else {
        number(out, "launches", row->launches, ", ");
        number(out, "kernel_ms", row->kernel_ms, ", ");
        number(out, "graph_gap_us", graph_gap_us(row), ", ");
        number(out, "greatest_gap_us", row->greatest_gap_us, ", ");
        json_kernels(row, out);
    }
    fputc('}', out);
}

bool gpu_report_json(const GpuBench *bench, FILE *out) {
    const Gpu *gpu = &bench->gpu;
    text(out, "device", gpu->name, "{");
    number(out, "capability", gpu->capability, ", ");
    number(out, "processors", gpu->processors, ", ");
    number(out, "hertz", gpu->hertz, ", ");
    number(out, "memory_bytes_per_second", gpu->memory_bytes, ", ");
    number(out, "cuda", gpu->driver, ", ");
    text(out, "cublas", bench->peers->blas.version, ", ");
    text(out, "cudnn", bench->peers->dnn.version, ", ");
    number(out, "rounds", (double)bench->options->rounds, ", ");
    key(out, "rows", ",\n");
    for (size_t i = 0; i < bench->rows.len; i++) {
        fputs(i ? ",\n  " : "[\n  ", out);
        json_row(bench, &bench->rows.data[i], out);
    }
    fputs(bench->rows.len ? "\n]}\n" : "[]}\n", out);
    return !ferror(out);
}
