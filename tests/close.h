/* close.h - whether a result is as near to what another program computed as a suite asks. */
#ifndef LATHE_TESTS_CLOSE_H
#define LATHE_TESTS_CLOSE_H

#include "lathe/runtime.h"
#include "tools/npy.h"

/* |found - wanted| <= absolute + relative * |wanted|, as numpy's assert_allclose. */
typedef struct Tolerance {
    double relative, absolute;
} Tolerance;

/* Dtype and dims are the same, and every element is close; NaN equals NaN, an infinity itself.
 * bf16 is granted two units in the last place, as the ONNX suite does. Otherwise `words` tells what
 * differs. found is dense. */
bool lt_tensor_close(const HostTensor *wanted, const lathe_tensor *found,
                     const Tolerance *tolerance, char *words, size_t size);

#endif
