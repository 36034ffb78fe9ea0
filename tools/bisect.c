/* bisect.c - finds the first pass that changes what a model computes, see bisect.h. */
#include "tools/bisect.h"

#include <stdio.h>
#include <string.h>

#include "runtime/kernels/library.h"

/* --- running a stage ------------------------------------------------------------------------- */

static uint64_t graph_hash(const Module *m) {
    Arena arena;
    Str text;
    lt_arena_init(&arena);
    arena.out_of_memory = m->arena->out_of_memory;
    lt_str_init(&text, &arena);
    lt_module_print_elided(&text, m);
    uint64_t hash = lt_hash_bytes(text.text, text.len, 0);
    lt_arena_free(&arena);
    return hash;
}

static BisectStage *new_stage(const Bisect *b) {
    BisectStage *stage = LT_NEW(b->report.arena, BisectStage);
    lt_arena_init(&stage->arena);
    stage->arena.out_of_memory = b->ctx->module->arena->out_of_memory;
    lt_map_init(&stage->names, &stage->arena);
    return stage;
}

static void free_stage(BisectStage *stage) {
    if (stage)
        lt_arena_free(&stage->arena);
}

static void remember_name(BisectStage *stage, const Value *v) {
    const Tensor *t = stage->values[v->id];
    if (v->name && t)
        lt_strmap_set(&stage->names, v->name, (void *)(uintptr_t)t);
}

/* Runs the graph as it is now; *outputs is in the stage's arena. */
static const char *run_graph(Bisect *b, BisectStage *stage, const Tensor ***outputs) {
    Module *m = b->ctx->module;
    OracleRun run = {.arena = &stage->arena, .module = m, .inputs = b->inputs, .title = b->title};
    stage->hash = graph_hash(m);
    if (!lt_oracle_run(&run))
        return run.ev.error;
    *outputs = run.outputs;
    stage->values = run.ev.values;
    stage->value_count = m->next_value;
    LT_EACH_NODE(n, m->main)
    for (uint32_t i = 0; i < n->output_count; i++)
        remember_name(stage, n->outputs[i]);
    return NULL;
}

static int32_t call_library(void *context, uint32_t function, void *const *buffers,
                            const int64_t *ints) {
    (void)context;
    LtLibraryFn *call = lt_library_function(function);
    return call ? call(buffers, ints) : (int32_t)LT_LIBRARY_LIMIT;
}

/* Runs the program. `apart`: every temporary is an output of its own, behind the model's outputs,
 * so that all of them can be looked at, and a wrong plan of the arena does no harm. */
static const char *run_program(const Bisect *b, Arena *arena, bool apart, const Tensor **outputs) {
    const ProgramLibrary library = {.call = call_library};
    Program p = *b->ctx->program;
    if (!apart)
        return lt_program_eval_with(&p, arena, b->inputs, outputs, &library);
    uint32_t count = lt_graph_yield(p.module->main)->input_count;
    ProgramBuffer *buffers = LT_ARRAY(arena, ProgramBuffer, p.buffers.len + 1);
    for (uint32_t i = 0; i < p.buffers.len; i++) {
        buffers[i] = p.buffers.data[i];
        if (buffers[i].place == PLACE_ARENA) {
            buffers[i].place = PLACE_OUTPUT;
            buffers[i].index = count + i;
        }
    }
    p.buffers.data = buffers;
    p.arena_size = NULL;
    return lt_program_eval_with(&p, arena, b->inputs, outputs, &library);
}

/* --- comparing ------------------------------------------------------------------------------- */

/* Reports the outputs that differ; true when one does. */
static bool outputs_differ(Bisect *b, const Tensor *const *found, Str *report) {
    const Node *yield = lt_graph_yield(b->ctx->module->main);
    bool differ = false;
    for (uint32_t i = 0; i < yield->input_count; i++) {
        Difference d = lt_compare_tensors(b->wanted[i], found[i]);
        const char *name = lt_input(yield, i)->name;
        if (!d.differs) {
            b->greatest = d.greatest > b->greatest ? d.greatest : b->greatest;
            continue;
        }
        lt_str_printf(report, "  output %s %s: %s\n",
                      name ? name : lt_arena_printf(report->arena, "%u", i),
                      lt_tensor_type_text(report->arena, found[i]),
                      lt_difference_text(report->arena, b->wanted[i], &d));
        differ = true;
    }
    return differ;
}

