/* loop.c - loops that converters build themselves. */
#include "frontends/onnx/loop.h"

static Value *keep_going(Import *im) {
    return lt_build_const(&im->b, lt_const_int(im->module, DT_BOOL, 1));
}

bool lt_onnx_loop_begin(Import *im, OnnxLoop *l) {
    Value *inputs[ONNX_LOOP_VALUES + 2] = {lt_onnx_dim_value(im, l->trips, DT_I64), keep_going(im)};
    for (uint32_t i = 0; i < l->carried; i++)
        if (!(inputs[i + 2] = l->starts[i]))
            return false;
    const Attr count = lt_int(ATTR_COUNT, l->carried);
    l->node = lt_node_new(im->b.graph, NULL,
                          &(NodeSpec){.op = OP_LOOP,
                                      .inputs = inputs,
                                      .input_count = l->carried + 2,
                                      .attrs = &count,
                                      .attr_count = 1,
                                      .region_count = 1,
                                      .output_count = l->carried + l->stacked,
                                      .loc = im->b.loc});
    if (!l->node)
        return false;
    l->scope = (OnnxScope){.outer = im->scope, .region = l->node->regions[0]};
    l->position =
        lt_graph_add_input(l->scope.region, lt_type(im->module, DT_I64, 0, NULL), "iteration");
    for (uint32_t i = 0; i < l->carried; i++)
        l->state[i] = lt_graph_add_input(l->scope.region, l->starts[i]->type, l->starts[i]->name);
    l->outside = im->b;
    im->b = (Builder){.graph = l->scope.region, .loc = l->outside.loc};
    if (l->reverse)
        l->position = lt_build_map2(
            &im->b, FN_SUB, lt_onnx_dim_value(im, lt_dim_add_const(im->dims, l->trips, -1), DT_I64),
            l->position);
    return l->position != NULL;
}

Value *lt_onnx_loop_capture(Import *im, OnnxLoop *l, Value *outer) {
    return outer ? lt_onnx_capture(im, &l->scope, outer) : NULL;
}

Value *lt_onnx_loop_step(Import *im, OnnxLoop *l, Value *outer) {
    Value *inside = lt_onnx_loop_capture(im, l, outer);
    return inside ? lt_build_gather(&im->b, inside, l->position, 0) : NULL;
}

bool lt_onnx_loop_end(Import *im, OnnxLoop *l, Value **values) {
    const uint32_t count = l->carried + l->stacked;
    Value *yielded[2 * ONNX_LOOP_VALUES + 1] = {keep_going(im)};
    im->b = l->outside;
    for (uint32_t i = 0; i < count; i++)
        if (!(yielded[i + 1] = values[i]))
            return false;
    lt_graph_set_outputs(l->scope.region, yielded, count + 1);
    for (size_t i = 0; i < l->scope.captured.len; i++)
        lt_node_add_input(l->node, l->scope.captured.data[i]);
    if (!lt_infer_node(l->node))
        return false;
    for (uint32_t i = 0; i < l->carried; i++)
        l->state[i] = l->node->outputs[i];
    for (uint32_t i = l->carried; i < count; i++) {
        values[i] = l->node->outputs[i];
        if (l->reverse && !(values[i] = lt_onnx_flip(im, values[i], 0)))
            return false;
    }
    return true;
}
