/* close.c - compares tensors of any dtype, see close.h. */
#include "tests/close.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/half.h"
#include "runtime/base/narrow.h"

/* A long double holds every integer of 64 bits. */
static long double element(lathe_dtype dtype, const void *data, int64_t i) {
    switch (dtype) {
    case LATHE_F32: return (long double)((const float *)data)[i];
    case LATHE_F64: return (long double)((const double *)data)[i];
    case LATHE_F16: return (long double)lt_f16_to_f32(((const uint16_t *)data)[i]);
    case LATHE_BF16: return (long double)lt_bf16_to_f32(((const uint16_t *)data)[i]);
    case LATHE_F8E4M3FN:
    case LATHE_F8E4M3FNUZ:
    case LATHE_F8E5M2:
    case LATHE_F8E5M2FNUZ:
    case LATHE_F8E8M0:
    case LATHE_F4E2M1: return (long double)lt_minifloat_to_f32(dtype, ((const uint8_t *)data)[i]);
    case LATHE_I4:
    case LATHE_U4:
    case LATHE_I2:
    case LATHE_U2: return lt_low_bits(dtype, ((const uint8_t *)data)[i]);
    case LATHE_I8: return ((const int8_t *)data)[i];
    case LATHE_I16: return ((const int16_t *)data)[i];
    case LATHE_I32: return ((const int32_t *)data)[i];
    case LATHE_I64: return ((const int64_t *)data)[i];
    case LATHE_BOOL:
    case LATHE_U8: return ((const uint8_t *)data)[i];
    case LATHE_U16: return ((const uint16_t *)data)[i];
    case LATHE_U32: return ((const uint32_t *)data)[i];
    case LATHE_U64: return ((const uint64_t *)data)[i];
    case LATHE_DTYPE_LIMIT: break;
    }
    return (long double)NAN;
}

static bool is_close(long double wanted, long double found, const Tolerance *t) {
    if (isnan(wanted) || isnan(found))
        return isnan(wanted) && isnan(found);
    if (isinf(wanted) || isinf(found))
        return wanted == found;
    return fabsl(found - wanted) <=
           (long double)t->absolute + (long double)t->relative * fabsl(wanted);
}

static void print_type(char *text, size_t size, lathe_dtype dtype, int32_t rank,
                       const int64_t *dims) {
    size_t at = (size_t)snprintf(text, size, "%s[", lathe_dtype_name(dtype));
    for (int32_t axis = 0; axis < rank && at < size; axis++)
        at += (size_t)snprintf(text + at, size - at, "%s%" PRId64, axis ? "," : "", dims[axis]);
    if (at < size)
        snprintf(text + at, size - at, "]");
}

static bool same_type(const HostTensor *wanted, const lathe_tensor *found) {
    bool same = wanted->dtype == found->dtype && wanted->rank == found->rank;
    for (int32_t axis = 0; same && axis < wanted->rank; axis++)
        same = wanted->dims[axis] == found->dims[axis];
    return same;
}

bool lt_tensor_close(const HostTensor *wanted, const lathe_tensor *found,
                     const Tolerance *tolerance, char *words, size_t size) {
    Tolerance t = *tolerance;
    if (!same_type(wanted, found)) {
        char wanted_type[80], found_type[80];
        print_type(wanted_type, sizeof wanted_type, wanted->dtype, wanted->rank, wanted->dims);
        print_type(found_type, sizeof found_type, found->dtype, found->rank, found->dims);
        snprintf(words, size, "expected %s, found %s", wanted_type, found_type);
        return false;
    }
    if (wanted->dtype == LATHE_BF16)
        t.relative = fmax(t.relative, 0x1p-6);
    int64_t wrong = 0, first = -1, count = lt_host_tensor_count(wanted);
    for (int64_t i = 0; i < count; i++) {
        if (is_close(element(wanted->dtype, wanted->data, i),
                     element(wanted->dtype, found->data, i), &t))
            continue;
        first = wrong++ ? first : i;
    }
    if (wrong)
        snprintf(words, size,
                 "%" PRId64 " of %" PRId64 " elements differ; %" PRId64 " is %Lg, expected %Lg",
                 wrong, count, first, element(wanted->dtype, found->data, first),
                 element(wanted->dtype, wanted->data, first));
    return wrong == 0;
}
