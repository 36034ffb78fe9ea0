/* compile.c - drives a compilation from a path to a path, and tells the user what happens. */
#include "tools/compile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tools/temporary.h"

enum { STATUS_USE = 2, STATUS_MACHINE = 6, STATUS_INTERNAL = 70, STATUS_IO = 74 };

double lt_seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- the progress line --------------------------------------------------------------------- */

static void show_progress(Compilation *c, const char *what, int done, int total) {
    if (!c->on_terminal)
        return;
    fprintf(stderr, "\r\033[K%s: %s %d/%d  %.1f s", c->path, what, done, total,
            lt_seconds_now() - c->started);
    fflush(stderr);
}

static void clear_progress(const Compilation *c) {
    if (c->on_terminal)
        fputs("\r\033[K", stderr);
}

static void before_pass(void *user, const Pass *pass, int index, int count) {
    show_progress(user, pass->name, index + 1, count);
}

static void after_pass(void *user, const Pass *pass, PassContext *ctx, bool changed,
                       double seconds) {
    Compilation *c = user;
    (void)ctx;
    (void)seconds;
    if (c->after_pass)
        c->after_pass(c, pass, changed);
}

static void codegen_progress(void *user, int done, int total) {
    show_progress(user, "kernels", done, total);
}

/* --- diagnostics --------------------------------------------------------------------------- */

static void print_json_diag(const char *file, const Diag *d) {
    static const char *const levels[] = {"note", "remark", "warning", "error"};
    fputs("{\"file\": ", stderr);
    lt_json_string(stderr, file);
    fprintf(stderr, ", \"level\": \"%s\", \"status\": %d, \"node\": ", levels[d->level], d->status);
    lt_json_string(stderr, d->loc && d->loc->node ? d->loc->node : "");
    fputs(", \"op\": ", stderr);
    lt_json_string(stderr, d->loc && d->loc->op ? d->loc->op : "");
    fputs(", \"text\": ", stderr);
    lt_json_string(stderr, d->text);
    fputs("}\n", stderr);
}

int lt_compile_fail(Compilation *c, const char *file, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(&c->arena, format, args);
    va_end(args);
    clear_progress(c);
    if (c->options->json)
        print_json_diag(file, &(Diag){.level = DIAG_ERROR, .status = status, .text = text});
    else
        fprintf(stderr, "%s: error: %s\n", file, text);
    return lt_cli_exit_code(status);
}

int lt_compile_report(Compilation *c) {
    clear_progress(c);
    if (!c->diags)
        return 0;
    for (; c->diags_printed < c->diags->items.len; c->diags_printed++) {
        const Diag *d = &c->diags->items.data[c->diags_printed];
        if (c->options->quiet && d->level < DIAG_ERROR)
            continue;
        if (c->options->json)
            print_json_diag(c->path, d);
        else
            fprintf(stderr, "%s\n", lt_diag_format(c->diags, d, c->options->color));
    }
    return c->diags->errors ? lt_cli_exit_code(lt_diag_status(c->diags)) : 0;
}

/* A bug in the compiler: the graph as it was goes into a file that reproduces it. */
static void write_reproducer(Compilation *c) {
    if (!c->ctx.module)
        return;
    char path[64];
    snprintf(path, sizeof path, "lathe-crash-%ld.lir", (long)getpid());
    Str text;
    lt_str_init(&text, &c->arena);
    lt_module_print(&text, c->ctx.module);
    OutputFile out;
    if (!lt_output_open(&out, path))
        return;
    lt_output_write(&out, text.text, text.len);
    if (lt_output_commit(&out, 0644))
        fprintf(stderr, "%s: note: this is a bug in lathe; %s reproduces it\n", c->path, path);
}

static int finish(Compilation *c) {
    int code = lt_compile_report(c);
    if (code == STATUS_INTERNAL)
        write_reproducer(c);
    return code;
}

/* --- reading ------------------------------------------------------------------------------- */

