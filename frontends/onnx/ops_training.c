/* ops_training.c - ai.onnx.preview.training: one step of an optimizer, for any number of tensors.
 *
 * The operands are the learning rate R, the number of updates so far T, and then groups: all the
 * tensors, all their gradients, all of each kind of state. The results are the new tensors and
 * states. */
#include <string.h>

#include "frontends/onnx/ops.h"

static Value *add(Import *im, Value *x, Value *y) { return onnx_map2(im, FN_ADD, x, y); }
static Value *mul(Import *im, Value *x, Value *y) { return onnx_map2(im, FN_MUL, x, y); }
static Value *scale(Import *im, Value *x, double by) {
    return lt_onnx_map_scalar(im, FN_MUL, x, by);
}

/* One tensor's part of the operands and results. */
typedef struct Step {
    Value *rate, *updates; /* scalars of the tensor's dtype */
    Value *x, *gradient, *state[2];
    Value *next[3]; /* the tensor, then its states */
} Step;

typedef void UpdateFn(Import *im, Step *s);

static Value *scalar_as(Import *im, Value *v, DType dtype) {
    return lt_build_convert(&im->b, lt_build_reshape(&im->b, v, 0, NULL), dtype);
}

/* The gradient with that of norm_coefficient / 2 times the squared norm. */
static Value *regularized(Import *im, const Step *s) {
    const double norm = lt_onnx_float(im, "norm_coefficient", 0);
    return norm == 0 ? s->gradient : add(im, scale(im, s->x, norm), s->gradient);
}

/* `groups` operands a tensor: itself, its gradient and its states. */
static bool update_all(Import *im, uint32_t groups, UpdateFn *update) {
    const uint32_t results = groups - 1, count = (im->input_count - 2) / groups;
    if (im->input_count != 2 + groups * count || im->output_count != results * count)
        return lt_onnx_malformed(im,
                                 "%u inputs and %u outputs; two and %u a tensor, and %u a "
                                 "tensor, are expected",
                                 im->input_count, im->output_count, groups, results);
    for (uint32_t i = 0; i < im->input_count; i++)
        if (!im->inputs[i])
            return lt_onnx_malformed(im, "input %u is missing", i);
    for (uint32_t i = 0; i < count; i++) {
        Value *const *in = im->inputs + 2 + i;
        Step s = {.x = in[0], .gradient = in[count], .state = {in[2 * count]}};
        const DType dtype = s.x->type->dtype;
        if (groups > 3)
            s.state[1] = in[3 * count];
        s.rate = scalar_as(im, im->inputs[0], dtype);
        s.updates = scalar_as(im, im->inputs[1], dtype);
        if (!lt_dtype_is_float(dtype) || !s.rate || !s.updates)
            return lt_onnx_malformed(im, "tensor %u is %s", i, lt_dtype_name(dtype));
        update(im, &s);
        for (uint32_t k = 0; k < results; k++)
            if (!onnx_set(im, k * count + i, s.next[k]))
                return false;
    }
    return true;
}

/* --- the optimizers --------------------------------------------------------------------------- */

static void update_adagrad(Import *im, Step *s) {
    Value *decay = scale(im, s->updates, lt_onnx_float(im, "decay_factor", 0));
    Value *rate = onnx_map2(im, FN_DIV, s->rate, lt_onnx_map_scalar(im, FN_ADD, decay, 1));
    Value *g = regularized(im, s);
    s->next[1] = add(im, s->state[0], mul(im, g, g));
    Value *size = lt_build_map1(&im->b, FN_SQRT, s->next[1]);
    size = lt_onnx_map_scalar(im, FN_ADD, size, lt_onnx_float(im, "epsilon", 1e-6F));
    s->next[0] = onnx_map2(im, FN_SUB, s->x, onnx_map2(im, FN_DIV, mul(im, rate, g), size));
}

bool lt_onnx_adagrad(Import *im) { return update_all(im, 3, update_adagrad); }

/* The mean of the old and the new, the new weighing 1 - keep. */
static Value *blend(Import *im, Value *old, Value *new, double keep) {
    return add(im, scale(im, old, keep), scale(im, new, 1 - keep));
}

/* 1 - base^updates */
static Value *bias_of(Import *im, const Step *s, double base) {
    Value *power = onnx_map2(im, FN_POW, lt_onnx_scalar_like(im, s->updates, base), s->updates);
    return onnx_map2(im, FN_SUB, lt_onnx_scalar_like(im, s->updates, 1), power);
}

static void update_adam(Import *im, Step *s) {
    const double alpha = lt_onnx_float(im, "alpha", 0.9F), beta = lt_onnx_float(im, "beta", 0.999F);
    const double post = lt_onnx_float(im, "norm_coefficient_post", 0);
    Value *g = regularized(im, s);
    s->next[1] = blend(im, s->state[0], g, alpha);
    s->next[2] = blend(im, s->state[1], mul(im, g, g), beta);
    Value *size = lt_build_map1(&im->b, FN_SQRT, s->next[2]);
    size = lt_onnx_map_scalar(im, FN_ADD, size, lt_onnx_float(im, "epsilon", 1e-6F));
    Value *rate = mul(im, s->rate, lt_build_map1(&im->b, FN_SQRT, bias_of(im, s, beta)));
    rate = onnx_map2(im, FN_DIV, rate, bias_of(im, s, alpha));
    Value *is_first = lt_onnx_map_scalar(im, FN_LE, s->updates, 0);
    rate = lt_build_map3(&im->b, FN_SELECT, is_first, s->rate, rate);
    Value *step = mul(im, rate, onnx_map2(im, FN_DIV, s->next[1], size));
    s->next[0] = scale(im, onnx_map2(im, FN_SUB, s->x, step), 1 - post);
}

bool lt_onnx_adam(Import *im) { return update_all(im, 4, update_adam); }

static void update_momentum(Import *im, Step *s) {
    const double alpha = lt_onnx_float(im, "alpha", 0), beta = lt_onnx_float(im, "beta", 0);
    const bool looks_ahead = strcmp(lt_onnx_string(im, "mode", ""), "nesterov") == 0;
    Value *g = regularized(im, s);
    Value *is_first = lt_onnx_map_scalar(im, FN_LE, s->updates, 0);
    Value *weight = lt_build_map3(&im->b, FN_SELECT, is_first, lt_onnx_scalar_like(im, g, 1),
                                  lt_onnx_scalar_like(im, g, beta));
    s->next[1] = add(im, scale(im, s->state[0], alpha), mul(im, weight, g));
    Value *step = looks_ahead ? add(im, g, scale(im, s->next[1], alpha)) : s->next[1];
    s->next[0] = onnx_map2(im, FN_SUB, s->x, mul(im, s->rate, step));
}

bool lt_onnx_momentum(Import *im) {
    static const char *const required[] = {"alpha", "beta", "mode", "norm_coefficient"};
    for (int i = 0; i < 4; i++)
        if (!lt_onnx_has(im, required[i]))
            return lt_onnx_malformed(im, "attribute %s is missing", required[i]);
    const char *mode = lt_onnx_string(im, "mode", "");
    if (strcmp(mode, "standard") != 0 && strcmp(mode, "nesterov") != 0)
        return lt_onnx_malformed(im, "mode is '%s'; expected standard or nesterov", mode);
    return update_all(im, 3, update_momentum);
}
