/* eval_gather.c - evaluates the ops that read or write at indices held in a tensor, and top-k. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/eval_ops.h"

/* An index into an axis, negative ones counted from its end; -1 after a failure. */
static int64_t wrap_index(Evaluation *ev, const Node *node, int64_t index, int64_t extent) {
    if (index >= -extent && index < extent)
        return index < 0 ? index + extent : index;
    lt_eval_fail(ev, node, "index %lld is outside of an axis of %lld elements", (long long)index,
                 (long long)extent);
    return -1;
}

static void copy_elements(Tensor *to, int64_t to_index, const Tensor *from, int64_t from_index,
                          int64_t n) {
    const size_t size = lt_dtype_size(from->dtype);
    memcpy((char *)to->data + (size_t)to_index * size,
           (const char *)from->data + (size_t)from_index * size, (size_t)n * size);
}

bool lt_eval_GATHER(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0), *indices = eval_input(ev, node, 1);
    Tensor *out = lt_eval_output(ev, node, 0);
    const AxisSplit split = lt_split_axis(in, lt_attr_int(node, ATTR_AXIS, 0));
    const int64_t count = lt_tensor_elements(indices);
    for (int64_t j = 0; j < count; j++) {
        const int64_t at = wrap_index(ev, node, lt_tensor_get_int(indices, j), split.extent);
        if (at < 0)
            return false;
        for (int64_t o = 0; o < split.outer; o++)
            copy_elements(out, (o * count + j) * split.inner, in,
                          (o * split.extent + at) * split.inner, split.inner);
    }
    return true;
}

/* --- one index for each element ------------------------------------------------------------------
 */

/* The element of `data` that the element at `index` of `indices` (its n-th) means; -1 after a
 * failure. */
static int64_t element_position(Evaluation *ev, const Node *node, const int64_t *index, int64_t n) {
    const Tensor *data = eval_input(ev, node, 0), *indices = eval_input(ev, node, 1);
    const int axis = (int)lt_attr_int(node, ATTR_AXIS, 0);
    const int64_t wrapped = wrap_index(ev, node, lt_tensor_get_int(indices, n), data->dims[axis]);
    int64_t position = 0;
    for (int i = 0; i < data->rank; i++)
        position = position * data->dims[i] + (i == axis ? wrapped : index[i]);
    return wrapped < 0 ? -1 : position;
}

bool lt_eval_GATHER_ELEMENTS(Evaluation *ev, const Node *node) {
    const Tensor *data = eval_input(ev, node, 0), *indices = eval_input(ev, node, 1);
    Tensor *out = lt_eval_output(ev, node, 0);
    int64_t index[LT_MAX_RANK] = {0};
    for (int64_t n = 0; n < lt_tensor_elements(indices); n++) {
        const int64_t position = element_position(ev, node, index, n);
        if (position < 0)
            return false;
        copy_elements(out, n, data, position, 1);
        lt_next_index(indices->rank, indices->dims, index);
    }
    return true;
}

/* Writes n updates from `from` on to `to`, combining them with what is there when the node has a
 * function. */
