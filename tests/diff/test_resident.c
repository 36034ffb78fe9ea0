/* test_resident.c - one artifact at 10,000 random shapes: the process holds no more memory at the
 * end than once it has seen the largest, and each result has the shape that the inputs ask for. */
#include <sys/stat.h>
#include <unistd.h>

#include "lathe/runtime.h"
#include "tests/test.h"
#include "tests/unit/onnx_writer.h"
#include "tools/compile.h"

enum { RUNS = 10000, MOST_ROWS = 6, MOST_STEPS = 48, WIDTH = 16, SLACK = 256 * 1024 };

static char folder[64], artifact[96];

/* h = relu(x w); y = softmax(h h'); z = where h is not 0, whose size only a run tells. */
static Bytes network(void) {
    static float w[WIDTH * WIDTH];
    Bytes g = {.len = 0}, t = new_node("Transpose", "h", "t");
    for (int i = 0; i < WIDTH * WIDTH; i++)
        w[i] = (float)(i % 7) - 2.5f;
    add_value(&g, 11, "x", "nxsx16");
    add_value(&g, 12, "y", "");
    add_value(&g, 12, "z", "");
    add_tensor(&g, "w", 1, (int64_t[]){WIDTH, WIDTH}, 2, w, sizeof w);
    add_ints(&t, "perm", (int64_t[]){0, 2, 1}, 3);
    add_node(&g, "MatMul", "x w", "p");
    add_node(&g, "Relu", "p", "h");
    put_message(&g, 1, &t);
    add_node(&g, "MatMul", "h t", "scores");
    add_node(&g, "Softmax", "scores", "y");
    add_node(&g, "NonZero", "h", "z");
    return new_model(&g, 17);
}

static void compile_network(void) {
    char path[96];
    const CompileOptions options = {.pass_limit = -1, .quiet = true, .o1 = true};
    const Bytes m = network();
    lt_test_mkdtemp(folder);
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    snprintf(artifact, sizeof artifact, "%s/m.so", folder);
    lt_test_write_file(path, m.data, m.len);
    Compilation c;
    lt_compile_init(&c, path, &options);
    ck_assert_int_eq(lt_compile_run(&c, artifact), 0);
    lt_compile_free(&c);
}

/* Bytes of this process that lie in memory. */
static int64_t resident(void) {
    long long all, held = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lld %lld", &all, &held), 2);
    fclose(file);
    return held * sysconf(_SC_PAGESIZE);
}

static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static void run_shape(lathe_context *context, float *x, int64_t rows, int64_t steps) {
    const int64_t dims[] = {rows, steps, WIDTH};
    const lathe_tensor in = {
        .data = x, .dtype = LATHE_F32, .rank = 3, .dims = dims, .device = {LATHE_CPU, 0}};
    lathe_tensor y, z;
    ck_assert_msg(!lathe_set_input(context, 0, &in), "%s", lathe_context_error(context));
    ck_assert_msg(!lathe_run(context), "%s", lathe_context_error(context));
    ck_assert_int_eq(lathe_get_output(context, 0, &y), LATHE_OK);
    ck_assert_int_eq(lathe_get_output(context, 1, &z), LATHE_OK);
    ck_assert(y.rank == 3 && y.dims[0] == rows && y.dims[1] == steps && y.dims[2] == steps);
    ck_assert(z.rank == 2 && z.dims[0] == 3 && z.dims[1] <= rows * steps * WIDTH);
    float sum = 0;
    for (int64_t i = 0; i < steps; i++)
        sum += ((const float *)y.data)[(rows * steps - 1) * steps + i];
    ck_assert_float_eq_tol(sum, 1, 1e-4f);
}

START_TEST(memory_stays_flat_over_shapes) {
    static float x[MOST_ROWS * MOST_STEPS * WIDTH];
    uint32_t state = 2463534242u;
    lathe_model *model;
    lathe_context *context;
    const lathe_context_options options = {.struct_size = sizeof options, .threads = 2};
    compile_network();
    ck_assert_msg(!lathe_model_open(artifact, NULL, &model), "%s", lathe_last_error());
    ck_assert_int_eq(lathe_context_new(model, &options, &context), LATHE_OK);
    for (int i = 0; i < MOST_ROWS * MOST_STEPS * WIDTH; i++)
        x[i] = (float)(next_random(&state) % 1000) * 1e-3f;
    run_shape(context, x, 1, 1);
    const int64_t small = resident();
    run_shape(context, x, MOST_ROWS, MOST_STEPS);
    const int64_t before = resident();
    ck_assert_msg(before > small, "the largest shape takes no memory: %lld and %lld bytes",
                  (long long)small, (long long)before);
    for (int i = 0; i < RUNS; i++) {
        const int64_t rows = 1 + next_random(&state) % MOST_ROWS,
                      steps = 1 + next_random(&state) % MOST_STEPS;
        run_shape(context, x, rows, steps);
    }
    const int64_t after = resident();
    ck_assert_msg(after <= before + SLACK, "%lld bytes before, %lld after %d shapes",
                  (long long)before, (long long)after, RUNS);
    lathe_context_free(context);
    lathe_model_close(model);
    lt_test_rmdir(folder);
}
END_TEST

LT_TEST_MAIN("test_resident", memory_stays_flat_over_shapes)
