/* link.c - joining object code with LLVM's linker, ld.lld.
 *
 * The linker gets no build id, so that what it writes depends on the objects alone. It is looked
 * for in $LATHE_LD, beside the LLVM that this compiler was built with, and in the PATH. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codegen/command.h"
#include "lathe/runtime.h"

#ifndef LATHE_LLVM_BINDIR
#define LATHE_LLVM_BINDIR "/usr/lib/llvm-19/bin"
#endif

enum { MAX_NAME = 32 };

/* The objects and what their names in the command are. */
static bool write_objects(Command *job, const ObjectCode *objects, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char name[MAX_NAME];
        snprintf(name, sizeof name, "%zu.o", i);
        const char *path = lt_command_file(job, name);
        if (!lt_command_write(job, path, objects[i].data, objects[i].size))
            return false;
        lt_arena_release(job->arena, objects[i].data);
        lt_command_add(job, path);
    }
    return true;
}

static const char *find_linker(void) {
    const char *chosen = getenv("LATHE_LD");
    if (chosen && *chosen)
        return chosen;
    static const char beside[] = LATHE_LLVM_BINDIR "/ld.lld";
    return access(beside, X_OK) == 0 ? beside : "ld.lld";
}

static bool run_linker(Command *job) {
    return lt_command_run(job, "the linker", "LATHE_LD names another; the package is lld-19");
}

/* --- jobs --- */

static bool open_job(Command *job, Arena *arena, DiagList *diags) {
    return lt_command_open(job, arena, diags, find_linker());
}

/* `library` may be NULL. */
static bool finish(Command *job, const ObjectCode *objects, size_t count, const char *library,
                   ObjectCode *out) {
    const char *result = lt_command_file(job, "out");
    lt_command_add(job, "-o");
    lt_command_add(job, result);
    if (!write_objects(job, objects, count))
        return false;
    if (library)
        lt_command_add(job, library);
    return run_linker(job) && lt_command_result(job, result, out);
}

static bool write_map(Command *job, const char *symbol) {
    const char *path = lt_command_file(job, "map");
    const char *text = lt_arena_printf(job->arena, "{ global: %s; local: *; };\n", symbol);
    lt_command_add(job, lt_arena_printf(job->arena, "--version-script=%s", path));
    return lt_command_write(job, path, text, strlen(text));
}

static bool needs_libm(const ObjectCode *objects, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (objects[i].needs_libm)
            return true;
    }
    return false;
}

static void add_options(Command *job, const char *const *options, size_t count) {
    for (size_t i = 0; i < count; i++)
        lt_command_add(job, options[i]);
}

/* memcpy and memset stay open: a process that loads the artifact has the C library. */
static void add_shared_options(Command *job) {
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
static const char *make_math_library(Command *job, const ObjectCode *object) {
    Command stub = {.arena = job->arena, .diags = job->diags, .folder = job->folder};
    const char *names = lt_command_file(job, "math.ld");
    const char *library = lt_command_file(job, "libm.so.6");
    const char *const options[] = {
        job->argv[0], emulation(object), "-shared", "-soname=libm.so.6", "--build-id=none",
        "-o",         library,           names};
    add_options(&stub, options, sizeof options / sizeof *options);
    Str script;
    lt_str_init(&script, job->arena);
    for (size_t i = 0; i < sizeof math_symbols / sizeof *math_symbols; i++)
        lt_str_printf(&script, "%s = 0;\n", math_symbols[i]);
    const bool done = lt_command_write(job, names, script.text, script.len) && run_linker(&stub);
    for (size_t i = 0; i < stub.files.len; i++)
        unlink(stub.files.data[i]);
    return done ? library : NULL;
}

bool lt_link_shared(const ObjectCode *objects, size_t count, const char *exports, Arena *arena,
                    ObjectCode *out, DiagList *diags) {
    Command job;
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
    lt_command_close(&job);
    return done;
}

bool lt_link_relocatable(const ObjectCode *objects, size_t count, Arena *arena, ObjectCode *out,
                         DiagList *diags) {
    Command job;
    if (!open_job(&job, arena, diags))
        return false;
    *out = (ObjectCode){.needs_libm = needs_libm(objects, count)};
    lt_command_add(&job, "-r");
    const bool done = finish(&job, objects, count, NULL, out);
    lt_command_close(&job);
    return done;
}

/* --- code in this process --- */

void *lt_load_code(const ObjectCode *shared, DiagList *diags) {
    const int fd = memfd_create("lathe-kernel", MFD_CLOEXEC);
    if (fd < 0 || !lt_write_all(fd, shared->data, shared->size)) {
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
