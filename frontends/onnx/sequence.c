/* sequence.c - elements of sequences: found, added and taken out.
 *
 * A list answers while compiling. Of a packed sequence, an element's data begins behind that of all
 * before it: a sum over the rows of `shapes`, which `bind` makes a symbol, as it does the element's
 * extents. Guards keep both inside of `values`, whatever the shapes say. */
#include "frontends/onnx/sequence.h"

#include "frontends/onnx/extents.h"

/* Lists that a run indexes are stacked up to this length where all elements have one type. */
enum { MOST_STACKED = 64 };

static const Dim *zero(Import *im) { return lt_dim_const(im->dims, 0); }

bool lt_onnx_at_most(Import *im, const Dim *a, const Dim *b, const char *what) {
    int64_t least, most, unused;
    lt_dim_range(im->dims, a, &least, &unused);
    lt_dim_range(im->dims, b, &unused, &most);
    if (least > most)
        return lt_onnx_malformed(im, "%s is %s, which is more than %s", what,
                                 lt_onnx_dim_text(im, a), lt_onnx_dim_text(im, b));
    const Dim *larger = lt_dim_max(im->dims, a, b);
    if (larger != b)
        lt_graph_add_guard(im->b.graph, larger, b, im->node->loc);
    return true;
}

Compound *lt_onnx_packed(Import *im, Compound *c) {
    Value *members[COMPOUND_MEMBERS];
    if (compound_is_packed(c))
        return c;
    if (!lt_onnx_pack(im, &c->handle, c->form, members))
        return NULL;
    return compound_of(lt_onnx_unpack(im, c->form, members));
}

const Dim *lt_onnx_sequence_length_dim(Import *im, const Compound *c) {
    if (c->cut)
        return lt_dim_ceildiv(im->dims, c->members[0]->type->dims[c->cut->axis], c->cut->size);
    return c->is_list ? lt_dim_const(im->dims, c->count) : c->members[1]->type->dims[0];
}

const Dim *const *lt_onnx_bind_sizes(Import *im, Value *v, const char *prefix) {
    const Dim *const *dims = lt_onnx_bind_elements(im, v, prefix);
    int64_t count = 0;
    if (dims)
        lt_type_is_static(v->type, &count);
    for (int64_t i = 0; i < count; i++)
        lt_dim_set_range(im->dims, dims[i], 0, INT64_C(1) << 52);
    return dims;
}

Value *lt_onnx_volume(Import *im, Value *extents) {
    Value *wide = extents ? lt_onnx_map_scalar(im, FN_MAX, extents, 1) : NULL;
    wide = lt_build_reduce(&im->b, FN_MUL, lt_build_convert(&im->b, wide, DT_F64), (int64_t[]){0},
                           1, true);
    return lt_build_convert(&im->b, wide, DT_I64); /* saturates */
}

/* One number that a run tells, 0 or more. */
static const Dim *bind_number(Import *im, Value *v, const char *prefix) {
    const Dim *const *dims = lt_onnx_bind_sizes(im, v, prefix);
    return dims ? dims[0] : NULL;
}

/* Which of `length` elements; `limit` is one more than the largest that is allowed. */
static const Dim *find_position(Import *im, Value *v, const Dim *length, const Dim *limit) {
    const Dim *at = NULL;
    int64_t elements;
    if (!lt_type_is_static(v->type, &elements) || elements != 1 ||
        lt_dtype_is_float(v->type->dtype)) {
        lt_onnx_malformed(im, "a position must be one integer");
        return NULL;
    }
    const Const *c = lt_onnx_const(im, v);
    if (c) {
        at = lt_dim_const(im->dims, lt_const_get_int(c, 0));
        if (at->value < 0)
            at = lt_dim_add(im->dims, length, at);
        if (!lt_onnx_at_most(im, zero(im), at, "a position that is counted from the back"))
            return NULL;
    } else {
        v = lt_build_convert(&im->b, lt_build_reshape(&im->b, v, 0, NULL), DT_I64);
        Value *back = lt_build_map2(&im->b, FN_ADD, v, lt_onnx_dim_value(im, length, DT_I64));
        Value *is_back = v ? lt_onnx_map_scalar(im, FN_LT, v, 0) : NULL;
        at = bind_number(im, lt_build_map3(&im->b, FN_SELECT, is_back, back, v), "position");
    }
    const bool inside = at && lt_onnx_at_most(im, lt_dim_add_const(im->dims, at, 1), limit,
                                              "the position, counted from 1,");
    return inside ? at : NULL;
}

