/* mma.c - products on tensor cores: a loop of kind LOOP_MMA, when it reads
 *
 *   mma k in 16 { unroll i in 2 I { unroll j in 2 J {
 *     tile[i, j] = fma(f32(a[row, k0 + k]), f32(b[k0 + k, column]), tile[i, j])
 *   } } }
 *
 * where a and b are f16 or bf16 in shared memory, either of them perhaps the other way round, and
 * row and column are those that mma.m16n8k16 leaves to a thread: of lane l,
 * row 8 * i + l / 4 and column 8 * (j / 2) + j % 2 + 2 * (l % 4) from the warp's own. It becomes
 *
 *   for i: rowtiles(rows[i], a, row + 16 * i, k0);
 *   for j: columntiles(columns[j], b, k0, column + 16 * j);
 *   for i, j: mmahalf(&tile[2 * i][2 * j], &tile[2 * i + 1][2 * j], rows[i], columns[j / 2] + ..)
 *
 * Any other nest is written as the loops that it is. */
#include "codegen/cuda/cuda.h"

enum { WARP = 32 };

typedef struct Mma {
    Writer *w;
    const Dim *k, *i, *j;  /* the loops' variables */
    int64_t rows, columns; /* tiles of 16 rows, and of 16 columns */
    const Buffer *tile, *a, *b;
    const Expr *loads[2];           /* of a and b */
    const Dim *row, *column, *fold; /* where the warp begins */
    bool is_across[2];              /* a is [k, row], b is [column, k] */
} Mma;

static const Stmt *only_loop(const Stmt *s) {
    return s && !s->next && s->kind == STMT_FOR && s->u.loop.kind == LOOP_UNROLL ? s : NULL;
}

static const Dim *at(Mma *m, const Dim *d, const Dim *symbol, const Dim *value) {
    const Dim **by = LT_ARRAY(m->w->arena, const Dim *, m->w->dims.symbols.len);
    by[symbol->symbol] = value;
    return lt_dim_substitute(&m->w->dims, d, by);
}

static const Dim *number(Mma *m, int64_t value) { return lt_dim_const(&m->w->dims, value); }

/* Where d is at the first of a warp's threads, and of the loop over `own`. */
static const Dim *of_warp(Mma *m, const Dim *d, const Dim *own) {
    DimTable *t = &m->w->dims;
    const Dim *thread = m->w->thread_loop->u.loop.var;
    const Dim *first = lt_dim_mul_const(t, lt_dim_floordiv(t, thread, number(m, WARP)), WARP);
    return at(m, at(m, d, own, number(m, 0)), thread, first);
}

/* What lane l has of the rows, and of the columns, from the warp's first on. */
static const Dim *own_row(Mma *m) {
    DimTable *t = &m->w->dims;
    const Dim *lane = lt_dim_mod(t, m->w->thread_loop->u.loop.var, number(m, WARP));
    return lt_dim_add(t, lt_dim_mul_const(t, m->i, 8), lt_dim_floordiv(t, lane, number(m, 4)));
}

static const Dim *own_column(Mma *m) {
    DimTable *t = &m->w->dims;
    const Dim *lane = lt_dim_mod(t, m->w->thread_loop->u.loop.var, number(m, WARP)),
              *two = number(m, 2);
    const Dim *pair = lt_dim_mul_const(t, lt_dim_mod(t, lane, number(m, 4)), 2);
    const Dim *tile = lt_dim_mul_const(t, lt_dim_floordiv(t, m->j, two), 8);
    return lt_dim_add(t, tile, lt_dim_add(t, lt_dim_mod(t, m->j, two), pair));
}

/* The buffer and the place of a factor. */
static const Buffer *read_factor(Mma *m, const Expr *e, const Dim *own, const Dim *wanted,
                                 const Dim **place, bool *folds_last) {
    const Expr *load = e->kind == EXPR_CONVERT && e->dtype == DT_F32 ? e->u.call.args[0] : NULL;
    if (!load || load->kind != EXPR_LOAD || load->u.load.predicate ||
        load->u.load.buffer->kind != BUFFER_SHARED || load->u.load.buffer->rank < 2 ||
        (load->dtype != DT_F16 && load->dtype != DT_BF16))
        return NULL;
    const int outer = load->u.load.buffer->rank - 2; /* axes around the two */
    const Dim *const *index = load->u.load.index + outer;
    for (int i = 0; i < outer; i++)
        if (at(m, load->u.load.index[i], m->k, number(m, 1)) != load->u.load.index[i] ||
            of_warp(m, load->u.load.index[i], own) != load->u.load.index[i])
            return NULL;
    const Dim *first = at(m, index[1], m->k, number(m, 0));
    *folds_last = first != index[1];
    const Dim *fold = index[*folds_last], *other = index[!*folds_last];
    *place = of_warp(m, other, own);
    const Dim *begin = at(m, fold, m->k, number(m, 0));
    if (m->fold && m->fold != begin)
        return NULL;
    m->fold = begin;
    DimTable *t = &m->w->dims;
    const bool is_right =
        fold == lt_dim_add(t, begin, m->k) && other == lt_dim_add(t, *place, wanted);
    m->loads[own == m->j] = load;
    return is_right ? load->u.load.buffer : NULL;
}

