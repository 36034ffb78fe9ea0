/* compile_static.c - --emit obj and lib: the object or library, and the header beside it. --emit
 * cuda: the text, and the weights beside it. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lathe/runtime.h"
#include "runtime/base/file.h"
#include "tools/compile.h"

static size_t stem_length(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return (size_t)((dot && dot > name ? dot : name + strlen(name)) - path);
}

const char *lt_header_path(Arena *arena, const char *out) {
    return lt_arena_printf(arena, "%.*s.h", (int)stem_length(out), out);
}

/* What the symbols begin with: the file's name as an identifier. */
static const char *static_name(Arena *arena, const char *out) {
    const char *slash = strrchr(out, '/'), *end = out + stem_length(out);
    Str name;
    lt_str_init(&name, arena);
    for (const char *at = slash ? slash + 1 : out; at < end; at++) {
        if (!name.len && isdigit((unsigned char)*at))
            lt_str_append(&name, "model_");
        lt_str_char(&name, isalnum((unsigned char)*at) ? *at : '_');
    }
    return name.text;
}

static bool write_header(Compilation *c, const CodegenOptions *codegen, const char *path) {
    OutputFile file;
    Str text;
    lt_str_init(&text, &c->arena);
    lt_codegen_header(&text, c->ctx.program, codegen);
    if (lt_output_open(&file, path)) {
        lt_output_write(&file, text.text, text.len);
        if (lt_output_commit(&file, 0644))
            return true;
    }
    lt_error(c->diags, LATHE_IO, NULL, "%s cannot be written: %s", path, strerror(errno));
    return false;
}

bool lt_compile_static(Compilation *c, CodegenOptions *codegen, const char *out) {
    const Program *p = c->ctx.program;
    codegen->static_name = static_name(&c->arena, out);
    bool ok = c->options->emit == EMIT_OBJ ? lt_codegen_object(p, codegen, out, c->diags)
                                           : lt_codegen_archive(p, codegen, out, c->diags);
    return ok && write_header(c, codegen, lt_header_path(&c->arena, out));
}

bool lt_compile_cuda(Compilation *c, CodegenOptions *codegen, const char *out, Str *text) {
    const Program *p = c->ctx.program;
    const bool is_file = strcmp(out, "-") != 0;
    const char *weights = codegen->weights_path;
    if (!weights && is_file)
        weights = lt_arena_printf(&c->arena, "%.*s.weights", (int)stem_length(out), out);
    codegen->static_name = is_file ? static_name(&c->arena, out) : NULL;
    return lt_codegen_cuda(p, codegen, text, c->diags) &&
           (!weights || p->weights_size == 0 || lt_codegen_weights(p, weights, c->diags));
}
