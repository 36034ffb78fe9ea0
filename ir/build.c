/* build.c - one function an op; each is a NodeSpec and lt_build. */
#include "ir/build.h"

#include <assert.h>
#include <string.h>

Value *lt_build(Builder *b, const NodeSpec *spec) {
    for (uint32_t i = 0; i < spec->input_count; i++) {
        /* An absent operand is passed on only where the op can do without it. */
        if (!spec->inputs[i] && (int)i < lt_op_info[spec->op].min_inputs)
            return NULL;
    }
    NodeSpec placed = *spec;
    if (!placed.loc)
        placed.loc = b->loc;
    Node *node = lt_node_new(b->graph, b->before, &placed);
    return node && node->output_count > 0 ? lt_output(node) : NULL;
}

/* A node of one operand. */
static Value *build_unary(Builder *b, Op op, Value *x, const Attr *attrs, uint32_t count) {
    return lt_build(
        b,
        &(NodeSpec){.op = op, .inputs = &x, .input_count = 1, .attrs = attrs, .attr_count = count});
}

/* --- values and shapes ----------------------------------------------------------------------- */

Value *lt_build_const(Builder *b, const Const *c) {
    return lt_build(b, &(NodeSpec){.op = OP_CONST,
                                   .attrs = (Attr[]){lt_constant(ATTR_VALUE, c)},
                                   .attr_count = 1});
}

Value *lt_build_float(Builder *b, DType dtype, double value) {
    return lt_build_const(b, lt_const_float(b->graph->module, dtype, value));
}

Value *lt_build_int(Builder *b, DType dtype, int64_t value) {
    return lt_build_const(b, lt_const_int(b->graph->module, dtype, value));
}

Value *lt_build_ints(Builder *b, int64_t count, const int64_t *values) {
    return lt_build_const(b, lt_const_ints(b->graph->module, count, values));
}

Value *lt_build_dims(Builder *b, int64_t count, const Dim *const *dims) {
    const Attr attr = lt_dims(ATTR_DIMS, dims, (uint32_t)count);
    return lt_build(b, &(NodeSpec){.op = OP_DIMS, .attrs = &attr, .attr_count = 1});
}

Value *lt_build_iota(Builder *b, DType dtype, int rank, const Dim *const *shape, int axis) {
    const Attr attrs[] = {lt_dims(ATTR_SHAPE, shape, (uint32_t)rank), lt_int(ATTR_AXIS, axis),
                          lt_int(ATTR_DTYPE, dtype)};
    return lt_build(b, &(NodeSpec){.op = OP_IOTA, .attrs = attrs, .attr_count = 3});
}

/* --- element by element ---------------------------------------------------------------------- */

static Value *build_map(Builder *b, ScalarFn fn, Value *const *inputs, uint32_t count) {
    assert(lt_scalar_info[fn].arity == (int32_t)count);
    for (uint32_t i = 0; i < count; i++) {
        if (!inputs[i])
            return NULL;
    }
    const Attr attr = lt_int(ATTR_FN, fn);
    return lt_build(
        b,
        &(NodeSpec){
            .op = OP_MAP, .inputs = inputs, .input_count = count, .attrs = &attr, .attr_count = 1});
}

Value *lt_build_map1(Builder *b, ScalarFn fn, Value *x) { return build_map(b, fn, &x, 1); }

Value *lt_build_map2(Builder *b, ScalarFn fn, Value *x, Value *y) {
    return build_map(b, fn, (Value *[]){x, y}, 2);
}

Value *lt_build_map3(Builder *b, ScalarFn fn, Value *x, Value *y, Value *z) {
    return build_map(b, fn, (Value *[]){x, y, z}, 3);
}

Value *lt_build_convert(Builder *b, Value *x, DType dtype) {
    return build_unary(b, OP_CONVERT, x, (Attr[]){lt_int(ATTR_DTYPE, dtype)}, 1);
}

Value *lt_build_bitcast(Builder *b, Value *x, DType dtype) {
    return build_unary(b, OP_BITCAST, x, (Attr[]){lt_int(ATTR_DTYPE, dtype)}, 1);
}

/* --- moving elements ------------------------------------------------------------------------- */

Value *lt_build_reshape(Builder *b, Value *x, int rank, const Dim *const *shape) {
    return build_unary(b, OP_RESHAPE, x, (Attr[]){lt_dims(ATTR_SHAPE, shape, (uint32_t)rank)}, 1);
}

Value *lt_build_broadcast(Builder *b, Value *x, int rank, const Dim *const *shape) {
    return build_unary(b, OP_BROADCAST, x, (Attr[]){lt_dims(ATTR_SHAPE, shape, (uint32_t)rank)}, 1);
}

Value *lt_build_transpose(Builder *b, Value *x, const int64_t *perm) {
    if (!x)
        return NULL;
    return build_unary(b, OP_TRANSPOSE, x,
                       (Attr[]){lt_ints(ATTR_PERM, perm, (uint32_t)x->type->rank)}, 1);
}

Value *lt_build_slice(Builder *b, Value *x, const Dim *const *start, const Dim *const *size,
                      const int64_t *step) {
    if (!x)
        return NULL;
    const uint32_t rank = (uint32_t)x->type->rank;
    int64_t ones[LT_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++)
        ones[i] = 1;
    const Attr attrs[] = {lt_dims(ATTR_START, start, rank), lt_dims(ATTR_SIZE, size, rank),
                          lt_ints(ATTR_STEP, step ? step : ones, rank)};
    return build_unary(b, OP_SLICE, x, attrs, 3);
}

