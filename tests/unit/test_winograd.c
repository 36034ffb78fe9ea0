/* test_winograd.c - F(m, r): its matrices compute a convolution, and the op computes what `conv`
 * does. */
#include <math.h>
#include <string.h>

#include "ir/eval.h"
#include "ir/winograd.h"
#include "passes/pass.h"
#include "tests/test.h"

/* Unit vectors give every coefficient of the bilinear form. */
static void check_form(int m, int taps) {
    const Winograd w = lt_winograd(m, taps);
    ck_assert_int_eq(w.n, m + taps - 1);
    for (int input = 0; input < w.n; input++) {
        for (int tap = 0; tap < taps; tap++) {
            for (int output = 0; output < m; output++) {
                double sum = 0;
                for (int p = 0; p < w.n; p++)
                    sum += w.at[output][p] * w.g[p][tap] * w.bt[p][input];
                ck_assert_msg(fabs(sum - (input == output + tap)) < 1e-12,
                              "F(%d, %d): input %d, tap %d, output %d: %g", m, taps, input, tap,
                              output, sum);
            }
        }
    }
}

START_TEST(matrices_convolve) {
    int forms = 0;
    for (int m = 1; m <= 8; m++) {
        for (int taps = 1; taps <= 9; taps++) {
            if (!lt_winograd_has(m, taps))
                continue;
            check_form(m, taps);
            forms++;
        }
    }
    ck_assert_int_eq(forms, 6);
}
END_TEST

/* Rows and columns of points p and -p are equal up to the signs that lowering counts on. */
START_TEST(points_come_in_pairs) {
    static const int forms[][2] = {{2, 3}, {4, 3}, {2, 5}, {4, 5}, {2, 7}};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        const int m = forms[f][0];
        const Winograd w = lt_winograd(m, forms[f][1]);
        ck_assert_int_eq(w.pairs, (w.n - 2) / 2);
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

/* Convolutions of two axes and of one. */
typedef struct Convolution {
    int rank;
    int64_t x[4];
    int taps; /* elements of a filter's spatial axes */
    const char *filter, *attrs;
} Convolution;

enum { CHANNELS = 16, OUTPUTS = 20 };

static const Convolution convolutions[] = {
    {4,
     {2, 23, 9, CHANNELS},
     9,
     "3,3",
     "strides = [1, 1], dilations = [1, 1], pad_lo = [1, 0], pad_hi = [1, 2]"},
    {4,
     {2, 37, 1, CHANNELS},
     5,
     "5,1",
     "strides = [1, 1], dilations = [1, 1], pad_lo = [2, 0], pad_hi = [1, 0]"},
    {4,
     {1, 30, 31, CHANNELS},
     15,
     "5,3",
     "strides = [1, 1], dilations = [1, 1], pad_lo = [2, 1], pad_hi = [2, 1]"},
    {3, {2, 37, CHANNELS}, 7, "7", "strides = [1], dilations = [1], pad_lo = [3], pad_hi = [3]"},
};

static Module *read_model(Arena *arena, const Convolution *c) {
    Str text;
    lt_str_init(&text, arena);
    lt_str_printf(&text, "graph main(%%x: f32[");
    for (int i = 0; i < c->rank; i++)
        lt_str_printf(&text, "%s%d", i ? "," : "", (int)c->x[i]);
    lt_str_printf(&text, "]) {\n  %%w = const f32[%s,%d,%d] [", c->filter, CHANNELS, OUTPUTS);
    for (int i = 0; i < c->taps * CHANNELS * OUTPUTS; i++)
        lt_str_printf(&text, "%s%g", i ? ", " : "", (i * 7919 % 41 - 20) / 100.0);
    lt_str_printf(&text, "]\n  %%1 = conv %%x, %%w {groups = 1, %s}\n  yield %%1\n}\n", c->attrs);
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

static void check_convolution(const Convolution *c) {
    Arena arena;
    lt_arena_init(&arena);
    Tensor *x = lt_tensor_new(&arena, DT_F32, c->rank, c->x);
    for (int64_t i = 0; i < lt_tensor_elements(x); i++)
        lt_tensor_set_float(x, i, (double)(i * 7919 % 201 - 100) / 100);
    const Tensor *want = run(read_model(&arena, c), &arena, x);
    const char *const targets[] = {"x86-64-avx512", "x86-64-avx2", "x86-64"};
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        Module *m = read_model(&arena, c);
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

START_TEST(computes_what_conv_does) {
    for (size_t i = 0; i < sizeof convolutions / sizeof *convolutions; i++)
        check_convolution(&convolutions[i]);
}
END_TEST

LT_TEST_MAIN("test_winograd", matrices_convolve, points_come_in_pairs, computes_what_conv_does)
