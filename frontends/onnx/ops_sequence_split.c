/* ops_sequence_split.c - tensors into sequences and back.
 *
 * Where only a run tells the parts along an axis, the element [o, a, i] of the tensor, seen as
 * [outer, extent, inner] around that axis, lies in the packed `values` at
 *
 *     outer * inner * start(a) + o * inner * size(a) + inner * (a - start(a)) + i
 *
 * with the start and the size of the part that has a. */
#include "frontends/onnx/extents.h"
#include "frontends/onnx/sequence.h"

/* --- parts that a run tells ------------------------------------------------------------------- */

typedef struct Parts {
    Value *starts, *sizes;                             /* i64[count]: along the axis */
    const Dim *count, *outer, *extent, *inner, *total; /* total: outer * extent * inner */
} Parts;

static void set_extents(Import *im, Parts *p, const Dim *const *dims, int rank, int axis) {
    p->outer = lt_dim_product(im->dims, dims, axis);
    p->extent = dims[axis];
    p->inner = lt_dim_product(im->dims, dims + axis + 1, rank - axis - 1);
    p->total = lt_dim_mul(im->dims, lt_dim_mul(im->dims, p->outer, p->extent), p->inner);
}

static Value *scaled(Import *im, Value *v, const Dim *d) {
    return lt_build_map2(&im->b, FN_MUL, v, lt_onnx_dim_value(im, d, DT_I64));
}

/* i64[extent]: which part has it, as many as end there or before. */
static Value *part_of(Import *im, const Parts *p) {
    const Dim *zero = lt_dim_const(im->dims, 0), *more = lt_dim_add_const(im->dims, p->extent, 1);
    Value *ends = lt_build_map2(&im->b, FN_ADD, p->starts, p->sizes);
    Value *ones = lt_onnx_full(im, DT_I64, 1, &p->count, lt_build_int(&im->b, DT_I64, 1));
    Value *passed = lt_onnx_running_sum(im, lt_onnx_scattered(im, more, ends, ones, true));
    return passed ? lt_onnx_slice_axis(im, passed, 0, zero, p->extent) : NULL;
}

/* i64[outer, extent, inner]: the place of each element in `values`. */
static Value *places(Import *im, const Parts *p) {
    const Dim *shape[] = {p->outer, p->extent, p->inner};
    Value *part = part_of(im, p), *at = lt_build_iota(&im->b, DT_I64, 1, &p->extent, 0);
    if (!part || !at)
        return NULL;
    Value *start = lt_build_gather(&im->b, p->starts, part, 0);
    Value *size = lt_build_gather(&im->b, p->sizes, part, 0);
    Value *base = scaled(im, start, lt_dim_mul(im->dims, p->outer, p->inner));
    base = lt_build_map2(&im->b, FN_ADD, base,
                         scaled(im, lt_build_map2(&im->b, FN_SUB, at, start), p->inner));
    Value *row = lt_onnx_along(im, scaled(im, size, p->inner), 1, 3);
    Value *o = lt_build_iota(&im->b, DT_I64, 3, shape, 0);
    Value *i = lt_build_iota(&im->b, DT_I64, 3, shape, 2);
    Value *place = lt_build_map2(&im->b, FN_ADD, lt_build_map2(&im->b, FN_MUL, o, row), i);
    return lt_build_map2(&im->b, FN_ADD, place, lt_onnx_along(im, base, 1, 3));
}

/* i64[count, n] of the same dims in each row. */
static Value *equal_rows(Import *im, const Dim *count, const Dim *const *dims, int n) {
    const Dim *one_row[] = {lt_dim_const(im->dims, 1), lt_dim_const(im->dims, n)};
    const Dim *all[] = {count, one_row[1]};
    Value *row = lt_build_reshape(&im->b, lt_build_dims(&im->b, n, dims), 2, one_row);
    return lt_build_broadcast(&im->b, row, 2, all);
}

