/* command.c - running another program on files of a private folder. */
#include "codegen/command.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lathe/runtime.h"
#include "runtime/base/file.h"

extern char **environ;

static bool fail(Command *c, const char *what) {
    lt_error(c->diags, LATHE_IO, NULL, "%s: %s", what, strerror(errno));
    return false;
}

void lt_command_add(Command *c, const char *argument) {
    if (c->argc < LT_MAX_ARGUMENTS - 1)
        c->argv[c->argc++] = argument;
}

const char *lt_command_file(Command *c, const char *name) {
    const char *path = lt_arena_printf(c->arena, "%s/%s", c->folder, name);
    lt_vec_push(c->arena, &c->files, path);
    return path;
}

bool lt_write_all(int fd, const void *data, size_t size) {
    const char *bytes = data;
    while (size > 0) {
        const ssize_t done = write(fd, bytes, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        size -= (size_t)done;
    }
    return true;
}

bool lt_command_write(Command *c, const char *path, const void *data, size_t size) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(c, path);
    const bool is_written = lt_write_all(fd, data, size);
    return (close(fd) == 0 && is_written) || fail(c, path);
}

/* --- running --- */

static const char *read_text(Command *c, const char *path) {
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, path, reason, sizeof reason))
        return "";
    size_t size = file.size;
    while (size > 0 && file.data[size - 1] == '\n')
        size--;
    const char *text = lt_arena_strndup(c->arena, (const char *)file.data, size);
    lt_file_unmap(&file);
    return text;
}

static bool wait_for(Command *c, pid_t child, const char *what, const char *words) {
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return fail(c, c->argv[0]);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    lt_error(c->diags, LATHE_FAILED, NULL, "%s %s failed: %s", what, c->argv[0],
             read_text(c, words));
    return false;
}

bool lt_command_run(Command *c, const char *what, const char *hint) {
    const char *words = lt_command_file(c, "words");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, words, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t child;
    c->argv[c->argc] = NULL;
    const int error =
        posix_spawnp(&child, c->argv[0], &actions, NULL, (char *const *)c->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) {
        lt_error(c->diags, LATHE_MACHINE, NULL, "%s %s cannot be run: %s (%s)", what, c->argv[0],
                 strerror(error), hint);
        return false;
    }
    return wait_for(c, child, what, words);
}

bool lt_command_result(Command *c, const char *path, ObjectCode *out) {
    char reason[128];
    if (!lt_file_map(&out->file, path, reason, sizeof reason)) {
        lt_error(c->diags, LATHE_IO, NULL, "what %s wrote: %s", c->argv[0], reason);
        return false;
    }
    out->data = (const char *)out->file.data;
    out->size = out->file.size;
    return true;
}

/* --- life --- */

bool lt_command_open(Command *c, Arena *arena, DiagList *diags, const char *program) {
    const char *base = getenv("TMPDIR");
    *c = (Command){.arena = arena, .diags = diags};
    char *folder = lt_arena_printf(arena, "%s/lathe-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        return fail(c, folder);
    c->folder = folder;
    lt_command_add(c, program);
    return true;
}

void lt_command_close(Command *c) {
    for (size_t i = 0; i < c->files.len; i++)
        unlink(c->files.data[i]);
    rmdir(c->folder);
}
