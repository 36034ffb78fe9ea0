/* attention.h - attention as a piece of the graph: two contractions with a softmax between them.
 *
 *   %s = contract %q, %k                   scores[m, n] = sum over d of q[m, d] k[n, d]
 *   %t = maps of %s and of anything else   scale, mask, bias, soft cap
 *   %p = softmax %t                        along n
 *   %w = select %c, 0, %p                  perhaps: rows with nothing left are 0; or converted
 *   %o = contract %w, %v                   out[m, c] = sum over n of w[m, n] v[n, c]
 *
 * with any axes around these, m and n in every tensor between the contractions. */
#ifndef LATHE_PASSES_ATTENTION_H
#define LATHE_PASSES_ATTENTION_H

#include "ir/einsum.h"
#include "ir/graph.h"
#include "ir/target.h"
#include "runtime/base/vec.h"

enum { ATTENTION_MOST_LINKS = 24, ATTENTION_MOST_BEHIND = 3 };

typedef struct Attention {
    Node *scores, *softmax, *sums;
    /* Between the softmax and the sums, later ones first: conversions and the choice. */
    Node *behind[ATTENTION_MOST_BEHIND];
    int behind_count;
    Node *choice; /* the select; NULL: there is none. It has one condition for a row, which is: */
    Node *test;   /* isnan of the row's weights; NULL: another value */
    LtEinsum of_scores, of_sums;
    int row; /* the axis of the scores that is m; n is the last */
    /* The maps between the scores and the softmax that depend on the scores, later ones first. */
    Node *links[ATTENTION_MOST_LINKS];
    int link_count;
} Attention;

/* Whether `sums` is the last node of an attention; what is not in its graph does not count. */
bool lt_attention_match(Node *sums, Attention *out);
/* Whether nobody else reads what is between the first contraction and the last. */
bool lt_attention_is_closed(const Attention *a);
/* Whether k and v are packed into panels, as kernels of a CPU read them. */
bool lt_attention_is_packed(const Attention *a);

/* --- attention_tile.c --- */

/* What a block of a GPU's threads does at once. A row's scores lie in several threads. */
typedef struct AttentionTile {
    int64_t rows, columns;   /* of the scores */
    int64_t own_rows, mates; /* a thread's rows, and the threads that have them: a power of two */
    int64_t fold, outputs;   /* sizes of a head and of its values, rounded up to what is computed */
    bool is_mma;             /* on tensor cores */
    const char *why_no_mma;  /* for a remark; NULL: it is */
} AttentionTile;

/* NULL, or why no tile of the target's holds the attention. */
const char *lt_attention_tile(const Attention *a, const Target *target, AttentionTile *out);
/* Positions along all letters that the scores are summed over; 0: their number is not known. */
int64_t lt_attention_head_size(const Attention *a);

#endif
