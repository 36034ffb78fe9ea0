/* lower_index.c - elements of values: producers become part of the index expression of whoever
 * reads them.
 *
 * An element is asked for by index and predicate. Ops that move elements turn it into an index of
 * their operand, maps into a call on their operands' elements. What was asked for once is
 * remembered until the next statement, so that a value with several uses costs one expression and
 * one walk. */
#include <assert.h>
#include <string.h>

#include "passes/lower_internal.h"

const Expr *lt_lower_zero(Lowering *lo, DType dtype) {
    return lt_dtype_is_float(dtype) ? lt_expr_float(lo->k, dtype, 0) : lt_expr_int(lo->k, dtype, 0);
}

Stmt *lt_lower_take_prelude(Lowering *lo) {
    Stmt *prelude = lo->prelude;
    lo->prelude = NULL;
    lt_map_init(&lo->memo,
                lo->ctx->scratch); /* its expressions may use these LETs, which go out of scope */
    return prelude;
}

/* --- element by element -------------------------------------------------------------------- */

At lt_lower_broadcast(Lowering *lo, const Type *type, int rank, const At *at) {
    At result = {.predicate = at->predicate};
    const int shift = rank - type->rank;
    for (int i = 0; i < type->rank; i++)
        result.index[i] = lt_dim_is(type->dims[i], 1) ? lower_number(lo, 0) : at->index[i + shift];
    return result;
}

static const Expr *at_map(Lowering *lo, const Node *node, const At *at) {
    const Expr *args[3] = {NULL, NULL, NULL};
    const int rank = lt_output(node)->type->rank;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const At there = lt_lower_broadcast(lo, lt_input(node, i)->type, rank, at);
        args[i] = lt_lower_at(lo, lt_input(node, i), &there);
    }
    return lt_expr_call(lo->k, lt_node_fn(node), args[0], args[1], args[2]);
}

static const Expr *at_convert(Lowering *lo, const Node *node, const At *at) {
    return lt_lower_at_as(lo, lt_input(node, 0), at, lt_output(node)->type->dtype);
}

static const Expr *at_bitcast(Lowering *lo, const Node *node, const At *at) {
    return lt_expr_bitcast(lo->k, lt_lower_at(lo, lt_input(node, 0), at),
                           lt_output(node)->type->dtype);
}

static const Expr *at_iota(Lowering *lo, const Node *node, const At *at) {
    const Expr *position = lt_expr_index(lo->k, at->index[lt_attr_int(node, ATTR_AXIS, 0)]);
    return lt_expr_convert(lo->k, position, lt_output(node)->type->dtype);
}

static const Expr *at_dims(Lowering *lo, const Node *node, const At *at) {
    const Attr *dims = lt_attr(node, ATTR_DIMS);
    const Expr *position = lt_expr_index(lo->k, at->index[0]),
               *result = lt_expr_int(lo->k, DT_I64, 0);
    for (uint32_t i = 0; i < dims->count; i++) {
        const Expr *here =
            lt_expr_call(lo->k, FN_EQ, position, lt_expr_int(lo->k, DT_I64, i), NULL);
        result = lt_expr_call(lo->k, FN_SELECT, here,
                              lt_expr_index(lo->k, lower_dim(lo, dims->u.dims[i])), result);
    }
    return result;
}

/* --- moving elements ----------------------------------------------------------------------- */

/* Position in row-major order within dims[0..count), axes of extent 1 left out. */
static const Dim *linearize(Lowering *lo, const Dim *const *dims, const Dim *const *index,
                            int count) {
    DimTable *t = lower_table(lo);
    const Dim *linear = lower_number(lo, 0);
    for (int i = 0; i < count; i++)
        if (!lt_dim_is(dims[i], 1))
            linear = lt_dim_add(t, lt_dim_mul(t, linear, lower_dim(lo, dims[i])), index[i]);
    return linear;
}

static void delinearize(Lowering *lo, const Dim *linear, const Dim *const *dims, int count,
                        const Dim **out) {
    DimTable *t = lower_table(lo);
    int first = 0;
    while (first < count && lt_dim_is(dims[first], 1))
        first++;
    for (int i = count - 1; i >= 0; i--) {
        const Dim *extent = lower_dim(lo, dims[i]);
        if (lt_dim_is(extent, 1)) {
            out[i] = lower_number(lo, 0);
        } else if (i == first) {
            out[i] = linear;
        } else {
            out[i] = lt_dim_mod(t, linear, extent);
            linear = lt_dim_floordiv(t, linear, extent);
        }
    }
}

