/* eval_control.c - evaluates the ops with regions by running their nodes. */
#include <string.h>

#include "ir/eval_ops.h"

/* The yield itself does nothing: whoever runs the graph reads its operands. */
bool lt_eval_YIELD(Evaluation *ev, const Node *node) {
    (void)ev;
    (void)node;
    return true;
}

/* Runs a region whose inputs have their values; the yield's operands are in ev->values then. */
static bool run_region(Evaluation *ev, const Graph *g) {
    if (g->parent->op != OP_FUSED && !lt_eval_guards(ev, g))
        return false;
    for (const Node *node = g->first; node; node = node->next) {
        if (!lt_eval_node(ev, node))
            return false;
    }
    return true;
}

/* Symbols of data among the dims are what the tensor has. */
static void bind_dims(Evaluation *ev, const Value *v) {
    const Tensor *t = ev->values[v->id];
    for (int i = 0; i < v->type->rank; i++) {
        const Dim *d = v->type->dims[i];
        if (d->kind == DIM_SYMBOL && ev->module->dims.symbols.data[d->symbol].data_dependent)
            ev->symbols[d->symbol] = t->dims[i];
    }
}

/* Symbols that the region's nodes bind get new values whenever it runs. */
static void forget_symbols(Evaluation *ev, const Graph *g) {
    LT_EACH_NODE(n, g) {
        const Attr *dims = n->op == OP_BIND ? lt_attr(n, ATTR_DIMS) : NULL;
        for (uint32_t i = 0; dims && i < dims->count; i++)
            ev->symbols[dims->u.dims[i]->symbol] = -1;
        for (uint32_t i = 0; i < n->region_count; i++)
            forget_symbols(ev, n->regions[i]);
    }
}

/* Operands first... of node become the inputs `to`... of the region. */
static void bind_operands(Evaluation *ev, const Node *node, uint32_t first, const Graph *g,
                          uint32_t to) {
    for (uint32_t i = to; i < g->inputs.len; i++)
        ev->values[g->inputs.data[i]->id] = eval_input(ev, node, first + i - to);
}

static void take_yield(Evaluation *ev, const Node *node, const Graph *g) {
    for (uint32_t i = 0; i < node->output_count; i++) {
        ev->values[node->outputs[i]->id] = eval_input(ev, lt_graph_yield(g), i);
        bind_dims(ev, node->outputs[i]);
    }
}

bool lt_eval_FUSED(Evaluation *ev, const Node *node) {
    bind_operands(ev, node, 0, node->regions[0], 0);
    if (!run_region(ev, node->regions[0]))
        return false;
    take_yield(ev, node, node->regions[0]);
    return true;
}

bool lt_eval_IF(Evaluation *ev, const Node *node) {
    const Graph *g = node->regions[lt_tensor_get_int(eval_input(ev, node, 0), 0) ? 0 : 1];
    bind_operands(ev, node, 1, g, 0);
    if (!run_region(ev, g))
        return false;
    take_yield(ev, node, g);
    return lt_eval_guards(ev, node->graph);
}

/* --- loop ----------------------------------------------------------------------------------------
 */

typedef Vec(const Tensor *) Slices; /* what one stacked output got in each iteration */

/* Joins the slices of a stacked output along a new first axis. */
static bool stack_slices(Evaluation *ev, const Node *node, uint32_t output, const Slices *slices) {
    const Type *type = node->outputs[output]->type;
    const Dim *trips = type->dims[0];
    if (trips->kind == DIM_SYMBOL && ev->module->dims.symbols.data[trips->symbol].data_dependent)
        ev->symbols[trips->symbol] = (int64_t)slices->len;
    Tensor *out = lt_eval_output(ev, node, output);
    if (out->dims[0] != (int64_t)slices->len)
        return lt_eval_fail(ev, node, "the loop ran %zu times, %lld are expected", slices->len,
                            (long long)out->dims[0]);
    char *to = out->data;
    for (size_t i = 0; i < slices->len; i++) {
        const size_t bytes = lt_tensor_bytes(slices->data[i]);
        if (bytes * slices->len != lt_tensor_bytes(out))
            return lt_eval_fail(ev, node, "output %u has another size in iteration %zu", output, i);
        memcpy(to, slices->data[i]->data, bytes);
        to += bytes;
    }
    return true;
}

/* One run of the body: region inputs 1... have their values. */
static bool run_iteration(Evaluation *ev, const Node *node, int64_t iteration, Slices *stacked) {
    const Graph *g = node->regions[0];
    const Node *yield = lt_graph_yield(g);
    const uint32_t carried = (uint32_t)lt_attr_int(node, ATTR_COUNT, 0);
    Tensor *count = lt_tensor_new(ev->arena, DT_I64, 0, NULL);
    lt_tensor_set_int(count, 0, iteration);
    ev->values[g->inputs.data[0]->id] = count;
    forget_symbols(ev, g);
    for (uint32_t i = 0; i < carried; i++)
        bind_dims(ev, g->inputs.data[i + 1]);
    if (!run_region(ev, g))
        return false;
    /* All are read before the first is bound: the body may pass its inputs on in another order. */
    const Tensor **next = LT_ARRAY(ev->scratch, const Tensor *, carried);
    for (uint32_t i = 0; i < carried; i++)
        next[i] = eval_input(ev, yield, i + 1);
    for (uint32_t i = carried; i < node->output_count; i++)
        lt_vec_push(ev->scratch, &stacked[i - carried], eval_input(ev, yield, i + 1));
    for (uint32_t i = 0; i < carried; i++)
        ev->values[g->inputs.data[i + 1]->id] = next[i];
    return true;
}

bool lt_eval_LOOP(Evaluation *ev, const Node *node) {
    const Graph *g = node->regions[0];
    const uint32_t carried = (uint32_t)lt_attr_int(node, ATTR_COUNT, 0);
    const int64_t trips = lt_tensor_get_int(eval_input(ev, node, 0), 0);
    bool keep = lt_tensor_get_int(eval_input(ev, node, 1), 0) != 0;
    Slices *stacked = LT_ARRAY(ev->scratch, Slices, node->output_count - carried);
    bind_operands(ev, node, 2, g, 1);
    for (int64_t i = 0; i < trips && keep; i++) {
        if (!run_iteration(ev, node, i, stacked))
            return false;
        keep = lt_tensor_get_int(eval_input(ev, lt_graph_yield(g), 0), 0) != 0;
    }
    for (uint32_t i = 0; i < carried; i++) {
        ev->values[node->outputs[i]->id] = ev->values[g->inputs.data[i + 1]->id];
        bind_dims(ev, node->outputs[i]);
    }
    for (uint32_t i = carried; i < node->output_count; i++) {
        if (!stack_slices(ev, node, i, &stacked[i - carried]))
            return false;
    }
    return true;
}