/* --- SplitToSequence -------------------------------------------------------------------------- */

/* Lists of more parts than this are packed. */
enum { MOST_PARTS = 256 };

typedef struct Splitting {
    Value *x;
    int axis;
    bool keep; /* the axis, of parts of extent 1 */
} Splitting;

static bool list_of_parts(Import *im, const Splitting *s, const Dim *const *sizes, int64_t count) {
    Value **parts = LT_ARRAY(im->arena, Value *, count + 1);
    const Dim *start = lt_dim_const(im->dims, 0), *extent = s->x->type->dims[s->axis];
    const int64_t axis = s->axis;
    for (int64_t i = 0; i < count; i++) {
        parts[i] = lt_onnx_slice_axis(im, s->x, s->axis, start, sizes[i]);
        if (!s->keep)
            parts[i] = lt_build_squeeze(&im->b, parts[i], &axis, 1);
        if (!parts[i])
            return false;
        start = lt_dim_add(im->dims, start, sizes[i]);
    }
    if (start != extent && lt_dim_is_const(start) && lt_dim_is_const(extent))
        return lt_onnx_malformed(im, "the split sizes add up to %lld, the axis has %lld",
                                 (long long)start->value, (long long)extent->value);
    if (start != extent)
        lt_graph_add_guard(im->b.graph, start, extent, im->node->loc);
    const CompoundForm *element =
        lt_onnx_tensor_form(im, s->x->type->dtype, s->x->type->rank - !s->keep);
    return onnx_set(im, 0, lt_onnx_list(im, element, parts, (uint32_t)count));
}

/* Parts of `size`, the last one as much as is left. */
static bool list_of_chunks(Import *im, const Splitting *s, int64_t extent, int64_t size) {
    const int64_t count = (extent + size - 1) / size;
    const Dim **sizes = lt_onnx_dim_array(im, count);
    for (int64_t i = 0; i < count; i++)
        sizes[i] = lt_dim_const(im->dims, i + 1 < count ? size : extent - i * size);
    return list_of_parts(im, s, sizes, count);
}

/* The rows of `shapes`: those of x, with the parts' sizes, or nothing, along the axis. */
static Value *shapes_of_parts(Import *im, const Splitting *s, const Dim *count, Value *sizes) {
    const Dim *const *dims = s->x->type->dims;
    const int behind = s->x->type->rank - s->axis - 1;
    const Dim *column[] = {count, lt_dim_const(im->dims, 1)};
    const Dim *none[] = {count, lt_dim_const(im->dims, 0)};
    Value *columns[3];
    uint32_t n = 0;
    if (s->axis > 0)
        columns[n++] = equal_rows(im, count, dims, s->axis);
    if (s->keep)
        columns[n++] = lt_build_reshape(&im->b, sizes, 2, column);
    if (behind > 0)
        columns[n++] = equal_rows(im, count, dims + s->axis + 1, behind);
    return n ? lt_build_concat(&im->b, columns, n, 1)
             : lt_onnx_full(im, DT_I64, 2, none, lt_build_int(&im->b, DT_I64, 0));
}

static Value *flat(Import *im, Value *v, const Dim *total) {
    return lt_build_reshape(&im->b, v, 1, &total);
}

/* Parts of extent 1: the axis goes to the front. */
static bool pack_slices(Import *im, const Splitting *s, Value **members) {
    int64_t perm[LT_MAX_RANK];
    for (int i = 0; i < s->x->type->rank; i++)
        perm[i] = i == 0 ? s->axis : i <= s->axis ? i - 1 : i;
    const Dim *total = lt_type_elements(im->module, s->x->type);
    const Dim *extent = s->x->type->dims[s->axis];
    Value *ones = lt_onnx_full(im, DT_I64, 1, &extent, lt_build_int(&im->b, DT_I64, 1));
    members[0] = flat(im, lt_build_transpose(&im->b, s->x, perm), total);
    members[1] = shapes_of_parts(im, s, extent, ones);
    return members[0] && members[1];
}

