/* program_eval.c - runs a program as the compiled host entry would: one arena of the planned size,
 * every buffer at its planned offset, the steps in order, kernels through their interpreter.
 *
 * Beyond what compiled code does, it checks the plan: buffers inside the arena and aligned, no
 * kernel parameter greater than the buffer it is given, launches over what the kernel's own loop
 * runs. */
#include "ir/program.h"

#include <assert.h>
#include <string.h>

#include "runtime/artifact.h"

typedef struct Host {
    const Program *program;
    Arena *arena;
    const ProgramLibrary *library;
    const Tensor *const *inputs;
    const Tensor **outputs;
    int64_t *symbols;
    uint8_t *memory, *weights;
    int64_t memory_size;
    void **places;  /* by buffer: where it is; NULL: not reserved yet */
    int64_t *sizes; /* by slot, or output: bytes reserved */
    size_t next;    /* the step to come */
    int64_t *trips; /* by LOOP step: iterations that were begun */
} Host;

/* --- symbols ------------------------------------------------------------------------------- */

static const char *bind_input(Host *h, const Type *type, const Tensor *t, uint32_t number) {
    if (t->dtype != type->dtype || t->rank != type->rank)
        return lt_arena_printf(h->arena, "input %u: expected %s of rank %d, found %s of rank %d",
                               number, lt_dtype_name(type->dtype), type->rank,
                               lt_dtype_name(t->dtype), t->rank);
    for (int i = 0; i < type->rank; i++) {
        if (type->dims[i]->kind == DIM_SYMBOL)
            h->symbols[type->dims[i]->symbol] = t->dims[i];
    }
    return NULL;
}

/* Those guards whose symbols have values. */
static const char *check_guards(Host *h, const Graph *g) {
    const Module *m = h->program->module;
    for (size_t i = 0; i < m->guards.len; i++) {
        const DimGuard *guard = &m->guards.data[i];
        if (!lt_guard_applies(guard, g))
            continue;
        const bool known =
            lt_dim_is_bound(guard->a, h->symbols) && lt_dim_is_bound(guard->b, h->symbols);
        const int64_t a = known ? lt_dim_eval(guard->a, h->symbols) : 0;
        const int64_t b = known ? lt_dim_eval(guard->b, h->symbols) : 0;
        if (a != b)
            return lt_arena_printf(h->arena, "%s: dims %lld and %lld must be equal",
                                   lt_loc_text(h->arena, guard->loc, 3), (long long)a,
                                   (long long)b);
    }
    return NULL;
}

/* After all symbols are bound: one may occur in several inputs. */
static const char *check_input(Host *h, const Type *type, const Tensor *t, uint32_t number) {
    for (int i = 0; i < type->rank; i++) {
        const int64_t expected = lt_dim_eval(type->dims[i], h->symbols);
        if (t->dims[i] != expected)
            return lt_arena_printf(h->arena, "input %u: axis %d: expected %lld, found %lld", number,
                                   i, (long long)expected, (long long)t->dims[i]);
    }
    return NULL;
}

static const char *bind_symbols(Host *h) {
    const Module *m = h->program->module;
    h->symbols = LT_ARRAY(h->arena, int64_t, m->dims.symbols.len + 1);
    for (size_t i = 0; i < m->dims.symbols.len; i++)
        h->symbols[i] = -1;
    const char *error = NULL;
    for (uint32_t i = 0; i < m->main->inputs.len && !error; i++)
        error = bind_input(h, m->main->inputs.data[i]->type, h->inputs[i], i);
    for (uint32_t i = 0; i < m->main->inputs.len && !error; i++)
        error = check_input(h, m->main->inputs.data[i]->type, h->inputs[i], i);
    return error ? error : check_guards(h, m->main);
}

/* --- memory -------------------------------------------------------------------------------- */

static int64_t type_bytes(const Host *h, const Type *type) {
    int64_t bytes = (int64_t)lt_dtype_size(type->dtype);
    for (int i = 0; i < type->rank; i++) {
        const int64_t extent = lt_dim_eval(type->dims[i], h->symbols);
        bytes *= extent > 0 ? extent : 0;
    }
    return bytes;
}

static const char *place_in(Host *h, size_t number, uint8_t *base, int64_t base_size,
                            int64_t bytes) {
    const ProgramBuffer *b = &h->program->buffers.data[number];
    const int64_t offset = b->offset ? lt_dim_eval(b->offset, h->symbols) : -1;
    if (offset < 0 || offset % LT_TENSOR_ALIGN != 0 || bytes > base_size - offset)
        return lt_arena_printf(h->arena,
                               "buffer %zu: %lld bytes at %lld do not fit into %lld, aligned",
                               number, (long long)bytes, (long long)offset, (long long)base_size);
    h->places[number] = base + offset;
    return NULL;
}

