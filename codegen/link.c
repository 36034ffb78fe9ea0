/* link.c - joining object code with LLVM's linker, ld.lld.
 *
 * Files go through a private folder that is removed on every path. Names in it are fixed and the
 * linker gets no build id, so that what it writes depends on the objects alone. The linker is
 * looked for in $LATHE_LD, beside the LLVM that this compiler was built with, and in the PATH. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "lathe/runtime.h"
#include "runtime/base/file.h"

#ifndef LATHE_LLVM_BINDIR
#define LATHE_LLVM_BINDIR "/usr/lib/llvm-19/bin"
#endif

extern char **environ;

enum { MAX_ARGUMENTS = 64, MAX_NAME = 32 };

typedef struct LinkJob {
    Arena *arena;
    DiagList *diags;
    const char *folder;
    const char *argv[MAX_ARGUMENTS];
    int argc;
    Vec(const char *) files; /* to be removed */
} LinkJob;

static bool fail(LinkJob *job, const char *what) {
    lt_error(job->diags, LATHE_IO, NULL, "%s: %s", what, strerror(errno));
    return false;
}

static void add_argument(LinkJob *job, const char *text) {
    if (job->argc < MAX_ARGUMENTS - 1)
        job->argv[job->argc++] = text;
}

static const char *job_file(LinkJob *job, const char *name) {
    const char *path = lt_arena_printf(job->arena, "%s/%s", job->folder, name);
    lt_vec_push(job->arena, &job->files, path);
    return path;
}

static bool write_all(int fd, const void *data, size_t size) {
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

static bool write_file(LinkJob *job, const char *path, const void *data, size_t size) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(job, path);
    const bool is_written = write_all(fd, data, size);
    return (close(fd) == 0 && is_written) || fail(job, path);
}

/* The objects and what their names in the command are. */
static bool write_objects(LinkJob *job, const ObjectCode *objects, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char name[MAX_NAME];
        snprintf(name, sizeof name, "%zu.o", i);
        const char *path = job_file(job, name);
        if (!write_file(job, path, objects[i].data, objects[i].size))
            return false;
        lt_arena_release(job->arena, objects[i].data);
        add_argument(job, path);
    }
    return true;
}

/* --- running the linker --- */

static const char *find_linker(void) {
    const char *chosen = getenv("LATHE_LD");
    if (chosen && *chosen)
        return chosen;
    static const char beside[] = LATHE_LLVM_BINDIR "/ld.lld";
    return access(beside, X_OK) == 0 ? beside : "ld.lld";
}

static const char *read_text(LinkJob *job, const char *path) {
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, path, reason, sizeof reason))
        return "";
    size_t size = file.size;
    while (size > 0 && file.data[size - 1] == '\n')
        size--;
    const char *text = lt_arena_strndup(job->arena, (const char *)file.data, size);
    lt_file_unmap(&file);
    return text;
}

static bool wait_for(LinkJob *job, pid_t child, const char *words) {
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return fail(job, job->argv[0]);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    lt_error(job->diags, LATHE_FAILED, NULL, "linking with %s failed: %s", job->argv[0],
             read_text(job, words));
    return false;
}

static bool run_linker(LinkJob *job) {
    const char *words = job_file(job, "words");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, words, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t child;
    job->argv[job->argc] = NULL;
    const int error =
        posix_spawnp(&child, job->argv[0], &actions, NULL, (char *const *)job->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) {
        lt_error(job->diags, LATHE_MACHINE, NULL,
                 "the linker %s cannot be run: %s (LATHE_LD names another; the package is lld-19)",
                 job->argv[0], strerror(error));
        return false;
    }
    return wait_for(job, child, words);
}

/* The mapping outlives the file's name. */
static bool read_result(LinkJob *job, const char *path, ObjectCode *out) {
    char reason[128];
    if (!lt_file_map(&out->file, path, reason, sizeof reason)) {
        lt_error(job->diags, LATHE_IO, NULL, "the linker's output: %s", reason);
        return false;
    }
    out->data = (const char *)out->file.data;
    out->size = out->file.size;
    return true;
}

/* --- jobs --- */

static bool open_job(LinkJob *job, Arena *arena, DiagList *diags) {
    const char *base = getenv("TMPDIR");
    *job = (LinkJob){.arena = arena, .diags = diags};
    char *folder = lt_arena_printf(arena, "%s/lathe-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        return fail(job, folder);
    job->folder = folder;
    add_argument(job, find_linker());
    return true;
}

static void close_job(LinkJob *job) {
    for (size_t i = 0; i < job->files.len; i++)
        unlink(job->files.data[i]);
    rmdir(job->folder);
}

/* `library` may be NULL. */
static bool finish(LinkJob *job, const ObjectCode *objects, size_t count, const char *library,
                   ObjectCode *out) {
    const char *result = job_file(job, "out");
    add_argument(job, "-o");
    add_argument(job, result);
    if (!write_objects(job, objects, count))
        return false;
    if (library)
        add_argument(job, library);
    return run_linker(job) && read_result(job, result, out);
}

static bool write_map(LinkJob *job, const char *symbol) {
    const char *path = job_file(job, "map");
    const char *text = lt_arena_printf(job->arena, "{ global: %s; local: *; };\n", symbol);
    add_argument(job, lt_arena_printf(job->arena, "--version-script=%s", path));
    return write_file(job, path, text, strlen(text));
}

static bool needs_libm(const ObjectCode *objects, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (objects[i].needs_libm)
            return true;
    }
    return false;
}

