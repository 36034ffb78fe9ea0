/* infer.c - types of a node's outputs: dispatch, the checks that every op shares, and the helpers
 * by which the ops' own functions compare dims and complain. Two dims that inference cannot prove
 * equal are taken for equal and recorded as a guard of the module. */
#include "ir/infer.h"

#include <stdarg.h>

static bool (*const infer_functions[LT_OP_LIMIT])(Node *) = {
#define OP(e, ...) [OP_##e] = lt_infer_##e,
#include "ir/ops.def"
#undef OP
};

bool lt_infer_fail(const Node *node, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(infer_module(node)->arena, format, args);
    va_end(args);
    lt_error(&infer_module(node)->diags, INFER_MALFORMED, node->loc, "%s", text);
    return false;
}

const char *lt_infer_dim_text(const Node *node, const Dim *dim) {
    Str text;
    lt_str_init(&text, infer_module(node)->arena);
    lt_dim_print(&text, dim);
    return text.text;
}

const char *lt_infer_type_text(const Node *node, const Type *type) {
    Str text;
    lt_str_init(&text, infer_module(node)->arena);
    lt_type_print(&text, type);
    return text.text;
}

bool lt_infer_set(Node *node, uint32_t output, DType dtype, int rank, const Dim *const *dims) {
    if (rank > LT_MAX_RANK)
        return lt_infer_fail(node, "the result would have %d dimensions, at most %d are possible",
                             rank, LT_MAX_RANK);
    node->outputs[output]->type = lt_type(infer_module(node), dtype, rank, dims);
    return true;
}

bool lt_infer_set_like(Node *node, uint32_t output, const Type *type) {
    node->outputs[output]->type = type;
    return true;
}

/* --- dims that must agree ------------------------------------------------------------------------
 */

/* What is fused runs with the graph that it is in. */
static const Graph *running_graph(const Graph *g) {
    while (g->parent && g->parent->op == OP_FUSED)
        g = g->parent->graph;
    return g;
}

bool lt_guard_applies(const DimGuard *guard, const Graph *g) {
    for (; g; g = g->parent ? g->parent->graph : NULL)
        if (guard->graph == g)
            return true;
    return false;
}

void lt_module_add_guard(Module *m, const Dim *a, const Dim *b, const Loc *loc) {
    lt_graph_add_guard(m->main, a, b, loc);
}

void lt_graph_add_guard(const Graph *g, const Dim *a, const Dim *b, const Loc *loc) {
    Module *m = g->module;
    g = running_graph(g);
    if (a == b)
        return;
    for (size_t i = 0; i < m->guards.len; i++) {
        const DimGuard *guard = &m->guards.data[i];
        const bool same = (guard->a == a && guard->b == b) || (guard->a == b && guard->b == a);
        if (same && lt_guard_applies(guard, g))
            return;
    }
    lt_vec_push(m->arena, &m->guards, (DimGuard){a, b, loc, g});
}

static bool can_be_equal(const DimTable *t, const Dim *a, const Dim *b) {
    int64_t a_lo, a_hi, b_lo, b_hi;
    lt_dim_range(t, a, &a_lo, &a_hi);
    lt_dim_range(t, b, &b_lo, &b_hi);
    return a_lo <= b_hi && b_lo <= a_hi;
}

bool lt_infer_unify(const Node *node, const Dim *a, const Dim *b, const Dim **out) {
    *out = lt_dim_is_const(b) ? b : a;
    if (a == b)
        return true;
    if (!can_be_equal(infer_dims(node), a, b))
        return false;
    const Dim *difference = lt_dim_sub(infer_dims(node), a, b);
    if (lt_dim_is_const(difference) && difference->value != 0)
        return false;
    lt_graph_add_guard(node->graph, a, b, node->loc);
    return true;
}

bool lt_infer_unify_broadcast(const Node *node, const Dim *a, const Dim *b, const Dim **out) {
    if (lt_dim_is(a, 1) || lt_dim_is(b, 1)) {
        *out = lt_dim_is(a, 1) ? b : a;
        return true;
    }
    return lt_infer_unify(node, a, b, out);
}

bool lt_infer_at_most(const Node *node, const Dim *a, const Dim *b) {
    DimTable *t = infer_dims(node);
    int64_t lo, hi;
    lt_dim_range(t, lt_dim_sub(t, b, a), &lo, &hi);
    if (hi < 0)
        return false;
    if (lo < 0)
        lt_graph_add_guard(node->graph, lt_dim_max(t, a, b), b, node->loc);
    return true;
}

bool lt_infer_same_dims(const Node *node, const Type *a, const Type *b, const char *a_name,
                        const char *b_name) {
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) {
        const Dim *ignored;
        same = lt_infer_unify(node, a->dims[i], b->dims[i], &ignored);
    }
    if (!same)
        lt_infer_fail(node, "%s is %s, %s is %s, their dims must be the same", a_name,
                      lt_infer_type_text(node, a), b_name, lt_infer_type_text(node, b));
    return same;
}

const Dim *lt_infer_sweep(const Node *node, const Sweep *sweep) {
    DimTable *t = infer_dims(node);
    const Dim *room = lt_dim_add(t, sweep->extent, lt_dim_add(t, sweep->lo, sweep->hi));
    room = lt_dim_add_const(t, room, -(sweep->dilation * (sweep->kernel - 1)) - 1);
    const Dim *steps = lt_dim_floordiv(t, room, lt_dim_const(t, sweep->stride));
    const Dim *result = lt_dim_add_const(t, steps, 1);
    return lt_infer_at_most(node, lt_dim_const(t, 1), result) ? result : NULL;
}

/* --- what many ops need of an input --------------------------------------------------------------
 */

