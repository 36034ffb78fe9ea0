/* schedule_team.c - `team`: loops that the threads of a team share out between barriers.
 *
 *   team v0 v1: for t { for v0 in 8 { .. } barrier for v1 in 8 { .. } barrier }
 *            => for t { parallel v0 in 8 { .. } barrier parallel v1 in 8 { .. } barrier }
 *
 * Where the barriers are, the one who builds the kernel says: they mean nothing before. What is not
 * in these loops, every thread does; so it must not store what others see. */
#include "ir/schedule.h"

/* The first store, in no parallel loop, to a buffer that is not a thread's own; NULL: none. */
static const Stmt *find_open_store(const Stmt *list) {
    const Stmt *found = NULL;
    for (const Stmt *s = list; s && !found; s = s->next) {
        if (s->kind == STMT_STORE && !lt_buffer_is_private(s->u.store.buffer))
            found = s;
        if (s->kind == STMT_FOR && s->u.loop.kind != LOOP_PARALLEL)
            found = find_open_store(s->u.loop.body);
        if (s->kind == STMT_IF)
            found = find_open_store(s->u.branch.body);
        if (s->kind == STMT_IF && !found)
            found = find_open_store(s->u.branch.otherwise);
    }
    return found;
}

typedef enum { HOLDS_BARRIER = 1, HOLDS_PARALLEL = 2 } Held;

/* What lies in the list. */
static int find_held(const Stmt *list) {
    int held = 0;
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_BARRIER)
            held |= HOLDS_BARRIER;
        if (s->kind == STMT_FOR)
            held |=
                find_held(s->u.loop.body) | (s->u.loop.kind == LOOP_PARALLEL ? HOLDS_PARALLEL : 0);
        if (s->kind == STMT_IF)
            held |= find_held(s->u.branch.body) | find_held(s->u.branch.otherwise);
    }
    return held;
}

static const char *mark(Kernel *k, const char *loop, const Dim **extent) {
    Stmt *s = lt_schedule_find(k, loop);
    if (!s)
        return lt_arena_printf(k->arena, "there is no loop named '%s'", loop);
    if (*extent && s->u.loop.extent != *extent)
        return lt_arena_printf(k->arena, "team: '%s' has another extent than the loops before it",
                               loop);
    if (!lt_dim_is_const(s->u.loop.extent))
        return lt_arena_printf(k->arena, "team: '%s' has no constant extent", loop);
    if (s->u.loop.kind != LOOP_SERIAL || find_held(s->u.loop.body))
        return lt_arena_printf(k->arena,
                               "team: '%s' is marked, or has a barrier or a loop of the "
                               "team inside",
                               loop);
    *extent = s->u.loop.extent;
    s->u.loop.kind = LOOP_PARALLEL;
    return NULL;
}

/* Whether a parallel loop lies in a condition or a vector loop. */
static bool is_hidden(const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_IF &&
            ((find_held(s->u.branch.body) | find_held(s->u.branch.otherwise))))
            return true;
        if (s->kind != STMT_FOR || s->u.loop.kind == LOOP_PARALLEL)
            continue;
        if (s->u.loop.kind == LOOP_VECTOR ? find_held(s->u.loop.body) : is_hidden(s->u.loop.body))
            return true;
    }
    return false;
}

const char *lt_schedule_team(Kernel *k, const char *const *loops, int count) {
    const Dim *extent = NULL;
    if (!(find_held(k->body) & HOLDS_BARRIER))
        return "team: the kernel has no barriers";
    for (int i = 0; i < count; i++) {
        const char *error = mark(k, loops[i], &extent);
        if (error)
            return error;
    }
    if (is_hidden(k->body))
        return "team: a loop or a barrier lies in a condition or a vector loop";
    const Stmt *open = find_open_store(k->body);
    return open ? lt_arena_printf(k->arena, "team: '%s' is stored to outside of the loops",
                                  open->u.store.buffer->name)
                : NULL;
}
