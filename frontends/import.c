/* import.c - chooses the frontend of a file, by its suffix or else by its first bytes. */
#include "frontends/import.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "frontends/onnx/status.h"
#include "runtime/base/file.h"

typedef enum { FORMAT_ONNX, FORMAT_LIR, FORMAT_OTHER } Format;

/* What is known by suffix but not read; FORMAT_OTHER carries its reason. */
static const struct {
    const char *suffix;
    Format format;
    const char *reason;
} suffixes[] = {
    {".onnx", FORMAT_ONNX, NULL},
    {".lir", FORMAT_LIR, NULL},
    {".tflite", FORMAT_OTHER, "TFLite models are not supported"},
    {"-symbol.json", FORMAT_OTHER, "MXNet models are not supported"},
};

static bool has_suffix(const char *path, const char *suffix) {
    size_t len = strlen(path), tail = strlen(suffix);
    return len >= tail && strcasecmp(path + len - tail, suffix) == 0;
}

/* Text has no control bytes but white space; an ONNX file starts with a field of number below 16.
 */
static bool looks_like_text(const MappedFile *file) {
    size_t len = file->size < 256 ? file->size : 256;
    for (size_t i = 0; i < len; i++)
        if (!isprint(file->data[i]) && !isspace(file->data[i]))
            return false;
    return len > 0;
}

static Format file_format(const char *path, const MappedFile *file, const char **reason) {
    *reason = NULL;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (!has_suffix(path, suffixes[i].suffix))
            continue;
        *reason = suffixes[i].reason;
        return suffixes[i].format;
    }
    return looks_like_text(file) ? FORMAT_LIR : FORMAT_ONNX;
}

static Module *fail_import(Arena *arena, const char *path, DiagList **diags, int status,
                           const char *text) {
    Module *m = lt_module_new(arena, path);
    *diags = &m->diags;
    lt_error(&m->diags, status, NULL, "%s", text);
    return NULL;
}

static const Dim *known_symbol(const DimTable *t, const char *name) {
    for (size_t i = 0; i < t->symbols.len; i++)
        if (strcmp(t->symbols.data[i].dim->name, name) == 0)
            return t->symbols.data[i].dim;
    return NULL;
}

/* The text is parsed already: a fixed dim becomes a symbol with a range of one number. */
static bool narrow_symbols(Module *m, const ImportOptions *options) {
    for (uint32_t i = 0; options && i < options->dim_count; i++) {
        const DimOverride *o = &options->dims[i];
        const Dim *symbol = known_symbol(&m->dims, o->name);
        if (o->lo < 0 || o->lo > o->hi)
            lt_error(&m->diags, LT_BAD_ARGUMENT, NULL,
                     "the range is empty or negative for dim '%s'", o->name);
        else if (symbol)
            lt_dim_set_range(&m->dims, symbol, o->lo, o->hi);
        else
            lt_error(&m->diags, LT_BAD_ARGUMENT, NULL, "there is no dim '%s'", o->name);
    }
    if (options && options->input_count)
        lt_error(&m->diags, LT_BAD_ARGUMENT, NULL,
                 "lathe IR has its shapes in its text: --input cannot change them");
    return m->diags.errors == 0;
}

static Module *import_lir(Arena *arena, const char *path, const MappedFile *file,
                          const ImportOptions *options, DiagList **diags) {
    Module *m = lt_module_new(arena, path);
    *diags = &m->diags;
    m->diags.want_remarks = options && options->want_remarks;
    bool ok = lt_module_read(m, (const char *)file->data, file->size) && narrow_symbols(m, options);
    return ok ? m : NULL;
}

/* The mapping is never undone: constants point into it for as long as the arena lives. */
Module *lt_import_file(Arena *arena, const char *path, const ImportOptions *options,
                       DiagList **diags) {
    MappedFile file;
    Module *m;
    char error[160];
    const char *reason;
    if (!lt_file_map(&file, path, error, sizeof error))
        return fail_import(arena, path, diags, LT_IO, error);
    switch (file_format(path, &file, &reason)) {
    case FORMAT_LIR: return import_lir(arena, path, &file, options, diags);
    case FORMAT_ONNX:
        m = lt_import_onnx(arena, path, file.data, file.size, options, diags);
        if (m)
            lt_vec_push(arena, &m->files, file);
        return m;
    default: return fail_import(arena, path, diags, LT_UNSUPPORTED, reason);
    }
}
