/* lower_program.c - the pass `lower`: a graph of groups becomes buffers, kernels and steps.
 * Requires: fused. Ensures: program (every step's buffers and integers are known; arena buffers
 * have live ranges). %1 = fused(%0) { .. }  yield %1   =>   buffers: input 0, output 0; kernels:
 * map_3; step 0: launch map_3 over n
 *
 * One buffer stands for a value and everything that is reshaped from it. A value that the model
 * yields is computed where the caller wants it; only what is an input, a constant or another output
 * already is copied there. Kernels whose naive text agrees are one kernel, scheduled once. */
#include <string.h>

#include "passes/lower_gpu.h"
#include "runtime/artifact.h"
#include "runtime/base/checked.h"

enum { NAME_LIMIT = 60, NAMED_NODES = 8 };
enum { LIBRARY_TOPK = 0, LIBRARY_FIND = 1 }; /* runtime/kernels/library.def, which only grows */

/* --- names --------------------------------------------------------------------------------- */

static void append_plain(Str *out, const char *text) {
    for (; *text; text++) {
        const bool upper = *text >= 'A' && *text <= 'Z', lower = *text >= 'a' && *text <= 'z';
        const bool digit = *text >= '0' && *text <= '9';
        const char c = (char)(upper ? *text - 'A' + 'a' : *text);
        if (lower || upper || digit)
            lt_str_char(out, c);
        else if (out->len > 0 && out->text[out->len - 1] != '_')
            lt_str_char(out, '_');
    }
}

/* conv_23_relu_24: an identifier of at most NAME_LIMIT characters that no other kernel and no C
 * library has. */
static const char *kernel_name(Assembly *a, const Node *node, const char *suffix) {
    Str out;
    lt_str_init(&out, a->module->arena);
    for (const Loc *loc = node->loc; loc; loc = loc->next) {
        if (out.len > 0)
            lt_str_char(&out, '_');
        append_plain(&out, loc->node ? loc->node : loc->op ? loc->op : "");
    }
    if (out.len == 0 || (out.text[0] >= '0' && out.text[0] <= '9'))
        out.text = lt_arena_printf(a->module->arena, "%s_%s", lt_op_info[node->op].name, out.text);
    const char *joint = suffix ? "_" : "", *end = suffix ? suffix : "";
    char *name = lt_arena_printf(a->module->arena, "%.*s%s%s", NAME_LIMIT, out.text, joint, end);
    if (!strchr(name, '_'))
        name = lt_arena_printf(a->module->arena, "%s_kernel", name);
    const char *unique = name;
    for (int number = 2; lt_strmap_has(&a->names, unique); number++)
        unique = lt_arena_printf(a->module->arena, "%.*s_%d", NAME_LIMIT - 6, name, number);
    lt_strmap_set(&a->names, unique, a);
    return unique;
}

const char *lt_step_name(Assembly *a, const Node *node) {
    Str out;
    int count = 0;
    lt_str_init(&out, a->module->arena);
    for (const Loc *loc = node->loc; loc && count < NAMED_NODES; loc = loc->next, count++) {
        if (count > 0)
            lt_str_char(&out, '+');
        lt_str_append(&out, loc->node ? loc->node : loc->op ? loc->op : "?");
    }
    if (count == 0)
        lt_str_append(&out, lt_op_info[node->op].name);
    return out.text;
}

/* --- buffers ------------------------------------------------------------------------------- */

static Value *root_of(Value *value) {
    while (value->def && (value->def->op == OP_RESHAPE || value->def->op == OP_BIND))
        value = lt_input(value->def, 0);
    return value;
}

const Dim *lt_buffer_bytes(Assembly *a, const Type *type) {
    return lt_dim_mul_const(&a->module->dims, lt_type_elements(a->module, type),
                            (int64_t)lt_dtype_size(type->dtype));
}

static uint32_t add_buffer(Assembly *a, ProgramBuffer buffer) {
    lt_vec_push(a->module->arena, &a->program->buffers, buffer);
    return (uint32_t)a->program->buffers.len - 1;
}

