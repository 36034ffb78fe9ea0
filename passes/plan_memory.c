/* plan_memory.c - gives every temporary its place in one arena.
 * Requires: program. Ensures: planned (offset of every arena buffer, arena_size, lower_bound).
 *   a: 64 bytes, steps 0..1; b: 64 bytes, steps 1..2; c: 64 bytes, steps 2..3
 *   =>  a, c at 0; b at 64
 *
 * First, results move into operands that die in the same step, where the kernel allows it. Then
 * buffers that remain are placed: with constant sizes, each into the tightest gap among those that
 * live at the same time, in several orders of which the best one counts; with symbolic sizes, into
 * slots, each as large as the greatest of its buffers. A size is compared there by its value under
 * typical symbols: that decides only how tight the plan is, never whether it is right. */
#include <stdlib.h>

#include "passes/pass.h"
#include "runtime/artifact.h"

enum { TYPICAL_SYMBOL = 64 };

typedef struct Plan {
    PassContext *ctx;
    Program *program;
    DimTable *dims;
    uint32_t *root;   /* by buffer: whose place it shares */
    int64_t *typical; /* by buffer: bytes under typical symbols */
    bool is_static;
    bool takes_lowest; /* of the gaps that fit, the first one, not the tightest */
} Plan;

static const Dim *aligned(Plan *p, const Dim *bytes) {
    const Dim *unit = lt_dim_const(p->dims, LT_TENSOR_ALIGN);
    return lt_dim_mul(p->dims, lt_dim_ceildiv(p->dims, bytes, unit), unit);
}

/* What a loop reads from outside is there for the next iteration, too. */
static void outlive_loops(Program *program) {
    for (uint32_t i = 0; i < program->steps.len; i++) {
        if (program->steps.data[i].kind != STEP_LOOP)
            continue;
        const uint32_t end = lt_program_match(program, i);
        for (size_t j = 0; j < program->buffers.len; j++) {
            ProgramBuffer *b = &program->buffers.data[j];
            if (b->first_step <= i && b->last_step >= i && b->last_step < end)
                b->last_step = end;
        }
    }
}

/* --- sharing in place ---------------------------------------------------------------------- */

static uint32_t find_root(const Plan *p, uint32_t buffer) {
    while (p->root[buffer] != buffer)
        buffer = p->root[buffer];
    return buffer;
}

static bool try_share(Plan *p, uint32_t step, uint32_t operand, uint32_t result) {
    uint32_t from = find_root(p, operand), to = find_root(p, result);
    ProgramBuffer *a = &p->program->buffers.data[from], *b = &p->program->buffers.data[to];
    bool fits = a->place == PLACE_ARENA && b->place == PLACE_ARENA && from != to &&
                a->last_step == step && b->first_step == step && a->bytes == b->bytes;
    if (!fits)
        return false;
    p->root[to] = from;
    a->last_step = b->last_step;
    return true;
}

static uint32_t share_in_place(Plan *p) {
    uint32_t shared = 0;
    for (uint32_t i = 0; i < p->program->steps.len; i++) {
        const Step *s = &p->program->steps.data[i];
        if (s->kind != STEP_LAUNCH)
            continue;
        const Kernel *k = p->program->kernels.data[s->kernel];
        uint32_t result = 0;
        while (result < k->param_count && k->buffers.data[result]->kind != BUFFER_OUTPUT)
            result++;
        if (result == k->param_count)
            continue;
        for (uint32_t j = 0; j < result && j < 64; j++)
            if ((k->in_place >> j & 1) && try_share(p, i, s->buffers[j], s->buffers[result])) {
                shared++;
                break;
            }
    }
    return shared;
}

/* --- constant sizes: best fit in several orders --------------------------------------------- */

static bool live_together(const ProgramBuffer *a, const ProgramBuffer *b) {
    return a->first_step <= b->last_step && b->first_step <= a->last_step;
}

static const Plan *sorted_plan; /* qsort has no context */

static int by_size(const void *x, const void *y) {
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    int64_t size_a = sorted_plan->typical[a], size_b = sorted_plan->typical[b];
    if (size_a != size_b)
        return size_a > size_b ? -1 : 1;
    return a < b ? -1 : a > b;
}

static int64_t steps_of(uint32_t buffer) {
    const ProgramBuffer *b = &sorted_plan->program->buffers.data[buffer];
    return (int64_t)b->last_step - b->first_step + 1;
}

static int by_duration(const void *x, const void *y) {
    const int64_t a = steps_of(*(const uint32_t *)x), b = steps_of(*(const uint32_t *)y);
    return a != b ? (a > b ? -1 : 1) : by_size(x, y);
}