/* The shortest groups of axes, at least one on each side, that hold equally many elements; all that
 * is left when no product can be shown to be the same. */
static void find_group(Lowering *lo, const Type *from, const Type *to, int *from_end, int *to_end) {
    const int i = *from_end, j = *to_end;
    DimTable *t = &lo->module->dims;
    for (int length = 2; length <= from->rank - i + to->rank - j; length++) {
        for (int a = 1; a < length; a++) {
            const int b = length - a;
            if (i + a > from->rank || j + b > to->rank ||
                lt_dim_product(t, from->dims + i, a) != lt_dim_product(t, to->dims + j, b))
                continue;
            *from_end = i + a;
            *to_end = j + b;
            return;
        }
    }
    *from_end = from->rank;
    *to_end = to->rank;
}

void lt_lower_reshape_index(Lowering *lo, const Type *from, const Dim *const *index, const Type *to,
                            const Dim **out) {
    int i = 0, j = 0;
    while (i < from->rank || j < to->rank) {
        int from_end = i, to_end = j;
        find_group(lo, from, to, &from_end, &to_end);
        const Dim *linear = linearize(lo, from->dims + i, index + i, from_end - i);
        delinearize(lo, linear, to->dims + j, to_end - j, out + j);
        i = from_end;
        j = to_end;
    }
}

static const Expr *at_reshape(Lowering *lo, const Node *node, const At *at) {
    Value *x = lt_input(node, 0);
    At there = {.predicate = at->predicate};
    lt_lower_reshape_index(lo, lt_output(node)->type, at->index, x->type, there.index);
    return lt_lower_at(lo, x, &there);
}

static const Expr *at_broadcast(Lowering *lo, const Node *node, const At *at) {
    const At there =
        lt_lower_broadcast(lo, lt_input(node, 0)->type, lt_output(node)->type->rank, at);
    return lt_lower_at(lo, lt_input(node, 0), &there);
}

static const Expr *at_transpose(Lowering *lo, const Node *node, const At *at) {
    const Attr *perm = lt_attr(node, ATTR_PERM);
    At there = {.predicate = at->predicate};
    for (uint32_t i = 0; i < perm->count; i++)
        there.index[perm->u.ints[i]] = at->index[i];
    return lt_lower_at(lo, lt_input(node, 0), &there);
}

static const Expr *at_slice(Lowering *lo, const Node *node, const At *at) {
    const Attr *start = lt_attr(node, ATTR_START), *step = lt_attr(node, ATTR_STEP);
    DimTable *t = lower_table(lo);
    At there = {.predicate = at->predicate};
    for (uint32_t i = 0; i < start->count; i++)
        there.index[i] = lt_dim_add(t, lower_dim(lo, start->u.dims[i]),
                                    lt_dim_mul_const(t, at->index[i], step->u.ints[i]));
    return lt_lower_at(lo, lt_input(node, 0), &there);
}

/* `inside` where the condition holds, else `fill`. A predicated load is 0 by itself outside. */
static const Expr *choose(Lowering *lo, const Expr *condition, const Expr *inside,
                          const Expr *fill) {
    const bool loads_zero = inside->kind == EXPR_LOAD && inside->u.load.predicate;
    if (!condition || (loads_zero && fill == lt_lower_zero(lo, fill->dtype)))
        return inside;
    return lt_expr_call(lo->k, FN_SELECT, condition, inside, fill);
}

/* The element under a further condition, `fill` where it does not hold. */
static const Expr *at_where(Lowering *lo, Value *value, At at, const Expr *condition,
                            const Expr *fill) {
    if (condition && lt_expr_is_const_bool(condition, true))
        condition = NULL;
    if (condition && lt_expr_is_const_bool(condition, false))
        return fill;
    at.predicate = lt_expr_and(lo->k, at.predicate, condition);
    return choose(lo, condition, lt_lower_at(lo, value, &at), fill);
}

/* A position outside of 0..extent-1 as the one inside that pad's mode repeats there. */
static const Dim *mirror(Lowering *lo, const char *mode, const Dim *position, const Dim *extent) {
    DimTable *t = lower_table(lo);
    const Dim *zero = lower_number(lo, 0), *last = lt_dim_add_const(t, extent, -1);
    if (strcmp(mode, "edge") == 0)
        return lt_dim_max(t, zero, lt_dim_min(t, position, last));
    if (strcmp(mode, "wrap") == 0)
        return lt_dim_mod(t, position, extent);
    const Dim *distance = lt_dim_max(t, position, lt_dim_mul_const(t, position, -1));
    return lt_dim_min(t, distance, lt_dim_sub(t, lt_dim_mul_const(t, last, 2), distance));
}

