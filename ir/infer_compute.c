/* infer_compute.c - types of the ops that compute: maps, folds, and sums of products. */
#include <string.h>

#include "ir/einsum.h"
#include "ir/infer.h"
#include "ir/winograd.h"

/* --- map -----------------------------------------------------------------------------------------
 */

static bool rule_accepts(const ScalarInfo *fn, DType dtype) {
    switch (fn->rule) {
    case RULE_SAME:
    case RULE_COMPARE: return lt_dtype_is_float(dtype) ? fn->for_floats : fn->for_ints;
    case RULE_FLOAT:
    case RULE_TEST: return lt_dtype_is_float(dtype);
    case RULE_INT: return lt_dtype_is_int(dtype);
    case RULE_LOGIC: return dtype == DT_BOOL;
    case RULE_SELECT: return true;
    }
    return false;
}

static bool check_map_dtypes(const Node *node, const ScalarInfo *fn) {
    const uint32_t first = fn->rule == RULE_SELECT ? 1 : 0;
    const DType dtype = input_type(node, first)->dtype;
    if (first == 1 && !lt_infer_need_dtype(node, 0, DT_BOOL))
        return false;
    for (uint32_t i = first; i < node->input_count; i++) {
        if (input_type(node, i)->dtype != dtype)
            return lt_infer_fail(
                node, "input %u of %s is %s, input %u is %s, they must be the same", first,
                fn->name, lt_dtype_name(dtype), i, lt_dtype_name(input_type(node, i)->dtype));
    }
    return rule_accepts(fn, dtype) ||
           lt_infer_fail(node, "%s is not defined for %s", fn->name, lt_dtype_name(dtype));
}

/* Joins one operand's dims into dims[0..*rank), both aligned at their last axis. */
static bool broadcast_operand(const Node *node, const Type *type, int *rank, const Dim **dims) {
    if (type->rank > *rank) {
        const int shift = type->rank - *rank;
        memmove(dims + shift, dims, sizeof(Dim *) * (size_t)*rank);
        memcpy(dims, type->dims, sizeof(Dim *) * (size_t)shift);
        *rank = type->rank;
    }
    for (int i = 0; i < type->rank; i++) {
        const Dim **at = &dims[*rank - 1 - i];
        if (!lt_infer_unify_broadcast(node, *at, type->dims[type->rank - 1 - i], at))
            return false;
    }
    return true;
}

bool lt_infer_MAP(Node *node) {
    const ScalarInfo *fn = &lt_scalar_info[lt_node_fn(node)];
    const Dim *dims[LT_MAX_RANK] = {0};
    int rank = 0;
    if (node->input_count != (uint32_t)fn->arity)
        return lt_infer_fail(node, "%s has %u inputs, %d are expected", fn->name, node->input_count,
                             fn->arity);
    if (!check_map_dtypes(node, fn))
        return false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (!broadcast_operand(node, input_type(node, i), &rank, dims))
            return lt_infer_fail(node,
                                 "input %u of %s is %s, which does not broadcast with input 0, %s",
                                 i, fn->name, lt_infer_type_text(node, input_type(node, i)),
                                 lt_infer_type_text(node, input_type(node, 0)));
    }
    const bool is_bool =
        fn->rule == RULE_COMPARE || fn->rule == RULE_LOGIC || fn->rule == RULE_TEST;
    const DType last = input_type(node, node->input_count - 1)->dtype;
    return lt_infer_set(node, 0, is_bool ? DT_BOOL : last, rank, dims);
}

bool lt_infer_CONVERT(Node *node) {
    const DType dtype = (DType)lt_attr_int(node, ATTR_DTYPE, DT_F32);
    return lt_infer_set_like(node, 0,
                             lt_type_with_dtype(infer_module(node), input_type(node, 0), dtype));
}

bool lt_infer_BITCAST(Node *node) {
    const Type *type = input_type(node, 0);
    const DType dtype = (DType)lt_attr_int(node, ATTR_DTYPE, DT_F32);
    if (lt_dtype_bits(type->dtype) != lt_dtype_bits(dtype))
        return lt_infer_fail(node, "the bits of %s are not as many as those of %s",
                             lt_dtype_name(type->dtype), lt_dtype_name(dtype));
    return lt_infer_set_like(node, 0, lt_type_with_dtype(infer_module(node), type, dtype));
}

/* --- folds ---------------------------------------------------------------------------------------
 */

