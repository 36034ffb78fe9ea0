/* wgmma.c - products that four warps add up out of shared memory: a loop of kind LOOP_WGMMA, when
 * it reads
 *
 *   wgmma k in 64 { unroll i in 2 { unroll j in N / 4 {
 *     tile[i, j] = fma(f32(a[row, k]), f32(b[k, column]), tile[i, j])
 *   } } }
 *
 * where a and b are f16 or bf16 in swizzled shared memory, in blocks of 64 x 64: [row / 64, row %
 * 64, k], or [row / 64, k, row % 64], and row and column are those that wgmma.m64nNk16 leaves to
 * thread t: row 16 * (t / 32) + 8 * i + t % 32 / 4, column 8 * (j / 2) + j % 2 + 2 * (t % 4). It
 * becomes
 *
 *   wgmmahalf128<false, true>(tile, &a[t / 128], b);
 *
 * Any other nest is written as the loops that it is. */
#include "codegen/cuda/cuda.h"

enum { BLOCK = 64, FOLD = 16, WARP = 32, WARPGROUP = 128 };

typedef struct Factor {
    const Expr *load;
    const Dim *own; /* the loop over a thread's rows, or columns */
    int64_t count;
    bool is_row, is_by_fold; /* [.., k, position] */
} Factor;

typedef struct Wgmma {
    Writer *w;
    const Dim *k, *thread;
    const Buffer *tile;
    Factor factors[2];
} Wgmma;

static const Stmt *only_loop(const Stmt *s) {
    return s && !s->next && s->kind == STMT_FOR && s->u.loop.kind == LOOP_UNROLL ? s : NULL;
}

static const Stmt *only_store(const Stmt *loop) {
    const Stmt *rows = only_loop(loop->u.loop.body);
    const Stmt *columns = rows ? only_loop(rows->u.loop.body) : NULL;
    const Stmt *s = columns ? columns->u.loop.body : NULL;
    return s && !s->next && s->kind == STMT_STORE ? s : NULL;
}

const Buffer *lt_cuda_product_tile(const Stmt *list) {
    const Buffer *found = NULL;
    for (const Stmt *s = list; s && !found; s = s->next) {
        if (s->kind == STMT_FOR && s->u.loop.kind == LOOP_WGMMA)
            found = only_store(s) ? only_store(s)->u.store.buffer : NULL;
        else if (s->kind == STMT_FOR)
            found = lt_cuda_product_tile(s->u.loop.body);
    }
    return found;
}

/* What the instruction leaves to thread t. */
static int64_t position_of(const Factor *f, int64_t t, int64_t own) {
    const int64_t row = 16 * (t / WARP) + 8 * own + t % WARP / 4;
    return f->is_row ? row : 8 * (own / 2) + own % 2 + 2 * (t % 4);
}

static bool mentions_others(const Wgmma *m, const Factor *f, const Dim *d) {
    const DimTable *t = &m->w->dims;
    for (size_t i = 0; i < t->symbols.len; i++) {
        const Dim *symbol = t->symbols.data[i].dim;
        if (symbol != m->thread && symbol != f->own && lt_dim_mentions(d, symbol))
            return true;
    }
    return false;
}

/* Whether block and line say the positions of all threads. */
static bool is_placed(Wgmma *m, const Factor *f, const Dim *block, const Dim *line) {
    if (mentions_others(m, f, block) || mentions_others(m, f, line))
        return false;
    int64_t *at = LT_ARRAY(m->w->arena, int64_t, m->w->dims.symbols.len);
    for (int64_t t = 0; t < m->w->threads; t++) {
        for (int64_t own = 0; own < f->count; own++) {
            at[m->thread->symbol] = t;
            at[f->own->symbol] = own;
            const int64_t position = position_of(f, t, own);
            if (lt_dim_eval(block, at) != position / BLOCK ||
                lt_dim_eval(line, at) != position % BLOCK)
                return false;
        }
    }
    return true;
}

