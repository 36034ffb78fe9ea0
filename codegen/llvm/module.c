/* module.c - a unit of code: one LLVM module, and kernels as its functions. */
#include <string.h>

#include "codegen/llvm/llvm.h"

enum { ZERO_BYTES = LT_MAX_LANES * 8 };

static void init_types(Unit *u) {
    LLVMContextRef c = u->context;
    u->void_type = LLVMVoidTypeInContext(c);
    u->i1 = LLVMInt1TypeInContext(c);
    u->i8 = LLVMInt8TypeInContext(c);
    u->i16 = LLVMInt16TypeInContext(c);
    u->i32 = LLVMInt32TypeInContext(c);
    u->i64 = LLVMInt64TypeInContext(c);
    u->half = LLVMHalfTypeInContext(c);
    u->f32 = LLVMFloatTypeInContext(c);
    u->f64 = LLVMDoubleTypeInContext(c);
    u->ptr = LLVMPointerTypeInContext(c, 0);
    LLVMTypeRef params[] = {u->ptr, u->ptr, u->i64, u->i64, u->ptr, u->ptr};
    u->kernel_type = LLVMFunctionType(u->void_type, params, 5, false);
    u->team_type = LLVMFunctionType(u->void_type, params, 6, false);
}

static void init_features(Unit *u) {
    const bool is_arm = strcmp(u->target->arch, "aarch64") == 0;
    u->has_fma = is_arm || (u->target->cpu_features & LT_CPU_FMA);
    u->has_f16 = is_arm || (u->target->cpu_features & LT_CPU_F16C);
    u->has_rounding =
        is_arm || (u->target->cpu_features & (LT_CPU_SSE4_2 | LT_CPU_AVX | LT_CPU_AVX2));
}

static void add_zeros(Unit *u) {
    LLVMTypeRef type = LLVMArrayType2(u->i8, ZERO_BYTES);
    u->zeros = LLVMAddGlobal(u->module, type, "zeros");
    LLVMSetInitializer(u->zeros, LLVMConstNull(type));
    LLVMSetGlobalConstant(u->zeros, true);
    LLVMSetLinkage(u->zeros, LLVMPrivateLinkage);
    LLVMSetAlignment(u->zeros, LT_TENSOR_ALIGN);
}

static void set_layout(Unit *u) {
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(u->machine);
    LLVMSetModuleDataLayout(u->module, layout);
    LLVMSetTarget(u->module, u->target->triple);
    LLVMDisposeTargetData(layout);
}

Unit *lt_unit_new(Arena *arena, const CodegenOptions *o, const char *name, DiagList *diags) {
    LLVMTargetMachineRef machine = lt_target_machine(o, diags);
    if (!machine)
        return NULL;
    Unit *u = LT_NEW(arena, Unit);
    u->arena = arena;
    u->machine = machine;
    u->options = o;
    u->target = o->target;
    u->context = LLVMContextCreate();
    u->module = LLVMModuleCreateWithNameInContext(name, u->context);
    LLVMSetSourceFileName(u->module, name, strlen(name));
    u->builder = LLVMCreateBuilderInContext(u->context);
    init_types(u);
    init_features(u);
    set_layout(u);
    add_zeros(u);
    if (o->debug_info)
        lt_debug_begin(u, name);
    return u;
}

void lt_unit_free(Unit *u) {
    if (!u)
        return;
    if (u->debug)
        LLVMDisposeDIBuilder(u->debug);
    LLVMDisposeBuilder(u->builder);
    LLVMDisposeModule(u->module);
    LLVMContextDispose(u->context);
    LLVMDisposeTargetMachine(u->machine);
}

/* --- kernels --- */

