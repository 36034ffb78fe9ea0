/* bands.h - between bands.c, which finds kernels that take turns and how far each runs, and
 * bands_ring.c, which makes rings of what they hand on. Inside passes/bands*.c only. */
#ifndef LATHE_PASSES_BANDS_H
#define LATHE_PASSES_BANDS_H

#include "passes/pass.h"

enum { MOST_PARTS = 8, LEAST_BANDS = 2, MOST_BANDS = 64 };

/* A launch that takes part. */
typedef struct Part {
    const Step *step;
    Kernel *kernel; /* its own copy, once the chain is taken */
    int64_t extent; /* of the parallel loop */
} Part;

/* A buffer that needs room for so many elements. */
typedef struct Ring {
    uint32_t buffer;
    int64_t elements;
} Ring;

typedef struct Chain {
    uint32_t first; /* step */
    int count;
    Part parts[MOST_PARTS];
    int64_t bytes; /* of what they hand on */
    int bands;
    int64_t ends[MOST_BANDS][MOST_PARTS]; /* by band and part: how far it runs */
    int ring_count;
    Ring rings[MOST_PARTS]; /* of what they hand on */
} Chain;

/* Elements from lo to hi, inclusive; lo > hi: none. */
typedef struct Elements {
    int64_t lo, hi;
} Elements;

/* What iterations [begin, end) of p load from (store to) the buffer. */
Elements lt_band_elements(const Part *p, uint32_t buffer, bool stores, int64_t begin, int64_t end);
/* Of a buffer of known size, or -1. */
int64_t lt_band_bytes(const Program *p, uint32_t buffer);
/* Iterations of part i that are done before the band. */
static inline int64_t lt_band_begin(const Chain *c, int band, int i) {
    return band ? c->ends[band - 1][i] : 0;
}
static inline bool lt_band_is_output(const Part *p, uint32_t i) {
    return p->kernel->buffers.data[i]->kind == BUFFER_OUTPUT;
}

/* Called with each access of a kernel to its memory; `index` may be replaced. */
typedef void AccessFn(void *user, const Buffer *buffer, const Dim *const *index, bool stores);
void lt_each_access(const Stmt *list, AccessFn *fn, void *user);

/* --- bands_ring.c ---------------------------------------------------------------------------- */

/* Buffers that live in the chain alone need no more room than for what one band leaves to the next
 * ones: fills in the chain's rings. */
void lt_band_find_rings(const PassContext *ctx, Chain *c);
/* The parts' kernels, copies by now, count rows modulo the rings'. */
void lt_band_make_rings(PassContext *ctx, Chain *c);

#endif
