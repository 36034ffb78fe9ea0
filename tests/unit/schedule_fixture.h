/* schedule_fixture.h - what the tests of schedules share: kernels from text, and primitives that
 * must not apply. */
#ifndef LATHE_TESTS_UNIT_SCHEDULE_FIXTURE_H
#define LATHE_TESTS_UNIT_SCHEDULE_FIXTURE_H

#include <string.h>

#include "ir/schedule.h"
#include "tests/test.h"

static Arena arena;
static DiagList diags;

static inline void setup(void) {
    lt_arena_init(&arena);
    lt_diag_init(&diags, &arena, "schedule");
}

static inline void teardown(void) { lt_arena_free(&arena); }

static inline Kernel *parse(const char *text) {
    Kernel *k = lt_kernel_parse(&arena, text, strlen(text), &diags);
    ck_assert_msg(k != NULL, "%s", text);
    return k;
}

static inline void check_verified(const Kernel *k, const char *schedule) {
    ck_assert_msg(lt_kernel_verify(k, &diags), "%s: %s", schedule,
                  diags.items.len ? diags.items.data[0].text : "");
}

/* The schedule does not apply to the kernel, and its sentence has these words. */
static inline void expect_error(const char *kernel, const char *schedule, const char *words) {
    const char *error = lt_schedule_apply(parse(kernel), schedule);
    ck_assert_msg(error && strstr(error, words), "%s: '%s', expected '%s'", schedule,
                  error ? error : "no error", words);
}

#endif
