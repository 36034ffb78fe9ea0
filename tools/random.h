/* random.h - random tensors, the same on every machine. */
#ifndef LATHE_TOOLS_RANDOM_H
#define LATHE_TOOLS_RANDOM_H

#include "tools/npy.h"

/* Standard normal floats; integers and bools are 0 or 1. */
void lt_host_tensor_random(const HostTensor *tensor, int64_t seed);

#endif
