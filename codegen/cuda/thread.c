/* thread.c - what threads share out: loops along which a thread takes every N-th position, and
 * folds over what threads hold. */
#include <string.h>

#include "codegen/cuda/cuda.h"

static Scope *function_scope(Writer *w) {
    Scope *scope = w->scope;
    while (scope->around)
        scope = scope->around;
    return scope;
}

void lt_cuda_bind_thread(Writer *w, const Stmt *loop) {
    if (w->lanes)
        return;
    if (!w->thread) {
        w->thread = lt_cuda_name(w->arena, &w->names, "t");
        lt_cuda_line_in(function_scope(w), "const int %s = threadIdx.x;", w->thread);
    }
    lt_cuda_bind(w, loop->u.loop.var, w->thread);
    if (loop->u.loop.extent->value == w->threads) /* all that it needs is known from the start */
        w->symbol_scopes[loop->u.loop.var->symbol] = function_scope(w);
}

/* --- every N-th position --- */

/* The stem that "r.0" and the thread loop's "r.1" have in common, or NULL. */
static const char *common_stem(const Writer *w, const Stmt *loop) {
    const char *name = loop->u.loop.var->name;
    const size_t len = strlen(name);
    if (!w->thread_loop || loop->u.loop.kind != LOOP_SERIAL || len < 3 ||
        strcmp(name + len - 2, ".0") != 0 ||
        strncmp(name, w->thread_loop->u.loop.var->name, len - 1) != 0)
        return NULL;
    return lt_arena_strndup(w->arena, name, len - 2);
}

/* x where d is floor(x / n). */
static const Dim *numerator(DimTable *t, const Dim *d, int64_t n) {
    if (d->kind == DIM_FLOORDIV && lt_dim_is(d->args[1], n))
        return d->args[0];
    if (d->kind != DIM_ADD)
        return lt_dim_mul_const(t, d, n);
    const Dim *sum = lt_dim_const(t, n * d->value);
    for (uint32_t i = 0; i < d->count; i++)
        sum = lt_dim_add(t, sum, numerator(t, d->args[i], n));
    return sum;
}

/* E, where the loop has ceil((E - lane) / N) iterations or, with E a multiple of N, E / N. */
static const Dim *end_of_positions(Writer *w, const Stmt *loop, const Dim *lane, int64_t n) {
    DimTable *t = &w->dims;
    const Dim *extent = lt_cuda_replaced(w, loop->u.loop.extent);
    if (!lt_dim_mentions(extent, lane))
        return lt_dim_mul_const(t, extent, n);
    const Dim *end = lt_dim_add_const(t, lt_dim_add(t, numerator(t, extent, n), lane), 1 - n);
    return lt_dim_mentions(end, lane) ? NULL : end;
}

const char *lt_cuda_begin_strided(Writer *w, const Stmt *loop) {
    const char *stem = common_stem(w, loop);
    if (!stem)
        return NULL;
    DimTable *t = &w->dims;
    const Dim *var = loop->u.loop.var;
    const Dim *lane = w->lanes ? w->lane : w->thread_loop->u.loop.var;
    const int64_t n = w->lanes ? w->lanes : w->thread_loop->u.loop.extent->value;
    const Dim *end = end_of_positions(w, loop, lane, n);
    int64_t lo, hi;
    if (!end)
        return NULL;
    lt_dim_range(t, end, &lo, &hi);
    if (hi < 1) /* no iteration, and so no position */
        return NULL;
    const char *first = lt_cuda_dim(w, lane).text, *bound = lt_cuda_dim(w, end).text;
    const char *name = lt_cuda_scope_name(w, w->scope, lt_cuda_loop_name(w->arena, stem));
    const Dim *position = lt_dim_symbol(t, lt_arena_printf(w->arena, "%s.at", stem));
    lt_dim_set_range(t, position, 0, hi == LT_DIM_UNBOUNDED ? hi : hi - 1);
    lt_cuda_bind(w, position, name);
    lt_cuda_bind(w, var, lt_arena_printf(w->arena, "(%s / %lld)", name, (long long)n));
    w->replaced[lane->symbol] = lt_dim_sub(t, position, lt_dim_mul_const(t, var, n));
    w->any_replaced = true;
    return lt_arena_printf(w->arena, "for (%s %s = %s; %s < %s; %s += %lld)",
                           lt_cuda_index_type(w, position), name, first, name, bound, name,
                           (long long)n);
}

void lt_cuda_end_strided(Writer *w) {
    const Dim *lane = w->lanes ? w->lane : w->thread_loop->u.loop.var;
    w->replaced[lane->symbol] = NULL;
}

/* --- folds --- */

static const char *shared_parts(Writer *w, DType dtype, int64_t count) {
    const char **name = &w->parts[dtype];
    if (!*name) {
        *name = lt_cuda_name(w->arena, &w->names, "parts");
        lt_cuda_line_in(function_scope(w), "__shared__ %s %s[%lld];", lt_cuda_register_type(dtype),
                        *name, (long long)count);
    }
    return *name;
}

/* sum = block_fold<256>(sum, parts, [](float a, float b) { return a + b; });
 * run = block_scan<256>(run, sum, parts, [](float a, float b) { return a + b; }); */
void lt_cuda_combine(Writer *w, const Stmt *s) {
    const Buffer *b = s->u.combine.buffer;
    const int64_t width = s->u.combine.width, apart = s->u.combine.apart;
    const Buffer *total = s->u.combine.total;
    const char *name = w->buffers[b->index], *type = lt_cuda_register_type(b->dtype), *call;
    const char *verb = total ? "scan" : "fold", *own = name;
    const Text args[3] = {{"a", BIND_ATOM}, {"b", BIND_ATOM}, {NULL, BIND_ATOM}};
    if (width < 2 && !total)
        return;
    if (total)
        own = lt_arena_printf(w->arena, "%s, %s", name, w->buffers[total->index]);
    if (apart > 1)
        call = lt_arena_printf(w->arena, "column_%s<%lld, %lld>(%s, %s", verb, (long long)width,
                               (long long)apart, own, shared_parts(w, b->dtype, w->threads));
    else if (width > LT_WARP)
        call = lt_arena_printf(w->arena, "block_%s<%lld>(%s, %s", verb, (long long)width, own,
                               shared_parts(w, b->dtype, w->threads / LT_WARP));
    else
        call = lt_arena_printf(w->arena, "warp_%s<%lld>(%s", verb, (long long)width, own);
    lt_cuda_line(w, "%s = %s, [](%s a, %s b) { return %s; });", name, call, type, type,
                 lt_cuda_call(w->arena, s->u.combine.fn, b->dtype, args).text);
}