bool lt_infer_need_rank(const Node *node, uint32_t input, int rank) {
    const Type *type = input_type(node, input);
    return type->rank == rank || lt_infer_fail(node, "input %u is %s, it must have %d dimensions",
                                               input, lt_infer_type_text(node, type), rank);
}

bool lt_infer_need_axis(const Node *node, uint32_t input, int64_t axis) {
    const Type *type = input_type(node, input);
    return (axis >= 0 && axis < type->rank) ||
           lt_infer_fail(node, "axis %lld is outside of input %u, which is %s", (long long)axis,
                         input, lt_infer_type_text(node, type));
}

bool lt_infer_need_float(const Node *node, uint32_t input) {
    const Type *type = input_type(node, input);
    return lt_dtype_is_float(type->dtype) ||
           lt_infer_fail(node, "input %u is %s, floating point is expected", input,
                         lt_dtype_name(type->dtype));
}

bool lt_infer_need_index(const Node *node, uint32_t input) {
    const Type *type = input_type(node, input);
    return type->dtype == DT_I64 || type->dtype == DT_I32 ||
           lt_infer_fail(node, "input %u holds indices and must be i64 or i32, it is %s", input,
                         lt_dtype_name(type->dtype));
}

bool lt_infer_need_dtype(const Node *node, uint32_t input, DType dtype) {
    const Type *type = input_type(node, input);
    return type->dtype == dtype || lt_infer_fail(node, "input %u is %s, %s is expected", input,
                                                 lt_dtype_name(type->dtype), lt_dtype_name(dtype));
}

const Attr *lt_infer_list(const Node *node, AttrName name, int64_t count) {
    const Attr *attr = lt_attr(node, name);
    if (!attr || (int64_t)attr->count != count) {
        lt_infer_fail(node, "attribute %s has %u elements, %lld are expected",
                      lt_attr_info[name].name, attr ? attr->count : 0, (long long)count);
        return NULL;
    }
    return attr;
}

/* --- dispatch ------------------------------------------------------------------------------------
 */

static bool check_inputs(const Node *node) {
    const OpInfo *info = &lt_op_info[node->op];
    if (node->input_count < (uint32_t)info->min_inputs ||
        (info->max_inputs >= 0 && node->input_count > (uint32_t)info->max_inputs))
        return lt_infer_fail(
            node, "%s has %u inputs, %s%d are expected", info->name, node->input_count,
            info->max_inputs == info->min_inputs ? "" : "at least ", info->min_inputs);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const Value *value = node->inputs[i].value;
        /* Only layer_norm has inputs that may be absent. */
        if (!value && (node->op != OP_LAYER_NORM || i == 0))
            return lt_infer_fail(node, "input %u of %s is missing", i, info->name);
        if (value && !value->type)
            return lt_infer_fail(node, "input %u of %s has no type yet", i, info->name);
    }
    return true;
}

static bool check_attrs(const Node *node) {
    const OpInfo *info = &lt_op_info[node->op];
    uint64_t seen = 0;
    for (uint32_t i = 0; i < node->attr_count; i++)
        seen |= UINT64_C(1) << node->attrs[i].name;
    const uint64_t missing = info->required & ~seen;
    const uint64_t strange = seen & ~(info->required | info->optional);
    if (missing)
        return lt_infer_fail(node, "%s needs the attribute %s", info->name,
                             lt_attr_info[__builtin_ctzll(missing)].name);
    if (strange)
        return lt_infer_fail(node, "%s has no attribute %s", info->name,
                             lt_attr_info[__builtin_ctzll(strange)].name);
    return true;
}

bool lt_infer_node(Node *node) {
    if (!check_inputs(node) || !check_attrs(node) || !infer_functions[node->op](node))
        return false;
    lt_infer_content(node);
    return true;
}

/* The type of a carried value in the body: the operand's, but for dims that vary from one iteration
 * to the next, which are symbols of data there. */
static const Type *carried_type(const Node *node, const Type *in_body, const Type *operand) {
    const Dim *dims[LT_MAX_RANK];
    if (!in_body || in_body->dtype != operand->dtype || in_body->rank != operand->rank)
        return operand;
    for (int i = 0; i < operand->rank; i++) {
        const Dim *d = in_body->dims[i];
        const bool varies =
            d->kind == DIM_SYMBOL && infer_dims(node)->symbols.data[d->symbol].data_dependent;
        dims[i] = varies ? d : operand->dims[i];
    }
    return lt_type(infer_module(node), operand->dtype, operand->rank, dims);
}

/* A region's inputs take the types of the operands that they stand for: all of them, but not an
 * if's condition and not a loop's trip count (a loop's first region input is the iteration, which
 * keeps its type). */
static void type_region_inputs(Node *node, Graph *region) {
    const uint32_t first_operand = node->op == OP_FUSED ? 0 : node->op == OP_IF ? 1 : 2;
    const uint32_t first_input = node->op == OP_LOOP ? 1 : 0;
    const int64_t carried = node->op == OP_LOOP ? lt_attr_int(node, ATTR_COUNT, 0) : 0;
    for (uint32_t i = first_input; i < region->inputs.len; i++) {
        const uint32_t operand = i - first_input + first_operand;
        if (operand >= node->input_count || !node->inputs[operand].value)
            continue;
        const Type *type = node->inputs[operand].value->type;
        Value *inside = region->inputs.data[i];
        inside->type = i - first_input < carried ? carried_type(node, inside->type, type) : type;
    }
}

bool lt_infer_graph(Graph *g) {
    LT_EACH_NODE(node, g) {
        for (uint32_t i = 0; i < node->region_count; i++) {
            type_region_inputs(node, node->regions[i]);
            if (!lt_infer_graph(node->regions[i]))
                return false;
        }
        if (!lt_infer_node(node))
            return false;
    }
    return true;
}
