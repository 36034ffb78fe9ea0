/* cases.c - which products, convolutions and models are measured. */
#include <fnmatch.h>
#include <string.h>

#include "tests/bench/gpu/gpu.h"

/* batch, m, n, k */
static const int64_t products[][4] = {
    {1, 1024, 1024, 1024}, {1, 2048, 2048, 2048}, {1, 4096, 4096, 4096}, {1, 8192, 8192, 8192},
    {1, 128, 768, 768}, /* bert_base, one sequence of 128 tokens, then 32 */
    {1, 128, 3072, 768},   {1, 128, 768, 3072},   {12, 128, 128, 64},    {12, 128, 64, 128},
    {1, 4096, 768, 768},   {1, 4096, 3072, 768},  {1, 4096, 768, 3072},
};

/* resnet50's convolutions: extent, channels, filters, size, stride, how many of them. */
static const int convolutions[][6] = {
    {224, 3, 64, 7, 2, 1},    {56, 64, 64, 1, 1, 1},    {56, 64, 64, 3, 1, 3},
    {56, 64, 256, 1, 1, 4},   {56, 256, 64, 1, 1, 2},   {56, 256, 128, 1, 1, 1},
    {56, 128, 128, 3, 2, 1},  {28, 128, 512, 1, 1, 4},  {56, 256, 512, 1, 2, 1},
    {28, 512, 128, 1, 1, 3},  {28, 128, 128, 3, 1, 3},  {28, 512, 256, 1, 1, 1},
    {28, 256, 256, 3, 2, 1},  {14, 256, 1024, 1, 1, 6}, {28, 512, 1024, 1, 2, 1},
    {14, 1024, 256, 1, 1, 5}, {14, 256, 256, 3, 1, 5},  {14, 1024, 512, 1, 1, 1},
    {14, 512, 512, 3, 2, 1},  {7, 512, 2048, 1, 1, 3},  {14, 1024, 2048, 1, 2, 1},
    {7, 2048, 512, 1, 1, 2},  {7, 512, 512, 3, 1, 2},
};

static const char *const models[] = {
    "resnet50",       "resnet50_f16",     "resnet50_b32", "resnet50_b32_f16",
    "mobilenet_v2",   "mobilenet_v2_f16", "bert_base",    "bert_base_f16",
    "gpt2_prefill64", "gpt2_step64",      "unet",         "mlp",
    "mlp_f16",
};

static bool is_wanted(const GpuBench *bench, const char *group, const char *name) {
    const GpuOptions *o = bench->options;
    return (!o->only || strcmp(o->only, group) == 0) &&
           (!o->filter || fnmatch(o->filter, name, 0) == 0);
}

/* Smaller, where that was asked for. */
static int64_t scaled(const GpuBench *bench, int64_t extent, int64_t least) {
    const int64_t value = extent / bench->options->scale;
    return value > least ? value : extent < least ? extent : least;
}

const char *gpu_dtype_name(const GpuCase *c) {
    return c->precision ? c->precision : lathe_dtype_name(c->dtype);
}

static void add_product(GpuBench *bench, lathe_dtype dtype, const char *precision,
                        const int64_t *of) {
    const GpuCase c = {.group = "gemm",
                       .dtype = dtype,
                       .sum = dtype == LATHE_I8 ? LATHE_I32 : dtype,
                       .precision = precision,
                       .batch = of[0],
                       .m = scaled(bench, of[1], 8),
                       .n = scaled(bench, of[2], 8),
                       .k = scaled(bench, of[3], 8)};
    const char *times =
        c.batch > 1 ? lt_arena_printf(bench->arena, "%lld x ", (long long)c.batch) : "";
    const char *what = lt_arena_printf(bench->arena, "%s%lld x %lld x %lld", times, (long long)c.m,
                                       (long long)c.n, (long long)c.k);
    const char *name = lt_arena_printf(bench->arena, "%s %s", what, gpu_dtype_name(&c));
    if (!is_wanted(bench, "gemm", name))
        return;
    lt_vec_push(bench->arena, &bench->cases, c);
    lt_vec_last(&bench->cases).what = what;
}

