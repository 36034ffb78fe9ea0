/* test_codegen.c - from a program to an artifact: it runs in the runtime, is the same every time,
 * keeps its weights where it was told to, leaves no files behind, and says what went wrong. */
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <sys/stat.h>

#include "codegen/codegen.h"
#include "ir/build.h"
#include "ir/eval.h"
#include "lathe/runtime.h"
#include "passes/pass.h"
#include "tests/test.h"

enum { INNER = 20, OUTER = 12 };

static Arena arena, scratch;
static char folder[64];
static Module *module;
static Program *program;
static float weights[INNER * OUTER];

/* x[batch, 20], skip[rows, 12] -> sigmoid(x * w) + skip, which needs batch == rows. */
static void build_graph(void) {
    DimTable *t = &module->dims;
    const Dim *batch = lt_dim_symbol(t, "batch"), *rows = lt_dim_symbol(t, "rows");
    lt_dim_set_range(t, batch, 1, 64);
    lt_dim_set_range(t, rows, 1, 64);
    Graph *g = lt_graph_new(module, NULL, "main");
    module->main = g;
    const Dim *in[] = {batch, lt_dim_const(t, INNER)}, *out[] = {rows, lt_dim_const(t, OUTER)};
    Value *x = lt_graph_add_input(g, lt_type(module, DT_F32, 2, in), "x");
    Value *skip = lt_graph_add_input(g, lt_type(module, DT_F32, 2, out), "skip");
    for (int i = 0; i < INNER * OUTER; i++)
        weights[i] = (float)((i * 13) % 31 - 15) / 16;
    const Type *type = lt_type_static(module, DT_F32, 2, (int64_t[]){INNER, OUTER});
    Builder b = {.graph = g};
    Value *w = lt_build_const(&b, lt_const(module, type, weights));
    Value *y = lt_build_map1(&b, FN_SIGMOID, lt_build_contract(&b, x, w, "mk,kn->mn"));
    lt_module_add_guard(module, batch, rows, NULL);
    const Dim *shape[] = {batch, lt_dim_const(t, OUTER)};
    Value *sum = lt_build_map2(&b, FN_ADD, y, lt_build_reshape(&b, skip, 2, shape));
    ck_assert(sum != NULL);
    sum->name = "sum";
    lt_graph_set_outputs(g, &sum, 1);
}

static void setup_with(void (*build)(void)) {
    lt_arena_init(&arena);
    lt_arena_init(&scratch);
    lt_test_mkdtemp(folder);
    module = lt_module_new(&arena, "model");
    build();
    PassContext ctx = {
        .module = module, .target = lt_codegen_host_target(), .level = 2, .scratch = &scratch};
    static const char *const names[] = {"infer", "pack", "fold", "fuse", "lower", "plan-memory"};
    const int count = (int)(sizeof names / sizeof *names);
    const bool ok = lt_passes_run(&ctx, names, count, &(PassOptions){.limit = -1});
    ck_assert_msg(ok && ctx.program, "%s",
                  module->diags.items.len ? module->diags.items.data[0].text : "?");
    program = ctx.program;
}

static void setup(void) { setup_with(build_graph); }

static void teardown(void) {
    lt_test_rmdir(folder);
    lt_arena_free(&arena);
    lt_arena_free(&scratch);
}

static const char *file_in(const char *name) {
    return lt_arena_printf(&arena, "%s/%s", folder, name);
}

static const char *write_artifact(const char *name, const CodegenOptions *o) {
    const char *path = file_in(name);
    const bool ok = lt_codegen_so(program, o, path, &module->diags);
    ck_assert_msg(ok, "%s", module->diags.items.len ? module->diags.items.data[0].text : "?");
    return path;
}

/* --- running --- */

static float input_at(int i) { return (float)((i * 7) % 19 - 9) / 8; }

static void check_outputs(const float *got, const float *x, const float *skip, int64_t batch) {
    for (int64_t row = 0; row < batch; row++) {
        for (int64_t column = 0; column < OUTER; column++) {
            double sum = 0;
            for (int64_t k = 0; k < INNER; k++)
                sum += (double)x[row * INNER + k] * weights[k * OUTER + column];
            const double want = 1 / (1 + exp(-sum)) + skip[row * OUTER + column];
            ck_assert_double_eq_tol(got[row * OUTER + column], want, 1e-5);
        }
    }
}

