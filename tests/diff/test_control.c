/* test_control.c - branches, loops and what depends on data, against the evaluator: interpreted and
 * compiled. */
#include "tests/diff/artifact_fixture.h"
#include "tests/diff/control_cases.h"

static void check_compiled(const Program *p, const Tensor *const *inputs,
                           const Tensor *const *expected, const char *text) {
    check_run(p, &(ArtifactRun){inputs, expected, 2, .threads = 1, .repeat = 2}, text);
}

#define CHECK_COMPILED(cases) \
    do { \
        check_more = check_compiled; \
        CHECK_CASES(cases); \
    } while (0)

START_TEST(extents_of_data) { CHECK_COMPILED(extent_cases); }
END_TEST

START_TEST(branches) { CHECK_COMPILED(branch_cases); }
END_TEST

START_TEST(loops) { CHECK_COMPILED(loop_cases); }
END_TEST

LT_TEST_MAIN("test_control", extents_of_data, branches, loops)