static int by_area(const void *x, const void *y) {
    const uint32_t i = *(const uint32_t *)x, j = *(const uint32_t *)y;
    const double a = (double)sorted_plan->typical[i] * (double)steps_of(i);
    const double b = (double)sorted_plan->typical[j] * (double)steps_of(j);
    return a != b ? (a > b ? -1 : 1) : by_size(x, y);
}

static int by_first_step(const void *x, const void *y) {
    const ProgramBuffer *buffers = sorted_plan->program->buffers.data;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    if (buffers[a].first_step != buffers[b].first_step)
        return buffers[a].first_step < buffers[b].first_step ? -1 : 1;
    return a < b ? -1 : a > b;
}

static int by_offset(const void *x, const void *y) {
    const ProgramBuffer *buffers = sorted_plan->program->buffers.data;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    int64_t offset_a = buffers[a].offset->value, offset_b = buffers[b].offset->value;
    if (offset_a != offset_b)
        return offset_a < offset_b ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* The start of the tightest gap that takes `size` between the neighbours, sorted by offset; of the
 * lowest one when the plan asks for that. */
static int64_t find_gap(const Plan *p, const uint32_t *neighbours, uint32_t count, int64_t size) {
    int64_t end = 0, best = -1, best_size = INT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        int64_t start = p->program->buffers.data[neighbours[i]].offset->value;
        if (start - end >= size && start - end < best_size) {
            best = end;
            best_size = p->takes_lowest ? 0 : start - end;
        }
        int64_t stop = start + p->typical[neighbours[i]];
        if (stop > end)
            end = stop;
    }
    return best >= 0 ? best : end;
}

/* Offsets for the roots in this order; the greatest end. */
static int64_t place_in_order(Plan *p, const uint32_t *roots, uint32_t count) {
    Program *program = p->program;
    uint32_t *neighbours = LT_ARRAY(p->ctx->scratch, uint32_t, count + 1);
    int64_t peak = 0;
    for (uint32_t i = 0; i < count; i++) {
        ProgramBuffer *b = &program->buffers.data[roots[i]];
        uint32_t found = 0;
        for (uint32_t j = 0; j < i; j++)
            if (live_together(b, &program->buffers.data[roots[j]]))
                neighbours[found++] = roots[j];
        qsort(neighbours, found, sizeof *neighbours, by_offset);
        int64_t offset = find_gap(p, neighbours, found, p->typical[roots[i]]);
        b->offset = lt_dim_const(p->dims, offset);
        if (offset + p->typical[roots[i]] > peak)
            peak = offset + p->typical[roots[i]];
    }
    return peak;
}

/* Each order and each choice of gaps is best for some graphs: the first one that gives the lowest
 * peak stays. */
static void place_static(Plan *p, uint32_t *roots, uint32_t count) {
    static int (*const orders[])(const void *, const void *) = {by_size, by_area, by_duration,
                                                                by_first_step};
    enum { ORDERS = sizeof orders / sizeof *orders };
    int best = 0;
    int64_t least = INT64_MAX;
    sorted_plan = p;
    for (int i = 0; i <= 2 * ORDERS; i++) {
        const int chosen = i < 2 * ORDERS ? i : best;
        p->takes_lowest = chosen >= ORDERS;
        qsort(roots, count, sizeof *roots, orders[chosen % ORDERS]);
        const int64_t peak = place_in_order(p, roots, count);
        if (peak < least) {
            least = peak;
            best = i;
        }
    }
    p->program->arena_size = lt_dim_const(p->dims, least);
}

/* --- symbolic sizes: slots ----------------------------------------------------------------- */

typedef struct Slot {
    const Dim *size;
    int64_t typical;
    uint32_t last_step;
} Slot;

/* A free slot, the closest in size; count: none is free. */
static uint32_t choose_slot(const Slot *slots, uint32_t count, uint32_t first_step, int64_t size) {
    uint32_t best = count;
    int64_t best_difference = INT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i].last_step >= first_step)
            continue;
        int64_t difference = llabs(slots[i].typical - size);
        if (difference < best_difference) {
            best = i;
            best_difference = difference;
        }
    }
    return best;
}

