/* sparse.c - SparseTensorProto to constants: written out in full, since what uses them is dense. */
#include <string.h>

#include "frontends/onnx/ops.h"
#include "runtime/base/checked.h"

enum { MOST_BYTES = INT32_MAX };

#define FAIL(status, ...) (lt_error(&im->module->diags, status, loc, __VA_ARGS__), false)

/* The number of elements of the dense form. */
static bool count_elements(Import *im, const OnnxTensor *t, const Loc *loc, int64_t *count) {
    bool fits = true, is_empty = false;
    *count = 1;
    if (t->dims.len > LT_MAX_RANK)
        return FAIL(LT_UNSUPPORTED, "sparse tensor '%s' has rank %zu; at most %d is supported",
                    t->name, t->dims.len, LT_MAX_RANK);
    for (size_t i = 0; i < t->dims.len; i++) {
        if (t->dims.data[i] < 0)
            return FAIL(LT_MALFORMED, "sparse tensor '%s' has a negative dim %lld", t->name,
                        (long long)t->dims.data[i]);
        is_empty |= t->dims.data[i] == 0;
        fits = fits && lt_mul_i64(*count, t->dims.data[i], count);
    }
    if (is_empty)
        *count = 0;
    if (is_empty || (fits && *count <= MOST_BYTES / 8))
        return true;
    return FAIL(LT_UNSUPPORTED, "sparse tensor '%s' is too large to be written out", t->name);
}

/* Where value `i` lies in the dense form; -1: outside. Indices are places [n], or one number for
 * each axis, [n, rank]. */
static int64_t place_of(const OnnxTensor *t, const Const *indices, int64_t i, int64_t count) {
    if (indices->type->rank == 1) {
        const int64_t place = lt_const_get_int(indices, i);
        return place < 0 || place >= count ? -1 : place;
    }
    int64_t place = 0;
    const int64_t rank = (int64_t)t->dims.len;
    for (int64_t axis = 0; axis < rank; axis++) {
        const int64_t at = lt_const_get_int(indices, i * rank + axis), dim = t->dims.data[axis];
        if (at < 0 || at >= dim)
            return -1;
        place = place * dim + at;
    }
    return place;
}

static bool check_parts(Import *im, const OnnxTensor *t, const Const *values, const Const *indices,
                        const Loc *loc) {
    if (!values || !indices)
        return false;
    const Type *v = values->type, *at = indices->type;
    const bool is_flat = at->rank == 1,
               is_wide = at->rank == 2 && lt_dim_is(at->dims[1], (int64_t)t->dims.len);
    if (at->dtype == DT_I64 && v->rank == 1 && (is_flat || is_wide) && at->dims[0] == v->dims[0])
        return true;
    return FAIL(LT_MALFORMED,
                "sparse tensor '%s' needs n values and n places, or n lists of %zu indices",
                t->name, t->dims.len);
}

const Const *lt_onnx_sparse_tensor(Import *im, const OnnxTensor *t, const Loc *loc) {
    int64_t count, filled;
    if (!count_elements(im, t, loc, &count))
        return NULL;
    const Const *values = lt_onnx_tensor(im, t->values, loc),
                *indices = values ? lt_onnx_tensor(im, t->indices, loc) : NULL;
    if (!check_parts(im, t, values, indices, loc))
        return NULL;
    const DType dtype = values->type->dtype;
    const size_t size = lt_dtype_size(dtype);
    uint8_t *data = lt_arena_alloc_aligned(im->arena, (size_t)count * size + 1, 64);
    memset(data, 0, (size_t)count * size + 1);
    lt_type_is_static(values->type, &filled);
    for (int64_t i = 0; i < filled; i++) {
        const int64_t place = place_of(t, indices, i, count);
        if (place < 0) {
            lt_error(&im->module->diags, LT_MALFORMED, loc,
                     "value %lld of sparse tensor '%s' lies outside of its dims", (long long)i,
                     t->name);
            return NULL;
        }
        const size_t from = values->is_splat ? 0 : (size_t)i;
        memcpy(data + (size_t)place * size, (const uint8_t *)values->data + from * size, size);
    }
    return lt_const(im->module, lt_type_static(im->module, dtype, (int)t->dims.len, t->dims.data),
                    data);
}
