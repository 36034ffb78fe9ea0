/* kernel_verify.c - the rules of kernels. Each breach is one INTERNAL error that names the rule. */
#include <assert.h>
#include <string.h>

#include "ir/kernel_expr.h"
#include "lathe/runtime.h"
#include "runtime/base/checked.h"

#define RULES(X) \
    X(PARAMS_FIRST, "params-first", \
      "parameters come first and locals after them, numbered in order") \
    X(NAMES, "names", "names of buffers are unique") \
    X(SYMBOL_SCOPE, "symbol-scope", "a symbol is used only where it is defined") \
    X(BUFFER_SCOPE, "buffer-scope", \
      "a local buffer is used only after its alloc, inside its list") \
    X(DEFINED_ONCE, "defined-once", "a symbol or buffer that is visible is not defined again") \
    X(INPUT_STORE, "input-store", "nothing is stored to an input") \
    X(STORE_DTYPE, "store-dtype", "a stored value has the buffer's dtype") \
    X(CONDITION_DTYPE, "condition-dtype", "conditions and predicates are bool") \
    X(LET_DTYPE, "let-dtype", "a let's value is i64") \
    X(OPERANDS, "operands", "scalar functions get the dtypes that they take") \
    X(INDEX_RANGE, "index-range", "no access is out of range wherever it runs") \
    X(PARALLEL_PLACE, "parallel-place", \
      "a parallel loop is in no other one, no vector loop and no condition") \
    X(GRID_PLACE, "grid-place", \
      "grid loops are around everything, and their extents are made of integer arguments") \
    X(THREAD_PLACE, "thread-place", \
      "a thread loop is in no other one, no vector loop and no condition that threads may differ " \
      "in, and has a constant extent of at most LT_MAX_THREADS") \
    X(THREAD_LET, "thread-let", \
      "a let outside of thread loops has one value for all threads: it reads none of their own " \
      "locals, unless what is around it may differ between threads") \
    X(TEAM_EXTENT, "team-extent", "parallel loops have one extent, made of integer arguments") \
    X(TEAM_STORE, "team-store", \
      "outside of its parallel loops, a team's kernel stores to private buffers alone") \
    X(BARRIER_PLACE, "barrier-place", \
      "all threads come to a barrier equally often: no condition, parallel or vector loop is " \
      "around it, and no loop whose extent was loaded") \
    X(COMBINE, "combine", \
      "what is combined, and a scan's total, are visible private scalars of one dtype, by an " \
      "associative function of it, in groups of a power of two that divides the threads of a " \
      "block, where a barrier may be") \
    X(CONSTANT_EXTENT, "constant-extent", "unrolled, vector and mma loops have constant extents") \
    X(VECTOR_NEST, "vector-nest", "there is no vector loop inside a vector loop") \
    X(RACE, "race", "iterations of parallel and vector loops store to different elements") \
    X(LOCAL_EXTENTS, "local-extents", "local buffers have constant positive extents") \
    X(STACK_SIZE, "stack-size", "stack buffers fit into LT_MAX_STACK together") \
    X(PREFETCH_PARAM, "prefetch-param", "only parameters are prefetched") \
    X(SCRATCH_PLACE, "scratch-place", "scratch buffers are shared by lanes: none in vector loops") \
    X(SCRATCH_SIZE, "scratch-size", "scratch buffers fit into LT_MAX_SCRATCH together") \
    X(IN_PLACE, "in-place", "in_place names inputs of the first output's dtype")

enum {
#define X(e, name, text) RULE_##e,
    RULES(X)
#undef X
};

static const struct {
    const char *name, *text;
} rules[] = {
#define X(e, name, text) {name, text},
    RULES(X)
#undef X
};

/* A loop whose iterations must be independent, and what was visible around it. */
typedef struct Concurrent {
    const Dim *var;
    bool *depends; /* by symbol: its value may differ between iterations */
    bool *outside; /* by buffer: visible before the loop, so shared by iterations */
    const struct Concurrent *around;
} Concurrent;

