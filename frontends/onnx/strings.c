/* strings.c - tensors of strings as tensors of bytes and numbers. */
#include "frontends/onnx/strings.h"

#include <string.h>

#include "frontends/onnx/extents.h"

static const int64_t first_axis[] = {0}, last_axis[] = {1};

static Value *column(Import *im, Value *v) { return lt_build_unsqueeze(&im->b, v, last_axis, 1); }

static Value *flat(Import *im, Value *v) {
    const Dim *elements = v ? lt_type_elements(im->module, v->type) : NULL;
    return !v || v->type->rank == 1 ? v : lt_build_reshape(&im->b, v, 1, &elements);
}

/* --- positions -------------------------------------------------------------------------------- */

static Value *cumulate(Import *im, Value *v, bool exclusive) {
    const Attr attrs[] = {lt_int(ATTR_FN, FN_ADD), lt_int(ATTR_AXIS, 0),
                          lt_int(ATTR_EXCLUSIVE, exclusive)};
    NodeSpec spec = {
        .op = OP_SCANREDUCE, .inputs = &v, .input_count = 1, .attrs = attrs, .attr_count = 3};
    return v ? lt_build(&im->b, &spec) : NULL;
}

Value *lt_onnx_sums_before(Import *im, Value *counts) { return cumulate(im, counts, true); }

Value *lt_onnx_scatter_add(Import *im, Value *data, Value *indices, Value *updates) {
    Value *inputs[] = {data, indices, updates};
    const Attr attrs[] = {lt_int(ATTR_AXIS, 0), lt_int(ATTR_FN, FN_ADD)};
    NodeSpec spec = {.op = OP_SCATTER_ELEMENTS,
                     .inputs = inputs,
                     .input_count = 3,
                     .attrs = attrs,
                     .attr_count = 2};
    return data && indices && updates ? lt_build(&im->b, &spec) : NULL;
}

/* Where there may be no element at all, one is put behind. */
Value *lt_onnx_gather_open(Import *im, Value *data, Value *index) {
    int64_t least, most;
    if (!data || !index)
        return NULL;
    const Dim *last = lt_dim_add_const(im->dims, data->type->dims[0], -1);
    lt_dim_range(im->dims, last, &least, &most);
    if (least < 0) {
        const Dim *none = lt_dim_const(im->dims, 0), *one = lt_dim_const(im->dims, 1);
        data = lt_build_pad(&im->b, data, &none, &one, NULL, NULL);
        last = lt_dim_add_const(im->dims, last, 1);
    }
    index = onnx_map2(im, FN_MIN, index, lt_onnx_dim_value(im, last, DT_I64));
    return lt_build_gather(&im->b, data, index, 0);
}

/* The owner of a position is as many as end at it or before: a one is added where each ends, and
 * the sums tell. One place more holds those that end behind the last position. */
bool lt_onnx_spread(Import *im, Value *counts, Spread *out) {
    if (!out->total) {
        Value *sum = lt_build_reduce(&im->b, FN_ADD, counts, first_axis, 1, false);
        out->total = sum ? lt_onnx_extent(im, sum, "the number of bytes") : NULL;
    }
    if (!out->total || !counts)
        return false;
    const Dim *places = lt_dim_add_const(im->dims, out->total, 1);
    out->starts = lt_onnx_sums_before(im, counts);
    Value *ends = onnx_map2(im, FN_ADD, out->starts, counts);
    Value *ones = lt_onnx_full(im, DT_I64, 1, counts->type->dims, lt_build_int(&im->b, DT_I64, 1));
    Value *none = lt_onnx_full(im, DT_I64, 1, &places, lt_build_int(&im->b, DT_I64, 0));
    Value *ended = cumulate(im, lt_onnx_scatter_add(im, none, ends, ones), false);
    out->owner = lt_onnx_slice_axis(im, ended, 0, lt_dim_const(im->dims, 0), out->total);
    out->offset = onnx_map2(im, FN_SUB, lt_build_iota(&im->b, DT_I64, 1, &out->total, 0),
                            lt_build_gather(&im->b, out->starts, out->owner, 0));
    return out->offset != NULL;
}

/* --- tensors of strings ----------------------------------------------------------------------- */

