/* tensor.h - sizes and layouts of tensors that come from outside. */
#ifndef LATHE_RUNTIME_TENSOR_H
#define LATHE_RUNTIME_TENSOR_H

#include <stdbool.h>

#include "runtime/status.h"

/* Bytes of a dense tensor; false when a dim is negative or the size does not fit. */
bool lt_dense_bytes(lathe_dtype dtype, int32_t rank, const int64_t *dims, size_t *out);
/* Row-major without gaps (strides of extents 0 and 1 do not matter). */
bool lt_tensor_is_dense(const lathe_tensor *tensor);
/* Copies any layout into dense memory. */
void lt_tensor_pack(const lathe_tensor *tensor, void *to);

#endif
