/* pool.h - threads. Pools are shared: contexts that ask for the same number of threads get the
 * same one. */
#ifndef LATHE_RUNTIME_POOL_H
#define LATHE_RUNTIME_POOL_H

#include "runtime/artifact.h"
#include "runtime/status.h"

typedef struct Pool Pool;

typedef struct Launch {
    LtKernelFn *fn;    /* or NULL, and then a team runs */
    LtTeamFn *team_fn;
    void *const *buffers;
    const int64_t *ints;
    int64_t count;
    uint8_t *scratch; /* of the first thread; the next one's lies scratch_bytes further on */
    size_t scratch_bytes;
    int64_t rounds; /* team: LtHostApi.launch_team */
} Launch;

/* *out is NULL for one thread: that needs no pool. */
lathe_status lt_pool_acquire(int32_t threads, Pool **out, ErrorText *error);
void lt_pool_release(Pool *pool);
/* Runs fn over [0, count) in balanced, contiguous pieces, and returns when all are done. A team is
 * made of the threads that are at hand now, at most count of them. */
void lt_pool_run(Pool *pool, const Launch *launch);

#endif
