/* ops_attention.c - attention and what goes with it, from contractions, masks and a softmax. */
#include <math.h>
#include <string.h>

#include "frontends/onnx/attention.h"
#include "frontends/onnx/extents.h"
#include "frontends/onnx/scope.h"

static bool is_four(Import *im, Value *x, const char *what) {
    return x && (x->type->rank == 4 ||
                 lt_onnx_malformed(im, "%s has rank %d; expected 4", what, x->type->rank));
}

Value *lt_onnx_split_heads(Import *im, Value *x, int64_t heads, const char *attribute) {
    static const int64_t perm[] = {0, 2, 1, 3};
    const Dim *count = lt_dim_const(im->dims, heads);
    const Dim *size = heads < 1 ? NULL : lt_onnx_part_extent(im, x->type->dims[2], count);
    if (!size) {
        lt_onnx_malformed(im, "%s is %lld; expected a divisor of %s", attribute, (long long)heads,
                          lt_onnx_dim_text(im, x->type->dims[2]));
        return NULL;
    }
    const Dim *dims[] = {x->type->dims[0], x->type->dims[1], count, size};
    return lt_build_transpose(&im->b, lt_build_reshape(&im->b, x, 4, dims), perm);
}

/* Leaves alone what has its heads apart already. */
static Value *split_if_flat(Import *im, Value *x, const char *attribute) {
    return x->type->rank == 3 ? lt_onnx_split_heads(im, x, lt_onnx_int(im, attribute, 0), attribute)
                              : x;
}

