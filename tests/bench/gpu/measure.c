/* measure.c - contenders take turns on the stream, between events. */
#include "tests/bench/gpu/gpu.h"

enum { MOST_CALLS = 2000, WARM_UP = 3 };

/* Milliseconds of so many calls; negative: trouble says why. */
static double time_calls(const Gpu *gpu, Contender *c, const CUevent *events, int calls) {
    float ms = 0;
    CUresult result = gpu->api->event_record(events[0], gpu->stream);
    for (int i = 0; i < calls && !c->trouble; i++)
        c->trouble = c->enqueue(c->self);
    if (!result)
        result = gpu->api->event_record(events[1], gpu->stream);
    if (!result)
        result = gpu->api->stream_wait(gpu->stream);
    if (!result)
        result = gpu->api->event_elapsed(&ms, events[0], events[1]);
    if (result && !c->trouble)
        c->trouble = gpu_error(gpu, result);
    return c->trouble ? -1 : (double)ms;
}

/* How many calls take about as long as was asked for. */
static void warm_up(const GpuBench *bench, Contender *c, const CUevent *events) {
    time_calls(&bench->gpu, c, events, WARM_UP);
    const double one = time_calls(&bench->gpu, c, events, WARM_UP) / WARM_UP;
    const double calls = one > 0 ? bench->options->milliseconds / one : MOST_CALLS;
    c->calls = calls < 1 ? 1 : calls > MOST_CALLS ? MOST_CALLS : (int)calls;
}

void gpu_measure(const GpuBench *bench, Contender *contenders, int count) {
    const Gpu *gpu = &bench->gpu;
    CUevent events[2];
    if (gpu->api->event_create(&events[0], CU_EVENT_DEFAULT) ||
        gpu->api->event_create(&events[1], CU_EVENT_DEFAULT)) {
        for (int i = 0; i < count; i++)
            contenders[i].trouble = "there are no events";
        return;
    }
    for (int i = 0; i < count; i++)
        warm_up(bench, &contenders[i], events);
    for (int64_t round = 0; round < bench->options->rounds; round++)
        for (int i = 0; i < count; i++) {
            Contender *c = &contenders[i];
            const double ms = c->trouble ? -1 : time_calls(gpu, c, events, c->calls) / c->calls;
            if (ms >= 0 && (round == 0 || ms < c->ms))
                c->ms = ms;
        }
    gpu->api->event_destroy(events[0]);
    gpu->api->event_destroy(events[1]);
}
