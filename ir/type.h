/* type.h - element types and tensor types. */
#ifndef LATHE_IR_TYPE_H
#define LATHE_IR_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/dim.h"

typedef enum {
#define DTYPE(e, name, bits, kind, dl) DT_##e,
#include "lathe/dtypes.def"
#undef DTYPE
    LT_DTYPE_LIMIT
} DType;

#define LT_MAX_RANK 8

/* Interned per module: equal types are the same pointer. Memory is row-major and dense. */
typedef struct Type {
    DType dtype;
    int32_t rank;
    const Dim *const *dims;
} Type;

const char *lt_dtype_name(DType dtype);
/* False when there is no dtype of that name. */
bool lt_dtype_parse(const char *name, DType *out);
size_t lt_dtype_size(DType dtype); /* bytes of one element */
/* Of the value: 4 for i4, which is stored as a byte. */
int lt_dtype_bits(DType dtype);
bool lt_dtype_is_minifloat(DType dtype); /* a float of 8 bits or fewer */
static inline bool lt_dtype_is_byte(DType dtype) { return dtype == DT_I8 || dtype == DT_U8; }
bool lt_dtype_is_float(DType dtype);
bool lt_dtype_is_signed(DType dtype);   /* signed integers only */
bool lt_dtype_is_unsigned(DType dtype); /* unsigned integers only, not bool */
bool lt_dtype_is_int(DType dtype);      /* signed or unsigned, not bool */

#endif
