/* lathe_dump.c - shows what the passes make of a model. */
#include <stdlib.h>
#include <string.h>

#include "tools/dump.h"
#include "tools/graph_inputs.h"

typedef struct Options {
    CompileOptions compile;
    const char *passes, *after, *diff_with, *reduce, *dot, *svg, *node, *html, *profile;
    CliList sources; /* the words of --input that are no shapes */
    bool all, diff, bisect, kernels, llvm, assembly, memory;
} Options;

#define ROW(field, ...) CLI_ROW(Options, field, __VA_ARGS__)
static const CliOption table[] = {
    CLI_HEADING("What is shown"),
    ROW(after, CLI_STRING, "--after", "PASS[,PASS]", "the IR after these passes; `none`: as read",
        .words = "lathec --list-passes"),
    ROW(all, CLI_FLAG, "--all", NULL, "the IR after every pass"),
    ROW(diff, CLI_FLAG, "--diff", NULL,
        "instead of the IR, what each pass changed in it (with --after: these passes)"),
    ROW(diff_with, CLI_WORDS, "--diff-with", "OPTIONS",
        "build twice, with and without these options (one word: --diff-with \"-O1 --dim n=4\"),\n"
        "and show the first pass after which the IR differs"),
    ROW(bisect, CLI_FLAG, "--bisect", NULL,
        "run the model after every pass, compare with the evaluator, and name the first pass and\n"
        "value that differ. Inputs are random, or --input NAME=FILE.npy, FILE.pb, random:SEED,\n"
        "zeros. Exit code 5 when something differs. Slow: plain loops"),
    ROW(reduce, CLI_WORDS, "--reduce", "COMMAND",
        "shrink the IR as read while it stays interesting, and print what is left. COMMAND runs\n"
        "in a shell with the path of a .lir file as its last word; exit code 0 says that this\n"
        "IR is still interesting. Example: --reduce ./crashes.sh, where crashes.sh holds\n"
        "! lathec \"$1\" -o /dev/null"),
    ROW(passes, CLI_STRING, "--passes", "a,b,c", "run just these passes and print the IR",
        .words = "lathec --list-passes"),
    ROW(dot, CLI_STRING, "--dot", "FILE", "the graph for Graphviz, where --stop-after ends"),
    ROW(svg, CLI_STRING, "--svg", "FILE", "the same, drawn"),
    ROW(html, CLI_STRING, "--html", "FILE",
        "one page for a browser, with all of this: the passes and what each changed, the graph,\n"
        "kernels with schedule, assembly and LLVM IR, memory, and what became of every node of\n"
        "the model. It opens from disk and needs no network"),
    ROW(profile, CLI_STRING, "--profile", "FILE.json",
        "times for --html: what lathe-run --profile FILE.json wrote for the same model"),
    ROW(kernels, CLI_FLAG, "--kernels", NULL, "the kernels, with their schedules"),
    ROW(llvm, CLI_FLAG, "--llvm", NULL, "LLVM IR"),
    ROW(assembly, CLI_FLAG, "--asm", NULL, "assembly"),
    ROW(node, CLI_STRING, "--node", "NAME", "only kernels of this node of the model"),
    ROW(memory, CLI_FLAG, "--memory", NULL, "the arena over time, peak and lower bound"),
    COMPILE_ROWS(Options, compile),
};

static const CliTool tool = {
    .name = "lathe-dump",
    .synopsis = "MODEL|FILE.lir [options]",
    .summary = "Shows what the passes make of a model. Without options: the IR as it is read.",
    .options = table,
    .option_count = sizeof table / sizeof *table,
    .footer =
        "Examples:\n"
        "  lathe-dump resnet.onnx --diff --after simplify,fuse\n"
        "  lathe-dump resnet.onnx --kernels --node Conv_0\n"
        "  lathe-dump resnet.onnx --html resnet.html\n"
        "  lathe-dump resnet.onnx --bisect --input image=cat.npy\n\n"
        "Exit codes: 0 done; 1 failed; 2 wrong use; 3 the model needs what is not supported;\n"
        "4 malformed input; 5 --bisect found a difference; 6 the machine lacks something;\n"
        "70 internal error; 74 a file could not be read or written.",
};

