/* spatial.h - the attributes that convolutions and pools share. */
#ifndef LATHE_FRONTENDS_ONNX_SPATIAL_H
#define LATHE_FRONTENDS_ONNX_SPATIAL_H

#include "frontends/onnx/ops.h"

typedef struct Spatial {
    int rank; /* axes that the kernel runs over: the input's without batch and channels */
    const int64_t *kernel, *strides, *dilations;
    const Dim **lo, **hi;            /* padding of each axis */
    bool same, upper, explicit_pads; /* what auto_pad said */
} Spatial;

/* Reads kernel_shape (checked against `kernel` unless that is NULL), strides, dilations, pads and
 * auto_pad. */
bool lt_onnx_spatial(Import *im, const Type *x, const int64_t *kernel, Spatial *s);

/* Where the greatest elements of max pooling's windows lie in x: flat indices, i64, of y's shape,
 * the result's; storage_order 1 counts from the last axis on. NULL after an error. */
Value *lt_onnx_pool_indices(Import *im, Value *x, const Spatial *s, const Type *y);

#endif
