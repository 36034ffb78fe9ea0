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

enum { BLOCK = 64, WARPGROUP = 128 };

typedef struct Factor {
    const Expr *load;
    const Dim *own; /* the loop over a thread's rows, or columns */
    int64_t count;
    bool is_row, is_by_fold; /* [.., k, position] */
} Factor;

typedef struct Wgmma {
    Writer *w;
    ProductNest nest;
    const Dim *thread;
    Factor factors[2];
} Wgmma;

const Buffer *lt_cuda_product_tile(const Stmt *list) {
    const Buffer *found = NULL;
    for (const Stmt *s = list; s && !found; s = s->next) {
        ProductNest nest;
        if (s->kind == STMT_FOR && s->u.loop.kind == LOOP_WGMMA)
            found = lt_cuda_read_product(s, &nest) ? nest.tile : NULL;
        else if (s->kind == STMT_FOR)
            found = lt_cuda_product_tile(s->u.loop.body);
    }
    return found;
}

/* What the instruction leaves to thread t. */
static int64_t position_of(const Factor *f, int64_t t, int64_t own) {
    const int64_t row = 16 * (t / LT_WARP) + 8 * own + t % LT_WARP / 4;
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
        if (lt_dim_mentions(index[i], m->nest.k) || lt_dim_mentions(index[i], m->thread) ||
            lt_dim_mentions(index[i], f->own))
            return false;
    f->load = load;
    f->is_by_fold = index[outer + 1] == m->nest.k;
    return index[outer + 2 - f->is_by_fold] == m->nest.k && lt_dim_is(b->dims[outer + 1], BLOCK) &&
           lt_dim_is(b->dims[outer + 2], BLOCK) &&
           is_placed(m, f, index[outer], index[outer + 1 + f->is_by_fold]);
}

static bool read_nest(Wgmma *m, const Stmt *loop) {
    const ProductNest *nest = &m->nest;
    if (!lt_cuda_read_product(loop, &m->nest) || !m->w->thread_loop ||
        !lt_dim_is(loop->u.loop.extent, BLOCK) || m->w->threads % WARPGROUP)
        return false;
    const int64_t count = nest->columns;
    m->thread = m->w->thread_loop->u.loop.var;
    m->factors[0] = (Factor){.own = nest->i, .count = nest->rows, .is_row = true};
    m->factors[1] = (Factor){.own = nest->j, .count = count};
    return nest->rows == 2 && (count == 16 || count == 32 || count == 64) &&
           nest->tile->dtype == DT_F32 && lt_dim_is(nest->tile->dims[1], count) &&
           read_factor(m, &m->factors[0], nest->factors[0]) &&
           read_factor(m, &m->factors[1], nest->factors[1]) &&
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
                 m.factors[1].is_by_fold ? "true" : "false", w->buffers[m.nest.tile->index], a, b);
    return true;
}
