/* trace.h - reads the Chrome trace that lathe-run --profile FILE.json writes. */
#ifndef LATHE_TOOLS_TRACE_H
#define LATHE_TOOLS_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "runtime/base/vec.h"

/* All events of one name. */
typedef struct TraceRow {
    const char *name; /* of a kernel or a library function */
    uint64_t calls;
    double microseconds; /* over all calls */
} TraceRow;

typedef struct Trace {
    Vec(TraceRow) rows; /* in the order of their first events */
    uint64_t runs;      /* of the whole model */
} Trace;

/* Sums the complete events ("ph": "X") of text[0..len); what else is there is skipped. NULL, or a
 * sentence that says what is wrong and in which line. All of it is in the arena. */
const char *lt_trace_read(Arena *arena, const char *text, size_t len, Trace *trace);

#endif
