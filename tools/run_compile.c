/* run_compile.c - a model file given to lathe-run: lathec, a process of its own, makes a temporary
 * artifact of it. So lathe-run needs no compiler in it, and starts and runs artifacts with the
 * runtime's memory alone. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/run.h"
#include "tools/temporary.h"

enum { GO_ON = -1 };

static const char compiler_name[] = "lathec";

static bool is_model(const char *path) {
    static const char *const suffixes[] = {".onnx", ".lir", ".tflite", "-symbol.json"};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t tail = strlen(suffixes[i]);
        if (length >= tail && strcasecmp(path + length - tail, suffixes[i]) == 0)
            return true;
    }
    return false;
}

/* The one beside this program, which is of the same build, or else a name to look up in PATH. */
static const char *find_compiler(Arena *arena) {
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return compiler_name;
    *slash = '\0';
    const char *beside = lt_arena_printf(arena, "%s/%s", self, compiler_name);
    return access(beside, X_OK) == 0 ? beside : compiler_name;
}

typedef Vec(const char *) Words;

static void add_word(const Run *run, Words *words, bool wanted, const char *word) {
    if (wanted)
        lt_vec_push(run->arena, words, word);
}

static void add_value(const Run *run, Words *words, const char *option, const char *value) {
    if (value)
        lt_vec_push(run->arena, words, lt_arena_printf(run->arena, "%s=%s", option, value));
}

/* The options that COMPILE_LEVEL_ROWS, COMPILE_DISABLE_ROW and lathe-run's own table took. */
static char *const *compiler_words(const Run *run) {
    const RunOptions *options = run->options;
    const CompileOptions *compile = &options->compile;
    Words words = {0};
    add_word(run, &words, true, compiler_name);
    add_word(run, &words, compile->o0, "-O0");
    add_word(run, &words, compile->o1, "-O1");
    add_word(run, &words, compile->o2, "-O2");
    add_word(run, &words, compile->o3, "-O3");
    add_word(run, &words, options->json, "--json");
    add_value(run, &words, "--schedule", compile->schedule);
    add_value(run, &words, "--disable", compile->disable);
    for (size_t i = 0; i < options->dims.len; i++)
        add_value(run, &words, "--dim", options->dims.data[i]);
    add_word(run, &words, true, "-o");
    add_word(run, &words, true, run->artifact);
    add_word(run, &words, true, "--"); /* whatever the model's name starts with */
    add_word(run, &words, true, run->path);
    lt_vec_push(run->arena, &words, NULL);
    return (char *const *)words.data;
}

/* No signal comes between the start of the compiler and the note of its id. An errno. */
static int start_compiler(const Run *run, pid_t *compiler) {
    posix_spawnattr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    int error = posix_spawnattr_init(&attributes);
    if (!error) {
        posix_spawnattr_setsigmask(&attributes, &before);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        error = posix_spawnp(compiler, find_compiler(run->arena), NULL, &attributes,
                             compiler_words(run), environ);
        posix_spawnattr_destroy(&attributes);
    }
    if (!error)
        lt_temporary_made_by(*compiler);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* Its exit code, which it has explained on standard error. */
static int wait_for_compiler(const Run *run, pid_t compiler) {
    siginfo_t end = {0};
    while (waitid(P_PID, (id_t)compiler, &end, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
    lt_temporary_made_by(0); /* before its id is free for others */
    waitpid(compiler, NULL, 0);
    if (end.si_code == CLD_EXITED)
        return end.si_status;
    return lt_run_fail(run, LATHE_FAILED, "%s was ended by signal %d (%s)", compiler_name,
                       end.si_status, strsignal(end.si_status));
}

static int compile(const Run *run) {
    pid_t compiler;
    int error = start_compiler(run, &compiler);
    if (!error)
        return wait_for_compiler(run, compiler);
    return lt_run_fail(run, LATHE_MACHINE,
                       "a model is compiled first, and %s, beside lathe-run or in PATH, cannot be"
                       " run: %s",
                       compiler_name, strerror(error));
}

int lt_run_compile(Run *run, RunOptions *options) {
    run->artifact = run->path;
    if (!is_model(run->path))
        return GO_ON;
    run->artifact = lt_temporary_new(run->arena, "model.so");
    if (!run->artifact)
        return lt_run_fail(run, LATHE_IO, "no folder for the artifact can be made: %s",
                           strerror(errno));
    int code = compile(run);
    options->dims = (CliList){0};
    if (code)
        lt_temporary_remove();
    return code ? code : GO_ON;
}
