/* nvrtc_check.c - `nvrtc_check LIBNVRTC --gpu-architecture=sm_80 FILE.cu`: whether NVIDIA's NVRTC
 * compiles a text; what it says goes to stderr. A process of its own, since NVRTC opens the driver,
 * and would take the tests' for NVIDIA's. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 24 };

/* In the order of `names`. */
typedef struct Nvrtc {
    int (*create)(void **program, const char *text, const char *name, int header_count,
                  const char *const *headers, const char *const *header_names);
    int (*compile)(void *program, int count, const char *const *options);
    int (*log_size)(void *program, size_t *size);
    int (*log)(void *program, char *log);
} Nvrtc;
static const char *const names[] = {"nvrtcCreateProgram", "nvrtcCompileProgram",
                                    "nvrtcGetProgramLogSize", "nvrtcGetProgramLog"};
enum { CALLS = sizeof names / sizeof *names };

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, MOST_BYTES + 1);
    if (!file || !text || fread(text, 1, MOST_BYTES, file) == 0) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return text;
}

static void open_library(const char *path, Nvrtc *n) {
    void *library = dlopen(path, RTLD_NOW), *found[CALLS];
    for (int i = 0; i < CALLS; i++)
        if (!library || !(found[i] = dlsym(library, names[i]))) {
            fprintf(stderr, "%s\n", dlerror());
            exit(2);
        }
    memcpy(n, found, sizeof found);
}

int main(int argc, char **argv) {
    Nvrtc n;
    void *program = NULL;
    size_t size = 0;
    if (argc != 4)
        return 2;
    open_library(argv[1], &n);
    const char *const options[] = {argv[2], "--std=c++17"};
    if (n.create(&program, read_text(argv[3]), "model.cu", 0, NULL, NULL))
        return 2;
    if (n.compile(program, 2, options) == 0)
        return 0;
    char *log = n.log_size(program, &size) == 0 ? calloc(1, size + 1) : NULL;
    if (log && n.log(program, log) == 0)
        fprintf(stderr, "%s\n", log);
    return 1;
}
