/* recognize_rows.c - softmax and layer normalization in parts.
 *
 * Both divide a row by something folded from it. A value that a fold gives has one element a row:
 * the folded axes have extent 1, by `keep` or by a reshape behind the fold. */
#include <string.h>

#include "passes/rewrite.h"

static Node *map_of(const Value *v, ScalarFn fn) {
    Node *n = v ? v->def : NULL;
    return n && n->op == OP_MAP && lt_node_fn(n) == fn ? n : NULL;
}

static bool has_ones(const Type *v, const Type *x, const Attr *axes) {
    if (v->rank != x->rank)
        return false;
    for (int i = 0; i < v->rank; i++) {
        bool folded = false;
        for (uint32_t j = 0; j < axes->count; j++)
            folded |= axes->u.ints[j] == i;
        if (!(folded ? lt_dim_is(v->dims[i], 1) : v->dims[i] == x->dims[i]))
            return false;
    }
    return true;
}

/* v = fold of x that broadcasts against x along the folded axes alone. */
static Node *fold_of(const Value *v, ScalarFn fn, const Value *x) {
    const Type *type = v->type;
    Node *n = v->def;
    if (n && n->op == OP_RESHAPE)
        n = lt_input(n, 0)->def;
    if (!n || n->op != OP_REDUCE || lt_node_fn(n) != fn || lt_input(n, 0) != x)
        return NULL;
    return has_ones(type, x->type, lt_attr(n, ATTR_AXES)) ? n : NULL;
}

static bool same_axes(const Node *a, const Node *b) {
    const Attr *x = lt_attr(a, ATTR_AXES), *y = lt_attr(b, ATTR_AXES);
    return x->count == y->count && memcmp(x->u.ints, y->u.ints, x->count * sizeof(int64_t)) == 0;
}

static Value *refuse(const Node *n, const char *what, const char *why) {
    lt_remark(&n->graph->module->diags, n->loc, "recognize: this is no %s: %s", what, why);
    return NULL;
}

/* --- softmax ---------------------------------------------------------------------------------- */

/* exp(x) / sum exp(x) is the softmax of x, whatever x is. Where x = y - max y, it is that of y too:
 * softmax takes care of large elements itself. */
Value *lt_recognize_softmax(Builder *b, Node *n) {
    if (lt_node_fn(n) != FN_DIV)
        return NULL;
    Value *powers = lt_input(n, 0);
    const Node *exp = map_of(powers, FN_EXP);
    const Node *sum = exp ? fold_of(lt_input(n, 1), FN_ADD, powers) : NULL;
    if (!sum)
        return NULL;
    const Attr *axes = lt_attr(sum, ATTR_AXES);
    if (axes->count != 1)
        return refuse(n, "softmax", "it runs over several axes");
    if (lt_value_use_count(powers) != 2 || lt_value_use_count(lt_output(sum)) != 1)
        return refuse(n, "softmax", "the exponentials or their sum have other users");
    Value *x = lt_input(exp, 0);
    const Node *shifted = map_of(x, FN_SUB);
    const Node *most = shifted ? fold_of(lt_input(shifted, 1), FN_MAX, lt_input(shifted, 0)) : NULL;
    if (most && same_axes(most, sum))
        x = lt_input(shifted, 0);
    const Attr axis = lt_int(ATTR_AXIS, axes->u.ints[0]);
    return lt_build(
        b, &(NodeSpec){
               .op = OP_SOFTMAX, .inputs = &x, .input_count = 1, .attrs = &axis, .attr_count = 1});
}

/* --- layer normalization ---------------------------------------------------------------------- */

static bool is_close(const Value *v, double number) {
    const Const *c = lt_value_const(v);
    int64_t elements;
    if (!c || !lt_type_is_static(c->type, &elements) || (!c->is_splat && elements != 1))
        return false;
    double difference = lt_const_get_float(c, 0) - number;
    return difference <= 1e-6 * number && difference >= -1e-6 * number;
}

static int64_t folded_elements(const Node *fold) {
    const Attr *axes = lt_attr(fold, ATTR_AXES);
    int64_t elements = 1;
    for (uint32_t i = 0; i < axes->count; i++) {
        const Dim *d = lt_input(fold, 0)->type->dims[axes->u.ints[i]];
        if (!lt_dim_is_const(d) || __builtin_mul_overflow(elements, d->value, &elements))
            return 0;
    }
    return elements;
}

/* v = sum of x / count, or * (1 / count). */
static Node *mean_of(const Value *v, const Value *x) {
    const Node *n = map_of(v, FN_DIV);
    Node *divided = n ? fold_of(lt_input(n, 0), FN_ADD, x) : NULL;
    if (divided && is_close(lt_input(n, 1), (double)folded_elements(divided)))
        return divided;
    n = map_of(v, FN_MUL);
    for (uint32_t i = 0; n && i < 2; i++) {
        Node *fold = fold_of(lt_input(n, i), FN_ADD, x);
        int64_t count = fold ? folded_elements(fold) : 0;
        if (count && is_close(lt_input(n, 1 - i), 1 / (double)count))
            return fold;
    }
    return NULL;
}

