/* host_control.c - the parts of the run that depend on data: memory whose size is found on the way,
 * symbols that get their values from tensors, branches and loops.
 *
 * Branches and loops are the host's: it fetches their conditions. A symbol that changes is a
 * variable, declared in front of the branch or the loop that changes it, and what was computed of
 * its old value is forgotten. */
#include <assert.h>

#include "codegen/cuda/host.h"

/* --- symbols --- */

/* The symbol has another value from here on, in this scope. */
static void rebind(HostWriter *h, const Dim *symbol, const char *name) {
    size_t kept = 0;
    for (size_t i = 0; i < h->w.named_dims.len; i++)
        if (!lt_dim_mentions(h->w.named_dims.data[i].dim, symbol))
            h->w.named_dims.data[kept++] = h->w.named_dims.data[i];
    h->w.named_dims.len = kept;
    lt_cuda_bind(&h->w, symbol, name);
}

static const char *name_variable(HostWriter *h, const Dim *symbol) {
    HostVariable *v = &h->variables[symbol->symbol];
    v->name = lt_cuda_scope_name(&h->w, h->w.scope, symbol->name);
    v->scope = h->w.scope;
    return v->name;
}

/* In front of what assigns them. */
static void declare_variables(HostWriter *h, const Step *s, uint32_t first) {
    for (uint32_t i = first; i < s->int_count; i++)
        if (!h->variables[s->ints[i]->symbol].name)
            lt_cuda_line(&h->w, "int64_t %s = 0;", name_variable(h, s->ints[i]));
}

static void read_variables(HostWriter *h, const Step *s) {
    for (uint32_t i = 0; i < s->int_count; i++)
        if (h->variables[s->ints[i]->symbol].name)
            rebind(h, s->ints[i], h->variables[s->ints[i]->symbol].name);
    lt_host_guards(h, s);
    lt_host_refuse(h);
}

/* What the next iteration's dims are is checked when it begins. */
static bool is_for_next(const HostWriter *h, const Step *s) {
    const Step *loop = h->innermost ? h->innermost->loop : NULL;
    for (uint32_t i = 0; loop && i < loop->int_count; i++)
        if (loop->ints[i] == s->ints[0])
            return true;
    return false;
}

static bool reads_assigned(const Step *s) {
    for (uint32_t i = 2; i < s->int_count; i += 2)
        for (uint32_t j = 0; j < i; j += 2)
            if (lt_dim_mentions(s->ints[i + 1], s->ints[j]))
                return true;
    return false;
}

static void emit_assign(HostWriter *h, const Step *s) {
    const char **values = LT_ARRAY(h->w.arena, const char *, s->int_count + 1);
    const bool needs_copies = reads_assigned(s);
    for (uint32_t i = 0; i < s->int_count; i += 2) {
        values[i] = lt_host_dim(h, s->ints[i + 1], s->loc);
        if (!needs_copies)
            continue;
        const char *name = lt_arena_printf(h->w.arena, "next_%s", s->ints[i]->name);
        name = lt_cuda_scope_name(&h->w, h->w.scope, name);
        lt_cuda_line(&h->w, "const int64_t %s = %s;", name, values[i]);
        values[i] = name;
    }
    for (uint32_t i = 0; i < s->int_count; i += 2) {
        const bool is_new = !h->variables[s->ints[i]->symbol].name;
        const char *name =
            is_new ? name_variable(h, s->ints[i]) : h->variables[s->ints[i]->symbol].name;
        lt_cuda_line(&h->w, "%s%s = %s;", is_new ? "int64_t " : "", name, values[i]);
        rebind(h, s->ints[i], name);
    }
    if (!is_for_next(h, s))
        lt_host_guards(h, s);
    lt_host_refuse(h);
}

/* --- what the device has --- */

/* The first element of a constant, or false. */
static bool constant_of(const HostWriter *h, uint32_t buffer, int64_t *value) {
    const ProgramBuffer *b = &h->program->buffers.data[buffer];
    if (b->place != PLACE_WEIGHTS)
        return false;
    *value = b->type->dtype == DT_BOOL ? *(const uint8_t *)b->value->data
                                       : *(const int64_t *)b->value->data;
    return true;
}

static const char *read_back(HostWriter *h, uint32_t buffer, uint32_t element) {
    const char *from = lt_host_buffer(h, buffer);
    if (element)
        from = lt_arena_printf(h->w.arena, "%s + %u", from, element);
    return lt_arena_printf(h->w.arena, "read_back(%s, stream)", from);
}

