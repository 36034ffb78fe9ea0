/* compile_read.c - the part of a compilation that tools share which do not compile: the model is
 * read, and diagnostics and the progress line tell how that goes. Needs no code generator. */
#include "tools/compile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/file.h"

enum { STATUS_USE = 2, STATUS_MACHINE = 6, STATUS_INTERNAL = 70, STATUS_IO = 74 };

double lt_seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- the progress line --------------------------------------------------------------------- */

void lt_compile_progress(const Compilation *c, const char *what, int done, int total) {
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

int lt_compile_finish(Compilation *c) {
    int code = lt_compile_report(c);
    if (code == STATUS_INTERNAL)
        write_reproducer(c);
    return code;
}

int lt_compile_guarded(Compilation *c, CompileBody *body, void *user) {
    if (setjmp(c->out_of_memory) == 0)
        return body(c, user);
    return lt_compile_fail(c, c->path, STATUS_MACHINE, "out of memory");
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
    c->ctx.precision = (Precision)options->precision;
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
        .ops = c->ops,
    };
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

int lt_compile_import(Compilation *c) {
    ImportOptions import;
    const char *path;
    int code = read_overrides(c, &import);
    if (!code)
        code = readable_path(c, &path);
    if (code)
        return code;
    double start = lt_seconds_now();
    lt_compile_progress(c, "reading", 0, 1);
    c->ctx.module = lt_import_file(&c->arena, path, &import, &c->diags);
    c->diags->file = c->path;
    c->read_seconds = lt_seconds_now() - start;
    if (!c->ctx.module) {
        code = lt_compile_finish(c);
        return code ? code : STATUS_INTERNAL;
    }
    c->diags = &c->ctx.module->diags;
    c->diags->want_remarks = c->options->remarks;
    LT_EACH_NODE(n, c->ctx.module->main) c->nodes_read++;
    return lt_compile_report(c);
}
