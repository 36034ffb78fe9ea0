/* dump_html_program.c - what the passes end in: kernels with their code, the steps that launch
 * them, and where the buffers lie. */
#include <string.h>

#include "runtime/kernels/library.h"
#include "tools/dump_html.h"

/* Code beyond so many bytes is left out, kernel by kernel: a page must stay one that a browser
 * opens at once. */
enum { MAX_CODE_BYTES = 6 << 20 };

/* --- kernels --------------------------------------------------------------------------------- */

/* False: an error is in the diagnostics. */
static bool add_code(HtmlPage *page, const Kernel *k, CodegenText kind, size_t *budget) {
    const char *name = kind == CODEGEN_ASM ? "asm" : "llvm";
    Compilation *c = page->c;
    CodegenOptions options = {.target = c->ctx.target, .level = c->ctx.level};
    Str text;
    lt_str_init(&text, &c->arena);
    if (!*budget) {
        lt_html_key(&page->json, name);
        lt_str_append(&page->json, "null");
        return true;
    }
    if (!lt_codegen_kernel_text(k, &options, kind, &text, c->diags))
        return false;
    lt_html_text(&page->json, name, text.text);
    *budget -= text.len < *budget ? text.len : *budget;
    return true;
}

static bool add_kernel(HtmlPage *page, const Kernel *k, size_t *budget) {
    Str text;
    lt_str_init(&text, &page->c->arena);
    lt_kernel_print(&text, k, true);
    lt_html_next(&page->json);
    lt_str_char(&page->json, '{');
    lt_html_text(&page->json, "name", k->name);
    lt_html_text(&page->json, "class", lt_kernel_class_names[k->class]);
    lt_html_text(&page->json, "schedule", k->schedule ? k->schedule : "");
    lt_html_text(&page->json, "text", text.text);
    lt_html_sources(page, "sources", k->loc);
    bool ok = add_code(page, k, CODEGEN_ASM, budget) && add_code(page, k, CODEGEN_LLVM_IR, budget);
    lt_str_char(&page->json, '}');
    return ok;
}

static int add_kernels(HtmlPage *page) {
    const Program *p = page->c->ctx.program;
    size_t budget = MAX_CODE_BYTES;
    lt_html_key(&page->json, "kernels");
    lt_str_char(&page->json, '[');
    for (size_t i = 0; i < p->kernels.len; i++)
        if (!add_kernel(page, p->kernels.data[i], &budget))
            break;
    lt_str_char(&page->json, ']');
    return lt_compile_report(page->c);
}

/* --- steps ----------------------------------------------------------------------------------- */

/* Kernels say what they write. A library function writes what nobody wrote before it. */
static bool writes(const Program *p, const Step *s, uint32_t i, const bool *written) {
    const Place place = p->buffers.data[s->buffers[i]].place;
    switch (s->kind) {
    case STEP_LAUNCH: return p->kernels.data[s->kernel]->buffers.data[i]->kind == BUFFER_OUTPUT;
    case STEP_COPY: return i == 1;
    case STEP_LIBRARY: break;
    default: return false;
    }
    return (place == PLACE_ARENA || place == PLACE_OUTPUT) && !written[s->buffers[i]];
}

static void add_buffer_numbers(HtmlPage *page, const Step *s, bool *written) {
    const Program *p = page->c->ctx.program;
    Str *json = &page->json;
    bool *output = LT_ARRAY(&page->c->arena, bool, s->buffer_count + 1);
    for (uint32_t i = 0; i < s->buffer_count; i++)
        output[i] = writes(p, s, i, written);
    for (int side = 0; side < 2; side++) {
        lt_html_key(json, side ? "writes" : "reads");
        lt_str_char(json, '[');
        for (uint32_t i = 0; i < s->buffer_count; i++) {
            if (output[i] != (side == 1))
                continue;
            lt_html_next(json);
            lt_str_printf(json, "%u", s->buffers[i]);
        }
        lt_str_char(json, ']');
    }
    for (uint32_t i = 0; i < s->buffer_count; i++)
        written[s->buffers[i]] |= output[i];
}

static void add_step(HtmlPage *page, const Step *s, bool *written) {
    Str *json = &page->json, count;
    lt_str_init(&count, &page->c->arena);
    if (s->count)
        lt_dim_print(&count, s->count);
    lt_html_next(json);
    lt_str_char(json, '{');
    lt_html_text(json, "kind", lt_step_names[s->kind]);
    if (s->kind == STEP_LAUNCH)
        lt_html_int(json, "kernel", s->kernel);
    if (s->kind == STEP_LIBRARY)
        lt_html_text(json, "function", lt_library_name(s->kernel));
    lt_html_text(json, "name", s->name ? s->name : "");
    lt_html_text(json, "count", count.text);
    lt_html_sources(page, "sources", s->loc);
    add_buffer_numbers(page, s, written);
    lt_str_char(json, '}');
}

/* --- buffers --------------------------------------------------------------------------------- */

static void add_buffer(HtmlPage *page, const ProgramBuffer *b, const int64_t *symbols) {
    static const char *const places[] = {[PLACE_ARENA] = "arena",
                                         [PLACE_WEIGHTS] = "weights",
                                         [PLACE_SLOT] = "slot",
                                         [PLACE_INPUT] = "input",
                                         [PLACE_OUTPUT] = "output"};
    Str *json = &page->json, type;
    lt_str_init(&type, &page->c->arena);
    lt_type_print(&type, b->type);
    lt_html_next(json);
    lt_str_char(json, '{');
    lt_html_text(json, "name", b->name ? b->name : "");
    lt_html_text(json, "place", places[b->place]);
    lt_html_text(json, "type", type.text);
    if (b->place == PLACE_WEIGHTS)
        lt_html_int(json, "bytes", (int64_t)b->value->bytes);
    if (b->place == PLACE_ARENA && b->offset && b->bytes) {
        lt_html_int(json, "offset", lt_dim_eval(b->offset, symbols));
        lt_html_int(json, "bytes", lt_dim_eval(b->bytes, symbols));
        lt_html_int(json, "first", b->first_step);
        lt_html_int(json, "last", b->last_step);
    }
    lt_str_char(json, '}');
}

static void add_plan(HtmlPage *page) {
    const Program *p = page->c->ctx.program;
    Str *json = &page->json;
    const int64_t *symbols = lt_dump_least_symbols(&page->c->arena, &page->c->ctx.module->dims);
    lt_html_key(json, "buffers");
    lt_str_char(json, '[');
    for (size_t i = 0; i < p->buffers.len; i++)
        add_buffer(page, &p->buffers.data[i], symbols);
    lt_str_char(json, ']');
    lt_html_int(json, "weights", p->weights_size);
    if (!p->arena_size)
        return;
    lt_html_int(json, "arena", lt_dim_eval(p->arena_size, symbols));
    lt_html_int(json, "lower_bound", lt_dim_eval(p->lower_bound, symbols));
    lt_html_key(json, "at_least");
    lt_str_append(json, lt_dim_is_const(p->arena_size) ? "false" : "true");
}

int lt_html_program(HtmlPage *page) {
    const Program *p = page->c->ctx.program;
    Str *json = &page->json;
    if (!p)
        return 0;
    bool *written = LT_ARRAY(&page->c->arena, bool, p->buffers.len + 1);
    lt_html_key(json, "steps");
    lt_str_char(json, '[');
    for (size_t i = 0; i < p->steps.len; i++)
        add_step(page, &p->steps.data[i], written);
    lt_str_char(json, ']');
    add_plan(page);
    return add_kernels(page);
}
