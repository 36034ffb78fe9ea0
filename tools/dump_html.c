/* dump_html.c - `lathe-dump --html`: one page for a whole compilation. Style, script and data are
 * in it, so that it opens from disk and asks no network for anything. What comes from the model,
 * names above all, is only ever in a JSON text in which `<`, `>` and `&` are escaped, and the
 * script puts it into text nodes alone: nothing of it is read as markup. */
#include "tools/dump_html.h"

#include <assert.h>
#include <string.h>

#include "lathe/runtime.h"
#include "runtime/base/file.h"

enum { STATUS_USE = 2, STATUS_MALFORMED = 4, STATUS_IO = 74 };

extern const char lt_dump_html_html[], lt_dump_html_css[], lt_dump_html_js[];
extern const char lt_dump_html_graph_js[], lt_dump_html_program_js[];

/* --- JSON ------------------------------------------------------------------------------------ */

void lt_html_next(Str *json) {
    const char last = json->len ? json->text[json->len - 1] : '[';
    if (last != '[' && last != '{')
        lt_str_append(json, ",\n");
}

void lt_html_key(Str *json, const char *name) {
    lt_html_next(json);
    lt_json_append(json, name);
    lt_str_char(json, ':');
}

void lt_html_text(Str *json, const char *name, const char *text) {
    lt_html_key(json, name);
    lt_json_append(json, text);
}

void lt_html_int(Str *json, const char *name, int64_t value) {
    lt_html_key(json, name);
    lt_str_printf(json, "%lld", (long long)value);
}

uint32_t lt_html_source(HtmlPage *page, const Loc *loc) {
    Loc alone = *loc;
    alone.next = NULL;
    const char *text = lt_loc_text(&page->c->arena, &alone, 0);
    if (!lt_strmap_has(&page->sources, text))
        lt_strmap_set(&page->sources, text, (void *)(uintptr_t)(page->sources.len + 1));
    return (uint32_t)(uintptr_t)lt_strmap_get(&page->sources, text) - 1;
}

void lt_html_sources(HtmlPage *page, const char *name, const Loc *loc) {
    lt_html_key(&page->json, name);
    lt_str_char(&page->json, '[');
    for (; loc; loc = loc->next) {
        uint32_t number = lt_html_source(page, loc);
        lt_html_next(&page->json);
        lt_str_printf(&page->json, "%u", number);
    }
    lt_str_char(&page->json, ']');
}

/* --- what the page says of the whole compilation --------------------------------------------- */

static void add_head(HtmlPage *page) {
    const Compilation *c = page->c;
    lt_str_char(&page->json, '{');
    lt_html_text(&page->json, "file", c->path);
    lt_html_text(&page->json, "model", c->ctx.module->name ? c->ctx.module->name : "");
    lt_html_text(&page->json, "version", LATHE_VERSION);
    lt_html_text(&page->json, "target", c->ctx.target->name);
    lt_html_int(&page->json, "level", c->ctx.level);
}

static void add_dims(HtmlPage *page) {
    const DimTable *dims = &page->c->ctx.module->dims;
    lt_html_key(&page->json, "dims");
    lt_str_char(&page->json, '[');
    for (size_t i = 0; i < dims->symbols.len; i++) {
        Str text;
        lt_str_init(&text, &page->c->arena);
        lt_dim_print(&text, dims->symbols.data[i].dim);
        lt_str_printf(&text, " in %lld..", (long long)dims->symbols.data[i].lo);
        if (dims->symbols.data[i].hi != LT_DIM_UNBOUNDED)
            lt_str_printf(&text, "%lld", (long long)dims->symbols.data[i].hi);
        lt_html_next(&page->json);
        lt_json_append(&page->json, text.text);
    }
    lt_str_char(&page->json, ']');
}

static void add_source_names(HtmlPage *page) {
    lt_html_key(&page->json, "sources");
    lt_str_char(&page->json, '[');
    for (size_t i = 0; i < page->sources.len; i++) {
        lt_html_next(&page->json);
        lt_json_append(&page->json, page->sources.entries[i].text);
    }
    lt_str_char(&page->json, ']');
}

