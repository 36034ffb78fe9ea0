/* ops_move.c - ops that move elements: joining, cutting, padding, and the block reorderings. */
#include <string.h>

#include "frontends/onnx/extents.h"

bool lt_onnx_concat(Import *im) {
    int64_t axis = lt_onnx_int(im, "axis", im->version < 4 ? 1 : INT64_MIN);
    if (axis == INT64_MIN)
        return lt_onnx_malformed(im, "attribute axis is missing");
    for (uint32_t i = 0; i < im->input_count; i++)
        if (!im->inputs[i])
            return lt_onnx_malformed(im, "input %u is missing", i);
    if (!lt_onnx_axis(im, axis, im->inputs[0]->type->rank, &axis))
        return false;
    return onnx_set(im, 0, lt_build_concat(&im->b, im->inputs, im->input_count, (int)axis));
}

/* --- Split --- */

/* Equal parts; the last one may be smaller from version 18 on. */
static const Dim *const *equal_parts(Import *im, const Dim *extent) {
    int64_t parts = lt_onnx_int(im, "num_outputs", im->output_count);
    const Dim *count = lt_dim_const(im->dims, parts), **sizes = lt_onnx_dim_array(im, parts);
    if (parts != (int64_t)im->output_count || parts < 1) {
        lt_onnx_malformed(im, "num_outputs is %lld, the node has %u outputs", (long long)parts,
                          im->output_count);
        return NULL;
    }
    const Dim *part = lt_dim_ceildiv(im->dims, extent, count);
    bool may_differ = im->version >= 18;
    for (int64_t i = 0; i < parts; i++)
        sizes[i] = part;
    const Dim *rest = lt_dim_sub(im->dims, extent, lt_dim_mul_const(im->dims, part, parts - 1));
    if (may_differ)
        sizes[parts - 1] = rest;
    else if (rest != part && lt_dim_is_const(rest) && lt_dim_is_const(part)) {
        lt_onnx_malformed(im, "extent %lld has no %lld equal parts", (long long)extent->value,
                          (long long)parts);
        return NULL;
    } else
        lt_graph_add_guard(im->b.graph, lt_dim_mul_const(im->dims, part, parts), extent,
                           im->node->loc);
    return sizes;
}

static const Dim *const *split_sizes(Import *im, const Dim *extent) {
    int64_t count;
    const int64_t *numbers = lt_onnx_ints(im, "split", &count);
    const Dim *const *sizes = NULL;
    if (!numbers && !onnx_in(im, 1))
        return equal_parts(im, extent);
    if (numbers) {
        const Dim **given = lt_onnx_dim_array(im, count);
        for (int64_t i = 0; i < count; i++)
            given[i] = lt_dim_const(im->dims, numbers[i]);
        sizes = given;
    } else {
        Value *list = onnx_in(im, 1);
        if (list->type->rank == 1)
            list = lt_onnx_fix_extent(im, list, 0, im->output_count, "the list of split sizes");
        sizes = list ? lt_onnx_extents(im, list, "the list of split sizes", &count) : NULL;
    }
    if (!sizes || count == (int64_t)im->output_count)
        return sizes;
    lt_onnx_malformed(im, "%lld split sizes for %u outputs", (long long)count, im->output_count);
    return NULL;
}

bool lt_onnx_split(Import *im) {
    Value *x = im->inputs[0];
    int64_t axis;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), x->type->rank, &axis))
        return false;
    const Dim *extent = x->type->dims[axis], *start = lt_dim_const(im->dims, 0);
    const Dim *const *sizes = split_sizes(im, extent);
    if (!sizes)
        return false;
    for (uint32_t i = 0; i < im->output_count; i++) {
        if (onnx_wants(im, i) &&
            !onnx_set(im, i, lt_onnx_slice_axis(im, x, (int)axis, start, sizes[i])))
            return false;
        start = lt_dim_add(im->dims, start, sizes[i]);
    }
    if (start == extent)
        return true;
    if (lt_dim_is_const(start) && lt_dim_is_const(extent))
        return lt_onnx_malformed(im, "the split sizes add up to %lld, the axis has %lld",
                                 (long long)start->value, (long long)extent->value);
    lt_graph_add_guard(im->b.graph, start, extent, im->node->loc);
    return true;
}

