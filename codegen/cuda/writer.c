/* writer.c - lines and scopes of a function. */
#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codegen/cuda/cuda.h"

enum { COLUMNS = 100 };

void lt_cuda_writer(Writer *w, Arena *arena, const DimTable *dims, DiagList *diags) {
    *w = (Writer){.arena = arena, .diags = diags};
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

/* Spaces that the text begins with are part of its indentation. */
static void append_wrapped(Str *lines, int depth, const char *text) {
    const size_t own = 4 * (size_t)depth + strspn(text, " ");
    text += strspn(text, " ");
    for (bool is_first = true;; is_first = false) {
        const size_t indent = own + (is_first ? 0 : 4), len = strlen(text);
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

static bool is_of_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

static bool is_in_comment(const char *lines, const char *at) {
    const char *line = at;
    while (line > lines && line[-1] != '\n')
        line--;
    line += strspn(line, " ");
    return strncmp(line, "//", 2) == 0;
}

bool lt_cuda_mentions(const char *lines, const char *name) {
    const size_t len = strlen(name);
    for (const char *at = strstr(lines, name); at; at = strstr(at + 1, name))
        if ((at == lines || !is_of_word(at[-1])) && !is_of_word(at[len]) &&
            !is_in_comment(lines, at))
            return true;
    return false;
}

/* The lines of one declaration, or one other line. */
static size_t statement_length(const char *lines) {
    const bool is_declaration = strncmp(lines + strspn(lines, " "), "const ", 6) == 0;
    size_t length = strcspn(lines, "\n");
    while (is_declaration && lines[length] && length > 0 && lines[length - 1] != ';')
        length += 1 + strcspn(lines + length + 1, "\n");
    return length + (lines[length] == '\n');
}

/* What `const int name = value;` declares, or NULL. */
static const char *declared_name(Arena *arena, const char *line) {
    const char *end = strstr(line, " = "), *begin = end;
    if (strncmp(line + strspn(line, " "), "const ", 6) != 0 || !end)
        return NULL;
    while (begin > line && is_of_word(begin[-1]))
        begin--;
    return lt_arena_strndup(arena, begin, (size_t)(end - begin));
}

const char *lt_cuda_without_unused(Arena *arena, const char *lines) {
    Vec(const char *) parts = {0};
    Str out;
    for (size_t length; *lines; lines += length) {
        length = statement_length(lines);
        lt_vec_push(arena, &parts, lt_arena_strndup(arena, lines, length));
    }
    for (size_t i = parts.len; i-- > 0;) {
        const char *name = declared_name(arena, parts.data[i]);
        bool is_used = !name;
        for (size_t later = i + 1; later < parts.len && !is_used; later++)
            is_used = lt_cuda_mentions(parts.data[later], name);
        parts.data[i] = is_used ? parts.data[i] : "";
    }
    lt_str_init(&out, arena);
    for (size_t i = 0; i < parts.len; i++)
        lt_str_append(&out, parts.data[i]);
    return out.text;
}

void lt_cuda_open(Writer *w, Scope *scope) {
    *scope = (Scope){.around = w->scope, .depth = w->scope ? w->scope->depth + 1 : 1};
    lt_str_init(&scope->lines, w->arena);
    w->scope = scope;
}

/* Whether a scope inside of this one, which is not closed, has the name in its lines. */
static bool is_inside(const Writer *w, const Scope *scope, const char *name) {
    for (const Scope *inner = w->scope; inner && inner != scope; inner = inner->around)
        if (lt_cuda_mentions(inner->lines.text, name))
            return true;
    return false;
}

const char *lt_cuda_scope_name(Writer *w, Scope *scope, const char *name) {
    Vec(const char *) refused = {0};
    const char *unique = lt_cuda_name(w->arena, &w->names, name);
    for (; is_inside(w, scope, unique); unique = lt_cuda_name(w->arena, &w->names, name))
        lt_vec_push(w->arena, &refused, unique);
    for (size_t i = 0; i < refused.len; i++)
        lt_strmap_set(&w->names, refused.data[i], NULL);
    lt_vec_push(w->arena, &scope->names, unique);
    return unique;
}

/* A statement without a line of its own around it needs no braces. */
static bool is_one_line(const char *lines) {
    const char *end = strchr(lines, '\n');
    return end && end[1] == '\0';
}

void lt_cuda_close(Writer *w, const char *head) {
    const Scope *closed = w->scope;
    size_t kept = 0;
    for (size_t i = 0; i < w->named_dims.len; i++)
        if (w->named_dims.data[i].scope != closed)
            w->named_dims.data[kept++] = w->named_dims.data[i];
    w->named_dims.len = kept;
    kept = 0;
    for (size_t i = 0; i < w->pointers.len; i++)
        if (w->pointers.data[i].scope != closed)
            w->pointers.data[kept++] = w->pointers.data[i];
    w->pointers.len = kept;
    for (size_t i = 0; i < closed->names.len; i++)
        lt_strmap_set(&w->names, closed->names.data[i], NULL);
    w->scope = closed->around;
    Str *lines = &w->scope->lines;
    const char *open = closed->has_braces || !is_one_line(closed->lines.text) ? " {" : "";
    if (strcmp(head, "else") == 0 && lt_str_ends(lines->text, "}\n")) {
        lines->text[--lines->len] = '\0';
        lt_str_printf(lines, " else%s\n", open);
    } else {
        lt_cuda_line(w, "%s%s", head, open);
    }
    lt_str_append(&w->scope->lines, closed->lines.text);
    if (*open)
        lt_cuda_line(w, "}");
}
