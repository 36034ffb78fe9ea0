/* test_runtime.c - opening artifacts, above all those that must be refused; DLPack; names. */
#include "lathe/runtime.h"
#include "runtime/cpu_info.h"
#include "tests/artifact.h"
#include "tests/test.h"

/* --- fixture: a folder with model.so; images are built once, before the tests fork --- */

static Arena arena;
static char folder[64], path[128];
static ArtifactImage image; /* the one that a test works on */
static ArtifactImage plain, no_batch, older, for_gpu, for_opencl;

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

/* The artifact's first `size` bytes must be refused, with a sentence that holds `text`. */
static void check_refused(size_t size, lathe_status status, const char *text) {
    lathe_model *model = NULL;
    ck_assert(lt_test_artifact_write(&image, path, size));
    lathe_status found = lathe_model_open(path, NULL, &model);
    ck_assert_msg(found == status, "expected status %d, found %d: %s", status, found,
                  lathe_last_error());
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(lathe_last_error(), text) != NULL, "no '%s' in: %s", text,
                  lathe_last_error());
}

/* --- opening --- */

START_TEST(opens_and_describes) {
    image = plain;
    lathe_model *model = open_image(&image);
    lathe_model_info info;
    lathe_model_get_info(model, &info);
    ck_assert_str_eq(info.name, "hand \"made\"");
    ck_assert_uint_eq(info.weights_bytes, 8);
    ck_assert_uint_eq(info.symbol_count, 2);
    ck_assert_uint_eq(info.kernel_count, 2);
    ck_assert_uint_eq(lathe_input_count(model), 2);
    ck_assert_uint_eq(lathe_output_count(model), 4);
    ck_assert_str_eq(lathe_input_info(model, 1)->name, "y");
    ck_assert_ptr_null(lathe_input_info(model, 2));
    ck_assert_ptr_null(lathe_output_info(model, 4));
    const lathe_tensor_info *prefix = lathe_output_info(model, 1);
    ck_assert_str_eq(prefix->dims[0].symbol, "batch");
    ck_assert_int_eq(prefix->dims[0].hi, 8);
    ck_assert_ptr_null(prefix->dims[1].symbol);
    ck_assert_str_eq(prefix->dims[1].text, "width + 1");
    ck_assert_int_eq(lathe_output_find(model, "where"), 3);
    ck_assert_int_eq(lathe_input_find(model, "z"), -1);
    ck_assert_str_eq(lathe_symbol_info(model, 1)->symbol, "width");
    ck_assert_ptr_null(lathe_symbol_info(model, 2));
    lathe_model_close(model);
}
END_TEST

START_TEST(refuses_what_is_cut_short) {
    image = plain;
    size_t at[] = {0,
                   1,
                   3,
                   4,
                   511,
                   512,
                   600,
                   4096,
                   image.size / 2,
                   image.size - 513,
                   image.size - 512,
                   image.size - 511,
                   image.size - 1};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        check_refused(at[i], LATHE_MALFORMED, at[i] < 4 ? "no lathe artifact" : "cut short");
}
END_TEST

START_TEST(refuses_what_is_no_artifact) {
    lathe_model *model = NULL;
    image = plain;
    char text[1024];
    memset(text, 'x', sizeof text);
    lt_test_write_file(path, text, sizeof text);
    ck_assert_int_eq(lathe_model_open(path, NULL, &model), LATHE_MALFORMED);
    ck_assert_str_eq(lathe_last_error(), "it is no lathe artifact (lathec makes them from models)");
    ck_assert_int_eq(lathe_model_open("/nonexistent/model.so", NULL, &model), LATHE_IO);
    ck_assert_str_eq(lathe_last_error(), "it cannot be read: No such file or directory");
    ck_assert_int_eq(lathe_model_open(folder, NULL, &model), LATHE_IO);
    ck_assert_int_eq(lathe_model_open(NULL, NULL, &model), LATHE_BAD_ARGUMENT);
}
END_TEST

START_TEST(refuses_other_abi) {
    image = plain;
    image.footer.abi = LATHE_ABI + 1;
    check_refused(image.size, LATHE_BAD_ABI, "needs artifact ABI 5");
    image.footer.abi = 0;
    check_refused(image.size, LATHE_BAD_ABI, "needs artifact ABI 0");
}
END_TEST

