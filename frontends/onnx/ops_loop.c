/* ops_loop.c - loops: Loop, Scan, and SequenceMap over what a run tells.
 *
 * What a loop carries starts with the types of the operands; where the body makes a dim another
 * one, or a sequence or an optional one of a more general form (compound.h), the body is read again
 * with that, until nothing changes. */
#include <string.h>

#include "frontends/onnx/control.h"
#include "frontends/onnx/extents.h"
#include "frontends/onnx/loop.h"
#include "frontends/onnx/sequence.h"

/* What Loop, Scan and SequenceMap have in common. */
typedef struct LoopParts {
    const OnnxGraph *body;
    Value *trips, *go; /* i64[], bool[] */
    uint32_t carried;
    Value *const *starts;                   /* what is carried, before the first iteration */
    enum { IS_LOOP, IS_SCAN, IS_MAP } kind; /* only a loop's body has a counter and a condition */
    Value *const *sliced; /* scan: what is cut; map: what the body gets an element of, or all */
    const int64_t *axes, *backward;
    uint32_t sliced_count;
    /* for one reading: */
    const CompoundForm **forms; /* of what is carried, in packed form */
    Value **members;            /* the starts, packed */
    const Type **types;         /* of the members, in the body */
    uint32_t width;             /* how many */
    Value **carry;              /* what is carried, in the body */
} LoopParts;

/* Each makes dims symbols, or forms more general. */
enum { MOST_READINGS = LT_MAX_RANK + 4 };

static Value *constant_true(Builder *b) {
    return lt_build_const(b, lt_const_int(b->graph->module, DT_BOOL, 1));
}

static bool bind_input(Import *im, OnnxScope *scope, const char *name, Value *v) {
    OnnxScope *outer = im->scope;
    im->scope = scope;
    const bool bound = v && lt_onnx_bind(im, name, (Binding){.value = v});
    im->scope = outer;
    return bound || !v || lt_onnx_malformed(im, "input '%s' of the body is defined twice", name);
}

/* The element of a scanned operand that this iteration is about. */
static Value *slice_of(Import *im, OnnxScope *scope, const LoopParts *l, uint32_t i) {
    Builder b = {.graph = scope->region, .loc = im->b.loc};
    Value *x = l->sliced[i], *at = scope->region->inputs.data[0];
    const Dim *last = lt_dim_add_const(im->dims, x->type->dims[l->axes[i]], -1);
    if (l->backward[i])
        at = lt_build_map2(&b, FN_SUB, lt_build_reshape(&b, lt_build_dims(&b, 1, &last), 0, NULL),
                           at);
    return lt_build_gather(&b, lt_onnx_capture(im, scope, x), at, (int)l->axes[i]);
}

/* What the body of a SequenceMap gets of an input. */
static Value *mapped_input(Import *im, OnnxScope *scope, Value *v) {
    const Builder outside = im->b;
    v = lt_onnx_capture(im, scope, v);
    if (compound_kind(v) != COMPOUND_SEQUENCE)
        return v;
    im->b = (Builder){.graph = scope->region, .loc = outside.loc};
    Compound *c = compound_of(v);
    const Dim *at =
        lt_onnx_position(im, scope->region->inputs.data[0], lt_onnx_sequence_length_dim(im, c));
    Value *element = at ? lt_onnx_element_at(im, c, at, RANK_OPEN) : NULL;
    im->b = outside;
    return element;
}

static bool bind_body(Import *im, OnnxScope *scope, const LoopParts *l) {
    Builder b = {.graph = scope->region, .loc = im->b.loc};
    const OnnxGraph *body = l->body;
    const OnnxValueInfo *inputs = body->inputs.data;
    bool ok = true;
    if (l->kind == IS_LOOP) {
        ok = bind_input(im, scope, inputs[0].name, scope->region->inputs.data[0]) &&
             bind_input(im, scope, inputs[1].name, constant_true(&b));
        inputs += 2;
    }
    lt_onnx_unpack_all(im, l->forms, scope->region->inputs.data + 1, l->carried, l->carry);
    for (uint32_t i = 0; ok && l->kind != IS_MAP && i < l->carried; i++)
        ok = bind_input(im, scope, (inputs++)->name, l->carry[i]);
    for (uint32_t i = 0; ok && i < l->sliced_count; i++)
        ok = bind_input(im, scope, (inputs++)->name,
                        l->kind == IS_MAP ? mapped_input(im, scope, l->sliced[i])
                                          : slice_of(im, scope, l, i));
    return ok;
}

