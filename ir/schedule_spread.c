/* schedule_spread.c - `spread`: the threads of a block work on one iteration of a loop together.
 *
 *   spread 256 1 1 i:   for i { acc = 0;  for r { acc = acc + x[i, r] };  y[i] = acc }
 *   becomes           grid i {
 *                       acc = 0
 *                       thread r.1 in 256 { for r.0 in ceil((R - r.1) / 256) {
 *                           acc = acc + x[i, 256*r.0 + r.1] } }
 *                       combine acc by add of 256
 *                       thread t in 1 { y[i] = acc } }
 *
 * With several rows a block, i is i.0 * G + t / 256, and stands only in thread loops. Each stage
 * gives position r to the same thread, so that what a stage keeps of a row the next one finds with
 * no barrier between; where a row has a constant extent, its local buffer becomes registers. A
 * search (best, where) is two folds: of best, and of where in those threads that have the best. */
#include "ir/schedule_spread.h"
#include "runtime/base/checked.h"

#include <assert.h>
#include <string.h>

enum { MOST_FOLDS = 8 };

static void fail(Spread *s, const char *what, const char *name) {
    if (!s->error)
        s->error = lt_arena_printf(s->kernel->arena, "spread: %s ('%s')", what, name);
}

/* --- folds ------------------------------------------------------------------------------------ */

static bool is_load_of(const Expr *e, const Buffer *buffer) {
    return e->kind == EXPR_LOAD && e->u.load.buffer == buffer && !e->u.load.predicate;
}

/* How often the list reads the buffer: statements that do. */
static int count_readers(const Stmt *list, const Buffer *buffer) {
    int count = 0;
    for (const Stmt *s = list; s; s = s->next) {
        switch (s->kind) {
        case STMT_FOR: count += count_readers(s->u.loop.body, buffer); break;
        case STMT_IF:
            count += lt_expr_loads(s->u.branch.condition, buffer) +
                     count_readers(s->u.branch.body, buffer) +
                     count_readers(s->u.branch.otherwise, buffer);
            break;
        case STMT_STORE: count += lt_expr_loads(s->u.store.value, buffer); break;
        case STMT_LET: count += lt_expr_loads(s->u.let.value, buffer); break;
        default: break;
        }
    }
    return count;
}

bool lt_spread_is_fold(const Stmt *s, StageFold *out) {
    const Expr *value = s->u.store.value;
    const Buffer *acc = s->u.store.buffer;
    if (value->kind != EXPR_CALL)
        return false;
    const ScalarFn fn = value->u.call.fn == FN_FMA ? FN_ADD : value->u.call.fn;
    if (!lt_scalar_info[fn].associative)
        return false;
    int direct = 0, readers = 0;
    for (int i = 0; i < 3 && value->u.call.args[i]; i++) {
        const bool may_be = value->u.call.fn != FN_FMA || i == 2;
        direct += may_be && is_load_of(value->u.call.args[i], acc);
        readers += lt_expr_loads(value->u.call.args[i], acc);
    }
    *out = (StageFold){.buffer = acc, .fn = fn};
    return direct == 1 && readers == 1;
}

/* The first comparison in the condition of x with best: FN_MIN for <, FN_MAX for >, else FN_ADD. */
static ScalarFn searched(const Expr *condition, const Buffer *best) {
    if (condition->kind != EXPR_CALL)
        return FN_ADD;
    const ScalarFn fn = condition->u.call.fn;
    if ((fn == FN_LT || fn == FN_GT) && is_load_of(condition->u.call.args[1], best))
        return fn == FN_LT ? FN_MIN : FN_MAX;
    if (fn == FN_LT && is_load_of(condition->u.call.args[0], best))
        return FN_MAX; /* a > b as b < a */
    return fn == FN_OR ? searched(condition->u.call.args[0], best) : FN_ADD;
}

/* where = select(c, position, where);  best = select(c, x, best), which lowering makes of an
 * argreduce: the first of the best. */
