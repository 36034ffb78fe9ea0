/* dims.c - the forms in which a case is compiled: the extents of its inputs as given, the leading
 * one of each symbolic, all symbolic.
 *
 * Each extent is a symbol of its own, unrelated to all others: that two are equal, or one is what
 * an attribute says, the compiler finds out, and the artifact checks. Three kinds stay as given:
 * 1, which numpy's rule stretches (a symbol is taken not to be 1), 0 (symbols begin at 1), and an
 * extent that is the rank of a result: the length of a list that has a number for each axis. What
 * the file leaves open may be 0. */
#include <string.h>

#include "frontends/onnx/model.h"
#include "runtime/base/file.h"
#include "runtime/base/str.h"
#include "tests/conformance/conformance.h"

static const struct {
    const char *name, *expected;
} forms[DIMS_FORMS] = {
    [DIMS_GIVEN] = {"given", "tests/conformance/expected"},
    [DIMS_BATCH] = {"batch", "tests/conformance/expected.batch"},
    [DIMS_ALL] = {"all", "tests/conformance/expected.all"},
};

const char *lt_dims_name(DimsForm dims) { return forms[dims].name; }

const char *lt_dims_expected(DimsForm dims) { return forms[dims].expected; }

/* Ops and the inputs, as bits, whose last extent is a number of axes. */
static const struct {
    const char *op;
    unsigned inputs;
} axis_lists[] = {
    {"AffineGrid", 1 << 1},      {"CenterCropPad", 1 << 1},
    {"Col2Im", 1 << 1 | 1 << 2}, {"ConstantOfShape", 1 << 0},
    {"Expand", 1 << 1},          {"GatherND", 1 << 1},
    {"MaxUnpool", 1 << 2},       {"Pad", 1 << 1 | 1 << 3},
    {"ReduceL1", 1 << 1},        {"ReduceL2", 1 << 1},
    {"ReduceLogSum", 1 << 1},    {"ReduceLogSumExp", 1 << 1},
    {"ReduceMax", 1 << 1},       {"ReduceMean", 1 << 1},
    {"ReduceMin", 1 << 1},       {"ReduceProd", 1 << 1},
    {"ReduceSum", 1 << 1},       {"ReduceSumSquare", 1 << 1},
    {"Reshape", 1 << 1},         {"Resize", 1 << 1 | 1 << 2 | 1 << 3},
    {"ScatterND", 1 << 1},       {"Slice", 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4},
    {"Squeeze", 1 << 1},         {"Tile", 1 << 1},
    {"Unsqueeze", 1 << 1},       {"Upsample", 1 << 1},
};

static bool node_counts_axes(const OnnxNode *node, const char *name) {
    for (size_t i = 0; i < sizeof axis_lists / sizeof *axis_lists; i++)
        for (size_t j = 0; strcmp(node->op, axis_lists[i].op) == 0 && j < node->inputs.len; j++)
            if (axis_lists[i].inputs >> j & 1 && strcmp(node->inputs.data[j], name) == 0)
                return true;
    return false;
}

/* Whether the last extent of the value of this name is a number of axes to some node. */
static bool counts_axes(const OnnxGraph *graph, const char *name) {
    for (size_t i = 0; i < graph->nodes.len; i++) {
        const OnnxNode *node = &graph->nodes.data[i];
        if (node_counts_axes(node, name))
            return true;
        for (size_t j = 0; j < node->attributes.len; j++)
            if (node->attributes.data[j].g && counts_axes(node->attributes.data[j].g, name))
                return true;
    }
    return false;
}

/* "x=3xi0_1xi0_2"; NULL: nothing of it becomes a symbol. Strings are shaped as their lengths. */
static const char *shape_of(Arena *arena, const OnnxGraph *graph, size_t input, DimsForm dims) {
    const OnnxValueInfo *v = &graph->inputs.data[input];
    const size_t rank = v->type.dims.len, opened = dims == DIMS_BATCH && rank > 1 ? 1 : rank;
    const bool keeps_last = rank > 0 && counts_axes(graph, v->name);
    bool any = false;
    Str text;
    lt_str_init(&text, arena);
    lt_str_printf(&text, "%s%s=", v->name, v->type.elem_type == ONNX_STRING ? ".lengths" : "");
    for (size_t i = 0; i < rank; i++) {
        const OnnxDim *d = &v->type.dims.data[i];
        const bool is_number = d->kind == ONNX_DIM_VALUE && d->value >= 0;
        const bool stays =
            is_number && (i >= opened || d->value < 2 || (keeps_last && i + 1 == rank));
        any |= !stays;
        lt_str_append(&text, i ? "x" : "");
        if (stays)
            lt_str_printf(&text, "%lld", (long long)d->value);
        else
            lt_str_printf(&text, "i%zu_%zu", input, i);
    }
    return any ? text.text : NULL;
}

/* "n=0..1048576": for each symbol of the file, under the name that it has in this form. */
static void open_symbols(Arena *arena, const OnnxGraph *graph, size_t input, DimsForm dims,
                         CliList *ranges) {
    const OnnxValueInfo *v = &graph->inputs.data[input];
    for (size_t i = 0; i < v->type.dims.len; i++) {
        const OnnxDim *d = &v->type.dims.data[i];
        if (d->kind != ONNX_DIM_PARAM)
            continue;
        const char *name =
            dims == DIMS_GIVEN ? d->param : lt_arena_printf(arena, "i%zu_%zu", input, i);
        lt_vec_push(arena, ranges, lt_arena_printf(arena, "%s=0..1048576", name));
    }
}

DimsOptions lt_dims_options(Arena *arena, const char *model_path, DimsForm dims) {
    DimsOptions options = {0};
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, model_path, reason, sizeof reason))
        return options;
    DiagList diags;
    lt_diag_init(&diags, arena, model_path);
    const OnnxModel *model = lt_onnx_model_read(arena, file.data, file.size, &diags);
    const OnnxGraph *graph = model ? model->graph : NULL;
    for (size_t i = 0; graph && i < graph->inputs.len; i++) {
        const OnnxValueInfo *v = &graph->inputs.data[i];
        if (v->type.kind != ONNX_TYPE_TENSOR || !v->type.has_shape)
            continue;
        const char *shape = dims == DIMS_GIVEN ? NULL : shape_of(arena, graph, i, dims);
        if (shape)
            lt_vec_push(arena, &options.inputs, shape);
        open_symbols(arena, graph, i, dims, &options.ranges);
    }
    lt_file_unmap(&file);
    return options;
}
