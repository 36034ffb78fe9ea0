/* bands_ring.c - memory for some rows of what kernels that take turns hand on.
 *
 *   launch expand(%0, %1; 0, 6)     with %1: f32[112, 112, 96], of which 20 rows are needed at once
 *   launch depthwise(%1, %2; 0, 7)  =>  %1: f32[20, 112, 96]; row y is in place y mod 20
 *
 * So the rows that a band writes are in the cache, and nothing of them goes to memory. A ring is
 * a multiple of what kernels go through in one step, where the remainder is then a single number
 * for a whole tile. */
#include "ir/schedule.h"
#include "passes/bands.h"

/* --- how many rows --------------------------------------------------------------------------- */

static bool is_private(const PassContext *ctx, const Chain *c, uint32_t buffer) {
    const Program *p = ctx->program;
    if (p->buffers.data[buffer].place != PLACE_ARENA)
        return false;
    for (uint32_t i = 0; i < p->steps.len; i++)
        for (uint32_t j = 0; j < p->steps.data[i].buffer_count; j++)
            if (p->steps.data[i].buffers[j] == buffer &&
                (i < c->first || i >= c->first + (uint32_t)c->count))
                return false;
    return true;
}

/* The most elements, of `total`, between the first that is still to be read and the last that is
 * written, while part i runs. */
static int64_t window_of(const Chain *c, int i, uint32_t buffer, int64_t total) {
    int64_t most = 0;
    for (int band = 0; band < c->bands; band++) {
        const Part *writer = &c->parts[i];
        int64_t first = INT64_MAX;
        for (int j = i + 1; j < c->count; j++) {
            const Part *reader = &c->parts[j];
            const Elements e =
                lt_band_elements(reader, buffer, false, lt_band_begin(c, band, j), reader->extent);
            first = e.lo < first ? e.lo : first;
        }
        const Elements e = lt_band_elements(writer, buffer, true, 0, c->ends[band][i]);
        const int64_t last = e.hi < total ? e.hi : total - 1; /* indices may have no bounds */
        first = first < 0 ? 0 : first;
        if (e.lo <= e.hi && last - first + 1 > most)
            most = last - first + 1;
    }
    return most;
}

/* The axis of rows: the first one that is longer than 1; -1: there is none. */
static int row_axis(const Buffer *b) {
    for (int i = 0; i < b->rank; i++)
        if (!lt_dim_is_const(b->dims[i]))
            return -1;
    for (int i = 0; i < b->rank; i++)
        if (!lt_dim_is(b->dims[i], 1))
            return i;
    return -1;
}

static int64_t row_elements(const Buffer *b) {
    int64_t elements = 1;
    for (int i = row_axis(b) + 1; i < b->rank; i++)
        elements *= b->dims[i]->value;
    return elements;
}

typedef struct RowUse {
    const Buffer *buffer;
    const Dim *var;
    bool found;
} RowUse;

static void find_row_use(void *user, const Buffer *buffer, const Dim *const *index, bool stores) {
    RowUse *use = user;
    (void)stores;
    if (buffer == use->buffer && lt_dim_mentions(index[row_axis(buffer)], use->var))
        use->found = true;
}

/* Rows that loops without a counter go through at once. */
static int64_t rows_at_once(const Buffer *b, const Stmt *list) {
    int64_t rows = 1;
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_IF) {
            const int64_t inner = rows_at_once(b, s->u.branch.body);
            rows = inner > rows ? inner : rows;
        }
        if (s->kind != STMT_FOR)
            continue;
        int64_t inner = rows_at_once(b, s->u.loop.body);
        RowUse use = {b, s->u.loop.var, false};
        if (s->u.loop.kind == LOOP_UNROLL || s->u.loop.kind == LOOP_VECTOR)
            lt_each_access(s->u.loop.body, find_row_use, &use);
        inner *= use.found ? s->u.loop.extent->value : 1;
        rows = inner > rows ? inner : rows;
    }
    return rows;
}

static int64_t lcm(int64_t a, int64_t b) { return a / lt_dim_gcd(a, b) * b; }

/* Elements that every part's steps divide; 0: there is no such number of a useful size. */
static int64_t unit_of(const Chain *c, uint32_t buffer, int64_t most) {
    int64_t unit = 1;
    for (int i = 0; i < c->count; i++) {
        const Part *p = &c->parts[i];
        for (uint32_t j = 0; j < p->step->buffer_count; j++) {
            const Buffer *b = p->kernel->buffers.data[j];
            if (p->step->buffers[j] != buffer)
                continue;
            if (row_axis(b) < 0)
                return 0;
            unit = lcm(unit, row_elements(b) * rows_at_once(b, p->kernel->body));
            if (unit > most)
                return 0;
        }
    }
    return unit;
}