static bool pack_by(Import *im, const Splitting *s, Parts *p, Value **members) {
    const Type *type = s->x->type;
    set_extents(im, p, type->dims, type->rank, s->axis);
    Value *at = places(im, p);
    members[0] = at ? lt_onnx_scattered(im, p->total, flat(im, at, p->total),
                                        flat(im, s->x, p->total), false)
                    : NULL;
    members[1] = shapes_of_parts(im, s, p->count, p->sizes);
    return members[0] && members[1];
}

bool lt_onnx_pack_parts(Import *im, const Compound *c, Value **members) {
    const Splitting s = {.x = c->members[0], .axis = c->cut->axis, .keep = c->cut->keep};
    const Dim *size = c->cut->size, *extent = s.x->type->dims[s.axis];
    if (lt_dim_is(size, 1))
        return pack_slices(im, &s, members);
    Parts p = {.count = lt_onnx_sequence_length_dim(im, c)};
    p.starts = scaled(im, lt_build_iota(&im->b, DT_I64, 1, &p.count, 0), size);
    Value *left = lt_build_map2(&im->b, FN_SUB, lt_onnx_dim_value(im, extent, DT_I64), p.starts);
    p.sizes = lt_build_map2(&im->b, FN_MIN, left, lt_onnx_dim_value(im, size, DT_I64));
    return p.sizes && pack_by(im, &s, &p, members);
}

/* Parts of sizes in a vector: none negative, and together the extent. */
static bool split_by_sizes(Import *im, const Splitting *s, Value *split) {
    const int64_t axis = 0;
    Value *members[2], *sizes = lt_build_convert(&im->b, split, DT_I64);
    Value *ends = split->type->rank == 1 ? lt_onnx_running_sum(im, sizes) : NULL;
    if (!ends)
        return lt_onnx_malformed(im, "the split sizes must be a vector");
    const Dim *extent = s->x->type->dims[s->axis];
    Value *parts[] = {lt_build_reduce(&im->b, FN_MIN, sizes, &axis, 1, true),
                      lt_build_reduce(&im->b, FN_MAX, sizes, &axis, 1, true),
                      lt_build_reduce(&im->b, FN_ADD, sizes, &axis, 1, true)};
    const Dim *const *bound = lt_onnx_bind_sizes(im, lt_build_concat(&im->b, parts, 3, 0), "split");
    if (!bound || !lt_onnx_at_most(im, bound[1], extent, "a part"))
        return false;
    lt_graph_add_guard(im->b.graph, bound[2], extent, im->node->loc);
    Parts p = {.count = split->type->dims[0],
               .sizes = sizes,
               .starts = lt_build_map2(&im->b, FN_SUB, ends, sizes)};
    const CompoundForm *element = lt_onnx_tensor_form(im, s->x->type->dtype, s->x->type->rank);
    return pack_by(im, s, &p, members) &&
           onnx_set(im, 0,
                    lt_onnx_compound(im, lt_onnx_form(im, COMPOUND_SEQUENCE, element), members, 2));
}

/* The size of all parts but the last, 1 or more. */
static const Dim *size_of_parts(Import *im, Value *split) {
    int64_t size = 1;
    if (!split || lt_onnx_const(im, split)) {
        if (split && !lt_onnx_number(im, split, "the size of parts", &size))
            return NULL;
        if (size < 1)
            lt_onnx_malformed(im, "parts of %lld elements", (long long)size);
        return size < 1 ? NULL : lt_dim_const(im->dims, size);
    }
    Value *less = lt_build_convert(&im->b, lt_build_reshape(&im->b, split, 0, NULL), DT_I64);
    less = less ? lt_onnx_map_scalar(im, FN_ADD, less, -1) : NULL;
    const Dim *const *bound = less ? lt_onnx_bind_sizes(im, less, "size") : NULL;
    return bound ? lt_dim_add_const(im->dims, bound[0], 1) : NULL;
}

