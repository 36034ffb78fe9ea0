/* attention.c - finds two contractions with a softmax between them. */
#include "passes/attention.h"

#include <string.h>

static bool is_product(const Node *n, LtEinsum *e) {
    const Type *type = n->op == OP_CONTRACT ? lt_output(n)->type : NULL;
    return type && !lt_attr(n, ATTR_FN) && !lt_attr(n, ATTR_DTYPE) &&
           lt_dtype_is_float(type->dtype) && lt_dtype_size(type->dtype) <= 4 &&
           !lt_einsum_parse(e, lt_attr_string(n, ATTR_SPEC, ""));
}

/* --- the maps between ------------------------------------------------------------------------- */

typedef struct Walk {
    Attention *a;
    const Type *type; /* of the softmax's operand */
    Node *seen[4 * ATTENTION_MOST_LINKS];
    bool leads[4 * ATTENTION_MOST_LINKS]; /* to the scores */
    int seen_count;
    bool failed;
} Walk;

/* Whether the value depends on the scores; notes the maps on the way. */
static bool leads_to_scores(Walk *w, const Value *v) {
    Node *def = v->def;
    if (!def || w->failed || !lt_type_same_dims(v->type, w->type))
        return false;
    if (def->op == OP_CONTRACT) {
        const bool fits = !w->a->scores || w->a->scores == def;
        w->a->scores = fits && is_product(def, &w->a->of_scores) ? def : w->a->scores;
        return w->a->scores == def;
    }
    if (def->op != OP_MAP && def->op != OP_CONVERT)
        return false;
    for (int i = 0; i < w->seen_count; i++)
        if (w->seen[i] == def)
            return w->leads[i];
    w->failed = w->seen_count == 4 * ATTENTION_MOST_LINKS;
    if (w->failed)
        return false;
    const int own = w->seen_count++;
    w->seen[own] = def;
    for (uint32_t i = 0; i < def->input_count; i++)
        w->leads[own] |= leads_to_scores(w, lt_input(def, i));
    return w->leads[own];
}

static bool find_scores(Attention *a) {
    Walk w = {.a = a, .type = lt_input(a->softmax, 0)->type};
    if (!leads_to_scores(&w, lt_input(a->softmax, 0)) || w.failed)
        return false;
    for (int i = 0; i < w.seen_count; i++) {
        if (!w.leads[i])
            continue;
        if (a->link_count == ATTENTION_MOST_LINKS)
            return false;
        a->links[a->link_count++] = w.seen[i];
    }
    return true;
}

/* --- the letters ------------------------------------------------------------------------------ */

static bool has(const LtEinsum *e, int tensor, char letter) {
    return lt_einsum_axis(e, tensor, letter) >= 0;
}

/* Summed letters are in both operands. */
static bool sums_pairs(const LtEinsum *e) {
    for (int tensor = EINSUM_A; tensor <= EINSUM_B; tensor++)
        for (const char *p = e->letters[tensor]; *p; p++)
            if (!has(e, EINSUM_OUT, *p) && !has(e, !tensor, *p))
                return false;
    return true;
}

/* The scores' last axis comes from k alone, and is all that the sums fold; v brings one axis. */
static bool fits(Attention *a) {
    const LtEinsum *s = &a->of_scores, *o = &a->of_sums;
    const int rank = s->count[EINSUM_OUT];
    if (o->count[EINSUM_A] != rank || rank < 2 || !sums_pairs(s) || !sums_pairs(o))
        return false;
    int brought = 0;
    for (const char *p = o->letters[EINSUM_B]; *p; p++)
        brought += !has(o, EINSUM_A, *p);
    for (int i = 0; i < rank; i++)
        if (has(o, EINSUM_OUT, o->letters[EINSUM_A][i]) != (i < rank - 1))
            return false;
    a->row = -1;
    for (int i = 0; i < rank - 1; i++)
        if (!has(s, EINSUM_B, s->letters[EINSUM_OUT][i]) &&
            !has(o, EINSUM_B, o->letters[EINSUM_A][i]))
            a->row = i;
    return brought == 1 && !has(o, EINSUM_A, lt_einsum_column(o)) &&
           !has(s, EINSUM_A, lt_einsum_column(s)) && a->row >= 0;
}

