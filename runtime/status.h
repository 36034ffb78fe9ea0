/* status.h - how the runtime reports what went wrong: a status up, a sentence beside it. */
#ifndef LATHE_RUNTIME_STATUS_H
#define LATHE_RUNTIME_STATUS_H

#include "lathe/runtime.h"

typedef struct ErrorText {
    char text[512];
} ErrorText;

/* The calling thread's text, for functions without a context (lathe_last_error). */
ErrorText *lt_thread_error(void);
/* Writes the sentence and returns `status`. */
lathe_status lt_fail(ErrorText *error, lathe_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
