/* graph.c - modules, graphs, and values with their use lists. */
#include "ir/graph.h"

#include <assert.h>

Module *lt_module_new(Arena *arena, const char *file) {
    Module *m = LT_NEW(arena, Module);
    m->arena = arena;
    lt_diag_init(&m->diags, arena, file);
    lt_dims_init(&m->dims, arena);
    lt_map_init(&m->types, arena);
    lt_map_init(&m->consts, arena);
    m->main = lt_graph_new(m, NULL, "main");
    return m;
}

Graph *lt_graph_new(Module *m, Node *parent, const char *name) {
    Graph *g = LT_NEW(m->arena, Graph);
    g->module = m;
    g->parent = parent;
    g->name = name ? lt_arena_strdup(m->arena, name) : NULL;
    return g;
}

Value *lt_graph_add_input(Graph *g, const Type *type, const char *name) {
    Module *m = g->module;
    Value *value = LT_NEW(m->arena, Value);
    value->id = m->next_value++;
    value->index = (uint32_t)g->inputs.len;
    value->type = type;
    value->name = name ? lt_arena_strdup(m->arena, name) : NULL;
    value->graph = g;
    lt_vec_push(m->arena, &g->inputs, value);
    return value;
}

void lt_graph_set_outputs(Graph *g, Value *const *values, uint32_t count) {
    const Loc *loc = NULL;
    if (g->last && g->last->op == OP_YIELD) {
        loc = g->last->loc;
        lt_node_remove(g->last);
    }
    lt_node_new(g, NULL,
                &(NodeSpec){.op = OP_YIELD, .inputs = values, .input_count = count, .loc = loc});
}

void lt_value_replace(Value *from, Value *to) {
    assert(from != to && from->graph == to->graph);
    while (from->uses) {
        Node *user = from->uses->user;
        lt_node_set_input(user, (uint32_t)(from->uses - user->inputs), to);
    }
}

uint32_t lt_value_use_count(const Value *v) {
    uint32_t count = 0;
    for (const Operand *use = v->uses; use; use = use->next_use)
        count++;
    return count;
}

bool lt_value_is_output(const Value *v) {
    for (const Operand *use = v->uses; use; use = use->next_use) {
        if (use->user->op == OP_YIELD)
            return true;
    }
    return false;
}

const Const *lt_value_const(const Value *v) {
    return v->def && v->def->op == OP_CONST ? lt_attr(v->def, ATTR_VALUE)->u.c : NULL;
}