const Dim *lt_onnx_position(Import *im, Value *v, const Dim *length) {
    return find_position(im, v, length, length);
}

const Dim *lt_onnx_insert_position(Import *im, Value *v, const Dim *length) {
    return find_position(im, v, length, lt_dim_add_const(im->dims, length, 1));
}

/* --- the data of elements --------------------------------------------------------------------- */

Value *lt_onnx_element_sizes(Import *im, const Compound *packed) {
    Value *shapes = packed->members[1];
    if (packed->form->element->rank < 0) {
        Value *is_short = lt_onnx_map_scalar(im, FN_LT, shapes, 0);
        shapes =
            lt_build_map3(&im->b, FN_SELECT, is_short, lt_build_int(&im->b, DT_I64, 1), shapes);
    }
    return lt_build_reduce(&im->b, FN_MUL, shapes, (int64_t[]){1}, 1, false);
}

/* i64[1]: where the data of the element at `at` begins. */
static Value *offset_of(Import *im, Value *sizes, const Dim *at) {
    Value *before = lt_onnx_slice_axis(im, sizes, 0, zero(im), at);
    return lt_build_reduce(&im->b, FN_ADD, before, (int64_t[]){0}, 1, true);
}

/* Rows from..from + count of shapes. */
static Value *rows(Import *im, Value *shapes, const Dim *from, const Dim *count) {
    return lt_onnx_slice_axis(im, shapes, 0, from, count);
}

/* --- at --------------------------------------------------------------------------------------- */

/* The element has no more axes than these. */
static bool check_row_ends(Import *im, Value *shapes, const Dim *at, int rank) {
    const Dim *all = shapes->type->dims[1], *used = lt_dim_const(im->dims, rank);
    if (!lt_onnx_at_most(im, used, all, "the rank of the element"))
        return false;
    if (all == used)
        return true;
    Value *row = rows(im, shapes, at, lt_dim_const(im->dims, 1));
    Value *rest = lt_onnx_slice_axis(im, row, 1, used, lt_dim_sub(im->dims, all, used));
    Value *most = lt_build_reduce(&im->b, FN_MAX, rest, (int64_t[]){0, 1}, 2, false);
    most = lt_onnx_map_scalar(im, FN_ADD, lt_onnx_map_scalar(im, FN_MAX, most, -1), 1);
    const Dim *more = bind_number(im, most, "axes");
    if (more)
        lt_graph_add_guard(im->b.graph, more, zero(im), im->node->loc);
    return more != NULL;
}

static Value *packed_at(Import *im, const Compound *c, const Dim *at, int rank) {
    const int own = c->form->element->rank;
    Value *values = c->members[0], *shapes = c->members[1];
    rank = own >= 0 ? own : rank;
    if (rank < 0) {
        lt_onnx_unsupported(im, "the rank of the sequence's elements is not known, or differs");
        return NULL;
    }
    if (own < 0 && !check_row_ends(im, shapes, at, rank))
        return NULL;
    Value *parts[3] = {offset_of(im, lt_onnx_element_sizes(im, c), at)};
    const Dim *length = lt_dim_const(im->dims, rank);
    Value *row = rows(im, shapes, at, lt_dim_const(im->dims, 1));
    row = row ? lt_onnx_slice_axis(im, row, 1, zero(im), length) : NULL;
    parts[1] = lt_build_reshape(&im->b, row, 1, &length);
    parts[2] = rank ? lt_onnx_volume(im, parts[1]) : NULL;
    Value *all = rank ? lt_build_concat(&im->b, parts, 3, 0) : parts[0];
    const Dim *const *bound = lt_onnx_bind_sizes(im, all, "element");
    if (!bound)
        return NULL;
    const Dim *size = lt_dim_product(im->dims, bound + 1, rank);
    if (!lt_onnx_at_most(im, lt_dim_add(im->dims, bound[0], size), values->type->dims[0],
                         "the end of the element"))
        return NULL;
    return lt_build_reshape(&im->b, lt_onnx_slice_axis(im, values, 0, bound[0], size), rank,
                            bound + 1);
}