static bool check_fold(const Node *node, const char *op) {
    static const ScalarFn folds[] = {FN_ADD, FN_MUL, FN_MIN, FN_MAX, FN_AND, FN_OR};
    const ScalarFn fn = lt_node_fn(node);
    const DType dtype = input_type(node, 0)->dtype;
    const bool logic = fn == FN_AND || fn == FN_OR;
    bool known = false;
    for (size_t i = 0; i < sizeof folds / sizeof *folds; i++)
        known |= fn == folds[i];
    if (!known)
        return lt_infer_fail(node, "%s folds by add, mul, min, max, and, or; not by %s", op,
                             lt_scalar_info[fn].name);
    const bool fits = dtype == DT_BOOL ? logic || fn == FN_MIN || fn == FN_MAX : !logic;
    return fits || lt_infer_fail(node, "%s of %s by %s is not defined", op, lt_dtype_name(dtype),
                                 lt_scalar_info[fn].name);
}

/* A set of axes of input 0 as bits; -1 after an error. */
static int axis_set(const Node *node, const Attr *axes) {
    int set = 0;
    for (uint32_t i = 0; i < axes->count; i++) {
        if (!lt_infer_need_axis(node, 0, axes->u.ints[i]))
            return -1;
        if (i > 0 && axes->u.ints[i] <= axes->u.ints[i - 1]) {
            lt_infer_fail(node, "the axes are not in ascending order");
            return -1;
        }
        set |= 1 << axes->u.ints[i];
    }
    return set;
}

static bool set_reduced(Node *node, DType dtype, int set, bool keep) {
    const Type *from = input_type(node, 0);
    const Dim *dims[LT_MAX_RANK] = {0};
    int rank = 0;
    for (int i = 0; i < from->rank; i++) {
        if (!(set & (1 << i)))
            dims[rank++] = from->dims[i];
        else if (keep)
            dims[rank++] = lt_dim_const(infer_dims(node), 1);
    }
    return lt_infer_set(node, 0, dtype, rank, dims);
}

bool lt_infer_REDUCE(Node *node) {
    const int set = axis_set(node, lt_attr(node, ATTR_AXES));
    return set >= 0 && check_fold(node, "reduce") &&
           set_reduced(node, input_type(node, 0)->dtype, set, lt_attr_int(node, ATTR_KEEP, 0));
}

bool lt_infer_ARGREDUCE(Node *node) {
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0);
    const ScalarFn fn = lt_node_fn(node);
    if (!lt_infer_need_axis(node, 0, axis))
        return false;
    if (fn != FN_MIN && fn != FN_MAX)
        return lt_infer_fail(node, "argreduce is by min or max, not by %s",
                             lt_scalar_info[fn].name);
    const Dim *one = lt_dim_const(infer_dims(node), 1), *extent = input_type(node, 0)->dims[axis];
    if (!lt_infer_at_most(node, one, extent))
        return lt_infer_fail(node, "axis %lld is empty, it has no %s", (long long)axis,
                             lt_scalar_info[fn].name);
    return set_reduced(node, DT_I64, 1 << axis, lt_attr_int(node, ATTR_KEEP, 0));
}

bool lt_infer_SCANREDUCE(Node *node) {
    return lt_infer_need_axis(node, 0, lt_attr_int(node, ATTR_AXIS, 0)) &&
           check_fold(node, "cumulate") && lt_infer_set_like(node, 0, input_type(node, 0));
}

/* Checks kernel, strides and dilations of `count` axes: all positive. */
static bool check_positive(const Node *node, AttrName name, int64_t count) {
    const Attr *attr = lt_infer_list(node, name, count);
    for (int64_t i = 0; attr && i < count; i++) {
        if (attr->u.ints[i] < 1)
            return lt_infer_fail(node, "%s of axis %lld is %lld, it must be at least 1",
                                 lt_attr_info[name].name, (long long)i, (long long)attr->u.ints[i]);
    }
    return attr != NULL;
}

static bool check_sweep_attrs(const Node *node, int64_t count) {
    return check_positive(node, ATTR_STRIDES, count) &&
           check_positive(node, ATTR_DILATIONS, count) && lt_infer_list(node, ATTR_PAD_LO, count) &&
           lt_infer_list(node, ATTR_PAD_HI, count);
}

