/* host.c - the functions that a host calls: NAME_arena_bytes and NAME_run, whose steps are
 * launches, copies and what host_control.c writes. */
#include <assert.h>
#include <string.h>

#include "codegen/cuda/host.h"
#include "lathe/runtime.h"

/* --- symbols --- */

/* An axis of an input that tells the symbol, or false. */
static bool find_axis(const Module *m, const Dim *symbol, size_t *input, int *axis) {
    for (*input = 0; *input < m->main->inputs.len; ++*input) {
        const Type *type = m->main->inputs.data[*input]->type;
        for (*axis = 0; *axis < type->rank; ++*axis)
            if (type->dims[*axis] == symbol)
                return true;
    }
    return false;
}

static bool is_found(const Program *p, uint32_t output) {
    const Value *v = lt_input(lt_graph_yield(p->module->main), output);
    return lt_type_is_data(p->module, v->type);
}

void lt_cuda_dims_comment(Str *out, const Program *p) {
    const Module *m = p->module;
    int number = 0, axis = 0;
    for (size_t i = 0, input = 0; i < m->dims.symbols.len; i++) {
        const Dim *symbol = m->dims.symbols.data[i].dim;
        if (find_axis(m, symbol, &input, &axis))
            lt_str_printf(out, "// dims[%d]: %s, axis %d of input %zu\n", number++, symbol->name,
                          axis, input);
    }
    for (uint32_t i = 0; i < lt_graph_yield(m->main)->input_count; i++) {
        const int rank = lt_input(lt_graph_yield(m->main), i)->type->rank;
        for (axis = 0; axis < rank && is_found(p, i); axis++)
            lt_str_printf(out, "// dims[%d]: axis %d of output %u, which the run finds\n", number++,
                          axis, i);
    }
}

static void refuse_if(HostWriter *h, const char *a, const char *operator, const char * b) {
    if (!h->refused.text)
        lt_str_init(&h->refused, h->w.arena);
    lt_str_printf(&h->refused, "%s%s %s %s", h->refused.len ? " || " : "", a, operator, b);
}

void lt_host_refuse(HostWriter *h) {
    if (h->refused.len) {
        lt_cuda_line(&h->w, "if (%s)", h->refused.text);
        lt_cuda_line(&h->w, "    return cudaErrorInvalidValue;");
    }
    h->refused = (Str){0};
}

void lt_host_check_range(HostWriter *h, const Dim *symbol) {
    const DimSymbol *range = &h->program->module->dims.symbols.data[symbol->symbol];
    const char *name = h->w.symbols[symbol->symbol];
    refuse_if(h, name, "<", lt_arena_printf(h->w.arena, "%lld", (long long)range->lo));
    if (range->hi != LT_DIM_UNBOUNDED)
        refuse_if(h, name, ">", lt_arena_printf(h->w.arena, "%lld", (long long)range->hi));
}

/* Names those that are a whole dim of some input, in the order of the module's table. */
static void bind_symbols(HostWriter *h) {
    const Module *m = h->program->module;
    size_t input;
    int axis;
    for (size_t i = 0; i < m->dims.symbols.len; i++) {
        const Dim *symbol = m->dims.symbols.data[i].dim;
        if (!find_axis(m, symbol, &input, &axis))
            continue;
        const char *name = lt_cuda_name(h->w.arena, &h->w.names, symbol->name);
        lt_cuda_bind(&h->w, symbol, name);
        h->told[h->symbol_count++] = name;
    }
}

/* The variables that the function reads, in front of it. */
static const char *with_symbols(HostWriter *h, const char *lines) {
    Str out;
    int number = 0;
    lt_str_init(&out, h->w.arena);
    for (; number < h->symbol_count; number++)
        if (lt_cuda_mentions(lines, h->told[number]))
            lt_str_printf(&out, "    const int64_t %s = dims[%d];\n", h->told[number], number);
    return lt_arena_printf(h->w.arena, "%s%s", out.text, lines);
}

/* A parameter, whose name is left out where nothing reads it. */
static const char *parameter(HostWriter *h, const char *type, const char *name, const char *lines) {
    if (lt_cuda_mentions(lines, name))
        return lt_arena_printf(h->w.arena, "%s%s", type, name);
    return lt_str_ends(type, " ") ? lt_arena_strndup(h->w.arena, type, strlen(type) - 1) : type;
}

