/* lower_scatter_gpu.c - scatters on a GPU: a copy of the data, then the updates.
 *
 * Updates are lines that cannot meet (other positions on the other axes, other elements of a block)
 * of updates that can. A thread does a line in order, where lines are many or short. Else the
 * updates are sorted by where they go, stably, and a thread does all that go to one place, in
 * order: that gives each float sum, and the last of several updates, as the definition says, the
 * same in each run and for every dtype. Atomic operations would be right for integers alone. */
#include "passes/lower_gpu.h"

#include <math.h>

enum { SHORT_LINE = 32, LONG_LINE = 4096, MANY_LINES = 8192 };

typedef struct Scatter {
    Assembly *a;
    const Node *node;
    Value *data, *indices, *updates;
    uint32_t out;
    int axis;  /* of elements; -1: rows of positions, of which each means a block */
    int depth; /* of such a row */
    const Dim *lines, *count, *rows; /* rows: lines of positions: 1, where blocks share them */
    const Dim *extent;               /* of the places on a line */
    const char *fn;                  /* NULL: an update replaces */
} Scatter;

/* --- elements -----------------------------------------------------------------------------------
 */

static bool is_constant(const Value *v) {
    const Const *c = lt_value_const(v);
    return c && c->is_splat;
}

/* The element of an operand, which may be all one number. */
static const char *element_of(GpuKernel *g, const Value *v, const char *name, const char *index) {
    Arena *arena = g->a->ctx->scratch;
    const DType dtype = v->type->dtype;
    const Const *c = lt_value_const(v);
    if (!is_constant(v))
        return lt_arena_printf(arena, "%s[%s]", name, index);
    if (dtype == DT_BOOL)
        return lt_const_get_int(c, 0) ? "true" : "false";
    if (lt_dtype_is_float(dtype) && isnan(lt_const_get_float(c, 0)))
        return lt_arena_printf(arena, "nan:%s", lt_dtype_name(dtype));
    if (lt_dtype_is_float(dtype))
        return lt_arena_printf(arena, "%.17g:%s", lt_const_get_float(c, 0), lt_dtype_name(dtype));
    return lt_arena_printf(arena, "%lld:%s", (long long)lt_const_get_int(c, 0),
                           lt_dtype_name(dtype));
}

static void add_operand(GpuKernel *g, Value *v, const char *name, const char *dims) {
    if (!is_constant(v))
        lt_gpu_input(g, name, lt_buffer_of(g->a, v), dims);
}

/* "PREFIX0, PREFIX1, ..." as words in braces, with `at` in place of the one of the axis. */
static const char *list_words(GpuKernel *g, int rank, char prefix, int axis, const char *at) {
    Str out;
    lt_str_init(&out, g->a->ctx->scratch);
    for (int i = 0; i < rank; i++) {
        lt_str_append(&out, i ? ", " : "");
        if (i == axis)
            lt_str_append(&out, at);
        else
            lt_str_printf(&out, "{%c%d}", prefix, i);
    }
    return out.text;
}

static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7"};

static void add_dims(GpuKernel *g, const Type *type, const char *prefix) {
    for (int i = 0; i < type->rank; i++)
        lt_gpu_dim(g, lt_arena_printf(g->a->ctx->scratch, "%s%s", prefix, digits[i]),
                   type->dims[i]);
}

/* {i0}, {i1}, ...: where the line {line} is on the other axes of the indices. */
static void add_line(GpuKernel *g, const Scatter *s) {
    const char *inner = "";
    for (int i = s->indices->type->rank - 1; i >= 0; i--) {
        const char *name = lt_arena_printf(g->a->ctx->scratch, "i%s", digits[i]);
        if (i == s->axis)
            continue;
        lt_gpu_word(g, name, "%s",
                    lt_gpu_fill(g, lt_arena_printf(g->a->ctx->scratch,
                                                   "({line} floordiv (1%s) mod {n%d})", inner, i)));
        inner = lt_arena_printf(g->a->ctx->scratch, "%s * {n%d}", inner, i);
    }
}

/* --- positions ----------------------------------------------------------------------------------
 */

static const char position_text[] =
    "let {p} in 0..{greatest} = max(min(select({raw} < 0, {raw} + {size}, {raw}), {size} - 1), 0)";

