/* strings.h - tensors of strings for converters.
 *
 * The strings of a tensor lie in one tensor of bytes, UTF-8, and others say where: string i is
 * bytes[starts[i]] .. bytes[starts[i] + lengths[i] - 1]. So what only moves, repeats or drops
 * strings moves numbers; bytes are copied when they change, or leave the graph. Bytes outside of
 * any string may be there. */
#ifndef LATHE_FRONTENDS_ONNX_STRINGS_H
#define LATHE_FRONTENDS_ONNX_STRINGS_H

#include "frontends/onnx/compound.h"

typedef struct Strings {
    Value *bytes;   /* u8[total]; NULL: an error was recorded */
    Value *starts;  /* i64[shape]; NULL: dense, they lie one behind the other with nothing else */
    Value *lengths; /* i64[shape] */
} Strings;

/* --- as values of names --- */
/* Operand i; false after an error: it is no tensor of strings. */
bool lt_strings_in(Import *im, uint32_t i, Strings *s);
/* NULL after an error. */
Value *lt_strings_value(Import *im, const Strings *s);
static inline bool strings_set(Import *im, uint32_t i, Strings s) {
    return onnx_set(im, i, lt_strings_value(im, &s));
}
/* Its dense members: bytes, lengths. False after an error. */
bool lt_strings_pack(Import *im, Value *v, Value **members);
/* The value of a tensor in the file, of strings or numbers. NULL after an error at `loc`. */
Value *lt_strings_or_tensor(Import *im, const OnnxTensor *t, const Loc *loc);
/* Constant's value_string and value_strings. */
bool lt_strings_constant(Import *im);
/* Calls the op's converter, with operands that it understands (STRINGS_MOVED). */
bool lt_strings_convert(Import *im, const OnnxOp *op);
/* Cast of input 0, a tensor, to strings. */
bool lt_strings_from_numbers(Import *im);
/* The strings of an attribute; a list of them, or one. NULL and *count = 0 when absent. */
const OnnxText *lt_strings_attribute(Import *im, const char *name, int64_t *count);

/* --- as tensors --- */
/* The strings of a tensor of this shape. */
Strings lt_strings_const(Import *im, const OnnxText *texts, int rank, const int64_t *dims);
/* i64[shape], dense or not. */
Value *lt_strings_starts(Import *im, const Strings *s);
/* The same strings, dense. */
Strings lt_strings_dense(Import *im, const Strings *s);
/* The same strings in one axis. */
Strings lt_strings_flat(Import *im, const Strings *s);
/* The same strings, as many, in this shape. */
Strings lt_strings_reshape(Import *im, const Strings *s, int rank, const Dim *const *shape);
/* Those at these positions of a tensor of rank 1: index's shape. */
Strings lt_strings_gather(Import *im, const Strings *s, Value *index);
/* u8[n, longest] of rank 1 strings: their bytes from the left; what is behind the end of a string
 * is any byte. */
Value *lt_strings_rows(Import *im, const Strings *s, const Dim *longest);
/* bool[n, longest]: which bytes of rows are of the string. */
Value *lt_strings_inside(Import *im, Value *lengths, const Dim *longest);
/* bool[n] of two tensors of rank 1 and one shape; those longer than `longest` are not equal. */
Value *lt_strings_same(Import *im, const Strings *a, const Strings *b, const Dim *longest);
/* How long the longest is, 0 where there is none. */
const Dim *lt_strings_longest(Import *im, Value *lengths);

/* Positions that each of n things has counts[i] of, one behind the other: total of them. */
typedef struct Spread {
    const Dim *total; /* NULL: not known before */
    Value *starts; /* i64[n]: at which position each begins */
    Value *owner;  /* i64[total]: whose it is */
    Value *offset; /* i64[total]: the how manieth of its owner */
} Spread;
/* counts: i64[n]. False after an error. */
bool lt_onnx_spread(Import *im, Value *counts, Spread *out);
/* The sum of those before each, i64[n]. */
Value *lt_onnx_sums_before(Import *im, Value *counts);
/* data at these positions, 0 or more, of its one axis; behind its end is any value. */
Value *lt_onnx_gather_open(Import *im, Value *data, Value *index);
/* data with updates added, all of rank 1. */
Value *lt_onnx_scatter_add(Import *im, Value *data, Value *indices, Value *updates);

/* --- look-up (lookup.c) --- */
/* i64[shape of x]: where in sorted, [k], x is; k: nowhere. k is 1 or more. */
Value *lt_onnx_search(Import *im, Value *x, Value *sorted);
/* i64[n]: which of these texts each of n strings is, the last where some are the same; `count`:
 * none of them. */
Value *lt_strings_search(Import *im, const Strings *s, const OnnxText *texts, int64_t count);

#endif