static void add_profile(HtmlPage *page, const Trace *trace) {
    lt_html_int(&page->json, "runs", (int64_t)trace->runs);
    lt_html_key(&page->json, "profile");
    lt_str_char(&page->json, '[');
    for (size_t i = 0; i < trace->rows.len; i++) {
        const TraceRow *row = &trace->rows.data[i];
        lt_html_next(&page->json);
        lt_str_char(&page->json, '[');
        lt_json_append(&page->json, row->name);
        lt_str_printf(&page->json, ",%llu,%.3f]", (unsigned long long)row->calls,
                      row->microseconds);
    }
    lt_str_char(&page->json, ']');
}

/* --- the profile ----------------------------------------------------------------------------- */

static int read_trace(Compilation *c, const char *path, Trace *trace) {
    MappedFile file;
    char error[128];
    if (!lt_file_map(&file, path, error, sizeof error))
        return lt_compile_fail(c, path, STATUS_IO, "%s", error);
    const char *wrong = lt_trace_read(&c->arena, (const char *)file.data, file.size, trace);
    lt_file_unmap(&file);
    return wrong ? lt_compile_fail(c, path, STATUS_MALFORMED, "this is no trace: %s", wrong) : 0;
}

/* Another build has other kernels: their times would say nothing here. */
static int check_trace(Compilation *c, const char *path, const Trace *trace) {
    const Program *p = c->ctx.program;
    if (!p)
        return lt_compile_fail(c, path, STATUS_USE, "there are no kernels where --stop-after ends");
    if (!p->kernels.len)
        return 0;
    for (size_t i = 0; i < trace->rows.len; i++)
        for (size_t k = 0; k < p->kernels.len; k++)
            if (strcmp(trace->rows.data[i].name, p->kernels.data[k]->name) == 0)
                return 0;
    return lt_compile_fail(c, path, STATUS_USE, "no kernel of this trace is one of %s", c->path);
}

/* --- the page -------------------------------------------------------------------------------- */

static void append_escaped(Str *out, const Str *json) {
    const char *at = json->text;
    for (;;) {
        size_t plain = strcspn(at, "<>&");
        lt_str_append_n(out, at, plain);
        at += plain;
        if (!*at)
            return;
        lt_str_printf(out, "\\u%04x", *at++);
    }
}

/* The frame with `{{NAME}}` replaced by the part of that name. */
static void append_page(Str *out, const Str *json) {
    static const struct {
        const char *mark;
        const char *text; /* NULL: the data */
    } parts[] = {{"{{style}}", lt_dump_html_css},
                 {"{{data}}", NULL},
                 {"{{script}}", lt_dump_html_js},
                 {"{{graph}}", lt_dump_html_graph_js},
                 {"{{program}}", lt_dump_html_program_js}};
    const char *at = lt_dump_html_html;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *mark = strstr(at, parts[i].mark);
        assert(mark);
        lt_str_append_n(out, at, (size_t)(mark - at));
        if (parts[i].text)
            lt_str_append(out, parts[i].text);
        else
            append_escaped(out, json);
        at = mark + strlen(parts[i].mark);
    }
    lt_str_append(out, at);
}

int lt_dump_html(Compilation *c, const char *path, const char *trace_path) {
    HtmlPage page = {.c = c};
    Trace trace;
    lt_str_init(&page.json, &c->arena);
    lt_map_init(&page.sources, &c->arena);
    c->diags->want_remarks = true;
    int code = trace_path ? read_trace(c, trace_path, &trace) : 0;
    if (code)
        return code;
    add_head(&page);
    code = lt_html_stages(&page);
    if (!code && trace_path)
        code = check_trace(c, trace_path, &trace);
    if (!code)
        code = lt_html_program(&page);
    if (code)
        return code;
    if (trace_path)
        add_profile(&page, &trace);
    add_dims(&page);
    add_source_names(&page);
    lt_str_char(&page.json, '}');
    Str text;
    lt_str_init(&text, &c->arena);
    append_page(&text, &page.json);
    return lt_dump_write_text(path, text.text);
}
