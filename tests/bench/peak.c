/* peak.c - `peak THREADS`: what this machine can do, which the benchmark measures kernels against.
 *
 * Prints one JSON object: fma_gflops, the rate of multiply-adds on floats, and read_gbps, the rate
 * at which memory that no cache holds is read; both of all threads together, the best of some
 * rounds. Twelve independent accumulators of the widest vectors hide the latency of two FMA units;
 * a load is counted once, as the bytes it delivers. Whoever starts it pins it to as many cores. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
enum { ACCUMULATORS = 12, STEPS = 4000000, FMA_ROUNDS = 10, READ_ROUNDS = 8, MOST_THREADS = 256 };
enum { STREAMS = 8, AHEAD = 64 };
static const size_t read_bytes = (size_t)512 << 20;

typedef struct Worker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    const Vector *data;
    size_t vectors;
    float sink;
    int number, threads;
} Worker;

static struct {
    double fma, read;
} best;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void multiply_add(Worker *w) {
    Vector acc[ACCUMULATORS] = {{0}}, x = {0.5f}, y = {1.0f};
    for (int j = 0; j < ACCUMULATORS; j++)
        acc[j][0] = (float)(j + w->number);
    for (int i = 0; i < STEPS; i++) {
#pragma GCC unroll 12
        for (int j = 0; j < ACCUMULATORS; j++)
            acc[j] = acc[j] * x + y;
        __asm__ volatile("" : "+x"(x), "+x"(y));
    }
    for (int j = 0; j < ACCUMULATORS; j++)
        w->sink += acc[j][0];
}

static void read_all(Worker *w) {
    Vector sums[STREAMS] = {{0}};
    for (size_t i = 0; i + STREAMS <= w->vectors; i += STREAMS)
#pragma GCC unroll 8
        for (int j = 0; j < STREAMS; j++) {
            __builtin_prefetch(w->data + i + j + AHEAD, 0, 0);
            sums[j] += w->data[i + (size_t)j];
        }
    for (int j = 0; j < STREAMS; j++)
        w->sink += sums[j][0];
}

/* One round of all threads: it lasts from the moment all are ready until the last one is done. */
static double timed(Worker *w, void (*work)(Worker *)) {
    pthread_barrier_wait(w->barrier);
    double start = now();
    work(w);
    pthread_barrier_wait(w->barrier);
    return now() - start;
}

static void *measure(void *argument) {
    Worker *w = argument;
    double flops = 2.0 * LANES * ACCUMULATORS * STEPS * w->threads;
    for (int round = 0; round < FMA_ROUNDS; round++) {
        double rate = flops / timed(w, multiply_add) * 1e-9;
        if (w->number == 0 && rate > best.fma)
            best.fma = rate;
    }
    for (int round = 0; round < READ_ROUNDS; round++) {
        double rate = (double)read_bytes / timed(w, read_all) * 1e-9;
        if (w->number == 0 && rate > best.read)
            best.read = rate;
    }
    return NULL;
}

int main(int argc, char **argv) {
    static Worker workers[MOST_THREADS];
    pthread_barrier_t barrier;
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    float *data = aligned_alloc((size_t)2 << 20, read_bytes), sink = 0;
    if (threads < 1 || threads > MOST_THREADS || !data) {
        fprintf(stderr, "usage: peak THREADS (1 to %d; needs 512 MB)\n", MOST_THREADS);
        return 2;
    }
    madvise(data, read_bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < read_bytes / sizeof *data; i++)
        data[i] = (float)(i & 7);
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    size_t vectors = read_bytes / sizeof(Vector) / (size_t)threads;
    for (int t = 0; t < threads; t++) {
        const Vector *slice = (const Vector *)data + (size_t)t * vectors;
        workers[t] = (Worker){0, &barrier, slice, vectors, 0, t, threads};
        if (pthread_create(&workers[t].thread, NULL, measure, &workers[t]) != 0)
            return 1;
    }
    for (int t = 0; t < threads; t++) {
        pthread_join(workers[t].thread, NULL);
        sink += workers[t].sink;
    }
    printf("{\"fma_gflops\": %.1f, \"read_gbps\": %.2f}\n", best.fma, best.read);
    free(data);
    return sink < 0;
}
