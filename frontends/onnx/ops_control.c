/* ops_control.c - branches.
 *
 * A branch whose condition is known is read in place. Else subgraphs become regions; what they use
 * of outside they get as inputs, behind those that the op gives them (scope.h). */
#include "frontends/onnx/control.h"

const OnnxGraph *lt_onnx_subgraph(Import *im, const char *name) {
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_GRAPH);
    if (!a)
        lt_onnx_malformed(im, "the subgraph %s is missing", name);
    return a ? a->g : NULL;
}

Node *lt_onnx_region_node(Import *im, Op op, Value *const *inputs, uint32_t input_count,
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

OnnxScope lt_onnx_region_scope(Import *im, const OnnxGraph *g, Graph *region) {
    OnnxScope scope = {.graph = g, .outer = im->scope, .region = region};
    lt_map_init(&scope.names, im->arena);
    return scope;
}

bool lt_onnx_take_outputs(Import *im, Node *node, const CompoundForm *const *forms,
                          uint32_t count) {
    Value **values = LT_ARRAY(im->arena, Value *, node->output_count + 1);
    const uint32_t width = lt_onnx_forms_width(forms, count);
    lt_onnx_unpack_all(im, forms, node->outputs, count, values);
    for (uint32_t i = width; i < node->output_count; i++)
        values[count + i - width] = node->outputs[i];
    for (uint32_t i = 0; i < im->output_count && i < count + node->output_count - width; i++)
        im->outputs[i] = values[i];
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

static bool ranks_differ(Value *const *yes, Value *const *no, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!compound_of(yes[i]) && !compound_of(no[i]) && yes[i]->type->rank != no[i]->type->rank)
            return true;
    return false;
}

/* The forms of what both branches yield; NULL after an error. Tensors agree or not when the node is
 * inferred. */
static const CompoundForm **join_branches(Import *im, Value *const *yes, Value *const *no) {
    const CompoundForm **forms = LT_ARRAY(im->arena, const CompoundForm *, im->output_count + 1);
    for (uint32_t i = 0; i < im->output_count; i++) {
        const CompoundForm *a = lt_onnx_form_of(im, yes[i]), *b = lt_onnx_form_of(im, no[i]);
        const bool tensors = !compound_of(yes[i]) && !compound_of(no[i]);
        forms[i] = tensors ? a : lt_onnx_form_join(im, a, b);
        if (forms[i])
            continue;
        lt_onnx_unsupported(im, "output %u is %s in one branch and %s in the other", i,
                            lt_onnx_form_text(im, a), lt_onnx_form_text(im, b));
        return NULL;
    }
    return forms;
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

static bool is_one_number(const Type *type) {
    int64_t elements;
    return lt_type_is_static(type, &elements) && elements == 1;
}

/* One number of two ranks becomes one of the higher rank. */
static void unite_numbers(Import *im, const Node *node, Value **const *results) {
    for (uint32_t i = 0; i < im->output_count; i++) {
        Value *yes = results[0][i], *no = results[1][i];
        if (compound_of(yes) || compound_of(no) || yes->type->rank == no->type->rank ||
            !is_one_number(yes->type) || !is_one_number(no->type))
            continue;
        const int low = yes->type->rank > no->type->rank;
        const Type *wide = results[!low][i]->type;
        Builder b = {.graph = node->regions[low], .loc = im->b.loc};
        lt_remark(&im->module->diags, im->b.loc,
                  "output %u is one number, of rank %d in one branch and %d in the other: it is "
                  "read as of rank %d",
                  i, yes->type->rank, no->type->rank, wide->rank);
        results[low][i] = lt_build_reshape(&b, results[low][i], wide->rank, wide->dims);
    }
}

static bool dynamic_if(Import *im, const OnnxGraph *const *branches) {
    const size_t guards = im->module->guards.len;
    const uint32_t count = im->output_count;
    const Dim *a, *b;
    Node *node = lt_onnx_region_node(im, OP_IF, im->inputs, 1, 2, count, NULL);
    Value **results[2];
    OnnxScope scopes[2];
    bool built = node != NULL;
    for (int i = 0; built && i < 2; i++) {
        scopes[i] = lt_onnx_region_scope(im, branches[i], node->regions[i]);
        results[i] = LT_ARRAY(im->arena, Value *, count + 1);
        built = lt_onnx_read_region(im, &scopes[i], branches[i], results[i]);
    }
    if (!built)
        return false;
    unite_numbers(im, node, results);
    if (ranks_differ(results[0], results[1], count) &&
        compares_extents(im, im->inputs[0], &a, &b)) {
        lt_node_remove(node);
        im->module->guards.len = guards;
        return assume_equal(im, branches[0], a, b);
    }
    const CompoundForm **forms = join_branches(im, results[0], results[1]);
    if (!forms)
        return false;
    lt_node_set_output_count(node, lt_onnx_forms_width(forms, count));
    for (int i = 0; i < 2; i++)
        if (!lt_onnx_yield_packed(im, node->regions[i], NULL, results[i], forms, count))
            return false;
    for (size_t i = 0; i < scopes[1].captured.len; i++)
        lt_onnx_capture(im, &scopes[0], scopes[1].captured.data[i]);
    arrange_inputs(im, &scopes[1], scopes[0].captured.data, scopes[0].captured.len);
    for (size_t i = 0; i < scopes[0].captured.len; i++)
        lt_node_add_input(node, scopes[0].captured.data[i]);
    return lt_infer_node(node) && lt_onnx_take_outputs(im, node, forms, count);
}

bool lt_onnx_if(Import *im) {
    Value *condition = im->inputs[0];
    const OnnxGraph *branches[] = {lt_onnx_subgraph(im, "then_branch"),
                                   lt_onnx_subgraph(im, "else_branch")};
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
