/* ops_rnn.c - recurrent layers: one product for all time steps, then one recurrence a direction.
 * The IR's own ops take the usual ones; a plain RNN, and an LSTM with peepholes or with sequences
 * of different lengths, are loops. */
#include <string.h>
#include <strings.h>

#include "frontends/onnx/extents.h"
#include "frontends/onnx/loop.h"

typedef struct Layer {
    int gates; /* 4: LSTM, 3: GRU, 1: RNN */
    int64_t hidden, directions;
    bool backward_first; /* direction "reverse" */
    bool batch_first;    /* layout 1 */
    Value *x;            /* [t, n, i] */
    Value *lengths;      /* i64[n]: of the sequences; NULL: all full */
    const Dim *h;
} Layer;

static bool check_activations(Import *im, const Layer *l) {
    static const char *const usual[] = {"Sigmoid", "Tanh", "Tanh"};
    if (l->gates == 1)
        return true;
    size_t each = (size_t)l->gates - 1; /* LSTM has three, GRU two */
    if (!lt_onnx_has(im, "activations"))
        return true;
    const OnnxAttribute *a = lt_onnx_attribute(im, "activations", ONNX_ATTR_STRINGS);
    bool same = a && a->strings.len == each * (size_t)l->directions;
    for (size_t i = 0; same && i < a->strings.len; i++)
        same = strcasecmp(a->strings.data[i], usual[i % each]) == 0;
    return same || lt_onnx_unsupported(im, "only the default activations are supported");
}

/* Lengths that are not known to be full are for loops. */
static bool read_lengths(Import *im, Layer *l) {
    Value *lengths = onnx_in(im, 4);
    int64_t elements;
    const Const *c = lengths ? lt_onnx_const(im, lengths) : NULL;
    const Dim *t = l->x->type->dims[0];
    bool full = c && lt_dim_is_const(t) && lt_type_is_static(c->type, &elements);
    for (int64_t i = 0; full && i < elements; i++)
        full = lt_const_get_int(c, c->is_splat ? 0 : i) == t->value;
    if (!lengths || full)
        return true;
    if (lengths->type->rank != 1)
        return lt_onnx_malformed(im, "sequence_lens has rank %d; expected 1", lengths->type->rank);
    lengths = lt_onnx_fix_dim(im, lengths, 0, l->x->type->dims[1], "sequence_lens");
    l->lengths = lengths ? lt_build_convert(&im->b, lengths, DT_I64) : NULL;
    return l->lengths != NULL;
}

/* What the attributes say of W [directions, gates * h, i], R [directions, gates * h, h] and B
 * [directions, 2 * gates * h] holds for their extents. */
static bool fix_weights(Import *im, const Layer *l) {
    static const char *const names[] = {"W", "R", "B"};
    const int64_t rows = l->gates * l->hidden, second[] = {rows, rows, 2 * rows};
    for (uint32_t i = 1; i < 4; i++) {
        Value *v = onnx_in(im, i);
        if (!v)
            continue;
        if (v->type->rank != (i == 3 ? 2 : 3))
            return lt_onnx_malformed(im, "%s has rank %d", names[i - 1], v->type->rank);
        v = lt_onnx_fix_extent(im, v, 0, l->directions, names[i - 1]);
        v = lt_onnx_fix_extent(im, v, 1, second[i - 1], names[i - 1]);
        v = i == 2 ? lt_onnx_fix_extent(im, v, 2, l->hidden, names[i - 1]) : v;
        if (!v)
            return false;
        im->inputs[i] = v;
    }
    return true;
}

static bool read_layer(Import *im, int gates, Layer *l) {
    static const int64_t swap[] = {1, 0, 2};
    const char *direction = lt_onnx_string(im, "direction", "forward");
    l->gates = gates;
    l->directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    l->backward_first = strcmp(direction, "reverse") == 0;
    if (l->directions == 1 && !l->backward_first && strcmp(direction, "forward") != 0)
        return lt_onnx_malformed(im, "direction is '%s'", direction);
    if (im->inputs[0]->type->rank != 3 || im->inputs[2]->type->rank != 3)
        return lt_onnx_malformed(im, "the input and the weights must have rank 3");
    l->h = im->inputs[2]->type->dims[2];
    if (!lt_onnx_has(im, "hidden_size") && !lt_dim_is_const(l->h))
        return lt_onnx_unsupported(im, "hidden_size is %s, and no attribute says it",
                                   lt_onnx_dim_text(im, l->h));
    l->hidden = lt_onnx_int(im, "hidden_size", l->h->value);
    if (!fix_weights(im, l))
        return false;
    l->h = lt_dim_const(im->dims, l->hidden);
    if (lt_onnx_has(im, "clip"))
        return lt_onnx_unsupported(im, "clip is not supported");
    l->batch_first = lt_onnx_int(im, "layout", 0) == 1;
    l->x = l->batch_first ? lt_build_transpose(&im->b, im->inputs[0], swap) : im->inputs[0];
    return l->x && check_activations(im, l) && read_lengths(im, l);
}

