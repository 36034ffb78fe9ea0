/* node.c - making, changing, copying and removing nodes. Every change of an operand goes through
 * link_operand and unlink_operand, which keep the use lists true. */
#include <assert.h>
#include <string.h>

#include "ir/graph.h"

/* --- use lists ------------------------------------------------------------------------------- */

static void link_operand(Operand *operand, Value *value) {
    operand->value = value;
    operand->prev_use = NULL;
    operand->next_use = value ? value->uses : NULL;
    if (!value)
        return;
    if (value->uses)
        value->uses->prev_use = operand;
    value->uses = operand;
}

static void unlink_operand(Operand *operand) {
    if (!operand->value)
        return;
    if (operand->prev_use)
        operand->prev_use->next_use = operand->next_use;
    else
        operand->value->uses = operand->next_use;
    if (operand->next_use)
        operand->next_use->prev_use = operand->prev_use;
    operand->value = NULL;
    operand->prev_use = operand->next_use = NULL;
}

/* --- attributes ------------------------------------------------------------------------------ */

static Attr copy_attr(Arena *arena, Attr attr) {
    switch (lt_attr_info[attr.name].kind) {
    case ATTR_KIND_STRING: attr.u.s = lt_arena_strdup(arena, attr.u.s); break;
    case ATTR_KIND_INTS:
        attr.u.ints = lt_arena_copy(arena, attr.u.ints, attr.count * sizeof *attr.u.ints);
        break;
    case ATTR_KIND_DIMS:
        attr.u.dims = lt_arena_copy(arena, attr.u.dims, attr.count * sizeof *attr.u.dims);
        break;
    default: break;
    }
    return attr;
}

/* The place of `name` in the sorted attributes, whether it is there or not. */
static uint32_t find_attr(const Node *node, AttrName name) {
    uint32_t at = 0;
    while (at < node->attr_count && node->attrs[at].name < name)
        at++;
    return at;
}

const Attr *lt_attr(const Node *node, AttrName name) {
    const uint32_t at = find_attr(node, name);
    return at < node->attr_count && node->attrs[at].name == name ? &node->attrs[at] : NULL;
}

int64_t lt_attr_int(const Node *node, AttrName name, int64_t otherwise) {
    const AttrKind kind = lt_attr_info[name].kind;
    assert(kind == ATTR_KIND_INT || kind == ATTR_KIND_BOOL || kind == ATTR_KIND_DTYPE ||
           kind == ATTR_KIND_SCALAR);
    (void)kind;
    const Attr *attr = lt_attr(node, name);
    return attr ? attr->u.i : otherwise;
}

double lt_attr_float(const Node *node, AttrName name, double otherwise) {
    assert(lt_attr_info[name].kind == ATTR_KIND_FLOAT);
    const Attr *attr = lt_attr(node, name);
    return attr ? attr->u.f : otherwise;
}

const char *lt_attr_string(const Node *node, AttrName name, const char *otherwise) {
    assert(lt_attr_info[name].kind == ATTR_KIND_STRING);
    const Attr *attr = lt_attr(node, name);
    return attr ? attr->u.s : otherwise;
}

void lt_node_set_attr(Node *node, Attr attr) {
    Arena *arena = node->graph->module->arena;
    attr = copy_attr(arena, attr);
    const uint32_t at = find_attr(node, attr.name);
    if (at < node->attr_count && node->attrs[at].name == attr.name) {
        node->attrs[at] = attr;
        return;
    }
    Attr *grown = LT_ARRAY(arena, Attr, node->attr_count + 1);
    if (node->attr_count > 0) {
        memcpy(grown, node->attrs, at * sizeof *grown);
        memcpy(grown + at + 1, node->attrs + at, (node->attr_count - at) * sizeof *grown);
    }
    grown[at] = attr;
    node->attrs = grown;
    node->attr_count++;
}

static void copy_attrs(Node *node, const Attr *attrs, uint32_t count) {
    Arena *arena = node->graph->module->arena;
    node->attrs = LT_ARRAY(arena, Attr, count);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = find_attr(node, attrs[i].name);
        assert(at == node->attr_count || node->attrs[at].name != attrs[i].name);
        memmove(node->attrs + at + 1, node->attrs + at, (node->attr_count - at) * sizeof *attrs);
        node->attrs[at] = copy_attr(arena, attrs[i]);
        node->attr_count++;
    }
}

/* --- the list of nodes ----------------------------------------------------------------------- */

static void link_node(Graph *g, Node *before, Node *node) {
    assert(!before || before->graph == g);
    if (!before && g->last && g->last->op == OP_YIELD && node->op != OP_YIELD)
        before = g->last;
    node->graph = g;
    node->next = before;
    node->prev = before ? before->prev : g->last;
    *(node->prev ? &node->prev->next : &g->first) = node;
    *(before ? &before->prev : &g->last) = node;
}

static void unlink_node(Node *node) {
    Graph *g = node->graph;
    *(node->prev ? &node->prev->next : &g->first) = node->next;
    *(node->next ? &node->next->prev : &g->last) = node->prev;
    node->prev = node->next = NULL;
    node->graph = NULL;
}

/* --- making ---------------------------------------------------------------------------------- */

static void make_inputs(Node *node, Value *const *values, uint32_t count) {
    node->inputs = LT_ARRAY(node->graph->module->arena, Operand, count);
    node->input_count = count;
    for (uint32_t i = 0; i < count; i++) {
        node->inputs[i].user = node;
        link_operand(&node->inputs[i], values[i]);
    }
}

