/* lower.c - the naive kernel of one node: operands, anchor, and the epilogue behind it.
 *
 * Producers of the anchor are inlined where it reads them. Behind it, the element that it computed
 * is followed forward: maps and conversions keep its index, transposes and reshapes move it, and
 * each value that the region yields is stored where the element ended up; other operands are read
 * at that place. */
#include "passes/lower.h"

#include <assert.h>
#include <stdarg.h>

#include "passes/lower_internal.h"

enum { LOWER_UNSUPPORTED = 3 }; /* numbers of include/lathe/status.def */

static LowerFn *const anchors[LT_OP_LIMIT] = {
    [OP_REDUCE] = lt_lower_reduce,
    [OP_WINDOW] = lt_lower_window,
    [OP_ARGREDUCE] = lt_lower_argreduce,
    [OP_SCANREDUCE] = lt_lower_cumulate,
    [OP_CONTRACT] = lt_lower_contract,
    [OP_CONV] = lt_lower_conv,
    [OP_WINOGRAD] = lt_lower_winograd,
    [OP_SOFTMAX] = lt_lower_softmax,
    [OP_LOG_SOFTMAX] = lt_lower_softmax,
    [OP_LAYER_NORM] = lt_lower_layer_norm,
    [OP_LSTM] = lt_lower_lstm,
    [OP_GRU] = lt_lower_gru,
    [OP_SCATTER_ELEMENTS] = lt_lower_scatter_elements,
    [OP_SCATTER_ND] = lt_lower_scatter_nd,
    [OP_SUPPRESS] = lt_lower_suppress,
};

bool lt_lower_fail(Lowering *lo, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(lo->module->arena, format, args);
    va_end(args);
    if (!lo->failed)
        lt_error(&lo->module->diags, LOWER_UNSUPPORTED, lo->node->loc,
                 "there is no kernel for %s: %s",
                 lt_op_info[lo->anchor ? lo->anchor->op : lo->node->op].name, text);
    lo->failed = true;
    return false;
}

/* --- what the node consists of ------------------------------------------------------------- */

Value *lt_lower_resolve(const Lowering *lo, Value *value) {
    const bool is_input = lo->region && value->graph == lo->region && !value->def;
    return is_input ? lt_input(lo->node, value->index) : value;
}

bool lt_lower_is_inside(const Lowering *lo, const Value *value) {
    return value->def && (lo->region ? value->graph == lo->region : value->def == lo->node);
}

const Expr *lt_lower_constant(Lowering *lo, const Value *value) {
    const Const *c = lt_value_const(value);
    int64_t elements;
    if (!c || (!c->is_splat && !(lt_type_is_static(c->type, &elements) && elements == 1)))
        return NULL;
    if (lt_dtype_is_float(c->type->dtype))
        return lt_expr_float(lo->k, c->type->dtype, lt_const_get_float(c, 0));
    return lt_expr_int(lo->k, c->type->dtype, lt_const_get_int(c, 0));
}

static void collect_yields(Lowering *lo) {
    const Node *source = lo->region ? lt_graph_yield(lo->region) : lo->node;
    lo->yield_count = lo->region ? source->input_count : source->output_count;
    lo->yields = LT_ARRAY(lo->ctx->scratch, Value *, lo->yield_count);
    for (uint32_t i = 0; i < lo->yield_count; i++)
        lo->yields[i] = lo->region ? lt_input(source, i) : source->outputs[i];
}

static void mark_live(Lowering *lo, const Value *value) {
    if (!value || !lt_lower_is_inside(lo, value) || lo->live[value->def->id])
        return;
    lo->live[value->def->id] = true;
    for (uint32_t i = 0; i < value->def->input_count; i++)
        mark_live(lo, lt_input(value->def, i));
}

/* A region that is an attention has three nodes that would be anchors, of which the last one is. */
static bool find_attention(Lowering *lo) {
    Attention found;
    LT_EACH_NODE(n, lo->region) {
        if (!lo->live[n->id] || !lt_attention_match(n, &found))
            continue;
        lo->attention = lt_arena_copy(lo->ctx->scratch, &found, sizeof found);
        lo->anchor = n;
    }
    return lo->attention != NULL;
}

