/* schedule_stages.c - kernels of several stages: rows, and steps one after the other.
 *
 * Every stage runs in lanes. Where the kernel has barriers and there is enough to do between them,
 * a team runs it: each thread has some parts of every stage. */
#include "passes/schedule_nest.h"

enum {
    MOST_UNROLLED = 8,
    /* Stores (of sums, for the most part) that make a part worth a thread: its weights fill an L1
     * cache twice, and come from the L2 cache in several times what a barrier costs. */
    LEAST_PART = 16384,
    MOST_STAGES = 31 /* words of a primitive */
};

typedef struct Stages {
    Nest *nest;
    Str *out;
    const char *prefix; /* of the loops' names */
    int lanes;
    int64_t part; /* iterations of a stage that stay together; 0: no team */
    Str *team;    /* the loops along parts */
} Stages;

/* A fold of its own, which rfactor takes. */
static bool is_fold(const Stmt *loop) {
    bool folds = false, has_fold = false;
    for (const Stmt *inner = loop->u.loop.body; inner; inner = inner->next) {
        has_fold |= inner->kind == STMT_FOR;
        folds |= inner->kind == STMT_STORE && inner->u.store.buffer->kind == BUFFER_REGISTER;
    }
    return folds && !has_fold;
}

static bool runs_in_lanes(const Stages *st, const Stmt *s) {
    return lt_loop_reaches(s, st->lanes) && lt_nest_walks(st->nest, s, false);
}

static void append_stage(const Stages *st, const Stmt *s) {
    const char *name = s->u.loop.var->name;
    if (is_fold(s)) {
        lt_str_printf(st->out, "rfactor %s %d; ", name, 4 * st->lanes);
    } else if (st->part > 2 * st->lanes) {
        lt_str_printf(st->out, "block %s %lld; split %s.1 %d; vectorize %s.1.1; ", name,
                      (long long)st->part, name, 2 * st->lanes, name);
    } else {
        lt_str_printf(st->out, "split %s %d; vectorize %s.1; ", name, 2 * st->lanes, name);
    }
    if (st->part)
        lt_str_printf(st->team, " %s.0", name);
    for (const Stmt *inner = s->u.loop.body; inner; inner = inner->next)
        if (inner->kind == STMT_FOR && lt_dim_is_const(inner->u.loop.extent) &&
            inner->u.loop.extent->value <= MOST_UNROLLED)
            lt_str_printf(st->out, "unroll %s; ", inner->u.loop.var->name);
}

/* Stages that fold run by rfactor, the others split; short loops inside are unrolled. */
static void append_stages(const Stages *st, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_IF)
            append_stages(st, s->u.branch.body);
        if (s->kind != STMT_FOR)
            continue;
        if (!lt_str_starts(s->u.loop.var->name, st->prefix))
            append_stages(st, s->u.loop.body);
        else if (runs_in_lanes(st, s))
            append_stage(st, s);
    }
}

void lt_schedule_rows(Nest *nest, Str *out) {
    append_stages(&(Stages){.nest = nest, .out = out, .prefix = "r", .lanes = lt_nest_lanes(nest)},
                  nest->kernel->body);
}

/* --- teams ------------------------------------------------------------------------------------ */

/* Stores that the list does, as far as extents are known. */
static int64_t count_stores(const Stmt *list) {
    int64_t sum = 0;
    for (const Stmt *s = list; s; s = s->next) {
        int64_t stores = s->kind == STMT_STORE;
        if (s->kind == STMT_FOR) {
            const Dim *extent = s->u.loop.extent;
            stores = count_stores(s->u.loop.body);
            if (lt_dim_is_const(extent) && __builtin_mul_overflow(stores, extent->value, &stores))
                stores = INT64_MAX;
        }
        if (__builtin_add_overflow(sum, stores, &sum))
            sum = INT64_MAX;
    }
    return sum;
}

/* Stores between two barriers of the innermost loop with barriers. */
static int64_t count_round(const Stmt *list) {
    int barriers = 0;
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_FOR && lt_stmt_has_barrier(s->u.loop.body))
            return count_round(s->u.loop.body);
        barriers += s->kind == STMT_BARRIER;
    }
    return barriers ? count_stores(list) / barriers : 0;
}

/* Whether all stages can be cut alike; *extent: of all of them. */
static bool agree(const Stages *st, const Stmt *list, const Dim **extent, int *count) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_IF)
            return false;
        if (s->kind != STMT_FOR)
            continue;
        const Dim *own = s->u.loop.extent;
        const bool is_stage = lt_str_starts(s->u.loop.var->name, st->prefix);
        if (!is_stage && !agree(st, s->u.loop.body, extent, count))
            return false;
        if (is_stage && (!lt_dim_is_const(own) || (*extent && own != *extent) || is_fold(s) ||
                         !runs_in_lanes(st, s)))
            return false;
        *extent = is_stage ? own : *extent;
        *count += is_stage;
    }
    return *count <= MOST_STAGES;
}

/* Whole vectors, so many that a part has enough to do; 0: there would be one part only. */
static int64_t choose_part(const Stages *st, const Stmt *body) {
    const Dim *extent = NULL;
    int count = 0;
    const int64_t parts = count_round(body) / LEAST_PART;
    if (parts < 2 || !agree(st, body, &extent, &count) || !extent)
        return 0;
    const int64_t least = (extent->value + parts - 1) / parts, vectors = 2 * st->lanes;
    const int64_t part = (least + vectors - 1) / vectors * vectors;
    return part < extent->value ? part : 0;
}

void lt_schedule_steps(Nest *nest, Str *out) {
    const Stmt *body = nest->kernel->body;
    Str team;
    lt_str_init(&team, nest->kernel->arena);
    Stages st = {
        .nest = nest, .out = out, .prefix = "v", .lanes = lt_nest_lanes(nest), .team = &team};
    st.part = choose_part(&st, body);
    append_stages(&st, body);
    if (st.part)
        lt_str_printf(out, "team%s", team.text);
}
