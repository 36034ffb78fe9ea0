/* infer_shape.c - types of values and of the ops that move elements without computing. */
#include <string.h>

#include "ir/infer.h"

bool lt_infer_CONST(Node *node) {
    return lt_infer_set_like(node, 0, lt_attr(node, ATTR_VALUE)->u.c->type);
}

bool lt_infer_DIMS(Node *node) {
    const Dim *count = lt_dim_const(infer_dims(node), lt_attr(node, ATTR_DIMS)->count);
    return lt_infer_set(node, 0, DT_I64, 1, &count);
}

bool lt_infer_BIND(Node *node) {
    const Type *type = input_type(node, 0);
    const Attr *dims = lt_attr(node, ATTR_DIMS);
    int64_t elements;
    if (!lt_infer_need_dtype(node, 0, DT_I64))
        return false;
    if (type->rank > 1 || !lt_type_is_static(type, &elements) || elements != dims->count)
        return lt_infer_fail(node, "%u symbols cannot have the elements of %s", dims->count,
                             lt_infer_type_text(node, type));
    for (uint32_t i = 0; i < dims->count; i++) {
        const Dim *d = dims->u.dims[i];
        if (d->kind != DIM_SYMBOL || !infer_dims(node)->symbols.data[d->symbol].data_dependent)
            return lt_infer_fail(node, "%s is no symbol of data", lt_infer_dim_text(node, d));
    }
    lt_output(node)->content = dims->u.dims;
    return lt_infer_set_like(node, 0, type);
}

bool lt_infer_YIELD(Node *node) {
    (void)node;
    return true;
}

/* The dims of attribute `name`, none of them known to be negative. */
static const Attr *shape_attr(const Node *node, AttrName name) {
    const Attr *shape = lt_attr(node, name);
    for (uint32_t i = 0; i < shape->count; i++) {
        int64_t lo, hi;
        lt_dim_range(infer_dims(node), shape->u.dims[i], &lo, &hi);
        if (hi < 0) {
            lt_infer_fail(node, "element %u of %s is negative: %s", i, lt_attr_info[name].name,
                          lt_infer_dim_text(node, shape->u.dims[i]));
            return NULL;
        }
    }
    return shape;
}

bool lt_infer_IOTA(Node *node) {
    const Attr *shape = shape_attr(node, ATTR_SHAPE);
    if (!shape)
        return false;
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0);
    const DType dtype = (DType)lt_attr_int(node, ATTR_DTYPE, DT_I64);
    if (axis < 0 || axis >= (int64_t)shape->count)
        return lt_infer_fail(node, "axis %lld is outside of a shape of %u dimensions",
                             (long long)axis, shape->count);
    if (dtype == DT_BOOL)
        return lt_infer_fail(node, "iota counts, it cannot give bool");
    return lt_infer_set(node, 0, dtype, (int)shape->count, shape->u.dims);
}

bool lt_infer_RESHAPE(Node *node) {
    const Attr *shape = shape_attr(node, ATTR_SHAPE);
    if (!shape)
        return false;
    const Type *from = input_type(node, 0);
    if (!lt_infer_set(node, 0, from->dtype, (int)shape->count, shape->u.dims))
        return false;
    Module *m = infer_module(node);
    const Type *to = lt_output(node)->type;
    const Dim *before = lt_type_elements(m, from), *after = lt_type_elements(m, to);
    const Dim *ratio = before == after ? NULL : lt_dim_exact_div(&m->dims, before, after);
    const Dim *ignored;
    if (before == after || (ratio && lt_dim_is(ratio, 1)))
        return true;
    return lt_infer_unify(node, before, after, &ignored) ||
           lt_infer_fail(node, "cannot reshape %s (%s elements) to %s (%s elements)",
                         lt_infer_type_text(node, from), lt_infer_dim_text(node, before),
                         lt_infer_type_text(node, to), lt_infer_dim_text(node, after));
}

