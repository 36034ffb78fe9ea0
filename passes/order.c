/* order.c - reorders nodes so that less is alive at once.
 * Requires: types. Ensures: nothing new; the order is still topological.
 *   %1 = exp %x; %2 = exp %y; %3 = reduce.add %1; %4 = reduce.add %2
 *   =>  %1 = exp %x; %3 = reduce.add %1; %2 = exp %y; %4 = reduce.add %2
 *
 * Greedy: of the nodes that are ready, the one that frees the most bytes less those that it needs;
 * the earliest one where several are equal. Sizes are taken under typical values of the symbols.
 * Greedy may lose, so both orders are simulated, and the old one stays unless the new one has the
 * lower peak. Inputs and constants take no part: they live all the time. A view lives in its
 * operand's memory. */
#include <string.h>

#include "passes/pass.h"

enum { TYPICAL_SYMBOL = 64 };

/* Each storage is known by the id of the value that owns it. */
typedef struct Order {
    Arena *scratch;
    Graph *graph;
    const int64_t *symbols;
    uint32_t *owner; /* by value id */
    int64_t *bytes;  /* by owner; 0: lives outside of the arena */
    uint32_t *uses;  /* by owner: operands that read it */
    uint32_t *left;  /* by owner: those that the walk has not met yet */
    uint32_t count;  /* nodes that move */
    Node **nodes;    /* those, in their old order */
    uint32_t *index; /* by node id: place in nodes + 1; 0: does not move */
} Order;

static const int64_t *typical_symbols(Arena *scratch, const DimTable *dims) {
    int64_t *values = LT_ARRAY(scratch, int64_t, dims->symbols.len + 1);
    for (size_t i = 0; i < dims->symbols.len; i++) {
        const DimSymbol *s = &dims->symbols.data[i];
        values[i] = s->lo > TYPICAL_SYMBOL   ? s->lo
                    : s->hi < TYPICAL_SYMBOL ? s->hi
                                             : TYPICAL_SYMBOL;
    }
    return values;
}

static int64_t typical_bytes(const Order *o, const Type *type) {
    int64_t elements = 1;
    for (int i = 0; i < type->rank; i++) {
        int64_t d = lt_dim_eval(type->dims[i], o->symbols);
        if (__builtin_mul_overflow(elements, d, &elements) || elements > INT64_MAX / 64)
            return INT64_MAX / 64;
    }
    return elements * (int64_t)lt_dtype_size(type->dtype);
}

static void describe_values(Order *o, const Node *n) {
    for (uint32_t i = 0; i < n->output_count; i++) {
        Value *v = n->outputs[i];
        bool is_view = lt_op_has(n->op, OPF_VIEW);
        o->owner[v->id] = is_view ? o->owner[lt_input(n, 0)->id] : v->id;
        if (!is_view && n->op != OP_CONST)
            o->bytes[v->id] = typical_bytes(o, v->type);
    }
    for (uint32_t i = 0; i < n->input_count; i++)
        if (lt_input(n, i))
            o->uses[o->owner[lt_input(n, i)->id]]++;
}

static void describe(Order *o) {
    for (size_t i = 0; i < o->graph->inputs.len; i++)
        o->owner[o->graph->inputs.data[i]->id] = o->graph->inputs.data[i]->id;
    LT_EACH_NODE(n, o->graph) {
        describe_values(o, n);
        if (n->op == OP_CONST || lt_op_has(n->op, OPF_TERMINATOR))
            continue;
        o->nodes[o->count++] = n;
        o->index[n->id] = o->count;
    }
}

/* --- what a node costs ------------------------------------------------------------------------ */

static int64_t bytes_made(const Order *o, const Node *n) {
    int64_t made = 0;
    for (uint32_t i = 0; i < n->output_count; i++)
        if (o->owner[n->outputs[i]->id] == n->outputs[i]->id)
            made += o->bytes[n->outputs[i]->id];
    return made;
}

/* Bytes of the operands that nobody reads after n; an operand that n reads twice counts once. */
static int64_t bytes_freed(const Order *o, const Node *n) {
    int64_t freed = 0;
    for (uint32_t i = 0; i < n->input_count; i++) {
        if (!lt_input(n, i))
            continue;
        uint32_t owner = o->owner[lt_input(n, i)->id], reads = 0;
        bool first = true;
        for (uint32_t j = 0; j < n->input_count; j++) {
            bool same = lt_input(n, j) && o->owner[lt_input(n, j)->id] == owner;
            first &= !(same && j < i);
            reads += same;
        }
        bool passed_on = lt_op_has(n->op, OPF_VIEW) && lt_output(n)->uses;
        if (first && reads == o->left[owner] && !passed_on)
            freed += o->bytes[owner];
    }
    return freed;
}

static void take(Order *o, const Node *n) {
    for (uint32_t i = 0; i < n->input_count; i++)
        if (lt_input(n, i))
            o->left[o->owner[lt_input(n, i)->id]]--;
}

