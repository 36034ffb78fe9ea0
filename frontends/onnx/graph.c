/* graph.c - the driver: walks the nodes in order, checks each against ops.def, calls its converter,
 * binds its outputs.
 *
 * A node that is not supported does not end the walk, so that one run reports them all; what
 * depends on it is skipped. What is malformed ends it. */
#include <stdarg.h>
#include <string.h>

#include "frontends/onnx/sequence.h"
#include "frontends/onnx/strings.h"

#define ONNX_OP(name, low, high, function, least, most, outputs, attributes) \
    {name, low, high, lt_onnx_##function, least, most, outputs, attributes, COMPOUND_NONE},
#define ONNX_COMPOUND_OP(name, low, high, function, least, most, outputs, attributes, takes) \
    {name, low, high, lt_onnx_##function, least, most, outputs, attributes, takes},
const OnnxOp lt_onnx_ops[] = {
#include "frontends/onnx/ops.def"
};
#undef ONNX_OP
#undef ONNX_COMPOUND_OP
const uint32_t lt_onnx_op_count = sizeof lt_onnx_ops / sizeof *lt_onnx_ops;

const OnnxOp *lt_onnx_op_find(const char *name, int64_t version, bool *known) {
    *known = false;
    for (uint32_t i = 0; i < lt_onnx_op_count; i++) {
        if (strcmp(lt_onnx_ops[i].name, name) != 0)
            continue;
        *known = true;
        if (version >= lt_onnx_ops[i].low && version <= lt_onnx_ops[i].high)
            return &lt_onnx_ops[i];
    }
    return NULL;
}

/* --- errors --- */

const char *lt_onnx_op_text(const Import *im) {
    const char *domain = *im->node->domain ? im->node->domain : "ai.onnx";
    return lt_arena_printf(im->arena, "%s::%s v%lld", domain, im->node->op, (long long)im->version);
}

/* Names the op in full: domain, name and version. */
static const Loc *unsupported_loc(Import *im) {
    Loc *loc = lt_arena_copy(im->arena, im->node->loc, sizeof *im->node->loc);
    loc->op = lt_onnx_op_text(im);
    return loc;
}

bool lt_onnx_unsupported(Import *im, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(im->arena, format, args);
    va_end(args);
    lt_error(&im->module->diags, LT_UNSUPPORTED, unsupported_loc(im), "%s", text);
    return false;
}

bool lt_onnx_malformed(Import *im, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(im->arena, format, args);
    va_end(args);
    lt_error(&im->module->diags, LT_MALFORMED, im->node->loc, "%s", text);
    return false;
}

static bool is_malformed(const Import *im, uint32_t errors_before) {
    const DiagList *diags = &im->module->diags;
    if (diags->errors == errors_before)
        return false;
    for (size_t i = 0; i < diags->items.len; i++)
        if (diags->items.data[i].level == DIAG_ERROR &&
            diags->items.data[i].status != LT_UNSUPPORTED)
            return true;
    return false;
}

/* --- one node --- */

static bool in_words(const char *words, const char *word) {
    size_t len = strlen(word);
    for (const char *at = len ? strstr(words, word) : NULL; at; at = strstr(at + 1, word))
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return true;
    return false;
}

static bool check_attributes(Import *im, const OnnxOp *op) {
    bool ok = true;
    for (size_t i = 0; i < im->node->attributes.len; i++) {
        const OnnxAttribute *a = &im->node->attributes.data[i];
        for (size_t j = 0; j < i; j++)
            if (strcmp(im->node->attributes.data[j].name, a->name) == 0)
                return lt_onnx_malformed(im, "attribute %s is given twice", a->name);
        if (a->ref)
            ok = lt_onnx_malformed(im, "attribute %s refers to a function's, outside a function",
                                   a->name);
        else if (!in_words(op->attributes, a->name))
            ok = lt_onnx_unsupported(im, "attribute '%s' is not supported", a->name);
    }
    return ok;
}

static bool check_operands(Import *im, const OnnxOp *op) {
    size_t count = im->node->inputs.len;
    if (op->max_inputs >= 0 && count > (size_t)op->max_inputs)
        return lt_onnx_malformed(im, "it has %zu inputs; at most %d are expected", count,
                                 op->max_inputs);
    for (int32_t i = 0; i < op->min_inputs; i++)
        if ((size_t)i >= count || !*im->node->inputs.data[i])
            return lt_onnx_malformed(im, "input %d is missing; at least %d are expected", i,
                                     op->min_inputs);
    if (op->max_outputs >= 0 && im->node->outputs.len > (size_t)op->max_outputs)
        return lt_onnx_malformed(im, "it has %zu outputs; at most %d are expected",
                                 im->node->outputs.len, op->max_outputs);
    return true;
}

static bool is_defined_later(const Import *im, const char *name) {
    const OnnxGraph *g = im->scope->graph;
    for (size_t i = 0; i < g->nodes.len; i++)
        for (size_t j = 0; j < g->nodes.data[i].outputs.len; j++)
            if (strcmp(g->nodes.data[i].outputs.data[j], name) == 0)
                return true;
    return false;
}

Binding *lt_onnx_operand(Import *im, size_t i) {
    const char *name = im->node->inputs.data[i];
    Binding *binding = lt_onnx_lookup(im, im->scope, name);
    if (!binding)
        lt_onnx_malformed(im, "input %zu, '%s', is %s", i, name,
                          is_defined_later(im, name)
                              ? "used before the node that defines it (in a cycle, or out of order)"
                              : "not defined by any node, input or initializer");
    return binding;
}

typedef enum { READY, SKIP, STOP } Readiness;

/* Resolves the operands. SKIP: one comes from a node that failed. */
static Readiness resolve_inputs(Import *im) {
    const OnnxNode *n = im->node;
    Readiness result = READY;
    im->input_count = (uint32_t)n->inputs.len;
    im->inputs = LT_ARRAY(im->arena, Value *, n->inputs.len);
    for (size_t i = 0; i < n->inputs.len; i++) {
        const char *name = n->inputs.data[i];
        if (!*name)
            continue;
        Binding *binding = lt_onnx_operand(im, i);
        if (!binding)
            return STOP;
        if (binding->is_absent)
            continue;
        uint32_t errors = im->module->diags.errors;
        im->inputs[i] = lt_onnx_resolve(im, binding, name);
        if (is_malformed(im, errors))
            return STOP;
        if (!im->inputs[i])
            result = SKIP;
    }
    return result;
}

/* What is no tensor goes only to ops whose rows take it. */
static bool check_kinds(Import *im, const OnnxOp *op) {
    for (uint32_t i = 0; i < im->input_count; i++) {
        const CompoundKind kind = compound_kind(im->inputs[i]);
        if (kind & ~(CompoundKind)op->takes)
            return lt_onnx_unsupported(im, "input %u is %s, which the op does not take", i,
                                       lt_onnx_kind_name(kind));
    }
    return true;
}

/* In a function, an operand that has a name may be absent all the same. */
static bool check_absent(Import *im, const OnnxOp *op) {
    for (int32_t i = 0; i < op->min_inputs; i++)
        if (!im->inputs[i])
            return lt_onnx_malformed(im, "input %d, '%s', is left out by the call of the function",
                                     i, im->node->inputs.data[i]);
    return true;
}

static bool bind_outputs(Import *im, bool converted) {
    const OnnxNode *n = im->node;
    for (size_t i = 0; i < n->outputs.len; i++) {
        const char *name = n->outputs.data[i];
        if (!*name)
            continue;
        Value *v = converted ? im->outputs[i] : NULL;
        if (converted && !v)
            converted = lt_onnx_unsupported(im, "output %zu is not supported", i);
        if (v && !v->name)
            v->name = name;
        if (!lt_onnx_bind(im, name, (Binding){.value = v, .failed = !v}))
            return lt_onnx_malformed(im, "output '%s' is defined twice", name);
    }
    return true;
}

static int64_t version_in(const OnnxOpset *opsets, size_t count, const char *domain) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(opsets[i].domain, domain) == 0)
            return opsets[i].version;
    return 0;
}

