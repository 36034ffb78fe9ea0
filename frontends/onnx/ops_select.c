/* ops_select.c - ops whose result has as many elements as a mask, or an operand, says; and those
 * that lay out what such extents describe. */
#include "frontends/onnx/extents.h"

/* The coordinate on `axis` of flat indices into this shape. */
static Value *coordinate(Import *im, Value *flat, int rank, const Dim *const *shape, int axis) {
    const Dim *inner = lt_dim_product(im->dims, shape + axis + 1, rank - axis - 1);
    Value *at = lt_build_map2(&im->b, FN_FLOORDIV, flat, lt_onnx_dim_value(im, inner, DT_I64));
    return lt_build_map2(&im->b, FN_MOD, at, lt_onnx_dim_value(im, shape[axis], DT_I64));
}

/* i64[rank, k]: a column for each element that is not 0. */
bool lt_onnx_non_zero(Import *im) {
    static const int64_t first[] = {0};
    Value *x = im->inputs[0], *rows[LT_MAX_RANK];
    const Dim *elements = lt_type_elements(im->module, x->type);
    Value *mask = lt_build_reshape(&im->b, lt_build_convert(&im->b, x, DT_BOOL), 1, &elements);
    Value *flat = lt_onnx_find(im, mask);
    if (!flat)
        return false;
    if (x->type->rank == 0) {
        const Dim *none[] = {lt_dim_const(im->dims, 0), flat->type->dims[0]};
        return onnx_set(im, 0, lt_onnx_full(im, DT_I64, 2, none, lt_onnx_scalar_like(im, flat, 0)));
    }
    for (int i = 0; i < x->type->rank; i++) {
        rows[i] = coordinate(im, flat, x->type->rank, x->type->dims, i);
        if (!(rows[i] = lt_build_unsqueeze(&im->b, rows[i], first, 1)))
            return false;
    }
    return onnx_set(im, 0, lt_build_concat(&im->b, rows, (uint32_t)x->type->rank, 0));
}

/* Elements of axis (all of them, flat, without one) where the condition, which may end early, is
 * true. */
bool lt_onnx_compress(Import *im) {
    Value *x = im->inputs[0], *condition = im->inputs[1];
    int64_t axis = 0;
    if (condition->type->rank != 1)
        return lt_onnx_malformed(im, "the condition has rank %d; expected 1",
                                 condition->type->rank);
    if (!lt_onnx_has(im, "axis")) {
        const Dim *elements = lt_type_elements(im->module, x->type);
        x = lt_build_reshape(&im->b, x, 1, &elements);
    } else if (!lt_onnx_axis(im, lt_onnx_int(im, "axis", 0), x->type->rank, &axis)) {
        return false;
    }
    if (!x)
        return false;
    const Dim *length = lt_dim_min(im->dims, condition->type->dims[0], x->type->dims[axis]);
    condition = lt_onnx_slice_axis(im, condition, 0, lt_dim_const(im->dims, 0), length);
    Value *indices = lt_onnx_find(im, lt_build_convert(&im->b, condition, DT_BOOL));
    return indices && onnx_set(im, 0, lt_build_gather(&im->b, x, indices, (int)axis));
}

/* Each axis keeps its middle, or gets zeros on both sides; what is odd goes to the end. */
bool lt_onnx_center_crop_pad(Import *im) {
    Value *x = im->inputs[0];
    const int rank = x->type->rank;
    int64_t count, given;
    const Dim *const *wanted = lt_onnx_extents(im, im->inputs[1], "the shape", &count);
    const int64_t *axes = lt_onnx_ints(im, "axes", &given);
    const Dim *start[LT_MAX_RANK], *size[LT_MAX_RANK], *low[LT_MAX_RANK], *high[LT_MAX_RANK];
    const Dim *zero = lt_dim_const(im->dims, 0), *two = lt_dim_const(im->dims, 2);
    if (!wanted)
        return false;
    if (count != (axes ? given : rank))
        return lt_onnx_malformed(im, "%lld extents for %lld axes", (long long)count,
                                 (long long)(axes ? given : rank));
    for (int i = 0; i < rank; i++) {
        start[i] = low[i] = high[i] = zero;
        size[i] = x->type->dims[i];
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t axis;
        if (!lt_onnx_axis(im, axes ? axes[i] : i, rank, &axis))
            return false;
        const Dim *extent = x->type->dims[axis];
        size[axis] = lt_dim_min(im->dims, extent, wanted[i]);
        const Dim *cut = lt_dim_sub(im->dims, extent, size[axis]),
                  *missing = lt_dim_sub(im->dims, wanted[i], size[axis]);
        start[axis] = lt_dim_floordiv(im->dims, cut, two);
        low[axis] = lt_dim_floordiv(im->dims, missing, two);
        high[axis] = lt_dim_sub(im->dims, missing, low[axis]);
    }
    x = lt_build_slice(&im->b, x, start, size, NULL);
    return onnx_set(im, 0, lt_build_pad(&im->b, x, low, high, NULL, NULL));
}

