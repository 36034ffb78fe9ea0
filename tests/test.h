/* test.h - what every test program shares: a main that runs Check tests and ends with the one line
 * that tests/run.sh adds up, and helpers for files and for running out of memory.
 *
 *     START_TEST(rejects_empty_file) { ck_assert(...); } END_TEST
 *     LT_TEST_MAIN("test_file", rejects_empty_file, maps_whole_file)
 *
 * Each test runs in a process of its own (CK_FORK=no in the environment: all in one, for a
 * debugger), so a test may crash, and what it leaks or sets does not reach the next one. */
#ifndef LATHE_TESTS_TEST_H
#define LATHE_TESTS_TEST_H

#include <check.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/arena.h"

enum { TEST_SECONDS = 60 };

/* With ASan, malloc must fail as it does without, and limits on address space make no sense. */
#if defined __SANITIZE_ADDRESS__
#define LT_TEST_ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define LT_TEST_ASAN 1
#endif
#endif
#ifdef LT_TEST_ASAN
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
#endif

/* Runs the tests, prints what fails and `NAME: P passed, F failed`, and returns main's result. */
static inline int lt_test_run(const char *name, const TTest *const *tests, size_t count) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, TEST_SECONDS);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a forked test must not print the parent's buffer again */
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    printf("%s: %d passed, %d failed\n", name, run - failed, failed);
    return failed == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define LT_TEST_MAIN(name, ...) \
    int main(void) { \
        const TTest *const tests[] = {__VA_ARGS__}; \
        return lt_test_run(name, tests, sizeof tests / sizeof *tests); \
    }

/* Fails the test unless `statement` runs out of the arena's memory. */
#define ck_assert_out_of_memory(arena, statement) \
    do { \
        jmp_buf lt_jump; \
        jmp_buf *lt_before = (arena)->out_of_memory; \
        (arena)->out_of_memory = &lt_jump; \
        if (setjmp(lt_jump) == 0) { \
            statement; \
            ck_abort_msg("did not run out of memory: %s", #statement); \
        } \
        (arena)->out_of_memory = lt_before; \
    } while (0)

/* Makes a folder for the test's files; `path` gets its name. Remove it with lt_test_rmdir. */
static inline void lt_test_mkdtemp(char path[64]) {
    strcpy(path, "/tmp/lathe-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

/* Removes a folder from lt_test_mkdtemp and the plain files and empty folders in it. */
static inline void lt_test_rmdir(const char *path) {
    char command[128];
    ck_assert(strncmp(path, "/tmp/lathe-test-", 16) == 0);
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    ck_assert_int_eq(system(command), 0);
}

static inline void lt_test_write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

/* The whole file with a NUL behind it, in the arena; *size may be NULL. */
static inline char *lt_test_read_file(Arena *arena, const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    ck_assert_int_ge(length, 0);
    rewind(file);
    char *data = (char *)lt_arena_alloc(arena, (size_t)length + 1);
    ck_assert_uint_eq(fread(data, 1, (size_t)length, file), (size_t)length);
    fclose(file);
    if (size)
        *size = (size_t)length;
    return data;
}

#endif
