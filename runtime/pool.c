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
 * sees the count, or the thread sees that it came too late.
 *
 * Threads of a team wait for each other, so that all of them must be there: those that have entered
 * in time draw tickets, the launcher closes the drawing after a short while, and with that the team
 * is fixed. A thread that the system has not let run until then is no member; the others have its
 * part. */
#include "runtime/pool.h"

#include "runtime/barrier.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { PIECES_PER_THREAD = 4, SPINS = 4000, LINE = LT_CACHE_LINE };
/* The launcher looks for members JOIN_SPINS times for each round that a team will work, which is
 * less time than such a round takes; as often as MOST_JOIN_SPINS, which wakes a sleeper. */
enum { JOIN_SPINS = 20, MOST_JOIN_SPINS = 20000, CLOSED = -(1 << 30) };

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

typedef struct Team {
    LtTeam base; /* what compiled code sees */
    Barrier barrier;
    _Alignas(LINE) atomic_int tickets; /* drawn by threads that joined; CLOSED and more: too late */
    int32_t most;                      /* tickets that count */
    atomic_int size;                   /* 0: not fixed yet */
} Team;

struct Pool {
    _Alignas(LINE) atomic_uint epoch; /* odd: the job may be entered */
    _Alignas(LINE) atomic_int active; /* workers that are in the job, or find out that it is over */
    _Alignas(LINE) Job job;
    Team team;
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

/* The i-th time that something was looked for and not found. */
static void wait_a_little(int i) {
    if (i < SPINS)
        lt_pause();
    else
        sched_yield();
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

/* --- teams ------------------------------------------------------------------------------------ */

static void wait_for_team(const LtTeam *base) {
    Team *team = (Team *)(uintptr_t)base; /* its first field */
    lt_barrier_wait(&team->barrier);
}

static void run_part(Pool *pool, int32_t rank, int32_t slot) {
    const Launch *launch = pool->job.launch;
    const int32_t size = atomic_load_explicit(&pool->team.size, memory_order_relaxed);
    const LtTeam *team = size > 1 ? &pool->team.base : NULL;
    launch->team_fn(launch->buffers, launch->ints, launch->count * rank / size,
                    launch->count * (rank + 1) / size,
                    launch->scratch + (size_t)slot * launch->scratch_bytes, team);
}

/* Becomes a member, unless it is too late, and does a member's part. With all threads in the team,
 * a thread has the same part in each launch, and finds the weights in its cache. */
static void join_team(Pool *pool, int32_t slot) {
    Team *team = &pool->team;
    const int32_t ticket = atomic_fetch_add(&team->tickets, 1);
    if (ticket < 0 || ticket >= team->most)
        return;
    for (int i = 0; !atomic_load_explicit(&team->size, memory_order_acquire); i++)
        wait_a_little(i);
    const bool is_complete = atomic_load_explicit(&team->size, memory_order_relaxed) == pool->count;
    run_part(pool, is_complete ? slot : ticket + 1, slot);
}

static void open_team(Pool *pool, const Launch *launch) {
    Team *team = &pool->team;
    team->base = (LtTeam){wait_for_team, launch->scratch};
    team->most = (int32_t)(launch->count < pool->count ? launch->count : pool->count) - 1;
    atomic_store(&team->tickets, 0);
    atomic_store(&team->size, 0);
}

static void fix_team(Pool *pool) {
    Team *team = &pool->team;
    const int64_t rounds = pool->job.launch->rounds;
    const int spins =
        rounds < MOST_JOIN_SPINS / JOIN_SPINS ? (int)rounds * JOIN_SPINS : MOST_JOIN_SPINS;
    for (int i = 0; i < spins && atomic_load(&team->tickets) < team->most; i++)
        lt_pause();
    const int32_t drawn = atomic_exchange(&team->tickets, CLOSED);
    const int32_t size = 1 + (drawn < team->most ? drawn : team->most);
    lt_barrier_set(&team->barrier, (uint32_t)size);
    atomic_store_explicit(&team->size, size, memory_order_release);
}

/* --- the other threads ------------------------------------------------------------------------ */

/* Waits until `epoch` is not `seen` any more. */
static unsigned next_epoch(Pool *pool, unsigned seen) {
    unsigned epoch = seen;
    for (int i = 0; i < SPINS; i++) {
        epoch = atomic_load(&pool->epoch);
        if (epoch != seen || atomic_load_explicit(&pool->stopping, memory_order_relaxed))
            return epoch;
        lt_pause();
    }
    pthread_mutex_lock(&pool->sleep_mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while ((epoch = atomic_load(&pool->epoch)) == seen && !atomic_load(&pool->stopping))
        pthread_cond_wait(&pool->wake, &pool->sleep_mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->sleep_mutex);
    return epoch;
}

static void enter_job(Pool *pool, int32_t slot) {
    if (pool->job.launch->fn)
        run_slot(pool, slot);
    else
        join_team(pool, slot);
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
            enter_job(pool, worker->slot);
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
    lt_barrier_destroy(&pool->team.barrier);
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
    lt_barrier_init(&pool->team.barrier);
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
    for (int i = 0; atomic_load(&pool->active); i++)
        wait_a_little(i);
}

static void run_alone(const Launch *launch) {
    if (launch->fn)
        launch->fn(launch->buffers, launch->ints, 0, launch->count, launch->scratch);
    else
        launch->team_fn(launch->buffers, launch->ints, 0, launch->count, launch->scratch, NULL);
}

static void open_pieces(Pool *pool, const Launch *launch) {
    int64_t pieces = (int64_t)pool->count * PIECES_PER_THREAD;
    pieces = launch->count < pieces ? launch->count : pieces;
    pool->job = (Job){launch, launch->count / pieces, launch->count % pieces, pieces};
    for (int32_t slot = 0; slot < pool->count; slot++)
        atomic_store_explicit(&pool->slots[slot].next, first_piece(pool, slot),
                              memory_order_relaxed);
}

void lt_pool_run(Pool *pool, const Launch *launch) {
    if (launch->count <= 0)
        return;
    if (!pool || launch->count == 1) {
        run_alone(launch);
        return;
    }
    pthread_mutex_lock(&pool->turn);
    if (launch->fn) {
        open_pieces(pool, launch);
    } else {
        pool->job = (Job){.launch = launch};
        open_team(pool, launch);
    }
    atomic_fetch_add(&pool->epoch, 1);
    wake_sleepers(pool);
    if (launch->fn) {
        run_slot(pool, 0);
    } else {
        fix_team(pool);
        run_part(pool, 0, 0);
    }
    close_job(pool);
    pthread_mutex_unlock(&pool->turn);
}
