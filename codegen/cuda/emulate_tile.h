/* emulate_tile.h - what tiles in shared memory use of CUDA, on the CPU: copies that come on their
 * own, and tensor cores, whose operands a warp's threads give to each other. Part of emulate.h. */
#ifndef LATHE_CODEGEN_CUDA_EMULATE_TILE_H
#define LATHE_CODEGEN_CUDA_EMULATE_TILE_H

/* --- copies that come on their own --- */

/* Those of a thread, which is the only one that waits for them: until then nothing is written. */
struct EmulatedFetch {
    void *to;
    int4 bytes;
    int size, group;
};
enum { EMULATED_MAX_FETCHES = 256 };
static EmulatedFetch emulated_fetches[EMULATED_MAX_THREADS][EMULATED_MAX_FETCHES];
static int emulated_fetch_count[EMULATED_MAX_THREADS];
static int emulated_groups[EMULATED_MAX_THREADS];           /* that were committed */
static uint64_t emulated_unpublished[EMULATED_MAX_THREADS]; /* in which launch and block */

template <class T> __attribute__((noinline)) static T emulate_read(const void *from) {
    return *(const T *)from;
}
template <class T>
__attribute__((noinline)) static void emulate_write(void *to, const int4 *bytes) {
    *(T *)to = *(const T *)bytes;
}

template <class T>
LATHE_UNCHECKED static void emulate_fetch(void *to, const void *from, bool inside) {
    int *count = &emulated_fetch_count[emulated.current];
    if (*count == EMULATED_MAX_FETCHES)
        emulate_fail("thread %d fetches more than %d times between barriers", emulated.current,
                     EMULATED_MAX_FETCHES);
    EmulatedFetch *f = &emulated_fetches[emulated.current][(*count)++];
    const T value = inside ? emulate_read<T>(from) : T{};
    f->to = to;
    f->size = sizeof(T);
    f->group = emulated_groups[emulated.current];
    memcpy(&f->bytes, &value, sizeof value);
}

LATHE_UNCHECKED static uint64_t emulate_stamp() {
    return (uint64_t)emulated.launch << 32 | (uint32_t)emulated.block;
}

LATHE_UNCHECKED static void emulate_arrive(const EmulatedFetch *f) {
    const int4 bytes = f->bytes; /* on the stack, which nobody checks */
    if (f->size == 16)
        emulate_write<int4>(f->to, &bytes);
    else if (f->size == 8)
        emulate_write<int2>(f->to, &bytes);
    else
        emulate_write<int1>(f->to, &bytes);
    emulated_unpublished[emulated.current] = emulate_stamp();
}

LATHE_UNCHECKED static void emulate_commit() { emulated_groups[emulated.current]++; }

/* All but the newest groups; -1: and what is in none. */
LATHE_UNCHECKED static void emulate_arrived(int newest = -1) {
    int *count = &emulated_fetch_count[emulated.current], kept = 0;
    EmulatedFetch *all = emulated_fetches[emulated.current];
    for (int i = 0; i < *count; i++) {
        if (all[i].group < emulated_groups[emulated.current] - newest)
            emulate_arrive(&all[i]);
        else
            all[kept++] = all[i];
    }
    *count = kept;
}

LATHE_UNCHECKED static void emulate_publish() { emulated_unpublished[emulated.current] = 0; }

/* --- tensor cores --- */

/* What each thread gives to its warp. */
static const void *emulated_rows[EMULATED_MAX_THREADS];
static unsigned emulated_tiles[EMULATED_MAX_THREADS][6];

/* Checked, as its caller is not. */
__attribute__((noinline)) static uint16_t emulate_half_of(const void *row, int at) {
    typedef uint16_t __attribute__((may_alias)) Bits;
    return ((const Bits *)row)[at];
}

LATHE_UNCHECKED static void emulate_ldtiles(bool transposed, unsigned &a, unsigned &b, unsigned &c,
                                            unsigned &d, const void *row) {
    const int lane = emulated.current % EMULATED_WARP, warp = emulated.current - lane;
    unsigned tiles[4];
    emulated_rows[emulated.current] = row;
    emulate_wait_for(EMULATED_AT_SHUFFLE);
    for (int i = 0; i < 4; i++) {
        const void *const *rows = emulated_rows + warp + 8 * i;
        const int first = lane % 4 * 2, other = lane / 4;
        const uint16_t low =
            transposed ? emulate_half_of(rows[first], other) : emulate_half_of(rows[other], first);
        const uint16_t high = transposed ? emulate_half_of(rows[first + 1], other)
                                         : emulate_half_of(rows[other], first + 1);
        tiles[i] = low | (unsigned)high << 16;
    }
    emulate_wait_for(EMULATED_AT_SHUFFLE);
    a = tiles[0], b = tiles[1], c = tiles[2], d = tiles[3];
}

