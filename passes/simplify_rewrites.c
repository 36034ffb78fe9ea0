/* simplify_rewrites.c - rewrites that a pattern over maps cannot say: scales that move into
 * weights, and moves of elements that move nothing. */
#include <string.h>

#include "ir/build.h"
#include "ir/einsum.h"
#include "passes/rules.h"

/* --- scales move into weights --------------------------------------------------------------------
 */

static Builder builder_at(Node *n) {
    return (Builder){.graph = n->graph, .before = n, .loc = n->loc};
}

/* A constant that varies along the last axis at most: [..., 1, C] or [C] or a scalar. */
static const Const *along_last_axis(const Value *v) {
    const Const *c = lt_value_const(v);
    if (!c)
        return NULL;
    for (int i = 0; i + 1 < c->type->rank; i++)
        if (!lt_dim_is(c->type->dims[i], 1))
            return NULL;
    return c;
}

/* scale as a tensor that broadcasts over the weight's last axis. */
static Value *flat_scale(Builder *b, Value *scale) {
    int rank = scale->type->rank;
    return rank <= 1 ? scale : lt_build_reshape(b, scale, 1, scale->type->dims + rank - 1);
}

static Node *copy_with_weight(Builder *b, const Node *n, Value *weight) {
    Value *inputs[] = {lt_input(n, 0), weight};
    NodeSpec spec = {
        .op = n->op,
        .inputs = inputs,
        .input_count = 2,
        .attrs = n->attrs,
        .attr_count = n->attr_count,
    };
    Value *v = lt_build(b, &spec);
    return v ? v->def : NULL;
}

/* The weight's last axis is the result's last axis: [kx..., c, o], or "..k..n" for a contraction.
 */
static bool scales_last_axis(const Node *n) {
    if (lt_attr_int(n, ATTR_PACKED, 0) || !lt_value_const(lt_input(n, 1)))
        return false;
    if (n->op == OP_CONV)
        return true;
    LtEinsum e;
    if (lt_einsum_parse(&e, lt_attr_string(n, ATTR_SPEC, "")))
        return false;
    char column = lt_einsum_column(&e);
    return column && lt_einsum_axis(&e, EINSUM_A, column) < 0 &&
           lt_einsum_axis(&e, EINSUM_B, column) == e.count[EINSUM_B] - 1;
}

/* mul(conv(x, w), c) => conv(x, mul(w, c)): the scale of a batch normalization becomes weights. */
static Value *fold_scale(Node *n) {
    if (lt_node_fn(n) != FN_MUL)
        return NULL;
    for (uint32_t i = 0; i < 2; i++) {
        Value *product = lt_input(n, i), *scale = lt_input(n, 1 - i);
        const Node *def = product->def;
        bool folds = def && (def->op == OP_CONV || def->op == OP_CONTRACT) &&
                     lt_value_use_count(product) == 1 && along_last_axis(scale) &&
                     product->type == lt_output(n)->type && scales_last_axis(def);
        if (!folds)
            continue;
        Builder b = builder_at(n);
        Value *weight = lt_build_map2(&b, FN_MUL, lt_input(def, 1), flat_scale(&b, scale));
        Node *copy = weight && weight->type == lt_input(def, 1)->type
                         ? copy_with_weight(&b, def, weight)
                         : NULL;
        if (copy)
            return lt_output(copy);
    }
    return NULL;
}

/* --- moves that move nothing --------------------------------------------------------------- */

/* Results of the model keep the node that carries their name. */
static Value *operand_instead(Node *n) {
    Value *x = lt_input(n, 0);
    return x->type == lt_output(n)->type && !lt_value_is_output(lt_output(n)) ? x : NULL;
}

static Value *merge_reshapes(Node *n) {
    Value *x = operand_instead(n);
    if (x)
        return x;
    const Node *inner = lt_input(n, 0)->def;
    if (!inner || inner->op != OP_RESHAPE)
        return NULL;
    Builder b = builder_at(n);
    const Type *type = lt_output(n)->type;
    return lt_build_reshape(&b, lt_input(inner, 0), type->rank, type->dims);
}

static Value *drop_pad(Node *n) {
    const Attr *lo = lt_attr(n, ATTR_PAD_LO), *hi = lt_attr(n, ATTR_PAD_HI);
    for (uint32_t i = 0; i < lo->count; i++)
        if (!lt_dim_is(lo->u.dims[i], 0) || !lt_dim_is(hi->u.dims[i], 0))
            return NULL;
    return operand_instead(n);
}

static Value *drop_slice(Node *n) {
    const Attr *start = lt_attr(n, ATTR_START), *step = lt_attr(n, ATTR_STEP);
    for (uint32_t i = 0; i < start->count; i++)
        if (!lt_dim_is(start->u.dims[i], 0) || step->u.ints[i] != 1)
            return NULL;
    return operand_instead(n);
}

static Value *drop_concat(Node *n) { return n->input_count == 1 ? operand_instead(n) : NULL; }

/* A map broadcasts by itself: add(broadcast(x), y) => add(x, y) when the result keeps its shape. */
static Value *drop_broadcast_operand(Node *n) {
    Value *inputs[3];
    bool changed = false;
    for (uint32_t i = 0; i < n->input_count; i++) {
        const Node *def = lt_input(n, i)->def;
        bool broadcast = def && def->op == OP_BROADCAST && !changed;
        inputs[i] = broadcast ? lt_input(def, 0) : lt_input(n, i);
        changed |= broadcast;
    }
    if (!changed)
        return NULL;
    Builder b = builder_at(n);
    NodeSpec spec = {
        .op = OP_MAP,
        .inputs = inputs,
        .input_count = n->input_count,
        .attrs = n->attrs,
        .attr_count = n->attr_count,
    };
    Value *v = lt_build(&b, &spec);
    return v && v->type == lt_output(n)->type ? v : NULL;
}

const Rewrite lt_rewrites[] = {
    {"fold_scale", OP_MAP, fold_scale},
    {"drop_broadcast_operand", OP_MAP, drop_broadcast_operand},
    {"merge_reshapes", OP_RESHAPE, merge_reshapes},
    {"drop_pad", OP_PAD, drop_pad},
    {"drop_slice", OP_SLICE, drop_slice},
    {"drop_concat", OP_CONCAT, drop_concat},
    {"drop_convert", OP_CONVERT, operand_instead},
    {"drop_broadcast", OP_BROADCAST, operand_instead},
};
const int lt_rewrite_count = (int)(sizeof lt_rewrites / sizeof *lt_rewrites);
