/* host.c - the host entry: shape functions, and run(), which checks the guards and does the
 * program's steps.
 *
 * A table of buffer addresses and one of integers on the stack are filled for each step. Dims are
 * of the module's table and are computed once each, where they are first needed; every block but
 * those that return early dominates what follows, up to the end of its branch or loop. */
#include <assert.h>
#include <string.h>

#include "codegen/llvm/host.h"
#include "lathe/runtime.h"

LLVMValueRef lt_host_int(const Unit *u, int64_t value) {
    return LLVMConstInt(u->i64, (unsigned long long)value, true);
}

LLVMValueRef lt_host_element(Emitter *e, LLVMTypeRef type, LLVMValueRef base, int64_t index) {
    LLVMValueRef at = lt_host_int(e->unit, index);
    return index ? LLVMBuildGEP2(e->b, type, base, &at, 1, "") : base;
}

/* --- functions of the symbols --- */

static void begin_function(Emitter *e, Host *h, const char *name, LLVMTypeRef type) {
    Unit *u = h->unit;
    *e = (Emitter){.unit = u, .b = u->builder, .arena = u->arena, .lane = -1, .stamp = 1};
    lt_dims_fork(&e->dims, &h->program->module->dims, u->arena);
    lt_map_init(&e->memo, u->arena);
    e->bindings = LT_ARRAY(u->arena, Binding, e->dims.symbols.len + 1);
    e->replaced = LT_ARRAY(u->arena, const Dim *, e->dims.symbols.len + 1);
    e->function = LLVMAddFunction(u->module, name, type);
    LLVMSetLinkage(e->function, LLVMInternalLinkage);
    e->entry = LLVMAppendBasicBlockInContext(u->context, e->function, "entry");
    LLVMPositionBuilderAtEnd(e->b, e->entry);
}

static void bind_symbols(Emitter *e, Host *h, LLVMValueRef table) {
    for (uint32_t i = 0; i < h->symbol_count; i++) {
        const Dim *symbol = h->symbols[i];
        LLVMValueRef place = lt_host_element(e, e->unit->i64, table, i);
        e->bindings[symbol->symbol].scalar =
            LLVMBuildLoad2(e->b, e->unit->i64, place, symbol->name);
    }
}

static LLVMValueRef emit_output_dims(Host *h) {
    Unit *u = h->unit;
    Emitter e;
    LLVMTypeRef params[] = {u->ptr, u->ptr};
    begin_function(&e, h, "output_dims", LLVMFunctionType(u->void_type, params, 2, false));
    bind_symbols(&e, h, LLVMGetParam(e.function, 0));
    const Node *yield = lt_graph_yield(h->program->module->main);
    int64_t at = 0;
    for (uint32_t i = 0; i < yield->input_count; i++) {
        const Type *type = lt_input(yield, i)->type;
        for (int axis = 0; axis < type->rank; axis++) {
            LLVMValueRef place = lt_host_element(&e, u->i64, LLVMGetParam(e.function, 1), at++);
            const bool waits = lt_dim_is_data(&h->program->module->dims, type->dims[axis]);
            LLVMBuildStore(e.b, waits ? lt_host_int(u, 0) : lt_emit_dim(&e, type->dims[axis]),
                           place);
        }
    }
    LLVMBuildRetVoid(e.b);
    return e.function;
}

static LLVMValueRef emit_arena_size(Host *h) {
    Unit *u = h->unit;
    Emitter e;
    begin_function(&e, h, "arena_size", LLVMFunctionType(u->i64, &u->ptr, 1, false));
    bind_symbols(&e, h, LLVMGetParam(e.function, 0));
    LLVMBuildRet(e.b, lt_emit_dim(&e, h->program->arena_size));
    return e.function;
}

/* --- run --- */

/* The fields of LtHostApi, all pointers. */
enum {
    API_CONTEXT,
    API_LAUNCH,
    API_LIBRARY,
    API_LAUNCH_TEAM,
    API_RESERVE,
    API_OUTPUT,
    API_COPY,
    API_FETCH
};

static bool is_on_device(const Run *r) { return r->host->unit->options->device != NULL; }

