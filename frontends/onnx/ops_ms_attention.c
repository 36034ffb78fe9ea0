/* ops_ms_attention.c - Attention, MultiHeadAttention and RotaryEmbedding of com.microsoft. Masks
 * are added to the scores as finite numbers, as onnxruntime does it. */
#include <string.h>

#include "frontends/onnx/attention.h"
#include "frontends/onnx/quant.h"

static void read_numbers(Import *im, Attention *a) {
    a->scale = lt_onnx_float(im, "scale", 0);
    a->softmax = a->q->type->dtype;
}

/* --- masks --------------------------------------------------------------------------------- */

static double filter_of(Import *im) { return lt_onnx_float(im, "mask_filter_value", -10000); }

static Value *shaped(Import *im, Value *x, const Dim *batch, const Dim *rows, const Dim *keys) {
    const Dim *dims[] = {batch, lt_dim_const(im->dims, 1), rows, keys};
    return x ? lt_build_reshape(&im->b, x, 4, dims) : NULL;
}

/* Which keys lie before the end of each sample and, where `mask` has 2 b numbers, from its start
 * on. */
static Value *between(Import *im, const Attention *a, Value *mask) {
    const Dim *batch = a->q->type->dims[0], *one = lt_dim_const(im->dims, 1);
    const Dim *line[] = {one, one, one, a->k->type->dims[2]};
    const bool has_starts = mask->type->dims[0] == lt_dim_mul_const(im->dims, batch, 2);
    if (mask->type->dims[0] != batch && !has_starts) {
        lt_onnx_unsupported(im, "a mask of %s numbers for a batch of %s is not supported",
                            lt_onnx_dim_text(im, mask->type->dims[0]), lt_onnx_dim_text(im, batch));
        return NULL;
    }
    Value *key = lt_build_iota(&im->b, DT_I64, 4, line, 3);
    mask = lt_build_convert(&im->b, mask, DT_I64);
    Value *end =
        has_starts ? lt_onnx_slice_axis(im, mask, 0, lt_dim_const(im->dims, 0), batch) : mask;
    Value *inside = lt_build_map2(&im->b, FN_LT, key, shaped(im, end, batch, one, one));
    if (!has_starts)
        return inside;
    Value *start = shaped(im, lt_onnx_slice_axis(im, mask, 0, batch, batch), batch, one, one);
    return lt_build_map2(&im->b, FN_AND, inside, lt_build_map2(&im->b, FN_GE, key, start));
}

/* The mask in its three forms: [b, t] and [b, s, t] of 0 and 1, and [b] or [2 b] positions. */
static bool add_mask(Import *im, Attention *a, Value *mask) {
    Value *allowed = NULL;
    if (!mask)
        return true;
    const Dim *const *d = mask->type->dims, *one = lt_dim_const(im->dims, 1);
    if (mask->type->rank == 1)
        allowed = between(im, a, mask);
    else if (mask->type->rank == 2)
        allowed = lt_onnx_map_scalar(im, FN_GT, shaped(im, mask, d[0], one, d[1]), 0);
    else if (mask->type->rank == 3)
        allowed = lt_onnx_map_scalar(im, FN_GT, shaped(im, mask, d[0], d[1], d[2]), 0);
    else
        return lt_onnx_unsupported(im, "a mask of rank %d is not supported", mask->type->rank);
    if (!allowed)
        return false;
    lt_onnx_add_bias(im, a, lt_onnx_mask_bias(im, a, allowed, filter_of(im)));
    return a->bias != NULL;
}

static void add_causal(Import *im, Attention *a) {
    if (!lt_onnx_int(im, "unidirectional", 0))
        return;
    Value *allowed = lt_onnx_map_scalar(im, FN_LE, lt_onnx_keys_ahead(im, a), 0);
    lt_onnx_add_bias(im, a, lt_onnx_mask_bias(im, a, allowed, filter_of(im)));
}

