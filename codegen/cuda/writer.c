/* writer.c - lines and scopes of a function. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codegen/cuda/cuda.h"

void lt_cuda_writer(Writer *w, Arena *arena, const DimTable *dims, DiagList *diags) {
    *w = (Writer){.arena = arena, .diags = diags, .index_type = "int64_t"};
    lt_dims_fork(&w->dims, dims, arena);
    lt_map_init(&w->names, arena);
    /* Loops and threads get some of their own. */
    const size_t symbols = 2 * w->dims.symbols.len + 8;
    w->symbols = LT_ARRAY(arena, const char *, symbols);
    w->symbol_scopes = LT_ARRAY(arena, Scope *, symbols);
    w->replaced = LT_ARRAY(arena, const Dim *, symbols);
}

static void add_line(Scope *scope, const char *format, va_list args) {
    Str *lines = &scope->lines;
    va_list again;
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = lt_arena_alloc(lines->arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, args);
    for (int i = 0; i < scope->depth; i++)
        lt_str_append(lines, "    ");
    lt_str_append(lines, text);
    lt_str_char(lines, '\n');
}

void lt_cuda_line_in(Scope *scope, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_line(scope, format, args);
    va_end(args);
}

void lt_cuda_line(Writer *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_line(w->scope, format, args);
    va_end(args);
}

void lt_cuda_open(Writer *w, Scope *scope) {
    *scope = (Scope){.around = w->scope, .depth = w->scope ? w->scope->depth + 1 : 1};
    lt_str_init(&scope->lines, w->arena);
    w->scope = scope;
}

const char *lt_cuda_scope_name(Writer *w, Scope *scope, const char *name) {
    const char *unique = lt_cuda_name(w->arena, &w->names, name);
    lt_vec_push(w->arena, &scope->names, unique);
    return unique;
}

void lt_cuda_close(Writer *w, const char *head) {
    const Scope *closed = w->scope;
    size_t kept = 0;
    for (size_t i = 0; i < w->named_dims.len; i++)
        if (w->named_dims.data[i].scope != closed)
            w->named_dims.data[kept++] = w->named_dims.data[i];
    w->named_dims.len = kept;
    for (size_t i = 0; i < closed->names.len; i++)
        lt_strmap_set(&w->names, closed->names.data[i], NULL);
    w->scope = closed->around;
    lt_cuda_line(w, "%s {", head);
    lt_str_append(&w->scope->lines, closed->lines.text);
    lt_cuda_line(w, "}");
}
