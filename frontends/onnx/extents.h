/* extents.h - extents that only a run may tell. */
#ifndef LATHE_FRONTENDS_ONNX_EXTENTS_H
#define LATHE_FRONTENDS_ONNX_EXTENTS_H

#include "frontends/onnx/ops.h"

/* One number of lt_onnx_extents; NULL after an error. */
const Dim *lt_onnx_extent(Import *im, Value *v, const char *what);
/* i64[k]: where bool[n] is true; k is a new symbol. */
Value *lt_onnx_find(Import *im, Value *mask);
/* The same where k is known. */
Value *lt_onnx_find_some(Import *im, Value *mask, const Dim *k);
/* Of a vector: element i is the sum of the first i + 1. */
Value *lt_onnx_running_sum(Import *im, Value *v);
/* zeros(size) with updates put (or added) at indices: all are vectors, the indices i64. */
Value *lt_onnx_scattered(Import *im, const Dim *size, Value *indices, Value *updates, bool add);

#endif
