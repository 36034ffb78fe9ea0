/* pool.c - threads that run kernels: one pool for each number of threads that some context uses.
 *
 * Contexts that share a pool take turns, kernel by kernel. The thread that launches works too. Work
 * is cut into a few pieces more than there are threads; each thread, a slot, begins with its own
 * share, which is the same rows in one kernel after the other, and goes on with what others have
 * left. The launch is over when all pieces are done: a thread that the system has taken away before
 * it began is not waited for, so that a busy machine costs no more than the work that such a thread
 * would have done.
 *
 * An idle thread asks for work for a while, since the next kernel of a model is microseconds away,
 * and then sleeps. The launch is published by an odd number of `epoch` and closed by the next even
 * one; who finds it open enters by counting itself in `active` and looks again: either the launcher
 * sees the count, or the thread sees that it came too late. */
#include "runtime/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { PIECES_PER_THREAD = 4, SPINS = 4000, LINE = 64 };

typedef struct Job {
    const Launch *launch;
    int64_t piece, rest; /* every piece has `piece` items, the first `rest` of them one more */
    int64_t pieces;
} Job;

typedef struct Worker {
    Pool *pool;
    pthread_t thread;
    int32_t slot;
} Worker;

/* What is left of a slot's share; each in a cache line of its own. */
typedef struct Slot {
    _Alignas(LINE) atomic_int_fast64_t next;
} Slot;

struct Pool {
    _Alignas(LINE) atomic_uint epoch; /* odd: the job may be entered */
    _Alignas(LINE) atomic_int active; /* workers that are in the job, or find out that it is over */
    _Alignas(LINE) Job job;
    Slot *slots;
    Worker *workers; /* count - 1 of them: the launching thread has slot 0 */
    int32_t count, started;
    int32_t references; /* guarded by pools_mutex, as is next */
    Pool *next;
    pthread_mutex_t turn; /* held while a launch runs */
    pthread_mutex_t sleep_mutex;
    pthread_cond_t wake;
    atomic_int sleepers;
    atomic_bool stopping;
};

static pthread_mutex_t pools_mutex = PTHREAD_MUTEX_INITIALIZER;
static Pool *pools; /* guarded by pools_mutex */

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* --- work ------------------------------------------------------------------------------------- */

static void run_piece(const Pool *pool, int64_t i, int32_t slot) {
    const Job *job = &pool->job;
    const Launch *launch = job->launch;
    const int64_t begin = job->piece * i + (i < job->rest ? i : job->rest);
    const int64_t end = begin + job->piece + (i < job->rest);
    launch->fn(launch->buffers, launch->ints, begin, end,
               launch->scratch + (size_t)slot * launch->scratch_bytes);
}

static int64_t first_piece(const Pool *pool, int32_t slot) {
    return pool->job.pieces * slot / pool->count;
}

/* Returns when no piece is left to be taken. */
static void run_slot(Pool *pool, int32_t own) {
    for (int32_t step = 0; step < pool->count; step++) {
        const int32_t slot = (own + step) % pool->count;
        const int64_t end = first_piece(pool, slot + 1);
        atomic_int_fast64_t *next = &pool->slots[slot].next;
        for (int64_t i; (i = atomic_fetch_add_explicit(next, 1, memory_order_relaxed)) < end;)
            run_piece(pool, i, own);
    }
}

/* --- the other threads ------------------------------------------------------------------------ */

/* Waits until `epoch` is not `seen` any more. */
static unsigned next_epoch(Pool *pool, unsigned seen) {
    unsigned epoch = seen;
    for (int i = 0; i < SPINS; i++) {
        epoch = atomic_load(&pool->epoch);
        if (epoch != seen || atomic_load_explicit(&pool->stopping, memory_order_relaxed))
            return epoch;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->sleep_mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while ((epoch = atomic_load(&pool->epoch)) == seen && !atomic_load(&pool->stopping))
        pthread_cond_wait(&pool->wake, &pool->sleep_mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->sleep_mutex);
    return epoch;
}

static void *work(void *argument) {
    const Worker *worker = argument;
    Pool *pool = worker->pool;
    unsigned seen = 0;
    while (!atomic_load_explicit(&pool->stopping, memory_order_relaxed)) {
        seen = next_epoch(pool, seen);
        if (seen % 2 == 0)
            continue;
        atomic_fetch_add(&pool->active, 1);
        if (atomic_load(&pool->epoch) == seen)
            run_slot(pool, worker->slot);
        atomic_fetch_sub_explicit(&pool->active, 1, memory_order_release);
    }
    return NULL;
}

static void wake_sleepers(Pool *pool) {
    if (!atomic_load(&pool->sleepers))
        return;
    pthread_mutex_lock(&pool->sleep_mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->sleep_mutex);
}

/* --- life ------------------------------------------------------------------------------------- */

static void free_pool(Pool *pool) {
    atomic_store(&pool->stopping, true);
    pthread_mutex_lock(&pool->sleep_mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->sleep_mutex);
    for (int32_t i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->sleep_mutex);
    pthread_mutex_destroy(&pool->turn);
    free(pool->workers);
    free(pool->slots);
    free(pool);
}

static bool start_workers(Pool *pool) {
    for (int32_t i = 0; i < pool->count - 1; i++) {
        Worker *worker = &pool->workers[i];
        *worker = (Worker){.pool = pool, .slot = i + 1};
        if (pthread_create(&worker->thread, NULL, work, worker))
            return false;
        pool->started++;
    }
    return true;
}

static Pool *create_pool(int32_t threads) {
    Pool *pool = aligned_alloc(LINE, sizeof *pool);
    if (!pool)
        return NULL;
    *pool = (Pool){.count = threads};
    pool->slots = aligned_alloc(LINE, (size_t)threads * sizeof(Slot));
    pool->workers = calloc((size_t)threads, sizeof *pool->workers);
    pthread_mutex_init(&pool->turn, NULL);
    pthread_mutex_init(&pool->sleep_mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    if (!pool->slots || !pool->workers || !start_workers(pool)) {
        free_pool(pool);
        return NULL;
    }
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
    if (last)
        free_pool(pool);
}

/* --- launches --------------------------------------------------------------------------------- */

/* All pieces are taken: those who took them finish, and nobody else comes in. */
static void close_job(Pool *pool) {
    atomic_fetch_add(&pool->epoch, 1);
    for (int i = 0; atomic_load(&pool->active); i++) {
        if (i < SPINS)
            pause_briefly();
        else
            sched_yield();
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
    pthread_mutex_lock(&pool->turn);
    pool->job = (Job){launch, launch->count / pieces, launch->count % pieces, pieces};
    for (int32_t slot = 0; slot < pool->count; slot++)
        atomic_store_explicit(&pool->slots[slot].next, first_piece(pool, slot),
                              memory_order_relaxed);
    atomic_fetch_add(&pool->epoch, 1);
    wake_sleepers(pool);
    run_slot(pool, 0);
    close_job(pool);
    pthread_mutex_unlock(&pool->turn);
}
