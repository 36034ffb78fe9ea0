/* ops_data.c - shapes, cuts and axes that only a run tells.
 *
 * What the ONNX operand means (-1, 0, counted from the back, out of range) is resolved by integer
 * arithmetic of the graph; then `bind` makes the extents symbols. */
#include "frontends/onnx/extents.h"

static Value *extents_of(Import *im, const Value *x) {
    return lt_build_dims(&im->b, x->type->rank, x->type->dims);
}

static Value *number(Import *im, int64_t value) { return lt_build_int(&im->b, DT_I64, value); }

static Value *element(Import *im, Value *vector, int64_t index) {
    Value *part =
        lt_onnx_slice_axis(im, vector, 0, lt_dim_const(im->dims, index), lt_dim_const(im->dims, 1));
    return lt_build_reshape(&im->b, part, 0, NULL);
}

/* i64[count] of as many i64[]. */
static Value *vector_of(Import *im, Value *const *scalars, int64_t count) {
    Value *parts[2 * LT_MAX_RANK];
    for (int64_t i = 0; i < count; i++)
        parts[i] = lt_build_unsqueeze(&im->b, scalars[i], (int64_t[]){0}, 1);
    return lt_build_concat(&im->b, parts, (uint32_t)count, 0);
}

/* Whether a list of axes of a tensor of this rank names `axis`: bool[k]. */
static Value *names_axis(Import *im, Value *axes, int64_t axis, int64_t rank) {
    return onnx_map2(im, FN_OR, lt_onnx_map_scalar(im, FN_EQ, axes, (double)axis),
                     lt_onnx_map_scalar(im, FN_EQ, axes, (double)(axis - rank)));
}

static Value *any_of(Import *im, Value *flags) {
    return lt_build_reduce(&im->b, FN_OR, flags, (int64_t[]){0}, 1, false);
}

/* --- extents ---------------------------------------------------------------------------------- */

const Dim *const *lt_onnx_extents(Import *im, Value *v, const char *what, int64_t *count) {
    const bool is_list = v->type->rank <= 1 && !lt_dtype_is_float(v->type->dtype) &&
                         lt_type_is_static(v->type, count);
    return !is_list || lt_onnx_is_known(im, v) ? lt_onnx_content(im, v, what, count)
                                               : lt_onnx_bind_elements(im, v, "extent");
}