/* The extent that remains when a kernel runs over an axis, the i-th of those that it runs over. */
static const Dim *swept_dim(const Node *node, uint32_t i, const Dim *extent, int64_t kernel) {
    const Sweep sweep = {.extent = extent,
                         .lo = lt_attr(node, ATTR_PAD_LO)->u.dims[i],
                         .hi = lt_attr(node, ATTR_PAD_HI)->u.dims[i],
                         .kernel = kernel,
                         .stride = lt_attr(node, ATTR_STRIDES)->u.ints[i],
                         .dilation = lt_attr(node, ATTR_DILATIONS)->u.ints[i]};
    const Dim *result = lt_infer_sweep(node, &sweep);
    if (!result)
        lt_infer_fail(
            node,
            "spatial axis %u has extent %s, padding included %s, "
            "which is less than the kernel's %lld",
            i, lt_infer_dim_text(node, extent),
            lt_infer_dim_text(node, lt_dim_add(infer_dims(node), extent,
                                               lt_dim_add(infer_dims(node), sweep.lo, sweep.hi))),
            (long long)(sweep.dilation * (kernel - 1) + 1));
    return result;
}

bool lt_infer_WINDOW(Node *node) {
    const Type *from = input_type(node, 0);
    const Attr *axes = lt_attr(node, ATTR_AXES);
    const Dim *dims[LT_MAX_RANK] = {0};
    if (axis_set(node, axes) < 0 || !check_fold(node, "window") ||
        !check_positive(node, ATTR_KERNEL, axes->count) || !check_sweep_attrs(node, axes->count))
        return false;
    memcpy(dims, from->dims, sizeof(Dim *) * (size_t)from->rank);
    for (uint32_t i = 0; i < axes->count; i++) {
        const Dim **dim = &dims[axes->u.ints[i]];
        *dim = swept_dim(node, i, *dim, lt_attr(node, ATTR_KERNEL)->u.ints[i]);
        if (!*dim)
            return false;
    }
    return lt_infer_set(node, 0, from->dtype, from->rank, dims);
}

/* --- sums of products ----------------------------------------------------------------------------
 */

/* Of the sum and the result, where the attribute says it. */
static DType product_dtype(const Node *node) {
    const Attr *stated = lt_attr(node, ATTR_DTYPE);
    return stated ? (DType)stated->u.i : input_type(node, 0)->dtype;
}

static bool check_operands(const Node *node) {
    const DType dtype = input_type(node, 0)->dtype, result = product_dtype(node);
    const Attr *fn = lt_attr(node, ATTR_FN);
    if (dtype == DT_BOOL)
        return lt_infer_fail(node, "sums of products of bool are not defined");
    if (fn && (lt_scalar_info[fn->u.i].arity != 1 || lt_scalar_info[fn->u.i].rule != RULE_FLOAT ||
               !lt_dtype_is_float(dtype)))
        return lt_infer_fail(node, "'%s' is no function of one float",
                             lt_scalar_info[fn->u.i].name);
    if (lt_dtype_is_float(dtype) != lt_dtype_is_float(result) || result == DT_BOOL)
        return lt_infer_fail(node, "products of %s do not add up to %s", lt_dtype_name(dtype),
                             lt_dtype_name(result));
    const bool may_differ = result != dtype && lt_dtype_is_int(input_type(node, 1)->dtype);
    return (may_differ && lt_dtype_is_int(dtype)) || lt_infer_need_dtype(node, 1, dtype);
}

/* The extent of the axis that packing split: attribute size, checked against the blocks, or all of
 * them. */
static const Dim *packed_extent(const Node *node, const Dim *blocks, int64_t width) {
    DimTable *t = infer_dims(node);
    const Dim *ignored, *all = lt_dim_mul_const(t, blocks, width);
    if (!lt_attr(node, ATTR_SIZE))
        return all;
    const Attr *size = lt_infer_list(node, ATTR_SIZE, 1);
    if (!size)
        return NULL;
    const Dim *expected = lt_dim_ceildiv(t, size->u.dims[0], lt_dim_const(t, width));
    if (lt_infer_unify(node, expected, blocks, &ignored))
        return size->u.dims[0];
    lt_infer_fail(node, "%s columns packed by %lld are %s blocks, input 1 has %s",
                  lt_infer_dim_text(node, size->u.dims[0]), (long long)width,
                  lt_infer_dim_text(node, expected), lt_infer_dim_text(node, blocks));
    return NULL;
}

typedef struct ContractDims {
    const char *letters[2]; /* of each operand, in the order of its dims */
    const Dim *of[128];     /* by letter */
} ContractDims;