/* The anchor; false when there are two. */
static bool find_anchor(Lowering *lo, Node *node) {
    if (!lo->live[node->id] || !anchors[node->op])
        return true;
    if (lo->anchor)
        return lt_lower_fail(lo, "%s and %s are in one group", lt_op_info[lo->anchor->op].name,
                             lt_op_info[node->op].name);
    lo->anchor = node;
    return true;
}

static const Dim *const *import_dims(Lowering *lo, const Type *type) {
    const Dim **dims = LT_ARRAY(lo->k->arena, const Dim *, type->rank);
    for (int i = 0; i < type->rank; i++)
        dims[i] = lower_dim(lo, type->dims[i]);
    return dims;
}

static void add_operand(Lowering *lo, Value *value) {
    if (lt_map_has(&lo->params, value->id) || lt_lower_constant(lo, value))
        return;
    const char *name = lt_arena_printf(lo->k->arena, "in%zu", lo->out->operands.len);
    const Type *type = value->type;
    Buffer *buffer =
        lt_kernel_param(lo->k, BUFFER_INPUT, name, type->dtype, type->rank, import_dims(lo, type));
    lt_map_set(&lo->params, value->id, buffer);
    lt_vec_push(lo->module->arena, &lo->out->operands, value);
}

/* Values from outside that live nodes (or the yield) read, in the order of the node's operands;
 * constants of the region that have several elements become operands too. */
static void add_operands(Lowering *lo) {
    bool *read = LT_ARRAY(lo->ctx->scratch, bool, lo->node->input_count + 1);
    if (!lo->region) {
        for (uint32_t i = 0; i < lo->node->input_count; i++)
            if (lt_input(lo->node, i))
                add_operand(lo, lt_input(lo->node, i));
        return;
    }
    LT_EACH_NODE(n, lo->region) {
        if (n->op != OP_YIELD && !lo->live[n->id])
            continue;
        for (uint32_t i = 0; i < n->input_count; i++) {
            const Value *v = lt_input(n, i);
            if (v && !v->def && v->graph == lo->region)
                read[v->index] = true;
        }
    }
    for (uint32_t i = 0; i < lo->node->input_count; i++)
        if (read[i])
            add_operand(lo, lt_input(lo->node, i));
    LT_EACH_NODE(n, lo->region)
    if (n->op == OP_CONST && lo->live[n->id])
        add_operand(lo, lt_output(n));
}

static void add_results(Lowering *lo) {
    lo->results = LT_ARRAY(lo->ctx->scratch, const Buffer *, lo->yield_count);
    for (uint32_t i = 0; i < lo->yield_count; i++) {
        const Type *type = lo->yields[i]->type;
        const char *name = lt_arena_printf(lo->k->arena, "out%u", i);
        lo->results[i] = lt_kernel_param(lo->k, BUFFER_OUTPUT, name, type->dtype, type->rank,
                                         import_dims(lo, type));
        lt_vec_push(lo->module->arena, &lo->out->results, lo->node->outputs[i]);
    }
}

/* --- behind the anchor --------------------------------------------------------------------- */

static void set_forwarded(Lowering *lo, const Value *value, const At *at) {
    if (!lt_map_has(&lo->forwarded, value->id))
        lt_map_set(&lo->forwarded, value->id, lt_arena_copy(lo->k->arena, at, sizeof *at));
}

/* Where the element at `from` of `value`, an operand of node, ends up in node's output; false:
 * nowhere known. */
static bool forward_through(Lowering *lo, const Node *node, const Value *value, const At *from,
                            At *to) {
    const Type *type = lt_output(node)->type;
    *to = (At){.predicate = NULL};
    if (node->op == OP_RESHAPE) {
        lt_lower_reshape_index(lo, value->type, from->index, type, to->index);
        return true;
    }
    if (node->op == OP_TRANSPOSE) {
        const Attr *perm = lt_attr(node, ATTR_PERM);
        for (int i = 0; i < type->rank; i++)
            to->index[i] = from->index[perm->u.ints[i]];
        return true;
    }
    if (!lt_op_has(node->op, OPF_ELEMENTWISE) && node->op != OP_BROADCAST)
        return false;
    const int shift = type->rank - value->type->rank;
    for (int i = 0; i < type->rank; i++) {
        const Dim *dim = i < shift ? NULL : value->type->dims[i - shift];
        if (!lt_dim_is(type->dims[i], 1) && (!dim || lt_dim_is(dim, 1)))
            return false; /* one element of the anchor would go to many places */
        to->index[i] = i < shift ? lower_number(lo, 0) : from->index[i - shift];
    }
    return true;
}