static const char *place_weight(Host *h, size_t number) {
    const ProgramBuffer *b = &h->program->buffers.data[number];
    const int64_t bytes = type_bytes(h, b->type);
    const char *error = place_in(h, number, h->weights, h->program->weights_size, bytes);
    const Const *value = b->value;
    const size_t element = lt_dtype_size(value->type->dtype);
    for (size_t at = 0; !error && at < (size_t)bytes;
         at += value->is_splat ? element : (size_t)bytes)
        memcpy((uint8_t *)h->places[number] + at, value->data,
               value->is_splat ? element : (size_t)bytes);
    return error;
}

/* step: who reserves it, for dims that depend on data. */
static void place_output(Host *h, size_t number, const Step *step) {
    const ProgramBuffer *b = &h->program->buffers.data[number];
    if (!h->outputs[b->index]) {
        int64_t dims[LT_MAX_RANK];
        for (int i = 0; i < b->type->rank; i++)
            dims[i] = lt_dim_eval(step ? step->ints[i] : b->type->dims[i], h->symbols);
        Tensor *t = lt_tensor_new(h->arena, b->type->dtype, b->type->rank, dims);
        memset(t->data, 0xff, lt_tensor_bytes(t)); /* what nobody writes must not look right */
        h->outputs[b->index] = t;
    }
    h->places[number] = h->outputs[b->index]->data;
}

static const char *place_buffer(Host *h, size_t number) {
    const ProgramBuffer *b = &h->program->buffers.data[number];
    switch (b->place) {
    case PLACE_ARENA: {
        const int64_t planned = b->bytes ? lt_dim_eval(b->bytes, h->symbols) : 0;
        const int64_t bytes = type_bytes(h, b->type);
        return place_in(h, number, h->memory, h->memory_size, planned > bytes ? planned : bytes);
    }
    case PLACE_WEIGHTS: return place_weight(h, number);
    case PLACE_INPUT: h->places[number] = h->inputs[b->index]->data; return NULL;
    case PLACE_OUTPUT:
        if (!lt_type_is_data(h->program->module, b->type))
            place_output(h, number, NULL);
        return NULL;
    case PLACE_SLOT: return NULL;
    }
    assert(!"a place");
    return NULL;
}

static const char *place_all(Host *h) {
    const Program *p = h->program;
    h->memory_size = p->arena_size ? lt_dim_eval(p->arena_size, h->symbols) : 0;
    h->memory = lt_arena_alloc_aligned(h->arena, (size_t)h->memory_size, LT_TENSOR_ALIGN);
    memset(h->memory, 0xff, (size_t)h->memory_size);
    h->weights = lt_arena_alloc_aligned(h->arena, (size_t)p->weights_size, LT_TENSOR_ALIGN);
    h->places = LT_ARRAY(h->arena, void *, p->buffers.len + 1);
    h->sizes = LT_ARRAY(h->arena, int64_t, p->buffers.len + 1);
    h->trips = LT_ARRAY(h->arena, int64_t, p->steps.len + 1);
    for (size_t i = 0; i < p->module->main->last->input_count; i++)
        h->outputs[i] = NULL;
    const char *error = NULL;
    for (size_t i = 0; i < p->buffers.len && !error; i++)
        error = place_buffer(h, i);
    return error;
}

/* --- steps --------------------------------------------------------------------------------- */

static int64_t buffer_bytes(const Host *h, uint32_t number) {
    const ProgramBuffer *b = &h->program->buffers.data[number];
    const bool is_reserved =
        b->place == PLACE_SLOT ||
        (b->place == PLACE_OUTPUT && lt_type_is_data(h->program->module, b->type));
    return is_reserved ? h->sizes[number] : type_bytes(h, b->type);
}

/* The kernel's own idea of its parameters against the buffers that it gets. */
static const char *check_params(Host *h, Arena *scratch, const Kernel *k, const Step *step,
                                const int64_t *ints) {
    if (step->buffer_count != k->param_count || step->int_count != k->ints.len)
        return lt_arena_printf(h->arena, "%s takes %u buffers and %zu integers, given %u and %u",
                               k->name, k->param_count, k->ints.len, step->buffer_count,
                               step->int_count);
    int64_t *symbols = LT_ARRAY(scratch, int64_t, k->dims.symbols.len);
    for (size_t i = 0; i < k->ints.len; i++)
        symbols[k->ints.data[i]->symbol] = ints[i];
    for (uint32_t i = 0; i < k->param_count; i++) {
        const Buffer *b = k->buffers.data[i];
        int64_t bytes = (int64_t)lt_dtype_size(b->dtype);
        for (int axis = 0; axis < b->rank; axis++) {
            const int64_t extent = lt_dim_eval(b->dims[axis], symbols);
            bytes *= extent > 0 ? extent : 0;
        }
        const int64_t given = buffer_bytes(h, step->buffers[i]);
        if (bytes > given)
            return lt_arena_printf(h->arena, "%s: %s has %lld bytes, its buffer only %lld", k->name,
                                   b->name, (long long)bytes, (long long)given);
    }
    return NULL;
}

