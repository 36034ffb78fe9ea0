/* parse_attr.c - reads dims, types, constants and attributes. */

#include "ir/parse.h"
#include "ir/text.h"
#include "runtime/base/checked.h"

enum { ELEMENT_BYTES = 8, SHOWN_TEXT = 40 };

typedef Vec(const Dim *) DimVec;

/* --- dims and types -------------------------------------------------------------------------- */

/* Dims have a scanner of their own: it starts at the current token, and the lexer goes on behind
 * them. */
bool lt_parse_dim(Parser *p, const Dim **out) {
    const char *at = p->lexer.token.start, *error = NULL;
    *out = lt_dim_parse(&p->module->dims, &at, &error);
    if (!*out)
        return lt_parse_fail(p, at, "%s is expected", error);
    lt_lex_seek(&p->lexer, at);
    return true;
}

/* `[` dim, ... `]` */
static bool parse_dims(Parser *p, DimVec *dims) {
    if (!lt_parse_mark(p, '['))
        return false;
    while (!lt_parse_is_mark(p, ']')) {
        const Dim *dim;
        if (dims->len > 0 && !lt_parse_mark(p, ','))
            return false;
        if (!lt_parse_dim(p, &dim))
            return false;
        lt_vec_push(p->module->arena, dims, dim);
    }
    return lt_parse_mark(p, ']');
}

static bool parse_dtype(Parser *p, DType *out) {
    const Token *token = &p->lexer.token;
    if (token->kind != TOKEN_WORD || !lt_dtype_parse(token->text, out))
        return lt_parse_expected(p, "an element type (f32, i64, bool, ...)");
    lt_lex_next(&p->lexer);
    return true;
}

bool lt_parse_type(Parser *p, const Type **out) {
    const char *start = p->lexer.token.start;
    DType dtype;
    DimVec dims = {0};
    if (!parse_dtype(p, &dtype) || !parse_dims(p, &dims))
        return false;
    if (dims.len > LT_MAX_RANK)
        return lt_parse_fail(p, start, "a type has at most %d dims, this one has %zu", LT_MAX_RANK,
                             dims.len);
    for (size_t i = 0; i < dims.len; i++) {
        if (lt_dim_is_const(dims.data[i]) && dims.data[i]->value < 0)
            return lt_parse_fail(p, start, "dim %zu is %lld, at least 0 is expected", i,
                                 (long long)dims.data[i]->value);
    }
    *out = lt_type(p->module, dtype, (int)dims.len, dims.data);
    return true;
}

/* --- constants ------------------------------------------------------------------------------- */

static bool parse_element(Parser *p, DType dtype, void *bytes) {
    const Token *token = &p->lexer.token;
    if (token->kind != TOKEN_NUMBER && token->kind != TOKEN_WORD)
        return lt_parse_expected(p, "a number");
    if (!lt_element_parse(dtype, token->text, bytes))
        return lt_parse_fail(p, token->start, "%.*s is not a value of %s", SHOWN_TEXT, token->text,
                             lt_dtype_name(dtype));
    lt_lex_next(&p->lexer);
    return true;
}

static bool parse_hex(Parser *p, uint8_t *bytes, size_t count) {
    const Token *token = &p->lexer.token;
    if (token->kind != TOKEN_STRING)
        return lt_parse_expected(p, "a string of hex digits");
    if (!lt_hex_parse(token->text, bytes, count))
        return lt_parse_fail(p, token->start, "%zu hex digits (0-9, a-f) are expected", 2 * count);
    lt_lex_next(&p->lexer);
    return true;
}

/* What memory a text may ask for is bounded by its own length: every element takes at least one
 * byte of it. */
static bool fits_text(Parser *p, size_t bytes) {
    return bytes / ELEMENT_BYTES <= (size_t)(p->lexer.end - p->lexer.token.start) ||
           lt_parse_fail(p, p->lexer.token.start,
                         "%zu bytes of elements are expected, the text is shorter", bytes);
}

static bool parse_list(Parser *p, const Type *type, size_t count, uint8_t *bytes) {
    const size_t size = lt_dtype_size(type->dtype);
    if (!lt_parse_mark(p, '['))
        return false;
    for (size_t i = 0; i < count; i++) {
        if ((i > 0 && !lt_parse_mark(p, ',')) || !parse_element(p, type->dtype, bytes + i * size))
            return false;
    }
    return lt_parse_is_mark(p, ']') ? lt_parse_mark(p, ']')
                                    : lt_parse_fail(p, p->lexer.token.start,
                                                    "']' is expected after %zu elements", count);
}

static bool parse_splat(Parser *p, const Type *type, const Const **out) {
    uint8_t element[ELEMENT_BYTES] = {0};
    const bool is_hex = lt_parse_accept_word(p, "hex");
    if (is_hex && !parse_hex(p, element, lt_dtype_size(type->dtype)))
        return false;
    if (!is_hex && (!lt_parse_mark(p, '(') || !parse_element(p, type->dtype, element) ||
                    !lt_parse_mark(p, ')')))
        return false;
    *out = lt_const_splat(p->module, type, element);
    return true;
}