enum { MAX_PASSES = 64 };

static int print_ir(Compilation *c) {
    Str text;
    lt_str_init(&text, &c->arena);
    if (c->ctx.program)
        lt_program_print(&text, c->ctx.program);
    else
        lt_module_print_elided(&text, c->ctx.module);
    fputs(text.text, stdout);
    return 0;
}

/* Text that reads back: what golden tests compare. */
static int run_named(Compilation *c, const char *list) {
    const char *names[MAX_PASSES];
    int count = 0;
    char *copy = lt_arena_strdup(&c->arena, list);
    for (char *save, *name = strtok_r(copy, ",", &save); name && count < MAX_PASSES;
         name = strtok_r(NULL, ",", &save))
        names[count++] = name;
    int code = lt_compile_passes(c, names, count);
    if (code)
        return code;
    Str text;
    lt_str_init(&text, &c->arena);
    lt_pass_print(&text, &c->ctx);
    fputs(text.text, stdout);
    return 0;
}

static bool belongs_to(const Kernel *k, const char *node) {
    if (!node)
        return true;
    for (const Loc *loc = k->loc; loc; loc = loc->next)
        if (loc->node && strcmp(loc->node, node) == 0)
            return true;
    return false;
}

static int print_kernels(Compilation *c, const Options *o) {
    CodegenOptions options = {.target = c->ctx.target, .level = c->ctx.level};
    int shown = 0;
    for (size_t i = 0; i < c->ctx.program->kernels.len; i++) {
        const Kernel *k = c->ctx.program->kernels.data[i];
        Str text;
        lt_str_init(&text, &c->arena);
        if (!belongs_to(k, o->node))
            continue;
        shown++;
        if (o->kernels)
            lt_kernel_print(&text, k, true);
        if (o->llvm)
            lt_codegen_kernel_text(k, &options, CODEGEN_LLVM_IR, &text, c->diags);
        if (o->assembly)
            lt_codegen_kernel_text(k, &options, CODEGEN_ASM, &text, c->diags);
        printf("%s\n", text.text);
    }
    if (shown || !o->node)
        return lt_compile_report(c);
    fprintf(stderr, "lathe-dump: error: no kernel is made of node '%s'\n", o->node);
    return 2;
}

static int dump(Compilation *c, void *options) {
    const Options *o = options;
    int code = lt_compile_read(c);
    if (code)
        return code;
    if (o->passes)
        return run_named(c, o->passes);
    if (o->reduce)
        return lt_dump_reduce(c, o->reduce);
    if (o->bisect)
        return lt_dump_bisect(c, &o->sources);
    if (o->diff)
        return lt_dump_diff(c, o->after ? o->after : "all");
    if (o->html)
        return lt_dump_html(c, o->html, o->profile);
    bool program = o->kernels || o->llvm || o->assembly || o->memory;
    bool graph = o->dot || o->svg;
    bool as_read = !program && !graph && !o->all && !o->after && !o->compile.stop_after &&
                   !o->compile.print_after && !o->compile.remarks && !o->compile.time_passes;
    if (as_read || (o->after && strcmp(o->after, "none") == 0))
        return print_ir(c);
    code = lt_compile_passes(c, NULL, 0);
    if (code)
        return code;
    if (graph) {
        Str dot;
        lt_str_init(&dot, &c->arena);
        lt_dump_dot(&dot, c->ctx.module);
        return lt_dump_write_graph(dot.text, o->dot, o->svg);
    }
    if (program && !c->ctx.program) {
        fprintf(stderr, "lathe-dump: error: there are no kernels where --stop-after ends\n");
        return 2;
    }
    if (o->memory)
        lt_dump_memory(c, stdout);
    return o->kernels || o->llvm || o->assembly ? print_kernels(c, o) : 0;
}

