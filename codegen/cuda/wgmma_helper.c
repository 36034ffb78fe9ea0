/* wgmma_helper.c - the functions that codegen/cuda/wgmma.c calls. One operand of their instruction
 * is all that a thread holds of the tile, so that each width has its own text. Other architectures
 * than sm_90a multiply the same tile out of the same memory by mma.sync. */
#include <string.h>

#include "codegen/cuda/cuda.h"

enum { COLUMNS = 96 };
static const char indent[] = "                     ";

/* A word of a list, on a new line where this one is full; `turn` is what ends the one and begins
 * the other. */
static void append_word(Str *out, const char *word, const char *turn, bool is_first) {
    const char *newline = strrchr(out->text, '\n');
    const bool is_full = newline && strlen(newline) + strlen(word) > COLUMNS;
    lt_str_printf(out, "%s%s%s", is_first ? "" : ",", is_full ? turn : is_first ? "" : " ", word);
}

static void append_asm(Str *out, Arena *arena, const char *type, int columns) {
    const int count = columns / 2;
    const char *turn = lt_arena_printf(arena, "\"\n%s\"", indent);
    lt_str_printf(out,
                  "        asm volatile(\"wgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s \"\n"
                  "%s\"{",
                  columns, type, type, indent);
    for (int i = 0; i < count; i++)
        append_word(out, lt_arena_printf(arena, "%%%d", i), turn, i == 0);
    lt_str_printf(out, "}, \"\n%s\"%%%d, %%%d, 1, 1, 1, %%%d, %%%d;\"\n%s: ", indent, count,
                  count + 1, count + 2, count + 3, indent);
    turn = lt_arena_printf(arena, "\n%s  ", indent);
    for (int i = 0; i < count; i++)
        append_word(out, lt_arena_printf(arena, "\"+f\"(d[%d][%d])", i / 2 % 2, i / 4 * 2 + i % 2),
                    turn, i == 0);
    lt_str_printf(out,
                  "\n%s: \"l\"(rows + k * (a_by_fold ? 128 : 2)), "
                  "\"l\"(lines + k * (b_by_fold ? 128 : 2)),\n"
                  "%s  \"n\"(a_by_fold), \"n\"(b_by_fold)\n%s: \"memory\");\n",
                  indent, indent, indent);
}

const char *lt_cuda_wgmma_helper(Arena *arena, DType dtype, int columns) {
    const bool is_half = dtype == DT_F16;
    const char *suffix = is_half ? "half" : "bf16", *type = is_half ? "__half" : "__nv_bfloat16";
    Str out;
    lt_str_init(&out, arena);
    lt_str_printf(
        &out,
        "// Four warps' tile of 64 x %d += 64 x 64 of a times 64 x %d of b, in swizzled blocks,\n"
        "// while they go on. a_by_fold: a is [fold][row]; b_by_fold: b is [fold][column].\n"
        "template <bool a_by_fold, bool b_by_fold>\n"
        "__device__ void wgmma%s%d(float (&d)[2][%d], const %s (*a)[64][64],\n"
        "    const %s (*b)[64][64]) {\n"
        "#ifdef __CUDA_ARCH_FEAT_SM90_ALL\n"
        "    const uint64_t rows = matrix_at(a), lines = matrix_at(b);\n"
        "    asm volatile(\"wgmma.fence.sync.aligned;\" ::: \"memory\");\n"
        "    #pragma unroll\n"
        "    for (int k = 0; k < 4; k++)\n",
        columns, columns, suffix, columns, columns / 4, type, type);
    append_asm(&out, arena, is_half ? "f16" : "bf16", columns);
    lt_str_printf(&out,
                  "    asm volatile(\"wgmma.commit_group.sync.aligned;\" ::: \"memory\");\n"
                  "#elif defined __CUDACC__ || defined EMULATE_WARPS\n"
                  "    multiply_in_warps<mma%s, a_by_fold, b_by_fold>(d, a, b);\n"
                  "#else\n"
                  "    emulate_wgmma(d, a_by_fold, b_by_fold, matrix_at(a), matrix_at(b),\n"
                  "                  [](unsigned x) { return %s{(uint16_t)x}); });\n"
                  "#endif\n"
                  "}\n",
                  suffix, is_half ? "__half2float(__half" : "__bfloat162float(__nv_bfloat16");
    return out.text;
}
