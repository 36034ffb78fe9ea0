/* dump_html_stages.c - what every pass did. The text of the IR as read is stored whole, and of each
 * pass the difference alone, as is the graph that the page draws: a pass that changes little costs
 * little. Passes that do not run have their places too, with the reason. */
#include <stdlib.h>
#include <string.h>

#include "tools/dump_html.h"
#include "tools/text_diff.h"

/* --- the text -------------------------------------------------------------------------------- */

static const char *diff_of(HtmlPage *page, const char *name, const char *text) {
    char *diff = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&diff, &length);
    if (!out)
        longjmp(page->c->out_of_memory, 1);
    lt_text_diff(out, (NamedText){page->before_name, page->before}, (NamedText){name, text});
    bool whole = !ferror(out);
    if (fclose(out) != 0 || !whole)
        longjmp(page->c->out_of_memory, 1);
    const char *copy = lt_arena_strndup(&page->c->arena, diff, length);
    free(diff);
    return copy;
}

static void add_text(HtmlPage *page, const char *name) {
    const PassContext *ctx = &page->c->ctx;
    bool is_program = ctx->program != NULL;
    Str plan;
    lt_str_init(&plan, &page->c->arena);
    if (is_program)
        lt_program_print_plan(&plan, ctx->program);
    const char *text = is_program ? plan.text : lt_dump_graph_text(&page->c->arena, ctx->module);
    if (page->before && is_program == page->before_is_program)
        lt_html_text(&page->json, "diff", diff_of(page, name, text));
    else /* lowering replaces the graph: nothing is left to compare line by line */
        lt_html_text(&page->json, "text", text);
    page->before = text;
    page->before_name = name;
    page->before_is_program = is_program;
}

/* --- the graph ------------------------------------------------------------------------------- */

static void add_values(Str *json, const Node *n, bool inputs) {
    lt_str_append(json, ",[");
    for (uint32_t i = 0; i < (inputs ? n->input_count : n->output_count); i++) {
        const Value *v = inputs ? lt_input(n, i) : n->outputs[i];
        lt_html_next(json);
        lt_str_printf(json, "%lld", v ? (long long)v->id : -1);
    }
    lt_str_char(json, ']');
}

static void add_type(Str *json, Arena *arena, const Type *type) {
    Str text;
    lt_str_init(&text, arena);
    if (type)
        lt_type_print(&text, type);
    lt_json_append(json, text.text);
}

/* [label, inputs, outputs, type of the first output, locations] */
static const char *node_json(HtmlPage *page, const Node *n) {
    Arena *arena = &page->c->arena;
    Str json, label;
    lt_str_init(&json, arena);
    lt_str_init(&label, arena);
    lt_dump_node_label(&label, n);
    lt_str_char(&json, '[');
    lt_json_append(&json, label.text);
    add_values(&json, n, true);
    add_values(&json, n, false);
    lt_str_char(&json, ',');
    add_type(&json, arena, n->output_count ? lt_output(n)->type : NULL);
    lt_str_append(&json, ",[");
    for (const Loc *loc = n->loc; loc; loc = loc->next) {
        lt_html_next(&json);
        lt_str_printf(&json, "%u", lt_html_source(page, loc));
    }
    lt_str_append(&json, "]]");
    return json.text;
}

static void add_inputs(HtmlPage *page) {
    const Graph *g = page->c->ctx.module->main;
    lt_html_key(&page->json, "inputs");
    lt_str_char(&page->json, '[');
    for (size_t i = 0; i < g->inputs.len; i++) {
        const Value *v = g->inputs.data[i];
        lt_html_next(&page->json);
        lt_str_printf(&page->json, "[%u,", v->id);
        lt_json_append(&page->json, v->name ? v->name : "");
        lt_str_char(&page->json, ',');
        add_type(&page->json, &page->c->arena, v->type);
        lt_str_char(&page->json, ']');
    }
    lt_str_char(&page->json, ']');
}

static void add_counts(HtmlPage *page) {
    int64_t nodes = 0, constants = 0;
    LT_EACH_NODE(n, page->c->ctx.module->main) {
        nodes += n->op != OP_CONST && n->op != OP_YIELD;
        constants += n->op == OP_CONST;
    }
    lt_html_int(&page->json, "nodes", nodes);
    lt_html_int(&page->json, "constants", constants);
}