void lt_compile_init(Compilation *c, const char *path, const CompileOptions *options) {
    *c = (Compilation){.path = path, .options = options, .started = lt_seconds_now()};
    c->on_terminal =
        !options->quiet && !options->json && (options->progress || isatty(STDERR_FILENO));
    lt_arena_init(&c->arena);
    lt_arena_init(&c->scratch);
    c->arena.out_of_memory = &c->out_of_memory;
    c->scratch.out_of_memory = &c->out_of_memory;
    bool levels[] = {options->o0, options->o1, options->o2, options->o3};
    c->ctx.level = 2;
    for (int i = 0; i < 4; i++)
        if (levels[i])
            c->ctx.level = i;
    c->ctx.scratch = &c->scratch;
}

void lt_compile_free(Compilation *c) {
    lt_arena_free(&c->scratch);
    lt_arena_free(&c->arena);
}

static int read_overrides(Compilation *c, ImportOptions *import) {
    const CompileOptions *o = c->options;
    DimOverride *dims = LT_ARRAY(&c->arena, DimOverride, o->dims.len + 1);
    InputOverride *inputs = LT_ARRAY(&c->arena, InputOverride, o->inputs.len + 1);
    for (size_t i = 0; i < o->dims.len; i++) {
        const char *value;
        lt_cli_split(&c->arena, o->dims.data[i], &dims[i].name, &value);
        if (!lt_cli_range(value, &dims[i].lo, &dims[i].hi) || dims[i].lo < 0)
            return lt_compile_fail(c, c->path, STATUS_USE,
                                   "--dim %s: expected NAME=N or NAME=LO..HI", o->dims.data[i]);
    }
    for (size_t i = 0; i < o->inputs.len; i++)
        lt_cli_split(&c->arena, o->inputs.data[i], &inputs[i].name, &inputs[i].shape);
    *import = (ImportOptions){
        .dims = dims,
        .dim_count = (uint32_t)o->dims.len,
        .inputs = inputs,
        .input_count = (uint32_t)o->inputs.len,
        .want_remarks = o->remarks,
    };
    return 0;
}

/* The passes on graphs are optional; what makes the program and lays it out is not. */
static bool is_needed(const Pass *pass) {
    return strcmp(pass->ensures, "program") == 0 || strcmp(pass->ensures, "planned") == 0;
}

static int check_disabled(Compilation *c, const char *list) {
    while (list && *list) {
        size_t length = strcspn(list, ",");
        const char *name = lt_arena_strndup(&c->arena, list, length);
        if (is_needed(lt_pass_find(name)))
            return lt_compile_fail(
                c, c->path, STATUS_USE,
                "--disable: '%s' cannot be left out; --stop-after ends before it", name);
        list += length + (list[length] == ',');
    }
    return 0;
}

/* Every word of an option's list must name a pass; `all` does where `all_too`. */
static int check_pass_names(Compilation *c, const char *option, const char *list, bool all_too) {
    while (list && *list) {
        size_t length = strcspn(list, ",");
        const char *name = lt_arena_strndup(&c->arena, list, length);
        if (!lt_pass_find(name) && !(all_too && strcmp(name, "all") == 0))
            return lt_compile_fail(c, c->path, STATUS_USE,
                                   "%s: there is no pass named '%s'; --list-passes names them",
                                   option, name);
        list += length + (list[length] == ',');
    }
    return 0;
}

static int check_pass_options(Compilation *c) {
    const CompileOptions *o = c->options;
    int code = check_pass_names(c, "--print-after", o->print_after, true);
    if (!code)
        code = check_pass_names(c, "--stop-after", o->stop_after, false);
    if (!code)
        code = check_pass_names(c, "--disable", o->disable, false);
    return code ? code : check_disabled(c, o->disable);
}

