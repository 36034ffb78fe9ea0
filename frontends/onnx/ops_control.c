/* ops_control.c - branches and loops.
 *
 * A branch whose condition is known is read in place. Else subgraphs become regions; what they use
 * of outside they get as inputs, behind those that the op gives them (scope.h). What a loop carries
 * starts with the types of the operands; where the body makes a dim another one, the body is read
 * again with a symbol there, until nothing changes. */
#include <string.h>

#include "frontends/onnx/scope.h"

static const OnnxGraph *subgraph(Import *im, const char *name) {
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_GRAPH);
    if (!a)
        lt_onnx_malformed(im, "the subgraph %s is missing", name);
    return a ? a->g : NULL;
}

/* A node at the end of the graph at hand, whose regions are to be filled. */
static Node *region_node(Import *im, Op op, Value *const *inputs, uint32_t input_count,
                         uint32_t regions, uint32_t outputs, const Attr *attr) {
    return lt_node_new(im->b.graph, NULL,
                       &(NodeSpec){.op = op,
                                   .inputs = inputs,
                                   .input_count = input_count,
                                   .attrs = attr,
                                   .attr_count = attr ? 1 : 0,
                                   .region_count = regions,
                                   .output_count = outputs,
                                   .loc = im->b.loc});
}

static OnnxScope region_scope(Import *im, const OnnxGraph *g, Graph *region) {
    OnnxScope scope = {.graph = g, .outer = im->scope, .region = region};
    lt_map_init(&scope.names, im->arena);
    return scope;
}

static bool take_outputs(Import *im, Node *node, bool built) {
    if (!built || !lt_infer_node(node))
        return false;
    for (uint32_t i = 0; i < im->output_count && i < node->output_count; i++)
        im->outputs[i] = node->outputs[i];
    return true;
}

/* --- if --------------------------------------------------------------------------------------- */

/* The region's captured inputs become those of all captured values, in their order. */
static void arrange_inputs(Import *im, OnnxScope *scope, Value *const *all, size_t count) {
    Graph *g = scope->region;
    for (size_t i = 0; i < count; i++)
        lt_onnx_capture(im, scope, all[i]);
    Value **order = LT_ARRAY(im->arena, Value *, count + 1);
    for (size_t i = 0; i < count; i++)
        order[i] = lt_onnx_capture(im, scope, all[i]);
    for (size_t i = 0; i < count; i++) {
        g->inputs.data[i] = order[i];
        order[i]->index = (uint32_t)i;
    }
}

static const Dim *known_extent(Import *im, Value *v) {
    const Const *c = v->content ? NULL : lt_onnx_const(im, v);
    return v->content ? v->content[0] : c ? lt_dim_const(im->dims, lt_const_get_int(c, 0)) : NULL;
}

/* The condition compares two extents: gives them. */
static bool compares_extents(Import *im, const Value *condition, const Dim **a, const Dim **b) {
    const Node *n = condition->def;
    while (n && (n->op == OP_RESHAPE || n->op == OP_CONVERT))
        n = lt_input(n, 0)->def;
    if (!n || n->op != OP_MAP || lt_node_fn(n) != FN_EQ)
        return false;
    *a = known_extent(im, lt_input(n, 0));
    *b = known_extent(im, lt_input(n, 1));
    return *a && *b;
}

static bool ranks_differ(const Node *node) {
    const Node *yes = lt_graph_yield(node->regions[0]), *no = lt_graph_yield(node->regions[1]);
    for (uint32_t i = 0; i < node->output_count; i++)
        if (lt_input(yes, i)->type->rank != lt_input(no, i)->type->rank)
            return true;
    return false;
}

/* Exporters write `if (extent == 1) squeeze`: what follows is of one rank only. The artifact is for
 * that one, and refuses other shapes. */
static bool assume_equal(Import *im, const OnnxGraph *then, const Dim *a, const Dim *b) {
    lt_remark(&im->module->diags, im->b.loc,
              "the branch is taken where %s is %s: other shapes are "
              "refused, because results of two ranks are",
              lt_onnx_dim_text(im, a), lt_onnx_dim_text(im, b));
    lt_graph_add_guard(im->b.graph, a, b, im->b.loc);
    return lt_onnx_inline_graph(im, then);
}

