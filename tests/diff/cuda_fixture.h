/* cuda_fixture.h - programs as CUDA-C, run under codegen/cuda/emulate.h.
 *
 * Runs are collected first: the text of each program goes into one file, so that the C++ compiler
 * is started once, and the tensors are kept. Then all of them run, every access checked. */
#ifndef LATHE_TESTS_CUDA_FIXTURE_H
#define LATHE_TESTS_CUDA_FIXTURE_H

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "tests/diff/lower_fixture.h"

enum { MOST_TENSORS = 16, MOST_SYMBOLS = 24 };

typedef struct CudaRun {
    const char *name, *listing;
    const void *weights;
    int64_t weights_size;
    int64_t dims[MOST_SYMBOLS];
    int found[MOST_TENSORS]; /* by output: where dims has what the run finds; -1: nothing */
    uint32_t input_count, output_count;
    Tensor *inputs[MOST_TENSORS], *outputs[MOST_TENSORS], *expected[MOST_TENSORS];
} CudaRun;

typedef struct CudaRuns {
    Arena arena; /* of what outlives the modules */
    Vec(CudaRun) runs;
    Map names; /* text of a program -> its name */
    Str source;
} CudaRuns;
static CudaRuns cuda_runs;

typedef int64_t ArenaBytesFn(const int64_t *dims);
typedef int RunFn(const void *const *inputs, void **outputs, int64_t *dims, const void *weights,
                  void *arena, void *stream);
typedef const char *ErrorFn(void);
typedef void MemoryFn(const void *begin, size_t bytes);

static inline void cuda_begin(void) {
    lt_arena_init(&cuda_runs.arena);
    cuda_runs.runs.len = cuda_runs.runs.cap = 0;
    lt_map_init(&cuda_runs.names, &cuda_runs.arena);
    lt_str_init(&cuda_runs.source, &cuda_runs.arena);
    lt_str_append(&cuda_runs.source, "#include \"codegen/cuda/emulate.h\"\n");
}

/* Cases are lowered at that level and above (below 2, without schedules, a kernel is one thread),
 * and what `check` passes on to cuda_collect runs in the end. */
static inline void cuda_begin_cases(int first_level, CheckMore *check) {
    lower_target = "cuda";
    lower_first_level = first_level;
    check_more = check;
    cuda_begin();
}

/* --- collecting --- */

static inline Tensor *keep_tensor(const Tensor *t) {
    Tensor *copy = lt_tensor_new(&cuda_runs.arena, t->dtype, t->rank, t->dims);
    memcpy(copy->data, t->data, lt_tensor_bytes(t));
    return copy;
}

/* As --weights writes them. */
static inline void keep_weights(const Program *p, CudaRun *run) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/lathe-cuda-%ld.weights", (long)getpid());
    run->weights_size = p->weights_size;
    if (p->weights_size == 0)
        return;
    ck_assert(lt_codegen_weights(p, path, &p->module->diags));
    MappedFile file;
    char error[128];
    ck_assert(lt_file_map(&file, path, error, sizeof error));
    ck_assert_int_eq(file.size, p->weights_size);
    void *copy = lt_arena_alloc_aligned(&cuda_runs.arena, file.size, 256);
    memcpy(copy, file.data, file.size);
    run->weights = copy;
    lt_file_unmap(&file);
    unlink(path);
}

/* The values of the symbols that are dims of inputs, in the order of the table; then there is room
 * for those of outputs that depend on data. */
static inline void keep_dims(const Module *m, const Tensor *const *inputs, CudaRun *run) {
    int64_t *dims = run->dims;
    int count = 0;
    for (size_t symbol = 0; symbol < m->dims.symbols.len; symbol++) {
        bool is_told = false;
        for (size_t i = 0; i < m->main->inputs.len && !is_told; i++) {
            const Type *type = m->main->inputs.data[i]->type;
            for (int axis = 0; axis < type->rank && !is_told; axis++) {
                is_told = type->dims[axis] == m->dims.symbols.data[symbol].dim;
                if (is_told)
                    dims[count] = inputs[i]->dims[axis];
            }
        }
        ck_assert_int_lt(count, MOST_SYMBOLS);
        count += is_told;
    }
    for (uint32_t i = 0; i < run->output_count; i++) {
        const Type *type = lt_input(lt_graph_yield(m->main), i)->type;
        run->found[i] = lt_type_is_data(m, type) ? count : -1;
        count += lt_type_is_data(m, type) ? type->rank : 0;
        ck_assert_int_le(count, MOST_SYMBOLS);
    }
}

