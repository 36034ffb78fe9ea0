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

#endif