static const char *run_launch(Host *h, Arena *scratch, const Step *step, void *const *buffers,
                              const int64_t *ints) {
    const Kernel *k = h->program->kernels.data[step->kernel];
    const char *error = check_params(h, scratch, k, step, ints);
    if (error)
        return error;
    const int64_t count = lt_dim_eval(step->count, h->symbols);
    const int64_t extent = lt_kernel_parallel_extent(k, ints);
    if (count != extent)
        return lt_arena_printf(h->arena, "%s is launched over %lld, its loop runs %lld", k->name,
                               (long long)count, (long long)extent);
    error = lt_kernel_eval(k, scratch, buffers, ints, 0, count);
    return error ? lt_arena_strdup(h->arena, error) : NULL;
}

static const char *run_library(Host *h, const Step *step, void *const *buffers,
                               const int64_t *ints) {
    if (!h->library)
        return "the program calls the kernel library, which is not at hand here";
    const int32_t status = h->library->call(h->library->context, step->kernel, buffers, ints);
    return status ? lt_arena_printf(h->arena, "library function %u failed with status %d",
                                    step->kernel, status)
                  : NULL;
}

static const char *run_copy(Host *h, const Step *step, void *const *buffers) {
    const int64_t bytes = lt_dim_eval(step->count, h->symbols);
    const int64_t offset = step->offset ? lt_dim_eval(step->offset, h->symbols) : 0;
    for (int i = 0; i < 2; i++) {
        const int64_t size = buffer_bytes(h, step->buffers[i]);
        if (bytes > size - (i ? offset : 0))
            return lt_arena_printf(h->arena, "a copy of %lld bytes, buffer %u has %lld",
                                   (long long)bytes, step->buffers[i], (long long)size);
    }
    if (bytes > 0)
        memmove((char *)buffers[1] + offset, buffers[0], (size_t)bytes);
    return NULL;
}

/* Memory anew each time, so that who reads what another iteration left is found out. */
static const char *run_reserve(Host *h, const Step *step) {
    const uint32_t number = step->buffers[0];
    const int64_t bytes = lt_dim_eval(step->count, h->symbols);
    if (bytes < 0)
        return lt_arena_printf(h->arena, "%lld bytes are reserved", (long long)bytes);
    if (h->program->buffers.data[number].place == PLACE_OUTPUT) {
        place_output(h, number, step);
        h->sizes[number] = bytes;
        return NULL;
    }
    void *before = h->places[number];
    h->places[number] = lt_arena_alloc_aligned(h->arena, (size_t)bytes + 1, LT_TENSOR_ALIGN);
    memset(h->places[number], 0xff, (size_t)bytes);
    const int64_t kept = h->sizes[number] < bytes ? h->sizes[number] : bytes;
    if (before && kept > 0)
        memcpy(h->places[number], before, (size_t)kept);
    h->sizes[number] = bytes;
    return NULL;
}

/* The graph that step `at` is of: that of the branch or loop around it. */
static const Graph *graph_at(const Host *h, size_t at) {
    uint32_t closed = 0;
    while (at-- > 0) {
        const Step *s = &h->program->steps.data[at];
        closed += s->kind == STEP_END || s->kind == STEP_NEXT;
        if (closed == 0 && s->graph)
            return s->graph;
        closed -= closed > 0 && (s->kind == STEP_IF || s->kind == STEP_LOOP);
    }
    return h->program->module->main;
}

static const char *run_bind(Host *h, const Step *step) {
    const int64_t *values = h->places[step->buffers[0]];
    for (uint32_t i = 0; i < step->int_count; i++) {
        const DimSymbol *s = &h->program->module->dims.symbols.data[step->ints[i]->symbol];
        if (values[i] < s->lo || values[i] > s->hi)
            return lt_arena_printf(h->arena, "%s is %lld, it must lie in %lld..%lld", s->dim->name,
                                   (long long)values[i], (long long)s->lo, (long long)s->hi);
        h->symbols[step->ints[i]->symbol] = values[i];
    }
    return check_guards(h, graph_at(h, h->next - 1));
}