/* Whether the body only runs where the two are equal, and both are known outside. */
static bool is_assumed_equal(const Import *im, const Graph *body, const Dim *a, const Dim *b) {
    for (size_t i = 0; i < im->module->guards.len; i++) {
        const DimGuard *guard = &im->module->guards.data[i];
        const bool same = (guard->a == a && guard->b == b) || (guard->a == b && guard->b == a);
        if (same && lt_guard_applies(guard, body))
            return !lt_dim_is_data(im->dims, a) && !lt_dim_is_data(im->dims, b);
    }
    return false;
}

/* More general types where the body yields others, or those others where it assumes that they are
 * the same; false: there are none. */
static bool generalize(Import *im, const Node *node, LoopParts *l, bool *changed) {
    const Node *yield = lt_graph_yield(node->regions[0]);
    for (uint32_t i = 0; i < l->width; i++) {
        const Type *before = l->types[i], *next = lt_input(yield, i + 1)->type;
        if (before->dtype != next->dtype || before->rank != next->rank)
            return lt_onnx_unsupported(im,
                                       "what the loop carries starts as %s of %d dimensions and "
                                       "becomes %s of %d",
                                       lt_dtype_name(before->dtype), before->rank,
                                       lt_dtype_name(next->dtype), next->rank);
        const Dim *dims[LT_MAX_RANK];
        for (int axis = 0; axis < before->rank; axis++) {
            dims[axis] = before->dims[axis];
            const bool varies = dims[axis] != lt_input(node, i + 2)->type->dims[axis];
            if (dims[axis] == next->dims[axis] || varies)
                continue;
            dims[axis] = is_assumed_equal(im, node->regions[0], dims[axis], next->dims[axis])
                             ? next->dims[axis]
                             : lt_dim_fresh_data(im->dims, "varying");
            *changed = true;
        }
        l->types[i] = lt_type(im->module, before->dtype, before->rank, dims);
    }
    return true;
}

/* The starts have those dims that the body assumes. */
static bool fix_members(Import *im, LoopParts *l) {
    for (uint32_t i = 0; i < l->width; i++) {
        const Type *start = l->members[i]->type;
        const Dim *dims[LT_MAX_RANK];
        for (int axis = 0; axis < start->rank; axis++) {
            const Dim *d = l->types[i]->dims[axis];
            dims[axis] = lt_dim_is_data(im->dims, d) ? start->dims[axis] : d;
        }
        l->members[i] = lt_onnx_fix_dims(im, l->members[i], start->rank, dims, "what is carried");
        if (!l->members[i])
            return false;
    }
    return true;
}

/* The starts in the forms that are carried. */
static bool pack_starts(Import *im, LoopParts *l) {
    l->width = lt_onnx_forms_width(l->forms, l->carried);
    l->members = LT_ARRAY(im->arena, Value *, l->width + 1);
    l->types = LT_ARRAY(im->arena, const Type *, l->width + 1);
    if (!lt_onnx_pack_all(im, l->starts, l->forms, l->carried, l->members))
        return false;
    for (uint32_t i = 0; i < l->width; i++)
        l->types[i] = l->members[i]->type;
    return true;
}

/* Forms as general as what the body makes of the values: then *changed, and the starts are packed
 * anew. */
static bool generalize_forms(Import *im, LoopParts *l, Value *const *next, bool *changed) {
    for (uint32_t i = 0; i < l->carried; i++) {
        if (l->forms[i]->kind == COMPOUND_NONE && !compound_of(next[i]))
            continue;
        const CompoundForm *own = lt_onnx_form_of(im, next[i]);
        const CompoundForm *joined = lt_onnx_form_join(im, l->forms[i], own);
        if (!joined)
            return lt_onnx_unsupported(im, "what the loop carries starts as %s and becomes %s",
                                       lt_onnx_form_text(im, l->forms[i]),
                                       lt_onnx_form_text(im, own));
        *changed |= !lt_onnx_form_is(joined, l->forms[i]);
        l->forms[i] = joined;
    }
    return !*changed || pack_starts(im, l);
}

