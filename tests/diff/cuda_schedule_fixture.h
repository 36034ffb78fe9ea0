/* cuda_schedule_fixture.h - kernels of a GPU under schedules that a test writes. */
#ifndef LATHE_TESTS_CUDA_SCHEDULE_FIXTURE_H
#define LATHE_TESTS_CUDA_SCHEDULE_FIXTURE_H

#include "tests/diff/cuda_fixture.h"

static Arena texts; /* of schedules */

static inline void begin(void) {
    lt_arena_init(&texts);
    cuda_begin_cases(2, cuda_collect);
}

/* At least so many programs ran. */
static inline void finish(size_t least) {
    ck_assert_uint_ge(cuda_finish(), least);
    lower_schedule = NULL;
    tolerance_f32 = 1e-5;
    lt_arena_free(&texts);
}

/* values: of n and h */
static inline void check_at(const char *inputs, const char *body, const int64_t *values) {
    Arena arena;
    lt_arena_init(&arena);
    const char *text = lt_arena_printf(&arena,
                                       "module \"case\"\nsymbol n in 0..\nsymbol h in 1..\n"
                                       "graph main(%s, %%unused: u8[n,h]) {\n%s\n}\n",
                                       inputs, body);
    random_state = (uint64_t)(values[0] * 1000 + values[1]);
    ck_assert(check_module(parse(&arena, text), values, 2, text));
    lt_arena_free(&arena);
}

#endif
