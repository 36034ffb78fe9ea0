/* ops_sequence_split.c - tensors into sequences and back. */
#include "frontends/onnx/extents.h"
#include "frontends/onnx/sequence.h"

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

bool lt_onnx_split_to_sequence(Import *im) {
    Value *split = onnx_in(im, 1);
    Splitting s = {.x = im->inputs[0], .keep = split || lt_onnx_int(im, "keepdims", 1)};
    int64_t axis, size = 1, count;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), s.x->type->rank, &axis))
        return false;
    s.axis = (int)axis;
    const Dim *extent = s.x->type->dims[axis];
    if (split && split->type->rank > 0 && lt_type_is_static(split->type, &count) &&
        count <= MOST_PARTS) {
        const Dim *const *sizes = lt_onnx_extents(im, split, "the list of split sizes", &count);
        return sizes && list_of_parts(im, &s, sizes, count);
    }
    const bool is_known = !split || (split->type->rank == 0 && lt_onnx_const(im, split));
    if (split && is_known && !lt_onnx_number(im, split, "the size of parts", &size))
        return false;
    if (is_known && size < 1)
        return lt_onnx_malformed(im, "parts of %lld elements", (long long)size);
    if (is_known && lt_dim_is_const(extent) && extent->value / size < MOST_PARTS)
        return list_of_chunks(im, &s, extent->value, size);
    return lt_onnx_unsupported(im, "the number of parts is not known");
}

/* --- ConcatFromSequence ----------------------------------------------------------------------- */

bool lt_onnx_concat_from_sequence(Import *im) {
    const Compound *c = lt_onnx_sequence_in(im, 0);
    const bool is_new = lt_onnx_int(im, "new_axis", 0) != 0;
    int64_t axis = lt_onnx_int(im, "axis", INT64_MIN);
    if (!c)
        return false;
    if (axis == INT64_MIN)
        return lt_onnx_malformed(im, "attribute axis is missing");
    const int rank = c->form->element->rank;
    if (c->form->element->kind != COMPOUND_NONE || rank < 0)
        return lt_onnx_unsupported(im, "the elements are %s of no single rank",
                                   lt_onnx_form_text(im, c->form->element));
    if (!lt_onnx_axis(im, axis, rank + is_new, &axis))
        return false;
    if (!c->is_list)
        return lt_onnx_unsupported(im, "the number of elements is not known");
    if (c->count == 0)
        return lt_onnx_malformed(im, "the sequence is empty");
    Value **parts = LT_ARRAY(im->arena, Value *, c->count);
    for (uint32_t i = 0; i < c->count; i++)
        parts[i] = is_new ? lt_build_unsqueeze(&im->b, c->members[i], &axis, 1) : c->members[i];
    return onnx_set(im, 0, lt_build_concat(&im->b, parts, c->count, (int)axis));
}
