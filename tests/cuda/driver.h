/* driver.h - stands in for NVIDIA's driver in tests: between driver.c, the calls, and
 * driver_stream.c, where what is queued runs.
 *
 * Kernels run on the CPU, from images that tests/cuda/nvcc made. It is as strict as it can be. The
 * device's memory cannot be touched but while a kernel or a copy runs. Launches, copies and events
 * wait in their stream until somebody waits for it: what the host reads too early is not there yet.
 * Copies that do not block take pinned memory only; calls that need a context fail without one.
 *
 * Environment, read at every call:
 *     FAKE_CUDA_FAIL=cuMemAlloc_v2:2:700   the second call of that name from now gives 700; :0: all
 *     FAKE_CUDA_DEVICES=1  FAKE_CUDA_SM=80  FAKE_CUDA_MB=256  FAKE_CUDA_VERSION=12040
 *     FAKE_CUDA_LOG=FILE                   a line for each call, appended
 *     FAKE_CUDA_NS=1000                    what a kernel takes by the device's clock; a library's
 *                                          call takes twice that, and all else nothing */
#ifndef LATHE_TESTS_CUDA_DRIVER_H
#define LATHE_TESTS_CUDA_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/cuda_api.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    INVALID_VALUE = 1,
    INVALID_CONTEXT = 201,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    CAPTURE_INVALIDATED = 901
};

struct CUfunc_st {
    char name[160];
    void (*run)(int64_t blocks, int threads, int shared, void **args);
    int shared_limit; /* bytes that a launch may ask for */
    const unsigned *sizes; /* of the parameters */
    unsigned count;
    const char *(*error)(void); /* the emulation's */
};

struct CUevent_st {
    uint64_t ns;
    bool is_done;
};

typedef enum { WORK_LAUNCH, WORK_COPY, WORK_EVENT, WORK_CALL } WorkKind;

/* What waits in a stream, or is part of a graph. */
typedef struct Work {
    WorkKind kind;
    struct CUfunc_st *function;
    int64_t blocks;
    int threads, shared;
    unsigned char *args; /* the parameters, eight bytes each, or the call's argument; owned */
    void (*call)(void *argument);
    void *to;
    const void *from;
    size_t bytes;
    struct CUevent_st *event;
} Work;

typedef struct WorkList {
    Work *items;
    size_t count, room;
} WorkList;

struct CUstream_st {
    WorkList work;
    bool is_capturing;
    struct CUstream_st *next;
};
struct CUgraph_st {
    WorkList work;
};
struct CUgraphExec_st {
    WorkList work;
};

/* --- driver_stream.c --- */

void fake_push(WorkList *list, Work work);
void fake_free(WorkList *list);
/* A copy of all. */
WorkList fake_copy(const WorkList *list);
/* Does what waits; the first error is kept and given by all later calls, as the driver does. */
CUresult fake_finish(WorkList *list);
CUresult fake_failure(void);

/* --- driver.c --- */

/* What stands in for NVIDIA's libraries puts its work on a stream: run(argument), which malloc
 * gave. No graph takes it. */
EXPORT CUresult fake_call(CUstream stream, void (*run)(void *), void *argument);

/* Opens the device's memory to kernels and copies, or closes it. */
void fake_open_memory(bool is_open);

#endif