/* A function has versions of its own; where it says nothing, the model's hold. */
static int64_t opset_of(const Import *im, const char *domain) {
    const OnnxFunction *f = im->call ? im->call->function : NULL;
    const int64_t own = f ? version_in(f->opsets.data, f->opsets.len, domain) : 0;
    return own ? own : version_in(im->model->opsets.data, im->model->opsets.len, domain);
}

/* The row for the node, or NULL after saying why there is none. */
static const OnnxOp *find_op(Import *im) {
    const OnnxNode *n = im->node;
    bool known = false;
    if (!*n->domain && im->version < 1) {
        lt_onnx_malformed(im, "the model does not say which version of the ONNX ops it uses");
        return NULL;
    }
    const char *name = *n->domain ? lt_arena_printf(im->arena, "%s::%s", n->domain, n->op) : n->op;
    const OnnxOp *op = lt_onnx_op_find(name, im->version, &known);
    if (op)
        return op;
    if (known)
        lt_onnx_unsupported(im, "this version of the op is not supported");
    else
        lt_onnx_unsupported(im, "this op is not known");
    return NULL;
}

/* False when the file is malformed here. */
static bool convert_node(Import *im, const OnnxNode *written) {
    uint32_t errors = im->module->diags.errors;
    const OnnxNode *n = im->call ? lt_onnx_instantiate(im, written) : written;
    if (!n)
        return false;
    const OnnxFunction *function = lt_onnx_function(im, n);
    im->node = n;
    im->version = opset_of(im, n->domain);
    im->b.loc = n->loc;
    if (function)
        return lt_onnx_call(im, function);
    const size_t first_diag = im->module->diags.items.len;
    lt_onnx_count_node(im);
    im->output_count = (uint32_t)n->outputs.len;
    im->outputs = LT_ARRAY(im->arena, Value *, n->outputs.len + 1);
    const OnnxOp *op = find_op(im);
    bool ok = op && check_operands(im, op) && check_attributes(im, op);
    if (is_malformed(im, errors))
        return false;
    Readiness ready = resolve_inputs(im);
    if (ready == STOP)
        return false;
    uint32_t before = im->module->diags.errors;
    const bool may_convert = ok && ready == READY && check_absent(im, op) && check_kinds(im, op);
    bool converted = may_convert && lt_strings_convert(im, op);
    if (is_malformed(im, errors))
        return false;
    converted = converted && im->module->diags.errors == before;
    if (ok && ready == READY && !converted && im->module->diags.errors == before)
        lt_onnx_unsupported(im, "it could not be converted");
    bool bound = bind_outputs(im, converted);
    lt_onnx_count_outcome(im, first_diag, ready == SKIP);
    im->unsupported += im->module->diags.errors > errors;
    return bound;
}