/* A let of where on an axis an index means, as lt_lower_position has it. */
static const char *position_let(GpuKernel *g, const char *name, const char *raw, const Dim *size) {
    GpuKernel words = *g; /* its own */
    lt_gpu_word(&words, "p", "%s", name);
    lt_gpu_word(&words, "raw", "i64(%s)", raw);
    lt_gpu_most(&words, "greatest", size, -1);
    return lt_gpu_fill(&words, position_text);
}

/* {position}: the let `at` of update {u} of the line; {size} is told by then. */
static void add_position(GpuKernel *g, const Scatter *s) {
    Arena *arena = g->a->ctx->scratch;
    const Type *data = s->data->type;
    Str out;
    if (s->axis >= 0) {
        const int rank = s->indices->type->rank;
        lt_gpu_word(g, "size", "%s", lt_gpu_fill(g, lt_arena_printf(arena, "{m%d}", s->axis)));
        const char *index = lt_gpu_fill(g, list_words(g, rank, 'i', s->axis, "{u}"));
        lt_gpu_word(g, "position", "%s",
                    position_let(g, "at", element_of(g, s->indices, "indices", index),
                                 data->dims[s->axis]));
        return;
    }
    lt_str_init(&out, arena);
    Str flat;
    lt_str_init(&flat, arena);
    lt_str_append(&flat, "0");
    for (int i = 0; i < s->depth; i++) {
        GpuKernel words = *g;
        const char *name = lt_arena_printf(arena, "p%d", i);
        const char *index = lt_gpu_fill(g, lt_arena_printf(arena, "{u}, %d", i));
        lt_gpu_word(&words, "size", "%s", lt_gpu_fill(g, lt_arena_printf(arena, "{m%d}", i)));
        lt_str_printf(
            &out, "%s%s", i ? "\n" : "",
            position_let(&words, name, element_of(g, s->indices, "indices", index), data->dims[i]));
        const char *before = i ? flat.text : "0";
        flat.text = lt_arena_printf(arena, "(%s * {m%d} + %s)", before, i, name);
    }
    lt_gpu_word(g, "position", "%s", out.text);
    lt_gpu_word(g, "flat", "%s", lt_gpu_fill(g, flat.text));
}

/* --- places and updates -------------------------------------------------------------------------
 */

/* The element of the result at place `at` of the line, and update `from` of it, as {place} and
 * {update}. */
static void add_elements(GpuKernel *g, const Scatter *s, const char *at, const char *from) {
    const int rank = s->indices->type->rank;
    const char *place, *update;
    if (s->axis >= 0) {
        place = lt_gpu_fill(g, list_words(g, rank, 'i', s->axis, at));
        update = lt_gpu_fill(g, list_words(g, rank, 'i', s->axis, from));
    } else {
        place = lt_arena_printf(g->a->ctx->scratch, "%s, %s", at, lt_gpu_fill(g, "{line}"));
        update = lt_arena_printf(g->a->ctx->scratch, "%s, %s", from, lt_gpu_fill(g, "{line}"));
    }
    lt_gpu_word(g, "place", "%s", place);
    lt_gpu_word(g, "update", "%s", element_of(g, s->updates, "updates", update));
}

/* {condition}: nothing fits on an empty axis. */
static void add_condition(GpuKernel *g, const Scatter *s) {
    Str out;
    lt_str_init(&out, g->a->ctx->scratch);
    lt_str_append(&out, "{c} < {all}");
    for (int i = 0; i < s->data->type->rank; i++) {
        int64_t lo, hi;
        lt_dim_range(&g->a->module->dims, s->data->type->dims[i], &lo, &hi);
        if (lo < 1 && (s->axis >= 0 ? i == s->axis : i < s->depth))
            lt_str_printf(&out, " and 0 < {m%d}", i);
    }
    lt_gpu_word(g, "condition", "%s", lt_gpu_fill(g, out.text));
}

static GpuKernel begin(const Scatter *s, const char *suffix, const char *all) {
    GpuKernel g = lt_gpu_kernel(s->a, s->node, suffix);
    if (s->axis >= 0)
        add_dims(&g, s->indices->type, "n");
    add_dims(&g, s->data->type, "m");
    lt_gpu_dim(&g, "lines", s->lines);
    lt_gpu_dim(&g, "count", s->count);
    lt_gpu_word(&g, "threads", "%d", GPU_THREADS);
    lt_gpu_word(&g, "all", "%s", lt_gpu_fill(&g, all));
    lt_gpu_word(&g, "c", "%s", lt_gpu_fill(&g, "(c.0 * {threads} + c.1)"));
    add_condition(&g, s);
    return g;
}