static void check_ranges(HostWriter *h) {
    const Module *m = h->program->module;
    for (size_t i = 0; i < m->dims.symbols.len; i++)
        if (h->w.symbols[i])
            lt_host_check_range(h, m->dims.symbols.data[i].dim);
}

static bool is_known(const HostWriter *h, const Dim *d) {
    if (d->kind == DIM_SYMBOL && !h->w.symbols[d->symbol])
        return false;
    for (uint32_t i = 0; i < d->count; i++)
        if (!is_known(h, d->args[i]))
            return false;
    return true;
}

const char *lt_host_dim(HostWriter *h, const Dim *d, const Loc *loc) {
    if (is_known(h, d))
        return lt_cuda_dim(&h->w, d).text;
    h->w.failed = true;
    lt_error(h->w.diags, LATHE_UNSUPPORTED, loc, "an extent is needed that no input's shape tells");
    return "0";
}

void lt_host_guards(HostWriter *h, const Step *bound) {
    const Module *m = h->program->module;
    for (size_t i = 0; i < m->guards.len; i++) {
        const DimGuard *guard = &m->guards.data[i];
        if (bound ? !lt_guard_applies(guard, h->graph) : guard->graph != h->graph)
            continue;
        if (!is_known(h, guard->a) || !is_known(h, guard->b) ||
            (bound && !lt_step_binds(bound, guard->a) && !lt_step_binds(bound, guard->b)))
            continue;
        const char *a = lt_host_dim(h, guard->a, guard->loc);
        refuse_if(h, a, "!=", lt_host_dim(h, guard->b, guard->loc));
    }
}

/* --- buffers --- */

static const char *address(HostWriter *h, const ProgramBuffer *b, const char *type) {
    Arena *arena = h->w.arena;
    switch (b->place) {
    case PLACE_INPUT: return lt_arena_printf(arena, "(const %s *)inputs[%u]", type, b->index);
    case PLACE_OUTPUT: return lt_arena_printf(arena, "(%s *)outputs[%u]", type, b->index);
    case PLACE_SLOT: return lt_arena_printf(arena, "(%s *)%s.data", type, h->slots[b->index]);
    case PLACE_ARENA:
    case PLACE_WEIGHTS: break;
    }
    const char *base = b->place == PLACE_ARENA ? "arena" : "weights";
    const char *quality = b->place == PLACE_ARENA ? "" : "const ";
    if (lt_dim_is(b->offset, 0))
        return lt_arena_printf(arena, "(%s%s *)%s", quality, type, base);
    return lt_arena_printf(arena, "offset<%s>(%s, %s)", type, base,
                           lt_host_dim(h, b->offset, NULL));
}

/* After the value, or, since many have lost their names, after the nodes that make it or need it:
 * "n_Conv_4+n_Relu_6" makes n_Relu_6_out of n_Conv_4_w. */
static const char *wanted_name(HostWriter *h, const ProgramBuffer *b) {
    Arena *arena = h->w.arena;
    if (b->name)
        return lt_cuda_short_name(arena, b->name);
    if (!h->step || !h->step->name)
        return b->place == PLACE_WEIGHTS ? "weight" : "value";
    char *first = lt_arena_strdup(arena, h->step->name);
    for (size_t len = strlen(first); lt_str_ends(first, "+?"); len -= 2)
        first[len - 2] = '\0'; /* nodes without a name */
    const char *last = strrchr(first, '+');
    if (b->place != PLACE_WEIGHTS)
        return lt_arena_printf(arena, "%s_out", lt_cuda_short_name(arena, last ? last + 1 : first));
    first = lt_arena_strndup(arena, first, strcspn(first, "+"));
    return lt_arena_printf(arena, "%s_w", lt_cuda_short_name(arena, first));
}

const char *lt_host_buffer(HostWriter *h, uint32_t number) {
    const ProgramBuffer *b = &h->program->buffers.data[number];
    HostBuffer *known = &h->buffers[number];
    if (known->name)
        return known->name;
    const bool is_const = b->place == PLACE_INPUT || b->place == PLACE_WEIGHTS;
    const char *type = lt_cuda_memory_type(b->type->dtype);
    const char *where = address(h, b, type);
    known->scope = h->w.scope;
    known->name = lt_cuda_scope_name(&h->w, h->w.scope, wanted_name(h, b));
    lt_cuda_line(&h->w, "%s%s *%s = %s;", is_const ? "const " : "", type, known->name, where);
    return known->name;
}

