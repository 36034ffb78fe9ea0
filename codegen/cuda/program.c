/* program.c - a program as one file of CUDA-C: helpers, kernels, and the functions that a host
 * calls.
 *
 *   int64_t NAME_arena_bytes(const int64_t *dims)       device memory that a run needs
 *   cudaError_t NAME_run(inputs, outputs, dims, weights, arena, stream)
 *
 * inputs and outputs are the model's, in its order, in device memory; dims has the values of its
 * symbols, as a comment lists them; weights is what --weights writes, in device memory. The run
 * launches the kernels in order on the stream and waits for nothing. The text compiles with nvcc,
 * and, behind codegen/cuda/emulate.h, as C++. */
#include <assert.h>
#include <string.h>

#include "codegen/cuda/cuda.h"
#include "lathe/runtime.h"

typedef struct HostWriter {
    Writer w;
    const Program *program;
    const char *name;
    const char **kernels; /* by kernel: the function's name */
    const char **buffers; /* by buffer: its variable; NULL: none yet */
    Str symbol_list;      /* n, h: the symbols in the order of `dims` */
} HostWriter;

/* --- what there is no CUDA-C for --- */

static bool is_launch_or_copy(const Step *s) {
    return s->kind == STEP_LAUNCH || s->kind == STEP_COPY;
}

static bool check_steps(const Program *p, DiagList *diags) {
    bool is_good = true;
    for (size_t i = 0; i < p->steps.len; i++) {
        const Step *s = &p->steps.data[i];
        if (is_launch_or_copy(s))
            continue;
        const char *what = s->kind == STEP_LIBRARY ? "it is computed by the library of the runtime"
                           : s->kind == STEP_BIND || s->kind == STEP_RESERVE
                               ? "its extents depend on data"
                               : "it is control flow";
        lt_error(diags, LATHE_UNSUPPORTED, s->loc, "there is no CUDA-C for %s yet: %s",
                 s->name ? s->name : lt_step_names[s->kind], what);
        is_good = false;
    }
    return is_good;
}

/* --- symbols --- */

/* Those that are a whole dim of some input, in the order of the module's table. */
static void bind_symbols(HostWriter *h) {
    const Module *m = h->program->module;
    bool *is_told = LT_ARRAY(h->w.arena, bool, m->dims.symbols.len + 1);
    for (size_t i = 0; i < m->main->inputs.len; i++) {
        const Type *type = m->main->inputs.data[i]->type;
        for (int axis = 0; axis < type->rank; axis++)
            if (type->dims[axis]->kind == DIM_SYMBOL)
                is_told[type->dims[axis]->symbol] = true;
    }
    int number = 0;
    lt_str_init(&h->symbol_list, h->w.arena);
    for (size_t i = 0; i < m->dims.symbols.len; i++) {
        const Dim *symbol = m->dims.symbols.data[i].dim;
        if (!is_told[i])
            continue;
        const char *name = lt_cuda_name(h->w.arena, &h->w.names, symbol->name);
        lt_cuda_line(&h->w, "const int64_t %s = dims[%d];", name, number++);
        lt_str_printf(&h->symbol_list, "%s%s", number > 1 ? ", " : "", symbol->name);
        lt_cuda_bind(&h->w, symbol, name);
    }
}

static bool is_known(const HostWriter *h, const Dim *d) {
    if (d->kind == DIM_SYMBOL && !h->w.symbols[d->symbol])
        return false;
    for (uint32_t i = 0; i < d->count; i++)
        if (!is_known(h, d->args[i]))
            return false;
    return true;
}

/* The text of a dim of the module; an error where no input's shape tells it. */
static const char *host_dim(HostWriter *h, const Dim *d, const Loc *loc) {
    if (is_known(h, d))
        return lt_cuda_dim(&h->w, d).text;
    h->w.failed = true;
    lt_error(h->w.diags, LATHE_UNSUPPORTED, loc, "an extent is needed that no input's shape tells");
    return "0";
}

