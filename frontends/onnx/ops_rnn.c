/* ops_rnn.c - recurrent layers: one product for all time steps, then one recurrence a direction. */
#include <string.h>
#include <strings.h>

#include "frontends/onnx/ops.h"

typedef struct Layer {
    int gates; /* 4: LSTM, 3: GRU */
    int64_t hidden, directions;
    bool backward_first; /* direction "reverse" */
    bool batch_first;    /* layout 1 */
    Value *x;            /* [t, n, i] */
    const Dim *h;
} Layer;

static bool check_activations(Import *im, const Layer *l) {
    static const char *const usual[] = {"Sigmoid", "Tanh", "Tanh"};
    size_t each = (size_t)l->gates - 1; /* LSTM has three, GRU two */
    if (!lt_onnx_has(im, "activations"))
        return true;
    const OnnxAttribute *a = lt_onnx_attribute(im, "activations", ONNX_ATTR_STRINGS);
    bool same = a && a->strings.len == each * (size_t)l->directions;
    for (size_t i = 0; same && i < a->strings.len; i++)
        same = strcasecmp(a->strings.data[i], usual[i % each]) == 0;
    return same || lt_onnx_unsupported(im, "only the default activations are supported");
}

/* Every sequence must have the full length. */
static bool check_lengths(Import *im, const Layer *l) {
    Value *lengths = onnx_in(im, 4);
    int64_t elements;
    const Const *c = lengths ? lt_onnx_const(im, lengths) : NULL;
    const Dim *t = l->x->type->dims[0];
    bool full = c && lt_dim_is_const(t) && lt_type_is_static(c->type, &elements);
    for (int64_t i = 0; full && i < elements; i++)
        full = lt_const_get_int(c, c->is_splat ? 0 : i) == t->value;
    return !lengths || full ||
           lt_onnx_unsupported(
               im, "sequence_lens is supported only when it is known to be the full length");
}

static bool read_layer(Import *im, int gates, Layer *l) {
    static const int64_t swap[] = {1, 0, 2};
    const char *direction = lt_onnx_string(im, "direction", "forward");
    l->gates = gates;
    l->directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    l->backward_first = strcmp(direction, "reverse") == 0;
    if (l->directions == 1 && !l->backward_first && strcmp(direction, "forward") != 0)
        return lt_onnx_malformed(im, "direction is '%s'", direction);
    if (im->inputs[0]->type->rank != 3 || im->inputs[1]->type->rank != 3 ||
        im->inputs[2]->type->rank != 3)
        return lt_onnx_malformed(im, "the input and the weights must have rank 3");
    l->h = im->inputs[2]->type->dims[2];
    l->hidden = lt_onnx_int(im, "hidden_size", lt_dim_is_const(l->h) ? l->h->value : 0);
    const Dim *found = im->inputs[1]->type->dims[0];
    if (!lt_dim_is(l->h, l->hidden) || !lt_dim_is(found, l->directions))
        return lt_onnx_malformed(
            im, "hidden_size is %lld with %lld directions, the weights have %s and %s",
            (long long)l->hidden, (long long)l->directions, lt_onnx_dim_text(im, l->h),
            lt_onnx_dim_text(im, found));
    if (lt_onnx_has(im, "clip"))
        return lt_onnx_unsupported(im, "clip is not supported");
    l->batch_first = lt_onnx_int(im, "layout", 0) == 1;
    l->x = l->batch_first ? lt_build_transpose(&im->b, im->inputs[0], swap) : im->inputs[0];
    return l->x && check_activations(im, l) && check_lengths(im, l);
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
    return of_direction(im, v, direction);
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

/* Gates in the order i o f c, as in the IR. */
bool lt_onnx_lstm(Import *im) {
    Layer l = {0};
    if (onnx_in(im, 7))
        return lt_onnx_unsupported(im, "peepholes are not supported");
    if (lt_onnx_int(im, "input_forget", 0))
        return lt_onnx_unsupported(im, "input_forget is not supported");
    if (!read_layer(im, 4, &l))
        return false;
    Value *parts[3][2] = {{NULL}};
    for (int64_t d = 0; d < l.directions; d++) {
        Value *bias = NULL;
        if (onnx_in(im, 3))
            bias = lt_build_map2(&im->b, FN_ADD, bias_of(im, &l, d, 0), bias_of(im, &l, d, 1));
        Value *inputs[] = {input_part(im, &l, d, bias), recurrent_weights(im, d),
                           state_of(im, &l, 5, d), state_of(im, &l, 6, d)};
        Attr reverse = lt_int(ATTR_REVERSE, is_reverse(&l, d));
        NodeSpec spec = {
            .op = OP_LSTM, .inputs = inputs, .input_count = 4, .attrs = &reverse, .attr_count = 1};
        Value *y =
            inputs[0] && inputs[1] && inputs[2] && inputs[3] ? lt_build(&im->b, &spec) : NULL;
        if (!y)
            return false;
        for (int i = 0; i < 3; i++)
            parts[i][d] = y->def->outputs[i];
    }
    return set_results(im, &l, parts, 2);
}

/* Gates in the order z r h. */
bool lt_onnx_gru(Import *im) {
    Layer l = {0};
    if (!read_layer(im, 3, &l))
        return false;
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