static const Expr *at_pad(Lowering *lo, const Node *node, const At *at) {
    const Attr *lo_pad = lt_attr(node, ATTR_PAD_LO), *hi_pad = lt_attr(node, ATTR_PAD_HI);
    const Attr *fill = lt_attr(node, ATTR_VALUE);
    const char *mode = lt_attr_string(node, ATTR_MODE, "constant");
    const bool is_constant = strcmp(mode, "constant") == 0;
    const Type *type = lt_input(node, 0)->type;
    const Expr *inside = NULL, *outside = lt_lower_zero(lo, type->dtype);
    At there = *at;
    for (int i = 0; i < type->rank; i++) {
        const Dim *below = lower_dim(lo, lo_pad->u.dims[i]), *extent = lower_dim(lo, type->dims[i]);
        if (lt_dim_is(below, 0) && lt_dim_is(hi_pad->u.dims[i], 0))
            continue;
        there.index[i] = lt_dim_sub(lower_table(lo), at->index[i], below);
        if (is_constant)
            inside = lt_expr_and(lo->k, inside, lt_expr_in_range(lo->k, there.index[i], extent));
        else
            there.index[i] = mirror(lo, mode, there.index[i], extent);
    }
    if (fill && lt_dtype_is_float(type->dtype))
        outside = lt_expr_float(lo->k, type->dtype, lt_const_get_float(fill->u.c, 0));
    else if (fill)
        outside = lt_expr_int(lo->k, type->dtype, lt_const_get_int(fill->u.c, 0));
    return at_where(lo, lt_input(node, 0), there, inside, outside);
}

/* From the last operand to the first: before where the next one begins, this one, else what came so
 * far. */
static const Expr *at_concat(Lowering *lo, const Node *node, const At *at) {
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0);
    DimTable *t = lower_table(lo);
    const Dim **begins = LT_ARRAY(lo->ctx->scratch, const Dim *, node->input_count + 1);
    const Dim *position = at->index[axis];
    const Expr *result = NULL;
    begins[0] = lower_number(lo, 0);
    for (uint32_t i = 0; i < node->input_count; i++)
        begins[i + 1] =
            lt_dim_add(t, begins[i], lower_dim(lo, lt_input(node, i)->type->dims[axis]));
    for (uint32_t i = node->input_count; i-- > 0;) {
        const bool is_last = i + 1 == node->input_count;
        if (begins[i] == begins[i + 1] && (result || i > 0))
            continue;
        const Expr *above =
            i > 0 ? lt_expr_less(lo->k, lt_dim_add_const(t, begins[i], -1), position) : NULL;
        const Expr *below = is_last ? NULL : lt_expr_less(lo->k, position, begins[i + 1]);
        At there = *at;
        there.index[axis] = lt_dim_sub(t, position, begins[i]);
        there.predicate = lt_expr_and(lo->k, at->predicate, lt_expr_and(lo->k, above, below));
        if (there.predicate && lt_expr_is_const_bool(there.predicate, false) && (result || i > 0))
            continue;
        const Expr *element = lt_lower_at(lo, lt_input(node, i), &there);
        result = result && below ? lt_expr_call(lo->k, FN_SELECT, below, element, result) : element;
    }
    return result;
}

/* Blocks at axis `count`, the place within a block last; the rest keeps its order. */
static const Expr *at_pack(Lowering *lo, const Node *node, const At *at) {
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0), width = lt_attr_int(node, ATTR_PACKED, 0);
    const int64_t place = lt_attr_int(node, ATTR_COUNT, 0);
    const Type *type = lt_input(node, 0)->type;
    DimTable *t = lower_table(lo);
    At there = {.predicate = at->predicate};
    int from = 0;
    for (int i = 0; i < type->rank; i++) {
        if (i == axis)
            continue;
        from += from == place;
        there.index[i] = at->index[from++];
    }
    there.index[axis] =
        lt_dim_add(t, lt_dim_mul_const(t, at->index[place], width), at->index[type->rank]);
    const Expr *inside = lt_expr_less(lo->k, there.index[axis], lower_dim(lo, type->dims[axis]));
    return at_where(lo, lt_input(node, 0), there, inside, lt_lower_zero(lo, type->dtype));
}

/* --- values -------------------------------------------------------------------------------- */