static void emit_guards(HostWriter *h) {
    const Module *m = h->program->module;
    for (size_t i = 0; i < m->guards.len; i++) {
        const DimGuard *guard = &m->guards.data[i];
        const char *a = host_dim(h, guard->a, guard->loc), *b = host_dim(h, guard->b, guard->loc);
        lt_cuda_line(&h->w, "if (%s != %s)", a, b);
        lt_cuda_line(&h->w, "    return cudaErrorInvalidValue;");
    }
}

/* --- buffers --- */

static const char *address(HostWriter *h, const ProgramBuffer *b) {
    Arena *arena = h->w.arena;
    switch (b->place) {
    case PLACE_INPUT: return lt_arena_printf(arena, "inputs[%u]", b->index);
    case PLACE_OUTPUT: return lt_arena_printf(arena, "outputs[%u]", b->index);
    case PLACE_SLOT: break;
    case PLACE_ARENA:
    case PLACE_WEIGHTS: {
        const char *base = b->place == PLACE_ARENA ? "arena" : "weights";
        const Text offset = {host_dim(h, b->offset, NULL), BIND_SUM};
        const char *cast = b->place == PLACE_ARENA ? "char *" : "const char *";
        return lt_dim_is(b->offset, 0)
                   ? base
                   : lt_arena_printf(arena, "((%s)%s + %s)", cast, base, offset.text);
    }
    }
    assert(!"steps that reserve memory were refused");
    return "";
}

static const char *buffer_name(HostWriter *h, uint32_t number) {
    const ProgramBuffer *b = &h->program->buffers.data[number];
    if (h->buffers[number])
        return h->buffers[number];
    const bool is_const = b->place == PLACE_INPUT || b->place == PLACE_WEIGHTS;
    const char *where = address(h, b);
    const char *type = lt_arena_printf(h->w.arena, "%s%s *", is_const ? "const " : "",
                                       lt_cuda_memory_type(b->type->dtype));
    h->buffers[number] = lt_cuda_name(h->w.arena, &h->w.names, b->name ? b->name : "buffer");
    lt_cuda_line(&h->w, "%s%s = (%s)%s;", type, h->buffers[number], type, where);
    return h->buffers[number];
}

/* --- steps --- */

static void emit_launch(HostWriter *h, const Step *s) {
    Kernel *k = h->program->kernels.data[s->kernel];
    const int64_t threads = lt_kernel_threads(k);
    const Dim *blocks = lt_kernel_export_dim(k, &h->w.dims, s->ints, lt_kernel_blocks(k));
    Str args;
    lt_str_init(&args, h->w.arena);
    for (uint32_t i = 0; i < s->buffer_count; i++)
        lt_str_printf(&args, ", %s", buffer_name(h, s->buffers[i]));
    for (uint32_t i = 0; i < s->int_count; i++)
        lt_str_printf(&args, ", %s", host_dim(h, s->ints[i], s->loc));
    lt_cuda_line(&h->w, "launch(%s, %s, %lld, stream%s);", h->kernels[s->kernel],
                 host_dim(h, blocks, s->loc), (long long)(threads ? threads : 1), args.text);
}

static void emit_copy(HostWriter *h, const Step *s) {
    const char *from = buffer_name(h, s->buffers[0]), *to = buffer_name(h, s->buffers[1]);
    if (s->offset && !lt_dim_is(s->offset, 0))
        to = lt_arena_printf(h->w.arena, "(char *)%s + %s", to, host_dim(h, s->offset, s->loc));
    lt_cuda_line(&h->w, "cudaMemcpyAsync(%s, %s, %s, cudaMemcpyDeviceToDevice, stream);", to, from,
                 host_dim(h, s->count, s->loc));
}