static bool is_search(const Stmt *s, StageFold *out) {
    const Stmt *next = s->next;
    if (!next || next->kind != STMT_STORE)
        return false;
    const Expr *position = s->u.store.value, *better = next->u.store.value;
    const Buffer *where = s->u.store.buffer, *best = next->u.store.buffer;
    const bool are_selects = position->kind == EXPR_CALL && position->u.call.fn == FN_SELECT &&
                             better->kind == EXPR_CALL && better->u.call.fn == FN_SELECT &&
                             position->u.call.args[0] == better->u.call.args[0];
    if (!are_selects || where->dtype != DT_I64 || best->kind != BUFFER_REGISTER ||
        position->u.call.args[1]->kind != EXPR_INDEX ||
        !is_load_of(position->u.call.args[2], where) || !is_load_of(better->u.call.args[2], best))
        return false;
    *out = (StageFold){best, searched(position->u.call.args[0], best), where};
    return out->fn != FN_ADD;
}

typedef Vec(StageFold) Folds;
typedef Vec(const Buffer *) Buffers;

static bool holds(const Buffers *buffers, const Buffer *b) {
    for (size_t i = 0; i < buffers->len; i++)
        if (buffers->data[i] == b)
            return true;
    return false;
}

/* The folds of a stage: of scalars that its body does not allocate. */
static void find_folds(Spread *s, const Stmt *list, Buffers *own, Folds *folds) {
    Arena *arena = s->kernel->arena;
    for (const Stmt *at = list; at; at = at->next) {
        if (at->kind == STMT_ALLOC)
            lt_vec_push(arena, own, at->u.alloc.buffer);
        if (at->kind == STMT_FOR)
            find_folds(s, at->u.loop.body, own, folds);
        if (at->kind == STMT_IF) {
            find_folds(s, at->u.branch.body, own, folds);
            find_folds(s, at->u.branch.otherwise, own, folds);
        }
        const bool is_store = at->kind == STMT_STORE;
        if (!is_store || at->u.store.buffer->kind != BUFFER_REGISTER ||
            holds(own, at->u.store.buffer))
            continue;
        StageFold fold;
        if (lt_spread_is_fold(at, &fold)) {
            lt_vec_push(arena, folds, fold);
        } else if (is_search(at, &fold)) {
            lt_vec_push(arena, folds, fold);
            at = at->next;
        } else {
            fail(s, "this is no fold", at->u.store.buffer->name);
        }
    }
}

/* Nothing but its own updates reads what a stage folds. */
static void check_folds(Spread *s, const Stmt *body, const Folds *folds) {
    for (size_t i = 0; i < folds->len; i++) {
        const StageFold *f = &folds->data[i];
        const int updates = f->where ? 2 : 1;
        if (count_readers(body, f->buffer) != updates ||
            (f->where && count_readers(body, f->where) != 1))
            fail(s, "a part of a fold is read", f->buffer->name);
    }
}

const Expr *lt_spread_identity(Kernel *k, ScalarFn fn, DType dtype) {
    if (lt_dtype_is_float(dtype))
        return lt_expr_float(k, dtype, lt_scalar_identity_float(fn));
    return lt_expr_int(k, dtype, lt_scalar_identity_int(fn, dtype));
}

/* Every thread's copy begins with what adds nothing: the statement before the stage that sets it
 * says so. */
static void check_start(Spread *s, const Stmt *list, const Stmt *stage, const StageFold *f) {
    const Expr *start = NULL;
    for (const Stmt *at = list; at != stage; at = at->next)
        if (at->kind == STMT_STORE && at->u.store.buffer == f->buffer)
            start = at->u.store.value;
        else if (at->kind != STMT_ALLOC && at->kind != STMT_STORE)
            start = NULL;
    if (start != lt_spread_identity(s->kernel, f->fn, f->buffer->dtype))
        fail(s, "a fold does not begin with what changes nothing", f->buffer->name);
}

/* --- threads ---------------------------------------------------------------------------------- */

const Dim *lt_spread_lane(Spread *s, const Dim *var) {
    DimTable *t = &s->kernel->dims;
    if (s->is_across)
        return lt_dim_floordiv(t, var, lt_dim_const(t, s->groups));
    return s->groups > 1 ? lt_dim_mod(t, var, lt_dim_const(t, s->width)) : var;
}

