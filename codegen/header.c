/* header.c - the C header of a model for static linking: a structure with a typed field for every
 * input, output and symbolic dim, and functions over it.
 *
 * The functions are inline and do what the runtime does for an artifact: they hand the descriptor's
 * entry its tensors, symbols and memory (runtime/artifact.h), and run kernels on the calling
 * thread. Like that the object needs no runtime, and the header nothing but C99. */
#include <ctype.h>
#include <string.h>

#include "codegen/codegen.h"
#include "lathe/runtime.h"

/* Names of C and C++ that no field can have. */
static const char *const keywords[] = {
    "alignas",  "alignof", "and",     "asm",       "auto",     "bool",     "break",    "case",
    "catch",    "char",    "class",   "compl",     "concept",  "const",    "continue", "decltype",
    "default",  "delete",  "do",      "double",    "else",     "enum",     "explicit", "export",
    "extern",   "false",   "float",   "for",       "friend",   "goto",     "if",       "inline",
    "int",      "long",    "mutable", "namespace", "new",      "noexcept", "not",      "nullptr",
    "operator", "or",      "private", "protected", "public",   "register", "requires", "restrict",
    "return",   "short",   "signed",  "sizeof",    "static",   "struct",   "switch",   "template",
    "this",     "throw",   "true",    "try",       "typedef",  "typeid",   "typename", "union",
    "unsigned", "using",   "virtual", "void",      "volatile", "while",    "xor",
};

static const char *const c_types[LT_DTYPE_LIMIT] = {
    [DT_F32] = "float",          [DT_F64] = "double",     [DT_F16] = "uint16_t",
    [DT_BF16] = "uint16_t",      [DT_I8] = "int8_t",      [DT_I16] = "int16_t",
    [DT_I32] = "int32_t",        [DT_I64] = "int64_t",    [DT_U8] = "uint8_t",
    [DT_U16] = "uint16_t",       [DT_U32] = "uint32_t",   [DT_U64] = "uint64_t",
    [DT_BOOL] = "uint8_t",       [DT_I4] = "int8_t",      [DT_U4] = "uint8_t",
    [DT_I2] = "int8_t",          [DT_U2] = "uint8_t",     [DT_F8E4M3FN] = "uint8_t",
    [DT_F8E4M3FNUZ] = "uint8_t", [DT_F8E5M2] = "uint8_t", [DT_F8E5M2FNUZ] = "uint8_t",
    [DT_F8E8M0] = "uint8_t",     [DT_F4E2M1] = "uint8_t",
};

typedef struct Field {
    const char *name; /* an identifier, unique in the structure */
    const Type *type; /* NULL: a symbolic dim */
    const DimSymbol *symbol;
    const char *model_name; /* what the model calls it */
} Field;

typedef struct Header {
    Str *out;
    Arena *arena;
    const Program *program;
    const char *name, *macro; /* mlp, MLP */
    Map taken;
    Field *symbols, *inputs, *outputs;
    uint32_t symbol_count, input_count, output_count;
    int64_t scratch;
} Header;

/* --- names ----------------------------------------------------------------------------------- */

static const char *identifier(Header *h, const char *text) {
    Str name;
    lt_str_init(&name, h->arena);
    if (isdigit((unsigned char)*text) || !*text)
        lt_str_char(&name, '_');
    for (; *text; text++)
        lt_str_char(&name, isalnum((unsigned char)*text) ? *text : '_');
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i], name.text) == 0)
            lt_str_char(&name, '_');
    const char *unique = name.text;
    for (int number = 2; lt_strmap_has(&h->taken, unique); number++)
        unique = lt_arena_printf(h->arena, "%s_%d", name.text, number);
    lt_strmap_set(&h->taken, unique, h);
    return unique;
}

static const char *upper(Arena *arena, const char *text) {
    char *copy = lt_arena_strdup(arena, text);
    for (char *at = copy; *at; at++)
        *at = (char)toupper((unsigned char)*at);
    return copy;
}

static Field tensor_field(Header *h, const Type *type, const char *name, const char *otherwise) {
    const char *known = name ? name : otherwise;
    return (Field){.name = identifier(h, known), .type = type, .model_name = known};
}

/* As codegen/llvm/host.c counts them: in the order of the module's table, those that an input's
 * shape tells. */