/* Parameters: the operands that the kernel reads, and the result as it sees it. */
static void add_indices(GpuKernel *g, const Scatter *s) {
    const int rank = s->indices->type->rank;
    add_operand(g, s->indices, "indices",
                s->axis >= 0 ? list_words(g, rank, 'n', -1, NULL)
                             : lt_arena_printf(g->a->ctx->scratch, "{count}, %d", s->depth));
}

static void add_result(GpuKernel *g, const Scatter *s) {
    const int rank = s->indices->type->rank;
    lt_gpu_dim(g, "extent", s->extent);
    add_operand(g, s->updates, "updates",
                s->axis >= 0 ? list_words(g, rank, 'n', -1, NULL) : "{count}, {lines}");
    lt_gpu_output(g, "out", s->out,
                  s->axis >= 0 ? list_words(g, rank, 'm', -1, NULL) : "{extent}, {lines}");
    lt_gpu_word(g, "fn", "%s", s->fn ? s->fn : "");
}

/* --- in order -----------------------------------------------------------------------------------
 */

static const char scatter_lines[] =
    "grid c.0 in {all} ceildiv {threads} { thread c.1 in {threads} {\n"
    "  if ({condition}) { for u in {count} {\n"
    "    {position}\n"
    "    out[{place}] = {value}\n"
    "  } }\n"
    "} }";

static void do_lines(const Scatter *s) {
    GpuKernel g = begin(s, "update", "{lines}");
    lt_gpu_word(&g, "line", "%s", lt_gpu_fill(&g, "{c}"));
    lt_gpu_word(&g, "u", "u");
    if (s->axis >= 0)
        add_line(&g, s);
    add_position(&g, s);
    add_indices(&g, s);
    add_result(&g, s);
    add_elements(&g, s, s->axis >= 0 ? "at" : lt_gpu_fill(&g, "{flat}"), "u");
    lt_gpu_word(&g, "value", "%s",
                lt_gpu_fill(&g, s->fn ? "{fn}(out[{place}], {update})" : "{update}"));
    lt_gpu_launch(&g, scatter_lines);
}

/* --- sorted -------------------------------------------------------------------------------------
 */

static const char write_positions[] =
    "grid c.0 in {all} ceildiv {threads} { thread c.1 in {threads} {\n"
    "  if ({condition}) {\n"
    "    {position}\n"
    "    positions[{line}, {u}] = {P}({at})\n"
    "  }\n"
    "} }";

/* The last one of several updates of a place. */
static const char store_last[] =
    "grid c.0 in {all} ceildiv {threads} { thread c.1 in {threads} {\n"
    "  if ({condition}) {\n"
    "    alloc here: {P}[] register here[] = positions[{row}, {s}]\n"
    "    alloc next: {P}[] register next[] = positions[{row}, {s} + 1] where ({s} + 1 < {count})\n"
    "    if ({s} + 1 == {count} or next[] != here[]) {\n"
    "      let at in 0..{extent_most} = i64(here[])\n"
    "      let from in 0..{count_most} = order[{row}, {s}]\n"
    "      out[{place}] = {update}\n"
    "    }\n"
    "  }\n"
    "} }";

/* The first one does all of a place; a binary search tells how many there are. */
static const char fold_equal[] =
    "grid c.0 in {all} ceildiv {threads} { thread c.1 in {threads} {\n"
    "  if ({condition}) {\n"
    "    alloc here: {P}[] register here[] = positions[{row}, {s}]\n"
    "    alloc last: {P}[] register last[] = positions[{row}, {s} - 1] where (0 < {s})\n"
    "    if ({s} == 0 or last[] != here[]) {\n"
    "      alloc end: {I}[] register end[] = {I}({s} + 1)\n"
    "      for h in {steps} {\n"
    "        let next in 1..{next_most} = i64(end[] + shl(1:{I}, {I}({steps} - 1 - h)))\n"
    "        if (next <= {count}) {\n"
    "          alloc one: {P}[] register one[] = positions[{row}, next - 1]\n"
    "          if (one[] == here[]) { end[] = {I}(next) }\n"
    "        }\n"
    "      }\n"
    "      let at in 0..{extent_most} = i64(here[])\n"
    "      let behind in 1..{behind_most} = i64(end[])\n"
    "      alloc sum: {T}[] register sum[] = out[{place}]\n"
    "      for r in behind - {s} {\n"
    "        let from in 0..{count_most} = order[{row}, {s} + r]\n"
    "        sum[] = {fn}(sum[], {update})\n"
    "      }\n"
    "      out[{place}] = sum[]\n"
    "    }\n"
    "  }\n"
    "} }";

