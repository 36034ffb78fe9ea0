/* test_context.c - binding tensors, running, threads, allocation, profiles. */
#include <pthread.h>
#include <sys/stat.h>

#include "lathe/runtime.h"
#include "runtime/kernels/library.h"
#include "tests/artifact.h"
#include "tests/test.h"

/* --- counting allocations: interposes glibc's, which the sanitizers do too --- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 0
static int allocations;
#else
#define COUNTS_ALLOCATIONS 1
static int allocations;
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_realloc(memory, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_memalign(alignment, size);
}
#endif

/* --- fixture: a folder with model.so; images are built once, before the tests fork --- */

static Arena arena;
static char folder[64], path[128];
static ArtifactImage image; /* the one that a test works on */
static ArtifactImage plain, fixed;

static void build(const char *flags, ArtifactImage *out) {
    if (!lt_test_artifact_build(&arena, folder, flags, out))
        exit(EXIT_FAILURE);
}

static lathe_model *open_image(const ArtifactImage *from) {
    lathe_model *model = NULL;
    image = *from;
    ck_assert(lt_test_artifact_write(&image, path, image.size));
    ck_assert_msg(lathe_model_open(path, NULL, &model) == LATHE_OK, "%s", lathe_last_error());
    return model;
}

static lathe_context *new_context(lathe_model *model, int32_t threads) {
    lathe_context *context = NULL;
    lathe_context_options options = {.struct_size = sizeof options, .threads = threads};
    ck_assert_msg(lathe_context_new(model, &options, &context) == LATHE_OK, "%s",
                  lathe_last_error());
    return context;
}

static lathe_tensor f32_tensor(float *data, const int64_t *dims, int32_t rank) {
    return (lathe_tensor){
        .data = data, .dtype = LATHE_F32, .rank = rank, .dims = dims, .device = {LATHE_CPU, 0}};
}

static void set_inputs(lathe_context *context, float *x, float *y, const int64_t *dims) {
    lathe_tensor a = f32_tensor(x, dims, 2), b = f32_tensor(y, dims, 2);
    ck_assert_msg(lathe_set_input(context, 0, &a) == LATHE_OK, "%s", lathe_context_error(context));
    ck_assert_msg(lathe_set_input(context, 1, &b) == LATHE_OK, "%s", lathe_context_error(context));
}

static void check_run(lathe_context *context) {
    ck_assert_msg(lathe_run(context) == LATHE_OK, "%s", lathe_context_error(context));
}

static void check_fails(lathe_context *context, lathe_status status, const char *text) {
    lathe_status found = lathe_run(context);
    ck_assert_msg(found == status, "expected %d, found %d: %s", status, found,
                  lathe_context_error(context));
    ck_assert_str_eq(lathe_context_error(context), text);
}

/* Compares all outputs of the model for these inputs with plain C. */
static void check_outputs(lathe_context *context, const float *x, const float *y,
                          const int64_t *dims) {
    lathe_tensor sum, prefix, best, where;
    ck_assert_int_eq(lathe_get_output(context, 0, &sum), LATHE_OK);
    ck_assert_int_eq(lathe_get_output(context, 1, &prefix), LATHE_OK);
    ck_assert_int_eq(lathe_get_output(context, 2, &best), LATHE_OK);
    ck_assert_int_eq(lathe_get_output(context, 3, &where), LATHE_OK);
    ck_assert_int_eq(prefix.rank, 2);
    ck_assert_int_eq(prefix.dims[0], dims[0]);
    ck_assert_int_eq(prefix.dims[1], dims[1] + 1);
    ck_assert_int_eq(where.dtype, LATHE_I64);
    for (int64_t row = 0; row < dims[0]; row++) {
        float total = 0, top = -1e30f;
        int64_t at = 0;
        for (int64_t i = 0; i < dims[1]; i++) {
            int64_t e = row * dims[1] + i;
            float value = 2 * x[e] + y[e];
            ck_assert_float_eq(((float *)sum.data)[e], value);
            ck_assert_float_eq(((float *)prefix.data)[row * (dims[1] + 1) + i], total);
            total += value;
            at = value > top ? i : at;
            top = value > top ? value : top;
        }
        ck_assert_float_eq(((float *)best.data)[row], top);
        ck_assert_int_eq(((int64_t *)where.data)[row], at);
    }
}

