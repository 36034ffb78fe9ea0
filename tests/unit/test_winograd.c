/* test_winograd.c - F(m, 3): its matrices compute a convolution, and the op computes what `conv`
 * does. */
#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "ir/winograd.h"
#include "passes/pass.h"
#include "tests/test.h"

/* Unit vectors give every coefficient of the bilinear form. */
static void check_form(int m) {
    const Winograd w = lt_winograd(m);
    ck_assert_int_eq(w.n, m + WINOGRAD_TAPS - 1);
    for (int input = 0; input < w.n; input++) {
        for (int tap = 0; tap < WINOGRAD_TAPS; tap++) {
            for (int output = 0; output < m; output++) {
                double sum = 0;
                for (int p = 0; p < w.n; p++)
                    sum += w.at[output][p] * w.g[p][tap] * w.bt[p][input];
                ck_assert_msg(fabs(sum - (input == output + tap)) < 1e-12,
                              "F(%d, 3): input %d, tap %d, output %d: %g", m, input, tap, output,
                              sum);
            }
        }
    }
}

START_TEST(matrices_convolve) {
    check_form(2);
    check_form(4);
}
END_TEST

/* Rows and columns of points p and -p are equal up to the signs that lowering counts on. */
START_TEST(points_come_in_pairs) {
    for (int m = 2; m <= 4; m += 2) {
        const Winograd w = lt_winograd(m);
        ck_assert_int_eq(w.pairs, m / 2);
        for (int pair = 0; pair < w.pairs; pair++) {
            const int a = 2 * pair + 1, b = a + 1;
            for (int i = 0; i < w.n; i++)
                ck_assert(w.bt[a][i] == (i % 2 ? -w.bt[b][i] : w.bt[b][i]));
            for (int i = 0; i < m; i++)
                ck_assert(w.at[i][a] == (i % 2 ? -w.at[i][b] : w.at[i][b]));
        }
    }
}
END_TEST

enum { IMAGES = 2, HEIGHT = 23, WIDTH = 9, CHANNELS = 16, OUTPUTS = 20 };

static Module *read_model(Arena *arena) {
    Str text;
    lt_str_init(&text, arena);
    lt_str_printf(&text, "graph main(%%x: f32[%d,%d,%d,%d]) {\n  %%w = const f32[3,3,%d,%d] [",
                  IMAGES, HEIGHT, WIDTH, CHANNELS, CHANNELS, OUTPUTS);
    for (int i = 0; i < 9 * CHANNELS * OUTPUTS; i++)
        lt_str_printf(&text, "%s%g", i ? ", " : "", (i * 7919 % 41 - 20) / 100.0);
    lt_str_printf(&text, "]\n  %%1 = conv %%x, %%w {strides = [1, 1], dilations = [1, 1], "
                         "pad_lo = [1, 0], pad_hi = [1, 2], groups = 1}\n  yield %%1\n}\n");
    Module *m = lt_module_new(arena, "model");
    ck_assert(lt_module_read(m, text.text, text.len));
    return m;
}

static const Tensor *run(Module *m, Arena *arena, const Tensor *x) {
    Evaluation ev = {.module = m};
    const Tensor *out = NULL;
    ck_assert_msg(lt_eval_module(&ev, arena, m, &x, &out), "%s", ev.error);
    return out;
}

START_TEST(computes_what_conv_does) {
    Arena arena;
    lt_arena_init(&arena);
    Tensor *x = lt_tensor_new(&arena, DT_F32, 4, (int64_t[]){IMAGES, HEIGHT, WIDTH, CHANNELS});
    for (int64_t i = 0; i < lt_tensor_elements(x); i++)
        lt_tensor_set_float(x, i, (double)(i * 7919 % 201 - 100) / 100);
    const Tensor *want = run(read_model(&arena), &arena, x);
    const char *const targets[] = {"x86-64-avx512", "x86-64-avx2", "x86-64"};
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        Module *m = read_model(&arena);
        PassContext ctx = {
            .module = m, .target = lt_target_find(targets[t]), .level = 2, .scratch = &arena};
        lt_pass_infer(&ctx);
        ck_assert(lt_pass_winograd(&ctx));
        const Tensor *got = run(m, &arena, x);
        ck_assert_int_eq(lt_tensor_elements(got), lt_tensor_elements(want));
        for (int64_t i = 0; i < lt_tensor_elements(want); i++)
            ck_assert_double_eq_tol(lt_tensor_get_float(got, i), lt_tensor_get_float(want, i),
                                    1e-5);
    }
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_winograd", matrices_convolve, points_come_in_pairs, computes_what_conv_does)
