/* test_pool.c - launches on several threads: every item once, scratch memory of one's own, pools
 * that are shared, and threads that come late; teams, whose threads wait for each other. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/barrier.h"
#include "runtime/pool.h"
#include "tests/test.h"

enum { MOST = 300, SCRATCH = 64, THREADS = 5 };

/* Counts each item; whoever else writes to the thread's scratch memory is found out. */
static void count_items(void *const *buffers, const int64_t *ints, int64_t begin, int64_t end,
                        void *scratch) {
    atomic_int *counts = buffers[0], *errors = buffers[1];
    atomic_int *busy = scratch;
    if (atomic_exchange(busy, 1))
        atomic_fetch_add(errors, 1);
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&counts[i], (int)ints[0]);
    atomic_store(busy, 0);
}

static void check_launches(Pool *pool, int launches) {
    static atomic_int counts[MOST], errors;
    _Alignas(64) static uint8_t scratch[THREADS * SCRATCH];
    memset(scratch, 0, sizeof scratch);
    for (int launch = 0; launch < launches; launch++) {
        const int64_t count = launch * 7 % MOST, one = 1;
        memset(counts, 0, sizeof counts);
        lt_pool_run(pool, &(Launch){.fn = count_items,
                                    .buffers = (void *[]){counts, &errors},
                                    .ints = &one,
                                    .count = count,
                                    .scratch = scratch,
                                    .scratch_bytes = SCRATCH});
        for (int64_t i = 0; i < MOST; i++)
            ck_assert_msg(counts[i] == (i < count), "launch %d: item %lld ran %d times", launch,
                          (long long)i, counts[i]);
    }
    ck_assert_int_eq(errors, 0);
}

static Pool *acquire(int32_t threads) {
    ErrorText error;
    Pool *pool = NULL;
    ck_assert_int_eq(lt_pool_acquire(threads, &pool, &error), LATHE_OK);
    return pool;
}

START_TEST(every_item_once) {
    for (int32_t threads = 1; threads <= THREADS; threads++) {
        Pool *pool = acquire(threads);
        ck_assert((pool == NULL) == (threads == 1));
        check_launches(pool, 2000);
        lt_pool_release(pool);
    }
}
END_TEST

/* Threads fall asleep between launches, and are woken. */
START_TEST(sleepers_wake) {
    Pool *pool = acquire(3);
    for (int i = 0; i < 20; i++) {
        usleep(2000);
        check_launches(pool, 3);
    }
    lt_pool_release(pool);
}
END_TEST

static void use_one_cpu(cpu_set_t *before) {
    cpu_set_t one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof *before, before), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, before))
            CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
}

/* All threads on one CPU: who launches does not wait for those that did not begin. */
START_TEST(one_cpu_for_all) {
    cpu_set_t before;
    use_one_cpu(&before);
    Pool *pool = acquire(THREADS);
    check_launches(pool, 1000);
    lt_pool_release(pool);
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
}
END_TEST

START_TEST(pools_are_shared) {
    Pool *a = acquire(2), *b = acquire(2), *c = acquire(3);
    ck_assert_ptr_eq(a, b);
    ck_assert_ptr_ne(a, c);
    lt_pool_release(a);
    check_launches(b, 100);
    lt_pool_release(b);
    lt_pool_release(c);
}
END_TEST

static void mark_items(void *const *buffers, const int64_t *ints, int64_t begin, int64_t end,
                       void *scratch) {
    atomic_int *sum = buffers[0];
    (void)ints, (void)scratch;
    atomic_fetch_add(sum, (int)(end - begin));
}

static void *launch_often(void *argument) {
    Pool *pool = argument;
    for (int i = 0; i < 500; i++) {
        atomic_int sum = 0;
        lt_pool_run(pool, &(Launch){.fn = mark_items, .buffers = (void *[]){&sum}, .count = 50});
        ck_assert_int_eq(sum, 50);
    }
    return NULL;
}

START_TEST(launchers_take_turns) {
    Pool *pool = acquire(3);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, launch_often, pool), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    lt_pool_release(pool);
}
END_TEST

/* --- teams ------------------------------------------------------------------------------------ */

enum { PARTS = 24, ROUNDS = 40 };

/* In each round an item becomes the sum of its neighbours, of which another thread may have one:
 * whoever comes too early or too late finds other numbers. Two copies, one barrier a round. */
static void sum_neighbours(void *const *buffers, const int64_t *ints, int64_t begin, int64_t end,
                           void *scratch, const LtTeam *team) {
    atomic_int *calls = buffers[1];
    uint32_t(*items)[PARTS] = team ? team->shared : scratch;
    atomic_fetch_add(calls, 1);
    for (int64_t i = begin; i < end; i++)
        items[0][i] = (uint32_t)i;
    if (team)
        team->wait(team);
    for (int64_t round = 0; round < ints[0]; round++) {
        for (int64_t i = begin; i < end; i++)
            items[(round + 1) % 2][i] =
                items[round % 2][(i + 1) % PARTS] + items[round % 2][(i + PARTS - 1) % PARTS];
        if (team)
            team->wait(team);
    }
    memcpy((uint32_t *)buffers[0] + begin, items[ints[0] % 2] + begin,
           (size_t)(end - begin) * sizeof(uint32_t));
}