/* Outside of its range, a value is the caller's mistake: his data asked for it. */
static void emit_bind(HostWriter *h, const Step *s) {
    for (uint32_t i = 0; i < s->int_count; i++) {
        const char *value = read_back(h, s->buffers[0], i);
        const char *name = lt_cuda_scope_name(&h->w, h->w.scope, s->ints[i]->name);
        lt_cuda_line(&h->w, "const int64_t %s = %s;", name, value);
        rebind(h, s->ints[i], name);
        lt_host_check_range(h, s->ints[i]);
    }
    lt_host_guards(h, s);
    lt_host_refuse(h);
}

/* --- memory --- */

static void return_error_of(HostWriter *h, const char *call) {
    lt_cuda_line(&h->w, "if (cudaError_t error = %s)", call);
    lt_cuda_line(&h->w, "    return error;");
}

static void emit_reserve(HostWriter *h, const Step *s) {
    const ProgramBuffer *b = &h->program->buffers.data[s->buffers[0]];
    const char *bytes = lt_host_dim(h, s->count, s->loc);
    Arena *arena = h->w.arena;
    lt_host_forget_buffer(h, s->buffers[0]);
    if (b->place == PLACE_SLOT) {
        return_error_of(h, lt_arena_printf(arena, "%s.reserve(%s)", h->slots[b->index], bytes));
        return;
    }
    return_error_of(h,
                    lt_arena_printf(arena, "allocate(&outputs[%u], %s, stream)", b->index, bytes));
    for (uint32_t i = 0; i < s->int_count; i++)
        lt_cuda_line(&h->w, "dims[%d] = %s;", h->found[b->index] + (int)i,
                     lt_host_dim(h, s->ints[i], s->loc));
}

/* --- branches and loops --- */

static Construct *open_construct(HostWriter *h, const char *head, const Step *s) {
    Construct *c = LT_NEW(h->w.arena, Construct);
    *c = (Construct){.around = h->innermost, .head = head, .graph = h->graph};
    h->innermost = c;
    lt_cuda_open(&h->w, &c->body);
    h->graph = s->graph;
    return c;
}

/* What was declared in the scope is not there behind it. */
static void close_scope(HostWriter *h, const char *head) {
    const Scope *closed = h->w.scope;
    for (size_t i = 0; i < h->w.dims.symbols.len; i++) {
        if (i < h->program->module->dims.symbols.len && h->variables[i].scope == closed)
            h->variables[i] = (HostVariable){0};
        if (h->w.symbol_scopes[i] == closed)
            h->w.symbols[i] = NULL;
    }
    for (size_t i = 0; i < h->program->buffers.len; i++)
        if (h->buffers[i].scope == closed)
            h->buffers[i] = (HostBuffer){0};
    lt_cuda_close(&h->w, head);
}

static void close_construct(HostWriter *h) {
    Construct *c = h->innermost;
    close_scope(h, c->head);
    h->innermost = c->around;
    h->graph = c->graph;
}

static void emit_if(HostWriter *h, uint32_t at, const Step *s) {
    const Program *p = h->program;
    uint32_t end = lt_program_match(p, at);
    if (p->steps.data[end].kind == STEP_ELSE)
        end = lt_program_match(p, end);
    const char *test = read_back(h, s->buffers[0], 0);
    declare_variables(h, &p->steps.data[end], 0);
    open_construct(h, lt_arena_printf(h->w.arena, "if (%s)", test), s);
    lt_host_guards(h, NULL);
    lt_host_refuse(h);
}

static void emit_else(HostWriter *h, const Step *s) {
    Construct *c = h->innermost;
    close_scope(h, c->head);
    c->head = "else";
    lt_cuda_open(&h->w, &c->body);
    h->graph = s->graph;
    lt_host_guards(h, NULL);
    lt_host_refuse(h);
}

static void emit_end(HostWriter *h, const Step *s) {
    close_construct(h);
    read_variables(h, s);
}

