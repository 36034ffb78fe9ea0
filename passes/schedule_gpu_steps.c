/* schedule_gpu_steps.c - kernels of steps one after the other, with barriers between (recurrent
 * layers), on a GPU: a block has a sequence, and each of its threads a hidden value, or a few.
 *
 * Such a kernel is made for a team: all loops v# have one extent, and what one iteration writes, no
 * other one reads but behind a barrier. So a thread needs no more of a local buffer than its own
 * elements of each gate, which are registers; loops over gates and over rows of the weights are
 * unrolled for them. */
#include "passes/schedule_nest.h"

#include <string.h>

typedef struct Steps {
    Str *out;
    const Dim *extent; /* of all stages */
    int64_t threads;
    bool is_good;
} Steps;

/* v, or, where there are more hidden values than threads, v.1. */
static void append_stage(Steps *st, const char *name) {
    const int64_t hidden = st->extent->value;
    if (st->threads < hidden)
        lt_str_printf(st->out, "split %s %lld; unroll %s.0; thread %s.1; ", name,
                      (long long)st->threads, name, name);
    else
        lt_str_printf(st->out, "thread %s; ", name);
}

static void append_loops(Steps *st, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_IF)
            st->is_good = false;
        if (s->kind != STMT_FOR)
            continue;
        const Dim *extent = s->u.loop.extent;
        const char *name = s->u.loop.var->name;
        if (lt_str_starts(name, "v")) {
            st->is_good &= lt_dim_is_const(extent) && (!st->extent || st->extent == extent);
            st->extent = extent;
        }
        if (!st->is_good)
            return;
        if (st->threads && lt_str_starts(name, "v"))
            append_stage(st, name);
        else if (st->threads && (lt_str_starts(name, "g") || lt_str_starts(name, "u")))
            lt_str_printf(st->out, "unroll %s; ", name);
        append_loops(st, s->u.loop.body);
    }
}

/* In as few parts as the most threads of a block allow, all of whole warps. */
static int64_t choose_threads(int64_t hidden) {
    if (hidden <= LT_MAX_THREADS)
        return hidden;
    const int64_t parts = (hidden + LT_MAX_THREADS - 1) / LT_MAX_THREADS;
    return ((hidden + parts - 1) / parts + LT_WARP - 1) / LT_WARP * LT_WARP;
}

const char *lt_choose_gpu_steps(Nest *nest) {
    Kernel *k = nest->kernel;
    Str text;
    lt_str_init(&text, k->arena);
    Steps steps = {.out = &text, .is_good = lt_stmt_has_barrier(k->body)};
    append_loops(&steps, k->body);
    if (!steps.is_good || !steps.extent)
        return NULL;
    steps.threads = choose_threads(steps.extent->value);
    append_loops(&steps, k->body);
    for (size_t i = k->param_count; i < k->buffers.len && steps.threads > 1; i++)
        if (k->buffers.data[i]->kind == BUFFER_STACK)
            lt_str_printf(&text, "own %s %lld; ", k->buffers.data[i]->name,
                          (long long)steps.extent->value);
    if (nest->loop_count)
        lt_str_printf(&text, "grid %s; ", nest->loops[0]->u.loop.var->name);
    text.text[text.len - strlen("; ")] = '\0';
    return text.text;
}