/* --- Slice --- */

typedef struct Cut {
    const Dim *extent;
    int64_t step;
    const Dim *start, *size; /* results */
} Cut;

enum { FAR = INT32_MAX }; /* numbers beyond it mean "to the end" */

/* extent where at is negative, else 0. */
static const Dim *if_from_back(Import *im, const Dim *at, const Dim *extent) {
    int64_t least, most;
    lt_dim_range(im->dims, at, &least, &most);
    if (least >= 0)
        return lt_dim_const(im->dims, 0);
    if (most < 0)
        return extent;
    const Dim *far = lt_dim_const(im->dims, FAR), *back = lt_dim_const(im->dims, -FAR);
    at = lt_dim_max(im->dims, back, lt_dim_min(im->dims, at, lt_dim_const(im->dims, 0)));
    return lt_dim_mul(im->dims, extent,
                      lt_dim_mul_const(im->dims, lt_dim_floordiv(im->dims, at, far), -1));
}

/* A position counted from the front, inside low..high: negative ones count from the back. */
static const Dim *absolute(Import *im, const Dim *at, const Dim *extent, const Dim *low,
                           const Dim *high) {
    if (lt_dim_is_const(at) && at->value >= FAR)
        return high;
    if (lt_dim_is_const(at) && at->value <= -FAR)
        return low;
    at = lt_dim_add(im->dims, at, if_from_back(im, at, extent));
    return lt_dim_max(im->dims, low, lt_dim_min(im->dims, at, high));
}

static void resolve_cut(Import *im, Cut *cut, const Dim *start, const Dim *end) {
    bool forward = cut->step > 0;
    const Dim *zero = lt_dim_const(im->dims, 0),
              *last = lt_dim_add_const(im->dims, cut->extent, -1);
    const Dim *from = absolute(im, start, cut->extent, zero, forward ? cut->extent : last);
    const Dim *to = forward ? absolute(im, end, cut->extent, zero, cut->extent)
                            : absolute(im, end, cut->extent, lt_dim_const(im->dims, -1), last);
    const Dim *span = forward ? lt_dim_sub(im->dims, to, from) : lt_dim_sub(im->dims, from, to);
    const Dim *step = lt_dim_const(im->dims, forward ? cut->step : -cut->step);
    cut->start = from;
    cut->size = lt_dim_max(im->dims, zero, lt_dim_ceildiv(im->dims, span, step));
}

typedef struct SliceLists {
    const Dim *const *starts, *const *ends;
    const int64_t *axes, *steps; /* may be NULL */
    int64_t count;
} SliceLists;

static bool set_slice(Import *im, const SliceLists *l) {
    Value *x = im->inputs[0];
    const Dim *start[LT_MAX_RANK], *size[LT_MAX_RANK];
    int64_t step[LT_MAX_RANK];
    bool seen[LT_MAX_RANK] = {false};
    for (int i = 0; i < x->type->rank; i++) {
        start[i] = lt_dim_const(im->dims, 0);
        size[i] = x->type->dims[i];
        step[i] = 1;
    }
    for (int64_t i = 0; i < l->count; i++) {
        int64_t axis;
        if (!lt_onnx_axis(im, l->axes ? l->axes[i] : i, x->type->rank, &axis))
            return false;
        if (seen[axis])
            return lt_onnx_malformed(im, "axis %lld is named twice", (long long)axis);
        seen[axis] = true;
        Cut cut = {.extent = x->type->dims[axis], .step = l->steps ? l->steps[i] : 1};
        if (cut.step == 0)
            return lt_onnx_malformed(im, "the step of axis %lld is 0", (long long)axis);
        if (cut.step > FAR)
            cut.step = FAR;
        if (cut.step < -FAR)
            cut.step = -FAR;
        resolve_cut(im, &cut, l->starts[i], l->ends[i]);
        start[axis] = cut.start;
        size[axis] = cut.size;
        step[axis] = cut.step;
        /* An empty backward slice of an empty axis would start at -1. */
        if (lt_dim_is(cut.size, 0))
            start[axis] = lt_dim_const(im->dims, 0), step[axis] = 1;
    }
    return onnx_set(im, 0, lt_build_slice(&im->b, x, start, size, step));
}

