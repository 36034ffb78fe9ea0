/* schedule.c - the primitives that only reshape loops (split, block, fuse, reorder, marks), and the
 * text form. */
#include "ir/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *no_loop(Kernel *k, const char *loop) {
    return lt_arena_printf(k->arena, "there is no loop named '%s'", loop);
}

/* --- split and block ----------------------------------------------------------------------------
 */

/* L over E becomes L.0 over ceil(E / N) around L.1; L itself becomes L.0 * N + L.1. */
static const char *split_loop(Kernel *k, const char *loop, int64_t factor, bool clip) {
    Stmt **link = lt_schedule_link(k, loop);
    if (!link)
        return no_loop(k, loop);
    if (factor < 1)
        return lt_arena_printf(k->arena, "split %s: the factor must be positive", loop);
    Stmt *s = *link;
    const Dim *extent = s->u.loop.extent, *n = lt_dim_const(&k->dims, factor);
    const Dim *blocks = lt_dim_ceildiv(&k->dims, extent, n);
    const Dim *outer = lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.0", loop), blocks);
    const Dim *inner_extent = n;
    bool exact = lt_dim_divisible(&k->dims, extent, factor);
    const Dim *start = lt_dim_mul(&k->dims, outer, n);
    if (clip && !exact)
        inner_extent = lt_dim_min(&k->dims, n, lt_dim_sub(&k->dims, extent, start));
    const Dim *inner = lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.1", loop), inner_extent);
    const Dim *position = lt_dim_add(&k->dims, start, inner);
    Stmt *body = lt_stmt_replace_var(k, s->u.loop.body, s->u.loop.var, position);
    if (!clip && !exact)
        body = lt_stmt_if(k, lt_expr_less(k, position, extent), body, NULL);
    body = lt_stmt_for(k, LOOP_SERIAL, inner, inner_extent, body);
    Stmt *result = lt_stmt_for(k, s->u.loop.kind, outer, blocks, body);
    result->loc = s->loc;
    result->next = s->next;
    *link = result;
    return NULL;
}

const char *lt_schedule_split(Kernel *k, const char *loop, int64_t factor) {
    return split_loop(k, loop, factor, false);
}

const char *lt_schedule_block(Kernel *k, const char *loop, int64_t factor) {
    return split_loop(k, loop, factor, true);
}

/* --- fuse ---------------------------------------------------------------------------------------
 */

const char *lt_schedule_fuse(Kernel *k, const char *outer, const char *inner) {
    Stmt **link = lt_schedule_link(k, outer);
    if (!link)
        return no_loop(k, outer);
    Stmt *a = *link, *b = a->u.loop.body;
    if (!b || b->kind != STMT_FOR || b->next || strcmp(b->u.loop.var->name, inner) != 0)
        return lt_arena_printf(k->arena, "fuse: '%s' is not directly around '%s'", outer, inner);
    if (lt_dim_mentions(b->u.loop.extent, a->u.loop.var))
        return lt_arena_printf(k->arena, "fuse: the extent of '%s' depends on '%s'", inner, outer);
    const Dim *width = b->u.loop.extent;
    const Dim *extent = lt_dim_mul(&k->dims, a->u.loop.extent, width);
    const Dim *var =
        lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s_%s", outer, inner), extent);
    const Dim **by = lt_schedule_substitution(k);
    by[a->u.loop.var->symbol] = lt_dim_is(a->u.loop.extent, 1)
                                    ? lt_dim_const(&k->dims, 0)
                                    : lt_dim_floordiv(&k->dims, var, width);
    by[b->u.loop.var->symbol] =
        lt_dim_is(a->u.loop.extent, 1) ? var : lt_dim_mod(&k->dims, var, width);
    Stmt *result =
        lt_stmt_for(k, a->u.loop.kind, var, extent, lt_stmt_copy(k, b->u.loop.body, by, NULL));
    result->loc = a->loc;
    result->next = a->next;
    *link = result;
    return NULL;
}

/* --- reorder ------------------------------------------------------------------------------------
 */

