/* schedule_fold.c - `rfactor`, which folds along a loop in lanes, and `compute_at`, which nests a
 * stage.
 *
 * rfactor k N:   acc = 0;  for k { acc = acc + x[k] }
 * becomes        alloc part[N];  vector l { part[l] = 0 };  acc = 0
 *                for k.0 { vector k.1 { if (k.0 * N + k.1 < K) { part[k.1] = part[k.1] + x[k.0 * N
 * + k.1] } } } vector l in N/2 { part[l] = part[l] + part[l + N/2] } ...;  acc = acc + part[0]
 *
 * The order of a sum is documented: N partial sums over every N-th element, then halves added
 * pairwise. */
#include "ir/schedule.h"

#include <assert.h>
#include <string.h>

/* --- rfactor ------------------------------------------------------------------------------------
 */

enum { MAX_FOLDED = 4 };

/* One accumulator that the loop folds, and how. */
typedef struct Folded {
    const Buffer *buffer;
    ScalarFn fn;
} Folded;

static bool is_folded(const Folded *folded, int count, const Buffer *buffer) {
    for (int i = 0; i < count; i++)
        if (folded[i].buffer == buffer)
            return true;
    return false;
}

/* acc[] = fn(acc[], x) or fn(x, acc[]), or fma(a, b, acc[]), which adds; x, a and b do not read
 * acc.
 */
static bool read_update(const Stmt *s, Folded *out) {
    const Expr *value = s->u.store.value;
    const Buffer *acc = s->u.store.buffer;
    if (value->kind != EXPR_CALL || acc->rank != 0)
        return false;
    ScalarFn fn = value->u.call.fn;
    int direct = 0, readers = 0;
    for (int i = 0; i < 3; i++) {
        const Expr *arg = value->u.call.args[i];
        if (!arg || !lt_expr_loads(arg, acc))
            continue;
        readers++;
        direct += arg->kind == EXPR_LOAD && arg->u.load.buffer == acc && !arg->u.load.predicate &&
                  (fn != FN_FMA || i == 2);
    }
    if (direct != 1 || readers != 1)
        return false;
    *out = (Folded){.buffer = s->u.store.buffer, .fn = fn == FN_FMA ? FN_ADD : fn};
    return fn == FN_FMA || lt_scalar_info[fn].associative;
}

static const char *collect_folded(Kernel *k, const Stmt *list, Folded *folded, int *count) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_IF && !s->u.branch.otherwise) {
            const char *error = collect_folded(k, s->u.branch.body, folded, count);
            if (error)
                return error;
        } else if (s->kind == STMT_STORE && s->u.store.buffer->kind == BUFFER_REGISTER) {
            if (*count == MAX_FOLDED || is_folded(folded, *count, s->u.store.buffer) ||
                !read_update(s, &folded[*count]))
                return lt_arena_printf(k->arena,
                                       "rfactor: '%s' is not folded by an associative function",
                                       s->u.store.buffer->name);
            ++*count;
        } else if (s->kind == STMT_FOR) {
            return "rfactor: there is another loop inside";
        }
    }
    return NULL;
}

/* Whether a condition in the list reads one of the accumulators: it would see a part of the sum. */
static bool conditions_read(const Stmt *list, const Folded *folded, int count) {
    for (const Stmt *s = list; s; s = s->next) {
        for (int i = 0; s->kind == STMT_IF && i < count; i++)
            if (lt_expr_loads(s->u.branch.condition, folded[i].buffer))
                return true;
        if (s->kind == STMT_IF && conditions_read(s->u.branch.body, folded, count))
            return true;
    }
    return false;
}

static const Expr *identity(Kernel *k, ScalarFn fn, DType dtype) {
    if (lt_dtype_is_float(dtype))
        return lt_expr_float(k, dtype, lt_scalar_identity_float(fn));
    return lt_expr_int(k, dtype, lt_scalar_identity_int(fn, dtype));
}

static const Expr *part_load(Kernel *k, const Buffer *part, const Dim *index) {
    return lt_expr_load(k, part, (const Dim *const[]){index}, NULL);
}

/* part[l] = identity for all lanes. */
static Stmt *clear_parts(Kernel *k, const Buffer *part, ScalarFn fn, int64_t lanes) {
    const Dim *extent = lt_dim_const(&k->dims, lanes), *var = lt_kernel_loop_var(k, "lane", extent);
    Stmt *store = lt_stmt_store(k, part, (const Dim *const[]){var}, identity(k, fn, part->dtype));
    return lt_stmt_for(k, LOOP_VECTOR, var, extent, store);
}

