/* ops_shape.c - ops on shapes and views: their targets come from known contents, as dims. */
#include <math.h>
#include <string.h>

#include "frontends/onnx/strings.h"

bool lt_onnx_identity(Import *im) { return onnx_set(im, 0, im->inputs[0]); }

static bool set_list(Import *im, DType dtype, size_t count, const void *data, int rank) {
    int64_t dims[1] = {(int64_t)count};
    const void *copy = lt_arena_copy(im->arena, data, count * lt_dtype_size(dtype));
    return onnx_set(
        im, 0,
        lt_build_const(&im->b,
                       lt_const(im->module, lt_type_static(im->module, dtype, rank, dims), copy)));
}

bool lt_onnx_constant(Import *im) {
    const OnnxAttribute *a;
    if (im->node->attributes.len != 1)
        return lt_onnx_malformed(im, "it must have one attribute, its value");
    if (lt_onnx_has(im, "sparse_value")) {
        a = lt_onnx_attribute(im, "sparse_value", ONNX_ATTR_SPARSE);
        const Const *c = a ? lt_onnx_tensor(im, a->t, im->node->loc) : NULL;
        return c && onnx_set(im, 0, lt_build_const(&im->b, c));
    }
    if (lt_onnx_has(im, "value")) {
        a = lt_onnx_attribute(im, "value", ONNX_ATTR_TENSOR);
        return a && onnx_set(im, 0, lt_strings_or_tensor(im, a->t, im->node->loc));
    }
    if (lt_onnx_has(im, "value_int"))
        return onnx_set(im, 0, lt_build_int(&im->b, DT_I64, lt_onnx_int(im, "value_int", 0)));
    if (lt_onnx_has(im, "value_float"))
        return onnx_set(im, 0, lt_build_float(&im->b, DT_F32, lt_onnx_float(im, "value_float", 0)));
    if (lt_onnx_has(im, "value_ints") && (a = lt_onnx_attribute(im, "value_ints", ONNX_ATTR_INTS)))
        return set_list(im, DT_I64, a->ints.len, a->ints.data, 1);
    if (lt_onnx_has(im, "value_floats") &&
        (a = lt_onnx_attribute(im, "value_floats", ONNX_ATTR_FLOATS)))
        return set_list(im, DT_F32, a->floats.len, a->floats.data, 1);
    return lt_strings_constant(im);
}

