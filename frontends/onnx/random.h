/* random.h - random numbers that a seed and a position determine: the same in every run, on every
 * machine, for any number of threads. */
#ifndef LATHE_FRONTENDS_ONNX_RANDOM_H
#define LATHE_FRONTENDS_ONNX_RANDOM_H

#include "frontends/onnx/ops.h"

/* f32 or f64 of the shape, 0 <= u < 1. The node's attribute `seed` determines them, or where that
 * is absent the name of the node's first output; inside loops also the iterations. */
Value *lt_onnx_uniform(Import *im, DType dtype, int rank, const Dim *const *shape);
/* Of mean 0 and variance 1. */
Value *lt_onnx_normal(Import *im, DType dtype, int rank, const Dim *const *shape);

#endif
