/* infer_gather.c - types of the ops that read or write at indices held in a tensor, and of top-k.
 */
#include <string.h>

#include "ir/infer.h"

bool lt_infer_GATHER(Node *node) {
    const Type *data = input_type(node, 0), *indices = input_type(node, 1);
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0);
    const Dim *dims[2 * LT_MAX_RANK] = {0};
    int rank = 0;
    if (!lt_infer_need_index(node, 1) || !lt_infer_need_axis(node, 0, axis))
        return false;
    for (int i = 0; i < axis; i++)
        dims[rank++] = data->dims[i];
    for (int i = 0; i < indices->rank; i++)
        dims[rank++] = indices->dims[i];
    for (int i = (int)axis + 1; i < data->rank; i++)
        dims[rank++] = data->dims[i];
    return lt_infer_set(node, 0, data->dtype, rank, dims);
}

/* Indices of the same rank, nowhere longer than data except on the axis that they run along. */
static bool check_elementwise(const Node *node, int64_t axis) {
    const Type *data = input_type(node, 0), *indices = input_type(node, 1);
    bool fits = data->rank == indices->rank;
    if (!lt_infer_need_index(node, 1) || !lt_infer_need_axis(node, 0, axis))
        return false;
    for (int i = 0; fits && i < data->rank; i++)
        fits = i == axis || lt_infer_at_most(node, indices->dims[i], data->dims[i]);
    return fits || lt_infer_fail(node, "the indices are %s, which does not fit into input 0, %s",
                                 lt_infer_type_text(node, indices), lt_infer_type_text(node, data));
}

bool lt_infer_GATHER_ELEMENTS(Node *node) {
    const Type *indices = input_type(node, 1);
    return check_elementwise(node, lt_attr_int(node, ATTR_AXIS, 0)) &&
           lt_infer_set(node, 0, input_type(node, 0)->dtype, indices->rank, indices->dims);
}

static bool check_updates(const Node *node) {
    static const ScalarFn allowed[] = {FN_ADD, FN_MUL, FN_MIN, FN_MAX};
    const Attr *fn = lt_attr(node, ATTR_FN);
    bool known = !fn;
    for (size_t i = 0; fn && i < sizeof allowed / sizeof *allowed; i++)
        known |= fn->u.i == (int64_t)allowed[i];
    if (!known)
        return lt_infer_fail(node, "updates combine by add, mul, min or max, not by %s",
                             lt_scalar_info[fn->u.i].name);
    if (fn && input_type(node, 0)->dtype == DT_BOOL)
        return lt_infer_fail(node, "updates of bool cannot combine by %s",
                             lt_scalar_info[fn->u.i].name);
    return lt_infer_need_dtype(node, 2, input_type(node, 0)->dtype);
}

bool lt_infer_SCATTER_ELEMENTS(Node *node) {
    return check_elementwise(node, lt_attr_int(node, ATTR_AXIS, 0)) && check_updates(node) &&
           lt_infer_same_dims(node, input_type(node, 2), input_type(node, 1),
                              "input 2 (the updates)", "input 1 (the indices)") &&
           lt_infer_set_like(node, 0, input_type(node, 0));
}

/* How many axes of data one row of indices addresses, behind `batch` axes; -1 after an error. */
static int index_depth(const Node *node, int64_t batch) {
    const Type *data = input_type(node, 0), *indices = input_type(node, 1);
    if (!lt_infer_need_index(node, 1))
        return -1;
    const Dim *last = indices->rank > 0 ? indices->dims[indices->rank - 1] : NULL;
    if (!last || !lt_dim_is_const(last) || batch < 0 || batch >= indices->rank || last->value < 1 ||
        last->value > data->rank - batch) {
        lt_infer_fail(node, "the indices are %s, their last extent must be a number from 1 to %lld",
                      lt_infer_type_text(node, indices), (long long)(data->rank - batch));
        return -1;
    }
    return (int)last->value;
}

/* indices without the last axis, then data behind the axes that the indices address. */
static int indexed_dims(const Node *node, int skipped, const Dim **dims) {
    const Type *data = input_type(node, 0), *indices = input_type(node, 1);
    int rank = 0;
    for (int i = 0; i + 1 < indices->rank; i++)
        dims[rank++] = indices->dims[i];
    for (int i = skipped; i < data->rank; i++)
        dims[rank++] = data->dims[i];
    return rank;
}

