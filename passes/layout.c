/* layout.c - moves transposes until they cancel or become part of a contraction.
 * Requires: types. Ensures: no transpose whose user could have worked on its operand instead.
 *   %1 = transpose %0 {perm = [0, 3, 1, 2]}; %2 = relu %1
 *   %3 = transpose %2 {perm = [0, 2, 3, 1]}; %4 = conv %3, %w
 *   =>  %2 = relu %0; %4 = conv %2, %w
 *
 * The readers put transposes around every convolution, which is channels last here and channels
 * first in most models. One walk in topological order moves each transpose below its users, where
 * it meets the next one. A user may be passed when all its operands of full size come through the
 * same permutation; constants and small operands are permuted instead. A row of `sinks` says how
 * the op's own attributes follow. */
#include "passes/layout.h"

#include <string.h>

enum { MAX_WALKS = 8 };

/* --- permutations -------------------------------------------------------------------------- */

static const int64_t *perm_of(const Value *v) {
    if (!v || !v->def || v->def->op != OP_TRANSPOSE)
        return NULL;
    return lt_attr(v->def, ATTR_PERM)->u.ints;
}

static bool is_identity(const int64_t *perm, int rank) {
    for (int i = 0; i < rank; i++)
        if (perm[i] != i)
            return false;
    return true;
}

static void invert(const int64_t *perm, int rank, int64_t *out) {
    for (int i = 0; i < rank; i++)
        out[perm[i]] = i;
}

/* Axes of extent above 1 keep their order: nothing moves in memory. */
static bool moves_nothing(const Value *x, const int64_t *perm) {
    int64_t last = -1;
    for (int i = 0; i < x->type->rank; i++) {
        if (lt_dim_is(x->type->dims[perm[i]], 1))
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

static Value *transposed(Builder *b, Value *x, const int64_t *perm) {
    return is_identity(perm, x->type->rank) ? x : lt_build_transpose(b, x, perm);
}

/* --- transposes that meet, or that move nothing -------------------------------------------- */

static Value *merge_transposes(Builder *b, Node *n) {
    const int64_t *outer = lt_attr(n, ATTR_PERM)->u.ints, *inner = perm_of(lt_input(n, 0));
    Value *x = lt_input(n, 0);
    int64_t composed[LT_MAX_RANK];
    int rank = x->type->rank;
    if (inner) {
        for (int i = 0; i < rank; i++)
            composed[i] = inner[outer[i]];
        return transposed(b, lt_input(x->def, 0), composed);
    }
    if (is_identity(outer, rank))
        return x;
    if (moves_nothing(x, outer))
        return lt_build_reshape(b, x, rank, lt_output(n)->type->dims);
    return NULL;
}

/* --- operands of element-wise ops ---------------------------------------------------------- */

/* v with leading axes of extent 1 up to `rank`, then permuted by `inverse`. */
static Value *permute_small(Builder *b, Value *v, int rank, const int64_t *inverse) {
    DimTable *dims = &b->graph->module->dims;
    if (v->type->rank < rank) {
        const Dim *shape[LT_MAX_RANK];
        int missing = rank - v->type->rank;
        for (int i = 0; i < rank; i++)
            shape[i] = i < missing ? lt_dim_const(dims, 1) : v->type->dims[i - missing];
        v = lt_build_reshape(b, v, rank, shape);
    }
    if (moves_nothing(v, inverse)) {
        const Dim *shape[LT_MAX_RANK];
        for (int i = 0; i < rank; i++)
            shape[i] = v->type->dims[inverse[i]];
        return lt_build_reshape(b, v, rank, shape);
    }
    return lt_build_transpose(b, v, inverse);
}

static bool is_scalar(Module *m, const Value *v) {
    return lt_dim_is(lt_type_elements(m, v->type), 1);
}

static bool same_perm(const Value *v, const int64_t *perm, int rank) {
    const int64_t *other = perm_of(v);
    bool full = other && v->type->rank == rank;
    return full && memcmp(other, perm, (size_t)rank * sizeof *perm) == 0;
}

/* Operands below the transposes, into `out`; false: one of full size comes another way. */
static bool lower_operands(Builder *b, const Node *n, const int64_t *perm, Value **out) {
    Module *m = b->graph->module;
    int rank = lt_output(n)->type->rank;
    const Dim *full = lt_type_elements(m, lt_output(n)->type);
    int64_t inverse[LT_MAX_RANK];
    invert(perm, rank, inverse);
    for (uint32_t i = 0; i < n->input_count; i++) {
        Value *v = lt_input(n, i);
        bool small = lt_value_const(v) || lt_type_elements(m, v->type) != full;
        if (!same_perm(v, perm, rank) && !small)
            return false;
    }
    for (uint32_t i = 0; i < n->input_count; i++) {
        Value *v = lt_input(n, i);
        if (same_perm(v, perm, rank))
            out[i] = lt_input(v->def, 0);
        else
            out[i] = is_scalar(m, v) && v->type->rank <= 1 ? v : permute_small(b, v, rank, inverse);
    }
    return true;
}

/* --- the walk ------------------------------------------------------------------------------ */

/* The permutation that n's operands come through: the first operand's that has one. */
static const int64_t *common_perm(const Node *n, int *rank) {
    for (uint32_t i = 0; i < n->input_count; i++) {
        const int64_t *perm = perm_of(lt_input(n, i));
        if (!perm)
            continue;
        *rank = lt_input(n, i)->type->rank;
        return perm;
    }
    return NULL;
}

static Value *sink_elementwise(Builder *b, Node *n, const int64_t *perm, int rank) {
    Value *inputs[3];
    if (rank != lt_output(n)->type->rank || !lower_operands(b, n, perm, inputs))
        return NULL;
    NodeSpec spec = {
        .op = n->op,
        .inputs = inputs,
        .input_count = n->input_count,
        .attrs = n->attrs,
        .attr_count = n->attr_count,
    };
    Value *below = lt_build(b, &spec);
    return transposed(b, below, perm);
}

static Value *pass_below(Builder *b, Node *n) {
    int rank = 0;
    if (n->op == OP_TRANSPOSE)
        return merge_transposes(b, n);
    const int64_t *perm = common_perm(n, &rank);
    if (!perm)
        return NULL;
    if (lt_op_has(n->op, OPF_ELEMENTWISE))
        return sink_elementwise(b, n, perm, rank);
    return lt_layout_sink(b, n, perm, rank);
}

static bool walk(Graph *g) {
    bool changed = false;
    LT_EACH_NODE_SAFE(n, g) {
        if (n->output_count != 1 || n->region_count)
            continue;
        Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
        Value *replacement = pass_below(&b, n);
        if (!replacement || !lt_can_replace(lt_output(n), replacement))
            continue;
        lt_replace(lt_output(n), replacement);
        lt_node_remove(n);
        changed = true;
    }
    return changed;
}

/* Transposes of small operands appear behind the walk: again, until nothing moves. */
bool lt_pass_layout(PassContext *ctx) {
    bool changed = false;
    for (int i = 0; i < MAX_WALKS && walk(lt_pass_graph(ctx)); i++)
        changed = true;
    return changed;
}
