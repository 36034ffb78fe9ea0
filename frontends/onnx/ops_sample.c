/* ops_sample.c - GridSample: an image read at given places, as a sum over the neighbours of each
 * place, gathered and weighted. */
#include <string.h>

#include "frontends/onnx/extents.h"

typedef enum { NEAREST, LINEAR, CUBIC } Interpolation;
typedef enum { ZEROS, BORDER, REFLECTION } Outside;
enum { MAX_TAPS = 4 };
#define CUBIC_ALPHA (-0.75)

/* One neighbour on one axis; all are [n, o...]. */
typedef struct Tap {
    Value *index;   /* i64, within the image */
    Value *weight;  /* NULL: 1 */
    Value *is_here; /* bool: whether the image has it; NULL: it always counts */
} Tap;

typedef struct Sampler {
    Value *image, *grid; /* channels last; [n, o..., r] */
    Interpolation mode;
    Outside outside;
    bool align_corners;
    int rank, taps;
    Tap axes[LT_MAX_RANK][MAX_TAPS];
} Sampler;

static Value *add(Import *im, Value *x, double by) {
    return lt_onnx_map_scalar(im, FN_ADD, x, by);
}

static Value *scale(Import *im, Value *x, double by) {
    return lt_onnx_map_scalar(im, FN_MUL, x, by);
}

/* The extent of an axis of the image as a number that lies beside `like`. */
static Value *extent(Import *im, const Sampler *s, int axis, const Value *like) {
    const Dim *d = s->image->type->dims[axis + 1];
    if (lt_dim_is_const(d))
        return lt_onnx_scalar_like(im, like, (double)d->value);
    return lt_onnx_dim_value(im, d, like->type->dtype);
}

/* The grid names axes from the last to the first, and places from -1 to 1. */
static Value *place(Import *im, const Sampler *s, int axis) {
    int last = s->grid->type->rank - 1;
    Value *x = lt_onnx_slice_axis(im, s->grid, last, lt_dim_const(im->dims, s->rank - 1 - axis),
                                  lt_dim_const(im->dims, 1));
    x = add(im, lt_build_reshape(&im->b, x, last, s->grid->type->dims), 1);
    if (!x)
        return NULL;
    Value *size = extent(im, s, axis, x);
    if (s->align_corners)
        return lt_build_map2(&im->b, FN_MUL, scale(im, x, 0.5), add(im, size, -1));
    return scale(im, add(im, lt_build_map2(&im->b, FN_MUL, x, size), -1), 0.5);
}

/* Places beyond the image's edge, moved to it or mirrored there. */
static Value *move_inside(Import *im, const Sampler *s, int axis, Value *x) {
    double edge = s->align_corners ? 0 : -0.5;
    if (s->outside == ZEROS || !x)
        return x;
    Value *size = extent(im, s, axis, x), *high = add(im, size, s->align_corners ? -1 : -0.5);
    Value *is_out = lt_build_map2(&im->b, FN_OR, lt_onnx_map_scalar(im, FN_LT, x, edge),
                                  lt_build_map2(&im->b, FN_GT, x, high));
    Value *moved;
    if (s->outside == BORDER) {
        moved = lt_build_map3(&im->b, FN_CLAMP, x, lt_onnx_scalar_like(im, x, 0),
                              add(im, size, -1));
    } else {
        Value *period = scale(im, add(im, high, -edge), 2);
        moved = lt_build_map2(&im->b, FN_MOD, add(im, x, -edge), period);
        moved = lt_build_map2(&im->b, FN_MIN, moved,
                              lt_build_map2(&im->b, FN_SUB, period, moved));
        moved = add(im, moved, edge);
    }
    return lt_build_map3(&im->b, FN_SELECT, is_out, moved, x);
}

/* An index on the axis where the image has one, and whether it had it before. */
static void set_index(Import *im, const Sampler *s, int axis, Value *at, Tap *tap) {
    Value *i = lt_build_convert(&im->b, at, DT_I64);
    if (!i)
        return;
    Value *zero = lt_onnx_scalar_like(im, i, 0), *size = extent(im, s, axis, i),
          *last = add(im, size, -1);
    if (s->outside == ZEROS)
        tap->is_here = lt_build_map2(&im->b, FN_AND, lt_build_map2(&im->b, FN_GE, i, zero),
                                     lt_build_map2(&im->b, FN_LT, i, size));
    if (s->outside == REFLECTION) {
        Value *period = scale(im, s->align_corners ? last : size, 2);
        Value *there = lt_build_map2(&im->b, FN_MOD, i, period);
        Value *mirrored = lt_build_map2(&im->b, FN_SUB, period, there);
        i = lt_build_map2(&im->b, FN_MIN, there, add(im, mirrored, s->align_corners ? 0 : -1));
    }
    tap->index = lt_build_map3(&im->b, FN_CLAMP, i, zero, last);
}

/* R. Keys, Cubic convolution interpolation (1981): ((a t + b) t + c) t + d at distance t. */
static Value *cubic_weight(Import *im, Value *t, bool is_near) {
    const double a = CUBIC_ALPHA;
    if (is_near) {
        Value *inner = add(im, scale(im, t, a + 2), -(a + 3));
        Value *square = lt_build_map2(&im->b, FN_MUL, t, t);
        return add(im, lt_build_map2(&im->b, FN_MUL, inner, square), 1);
    }
    Value *y = add(im, scale(im, t, a), -5 * a);
    y = add(im, lt_build_map2(&im->b, FN_MUL, y, t), 8 * a);
    return add(im, lt_build_map2(&im->b, FN_MUL, y, t), -4 * a);
}

