/* scope.c - graph inputs and initializers become values; symbolic dims get their names and ranges.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/onnx/strings.h"

typedef struct Capture {
    Import *im;
    OnnxScope *scope;
} Capture;

static Value *capture_member(void *state, Value *tensor) {
    const Capture *at = state;
    return lt_onnx_capture(at->im, at->scope, tensor);
}

Value *lt_onnx_capture(Import *im, OnnxScope *scope, Value *outside) {
    if (compound_of(outside))
        return lt_onnx_map_members(im, outside, capture_member, &(Capture){im, scope});
    const Const *c = lt_value_const(outside);
    if (c) {
        Builder front = {.graph = scope->region, .before = scope->region->first, .loc = im->b.loc};
        return lt_build_const(&front, c);
    }
    const size_t first = scope->region->inputs.len - scope->captured.len;
    for (size_t i = 0; i < scope->captured.len; i++)
        if (scope->captured.data[i] == outside)
            return scope->region->inputs.data[first + i];
    Value *inside = lt_graph_add_input(scope->region, outside->type, outside->name);
    inside->content = outside->content;
    lt_vec_push(im->arena, &scope->captured, outside);
    return inside;
}

Binding *lt_onnx_lookup(Import *im, OnnxScope *scope, const char *name) {
    Binding *binding = lt_strmap_get(&scope->names, name);
    if (binding || !scope->outer)
        return binding;
    binding = lt_onnx_lookup(im, scope->outer, name);
    if (!binding || !scope->region || binding->failed)
        return binding;
    Binding own = *binding;
    if (own.value)
        own = (Binding){.value = lt_onnx_capture(im, scope, own.value)};
    Binding *kept = lt_arena_copy(im->arena, &own, sizeof own);
    lt_strmap_set(&scope->names, name, kept);
    return kept;
}

bool lt_onnx_bind(Import *im, const char *name, Binding binding) {
    if (lt_strmap_get(&im->scope->names, name))
        return false;
    lt_strmap_set(&im->scope->names, name, lt_arena_copy(im->arena, &binding, sizeof binding));
    return true;
}

Value *lt_onnx_resolve(Import *im, Binding *binding, const char *name) {
    if (binding->value || binding->failed || binding->is_absent)
        return binding->value;
    Loc *loc = LT_NEW(im->arena, Loc);
    *loc = (Loc){.node = name, .op = "Initializer"};
    Builder before = im->b;
    im->b.loc = loc;
    binding->value = lt_strings_or_tensor(im, binding->pending, loc);
    im->b = before;
    if (binding->value)
        binding->value->name = name;
    binding->failed = !binding->value;
    return binding->value;
}

/* --- dims --- */

static const DimOverride *find_dim_override(const Import *im, const char *name) {
    for (uint32_t i = 0; im->options && i < im->options->dim_count; i++)
        if (strcmp(im->options->dims[i].name, name) == 0)
            return &im->options->dims[i];
    return NULL;
}

static const InputOverride *find_input_override(const Import *im, const char *name) {
    for (uint32_t i = 0; im->options && i < im->options->input_count; i++)
        if (strcmp(im->options->inputs[i].name, name) == 0)
            return &im->options->inputs[i];
    return NULL;
}