static void find_symbols(Header *h) {
    const Module *m = h->program->module;
    h->symbols = LT_ARRAY(h->arena, Field, m->dims.symbols.len + 1);
    bool *is_told = LT_ARRAY(h->arena, bool, m->dims.symbols.len + 1);
    for (size_t i = 0; i < m->main->inputs.len; i++) {
        const Type *type = m->main->inputs.data[i]->type;
        for (int axis = 0; axis < type->rank; axis++)
            if (type->dims[axis]->kind == DIM_SYMBOL)
                is_told[type->dims[axis]->symbol] = true;
    }
    for (size_t i = 0; i < m->dims.symbols.len; i++) {
        const DimSymbol *s = &m->dims.symbols.data[i];
        if (is_told[i])
            h->symbols[h->symbol_count++] = (Field){
                .name = identifier(h, s->dim->name), .symbol = s, .model_name = s->dim->name};
    }
}

static const char *output_name(const Program *p, const Value *v, uint32_t index) {
    for (size_t i = 0; i < p->buffers.len; i++) {
        const ProgramBuffer *b = &p->buffers.data[i];
        if (b->place == PLACE_OUTPUT && b->index == index && b->name)
            return b->name;
    }
    return v->name;
}

static void find_fields(Header *h) {
    const Graph *g = h->program->module->main;
    const Node *yield = lt_graph_yield(g);
    find_symbols(h);
    h->input_count = (uint32_t)g->inputs.len;
    h->output_count = yield->input_count;
    h->inputs = LT_ARRAY(h->arena, Field, h->input_count + 1);
    h->outputs = LT_ARRAY(h->arena, Field, h->output_count + 1);
    for (uint32_t i = 0; i < h->input_count; i++) {
        const Value *v = g->inputs.data[i];
        h->inputs[i] = tensor_field(h, v->type, v->name, lt_arena_printf(h->arena, "in%u", i));
    }
    for (uint32_t i = 0; i < h->output_count; i++) {
        const Value *v = lt_input(yield, i);
        h->outputs[i] = tensor_field(h, v->type, output_name(h->program, v, i),
                                     lt_arena_printf(h->arena, "out%u", i));
    }
    for (size_t i = 0; i < h->program->kernels.len; i++) {
        const int64_t bytes = lt_kernel_scratch_offset(h->program->kernels.data[i], NULL);
        h->scratch = bytes > h->scratch ? bytes : h->scratch;
    }
}

/* --- text ------------------------------------------------------------------------------------ */

/* What every such header has once: see runtime/artifact.h. */
static const char common_text[] =
    "#ifndef LATHE_STATIC_ABI\n"
    "#define LATHE_STATIC_ABI 2\n"
    "typedef void lathe_static_kernel(void *const *, const int64_t *, int64_t, int64_t, void *);\n"
    "typedef void lathe_static_team(void *const *, const int64_t *, int64_t, int64_t, void *,\n"
    "                               const void *);\n"
    "struct lathe_static_api {\n"
    "    void *context;\n"
    "    void (*launch)(void *, uint32_t, lathe_static_kernel *, void *const *, const int64_t *,\n"
    "                   int64_t);\n"
    "    int32_t (*library)(void *, uint32_t, void *const *, const int64_t *);\n"
    "    void (*launch_team)(void *, uint32_t, lathe_static_team *, void *const *,\n"
    "                        const int64_t *, int64_t, int64_t);\n"
    "};\n"
    "struct lathe_static_descriptor {\n"
    "    uint32_t abi, size;\n"
    "    const char *version, *target, *model_name;\n"
    "    uint32_t symbol_count, input_count, output_count, kernel_count, guard_count;\n"
    "    const void *symbols, *inputs, *outputs, *kernels;\n"
    "    const char *const *guards;\n"
    "    int64_t weights_size;\n"
    "    void (*output_dims)(const int64_t *, int64_t *);\n"
    "    int64_t (*arena_size)(const int64_t *);\n"
    "    int32_t (*run)(const struct lathe_static_api *, uint8_t *, const uint8_t *,\n"
    "                   void *const *, const int64_t *);\n"
    "    uint64_t scratch_bytes;\n"
    "};\n"
    "/* Kernels run on the calling thread; the context is their scratch memory. */\n"
    "static inline void lathe_static_launch(void *context, uint32_t kernel,\n"
    "                                       lathe_static_kernel *fn, void *const *buffers,\n"
    "                                       const int64_t *ints, int64_t count) {\n"
    "    (void)kernel;\n"
    "    if (count > 0)\n"
    "        fn(buffers, ints, 0, count, context);\n"
    "}\n"
    "static inline void lathe_static_launch_team(void *context, uint32_t kernel,\n"
    "                                            lathe_static_team *fn, void *const *buffers,\n"
    "                                            const int64_t *ints, int64_t count,\n"
    "                                            int64_t rounds) {\n"
    "    (void)kernel, (void)rounds;\n"
    "    if (count > 0)\n"
    "        fn(buffers, ints, 0, count, context, 0);\n"
    "}\n"
    "#endif\n\n";

