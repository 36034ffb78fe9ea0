/* test_kernel_threads.c - blocks and threads in the kernel interpreter: what each thread holds,
 * folds over it, and races. */
#include <math.h>

#include "tests/unit/kernel_eval_fixture.h"

/* Two blocks of four threads, with a line that may be anything. */
static const Kernel *block(const char *line) {
    return load_kernel(lt_arena_printf(&arena,
                                       "kernel t(a: f32[2, 4] in, out: f32[2, 4] out) {\n"
                                       "  grid b in 2 {\n"
                                       "  alloc own: f32[2] register\n alloc all: f32[4] shared\n"
                                       "%s\n  } }",
                                       line));
}

typedef struct BlockCase {
    const char *line;
    float wanted[4]; /* of the second block, whose inputs are 5, 6, 7, 8 */
} BlockCase;

static void check_blocks(const BlockCase *cases, size_t count) {
    float in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    void *buffers[] = {in, out};
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_null(run(block(cases[i].line), buffers, NULL));
        for (int t = 0; t < 4; t++)
            ck_assert_float_eq(out[4 + t], cases[i].wanted[t]);
    }
}

/* What a thread leaves in its locals is there in its next thread loop, and in what it does outside
 * of them. */
START_TEST(threads_keep_their_locals) {
    static const BlockCase cases[] = {
        {"thread t in 4 { own[0] = a[b, t] all[t] = own[0] * 10 } barrier "
         "thread s in 4 { out[b, s] = own[0] + all[3 - s] }",
         {85, 76, 67, 58}},
        {"own[0] = 1 thread t in 4 { own[0] = own[0] + a[b, t] } own[1] = own[0] * 2 "
         "thread s in 4 { out[b, s] = own[1] }",
         {12, 14, 16, 18}},
        {"own[0] = 0 for i in 3 { thread t in 4 { own[0] = own[0] + a[b, t] } } "
         "if (own[0] < 20) { own[0] = 0 - own[0] } "
         "for j in 2 { own[j] = own[0] + 1 } thread s in 4 { out[b, s] = own[1] }",
         {-13, -16, 23, 26}},
        {"own[0] = 9 thread t in 2 { own[0] = a[b, t] } thread s in 4 { out[b, s] = own[0] }",
         {5, 6, 9, 9}},
    };
    check_blocks(cases, sizeof cases / sizeof *cases);
}
END_TEST

/* Groups of threads get the fold of what they hold; what no thread changed counts for each. */
START_TEST(threads_combine) {
    static const BlockCase cases[] = {
        {"alloc x: f32[] register thread t in 4 { x[] = a[b, t] } combine x by add of 4 "
         "thread s in 4 { out[b, s] = x[] }",
         {26, 26, 26, 26}},
        {"alloc x: f32[] register thread t in 4 { x[] = a[b, t] } combine x by max of 2 "
         "x[] = x[] + 1 thread s in 4 { out[b, s] = x[] }",
         {7, 7, 9, 9}},
        {"alloc x: f32[] register thread t in 4 { x[] = a[b, t] } combine x by add of 2 apart 2 "
         "thread s in 4 { out[b, s] = x[] }",
         {12, 14, 12, 14}},
        {"alloc x: f32[] register x[] = 3 combine x by mul of 4 combine x by add of 2 "
         "thread s in 4 { out[b, s] = x[] }",
         {162, 162, 162, 162}},
        {"alloc x: i8[] register thread t in 4 { x[] = i8(a[b, t] * 8) } combine x by add of 4 "
         "let y in -128..127 = i64(a[0, 0]) thread s in 4 { out[b, s] = f32(x[]) + f32(y) }",
         {-47, -47, -47, -47}},
    };
    check_blocks(cases, sizeof cases / sizeof *cases);
    /* Warps first, and then between them. */
    const Kernel *k = load_kernel("kernel t(x: i64[128] in, out: i64[128] out) {\n"
                                  "  alloc own: i64[] register\n"
                                  "  thread t in 128 { own[] = x[t] } combine own by add of 64\n"
                                  "  thread s in 128 { out[s] = own[] } }");
    int64_t x[128], y[128];
    for (int i = 0; i < 128; i++)
        x[i] = i;
    ck_assert_ptr_null(run(k, (void *[]){x, y}, NULL));
    for (int i = 0; i < 128; i++)
        ck_assert_int_eq(y[i], i < 64 ? 63 * 32 : 63 * 32 + 64 * 64);
}
END_TEST