/* The row's number, in a thread loop over var. */
static const Dim *row_of(Spread *s, const Dim *var) {
    DimTable *t = &s->kernel->dims;
    const Dim *group = s->is_across ? lt_dim_mod(t, var, lt_dim_const(t, s->groups))
                                    : lt_dim_floordiv(t, var, lt_dim_const(t, s->width));
    return lt_dim_add(t, lt_dim_mul_const(t, s->block, s->groups), group);
}

static Stmt *combine(Spread *s, const Buffer *b, ScalarFn fn) {
    return lt_stmt_combine(s->kernel, b, fn, s->width, s->is_across ? s->groups : 1);
}

const Dim *lt_spread_thread_var(Spread *s, const char *name, int64_t count) {
    return lt_kernel_loop_var(s->kernel, name, lt_dim_const(&s->kernel->dims, count));
}

Stmt *lt_spread_threads(Spread *s, const Dim *var, int64_t count, const Expr *condition,
                        Stmt *list) {
    Kernel *k = s->kernel;
    if (s->groups > 1) {
        const Dim *row = row_of(s, var);
        list = lt_stmt_replace_var(k, list, s->row, row);
        if (!lt_dim_divisible(&k->dims, s->extent, s->groups))
            condition = lt_expr_and(k, condition, lt_expr_less(k, row, s->extent));
    }
    if (condition)
        list = lt_stmt_if(k, condition, list, NULL);
    return lt_stmt_for(k, LOOP_THREAD, var, lt_dim_const(&k->dims, count), list);
}

/* A statement that stores what others see: one thread does it. */
static Stmt *by_one_thread(Spread *s, Stmt *one) {
    Kernel *k = s->kernel;
    const bool is_alone = s->groups == 1;
    const int64_t count = is_alone ? 1 : s->groups * s->width;
    const Dim *var = lt_spread_thread_var(s, "t", count);
    const Expr *first = NULL;
    if (!is_alone)
        first = lt_expr_call(k, FN_EQ, lt_expr_index(k, lt_spread_lane(s, var)),
                             lt_expr_int(k, DT_I64, 0), NULL);
    return lt_spread_threads(s, var, count, first, one);
}

/* A private value of the row: every thread has it. */
static Stmt *by_all_threads(Spread *s, Stmt *one) {
    if (s->groups == 1 || !lt_expr_mentions(one->u.store.value, s->row))
        return one;
    const int64_t count = s->groups * s->width;
    return lt_spread_threads(s, lt_spread_thread_var(s, "t", count), count, NULL, one);
}

/* --- rows in registers ------------------------------------------------------------------------ */

/* Whether the stages keep their row in a local buffer of that many elements. */
static bool is_row(const Spread *s, const Buffer *b) {
    return b->kind == BUFFER_STACK &&
           lt_dim_product(&s->kernel->dims, b->dims, b->rank) == s->stage;
}

/* Accesses to a row in the stage over var, whose positions are shared out as `own`. */
typedef struct RowUse {
    Spread *spread;
    const Buffer *row, *registers;
    const Dim *var, *own;
} RowUse;

static void check_position(const RowUse *u, const Dim *const *index) {
    if (lt_buffer_flat(&u->spread->kernel->dims, u->row, index) != u->var)
        fail(u->spread, "another position of the row is needed", u->row->name);
}

static const Expr *check_row_load(Kernel *k, const Expr *e, void *user) {
    const RowUse *u = user;
    (void)k;
    if (e->kind == EXPR_LOAD && e->u.load.buffer == u->row)
        check_position(u, e->u.load.index);
    return e;
}

static const Expr *map_row_load(Kernel *k, const Expr *e, void *user) {
    const RowUse *u = user;
    if (e->kind != EXPR_LOAD || e->u.load.buffer != u->row)
        return e;
    return lt_expr_load(k, u->registers, &u->own, e->u.load.predicate);
}