enum { MOST = 8 * 64 };
static float xs[MOST], ys[MOST];

static void fill_inputs(unsigned seed) {
    for (unsigned i = 0; i < MOST; i++) {
        xs[i] = (float)((i * 37 + seed) % 101) - 50;
        ys[i] = (float)((i * 53 + seed) % 89) - 40;
    }
}

/* --- running --- */

START_TEST(runs_static_dims) {
    const int64_t dims[] = {2, 3}, wrong[] = {2, 4};
    lathe_model *model = open_image(&fixed);
    lathe_context *context = new_context(model, 1);
    fill_inputs(2);
    set_inputs(context, xs, ys, dims);
    check_run(context);
    check_outputs(context, xs, ys, dims);
    set_inputs(context, xs, ys, wrong);
    check_fails(context, LATHE_BAD_SHAPE, "input 'x' axis 1: expected 3, found 4");
    lathe_context_free(context);
    lathe_model_close(model);
}
END_TEST

/* Weights in a file of their own give the same results. */
START_TEST(runs_with_external_weights) {
    static const float weights[] = {2, 1};
    const int64_t dims[] = {2, 3};
    char file[160];
    ArtifactImage external = plain;
    external.footer.weights_offset = 0;
    strcpy(external.footer.weights_file, "sub/w.bin");
    snprintf(file, sizeof file, "%s/sub", folder);
    mkdir(file, 0755);
    snprintf(file, sizeof file, "%s/sub/w.bin", folder);
    lt_test_write_file(file, weights, sizeof weights);
    lathe_model *model = open_image(&external);
    lathe_context *context = new_context(model, 1);
    fill_inputs(1);
    set_inputs(context, xs, ys, dims);
    check_run(context);
    check_outputs(context, xs, ys, dims);
    lathe_context_free(context);
    lathe_model_close(model);
}
END_TEST

START_TEST(runs_symbolic_dims) {
    static const int64_t dims[][2] = {{1, 1}, {8, 64}, {3, 7}, {1, 64}, {8, 1}, {8, 64}};
    lathe_model *model = open_image(&plain);
    for (int32_t threads = 1; threads <= 3; threads++) {
        lathe_context *context = new_context(model, threads);
        ck_assert_int_eq(lathe_context_threads(context), threads);
        for (unsigned i = 0; i < sizeof dims / sizeof *dims; i++) {
            fill_inputs(i);
            set_inputs(context, xs, ys, dims[i]);
            check_run(context);
            check_outputs(context, xs, ys, dims[i]);
            ck_assert_uint_eq(lathe_context_arena_bytes(context),
                              (size_t)(dims[i][0] * (dims[i][1] + 1) * 4));
        }
        lathe_context_free(context);
    }
    lathe_model_close(model);
}
END_TEST