bool lt_onnx_split_to_sequence(Import *im) {
    Value *split = onnx_in(im, 1);
    Splitting s = {.x = im->inputs[0], .keep = split || lt_onnx_int(im, "keepdims", 1)};
    int64_t axis, count;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), s.x->type->rank, &axis))
        return false;
    s.axis = (int)axis;
    const Dim *extent = s.x->type->dims[axis];
    if (split && split->type->rank > 0) {
        if (!lt_type_is_static(split->type, &count) || count > MOST_PARTS)
            return split_by_sizes(im, &s, split);
        const Dim *const *sizes = lt_onnx_extents(im, split, "the list of split sizes", &count);
        return sizes && list_of_parts(im, &s, sizes, count);
    }
    const Dim *size = size_of_parts(im, split);
    if (!size)
        return false;
    if (lt_dim_is_const(size) && lt_dim_is_const(extent) &&
        extent->value / size->value < MOST_PARTS)
        return list_of_chunks(im, &s, extent->value, size->value);
    return onnx_set(im, 0, lt_onnx_cut(im, s.x, (CompoundCut){s.axis, size, s.keep}));
}

/* --- ConcatFromSequence ----------------------------------------------------------------------- */

/* The extents that all elements have, with the sum of those along `axis`, unless that is negative.
 * Elements that differ elsewhere fail. */
static const Dim *const *common_extents(Import *im, const Compound *c, int rank, int axis) {
    const int64_t first = 0;
    Value *shapes = c->members[1];
    Value *least = lt_build_reduce(&im->b, FN_MIN, shapes, &first, 1, false);
    Value *most = lt_build_reduce(&im->b, FN_MAX, shapes, &first, 1, false);
    Value *differs = lt_build_map2(&im->b, FN_SUB, most, least), *all = most;
    if (axis >= 0) {
        bool flags[LT_MAX_RANK];
        const int64_t count = rank;
        for (int i = 0; i < rank; i++)
            flags[i] = i == axis;
        Value *is_axis = lt_build_const(
            &im->b, lt_const(im->module, lt_type_static(im->module, DT_BOOL, 1, &count),
                             lt_arena_copy(im->arena, flags, sizeof flags)));
        Value *sum = lt_build_reduce(&im->b, FN_ADD, shapes, &first, 1, false);
        differs =
            lt_build_map3(&im->b, FN_SELECT, is_axis, lt_build_int(&im->b, DT_I64, 0), differs);
        all = lt_build_map3(&im->b, FN_SELECT, is_axis, sum, most);
    }
    if (rank == 0)
        return lt_onnx_dim_array(im, 0);
    Value *parts[] = {least, all, most, lt_onnx_volume(im, all),
                      lt_build_reduce(&im->b, FN_MAX, differs, &first, 1, true)};
    const Dim *const *bound =
        lt_onnx_bind_sizes(im, lt_build_concat(&im->b, parts, 5, 0), "common");
    if (!bound)
        return NULL;
    lt_graph_add_guard(im->b.graph, bound[3 * rank + 1], lt_dim_const(im->dims, 0), im->node->loc);
    if (axis >= 0 && !lt_onnx_at_most(im, bound[2 * rank + axis], bound[rank + axis], "a part"))
        return NULL;
    return bound + rank; /* `least` is bound so that nothing is negative */
}

/* values[total] as a tensor of these dims. */
static Value *shaped(Import *im, const Compound *c, int rank, const Dim *const *dims) {
    lt_graph_add_guard(im->b.graph, c->members[0]->type->dims[0],
                       lt_dim_product(im->dims, dims, rank), im->node->loc);
    return lt_build_reshape(&im->b, flat(im, c->members[0], lt_dim_product(im->dims, dims, rank)),
                            rank, dims);
}