/* --- behind the softmax ----------------------------------------------------------------------- */

static bool is_map(const Node *n, ScalarFn fn) { return n->op == OP_MAP && lt_node_fn(n) == fn; }

static bool is_zero(const Value *v) {
    const Const *c = lt_value_const(v);
    return c && (c->is_splat || c->type->rank == 0) && lt_const_get_float(c, 0) == 0;
}

/* select(c, 0, x), where c is isnan(x) or the same for a whole row. */
static bool read_choice(Attention *a, Node *n) {
    if (a->choice || !is_map(n, FN_SELECT) || !is_zero(lt_input(n, 1)) ||
        !lt_type_same_dims(lt_input(n, 2)->type, lt_output(n)->type))
        return false;
    const Value *c = lt_input(n, 0);
    a->choice = n;
    if (c->def && is_map(c->def, FN_ISNAN) && lt_input(c->def, 0) == lt_input(n, 2))
        a->test = c->def;
    return a->test || c->type->rank == 0 || lt_dim_is(c->type->dims[c->type->rank - 1], 1);
}

/* Back from the sums. */
static bool find_softmax(Attention *a) {
    Node *n = lt_input(a->sums, 0)->def;
    while (n && n->op != OP_SOFTMAX) {
        const bool is_choice = read_choice(a, n);
        if ((!is_choice && n->op != OP_CONVERT) || a->behind_count == ATTENTION_MOST_BEHIND)
            return false;
        a->behind[a->behind_count++] = n;
        n = lt_input(n, is_choice ? 2 : 0)->def;
    }
    a->softmax = n;
    return n != NULL;
}

/* The choice's condition is not made of a score. */
static bool chooses_rows(const Attention *a) {
    for (int i = 0; i < a->link_count && a->choice; i++)
        if (lt_input(a->choice, 0)->def == a->links[i])
            return false;
    return true;
}

bool lt_attention_match(Node *sums, Attention *out) {
    *out = (Attention){.sums = sums};
    if (!is_product(sums, &out->of_sums) || !find_softmax(out))
        return false;
    const Type *type = lt_input(out->softmax, 0)->type;
    return lt_dtype_size(type->dtype) <= 4 &&
           lt_attr_int(out->softmax, ATTR_AXIS, 0) == type->rank - 1 && find_scores(out) &&
           chooses_rows(out) && fits(out);
}

/* --- who reads what is between ---------------------------------------------------------------- */

static bool is_among(Node *const *nodes, int count, const Node *n) {
    for (int i = 0; i < count; i++)
        if (nodes[i] == n)
            return true;
    return false;
}

/* The operand is one that the attention computes with on the way. */
static bool is_inside(const Attention *a, const Operand *use) {
    const Node *n = use->user;
    return is_among(a->links, a->link_count, n) || is_among(a->behind, a->behind_count, n) ||
           n == a->softmax || n == a->test || (n == a->sums && use == &n->inputs[0]);
}

static bool is_read_inside(const Attention *a, const Node *n) {
    for (const Operand *use = lt_output(n)->uses; use; use = use->next_use)
        if (!is_inside(a, use))
            return false;
    return true;
}

bool lt_attention_is_closed(const Attention *a) {
    for (int i = 0; i < a->link_count; i++)
        if (!is_read_inside(a, a->links[i]))
            return false;
    for (int i = 0; i < a->behind_count; i++)
        if (!is_read_inside(a, a->behind[i]))
            return false;
    return is_read_inside(a, a->scores) && is_read_inside(a, a->softmax) &&
           (!a->test || is_read_inside(a, a->test));
}

bool lt_attention_is_packed(const Attention *a) {
    return lt_attr_int(a->scores, ATTR_PACKED, 0) && lt_attr_int(a->sums, ATTR_PACKED, 0);
}
