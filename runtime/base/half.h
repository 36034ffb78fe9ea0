/* half.h - IEEE 754 binary16 and bfloat16 to and from float, round to nearest even, NaN stays NaN.
 */
#ifndef LATHE_BASE_HALF_H
#define LATHE_BASE_HALF_H

#include <stdint.h>

float lt_f16_to_f32(uint16_t bits);
uint16_t lt_f32_to_f16(float value);
float lt_bf16_to_f32(uint16_t bits);
uint16_t lt_f32_to_bf16(float value);

#endif
