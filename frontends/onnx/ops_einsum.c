/* ops_einsum.c - Einsum, as contractions of two operands after one another.
 *
 * Every axis has a letter; those that an ellipsis stands for get letters that the equation does not
 * use. A letter twice in a term takes the diagonal before anything else. */
#include <ctype.h>
#include <string.h>

#include "frontends/onnx/ops.h"

enum { MOST_OPERANDS = 16, ELLIPSIS = '.' };

typedef struct Term {
    char letters[2 * LT_MAX_RANK + 1]; /* with one ELLIPSIS where there are three dots */
    int count;
    Value *x; /* an operand's */
} Term;

typedef struct Equation {
    Term operands[MOST_OPERANDS], result;
    uint32_t count;
    bool has_result;
    char batch[LT_MAX_RANK + 1]; /* what ellipses stand for */
    int batch_rank;
} Equation;

/* --- reading ---------------------------------------------------------------------------------- */

static bool add_letter(Import *im, Term *t, char letter) {
    if (t->count == 2 * LT_MAX_RANK)
        return lt_onnx_unsupported(im, "a term of more than %d letters is not supported",
                                   2 * LT_MAX_RANK);
    t->letters[t->count++] = letter;
    return true;
}

static bool read_equation(Import *im, const char *text, Equation *e) {
    Term *term = &e->operands[0];
    e->count = 1;
    for (const char *c = text; *c; c++) {
        const bool is_dots = strncmp(c, "...", 3) == 0;
        if (isspace((unsigned char)*c))
            continue;
        if (strncmp(c, "->", 2) == 0 && !e->has_result) {
            e->has_result = true;
            term = &e->result;
            c++;
        } else if (*c == ',' && !e->has_result) {
            if (e->count == MOST_OPERANDS)
                return lt_onnx_unsupported(im, "more than %d operands are not supported",
                                           MOST_OPERANDS);
            term = &e->operands[e->count++];
        } else if (is_dots ? strchr(term->letters, ELLIPSIS) != NULL
                           : !isalpha((unsigned char)*c)) {
            return lt_onnx_malformed(im, "'%c' is out of place in the equation '%s'", *c, text);
        } else if (!add_letter(im, term, is_dots ? ELLIPSIS : *c)) {
            return false;
        } else if (is_dots) {
            c += 2;
        }
    }
    return true;
}

/* --- ellipses --------------------------------------------------------------------------------- */

static bool is_used(const Equation *e, char letter) {
    for (uint32_t i = 0; i < e->count; i++)
        if (strchr(e->operands[i].letters, letter))
            return true;
    return false;
}

/* How many axes the term's ellipsis stands for; -1: the operand has another rank. */
static int ellipsis_rank(const Term *t) {
    const bool has_one = strchr(t->letters, ELLIPSIS) != NULL;
    const int rest = t->x->type->rank - (t->count - has_one);
    return rest < 0 || (rest > 0 && !has_one) ? -1 : rest;
}

/* The ellipsis becomes the last `rank` letters of those that ellipses stand for. */
static bool expand_ellipsis(Import *im, const Equation *e, Term *t, int rank) {
    Term out = {.x = t->x};
    for (int i = 0; i < t->count; i++) {
        const bool is_dots = t->letters[i] == ELLIPSIS;
        for (int j = is_dots ? e->batch_rank - rank : 0; is_dots && j < e->batch_rank; j++)
            if (!add_letter(im, &out, e->batch[j]))
                return false;
        if (!is_dots && !add_letter(im, &out, t->letters[i]))
            return false;
    }
    *t = out;
    return true;
}

static bool expand_ellipses(Import *im, Equation *e) {
    int ranks[MOST_OPERANDS];
    for (uint32_t i = 0; i < e->count; i++) {
        ranks[i] = ellipsis_rank(&e->operands[i]);
        if (ranks[i] < 0)
            return lt_onnx_malformed(im, "term %u of the equation, '%s', does not fit rank %d", i,
                                     e->operands[i].letters, e->operands[i].x->type->rank);
        e->batch_rank = ranks[i] > e->batch_rank ? ranks[i] : e->batch_rank;
    }
    int named = 0;
    for (char c = 'A'; c <= 'z' && named < e->batch_rank; c++)
        if (isalpha((unsigned char)c) && !is_used(e, c))
            e->batch[named++] = c;
    if (named < e->batch_rank)
        return lt_onnx_unsupported(im, "the equation has too many letters");
    for (uint32_t i = 0; i < e->count; i++)
        if (!expand_ellipsis(im, e, &e->operands[i], ranks[i]))
            return false;
    return !e->has_result || expand_ellipsis(im, e, &e->result, e->batch_rank);
}