/* What the stage before made of this value: it is the same object, or it has the same name. */
static const Tensor *known_before(const BisectStage *before, const Value *v) {
    const Tensor *t = v->id < before->value_count ? before->values[v->id] : NULL;
    return t || !v->name ? t : lt_strmap_get(&before->names, v->name);
}

/* Passes may give a value another shape, which is no fault of its elements: then it is passed
 * over, and what follows from it is compared. */
static bool value_differs(const Tensor *wanted, const Tensor *found, Difference *d) {
    if (!wanted || !found)
        return false;
    *d = lt_compare_tensors(wanted, found);
    return d->differs && !d->shapes_differ;
}

static void report_value(Bisect *b, const Node *n, const Tensor *wanted, const Difference *d) {
    Str *report = &b->report;
    lt_str_printf(report, "  it starts at %s: %s\n    ",
                  n->loc ? lt_loc_text(report->arena, n->loc, 3) : lt_op_info[n->op].name,
                  lt_difference_text(report->arena, wanted, d));
    lt_node_print(report, n);
    lt_str_char(report, '\n');
}

static void find_value(Bisect *b, const BisectStage *now) {
    LT_EACH_NODE(n, b->ctx->module->main)
    for (uint32_t i = 0; i < n->output_count; i++) {
        const Value *v = n->outputs[i];
        const Tensor *wanted = known_before(b->last, v);
        Difference d;
        if (value_differs(wanted, now->values[v->id], &d)) {
            report_value(b, n, wanted, &d);
            return;
        }
    }
}

/* A buffer stands for a value and its reshapes: elements count, shapes do not. */
static bool buffer_differs(const Tensor *wanted, const Tensor *found, Difference *d) {
    if (!wanted || !found || lt_tensor_elements(wanted) != lt_tensor_elements(found))
        return false;
    Tensor view = *found;
    view.rank = wanted->rank;
    memcpy(view.dims, wanted->dims, sizeof view.dims);
    return value_differs(wanted, &view, d);
}

/* The first step that has a buffer writes it. */
static void find_step(Bisect *b, Arena *arena, const Tensor *const *outputs) {
    const Program *p = b->ctx->program;
    uint32_t count = lt_graph_yield(p->module->main)->input_count;
    bool *seen = LT_ARRAY(arena, bool, p->buffers.len + 1);
    for (size_t i = 0; i < p->steps.len; i++)
        for (uint32_t j = 0; j < p->steps.data[i].buffer_count; j++) {
            uint32_t number = p->steps.data[i].buffers[j];
            const ProgramBuffer *buffer = &p->buffers.data[number];
            bool temporary = buffer->place == PLACE_ARENA, first = !seen[number];
            seen[number] = true;
            if (!first || !buffer->name || (!temporary && buffer->place != PLACE_OUTPUT))
                continue;
            const Tensor *wanted = lt_strmap_get(&b->last->names, buffer->name);
            Difference d;
            if (!buffer_differs(wanted, outputs[temporary ? count + number : buffer->index], &d))
                continue;
            lt_str_printf(&b->report, "  it starts in step %zu, %s, in %s: %s\n", i,
                          p->steps.data[i].name, buffer->name,
                          lt_difference_text(b->report.arena, wanted, &d));
            return;
        }
}

/* --- a wrong plan ---------------------------------------------------------------------------- */

static int64_t *symbol_values(const Bisect *b, Arena *arena) {
    const Module *m = b->ctx->module;
    int64_t *values = LT_ARRAY(arena, int64_t, m->dims.symbols.len + 1);
    for (size_t i = 0; i < m->main->inputs.len; i++) {
        const Type *type = m->main->inputs.data[i]->type;
        for (int axis = 0; axis < type->rank; axis++)
            if (type->dims[axis]->kind == DIM_SYMBOL)
                values[type->dims[axis]->symbol] = b->inputs[i]->dims[axis];
    }
    return values;
}

/* A result that was written in its operand's place: the plan gave both the later end. */
static bool is_in_place(const ProgramBuffer *x, const ProgramBuffer *y) {
    return x->offset == y->offset && x->bytes == y->bytes && x->last_step == y->last_step;
}