/* Whether what a step, or any behind it, does needs the symbol. */
static bool is_read_from(const HostWriter *h, uint32_t at, const Dim *symbol) {
    const Program *p = h->program;
    for (; at < p->steps.len; at++) {
        const Step *s = &p->steps.data[at];
        bool reads = (s->count && lt_dim_mentions(s->count, symbol)) ||
                     (s->offset && lt_dim_mentions(s->offset, symbol));
        for (uint32_t i = s->kind == STEP_ASSIGN; i < s->int_count && s->kind <= STEP_ASSIGN; i++)
            reads |= lt_dim_mentions(s->ints[i], symbol);
        if (reads)
            return true;
    }
    return false;
}

static const char *loop_count(HostWriter *h, const Step *s) {
    int64_t most;
    if (constant_of(h, s->buffers[0], &most))
        return lt_arena_printf(h->w.arena, "%lld", (long long)most);
    const char *value = read_back(h, s->buffers[0], 0);
    const char *name = lt_cuda_scope_name(&h->w, h->w.scope, "most");
    lt_cuda_line(&h->w, "const int64_t %s = %s;", name, value);
    return name;
}

/* The variable that says whether there is another iteration; NULL: nothing does. */
static const char *loop_condition(HostWriter *h, const Step *s, const Step *next) {
    int64_t begins, goes_on;
    const bool is_begun = constant_of(h, s->buffers[1], &begins) && begins;
    if (is_begun && constant_of(h, next->buffers[0], &goes_on) && goes_on)
        return NULL;
    const char *value = is_begun ? "true" : read_back(h, s->buffers[1], 0);
    const char *name = lt_cuda_scope_name(&h->w, h->w.scope, "goes_on");
    lt_cuda_line(&h->w, "bool %s = %s;", name, value);
    return name;
}

/* The number of the iteration: the loop's own, unless it is asked behind it how many there were. */
static const char *declare_counter(HostWriter *h, const Dim *symbol, bool stays) {
    const char *known = h->variables[symbol->symbol].name;
    if (!stays)
        return lt_cuda_scope_name(&h->w, h->w.scope, symbol->name);
    const char *name = known ? known : name_variable(h, symbol);
    lt_cuda_line(&h->w, "%s%s = 0;", known ? "" : "int64_t ", name);
    return name;
}

static void emit_loop(HostWriter *h, uint32_t at, const Step *s) {
    Arena *arena = h->w.arena;
    const uint32_t end = lt_program_match(h->program, at);
    const Step *next = &h->program->steps.data[end];
    const char *most = loop_count(h, s), *goes_on = loop_condition(h, s, next);
    const bool stays = is_read_from(h, end + 1, s->ints[0]);
    for (uint32_t i = at; i < end; i++) /* the next iteration reads what this one moved */
        if (h->program->steps.data[i].kind == STEP_RESERVE)
            lt_host_forget_buffer(h, h->program->steps.data[i].buffers[0]);
    declare_variables(h, s, 1);
    const char *counter = declare_counter(h, s->ints[0], stays);
    const char *begin = stays ? "" : lt_arena_printf(arena, "int64_t %s = 0", counter);
    const char *test = goes_on ? lt_arena_printf(arena, "%s && ", goes_on) : "";
    Construct *c = open_construct(
        h, lt_arena_printf(arena, "for (%s; %s%s < %s; %s++)", begin, test, counter, most, counter),
        s);
    c->loop = s;
    c->goes_on = goes_on;
    rebind(h, s->ints[0], counter);
    read_variables(h, s);
    lt_host_guards(h, NULL);
    lt_host_refuse(h);
}

static void emit_next(HostWriter *h, const Step *s) {
    if (h->innermost->goes_on)
        lt_cuda_line(&h->w, "%s = %s;", h->innermost->goes_on, read_back(h, s->buffers[0], 0));
    close_construct(h);
    read_variables(h, s);
}

void lt_host_control(HostWriter *h, uint32_t at) {
    const Step *s = &h->program->steps.data[at];
    switch (s->kind) {
    case STEP_RESERVE: emit_reserve(h, s); break;
    case STEP_BIND: emit_bind(h, s); break;
    case STEP_ASSIGN: emit_assign(h, s); break;
    case STEP_IF: emit_if(h, at, s); break;
    case STEP_ELSE: emit_else(h, s); break;
    case STEP_END: emit_end(h, s); break;
    case STEP_LOOP: emit_loop(h, at, s); break;
    case STEP_NEXT: emit_next(h, s); break;
    case STEP_LAUNCH:
    case STEP_LIBRARY:
    case STEP_COPY: assert(!"a step of another file");
    }
}
