/* infer.h - what the parts of inference share. Inside ir/infer*.c only. */
#ifndef LATHE_IR_INFER_H
#define LATHE_IR_INFER_H

#include "ir/graph.h"

enum { INFER_UNSUPPORTED = 3, INFER_MALFORMED = 4 }; /* numbers of include/lathe/status.def */

/* One function an op: sets the outputs' types; false after a diagnostic. Arity and attributes are
 * checked. */
#define OP(e, ...) bool lt_infer_##e(Node *node);
#include "ir/ops.def"
#undef OP

/* Records an error at the node and gives false. */
bool lt_infer_fail(const Node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool lt_infer_set(Node *node, uint32_t output, DType dtype, int rank, const Dim *const *dims);
bool lt_infer_set_like(Node *node, uint32_t output, const Type *type);
/* One dim for two that must agree: false when they cannot, without a diagnostic. What cannot be
 * proven is recorded as a guard; the constant one is chosen. */
bool lt_infer_unify(const Node *node, const Dim *a, const Dim *b, const Dim **out);
/* The same with numpy's rule that 1 stretches. A symbolic dim is taken not to be 1. */
bool lt_infer_unify_broadcast(const Node *node, const Dim *a, const Dim *b, const Dim **out);
/* a <= b: false when that can never hold; a guard when it cannot be proven. */
bool lt_infer_at_most(const Node *node, const Dim *a, const Dim *b);
/* Both tensors have the same dims, else an error that calls them by these names. */
bool lt_infer_same_dims(const Node *node, const Type *a, const Type *b, const char *a_name,
                        const char *b_name);
/* The input has this rank / an axis lies inside it / it has a dtype of a kind; else an error. */
bool lt_infer_need_rank(const Node *node, uint32_t input, int rank);
bool lt_infer_need_axis(const Node *node, uint32_t input, int64_t axis);
bool lt_infer_need_float(const Node *node, uint32_t input);
bool lt_infer_need_index(const Node *node, uint32_t input); /* i32 or i64 */
bool lt_infer_need_dtype(const Node *node, uint32_t input, DType dtype);
/* An INTS or DIMS attribute of this many elements; NULL after an error. */
const Attr *lt_infer_list(const Node *node, AttrName name, int64_t count);
/* floordiv(extent + lo + hi - dilation * (kernel - 1) - 1, stride) + 1; NULL when the
 * kernel is known to be longer than the extent with its padding. */
typedef struct Sweep {
    const Dim *extent, *lo, *hi;
    int64_t kernel, stride, dilation;
} Sweep;
const Dim *lt_infer_sweep(const Node *node, const Sweep *sweep);

/* Known contents of the outputs, once their types are set. */
void lt_infer_content(Node *node);

static inline Module *infer_module(const Node *node) { return node->graph->module; }
static inline DimTable *infer_dims(const Node *node) { return &node->graph->module->dims; }
static inline const Type *input_type(const Node *node, uint32_t i) {
    return node->inputs[i].value->type;
}
/* In the module's arena, for messages. */
const char *lt_infer_dim_text(const Node *node, const Dim *dim);
const char *lt_infer_type_text(const Node *node, const Type *type);

#endif