static bool join_letters(const Node *node, const char *spec, uint32_t input, ContractDims *dims) {
    const Type *type = input_type(node, input);
    for (const char *c = dims->letters[input]; *c; c++) {
        const Dim *dim = type->dims[c - dims->letters[input]], **of = &dims->of[(unsigned char)*c];
        const Dim *before = *of;
        if (before && !lt_infer_unify(node, before, dim, of))
            return lt_infer_fail(node, "%c of \"%s\" is %s in input 0 and %s in input 1", *c, spec,
                                 lt_infer_dim_text(node, before), lt_infer_dim_text(node, dim));
        if (!before)
            *of = dim;
    }
    return true;
}

bool lt_infer_CONTRACT(Node *node) {
    const char *spec = lt_attr_string(node, ATTR_SPEC, "");
    const int64_t width = lt_attr_int(node, ATTR_PACKED, 0);
    LtEinsum e;
    char packed[LT_MAX_RANK + 1];
    const char *error = lt_einsum_parse(&e, spec);
    if (error)
        return lt_infer_fail(node, "the spec \"%s\" %s", spec, error);
    const char column = lt_einsum_column(&e);
    if (width &&
        (lt_einsum_axis(&e, EINSUM_B, column) < 0 || lt_einsum_axis(&e, EINSUM_A, column) >= 0))
        return lt_infer_fail(
            node, "the last letter of \"%s\" is not one of input 1 alone: it cannot be packed",
            spec);
    if (!check_operands(node) || !lt_infer_need_rank(node, 0, e.count[EINSUM_A]) ||
        !lt_infer_need_rank(node, 1, e.count[EINSUM_B] + (width ? 1 : 0)))
        return false;
    ContractDims dims = {.letters = {e.letters[EINSUM_A], e.letters[EINSUM_B]}};
    if (width) {
        lt_einsum_packed_letters(&e, packed);
        dims.letters[1] = packed;
    }
    if (!join_letters(node, spec, 0, &dims) || !join_letters(node, spec, 1, &dims))
        return false;
    if (width)
        dims.of[(unsigned char)column] = packed_extent(node, dims.of[(unsigned char)column], width);
    const Dim *out[LT_MAX_RANK] = {0};
    for (int i = 0; i < e.count[EINSUM_OUT]; i++) {
        out[i] = dims.of[(unsigned char)e.letters[EINSUM_OUT][i]];
        if (!out[i])
            return false;
    }
    return lt_infer_set(node, 0, product_dtype(node), e.count[EINSUM_OUT], out);
}

/* Where the parts of a filter lie: plain [k..., c, o], packed [blocks, k..., c, p]. */
typedef struct FilterDims {
    const Dim *const *kernel;
    const Dim *channels, *outputs;
} FilterDims;

static bool read_filter(const Node *node, int spatial, FilterDims *filter) {
    const int64_t width = lt_attr_int(node, ATTR_PACKED, 0);
    const Dim *const *dims = input_type(node, 1)->dims;
    filter->kernel = width ? dims + 1 : dims;
    filter->channels = filter->kernel[spatial];
    filter->outputs = width ? packed_extent(node, dims[0], width) : dims[spatial + 1];
    for (int i = 0; i < spatial; i++) {
        if (!lt_dim_is_const(filter->kernel[i]) || filter->kernel[i]->value < 1)
            return lt_infer_fail(
                node, "kernel axis %d of the weight is %s, a number of at least 1 is expected", i,
                lt_infer_dim_text(node, filter->kernel[i]));
    }
    return filter->outputs != NULL;
}

static bool check_groups(const Node *node, const Dim *channels, const FilterDims *filter) {
    const int64_t groups = lt_attr_int(node, ATTR_GROUPS, 1);
    const Dim *ignored;
    if (groups < 1)
        return lt_infer_fail(node, "groups is %lld, it must be at least 1", (long long)groups);
    const Dim *expected = lt_dim_mul_const(infer_dims(node), filter->channels, groups);
    if (!lt_infer_unify(node, channels, expected, &ignored))
        return lt_infer_fail(node, "input 0 has %s channels, the weight expects %s%s",
                             lt_infer_dim_text(node, channels), lt_infer_dim_text(node, expected),
                             groups > 1 ? " in all its groups" : "");
    return lt_dim_divisible(infer_dims(node), filter->outputs, groups) ||
           lt_infer_fail(node, "the weight has %s output channels, which %lld groups do not divide",
                         lt_infer_dim_text(node, filter->outputs), (long long)groups);
}

