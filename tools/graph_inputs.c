/* graph_inputs.c - inputs of a graph, see graph_inputs.h. */
#include "tools/graph_inputs.h"

#include <string.h>

#include "lathe/runtime.h"
#include "tools/random.h"
#include "tools/value_pb.h"

typedef struct Gather {
    Arena *arena;
    const Module *module;
    const Tensor **inputs; /* NULL: not from a file */
    int64_t *seeds;        /* of those: -1 for zeros */
    int64_t *symbols;      /* -1: not known */
} Gather;

bool lt_is_input_source(const char *value) {
    return lt_str_ends(value, ".npy") || lt_str_ends(value, ".pb") ||
           lt_str_starts(value, "random:") || strcmp(value, "random") == 0 ||
           strcmp(value, "zeros") == 0;
}

static int fail(lathe_status status, const char *what, const char *text) {
    fprintf(stderr, "%s: error: %s\n", what, text);
    return lt_cli_exit_code((int)status);
}

/* Inputs without a name are in0, in1, ...: what artifacts call them, too. */
static const char *input_name(const Gather *g, size_t index) {
    const char *name = g->module->main->inputs.data[index]->name;
    return name ? name : lt_arena_printf(g->arena, "in%zu", index);
}

static int take_file(Gather *g, size_t index, const char *path) {
    const Type *type = g->module->main->inputs.data[index]->type;
    HostTensor file;
    const char *error = "";
    lathe_status status = lt_tensor_file_read(g->arena, path, &file, &error);
    if (status)
        return fail(status, path, error);
    if ((DType)file.dtype != type->dtype || file.rank != type->rank)
        return fail(LATHE_BAD_ARGUMENT, path,
                    lt_arena_printf(g->arena, "input '%s' is %s of rank %d, this is %s of rank %d",
                                    input_name(g, index), lt_dtype_name(type->dtype), type->rank,
                                    lathe_dtype_name(file.dtype), file.rank));
    Tensor *t = LT_NEW(g->arena, Tensor);
    *t = (Tensor){.dtype = type->dtype, .rank = file.rank, .data = file.data};
    memcpy(t->dims, file.dims, sizeof t->dims);
    g->inputs[index] = t;
    for (int i = 0; i < type->rank; i++)
        if (type->dims[i]->kind == DIM_SYMBOL && g->symbols[type->dims[i]->symbol] < 0)
            g->symbols[type->dims[i]->symbol] = file.dims[i];
    return 0;
}

static int take_source(Gather *g, const char *text) {
    const char *name, *value;
    lt_cli_split(g->arena, text, &name, &value);
    size_t index = 0, count = g->module->main->inputs.len;
    while (index < count && strcmp(input_name(g, index), name) != 0)
        index++;
    if (index == count)
        return fail(LATHE_BAD_ARGUMENT, lt_arena_printf(g->arena, "--input %s", text),
                    "the model has no input of this name");
    if (strcmp(value, "zeros") == 0)
        g->seeds[index] = -1;
    else if (strcmp(value, "random") == 0)
        g->seeds[index] = 0;
    else if (!lt_str_starts(value, "random:"))
        return take_file(g, index, value);
    else if (!lt_cli_int(value + strlen("random:"), &g->seeds[index]) || g->seeds[index] < 0)
        return fail(LATHE_BAD_ARGUMENT, lt_arena_printf(g->arena, "--input %s", text),
                    "the seed is not a whole number");
    return 0;
}

static void make_input(Gather *g, size_t index) {
    const Type *type = g->module->main->inputs.data[index]->type;
    int64_t dims[LT_MAX_RANK] = {0};
    for (int i = 0; i < type->rank; i++)
        dims[i] = lt_dim_eval(type->dims[i], g->symbols);
    Tensor *t = lt_tensor_new(g->arena, type->dtype, type->rank, dims);
    HostTensor view = {.dtype = (lathe_dtype)type->dtype, .rank = type->rank, .data = t->data};
    memcpy(view.dims, dims, sizeof view.dims);
    if (g->seeds[index] >= 0)
        lt_host_tensor_random(&view, g->seeds[index]);
    if (index > 0)
        lt_fill_member(&view, input_name(g, index), input_name(g, index - 1),
                       lt_tensor_elements(g->inputs[index - 1]));
    g->inputs[index] = t;
}

static void guess_symbols(Gather *g) {
    const DimTable *dims = &g->module->dims;
    for (size_t i = 0; i < dims->symbols.len; i++) {
        const DimSymbol *s = &dims->symbols.data[i];
        if (g->symbols[i] < 0)
            g->symbols[i] = s->lo > 0 || s->hi == 0 ? s->lo : 1;
    }
}

int lt_graph_inputs(Arena *arena, const Module *m, const CliList *sources, const Tensor **inputs) {
    size_t count = m->main->inputs.len;
    Gather g = {.arena = arena,
                .module = m,
                .inputs = inputs,
                .seeds = LT_ARRAY(arena, int64_t, count + 1),
                .symbols = LT_ARRAY(arena, int64_t, m->dims.symbols.len + 1)};
    int code = 0;
    for (size_t i = 0; i < m->dims.symbols.len; i++)
        g.symbols[i] = -1;
    for (size_t i = 0; i < count; i++) {
        inputs[i] = NULL;
        g.seeds[i] = (int64_t)i;
    }
    for (size_t i = 0; i < sources->len && !code; i++)
        code = take_source(&g, sources->data[i]);
    guess_symbols(&g);
    for (size_t i = 0; i < count && !code; i++)
        if (!inputs[i])
            make_input(&g, i);
    return code;
}
