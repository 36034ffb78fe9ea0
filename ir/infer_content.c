/* infer_content.c - known contents of small integer tensors, as dim expressions.
 *
 * Models compute shapes with ordinary nodes (dims, gather, mul, concat, reshape...). Following the
 * elements through these nodes symbolically is what turns a run-time reshape target into dims of a
 * type. A content is all or nothing: an element that cannot be expressed makes the whole tensor
 * unknown. */
#include <string.h>

#include "ir/infer.h"

enum { NO_CONTENT = -1 };

/* Elements of a tensor that may have a content, else NO_CONTENT. */
static int content_count(const Type *type) {
    if (!type || lt_dtype_is_float(type->dtype) || type->rank > 1)
        return NO_CONTENT;
    if (type->rank == 0)
        return 1;
    const Dim *extent = type->dims[0];
    return lt_dim_is_const(extent) && extent->value <= LT_MAX_CONTENT ? (int)extent->value
                                                                      : NO_CONTENT;
}

typedef struct Contents {
    const Node *node;
    DimTable *dims;
    int count;                      /* of the output */
    const Dim *out[LT_MAX_CONTENT]; /* an element left NULL: not known */
} Contents;

static const Dim *const *input_content(const Contents *c, uint32_t i) {
    const Value *v = i < c->node->input_count ? lt_input(c->node, i) : NULL;
    return v ? v->content : NULL;
}

static int input_count(const Contents *c, uint32_t i) {
    return content_count(lt_input(c->node, i)->type);
}

/* --- scalar functions on dims --------------------------------------------------------------------
 */

typedef struct Bounds {
    int64_t lo, hi;
} Bounds;

static Bounds bounds_of(const DimTable *t, const Dim *d) {
    Bounds b;
    lt_dim_range(t, d, &b.lo, &b.hi);
    return b;
}

static const Dim *dim_div(DimTable *t, const Dim *a, const Dim *b) {
    if (lt_dim_is_const(a) && lt_dim_is_const(b))
        return lt_dim_const(t, lt_scalar_eval_int(FN_DIV, a->value, b->value, 0, false));
    const bool floors = bounds_of(t, a).lo >= 0 && bounds_of(t, b).lo >= 1;
    return floors ? lt_dim_floordiv(t, a, b) : NULL;
}

static const Dim *dim_mod(DimTable *t, const Dim *a, const Dim *b) {
    if (lt_dim_is_const(a) && lt_dim_is_const(b))
        return lt_dim_const(t, lt_scalar_eval_int(FN_MOD, a->value, b->value, 0, false));
    return bounds_of(t, b).lo >= 1 ? lt_dim_mod(t, a, b) : NULL;
}

static const Dim *dim_abs(DimTable *t, const Dim *a) {
    const Bounds b = bounds_of(t, a);
    return b.lo >= 0 ? a : b.hi <= 0 ? lt_dim_mul_const(t, a, -1) : NULL;
}

/* a < b, a <= b, a == b: 1, 0, or NULL when it depends on the symbols. */
static const Dim *dim_compare(DimTable *t, ScalarFn fn, const Dim *a, const Dim *b) {
    const Bounds d = bounds_of(t, lt_dim_sub(t, a, b));
    const int64_t at_lo = lt_scalar_eval_int(fn, d.lo, 0, 0, false);
    const int64_t at_hi = lt_scalar_eval_int(fn, d.hi, 0, 0, false);
    const bool around_zero = d.lo < 0 && d.hi > 0;
    /* Ordered comparisons are monotone in the difference; equality also changes inside of the
     * interval. */
    const bool equality = fn == FN_EQ || fn == FN_NE;
    if (at_lo != at_hi || (equality && around_zero))
        return NULL;
    return lt_dim_const(t, at_lo);
}

static const Dim *dim_clamp(DimTable *t, const Dim *a, const Dim *lo, const Dim *hi) {
    return lt_dim_min(t, lt_dim_max(t, a, lo), hi);
}

