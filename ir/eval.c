/* eval.c - runs graphs by evaluating one node after the other, and folds single nodes. */
#include "ir/eval.h"

#include <stdarg.h>
#include <string.h>

#include "ir/einsum.h"
#include "ir/eval_ops.h"

/* A constant result may have this many bytes and cost this many scalar operations. */
#define FOLD_BYTES ((int64_t)256 << 20)
#define FOLD_WORK INT64_C(2000000000)

static bool (*const eval_functions[LT_OP_LIMIT])(Evaluation *, const Node *) = {
#define OP(e, ...) [OP_##e] = lt_eval_##e,
#include "ir/ops.def"
#undef OP
};

bool lt_eval_fail(Evaluation *ev, const Node *node, const char *format, ...) {
    if (ev->error)
        return false;
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(ev->arena, format, args);
    va_end(args);
    const char *name = node && node->loc ? lt_loc_text(ev->arena, node->loc, 1) : NULL;
    if (!name)
        name = node ? lt_op_info[node->op].name : "inputs";
    ev->error = lt_arena_printf(ev->arena, "%s: %s", name, text);
    return false;
}

Tensor *lt_eval_output(Evaluation *ev, const Node *node, uint32_t output) {
    const Value *value = node->outputs[output];
    int64_t dims[LT_MAX_RANK] = {0};
    for (int i = 0; i < value->type->rank; i++)
        dims[i] = eval_dim(ev, value->type->dims[i]);
    Tensor *t = lt_tensor_new(ev->arena, value->type->dtype, value->type->rank, dims);
    ev->values[value->id] = t;
    return t;
}

void lt_eval_dims(const Evaluation *ev, const Node *node, AttrName name, int64_t *out) {
    const Attr *attr = lt_attr(node, name);
    for (uint32_t i = 0; i < attr->count; i++)
        out[i] = eval_dim(ev, attr->u.dims[i]);
}

/* No output has a negative extent: a symbol's value may make one where a guard is missing. */
static bool check_outputs(Evaluation *ev, const Node *node) {
    if (lt_op_has(node->op, OPF_REGION)) /* a loop defines symbols of its results itself */
        return true;
    for (uint32_t i = 0; i < node->output_count; i++) {
        const Type *type = node->outputs[i]->type;
        for (int j = 0; j < type->rank; j++) {
            if (eval_dim(ev, type->dims[j]) < 0)
                return lt_eval_fail(ev, node, "axis %d of output %u would have extent %lld", j, i,
                                    (long long)eval_dim(ev, type->dims[j]));
        }
    }
    return true;
}

bool lt_eval_node(Evaluation *ev, const Node *node) {
    Arena *outer = ev->scratch, scratch;
    if (!check_outputs(ev, node))
        return false;
    lt_arena_init(&scratch);
    scratch.out_of_memory = ev->arena->out_of_memory;
    ev->scratch = &scratch;
    const bool done = eval_functions[node->op](ev, node);
    ev->scratch = outer;
    lt_arena_free(&scratch);
    return done;
}

/* --- modules -------------------------------------------------------------------------------------
 */

static bool bind_symbol(Evaluation *ev, const char *name, int axis, const DimSymbol *symbol,
                        int64_t value) {
    int64_t *bound = &ev->symbols[symbol->dim->symbol];
    if (*bound >= 0 && *bound != value)
        return lt_eval_fail(ev, NULL, "%s: axis %d is %lld, but %s is %lld already", name, axis,
                            (long long)value, symbol->dim->name, (long long)*bound);
    if (value < symbol->lo || value > symbol->hi)
        return lt_eval_fail(ev, NULL, "%s: axis %d is %lld, %s must lie in %lld..%lld", name, axis,
                            (long long)value, symbol->dim->name, (long long)symbol->lo,
                            (long long)symbol->hi);
    *bound = value;
    return true;
}

static const char *input_name(const Value *value) { return value->name ? value->name : "an input"; }

static bool bind_input(Evaluation *ev, const Value *value, const Tensor *t) {
    const Type *type = value->type;
    const char *name = input_name(value);
    if (t->dtype != type->dtype || t->rank != type->rank)
        return lt_eval_fail(ev, NULL, "%s: %s of %d dimensions is given, %s of %d is expected",
                            name, lt_dtype_name(t->dtype), t->rank, lt_dtype_name(type->dtype),
                            type->rank);
    for (int i = 0; i < type->rank; i++) {
        const Dim *dim = type->dims[i];
        if (dim->kind == DIM_SYMBOL &&
            !bind_symbol(ev, name, i, &ev->module->dims.symbols.data[dim->symbol], t->dims[i]))
            return false;
    }
    return true;
}

