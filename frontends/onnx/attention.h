/* attention.h - what the converters of attention share (ops_attention.c). */
#ifndef LATHE_FRONTENDS_ONNX_ATTENTION_H
#define LATHE_FRONTENDS_ONNX_ATTENTION_H

#include "frontends/onnx/ops.h"

/* Queries [b, h, s, d], keys [b, g, t, d], values [b, g, t, v]; each of the g heads of keys serves
 * h / g heads of queries. */
typedef struct Attention {
    Value *q, *k, *v;
    Value *past; /* i64[] or i64[b,1,1,1]: keys before the first query; NULL: none */
    const Dim *heads, *key_heads, *group; /* set by lt_onnx_share_heads */
    Value *bias;                          /* added to the scores; NULL: none */
    bool may_be_empty, is_flat;           /* a row may see no key; operands were [b, s, h * d] */
    double scale, softcap;                /* of the scores; 0: 1 / sqrt(d), none */
    bool splits_scale;                    /* each factor takes its root: f16 does not overflow */
    DType softmax;                        /* what the softmax computes in */
    Value *sink; /* [h]: the score of another key, whose value is 0; NULL: none */
} Attention;

enum { RAW_SCORES, CAPPED_SCORES, BIASED_SCORES, WEIGHTS, ATTENTION_STAGES };

/* [b, s, h * d] to [b, h, s, d]; NULL after an error that calls the number of heads so. */
Value *lt_onnx_split_heads(Import *im, Value *x, int64_t heads, const char *attribute);
/* [b, h, s, d] to [b, s, h * d]. */
Value *lt_onnx_join_heads(Import *im, Value *x);
/* False after an error: the heads of queries are no multiple of those of keys. */
bool lt_onnx_share_heads(Import *im, Attention *a);
void lt_onnx_add_bias(Import *im, Attention *a, Value *bias);
/* 0 where allowed (bool), `otherwise` elsewhere, in the dtype of the queries. */
Value *lt_onnx_mask_bias(Import *im, const Attention *a, Value *allowed, double otherwise);
/* How far keys lie ahead of queries: i64[s, t], or [b, 1, s, t] where a->past is so. */
Value *lt_onnx_keys_ahead(Import *im, const Attention *a);
/* What comes out, [b, h, s, v], and the scores on the way. */
Value *lt_onnx_attend(Import *im, const Attention *a, Value **stages);
/* Turns the first `size` elements of each head of [b, h, s, d] by angles with these cosines and
 * sines, [b, 1, s, size / 2]. */
Value *lt_onnx_rotate(Import *im, Value *x, const Dim *size, Value *cosine, Value *sine);

#endif
