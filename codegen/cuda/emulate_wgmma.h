/* emulate_wgmma.h - products of four warps out of shared memory, on the CPU. Part of emulate.h.
 *
 * As the PTX ISA describes wgmma.mma_async: operands are found by matrix descriptors, byte by byte,
 * when the thread waits for the product and no sooner, so that memory which was laid out otherwise,
 * or written over meanwhile, gives a wrong result. */
#ifndef LATHE_CODEGEN_CUDA_EMULATE_WGMMA_H
#define LATHE_CODEGEN_CUDA_EMULATE_WGMMA_H

struct EmulatedProduct {
    float *upper, *lower; /* the thread's part of two rows */
    int columns;          /* of the tile */
    bool a_by_fold, b_by_fold;
    uint64_t a, b;
    float (*value)(unsigned);
};
enum { EMULATED_MAX_PRODUCTS = 4 };
static EmulatedProduct emulated_products[EMULATED_MAX_THREADS][EMULATED_MAX_PRODUCTS];
static int emulated_product_count[EMULATED_MAX_THREADS];

/* The number of a byte in the launch's shared memory is its address. */
LATHE_UNCHECKED static inline uint64_t __cvta_generic_to_shared(const void *at) {
    return (uint64_t)((const char *)at - emulated_memory);
}

/* Where element `k` of the fold of row or column `line` is. */
LATHE_UNCHECKED static uint64_t emulate_place(uint64_t matrix, bool by_fold, int line, int k) {
    enum { BITS14 = 0x3fff, ROW_BYTES = 128, ROW_ELEMENTS = 64 };
    const uint64_t start = 16 * (matrix & BITS14), lead = 16 * (matrix >> 16 & BITS14);
    const uint64_t stride = 16 * (matrix >> 32 & BITS14);
    if (matrix >> 62 != 1 || (matrix >> 49 & 7) != 0)
        emulate_fail("a matrix of wgmma is not swizzled in 128 bytes: %llx",
                     (unsigned long long)matrix);
    const uint64_t at =
        by_fold ? start + line / ROW_ELEMENTS * lead + line % ROW_ELEMENTS * 2 + k / 8 * stride +
                      k % 8 * ROW_BYTES
                : start + line / 8 * stride + line % 8 * ROW_BYTES + k * 2;
    return at ^ (at >> 7 & 7) << 4;
}

LATHE_UNCHECKED static float emulate_operand(const EmulatedProduct *p, bool is_b, int line, int k) {
    const uint64_t matrix = is_b ? p->b : p->a;
    const bool by_fold = is_b ? p->b_by_fold : p->a_by_fold;
    /* The instructions take 16 of the fold: two groups of 8 lines, or 32 bytes. */
    const uint64_t at = emulate_place(matrix + (uint64_t)(k / 16 * (by_fold ? 128 : 2)), by_fold,
                                      line, k % 16);
    if (at + 2 > (uint64_t)emulated_memory_bytes)
        emulate_fail("wgmma reads byte %llu of %d of shared memory", (unsigned long long)at,
                     emulated_memory_bytes);
    return p->value(emulate_half_of(emulated_memory + at, 0));
}

LATHE_UNCHECKED static void emulate_product(const EmulatedProduct *p) {
    enum { FOLD = 64, ROWS = 64 };
    const int lane = emulated.current % EMULATED_WARP;
    const int first = emulated.current / EMULATED_WARP * 16 % ROWS + lane / 4;
    for (int k = 0; k < FOLD; k++) {
        const float x[2] = {emulate_operand(p, false, first, k),
                            emulate_operand(p, false, first + 8, k)};
        for (int j = 0; j < p->columns / 4; j++) {
            const float y = emulate_operand(p, true, j / 2 * 8 + j % 2 + lane % 4 * 2, k);
            p->upper[j] = fmaf(x[0], y, p->upper[j]);
            p->lower[j] = fmaf(x[1], y, p->lower[j]);
        }
    }
}

template <int N>
LATHE_UNCHECKED static void emulate_wgmma(float (&d)[2][N], bool a_by_fold, bool b_by_fold,
                                          uint64_t a, uint64_t b, float (*value)(unsigned)) {
    int *count = &emulated_product_count[emulated.current];
    if (*count == EMULATED_MAX_PRODUCTS)
        emulate_fail("thread %d does not wait for %d products", emulated.current, *count);
    for (int t = 0; t < EMULATED_MAX_THREADS; t++)
        if (emulated_unpublished[t] == emulate_stamp())
            emulate_fail("wgmma reads what thread %d fetched and did not publish", t);
    emulated_products[emulated.current][(*count)++] = {d[0], d[1], 4 * N, a_by_fold,
                                                       b_by_fold, a, b, value};
}

/* Those that are not the newest are done now. */
LATHE_UNCHECKED static void emulate_multiplied(int newest) {
    int *count = &emulated_product_count[emulated.current], kept = 0;
    EmulatedProduct *all = emulated_products[emulated.current];
    for (int i = 0; i < *count; i++) {
        if (i < *count - newest)
            emulate_product(&all[i]);
        else
            all[kept++] = all[i];
    }
    *count = kept;
}

#endif
