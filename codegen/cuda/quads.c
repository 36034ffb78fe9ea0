/* quads.c - products on tensor cores of sm_70: a loop of kind LOOP_MMA over 16 of the fold, as
 * codegen/cuda/mma.c has them, of f16 alone, whose rows and columns are those that four
 * mma.m8n8k4 at once leave to thread l of a warp; see ir/schedule_quads.c. It becomes
 *
 *   multiply_in_quads<false, true>(tile, a, row, b, column, k);
 *
 * Any other nest is written as the loops that it is. */
#include "codegen/cuda/cuda.h"

enum { FOLD = 16, WARP = 32 };

typedef struct Factor {
    const Expr *load;
    const Dim *own, *first, *fold; /* the warp's first position, and element of the fold */
    int64_t count;
    bool is_row, is_by_fold; /* [.., fold, position] */
} Factor;

typedef struct Quads {
    Writer *w;
    const Dim *k, *thread;
    const Buffer *tile;
    Factor factors[2];
} Quads;

static const Stmt *only_loop(const Stmt *s) {
    return s && !s->next && s->kind == STMT_FOR && s->u.loop.kind == LOOP_UNROLL ? s : NULL;
}

/* d where the warp begins. */
static const Dim *of_warp(Quads *q, const Dim *d, const Dim *own) {
    DimTable *t = &q->w->dims;
    const Dim **by = LT_ARRAY(q->w->arena, const Dim *, t->symbols.len);
    const Dim *n = lt_dim_const(t, WARP);
    by[own->symbol] = lt_dim_const(t, 0);
    by[q->k->symbol] = lt_dim_const(t, 0);
    by[q->thread->symbol] = lt_dim_mul(t, lt_dim_floordiv(t, q->thread, n), n);
    return lt_dim_substitute(t, d, by);
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
            if (lt_dim_eval(place, at) != lt_dim_eval(f->first, at) + offset_of(f, t % WARP, own))
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
    f->is_by_fold = lt_dim_mentions(index[0], q->k);
    const Dim *fold = index[!f->is_by_fold], *place = index[f->is_by_fold];
    f->first = of_warp(q, place, f->own);
    f->fold = of_warp(q, fold, f->own);
    return fold == lt_dim_add(&q->w->dims, f->fold, q->k) && !lt_dim_mentions(place, q->k) &&
           is_placed(q, f, place);
}

static bool read_nest(Quads *q, const Stmt *loop) {
    const Stmt *rows = only_loop(loop->u.loop.body);
    const Stmt *columns = rows ? only_loop(rows->u.loop.body) : NULL;
    const Stmt *s = columns ? columns->u.loop.body : NULL;
    const Expr *value = s && s->kind == STMT_STORE ? s->u.store.value : NULL;
    if (!value || s->next || !q->w->thread_loop || !lt_dim_is(loop->u.loop.extent, FOLD) ||
        value->kind != EXPR_CALL || value->u.call.fn != FN_FMA || value->dtype != DT_F32)
        return false;
    const Expr *const *args = value->u.call.args;
    const Dim *const *index = s->u.store.index;
    q->k = loop->u.loop.var;
    q->thread = q->w->thread_loop->u.loop.var;
    q->tile = s->u.store.buffer;
    q->factors[0] =
        (Factor){.own = rows->u.loop.var, .count = rows->u.loop.extent->value, .is_row = true};
    q->factors[1] = (Factor){.own = columns->u.loop.var, .count = columns->u.loop.extent->value};
    return q->tile->rank == 2 && lt_buffer_is_private(q->tile) && q->factors[0].count % 2 == 0 &&
           q->factors[1].count % 4 == 0 && index[0] == q->factors[0].own &&
           index[1] == q->factors[1].own && args[2]->kind == EXPR_LOAD &&
           args[2]->u.load.buffer == q->tile && args[2]->u.load.index[0] == index[0] &&
           args[2]->u.load.index[1] == index[1] && !args[2]->u.load.predicate &&
           read_factor(q, &q->factors[0], args[0]) && read_factor(q, &q->factors[1], args[1]) &&
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
                 q.factors[1].is_by_fold ? "true" : "false", w->buffers[q.tile->index], words[0],
                 words[1], lt_cuda_dim(w, q.factors[0].fold).text);
    return true;
}
