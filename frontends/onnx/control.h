/* control.h - what converters of ops with subgraphs have in common. */
#ifndef LATHE_FRONTENDS_ONNX_CONTROL_H
#define LATHE_FRONTENDS_ONNX_CONTROL_H

#include "frontends/onnx/compound.h"

/* The attribute of the node at hand; NULL after an error. */
const OnnxGraph *lt_onnx_subgraph(Import *im, const char *name);
/* A node at the end of the graph at hand, whose regions are to be filled. */
Node *lt_onnx_region_node(Import *im, Op op, Value *const *inputs, uint32_t input_count,
                          uint32_t regions, uint32_t outputs, const Attr *attr);
OnnxScope lt_onnx_region_scope(Import *im, const OnnxGraph *g, Graph *region);
/* What the node gives: values in these forms first, tensors then. */
bool lt_onnx_take_outputs(Import *im, Node *node, const CompoundForm *const *forms, uint32_t count);

#endif