/* v = 1 / sqrt(variance + epsilon): gives the variance. */
static Value *variance_below(const Value *v, double *epsilon) {
    const Node *root = map_of(v, FN_RSQRT), *sum = root ? map_of(lt_input(root, 0), FN_ADD) : NULL;
    for (uint32_t i = 0; sum && i < 2; i++) {
        const Const *c = lt_value_const(lt_input(sum, i));
        int64_t elements;
        if (!c || !lt_type_is_static(c->type, &elements) || (!c->is_splat && elements != 1))
            continue;
        *epsilon = lt_const_get_float(c, 0);
        return lt_input(sum, 1 - i);
    }
    return NULL;
}

static bool is_trailing(const Attr *axes, int rank) {
    for (uint32_t i = 0; i < axes->count; i++)
        if (axes->u.ints[i] != rank - (int64_t)axes->count + (int64_t)i)
            return false;
    return axes->count > 0;
}

static Value *build_norm(Builder *b, Value *const *inputs, int64_t axis, double epsilon) {
    uint32_t count = inputs[2] ? 3 : inputs[1] ? 2 : 1;
    const Attr attrs[] = {lt_int(ATTR_AXIS, axis), lt_float(ATTR_EPSILON, epsilon)};
    return lt_build(b, &(NodeSpec){.op = OP_LAYER_NORM,
                                   .inputs = inputs,
                                   .input_count = count,
                                   .attrs = attrs,
                                   .attr_count = 2});
}

/* c / sqrt(mean c^2 + epsilon) where c = x - mean x. */
static Value *normalized(Builder *b, Node *n, Value *centered, const Value *inverse) {
    double epsilon = 0;
    const Value *variance = variance_below(inverse, &epsilon);
    const Node *c = map_of(centered, FN_SUB);
    if (!variance || !c)
        return NULL;
    Value *x = lt_input(c, 0);
    const Node *mean = mean_of(lt_input(c, 1), x), *spread = NULL;
    for (const Operand *use = centered->uses; use && !spread; use = use->next_use) {
        const Node *square = map_of(lt_output(use->user), FN_MUL);
        if (square && lt_input(square, 0) == lt_input(square, 1))
            spread = mean_of(variance, lt_output(square));
    }
    if (!mean || !spread)
        return refuse(n, "layer_norm", "its parts are no mean and no mean of squares");
    if (!same_axes(mean, spread) || !is_trailing(lt_attr(mean, ATTR_AXES), x->type->rank))
        return refuse(n, "layer_norm", "its axes are not the last ones");
    const int64_t axis = lt_attr(mean, ATTR_AXES)->u.ints[0];
    return build_norm(b, (Value *[]){x, NULL, NULL}, axis, epsilon);
}

Value *lt_recognize_layer_norm(Builder *b, Node *n) {
    if (lt_node_fn(n) != FN_MUL)
        return NULL;
    for (uint32_t i = 0; i < 2; i++) {
        Value *v = normalized(b, n, lt_input(n, i), lt_input(n, 1 - i));
        if (v)
            return v;
    }
    return NULL;
}

/* A layer_norm that n alone reads, without the operand of this index and those behind it. */
static Node *open_norm(const Value *v, uint32_t operand) {
    Node *n = v->def;
    bool is_norm = n && n->op == OP_LAYER_NORM && lt_value_use_count(v) == 1;
    return is_norm && n->input_count <= operand ? n : NULL;
}

/* v with the dims of what is normalized; NULL: it has others. */
static Value *row_operand(Builder *b, const Node *norm, Value *v) {
    const Type *x = lt_input(norm, 0)->type;
    const int axis = (int)lt_attr_int(norm, ATTR_AXIS, 0), rank = x->rank - axis;
    int missing = v->type->rank - rank;
    if (missing < 0 || v->type->dtype != x->dtype)
        return NULL;
    for (int i = 0; i < v->type->rank; i++)
        if (i < missing ? !lt_dim_is(v->type->dims[i], 1)
                        : v->type->dims[i] != x->dims[axis + i - missing])
            return NULL;
    return missing ? lt_build_folded(b, lt_build_reshape(b, v, rank, x->dims + axis)) : v;
}

/* The operand takes n's other operand in. */
static Value *absorb(Builder *b, Node *n, ScalarFn fn, uint32_t operand) {
    if (lt_node_fn(n) != fn)
        return NULL;
    for (uint32_t i = 0; i < 2; i++) {
        const Node *norm = open_norm(lt_input(n, i), operand);
        Value *row = norm ? row_operand(b, norm, lt_input(n, 1 - i)) : NULL;
        if (!row)
            continue;
        Value *inputs[3] = {lt_input(norm, 0), norm->input_count > 1 ? lt_input(norm, 1) : NULL};
        inputs[operand] = row;
        return build_norm(b, inputs, lt_attr_int(norm, ATTR_AXIS, 0),
                          lt_attr_float(norm, ATTR_EPSILON, 0));
    }
    return NULL;
}

Value *lt_recognize_norm_scale(Builder *b, Node *n) { return absorb(b, n, FN_MUL, 1); }
Value *lt_recognize_norm_bias(Builder *b, Node *n) { return absorb(b, n, FN_ADD, 2); }