/* The text of --schedule's file. */
static int read_schedule(Compilation *c) {
    if (!c->options->schedule)
        return 0;
    MappedFile file;
    char error[128];
    if (!lt_file_map(&file, c->options->schedule, error, sizeof error))
        return lt_compile_fail(c, c->options->schedule, STATUS_IO, "%s", error);
    c->ctx.schedule_override = lt_arena_strndup(&c->arena, (const char *)file.data, file.size);
    lt_file_unmap(&file);
    return 0;
}

/* The reader maps files: standard input goes into one that has no name, and lives as long as the
 * process, as the mapping does. */
static int readable_path(Compilation *c, const char **path) {
    *path = c->path;
    if (strcmp(c->path, "-") != 0)
        return 0;
    FILE *file = tmpfile();
    char block[65536];
    for (size_t n; file && (n = fread(block, 1, sizeof block, stdin)) > 0;)
        if (fwrite(block, 1, n, file) != n)
            return lt_compile_fail(c, c->path, STATUS_IO, "cannot write: %s", strerror(errno));
    if (!file || ferror(stdin) || fflush(file) != 0)
        return lt_compile_fail(c, c->path, STATUS_IO, "%s", strerror(errno));
    *path = lt_arena_printf(&c->arena, "/proc/self/fd/%d", fileno(file));
    return 0;
}

int lt_compile_read(Compilation *c) {
    ImportOptions import;
    int code = lt_compile_target(c);
    if (!code)
        code = check_pass_options(c);
    if (!code)
        code = read_overrides(c, &import);
    if (!code)
        code = read_schedule(c);
    if (code)
        return code;
    const char *path;
    code = readable_path(c, &path);
    if (code)
        return code;
    double start = lt_seconds_now();
    show_progress(c, "reading", 0, 1);
    c->ctx.module = lt_import_file(&c->arena, path, &import, &c->diags);
    c->diags->file = c->path;
    c->read_seconds = lt_seconds_now() - start;
    if (!c->ctx.module) {
        code = finish(c);
        return code ? code : STATUS_INTERNAL;
    }
    c->diags = &c->ctx.module->diags;
    c->diags->want_remarks = c->options->remarks;
    LT_EACH_NODE(n, c->ctx.module->main) c->nodes_read++;
    return lt_compile_report(c);
}

/* --- passes and output --------------------------------------------------------------------- */

int lt_compile_passes(Compilation *c, const char *const *names, int count) {
    const CompileOptions *o = c->options;
    PassOptions options = {
        .print_after = o->print_after,
        .stop_after = o->stop_after,
        .disable = o->disable,
        .limit = o->pass_limit,
        .verify = o->verify,
        .time = o->time_passes,
        .before_pass = before_pass,
        .after_pass = after_pass,
        .user = c,
    };
    if (!names)
        names = lt_pipeline(&count);
    double start = lt_seconds_now();
    bool ok = lt_passes_run(&c->ctx, names, count, &options);
    c->pass_seconds = lt_seconds_now() - start;
    int code = finish(c);
    return ok || code ? code : STATUS_INTERNAL;
}

static int cannot_write(Compilation *c, const char *out) {
    return lt_compile_fail(c, out, STATUS_IO, "cannot write: %s", strerror(errno));
}

static int write_text(Compilation *c, const char *out, const Str *text) {
    OutputFile file;
    if (!lt_output_open(&file, out))
        return cannot_write(c, out);
    lt_output_write(&file, text->text, text->len);
    return lt_output_commit(&file, 0644) ? 0 : cannot_write(c, out);
}

static void print_kernels(Str *text, const Program *p) {
    for (size_t i = 0; i < p->kernels.len; i++) {
        const Kernel *k = p->kernels.data[i];
        if (k->schedule && *k->schedule)
            lt_str_printf(text, "; schedule: %s\n", k->schedule);
        lt_kernel_print(text, k, true);
        lt_str_char(text, '\n');
    }
}

