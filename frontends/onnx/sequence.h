/* sequence.h - what converters ask of sequences, in either form (compound.h). */
#ifndef LATHE_FRONTENDS_ONNX_SEQUENCE_H
#define LATHE_FRONTENDS_ONNX_SEQUENCE_H

#include "frontends/onnx/compound.h"

/* The packed form of one; itself where it has that already. NULL after an error. */
Compound *lt_onnx_packed(Import *im, Compound *c);
/* The packed form of the parts of a tensor (ops_sequence_split.c). */
bool lt_onnx_pack_parts(Import *im, const Compound *c, Value **members);
/* How many elements it has. */
const Dim *lt_onnx_sequence_length_dim(Import *im, const Compound *c);
/* An operand that counts elements, from the back where it is negative, as a dim that a guard keeps
 * below `length`. NULL after an error. */
const Dim *lt_onnx_position(Import *im, Value *v, const Dim *length);
/* The same where it may be `length` too: behind the last. */
const Dim *lt_onnx_insert_position(Import *im, Value *v, const Dim *length);
/* The element at a position of lt_onnx_position; rank is what is known of it otherwise, or
 * RANK_OPEN. */
Value *lt_onnx_element_at(Import *im, Compound *c, const Dim *at, int rank);
/* With `v` before the element at `at`; at the end where that is NULL. */
Value *lt_onnx_with_element(Import *im, Compound *c, Value *v, const Dim *at);
Value *lt_onnx_without_element(Import *im, Compound *c, const Dim *at);
/* What an optional holds: a run in which that is nothing fails. Itself where v is none. */
Value *lt_onnx_present(Import *im, Value *v);
/* i64[n]: how many elements of data each element of a packed sequence has. */
Value *lt_onnx_element_sizes(Import *im, const Compound *packed);
/* As lt_onnx_bind_elements, for what counts or places elements: more than any memory holds is
 * refused, so that sums of them do not overflow. */
const Dim *const *lt_onnx_bind_sizes(Import *im, Value *v, const char *prefix);
/* i64[1] of extents, i64[k]: their product, 0 counted as 1; too large to be bound where that
 * overflows. */
Value *lt_onnx_volume(Import *im, Value *extents);
/* a <= b in every run that goes on. False: it never is. */
bool lt_onnx_at_most(Import *im, const Dim *a, const Dim *b, const char *what);

#endif