static void add_options(LinkJob *job, const char *const *options, size_t count) {
    for (size_t i = 0; i < count; i++)
        add_argument(job, options[i]);
}

/* memcpy and memset stay open: a process that loads the artifact has the C library. */
static void add_shared_options(LinkJob *job) {
    static const char *const options[] = {"-shared",
                                          "-z",
                                          "now",
                                          "-z",
                                          "relro",
                                          "-z",
                                          "noexecstack",
                                          "--build-id=none",
                                          "--hash-style=gnu",
                                          "--gc-sections",
                                          "-O1"};
    add_options(job, options, sizeof options / sizeof *options);
}

/* --- the math library --- */

/* What math*.c and scalar.c may leave to the C library. */
static const char *const math_symbols[] = {
    "exp",   "exp2",  "expm1",  "log",  "log2",  "log1p", "sin",    "cos",   "tan",  "asin", "acos",
    "atan",  "atan2", "sinh",   "cosh", "tanh",  "asinh", "acosh",  "atanh", "erf",  "pow",  "fmod",
    "fmodf", "floor", "floorf", "ceil", "ceilf", "trunc", "truncf", "rint",  "rintf"};

enum { ELF_MACHINE_AT = 18, ELF_AARCH64 = 183 };

static const char *emulation(const ObjectCode *object) {
    return (unsigned char)object->data[ELF_MACHINE_AT] == ELF_AARCH64 ? "-maarch64linux"
                                                                      : "-melf_x86_64";
}

/* The artifact names libm.so.6, so that the loader brings it. A library made of nothing but names
 * stands in for this machine's: the result does not depend on what is installed, nor on the
 * versions of its symbols. */
static const char *make_math_library(LinkJob *job, const ObjectCode *object) {
    LinkJob stub = {.arena = job->arena, .diags = job->diags, .folder = job->folder};
    const char *names = job_file(job, "math.ld"), *library = job_file(job, "libm.so.6");
    const char *const options[] = {
        job->argv[0], emulation(object), "-shared", "-soname=libm.so.6", "--build-id=none",
        "-o",         library,           names};
    add_options(&stub, options, sizeof options / sizeof *options);
    Str script;
    lt_str_init(&script, job->arena);
    for (size_t i = 0; i < sizeof math_symbols / sizeof *math_symbols; i++)
        lt_str_printf(&script, "%s = 0;\n", math_symbols[i]);
    const bool done = write_file(job, names, script.text, script.len) && run_linker(&stub);
    for (size_t i = 0; i < stub.files.len; i++)
        unlink(stub.files.data[i]);
    return done ? library : NULL;
}

bool lt_link_shared(const ObjectCode *objects, size_t count, const char *exports, Arena *arena,
                    ObjectCode *out, DiagList *diags) {
    LinkJob job;
    if (!open_job(&job, arena, diags))
        return false;
    const char *math = NULL;
    *out = (ObjectCode){.needs_libm = needs_libm(objects, count)};
    if (out->needs_libm)
        math = make_math_library(&job, &objects[0]);
    add_shared_options(&job);
    bool done = (math || !out->needs_libm) && write_map(&job, exports);
    if (done)
        done = finish(&job, objects, count, math, out);
    close_job(&job);
    return done;
}

bool lt_link_relocatable(const ObjectCode *objects, size_t count, Arena *arena, ObjectCode *out,
                         DiagList *diags) {
    LinkJob job;
    if (!open_job(&job, arena, diags))
        return false;
    *out = (ObjectCode){.needs_libm = needs_libm(objects, count)};
    add_argument(&job, "-r");
    const bool done = finish(&job, objects, count, NULL, out);
    close_job(&job);
    return done;
}

/* --- code in this process --- */

void *lt_load_code(const ObjectCode *shared, DiagList *diags) {
    const int fd = memfd_create("lathe-kernel", MFD_CLOEXEC);
    if (fd < 0 || !write_all(fd, shared->data, shared->size)) {
        lt_error(diags, LATHE_IO, NULL, "code cannot be loaded: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    /* The loader takes two files of the same name for one: the descriptor's number may be reused,
     * its inode is not. */
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        lt_error(diags, LATHE_FAILED, NULL, "code cannot be loaded: %s", dlerror());
    close(fd);
    return handle;
}
