/* eval_reduce.c - evaluates folds: over axes, running along an axis, and over windows. */
#include <math.h>
#include <string.h>

#include "ir/eval_ops.h"

/* Folds a whole row into one element. */
static Wide fold_all(ScalarFn fn, DType dtype, const Wide *row, int64_t n, Wide total) {
    if (fn == FN_ADD && lt_dtype_is_float(dtype)) {
        for (int64_t i = 0; i < n; i++)
            total.f += row[i].f;
        return total;
    }
    for (int64_t i = 0; i < n; i++)
        total = lt_fold(fn, dtype, total, row[i]);
    return total;
}

/* Strides of the accumulators along the input's axes: 0 on those that are reduced. */
static int64_t accumulator_strides(const Tensor *in, const Attr *axes, int64_t *strides) {
    int64_t extents[LT_MAX_RANK], count;
    memcpy(extents, in->dims, sizeof extents);
    for (uint32_t i = 0; i < axes->count; i++)
        extents[axes->u.ints[i]] = 1;
    lt_dense_strides(in->rank, extents, strides);
    count = lt_count(in->rank, extents);
    for (uint32_t i = 0; i < axes->count; i++)
        strides[axes->u.ints[i]] = 0;
    return count;
}

bool lt_eval_REDUCE(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    const ScalarFn fn = lt_node_fn(node);
    int64_t strides[LT_MAX_RANK] = {0}, index[LT_MAX_RANK] = {0};
    const int64_t count = accumulator_strides(in, lt_attr(node, ATTR_AXES), strides);
    const int outer = in->rank ? in->rank - 1 : 0;
    const int64_t n = in->rank ? in->dims[outer] : 1;
    const bool folds_last = in->rank && strides[outer] == 0;
    Wide *sums = LT_ARRAY(ev->scratch, Wide, count), *row = LT_ARRAY(ev->scratch, Wide, n);
    for (int64_t i = 0; i < count; i++)
        sums[i] = lt_fold_identity(fn, in->dtype);
    for (int64_t at = 0; at < lt_tensor_elements(in); at += n) {
        int64_t to = 0;
        for (int i = 0; i < outer; i++)
            to += index[i] * strides[i];
        lt_tensor_load_row(in, (Row){at, 1, n}, row);
        if (folds_last)
            sums[to] = fold_all(fn, in->dtype, row, n, sums[to]);
        else
            lt_fold_row(fn, in->dtype, n, sums + to, row);
        lt_next_index(outer, in->dims, index);
    }
    lt_tensor_narrow(out, sums);
    return true;
}

/* A value before which no better one exists: NaN wins over all, then the first of the best ones. */
static bool is_better(ScalarFn fn, DType dtype, Wide a, Wide b) {
    const ScalarFn order = fn == FN_MIN ? FN_LT : FN_GT;
    if (!lt_dtype_is_float(dtype))
        return lt_scalar_eval_int(order, a.i, b.i, 0, dtype == DT_U64) != 0;
    if (isnan(a.f) || isnan(b.f))
        return isnan(a.f) && !isnan(b.f);
    return order == FN_LT ? a.f < b.f : a.f > b.f;
}

bool lt_eval_ARGREDUCE(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    const AxisSplit split = lt_split_axis(in, lt_attr_int(node, ATTR_AXIS, 0));
    const Wide *x = lt_tensor_widen(ev->scratch, in);
    if (split.extent == 0 && lt_tensor_elements(out) > 0)
        return lt_eval_fail(ev, node, "an axis without elements has no greatest or least one");
    for (int64_t lane = 0; lane < split.outer * split.inner; lane++) {
        const Wide *first =
            x + lane / split.inner * split.extent * split.inner + lane % split.inner;
        int64_t best = 0;
        for (int64_t i = 1; i < split.extent; i++) {
            if (is_better(lt_node_fn(node), in->dtype, first[i * split.inner],
                          first[best * split.inner]))
                best = i;
        }
        lt_tensor_set_int(out, lane, best);
    }
    return true;
}

