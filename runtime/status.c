/* status.c - texts of statuses and dtypes, and where error sentences are kept. */
#include "runtime/status.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local ErrorText thread_error;

ErrorText *lt_thread_error(void) { return &thread_error; }

const char *lathe_last_error(void) { return thread_error.text; }

lathe_status lt_fail(ErrorText *error, lathe_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return status;
}

const char *lathe_version(void) { return LATHE_VERSION; }

const char *lathe_status_text(lathe_status status) {
    switch ((int)status) {
#define STATUS(e, number, exit_code, sentence) \
    case number: \
        return sentence;
#include "lathe/status.def"
#undef STATUS
    }
    return "a status that this version does not know";
}

static const struct {
    const char *name;
    int bits;
} dtypes[] = {
#define DTYPE(e, name, bits, kind, dlpack) {name, bits},
#include "lathe/dtypes.def"
#undef DTYPE
};

const char *lathe_dtype_name(lathe_dtype dtype) {
    return (unsigned)dtype < LATHE_DTYPE_LIMIT ? dtypes[dtype].name : "?";
}

size_t lathe_dtype_size(lathe_dtype dtype) {
    return (unsigned)dtype < LATHE_DTYPE_LIMIT ? ((size_t)dtypes[dtype].bits + 7) / 8 : 0;
}
