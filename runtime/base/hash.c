/* hash.c - 64-bit hashes of bytes and of integers.
 *
 * The step is `fold`: a 64 x 64 -> 128 bit product with a fixed odd multiplier, whose halves are
 * XORed, so that every input bit reaches every output bit. Bytes go through four independent lanes
 * of 8 bytes each, which keeps the multiplier busy instead of waiting for one chain of products.
 * The length and the last partial stripe (padded with zeros) enter at the end. Not for adversaries;
 * the result is the same on every machine, whatever its byte order. */
#include <string.h>

#include "runtime/base/map.h"

enum { LANES = 4, STRIPE = LANES * 8 };

/* Odd, with about as many ones as zeros: the fractions of the square roots of
 * 2, 3, 5, 7 and 11, made odd. */
static const uint64_t multiplier[LANES + 1] = {
    0x6a09e667f3bcc909u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu,
    0xa54ff53a5f1d36f1u, 0x510e527fade682d1u,
};

static inline uint64_t fold(uint64_t x, uint64_t factor) {
    unsigned __int128 product = (unsigned __int128)x * factor;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t load_u64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void take_stripe(uint64_t lane[LANES], const uint8_t *bytes) {
    for (int i = 0; i < LANES; i++)
        lane[i] = fold(lane[i] ^ load_u64(bytes + i * 8), multiplier[i]);
}

uint64_t lt_hash_u64(uint64_t x) {
    return fold(fold(x ^ multiplier[0], multiplier[1]) ^ multiplier[2], multiplier[3]);
}

uint64_t lt_hash_bytes(const void *data, size_t len, uint64_t seed) {
    const uint8_t *bytes = data;
    uint64_t lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = seed ^ multiplier[i + 1];
    size_t left = len;
    for (; left >= STRIPE; left -= STRIPE, bytes += STRIPE)
        take_stripe(lane, bytes);
    if (left > 0) {
        uint8_t last[STRIPE] = {0};
        memcpy(last, bytes, left);
        take_stripe(lane, last);
    }
    uint64_t hash = len;
    for (int i = 0; i < LANES; i++)
        hash = fold(hash ^ lane[i], multiplier[LANES]) + multiplier[i];
    return lt_hash_u64(hash);
}