void lt_host_forget_buffer(HostWriter *h, uint32_t number) {
    const ProgramBuffer *b = &h->program->buffers.data[number];
    for (size_t i = 0; i < h->program->buffers.len; i++) {
        const ProgramBuffer *other = &h->program->buffers.data[i];
        if (other->place == b->place && other->index == b->index)
            h->buffers[i].name = NULL;
    }
}

/* --- launches and copies --- */

static void emit_launch(HostWriter *h, const Step *s) {
    const CudaFunction *function = &h->kernels[s->kernel];
    Kernel *k = h->program->kernels.data[s->kernel];
    const int64_t threads = lt_kernel_threads(k) ? lt_kernel_threads(k) : 1;
    const int64_t shared = lt_cuda_shared_bytes(k);
    const Dim *blocks = lt_kernel_export_dim(k, &h->w.dims, s->ints, lt_kernel_blocks(k));
    Str args;
    lt_str_init(&args, h->w.arena);
    for (uint32_t i = 0; i < s->buffer_count; i++)
        if (function->reads[i])
            lt_str_printf(&args, ", %s", lt_host_buffer(h, s->buffers[i]));
    for (uint32_t i = 0; i < s->int_count; i++)
        if (function->reads[s->buffer_count + i])
            lt_str_printf(&args, ", %s", lt_host_dim(h, s->ints[i], s->loc));
    const char *block =
        shared ? lt_arena_printf(h->w.arena, "{%lld, %lld}", (long long)threads, (long long)shared)
               : lt_arena_printf(h->w.arena, "%lld", (long long)threads);
    lt_cuda_line(&h->w, "launch(%s, %s, %s, stream%s);", function->name,
                 lt_host_dim(h, blocks, s->loc), block, args.text);
}

static void emit_copy(HostWriter *h, const Step *s) {
    const char *from = lt_host_buffer(h, s->buffers[0]), *to = lt_host_buffer(h, s->buffers[1]);
    if (s->offset && !lt_dim_is(s->offset, 0))
        to = lt_arena_printf(h->w.arena, "(char *)%s + %s", to, lt_host_dim(h, s->offset, s->loc));
    lt_cuda_line(&h->w, "cudaMemcpyAsync(%s, %s, %s, cudaMemcpyDeviceToDevice, stream);", to, from,
                 lt_host_dim(h, s->count, s->loc));
}

/* What the runtime's library computes on a CPU are kernels here (passes/lower_gpu.h). */
static void refuse_library(HostWriter *h, const Step *s) {
    h->w.failed = true;
    lt_error(h->w.diags, LATHE_UNSUPPORTED, s->loc,
             "%s calls the runtime's library: the program was not lowered for a GPU", s->name);
}

/* --- the functions --- */

static HostWriter host_writer(const Program *p, const char *name, const CudaFunction *kernels,
                              Arena *arena, DiagList *diags) {
    const size_t symbols = p->module->dims.symbols.len + 1;
    const uint32_t outputs = lt_graph_yield(p->module->main)->input_count;
    HostWriter h = {.program = p, .name = name, .kernels = kernels, .graph = p->module->main};
    lt_cuda_writer(&h.w, arena, &p->module->dims, diags);
    h.buffers = LT_ARRAY(arena, HostBuffer, p->buffers.len + 1);
    h.variables = LT_ARRAY(arena, HostVariable, symbols);
    h.slots = LT_ARRAY(arena, const char *, p->slot_count + 1);
    h.told = LT_ARRAY(arena, const char *, symbols);
    h.found = LT_ARRAY(arena, int, outputs + 1);
    for (size_t i = 0; i < p->kernels.len; i++)
        lt_strmap_set(&h.w.names, kernels[i].name, arena);
    return h;
}

/* Where `dims` has the extents of outputs that depend on data; whether there are any. */
static bool place_found(HostWriter *h) {
    const Node *yield = lt_graph_yield(h->program->module->main);
    int at = h->symbol_count;
    for (uint32_t i = 0; i < yield->input_count; i++) {
        h->found[i] = is_found(h->program, i) ? at : -1;
        at += h->found[i] < 0 ? 0 : lt_input(yield, i)->type->rank;
    }
    return at > h->symbol_count;
}

