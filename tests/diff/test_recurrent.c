/* test_recurrent.c - recurrent layers large enough for a team: interpreted, which finds races, and
 * compiled, on one thread and on several, more of them than there are cores. */
#include "tests/diff/artifact_fixture.h"

static int team_count; /* kernels of the last program that a team runs */

static void check_threads(const Program *p, const Tensor *const *inputs,
                          const Tensor *const *expected, const char *text) {
    team_count = 0;
    for (size_t i = 0; i < p->kernels.len; i++)
        team_count += lt_kernel_is_team(p->kernels.data[i]);
    for (int threads = 1; team_count && threads <= 4; threads *= 2)
        check_run(p, &(ArtifactRun){inputs, expected, 2, threads, .repeat = 4}, text);
}

static void check_layers(const Case *cases, size_t count, int teams) {
    tolerance_f32 = 1e-4;
    check_more = check_threads;
    for (size_t i = 0; i < count; i++) {
        check_case(&cases[i]);
        ck_assert_msg(team_count == teams, "%d kernels run with a team, in %s", team_count,
                      cases[i].body);
    }
}
#define CHECK_LAYERS(cases, teams) check_layers(cases, sizeof(cases) / sizeof *(cases), teams)

/* Small weights keep the gates away from where they are all 0 or 1. */
#define SCALED(dtype) "%s = const " dtype "[] [0.03125]\n%r = mul %w, %s\n"
#define LINEAR "mode = \"linear_before_reset\""

START_TEST(one_direction) {
    static const Case cases[] = {
        {"%x: f32[h,n,384], %w: f32[96,384], %h: f32[n,96], %c: f32[n,96]",
         SCALED("f32") "%y, %a, %b = lstm %x, %r, %h, %c yield %y, %a, %b"},
        {"%x: f32[h,n,400], %w: f32[100,400], %h: f32[n,100], %c: f32[n,100]",
         SCALED("f32") "%y, %a, %b = lstm %x, %r, %h, %c {reverse = true} yield %y"},
        {"%x: f32[h,n,336], %w: f32[112,336], %b: f32[336], %h: f32[n,112]",
         SCALED("f32") "%y, %a = gru %x, %r, %b, %h {" LINEAR "} yield %a"},
        {"%x: f32[h,n,456], %w: f32[152,456], %b: f32[456], %h: f32[n,152]",
         SCALED("f32") "%y, %a = gru %x, %r, %b, %h {reverse = true} yield %y, %a"},
        {"%x: f16[h,n,384], %w: f16[96,384], %h: f16[n,96], %c: f16[n,96]",
         SCALED("f16") "%y, %a, %b = lstm %x, %r, %h, %c yield %b, %y"},
    };
    CHECK_LAYERS(cases, 1);
}
END_TEST

START_TEST(both_directions) {
    static const Case cases[] = {
        {"%x: f32[h,3,384], %w: f32[96,384], %h: f32[3,96]",
         SCALED("f32") "%y, %a, %b = lstm %x, %r, %h, %h\n"
                       "%z, %d, %e = lstm %x, %r, %h, %h {reverse = true}\n"
                       "%o = concat %y, %z {axis = 2} yield %o, %a, %e"},
        {"%x: f32[h,7,336], %w: f32[112,336], %b: f32[336], %h: f32[7,112]",
         SCALED("f32") "%y, %a = gru %x, %r, %b, %h {" LINEAR "}\n"
                       "%z, %c = gru %x, %r, %b, %h {" LINEAR ", reverse = true}\n"
                       "%o = add %y, %z yield %o, %c, %a"},
    };
    CHECK_LAYERS(cases, 2);
}
END_TEST

START_TEST(small_ones_stay_on_one_thread) {
    static const Case cases[] = {
        {"%x: f32[h,n,256], %r: f32[64,256], %h: f32[n,64], %c: f32[n,64]",
         "%y, %a, %b = lstm %x, %r, %h, %c yield %y"},
        {"%x: f32[h,n,27], %r: f32[9,27], %b: f32[27], %h: f32[n,9]",
         "%y, %a = gru %x, %r, %b, %h yield %y, %a"},
    };
    CHECK_LAYERS(cases, 0);
}
END_TEST

LT_TEST_MAIN("test_recurrent", one_direction, both_directions, small_ones_stay_on_one_thread)
