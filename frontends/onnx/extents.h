/* extents.h - extents that only a run may tell. */
#ifndef LATHE_FRONTENDS_ONNX_EXTENTS_H
#define LATHE_FRONTENDS_ONNX_EXTENTS_H

#include "frontends/onnx/ops.h"

/* One number of lt_onnx_extents; NULL after an error. */
const Dim *lt_onnx_extent(Import *im, Value *v, const char *what);
/* x, where the axis must have this extent: a guard if that is not known, and from there on it is.
 * NULL after an error that calls x `what`. */
Value *lt_onnx_fix_dim(Import *im, Value *x, int axis, const Dim *extent, const char *what);
Value *lt_onnx_fix_extent(Import *im, Value *x, int axis, int64_t extent, const char *what);
/* The same for all axes. */
Value *lt_onnx_fix_dims(Import *im, Value *x, int rank, const Dim *const *dims, const char *what);
/* x, which has this extent on the axis, or 1 that may be stretched: where only a run tells which,
 * the result is stretched; else it is x itself. */
Value *lt_onnx_stretch(Import *im, Value *x, int axis, const Dim *extent);
/* extent / parts, which must be whole: a guard if that is not known. NULL where it never is. */
const Dim *lt_onnx_part_extent(Import *im, const Dim *extent, const Dim *parts);
/* i64[k]: where bool[n] is true; k is a new symbol. */
Value *lt_onnx_find(Import *im, Value *mask);
/* The same where k is known. */
Value *lt_onnx_find_some(Import *im, Value *mask, const Dim *k);
/* Of a vector: element i is the sum of the first i + 1. */
Value *lt_onnx_running_sum(Import *im, Value *v);
/* zeros(size) with updates put (or added) at indices: all are vectors, the indices i64. */
Value *lt_onnx_scattered(Import *im, const Dim *size, Value *indices, Value *updates, bool add);

#endif
