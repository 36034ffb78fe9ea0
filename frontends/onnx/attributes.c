/* attributes.c - typed access to a node's attributes and to operands that must be known while
 * compiling. */
#include <string.h>

#include "frontends/onnx/ops.h"
#include "ir/eval.h"

static const char *const attr_type_names[] = {
    [ONNX_ATTR_NONE] = "nothing",    [ONNX_ATTR_FLOAT] = "a float",
    [ONNX_ATTR_INT] = "an integer",  [ONNX_ATTR_STRING] = "a string",
    [ONNX_ATTR_TENSOR] = "a tensor", [ONNX_ATTR_GRAPH] = "a graph",
    [ONNX_ATTR_FLOATS] = "floats",   [ONNX_ATTR_INTS] = "integers",
    [ONNX_ATTR_STRINGS] = "strings", [ONNX_ATTR_SPARSE] = "a sparse tensor",
    [ONNX_ATTR_TYPE] = "a type"};

static const char *attr_type_name(OnnxAttrType type) {
    bool known = type >= 0 && type <= ONNX_ATTR_TYPE && attr_type_names[type];
    return known ? attr_type_names[type] : "a type that lathe does not read";
}

static const OnnxAttribute *find_attribute(const Import *im, const char *name) {
    for (size_t i = 0; i < im->node->attributes.len; i++)
        if (strcmp(im->node->attributes.data[i].name, name) == 0)
            return &im->node->attributes.data[i];
    return NULL;
}

bool lt_onnx_has(const Import *im, const char *name) { return find_attribute(im, name) != NULL; }

/* Writers drop the type's payload for empty lists, so an untyped attribute passes as an empty list.
 */
const OnnxAttribute *lt_onnx_attribute(Import *im, const char *name, OnnxAttrType type) {
    const OnnxAttribute *a = find_attribute(im, name);
    bool empty_list =
        a && a->type == ONNX_ATTR_NONE && type >= ONNX_ATTR_FLOATS && type <= ONNX_ATTR_STRINGS;
    if (!a || a->type == type || empty_list)
        return a;
    lt_onnx_malformed(im, "attribute %s must be %s, not %s", name, attr_type_name(type),
                      attr_type_name(a->type));
    return NULL;
}

int64_t lt_onnx_int(Import *im, const char *name, int64_t otherwise) {
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_INT);
    return a ? a->i : otherwise;
}

double lt_onnx_float(Import *im, const char *name, double otherwise) {
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_FLOAT);
    return a ? (double)a->f : otherwise;
}

const char *lt_onnx_string(Import *im, const char *name, const char *otherwise) {
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_STRING);
    return a ? a->s : otherwise;
}

const int64_t *lt_onnx_ints(Import *im, const char *name, int64_t *count) {
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_INTS);
    *count = a ? (int64_t)a->ints.len : 0;
    if (!a)
        return NULL;
    return a->ints.len ? a->ints.data : lt_onnx_int_array(im, 1, 0);
}

const int64_t *lt_onnx_ints_of(Import *im, const char *name, int64_t count, int64_t otherwise,
                               int64_t least) {
    int64_t found;
    const int64_t *values = lt_onnx_ints(im, name, &found);
    if (!values)
        return lt_onnx_int_array(im, count, otherwise);
    if (found != count) {
        lt_onnx_malformed(im, "attribute %s must have %lld numbers, not %lld", name,
                          (long long)count, (long long)found);
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        if (values[i] >= least && values[i] <= INT32_MAX)
            continue;
        lt_onnx_malformed(im, "attribute %s holds %lld; expected %lld to %d", name,
                          (long long)values[i], (long long)least, INT32_MAX);
        return NULL;
    }
    return values;
}

bool lt_onnx_need(Import *im, uint32_t i) {
    return onnx_in(im, i) || lt_onnx_malformed(im, "input %u is missing", i);
}

/* Folds the operands first, so that whole chains of constants disappear; depth bounds the
 * recursion. */
static const Const *fold_value(Import *im, Value *v, int depth) {
    const Const *c = lt_value_const(v);
    int64_t elements;
    if (c || depth == 0 || !v->def || v->def->region_count)
        return c;
    if (!lt_type_is_static(v->type, &elements) || elements > 1 << 16)
        return NULL;
    Node *node = v->def;
    for (uint32_t i = 0; i < node->input_count; i++) {
        Value *operand = lt_input(node, i);
        if (!operand)
            continue;
        const Const *known = fold_value(im, operand, depth - 1);
        if (!known)
            return NULL;
        if (lt_value_const(operand))
            continue;
        Builder before = {.graph = node->graph, .before = node, .loc = node->loc};
        lt_node_set_input(node, i, lt_build_const(&before, known));
    }
    const Const **results = LT_ARRAY(im->arena, const Const *, node->output_count);
    if (!lt_eval_const_node(im->module, node, results))
        return NULL;
    return results[v->index];
}

const Const *lt_onnx_const(Import *im, Value *v) { return fold_value(im, v, 32); }

