/* fuse_build.c - turns chosen groups into `fused` nodes.
 *
 * The region gets one input for every distinct value that comes from outside; scalar constants are
 * copied in, so that they become immediates. Values of members that somebody outside uses are the
 * node's outputs. */
#include "ir/build.h"
#include "passes/fuse.h"

#include <assert.h>

typedef Vec(Value *) ValueList;

static uint32_t group_of(const Groups *groups, const Node *n) {
    return n && n->id < groups->node_limit ? groups->of[n->id] : 0;
}

/* A constant that every element of the kernel can hold as an immediate. */
static bool is_immediate(const Value *v) {
    const Const *c = lt_value_const(v);
    int64_t elements;
    return c && (c->is_splat || (lt_type_is_static(c->type, &elements) && elements == 1));
}

static void collect(Groups *groups, NodeList members, uint32_t group, ValueList *inputs,
                    ValueList *outputs) {
    Map seen;
    lt_map_init(&seen, groups->scratch);
    for (size_t i = 0; i < members.len; i++) {
        Node *n = members.data[i];
        for (uint32_t j = 0; j < n->input_count; j++) {
            Value *v = lt_input(n, j);
            if (!v || group_of(groups, v->def) == group || is_immediate(v))
                continue;
            if (lt_map_has(&seen, v->id))
                continue;
            lt_map_set(&seen, v->id, v);
            lt_vec_push(groups->scratch, inputs, v);
        }
        for (uint32_t j = 0; j < n->output_count; j++) {
            bool used_outside = false;
            for (Operand *use = n->outputs[j]->uses; use; use = use->next_use)
                used_outside |= group_of(groups, use->user) != group;
            if (used_outside)
                lt_vec_push(groups->scratch, outputs, n->outputs[j]);
        }
    }
}

static const Loc *joined_location(Module *m, NodeList members) {
    const Loc *loc = NULL;
    for (size_t i = 0; i < members.len; i++)
        loc = lt_loc_join(m->arena, loc, members.data[i]->loc);
    return loc;
}

static void fill_region(Groups *groups, Graph *region, NodeList members, ValueList inputs,
                        ValueList outputs) {
    Map values;
    lt_map_init(&values, groups->scratch);
    for (size_t i = 0; i < inputs.len; i++)
        lt_map_set(&values, inputs.data[i]->id,
                   lt_graph_add_input(region, inputs.data[i]->type, NULL));
    for (size_t i = 0; i < members.len; i++) {
        Node *n = members.data[i];
        for (uint32_t j = 0; j < n->input_count; j++) {
            Value *v = lt_input(n, j);
            if (v && is_immediate(v) && !lt_map_has(&values, v->id))
                lt_node_clone(region, NULL, v->def, &values);
        }
        lt_node_clone(region, NULL, n, &values);
    }
    Value **results = LT_ARRAY(groups->scratch, Value *, outputs.len + 1);
    for (size_t i = 0; i < outputs.len; i++)
        results[i] = lt_map_get(&values, outputs.data[i]->id);
    lt_graph_set_outputs(region, results, (uint32_t)outputs.len);
}

static void build_group(Groups *groups, Graph *g, uint32_t group, NodeList members) {
    ValueList inputs = {0}, outputs = {0};
    collect(groups, members, group, &inputs, &outputs);
    Node *last = members.data[members.len - 1];
    NodeSpec spec = {
        .op = OP_FUSED,
        .inputs = inputs.data,
        .input_count = (uint32_t)inputs.len,
        .region_count = 1,
        .output_count = (uint32_t)outputs.len,
        .loc = joined_location(groups->module, members),
    };
    Node *fused = lt_node_new(g, last, &spec);
    fill_region(groups, fused->regions[0], members, inputs, outputs);
    bool inferred = lt_infer_node(fused);
    assert(inferred && "a group of well-typed nodes is well-typed");
    (void)inferred;
    for (size_t i = 0; i < outputs.len; i++) {
        fused->outputs[i]->name = outputs.data[i]->name;
        lt_value_replace(outputs.data[i], fused->outputs[i]);
    }
    for (size_t i = members.len; i-- > 0;)
        lt_node_remove(members.data[i]);
}

/* --- a stable topological order ------------------------------------------------------------ */

/* What is read first, and who gives symbols their values, otherwise the order that was there; an
 * explicit stack, since models are deep. */
static void sort_graph(Groups *groups, Graph *g) {
    Module *m = groups->module;
    uint8_t *placed = LT_ARRAY(groups->scratch, uint8_t, m->next_node + 1);
    NodeList original = {0}, stack = {0}, before = {0};
    lt_groups_find_binders(groups, g);
    LT_EACH_NODE(n, g) {
        if (n != g->last)
            lt_vec_push(groups->scratch, &original, n);
    }
    for (size_t i = 0; i < original.len; i++) {
        lt_vec_push(groups->scratch, &stack, original.data[i]);
        while (stack.len) {
            Node *n = lt_vec_last(&stack);
            bool ready = true;
            before.len = 0;
            if (!placed[n->id])
                lt_groups_depends(groups, n, &before);
            for (size_t j = 0; j < before.len && ready; j++) {
                if (before.data[j] == n || placed[before.data[j]->id])
                    continue;
                lt_vec_push(groups->scratch, &stack, before.data[j]);
                ready = false;
            }
            if (!ready)
                continue;
            (void)lt_vec_pop(&stack);
            if (placed[n->id])
                continue;
            placed[n->id] = 1;
            lt_node_move_before(n, g->last);
        }
    }
}

void lt_groups_build(Groups *groups, Graph *g) {
    NodeList *members = LT_ARRAY(groups->scratch, NodeList, groups->count + 1);
    LT_EACH_NODE(n, g) {
        uint32_t group = group_of(groups, n);
        if (group)
            lt_vec_push(groups->scratch, &members[group], n);
    }
    for (uint32_t i = 1; i <= groups->count; i++)
        if (members[i].len)
            build_group(groups, g, i, members[i]);
    sort_graph(groups, g);
}