static bool have_one_type(const Compound *list) {
    for (uint32_t i = 0; i < list->count; i++)
        if (list->members[i]->type != list->members[0]->type || compound_of(list->members[i]))
            return false;
    return list->count > 0 && list->members[0]->type->rank < LT_MAX_RANK;
}

/* Elements of one type: an element of them as one tensor. */
static Value *stacked_at(Import *im, const Compound *list, const Dim *at) {
    Value **parts = LT_ARRAY(im->arena, Value *, list->count);
    for (uint32_t i = 0; i < list->count; i++)
        parts[i] = lt_build_unsqueeze(&im->b, list->members[i], (int64_t[]){0}, 1);
    return lt_build_gather(&im->b, lt_build_concat(&im->b, parts, list->count, 0),
                           lt_onnx_dim_value(im, at, DT_I64), 0);
}

static Value *part_at(Import *im, const Compound *c, const Dim *at) {
    const CompoundCut *cut = c->cut;
    const Dim *start = lt_dim_mul(im->dims, at, cut->size);
    const Dim *left = lt_dim_sub(im->dims, c->members[0]->type->dims[cut->axis], start);
    const Dim *size = lt_dim_is(cut->size, 1) ? cut->size : lt_dim_min(im->dims, cut->size, left);
    Value *part = lt_onnx_slice_axis(im, c->members[0], cut->axis, start, size);
    return cut->keep ? part : lt_build_squeeze(&im->b, part, &(int64_t){cut->axis}, 1);
}

Value *lt_onnx_element_at(Import *im, Compound *c, const Dim *at, int rank) {
    if (c->cut)
        return part_at(im, c, at);
    if (c->is_list && lt_dim_is_const(at))
        return c->members[at->value];
    if (c->is_list && c->count <= MOST_STACKED && have_one_type(c))
        return stacked_at(im, c, at);
    c = lt_onnx_packed(im, c);
    return c ? packed_at(im, c, at, rank) : NULL;
}

/* --- in and out ------------------------------------------------------------------------------- */

/* Rows of -1 where elements lack axes: i64[n, r] as i64[n, wide]. */
static Value *widen(Import *im, Value *shapes, const Dim *wide) {
    const Dim *own = shapes->type->dims[1];
    const Dim *lo[] = {zero(im), zero(im)}, *hi[] = {zero(im), lt_dim_sub(im->dims, wide, own)};
    return wide == own
               ? shapes
               : lt_build_pad(&im->b, shapes, lo, hi, NULL, lt_const_int(im->module, DT_I64, -1));
}

/* i64[1, wide] of one tensor. */
static Value *row_of(Import *im, const Type *type, const Dim *wide) {
    const Dim *shape[] = {lt_dim_const(im->dims, 1), lt_dim_const(im->dims, type->rank)};
    Value *row =
        type->rank
            ? lt_build_reshape(&im->b, lt_build_dims(&im->b, type->rank, type->dims), 2, shape)
            : lt_onnx_full(im, DT_I64, 2, shape, lt_build_int(&im->b, DT_I64, 0));
    return row ? widen(im, row, wide) : NULL;
}

/* `part`, or nothing where that is NULL, instead of `size` elements of axis 0. */
static Value *replace(Import *im, Value *v, const Dim *from, const Dim *size, Value *part) {
    const Dim *end = lt_dim_add(im->dims, from, size);
    Value *parts[3];
    uint32_t count = 0;
    parts[count++] = lt_onnx_slice_axis(im, v, 0, zero(im), from);
    if (part)
        parts[count++] = part;
    parts[count++] = lt_onnx_slice_axis(im, v, 0, end, lt_dim_sub(im->dims, v->type->dims[0], end));
    return lt_build_concat(&im->b, parts, count, 0);
}

static Value *list_with(Import *im, const Compound *c, Value *v, const Dim *at) {
    const uint32_t position = at ? (uint32_t)at->value : c->count;
    Value **elements = LT_ARRAY(im->arena, Value *, c->count + 1);
    for (uint32_t i = 0; i <= c->count; i++)
        elements[i] = i == position ? v : c->members[i - (i > position)];
    const CompoundForm *element = c->count ? c->form->element : NULL;
    return lt_onnx_list(im, element, elements, c->count + 1);
}

