/* run_report.c - what lathe-run says: --info, times, --json. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/str.h"
#include "tools/run.h"

enum { GO_ON = -1 };

/* --- signature --- */

static const char *dims_text(Arena *arena, const lathe_tensor_info *info) {
    Str text;
    lt_str_init(&text, arena);
    lt_str_printf(&text, "%s[", lathe_dtype_name(info->dtype));
    for (int32_t axis = 0; axis < info->rank; axis++)
        lt_str_printf(&text, "%s%s", axis ? "," : "", info->dims[axis].text);
    lt_str_char(&text, ']');
    return text.text;
}

static const char *range_text(Arena *arena, const lathe_dim *symbol) {
    if (symbol->hi == INT64_MAX)
        return lt_arena_printf(arena, "%" PRId64 " or more", symbol->lo);
    return lt_arena_printf(arena, "%" PRId64 "..%" PRId64, symbol->lo, symbol->hi);
}

/* Working memory depends on dims: told when they are all fixed or given. */
/* Without a context there is nothing that could be asked of them. */
static bool dims_are_known(const Run *run, const lathe_model_info *info) {
    if (!run->context)
        return false;
    for (uint32_t i = 0; i < info->symbol_count; i++)
        if (run->symbols[i] < 0)
            return false;
    return true;
}

static void print_info_text(const Run *run, const lathe_model_info *info) {
    Arena *arena = run->arena;
    TextTable table;
    lt_table_init(&table, arena, "lll", "what\tname\tvalue");
    lt_table_row(&table, "model\t\t%s", info->name);
    lt_table_row(&table, "target\t\t%s", info->target);
    lt_table_row(&table, "compiled by\t\tlathe %s", info->version);
    lt_table_row(&table, "weights\t\t%s", lt_text_bytes(arena, (double)info->weights_bytes));
    lt_table_row(&table, "kernels\t\t%u", info->kernel_count);
    if (dims_are_known(run, info))
        lt_table_row(&table, "arena\t\t%s",
                     lt_text_bytes(arena, (double)lathe_context_arena_bytes(run->context)));
    else if (run->context)
        lt_table_row(&table, "arena\t\tdepends on the dims: give them with --dim");
    else
        lt_table_row(&table, "arena\t\tnot known without the GPU that it is for");
    for (uint32_t i = 0; i < info->symbol_count; i++) {
        const lathe_dim *symbol = lathe_symbol_info(run->model, i);
        lt_table_row(&table, "dim\t%s\t%s", symbol->symbol, range_text(arena, symbol));
    }
    for (uint32_t i = 0; i < lathe_input_count(run->model); i++) {
        const lathe_tensor_info *input = lathe_input_info(run->model, i);
        lt_table_row(&table, "input\t%s\t%s", input->name, dims_text(arena, input));
    }
    for (uint32_t i = 0; i < lathe_output_count(run->model); i++) {
        const lathe_tensor_info *output = lathe_output_info(run->model, i);
        lt_table_row(&table, "output\t%s\t%s", output->name, dims_text(arena, output));
    }
    lt_table_print(&table, run->cli->out);
}

static void json_pair(FILE *out, const char *key, const char *value) {
    lt_json_string(out, key);
    fputs(": ", out);
    lt_json_string(out, value);
}

static void json_tensor(FILE *out, const lathe_tensor_info *info) {
    fputc('{', out);
    json_pair(out, "name", info->name);
    fputs(", ", out);
    json_pair(out, "dtype", lathe_dtype_name(info->dtype));
    fputs(", \"dims\": [", out);
    for (int32_t axis = 0; axis < info->rank; axis++) {
        const lathe_dim *dim = &info->dims[axis];
        fputs(axis ? ", " : "", out);
        if (dim->lo == dim->hi && !dim->symbol)
            fprintf(out, "%" PRId64, dim->lo);
        else
            lt_json_string(out, dim->text);
    }
    fputs("]}", out);
}

static void json_symbols(FILE *out, const Run *run, uint32_t count) {
    fputs(", \"symbols\": [", out);
    for (uint32_t i = 0; i < count; i++) {
        const lathe_dim *symbol = lathe_symbol_info(run->model, i);
        fputs(i ? ", {" : "{", out);
        json_pair(out, "name", symbol->symbol);
        fprintf(out, ", \"lo\": %" PRId64 ", \"hi\": ", symbol->lo);
        if (symbol->hi == INT64_MAX)
            fputs("null}", out);
        else
            fprintf(out, "%" PRId64 "}", symbol->hi);
    }
    fputc(']', out);
}