/* What belongs to one direction of [directions, ...], without that axis. */
static Value *of_direction(Import *im, Value *v, int64_t direction) {
    static const int64_t axis[] = {0};
    v = lt_onnx_slice_axis(im, v, 0, lt_dim_const(im->dims, direction), lt_dim_const(im->dims, 1));
    return v ? lt_build_squeeze(&im->b, v, axis, 1) : NULL;
}

static Value *state_of(Import *im, const Layer *l, uint32_t input, int64_t direction) {
    static const int64_t swap[] = {1, 0, 2};
    Value *v = onnx_in(im, input);
    const Dim *dims[] = {l->x->type->dims[1], l->h};
    if (!v)
        return lt_onnx_full(im, l->x->type->dtype, 2, dims, lt_onnx_scalar_like(im, l->x, 0));
    if (l->batch_first)
        v = lt_build_transpose(&im->b, v, swap);
    return lt_onnx_fix_dims(im, of_direction(im, v, direction), 2, dims, "the initial state");
}

/* Half of [directions, 2 * gates * h]: 0 for the input's bias, 1 for the recurrence's. */
static Value *bias_of(Import *im, const Layer *l, int64_t direction, int half) {
    const Dim *size = lt_dim_const(im->dims, l->gates * l->hidden);
    if (!onnx_in(im, 3))
        return lt_onnx_full(im, l->x->type->dtype, 1, &size, lt_onnx_scalar_like(im, l->x, 0));
    Value *both = of_direction(im, onnx_in(im, 3), direction);
    return lt_onnx_slice_axis(im, both, 0, lt_dim_const(im->dims, half * l->gates * l->hidden),
                              size);
}

/* x times the weights of all gates, for all time steps, plus bias: [t, n, gates * h]. */
static Value *input_part(Import *im, const Layer *l, int64_t direction, Value *bias) {
    Value *w = of_direction(im, im->inputs[1], direction);
    Value *product = w ? lt_build_contract(&im->b, l->x, w, "tni,gi->tng") : NULL;
    return bias ? lt_build_map2(&im->b, FN_ADD, product, bias) : product;
}

static Value *recurrent_weights(Import *im, int64_t direction) {
    static const int64_t perm[] = {1, 0};
    return lt_build_transpose(&im->b, of_direction(im, im->inputs[2], direction), perm);
}

/* Stacks what the directions gave along a new axis. */
static Value *stack(Import *im, Value *const *parts, int64_t count, int64_t axis) {
    Value *wide[2];
    for (int64_t i = 0; i < count; i++)
        if (!parts[i] || !(wide[i] = lt_build_unsqueeze(&im->b, parts[i], &axis, 1)))
            return NULL;
    return count == 1 ? wide[0] : lt_build_concat(&im->b, wide, (uint32_t)count, (int)axis);
}

/* Y is [t, directions, n, h], or [n, t, directions, h] in layout 1; states are [directions, n, h]
 * or [n, directions, h]. */
static bool set_results(Import *im, const Layer *l, Value *parts[3][2], uint32_t states) {
    static const int64_t to_batch[] = {2, 0, 1, 3}, swap[] = {1, 0, 2};
    Value *y = stack(im, parts[0], l->directions, 1);
    if (l->batch_first && y)
        y = lt_build_transpose(&im->b, y, to_batch);
    if (!onnx_set(im, 0, y))
        return false;
    for (uint32_t i = 1; i <= states; i++) {
        if (!onnx_wants(im, i))
            continue;
        Value *state = stack(im, parts[i], l->directions, 0);
        if (l->batch_first && state)
            state = lt_build_transpose(&im->b, state, swap);
        if (!onnx_set(im, i, state))
            return false;
    }
    return true;
}

static bool is_reverse(const Layer *l, int64_t direction) {
    return l->backward_first || direction == 1;
}

/* --- layers as loops -------------------------------------------------------------------------- */

static Value *mul(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_MUL, x, y); }
static Value *add(Import *im, Value *x, Value *y) { return lt_build_map2(&im->b, FN_ADD, x, y); }