bool lt_infer_BROADCAST(Node *node) {
    const Attr *shape = shape_attr(node, ATTR_SHAPE);
    if (!shape)
        return false;
    const Type *from = input_type(node, 0);
    if (!lt_infer_set(node, 0, from->dtype, (int)shape->count, shape->u.dims))
        return false;
    const int shift = (int)shape->count - from->rank;
    bool fits = shift >= 0;
    for (int i = 0; fits && i < from->rank; i++) {
        const Dim *ignored;
        fits = lt_dim_is(from->dims[i], 1) ||
               lt_infer_unify(node, from->dims[i], shape->u.dims[i + shift], &ignored);
    }
    return fits || lt_infer_fail(node, "cannot broadcast %s to %s", lt_infer_type_text(node, from),
                                 lt_infer_type_text(node, lt_output(node)->type));
}

bool lt_infer_TRANSPOSE(Node *node) {
    const Type *from = input_type(node, 0);
    const Attr *perm = lt_infer_list(node, ATTR_PERM, from->rank);
    const Dim *dims[LT_MAX_RANK] = {0};
    uint32_t seen = 0;
    if (!perm)
        return false;
    for (int i = 0; i < from->rank; i++) {
        const int64_t axis = perm->u.ints[i];
        if (axis < 0 || axis >= from->rank || (seen & (1u << axis)))
            return lt_infer_fail(node, "perm is not an order of the %d axes of %s", from->rank,
                                 lt_infer_type_text(node, from));
        seen |= 1u << axis;
        dims[i] = from->dims[axis];
    }
    return lt_infer_set(node, 0, from->dtype, from->rank, dims);
}

typedef struct SliceAxis {
    const Dim *start, *size, *extent;
    int64_t step;
} SliceAxis;

/* Every index that a nonempty slice reads lies inside of the axis. */
static bool slice_fits(const Node *node, const SliceAxis *s) {
    DimTable *t = infer_dims(node);
    if (lt_dim_is(s->size, 0))
        return true;
    const Dim *zero = lt_dim_const(t, 0);
    const Dim *last =
        lt_dim_add(t, s->start, lt_dim_mul_const(t, lt_dim_add_const(t, s->size, -1), s->step));
    const Dim *low = s->step > 0 ? s->start : last, *high = s->step > 0 ? last : s->start;
    return lt_infer_at_most(node, zero, low) &&
           lt_infer_at_most(node, lt_dim_add_const(t, high, 1), s->extent);
}

bool lt_infer_SLICE(Node *node) {
    const Type *from = input_type(node, 0);
    const Attr *start = lt_infer_list(node, ATTR_START, from->rank);
    const Attr *size = start ? lt_infer_list(node, ATTR_SIZE, from->rank) : NULL;
    const Attr *step = size ? lt_infer_list(node, ATTR_STEP, from->rank) : NULL;
    if (!step || !shape_attr(node, ATTR_SIZE))
        return false;
    for (int i = 0; i < from->rank; i++) {
        const SliceAxis axis = {start->u.dims[i], size->u.dims[i], from->dims[i], step->u.ints[i]};
        if (axis.step == 0)
            return lt_infer_fail(node, "the step of axis %d is 0", i);
        if (!slice_fits(node, &axis))
            return lt_infer_fail(
                node, "axis %d has extent %s, the slice takes %s elements from %s on by step %lld",
                i, lt_infer_dim_text(node, axis.extent), lt_infer_dim_text(node, axis.size),
                lt_infer_dim_text(node, axis.start), (long long)axis.step);
    }
    return lt_infer_set(node, 0, from->dtype, from->rank, size->u.dims);
}

/* Reflecting needs one element more than the pad is wide, wrapping as many, repeating the edge one.
 */
static bool pad_mode_fits(const Node *node, const char *mode, const Dim *pad, const Dim *extent) {
    DimTable *t = infer_dims(node);
    int64_t lo, hi;
    lt_dim_range(t, pad, &lo, &hi);
    if (hi <= 0 || strcmp(mode, "constant") == 0)
        return true;
    if (strcmp(mode, "edge") == 0)
        return lt_infer_at_most(node, lt_dim_const(t, 1), extent);
    return lt_infer_at_most(node, lt_dim_add_const(t, pad, strcmp(mode, "reflect") == 0), extent);
}