/* Elements of the ring; 0: it would not be much smaller than all of them. */
static int64_t ring_elements(const PassContext *ctx, const Chain *c, int i, uint32_t buffer) {
    const Type *type = ctx->program->buffers.data[buffer].type;
    const int64_t total = lt_band_bytes(ctx->program, buffer) / (int64_t)lt_dtype_size(type->dtype);
    const int64_t unit =
        is_private(ctx, c, buffer) && total > 0 ? unit_of(c, buffer, total / 2) : 0;
    if (!unit)
        return 0;
    const int64_t elements = (window_of(c, i, buffer, total) + unit - 1) / unit * unit;
    return elements <= total / 4 * 3 ? elements : 0;
}

void lt_band_find_rings(const PassContext *ctx, Chain *c) {
    c->ring_count = 0;
    for (int i = 0; i + 1 < c->count; i++) {
        const Part *p = &c->parts[i];
        for (uint32_t j = 0; j < p->step->buffer_count && c->ring_count < MOST_PARTS; j++) {
            const uint32_t buffer = p->step->buffers[j];
            const int64_t elements = lt_band_is_output(p, j) ? ring_elements(ctx, c, i, buffer) : 0;
            if (elements)
                c->rings[c->ring_count++] = (Ring){buffer, elements};
        }
    }
}

/* --- rewriting ------------------------------------------------------------------------------- */

typedef struct Rewrite {
    Kernel *kernel;
    const Buffer *buffer;
    const Dim *rows;
} Rewrite;

static const Dim *const *wrapped(const Rewrite *r, const Dim *const *index) {
    const int axis = row_axis(r->buffer), rank = r->buffer->rank;
    const Dim **out = lt_arena_copy(r->kernel->arena, index, (size_t)rank * sizeof *out);
    out[axis] = lt_dim_mod(&r->kernel->dims, index[axis], r->rows);
    return out;
}

static const Expr *wrap_load(Kernel *k, const Expr *e, void *user) {
    const Rewrite *r = user;
    return e->kind == EXPR_LOAD && e->u.load.buffer == r->buffer
               ? lt_expr_load(k, r->buffer, wrapped(r, e->u.load.index), e->u.load.predicate)
               : e;
}

static void wrap_stores(const Rewrite *r, Stmt *list) {
    for (Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_FOR) {
            wrap_stores(r, s->u.loop.body);
        } else if (s->kind == STMT_IF) {
            wrap_stores(r, s->u.branch.body);
            wrap_stores(r, s->u.branch.otherwise);
        } else if (s->kind == STMT_STORE && s->u.store.buffer == r->buffer) {
            s->u.store.index = wrapped(r, s->u.store.index);
        } else if (s->kind == STMT_PREFETCH && s->u.prefetch.buffer == r->buffer) {
            s->u.prefetch.index = wrapped(r, s->u.prefetch.index);
        }
    }
}

static void wrap_buffer(Kernel *k, Buffer *b, const Ring *ring) {
    const int axis = row_axis(b);
    Rewrite r = {k, b, lt_dim_const(&k->dims, ring->elements / row_elements(b))};
    lt_stmt_map(k, k->body, wrap_load, &r);
    wrap_stores(&r, k->body);
    const Dim **dims = lt_arena_copy(k->arena, b->dims, (size_t)b->rank * sizeof *dims);
    dims[axis] = r.rows;
    b->dims = dims;
    k->in_place = 0;
}

static void make_ring(PassContext *ctx, const Chain *c, const Ring *ring) {
    ProgramBuffer *buffer = &ctx->program->buffers.data[ring->buffer];
    const DType dtype = buffer->type->dtype;
    buffer->type = lt_type_static(ctx->module, dtype, 1, &ring->elements);
    buffer->bytes =
        lt_dim_const(&ctx->module->dims, ring->elements * (int64_t)lt_dtype_size(dtype));
    for (int i = 0; i < c->count; i++) {
        const Part *p = &c->parts[i];
        for (uint32_t j = 0; j < p->step->buffer_count; j++)
            if (p->step->buffers[j] == ring->buffer)
                wrap_buffer(p->kernel, p->kernel->buffers.data[j], ring);
    }
}

void lt_band_make_rings(PassContext *ctx, Chain *c) {
    for (int i = 0; i < c->ring_count; i++)
        make_ring(ctx, c, &c->rings[i]);
}
