/* mma.c - products on tensor cores: a loop of kind LOOP_MMA, when it reads
 *
 *   mma k in 16 { unroll i in 2 I { unroll j in 4 J {
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
 * Registers hold 4 bytes of a row or column along the fold, whatever they are made of: 8 elements
 * tf32(a) of f32, or 32 elements i32(a) of i8 or u8, are the same 32 bytes.
 *
 * Any other nest is written as the loops that it is. */
#include "codegen/cuda/cuda.h"

enum { FOLD_BYTES = 32 };

/* What multiplies which factors, and what fetches them. */
typedef struct Instruction {
    DType a, b, sum;
    const char *name, *rows, *columns;
    ScalarFn fn;         /* what factors go through; LT_FN_LIMIT: they are converted */
    const char *prepare; /* what a register goes through first, or NULL */
} Instruction;

static const Instruction instructions[] = {
    {DT_F16, DT_F16, DT_F32, "mmahalf", "rowtiles", "columntiles", LT_FN_LIMIT, NULL},
    {DT_BF16, DT_BF16, DT_F32, "mmabf16", "rowtiles", "columntiles", LT_FN_LIMIT, NULL},
    {DT_F32, DT_F32, DT_F32, "mmatf32", "rowwords", "columnwords", FN_TF32, "tf32words"},
    {DT_I8, DT_I8, DT_I32, "mmas8s8", "rowwords", "columnwords", LT_FN_LIMIT, NULL},
    {DT_I8, DT_U8, DT_I32, "mmas8u8", "rowwords", "columnwords", LT_FN_LIMIT, NULL},
    {DT_U8, DT_I8, DT_I32, "mmau8s8", "rowwords", "columnwords", LT_FN_LIMIT, NULL},
    {DT_U8, DT_U8, DT_I32, "mmau8u8", "rowwords", "columnwords", LT_FN_LIMIT, NULL},
};

typedef struct Mma {
    Writer *w;
    ProductNest nest;
    int64_t rows, columns; /* tiles of 16 rows, and of 16 columns */
    const Buffer *a, *b;
    const Expr *loads[2];           /* of a and b */
    const Dim *row, *column, *fold; /* where the warp begins */
    bool is_across[2];              /* a is [k, row], b is [column, k] */
    const Instruction *instruction;
} Mma;

static const Dim *number(Mma *m, int64_t value) { return lt_dim_const(&m->w->dims, value); }

/* Where d is at the first of a warp's threads, and of the loop over `own`. */
static const Dim *of_warp(Mma *m, const Dim *d, const Dim *own) {
    return lt_cuda_at_warp(m->w, lt_cuda_at(m->w, d, own, 0));
}

/* What lane l has of the rows, and of the columns, from the warp's first on. */
static const Dim *own_row(Mma *m) {
    DimTable *t = &m->w->dims;
    const Dim *lane = lt_dim_mod(t, m->w->thread_loop->u.loop.var, number(m, LT_WARP));
    return lt_dim_add(t, lt_dim_mul_const(t, m->nest.i, 8), lt_dim_floordiv(t, lane, number(m, 4)));
}

static const Dim *own_column(Mma *m) {
    DimTable *t = &m->w->dims;
    const Dim *lane = lt_dim_mod(t, m->w->thread_loop->u.loop.var, number(m, LT_WARP)),
              *two = number(m, 2);
    const Dim *pair = lt_dim_mul_const(t, lt_dim_mod(t, lane, number(m, 4)), 2);
    const Dim *tile = lt_dim_mul_const(t, lt_dim_floordiv(t, m->nest.j, two), 8);
    return lt_dim_add(t, tile, lt_dim_add(t, lt_dim_mod(t, m->nest.j, two), pair));
}

/* What a factor is made of: an element that is converted to the dtype of the sum, or rounded to
 * tf32; NULL: something else. */
static const Expr *element_of(const Mma *m, const Expr *factor) {
    const bool is_cast = factor->kind == EXPR_CONVERT && factor->dtype == m->nest.tile->dtype;
    const bool is_tf32 = factor->kind == EXPR_CALL && factor->u.call.fn == FN_TF32;
    return is_cast || is_tf32 ? factor->u.call.args[0] : NULL;
}

static const Instruction *find_instruction(const Mma *m, const Expr *const *factors) {
    const Expr *a = element_of(m, factors[0]), *b = element_of(m, factors[1]);
    for (size_t i = 0; a && b && i < sizeof instructions / sizeof *instructions; i++) {
        const Instruction *found = &instructions[i];
        bool fits =
            found->sum == m->nest.tile->dtype && found->a == a->dtype && found->b == b->dtype;
        for (int side = 0; side < 2; side++)
            fits &= (factors[side]->kind == EXPR_CALL) == (found->fn != LT_FN_LIMIT);
        if (fits)
            return found;
    }
    return NULL;
}

