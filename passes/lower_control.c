/* lower_control.c - branches and loops as steps.
 *
 *   if      IF; for each branch: its nodes, then what it yields goes to the results; END
 *   loop    what is carried starts as a copy of its operand; LOOP; the body; what it yields goes
 *           behind what is stacked already, and over what was carried; NEXT
 *
 * A dim that differs between the branches, or from one iteration to the next, is a symbol of data
 * that ASSIGN gives its value. */
#include <string.h>

#include "ir/build.h"
#include "passes/lower_program.h"

typedef Vec(const Dim *) DimList;

static void add_control(Assembly *a, StepKind kind, const Node *node, const uint32_t *buffers,
                        uint32_t count, const DimList *symbols) {
    const uint32_t region = kind == STEP_ELSE ? 1 : 0;
    const bool begins = kind == STEP_IF || kind == STEP_ELSE || kind == STEP_LOOP;
    lt_step_add(a,
                (Step){.kind = kind,
                       .name = kind == STEP_IF || kind == STEP_LOOP ? lt_step_name(a, node) : NULL,
                       .buffer_count = count,
                       .buffers = buffers,
                       .int_count = symbols ? (uint32_t)symbols->len : 0,
                       .ints = symbols ? symbols->data : NULL,
                       .graph = begins ? node->regions[region] : NULL,
                       .loc = node->loc});
}

/* Pairs for ASSIGN: where `to` has symbols of its own, they become what `from` has there. */
static void match_dims(Assembly *a, const Type *to, const Type *from, DimList *pairs) {
    for (int i = 0; i < to->rank; i++) {
        const Dim *symbol = to->dims[i];
        if (symbol == from->dims[i] || symbol->kind != DIM_SYMBOL ||
            !lt_dim_is_data(&a->module->dims, symbol))
            continue;
        lt_vec_push(a->ctx->scratch, pairs, symbol);
        lt_vec_push(a->ctx->scratch, pairs, from->dims[i]);
    }
}

static void add_assign(Assembly *a, const Node *node, const DimList *pairs) {
    if (pairs->len > 0)
        add_control(a, STEP_ASSIGN, node, NULL, 0, pairs);
}

static void add_symbols(Assembly *a, const DimList *pairs, DimList *symbols) {
    for (size_t i = 0; i < pairs->len; i += 2) {
        bool known = false;
        for (size_t j = 0; j < symbols->len; j++)
            known |= symbols->data[j] == pairs->data[i];
        if (!known)
            lt_vec_push(a->ctx->scratch, symbols, pairs->data[i]);
    }
}

/* The value into a buffer that is not its own. */
static void move_into(Assembly *a, Value *value, uint32_t to) {
    const uint32_t from = lt_buffer_of(a, value);
    if (lt_buffer_is_reserved(a, to))
        lt_step_reserve(a, to, value->type);
    lt_step_copy(a, value->name, from, to, lt_buffer_bytes(a, value->type), NULL);
}

/* Operands `first`... are the region's inputs `to`... */
static void bind_operands(Assembly *a, const Node *node, uint32_t first, const Graph *g,
                          uint32_t to) {
    for (uint32_t i = to; i < g->inputs.len; i++)
        lt_buffer_set(a, g->inputs.data[i], lt_buffer_of(a, lt_input(node, first + i - to)));
}

/* --- if --------------------------------------------------------------------------------------- */

/* A value that a branch computes, once, can be computed where the result is. */
static bool is_own(const Graph *g, const Node *yield, uint32_t output) {
    const Value *v = lt_input(yield, output);
    if (!v->def || v->def->graph != g || v->def->op == OP_CONST || v->def->op == OP_RESHAPE ||
        v->def->op == OP_BIND || v->def->region_count)
        return false;
    for (uint32_t i = 0; i < output; i++)
        if (lt_input(yield, i) == v)
            return false;
    return true;
}