static const char *run_assign(Host *h, Arena *scratch, const Step *step) {
    int64_t *values = LT_ARRAY(scratch, int64_t, step->int_count + 1);
    for (uint32_t i = 0; i < step->int_count; i += 2)
        values[i] = lt_dim_eval(step->ints[i + 1], h->symbols);
    for (uint32_t i = 0; i < step->int_count; i += 2)
        h->symbols[step->ints[i]->symbol] = values[i];
    return NULL;
}

/* Symbols bound in the body get new values in each iteration. */
static void forget_symbols(Host *h, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        const Step *s = &h->program->steps.data[i];
        for (uint32_t j = 0; s->kind == STEP_BIND && j < s->int_count; j++)
            h->symbols[s->ints[j]->symbol] = -1;
    }
}

static bool is_true(const Host *h, uint32_t buffer) { return *(const uint8_t *)h->places[buffer]; }

static void run_loop(Host *h, size_t at, const Step *step) {
    const int64_t most = *(const int64_t *)h->places[step->buffers[0]];
    h->trips[at] = 0;
    h->symbols[step->ints[0]->symbol] = 0;
    if (most <= 0 || !is_true(h, step->buffers[1]))
        h->next = lt_program_match(h->program, (uint32_t)at) + 1;
}

static void run_next(Host *h, size_t at, const Step *step) {
    size_t begin = at;
    do
        begin--;
    while (h->program->steps.data[begin].kind != STEP_LOOP ||
           lt_program_match(h->program, (uint32_t)begin) != at);
    const Step *loop = &h->program->steps.data[begin];
    const int64_t most = *(const int64_t *)h->places[loop->buffers[0]];
    h->symbols[loop->ints[0]->symbol] = ++h->trips[begin];
    forget_symbols(h, begin, at);
    if (h->trips[begin] < most && is_true(h, step->buffers[0]))
        h->next = begin + 1;
}

static const char *run_step(Host *h, Arena *scratch, size_t at) {
    const Step *step = &h->program->steps.data[at];
    void **buffers = LT_ARRAY(scratch, void *, step->buffer_count);
    int64_t *ints = LT_ARRAY(scratch, int64_t, step->int_count);
    for (uint32_t i = 0; i < step->buffer_count; i++)
        buffers[i] = h->places[step->buffers[i]];
    for (uint32_t i = 0; i < step->int_count; i++)
        ints[i] = lt_dim_eval(step->ints[i], h->symbols);
    switch (step->kind) {
    case STEP_LAUNCH: return run_launch(h, scratch, step, buffers, ints);
    case STEP_LIBRARY: return run_library(h, step, buffers, ints);
    case STEP_COPY: return run_copy(h, step, buffers);
    case STEP_RESERVE: return run_reserve(h, step);
    case STEP_BIND: return run_bind(h, step);
    case STEP_ASSIGN: return run_assign(h, scratch, step);
    case STEP_IF:
        if (!is_true(h, step->buffers[0]))
            h->next = lt_program_match(h->program, (uint32_t)at) + 1;
        return NULL;
    case STEP_ELSE: h->next = lt_program_match(h->program, (uint32_t)at) + 1; return NULL;
    case STEP_END: return check_guards(h, graph_at(h, h->next - 1));
    case STEP_LOOP: run_loop(h, at, step); return NULL;
    case STEP_NEXT: run_next(h, at, step); return NULL;
    }
    assert(!"a step");
    return NULL;
}

const char *lt_program_eval_with(const Program *p, Arena *arena, const Tensor *const *inputs,
                                 const Tensor **outputs, const ProgramLibrary *library) {
    Host h = {
        .program = p, .arena = arena, .library = library, .inputs = inputs, .outputs = outputs};
    const char *error = bind_symbols(&h);
    if (!error)
        error = place_all(&h);
    while (h.next < p->steps.len && !error) {
        const size_t at = h.next++;
        Arena scratch; /* of one step: interpreters keep a value for every expression */
        lt_arena_init(&scratch);
        scratch.out_of_memory = arena->out_of_memory;
        error = run_step(&h, &scratch, at);
        lt_arena_free(&scratch);
        if (error)
            error = lt_arena_printf(arena, "step %zu (%s): %s", at,
                                    p->steps.data[at].name ? p->steps.data[at].name : "", error);
    }
    return error;
}

const char *lt_program_eval(const Program *p, Arena *arena, const Tensor *const *inputs,
                            const Tensor **outputs) {
    return lt_program_eval_with(p, arena, inputs, outputs, NULL);
}
