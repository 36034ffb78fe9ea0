/* compound.c - what compounds are made of: forms, handles, operands. */
#include "frontends/onnx/compound.h"

#include <string.h>

const char *lt_onnx_kind_name(CompoundKind kind) {
    switch (kind) {
    case COMPOUND_SEQUENCE: return "a sequence";
    case COMPOUND_OPTIONAL: return "an optional";
    case COMPOUND_STRINGS: return "a tensor of strings";
    default: return "a tensor";
    }
}

/* --- forms ------------------------------------------------------------------------------------ */

CompoundForm *lt_onnx_form(Import *im, CompoundKind kind, const CompoundForm *element) {
    CompoundForm *form = LT_NEW(im->arena, CompoundForm);
    *form = (CompoundForm){.kind = kind, .element = element};
    return form;
}

const CompoundForm *lt_onnx_tensor_form(Import *im, DType dtype, int rank) {
    CompoundForm *form = lt_onnx_form(im, COMPOUND_NONE, NULL);
    form->dtype = dtype;
    form->rank = rank;
    return form;
}

const CompoundForm *lt_onnx_form_of(Import *im, Value *v) {
    const Compound *c = compound_of(v);
    return c ? c->form : lt_onnx_tensor_form(im, v->type->dtype, v->type->rank);
}

static const CompoundForm *form_of_tensor_type(Import *im, const OnnxType *type,
                                               const char **reason) {
    DType dtype;
    const int rank = type->has_shape ? (int)type->dims.len : RANK_MIXED;
    CompoundForm *strings = lt_onnx_form(im, COMPOUND_STRINGS, NULL);
    strings->rank = rank;
    if (type->dims.len > LT_MAX_RANK)
        *reason = lt_arena_printf(im->arena, "of rank %zu; at most %d is supported", type->dims.len,
                                  LT_MAX_RANK);
    else if (type->elem_type == ONNX_STRING)
        return strings;
    else if (lt_onnx_dtype(type->elem_type, &dtype))
        return lt_onnx_tensor_form(im, dtype, rank);
    else
        *reason = lt_arena_printf(im->arena, "%s: only tensors of numbers are supported",
                                  lt_onnx_data_type_name(type->elem_type));
    return NULL;
}

const CompoundForm *lt_onnx_form_of_type(Import *im, const OnnxType *type, const char **reason) {
    *reason = "of a type that is not told";
    if (!type || type->kind == ONNX_TYPE_NONE)
        return NULL;
    if (type->kind == ONNX_TYPE_TENSOR)
        return form_of_tensor_type(im, type, reason);
    *reason = "not a tensor, a sequence or an optional";
    if (type->kind == ONNX_TYPE_OTHER)
        return NULL;
    const bool is_list = type->kind == ONNX_TYPE_SEQUENCE;
    const OnnxType *inner = type->element;
    const CompoundForm *element = lt_onnx_form_of_type(im, inner, reason);
    if (element && element->kind == COMPOUND_NONE)
        return lt_onnx_form(im, is_list ? COMPOUND_SEQUENCE : COMPOUND_OPTIONAL, element);
    const bool is_whole = element && element->kind != COMPOUND_OPTIONAL;
    if (is_whole && !is_list)
        return lt_onnx_form(im, COMPOUND_OPTIONAL, element);
    if (element)
        *reason = lt_arena_printf(im->arena, "%s of which each is %s",
                                  is_list ? "a sequence" : "an optional",
                                  lt_onnx_kind_name(element->kind));
    return NULL;
}

bool lt_onnx_form_is(const CompoundForm *a, const CompoundForm *b) {
    if (!a || !b)
        return a == b;
    return a->kind == b->kind && a->dtype == b->dtype && a->rank == b->rank &&
           lt_onnx_form_is(a->element, b->element);
}

static int join_ranks(int a, int b) {
    if (a == RANK_OPEN || a == b)
        return b;
    return b == RANK_OPEN ? a : RANK_MIXED;
}

const CompoundForm *lt_onnx_form_join(Import *im, const CompoundForm *a, const CompoundForm *b) {
    if (a->kind == COMPOUND_OPTIONAL || b->kind == COMPOUND_OPTIONAL) {
        const CompoundForm *left = a->kind == COMPOUND_OPTIONAL ? a->element : a;
        const CompoundForm *right = b->kind == COMPOUND_OPTIONAL ? b->element : b;
        const CompoundForm *element = lt_onnx_form_join(im, left, right);
        return element ? lt_onnx_form(im, COMPOUND_OPTIONAL, element) : NULL;
    }
    if (a->kind != b->kind || a->dtype != b->dtype)
        return NULL;
    CompoundForm *form = lt_onnx_form(im, a->kind, NULL);
    form->dtype = a->dtype;
    form->rank = join_ranks(a->rank, b->rank);
    if (a->kind == COMPOUND_SEQUENCE &&
        !(form->element = lt_onnx_form_join(im, a->element, b->element)))
        return NULL;
    return form;
}

