/* lathe_run.c - runs a model: once, for its outputs, or many times, for its speed.
 *
 * The steps are the lines of use_model. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "tools/run.h"
#include "tools/temporary.h"

enum { GO_ON = -1, OUT_OF_MEMORY = 6, DEFAULT_WARMUP = 2, MAX_RUNS = 10000000 };

#define ROW(field, ...) CLI_ROW(RunOptions, field, __VA_ARGS__)
static const CliOption table[] = {
    CLI_HEADING("Inputs and outputs"),
    ROW(inputs, CLI_LIST, "--input", "[NAME=]SOURCE",
        "fill an input (the first without NAME) from FILE.npy, FILE.pb (ONNX TensorProto),\n"
        "random[:SEED] or zeros; inputs that are not named are random. Random floats are\n"
        "standard normal, random integers and bools are 0 or 1"),
    ROW(dims, CLI_PAIR, "--dim", "NAME=N",
        "the value of a symbolic dim, for random inputs and zeros; a model file is compiled\n"
        "for it, or for NAME=LO..HI"),
    ROW(output_dir, CLI_STRING, "--output-dir", "DIR",
        "write every output to DIR/NAME.npy ('/' in a name becomes '_')"),
    ROW(print, CLI_FLAG, "--print", NULL, "print the outputs' values (the first 1000 of each)"),
    ROW(check, CLI_STRING, "--check", "MODEL",
        "compare every output with what the evaluator makes of the model file MODEL on the\n"
        "same inputs (slow: plain loops); without an artifact, MODEL is compiled and checked"),

    CLI_HEADING("Running"),
    ROW(threads, CLI_INT, "--threads", "N", "threads (default: physical cores)", .min = 1,
        .max = 1024),
    ROW(device, CLI_INT, "--device", "N", "the GPU that a model for GPUs runs on (default: 0)",
        .min = 0, .max = 1023),
    ROW(repeat, CLI_INT, "--repeat", "N", "time N runs", .min = 1, .max = MAX_RUNS),
    ROW(seconds, CLI_DOUBLE, "--seconds", "S", "time runs for S seconds"),
    ROW(warmup, CLI_INT, "--warmup", "N", "runs between the first and the timed ones (default: 2)",
        .min = 0, .max = MAX_RUNS),
    ROW(profile, CLI_OPTIONAL, "--profile", "FILE.json",
        "write a Chrome trace of the kernels; without FILE.json: print a table of them",
        .choices = ".json"),

    CLI_HEADING("Compiling a model file"),
    COMPILE_LEVEL_ROWS(RunOptions, compile),
    COMPILE_DISABLE_ROW(RunOptions, compile),

    CLI_HEADING("Reports"),
    ROW(info, CLI_FLAG, "--info", NULL, "signature, target, sizes; runs nothing"),
    ROW(json, CLI_FLAG, "--json", NULL, "times (or --info) as one JSON object on standard output"),
};

static const CliTool tool = {
    .name = "lathe-run",
    .synopsis = "MODEL [options]",
    .summary = "Runs an artifact (.so) that lathec made, or a model file (.onnx, .lir), which is\n"
               "compiled for this machine first.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .footer =
        "Models are compiled by the lathec beside lathe-run, or else by the one in PATH.\n\n"
        "Exit codes: 0 done; 1 failed; 2 wrong use, or inputs that do not fit; 3 something is not\n"
        "supported; 4 malformed file; 5 --check found wrong numbers; 6 the machine lacks\n"
        "something; 70 internal error; 74 a file could not be read or written.",
};

int lt_run_fail(const Run *run, lathe_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(run->cli->err, "%s: error: ", run->path);
    vfprintf(run->cli->err, format, args);
    fputc('\n', run->cli->err);
    va_end(args);
    return lt_cli_exit_code((int)status);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int check_options(const Cli *cli, const RunOptions *options) {
    if (cli->arguments.len == 0 && !options->check)
        return lt_cli_wrong(cli, "no MODEL is given");
    if (cli->arguments.len > 1)
        return lt_cli_wrong(cli, "expected one MODEL, found also '%s'", cli->arguments.data[1]);
    if (options->check && options->info)
        return lt_cli_wrong(cli, "--info runs nothing that --check could compare");
    if (options->repeat && options->seconds > 0)
        return lt_cli_wrong(cli, "--repeat and --seconds exclude each other");
    if (options->json && options->print)
        return lt_cli_wrong(cli,
                            "--json and --print exclude each other: both write to standard output");
    return GO_ON;
}

static int load(Run *run) {
    double start = now();
    lathe_context_options options = {.struct_size = sizeof options,
                                     .threads = (int32_t)run->options->threads};
    const lathe_model_options model_options = {.struct_size = sizeof model_options,
                                               .device = (int32_t)run->options->device};
    lathe_status status = lathe_model_open(run->artifact, &model_options, &run->model);
    if (run->artifact != run->path)
        lt_temporary_remove(); /* it is mapped, and nobody else needs it */
    if (!status)
        status = lathe_context_new(run->model, &options, &run->context);
    /* What a model is can be told without the GPU that it runs on. */
    if (status == LATHE_MACHINE && run->model && run->options->info)
        status = LATHE_OK;
    run->times.load = now() - start;
    return status ? lt_run_fail(run, status, "%s", lathe_last_error()) : GO_ON;
}