static uint32_t weight_buffer(Assembly *a, const Const *c, const char *name) {
    const uintptr_t known = (uintptr_t)lt_map_get(&a->weights, c->id);
    int64_t elements = 0, end = 0;
    if (known)
        return (uint32_t)known - 1;
    lt_type_is_static(c->type, &elements);
    const int64_t offset = a->program->weights_size;
    const int64_t size = elements * (int64_t)lt_dtype_size(c->type->dtype);
    if (!lt_add_i64(offset, size + LT_TENSOR_ALIGN - 1, &end))
        lt_error(&a->module->diags, 3, NULL, "the weights are too large");
    a->program->weights_size = end / LT_TENSOR_ALIGN * LT_TENSOR_ALIGN;
    const uint32_t number =
        add_buffer(a, (ProgramBuffer){.place = PLACE_WEIGHTS,
                                      .type = c->type,
                                      .name = name,
                                      .value = c,
                                      .offset = lt_dim_const(&a->module->dims, offset)});
    lt_map_set(&a->weights, c->id, (void *)(uintptr_t)(number + 1));
    return number;
}

bool lt_buffer_is_reserved(Assembly *a, uint32_t number) {
    const ProgramBuffer *b = &a->program->buffers.data[number];
    return b->place == PLACE_SLOT ||
           (b->place == PLACE_OUTPUT && lt_type_is_data(a->module, b->type));
}

void lt_buffer_set(Assembly *a, Value *value, uint32_t number) {
    lt_map_set(&a->buffers, root_of(value)->id, (void *)(uintptr_t)(number + 1));
}

uint32_t lt_buffer_new(Assembly *a, const Type *type, const char *name) {
    const bool is_slot = lt_type_is_data(a->module, type);
    return add_buffer(a, (ProgramBuffer){.place = is_slot ? PLACE_SLOT : PLACE_ARENA,
                                         .type = type,
                                         .name = name,
                                         .index = is_slot ? a->program->slot_count++ : 0,
                                         .bytes = lt_buffer_bytes(a, type),
                                         .first_step = UINT32_MAX});
}

bool lt_buffer_is_known(const Assembly *a, Value *value) {
    Value *root = root_of(value);
    return lt_value_const(root) || lt_map_has(&a->buffers, root->id);
}

uint32_t lt_buffer_of(Assembly *a, Value *value) {
    Value *root = root_of(value);
    const Const *c = lt_value_const(root);
    if (c)
        return weight_buffer(a, c, root->name);
    const uintptr_t known = (uintptr_t)lt_map_get(&a->buffers, root->id);
    if (known)
        return (uint32_t)known - 1;
    const uint32_t number = lt_buffer_new(a, root->type, root->name);
    lt_buffer_set(a, root, number);
    return number;
}

static void add_signature(Assembly *a) {
    const Graph *g = a->module->main;
    const Node *yield = lt_graph_yield(g);
    for (size_t i = 0; i < g->inputs.len; i++) {
        const Value *v = g->inputs.data[i];
        const ProgramBuffer b = {
            .place = PLACE_INPUT, .type = v->type, .name = v->name, .index = (uint32_t)i};
        lt_buffer_set(a, g->inputs.data[i], add_buffer(a, b));
    }
    for (uint32_t i = 0; i < yield->input_count; i++) {
        Value *v = lt_input(yield, i), *root = root_of(v);
        /* The dims of a view may get their values after what it shows was computed. */
        const bool is_early = root != v && lt_type_is_data(a->module, v->type);
        if (!root->def || lt_value_const(root) || lt_map_has(&a->buffers, root->id) || is_early)
            continue;
        const ProgramBuffer b = {
            .place = PLACE_OUTPUT, .type = v->type, .name = v->name, .index = i};
        lt_buffer_set(a, root, add_buffer(a, b));
    }
}

/* --- steps --------------------------------------------------------------------------------- */

/* Who comes first to a buffer that is found during the run writes it. */
static void reserve_first(Assembly *a, const Step *step) {
    const bool runs = step->kind == STEP_LAUNCH || step->kind == STEP_LIBRARY;
    for (uint32_t i = 0; i < step->buffer_count && (runs || step->kind == STEP_COPY); i++) {
        const uint32_t number = step->buffers[i];
        if (lt_buffer_is_reserved(a, number) && !lt_map_has(&a->reserved, number))
            lt_step_reserve(a, number, a->program->buffers.data[number].type);
    }
}

