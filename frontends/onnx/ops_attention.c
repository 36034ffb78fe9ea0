/* ops_attention.c - attention and what goes with it, from contractions, masks and a softmax. */
#include <math.h>
#include <string.h>

#include "frontends/onnx/scope.h"

/* Queries [b, h, s, d], keys [b, g, t, d], values [b, g, t, v]; each of the g heads of keys serves
 * h / g heads of queries. */
typedef struct Attention {
    Value *q, *k, *v;
    Value *past; /* i64[] or i64[b,1,1,1]: keys before the first query; NULL: none */
    const Dim *heads, *key_heads, *group;
    Value *bias; /* added to the scores; NULL: none */
    bool may_be_empty, is_flat; /* a row may see no key; operands were [b, s, h * d] */
} Attention;

static bool is_four(Import *im, Value *x, const char *what) {
    return x && (x->type->rank == 4 ||
                 lt_onnx_malformed(im, "%s has rank %d; expected 4", what, x->type->rank));
}

/* [b, s, h * d] to [b, h, s, d]. */
static Value *split_heads(Import *im, Value *x, const char *attribute) {
    static const int64_t perm[] = {0, 2, 1, 3};
    int64_t heads = lt_onnx_int(im, attribute, 0);
    if (x->type->rank != 3)
        return x;
    if (heads < 1 || !lt_dim_divisible(im->dims, x->type->dims[2], heads)) {
        lt_onnx_malformed(im, "%s is %lld; expected a divisor of %s", attribute, (long long)heads,
                          lt_onnx_dim_text(im, x->type->dims[2]));
        return NULL;
    }
    const Dim *count = lt_dim_const(im->dims, heads);
    const Dim *dims[] = {x->type->dims[0], x->type->dims[1], count,
                         lt_dim_floordiv(im->dims, x->type->dims[2], count)};
    return lt_build_transpose(&im->b, lt_build_reshape(&im->b, x, 4, dims), perm);
}

/* [b, h, s, d] to [b, s, h * d]. */
static Value *join_heads(Import *im, Value *x) {
    static const int64_t perm[] = {0, 2, 1, 3};
    if (!x)
        return NULL;
    const Dim *const *d = x->type->dims;
    const Dim *dims[] = {d[0], d[2], lt_dim_mul(im->dims, d[1], d[3])};
    return lt_build_reshape(&im->b, lt_build_transpose(&im->b, x, perm), 3, dims);
}

/* --- operands ------------------------------------------------------------------------------ */

static Value *with_past(Import *im, Value *past, Value *x) {
    Value *both[] = {past, x};
    return past && x ? lt_build_concat(&im->b, both, 2, 2) : x;
}

/* The number of valid keys of each sample, i64[b, 1, 1, 1]; NULL: all. */
static Value *valid_keys(Import *im) {
    Value *count = onnx_in(im, 6);
    const Dim *one = lt_dim_const(im->dims, 1);
    if (!count)
        return NULL;
    const Dim *dims[] = {lt_dim_product(im->dims, count->type->dims, count->type->rank), one, one,
                         one};
    return lt_build_reshape(&im->b, lt_build_convert(&im->b, count, DT_I64), 4, dims);
}

static bool share_heads(Import *im, Attention *a) {
    a->heads = a->q->type->dims[1];
    a->key_heads = a->k->type->dims[1];
    if (!lt_dim_is_const(a->key_heads) || a->key_heads->value < 1 ||
        !lt_dim_divisible(im->dims, a->heads, a->key_heads->value))
        return lt_onnx_malformed(im, "%s heads of queries have no equal share of %s of keys",
                                 lt_onnx_dim_text(im, a->heads),
                                 lt_onnx_dim_text(im, a->key_heads));
    a->group = lt_dim_floordiv(im->dims, a->heads, a->key_heads);
    return true;
}