static bool dynamic_if(Import *im, const OnnxGraph *const *branches) {
    const size_t guards = im->module->guards.len;
    const Dim *a, *b;
    Node *node = region_node(im, OP_IF, im->inputs, 1, 2, im->output_count, NULL);
    OnnxScope scopes[2];
    bool built = node != NULL;
    for (int i = 0; built && i < 2; i++) {
        scopes[i] = region_scope(im, branches[i], node->regions[i]);
        built = lt_onnx_read_region(im, &scopes[i], branches[i]);
    }
    if (!built)
        return false;
    if (ranks_differ(node) && compares_extents(im, im->inputs[0], &a, &b)) {
        lt_node_remove(node);
        im->module->guards.len = guards;
        return assume_equal(im, branches[0], a, b);
    }
    for (size_t i = 0; i < scopes[1].captured.len; i++)
        lt_onnx_capture(im, &scopes[0], scopes[1].captured.data[i]);
    arrange_inputs(im, &scopes[1], scopes[0].captured.data, scopes[0].captured.len);
    for (size_t i = 0; i < scopes[0].captured.len; i++)
        lt_node_add_input(node, scopes[0].captured.data[i]);
    return take_outputs(im, node, true);
}

bool lt_onnx_if(Import *im) {
    Value *condition = im->inputs[0];
    const OnnxGraph *branches[] = {subgraph(im, "then_branch"), subgraph(im, "else_branch")};
    if (!branches[0] || !branches[1])
        return false;
    for (int i = 0; i < 2; i++)
        if (branches[i]->outputs.len != im->output_count)
            return lt_onnx_malformed(im, "the branch has %zu outputs, the node %u",
                                     branches[i]->outputs.len, im->output_count);
    const Const *c = lt_onnx_const(im, condition);
    const bool known = c || (condition->content && lt_dim_is_const(condition->content[0]));
    if (!known)
        return dynamic_if(im, branches);
    const bool taken = c ? lt_const_get_int(c, 0) != 0 : condition->content[0]->value != 0;
    return lt_onnx_inline_graph(im, branches[taken ? 0 : 1]);
}

/* --- loop ------------------------------------------------------------------------------------- */

/* What Loop and Scan have in common. */
typedef struct LoopParts {
    const OnnxGraph *body;
    Value *trips, *go; /* i64[], bool[] */
    uint32_t carried;
    Value *const *starts; /* what is carried, before the first iteration */
    bool is_scan;         /* the body yields no condition, and gets slices instead of a counter */
    Value *const *sliced; /* scan: what is cut */
    const int64_t *axes, *backward;
    uint32_t sliced_count;
} LoopParts;

enum { MOST_READINGS = LT_MAX_RANK + 1 };

static Value *constant_true(Builder *b) {
    return lt_build_const(b, lt_const_int(b->graph->module, DT_BOOL, 1));
}

static bool bind_input(Import *im, OnnxScope *scope, const char *name, Value *v) {
    OnnxScope *outer = im->scope;
    im->scope = scope;
    const bool bound = v && lt_onnx_bind(im, name, (Binding){.value = v});
    im->scope = outer;
    return bound || !v || lt_onnx_malformed(im, "input '%s' of the body is defined twice", name);
}

/* The element of a scanned operand that this iteration is about. */
static Value *slice_of(Import *im, OnnxScope *scope, const LoopParts *l, uint32_t i) {
    Builder b = {.graph = scope->region, .loc = im->b.loc};
    Value *x = l->sliced[i], *at = scope->region->inputs.data[0];
    const Dim *last = lt_dim_add_const(im->dims, x->type->dims[l->axes[i]], -1);
    if (l->backward[i])
        at = lt_build_map2(&b, FN_SUB, lt_build_reshape(&b, lt_build_dims(&b, 1, &last), 0, NULL),
                           at);
    return lt_build_gather(&b, lt_onnx_capture(im, scope, x), at, (int)l->axes[i]);
}

