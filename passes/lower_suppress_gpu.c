/* lower_suppress_gpu.c - boxes that overlap, on a GPU: a block has a list, whose boxes it looks at
 * one after the other. Its threads compare the others with the one at hand; a barrier a box. */
#include "passes/lower_gpu.h"

static const char text[] =
    "grid list in {lists} {\n"
    "  alloc taken: i64[] register\n"
    "  taken[] = 0\n"
    "  thread e.1 in {threads} { for e.0 in {boxes} ceildiv {threads} {\n"
    "    if (e.0 * {threads} + e.1 < {boxes}) {\n"
    "      left[list, e.0 * {threads} + e.1] = keep[list, e.0 * {threads} + e.1]\n"
    "    }\n"
    "  } }\n"
    "  barrier\n"
    "  for box in {boxes} {\n"
    "    alloc stays: bool[] register\n"
    "    stays[] = left[list, box] and taken[] < most[]\n"
    "    thread u in 1 { out[list, box] = stays[] }\n"
    "    thread o.1 in {threads} { for o.0 in {boxes} ceildiv {threads} {\n"
    "      if (stays[] and box < {other} and {other} < {boxes}) {\n"
    "        alloc shared: {T}[] register\n"
    "        shared[] = {shared0} * {shared1}\n"
    "        alloc all: {T}[] register\n"
    "        all[] = {area_box} + {area_other} - shared[]\n"
    "        if (shared[] / all[] > overlap[] and shared[] > 0) { left[list, {other}] = false }\n"
    "      }\n"
    "    } }\n"
    "    taken[] = taken[] + i64(stays[])\n"
    "    barrier\n"
    "  }\n"
    "}";

static const char shared_text[] =
    "max(min(edges[list, {other}, {high}], edges[list, box, {high}]) - "
    "max(edges[list, {other}, {low}], edges[list, box, {low}]), 0)";
static const char area_text[] = "((edges[list, {box}, 2] - edges[list, {box}, 0]) * "
                                "(edges[list, {box}, 3] - edges[list, {box}, 1]))";

static const char *shared_length(const GpuKernel *g, const char *low, const char *high) {
    GpuKernel words = *g;
    lt_gpu_word(&words, "low", "%s", low);
    lt_gpu_word(&words, "high", "%s", high);
    return lt_gpu_fill(&words, shared_text);
}

static const char *area_of(const GpuKernel *g, const char *box) {
    GpuKernel words = *g;
    lt_gpu_word(&words, "box", "%s", box);
    return lt_gpu_fill(&words, area_text);
}

void lt_lower_suppress_gpu(Assembly *a, const Node *node) {
    const Type *type = lt_output(node)->type;
    const Dim *lists = lt_dim_product(&a->module->dims, type->dims, type->rank - 1);
    const Dim *boxes = type->dims[type->rank - 1], *dims[] = {lists, boxes};
    GpuKernel g = lt_gpu_kernel(a, node, "suppress");
    lt_gpu_dim(&g, "lists", lists);
    lt_gpu_dim(&g, "boxes", boxes);
    lt_gpu_word(&g, "threads", "%d", GPU_THREADS);
    lt_gpu_word(&g, "T", "%s", lt_dtype_name(lt_input(node, 1)->type->dtype));
    lt_gpu_word(&g, "other", "%s", lt_gpu_fill(&g, "(o.0 * {threads} + o.1)"));
    lt_gpu_word(&g, "shared0", "%s", shared_length(&g, "0", "2"));
    lt_gpu_word(&g, "shared1", "%s", shared_length(&g, "1", "3"));
    lt_gpu_word(&g, "area_box", "%s", area_of(&g, "box"));
    lt_gpu_word(&g, "area_other", "%s", area_of(&g, lt_gpu_fill(&g, "{other}")));
    lt_gpu_input(&g, "keep", lt_buffer_of(a, lt_input(node, 0)), "{lists}, {boxes}");
    lt_gpu_input(&g, "edges", lt_buffer_of(a, lt_input(node, 1)), "{lists}, {boxes}, 4");
    lt_gpu_input(&g, "most", lt_buffer_of(a, lt_input(node, 2)), "");
    lt_gpu_input(&g, "overlap", lt_buffer_of(a, lt_input(node, 3)), "");
    lt_gpu_output(&g, "left", lt_gpu_buffer(a, DT_BOOL, 2, dims, "left"), "{lists}, {boxes}");
    lt_gpu_output(&g, "out", lt_buffer_of(a, lt_output(node)), "{lists}, {boxes}");
    lt_gpu_launch(&g, text);
}
