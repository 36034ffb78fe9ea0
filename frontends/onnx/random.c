/* random.c - random numbers as tensors: element i is a hash of a key and i.
 *
 * The hash is the output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
 * number generators, 2014), of key + (i + 1) * golden: the i-th number of that generator's stream,
 * without the ones before it. */
#include "frontends/onnx/random.h"

#include <math.h>
#include <string.h>

#include "frontends/onnx/scope.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static Value *number(Import *im, uint64_t value) {
    return lt_build_int(&im->b, DT_U64, (int64_t)value);
}

/* --- bits ------------------------------------------------------------------------------------- */

static Value *fold_down(Import *im, Value *z, uint64_t shift) {
    return onnx_map2(im, FN_BITXOR, z, onnx_map2(im, FN_SHR, z, number(im, shift)));
}

static Value *mix(Import *im, Value *z) {
    z = onnx_map2(im, FN_MUL, fold_down(im, z, 30), number(im, UINT64_C(0xbf58476d1ce4e5b9)));
    z = onnx_map2(im, FN_MUL, fold_down(im, z, 27), number(im, UINT64_C(0x94d049bb133111eb)));
    return fold_down(im, z, 31);
}

/* A value of `from`, which is around the scope at hand, as one of that. */
static Value *seen_from(Import *im, OnnxScope *scope, const OnnxScope *from, Value *v) {
    if (scope == from || !v)
        return v;
    v = seen_from(im, scope->outer, from, v);
    return v && scope->region ? lt_onnx_capture(im, scope, v) : v;
}

static uint64_t seed_of(Import *im) {
    const OnnxAttribute *a = NULL;
    const char *name = im->node->outputs.len ? im->node->outputs.data[0] : "";
    if (!lt_onnx_has(im, "seed"))
        return lt_hash_bytes(name, strlen(name), 0);
    if (strcmp(im->node->op, "Dropout") == 0)
        return lt_hash_u64((uint64_t)lt_onnx_int(im, "seed", 0) + 1);
    a = lt_onnx_attribute(im, "seed", ONNX_ATTR_FLOAT);
    const double seed = a ? (double)a->f : 0;
    uint64_t bits;
    memcpy(&bits, &seed, sizeof bits);
    return lt_hash_u64(bits + 1);
}

/* u64[]: another one in every iteration of the loops around. */
static Value *key_of(Import *im) {
    Value *key = number(im, seed_of(im));
    for (OnnxScope *s = im->scope; s; s = s->outer) {
        if (!s->region || !s->region->parent || s->region->parent->op != OP_LOOP)
            continue;
        Value *iteration = seen_from(im, im->scope, s, s->region->inputs.data[0]);
        key = mix(im, onnx_map2(im, FN_ADD, key, lt_build_convert(&im->b, iteration, DT_U64)));
    }
    return key;
}

/* u64[count * elements] */
static Value *draw(Import *im, const Dim *elements) {
    Value *i = lt_build_convert(&im->b, lt_build_iota(&im->b, DT_I64, 1, &elements, 0), DT_U64);
    i = onnx_map2(im, FN_MUL, i, number(im, GOLDEN));
    Value *start = onnx_map2(im, FN_ADD, key_of(im), number(im, GOLDEN));
    return mix(im, onnx_map2(im, FN_ADD, i, start));
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* The highest bits of z, as an integer that the float holds exactly, times a power of two. */
static Value *to_unit(Import *im, Value *z, DType dtype) {
    const int bits = dtype == DT_F64 ? 53 : 24;
    z = onnx_map2(im, FN_SHR, z, number(im, 64 - (uint64_t)bits));
    z = lt_build_convert(&im->b, z, dtype == DT_F64 ? DT_I64 : DT_I32);
    return lt_onnx_map_scalar(im, FN_MUL, lt_build_convert(&im->b, z, dtype), ldexp(1, -bits));
}

Value *lt_onnx_uniform(Import *im, DType dtype, int rank, const Dim *const *shape) {
    Value *z = draw(im, lt_dim_product(im->dims, shape, rank));
    return lt_build_reshape(&im->b, to_unit(im, z, dtype), rank, shape);
}

/* Box and Muller's transform of two numbers, the first of which is not 0. */
Value *lt_onnx_normal(Import *im, DType dtype, int rank, const Dim *const *shape) {
    const Dim *elements = lt_dim_product(im->dims, shape, rank);
    Value *z = draw(im, lt_dim_mul_const(im->dims, elements, 2));
    Value *first = lt_onnx_slice_axis(im, z, 0, lt_dim_const(im->dims, 0), elements);
    Value *second = lt_onnx_slice_axis(im, z, 0, elements, elements);
    const double step = dtype == DT_F64 ? 0x1p-53 : 0x1p-24;
    Value *radius = lt_onnx_map_scalar(im, FN_ADD, to_unit(im, first, dtype), step);
    radius = lt_onnx_map_scalar(im, FN_MUL, lt_build_map1(&im->b, FN_LOG, radius), -2);
    radius = lt_build_map1(&im->b, FN_SQRT, radius);
    Value *angle = lt_onnx_map_scalar(im, FN_MUL, to_unit(im, second, dtype), 2 * M_PI);
    Value *y = onnx_map2(im, FN_MUL, radius, lt_build_map1(&im->b, FN_COS, angle));
    return lt_build_reshape(&im->b, y, rank, shape);
}