static int64_t peak_of(Order *o, Node *const *order, uint32_t values) {
    int64_t live = 0, peak = 0;
    memcpy(o->left, o->uses, values * sizeof *o->left);
    for (uint32_t i = 0; i < o->count; i++) {
        live += bytes_made(o, order[i]);
        peak = live > peak ? live : peak;
        live -= bytes_freed(o, order[i]);
        take(o, order[i]);
    }
    return peak;
}

/* --- the greedy order ------------------------------------------------------------------------- */

/* pending[i]: operands of nodes[i] whose nodes are not placed yet. */
static uint32_t *count_pending(const Order *o) {
    uint32_t *pending = LT_ARRAY(o->scratch, uint32_t, o->count + 1);
    for (uint32_t i = 0; i < o->count; i++) {
        const Node *n = o->nodes[i];
        for (uint32_t j = 0; j < n->input_count; j++) {
            const Value *v = lt_input(n, j);
            pending[i] += v && v->def && o->index[v->def->id];
        }
    }
    return pending;
}

/* Symbols get values on the way: who mentions one comes after who gives it its value, which no
 * operand tells. Such graphs keep their order. */
static bool binds_symbols(const Graph *g) {
    LT_EACH_NODE(n, g)
    if (lt_op_has(n->op, OPF_BINDS) || n->op == OP_IF || n->op == OP_LOOP)
        return true;
    return false;
}

static uint32_t best_ready(const Order *o, const uint32_t *ready, uint32_t count) {
    uint32_t best = 0;
    int64_t best_gain = INT64_MIN;
    for (uint32_t i = 0; i < count; i++) {
        const Node *n = o->nodes[ready[i]];
        int64_t gain = bytes_freed(o, n) - bytes_made(o, n);
        if (gain > best_gain || (gain == best_gain && ready[i] < ready[best])) {
            best = i;
            best_gain = gain;
        }
    }
    return best;
}

static Node **greedy_order(Order *o, uint32_t values) {
    Node **order = LT_ARRAY(o->scratch, Node *, o->count + 1);
    uint32_t *pending = count_pending(o), *ready = LT_ARRAY(o->scratch, uint32_t, o->count + 1);
    uint32_t ready_count = 0, placed = 0;
    memcpy(o->left, o->uses, values * sizeof *o->left);
    for (uint32_t i = 0; i < o->count; i++)
        if (pending[i] == 0)
            ready[ready_count++] = i;
    while (ready_count > 0) {
        uint32_t at = best_ready(o, ready, ready_count);
        Node *n = o->nodes[ready[at]];
        ready[at] = ready[--ready_count];
        order[placed++] = n;
        take(o, n);
        for (uint32_t i = 0; i < n->output_count; i++)
            for (const Operand *use = n->outputs[i]->uses; use; use = use->next_use) {
                uint32_t user = o->index[use->user->id];
                if (user && --pending[user - 1] == 0)
                    ready[ready_count++] = user - 1;
            }
    }
    return order;
}

/* --- the pass --------------------------------------------------------------------------------- */

/* Constants go first, so that they precede whoever reads them now. */
static void arrange(const Order *o, Node *const *order) {
    Node *yield = lt_graph_yield(o->graph), *front = o->graph->first;
    LT_EACH_NODE_SAFE(n, o->graph) {
        if (n->op == OP_CONST)
            lt_node_move_before(n, front);
    }
    for (uint32_t i = 0; i < o->count; i++)
        lt_node_move_before(order[i], yield);
}

bool lt_pass_order(PassContext *ctx) {
    Module *m = ctx->module;
    uint32_t values = m->next_value + 1, nodes = m->next_node + 1;
    Order o = {
        .scratch = ctx->scratch,
        .graph = lt_pass_graph(ctx),
        .symbols = typical_symbols(ctx->scratch, &m->dims),
        .owner = LT_ARRAY(ctx->scratch, uint32_t, values),
        .bytes = LT_ARRAY(ctx->scratch, int64_t, values),
        .uses = LT_ARRAY(ctx->scratch, uint32_t, values),
        .left = LT_ARRAY(ctx->scratch, uint32_t, values),
        .nodes = LT_ARRAY(ctx->scratch, Node *, nodes),
        .index = LT_ARRAY(ctx->scratch, uint32_t, nodes),
    };
    if (binds_symbols(o.graph))
        return false;
    describe(&o);
    Node **order = greedy_order(&o, values);
    int64_t before = peak_of(&o, o.nodes, values), after = peak_of(&o, order, values);
    if (after >= before) {
        lt_remark(&m->diags, NULL, "order: kept, a peak of %lld bytes (greedy: %lld)",
                  (long long)before, (long long)after);
        return false;
    }
    lt_remark(&m->diags, NULL, "order: the peak falls from %lld to %lld bytes", (long long)before,
              (long long)after);
    arrange(&o, order);
    return true;
}
