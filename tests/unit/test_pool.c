/* test_pool.c - launches on several threads: every item once, scratch memory of one's own, pools
 * that are shared, and threads that come late. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

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

/* All threads on one CPU: who launches does not wait for those that did not begin. */
START_TEST(one_cpu_for_all) {
    cpu_set_t before, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
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

LT_TEST_MAIN("test_pool", every_item_once, sleepers_wake, one_cpu_for_all, pools_are_shared,
             launchers_take_turns)
