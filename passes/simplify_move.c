/* simplify_move.c - rewrites of ops that move elements, and of the operands of maps. */
#include <string.h>

#include "passes/rewrite.h"

/* --- transposes ------------------------------------------------------------------------------- */

/* The identity goes; two in a row are one: transpose(transpose(x, p), q)[i] is x's axis p[q[i]]. */
Value *lt_rewrite_transpose(Builder *b, Node *n) {
    Value *x = lt_input(n, 0);
    const int64_t *outer = lt_attr(n, ATTR_PERM)->u.ints;
    int64_t perm[LT_MAX_RANK];
    bool twice = x->def && x->def->op == OP_TRANSPOSE, identity = true;
    for (int i = 0; i < x->type->rank; i++) {
        perm[i] = twice ? lt_attr(x->def, ATTR_PERM)->u.ints[outer[i]] : outer[i];
        identity &= perm[i] == i;
    }
    Value *from = twice ? lt_input(x->def, 0) : x;
    if (identity)
        return from;
    return twice ? lt_build_transpose(b, from, perm) : NULL;
}

/* --- nothing is cut, nothing is added --------------------------------------------------------- */

Value *lt_rewrite_slice(Builder *b, Node *n) {
    (void)b;
    const Attr *start = lt_attr(n, ATTR_START), *step = lt_attr(n, ATTR_STEP);
    if (lt_output(n)->type != lt_input(n, 0)->type)
        return NULL;
    for (uint32_t i = 0; i < start->count; i++)
        if (!lt_dim_is(start->u.dims[i], 0) || step->u.ints[i] != 1)
            return NULL;
    return lt_input(n, 0);
}

Value *lt_rewrite_pad(Builder *b, Node *n) {
    (void)b;
    const Attr *lo = lt_attr(n, ATTR_PAD_LO), *hi = lt_attr(n, ATTR_PAD_HI);
    for (uint32_t i = 0; i < lo->count; i++)
        if (!lt_dim_is(lo->u.dims[i], 0) || !lt_dim_is(hi->u.dims[i], 0))
            return NULL;
    return lt_input(n, 0);
}

/* --- gathers that take neighbours ------------------------------------------------------------- */

/* The first of the indices first, first + 1, ...; false when they are not such a row inside
 * 0..extent-1. */
static bool is_run(const Const *indices, const Dim *extent, int64_t *first, int64_t *count) {
    lt_type_is_static(indices->type, count);
    if (*count < 1 || (indices->is_splat && *count > 1) || !lt_dim_is_const(extent))
        return false;
    for (int64_t i = 0; i < *count; i++) {
        int64_t index = lt_const_get_int(indices, i);
        index += index < 0 ? extent->value : 0;
        *first = i == 0 ? index : *first;
        if (index != *first + i || index < 0 || index >= extent->value)
            return false;
    }
    return true;
}

Value *lt_rewrite_gather(Builder *b, Node *n) {
    Value *x = lt_input(n, 0);
    const Const *indices = lt_value_const(lt_input(n, 1));
    const int64_t axis = lt_attr_int(n, ATTR_AXIS, 0);
    DimTable *dims = &b->graph->module->dims;
    const Dim *start[LT_MAX_RANK], *size[LT_MAX_RANK];
    int64_t first, count;
    if (!indices || indices->type->rank > 1 || lt_value_const(x) ||
        !is_run(indices, x->type->dims[axis], &first, &count))
        return NULL;
    for (int i = 0; i < x->type->rank; i++) {
        start[i] = lt_dim_const(dims, i == axis ? first : 0);
        size[i] = i == axis ? lt_dim_const(dims, count) : x->type->dims[i];
    }
    Value *part = lt_build_slice(b, x, start, size, NULL);
    return indices->type->rank == 0 ? lt_build_squeeze(b, part, &axis, 1) : part;
}

/* --- folds of folds --------------------------------------------------------------------------- */

/* Axes of the inner fold and those of the outer one, as axes of the inner one's operand. */
static int merge_axes(const Node *outer, const Node *inner, bool keep, int64_t *axes) {
    const Attr *a = lt_attr(inner, ATTR_AXES), *b = lt_attr(outer, ATTR_AXES);
    bool folded[LT_MAX_RANK] = {false}, both[LT_MAX_RANK] = {false};
    int rank = lt_input(inner, 0)->type->rank, count = 0, seen = 0;
    for (uint32_t i = 0; i < a->count; i++)
        folded[a->u.ints[i]] = both[a->u.ints[i]] = true;
    for (int i = 0; i < rank; i++) {
        if (!keep && folded[i])
            continue;
        for (uint32_t j = 0; j < b->count; j++)
            both[i] |= b->u.ints[j] == seen;
        seen++;
    }
    for (int i = 0; i < rank; i++)
        if (both[i])
            axes[count++] = i;
    return count;
}

Value *lt_rewrite_reduce(Builder *b, Node *n) {
    const Node *inner = lt_input(n, 0)->def;
    if (!inner || inner->op != OP_REDUCE || lt_node_fn(inner) != lt_node_fn(n))
        return NULL;
    const bool keep = lt_attr_int(n, ATTR_KEEP, 0);
    if (keep != (lt_attr_int(inner, ATTR_KEEP, 0) != 0) ||
        lt_value_use_count(lt_output(inner)) != 1)
        return NULL;
    int64_t axes[LT_MAX_RANK];
    const int count = merge_axes(n, inner, keep, axes);
    return lt_build_reduce(b, lt_node_fn(n), lt_input(inner, 0), axes, count, keep);
}

/* --- operands of maps ------------------------------------------------------------------------- */

/* A smaller value with the same elements where the map would stretch them anyway. */
static Value *unstretched(Builder *b, Value *v) {
    if (v->def && v->def->op == OP_BROADCAST)
        return lt_input(v->def, 0);
    const Const *c = lt_value_const(v);
    int64_t elements;
    if (!c || !c->is_splat || !lt_type_is_static(c->type, &elements) || elements < 2)
        return NULL;
    const Type *scalar = lt_type(b->graph->module, c->type->dtype, 0, NULL);
    return lt_build_const(b, lt_const_splat(b->graph->module, scalar, c->data));
}

/* Maps stretch their operands themselves: a broadcast before one is for nothing, unless it is what
 * gives the result its shape. One operand a time: the next one may be needed then. */
Value *lt_rewrite_operands(Builder *b, Node *n) {
    for (uint32_t i = 0; i < n->input_count; i++) {
        const BuildMark mark = lt_build_mark(n);
        Value *inputs[3], *small = unstretched(b, lt_input(n, i));
        if (!small)
            continue;
        for (uint32_t j = 0; j < n->input_count; j++)
            inputs[j] = j == i ? small : lt_input(n, j);
        Value *v = lt_build(b, &(NodeSpec){.op = n->op,
                                           .inputs = inputs,
                                           .input_count = n->input_count,
                                           .attrs = n->attrs,
                                           .attr_count = n->attr_count});
        if (v && v->type == lt_output(n)->type)
            return v;
        lt_build_undo(&mark);
    }
    return NULL;
}
