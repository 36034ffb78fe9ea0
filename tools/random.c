/* random.c - numbers by SplitMix64 (Steele, Lea, Flood 2014), see random.h. */
#include "tools/random.h"

#include <math.h>

#include "runtime/base/half.h"
#include "runtime/base/narrow.h"

static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static double next_uniform(uint64_t *state) { return (double)(next_random(state) >> 11) * 0x1p-53; }

/* Standard normal, Box and Muller's transform. */
static double next_normal(uint64_t *state) {
    double radius = sqrt(-2 * log(1 - next_uniform(state)));
    return radius * cos(2 * 3.14159265358979323846 * next_uniform(state));
}

static void set_float(const HostTensor *tensor, int64_t i, double value) {
    switch (tensor->dtype) {
    case LATHE_F64: ((double *)tensor->data)[i] = value; break;
    case LATHE_F16: ((uint16_t *)tensor->data)[i] = lt_f32_to_f16((float)value); break;
    case LATHE_BF16: ((uint16_t *)tensor->data)[i] = lt_f32_to_bf16((float)value); break;
    case LATHE_F32: ((float *)tensor->data)[i] = (float)value; break;
    default: ((uint8_t *)tensor->data)[i] = lt_f32_to_minifloat(tensor->dtype, (float)value);
    }
}

static bool is_float(lathe_dtype dtype) {
    return dtype == LATHE_F32 || dtype == LATHE_F64 || dtype == LATHE_F16 || dtype == LATHE_BF16 ||
           lt_minifloat(dtype);
}

/* Integers are 0 or 1: valid as token ids, masks, lengths and indices of any model. */
void lt_host_tensor_random(const HostTensor *tensor, int64_t seed) {
    uint64_t state = (uint64_t)seed;
    size_t width = lathe_dtype_size(tensor->dtype);
    for (int64_t i = 0, count = lt_host_tensor_count(tensor); i < count; i++) {
        if (is_float(tensor->dtype))
            set_float(tensor, i, next_normal(&state));
        else /* little endian: the low byte comes first */
            ((uint8_t *)tensor->data)[(size_t)i * width] = next_random(&state) >> 63;
    }
}
