/* bands.c - kernels that follow each other take turns, each a band of rows at a time.
 * Requires: program. Ensures: nothing new.
 *   launch expand(%0, %1) over 42      =>  launch expand(%0, %1; 0, 6) over 6
 *   launch depthwise(%1, %2) over 56       launch depthwise(%1, %2; 0, 7) over 7
 *                                          launch expand(%0, %1; 6, 6) over 6
 *                                          launch depthwise(%1, %2; 7, 8) over 8, ...
 *
 * What one kernel hands to the next one is larger than the L2 cache where images are large, and
 * would go to memory and come back. Since both go through it in the same direction, the second one
 * can run as far as what it reads is there, while that is in the cache. How far that is follows
 * from the kernels' own indices: iterations up to e of the one read nothing behind element R(e),
 * iterations from e on of the other one write nothing before element W(e); so nothing is computed
 * twice, and borders of windows need no thought. Works on kernels of a constant number of
 * iterations whose weights leave room in the cache. */
#include "passes/bands.h"

#include <string.h>

typedef struct Bands {
    PassContext *ctx;
    Program *program;
    int64_t peak; /* bytes of the arena without bands */
    Map kernels;  /* text -> number + 1, of kernels that run in bands */
    Vec(Step) steps;
    uint32_t *begins, *ends; /* by old step: where it is among the new ones, inclusive */
} Bands;

/* --- what a range of iterations touches ------------------------------------------------------ */

static void each_load(const Expr *e, AccessFn *fn, void *user) {
    if (e->kind == EXPR_LOAD) {
        fn(user, e->u.load.buffer, e->u.load.index, false);
        if (e->u.load.predicate)
            each_load(e->u.load.predicate, fn, user);
    }
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        if (e->u.call.args[i])
            each_load(e->u.call.args[i], fn, user);
}

void lt_each_access(const Stmt *list, AccessFn *fn, void *user) {
    for (const Stmt *s = list; s; s = s->next) {
        switch (s->kind) {
        case STMT_FOR: lt_each_access(s->u.loop.body, fn, user); break;
        case STMT_IF:
            each_load(s->u.branch.condition, fn, user);
            lt_each_access(s->u.branch.body, fn, user);
            lt_each_access(s->u.branch.otherwise, fn, user);
            break;
        case STMT_STORE:
            each_load(s->u.store.value, fn, user);
            fn(user, s->u.store.buffer, s->u.store.index, true);
            break;
        case STMT_LET: each_load(s->u.let.value, fn, user); break;
        default: break;
        }
    }
}

typedef struct Touch {
    const Part *part;
    uint32_t buffer;
    bool stores;
    Elements elements;
} Touch;

static void touch(void *user, const Buffer *b, const Dim *const *index, bool stores) {
    Touch *t = user;
    DimTable *dims = &t->part->kernel->dims;
    if (b->kind > BUFFER_OUTPUT || stores != t->stores ||
        t->part->step->buffers[b->index] != t->buffer)
        return;
    int64_t lo, hi;
    lt_dim_range(dims, lt_buffer_flat(dims, b, index), &lo, &hi);
    t->elements.lo = lo < t->elements.lo ? lo : t->elements.lo;
    t->elements.hi = hi > t->elements.hi ? hi : t->elements.hi;
}

Elements lt_band_elements(const Part *p, uint32_t buffer, bool stores, int64_t begin, int64_t end) {
    Touch t = {p, buffer, stores, {INT64_MAX, INT64_MIN}};
    const Stmt *loop = lt_kernel_parallel_loop(p->kernel);
    if (begin >= end)
        return t.elements;
    lt_dim_set_range(&p->kernel->dims, loop->u.loop.var, begin, end - 1);
    lt_each_access(loop->u.loop.body, touch, &t);
    lt_dim_set_range(&p->kernel->dims, loop->u.loop.var, 0, p->extent - 1);
    return t.elements;
}

/* --- chains ---------------------------------------------------------------------------------- */

int64_t lt_band_bytes(const Program *p, uint32_t buffer) {
    const Type *type = p->buffers.data[buffer].type;
    int64_t bytes = (int64_t)lt_dtype_size(type->dtype);
    for (int i = 0; i < type->rank; i++) {
        if (!lt_dim_is_const(type->dims[i]))
            return -1;
        bytes *= type->dims[i]->value;
    }
    return bytes;
}

static int64_t weights_of(const Bands *b, const Part *p) {
    int64_t bytes = 0;
    for (uint32_t i = 0; i < p->step->buffer_count; i++)
        if (b->program->buffers.data[p->step->buffers[i]].place == PLACE_WEIGHTS)
            bytes += lt_band_bytes(b->program, p->step->buffers[i]);
    return bytes;
}