static Value *tap_weight(Import *im, const Sampler *s, Value *fraction, int tap) {
    if (s->mode == LINEAR)
        return tap ? fraction : add(im, scale(im, fraction, -1), 1);
    /* Distances 1 + f, f, 1 - f, 2 - f. */
    Value *distance = tap < 2 ? add(im, fraction, 1 - tap)
                              : add(im, scale(im, fraction, -1), tap - 1);
    return cubic_weight(im, distance, tap == 1 || tap == 2);
}

static void set_taps(Import *im, Sampler *s, int axis) {
    Value *x = place(im, s, axis);
    if (s->mode == NEAREST) {
        x = move_inside(im, s, axis, lt_build_map1(&im->b, FN_ROUND, x));
        set_index(im, s, axis, x, &s->axes[axis][0]);
        return;
    }
    x = move_inside(im, s, axis, x);
    Value *base = lt_build_map1(&im->b, FN_FLOOR, x);
    Value *fraction = lt_build_map2(&im->b, FN_SUB, x, base);
    for (int i = 0; base && i < s->taps; i++) {
        Tap *tap = &s->axes[axis][i];
        set_index(im, s, axis, add(im, base, s->mode == CUBIC ? i - 1 : i), tap);
        tap->weight = tap_weight(im, s, fraction, i);
    }
}

/* The image at one neighbour on each axis, [n, o..., c], times its weights. */
static Value *sample(Import *im, const Sampler *s, const int *choice) {
    int64_t last = s->grid->type->rank - 1;
    Value *indices[LT_MAX_RANK], *factor = NULL, *is_here = NULL;
    for (int i = 0; i < s->rank; i++) {
        const Tap *tap = &s->axes[i][choice[i]];
        if (!tap->index)
            return NULL;
        indices[i] = lt_build_unsqueeze(&im->b, tap->index, &last, 1);
        if (tap->weight)
            factor = factor ? lt_build_map2(&im->b, FN_MUL, factor, tap->weight) : tap->weight;
        if (tap->is_here)
            is_here = is_here ? lt_build_map2(&im->b, FN_AND, is_here, tap->is_here)
                              : tap->is_here;
    }
    Attr batch = lt_int(ATTR_COUNT, 1);
    Value *operands[] = {s->image,
                         lt_build_concat(&im->b, indices, (uint32_t)s->rank, (int)last)};
    NodeSpec spec = {.op = OP_GATHER_ND,
                     .inputs = operands,
                     .input_count = 2,
                     .attrs = &batch,
                     .attr_count = 1};
    Value *y = operands[1] ? lt_build(&im->b, &spec) : NULL;
    if (factor)
        y = lt_build_map2(&im->b, FN_MUL, y,
                          lt_build_convert(&im->b, lt_build_unsqueeze(&im->b, factor, &last, 1),
                                           s->image->type->dtype));
    if (is_here)
        y = lt_build_map3(&im->b, FN_SELECT, lt_build_unsqueeze(&im->b, is_here, &last, 1), y,
                          lt_onnx_scalar_like(im, s->image, 0));
    return y;
}

static Value *sum_of_samples(Import *im, const Sampler *s) {
    int choice[LT_MAX_RANK] = {0}, axis = 0;
    Value *total = NULL;
    while (axis < s->rank) {
        Value *part = sample(im, s, choice);
        if (!part)
            return NULL;
        total = total ? lt_build_map2(&im->b, FN_ADD, total, part) : part;
        for (axis = 0; axis < s->rank && ++choice[axis] == s->taps; axis++)
            choice[axis] = 0;
    }
    return total;
}

static bool find_word(const char *word, const char *const *words, int count, int *out) {
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static bool read_modes(Import *im, Sampler *s) {
    static const char *const modes[] = {"nearest", "linear",   "cubic",
                                        "nearest", "bilinear", "bicubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    const char *mode = lt_onnx_string(im, "mode", "linear"),
               *padding = lt_onnx_string(im, "padding_mode", "zeros");
    int which, outside;
    if (!find_word(mode, modes, 6, &which))
        return lt_onnx_malformed(im, "mode is '%s'", mode);
    if (!find_word(padding, paddings, 3, &outside))
        return lt_onnx_malformed(im, "padding_mode is '%s'", padding);
    s->mode = (Interpolation)(which % 3);
    s->outside = (Outside)outside;
    s->taps = s->mode == CUBIC ? 4 : s->mode == LINEAR ? 2 : 1;
    s->align_corners = lt_onnx_int(im, "align_corners", 0) != 0;
    return true;
}

bool lt_onnx_grid_sample(Import *im) {
    Value *x = im->inputs[0], *grid = im->inputs[1];
    Sampler s = {.rank = x->type->rank - 2};
    if (s.rank < 1 || grid->type->rank != x->type->rank)
        return lt_onnx_malformed(im, "a grid for %d axes is expected, of rank %d", s.rank,
                                 s.rank + 2);
    s.grid = grid = lt_onnx_fix_extent(im, grid, s.rank + 1, s.rank, "the grid");
    if (!grid || !read_modes(im, &s))
        return false;
    DType dtype = x->type->dtype;
    if (!lt_dtype_is_float(dtype) && s.mode != NEAREST)
        x = lt_build_convert(&im->b, x, grid->type->dtype);
    s.image = lt_onnx_to_channels_last(im, x);
    for (int i = 0; s.image && i < s.rank; i++)
        set_taps(im, &s, i);
    Value *y = s.image ? lt_onnx_to_channels_first(im, sum_of_samples(im, &s)) : NULL;
    return onnx_set(im, 0, y && y->type->dtype != dtype ? lt_build_convert(&im->b, y, dtype) : y);
}
