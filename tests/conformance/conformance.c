/* conformance.c - runs the ONNX backend suite, see conformance.h.
 *
 * Without options it is a test program as the others are: in each form it runs a fixed part of the
 * suite, each time another, is silent about what is known, and ends with the line that tests/run.sh
 * adds up. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"

enum { BAD_FILE = 74 };

/* What runs without options: one case in so many, none of them in two forms. */
static const uint64_t parts[DIMS_FORMS] = {[DIMS_GIVEN] = 3, [DIMS_BATCH] = 12, [DIMS_ALL] = 6};

typedef struct Options {
    const char *filter, *json, *target;
    int64_t jobs, seconds, part;
    int dims; /* a DimsForm; -1: each */
    bool all, list_failures, bless, cuda_jit;
} Options;

#define ROW(field, ...) CLI_ROW(Options, field, __VA_ARGS__)
static const CliOption table[] = {
    CLI_HEADING("Which cases"),
    ROW(all, CLI_FLAG, "--all", NULL, "all, and tables of them; without: a fixed part"),
    ROW(filter, CLI_STRING, "--filter", "GLOB", "of all, those with such a name"),
    ROW(part, CLI_INT, "--part", "N", "one in N, another part in each form", .min = 1, .max = 1000),
    CLI_HEADING("How"),
    ROW(dims, CLI_CHOICE, "--dims", NULL,
        "the extents of the inputs are as given, or the leading\n"
        "ones are symbolic, or all (default: once each way)",
        .choices = DIMS_CHOICES),
    ROW(target, CLI_STRING, "--target", "NAME", "as lathec takes it (default: this machine)"),
    ROW(cuda_jit, CLI_FLAG, "--cuda-jit", NULL, "as lathec takes it"),
    ROW(jobs, CLI_INT, "--jobs", "N", "at most so many at once (default: 2)", .min = 1, .max = 64),
    ROW(seconds, CLI_INT, "--limit", "SECONDS", "for each case (default: 60)", .min = 1,
        .max = 3600),
    CLI_HEADING("What is told"),
    ROW(list_failures, CLI_FLAG, "--list-failures", NULL, "each case that failed, and why"),
    ROW(json, CLI_STRING, "--json", "FILE", "writes every case's result"),
    ROW(bless, CLI_FLAG, "--bless", NULL,
        "writes what is expected as the run went: tests/conformance/\n"
        "expected, expected.batch, expected.all"),
};
static const CliTool tool = {
    .name = "conformance",
    .synopsis = "[--all | --filter GLOB] [options]",
    .summary = "Runs the ONNX backend suite with compiled code. Exit code 1: a case failed that is "
               "not in\nthe list of what is expected to, or one passed that is.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
};

/* One run of the driver. */
typedef struct Suite {
    const Options *options;
    Arena *arena;
    FILE *json; /* NULL: not asked for */
    bool json_is_empty, is_whole;
    Conformance forms[DIMS_FORMS];
    size_t count, passed, failed, skipped, surprises; /* of all forms */
} Suite;

static size_t count_cases(const Conformance *c, const char *folder, bool passed_only) {
    size_t count = 0;
    for (size_t i = 0; i < c->cases.len; i++)
        count += strncmp(c->cases.data[i].name, folder, strlen(folder)) == 0 &&
                 (!passed_only || case_passed(&c->cases.data[i]));
    return count;
}

/* What one form came to. False: a file cannot be written. */
static bool report_form(Suite *s, const Conformance *c) {
    const Options *options = s->options;
    const char *list = lt_dims_expected(c->dims);
    if (s->is_whole) {
        printf("extents of inputs symbolic: %s\n\n", c->dims ? lt_dims_name(c->dims) : "none");
        lt_report_ops(c);
        lt_report_reasons(c);
    }
    if (options->list_failures)
        lt_report_failures(c);
    if (s->json)
        lt_report_json(c, s->json, &s->json_is_empty);
    if (options->bless && !lt_expected_write(c)) {
        perror(list);
        return false;
    }
    const size_t surprises = options->bless ? 0 : lt_report_surprises(c);
    if (surprises)
        printf("%zu results are not what %s says\n", surprises, list);
    printf("%scompile time of those that passed: median %.1f ms\n\n", s->is_whole ? "\n" : "",
           lt_median_compile_ms(c));
    const size_t passed = count_cases(c, "", true);
    s->passed += passed;
    s->failed += c->cases.len - passed;
    s->skipped += c->all - c->cases.len;
    s->surprises += surprises;
    return true;
}

static int run_form(Suite *s, DimsForm dims) {
    Conformance *c = &s->forms[s->count++];
    *c = (Conformance){.arena = s->arena,
                       .dims = dims,
                       .target = s->options->target,
                       .cuda_jit = s->options->cuda_jit,
                       .jobs = (int)s->options->jobs,
                       .seconds = (int)s->options->seconds};
    const uint64_t part = s->options->part ? (uint64_t)s->options->part : parts[dims];
    const CaseChoice choice = {.filter = s->options->filter,
                               .part = s->is_whole ? 1 : part,
                               .which = s->is_whole ? 0 : dims};
    if (!lt_cases_find(c, &choice) || !lt_expected_read(c) || !lt_cases_run(c))
        return EXIT_FAILURE;
    return report_form(s, c) ? EXIT_SUCCESS : BAD_FILE;
}

/* The figures of the forms beside each other, and the last line: of a suite that was asked for, or
 * of a test program. */
static void report_totals(const Suite *s) {
    TextTable figures;
    lt_table_init(&figures, s->arena, "lrrrr", "symbolic\tpassed\tof\tpassed, node\tof");
    for (size_t i = 0; i < s->count; i++) {
        const Conformance *c = &s->forms[i];
        lt_table_row(&figures, "%s\t%zu\t%zu\t%zu\t%zu", c->dims ? lt_dims_name(c->dims) : "none",
                     count_cases(c, "", true), c->cases.len, count_cases(c, "node/", true),
                     count_cases(c, "node/", false));
    }
    lt_table_print(&figures, stdout);
    if (s->is_whole)
        printf("\n%zu passed, %zu failed, %zu skipped\n", s->passed, s->failed, s->skipped);
    else
        printf("\nconformance: %zu passed, %zu failed\n", s->passed, s->surprises);
}

static int run_suite(Suite *s) {
    const Options *options = s->options;
    if (options->json && !(s->json = lt_json_open(options->json)))
        return perror(options->json), BAD_FILE;
    int code = EXIT_SUCCESS;
    for (int dims = 0; dims < DIMS_FORMS && code == EXIT_SUCCESS; dims++)
        if (options->dims < 0 || options->dims == dims)
            code = run_form(s, (DimsForm)dims);
    if (s->json && !lt_json_close(s->json))
        return perror(options->json), BAD_FILE;
    if (code != EXIT_SUCCESS)
        return code;
    report_totals(s);
    return s->surprises ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    Arena arena;
    lt_arena_init(&arena);
    Options options = {.jobs = 2, .seconds = 60, .dims = -1};
    Cli cli = {.tool = &tool, .arena = &arena, .out = stdout, .err = stderr};
    int code = lt_cli_parse(&cli, argc, argv, &options);
    if (code < 0 && cli.arguments.len)
        code = lt_cli_wrong(&cli, "%s: no arguments are taken", cli.arguments.data[0]);
    if (code >= 0)
        return code;
    Suite suite = {.options = &options,
                   .arena = &arena,
                   .json_is_empty = true,
                   .is_whole = options.all || options.filter};
    code = run_suite(&suite);
    lt_arena_free(&arena);
    return code;
}
