/* conformance.c - runs the ONNX backend suite, see conformance.h.
 *
 * Without options it is a test program as the others are: it runs a fixed third of the suite, is
 * silent about what is known, and ends with the line that tests/run.sh adds up. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"
#include "tools/cli.h"

enum { PART_OF_CHECK = 3, BAD_FILE = 74 };

typedef struct Options {
    const char *filter, *json;
    int64_t jobs, seconds;
    bool all, list_failures, bless;
} Options;

#define ROW(field, ...) CLI_ROW(Options, field, __VA_ARGS__)
static const CliOption table[] = {
    CLI_HEADING("Which cases"),
    ROW(all, CLI_FLAG, "--all", NULL, "all, and tables of them; without: a fixed third"),
    ROW(filter, CLI_STRING, "--filter", "GLOB", "of all, those with such a name"),
    CLI_HEADING("How"),
    ROW(jobs, CLI_INT, "--jobs", "N", "at most so many at once (default: 2)", .min = 1, .max = 64),
    ROW(seconds, CLI_INT, "--limit", "SECONDS", "for each case (default: 60)", .min = 1,
        .max = 3600),
    CLI_HEADING("What is told"),
    ROW(list_failures, CLI_FLAG, "--list-failures", NULL, "each case that failed, and why"),
    ROW(json, CLI_STRING, "--json", "FILE", "writes every case's result"),
    ROW(bless, CLI_FLAG, "--bless", NULL, "writes " EXPECTED_FILE " as the run went"),
};
static const CliTool tool = {
    .name = "conformance",
    .synopsis = "[--all | --filter GLOB] [options]",
    .summary = "Runs the ONNX backend suite with compiled code. Exit code 1: a case that is not "
               "in\n" EXPECTED_FILE " failed, or one that is passed.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
};

static size_t count_passed(const Conformance *c) {
    size_t count = 0;
    for (size_t i = 0; i < c->cases.len; i++)
        count += case_passed(&c->cases.data[i]);
    return count;
}

/* The last line: of a suite that was asked for, or of a test program. */
static void report_totals(const Conformance *c, const Options *options, size_t surprises) {
    size_t passed = count_passed(c), failed = c->cases.len - passed;
    printf("\ncompile time of those that passed: median %.1f ms\n", lt_median_compile_ms(c));
    if (!options->all && !options->filter) {
        printf("%zu of %zu cases ran; %zu passed, %zu failed\n", c->cases.len, c->all, passed,
               failed);
        printf("conformance: %zu passed, %zu failed\n", passed, surprises);
        return;
    }
    if (surprises)
        printf("%zu results are not what %s says\n", surprises, EXPECTED_FILE);
    printf("%zu passed, %zu failed, %zu skipped\n", passed, failed, c->all - c->cases.len);
}

static int report(const Conformance *c, const Options *options) {
    if (options->all || options->filter) {
        lt_report_ops(c);
        lt_report_reasons(c);
    }
    if (options->list_failures)
        lt_report_failures(c);
    if (options->json && !lt_report_json(c, options->json)) {
        perror(options->json);
        return BAD_FILE;
    }
    if (options->bless && !lt_expected_write(c)) {
        perror(EXPECTED_FILE);
        return BAD_FILE;
    }
    size_t surprises = options->bless ? 0 : lt_report_surprises(c);
    report_totals(c, options, surprises);
    return surprises ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    Arena arena;
    lt_arena_init(&arena);
    Options options = {.jobs = 2, .seconds = 60};
    Cli cli = {.tool = &tool, .arena = &arena, .out = stdout, .err = stderr};
    int code = lt_cli_parse(&cli, argc, argv, &options);
    if (code < 0 && cli.arguments.len)
        code = lt_cli_wrong(&cli, "%s: no arguments are taken", cli.arguments.data[0]);
    if (code >= 0)
        return code;
    Conformance c = {
        .arena = &arena, .jobs = (int)options.jobs, .seconds = (int)options.seconds};
    bool whole = options.all || options.filter;
    const CaseChoice choice = {.filter = options.filter, .part = whole ? 1 : PART_OF_CHECK};
    if (!lt_cases_find(&c, &choice) || !lt_expected_read(&c) || !lt_cases_run(&c))
        return EXIT_FAILURE;
    code = report(&c, &options);
    lt_arena_free(&arena);
    return code;
}