/* Each thread gets the fold of the total and of what those in front of it hold. */
START_TEST(threads_scan) {
    static const BlockCase cases[] = {
        {"alloc x: f32[] register alloc sum: f32[] register sum[] = 10 "
         "thread t in 4 { x[] = a[b, t] } scan x after sum by add of 4 "
         "thread s in 4 { out[b, s] = x[] }",
         {10, 15, 21, 28}},
        {"alloc x: f32[] register alloc sum: f32[] register sum[] = 10 "
         "thread t in 4 { x[] = a[b, t] } scan x after sum by add of 4 "
         "thread s in 4 { out[b, s] = sum[] }",
         {36, 36, 36, 36}},
        {"alloc x: f32[] register alloc sum: f32[] register sum[] = 1 "
         "thread t in 4 { x[] = a[b, t] } scan x after sum by mul of 2 apart 2 "
         "thread s in 4 { out[b, s] = 100 * sum[] + x[] }",
         {3501, 4801, 3505, 4806}},
        {"alloc x: f32[] register alloc sum: f32[] register sum[] = 0 "
         "x[] = 2 scan x after sum by add of 4 scan x after sum by add of 4 "
         "thread s in 4 { out[b, s] = x[] }",
         {8, 8, 10, 14}},
    };
    check_blocks(cases, sizeof cases / sizeof *cases);
    float in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    check_error(
        block("alloc x: f32[] register alloc sum: f32[] register "
              "thread t in 4 { x[] = a[b, t] sum[] = a[b, t] } scan x after sum by add of 4"),
        (void *[]){in, out}, NULL, "a scan's total differs between threads");
}
END_TEST

START_TEST(finds_races_between_threads_and_blocks) {
    static const struct {
        const char *line, *error;
    } cases[] = {
        {"thread t in 4 { all[t] = 1 } thread s in 4 { out[b, s] = all[3 - s] }",
         "element 3 of all is touched by iteration 0 of a thread loop, and by iteration 3 with no "
         "barrier between"},
        {"thread t in 4 { all[t] = 1 } own[0] = all[2] thread s in 4 { out[b, s] = own[0] }",
         "touched by all of a thread loop, and by iteration 2 with no barrier"},
        {"thread t in 4 { own[0] = 1 all[t] = own[0] } own[0] = all[2] "
         "thread s in 4 { out[b, s] = own[0] }",
         "touched by iteration 0 of a thread loop, and by iteration 2 with no barrier"},
        {"thread t in 4 { let x in 0..1 = i64(a[0, 0] - 1) "
         "out[x, t] = 1 } barrier",
         "element 0 of out is touched by iteration 0 of a thread loop, and in another block"},
        {"thread t in 4 { out[b, t] = out[1 - b, t] }", "and in another block"},
        {"thread t in 2 { own[0] = a[b, t] } thread s in 4 { out[b, s] = own[0] }", NULL},
        {"thread t in 4 { all[t] = 1 } barrier thread s in 4 { out[b, s] = all[3 - s] } barrier "
         "thread r in 4 { all[r] = 2 }",
         NULL},
    };
    float in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    void *buffers[] = {in, out};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Kernel *k = block(cases[i].line);
        if (cases[i].error)
            check_error(k, buffers, NULL, cases[i].error);
        else
            ck_assert_ptr_null(run(k, buffers, NULL));
    }
    ck_assert(!isnan(out[1]));
}
END_TEST

LT_TEST_MAIN("test_kernel_threads", threads_keep_their_locals, threads_combine, threads_scan,
             finds_races_between_threads_and_blocks)
