/* temporary.h - a file that nobody but this process needs, in a private folder: gone when it is
 * removed, and when a signal ends the process before that. */
#ifndef LATHE_TOOLS_TEMPORARY_H
#define LATHE_TOOLS_TEMPORARY_H

#include <sys/types.h>

#include "runtime/base/arena.h"

/* The path of a file `name` that can be made, in a new folder in $TMPDIR or /tmp; in the arena.
 * NULL: errno tells why not. One at a time. */
const char *lt_temporary_new(Arena *arena, const char *name);
/* The child process that writes the file, 0: this process (so it starts). A signal that ends this
 * process ends the child first. */
void lt_temporary_made_by(pid_t child);
/* Removes the file, if there is one, and the folder. */
void lt_temporary_remove(void);

#endif
