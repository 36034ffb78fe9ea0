/* library.h - irregular operations: what no loop nest computes well. Buffers are dense and
 * row-major, functions allocate nothing and run on the calling thread. */
#ifndef LATHE_RUNTIME_KERNELS_LIBRARY_H
#define LATHE_RUNTIME_KERNELS_LIBRARY_H

#include <stdint.h>

enum {
#define LIBRARY(e, name, function, inputs) LT_LIBRARY_##e,
#include "runtime/kernels/library.def"
#undef LIBRARY
    LT_LIBRARY_LIMIT
};

typedef int32_t LtLibraryFn(void *const *buffers, const int64_t *ints);

/* NULL for a number that is no function. */
LtLibraryFn *lt_library_function(uint32_t function);
const char *lt_library_name(uint32_t function);
/* How many of its buffers are inputs: those come first. */
uint32_t lt_library_inputs(uint32_t function);

/* The `k` largest (or smallest) along one axis, seen as [outer, axis, inner]. buffers: input
 * [outer, length, inner]; values out [outer, k, inner]; indices out, i64, the same. ints: outer,
 * length, inner, k, largest (0 or 1), sorted (0: any order will do), dtype (lathe_dtype). Among
 * equal elements the one of the lowest index comes first. NaN is greater than every number, -0
 * equals 0. The result is in order whether or not that was asked for. LATHE_BAD_SHAPE unless 0 <=
 * k <= length; LATHE_UNSUPPORTED for a dtype that does not exist. */
int32_t lt_kernel_topk(void *const *buffers, const int64_t *ints);

/* Where a mask is true. buffers: mask in, bool [n]; positions out, i64 [count], rising. ints: n,
 * count. LATHE_BAD_SHAPE unless exactly `count` elements are true. */
int32_t lt_kernel_find(void *const *buffers, const int64_t *ints);

#endif
