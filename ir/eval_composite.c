/* eval_composite.c - evaluates the composites that normalize and the recurrent layers, in double
 * throughout: the state of a recurrent layer is rounded only where it is an output. */
#include <math.h>
#include <string.h>

#include "ir/eval_ops.h"

/* --- normalizations ------------------------------------------------------------------------------
 */

/* One lane of n elements, `step` apart, in place. */
static void softmax_lane(Wide *x, int64_t n, int64_t step, bool logarithm) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        most = lt_scalar_eval_float(FN_MAX, most, x[i * step].f, 0);
    for (int64_t i = 0; i < n; i++)
        sum += exp(x[i * step].f - most);
    for (int64_t i = 0; i < n; i++) {
        const double shifted = x[i * step].f - most;
        x[i * step].f = logarithm ? shifted - log(sum) : exp(shifted) / sum;
    }
}

static bool eval_softmax(Evaluation *ev, const Node *node, bool logarithm) {
    const Tensor *in = eval_input(ev, node, 0);
    const AxisSplit split = lt_split_axis(in, lt_attr_int(node, ATTR_AXIS, 0));
    Wide *x = lt_tensor_widen(ev->scratch, in);
    for (int64_t lane = 0; lane < split.outer * split.inner; lane++) {
        Wide *first = x + lane / split.inner * split.extent * split.inner + lane % split.inner;
        softmax_lane(first, split.extent, split.inner, logarithm);
    }
    lt_tensor_narrow(lt_eval_output(ev, node, 0), x);
    return true;
}

bool lt_eval_SOFTMAX(Evaluation *ev, const Node *node) { return eval_softmax(ev, node, false); }
bool lt_eval_LOG_SOFTMAX(Evaluation *ev, const Node *node) { return eval_softmax(ev, node, true); }

static void normalize(Wide *x, int64_t n, double epsilon) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i].f;
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i].f - mean) * (x[i].f - mean);
    const double deviation = sqrt(squares / (double)n + epsilon);
    for (int64_t i = 0; i < n; i++)
        x[i].f = (x[i].f - mean) / deviation;
}

bool lt_eval_LAYER_NORM(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    const Tensor *scale = eval_input(ev, node, 1), *bias = eval_input(ev, node, 2);
    const int axis = (int)lt_attr_int(node, ATTR_AXIS, 0);
    const int64_t n = lt_count(in->rank - axis, in->dims + axis);
    Wide *x = lt_tensor_widen(ev->scratch, in);
    const Wide *factors = scale ? lt_tensor_widen(ev->scratch, scale) : NULL;
    const Wide *terms = bias ? lt_tensor_widen(ev->scratch, bias) : NULL;
    for (int64_t at = 0; at < lt_tensor_elements(in); at += n) {
        normalize(x + at, n, lt_attr_float(node, ATTR_EPSILON, 0));
        for (int64_t i = 0; i < n; i++)
            x[at + i].f = x[at + i].f * (factors ? factors[i].f : 1) + (terms ? terms[i].f : 0);
    }
    lt_tensor_narrow(lt_eval_output(ev, node, 0), x);
    return true;
}

/* --- recurrent layers ----------------------------------------------------------------------------
 */

/* A layer over t steps and n sequences with h hidden values; `wide` gates a sequence and step. */
typedef struct Recurrence {
    int64_t steps, batch, hidden, wide;
    Wide *x;             /* [steps, batch, wide] */
    const Wide *weights; /* [hidden, wide] */
    Wide *h;             /* [batch, hidden]: the state */
    Wide *y;             /* [steps, batch, hidden] */
} Recurrence;

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static Recurrence read_recurrence(Evaluation *ev, const Node *node, uint32_t state) {
    const Tensor *x = eval_input(ev, node, 0), *weights = eval_input(ev, node, 1);
    Recurrence r = {.steps = x->dims[0],
                    .batch = x->dims[1],
                    .hidden = weights->dims[0],
                    .wide = weights->dims[1],
                    .x = lt_tensor_widen(ev->scratch, x),
                    .weights = lt_tensor_widen(ev->scratch, weights),
                    .h = lt_tensor_widen(ev->scratch, eval_input(ev, node, state))};
    r.y = LT_ARRAY(ev->scratch, Wide, r.steps * r.batch * r.hidden);
    return r;
}