static void declare_slots(HostWriter *h) {
    const Program *p = h->program;
    for (size_t i = 0; i < p->buffers.len; i++) {
        const ProgramBuffer *b = &p->buffers.data[i];
        if (b->place != PLACE_SLOT || h->slots[b->index])
            continue;
        const char *name = lt_arena_printf(h->w.arena, "%s_memory", wanted_name(h, b));
        h->slots[b->index] = lt_cuda_name(h->w.arena, &h->w.names, name);
        lt_cuda_line(&h->w, "Memory %s(stream);", h->slots[b->index]);
    }
}

/* The nodes that a launch computes, which its kernel may share with others. */
static void emit_heading(HostWriter *h, const Step *s) {
    const int room = 94 - 4 * h->w.scope->depth;
    Str nodes;
    lt_str_init(&nodes, h->w.arena);
    for (const char *at = s->name; at && *at; at += *at == '+') {
        const size_t len = strcspn(at, "+");
        if (strncmp(at, "?", len) != 0) /* a node without a name */
            lt_str_printf(&nodes, "%s%.*s", nodes.len ? ", " : "", (int)len, at);
        at += len;
    }
    if (nodes.len == 0)
        return;
    if (h->w.scope->lines.len)
        lt_str_char(&h->w.scope->lines, '\n');
    lt_cuda_line(&h->w, "// %.*s%s", room, nodes.text, (int)nodes.len > room ? ".." : "");
}

static void emit_steps(HostWriter *h) {
    const Program *p = h->program;
    for (uint32_t i = 0; i < p->steps.len && !h->w.failed; i++) {
        h->step = &p->steps.data[i];
        if (h->step->kind <= STEP_COPY)
            emit_heading(h, h->step);
        switch (p->steps.data[i].kind) {
        case STEP_LAUNCH: emit_launch(h, &p->steps.data[i]); break;
        case STEP_COPY: emit_copy(h, &p->steps.data[i]); break;
        case STEP_LIBRARY: refuse_library(h, &p->steps.data[i]); break;
        default: lt_host_control(h, i); break;
        }
    }
}

static void emit_run(Str *out, HostWriter *h) {
    Scope body;
    lt_cuda_open(&h->w, &body);
    bind_symbols(h);
    const bool finds = place_found(h);
    check_ranges(h);
    lt_host_guards(h, NULL);
    lt_host_refuse(h);
    declare_slots(h);
    emit_steps(h);
    lt_str_char(&body.lines, '\n');
    lt_cuda_line(&h->w, "return cudaGetLastError();");
    lt_str_append(out, "// Launches the kernels on the stream. All memory is the device's, but for "
                       "the tables here.\n");
    if (finds)
        lt_str_append(out, "// Outputs whose extents the run finds are allocated on the stream; "
                           "the caller frees them.\n");
    const char *lines = with_symbols(h, body.lines.text);
    lt_str_printf(out, "extern \"C\" cudaError_t %s_run(%s, %s,\n    %s, %s, %s, %s) {\n%s}\n",
                  h->name, parameter(h, "const void *const *", "inputs", lines),
                  parameter(h, finds ? "void **" : "void *const *", "outputs", lines),
                  parameter(h, finds ? "int64_t *" : "const int64_t *", "dims", lines),
                  parameter(h, "const void *", "weights", lines),
                  parameter(h, "void *", "arena", lines),
                  parameter(h, "cudaStream_t ", "stream", lines), lines);
}

static void emit_arena_bytes(Str *out, HostWriter *h) {
    Scope body;
    lt_cuda_open(&h->w, &body);
    bind_symbols(h);
    lt_cuda_line(&h->w, "return %s;", lt_host_dim(h, h->program->arena_size, NULL));
    const char *lines = with_symbols(h, body.lines.text);
    lt_str_printf(out,
                  "// Bytes of memory for what a run computes on the way.\n"
                  "extern \"C\" int64_t %s_arena_bytes(%s) {\n%s}\n\n",
                  h->name, parameter(h, "const int64_t *", "dims", lines), lines);
}

bool lt_cuda_host(Str *out, const Program *p, const char *name, const CudaFunction *kernels,
                  Arena *arena, DiagList *diags) {
    HostWriter bytes = host_writer(p, name, kernels, arena, diags);
    HostWriter run = host_writer(p, name, kernels, arena, diags);
    emit_arena_bytes(out, &bytes);
    emit_run(out, &run);
    return !bytes.w.failed && !run.w.failed;
}
