/* kernel_scalar.h - an element of memory as a scalar of the kernel interpreter. Inside
 * ir/kernel_eval.c only. */
#ifndef LATHE_IR_KERNEL_SCALAR_H
#define LATHE_IR_KERNEL_SCALAR_H

#include <assert.h>

#include "ir/type.h"
#include "runtime/base/half.h"
#include "runtime/base/narrow.h"

typedef union Scalar {
    double f;
    int64_t i;
} Scalar;

static inline Scalar load_scalar(DType dtype, const void *data, int64_t at) {
    switch (dtype) {
    case DT_F32: return (Scalar){.f = (double)((const float *)data)[at]};
    case DT_F64: return (Scalar){.f = ((const double *)data)[at]};
    case DT_F16: return (Scalar){.f = (double)lt_f16_to_f32(((const uint16_t *)data)[at])};
    case DT_BF16: return (Scalar){.f = (double)lt_bf16_to_f32(((const uint16_t *)data)[at])};
    case DT_F8E4M3FN:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2:
    case DT_F8E5M2FNUZ:
    case DT_F8E8M0:
    case DT_F4E2M1:
        return (Scalar){.f = (double)lt_minifloat_to_f32(dtype, ((const uint8_t *)data)[at])};
    case DT_I4:
    case DT_U4:
    case DT_I2:
    case DT_U2: return (Scalar){.i = lt_dtype_wrap(dtype, ((const uint8_t *)data)[at])};
    case DT_I8: return (Scalar){.i = ((const int8_t *)data)[at]};
    case DT_I16: return (Scalar){.i = ((const int16_t *)data)[at]};
    case DT_I32: return (Scalar){.i = ((const int32_t *)data)[at]};
    case DT_U8: return (Scalar){.i = ((const uint8_t *)data)[at]};
    case DT_U16: return (Scalar){.i = ((const uint16_t *)data)[at]};
    case DT_U32: return (Scalar){.i = ((const uint32_t *)data)[at]};
    case DT_BOOL: return (Scalar){.i = ((const uint8_t *)data)[at] != 0};
    case DT_I64:
    case DT_U64: return (Scalar){.i = ((const int64_t *)data)[at]};
    case LT_DTYPE_LIMIT: break;
    }
    assert(!"a dtype");
    return (Scalar){.i = 0};
}

static inline void store_scalar(DType dtype, void *data, int64_t at, Scalar value) {
    switch (dtype) {
    case DT_F32: ((float *)data)[at] = (float)value.f; return;
    case DT_F64: ((double *)data)[at] = value.f; return;
    case DT_F16: ((uint16_t *)data)[at] = lt_f32_to_f16((float)value.f); return;
    case DT_BF16: ((uint16_t *)data)[at] = lt_f32_to_bf16((float)value.f); return;
    case DT_F8E4M3FN:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2:
    case DT_F8E5M2FNUZ:
    case DT_F8E8M0:
    case DT_F4E2M1: ((uint8_t *)data)[at] = lt_f32_to_minifloat(dtype, (float)value.f); return;
    case DT_I4:
    case DT_U4:
    case DT_I2:
    case DT_U2: ((uint8_t *)data)[at] = (uint8_t)lt_dtype_wrap(dtype, value.i); return;
    case DT_I8:
    case DT_U8: ((uint8_t *)data)[at] = (uint8_t)value.i; return;
    case DT_I16:
    case DT_U16: ((uint16_t *)data)[at] = (uint16_t)value.i; return;
    case DT_I32:
    case DT_U32: ((uint32_t *)data)[at] = (uint32_t)value.i; return;
    case DT_I64:
    case DT_U64: ((int64_t *)data)[at] = value.i; return;
    case DT_BOOL: ((uint8_t *)data)[at] = value.i != 0; return;
    case LT_DTYPE_LIMIT: break;
    }
    assert(!"a dtype");
}

#endif