typedef struct Loaded {
    void *handle;
    const LtDescriptor *descriptor;
    LtFooter footer;
    const uint8_t *weights;
} Loaded;

static Loaded load(const char *path, const char *weights_path) {
    size_t size;
    const char *bytes = lt_test_read_file(&arena, path, &size);
    Loaded a = {.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    ck_assert_msg(a.handle != NULL, "%s", dlerror());
    a.descriptor = dlsym(a.handle, LT_DESCRIPTOR_SYMBOL);
    ck_assert(a.descriptor != NULL && size > LT_FOOTER_SIZE);
    memcpy(&a.footer, bytes + size - LT_FOOTER_SIZE, sizeof a.footer);
    ck_assert_mem_eq(a.footer.magic, LT_FOOTER_MAGIC, sizeof a.footer.magic);
    ck_assert_uint_eq(a.footer.file_size, size);
    ck_assert_uint_eq(a.footer.object_hash, lt_hash_bytes(bytes, a.footer.object_size, 0));
    ck_assert_uint_eq(a.footer.weights_offset % LT_WEIGHTS_ALIGN, 0);
    const char *data = bytes + a.footer.weights_offset;
    if (weights_path) {
        ck_assert_uint_eq(a.footer.weights_offset, 0);
        ck_assert_str_eq(a.footer.weights_file, strrchr(weights_path, '/') + 1);
        data = lt_test_read_file(&arena, weights_path, &size);
        ck_assert_uint_eq(size, a.footer.weights_size);
    }
    uint8_t *copy = lt_arena_alloc_aligned(&arena, a.footer.weights_size, LT_TENSOR_ALIGN);
    memcpy(copy, data, a.footer.weights_size);
    a.weights = copy;
    return a;
}

/* In two parts, the second first: iterations must not depend on each other. */
static void launch(void *context, uint32_t kernel, LtKernelFn *fn, void *const *buffers,
                   const int64_t *ints, int64_t count) {
    ck_assert_ptr_eq(context, &arena);
    ck_assert_uint_lt(kernel, program->kernels.len);
    if (count > 1)
        fn(buffers, ints, count / 2, count, NULL);
    if (count > 0)
        fn(buffers, ints, 0, count > 1 ? count / 2 : 1, NULL);
}

/* Runs the artifact with x[batch, ...] and skip[rows, ...]; what run() returned. */
static int32_t run_artifact(const Loaded *a, int64_t batch, int64_t rows) {
    static float x[64 * INNER], skip[64 * OUTER], sum[64 * OUTER];
    for (int i = 0; i < 64 * INNER; i++)
        x[i] = input_at(i);
    for (int i = 0; i < 64 * OUTER; i++)
        skip[i] = input_at(3 * i + 1);
    const int64_t symbols[] = {batch, rows};
    int64_t dims[2];
    const LtHostApi api = {.context = &arena, .launch = launch};
    uint8_t *memory =
        lt_arena_alloc_aligned(&arena, (size_t)a->descriptor->arena_size(symbols), LT_TENSOR_ALIGN);
    void *tensors[] = {x, skip, sum};
    const int32_t result = a->descriptor->run(&api, memory, a->weights, tensors, symbols);
    if (result != 0)
        return result;
    a->descriptor->output_dims(symbols, dims);
    ck_assert_int_eq(dims[0], batch);
    ck_assert_int_eq(dims[1], OUTER);
    check_outputs(sum, x, skip, batch);
    return 0;
}

START_TEST(artifacts_run) {
    setup();
    for (int level = 0; level <= 3; level++) {
        const CodegenOptions options = {.level = level, .debug_info = level > 0};
        const Loaded a =
            load(write_artifact(lt_arena_printf(&arena, "model%d.so", level), &options), NULL);
        ck_assert_int_eq(run_artifact(&a, 1, 1), 0);
        ck_assert_int_eq(run_artifact(&a, 64, 64), 0);
        ck_assert_int_eq(run_artifact(&a, 13, 13), 0);
    }
    teardown();
}
END_TEST

START_TEST(guards_are_checked) {
    setup();
    const Loaded a = load(write_artifact("model.so", &(CodegenOptions){.level = 2}), NULL);
    const int32_t failed = run_artifact(&a, 4, 5);
    ck_assert(failed > 0 && (uint32_t)failed <= a.descriptor->guard_count);
    ck_assert_str_eq(a.descriptor->guards[failed - 1], "batch == rows");
    teardown();
}
END_TEST

/* What only differs in its extents from a run that works: refused before anything is written. */
START_TEST(extents_out_of_range_touch_nothing) {
    static const struct {
        int64_t batch, rows;
        const char *words;
    } refused[] = {
        {65, 65, "input 'x' axis 0 (batch): expected 1..64, found 65"},
        {0, 0, "input 'x' axis 0 (batch): expected 1..64, found 0"},
        {64, 65, "input 'skip' axis 0 (rows): expected 1..64, found 65"},
        {INT64_MAX / 128, 1, "input 'x' axis 0 (batch): expected 1..64, found 72057594037927935"},
        {64, 63, "batch == rows"},
    };
    static float x[66 * INNER], skip[66 * OUTER], sum[66 * OUTER], before[66 * OUTER];
    setup();
    lathe_model *model;
    lathe_context *context;
    ck_assert_int_eq(lathe_model_open(write_artifact("m.so", &(CodegenOptions){0}), NULL, &model),
                     LATHE_OK);
    ck_assert_int_eq(lathe_context_new(model, NULL, &context), LATHE_OK);
    for (int i = 0; i < 66 * OUTER; i++)
        before[i] = sum[i] = (float)i;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const int64_t x_dims[] = {refused[i].batch, INNER}, rows[] = {refused[i].rows, OUTER},
                      out[] = {refused[i].batch, OUTER};
        const lathe_tensor tensors[] = {
            {.data = x, .dtype = LATHE_F32, .rank = 2, .dims = x_dims, .device = {LATHE_CPU, 0}},
            {.data = skip, .dtype = LATHE_F32, .rank = 2, .dims = rows, .device = {LATHE_CPU, 0}},
            {.data = sum, .dtype = LATHE_F32, .rank = 2, .dims = out, .device = {LATHE_CPU, 0}}};
        ck_assert_int_eq(lathe_set_input(context, 0, &tensors[0]), LATHE_OK);
        ck_assert_int_eq(lathe_set_input(context, 1, &tensors[1]), LATHE_OK);
        ck_assert_int_eq(lathe_set_output(context, 0, &tensors[2]), LATHE_OK);
        ck_assert_int_eq(lathe_run(context), LATHE_BAD_SHAPE);
        ck_assert_str_eq(lathe_context_error(context), refused[i].words);
        ck_assert_mem_eq(sum, before, sizeof sum);
    }
    lathe_context_free(context);
    lathe_model_close(model);
    teardown();
}
END_TEST

