/* strings_utf8.c - UTF-8 decoded and encoded by arithmetic on tensors, at all bytes at once. */
#include "frontends/onnx/strings_utf8.h"

#include "frontends/onnx/utf8.h"

/* fn(x, value) */
static Value *with(Import *im, ScalarFn fn, Value *x, int64_t value) {
    return x ? onnx_map2(im, fn, x, lt_build_int(&im->b, x->type->dtype, value)) : NULL;
}

static Value *pick_number(Import *im, Value *condition, int64_t yes, Value *no) {
    return no ? onnx_pick(im, condition, lt_build_int(&im->b, no->type->dtype, yes), no) : NULL;
}

static Value *at(Import *im, Value *data, Value *index) {
    return lt_build_gather(&im->b, data, index, 0);
}

/* What begins at each byte: i32[total]. */
typedef struct Characters {
    Value *place; /* i64[total]: 0, 1, ... */
    Value *byte;
    Value *code;
    Value *size; /* bytes of the character; 0: none begins here */
} Characters;

/* The code point of `size` bytes from bits that each has. */
static Value *join_bits(Import *im, Value *const *byte, int size) {
    Value *code = with(im, FN_BITAND, byte[0], size == 1 ? 0x7f : 0x7f >> size);
    for (int i = 1; i < size; i++)
        code =
            onnx_map2(im, FN_BITOR, with(im, FN_SHL, code, 6), with(im, FN_BITAND, byte[i], 0x3f));
    return code;
}

static Value *next_byte(Import *im, const Strings *s, Value *place) {
    return lt_build_convert(&im->b, lt_onnx_gather_open(im, s->bytes, place), DT_I32);
}

/* Sizes are tried from the longest; each needs its first byte, bytes that continue it, a code point
 * that no fewer bytes have, and room in the string. */
static bool decode(Import *im, const Strings *s, const Spread *bytes, Characters *c) {
    static const int64_t low[] = {0, 0, 0xc0, 0xe0, 0xf0}, high[] = {0, 0x7f, 0xdf, 0xef, 0xf7};
    static const int64_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    Value *byte[4], *left = onnx_map2(im, FN_SUB, at(im, s->lengths, bytes->owner), bytes->offset);
    c->place = lt_build_iota(&im->b, DT_I64, 1, &bytes->total, 0);
    for (int i = 0; i < 4; i++)
        byte[i] = next_byte(im, s, with(im, FN_ADD, c->place, i));
    c->byte = byte[0];
    c->code = byte[0];
    c->size = lt_onnx_full(im, DT_I32, 1, &bytes->total, lt_build_int(&im->b, DT_I32, 0));
    for (int size = 1; size <= 4; size++) {
        Value *code = join_bits(im, byte, size);
        Value *fits = onnx_map2(im, FN_AND, with(im, FN_GE, byte[0], low[size]),
                                with(im, FN_LE, byte[0], high[size]));
        fits = onnx_map2(im, FN_AND, fits, with(im, FN_GE, left, size));
        fits = onnx_map2(im, FN_AND, fits, with(im, FN_GE, code, least[size]));
        fits = onnx_map2(im, FN_AND, fits, with(im, FN_LE, code, 0x10ffff));
        for (int i = 1; i < size; i++)
            fits = onnx_map2(im, FN_AND, fits,
                             with(im, FN_EQ, with(im, FN_BITAND, byte[i], 0xc0), 0x80));
        c->code = onnx_pick(im, fits, code, c->code);
        c->size = pick_number(im, fits, size, c->size);
    }
    return c->code && c->size;
}

/* Whether the byte is behind the first of a character that `is_such` says so of; NULL: any. */
static Value *is_inside(Import *im, const Characters *c, const Spread *bytes, Value *is_such) {
    Value *inside = NULL;
    for (int back = 1; back < 4; back++) {
        Value *first = with(im, FN_MAX, with(im, FN_SUB, c->place, back), 0);
        Value *reaches = onnx_map2(im, FN_AND, with(im, FN_GT, at(im, c->size, first), back),
                                   with(im, FN_GE, bytes->offset, back));
        if (is_such)
            reaches = onnx_map2(im, FN_AND, reaches, at(im, is_such, first));
        inside = inside ? onnx_map2(im, FN_OR, inside, reaches) : reaches;
    }
    return inside;
}

