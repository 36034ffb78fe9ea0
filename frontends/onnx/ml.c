/* ml.c - what the ops of ai.onnx.ml share. */
#include "frontends/onnx/ml.h"

#include <math.h>
#include <string.h>

/* --- attributes ------------------------------------------------------------------------------- */

const double *lt_onnx_tensor_reals(Import *im, const char *name, int64_t *count) {
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_TENSOR);
    const Const *c = a ? lt_onnx_tensor(im, a->t, im->node->loc) : NULL;
    *count = lt_onnx_has(im, name) ? -1 : 0;
    if (!c || !lt_type_is_static(c->type, count))
        return NULL;
    double *values = LT_ARRAY(im->arena, double, *count + 1);
    for (int64_t i = 0; i < *count; i++)
        values[i] = lt_const_get_float(c, i);
    return values;
}

const double *lt_onnx_reals(Import *im, const char *name, int64_t *count) {
    const char *as_tensor = lt_arena_printf(im->arena, "%s_as_tensor", name);
    const bool is_list = lt_onnx_has(im, name);
    *count = 0;
    if (!is_list && lt_onnx_has(im, as_tensor))
        return lt_onnx_tensor_reals(im, as_tensor, count);
    if (!is_list)
        return NULL;
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_FLOATS);
    *count = a ? (int64_t)a->floats.len : -1;
    if (!a)
        return NULL;
    double *values = LT_ARRAY(im->arena, double, *count + 1);
    for (int64_t i = 0; i < *count; i++) {
        float value;
        memcpy(&value, &a->floats.data[i], sizeof value);
        values[i] = (double)value;
    }
    return values;
}

Value *lt_onnx_real_list(Import *im, DType dtype, const double *values, int rank,
                         const int64_t *dims) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    void *data = lt_arena_alloc(im->arena, (size_t)(count + 1) * lt_dtype_size(dtype));
    for (int64_t i = 0; i < count; i++) {
        if (dtype == DT_F64)
            ((double *)data)[i] = values[i];
        else
            ((float *)data)[i] = (float)values[i];
    }
    const DType made = dtype == DT_F64 ? DT_F64 : DT_F32;
    Value *list = lt_build_const(
        &im->b, lt_const(im->module, lt_type_static(im->module, made, rank, dims), data));
    return made == dtype ? list : lt_build_convert(&im->b, list, dtype);
}

Value *lt_onnx_features(Import *im, Value *x, bool rows) {
    static const int64_t first = 0;
    if (!lt_dtype_is_float(x->type->dtype))
        x = lt_build_convert(&im->b, x, DT_F32);
    if (rows && x && x->type->rank == 1)
        x = lt_build_unsqueeze(&im->b, x, &first, 1);
    if (rows && x && x->type->rank != 2) {
        lt_onnx_malformed(im, "the input has rank %d; expected 2", x->type->rank);
        return NULL;
    }
    return x;
}

/* --- labels ----------------------------------------------------------------------------------- */

bool lt_onnx_class_labels(Import *im, const char *name, const char *strings, ClassLabels *out) {
    const OnnxAttribute *a = lt_onnx_attribute(im, strings, ONNX_ATTR_STRINGS);
    if (a && a->strings.len)
        return lt_onnx_unsupported(im, "labels that are strings are not supported");
    out->ints = lt_onnx_ints(im, name, &out->count);
    return true;
}

Value *lt_onnx_best_label(Import *im, const ClassLabels *labels, Value *scores) {
    const Attr attrs[] = {lt_int(ATTR_FN, FN_MAX), lt_int(ATTR_AXIS, 1), lt_int(ATTR_KEEP, false)};
    Value *best = scores ? lt_build(&im->b, &(NodeSpec){.op = OP_ARGREDUCE,
                                                        .inputs = &scores,
                                                        .input_count = 1,
                                                        .attrs = attrs,
                                                        .attr_count = 3})
                         : NULL;
    if (!best || labels->count == 0)
        return best;
    return lt_build_gather(&im->b, lt_build_ints(&im->b, labels->count, labels->ints), best, 0);
}

Value *lt_onnx_either_label(Import *im, Value *condition, int64_t yes, int64_t no) {
    static const int64_t last = 1;
    Value *label = onnx_pick(im, condition, lt_build_int(&im->b, DT_I64, yes),
                             lt_build_int(&im->b, DT_I64, no));
    return lt_build_squeeze(&im->b, label, &last, 1);
}

