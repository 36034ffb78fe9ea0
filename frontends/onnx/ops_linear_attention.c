/* ops_linear_attention.c - LinearAttention: a loop over time that carries a matrix a head, to which
 * each step adds the outer product of its key and value, and which its query reads. */
#include <math.h>
#include <string.h>

#include "frontends/onnx/extents.h"
#include "frontends/onnx/loop.h"

typedef struct LinearAttention {
    int64_t q_heads, kv_heads;
    bool gated, delta;
    double scale;    /* 0: the root of 1 / size */
    const Dim *size; /* of a head of keys */
    DType out, state_out;
    Value *q, *k, *v, *decay, *beta; /* f32, time first; q: [t, b, kv_heads, group, d], others
                                      * [t, b, kv_heads, d]; NULL: none */
    Value *state;                    /* f32[b, kv_heads, key, value] */
} LinearAttention;

static bool read_rule(Import *im, LinearAttention *a) {
    const char *rule = lt_onnx_string(im, "update_rule", "gated_delta");
    a->gated = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0;
    a->delta = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    if (!a->gated && !a->delta && strcmp(rule, "linear") != 0)
        return lt_onnx_malformed(im, "update_rule is '%s'", rule);
    a->q_heads = lt_onnx_int(im, "q_num_heads", 0);
    a->kv_heads = lt_onnx_int(im, "kv_num_heads", 0);
    if (a->q_heads < 1 || a->kv_heads < 1 || a->q_heads % a->kv_heads != 0)
        return lt_onnx_malformed(im, "q_num_heads is %lld, no multiple of kv_num_heads %lld",
                                 (long long)a->q_heads, (long long)a->kv_heads);
    if (a->gated != (onnx_in(im, 4) != NULL) || a->delta != (onnx_in(im, 5) != NULL))
        return lt_onnx_malformed(im, "the rule '%s' does not go with the operands that are there",
                                 rule);
    for (uint32_t i = 0; i < im->input_count; i++)
        if (im->inputs[i] && im->inputs[i]->type->rank != (i == 3 ? 4 : 3))
            return lt_onnx_malformed(im, "input %u has rank %d; expected %d", i,
                                     im->inputs[i]->type->rank, i == 3 ? 4 : 3);
    return true;
}

/* [b, t, heads * d], with b and t as the query has them, to f32[t, b, heads, d]. */
static Value *by_time(Import *im, Value *x, int64_t heads) {
    static const int64_t perm[] = {1, 0, 2, 3};
    const Dim *const *q = im->inputs[0]->type->dims, *count = lt_dim_const(im->dims, heads);
    const Dim *size = lt_onnx_part_extent(im, x->type->dims[2], count);
    if (!size)
        return lt_onnx_malformed(im, "%lld heads do not divide %s", (long long)heads,
                                 lt_onnx_dim_text(im, x->type->dims[2])),
               NULL;
    const Dim *split[] = {q[0], q[1], count, size};
    x = lt_build_convert(&im->b, lt_build_reshape(&im->b, x, 4, split), DT_F32);
    return lt_build_transpose(&im->b, x, perm);
}

