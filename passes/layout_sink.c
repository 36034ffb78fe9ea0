/* layout_sink.c - ops that name axes, below a transpose: axis i of its result is axis perm[i] of
 * its operand. */
#include "passes/layout.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ir/einsum.h"

typedef struct Sink {
    Builder *b;
    Node *node;
    const int64_t *perm;
    int rank;
} Sink;

static Value *operand_below(const Sink *s, uint32_t index) {
    return lt_input(lt_input(s->node, index)->def, 0);
}

/* A copy of the node on `inputs`, with `count` attributes replaced. */
static Value *rebuild(const Sink *s, Value *const *inputs, uint32_t input_count,
                      const Attr *changed, uint32_t count) {
    const Node *n = s->node;
    Attr attrs[LT_ATTR_LIMIT];
    for (uint32_t i = 0; i < n->attr_count; i++) {
        attrs[i] = n->attrs[i];
        for (uint32_t j = 0; j < count; j++)
            if (changed[j].name == attrs[i].name)
                attrs[i] = changed[j];
    }
    NodeSpec spec = {
        .op = n->op,
        .inputs = inputs,
        .input_count = input_count,
        .attrs = attrs,
        .attr_count = n->attr_count,
    };
    return lt_build(s->b, &spec);
}

static Value *rebuild_unary(const Sink *s, const Attr *changed, uint32_t count) {
    Value *x = operand_below(s, 0);
    return rebuild(s, &x, 1, changed, count);
}

static Value *and_transpose(const Sink *s, Value *below) {
    return below ? lt_build_transpose(s->b, below, s->perm) : NULL;
}

static Attr permuted_dims(const Sink *s, AttrName name, const Dim **storage) {
    const Attr *a = lt_attr(s->node, name);
    for (int i = 0; i < s->rank; i++)
        storage[s->perm[i]] = a->u.dims[i];
    return lt_dims(name, storage, (uint32_t)s->rank);
}

static Value *sink_slice(const Sink *s) {
    const Dim *start[LT_MAX_RANK], *size[LT_MAX_RANK];
    int64_t step[LT_MAX_RANK];
    const int64_t *old = lt_attr(s->node, ATTR_STEP)->u.ints;
    for (int i = 0; i < s->rank; i++)
        step[s->perm[i]] = old[i];
    Attr changed[] = {permuted_dims(s, ATTR_START, start), permuted_dims(s, ATTR_SIZE, size),
                      lt_ints(ATTR_STEP, step, (uint32_t)s->rank)};
    return and_transpose(s, rebuild_unary(s, changed, 3));
}

static Value *sink_pad(const Sink *s) {
    const Dim *lo[LT_MAX_RANK], *hi[LT_MAX_RANK];
    Attr changed[] = {permuted_dims(s, ATTR_PAD_LO, lo), permuted_dims(s, ATTR_PAD_HI, hi)};
    return and_transpose(s, rebuild_unary(s, changed, 2));
}

static Value *sink_concat(const Sink *s) {
    const Node *n = s->node;
    Module *m = n->graph->module;
    Value **inputs = LT_ARRAY(m->arena, Value *, n->input_count);
    int64_t inverse[LT_MAX_RANK];
    for (int i = 0; i < s->rank; i++)
        inverse[s->perm[i]] = i;
    for (uint32_t i = 0; i < n->input_count; i++) {
        Value *v = lt_input(n, i);
        bool below = v->def && v->def->op == OP_TRANSPOSE &&
                     memcmp(lt_attr(v->def, ATTR_PERM)->u.ints, s->perm,
                            (size_t)s->rank * sizeof *s->perm) == 0;
        if (!below && !lt_value_const(v))
            return NULL;
        inputs[i] = below ? operand_below(s, i) : lt_build_transpose(s->b, v, inverse);
    }
    Attr changed = lt_int(ATTR_AXIS, s->perm[lt_attr_int(n, ATTR_AXIS, 0)]);
    return and_transpose(s, rebuild(s, inputs, n->input_count, &changed, 1));
}

static Value *sink_gather(const Sink *s) {
    const Node *n = s->node;
    Value *indices = lt_input(n, 1);
    if (indices->type->rank != 1 || !lt_input(n, 0)->def || lt_input(n, 0)->def->op != OP_TRANSPOSE)
        return NULL;
    Attr changed = lt_int(ATTR_AXIS, s->perm[lt_attr_int(n, ATTR_AXIS, 0)]);
    Value *inputs[] = {operand_below(s, 0), indices};
    return and_transpose(s, rebuild(s, inputs, 2, &changed, 1));
}

/* --- folds --------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The permutation that is left when the axes in `gone` (operand's numbering) vanish. */
static int remaining_perm(const Sink *s, const bool *gone, int64_t *out) {
    int rank_below[LT_MAX_RANK], next = 0, count = 0;
    for (int i = 0; i < s->rank; i++)
        rank_below[i] = gone[i] ? -1 : next++;
    for (int i = 0; i < s->rank; i++)
        if (!gone[s->perm[i]])
            out[count++] = rank_below[s->perm[i]];
    return count;
}

static Value *sink_reduce(const Sink *s) {
    const Attr *axes = lt_attr(s->node, ATTR_AXES);
    int64_t below[LT_MAX_RANK], left[LT_MAX_RANK];
    bool gone[LT_MAX_RANK] = {false};
    for (uint32_t i = 0; i < axes->count; i++) {
        below[i] = s->perm[axes->u.ints[i]];
        gone[below[i]] = true;
    }
    qsort(below, axes->count, sizeof *below, by_value);
    Attr changed = lt_ints(ATTR_AXES, below, axes->count);
    Value *result = rebuild_unary(s, &changed, 1);
    if (lt_attr_int(s->node, ATTR_KEEP, 0))
        return and_transpose(s, result);
    int count = remaining_perm(s, gone, left);
    for (int i = 0; i < count; i++)
        if (left[i] != i)
            return lt_build_transpose(s->b, result, left);
    return result;
}