/* The buffer and the place of a factor. */
static const Buffer *read_factor(Mma *m, const Expr *e, const Dim *own, const Dim *wanted,
                                 const Dim **place, bool *folds_last) {
    const Expr *load = element_of(m, e);
    if (load->kind != EXPR_LOAD || load->u.load.predicate ||
        load->u.load.buffer->kind != BUFFER_SHARED || load->u.load.buffer->rank < 2)
        return NULL;
    const int outer = load->u.load.buffer->rank - 2; /* axes around the two */
    const Dim *const *index = load->u.load.index + outer;
    for (int i = 0; i < outer; i++)
        if (lt_cuda_at(m->w, load->u.load.index[i], m->nest.k, 1) != load->u.load.index[i] ||
            of_warp(m, load->u.load.index[i], own) != load->u.load.index[i])
            return NULL;
    const Dim *first = lt_cuda_at(m->w, index[1], m->nest.k, 0);
    *folds_last = first != index[1];
    const Dim *fold = index[*folds_last], *other = index[!*folds_last];
    *place = of_warp(m, other, own);
    const Dim *begin = lt_cuda_at(m->w, fold, m->nest.k, 0);
    if (m->fold && m->fold != begin)
        return NULL;
    m->fold = begin;
    DimTable *t = &m->w->dims;
    const bool is_right =
        fold == lt_dim_add(t, begin, m->nest.k) && other == lt_dim_add(t, *place, wanted);
    m->loads[own == m->nest.j] = load;
    return is_right ? load->u.load.buffer : NULL;
}

static bool read_nest(Mma *m, const Stmt *loop) {
    ProductNest *nest = &m->nest;
    if (!lt_cuda_read_product(loop, nest) || !m->w->thread_loop || nest->rows % 2 ||
        nest->columns % 4)
        return false;
    m->rows = nest->rows / 2;
    m->columns = nest->columns / 4;
    m->instruction = find_instruction(m, nest->factors);
    if (!m->instruction ||
        !lt_dim_is(loop->u.loop.extent, FOLD_BYTES / (int64_t)lt_dtype_size(m->instruction->a)))
        return false;
    bool folds_last[2];
    m->a = read_factor(m, nest->factors[0], nest->i, own_row(m), &m->row, &folds_last[0]);
    m->b =
        m->a ? read_factor(m, nest->factors[1], nest->j, own_column(m), &m->column, &folds_last[1])
             : NULL;
    m->is_across[0] = !folds_last[0];
    m->is_across[1] = m->b && folds_last[1];
    return m->b != NULL;
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

/* All tiles along one side: for (..) FETCH<ACROSS>(registers[i], arguments); */
static void emit_fetch(Mma *m, int side, const char *registers, const char *arguments) {
    Writer *w = m->w;
    const Instruction *by = m->instruction;
    const char *i = side ? "j" : "i", *across = m->is_across[side] ? "true" : "false";
    lt_cuda_line(w, "#pragma unroll");
    lt_cuda_line(w, "for (int %s = 0; %s < %lld; %s++)%s", i, i,
                 (long long)(side ? m->columns : m->rows), i, by->prepare ? " {" : "");
    lt_cuda_line(w, "    %s<%s>(%s[%s], %s);", side ? by->columns : by->rows, across, registers, i,
                 arguments);
    if (!by->prepare)
        return;
    lt_cuda_line(w, "    %s(%s[%s]);", by->prepare, registers, i);
    lt_cuda_line(w, "}");
}

static void emit_loads(Mma *m, const char *rows, const char *columns) {
    Writer *w = m->w;
    const char *fold = lt_cuda_dim(w, m->fold).text;
    const char *row = shifted(m, m->row, "i"), *column = shifted(m, m->column, "j");
    const char *left = matrix(m, m->loads[0]), *right = matrix(m, m->loads[1]);
    lt_cuda_line(w, "unsigned %s[%lld][4], %s[%lld][4];", rows, (long long)m->rows, columns,
                 (long long)m->columns);
    emit_fetch(m, 0, rows, lt_arena_printf(w->arena, "%s, %s, %s", left, row, fold));
    emit_fetch(m, 1, columns, lt_arena_printf(w->arena, "%s, %s, %s", right, fold, column));
}

bool lt_cuda_mma(Writer *w, const Stmt *loop) {
    Mma m = {.w = w};
    if (loop->u.loop.kind != LOOP_MMA || !read_nest(&m, loop))
        return false;
    const char *rows = lt_cuda_scope_name(w, w->scope, "rows");
    const char *columns = lt_cuda_scope_name(w, w->scope, "columns");
    const char *tile = w->buffers[m.nest.tile->index];
    emit_loads(&m, rows, columns);
    lt_cuda_line(w, "#pragma unroll");
    lt_cuda_line(w, "for (int i = 0; i < %lld; i++) {", (long long)m.rows);
    lt_cuda_line(w, "    #pragma unroll");
    lt_cuda_line(w, "    for (int j = 0; j < %lld; j++)", (long long)(2 * m.columns));
    lt_cuda_line(
        w, "        %s(&%s[2 * i][2 * j], &%s[2 * i + 1][2 * j], %s[i], &%s[j / 2][j %% 2 * 2]);",
        m.instruction->name, tile, tile, rows, columns);
    lt_cuda_line(w, "}");
    return true;
}
