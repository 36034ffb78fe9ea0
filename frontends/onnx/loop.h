/* loop.h - loops that converters build themselves, for recurrences over time.
 *
 *     OnnxLoop l = {...};
 *     lt_onnx_loop_begin(im, &l);             builders now add to the body
 *     Value *x = lt_onnx_loop_capture(im, &l, outer);
 *     lt_onnx_loop_end(im, &l, carried, stacked);  and again to the graph outside */
#ifndef LATHE_FRONTENDS_ONNX_LOOP_H
#define LATHE_FRONTENDS_ONNX_LOOP_H

#include "frontends/onnx/scope.h"

enum { ONNX_LOOP_VALUES = 16 };

typedef struct OnnxLoop {
    const Dim *trips;
    bool reverse; /* the positions that lt_onnx_loop_step and the results have run down */
    Value *starts[ONNX_LOOP_VALUES]; /* what is carried */
    uint32_t carried, stacked;
    /* since begin: */
    Node *node;
    Value *position;               /* i64[]: of this iteration, 0 <= position < trips */
    Value *state[ONNX_LOOP_VALUES]; /* what is carried, in the body */
    OnnxScope scope;
    Builder outside;
} OnnxLoop;

bool lt_onnx_loop_begin(Import *im, OnnxLoop *l);
/* In the body: a value of outside; NULL stays NULL. */
Value *lt_onnx_loop_capture(Import *im, OnnxLoop *l, Value *outer);
/* In the body: what an outer value has at this position of axis 0. NULL stays NULL. */
Value *lt_onnx_loop_step(Import *im, OnnxLoop *l, Value *outer);
/* values: what is carried on, then what is stacked. After it, state[i] is the last of what was
 * carried, and values[carried + i] is [trips, ...] in the order of positions. */
bool lt_onnx_loop_end(Import *im, OnnxLoop *l, Value **values);

#endif