bool lt_onnx_constant_of_shape(Import *im) {
    int64_t rank;
    const Dim *const *shape = lt_onnx_extents(im, im->inputs[0], "the shape", &rank);
    if (!shape)
        return false;
    if (rank > LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %lld is more than %d", (long long)rank, LT_MAX_RANK);
    Value *scalar = lt_build_float(&im->b, DT_F32, 0);
    if (lt_onnx_has(im, "value")) {
        const OnnxAttribute *a = lt_onnx_attribute(im, "value", ONNX_ATTR_TENSOR);
        const Const *c = a ? lt_onnx_tensor(im, a->t, im->node->loc) : NULL;
        int64_t elements;
        if (!c)
            return false;
        if (!lt_type_is_static(c->type, &elements) || elements != 1)
            return lt_onnx_malformed(im, "value must have one element, not %lld",
                                     (long long)elements);
        scalar = lt_build_reshape(&im->b, lt_build_const(&im->b, c), 0, NULL);
        scalar = lt_build_const(
            &im->b,
            lt_const(im->module, lt_type_static(im->module, c->type->dtype, 0, NULL), c->data));
    }
    return onnx_set(im, 0, lt_onnx_full(im, scalar->type->dtype, (int)rank, shape, scalar));
}

/* All constant: a constant; else the dims op. */
static Value *dims_value(Import *im, const Dim *const *dims, int count) {
    int64_t numbers[LT_MAX_RANK];
    for (int i = 0; i < count; i++) {
        if (!lt_dim_is_const(dims[i]))
            return lt_build_dims(&im->b, count, dims);
        numbers[i] = dims[i]->value;
    }
    return lt_build_ints(&im->b, count, numbers);
}

static int64_t clamp_to(int64_t value, int64_t rank) {
    if (value < 0)
        value += rank;
    return value < 0 ? 0 : value > rank ? rank : value;
}

bool lt_onnx_shape(Import *im) {
    const Type *type = im->inputs[0]->type;
    int64_t start = clamp_to(lt_onnx_int(im, "start", 0), type->rank);
    int64_t end = clamp_to(lt_onnx_int(im, "end", type->rank), type->rank);
    return onnx_set(im, 0,
                    dims_value(im, type->dims + start, end > start ? (int)(end - start) : 0));
}

bool lt_onnx_size(Import *im) {
    const Dim *elements = lt_type_elements(im->module, im->inputs[0]->type);
    return onnx_set(im, 0, lt_build_reshape(&im->b, dims_value(im, &elements, 1), 0, NULL));
}

/* --- Reshape --- */

/* What -1 stands for: the elements that the other dims leave. */
static const Dim *remaining_dim(Import *im, const Type *from, const Dim *const *dims, int64_t rank,
                                int64_t skip) {
    const Dim *others = lt_dim_const(im->dims, 1), *all = lt_type_elements(im->module, from);
    for (int64_t i = 0; i < rank; i++)
        if (i != skip)
            others = lt_dim_mul(im->dims, others, dims[i]);
    if (lt_dim_is(others, 0))
        return NULL;
    const Dim *exact = lt_dim_exact_div(im->dims, all, others);
    return exact ? exact : lt_dim_floordiv(im->dims, all, others);
}

static bool reshape_to(Import *im, const Dim *const *target, int64_t rank, bool zero_copies) {
    const Type *from = im->inputs[0]->type;
    if (rank > LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %lld is more than %d", (long long)rank, LT_MAX_RANK);
    const Dim *dims[LT_MAX_RANK];
    int64_t unknown = -1;
    for (int64_t i = 0; i < rank; i++) {
        dims[i] = target[i];
        if (lt_dim_is(target[i], 0) && zero_copies) {
            if (i >= from->rank)
                return lt_onnx_malformed(
                    im, "dim %lld of the new shape copies an axis that the input lacks",
                    (long long)i);
            dims[i] = from->dims[i];
        } else if (lt_dim_is(target[i], -1)) {
            if (unknown >= 0)
                return lt_onnx_malformed(im, "the new shape has more than one -1");
            unknown = i;
        } else if (lt_dim_is_const(target[i]) && target[i]->value < -1) {
            return lt_onnx_malformed(im, "the new shape has the dim %lld",
                                     (long long)target[i]->value);
        }
    }
    if (unknown >= 0 && !(dims[unknown] = remaining_dim(im, from, dims, rank, unknown)))
        return lt_onnx_malformed(im, "-1 in the new shape has no value beside a dim of 0");
    return onnx_set(im, 0, lt_build_reshape(&im->b, im->inputs[0], (int)rank, dims));
}

bool lt_onnx_reshape(Import *im) {
    int64_t rank;
    if (!lt_onnx_is_known(im, im->inputs[1]))
        return lt_onnx_reshape_by_data(im, !lt_onnx_int(im, "allowzero", 0));
    const Dim *const *target = lt_onnx_content(im, im->inputs[1], "the new shape", &rank);
    return target && reshape_to(im, target, rank, !lt_onnx_int(im, "allowzero", 0));
}

bool lt_onnx_reshape_1(Import *im) {
    int64_t rank;
    const int64_t *numbers = lt_onnx_ints(im, "shape", &rank);
    const Dim **target = lt_onnx_dim_array(im, rank);
    for (int64_t i = 0; i < rank; i++)
        target[i] = lt_dim_const(im->dims, numbers[i]);
    return numbers ? reshape_to(im, target, rank, true)
                   : lt_onnx_malformed(im, "attribute shape is missing");
}

/* [a, b, c, d] with axis 2 is [a * b, c * d]. */
static Value *flatten_at(Import *im, Value *x, int64_t axis) {
    const Dim *dims[2] = {
        lt_dim_product(im->dims, x->type->dims, (int)axis),
        lt_dim_product(im->dims, x->type->dims + axis, x->type->rank - (int)axis)};
    return lt_build_reshape(&im->b, x, 2, dims);
}

bool lt_onnx_flatten(Import *im) {
    int64_t axis = lt_onnx_int(im, "axis", 1), rank = im->inputs[0]->type->rank;
    if (axis != rank && !lt_onnx_axis(im, axis, rank, &axis))
        return false;
    return onnx_set(im, 0, flatten_at(im, im->inputs[0], axis));
}

/* The squares of what is not 0 are 1 or more. */
static void guard_not_one(Import *im, const Dim *d) {
    const Dim *distance = lt_dim_add_const(im->dims, d, -1);
    const Dim *square = lt_dim_mul(im->dims, distance, distance);
    lt_graph_add_guard(im->b.graph, lt_dim_max(im->dims, square, lt_dim_const(im->dims, 1)), square,
                       im->node->loc);
}

/* A named axis that is not known to be 1 becomes a guard, checked at run time. Without a list of
 * axes those go that are 1: a symbolic one is taken to stay, and the artifact
 * refuses shapes where it is 1, whose result would be of another rank. */
bool lt_onnx_squeeze(Import *im) {
    Value *x = im->inputs[0];
    int64_t count;
    Value *operand = onnx_in(im, 1);
    if (operand && lt_type_is_static(operand->type, &count) && !lt_onnx_is_known(im, operand))
        return lt_onnx_squeeze_by_data(im, count);
    const int64_t *axes = lt_onnx_axes(im, 1, x->type->rank, &count);
    if (count == -2)
        return false;
    const Dim *dims[LT_MAX_RANK], *one = lt_dim_const(im->dims, 1);
    int rank = 0;
    for (int i = 0; i < x->type->rank; i++) {
        bool named = !axes && lt_dim_is(x->type->dims[i], 1);
        if (!axes && !lt_dim_is_const(x->type->dims[i]))
            guard_not_one(im, x->type->dims[i]);
        for (int64_t j = 0; axes && j < count; j++)
            named |= axes[j] == i;
        if (!named) {
            dims[rank++] = x->type->dims[i];
            continue;
        }
        if (lt_dim_is_const(x->type->dims[i]) && !lt_dim_is(x->type->dims[i], 1))
            return lt_onnx_malformed(im, "axis %d cannot be removed: its extent is %lld, not 1", i,
                                     (long long)x->type->dims[i]->value);
        lt_graph_add_guard(im->b.graph, x->type->dims[i], one, im->node->loc);
    }
    return onnx_set(im, 0, lt_build_reshape(&im->b, x, rank, dims));
}

bool lt_onnx_unsqueeze(Import *im) {
    Value *x = im->inputs[0];
    int64_t count, given = 0;
    lt_onnx_ints(im, "axes", &given);
    if (!lt_onnx_has(im, "axes") && onnx_in(im, 1) &&
        !lt_type_is_static(onnx_in(im, 1)->type, &given))
        return lt_onnx_unsupported(im, "the number of axes is not known");
    int64_t rank = x->type->rank + given;
    if (rank > LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %lld is more than %d", (long long)rank, LT_MAX_RANK);
    if (onnx_in(im, 1) && !lt_onnx_is_known(im, onnx_in(im, 1)))
        return lt_onnx_unsqueeze_by_data(im, rank);
    const int64_t *axes = lt_onnx_axes(im, 1, rank, &count);
    if (!axes)
        return count == -1 ? lt_onnx_malformed(im, "the axes are missing") : false;
    const Dim *dims[LT_MAX_RANK];
    int from = 0;
    for (int64_t i = 0, next = 0; i < rank; i++) {
        bool is_new = next < count && axes[next] == i;
        dims[i] = is_new ? lt_dim_const(im->dims, 1) : x->type->dims[from];
        if (is_new)
            next++;
        else
            from++;
    }
    return onnx_set(im, 0, lt_build_reshape(&im->b, x, (int)rank, dims));
}

bool lt_onnx_transpose(Import *im) {
    Value *x = im->inputs[0];
    int64_t perm[LT_MAX_RANK], count;
    const int64_t *given = lt_onnx_ints(im, "perm", &count);
    if (given && count != x->type->rank)
        return lt_onnx_malformed(im, "perm has %lld numbers for a tensor of rank %d",
                                 (long long)count, x->type->rank);
    for (int i = 0; i < x->type->rank; i++) {
        perm[i] = given ? given[i] : x->type->rank - 1 - i;
        if (!lt_onnx_axis(im, perm[i], x->type->rank, &perm[i]))
            return false;
    }
    return onnx_set(im, 0, lt_build_transpose(&im->b, x, perm));
}

/* Numpy's rule in both directions: an extent of 1 in the shape leaves the input's. */
bool lt_onnx_expand(Import *im) {
    Value *x = im->inputs[0];
    int64_t count;
    if (!lt_onnx_is_known(im, im->inputs[1]))
        return lt_onnx_expand_by_data(im);
    const Dim *const *shape = lt_onnx_content(im, im->inputs[1], "the shape", &count);
    if (!shape)
        return false;
    int64_t rank = count > x->type->rank ? count : x->type->rank;
    if (rank > LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %lld is more than %d", (long long)rank, LT_MAX_RANK);
    const Dim *dims[LT_MAX_RANK], *one = lt_dim_const(im->dims, 1);
    for (int64_t i = 0; i < rank; i++) {
        int64_t from = i - (rank - x->type->rank), to = i - (rank - count);
        const Dim *a = from >= 0 ? x->type->dims[from] : one, *b = to >= 0 ? shape[to] : one;
        dims[i] = lt_dim_is(b, 1) ? a : b;
    }
    return onnx_set(im, 0, lt_build_broadcast(&im->b, x, (int)rank, dims));
}

/* One axis after the other: a new axis before it, broadcast, and merged with it. */
bool lt_onnx_tile(Import *im) {
    Value *x = im->inputs[0];
    int64_t count;
    const Dim *const *repeats = lt_onnx_extents(im, im->inputs[1], "the repeats", &count);
    if (!repeats)
        return false;
    if (count != x->type->rank)
        return lt_onnx_malformed(im, "%lld repeats for a tensor of rank %d", (long long)count,
                                 x->type->rank);
    for (int64_t axis = 0; x && axis < count; axis++) {
        if (lt_dim_is(repeats[axis], 1))
            continue;
        const Dim *before[LT_MAX_RANK + 1], *wide[LT_MAX_RANK + 1], *merged[LT_MAX_RANK];
        if (count == LT_MAX_RANK)
            return lt_onnx_unsupported(im, "tiles of rank %d are not supported", LT_MAX_RANK);
        for (int64_t i = 0; i <= count; i++) {
            before[i] = i == axis ? lt_dim_const(im->dims, 1) : x->type->dims[i - (i > axis)];
            wide[i] = i == axis ? repeats[axis] : before[i];
        }
        for (int64_t i = 0; i < count; i++)
            merged[i] =
                i == axis ? lt_dim_mul(im->dims, repeats[i], x->type->dims[i]) : x->type->dims[i];
        x = lt_build_reshape(&im->b, x, (int)count + 1, before);
        x = lt_build_reshape(&im->b, lt_build_broadcast(&im->b, x, (int)count + 1, wide),
                             (int)count, merged);
    }
    return onnx_set(im, 0, x);
}

/* --- Range, EyeLike --- */

/* max(0, ceil((limit - start) / delta)) elements; only delta must be a number. */
static bool set_integer_range(Import *im, const Dim *start, const Dim *limit, const Dim *delta) {
    DType dtype = im->inputs[0]->type->dtype;
    if (!lt_dim_is_const(delta))
        return lt_onnx_unsupported(im, "the step is not a number known while compiling");
    if (delta->value == 0)
        return lt_onnx_malformed(im, "the step is 0");
    const Dim *span =
        delta->value > 0 ? lt_dim_sub(im->dims, limit, start) : lt_dim_sub(im->dims, start, limit);
    const Dim *step = lt_dim_const(im->dims, delta->value > 0 ? delta->value : -delta->value);
    const Dim *count =
        lt_dim_max(im->dims, lt_dim_const(im->dims, 0), lt_dim_ceildiv(im->dims, span, step));
    Value *range = lt_build_iota(&im->b, dtype, 1, &count, 0);
    if (!lt_dim_is(delta, 1))
        range = lt_build_map2(&im->b, FN_MUL, range, lt_build_int(&im->b, dtype, delta->value));
    if (lt_dim_is(start, 0))
        return onnx_set(im, 0, range);
    Value *first =
        lt_dim_is_const(start) ? lt_build_int(&im->b, dtype, start->value) : im->inputs[0];
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_ADD, range, first));
}

static bool set_float_range(Import *im) {
    const Const *c[3];
    for (int i = 0; i < 3; i++)
        if (!(c[i] = lt_onnx_const(im, im->inputs[i])))
            return lt_onnx_unsupported(im, "the range depends on the input data");
    double start = lt_const_get_float(c[0], 0), delta = lt_const_get_float(c[2], 0);
    double elements = ceil((lt_const_get_float(c[1], 0) - start) / delta);
    if (!(elements < 1e9))
        return lt_onnx_malformed(im, "the range is endless");
    const Dim *count = lt_dim_const(im->dims, elements > 0 ? (int64_t)elements : 0);
    Value *range = lt_build_iota(&im->b, im->inputs[0]->type->dtype, 1, &count, 0);
    return onnx_set(
        im, 0, lt_onnx_map_scalar(im, FN_ADD, lt_onnx_map_scalar(im, FN_MUL, range, delta), start));
}

bool lt_onnx_range(Import *im) {
    const Dim *parts[3];
    for (int i = 0; i < 3; i++)
        if (!lt_onnx_is_known(im, im->inputs[i]))
            return lt_onnx_range_by_data(im);
    static const char *const names[] = {"the start", "the limit", "the step"};
    if (lt_dtype_is_float(im->inputs[0]->type->dtype))
        return set_float_range(im);
    for (int i = 0; i < 3; i++) {
        int64_t count;
        const Dim *const *content = lt_onnx_content(im, im->inputs[i], names[i], &count);
        if (!content)
            return false;
        if (count != 1)
            return lt_onnx_malformed(im, "%s must be one number", names[i]);
        parts[i] = content[0];
    }
    return set_integer_range(im, parts[0], parts[1], parts[2]);
}

/* column - row == k */
bool lt_onnx_eye_like(Import *im) {
    const Type *type = im->inputs[0]->type;
    DType dtype = type->dtype;
    int64_t data_type = lt_onnx_int(im, "dtype", 0);
    if (type->rank != 2)
        return lt_onnx_malformed(im, "the input has rank %d; expected 2", type->rank);
    if (data_type && !lt_onnx_dtype(data_type, &dtype))
        return lt_onnx_unsupported(im, "data type %s is not supported",
                                   lt_onnx_data_type_name(data_type));
    Value *row = lt_build_iota(&im->b, DT_I64, 2, type->dims, 0),
          *column = lt_build_iota(&im->b, DT_I64, 2, type->dims, 1);
    Value *offset = lt_build_map2(&im->b, FN_SUB, column, row);
    Value *is_one = lt_onnx_map_scalar(im, FN_EQ, offset, (double)lt_onnx_int(im, "k", 0));
    return onnx_set(im, 0, lt_build_convert(&im->b, is_one, dtype));
}