/* A map's outputs go behind what it has so far. */
static bool append_results(Import *im, Graph *region, const LoopParts *l, Value **results) {
    const Builder outside = im->b;
    im->b = (Builder){.graph = region, .loc = outside.loc};
    for (uint32_t i = 0; i < l->carried; i++)
        results[i] = lt_onnx_with_element(im, compound_of(l->carry[i]), results[i], NULL);
    im->b = outside;
    for (uint32_t i = 0; i < l->carried; i++)
        if (!results[i])
            return false;
    return true;
}

/* What is stacked has one shape in all iterations: where only a run tells it, and the file declares
 * a number, that is held to. */
static Value *hold_to(Import *im, Graph *region, Value *v, const OnnxType *declared) {
    Builder b = {.graph = region, .loc = im->b.loc};
    const Dim *dims[LT_MAX_RANK];
    bool differs = false;
    if (!declared->has_shape || declared->dims.len != (size_t)v->type->rank)
        return v;
    for (int i = 0; i < v->type->rank; i++) {
        const OnnxDim *d = &declared->dims.data[i];
        dims[i] = v->type->dims[i];
        if (d->kind != ONNX_DIM_VALUE || d->value < 0 || !lt_dim_is_data(im->dims, dims[i]))
            continue;
        dims[i] = lt_dim_const(im->dims, d->value);
        lt_graph_add_guard(region, v->type->dims[i], dims[i], im->node->loc);
        differs = true;
    }
    return differs ? lt_build_reshape(&b, v, v->type->rank, dims) : v;
}

/* Ends the body: the condition, what is carried, what is stacked. */
static bool end_body(Import *im, Graph *region, LoopParts *l, Value **results, bool *changed) {
    Builder b = {.graph = region, .loc = im->b.loc};
    const uint32_t stacked =
        (uint32_t)l->body->outputs.len - l->carried - (l->kind == IS_LOOP ? 1 : 0);
    const OnnxValueInfo *declared = l->body->outputs.data + (l->kind == IS_LOOP ? 1 : 0);
    Value *go = l->kind == IS_LOOP ? *results++ : constant_true(&b);
    if (l->kind == IS_MAP && !append_results(im, region, l, results))
        return false;
    if (compound_of(go))
        return lt_onnx_malformed(im, "the condition is %s", lt_onnx_kind_name(compound_kind(go)));
    if (!generalize_forms(im, l, results, changed))
        return false;
    if (*changed)
        return true;
    const CompoundForm **forms =
        LT_ARRAY(im->arena, const CompoundForm *, l->carried + stacked + 1);
    memcpy(forms, l->forms, l->carried * sizeof *forms);
    for (uint32_t i = l->carried; i < l->carried + stacked; i++) {
        forms[i] = lt_onnx_form_of(im, results[i]);
        if (compound_of(results[i]))
            return lt_onnx_malformed(im, "what the iterations are stacked from is %s",
                                     lt_onnx_kind_name(forms[i]->kind));
        if (!(results[i] = hold_to(im, region, results[i], &declared[i].type)))
            return false;
    }
    return lt_onnx_yield_packed(im, region, go, results, forms, l->carried + stacked);
}

/* Reads the body once; NULL after an error. *changed: there is more to carry, and no yield. */
static Node *read_body(Import *im, LoopParts *l, uint32_t stacked, bool *changed) {
    Value **inputs = LT_ARRAY(im->arena, Value *, l->width + 2);
    Value **results = LT_ARRAY(im->arena, Value *, l->body->outputs.len + 1);
    inputs[0] = l->trips;
    inputs[1] = l->go;
    memcpy(inputs + 2, l->members, l->width * sizeof *inputs);
    const Attr count = lt_int(ATTR_COUNT, l->width);
    Node *node =
        lt_onnx_region_node(im, OP_LOOP, inputs, l->width + 2, 1, l->width + stacked, &count);
    Graph *region = node->regions[0];
    OnnxScope scope = lt_onnx_region_scope(im, l->body, region);
    lt_graph_add_input(region, lt_type(im->module, DT_I64, 0, NULL), "iteration");
    for (uint32_t i = 0; i < l->width; i++)
        lt_graph_add_input(region, l->types[i], l->members[i]->name);
    if (!bind_body(im, &scope, l) || !lt_onnx_read_region(im, &scope, l->body, results) ||
        !end_body(im, region, l, results, changed))
        return NULL;
    for (size_t i = 0; i < scope.captured.len; i++)
        lt_node_add_input(node, scope.captured.data[i]);
    if (!*changed && !generalize(im, node, l, changed))
        return NULL;
    return node;
}