/* Masks, and what else is added to the scores; then the attention itself. */
static bool finish(Import *im, Attention *a, Value *mask, Value *bias) {
    Value *stages[ATTENTION_STAGES];
    read_numbers(im, a);
    if (!lt_onnx_share_heads(im, a) || !add_mask(im, a, mask))
        return false;
    add_causal(im, a);
    if (bias)
        lt_onnx_add_bias(im, a, bias);
    Value *y = lt_onnx_attend(im, a, stages);
    if (im->output_count > 3 && onnx_wants(im, 3))
        onnx_set(im, 3, stages[WEIGHTS]);
    return onnx_set(im, 0, lt_onnx_join_heads(im, y));
}

/* --- the past ------------------------------------------------------------------------------ */

static bool append_to_past(Import *im, Attention *a, Value *past_k, Value *past_v) {
    Value *keys[] = {past_k, a->k}, *values[] = {past_v, a->v};
    if (!past_k != !past_v)
        return lt_onnx_malformed(im, "keys and values of the past must be given together");
    if (!past_k)
        return true;
    if (past_k->type->rank != 4 || past_v->type->rank != 4)
        return lt_onnx_malformed(im, "keys and values of the past have ranks %d and %d; expected 4",
                                 past_k->type->rank, past_v->type->rank);
    a->past = lt_onnx_dim_value(im, past_k->type->dims[2], DT_I64);
    a->k = lt_build_concat(&im->b, keys, 2, 2);
    a->v = lt_build_concat(&im->b, values, 2, 2);
    return a->k && a->v;
}

/* Half of [2, b, h, t, d]. */
static Value *half_of(Import *im, Value *past, int64_t which) {
    static const int64_t front = 0;
    Value *half =
        lt_onnx_slice_axis(im, past, 0, lt_dim_const(im->dims, which), lt_dim_const(im->dims, 1));
    return lt_build_squeeze(&im->b, half, &front, 1);
}

/* --- Attention ----------------------------------------------------------------------------- */

/* The widths of queries, keys and values, which lie side by side in `all`. */
static bool read_widths(Import *im, const Dim *all, const Dim **widths) {
    int64_t count;
    const int64_t *sizes = lt_onnx_ints(im, "qkv_hidden_sizes", &count);
    if (sizes && count != 3 && count != 0)
        return lt_onnx_malformed(im, "qkv_hidden_sizes has %lld numbers; expected 3",
                                 (long long)count);
    if (!count && !lt_dim_divisible(im->dims, all, 3))
        return lt_onnx_malformed(im, "the weights have %s columns; expected a multiple of 3",
                                 lt_onnx_dim_text(im, all));
    for (int64_t i = 0; i < count; i++)
        if (sizes[i] < 1 || sizes[i] > INT32_MAX)
            return lt_onnx_malformed(im, "qkv_hidden_sizes holds %lld", (long long)sizes[i]);
    for (int i = 0; i < 3; i++)
        widths[i] = count ? lt_dim_const(im->dims, sizes[i])
                          : lt_dim_floordiv(im->dims, all, lt_dim_const(im->dims, 3));
    return true;
}

/* [b, s, q + k + v] as heads of queries, keys and values. */
static bool split_projection(Import *im, Attention *a, Value *x) {
    const Dim *widths[3], *from = lt_dim_const(im->dims, 0);
    const int64_t heads = lt_onnx_int(im, "num_heads", 0);
    Value **parts[] = {&a->q, &a->k, &a->v};
    if (!x || !read_widths(im, x->type->dims[2], widths))
        return false;
    for (int i = 0; i < 3; i++) {
        Value *part = lt_onnx_slice_axis(im, x, x->type->rank - 1, from, widths[i]);
        *parts[i] = part ? lt_onnx_split_heads(im, part, heads, "num_heads") : NULL;
        from = lt_dim_add(im->dims, from, widths[i]);
        if (!*parts[i])
            return false;
    }
    return true;
}

static bool set_present(Import *im, const Attention *a) {
    static const int64_t front = 0;
    if (!onnx_wants(im, 1))
        return true;
    Value *both[] = {lt_build_unsqueeze(&im->b, a->k, &front, 1),
                     lt_build_unsqueeze(&im->b, a->v, &front, 1)};
    return both[0] && both[1] && onnx_set(im, 1, lt_build_concat(&im->b, both, 2, 0));
}