static bool read_part(const Bands *b, uint32_t step, Part *out) {
    const Step *s = &b->program->steps.data[step];
    if (s->kind != STEP_LAUNCH || s->rounds || !lt_dim_is_const(s->count) || s->count->value < 2)
        return false;
    Kernel *k = b->program->kernels.data[s->kernel];
    const Stmt *loop = lt_kernel_parallel_loop(k);
    if (!loop || loop != k->body || loop->next)
        return false;
    *out = (Part){s, k, s->count->value};
    return weights_of(b, out) <= b->ctx->target->l2_bytes / 4;
}

/* The bytes of what one hands to the other; 0: nothing that is worth bands. */
static int64_t handed_on(const Bands *b, const Part *from, const Part *to) {
    for (uint32_t i = 0; i < from->step->buffer_count; i++) {
        const uint32_t buffer = from->step->buffers[i];
        const int64_t bytes = lt_band_bytes(b->program, buffer);
        for (uint32_t j = 0; lt_band_is_output(from, i) && j < to->step->buffer_count; j++)
            if (to->step->buffers[j] == buffer && !lt_band_is_output(to, j) &&
                bytes >= b->ctx->target->l2_bytes / 2)
                return bytes;
    }
    return 0;
}

/* The longest from this step on. */
static bool find_chain(const Bands *b, uint32_t first, Chain *c) {
    c->first = first;
    c->count = 0;
    c->bytes = 0;
    while (c->count < MOST_PARTS && first + (uint32_t)c->count < b->program->steps.len &&
           read_part(b, first + (uint32_t)c->count, &c->parts[c->count])) {
        const int64_t bytes =
            c->count ? handed_on(b, &c->parts[c->count - 1], &c->parts[c->count]) : 0;
        if (c->count && !bytes)
            break;
        c->bytes += bytes;
        c->count++;
    }
    return c->count > 1;
}

/* --- how far each kernel runs ---------------------------------------------------------------- */

/* The fewest iterations of p, at least `least`, behind which all is stored that iterations up to
 * `end` of the reader load. */
static int64_t needed(const Part *p, const Part *reader, int64_t end, int64_t least) {
    for (uint32_t i = 0; i < p->step->buffer_count; i++) {
        const uint32_t buffer = p->step->buffers[i];
        if (!lt_band_is_output(p, i))
            continue;
        const Elements loads = lt_band_elements(reader, buffer, false, 0, end);
        int64_t hi = loads.lo > loads.hi ? least : p->extent;
        while (least < hi) {
            const int64_t middle = least + (hi - least) / 2;
            if (lt_band_elements(p, buffer, true, middle, p->extent).lo > loads.hi)
                hi = middle;
            else
                least = middle + 1;
        }
    }
    return least;
}

/* The most iterations of the last part that need no more of the others than `end` do. */
static int64_t as_far(const Chain *c, int64_t end) {
    const Part *last = &c->parts[c->count - 1];
    int64_t farthest = last->extent;
    for (const Part *p = c->parts; p < last; p++) {
        const int64_t enough = needed(p, last, end, 0);
        int64_t lo = end, hi = farthest;
        while (lo < hi) {
            const int64_t middle = lo + (hi - lo + 1) / 2;
            if (needed(p, last, middle, 0) > enough)
                hi = middle - 1;
            else
                lo = middle;
        }
        farthest = lo;
    }
    return farthest;
}

/* Fills in the ends of a band whose last part runs up to `end`. */
static void add_band(Chain *c, int64_t end) {
    const int band = c->bands++;
    int64_t *ends = c->ends[band];
    ends[c->count - 1] = end;
    for (int i = c->count - 2; i >= 0; i--) {
        ends[i] = lt_band_begin(c, band, i);
        for (int j = i + 1; j < c->count; j++)
            ends[i] = needed(&c->parts[i], &c->parts[j], ends[j], ends[i]);
    }
}

/* False where bands do not pay: there are too few, or the first one is most of it. */
static bool find_bands(const Bands *b, Chain *c) {
    const int64_t room = b->ctx->target->l2_bytes / 2;
    const int64_t extent = c->parts[c->count - 1].extent;
    int64_t wanted = (c->bytes + room - 1) / room;
    wanted = wanted < extent ? wanted : extent;
    wanted = wanted < MOST_BANDS ? wanted : MOST_BANDS;
    c->bands = 0;
    for (int64_t i = 1, done = 0; i <= wanted; i++) {
        const int64_t end = extent * i / wanted;
        if (end <= done)
            continue;
        done = as_far(c, end);
        add_band(c, done);
    }
    for (int i = 0; i < c->count && c->bands; i++)
        c->ends[c->bands - 1][i] = c->parts[i].extent;
    return c->bands >= LEAST_BANDS && 2 * c->ends[0][0] <= c->parts[0].extent;
}

