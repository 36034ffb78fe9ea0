/* signature.c - the comment in front of a kernel's function, and its parameters. */
#include <string.h>

#include "codegen/cuda/cuda.h"

/* --- parameters --- */

/* On a new line where this one is full; the first one holds the function's name. */
static void add_parameter(Str *out, const char *name, const char *text) {
    enum { COLUMNS = 94 };
    const char *newline = strrchr(out->text, '\n');
    const size_t used =
        newline ? strlen(newline) : out->len + strlen("__global__ void ") + strlen(name);
    const bool is_full = used + strlen(text) > COLUMNS;
    lt_str_append(out, out->len == 0 ? "" : is_full ? "," : ", ");
    lt_str_printf(out, "%s%s", is_full ? "\n    " : "", text);
}

void lt_cuda_name_parameters(Writer *w) {
    const Kernel *k = w->kernel;
    for (uint32_t i = 0; i < k->param_count; i++)
        w->buffers[i] = lt_cuda_name(w->arena, &w->names, k->buffers.data[i]->name);
    for (size_t i = 0; i < k->ints.len; i++)
        w->symbols[k->ints.data[i]->symbol] =
            lt_cuda_name(w->arena, &w->names, k->ints.data[i]->name);
}

/* Whether it is a parameter; told to the caller. */
static bool is_read(const char *lines, const char *name, bool *reads) {
    if (reads)
        *reads = lt_cuda_mentions(lines, name);
    return !reads || *reads;
}

const char *lt_cuda_parameters(Writer *w, const char *function, const char *lines, bool *reads) {
    const Kernel *k = w->kernel;
    const char *restricts = k->in_place ? "" : "__restrict__ ";
    Str out;
    lt_str_init(&out, w->arena);
    for (uint32_t i = 0; i < k->param_count; i++) {
        const Buffer *b = k->buffers.data[i];
        const char *quality = b->kind == BUFFER_INPUT ? "const " : "";
        if (is_read(lines, w->buffers[i], reads ? &reads[i] : NULL))
            add_parameter(&out, function,
                          lt_arena_printf(w->arena, "%s%s *%s%s", quality,
                                          lt_cuda_memory_type(b->dtype), restricts, w->buffers[i]));
    }
    for (size_t i = 0; i < k->ints.len; i++) {
        const Dim *symbol = k->ints.data[i];
        const char *name = w->symbols[symbol->symbol];
        if (is_read(lines, name, reads ? &reads[k->param_count + i] : NULL))
            add_parameter(&out, function,
                          lt_arena_printf(w->arena, "%s %s", lt_cuda_index_type(w, symbol), name));
    }
    return out.text;
}

/* --- the comment --- */

/* Where the line is cut: behind a comma, a semicolon or a brace outside of brackets, or else behind
 * a word; 0: nowhere. */
static size_t comment_end(const char *line, size_t room) {
    size_t found = 0, word = 0;
    int depth = 0;
    for (size_t at = 0; at <= room && line[at]; at++) {
        depth += (line[at] == '[') - (line[at] == ']');
        if (at > 0 && line[at] == ' ' && depth == 0 && strchr(",;{", line[at - 1]))
            found = at;
        if (line[at] == ' ')
            word = at;
    }
    return found > room / 3 ? found : word;
}

static void append_comment(Str *out, const char *line) {
    enum { COLUMNS = 97 };
    size_t indent = strspn(line, " "), room = COLUMNS - indent;
    lt_str_printf(out, "// %*s", (int)indent, "");
    for (line += indent; strlen(line) > room; room = COLUMNS - indent - 4) {
        const size_t at = comment_end(line, room);
        if (at == 0)
            break;
        lt_str_printf(out, "%.*s\n// %*s", (int)at, line, (int)indent + 4, "");
        line += at + 1;
    }
    lt_str_printf(out, "%s\n", line);
}

/* Primitives as the table has them, without what its options left empty. */
static const char *tidy(Arena *arena, const char *schedule) {
    Str out;
    lt_str_init(&out, arena);
    for (const char *at = schedule; *at; at++) {
        const char last = out.len ? out.text[out.len - 1] : ';';
        const bool is_empty =
            (*at == ' ' && (last == ' ' || !out.len)) || (*at == ';' && last == ';');
        if (*at == ';' && last == ' ') { /* "; ;" */
            continue;
        }
        if (!is_empty)
            lt_str_char(&out, *at);
    }
    return out.text;
}

void lt_cuda_comment(Str *out, const Kernel *k, Arena *arena) {
    Str text;
    lt_str_init(&text, arena);
    if (k->nest)
        lt_str_append(&text, k->nest);
    else
        lt_kernel_print(&text, k, true);
    for (char *save, *line = strtok_r(text.text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        append_comment(out, line);
    if (k->nest && k->schedule)
        append_comment(out, lt_arena_printf(arena, "schedule: %s", tidy(arena, k->schedule)));
}