typedef struct Verifier {
    const Kernel *kernel;
    DiagList *diags;
    const Loc *loc; /* of the statement at hand */
    bool *symbols;  /* visible, by symbol */
    bool *buffers;  /* visible, by buffer index */
    uint32_t *seen; /* by expression id: 2 * statement + (1 if it ran unconditionally) */
    uint32_t statement;
    int conditions; /* how many enclosing conditions */
    bool in_vector, in_parallel;
    int uneven;       /* how many statements around this one may differ between threads */
    bool *lets;       /* by symbol: defined by a let */
    const Stmt *team; /* of a team's kernel, the first parallel loop; NULL: not one */
    int64_t threads;  /* of a block; 0: no thread loops */
    const Concurrent *concurrent;           /* the innermost */
    int64_t local_bytes[BUFFER_SHARED + 1]; /* by kind */
    int breaches;
} Verifier;

static void breach(Verifier *v, int rule, const char *what) {
    v->breaches++;
    lt_error(v->diags, LATHE_INTERNAL, v->loc ? v->loc : v->kernel->loc,
             "kernel %s breaks '%s' (%s): %s", v->kernel->name, rules[rule].name, rules[rule].text,
             what);
}

/* --- symbols and indices -------------------------------------------------------------------------
 */

static void check_dim(Verifier *v, const Dim *d) {
    if (d->kind == DIM_SYMBOL && !v->symbols[d->symbol])
        breach(v, RULE_SYMBOL_SCOPE, d->name);
    for (uint32_t i = 0; i < d->count; i++)
        check_dim(v, d->args[i]);
}

static void check_index(Verifier *v, const Buffer *b, const Dim *const *index,
                        bool is_conditional) {
    if (!v->buffers[b->index])
        breach(v, RULE_BUFFER_SCOPE, b->name);
    DimTable *dims = (DimTable *)&v->kernel->dims; /* interning only adds to it */
    for (int i = 0; i < b->rank; i++) {
        check_dim(v, index[i]);
        int64_t lo, hi, past_lo, past_hi;
        lt_dim_range(dims, index[i], &lo, &hi);
        lt_dim_range(dims, lt_dim_sub(dims, index[i], b->dims[i]), &past_lo, &past_hi);
        if (!is_conditional && (hi < 0 || past_lo >= 0))
            breach(v, RULE_INDEX_RANGE, b->name);
    }
}

/* --- expressions --------------------------------------------------------------------------- */

static void check_expr(Verifier *v, const Expr *e, bool is_conditional);

static void check_load(Verifier *v, const Expr *e, bool is_conditional) {
    const Expr *predicate = e->u.load.predicate;
    if (predicate) {
        check_expr(v, predicate, is_conditional);
        if (predicate->dtype != DT_BOOL)
            breach(v, RULE_CONDITION_DTYPE, "a load's predicate");
    }
    check_index(v, e->u.load.buffer, e->u.load.index, is_conditional || predicate);
}

static void check_call(Verifier *v, const Expr *e, bool is_conditional) {
    const ScalarFn fn = e->u.call.fn;
    const char *error = lt_scalar_check(v->kernel->arena, fn, e->u.call.args);
    if (error)
        breach(v, RULE_OPERANDS, error);
    for (int i = 0; i < lt_scalar_info[fn].arity; i++)
        check_expr(v, e->u.call.args[i], is_conditional || (fn == FN_SELECT && i > 0));
}

static void check_bitcast(Verifier *v, const Expr *e, bool is_conditional) {
    const Expr *a = e->u.call.args[0];
    if (lt_dtype_bits(a->dtype) != lt_dtype_bits(e->dtype))
        breach(v, RULE_OPERANDS, "a bitcast between dtypes of different size");
    check_expr(v, a, is_conditional);
}

