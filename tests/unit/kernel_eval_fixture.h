/* kernel_eval_fixture.h - kernels that are interpreted, and the errors that this is to find. */
#ifndef LATHE_TESTS_KERNEL_EVAL_FIXTURE_H
#define LATHE_TESTS_KERNEL_EVAL_FIXTURE_H

#include "tests/unit/kernel_fixture.h"

static Arena arena;

static inline Kernel *load_kernel(const char *text) {
    lt_arena_init(&arena);
    Kernel *k = kernel_from(&arena, text);
    DiagList diags;
    lt_diag_init(&diags, &arena, NULL);
    ck_assert_msg(lt_kernel_verify(k, &diags), "%s", diags.errors ? diags.items.data[0].text : "");
    return k;
}

static inline const char *run(const Kernel *k, void *const *buffers, const int64_t *ints) {
    return lt_kernel_eval(k, &arena, buffers, ints, 0, lt_kernel_parallel_extent(k, ints));
}

static inline void check_error(const Kernel *k, void *const *buffers, const int64_t *ints,
                               const char *wanted) {
    const char *error = run(k, buffers, ints);
    ck_assert_msg(error != NULL, "no error, wanted: %s", wanted);
    ck_assert_msg(strstr(error, wanted) != NULL, "found: %s, wanted: %s", error, wanted);
}

#endif
