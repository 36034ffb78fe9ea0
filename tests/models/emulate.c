/* emulate.c - `emulate MODEL.so NAME WEIGHTS INPUT.npy... -- WANTED.npy OUT.npy...`: runs what
 * --emit cuda wrote, compiled behind codegen/cuda/emulate.h, and writes each output, whose shape is
 * that of the wanted one.
 *
 * A symbol of the model, if there is one, is the first dim of the first input. WEIGHTS is - where
 * there are none. Exit code 1: the emulation found a fault; 2: a file cannot be used. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "tools/npy.h"

enum { MOST = 32, ALIGN = 256 };

typedef struct Run {
    Arena arena;
    void *code;
    const char *name;
    HostTensor inputs[MOST], outputs[MOST];
    int input_count, output_count;
    const char *out_paths[MOST];
} Run;

static _Noreturn void stop(const char *what, const char *why) {
    fprintf(stderr, "emulate: %s: %s\n", what, why ? why : "");
    exit(2);
}

static HostTensor read_array(Run *r, const char *path) {
    HostTensor t;
    const char *error = NULL;
    if (lt_npy_read(&r->arena, path, &t, &error))
        stop(path, error);
    return t;
}

static void *find(Run *r, const char *suffix) {
    char symbol[256];
    snprintf(symbol, sizeof symbol, "%s%s", r->name, suffix);
    void *found = dlsym(r->code, suffix[0] == '_' ? symbol : suffix);
    if (!found)
        stop(symbol, "is not there");
    return found;
}

static void read_arguments(Run *r, int argc, char **argv) {
    int i = 4;
    for (; i < argc && strcmp(argv[i], "--") != 0 && r->input_count < MOST; i++)
        r->inputs[r->input_count++] = read_array(r, argv[i]);
    for (i++; i + 1 < argc && r->output_count < MOST; i += 2) {
        r->out_paths[r->output_count] = argv[i + 1];
        r->outputs[r->output_count++] = read_array(r, argv[i]);
    }
    if (!r->input_count || !r->output_count)
        stop("usage", "emulate MODEL.so NAME WEIGHTS INPUT.npy... -- WANTED.npy OUT.npy...");
}

static const void *read_weights(Run *r, const char *path) {
    MappedFile file;
    char error[128];
    if (strcmp(path, "-") == 0)
        return NULL;
    if (!lt_file_map(&file, path, error, sizeof error))
        stop(path, error);
    void *copy = lt_arena_alloc_aligned(&r->arena, file.size, ALIGN);
    return memcpy(copy, file.data, file.size);
}

static int run(Run *r, const void *weights) {
    typedef int64_t ArenaBytesFn(const int64_t *);
    typedef int RunFn(const void *const *, void *const *, const int64_t *, const void *, void *,
                      void *);
    typedef const char *ErrorFn(void);
    const void *inputs[MOST];
    void *outputs[MOST];
    const int64_t dims[] = {r->inputs[0].rank ? r->inputs[0].dims[0] : 1};
    for (int i = 0; i < r->input_count; i++)
        inputs[i] = r->inputs[i].data;
    for (int i = 0; i < r->output_count; i++)
        outputs[i] = memset(r->outputs[i].data, 0xff, r->outputs[i].bytes);
    const int64_t bytes = ((ArenaBytesFn *)(uintptr_t)find(r, "_arena_bytes"))(dims);
    void *arena = lt_arena_alloc_aligned(&r->arena, (size_t)bytes + 1, ALIGN);
    const int status = ((RunFn *)(uintptr_t)find(r, "_run"))(inputs, outputs, dims, weights, arena,
                                                             NULL);
    const char *error = ((ErrorFn *)(uintptr_t)find(r, "emulate_error"))();
    if (status)
        fprintf(stderr, "emulate: status %d: %s\n", status, error ? error : "?");
    return status != 0;
}

int main(int argc, char **argv) {
    Run r = {.name = argc > 2 ? argv[2] : ""};
    lt_arena_init(&r.arena);
    read_arguments(&r, argc, argv);
    r.code = dlopen(argv[1], RTLD_NOW);
    if (!r.code)
        stop(argv[1], dlerror());
    const int code = run(&r, read_weights(&r, argv[3]));
    for (int i = 0; i < r.output_count && code == 0; i++)
        if (!lt_npy_write(&r.arena, r.out_paths[i], &r.outputs[i]))
            stop(r.out_paths[i], "cannot be written");
    lt_arena_free(&r.arena);
    return code;
}
