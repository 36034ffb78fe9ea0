/* emulate.c - `emulate MODEL.so MODEL.cu NAME WEIGHTS INPUT.npy... -- WANTED.npy OUT.npy...`: runs
 * what --emit cuda wrote, compiled behind codegen/cuda/emulate.h, and writes each output, whose
 * shape is that of the wanted one, or what the run found.
 *
 * What MODEL.cu says of `dims` in its first comment is how they are filled. WEIGHTS is - where
 * there are none. Exit code 1: the emulation found a fault; 2: a file cannot be used. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "tools/npy.h"

enum { MOST = 32, ALIGN = 256, MOST_DIMS = 64, LINE = 4096 };

typedef struct Run {
    Arena arena;
    void *code;
    const char *name;
    HostTensor inputs[MOST], outputs[MOST];
    int input_count, output_count;
    const char *out_paths[MOST];
    int64_t dims[MOST_DIMS];
    int found[MOST]; /* by output: where its extents are in dims; -1: the wanted one has them */
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
    int i = 5;
    for (; i < argc && strcmp(argv[i], "--") != 0 && r->input_count < MOST; i++)
        r->inputs[r->input_count++] = read_array(r, argv[i]);
    for (i++; i + 1 < argc && r->output_count < MOST; i += 2) {
        r->out_paths[r->output_count] = argv[i + 1];
        r->outputs[r->output_count++] = read_array(r, argv[i]);
    }
    if (!r->input_count || !r->output_count)
        stop("usage",
             "emulate MODEL.so MODEL.cu NAME WEIGHTS INPUT.npy... -- WANTED.npy OUT.npy...");
}

/* "// dims[1]: seq, axis 0 of input 2", "// dims[2]: axis 0 of output 0, which the run finds". */
static void read_dims(Run *r, const char *path) {
    char line[LINE];
    FILE *file = fopen(path, "r");
    if (!file)
        stop(path, "cannot be read");
    for (int i = 0; i < MOST; i++)
        r->found[i] = -1;
    while (fgets(line, sizeof line, file) && strncmp(line, "//", 2) == 0) {
        int number, axis, tensor;
        const char *what = strstr(line, "axis ");
        if (sscanf(line, "// dims[%d]:", &number) != 1 || !what || number < 0 ||
            number >= MOST_DIMS)
            continue;
        if (sscanf(what, "axis %d of input %d", &axis, &tensor) == 2 && tensor < r->input_count &&
            axis < r->inputs[tensor].rank)
            r->dims[number] = r->inputs[tensor].dims[axis];
        else if (sscanf(what, "axis %d of output %d", &axis, &tensor) == 2 &&
                 tensor < r->output_count && axis == 0)
            r->found[tensor] = number;
    }
    fclose(file);
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

static void take_found(Run *r, int output, void *data) {
    HostTensor *t = &r->outputs[output];
    const int64_t wanted = lt_host_tensor_count(t);
    const size_t element = wanted ? t->bytes / (size_t)wanted : 0;
    memcpy(t->dims, r->dims + r->found[output], (size_t)t->rank * sizeof *t->dims);
    t->bytes = element * (size_t)lt_host_tensor_count(t);
    t->data = data;
}

static int run(Run *r, const void *weights) {
    typedef int64_t ArenaBytesFn(const int64_t *);
    typedef int RunFn(const void *const *, void **, int64_t *, const void *, void *, void *);
    typedef const char *ErrorFn(void);
    const void *inputs[MOST];
    void *outputs[MOST];
    for (int i = 0; i < r->input_count; i++)
        inputs[i] = r->inputs[i].data;
    for (int i = 0; i < r->output_count; i++)
        outputs[i] =
            r->found[i] < 0 ? memset(r->outputs[i].data, 0xff, r->outputs[i].bytes) : NULL;
    const int64_t bytes = ((ArenaBytesFn *)(uintptr_t)find(r, "_arena_bytes"))(r->dims);
    void *arena = lt_arena_alloc_aligned(&r->arena, (size_t)bytes + 1, ALIGN);
    const int status = ((RunFn *)(uintptr_t)find(r, "_run"))(inputs, outputs, r->dims, weights,
                                                             arena, NULL);
    const char *error = ((ErrorFn *)(uintptr_t)find(r, "emulate_error"))();
    if (status)
        fprintf(stderr, "emulate: status %d: %s\n", status, error ? error : "?");
    for (int i = 0; i < r->output_count && status == 0; i++)
        if (r->found[i] >= 0)
            take_found(r, i, outputs[i]);
    return status != 0;
}

int main(int argc, char **argv) {
    Run r = {.name = argc > 3 ? argv[3] : ""};
    lt_arena_init(&r.arena);
    read_arguments(&r, argc, argv);
    read_dims(&r, argv[2]);
    r.code = dlopen(argv[1], RTLD_NOW);
    if (!r.code)
        stop(argv[1], dlerror());
    const int code = run(&r, read_weights(&r, argv[4]));
    for (int i = 0; i < r.output_count && code == 0; i++)
        if (!lt_npy_write(&r.arena, r.out_paths[i], &r.outputs[i]))
            stop(r.out_paths[i], "cannot be written");
    lt_arena_free(&r.arena);
    return code;
}
