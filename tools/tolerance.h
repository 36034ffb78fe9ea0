/* tolerance.h - how far a compiled model's numbers may be from the evaluator's, and why.
 *
 * An element may differ by RELATIVE * |wanted| + ABSOLUTE * scale, where scale is the greatest
 * |wanted| of its tensor: sums of many terms err in proportion to their terms, so that an element
 * near zero among large ones carries the error of the large ones. */
#ifndef LATHE_TOOLS_TOLERANCE_H
#define LATHE_TOOLS_TOLERANCE_H

/* f32: sums in another order over some thousand terms, through a hundred layers; exp and the like
 * by polynomials that are right to 2 or 3 units in the last place. */
#define TOLERANCE_F32_RELATIVE 1e-3
#define TOLERANCE_F32_ABSOLUTE 1e-4
/* f64: the same sums with 29 more bits; what is left is the polynomials' error. */
#define TOLERANCE_F64_RELATIVE 1e-9
#define TOLERANCE_F64_ABSOLUTE 1e-10
/* f16 has 11 bits: one rounding is 5e-4, and layers keep their results in f16. */
#define TOLERANCE_F16_RELATIVE 2e-2
#define TOLERANCE_F16_ABSOLUTE 5e-3
/* bf16 has 8 bits: one rounding is 4e-3. */
#define TOLERANCE_BF16_RELATIVE 8e-2
#define TOLERANCE_BF16_ABSOLUTE 2e-2
/* Floats of 8 and 4 bits: one step of f8e5m2 and f4e2m1 is a quarter to a half. */
#define TOLERANCE_F8_RELATIVE 0.5
#define TOLERANCE_F8_ABSOLUTE 2e-2
/* 8-bit and 4-bit integers are quantized values: one on the border of two steps may fall on
 * either side.
 * All other integers and bools are exact. */
#define TOLERANCE_8BIT_STEPS 1
/* No scale is taken for smaller than this: differences of equal numbers are not exactly zero. */
#define TOLERANCE_LEAST_SCALE 1e-2

#endif
