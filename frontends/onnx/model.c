/* model.c - from the wire to structs: one function per message of onnx.proto3, a switch over its
 * field numbers. */
#include "frontends/onnx/model.h"

#include <string.h>

#include "frontends/onnx/status.h"

typedef struct Scan {
    Arena *arena;
    Pb pb;
    PbField field;
} Scan;

static Scan scan_message(Scan *outer) {
    return (Scan){.arena = outer->arena, .pb = lt_pb_message(&outer->pb, &outer->field)};
}

static bool scan_next(Scan *s) { return lt_pb_next(&s->pb, &s->field); }
static const char *scan_string(Scan *s) { return lt_pb_string(&s->pb, &s->field, s->arena); }
static int64_t scan_int(Scan *s) { return lt_pb_int(&s->pb, &s->field); }

static OnnxEntry read_entry(Scan s) {
    OnnxEntry entry = {"", ""};
    while (scan_next(&s)) {
        if (s.field.number == 1)
            entry.key = scan_string(&s);
        if (s.field.number == 2)
            entry.value = scan_string(&s);
    }
    return entry;
}

/* An empty raw_data is present all the same: it holds a tensor without elements. */
static void read_raw(Scan *s, OnnxTensor *t) {
    if (!lt_pb_expect(&s->pb, &s->field, PB_BYTES))
        return;
    t->raw = s->pb.data + s->field.pos;
    t->raw_size = s->field.len;
}

static OnnxText read_text(Scan *s) {
    if (!lt_pb_expect(&s->pb, &s->field, PB_BYTES))
        return (OnnxText){"", 0};
    return (OnnxText){(const char *)s->pb.data + s->field.pos, s->field.len};
}

static OnnxTensor read_tensor(Scan s) {
    OnnxTensor t = {.name = ""};
    while (scan_next(&s)) {
        Pb *pb = &s.pb;
        const PbField *field = &s.field;
        switch (field->number) {
        case 1: lt_pb_ints(pb, field, s.arena, &t.dims); break;
        case 2: t.data_type = scan_int(&s); break;
        case 3:
            lt_pb_fail(pb, field->pos,
                       "a tensor is stored in segments, which the format has withdrawn");
            break;
        case 4: lt_pb_words32(pb, field, s.arena, &t.floats); break;
        case 5: lt_pb_ints(pb, field, s.arena, &t.int32s); break;
        case 6: lt_vec_push(s.arena, &t.strings, read_text(&s)); break;
        case 7: lt_pb_ints(pb, field, s.arena, &t.int64s); break;
        case 8: t.name = scan_string(&s); break;
        case 9: read_raw(&s, &t); break;
        case 10: lt_pb_words64(pb, field, s.arena, &t.doubles); break;
        case 11: lt_pb_ints(pb, field, s.arena, &t.uint64s); break;
        case 13: lt_vec_push(s.arena, &t.external, read_entry(scan_message(&s))); break;
        case 14: t.is_external = scan_int(&s) == 1; break;
        default: break;
        }
    }
    return t;
}

static OnnxTensor *read_tensor_new(Scan s) {
    OnnxTensor *t = LT_NEW(s.arena, OnnxTensor);
    *t = read_tensor(s);
    return t;
}

static OnnxDim read_dim(Scan s) {
    OnnxDim d = {.kind = ONNX_DIM_UNKNOWN};
    while (scan_next(&s)) {
        if (s.field.number == 1)
            d = (OnnxDim){.kind = ONNX_DIM_VALUE, .value = scan_int(&s)};
        if (s.field.number == 2)
            d = (OnnxDim){.kind = ONNX_DIM_PARAM, .param = scan_string(&s)};
    }
    return d;
}

static void read_shape(Scan s, OnnxType *t) {
    t->has_shape = true;
    while (scan_next(&s))
        if (s.field.number == 1)
            lt_vec_push(s.arena, &t->dims, read_dim(scan_message(&s)));
}

static void read_tensor_type(Scan s, OnnxType *t) {
    t->kind = ONNX_TYPE_TENSOR;
    while (scan_next(&s)) {
        if (s.field.number == 1)
            t->elem_type = scan_int(&s);
        if (s.field.number == 2)
            read_shape(scan_message(&s), t);
    }
}

static OnnxType *read_type(Scan s);

/* The one field of a sequence's or an optional's type. */
static const OnnxType *read_element_type(Scan s) {
    const OnnxType *element = NULL;
    while (scan_next(&s))
        if (s.field.number == 1)
            element = read_type(scan_message(&s));
    return element;
}