static bool read_nest(Mma *m, const Stmt *loop) {
    const Stmt *rows = only_loop(loop->u.loop.body);
    const Stmt *columns = rows ? only_loop(rows->u.loop.body) : NULL;
    const Stmt *s = columns ? columns->u.loop.body : NULL;
    if (!s || s->next || s->kind != STMT_STORE || !m->w->thread_loop ||
        !lt_dim_is(loop->u.loop.extent, 16) || rows->u.loop.extent->value % 2 ||
        columns->u.loop.extent->value % 4)
        return false;
    m->k = loop->u.loop.var;
    m->i = rows->u.loop.var;
    m->j = columns->u.loop.var;
    m->rows = rows->u.loop.extent->value / 2;
    m->columns = columns->u.loop.extent->value / 4;
    m->tile = s->u.store.buffer;
    const Expr *value = s->u.store.value;
    if (m->tile->rank != 2 || m->tile->dtype != DT_F32 || !lt_buffer_is_private(m->tile) ||
        s->u.store.index[0] != m->i || s->u.store.index[1] != m->j || value->kind != EXPR_CALL ||
        value->u.call.fn != FN_FMA)
        return false;
    const Expr *const *args = value->u.call.args;
    bool folds_last[2];
    m->a = read_factor(m, args[0], m->i, own_row(m), &m->row, &folds_last[0]);
    m->b = m->a ? read_factor(m, args[1], m->j, own_column(m), &m->column, &folds_last[1]) : NULL;
    m->is_across[0] = !folds_last[0];
    m->is_across[1] = m->b && folds_last[1];
    return m->b && m->a->dtype == m->b->dtype && args[2]->kind == EXPR_LOAD &&
           args[2]->u.load.buffer == m->tile && args[2]->u.load.index[0] == m->i &&
           args[2]->u.load.index[1] == m->j && !args[2]->u.load.predicate;
}

/* d + 16 * name */
static const char *shifted(Mma *m, const Dim *d, const char *name) {
    const Text base = lt_cuda_dim(m->w, d);
    return lt_dim_is(d, 0) ? lt_arena_printf(m->w->arena, "16 * %s", name)
                           : lt_arena_printf(m->w->arena, "%s + 16 * %s", base.text, name);
}

/* The part of the buffer with a factor's two axes. */
static const char *matrix(Mma *m, const Expr *load) {
    const char *text = m->w->buffers[load->u.load.buffer->index];
    lt_cuda_hint(m->w, load->u.load.buffer, load->u.load.index);
    for (int i = 0; i + 2 < load->u.load.buffer->rank; i++)
        text = lt_arena_printf(m->w->arena, "%s[%s]", text,
                               lt_cuda_dim(m->w, load->u.load.index[i]).text);
    return text;
}

static void emit_loads(Mma *m, const char *rows, const char *columns) {
    Writer *w = m->w;
    const char *fold = lt_cuda_dim(w, m->fold).text;
    const char *row = shifted(m, m->row, "i"), *column = shifted(m, m->column, "j");
    const char *left = matrix(m, m->loads[0]), *right = matrix(m, m->loads[1]);
    lt_cuda_line(w, "unsigned %s[%lld][4], %s[%lld][4];", rows, (long long)m->rows, columns,
                 (long long)m->columns);
    lt_cuda_line(w, "#pragma unroll");
    lt_cuda_line(w, "for (int i = 0; i < %lld; i++)", (long long)m->rows);
    lt_cuda_line(w, "    rowtiles<%s>(%s[i], %s, %s, %s);", m->is_across[0] ? "true" : "false",
                 rows, left, row, fold);
    lt_cuda_line(w, "#pragma unroll");
    lt_cuda_line(w, "for (int j = 0; j < %lld; j++)", (long long)m->columns);
    lt_cuda_line(w, "    columntiles<%s>(%s[j], %s, %s, %s);", m->is_across[1] ? "true" : "false",
                 columns, right, fold, column);
}

bool lt_cuda_mma(Writer *w, const Stmt *loop) {
    Mma m = {.w = w};
    if (loop->u.loop.kind != LOOP_MMA || !read_nest(&m, loop))
        return false;
    const char *rows = lt_cuda_scope_name(w, w->scope, "rows");
    const char *columns = lt_cuda_scope_name(w, w->scope, "columns");
    const char *tile = w->buffers[m.tile->index];
    emit_loads(&m, rows, columns);
    lt_cuda_line(w, "#pragma unroll");
    lt_cuda_line(w, "for (int i = 0; i < %lld; i++) {", (long long)m.rows);
    lt_cuda_line(w, "    #pragma unroll");
    lt_cuda_line(w, "    for (int j = 0; j < %lld; j++)", (long long)(2 * m.columns));
    lt_cuda_line(
        w, "        %s(&%s[2 * i][2 * j], &%s[2 * i + 1][2 * j], %s[i], &%s[j / 2][j %% 2 * 2]);",
        m.a->dtype == DT_F16 ? "mmahalf" : "mmabf16", tile, tile, rows, columns);
    lt_cuda_line(w, "}");
    return true;
}