bool lt_onnx_reshape_by_data(Import *im, bool zero_copies) {
    Value *x = im->inputs[0], *target = lt_build_convert(&im->b, im->inputs[1], DT_I64);
    int64_t rank;
    if (!target || target->type->rank != 1 || !lt_type_is_static(target->type, &rank))
        return lt_onnx_unsupported(im, "the length of the new shape is not known");
    if (rank > LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %lld is more than %d", (long long)rank, LT_MAX_RANK);
    if (zero_copies) {
        const Dim *own[LT_MAX_RANK];
        for (int64_t i = 0; i < rank; i++)
            own[i] = i < x->type->rank ? x->type->dims[i] : lt_dim_const(im->dims, 0);
        Value *is_zero = lt_onnx_map_scalar(im, FN_EQ, target, 0);
        target = onnx_pick(im, is_zero, lt_build_dims(&im->b, rank, own), target);
    }
    const Dim *all = lt_type_elements(im->module, x->type);
    Value *is_open = lt_onnx_map_scalar(im, FN_EQ, target, -1);
    Value *known = lt_build_reduce(&im->b, FN_MUL, onnx_pick(im, is_open, number(im, 1), target),
                                   (int64_t[]){0}, 1, false);
    known = lt_onnx_map_scalar(im, FN_MAX, known, 1);
    Value *rest = onnx_map2(im, FN_FLOORDIV, lt_build_dims(&im->b, 1, &all), known);
    const Dim *const *dims =
        lt_onnx_bind_elements(im, onnx_pick(im, is_open, rest, target), "extent");
    return dims && onnx_set(im, 0, lt_build_reshape(&im->b, x, (int)rank, dims));
}

/* The extents that x and the shape broadcast to: a 1 gives way to the other's. What x has more than
 * one of stays as it is. */
bool lt_onnx_expand_by_data(Import *im) {
    Value *x = im->inputs[0], *shape = lt_build_convert(&im->b, im->inputs[1], DT_I64);
    int64_t count;
    if (!shape || shape->type->rank != 1 || !lt_type_is_static(shape->type, &count))
        return lt_onnx_unsupported(im, "the length of the shape is not known");
    const int64_t own = x->type->rank, rank = count > own ? count : own;
    if (rank > LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %lld is more than %d", (long long)rank, LT_MAX_RANK);
    const Dim *dims[LT_MAX_RANK];
    Value *wanted[LT_MAX_RANK] = {0};
    for (int64_t i = 0; i < rank; i++) {
        dims[i] = i < rank - own ? lt_dim_const(im->dims, 1) : x->type->dims[i - (rank - own)];
        wanted[i] = i < rank - count ? number(im, 1) : element(im, shape, i - (rank - count));
    }
    Value *given = lt_build_dims(&im->b, rank, dims), *asked = vector_of(im, wanted, rank);
    Value *is_one = lt_onnx_map_scalar(im, FN_EQ, asked, 1);
    const Dim *const *result =
        lt_onnx_bind_elements(im, onnx_pick(im, is_one, given, asked), "extent");
    if (!result)
        return false;
    for (int64_t i = 0; i < rank; i++) {
        const bool stays = lt_dim_is_const(dims[i]) && dims[i]->value > 1;
        if (stays)
            lt_graph_add_guard(im->b.graph, result[i], dims[i], im->node->loc);
        else
            dims[i] = result[i];
    }
    return onnx_set(im, 0, lt_build_broadcast(&im->b, x, (int)rank, dims));
}

/* start, start + delta, ...: max(0, ceil((limit - start) / delta)) of them. */
bool lt_onnx_range_by_data(Import *im) {
    Value *start = lt_build_reshape(&im->b, im->inputs[0], 0, NULL);
    Value *limit = lt_build_reshape(&im->b, im->inputs[1], 0, NULL);
    Value *delta = lt_build_reshape(&im->b, im->inputs[2], 0, NULL);
    if (!start || !limit || !delta)
        return false;
    const DType dtype = start->type->dtype, wide = lt_dtype_is_float(dtype) ? DT_F64 : DT_I64;
    Value *span = onnx_map2(im, FN_SUB, lt_build_convert(&im->b, limit, wide),
                            lt_build_convert(&im->b, start, wide));
    Value *step = lt_build_convert(&im->b, delta, wide), *count;
    if (wide == DT_F64)
        count = lt_build_map1(&im->b, FN_CEIL, onnx_map2(im, FN_DIV, span, step));
    else /* the ceiling of a / b is -floor(-a / b) */
        count = lt_build_map1(
            &im->b, FN_NEG, onnx_map2(im, FN_FLOORDIV, lt_build_map1(&im->b, FN_NEG, span), step));
    count = lt_onnx_map_scalar(im, FN_MAX, lt_build_convert(&im->b, count, DT_I64), 0);
    const Dim *const *length = lt_onnx_bind_elements(im, count, "length");
    Value *steps = length ? lt_build_iota(&im->b, dtype, 1, length, 0) : NULL;
    return onnx_set(im, 0, onnx_map2(im, FN_ADD, start, onnx_map2(im, FN_MUL, steps, delta)));
}

/* --- axes ------------------------------------------------------------------------------------- */

Value *lt_onnx_keep_axes(Import *im, Value *v, Value *const *is_gone, int64_t count) {
    const int rank = v->type->rank;
    Value *flags[LT_MAX_RANK];
    if (count > rank) {
        lt_onnx_malformed(im, "%lld axes of a tensor of rank %d", (long long)count, rank);
        return NULL;
    }
    for (int i = 0; i < rank; i++)
        flags[i] = lt_build_unsqueeze(&im->b, lt_build_map1(&im->b, FN_NOT, is_gone[i]),
                                      (int64_t[]){0}, 1);
    Value *stays = lt_build_concat(&im->b, flags, (uint32_t)rank, 0);
    Value *places = lt_onnx_find_some(im, stays, lt_dim_const(im->dims, rank - count));
    const Dim *const *shape =
        lt_onnx_bind_elements(im, lt_build_gather(&im->b, extents_of(im, v), places, 0), "extent");
    return shape ? lt_build_reshape(&im->b, v, (int)(rank - count), shape) : NULL;
}

Value *lt_onnx_is_axis(Import *im, Value *axes, int64_t axis, int64_t rank) {
    return any_of(im, names_axis(im, axes, axis, rank));
}

bool lt_onnx_squeeze_by_data(Import *im, int64_t count) {
    Value *x = im->inputs[0], *axes = lt_build_convert(&im->b, im->inputs[1], DT_I64);
    Value *is_gone[LT_MAX_RANK];
    for (int i = 0; i < x->type->rank; i++)
        is_gone[i] = lt_onnx_is_axis(im, axes, i, x->type->rank);
    return onnx_set(im, 0, lt_onnx_keep_axes(im, x, is_gone, count));
}

/* Where an axis is new, 1; else the next extent of x: as many old axes come before it. */
bool lt_onnx_unsqueeze_by_data(Import *im, int64_t rank) {
    Value *x = im->inputs[0], *axes = lt_build_convert(&im->b, im->inputs[1], DT_I64);
    Value *extents[LT_MAX_RANK], *from = number(im, 0), *own = extents_of(im, x);
    for (int64_t i = 0; i < rank; i++) {
        Value *is_new = lt_onnx_is_axis(im, axes, i, rank);
        Value *inside = lt_onnx_map_scalar(im, FN_MIN, from, (double)(x->type->rank - 1));
        Value *extent = x->type->rank ? lt_build_gather(&im->b, own, inside, 0) : number(im, 1);
        extents[i] = onnx_pick(im, is_new, number(im, 1), extent);
        from = onnx_pick(im, is_new, from, lt_onnx_map_scalar(im, FN_ADD, from, 1));
    }
    const Dim *const *dims = lt_onnx_bind_elements(im, vector_of(im, extents, rank), "extent");
    return dims && onnx_set(im, 0, lt_build_reshape(&im->b, x, (int)rank, dims));
}

/* --- slice ------------------------------------------------------------------------------------ */

/* One axis of a slice, as i64[]. */
typedef struct DataCut {
    int64_t axis;
    Value *start, *end, *step;
    int64_t known_step; /* 0: only a run tells */
    Value *size;
} DataCut;

/* A position, counted from the back where it is negative, inside low..high. */
static Value *inside(Import *im, Value *at, Value *extent, Value *low, Value *high) {
    Value *is_back = lt_onnx_map_scalar(im, FN_LT, at, 0);
    at = onnx_pick(im, is_back, onnx_map2(im, FN_ADD, at, extent), at);
    return onnx_map2(im, FN_MAX, low, onnx_map2(im, FN_MIN, at, high));
}

static void resolve(Import *im, DataCut *cut, Value *x) {
    Value *extent = element(im, extents_of(im, x), cut->axis);
    Value *last = lt_onnx_map_scalar(im, FN_SUB, extent, 1), *zero = number(im, 0);
    Value *forward = lt_onnx_map_scalar(im, FN_GT, cut->step, 0);
    Value *most = onnx_pick(im, forward, extent, last);
    cut->start = inside(im, cut->start, extent, zero, onnx_map2(im, FN_MAX, most, zero));
    cut->end = inside(im, cut->end, extent, onnx_pick(im, forward, zero, number(im, -1)), most);
    Value *length = lt_build_map1(&im->b, FN_ABS, cut->step);
    Value *span = onnx_pick(im, forward, onnx_map2(im, FN_SUB, cut->end, cut->start),
                            onnx_map2(im, FN_SUB, cut->start, cut->end));
    span = onnx_map2(im, FN_ADD, span, lt_onnx_map_scalar(im, FN_SUB, length, 1));
    span = onnx_map2(im, FN_FLOORDIV, span, lt_onnx_map_scalar(im, FN_MAX, length, 1));
    cut->size = lt_onnx_map_scalar(im, FN_MAX, span, 0);
}

/* Steps that are known are attributes; else elements are gathered. */
static Value *apply_cut(Import *im, const DataCut *cut, Value *x, const Dim *start,
                        const Dim *size) {
    if (!cut->known_step) {
        Value *steps = lt_build_iota(&im->b, DT_I64, 1, &size, 0);
        Value *places = onnx_map2(im, FN_ADD, cut->start, onnx_map2(im, FN_MUL, steps, cut->step));
        return lt_build_gather(&im->b, x, places, (int)cut->axis);
    }
    const Dim *starts[LT_MAX_RANK], *sizes[LT_MAX_RANK];
    int64_t steps[LT_MAX_RANK];
    for (int i = 0; i < x->type->rank; i++) {
        starts[i] = i == cut->axis ? start : lt_dim_const(im->dims, 0);
        sizes[i] = i == cut->axis ? size : x->type->dims[i];
        steps[i] = i == cut->axis ? cut->known_step : 1;
    }
    return lt_build_slice(&im->b, x, starts, sizes, steps);
}

/* The operand's element for each axis of x: where `axes` does not name it, `otherwise`. */
static Value *for_axis(Import *im, Value *list, Value *axes, int64_t axis, int64_t rank,
                       int64_t otherwise) {
    Value *named = names_axis(im, axes, axis, rank);
    Value *value = lt_build_reduce(&im->b, FN_ADD, onnx_pick(im, named, list, number(im, 0)),
                                   (int64_t[]){0}, 1, false);
    return onnx_pick(im, any_of(im, named), value, number(im, otherwise));
}

const Dim *const *lt_onnx_pads_by_data(Import *im) {
    const int64_t rank = im->inputs[0]->type->rank;
    Value *pads = lt_build_convert(&im->b, im->inputs[1], DT_I64), *amounts[2 * LT_MAX_RANK];
    Value *axes = lt_build_convert(&im->b, im->inputs[3], DT_I64);
    int64_t given, named;
    if (!pads || !axes || !lt_type_is_static(pads->type, &given) ||
        !lt_type_is_static(axes->type, &named) || given != 2 * named || rank == 0) {
        lt_onnx_unsupported(im, "the number of pads is not twice that of the axes");
        return NULL;
    }
    const Dim *half = lt_dim_const(im->dims, named), *zero = lt_dim_const(im->dims, 0);
    Value *low = lt_onnx_slice_axis(im, pads, 0, zero, half);
    Value *high = lt_onnx_slice_axis(im, pads, 0, half, half);
    for (int64_t i = 0; i < rank; i++) {
        amounts[i] = for_axis(im, low, axes, i, rank, 0);
        amounts[rank + i] = for_axis(im, high, axes, i, rank, 0);
    }
    return lt_onnx_bind_elements(im, vector_of(im, amounts, 2 * rank), "pad");
}

typedef struct SliceOperands {
    Value *starts, *ends, *axes, *steps; /* i64[count]; axes, steps may be NULL */
    const int64_t *known_axes, *known_steps;
    int64_t count;
} SliceOperands;

static bool read_operands(Import *im, SliceOperands *o) {
    Value **parts[] = {&o->starts, &o->ends, &o->axes, &o->steps};
    for (uint32_t i = 0; i < 4; i++) {
        Value *v = onnx_in(im, i + 1);
        int64_t count;
        *parts[i] = v ? lt_build_convert(&im->b, v, DT_I64) : NULL;
        if (!v)
            continue;
        if (v->type->rank != 1 || !lt_type_is_static(v->type, &count))
            return lt_onnx_unsupported(im, "the length of input %u is not known", i + 1);
        if (i > 0 && count != o->count)
            return lt_onnx_malformed(im, "input %u has %lld numbers, the starts are %lld", i + 1,
                                     (long long)count, (long long)o->count);
        o->count = count;
    }
    if (o->axes && lt_onnx_is_known(im, o->axes))
        o->known_axes = lt_onnx_numbers(im, o->axes, "the list of axes", &o->count);
    if (o->steps && lt_onnx_is_known(im, o->steps))
        o->known_steps = lt_onnx_numbers(im, o->steps, "the list of steps", &o->count);
    return true;
}

/* One cut an axis that may be cut. */
static int64_t make_cuts(Import *im, const SliceOperands *o, DataCut *cuts) {
    Value *x = im->inputs[0];
    const int64_t rank = x->type->rank;
    int64_t count = 0;
    const bool is_listed = !o->axes || o->known_axes;
    for (int64_t i = 0; i < (is_listed ? o->count : rank); i++) {
        DataCut *cut = &cuts[count++];
        *cut = (DataCut){.axis = i, .known_step = o->steps ? 0 : 1};
        if (!is_listed) {
            cut->start = for_axis(im, o->starts, o->axes, i, rank, 0);
            cut->end = for_axis(im, o->ends, o->axes, i, rank, INT64_MAX);
            cut->step = o->steps ? for_axis(im, o->steps, o->axes, i, rank, 1) : number(im, 1);
            continue;
        }
        if (count > rank ||
            (o->known_axes && !lt_onnx_axis(im, o->known_axes[i], rank, &cut->axis)))
            return -1;
        cut->start = element(im, o->starts, i);
        cut->end = element(im, o->ends, i);
        cut->step = o->steps ? element(im, o->steps, i) : number(im, 1);
        cut->known_step = o->known_steps ? o->known_steps[i] : cut->known_step;
    }
    return count;
}

bool lt_onnx_slice_by_data(Import *im) {
    Value *x = im->inputs[0], *bound[2 * LT_MAX_RANK];
    SliceOperands o = {0};
    DataCut cuts[LT_MAX_RANK + 1];
    if (!read_operands(im, &o))
        return false;
    const int64_t count = make_cuts(im, &o, cuts);
    if (count < 0 || count > LT_MAX_RANK)
        return lt_onnx_malformed(im, "more cuts than the %d axes", x->type->rank);
    for (int64_t i = 0; i < count; i++) {
        resolve(im, &cuts[i], x);
        bound[i] = cuts[i].start;
        bound[count + i] = cuts[i].size;
    }
    if (count == 0)
        return onnx_set(im, 0, x);
    const Dim *const *dims = lt_onnx_bind_elements(im, vector_of(im, bound, 2 * count), "cut");
    for (int64_t i = 0; dims && x && i < count; i++)
        x = apply_cut(im, &cuts[i], x, dims[i], dims[count + i]);
    return dims && onnx_set(im, 0, x);
}
