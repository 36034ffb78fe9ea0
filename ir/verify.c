/* verify.c - what must hold of every module between passes, as a table of named rules. A breach is
 * a bug of lathe, never of the user's model. Rules are in order: a later one may rely on those
 * before it, so a node is left alone after its first breach. */
#include <assert.h>

#include "ir/graph.h"
#include "runtime/base/checked.h"

enum { INTERNAL = 70 /* include/lathe/status.def */ };

typedef struct Verifier {
    Module *module;
    Arena scratch;
    bool *node_seen, *value_seen; /* by id */
    bool ok;
} Verifier;

/* NULL when the rule holds, else what is wrong. */
typedef const char *(*NodeRule)(Verifier *v, Node *node);
typedef const char *(*GraphRule)(Verifier *v, const Graph *g);

static const char *say(Verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *say(Verifier *v, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(&v->scratch, format, args);
    va_end(args);
    return text;
}

/* --- rules of a graph ------------------------------------------------------------------------ */

static const char *check_links(Verifier *v, const Graph *g) {
    const Node *before = NULL;
    uint32_t count = 0;
    for (const Node *node = g->first; node; before = node, node = node->next) {
        if (node->prev != before)
            return say(v, "node %u does not point back to the one before it", node->id);
        if (node->graph != g)
            return say(v, "node %u is in the list of a graph that is not its own", node->id);
        if (++count > v->module->next_node)
            return "the list of nodes is a ring";
    }
    return before == g->last ? NULL : "the last node is not the end of the list";
}

static const char *check_yield(Verifier *v, const Graph *g) {
    if (!g->last || g->last->op != OP_YIELD)
        return "the graph does not end with yield";
    LT_EACH_NODE(node, g) {
        if (node->op == OP_YIELD && node != g->last)
            return say(v, "yield %u is not at the end", node->id);
    }
    return NULL;
}

static const char *check_use_list(Verifier *v, const Value *value) {
    const Operand *before = NULL;
    for (const Operand *use = value->uses; use; before = use, use = use->next_use) {
        if (use->value != value || use->prev_use != before)
            return say(v, "the use list of value %u is broken", value->id);
        if (!use->user->graph)
            return say(v, "value %u is used by the removed node %u", value->id, use->user->id);
        if (use < use->user->inputs || use >= use->user->inputs + use->user->input_count)
            return say(v, "a use of value %u is not an operand of node %u", value->id,
                       use->user->id);
    }
    return NULL;
}

static const char *claim_value(Verifier *v, const Value *value, const char *what) {
    if (value->id >= v->module->next_value)
        return say(v, "%s has the id %u, ids are below %u", what, value->id, v->module->next_value);
    if (v->value_seen[value->id])
        return say(v, "%s has the id %u, which another value has", what, value->id);
    v->value_seen[value->id] = true;
    return NULL;
}

static const char *check_inputs(Verifier *v, const Graph *g) {
    for (size_t i = 0; i < g->inputs.len; i++) {
        const Value *input = g->inputs.data[i];
        const char *breach = claim_value(v, input, "an input");
        if (breach)
            return breach;
        if (input->graph != g || input->def || input->index != i || !input->type)
            return say(v, "input %zu does not know its place, or has no type", i);
        if ((breach = check_use_list(v, input)))
            return breach;
    }
    return NULL;
}

/* --- rules of a node ------------------------------------------------------------------------- */

static const char *check_ids(Verifier *v, Node *node) {
    if (node->id >= v->module->next_node)
        return say(v, "the node's id is %u, ids are below %u", node->id, v->module->next_node);
    if (v->node_seen[node->id])
        return say(v, "another node has the id %u", node->id);
    for (uint32_t i = 0; i < node->output_count; i++) {
        const char *breach = claim_value(v, node->outputs[i], "an output");
        if (breach)
            return breach;
    }
    return NULL;
}

static const char *check_use_lists(Verifier *v, Node *node) {
    for (uint32_t i = 0; i < node->input_count; i++) {
        const Operand *operand = &node->inputs[i];
        if (operand->user != node)
            return say(v, "operand %u belongs to another node", i);
        if (!operand->value)
            continue;
        const Operand *link =
            operand->prev_use ? operand->prev_use->next_use : operand->value->uses;
        if (link != operand)
            return say(v, "operand %u is not in the use list of its value", i);
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        const char *breach = check_use_list(v, node->outputs[i]);
        if (breach)
            return breach;
    }
    return NULL;
}

static const char *check_arity(Verifier *v, Node *node) {
    const OpInfo *info = &lt_op_info[node->op];
    const int inputs = (int)node->input_count;
    if (inputs < info->min_inputs || (info->max_inputs >= 0 && inputs > info->max_inputs))
        return say(v, "%d operands, %s takes %d to %d", inputs, info->name, info->min_inputs,
                   info->max_inputs);
    if (info->outputs >= 0 && node->output_count != (uint32_t)info->outputs)
        return say(v, "%u outputs, %s has %d", node->output_count, info->name, info->outputs);
    for (int i = 0; i < inputs; i++) {
        if (!node->inputs[i].value && (info->max_inputs < 0 || i < info->min_inputs))
            return say(v, "operand %d is absent", i);
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        const Value *output = node->outputs[i];
        if (output->def != node || output->index != i || output->graph != node->graph ||
            !output->type)
            return say(v, "output %u does not know its place, or has no type", i);
    }
    return NULL;
}

/* Nodes are visited in order: what was seen comes before. */
static const char *check_dominance(Verifier *v, Node *node) {
    for (uint32_t i = 0; i < node->input_count; i++) {
        const Value *value = node->inputs[i].value;
        if (!value)
            continue;
        if (value->graph != node->graph)
            return say(v, "operand %u is of another graph", i);
        const Node *def = value->def;
        if (def && (!def->graph || def->id >= v->module->next_node || !v->node_seen[def->id]))
            return say(v, "operand %u is not defined before the node", i);
        if (!value->type)
            return say(v, "operand %u has no type", i);
    }
    return NULL;
}

static const char *check_known_attrs(Verifier *v, Node *node) {
    const OpInfo *info = &lt_op_info[node->op];
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const AttrName name = node->attrs[i].name;
        if (!((info->required | info->optional) >> name & 1))
            return say(v, "%s has no attribute %s", info->name, lt_attr_info[name].name);
        if (i > 0 && node->attrs[i - 1].name >= name)
            return say(v, "attribute %s is out of order, or there twice", lt_attr_info[name].name);
    }
    return NULL;
}

