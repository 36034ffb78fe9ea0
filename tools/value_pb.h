/* value_pb.h - sequences, optionals and strings of a model as an artifact takes and gives them:
 * several tensors (lathe/runtime.h), which belong together by their names; and as ONNX test data
 * holds them: one SequenceProto, OptionalProto or TensorProto a file (onnx.proto). */
#ifndef LATHE_TOOLS_VALUE_PB_H
#define LATHE_TOOLS_VALUE_PB_H

#include "tools/tensor_pb.h"

enum { SLOT_MEMBERS = 3 };

/* Inputs or outputs of an artifact that are one value of the model. */
typedef struct ValueSlot {
    const char *name;                            /* the model's */
    uint32_t count;                              /* how many */
    const lathe_tensor_info *info[SLOT_MEMBERS]; /* of each */
    bool is_optional, is_sequence, is_strings;   /* none: a tensor of numbers */
} ValueSlot;

/* What the file of a value holds. */
typedef struct HostValue {
    bool is_absent;       /* an optional without a value */
    HostTensor *elements; /* of a sequence; bytes and lengths of strings; else one */
    uint32_t count;
} HostValue;

/* The value that begins with input (output) `index`. */
ValueSlot lt_input_slot(Arena *arena, const lathe_model *model, uint32_t index);
ValueSlot lt_output_slot(Arena *arena, const lathe_model *model, uint32_t index);
/* Reads a file of the slot's kind, as lt_tensor_pb_read; *error gets a sentence. */
lathe_status lt_value_pb_read(Arena *arena, const char *path, const ValueSlot *slot, HostValue *out,
                              const char **error);
/* As lt_value_pb_read on bytes. */
lathe_status lt_value_pb_parse(Arena *arena, const void *bytes, size_t size, const ValueSlot *slot,
                               HostValue *out, const char **error);
/* The slot's tensors, members[0..slot->count). */
lathe_status lt_value_pack(Arena *arena, const ValueSlot *slot, const HostValue *value,
                           HostTensor *members, const char **error);
/* The value in the slot's tensors, whose data it borrows. */
lathe_status lt_value_unpack(Arena *arena, const ValueSlot *slot, const lathe_tensor *members,
                             HostValue *out, const char **error);

/* Shapes or lengths that fit what they are of, where the names say so: `total` elements of the
 * tensor `before`. The first element of a sequence has them all; strings have as many each. */
void lt_fill_member(HostTensor *tensor, const char *name, const char *before, int64_t total);

#endif
