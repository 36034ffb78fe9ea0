/* peak.c - the FMA rate of one core: what the contraction kernels are measured against. Prints
 * GFLOP/s, the best of some rounds. Twelve independent accumulators of the widest vectors hide the
 * latency of two FMA units. */
#include <stdio.h>
#include <time.h>

#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
enum { ACCUMULATORS = 12, STEPS = 4000000, ROUNDS = 20 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(void) {
    double best = 0;
    float sink = 0;
    for (int round = 0; round < ROUNDS; round++) {
        Vector acc[ACCUMULATORS] = {{0}}, x = {0.5f}, y = {1.0f};
        for (int j = 0; j < ACCUMULATORS; j++)
            acc[j][0] = (float)(j + round);
        double start = now();
        for (int i = 0; i < STEPS; i++) {
#pragma GCC unroll 12
            for (int j = 0; j < ACCUMULATORS; j++)
                acc[j] = acc[j] * x + y;
            __asm__ volatile("" : "+x"(x), "+x"(y));
        }
        double rate = 2.0 * LANES * ACCUMULATORS * STEPS / (now() - start) * 1e-9;
        for (int j = 0; j < ACCUMULATORS; j++)
            sink += acc[j][0];
        if (rate > best)
            best = rate;
    }
    printf("%.1f\n", best);
    return sink < 0;
}