Value *lt_onnx_join_heads(Import *im, Value *x) {
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

static bool read_operands(Import *im, Attention *a) {
    a->is_flat = im->inputs[0]->type->rank == 3;
    a->q = split_if_flat(im, im->inputs[0], "q_num_heads");
    a->k = split_if_flat(im, im->inputs[1], "kv_num_heads");
    a->v = split_if_flat(im, im->inputs[2], "kv_num_heads");
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
    return a->k && a->v && lt_onnx_share_heads(im, a);
}

bool lt_onnx_share_heads(Import *im, Attention *a) {
    a->heads = a->q->type->dims[1];
    a->key_heads = a->k->type->dims[1];
    a->group = lt_dim_is(a->key_heads, 0) ? NULL : lt_onnx_part_extent(im, a->heads, a->key_heads);
    if (!a->group)
        return lt_onnx_malformed(im, "%s heads of queries have no equal share of %s of keys",
                                 lt_onnx_dim_text(im, a->heads),
                                 lt_onnx_dim_text(im, a->key_heads));
    return true;
}

/* --- masks --------------------------------------------------------------------------------- */

void lt_onnx_add_bias(Import *im, Attention *a, Value *bias) {
    a->bias = a->bias ? lt_build_map2(&im->b, FN_ADD, a->bias, bias) : bias;
}

Value *lt_onnx_mask_bias(Import *im, const Attention *a, Value *allowed, double otherwise) {
    return lt_build_map3(&im->b, FN_SELECT, allowed, lt_onnx_scalar_like(im, a->q, 0),
                         lt_onnx_scalar_like(im, a->q, otherwise));
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
    mask = mask->type->dtype == DT_BOOL ? lt_onnx_mask_bias(im, a, mask, -INFINITY)
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
    lt_onnx_add_bias(im, a, mask);
    return mask != NULL;
}

static Value *both(Import *im, Value *allowed, Value *condition) {
    return allowed ? lt_build_map2(&im->b, FN_AND, allowed, condition) : condition;
}

Value *lt_onnx_keys_ahead(Import *im, const Attention *a) {
    const Dim *one = lt_dim_const(im->dims, 1);
    const Dim *rows[] = {a->q->type->dims[2], one}, *columns[] = {one, a->k->type->dims[2]};
    Value *query = lt_build_iota(&im->b, DT_I64, 2, rows, 0),
          *key = lt_build_iota(&im->b, DT_I64, 2, columns, 1);
    if (a->past)
        query = lt_build_map2(&im->b, FN_ADD, query, a->past);
    return lt_build_map2(&im->b, FN_SUB, key, query);
}

/* Which keys a query sees by their positions: is_causal, the window, what is valid. */
static void add_positions(Import *im, Attention *a) {
    int64_t left = lt_onnx_int(im, "left_window_size", -1),
            right = lt_onnx_int(im, "right_window_size", -1);
    bool is_causal = lt_onnx_int(im, "is_causal", 0) != 0;
    const Dim *columns[] = {lt_dim_const(im->dims, 1), a->k->type->dims[2]};
    Value *key = lt_build_iota(&im->b, DT_I64, 2, columns, 1), *ahead = lt_onnx_keys_ahead(im, a),
          *allowed = NULL;
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
        lt_onnx_add_bias(im, a, lt_onnx_mask_bias(im, a, allowed, -INFINITY));
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

/* The scale, or its root. */
static Value *scale_of(Import *im, const Attention *a) {
    const Dim *size = a->q->type->dims[3];
    if (a->scale != 0 || lt_dim_is_const(size)) {
        const double scale = a->scale != 0 ? a->scale : 1 / sqrt((double)size->value);
        return lt_onnx_scalar_like(im, a->q, a->splits_scale ? sqrt(scale) : scale);
    }
    Value *root = lt_build_map1(&im->b, FN_SQRT, lt_onnx_dim_value(im, size, a->q->type->dtype));
    if (a->splits_scale)
        root = lt_build_map1(&im->b, FN_SQRT, root);
    return lt_build_map1(&im->b, FN_RECIP, root);
}

static Value *scaled_scores(Import *im, const Attention *a) {
    Value *scale = scale_of(im, a), *k = a->k;
    if (a->splits_scale)
        k = lt_build_map2(&im->b, FN_MUL, k, scale);
    return multiply(im, a, lt_build_map2(&im->b, FN_MUL, a->q, scale), k, true);
}

static Value *soft_cap(Import *im, Value *scores, double cap) {
    if (cap <= 0)
        return scores;
    scores = lt_build_map1(&im->b, FN_TANH, lt_onnx_map_scalar(im, FN_DIV, scores, cap));
    return lt_onnx_map_scalar(im, FN_MUL, scores, cap);
}

/* The softmax over the keys and, where there is one, the sink, which is left out of the result. */
static Value *softmax_of(Import *im, const Attention *a, Value *scores) {
    Attr axis = lt_int(ATTR_AXIS, 3);
    const Dim *one = lt_dim_const(im->dims, 1), *keys = scores ? scores->type->dims[3] : NULL;
    if (scores && a->sink) {
        const Dim *dims[] = {scores->type->dims[0], a->heads, scores->type->dims[2], one},
                  *along[] = {a->heads, one, one};
        Value *sink = lt_build_convert(&im->b, a->sink, scores->type->dtype);
        sink = lt_build_reshape(&im->b, sink, 3, along);
        Value *parts[] = {scores, lt_build_broadcast(&im->b, sink, 4, dims)};
        scores = parts[1] ? lt_build_concat(&im->b, parts, 2, 3) : NULL;
    }
    NodeSpec spec = {
        .op = OP_SOFTMAX, .inputs = &scores, .input_count = 1, .attrs = &axis, .attr_count = 1};
    Value *weights = scores ? lt_build(&im->b, &spec) : NULL;
    return a->sink ? lt_onnx_slice_axis(im, weights, 3, lt_dim_const(im->dims, 0), keys) : weights;
}

/* A query that sees no key has weights 0, not NaN. */
static Value *weights_of(Import *im, const Attention *a, Value *scores) {
    const DType dtype = a->q->type->dtype;
    Value *weights = softmax_of(im, a, lt_build_convert(&im->b, scores, a->softmax));
    weights = weights ? lt_build_convert(&im->b, weights, dtype) : NULL;
    if (!a->may_be_empty || !a->bias)
        return weights;
    const int64_t bias_axis = a->bias->type->rank - 1;
    Value *most = lt_build_reduce(&im->b, FN_MAX, a->bias, &bias_axis, 1, true);
    Value *is_empty = lt_onnx_map_scalar(im, FN_EQ, most, -INFINITY);
    return lt_build_map3(&im->b, FN_SELECT, is_empty, lt_onnx_scalar_like(im, a->q, 0), weights);
}

Value *lt_onnx_attend(Import *im, const Attention *a, Value **stages) {
    stages[RAW_SCORES] = scaled_scores(im, a);
    stages[CAPPED_SCORES] = stages[BIASED_SCORES] = soft_cap(im, stages[RAW_SCORES], a->softcap);
    if (a->bias)
        stages[BIASED_SCORES] = lt_build_map2(&im->b, FN_ADD, stages[CAPPED_SCORES], a->bias);
    stages[WEIGHTS] = weights_of(im, a, stages[BIASED_SCORES]);
    Value *v = a->v->type->dtype == a->q->type->dtype
                   ? a->v
                   : lt_build_convert(&im->b, a->v, a->q->type->dtype);
    return multiply(im, a, stages[WEIGHTS], v, false);
}

/* The softmax is computed in `otherwise` unless the node says what in. */
static bool read_numbers(Import *im, Attention *a, DType otherwise) {
    const int64_t precision = lt_onnx_int(im, "softmax_precision", 0);
    a->splits_scale = true;
    a->scale = lt_onnx_float(im, "scale", 0);
    a->softcap = lt_onnx_float(im, "softcap", 0);
    a->softmax = otherwise;
    return !precision || (lt_onnx_dtype(precision, &a->softmax) && lt_dtype_is_float(a->softmax)) ||
           lt_onnx_malformed(im, "softmax_precision %s is no float",
                             lt_onnx_data_type_name(precision));
}

bool lt_onnx_attention(Import *im) {
    Attention a = {0};
    Value *stages[ATTENTION_STAGES];
    int64_t mode = lt_onnx_int(im, "qk_matmul_output_mode", 0);
    if (mode < RAW_SCORES || mode > WEIGHTS)
        return lt_onnx_malformed(im, "qk_matmul_output_mode is %lld", (long long)mode);
    if (!read_numbers(im, &a, im->inputs[0]->type->dtype) || !read_operands(im, &a) ||
        !add_mask(im, &a))
        return false;
    add_positions(im, &a);
    Value *y = lt_onnx_attend(im, &a, stages);
    onnx_set(im, 1, a.k);
    onnx_set(im, 2, a.v);
    onnx_set(im, 3, stages[mode]);
    return onnx_set(im, 0, a.is_flat ? lt_onnx_join_heads(im, y) : y);
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
                      lt_dtype_name(y->type->dtype), y->type->rank, lt_dtype_name(x->type->dtype),
                      x->type->rank);
    return NULL;
}

bool lt_onnx_flex_attention(Import *im) {
    Attention a = {.q = im->inputs[0], .k = im->inputs[1], .v = im->inputs[2]};
    if (!is_four(im, a.q, "Q") || !is_four(im, a.k, "K") || !is_four(im, a.v, "V") ||
        !lt_onnx_share_heads(im, &a) ||
        !read_numbers(im, &a, a.q->type->dtype == DT_F64 ? DT_F64 : DT_F32))
        return false;
    Value *scores = lt_build_convert(&im->b, scaled_scores(im, &a), a.softmax);
    Value *weights = modify(im, "prob_mod", softmax_of(im, &a, modify(im, "score_mod", scores)));
    Value *v = lt_build_convert(&im->b, a.v, a.softmax);
    Value *y = weights ? multiply(im, &a, weights, v, false) : NULL;
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
static Value *turn(Import *im, Value *x, const Dim *size, Value *cosine, Value *sine) {
    bool interleaved =
        lt_onnx_int(im, "interleaved", lt_onnx_int(im, "rotary_interleaved", 0)) != 0;
    const Dim *half = lt_dim_floordiv(im->dims, size, lt_dim_const(im->dims, 2)),
              *zero = lt_dim_const(im->dims, 0), *one = lt_dim_const(im->dims, 1);
    Value *first = take_last(im, x, zero, half, interleaved ? 2 : 1),
          *second = take_last(im, x, interleaved ? one : half, half, interleaved ? 2 : 1);
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

Value *lt_onnx_rotate(Import *im, Value *x, const Dim *size, Value *cosine, Value *sine) {
    const Dim *whole = x->type->dims[3];
    Value *parts[] = {turn(im, x, size, cosine, sine), NULL};
    if (size == whole)
        return parts[0];
    parts[1] =
        lt_onnx_slice_axis(im, x, x->type->rank - 1, size, lt_dim_sub(im->dims, whole, size));
    return parts[0] && parts[1] ? lt_build_concat(&im->b, parts, 2, 3) : NULL;
}

bool lt_onnx_rotary_embedding(Import *im) {
    Value *x = split_if_flat(im, im->inputs[0], "num_heads");
    int64_t size = lt_onnx_int(im, "rotary_embedding_dim", 0);
    if (!is_four(im, x, "the input"))
        return false;
    const Dim *turned = size ? lt_dim_const(im->dims, size) : x->type->dims[3];
    Value *y = lt_onnx_rotate(im, x, turned, angles(im, im->inputs[1]), angles(im, im->inputs[2]));
    return onnx_set(im, 0, im->inputs[0]->type->rank == 3 ? lt_onnx_join_heads(im, y) : y);
}
