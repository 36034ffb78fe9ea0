/* barrier.c - the last thread to arrive begins the next phase, the others wait for that.
 *
 * Steps of a recurrence are microseconds long, so a thread looks for the next phase in a loop
 * first. It does that for about as long as it takes to fall asleep and be woken, and then sleeps:
 * on a busy machine the thread that it waits for may need its very core. Who goes to sleep counts
 * itself and looks again, who begins a phase looks at the count behind that: one of them sees the
 * other. */
#include "runtime/barrier.h"

enum { SPINS = 1000 };

void lt_barrier_init(Barrier *barrier) {
    *barrier = (Barrier){.parties = 1};
    pthread_mutex_init(&barrier->mutex, NULL);
    pthread_cond_init(&barrier->wake, NULL);
}

void lt_barrier_destroy(Barrier *barrier) {
    pthread_cond_destroy(&barrier->wake);
    pthread_mutex_destroy(&barrier->mutex);
}

void lt_barrier_set(Barrier *barrier, uint32_t parties) { barrier->parties = parties; }

static void begin_phase(Barrier *barrier, unsigned phase) {
    /* Nobody arrives again before the new phase is seen. */
    atomic_store_explicit(&barrier->arrived, 0, memory_order_relaxed);
    atomic_store(&barrier->phase, phase);
    if (!atomic_load(&barrier->sleepers))
        return;
    pthread_mutex_lock(&barrier->mutex);
    pthread_cond_broadcast(&barrier->wake);
    pthread_mutex_unlock(&barrier->mutex);
}

void lt_barrier_wait(Barrier *barrier) {
    const unsigned phase = atomic_load_explicit(&barrier->phase, memory_order_relaxed);
    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == barrier->parties) {
        begin_phase(barrier, phase + 1);
        return;
    }
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&barrier->phase, memory_order_acquire) != phase)
            return;
        lt_pause();
    }
    pthread_mutex_lock(&barrier->mutex);
    atomic_fetch_add(&barrier->sleepers, 1);
    while (atomic_load(&barrier->phase) == phase)
        pthread_cond_wait(&barrier->wake, &barrier->mutex);
    atomic_fetch_sub(&barrier->sleepers, 1);
    pthread_mutex_unlock(&barrier->mutex);
}