/* Bytes of both, while both hold something that is still read. */
static bool overlap(const ProgramBuffer *x, const ProgramBuffer *y, const int64_t *symbols) {
    int64_t start_x = lt_dim_eval(x->offset, symbols), start_y = lt_dim_eval(y->offset, symbols);
    bool bytes = start_x < start_y + lt_dim_eval(y->bytes, symbols) &&
                 start_y < start_x + lt_dim_eval(x->bytes, symbols);
    bool steps = x->first_step < y->last_step && y->first_step < x->last_step;
    return bytes && steps && !is_in_place(x, y);
}

static const char *buffer_name(Arena *arena, const Program *p, size_t i) {
    const char *name = p->buffers.data[i].name;
    return name ? name : lt_arena_printf(arena, "%%%zu", i);
}

static void find_overlap(Bisect *b, Arena *arena) {
    const Program *p = b->ctx->program;
    const int64_t *symbols = symbol_values(b, arena);
    for (size_t i = 0; i < p->buffers.len; i++)
        for (size_t j = 0; j < i; j++) {
            const ProgramBuffer *x = &p->buffers.data[i], *y = &p->buffers.data[j];
            if (x->place != PLACE_ARENA || y->place != PLACE_ARENA || !overlap(x, y, symbols))
                continue;
            uint32_t from = x->first_step > y->first_step ? x->first_step : y->first_step;
            lt_str_printf(&b->report,
                          "  %s and %s share memory from step %u on, and are both used"
                          " after it\n",
                          buffer_name(arena, p, j), buffer_name(arena, p, i), from);
            return;
        }
}

/* --- stages ---------------------------------------------------------------------------------- */

static void blame(Bisect *b, const Pass *pass, const char *error) {
    b->pass = pass->name;
    if (error)
        lt_str_printf(&b->report, "  it cannot be run any more: %s\n",
                      lt_arena_strdup(b->report.arena, error));
}

static void judge_graph(Bisect *b, const Pass *pass) {
    const Tensor **outputs = NULL;
    if (graph_hash(b->ctx->module) == b->last->hash)
        return;
    BisectStage *now = new_stage(b);
    const char *error = run_graph(b, now, &outputs);
    b->stages++;
    if (error) {
        blame(b, pass, error);
    } else if (outputs_differ(b, outputs, &b->report)) {
        blame(b, pass, NULL);
        find_value(b, now);
    }
    if (b->last != b->first) /* which has the wanted outputs */
        free_stage(b->last);
    b->last = now;
}

static void judge_program(Bisect *b, const Pass *pass) {
    const Program *p = b->ctx->program;
    bool planned = p->arena_size != NULL;
    Arena arena;
    lt_arena_init(&arena);
    arena.out_of_memory = b->ctx->module->arena->out_of_memory;
    size_t count = lt_graph_yield(p->module->main)->input_count + p->buffers.len;
    const Tensor **outputs = LT_ARRAY(&arena, const Tensor *, count + 1);
    if (b->title)
        fprintf(stderr, "\r\033[K%s: interpreting %zu steps", b->title, p->steps.len);
    const char *error = run_program(b, &arena, !planned, outputs);
    if (b->title)
        fputs("\r\033[K", stderr);
    b->stages++;
    if (error) {
        blame(b, pass, error);
    } else if (outputs_differ(b, outputs, &b->report)) {
        blame(b, pass, NULL);
        if (planned)
            find_overlap(b, &arena);
        else
            find_step(b, &arena, outputs);
    }
    lt_arena_free(&arena);
}

const char *lt_bisect_begin(Bisect *b, Arena *arena) {
    lt_str_init(&b->report, arena);
    b->ctx->module->keep_consts = true; /* tensors of earlier stages point into them */
    b->first = b->last = new_stage(b);
    const char *error = run_graph(b, b->first, &b->wanted);
    return error ? lt_arena_strdup(arena, error) : NULL;
}

void lt_bisect_after(Bisect *b, const Pass *pass) {
    if (b->pass)
        return;
    b->passes++;
    if (b->ctx->program)
        judge_program(b, pass);
    else
        judge_graph(b, pass);
}

void lt_bisect_free(Bisect *b) {
    if (b->last != b->first)
        free_stage(b->last);
    free_stage(b->first);
}