/* That holds a few times d: what a search looks at lies behind the end. */
static DType integer_for(const Assembly *a, const Dim *d) {
    int64_t lo, hi;
    lt_dim_range(&a->module->dims, d, &lo, &hi);
    return hi <= INT32_MAX / 4 ? DT_I32 : DT_I64;
}

static void find_positions(const Scatter *s, uint32_t positions) {
    GpuKernel g = begin(s, "positions", s->axis >= 0 ? "{lines} * {count}" : "{count}");
    lt_gpu_word(&g, "P", "%s", lt_dtype_name(integer_for(s->a, s->extent)));
    lt_gpu_word(&g, "line", "%s", s->axis >= 0 ? lt_gpu_fill(&g, "({c} floordiv {count})") : "0");
    lt_gpu_word(&g, "u", "%s", lt_gpu_fill(&g, s->axis >= 0 ? "{c} mod {count}" : "{c}"));
    if (s->axis >= 0)
        add_line(&g, s);
    add_position(&g, s);
    lt_gpu_word(&g, "at", "%s", s->axis >= 0 ? "at" : lt_gpu_fill(&g, "{flat}"));
    add_indices(&g, s);
    lt_gpu_dim(&g, "rows", s->rows);
    lt_gpu_output(&g, "positions", positions, "{rows}, {count}");
    lt_gpu_launch(&g, write_positions);
}

static int search_steps(const Scatter *s) {
    int64_t lo, hi;
    int steps = 1;
    lt_dim_range(&s->a->module->dims, s->count, &lo, &hi);
    while (steps < 40 && INT64_C(1) << steps <= hi)
        steps++;
    return steps;
}

static void apply_sorted(const Scatter *s, uint32_t positions, uint32_t order) {
    GpuKernel g = begin(s, "update", "{lines} * {count}");
    lt_gpu_word(&g, "P", "%s", lt_dtype_name(integer_for(s->a, s->extent)));
    lt_gpu_word(&g, "T", "%s", lt_dtype_name(s->data->type->dtype));
    lt_gpu_word(&g, "steps", "%d", search_steps(s));
    lt_gpu_word(&g, "I", "%s", lt_dtype_name(integer_for(s->a, s->count)));
    lt_gpu_most(&g, "extent_most", s->extent, -1);
    lt_gpu_most(&g, "count_most", s->count, -1);
    lt_gpu_most(&g, "behind_most", s->count, 0);
    lt_gpu_most(&g, "next_most", s->count, INT64_C(1) << search_steps(s));
    if (s->axis >= 0) {
        lt_gpu_word(&g, "line", "%s", lt_gpu_fill(&g, "({c} floordiv {count})"));
        lt_gpu_word(&g, "row", "%s", lt_gpu_fill(&g, "{line}"));
        lt_gpu_word(&g, "s", "%s", lt_gpu_fill(&g, "{c} mod {count}"));
        add_line(&g, s);
    } else {
        lt_gpu_word(&g, "line", "%s", lt_gpu_fill(&g, "{c} mod {lines}"));
        lt_gpu_word(&g, "row", "0");
        lt_gpu_word(&g, "s", "%s", lt_gpu_fill(&g, "{c} floordiv {lines}"));
    }
    lt_gpu_dim(&g, "rows", s->rows);
    lt_gpu_input(&g, "positions", positions, "{rows}, {count}");
    lt_gpu_input(&g, "order", order, "{rows}, {count}");
    add_result(&g, s);
    add_elements(&g, s, "at", "from");
    lt_gpu_launch(&g, s->fn ? fold_equal : store_last);
}

static void do_sorted(const Scatter *s) {
    const Dim *dims[] = {s->rows, s->count}, *one = lt_dim_const(&s->a->module->dims, 1);
    const DType dtype = integer_for(s->a, s->extent);
    const uint32_t positions = lt_gpu_buffer(s->a, dtype, 2, dims, "positions");
    const uint32_t sorted = lt_gpu_buffer(s->a, dtype, 2, dims, "sorted");
    const uint32_t order = lt_gpu_buffer(s->a, DT_I64, 2, dims, "order");
    find_positions(s, positions);
    lt_gpu_sort(s->a, s->node,
                &(GpuSort){.x = positions,
                           .values = sorted,
                           .indices = order,
                           .outer = s->rows,
                           .length = s->count,
                           .inner = one,
                           .k = s->count,
                           .dtype = dtype});
    apply_sorted(s, sorted, order);
}