void lt_host_return_unless(Run *r, LLVMValueRef condition, LLVMValueRef result) {
    Unit *u = r->host->unit;
    LLVMBasicBlockRef leave = LLVMAppendBasicBlockInContext(u->context, r->e.function, "leave");
    LLVMBasicBlockRef stay = LLVMAppendBasicBlockInContext(u->context, r->e.function, "");
    LLVMBuildCondBr(r->e.b, condition, stay, leave);
    LLVMPositionBuilderAtEnd(r->e.b, leave);
    LLVMBuildRet(r->e.b, result);
    LLVMPositionBuilderAtEnd(r->e.b, stay);
}

/* Whether all symbols in d have values by now. */
static bool has_value(const Run *r, const Dim *d) {
    if (d->kind == DIM_SYMBOL && !r->e.bindings[d->symbol].scalar)
        return false;
    for (uint32_t i = 0; i < d->count; i++)
        if (!has_value(r, d->args[i]))
            return false;
    return true;
}

void lt_host_emit_guards(Run *r, const Step *bound) {
    const Module *m = r->host->program->module;
    for (size_t i = 0; i < m->guards.len; i++) {
        const DimGuard *guard = &m->guards.data[i];
        if (bound ? !lt_guard_applies(guard, r->graph) : guard->graph != r->graph)
            continue;
        if (!has_value(r, guard->a) || !has_value(r, guard->b) ||
            (bound && !lt_step_binds(bound, guard->a) && !lt_step_binds(bound, guard->b)))
            continue;
        LLVMValueRef a = lt_emit_dim(&r->e, guard->a), b = lt_emit_dim(&r->e, guard->b);
        LLVMValueRef holds = LLVMBuildICmp(r->e.b, LLVMIntEQ, a, b, "");
        lt_host_return_unless(r, holds, LLVMConstInt(r->host->unit->i32, i + 1, false));
    }
}

static LLVMValueRef tensor_address(Run *r, uint32_t index) {
    LLVMTypeRef ptr = r->host->unit->ptr;
    LLVMValueRef place =
        lt_host_element(&r->e, ptr, LLVMGetParam(r->e.function, RUN_TENSORS), index);
    return LLVMBuildLoad2(r->e.b, ptr, place, "");
}

LLVMValueRef lt_host_buffer_address(Run *r, uint32_t index) {
    const Program *p = r->host->program;
    const ProgramBuffer *buffer = &p->buffers.data[index];
    Emitter *e = &r->e;
    LLVMValueRef offset;
    switch (buffer->place) {
    case PLACE_INPUT: return tensor_address(r, buffer->index);
    case PLACE_OUTPUT:
        return tensor_address(r, (uint32_t)p->module->main->inputs.len + buffer->index);
    case PLACE_SLOT: return LLVMBuildLoad2(e->b, e->unit->ptr, r->slots[buffer->index], "");
    case PLACE_ARENA:
    case PLACE_WEIGHTS: break;
    }
    offset = lt_emit_dim(e, buffer->offset);
    LLVMValueRef base =
        LLVMGetParam(e->function, buffer->place == PLACE_ARENA ? RUN_ARENA : RUN_WEIGHTS);
    return LLVMBuildGEP2(e->b, e->unit->i8, base, &offset, 1, "");
}

static void fill_tables(Run *r, const Step *s) {
    Emitter *e = &r->e;
    Unit *u = r->host->unit;
    for (uint32_t i = 0; i < s->buffer_count; i++)
        LLVMBuildStore(e->b, lt_host_buffer_address(r, s->buffers[i]),
                       lt_host_element(e, u->ptr, r->buffers, i));
    for (uint32_t i = 0; i < s->int_count; i++)
        LLVMBuildStore(e->b, lt_emit_dim(e, s->ints[i]), lt_host_element(e, u->i64, r->ints, i));
}

/* count: of blocks, which the kernel's grid says. */
static void emit_device_launch(Run *r, const Step *s) {
    Unit *u = r->host->unit;
    Kernel *k = r->host->program->kernels.data[s->kernel];
    LLVMTypeRef params[] = {u->ptr, u->i32, u->ptr, u->ptr, u->ptr, u->i64};
    LLVMTypeRef type = LLVMFunctionType(u->void_type, params, 6, false);
    const Dim *blocks = lt_kernel_export_dim(k, &r->e.dims, s->ints, lt_kernel_blocks(k));
    fill_tables(r, s);
    LLVMValueRef args[] = {r->context,
                           LLVMConstInt(u->i32, s->kernel, false),
                           LLVMConstPointerNull(u->ptr),
                           r->buffers,
                           r->ints,
                           lt_emit_dim(&r->e, blocks)};
    LLVMBuildCall2(r->e.b, type, r->launch, args, 6, "");
}