static bool bind_body(Import *im, OnnxScope *scope, const LoopParts *l) {
    Builder b = {.graph = scope->region, .loc = im->b.loc};
    const uint32_t first = l->is_scan ? 0 : 2;
    const OnnxGraph *body = l->body;
    bool ok = true;
    if (!l->is_scan)
        ok = bind_input(im, scope, body->inputs.data[0].name, scope->region->inputs.data[0]) &&
             bind_input(im, scope, body->inputs.data[1].name, constant_true(&b));
    for (uint32_t i = 0; ok && i < l->carried; i++)
        ok = bind_input(im, scope, body->inputs.data[first + i].name,
                        scope->region->inputs.data[i + 1]);
    for (uint32_t i = 0; ok && i < l->sliced_count; i++)
        ok = bind_input(im, scope, body->inputs.data[first + l->carried + i].name,
                        slice_of(im, scope, l, i));
    return ok;
}

/* Scan has no condition: its iterations all happen. */
static void prepend_condition(Import *im, Graph *region) {
    const Node *yield = lt_graph_yield(region);
    Value **values = LT_ARRAY(im->arena, Value *, yield->input_count + 1);
    Builder b = {.graph = region, .before = region->last, .loc = im->b.loc};
    values[0] = constant_true(&b);
    for (uint32_t i = 0; i < yield->input_count; i++)
        values[i + 1] = lt_input(yield, i);
    const uint32_t count = yield->input_count + 1;
    lt_graph_set_outputs(region, values, count);
}

/* More general types where the body yields others; false: there are none. */
static bool generalize(Import *im, const Node *node, const LoopParts *l, const Type **types,
                       bool *changed) {
    const Node *yield = lt_graph_yield(node->regions[0]);
    *changed = false;
    for (uint32_t i = 0; i < l->carried; i++) {
        const Type *before = types[i], *next = lt_input(yield, i + 1)->type;
        if (before->dtype != next->dtype || before->rank != next->rank)
            return lt_onnx_unsupported(im,
                                       "what the loop carries starts as %s of %d dimensions and "
                                       "becomes %s of %d",
                                       lt_dtype_name(before->dtype), before->rank,
                                       lt_dtype_name(next->dtype), next->rank);
        const Dim *dims[LT_MAX_RANK];
        for (int axis = 0; axis < before->rank; axis++) {
            dims[axis] = before->dims[axis];
            const bool varies = dims[axis] != lt_input(node, i + 2)->type->dims[axis];
            if (dims[axis] == next->dims[axis] || varies)
                continue;
            dims[axis] = lt_dim_fresh_data(im->dims, "varying");
            *changed = true;
        }
        types[i] = lt_type(im->module, before->dtype, before->rank, dims);
    }
    return true;
}

/* Reads the body with these types; NULL after an error. */
static Node *read_body(Import *im, const LoopParts *l, const Type *const *types, uint32_t outputs) {
    Value **inputs = LT_ARRAY(im->arena, Value *, l->carried + 2);
    inputs[0] = l->trips;
    inputs[1] = l->go;
    memcpy(inputs + 2, l->starts, l->carried * sizeof *inputs);
    const Attr count = lt_int(ATTR_COUNT, l->carried);
    Node *node = region_node(im, OP_LOOP, inputs, l->carried + 2, 1, outputs, &count);
    Graph *region = node->regions[0];
    OnnxScope scope = region_scope(im, l->body, region);
    lt_graph_add_input(region, lt_type(im->module, DT_I64, 0, NULL), "iteration");
    for (uint32_t i = 0; i < l->carried; i++)
        lt_graph_add_input(region, types[i], l->starts[i]->name);
    if (!bind_body(im, &scope, l) || !lt_onnx_read_region(im, &scope, l->body))
        return NULL;
    if (l->is_scan)
        prepend_condition(im, region);
    for (size_t i = 0; i < scope.captured.len; i++)
        lt_node_add_input(node, scope.captured.data[i]);
    return node;
}

static Node *build_loop(Import *im, const LoopParts *l) {
    const size_t given = l->body->inputs.len, yielded = l->body->outputs.len;
    const size_t wanted = l->carried + (l->is_scan ? l->sliced_count : 2);
    const size_t least = l->carried + (l->is_scan ? 0 : 1);
    if (given != wanted || yielded < least) {
        lt_onnx_malformed(im,
                          "the body has %zu inputs and %zu outputs; %zu and at least %zu are "
                          "expected",
                          given, yielded, wanted, least);
        return NULL;
    }
    const Type **types = LT_ARRAY(im->arena, const Type *, l->carried + 1);
    for (uint32_t i = 0; i < l->carried; i++)
        types[i] = l->starts[i]->type;
    for (int reading = 0; reading < MOST_READINGS; reading++) {
        const size_t guards = im->module->guards.len;
        bool changed;
        Node *node = read_body(im, l, types, (uint32_t)(yielded - least) + l->carried);
        if (!node || !generalize(im, node, l, types, &changed))
            return NULL;
        if (!changed)
            return lt_infer_node(node) ? node : NULL;
        lt_node_remove(node);
        im->module->guards.len = guards;
    }
    lt_onnx_unsupported(im, "the dims of what the loop carries differ in too many ways");
    return NULL;
}

