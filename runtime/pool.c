/* pool.c - one pthreadpool for each number of threads that some context uses.
 *
 * Contexts that share a pool take turns kernel by kernel. pthreadpool gets one item a thread, a
 * slot, which owns a part of the contexts' scratch memory. Work is cut into a few pieces more than
 * there are slots, so that a thread that the system takes away for a while does not hold up the
 * others. */
#include "runtime/pool.h"

#include <pthread.h>
#include <pthreadpool.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { PIECES_PER_THREAD = 4 };

/* What is left of a slot's share; each in a cache line of its own. */
typedef struct Slot {
    _Alignas(64) atomic_int_fast64_t next;
} Slot;

struct Pool {
    pthreadpool_t threads;
    pthread_mutex_t job; /* held while a launch runs: contexts take turns */
    Slot *slots;
    int32_t count;
    int32_t references;
    Pool *next;
};

static pthread_mutex_t pools_mutex = PTHREAD_MUTEX_INITIALIZER;
static Pool *pools; /* guarded by pools_mutex, as are the references */

static Pool *create_pool(int32_t threads) {
    Pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->slots = aligned_alloc(_Alignof(Slot), (size_t)threads * sizeof(Slot));
    pool->threads = pool->slots ? pthreadpool_create((size_t)threads) : NULL;
    if (!pool->threads) {
        free(pool->slots);
        free(pool);
        return NULL;
    }
    pthread_mutex_init(&pool->job, NULL);
    pool->count = threads;
    pool->next = pools;
    pools = pool;
    return pool;
}

lathe_status lt_pool_acquire(int32_t threads, Pool **out, ErrorText *error) {
    *out = NULL;
    if (threads == 1)
        return LATHE_OK;
    pthread_mutex_lock(&pools_mutex);
    Pool *pool = pools;
    while (pool && pool->count != threads)
        pool = pool->next;
    if (!pool)
        pool = create_pool(threads);
    if (pool)
        pool->references++;
    pthread_mutex_unlock(&pools_mutex);
    *out = pool;
    return pool ? LATHE_OK
                : lt_fail(error, LATHE_NO_MEMORY, "%d threads cannot be started", threads);
}

void lt_pool_release(Pool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pools_mutex);
    bool last = --pool->references == 0;
    for (Pool **at = &pools; last && *at; at = &(*at)->next)
        if (*at == pool) {
            *at = pool->next;
            break;
        }
    pthread_mutex_unlock(&pools_mutex);
    if (last) {
        pthreadpool_destroy(pool->threads);
        pthread_mutex_destroy(&pool->job);
        free(pool->slots);
        free(pool);
    }
}

typedef struct Job {
    Pool *pool;
    const Launch *launch;
    int64_t piece, rest; /* every piece has `piece` items, the first `rest` of them one more */
    int64_t pieces;
} Job;

static void run_piece(const Job *job, int64_t i, int32_t slot) {
    const Launch *launch = job->launch;
    const int64_t begin = job->piece * i + (i < job->rest ? i : job->rest);
    const int64_t end = begin + job->piece + (i < job->rest);
    launch->fn(launch->buffers, launch->ints, begin, end,
               launch->scratch + (size_t)slot * launch->scratch_bytes);
}

static int64_t first_piece(const Job *job, int32_t slot) {
    return job->pieces * slot / job->pool->count;
}

/* Its own pieces first, which are the same rows in one kernel after the other; then what others
 * have left. */
static void run_slot(void *context, size_t index) {
    const Job *job = context;
    const int32_t own = (int32_t)index, count = job->pool->count;
    for (int32_t step = 0; step < count; step++) {
        const int32_t slot = (own + step) % count;
        const int64_t end = first_piece(job, slot + 1);
        atomic_int_fast64_t *next = &job->pool->slots[slot].next;
        for (int64_t i; (i = atomic_fetch_add_explicit(next, 1, memory_order_relaxed)) < end;)
            run_piece(job, i, own);
    }
}

void lt_pool_run(Pool *pool, const Launch *launch) {
    if (launch->count <= 0)
        return;
    if (!pool || launch->count == 1) {
        launch->fn(launch->buffers, launch->ints, 0, launch->count, launch->scratch);
        return;
    }
    int64_t pieces = (int64_t)pool->count * PIECES_PER_THREAD;
    pieces = launch->count < pieces ? launch->count : pieces;
    Job job = {pool, launch, launch->count / pieces, launch->count % pieces, pieces};
    pthread_mutex_lock(&pool->job);
    for (int32_t slot = 0; slot < pool->count; slot++)
        atomic_store_explicit(&pool->slots[slot].next, first_piece(&job, slot),
                              memory_order_relaxed);
    pthreadpool_parallelize_1d(pool->threads, run_slot, &job, (size_t)pool->count, 0);
    pthread_mutex_unlock(&pool->job);
}
