/* ops.h - what the converters of ONNX ops work with.
 *
 * A converter sees one node with its operands as values and builds graph IR at the end of the
 * graph. It gives false after recording why it cannot: `lt_onnx_unsupported` for what lathe lacks,
 * `lt_onnx_malformed` for what contradicts the ONNX specification. The driver (graph.c) has checked
 * operand counts and attribute names against ops.def. */
#ifndef LATHE_FRONTENDS_ONNX_OPS_H
#define LATHE_FRONTENDS_ONNX_OPS_H

#include "frontends/import.h"
#include "frontends/onnx/model.h"
#include "frontends/onnx/status.h"
#include "ir/build.h"
#include "ir/graph.h"

/* the newest opsets whose changes are known here */
enum { ONNX_LATEST = 28, ONNX_LATEST_ML = 5, ONNX_LATEST_MS = 1 };

typedef struct OnnxScope OnnxScope;

/* A function of the model that is read in place of a node. */
typedef struct FunctionCall {
    const OnnxFunction *function;
    const OnnxNode *node;
    const struct FunctionCall *outer; /* NULL: called by the model's graph */
    uint32_t depth;
} FunctionCall;

typedef struct Import {
    Arena *arena;
    Module *module;
    DimTable *dims;
    Builder b;
    const char *path;
    const OnnxModel *model;
    const ImportOptions *options;
    OnnxScope *scope; /* innermost: names to values */
    const FunctionCall *call; /* NULL: the nodes at hand are the model's own */
    uint32_t unsupported;
    uint32_t inlined; /* nodes of functions */
    Map files; /* external data: path -> MappedFile */

    /* the node at hand */
    const OnnxNode *node;
    int64_t version; /* opset version of its domain */
    Value **inputs;  /* by position; NULL: absent */
    uint32_t input_count;
    Value **outputs; /* to be filled; output_count as the node has, absent ones included */
    uint32_t output_count;
} Import;

typedef bool (*OnnxConverter)(Import *im);

/* One row of ops.def. */
typedef struct OnnxOp {
    const char *name;
    int32_t low, high; /* opset versions, inclusive */
    OnnxConverter convert;
    int32_t min_inputs, max_inputs; /* max -1: any number; the first min must be present */
    int32_t max_outputs;
    const char *attributes; /* names that it may carry, by spaces */
    unsigned takes;         /* CompoundKinds that operands may be (compound.h) */
} OnnxOp;

/* The row for this op and version, or NULL; *known tells whether there is a row for another
 * version. */
const OnnxOp *lt_onnx_op_find(const char *name, int64_t version, bool *known);
extern const OnnxOp lt_onnx_ops[];
extern const uint32_t lt_onnx_op_count;

