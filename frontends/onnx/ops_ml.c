/* ops_ml.c - ops of the domain ai.onnx.ml on features: scaling, imputing, encoding, linear models.
 */
#include <math.h>
#include <string.h>

#include "frontends/onnx/ml.h"

/* 1 above the threshold, else 0. */
bool lt_onnx_binarizer(Import *im) {
    Value *x = im->inputs[0];
    Value *is_above = lt_onnx_map_scalar(im, FN_GT, x, lt_onnx_float(im, "threshold", 0));
    return onnx_set(im, 0, lt_build_convert(&im->b, is_above, x->type->dtype));
}

/* Some elements of the last axis; a vector becomes a row. */
bool lt_onnx_array_feature_extractor(Import *im) {
    static const int64_t first[] = {0};
    Value *x = im->inputs[0], *index = im->inputs[1];
    const Dim *count = lt_type_elements(im->module, index->type);
    if (x->type->rank < 1)
        return lt_onnx_malformed(im, "the input is a scalar");
    index = lt_build_reshape(&im->b, index, 1, &count);
    Value *y = index ? lt_build_gather(&im->b, x, index, x->type->rank - 1) : NULL;
    return onnx_set(im, 0, x->type->rank == 1 ? lt_build_unsqueeze(&im->b, y, first, 1) : y);
}

/* One number for all, or one for each of the last axis. */
static bool check_length(Import *im, const Value *x, const char *name, int64_t count) {
    const Type *type = x->type;
    if (count == 1)
        return true;
    const Dim *features = type->rank ? type->dims[type->rank - 1] : lt_dim_const(im->dims, 1);
    if (lt_dim_is_const(features) && features->value != count)
        return lt_onnx_malformed(im, "%s has %lld numbers for %lld features", name,
                                 (long long)count, (long long)features->value);
    lt_graph_add_guard(im->b.graph, features, lt_dim_const(im->dims, count), im->node->loc);
    return true;
}

/* (x - offset) * scale */
bool lt_onnx_scaler(Import *im) {
    int64_t offsets, scales;
    const double *offset = lt_onnx_reals(im, "offset", &offsets),
                 *scale = lt_onnx_reals(im, "scale", &scales);
    Value *x = lt_onnx_features(im, im->inputs[0], false);
    if (!x || offsets < 0 || scales < 0 || (offsets && !check_length(im, x, "offset", offsets)) ||
        (scales && !check_length(im, x, "scale", scales)))
        return false;
    if (offsets)
        x = onnx_map2(im, FN_SUB, x, lt_onnx_real_list(im, x->type->dtype, offset, 1, &offsets));
    if (scales && x)
        x = onnx_map2(im, FN_MUL, x, lt_onnx_real_list(im, x->type->dtype, scale, 1, &scales));
    return onnx_set(im, 0, lt_build_convert(&im->b, x, DT_F32));
}

/* Rows divided by a norm, which is at least a tiny number. */
bool lt_onnx_normalizer(Import *im) {
    const char *norm = lt_onnx_string(im, "norm", "MAX");
    const bool is_max = strcmp(norm, "MAX") == 0, is_square = strcmp(norm, "L2") == 0;
    Value *x = lt_onnx_features(im, im->inputs[0], false);
    if (!is_max && !is_square && strcmp(norm, "L1") != 0)
        return lt_onnx_malformed(im, "norm is '%s'; expected MAX, L1 or L2", norm);
    if (!x || x->type->rank < 1 || x->type->rank > 2)
        return lt_onnx_malformed(im, "the input has rank %d; expected 1 or 2",
                                 im->inputs[0]->type->rank);
    const int64_t last = x->type->rank - 1;
    Value *size = is_square ? onnx_map2(im, FN_MUL, x, x)
                  : is_max  ? x
                            : lt_build_map1(&im->b, FN_ABS, x);
    size = lt_build_reduce(&im->b, is_max ? FN_MAX : FN_ADD, size, &last, 1, true);
    if (is_square)
        size = lt_build_map1(&im->b, FN_SQRT, size);
    Value *is_zero = lt_onnx_map_scalar(im, FN_EQ, size, 0);
    size = lt_build_map3(&im->b, FN_SELECT, is_zero, lt_onnx_scalar_like(im, x, 1), size);
    return onnx_set(im, 0, lt_build_convert(&im->b, onnx_map2(im, FN_DIV, x, size), DT_F32));
}

/* What equals one value (or is no number, where that is none) becomes another, by feature. */
bool lt_onnx_imputer(Import *im) {
    Value *x = im->inputs[0], *by, *is_missing;
    const bool is_float = lt_dtype_is_float(x->type->dtype);
    int64_t count;
    if (is_float) {
        const double *values = lt_onnx_reals(im, "imputed_value_floats", &count);
        const double missing = lt_onnx_float(im, "replaced_value_float", 0);
        by = count > 0 ? lt_onnx_real_list(im, x->type->dtype, values, 1, &count) : NULL;
        is_missing = isnan(missing) ? lt_build_map1(&im->b, FN_ISNAN, x)
                                    : lt_onnx_map_scalar(im, FN_EQ, x, missing);
    } else {
        const int64_t *values = lt_onnx_ints(im, "imputed_value_int64s", &count);
        by = count > 0 ? lt_build_ints(&im->b, count, values) : NULL;
        by = lt_build_convert(&im->b, by, x->type->dtype);
        is_missing = onnx_map2(
            im, FN_EQ, x,
            lt_build_int(&im->b, x->type->dtype, lt_onnx_int(im, "replaced_value_int64", 0)));
    }
    if (!by)
        return lt_onnx_malformed(im, "there are no imputed values for an input of %s",
                                 lt_dtype_name(x->type->dtype));
    return check_length(im, x, "the list of imputed values", count) &&
           onnx_set(im, 0, lt_build_map3(&im->b, FN_SELECT, is_missing, by, x));
}