static OnnxType *read_type(Scan s) {
    OnnxType *t = LT_NEW(s.arena, OnnxType);
    while (scan_next(&s)) {
        switch (s.field.number) {
        case 1: read_tensor_type(scan_message(&s), t); break;
        case 4:
            t->kind = ONNX_TYPE_SEQUENCE;
            t->element = read_element_type(scan_message(&s));
            break;
        case 6: break; /* a denotation */
        case 9:
            t->kind = ONNX_TYPE_OPTIONAL;
            t->element = read_element_type(scan_message(&s));
            break;
        default: t->kind = ONNX_TYPE_OTHER;
        }
    }
    return t;
}

/* Has the name and the type of its values. */
static OnnxTensor read_sparse(Scan s) {
    OnnxTensor t = {.name = ""};
    while (scan_next(&s)) {
        switch (s.field.number) {
        case 1: t.values = read_tensor_new(scan_message(&s)); break;
        case 2: t.indices = read_tensor_new(scan_message(&s)); break;
        case 3: lt_pb_ints(&s.pb, &s.field, s.arena, &t.dims); break;
        default: break;
        }
    }
    if (!t.values || !t.indices) {
        lt_pb_fail(&s.pb, s.pb.pos, "a sparse tensor lacks its values or indices");
        return t;
    }
    t.name = t.values->name;
    t.data_type = t.values->data_type;
    return t;
}

static OnnxTensor *read_sparse_new(Scan s) {
    OnnxTensor *t = LT_NEW(s.arena, OnnxTensor);
    *t = read_sparse(s);
    return t;
}

static OnnxGraph *read_graph(Scan s);

/* Files of ir_version < 3 may leave the type out: then the field that is there tells it. */
static OnnxAttrType guess_type(const OnnxAttribute *a) {
    if (a->t)
        return a->t->values ? ONNX_ATTR_SPARSE : ONNX_ATTR_TENSOR;
    if (a->g)
        return ONNX_ATTR_GRAPH;
    if (a->tp)
        return ONNX_ATTR_TYPE;
    if (a->s)
        return ONNX_ATTR_STRING;
    if (a->ints.len)
        return ONNX_ATTR_INTS;
    if (a->floats.len)
        return ONNX_ATTR_FLOATS;
    if (a->strings.len)
        return ONNX_ATTR_STRINGS;
    return ONNX_ATTR_NONE;
}

static OnnxAttribute read_attribute(Scan s) {
    OnnxAttribute a = {.name = ""};
    OnnxAttrType scalar = ONNX_ATTR_NONE;
    while (scan_next(&s)) {
        switch (s.field.number) {
        case 1: a.name = scan_string(&s); break;
        case 2: a.f = lt_pb_float(&s.pb, &s.field), scalar = ONNX_ATTR_FLOAT; break;
        case 3: a.i = scan_int(&s), scalar = ONNX_ATTR_INT; break;
        case 4: a.s = scan_string(&s); break;
        case 5: a.t = read_tensor_new(scan_message(&s)); break;
        case 6: a.g = read_graph(scan_message(&s)); break;
        case 7: lt_pb_words32(&s.pb, &s.field, s.arena, &a.floats); break;
        case 8: lt_pb_ints(&s.pb, &s.field, s.arena, &a.ints); break;
        case 9: lt_vec_push(s.arena, &a.strings, scan_string(&s)); break;
        case 14: a.tp = read_type(scan_message(&s)); break;
        case 20: a.type = (OnnxAttrType)scan_int(&s); break;
        case 21: a.ref = scan_string(&s); break;
        case 22: a.t = read_sparse_new(scan_message(&s)); break;
        default: break;
        }
    }
    if (a.type == ONNX_ATTR_NONE)
        a.type = guess_type(&a);
    if (a.type == ONNX_ATTR_NONE)
        a.type = scalar;
    if (a.type == ONNX_ATTR_STRING && !a.s)
        a.s = "";
    bool needs_tensor = a.type == ONNX_ATTR_TENSOR || a.type == ONNX_ATTR_SPARSE;
    if (!a.ref && ((needs_tensor && !a.t) || (a.type == ONNX_ATTR_GRAPH && !a.g) ||
                   (a.type == ONNX_ATTR_TYPE && !a.tp)))
        lt_pb_fail(&s.pb, s.pb.pos,
                   "an attribute lacks the tensor, graph or type that its type says");
    return a;
}

/* A node without a name is called after its first output. */
static const Loc *node_loc(Arena *arena, const OnnxNode *n) {
    Loc *loc = LT_NEW(arena, Loc);
    loc->op = n->op;
    if (*n->name)
        loc->node = n->name;
    for (size_t i = 0; !loc->node && i < n->outputs.len; i++)
        if (*n->outputs.data[i])
            loc->node = n->outputs.data[i];
    return loc;
}