bool lt_parse_const(Parser *p, const Const **out) {
    const char *start = p->lexer.token.start;
    const Type *type;
    int64_t elements;
    size_t bytes;
    if (!lt_parse_type(p, &type))
        return false;
    if (!lt_type_is_static(type, &elements) ||
        !lt_mul_size((size_t)elements, lt_dtype_size(type->dtype), &bytes))
        return lt_parse_fail(p, start,
                             "the dims of a constant must be numbers whose product fits 64 bits");
    if (lt_parse_accept_word(p, "splat"))
        return parse_splat(p, type, out);
    const bool is_hex = lt_parse_accept_word(p, "hex");
    if (!is_hex && !lt_parse_is_mark(p, '['))
        return lt_parse_expected(p, "splat(...), [...] or hex\"...\"");
    if (!fits_text(p, bytes))
        return false;
    uint8_t *data = lt_arena_alloc_aligned(p->module->arena, bytes, 64);
    if (is_hex ? !parse_hex(p, data, bytes) : !parse_list(p, type, (size_t)elements, data))
        return false;
    *out = lt_const(p->module, type, data);
    return true;
}

/* --- attributes ------------------------------------------------------------------------------ */

static bool parse_bool_attr(Parser *p, Attr *attr) {
    attr->u.i = lt_parse_is_word(p, "true");
    if (!lt_parse_accept_word(p, "true") && !lt_parse_accept_word(p, "false"))
        return lt_parse_expected(p, "true or false");
    return true;
}

static bool parse_int_attr(Parser *p, Attr *attr) { return lt_parse_integer(p, &attr->u.i); }
static bool parse_float_attr(Parser *p, Attr *attr) { return parse_element(p, DT_F64, &attr->u.f); }
static bool parse_string_attr(Parser *p, Attr *attr) { return lt_parse_string(p, &attr->u.s); }
static bool parse_const_attr(Parser *p, Attr *attr) { return lt_parse_const(p, &attr->u.c); }

static bool parse_dtype_attr(Parser *p, Attr *attr) {
    DType dtype = DT_F32;
    const bool ok = parse_dtype(p, &dtype);
    attr->u.i = dtype;
    return ok;
}

static bool parse_scalar_attr(Parser *p, Attr *attr) {
    ScalarFn fn;
    if (p->lexer.token.kind != TOKEN_WORD || !lt_scalar_parse(p->lexer.token.text, &fn))
        return lt_parse_expected(p, "a scalar function");
    attr->u.i = fn;
    lt_lex_next(&p->lexer);
    return true;
}

static bool parse_ints_attr(Parser *p, Attr *attr) {
    Vec(int64_t) ints = {0};
    if (!lt_parse_mark(p, '['))
        return false;
    while (!lt_parse_is_mark(p, ']')) {
        int64_t number;
        if ((ints.len > 0 && !lt_parse_mark(p, ',')) || !lt_parse_integer(p, &number))
            return false;
        lt_vec_push(p->module->arena, &ints, number);
    }
    attr->u.ints = ints.data;
    attr->count = (uint32_t)ints.len;
    return lt_parse_mark(p, ']');
}

static bool parse_dims_attr(Parser *p, Attr *attr) {
    DimVec dims = {0};
    const bool ok = parse_dims(p, &dims);
    attr->u.dims = dims.data;
    attr->count = (uint32_t)dims.len;
    return ok;
}

static bool (*const parse_kinds[])(Parser *, Attr *) = {
    [ATTR_KIND_INT] = parse_int_attr,     [ATTR_KIND_BOOL] = parse_bool_attr,
    [ATTR_KIND_FLOAT] = parse_float_attr, [ATTR_KIND_STRING] = parse_string_attr,
    [ATTR_KIND_INTS] = parse_ints_attr,   [ATTR_KIND_DIMS] = parse_dims_attr,
    [ATTR_KIND_DTYPE] = parse_dtype_attr, [ATTR_KIND_SCALAR] = parse_scalar_attr,
    [ATTR_KIND_CONST] = parse_const_attr,
};

static bool parse_attr(Parser *p, AttrVec *attrs) {
    const Token token = p->lexer.token;
    Attr attr = {0};
    if (token.kind != TOKEN_WORD || !lt_attr_parse(token.text, &attr.name))
        return lt_parse_expected(p, "the name of an attribute");
    for (size_t i = 0; i < attrs->len; i++) {
        if (attrs->data[i].name == attr.name)
            return lt_parse_fail(p, token.start, "%s is given twice", token.text);
    }
    lt_lex_next(&p->lexer);
    if (!lt_parse_mark(p, '=') || !parse_kinds[lt_attr_info[attr.name].kind](p, &attr))
        return false;
    lt_vec_push(p->module->arena, attrs, attr);
    return true;
}

bool lt_parse_attrs(Parser *p, AttrVec *attrs) {
    if (!lt_parse_accept(p, '{'))
        return true;
    do {
        if (!parse_attr(p, attrs))
            return false;
    } while (lt_parse_accept(p, ','));
    return lt_parse_mark(p, '}');
}
