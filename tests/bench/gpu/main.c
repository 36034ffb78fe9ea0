/* main.c - `bench_gpu`: see gpu.h. `make bench-gpu ARGS=--help` lists the options. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/half.h"
#include "tests/bench/gpu/gpu.h"

enum { NO_GPU = 6, BAD_FILE = 74 };

#define ROW(field, ...) CLI_ROW(GpuOptions, field, __VA_ARGS__)
static const CliOption table[] = {
    CLI_HEADING("What is measured"),
    ROW(only, CLI_STRING, "--only", "GROUP", "gemm, conv or models"),
    ROW(filter, CLI_STRING, "--filter", "GLOB",
        "those of such a name: '4096 x 4096 x 4096 f16', 'bert_base*'"),
    ROW(models, CLI_LIST, "--model", "FILE", "this model as well; may be given again"),
    ROW(scale, CLI_INT, "--scale", "N", "extents divided by N, for a quick look", .min = 1,
        .max = 1024),
    CLI_HEADING("How"),
    ROW(device, CLI_INT, "--device", "N", "the GPU (default: 0)", .min = 0, .max = 1023),
    ROW(rounds, CLI_INT, "--rounds", "N", "of which the least time counts (default: 7)", .min = 1,
        .max = 1000),
    ROW(milliseconds, CLI_DOUBLE, "--milliseconds", "MS",
        "that the calls of a round take, about (default: 20)"),
    ROW(jobs, CLI_INT, "--jobs", "N", "models that are compiled at once (default: the cores)",
        .min = 1, .max = 64),
    ROW(cuda_jit, CLI_FLAG, "--cuda-jit", NULL, "compile with NVRTC, not with nvcc"),
    ROW(lathec, CLI_STRING, "--lathec", "FILE", "default: build/bin/lathec"),
    ROW(libraries, CLI_STRING, "--libraries", "DIR",
        "where cuBLAS and cuDNN are (default: where the loader looks, /usr/local/cuda, and\n"
        "NVIDIA's wheels in build/bench-venv)"),
    CLI_HEADING("What is told"),
    ROW(info, CLI_FLAG, "--info", NULL, "the GPU and the libraries; measures nothing"),
    ROW(json, CLI_STRING, "--json", "FILE", "all figures (default: " GPU_FOLDER "/results.json)"),
};
static const CliTool tool = {
    .name = "bench_gpu",
    .synopsis = "[options]",
    .summary = "Measures lathe's kernels on a GPU beside cuBLAS and cuDNN, and whole models.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .footer = "Exit codes: 0 done; 1 something was not measured, or is wrong; 2 wrong use; 6 there "
              "is no\nGPU; 74 a file could not be written.",
};

/* --- one case --- */

static double element(const void *data, lathe_dtype dtype, size_t i) {
    switch (dtype) {
    case LATHE_F16: return (double)lt_f16_to_f32(((const uint16_t *)data)[i]);
    case LATHE_BF16: return (double)lt_bf16_to_f32(((const uint16_t *)data)[i]);
    case LATHE_I32: return ((const int32_t *)data)[i];
    default: return (double)((const float *)data)[i];
    }
}

/* NULL: lathe's result is the library's, but for what rounding does. */
static const char *compare(const GpuBench *bench, const LatheRun *lathe, const PeerRun *peer) {
    const lathe_dtype dtype = lathe->output.dtype;
    const size_t count = peer->output_bytes / lathe_dtype_size(dtype);
    const double allowed = dtype == LATHE_F32 ? 1e-3 : 2e-2;
    char *a = malloc(peer->output_bytes), *b = malloc(peer->output_bytes);
    double worst = 0, greatest = 0;
    bool is_there = a && b &&
                    gpu_download(&bench->gpu, a, lathe->output.data, peer->output_bytes) &&
                    gpu_download(&bench->gpu, b, peer->output, peer->output_bytes);
    for (size_t i = 0; i < count && is_there; i++) {
        const double wanted = element(b, dtype, i), apart = fabs(element(a, dtype, i) - wanted);
        greatest = fmax(greatest, fabs(wanted));
        worst = apart <= worst ? worst : apart; /* NaN, too */
    }
    free(a);
    free(b);
    if (!is_there)
        return "the results do not come back from the GPU";
    return worst <= allowed * greatest
               ? NULL
               : lt_arena_printf(bench->arena, "wrong: off by %.3g, where the greatest is %.3g",
                                 worst, greatest);
}

