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
};

Binding *lt_onnx_lookup(const OnnxScope *scope, const char *name);
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
