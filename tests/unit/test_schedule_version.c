/* test_schedule_version.c - `version`, `peel`, `unswitch` and `hold`: what they make, that it
 * computes the same for any extent, and what they refuse. */
#include "tests/unit/schedule_fixture.h"

enum { CHANNELS = 5, MOST = 12 };

/* A sum over three taps in each direction, padded, that moves by two along y1. */
static const char sweep[] =
    "kernel sweep(h in 1..40, w in 1..40; x: f32[h, w, 5] in, f: f32[3, 3, 5] in, "
    "out: f32[h, (w + 1) floordiv 2, 5] out) conv {\n"
    "  for y0 in h { for y1 in (w + 1) floordiv 2 { for o in 5 {\n"
    "    alloc acc: f32[] register\n"
    "    acc[] = 0\n"
    "    for k0 in 3 { for k1 in 3 {\n"
    "      if (-1 < y0 + k0 - 1 and y0 + k0 - 1 < h and "
    "-1 < 2*y1 + k1 - 1 and 2*y1 + k1 - 1 < w) {\n"
    "        acc[] = fma(x[y0 + k0 - 1, 2*y1 + k1 - 1, o], f[k0, k1, o], acc[])\n"
    "      } } }\n"
    "    out[y0, y1, o] = acc[]\n"
    "  } } }\n"
    "}\n";

static void run(const Kernel *k, int64_t height, int64_t width, float *out) {
    static float x[MOST * MOST * CHANNELS], f[9 * CHANNELS];
    for (int i = 0; i < MOST * MOST * CHANNELS; i++)
        x[i] = (float)(i * 7 % 31 - 15);
    for (int i = 0; i < 9 * CHANNELS; i++)
        f[i] = (float)(i * 5 % 23 - 11);
    const int64_t ints[] = {height, width};
    const char *error = lt_kernel_eval(k, &arena, (void *[]){x, f, out}, ints, 0,
                                       lt_kernel_parallel_extent(k, ints));
    ck_assert_msg(error == NULL, "%lld x %lld: %s", (long long)height, (long long)width, error);
}

static void check_same(const char *schedule) {
    const Kernel *plain = parse(sweep);
    Kernel *k = parse(sweep);
    const char *error = lt_schedule_apply(k, schedule);
    ck_assert_msg(error == NULL, "%s: %s", schedule, error);
    check_verified(k, schedule);
    for (int64_t height = 1; height <= MOST; height++) {
        for (int64_t width = 1; width <= MOST; width++) {
            float want[MOST * MOST * CHANNELS], got[MOST * MOST * CHANNELS];
            run(plain, height, width, want);
            run(k, height, width, got);
            const int64_t count = height * ((width + 1) / 2) * CHANNELS;
            ck_assert_msg(memcmp(got, want, (size_t)count * sizeof *want) == 0,
                          "%s: %lld x %lld differs", schedule, (long long)height, (long long)width);
        }
    }
}

START_TEST(computes_the_same) {
    setup();
    check_same("version k0");
    check_same("version k1");
    check_same("version y1");
    check_same("peel y1");
    check_same("peel y0");
    check_same("peel y1; version y1.in");
    check_same("split o 4; reorder y0 y1 o.0 o.1; cache o.1; unswitch o.1");
    check_same("split y1 2; reorder y0 y1.0 o y1.1; cache y1.1; unswitch y1.1");
    check_same("split o 4; reorder y0 o.0 y1 o.1; vectorize o.1; cache o.1; unroll k0; unroll k1; "
               "peel y1; version y1.in; hold f y1.in 4 k0 k1 o.1; parallel y0");
    teardown();
}
END_TEST

static const char *scheduled(const char *schedule) {
    Str text;
    Kernel *k = parse(sweep);
    const char *error = lt_schedule_apply(k, schedule);
    ck_assert_msg(error == NULL, "%s: %s", schedule, error);
    lt_str_init(&text, &arena);
    lt_kernel_print(&text, k, false);
    return text.text;
}

static void expect_text(const char *text, const char *part) {
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in\n%s", part, text);
}

START_TEST(texts) {
    setup();
    const char *text = scheduled("version k0");
    expect_text(text, "if (-y0 < 0 and -h + y0 + 1 < 0 and -2*y1 < 0 and");
    text = scheduled("peel y1");
    expect_text(text, "for y1.lo in ");
    expect_text(text, "for y1.in in ");
    expect_text(text, "for y1.hi in ");
    text = scheduled("peel y1; version y1.in; hold f y1.in 5 k0 k1 o");
    expect_text(text, "alloc f.hold: f32[3, 3, 5] register");
    expect_text(text, "f.hold[k0, k1, o]");
    text = scheduled("split y1 2; reorder y0 y1.0 o y1.1; cache y1.1; unswitch y1.1");
    expect_text(text, "if (-1 < y0 + k0 - 1 and y0 + k0 - 1 < h) {\n"
                      "              for y1.1 in 2 {\n");
    teardown();
}
END_TEST

START_TEST(refuses) {
    setup();
    static const char by_value[] = "kernel k(x: f32[8] in, out: f32[8] out) map {\n"
                                   "  for i in 8 { if (x[i] > 0) { out[i] = x[i] } }\n"
                                   "}\n";
    static const char both_ways[] =
        "kernel k(x: f32[8] in, out: f32[8] out) map {\n"
        "  for i in 8 { if (i < 5) { out[i] = 1 } else { out[i] = 2 } }\n"
        "}\n";
    static const char free_of[] = "kernel k(n in 1..inf; out: f32[n] out) map {\n"
                                  "  for i in n { out[i] = 1 }\n"
                                  "}\n";
    expect_error(sweep, "version z", "no loop named 'z'");
    expect_error(sweep, "peel z", "no loop named 'z'");
    expect_error(sweep, "unswitch z", "no loop named 'z'");
    expect_error(by_value, "version i", "no order of indices");
    expect_error(by_value, "peel i", "no order of indices");
    expect_error(both_ways, "version i", "has another way");
    expect_error(free_of, "version i", "there is no condition inside 'i'");
    expect_error(sweep, "unroll k1; peel k1", "'k1' is not a plain loop");
    expect_error(sweep, "hold x o 5 k0 k1", "other loops than the axes move 'x'");
    expect_error(sweep, "hold f y0 5 y1 k0 k1 o", "hold: 'y1' has no constant extent");
    teardown();
}
END_TEST

LT_TEST_MAIN("test_schedule_version", computes_the_same, texts, refuses)