static void check_expr(Verifier *v, const Expr *e, bool is_conditional) {
    const uint32_t stamp = 2 * v->statement + !is_conditional;
    if (v->seen[e->id] >= stamp)
        return;
    v->seen[e->id] = stamp;
    switch (e->kind) {
    case EXPR_CONST: return;
    case EXPR_INDEX: check_dim(v, e->u.dim); return;
    case EXPR_LOAD: check_load(v, e, is_conditional); return;
    case EXPR_CALL: check_call(v, e, is_conditional); return;
    case EXPR_CONVERT: check_expr(v, e->u.call.args[0], is_conditional); return;
    case EXPR_BITCAST: check_bitcast(v, e, is_conditional); return;
    }
}

/* --- independent iterations ---------------------------------------------------------------- */

static bool dim_depends(const bool *depends, const Dim *d) {
    if (d->kind == DIM_SYMBOL)
        return depends[d->symbol];
    for (uint32_t i = 0; i < d->count; i++) {
        if (dim_depends(depends, d->args[i]))
            return true;
    }
    return false;
}

static void check_race(Verifier *v, const Buffer *b, const Dim *const *index) {
    for (const Concurrent *loop = v->concurrent; loop; loop = loop->around) {
        bool differs = !loop->outside[b->index] || (v->threads > 0 && lt_buffer_is_private(b));
        for (int i = 0; i < b->rank && !differs; i++)
            differs = dim_depends(loop->depends, index[i]);
        if (!differs)
            breach(v, RULE_RACE,
                   lt_arena_printf(v->kernel->arena, "%s over %s", b->name, loop->var->name));
    }
}

/* --- statements ---------------------------------------------------------------------------- */

static void check_list(Verifier *v, const Stmt *list);

static void define_symbol(Verifier *v, const Dim *symbol) {
    if (v->symbols[symbol->symbol])
        breach(v, RULE_DEFINED_ONCE, symbol->name);
    v->symbols[symbol->symbol] = true;
}

static void check_concurrent(Verifier *v, const Stmt *s) {
    const Kernel *k = v->kernel;
    Concurrent loop = {.var = s->u.loop.var, .around = v->concurrent};
    loop.depends = LT_ARRAY(k->arena, bool, k->dims.symbols.len);
    loop.depends[loop.var->symbol] = true;
    loop.outside = lt_arena_copy(k->arena, v->buffers, k->buffers.len * sizeof(bool));
    v->concurrent = &loop;
    check_list(v, s->u.loop.body);
    v->concurrent = loop.around;
}

static void check_parallel(Verifier *v, const Stmt *s) {
    const char *name = s->u.loop.var->name;
    if (v->in_parallel || v->in_vector || v->uneven)
        breach(v, RULE_PARALLEL_PLACE, name);
    /* Ranges are cut out of the extent before the kernel runs. */
    if (!lt_kernel_knows_dim(v->kernel, s->u.loop.extent) ||
        (v->team && s->u.loop.extent != v->team->u.loop.extent))
        breach(v, RULE_TEAM_EXTENT, name);
}

static void check_grid(Verifier *v, const Stmt *s) {
    const Stmt *at = v->kernel->body;
    while (at != s && at && !at->next && at->kind == STMT_FOR && at->u.loop.kind == LOOP_GRID)
        at = at->u.loop.body;
    if (at != s || s->next || !lt_kernel_knows_dim(v->kernel, s->u.loop.extent))
        breach(v, RULE_GRID_PLACE, s->u.loop.var->name);
}

static void check_threads(Verifier *v, const Stmt *s) {
    const Dim *extent = s->u.loop.extent;
    if (v->in_parallel || v->in_vector || v->uneven || !lt_dim_is_const(extent) ||
        extent->value > LT_MAX_THREADS)
        breach(v, RULE_THREAD_PLACE, s->u.loop.var->name);
}

