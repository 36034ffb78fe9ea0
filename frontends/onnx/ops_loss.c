/* ops_loss.c - losses over classes: the log-probability of each sample's class, picked by index. */
#include <string.h>

#include "frontends/onnx/ops.h"

typedef struct Loss {
    Value *log_probability; /* [n, classes, d...] */
    Value *target;          /* i64[n, d...]: within the classes, wherever `counts` is true */
    Value *counts;          /* bool[n, d...]: not what ignore_index says; NULL: all do */
    Value *weight;          /* [n, d...]: of each sample; NULL: 1 */
} Loss;

/* Classes that are ignored may be out of range: 0 is read in their place. */
static bool read_target(Import *im, Loss *loss) {
    Value *target = lt_build_convert(&im->b, im->inputs[1], DT_I64);
    if (!target || im->inputs[0]->type->rank != target->type->rank + 1)
        return lt_onnx_malformed(im, "the classes have rank %d; expected %d",
                                 im->inputs[1]->type->rank, im->inputs[0]->type->rank - 1);
    loss->target = target;
    if (lt_onnx_has(im, "ignore_index")) {
        double ignored = (double)lt_onnx_int(im, "ignore_index", 0);
        loss->counts = lt_onnx_map_scalar(im, FN_NE, target, ignored);
        loss->target = lt_build_map3(&im->b, FN_SELECT, loss->counts, target,
                                     lt_onnx_scalar_like(im, target, 0));
    }
    return loss->target != NULL;
}

/* 0 where the sample does not count. */
static Value *where_it_counts(Import *im, const Loss *loss, Value *x) {
    if (!loss->counts || !x)
        return x;
    return lt_build_map3(&im->b, FN_SELECT, loss->counts, x, lt_onnx_scalar_like(im, x, 0));
}

static Value *sample_weights(Import *im, const Loss *loss) {
    Value *x = loss->log_probability;
    if (onnx_in(im, 2))
        return where_it_counts(
            im, loss, lt_build_gather(&im->b, onnx_in(im, 2), loss->target, 0));
    return loss->counts ? lt_build_convert(&im->b, loss->counts, x->type->dtype) : NULL;
}

static Value *sample_losses(Import *im, const Loss *loss) {
    static const int64_t class_axis = 1;
    Attr attrs[] = {lt_int(ATTR_AXIS, class_axis)};
    Value *inputs[] = {loss->log_probability,
                       lt_build_unsqueeze(&im->b, loss->target, &class_axis, 1)};
    NodeSpec spec = {.op = OP_GATHER_ELEMENTS,
                     .inputs = inputs,
                     .input_count = 2,
                     .attrs = attrs,
                     .attr_count = 1};
    Value *picked = inputs[1] ? lt_build(&im->b, &spec) : NULL;
    picked = lt_build_map1(&im->b, FN_NEG, lt_build_squeeze(&im->b, picked, &class_axis, 1));
    if (onnx_in(im, 2))
        picked = lt_build_map2(&im->b, FN_MUL, picked, loss->weight);
    return where_it_counts(im, loss, picked);
}

static bool set_reduced(Import *im, const Loss *loss, Value *losses) {
    const char *reduction = lt_onnx_string(im, "reduction", "mean");
    int64_t axes[LT_MAX_RANK];
    if (!losses || strcmp(reduction, "none") == 0)
        return onnx_set(im, 0, losses);
    bool is_mean = strcmp(reduction, "mean") == 0;
    if (!is_mean && strcmp(reduction, "sum") != 0)
        return lt_onnx_malformed(im, "reduction is '%s'; expected none, sum or mean", reduction);
    int rank = losses->type->rank;
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    if (is_mean && !loss->weight)
        return onnx_set(im, 0, lt_onnx_mean(im, losses, axes, rank, false));
    Value *total = lt_build_reduce(&im->b, FN_ADD, losses, axes, rank, false);
    if (is_mean) {
        Value *weights = lt_build_reduce(&im->b, FN_ADD, loss->weight, axes, rank, false);
        total = lt_build_map2(&im->b, FN_DIV, total, weights);
    }
    return onnx_set(im, 0, total);
}

static bool set_loss(Import *im, Value *log_probability) {
    Loss loss = {.log_probability = log_probability};
    if (!log_probability)
        return false;
    if (log_probability->type->rank < 2)
        return lt_onnx_malformed(im, "input 0 has rank %d; expected at least 2",
                                 log_probability->type->rank);
    if (!read_target(im, &loss))
        return false;
    loss.weight = sample_weights(im, &loss);
    return set_reduced(im, &loss, sample_losses(im, &loss));
}

bool lt_onnx_negative_log_likelihood_loss(Import *im) { return set_loss(im, im->inputs[0]); }

bool lt_onnx_softmax_cross_entropy_loss(Import *im) {
    if (im->inputs[0]->type->rank < 2)
        return lt_onnx_malformed(im, "input 0 has rank %d; expected at least 2",
                                 im->inputs[0]->type->rank);
    Attr axis = lt_int(ATTR_AXIS, 1);
    Value *log_probability = lt_build(&im->b, &(NodeSpec){.op = OP_LOG_SOFTMAX,
                                                          .inputs = im->inputs,
                                                          .input_count = 1,
                                                          .attrs = &axis,
                                                          .attr_count = 1});
    if (onnx_wants(im, 1) && !onnx_set(im, 1, log_probability))
        return false;
    return set_loss(im, log_probability);
}