static void print_info_json(const Run *run, const lathe_model_info *info) {
    FILE *out = run->cli->out;
    fputc('{', out);
    json_pair(out, "model", info->name);
    fputs(", ", out);
    json_pair(out, "target", info->target);
    fputs(", ", out);
    json_pair(out, "version", info->version);
    fprintf(out, ", \"weights_bytes\": %" PRIu64 ", \"kernels\": %u, \"arena_bytes\": ",
            info->weights_bytes, info->kernel_count);
    if (dims_are_known(run, info))
        fprintf(out, "%zu", lathe_context_arena_bytes(run->context));
    else
        fputs("null", out);
    json_symbols(out, run, info->symbol_count);
    fputs(", \"inputs\": [", out);
    for (uint32_t i = 0; i < lathe_input_count(run->model); i++) {
        fputs(i ? ", " : "", out);
        json_tensor(out, lathe_input_info(run->model, i));
    }
    fputs("], \"outputs\": [", out);
    for (uint32_t i = 0; i < lathe_output_count(run->model); i++) {
        fputs(i ? ", " : "", out);
        json_tensor(out, lathe_output_info(run->model, i));
    }
    fputs("]}\n", out);
}

/* What the arena needs is known once inputs are bound: zeros will do. */
static int prepare_with_zeros(Run *run) {
    for (uint32_t i = 0; i < lathe_input_count(run->model); i++)
        if (run->sources[i].kind == SOURCE_RANDOM)
            run->sources[i].kind = SOURCE_ZEROS;
    int code = lt_run_bind(run);
    lathe_status status = code == GO_ON ? lathe_prepare(run->context) : LATHE_OK;
    return status ? lt_run_fail(run, status, "%s", lathe_context_error(run->context)) : code;
}

int lt_run_describe(Run *run) {
    lathe_model_info info;
    lathe_model_get_info(run->model, &info);
    int code = dims_are_known(run, &info) ? prepare_with_zeros(run) : GO_ON;
    if (code != GO_ON)
        return code;
    if (run->options->json)
        print_info_json(run, &info);
    else
        print_info_text(run, &info);
    return GO_ON;
}

/* --- times --- */

typedef struct Statistics {
    double min, median, p99, total;
} Statistics;

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* p99 is the nearest rank: the smallest time that at least 99% of the runs do not exceed. */
static Statistics summarize(RunTimes *times) {
    size_t n = times->runs.len, rank = (n * 99 + 99) / 100;
    double *sorted = times->runs.data, total = 0;
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    for (size_t i = 0; i < n; i++)
        total += sorted[i];
    return (Statistics){.min = sorted[0],
                        .median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2,
                        .p99 = sorted[rank - 1],
                        .total = total};
}

static void print_times(const Run *run, const Statistics *s) {
    Arena *arena = run->arena;
    FILE *out = run->cli->out;
    fprintf(out, "load %s, first run %s, threads %d\n", lt_text_seconds(arena, run->times.load),
            lt_text_seconds(arena, run->times.first), lathe_context_threads(run->context));
    fprintf(out, "%zu run%s: min %s, median %s, p99 %s, %.1f runs/s\n", run->times.runs.len,
            run->times.runs.len == 1 ? "" : "s", lt_text_seconds(arena, s->min),
            lt_text_seconds(arena, s->median), lt_text_seconds(arena, s->p99),
            s->total > 0 ? (double)run->times.runs.len / s->total : 0);
}

/* --- profile --- */

static int by_total(const void *a, const void *b) {
    const lathe_kernel_time *x = a, *y = b;
    if (x->total_ns != y->total_ns)
        return x->total_ns < y->total_ns ? 1 : -1;
    return strcmp(x->name, y->name);
}

/* The kernels that ran, the slowest first. */
static lathe_kernel_time *collect_kernels(const Run *run, size_t *count, double *total_ns) {
    uint32_t rows = lathe_profile_count(run->context);
    lathe_kernel_time *kernels = LT_ARRAY(run->arena, lathe_kernel_time, rows + 1);
    *count = 0;
    *total_ns = 0;
    for (uint32_t i = 0; i < rows; i++) {
        lathe_kernel_time *kernel = &kernels[*count];
        if (lathe_profile_get(run->context, i, kernel) == LATHE_OK && kernel->calls) {
            *total_ns += (double)kernel->total_ns;
            ++*count;
        }
    }
    qsort(kernels, *count, sizeof *kernels, by_total);
    return kernels;
}

