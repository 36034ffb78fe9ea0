/* tensor_pb.h - ONNX TensorProto files (.pb), as test data sets hold them. */
#ifndef LATHE_TOOLS_TENSOR_PB_H
#define LATHE_TOOLS_TENSOR_PB_H

#include "tools/npy.h"

/* LATHE_IO, LATHE_MALFORMED, or LATHE_UNSUPPORTED for dtypes that lathe lacks and for external
 * data; *error gets a sentence in the arena. */
lathe_status lt_tensor_pb_read(Arena *arena, const char *path, HostTensor *out, const char **error);
lathe_status lt_tensor_pb_parse(Arena *arena, const void *bytes, size_t size, HostTensor *out,
                                const char **error);
/* A tensor of strings gives two: u8[total], the bytes of all strings one behind the other, and
 * their lengths, i64 in the tensor's shape; any other gives itself. *count: how many. */
lathe_status lt_tensor_pb_members(Arena *arena, const void *bytes, size_t size, HostTensor out[2],
                                  uint32_t *count, const char **error);
/* A file of either kind, by its suffix: TensorProto (.pb) or numpy's array. */
lathe_status lt_tensor_file_read(Arena *arena, const char *path, HostTensor *out,
                                 const char **error);

#endif