/* In the body: bool[n, 1], whether the sequences are this long; NULL: all are. */
static Value *is_within(Import *im, OnnxLoop *loop, const Layer *l) {
    static const int64_t axis[] = {1};
    Value *lengths = lt_onnx_loop_capture(im, loop, l->lengths);
    return lengths ? lt_build_unsqueeze(
                         &im->b, lt_build_map2(&im->b, FN_LT, loop->position, lengths), axis, 1)
                   : NULL;
}

/* Ends the body with the new states, of which the first is the output: beyond a sequence's end
 * states stay, and the output is 0. Sets parts[0..carried][d]. */
static bool end_step(Import *im, OnnxLoop *loop, const Layer *l, Value *const *next,
                     Value *parts[3][2], int64_t d) {
    Value *within = is_within(im, loop, l), *values[ONNX_LOOP_VALUES + 1];
    for (uint32_t i = 0; i < loop->carried; i++)
        values[i] = within ? lt_build_map3(&im->b, FN_SELECT, within, next[i], loop->state[i])
                           : next[i];
    values[loop->carried] = within ? lt_build_map3(&im->b, FN_SELECT, within, next[0],
                                                   lt_onnx_scalar_like(im, next[0], 0))
                                   : next[0];
    if (!lt_onnx_loop_end(im, loop, values))
        return false;
    parts[0][d] = values[loop->carried];
    for (uint32_t i = 0; i < loop->carried; i++)
        parts[i + 1][d] = loop->state[i];
    return true;
}

/* In the body: what all gates get, [n, gates * h]. */
static Value *step_gates(Import *im, OnnxLoop *loop, Value *gates, Value *weights) {
    Value *w = lt_onnx_loop_capture(im, loop, weights);
    Value *recurrent = w ? lt_build_contract(&im->b, loop->state[0], w, "nh,hg->ng") : NULL;
    return add(im, lt_onnx_loop_step(im, loop, gates), recurrent);
}

static Value *both_biases(Import *im, const Layer *l, int64_t d) {
    return onnx_in(im, 3) ? add(im, bias_of(im, l, d, 0), bias_of(im, l, d, 1)) : NULL;
}

static OnnxLoop layer_loop(const Layer *l, int64_t d, uint32_t carried) {
    return (OnnxLoop){.trips = l->x->type->dims[0],
                      .reverse = is_reverse(l, d),
                      .carried = carried,
                      .stacked = 1};
}

static const struct {
    const char *name;
    ScalarFn fn;
} plain_activations[] = {{"Tanh", FN_TANH},         {"Relu", FN_RELU},
                         {"Sigmoid", FN_SIGMOID},   {"Softplus", FN_SOFTPLUS}};

static bool activation_of(Import *im, int64_t direction, ScalarFn *fn) {
    *fn = FN_TANH;
    if (!lt_onnx_has(im, "activations"))
        return true;
    const OnnxAttribute *a = lt_onnx_attribute(im, "activations", ONNX_ATTR_STRINGS);
    if (!a || (int64_t)a->strings.len <= direction)
        return lt_onnx_malformed(im, "activations has no name for direction %lld",
                                 (long long)direction);
    const char *name = a->strings.data[direction];
    for (size_t i = 0; i < sizeof plain_activations / sizeof *plain_activations; i++)
        if (strcasecmp(name, plain_activations[i].name) == 0) {
            *fn = plain_activations[i].fn;
            return true;
        }
    return lt_onnx_unsupported(im, "the activation '%s' is not supported", name);
}

bool lt_onnx_rnn(Import *im) {
    Layer l = {0};
    if (!read_layer(im, 1, &l))
        return false;
    Value *parts[3][2] = {{NULL}};
    for (int64_t d = 0; d < l.directions; d++) {
        ScalarFn activation;
        if (!activation_of(im, d, &activation))
            return false;
        OnnxLoop loop = layer_loop(&l, d, 1);
        Value *gates = input_part(im, &l, d, both_biases(im, &l, d)),
              *weights = recurrent_weights(im, d);
        loop.starts[0] = state_of(im, &l, 5, d);
        if (!gates || !weights || !lt_onnx_loop_begin(im, &loop))
            return false;
        Value *h = lt_build_map1(&im->b, activation, step_gates(im, &loop, gates, weights));
        if (!end_step(im, &loop, &l, &h, parts, d))
            return false;
    }
    return set_results(im, &l, parts, 1);
}

/* In the body: gate `which` of i o f c before its function, with what its peephole lets it see of
 * the cell: those are in the order i o f. */
static Value *lstm_gate(Import *im, const Layer *l, Value *all, int which, Value *peepholes,
                        Value *cell) {
    const Dim *start = lt_dim_const(im->dims, which * l->hidden);
    Value *gate = lt_onnx_slice_axis(im, all, 1, start, l->h);
    if (!peepholes)
        return gate;
    return add(im, gate, mul(im, lt_onnx_slice_axis(im, peepholes, 0, start, l->h), cell));
}

