/* topk.c - the k largest or smallest along an axis.
 *
 * Every dtype is mapped to 64-bit keys whose order is the order wanted, so one selection serves
 * all. The indices output is the only working memory: it holds a heap whose root is the worst of
 * the best k so far, then that heap is sorted in place. Keys are made unique by the index, which
 * makes the result stable. */
#include <stdbool.h>
#include <string.h>

#include "lathe/runtime.h"
#include "runtime/base/half.h"
#include "runtime/base/narrow.h"
#include "runtime/kernels/library.h"

typedef uint64_t KeyFn(const void *data, int64_t index);

/* One row: elements data[origin + i * stride], picks heap[i * stride]. */
typedef struct Row {
    const void *data;
    KeyFn *key;
    int64_t origin, stride;
    int64_t *heap;
    bool largest;
} Row;

#define NAN_KEY UINT64_MAX
#define SIGN (UINT64_C(1) << 63)

/* Negative doubles in reverse order below the positive ones: the order of IEEE 754 totalOrder
 * without its distinction of zeros and NaNs. Floats and halves widen to double without changing
 * order. */
static uint64_t double_key(double value) {
    uint64_t bits;
    if (value != value)
        return NAN_KEY;
    value += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &value, sizeof bits);
    return bits & SIGN ? ~bits : bits | SIGN;
}

#define FLOAT_KEY(name, Type, convert) \
    static uint64_t name(const void *data, int64_t index) { \
        return double_key((double)convert(((const Type *)data)[index])); \
    }
#define SIGNED_KEY(name, Type) \
    static uint64_t name(const void *data, int64_t index) { \
        return (uint64_t)(int64_t)((const Type *)data)[index] ^ SIGN; \
    }
#define UNSIGNED_KEY(name, Type) \
    static uint64_t name(const void *data, int64_t index) { return ((const Type *)data)[index]; }

FLOAT_KEY(key_F32, float, )
FLOAT_KEY(key_F64, double, )
FLOAT_KEY(key_F16, uint16_t, lt_f16_to_f32)
FLOAT_KEY(key_BF16, uint16_t, lt_bf16_to_f32)
SIGNED_KEY(key_I8, int8_t)
SIGNED_KEY(key_I16, int16_t)
SIGNED_KEY(key_I32, int32_t)
SIGNED_KEY(key_I64, int64_t)
UNSIGNED_KEY(key_U8, uint8_t)
UNSIGNED_KEY(key_U16, uint16_t)
UNSIGNED_KEY(key_U32, uint32_t)
UNSIGNED_KEY(key_U64, uint64_t)
UNSIGNED_KEY(key_BOOL, uint8_t)

#define MINIFLOAT_KEY(e) \
    static uint64_t key_##e(const void *data, int64_t index) { \
        const float value = lt_minifloat_to_f32(LATHE_##e, ((const uint8_t *)data)[index]); \
        return double_key((double)value); \
    }
MINIFLOAT_KEY(F8E4M3FN)
MINIFLOAT_KEY(F8E4M3FNUZ)
MINIFLOAT_KEY(F8E5M2)
MINIFLOAT_KEY(F8E5M2FNUZ)
MINIFLOAT_KEY(F8E8M0)
MINIFLOAT_KEY(F4E2M1)

/* A few low bits of a byte; the order of signed ones is that of unsigned ones, the sign turned. */
#define LOW_BITS_KEY(name, bits, sign) \
    static uint64_t name(const void *data, int64_t index) { \
        return (((const uint8_t *)data)[index] & ((1u << (bits)) - 1)) ^ (sign); \
    }
LOW_BITS_KEY(key_I4, 4, 8u)
LOW_BITS_KEY(key_U4, 4, 0u)
LOW_BITS_KEY(key_I2, 2, 2u)
LOW_BITS_KEY(key_U2, 2, 0u)

static KeyFn *const keys[] = {
#define DTYPE(e, name, bits, kind, dlpack) key_##e,
#include "lathe/dtypes.def"
#undef DTYPE
};

/* Whether element a comes before element b in the result. */
static bool before(const Row *row, int64_t a, int64_t b) {
    uint64_t x = row->key(row->data, row->origin + a * row->stride);
    uint64_t y = row->key(row->data, row->origin + b * row->stride);
    if (x == y)
        return a < b;
    return row->largest ? x > y : x < y;
}

/* Puts `element` at place `at` of the heap [0, size) and restores it: no child comes behind its
 * parent. */
static void sift_down(const Row *row, int64_t at, int64_t size, int64_t element) {
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= size)
            break;
        int64_t first = row->heap[child * row->stride];
        if (child + 1 < size && before(row, first, row->heap[(child + 1) * row->stride]))
            first = row->heap[++child * row->stride];
        if (!before(row, element, first))
            break;
        row->heap[at * row->stride] = first;
        at = child;
    }
    row->heap[at * row->stride] = element;
}

static void select_row(const Row *row, int64_t length, int64_t k) {
    for (int64_t i = 0; i < k; i++)
        row->heap[i * row->stride] = i;
    for (int64_t i = k / 2; i-- > 0;)
        sift_down(row, i, k, row->heap[i * row->stride]);
    for (int64_t i = k; i < length && k > 0; i++)
        if (before(row, i, row->heap[0]))
            sift_down(row, 0, k, i);
    for (int64_t size = k; size-- > 1;) {
        int64_t worst = row->heap[0], moved = row->heap[size * row->stride];
        row->heap[size * row->stride] = worst;
        sift_down(row, 0, size, moved);
    }
}

int32_t lt_kernel_topk(void *const *buffers, const int64_t *ints) {
    int64_t outer = ints[0], length = ints[1], inner = ints[2], k = ints[3], dtype = ints[6];
    if (k < 0 || k > length || outer < 0 || inner < 0)
        return LATHE_BAD_SHAPE;
    if (dtype < 0 || dtype >= LATHE_DTYPE_LIMIT)
        return LATHE_UNSUPPORTED;
    size_t width = lathe_dtype_size((lathe_dtype)dtype);
    const uint8_t *input = buffers[0];
    uint8_t *values = buffers[1];
    int64_t *indices = buffers[2];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t picked = o * k * inner + i;
            Row row = {input, keys[dtype],      o * length * inner + i,
                       inner, indices + picked, ints[4] != 0};
            select_row(&row, length, k);
            for (int64_t j = 0; j < k; j++) {
                int64_t from = row.origin + indices[picked + j * inner] * inner;
                memcpy(values + (size_t)(picked + j * inner) * width, input + (size_t)from * width,
                       width);
            }
        }
    return LATHE_OK;
}