int lt_emit_kind(const char *out) {
    static const struct {
        const char *suffix;
        EmitKind kind;
    } suffixes[] = {{".o", EMIT_OBJ},
                    {".a", EMIT_LIB},
                    {".lir", EMIT_IR},
                    {".ll", EMIT_LLVM_IR},
                    {".s", EMIT_ASM}};
    for (size_t i = 0; out && i < sizeof suffixes / sizeof *suffixes; i++)
        if (lt_str_ends(out, suffixes[i].suffix))
            return suffixes[i].kind;
    return EMIT_SO;
}

int lt_compile_emit(Compilation *c, const char *out) {
    const CompileOptions *o = c->options;
    Str text;
    lt_str_init(&text, &c->arena);
    if (o->emit == EMIT_IR || !c->ctx.program) {
        lt_pass_print(&text, &c->ctx);
        return write_text(c, out, &text);
    }
    if (o->emit == EMIT_KERNELS) {
        print_kernels(&text, c->ctx.program);
        return write_text(c, out, &text);
    }
    CodegenOptions options = {
        .target = c->ctx.target,
        .level = c->ctx.level,
        .weights_path = o->weights,
        .debug_info = !o->no_debug_info,
        .tune_host = !o->target && !o->cpu,
        .progress = codegen_progress,
        .user = c,
    };
    double start = lt_seconds_now();
    bool ok = true;
    if (o->emit == EMIT_SO)
        ok = lt_codegen_so(c->ctx.program, &options, out, c->diags);
    else if (o->emit == EMIT_OBJ || o->emit == EMIT_LIB)
        ok = lt_compile_static(c, &options, out);
    else
        ok = lt_codegen_text(c->ctx.program, &options,
                             o->emit == EMIT_ASM ? CODEGEN_ASM : CODEGEN_LLVM_IR, &text, c->diags);
    c->codegen_seconds = lt_seconds_now() - start;
    int code = finish(c);
    if (!ok || code)
        return code ? code : STATUS_INTERNAL;
    return lt_emit_is_binary(o->emit) ? 0 : write_text(c, out, &text);
}

/* --stop-after and --pass-limit may end before there is what --emit wants. */
static bool can_emit(const Compilation *c) {
    const Program *p = c->ctx.program;
    switch (c->options->emit) {
    case EMIT_IR: return true;
    case EMIT_KERNELS: return p != NULL;
    default: return p && p->arena_size; /* planned */
    }
}

int lt_compile_guarded(Compilation *c, CompileBody *body, void *user) {
    if (setjmp(c->out_of_memory) == 0)
        return body(c, user);
    return lt_compile_fail(c, c->path, STATUS_MACHINE, "out of memory");
}

static int run_all(Compilation *c, void *user) {
    const char *out = user;
    int code = lt_compile_read(c);
    if (!code)
        code = lt_compile_passes(c, NULL, 0);
    if (code || !out || !can_emit(c))
        return code;
    return lt_compile_emit(c, out);
}

int lt_compile_run(Compilation *c, const char *out) {
    return lt_compile_guarded(c, run_all, (void *)(uintptr_t)out);
}

/* --- compiling to run at once ---------------------------------------------------------------- */

bool lt_compile_is_model(const char *path) {
    static const char *const suffixes[] = {".onnx", ".lir", ".tflite", "-symbol.json"};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t tail = strlen(suffixes[i]);
        if (length >= tail && strcasecmp(path + length - tail, suffixes[i]) == 0)
            return true;
    }
    return false;
}

int lt_compile_temporary(const char *model, const CompileOptions *options, Arena *arena,
                         const char **artifact) {
    Compilation c;
    lt_compile_init(&c, model, options);
    *artifact = lt_temporary_new(arena, "model.so");
    int code = *artifact
                   ? lt_compile_run(&c, *artifact)
                   : lt_compile_fail(&c, model, STATUS_IO,
                                     "no folder for the artifact can be made: %s", strerror(errno));
    lt_compile_free(&c);
    if (code && *artifact)
        lt_temporary_remove();
    return code;
}