static inline const char *cuda_text(const Program *p, const char *name) {
    const CodegenOptions options = {.target = lt_target_find("cuda"), .static_name = name};
    Str text;
    lt_str_init(&text, p->module->arena);
    const bool is_good = lt_codegen_cuda(p, &options, &text, &p->module->diags);
    ck_assert_msg(is_good, "%s", first_diag(p->module));
    return text.text;
}

/* A CheckMore. */
static inline void cuda_collect(const Program *p, const Tensor *const *inputs,
                                const Tensor *const *expected, const char *listing) {
    Arena *arena = &cuda_runs.arena;
    const char *text = cuda_text(p, "program");
    CudaRun run = {.input_count = (uint32_t)p->module->main->inputs.len,
                   .output_count = lt_graph_yield(p->module->main)->input_count};
    run.name = lt_strmap_get(&cuda_runs.names, text);
    if (!run.name) {
        run.name = lt_arena_printf(arena, "case_%zu", cuda_runs.runs.len);
        lt_strmap_set(&cuda_runs.names, lt_arena_strdup(arena, text), (void *)run.name);
        lt_str_printf(&cuda_runs.source, "namespace %s {\n%s\n}\n", run.name,
                      cuda_text(p, run.name));
    }
    run.listing = lt_arena_printf(arena, "%.900s\n%.1800s", listing, strstr(text, "#endif\n"));
    for (uint32_t i = 0; i < run.input_count; i++)
        run.inputs[i] = keep_tensor(inputs[i]);
    for (uint32_t i = 0; i < run.output_count; i++) {
        run.expected[i] = keep_tensor(expected[i]);
        run.outputs[i] = keep_tensor(expected[i]);
        memset(run.outputs[i]->data, 0xff, lt_tensor_bytes(run.outputs[i]));
    }
    keep_weights(p, &run);
    keep_dims(p->module, inputs, &run);
    lt_vec_push(arena, &cuda_runs.runs, run);
}

/* --- running --- */

__attribute__((format(printf, 1, 2))) static inline void shell(const char *format, ...) {
    char command[512];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "failed: %s", command);
}

/* All that was collected as a shared object, in this process. */
static inline void *cuda_load(bool is_checked) {
    char stem[64], path[80];
    snprintf(stem, sizeof stem, "/tmp/lathe-cuda-%ld", (long)getpid());
    snprintf(path, sizeof path, "%s.cu", stem);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(cuda_runs.source.text, file);
    ck_assert_int_eq(fclose(file), 0);
    shell("g++ -std=c++17 -O1 -Wall -Wextra -Wshadow -Werror -Wno-unknown-pragmas -I. -fPIC %s "
          "-x c++ -c %s.cu -o %s.o",
          is_checked ? "-fsanitize=thread,bounds" : "", stem, stem);
    snprintf(path, sizeof path, "%s.so", stem);
    shell("g++ -shared %s.o -o %s", stem, path);
    void *code = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(code != NULL, "%s", dlerror());
    if (!getenv("KEEP"))
        shell("rm -f %s.cu %s.o %s.so", stem, stem, stem);
    return code;
}

static inline void *find(void *code, const char *name, const char *suffix) {
    char symbol[128];
    snprintf(symbol, sizeof symbol, "%s%s", name, suffix);
    void *found = dlsym(code, symbol);
    ck_assert_msg(found != NULL, "there is no %s", symbol);
    return found;
}