bool lt_onnx_convert_nodes(Import *im, const OnnxGraph *g) {
    for (size_t i = 0; i < g->nodes.len; i++)
        if (!convert_node(im, &g->nodes.data[i]))
            return false;
    return true;
}

/* --- subgraphs --- */

void lt_onnx_leave(Import *im, const Import *outer) {
    const Import inner = *im;
    *im = *outer;
    im->unsupported = inner.unsupported;
    im->inlined = inner.inlined;
    im->files = inner.files;
}

/* What the subgraph yields, as values of the graph at hand. */
static bool read_subgraph(Import *im, OnnxScope *scope, const OnnxGraph *g, Value **results) {
    im->scope = scope;
    bool ok = lt_onnx_bind_initializers(im) && lt_onnx_convert_nodes(im, g);
    for (size_t i = 0; ok && i < g->outputs.len; i++) {
        const char *name = g->outputs.data[i].name;
        Binding *binding = lt_onnx_lookup(im, scope, name);
        results[i] = binding ? lt_onnx_resolve(im, binding, name) : NULL;
        if (!binding)
            ok = lt_onnx_malformed(im, "output '%s' of the subgraph is not defined", name);
        ok = ok && results[i];
    }
    return ok;
}

bool lt_onnx_read_inline(Import *im, const OnnxGraph *g, Value *const *inputs, Value **results) {
    const Import outer = *im;
    OnnxScope scope = {.graph = g, .outer = im->scope};
    lt_map_init(&scope.names, im->arena);
    im->scope = &scope;
    bool ok = true;
    for (size_t i = 0; ok && inputs && i < g->inputs.len; i++)
        if (!lt_onnx_bind(im, g->inputs.data[i].name, (Binding){.value = inputs[i]}))
            ok = lt_onnx_malformed(im, "input '%s' of the subgraph is defined twice",
                                   g->inputs.data[i].name);
    ok = ok && read_subgraph(im, &scope, g, results);
    lt_onnx_leave(im, &outer);
    return ok;
}

bool lt_onnx_inline_graph(Import *im, const OnnxGraph *g) {
    Value **results = LT_ARRAY(im->arena, Value *, g->outputs.len + 1);
    if (!lt_onnx_read_inline(im, g, NULL, results))
        return false;
    for (uint32_t i = 0; i < im->output_count && i < g->outputs.len; i++)
        im->outputs[i] = results[i];
    return true;
}

bool lt_onnx_read_region(Import *im, OnnxScope *scope, const OnnxGraph *g, Value **results) {
    const Import outer = *im;
    im->b.graph = scope->region;
    im->b.before = NULL;
    const bool ok = read_subgraph(im, scope, g, results);
    lt_onnx_leave(im, &outer);
    return ok;
}

/* --- the model --- */

/* A model of other domains alone needs no version of ai.onnx. */
static bool check_opsets(Import *im) {
    int64_t version = opset_of(im, "");
    for (size_t i = 0; i < im->model->functions.len; i++) {
        const OnnxFunction *f = &im->model->functions.data[i];
        const int64_t own = version_in(f->opsets.data, f->opsets.len, "");
        version = own > version ? own : version;
    }
    if (version <= ONNX_LATEST)
        return true;
    lt_error(&im->module->diags, LT_UNSUPPORTED, NULL,
             "the model uses opset %lld; the newest that is known is %d", (long long)version,
             ONNX_LATEST);
    return false;
}

