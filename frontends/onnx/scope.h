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
    bool is_absent; /* a function's input that the call leaves out */
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
/* The binding of the node's input i; NULL after an error. */
Binding *lt_onnx_operand(Import *im, size_t i);
/* Reads the nodes of a graph in the innermost scope. False when the file is malformed. (graph.c) */
bool lt_onnx_convert_nodes(Import *im, const OnnxGraph *g);
/* The op of the node at hand with its domain and version. */
const char *lt_onnx_op_text(const Import *im);
/* Counts the node at hand in options->ops, and how it went: what was said since `first_diag`, or
 * whether an operand was missing (census.c). */
void lt_onnx_count_node(Import *im);
void lt_onnx_count_outcome(Import *im, size_t first_diag, bool is_skipped);
/* Back to the node around, with what was counted and mapped since. */
void lt_onnx_leave(Import *im, const Import *outer);
/* The function of the model that the node calls, or NULL. (functions.c) */
const OnnxFunction *lt_onnx_function(const Import *im, const OnnxNode *n);
/* Reads the function's nodes in place of the node at hand. False when the file is malformed. */
bool lt_onnx_call(Import *im, const OnnxFunction *f);
/* A node of the function at hand with its attributes as this call gives them; NULL after an
 * error. */
const OnnxNode *lt_onnx_instantiate(Import *im, const OnnxNode *written);
/* Every override in the options names something. */
bool lt_onnx_check_overrides(Import *im);

#endif