/* --- memory ---------------------------------------------------------------------------------- */

/* Bytes in the arena of what lives in some of these steps, where sizes are known. */
static int64_t live_bytes(const Program *p, uint32_t first, uint32_t last) {
    int64_t bytes = 0;
    for (uint32_t i = 0; i < p->buffers.len; i++) {
        const ProgramBuffer *b = &p->buffers.data[i];
        const bool is_live =
            b->place == PLACE_ARENA && b->first_step <= last && b->last_step >= first;
        const int64_t size = is_live ? lt_band_bytes(p, i) : 0;
        bytes += size > 0 ? size : 0;
    }
    return bytes;
}

/* What a result saves that takes the place of an operand which dies. */
static int64_t bytes_in_place(const Program *p, uint32_t step) {
    const Step *s = &p->steps.data[step];
    if (s->kind != STEP_LAUNCH)
        return 0;
    for (uint32_t i = 0; i < s->buffer_count && i < 64; i++) {
        const ProgramBuffer *operand = &p->buffers.data[s->buffers[i]];
        if ((p->kernels.data[s->kernel]->in_place >> i & 1) && operand->place == PLACE_ARENA &&
            operand->last_step == step)
            return lt_band_bytes(p, s->buffers[i]);
    }
    return 0;
}

static int64_t peak_bytes(const Program *p) {
    int64_t peak = 0;
    for (uint32_t i = 0; i < p->steps.len; i++) {
        const int64_t bytes = live_bytes(p, i, i) - bytes_in_place(p, i);
        peak = bytes > peak ? bytes : peak;
    }
    return peak;
}

/* In bands, all that the chain touches lives at once, but each buffer between is a ring. */
static bool fits_memory(const Bands *b, Chain *c) {
    const Program *p = b->program;
    lt_band_find_rings(b->ctx, c);
    int64_t bytes = live_bytes(p, c->first, c->first + (uint32_t)c->count - 1);
    for (int i = 0; i < c->ring_count; i++) {
        const Ring *ring = &c->rings[i];
        const DType dtype = p->buffers.data[ring->buffer].type->dtype;
        bytes += ring->elements * (int64_t)lt_dtype_size(dtype) - lt_band_bytes(p, ring->buffer);
    }
    return c->ring_count >= c->count - 1 && bytes <= b->peak;
}

/* The longest chain from this step on for which bands pay. */
static bool choose_chain(const Bands *b, uint32_t first, Chain *c) {
    if (!find_chain(b, first, c))
        return false;
    while (c->count > 1 && !(find_bands(b, c) && fits_memory(b, c))) {
        c->bytes -= handed_on(b, &c->parts[c->count - 2], &c->parts[c->count - 1]);
        c->count--;
    }
    return c->count > 1;
}

/* --- launches -------------------------------------------------------------------------------- */

/* The kernel runs [first, first + length), which become arguments:
 *   parallel i in N { body }  =>  parallel i in length { let at = first + i; body } */
static void give_range(Kernel *k) {
    Stmt *loop = k->body;
    const int64_t extent = loop->u.loop.extent->value;
    const Dim *first = lt_kernel_int(k, "first", 0, extent - 1);
    const Dim *length = lt_kernel_int(k, "length", 0, extent);
    const Dim *i = lt_kernel_loop_var(k, "i", length);
    lt_dim_set_range(&k->dims, i, 0, extent - 1);
    Stmt *at = lt_stmt_let(k, loop->u.loop.var, lt_expr_index(k, lt_dim_add(&k->dims, first, i)));
    at->next = loop->u.loop.body;
    loop->u.loop.var = i;
    loop->u.loop.extent = length;
    loop->u.loop.body = at;
}

/* The number of this kernel or of an equal one. */
static uint32_t add_kernel(Bands *b, Kernel *k) {
    Str text;
    lt_str_init(&text, b->ctx->scratch);
    lt_kernel_print(&text, k, false);
    const uintptr_t known = (uintptr_t)lt_strmap_get(&b->kernels, text.text);
    if (known)
        return (uint32_t)known - 1;
    k->name = lt_arena_printf(k->arena, "%s_band%zu", k->name, b->kernels.len);
    lt_vec_push(b->program->arena, &b->program->kernels, k);
    lt_strmap_set(&b->kernels, text.text, (void *)(uintptr_t)b->program->kernels.len);
    return (uint32_t)b->program->kernels.len - 1;
}