/* The greatest number of threads that were in one team. */
static int check_teams(Pool *pool, int launches) {
    enum { SCRATCH_EACH = 2 * PARTS * sizeof(uint32_t) };
    _Alignas(64) uint8_t scratch[THREADS * SCRATCH_EACH];
    uint32_t want[PARTS], got[PARTS];
    int most = 0;
    for (int launch = 0; launch < launches; launch++) {
        const int64_t rounds = launch % ROUNDS;
        atomic_int calls = 0;
        const Launch spec = {.team_fn = sum_neighbours,
                             .buffers = (void *[]){got, &calls},
                             .ints = &rounds,
                             .count = PARTS,
                             .scratch = scratch,
                             .scratch_bytes = SCRATCH_EACH,
                             .rounds = rounds};
        sum_neighbours((void *[]){want, &calls}, &rounds, 0, PARTS, scratch, NULL);
        calls = 0;
        lt_pool_run(pool, &spec);
        ck_assert_int_ge(calls, 1);
        ck_assert_int_le(calls, THREADS);
        most = calls > most ? calls : most;
        ck_assert_msg(memcmp(got, want, sizeof want) == 0, "launch %d of %d threads", launch,
                      calls);
    }
    return most;
}

START_TEST(teams_keep_step) {
    for (int32_t threads = 1; threads <= THREADS; threads++) {
        Pool *pool = acquire(threads);
        int most = check_teams(pool, 2000);
        /* On a busy machine the others may never be awake in time: until they are. */
        for (int tries = 0; threads > 1 && most < 2 && tries < 500; tries++) {
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
            most = check_teams(pool, 100);
        }
        ck_assert_int_le(most, threads);
        ck_assert_msg(threads == 1 || most > 1, "%d threads, and no team of two", threads);
        lt_pool_release(pool);
    }
}
END_TEST

START_TEST(teams_on_one_cpu) {
    cpu_set_t before;
    use_one_cpu(&before);
    Pool *pool = acquire(THREADS);
    check_teams(pool, 400);
    lt_pool_release(pool);
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
}
END_TEST

START_TEST(teams_wake_sleepers) {
    Pool *pool = acquire(3);
    for (int i = 0; i < 20; i++) {
        usleep(2000);
        check_teams(pool, 3);
        check_launches(pool, 3);
    }
    lt_pool_release(pool);
}
END_TEST

/* A team has no more threads than parts. */
static void take_one(void *const *buffers, const int64_t *ints, int64_t begin, int64_t end,
                     void *scratch, const LtTeam *team) {
    (void)ints, (void)scratch;
    atomic_fetch_add((atomic_int *)buffers[0], end > begin ? 1 : 1000);
    if (team)
        team->wait(team);
}

START_TEST(no_part_is_empty) {
    Pool *pool = acquire(THREADS);
    for (int launch = 0; launch < 500; launch++) {
        atomic_int taken = 0;
        lt_pool_run(pool, &(Launch){.team_fn = take_one,
                                    .buffers = (void *[]){&taken},
                                    .count = launch % 4,
                                    .rounds = 100});
        ck_assert_int_le(taken, launch % 4);
        ck_assert_int_eq(taken > 0, launch % 4 > 0);
    }
    lt_pool_release(pool);
}
END_TEST

/* --- the barrier ------------------------------------------------------------------------------ */

typedef struct Party {
    Barrier *barrier;
    atomic_int *arrived;
    int naps; /* every so many rounds this one comes late */
} Party;

enum { PARTIES = 16, MEETINGS = 3000 };

static void *meet(void *argument) {
    const Party *party = argument;
    for (int i = 0; i < MEETINGS; i++) {
        if (i % party->naps == 0)
            usleep(200);
        atomic_fetch_add(&party->arrived[i], 1);
        lt_barrier_wait(party->barrier);
        ck_assert_int_eq(party->arrived[i], PARTIES);
    }
    return NULL;
}

/* Many more threads than cores, some of them late, so that others sleep. */
START_TEST(nobody_passes_early) {
    static Barrier barrier;
    static atomic_int arrived[MEETINGS];
    pthread_t threads[PARTIES];
    Party parties[PARTIES];
    lt_barrier_init(&barrier);
    lt_barrier_set(&barrier, PARTIES);
    for (int i = 0; i < PARTIES; i++) {
        parties[i] = (Party){&barrier, arrived, 100 + 37 * i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, meet, &parties[i]), 0);
    }
    for (int i = 0; i < PARTIES; i++)
        pthread_join(threads[i], NULL);
    lt_barrier_destroy(&barrier);
}
END_TEST

LT_TEST_MAIN("test_pool", every_item_once, sleepers_wake, one_cpu_for_all, pools_are_shared,
             launchers_take_turns, teams_keep_step, teams_on_one_cpu, teams_wake_sleepers,
             no_part_is_empty, nobody_passes_early)