/* Any function whose operands are all constants. */
static const Dim *dim_constant(DimTable *t, const Contents *c, ScalarFn fn,
                               const Dim *const *args) {
    int64_t v[3] = {0};
    if (!lt_scalar_info[fn].for_ints)
        return NULL;
    for (int i = 0; i < lt_scalar_info[fn].arity; i++) {
        if (!lt_dim_is_const(args[i]))
            return NULL;
        v[i] = args[i]->value;
    }
    const bool is_unsigned = input_type(c->node, c->node->input_count - 1)->dtype == DT_U64;
    return lt_dim_const(t, lt_scalar_eval_int(fn, v[0], v[1], v[2], is_unsigned));
}

static const Dim *dim_apply(const Contents *c, ScalarFn fn, const Dim *const *v) {
    DimTable *t = c->dims;
    switch (fn) {
    case FN_ADD: return lt_dim_add(t, v[0], v[1]);
    case FN_SUB: return lt_dim_sub(t, v[0], v[1]);
    case FN_MUL: return lt_dim_mul(t, v[0], v[1]);
    case FN_DIV: return dim_div(t, v[0], v[1]);
    case FN_MOD: return dim_mod(t, v[0], v[1]);
    case FN_MIN: return lt_dim_min(t, v[0], v[1]);
    case FN_MAX: return lt_dim_max(t, v[0], v[1]);
    case FN_NEG: return lt_dim_mul_const(t, v[0], -1);
    case FN_ABS: return dim_abs(t, v[0]);
    case FN_RELU: return lt_dim_max(t, v[0], lt_dim_const(t, 0));
    case FN_CLAMP: return dim_clamp(t, v[0], v[1], v[2]);
    case FN_FMA: return lt_dim_add(t, lt_dim_mul(t, v[0], v[1]), v[2]);
    case FN_SELECT:
        return lt_dim_is_const(v[0]) ? v[v[0]->value ? 1 : 2] : v[1] == v[2] ? v[1] : NULL;
    case FN_EQ:
    case FN_NE:
    case FN_LT:
    case FN_LE:
    case FN_GT:
    case FN_GE: return dim_compare(t, fn, v[0], v[1]);
    default: return dim_constant(t, c, fn, v);
    }
}

/* --- one function an op --------------------------------------------------------------------------
 */

static void content_const(Contents *c) {
    const Const *value = lt_attr(c->node, ATTR_VALUE)->u.c;
    for (int i = 0; i < c->count; i++)
        c->out[i] = lt_dim_const(c->dims, lt_const_get_int(value, value->is_splat ? 0 : i));
}

static void content_dims(Contents *c) {
    memcpy(c->out, lt_attr(c->node, ATTR_DIMS)->u.dims, sizeof(Dim *) * (size_t)c->count);
}

static void content_iota(Contents *c) {
    for (int i = 0; i < c->count; i++)
        c->out[i] = lt_dim_const(c->dims, i);
}

/* Whether every value of d is one of the dtype's. Values of 32 bits and more are taken to fit, as
 * extents do. */
static bool fits_dtype(const Contents *c, const Dim *d, DType dtype) {
    const int bits = lt_dtype_bits(dtype);
    const Bounds b = bounds_of(c->dims, d);
    if (lt_dtype_is_signed(dtype))
        return bits >= 32 ||
               (b.lo >= -(INT64_C(1) << (bits - 1)) && b.hi < (INT64_C(1) << (bits - 1)));
    return b.lo >= 0 && (bits >= 32 || b.hi < (INT64_C(1) << bits));
}

static void content_map(Contents *c) {
    const Dim *args[3] = {0};
    for (int i = 0; i < c->count; i++) {
        for (uint32_t j = 0; j < c->node->input_count; j++) {
            const Dim *const *from = input_content(c, j);
            if (!from)
                return;
            args[j] = from[input_count(c, j) == 1 ? 0 : i];
        }
        const Dim *result = dim_apply(c, lt_node_fn(c->node), args);
        c->out[i] =
            result && fits_dtype(c, result, lt_output(c->node)->type->dtype) ? result : NULL;
    }
}