bool lt_onnx_is_known(Import *im, Value *v) {
    int64_t elements;
    const bool is_empty = lt_type_is_static(v->type, &elements) && elements == 0;
    return is_empty || v->content || lt_onnx_const(im, v);
}

const Dim *const *lt_onnx_bind_elements(Import *im, Value *v, const char *prefix) {
    int64_t count;
    v = v ? lt_build_convert(&im->b, v, DT_I64) : NULL;
    if (!v || !lt_type_is_static(v->type, &count))
        return NULL;
    const Dim **dims = lt_onnx_dim_array(im, count);
    for (int64_t i = 0; i < count; i++)
        dims[i] = lt_dim_fresh_data(im->dims, prefix);
    const Attr attr = lt_dims(ATTR_DIMS, dims, (uint32_t)count);
    Value *bound = lt_build(
        &im->b,
        &(NodeSpec){
            .op = OP_BIND, .inputs = &v, .input_count = 1, .attrs = &attr, .attr_count = 1});
    return bound ? dims : NULL;
}

const Dim *const *lt_onnx_content(Import *im, Value *v, const char *what, int64_t *count) {
    int64_t elements;
    bool is_list = v->type->rank <= 1 && !lt_dtype_is_float(v->type->dtype);
    if (!is_list || !lt_type_is_static(v->type, &elements)) {
        lt_onnx_unsupported(im, "%s must be a list of integers of a fixed length", what);
        return NULL;
    }
    *count = elements;
    if (v->content || elements == 0)
        return v->content ? v->content : lt_onnx_dim_array(im, 0);
    const Const *c = lt_onnx_const(im, v);
    if (!c) {
        lt_onnx_unsupported(
            im, "%s depends on the input data: its value is not known while compiling", what);
        return NULL;
    }
    const Dim **dims = lt_onnx_dim_array(im, elements);
    for (int64_t i = 0; i < elements; i++)
        dims[i] = lt_dim_const(im->dims, lt_const_get_int(c, i));
    return dims;
}

const int64_t *lt_onnx_numbers(Import *im, Value *v, const char *what, int64_t *count) {
    const Dim *const *dims = lt_onnx_content(im, v, what, count);
    if (!dims)
        return NULL;
    int64_t *numbers = lt_onnx_int_array(im, *count, 0);
    for (int64_t i = 0; i < *count; i++) {
        if (!lt_dim_is_const(dims[i])) {
            lt_onnx_unsupported(im, "%s depends on a symbolic dim (%s)", what,
                                lt_onnx_dim_text(im, dims[i]));
            return NULL;
        }
        numbers[i] = dims[i]->value;
    }
    return numbers;
}

bool lt_onnx_number(Import *im, Value *v, const char *what, int64_t *out) {
    int64_t count;
    const int64_t *numbers = lt_onnx_numbers(im, v, what, &count);
    if (!numbers)
        return false;
    if (count != 1)
        return lt_onnx_malformed(im, "%s must be one number, not %lld", what, (long long)count);
    *out = numbers[0];
    return true;
}

bool lt_onnx_axis(Import *im, int64_t axis, int64_t rank, int64_t *out) {
    if (axis < -rank || axis >= rank)
        return lt_onnx_malformed(im, "axis %lld is not one of a tensor of rank %lld",
                                 (long long)axis, (long long)rank);
    *out = axis < 0 ? axis + rank : axis;
    return true;
}

static bool sort_axes(Import *im, int64_t *axes, int64_t count) {
    for (int64_t i = 1; i < count; i++)
        for (int64_t j = i; j > 0 && axes[j] < axes[j - 1]; j--) {
            int64_t swap = axes[j];
            axes[j] = axes[j - 1];
            axes[j - 1] = swap;
        }
    for (int64_t i = 1; i < count; i++)
        if (axes[i] == axes[i - 1])
            return lt_onnx_malformed(im, "axis %lld is named twice", (long long)axes[i]);
    return true;
}

const int64_t *lt_onnx_axes(Import *im, uint32_t input, int64_t rank, int64_t *count) {
    const int64_t *given = lt_onnx_ints(im, "axes", count);
    if (!given && onnx_in(im, input)) {
        given = lt_onnx_numbers(im, onnx_in(im, input), "the list of axes", count);
        if (!given)
            *count = -2;
    } else if (!given) {
        *count = -1;
    }
    if (!given)
        return NULL;
    int64_t *axes = lt_onnx_int_array(im, *count, 0);
    bool ok = true;
    for (int64_t i = 0; ok && i < *count; i++)
        ok = lt_onnx_axis(im, given[i], rank, &axes[i]);
    if (ok && sort_axes(im, axes, *count))
        return axes;
    *count = -2;
    return NULL;
}

const char *lt_onnx_dim_text(Import *im, const Dim *d) {
    Str text;
    lt_str_init(&text, im->arena);
    lt_dim_print(&text, d);
    return text.text;
}