/* Once the symbols are bound: constants and expressions among the dims. */
static bool check_input(Evaluation *ev, const Value *value, const Tensor *t) {
    for (int i = 0; i < t->rank; i++) {
        const int64_t expected = eval_dim(ev, value->type->dims[i]);
        if (t->dims[i] != expected)
            return lt_eval_fail(ev, NULL, "%s: axis %d is %lld, %lld is expected",
                                input_name(value), i, (long long)t->dims[i], (long long)expected);
    }
    return true;
}

bool lt_eval_guards(Evaluation *ev, const Graph *g) {
    const Module *m = ev->module;
    for (size_t i = 0; i < m->guards.len; i++) {
        const DimGuard *guard = &m->guards.data[i];
        if (!lt_guard_applies(guard, g))
            continue;
        const bool known =
            lt_dim_is_bound(guard->a, ev->symbols) && lt_dim_is_bound(guard->b, ev->symbols);
        if (known && eval_dim(ev, guard->a) != eval_dim(ev, guard->b)) {
            const char *where = guard->loc ? lt_loc_text(ev->arena, guard->loc, 1) : NULL;
            return lt_eval_fail(ev, NULL,
                                "%s needs two extents to be equal, they are %lld and %lld",
                                where ? where : "a node", (long long)eval_dim(ev, guard->a),
                                (long long)eval_dim(ev, guard->b));
        }
    }
    return true;
}

bool lt_eval_begin(Evaluation *ev, Arena *arena, Module *m, const Tensor *const *inputs) {
    const Graph *g = m->main;
    *ev = (Evaluation){.arena = arena, .module = m};
    ev->symbols = LT_ARRAY(arena, int64_t, m->dims.symbols.len + 1);
    ev->values = LT_ARRAY(arena, const Tensor *, m->next_value + 1);
    for (size_t i = 0; i < m->dims.symbols.len; i++)
        ev->symbols[i] = -1;
    for (size_t i = 0; i < g->inputs.len; i++) {
        ev->values[g->inputs.data[i]->id] = inputs[i];
        if (!bind_input(ev, g->inputs.data[i], inputs[i]))
            return false;
    }
    for (size_t i = 0; i < g->inputs.len; i++) {
        if (!check_input(ev, g->inputs.data[i], inputs[i]))
            return false;
    }
    return lt_eval_guards(ev, g);
}

bool lt_eval_module(Evaluation *ev, Arena *arena, Module *m, const Tensor *const *inputs,
                    const Tensor **outputs) {
    const Graph *g = m->main;
    if (!lt_eval_begin(ev, arena, m, inputs))
        return false;
    for (const Node *node = g->first; node && node->op != OP_YIELD; node = node->next) {
        if (!lt_eval_node(ev, node))
            return false;
    }
    const Node *yield = lt_graph_yield(g);
    for (uint32_t i = 0; yield && i < yield->input_count; i++)
        outputs[i] = eval_input(ev, yield, i);
    return true;
}

/* --- constants -----------------------------------------------------------------------------------
 */

