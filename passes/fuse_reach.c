/* fuse_reach.c - what a group depends on.
 *
 * A group runs when all that its members read is there. So a node may not join one that it depends
 * on through somebody outside: through operands, through the other members of their groups, and
 * through the nodes that give symbols of data their values. */
#include "passes/fuse.h"

/* --- symbols of data -------------------------------------------------------------------------- */

static void note_binder(Groups *groups, const Dim *d, Node *n) {
    if (d->kind == DIM_SYMBOL && groups->module->dims.symbols.data[d->symbol].data_dependent &&
        !groups->binder[d->symbol]) {
        groups->binder[d->symbol] = n;
        groups->has_binders = true;
    }
}

void lt_groups_find_binders(Groups *groups, Graph *g) {
    groups->binder = LT_ARRAY(groups->scratch, Node *, groups->module->dims.symbols.len + 1);
    LT_EACH_NODE(n, g) {
        const Attr *dims = n->op == OP_BIND ? lt_attr(n, ATTR_DIMS) : NULL;
        for (uint32_t i = 0; dims && i < dims->count; i++)
            note_binder(groups, dims->u.dims[i], n);
        for (uint32_t i = 0; i < n->output_count && (n->op == OP_IF || n->op == OP_LOOP); i++)
            for (int axis = 0; axis < n->outputs[i]->type->rank; axis++)
                note_binder(groups, n->outputs[i]->type->dims[axis], n);
    }
}

typedef struct Visit {
    Groups *groups;
    NodeList *stack;
} Visit;

static void visit_dim(const Visit *v, const Dim *d) {
    if (d->kind == DIM_SYMBOL && v->groups->binder[d->symbol])
        lt_vec_push(v->groups->scratch, v->stack, v->groups->binder[d->symbol]);
    for (uint32_t i = 0; i < d->count; i++)
        visit_dim(v, d->args[i]);
}

static void visit_mentioned(const Visit *v, const Node *n) {
    for (uint32_t i = 0; i < n->output_count; i++)
        for (int axis = 0; axis < n->outputs[i]->type->rank; axis++)
            visit_dim(v, n->outputs[i]->type->dims[axis]);
    for (uint32_t i = 0; i < n->attr_count; i++)
        for (uint32_t j = 0;
             lt_attr_info[n->attrs[i].name].kind == ATTR_KIND_DIMS && j < n->attrs[i].count; j++)
            visit_dim(v, n->attrs[i].u.dims[j]);
    for (uint32_t i = 0; i < n->region_count; i++)
        LT_EACH_NODE(inner, n->regions[i])
    visit_mentioned(v, inner);
}

void lt_groups_depends(Groups *groups, const Node *n, NodeList *list) {
    const Visit v = {groups, list};
    for (uint32_t i = 0; i < n->input_count; i++) {
        const Value *x = lt_input(n, i);
        if (x && x->def && x->graph == n->graph)
            lt_vec_push(groups->scratch, v.stack, x->def);
    }
    if (groups->has_binders)
        visit_mentioned(&v, n);
}

/* --- reaching --------------------------------------------------------------------------------- */

bool lt_groups_reach(Groups *groups, const Node *n, uint32_t group) {
    NodeList stack = {0};
    groups->walk++;
    lt_groups_depends(groups, n, &stack);
    /* What a member of the group gives n itself is no way around. */
    for (size_t i = 0; i < stack.len; i++)
        if (groups->of[stack.data[i]->id] == group)
            stack.data[i--] = lt_vec_last(&stack), stack.len--;
    while (stack.len) {
        Node *d = lt_vec_pop(&stack);
        const uint32_t own = groups->of[d->id];
        if (own == group)
            return true;
        if (d == n || groups->seen[d->id] == groups->walk)
            continue;
        for (Node *member = own ? groups->first[own] : d; member;
             member = own ? groups->next[member->id] : NULL) {
            groups->seen[member->id] = groups->walk;
            lt_groups_depends(groups, member, &stack);
        }
    }
    return false;
}