static void emit_launch(Run *r, const Step *s, const LLVMValueRef *kernels) {
    Unit *u = r->host->unit;
    LLVMTypeRef params[] = {u->ptr, u->i32, u->ptr, u->ptr, u->ptr, u->i64, u->i64};
    const unsigned count = s->rounds ? 7 : 6;
    LLVMTypeRef type = LLVMFunctionType(u->void_type, params, count, false);
    fill_tables(r, s);
    LLVMValueRef args[] = {r->context,
                           LLVMConstInt(u->i32, s->kernel, false),
                           kernels[s->kernel],
                           r->buffers,
                           r->ints,
                           lt_emit_dim(&r->e, s->count),
                           s->rounds ? lt_emit_dim(&r->e, s->rounds) : NULL};
    LLVMBuildCall2(r->e.b, type, s->rounds ? r->launch_team : r->launch, args, count, "");
}

/* A call that gave a lathe_status: goes on behind it when that is 0. */
static void return_failure(Run *r, LLVMValueRef status) {
    LLVMValueRef zero = LLVMConstInt(r->host->unit->i32, 0, false);
    LLVMValueRef is_done = LLVMBuildICmp(r->e.b, LLVMIntEQ, status, zero, "");
    lt_host_return_unless(r, is_done, LLVMBuildNeg(r->e.b, status, ""));
}

/* What the library computes are kernels on a device (passes/lower_gpu.h). */
static void emit_library(Run *r, const Step *s) {
    Unit *u = r->host->unit;
    LLVMTypeRef params[] = {u->ptr, u->i32, u->ptr, u->ptr};
    LLVMTypeRef type = LLVMFunctionType(u->i32, params, 4, false);
    assert(!is_on_device(r) && "a program for a GPU is lowered to kernels");
    fill_tables(r, s);
    LLVMValueRef args[] = {r->context, LLVMConstInt(u->i32, s->kernel, false), r->buffers, r->ints};
    return_failure(r, LLVMBuildCall2(r->e.b, type, r->library, args, 4, ""));
}

LLVMValueRef lt_host_readable(Run *r, uint32_t index, int64_t bytes) {
    Unit *u = r->host->unit;
    LLVMValueRef address = lt_host_buffer_address(r, index);
    if (!is_on_device(r))
        return address;
    LLVMTypeRef params[] = {u->ptr, u->ptr, u->ptr, u->i64};
    LLVMTypeRef type = LLVMFunctionType(u->i32, params, 4, false);
    const uint64_t words = ((uint64_t)bytes + 7) / 8;
    LLVMValueRef copy = lt_host_local(r, LLVMArrayType2(u->i64, words), "fetched");
    LLVMValueRef args[] = {r->context, copy, address, lt_host_int(u, bytes)};
    return_failure(r, LLVMBuildCall2(r->e.b, type, r->fetch, args, 4, ""));
    return copy;
}

static void copy_bytes(Run *r, LLVMValueRef to, LLVMValueRef from, LLVMValueRef bytes) {
    Unit *u = r->host->unit;
    LLVMTypeRef params[] = {u->ptr, u->ptr, u->ptr, u->i64};
    LLVMTypeRef type = LLVMFunctionType(u->void_type, params, 4, false);
    LLVMValueRef args[] = {r->context, to, from, bytes};
    if (is_on_device(r))
        LLVMBuildCall2(r->e.b, type, r->copy, args, 4, "");
    else
        LLVMBuildMemCpy(r->e.b, to, 1, from, 1, bytes);
}

static void emit_copy(Run *r, const Step *s) {
    LLVMValueRef from = lt_host_buffer_address(r, s->buffers[0]);
    LLVMValueRef to = lt_host_buffer_address(r, s->buffers[1]);
    LLVMValueRef offset = s->offset ? lt_emit_dim(&r->e, s->offset) : NULL;
    if (offset)
        to = LLVMBuildGEP2(r->e.b, r->e.unit->i8, to, &offset, 1, "");
    copy_bytes(r, to, from, lt_emit_dim(&r->e, s->count));
}