static void measure_case(const GpuBench *bench, GpuRow *row, LatheRun *lathe) {
    PeerRun peer;
    row->peer = row->of->size ? bench->peers->dnn.name : bench->peers->blas.name;
    row->peer_trouble = gpu_peer_open(bench, row->of, lathe, &peer);
    if (!row->peer_trouble)
        row->peer_trouble = gpu_peer_enqueue(&peer);
    if (!row->peer_trouble)
        row->trouble = compare(bench, lathe, &peer);
    Contender contenders[] = {{gpu_lathe_enqueue, lathe, 0, 0, row->trouble},
                              {gpu_peer_enqueue, &peer, 0, 0, row->peer_trouble}};
    if (!row->trouble)
        gpu_measure(bench, contenders, row->peer_trouble ? 1 : 2);
    row->lathe_ms = contenders[0].ms;
    row->peer_ms = contenders[1].ms;
    if (contenders[0].trouble)
        row->trouble = lt_arena_strdup(bench->arena, contenders[0].trouble);
    if (contenders[1].trouble && !row->peer_trouble)
        row->peer_trouble = lt_arena_strdup(bench->arena, contenders[1].trouble);
    gpu_peer_close(&peer);
}

static void measure_model(const GpuBench *bench, GpuRow *row, LatheRun *lathe) {
    Contender contender = {gpu_lathe_enqueue, lathe, 0, 0, NULL};
    gpu_measure(bench, &contender, 1);
    row->lathe_ms = contender.ms;
    row->trouble = contender.trouble ? lt_arena_strdup(bench->arena, contender.trouble)
                                     : gpu_lathe_profile(bench, lathe, row);
}

static void measure_row(const GpuBench *bench, GpuRow *row, size_t index) {
    LatheRun lathe = {0};
    const char *artifact = gpu_artifact(bench, index, &row->trouble);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\rbench-gpu: %zu of %zu ", index + 1,
                bench->cases.len + bench->models.len);
    if (artifact)
        row->trouble = gpu_lathe_open(bench, artifact, &lathe);
    if (artifact && !row->trouble && row->of)
        measure_case(bench, row, &lathe);
    else if (artifact && !row->trouble)
        measure_model(bench, row, &lathe);
    gpu_lathe_close(bench, &lathe);
}

/* --- all --- */

static void measure_all(GpuBench *bench) {
    const size_t cases = bench->cases.len;
    for (size_t i = 0; i < cases + bench->models.len; i++) {
        GpuRow row = {0};
        if (i < cases)
            row.of = &bench->cases.data[i];
        else
            row.model = &bench->models.data[i - cases];
        measure_row(bench, &row, i);
        lt_vec_push(bench->arena, &bench->rows, row);
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%40s\r", "");
}

static bool write_json(const GpuBench *bench) {
    const char *path = bench->options->json ? bench->options->json : GPU_FOLDER "/results.json";
    FILE *out = fopen(path, "w");
    const bool is_written = out && gpu_report_json(bench, out);
    if ((out && fclose(out) != 0) || !is_written) {
        perror(path);
        return false;
    }
    return true;
}

static int run(GpuBench *bench) {
    const char *trouble = gpu_open(bench->arena, &bench->gpu, (int)bench->options->device);
    if (trouble) {
        printf("bench-gpu: nothing is measured: %s\n", trouble);
        return NO_GPU;
    }
    bench->peers = gpu_peers_open(bench);
    if (bench->options->info) {
        gpu_report_info(bench, stdout);
        gpu_peers_close(bench->peers);
        return EXIT_SUCCESS;
    }
    gpu_choose(bench);
    gpu_compile(bench);
    measure_all(bench);
    gpu_report(bench, stdout);
    const bool is_written = write_json(bench);
    bool is_whole = bench->rows.len > 0;
    for (size_t i = 0; i < bench->rows.len; i++)
        is_whole = is_whole && !bench->rows.data[i].trouble;
    gpu_peers_close(bench->peers);
    return !is_written ? BAD_FILE : is_whole ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    Arena arena;
    lt_arena_init(&arena);
    GpuOptions options = {.rounds = 7,
                          .scale = 1,
                          .milliseconds = 20,
                          .jobs = sysconf(_SC_NPROCESSORS_ONLN),
                          .lathec = "build/bin/lathec"};
    Cli cli = {.tool = &tool, .arena = &arena, .out = stdout, .err = stderr};
    int code = lt_cli_parse(&cli, argc, argv, &options);
    if (code < 0 && cli.arguments.len)
        code = lt_cli_wrong(&cli, "%s: no arguments are taken", cli.arguments.data[0]);
    if (code >= 0)
        return code;
    GpuBench bench = {.options = &options, .arena = &arena};
    code = run(&bench);
    lt_arena_free(&arena);
    return code;
}
