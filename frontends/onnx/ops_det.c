/* ops_det.c - determinants, by elimination with the greatest pivot of each column. */
#include "frontends/onnx/loop.h"

static Value *unsqueeze(Import *im, Value *x, int64_t axis) {
    return lt_build_unsqueeze(&im->b, x, &axis, 1);
}

/* i64[b, 1]: the row at k or below whose element of column k is greatest in magnitude. */
static Value *pivot_row(Import *im, Value *column, Value *rows, Value *k) {
    Value *size = lt_build_map1(&im->b, FN_ABS, column);
    Value *below = onnx_map2(im, FN_GE, rows, k);
    size = onnx_pick(im, below, size, lt_onnx_scalar_like(im, column, -1));
    const Attr attrs[] = {lt_int(ATTR_FN, FN_MAX), lt_int(ATTR_AXIS, 1), lt_int(ATTR_KEEP, true)};
    return size ? lt_build(&im->b, &(NodeSpec){.op = OP_ARGREDUCE,
                                               .inputs = &size,
                                               .input_count = 1,
                                               .attrs = attrs,
                                               .attr_count = 3})
                : NULL;
}

/* The rows of a, [b, n, n], with those at k and at `pivot` exchanged. */
static Value *swap_rows(Import *im, Value *a, Value *rows, Value *k, Value *pivot) {
    Value *from = onnx_pick(im, onnx_map2(im, FN_EQ, rows, pivot), k, rows);
    from = onnx_pick(im, onnx_map2(im, FN_EQ, rows, k), pivot, from);
    from = lt_onnx_broadcast_to(im, unsqueeze(im, from, 2), a->type);
    const Attr axis = lt_int(ATTR_AXIS, 1);
    Value *inputs[] = {a, from};
    return from ? lt_build(&im->b, &(NodeSpec){.op = OP_GATHER_ELEMENTS,
                                               .inputs = inputs,
                                               .input_count = 2,
                                               .attrs = &axis,
                                               .attr_count = 1})
                : NULL;
}

/* One column of elimination: values[0] is the matrix, values[1] the product of the pivots. */
static bool eliminate(Import *im, OnnxLoop *l, Value *rows, Value **values) {
    static const int64_t last = 1;
    Value *a = l->state[0], *k = l->position;
    Value *column = lt_build_gather(&im->b, a, k, 2);
    Value *pivot = column ? pivot_row(im, column, rows, k) : NULL;
    if (!pivot || !(a = swap_rows(im, a, rows, k, pivot)))
        return false;
    Value *row = lt_build_gather(&im->b, a, k, 1);
    Value *at_pivot = unsqueeze(im, lt_build_gather(&im->b, row, k, 1), 1); /* [b, 1] */
    column = lt_build_gather(&im->b, a, k, 2);
    Value *zero = lt_onnx_scalar_like(im, a, 0);
    Value *is_done =
        onnx_map2(im, FN_OR, onnx_map2(im, FN_LE, rows, k), onnx_map2(im, FN_EQ, at_pivot, zero));
    Value *factor = onnx_pick(im, is_done, zero, onnx_map2(im, FN_DIV, column, at_pivot));
    values[0] = onnx_map2(im, FN_SUB, a,
                          onnx_map2(im, FN_MUL, unsqueeze(im, factor, 2), unsqueeze(im, row, 1)));
    Value *is_own = onnx_map2(im, FN_EQ, pivot, k);
    Value *signed_pivot = onnx_pick(im, is_own, at_pivot, lt_build_map1(&im->b, FN_NEG, at_pivot));
    values[1] =
        onnx_map2(im, FN_MUL, l->state[1], lt_build_squeeze(&im->b, signed_pivot, &last, 1));
    return values[0] && values[1];
}

bool lt_onnx_det(Import *im) {
    Value *x = im->inputs[0], *values[2];
    const Type *type = x->type;
    const int rank = type->rank;
    if (rank < 2 || !lt_dtype_is_float(type->dtype))
        return lt_onnx_malformed(im, "matrices of floats are expected, found %s of rank %d",
                                 lt_dtype_name(type->dtype), rank);
    const Dim *n = type->dims[rank - 1], *one = lt_dim_const(im->dims, 1);
    const Dim *batch = lt_dim_product(im->dims, type->dims, rank - 2);
    const Dim *dims[] = {batch, n, n}, *row_dims[] = {one, n};
    const DType inner = lt_dtype_size(type->dtype) < 4 ? DT_F32 : type->dtype;
    if (lt_dim_is_const(n) && lt_dim_is_const(type->dims[rank - 2]) && n != type->dims[rank - 2])
        return lt_onnx_malformed(im, "the matrices are not square");
    lt_graph_add_guard(im->b.graph, type->dims[rank - 2], n, im->node->loc);
    OnnxLoop l = {.trips = n, .carried = 2};
    l.starts[0] = lt_build_convert(&im->b, lt_build_reshape(&im->b, x, 3, dims), inner);
    l.starts[1] = lt_onnx_full(im, inner, 1, &batch, lt_build_float(&im->b, inner, 1));
    if (!lt_onnx_loop_begin(im, &l))
        return false;
    const bool ok = eliminate(im, &l, lt_build_iota(&im->b, DT_I64, 2, row_dims, 1), values);
    if (!ok || !lt_onnx_loop_end(im, &l, values))
        return false;
    Value *y = lt_build_convert(&im->b, l.state[1], type->dtype);
    return onnx_set(im, 0, lt_build_reshape(&im->b, y, rank - 2, type->dims));
}