/* Symbols print as identifiers: every other character becomes '_'. */
static const char *symbol_name(Import *im, const char *name) {
    char *out = lt_arena_strdup(im->arena, name);
    for (char *c = out; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            *c = '_';
    return isdigit((unsigned char)*out) ? lt_arena_printf(im->arena, "d%s", out) : out;
}

/* An override may use the model's spelling or the symbol's. */
static const Dim *symbol_dim(Import *im, const char *name) {
    const char *symbol = symbol_name(im, name);
    const DimOverride *o = find_dim_override(im, name);
    if (!o)
        o = find_dim_override(im, symbol);
    if (o && o->lo == o->hi)
        return lt_dim_const(im->dims, o->lo);
    const Dim *d = lt_dim_symbol(im->dims, symbol);
    if (o && o->lo >= 0 && o->lo <= o->hi) /* else lt_onnx_check_overrides refuses it */
        lt_dim_set_range(im->dims, d, o->lo, o->hi);
    return d;
}

/* Writers that do not know an extent leave it out, or write -1 or "?": each such axis has its own
 * symbol. */
static const Dim *declared_dim(Import *im, const OnnxValueInfo *v, size_t axis) {
    const OnnxDim *d = &v->type.dims.data[axis];
    if (d->kind == ONNX_DIM_VALUE && d->value >= 0)
        return lt_dim_const(im->dims, d->value);
    bool named = d->kind == ONNX_DIM_PARAM && *d->param && strcmp(d->param, "?") != 0 &&
                 strcmp(d->param, "-1") != 0;
    if (named)
        return symbol_dim(im, d->param);
    return symbol_dim(im, lt_arena_printf(im->arena, "%s_d%zu", v->name, axis));
}

static const Dim *override_part(Import *im, const char *text) {
    char *end;
    long long number = strtoll(text, &end, 10);
    if (end != text && !*end)
        return number >= 0 ? lt_dim_const(im->dims, number) : NULL;
    return isalpha((unsigned char)*text) || *text == '_' ? symbol_dim(im, text) : NULL;
}

/* "1x3xHxW". A name may hold an 'x' only where no extent could end: between two names there is
 * none. */
static int override_shape(Import *im, const char *shape, const Dim **dims) {
    char *copy = lt_arena_strdup(im->arena, shape), *rest = copy, *part;
    int rank = 0;
    while ((part = strsep(&rest, "x"))) {
        if (rank == LT_MAX_RANK || !(dims[rank] = override_part(im, part)))
            return -1;
        rank++;
    }
    return rank;
}

static bool fail_option(Import *im, const char *text, const char *name) {
    lt_error(&im->module->diags, LT_BAD_ARGUMENT, NULL, "%s '%s'", text, name);
    return false;
}

/* The override's rank must be the declared one. A number that the model fixes must stay, or become
 * a symbol: what the rest of the model makes of it is then inferred, and guarded. */
static bool apply_override(Import *im, const OnnxValueInfo *v, const InputOverride *o, int *rank,
                           const Dim **dims) {
    const Dim *given[LT_MAX_RANK];
    int given_rank = override_shape(im, o->shape, given);
    if (given_rank < 0)
        return fail_option(im, "expected extents like 1x3xHxW, not", o->shape);
    if (v->type.has_shape && given_rank != *rank)
        return fail_option(im, "the shape has another rank than the model declares for input",
                           v->name);
    for (int i = 0; i < given_rank; i++) {
        const bool is_empty = v->type.has_shape && lt_dim_is(dims[i], 0);
        /* What a sequence or strings are made of may have no elements. */
        const bool may_be_empty = is_empty || v->type.kind == ONNX_TYPE_NONE;
        if (lt_dim_is(given[i], 0) && !may_be_empty)
            return fail_option(im, "an extent of 0 is not what the model declares for input",
                               v->name);
        bool fixed = v->type.has_shape && lt_dim_is_const(dims[i]) &&
                     v->type.dims.data[i].kind == ONNX_DIM_VALUE && !is_empty;
        if (fixed && dims[i] != given[i] && lt_dim_is_const(given[i]))
            return fail_option(im, "the shape contradicts what the model fixes for input", v->name);
        dims[i] = given[i];
    }
    *rank = given_rank;
    return true;
}

/* The type of a tensor that is an input, or part of one; NULL after an error. */
static const Type *declared_type(Import *im, const OnnxValueInfo *v, DType dtype) {
    DiagList *diags = &im->module->diags;
    const Dim *dims[LT_MAX_RANK];
    const InputOverride *o = find_input_override(im, v->name);
    if (!v->type.has_shape && !o) {
        lt_error(diags, LT_UNSUPPORTED, NULL,
                 "input '%s' has no rank: give its shape with --input %s=...", v->name, v->name);
        return NULL;
    }
    if (v->type.dims.len > LT_MAX_RANK) {
        lt_error(diags, LT_UNSUPPORTED, NULL, "input '%s' has rank %zu; at most %d is supported",
                 v->name, v->type.dims.len, LT_MAX_RANK);
        return NULL;
    }
    int rank = (int)v->type.dims.len;
    for (size_t i = 0; i < v->type.dims.len; i++)
        dims[i] = declared_dim(im, v, i);
    if (o && !apply_override(im, v, o, &rank, dims))
        return NULL;
    return lt_type(im->module, dtype, rank, dims);
}

/* An extent of a member of a sequence or of strings: a number, or where that is negative a symbol,
 * "x_length". */
static OnnxDim sequence_dim(Import *im, const char *name, const char *what, int number) {
    return (OnnxDim){.kind = number >= 0 ? ONNX_DIM_VALUE : ONNX_DIM_PARAM,
                     .value = number,
                     .param = lt_arena_printf(im->arena, "%s_%s", name, what)};
}

/* The symbols of sequences may be 0, unless --dim has them. */
static void allow_nothing(Import *im, const Type *type, int64_t most) {
    for (int i = 0; i < type->rank; i++) {
        const Dim *d = type->dims[i];
        if (d->kind == DIM_SYMBOL && !find_dim_override(im, d->name))
            lt_dim_set_range(im->dims, d, 0, i == 1 ? most : LT_DIM_UNBOUNDED);
    }
}

/* The type of member i, which is a tensor by itself for --input. */
static const Type *member_type(Import *im, const OnnxValueInfo *v, const CompoundForm *form,
                               uint32_t i) {
    const char *name = lt_onnx_member_name(im, v->name, form, i);
    if (form->kind == COMPOUND_NONE)
        return declared_type(im, v, form->dtype);
    if (form->kind == COMPOUND_OPTIONAL && i == 0)
        return lt_type(im->module, DT_BOOL, 0, NULL);
    if (form->kind == COMPOUND_OPTIONAL) {
        const bool is_tensor = form->element->kind == COMPOUND_NONE;
        const OnnxValueInfo inner = {.name = is_tensor ? name : v->name, .type = *v->type.element};
        return member_type(im, &inner, form->element, i - 1);
    }
    const bool is_strings = form->kind == COMPOUND_STRINGS;
    if (is_strings && i == 1)
        return declared_type(im, &(OnnxValueInfo){.name = name, .type = v->type}, DT_I64);
    OnnxValueInfo member = {.name = name, .type = {.has_shape = true}};
    lt_vec_push(im->arena, &member.type.dims,
                sequence_dim(im, v->name, i == 0 ? "total" : "length", -1));
    if (i == 1)
        lt_vec_push(im->arena, &member.type.dims,
                    sequence_dim(im, v->name, "rank", form->element->rank));
    const DType values = is_strings ? DT_U8 : form->element->dtype;
    const Type *type = declared_type(im, &member, i == 0 ? values : DT_I64);
    if (type)
        allow_nothing(im, type, LT_MAX_RANK);
    return type;
}

/* What --input tells of the rank. */
static const CompoundForm *with_rank(Import *im, const CompoundForm *form, const Type *shapes) {
    const CompoundForm *element = form->element;
    if (form->kind == COMPOUND_OPTIONAL)
        return lt_onnx_form(im, COMPOUND_OPTIONAL, with_rank(im, element, shapes));
    if (form->kind != COMPOUND_SEQUENCE || element->rank >= 0 || !lt_dim_is_const(shapes->dims[1]))
        return form;
    return lt_onnx_form(im, COMPOUND_SEQUENCE,
                        lt_onnx_tensor_form(im, element->dtype, (int)shapes->dims[1]->value));
}

static bool bind_input(Import *im, const OnnxValueInfo *v) {
    DiagList *diags = &im->module->diags;
    Value *members[COMPOUND_MEMBERS];
    const char *reason;
    const CompoundForm *form = lt_onnx_form_of_type(im, &v->type, &reason);
    if (!form) {
        lt_error(diags, LT_UNSUPPORTED, NULL, "input '%s' is %s", v->name, reason);
        return false;
    }
    const uint32_t width = lt_onnx_form_width(form);
    for (uint32_t i = 0; i < width; i++) {
        const Type *type = member_type(im, v, form, i);
        if (!type)
            return false;
        members[i] =
            lt_graph_add_input(im->b.graph, type, lt_onnx_member_name(im, v->name, form, i));
    }
    form = with_rank(im, form, members[width - 1]->type);
    if (lt_onnx_bind(im, v->name, (Binding){.value = lt_onnx_unpack(im, form, members)}))
        return true;
    lt_error(diags, LT_MALFORMED, NULL, "input '%s' is declared twice", v->name);
    return false;
}

/* Whether an initializer is of the type that its input declares. */
static bool is_default_of(const OnnxTensor *t, const OnnxValueInfo *v) {
    const OnnxType *type = &v->type;
    bool fits = (type->kind == ONNX_TYPE_TENSOR || type->kind == ONNX_TYPE_NONE) &&
                (!type->elem_type || type->elem_type == t->data_type) &&
                (!type->has_shape || type->dims.len == t->dims.len);
    for (size_t i = 0; fits && type->has_shape && i < type->dims.len; i++)
        fits = type->dims.data[i].kind != ONNX_DIM_VALUE || type->dims.data[i].value < 0 ||
               type->dims.data[i].value == t->dims.data[i];
    return fits;
}

/* An input that has an initializer has a default, which lathe takes for its value. */
bool lt_onnx_bind_inputs(Import *im) {
    bool ok = true;
    const OnnxGraph *g = im->scope->graph;
    for (size_t i = 0; i < g->inputs.len; i++) {
        const OnnxValueInfo *v = &g->inputs.data[i];
        const Binding *known = lt_strmap_get(&im->scope->names, v->name);
        if (!known || !known->pending) {
            ok = bind_input(im, v) && ok;
        } else if (!is_default_of(known->pending, v)) {
            lt_error(&im->module->diags, LT_MALFORMED, NULL,
                     "the initializer of input '%s' has another type than the input", v->name);
            ok = false;
        }
    }
    return ok;
}

bool lt_onnx_bind_initializers(Import *im) {
    const OnnxGraph *g = im->scope->graph;
    for (size_t i = 0; i < g->initializers.len; i++) {
        const OnnxTensor *t = &g->initializers.data[i];
        if (*t->name && lt_onnx_bind(im, t->name, (Binding){.pending = t}))
            continue;
        lt_error(&im->module->diags, LT_MALFORMED, NULL, "initializer '%s' is %s", t->name,
                 *t->name ? "defined twice" : "without a name");
        return false;
    }
    return true;
}

/* --- overrides --- */

/* The type of an input, or of what is in it where it is optional. */
static const OnnxType *tensor_type(const OnnxValueInfo *v) {
    const bool is_optional = v->type.kind == ONNX_TYPE_OPTIONAL && v->type.element;
    return is_optional ? v->type.element : &v->type;
}

static bool is_called(Import *im, const char *symbol, const char *name) {
    return strcmp(symbol, name) == 0 || strcmp(symbol_name(im, symbol), name) == 0;
}

static bool names_dim(Import *im, const OnnxValueInfo *v, const char *name) {
    static const char *const of_members[] = {"total", "length", "rank"};
    const OnnxType *type = tensor_type(v);
    const bool is_strings = type->elem_type == ONNX_STRING;
    for (size_t i = 0; i < type->dims.len; i++) {
        const OnnxDim *d = &type->dims.data[i];
        if ((d->kind == ONNX_DIM_PARAM && is_called(im, d->param, name)) ||
            is_called(
                im,
                lt_arena_printf(im->arena, is_strings ? "%s.lengths_d%zu" : "%s_d%zu", v->name, i),
                name))
            return true;
    }
    for (int i = 0; (is_strings || type->kind == ONNX_TYPE_SEQUENCE) && i < 3; i++)
        if (is_called(im, sequence_dim(im, v->name, of_members[i], -1).param, name))
            return true;
    return false;
}

static bool is_known_dim(Import *im, const char *name) {
    const OnnxGraph *g = im->model->graph;
    for (size_t i = 0; i < g->inputs.len; i++)
        if (names_dim(im, &g->inputs.data[i], name))
            return true;
    for (size_t i = 0; i < im->dims->symbols.len; i++)
        if (strcmp(im->dims->symbols.data[i].dim->name, name) == 0)
            return true;
    return false;
}

/* Inputs of the model that are tensors, and members of others. */
static bool is_known_input(const Import *im, const char *name) {
    const OnnxGraph *g = im->model->graph;
    for (size_t i = 0; i < g->inputs.len; i++)
        if (strcmp(g->inputs.data[i].name, name) == 0 &&
            g->inputs.data[i].type.kind == ONNX_TYPE_TENSOR &&
            g->inputs.data[i].type.elem_type != ONNX_STRING)
            return true;
    for (size_t i = 0; i < im->b.graph->inputs.len; i++)
        if (strcmp(im->b.graph->inputs.data[i]->name, name) == 0)
            return true;
    return false;
}

bool lt_onnx_check_overrides(Import *im) {
    bool ok = true;
    for (uint32_t i = 0; im->options && i < im->options->dim_count; i++) {
        const DimOverride *o = &im->options->dims[i];
        if (o->lo < 0 || o->lo > o->hi)
            ok = fail_option(im, "the range is empty or negative for dim", o->name);
        else if (!is_known_dim(im, o->name))
            ok = fail_option(im, "no input has a dim that is named", o->name);
    }
    for (uint32_t i = 0; im->options && i < im->options->input_count; i++)
        if (!is_known_input(im, im->options->inputs[i].name))
            ok = fail_option(im, "the model has no input that is named",
                             im->options->inputs[i].name);
    return ok;
}