START_TEST(explains_wrong_shapes) {
    const int64_t big[] = {9, 3}, good[] = {2, 3}, other[] = {2, 4}, flat[] = {6},
                  negative[] = {2, -3};
    lathe_model *model = open_image(&plain);
    lathe_context *context = new_context(model, 1);
    check_fails(context, LATHE_BAD_ARGUMENT, "input 'x' is not set");
    set_inputs(context, xs, ys, big);
    check_fails(context, LATHE_BAD_SHAPE, "input 'x' axis 0 (batch): expected 1..8, found 9");
    set_inputs(context, xs, ys, good);
    lathe_tensor y = f32_tensor(ys, other, 2), bad = f32_tensor(xs, flat, 1);
    ck_assert_int_eq(lathe_set_input(context, 1, &y), LATHE_OK);
    check_fails(context, LATHE_BAD_SHAPE,
                "input 'y' axis 1 (width): expected 3 as in input 'x' axis 1, found 4");
    ck_assert_int_eq(lathe_set_input(context, 0, &bad), LATHE_BAD_SHAPE);
    ck_assert_str_eq(lathe_context_error(context), "'x': expected rank 2, found 1");
    bad = f32_tensor(xs, negative, 2);
    ck_assert_int_eq(lathe_set_input(context, 0, &bad), LATHE_BAD_SHAPE);
    bad = f32_tensor(xs, good, 2);
    bad.dtype = LATHE_F64;
    ck_assert_int_eq(lathe_set_input(context, 0, &bad), LATHE_BAD_ARGUMENT);
    ck_assert_str_eq(lathe_context_error(context), "'x': expected f32, found f64");
    bad = f32_tensor((float *)((char *)xs + 1), good, 2);
    ck_assert_int_eq(lathe_set_input(context, 0, &bad), LATHE_BAD_ARGUMENT);
    bad = f32_tensor(xs, good, 2);
    bad.device.type = LATHE_CUDA;
    ck_assert_int_eq(lathe_set_input(context, 0, &bad), LATHE_BAD_ARGUMENT);
    ck_assert_int_eq(lathe_set_input(context, 7, &bad), LATHE_BAD_ARGUMENT);
    lathe_tensor out;
    ck_assert_int_eq(lathe_get_output(context, 0, &out), LATHE_BAD_ARGUMENT);
    set_inputs(context, xs, ys, good); /* and it still works */
    check_run(context);
    check_outputs(context, xs, ys, good);
    lathe_context_free(context);
    lathe_model_close(model);
}
END_TEST

START_TEST(explains_what_the_code_reports) {
    const int64_t guard[] = {1, 13}, status[] = {1, 14}, library[] = {1, 15}, empty[] = {1, 0};
    lathe_model *model = open_image(&plain);
    lathe_context *context = new_context(model, 1);
    set_inputs(context, xs, ys, guard);
    check_fails(context, LATHE_BAD_SHAPE, "width must not be 13");
    set_inputs(context, xs, ys, status);
    check_fails(context, LATHE_UNSUPPORTED,
                "the model reports: something that is not supported is needed");
    set_inputs(context, xs, ys, library);
    check_fails(context, LATHE_BAD_ABI, "the model needs library function 999, this runtime has 2");
    set_inputs(context, xs, ys, empty); /* no elements to choose the best from */
    check_fails(context, LATHE_BAD_SHAPE, "topk: a shape is not what the model declares");
    lathe_context_free(context);
    lathe_model_close(model);
}
END_TEST

START_TEST(copies_any_layout) {
    const int64_t dims[] = {2, 3}, strides[] = {1, 2}, backwards[] = {-3, -1};
    float columns[] = {1, 4, 2, 5, 3, 6}, rows[] = {1, 2, 3, 4, 5, 6},
          reversed[] = {6, 5, 4, 3, 2, 1};
    lathe_model *model = open_image(&plain);
    lathe_context *context = new_context(model, 1);
    lathe_tensor x = f32_tensor(columns, dims, 2), y = f32_tensor(reversed + 5, dims, 2);
    x.strides = strides;
    y.strides = backwards;
    ck_assert_int_eq(lathe_set_input(context, 0, &x), LATHE_BAD_ARGUMENT);
    ck_assert_int_eq(lathe_copy_input(context, 0, &x), LATHE_OK);
    ck_assert_int_eq(lathe_copy_input(context, 1, &y), LATHE_OK);
    memset(columns, 0, sizeof columns);
    check_run(context);
    check_outputs(context, rows, rows, dims);
    lathe_context_free(context);
    lathe_model_close(model);
}
END_TEST