static bool read_operands(Import *im, Attention *a) {
    a->is_flat = im->inputs[0]->type->rank == 3;
    a->q = split_heads(im, im->inputs[0], "q_num_heads");
    a->k = split_heads(im, im->inputs[1], "kv_num_heads");
    a->v = split_heads(im, im->inputs[2], "kv_num_heads");
    if (!is_four(im, a->q, "Q") || !is_four(im, a->k, "K") || !is_four(im, a->v, "V"))
        return false;
    if (!onnx_in(im, 4) != !onnx_in(im, 5))
        return lt_onnx_malformed(im, "past_key and past_value must be given together");
    if (onnx_in(im, 4) && onnx_in(im, 6))
        return lt_onnx_malformed(im, "nonpad_kv_seqlen and past_key exclude each other");
    if (onnx_in(im, 4))
        a->past = lt_onnx_dim_value(im, onnx_in(im, 4)->type->dims[2], DT_I64);
    else if (onnx_in(im, 6))
        a->past = lt_build_map2(&im->b, FN_SUB, valid_keys(im),
                                lt_onnx_dim_value(im, a->q->type->dims[2], DT_I64));
    a->k = with_past(im, onnx_in(im, 4), a->k);
    a->v = with_past(im, onnx_in(im, 5), a->v);
    return a->k && a->v && share_heads(im, a);
}

/* --- masks --------------------------------------------------------------------------------- */

static void add_bias(Import *im, Attention *a, Value *bias) {
    a->bias = a->bias ? lt_build_map2(&im->b, FN_ADD, a->bias, bias) : bias;
}

/* Minus infinity where the mask is false. */
static Value *mask_bias(Import *im, const Attention *a, Value *mask) {
    return lt_build_map3(&im->b, FN_SELECT, mask, lt_onnx_scalar_like(im, a->q, 0),
                         lt_onnx_scalar_like(im, a->q, -INFINITY));
}

/* A mask for fewer keys than there are hides the rest. */
static bool add_mask(Import *im, Attention *a) {
    Value *mask = onnx_in(im, 3);
    if (!mask)
        return true;
    a->may_be_empty = true;
    if (mask->type->rank < 1 || mask->type->rank > 4)
        return lt_onnx_malformed(im, "attn_mask has rank %d", mask->type->rank);
    int last = mask->type->rank - 1;
    mask = mask->type->dtype == DT_BOOL ? mask_bias(im, a, mask)
                                        : lt_build_convert(&im->b, mask, a->q->type->dtype);
    const Dim *keys = onnx_in(im, 3)->type->dims[last],
              *missing = lt_dim_sub(im->dims, a->k->type->dims[2], keys);
    if (!lt_dim_is(missing, 0)) {
        const Dim *lo[LT_MAX_RANK], *hi[LT_MAX_RANK];
        for (int i = 0; i <= last; i++)
            lo[i] = hi[i] = lt_dim_const(im->dims, 0);
        hi[last] = missing;
        mask = lt_build_pad(&im->b, mask, lo, hi, NULL,
                            lt_const_float(im->module, a->q->type->dtype, -INFINITY));
    }
    add_bias(im, a, mask);
    return mask != NULL;
}

static Value *both(Import *im, Value *allowed, Value *condition) {
    return allowed ? lt_build_map2(&im->b, FN_AND, allowed, condition) : condition;
}

/* Which keys a query sees by their positions: is_causal, the window, what is valid. */
static void add_positions(Import *im, Attention *a) {
    int64_t left = lt_onnx_int(im, "left_window_size", -1),
            right = lt_onnx_int(im, "right_window_size", -1);
    bool is_causal = lt_onnx_int(im, "is_causal", 0) != 0;
    const Dim *one = lt_dim_const(im->dims, 1);
    const Dim *rows[] = {a->q->type->dims[2], one}, *columns[] = {one, a->k->type->dims[2]};
    Value *query = lt_build_iota(&im->b, DT_I64, 2, rows, 0),
          *key = lt_build_iota(&im->b, DT_I64, 2, columns, 1), *allowed = NULL;
    if (a->past)
        query = lt_build_map2(&im->b, FN_ADD, query, a->past);
    Value *ahead = lt_build_map2(&im->b, FN_SUB, key, query);
    if (is_causal)
        allowed = lt_onnx_map_scalar(im, FN_LE, ahead, 0);
    if (left >= 0)
        allowed = both(im, allowed, lt_onnx_map_scalar(im, FN_GE, ahead, (double)-left));
    if (right >= 0)
        allowed = both(im, allowed, lt_onnx_map_scalar(im, FN_LE, ahead, (double)right));
    if (onnx_in(im, 6))
        allowed = both(im, allowed, lt_build_map2(&im->b, FN_LT, key, valid_keys(im)));
    a->may_be_empty |= left >= 0 || right >= 0 || onnx_in(im, 6);
    if (allowed)
        add_bias(im, a, mask_bias(im, a, allowed));
}