bool lt_infer_GATHER_ND(Node *node) {
    const Type *data = input_type(node, 0), *indices = input_type(node, 1);
    const int64_t batch = lt_attr_int(node, ATTR_COUNT, 0);
    const int depth = index_depth(node, batch);
    const Dim *dims[2 * LT_MAX_RANK] = {0};
    if (depth < 0)
        return false;
    for (int64_t i = 0; i < batch; i++) {
        const Dim *ignored;
        if (!lt_infer_unify(node, data->dims[i], indices->dims[i], &ignored))
            return lt_infer_fail(node,
                                 "batch axis %lld has extent %s in input 0 and %s in the indices",
                                 (long long)i, lt_infer_dim_text(node, data->dims[i]),
                                 lt_infer_dim_text(node, indices->dims[i]));
    }
    const int rank = indexed_dims(node, (int)batch + depth, dims);
    return lt_infer_set(node, 0, data->dtype, rank, dims);
}

bool lt_infer_SCATTER_ND(Node *node) {
    const Type *data = input_type(node, 0);
    const int depth = index_depth(node, 0);
    const Dim *dims[2 * LT_MAX_RANK] = {0};
    if (depth < 0 || !check_updates(node))
        return false;
    const int rank = indexed_dims(node, depth, dims);
    if (rank > LT_MAX_RANK)
        return lt_infer_fail(node, "the updates would have %d dimensions, at most %d are possible",
                             rank, LT_MAX_RANK);
    const Type *expected = lt_type(infer_module(node), data->dtype, rank, dims);
    return lt_infer_same_dims(node, input_type(node, 2), expected, "input 2 (the updates)",
                              "what the indices address") &&
           lt_infer_set_like(node, 0, data);
}

bool lt_infer_FIND(Node *node) {
    const Attr *size = lt_infer_list(node, ATTR_SIZE, 1);
    return size && lt_infer_need_dtype(node, 0, DT_BOOL) && lt_infer_need_rank(node, 0, 1) &&
           lt_infer_set(node, 0, DT_I64, 1, size->u.dims);
}

bool lt_infer_SORT(Node *node) {
    const Type *type = input_type(node, 0);
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0);
    const Attr *size = lt_infer_list(node, ATTR_SIZE, 1);
    const Dim *dims[LT_MAX_RANK] = {0};
    if (!size || !lt_infer_need_axis(node, 0, axis))
        return false;
    const Dim *k = size->u.dims[0];
    if (!lt_infer_at_most(node, lt_dim_const(infer_dims(node), 0), k) ||
        !lt_infer_at_most(node, k, type->dims[axis]))
        return lt_infer_fail(node, "topk takes %s of %s elements", lt_infer_dim_text(node, k),
                             lt_infer_dim_text(node, type->dims[axis]));
    memcpy(dims, type->dims, sizeof(Dim *) * (size_t)type->rank);
    dims[axis] = k;
    return lt_infer_set(node, 0, type->dtype, type->rank, dims) &&
           lt_infer_set(node, 1, DT_I64, type->rank, dims);
}

bool lt_infer_SUPPRESS(Node *node) {
    const Type *keep = input_type(node, 0), *edges = input_type(node, 1);
    const Type *overlap = input_type(node, 3);
    const Dim *dims[LT_MAX_RANK] = {0};
    if (!lt_infer_need_dtype(node, 0, DT_BOOL) || !lt_infer_need_float(node, 1) ||
        !lt_infer_need_dtype(node, 2, DT_I64) || !lt_infer_need_rank(node, 2, 0) ||
        !lt_infer_need_dtype(node, 3, edges->dtype) || !lt_infer_need_rank(node, 3, 0))
        return false;
    if (keep->rank < 1 || keep->rank >= LT_MAX_RANK)
        return lt_infer_fail(node, "input 0 has %d dimensions, 1 to %d are possible", keep->rank,
                             LT_MAX_RANK - 1);
    memcpy(dims, keep->dims, sizeof(Dim *) * (size_t)keep->rank);
    dims[keep->rank] = lt_dim_const(infer_dims(node), 4);
    const Type *expected = lt_type(infer_module(node), overlap->dtype, keep->rank + 1, dims);
    return lt_infer_same_dims(node, edges, expected, "input 1 (the edges)",
                              "four for each box of input 0") &&
           lt_infer_set_like(node, 0, keep);
}