static bool check_length(Import *im, int64_t found, int64_t expected, const char *what) {
    if (found == expected)
        return true;
    return lt_onnx_malformed(im, "%s has %lld numbers, the starts are %lld", what, (long long)found,
                             (long long)expected);
}

bool lt_onnx_slice(Import *im) {
    SliceLists l = {0};
    int64_t ends, axes, steps;
    for (uint32_t i = 1; i < im->input_count; i++)
        if (im->inputs[i] && !lt_onnx_is_known(im, im->inputs[i]))
            return lt_onnx_slice_by_data(im);
    l.starts = lt_onnx_content(im, im->inputs[1], "the list of starts", &l.count);
    l.ends = l.starts ? lt_onnx_content(im, im->inputs[2], "the list of ends", &ends) : NULL;
    if (!l.ends || !check_length(im, ends, l.count, "the list of ends"))
        return false;
    if (onnx_in(im, 3)) {
        l.axes = lt_onnx_numbers(im, onnx_in(im, 3), "the list of axes", &axes);
        if (!l.axes || !check_length(im, axes, l.count, "the list of axes"))
            return false;
    }
    if (onnx_in(im, 4)) {
        l.steps = lt_onnx_numbers(im, onnx_in(im, 4), "the list of steps", &steps);
        if (!l.steps || !check_length(im, steps, l.count, "the list of steps"))
            return false;
    }
    return set_slice(im, &l);
}

bool lt_onnx_slice_1(Import *im) {
    int64_t ends, axes;
    SliceLists l = {0};
    const int64_t *start = lt_onnx_ints(im, "starts", &l.count),
                  *end = lt_onnx_ints(im, "ends", &ends);
    if (!start || !end)
        return lt_onnx_malformed(im, "attributes starts and ends are needed");
    l.axes = lt_onnx_ints(im, "axes", &axes);
    if (!check_length(im, ends, l.count, "ends") ||
        (l.axes && !check_length(im, axes, l.count, "axes")))
        return false;
    const Dim **starts = lt_onnx_dim_array(im, l.count), **stops = lt_onnx_dim_array(im, l.count);
    for (int64_t i = 0; i < l.count; i++) {
        starts[i] = lt_dim_const(im->dims, start[i]);
        stops[i] = lt_dim_const(im->dims, end[i]);
    }
    l.starts = starts;
    l.ends = stops;
    return set_slice(im, &l);
}

/* --- Pad --- */

/* pads: all starts, then all ends, of `axes` (NULL: every axis). */
static bool set_pad(Import *im, const Dim *const *pads, const int64_t *axes, int64_t count,
                    const Const *fill) {
    Value *x = im->inputs[0];
    const char *mode = lt_onnx_string(im, "mode", "constant");
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    bool known = false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        known |= strcmp(mode, modes[i]) == 0;
    if (!known)
        return lt_onnx_unsupported(im, "mode '%s' is not supported", mode);
    const Dim *low[LT_MAX_RANK], *high[LT_MAX_RANK];
    for (int i = 0; i < x->type->rank; i++)
        low[i] = high[i] = lt_dim_const(im->dims, 0);
    for (int64_t i = 0; i < count; i++) {
        int64_t axis;
        if (!lt_onnx_axis(im, axes ? axes[i] : i, x->type->rank, &axis))
            return false;
        low[axis] = pads[i];
        high[axis] = pads[count + i];
    }
    return onnx_set(im, 0, lt_build_pad(&im->b, x, low, high, mode, fill));
}

