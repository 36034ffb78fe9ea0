/* eval_resize.c - evaluates resize: axis by axis, each output position a weighted sum of input
 * positions. Nearest modes have one position of weight 1 and so work for every dtype. */
#include <math.h>
#include <string.h>

#include "ir/eval_ops.h"

enum { RESIZE_TAPS = 4 };

typedef struct ResizeTaps {
    int count;
    int64_t index[RESIZE_TAPS];
    double weight[RESIZE_TAPS];
} ResizeTaps;

typedef struct ResizeAxis {
    int64_t from, to;
    const char *mode, *direction;
    double alpha;
} ResizeAxis;

/* Where output position i lies on the input's axis (ONNX Resize, coordinate_transformation_mode).
 */
static double input_coordinate(const ResizeAxis *axis, int64_t i) {
    const double ratio = (double)axis->from / (double)axis->to;
    if (strcmp(axis->direction, "asymmetric") == 0)
        return (double)i * ratio;
    if (strcmp(axis->direction, "align_corners") == 0)
        return axis->to > 1 ? (double)i * (double)(axis->from - 1) / (double)(axis->to - 1) : 0;
    if (strcmp(axis->direction, "pytorch_half_pixel") == 0 && axis->to <= 1)
        return 0;
    return ((double)i + 0.5) * ratio - 0.5;
}

static int64_t clamp_index(double index, int64_t extent) {
    return index < 0 ? 0 : index > (double)(extent - 1) ? extent - 1 : (int64_t)index;
}

static ResizeTaps nearest_taps(const ResizeAxis *axis, double x) {
    /* Halves round down: ONNX's default, round_prefer_floor. */
    const double at = strcmp(axis->mode, "nearest_floor") == 0  ? floor(x)
                      : strcmp(axis->mode, "nearest_ceil") == 0 ? ceil(x)
                                                                : ceil(x - 0.5);
    return (ResizeTaps){.count = 1, .index = {clamp_index(at, axis->from)}, .weight = {1}};
}

static ResizeTaps linear_taps(const ResizeAxis *axis, double x) {
    const double last = (double)(axis->from - 1), inside = x < 0 ? 0 : x > last ? last : x;
    const double low = floor(inside);
    return (ResizeTaps){.count = 2,
                        .index = {clamp_index(low, axis->from), clamp_index(low + 1, axis->from)},
                        .weight = {1 - (inside - low), inside - low}};
}

/* Keys' cubic convolution kernel at distance d. */
static double cubic_weight(double a, double d) {
    d = fabs(d);
    if (d <= 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

static ResizeTaps cubic_taps(const ResizeAxis *axis, double x) {
    ResizeTaps taps = {.count = 4};
    const double low = floor(x);
    for (int i = 0; i < 4; i++) {
        taps.index[i] = clamp_index(low + i - 1, axis->from);
        taps.weight[i] = cubic_weight(axis->alpha, x - (low + i - 1));
    }
    return taps;
}

static ResizeTaps taps_at(const ResizeAxis *axis, int64_t i) {
    const double x = input_coordinate(axis, i);
    return *axis->mode == 'n'   ? nearest_taps(axis, x)
           : *axis->mode == 'l' ? linear_taps(axis, x)
                                : cubic_taps(axis, x);
}

/* x is [outer, from, inner]; the result [outer, to, inner]. */
static Wide *resize_axis(Arena *arena, const Wide *x, const ResizeAxis *axis, int64_t outer,
                         int64_t inner) {
    Wide *out = LT_ARRAY(arena, Wide, outer * axis->to * inner);
    for (int64_t i = 0; i < axis->to; i++) {
        const ResizeTaps taps = taps_at(axis, i);
        for (int64_t o = 0; o < outer; o++) {
            Wide *to = out + (o * axis->to + i) * inner;
            for (int t = 0; t < taps.count; t++) {
                const Wide *from = x + (o * axis->from + taps.index[t]) * inner;
                for (int64_t j = 0; j < inner; j++)
                    to[j].f += taps.weight[t] * from[j].f;
            }
        }
    }
    return out;
}

static ResizeAxis axis_of(const Node *node, int64_t from, int64_t to) {
    return (ResizeAxis){.from = from,
                        .to = to,
                        .mode = lt_attr_string(node, ATTR_MODE, ""),
                        .direction = lt_attr_string(node, ATTR_DIRECTION, "half_pixel"),
                        .alpha = lt_attr_float(node, ATTR_ALPHA, -0.75)};
}

static void resize_nearest(Evaluation *ev, const Node *node, const Tensor *in, Tensor *out) {
    int64_t *map[LT_MAX_RANK];
    for (int i = 0; i < in->rank; i++) {
        const ResizeAxis axis = axis_of(node, in->dims[i], out->dims[i]);
        map[i] = LT_ARRAY(ev->scratch, int64_t, axis.to);
        for (int64_t j = 0; j < axis.to; j++)
            map[i][j] = axis.from == axis.to ? j : taps_at(&axis, j).index[0];
    }
    lt_mapped_copy(out, in, map);
}

bool lt_eval_RESIZE(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    int64_t dims[LT_MAX_RANK];
    if (lt_tensor_elements(out) == 0)
        return true;
    if (lt_tensor_elements(in) == 0)
        return lt_eval_fail(ev, node, "a tensor without elements cannot be resized");
    if (*lt_attr_string(node, ATTR_MODE, "") == 'n') {
        resize_nearest(ev, node, in, out);
        return true;
    }
    Wide *x = lt_tensor_widen(ev->scratch, in);
    memcpy(dims, in->dims, sizeof dims);
    for (int i = 0; i < in->rank; i++) {
        const ResizeAxis axis = axis_of(node, in->dims[i], out->dims[i]);
        if (axis.from != axis.to)
            x = resize_axis(ev->scratch, x, &axis, lt_count(i, dims),
                            lt_count(in->rank - i - 1, dims + i + 1));
        dims[i] = axis.to;
    }
    lt_tensor_narrow(out, x);
    return true;
}
