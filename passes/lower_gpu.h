/* lower_gpu.h - nodes that are several kernels on a GPU: between the files that write them
 * (passes/lower_*_gpu.c).
 *
 * A kernel is written as its IR reads, a template with words in braces, blocks and threads
 * included: it is not scheduled. What one kernel leaves for the next is in a buffer of the program,
 * so that its memory is planned like any other. */
#ifndef LATHE_PASSES_LOWER_GPU_H
#define LATHE_PASSES_LOWER_GPU_H

#include "passes/lower_program.h"

enum { GPU_MOST_WORDS = 96, GPU_MOST_PARAMS = 8, GPU_MOST_INTS = 24, GPU_THREADS = 256 };

typedef struct GpuWord {
    const char *name, *text;
} GpuWord;

/* An integer argument: what is said of its range, and its value in the module's dims. */
typedef struct GpuInt {
    const char *name, *range;
    const Dim *value;
} GpuInt;

/* One kernel, while its words and parameters are told. */
typedef struct GpuKernel {
    Assembly *a;
    const Node *node;
    const char *suffix; /* of its name: what it does for the node */
    GpuWord words[GPU_MOST_WORDS];
    int word_count;
    Str params;
    GpuInt ints[GPU_MOST_INTS];
    int int_count;
    uint32_t buffers[GPU_MOST_PARAMS];
    uint32_t buffer_count;
} GpuKernel;

GpuKernel lt_gpu_kernel(Assembly *a, const Node *node, const char *suffix);
void lt_gpu_word(GpuKernel *g, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The word is the dim's number, or an integer argument of that name, where it is read. */
void lt_gpu_dim(GpuKernel *g, const char *name, const Dim *d);
/* The word is the greatest that d can be, and `more`; inf: it has no bound. */
void lt_gpu_most(GpuKernel *g, const char *name, const Dim *d, int64_t more);
/* A parameter; `dims` is text with words in it. */
void lt_gpu_input(GpuKernel *g, const char *name, uint32_t buffer, const char *dims);
void lt_gpu_output(GpuKernel *g, const char *name, uint32_t buffer, const char *dims);
/* `format` with the words filled in. */
const char *lt_gpu_fill(GpuKernel *g, const char *text);
/* Adds the step: what `body` says is the list inside of the kernel. */
void lt_gpu_launch(GpuKernel *g, const char *body);
/* A buffer between kernels. */
uint32_t lt_gpu_buffer(Assembly *a, DType dtype, int rank, const Dim *const *dims,
                       const char *name);

/* --- lower_sort_gpu.c --------------------------------------------------------------------- */

/* The first k of each row of x, [outer, length, inner], in order; see lt_kernel_topk, whose order
 * this is. */
typedef struct GpuSort {
    uint32_t x, values, indices; /* buffers; indices are i64 */
    const Dim *outer, *length, *inner, *k;
    DType dtype;
    bool is_largest;
} GpuSort;
void lt_gpu_sort(Assembly *a, const Node *node, const GpuSort *sort);

/* Adds the steps of a node that is several kernels; false: it is none, and nothing was added. */
bool lt_lower_several(Assembly *a, const Node *node);

void lt_lower_topk_gpu(Assembly *a, const Node *node);
void lt_lower_find_gpu(Assembly *a, const Node *node);     /* lower_find_gpu.c */
void lt_lower_suppress_gpu(Assembly *a, const Node *node); /* lower_suppress_gpu.c */
/* A scatter, or a group that is one; else false. lower_scatter_gpu.c */
bool lt_lower_scatter_gpu(Assembly *a, const Node *node);

#endif
