/* descriptor.c - LtDescriptor and all that it points to, as constants. The structures are those of
 * runtime/artifact.h, field by field; LLVM lays out plain structs as C does. */
#include <string.h>

#include "codegen/llvm/host.h"
#include "lathe/runtime.h"

static LLVMValueRef number(const Unit *u, LLVMTypeRef type, int64_t value) {
    (void)u;
    return LLVMConstInt(type, (unsigned long long)value, true);
}

static LLVMValueRef make_global(Unit *u, LLVMValueRef content, const char *name) {
    LLVMValueRef global = LLVMAddGlobal(u->module, LLVMTypeOf(content), name);
    LLVMSetInitializer(global, content);
    LLVMSetGlobalConstant(global, true);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    return global;
}

static LLVMValueRef make_string(Unit *u, const char *text) {
    LLVMValueRef global =
        make_global(u, LLVMConstStringInContext2(u->context, text, strlen(text), false), "text");
    LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(global, 1);
    return global;
}

static LLVMValueRef make_struct(Unit *u, LLVMValueRef *fields, unsigned count) {
    return LLVMConstStructInContext(u->context, fields, count, false);
}

/* A pointer to an array of equal structures; NULL for none. */
static LLVMValueRef make_table(Unit *u, LLVMValueRef *rows, size_t count, const char *name) {
    if (count == 0)
        return LLVMConstNull(u->ptr);
    return make_global(u, LLVMConstArray2(LLVMTypeOf(rows[0]), rows, count), name);
}

static const char *dim_text(Unit *u, const Dim *d) {
    Str text;
    lt_str_init(&text, u->arena);
    lt_dim_print(&text, d);
    return text.text;
}

/* --- signature --- */

static LLVMValueRef dim_decl(Host *h, const Dim *d) {
    Unit *u = h->unit;
    const int32_t symbol = d->kind == DIM_CONST                           ? -1
                           : lt_dim_is_data(&h->program->module->dims, d) ? LT_DIM_OF_DATA
                           : d->kind == DIM_SYMBOL                        ? h->number[d->symbol]
                                                                          : -2;
    LLVMValueRef fields[] = {number(u, u->i64, d->kind == DIM_CONST ? d->value : 0),
                             number(u, u->i32, symbol), number(u, u->i32, 0),
                             make_string(u, dim_text(u, d))};
    return make_struct(u, fields, 4);
}

static LLVMValueRef tensor_decl(Host *h, const char *name, const Type *type) {
    Unit *u = h->unit;
    LLVMValueRef dims[LT_MAX_RANK];
    for (int axis = 0; axis < type->rank; axis++)
        dims[axis] = dim_decl(h, type->dims[axis]);
    LLVMValueRef fields[] = {make_string(u, name), number(u, u->i32, type->dtype),
                             number(u, u->i32, type->rank),
                             make_table(u, dims, (size_t)type->rank, "dims")};
    return make_struct(u, fields, 4);
}

static const char *value_name(Host *h, const Value *v, const char *kind, uint32_t index) {
    return v->name ? v->name : lt_arena_printf(h->unit->arena, "%s%u", kind, index);
}

static LLVMValueRef input_table(Host *h) {
    const Graph *g = h->program->module->main;
    LLVMValueRef *rows = LT_ARRAY(h->unit->arena, LLVMValueRef, g->inputs.len + 1);
    for (uint32_t i = 0; i < g->inputs.len; i++)
        rows[i] =
            tensor_decl(h, value_name(h, g->inputs.data[i], "in", i), g->inputs.data[i]->type);
    return make_table(h->unit, rows, g->inputs.len, "inputs");
}

/* An output may be another value by the end of the passes; the buffer kept the model's name. */
static const char *output_name(Host *h, const Value *v, uint32_t index) {
    const Program *p = h->program;
    for (size_t i = 0; i < p->buffers.len; i++) {
        const ProgramBuffer *buffer = &p->buffers.data[i];
        if (buffer->place == PLACE_OUTPUT && buffer->index == index && buffer->name)
            return buffer->name;
    }
    return value_name(h, v, "out", index);
}

static LLVMValueRef output_table(Host *h) {
    const Node *yield = lt_graph_yield(h->program->module->main);
    LLVMValueRef *rows = LT_ARRAY(h->unit->arena, LLVMValueRef, yield->input_count + 1);
    for (uint32_t i = 0; i < yield->input_count; i++)
        rows[i] = tensor_decl(h, output_name(h, lt_input(yield, i), i), lt_input(yield, i)->type);
    return make_table(h->unit, rows, yield->input_count, "outputs");
}

static LLVMValueRef symbol_table(Host *h) {
    Unit *u = h->unit;
    const DimTable *table = &h->program->module->dims;
    LLVMValueRef *rows = LT_ARRAY(u->arena, LLVMValueRef, h->symbol_count + 1);
    for (uint32_t i = 0; i < h->symbol_count; i++) {
        const DimSymbol *symbol = &table->symbols.data[h->symbols[i]->symbol];
        LLVMValueRef fields[] = {make_string(u, symbol->dim->name), number(u, u->i64, symbol->lo),
                                 number(u, u->i64, symbol->hi)};
        rows[i] = make_struct(u, fields, 3);
    }
    return make_table(u, rows, h->symbol_count, "symbols");
}

/* --- kernels, guards --- */

static const char *node_names(Arena *arena, const Loc *loc) {
    Str names;
    lt_str_init(&names, arena);
    for (; loc; loc = loc->next) {
        const char *name = loc->node ? loc->node : loc->op;
        if (name)
            lt_str_printf(&names, "%s%s", names.len ? "," : "", name);
    }
    return names.text;
}

