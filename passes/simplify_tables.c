/* simplify_tables.c - products with one-hot rows are lookups, and maps of what was looked up are
 * lookups in a mapped table.
 *   %1 = eq %x, [0 .. k - 1]; %2 = convert %1; %3 = contract %2, %w   =>   %3 = gather %w', %x'
 *   %3 = gather %w, %x; %4 = gelu %3                           =>   %4 = gather (gelu %w), %x
 * The first reads one row of the table where the product read all of them. The second computes as
 * many elements as the table has, at compile time, where there were as many as the result has. */
#include <math.h>

#include "ir/einsum.h"
#include "passes/rewrite.h"

static Node *node_of(const Value *v, Op op) { return v->def && v->def->op == op ? v->def : NULL; }

static bool is_number(const Value *v, double number) {
    const Const *c = lt_value_const(v);
    int64_t elements;
    return c && lt_type_is_static(c->type, &elements) && (c->is_splat || elements == 1) &&
           lt_const_get_float(c, 0) == number;
}

/* --- one-hot rows ----------------------------------------------------------------------------- */

/* v counts 0, 1, ... along its last axis, and has no other of an extent but 1. */
static bool is_count(const Value *v) {
    const Type *type = v->type;
    const Const *c = lt_value_const(v);
    const Node *iota = node_of(v, OP_IOTA);
    int64_t elements;
    if (type->rank < 1 || !lt_type_is_static(type, &elements) || elements < 1 ||
        type->dims[type->rank - 1]->value != elements)
        return false;
    if (iota)
        return lt_attr_int(iota, ATTR_AXIS, 0) == type->rank - 1;
    for (int64_t i = 0; c && i < elements; i++)
        if (lt_const_get_int(c, i) != i)
            return false;
    return c != NULL;
}

/* 1 where the condition holds, else 0: by a conversion or a select. */
static Node *truth_as_number(const Value *v) {
    Node *n = v->def;
    if (n && n->op == OP_CONVERT && lt_input(n, 0)->type->dtype == DT_BOOL)
        return lt_input(n, 0)->def;
    if (n && n->op == OP_MAP && lt_node_fn(n) == FN_SELECT && is_number(lt_input(n, 1), 1) &&
        is_number(lt_input(n, 2), 0))
        return lt_input(n, 0)->def;
    return NULL;
}

/* The positions of the ones in the rows of v, with an extent of 1 for the row; NULL: other rows. */
static Value *one_hot_positions(const Value *v) {
    const Node *eq = truth_as_number(v);
    const int last = v->type->rank - 1;
    if (!eq || eq->op != OP_MAP || lt_node_fn(eq) != FN_EQ)
        return NULL;
    for (uint32_t i = 0; i < 2; i++) {
        Value *x = lt_input(eq, i);
        bool fits = is_count(lt_input(eq, 1 - i)) && lt_dtype_is_int(x->type->dtype) &&
                    x->type->rank == v->type->rank && lt_dim_is(x->type->dims[last], 1);
        for (int j = 0; fits && j < last; j++)
            fits = x->type->dims[j] == v->type->dims[j];
        if (fits)
            return x;
    }
    return NULL;
}

/* 0 times infinity is no 0: such rows would spread. */
static bool is_finite(const Const *c) {
    int64_t elements;
    lt_type_is_static(c->type, &elements);
    for (int64_t i = 0; i < (c->is_splat ? 1 : elements); i++)
        if (!isfinite(lt_const_get_float(c, i)))
            return false;
    return true;
}

/* The rows of operand 0 times a matrix: "...k,kn->...n". */
static bool is_row_product(const Node *n) {
    LtEinsum e;
    if (lt_attr_int(n, ATTR_PACKED, 0) ||
        lt_einsum_parse(&e, lt_attr_string(n, ATTR_SPEC, "")) != NULL)
        return false;
    const int rows = e.count[EINSUM_A] - 1;
    if (rows < 0 || e.count[EINSUM_B] != 2 || e.count[EINSUM_OUT] != rows + 1 ||
        e.letters[EINSUM_A][rows] != e.letters[EINSUM_B][0] ||
        e.letters[EINSUM_OUT][rows] != e.letters[EINSUM_B][1])
        return false;
    for (int i = 0; i < rows; i++)
        if (e.letters[EINSUM_A][i] != e.letters[EINSUM_OUT][i])
            return false;
    return true;
}