typedef Vec(Value *) ValueList;

/* An output needs a value that no other output has, that is not an input, and carries its name. */
static Value *own_output(Import *im, Value *v, const char *name, Value *const *others,
                         size_t count) {
    bool taken = !v->def || lt_value_const(v);
    for (size_t i = 0; i < count; i++)
        taken |= others[i] == v;
    if (taken)
        v = lt_build_reshape(&im->b, v, v->type->rank, v->type->dims);
    if (v)
        v->name = name;
    return v;
}

/* Errors about an output are at a node of its name. */
static void stand_at_output(Import *im, const char *name) {
    OnnxNode *n = LT_NEW(im->arena, OnnxNode);
    Loc *loc = LT_NEW(im->arena, Loc);
    *loc = (Loc){.node = name, .op = "Output"};
    *n = (OnnxNode){.name = name, .op = "Output", .domain = "", .loc = loc};
    im->node = n;
    im->b.loc = loc;
}

/* The members of an output. What it is declared as decides whether it is optional. */
static bool add_output(Import *im, const OnnxValueInfo *info, Value *v, ValueList *values) {
    const CompoundForm *form = lt_onnx_form_of(im, v);
    Value *members[COMPOUND_MEMBERS];
    stand_at_output(im, info->name);
    if (form->kind == COMPOUND_OPTIONAL && info->type.kind != ONNX_TYPE_OPTIONAL &&
        info->type.kind != ONNX_TYPE_NONE) {
        if (!(v = lt_onnx_present(im, v)))
            return false;
        form = lt_onnx_form_of(im, v);
    } else if (form->kind != COMPOUND_OPTIONAL && info->type.kind == ONNX_TYPE_OPTIONAL) {
        form = lt_onnx_form(im, COMPOUND_OPTIONAL, form);
    }
    if (!lt_onnx_pack(im, v, form, members))
        return false;
    for (uint32_t i = 0; i < lt_onnx_form_width(form); i++) {
        const char *name = lt_onnx_member_name(im, info->name, form, i);
        Value *own = own_output(im, members[i], name, values->data, values->len);
        if (!own)
            return false;
        lt_vec_push(im->arena, values, own);
    }
    return true;
}

static bool set_outputs(Import *im, const OnnxGraph *g) {
    ValueList values = {0};
    for (size_t i = 0; i < g->outputs.len; i++) {
        const char *name = g->outputs.data[i].name;
        Binding *binding = lt_onnx_lookup(im, im->scope, name);
        if (!binding) {
            lt_error(&im->module->diags, LT_MALFORMED, NULL,
                     "output '%s' is not defined by any node", name);
            return false;
        }
        Value *v = lt_onnx_resolve(im, binding, name);
        if (!v || !add_output(im, &g->outputs.data[i], v, &values))
            return false;
    }
    lt_graph_set_outputs(im->b.graph, values.data, (uint32_t)values.len);
    return true;
}

static bool import_graph(Import *im, const OnnxGraph *g) {
    bool ok = check_opsets(im) && lt_onnx_bind_initializers(im) && lt_onnx_bind_inputs(im);
    ok = ok && lt_onnx_check_overrides(im) && lt_onnx_convert_nodes(im, g);
    if (im->unsupported > 1)
        lt_diag(&im->module->diags, DIAG_NOTE, 0, NULL, "%u nodes need what is not supported",
                im->unsupported);
    if (!ok || im->module->diags.errors)
        return false;
    if (g->outputs.len == 0) {
        lt_error(&im->module->diags, LT_MALFORMED, NULL, "the model has no outputs");
        return false;
    }
    return set_outputs(im, g);
}

Module *lt_import_onnx(Arena *arena, const char *path, const uint8_t *data, size_t size,
                       const ImportOptions *options, DiagList **diags) {
    Module *m = lt_module_new(arena, path);
    *diags = &m->diags;
    m->diags.want_remarks = options && options->want_remarks;
    OnnxModel *model = lt_onnx_model_read(arena, data, size, &m->diags);
    if (!model)
        return NULL;
    OnnxScope scope = {.graph = model->graph};
    lt_map_init(&scope.names, arena);
    Import im = {.arena = arena,
                 .module = m,
                 .dims = &m->dims,
                 .path = path,
                 .model = model,
                 .options = options,
                 .scope = &scope};
    lt_map_init(&im.files, arena);
    if (*model->graph->name)
        m->name = model->graph->name;
    if (!m->main)
        m->main = lt_graph_new(m, NULL, "main");
    im.b.graph = m->main;
    return import_graph(&im, model->graph) && !m->diags.errors ? m : NULL;
}