/* The packed sequence in the form that an element of `own` fits into. */
static Compound *fit(Import *im, Compound *c, const CompoundForm *own) {
    Value *members[COMPOUND_MEMBERS];
    const CompoundForm *element = lt_onnx_form_join(im, c->form->element, own);
    if (!element || own->kind != COMPOUND_NONE) {
        lt_onnx_malformed(im, "%s cannot be put into %s", lt_onnx_form_text(im, own),
                          lt_onnx_form_text(im, c->form));
        return NULL;
    }
    const CompoundForm *form = lt_onnx_form(im, COMPOUND_SEQUENCE, element);
    return lt_onnx_pack(im, &c->handle, form, members)
               ? compound_of(lt_onnx_unpack(im, form, members))
               : NULL;
}

Value *lt_onnx_with_element(Import *im, Compound *c, Value *v, const Dim *at) {
    if (c->is_list && (!at || lt_dim_is_const(at)))
        return list_with(im, c, v, at);
    c = fit(im, c, lt_onnx_form_of(im, v));
    if (!c)
        return NULL;
    Value *values = c->members[0], *shapes = c->members[1];
    const Dim *none = zero(im), *total = lt_type_elements(im->module, v->type);
    const Dim *wide =
        lt_dim_max(im->dims, shapes->type->dims[1], lt_dim_const(im->dims, v->type->rank));
    Value *data = lt_build_reshape(&im->b, v, 1, &total), *row = row_of(im, v->type, wide);
    shapes = widen(im, shapes, wide);
    Value *members[2];
    if (!shapes || !row || !data)
        return NULL;
    if (!at) {
        members[0] = lt_build_concat(&im->b, (Value *[]){values, data}, 2, 0);
        members[1] = lt_build_concat(&im->b, (Value *[]){shapes, row}, 2, 0);
    } else {
        const Dim *offset =
            bind_number(im, offset_of(im, lt_onnx_element_sizes(im, c), at), "offset");
        if (!offset || !lt_onnx_at_most(im, offset, values->type->dims[0], "the element's place"))
            return NULL;
        members[0] = replace(im, values, offset, none, data);
        members[1] = replace(im, shapes, at, none, row);
    }
    return members[0] && members[1] ? lt_onnx_compound(im, c->form, members, 2) : NULL;
}

static Value *list_without(Import *im, const Compound *c, uint32_t position) {
    Value **elements = LT_ARRAY(im->arena, Value *, c->count);
    for (uint32_t i = 0; i + 1 < c->count; i++)
        elements[i] = c->members[i + (i >= position)];
    return lt_onnx_list(im, c->form->element, elements, c->count - 1);
}

Value *lt_onnx_without_element(Import *im, Compound *c, const Dim *at) {
    if (c->is_list && lt_dim_is_const(at))
        return list_without(im, c, (uint32_t)at->value);
    if (!(c = lt_onnx_packed(im, c)))
        return NULL;
    Value *values = c->members[0], *shapes = c->members[1], *sizes = lt_onnx_element_sizes(im, c);
    const Dim *one = lt_dim_const(im->dims, 1);
    Value *parts[] = {offset_of(im, sizes, at), lt_onnx_slice_axis(im, sizes, 0, at, one)};
    const Dim *const *bound =
        lt_onnx_bind_sizes(im, lt_build_concat(&im->b, parts, 2, 0), "erased");
    if (!bound || !lt_onnx_at_most(im, lt_dim_add(im->dims, bound[0], bound[1]),
                                   values->type->dims[0], "the end of the element"))
        return NULL;
    Value *members[] = {replace(im, values, bound[0], bound[1], NULL),
                        replace(im, shapes, at, one, NULL)};
    return members[0] && members[1] ? lt_onnx_compound(im, c->form, members, 2) : NULL;
}

Value *lt_onnx_present(Import *im, Value *v) {
    Compound *c = compound_kind(v) == COMPOUND_OPTIONAL ? compound_of(v) : NULL;
    if (!c)
        return v;
    const Const *has = lt_onnx_const(im, c->members[0]);
    if (!c->members[1] || (has && !lt_const_get_int(has, 0))) {
        lt_onnx_malformed(im, "the optional is empty");
        return NULL;
    }
    if (!has) {
        const Dim *flag = bind_number(im, c->members[0], "present");
        if (!flag)
            return NULL;
        lt_graph_add_guard(im->b.graph, flag, lt_dim_const(im->dims, 1), im->node->loc);
    }
    return c->members[1];
}
