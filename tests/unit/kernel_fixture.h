/* kernel_fixture.h - kernels from text and as text, for the tests of kernels. */
#ifndef LATHE_TESTS_KERNEL_FIXTURE_H
#define LATHE_TESTS_KERNEL_FIXTURE_H

#include "ir/kernel.h"
#include "tests/test.h"

/* The kernel, or NULL with the diagnostics in *diags. */
static inline Kernel *try_kernel(Arena *arena, const char *text, DiagList *diags) {
    lt_diag_init(diags, arena, NULL);
    return lt_kernel_parse(arena, text, strlen(text), diags);
}

static inline Kernel *kernel_from(Arena *arena, const char *text) {
    DiagList diags;
    Kernel *k = try_kernel(arena, text, &diags);
    ck_assert_msg(k != NULL, "%s", lt_diag_format(&diags, &diags.items.data[0], false));
    return k;
}

static inline const char *kernel_text(Arena *arena, const Kernel *k, bool with_name) {
    Str out;
    lt_str_init(&out, arena);
    lt_kernel_print(&out, k, with_name);
    return out.text;
}

#endif