START_TEST(writes_into_borrowed_outputs) {
    const int64_t dims[] = {2, 3}, wrong[] = {2, 5};
    float memory[10] = {0};
    lathe_tensor out = f32_tensor(memory, dims, 2), view;
    lathe_model *model = open_image(&plain);
    lathe_context *context = new_context(model, 1);
    fill_inputs(5);
    set_inputs(context, xs, ys, dims);
    ck_assert_int_eq(lathe_prepare(context), LATHE_OK);
    ck_assert_int_eq(lathe_get_output(context, 0, &view), LATHE_OK);
    ck_assert_int_eq(view.dims[1], 3);
    ck_assert_int_eq(lathe_set_output(context, 0, &out), LATHE_OK);
    check_run(context);
    check_outputs(context, xs, ys, dims);
    ck_assert_float_eq(memory[5], 2 * xs[5] + ys[5]);
    out.dims = wrong;
    ck_assert_int_eq(lathe_set_output(context, 0, &out), LATHE_OK);
    check_fails(context, LATHE_BAD_SHAPE,
                "output 'sum' axis 1: the result has 3, the memory given has 5");
    ck_assert_int_eq(lathe_set_output(context, 0, NULL), LATHE_OK);
    check_run(context);
    ck_assert_int_eq(lathe_get_output(context, 0, &view), LATHE_OK);
    ck_assert_ptr_ne(view.data, memory);
    lathe_context_free(context);
    lathe_model_close(model);
}
END_TEST

START_TEST(refuses_bad_contexts) {
    lathe_model *model = open_image(&plain);
    lathe_context *context = NULL;
    lathe_context_options options = {.struct_size = sizeof options, .threads = -1};
    ck_assert_int_eq(lathe_context_new(model, &options, &context), LATHE_BAD_ARGUMENT);
    options.threads = 5000;
    ck_assert_int_eq(lathe_context_new(model, &options, &context), LATHE_BAD_ARGUMENT);
    ck_assert_str_eq(lathe_last_error(), "expected 0..1024 threads, found 5000");
    ck_assert_int_eq(lathe_context_new(NULL, NULL, &context), LATHE_BAD_ARGUMENT);
    ck_assert_int_eq(lathe_context_new(model, NULL, &context), LATHE_OK);
    ck_assert_int_ge(lathe_context_threads(context), 1);
    lathe_model_close(model); /* the context keeps what it needs */
    const int64_t dims[] = {1, 2};
    set_inputs(context, xs, ys, dims);
    check_run(context);
    lathe_context_free(context);
    lathe_context_free(NULL);
    lathe_model_close(NULL);
}
END_TEST

/* --- threads --- */

typedef struct Worker {
    lathe_context *context;
    int64_t dims[2];
    unsigned seed;
    bool good;
} Worker;

static void *run_worker(void *argument) {
    Worker *worker = argument;
    float x[MOST], y[MOST];
    int64_t count = worker->dims[0] * worker->dims[1];
    worker->good = true;
    for (unsigned round = 0; round < 200; round++) {
        for (int64_t i = 0; i < count; i++) {
            x[i] = (float)((i * 7 + worker->seed + round) % 19);
            y[i] = (float)round;
        }
        lathe_tensor a = f32_tensor(x, worker->dims, 2), b = f32_tensor(y, worker->dims, 2), sum;
        bool ran = !lathe_set_input(worker->context, 0, &a) &&
                   !lathe_set_input(worker->context, 1, &b) && !lathe_run(worker->context) &&
                   !lathe_get_output(worker->context, 0, &sum);
        worker->good &= ran;
        for (int64_t i = 0; ran && i < count; i++)
            worker->good &= ((float *)sum.data)[i] == 2 * x[i] + y[i];
    }
    return NULL;
}

/* Two at once on one model: the first pair without a pool, the second sharing one. */
START_TEST(runs_two_contexts_at_once) {
    lathe_model *model = open_image(&plain);
    for (int32_t threads = 1; threads <= 2; threads++) {
        Worker workers[] = {{new_context(model, threads), {8, 60}, 1, false},
                            {new_context(model, threads), {3, 11}, 2, false}};
        pthread_t ids[2];
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(pthread_create(&ids[i], NULL, run_worker, &workers[i]), 0);
        for (int i = 0; i < 2; i++) {
            pthread_join(ids[i], NULL);
            ck_assert(workers[i].good);
            lathe_context_free(workers[i].context);
        }
    }
    lathe_model_close(model);
}
END_TEST