static void write_updates(const Node *node, Tensor *out, int64_t to, const Tensor *updates,
                          int64_t from, int64_t n) {
    const bool combines = lt_attr(node, ATTR_FN) != NULL;
    if (!combines) {
        copy_elements(out, to, updates, from, n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        Wide old, update;
        lt_tensor_load_row(out, (Row){to + i, 1, 1}, &old);
        lt_tensor_load_row(updates, (Row){from + i, 1, 1}, &update);
        old = lt_fold(lt_node_fn(node), out->dtype, old, update);
        lt_tensor_store_row(out, (Row){to + i, 1, 1}, &old);
    }
}

static Tensor *copy_of_data(Evaluation *ev, const Node *node) {
    Tensor *out = lt_eval_output(ev, node, 0);
    copy_elements(out, 0, eval_input(ev, node, 0), 0, lt_tensor_elements(out));
    return out;
}

bool lt_eval_SCATTER_ELEMENTS(Evaluation *ev, const Node *node) {
    const Tensor *indices = eval_input(ev, node, 1), *updates = eval_input(ev, node, 2);
    Tensor *out = copy_of_data(ev, node);
    int64_t index[LT_MAX_RANK] = {0};
    for (int64_t n = 0; n < lt_tensor_elements(indices); n++) {
        const int64_t position = element_position(ev, node, index, n);
        if (position < 0)
            return false;
        write_updates(node, out, position, updates, n, 1);
        lt_next_index(indices->rank, indices->dims, index);
    }
    return true;
}

/* --- rows of indices -----------------------------------------------------------------------------
 */

/* How rows of indices address blocks of data: behind `batch` axes, `depth` axes deep. */
typedef struct Rows {
    int64_t count, depth, block;
    int batch;
    int64_t per_batch; /* rows that share one batch index */
} Rows;

static Rows read_rows(const Node *node, const Tensor *data, const Tensor *indices) {
    Rows rows = {.depth = indices->dims[indices->rank - 1]};
    rows.batch = node->op == OP_GATHER_ND ? (int)lt_attr_int(node, ATTR_COUNT, 0) : 0;
    const int used = rows.batch + (int)rows.depth;
    rows.count = lt_count(indices->rank - 1, indices->dims);
    rows.per_batch = lt_count(indices->rank - 1 - rows.batch, indices->dims + rows.batch);
    rows.block = lt_count(data->rank - used, data->dims + used);
    return rows;
}

/* The first element of the block that row r addresses; -1 after a failure. */
static int64_t row_position(Evaluation *ev, const Node *node, const Rows *rows, int64_t r) {
    const Tensor *data = eval_input(ev, node, 0), *indices = eval_input(ev, node, 1);
    int64_t position = r / rows->per_batch;
    for (int64_t i = 0; i < rows->depth; i++) {
        const int64_t extent = data->dims[rows->batch + i];
        const int64_t at =
            wrap_index(ev, node, lt_tensor_get_int(indices, r * rows->depth + i), extent);
        if (at < 0)
            return -1;
        position = position * extent + at;
    }
    return position * rows->block;
}

bool lt_eval_GATHER_ND(Evaluation *ev, const Node *node) {
    const Tensor *data = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    const Rows rows = read_rows(node, data, eval_input(ev, node, 1));
    for (int64_t r = 0; r < rows.count; r++) {
        const int64_t position = row_position(ev, node, &rows, r);
        if (position < 0)
            return false;
        copy_elements(out, r * rows.block, data, position, rows.block);
    }
    return true;
}

bool lt_eval_SCATTER_ND(Evaluation *ev, const Node *node) {
    const Tensor *updates = eval_input(ev, node, 2);
    Tensor *out = copy_of_data(ev, node);
    Rows rows = read_rows(node, out, eval_input(ev, node, 1));
    rows.per_batch = rows.count ? rows.count : 1; /* no batch axes: every row is of batch 0 */
    for (int64_t r = 0; r < rows.count; r++) {
        const int64_t position = row_position(ev, node, &rows, r);
        if (position < 0)
            return false;
        write_updates(node, out, position, updates, r * rows.block, rows.block);
    }
    return true;
}

/* --- topk ----------------------------------------------------------------------------------------
 */

typedef struct Ranked {
    Wide value;
    int64_t index;
} Ranked;

typedef struct Order {
    DType dtype;
    bool largest;
} Order;

/* NaN is greater than every number; equal elements keep the order of their indices. */
static int compare_wide(DType dtype, Wide a, Wide b) {
    if (dtype == DT_U64)
        return ((uint64_t)a.i > (uint64_t)b.i) - ((uint64_t)a.i < (uint64_t)b.i);
    if (!lt_dtype_is_float(dtype))
        return (a.i > b.i) - (a.i < b.i);
    if (isnan(a.f) || isnan(b.f))
        return (isnan(a.f) != 0) - (isnan(b.f) != 0);
    return (a.f > b.f) - (a.f < b.f);
}

static int compare_ranked(const void *a, const void *b, void *context) {
    const Ranked *x = a, *y = b;
    const Order *order = context;
    const int by_value = compare_wide(order->dtype, x->value, y->value);
    if (by_value != 0)
        return order->largest ? -by_value : by_value;
    return (x->index > y->index) - (x->index < y->index);
}

bool lt_eval_FIND(Evaluation *ev, const Node *node) {
    const Tensor *mask = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    int64_t found = 0;
    for (int64_t i = 0; i < mask->dims[0]; i++) {
        if (!lt_tensor_get_int(mask, i))
            continue;
        if (found == out->dims[0])
            return lt_eval_fail(ev, node, "more than %lld elements are true", (long long)found);
        lt_tensor_set_int(out, found++, i);
    }
    return found == out->dims[0] ||
           lt_eval_fail(ev, node, "%lld elements are true, %lld are expected", (long long)found,
                        (long long)out->dims[0]);
}

bool lt_eval_SORT(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *values = lt_eval_output(ev, node, 0), *indices = lt_eval_output(ev, node, 1);
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0), k = values->dims[axis];
    const AxisSplit split = lt_split_axis(in, axis);
    Order order = {in->dtype, lt_attr_int(node, ATTR_LARGEST, 1) != 0};
    const Wide *x = lt_tensor_widen(ev->scratch, in);
    Ranked *lane = LT_ARRAY(ev->scratch, Ranked, split.extent);
    if (k > split.extent)
        return lt_eval_fail(ev, node, "%lld of %lld elements are asked for", (long long)k,
                            (long long)split.extent);
    for (int64_t l = 0; l < split.outer * split.inner; l++) {
        const int64_t outer = l / split.inner, inner = l % split.inner;
        for (int64_t i = 0; i < split.extent; i++)
            lane[i] = (Ranked){x[(outer * split.extent + i) * split.inner + inner], i};
        qsort_r(lane, (size_t)split.extent, sizeof *lane, compare_ranked, &order);
        for (int64_t i = 0; i < k; i++) {
            const int64_t to = (outer * k + i) * split.inner + inner;
            lt_tensor_store_row(values, (Row){to, 1, 1}, &lane[i].value);
            lt_tensor_set_int(indices, to, lane[i].index);
        }
    }
    return true;
}