static bool attend_projected(Import *im, Value *x, Value *mask, Value *past, Value *bias) {
    Attention a = {0};
    if (lt_onnx_int(im, "do_rotary", 0) || lt_onnx_int(im, "past_present_share_buffer", 0))
        return lt_onnx_unsupported(im, "do_rotary and past_present_share_buffer are not supported");
    if (!split_projection(im, &a, x))
        return false;
    if (past && past->type->rank != 5)
        return lt_onnx_malformed(im, "past has rank %d; expected 5", past->type->rank);
    Value *k = past ? half_of(im, past, 0) : NULL, *v = past ? half_of(im, past, 1) : NULL;
    if (past && (!k || !v))
        return false;
    return append_to_past(im, &a, k, v) && set_present(im, &a) && finish(im, &a, mask, bias);
}

static bool check_projection(Import *im, const Value *x, const Value *w) {
    return (x->type->rank == 3 && w->type->rank == 2) ||
           lt_onnx_malformed(im, "input and weights have ranks %d and %d; expected 3 and 2",
                             x->type->rank, w->type->rank);
}

bool lt_onnx_ms_attention(Import *im) {
    Value *const *in = im->inputs;
    if (!check_projection(im, in[0], in[1]))
        return false;
    Value *x = lt_build_contract(&im->b, in[0], in[1], "bsi,io->bso");
    if (onnx_in(im, 2))
        x = lt_build_map2(&im->b, FN_ADD, x, onnx_in(im, 2));
    return attend_projected(im, x, onnx_in(im, 3), onnx_in(im, 4), onnx_in(im, 5));
}

/* The projection in integers: inputs 3 and 4 are the scales, 6 and 7 the zero points. */
bool lt_onnx_ms_q_attention(Import *im) {
    Value *const *in = im->inputs;
    if (!check_projection(im, in[0], in[1]))
        return false;
    Value *x = lt_onnx_centered(im, in[0], onnx_in(im, 6), 0),
          *w = lt_onnx_centered(im, in[1], onnx_in(im, 7), 1);
    Value *scale = lt_build_map2(&im->b, FN_MUL, lt_onnx_laid_along(im, in[3], 0, 1),
                                 lt_onnx_laid_along(im, in[4], 0, 1));
    x = lt_build_contract(&im->b, x, w, "bsi,io->bso");
    x = x ? lt_build_map2(&im->b, FN_MUL, lt_build_convert(&im->b, x, DT_F32), scale) : NULL;
    return attend_projected(im, lt_build_map2(&im->b, FN_ADD, x, in[2]), onnx_in(im, 5),
                            onnx_in(im, 8), NULL);
}

/* --- MultiHeadAttention -------------------------------------------------------------------- */

/* Numbers `from` and on of the bias, as many as x is wide, are added to x [b, s, n]. */
static Value *add_projection_bias(Import *im, Value *x, const Dim **from) {
    Value *bias = onnx_in(im, 3);
    if (!bias || !x || x->type->rank != 3)
        return x;
    const Dim *width = x->type->dims[2];
    Value *part = lt_onnx_slice_axis(im, bias, 0, *from, width);
    *from = lt_dim_add(im->dims, *from, width);
    return lt_build_map2(&im->b, FN_ADD, x, part);
}

/* [b, s, n], or as keys and values of another layer, [b, h, s, d]. */
static Value *heads_of(Import *im, Value *x) {
    if (!x || x->type->rank == 4)
        return x;
    if (x->type->rank == 3)
        return lt_onnx_split_heads(im, x, lt_onnx_int(im, "num_heads", 0), "num_heads");
    lt_onnx_malformed(im, "queries, keys and values must have rank 3, found %d", x->type->rank);
    return NULL;
}

