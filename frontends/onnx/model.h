/* model.h - an ONNX file as plain structs: what onnx.proto says, read but not yet understood.
 *
 * Names follow onnx.proto3 of the ONNX specification. Strings are in the arena; tensor contents
 * stay in the file. */
#ifndef LATHE_FRONTENDS_ONNX_MODEL_H
#define LATHE_FRONTENDS_ONNX_MODEL_H

#include "frontends/onnx/pb.h"
#include "ir/diag.h"

/* TensorProto.DataType */
enum {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_UINT16 = 4,
    ONNX_INT16 = 5,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_STRING = 8,
    ONNX_BOOL = 9,
    ONNX_FLOAT16 = 10,
    ONNX_DOUBLE = 11,
    ONNX_UINT32 = 12,
    ONNX_UINT64 = 13,
    ONNX_BFLOAT16 = 16,
    ONNX_FLOAT8E4M3FN = 17,
    ONNX_FLOAT8E4M3FNUZ = 18,
    ONNX_FLOAT8E5M2 = 19,
    ONNX_FLOAT8E5M2FNUZ = 20,
    ONNX_UINT4 = 21,
    ONNX_INT4 = 22,
    ONNX_FLOAT4E2M1 = 23,
    ONNX_FLOAT8E8M0 = 24,
    ONNX_UINT2 = 25,
    ONNX_INT2 = 26
};

/* AttributeProto.AttributeType */
typedef enum {
    ONNX_ATTR_NONE = 0,
    ONNX_ATTR_FLOAT = 1,
    ONNX_ATTR_INT = 2,
    ONNX_ATTR_STRING = 3,
    ONNX_ATTR_TENSOR = 4,
    ONNX_ATTR_GRAPH = 5,
    ONNX_ATTR_FLOATS = 6,
    ONNX_ATTR_INTS = 7,
    ONNX_ATTR_STRINGS = 8,
    ONNX_ATTR_SPARSE = 11,
    ONNX_ATTR_TYPE = 13
} OnnxAttrType;

typedef struct OnnxEntry { /* StringStringEntryProto */
    const char *key, *value;
} OnnxEntry;

typedef struct OnnxText { /* an element of a tensor of strings */
    const char *text;     /* may hold NUL, and does not end with it */
    size_t length;
} OnnxText;

typedef struct OnnxTensor {
    const char *name;
    int64_t data_type;
    PbInts dims;
    const uint8_t *raw; /* NULL: no raw_data */
    size_t raw_size;
    PbWords32 floats;  /* float_data: bits */
    PbWords64 doubles; /* double_data: bits */
    PbInts int32s, int64s, uint64s;
    Vec(OnnxText) strings; /* string_data: they stay in the file */
    bool is_external;
    Vec(OnnxEntry) external;
    struct OnnxTensor *values, *indices; /* SparseTensorProto: what lies where; NULL: dense */
} OnnxTensor;

typedef struct OnnxDim {
    enum { ONNX_DIM_UNKNOWN, ONNX_DIM_VALUE, ONNX_DIM_PARAM } kind;
    int64_t value;
    const char *param;
} OnnxDim;

/* TypeProto. */
typedef struct OnnxType {
    enum {
        ONNX_TYPE_NONE,
        ONNX_TYPE_TENSOR,
        ONNX_TYPE_SEQUENCE,
        ONNX_TYPE_OPTIONAL,
        ONNX_TYPE_OTHER
    } kind;
    const struct OnnxType *element; /* of a sequence or an optional; NULL: not told */
    int64_t elem_type;              /* of a tensor */
    bool has_shape;
    Vec(OnnxDim) dims;
} OnnxType;

typedef struct OnnxGraph OnnxGraph;

typedef struct OnnxAttribute {
    const char *name;
    OnnxAttrType type;
    float f;
    int64_t i;
    const char *s;
    OnnxTensor *t; /* of a sparse tensor, too */
    OnnxGraph *g;
    OnnxType *tp;
    PbInts ints;
    PbWords32 floats;
    Vec(const char *) strings;
    const char *ref; /* ref_attr_name: only inside functions */
} OnnxAttribute;

typedef struct OnnxNode {
    const char *name, *op, *domain, *overload; /* domain "" is ai.onnx */
    Vec(const char *) inputs, outputs;
    Vec(OnnxAttribute) attributes;
    const Loc *loc;
} OnnxNode;

typedef struct OnnxValueInfo {
    const char *name;
    OnnxType type;
} OnnxValueInfo;

struct OnnxGraph {
    const char *name;
    Vec(OnnxNode) nodes;
    Vec(OnnxTensor) initializers;
    Vec(OnnxValueInfo) inputs, outputs, values; /* values: what is known of those between */
};

typedef struct OnnxOpset {
    const char *domain;
    int64_t version;
} OnnxOpset;

typedef struct OnnxFunction {
    const char *name, *domain, *overload;
    Vec(const char *) inputs, outputs;
    Vec(const char *) attributes; /* those without a default */
    Vec(OnnxAttribute) defaults;
    Vec(OnnxOpset) opsets;
    OnnxGraph *body; /* its nodes */
} OnnxFunction;

typedef struct OnnxModel {
    int64_t ir_version;
    Vec(OnnxOpset) opsets;
    Vec(OnnxFunction) functions;
    OnnxGraph *graph;
} OnnxModel;

/* NULL after recording what is wrong in `diags`, with the byte offset. */
OnnxModel *lt_onnx_model_read(Arena *arena, const uint8_t *data, size_t size, DiagList *diags);

#endif