static bool lower_branch(Assembly *a, Node *node, uint32_t region, DimList *assigned) {
    Graph *g = node->regions[region];
    Node *yield = lt_graph_yield(g);
    DimList pairs = {0};
    bind_operands(a, node, 1, g, 0);
    for (uint32_t i = 0; i < node->output_count; i++) {
        const uint32_t result = lt_buffer_of(a, node->outputs[i]);
        if (is_own(g, yield, i) && !lt_buffer_is_reserved(a, result))
            lt_buffer_set(a, lt_input(yield, i), result);
    }
    const bool ok = lt_lower_graph(a, g);
    for (uint32_t i = 0; i < node->output_count; i++) {
        const uint32_t result = lt_buffer_of(a, node->outputs[i]);
        if (lt_buffer_of(a, lt_input(yield, i)) != result)
            move_into(a, lt_input(yield, i), result);
        match_dims(a, node->outputs[i]->type, lt_input(yield, i)->type, &pairs);
    }
    add_assign(a, node, &pairs);
    add_symbols(a, &pairs, assigned);
    return ok;
}

bool lt_lower_branches(Assembly *a, Node *node) {
    const uint32_t condition = lt_buffer_of(a, lt_input(node, 0));
    DimList assigned = {0};
    add_control(a, STEP_IF, node, &condition, 1, NULL);
    bool ok = lower_branch(a, node, 0, &assigned);
    add_control(a, STEP_ELSE, node, NULL, 0, NULL);
    ok = lower_branch(a, node, 1, &assigned) && ok;
    add_control(a, STEP_END, node, NULL, 0, &assigned);
    return ok;
}

/* --- loop ------------------------------------------------------------------------------------- */

typedef struct Loop {
    Assembly *a;
    Node *node;
    Graph *body;
    const Dim *iteration;
    uint32_t carried;
    uint32_t *buffers; /* by result: what is carried, or stacked */
    DimList symbols;   /* the iteration, then those of the carried values' dims */
} Loop;

/* The number of the iteration is a symbol; who reads it as a tensor gets a node that makes one. */
static void replace_counter(Loop *l) {
    Value *counter = l->body->inputs.data[0];
    if (!counter->uses)
        return;
    Builder b = {.graph = l->body, .before = l->body->first, .loc = l->node->loc};
    Value *vector = lt_build_dims(&b, 1, &l->iteration);
    Value *scalar = lt_build_reshape(&b, vector, 0, NULL);
    lt_value_replace(counter, scalar);
}

static void begin_carried(Loop *l) {
    Assembly *a = l->a;
    DimList pairs = {0};
    for (uint32_t i = 0; i < l->carried; i++) {
        Value *start = lt_input(l->node, i + 2), *input = l->body->inputs.data[i + 1];
        l->buffers[i] = lt_buffer_new(a, input->type, input->name);
        move_into(a, start, l->buffers[i]);
        lt_buffer_set(a, input, l->buffers[i]);
        match_dims(a, input->type, start->type, &pairs);
    }
    add_assign(a, l->node, &pairs);
    add_symbols(a, &pairs, &l->symbols);
}

/* Where the number of iterations is not known before, the caller's memory waits for the end. */
static void begin_stacked(Loop *l) {
    Assembly *a = l->a;
    for (uint32_t i = l->carried; i < l->node->output_count; i++) {
        Value *result = l->node->outputs[i];
        const bool is_known = lt_buffer_is_known(a, result);
        l->buffers[i] = lt_buffer_of(a, result);
        if (is_known && lt_buffer_is_reserved(a, l->buffers[i]))
            l->buffers[i] = lt_buffer_new(a, result->type, result->name);
        lt_map_set(&a->reserved, l->buffers[i], a); /* it grows */
    }
}

static void stack_slice(Loop *l, uint32_t output) {
    Assembly *a = l->a;
    DimTable *t = &a->module->dims;
    Value *slice = lt_input(lt_graph_yield(l->body), output + 1);
    const Dim *bytes = lt_buffer_bytes(a, slice->type);
    const uint32_t to = l->buffers[output], from = lt_buffer_of(a, slice);
    if (lt_buffer_is_reserved(a, to)) {
        const Dim *size = lt_dim_mul(t, bytes, lt_dim_add_const(t, l->iteration, 1));
        lt_step_add(a,
                    (Step){.kind = STEP_RESERVE, .buffer_count = 1, .buffers = &to, .count = size});
    }
    lt_step_copy(a, slice->name, from, to, bytes, lt_dim_mul(t, bytes, l->iteration));
}

