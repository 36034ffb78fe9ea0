/* driver_stream.c - what waits in streams of the tests' driver, and how it runs. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/cuda/driver.h"

static CUresult failure; /* of a kernel: the context is lost */

CUresult fake_failure(void) { return failure; }

void fake_push(WorkList *list, Work work) {
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 16;
        list->items = realloc(list->items, list->room * sizeof *list->items);
    }
    list->items[list->count++] = work;
}

void fake_free(WorkList *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].args);
    free(list->items);
    *list = (WorkList){0};
}

WorkList fake_copy(const WorkList *list) {
    WorkList copy = {0};
    for (size_t i = 0; i < list->count; i++) {
        Work work = list->items[i];
        if (work.args) {
            work.args = malloc(8 * work.function->count + 1);
            memcpy(work.args, list->items[i].args, 8 * work.function->count);
        }
        fake_push(&copy, work);
    }
    return copy;
}

static void run_kernel(const Work *work) {
    void *args[64];
    for (unsigned i = 0; i < work->function->count; i++)
        args[i] = work->args + 8 * i;
    work->function->run(work->blocks, work->threads, work->shared, args);
    if (work->function->error())
        failure = ILLEGAL_ADDRESS;
}

/* By the clock, or what the work so far took. */
static uint64_t device_ns(uint64_t passed) {
    static uint64_t total;
    const char *fixed = getenv("FAKE_CUDA_NS");
    struct timespec now;
    if (fixed)
        return total += passed * (uint64_t)atoll(fixed);
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void run_work(const Work *work) {
    switch (work->kind) {
    case WORK_LAUNCH:
        run_kernel(work);
        device_ns(1);
        break;
    case WORK_CALL:
        work->call(work->args);
        device_ns(2);
        break;
    case WORK_COPY: memmove(work->to, work->from, work->bytes); break;
    case WORK_EVENT:
        work->event->ns = device_ns(0);
        work->event->is_done = true;
        break;
    }
}

CUresult fake_finish(WorkList *list) {
    if (list->count)
        fake_open_memory(true);
    for (size_t i = 0; i < list->count && !failure; i++)
        run_work(&list->items[i]);
    if (list->count)
        fake_open_memory(false);
    fake_free(list);
    return failure;
}
