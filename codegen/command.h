/* command.h - running another program (the linker, nvcc) on files of a private folder, which is
 * removed on every path. Names in it are fixed, so that what a program writes of them does not
 * change from run to run. */
#ifndef LATHE_CODEGEN_COMMAND_H
#define LATHE_CODEGEN_COMMAND_H

#include "codegen/codegen.h"

enum { LT_MAX_ARGUMENTS = 64 };

typedef struct Command {
    Arena *arena;
    DiagList *diags;
    const char *folder;
    const char *argv[LT_MAX_ARGUMENTS];
    int argc;
    Vec(const char *) files; /* to be removed */
} Command;

/* Makes the folder; argv begins with the program, a path or a name that the PATH tells. False: an
 * error is in diags. After true, lt_command_close. */
bool lt_command_open(Command *c, Arena *arena, DiagList *diags, const char *program);
void lt_command_close(Command *c);
void lt_command_add(Command *c, const char *argument);
/* The path of a file in the folder; nothing is made. */
const char *lt_command_file(Command *c, const char *name);
bool lt_command_write(Command *c, const char *path, const void *data, size_t size);
/* Runs the program and waits. False: an error in diags begins with `what` ("the linker") and has
 * the program's words, or says that it cannot be run, and `hint`. */
bool lt_command_run(Command *c, const char *what, const char *hint);
/* Maps what the program wrote; the mapping outlives the file's name. */
bool lt_command_result(Command *c, const char *path, ObjectCode *out);
/* All of it to an open file. */
bool lt_write_all(int fd, const void *data, size_t size);

#endif