static Value *stack_packed(Import *im, const Compound *c, int rank, int axis) {
    const Dim *const *dims = common_extents(im, c, rank, -1);
    const Dim *all[LT_MAX_RANK] = {lt_onnx_sequence_length_dim(im, c)};
    int64_t perm[LT_MAX_RANK];
    if (!dims)
        return NULL;
    for (int i = 0; i < rank; i++)
        all[i + 1] = dims[i];
    for (int i = 0; i <= rank; i++)
        perm[i] = i == axis ? 0 : i < axis ? i + 1 : i;
    return lt_build_transpose(&im->b, shaped(im, c, rank + 1, all), perm);
}

static Value *join_packed(Import *im, const Compound *c, int rank, int axis) {
    const Dim *const *dims = common_extents(im, c, rank, axis);
    const Dim *zero = lt_dim_const(im->dims, 0), *one = lt_dim_const(im->dims, 1);
    if (!dims || axis == 0)
        return dims ? shaped(im, c, rank, dims) : NULL;
    Parts p = {.count = lt_onnx_sequence_length_dim(im, c)};
    set_extents(im, &p, dims, rank, axis);
    lt_graph_add_guard(im->b.graph, c->members[0]->type->dims[0], p.total, im->node->loc);
    Value *column = lt_onnx_slice_axis(im, c->members[1], 1, lt_dim_const(im->dims, axis), one);
    p.sizes = lt_build_reshape(&im->b, column, 1, &p.count);
    Value *ends = lt_onnx_running_sum(im, p.sizes);
    p.starts = ends ? lt_build_map2(&im->b, FN_SUB, ends, p.sizes) : NULL;
    Value *at = p.starts ? places(im, &p) : NULL;
    Value *values = lt_onnx_slice_axis(im, c->members[0], 0, zero, p.total);
    return at ? lt_build_reshape(&im->b, lt_build_gather(&im->b, values, at, 0), rank, dims) : NULL;
}

static Value *join_list(Import *im, const Compound *c, int64_t axis, bool is_new) {
    Value **parts = LT_ARRAY(im->arena, Value *, c->count);
    for (uint32_t i = 0; i < c->count; i++)
        parts[i] = is_new ? lt_build_unsqueeze(&im->b, c->members[i], &axis, 1) : c->members[i];
    return lt_build_concat(&im->b, parts, c->count, (int)axis);
}

bool lt_onnx_concat_from_sequence(Import *im) {
    Compound *c = lt_onnx_sequence_in(im, 0);
    const bool is_new = lt_onnx_int(im, "new_axis", 0) != 0;
    int64_t axis = lt_onnx_int(im, "axis", INT64_MIN);
    if (!c)
        return false;
    if (axis == INT64_MIN)
        return lt_onnx_malformed(im, "attribute axis is missing");
    const CompoundForm *element = c->form->element;
    if (element->kind != COMPOUND_NONE || element->rank < 0)
        return lt_onnx_unsupported(im, "the elements, %s, are not known to be of one rank",
                                   lt_onnx_form_text(im, element));
    if (!lt_onnx_axis(im, axis, element->rank + is_new, &axis))
        return false;
    if (element->rank + is_new > LT_MAX_RANK)
        return lt_onnx_unsupported(im, "the result's rank is more than %d", LT_MAX_RANK);
    if (!lt_onnx_at_most(im, lt_dim_const(im->dims, 1), lt_onnx_sequence_length_dim(im, c),
                         "the least number of elements"))
        return false;
    if (c->is_list)
        return onnx_set(im, 0, join_list(im, c, axis, is_new));
    if (c->cut && c->cut->axis == axis && c->cut->keep != is_new)
        return onnx_set(im, 0, c->members[0]); /* together again */
    if (!(c = lt_onnx_packed(im, c)))
        return false;
    return onnx_set(im, 0,
                    is_new ? stack_packed(im, c, element->rank, (int)axis)
                           : join_packed(im, c, element->rank, (int)axis));
}
