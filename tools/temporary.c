/* temporary.c - a private file and its folder, see temporary.h. */
#include "tools/temporary.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a signal's handler removes: paths that are ready, since it may not make any. */
static struct { char folder[PATH_MAX], file[PATH_MAX], unfinished[PATH_MAX + 32]; } paths;

static volatile sig_atomic_t maker; /* the process that writes the file, if it is another */

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
static struct sigaction before[sizeof signals / sizeof *signals];

static void remove_all(void) {
    unlink(paths.unfinished);
    unlink(paths.file);
    rmdir(paths.folder);
}

/* The default action comes when the handler is left and the signal no longer blocked. */
static void clean_up(int number) {
    if (maker) {
        kill((pid_t)maker, SIGTERM);
        while (waitpid((pid_t)maker, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    remove_all();
    signal(number, SIG_DFL);
    raise(number);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = clean_up};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

/* As runtime/base/file.c calls a file that is being written. */
static void expect_writer(pid_t writer) {
    snprintf(paths.unfinished, sizeof paths.unfinished, "%s.tmp.%ld", paths.file, (long)writer);
}

const char *lt_temporary_new(Arena *arena, const char *name) {
    const char *parent = getenv("TMPDIR");
    if (!parent || !*parent)
        parent = "/tmp";
    int length = snprintf(paths.folder, sizeof paths.folder, "%s/lathe-XXXXXX", parent);
    if (length < 0 || length >= PATH_MAX - 100) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    if (!mkdtemp(paths.folder))
        return NULL;
    const char *file = lt_arena_printf(arena, "%s/%s", paths.folder, name);
    snprintf(paths.file, sizeof paths.file, "%s", file);
    expect_writer(getpid());
    catch_signals();
    return file;
}

void lt_temporary_made_by(pid_t child) {
    maker = (sig_atomic_t)child;
    if (child) /* what it leaves behind is still known after its end */
        expect_writer(child);
}

void lt_temporary_remove(void) {
    remove_all();
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &before[i], NULL);
}