void lt_step_add(Assembly *a, Step step) {
    reserve_first(a, &step);
    const uint32_t number = (uint32_t)a->program->steps.len;
    for (uint32_t i = 0; i < step.buffer_count; i++) {
        ProgramBuffer *b = &a->program->buffers.data[step.buffers[i]];
        b->first_step = b->first_step < number ? b->first_step : number;
        b->last_step = number;
    }
    step.buffers =
        lt_arena_copy(a->module->arena, step.buffers, step.buffer_count * sizeof *step.buffers);
    step.ints = lt_arena_copy(a->module->arena, step.ints, step.int_count * sizeof *step.ints);
    lt_vec_push(a->module->arena, &a->program->steps, step);
}

void lt_step_reserve(Assembly *a, uint32_t buffer, const Type *type) {
    lt_map_set(&a->reserved, buffer, a);
    lt_step_add(a, (Step){.kind = STEP_RESERVE,
                          .buffer_count = 1,
                          .buffers = &buffer,
                          .int_count = (uint32_t)type->rank,
                          .ints = type->dims,
                          .count = lt_buffer_bytes(a, type)});
}

void lt_step_copy(Assembly *a, const char *name, uint32_t from, uint32_t to, const Dim *bytes,
                  const Dim *offset) {
    lt_step_add(a, (Step){.kind = STEP_COPY,
                          .name = name ? name : "copy",
                          .buffer_count = 2,
                          .buffers = (uint32_t[]){from, to},
                          .count = bytes,
                          .offset = offset});
}

/* A dim of the kernel in terms of the module's. */
static const Dim *export_dim(Assembly *a, const Kernel *k, const Lowered *lowered, const Dim *d) {
    return lt_kernel_export_dim(k, &a->module->dims, lowered->ints.data, d);
}

static const Dim *launch_count(Assembly *a, const Kernel *k, const Lowered *lowered) {
    const Stmt *s = lt_kernel_parallel_loop(k);
    return s ? export_dim(a, k, lowered, s->u.loop.extent) : lt_dim_const(&a->module->dims, 1);
}

/* Launches of a team's kernel: how often its first loops with a barrier inside run. */
static const Dim *count_rounds(Assembly *a, const Kernel *k, const Lowered *lowered) {
    if (!lt_kernel_is_team(k))
        return NULL;
    const Dim *rounds = lt_dim_const(&a->module->dims, 1);
    const Stmt *s = k->body;
    while (s) {
        const bool is_around = s->kind == STMT_FOR && lt_stmt_has_barrier(s->u.loop.body);
        if (is_around && lt_kernel_knows_dim(k, s->u.loop.extent))
            rounds =
                lt_dim_mul(&a->module->dims, rounds, export_dim(a, k, lowered, s->u.loop.extent));
        s = is_around ? s->u.loop.body : s->next;
    }
    return rounds;
}

/* As text, for those who read what becomes of it. */
static const char *nest_of(const Kernel *k) {
    Str text;
    lt_str_init(&text, k->arena);
    lt_kernel_print(&text, k, true);
    return text.text;
}

uint32_t lt_lower_add_kernel(Assembly *a, const Node *node, const char *suffix, Kernel *k) {
    Str text;
    lt_str_init(&text, a->ctx->scratch);
    lt_kernel_print(&text, k, false);
    lt_str_printf(&text, "in place %llx", (unsigned long long)k->in_place);
    const uintptr_t known = (uintptr_t)lt_strmap_get(&a->kernels, text.text);
    if (known)
        return (uint32_t)known - 1;
    k->name = kernel_name(a, node, suffix);
    if (lt_target_is_gpu(a->ctx->target))
        k->nest = nest_of(k);
    if (!suffix)
        lt_schedule_kernel(a->ctx, k);
    if (lt_target_is_gpu(a->ctx->target))
        lt_kernel_place_scratch(k);
    lt_vec_push(a->module->arena, &a->program->kernels, k);
    lt_strmap_set(&a->kernels, text.text, (void *)(uintptr_t)a->program->kernels.len);
    return (uint32_t)a->program->kernels.len - 1;
}

static bool is_repeated(const uint32_t *buffers, uint32_t count, uint32_t wanted) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        found += buffers[i] == wanted;
    return found > 1;
}