/* --- errors at the node at hand; each gives false --- */
bool lt_onnx_unsupported(Import *im, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool lt_onnx_malformed(Import *im, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- attributes (attributes.c): a wrong type is an error, and the default is given --- */
const OnnxAttribute *lt_onnx_attribute(Import *im, const char *name, OnnxAttrType type);
bool lt_onnx_has(const Import *im, const char *name);
int64_t lt_onnx_int(Import *im, const char *name, int64_t otherwise);
double lt_onnx_float(Import *im, const char *name, double otherwise);
const char *lt_onnx_string(Import *im, const char *name, const char *otherwise);
/* NULL and *count = 0 when absent. */
const int64_t *lt_onnx_ints(Import *im, const char *name, int64_t *count);
/* As above with exactly `count` numbers, each at least `least`; `otherwise` everywhere when absent.
 * NULL: error. */
const int64_t *lt_onnx_ints_of(Import *im, const char *name, int64_t count, int64_t otherwise,
                               int64_t least);

/* --- operands --- */
static inline Value *onnx_in(const Import *im, uint32_t i) {
    return i < im->input_count ? im->inputs[i] : NULL;
}
static inline bool onnx_set(Import *im, uint32_t i, Value *v) {
    if (i < im->output_count)
        im->outputs[i] = v;
    return v != NULL;
}

/* --- maps, at the end of the graph --- */
static inline Value *onnx_map2(Import *im, ScalarFn fn, Value *x, Value *y) {
    return lt_build_map2(&im->b, fn, x, y);
}
static inline Value *onnx_pick(Import *im, Value *condition, Value *yes, Value *no) {
    return lt_build_map3(&im->b, FN_SELECT, condition, yes, no);
}
static inline bool onnx_wants(const Import *im, uint32_t i) {
    return i < im->output_count && *im->node->outputs.data[i];
}
/* Operand i is there; else an error. For those that ops.def cannot ask for, behind one that may be
 * left out. */
bool lt_onnx_need(Import *im, uint32_t i);
/* The operand as a constant: folds what computes it. NULL when it depends on data or symbolic
 * shapes. */
const Const *lt_onnx_const(Import *im, Value *v);
/* Whether lt_onnx_content would give numbers or extents of inputs. */
bool lt_onnx_is_known(Import *im, Value *v);
/* The elements of a vector of integers, each 0 or more, that only a run tells: symbols that get
 * their values then. `prefix` begins their names. NULL for a NULL. */
const Dim *const *lt_onnx_bind_elements(Import *im, Value *v, const char *prefix);
/* lt_onnx_content where it can be, else bound elements: for operands that must not be negative. */
const Dim *const *lt_onnx_extents(Import *im, Value *v, const char *what, int64_t *count);
/* Whether a list of axes, i64[k], names this one of a tensor of this rank: bool[]. */
Value *lt_onnx_is_axis(Import *im, Value *axes, int64_t axis, int64_t rank);
/* Leaves out axes of extent 1: `count` of them, where is_gone (by axis, bool[]) is true. */
Value *lt_onnx_keep_axes(Import *im, Value *v, Value *const *is_gone, int64_t count);
/* Converters for operands that only a run tells (ops_data.c). */
bool lt_onnx_reshape_by_data(Import *im, bool zero_copies);
bool lt_onnx_expand_by_data(Import *im);
bool lt_onnx_range_by_data(Import *im);
bool lt_onnx_slice_by_data(Import *im);
/* Pad's amounts of all axes, in front and then behind, where its list of axes is one of these. */
const Dim *const *lt_onnx_pads_by_data(Import *im);
bool lt_onnx_squeeze_by_data(Import *im, int64_t count);
bool lt_onnx_unsqueeze_by_data(Import *im, int64_t rank);
/* The elements of a small integer operand as dims; NULL after an error that calls it `what`. */
const Dim *const *lt_onnx_content(Import *im, Value *v, const char *what, int64_t *count);
/* The same where each must be a number. */
const int64_t *lt_onnx_numbers(Import *im, Value *v, const char *what, int64_t *count);
/* One integer. */
bool lt_onnx_number(Import *im, Value *v, const char *what, int64_t *out);
/* axis normalized to 0 <= axis < rank. */
bool lt_onnx_axis(Import *im, int64_t axis, int64_t rank, int64_t *out);
/* Axes from the attribute "axes" or operand `input`, normalized and sorted; NULL and *count = -1
 * when absent, NULL and *count = -2 after an error. */
const int64_t *lt_onnx_axes(Import *im, uint32_t input, int64_t rank, int64_t *count);
const char *lt_onnx_dim_text(Import *im, const Dim *d);

/* --- tensors (tensor.c) --- */
bool lt_onnx_dtype(int64_t data_type, DType *out);
const char *lt_onnx_data_type_name(int64_t data_type);
/* NULL after an error at `loc`. */
const Const *lt_onnx_tensor(Import *im, const OnnxTensor *t, const Loc *loc);
/* The same for one that has values and indices (sparse.c). */
const Const *lt_onnx_sparse_tensor(Import *im, const OnnxTensor *t, const Loc *loc);

/* --- small builders that several converters use (build.c) --- */
const Dim *const *lt_onnx_dims_copy(Import *im,
                                    const Type *type); /* a new array that may be written */
const Dim **lt_onnx_dim_array(Import *im, int64_t count);
int64_t *lt_onnx_int_array(Import *im, int64_t count, int64_t fill);
Value *lt_onnx_scalar_like(Import *im, const Value *x, double value); /* rank 0, dtype of x */
/* As Cast: saturates floats of 8 bits by the node's attribute, wraps integers of 4 and 2 bits. */
Value *lt_onnx_cast_to(Import *im, Value *x, DType dtype);
Value *lt_onnx_map_scalar(Import *im, ScalarFn fn, Value *x, double value); /* fn(x, value) */
/* A vector laid along `axis` of a tensor of this rank: reshaped to [n, 1, ...]. */
Value *lt_onnx_along(Import *im, Value *vector, int axis, int rank);
/* The value of a dim, rank 0. */
Value *lt_onnx_dim_value(Import *im, const Dim *d, DType dtype);
/* The axis backwards. */
Value *lt_onnx_flip(Import *im, Value *x, int64_t axis);
/* The whole tensor but for one axis: from start, size elements. */
Value *lt_onnx_slice_axis(Import *im, Value *x, int axis, const Dim *start, const Dim *size);
Value *lt_onnx_broadcast_to(Import *im, Value *x, const Type *type);
Value *lt_onnx_mean(Import *im, Value *x, const int64_t *axes, int count, bool keep);
Value *lt_onnx_full(Import *im, DType dtype, int rank, const Dim *const *shape, Value *scalar);
/* [n, c, x...] to [n, x..., c] and back. */
Value *lt_onnx_to_channels_last(Import *im, Value *x);
Value *lt_onnx_to_channels_first(Import *im, Value *x);

/* Converts a graph attribute in place, with the outer names visible; its outputs go to the node's.
 * (graph.c) */
bool lt_onnx_inline_graph(Import *im, const OnnxGraph *g);

#define ONNX_OP(name, low, high, function, ...) bool lt_onnx_##function(Import *im);
#define ONNX_COMPOUND_OP(name, low, high, function, ...) bool lt_onnx_##function(Import *im);
#include "frontends/onnx/ops.def"
#undef ONNX_OP
#undef ONNX_COMPOUND_OP

#endif