static OnnxNode read_node(Scan s) {
    OnnxNode n = {.name = "", .op = "", .domain = "", .overload = ""};
    while (scan_next(&s)) {
        switch (s.field.number) {
        case 1: lt_vec_push(s.arena, &n.inputs, scan_string(&s)); break;
        case 2: lt_vec_push(s.arena, &n.outputs, scan_string(&s)); break;
        case 3: n.name = scan_string(&s); break;
        case 4: n.op = scan_string(&s); break;
        case 5: lt_vec_push(s.arena, &n.attributes, read_attribute(scan_message(&s))); break;
        case 7: n.domain = scan_string(&s); break;
        case 8: n.overload = scan_string(&s); break;
        default: break;
        }
    }
    if (strcmp(n.domain, "ai.onnx") == 0)
        n.domain = "";
    n.loc = node_loc(s.arena, &n);
    return n;
}

static OnnxValueInfo read_value_info(Scan s) {
    OnnxValueInfo v = {.name = ""};
    while (scan_next(&s)) {
        if (s.field.number == 1)
            v.name = scan_string(&s);
        if (s.field.number == 2)
            v.type = *read_type(scan_message(&s));
    }
    return v;
}

static OnnxGraph *read_graph(Scan s) {
    OnnxGraph *g = LT_NEW(s.arena, OnnxGraph);
    g->name = "";
    while (scan_next(&s)) {
        switch (s.field.number) {
        case 1: lt_vec_push(s.arena, &g->nodes, read_node(scan_message(&s))); break;
        case 2: g->name = scan_string(&s); break;
        case 5: lt_vec_push(s.arena, &g->initializers, read_tensor(scan_message(&s))); break;
        case 11: lt_vec_push(s.arena, &g->inputs, read_value_info(scan_message(&s))); break;
        case 12: lt_vec_push(s.arena, &g->outputs, read_value_info(scan_message(&s))); break;
        case 13: lt_vec_push(s.arena, &g->values, read_value_info(scan_message(&s))); break;
        case 15: lt_vec_push(s.arena, &g->initializers, read_sparse(scan_message(&s))); break;
        default: break;
        }
    }
    return g;
}

static OnnxOpset read_opset(Scan s) {
    OnnxOpset o = {.domain = ""};
    while (scan_next(&s)) {
        if (s.field.number == 1)
            o.domain = scan_string(&s);
        if (s.field.number == 2)
            o.version = scan_int(&s);
    }
    if (strcmp(o.domain, "ai.onnx") == 0)
        o.domain = "";
    return o;
}

static OnnxFunction read_function(Scan s) {
    OnnxFunction f = {.name = "", .domain = "", .overload = ""};
    f.body = LT_NEW(s.arena, OnnxGraph);
    f.body->name = "";
    while (scan_next(&s)) {
        switch (s.field.number) {
        case 1: f.name = scan_string(&s); break;
        case 4: lt_vec_push(s.arena, &f.inputs, scan_string(&s)); break;
        case 5: lt_vec_push(s.arena, &f.outputs, scan_string(&s)); break;
        case 6: lt_vec_push(s.arena, &f.attributes, scan_string(&s)); break;
        case 7: lt_vec_push(s.arena, &f.body->nodes, read_node(scan_message(&s))); break;
        case 9: lt_vec_push(s.arena, &f.opsets, read_opset(scan_message(&s))); break;
        case 10: f.domain = scan_string(&s); break;
        case 11: lt_vec_push(s.arena, &f.defaults, read_attribute(scan_message(&s))); break;
        case 13: f.overload = scan_string(&s); break;
        default: break;
        }
    }
    if (strcmp(f.domain, "ai.onnx") == 0)
        f.domain = "";
    return f;
}

OnnxModel *lt_onnx_model_read(Arena *arena, const uint8_t *data, size_t size, DiagList *diags) {
    PbError error = {0};
    Scan s = {.arena = arena, .pb = lt_pb_open(data, size, &error)};
    OnnxModel *m = LT_NEW(arena, OnnxModel);
    while (scan_next(&s)) {
        switch (s.field.number) {
        case 1: m->ir_version = scan_int(&s); break;
        case 7: m->graph = read_graph(scan_message(&s)); break;
        case 8: lt_vec_push(arena, &m->opsets, read_opset(scan_message(&s))); break;
        case 25: lt_vec_push(arena, &m->functions, read_function(scan_message(&s))); break;
        default: break;
        }
    }
    if (error.text) {
        lt_error(diags, LT_MALFORMED, NULL, "not a valid ONNX file: at byte %zu: %s", error.offset,
                 error.text);
        return NULL;
    }
    if (m->graph && m->ir_version > 0)
        return m;
    lt_error(diags, LT_MALFORMED, NULL, "not a valid ONNX file: it has no %s",
             m->graph ? "ir_version" : "graph");
    return NULL;
}