static bool check_pads(Import *im, int64_t found, int64_t axes) {
    if (found == 2 * axes)
        return true;
    return lt_onnx_malformed(im, "%lld pads for %lld axes", (long long)found, (long long)axes);
}

/* What is padded is where a padded tensor of true is not; there goes a value of data. */
static bool set_pad_value(Import *im, const Dim *const *pads, const int64_t *axes, int64_t count,
                          Value *value) {
    Value *x = im->inputs[0], *truth = lt_build_const(&im->b, lt_const_int(im->module, DT_BOOL, 1));
    if (strcmp(lt_onnx_string(im, "mode", "constant"), "constant") != 0)
        return set_pad(im, pads, axes, count, NULL);
    im->inputs[0] = lt_build_broadcast(&im->b, truth, x->type->rank, x->type->dims);
    if (!im->inputs[0] || !set_pad(im, pads, axes, count, NULL))
        return false;
    Value *is_inside = im->outputs[0];
    im->inputs[0] = x;
    value = lt_build_reshape(&im->b, value, 0, NULL);
    return set_pad(im, pads, axes, count, NULL) &&
           onnx_set(im, 0, lt_build_map3(&im->b, FN_SELECT, is_inside, im->outputs[0], value));
}

bool lt_onnx_pad(Import *im) {
    int64_t count, axis_count = im->inputs[0]->type->rank;
    const int64_t *axes = NULL;
    const Const *fill = NULL;
    const bool by_data = onnx_in(im, 3) && !lt_onnx_is_known(im, onnx_in(im, 3));
    const Dim *const *pads = by_data
                                 ? lt_onnx_pads_by_data(im)
                                 : lt_onnx_extents(im, im->inputs[1], "the list of pads", &count);
    if (!pads)
        return false;
    count = by_data ? 2 * axis_count : count;
    Value *value = onnx_in(im, 2);
    if (value && (fill = lt_onnx_const(im, value))) {
        if (fill->bytes == 0)
            return lt_onnx_malformed(im, "the value of the padding is empty");
        fill = lt_const(im->module, lt_type_static(im->module, fill->type->dtype, 0, NULL),
                        fill->data);
    }
    if (onnx_in(im, 3) && !by_data &&
        !(axes = lt_onnx_numbers(im, onnx_in(im, 3), "the list of axes", &axis_count)))
        return false;
    if (!check_pads(im, count, axis_count))
        return false;
    return value && !fill ? set_pad_value(im, pads, axes, axis_count, value)
                          : set_pad(im, pads, axes, axis_count, fill);
}

bool lt_onnx_pad_2(Import *im) {
    int64_t count, rank = im->inputs[0]->type->rank;
    const int64_t *numbers = lt_onnx_ints(im, "pads", &count);
    if (!numbers)
        return lt_onnx_malformed(im, "attribute pads is missing");
    if (!check_pads(im, count, rank))
        return false;
    const Dim **pads = lt_onnx_dim_array(im, count);
    for (int64_t i = 0; i < count; i++)
        pads[i] = lt_dim_const(im->dims, numbers[i]);
    const Const *fill =
        lt_const_float(im->module, im->inputs[0]->type->dtype, lt_onnx_float(im, "value", 0));
    return set_pad(im, pads, NULL, rank, fill);
}

/* --- DepthToSpace, SpaceToDepth, Trilu ----------------------------------------------------- */

static bool block_size(Import *im, const Dim **size) {
    int64_t number = lt_onnx_int(im, "blocksize", 0);
    if (im->inputs[0]->type->rank != 4)
        return lt_onnx_malformed(im, "the input has rank %d; expected 4",
                                 im->inputs[0]->type->rank);
    *size = lt_dim_const(im->dims, number);
    return (number >= 1 && number < 1 << 15) ||
           lt_onnx_malformed(im, "blocksize is %lld", (long long)number);
}