static void check_loop_rules(Verifier *v, const Stmt *s) {
    const LoopKind kind = s->u.loop.kind;
    const Dim *var = s->u.loop.var, *extent = s->u.loop.extent;
    const bool is_vector = kind == LOOP_VECTOR || kind == LOOP_FETCH;
    check_dim(v, extent);
    define_symbol(v, var);
    if (kind == LOOP_PARALLEL)
        check_parallel(v, s);
    if (kind == LOOP_GRID)
        check_grid(v, s);
    if (kind == LOOP_THREAD)
        check_threads(v, s);
    if ((kind == LOOP_UNROLL || is_vector || kind >= LOOP_MMA) && !lt_dim_is_const(extent))
        breach(v, RULE_CONSTANT_EXTENT, var->name);
    if (is_vector && v->in_vector)
        breach(v, RULE_VECTOR_NEST, var->name);
}

static void check_loop(Verifier *v, const Stmt *s) {
    const LoopKind kind = s->u.loop.kind;
    const Dim *var = s->u.loop.var, *extent = s->u.loop.extent;
    check_loop_rules(v, s);
    int64_t lo, hi;
    lt_dim_range(&v->kernel->dims, extent, &lo, &hi);
    const bool may_be_empty = lo < 1, was_in_vector = v->in_vector, was_parallel = v->in_parallel;
    const bool is_shared_out = kind == LOOP_PARALLEL || kind == LOOP_THREAD;
    const bool is_vector = kind == LOOP_VECTOR || kind == LOOP_FETCH;
    const bool is_concurrent = is_shared_out || is_vector || kind == LOOP_GRID;
    const bool is_uneven = is_vector || is_shared_out || dim_depends(v->lets, extent);
    v->conditions += may_be_empty;
    v->uneven += is_uneven;
    v->in_vector |= is_vector;
    v->in_parallel |= is_shared_out;
    if (is_concurrent && !lt_dim_is(extent, 1))
        check_concurrent(v, s);
    else
        check_list(v, s->u.loop.body);
    v->in_vector = was_in_vector;
    v->in_parallel = was_parallel;
    v->uneven -= is_uneven;
    v->conditions -= may_be_empty;
    v->symbols[var->symbol] = false;
}

static void check_branch(Verifier *v, const Stmt *s) {
    check_expr(v, s->u.branch.condition, v->conditions > 0);
    if (s->u.branch.condition->dtype != DT_BOOL)
        breach(v, RULE_CONDITION_DTYPE, "an if");
    v->conditions++;
    v->uneven++;
    check_list(v, s->u.branch.body);
    check_list(v, s->u.branch.otherwise);
    v->uneven--;
    v->conditions--;
}

static void check_store(Verifier *v, const Stmt *s) {
    const Buffer *b = s->u.store.buffer;
    check_index(v, b, s->u.store.index, v->conditions > 0);
    check_expr(v, s->u.store.value, v->conditions > 0);
    if (b->kind == BUFFER_INPUT)
        breach(v, RULE_INPUT_STORE, b->name);
    if (s->u.store.value->dtype != b->dtype)
        breach(v, RULE_STORE_DTYPE,
               lt_arena_printf(v->kernel->arena, "%s holds %s, found %s", b->name,
                               lt_dtype_name(b->dtype), lt_dtype_name(s->u.store.value->dtype)));
    if ((v->team || v->threads > 0) && !v->in_parallel && !lt_buffer_is_private(b))
        breach(v, RULE_TEAM_STORE, b->name);
    check_race(v, b, s->u.store.index);
}

static bool loads_private(const Expr *e) {
    bool found =
        e->kind == EXPR_LOAD && (lt_buffer_is_private(e->u.load.buffer) ||
                                 (e->u.load.predicate && loads_private(e->u.load.predicate)));
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        found = found || (e->u.call.args[i] && loads_private(e->u.call.args[i]));
    return found;
}