static bool lstm_loop(Import *im, const Layer *l, int64_t d, Value *const *inputs,
                      Value *parts[3][2]) {
    OnnxLoop loop = layer_loop(l, d, 2);
    Value *holes = onnx_in(im, 7) ? of_direction(im, onnx_in(im, 7), d) : NULL;
    loop.starts[0] = inputs[2];
    loop.starts[1] = inputs[3];
    if ((onnx_in(im, 7) && !holes) || !lt_onnx_loop_begin(im, &loop))
        return false;
    Value *all = step_gates(im, &loop, inputs[0], inputs[1]), *before = loop.state[1];
    holes = lt_onnx_loop_capture(im, &loop, holes);
    Value *in = lt_build_map1(&im->b, FN_SIGMOID, lstm_gate(im, l, all, 0, holes, before));
    Value *forget = lt_build_map1(&im->b, FN_SIGMOID, lstm_gate(im, l, all, 2, holes, before));
    Value *fresh = lt_build_map1(&im->b, FN_TANH, lstm_gate(im, l, all, 3, NULL, NULL));
    Value *cell = add(im, mul(im, forget, before), mul(im, in, fresh));
    Value *out = lt_build_map1(&im->b, FN_SIGMOID, lstm_gate(im, l, all, 1, holes, cell));
    Value *next[] = {mul(im, out, lt_build_map1(&im->b, FN_TANH, cell)), cell};
    return end_step(im, &loop, l, next, parts, d);
}

static bool lstm_op(Import *im, const Layer *l, int64_t d, Value *const *inputs,
                    Value *parts[3][2]) {
    Attr reverse = lt_int(ATTR_REVERSE, is_reverse(l, d));
    NodeSpec spec = {
        .op = OP_LSTM, .inputs = inputs, .input_count = 4, .attrs = &reverse, .attr_count = 1};
    Value *y = lt_build(&im->b, &spec);
    for (int i = 0; y && i < 3; i++)
        parts[i][d] = y->def->outputs[i];
    return y != NULL;
}

/* --- layers ----------------------------------------------------------------------------------- */

/* Gates in the order i o f c, as in the IR. */
bool lt_onnx_lstm(Import *im) {
    Layer l = {0};
    if (lt_onnx_int(im, "input_forget", 0))
        return lt_onnx_unsupported(im, "input_forget is not supported");
    if (!read_layer(im, 4, &l))
        return false;
    bool is_usual = !onnx_in(im, 7) && !l.lengths;
    Value *parts[3][2] = {{NULL}};
    for (int64_t d = 0; d < l.directions; d++) {
        Value *inputs[] = {input_part(im, &l, d, both_biases(im, &l, d)), recurrent_weights(im, d),
                           state_of(im, &l, 5, d), state_of(im, &l, 6, d)};
        if (!inputs[0] || !inputs[1] || !inputs[2] || !inputs[3])
            return false;
        if (!(is_usual ? lstm_op : lstm_loop)(im, &l, d, inputs, parts))
            return false;
    }
    return set_results(im, &l, parts, 2);
}

/* Gates in the order z r h. */
bool lt_onnx_gru(Import *im) {
    Layer l = {0};
    if (!read_layer(im, 3, &l))
        return false;
    if (l.lengths)
        return lt_onnx_unsupported(
            im, "sequence_lens is supported only when it is known to be the full length");
    const char *mode = lt_onnx_int(im, "linear_before_reset", 0) ? "linear_before_reset" : "";
    Value *parts[3][2] = {{NULL}};
    for (int64_t d = 0; d < l.directions; d++) {
        Value *inputs[] = {input_part(im, &l, d, bias_of(im, &l, d, 0)), recurrent_weights(im, d),
                           bias_of(im, &l, d, 1), state_of(im, &l, 5, d)};
        Attr attrs[] = {lt_int(ATTR_REVERSE, is_reverse(&l, d)), lt_string(ATTR_MODE, mode)};
        NodeSpec spec = {
            .op = OP_GRU, .inputs = inputs, .input_count = 4, .attrs = attrs, .attr_count = 2};
        Value *y =
            inputs[0] && inputs[1] && inputs[2] && inputs[3] ? lt_build(&im->b, &spec) : NULL;
        if (!y)
            return false;
        for (int i = 0; i < 2; i++)
            parts[i][d] = y->def->outputs[i];
    }
    return set_results(im, &l, parts, 1);
}
