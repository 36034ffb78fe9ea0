/* ops_ms_gqa.c - GroupQueryAttention of com.microsoft: attention of a decoder with its cache of
 * keys and values, which each sample fills to a length of its own. */
#include <math.h>
#include <string.h>

#include "frontends/onnx/attention.h"

/* Lengths of each sample, i64[b, 1, 1, 1]: keys before this step, and after it. */
typedef struct Lengths {
    Value *past, *total;
    const Dim *present; /* rows of the caches that come out */
} Lengths;

static Value *as_batch(Import *im, Value *x, const Dim *batch) {
    const Dim *one = lt_dim_const(im->dims, 1), *dims[] = {batch, one, one, one};
    return x ? lt_build_reshape(&im->b, x, 4, dims) : NULL;
}

/* seqlens_k counts the keys but one; of a chunk that is longer than them all, the rest is
 * padding. */
static bool read_lengths(Import *im, const Value *q, Lengths *lengths) {
    int64_t count;
    Value *last = as_batch(im, lt_build_convert(&im->b, im->inputs[5], DT_I64), q->type->dims[0]);
    lengths->total = lt_onnx_map_scalar(im, FN_ADD, last, 1);
    Value *chunk = lt_onnx_dim_value(im, q->type->dims[2], DT_I64);
    lengths->past = lt_build_map2(&im->b, FN_SUB, lengths->total, chunk);
    lengths->past = lt_onnx_map_scalar(im, FN_MAX, lengths->past, 0);
    const Dim *const *total = lt_onnx_extents(im, im->inputs[6], "total_sequence_length", &count);
    if (!total || !lengths->past)
        return false;
    if (count != 1)
        return lt_onnx_malformed(im, "total_sequence_length has %lld numbers", (long long)count);
    lengths->present =
        onnx_in(im, 3) ? lt_dim_max(im->dims, onnx_in(im, 3)->type->dims[2], total[0]) : total[0];
    return true;
}

/* --- operands ------------------------------------------------------------------------------ */

/* Queries, keys and values side by side, or each on its own. */
static bool read_heads(Import *im, Attention *a) {
    const int64_t heads = lt_onnx_int(im, "num_heads", 0),
                  shared = lt_onnx_int(im, "kv_num_heads", 0);
    Value *q = im->inputs[0], *k = onnx_in(im, 1), *v = onnx_in(im, 2);
    if (heads < 1 || shared < 1 || q->type->rank != 3)
        return lt_onnx_malformed(im, "num_heads is %lld, kv_num_heads %lld, the query of rank %d",
                                 (long long)heads, (long long)shared, q->type->rank);
    if (!k != !v)
        return lt_onnx_malformed(im, "key and value must be given together");
    if (!k) {
        const int64_t all = heads + 2 * shared;
        if (!lt_dim_divisible(im->dims, q->type->dims[2], all))
            return lt_onnx_malformed(im, "the query has %s columns; expected a multiple of %lld",
                                     lt_onnx_dim_text(im, q->type->dims[2]), (long long)all);
        const Dim *size = lt_dim_floordiv(im->dims, q->type->dims[2], lt_dim_const(im->dims, all)),
                  *wide = lt_dim_mul_const(im->dims, size, heads),
                  *narrow = lt_dim_mul_const(im->dims, size, shared);
        k = lt_onnx_slice_axis(im, q, q->type->rank - 1, wide, narrow);
        v = lt_onnx_slice_axis(im, q, q->type->rank - 1, lt_dim_add(im->dims, wide, narrow),
                               narrow);
        q = lt_onnx_slice_axis(im, q, q->type->rank - 1, lt_dim_const(im->dims, 0), wide);
    }
    if (!q || !k || !v || k->type->rank != 3 || v->type->rank != 3)
        return q && k && v && lt_onnx_malformed(im, "key and value must have rank 3");
    a->q = lt_onnx_split_heads(im, q, heads, "num_heads");
    a->k = lt_onnx_split_heads(im, k, shared, "kv_num_heads");
    a->v = lt_onnx_split_heads(im, v, shared, "kv_num_heads");
    return a->q && a->k && a->v;
}

/* The positions of the tokens, i64[b, s]: given, or behind the keys of the past. Those of padding
 * stay within the cache. */