bool lt_eval_SCANREDUCE(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    const AxisSplit split = lt_split_axis(in, lt_attr_int(node, ATTR_AXIS, 0));
    const bool exclusive = lt_attr_int(node, ATTR_EXCLUSIVE, 0),
               reverse = lt_attr_int(node, ATTR_REVERSE, 0);
    const ScalarFn fn = lt_node_fn(node);
    Wide *x = lt_tensor_widen(ev->scratch, in), *row = LT_ARRAY(ev->scratch, Wide, split.inner);
    Wide *total = LT_ARRAY(ev->scratch, Wide, split.inner);
    const size_t bytes = sizeof(Wide) * (size_t)split.inner;
    for (int64_t o = 0; o < split.outer; o++) {
        for (int64_t i = 0; i < split.inner; i++)
            total[i] = lt_fold_identity(fn, in->dtype);
        for (int64_t i = 0; i < split.extent; i++) {
            const int64_t step = reverse ? split.extent - 1 - i : i;
            Wide *at = x + (o * split.extent + step) * split.inner;
            memcpy(row, at, bytes);
            if (exclusive)
                memcpy(at, total, bytes);
            lt_fold_row(fn, in->dtype, split.inner, total, row);
            if (!exclusive)
                memcpy(at, total, bytes);
        }
    }
    lt_tensor_narrow(lt_eval_output(ev, node, 0), x);
    return true;
}

/* --- window --------------------------------------------------------------------------------------
 */

typedef struct WindowAxis {
    int64_t kernel, stride, dilation, low;
} WindowAxis;

/* One entry for every axis of the tensor: those that are not windowed have a kernel of 1. */
static void read_window(const Evaluation *ev, const Node *node, WindowAxis *window) {
    const Attr *axes = lt_attr(node, ATTR_AXES);
    int64_t low[LT_MAX_RANK];
    lt_eval_dims(ev, node, ATTR_PAD_LO, low);
    for (int i = 0; i < LT_MAX_RANK; i++)
        window[i] = (WindowAxis){.kernel = 1, .stride = 1, .dilation = 1, .low = 0};
    for (uint32_t i = 0; i < axes->count; i++) {
        window[axes->u.ints[i]] = (WindowAxis){.kernel = eval_ints(node, ATTR_KERNEL)[i],
                                               .stride = eval_ints(node, ATTR_STRIDES)[i],
                                               .dilation = eval_ints(node, ATTR_DILATIONS)[i],
                                               .low = low[i]};
    }
}

/* The input element under tap `tap` of the window at `index`; -1 in the padding. */
static int64_t tap_position(const Tensor *in, const WindowAxis *window, const int64_t *index,
                            const int64_t *tap) {
    int64_t position = 0;
    for (int i = 0; i < in->rank; i++) {
        const int64_t at =
            index[i] * window[i].stride - window[i].low + tap[i] * window[i].dilation;
        if (at < 0 || at >= in->dims[i])
            return -1;
        position = position * in->dims[i] + at;
    }
    return position;
}

bool lt_eval_WINDOW(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    const ScalarFn fn = lt_node_fn(node);
    WindowAxis window[LT_MAX_RANK];
    int64_t kernel[LT_MAX_RANK], steps[LT_MAX_RANK], index[LT_MAX_RANK] = {0};
    read_window(ev, node, window);
    /* A last axis that is not windowed, the channels as a rule, is folded as rows. */
    const int last = in->rank - 1;
    const bool rows = last >= 0 && window[last].kernel == 1 && window[last].stride == 1 &&
                      out->dims[last] == in->dims[last] && window[last].low == 0;
    const int64_t n = rows ? in->dims[last] : 1;
    for (int i = 0; i < in->rank; i++) {
        kernel[i] = window[i].kernel;
        steps[i] = rows && i == last ? 1 : out->dims[i];
    }
    const Wide *x = lt_tensor_widen(ev->scratch, in);
    Wide *row = LT_ARRAY(ev->scratch, Wide, n);
    for (int64_t at = 0; at < lt_tensor_elements(out); at += n) {
        int64_t tap[LT_MAX_RANK] = {0};
        for (int64_t i = 0; i < n; i++)
            row[i] = lt_fold_identity(fn, in->dtype);
        do {
            const int64_t position = tap_position(in, window, index, tap);
            if (position >= 0)
                lt_fold_row(fn, in->dtype, n, row, x + position);
        } while (lt_next_index(in->rank, kernel, tap));
        lt_tensor_store_row(out, (Row){at, 1, n}, row);
        lt_next_index(in->rank, steps, index);
    }
    return true;
}