START_TEST(runs_without_allocating) {
    const int64_t dims[] = {8, 64}, smaller[] = {2, 5};
    lathe_model *model = open_image(&plain);
    for (int32_t threads = 1; threads <= 2; threads++) {
        lathe_context *context = new_context(model, threads);
        fill_inputs(3);
        int before = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
        set_inputs(context, xs, ys, dims);
        check_run(context);
        int grown = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
        ck_assert_int_eq(grown > before,
                         COUNTS_ALLOCATIONS); /* the counter sees what the library does */
        ck_assert_int_eq(lathe_profile_start(context, 100), LATHE_OK);
        int start = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
        for (int i = 0; i < 50; i++) {
            lathe_tensor x = f32_tensor(xs, i % 3 ? dims : smaller, 2), y = x;
            if (lathe_set_input(context, 0, &x) || lathe_copy_input(context, 1, &y) ||
                lathe_run(context))
                break;
            if (i == 1) /* the copied input's buffer has its size now */
                start = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
        }
        ck_assert_int_eq(__atomic_load_n(&allocations, __ATOMIC_RELAXED), start);
        check_run(context);
        lathe_context_free(context);
    }
    lathe_model_close(model);
}
END_TEST

/* --- profile --- */

START_TEST(profiles_kernels) {
    const int64_t dims[] = {4, 16};
    char trace[160];
    lathe_model *model = open_image(&plain);
    lathe_context *context = new_context(model, 2);
    set_inputs(context, xs, ys, dims);
    ck_assert_uint_eq(lathe_profile_count(context), 0);
    ck_assert_int_eq(lathe_profile_start(context, 10), LATHE_OK);
    for (int i = 0; i < 5; i++)
        check_run(context);
    lathe_profile_stop(context);
    check_run(context);
    lathe_kernel_time kernel;
    ck_assert_uint_eq(lathe_profile_count(context), 2 + LT_LIBRARY_LIMIT);
    for (uint32_t i = 0; i < 3; i++) {
        static const char *const names[] = {"Add_0+Mul_1", "Prefix_2", "topk"};
        ck_assert_int_eq(lathe_profile_get(context, i, &kernel), LATHE_OK);
        ck_assert_str_eq(kernel.name, names[i]);
        ck_assert_uint_eq(kernel.calls, 5);
        ck_assert_uint_le(kernel.min_ns, kernel.max_ns);
        ck_assert_uint_le(kernel.max_ns, kernel.total_ns);
    }
    ck_assert_int_eq(lathe_profile_get(context, 2 + LT_LIBRARY_LIMIT, &kernel), LATHE_BAD_ARGUMENT);
    snprintf(trace, sizeof trace, "%s/trace.json", folder);
    ck_assert_int_eq(lathe_profile_write(context, trace), LATHE_OK);
    char *text = lt_test_read_file(&arena, trace, NULL);
    ck_assert_ptr_nonnull(strstr(text, "\"hand \\\"made\\\"\""));
    ck_assert_ptr_nonnull(strstr(text, "\"name\":\"Add_0+Mul_1\",\"cat\":\"kernel\",\"ph\":\"X\""));
    ck_assert_ptr_nonnull(strstr(text, "\"dropped_events\":10}")); /* 5 * 4 events, room for 10 */
    ck_assert_int_eq(lathe_profile_write(context, "/nonexistent/trace"), LATHE_IO);
    lathe_context_free(context);
    lathe_model_close(model);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {runs_static_dims,
                                  runs_with_external_weights,
                                  runs_symbolic_dims,
                                  explains_wrong_shapes,
                                  explains_what_the_code_reports,
                                  copies_any_layout,
                                  writes_into_borrowed_outputs,
                                  refuses_bad_contexts,
                                  runs_two_contexts_at_once,
                                  runs_without_allocating,
                                  profiles_kernels};
    lt_arena_init(&arena);
    if (!lt_test_artifact_folder(folder))
        return EXIT_FAILURE;
    snprintf(path, sizeof path, "%s/model.so", folder);
    build("", &plain);
    build("-DSTATIC", &fixed);
    int code = lt_test_run("test_context", tests, sizeof tests / sizeof *tests);
    lt_test_artifact_remove(folder);
    lt_arena_free(&arena);
    return code;
}
