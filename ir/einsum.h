/* einsum.h - the index notation of contract: "bmk,bkn->bmn", one letter an axis. */
#ifndef LATHE_IR_EINSUM_H
#define LATHE_IR_EINSUM_H

#include "ir/type.h"

/* Which tensor of a contraction: the two operands and the result. */
enum { EINSUM_A, EINSUM_B, EINSUM_OUT, LT_EINSUM_TENSORS };

typedef struct LtEinsum {
    char letters[LT_EINSUM_TENSORS][LT_MAX_RANK + 1]; /* NUL-terminated */
    int count[LT_EINSUM_TENSORS];                     /* ranks */
} LtEinsum;

/* NULL when spec is valid, else what is wrong with it, as the end of a sentence. Letters are a-z
 * and A-Z, no repeats inside a tensor; the result's letters must be in an operand; other letters
 * are summed over. */
const char *lt_einsum_parse(LtEinsum *out, const char *spec);
/* The axis of a letter in one of the tensors, -1 when it is not there. */
int lt_einsum_axis(const LtEinsum *e, int tensor, char letter);
/* In both operands and in the result. */
bool lt_einsum_is_batch(const LtEinsum *e, char letter);
/* Axis order of the packed operand 1 as letters: batch letters, the column letter (its blocks), the
 * rest; the index within the block, which has no letter of its own, is one more axis behind them.
 */
void lt_einsum_packed_letters(const LtEinsum *e, char letters[LT_MAX_RANK + 1]);
/* The letter that packing splits: the last of the result. */
static inline char lt_einsum_column(const LtEinsum *e) {
    return e->count[EINSUM_OUT] ? e->letters[EINSUM_OUT][e->count[EINSUM_OUT] - 1] : '\0';
}

#endif