static void make_outputs(Node *node, uint32_t count) {
    Module *m = node->graph->module;
    node->outputs = LT_ARRAY(m->arena, Value *, count);
    node->output_count = count;
    for (uint32_t i = 0; i < count; i++) {
        Value *value = LT_NEW(m->arena, Value);
        *value = (Value){.id = m->next_value++, .index = i, .def = node, .graph = node->graph};
        node->outputs[i] = value;
    }
}

static void make_regions(Node *node, uint32_t count) {
    Module *m = node->graph->module;
    node->regions = LT_ARRAY(m->arena, Graph *, count);
    node->region_count = count;
    for (uint32_t i = 0; i < count; i++)
        node->regions[i] = lt_graph_new(m, node, NULL);
}

/* A linked node whose outputs have no types yet. */
static Node *make_node(Graph *g, Node *before, const NodeSpec *spec) {
    Node *node = LT_NEW(g->module->arena, Node);
    const int outputs = lt_op_info[spec->op].outputs;
    node->op = spec->op;
    node->id = g->module->next_node++;
    node->loc = spec->loc;
    link_node(g, before, node);
    make_inputs(node, spec->inputs, spec->input_count);
    make_outputs(node, outputs < 0 ? spec->output_count : (uint32_t)outputs);
    copy_attrs(node, spec->attrs, spec->attr_count);
    make_regions(node, spec->region_count);
    return node;
}

Node *lt_node_new(Graph *g, Node *before, const NodeSpec *spec) {
    Module *m = g->module;
    const uint32_t next_node = m->next_node, next_value = m->next_value;
    Node *node = make_node(g, before, spec);
    if (lt_op_has(spec->op, OPF_REGION) || lt_infer_node(node))
        return node;
    lt_node_remove(node);
    m->next_node = next_node;
    m->next_value = next_value;
    return NULL;
}

/* --- changing -------------------------------------------------------------------------------- */

void lt_node_set_input(Node *node, uint32_t index, Value *value) {
    assert(index < node->input_count);
    unlink_operand(&node->inputs[index]);
    link_operand(&node->inputs[index], value);
}

void lt_node_add_input(Node *node, Value *value) {
    const uint32_t count = node->input_count;
    Operand *grown = LT_ARRAY(node->graph->module->arena, Operand, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        Value *kept = node->inputs[i].value;
        unlink_operand(&node->inputs[i]);
        grown[i].user = node;
        link_operand(&grown[i], kept);
    }
    grown[count].user = node;
    link_operand(&grown[count], value);
    node->inputs = grown;
    node->input_count = count + 1;
}

void lt_node_set_output_count(Node *node, uint32_t count) {
    assert(lt_op_info[node->op].outputs < 0);
    for (uint32_t i = 0; i < node->output_count; i++)
        assert(!node->outputs[i]->uses);
    if (count != node->output_count)
        make_outputs(node, count);
}

void lt_node_remove(Node *node) {
    for (uint32_t i = 0; i < node->output_count; i++)
        assert(!node->outputs[i]->uses);
    for (uint32_t i = 0; i < node->input_count; i++)
        unlink_operand(&node->inputs[i]);
    unlink_node(node);
}

void lt_node_move_before(Node *node, Node *before) {
    assert(before && before->graph);
    if (node == before)
        return;
    unlink_node(node);
    link_node(before->graph, before, node);
    for (uint32_t i = 0; i < node->output_count; i++)
        node->outputs[i]->graph = node->graph;
}

/* --- copying --------------------------------------------------------------------------------- */

static Value *mapped(const Map *values, Value *value) {
    Value *copy = value && values ? lt_map_get(values, value->id) : NULL;
    return copy ? copy : value;
}

static void copy_value(Value *copy, const Value *value, Map *values) {
    copy->type = value->type;
    copy->name = value->name;
    copy->content = value->content;
    if (values)
        lt_map_set(values, value->id, copy);
}

static void clone_region(Graph *into, const Graph *from, Map *values) {
    into->name = from->name;
    for (size_t i = 0; i < from->inputs.len; i++) {
        const Value *input = from->inputs.data[i];
        copy_value(lt_graph_add_input(into, input->type, input->name), input, values);
    }
    LT_EACH_NODE(node, from)
    lt_node_clone(into, NULL, node, values);
}

Node *lt_node_clone(Graph *g, Node *before, const Node *node, Map *values) {
    Map own;
    if (!values && node->region_count > 0) {
        lt_map_init(&own, g->module->arena);
        values = &own;
    }
    Value **inputs = LT_ARRAY(g->module->arena, Value *, node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++)
        inputs[i] = mapped(values, node->inputs[i].value);
    Node *copy = make_node(g, before,
                           &(NodeSpec){.op = node->op,
                                       .inputs = inputs,
                                       .input_count = node->input_count,
                                       .attrs = node->attrs,
                                       .attr_count = node->attr_count,
                                       .region_count = node->region_count,
                                       .output_count = node->output_count,
                                       .loc = node->loc});
    for (uint32_t i = 0; i < node->region_count; i++)
        clone_region(copy->regions[i], node->regions[i], values);
    for (uint32_t i = 0; i < node->output_count; i++)
        copy_value(copy->outputs[i], node->outputs[i], values);
    return copy;
}