/* --- the result's letters --------------------------------------------------------------------- */

static int occurrences(const Equation *e, char letter) {
    int count = 0;
    for (uint32_t i = 0; i < e->count; i++)
        for (const char *c = e->operands[i].letters; *c; c++)
            count += *c == letter;
    return count;
}

/* Without "->" the result has what ellipses stand for, then the letters that occur once, in the
 * order of the alphabet, capitals first. */
static bool default_result(Import *im, Equation *e) {
    for (int i = 0; i < e->batch_rank; i++)
        if (!add_letter(im, &e->result, e->batch[i]))
            return false;
    for (int c = 'A'; c <= 'z'; c++)
        if (isalpha(c) && !strchr(e->batch, c) && occurrences(e, (char)c) == 1 &&
            !add_letter(im, &e->result, (char)c))
            return false;
    return true;
}

static bool check_result(Import *im, const Equation *e) {
    for (const char *c = e->result.letters; *c; c++) {
        if (!is_used(e, *c))
            return lt_onnx_malformed(im, "the letter '%c' of the result is in no operand", *c);
        if (strchr(c + 1, *c))
            return lt_onnx_malformed(im, "the letter '%c' is twice in the result", *c);
    }
    return e->result.count <= LT_MAX_RANK ||
           lt_onnx_unsupported(im, "a result of rank %d is not supported", e->result.count);
}

/* --- operands --------------------------------------------------------------------------------- */

/* The elements whose indices on axes i < j are equal, along a last axis. */
static Value *diagonal(Import *im, Value *x, int i, int j) {
    const int last = x->type->rank - 2;
    const Dim *const *d = x->type->dims, *dims[LT_MAX_RANK];
    const Dim *extent = d[i];
    int64_t perm[LT_MAX_RANK];
    int rank = 0;
    for (int axis = 0; axis < x->type->rank; axis++)
        if (axis != i && axis != j)
            perm[rank++] = axis;
    for (int k = 0; k < rank; k++)
        dims[k] = d[perm[k]];
    perm[rank] = i;
    perm[rank + 1] = j;
    dims[rank] = lt_dim_mul(im->dims, extent, extent);
    lt_graph_add_guard(im->b.graph, extent, d[j], im->node->loc);
    if (lt_dim_is_const(extent) && lt_dim_is_const(d[j]) && extent != d[j]) {
        lt_onnx_malformed(im, "a diagonal of extents %lld and %lld", (long long)extent->value,
                          (long long)d[j]->value);
        return NULL;
    }
    x = lt_build_reshape(&im->b, lt_build_transpose(&im->b, x, perm), rank + 1, dims);
    Value *step = lt_onnx_dim_value(im, lt_dim_add_const(im->dims, extent, 1), DT_I64);
    Value *at = lt_build_map2(&im->b, FN_MUL, lt_build_iota(&im->b, DT_I64, 1, &extent, 0), step);
    return x && at ? lt_build_gather(&im->b, x, at, last) : NULL;
}

static void remove_letter(Term *t, int at) {
    memmove(t->letters + at, t->letters + at + 1, (size_t)(t->count - at));
    t->count--;
}

static bool take_diagonals(Import *im, Term *t) {
    for (int i = 0; i < t->count; i++) {
        const char letter = t->letters[i];
        const char *again = strchr(t->letters + i + 1, letter);
        if (!again)
            continue;
        const int j = (int)(again - t->letters);
        if (!(t->x = diagonal(im, t->x, i, j)))
            return false;
        remove_letter(t, j);
        remove_letter(t, i);
        if (!add_letter(im, t, letter))
            return false;
        i = -1;
    }
    return true;
}

static const Dim *extent_of(const Term *t, char letter) {
    const char *at = strchr(t->letters, letter);
    return at ? t->x->type->dims[at - t->letters] : NULL;
}

