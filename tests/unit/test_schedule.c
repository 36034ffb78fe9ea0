/* test_schedule.c - the primitives of schedules: each computes what the nest computed before, on
 * extents around its factors, and says why when it does not apply. `pack`, `prefetch`, `version`,
 * `peel` and `hold` have files of their own. */
#include "tests/unit/schedule_fixture.h"
#include <math.h>

enum { MOST = 20 };

static const char product[] =
    "kernel product(m in 0..20, n in 0..20; a: f32[m, 7] in, b: f32[7, n] in, out: f32[m, n] out) "
    "contract {\n"
    "  for i in m { for j in n {\n"
    "    alloc acc: f32[] register\n"
    "    acc[] = 0\n"
    "    for k in 7 { acc[] = fma(a[i, k], b[k, j], acc[]) }\n"
    "    out[i, j] = relu(acc[])\n"
    "  } }\n"
    "}\n";

static const char sums[] =
    "kernel sums(m in 0..20, n in 0..20; a: f32[m, n] in, b: f32[1] in, out: f32[m] out) reduce {\n"
    "  for i in m {\n"
    "    alloc acc: f32[] register\n"
    "    acc[] = 0\n"
    "    for k in n { acc[] = acc[] + a[i, k] }\n"
    "    out[i] = acc[]\n"
    "  }\n"
    "}\n";

static const char stages[] =
    "kernel stages(m in 0..20, n in 0..20; a: f32[m, n] in, b: f32[1] in, out: f32[12, 5] out) {\n"
    "  alloc t: f32[12, 5] stack\n"
    "  for p in 12 { for q in 5 { t[p, q] = b[0] * 3 + 1 } }\n"
    "  for i in 12 { for j in 5 { out[i, j] = t[i, j] * 2 + t[i, 4 - j] } }\n"
    "}\n";

static void run(const Kernel *k, int64_t m, int64_t n, float *out) {
    static float a[MOST * MOST], b[MOST * MOST];
    for (int i = 0; i < MOST * MOST; i++) {
        a[i] = (float)(i * 7 % 31 - 15);
        b[i] = (float)(i * 5 % 23 - 11);
    }
    const int64_t ints[] = {m, n};
    const char *error = lt_kernel_eval(k, &arena, (void *[]){a, b, out}, ints, 0,
                                       lt_kernel_parallel_extent(k, ints));
    ck_assert_msg(error == NULL, "%lld x %lld: %s", (long long)m, (long long)n, error);
}

/* Elements are small integers: sums are exact in any order. */
static void check_same(const char *text, const char *schedule) {
    const Kernel *plain = parse(text);
    Kernel *k = parse(text);
    const char *error = lt_schedule_apply(k, schedule);
    ck_assert_msg(error == NULL, "%s: %s", schedule, error);
    check_verified(k, schedule);
    ck_assert_str_eq(k->schedule, schedule);
    for (int64_t m = 0; m <= MOST; m++) {
        for (int64_t n = 0; n <= MOST; n++) {
            float want[MOST * MOST] = {0}, got[MOST * MOST] = {0};
            run(plain, m, n, want);
            run(k, m, n, got);
            ck_assert_msg(memcmp(got, want, sizeof got) == 0, "%s: %lld x %lld differs", schedule,
                          (long long)m, (long long)n);
        }
    }
}

static const char crossed[] =
    "kernel crossed(m in 0..20, n in 0..20; a: f32[m, n] in, b: f32[1] in, out: f32[5, 5] out) {\n"
    "  alloc t: f32[5, 5] stack\n"
    "  for p in 5 { for q in 5 { t[q, p] = b[0] } }\n"
    "  for i in 5 { for j in 5 { out[i, j] = t[i, j] } }\n"
    "}\n";

START_TEST(compute_the_same) {
    static const char *const schedules[] = {
        "split i 4",
        "split j 1",
        "block i 4",
        "block j 16; block j.1 4",
        "fuse i j",
        "reorder j i",
        "split i 3; split j 4; reorder i.0 j.0 i.1 j.1",
        "parallel i",
        "fuse i j; parallel i_j",
        "split j 8; vectorize j.1; unroll k",
        "split j 4; vectorize j.1; cache j.1",
        "split i 3; split j 4; reorder i.0 j.0 i.1 j.1; unroll i.1; vectorize j.1; cache i.1 j.1",
        ("block i 8; split j 4; split i.1 3; reorder i.0 j.0 i.1.0 i.1.1 j.1; vectorize j.1; "
         "cache i.1.1 j.1; fuse i.0 j.0; parallel i.0_j.0"),
    };
    setup();
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++)
        check_same(product, schedules[i]);
    check_same(sums, "rfactor k 8; parallel i");
    check_same(sums, "rfactor k 4");
    check_same(stages, "compute_at t i");
    teardown();
}
END_TEST