/* --- scores -------------------------------------------------------------------------------- */

/* [b, h, ...] to [b, g, h / g, ...]. */
static Value *group_heads(Import *im, const Attention *a, Value *x) {
    if (!x)
        return NULL;
    const Dim *dims[] = {x->type->dims[0], a->key_heads, a->group, x->type->dims[2],
                         x->type->dims[3]};
    return lt_build_reshape(&im->b, x, 5, dims);
}

static Value *merge_heads(Import *im, const Attention *a, Value *x) {
    if (!x)
        return NULL;
    const Dim *dims[] = {x->type->dims[0], a->heads, x->type->dims[3], x->type->dims[4]};
    return lt_build_reshape(&im->b, x, 4, dims);
}

/* The product of rows per query head and columns per key head. */
static Value *multiply(Import *im, const Attention *a, Value *x, Value *y, bool transposed) {
    if (a->heads == a->key_heads)
        return lt_build_contract(&im->b, x, y, transposed ? "bhsd,bhtd->bhst" : "bhst,bhtv->bhsv");
    x = lt_build_contract(&im->b, group_heads(im, a, x), y,
                          transposed ? "bhgsd,bhtd->bhgst" : "bhgst,bhtv->bhgsv");
    return merge_heads(im, a, x);
}

/* As the specification has it, each factor takes the root of the scale: f16 does not overflow. */
static Value *scaled_scores(Import *im, const Attention *a) {
    const Dim *size = a->q->type->dims[3];
    Value *scale;
    if (lt_onnx_has(im, "scale")) {
        scale = lt_onnx_scalar_like(im, a->q, sqrt(lt_onnx_float(im, "scale", 1)));
    } else if (lt_dim_is_const(size)) {
        scale = lt_onnx_scalar_like(im, a->q, 1 / sqrt(sqrt((double)size->value)));
    } else {
        Value *root = lt_onnx_dim_value(im, size, a->q->type->dtype);
        root = lt_build_map1(&im->b, FN_SQRT, lt_build_map1(&im->b, FN_SQRT, root));
        scale = lt_build_map1(&im->b, FN_RECIP, root);
    }
    return multiply(im, a, lt_build_map2(&im->b, FN_MUL, a->q, scale),
                    lt_build_map2(&im->b, FN_MUL, a->k, scale), true);
}

static Value *soft_cap(Import *im, Value *scores) {
    double cap = lt_onnx_float(im, "softcap", 0);
    if (cap <= 0)
        return scores;
    scores = lt_build_map1(&im->b, FN_TANH, lt_onnx_map_scalar(im, FN_DIV, scores, cap));
    return lt_onnx_map_scalar(im, FN_MUL, scores, cap);
}

/* What softmax_precision says, else `otherwise`. */
static bool softmax_dtype(Import *im, DType otherwise, DType *out) {
    int64_t precision = lt_onnx_int(im, "softmax_precision", 0);
    *out = otherwise;
    if (!precision || (lt_onnx_dtype(precision, out) && lt_dtype_is_float(*out)))
        return true;
    return lt_onnx_malformed(im, "softmax_precision %s is no float",
                             lt_onnx_data_type_name(precision));
}

static Value *softmax(Import *im, Value *scores) {
    static const int64_t last = 3;
    const Attr axis = lt_int(ATTR_AXIS, last);
    return scores ? lt_build(&im->b, &(NodeSpec){.op = OP_SOFTMAX,
                                                 .inputs = &scores,
                                                 .input_count = 1,
                                                 .attrs = &axis,
                                                 .attr_count = 1})
                  : NULL;
}