void lt_lower_forward(Lowering *lo, const Dim *const *index) {
    const Value *result = lt_output(lo->anchor);
    At at = lt_lower_here(index, result->type->rank);
    lt_map_init(&lo->forwarded, lo->ctx->scratch);
    set_forwarded(lo, result, &at);
    for (const Node *n = lo->region ? lo->anchor->next : NULL; n; n = n->next) {
        for (uint32_t i = 0; i < n->input_count && n->op != OP_YIELD && lo->live[n->id]; i++) {
            const Value *v = lt_input(n, i);
            const At *from = v ? lt_map_get(&lo->forwarded, v->id) : NULL;
            if (from && forward_through(lo, n, v, from, &at))
                set_forwarded(lo, lt_output(n), &at);
        }
    }
}

const Buffer *lt_lower_find_scratch(const Lowering *lo, DType dtype, const At **at) {
    /* Only the result that is stored last: what others compute must not see it overwritten. */
    const uint32_t last = lo->yield_count - 1;
    *at = lt_map_get(&lo->forwarded, lo->yields[last]->id);
    return *at && lo->yields[last]->type->dtype == dtype ? lo->results[last] : NULL;
}

Stmt *lt_lower_store(Lowering *lo, const Dim *const *index, const Expr *value) {
    const Type *type = lt_output(lo->anchor)->type;
    Stmt *stores = NULL;
    lt_lower_forward(lo, index);
    lo->anchor_value = value;
    for (uint32_t i = 0; i < lo->yield_count; i++) {
        Value *yield = lo->yields[i];
        const At *at = lt_map_get(&lo->forwarded, yield->id);
        const At beside = lt_lower_here(index, type->rank);
        if (!at && !lt_type_same_dims(yield->type, type)) {
            lt_lower_fail(lo, "output %u of the group cannot be computed beside it", i);
            return NULL;
        }
        at = at ? at : &beside;
        const Expr *element = lt_lower_at(lo, yield, at);
        stores = lt_stmt_join(stores, lt_stmt_store(lo->k, lo->results[i], at->index, element));
    }
    return lt_stmt_join(lt_lower_take_prelude(lo), stores);
}

/* --- the node ------------------------------------------------------------------------------ */

static bool setup(Lowering *lo) {
    lo->live = LT_ARRAY(lo->ctx->scratch, bool, lo->module->next_node);
    lt_map_init(&lo->params, lo->ctx->scratch);
    lt_map_init(&lo->forwarded, lo->ctx->scratch);
    lt_map_init(&lo->memo, lo->ctx->scratch);
    collect_yields(lo);
    for (uint32_t i = 0; i < lo->yield_count; i++)
        mark_live(lo, lo->yields[i]);
    if (!lo->region)
        return find_anchor(lo, lo->node);
    if (find_attention(lo))
        return true;
    LT_EACH_NODE(n, lo->region)
    if (!find_anchor(lo, n))
        return false;
    return true;
}

bool lt_lower_node(PassContext *ctx, Node *node, Lowered *out) {
    Arena *arena = ctx->module->arena;
    *out = (Lowered){.kernel = lt_kernel_new(arena, "kernel", node->loc)};
    Lowering lo = {.ctx = ctx, .module = ctx->module, .k = out->kernel, .node = node, .out = out};
    lo.region = node->op == OP_FUSED ? node->regions[0] : NULL;
    if (!setup(&lo))
        return false;
    if (lo.yield_count == 0 || (lt_op_has(node->op, OPF_REGION) && !lo.region))
        return lt_lower_fail(&lo, "it has to be a computation without control flow");
    add_operands(&lo);
    add_results(&lo);
    const bool is_gpu = lt_target_is_gpu(ctx->target);
    LowerFn *lower = lo.attention ? is_gpu ? lt_lower_attention_gpu : lt_lower_attention
                     : lo.anchor  ? anchors[lo.anchor->op]
                                  : lt_lower_map;
    if (!lower(&lo) || lo.failed)
        return false;
    lt_lower_finish(&lo);
    lt_lower_find_in_place(lo.k);
    for (size_t i = 0; i < lo.k->int_sources.len; i++)
        lt_vec_push(arena, &out->ints, lo.k->int_sources.data[i]);
    return true;
}
