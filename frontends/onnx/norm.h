/* norm.h - what the converters of normalizations share (ops_norm.c). */
#ifndef LATHE_FRONTENDS_ONNX_NORM_H
#define LATHE_FRONTENDS_ONNX_NORM_H

#include "frontends/onnx/ops.h"

/* Over the axes from `axis` on; bias may be NULL. */
typedef struct NormSpec {
    Value *scale, *bias;
    int axis;
    double epsilon;
} NormSpec;
Value *lt_onnx_layer_norm(Import *im, Value *x, const NormSpec *spec);
/* x / sqrt(mean(x * x) + epsilon) * scale + bias over the same; *inverse (may be NULL) is
 * 1 / sqrt(...). */
Value *lt_onnx_rms_norm(Import *im, Value *x, const NormSpec *spec, Value **inverse);

#endif