static void add_attribute(Unit *u, LLVMValueRef function, const char *key, const char *value) {
    LLVMAttributeRef a = LLVMCreateStringAttribute(u->context, key, (unsigned)strlen(key), value,
                                                   (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

static void add_flag(Unit *u, LLVMValueRef function, LLVMAttributeIndex index, const char *name) {
    const unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(function, index, LLVMCreateEnumAttribute(u->context, kind, 0));
}

LLVMValueRef lt_unit_declare_kernel(Unit *u, const Kernel *k, const char *symbol, bool is_hidden) {
    LLVMValueRef function = LLVMGetNamedFunction(u->module, symbol);
    if (function)
        return function;
    const bool is_team = lt_kernel_is_team(k);
    function = LLVMAddFunction(u->module, symbol, is_team ? u->team_type : u->kernel_type);
    if (is_hidden)
        LLVMSetVisibility(function, LLVMHiddenVisibility);
    add_flag(u, function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "nounwind");
    for (unsigned i = 1; i <= 2; i++)
        add_flag(u, function, i, "readonly");
    /* Both tables, and the scratch memory, where it is not the team's shared memory as well. */
    static const unsigned own[] = {1, 2, 5};
    for (int i = 0; i < (is_team ? 2 : 3); i++)
        add_flag(u, function, own[i], "noalias");
    /* The CPU rows for AVX-512 prefer half vectors, which is not what the schedules are made for.
     */
    if (u->target->vector_bytes == 64)
        add_attribute(u, function, "prefer-vector-width", "512");
    if (u->options->tune_host) {
        char *cpu = LLVMGetHostCPUName();
        add_attribute(u, function, "tune-cpu", cpu);
        LLVMDisposeMessage(cpu);
    }
    return function;
}

static LLVMValueRef load_argument(Emitter *e, unsigned table, LLVMTypeRef type, uint32_t index,
                                  const char *name) {
    LLVMValueRef at = LLVMConstInt(e->unit->i64, index, false);
    LLVMValueRef place = LLVMBuildGEP2(e->b, type, LLVMGetParam(e->function, table), &at, 1, "");
    return LLVMBuildLoad2(e->b, type, place, name);
}

static void load_arguments(Emitter *e) {
    const Kernel *k = e->kernel;
    for (uint32_t i = 0; i < k->param_count; i++)
        e->bases[i] = load_argument(e, 0, e->unit->ptr, i, k->buffers.data[i]->name);
    for (uint32_t i = 0; i < k->ints.len; i++) {
        const Dim *symbol = k->ints.data[i];
        e->bindings[symbol->symbol].scalar = load_argument(e, 1, e->unit->i64, i, symbol->name);
    }
}

enum { TEAM_WAIT, TEAM_SHARED }; /* the fields of LtTeam, both pointers */

static LLVMValueRef load_of_team(Emitter *e, uint32_t field) {
    LLVMValueRef at = LLVMConstInt(e->unit->i64, field, false);
    LLVMValueRef place = LLVMBuildGEP2(e->b, e->unit->ptr, e->team, &at, 1, "");
    return LLVMBuildLoad2(e->b, e->unit->ptr, place, "");
}

/* Begins a block that is run where there is a team; it is to end with a branch to `after`. */
static LLVMBasicBlockRef begin_if_team(Emitter *e, LLVMBasicBlockRef *after) {
    LLVMContextRef c = e->unit->context;
    LLVMBasicBlockRef with = LLVMAppendBasicBlockInContext(c, e->function, "team");
    *after = LLVMAppendBasicBlockInContext(c, e->function, "");
    LLVMValueRef alone = LLVMBuildIsNull(e->b, e->team, "");
    LLVMBuildCondBr(e->b, alone, *after, with);
    LLVMPositionBuilderAtEnd(e->b, with);
    return with;
}

void lt_emit_barrier(Emitter *e) {
    if (!e->team)
        return;
    LLVMBasicBlockRef after;
    LLVMTypeRef type = LLVMFunctionType(e->unit->void_type, &e->unit->ptr, 1, false);
    begin_if_team(e, &after);
    LLVMBuildCall2(e->b, type, load_of_team(e, TEAM_WAIT), &e->team, 1, "");
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, after);
}

/* The team's memory, or, alone, the thread's own. */
static LLVMValueRef find_shared(Emitter *e) {
    if (!e->team)
        return e->scratch;
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b), after;
    LLVMBasicBlockRef with = begin_if_team(e, &after);
    LLVMValueRef shared = load_of_team(e, TEAM_SHARED);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, after);
    LLVMValueRef phi = LLVMBuildPhi(e->b, e->unit->ptr, "shared");
    LLVMAddIncoming(phi, &shared, &with, 1);
    LLVMAddIncoming(phi, &e->scratch, &before, 1);
    return phi;
}

static void init_emitter(Emitter *e, Unit *u, const Kernel *k) {
    Arena *arena = u->arena;
    const size_t symbols = k->dims.symbols.len + 1;
    *e = (Emitter){.unit = u, .b = u->builder, .kernel = k, .arena = arena, .lane = -1, .stamp = 1};
    lt_dims_fork(&e->dims, &k->dims, arena);
    lt_map_init(&e->memo, arena);
    e->bases = LT_ARRAY(arena, LLVMValueRef, k->buffers.len + 1);
    e->lane_copies = LT_ARRAY(arena, bool, k->buffers.len + 1);
    e->bindings = LT_ARRAY(arena, Binding, symbols);
    e->replaced = LT_ARRAY(arena, const Dim *, symbols);
    e->values = LT_ARRAY(arena, LLVMValueRef, k->next_expr + 1);
    e->value_stamps = LT_ARRAY(arena, uint32_t, k->next_expr + 1);
}

void lt_unit_emit_kernel(Unit *u, const Kernel *k, const char *symbol, bool is_hidden) {
    Emitter e;
    init_emitter(&e, u, k);
    e.function = lt_unit_declare_kernel(u, k, symbol, is_hidden);
    e.begin = LLVMGetParam(e.function, 2);
    e.end = LLVMGetParam(e.function, 3);
    e.scratch = LLVMGetParam(e.function, 4);
    e.team = lt_kernel_is_team(k) ? LLVMGetParam(e.function, 5) : NULL;
    e.entry = LLVMAppendBasicBlockInContext(u->context, e.function, "entry");
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(u->context, e.function, "body");
    LLVMPositionBuilderAtEnd(u->builder, e.entry);
    if (u->debug)
        lt_debug_kernel(&e, symbol);
    load_arguments(&e);
    LLVMBuildBr(u->builder, body);
    LLVMPositionBuilderAtEnd(u->builder, body);
    e.shared = find_shared(&e);
    lt_emit_stmts(&e, k->body);
    LLVMBuildRetVoid(u->builder);
    LLVMSetCurrentDebugLocation2(u->builder, NULL);
}