LLVMValueRef lt_host_local(Run *r, LLVMTypeRef type, const char *name) {
    LLVMBasicBlockRef now = LLVMGetInsertBlock(r->e.b);
    LLVMValueRef first = LLVMGetFirstInstruction(r->e.entry);
    if (first)
        LLVMPositionBuilderBefore(r->e.b, first);
    else
        LLVMPositionBuilderAtEnd(r->e.b, r->e.entry);
    LLVMValueRef place = LLVMBuildAlloca(r->e.b, type, name);
    LLVMPositionBuilderAtEnd(r->e.b, now);
    return place;
}

static LLVMValueRef api_field(Run *r, int field, const char *name) {
    Unit *u = r->host->unit;
    LLVMValueRef api = LLVMGetParam(r->e.function, RUN_API);
    return LLVMBuildLoad2(r->e.b, u->ptr, lt_host_element(&r->e, u->ptr, api, field), name);
}

static void load_api(Run *r, bool reserves) {
    r->context = api_field(r, API_CONTEXT, "context");
    r->launch = api_field(r, API_LAUNCH, "launch");
    r->library = api_field(r, API_LIBRARY, "library");
    r->launch_team = api_field(r, API_LAUNCH_TEAM, "team");
    if (reserves) { /* what a library that is linked statically does not have */
        r->reserve = api_field(r, API_RESERVE, "reserve");
        r->output = api_field(r, API_OUTPUT, "output");
    }
    if (is_on_device(r)) {
        r->copy = api_field(r, API_COPY, "copy");
        r->fetch = api_field(r, API_FETCH, "fetch");
    }
}

static void begin_run(Run *r, Host *h) {
    Unit *u = h->unit;
    const Program *p = h->program;
    LLVMTypeRef params[] = {u->ptr, u->ptr, u->ptr, u->ptr, u->ptr};
    *r = (Run){.host = h, .graph = p->module->main};
    begin_function(&r->e, h, "run", LLVMFunctionType(u->i32, params, 5, false));
    uint32_t buffers = 1, ints = 1;
    bool reserves = false;
    for (size_t i = 0; i < p->steps.len; i++) {
        const Step *s = &p->steps.data[i];
        buffers = s->buffer_count > buffers ? s->buffer_count : buffers;
        ints = s->int_count > ints ? s->int_count : ints;
        reserves |= s->kind == STEP_RESERVE;
    }
    r->buffers = LLVMBuildAlloca(r->e.b, LLVMArrayType2(u->ptr, buffers), "buffers");
    r->ints = LLVMBuildAlloca(r->e.b, LLVMArrayType2(u->i64, ints), "ints");
    bind_symbols(&r->e, h, LLVMGetParam(r->e.function, RUN_SYMBOLS));
    load_api(r, reserves);
    r->slots = LT_ARRAY(u->arena, LLVMValueRef, p->slot_count + 1);
    for (uint32_t i = 0; i < p->slot_count; i++)
        r->slots[i] = lt_host_local(r, u->ptr, "slot");
    r->variables = LT_ARRAY(u->arena, LLVMValueRef, p->module->dims.symbols.len + 1);
}

static LLVMValueRef emit_run(Host *h, const LLVMValueRef *kernels) {
    Run r;
    begin_run(&r, h);
    lt_host_emit_guards(&r, NULL);
    for (size_t i = 0; i < h->program->steps.len; i++) {
        const Step *s = &h->program->steps.data[i];
        switch (s->kind) {
        case STEP_LAUNCH:
            if (is_on_device(&r))
                emit_device_launch(&r, s);
            else
                emit_launch(&r, s, kernels);
            break;
        case STEP_LIBRARY: emit_library(&r, s); break;
        case STEP_COPY: emit_copy(&r, s); break;
        default: lt_host_emit_control(&r, s); break;
        }
    }
    LLVMBuildRet(r.e.b, LLVMConstInt(h->unit->i32, 0, false));
    return r.e.function;
}

/* --- which symbols there are --- */

/* Symbols of the signature: those that are a whole dim of some input, in the order of the module's
 * table. */
static void find_symbols(Host *h) {
    const Module *m = h->program->module;
    bool *is_input = LT_ARRAY(h->unit->arena, bool, m->dims.symbols.len + 1);
    for (size_t i = 0; i < m->main->inputs.len; i++) {
        const Type *type = m->main->inputs.data[i]->type;
        for (int axis = 0; axis < type->rank; axis++) {
            if (type->dims[axis]->kind == DIM_SYMBOL)
                is_input[type->dims[axis]->symbol] = true;
        }
    }
    h->symbols = LT_ARRAY(h->unit->arena, const Dim *, m->dims.symbols.len + 1);
    h->number = LT_ARRAY(h->unit->arena, int32_t, m->dims.symbols.len + 1);
    for (size_t s = 0; s < m->dims.symbols.len; s++) {
        h->number[s] = is_input[s] ? (int32_t)h->symbol_count : -1;
        if (is_input[s])
            h->symbols[h->symbol_count++] = m->dims.symbols.data[s].dim;
    }
}