START_TEST(signature_is_the_models) {
    setup();
    const CodegenOptions options = {.level = 2, .model_name = "sigmoid"};
    const Loaded a = load(write_artifact("model.so", &options), NULL);
    const LtDescriptor *d = a.descriptor;
    ck_assert_uint_eq(d->abi, LATHE_ABI);
    ck_assert_uint_eq(d->size, sizeof *d);
    ck_assert_str_eq(d->model_name, "sigmoid");
    ck_assert_int_eq(d->weights_size, program->weights_size);
    ck_assert_uint_eq(d->symbol_count, 2);
    ck_assert_str_eq(d->symbols[0].name, "batch");
    ck_assert_int_eq(d->symbols[1].hi, 64);
    ck_assert_uint_eq(d->input_count, 2);
    ck_assert_str_eq(d->inputs[1].name, "skip");
    ck_assert_int_eq(d->inputs[1].dims[0].symbol, 1);
    ck_assert_str_eq(d->inputs[1].dims[0].text, "rows");
    ck_assert_int_eq(d->inputs[0].dims[1].symbol, -1);
    ck_assert_int_eq(d->inputs[0].dims[1].value, INNER);
    ck_assert_uint_eq(d->output_count, 1);
    ck_assert_str_eq(d->outputs[0].name, "sum");
    ck_assert_int_eq(d->outputs[0].rank, 2);
    ck_assert_uint_eq(d->kernel_count, program->kernels.len);
    teardown();
}
END_TEST

/* --- copies, constants, library functions --- */

enum { MANY = 30001, FEW = 7 };

static const float table[FEW] = {1, -2, 3, -4, 5, -6, 7};

