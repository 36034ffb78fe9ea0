/* checked.h - size arithmetic that cannot wrap silently. Each returns false on overflow. */
#ifndef LATHE_BASE_CHECKED_H
#define LATHE_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool lt_mul_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool lt_add_i64(int64_t a, int64_t b, int64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
static inline bool lt_mul_size(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool lt_add_size(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
/* floor(a / b) and the remainder with the divisor's sign; b != 0. */
static inline int64_t lt_floordiv(int64_t a, int64_t b) {
    int64_t q = a / b;
    return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}
static inline int64_t lt_floormod(int64_t a, int64_t b) { return a - lt_floordiv(a, b) * b; }
static inline int64_t lt_ceildiv(int64_t a, int64_t b) { return -lt_floordiv(-a, b); }
static inline bool lt_is_power_of_two(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

#endif
