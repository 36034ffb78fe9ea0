/* scope.h - the names that are visible while a graph is read: one scope per graph, the outer ones
 * behind it. */
#ifndef LATHE_FRONTENDS_ONNX_SCOPE_H
#define LATHE_FRONTENDS_ONNX_SCOPE_H

#include "frontends/onnx/ops.h"

/* A name is bound to a value, or to a node that failed: then what uses it is skipped without a
 * further error. */
typedef struct Binding {
    Value *value;              /* NULL: an initializer that nobody used yet, or failed */
    const OnnxTensor *pending; /* initializers become nodes at their first use */
    bool failed;
} Binding;

struct OnnxScope {
    const OnnxGraph *graph;
    Map names; /* -> Binding */
    struct OnnxScope *outer;
    Graph *region;         /* a branch or a body: a graph of its own; NULL: the outer scope's */
    Vec(Value *) captured; /* values of outside that the region has as inputs, behind those that
                              were there before */
};

/* A value of outside becomes an input of each region on the way; a constant is one in each of
 * them. */
Binding *lt_onnx_lookup(Import *im, OnnxScope *scope, const char *name);
/* The region's own value for one of outside. */
Value *lt_onnx_capture(Import *im, OnnxScope *scope, Value *outside);
/* Reads a subgraph into scope->region; what its outputs are bound to goes to `results`. Its inputs
 * are bound by the caller, who ends the region with a yield. */
bool lt_onnx_read_region(Import *im, OnnxScope *scope, const OnnxGraph *g, Value **results);
/* Reads a subgraph in place, with `inputs` (as many as it has) for its inputs. */
bool lt_onnx_read_inline(Import *im, const OnnxGraph *g, Value *const *inputs, Value **results);
/* False: the name is bound in this scope already. */
bool lt_onnx_bind(Import *im, const char *name, Binding binding);
/* The value of a binding; makes the constant of an initializer. NULL after an error (or a failed
 * node). */
Value *lt_onnx_resolve(Import *im, Binding *binding, const char *name);
/* Declares the main graph's inputs. */
bool lt_onnx_bind_inputs(Import *im);
/* Binds the initializers of the innermost scope's graph. */
bool lt_onnx_bind_initializers(Import *im);
/* Every override in the options names something. */
bool lt_onnx_check_overrides(Import *im);

#endif
