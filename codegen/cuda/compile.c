/* compile.c - the kernels of an artifact for a GPU: one text of CUDA-C, and what nvcc makes of it.
 *
 * nvcc is looked for in $LATHE_NVCC, the PATH, $CUDA_HOME and /usr/local/cuda. The image has code
 * for each architecture that was asked for, and PTX of the newest, from which the driver makes code
 * for later ones. With cuda_jit nothing is compiled: runtime/device_cuda_jit.c does it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codegen/command.h"
#include "codegen/cuda/cuda.h"
#include "lathe/runtime.h"

/* --- the text --- */

static const char emulation[] =
    "#ifndef __CUDACC__\n"
    "#include \"codegen/cuda/emulate.h\" // blocks and threads on the CPU\n"
    "#endif\n";

/* What nvcc compiles takes its names from headers. */
static void emit_includes(Str *out, bool has_half, bool has_bf16) {
    lt_str_append(out, "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n");
    if (has_half || has_bf16)
        lt_str_append(out, "#ifdef __CUDACC__\n");
    if (has_bf16)
        lt_str_append(out, "#include <cuda_bf16.h>\n");
    if (has_half)
        lt_str_append(out, "#include <cuda_fp16.h>\n");
    if (has_half || has_bf16)
        lt_str_append(out, "#endif\n");
    lt_str_append(out, emulation);
}

/* NVRTC has no headers but those of a toolkit, which is not where the model runs: this takes their
 * place. Narrow floats are as in them. */
static const char jit_head[] = "#ifdef __CUDACC_RTC__\n"
                               "typedef signed char int8_t;\n"
                               "typedef unsigned char uint8_t;\n"
                               "typedef short int16_t;\n"
                               "typedef unsigned short uint16_t;\n"
                               "typedef int int32_t;\n"
                               "typedef unsigned uint32_t;\n"
                               "typedef long long int64_t;\n"
                               "typedef unsigned long long uint64_t;\n"
                               "#define INT64_MIN (-0x7fffffffffffffff - 1)\n"
                               "#define INFINITY __int_as_float(0x7f800000)\n"
                               "#define NAN __int_as_float(0x7fffffff)\n";
static const char jit_half[] =
    "\n"
    "struct __half {\n"
    "    uint16_t bits;\n"
    "};\n"
    "__device__ inline float __half2float(__half x) {\n"
    "    float y;\n"
    "    asm(\"cvt.f32.f16 %0, %1;\" : \"=f\"(y) : \"h\"(x.bits));\n"
    "    return y;\n"
    "}\n"
    "__device__ inline __half __float2half(float x) {\n"
    "    __half y;\n"
    "    asm(\"cvt.rn.f16.f32 %0, %1;\" : \"=h\"(y.bits) : \"f\"(x));\n"
    "    return y;\n"
    "}\n"
    "__device__ inline __half __double2half(double x) {\n"
    "    __half y;\n"
    "    asm(\"cvt.rn.f16.f64 %0, %1;\" : \"=h\"(y.bits) : \"d\"(x));\n"
    "    return y;\n"
    "}\n";
static const char jit_bf16[] =
    "\n"
    "struct __nv_bfloat16 {\n"
    "    uint16_t bits;\n"
    "};\n"
    "__device__ inline float __bfloat162float(__nv_bfloat16 x) {\n"
    "    return __uint_as_float(uint32_t(x.bits) << 16);\n"
    "}\n"
    "__device__ inline __nv_bfloat16 __float2bfloat16(float x) {\n"
    "    __nv_bfloat16 y;\n"
    "#if __CUDA_ARCH__ >= 800\n"
    "    asm(\"cvt.rn.bf16.f32 %0, %1;\" : \"=h\"(y.bits) : \"f\"(x));\n"
    "#else // to nearest, ties to even\n"
    "    const uint32_t all = __float_as_uint(x);\n"
    "    y.bits = x != x ? 0x7fff : uint16_t((all + 0x7fff + (all >> 16 & 1)) >> 16);\n"
    "#endif\n"
    "    return y;\n"
    "}\n"
    "__device__ inline __nv_bfloat16 __double2bfloat16(double x) {\n"
    "    const float near = __double2float_rz(x); // made odd if it is not x: then rounding\n"
    "                                             // again is right\n"
    "    return __float2bfloat16(__uint_as_float(__float_as_uint(near) | (near != x)));\n"
    "}\n";

static void emit_jit_head(Str *out, bool has_half, bool has_bf16) {
    lt_str_append(out, jit_head);
    if (has_half)
        lt_str_append(out, jit_half);
    if (has_bf16)
        lt_str_append(out, jit_bf16);
    lt_str_append(out, "#endif\n");
    lt_str_append(out, emulation);
}

/* Kernels have C linkage: the runtime finds them by the names that the artifact says. */
static bool emit_text(Str *out, const Program *p, const char **symbols, const CodegenOptions *o,
                      Arena *arena, DiagList *diags) {
    Map taken;
    Str code, helpers;
    bool is_good = true;
    lt_map_init(&taken, arena);
    lt_str_init(&code, arena);
    lt_str_init(&helpers, arena);
    for (size_t i = 0; i < p->kernels.len; i++) {
        symbols[i] = lt_cuda_kernel_name(arena, &taken, p->kernels.data[i]);
        is_good &= lt_cuda_kernel(&code, p->kernels.data[i], symbols[i], NULL, arena, diags);
        if (o->progress)
            o->progress(o->user, (int)i + 1, (int)p->kernels.len);
    }
    lt_cuda_helpers(&helpers, code.text, arena);
    const char *both = lt_arena_printf(arena, "%s%s", helpers.text, code.text);
    const bool has_half = strstr(both, "__half"), has_bf16 = strstr(both, "__nv_bfloat16");
    (o->cuda_jit ? emit_jit_head : emit_includes)(out, has_half, has_bf16);
    lt_str_printf(out, "\n%s\nextern \"C\" {\n%s}\n", helpers.text, code.text);
    return is_good;
}

