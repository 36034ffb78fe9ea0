/* lathec.c - compiles a model into an artifact. */
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/compile.h"
#include "tools/op_list.h"

enum { UNSUPPORTED = 3 };

typedef struct Options {
    CompileOptions compile;
    const char *out, *tune, *params;
    bool stats, check, list_passes, list_ops, list_targets;
} Options;

#define ROW(field, ...) CLI_ROW(Options, field, __VA_ARGS__)
static const CliOption table[] = {
    CLI_HEADING("Output"),
    ROW(out, CLI_STRING, "-o", "OUT", "write to OUT; - is standard output (text only)"),
    ROW(compile.emit, CLI_CHOICE, "--emit", EMIT_CHOICES,
        "what to write (default: what the suffix\n"
        "of OUT says, .o .a .lir .ll .s .cu, else so). obj and lib are for static linking: a C\n"
        "header with typed functions is written beside them; they need no runtime. cuda is one\n"
        "file for nvcc, with the weights beside it",
        .choices = EMIT_CHOICES),
    ROW(compile.weights, CLI_STRING, "--weights", "FILE",
        "keep the weights outside the artifact, in FILE"),
    ROW(stats, CLI_FLAG, "--stats", NULL, "nodes, kernels, memory, times, sizes, on stderr"),
    ROW(check, CLI_FLAG, "--check", NULL,
        "say op by op what is supported, and why the rest is not;\ncompile nothing"),
    COMPILE_ROWS(Options, compile),
    CLI_HEADING("Not supported yet"),
    ROW(tune, CLI_STRING, "--tune", "LOG", "use the best of a tuning log", .advanced = true),
    ROW(params, CLI_STRING, "--params", "FILE", "the weights of an MXNet model", .advanced = true),
    CLI_HEADING("Messages"),
    ROW(compile.json, CLI_FLAG, "--json", NULL, "diagnostics as JSON lines"),
    ROW(compile.color, CLI_FLAG, "--color", NULL, "diagnostics in color"),
    ROW(compile.quiet, CLI_FLAG, "--quiet", NULL, "errors only"),
    ROW(compile.progress, CLI_FLAG, "--progress", NULL,
        "the line that moves, even when stderr is no terminal"),
    ROW(compile.no_debug_info, CLI_FLAG, "--no-debug-info", NULL, "no line tables for perf and gdb",
        .advanced = true),
    CLI_HEADING("Lists"),
    ROW(list_passes, CLI_FLAG, "--list-passes", NULL, "the passes, name first"),
    ROW(list_ops, CLI_FLAG, "--list-ops", NULL,
        "the ONNX ops that are read, with their opset versions;\nwith --json, a JSON object each"),
    ROW(list_targets, CLI_FLAG, "--list-targets", NULL, "the targets"),
};

static void print_passes(FILE *out) {
    for (int i = 0; i < lt_pass_count; i++)
        fprintf(out, "%-12s -O%d  %s\n", lt_passes[i].name, lt_passes[i].level, lt_passes[i].doc);
}

static void print_ir_ops(FILE *out) {
    for (int i = 0; i < LT_OP_LIMIT; i++)
        fprintf(out, "%s\n", lt_op_info[i].name);
    for (int i = 0; i < LT_FN_LIMIT; i++)
        fprintf(out, "%s (scalar function, %d operands)\n", lt_scalar_info[i].name,
                lt_scalar_info[i].arity);
}

static void print_targets(FILE *out) {
    const Target *host = lt_codegen_host_target();
    for (int i = 0; i < lt_target_count; i++) {
        const Target *t = &lt_targets[i];
        fprintf(out, "%-14s %-26s %2d-byte vectors, tile %dx%d%s\n", t->name, t->triple,
                t->vector_bytes, t->tile_rows, t->tile_vectors,
                t == host ? "  (this machine)" : "");
    }
}

static const CliTopic topics[] = {
    {"passes", "the same as --list-passes", print_passes},
    {"ops", "the same as --list-ops", lt_ops_list},
    {"ops-page", "the same as a page of Markdown", lt_ops_page},
    {"ir-ops", "the ops and scalar functions of the IR", print_ir_ops},
    {"targets", "the same as --list-targets", print_targets},
};

