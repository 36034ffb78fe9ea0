/* compare.c - `compare WANTED.npy FOUND.npy`: are two arrays the same, to the tolerance that the
 * models' tests promise?
 *
 * Prints the greatest error. Exit code 0: every element is within TOLERANCE_F32_ABSOLUTE +
 * TOLERANCE_F32_RELATIVE * |wanted|, or those of f16; 1: one is not, or dtypes or dims differ; 2: a
 * file cannot be read. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/half.h"
#include "tools/npy.h"
#include "tools/tolerance.h"

static double element(const HostTensor *t, int64_t i) {
    switch (t->dtype) {
    case LATHE_F32: return (double)((const float *)t->data)[i];
    case LATHE_F16: return (double)lt_f16_to_f32(((const uint16_t *)t->data)[i]);
    case LATHE_F64: return ((const double *)t->data)[i];
    case LATHE_I32: return (double)((const int32_t *)t->data)[i];
    case LATHE_I64: return (double)((const int64_t *)t->data)[i];
    case LATHE_BOOL: return (double)((const uint8_t *)t->data)[i];
    default: return NAN;
    }
}

static bool same_shape(const HostTensor *a, const HostTensor *b) {
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

int main(int argc, char **argv) {
    Arena arena;
    HostTensor wanted, found;
    const char *error = NULL;
    lt_arena_init(&arena);
    if (argc != 3) {
        fprintf(stderr, "usage: compare WANTED.npy FOUND.npy\n");
        return 2;
    }
    if (lt_npy_read(&arena, argv[1], &wanted, &error) ||
        lt_npy_read(&arena, argv[2], &found, &error)) {
        fprintf(stderr, "compare: %s\n", error);
        return 2;
    }
    if (!same_shape(&wanted, &found)) {
        printf("dtypes or dims differ\n");
        return 1;
    }
    double worst = 0;
    int64_t wrong = 0, count = lt_host_tensor_count(&wanted);
    const bool is_half = wanted.dtype == LATHE_F16;
    const double absolute = is_half ? TOLERANCE_F16_ABSOLUTE : TOLERANCE_F32_ABSOLUTE;
    const double relative = is_half ? TOLERANCE_F16_RELATIVE : TOLERANCE_F32_RELATIVE;
    for (int64_t i = 0; i < count; i++) {
        double w = element(&wanted, i), f = element(&found, i), difference = fabs(w - f);
        /* Written so that a NaN counts as wrong. */
        if (!(difference <= absolute + relative * fabs(w)))
            wrong++;
        if (difference > worst)
            worst = difference;
    }
    printf("greatest error %.3g, %lld of %lld elements wrong\n", worst, (long long)wrong,
           (long long)count);
    lt_arena_free(&arena);
    return wrong != 0;
}
