/* test_schedule_pack.c - `pack`: the copy that it makes, what it computes on any extents, and what
 * it refuses. */
#include "tests/unit/schedule_fixture.h"

enum { MOST = 40 };

static const char product[] =
    "kernel product(m in 1..40; a: f32[m, 20] in, b: f32[20, 6] in, out: f32[m, 6] out) "
    "contract {\n"
    "  for m0 in m { for n0 in 6 {\n"
    "    alloc acc: f32[] register\n"
    "    acc[] = 0\n"
    "    for k0 in 20 { acc[] = fma(a[m0, k0], b[k0, n0], acc[]) }\n"
    "    out[m0, n0] = acc[]\n"
    "  } }\n"
    "}\n";

static const char tiled[] =
    "block m0 12; split n0 4; split m0.1 3; reorder m0.0 n0.0 m0.1.0 m0.1.1 n0.1; "
    "cache m0.1.1 n0.1; ";

static void run(const Kernel *k, int64_t rows, float *out) {
    static float a[MOST * 20], b[20 * 6];
    for (int i = 0; i < MOST * 20; i++)
        a[i] = (float)(i * 7 % 31 - 15);
    for (int i = 0; i < 20 * 6; i++)
        b[i] = (float)(i * 5 % 23 - 11);
    const int64_t extent = lt_kernel_parallel_extent(k, &rows);
    const char *error = lt_kernel_eval(k, &arena, (void *[]){a, b, out}, &rows, 0, extent);
    ck_assert_msg(error == NULL, "%s", error);
}

START_TEST(computes_the_same) {
    setup();
    static const char *const packs[] = {"pack a n0.0 8 m0.1.0 m0.1.1 k0",
                                        "pack a n0.0 16 m0.1.0 m0.1.1 k0",
                                        "pack a n0.0 1 m0.1.0 k0 m0.1.1"};
    for (size_t i = 0; i < sizeof packs / sizeof *packs; i++) {
        const Kernel *plain = parse(product);
        Kernel *k = parse(product);
        const char *error = lt_schedule_apply(k, tiled);
        ck_assert_msg(error == NULL, "%s", error);
        error = lt_schedule_apply(k, packs[i]);
        ck_assert_msg(error == NULL, "%s: %s", packs[i], error);
        check_verified(k, packs[i]);
        for (int64_t rows = 1; rows <= MOST; rows++) {
            float want[MOST * 6], got[MOST * 6];
            run(plain, rows, want);
            run(k, rows, got);
            ck_assert_mem_eq(got, want, (size_t)rows * 6 * sizeof *want);
        }
    }
    teardown();
}
END_TEST

/* Rows of 1024 elements would lie 4096 bytes apart: the copy's are a cache line longer. */
START_TEST(rows_do_not_collide) {
    setup();
    Kernel *k = parse("kernel copy(a: f32[8, 1024] in, out: f32[3, 8, 1024] out) map {\n"
                      "  for i in 3 { for j in 8 { for l in 1024 { out[i, j, l] = a[j, l] } } }\n"
                      "}\n");
    ck_assert_ptr_null(lt_schedule_apply(k, "pack a i 16 j l"));
    Str text;
    lt_str_init(&text, &arena);
    lt_kernel_print(&text, k, false);
    ck_assert_ptr_nonnull(strstr(text.text, "alloc a.pack: f32[8, 1040] scratch"));
    ck_assert_ptr_nonnull(strstr(text.text, "vector l.pack.1 in 16 {"));
    ck_assert_ptr_nonnull(strstr(text.text, "out[i, j, l] = a.pack[j, l]"));
    teardown();
}
END_TEST

START_TEST(refuses) {
    setup();
    expect_error(product, "pack a x 8 m0 k0", "no loop named 'x'");
    expect_error(product, "pack c m0 8 n0 k0", "no input 'c'");
    expect_error(product, "pack out m0 8 n0 k0", "no input 'out'");
    expect_error(product, "pack a n0 8 m0 k0", "'m0' is not inside 'n0'");
    expect_error(product, "pack a m0 8 k0", "other loops than the axes move 'a'");
    expect_error(product, "pack b m0 8 k0", "other loops than the axes move 'b'");
    expect_error(product, "pack a n0 0 k0", "1 to 64 lanes");
    expect_error(product, "pack a n0 8", "takes 4 to 12");
    Kernel *k = parse("kernel open(n in 1..inf; a: f32[n] in, out: f32[3, n] out) map {\n"
                      "  for i in 3 { for j in n { out[i, j] = a[j] } }\n"
                      "}\n");
    ck_assert_ptr_nonnull(strstr(lt_schedule_apply(k, "pack a i 8 j"), "has no bound"));
    k = parse("kernel twice(a: f32[9] in, out: f32[3, 8] out) map {\n"
              "  for i in 3 { for j in 8 { out[i, j] = a[j] + a[j + 1] } }\n"
              "}\n");
    ck_assert_ptr_nonnull(strstr(lt_schedule_apply(k, "pack a i 8 j"), "exactly one expression"));
    teardown();
}
END_TEST

LT_TEST_MAIN("test_schedule_pack", computes_the_same, rows_do_not_collide, refuses)