static const CliTool tool = {
    .name = "lathec",
    .synopsis = "[options] MODEL -o OUT",
    .summary = "Compiles a model (.onnx, or lathe IR, .lir) into one file that liblathe_rt runs.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .topics = topics,
    .topic_count = sizeof topics / sizeof *topics,
    .footer =
        "Examples:\n"
        "  lathec resnet.onnx -o resnet.so\n"
        "  lathec bert.onnx --dim seq=1..512 --stats -o bert.so\n"
        "  lathec model.onnx --emit kernels -o -\n\n"
        "Exit codes: 0 done; 1 failed; 2 wrong use; 3 the model needs what is not supported;\n"
        "4 malformed input; 6 the machine lacks something; 70 internal error; 74 a file could not\n"
        "be read or written.",
};

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What is written must not replace the model, nor one output the other. */
static const char *wrong_files(const Options *o, const char *model) {
    const char *out = o->out, *weights = o->compile.weights;
    bool is_static = o->compile.emit == EMIT_OBJ || o->compile.emit == EMIT_LIB;
    if (out && strcmp(out, "-") == 0 && lt_emit_is_binary(o->compile.emit))
        return "--emit so, obj and lib cannot go to standard output";
    if (out && is_static && lt_str_ends(out, ".h"))
        return "the header, which has this name, would replace the output";
    if (weights && is_static)
        return "--emit obj and lib have the weights in them: --weights is for artifacts";
    if (weights && strcmp(weights, "-") == 0)
        return "--weights cannot go to standard output";
    if ((out && same_file(out, model)) || (weights && same_file(weights, model)))
        return "the output would replace the model";
    if (out && weights && same_file(out, weights))
        return "-o and --weights name the same file";
    return NULL;
}

/* What will be, and is not: never ignored. */
static const char *unsupported(const Options *o) {
    if (o->tune)
        return "--tune is not supported yet; --schedule FILE chooses a schedule";
    return o->params ? "--params: MXNet models are not supported yet" : NULL;
}

static int use_model(const Cli *cli, Options *options) {
    if (unsupported(options)) {
        fprintf(cli->err, "lathec: error: %s\n", unsupported(options));
        return UNSUPPORTED;
    }
    if (options->compile.emit < 0)
        options->compile.emit = lt_emit_kind(options->out);
    if (cli->arguments.len != 1)
        return lt_cli_wrong(cli, cli->arguments.len ? "more than one MODEL is given"
                                                    : "no MODEL is given");
    bool partial = options->compile.stop_after || options->compile.pass_limit >= 0;
    if (!options->out && !options->check && !(partial && options->compile.emit == EMIT_SO))
        return lt_cli_wrong(cli, "no output is given: -o OUT");
    const char *wrong = wrong_files(options, cli->arguments.data[0]);
    if (wrong)
        return lt_cli_wrong(cli, "%s", wrong);
    Compilation c;
    lt_compile_init(&c, cli->arguments.data[0], &options->compile);
    int code = options->check ? lt_check_model(&c) : lt_compile_run(&c, options->out);
    if (code == 0 && options->stats)
        lt_compile_stats(&c, options->out, stderr);
    lt_compile_free(&c);
    return code;
}

int main(int argc, char **argv) {
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error to report and clean up */
    Arena arena;
    lt_arena_init(&arena);
    Options options = {.compile = {.pass_limit = -1, .emit = -1}};
    Cli cli = {.tool = &tool, .arena = &arena, .out = stdout, .err = stderr};
    int code = lt_cli_parse(&cli, argc, argv, &options);
    if (code < 0) {
        code = 0;
        if (options.list_passes)
            print_passes(stdout);
        else if (options.list_ops)
            options.compile.json ? lt_ops_json(stdout) : lt_ops_list(stdout);
        else if (options.list_targets)
            print_targets(stdout);
        else
            code = use_model(&cli, &options);
    }
    lt_arena_free(&arena);
    return code;
}