Value *lt_strings_is_space(Import *im, const Strings *s, const Spread *bytes) {
    static const int64_t spaces[][2] = {
        {0x9, 0xd},       {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
        {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};
    Characters c;
    if (!decode(im, s, bytes, &c))
        return NULL;
    Value *is_space = NULL;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        Value *here = onnx_map2(im, FN_AND, with(im, FN_GE, c.code, spaces[i][0]),
                                with(im, FN_LE, c.code, spaces[i][1]));
        is_space = is_space ? onnx_map2(im, FN_OR, is_space, here) : here;
    }
    is_space = onnx_map2(im, FN_AND, is_space, with(im, FN_GT, c.size, 0));
    return onnx_map2(im, FN_OR, is_space, is_inside(im, &c, bytes, is_space));
}

/* --- case ------------------------------------------------------------------------------------- */

enum { PAGE = 256 };

/* What is added to each code point: pages of 256, most of them the first, all zeros. */
typedef struct CaseTable {
    int32_t *page_of, *deltas;
    int64_t pages, last; /* last: of page_of; what is behind it is as it */
} CaseTable;

static CaseTable case_table(Import *im, bool upper) {
    CaseTable t = {.pages = 1, .last = 0x110000 / PAGE};
    t.page_of = LT_ARRAY(im->arena, int32_t, t.last + 1);
    t.deltas = LT_ARRAY(im->arena, int32_t, (t.last + 1) * PAGE);
    for (size_t i = 0; i < lt_case_count; i++) {
        const CaseRange *r = &lt_case_ranges[i];
        for (uint32_t code = r->first; (r->to == CASE_UPPER) == upper && code <= r->last;
             code += r->step) {
            int32_t *page = &t.page_of[code / PAGE];
            if (*page == 0)
                *page = (int32_t)t.pages++;
            t.deltas[*page * PAGE + (int32_t)(code % PAGE)] = r->delta;
        }
    }
    while (t.last > 0 && t.page_of[t.last - 1] == 0)
        t.last--;
    return t;
}

static Value *table_const(Import *im, const int32_t *data, int64_t count) {
    const void *copy = lt_arena_copy(im->arena, data, (size_t)count * sizeof *data);
    return lt_build_const(
        &im->b, lt_const(im->module, lt_type_static(im->module, DT_I32, 1, &count), copy));
}

static Value *fold_codes(Import *im, Value *code, bool upper) {
    const CaseTable t = case_table(im, upper);
    Value *page = with(im, FN_MIN, with(im, FN_SHR, code, 8), t.last);
    page = at(im, table_const(im, t.page_of, t.last + 1), page);
    Value *cell =
        onnx_map2(im, FN_ADD, with(im, FN_MUL, page, PAGE), with(im, FN_BITAND, code, PAGE - 1));
    return onnx_map2(im, FN_ADD, code, at(im, table_const(im, t.deltas, t.pages * PAGE), cell));
}

/* How many bytes a code point takes. */
static Value *encoded_size(Import *im, Value *code) {
    Value *size = pick_number(im, with(im, FN_LT, code, 0x10000), 3,
                              with(im, FN_ADD, with(im, FN_MUL, code, 0), 4));
    size = pick_number(im, with(im, FN_LT, code, 0x800), 2, size);
    return pick_number(im, with(im, FN_LT, code, 0x80), 1, size);
}

/* Byte `offset` of the encoding. */
static Value *encoded_byte(Import *im, Value *code, Value *size, Value *offset) {
    static const int32_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    Value *behind = with(im, FN_SUB, onnx_map2(im, FN_SUB, size, offset), 1);
    Value *bits = onnx_map2(im, FN_SHR, code, with(im, FN_MUL, behind, 6));
    Value *first = onnx_map2(im, FN_BITOR, bits, at(im, table_const(im, marks, 5), size));
    Value *other = with(im, FN_BITOR, with(im, FN_BITAND, bits, 0x3f), 0x80);
    return onnx_pick(im, with(im, FN_EQ, offset, 0), first, other);
}

Strings lt_strings_fold(Import *im, const Strings *s, bool upper) {
    const Strings failed = {0};
    Characters c;
    Spread bytes = {.total = s->bytes->type->dims[0]}, folded = {0};
    if (!lt_onnx_spread(im, s->lengths, &bytes) || !decode(im, s, &bytes, &c))
        return failed;
    Value *is_first = with(im, FN_GT, c.size, 0);
    Value *code = onnx_pick(im, is_first, fold_codes(im, c.code, upper), c.code);
    Value *size = encoded_size(im, code), *one = lt_build_int(&im->b, DT_I32, 1);
    Value *rest = pick_number(im, is_inside(im, &c, &bytes, NULL), 0, one);
    Value *counts = lt_build_convert(&im->b, onnx_pick(im, is_first, size, rest), DT_I64);
    if (!counts || !lt_onnx_spread(im, counts, &folded))
        return failed;
    Value *offset = lt_build_convert(&im->b, folded.offset, DT_I32);
    Value *byte = encoded_byte(im, at(im, code, folded.owner), at(im, size, folded.owner), offset);
    byte = onnx_pick(im, at(im, is_first, folded.owner), byte, at(im, c.byte, folded.owner));
    Value *none =
        lt_onnx_full(im, DT_I64, 1, s->lengths->type->dims, lt_build_int(&im->b, DT_I64, 0));
    return (Strings){.bytes = lt_build_convert(&im->b, byte, DT_U8),
                     .lengths = lt_onnx_scatter_add(im, none, bytes.owner, counts)};
}
