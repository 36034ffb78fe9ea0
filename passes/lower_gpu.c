/* lower_gpu.c - templates of kernels for a GPU, filled in and added as steps. */
#include "passes/lower_gpu.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

GpuKernel lt_gpu_kernel(Assembly *a, const Node *node, const char *suffix) {
    GpuKernel g = {.a = a, .node = node, .suffix = suffix};
    lt_str_init(&g.params, a->ctx->scratch);
    return g;
}

void lt_gpu_word(GpuKernel *g, const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    assert(g->word_count < GPU_MOST_WORDS);
    g->words[g->word_count++] = (GpuWord){name, lt_arena_vprintf(g->a->ctx->scratch, format, args)};
    va_end(args);
}

void lt_gpu_dim(GpuKernel *g, const char *name, const Dim *d) {
    Arena *arena = g->a->ctx->scratch;
    int64_t lo, hi;
    if (lt_dim_is_const(d)) {
        lt_gpu_word(g, name, "%lld", (long long)d->value);
        return;
    }
    assert(g->int_count < GPU_MOST_INTS);
    lt_dim_range(&g->a->module->dims, d, &lo, &hi);
    const char *most =
        hi == LT_DIM_UNBOUNDED ? "inf" : lt_arena_printf(arena, "%lld", (long long)hi);
    const char *range = lt_arena_printf(arena, "%lld..%s", (long long)(lo > 0 ? lo : 0), most);
    g->ints[g->int_count++] = (GpuInt){name, range, d};
    lt_gpu_word(g, name, "%s", name);
}

void lt_gpu_most(GpuKernel *g, const char *name, const Dim *d, int64_t more) {
    int64_t lo, hi;
    lt_dim_range(&g->a->module->dims, d, &lo, &hi);
    if (hi == LT_DIM_UNBOUNDED)
        lt_gpu_word(g, name, "inf");
    else
        lt_gpu_word(g, name, "%lld", (long long)(hi + more > 0 ? hi + more : 0));
}

static void add_param(GpuKernel *g, const char *name, uint32_t buffer, const char *dims,
                      const char *kind) {
    const DType dtype = g->a->program->buffers.data[buffer].type->dtype;
    assert(g->buffer_count < GPU_MOST_PARAMS);
    lt_str_printf(&g->params, "%s%s: %s[%s] %s", g->buffer_count ? ", " : "", name,
                  lt_dtype_name(dtype), dims, kind);
    g->buffers[g->buffer_count++] = buffer;
}

void lt_gpu_input(GpuKernel *g, const char *name, uint32_t buffer, const char *dims) {
    add_param(g, name, buffer, dims, "in");
}

void lt_gpu_output(GpuKernel *g, const char *name, uint32_t buffer, const char *dims) {
    add_param(g, name, buffer, dims, "out");
}

static const char *find_word(const GpuKernel *g, const char *name, size_t length) {
    for (int i = 0; i < g->word_count; i++)
        if (strlen(g->words[i].name) == length && memcmp(g->words[i].name, name, length) == 0)
            return g->words[i].text;
    return NULL;
}

/* A brace that no word of this kernel follows is one of the text. */
const char *lt_gpu_fill(GpuKernel *g, const char *text) {
    Str out;
    lt_str_init(&out, g->a->ctx->scratch);
    for (const char *at = text; *at;) {
        const size_t length = *at == '{' ? strcspn(at + 1, "{} \n") : 0;
        const bool is_word = length && at[length + 1] == '}';
        const char *found = is_word ? find_word(g, at + 1, length) : NULL;
        assert(!is_word || found);
        if (found)
            lt_str_append(&out, found);
        else
            lt_str_char(&out, *at);
        at += found ? length + 2 : 1;
    }
    return out.text;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

static bool has_word(const char *text, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        if ((at == text || !is_letter(at[-1])) && !is_letter(at[length]))
            return true;
    return false;
}

/* The integer arguments that are read, as text, and their values. */
static const char *used_ints(const GpuKernel *g, const char *params, const char *body,
                             const Dim **values, uint32_t *count) {
    Str out;
    lt_str_init(&out, g->a->ctx->scratch);
    for (int i = 0; i < g->int_count; i++) {
        const GpuInt *at = &g->ints[i];
        if (!has_word(params, at->name) && !has_word(body, at->name))
            continue;
        lt_str_printf(&out, "%s%s in %s", *count ? ", " : "", at->name, at->range);
        values[(*count)++] = at->value;
    }
    lt_str_append(&out, *count ? "; " : "");
    return out.text;
}

void lt_gpu_launch(GpuKernel *g, const char *body) {
    Assembly *a = g->a;
    const Dim *values[GPU_MOST_INTS];
    uint32_t count = 0;
    const char *params = lt_gpu_fill(g, g->params.text), *filled = lt_gpu_fill(g, body);
    const char *ints = used_ints(g, params, filled, values, &count);
    const char *text =
        lt_arena_printf(a->ctx->scratch, "kernel (%s%s) {\n%s\n}", ints, params, filled);
    Kernel *k = lt_kernel_parse(a->module->arena, text, strlen(text), &a->module->diags);
    if (!k)
        return; /* a diagnostic says where the template is wrong */
    k->loc = g->node->loc;
    lt_step_add(a, (Step){.kind = STEP_LAUNCH,
                          .kernel = lt_lower_add_kernel(a, g->node, g->suffix, k),
                          .name = lt_step_name(a, g->node),
                          .buffer_count = g->buffer_count,
                          .buffers = g->buffers,
                          .int_count = count,
                          .ints = values,
                          .count = lt_dim_const(&a->module->dims, 1),
                          .loc = g->node->loc});
}

uint32_t lt_gpu_buffer(Assembly *a, DType dtype, int rank, const Dim *const *dims,
                       const char *name) {
    return lt_buffer_new(a, lt_type(a->module, dtype, rank, dims), name);
}

bool lt_lower_several(Assembly *a, const Node *node) {
    switch (node->op) {
    case OP_SORT: lt_lower_topk_gpu(a, node); return true;
    case OP_FIND: lt_lower_find_gpu(a, node); return true;
    case OP_SUPPRESS: lt_lower_suppress_gpu(a, node); return true;
    default: return lt_lower_scatter_gpu(a, node);
    }
}
