/* tensor.c - sizes, strides, DLPack. */
#include "runtime/tensor.h"

#include <string.h>

#include "runtime/base/checked.h"

bool lt_dense_bytes(lathe_dtype dtype, int32_t rank, const int64_t *dims, size_t *out) {
    int64_t bytes = (int64_t)lathe_dtype_size(dtype);
    bool empty = false;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return false;
        empty |= dims[i] == 0;
    }
    for (int32_t i = 0; i < rank && !empty; i++)
        if (!lt_mul_i64(bytes, dims[i], &bytes))
            return false;
    *out = empty ? 0 : (size_t)bytes;
    return true;
}

bool lt_tensor_is_dense(const lathe_tensor *tensor) {
    int64_t expected = 1;
    if (!tensor->strides)
        return true;
    for (int32_t i = tensor->rank; i-- > 0;) {
        if (tensor->dims[i] == 0)
            return true;
        if (tensor->dims[i] > 1 && tensor->strides[i] != expected)
            return false;
        expected *= tensor->dims[i];
    }
    return true;
}

/* Copies axes axis.. at `from`, returns where the next element of `to` belongs. */
static uint8_t *pack_axis(const lathe_tensor *tensor, int32_t axis, const uint8_t *from,
                          uint8_t *to) {
    size_t width = lathe_dtype_size(tensor->dtype);
    if (axis == tensor->rank) {
        memcpy(to, from, width);
        return to + width;
    }
    int64_t step = tensor->strides[axis] * (int64_t)width;
    for (int64_t i = 0; i < tensor->dims[axis]; i++)
        to = pack_axis(tensor, axis + 1, from + i * step, to);
    return to;
}

void lt_tensor_pack(const lathe_tensor *tensor, void *to) {
    size_t bytes;
    if (!lt_dense_bytes(tensor->dtype, tensor->rank, tensor->dims, &bytes) || bytes == 0)
        return;
    if (lt_tensor_is_dense(tensor))
        memcpy(to, tensor->data, bytes);
    else
        pack_axis(tensor, 0, tensor->data, to);
}

/* --- DLPack --- */

static const struct {
    uint8_t code, bits;
} dlpack_types[] = {
#define DTYPE(e, name, bits, kind, dlpack) {dlpack, bits < 8 ? 8 : bits},
#include "lathe/dtypes.def"
#undef DTYPE
};

lathe_status lathe_tensor_from_dlpack(const lathe_dl_tensor *source, lathe_tensor *out) {
    ErrorText *error = lt_thread_error();
    if (!source || !out || source->ndim < 0 || source->ndim > LATHE_MAX_RANK)
        return lt_fail(error, LATHE_BAD_ARGUMENT, "a DLTensor must have a rank of 0..%d, found %d",
                       LATHE_MAX_RANK, source ? source->ndim : -1);
    for (int i = 0; i < LATHE_DTYPE_LIMIT; i++) {
        bool same = dlpack_types[i].code == source->dtype.code &&
                    dlpack_types[i].bits == source->dtype.bits && source->dtype.lanes == 1;
        if (!same)
            continue;
        *out = (lathe_tensor){.data = source->data ? (uint8_t *)source->data + source->byte_offset
                                                   : NULL,
                              .dtype = (lathe_dtype)i,
                              .rank = source->ndim,
                              .dims = source->shape,
                              .strides = source->strides,
                              .device = source->device};
        return LATHE_OK;
    }
    return lt_fail(error, LATHE_UNSUPPORTED, "DLPack type code %d with %d bits and %d lanes",
                   source->dtype.code, source->dtype.bits, source->dtype.lanes);
}

lathe_status lathe_tensor_to_dlpack(const lathe_tensor *source, lathe_dl_tensor *out) {
    if (!source || !out || (unsigned)source->dtype >= LATHE_DTYPE_LIMIT)
        return lt_fail(lt_thread_error(), LATHE_BAD_ARGUMENT,
                       "source, its dtype or out is not valid");
    *out = (lathe_dl_tensor){.data = source->data,
                             .device = source->device,
                             .ndim = source->rank,
                             .shape = (int64_t *)(uintptr_t)source->dims,
                             .strides = (int64_t *)(uintptr_t)source->strides};
    out->dtype.code = dlpack_types[source->dtype].code;
    out->dtype.bits = dlpack_types[source->dtype].bits;
    out->dtype.lanes = 1;
    return LATHE_OK;
}
