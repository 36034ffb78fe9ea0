/* eval_tensor.c - concrete tensors: their elements as wide values, and odometers over their
 * indices. */
#include <math.h>
#include <string.h>

#include "ir/eval_ops.h"
#include "runtime/base/half.h"
#include "runtime/base/narrow.h"

int64_t lt_count(int rank, const int64_t *dims) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    return count;
}

int64_t lt_tensor_elements(const Tensor *t) { return lt_count(t->rank, t->dims); }

size_t lt_tensor_bytes(const Tensor *t) {
    return (size_t)lt_tensor_elements(t) * lt_dtype_size(t->dtype);
}

Tensor *lt_tensor_new(Arena *arena, DType dtype, int rank, const int64_t *dims) {
    Tensor *t = LT_NEW(arena, Tensor);
    size_t bytes = lt_dtype_size(dtype);
    t->dtype = dtype;
    t->rank = rank;
    for (int i = 0; i < rank; i++) {
        t->dims[i] = dims[i];
        /* An overflow asks the arena for too much, which it reports as out of memory. */
        if (__builtin_mul_overflow(bytes, (size_t)dims[i], &bytes))
            bytes = SIZE_MAX / 2;
    }
    t->data = lt_arena_alloc_aligned(arena, bytes, 64);
    return t;
}

/* --- conversions ---------------------------------------------------------------------------------
 */

/* Rounded to odd: a further rounding to 16 bits or fewer gives what one rounding of the double
 * would.
 */
static float round_to_odd(double value) {
    float f = (float)value;
    if ((double)f == value || isnan(value) || isinf(value))
        return f;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (fabs((double)f) > fabs(value))
        bits--;
    bits |= 1;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Truncated and saturated, NaN gives 0. The greatest value is compared as a power of two, which is
 * exact. */
static int64_t float_to_int(double value, DType dtype) {
    const int bits = lt_dtype_bits(dtype) - lt_dtype_is_signed(dtype);
    const double limit = ldexp(1.0, bits);
    if (isnan(value))
        return 0;
    if (dtype == DT_BOOL)
        return value != 0;
    if (value >= limit)
        return lt_scalar_identity_int(FN_MIN, dtype);
    if (value <= (lt_dtype_is_signed(dtype) ? -limit : 0))
        return lt_scalar_identity_int(FN_MAX, dtype);
    return dtype == DT_U64 ? (int64_t)(uint64_t)value : (int64_t)value;
}

/* The value of an integer's low bits. */
static int64_t wrap(DType dtype, int64_t value) {
    const int shift = 64 - lt_dtype_bits(dtype);
    const uint64_t high = (uint64_t)value << shift;
    return lt_dtype_is_signed(dtype) ? (int64_t)high >> shift : (int64_t)(high >> shift);
}

/* A loop over a row; data may be unaligned, hence memcpy, which compilers turn into plain moves. */
#define LOAD_ROW(T, field, ...) \
    for (int64_t i = 0; i < row.n; i++) { \
        T v; \
        memcpy(&v, from + i * step, sizeof v); \
        out[i].field = (__VA_ARGS__); \
    } \
    break

void lt_tensor_load_row(const Tensor *t, Row row, Wide *out) {
    const int64_t size = (int64_t)lt_dtype_size(t->dtype), step = row.stride * size;
    const char *from = (const char *)t->data + row.index * size;
    switch (t->dtype) {
    case DT_F32: LOAD_ROW(float, f, v);
    case DT_F64: LOAD_ROW(double, f, v);
    case DT_F16: LOAD_ROW(uint16_t, f, lt_f16_to_f32(v));
    case DT_BF16: LOAD_ROW(uint16_t, f, lt_bf16_to_f32(v));
    case DT_F8E4M3FN:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2:
    case DT_F8E5M2FNUZ:
    case DT_F8E8M0:
    case DT_F4E2M1: LOAD_ROW(uint8_t, f, (double)lt_minifloat_to_f32(t->dtype, v));
    case DT_I4:
    case DT_U4:
    case DT_I2:
    case DT_U2: LOAD_ROW(uint8_t, i, wrap(t->dtype, v));
    case DT_I8: LOAD_ROW(int8_t, i, v);
    case DT_I16: LOAD_ROW(int16_t, i, v);
    case DT_I32: LOAD_ROW(int32_t, i, v);
    case DT_I64: LOAD_ROW(int64_t, i, v);
    case DT_U8: LOAD_ROW(uint8_t, i, v);
    case DT_U16: LOAD_ROW(uint16_t, i, v);
    case DT_U32: LOAD_ROW(uint32_t, i, v);
    case DT_U64: LOAD_ROW(uint64_t, i, (int64_t)v);
    case DT_BOOL: LOAD_ROW(uint8_t, i, v != 0);
    case LT_DTYPE_LIMIT: break;
    }
}

#define STORE_ROW(T, ...) \
    for (int64_t i = 0; i < row.n; i++) { \
        const Wide w = from[i]; \
        const T v = (T)(__VA_ARGS__); \
        memcpy(to + i * step, &v, sizeof v); \
    } \
    break

void lt_tensor_store_row(Tensor *t, Row row, const Wide *from) {
    const int64_t size = (int64_t)lt_dtype_size(t->dtype), step = row.stride * size;
    char *to = (char *)t->data + row.index * size;
    switch (t->dtype) {
    case DT_F32: STORE_ROW(float, w.f);
    case DT_F64: STORE_ROW(double, w.f);
    case DT_F16: STORE_ROW(uint16_t, lt_f32_to_f16(round_to_odd(w.f)));
    case DT_BF16: STORE_ROW(uint16_t, lt_f32_to_bf16(round_to_odd(w.f)));
    case DT_F8E4M3FN:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2:
    case DT_F8E5M2FNUZ:
    case DT_F8E8M0:
    case DT_F4E2M1: STORE_ROW(uint8_t, lt_f32_to_minifloat(t->dtype, round_to_odd(w.f)));
    case DT_I4:
    case DT_U4:
    case DT_I2:
    case DT_U2: STORE_ROW(uint8_t, wrap(t->dtype, w.i));
    case DT_I8:
    case DT_U8: STORE_ROW(uint8_t, w.i);
    case DT_I16:
    case DT_U16: STORE_ROW(uint16_t, w.i);
    case DT_I32:
    case DT_U32: STORE_ROW(uint32_t, w.i);
    case DT_I64:
    case DT_U64: STORE_ROW(uint64_t, w.i);
    case DT_BOOL: STORE_ROW(uint8_t, w.i != 0);
    case LT_DTYPE_LIMIT: break;
    }
}

Wide *lt_tensor_widen(Arena *arena, const Tensor *t) {
    const int64_t n = lt_tensor_elements(t);
    Wide *wide = LT_ARRAY(arena, Wide, n);
    lt_tensor_load_row(t, (Row){0, 1, n}, wide);
    return wide;
}

void lt_tensor_narrow(Tensor *t, const Wide *from) {
    lt_tensor_store_row(t, (Row){0, 1, lt_tensor_elements(t)}, from);
}

double lt_tensor_get_float(const Tensor *t, int64_t index) {
    Wide w;
    lt_tensor_load_row(t, (Row){index, 1, 1}, &w);
    if (lt_dtype_is_float(t->dtype))
        return w.f;
    return t->dtype == DT_U64 ? (double)(uint64_t)w.i : (double)w.i;
}

int64_t lt_tensor_get_int(const Tensor *t, int64_t index) {
    Wide w;
    lt_tensor_load_row(t, (Row){index, 1, 1}, &w);
    return lt_dtype_is_float(t->dtype) ? float_to_int(w.f, DT_I64) : w.i;
}

void lt_tensor_set_float(Tensor *t, int64_t index, double value) {
    Wide w = {.f = value};
    if (!lt_dtype_is_float(t->dtype))
        w.i = float_to_int(value, t->dtype);
    lt_tensor_store_row(t, (Row){index, 1, 1}, &w);
}

void lt_tensor_set_int(Tensor *t, int64_t index, int64_t value) {
    Wide w = {.i = value};
    if (lt_dtype_is_float(t->dtype))
        w.f = (double)value;
    lt_tensor_store_row(t, (Row){index, 1, 1}, &w);
}

Tensor *lt_tensor_from_const(Arena *arena, const Const *c) {
    int64_t dims[LT_MAX_RANK] = {0};
    for (int i = 0; i < c->type->rank; i++)
        dims[i] = c->type->dims[i]->value;
    if (c->is_splat) {
        Tensor *t = lt_tensor_new(arena, c->type->dtype, c->type->rank, dims);
        const size_t size = lt_dtype_size(t->dtype), bytes = lt_tensor_bytes(t);
        for (size_t at = 0; at < bytes; at += size)
            memcpy((char *)t->data + at, c->data, size);
        return t;
    }
    if ((uintptr_t)c->data % lt_dtype_size(c->type->dtype) != 0) {
        Tensor *t = lt_tensor_new(arena, c->type->dtype, c->type->rank, dims);
        memcpy(t->data, c->data, c->bytes);
        return t;
    }
    Tensor *t = LT_NEW(arena, Tensor);
    *t = (Tensor){
        .dtype = c->type->dtype, .rank = c->type->rank, .data = (void *)(uintptr_t)c->data};
    memcpy(t->dims, dims, sizeof dims);
    return t;
}

/* --- indices -------------------------------------------------------------------------------------
 */

void lt_dense_strides(int rank, const int64_t *dims, int64_t *strides) {
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i];
    }
}