const CompoundForm *lt_onnx_form_declared(Import *im, const CompoundForm *form,
                                          const CompoundForm *declared) {
    CompoundForm *more = lt_arena_copy(im->arena, form, sizeof *form);
    if (declared->kind == COMPOUND_OPTIONAL && form->kind != COMPOUND_OPTIONAL)
        return lt_onnx_form(im, COMPOUND_OPTIONAL,
                            lt_onnx_form_declared(im, form, declared->element));
    if (declared->kind != form->kind)
        return form;
    if (form->element)
        more->element = lt_onnx_form_declared(im, form->element, declared->element);
    else if (form->rank == RANK_OPEN && declared->rank >= 0)
        more->rank = declared->rank;
    return more;
}

const char *lt_onnx_form_text(Import *im, const CompoundForm *form) {
    if (form->kind == COMPOUND_SEQUENCE || form->kind == COMPOUND_OPTIONAL)
        return lt_arena_printf(im->arena, "%s of %s", lt_onnx_kind_name(form->kind),
                               lt_onnx_form_text(im, form->element));
    const char *name = form->kind == COMPOUND_STRINGS ? "string" : lt_dtype_name(form->dtype);
    return form->rank < 0 ? name : lt_arena_printf(im->arena, "%s of rank %d", name, form->rank);
}

uint32_t lt_onnx_form_width(const CompoundForm *form) {
    if (form->kind == COMPOUND_OPTIONAL)
        return 1 + lt_onnx_form_width(form->element);
    return form->kind == COMPOUND_NONE ? 1 : 2;
}

const char *lt_onnx_member_name(Import *im, const char *name, const CompoundForm *form,
                                uint32_t i) {
    static const char *const in_sequence[] = {"values", "shapes"};
    static const char *const in_strings[] = {"bytes", "lengths"};
    const char *member = "value";
    switch (form->kind) {
    case COMPOUND_NONE: return name;
    case COMPOUND_SEQUENCE: member = in_sequence[i]; break;
    case COMPOUND_STRINGS: member = in_strings[i]; break;
    default:
        if (i > 0 && form->element->kind != COMPOUND_NONE)
            return lt_onnx_member_name(im, name, form->element, i - 1);
        member = i ? "value" : "has";
    }
    return lt_arena_printf(im->arena, "%s.%s", name, member);
}

/* --- handles ---------------------------------------------------------------------------------- */

static Value *new_compound(Import *im, Compound parts) {
    Compound *c = LT_NEW(im->arena, Compound);
    parts.members = lt_arena_copy(im->arena, parts.members, parts.count * sizeof *parts.members);
    *c = parts;
    return &c->handle;
}

Value *lt_onnx_compound(Import *im, const CompoundForm *form, Value *const *members,
                        uint32_t count) {
    return new_compound(im, (Compound){.form = form, .count = count, .members = (Value **)members});
}

Value *lt_onnx_list(Import *im, const CompoundForm *element, Value *const *elements,
                    uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const CompoundForm *own = lt_onnx_form_of(im, elements[i]);
        if (own->kind != COMPOUND_NONE && own->kind != COMPOUND_STRINGS) {
            lt_onnx_unsupported(im, "element %u of a sequence is %s", i,
                                lt_onnx_form_text(im, own));
            return NULL;
        }
        const CompoundForm *joined = element ? lt_onnx_form_join(im, element, own) : own;
        if (!joined) {
            lt_onnx_malformed(im, "element %u of the sequence is %s, others are %s", i,
                              lt_onnx_form_text(im, own), lt_onnx_form_text(im, element));
            return NULL;
        }
        element = joined;
    }
    const CompoundForm *form = lt_onnx_form(im, COMPOUND_SEQUENCE, element);
    return new_compound(
        im,
        (Compound){.form = form, .is_list = true, .count = count, .members = (Value **)elements});
}

Value *lt_onnx_cut(Import *im, Value *x, CompoundCut cut) {
    const CompoundForm *element =
        lt_onnx_tensor_form(im, x->type->dtype, x->type->rank - !cut.keep);
    return new_compound(im, (Compound){.form = lt_onnx_form(im, COMPOUND_SEQUENCE, element),
                                       .cut = lt_arena_copy(im->arena, &cut, sizeof cut),
                                       .count = 1,
                                       .members = &x});
}

Value *lt_onnx_map_members(Import *im, Value *v, Value *(*map)(void *state, Value *tensor),
                           void *state) {
    const Compound *c = compound_of(v);
    if (!c || !v)
        return v ? map(state, v) : NULL;
    Compound mapped = *c;
    mapped.members = LT_ARRAY(im->arena, Value *, c->count + 1);
    for (uint32_t i = 0; i < c->count; i++)
        mapped.members[i] = lt_onnx_map_members(im, c->members[i], map, state);
    return new_compound(im, mapped);
}

/* --- operands --------------------------------------------------------------------------------- */

Compound *lt_onnx_sequence_in(Import *im, uint32_t i) {
    Value *v = onnx_in(im, i);
    if (compound_kind(v) == COMPOUND_SEQUENCE)
        return compound_of(v);
    lt_onnx_malformed(im, "input %u must be a sequence, not %s", i,
                      lt_onnx_kind_name(compound_kind(v)));
    return NULL;
}

Value *lt_onnx_tensor_in(Import *im, uint32_t i) {
    Value *v = onnx_in(im, i);
    if (v && !compound_of(v))
        return v;
    lt_onnx_malformed(im, "input %u must be a tensor, not %s", i,
                      lt_onnx_kind_name(compound_kind(v)));
    return NULL;
}
