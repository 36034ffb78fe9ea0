/* functions.c - functions that the model defines: the nodes of one are read where it is called, in
 * a scope of its own. */
#include <string.h>

#include "frontends/onnx/scope.h"

/* Nested calls, and nodes that a few bytes of nested calls may stand for. */
enum { MOST_CALLS = 200, MOST_NODES = 1 << 20 };

const OnnxFunction *lt_onnx_function(const Import *im, const OnnxNode *n) {
    for (size_t i = 0; i < im->model->functions.len; i++) {
        const OnnxFunction *f = &im->model->functions.data[i];
        if (strcmp(f->name, n->op) == 0 && strcmp(f->domain, n->domain) == 0 &&
            strcmp(f->overload, n->overload) == 0)
            return f;
    }
    return NULL;
}

/* --- attributes ---------------------------------------------------------------------------- */

static const OnnxAttribute *attribute_named(const OnnxAttribute *a, size_t count,
                                            const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(a[i].name, name) == 0)
            return &a[i];
    return NULL;
}

/* What the call gives, else the default; NULL: absent. */
static const OnnxAttribute *argument_named(const FunctionCall *call, const char *name) {
    const OnnxNode *n = call->node;
    const OnnxFunction *f = call->function;
    const OnnxAttribute *given = attribute_named(n->attributes.data, n->attributes.len, name);
    return given ? given : attribute_named(f->defaults.data, f->defaults.len, name);
}

/* Attributes that refer to the function's have its values; without one, they are left out. */
static bool set_attributes(Import *im, const OnnxNode *written, OnnxNode *n) {
    n->attributes.len = n->attributes.cap = 0;
    n->attributes.data = NULL;
    for (size_t i = 0; i < written->attributes.len; i++) {
        OnnxAttribute a = written->attributes.data[i];
        const OnnxAttribute *argument = a.ref ? argument_named(im->call, a.ref) : &a;
        if (!argument)
            continue;
        if (a.ref && argument->ref)
            return lt_onnx_malformed(im, "the default of attribute %s refers to another", a.ref);
        if (a.ref && a.type != ONNX_ATTR_NONE && a.type != argument->type)
            return lt_onnx_malformed(im, "attribute %s has another type than %s of the function",
                                     a.name, a.ref);
        const char *name = a.name;
        a = *argument;
        a.name = name;
        lt_vec_push(im->arena, &n->attributes, a);
    }
    return true;
}

const OnnxNode *lt_onnx_instantiate(Import *im, const OnnxNode *written) {
    OnnxNode *n = lt_arena_copy(im->arena, written, sizeof *written);
    Loc *loc = lt_arena_copy(im->arena, written->loc, sizeof *written->loc);
    const char *call = im->call->node->loc->node;
    loc->node = lt_arena_printf(im->arena, "%s/%s", call ? call : "", loc->node ? loc->node : "");
    n->loc = loc;
    im->node = n;
    if (++im->inlined > MOST_NODES) {
        lt_onnx_unsupported(im, "functions stand for more than %d nodes", MOST_NODES);
        return NULL;
    }
    for (size_t i = 0; i < written->attributes.len; i++)
        if (written->attributes.data[i].ref)
            return set_attributes(im, written, n) ? n : NULL;
    return n;
}

/* --- calls --------------------------------------------------------------------------------- */

static bool is_declared(const OnnxFunction *f, const char *name) {
    for (size_t i = 0; i < f->attributes.len; i++)
        if (strcmp(f->attributes.data[i], name) == 0)
            return true;
    return attribute_named(f->defaults.data, f->defaults.len, name) != NULL;
}

static bool check_call(Import *im, const FunctionCall *call) {
    const OnnxNode *n = im->node;
    const OnnxFunction *f = call->function;
    for (const FunctionCall *outer = call->outer; outer; outer = outer->outer)
        if (outer->function == f)
            return lt_onnx_malformed(im, "the function calls itself");
    if (call->depth > MOST_CALLS)
        return lt_onnx_malformed(im, "functions call each other more than %d deep", MOST_CALLS);
    if (n->inputs.len > f->inputs.len)
        return lt_onnx_malformed(im, "it has %zu inputs; the function has %zu", n->inputs.len,
                                 f->inputs.len);
    if (n->outputs.len > f->outputs.len)
        return lt_onnx_malformed(im, "it has %zu outputs; the function has %zu", n->outputs.len,
                                 f->outputs.len);
    for (size_t i = 0; i < n->attributes.len; i++)
        if (!is_declared(f, n->attributes.data[i].name))
            return lt_onnx_malformed(im, "the function has no attribute '%s'",
                                     n->attributes.data[i].name);
        else if (n->attributes.data[i].ref)
            return lt_onnx_malformed(im, "attribute %s refers to a function's, outside a function",
                                     n->attributes.data[i].name);
    return true;
}

/* The function's names for the caller's values; those that are left out are absent. */
static bool bind_arguments(Import *im, const OnnxFunction *f, OnnxScope *scope) {
    const OnnxNode *n = im->node;
    for (size_t i = 0; i < f->inputs.len; i++) {
        Binding *binding = LT_NEW(im->arena, Binding);
        binding->is_absent = i >= n->inputs.len || !*n->inputs.data[i];
        if (!binding->is_absent)
            binding = lt_onnx_operand(im, i);
        if (!binding)
            return false;
        if (lt_strmap_get(&scope->names, f->inputs.data[i]))
            return lt_onnx_malformed(im, "input '%s' of the function is declared twice",
                                     f->inputs.data[i]);
        lt_strmap_set(&scope->names, f->inputs.data[i], binding);
    }
    return true;
}

static bool bind_results(Import *im, const OnnxFunction *f, OnnxScope *scope) {
    const OnnxNode *n = im->node;
    for (size_t i = 0; i < n->outputs.len; i++) {
        const char *name = n->outputs.data[i], *inner = f->outputs.data[i];
        if (!*name)
            continue;
        Binding *binding = lt_strmap_get(&scope->names, inner);
        if (!binding || binding->is_absent)
            return lt_onnx_malformed(im, "output '%s' of the function is %s", inner,
                                     binding ? "an input that is left out"
                                             : "not defined by any of its nodes");
        if (lt_strmap_get(&im->scope->names, name))
            return lt_onnx_malformed(im, "output '%s' is defined twice", name);
        lt_strmap_set(&im->scope->names, name, binding);
    }
    return true;
}

bool lt_onnx_call(Import *im, const OnnxFunction *f) {
    const FunctionCall call = {.function = f,
                               .node = im->node,
                               .outer = im->call,
                               .depth = im->call ? im->call->depth + 1 : 1};
    OnnxScope scope = {.graph = f->body};
    lt_map_init(&scope.names, im->arena);
    if (!check_call(im, &call) || !bind_arguments(im, f, &scope))
        return false;
    const Import outer = *im;
    im->call = &call;
    im->scope = &scope;
    const bool ok = lt_onnx_convert_nodes(im, f->body);
    lt_onnx_leave(im, &outer);
    return ok && bind_results(im, f, &scope);
}
