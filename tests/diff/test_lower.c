/* test_lower.c - lowering against the evaluator: every op that becomes a kernel by itself, plain
 * and scheduled, under several values of the symbols. */
#include "tests/diff/lower_cases.h"

/* --- ops by themselves --------------------------------------------------------------------- */

START_TEST(maps) { CHECK_CASES(map_cases); }
END_TEST

START_TEST(moves) { CHECK_CASES(move_cases); }
END_TEST

START_TEST(resizes) { CHECK_CASES(resize_cases); }
END_TEST

START_TEST(gathers) { CHECK_CASES(gather_cases); }
END_TEST

START_TEST(folds) { CHECK_CASES(fold_cases); }
END_TEST

START_TEST(contractions) { CHECK_CASES(contraction_cases); }
END_TEST

START_TEST(convolutions) { CHECK_CASES(convolution_cases); }
END_TEST

/* Tiles that fit, that hang over the edges, and images smaller than one tile. */
START_TEST(winograd_convolutions) {
    /* The filters here are no transformed ones: products of up to 10^4 nearly cancel. */
    tolerance_f32 = 1e-3;
    CHECK_CASES(winograd_cases);
    tolerance_f32 = 1e-5;
}
END_TEST

START_TEST(recurrent_layers) { CHECK_CASES(recurrent_cases); }
END_TEST

LT_TEST_MAIN("test_lower", maps, moves, resizes, gathers, folds, contractions, convolutions,
             winograd_convolutions, recurrent_layers)
