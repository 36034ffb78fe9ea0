/* barrier.h - where the threads of a team wait for each other. */
#ifndef LATHE_RUNTIME_BARRIER_H
#define LATHE_RUNTIME_BARRIER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { LT_CACHE_LINE = 64 };

typedef struct Barrier {
    _Alignas(LT_CACHE_LINE) atomic_uint arrived; /* in this phase */
    uint32_t parties;
    _Alignas(LT_CACHE_LINE) atomic_uint phase; /* how often all have arrived */
    atomic_uint sleepers;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
} Barrier;

void lt_barrier_init(Barrier *barrier);
void lt_barrier_destroy(Barrier *barrier);
/* How many threads will call lt_barrier_wait; while nobody is in it. */
void lt_barrier_set(Barrier *barrier, uint32_t parties);
/* Returns when all parties have called it; each sees what the others wrote before they did. */
void lt_barrier_wait(Barrier *barrier);

/* Tells the processor that this is a loop that waits. */
static inline void lt_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
