/* simplify_weights.c - folds a scale into the weights of the product before it.
 *   %1 = conv %x, %w; %2 = add %1, %b; %3 = mul %2, %s    =>   %1 = conv %x, w*s; %3 = add %1, b*s
 * where s is a constant that differs along at most one axis, and that axis of the product comes
 * from the weights alone. This is how batch normalization disappears. */
#include "ir/einsum.h"
#include "passes/rewrite.h"

typedef struct Scaling {
    Builder *b;
    Node *product;  /* conv or contract */
    uint32_t side;  /* which operand holds the weights */
    Value *weights; /* a constant */
    Value *bias;    /* a constant added behind the product; NULL: none */
    Value *scale;   /* a constant */
    int axis;       /* of the product along which the scale differs; -1: it is one number */
} Scaling;

/* --- what is there ---------------------------------------------------------------------------- */

static bool is_product(const Value *v) {
    const Node *n = v->def;
    return n && (n->op == OP_CONV || n->op == OP_CONTRACT) && lt_value_use_count(v) == 1 &&
           !lt_attr_int(n, ATTR_PACKED, 0);
}

/* v = product, or product + constant. */
static bool find_product(Scaling *s, Value *v) {
    Node *n = v->def;
    if (n && n->op == OP_MAP && lt_node_fn(n) == FN_ADD && lt_value_use_count(v) == 1) {
        uint32_t constant = lt_value_const(lt_input(n, 0)) ? 0 : 1;
        s->bias = lt_input(n, constant);
        v = lt_input(n, 1 - constant);
        if (!lt_value_const(s->bias) || v->type != lt_output(n)->type)
            return false;
    }
    s->product = is_product(v) ? v->def : NULL;
    return s->product != NULL;
}

static bool find_axis(Scaling *s) {
    const Type *scale = s->scale->type, *result = lt_output(s->product)->type;
    s->axis = -1;
    if (scale->rank > result->rank)
        return false;
    for (int i = 0; i < scale->rank; i++) {
        if (lt_dim_is(scale->dims[i], 1))
            continue;
        int axis = i + result->rank - scale->rank;
        if (s->axis >= 0 || scale->dims[i] != result->dims[axis])
            return false;
        s->axis = axis;
    }
    return true;
}

/* The axis of the weights that the scale runs along; false: there is none, so they cannot take it.
 */
static bool weights_axis(const Scaling *s, uint32_t side, int *axis) {
    *axis = -1;
    if (s->axis < 0)
        return true;
    if (s->product->op == OP_CONV) {
        *axis = lt_input(s->product, side)->type->rank - 1;
        return s->axis == lt_output(s->product)->type->rank - 1;
    }
    LtEinsum e;
    lt_einsum_parse(&e, lt_attr_string(s->product, ATTR_SPEC, ""));
    *axis = lt_einsum_axis(&e, (int)side, e.letters[EINSUM_OUT][s->axis]);
    return *axis >= 0;
}

static bool find_weights(Scaling *s, int *axis) {
    const uint32_t first = s->product->op == OP_CONV ? 1 : 0;
    for (uint32_t side = first; side < 2; side++) {
        s->weights = lt_input(s->product, side);
        s->side = side;
        bool fits = s->weights->type->dtype == s->scale->type->dtype;
        if (fits && lt_value_const(s->weights) && weights_axis(s, side, axis))
            return true;
    }
    return false;
}

/* --- what it becomes -------------------------------------------------------------------------- */

/* The scale along one axis of the weights, 1 along the others. */
static Value *scale_along(const Scaling *s, int axis) {
    DimTable *dims = &s->b->graph->module->dims;
    const Dim *shape[LT_MAX_RANK];
    int rank = s->weights->type->rank;
    for (int i = 0; i < rank; i++)
        shape[i] = i == axis ? s->weights->type->dims[i] : lt_dim_const(dims, 1);
    return lt_build_folded(s->b, lt_build_reshape(s->b, s->scale, axis < 0 ? 0 : rank, shape));
}

static Value *scaled(const Scaling *s, Value *constant, Value *scale) {
    return lt_build_folded(s->b, lt_build_map2(s->b, FN_MUL, constant, scale));
}

static Value *build_scaled(const Scaling *s, int axis) {
    const Node *p = s->product;
    Value *inputs[2] = {lt_input(p, 0), lt_input(p, 1)};
    Value *along = scale_along(s, axis);
    if (!along)
        return NULL;
    inputs[s->side] = scaled(s, s->weights, along);
    if (!inputs[s->side] || !lt_value_const(inputs[s->side]))
        return NULL;
    Value *v = lt_build(
        s->b, &(NodeSpec){.op = p->op,
                          .inputs = inputs,
                          .input_count = 2,
                          .attrs = p->attrs,
                          .attr_count = p->attr_count,
                          .loc = lt_loc_join(s->b->graph->module->arena, p->loc, s->b->loc)});
    return s->bias ? lt_build_map2(s->b, FN_ADD, v, scaled(s, s->bias, s->scale)) : v;
}

/* The constant that the map multiplies by, and what it multiplies; NULL: it does something else. */
static Value *scale_of(Builder *b, const Node *n, Value **v) {
    const ScalarFn fn = lt_node_fn(n);
    if (fn != FN_MUL && fn != FN_DIV)
        return NULL;
    const uint32_t constant = fn == FN_MUL && lt_value_const(lt_input(n, 0)) ? 0 : 1;
    Value *scale = lt_input(n, constant);
    *v = lt_input(n, 1 - constant);
    if (!lt_value_const(scale) || !lt_dtype_is_float(scale->type->dtype))
        return NULL;
    return fn == FN_MUL ? scale : lt_build_folded(b, lt_build_map1(b, FN_RECIP, scale));
}

Value *lt_rewrite_scale(Builder *b, Node *n) {
    Scaling s = {.b = b};
    Value *v;
    int axis;
    s.scale = scale_of(b, n, &v);
    if (!s.scale || !find_product(&s, v) || !find_axis(&s) || !find_weights(&s, &axis))
        return NULL;
    return build_scaled(&s, axis);
}
