/* host_control.c - the parts of run() that depend on data: memory that is found on the way, symbols
 * that get their values from tensors, branches and loops.
 *
 * A symbol that ASSIGN changes has a place in memory. It is read again where steps say so, at the
 * beginning of a loop's body and behind it, and is one value in between. What is computed of dims
 * inside a branch or a body is forgotten at its end. */
#include <assert.h>

#include "codegen/llvm/host.h"
#include "lathe/runtime.h"

/* A branch or a loop that is not closed yet. */
typedef struct Construct {
    struct Construct *outer;
    size_t scope;
    LLVMBasicBlockRef other, end; /* if: of ELSE and END; loop: body, and behind NEXT */
    LLVMValueRef counter, most;   /* loop */
    const Step *loop;
    const Graph *around; /* what ran before */
} Construct;

static LLVMBasicBlockRef new_block(Run *r, const char *name) {
    return LLVMAppendBasicBlockInContext(r->host->unit->context, r->e.function, name);
}

static LLVMValueRef load_flag(Run *r, uint32_t buffer) {
    Unit *u = r->host->unit;
    LLVMValueRef byte = LLVMBuildLoad2(r->e.b, u->i8, lt_host_readable(r, buffer, 1), "");
    return LLVMBuildICmp(r->e.b, LLVMIntNE, byte, LLVMConstInt(u->i8, 0, false), "");
}

/* --- symbols ---------------------------------------------------------------------------------- */

static LLVMValueRef variable_of(Run *r, const Dim *symbol) {
    LLVMValueRef *place = &r->variables[symbol->symbol];
    if (!*place)
        *place = lt_host_local(r, r->host->unit->i64, symbol->name);
    return *place;
}

static void read_variables(Run *r, const Step *s) {
    for (uint32_t i = 0; i < s->int_count; i++)
        r->e.bindings[s->ints[i]->symbol].scalar = LLVMBuildLoad2(
            r->e.b, r->host->unit->i64, variable_of(r, s->ints[i]), s->ints[i]->name);
    lt_host_emit_guards(r, s);
}

/* What the next iteration's dims are is checked when it begins. */
static bool is_for_next(const Run *r, const Step *s) {
    const Step *loop = r->innermost ? r->innermost->loop : NULL;
    for (uint32_t i = 0; loop && i < loop->int_count; i++)
        if (loop->ints[i] == s->ints[0])
            return true;
    return false;
}

static void emit_assign(Run *r, const Step *s) {
    LLVMValueRef *values = LT_ARRAY(r->e.arena, LLVMValueRef, s->int_count + 1);
    for (uint32_t i = 0; i < s->int_count; i += 2)
        values[i] = lt_emit_dim(&r->e, s->ints[i + 1]);
    for (uint32_t i = 0; i < s->int_count; i += 2) {
        LLVMBuildStore(r->e.b, values[i], variable_of(r, s->ints[i]));
        r->e.bindings[s->ints[i]->symbol].scalar = values[i];
    }
    if (!is_for_next(r, s))
        lt_host_emit_guards(r, s);
}