Value *lt_build_pad(Builder *b, Value *x, const Dim *const *lo, const Dim *const *hi,
                    const char *mode, const Const *fill) {
    if (!x)
        return NULL;
    const uint32_t rank = (uint32_t)x->type->rank;
    Attr attrs[4] = {lt_dims(ATTR_PAD_LO, lo, rank), lt_dims(ATTR_PAD_HI, hi, rank)};
    uint32_t count = 2;
    if (mode)
        attrs[count++] = lt_string(ATTR_MODE, mode);
    if (fill)
        attrs[count++] = lt_constant(ATTR_VALUE, fill);
    return build_unary(b, OP_PAD, x, attrs, count);
}

Value *lt_build_concat(Builder *b, Value *const *values, uint32_t count, int axis) {
    for (uint32_t i = 0; i < count; i++) {
        if (!values[i])
            return NULL;
    }
    const Attr attr = lt_int(ATTR_AXIS, axis);
    return lt_build(b, &(NodeSpec){.op = OP_CONCAT,
                                   .inputs = values,
                                   .input_count = count,
                                   .attrs = &attr,
                                   .attr_count = 1});
}

Value *lt_build_gather(Builder *b, Value *data, Value *indices, int axis) {
    const Attr attr = lt_int(ATTR_AXIS, axis);
    Value *inputs[] = {data, indices};
    return lt_build(
        b,
        &(NodeSpec){
            .op = OP_GATHER, .inputs = inputs, .input_count = 2, .attrs = &attr, .attr_count = 1});
}

/* --- folding --------------------------------------------------------------------------------- */

Value *lt_build_reduce(Builder *b, ScalarFn fn, Value *x, const int64_t *axes, int count,
                       bool keep) {
    const Attr attrs[] = {lt_int(ATTR_FN, fn), lt_ints(ATTR_AXES, axes, (uint32_t)count),
                          lt_int(ATTR_KEEP, keep)};
    return build_unary(b, OP_REDUCE, x, attrs, 3);
}

Value *lt_build_pack(Builder *b, Value *x, const PackShape *shape) {
    return lt_build(b, &(NodeSpec){.op = OP_PACK,
                                   .inputs = &x,
                                   .input_count = 1,
                                   .attrs = (Attr[]){lt_int(ATTR_AXIS, shape->axis),
                                                     lt_int(ATTR_PACKED, shape->width),
                                                     lt_int(ATTR_COUNT, shape->leading)},
                                   .attr_count = 3});
}

Value *lt_build_contract(Builder *b, Value *x, Value *y, const char *spec) {
    const Attr attr = lt_string(ATTR_SPEC, spec);
    Value *inputs[] = {x, y};
    return lt_build(b, &(NodeSpec){.op = OP_CONTRACT,
                                   .inputs = inputs,
                                   .input_count = 2,
                                   .attrs = &attr,
                                   .attr_count = 1});
}

Value *lt_build_contract_like(Builder *b, const Node *like, Value *const *operands,
                              const char *spec) {
    static const AttrName kept[] = {ATTR_FN, ATTR_DTYPE};
    Attr attrs[1 + sizeof kept / sizeof *kept] = {lt_string(ATTR_SPEC, spec)};
    uint32_t count = 1;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (lt_attr(like, kept[i]))
            attrs[count++] = *lt_attr(like, kept[i]);
    return lt_build(b, &(NodeSpec){.op = OP_CONTRACT,
                                   .inputs = operands,
                                   .input_count = 2,
                                   .attrs = attrs,
                                   .attr_count = count});
}

/* --- axes of extent 1 ------------------------------------------------------------------------ */

/* marked[i]: i is one of the axes; each lies in 0..rank-1 and is there once. */
static void mark_axes(bool marked[LT_MAX_RANK], const int64_t *axes, int count, int rank) {
    memset(marked, 0, LT_MAX_RANK * sizeof *marked);
    for (int i = 0; i < count; i++) {
        assert(axes[i] >= 0 && axes[i] < rank && !marked[axes[i]]);
        marked[axes[i]] = true;
    }
    (void)rank;
}

Value *lt_build_unsqueeze(Builder *b, Value *x, const int64_t *axes, int count) {
    if (!x)
        return NULL;
    const int rank = x->type->rank + count;
    assert(rank <= LT_MAX_RANK);
    const Dim *shape[LT_MAX_RANK];
    bool inserted[LT_MAX_RANK];
    mark_axes(inserted, axes, count, rank);
    for (int i = 0, from = 0; i < rank; i++)
        shape[i] = inserted[i] ? lt_dim_const(&b->graph->module->dims, 1) : x->type->dims[from++];
    return lt_build_reshape(b, x, rank, shape);
}

Value *lt_build_squeeze(Builder *b, Value *x, const int64_t *axes, int count) {
    if (!x)
        return NULL;
    const Dim *shape[LT_MAX_RANK];
    bool removed[LT_MAX_RANK];
    int rank = 0;
    mark_axes(removed, axes, count, x->type->rank);
    for (int i = 0; i < x->type->rank; i++) {
        if (!removed[i])
            shape[rank++] = x->type->dims[i];
    }
    return lt_build_reshape(b, x, rank, shape);
}
