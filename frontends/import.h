/* import.h - the door of the frontends: a model file in, a module of graph IR out.
 *
 * The file is mapped, and constants point into the mapping: it stays mapped until the process ends,
 * so the arena, and every module in it, may be used and freed at any time. */
#ifndef LATHE_FRONTENDS_IMPORT_H
#define LATHE_FRONTENDS_IMPORT_H

#include "ir/graph.h"

/* --dim NAME=LO..HI; lo == hi fixes the dim. hi may be LT_DIM_UNBOUNDED. */
typedef struct DimOverride {
    const char *name;
    int64_t lo, hi;
} DimOverride;

/* --input NAME=1x3xHxW: extents are numbers or names of symbols. */
typedef struct InputOverride {
    const char *name;
    const char *shape;
} InputOverride;

/* The nodes of one op and version. */
typedef struct OpCount {
    const char *op;   /* "ai.onnx::Conv v13" */
    uint32_t nodes;   /* those of subgraphs, and of functions at each call, included */
    uint32_t refused; /* not supported: each has its error */
    uint32_t skipped; /* not judged: they need what a refused node makes */
} OpCount;
typedef Vec(OpCount) OpCounts;

typedef struct ImportOptions {
    const DimOverride *dims;
    uint32_t dim_count;
    const InputOverride *inputs;
    uint32_t input_count;
    bool want_remarks;
    OpCounts *ops; /* filled in the order of the nodes, in the arena of the module; NULL: not
                      wanted. lathe IR has none */
} ImportOptions;

/* Reads the model at `path`: ONNX (.onnx, or by content) or lathe IR (.lir). `options` may be NULL.
 * Returns NULL when anything is wrong: then the first error in *diags has the status: IO,
 * MALFORMED, UNSUPPORTED (each node that is not supported has its error) or BAD_ARGUMENT (an
 * override that names nothing in the model). *diags is always set. */
Module *lt_import_file(Arena *arena, const char *path, const ImportOptions *options,
                       DiagList **diags);

/* The ONNX reader alone, on bytes that live as long as the arena. `path` names the file in
 * diagnostics and the folder of external data. */
Module *lt_import_onnx(Arena *arena, const char *path, const uint8_t *data, size_t size,
                       const ImportOptions *options, DiagList **diags);

#endif