static const char *check_required_attrs(Verifier *v, Node *node) {
    const OpInfo *info = &lt_op_info[node->op];
    uint64_t missing = info->required;
    for (uint32_t i = 0; i < node->attr_count; i++)
        missing &= ~(UINT64_C(1) << node->attrs[i].name);
    if (!missing)
        return NULL;
    return say(v, "%s needs the attribute %s", info->name,
               lt_attr_info[__builtin_ctzll(missing)].name);
}

static const char *check_const(Verifier *v, Node *node) {
    const Attr *attr = lt_attr(node, ATTR_VALUE);
    int64_t elements;
    if (!attr)
        return NULL;
    const Const *c = attr->u.c;
    if (!lt_type_is_static(c->type, &elements))
        return "a dim of the constant is not a number";
    size_t bytes;
    const int64_t stored = c->is_splat ? 1 : elements;
    if (!lt_mul_size((size_t)stored, lt_dtype_size(c->type->dtype), &bytes) || bytes != c->bytes)
        return say(v, "the constant holds %zu bytes, its type needs %zu", c->bytes, bytes);
    return NULL;
}

/* The rank that a node's axes count in. */
static int64_t axis_limit(const Node *node) {
    const Attr *shape = lt_attr(node, ATTR_SHAPE);
    if (node->input_count > 0)
        return node->inputs[0].value->type->rank;
    return shape ? shape->count : 0;
}

static const char *check_axes(Verifier *v, Node *node) {
    const Attr *axis = lt_attr(node, ATTR_AXIS), *axes = lt_attr(node, ATTR_AXES);
    if (axis && (axis->u.i < 0 || axis->u.i >= axis_limit(node)))
        return say(v, "axis %lld is not in 0..%lld", (long long)axis->u.i,
                   (long long)axis_limit(node) - 1);
    for (uint32_t i = 0; axes && i < axes->count; i++) {
        const int64_t number = axes->u.ints[i];
        if (number < 0 || number >= axis_limit(node) || (i > 0 && number <= axes->u.ints[i - 1]))
            return say(v, "axis %lld is out of range, out of order, or there twice",
                       (long long)number);
    }
    return NULL;
}

