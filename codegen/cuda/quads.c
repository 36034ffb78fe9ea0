/* quads.c - products on tensor cores of sm_70: a loop of kind LOOP_MMA over 16 of the fold, as
 * codegen/cuda/mma.c has them, of f16 alone, whose rows and columns are those that four
 * mma.m8n8k4 at once leave to thread l of a warp; see ir/schedule_quads.c. It becomes
 *
 *   multiply_in_quads<false, true>(tile, a, row, b, column, k);
 *
 * Any other nest is written as the loops that it is. */
#include "codegen/cuda/cuda.h"

enum { FOLD = 16 };

typedef struct Factor {
    const Expr *load;
    const Dim *own, *first, *fold; /* the warp's first position, and element of the fold */
    int64_t count;
    bool is_row, is_by_fold; /* [.., fold, position] */
} Factor;

typedef struct Quads {
    Writer *w;
    ProductNest nest;
    const Dim *thread;
    Factor factors[2];
} Quads;

/* d where the warp, its own elements and the fold begin. */
static const Dim *of_warp(Quads *q, const Dim *d, const Dim *own) {
    d = lt_cuda_at(q->w, lt_cuda_at(q->w, d, own, 0), q->nest.k, 0);
    return lt_cuda_at_warp(q->w, d);
}

/* From the warp's first on. */
static int64_t offset_of(const Factor *f, int64_t l, int64_t own) {
    return f->is_row
               ? 16 * (own / 2) + 2 * (own % 2) + l % 2 + 4 * (l / 16) + 8 * (l / 8 % 2)
               : 16 * (own / 4) + 4 * (own / 2 % 2) + own % 2 + l / 2 % 2 * 2 + 8 * (l / 4 % 2);
}

/* Whether `place` says the positions of all threads; what else it mentions stands still. */
static bool is_placed(Quads *q, const Factor *f, const Dim *place) {
    int64_t *at = LT_ARRAY(q->w->arena, int64_t, q->w->dims.symbols.len);
    for (int64_t t = 0; t < q->w->threads; t++) {
        for (int64_t own = 0; own < f->count; own++) {
            at[q->thread->symbol] = t;
            at[f->own->symbol] = own;
            if (lt_dim_eval(place, at) !=
                lt_dim_eval(f->first, at) + offset_of(f, t % LT_WARP, own))
                return false;
        }
    }
    return true;
}

static bool read_factor(Quads *q, Factor *f, const Expr *e) {
    const Expr *load = e->kind == EXPR_CONVERT && e->dtype == DT_F32 ? e->u.call.args[0] : NULL;
    if (!load || load->kind != EXPR_LOAD || load->u.load.predicate || load->dtype != DT_F16 ||
        load->u.load.buffer->kind != BUFFER_SHARED || load->u.load.buffer->rank != 2)
        return false;
    const Dim *const *index = load->u.load.index;
    f->load = load;
    f->is_by_fold = lt_dim_mentions(index[0], q->nest.k);
    const Dim *fold = index[!f->is_by_fold], *place = index[f->is_by_fold];
    f->first = of_warp(q, place, f->own);
    f->fold = of_warp(q, fold, f->own);
    return fold == lt_dim_add(&q->w->dims, f->fold, q->nest.k) &&
           !lt_dim_mentions(place, q->nest.k) && is_placed(q, f, place);
}

static bool read_nest(Quads *q, const Stmt *loop) {
    const ProductNest *nest = &q->nest;
    if (!lt_cuda_read_product(loop, &q->nest) || !q->w->thread_loop ||
        !lt_dim_is(loop->u.loop.extent, FOLD) || nest->tile->dtype != DT_F32 || nest->rows % 2 ||
        nest->columns % 4)
        return false;
    q->thread = q->w->thread_loop->u.loop.var;
    q->factors[0] = (Factor){.own = nest->i, .count = nest->rows, .is_row = true};
    q->factors[1] = (Factor){.own = nest->j, .count = nest->columns};
    return read_factor(q, &q->factors[0], nest->factors[0]) &&
           read_factor(q, &q->factors[1], nest->factors[1]) &&
           q->factors[0].fold == q->factors[1].fold;
}

bool lt_cuda_quads(Writer *w, const Stmt *loop) {
    Quads q = {.w = w};
    if (loop->u.loop.kind != LOOP_MMA || !read_nest(&q, loop))
        return false;
    const char *words[2];
    for (int i = 0; i < 2; i++) {
        const Buffer *b = q.factors[i].load->u.load.buffer;
        words[i] = lt_arena_printf(w->arena, "%s, %s", w->buffers[b->index],
                                   lt_cuda_dim(w, q.factors[i].first).text);
    }
    lt_cuda_line(w, "multiply_in_quads<%s, %s>(%s, %s, %s, %s);",
                 q.factors[0].is_by_fold ? "true" : "false",
                 q.factors[1].is_by_fold ? "true" : "false", w->buffers[q.nest.tile->index],
                 words[0], words[1], lt_cuda_dim(w, q.factors[0].fold).text);
    return true;
}