/* Data pointers become functions as dlsym's users do it. */
#define FIND(type, code, name, suffix) ((type *)(uintptr_t)find(code, name, suffix))

/* What the run found and allocated becomes the output. */
static inline void take_found(CudaRun *run, uint32_t i, void *data) {
    const int64_t *dims = run->dims + run->found[i];
    for (int axis = 0; axis < run->expected[i]->rank; axis++)
        ck_assert_msg(dims[axis] == run->expected[i]->dims[axis],
                      "%s: axis %d of output %u is %lld, not %lld, in\n%s", run->name, axis, i,
                      (long long)dims[axis], (long long)run->expected[i]->dims[axis], run->listing);
    memcpy(run->outputs[i]->data, data, lt_tensor_bytes(run->outputs[i]));
    free(data);
}

static inline void cuda_run_one(void *code, CudaRun *run) {
    const void *inputs[MOST_TENSORS];
    void *outputs[MOST_TENSORS];
    MemoryFn *memory = FIND(MemoryFn, code, "emulate_memory", "");
    const int64_t bytes = FIND(ArenaBytesFn, code, run->name, "_arena_bytes")(run->dims);
    ck_assert_int_ge(bytes, 0);
    void *arena = aligned_alloc(256, (size_t)(bytes + 256) / 256 * 256);
    memset(arena, 0xff, (size_t)bytes);
    memory(NULL, 0);
    memory(arena, (size_t)bytes);
    memory(run->weights ? run->weights : arena, (size_t)(run->weights ? run->weights_size : 0));
    for (uint32_t i = 0; i < run->input_count; i++) {
        inputs[i] = run->inputs[i]->data;
        memory(inputs[i], lt_tensor_bytes(run->inputs[i]));
    }
    for (uint32_t i = 0; i < run->output_count; i++) {
        outputs[i] = run->found[i] < 0 ? run->outputs[i]->data : NULL;
        memory(run->outputs[i]->data, lt_tensor_bytes(run->outputs[i]));
    }
    const int status =
        FIND(RunFn, code, run->name, "_run")(inputs, outputs, run->dims, run->weights, arena, NULL);
    const char *error = FIND(ErrorFn, code, "emulate_error", "")();
    ck_assert_msg(!error && status == 0, "%s: status %d: %s, in\n%s", run->name, status,
                  error ? error : "", run->listing);
    for (uint32_t i = 0; i < run->output_count; i++)
        if (run->found[i] >= 0)
            take_found(run, i, outputs[i]);
    for (uint32_t i = 0; i < run->output_count; i++)
        check_equal(run->outputs[i], run->expected[i], run->listing);
    free(arena);
}

/* Compiles and runs all; gives how many there were. */
static inline size_t cuda_finish(void) {
    const size_t count = cuda_runs.runs.len;
    void *code = cuda_load(true);
    for (size_t i = 0; i < count; i++)
        cuda_run_one(code, &cuda_runs.runs.data[i]);
    dlclose(code);
    lt_arena_free(&cuda_runs.arena);
    return count;
}

/* --- cases of many lengths and dtypes --- */

/* In text, N is a length and T a dtype. */
static inline const char *filled(Arena *arena, const char *text, int64_t length,
                                 const char *dtype) {
    Str out;
    lt_str_init(&out, arena);
    for (; *text; text++) {
        if (*text == 'N')
            lt_str_printf(&out, "%lld", (long long)length);
        else if (*text == 'T')
            lt_str_append(&out, dtype);
        else
            lt_str_char(&out, *text);
    }
    return out.text;
}

static inline void check_filled(const Case *forms, size_t count, int64_t length,
                                const char *dtype) {
    Arena arena;
    lt_arena_init(&arena);
    for (size_t i = 0; i < count; i++)
        check_case(&(Case){filled(&arena, forms[i].inputs, length, dtype),
                           filled(&arena, forms[i].body, length, dtype)});
    lt_arena_free(&arena);
}
#define CHECK_FILLED(forms, length, dtype) \
    check_filled(forms, sizeof(forms) / sizeof *(forms), length, dtype)

#endif