bool lt_next_index(int rank, const int64_t *dims, int64_t *index) {
    for (int i = rank - 1; i >= 0; i--) {
        if (++index[i] < dims[i])
            return true;
        index[i] = 0;
    }
    return false;
}

AxisSplit lt_split_axis(const Tensor *t, int64_t axis) {
    return (AxisSplit){.outer = lt_count((int)axis, t->dims),
                       .extent = t->dims[axis],
                       .inner = lt_count(t->rank - (int)axis - 1, t->dims + axis + 1)};
}

/* --- folds ---------------------------------------------------------------------------------------
 */

Wide lt_fold_identity(ScalarFn fn, DType dtype) {
    if (lt_dtype_is_float(dtype))
        return (Wide){.f = lt_scalar_identity_float(fn)};
    return (Wide){.i = lt_scalar_identity_int(fn, dtype)};
}

Wide lt_fold(ScalarFn fn, DType dtype, Wide a, Wide b) {
    if (lt_dtype_is_float(dtype))
        return (Wide){.f = lt_scalar_eval_float(fn, a.f, b.f, 0)};
    return (Wide){.i = lt_scalar_eval_int(fn, a.i, b.i, 0, dtype == DT_U64)};
}

void lt_fold_row(ScalarFn fn, DType dtype, int64_t n, Wide *a, const Wide *b) {
    if (lt_dtype_is_float(dtype))
        lt_scalar_row_float(fn, n, (const double *[]){&a->f, &b->f, &a->f}, &a->f);
    else
        lt_scalar_row_int(fn, n, (const int64_t *[]){&a->i, &b->i, &a->i}, &a->i, dtype == DT_U64);
}