/* Levels replace each other; all else adds to what is there. */
static int parse_more(const Cli *cli, const char *text, Options *options) {
    const CompileOptions base = options->compile;
    CompileOptions *c = &options->compile;
    CliList words = {0};
    Cli more = {.tool = cli->tool, .arena = cli->arena, .out = cli->out, .err = cli->err};
    c->o0 = c->o1 = c->o2 = c->o3 = false;
    lt_vec_push(cli->arena, &words, cli->tool->name);
    lt_cli_words(cli->arena, text, &words);
    char **argv = (char **)(uintptr_t)words.data;
    int code = lt_cli_parse(&more, (int)words.len, argv, options);
    if (code < 0 && more.arguments.len)
        code = lt_cli_wrong(cli, "--diff-with: '%s' is no option", more.arguments.data[0]);
    if (c->o0 || c->o1 || c->o2 || c->o3)
        return code;
    c->o0 = base.o0, c->o1 = base.o1, c->o2 = base.o2, c->o3 = base.o3;
    return code;
}

static int build_twice(const char *path, const Options *options, const Options *more) {
    Compilation a, b;
    lt_compile_init(&a, path, &options->compile);
    lt_compile_init(&b, path, &more->compile);
    int code = lt_dump_diff_with(&a, &b, options->diff_with);
    lt_compile_free(&b);
    lt_compile_free(&a);
    return code;
}

static int diff_with(const Cli *cli, const Options *options) {
    Options more = *options;
    int code = parse_more(cli, options->diff_with, &more);
    return code < 0 ? build_twice(cli->arguments.data[0], options, &more) : code;
}

/* --input gives a shape, or with --bisect the elements. */
static void split_inputs(const Cli *cli, Options *options) {
    CliList all = options->compile.inputs;
    options->compile.inputs = (CliList){0};
    for (size_t i = 0; i < all.len; i++) {
        const char *name, *value;
        lt_cli_split(cli->arena, all.data[i], &name, &value);
        bool source = options->bisect && lt_is_input_source(value);
        lt_vec_push(cli->arena, source ? &options->sources : &options->compile.inputs, all.data[i]);
    }
}

/* Each of these is all that a run does. */
static int check_modes(const Cli *cli, const Options *o) {
    const struct {
        const char *name;
        bool given;
    } modes[] = {{"--passes", o->passes},
                 {"--reduce", o->reduce},
                 {"--bisect", o->bisect},
                 {"--diff", o->diff},
                 {"--diff-with", o->diff_with},
                 {"--dot", o->dot || o->svg},
                 {"--html", o->html},
                 {"--kernels, --llvm, --asm and --memory",
                  o->kernels || o->llvm || o->assembly || o->memory}};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (modes[i].given && first)
            return lt_cli_wrong(cli, "%s and %s exclude each other", first, modes[i].name);
        if (modes[i].given)
            first = modes[i].name;
    }
    if (o->profile && !o->html)
        return lt_cli_wrong(cli, "--profile goes with --html");
    if (o->html && (o->after || o->all || o->node))
        return lt_cli_wrong(cli, "--html shows every pass and kernel: %s does not go with it",
                            o->after ? "--after"
                            : o->all ? "--all"
                                     : "--node");
    return 0;
}

static int use_model(const Cli *cli, Options *options) {
    if (cli->arguments.len != 1)
        return lt_cli_wrong(cli, "one MODEL is expected");
    if (check_modes(cli, options))
        return 2;
    split_inputs(cli, options);
    bool print = !options->diff && !options->bisect && !options->diff_with;
    if (print && options->all)
        options->compile.print_after = "all";
    if (print && options->after && strcmp(options->after, "none") != 0)
        options->compile.print_after = options->after;
    options->compile.quiet = !options->compile.remarks;
    if (options->diff_with)
        return diff_with(cli, options);
    Compilation c;
    lt_compile_init(&c, cli->arguments.data[0], &options->compile);
    int code = lt_compile_guarded(&c, dump, options);
    lt_compile_free(&c);
    return code;
}

int main(int argc, char **argv) {
    Arena arena;
    lt_arena_init(&arena);
    Options options = {.compile = {.pass_limit = -1}};
    Cli cli = {.tool = &tool, .arena = &arena, .out = stdout, .err = stderr};
    int code = lt_cli_parse(&cli, argc, argv, &options);
    if (code < 0)
        code = use_model(&cli, &options);
    lt_arena_free(&arena);
    return code;
}
