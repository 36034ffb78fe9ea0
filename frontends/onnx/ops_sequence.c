/* ops_sequence.c - sequences of tensors, and optional values. */
#include <string.h>

#include "frontends/onnx/sequence.h"

/* --- sequences -------------------------------------------------------------------------------- */

bool lt_onnx_sequence_construct(Import *im) {
    for (uint32_t i = 0; i < im->input_count; i++)
        if (!im->inputs[i])
            return lt_onnx_malformed(im, "input %u is missing", i);
    return onnx_set(im, 0, lt_onnx_list(im, NULL, im->inputs, im->input_count));
}

bool lt_onnx_sequence_empty(Import *im) {
    DType dtype;
    const int64_t type = lt_onnx_int(im, "dtype", ONNX_FLOAT);
    CompoundForm *element = lt_onnx_form(im, COMPOUND_STRINGS, NULL);
    if (type != ONNX_STRING) {
        if (!lt_onnx_dtype(type, &dtype))
            return lt_onnx_unsupported(im, "elements of type %s are not supported",
                                       lt_onnx_data_type_name(type));
        *element = (CompoundForm){.dtype = dtype};
    }
    element->rank = RANK_OPEN;
    return onnx_set(im, 0, lt_onnx_list(im, element, NULL, 0));
}

bool lt_onnx_sequence_length(Import *im) {
    const Compound *c = lt_onnx_sequence_in(im, 0);
    return c && onnx_set(im, 0, lt_onnx_dim_value(im, lt_onnx_sequence_length_dim(im, c), DT_I64));
}

/* The rank that the file declares for an output of the node at hand. */
static int declared_rank(const Import *im, uint32_t output) {
    const OnnxGraph *g = im->scope->graph;
    const char *name = im->node->outputs.data[output];
    for (size_t i = 0; g && i < g->outputs.len + g->values.len; i++) {
        const OnnxValueInfo *v =
            i < g->outputs.len ? &g->outputs.data[i] : &g->values.data[i - g->outputs.len];
        const bool is_told = v->type.kind == ONNX_TYPE_TENSOR && v->type.has_shape;
        if (is_told && strcmp(v->name, name) == 0 && v->type.dims.len <= LT_MAX_RANK)
            return (int)v->type.dims.len;
    }
    return RANK_OPEN;
}

bool lt_onnx_sequence_at(Import *im) {
    Compound *c = lt_onnx_sequence_in(im, 0);
    Value *position = c ? lt_onnx_tensor_in(im, 1) : NULL;
    const Dim *at =
        position ? lt_onnx_position(im, position, lt_onnx_sequence_length_dim(im, c)) : NULL;
    return at && onnx_set(im, 0, lt_onnx_element_at(im, c, at, declared_rank(im, 0)));
}

bool lt_onnx_sequence_insert(Import *im) {
    Compound *c = lt_onnx_sequence_in(im, 0);
    Value *v = im->inputs[1], *position = onnx_in(im, 2);
    const Dim *at = NULL;
    if (!c || (position && !lt_onnx_tensor_in(im, 2)))
        return false;
    if (position) {
        at = lt_onnx_insert_position(im, position, lt_onnx_sequence_length_dim(im, c));
        if (!at)
            return false;
    }
    return onnx_set(im, 0, lt_onnx_with_element(im, c, v, at));
}

bool lt_onnx_sequence_erase(Import *im) {
    Compound *c = lt_onnx_sequence_in(im, 0);
    Value *position = onnx_in(im, 1);
    if (!c || (position && !lt_onnx_tensor_in(im, 1)))
        return false;
    if (!position)
        position = lt_build_int(&im->b, DT_I64, -1);
    const Dim *at = lt_onnx_position(im, position, lt_onnx_sequence_length_dim(im, c));
    return at && onnx_set(im, 0, lt_onnx_without_element(im, c, at));
}

/* --- optionals -------------------------------------------------------------------------------- */

/* A type of what is absent: ranks that it does not tell may become any. */
static const CompoundForm *form_of_absent(Import *im, const CompoundForm *form) {
    CompoundForm *open = lt_arena_copy(im->arena, form, sizeof *form);
    if (open->rank < 0)
        open->rank = RANK_OPEN;
    if (open->element)
        open->element = form_of_absent(im, open->element);
    return open;
}

bool lt_onnx_optional(Import *im) {
    Value *v = onnx_in(im, 0);
    const char *reason;
    const OnnxAttribute *type = lt_onnx_attribute(im, "type", ONNX_ATTR_TYPE);
    const CompoundForm *element = v ? lt_onnx_form_of(im, v) : NULL;
    if (!v && !type)
        return lt_onnx_malformed(im, "it has neither an input nor a type");
    if (!v && !(element = lt_onnx_form_of_type(im, type->tp, &reason)))
        return lt_onnx_unsupported(im, "its type is %s", reason);
    if (!v)
        element = form_of_absent(im, element);
    if (element->kind == COMPOUND_OPTIONAL)
        return lt_onnx_unsupported(im, "an optional of an optional is not supported");
    Value *members[] = {lt_build_const(&im->b, lt_const_int(im->module, DT_BOOL, v != NULL)), v};
    const CompoundForm *form = lt_onnx_form(im, COMPOUND_OPTIONAL, element);
    return onnx_set(im, 0, lt_onnx_compound(im, form, members, 2));
}

bool lt_onnx_optional_has_element(Import *im) {
    Value *v = onnx_in(im, 0);
    if (compound_kind(v) == COMPOUND_OPTIONAL)
        return onnx_set(im, 0, compound_of(v)->members[0]);
    return onnx_set(im, 0, lt_build_const(&im->b, lt_const_int(im->module, DT_BOOL, v != NULL)));
}

bool lt_onnx_optional_get_element(Import *im) {
    return onnx_set(im, 0, lt_onnx_present(im, im->inputs[0]));
}