/* --- nvcc --- */

static const char *if_there(Arena *arena, const char *folder, size_t length, const char *name) {
    const char *path = lt_arena_printf(arena, "%.*s/%s", (int)length, folder, name);
    return access(path, X_OK) == 0 ? path : NULL;
}

static const char *in_path(Arena *arena) {
    const char *found = NULL;
    for (const char *at = getenv("PATH"); at && *at && !found; at += *at == ':') {
        const size_t length = strcspn(at, ":");
        found = length ? if_there(arena, at, length, "nvcc") : NULL;
        at += length;
    }
    return found;
}

static const char *find_nvcc(Arena *arena) {
    const char *chosen = getenv("LATHE_NVCC"), *home = getenv("CUDA_HOME");
    if (chosen && *chosen)
        return chosen;
    const char *found = in_path(arena);
    if (!found && home && *home)
        found = if_there(arena, home, strlen(home), "bin/nvcc");
    static const char usual[] = "/usr/local/cuda";
    return found ? found : if_there(arena, usual, sizeof usual - 1, "bin/nvcc");
}

/* "sm_80" is 80, and "sm_90a" is 90a. */
static const char *number_of(const char *architecture) { return architecture + strlen("sm_"); }

/* Products of warpgroups are in code for sm_90a alone, which runs on sm_90 and on no later one. */
static const char *own_number(const char *text, const char *architecture) {
    const bool is_own = strcmp(architecture, "sm_90") == 0 && strstr(text, "_FEAT_SM90_ALL");
    return is_own ? "90a" : number_of(architecture);
}

static void add_code(Command *c, const char *number, const char *kind) {
    const char *code =
        lt_arena_printf(c->arena, "arch=compute_%s,code=%s_%s", number, kind, number);
    lt_command_add(c, "-gencode");
    lt_command_add(c, code);
}

static bool run_nvcc(Command *c, const char *const *architectures, size_t count, DeviceCode *out) {
    const char *text = lt_command_file(c, "model.cu"), *image = lt_command_file(c, "model.fatbin");
    static const char *const options[] = {
        "--fatbin", "-std=c++17", "--threads",
        "0",        "-Xcudafe",   "--diag_suppress=177"}; /* functions nobody calls */
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        lt_command_add(c, options[i]);
    for (size_t i = 0; i < count; i++)
        add_code(c, own_number(out->text, architectures[i]), "sm");
    add_code(c, number_of(architectures[count - 1]), "compute");
    lt_command_add(c, text);
    lt_command_add(c, "-o");
    lt_command_add(c, image);
    ObjectCode result;
    if (!lt_command_write(c, text, out->text, strlen(out->text)) ||
        !lt_command_run(c, "nvcc", "LATHE_NVCC names another") ||
        !lt_command_result(c, image, &result))
        return false;
    out->image = lt_arena_copy(c->arena, result.data, result.size);
    out->image_size = result.size;
    lt_object_unmap(&result);
    return true;
}

static bool make_image(const char *const *architectures, size_t count, Arena *arena,
                       DeviceCode *out, DiagList *diags) {
    Command c;
    const char *nvcc = find_nvcc(arena);
    if (!nvcc) {
        lt_error(diags, LATHE_MACHINE, NULL,
                 "nvcc, which compiles the kernels, is not in the PATH, in $CUDA_HOME/bin or in "
                 "/usr/local/cuda/bin; LATHE_NVCC names it, and --cuda-jit does without it");
        return false;
    }
    if (!lt_command_open(&c, arena, diags, nvcc))
        return false;
    const bool done = run_nvcc(&c, architectures, count, out);
    lt_command_close(&c);
    return done;
}

static const char *join(Arena *arena, const char *const *words, size_t count) {
    const char *text = words[0];
    for (size_t i = 1; i < count; i++)
        text = lt_arena_printf(arena, "%s, %s", text, words[i]);
    return text;
}

bool lt_cuda_compile(const Program *p, const CodegenOptions *o, Arena *arena, DeviceCode *out,
                     DiagList *diags) {
    static const char *const usual[] = {"sm_75", "sm_80", "sm_90"};
    const bool is_chosen = strchr(o->target->name, ':') != NULL; /* cuda:sm_80 */
    const char *const *architectures = is_chosen ? &o->target->cpu : usual;
    const size_t count = is_chosen ? 1 : sizeof usual / sizeof *usual;
    Str text;
    lt_str_init(&text, arena);
    *out = (DeviceCode){.target = o->target,
                        .symbols = LT_ARRAY(arena, const char *, p->kernels.len + 1),
                        .shared_bytes = LT_ARRAY(arena, int64_t, p->kernels.len + 1),
                        .architectures = join(arena, architectures, count)};
    for (size_t i = 0; i < p->kernels.len; i++)
        out->shared_bytes[i] = lt_cuda_shared_bytes(p->kernels.data[i]);
    if (!emit_text(&text, p, out->symbols, o, arena, diags))
        return false;
    out->text = text.text;
    if (o->cuda_jit || p->kernels.len == 0)
        return true;
    return make_image(architectures, count, arena, out, diags);
}