static Value *positions_of(Import *im, const Attention *a, const Lengths *lengths,
                           const Value *cache) {
    const Dim *one = lt_dim_const(im->dims, 1), *line[] = {one, a->q->type->dims[2]},
              *column[] = {a->q->type->dims[0], one};
    Value *given = onnx_in(im, 9);
    if (given && given->type->rank != 2) {
        lt_onnx_malformed(im, "position_ids has rank %d; expected 2", given->type->rank);
        return NULL;
    }
    if (given)
        return given;
    Value *first = lt_build_reshape(&im->b, lengths->past, 2, column);
    Value *at = lt_build_map2(&im->b, FN_ADD, lt_build_iota(&im->b, DT_I64, 2, line, 1), first);
    Value *rows = lt_onnx_dim_value(im, cache->type->dims[0], DT_I64);
    return lt_build_map2(&im->b, FN_MIN, at, lt_onnx_map_scalar(im, FN_SUB, rows, 1));
}

static bool rotate(Import *im, Attention *a, const Lengths *lengths) {
    static const int64_t heads = 1;
    Value *caches[] = {onnx_in(im, 7), onnx_in(im, 8)};
    if (!lt_onnx_int(im, "do_rotary", 0))
        return true;
    if (!caches[0] || !caches[1] || caches[0]->type->rank != 2 || caches[1]->type->rank != 2)
        return lt_onnx_malformed(im, "do_rotary needs cos_cache and sin_cache of rank 2");
    Value *positions = positions_of(im, a, lengths, caches[0]);
    if (!positions)
        return false;
    const Dim *size = lt_dim_mul_const(im->dims, caches[0]->type->dims[1], 2);
    for (int i = 0; i < 2; i++)
        caches[i] =
            lt_build_unsqueeze(&im->b, lt_build_gather(&im->b, caches[i], positions, 0), &heads, 1);
    a->q = lt_onnx_rotate(im, a->q, size, caches[0], caches[1]);
    a->k = lt_onnx_rotate(im, a->k, size, caches[0], caches[1]);
    return a->q && a->k;
}

/* --- the cache ----------------------------------------------------------------------------- */

/* Row t of a sample's cache: the past's before its length, then those of this step. Rows beyond
 * hold what is there; nobody reads them. */
static Value *joined(Import *im, Value *past, Value *x, const Lengths *lengths) {
    const Dim *one = lt_dim_const(im->dims, 1), *const *d = x->type->dims;
    const Dim *line[] = {one, one, lengths->present}, *batch[] = {d[0], one, one},
              *cells[] = {lt_dim_mul(im->dims, d[0], d[1])}, *sheet[] = {d[0], d[1], one};
    Value *parts[] = {past, x};
    Value *all = past ? lt_build_concat(&im->b, parts, 2, 2) : x;
    if (!all)
        return NULL;
    const Dim *held = all->type->dims[2], *before = past ? past->type->dims[2] : NULL;
    Value *t = lt_build_iota(&im->b, DT_I64, 3, line, 2),
          *length = lt_build_reshape(&im->b, lengths->past, 3, batch);
    Value *row = lt_build_map2(&im->b, FN_SUB, t, length);
    if (past) {
        Value *is_past = lt_build_map2(&im->b, FN_LT, t, length);
        row = lt_build_map2(&im->b, FN_ADD, row, lt_onnx_dim_value(im, before, DT_I64));
        row = lt_build_map3(&im->b, FN_SELECT, is_past, t, row);
    }
    Value *end = lt_onnx_map_scalar(im, FN_SUB, lt_onnx_dim_value(im, held, DT_I64), 1);
    row = lt_build_map2(&im->b, FN_MIN, lt_onnx_map_scalar(im, FN_MAX, row, 0), end);
    Value *cell = lt_build_reshape(&im->b, lt_build_iota(&im->b, DT_I64, 1, cells, 0), 3, sheet);
    cell = lt_build_map2(&im->b, FN_MUL, cell, lt_onnx_dim_value(im, held, DT_I64));
    const Dim *flat[] = {lt_dim_mul(im->dims, cells[0], held), d[3]};
    return lt_build_gather(&im->b, lt_build_reshape(&im->b, all, 2, flat),
                           lt_build_map2(&im->b, FN_ADD, cell, row), 0);
}