static Value *scalar_of(Import *im, Value *v, DType dtype) {
    return lt_build_convert(&im->b, lt_build_reshape(&im->b, v, 0, NULL), dtype);
}

bool lt_onnx_loop(Import *im) {
    Value *most = onnx_in(im, 0), *go = onnx_in(im, 1);
    LoopParts l = {.body = subgraph(im, "body"),
                   .carried = im->input_count > 2 ? im->input_count - 2 : 0,
                   .starts = im->inputs + 2};
    if (!l.body)
        return false;
    l.trips = most ? scalar_of(im, most, DT_I64)
                   : lt_build_const(&im->b, lt_const_int(im->module, DT_I64, INT64_MAX));
    l.go = go ? scalar_of(im, go, DT_BOOL) : constant_true(&im->b);
    for (uint32_t i = 0; i < l.carried; i++)
        if (!l.starts[i])
            return lt_onnx_unsupported(im, "carried value %u is absent", i);
    Node *node = l.trips && l.go ? build_loop(im, &l) : NULL;
    return node && take_outputs(im, node, true);
}

/* --- scan ------------------------------------------------------------------------------------- */

/* An attribute with an element for each of `count`; 0 when absent. */
static const int64_t *flags(Import *im, const char *name, int64_t count) {
    return lt_onnx_ints_of(im, name, count, 0, INT64_MIN);
}

/* A scan output, which lies along axis 0, first to last. */
static Value *place_output(Import *im, Value *v, int64_t axis, bool backward) {
    const Type *type = v->type;
    if (backward)
        v = lt_onnx_flip(im, v, 0);
    int64_t perm[LT_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        perm[i] = i == axis ? 0 : i < axis ? i + 1 : i;
    return axis && v ? lt_build_transpose(&im->b, v, perm) : v;
}

bool lt_onnx_scan(Import *im) {
    const int64_t sliced = lt_onnx_int(im, "num_scan_inputs", 0);
    LoopParts l = {.body = subgraph(im, "body"), .is_scan = true, .starts = im->inputs};
    if (!l.body)
        return false;
    if (sliced < 1 || sliced > im->input_count)
        return lt_onnx_malformed(im, "num_scan_inputs is %lld of %u inputs", (long long)sliced,
                                 im->input_count);
    l.sliced_count = (uint32_t)sliced;
    l.carried = im->input_count - l.sliced_count;
    l.sliced = im->inputs + l.carried;
    const int64_t stacked = (int64_t)im->output_count - l.carried;
    l.backward = flags(im, "scan_input_directions", sliced);
    const int64_t *given = flags(im, "scan_input_axes", sliced);
    const int64_t *turned = flags(im, "scan_output_directions", stacked);
    const int64_t *placed = flags(im, "scan_output_axes", stacked);
    if (stacked < 0 || !l.backward || !given || !turned || !placed)
        return false;
    int64_t *axes = lt_onnx_int_array(im, sliced, 0);
    l.axes = axes;
    for (int64_t i = 0; i < sliced; i++)
        if (!lt_onnx_axis(im, given[i], l.sliced[i]->type->rank, &axes[i]))
            return false;
    const Dim *length = l.sliced[0]->type->dims[axes[0]];
    l.trips = lt_onnx_dim_value(im, length, DT_I64);
    l.go = constant_true(&im->b);
    Node *node = build_loop(im, &l);
    for (uint32_t i = 0; node && i < im->output_count; i++) {
        Value *v = node->outputs[i];
        int64_t axis = 0;
        if (i >= l.carried && !lt_onnx_axis(im, placed[i - l.carried], v->type->rank, &axis))
            return false;
        im->outputs[i] = i < l.carried ? v : place_output(im, v, axis, turned[i - l.carried] != 0);
    }
    return node != NULL;
}