static void print_profile(const Run *run) {
    size_t count;
    double total;
    const lathe_kernel_time *kernels = collect_kernels(run, &count, &total);
    TextTable table;
    lt_table_init(&table, run->arena, "rrrrrl", "share\ttotal ms\tcalls\tmean us\tmin us\tkernel");
    for (size_t i = 0; i < count; i++) {
        const lathe_kernel_time *k = &kernels[i];
        lt_table_row(&table, "%.1f%%\t%.3f\t%" PRIu64 "\t%.1f\t%.1f\t%s",
                     total > 0 ? 100 * (double)k->total_ns / total : 0, (double)k->total_ns / 1e6,
                     k->calls, (double)k->total_ns / 1e3 / (double)k->calls,
                     (double)k->min_ns / 1e3, k->name);
    }
    lt_table_row(&table, "100.0%%\t%.3f\t\t\t\tall kernels", total / 1e6);
    lt_table_print(&table, run->cli->out);
}

static void json_profile(const Run *run) {
    FILE *out = run->cli->out;
    size_t count;
    double total;
    const lathe_kernel_time *kernels = collect_kernels(run, &count, &total);
    fputs(", \"kernels\": [", out);
    for (size_t i = 0; i < count; i++) {
        const lathe_kernel_time *k = &kernels[i];
        fputs(i ? ", {" : "{", out);
        json_pair(out, "name", k->name);
        fputs(", ", out);
        json_pair(out, "nodes", k->nodes);
        fprintf(out, ", \"calls\": %" PRIu64 ", \"total_ms\": %.6f, \"min_ms\": %.6f}", k->calls,
                (double)k->total_ns / 1e6, (double)k->min_ns / 1e6);
    }
    fputc(']', out);
}

/* --- all --- */

static void json_number(FILE *out, const char *key, double value) {
    fprintf(out, ", \"%s\": ", key);
    lt_json_double(out, value);
}

static void json_check(const Run *run) {
    FILE *out = run->cli->out;
    fputs(", \"check\": [", out);
    for (uint32_t i = 0; i < lathe_output_count(run->model); i++) {
        const Difference *d = &run->differences[i];
        fputs(i ? ", {" : "{", out);
        json_pair(out, "output", lathe_output_info(run->model, i)->name);
        fprintf(out, ", \"right\": %s", d->differs ? "false" : "true");
        json_number(out, "greatest_error", d->shapes_differ ? NAN : d->greatest);
        fprintf(out, ", \"wrong\": %" PRId64 ", \"elements\": %" PRId64 "}", d->wrong, d->elements);
    }
    fputc(']', out);
}

static void print_json(const Run *run, const Statistics *s) {
    FILE *out = run->cli->out;
    lathe_model_info info;
    lathe_model_get_info(run->model, &info);
    fputc('{', out);
    json_pair(out, "model", run->path);
    json_number(out, "load_ms", run->times.load * 1e3);
    json_number(out, "first_run_ms", run->times.first * 1e3);
    fprintf(out, ", \"runs\": %zu", run->times.runs.len);
    json_number(out, "min_ms", s->min * 1e3);
    json_number(out, "median_ms", s->median * 1e3);
    json_number(out, "p99_ms", s->p99 * 1e3);
    fprintf(out, ", \"threads\": %d, \"arena_bytes\": %zu, \"weights_bytes\": %" PRIu64,
            lathe_context_threads(run->context), lathe_context_arena_bytes(run->context),
            info.weights_bytes);
    fprintf(out, ", \"peak_rss_bytes\": %" PRId64, lt_peak_memory());
    if (run->options->profile)
        json_profile(run);
    if (run->differences)
        json_check(run);
    fputs("}\n", out);
}

int lt_run_report(Run *run) {
    const RunOptions *options = run->options;
    Statistics statistics = summarize(&run->times);
    if (options->json)
        print_json(run, &statistics);
    else if (options->repeat || options->seconds > 0 ||
             !(options->print || options->output_dir || options->check))
        print_times(run, &statistics);
    if (!options->profile)
        return GO_ON;
    lathe_profile_stop(run->context);
    if (options->profile[0]) {
        lathe_status status = lathe_profile_write(run->context, options->profile);
        if (status)
            return lt_run_fail(run, status, "%s", lathe_context_error(run->context));
    } else if (!options->json) {
        print_profile(run);
    }
    return GO_ON;
}