/* A query that sees no key has weights 0, not NaN. */
static Value *weights_of(Import *im, const Attention *a, Value *scores) {
    DType dtype = a->q->type->dtype, inner;
    if (!softmax_dtype(im, dtype, &inner))
        return NULL;
    Value *weights = softmax(im, lt_build_convert(&im->b, scores, inner));
    weights = lt_build_convert(&im->b, weights, dtype);
    if (!a->may_be_empty || !a->bias)
        return weights;
    const int64_t bias_axis = a->bias->type->rank - 1;
    Value *most = lt_build_reduce(&im->b, FN_MAX, a->bias, &bias_axis, 1, true);
    Value *is_empty = lt_onnx_map_scalar(im, FN_EQ, most, -INFINITY);
    return lt_build_map3(&im->b, FN_SELECT, is_empty, lt_onnx_scalar_like(im, a->q, 0), weights);
}

enum { RAW_SCORES, CAPPED_SCORES, BIASED_SCORES, WEIGHTS };

bool lt_onnx_attention(Import *im) {
    Attention a = {0};
    Value *stages[4];
    int64_t mode = lt_onnx_int(im, "qk_matmul_output_mode", 0);
    if (mode < RAW_SCORES || mode > WEIGHTS)
        return lt_onnx_malformed(im, "qk_matmul_output_mode is %lld", (long long)mode);
    if (!read_operands(im, &a) || !add_mask(im, &a))
        return false;
    add_positions(im, &a);
    stages[RAW_SCORES] = scaled_scores(im, &a);
    stages[CAPPED_SCORES] = stages[BIASED_SCORES] = soft_cap(im, stages[RAW_SCORES]);
    if (a.bias)
        stages[BIASED_SCORES] = lt_build_map2(&im->b, FN_ADD, stages[CAPPED_SCORES], a.bias);
    stages[WEIGHTS] = weights_of(im, &a, stages[BIASED_SCORES]);
    Value *v = a.v->type->dtype == a.q->type->dtype
                   ? a.v
                   : lt_build_convert(&im->b, a.v, a.q->type->dtype);
    Value *y = multiply(im, &a, stages[WEIGHTS], v, false);
    onnx_set(im, 1, a.k);
    onnx_set(im, 2, a.v);
    onnx_set(im, 3, stages[mode]);
    return onnx_set(im, 0, a.is_flat ? join_heads(im, y) : y);
}

/* --- FlexAttention ------------------------------------------------------------------------- */

/* What the subgraph of this name makes of x; x when there is none. */
static Value *modify(Import *im, const char *name, Value *x) {
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_GRAPH);
    Value *y = NULL;
    if (!a || !x)
        return x;
    if (a->g->inputs.len != 1 || a->g->outputs.len != 1) {
        lt_onnx_malformed(im, "%s has %zu inputs and %zu outputs; one of each is expected", name,
                          a->g->inputs.len, a->g->outputs.len);
        return NULL;
    }
    if (!lt_onnx_read_inline(im, a->g, &x, &y))
        return NULL;
    if (y->type->dtype == x->type->dtype && y->type->rank == x->type->rank)
        return lt_onnx_broadcast_to(im, y, x->type);
    lt_onnx_malformed(im, "%s makes %s of rank %d of %s of rank %d", name,
                      lt_dtype_name(y->type->dtype), y->type->rank,
                      lt_dtype_name(x->type->dtype), x->type->rank);
    return NULL;
}

bool lt_onnx_flex_attention(Import *im) {
    Attention a = {.q = im->inputs[0], .k = im->inputs[1], .v = im->inputs[2]};
    DType inner;
    if (!is_four(im, a.q, "Q") || !is_four(im, a.k, "K") || !is_four(im, a.v, "V") ||
        !share_heads(im, &a) ||
        !softmax_dtype(im, a.q->type->dtype == DT_F64 ? DT_F64 : DT_F32, &inner))
        return false;
    Value *scores = lt_build_convert(&im->b, scaled_scores(im, &a), inner);
    Value *weights = modify(im, "prob_mod", softmax(im, modify(im, "score_mod", scores)));
    Value *y = weights ? multiply(im, &a, weights, lt_build_convert(&im->b, a.v, inner), false)
                       : NULL;
    return onnx_set(im, 0, lt_build_convert(&im->b, y, a.q->type->dtype));
}