/* --- AffineGrid --- */

/* Along axis + 1 of a tensor of rank axes + 2: the places of an image's elements from -1 to 1. */
static Value *places(Import *im, DType dtype, int axes, int axis, const Dim *extent) {
    const bool corners = lt_onnx_int(im, "align_corners", 0) != 0;
    const Dim *line[LT_MAX_RANK];
    for (int i = 0; i < axes + 2; i++)
        line[i] = i == axis + 1 ? extent : lt_dim_const(im->dims, 1);
    Value *at = lt_build_iota(&im->b, dtype, axes + 2, line, axis + 1);
    at = lt_onnx_map_scalar(im, FN_ADD, lt_onnx_map_scalar(im, FN_MUL, at, 2), corners ? 0 : 1);
    const Dim *span = corners ? lt_dim_add_const(im->dims, extent, -1) : extent;
    at = lt_build_map2(&im->b, FN_DIV, at, lt_onnx_dim_value(im, span, dtype));
    return lt_onnx_map_scalar(im, FN_ADD, at, -1);
}

/* theta [n, r, r + 1] times each place (x first, then y, z) with a 1: [n, extents..., r]. */
bool lt_onnx_affine_grid(Import *im) {
    Value *theta = im->inputs[0], *total = NULL;
    int64_t count;
    const Dim *const *size = lt_onnx_extents(im, im->inputs[1], "the size", &count);
    if (!size)
        return false;
    const int axes = (int)count - 2;
    if (axes < 1 || axes + 2 > LT_MAX_RANK || theta->type->rank != 3)
        return lt_onnx_malformed(im, "theta must be [n, r, r + 1] for a size of r + 2 numbers");
    theta = lt_onnx_fix_extent(im, theta, 1, axes, "theta");
    theta = lt_onnx_fix_extent(im, theta, 2, axes + 1, "theta");
    if (!theta)
        return false;
    const Dim *spread[LT_MAX_RANK], *full[LT_MAX_RANK];
    for (int i = 0; i < axes + 2; i++) {
        spread[i] = i == 0 ? theta->type->dims[0] : lt_dim_const(im->dims, i > axes ? axes : 1);
        full[i] = i == 0 || i > axes ? spread[i] : size[i + 1];
    }
    for (int k = 0; k <= axes; k++) {
        Value *column = lt_onnx_slice_axis(im, theta, 2, lt_dim_const(im->dims, k),
                                           lt_dim_const(im->dims, 1));
        column = lt_build_reshape(&im->b, column, axes + 2, spread);
        const int axis = axes - 1 - k;
        if (k < axes)
            column = lt_build_map2(
                &im->b, FN_MUL, column,
                places(im, theta->type->dtype, axes, axis, size[axis + 2]));
        total = total ? lt_build_map2(&im->b, FN_ADD, total, column) : column;
    }
    return onnx_set(im, 0, lt_build_broadcast(&im->b, total, axes + 2, full));
}

/* --- Col2Im --- */

typedef struct Blocks {
    int rank;
    const Dim *const *image, *const *block;
    const int64_t *dilations, *strides, *pads;
    const Dim *padded[LT_MAX_RANK], *columns[LT_MAX_RANK]; /* of each axis */
    const Dim *block_elements;
} Blocks;

static bool read_blocks(Import *im, Blocks *b) {
    int64_t axes, block_axes;
    b->image = lt_onnx_extents(im, im->inputs[1], "the image's shape", &axes);
    b->block = b->image ? lt_onnx_extents(im, im->inputs[2], "the block's shape", &block_axes)
                        : NULL;
    if (!b->block)
        return false;
    if (axes != block_axes || axes < 1 || axes + 2 > LT_MAX_RANK)
        return lt_onnx_malformed(im, "the image has %lld axes, the blocks %lld", (long long)axes,
                                 (long long)block_axes);
    b->rank = (int)axes;
    b->dilations = lt_onnx_ints_of(im, "dilations", axes, 1, 1);
    b->strides = lt_onnx_ints_of(im, "strides", axes, 1, 1);
    b->pads = lt_onnx_ints_of(im, "pads", 2 * axes, 0, 0);
    if (!b->dilations || !b->strides || !b->pads)
        return false;
    b->block_elements = lt_dim_product(im->dims, b->block, b->rank);
    for (int i = 0; i < b->rank; i++) {
        b->padded[i] = lt_dim_add_const(im->dims, b->image[i], b->pads[i] + b->pads[i + axes]);
        const Dim *reach = lt_dim_mul_const(
            im->dims, lt_dim_add_const(im->dims, b->block[i], -1), b->dilations[i]);
        const Dim *free = lt_dim_add_const(im->dims, lt_dim_sub(im->dims, b->padded[i], reach), -1);
        b->columns[i] = lt_dim_add_const(
            im->dims, lt_dim_floordiv(im->dims, free, lt_dim_const(im->dims, b->strides[i])), 1);
    }
    return true;
}

