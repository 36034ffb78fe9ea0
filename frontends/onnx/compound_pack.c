/* compound_pack.c - compounds as a fixed number of tensors: what crosses the borders of branches,
 * loops and the graph. */
#include "frontends/onnx/sequence.h"
#include "frontends/onnx/strings.h"

/* T[n] of the elements' data. */
static Value *flat(Import *im, Value *v) {
    const Dim *total = lt_type_elements(im->module, v->type);
    return lt_build_reshape(&im->b, v, 1, &total);
}

/* All 0, with no elements unless the rank is 0. */
static Value *nothing(Import *im, DType dtype, int rank) {
    const Dim *none[LT_MAX_RANK];
    for (int i = 0; i < rank; i++)
        none[i] = lt_dim_const(im->dims, 0);
    Value *zero = lt_dtype_is_float(dtype) ? lt_build_float(&im->b, dtype, 0)
                                           : lt_build_int(&im->b, dtype, 0);
    return lt_onnx_full(im, dtype, rank > 0 ? rank : 0, none, zero);
}

/* The most axes that an element has; 0 where there are none. */
static int most_axes(const Compound *list) {
    int most = 0;
    for (uint32_t i = 0; i < list->count; i++)
        most = list->members[i]->type->rank > most ? list->members[i]->type->rank : most;
    return most;
}

/* i64[count, rank]. */
static Value *shapes_of_list(Import *im, const Compound *list, int rank) {
    const Dim **all = lt_onnx_dim_array(im, (int64_t)list->count * rank);
    const Dim *shape[] = {lt_dim_const(im->dims, list->count), lt_dim_const(im->dims, rank)};
    for (uint32_t i = 0; i < list->count; i++)
        for (int axis = 0; axis < rank; axis++) {
            const Type *type = list->members[i]->type;
            all[i * (uint32_t)rank + (uint32_t)axis] =
                axis < type->rank ? type->dims[axis] : lt_dim_const(im->dims, -1);
        }
    if (list->count == 0 || rank == 0)
        return lt_onnx_full(im, DT_I64, 2, shape, lt_build_int(&im->b, DT_I64, 0));
    return lt_build_reshape(&im->b, lt_build_dims(&im->b, (int64_t)list->count * rank, all), 2,
                            shape);
}

static bool pack_list(Import *im, const Compound *list, const CompoundForm *element,
                      Value **members) {
    if (element->kind != COMPOUND_NONE)
        return lt_onnx_unsupported(
            im, "a sequence of strings whose length only a run tells is not supported");
    const int rank = element->rank >= 0 ? element->rank : most_axes(list);
    Value **parts = LT_ARRAY(im->arena, Value *, list->count + 1);
    for (uint32_t i = 0; i < list->count; i++)
        if (!(parts[i] = flat(im, list->members[i])))
            return false;
    members[0] = list->count ? lt_build_concat(&im->b, parts, list->count, 0)
                             : nothing(im, element->dtype, 1);
    members[1] = shapes_of_list(im, list, rank);
    return members[0] && members[1];
}

/* What is no list: no row of a sequence without elements is wrong. */
static bool repack(Import *im, const Compound *c, const CompoundForm *form, Value **members) {
    if (c->cut)
        return lt_onnx_pack_parts(im, c, members);
    members[0] = c->members[0];
    members[1] = c->members[1];
    const bool is_open = c->form->element->rank == RANK_OPEN && form->element->rank > 0;
    if (!is_open)
        return true;
    const Dim *shape[] = {members[1]->type->dims[0], lt_dim_const(im->dims, form->element->rank)};
    members[1] = lt_onnx_full(im, DT_I64, 2, shape, lt_build_int(&im->b, DT_I64, 0));
    return members[1] != NULL;
}

/* Members that stand for no value. */
static bool pack_absent(Import *im, const CompoundForm *form, Value **members) {
    if (form->kind == COMPOUND_SEQUENCE)
        return pack_list(im, &(Compound){.form = form}, form->element, members);
    const bool is_strings = form->kind == COMPOUND_STRINGS;
    members[0] = is_strings ? nothing(im, DT_U8, 1) : nothing(im, form->dtype, form->rank);
    if (is_strings)
        members[1] = nothing(im, DT_I64, form->rank);
    return members[0] && (!is_strings || members[1]);
}

static bool pack_optional(Import *im, Value *v, const CompoundForm *form, Value **members) {
    const Compound *c = compound_kind(v) == COMPOUND_OPTIONAL ? compound_of(v) : NULL;
    members[0] = c ? c->members[0] : lt_build_const(&im->b, lt_const_int(im->module, DT_BOOL, 1));
    v = c ? c->members[1] : v;
    const bool packed = v ? lt_onnx_pack(im, v, form->element, members + 1)
                          : pack_absent(im, form->element, members + 1);
    return packed && members[0];
}

bool lt_onnx_pack(Import *im, Value *v, const CompoundForm *form, Value **members) {
    Compound *c = compound_of(v);
    if (form->kind == COMPOUND_OPTIONAL)
        return pack_optional(im, v, form, members);
    if (form->kind == COMPOUND_SEQUENCE)
        return c->is_list ? pack_list(im, c, form->element, members) : repack(im, c, form, members);
    if (form->kind == COMPOUND_STRINGS)
        return lt_strings_pack(im, v, members);
    for (uint32_t i = 0; i < lt_onnx_form_width(form); i++)
        members[i] = c ? c->members[i] : v;
    return true;
}

Value *lt_onnx_unpack(Import *im, const CompoundForm *form, Value *const *members) {
    if (form->kind == COMPOUND_NONE)
        return members[0];
    if (form->kind == COMPOUND_STRINGS)
        return lt_strings_value(im, &(Strings){.bytes = members[0], .lengths = members[1]});
    if (form->kind != COMPOUND_OPTIONAL)
        return lt_onnx_compound(im, form, members, lt_onnx_form_width(form));
    Value *parts[] = {members[0], lt_onnx_unpack(im, form->element, members + 1)};
    return lt_onnx_compound(im, form, parts, 2);
}

/* --- many --- */

uint32_t lt_onnx_forms_width(const CompoundForm *const *forms, uint32_t count) {
    uint32_t width = 0;
    for (uint32_t i = 0; i < count; i++)
        width += lt_onnx_form_width(forms[i]);
    return width;
}

bool lt_onnx_pack_all(Import *im, Value *const *values, const CompoundForm *const *forms,
                      uint32_t count, Value **members) {
    for (uint32_t i = 0; i < count; i++) {
        if (!lt_onnx_pack(im, values[i], forms[i], members))
            return false;
        members += lt_onnx_form_width(forms[i]);
    }
    return true;
}

void lt_onnx_unpack_all(Import *im, const CompoundForm *const *forms, Value *const *members,
                        uint32_t count, Value **values) {
    for (uint32_t i = 0; i < count; i++) {
        values[i] = lt_onnx_unpack(im, forms[i], members);
        members += lt_onnx_form_width(forms[i]);
    }
}

bool lt_onnx_yield_packed(Import *im, Graph *region, Value *first, Value *const *values,
                          const CompoundForm *const *forms, uint32_t count) {
    const uint32_t width = lt_onnx_forms_width(forms, count), front = first != NULL;
    Value **members = LT_ARRAY(im->arena, Value *, width + 1);
    const Builder outside = im->b;
    members[0] = first;
    im->b = (Builder){.graph = region, .loc = outside.loc};
    const bool packed = lt_onnx_pack_all(im, values, forms, count, members + front);
    im->b = outside;
    if (packed)
        lt_graph_set_outputs(region, members, width + front);
    return packed;
}