/* A position outside of the table gives a row of zeros, which becomes the table's last one. */
Value *lt_rewrite_one_hot(Builder *b, Node *n) {
    Module *m = b->graph->module;
    Value *table = lt_input(n, 1);
    const Const *weights = lt_value_const(table);
    const bool is_plain = is_row_product(n) && !lt_attr(n, ATTR_FN);
    Value *x = is_plain && weights ? one_hot_positions(lt_input(n, 0)) : NULL;
    if (!x || weights->type->dtype != lt_output(n)->type->dtype || !is_finite(weights))
        return NULL;
    const DType dtype = x->type->dtype;
    const int64_t rows = table->type->dims[0]->value;
    if (lt_dtype_size(dtype) < (int)sizeof(int32_t))
        x = lt_build_convert(b, x, DT_I32);
    const Dim *row[] = {lt_dim_const(&m->dims, 1), table->type->dims[1]};
    Value *zeros = lt_build_broadcast(b, lt_build_float(b, table->type->dtype, 0), 2, row);
    Value *all = lt_build_concat(b, (Value *[]){table, zeros}, 2, 0);
    Value *size = lt_build_int(b, x->type->dtype, rows);
    Value *inside =
        lt_build_map2(b, FN_AND, lt_build_map2(b, FN_GE, x, lt_build_int(b, x->type->dtype, 0)),
                      lt_build_map2(b, FN_LT, x, size));
    Value *position = lt_build_map3(b, FN_SELECT, inside, x, size);
    const int64_t last = x->type->rank - 1;
    return lt_build_gather(b, lt_build_folded(b, all), lt_build_squeeze(b, position, &last, 1), 0);
}

/* --- maps of lookups -------------------------------------------------------------------------- */

/* v = gather of a constant at the same positions as the lookups before it. */
static bool is_lookup(const Value *v, const Node **first) {
    const Node *n = node_of(v, OP_GATHER);
    if (!n || !lt_value_const(lt_input(n, 0)))
        return false;
    if (!*first)
        *first = n;
    return lt_input(n, 1) == lt_input(*first, 1) &&
           lt_attr_int(n, ATTR_AXIS, 0) == lt_attr_int(*first, ATTR_AXIS, 0) &&
           v->type->rank == lt_output(*first)->type->rank;
}

/* The constant as an operand of a map of the table: one that does not change with the positions. */
static Value *beside_table(Builder *b, Value *v, const Node *lookup) {
    const Type *type = v->type, *table = lt_input(lookup, 0)->type, *out = lt_output(lookup)->type;
    const int axis = (int)lt_attr_int(lookup, ATTR_AXIS, 0);
    const int span = lt_input(lookup, 1)->type->rank, missing = out->rank - type->rank;
    const Dim *dims[LT_MAX_RANK];
    if (missing < 0)
        return NULL;
    for (int i = axis; i < axis + span; i++)
        if (i >= missing && !lt_dim_is(type->dims[i - missing], 1))
            return NULL;
    for (int i = 0; i < table->rank; i++) {
        const int from = (i <= axis ? i : i - 1 + span) - missing;
        dims[i] =
            i == axis || from < 0 ? lt_dim_const(&b->graph->module->dims, 1) : type->dims[from];
    }
    return lt_build_folded(b, lt_build_reshape(b, v, table->rank, dims));
}

static int64_t least_elements(const Module *m, const Type *type) {
    int64_t elements = 1;
    for (int i = 0; i < type->rank; i++) {
        int64_t lo, hi;
        lt_dim_range(&m->dims, type->dims[i], &lo, &hi);
        if (__builtin_mul_overflow(elements, lo, &elements))
            return INT64_MAX;
    }
    return elements;
}

/* Where the table has fewer elements than the result always has. */
Value *lt_rewrite_lookup_map(Builder *b, Node *n) {
    const Node *lookup = NULL;
    Value *inputs[3];
    for (uint32_t i = 0; i < n->input_count; i++)
        if (!lt_value_const(lt_input(n, i)) && !is_lookup(lt_input(n, i), &lookup))
            return NULL;
    if (!lookup || lt_output(n)->type->rank != lt_output(lookup)->type->rank ||
        least_elements(b->graph->module, lt_input(lookup, 0)->type) >
            least_elements(b->graph->module, lt_output(n)->type))
        return NULL;
    for (uint32_t i = 0; i < n->input_count; i++) {
        Value *v = lt_input(n, i);
        inputs[i] = lt_value_const(v) ? beside_table(b, v, lookup) : lt_input(v->def, 0);
        if (!inputs[i])
            return NULL;
    }
    Value *table = lt_build(b, &(NodeSpec){.op = n->op,
                                           .inputs = inputs,
                                           .input_count = n->input_count,
                                           .attrs = n->attrs,
                                           .attr_count = n->attr_count});
    return table ? lt_build_gather(b, lt_build_folded(b, table), lt_input(lookup, 1),
                                   (int)lt_attr_int(lookup, ATTR_AXIS, 0))
                 : NULL;
}