/* Outputs that nothing computes: the input, a splat of more bytes than are written at once, and a
 * table. */
static void build_copies(void) {
    const float element = 2.5F;
    DimTable *t = &module->dims;
    const Dim *batch = lt_dim_symbol(t, "batch");
    lt_dim_set_range(t, batch, 1, 64);
    Graph *g = lt_graph_new(module, NULL, "main");
    module->main = g;
    Builder b = {.graph = g};
    const Type *many = lt_type_static(module, DT_F32, 1, (int64_t[]){MANY});
    const Type *few = lt_type_static(module, DT_F32, 1, (int64_t[]){FEW});
    Value *outputs[] = {lt_graph_add_input(g, lt_type(module, DT_F32, 1, &batch), "x"),
                        lt_build_const(&b, lt_const_splat(module, many, &element)),
                        lt_build_const(&b, lt_const(module, few, table))};
    lt_graph_set_outputs(g, outputs, 3);
}

typedef struct LibraryCall {
    uint32_t function;
    const void *first;
    int64_t number;
    int32_t answer;
} LibraryCall;

static int32_t call_library(void *context, uint32_t function, void *const *buffers,
                            const int64_t *ints) {
    LibraryCall *call = context;
    call->function = function;
    call->first = buffers[0];
    call->number = ints[0];
    return call->answer;
}

static int32_t run_copies(const Loaded *a, LibraryCall *call) {
    static float x[FEW], same[FEW], splat[MANY + 1], found[FEW];
    const int64_t symbols[] = {FEW};
    const LtHostApi api = {.context = call, .launch = launch, .library = call_library};
    void *tensors[] = {x, same, splat, found};
    for (int i = 0; i < FEW; i++)
        x[i] = input_at(i);
    splat[MANY] = -1;
    uint8_t *memory = lt_arena_alloc_aligned(&arena, LT_TENSOR_ALIGN, LT_TENSOR_ALIGN);
    const int32_t result = a->descriptor->run(&api, memory, a->weights, tensors, symbols);
    if (call->first)
        ck_assert_ptr_eq(call->first, x);
    ck_assert_mem_eq(same, x, sizeof x);
    ck_assert_mem_eq(found, table, sizeof table);
    for (int i = 0; i < MANY; i++)
        ck_assert_msg(splat[i] == 2.5F, "element %d of the splat is %g", i, splat[i]);
    ck_assert(splat[MANY] == -1);
    return result;
}

START_TEST(copies_and_splats) {
    setup_with(build_copies);
    ck_assert_uint_eq(program->steps.len, 3);
    LibraryCall none = {0};
    const CodegenOptions inside = {.level = 2};
    const CodegenOptions outside = {.level = 2, .weights_path = file_in("model.weights")};
    const Loaded a = load(write_artifact("a.so", &inside), NULL);
    ck_assert_int_eq(run_copies(&a, &none), 0);
    const Loaded b = load(write_artifact("b.so", &outside), outside.weights_path);
    ck_assert_int_eq(run_copies(&b, &none), 0);
    teardown();
}
END_TEST

/* Behind the copies: the input and a number that depends on the batch. */
START_TEST(library_functions_may_fail) {
    setup_with(build_copies);
    uint32_t input = 0;
    while (program->buffers.data[input].place != PLACE_INPUT)
        input++;
    const Dim *batch = lt_dim_symbol(&module->dims, "batch");
    const Dim *numbers[] = {lt_dim_mul(&module->dims, batch, lt_dim_const(&module->dims, 3))};
    const Step step = {.kind = STEP_LIBRARY,
                       .kernel = 5,
                       .name = "call",
                       .buffer_count = 1,
                       .buffers = &input,
                       .int_count = 1,
                       .ints = numbers};
    lt_vec_push(program->arena, &program->steps, step);
    const Loaded a = load(write_artifact("model.so", &(CodegenOptions){.level = 2}), NULL);
    LibraryCall call = {.answer = LATHE_OK};
    ck_assert_int_eq(run_copies(&a, &call), 0);
    ck_assert(call.function == 5 && call.first && call.number == 3 * FEW);
    call.answer = LATHE_FAILED;
    ck_assert_int_eq(run_copies(&a, &call), -LATHE_FAILED);
    teardown();
}
END_TEST

