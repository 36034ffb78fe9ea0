/* shared.c - shared memory whose size the launch says.
 *
 * What a block has by declaration is limited to 48 KiB, and lies at multiples of 16 bytes. A kernel
 * that needs more, or has swizzled buffers, which begin at multiples of 1024 bytes, finds its
 * buffers in one piece of memory:
 *
 *   auto &a_share = shared_at<__half[4][128][64]>(0);
 *   auto &b_share = shared_at<__half[4][64][128]>(65536); */
#include "codegen/cuda/cuda.h"

enum { DECLARED_BYTES = 49152, SWIZZLE_BYTES = 1024, LINE_BYTES = 16 };

/* Where the buffer lies when all of them are in one piece; NULL: the end. */
static int64_t offset_of(const Kernel *k, const Buffer *buffer) {
    int64_t offset = 0;
    for (size_t i = k->param_count; i < k->buffers.len; i++) {
        const Buffer *b = k->buffers.data[i];
        const int64_t align = b->is_swizzled ? SWIZZLE_BYTES : LINE_BYTES;
        int64_t bytes = (int64_t)lt_dtype_size(b->dtype);
        if (b->kind != BUFFER_SHARED)
            continue;
        offset = (offset + align - 1) / align * align;
        if (b == buffer)
            return offset;
        for (int axis = 0; axis < b->rank; axis++)
            bytes *= b->dims[axis]->value;
        offset += bytes;
    }
    return offset;
}

int64_t lt_cuda_shared_bytes(const Kernel *k) {
    const int64_t bytes = offset_of(k, NULL);
    bool is_swizzled = false;
    for (size_t i = k->param_count; i < k->buffers.len; i++)
        is_swizzled |= k->buffers.data[i]->is_swizzled;
    return bytes > DECLARED_BYTES || is_swizzled ? bytes : 0;
}

void lt_cuda_declare_shared(Writer *w, const Buffer *b, const char *extents) {
    const char *type = lt_cuda_memory_type(b->dtype), *name = w->buffers[b->index];
    if (lt_cuda_shared_bytes(w->kernel))
        lt_cuda_line(w, "auto &%s = shared_at<%s%s>(%lld);", name, type, extents,
                     (long long)offset_of(w->kernel, b));
    else
        lt_cuda_line(w, "__shared__ __align__(16) %s %s%s;", type, name, extents);
}