/* The nodes that are gone, and those that are new or not as they were. */
static void add_graph(HtmlPage *page) {
    const Module *m = page->c->ctx.module;
    Str *json = &page->json;
    const char **now = LT_ARRAY(&page->c->arena, const char *, m->next_node + 1);
    lt_html_key(json, "nodes_set");
    lt_str_char(json, '[');
    LT_EACH_NODE(n, m->main) {
        now[n->id] = node_json(page, n);
        const char *before = n->id < page->node_count ? page->nodes[n->id] : NULL;
        if (before && strcmp(before, now[n->id]) == 0)
            continue;
        lt_html_next(json);
        lt_str_printf(json, "[%u,%s", n->id, now[n->id] + 1);
    }
    lt_str_char(json, ']');
    lt_html_key(json, "nodes_gone");
    lt_str_char(json, '[');
    for (uint32_t id = 0; id < page->node_count; id++) {
        if (!page->nodes[id] || now[id])
            continue;
        lt_html_next(json);
        lt_str_printf(json, "%u", id);
    }
    lt_str_char(json, ']');
    page->nodes = now;
    page->node_count = m->next_node;
    add_counts(page);
}

/* --- stages ---------------------------------------------------------------------------------- */

/* [level, text, locations]: what was said since the stage before. */
static void add_remarks(HtmlPage *page) {
    static const char *const levels[] = {"note", "remark", "warning", "error"};
    const DiagList *diags = page->c->diags;
    Str *json = &page->json;
    lt_html_key(json, "remarks");
    lt_str_char(json, '[');
    for (; page->diag_count < diags->items.len; page->diag_count++) {
        const Diag *d = &diags->items.data[page->diag_count];
        lt_html_next(json);
        lt_str_char(json, '{');
        lt_html_text(json, "level", levels[d->level]);
        lt_html_text(json, "text", d->text);
        lt_html_sources(page, "sources", d->loc);
        lt_str_char(json, '}');
    }
    lt_str_char(json, ']');
}

static void begin_stage(HtmlPage *page, const char *name, const char *doc) {
    lt_html_next(&page->json);
    lt_str_char(&page->json, '{');
    lt_html_text(&page->json, "name", name);
    lt_html_text(&page->json, "doc", doc);
}

static void add_stage(HtmlPage *page, const char *name, bool changed) {
    lt_html_key(&page->json, "changed");
    lt_str_append(&page->json, changed ? "true" : "false");
    add_remarks(page);
    if (changed && !page->c->ctx.program)
        add_graph(page);
    if (changed)
        add_text(page, name);
    lt_str_char(&page->json, '}');
}

/* Places of the pipeline before the next one of this name (NULL: all that are left) did not run. */
static void skip_to(HtmlPage *page, const char *name) {
    int count;
    const char *const *names = lt_pipeline(&count);
    for (; page->place < count && (!name || strcmp(names[page->place], name) != 0); page->place++) {
        const Pass *pass = lt_pass_find(names[page->place]);
        begin_stage(page, pass->name, pass->doc);
        const char *reason = name ? "is left out by --disable"
                                  : "comes after the end that was asked for, or is left out";
        if (pass->level > page->c->ctx.level)
            reason = lt_arena_printf(&page->c->arena, "runs at -O%d and above", pass->level);
        lt_html_text(&page->json, "skipped", reason);
        lt_str_char(&page->json, '}');
    }
}

static void record_pass(Compilation *c, const Pass *pass, bool changed, double seconds) {
    HtmlPage *page = c->user;
    skip_to(page, pass->name);
    begin_stage(page, pass->name, pass->doc);
    lt_html_key(&page->json, "seconds");
    lt_str_printf(&page->json, "%.9f", seconds);
    add_stage(page, pass->name, changed);
    page->place++;
}

int lt_html_stages(HtmlPage *page) {
    Compilation *c = page->c;
    add_inputs(page);
    lt_html_key(&page->json, "stages");
    lt_str_char(&page->json, '[');
    begin_stage(page, "as read", "the model as the reader understands it");
    lt_html_key(&page->json, "seconds");
    lt_str_printf(&page->json, "%.9f", c->read_seconds);
    add_stage(page, "as read", true);
    c->after_pass = record_pass;
    c->user = page;
    int code = lt_compile_passes(c, NULL, 0);
    skip_to(page, NULL);
    lt_str_char(&page->json, ']');
    return code;
}