static bool read_factor(Wgmma *m, Factor *f, const Expr *e) {
    const Expr *load = e->kind == EXPR_CONVERT && e->dtype == DT_F32 ? e->u.call.args[0] : NULL;
    if (!load || load->kind != EXPR_LOAD || load->u.load.predicate ||
        !load->u.load.buffer->is_swizzled || load->u.load.buffer->rank < 3 ||
        (load->dtype != DT_F16 && load->dtype != DT_BF16))
        return false;
    const Buffer *b = load->u.load.buffer;
    const int outer = b->rank - 3; /* axes around the blocks */
    const Dim *const *index = load->u.load.index;
    for (int i = 0; i < outer; i++)
        if (lt_dim_mentions(index[i], m->k) || lt_dim_mentions(index[i], m->thread) ||
            lt_dim_mentions(index[i], f->own))
            return false;
    f->load = load;
    f->is_by_fold = index[outer + 1] == m->k;
    return index[outer + 2 - f->is_by_fold] == m->k && lt_dim_is(b->dims[outer + 1], BLOCK) &&
           lt_dim_is(b->dims[outer + 2], BLOCK) &&
           is_placed(m, f, index[outer], index[outer + 1 + f->is_by_fold]);
}

static bool read_nest(Wgmma *m, const Stmt *loop) {
    const Stmt *s = only_store(loop);
    if (!s || !m->w->thread_loop || !lt_dim_is(loop->u.loop.extent, BLOCK) ||
        m->w->threads % WARPGROUP)
        return false;
    const Stmt *rows = loop->u.loop.body, *columns = rows->u.loop.body;
    const int64_t count = columns->u.loop.extent->value;
    const Expr *value = s->u.store.value;
    m->k = loop->u.loop.var;
    m->thread = m->w->thread_loop->u.loop.var;
    m->tile = s->u.store.buffer;
    m->factors[0] = (Factor){.own = rows->u.loop.var, .count = 2, .is_row = true};
    m->factors[1] = (Factor){.own = columns->u.loop.var, .count = count};
    if (!lt_dim_is(rows->u.loop.extent, 2) || (count != 16 && count != 32 && count != 64) ||
        m->tile->rank != 2 || m->tile->dtype != DT_F32 || !lt_buffer_is_private(m->tile) ||
        !lt_dim_is(m->tile->dims[1], count) || s->u.store.index[0] != rows->u.loop.var ||
        s->u.store.index[1] != columns->u.loop.var || value->kind != EXPR_CALL ||
        value->u.call.fn != FN_FMA)
        return false;
    const Expr *const *args = value->u.call.args;
    return args[2]->kind == EXPR_LOAD && args[2]->u.load.buffer == m->tile &&
           args[2]->u.load.index[0] == s->u.store.index[0] &&
           args[2]->u.load.index[1] == s->u.store.index[1] && !args[2]->u.load.predicate &&
           read_factor(m, &m->factors[0], args[0]) && read_factor(m, &m->factors[1], args[1]) &&
           m->factors[0].load->dtype == m->factors[1].load->dtype;
}

/* The blocks of a factor's part. */
static const char *blocks(Wgmma *m, const Factor *f) {
    const Buffer *b = f->load->u.load.buffer;
    const char *text = m->w->buffers[b->index];
    for (int i = 0; i + 3 < b->rank; i++)
        text = lt_arena_printf(m->w->arena, "%s[%s]", text,
                               lt_cuda_dim(m->w, f->load->u.load.index[i]).text);
    if (f->is_row && m->w->threads > WARPGROUP)
        text = lt_arena_printf(m->w->arena, "&%s[%s / %d]", text, m->w->thread, WARPGROUP);
    return text;
}

bool lt_cuda_wgmma(Writer *w, const Stmt *loop) {
    Wgmma m = {.w = w};
    if (loop->u.loop.kind != LOOP_WGMMA || !read_nest(&m, loop))
        return false;
    const char *a = blocks(&m, &m.factors[0]), *b = blocks(&m, &m.factors[1]);
    lt_cuda_line(w, "%s%lld<%s, %s>(%s, %s, %s);",
                 m.factors[0].load->dtype == DT_F16 ? "wgmmahalf" : "wgmmabf16",
                 (long long)(4 * m.factors[1].count), m.factors[0].is_by_fold ? "true" : "false",
                 m.factors[1].is_by_fold ? "true" : "false", w->buffers[m.tile->index], a, b);
    return true;
}