bool lt_infer_CONV(Node *node) {
    const Type *x = input_type(node, 0);
    const int spatial = x->rank - 2;
    const int64_t width = lt_attr_int(node, ATTR_PACKED, 0);
    const Attr *spread = lt_attr(node, ATTR_INPUT_DILATION);
    const Dim *dims[LT_MAX_RANK] = {0};
    FilterDims filter;
    if (spatial < 1)
        return lt_infer_fail(node,
                             "input 0 is %s, a batch axis, spatial axes and channels are expected",
                             lt_infer_type_text(node, x));
    if (!check_operands(node) || !lt_infer_need_rank(node, 1, x->rank + (width ? 1 : 0)) ||
        !check_sweep_attrs(node, spatial) ||
        (spread && !check_positive(node, ATTR_INPUT_DILATION, spatial)) ||
        !read_filter(node, spatial, &filter) || !check_groups(node, x->dims[x->rank - 1], &filter))
        return false;
    dims[0] = x->dims[0];
    dims[spatial + 1] = filter.outputs;
    for (int i = 0; i < spatial; i++) {
        const int64_t by = spread ? spread->u.ints[i] : 1;
        const Dim *extent = lt_dim_add_const(
            infer_dims(node), lt_dim_mul_const(infer_dims(node), x->dims[i + 1], by), 1 - by);
        dims[i + 1] = swept_dim(node, (uint32_t)i, extent, filter.kernel[i]->value);
        if (!dims[i + 1])
            return false;
    }
    return lt_infer_set(node, 0, product_dtype(node), x->rank, dims);
}

static bool check_winograd(const Node *node) {
    if (!lt_infer_list(node, ATTR_TILE, 2))
        return false;
    if (!lt_infer_need_float(node, 0) || !check_operands(node) || !lt_infer_need_rank(node, 0, 4) ||
        !lt_infer_need_rank(node, 1, 5) || !lt_infer_list(node, ATTR_PAD_LO, 2) ||
        !lt_infer_list(node, ATTR_PAD_HI, 2))
        return false;
    const Dim *const *filter = input_type(node, 1)->dims;
    const int64_t *tile = lt_attr(node, ATTR_TILE)->u.ints;
    bool is_known = lt_dim_is_const(filter[4]);
    for (int i = 0; i < 2; i++)
        is_known = is_known && lt_dim_is_const(filter[i]) &&
                   lt_winograd_has(tile[i], filter[i]->value - tile[i] + 1);
    return is_known ||
           lt_infer_fail(node,
                         "the filter is %s, which is none transformed for tiles of %lld x %lld",
                         lt_infer_type_text(node, input_type(node, 1)), (long long)tile[0],
                         (long long)tile[1]);
}

bool lt_infer_WINOGRAD(Node *node) {
    if (!check_winograd(node))
        return false;
    const Type *x = input_type(node, 0);
    const Dim *const *filter = input_type(node, 1)->dims, *dims[4] = {x->dims[0]}, *ignored;
    const int64_t *tile = lt_attr(node, ATTR_TILE)->u.ints;
    if (!lt_infer_unify(node, x->dims[3], filter[3], &ignored))
        return lt_infer_fail(node, "input 0 has %s channels, the filter expects %s",
                             lt_infer_dim_text(node, x->dims[3]),
                             lt_infer_dim_text(node, filter[3]));
    for (int i = 1; i < 3; i++) {
        const Sweep sweep = {.extent = x->dims[i],
                             .lo = lt_attr(node, ATTR_PAD_LO)->u.dims[i - 1],
                             .hi = lt_attr(node, ATTR_PAD_HI)->u.dims[i - 1],
                             .kernel = filter[i - 1]->value - tile[i - 1] + 1,
                             .stride = 1,
                             .dilation = 1};
        dims[i] = lt_infer_sweep(node, &sweep);
        if (!dims[i])
            return lt_infer_fail(node,
                                 "axis %d has extent %s, which is less than %lld with its padding",
                                 i, lt_infer_dim_text(node, x->dims[i]), (long long)sweep.kernel);
    }
    dims[3] = packed_extent(node, filter[2], filter[4]->value);
    return dims[3] && lt_infer_set(node, 0, x->dtype, 4, dims);
}
