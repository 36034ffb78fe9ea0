/* eval.h - the evaluator: the meaning of the ops.
 *
 * Plain loops, one function per op, wide accumulators, no cleverness, no code shared with lowering.
 * It folds constants, and it is what compiled code is compared with. */
#ifndef LATHE_IR_EVAL_H
#define LATHE_IR_EVAL_H

#include "ir/graph.h"

/* A concrete tensor: row-major, dense. */
typedef struct Tensor {
    DType dtype;
    int32_t rank;
    int64_t dims[LT_MAX_RANK];
    void *data;
} Tensor;

int64_t lt_tensor_elements(const Tensor *t);
size_t lt_tensor_bytes(const Tensor *t);
Tensor *lt_tensor_new(Arena *arena, DType dtype, int rank, const int64_t *dims); /* zeroed */
double lt_tensor_get_float(const Tensor *t, int64_t index);
int64_t lt_tensor_get_int(const Tensor *t, int64_t index);
void lt_tensor_set_float(Tensor *t, int64_t index, double value); /* rounds to the dtype */
void lt_tensor_set_int(Tensor *t, int64_t index, int64_t value);  /* wraps to the dtype */

typedef struct Evaluation {
    Arena *arena; /* results live here */
    Module *module;
    int64_t *symbols;      /* value of each symbol, bound from the inputs' shapes */
    const Tensor **values; /* by value id; NULL: not computed */
    const char *error;     /* first failure at run time: index out of range, ... */
    Arena *scratch;        /* of the node being evaluated: gone when it is done */
} Evaluation;

/* Runs the main graph. Inputs in the graph's order; outputs receives pointers into ev->arena.
 * False: ev->error. */
bool lt_eval_module(Evaluation *ev, Arena *arena, Module *m, const Tensor *const *inputs,
                    const Tensor **outputs);
/* Its first step alone: takes the inputs and binds the symbols; the nodes are the caller's. */
bool lt_eval_begin(Evaluation *ev, Arena *arena, Module *m, const Tensor *const *inputs);
/* One node, whose inputs are in ev->values. */
bool lt_eval_node(Evaluation *ev, const Node *node);
/* Evaluates a node whose operands are all constants, static shapes; one Const per output in out.
 * False: cannot. */
bool lt_eval_const_node(Module *m, const Node *node, const Const **out);

#endif