/* --- scores ----------------------------------------------------------------------------------- */

static Value *softmax(Import *im, Value *x) {
    const Attr axis = lt_int(ATTR_AXIS, 1);
    NodeSpec spec = {
        .op = OP_SOFTMAX, .inputs = &x, .input_count = 1, .attrs = &axis, .attr_count = 1};
    return x ? lt_build(&im->b, &spec) : NULL;
}

/* As softmax, but what is 0 stays 0. */
static Value *softmax_zero(Import *im, Value *x) {
    static const int64_t last = 1;
    Value *most = lt_build_reduce(&im->b, FN_MAX, x, &last, 1, true);
    Value *power = lt_build_map1(&im->b, FN_EXP, onnx_map2(im, FN_SUB, x, most));
    Value *is_zero = lt_onnx_map_scalar(im, FN_LE, lt_build_map1(&im->b, FN_ABS, x), 1e-7F);
    Value *least = lt_build_map1(&im->b, FN_EXP, lt_build_map1(&im->b, FN_NEG, most));
    power = onnx_pick(im, is_zero, onnx_map2(im, FN_MUL, x, least), power);
    Value *sum = lt_build_reduce(&im->b, FN_ADD, power, &last, 1, true);
    Value *has_none = lt_onnx_map_scalar(im, FN_EQ, sum, 0);
    return onnx_pick(im, has_none, lt_onnx_scalar_like(im, x, 0.5),
                     onnx_map2(im, FN_DIV, power, sum));
}

/* The quantile of the normal distribution, with Winitzki's approximation of the inverse of erf. */
static Value *probit(Import *im, Value *x) {
    static const double a = 0.147;
    x = lt_onnx_map_scalar(im, FN_SUB, lt_onnx_map_scalar(im, FN_MUL, x, 2), 1);
    Value *one = lt_onnx_scalar_like(im, x, 1), *zero = lt_onnx_scalar_like(im, x, 0);
    Value *rest =
        onnx_map2(im, FN_MUL, onnx_map2(im, FN_SUB, one, x), onnx_map2(im, FN_ADD, one, x));
    Value *log = lt_build_map1(&im->b, FN_LOG, rest);
    Value *v =
        lt_onnx_map_scalar(im, FN_ADD, lt_onnx_map_scalar(im, FN_MUL, log, 0.5), 2 / (M_PI * a));
    Value *root =
        onnx_map2(im, FN_SUB, onnx_map2(im, FN_MUL, v, v), lt_onnx_map_scalar(im, FN_DIV, log, a));
    root = onnx_map2(im, FN_SUB, lt_build_map1(&im->b, FN_SQRT, root), v);
    root = lt_onnx_map_scalar(im, FN_MUL, lt_build_map1(&im->b, FN_SQRT, root), M_SQRT2);
    root = onnx_pick(im, onnx_map2(im, FN_LT, x, zero), lt_build_map1(&im->b, FN_NEG, root), root);
    return onnx_pick(im, onnx_map2(im, FN_EQ, rest, zero), zero, root);
}

Value *lt_onnx_post_transform(Import *im, Value *scores, const char *name) {
    if (!scores || strcmp(name, "NONE") == 0)
        return scores;
    if (strcmp(name, "SOFTMAX") == 0)
        return softmax(im, scores);
    if (strcmp(name, "LOGISTIC") == 0)
        return lt_build_map1(&im->b, FN_SIGMOID, scores);
    if (strcmp(name, "SOFTMAX_ZERO") == 0)
        return softmax_zero(im, scores);
    if (strcmp(name, "PROBIT") == 0)
        return probit(im, scores);
    lt_onnx_malformed(im, "post_transform is '%s'", name);
    return NULL;
}

Value *lt_onnx_two_scores(Import *im, Value *scores, bool is_share, const char *name) {
    const bool is_logistic = strcmp(name, "LOGISTIC") == 0;
    is_share = is_share && !is_logistic;
    if (!scores)
        return NULL;
    Value *other = is_share ? onnx_map2(im, FN_SUB, lt_onnx_scalar_like(im, scores, 1), scores)
                            : lt_build_map1(&im->b, FN_NEG, scores);
    Value *both[] = {other, scores};
    Value *y = lt_build_concat(&im->b, both, 2, 1);
    const bool is_probit = strcmp(name, "PROBIT") == 0;
    return is_logistic || is_probit ? lt_onnx_post_transform(im, y, name) : y;
}