START_TEST(opens_older_abi) {
    older.footer.abi = 2;
    lathe_model *model = open_image(&older);
    lathe_context *context = NULL;
    ck_assert_int_eq(lathe_context_new(model, NULL, &context), LATHE_OK);
    lathe_context_free(context);
    lathe_model_close(model);
}
END_TEST

START_TEST(refuses_bad_devices) {
    image = for_opencl;
    check_refused(image.size, LATHE_UNSUPPORTED, "its kernels run on a device of type 4");
    image = for_gpu;
    check_refused(image.size, LATHE_MALFORMED, "its kernels for a GPU are not there");
}
END_TEST

START_TEST(refuses_other_machine) {
    image = plain;
    image.footer.cpu_features = UINT64_C(1) << 63;
    check_refused(image.size, LATHE_MACHINE, "an unknown one");
    uint64_t missing = ~lt_cpu_features() & (LT_CPU_AVX512BF16 | LT_CPU_AVX512VNNI);
    if (missing) {
        image.footer.cpu_features = missing;
        check_refused(image.size, LATHE_MACHINE, lt_cpu_feature_name(missing));
    }
    image.footer.cpu_features = 0;
    memcpy(image.footer.arch, "m68k\0\0\0\0", 8);
    check_refused(image.size, LATHE_MACHINE, "compiled for m68k");
}
END_TEST

START_TEST(refuses_damage) {
    image = plain;
    LtFooter good = image.footer;
    for (size_t at = 16; at < good.object_size; at += good.object_size / 7) {
        image.data[at] ^= 0x20;
        check_refused(image.size, LATHE_MALFORMED, "damaged");
        image.data[at] ^= 0x20;
    }
    image.footer.file_size++;
    check_refused(image.size, LATHE_MALFORMED, "its footer says");
    image.footer = good;
    image.footer.object_size = UINT64_MAX;
    check_refused(image.size, LATHE_MALFORMED, "more than the file");
    image.footer = good;
    image.footer.weights_size = UINT64_MAX - good.weights_offset + 9;
    check_refused(image.size, LATHE_MALFORMED, "do not lie behind the code");
    image.footer = good;
    image.footer.weights_offset += 64;
    check_refused(image.size, LATHE_MALFORMED, "do not lie behind the code");
    image.footer = good;
    image.footer.weights_size = 12;
    check_refused(image.size, LATHE_MALFORMED, "expects 8 bytes of weights");
}
END_TEST

START_TEST(refuses_bad_signature) {
    image = no_batch;
    check_refused(image.size, LATHE_MALFORMED, "symbol 0");
}
END_TEST

/* Weights in another file: beside the artifact, of the right size, and never outside its folder. */
START_TEST(weights_beside_the_artifact) {
    static const float weights[] = {2, 1};
    char file[160];
    image = plain;
    image.footer.weights_offset = 0;
    strcpy(image.footer.weights_file, "w.bin");
    check_refused(image.size, LATHE_IO, "w.bin");
    snprintf(file, sizeof file, "%s/w.bin", folder);
    lt_test_write_file(file, weights, 7);
    check_refused(image.size, LATHE_MALFORMED, "have 7 bytes, expected 8");
    lt_test_write_file(file, weights, sizeof weights);
    lathe_model *model = open_image(&image);
    ck_assert_uint_eq(lathe_input_count(model), 2);
    lathe_model_close(model);
    static const char *const outside[] = {"../w.bin", "/etc/passwd", "a/../../w.bin", "..", ""};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        strcpy(image.footer.weights_file, outside[i]);
        check_refused(image.size, LATHE_MALFORMED, "not inside its folder");
    }
    snprintf(file, sizeof file, "%s/link", folder);
    ck_assert_int_eq(symlink("/etc/passwd", file), 0);
    strcpy(image.footer.weights_file, "link");
    check_refused(image.size, LATHE_MALFORMED, "outside its folder");
}
END_TEST

