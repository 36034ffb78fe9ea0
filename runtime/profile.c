/* profile.c - sums per kernel, and a bounded list of events for a Chrome trace. */
#include "runtime/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/context.h"
#include "runtime/kernels/library.h"

enum { DEFAULT_EVENTS = 65536 };

uint64_t lt_profile_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void lt_profile_add(Profile *profile, uint32_t row, uint64_t start_ns, uint64_t duration) {
    if (profile->event_count < profile->event_limit)
        profile->events[profile->event_count++] =
            (ProfileEvent){start_ns - profile->origin_ns, duration, row};
    else
        profile->dropped++;
    if (row >= profile->rows)
        return;
    ProfileTimes *times = &profile->times[row];
    times->min_ns = times->calls == 0 || duration < times->min_ns ? duration : times->min_ns;
    times->max_ns = duration > times->max_ns ? duration : times->max_ns;
    times->total_ns += duration;
    times->calls++;
}

void lt_profile_record(Profile *profile, uint32_t row, uint64_t start_ns) {
    lt_profile_add(profile, row, start_ns, lt_profile_now() - start_ns);
}

void lt_profile_free(Profile *profile) {
    free(profile->times);
    free(profile->events);
    *profile = (Profile){0};
}

lathe_status lathe_profile_start(lathe_context *context, size_t max_events) {
    Profile fresh = {.on = true,
                     .rows = context->model->descriptor->kernel_count + LT_LIBRARY_LIMIT,
                     .event_limit = max_events ? max_events : DEFAULT_EVENTS};
    fresh.times = calloc(fresh.rows, sizeof *fresh.times);
    fresh.events = calloc(fresh.event_limit, sizeof *fresh.events);
    if (!fresh.times || !fresh.events) {
        lt_profile_free(&fresh);
        return lt_fail(&context->error, LATHE_NO_MEMORY, "no memory for a profile of %zu events",
                       fresh.event_limit);
    }
    lt_profile_free(&context->profile);
    fresh.origin_ns = lt_profile_now();
    context->profile = fresh;
    return LATHE_OK;
}

void lathe_profile_stop(lathe_context *context) { context->profile.on = false; }

uint32_t lathe_profile_count(const lathe_context *context) { return context->profile.rows; }

static const char *row_name(const lathe_context *context, uint32_t row) {
    const LtDescriptor *d = context->model->descriptor;
    return row < d->kernel_count ? d->kernels[row].name : lt_library_name(row - d->kernel_count);
}

static const char *row_nodes(const lathe_context *context, uint32_t row) {
    const LtDescriptor *d = context->model->descriptor;
    return row < d->kernel_count && d->kernels[row].nodes ? d->kernels[row].nodes : "";
}

lathe_status lathe_profile_get(lathe_context *context, uint32_t index, lathe_kernel_time *out) {
    if (index >= context->profile.rows || !out)
        return lt_fail(&context->error, LATHE_BAD_ARGUMENT, "the profile has %u rows, asked for %u",
                       context->profile.rows, index);
    const ProfileTimes *times = &context->profile.times[index];
    *out = (lathe_kernel_time){row_name(context, index),
                               row_nodes(context, index),
                               times->calls,
                               times->total_ns,
                               times->min_ns,
                               times->max_ns};
    return LATHE_OK;
}

/* --- Chrome trace --- */

/* A JSON string; bytes outside ASCII pass through (names are UTF-8 by the model's format). */
static void write_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void write_event(FILE *out, const lathe_context *context, const ProfileEvent *event) {
    bool run = event->row >= context->profile.rows;
    fputs(",\n{\"name\":", out);
    write_string(out, run ? "run" : row_name(context, event->row));
    fprintf(out, ",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%.3f,\"dur\":%.3f",
            run ? "run" : "kernel", (double)event->start_ns / 1e3,
            (double)event->duration_ns / 1e3);
    if (!run) {
        fputs(",\"args\":{\"nodes\":", out);
        write_string(out, row_nodes(context, event->row));
        fputc('}', out);
    }
    fputc('}', out);
}

lathe_status lathe_profile_write(lathe_context *context, const char *path) {
    FILE *out = fopen(path, "we");
    if (!out)
        return lt_fail(&context->error, LATHE_IO, "%s: %s", path, strerror(errno));
    fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"version\":\"lathe " LATHE_VERSION "\"",
          out);
    fprintf(out, ",\"threads\":%d,\"dropped_events\":%" PRIu64 "},\n\"traceEvents\":[\n",
            context->threads, context->profile.dropped);
    fputs("{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":", out);
    write_string(out, context->model->descriptor->model_name);
    fputs("}}", out);
    for (size_t i = 0; i < context->profile.event_count; i++)
        write_event(out, context, &context->profile.events[i]);
    fputs("\n]}\n", out);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        return lt_fail(&context->error, LATHE_IO, "%s: %s", path, strerror(errno));
    return LATHE_OK;
}