/* The forms to begin with. What the body declares tells the rank of a sequence that starts empty,
 * and whether something present may be absent later. */
static void first_forms(Import *im, LoopParts *l) {
    const OnnxValueInfo *inputs = l->body->inputs.data + (l->kind == IS_LOOP ? 2 : 0);
    l->forms = LT_ARRAY(im->arena, const CompoundForm *, l->carried + 1);
    l->carry = LT_ARRAY(im->arena, Value *, l->carried + 1);
    for (uint32_t i = 0; i < l->carried; i++) {
        const char *reason;
        l->forms[i] = lt_onnx_form_of(im, l->starts[i]);
        if (l->forms[i]->kind == COMPOUND_NONE || l->kind != IS_LOOP)
            continue;
        const CompoundForm *declared = lt_onnx_form_of_type(im, &inputs[i].type, &reason);
        if (declared)
            l->forms[i] = lt_onnx_form_declared(im, l->forms[i], declared);
    }
}

static Node *build_loop(Import *im, LoopParts *l) {
    const size_t given = l->body->inputs.len, yielded = l->body->outputs.len;
    const size_t wanted =
        (l->kind == IS_MAP ? 0 : l->carried) + (l->kind == IS_LOOP ? 2 : l->sliced_count);
    const size_t least = l->carried + (l->kind == IS_LOOP ? 1 : 0);
    if (given != wanted || yielded < least) {
        lt_onnx_malformed(im,
                          "the body has %zu inputs and %zu outputs; %zu and at least %zu are "
                          "expected",
                          given, yielded, wanted, least);
        return NULL;
    }
    first_forms(im, l);
    if (!pack_starts(im, l))
        return NULL;
    for (int reading = 0; reading < MOST_READINGS; reading++) {
        const size_t guards = im->module->guards.len;
        bool changed = false;
        Node *node = read_body(im, l, (uint32_t)(yielded - least), &changed);
        if (!node)
            return NULL;
        if (!changed)
            return lt_infer_node(node) ? node : NULL;
        lt_node_remove(node);
        im->module->guards.len = guards;
        if (!fix_members(im, l))
            return NULL;
    }
    lt_onnx_unsupported(im, "what the loop carries differs in too many ways");
    return NULL;
}

static Value *scalar_of(Import *im, Value *v, DType dtype) {
    return lt_build_convert(&im->b, lt_build_reshape(&im->b, v, 0, NULL), dtype);
}

bool lt_onnx_loop(Import *im) {
    Value *most = onnx_in(im, 0), *go = onnx_in(im, 1);
    LoopParts l = {.body = lt_onnx_subgraph(im, "body"),
                   .carried = im->input_count > 2 ? im->input_count - 2 : 0,
                   .starts = im->inputs + 2};
    if (!l.body || (most && !lt_onnx_tensor_in(im, 0)) || (go && !lt_onnx_tensor_in(im, 1)))
        return false;
    l.trips = most ? scalar_of(im, most, DT_I64)
                   : lt_build_const(&im->b, lt_const_int(im->module, DT_I64, INT64_MAX));
    l.go = go ? scalar_of(im, go, DT_BOOL) : constant_true(&im->b);
    for (uint32_t i = 0; i < l.carried; i++)
        if (!l.starts[i])
            return lt_onnx_unsupported(im, "carried value %u is absent", i);
    Node *node = l.trips && l.go ? build_loop(im, &l) : NULL;
    return node && lt_onnx_take_outputs(im, node, l.forms, l.carried);
}

/* --- scan ------------------------------------------------------------------------------------- */

/* An attribute with an element for each of `count`; 0 when absent. */
static const int64_t *flags(Import *im, const char *name, int64_t count) {
    return lt_onnx_ints_of(im, name, count, 0, INT64_MIN);
}

