/* profile.h - times of kernels. Recording allocates nothing: everything is made at start. */
#ifndef LATHE_RUNTIME_PROFILE_H
#define LATHE_RUNTIME_PROFILE_H

#include <stdbool.h>

#include "runtime/status.h"

typedef struct ProfileTimes {
    uint64_t calls, total_ns, min_ns, max_ns;
} ProfileTimes;

typedef struct ProfileEvent {
    uint64_t start_ns, duration_ns; /* start: since lathe_profile_start */
    uint32_t row; /* kernel_count + number for library functions; LT_PROFILE_RUN: the run */
} ProfileEvent;

typedef struct Profile {
    bool on;
    uint32_t rows;
    ProfileTimes *times; /* one a row */
    ProfileEvent *events;
    size_t event_count, event_limit;
    uint64_t dropped; /* events beyond the limit */
    uint64_t origin_ns;
} Profile;

#define LT_PROFILE_RUN UINT32_MAX /* the row of a whole run */

uint64_t lt_profile_now(void);
/* Something that started at `start_ns` (lt_profile_now) has just ended. */
void lt_profile_record(Profile *profile, uint32_t row, uint64_t start_ns);
/* The same of what took `duration_ns`, and may have ended long ago. */
void lt_profile_add(Profile *profile, uint32_t row, uint64_t start_ns, uint64_t duration_ns);
void lt_profile_free(Profile *profile);

#endif
