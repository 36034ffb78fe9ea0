/* eval_suppress.c - evaluates `suppress`: what is left of boxes that overlap. */
#include "ir/eval_ops.h"
#include "ir/kernel_expr.h"

/* y0, x0, y1, x1, the lower ones first. */
typedef const Wide *Box;

static double rounded(DType dtype, double x) { return lt_dtype_round(dtype, x); }

static double length(DType dtype, double from, double to) { return rounded(dtype, to - from); }

static double area(DType dtype, Box b) {
    return rounded(dtype, length(dtype, b[0].f, b[2].f) * length(dtype, b[1].f, b[3].f));
}

/* Of two boxes along one dim, not less than 0. */
static double shared_length(DType dtype, Box a, Box b, int dim) {
    const double from = lt_scalar_eval_float(FN_MAX, b[dim].f, a[dim].f, 0);
    const double to = lt_scalar_eval_float(FN_MIN, b[dim + 2].f, a[dim + 2].f, 0);
    return lt_scalar_eval_float(FN_MAX, length(dtype, from, to), 0, 0);
}

static bool overlaps(DType dtype, Box a, Box b, double most) {
    const double shared =
        rounded(dtype, shared_length(dtype, a, b, 0) * shared_length(dtype, a, b, 1));
    const double both = rounded(dtype, area(dtype, a) + area(dtype, b));
    const double all = rounded(dtype, both - shared);
    return rounded(dtype, shared / all) > most && shared > 0;
}

bool lt_eval_SUPPRESS(Evaluation *ev, const Node *node) {
    const Tensor *keep = eval_input(ev, node, 0), *edges = eval_input(ev, node, 1);
    const int64_t most = lt_tensor_get_int(eval_input(ev, node, 2), 0);
    const double overlap = lt_tensor_get_float(eval_input(ev, node, 3), 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    const Wide *boxes = lt_tensor_widen(ev->scratch, edges);
    const int64_t n = keep->dims[keep->rank - 1], lists = lt_count(keep->rank - 1, keep->dims);
    for (int64_t l = 0; l < lists; l++) {
        const int64_t first = l * n;
        int64_t taken = 0;
        for (int64_t i = first; i < first + n; i++)
            lt_tensor_set_int(out, i, lt_tensor_get_int(keep, i));
        for (int64_t i = first; i < first + n; i++) {
            const bool stays = lt_tensor_get_int(out, i) && taken < most;
            lt_tensor_set_int(out, i, stays);
            taken += stays;
            for (int64_t j = i + 1; j < first + n && stays; j++)
                if (overlaps(edges->dtype, boxes + 4 * i, boxes + 4 * j, overlap))
                    lt_tensor_set_int(out, j, 0);
        }
    }
    return true;
}