enum { MAX_CHAIN = 32 };

static int position_of(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* The chain of single loops and conditions from *link to the last of the named loops. Conditions
 * move inward, under all of them: nothing lies between that they could have protected. */
static const char *collect_chain(Kernel *k, Stmt *s, const char *const *loops, int count,
                                 Stmt **chain, int *length, const Expr **guard, Stmt **rest) {
    int found = 0;
    *length = 0;
    *guard = NULL;
    while (found < count) {
        bool single = s && !s->next;
        if (single && s->kind == STMT_IF && !s->u.branch.otherwise) {
            *guard = lt_expr_and(k, *guard, s->u.branch.condition);
            s = s->u.branch.body;
        } else if (single && s->kind == STMT_FOR && *length < MAX_CHAIN) {
            chain[(*length)++] = s;
            found += position_of(s->u.loop.var->name, loops, count) >= 0;
            s = s->u.loop.body;
        } else {
            return lt_arena_printf(k->arena,
                                   "the loops up to '%s' are not nested in each other alone",
                                   loops[count - 1]);
        }
    }
    *rest = s;
    return NULL;
}

static Stmt **outermost(Kernel *k, const char *const *loops, int count) {
    for (int i = 0; i < count; i++) {
        Stmt **link = lt_schedule_link(k, loops[i]);
        int inside = 0;
        if (!link)
            return NULL;
        Stmt *saved = (*link)->next;
        (*link)->next = NULL;
        for (int j = 0; j < count; j++) {
            Kernel probe = *k;
            probe.body = *link;
            inside += lt_schedule_find(&probe, loops[j]) != NULL;
        }
        (*link)->next = saved;
        if (inside == count)
            return link;
    }
    return NULL;
}

const char *lt_schedule_reorder(Kernel *k, const char *const *loops, int count) {
    for (int i = 0; i < count; i++)
        if (!lt_schedule_find(k, loops[i]))
            return no_loop(k, loops[i]);
    Stmt **link = outermost(k, loops, count);
    if (!link)
        return "reorder: the loops are not nested in each other";
    Stmt *chain[MAX_CHAIN], *rest = NULL, *old = *link, *after = old->next;
    int length;
    const Expr *guard;
    old->next = NULL;
    const char *error = collect_chain(k, old, loops, count, chain, &length, &guard, &rest);
    old->next = after;
    if (error)
        return error;
    Stmt *order[MAX_CHAIN];
    for (int i = 0, next = 0; i < length; i++) {
        bool named = position_of(chain[i]->u.loop.var->name, loops, count) >= 0;
        order[i] = named ? lt_schedule_find(k, loops[next++]) : chain[i];
    }
    for (int i = 0; i < length; i++)
        for (int j = i + 1; j < length; j++)
            if (lt_dim_mentions(order[i]->u.loop.extent, order[j]->u.loop.var))
                return lt_arena_printf(k->arena, "reorder: the extent of '%s' depends on '%s'",
                                       order[i]->u.loop.var->name, order[j]->u.loop.var->name);
    Stmt *body = guard ? lt_stmt_if(k, guard, rest, NULL) : rest;
    for (int i = length - 1; i >= 0; i--) {
        body = lt_stmt_for(k, order[i]->u.loop.kind, order[i]->u.loop.var, order[i]->u.loop.extent,
                           body);
        body->loc = order[i]->loc;
    }
    body->next = after;
    *link = body;
    return NULL;
}

/* --- marks --------------------------------------------------------------------------------------
 */

static bool only_grid_around(const Kernel *k, const Stmt *loop) {
    const Stmt *s = k->body;
    while (s && s != loop && !s->next && s->kind == STMT_FOR && s->u.loop.kind == LOOP_GRID)
        s = s->u.loop.body;
    return s == loop && !s->next;
}

const char *lt_schedule_mark(Kernel *k, const char *loop, LoopKind kind) {
    Stmt *s = lt_schedule_find(k, loop);
    if (!s)
        return no_loop(k, loop);
    if (kind == LOOP_THREAD &&
        (s->u.loop.kind != LOOP_SERIAL ||
         (lt_dim_is_const(s->u.loop.extent) && s->u.loop.extent->value > LT_MAX_THREADS)))
        return lt_arena_printf(k->arena, "thread: '%s' is marked, or runs more than %d times", loop,
                               LT_MAX_THREADS);
    if ((kind == LOOP_UNROLL || kind == LOOP_VECTOR || kind == LOOP_THREAD) &&
        !lt_dim_is_const(s->u.loop.extent))
        return lt_arena_printf(k->arena, "'%s' has no constant extent: split it first", loop);
    if (kind == LOOP_PARALLEL && (k->body != s || s->next))
        return lt_arena_printf(k->arena, "parallel: '%s' is not the outermost loop of everything",
                               loop);
    if (kind == LOOP_GRID && !only_grid_around(k, s))
        return lt_arena_printf(k->arena, "grid: '%s' is not around everything", loop);
    s->u.loop.kind = kind;
    return NULL;
}

/* --- text ---------------------------------------------------------------------------------------
 */

typedef enum {
    VERB_SPLIT,
    VERB_BLOCK,
    VERB_FUSE,
    VERB_REORDER,
    VERB_UNROLL,
    VERB_VECTORIZE,
    VERB_PARALLEL,
    VERB_GRID,
    VERB_THREAD,
    VERB_SPREAD,
    VERB_TURN,
    VERB_OWN,
    VERB_TEAM,
    VERB_CACHE,
    VERB_RFACTOR,
    VERB_PACK,
    VERB_HOLD,
    VERB_PARTIAL,
    VERB_SHARE,
    VERB_PEEL,
    VERB_PREFETCH,
    VERB_VERSION,
    VERB_UNSWITCH,
    VERB_COMPUTE_AT
} Verb;

static const struct {
    const char *name;
    Verb verb;
    int min_words, max_words;
} verbs[] = {
    {"split", VERB_SPLIT, 2, 2},       {"block", VERB_BLOCK, 2, 2},
    {"fuse", VERB_FUSE, 2, 2},         {"reorder", VERB_REORDER, 2, MAX_CHAIN},
    {"unroll", VERB_UNROLL, 1, 1},     {"vectorize", VERB_VECTORIZE, 1, 1},
    {"parallel", VERB_PARALLEL, 1, 1}, {"cache", VERB_CACHE, 1, 8},
    {"rfactor", VERB_RFACTOR, 2, 2},   {"compute_at", VERB_COMPUTE_AT, 2, 2},
    {"pack", VERB_PACK, 4, 12},        {"prefetch", VERB_PREFETCH, 4, 4},
    {"version", VERB_VERSION, 1, 1},   {"peel", VERB_PEEL, 1, 1},
    {"hold", VERB_HOLD, 4, 12},        {"team", VERB_TEAM, 1, MAX_CHAIN},
    {"partial", VERB_PARTIAL, 4, 12},  {"grid", VERB_GRID, 1, 1},
    {"thread", VERB_THREAD, 1, 1},     {"spread", VERB_SPREAD, 3, 5},
    {"turn", VERB_TURN, 3, 3},         {"unswitch", VERB_UNSWITCH, 1, 1},
    {"share", VERB_SHARE, 6, 8},       {"own", VERB_OWN, 2, 2},
};

static const char *run_verb(Kernel *k, Verb verb, const char *const *words, int count) {
    switch (verb) {
    case VERB_SPLIT: return lt_schedule_split(k, words[0], atoll(words[1]));
    case VERB_BLOCK: return lt_schedule_block(k, words[0], atoll(words[1]));
    case VERB_FUSE: return lt_schedule_fuse(k, words[0], words[1]);
    case VERB_REORDER: return lt_schedule_reorder(k, words, count);
    case VERB_UNROLL: return lt_schedule_mark(k, words[0], LOOP_UNROLL);
    case VERB_VECTORIZE: return lt_schedule_mark(k, words[0], LOOP_VECTOR);
    case VERB_PARALLEL: return lt_schedule_mark(k, words[0], LOOP_PARALLEL);
    case VERB_GRID: return lt_schedule_mark(k, words[0], LOOP_GRID);
    case VERB_THREAD: return lt_schedule_mark(k, words[0], LOOP_THREAD);
    case VERB_SPREAD:
        return lt_schedule_spread(
            k, &(SpreadSpec){.width = atoll(words[0]),
                             .groups = atoll(words[1]),
                             .vector = atoll(words[2]),
                             .loop = count > 3 ? words[3] : NULL,
                             .is_across = count > 4 && strcmp(words[4], "across") == 0});
    case VERB_TURN: return lt_schedule_turn(k, words[0], words[1], words[2]);
    case VERB_OWN: return lt_schedule_own(k, words[0], atoll(words[1]));
    case VERB_TEAM: return lt_schedule_team(k, words, count);
    case VERB_CACHE: return lt_schedule_cache(k, words, count);
    case VERB_RFACTOR: return lt_schedule_rfactor(k, words[0], atoll(words[1]));
    case VERB_PEEL: return lt_schedule_peel(k, words[0]);
    case VERB_PACK:
    case VERB_HOLD:
        return lt_schedule_pack(k, &(PackSpec){.buffer = words[0],
                                               .loop = words[1],
                                               .lanes = atoi(words[2]),
                                               .axes = words + 3,
                                               .axis_count = count - 3,
                                               .in_registers = verb == VERB_HOLD});
    case VERB_PARTIAL:
        return lt_schedule_partial(k, &(PartialSpec){.fold = words[0],
                                                     .size = atoll(words[1]),
                                                     .loop = words[2],
                                                     .axes = words + 3,
                                                     .axis_count = count - 3});
    case VERB_SHARE:
        return lt_schedule_share(k, &(ShareSpec){.fold = words[0],
                                                 .piece = atoll(words[1]),
                                                 .loops = {words[2], words[4]},
                                                 .sizes = {atoll(words[3]), atoll(words[5])},
                                                 .how = words + 6,
                                                 .how_count = count - 6});
    case VERB_VERSION: return lt_schedule_version(k, words[0]);
    case VERB_UNSWITCH: return lt_schedule_unswitch(k, words[0]);
    case VERB_PREFETCH: return lt_schedule_prefetch(k, words[0], words + 1);
    case VERB_COMPUTE_AT: return lt_schedule_compute_at(k, words[0], words[1]);
    }
    return NULL;
}

static const char *apply_one(Kernel *k, char *text) {
    const char *words[MAX_CHAIN + 1];
    int count = 0;
    for (char *save, *word = strtok_r(text, " \t\n", &save); word;
         word = strtok_r(NULL, " \t\n", &save)) {
        if (count > MAX_CHAIN)
            return "a primitive has too many words";
        words[count++] = word;
    }
    if (count == 0)
        return NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, words[0]) != 0)
            continue;
        if (count - 1 < verbs[i].min_words || count - 1 > verbs[i].max_words)
            return lt_arena_printf(k->arena, "'%s' has %d words after it; it takes %d to %d",
                                   words[0], count - 1, verbs[i].min_words, verbs[i].max_words);
        return run_verb(k, verbs[i].verb, words + 1, count - 1);
    }
    return lt_arena_printf(k->arena, "'%s' is not a schedule primitive", words[0]);
}

const char *lt_schedule_apply(Kernel *k, const char *text) {
    char *copy = lt_arena_strdup(k->arena, text);
    for (char *save, *part = strtok_r(copy, ";", &save); part; part = strtok_r(NULL, ";", &save)) {
        const char *error = apply_one(k, part);
        if (error)
            return error;
    }
    k->schedule = k->schedule && *k->schedule
                      ? lt_arena_printf(k->arena, "%s; %s", k->schedule, text)
                      : lt_arena_strdup(k->arena, text);
    return NULL;
}
