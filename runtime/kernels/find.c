/* find.c - positions of the true elements of a mask. */
#include "lathe/runtime.h"
#include "runtime/kernels/library.h"

int32_t lt_kernel_find(void *const *buffers, const int64_t *ints) {
    const uint8_t *mask = buffers[0];
    int64_t *positions = buffers[1], found = 0;
    for (int64_t i = 0; i < ints[0]; i++) {
        if (!mask[i])
            continue;
        if (found == ints[1])
            return LATHE_BAD_SHAPE;
        positions[found++] = i;
    }
    return found == ints[1] ? LATHE_OK : LATHE_BAD_SHAPE;
}