START_TEST(converts_dlpack) {
    int64_t shape[] = {2, 3}, strides[] = {1, 2};
    float data[8];
    lathe_dl_tensor source = {.data = data,
                              .device = {LATHE_CPU, 0},
                              .ndim = 2,
                              .dtype = {2, 32, 1},
                              .shape = shape,
                              .strides = strides,
                              .byte_offset = 8},
                    back;
    lathe_tensor tensor;
    ck_assert_int_eq(lathe_tensor_from_dlpack(&source, &tensor), LATHE_OK);
    ck_assert_ptr_eq(tensor.data, data + 2);
    ck_assert_int_eq(tensor.dtype, LATHE_F32);
    ck_assert_ptr_eq(tensor.dims, shape);
    for (int i = 0; i < LATHE_DTYPE_LIMIT; i++) {
        tensor.dtype = (lathe_dtype)i;
        ck_assert_int_eq(lathe_tensor_to_dlpack(&tensor, &back), LATHE_OK);
        lathe_tensor again;
        ck_assert_int_eq(lathe_tensor_from_dlpack(&back, &again), LATHE_OK);
        static const uint8_t narrow[] = {LATHE_U8, LATHE_I8, LATHE_U8, LATHE_I8, LATHE_U8};
        const int bytes = i < LATHE_F4E2M1 ? i : narrow[i - LATHE_F4E2M1]; /* alone in a byte */
        ck_assert_int_eq(again.dtype, bytes);
        ck_assert_ptr_eq(again.strides, strides);
    }
    source.dtype.lanes = 4;
    ck_assert_int_eq(lathe_tensor_from_dlpack(&source, &tensor), LATHE_UNSUPPORTED);
    source.dtype.lanes = 1;
    source.ndim = 9;
    ck_assert_int_eq(lathe_tensor_from_dlpack(&source, &tensor), LATHE_BAD_ARGUMENT);
}
END_TEST

START_TEST(names_things) {
    ck_assert_str_eq(lathe_status_text(LATHE_NO_MEMORY), "out of memory");
    ck_assert_ptr_nonnull(lathe_status_text((lathe_status)12345));
    ck_assert_str_eq(lathe_dtype_name(LATHE_BF16), "bf16");
    ck_assert_str_eq(lathe_dtype_name((lathe_dtype)99), "?");
    ck_assert_uint_eq(lathe_dtype_size(LATHE_F64), 8);
    ck_assert_uint_eq(lathe_dtype_size((lathe_dtype)99), 0);
    ck_assert_str_eq(lathe_version(), LATHE_VERSION);
#if defined(__x86_64__)
    uint64_t features = lt_cpu_features();
    ck_assert_int_eq(!!(features & LT_CPU_AVX2), !!__builtin_cpu_supports("avx2"));
    ck_assert_int_eq(!!(features & LT_CPU_FMA), !!__builtin_cpu_supports("fma"));
    ck_assert_int_eq(!!(features & LT_CPU_AVX512F), !!__builtin_cpu_supports("avx512f"));
    ck_assert_int_eq(!!(features & LT_CPU_AVX512VNNI), !!__builtin_cpu_supports("avx512vnni"));
#endif
    ck_assert_int_ge(lt_cpu_cores(), 1);
    ck_assert_int_eq(lt_quota_cores("max 100000\n"), 0);
    ck_assert_int_eq(lt_quota_cores("50000 100000\n"), 1);
    ck_assert_int_eq(lt_quota_cores("250000 100000\n"), 3);
    ck_assert_int_eq(lt_quota_cores("200000\n100000\n"), 2);
    ck_assert_int_eq(lt_quota_cores("-1\n100000\n"), 0);
    ck_assert_int_eq(lt_quota_cores(""), 0);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {opens_and_describes,
                                  refuses_what_is_cut_short,
                                  refuses_what_is_no_artifact,
                                  refuses_other_abi,
                                  opens_older_abi,
                                  refuses_bad_devices,
                                  refuses_other_machine,
                                  refuses_damage,
                                  refuses_bad_signature,
                                  weights_beside_the_artifact,
                                  converts_dlpack,
                                  names_things};
    lt_arena_init(&arena);
    if (!lt_test_artifact_folder(folder))
        return EXIT_FAILURE;
    snprintf(path, sizeof path, "%s/model.so", folder);
    build("", &plain);
    build("-DMAX_BATCH=0", &no_batch);
    build("-DABI=2", &older);
    build("-DDEVICE=2", &for_gpu);
    build("-DDEVICE=4", &for_opencl);
    int code = lt_test_run("test_runtime", tests, sizeof tests / sizeof *tests);
    lt_test_artifact_remove(folder);
    lt_arena_free(&arena);
    return code;
}
