/* copy.c - neighbouring elements that go from a parameter into shared memory at once.
 *
 *   for (int lane = 0; lane < 4; lane++)
 *       x_share[row][4 * k + lane] = inside ? x[64 * row + 4 * k + lane] : 0.0f;
 * is
 *   copy<int4>(&x_share[row][4 * k], &x[64 * row + 4 * k], inside);
 *
 * and a fetch loop is fetch<int4>(..), which lets the bytes come on their own: in front of barriers
 * stands arrived(), which waits for them. Buffers begin at multiples of 16 bytes. */
#include <string.h>

#include "codegen/cuda/cuda.h"

/* symbol + a multiple of n. */
static bool is_aligned(Writer *w, const Dim *d, const Dim *symbol, int64_t n) {
    const Dim *rest = lt_dim_sub(&w->dims, d, symbol);
    return !lt_dim_mentions(rest, symbol) && lt_dim_divisible(&w->dims, rest, n);
}

/* Loads may be of anything. */
static bool mentions(const Expr *e, const Dim *symbol) {
    bool found = false;
    if (e->kind == EXPR_INDEX)
        return lt_dim_mentions(e->u.dim, symbol);
    for (int i = 0; i < 3 && lt_expr_has_args(e) && !found; i++)
        found = e->u.call.args[i] && mentions(e->u.call.args[i], symbol);
    return found || e->kind == EXPR_LOAD;
}

/* The type that is as wide as all of the lanes, or NULL. */
static const char *wide_type(int64_t bytes) {
    return bytes == 16 ? "int4" : bytes == 8 ? "int2" : bytes == 4 ? "int1" : NULL;
}

/* Where the element of the first lane is. */
static const char *first_element(Writer *w, const Buffer *b, const Dim *const *index,
                                 const Dim *lane) {
    const Dim **by = LT_ARRAY(w->arena, const Dim *, w->dims.symbols.len);
    const Dim **first = LT_ARRAY(w->arena, const Dim *, b->rank + 1);
    by[lane->symbol] = lt_dim_const(&w->dims, 0);
    for (int i = 0; i < b->rank; i++)
        first[i] = lt_dim_substitute(&w->dims, index[i], by);
    lt_cuda_hint(w, b, first);
    if (b->kind <= BUFFER_OUTPUT)
        return lt_cuda_address(w, b, lt_buffer_flat(&w->dims, b, first), true);
    return lt_arena_printf(w->arena, "&%s", lt_cuda_element(w, b, first));
}

static const char *condition(Writer *w, const Expr *predicate) {
    enum { LONG_TEXT = 32 };
    const Text test = lt_cuda_statement(w, predicate);
    if (strlen(test.text) < LONG_TEXT)
        return test.text;
    const char *name = lt_cuda_scope_name(w, w->scope, "inside");
    lt_cuda_line(w, "const bool %s = %s;", name, test.text);
    return name;
}

bool lt_cuda_copy(Writer *w, const Stmt *loop) {
    const Stmt *s = loop->u.loop.body;
    const Dim *lane = loop->u.loop.var;
    const bool is_fetch = loop->u.loop.kind == LOOP_FETCH;
    if ((loop->u.loop.kind != LOOP_VECTOR && !is_fetch) || !s || s->next || s->kind != STMT_STORE ||
        s->u.store.buffer->kind != BUFFER_SHARED || s->u.store.value->kind != EXPR_LOAD)
        return false;
    const Buffer *to = s->u.store.buffer, *from = s->u.store.value->u.load.buffer;
    const Dim *const *index = s->u.store.value->u.load.index;
    const Expr *predicate = s->u.store.value->u.load.predicate;
    const int64_t lanes = loop->u.loop.extent->value;
    const char *type = wide_type(lanes * (int64_t)lt_dtype_size(to->dtype));
    if (!type || from->kind > BUFFER_OUTPUT || (predicate && mentions(predicate, lane)) ||
        !is_aligned(w, lt_buffer_flat(&w->dims, to, s->u.store.index), lane, lanes) ||
        !is_aligned(w, lt_buffer_flat(&w->dims, from, index), lane, lanes))
        return false;
    lt_cuda_hint(w, from, index);
    const char *test = predicate ? condition(w, predicate) : NULL;
    lt_cuda_line(w, "%s<%s>(%s, %s%s%s);", is_fetch ? "fetch" : "copy", type,
                 first_element(w, to, s->u.store.index, lane), first_element(w, from, index, lane),
                 test ? ", " : "", test ? test : "");
    w->fetches |= is_fetch;
    return true;
}
