/* npy.h - numpy's array files, format versions 1 to 3 (NEP 1): read with every byte checked, and
 * written. */
#ifndef LATHE_TOOLS_NPY_H
#define LATHE_TOOLS_NPY_H

#include <stdbool.h>

#include "lathe/runtime.h"
#include "runtime/base/arena.h"

/* A dense, row-major tensor in an arena, 64-byte aligned. */
typedef struct HostTensor {
    lathe_dtype dtype;
    int32_t rank;
    int64_t dims[LATHE_MAX_RANK];
    void *data;
    size_t bytes;
} HostTensor;

/* Bytes of a tensor with these dims; false when one is negative or the size does not fit. */
bool lt_host_tensor_bytes(const HostTensor *tensor, size_t *out);
/* Elements of a tensor whose dims are known to be good. */
int64_t lt_host_tensor_count(const HostTensor *tensor);

/* Whether numpy writes both alike: floats of 8 bits and fewer are all '|V1', i4 is 'i1'. Reading
 * gives the first of them in dtypes.def. */
bool lt_npy_same_code(lathe_dtype a, lathe_dtype b);
/* Reads an array: any byte order, C or Fortran order (the result is row-major). numpy has no bf16:
 * two opaque bytes ('V2') are taken as bf16. LATHE_IO, LATHE_MALFORMED, or LATHE_UNSUPPORTED for
 * dtypes that lathe lacks; *error gets a sentence in the arena. */
lathe_status lt_npy_read(Arena *arena, const char *path, HostTensor *out, const char **error);
lathe_status lt_npy_parse(Arena *arena, const void *bytes, size_t size, HostTensor *out,
                          const char **error);
/* Writes version 1.0; bf16 as '|V2'. False: errno tells why. */
bool lt_npy_write(Arena *arena, const char *path, const HostTensor *tensor);

#endif