static bool is_known(Host *h, const Dim *d, const Dim **missing) {
    const DimTable *t = &h->program->module->dims;
    if (d->kind == DIM_SYMBOL && h->number[d->symbol] < 0 &&
        !t->symbols.data[d->symbol].data_dependent) {
        *missing = d;
        return false;
    }
    for (uint32_t i = 0; i < d->count; i++) {
        if (!is_known(h, d->args[i], missing))
            return false;
    }
    return true;
}

static bool check_dim(Host *h, const Dim *d, const Loc *loc, DiagList *diags) {
    const Dim *missing = NULL;
    if (!d || is_known(h, d, &missing))
        return true;
    lt_error(diags, LATHE_UNSUPPORTED, loc,
             "the extent %s is needed, and no input's shape tells it", missing->name);
    return false;
}

static bool check_signature(Host *h, DiagList *diags) {
    const Module *m = h->program->module;
    bool is_good = true;
    for (size_t i = 0; i < m->main->inputs.len; i++) {
        const Value *input = m->main->inputs.data[i];
        for (int axis = 0; axis < input->type->rank; axis++) {
            const Dim *d = input->type->dims[axis];
            if (d->kind == DIM_CONST || d->kind == DIM_SYMBOL)
                continue;
            lt_error(diags, LATHE_UNSUPPORTED, NULL,
                     "axis %d of input %s is neither a number nor a symbol", axis,
                     input->name ? input->name : "?");
            is_good = false;
        }
    }
    const Node *yield = lt_graph_yield(m->main);
    for (uint32_t i = 0; i < yield->input_count; i++) {
        const Type *type = lt_input(yield, i)->type;
        for (int axis = 0; axis < type->rank; axis++)
            is_good &= check_dim(h, type->dims[axis], yield->loc, diags);
    }
    return is_good;
}

static bool check_dims(Host *h, DiagList *diags) {
    const Program *p = h->program;
    bool is_good = check_signature(h, diags) && check_dim(h, p->arena_size, NULL, diags);
    for (size_t i = 0; is_good && i < p->steps.len; i++) {
        const Step *s = &p->steps.data[i];
        is_good = check_dim(h, s->count, s->loc, diags) && check_dim(h, s->rounds, s->loc, diags);
        for (uint32_t j = 0; is_good && j < s->int_count; j++)
            is_good = check_dim(h, s->ints[j], s->loc, diags);
    }
    for (size_t i = 0; is_good && i < p->buffers.len; i++)
        is_good = check_dim(h, p->buffers.data[i].offset, NULL, diags);
    for (size_t i = 0; is_good && i < p->module->guards.len; i++) {
        const DimGuard *guard = &p->module->guards.data[i];
        is_good =
            check_dim(h, guard->a, guard->loc, diags) && check_dim(h, guard->b, guard->loc, diags);
    }
    return is_good;
}

/* A CPU runs a block's threads one after the other. */
static bool check_kernels(const Program *p, DiagList *diags) {
    for (size_t i = 0; i < p->kernels.len; i++) {
        const Kernel *k = p->kernels.data[i];
        if (lt_kernel_threads(k) == 0 || !lt_stmt_has_barrier(k->body))
            continue;
        lt_error(diags, LATHE_UNSUPPORTED, k->loc,
                 "the threads of kernel %s wait for each other: it is one for a GPU", k->name);
        return false;
    }
    return true;
}

bool lt_unit_emit_host(Unit *u, const Program *p, const LLVMValueRef *kernels, DiagList *diags) {
    Host h = {.unit = u, .program = p};
    find_symbols(&h);
    if (!(u->options->device || check_kernels(p, diags)) || !check_dims(&h, diags))
        return false;
    LLVMSetCurrentDebugLocation2(u->builder, NULL);
    LLVMValueRef functions[] = {emit_output_dims(&h), emit_arena_size(&h), emit_run(&h, kernels)};
    lt_host_emit_descriptor(&h, functions);
    return true;
}