/* The step's buffers, and one for each parameter that a scratch buffer became. */
static const uint32_t *add_rows(Assembly *a, const Kernel *k, const Lowered *lowered,
                                const uint32_t *buffers, uint32_t count) {
    uint32_t *all = LT_ARRAY(a->ctx->scratch, uint32_t, k->param_count);
    memcpy(all, buffers, count * sizeof *all);
    for (uint32_t i = count; i < k->param_count; i++) {
        const Buffer *b = k->buffers.data[i];
        const Dim *dims[LT_MAX_RANK];
        for (int axis = 0; axis < b->rank; axis++)
            dims[axis] = export_dim(a, k, lowered, b->dims[axis]);
        all[i] = lt_buffer_new(a, lt_type(a->module, b->dtype, b->rank, dims), b->name);
    }
    return all;
}

/* Two launches with a buffer between; false: one kernel is better. */
static bool add_split(Assembly *a, Node *node, const Lowered *lowered, const uint32_t *buffers) {
    SplitFold split;
    if (!lt_target_is_gpu(a->ctx->target) || a->ctx->level == 0 || a->ctx->schedule_override ||
        !lt_split_fold(lowered->kernel, &split))
        return false;
    const Type *type = lt_type_static(a->module, split.dtype, 1, &split.elements);
    const uint32_t partial = lt_buffer_new(a, type, NULL);
    for (int half = 0; half < 2; half++) {
        const uint32_t count = split.kernels[half]->param_count;
        uint32_t *own = LT_ARRAY(a->module->arena, uint32_t, count);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t param = split.params[half][i];
            own[i] = param == LT_PARTIAL ? partial : buffers[param];
        }
        const uint32_t number = lt_lower_add_kernel(a, node, NULL, split.kernels[half]);
        const Kernel *k = a->program->kernels.data[number];
        lt_step_add(a, (Step){.kind = STEP_LAUNCH,
                              .kernel = number,
                              .name = lt_step_name(a, node),
                              .buffer_count = k->param_count,
                              .buffers = add_rows(a, k, lowered, own, count),
                              .count = lt_dim_const(&a->module->dims, 1),
                              .loc = node->loc});
    }
    return true;
}

static bool add_launch(Assembly *a, Node *node) {
    Lowered lowered;
    if (!lt_lower_node(a->ctx, node, &lowered))
        return false;
    const size_t operands = lowered.operands.len, count = operands + lowered.results.len;
    uint32_t *buffers = LT_ARRAY(a->ctx->scratch, uint32_t, count);
    for (size_t i = 0; i < count; i++)
        buffers[i] = lt_buffer_of(a, i < operands ? lowered.operands.data[i]
                                                  : lowered.results.data[i - operands]);
    /* One buffer may be two operands (a value and its reshape): what is true of one need not be of
     * the other. */
    for (size_t i = 0; i < operands; i++)
        if (is_repeated(buffers, (uint32_t)operands, buffers[i]))
            lowered.kernel->in_place = 0;
    if (add_split(a, node, &lowered, buffers))
        return true;
    const uint32_t number = lt_lower_add_kernel(a, node, NULL, lowered.kernel);
    const Kernel *k = a->program->kernels.data[number];
    lt_step_add(a, (Step){.kind = STEP_LAUNCH,
                          .kernel = number,
                          .name = lt_step_name(a, node),
                          .buffer_count = k->param_count,
                          .buffers = add_rows(a, k, &lowered, buffers, (uint32_t)count),
                          .int_count = (uint32_t)lowered.ints.len,
                          .ints = lowered.ints.data,
                          .count = launch_count(a, k, &lowered),
                          .rounds = count_rounds(a, k, &lowered),
                          .loc = node->loc});
    return true;
}

/* Arguments as runtime/kernels/library.h states them. */
static void add_topk(Assembly *a, const Node *node) {
    const Type *type = lt_input(node, 0)->type;
    const int axis = (int)lt_attr_int(node, ATTR_AXIS, 0);
    DimTable *t = &a->module->dims;
    const Dim *ints[] = {lt_dim_product(t, type->dims, axis),
                         type->dims[axis],
                         lt_dim_product(t, type->dims + axis + 1, type->rank - axis - 1),
                         lt_attr(node, ATTR_SIZE)->u.dims[0],
                         lt_dim_const(t, lt_attr_int(node, ATTR_LARGEST, 1)),
                         lt_dim_const(t, lt_attr_int(node, ATTR_SORTED, 1)),
                         lt_dim_const(t, type->dtype)};
    const uint32_t buffers[] = {lt_buffer_of(a, lt_input(node, 0)),
                                lt_buffer_of(a, node->outputs[0]),
                                lt_buffer_of(a, node->outputs[1])};
    lt_step_add(a, (Step){.kind = STEP_LIBRARY,
                          .kernel = LIBRARY_TOPK,
                          .name = lt_step_name(a, node),
                          .buffer_count = 3,
                          .buffers = buffers,
                          .int_count = sizeof ints / sizeof *ints,
                          .ints = ints,
                          .loc = node->loc});
}

