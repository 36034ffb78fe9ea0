/* ops_ms_norm.c - normalizations of com.microsoft: of a sum, and of the embeddings of a sentence.
 */
#include <string.h>

#include "frontends/onnx/norm.h"

static Value *plus(Import *im, Value *x, Value *y) {
    return y ? lt_build_map2(&im->b, FN_ADD, x, y) : x;
}

/* input + skip + bias, which is output 3 as well. */
static Value *skipped_sum(Import *im, Value *bias) {
    Value *sum = plus(im, plus(im, im->inputs[0], im->inputs[1]), bias);
    if (onnx_wants(im, 3))
        onnx_set(im, 3, sum);
    return sum;
}

/* Over the last axis of x. */
static NormSpec last_axis(Import *im, const Value *x, Value *scale, Value *bias) {
    return (NormSpec){.scale = scale,
                      .bias = bias,
                      .axis = x->type->rank - 1,
                      .epsilon = lt_onnx_float(im, "epsilon", 1e-12f)};
}

static bool need_axes(Import *im, const Value *x, int rank) {
    return x->type->rank >= rank ||
           lt_onnx_malformed(im, "input 0 has rank %d; expected %d", x->type->rank, rank);
}

bool lt_onnx_ms_skip_layer_normalization(Import *im) {
    Value *sum = need_axes(im, im->inputs[0], 1) ? skipped_sum(im, onnx_in(im, 4)) : NULL;
    if (!sum)
        return false;
    const NormSpec norm = last_axis(im, sum, im->inputs[2], onnx_in(im, 3));
    return onnx_set(im, 0, lt_onnx_layer_norm(im, sum, &norm));
}

bool lt_onnx_ms_skip_simplified_layer_normalization(Import *im) {
    Value *sum = need_axes(im, im->inputs[0], 1) ? skipped_sum(im, onnx_in(im, 3)) : NULL;
    if (!sum)
        return false;
    const NormSpec norm = last_axis(im, sum, im->inputs[2], NULL);
    return onnx_set(im, 0, lt_onnx_rms_norm(im, sum, &norm, NULL));
}

/* --- EmbedLayerNormalization --------------------------------------------------------------- */

/* The rows of the table: those at the positions that are given, else the first ones. */
static Value *position_rows(Import *im, Value *table) {
    Value *positions = onnx_in(im, 8);
    const Dim *length = im->inputs[0]->type->dims[1];
    if (!positions)
        return lt_onnx_slice_axis(im, table, 0, lt_dim_const(im->dims, 0), length);
    return lt_build_gather(&im->b, table, positions, 0);
}

/* How many ones each row of the mask has; 0 without a mask. */
static Value *mask_lengths(Import *im) {
    static const int64_t axis = 1;
    Value *mask = onnx_in(im, 7);
    if (!mask)
        return lt_onnx_full(im, DT_I32, 1, im->inputs[0]->type->dims,
                            lt_build_int(&im->b, DT_I32, 0));
    Value *ones = lt_build_convert(&im->b, lt_onnx_map_scalar(im, FN_EQ, mask, 1), DT_I32);
    return lt_build_reduce(&im->b, FN_ADD, ones, &axis, 1, false);
}

bool lt_onnx_ms_embed_layer_normalization(Import *im) {
    Value *const *in = im->inputs;
    if (!lt_onnx_need(im, 2) || !lt_onnx_need(im, 3) || !lt_onnx_need(im, 5) ||
        !lt_onnx_need(im, 6))
        return false;
    if (!need_axes(im, in[0], 2) || !need_axes(im, in[3], 2))
        return false;
    if (!in[1] != !in[4])
        return lt_onnx_malformed(im, "segment_ids and segment_embedding must be given together");
    Value *sum = lt_build_gather(&im->b, in[2], in[0], 0);
    sum = lt_build_map2(&im->b, FN_ADD, sum, position_rows(im, in[3]));
    if (in[1])
        sum = lt_build_map2(&im->b, FN_ADD, sum, lt_build_gather(&im->b, in[4], in[1], 0));
    if (!sum)
        return false;
    const NormSpec norm = last_axis(im, sum, in[5], in[6]);
    if (onnx_wants(im, 1))
        onnx_set(im, 1, mask_lengths(im));
    onnx_set(im, 2, sum);
    return onnx_set(im, 0, lt_onnx_layer_norm(im, sum, &norm));
}