/* --- RotaryEmbedding ----------------------------------------------------------------------- */

/* [.., from, from + step, ..] of the last axis: count elements. */
static Value *take_last(Import *im, Value *x, const Dim *from, const Dim *count, int64_t step) {
    const Dim *start[LT_MAX_RANK], *size[LT_MAX_RANK];
    int64_t steps[LT_MAX_RANK];
    if (!x)
        return NULL;
    int last = x->type->rank - 1;
    for (int i = 0; i <= last; i++) {
        start[i] = i == last ? from : lt_dim_const(im->dims, 0);
        size[i] = i == last ? count : x->type->dims[i];
        steps[i] = i == last ? step : 1;
    }
    return lt_build_slice(&im->b, x, start, size, steps);
}

/* cos or sin of each token, [b, 1, s, d / 2]: the cache's row at its position, or the cache. */
static Value *angles(Import *im, Value *cache) {
    static const int64_t head_axis = 1;
    if (onnx_in(im, 3))
        cache = lt_build_gather(&im->b, cache, onnx_in(im, 3), 0);
    if (cache && cache->type->rank != 3) {
        lt_onnx_malformed(im, "the caches have rank %d; expected 3", cache->type->rank);
        return NULL;
    }
    return lt_build_unsqueeze(&im->b, cache, &head_axis, 1);
}

/* The pairs (x, y), turned: (x cos - y sin, x sin + y cos). */
static Value *rotate(Import *im, Value *x, const Dim *size) {
    bool interleaved = lt_onnx_int(im, "interleaved", 0) != 0;
    const Dim *half = lt_dim_floordiv(im->dims, size, lt_dim_const(im->dims, 2)),
              *zero = lt_dim_const(im->dims, 0), *one = lt_dim_const(im->dims, 1);
    Value *first = take_last(im, x, zero, half, interleaved ? 2 : 1),
          *second = take_last(im, x, interleaved ? one : half, half, interleaved ? 2 : 1);
    Value *cosine = angles(im, im->inputs[1]), *sine = angles(im, im->inputs[2]);
    Value *parts[] = {lt_build_map2(&im->b, FN_SUB, lt_build_map2(&im->b, FN_MUL, first, cosine),
                                    lt_build_map2(&im->b, FN_MUL, second, sine)),
                      lt_build_map2(&im->b, FN_ADD, lt_build_map2(&im->b, FN_MUL, first, sine),
                                    lt_build_map2(&im->b, FN_MUL, second, cosine))};
    if (!parts[0] || !parts[1])
        return NULL;
    if (!interleaved)
        return lt_build_concat(&im->b, parts, 2, 3);
    static const int64_t pair_axis = 4;
    const Dim *dims[] = {x->type->dims[0], x->type->dims[1], x->type->dims[2], size};
    for (int i = 0; i < 2; i++)
        parts[i] = lt_build_unsqueeze(&im->b, parts[i], &pair_axis, 1);
    return lt_build_reshape(&im->b, lt_build_concat(&im->b, parts, 2, 4), 4, dims);
}

bool lt_onnx_rotary_embedding(Import *im) {
    Value *x = split_heads(im, im->inputs[0], "num_heads");
    int64_t size = lt_onnx_int(im, "rotary_embedding_dim", 0);
    if (!is_four(im, x, "the input"))
        return false;
    const Dim *whole = x->type->dims[3], *turned = size ? lt_dim_const(im->dims, size) : whole;
    Value *parts[] = {rotate(im, x, turned), NULL};
    if (turned != whole) {
        parts[1] = take_last(im, x, turned, lt_dim_sub(im->dims, whole, turned), 1);
        if (!parts[0] || !parts[1])
            return false;
        parts[0] = lt_build_concat(&im->b, parts, 2, 3);
    }
    return onnx_set(im, 0, im->inputs[0]->type->rank == 3 ? join_heads(im, parts[0]) : parts[0]);
}