/* A carried value that becomes another one's is read before that is written. */
static uint32_t source_of(Loop *l, uint32_t i) {
    Assembly *a = l->a;
    Value *next = lt_input(lt_graph_yield(l->body), i + 1);
    const uint32_t from = lt_buffer_of(a, next);
    bool is_carried = false;
    for (uint32_t j = 0; j < l->carried; j++)
        is_carried |= l->buffers[j] == from;
    if (!is_carried || from == l->buffers[i])
        return from;
    const uint32_t kept = lt_buffer_new(a, next->type, next->name);
    lt_step_copy(a, next->name, from, kept, lt_buffer_bytes(a, next->type), NULL);
    return kept;
}

static void end_iteration(Loop *l) {
    Assembly *a = l->a;
    Node *yield = lt_graph_yield(l->body);
    DimList pairs = {0};
    uint32_t *sources = LT_ARRAY(a->ctx->scratch, uint32_t, l->carried + 1);
    for (uint32_t i = l->carried; i < l->node->output_count; i++)
        stack_slice(l, i);
    for (uint32_t i = 0; i < l->carried; i++)
        sources[i] = source_of(l, i);
    for (uint32_t i = 0; i < l->carried; i++) {
        const Type *type = lt_input(yield, i + 1)->type;
        match_dims(a, l->body->inputs.data[i + 1]->type, type, &pairs);
        if (sources[i] == l->buffers[i])
            continue;
        if (lt_buffer_is_reserved(a, l->buffers[i]))
            lt_step_reserve(a, l->buffers[i], type);
        lt_step_copy(a, lt_input(yield, i + 1)->name, sources[i], l->buffers[i],
                     lt_buffer_bytes(a, type), NULL);
    }
    add_assign(a, l->node, &pairs);
}

/* Dims of the results in terms of what is known behind the loop, then the results. */
static void take_results(Loop *l) {
    Assembly *a = l->a;
    DimList pairs = {0};
    for (uint32_t i = 0; i < l->node->output_count; i++) {
        const Type *result = l->node->outputs[i]->type;
        if (i < l->carried) {
            match_dims(a, result, l->body->inputs.data[i + 1]->type, &pairs);
        } else if (lt_dim_is_data(&a->module->dims, result->dims[0])) {
            lt_vec_push(a->ctx->scratch, &pairs, result->dims[0]);
            lt_vec_push(a->ctx->scratch, &pairs, l->iteration);
        }
    }
    add_assign(a, l->node, &pairs);
    for (uint32_t i = 0; i < l->node->output_count; i++) {
        Value *v = l->node->outputs[i];
        if (!lt_buffer_is_known(a, v))
            lt_buffer_set(a, v, l->buffers[i]);
        else if (lt_buffer_of(a, v) != l->buffers[i])
            lt_step_copy(a, v->name, l->buffers[i], lt_buffer_of(a, v), lt_buffer_bytes(a, v->type),
                         NULL);
    }
}

bool lt_lower_iterations(Assembly *a, Node *node) {
    Loop l = {.a = a,
              .node = node,
              .body = node->regions[0],
              .carried = (uint32_t)lt_attr_int(node, ATTR_COUNT, 0),
              .buffers = LT_ARRAY(a->ctx->scratch, uint32_t, node->output_count + 2)};
    l.iteration = lt_dim_fresh_data(&a->module->dims, "iteration");
    lt_vec_push(a->ctx->scratch, &l.symbols, l.iteration);
    replace_counter(&l);
    begin_carried(&l);
    begin_stacked(&l);
    bind_operands(a, node, l.carried + 2, l.body, l.carried + 1);
    /* What is stacked lives from here on: it outlives the iterations. */
    uint32_t *used = LT_ARRAY(a->ctx->scratch, uint32_t, node->output_count + 2);
    used[0] = lt_buffer_of(a, lt_input(node, 0));
    used[1] = lt_buffer_of(a, lt_input(node, 1));
    memcpy(used + 2, l.buffers, node->output_count * sizeof *used);
    add_control(a, STEP_LOOP, node, used, node->output_count + 2, &l.symbols);
    const bool ok = lt_lower_graph(a, l.body);
    end_iteration(&l);
    const uint32_t keep = lt_buffer_of(a, lt_input(lt_graph_yield(l.body), 0));
    add_control(a, STEP_NEXT, node, &keep, 1, &l.symbols);
    take_results(&l);
    return ok;
}