/* Axes are sorted: the arrays that go with them follow the axes' new order. */
static Value *sink_window(const Sink *s) {
    const Node *n = s->node;
    const Attr *axes = lt_attr(n, ATTR_AXES);
    uint32_t count = axes->count;
    int64_t below[LT_MAX_RANK], kernel[LT_MAX_RANK], strides[LT_MAX_RANK], dilations[LT_MAX_RANK];
    const Dim *lo[LT_MAX_RANK], *hi[LT_MAX_RANK];
    for (uint32_t i = 0; i < count; i++)
        below[i] = s->perm[axes->u.ints[i]];
    qsort(below, count, sizeof *below, by_value);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (below[at] != s->perm[axes->u.ints[i]])
            at++;
        kernel[at] = lt_attr(n, ATTR_KERNEL)->u.ints[i];
        strides[at] = lt_attr(n, ATTR_STRIDES)->u.ints[i];
        dilations[at] = lt_attr(n, ATTR_DILATIONS)->u.ints[i];
        lo[at] = lt_attr(n, ATTR_PAD_LO)->u.dims[i];
        hi[at] = lt_attr(n, ATTR_PAD_HI)->u.dims[i];
    }
    Attr changed[] = {
        lt_ints(ATTR_AXES, below, count),      lt_ints(ATTR_KERNEL, kernel, count),
        lt_ints(ATTR_STRIDES, strides, count), lt_ints(ATTR_DILATIONS, dilations, count),
        lt_dims(ATTR_PAD_LO, lo, count),       lt_dims(ATTR_PAD_HI, hi, count),
    };
    return and_transpose(s, rebuild_unary(s, changed, 6));
}

/* --- reshapes that only add or drop axes of extent 1 --------------------------------------- */

/* y = transpose(x, perm) and z = reshape(y) agree in their axes above 1. Then z is a permutation of
 * x's own such axes, with all of z's axes of extent 1 put behind them. */
static Value *sink_unit_reshape(const Sink *s) {
    const Type *y = lt_input(s->node, 0)->type, *z = lt_output(s->node)->type;
    Value *x = operand_below(s, 0);
    const Dim *shape[2 * LT_MAX_RANK];
    int64_t place[LT_MAX_RANK], perm[LT_MAX_RANK];
    int wide = 0, at = 0;
    for (int i = 0; i < x->type->rank; i++) {
        place[i] = wide;
        if (!lt_dim_is(x->type->dims[i], 1))
            shape[wide++] = x->type->dims[i];
    }
    int next_unit = wide;
    for (int i = 0; i < z->rank; i++) {
        if (lt_dim_is(z->dims[i], 1)) {
            shape[next_unit] = z->dims[i];
            perm[i] = next_unit++;
            continue;
        }
        while (at < y->rank && lt_dim_is(y->dims[at], 1))
            at++;
        if (at == y->rank || y->dims[at] != z->dims[i])
            return NULL;
        perm[i] = place[s->perm[at++]];
    }
    if (next_unit != z->rank)
        return NULL;
    Value *below = lt_build_reshape(s->b, x, z->rank, shape);
    return lt_build_transpose(s->b, below, perm);
}

/* --- contractions take transposes into their spec ------------------------------------------ */

static Value *absorb_into_contraction(const Sink *s) {
    Node *n = s->node;
    if (lt_attr_int(n, ATTR_PACKED, 0))
        return NULL;
    LtEinsum e;
    lt_einsum_parse(&e, lt_attr_string(n, ATTR_SPEC, ""));
    Value *inputs[2];
    for (uint32_t i = 0; i < 2; i++) {
        Value *v = lt_input(n, i);
        inputs[i] = v;
        if (!v->def || v->def->op != OP_TRANSPOSE)
            continue;
        const int64_t *perm = lt_attr(v->def, ATTR_PERM)->u.ints;
        char letters[LT_MAX_RANK + 1] = {0};
        for (int j = 0; j < e.count[i]; j++)
            letters[perm[j]] = e.letters[i][j];
        memcpy(e.letters[i], letters, sizeof letters);
        inputs[i] = operand_below(s, i);
    }
    const char *spec = lt_arena_printf(n->graph->module->arena, "%s,%s->%s", e.letters[0],
                                       e.letters[1], e.letters[EINSUM_OUT]);
    return lt_build_contract_like(s->b, n, inputs, spec);
}

typedef Value *SinkFn(const Sink *s);

static const struct {
    Op op;
    SinkFn *sink;
} sinks[] = {
    {OP_SLICE, sink_slice},          {OP_PAD, sink_pad},
    {OP_CONCAT, sink_concat},        {OP_GATHER, sink_gather},
    {OP_REDUCE, sink_reduce},        {OP_WINDOW, sink_window},
    {OP_RESHAPE, sink_unit_reshape}, {OP_CONTRACT, absorb_into_contraction},
};

Value *lt_layout_sink(Builder *b, Node *n, const int64_t *perm, int rank) {
    Sink s = {.b = b, .node = n, .perm = perm, .rank = rank};
    for (size_t i = 0; i < sizeof sinks / sizeof *sinks; i++)
        if (sinks[i].op == n->op)
            return sinks[i].sink(&s);
    return NULL;
}
