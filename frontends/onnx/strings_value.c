/* strings_value.c - tensors of strings as values of names: in the file, as operands, packed. */
#include "frontends/onnx/strings.h"

#include <string.h>

enum { BYTES, LENGTHS, STARTS, MEMBERS }; /* a handle's */

bool lt_strings_in(Import *im, uint32_t i, Strings *s) {
    Value *v = onnx_in(im, i);
    if (compound_kind(v) != COMPOUND_STRINGS)
        return lt_onnx_malformed(im, "input %u must be a tensor of strings, not %s", i,
                                 lt_onnx_kind_name(compound_kind(v)));
    Value *const *members = compound_of(v)->members;
    *s = (Strings){members[BYTES], members[STARTS], members[LENGTHS]};
    return true;
}

Value *lt_strings_value(Import *im, const Strings *s) {
    if (!s->bytes || !s->lengths)
        return NULL;
    CompoundForm *form = lt_onnx_form(im, COMPOUND_STRINGS, NULL);
    form->rank = s->lengths->type->rank;
    Value *members[] = {[BYTES] = s->bytes, [LENGTHS] = s->lengths, [STARTS] = s->starts};
    return lt_onnx_compound(im, form, members, MEMBERS);
}

bool lt_strings_pack(Import *im, Value *v, Value **members) {
    Value *const *own = compound_of(v)->members;
    const Strings s = {own[BYTES], own[STARTS], own[LENGTHS]}, dense = lt_strings_dense(im, &s);
    members[0] = dense.bytes;
    members[1] = dense.lengths;
    return dense.bytes && dense.lengths;
}

/* --- constants -------------------------------------------------------------------------------- */

Value *lt_strings_or_tensor(Import *im, const OnnxTensor *t, const Loc *loc) {
    DiagList *diags = &im->module->diags;
    if (t->data_type != ONNX_STRING) {
        const Const *c = lt_onnx_tensor(im, t, loc);
        return c ? lt_build_const(&im->b, c) : NULL;
    }
    size_t count = 1;
    bool fits = t->dims.len <= LT_MAX_RANK && !t->is_external;
    for (size_t i = 0; fits && i < t->dims.len; i++) {
        const int64_t d = t->dims.data[i];
        fits = d >= 0 && (d == 0 || count <= t->strings.len / (size_t)d);
        count *= (size_t)d;
    }
    if (fits && count == t->strings.len) {
        const Strings s = lt_strings_const(im, t->strings.data, (int)t->dims.len, t->dims.data);
        return lt_strings_value(im, &s);
    }
    lt_error(diags, LT_MALFORMED, loc, "tensor '%s' has %zu strings, which its dims do not fit",
             t->name, t->strings.len);
    return NULL;
}

static OnnxText text_of(const char *text) { return (OnnxText){text, strlen(text)}; }

const OnnxText *lt_strings_attribute(Import *im, const char *name, int64_t *count) {
    const OnnxAttribute *a =
        lt_onnx_has(im, name) ? lt_onnx_attribute(im, name, ONNX_ATTR_STRINGS) : NULL;
    *count = a ? (int64_t)a->strings.len : 0;
    if (!a)
        return NULL;
    OnnxText *texts = LT_ARRAY(im->arena, OnnxText, a->strings.len + 1);
    for (size_t i = 0; i < a->strings.len; i++)
        texts[i] = text_of(a->strings.data[i]);
    return texts;
}

bool lt_strings_constant(Import *im) {
    if (lt_onnx_has(im, "value_string")) {
        const OnnxText text = text_of(lt_onnx_string(im, "value_string", ""));
        return strings_set(im, 0, lt_strings_const(im, &text, 0, NULL));
    }
    int64_t count;
    const OnnxText *texts = lt_strings_attribute(im, "value_strings", &count);
    return texts && strings_set(im, 0, lt_strings_const(im, texts, 1, &count));
}