/* A let may carry anything that differs between iterations: its value may come from memory. */
static void check_let(Verifier *v, const Stmt *s) {
    check_expr(v, s->u.let.value, v->conditions > 0);
    if (s->u.let.value->dtype != DT_I64)
        breach(v, RULE_LET_DTYPE, s->u.let.var->name);
    if (v->threads > 0 && !v->in_parallel && !v->uneven && loads_private(s->u.let.value))
        breach(v, RULE_THREAD_LET, s->u.let.var->name);
    define_symbol(v, s->u.let.var);
    v->lets[s->u.let.var->symbol] = true;
    for (const Concurrent *loop = v->concurrent; loop; loop = loop->around)
        loop->depends[s->u.let.var->symbol] = true;
}

static void check_alloc(Verifier *v, const Stmt *s) {
    const Buffer *b = s->u.alloc.buffer;
    if (v->buffers[b->index])
        breach(v, RULE_DEFINED_ONCE, b->name);
    if ((b->kind == BUFFER_SCRATCH || b->kind == BUFFER_SHARED) && v->in_vector)
        breach(v, RULE_SCRATCH_PLACE, b->name);
    v->buffers[b->index] = true;
}

/* Anywhere near the buffer will do. */
static void check_prefetch(Verifier *v, const Stmt *s) {
    const Buffer *b = s->u.prefetch.buffer;
    if (b->kind > BUFFER_OUTPUT)
        breach(v, RULE_PREFETCH_PARAM, b->name);
    for (int i = 0; i < b->rank; i++)
        check_dim(v, s->u.prefetch.index[i]);
}

static bool is_one_element(const Buffer *b) {
    bool is_one = true;
    for (int i = 0; i < b->rank; i++)
        is_one &= lt_dim_is(b->dims[i], 1);
    return is_one;
}

static bool takes_dtype(ScalarFn fn, DType dtype) {
    const ScalarInfo *info = &lt_scalar_info[fn];
    return info->associative && info->arity == 2 &&
           (info->rule == RULE_LOGIC) == (dtype == DT_BOOL);
}

static bool is_visible_scalar(const Verifier *v, const Buffer *b) {
    return v->buffers[b->index] && lt_buffer_is_private(b) && is_one_element(b);
}

static void check_combine(Verifier *v, const Stmt *s) {
    const Buffer *b = s->u.combine.buffer, *total = s->u.combine.total;
    const int64_t width = s->u.combine.width, apart = s->u.combine.apart;
    const bool is_width = lt_is_power_of_two(width) && lt_is_power_of_two(apart) &&
                          width <= v->threads && apart <= v->threads / width &&
                          v->threads % (width * apart) == 0;
    const bool has_total =
        !total || (total != b && total->dtype == b->dtype && is_visible_scalar(v, total));
    if (!is_visible_scalar(v, b) || !has_total || !takes_dtype(s->u.combine.fn, b->dtype) ||
        !is_width || v->uneven)
        breach(v, RULE_COMBINE, b->name);
}

static void check_stmt(Verifier *v, const Stmt *s) {
    v->statement++;
    if (s->loc)
        v->loc = s->loc;
    switch (s->kind) {
    case STMT_FOR: check_loop(v, s); return;
    case STMT_IF: check_branch(v, s); return;
    case STMT_STORE: check_store(v, s); return;
    case STMT_LET: check_let(v, s); return;
    case STMT_ALLOC: check_alloc(v, s); return;
    case STMT_PREFETCH: check_prefetch(v, s); return;
    case STMT_COMMIT:
    case STMT_BARRIER:
        if (v->uneven)
            breach(v, RULE_BARRIER_PLACE, "a barrier");
        return;
    case STMT_COMBINE: check_combine(v, s); return;
    }
}

static void check_list(Verifier *v, const Stmt *list) {
    const Loc *loc = v->loc;
    for (const Stmt *s = list; s; s = s->next) {
        check_stmt(v, s);
        v->loc = loc;
    }
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_LET)
            v->symbols[s->u.let.var->symbol] = false;
        if (s->kind == STMT_ALLOC)
            v->buffers[s->u.alloc.buffer->index] = false;
    }
}

/* --- declarations -------------------------------------------------------------------------- */