/* Outside of its range, a value is the caller's mistake: his data asked for it. */
static void emit_bind(Run *r, const Step *s) {
    Unit *u = r->host->unit;
    LLVMValueRef from = lt_host_readable(r, s->buffers[0], 8 * (int64_t)s->int_count);
    for (uint32_t i = 0; i < s->int_count; i++) {
        const DimSymbol *symbol = &r->host->program->module->dims.symbols.data[s->ints[i]->symbol];
        LLVMValueRef value = LLVMBuildLoad2(r->e.b, u->i64, lt_host_element(&r->e, u->i64, from, i),
                                            symbol->dim->name);
        LLVMValueRef above =
            LLVMBuildICmp(r->e.b, LLVMIntSGE, value, lt_host_int(u, symbol->lo), "");
        LLVMValueRef below =
            LLVMBuildICmp(r->e.b, LLVMIntSLE, value, lt_host_int(u, symbol->hi), "");
        lt_host_return_unless(r, LLVMBuildAnd(r->e.b, above, below, ""),
                              LLVMConstInt(u->i32, (unsigned long long)-LATHE_BAD_SHAPE, true));
        r->e.bindings[s->ints[i]->symbol].scalar = value;
    }
    lt_host_emit_guards(r, s);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void reserve_slot(Run *r, const Step *s, uint32_t slot) {
    Unit *u = r->host->unit;
    LLVMTypeRef params[] = {u->ptr, u->i32, u->i64};
    LLVMTypeRef type = LLVMFunctionType(u->ptr, params, 3, false);
    LLVMValueRef args[] = {r->context, LLVMConstInt(u->i32, slot, false),
                           lt_emit_dim(&r->e, s->count)};
    LLVMValueRef place = LLVMBuildCall2(r->e.b, type, r->reserve, args, 3, "");
    LLVMValueRef none = LLVMConstPointerNull(u->ptr);
    lt_host_return_unless(r, LLVMBuildICmp(r->e.b, LLVMIntNE, place, none, ""),
                          LLVMConstInt(u->i32, (unsigned long long)-LATHE_NO_MEMORY, true));
    LLVMBuildStore(r->e.b, place, r->slots[slot]);
}

static void reserve_output(Run *r, const Step *s, uint32_t output) {
    Unit *u = r->host->unit;
    LLVMTypeRef params[] = {u->ptr, u->i32, u->ptr};
    LLVMTypeRef type = LLVMFunctionType(u->i32, params, 3, false);
    for (uint32_t i = 0; i < s->int_count; i++) {
        LLVMBuildStore(r->e.b, lt_emit_dim(&r->e, s->ints[i]),
                       lt_host_element(&r->e, u->i64, r->ints, i));
    }
    LLVMValueRef args[] = {r->context, LLVMConstInt(u->i32, output, false), r->ints};
    LLVMValueRef status = LLVMBuildCall2(r->e.b, type, r->output, args, 3, "");
    LLVMValueRef is_done =
        LLVMBuildICmp(r->e.b, LLVMIntEQ, status, LLVMConstInt(u->i32, 0, false), "");
    lt_host_return_unless(r, is_done, LLVMBuildNeg(r->e.b, status, ""));
}

static void emit_reserve(Run *r, const Step *s) {
    const ProgramBuffer *b = &r->host->program->buffers.data[s->buffers[0]];
    if (b->place == PLACE_OUTPUT)
        reserve_output(r, s, b->index);
    else
        reserve_slot(r, s, b->index);
}

/* --- branches and loops ----------------------------------------------------------------------- */

static Construct *open_construct(Run *r) {
    Construct *c = LT_NEW(r->e.arena, Construct);
    *c = (Construct){.outer = r->innermost, .scope = lt_scope_open(&r->e), .around = r->graph};
    r->innermost = c;
    return c;
}

static void close_construct(Run *r) {
    Construct *c = r->innermost;
    LLVMPositionBuilderAtEnd(r->e.b, c->end);
    r->innermost = c->outer;
    r->graph = c->around;
}

static void begin_graph(Run *r, const Step *s) {
    r->graph = s->graph;
    lt_host_emit_guards(r, NULL);
}

static void emit_if(Run *r, const Step *s) {
    LLVMBasicBlockRef then = new_block(r, "then"), other = new_block(r, "else");
    LLVMBuildCondBr(r->e.b, load_flag(r, s->buffers[0]), then, other);
    Construct *c = open_construct(r);
    c->other = other;
    c->end = new_block(r, "end");
    LLVMPositionBuilderAtEnd(r->e.b, then);
    begin_graph(r, s);
}

static void emit_else(Run *r, const Step *s) {
    Construct *c = r->innermost;
    lt_scope_close(&r->e, c->scope);
    LLVMBuildBr(r->e.b, c->end);
    LLVMPositionBuilderAtEnd(r->e.b, c->other);
    begin_graph(r, s);
}

static void emit_end(Run *r, const Step *s) {
    Construct *c = r->innermost;
    lt_scope_close(&r->e, c->scope);
    LLVMBuildBr(r->e.b, c->end);
    close_construct(r);
    read_variables(r, s);
}

static void emit_loop(Run *r, const Step *s) {
    Unit *u = r->host->unit;
    LLVMValueRef counter = variable_of(r, s->ints[0]);
    LLVMValueRef most =
        LLVMBuildLoad2(r->e.b, u->i64, lt_host_readable(r, s->buffers[0], 8), "most");
    LLVMBuildStore(r->e.b, lt_host_int(u, 0), counter);
    LLVMValueRef some = LLVMBuildICmp(r->e.b, LLVMIntSGT, most, lt_host_int(u, 0), "");
    LLVMValueRef begins = LLVMBuildAnd(r->e.b, some, load_flag(r, s->buffers[1]), "");
    Construct *c = open_construct(r);
    c->other = new_block(r, "body");
    c->end = new_block(r, "behind");
    c->counter = counter;
    c->most = most;
    c->loop = s;
    LLVMBuildCondBr(r->e.b, begins, c->other, c->end);
    LLVMPositionBuilderAtEnd(r->e.b, c->other);
    read_variables(r, s);
    begin_graph(r, s);
}

static void emit_next(Run *r, const Step *s) {
    Unit *u = r->host->unit;
    Construct *c = r->innermost;
    LLVMValueRef before = LLVMBuildLoad2(r->e.b, u->i64, c->counter, "");
    LLVMValueRef count = LLVMBuildAdd(r->e.b, before, lt_host_int(u, 1), "");
    LLVMBuildStore(r->e.b, count, c->counter);
    LLVMValueRef left = LLVMBuildICmp(r->e.b, LLVMIntSLT, count, c->most, "");
    LLVMValueRef again = LLVMBuildAnd(r->e.b, left, load_flag(r, s->buffers[0]), "");
    lt_scope_close(&r->e, c->scope);
    LLVMBuildCondBr(r->e.b, again, c->other, c->end);
    close_construct(r);
    read_variables(r, s);
}

void lt_host_emit_control(Run *r, const Step *s) {
    switch (s->kind) {
    case STEP_RESERVE: emit_reserve(r, s); break;
    case STEP_BIND: emit_bind(r, s); break;
    case STEP_ASSIGN: emit_assign(r, s); break;
    case STEP_IF: emit_if(r, s); break;
    case STEP_ELSE: emit_else(r, s); break;
    case STEP_END: emit_end(r, s); break;
    case STEP_LOOP: emit_loop(r, s); break;
    case STEP_NEXT: emit_next(r, s); break;
    case STEP_LAUNCH:
    case STEP_LIBRARY:
    case STEP_COPY: assert(!"a step of another file");
    }
}
