/* writer.c - lines and scopes of a function. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codegen/cuda/cuda.h"

enum { COLUMNS = 100 };

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

/* Where a line may go on in the next one: from the best place to the worst. */
static int break_rank(const char *text, size_t at) {
    static const struct {
        const char *operator;
        int rank;
    } operators[] = {{" ? ", 1}, {" : ", 1}, {" || ", 2}, {" && ", 3},
                     {" + ", 4}, {" - ", 4}, {" * ", 5},  {" < ", 5}};
    if (text[at] == ' ' && at > 0 && (text[at - 1] == ',' || text[at - 1] == ';'))
        return 0;
    if (text[at] == ' ' && at > 1 && text[at - 1] == '=' && text[at - 2] == ' ')
        return 1;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strncmp(text + at, operators[i].operator, strlen(operators[i].operator)) == 0)
            return operators[i].rank;
    return -1;
}

/* Where a line that is too long is cut: in as few parentheses as can be, as late. 0: nowhere. */
static size_t find_break(const char *text, size_t room) {
    int depth = 0, best = INT_MAX;
    size_t found = 0;
    for (size_t i = 0; text[i] && i < room; i++) {
        depth += (text[i] == '(' || text[i] == '[') - (text[i] == ')' || text[i] == ']');
        const int rank = break_rank(text, i);
        if (rank >= 0 && 8 * depth + rank <= best && i >= room / 3) {
            found = i;
            best = 8 * depth + rank;
        }
    }
    return found;
}

static void append_wrapped(Str *lines, int depth, const char *text) {
    for (bool is_first = true;; is_first = false) {
        const size_t indent = 4 * (size_t)depth + (is_first ? 0 : 4), len = strlen(text);
        const bool is_comment = text[0] == '/' || text[0] == '#';
        const size_t at =
            indent + len <= COLUMNS || is_comment ? 0 : find_break(text, COLUMNS - indent);
        lt_str_printf(lines, "%*s%.*s\n", (int)indent, "", (int)(at ? at : len), text);
        if (!at)
            return;
        text += at + 1;
    }
}

static void add_line(Scope *scope, const char *format, va_list args) {
    Str *lines = &scope->lines;
    va_list again;
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = lt_arena_alloc(lines->arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, args);
    append_wrapped(lines, scope->depth, text);
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
    Str *lines = &w->scope->lines;
    if (strcmp(head, "else") == 0 && lt_str_ends(lines->text, "}\n")) {
        lines->text[--lines->len] = '\0';
        lt_str_append(lines, " else {\n");
    } else {
        lt_cuda_line(w, "%s {", head);
    }
    lt_str_append(&w->scope->lines, closed->lines.text);
    lt_cuda_line(w, "}");
}