static void check_local(Verifier *v, const Buffer *b) {
    int64_t bytes = (int64_t)lt_dtype_size(b->dtype);
    bool is_constant = true;
    for (int i = 0; i < b->rank; i++) {
        is_constant &= lt_dim_is_const(b->dims[i]) && b->dims[i]->value > 0;
        if (!is_constant || __builtin_mul_overflow(bytes, b->dims[i]->value, &bytes))
            bytes = 0;
    }
    if (!is_constant)
        breach(v, RULE_LOCAL_EXTENTS, b->name);
    int64_t *sum = &v->local_bytes[b->kind];
    if (__builtin_add_overflow(*sum, bytes, sum))
        *sum = INT64_MAX;
}

static bool name_is_repeated(const Kernel *k, size_t at) {
    for (size_t i = 0; i < at; i++) {
        if (strcmp(k->buffers.data[i]->name, k->buffers.data[at]->name) == 0)
            return true;
    }
    return false;
}

static void check_local_size(Verifier *v, int64_t bytes, int64_t most, int rule) {
    if (bytes > most)
        breach(v, rule, lt_arena_printf(v->kernel->arena, "%lld bytes", (long long)bytes));
}

static void check_buffers(Verifier *v) {
    const Kernel *k = v->kernel;
    for (size_t i = 0; i < k->buffers.len; i++) {
        const Buffer *b = k->buffers.data[i];
        const bool is_param = b->kind == BUFFER_INPUT || b->kind == BUFFER_OUTPUT;
        if (b->index != i || is_param != (i < k->param_count))
            breach(v, RULE_PARAMS_FIRST, b->name);
        if (name_is_repeated(k, i))
            breach(v, RULE_NAMES, b->name);
        v->buffers[i] = is_param;
        for (int axis = 0; is_param && axis < b->rank; axis++)
            check_dim(v, b->dims[axis]);
        if (!is_param)
            check_local(v, b);
    }
    int64_t scratch = 0;
    if (__builtin_add_overflow(v->local_bytes[BUFFER_SCRATCH], v->local_bytes[BUFFER_SHARED],
                               &scratch))
        scratch = INT64_MAX;
    check_local_size(v, v->local_bytes[BUFFER_STACK], LT_MAX_STACK, RULE_STACK_SIZE);
    check_local_size(v, scratch, LT_MAX_SCRATCH, RULE_SCRATCH_SIZE);
}

static const Buffer *first_output(const Kernel *k) {
    for (uint32_t i = 0; i < k->param_count; i++) {
        if (k->buffers.data[i]->kind == BUFFER_OUTPUT)
            return k->buffers.data[i];
    }
    return NULL;
}

static void check_in_place(Verifier *v) {
    const Kernel *k = v->kernel;
    const Buffer *output = first_output(k);
    for (uint32_t i = 0; i < 64; i++) {
        if (!(k->in_place >> i & 1))
            continue;
        const Buffer *b = i < k->param_count ? k->buffers.data[i] : NULL;
        if (!b || !output || b->kind != BUFFER_INPUT || b->dtype != output->dtype)
            breach(v, RULE_IN_PLACE, b ? b->name : "no such parameter");
    }
}

bool lt_kernel_verify(const Kernel *k, DiagList *diags) {
    Verifier v = {.kernel = k, .diags = diags};
    v.symbols = LT_ARRAY(k->arena, bool, k->dims.symbols.len);
    v.buffers = LT_ARRAY(k->arena, bool, k->buffers.len);
    v.lets = LT_ARRAY(k->arena, bool, k->dims.symbols.len);
    v.threads = lt_kernel_threads(k);
    v.team = lt_kernel_is_team(k) ? lt_kernel_parallel_loop(k) : NULL;
    v.seen = LT_ARRAY(k->arena, uint32_t, k->next_expr);
    for (size_t i = 0; i < k->ints.len; i++)
        v.symbols[k->ints.data[i]->symbol] = true;
    check_buffers(&v);
    check_in_place(&v);
    check_list(&v, k->body);
    return v.breaches == 0;
}