/* roots are in the order of their first steps. */
static void place_symbolic(Plan *p, const uint32_t *roots, uint32_t count) {
    Program *program = p->program;
    Slot *slots = LT_ARRAY(p->ctx->scratch, Slot, count + 1);
    uint32_t *slot_of = LT_ARRAY(p->ctx->scratch, uint32_t, count + 1), slot_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const ProgramBuffer *b = &program->buffers.data[roots[i]];
        uint32_t s = choose_slot(slots, slot_count, b->first_step, p->typical[roots[i]]);
        const Dim *size = aligned(p, b->bytes);
        if (s == slot_count)
            slots[slot_count++] = (Slot){.size = size};
        slots[s].size = lt_dim_max(p->dims, slots[s].size, size);
        if (p->typical[roots[i]] > slots[s].typical)
            slots[s].typical = p->typical[roots[i]];
        slots[s].last_step = b->last_step;
        slot_of[i] = s;
    }
    const Dim **offsets = LT_ARRAY(p->ctx->scratch, const Dim *, slot_count + 1);
    offsets[0] = lt_dim_const(p->dims, 0);
    for (uint32_t s = 0; s < slot_count; s++)
        offsets[s + 1] = lt_dim_add(p->dims, offsets[s], slots[s].size);
    for (uint32_t i = 0; i < count; i++)
        program->buffers.data[roots[i]].offset = offsets[slot_of[i]];
    program->arena_size = offsets[slot_count];
}

/* --- what a perfect plan would need -------------------------------------------------------- */

static void set_lower_bound(Plan *p, const uint32_t *roots, uint32_t count) {
    Program *program = p->program;
    size_t steps = program->steps.len;
    int64_t *live = LT_ARRAY(p->ctx->scratch, int64_t, steps + 2);
    for (uint32_t i = 0; i < count; i++) {
        const ProgramBuffer *b = &program->buffers.data[roots[i]];
        live[b->first_step] += p->typical[roots[i]];
        live[b->last_step + 1] -= p->typical[roots[i]];
    }
    uint32_t peak_step = 0;
    int64_t sum = 0, peak = -1;
    for (uint32_t i = 0; i < steps; i++) {
        sum += live[i];
        if (sum > peak) {
            peak = sum;
            peak_step = i;
        }
    }
    const Dim *bound = lt_dim_const(p->dims, 0);
    for (uint32_t i = 0; i < count; i++) {
        const ProgramBuffer *b = &program->buffers.data[roots[i]];
        if (b->first_step <= peak_step && peak_step <= b->last_step)
            bound = lt_dim_add(p->dims, bound, aligned(p, b->bytes));
    }
    program->lower_bound = bound;
}

/* --- the pass ------------------------------------------------------------------------------ */

static int64_t *typical_symbols(Plan *p) {
    int64_t *values = LT_ARRAY(p->ctx->scratch, int64_t, p->dims->symbols.len + 1);
    for (size_t i = 0; i < p->dims->symbols.len; i++) {
        const DimSymbol *s = &p->dims->symbols.data[i];
        int64_t value = TYPICAL_SYMBOL;
        if (value < s->lo)
            value = s->lo;
        values[i] = value > s->hi ? s->hi : value;
    }
    return values;
}

bool lt_pass_plan_memory(PassContext *ctx) {
    Program *program = ctx->program;
    size_t count = program->buffers.len;
    Plan p = {
        .ctx = ctx,
        .program = program,
        .dims = &ctx->module->dims,
        .root = LT_ARRAY(ctx->scratch, uint32_t, count + 1),
        .typical = LT_ARRAY(ctx->scratch, int64_t, count + 1),
        .is_static = true,
    };
    for (uint32_t i = 0; i < count; i++)
        p.root[i] = i;
    const int64_t *symbols = typical_symbols(&p);
    outlive_loops(program);
    uint32_t shared = ctx->level > 0 ? share_in_place(&p) : 0;
    uint32_t *roots = LT_ARRAY(ctx->scratch, uint32_t, count + 1), root_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const ProgramBuffer *b = &program->buffers.data[i];
        if (b->place != PLACE_ARENA || p.root[i] != i)
            continue;
        const Dim *size = aligned(&p, b->bytes);
        p.typical[i] = lt_dim_eval(size, symbols);
        p.is_static &= lt_dim_is_const(size);
        roots[root_count++] = i;
    }
    sorted_plan = &p;
    qsort(roots, root_count, sizeof *roots, by_first_step);
    set_lower_bound(&p, roots, root_count);
    if (p.is_static)
        place_static(&p, roots, root_count);
    else
        place_symbolic(&p, roots, root_count);
    for (uint32_t i = 0; i < count; i++) {
        ProgramBuffer *b = &program->buffers.data[i];
        if (b->place == PLACE_ARENA)
            b->offset = program->buffers.data[find_root(&p, i)].offset;
    }
    lt_remark(&ctx->module->diags, NULL,
              "plan-memory: %u buffers, %u in place, arena %lld bytes, lower bound %lld",
              root_count, shared, (long long)lt_dim_eval(program->arena_size, symbols),
              (long long)lt_dim_eval(program->lower_bound, symbols));
    return true;
}
