/* spatial.h - the attributes that convolutions and pools share. */
#ifndef LATHE_FRONTENDS_ONNX_SPATIAL_H
#define LATHE_FRONTENDS_ONNX_SPATIAL_H

#include "frontends/onnx/ops.h"

typedef struct Spatial {
    int rank; /* axes that the kernel runs over: the input's without batch and channels */
    const int64_t *kernel; /* NULL: only a run tells */
    const Dim **extents;   /* the kernel's */
    const int64_t *strides, *dilations;
    const Dim **lo, **hi;            /* padding of each axis */
    bool same, upper, explicit_pads; /* what auto_pad said */
} Spatial;

/* Reads the kernel's rank and extents over input 0: kernel_shape, or those of the weight, input 1,
 * which get them. */
bool lt_onnx_kernel(Import *im, bool is_weighted, Spatial *s);
/* The same, and strides, dilations, pads and auto_pad. Without a weight the kernel is known. */
bool lt_onnx_spatial(Import *im, bool is_weighted, Spatial *s);
/* How far the kernel reaches beyond its first element. */
const Dim *lt_onnx_reach(Import *im, const Spatial *s, int axis);
/* A convolution of which only a run tells the kernel's extents or the groups. `extra`, which a
 * transposed one has, is added to its end; NULL: it is none. */
bool lt_onnx_conv_by_taps(Import *im, const Spatial *s, const Dim *groups, const int64_t *extra);

/* Where the greatest elements of max pooling's windows lie in x: flat indices, i64, of y's shape,
 * the result's; storage_order 1 counts from the last axis on. NULL after an error. */
Value *lt_onnx_pool_indices(Import *im, Value *x, const Spatial *s, const Type *y);

#endif
