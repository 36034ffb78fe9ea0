/* text.h - what the printer and the reader of the text form share. Inside ir/ only. */
#ifndef LATHE_IR_TEXT_H
#define LATHE_IR_TEXT_H

#include "ir/graph.h"

/* A constant with its type: `f32[64] splat(0)`, `f32[3] [1, 2, 3]`, `f32[4096] hex"00..."`. Elided:
 * a large one is shown by its hash, which does not read back. */
void lt_const_print(Str *out, const Const *c, bool elided);
/* One element at `bytes` as a number or a word. */
void lt_element_print(Str *out, DType dtype, const void *bytes);
/* The reverse; false when text is not a value of that dtype. */
bool lt_element_parse(DType dtype, const char *text, void *bytes);
/* Hex digits to bytes; false unless there are exactly 2 * count of them. */
bool lt_hex_parse(const char *text, uint8_t *bytes, size_t count);

#endif
