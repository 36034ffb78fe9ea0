/* ops_string_normalize.c - StringNormalizer: drops some words, changes the case of the others. */
#include <string.h>

#include "frontends/onnx/extents.h"
#include "frontends/onnx/strings_utf8.h"
#include "frontends/onnx/utf8.h"

typedef enum Case { CASE_KEPT, CASE_IS_LOWER, CASE_IS_UPPER, CASE_BAD } Case;

static Case read_case(Import *im) {
    static const char *const names[] = {"NONE", "LOWER", "UPPER"};
    const char *given = lt_onnx_string(im, "case_change_action", "NONE");
    for (int i = 0; i < 3; i++)
        if (strcmp(names[i], given) == 0)
            return (Case)i;
    lt_onnx_malformed(im, "case_change_action is '%s'; expected NONE, LOWER or UPPER", given);
    return CASE_BAD;
}

static uint32_t fold_code(uint32_t code, bool upper) {
    for (size_t i = 0; i < lt_case_count; i++) {
        const CaseRange *r = &lt_case_ranges[i];
        if ((r->to == CASE_UPPER) == upper && code >= r->first && code <= r->last &&
            (code - r->first) % r->step == 0)
            return (uint32_t)((int32_t)code + r->delta);
    }
    return code;
}

/* As lt_strings_fold. */
static OnnxText fold_text(Import *im, const OnnxText *text, bool upper) {
    uint8_t *out = lt_arena_alloc(im->arena, 4 * text->length + 1);
    size_t length = 0;
    for (size_t i = 0; i < text->length;) {
        const Utf8 c = lt_utf8_decode(text->text + i, text->length - i);
        if (c.length)
            length += lt_utf8_encode(fold_code(c.code, upper), out + length);
        else
            out[length++] = (uint8_t)text->text[i];
        i += c.length ? c.length : 1;
    }
    return (OnnxText){(const char *)out, length};
}

/* bool[n]: which of the strings are none of the words. Unless case counts, all are compared in
 * upper case. */
static Value *is_kept(Import *im, const Strings *s, const OnnxText *words, int64_t count) {
    Strings compared = *s;
    OnnxText *texts = LT_ARRAY(im->arena, OnnxText, count + 1);
    const bool is_sensitive = lt_onnx_int(im, "is_case_sensitive", 0) != 0;
    for (int64_t i = 0; i < count; i++)
        texts[i] = is_sensitive ? words[i] : fold_text(im, &words[i], true);
    if (!is_sensitive && count > 0)
        compared = lt_strings_fold(im, s, true);
    return lt_onnx_map_scalar(im, FN_EQ, lt_strings_search(im, &compared, texts, count),
                              (double)count);
}

/* Where all are dropped, one is left, which is empty: it lies behind the others. */
static Strings keep_some(Import *im, const Strings *s, Value *kept) {
    static const int64_t axis[] = {0};
    const int64_t one = 1;
    const OnnxText nothing = {"", 0};
    if (!kept)
        return (Strings){0};
    Value *any = lt_build_reduce(&im->b, FN_OR, kept, axis, 1, true);
    Value *masks[] = {kept, lt_build_map1(&im->b, FN_NOT, any)};
    const Strings empty = lt_strings_const(im, &nothing, 1, &one);
    Value *starts[] = {lt_strings_starts(im, s), lt_strings_starts(im, &empty)};
    Value *lengths[] = {s->lengths, empty.lengths};
    if (!masks[1] || !starts[0] || !starts[1])
        return (Strings){0};
    const Strings all = {s->bytes, lt_build_concat(&im->b, starts, 2, 0),
                         lt_build_concat(&im->b, lengths, 2, 0)};
    Value *places = lt_onnx_find(im, lt_build_concat(&im->b, masks, 2, 0));
    return lt_strings_gather(im, &all, places);
}

bool lt_onnx_string_normalizer(Import *im) {
    const Case action = read_case(im);
    int64_t count;
    const OnnxText *words = lt_strings_attribute(im, "stopwords", &count);
    Strings s;
    if (action == CASE_BAD || !lt_strings_in(im, 0, &s))
        return false;
    const Type *type = s.lengths->type;
    if (type->rank < 1 || type->rank > 2 || (type->rank == 2 && !lt_dim_is(type->dims[0], 1)))
        return lt_onnx_malformed(im, "the input must be [c] or [1, c]");
    s = lt_strings_flat(im, &s);
    s = lt_strings_dense(im, &s);
    if (!s.bytes)
        return false;
    Value *kept = is_kept(im, &s, words, count);
    s = keep_some(im, &s, kept);
    if (action != CASE_KEPT && s.bytes) {
        s = lt_strings_dense(im, &s);
        s = lt_strings_fold(im, &s, action == CASE_IS_UPPER);
    }
    if (!s.bytes || !s.lengths)
        return false;
    const Dim *shape[] = {lt_dim_const(im->dims, 1), s.lengths->type->dims[0]};
    return strings_set(im, 0, type->rank == 2 ? lt_strings_reshape(im, &s, 2, shape) : s);
}
