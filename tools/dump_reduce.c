/* dump_reduce.c - `lathe-dump --reduce COMMAND`: reduce.c with a command that judges. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tools/dump.h"
#include "tools/reduce.h"
#include "tools/temporary.h"

extern char **environ;

enum { EXIT_FAILED = 1, EXIT_USE = 2, EXIT_IO = 74, NOT_FOUND = 127, NOT_EXECUTABLE = 126 };

typedef struct Judge {
    const char *command;
    const char *path;  /* of the file that it judges */
    const char *title; /* not NULL: a line on stderr tells how far it is */
    int exit_code;     /* of the command's last run; -1: it was killed or did not start */
    bool cannot_write;
} Judge;

/* Ctrl-C ends the search, not the program: what was found so far is printed. */
static volatile sig_atomic_t is_stopped;

static void stop(int number) {
    (void)number;
    is_stopped = 1;
}

static bool write_file(const char *path, const char *text) {
    OutputFile out;
    if (!lt_output_open(&out, path))
        return false;
    lt_output_write(&out, text, strlen(text));
    return lt_output_commit(&out, 0644);
}

/* The shell splits the command into words; the path becomes one more. What the command prints is
 * not shown: it runs some hundred times. */
static int run_command(const Judge *judge) {
    Arena arena;
    lt_arena_init(&arena);
    char *line = lt_arena_printf(&arena, "%s \"$@\"", judge->command);
    char *words[] = {"sh", "-c", line, "sh", (char *)(uintptr_t)judge->path, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child;
    int status = -1;
    if (posix_spawn(&child, "/bin/sh", &actions, NULL, words, environ) == 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue;
    posix_spawn_file_actions_destroy(&actions);
    lt_arena_free(&arena);
    return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_interesting(void *user, const char *text) {
    Judge *judge = user;
    if (is_stopped)
        return false;
    if (!write_file(judge->path, text)) {
        judge->cannot_write = true;
        return false;
    }
    judge->exit_code = run_command(judge);
    return judge->exit_code == 0 && !is_stopped;
}

static void show_progress(void *user, int tries, size_t bytes) {
    const Judge *judge = user;
    if (!judge->title || is_stopped)
        return;
    fprintf(stderr, "\r\033[K%s: reduced to %zu bytes, %d tries", judge->title, bytes, tries);
    fflush(stderr);
}

static int refuse(const Judge *judge) {
    if (judge->cannot_write) {
        fprintf(stderr, "%s: error: cannot write: %s\n", judge->path, strerror(errno));
        return EXIT_IO;
    }
    bool missing = judge->exit_code == NOT_FOUND || judge->exit_code == NOT_EXECUTABLE;
    fprintf(stderr, "lathe-dump: error: '%s' %s\n", judge->command,
            missing ? "cannot be run"
                    : "does not find the model interesting as it is (exit code 0 says that it is)");
    return missing ? EXIT_USE : EXIT_FAILED;
}

static int reduce(Compilation *c, Judge *judge) {
    Str text;
    lt_str_init(&text, &c->arena);
    lt_module_print(&text, c->ctx.module);
    if (!is_interesting(judge, text.text))
        return refuse(judge);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    Reduction reduction = {
        .is_interesting = is_interesting, .progress = show_progress, .user = judge};
    const char *reduced = lt_reduce(&reduction, &c->arena, text.text);
    if (judge->title)
        fputs("\r\033[K", stderr);
    if (judge->cannot_write)
        return refuse(judge);
    fprintf(stderr, "%s: %zu bytes of IR became %zu; %d of %d tries were interesting\n", c->path,
            text.len, strlen(reduced), reduction.kept, reduction.tries);
    fputs(reduced, stdout);
    if (is_stopped)
        fprintf(stderr, "%s: error: stopped before the smallest was found\n", c->path);
    return is_stopped ? EXIT_FAILED : 0;
}

int lt_dump_reduce(Compilation *c, const char *command) {
    const char *path = lt_temporary_new(&c->arena, "model.lir");
    if (!path)
        return lt_compile_fail(c, c->path, EXIT_IO, "no folder for candidates can be made: %s",
                               strerror(errno));
    Judge judge = {
        .command = command, .path = path, .title = isatty(STDERR_FILENO) ? c->path : NULL};
    int code = reduce(c, &judge);
    lt_temporary_remove();
    return code;
}