Strings lt_strings_const(Import *im, const OnnxText *texts, int rank, const int64_t *dims) {
    int64_t count = 1, total = 0;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    int64_t *lengths = lt_onnx_int_array(im, count, 0);
    for (int64_t i = 0; i < count; i++)
        total += lengths[i] = (int64_t)texts[i].length;
    char *bytes = lt_arena_alloc(im->arena, (size_t)total + 1), *at = bytes;
    for (int64_t i = 0; i < count; at += lengths[i], i++)
        memcpy(at, texts[i].text, texts[i].length);
    const Type *type = lt_type_static(im->module, DT_U8, 1, &total);
    const Type *shape = lt_type_static(im->module, DT_I64, rank, dims);
    return (Strings){.bytes = lt_build_const(&im->b, lt_const(im->module, type, bytes)),
                     .lengths = lt_build_const(&im->b, lt_const(im->module, shape, lengths))};
}

Value *lt_strings_starts(Import *im, const Strings *s) {
    if (s->starts || !s->lengths)
        return s->starts;
    const Type *type = s->lengths->type;
    Value *starts = lt_onnx_sums_before(im, flat(im, s->lengths));
    return type->rank == 1 ? starts : lt_build_reshape(&im->b, starts, type->rank, type->dims);
}

Strings lt_strings_reshape(Import *im, const Strings *s, int rank, const Dim *const *shape) {
    Strings r = {.bytes = s->bytes};
    if (s->starts)
        r.starts = lt_build_reshape(&im->b, s->starts, rank, shape);
    r.lengths = lt_build_reshape(&im->b, s->lengths, rank, shape);
    return r;
}

Strings lt_strings_flat(Import *im, const Strings *s) {
    return (Strings){s->bytes, flat(im, s->starts), flat(im, s->lengths)};
}

Strings lt_strings_dense(Import *im, const Strings *s) {
    if (!s->starts)
        return *s;
    Spread spread = {0};
    if (!lt_onnx_spread(im, flat(im, s->lengths), &spread))
        return (Strings){0};
    Value *at = lt_build_gather(&im->b, flat(im, s->starts), spread.owner, 0);
    at = onnx_map2(im, FN_ADD, at, spread.offset);
    return (Strings){.bytes = lt_build_gather(&im->b, s->bytes, at, 0), .lengths = s->lengths};
}

Strings lt_strings_gather(Import *im, const Strings *s, Value *index) {
    return (Strings){s->bytes, lt_build_gather(&im->b, lt_strings_starts(im, s), index, 0),
                     lt_build_gather(&im->b, s->lengths, index, 0)};
}

/* --- rows of bytes ---------------------------------------------------------------------------- */

/* i64[1, longest]: 0, 1, ... */
static Value *places(Import *im, const Dim *longest) {
    const Dim *shape[] = {lt_dim_const(im->dims, 1), longest};
    return lt_build_iota(&im->b, DT_I64, 2, shape, 1);
}

Value *lt_strings_rows(Import *im, const Strings *s, const Dim *longest) {
    Value *at = onnx_map2(im, FN_ADD, column(im, lt_strings_starts(im, s)), places(im, longest));
    return lt_onnx_gather_open(im, s->bytes, at);
}

Value *lt_strings_inside(Import *im, Value *lengths, const Dim *longest) {
    return onnx_map2(im, FN_LT, places(im, longest), column(im, lengths));
}

Value *lt_strings_same(Import *im, const Strings *a, const Strings *b, const Dim *longest) {
    Value *equal =
        onnx_map2(im, FN_EQ, lt_strings_rows(im, a, longest), lt_strings_rows(im, b, longest));
    Value *outside = lt_build_map1(&im->b, FN_NOT, lt_strings_inside(im, a->lengths, longest));
    Value *all =
        lt_build_reduce(&im->b, FN_AND, onnx_map2(im, FN_OR, equal, outside), last_axis, 1, false);
    all = onnx_map2(im, FN_AND, all, onnx_map2(im, FN_EQ, a->lengths, b->lengths));
    Value *most = lt_onnx_dim_value(im, longest, DT_I64);
    return onnx_map2(im, FN_AND, all, onnx_map2(im, FN_LE, a->lengths, most));
}

const Dim *lt_strings_longest(Import *im, Value *lengths) {
    Value *most = lt_build_reduce(&im->b, FN_MAX, flat(im, lengths), first_axis, 1, false);
    most = lt_onnx_map_scalar(im, FN_MAX, most, 0);
    return most ? lt_onnx_extent(im, most, "the longest string") : NULL;
}