static const char *check_region_arguments(Verifier *v, Node *node) {
    if (!lt_op_has(node->op, OPF_REGION))
        return node->region_count == 0 ? NULL : say(v, "%s has regions", lt_op_info[node->op].name);
    for (uint32_t i = 0; i < node->region_count; i++) {
        if (node->regions[i]->parent != node)
            return say(v, "region %u does not know its node", i);
    }
    if (node->op != OP_FUSED)
        return NULL;
    if (node->region_count != 1 || node->regions[0]->inputs.len != node->input_count)
        return say(v, "%u operands, the region has %zu inputs", node->input_count,
                   node->region_count == 1 ? node->regions[0]->inputs.len : 0);
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->regions[0]->inputs.data[i]->type != node->inputs[i].value->type)
            return say(v, "operand %u and input %u of the region differ in type", i, i);
    }
    return NULL;
}

/* Infers once more and puts everything back as it was. */
static const char *check_types(Verifier *v, Node *node) {
    const size_t guards = v->module->guards.len;
    const char *breach = NULL;
    Value *before = LT_ARRAY(&v->scratch, Value, node->output_count);
    for (uint32_t i = 0; i < node->output_count; i++)
        before[i] = *node->outputs[i];
    if (!lt_infer_node(node))
        breach = "inference fails";
    for (uint32_t i = 0; i < node->output_count; i++) {
        Str wanted;
        lt_str_init(&wanted, &v->scratch);
        if (!breach && node->outputs[i]->type != before[i].type) {
            lt_type_print(&wanted, node->outputs[i]->type);
            breach = say(v, "output %u must be %s", i, wanted.text);
        }
        node->outputs[i]->type = before[i].type;
        node->outputs[i]->content = before[i].content;
    }
    v->module->guards.len = guards;
    return breach;
}

/* --- the table ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    GraphRule holds;
} graph_rules[] = {
    {"nodes-linked", check_links},
    {"yield-last", check_yield},
    {"inputs-placed", check_inputs},
};

static const struct {
    const char *name;
    NodeRule holds;
} node_rules[] = {
    {"ids-dense", check_ids},
    {"use-lists-agree", check_use_lists},
    {"arity", check_arity},
    {"operands-dominate", check_dominance},
    {"attributes-known", check_known_attrs},
    {"attributes-required", check_required_attrs},
    {"const-type-static", check_const},
    {"axes-normalized", check_axes},
    {"region-arguments", check_region_arguments},
    {"types-inferred", check_types},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static bool verify_graph(Verifier *v, const Graph *g);

static void verify_node(Verifier *v, Node *node) {
    for (uint32_t i = 0; i < node->region_count; i++) {
        if (!verify_graph(v, node->regions[i]))
            return;
    }
    for (size_t i = 0; i < COUNT(node_rules); i++) {
        const char *breach = node_rules[i].holds(v, node);
        if (!breach)
            continue;
        Str text;
        lt_str_init(&text, &v->scratch);
        lt_node_print(&text, node);
        lt_error(&v->module->diags, INTERNAL, node->loc, "rule %s: %s: %s", node_rules[i].name,
                 breach, text.text);
        v->ok = false;
        break;
    }
    if (node->id < v->module->next_node)
        v->node_seen[node->id] = true;
}

/* False when a rule of the graph itself is broken: its nodes are not looked at then. */
static bool verify_graph(Verifier *v, const Graph *g) {
    for (size_t i = 0; i < COUNT(graph_rules); i++) {
        const char *breach = graph_rules[i].holds(v, g);
        if (!breach)
            continue;
        lt_error(&v->module->diags, INTERNAL, g->parent ? g->parent->loc : NULL,
                 "rule %s: %s: graph %s", graph_rules[i].name, breach,
                 g->name ? g->name : "of a region");
        return v->ok = false;
    }
    LT_EACH_NODE(node, g)
    verify_node(v, node);
    return true;
}

bool lt_module_verify(Module *m) {
    Verifier v = {.module = m, .ok = true};
    lt_arena_init(&v.scratch);
    v.scratch.out_of_memory = m->arena->out_of_memory;
    v.node_seen = LT_ARRAY(&v.scratch, bool, m->next_node);
    v.value_seen = LT_ARRAY(&v.scratch, bool, m->next_value);
    verify_graph(&v, m->main);
    lt_arena_free(&v.scratch);
    return v.ok;
}