/* Stores to the row: checked, or, where there are registers, moved to them. */
static void visit_row_stores(Kernel *k, Stmt *list, const RowUse *u) {
    for (Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_FOR)
            visit_row_stores(k, s->u.loop.body, u);
        if (s->kind == STMT_IF) {
            visit_row_stores(k, s->u.branch.body, u);
            visit_row_stores(k, s->u.branch.otherwise, u);
        }
        if (s->kind != STMT_STORE || s->u.store.buffer != u->row)
            continue;
        if (!u->registers) {
            check_position(u, s->u.store.index);
            continue;
        }
        s->u.store.index = lt_arena_copy(k->arena, &u->own, sizeof u->own);
        s->u.store.buffer = u->registers;
    }
}

/* --- stages ----------------------------------------------------------------------------------- */

typedef struct Rows {
    Buffers rows, registers;
} Rows;

/* The loop's body at a position, in `for r.2 in vector` where there are several. */
static Stmt *at_position(Spread *s, const Stmt *loop, Stmt *body, const Dim *first,
                         const Dim *neighbour) {
    Kernel *k = s->kernel;
    if (!neighbour)
        return lt_stmt_replace_var(k, body, loop->u.loop.var, first);
    body = lt_stmt_replace_var(k, body, loop->u.loop.var, lt_dim_add(&k->dims, first, neighbour));
    return lt_stmt_for(k, LOOP_UNROLL, neighbour, lt_dim_const(&k->dims, s->vector), body);
}

/* for r.0 { body }, where the lane has every width-th position, or every width-th few. */
static Stmt *shared_out(Spread *s, const Stmt *loop, const Dim *lane, const Rows *rows) {
    Kernel *k = s->kernel;
    DimTable *t = &k->dims;
    const char *name = loop->u.loop.var->name;
    const Dim *n = lt_dim_const(t, s->width), *few = lt_dim_const(t, s->vector);
    const Dim *extent = lt_dim_floordiv(t, loop->u.loop.extent, few);
    const bool in_registers = rows->rows.len > 0, is_even = lt_dim_divisible(t, extent, s->width);
    const Dim *steps = in_registers || is_even ? lt_dim_ceildiv(t, extent, n)
                                               : lt_dim_ceildiv(t, lt_dim_sub(t, extent, lane), n);
    const Dim *var = lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.0", name), steps);
    const Dim *neighbour =
        s->vector > 1 ? lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.2", name), few) : NULL;
    const Dim *kept = lt_dim_mul(t, var, few);
    if (neighbour)
        kept = lt_dim_add(t, kept, neighbour);
    Stmt *body = lt_stmt_copy(k, loop->u.loop.body, NULL, NULL);
    for (size_t i = 0; i < rows->rows.len; i++) {
        RowUse use = {s, rows->rows.data[i], rows->registers.data[i], loop->u.loop.var, kept};
        lt_stmt_map(k, body, map_row_load, &use);
        visit_row_stores(k, body, &use);
    }
    const Dim *position = lt_dim_add(t, lt_dim_mul(t, var, n), lane);
    body = at_position(s, loop, body, lt_dim_mul(t, position, few), neighbour);
    if (in_registers && !is_even)
        body = lt_stmt_if(k, lt_expr_less(k, position, extent), body, NULL);
    return lt_stmt_for(k, in_registers ? LOOP_UNROLL : LOOP_SERIAL, var, steps, body);
}

/* mine = best; combine best; where = mine is as good ? where : MAX; combine where */
static Stmt *combine_search(Spread *s, const StageFold *f) {
    Kernel *k = s->kernel;
    const Buffer *best = f->buffer;
    const Buffer *mine = lt_kernel_local(
        k, BUFFER_REGISTER, lt_arena_printf(k->arena, "%s.own", best->name), best->dtype, 0, NULL);
    const Expr *own = lt_expr_load(k, mine, NULL, NULL), *all = lt_expr_load(k, best, NULL, NULL);
    const Expr *is_best = lt_expr_call(k, FN_EQ, own, all, NULL);
    if (lt_dtype_is_float(best->dtype))
        is_best = lt_expr_call(k, FN_OR, is_best,
                               lt_expr_call(k, FN_AND, lt_expr_call(k, FN_ISNAN, own, NULL, NULL),
                                            lt_expr_call(k, FN_ISNAN, all, NULL, NULL), NULL),
                               NULL);
    const Expr *where = lt_expr_call(k, FN_SELECT, is_best, lt_expr_load(k, f->where, NULL, NULL),
                                     lt_expr_int(k, DT_I64, INT64_MAX));
    Stmt *list = lt_stmt_join(lt_stmt_alloc(k, mine), lt_stmt_store(k, mine, NULL, all));
    list = lt_stmt_join(list, combine(s, best, f->fn));
    list = lt_stmt_join(list, lt_stmt_store(k, f->where, NULL, where));
    return lt_stmt_join(list, combine(s, f->where, FN_MIN));
}

