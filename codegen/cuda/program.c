/* program.c - a program as one file of CUDA-C: helpers, kernels, and the functions that a host
 * calls.
 *
 *   int64_t NAME_arena_bytes(const int64_t *dims)       device memory that a run needs
 *   cudaError_t NAME_run(inputs, outputs, dims, weights, arena, stream)
 *
 * inputs and outputs are the model's, in its order, in device memory; dims has the values of its
 * symbols, as a comment lists them; weights is what --weights writes, in device memory. The run
 * launches the kernels in order on the stream, and waits for it only where data decide what comes
 * next. Outputs whose extents depend on data are the run's to allocate, and dims has room for what
 * they are. The text compiles with nvcc, and, behind codegen/cuda/emulate.h, as C++. */
#include "codegen/cuda/host.h"
#include "lathe/runtime.h"

/* --- the file --- */

static const char head[] =
    "#include <math.h>\n"
    "#include <stdint.h>\n"
    "#include <string.h>\n"
    "#ifdef __CUDACC__\n"
    "#include <cuda_bf16.h>\n"
    "#include <cuda_fp16.h>\n\n"
    "template <class T> struct Exactly { using type = T; };\n"
    "struct Block { // its threads, and bytes of shared memory\n"
    "    int threads, shared;\n"
    "    Block(int t, int bytes = 0) : threads(t), shared(bytes) {}\n"
    "};\n"
    "template <class... P>\n"
    "static void launch(void (*kernel)(P...), int64_t blocks, Block block, cudaStream_t stream,\n"
    "                   typename Exactly<P>::type... args) {\n"
    "    if (block.shared > 49152)\n"
    "        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,\n"
    "                             block.shared);\n"
    "    if (blocks > 0)\n"
    "        kernel<<<(unsigned)blocks, block.threads, block.shared, stream>>>(args...);\n"
    "}\n"
    "#else\n"
    "#include \"codegen/cuda/emulate.h\" // blocks and threads on the CPU\n"
    "#endif\n\n";

static void emit_signature(Str *out, const Program *p) {
    const Graph *g = p->module->main;
    const Node *yield = lt_graph_yield(g);
    for (size_t i = 0; i < g->inputs.len; i++) {
        const Value *v = g->inputs.data[i];
        lt_str_printf(out, "// input %zu: %s ", i, v->name ? v->name : "?");
        lt_type_print(out, v->type);
        lt_str_char(out, '\n');
    }
    for (uint32_t i = 0; i < yield->input_count; i++) {
        const Value *v = lt_input(yield, i);
        lt_str_printf(out, "// output %u: %s ", i, v->name ? v->name : "?");
        lt_type_print(out, v->type);
        lt_str_char(out, '\n');
    }
    lt_cuda_dims_comment(out, p);
    lt_str_printf(out, "// weights: %lld bytes\n", (long long)p->weights_size);
}

static bool emit_kernels(Str *out, const Program *p, CudaFunction *functions, Arena *arena,
                         DiagList *diags) {
    Map taken;
    bool is_good = true;
    lt_map_init(&taken, arena);
    for (size_t i = 0; i < p->kernels.len; i++) {
        Kernel *k = p->kernels.data[i];
        functions[i].name = lt_cuda_kernel_name(arena, &taken, k);
        functions[i].reads = LT_ARRAY(arena, bool, k->param_count + k->ints.len + 1);
        is_good &= lt_cuda_kernel(out, k, functions[i].name, functions[i].reads, arena, diags);
    }
    return is_good;
}

bool lt_codegen_cuda(const Program *p, const CodegenOptions *o, Str *out, DiagList *diags) {
    Arena *arena = p->module->arena;
    const char *name = o->static_name ? o->static_name : "lathe_model";
    CudaFunction *kernels = LT_ARRAY(arena, CudaFunction, p->kernels.len + 1);
    Str code;
    lt_str_init(&code, arena);
    if (!emit_kernels(&code, p, kernels, arena, diags) ||
        !lt_cuda_host(&code, p, name, kernels, arena, diags))
        return false;
    lt_str_printf(out, "// %s: made by lathe %s for %s.\n//\n",
                  o->model_name     ? o->model_name
                  : p->module->name ? p->module->name
                                    : name,
                  LATHE_VERSION, o->target->name);
    if (o->precision)
        lt_str_printf(out, "// precision: %s (operands of products of f32)\n", o->precision);
    emit_signature(out, p);
    lt_str_append(out, head);
    lt_cuda_helpers(out, code.text, arena);
    lt_str_append(out, code.text);
    return true;
}
