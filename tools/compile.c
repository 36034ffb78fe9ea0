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

/* --- options and reading -------------------------------------------------------------------- */

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

int lt_compile_read(Compilation *c) {
    int code = lt_compile_target(c);
    if (!code)
        code = check_pass_options(c);
    if (!code)
        code = read_schedule(c);
    return code ? code : lt_compile_import(c);
}

/* --- passes and output --------------------------------------------------------------------- */

static void before_pass(void *user, const Pass *pass, int index, int count) {
    lt_compile_progress(user, pass->name, index + 1, count);
}

static void after_pass(void *user, const Pass *pass, PassContext *ctx, bool changed,
                       double seconds) {
    Compilation *c = user;
    (void)ctx;
    if (c->after_pass)
        c->after_pass(c, pass, changed, seconds);
}

static void codegen_progress(void *user, int done, int total) {
    lt_compile_progress(user, "kernels", done, total);
}

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
    int code = lt_compile_finish(c);
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
                    {".s", EMIT_ASM},
                    {".cu", EMIT_CUDA}};
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
        .precision = o->precision ? lt_precision_names[o->precision] : NULL,
        .weights_path = o->weights,
        .debug_info = !o->no_debug_info,
        .tune_host = !o->target && !o->cpu,
        .cuda_jit = o->cuda_jit,
        .progress = codegen_progress,
        .user = c,
    };
    double start = lt_seconds_now();
    bool ok = true;
    if (o->emit == EMIT_SO)
        ok = lt_codegen_so(c->ctx.program, &options, out, c->diags);
    else if (o->emit == EMIT_OBJ || o->emit == EMIT_LIB)
        ok = lt_compile_static(c, &options, out);
    else if (o->emit == EMIT_CUDA)
        ok = lt_compile_cuda(c, &options, out, &text);
    else
        ok = lt_codegen_text(c->ctx.program, &options,
                             o->emit == EMIT_ASM ? CODEGEN_ASM : CODEGEN_LLVM_IR, &text, c->diags);
    c->codegen_seconds = lt_seconds_now() - start;
    int code = lt_compile_finish(c);
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