static int run_once(Run *run, double *seconds) {
    double start = now();
    lathe_status status = lathe_run(run->context);
    *seconds = now() - start;
    return status ? lt_run_fail(run, status, "%s", lathe_context_error(run->context)) : GO_ON;
}

static int start_profile(Run *run) {
    lathe_status status = run->options->profile ? lathe_profile_start(run->context, 0) : LATHE_OK;
    return status ? lt_run_fail(run, status, "%s", lathe_context_error(run->context)) : GO_ON;
}

static int time_runs(Run *run) {
    const RunOptions *options = run->options;
    double seconds, start;
    int code = GO_ON;
    for (int64_t i = 0; i < options->warmup && code == GO_ON; i++)
        code = run_once(run, &seconds);
    if (code == GO_ON)
        code = start_profile(run);
    start = now();
    while (code == GO_ON && run->times.runs.len < MAX_RUNS) {
        bool enough = options->repeat ? (int64_t)run->times.runs.len >= options->repeat
                                      : run->times.runs.len && now() - start >= options->seconds;
        if (enough)
            break;
        code = run_once(run, &seconds);
        lt_vec_push(run->arena, &run->times.runs, seconds);
    }
    return code;
}

/* The first run stands for all when no timing is asked for. */
static int run_model(Run *run) {
    bool timed = run->options->repeat || run->options->seconds > 0;
    int code = timed ? GO_ON : start_profile(run);
    if (code == GO_ON)
        code = run_once(run, &run->times.first);
    if (code != GO_ON || timed)
        return code != GO_ON ? code : time_runs(run);
    lt_vec_push(run->arena, &run->times.runs, run->times.first);
    return GO_ON;
}

static int use_model(Run *run) {
    int code = load(run), checked = GO_ON;
    if (code == GO_ON)
        code = lt_run_inputs(run);
    if (code != GO_ON)
        return code;
    if (run->options->info) {
        code = lt_run_describe(run);
        return code == GO_ON ? 0 : code;
    }
    lt_run_guess_dims(run);
    code = lt_run_bind(run);
    if (code == GO_ON)
        code = run_model(run);
    if (code == GO_ON)
        code = lt_run_write_outputs(run);
    if (code == GO_ON)
        checked = lt_run_check(run);
    if (code == GO_ON && (checked == GO_ON || run->differences))
        code = lt_run_report(run);
    if (code == GO_ON)
        code = checked;
    return code == GO_ON ? 0 : code;
}

int main(int argc, char **argv) {
    Arena arena;
    jmp_buf out_of_memory;
    lt_arena_init(&arena);
    if (setjmp(out_of_memory)) {
        fprintf(stderr, "lathe-run: error: out of memory\n");
        return OUT_OF_MEMORY;
    }
    arena.out_of_memory = &out_of_memory;
    RunOptions options = {.warmup = DEFAULT_WARMUP, .compile = {.pass_limit = -1}};
    Cli cli = {.tool = &tool, .arena = &arena, .out = stdout, .err = stderr};
    int code = lt_cli_parse(&cli, argc, argv, &options);
    if (code == GO_ON)
        code = check_options(&cli, &options);
    if (code == GO_ON) {
        Run run = {.cli = &cli,
                   .arena = &arena,
                   .options = &options,
                   .path = cli.arguments.len ? cli.arguments.data[0] : options.check};
        code = lt_run_compile(&run, &options);
        if (code == GO_ON)
            code = use_model(&run);
        lathe_context_free(run.context);
        lathe_model_close(run.model);
    }
    if (fflush(stdout) != 0 && code == 0)
        code = lt_cli_exit_code(LATHE_IO);
    lt_arena_free(&arena);
    return code;
}
