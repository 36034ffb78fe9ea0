/* pack.c - vector loops, and short ones that are unrolled: neighbouring elements of parameters are
 * loaded and stored at once.
 *
 *   const Pack<float, 4> x_pack = load_pack<4>(&x[4 * i]);
 *   Pack<float, 4> out_pack;
 *   for (int e = 0; e < 4; e++)
 *       out_pack[e] = exp(x_pack[e]);
 *   store_pack(&out[4 * i], out_pack);
 *
 * Buffers begin at multiples of LARGEST_PACK bytes. */
#include <string.h>

#include "codegen/cuda/cuda.h"

enum { LARGEST_PACK = 16 };

/* Where the lane with number 0 is, if the lanes lie beside each other there, at a multiple of their
 * size; else NULL. */
static const Dim *pack_base(Writer *w, const Stmt *loop, const Buffer *b, const Dim *const *index) {
    const Dim *var = loop->u.loop.var;
    const int64_t lanes = loop->u.loop.extent->value;
    if (b->kind > BUFFER_OUTPUT || lanes * (int64_t)lt_dtype_size(b->dtype) > LARGEST_PACK)
        return NULL;
    const Dim *base = lt_dim_sub(&w->dims, lt_buffer_flat(&w->dims, b, index), var);
    lt_cuda_hint(w, b, index);
    return !lt_dim_mentions(base, var) && lt_dim_divisible(&w->dims, base, lanes) ? base : NULL;
}

static const Pack *find_pack(const Writer *w, const Buffer *b, const Dim *base) {
    for (size_t i = 0; i < w->packs.len; i++)
        if (w->packs.data[i].buffer == b && w->packs.data[i].base == base)
            return &w->packs.data[i];
    return NULL;
}

static void add_pack(Writer *w, const Stmt *loop, const Buffer *b, const Dim *const *index,
                     const Dim *base, bool is_store) {
    const int64_t lanes = loop->u.loop.extent->value;
    if (find_pack(w, b, base))
        return;
    const char *type = lt_cuda_memory_type(b->dtype);
    const char *wanted = lt_arena_printf(w->arena, "%s_pack", w->buffers[b->index]);
    const Pack pack = {b, index, base, lt_cuda_scope_name(w, w->scope, wanted), is_store};
    if (is_store)
        lt_cuda_line(w, "Pack<%s, %lld> %s;", type, (long long)lanes, pack.name);
    else
        lt_cuda_line(w, "const Pack<%s, %lld> %s = load_pack<%lld>(%s);", type, (long long)lanes,
                     pack.name, (long long)lanes, lt_cuda_address(w, b, base, false));
    lt_vec_push(w->arena, &w->packs, pack);
}

static bool is_stored(const Stmt *list, const Buffer *b) {
    for (const Stmt *s = list; s; s = s->next)
        if (s->u.store.buffer == b)
            return true;
    return false;
}

/* What is under a condition may be out of range, and stays as it is. */
static void load_packs(Writer *w, const Stmt *loop, const Expr *e) {
    if (e->kind == EXPR_LOAD && !e->u.load.predicate &&
        !is_stored(loop->u.loop.body, e->u.load.buffer)) {
        const Dim *base = pack_base(w, loop, e->u.load.buffer, e->u.load.index);
        if (base)
            add_pack(w, loop, e->u.load.buffer, e->u.load.index, base, false);
    }
    const bool is_choice = e->kind == EXPR_CALL && e->u.call.fn == FN_SELECT;
    for (int i = 0; i < (is_choice ? 1 : 3) && lt_expr_has_args(e); i++)
        if (e->u.call.args[i])
            load_packs(w, loop, e->u.call.args[i]);
}

static void declare_stored(Writer *w, const Stmt *loop, const Stmt *store) {
    const Buffer *b = store->u.store.buffer;
    int stores = 0;
    for (const Stmt *s = loop->u.loop.body; s; s = s->next) {
        stores += s->u.store.buffer == b;
        if (lt_expr_loads(s->u.store.value, b))
            return;
    }
    const Dim *base = stores == 1 ? pack_base(w, loop, b, store->u.store.index) : NULL;
    if (base)
        add_pack(w, loop, b, store->u.store.index, base, true);
}

void lt_cuda_begin_packs(Writer *w, const Stmt *loop) {
    const Dim *extent = loop->u.loop.extent;
    const bool is_unrolled = loop->u.loop.kind == LOOP_VECTOR || loop->u.loop.kind == LOOP_UNROLL;
    if (!is_unrolled || extent->value < 2 || extent->value > LARGEST_PACK ||
        (extent->value & (extent->value - 1)))
        return;
    for (const Stmt *s = loop->u.loop.body; s; s = s->next)
        if (s->kind != STMT_STORE)
            return;
    w->pack_loop = loop;
    for (const Stmt *s = loop->u.loop.body; s; s = s->next)
        load_packs(w, loop, s->u.store.value);
    for (const Stmt *s = loop->u.loop.body; s; s = s->next)
        declare_stored(w, loop, s);
}

void lt_cuda_end_packs(Writer *w) {
    w->pack_loop = NULL;
    for (size_t i = 0; i < w->packs.len; i++) {
        const Pack *p = &w->packs.data[i];
        lt_cuda_hint(w, p->buffer, p->index);
        if (p->is_store)
            lt_cuda_line(w, "store_pack(%s, %s);", lt_cuda_address(w, p->buffer, p->base, false),
                         p->name);
    }
    w->packs.len = 0;
}

const char *lt_cuda_pack_element(Writer *w, const Buffer *b, const Dim *const *index) {
    if (!w->pack_loop)
        return NULL;
    const Dim *var = w->pack_loop->u.loop.var;
    const Pack *pack =
        find_pack(w, b, lt_dim_sub(&w->dims, lt_buffer_flat(&w->dims, b, index), var));
    return pack ? lt_arena_printf(w->arena, "%s[%s]", pack->name, lt_cuda_dim(w, var).text) : NULL;
}