static int64_t saturating_mul(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static int64_t static_elements(const Value *v) {
    int64_t count = 0;
    return v && v->type && lt_type_is_static(v->type, &count) ? count : INT64_MAX;
}

/* Multiplications of a sum of products. */
static int64_t product_work(const Node *node) {
    const int64_t out = static_elements(lt_output(node)), b = static_elements(lt_input(node, 1));
    const Type *type = lt_output(node)->type;
    if (node->op == OP_CONV) {
        const Dim *outputs = type->dims[type->rank - 1];
        const int64_t groups = lt_attr_int(node, ATTR_GROUPS, 1);
        return outputs->value ? saturating_mul(out, b / outputs->value + groups) : 0;
    }
    LtEinsum e;
    int64_t work = out;
    if (lt_einsum_parse(&e, lt_attr_string(node, ATTR_SPEC, "")))
        return INT64_MAX;
    for (int i = 0; i < e.count[EINSUM_A]; i++) {
        if (lt_einsum_axis(&e, EINSUM_OUT, e.letters[EINSUM_A][i]) < 0)
            work = saturating_mul(work, lt_input(node, 0)->type->dims[i]->value);
    }
    return work;
}

/* About how many scalar operations a node takes, INT64_MAX when that cannot be told. */
static int64_t node_work(const Node *node) {
    int64_t work = 1, kernel = 1;
    if (lt_op_has(node->op, OPF_REGION))
        return INT64_MAX;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (lt_input(node, i) &&
            __builtin_add_overflow(work, static_elements(lt_input(node, i)), &work))
            return INT64_MAX;
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (__builtin_add_overflow(work, static_elements(node->outputs[i]), &work))
            return INT64_MAX;
    }
    if (lt_op_has(node->op, OPF_CONTRACTION))
        return product_work(node);
    const Attr *window = node->op == OP_WINDOW ? lt_attr(node, ATTR_KERNEL) : NULL;
    for (uint32_t i = 0; window && i < window->count; i++)
        kernel = saturating_mul(kernel, window->u.ints[i]);
    if (node->op == OP_LSTM || node->op == OP_GRU)
        kernel = lt_input(node, 1)->type->dims[0]->value;
    return saturating_mul(work, kernel);
}

static bool is_foldable(const Node *node) {
    if (node->op == OP_YIELD || node_work(node) > FOLD_WORK)
        return false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (lt_input(node, i) && !lt_value_const(lt_input(node, i)))
            return false;
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        const Type *type = node->outputs[i]->type;
        if (saturating_mul(static_elements(node->outputs[i]), (int64_t)lt_dtype_size(type->dtype)) >
            FOLD_BYTES)
            return false;
    }
    /* Attributes may hold dims too, which are known where the operands and results are. */
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const Attr *attr = &node->attrs[i];
        for (uint32_t j = 0; lt_attr_info[attr->name].kind == ATTR_KIND_DIMS && j < attr->count;
             j++) {
            if (!lt_dim_is_const(attr->u.dims[j]))
                return false;
        }
    }
    return true;
}

/* A splat for a map is one element that broadcasts: it need not be spread out. */
static const Tensor *const_operand(Arena *arena, const Node *node, const Const *c) {
    if (!c->is_splat || node->op != OP_MAP)
        return lt_tensor_from_const(arena, c);
    const int64_t ones[LT_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    Tensor *t = lt_tensor_new(arena, c->type->dtype, c->type->rank, ones);
    memcpy(t->data, c->data, c->bytes);
    return t;
}

/* Moving equal elements gives equal elements: the result is a splat too. */
static bool moves_splat(const Node *node) {
    const bool moves = node->op == OP_RESHAPE || node->op == OP_BROADCAST ||
                       node->op == OP_TRANSPOSE || node->op == OP_SLICE;
    return moves && lt_value_const(lt_input(node, 0))->is_splat;
}

bool lt_eval_const_node(Module *m, const Node *node, const Const **out) {
    if (!is_foldable(node))
        return false;
    if (node->op == OP_CONST) {
        out[0] = lt_attr(node, ATTR_VALUE)->u.c;
        return true;
    }
    if (moves_splat(node)) {
        out[0] = lt_const_splat(m, lt_output(node)->type, lt_value_const(lt_input(node, 0))->data);
        return true;
    }
    if (node->op == OP_RESHAPE) { /* the same bytes */
        if (static_elements(lt_input(node, 0)) != static_elements(lt_output(node)))
            return false;
        out[0] = lt_const(m, lt_output(node)->type, lt_value_const(lt_input(node, 0))->data);
        return true;
    }
    Arena operands;
    lt_arena_init(&operands);
    operands.out_of_memory = m->arena->out_of_memory;
    Evaluation ev = {.arena = m->arena, .module = m};
    ev.symbols = LT_ARRAY(&operands, int64_t, m->dims.symbols.len + 1);
    ev.values = LT_ARRAY(&operands, const Tensor *, m->next_value + 1);
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (lt_input(node, i))
            ev.values[lt_input(node, i)->id] =
                const_operand(&operands, node, lt_value_const(lt_input(node, i)));
    }
    const bool done = lt_eval_node(&ev, node);
    for (uint32_t i = 0; done && i < node->output_count; i++)
        out[i] = lt_const(m, node->outputs[i]->type, ev.values[node->outputs[i]->id]->data);
    lt_arena_free(&operands);
    return done;
}
