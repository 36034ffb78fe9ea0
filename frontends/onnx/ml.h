/* ml.h - what the ops of ai.onnx.ml share: lists of numbers among the attributes, class labels,
 * transforms of scores. */
#ifndef LATHE_FRONTENDS_ONNX_ML_H
#define LATHE_FRONTENDS_ONNX_ML_H

#include "frontends/onnx/ops.h"

/* Numbers of the attribute `name`, floats, or of the tensor `name`_as_tensor. *count 0 when there
 * are none, -1 after an error. In the arena. */
const double *lt_onnx_reals(Import *im, const char *name, int64_t *count);
/* The same of a tensor `name`. */
const double *lt_onnx_tensor_reals(Import *im, const char *name, int64_t *count);
/* A constant of these numbers, rounded to the dtype. */
Value *lt_onnx_real_list(Import *im, DType dtype, const double *values, int rank,
                         const int64_t *dims);
/* The operand as a float: integers become f32. A vector is one row where `rows`. */
Value *lt_onnx_features(Import *im, Value *x, bool rows);

/* Labels of classes: i64, of the attribute `name` or strings of `strings`. */
typedef struct ClassLabels {
    const int64_t *ints;
    int64_t count; /* 0: there are none */
} ClassLabels;
bool lt_onnx_class_labels(Import *im, const char *name, const char *strings, ClassLabels *out);
/* i64[n]: the label of the greatest of each row's scores, [n, k]. */
Value *lt_onnx_best_label(Import *im, const ClassLabels *labels, Value *scores);
/* i64[n]: by bool[n, 1]. */
Value *lt_onnx_either_label(Import *im, Value *condition, int64_t yes, int64_t no);

/* [n, k] by the name in post_transform: NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT. NULL after
 * an error. */
Value *lt_onnx_post_transform(Import *im, Value *scores, const char *name);
/* One score a row, [n, 1], as those of two classes: [1 - s, s] where `is_share`, else [-s, s]. Of
 * the transforms LOGISTIC applies, to [-s, s], and PROBIT; the others do not, as in onnxruntime. */
Value *lt_onnx_two_scores(Import *im, Value *scores, bool is_share, const char *name);

#endif