static LowerAtFn *const inlined[LT_OP_LIMIT] = {
    [OP_MAP] = at_map,
    [OP_CONVERT] = at_convert,
    [OP_BITCAST] = at_bitcast,
    [OP_IOTA] = at_iota,
    [OP_DIMS] = at_dims,
    [OP_RESHAPE] = at_reshape,
    [OP_BROADCAST] = at_broadcast,
    [OP_TRANSPOSE] = at_transpose,
    [OP_SLICE] = at_slice,
    [OP_PAD] = at_pad,
    [OP_CONCAT] = at_concat,
    [OP_PACK] = at_pack,
    [OP_RESIZE] = lt_lower_at_resize,
    [OP_GATHER] = lt_lower_at_gather,
    [OP_GATHER_ELEMENTS] = lt_lower_at_gather_elements,
    [OP_GATHER_ND] = lt_lower_at_gather_nd,
};

static const Expr *load_param(Lowering *lo, const Value *value, const At *at) {
    const Buffer *buffer = lt_map_get(&lo->params, value->id);
    assert(buffer && "every operand that is read has a parameter");
    return lt_expr_load(lo->k, buffer, at->index, at->predicate);
}

/* The same element, axes of extent 1 aside. */
static bool same_element(const Type *type, const At *a, const At *b) {
    for (int i = 0; i < type->rank; i++)
        if (a->index[i] != b->index[i] && !lt_dim_is(type->dims[i], 1))
            return false;
    return true;
}

/* A value behind the anchor. Where a reshape or transpose moved the element, it is not searched
 * backwards. */
static const Expr *at_forwarded(Lowering *lo, Value *value, const At *at, const At *forwarded) {
    const Node *node = value->def;
    if (!same_element(value->type, at, forwarded)) {
        lt_lower_fail(lo, "a result is read at another place than where it is computed");
        return lt_lower_zero(lo, value->type->dtype);
    }
    if (node == lo->anchor)
        return lo->anchor_value;
    const At *source =
        node->input_count == 1 ? lt_map_get(&lo->forwarded, lt_input(node, 0)->id) : NULL;
    if (source && lt_op_has(node->op, OPF_INJECTIVE))
        return lt_lower_at(lo, lt_input(node, 0), source);
    return inlined[node->op](lo, node, at);
}

static const Expr *compute(Lowering *lo, Value *value, const At *at) {
    const Expr *constant = lt_lower_constant(lo, value);
    if (constant || value == lo->given)
        return constant ? constant : lo->given_element;
    if (!lt_lower_is_inside(lo, value) || value->def->op == OP_CONST)
        return load_param(lo, value, at);
    const At *forwarded = lt_map_get(&lo->forwarded, value->id);
    if (forwarded)
        return at_forwarded(lo, value, at, forwarded);
    if (inlined[value->def->op])
        return inlined[value->def->op](lo, value->def, at);
    lt_lower_fail(lo, "%s cannot be part of it", lt_op_info[value->def->op].name);
    return lt_lower_zero(lo, value->type->dtype);
}

typedef struct Remembered {
    const Value *value;
    At at;
    const Expr *expr;
    struct Remembered *next;
} Remembered;

static bool is_remembered(const Remembered *r, const Value *value, const At *at) {
    return r->value == value && r->at.predicate == at->predicate &&
           memcmp(r->at.index, at->index, (size_t)value->type->rank * sizeof *at->index) == 0;
}

const Expr *lt_lower_at(Lowering *lo, Value *value, const At *at) {
    value = lt_lower_resolve(lo, value);
    uint64_t key = lt_hash_u64(value->id + (at->predicate ? (at->predicate->id + 1ull) << 32 : 0));
    for (int i = 0; i < value->type->rank; i++)
        key = lt_hash_u64(key ^ at->index[i]->id);
    Remembered *head = lt_map_get(&lo->memo, key);
    for (const Remembered *r = head; r; r = r->next)
        if (is_remembered(r, value, at))
            return r->expr;
    const Expr *expr = compute(lo, value, at);
    Remembered *made = LT_NEW(lo->ctx->scratch, Remembered);
    *made = (Remembered){value, *at, expr, lt_map_get(&lo->memo, key)};
    lt_map_set(&lo->memo, key, made);
    return expr;
}

const Expr *lt_lower_at_as(Lowering *lo, Value *value, const At *at, DType dtype) {
    return lt_expr_convert(lo->k, lt_lower_at(lo, value, at), dtype);
}