/* Halves until one is left, then acc = fn(acc, part[0]). */
static Stmt *combine_parts(Kernel *k, const Buffer *acc, const Buffer *part, ScalarFn fn,
                           int64_t lanes) {
    Stmt *list = NULL;
    for (int64_t width = lanes / 2; width >= 1; width /= 2) {
        const Dim *extent = lt_dim_const(&k->dims, width),
                  *var = lt_kernel_loop_var(k, "lane", extent);
        const Expr *low = part_load(k, part, var);
        const Expr *high = part_load(k, part, lt_dim_add_const(&k->dims, var, width));
        Stmt *store =
            lt_stmt_store(k, part, (const Dim *const[]){var}, lt_expr_call(k, fn, low, high, NULL));
        list = lt_stmt_join(list, lt_stmt_for(k, LOOP_VECTOR, var, extent, store));
    }
    const Expr *sum = lt_expr_call(k, fn, lt_expr_load(k, acc, NULL, NULL),
                                   part_load(k, part, lt_dim_const(&k->dims, 0)), NULL);
    return lt_stmt_join(list, lt_stmt_store(k, acc, NULL, sum));
}

/* The outermost loop of the fold that `loop` belongs to: up from it as long as a body holds nothing
 * else. */
static Stmt **fold_root(Stmt **link, const char *loop) {
    for (; *link; link = &(*link)->next) {
        Stmt *s = *link;
        Stmt **body = s->kind == STMT_FOR  ? &s->u.loop.body
                      : s->kind == STMT_IF ? &s->u.branch.body
                                           : NULL;
        if (s->kind == STMT_FOR && strcmp(s->u.loop.var->name, loop) == 0)
            return link;
        Stmt **inner = body ? fold_root(body, loop) : NULL;
        if (inner)
            return inner == body && !(*body)->next ? link : inner;
    }
    return NULL;
}

const char *lt_schedule_rfactor(Kernel *k, const char *loop, int64_t lanes) {
    Stmt **link = lt_schedule_link(k, loop);
    if (!link)
        return lt_arena_printf(k->arena, "there is no loop named '%s'", loop);
    if (lanes < 2 || (lanes & (lanes - 1)))
        return "rfactor: the number of lanes must be a power of two";
    Folded folded[MAX_FOLDED];
    int count = 0;
    const char *error = collect_folded(k, (*link)->u.loop.body, folded, &count);
    if (error)
        return error;
    if (count == 0)
        return lt_arena_printf(k->arena, "rfactor: nothing is folded by '%s'", loop);
    if (conditions_read((*link)->u.loop.body, folded, count))
        return lt_arena_printf(k->arena,
                               "rfactor: '%s' is not folded by an associative function under a "
                               "condition on itself",
                               folded[0].buffer->name);
    error = lt_schedule_split(k, loop, lanes);
    if (error)
        return error;
    Stmt *inner = lt_schedule_find(k, lt_arena_printf(k->arena, "%s.1", loop));
    inner->u.loop.kind = LOOP_VECTOR;
    Stmt *before = NULL, *behind = NULL;
    for (int i = 0; i < count; i++) {
        const Dim *dims[1] = {lt_dim_const(&k->dims, lanes)};
        Buffer *part = lt_kernel_local(k, BUFFER_REGISTER,
                                       lt_arena_printf(k->arena, "%s.part", folded[i].buffer->name),
                                       folded[i].buffer->dtype, 1, dims);
        lt_stmt_retarget(k, inner->u.loop.body, folded[i].buffer, part, &inner->u.loop.var, 1);
        before = lt_stmt_join(before, lt_stmt_alloc(k, part));
        before = lt_stmt_join(before, clear_parts(k, part, folded[i].fn, lanes));
        behind =
            lt_stmt_join(behind, combine_parts(k, folded[i].buffer, part, folded[i].fn, lanes));
    }
    Stmt **root = fold_root(&k->body, lt_arena_printf(k->arena, "%s.0", loop));
    Stmt *fold = *root, *after = fold->next;
    fold->next = NULL;
    *root = lt_stmt_join(before, lt_stmt_join(fold, lt_stmt_join(behind, after)));
    return NULL;
}

/* --- compute_at ---------------------------------------------------------------------------------
 */

enum { MAX_DEPTH = 16 };

static bool stores_to(const Stmt *list, const char *buffer) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_STORE && strcmp(s->u.store.buffer->name, buffer) == 0)
            return true;
        if (s->kind == STMT_FOR && stores_to(s->u.loop.body, buffer))
            return true;
        if (s->kind == STMT_IF &&
            (stores_to(s->u.branch.body, buffer) || stores_to(s->u.branch.otherwise, buffer)))
            return true;
    }
    return false;
}

static const Buffer *local_named(const Kernel *k, const char *name) {
    for (size_t i = k->param_count; i < k->buffers.len; i++)
        if (strcmp(k->buffers.data[i]->name, name) == 0)
            return k->buffers.data[i];
    return NULL;
}