/* Outputs that are not computed in place. */
static void add_copies(Assembly *a) {
    const Node *yield = lt_graph_yield(a->module->main);
    for (uint32_t i = 0; i < yield->input_count; i++) {
        Value *v = lt_input(yield, i);
        const uint32_t from = lt_buffer_of(a, v);
        const ProgramBuffer *b = &a->program->buffers.data[from];
        if (b->place == PLACE_OUTPUT && b->index == i)
            continue;
        const ProgramBuffer to = {
            .place = PLACE_OUTPUT, .type = v->type, .name = v->name, .index = i};
        lt_step_copy(a, v->name, from, add_buffer(a, to), lt_buffer_bytes(a, v->type), NULL);
    }
}

static void add_find(Assembly *a, const Node *node) {
    const Dim *ints[] = {lt_input(node, 0)->type->dims[0], lt_output(node)->type->dims[0]};
    const uint32_t buffers[] = {lt_buffer_of(a, lt_input(node, 0)),
                                lt_buffer_of(a, lt_output(node))};
    lt_step_add(a, (Step){.kind = STEP_LIBRARY,
                          .kernel = LIBRARY_FIND,
                          .name = lt_step_name(a, node),
                          .buffer_count = 2,
                          .buffers = buffers,
                          .int_count = 2,
                          .ints = ints,
                          .loc = node->loc});
}

static void add_bind(Assembly *a, const Node *node) {
    const Attr *dims = lt_attr(node, ATTR_DIMS);
    const uint32_t source = lt_buffer_of(a, lt_input(node, 0));
    lt_step_add(a, (Step){.kind = STEP_BIND,
                          .name = lt_step_name(a, node),
                          .buffer_count = 1,
                          .buffers = &source,
                          .int_count = dims->count,
                          .ints = dims->u.dims,
                          .loc = node->loc});
}

static bool is_used(const Node *node) {
    for (uint32_t i = 0; i < node->output_count; i++)
        if (node->outputs[i]->uses)
            return true;
    return false;
}

bool lt_lower_graph(Assembly *a, Graph *g) {
    const bool is_gpu = lt_target_is_gpu(a->ctx->target);
    bool ok = true;
    LT_EACH_NODE(n, g) {
        const bool waits = n->op == OP_CONST || n->op == OP_RESHAPE || n->op == OP_YIELD;
        if (waits || (!is_used(n) && n->op != OP_BIND) || (is_gpu && lt_lower_several(a, n)))
            continue;
        switch (n->op) {
        case OP_SORT: add_topk(a, n); break;
        case OP_FIND: add_find(a, n); break;
        case OP_BIND: add_bind(a, n); break;
        case OP_IF: ok = lt_lower_branches(a, n) && ok; break;
        case OP_LOOP: ok = lt_lower_iterations(a, n) && ok; break;
        default: ok = add_launch(a, n) && ok;
        }
    }
    return ok;
}

bool lt_pass_lower(PassContext *ctx) {
    Assembly a = {.ctx = ctx, .module = ctx->module};
    a.program = LT_NEW(ctx->module->arena, Program);
    *a.program = (Program){.arena = ctx->module->arena, .module = ctx->module};
    lt_map_init(&a.buffers, ctx->scratch);
    lt_map_init(&a.weights, ctx->scratch);
    lt_map_init(&a.kernels, ctx->scratch);
    lt_map_init(&a.names, ctx->scratch);
    lt_map_init(&a.reserved, ctx->scratch);
    add_signature(&a);
    const bool ok = lt_lower_graph(&a, ctx->module->main);
    add_copies(&a);
    ctx->program = ok ? a.program : NULL;
    return true;
}