static Step launch_of(Bands *b, const Part *p, uint32_t kernel, int64_t begin, int64_t end) {
    DimTable *t = &b->program->module->dims;
    Step s = *p->step;
    const Dim **ints = LT_ARRAY(b->program->arena, const Dim *, s.int_count + 2);
    memcpy(ints, s.ints, s.int_count * sizeof *ints);
    ints[s.int_count] = lt_dim_const(t, begin);
    ints[s.int_count + 1] = s.count = lt_dim_const(t, end - begin);
    s.ints = ints;
    s.int_count += 2;
    s.kernel = kernel;
    return s;
}

static void push_step(Bands *b, uint32_t old, bool is_first, Step s) {
    if (is_first)
        b->begins[old] = (uint32_t)b->steps.len;
    b->ends[old] = (uint32_t)b->steps.len;
    lt_vec_push(b->ctx->scratch, &b->steps, s);
}

static void push_chain(Bands *b, Chain *c) {
    uint32_t kernels[MOST_PARTS];
    for (int i = 0; i < c->count; i++)
        c->parts[i].kernel = lt_kernel_copy(c->parts[i].kernel);
    lt_band_make_rings(b->ctx, c);
    for (int i = 0; i < c->count; i++) {
        give_range(c->parts[i].kernel);
        kernels[i] = add_kernel(b, c->parts[i].kernel);
    }
    for (int band = 0; band < c->bands; band++)
        for (int i = 0; i < c->count; i++) {
            const int64_t begin = lt_band_begin(c, band, i), end = c->ends[band][i];
            if (begin < end)
                push_step(b, c->first + (uint32_t)i, begin == 0,
                          launch_of(b, &c->parts[i], kernels[i], begin, end));
        }
    lt_remark(&b->program->module->diags, c->parts[c->count - 1].step->loc,
              "bands: %d kernels take turns in %d bands: what they hand on, %lld bytes, stays in "
              "the cache",
              c->count, c->bands, (long long)c->bytes);
}

/* --- the pass -------------------------------------------------------------------------------- */

/* The new steps, and the kernels that they launch. */
static void take_over(Bands *b) {
    Program *p = b->program;
    uint32_t *number = LT_ARRAY(b->ctx->scratch, uint32_t, p->kernels.len + 1), count = 0;
    for (size_t i = 0; i < p->buffers.len; i++) {
        ProgramBuffer *buffer = &p->buffers.data[i];
        if (buffer->place != PLACE_ARENA)
            continue;
        buffer->first_step = b->begins[buffer->first_step];
        buffer->last_step = b->ends[buffer->last_step];
    }
    p->steps.len = 0;
    for (size_t i = 0; i < b->steps.len; i++) {
        lt_vec_push(p->arena, &p->steps, b->steps.data[i]);
        if (b->steps.data[i].kind == STEP_LAUNCH)
            number[b->steps.data[i].kernel] = 1;
    }
    for (size_t i = 0; i < p->kernels.len; i++)
        if (number[i]) {
            p->kernels.data[count] = p->kernels.data[i];
            number[i] = count++;
        }
    p->kernels.len = count;
    for (size_t i = 0; i < p->steps.len; i++)
        if (p->steps.data[i].kind == STEP_LAUNCH)
            p->steps.data[i].kernel = number[p->steps.data[i].kernel];
}

bool lt_pass_bands(PassContext *ctx) {
    Bands b = {.ctx = ctx, .program = ctx->program};
    const uint32_t count = (uint32_t)b.program->steps.len;
    if (lt_target_is_gpu(ctx->target))
        return false;
    b.peak = peak_bytes(b.program);
    lt_map_init(&b.kernels, ctx->scratch);
    b.begins = LT_ARRAY(ctx->scratch, uint32_t, count + 1);
    b.ends = LT_ARRAY(ctx->scratch, uint32_t, count + 1);
    Chain *chain = LT_NEW(ctx->scratch, Chain);
    for (uint32_t i = 0; i < count;) {
        if (choose_chain(&b, i, chain)) {
            push_chain(&b, chain);
            i += (uint32_t)chain->count;
        } else {
            push_step(&b, i, true, b.program->steps.data[i]);
            i++;
        }
    }
    if (b.steps.len == count)
        return false;
    take_over(&b);
    return true;
}