static bool update_caches(Import *im, Attention *a, const Lengths *lengths) {
    a->k = joined(im, onnx_in(im, 3), a->k, lengths);
    a->v = joined(im, onnx_in(im, 4), a->v, lengths);
    return a->k && a->v;
}

/* --- scores -------------------------------------------------------------------------------- */

/* A query sees itself and what is before it, or the last keys of that. */
static void add_positions(Import *im, Attention *a) {
    const int64_t window = lt_onnx_int(im, "local_window_size", -1);
    Value *ahead = lt_onnx_keys_ahead(im, a), *allowed = lt_onnx_map_scalar(im, FN_LE, ahead, 0);
    if (window > 0)
        allowed = lt_build_map2(&im->b, FN_AND, allowed,
                                lt_onnx_map_scalar(im, FN_GT, ahead, (double)-window));
    lt_onnx_add_bias(im, a, lt_onnx_mask_bias(im, a, allowed, -INFINITY));
}

/* What is added for the keys so far; the rest of a longer cache is hidden anyway. */
static bool add_bias(Import *im, Attention *a) {
    Value *bias = onnx_in(im, 10);
    if (!bias)
        return true;
    if (bias->type->rank != 4)
        return lt_onnx_malformed(im, "attention_bias has rank %d; expected 4", bias->type->rank);
    const Dim *missing = lt_dim_sub(im->dims, a->k->type->dims[2], bias->type->dims[3]);
    if (!lt_dim_is(missing, 0)) {
        const Dim *zero = lt_dim_const(im->dims, 0), *lo[] = {zero, zero, zero, zero},
                  *hi[] = {zero, zero, zero, missing};
        bias = lt_build_pad(&im->b, bias, lo, hi, NULL, NULL);
    }
    lt_onnx_add_bias(im, a, bias);
    return a->bias != NULL;
}

static bool check_forms(Import *im) {
    if (!onnx_in(im, 3) != !onnx_in(im, 4))
        return lt_onnx_malformed(im, "past_key and past_value must be given together");
    for (uint32_t i = 3; i < 5; i++)
        if (onnx_in(im, i) && onnx_in(im, i)->type->rank != 4)
            return lt_onnx_malformed(im, "a cache has rank %d; expected 4",
                                     onnx_in(im, i)->type->rank);
    for (uint32_t i = 12; i < 17; i++)
        if (onnx_in(im, i))
            return lt_onnx_unsupported(
                im, "quantized caches, norms of heads and query_seqlens are not supported");
    if (strcmp(lt_onnx_string(im, "k_quant_type", "NONE"), "NONE") != 0 ||
        strcmp(lt_onnx_string(im, "v_quant_type", "NONE"), "NONE") != 0)
        return lt_onnx_unsupported(im, "quantized caches are not supported");
    if (!lt_onnx_int(im, "causal", 1) || lt_onnx_int(im, "sliding_window_cache", 0) ||
        lt_onnx_int(im, "qk_output", 0))
        return lt_onnx_unsupported(
            im, "causal = 0, sliding_window_cache and qk_output are not supported");
    return true;
}

bool lt_onnx_ms_group_query_attention(Import *im) {
    Attention a = {0};
    Lengths lengths;
    Value *stages[ATTENTION_STAGES];
    if (!lt_onnx_need(im, 5) || !lt_onnx_need(im, 6) || !check_forms(im) || !read_heads(im, &a) ||
        !read_lengths(im, a.q, &lengths) || !rotate(im, &a, &lengths) ||
        !update_caches(im, &a, &lengths) || !lt_onnx_share_heads(im, &a))
        return false;
    a.past = lengths.past;
    a.scale = lt_onnx_float(im, "scale", 0);
    a.softcap = lt_onnx_float(im, "softcap", 0);
    a.softmax = a.q->type->dtype;
    a.sink = onnx_in(im, 11);
    if (!a.sink && lt_onnx_int(im, "smooth_softmax", 0) > 0)
        a.sink = lt_onnx_full(im, a.softmax, 1, &a.heads, lt_build_float(&im->b, a.softmax, 0));
    add_positions(im, &a);
    if (!add_bias(im, &a))
        return false;
    Value *y = lt_onnx_attend(im, &a, stages);
    onnx_set(im, 1, a.k);
    onnx_set(im, 2, a.v);
    return onnx_set(im, 0, lt_onnx_join_heads(im, y));
}