static void add_convolution(GpuBench *bench, lathe_dtype dtype, int64_t batch, const int *of) {
    const GpuCase c = {.group = batch == 1 ? "resnet50, one image" : "resnet50, 32 images",
                       .dtype = dtype,
                       .sum = dtype,
                       .batch = scaled(bench, batch, 1),
                       .m = scaled(bench, of[0], 7),
                       .k = scaled(bench, of[1], 8),
                       .n = scaled(bench, of[2], 8),
                       .size = of[3],
                       .stride = of[4],
                       .count = of[5]};
    const char *what =
        lt_arena_printf(bench->arena, "%lld x %lld x %lld x %lld, %lld of %d x %d%s",
                        (long long)c.batch, (long long)c.m, (long long)c.m, (long long)c.k,
                        (long long)c.n, c.size, c.size, c.stride == 2 ? ", every second" : "");
    const char *name = lt_arena_printf(bench->arena, "%s %s", what, lathe_dtype_name(dtype));
    if (!is_wanted(bench, "conv", name))
        return;
    lt_vec_push(bench->arena, &bench->cases, c);
    lt_vec_last(&bench->cases).what = what;
}

void gpu_choose(GpuBench *bench) {
    static const struct {
        lathe_dtype dtype;
        const char *precision;
    } kinds[] = {{LATHE_F16, NULL},
                 {LATHE_BF16, NULL},
                 {LATHE_F32, NULL},
                 {LATHE_F32, "tf32"},
                 {LATHE_I8, NULL}};
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
        for (size_t i = 0; i < sizeof products / sizeof *products; i++)
            add_product(bench, kinds[kind].dtype, kinds[kind].precision, products[i]);
    static const struct {
        lathe_dtype dtype;
        int64_t batch;
    } forms[] = {{LATHE_F16, 32}, {LATHE_F32, 1}};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
        for (size_t i = 0; i < sizeof convolutions / sizeof *convolutions; i++)
            add_convolution(bench, forms[f].dtype, forms[f].batch, convolutions[i]);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (is_wanted(bench, "models", models[i]))
            lt_vec_push(bench->arena, &bench->models, (GpuModel){models[i], NULL});
    for (size_t i = 0; i < bench->options->models.len; i++) {
        const char *path = bench->options->models.data[i], *slash = strrchr(path, '/');
        lt_vec_push(bench->arena, &bench->models, (GpuModel){slash ? slash + 1 : path, path});
    }
}

/* Extent of the output: padded by half of the filter's size. */
static int64_t output_extent(const GpuCase *c) {
    return (c->m + c->size / 2 * 2 - c->size) / c->stride + 1;
}

double gpu_flops(const GpuCase *c) {
    const double product = 2.0 * (double)c->batch * (double)c->n * (double)c->k;
    if (!c->size)
        return product * (double)c->m;
    return product * (double)output_extent(c) * (double)output_extent(c) * c->size * c->size;
}

const char *gpu_case_text(Arena *arena, const GpuCase *c) {
    const char *dtype = lathe_dtype_name(c->dtype);
    const char *sum = c->sum != c->dtype ? ", dtype = i32" : "";
    const long long batch = c->batch, m = c->m, n = c->n, k = c->k;
    const long long out = c->size ? output_extent(c) : 0;
    if (c->size)
        return lt_arena_printf(
            arena,
            "graph main(%%x \"x\": %s[%lld,%lld,%lld,%lld], %%w \"w\": %s[%d,%d,%lld,%lld]) {\n"
            "  %%0 \"y\" = conv %%x, %%w {strides = [%d, %d], dilations = [1, 1], "
            "pad_lo = [%d, %d], pad_hi = [%d, %d], groups = 1} : %s[%lld,%lld,%lld,%lld]\n"
            "  yield %%0\n}\n",
            dtype, batch, m, m, k, dtype, c->size, c->size, k, n, c->stride, c->stride, c->size / 2,
            c->size / 2, c->size / 2, c->size / 2, dtype, batch, out, out, n);
    if (c->batch == 1)
        return lt_arena_printf(arena,
                               "graph main(%%x \"x\": %s[%lld,%lld], %%w \"w\": %s[%lld,%lld]) {\n"
                               "  %%0 \"y\" = contract %%x, %%w {spec = \"mk,kn->mn\"%s}\n"
                               "  yield %%0\n}\n",
                               dtype, m, k, dtype, k, n, sum);
    return lt_arena_printf(
        arena,
        "graph main(%%x \"x\": %s[%lld,%lld,%lld], %%w \"w\": %s[%lld,%lld,%lld]) {\n"
        "  %%0 \"y\" = contract %%x, %%w {spec = \"bmk,bkn->bmn\"%s}\n"
        "  yield %%0\n}\n",
        dtype, batch, m, k, dtype, batch, k, n, sum);
}