/* --- files --- */

static bool same_files(const char *a, const char *b) {
    size_t left, right;
    const char *x = lt_test_read_file(&arena, a, &left), *y = lt_test_read_file(&arena, b, &right);
    return left == right && memcmp(x, y, left) == 0;
}

START_TEST(same_bytes_every_time) {
    setup();
    const CodegenOptions options = {.level = 2, .debug_info = true};
    const char *first = write_artifact("a.so", &options);
    const char *other = file_in("elsewhere");
    ck_assert_int_eq(mkdir(other, 0700), 0);
    setenv("TMPDIR", other, 1);
    const char *second = write_artifact("b.so", &options);
    ck_assert(same_files(first, second));
    DIR *dir = opendir(other);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        ck_assert_msg(entry->d_name[0] == '.', "%s was left behind", entry->d_name);
    closedir(dir);
    teardown();
}
END_TEST

START_TEST(weights_in_a_file_of_their_own) {
    setup();
    const CodegenOptions options = {.level = 2, .weights_path = file_in("model.weights")};
    const char *path = write_artifact("model.so", &options);
    const Loaded a = load(path, options.weights_path);
    ck_assert_int_eq(run_artifact(&a, 13, 13), 0);
    teardown();
}
END_TEST

START_TEST(objects_and_texts) {
    setup();
    const CodegenOptions options = {.level = 2};
    size_t size;
    Str text;
    lt_str_init(&text, &arena);
    ck_assert(lt_codegen_object(program, &options, file_in("model.o"), &module->diags));
    const char *object = lt_test_read_file(&arena, file_in("model.o"), &size);
    ck_assert(size > 4 && memcmp(object, "\177ELF", 4) == 0);
    ck_assert(lt_codegen_text(program, &options, CODEGEN_LLVM_IR, &text, &module->diags));
    ck_assert(strstr(text.text, "@" LT_DESCRIPTOR_SYMBOL " =") != NULL);
    lt_str_init(&text, &arena);
    ck_assert(lt_codegen_text(program, &options, CODEGEN_ASM, &text, &module->diags));
    ck_assert(strstr(text.text, LT_DESCRIPTOR_SYMBOL ":") != NULL);
    teardown();
}
END_TEST

/* Every row of the table, whatever this machine is. */
START_TEST(all_targets_generate_code) {
    setup();
    for (int i = 0; i < lt_target_count; i++) {
        const CodegenOptions options = {.level = 2, .target = &lt_targets[i]};
        if (lt_target_is_gpu(options.target))
            continue;
        write_artifact("model.so", &options);
    }
    teardown();
}
END_TEST

/* --- errors --- */

static void expect_error(const char *path, int status, const char *words) {
    const CodegenOptions options = {.level = 0};
    ck_assert(!lt_codegen_so(program, &options, path, &module->diags));
    ck_assert_uint_ge(module->diags.errors, 1);
    ck_assert_int_eq(lt_diag_status(&module->diags), status);
    const char *text = module->diags.items.data[module->diags.items.len - 1].text;
    ck_assert_msg(strstr(text, words) != NULL, "'%s' does not say '%s'", text, words);
}

START_TEST(no_place_to_write) {
    setup();
    const char *path = file_in("no/such/folder/model.so");
    expect_error(path, LATHE_IO, "No such file or directory");
    expect_error(path, LATHE_IO, path);
    teardown();
}
END_TEST

START_TEST(no_linker) {
    setup();
    setenv("LATHE_LD", "/no/such/linker", 1);
    expect_error(file_in("model.so"), LATHE_MACHINE, "/no/such/linker");
    teardown();
}
END_TEST

START_TEST(linker_fails) {
    setup();
    setenv("LATHE_LD", "/bin/false", 1);
    expect_error(file_in("model.so"), LATHE_FAILED, "/bin/false failed");
    ck_assert_int_ne(access(file_in("model.so"), F_OK), 0);
    teardown();
}
END_TEST

LT_TEST_MAIN("test_codegen", artifacts_run, guards_are_checked, extents_out_of_range_touch_nothing,
             signature_is_the_models, copies_and_splats, library_functions_may_fail,
             same_bytes_every_time, weights_in_a_file_of_their_own, objects_and_texts,
             all_targets_generate_code, no_place_to_write, no_linker, linker_fails)
