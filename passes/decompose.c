/* decompose.c - writes composites as primitives, where the parts are cheaper than the whole.
 * Requires: types. Ensures: no resize with weights works along more than one axis at a time.
 *   %1 = resize %x {mode = "linear", shape = [1, 8, 8, c], ...} : f32[1,8,8,c]
 *   =>  %i = gather %x, %low {axis = 1}; %j = gather %x, %high {axis = 1}; %h = %i * %u + %j * %v;
 *       the same along axis 2
 *
 * A weighted resize is separable: two axes of two points each cost four reads of the operand for
 * every element when taken at once, two and two when taken in turn, and cubic ones sixteen instead
 * of eight. Positions are exact: the place of i on the operand's axis is a quotient of integers
 * (ONNX Resize, coordinate_transformation_mode), only its fraction becomes a float. Of known
 * extents the positions are constants after `fold`, of symbolic ones a few vectors computed at run
 * time.
 *
 * What stays whole: a nearest resize and one along a single axis (lowering reads through the
 * index), softmax, normalization and recurrent layers (a kernel of their own keeps a row in cache).
 */
#include <string.h>

#include "ir/build.h"
#include "passes/pass.h"

enum { MAX_TAPS = 4 };

/* One axis that changes its extent; all values are i64 vectors or single integers. */
typedef struct ResizedAxis {
    Builder *b;
    const Node *resize;
    const Dim *from, *to;
    DType dtype; /* of the weights */
    Value *numerator, *denominator;
} ResizedAxis;

typedef struct Taps {
    int count;
    Value *index[MAX_TAPS], *weight[MAX_TAPS];
} Taps;

/* --- integers --------------------------------------------------------------------------------- */

static Value *integer(Builder *b, int64_t value) { return lt_build_int(b, DT_I64, value); }

static Value *extent(Builder *b, const Dim *d) {
    return lt_dim_is_const(d) ? integer(b, d->value) : lt_build_dims(b, 1, &d);
}

/* 0, 1, ... to - 1: written out when that is possible, so that everything behind it folds. */
static Value *positions(Builder *b, const Dim *to) {
    if (!lt_dim_is_const(to))
        return lt_build_iota(b, DT_I64, 1, &to, 0);
    int64_t *values = LT_ARRAY(b->graph->module->arena, int64_t, to->value);
    for (int64_t i = 0; i < to->value; i++)
        values[i] = i;
    return lt_build_ints(b, to->value, values);
}

static Value *clamped(Builder *b, Value *x, Value *greatest) {
    return lt_build_map2(b, FN_MAX, integer(b, 0), lt_build_map2(b, FN_MIN, x, greatest));
}

/* --- coordinates: numerator / denominator ----------------------------------------------------- */

static void half_pixel(ResizedAxis *a, Value *i) {
    Builder *b = a->b;
    Value *middle = lt_build_map2(b, FN_MUL, lt_build_map2(b, FN_ADD, i, i), extent(b, a->from));
    Value *shift = extent(b, lt_dim_sub(&b->graph->module->dims, a->from, a->to));
    a->numerator = lt_build_map2(b, FN_ADD, middle, shift);
    a->denominator = extent(b, lt_dim_mul_const(&b->graph->module->dims, a->to, 2));
}

static void asymmetric(ResizedAxis *a, Value *i) {
    a->numerator = lt_build_map2(a->b, FN_MUL, i, extent(a->b, a->from));
    a->denominator = extent(a->b, a->to);
}

static void align_corners(ResizedAxis *a, Value *i) {
    DimTable *t = &a->b->graph->module->dims;
    Value *last = extent(a->b, lt_dim_add_const(t, a->from, -1));
    const Dim *steps = lt_dim_max(t, lt_dim_const(t, 1), lt_dim_add_const(t, a->to, -1));
    a->numerator = lt_build_map2(a->b, FN_MUL, i, last);
    a->denominator = extent(a->b, steps);
}

/* half_pixel, but 0 where the result has one element. */
static void pytorch_half_pixel(ResizedAxis *a, Value *i) {
    DimTable *t = &a->b->graph->module->dims;
    const Dim *several = lt_dim_min(t, lt_dim_add_const(t, a->to, -1), lt_dim_const(t, 1));
    half_pixel(a, i);
    a->numerator = lt_build_map2(a->b, FN_MUL, a->numerator, extent(a->b, several));
}

static void locate(ResizedAxis *a) {
    static const struct {
        const char *direction;
        void (*fn)(ResizedAxis *a, Value *i);
    } rows[] = {{"half_pixel", half_pixel},
                {"asymmetric", asymmetric},
                {"align_corners", align_corners},
                {"pytorch_half_pixel", pytorch_half_pixel}};
    const char *direction = lt_attr_string(a->resize, ATTR_DIRECTION, "half_pixel");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].direction, direction) == 0)
            rows[i].fn(a, positions(a->b, a->to));
}

/* --- points and weights ----------------------------------------------------------------------- */

static Value *scalar_map(const ResizedAxis *a, ScalarFn fn, double value, Value *x) {
    return lt_build_map2(a->b, fn, lt_build_float(a->b, a->dtype, value), x);
}

/* How far behind its floor a position lies, 0 to 1. */
static Value *fraction(const ResizedAxis *a) {
    Value *rest = lt_build_map2(a->b, FN_MOD, a->numerator, a->denominator);
    return lt_build_map2(a->b, FN_DIV, lt_build_convert(a->b, rest, a->dtype),
                         lt_build_convert(a->b, a->denominator, a->dtype));
}

