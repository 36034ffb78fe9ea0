/* product.c - the nest that tensor cores run, however they leave its elements to threads:
 *
 *   mma k in 16 { unroll i in I { unroll j in J { tile[i, j] = fma(a, b, tile[i, j]) } } } */
#include "codegen/cuda/cuda.h"

static const Stmt *only_loop(const Stmt *s) {
    return s && !s->next && s->kind == STMT_FOR && s->u.loop.kind == LOOP_UNROLL ? s : NULL;
}

bool lt_cuda_read_product(const Stmt *loop, ProductNest *out) {
    const Stmt *rows = only_loop(loop->u.loop.body);
    const Stmt *columns = rows ? only_loop(rows->u.loop.body) : NULL;
    const Stmt *s = columns ? columns->u.loop.body : NULL;
    const Expr *value = s && !s->next && s->kind == STMT_STORE ? s->u.store.value : NULL;
    if (!value || value->kind != EXPR_CALL || value->u.call.fn != FN_FMA)
        return false;
    const Dim *i = rows->u.loop.var, *j = columns->u.loop.var;
    const Expr *sum = value->u.call.args[2];
    *out = (ProductNest){.k = loop->u.loop.var,
                         .i = i,
                         .j = j,
                         .rows = rows->u.loop.extent->value,
                         .columns = columns->u.loop.extent->value,
                         .tile = s->u.store.buffer,
                         .factors = value->u.call.args};
    return out->tile->rank == 2 && lt_buffer_is_private(out->tile) && s->u.store.index[0] == i &&
           s->u.store.index[1] == j && sum->kind == EXPR_LOAD && sum->u.load.buffer == out->tile &&
           sum->u.load.index[0] == i && sum->u.load.index[1] == j && !sum->u.load.predicate;
}

const Dim *lt_cuda_at(Writer *w, const Dim *d, const Dim *symbol, int64_t value) {
    const Dim **by = LT_ARRAY(w->arena, const Dim *, w->dims.symbols.len);
    by[symbol->symbol] = lt_dim_const(&w->dims, value);
    return lt_dim_substitute(&w->dims, d, by);
}

const Dim *lt_cuda_at_warp(Writer *w, const Dim *d) {
    DimTable *t = &w->dims;
    const Dim *thread = w->thread_loop->u.loop.var, *n = lt_dim_const(t, LT_WARP);
    const Dim **by = LT_ARRAY(w->arena, const Dim *, t->symbols.len);
    by[thread->symbol] = lt_dim_mul(t, lt_dim_floordiv(t, thread, n), n);
    return lt_dim_substitute(t, d, by);
}