/* gates[first..first + count) += h * weights of these columns */
static void add_recurrent(const Recurrence *r, const Wide *h, Wide *gates, int64_t first,
                          int64_t count) {
    for (int64_t k = 0; k < r->hidden; k++) {
        const Wide *row = r->weights + k * r->wide;
        for (int64_t j = first; j < first + count; j++)
            gates[j].f += h[k].f * row[j].f;
    }
}

/* One sequence, one step; the gates are in the order i o f c. */
static void lstm_cell(const Recurrence *r, Wide *gates, Wide *h, Wide *c) {
    const int64_t n = r->hidden;
    add_recurrent(r, h, gates, 0, r->wide);
    for (int64_t j = 0; j < n; j++) {
        const double in = sigmoid(gates[j].f), out = sigmoid(gates[n + j].f);
        const double forget = sigmoid(gates[2 * n + j].f), cell = tanh(gates[3 * n + j].f);
        c[j].f = forget * c[j].f + in * cell;
        h[j].f = out * tanh(c[j].f);
    }
}

bool lt_eval_LSTM(Evaluation *ev, const Node *node) {
    Recurrence r = read_recurrence(ev, node, 2);
    Wide *c = lt_tensor_widen(ev->scratch, eval_input(ev, node, 3));
    const bool reverse = lt_attr_int(node, ATTR_REVERSE, 0);
    for (int64_t i = 0; i < r.steps; i++) {
        const int64_t t = reverse ? r.steps - 1 - i : i;
        for (int64_t b = 0; b < r.batch; b++)
            lstm_cell(&r, r.x + (t * r.batch + b) * r.wide, r.h + b * r.hidden, c + b * r.hidden);
        memcpy(r.y + t * r.batch * r.hidden, r.h, sizeof(Wide) * (size_t)(r.batch * r.hidden));
    }
    lt_tensor_narrow(lt_eval_output(ev, node, 0), r.y);
    lt_tensor_narrow(lt_eval_output(ev, node, 1), r.h);
    lt_tensor_narrow(lt_eval_output(ev, node, 2), c);
    return true;
}

typedef struct GruCell {
    const Wide *bias; /* of the recurrent product, [3 * hidden] in the order z r h */
    bool linear_before_reset;
    Wide *product, *reset; /* scratch: [3 * hidden], [hidden] */
} GruCell;

static void gru_cell(const Recurrence *r, const GruCell *cell, const Wide *x, Wide *h) {
    const int64_t n = r->hidden;
    memcpy(cell->product, cell->bias, sizeof(Wide) * (size_t)r->wide);
    add_recurrent(r, h, cell->product, 0, cell->linear_before_reset ? 3 * n : 2 * n);
    for (int64_t j = 0; j < n; j++) {
        const double reset = sigmoid(x[n + j].f + cell->product[n + j].f);
        cell->reset[j].f = cell->linear_before_reset ? reset : reset * h[j].f;
    }
    if (!cell->linear_before_reset)
        add_recurrent(r, cell->reset, cell->product, 2 * n, n);
    for (int64_t j = 0; j < n; j++) {
        const double update = sigmoid(x[j].f + cell->product[j].f),
                     hidden = cell->product[2 * n + j].f;
        const double scaled = cell->linear_before_reset ? cell->reset[j].f * hidden : hidden;
        h[j].f = (1 - update) * tanh(x[2 * n + j].f + scaled) + update * h[j].f;
    }
}

bool lt_eval_GRU(Evaluation *ev, const Node *node) {
    Recurrence r = read_recurrence(ev, node, 3);
    const GruCell cell = {.bias = lt_tensor_widen(ev->scratch, eval_input(ev, node, 2)),
                          .linear_before_reset = *lt_attr_string(node, ATTR_MODE, "") != '\0',
                          .product = LT_ARRAY(ev->scratch, Wide, r.wide),
                          .reset = LT_ARRAY(ev->scratch, Wide, r.hidden)};
    const bool reverse = lt_attr_int(node, ATTR_REVERSE, 0);
    for (int64_t i = 0; i < r.steps; i++) {
        const int64_t t = reverse ? r.steps - 1 - i : i;
        for (int64_t b = 0; b < r.batch; b++)
            gru_cell(&r, &cell, r.x + (t * r.batch + b) * r.wide, r.h + b * r.hidden);
        memcpy(r.y + t * r.batch * r.hidden, r.h, sizeof(Wide) * (size_t)(r.batch * r.hidden));
    }
    lt_tensor_narrow(lt_eval_output(ev, node, 0), r.y);
    lt_tensor_narrow(lt_eval_output(ev, node, 1), r.h);
    return true;
}