static Taps linear_taps(ResizedAxis *a, Value *last) {
    Builder *b = a->b;
    a->numerator = clamped(b, a->numerator, lt_build_map2(b, FN_MUL, last, a->denominator));
    Value *low = lt_build_map2(b, FN_FLOORDIV, a->numerator, a->denominator);
    Value *high = lt_build_map2(b, FN_MIN, lt_build_map2(b, FN_ADD, low, integer(b, 1)), last);
    Value *weight = fraction(a);
    return (Taps){
        .count = 2, .index = {low, high}, .weight = {scalar_map(a, FN_SUB, 1, weight), weight}};
}

/* c[0] + c[1] * d + c[2] * d^2 + c[3] * d^3 */
static Value *polynomial(const ResizedAxis *a, Value *d, const double c[4]) {
    Value *value = scalar_map(a, FN_MUL, c[3], d);
    for (int i = 2; i > 0; i--)
        value = lt_build_map2(a->b, FN_MUL, scalar_map(a, FN_ADD, c[i], value), d);
    return scalar_map(a, FN_ADD, c[0], value);
}

/* Keys' cubic convolution kernel with parameter p, at the distances 1 + f, f, 1 - f, 2 - f. */
static Taps cubic_taps(const ResizedAxis *a, Value *last) {
    const double p = lt_attr_float(a->resize, ATTR_ALPHA, -0.75);
    const double inner[4] = {1, 0, -(p + 3), p + 2}, outer[4] = {-4 * p, 8 * p, -5 * p, p};
    Value *low = lt_build_map2(a->b, FN_FLOORDIV, a->numerator, a->denominator);
    Value *f = fraction(a);
    Taps taps = {.count = 4};
    for (int i = 0; i < 4; i++) {
        Value *distance = scalar_map(a, i < 2 ? FN_ADD : FN_SUB, i < 2 ? 1 - i : i - 1, f);
        Value *at = lt_build_map2(a->b, FN_ADD, low, integer(a->b, i - 1));
        taps.weight[i] = polynomial(a, distance, i == 1 || i == 2 ? inner : outer);
        taps.index[i] = clamped(a->b, at, last);
    }
    return taps;
}

/* --- the sum ---------------------------------------------------------------------------------- */

/* A vector along `axis` of a tensor of that rank. */
static Value *along(Builder *b, Value *vector, int axis, int rank) {
    int64_t behind[LT_MAX_RANK];
    for (int i = 0; i < rank - axis - 1; i++)
        behind[i] = i + 1;
    return lt_build_unsqueeze(b, vector, behind, rank - axis - 1);
}

static Value *resize_axis(ResizedAxis *a, Value *x, int axis) {
    const Dim *greatest = lt_dim_add_const(&a->b->graph->module->dims, a->from, -1);
    Value *last = extent(a->b, greatest), *sum = NULL;
    locate(a);
    const bool is_linear = *lt_attr_string(a->resize, ATTR_MODE, "") == 'l';
    const Taps taps = is_linear ? linear_taps(a, last) : cubic_taps(a, last);
    for (int i = 0; i < taps.count; i++) {
        Value *point = lt_build_gather(a->b, x, taps.index[i], axis);
        Value *weight = along(a->b, taps.weight[i], axis, x->type->rank);
        point = lt_build_map2(a->b, FN_MUL, point, weight);
        sum = sum ? lt_build_map2(a->b, FN_ADD, sum, point) : point;
    }
    return sum;
}

static Value *decompose_resize(const Node *n) {
    Builder b = {.graph = n->graph, .before = (Node *)n, .loc = n->loc};
    Value *x = lt_input(n, 0);
    const Type *to = lt_output(n)->type;
    DType dtype = lt_dtype_is_float(to->dtype) && lt_dtype_size(to->dtype) < 4 ? DT_F32 : to->dtype;
    if (dtype != to->dtype)
        x = lt_build_convert(&b, x, dtype);
    for (int i = 0; i < to->rank && x; i++) {
        if (x->type->dims[i] == to->dims[i])
            continue;
        ResizedAxis axis = {
            .b = &b, .resize = n, .from = x->type->dims[i], .to = to->dims[i], .dtype = dtype};
        x = resize_axis(&axis, x, i);
    }
    return x && dtype != to->dtype ? lt_build_convert(&b, x, to->dtype) : x;
}

static bool is_worth_splitting(const Node *n) {
    const Type *from = lt_input(n, 0)->type, *to = lt_output(n)->type;
    int changed = 0;
    for (int i = 0; i < to->rank; i++)
        changed += from->dims[i] != to->dims[i];
    return *lt_attr_string(n, ATTR_MODE, "") != 'n' && changed > 1;
}

bool lt_pass_decompose(PassContext *ctx) {
    bool changed = false;
    LT_EACH_NODE_SAFE(n, lt_pass_graph(ctx)) {
        if (n->op != OP_RESIZE || !is_worth_splitting(n))
            continue;
        Value *parts = decompose_resize(n);
        if (!parts || parts->type != lt_output(n)->type)
            continue;
        lt_replace(lt_output(n), parts);
        lt_node_remove(n);
        changed = true;
    }
    return changed;
}