static Stmt *spread_stage(Spread *s, const Stmt *loop, const Rows *rows) {
    Folds folds = {0};
    Buffers own = {0};
    StageFold running;
    if (lt_spread_is_scan(loop, &running))
        return lt_spread_scan(s, loop);
    find_folds(s, loop->u.loop.body, &own, &folds);
    const int64_t count = s->groups * s->width;
    const char *name = lt_arena_printf(s->kernel->arena, "%s.1", loop->u.loop.var->name);
    const Dim *var = lt_spread_thread_var(s, name, count);
    Stmt *result =
        lt_spread_threads(s, var, count, NULL, shared_out(s, loop, lt_spread_lane(s, var), rows));
    for (size_t i = 0; i < folds.len; i++) {
        const StageFold *f = &folds.data[i];
        result =
            lt_stmt_join(result, f->where ? combine_search(s, f) : combine(s, f->buffer, f->fn));
    }
    return result;
}

static void find_rows(Spread *s, const Stmt *list, Rows *rows) {
    Kernel *k = s->kernel;
    for (const Stmt *at = list; at; at = at->next) {
        if (at->kind != STMT_ALLOC || !is_row(s, at->u.alloc.buffer))
            continue;
        const Buffer *row = at->u.alloc.buffer;
        const char *name = lt_arena_printf(k->arena, "%s.own", row->name);
        const Dim *few = lt_dim_const(&k->dims, s->vector);
        const Dim *count = lt_dim_ceildiv(&k->dims, lt_dim_floordiv(&k->dims, s->stage, few),
                                          lt_dim_const(&k->dims, s->width));
        count = lt_dim_mul(&k->dims, count, few);
        const Buffer *registers = lt_kernel_local(k, BUFFER_REGISTER, name, row->dtype, 1, &count);
        lt_vec_push(k->arena, &rows->rows, row);
        lt_vec_push(k->arena, &rows->registers, registers);
    }
}

static Stmt *spread_alloc(Spread *s, const Buffer *b, const Rows *rows) {
    for (size_t i = 0; i < rows->rows.len; i++)
        if (rows->rows.data[i] == b)
            return lt_stmt_alloc(s->kernel, rows->registers.data[i]);
    return lt_stmt_alloc(s->kernel, b);
}

static Stmt *spread_store(Spread *s, const Stmt *at) {
    const Buffer *b = at->u.store.buffer;
    Stmt *copy = lt_stmt_store(s->kernel, b, at->u.store.index, at->u.store.value);
    return lt_buffer_is_private(b) ? by_all_threads(s, copy) : by_one_thread(s, copy);
}

static Stmt *spread_list(Spread *s, Stmt *list) {
    Stmt *result = NULL;
    Rows rows = {0};
    find_rows(s, list, &rows);
    for (const Stmt *at = list; at; at = at->next) {
        Stmt *made = at->kind == STMT_FOR     ? spread_stage(s, at, &rows)
                     : at->kind == STMT_ALLOC ? spread_alloc(s, at->u.alloc.buffer, &rows)
                                              : spread_store(s, at);
        if (made)
            made->loc = at->loc;
        result = lt_stmt_join(result, made);
    }
    return result;
}

/* --- what can be spread ----------------------------------------------------------------------- */

/* Stages have one extent, so that they share their positions out alike; a scan shares them out in
 * its own way. */
