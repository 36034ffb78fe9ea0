/* diag.h - source locations and diagnostics.
 *
 * A Loc names the node of the original model that something came from. It survives every pass:
 * fusing two nodes joins their locations. Diagnostics are collected, not printed: tools print them.
 */
#ifndef LATHE_IR_DIAG_H
#define LATHE_IR_DIAG_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "runtime/base/vec.h"

typedef struct Loc {
    const char *node; /* "Conv_23"; NULL when the model gives no name */
    const char *op;   /* the framework's op: "Conv"; NULL when unknown */
    int32_t line;     /* line in a .lir file, 0 otherwise */
    int32_t column;
    const struct Loc *next; /* further nodes that were fused into this one */
} Loc;

typedef enum { DIAG_NOTE, DIAG_REMARK, DIAG_WARNING, DIAG_ERROR } DiagLevel;

typedef struct Diag {
    DiagLevel level;
    int status;     /* lathe_status number of an error (3 unsupported, 4 malformed, ...), else 0 */
    const Loc *loc; /* may be NULL */
    const char *text;
    const char *source_line; /* for text input: the line the caret points into; else NULL */
} Diag;

typedef struct DiagList {
    Arena *arena;
    const char *file; /* name of the model file, as the user typed it */
    Vec(Diag) items;
    uint32_t errors;
    bool want_remarks; /* remarks are dropped unless asked for */
} DiagList;

void lt_diag_init(DiagList *list, Arena *arena, const char *file);
/* Records a diagnostic; an error counts. Text is a sentence without a final stop. */
void lt_diag(DiagList *list, DiagLevel level, int status, const Loc *loc, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
#define lt_error(list, status, loc, ...) lt_diag((list), DIAG_ERROR, (status), (loc), __VA_ARGS__)
#define lt_remark(list, loc, ...) lt_diag((list), DIAG_REMARK, 0, (loc), __VA_ARGS__)
/* The status of the first error, 0 when there is none. */
int lt_diag_status(const DiagList *list);
/* "resnet.onnx: Conv_23 (Conv): error: text", with a caret line for text input. In the arena. */
const char *lt_diag_format(const DiagList *list, const Diag *diag, bool color);
/* "Conv_23 (Conv)" or "line 3"; several fused ones joined by '+', at most `limit` (0: all). In the
 * arena. */
const char *lt_loc_text(Arena *arena, const Loc *loc, int limit);
/* One location for both, without repeats; either may be NULL. */
const Loc *lt_loc_join(Arena *arena, const Loc *a, const Loc *b);

#endif