static bool read_operands(Import *im, LinearAttention *a) {
    Value *decay = onnx_in(im, 4), *beta = onnx_in(im, 5);
    a->out = a->state_out = im->inputs[0]->type->dtype;
    a->q = by_time(im, im->inputs[0], a->q_heads);
    a->k = by_time(im, im->inputs[1], a->kv_heads);
    a->v = by_time(im, im->inputs[2], a->kv_heads);
    if (!a->q || !a->k || !a->v)
        return false;
    const Dim *const *q = a->q->type->dims, *heads = lt_dim_const(im->dims, a->kv_heads);
    const Dim *grouped[] = {q[0], q[1], heads, lt_dim_const(im->dims, a->q_heads / a->kv_heads),
                            q[3]};
    a->scale = lt_onnx_float(im, "scale", 0);
    if (a->scale == 0 && lt_dim_is_const(q[3]))
        a->scale = 1 / sqrt((double)q[3]->value);
    a->size = q[3];
    a->q = lt_build_reshape(&im->b, a->q, 5, grouped);
    const Dim *shape[] = {q[1], heads, a->size, a->v->type->dims[3]};
    a->k = lt_onnx_fix_dim(im, a->k, 3, a->size, "the keys");
    if (decay)
        a->decay = lt_onnx_stretch(im, by_time(im, decay, a->kv_heads), 3, a->size);
    if (beta)
        a->beta = lt_onnx_stretch(
            im, by_time(im, beta, lt_dim_is(beta->type->dims[2], 1) ? 1 : a->kv_heads), 3,
            shape[3]);
    if (onnx_in(im, 3)) {
        a->state_out = onnx_in(im, 3)->type->dtype;
        a->state = lt_onnx_fix_dims(im, onnx_in(im, 3), 4, shape, "the state");
        a->state = a->state ? lt_build_convert(&im->b, a->state, DT_F32) : NULL;
    } else {
        a->state = lt_onnx_full(im, DT_F32, 4, shape, lt_build_float(&im->b, DT_F32, 0));
    }
    return a->q && a->k && a->state && !decay == !a->decay && !beta == !a->beta;
}

/* The body: the next state, and what the query reads of it, [b, kv_heads, group, value]. */
static void build_step(Import *im, OnnxLoop *loop, const LinearAttention *a, Value **values) {
    static const int64_t last[] = {3}, row[] = {2};
    Value *state = loop->state[0], *k = lt_onnx_loop_step(im, loop, a->k),
          *v = lt_onnx_loop_step(im, loop, a->v);
    if (a->gated) {
        Value *factor = lt_build_map1(&im->b, FN_EXP, lt_onnx_loop_step(im, loop, a->decay));
        state = lt_build_map2(&im->b, FN_MUL, state,
                              lt_build_unsqueeze(&im->b, factor, last, 1));
    }
    if (a->delta) {
        Value *known = lt_build_contract(&im->b, state, k, "bhdm,bhd->bhm");
        v = lt_build_map2(&im->b, FN_MUL, lt_build_map2(&im->b, FN_SUB, v, known),
                          lt_onnx_loop_step(im, loop, a->beta));
    }
    Value *outer = lt_build_map2(&im->b, FN_MUL, lt_build_unsqueeze(&im->b, k, last, 1),
                                 lt_build_unsqueeze(&im->b, v, row, 1));
    values[0] = lt_build_map2(&im->b, FN_ADD, state, outer);
    values[1] = lt_build_contract(&im->b, lt_onnx_loop_step(im, loop, a->q), values[0],
                                  "bhgd,bhdm->bhgm");
}

static Value *root_of(Import *im, const Dim *size) {
    return lt_build_map1(&im->b, FN_SQRT, lt_onnx_dim_value(im, size, DT_F32));
}

bool lt_onnx_linear_attention(Import *im) {
    static const int64_t batch_first[] = {1, 0, 2, 3, 4};
    LinearAttention a = {0};
    Value *values[2];
    if (!read_rule(im, &a) || !read_operands(im, &a))
        return false;
    OnnxLoop loop = {
        .trips = a.q->type->dims[0], .starts = {a.state}, .carried = 1, .stacked = 1};
    if (!lt_onnx_loop_begin(im, &loop))
        return false;
    build_step(im, &loop, &a, values);
    if (!lt_onnx_loop_end(im, &loop, values))
        return false;
    Value *y = a.scale != 0 ? lt_onnx_map_scalar(im, FN_MUL, values[1], a.scale)
                            : lt_build_map2(&im->b, FN_DIV, values[1], root_of(im, a.size));
    const Dim *const *d = a.v->type->dims;
    const Dim *merged[] = {d[1], d[0], lt_dim_mul_const(im->dims, d[3], a.q_heads)};
    y = lt_build_reshape(&im->b, lt_build_transpose(&im->b, y, batch_first), 3, merged);
    return onnx_set(im, 0, lt_build_convert(&im->b, y, a.out)) &&
           onnx_set(im, 1, lt_build_convert(&im->b, loop.state[0], a.state_out));
}