static LLVMValueRef kernel_table(Host *h) {
    Unit *u = h->unit;
    const Program *p = h->program;
    LLVMValueRef *rows = LT_ARRAY(u->arena, LLVMValueRef, p->kernels.len + 1);
    for (size_t i = 0; i < p->kernels.len; i++) {
        const Kernel *k = p->kernels.data[i];
        LLVMValueRef fields[] = {make_string(u, k->name),
                                 make_string(u, node_names(u->arena, k->loc))};
        rows[i] = make_struct(u, fields, 2);
    }
    return make_table(u, rows, p->kernels.len, "kernels");
}

/* An inequality a <= b is recorded as max(a, b) == b. */
static const char *guard_text(Unit *u, const DimGuard *guard) {
    const Dim *a = guard->a, *b = guard->b;
    const char *relation = "==";
    if (a->kind == DIM_MAX && (a->args[0] == b || a->args[1] == b)) {
        a = a->args[a->args[0] == b];
        relation = "<=";
    }
    const char *nodes = node_names(u->arena, guard->loc);
    return lt_arena_printf(u->arena, "%s %s %s%s%s%s", dim_text(u, a), relation, dim_text(u, b),
                           *nodes ? " (" : "", nodes, *nodes ? ")" : "");
}

static LLVMValueRef guard_table(Host *h) {
    Unit *u = h->unit;
    const Module *m = h->program->module;
    LLVMValueRef *rows = LT_ARRAY(u->arena, LLVMValueRef, m->guards.len + 1);
    for (size_t i = 0; i < m->guards.len; i++)
        rows[i] = make_string(u, guard_text(u, &m->guards.data[i]));
    return make_table(u, rows, m->guards.len, "guards");
}

static int64_t scratch_bytes(const Program *p) {
    int64_t most = 0;
    for (size_t i = 0; i < p->kernels.len; i++) {
        const int64_t bytes = lt_kernel_scratch_offset(p->kernels.data[i], NULL);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* --- the device --- */

static LLVMValueRef make_bytes(Unit *u, const char *bytes, size_t size) {
    if (!bytes)
        return LLVMConstNull(u->ptr);
    LLVMValueRef global =
        make_global(u, LLVMConstStringInContext2(u->context, bytes, size, true), "image");
    LLVMSetAlignment(global, LT_TENSOR_ALIGN);
    return global;
}

static LLVMValueRef device_kernels(Host *h) {
    Unit *u = h->unit;
    const Program *p = h->program;
    LLVMValueRef *rows = LT_ARRAY(u->arena, LLVMValueRef, p->kernels.len + 1);
    for (size_t i = 0; i < p->kernels.len; i++) {
        const Kernel *k = p->kernels.data[i];
        const int64_t threads = lt_kernel_threads(k);
        LLVMValueRef fields[] = {make_string(u, u->options->device->symbols[i]),
                                 number(u, u->i32, threads ? threads : 1),
                                 number(u, u->i32, k->param_count),
                                 number(u, u->i32, (int64_t)k->ints.len),
                                 number(u, u->i32, u->options->device->shared_bytes[i])};
        rows[i] = make_struct(u, fields, 5);
    }
    return make_table(u, rows, p->kernels.len, "device_kernels");
}

static bool repeats(const Program *p) {
    for (size_t i = 0; i < p->steps.len; i++)
        if (p->steps.data[i].kind != STEP_LAUNCH && p->steps.data[i].kind != STEP_COPY)
            return false;
    return true;
}

static LLVMValueRef device_decl(Host *h) {
    Unit *u = h->unit;
    const DeviceCode *device = u->options->device;
    if (!device)
        return LLVMConstNull(u->ptr);
    LLVMValueRef fields[] = {number(u, u->i32, LATHE_CUDA),
                             number(u, u->i32, repeats(h->program) ? LT_DEVICE_REPEATS : 0),
                             make_string(u, device->architectures),
                             make_bytes(u, device->image, device->image_size),
                             number(u, u->i64, (int64_t)device->image_size),
                             device->image ? LLVMConstNull(u->ptr) : make_string(u, device->text),
                             device_kernels(h)};
    return make_global(u, make_struct(u, fields, 7), "device");
}

void lt_host_emit_descriptor(Host *h, const LLVMValueRef functions[3]) {
    Unit *u = h->unit;
    const Program *p = h->program;
    const char *name = u->options->model_name ? u->options->model_name : p->module->name;
    LLVMValueRef fields[] = {
        number(u, u->i32, LATHE_ABI),
        number(u, u->i32, sizeof(LtDescriptor)),
        make_string(u, LATHE_VERSION),
        make_string(u, lt_codegen_target_text(u->arena, u->options)),
        make_string(u, name ? name : "model"),
        number(u, u->i32, h->symbol_count),
        number(u, u->i32, (int64_t)p->module->main->inputs.len),
        number(u, u->i32, lt_graph_yield(p->module->main)->input_count),
        number(u, u->i32, (int64_t)p->kernels.len),
        number(u, u->i32, (int64_t)p->module->guards.len),
        symbol_table(h),
        input_table(h),
        output_table(h),
        kernel_table(h),
        guard_table(h),
        number(u, u->i64, p->weights_size),
        functions[0],
        functions[1],
        functions[2],
        number(u, u->i64, u->options->device ? 0 : scratch_bytes(p)),
        number(u, u->i64, p->slot_count),
        device_decl(h),
    };
    const char *owner = u->options->static_name;
    LLVMValueRef descriptor = make_global(u, make_struct(u, fields, sizeof fields / sizeof *fields),
                                          owner ? lt_arena_printf(u->arena, "%s_descriptor", owner)
                                                : LT_DESCRIPTOR_SYMBOL);
    LLVMSetLinkage(descriptor, LLVMExternalLinkage);
}
