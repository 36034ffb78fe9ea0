/* eval_ops.h - what the parts of the evaluator share. Inside ir/eval*.c and ir/scalar_eval.c only.
 *
 * Ops compute on wide elements: tensors are widened to double or int64_t a row or a whole tensor at
 * a time, computed, and rounded or wrapped to their dtype once. Ops that only move elements copy
 * bytes. */
#ifndef LATHE_IR_EVAL_OPS_H
#define LATHE_IR_EVAL_OPS_H

#include "ir/eval.h"

#define OP(e, ...) bool lt_eval_##e(Evaluation *ev, const Node *node);
#include "ir/ops.def"
#undef OP

/* One element, wide: `f` of float dtypes, `i` of the others. */
typedef union Wide {
    double f;
    int64_t i;
} Wide;

/* --- operands and results ------------------------------------------------------------------------
 */

/* Records the first failure, with the node's name, and gives false. */
bool lt_eval_fail(Evaluation *ev, const Node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline const Tensor *eval_input(const Evaluation *ev, const Node *node, uint32_t i) {
    const Value *v = i < node->input_count ? node->inputs[i].value : NULL;
    return v ? ev->values[v->id] : NULL;
}
/* A new zeroed tensor of the output's type under the bound symbols, entered in ev->values. */
Tensor *lt_eval_output(Evaluation *ev, const Node *node, uint32_t output);
static inline int64_t eval_dim(const Evaluation *ev, const Dim *d) {
    return lt_dim_eval(d, ev->symbols);
}
/* A constant as a tensor: its own data, or a copy where a splat is spread out or the data is not
 * aligned. */
Tensor *lt_tensor_from_const(Arena *arena, const Const *c);
/* Array attributes. */
static inline const int64_t *eval_ints(const Node *node, AttrName name) {
    const Attr *attr = lt_attr(node, name);
    return attr ? attr->u.ints : NULL;
}
/* DIMS under the bound symbols, into out[0..count). */
void lt_eval_dims(const Evaluation *ev, const Node *node, AttrName name, int64_t *out);

/* --- elements ------------------------------------------------------------------------------------
 */

/* n elements from `index` on, `stride` elements apart (0: the same one again). */
typedef struct Row {
    int64_t index, stride, n;
} Row;
void lt_tensor_load_row(const Tensor *t, Row row, Wide *out);
void lt_tensor_store_row(Tensor *t, Row row, const Wide *from);
Wide *lt_tensor_widen(Arena *arena, const Tensor *t); /* the whole tensor */
void lt_tensor_narrow(Tensor *t, const Wide *from);
/* Row-major strides in elements. */
void lt_dense_strides(int rank, const int64_t *dims, int64_t *strides);
int64_t lt_count(int rank, const int64_t *dims);
/* Steps index through dims in row-major order; false after the last one. */
bool lt_next_index(int rank, const int64_t *dims, int64_t *index);
/* An axis of t, and how many elements lie before (outer) and behind it (inner). */
typedef struct AxisSplit {
    int64_t outer, extent, inner;
} AxisSplit;
AxisSplit lt_split_axis(const Tensor *t, int64_t axis);

/* --- strided copies ------------------------------------------------------------------------------
 */

/* Copies extent[0] x ... elements of `size` bytes; strides are in bytes and may be 0 or negative.
 */
typedef struct StridedCopy {
    int rank;
    size_t size;
    int64_t extent[LT_MAX_RANK + 1], to_stride[LT_MAX_RANK + 1], from_stride[LT_MAX_RANK + 1];
    char *to;
    const char *from;
} StridedCopy;
void lt_strided_copy(StridedCopy copy);
/* out[i...] = in[map[0][i0]...]: each axis of out reads the axis of in through a table of indices.
 */
void lt_mapped_copy(Tensor *out, const Tensor *in, int64_t *const *map);

/* --- scalar functions by the row (ir/scalar_eval.c) ----------------------------------------------
 */

/* Three arguments always; those that fn does not read repeat another one. */
void lt_scalar_row_float(ScalarFn fn, int64_t n, const double *const *args, double *out);
void lt_scalar_row_int(ScalarFn fn, int64_t n, const int64_t *const *args, int64_t *out,
                       bool is_unsigned);
/* fn(a, b) for a fold over elements of the dtype. */
Wide lt_fold(ScalarFn fn, DType dtype, Wide a, Wide b);
Wide lt_fold_identity(ScalarFn fn, DType dtype);
/* a[i] = fn(a[i], b[i]) */
void lt_fold_row(ScalarFn fn, DType dtype, int64_t n, Wide *a, const Wide *b);

/* Those guards of g and the graphs around it whose symbols all have values. */
bool lt_eval_guards(Evaluation *ev, const Graph *g);

#endif