/* Two states, one read whole while the other one is written. */
static const char steps[] =
    "kernel steps(m in 0..20, n in 0..20; a: f32[m, n] in, b: f32[1] in, out: f32[8] out) {\n"
    "  alloc s: f32[2, 8] shared\n"
    "  for i in 8 { s[0, i] = f32(i) }\n"
    "  barrier\n"
    "  for t in n {\n"
    "    for j in 8 { s[(t + 1) mod 2, j] = s[t mod 2, 7 - j] + s[t mod 2, j] * 0.5 }\n"
    "    barrier\n"
    "  }\n"
    "  for k in 8 { out[k] = s[n mod 2, k] }\n"
    "}\n";

START_TEST(teams) {
    setup();
    check_same(steps, "team i j k");
    check_same(steps, "split i 2; split j 2; vectorize j.1; split k 2; team i.0 j.0 k.0");
    check_same(steps, "block i 5; block j 5; split j.1 2; block k 5; team i.0 j.0 k.0");
    teardown();
}
END_TEST

START_TEST(texts) {
    setup();
    Kernel *k = parse(stages);
    const char *error = lt_schedule_apply(k, "compute_at t i");
    ck_assert_msg(error == NULL, "%s", error);
    Str text;
    lt_str_init(&text, &arena);
    lt_kernel_print(&text, k, false);
    ck_assert_msg(strstr(text.text, "for i in 12 {\n    for q in 5 {\n      t[i, q] = ") != NULL,
                  "%s", text.text);
    k = parse(product);
    ck_assert_ptr_null(lt_schedule_apply(k, "split i 4"));
    lt_str_init(&text, &arena);
    lt_kernel_print(&text, k, false);
    ck_assert_ptr_nonnull(strstr(text.text, "for i.0 in (m + 3) floordiv 4 {\n    for i.1 in 4 {\n"
                                            "      if (4*i.0 + i.1 < m) {"));
    teardown();
}
END_TEST

/* A fold of one column whose update is what the test says. */
static const char *folding(const char *update) {
    return lt_arena_printf(&arena,
                           "kernel fold(m in 0..20, n in 0..20; a: f32[m, n] in, out: f32[1] out) "
                           "reduce {\n"
                           "  alloc acc: f32[] register\n"
                           "  acc[] = 1\n"
                           "  for k in 7 { %s }\n"
                           "  out[0] = acc[]\n"
                           "}\n",
                           update);
}

START_TEST(refuse) {
    setup();
    expect_error(product, "split z 4", "no loop named 'z'");
    expect_error(product, "split i 0", "the factor must be positive");
    expect_error(product, "block i -3", "the factor must be positive");
    expect_error(product, "fuse j i", "'j' is not directly around 'i'");
    expect_error(product, "reorder i k", "not nested in each other alone");
    expect_error(product, "reorder i z", "no loop named 'z'");
    expect_error(product, "vectorize j", "no constant extent");
    expect_error(product, "unroll i", "no constant extent");
    expect_error(product, "parallel j", "not the outermost loop");
    expect_error(product, "cache j", "no constant extent");
    expect_error(product, "split k 7; cache k.1", "there is no accumulator inside");
    expect_error(sums, "rfactor k 3", "must be a power of two");
    static const char *const updates[] = {
        "acc[] = fma(acc[], a[0, k], a[0, k])",
        "acc[] = fma(a[0, k], acc[], acc[])",
        "acc[] = acc[] + a[0, k] * acc[]",
        "acc[] = acc[] - a[0, k]",
        "acc[] = acc[] + a[0, k] acc[] = max(acc[], a[0, k])",
        "acc[] = acc[] + a[0, k] where (acc[] < 3)",
        "if (acc[] < 3) { acc[] = acc[] + a[0, k] }",
    };
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++)
        expect_error(folding(updates[i]), "rfactor k 4",
                     "is not folded by an associative function");
    expect_error(product, "rfactor z 4", "no loop named 'z'");
    expect_error(stages, "compute_at u i", "there is no local buffer 'u'");
    expect_error(stages, "compute_at t j", "is read in other iterations of 'j' too");
    expect_error(crossed, "compute_at t i", "is not stored part by part");
    expect_error(stages, "compute_at t z", "'z' is not a loop of the next nest");
    expect_error(product, "spin i", "'spin' is not a schedule primitive");
    expect_error(product, "split i", "it takes 2 to 2");
    expect_error(product, "team i", "the kernel has no barriers");
    expect_error(steps, "team z", "no loop named 'z'");
    expect_error(steps, "split k 4; team i k.0", "another extent than the loops before it");
    expect_error(steps, "team i", "'s' is stored to outside of the loops");
    expect_error(steps, "vectorize k; team i k", "is marked");
    expect_error(steps, "team t", "'t' has no constant extent");
    teardown();
}
END_TEST

LT_TEST_MAIN("test_schedule", compute_the_same, teams, texts, refuse)