/* An axis of extent 1 broadcasts: it goes where another operand has more of it. */
static bool drop_ones(Import *im, Equation *e, Term *t) {
    const Dim *dims[LT_MAX_RANK];
    Term kept = {0};
    for (int i = 0; i < t->count; i++) {
        bool broadcasts = false;
        for (uint32_t k = 0; k < e->count && lt_dim_is(t->x->type->dims[i], 1); k++) {
            const Dim *other = extent_of(&e->operands[k], t->letters[i]);
            broadcasts |= other && !lt_dim_is(other, 1);
        }
        if (broadcasts)
            continue;
        dims[kept.count] = t->x->type->dims[i];
        kept.letters[kept.count++] = t->letters[i];
    }
    kept.x = kept.count == t->count ? t->x : lt_build_reshape(&im->b, t->x, kept.count, dims);
    *t = kept;
    return t->x != NULL;
}

/* --- products --------------------------------------------------------------------------------- */

/* Sums what the result lacks, then orders the rest. */
static Value *reduce_one(Import *im, const Term *t, const Term *result) {
    Value *x = t->x;
    int64_t axes[LT_MAX_RANK], perm[LT_MAX_RANK];
    char kept[LT_MAX_RANK + 1] = "";
    int count = 0, rank = 0;
    for (int i = 0; i < t->count; i++) {
        if (strchr(result->letters, t->letters[i]))
            kept[rank++] = t->letters[i];
        else
            axes[count++] = i;
    }
    for (int i = 0; i < rank; i++)
        perm[i] = strchr(kept, result->letters[i]) - kept;
    if (count)
        x = lt_build_reduce(&im->b, FN_ADD, x, axes, count, false);
    return lt_build_transpose(&im->b, x, perm);
}

static bool is_needed(const Equation *e, uint32_t from, char letter) {
    for (uint32_t i = from; i < e->count; i++)
        if (strchr(e->operands[i].letters, letter))
            return true;
    return strchr(e->result.letters, letter) != NULL;
}

/* What the product of a and operand i has: all that is needed later. */
static bool product_letters(Import *im, const Equation *e, const Term *a, uint32_t i, Term *out) {
    const Term *const factors[] = {a, &e->operands[i]};
    for (int k = 0; k < 2; k++)
        for (const char *c = factors[k]->letters; *c; c++)
            if (!strchr(out->letters, *c) && is_needed(e, i + 1, *c) && !add_letter(im, out, *c))
                return false;
    return out->count <= LT_MAX_RANK ||
           lt_onnx_unsupported(im, "a product of rank %d is not supported", out->count);
}

bool lt_onnx_einsum(Import *im) {
    Equation e = {0};
    if (!read_equation(im, lt_onnx_string(im, "equation", ""), &e))
        return false;
    if (e.count != im->input_count)
        return lt_onnx_malformed(im, "the equation has %u operands, the node %u", e.count,
                                 im->input_count);
    for (uint32_t i = 0; i < e.count; i++)
        if (!(e.operands[i].x = im->inputs[i]))
            return lt_onnx_malformed(im, "input %u is missing", i);
    if (!expand_ellipses(im, &e) || (!e.has_result && !default_result(im, &e)) ||
        !check_result(im, &e))
        return false;
    for (uint32_t i = 0; i < e.count; i++)
        if (!take_diagonals(im, &e.operands[i]))
            return false;
    for (uint32_t i = 0; i < e.count; i++)
        if (!drop_ones(im, &e, &e.operands[i]))
            return false;
    if (e.count == 1)
        return onnx_set(im, 0, reduce_one(im, &e.operands[0], &e.result));
    Term product = e.operands[0];
    for (uint32_t i = 1; i < e.count; i++) {
        Term next = {0};
        if (i + 1 == e.count)
            next = e.result;
        else if (!product_letters(im, &e, &product, i, &next))
            return false;
        const char *spec = lt_arena_printf(im->arena, "%s,%s->%s", product.letters,
                                           e.operands[i].letters, next.letters);
        next.x = lt_build_contract(&im->b, product.x, e.operands[i].x, spec);
        if (!next.x)
            return false;
        product = next;
    }
    return onnx_set(im, 0, product.x);
}