static bool read_heads(Import *im, Attention *a) {
    Value *key = onnx_in(im, 1), *value = onnx_in(im, 2);
    const Dim *from = lt_dim_const(im->dims, 0);
    if (im->inputs[0]->type->rank == 5 || (key && key->type->rank == 5))
        return lt_onnx_unsupported(im, "queries, keys and values in one tensor are not supported");
    if (!key || !value)
        return lt_onnx_malformed(im, "keys and values are missing");
    a->q = heads_of(im, add_projection_bias(im, im->inputs[0], &from));
    a->k = heads_of(im, add_projection_bias(im, key, &from));
    a->v = heads_of(im, add_projection_bias(im, value, &from));
    return a->q && a->k && a->v;
}

bool lt_onnx_ms_multi_head_attention(Import *im) {
    Attention a = {0};
    if (onnx_in(im, 8) || onnx_in(im, 9))
        return lt_onnx_unsupported(im, "past_sequence_length and cache_indirection are not "
                                       "supported");
    if (!read_heads(im, &a))
        return false;
    if (!append_to_past(im, &a, onnx_in(im, 6), onnx_in(im, 7)))
        return false;
    onnx_set(im, 1, a.k);
    onnx_set(im, 2, a.v);
    return finish(im, &a, onnx_in(im, 4), onnx_in(im, 5));
}

/* --- RotaryEmbedding ----------------------------------------------------------------------- */

/* Rows of a cache, [rows, d / 2], as [b, 1, s, d / 2]. */
static Value *rows_at(Import *im, Value *cache, Value *positions) {
    static const int64_t heads = 1;
    return lt_build_unsqueeze(&im->b, lt_build_gather(&im->b, cache, positions, 0), &heads, 1);
}

/* One number is the position of the first token, else each token has its own. */
static Value *positions_of(Import *im, Value *given, const Dim *length) {
    const Dim *line[] = {lt_dim_const(im->dims, 1), length};
    if (given->type->rank > 2) {
        lt_onnx_malformed(im, "position_ids has rank %d; expected 1 or 2", given->type->rank);
        return NULL;
    }
    if (given->type->rank == 2)
        return given;
    Value *first = lt_build_reshape(&im->b, given, 0, NULL);
    first = first ? lt_build_convert(&im->b, first, DT_I64) : NULL;
    return lt_build_map2(&im->b, FN_ADD, lt_build_iota(&im->b, DT_I64, 2, line, 1), first);
}

bool lt_onnx_ms_rotary_embedding(Import *im) {
    Value *const *in = im->inputs;
    Value *x = in[0];
    const int64_t given = lt_onnx_int(im, "num_heads", 0),
                  size = lt_onnx_int(im, "rotary_embedding_dim", 0);
    if (lt_onnx_int(im, "is_packed_batching", 0) || lt_onnx_float(im, "scale", 1) != 1)
        return lt_onnx_unsupported(im, "is_packed_batching and scale are not supported");
    if (in[2]->type->rank != 2 || in[3]->type->rank != 2)
        return lt_onnx_malformed(im, "the caches have ranks %d and %d; expected 2",
                                 in[2]->type->rank, in[3]->type->rank);
    const Dim *turned =
        size ? lt_dim_const(im->dims, size) : lt_dim_mul_const(im->dims, in[2]->type->dims[1], 2);
    if (x->type->rank == 3) {
        const Dim *heads = given ? lt_dim_const(im->dims, given)
                                 : lt_dim_floordiv(im->dims, x->type->dims[2], turned);
        if (!lt_dim_is_const(heads))
            return lt_onnx_unsupported(im, "the number of heads is not known while compiling");
        x = lt_onnx_split_heads(im, x, heads->value, "num_heads");
    }
    if (!x || x->type->rank != 4)
        return x && lt_onnx_malformed(im, "the input has rank %d; expected 3 or 4", x->type->rank);
    Value *positions = positions_of(im, in[1], x->type->dims[2]);
    if (!positions)
        return false;
    Value *y =
        lt_onnx_rotate(im, x, turned, rows_at(im, in[2], positions), rows_at(im, in[3], positions));
    return onnx_set(im, 0, in[0]->type->rank == 3 ? lt_onnx_join_heads(im, y) : y);
}