/* i64[block elements, columns]: where in the flat padded image each element goes. */
static Value *column_targets(Import *im, const Blocks *b, const Dim *columns) {
    const Dim *down[] = {b->block_elements, lt_dim_const(im->dims, 1)};
    const Dim *across[] = {lt_dim_const(im->dims, 1), columns};
    Value *element = lt_build_iota(&im->b, DT_I64, 2, down, 0),
          *column = lt_build_iota(&im->b, DT_I64, 2, across, 1), *flat = NULL;
    for (int i = 0; i < b->rank; i++) {
        Value *inside = coordinate(im, element, b->rank, b->block, i),
              *block = coordinate(im, column, b->rank, b->columns, i);
        Value *at = lt_build_map2(
            &im->b, FN_ADD, lt_onnx_map_scalar(im, FN_MUL, inside, (double)b->dilations[i]),
            lt_onnx_map_scalar(im, FN_MUL, block, (double)b->strides[i]));
        if (flat)
            flat = lt_build_map2(&im->b, FN_MUL, flat,
                                 lt_onnx_dim_value(im, b->padded[i], DT_I64));
        flat = flat ? lt_build_map2(&im->b, FN_ADD, flat, at) : at;
    }
    return flat;
}

/* [padded..., n, c] without padding, as [n, c, image...]. */
static Value *image_of(Import *im, const Blocks *b, Value *flat, const Dim *const *batch) {
    const Dim *shape[LT_MAX_RANK], *start[LT_MAX_RANK], *size[LT_MAX_RANK];
    int64_t perm[LT_MAX_RANK];
    const int rank = b->rank + 2;
    for (int i = 0; i < rank; i++) {
        const bool is_image = i < b->rank;
        shape[i] = is_image ? b->padded[i] : batch[i - b->rank];
        start[i] = lt_dim_const(im->dims, is_image ? b->pads[i] : 0);
        size[i] = is_image ? b->image[i] : shape[i];
        perm[i] = i < 2 ? b->rank + i : i - 2;
    }
    Value *image = lt_build_reshape(&im->b, flat, rank, shape);
    return lt_build_transpose(&im->b, lt_build_slice(&im->b, image, start, size, NULL), perm);
}

/* Blocks [n, c * block, columns] added up where they overlap. */
bool lt_onnx_col2im(Import *im) {
    static const int64_t images_last[] = {2, 3, 0, 1}, last[] = {2};
    Value *x = im->inputs[0];
    Blocks b = {0};
    if (x->type->rank != 3)
        return lt_onnx_malformed(im, "input 0 has rank %d; expected 3", x->type->rank);
    if (!read_blocks(im, &b))
        return false;
    const Dim *columns = x->type->dims[2];
    const Dim *batch[] = {x->type->dims[0],
                          lt_dim_floordiv(im->dims, x->type->dims[1], b.block_elements)};
    const Dim *split[] = {batch[0], batch[1], b.block_elements, columns};
    const Dim *images = lt_dim_mul(im->dims, batch[0], batch[1]);
    const Dim *moved[] = {b.block_elements, columns, images};
    x = lt_build_transpose(&im->b, lt_build_reshape(&im->b, x, 4, split), images_last);
    x = lt_build_reshape(&im->b, x, 3, moved);
    const Dim *flat[] = {lt_dim_product(im->dims, b.padded, b.rank), images};
    Value *zeros = x ? lt_onnx_full(im, x->type->dtype, 2, flat, lt_onnx_scalar_like(im, x, 0))
                     : NULL;
    Value *targets = lt_build_unsqueeze(&im->b, column_targets(im, &b, columns), last, 1);
    Value *operands[] = {zeros, targets, x};
    const Attr add = lt_int(ATTR_FN, (int64_t)FN_ADD);
    NodeSpec spec = {.op = OP_SCATTER_ND,
                     .inputs = operands,
                     .input_count = 3,
                     .attrs = &add,
                     .attr_count = 1};
    if (!zeros || !targets)
        return false;
    return onnx_set(im, 0, image_of(im, &b, lt_build(&im->b, &spec), batch));
}