static void emit_run(Str *out, HostWriter *h) {
    const Program *p = h->program;
    Scope body;
    lt_cuda_open(&h->w, &body);
    bind_symbols(h);
    emit_guards(h);
    for (size_t i = 0; i < p->steps.len && !h->w.failed; i++) {
        if (p->steps.data[i].kind == STEP_LAUNCH)
            emit_launch(h, &p->steps.data[i]);
        else
            emit_copy(h, &p->steps.data[i]);
    }
    lt_cuda_line(&h->w, "return cudaGetLastError();");
    lt_str_printf(out,
                  "// Launches the kernels on the stream. All memory is the device's; inputs and "
                  "outputs are\n// the model's, in its order. dims: %s.\n",
                  h->symbol_list.len ? h->symbol_list.text : "none");
    lt_str_printf(
        out,
        "extern \"C\" cudaError_t %s_run(const void *const *inputs, void *const *outputs,\n"
        "    const int64_t *dims, const void *weights, void *arena, cudaStream_t stream) "
        "{\n%s}\n",
        h->name, body.lines.text);
}

static HostWriter host_writer(const Program *p, const char *name, Arena *arena, DiagList *diags) {
    HostWriter h = {.program = p, .name = name};
    lt_cuda_writer(&h.w, arena, &p->module->dims, diags);
    h.buffers = LT_ARRAY(arena, const char *, p->buffers.len + 1);
    return h;
}

static void emit_arena_bytes(Str *out, HostWriter *h) {
    Scope body;
    lt_cuda_open(&h->w, &body);
    bind_symbols(h);
    lt_cuda_line(&h->w, "return %s;", host_dim(h, h->program->arena_size, NULL));
    lt_str_printf(out,
                  "// Bytes of memory for what a run computes on the way.\n"
                  "extern \"C\" int64_t %s_arena_bytes(const int64_t *dims) {\n%s}\n\n",
                  h->name, body.lines.text);
}

/* --- the file --- */

static const char head[] =
    "#include <math.h>\n"
    "#include <stdint.h>\n"
    "#include <string.h>\n"
    "#ifdef __CUDACC__\n"
    "#include <cuda_bf16.h>\n"
    "#include <cuda_fp16.h>\n\n"
    "template <class T> struct Exactly { using type = T; };\n"
    "template <class... P>\n"
    "static void launch(void (*kernel)(P...), int64_t blocks, int threads, cudaStream_t stream,\n"
    "                   typename Exactly<P>::type... args) {\n"
    "    if (blocks > 0)\n"
    "        kernel<<<(unsigned)blocks, threads, 0, stream>>>(args...);\n"
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
    lt_str_printf(out, "// weights: %lld bytes\n", (long long)p->weights_size);
}

static bool emit_kernels(Str *out, const Program *p, const char **names, Arena *arena,
                         DiagList *diags) {
    Map taken;
    bool is_good = true;
    lt_map_init(&taken, arena);
    for (size_t i = 0; i < p->kernels.len; i++) {
        Kernel *k = p->kernels.data[i];
        names[i] = lt_cuda_name(arena, &taken, k->name);
        is_good &= lt_cuda_kernel(out, k, names[i], arena, diags);
    }
    return is_good;
}

bool lt_codegen_cuda(const Program *p, const CodegenOptions *o, Str *out, DiagList *diags) {
    Arena *arena = p->module->arena;
    const char *name = o->static_name ? o->static_name : "lathe_model";
    const char **kernels = LT_ARRAY(arena, const char *, p->kernels.len + 1);
    Str code;
    lt_str_init(&code, arena);
    if (!check_steps(p, diags) || !emit_kernels(&code, p, kernels, arena, diags))
        return false;
    HostWriter bytes = host_writer(p, name, arena, diags), run = bytes;
    run = host_writer(p, name, arena, diags);
    run.kernels = kernels;
    for (size_t i = 0; i < p->kernels.len; i++)
        lt_strmap_set(&run.w.names, kernels[i], out);
    emit_arena_bytes(&code, &bytes);
    emit_run(&code, &run);
    lt_str_printf(out, "// %s: made by lathe %s for %s.\n//\n",
                  o->model_name     ? o->model_name
                  : p->module->name ? p->module->name
                                    : name,
                  LATHE_VERSION, o->target->name);
    emit_signature(out, p);
    lt_str_append(out, head);
    lt_cuda_helpers(out, code.text, arena);
    lt_str_append(out, code.text);
    return !bytes.w.failed && !run.w.failed;
}