static void print_field(Header *h, const Field *f, const char *qualifier) {
    Str type;
    lt_str_init(&type, h->arena);
    if (f->type) {
        lt_type_print(&type, f->type);
        lt_str_printf(h->out, "    %s%s *%s; /* ", qualifier, c_types[f->type->dtype], f->name);
        if (strcmp(f->model_name, f->name) != 0)
            lt_str_printf(h->out, "%s: ", f->model_name);
        lt_str_printf(h->out, "%s */\n", type.text);
        return;
    }
    lt_str_printf(h->out, "    int64_t %s; /* %lld..", f->name, (long long)f->symbol->lo);
    if (f->symbol->hi != LT_DIM_UNBOUNDED)
        lt_str_printf(h->out, "%lld", (long long)f->symbol->hi);
    lt_str_append(h->out, " */\n");
}

static void print_arguments(Header *h) {
    lt_str_append(h->out, "/* Tensors are dense and row-major, at least aligned to their elements;"
                          " an output is no\n * other's memory. */\n");
    lt_str_printf(h->out, "typedef struct %s_args {\n", h->name);
    for (uint32_t i = 0; i < h->symbol_count; i++)
        print_field(h, &h->symbols[i], "");
    for (uint32_t i = 0; i < h->input_count; i++)
        print_field(h, &h->inputs[i], "const ");
    for (uint32_t i = 0; i < h->output_count; i++)
        print_field(h, &h->outputs[i], "");
    lt_str_printf(h->out, "} %s_args;\n\n", h->name);
}

static int64_t round_up(int64_t bytes) {
    return (bytes + LT_TENSOR_ALIGN - 1) / LT_TENSOR_ALIGN * LT_TENSOR_ALIGN;
}

/* Constants, where there are some: C arrays need them. */
static void print_constants(Header *h) {
    lt_str_printf(h->out, "#define %s_ARENA_ALIGN %d\n", h->macro, LT_TENSOR_ALIGN);
    const Dim *arena = h->program->arena_size;
    if (arena && lt_dim_is_const(arena)) {
        int64_t bytes = round_up(arena->value) + round_up(h->scratch);
        lt_str_printf(h->out, "#define %s_ARENA_BYTES %lld\n", h->macro,
                      (long long)(bytes ? bytes : LT_TENSOR_ALIGN));
    }
    for (uint32_t i = 0; i < h->input_count + h->output_count; i++) {
        const Field *f = i < h->input_count ? &h->inputs[i] : &h->outputs[i - h->input_count];
        int64_t elements;
        if (lt_type_is_static(f->type, &elements))
            lt_str_printf(h->out, "#define %s_%s_ELEMENTS %lld\n", h->macro,
                          upper(h->arena, f->name), (long long)elements);
    }
    lt_str_char(h->out, '\n');
}

/* The values of the symbols, as an array that is never empty. */
static void print_symbols(Header *h) {
    lt_str_append(h->out, "    const int64_t symbols[] = {");
    for (uint32_t i = 0; i < h->symbol_count; i++)
        lt_str_printf(h->out, "%sargs->%s", i ? ", " : "", h->symbols[i].name);
    lt_str_append(h->out, h->symbol_count ? "};\n" : "0};\n    (void)args;\n");
}

static void print_sizes(Header *h) {
    const char *name = h->name;
    lt_str_printf(h->out,
                  "extern const struct lathe_static_descriptor %s_descriptor;\n"
                  "extern const uint8_t %s_weights[];\n\n",
                  name, name);
    lt_str_printf(h->out,
                  "/* Bytes of the memory that %s_run needs%s. */\n"
                  "static inline size_t %s_arena_bytes(const %s_args *args) {\n",
                  name, h->symbol_count ? " for these dims" : "", name, name);
    print_symbols(h);
    lt_str_printf(h->out,
                  "    size_t bytes = ((size_t)%s_descriptor.arena_size(symbols) + %d) / %d * %d;\n"
                  "    bytes += %lld;\n"
                  "    return bytes ? bytes : %d;\n"
                  "}\n\n",
                  name, LT_TENSOR_ALIGN - 1, LT_TENSOR_ALIGN, LT_TENSOR_ALIGN,
                  (long long)round_up(h->scratch), LT_TENSOR_ALIGN);
    uint32_t ranks = 0;
    for (uint32_t i = 0; i < h->output_count; i++)
        ranks += (uint32_t)h->outputs[i].type->rank;
    lt_str_printf(h->out,
                  "/* The dims of all outputs, one after the other: %u numbers. */\n"
                  "static inline void %s_output_dims(const %s_args *args, int64_t *dims) {\n",
                  ranks, name, name);
    print_symbols(h);
    lt_str_printf(h->out, "    %s_descriptor.output_dims(symbols, dims);\n}\n\n", name);
}

