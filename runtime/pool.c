/* pool.c - one pthreadpool for each number of threads that some context uses.
 *
 * pthreadpool runs one job at a time: contexts that share a pool take turns kernel by kernel. Work
 * is cut into a few pieces more than there are threads, so that a thread that the system takes
 * away for a while does not hold up the others. */
#include "runtime/pool.h"

#include <pthread.h>
#include <pthreadpool.h>
#include <stdbool.h>
#include <stdlib.h>

enum { PIECES_PER_THREAD = 4 };

struct Pool {
    pthreadpool_t threads;
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
    pool->threads = pthreadpool_create((size_t)threads);
    if (!pool->threads) {
        free(pool);
        return NULL;
    }
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
        free(pool);
    }
}

typedef struct Job {
    const Launch *launch;
    int64_t piece, rest; /* every piece has `piece` items, the first `rest` of them one more */
} Job;

static void run_piece(void *context, size_t index) {
    const Job *job = context;
    const Launch *launch = job->launch;
    int64_t i = (int64_t)index;
    int64_t begin = job->piece * i + (i < job->rest ? i : job->rest);
    int64_t end = begin + job->piece + (i < job->rest);
    launch->fn(launch->buffers, launch->ints, begin, end);
}

void lt_pool_run(Pool *pool, const Launch *launch) {
    if (launch->count <= 0)
        return;
    if (!pool || launch->count == 1) {
        launch->fn(launch->buffers, launch->ints, 0, launch->count);
        return;
    }
    int64_t pieces = (int64_t)pool->count * PIECES_PER_THREAD;
    pieces = launch->count < pieces ? launch->count : pieces;
    Job job = {launch, launch->count / pieces, launch->count % pieces};
    pthreadpool_parallelize_1d(pool->threads, run_piece, &job, (size_t)pieces, 0);
}