bool lt_onnx_depth_to_space(Import *im) {
    static const int64_t depth_first[] = {0, 3, 4, 1, 5, 2}, column_first[] = {0, 1, 4, 2, 5, 3};
    const char *mode = lt_onnx_string(im, "mode", "DCR");
    bool is_crd = strcmp(mode, "CRD") == 0;
    Value *x = im->inputs[0];
    const Dim *b;
    if (!is_crd && strcmp(mode, "DCR") != 0)
        return lt_onnx_malformed(im, "mode is '%s'; expected DCR or CRD", mode);
    if (!block_size(im, &b))
        return false;
    const Dim *const *d = x->type->dims,
                     *c = lt_dim_floordiv(im->dims, d[1], lt_dim_mul(im->dims, b, b));
    const Dim *split[] = {d[0], is_crd ? c : b, b, is_crd ? b : c, d[2], d[3]};
    const Dim *merged[] = {d[0], c, lt_dim_mul(im->dims, d[2], b), lt_dim_mul(im->dims, d[3], b)};
    x = lt_build_reshape(&im->b, x, 6, split);
    x = lt_build_transpose(&im->b, x, is_crd ? column_first : depth_first);
    return onnx_set(im, 0, lt_build_reshape(&im->b, x, 4, merged));
}

bool lt_onnx_space_to_depth(Import *im) {
    static const int64_t depth_first[] = {0, 3, 5, 1, 2, 4}, column_first[] = {0, 1, 3, 5, 2, 4};
    const char *mode = lt_onnx_string(im, "mode", "DCR");
    bool is_crd = strcmp(mode, "CRD") == 0;
    Value *x = im->inputs[0];
    const Dim *b;
    if (!is_crd && strcmp(mode, "DCR") != 0)
        return lt_onnx_malformed(im, "mode is '%s'; expected DCR or CRD", mode);
    if (!block_size(im, &b))
        return false;
    const Dim *const *d = x->type->dims, *square = lt_dim_mul(im->dims, b, b);
    const Dim *h = lt_dim_floordiv(im->dims, d[2], b), *w = lt_dim_floordiv(im->dims, d[3], b);
    const Dim *split[] = {d[0], d[1], h, b, w, b};
    const Dim *merged[] = {d[0], lt_dim_mul(im->dims, d[1], square), h, w};
    x = lt_build_reshape(&im->b, x, 6, split);
    x = lt_build_transpose(&im->b, x, is_crd ? column_first : depth_first);
    return onnx_set(im, 0, lt_build_reshape(&im->b, x, 4, merged));
}

/* Keeps where column - row >= k (upper) or <= k (lower). */
bool lt_onnx_trilu(Import *im) {
    Value *x = im->inputs[0];
    Value *k = onnx_in(im, 1) ? lt_build_convert(&im->b, onnx_in(im, 1), DT_I64)
                              : lt_build_int(&im->b, DT_I64, 0);
    if (k && k->type->rank > 0)
        k = lt_build_reshape(&im->b, k, 0, NULL);
    if (x->type->rank < 2)
        return lt_onnx_malformed(im, "the input has rank %d; expected at least 2", x->type->rank);
    const Dim *const *square = x->type->dims + x->type->rank - 2;
    Value *row = lt_build_iota(&im->b, DT_I64, 2, square, 0),
          *column = lt_build_iota(&im->b, DT_I64, 2, square, 1);
    Value *offset = lt_build_map2(&im->b, FN_SUB, column, row);
    ScalarFn keeps = lt_onnx_int(im, "upper", 1) ? FN_GE : FN_LE;
    Value *is_kept = lt_build_map2(&im->b, keeps, offset, k);
    return onnx_set(im, 0,
                    lt_build_map3(&im->b, FN_SELECT, is_kept, x, lt_onnx_scalar_like(im, x, 0)));
}