/* Rows side by side, each input with the columns that inputdimensions gives: cut, or with zeros. A
 * vector is one row. */
bool lt_onnx_feature_vectorizer(Import *im) {
    int64_t count;
    const int64_t *widths = lt_onnx_ints(im, "inputdimensions", &count);
    Value **parts = LT_ARRAY(im->arena, Value *, im->input_count);
    if (widths && count != im->input_count)
        return lt_onnx_malformed(im, "%lld inputdimensions for %u inputs", (long long)count,
                                 im->input_count);
    for (uint32_t i = 0; i < im->input_count; i++) {
        const Type *type = im->inputs[i] ? im->inputs[i]->type : NULL;
        if (!type || type->rank < 1 || type->rank > 2)
            return lt_onnx_malformed(im, "input %u must have rank 1 or 2", i);
        const Dim *zero = lt_dim_const(im->dims, 0), *one = lt_dim_const(im->dims, 1);
        const Dim *shape[] = {type->rank == 2 ? type->dims[0] : one, type->dims[type->rank - 1]};
        const Dim *width = widths ? lt_dim_const(im->dims, widths[i]) : shape[1];
        if (widths && widths[i] < 0)
            return lt_onnx_malformed(im, "inputdimensions has %lld", (long long)widths[i]);
        Value *x = lt_build_convert(&im->b, im->inputs[i], DT_F32);
        x = lt_build_reshape(&im->b, x, 2, shape);
        const Dim *kept = lt_dim_min(im->dims, shape[1], width);
        x = lt_onnx_slice_axis(im, x, 1, zero, kept);
        const Dim *low[] = {zero, zero}, *high[] = {zero, lt_dim_sub(im->dims, width, kept)};
        parts[i] = lt_dim_is(high[1], 0) ? x : lt_build_pad(&im->b, x, low, high, NULL, NULL);
    }
    return onnx_set(im, 0, lt_build_concat(&im->b, parts, im->input_count, 1));
}

/* --- linear models ---------------------------------------------------------------------------- */

/* x of [n, f] times coefficients of [targets, f], plus intercepts; NULL after an error. */
static Value *linear_scores(Import *im, Value *x, int64_t targets) {
    int64_t count, intercepts;
    const double *values = lt_onnx_reals(im, "coefficients", &count),
                 *added = lt_onnx_reals(im, "intercepts", &intercepts);
    if (count <= 0 || intercepts < 0 || targets < 1 || count % targets != 0 ||
        (intercepts && intercepts != targets)) {
        lt_onnx_malformed(im, "%lld coefficients and %lld intercepts of %lld targets",
                          (long long)count, (long long)intercepts, (long long)targets);
        return NULL;
    }
    const int64_t dims[] = {targets, count / targets};
    if (!check_length(im, x, "a row of coefficients", dims[1]))
        return NULL;
    x = lt_build_convert(&im->b, x, DT_F32);
    x = lt_build_contract(&im->b, x, lt_onnx_real_list(im, DT_F32, values, 2, dims), "nf,tf->nt");
    return intercepts ? onnx_map2(im, FN_ADD, x, lt_onnx_real_list(im, DT_F32, added, 1, &targets))
                      : x;
}

bool lt_onnx_linear_regressor(Import *im) {
    Value *x = lt_onnx_features(im, im->inputs[0], true);
    Value *y = x ? linear_scores(im, x, lt_onnx_int(im, "targets", 1)) : NULL;
    return onnx_set(im, 0,
                    lt_onnx_post_transform(im, y, lt_onnx_string(im, "post_transform", "NONE")));
}

/* One score for two classes tells the second one from the first by its sign. */
bool lt_onnx_linear_classifier(Import *im) {
    Value *x = lt_onnx_features(im, im->inputs[0], true);
    const char *transform = lt_onnx_string(im, "post_transform", "NONE");
    int64_t intercepts;
    ClassLabels labels;
    if (!x || !lt_onnx_class_labels(im, "classlabels_ints", "classlabels_strings", &labels))
        return false;
    lt_onnx_reals(im, "intercepts", &intercepts);
    Value *scores = linear_scores(im, x, intercepts > 0 ? intercepts : labels.count);
    if (!scores)
        return false;
    const int64_t columns = scores->type->dims[1]->value;
    if (columns > 1 && labels.count && labels.count != columns)
        return lt_onnx_malformed(im, "%lld labels of %lld classes", (long long)labels.count,
                                 (long long)columns);
    if (columns > 1) {
        onnx_set(im, 0, lt_onnx_best_label(im, &labels, scores));
        return onnx_set(im, 1, lt_onnx_post_transform(im, scores, transform));
    }
    const bool has_two = labels.count == 2;
    Value *is_above = lt_onnx_map_scalar(im, FN_GT, scores, 0);
    onnx_set(im, 0,
             lt_onnx_either_label(im, is_above, has_two ? labels.ints[1] : 1,
                                  has_two ? labels.ints[0] : 0));
    return onnx_set(im, 1,
                    has_two ? lt_onnx_two_scores(im, scores, true, transform)
                            : lt_onnx_post_transform(im, scores, transform));
}