static void content_convert(Contents *c) {
    const Dim *const *from = input_content(c, 0);
    const DType dtype = lt_output(c->node)->type->dtype;
    for (int i = 0; from && i < c->count; i++) {
        const Dim *zero = lt_dim_const(c->dims, 0);
        if (dtype == DT_BOOL)
            c->out[i] = dim_compare(c->dims, FN_NE, from[i], zero);
        else if (fits_dtype(c, from[i], dtype))
            c->out[i] = from[i];
    }
}

/* Reshape, broadcast, transpose: one dimension at most, so elements stay in order or one stands for
 * all. */
static void content_view(Contents *c) {
    const Dim *const *from = input_content(c, 0);
    const int count = from ? input_count(c, 0) : 0;
    for (int i = 0; from && i < c->count; i++)
        c->out[i] = count == 1 ? from[0] : i < count ? from[i] : NULL;
}

static void content_slice(Contents *c) {
    const Dim *const *from = input_content(c, 0);
    if (!from || lt_output(c->node)->type->rank == 0) {
        content_view(c);
        return;
    }
    const Dim *start = lt_attr(c->node, ATTR_START)->u.dims[0];
    const int64_t step = lt_attr(c->node, ATTR_STEP)->u.ints[0];
    for (int i = 0; lt_dim_is_const(start) && i < c->count; i++) {
        const int64_t index = start->value + i * step;
        c->out[i] = index >= 0 && index < input_count(c, 0) ? from[index] : NULL;
    }
}

static void content_concat(Contents *c) {
    int at = 0;
    for (uint32_t i = 0; i < c->node->input_count; i++) {
        const Dim *const *from = input_content(c, i);
        const int count = input_count(c, i);
        if (!from || at + count > c->count)
            return;
        memcpy(c->out + at, from, sizeof(Dim *) * (size_t)count);
        at += count;
    }
}

static void content_gather(Contents *c) {
    const Dim *const *from = input_content(c, 0), *const *indices = input_content(c, 1);
    const int extent = from ? input_count(c, 0) : 0;
    for (int i = 0; from && indices && i < c->count; i++) {
        if (!lt_dim_is_const(indices[i]))
            return;
        const int64_t index = indices[i]->value + (indices[i]->value < 0 ? extent : 0);
        c->out[i] = index >= 0 && index < extent ? from[index] : NULL;
    }
}

static void content_reduce(Contents *c) {
    const Dim *const *from = input_content(c, 0);
    const ScalarFn fn = lt_node_fn(c->node);
    const int count = from ? input_count(c, 0) : 0;
    if (!from || lt_attr(c->node, ATTR_AXES)->count == 0 || count == 0) {
        if (from && count > 0)
            content_view(c);
        else if (from && c->count == 1)
            c->out[0] =
                lt_dim_const(c->dims, lt_scalar_identity_int(fn, lt_output(c->node)->type->dtype));
        return;
    }
    const Dim *total = from[0];
    for (int i = 1; total && i < count; i++)
        total = dim_apply(c, fn, (const Dim *const[]){total, from[i]});
    c->out[0] = total;
}

static void (*const content_functions[LT_OP_LIMIT])(Contents *) = {
    [OP_CONST] = content_const,    [OP_DIMS] = content_dims,       [OP_IOTA] = content_iota,
    [OP_MAP] = content_map,        [OP_CONVERT] = content_convert, [OP_RESHAPE] = content_view,
    [OP_BROADCAST] = content_view, [OP_TRANSPOSE] = content_view,  [OP_SLICE] = content_slice,
    [OP_CONCAT] = content_concat,  [OP_GATHER] = content_gather,   [OP_REDUCE] = content_reduce,
};

void lt_infer_content(Node *node) {
    for (uint32_t i = 0; i < node->output_count; i++)
        node->outputs[i]->content = NULL;
    if (!content_functions[node->op])
        return;
    Contents c = {.node = node, .dims = infer_dims(node)};
    c.count = content_count(lt_output(node)->type);
    if (c.count == NO_CONTENT)
        return;
    content_functions[node->op](&c);
    for (int i = 0; i < c.count; i++) {
        if (!c.out[i])
            return;
    }
    const size_t bytes = sizeof(Dim *) * (size_t)c.count;
    lt_output(node)->content = lt_arena_copy(infer_module(node)->arena, c.out, bytes);
}
