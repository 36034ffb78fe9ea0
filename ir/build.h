/* build.h - building graphs by hand: one function an op, types inferred. Used by the readers and
 * the passes. Each returns the (first) output, or NULL when inference failed, with the reason in
 * the module's diagnostics; a NULL operand gives NULL, so that a chain of calls needs one check at
 * its end. */
#ifndef LATHE_IR_BUILD_H
#define LATHE_IR_BUILD_H

#include "ir/graph.h"

typedef struct Builder {
    Graph *graph;
    Node *before;   /* new nodes go before this one; NULL: at the end */
    const Loc *loc; /* of new nodes */
} Builder;

Value *lt_build(Builder *b, const NodeSpec *spec); /* general form; fills in the location */
Value *lt_build_const(Builder *b, const Const *c);
Value *lt_build_float(Builder *b, DType dtype, double value); /* rank 0 */
Value *lt_build_int(Builder *b, DType dtype, int64_t value);  /* rank 0 */
Value *lt_build_ints(Builder *b, int64_t count, const int64_t *values);
Value *lt_build_dims(Builder *b, int64_t count, const Dim *const *dims); /* i64[count] */
Value *lt_build_iota(Builder *b, DType dtype, int rank, const Dim *const *shape, int axis);
Value *lt_build_map1(Builder *b, ScalarFn fn, Value *x);
Value *lt_build_map2(Builder *b, ScalarFn fn, Value *x, Value *y);
Value *lt_build_map3(Builder *b, ScalarFn fn, Value *x, Value *y, Value *z);
Value *lt_build_convert(Builder *b, Value *x, DType dtype);
Value *lt_build_bitcast(Builder *b, Value *x, DType dtype);
Value *lt_build_reshape(Builder *b, Value *x, int rank, const Dim *const *shape);
Value *lt_build_broadcast(Builder *b, Value *x, int rank, const Dim *const *shape);
Value *lt_build_transpose(Builder *b, Value *x, const int64_t *perm);
/* start, size: rank dims; step NULL: all 1. */
Value *lt_build_slice(Builder *b, Value *x, const Dim *const *start, const Dim *const *size,
                      const int64_t *step);
/* mode NULL: constant; fill NULL: 0. */
Value *lt_build_pad(Builder *b, Value *x, const Dim *const *lo, const Dim *const *hi,
                    const char *mode, const Const *fill);
Value *lt_build_concat(Builder *b, Value *const *values, uint32_t count, int axis);
Value *lt_build_gather(Builder *b, Value *data, Value *indices, int axis);
Value *lt_build_reduce(Builder *b, ScalarFn fn, Value *x, const int64_t *axes, int count,
                       bool keep);
typedef struct PackShape {
    int axis, leading; /* the axis that is split; where the block index goes */
    int64_t width;     /* elements of a block */
} PackShape;
Value *lt_build_pack(Builder *b, Value *x, const PackShape *shape);
Value *lt_build_contract(Builder *b, Value *x, Value *y, const char *spec);
/* The same product with another spec and other operands: fn and dtype are those of `like`. */
Value *lt_build_contract_like(Builder *b, const Node *like, Value *const *operands,
                              const char *spec);
/* Removes / inserts axes of extent 1 through a reshape. */
Value *lt_build_unsqueeze(Builder *b, Value *x, const int64_t *axes, int count);
Value *lt_build_squeeze(Builder *b, Value *x, const int64_t *axes, int count);

/* Attribute literals for NodeSpec: (Attr[]){lt_int(ATTR_AXIS, 1), ...} */
static inline Attr lt_int(AttrName name, int64_t i) { return (Attr){.name = name, .u.i = i}; }
static inline Attr lt_float(AttrName name, double f) { return (Attr){.name = name, .u.f = f}; }
static inline Attr lt_string(AttrName name, const char *s) {
    return (Attr){.name = name, .u.s = s};
}
static inline Attr lt_ints(AttrName name, const int64_t *v, uint32_t n) {
    return (Attr){.name = name, .count = n, .u.ints = v};
}
static inline Attr lt_dims(AttrName name, const Dim *const *v, uint32_t n) {
    return (Attr){.name = name, .count = n, .u.dims = v};
}
static inline Attr lt_constant(AttrName name, const Const *c) {
    return (Attr){.name = name, .u.c = c};
}

#endif
