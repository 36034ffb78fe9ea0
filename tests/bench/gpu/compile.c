/* compile.c - lathec makes an artifact of every case and model, several at once: nvcc takes some
 * seconds for each. What lathec said of those that failed stands in a file beside them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tests/bench/gpu/gpu.h"

enum { MOST_JOBS = 64, MOST_WORDS = 16 };

static const char *file_of(Arena *arena, size_t index, const char *suffix) {
    return lt_arena_printf(arena, GPU_FOLDER "/%zu%s", index, suffix);
}

static bool write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    const bool is_written = file && fputs(text, file) >= 0;
    return file && fclose(file) == 0 && is_written;
}

/* Never returns: in the child. */
static void run_lathec(GpuBench *bench, size_t index) {
    const GpuOptions *o = bench->options;
    Arena *arena = bench->arena;
    const size_t cases = bench->cases.len;
    const GpuModel *model = index < cases ? NULL : &bench->models.data[index - cases];
    const char *words[MOST_WORDS] = {o->lathec};
    int count = 1;
    words[count++] = !model        ? file_of(arena, index, ".lir")
                     : model->path ? model->path
                                   : lt_arena_printf(arena, "build/models/%s.onnx", model->name);
    words[count++] = "--target";
    words[count++] = lt_arena_printf(arena, "cuda:sm_%d", bench->gpu.capability);
    words[count++] = "-o";
    words[count++] = file_of(arena, index, ".so");
    if (o->cuda_jit)
        words[count++] = "--cuda-jit";
    if (!model && bench->cases.data[index].precision) {
        words[count++] = "--precision";
        words[count++] = bench->cases.data[index].precision;
    }
    const int log = open(file_of(arena, index, ".log"), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execvp(words[0], (char *const *)words);
    fprintf(stderr, "%s: %s\n", words[0], strerror(errno));
    _exit(127);
}

static void wait_one(int *running) {
    int status;
    if (wait(&status) > 0)
        --*running;
    else
        *running = 0;
}

void gpu_compile(GpuBench *bench) {
    const size_t cases = bench->cases.len, count = cases + bench->models.len;
    const int jobs = bench->options->jobs > MOST_JOBS ? MOST_JOBS : (int)bench->options->jobs;
    int running = 0;
    mkdir(GPU_FOLDER, 0777);
    for (size_t i = 0; i < count; i++) {
        unlink(file_of(bench->arena, i, ".so"));
        if (i < cases)
            write_text(file_of(bench->arena, i, ".lir"),
                       gpu_case_text(bench->arena, &bench->cases.data[i]));
        while (running >= jobs)
            wait_one(&running);
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0)
            run_lathec(bench, i);
        running += child > 0;
    }
    while (running > 0)
        wait_one(&running);
}

/* The first error that lathec wrote. */
static const char *read_trouble(Arena *arena, const char *path) {
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, path, reason, sizeof reason))
        return "lathec did not run";
    const char *text = lt_arena_strndup(arena, (const char *)file.data, file.size);
    lt_file_unmap(&file);
    const char *found = strstr(text, "error: ");
    found = found ? found + strlen("error: ") : text;
    return lt_arena_strndup(arena, found, strcspn(found, "\n"));
}

const char *gpu_artifact(const GpuBench *bench, size_t index, const char **trouble) {
    const char *path = file_of(bench->arena, index, ".so");
    if (access(path, R_OK) == 0)
        return path;
    *trouble = read_trouble(bench->arena, file_of(bench->arena, index, ".log"));
    return NULL;
}