/* A scan output, which lies along axis 0, first to last. */
static Value *place_output(Import *im, Value *v, int64_t axis, bool backward) {
    const Type *type = v->type;
    if (backward)
        v = lt_onnx_flip(im, v, 0);
    int64_t perm[LT_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        perm[i] = i == axis ? 0 : i < axis ? i + 1 : i;
    return axis && v ? lt_build_transpose(&im->b, v, perm) : v;
}

static bool scan(Import *im, const char *directions) {
    const int64_t sliced = lt_onnx_int(im, "num_scan_inputs", 0);
    LoopParts l = {.body = lt_onnx_subgraph(im, "body"), .kind = IS_SCAN, .starts = im->inputs};
    if (!l.body)
        return false;
    if (sliced < 1 || sliced > im->input_count)
        return lt_onnx_malformed(im, "num_scan_inputs is %lld of %u inputs", (long long)sliced,
                                 im->input_count);
    l.sliced_count = (uint32_t)sliced;
    l.carried = im->input_count - l.sliced_count;
    l.sliced = im->inputs + l.carried;
    const int64_t stacked = (int64_t)im->output_count - l.carried;
    l.backward = flags(im, directions, sliced);
    const int64_t *given = flags(im, "scan_input_axes", sliced);
    const int64_t *turned = flags(im, "scan_output_directions", stacked);
    const int64_t *placed = flags(im, "scan_output_axes", stacked);
    if (stacked < 0 || !l.backward || !given || !turned || !placed)
        return false;
    int64_t *axes = lt_onnx_int_array(im, sliced, 0);
    l.axes = axes;
    for (int64_t i = 0; i < sliced; i++)
        if (!lt_onnx_axis(im, given[i], l.sliced[i]->type->rank, &axes[i]))
            return false;
    const Dim *length = l.sliced[0]->type->dims[axes[0]];
    l.trips = lt_onnx_dim_value(im, length, DT_I64);
    l.go = constant_true(&im->b);
    Node *node = build_loop(im, &l);
    for (uint32_t i = 0; node && i < im->output_count; i++) {
        Value *v = node->outputs[i];
        int64_t axis = 0;
        if (i >= l.carried && !lt_onnx_axis(im, placed[i - l.carried], v->type->rank, &axis))
            return false;
        im->outputs[i] = i < l.carried ? v : place_output(im, v, axis, turned[i - l.carried] != 0);
    }
    return node != NULL;
}

bool lt_onnx_scan(Import *im) { return scan(im, "scan_input_directions"); }

/* Opset 8 has a batch axis in front: a scan for each sample. */
bool lt_onnx_scan_8(Import *im) {
    Value **samples = LT_ARRAY(im->arena, Value *, im->input_count);
    OnnxLoop batch = {.stacked = im->output_count};
    OnnxScope *outer = im->scope;
    if (im->input_count < 2 || im->output_count > ONNX_LOOP_VALUES)
        return lt_onnx_unsupported(im, "%u inputs and %u outputs are not supported",
                                   im->input_count, im->output_count);
    if (im->inputs[0])
        return lt_onnx_unsupported(im, "lengths of the sequences are not supported");
    for (uint32_t i = 1; i < im->input_count; i++)
        if (!im->inputs[i] || im->inputs[i]->type->rank < 1)
            return lt_onnx_malformed(im, "input %u is missing, or without a batch axis", i);
    batch.trips = im->inputs[1]->type->dims[0];
    if (!lt_onnx_loop_begin(im, &batch))
        return false;
    for (uint32_t i = 1; i < im->input_count; i++)
        samples[i - 1] = lt_onnx_loop_step(im, &batch, im->inputs[i]);
    lt_map_init(&batch.scope.names, im->arena);
    im->scope = &batch.scope;
    im->inputs = samples;
    im->input_count--;
    const bool ok = scan(im, "directions");
    im->scope = outer;
    return lt_onnx_loop_end(im, &batch, im->outputs) && ok;
}

/* --- SequenceMap ------------------------------------------------------------------------------ */

/* Lists of up to so many elements are mapped one by one, with the body read for each. */
enum { MOST_UNROLLED = 16 };

/* The body with the elements at `at` of what are sequences. */
static bool map_element(Import *im, const OnnxGraph *body, uint32_t at, Value **results) {
    Value **inputs = LT_ARRAY(im->arena, Value *, im->input_count);
    for (uint32_t i = 0; i < im->input_count; i++)
        inputs[i] = compound_kind(im->inputs[i]) == COMPOUND_SEQUENCE
                        ? compound_of(im->inputs[i])->members[at]
                        : im->inputs[i];
    return lt_onnx_read_inline(im, body, inputs, results);
}

static bool unroll_map(Import *im, const OnnxGraph *body, uint32_t length,
                       const CompoundForm *const *forms) {
    const uint32_t count = im->output_count;
    Value ***rows = LT_ARRAY(im->arena, Value **, count);
    Value **results = LT_ARRAY(im->arena, Value *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = LT_ARRAY(im->arena, Value *, length + 1);
    for (uint32_t at = 0; at < length; at++) {
        if (!map_element(im, body, at, results))
            return false;
        for (uint32_t i = 0; i < count; i++)
            rows[i][at] = results[i];
    }
    for (uint32_t i = 0; i < count; i++)
        if (!onnx_set(im, i, lt_onnx_list(im, length ? NULL : forms[i], rows[i], length)))
            return false;
    return true;
}

/* All sequences have the length of the first one. */
static bool check_lengths(Import *im, const Dim *length, bool *are_lists) {
    *are_lists = true;
    for (uint32_t i = 0; i < im->input_count; i++) {
        if (!im->inputs[i])
            return lt_onnx_malformed(im, "input %u is missing", i);
        if (compound_kind(im->inputs[i]) != COMPOUND_SEQUENCE)
            continue;
        const Compound *c = compound_of(im->inputs[i]);
        const Dim *own = lt_onnx_sequence_length_dim(im, c);
        *are_lists = *are_lists && c->is_list;
        if (own != length && lt_dim_is_const(own) && lt_dim_is_const(length))
            return lt_onnx_malformed(im, "input %u has %s elements, input 0 has %s", i,
                                     lt_onnx_dim_text(im, own), lt_onnx_dim_text(im, length));
        if (own != length)
            lt_graph_add_guard(im->b.graph, own, length, im->node->loc);
    }
    return true;
}

bool lt_onnx_sequence_map(Import *im) {
    const Compound *first = lt_onnx_sequence_in(im, 0);
    const OnnxGraph *body = first ? lt_onnx_subgraph(im, "body") : NULL;
    const uint32_t count = im->output_count;
    const CompoundForm **forms = LT_ARRAY(im->arena, const CompoundForm *, count + 1);
    Value **starts = LT_ARRAY(im->arena, Value *, count + 1);
    bool are_lists;
    if (!body)
        return false;
    if (body->inputs.len != im->input_count || body->outputs.len != count)
        return lt_onnx_malformed(im, "the body has %zu inputs and %zu outputs, the node %u and %u",
                                 body->inputs.len, body->outputs.len, im->input_count, count);
    const Dim *length = lt_onnx_sequence_length_dim(im, first);
    if (!check_lengths(im, length, &are_lists))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const char *reason;
        forms[i] = lt_onnx_form_of_type(im, &body->outputs.data[i].type, &reason);
        if (!forms[i] || forms[i]->kind != COMPOUND_NONE)
            return lt_onnx_unsupported(im, "output %u of the body is %s", i,
                                       forms[i] ? lt_onnx_form_text(im, forms[i]) : reason);
        forms[i] = lt_onnx_tensor_form(im, forms[i]->dtype, RANK_OPEN);
        starts[i] = lt_onnx_list(im, forms[i], NULL, 0);
    }
    if (are_lists && length->value <= MOST_UNROLLED)
        return unroll_map(im, body, (uint32_t)length->value, forms);
    LoopParts l = {.body = body,
                   .kind = IS_MAP,
                   .trips = lt_onnx_dim_value(im, length, DT_I64),
                   .go = constant_true(&im->b),
                   .carried = count,
                   .starts = starts,
                   .sliced = im->inputs,
                   .sliced_count = im->input_count};
    Node *node = build_loop(im, &l);
    return node && lt_onnx_take_outputs(im, node, l.forms, l.carried);
}