/* Element k of row or column `line` of the pair's 8: four halves in `words` of whom has them. */
LATHE_UNCHECKED static float emulate_quad_factor(bool by_fold, int line, int k, int words) {
    const int lane = emulated.current % EMULATED_WARP, warp = emulated.current - lane;
    const int holder = warp + lane % 16 / 4 * 4 + line / 4 * 16 + (by_fold ? k : line % 4);
    const int at = by_fold ? line % 4 : k;
    const unsigned pair = emulated_tiles[holder][words + at / 2];
    return __half2float(__half{(uint16_t)(at % 2 ? pair >> 16 : pair)});
}

LATHE_UNCHECKED static void emulate_quads(float *x, float *y, bool a_by_fold, bool b_by_fold,
                                          int2 a, int2 b) {
    const int lane = emulated.current % EMULATED_WARP;
    const unsigned words[4] = {(unsigned)a.x, (unsigned)a.y, (unsigned)b.x, (unsigned)b.y};
    memcpy(emulated_tiles[emulated.current], words, sizeof words);
    emulate_wait_for(EMULATED_AT_SHUFFLE);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 8; i++) {
            const int row = lane % 2 + i / 4 * 2 + lane / 16 * 4;
            const int column = i / 2 % 2 * 4 + lane / 2 % 2 * 2 + i % 2;
            float *sum = (i / 4 ? y : x) + i % 4;
            *sum = fmaf(emulate_quad_factor(a_by_fold, row, k, 0),
                        emulate_quad_factor(b_by_fold, column, k, 2), *sum);
        }
    emulate_wait_for(EMULATED_AT_SHUFFLE);
}

/* Element k of row or column `line`, in registers of PER elements that lanes hold from number
 * `first` on: its bits are the low ones of what comes back. */
template <int PER>
LATHE_UNCHECKED static unsigned emulate_factor(int warp, int line, int k, int first) {
    const unsigned bits = emulated_tiles[warp + 4 * line + k % (4 * PER) / PER][first];
    return bits >> 32 / PER * (k % PER);
}

LATHE_UNCHECKED static void emulate_add(float *sum, float x, float y) { *sum = fmaf(x, y, *sum); }
LATHE_UNCHECKED static void emulate_add(int *sum, int x, int y) {
    *sum = (int)((unsigned)*sum + (unsigned)(x * y));
}

LATHE_UNCHECKED static float emulate_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* x and y are what the bits of factors of a and b stand for. */
template <int PER, class S, class X, class Y>
LATHE_UNCHECKED static void emulate_mma(S *upper, S *lower, const unsigned *a, const unsigned *b,
                                        X x, Y y) {
    const int lane = emulated.current % EMULATED_WARP, warp = emulated.current - lane;
    memcpy(emulated_tiles[emulated.current], a, 4 * sizeof *a);
    memcpy(emulated_tiles[emulated.current] + 4, b, 2 * sizeof *b);
    emulate_wait_for(EMULATED_AT_SHUFFLE);
    for (int k = 0; k < 8 * PER; k++)
        for (int i = 0; i < 4; i++) {
            const int half = k / (4 * PER);
            const unsigned left = emulate_factor<PER>(warp, lane / 4, k, 2 * half + i / 2);
            const unsigned right = emulate_factor<PER>(warp, lane % 4 * 2 + i % 2, k, 4 + half);
            emulate_add((i / 2 ? lower : upper) + i % 2, x(left), y(right));
        }
    emulate_wait_for(EMULATED_AT_SHUFFLE);
}

template <int PER = 2, class F>
LATHE_UNCHECKED static void emulate_mma(float *upper, float *lower, const unsigned *a,
                                        const unsigned *b, F value) {
    const auto low = [value](unsigned x) { return value(PER == 2 ? x & 0xffff : x); };
    emulate_mma<PER>(upper, lower, a, b, low, low);
}

template <class A, class B>
LATHE_UNCHECKED static void emulate_mma_bytes(int *upper, int *lower, const unsigned *a,
                                              const unsigned *b) {
    emulate_mma<4>(
        upper, lower, a, b, [](unsigned x) { return (int)(A)x; },
        [](unsigned x) { return (int)(B)x; });
}

#endif