static bool check_pad(const Node *node, const char *mode) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    bool known = false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        known |= strcmp(mode, modes[i]) == 0;
    if (!known)
        return lt_infer_fail(node, "pad mode \"%s\" is not constant, reflect, edge or wrap", mode);
    const Attr *fill = lt_attr(node, ATTR_VALUE);
    const DType dtype = input_type(node, 0)->dtype;
    if (fill && (fill->u.c->type->dtype != dtype || fill->u.c->type->rank != 0))
        return lt_infer_fail(node, "the padding is %s, one element of %s is expected",
                             lt_infer_type_text(node, fill->u.c->type), lt_dtype_name(dtype));
    return true;
}

bool lt_infer_PAD(Node *node) {
    const Type *from = input_type(node, 0);
    const Attr *lo = lt_infer_list(node, ATTR_PAD_LO, from->rank);
    const Attr *hi = lo ? lt_infer_list(node, ATTR_PAD_HI, from->rank) : NULL;
    const char *mode = lt_attr_string(node, ATTR_MODE, "constant");
    DimTable *t = infer_dims(node);
    const Dim *dims[LT_MAX_RANK] = {0};
    if (!hi || !check_pad(node, mode))
        return false;
    for (int i = 0; i < from->rank; i++) {
        const Dim *extent = from->dims[i], *below = lo->u.dims[i], *above = hi->u.dims[i];
        dims[i] = lt_dim_add(t, extent, lt_dim_add(t, below, above));
        if (!pad_mode_fits(node, mode, below, extent) ||
            !pad_mode_fits(node, mode, above, extent) ||
            !lt_infer_at_most(node, lt_dim_const(t, 0), dims[i]))
            return lt_infer_fail(node,
                                 "axis %d has extent %s, which is too short to %s by %s and %s", i,
                                 lt_infer_dim_text(node, extent), mode,
                                 lt_infer_dim_text(node, below), lt_infer_dim_text(node, above));
    }
    return lt_infer_set(node, 0, from->dtype, from->rank, dims);
}

/* Joins the dims of one more operand into dims. */
static bool concat_operand(const Node *node, uint32_t input, int64_t axis, const Dim **dims) {
    const Type *first = input_type(node, 0), *type = input_type(node, input);
    bool fits = type->dtype == first->dtype && type->rank == first->rank;
    for (int i = 0; fits && i < first->rank; i++) {
        if (i == axis)
            dims[i] = lt_dim_add(infer_dims(node), dims[i], type->dims[i]);
        else
            fits = lt_infer_unify(node, dims[i], type->dims[i], &dims[i]);
    }
    return fits || lt_infer_fail(node, "input %u is %s, input 0 is %s, only axis %lld may differ",
                                 input, lt_infer_type_text(node, type),
                                 lt_infer_type_text(node, first), (long long)axis);
}

bool lt_infer_CONCAT(Node *node) {
    const Type *first = input_type(node, 0);
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0);
    const Dim *dims[LT_MAX_RANK] = {0};
    if (!lt_infer_need_axis(node, 0, axis))
        return false;
    memcpy(dims, first->dims, sizeof(Dim *) * (size_t)first->rank);
    for (uint32_t i = 1; i < node->input_count; i++) {
        if (!concat_operand(node, i, axis, dims))
            return false;
    }
    return lt_infer_set(node, 0, first->dtype, first->rank, dims);
}

bool lt_infer_PACK(Node *node) {
    const Type *from = input_type(node, 0);
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0), width = lt_attr_int(node, ATTR_PACKED, 0);
    const int64_t place = lt_attr_int(node, ATTR_COUNT, 0);
    const Dim *dims[LT_MAX_RANK + 1] = {0};
    int rank = 0;
    if (!lt_infer_need_axis(node, 0, axis))
        return false;
    if (width < 1 || place < 0 || place >= from->rank)
        return lt_infer_fail(node, "cannot pack %s by %lld with the blocks at axis %lld",
                             lt_infer_type_text(node, from), (long long)width, (long long)place);
    for (int i = 0; i < from->rank; i++) {
        if (i != axis)
            dims[rank++] = from->dims[i];
    }
    memmove(dims + place + 1, dims + place, sizeof(Dim *) * (size_t)(rank - place));
    DimTable *t = infer_dims(node);
    dims[place] = lt_dim_ceildiv(t, from->dims[axis], lt_dim_const(t, width));
    dims[from->rank] = lt_dim_const(t, width);
    return lt_infer_set(node, 0, from->dtype, from->rank + 1, dims);
}