/* --- the node -----------------------------------------------------------------------------------
 */

static const char fill[] = "grid c.0 in {all} ceildiv {threads} { thread c.1 in {threads} {\n"
                           "  if (c.0 * {threads} + c.1 < {all}) {\n"
                           "    out[c.0 * {threads} + c.1] = {x}\n"
                           "  }\n"
                           "} }";

static void copy_data(const Scatter *s) {
    Assembly *a = s->a;
    if (!is_constant(s->data)) {
        lt_step_copy(a, lt_step_name(a, s->node), lt_buffer_of(a, s->data), s->out,
                     lt_buffer_bytes(a, s->data->type), NULL);
        return;
    }
    GpuKernel g = lt_gpu_kernel(a, s->node, "fill");
    lt_gpu_dim(&g, "all", lt_type_elements(a->module, s->data->type));
    lt_gpu_word(&g, "threads", "%d", GPU_THREADS);
    lt_gpu_word(&g, "x", "%s", element_of(&g, s->data, "", ""));
    lt_gpu_output(&g, "out", s->out, "{all}");
    lt_gpu_launch(&g, fill);
}

static void read_elements(Scatter *s) {
    DimTable *t = &s->a->module->dims;
    const Type *indices = s->indices->type;
    s->axis = (int)lt_attr_int(s->node, ATTR_AXIS, 0);
    s->count = indices->dims[s->axis];
    s->lines =
        lt_dim_mul(t, lt_dim_product(t, indices->dims, s->axis),
                   lt_dim_product(t, indices->dims + s->axis + 1, indices->rank - s->axis - 1));
    s->rows = s->lines;
    s->extent = s->data->type->dims[s->axis];
}

static void read_blocks(Scatter *s) {
    DimTable *t = &s->a->module->dims;
    const Type *indices = s->indices->type, *data = s->data->type;
    s->axis = -1;
    s->depth = (int)indices->dims[indices->rank - 1]->value;
    s->count = lt_dim_product(t, indices->dims, indices->rank - 1);
    s->lines = lt_dim_product(t, data->dims + s->depth, data->rank - s->depth);
    s->rows = lt_dim_const(t, 1);
    s->extent = lt_dim_product(t, data->dims, s->depth);
}

static bool is_better_in_order(const Scatter *s) {
    int64_t few, lines, lo, count;
    lt_dim_range(&s->a->module->dims, s->lines, &lines, &few);
    lt_dim_range(&s->a->module->dims, s->count, &lo, &count);
    return count <= SHORT_LINE || (lines >= MANY_LINES && count <= LONG_LINE);
}

static bool is_scatter(const Node *n) {
    return n->op == OP_SCATTER_ELEMENTS || n->op == OP_SCATTER_ND;
}

/* The node, or the only one of a group; NULL: it is no scatter. */
static const Node *find_scatter(const Node *node) {
    const Node *found = NULL;
    if (node->op != OP_FUSED)
        return is_scatter(node) ? node : NULL;
    LT_EACH_NODE(n, node->regions[0]) {
        if (n->op == OP_CONST || n->op == OP_YIELD)
            continue;
        if (found || !is_scatter(n))
            return NULL;
        found = n;
    }
    return node->output_count == 1 ? found : NULL;
}

/* What a group's input stands for is the group's operand. */
static Value *operand_of(const Node *group, const Node *scatter, uint32_t i) {
    Value *v = lt_input(scatter, i);
    return group != scatter && !v->def ? lt_input(group, v->index) : v;
}

bool lt_lower_scatter_gpu(Assembly *a, const Node *node) {
    const Node *scatter = find_scatter(node);
    if (!scatter)
        return false;
    const Attr *fn = lt_attr(scatter, ATTR_FN);
    Scatter s = {.a = a,
                 .node = scatter,
                 .data = operand_of(node, scatter, 0),
                 .indices = operand_of(node, scatter, 1),
                 .updates = operand_of(node, scatter, 2),
                 .fn = fn ? lt_scalar_info[fn->u.i].name : NULL,
                 .out = lt_buffer_of(a, lt_output(node))};
    if (scatter->op == OP_SCATTER_ELEMENTS)
        read_elements(&s);
    else
        read_blocks(&s);
    copy_data(&s);
    if (is_better_in_order(&s))
        do_lines(&s);
    else
        do_sorted(&s);
    return true;
}