static void print_checks(Header *h) {
    for (uint32_t i = 0; i < h->symbol_count; i++) {
        const Field *f = &h->symbols[i];
        lt_str_printf(h->out, "    if (args->%s < %lld", f->name, (long long)f->symbol->lo);
        if (f->symbol->hi != LT_DIM_UNBOUNDED)
            lt_str_printf(h->out, " || args->%s > %lld", f->name, (long long)f->symbol->hi);
        lt_str_printf(h->out, ")\n        return -%d;\n", LATHE_BAD_SHAPE);
    }
}

static void print_run(Header *h) {
    const char *name = h->name;
    lt_str_printf(h->out,
                  "/* Runs the model. arena: %s_arena_bytes of memory, aligned to %s_ARENA_ALIGN,\n"
                  " * with nothing in it. 0, or what %s_error explains. */\n"
                  "static inline int %s_run(const %s_args *args, void *arena) {\n",
                  name, h->macro, name, name, name);
    print_symbols(h);
    lt_str_append(h->out, "    void *const tensors[] = {");
    for (uint32_t i = 0; i < h->input_count; i++)
        lt_str_printf(h->out, "%s(void *)(uintptr_t)args->%s", i ? ",\n        " : "\n        ",
                      h->inputs[i].name);
    for (uint32_t i = 0; i < h->output_count; i++)
        lt_str_printf(h->out, "%s(void *)args->%s",
                      i + h->input_count ? ",\n        " : "\n        ", h->outputs[i].name);
    lt_str_append(h->out, "};\n");
    print_checks(h);
    lt_str_printf(
        h->out,
        "    uint8_t *memory = (uint8_t *)arena;\n"
        "    size_t scratch = ((size_t)%s_descriptor.arena_size(symbols) + %d) / %d * %d;\n"
        "    const struct lathe_static_api api = {memory + scratch, lathe_static_launch, 0,\n"
        "                                         lathe_static_launch_team};\n"
        "    return %s_descriptor.run(&api, memory, %s_weights, tensors, symbols);\n"
        "}\n\n",
        name, LT_TENSOR_ALIGN - 1, LT_TENSOR_ALIGN, LT_TENSOR_ALIGN, name, name);
    lt_str_printf(h->out,
                  "/* A result of %s_run in words. */\n"
                  "static inline const char *%s_error(int result) {\n"
                  "    if (result > 0 && (uint32_t)result <= %s_descriptor.guard_count)\n"
                  "        return %s_descriptor.guards[result - 1]; /* this does not hold */\n"
                  "    return result == 0 ? \"done\"\n"
                  "           : result == -%d ? \"a dim is out of its range\"\n"
                  "                         : \"the model failed\";\n"
                  "}\n\n",
                  name, name, name, name, LATHE_BAD_SHAPE);
}

static void print_top(Header *h, const CodegenOptions *o) {
    const Target *t = o->target ? o->target : lt_codegen_host_target();
    const char *model = h->program->module->name ? h->program->module->name : h->name;
    lt_str_printf(
        h->out,
        "/* The model \"%s\", compiled by lathe %s for %s %s.\n"
        " *\n"
        " * Link with the object or library that was written beside this header; where a\n"
        " * function of the C library's math is undefined, with -lm, too. The code\n"
        " * allocates nothing, starts no thread and keeps no state: calls may run at the\n"
        " * same time, each with its own arena. */\n",
        model, LATHE_VERSION, t->triple, t->name);
    lt_str_printf(h->out,
                  "#ifndef LATHE_MODEL_%s_H\n#define LATHE_MODEL_%s_H\n\n"
                  "#include <stddef.h>\n#include <stdint.h>\n\n"
                  "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
                  h->macro, h->macro);
}

void lt_codegen_header(Str *out, const Program *p, const CodegenOptions *o) {
    Arena arena;
    lt_arena_init(&arena);
    arena.out_of_memory = out->arena->out_of_memory;
    const char *name = o->static_name ? o->static_name : "lathe_model";
    Header h = {
        .out = out, .arena = &arena, .program = p, .name = name, .macro = upper(&arena, name)};
    lt_map_init(&h.taken, &arena);
    find_fields(&h);
    print_top(&h, o);
    lt_str_append(out, common_text);
    print_constants(&h);
    print_arguments(&h);
    print_sizes(&h);
    print_run(&h);
    lt_str_append(out, "#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
    lt_arena_free(&arena);
}