/* The loops from the top of the consumer down to `loop`, all alone in their bodies. */
static int consumer_loops(Stmt *consumer, const char *loop, Stmt **out) {
    int depth = 0;
    for (Stmt *s = consumer; s && s->kind == STMT_FOR && depth < MAX_DEPTH; s = s->u.loop.body) {
        out[depth++] = s;
        if (strcmp(s->u.loop.var->name, loop) == 0)
            return depth;
        if (s->u.loop.body->next)
            break;
    }
    return 0;
}

/* The consumer's loops down to the one that takes the stage in. */
typedef struct Stage {
    const Buffer *buffer;
    const Stmt *loops[MAX_DEPTH];
    int depth;
    bool elsewhere; /* something is read that another iteration computes */
} Stage;

static const Expr *check_load(Kernel *k, const Expr *e, void *user) {
    Stage *s = user;
    (void)k;
    if (e->kind == EXPR_LOAD && e->u.load.buffer == s->buffer)
        for (int i = 0; i < s->depth; i++)
            s->elsewhere |= i >= s->buffer->rank || e->u.load.index[i] != s->loops[i]->u.loop.var;
    return e;
}

/* Whether each iteration of the stage's loops (s->loops) stores to its own part of the buffer. */
static bool stores_its_part(const Stage *s, const Stmt *list) {
    for (const Stmt *at = list; at; at = at->next) {
        if (at->kind == STMT_FOR && !stores_its_part(s, at->u.loop.body))
            return false;
        if (at->kind == STMT_IF &&
            !(stores_its_part(s, at->u.branch.body) && stores_its_part(s, at->u.branch.otherwise)))
            return false;
        for (int i = 0; at->kind == STMT_STORE && at->u.store.buffer == s->buffer && i < s->depth;
             i++)
            if (i >= s->buffer->rank || at->u.store.index[i] != s->loops[i]->u.loop.var)
                return false;
    }
    return true;
}

/* Whether statements behind the consumer read the buffer. */
static bool reads_after(Kernel *k, Stmt *list, const Buffer *buffer) {
    Stage s = {.buffer = buffer, .depth = MAX_DEPTH};
    static const Stmt nowhere;
    for (int i = 0; i < MAX_DEPTH; i++)
        s.loops[i] = &nowhere;
    lt_stmt_map(k, list, check_load, &s);
    return s.elsewhere;
}

/* The stage's outermost loops run over the same extents and index the buffer's first axes directly,
 * so that one iteration of the consumer needs exactly one of the stage. */
const char *lt_schedule_compute_at(Kernel *k, const char *stage, const char *loop) {
    const Buffer *buffer = local_named(k, stage);
    if (!buffer)
        return lt_arena_printf(k->arena, "compute_at: there is no local buffer '%s'", stage);
    Stmt **producer = &k->body;
    while (*producer &&
           !((*producer)->kind == STMT_FOR && stores_to((*producer)->u.loop.body, stage)))
        producer = &(*producer)->next;
    if (!*producer || !(*producer)->next)
        return "compute_at: the stage is not a loop nest in front of its consumer";
    Stmt *nest = *producer, *consumers[MAX_DEPTH];
    int depth = consumer_loops(nest->next, loop, consumers);
    if (!depth)
        return lt_arena_printf(k->arena, "compute_at: '%s' is not a loop of the next nest", loop);
    const Dim **by = lt_schedule_substitution(k);
    Stage producers = {.buffer = buffer, .depth = depth};
    Stmt *body = nest;
    for (int i = 0; i < depth; i++) {
        if (body->kind != STMT_FOR || (i > 0 && body->next) ||
            body->u.loop.extent != consumers[i]->u.loop.extent)
            return lt_arena_printf(k->arena,
                                   "compute_at: the loops of '%s' do not match those down to '%s'",
                                   stage, loop);
        by[body->u.loop.var->symbol] = consumers[i]->u.loop.var;
        producers.loops[i] = body;
        body = body->u.loop.body;
    }
    Stage s = {.buffer = buffer, .depth = depth};
    for (int i = 0; i < depth; i++)
        s.loops[i] = consumers[i];
    lt_stmt_map(k, consumers[0]->u.loop.body, check_load, &s);
    if (!stores_its_part(&producers, body))
        return lt_arena_printf(k->arena, "compute_at: '%s' is not stored part by part", stage);
    if (s.elsewhere || reads_after(k, nest->next->next, buffer))
        return lt_arena_printf(
            k->arena, "compute_at: what '%s' holds is read in other iterations of '%s' too", stage,
            loop);
    Stmt *target = consumers[depth - 1];
    target->u.loop.body = lt_stmt_join(lt_stmt_copy(k, body, by, NULL), target->u.loop.body);
    *producer = nest->next;
    return NULL;
}
