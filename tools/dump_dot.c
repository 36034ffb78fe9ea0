/* dump_dot.c - the graph as Graphviz draws it. */
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "runtime/base/file.h"
#include "tools/dump.h"

extern char **environ;

enum { EXIT_FAILED = 1, EXIT_NO_TOOL = 6, EXIT_IO = 74 };

static const char *title_of(const Node *n) {
    if (n->op == OP_MAP)
        return lt_scalar_info[lt_node_fn(n)].name;
    return lt_op_info[n->op].name;
}

void lt_dump_node_label(Str *text, const Node *n) {
    lt_str_append(text, title_of(n));
    if (n->op != OP_FUSED)
        return;
    LT_EACH_NODE(part, n->regions[0]) {
        if (part->op != OP_CONST && part->op != OP_YIELD)
            lt_str_printf(text, "\n%s", title_of(part));
    }
}

static void print_box(Str *out, Arena *arena, const Node *n) {
    Str label;
    lt_str_init(&label, arena);
    lt_dump_node_label(&label, n);
    if (n->loc)
        lt_str_printf(&label, "\n%s", lt_loc_text(arena, n->loc, 2));
    lt_str_printf(out, "  n%u [label=", n->id);
    lt_str_quote(out, label.text);
    lt_str_append(out, n->op == OP_FUSED ? ", style=filled, fillcolor=\"#e8f0fe\"];\n" : "];\n");
}

static void print_edges(Str *out, Arena *arena, const Node *n) {
    for (uint32_t i = 0; i < n->input_count; i++) {
        const Value *v = lt_input(n, i);
        if (!v || (v->def && v->def->op == OP_CONST))
            continue;
        Str type;
        lt_str_init(&type, arena);
        lt_type_print(&type, v->type);
        if (v->def)
            lt_str_printf(out, "  n%u -> n%u [label=", v->def->id, n->id);
        else
            lt_str_printf(out, "  input%u -> n%u [label=", v->index, n->id);
        lt_str_quote(out, type.text);
        lt_str_append(out, "];\n");
    }
}

void lt_dump_dot(Str *out, const Module *m) {
    lt_str_append(out, "digraph model {\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for (size_t i = 0; i < m->main->inputs.len; i++) {
        const Value *v = m->main->inputs.data[i];
        lt_str_printf(out, "  input%zu [shape=ellipse, label=", i);
        lt_str_quote(out, v->name ? v->name : "input");
        lt_str_append(out, "];\n");
    }
    LT_EACH_NODE(n, m->main) {
        if (n->op == OP_CONST)
            continue;
        print_box(out, m->arena, n);
        print_edges(out, m->arena, n);
    }
    lt_str_append(out, "}\n");
}

int lt_dump_write_text(const char *path, const char *text) {
    OutputFile file;
    bool ok = lt_output_open(&file, path);
    if (ok) {
        lt_output_write(&file, text, strlen(text));
        ok = lt_output_commit(&file, 0644);
    }
    if (!ok)
        fprintf(stderr, "%s: error: cannot write: %s\n", path, strerror(errno));
    return ok ? 0 : EXIT_IO;
}

static int draw(const char *dot_path, const char *svg_path) {
    pid_t child;
    int status;
    char *const words[] = {
        "dot", "-Tsvg", "-o", (char *)(uintptr_t)svg_path, (char *)(uintptr_t)dot_path, NULL};
    if (posix_spawnp(&child, "dot", NULL, NULL, words, environ) != 0) {
        fprintf(stderr, "lathe-dump: error: Graphviz's `dot` is not installed\n");
        return EXIT_NO_TOOL;
    }
    if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "lathe-dump: error: `dot` could not draw %s\n", svg_path);
        return EXIT_FAILED;
    }
    return 0;
}

int lt_dump_write_graph(const char *dot, const char *dot_path, const char *svg_path) {
    char beside[4096];
    const char *source = dot_path;
    if (!source) {
        snprintf(beside, sizeof beside, "%s.dot", svg_path);
        source = beside;
    }
    int code = lt_dump_write_text(source, dot);
    if (!code && svg_path)
        code = draw(source, svg_path);
    if (!dot_path)
        remove(beside);
    return code;
}
