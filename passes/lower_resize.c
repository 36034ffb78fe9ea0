/* lower_resize.c - elements of a resized tensor: axis by axis a weighted sum of the operand's
 * elements.
 *
 * An output position lies at numerator / denominator on the operand's axis (ONNX Resize, attribute
 * coordinate_transformation_mode). Both are Dims, so that positions are exact and simplify like any
 * other index: twice as large with nearest_floor and asymmetric is i floordiv 2. Only the weights
 * are floats. */
#include <string.h>

#include "passes/lower_internal.h"

enum { MAX_TAPS = 4 };

typedef struct Resize {
    const Node *node;
    DType dtype; /* of the computation */
    At there;    /* in the operand, filled in axis by axis */
    const At *at;
} Resize;

typedef struct Coordinate {
    const Dim *numerator, *denominator; /* denominator > 0 */
} Coordinate;

typedef struct Taps {
    int count;
    const Dim *index[MAX_TAPS];
    const Expr *weight[MAX_TAPS]; /* NULL: 1 */
} Taps;

/* --- coordinates --------------------------------------------------------------------------- */

static Coordinate half_pixel(DimTable *t, const Dim *i, const Dim *from, const Dim *to) {
    const Dim *middle = lt_dim_add_const(t, lt_dim_mul_const(t, i, 2), 1);
    return (Coordinate){lt_dim_sub(t, lt_dim_mul(t, middle, from), to), lt_dim_mul_const(t, to, 2)};
}

static Coordinate asymmetric(DimTable *t, const Dim *i, const Dim *from, const Dim *to) {
    return (Coordinate){lt_dim_mul(t, i, from), to};
}

static Coordinate align_corners(DimTable *t, const Dim *i, const Dim *from, const Dim *to) {
    const Dim *one = lt_dim_const(t, 1);
    return (Coordinate){lt_dim_mul(t, i, lt_dim_add_const(t, from, -1)),
                        lt_dim_max(t, one, lt_dim_add_const(t, to, -1))};
}

/* half_pixel, but 0 where the result has one element. */
static Coordinate pytorch_half_pixel(DimTable *t, const Dim *i, const Dim *from, const Dim *to) {
    Coordinate c = half_pixel(t, i, from, to);
    const Dim *several = lt_dim_min(t, lt_dim_add_const(t, to, -1), lt_dim_const(t, 1));
    c.numerator = lt_dim_mul(t, c.numerator, several);
    return c;
}

static Coordinate coordinate(Lowering *lo, const Node *node, const Dim *i, int axis) {
    static const struct {
        const char *direction;
        Coordinate (*fn)(DimTable *t, const Dim *i, const Dim *from, const Dim *to);
    } rows[] = {{"half_pixel", half_pixel},
                {"asymmetric", asymmetric},
                {"align_corners", align_corners},
                {"pytorch_half_pixel", pytorch_half_pixel}};
    const char *direction = lt_attr_string(node, ATTR_DIRECTION, "half_pixel");
    const Dim *from = lower_dim(lo, lt_input(node, 0)->type->dims[axis]);
    const Dim *to = lower_dim(lo, lt_output(node)->type->dims[axis]);
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        if (strcmp(rows[row].direction, direction) == 0)
            return rows[row].fn(lower_table(lo), i, from, to);
    lt_lower_fail(lo, "coordinate mode \"%s\" is not known", direction);
    return asymmetric(lower_table(lo), i, from, to);
}

static const Dim *clamp(Lowering *lo, const Dim *d, const Dim *greatest) {
    DimTable *t = lower_table(lo);
    return lt_dim_max(t, lower_number(lo, 0), lt_dim_min(t, d, greatest));
}

/* --- positions and weights of one axis ----------------------------------------------------- */

/* Halves round down: ONNX's default, round_prefer_floor. */
static Taps nearest_taps(Lowering *lo, const Node *node, Coordinate c, const Dim *last) {
    DimTable *t = lower_table(lo);
    const char *mode = lt_attr_string(node, ATTR_MODE, "");
    const char *direction = lt_attr_string(node, ATTR_DIRECTION, "half_pixel");
    const bool is_floor = strcmp(mode, "nearest_floor") == 0,
               is_ceil = strcmp(mode, "nearest_ceil") == 0;
    const Dim *twice = lt_dim_mul_const(t, c.denominator, 2);
    const Dim *above = lt_dim_sub(t, lt_dim_mul_const(t, c.numerator, 2), c.denominator);
    const Dim *index = is_floor  ? lt_dim_floordiv(t, c.numerator, c.denominator)
                       : is_ceil ? lt_dim_ceildiv(t, c.numerator, c.denominator)
                                 : lt_dim_ceildiv(t, above, twice);
    /* i * from / to < from for all i < to, and (i + 1/2) * from / to - 1 lies between -1 and from
     * - 1. */
    const bool stays_inside = (is_floor && strcmp(direction, "asymmetric") == 0) ||
                              (!is_floor && !is_ceil && strcmp(direction, "half_pixel") == 0);
    return (Taps){.count = 1, .index = {stays_inside ? index : clamp(lo, index, last)}};
}