static void find_stages(Spread *s, const Stmt *list) {
    bool has_scan = false;
    int count = 0;
    for (const Stmt *at = list; at; at = at->next) {
        if (at->kind != STMT_FOR)
            continue;
        if (at->u.loop.kind != LOOP_SERIAL || (s->stage && s->stage != at->u.loop.extent))
            fail(s, "its stages have different extents, or are marked", at->u.loop.var->name);
        s->stage = at->u.loop.extent;
        StageFold running;
        has_scan |= lt_spread_is_scan(at, &running);
        count++;
    }
    if (!s->stage)
        fail(s, "there is no stage", s->kernel->name);
    else if (has_scan && (count > 1 || s->vector < 1))
        fail(s, "there is another stage beside a running fold", s->kernel->name);
    else if (has_scan)
        return;
    else if (s->vector < 1 || !lt_dim_divisible(&s->kernel->dims, s->stage, s->vector))
        fail(s, "its stages' extent is no multiple of the neighbours", s->kernel->name);
}

static void check_stage(Spread *s, const Stmt *list, const Stmt *loop) {
    Folds folds = {0};
    Buffers own = {0};
    find_folds(s, loop->u.loop.body, &own, &folds);
    StageFold running;
    if (!lt_spread_is_scan(loop, &running))
        check_folds(s, loop->u.loop.body, &folds);
    for (size_t i = 0; i < folds.len; i++)
        check_start(s, list, loop, &folds.data[i]);
    for (const Stmt *at = list; at; at = at->next) {
        if (at->kind != STMT_ALLOC || !is_row(s, at->u.alloc.buffer))
            continue;
        RowUse use = {.spread = s, .row = at->u.alloc.buffer, .var = loop->u.loop.var};
        lt_stmt_map(s->kernel, loop->u.loop.body, check_row_load, &use);
        visit_row_stores(s->kernel, loop->u.loop.body, &use);
    }
}

/* Changes nothing. */
static void check_list(Spread *s, const Stmt *list) {
    find_stages(s, list);
    for (const Stmt *at = list; at && !s->error; at = at->next) {
        if (at->kind == STMT_FOR)
            check_stage(s, list, at);
        else if (at->kind == STMT_ALLOC && at->u.alloc.buffer->kind > BUFFER_REGISTER &&
                 !is_row(s, at->u.alloc.buffer))
            fail(s, "a local buffer is no row", at->u.alloc.buffer->name);
        else if (at->kind != STMT_ALLOC && at->kind != STMT_STORE)
            fail(s, "something else is between its stages", s->kernel->name);
    }
}

static Spread begin(Kernel *k, const SpreadSpec *spec) {
    Spread s = {.kernel = k, .width = spec->width, .groups = spec->groups, .vector = spec->vector};
    Stmt *around = spec->loop ? lt_schedule_find(k, spec->loop) : NULL;
    s.is_across = spec->is_across && s.groups > 1;
    if (spec->loop && (!around || k->body != around || around->next))
        fail(&s, "it is not around everything", spec->loop);
    else if (!lt_is_power_of_two(s.width) || !lt_is_power_of_two(s.groups) ||
             s.width > LT_MAX_THREADS || s.groups > LT_MAX_THREADS / s.width ||
             (s.groups > 1 && !spec->loop))
        fail(&s, "threads and groups are powers of two, and fit into a block together", k->name);
    else if (around) {
        s.row = s.block = around->u.loop.var;
        s.extent = around->u.loop.extent;
    }
    if (!s.error)
        check_list(&s, around ? around->u.loop.body : k->body);
    return s;
}

const char *lt_schedule_spread_error(Kernel *k, const SpreadSpec *spec) {
    return begin(k, spec).error;
}

const char *lt_schedule_spread(Kernel *k, const SpreadSpec *spec) {
    Spread s = begin(k, spec);
    if (s.error)
        return s.error;
    const Dim *blocks = s.extent;
    if (s.groups > 1) {
        blocks = lt_dim_ceildiv(&k->dims, s.extent, lt_dim_const(&k->dims, s.groups));
        s.block = lt_kernel_loop_var(k, lt_arena_printf(k->arena, "%s.0", s.row->name), blocks);
    }
    Stmt *body = spread_list(&s, s.row ? k->body->u.loop.body : k->body);
    k->body = s.row ? lt_stmt_for(k, LOOP_GRID, s.block, blocks, body) : body;
    return NULL;
}