/* How far behind its floor a coordinate lies, 0 to 1. */
static const Expr *fraction(Lowering *lo, const Resize *r, Coordinate c) {
    const Dim *rest = lt_dim_mod(lower_table(lo), c.numerator, c.denominator);
    const Expr *above = lt_expr_convert(lo->k, lt_expr_index(lo->k, rest), r->dtype);
    const Expr *below = lt_expr_convert(lo->k, lt_expr_index(lo->k, c.denominator), r->dtype);
    return lt_expr_call(lo->k, FN_DIV, above, below, NULL);
}

static Taps linear_taps(Lowering *lo, const Resize *r, Coordinate c, const Dim *last) {
    DimTable *t = lower_table(lo);
    c.numerator = clamp(lo, c.numerator, lt_dim_mul(t, last, c.denominator));
    const Dim *low = lt_dim_floordiv(t, c.numerator, c.denominator);
    const Expr *high_weight = fraction(lo, r, c), *one = lt_expr_float(lo->k, r->dtype, 1);
    return (Taps){.count = 2,
                  .index = {low, lt_dim_min(t, lt_dim_add_const(t, low, 1), last)},
                  .weight = {lt_expr_call(lo->k, FN_SUB, one, high_weight, NULL), high_weight}};
}

/* c[0] + c[1] * d + c[2] * d^2 + c[3] * d^3 */
static const Expr *cubic_polynomial(Lowering *lo, DType dtype, const Expr *d, const double *c) {
    const Expr *value = lt_expr_float(lo->k, dtype, c[3]);
    for (int i = 2; i >= 0; i--)
        value = lt_expr_call(lo->k, FN_FMA, value, d, lt_expr_float(lo->k, dtype, c[i]));
    return value;
}

/* Keys' cubic convolution kernel with parameter a, at the distances 1 + f, f, 1 - f, 2 - f. */
static Taps cubic_taps(Lowering *lo, const Resize *r, Coordinate c, const Dim *last) {
    const double a = lt_attr_float(r->node, ATTR_ALPHA, -0.75);
    const double inner[4] = {1, 0, -(a + 3), a + 2}, outer[4] = {-4 * a, 8 * a, -5 * a, a};
    const Dim *low = lt_dim_floordiv(lower_table(lo), c.numerator, c.denominator);
    const Expr *f = fraction(lo, r, c);
    Taps taps = {.count = 4};
    for (int i = 0; i < 4; i++) {
        const Expr *offset = lt_expr_float(lo->k, r->dtype, i < 2 ? 1 - i : i - 1);
        const Expr *distance = lt_expr_call(lo->k, i < 2 ? FN_ADD : FN_SUB, offset, f, NULL);
        taps.weight[i] = cubic_polynomial(lo, r->dtype, distance, i == 1 || i == 2 ? inner : outer);
        taps.index[i] = clamp(lo, lt_dim_add_const(lower_table(lo), low, i - 1), last);
    }
    return taps;
}

static Taps taps_of(Lowering *lo, const Resize *r, int axis) {
    const Dim *i = r->at->index[axis], *from = lt_input(r->node, 0)->type->dims[axis];
    if (from == lt_output(r->node)->type->dims[axis])
        return (Taps){.count = 1, .index = {i}};
    const Dim *last = lt_dim_add_const(lower_table(lo), lower_dim(lo, from), -1);
    const Coordinate c = coordinate(lo, r->node, i, axis);
    const char mode = *lt_attr_string(r->node, ATTR_MODE, "");
    return mode == 'n'   ? nearest_taps(lo, r->node, c, last)
           : mode == 'l' ? linear_taps(lo, r, c, last)
                         : cubic_taps(lo, r, c, last);
}

/* --- elements --------------------------------------------------------------------------------- */

static const Expr *weighted_sum(Lowering *lo, Resize *r, int axis) {
    Value *x = lt_input(r->node, 0);
    const Expr *sum = NULL;
    if (axis == x->type->rank)
        return lt_lower_at_as(lo, x, &r->there, r->dtype);
    const Taps taps = taps_of(lo, r, axis);
    for (int i = 0; i < taps.count; i++) {
        r->there.index[axis] = taps.index[i];
        const Expr *element = weighted_sum(lo, r, axis + 1);
        if (!taps.weight[i])
            return element;
        sum = sum ? lt_expr_call(lo->k, FN_FMA, taps.weight[i], element, sum)
                  : lt_expr_call(lo->k, FN_MUL, taps.weight[i], element, NULL);
    }
    return sum;
}

const Expr *lt_lower_at_resize(Lowering *lo, const Node *node, const At *at) {
    const DType dtype = lt_output(node)->type->dtype;
    const bool is_nearest = *lt_attr_string(node, ATTR_MODE, "") == 'n';
    Resize r = {.node = node, .at = at, .there = {.predicate = at->predicate}};
    r.dtype = is_nearest ? dtype : lt_lower_sum_dtype(dtype);
    /* Nothing can be read from an operand without elements. */
    const Dim *elements = lower_dim(lo, lt_type_elements(lo->module, lt_input(node, 0)->type));
    const Expr *some = lt_expr_less(lo->k, lower_number(lo, 0), elements);
    if (!lt_expr_is_const_bool(some, true))
        r.there.predicate = lt_expr_and(lo->k, at->predicate, some);
    return lt_expr_convert(lo->k, weighted_sum(lo, &r, 0), dtype);
}
