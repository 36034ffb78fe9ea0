/* kernel_eval.c - the kernel interpreter: what a kernel means, one scalar at a time.
 *
 * It is the judge of lowering and schedules, so it is strict where compiled code is blind: every
 * access is checked against the buffer's extents, every let against its range, and a local buffer
 * is poisoned when its scope begins, so that a read before the first write shows. In a team's
 * kernel, and in one of blocks and threads, each element remembers which iterations of parallel or
 * thread loops touched it since the last barrier, so that a race is an error here, where nothing is
 * parallel.
 *
 * A thread's own locals are one copy as long as all threads would have the same in it; the first
 * store in a thread loop makes a copy a thread, and from then on each of them runs for itself what
 * is outside of thread loops. */
#include <assert.h>
#include <math.h>
#include <setjmp.h>
#include <string.h>

#include "ir/kernel_expr.h"
#include "ir/kernel_scalar.h"

/* Iterations of parallel or thread loops; MANY: more than one, and ALL: the team or the block
 * outside of these loops; ELSEWHERE: in another block. */
enum { NOBODY = -1, MANY = -2, ALL = -3, ELSEWHERE = -4 };

/* Who touched an element last, and in which phase: barriers and blocks so far. */
typedef struct Touch {
    int64_t writer, reader;
    uint64_t write_phase, read_phase;
    uint64_t group; /* that was fetched with it, counted from 1; 0: it was stored */
} Touch;

typedef struct View {
    Touch *touched;  /* NULL: nothing here runs at once */
    uint8_t *data;   /* NULL: not allocated yet */
    uint8_t *copies; /* of `bytes`, one a thread; NULL: none was needed yet */
    bool is_split;   /* the copies hold, not data */
    bool is_kept;    /* allocated outside of thread loops, in a kernel that has some */
    int64_t extents[LT_MAX_RANK];
    size_t bytes;
} View;

/* A value holds while its epoch is the machine's: one executed statement. So a shared subexpression
 * is computed once for each statement, and never across a store. */
typedef struct Memo {
    uint64_t epoch;
    Scalar value;
} Memo;

typedef struct Machine {
    const Kernel *kernel;
    Arena *arena;
    int64_t *symbols;
    View *views; /* by buffer index */
    Memo *memo;  /* by expression id */
    uint64_t epoch;
    bool is_team, is_checked;    /* is_checked: for races */
    uint64_t phase, block_phase; /* block_phase: the one in which the block began */
    int64_t iteration;           /* of the parallel loop, the thread, or ALL */
    int64_t threads;             /* of a block; 0: no thread loops */
    bool is_fetch;               /* in a fetch loop */
    bool is_late;                /* in a loop that may go on after the next barrier */
    uint64_t group, arrived;     /* groups that were fetched, and those of them that are there */
    int64_t thread;              /* whose copies are meant; NOBODY: they are all alike */
    int splits;                  /* buffers whose copies differ */
    const char *error;
    jmp_buf failed;
} Machine;

/* --- memory ----------------------------------------------------------------------------------- */

static _Noreturn void fail(Machine *m, const char *error) {
    m->error = lt_arena_printf(m->arena, "kernel %s: %s", m->kernel->name, error);
    longjmp(m->failed, 1);
}

static _Noreturn void fail_access(Machine *m, const Buffer *b, const Dim *const *index,
                                  bool is_store) {
    const View *view = &m->views[b->index];
    Str text;
    lt_str_init(&text, m->arena);
    lt_str_printf(&text, "%s %s[", is_store ? "store to" : "load of", b->name);
    for (int i = 0; i < b->rank; i++) {
        lt_str_printf(&text, "%s%lld", i > 0 ? ", " : "",
                      (long long)lt_dim_eval(index[i], m->symbols));
    }
    lt_str_append(&text,
                  view->data ? "], outside its extents [" : "], which is not allocated here");
    for (int i = 0; view->data && i < b->rank; i++)
        lt_str_printf(&text, "%s%lld", i > 0 ? ", " : "", (long long)view->extents[i]);
    lt_str_append(&text, view->data ? "]" : "");
    fail(m, text.text);
}

static inline int64_t eval_dim(const Machine *m, const Dim *d) {
    if (d->kind == DIM_SYMBOL)
        return m->symbols[d->symbol];
    return d->kind == DIM_CONST ? d->value : lt_dim_eval(d, m->symbols);
}

/* The element's number in the buffer. */
static int64_t locate(Machine *m, const Buffer *b, const Dim *const *index, bool is_store) {
    const View *view = &m->views[b->index];
    int64_t at = 0;
    if (!view->data)
        fail_access(m, b, index, is_store);
    for (int i = 0; i < b->rank; i++) {
        const int64_t coordinate = eval_dim(m, index[i]);
        if (coordinate < 0 || coordinate >= view->extents[i])
            fail_access(m, b, index, is_store);
        at = at * view->extents[i] + coordinate;
    }
    return at;
}

/* All ones is a NaN in every float dtype but the fnuz ones and f4e2m1, where it is a number. */
static void poison(const Buffer *b, View *view) {
    memset(view->data, lt_dtype_is_float(b->dtype) ? 0xff : 0xa5, view->bytes);
}

static size_t set_extents(Machine *m, const Buffer *b) {
    View *view = &m->views[b->index];
    int64_t elements = 1;
    for (int i = 0; i < b->rank; i++) {
        view->extents[i] = lt_dim_eval(b->dims[i], m->symbols);
        elements *= view->extents[i] > 0 ? view->extents[i] : 0;
    }
    return (size_t)elements * lt_dtype_size(b->dtype);
}

static void reset_touches(Machine *m, View *view, size_t element_bytes) {
    if (!m->is_checked)
        return;
    const size_t count = view->bytes / element_bytes;
    view->touched = LT_ARRAY(m->arena, Touch, count);
    for (size_t i = 0; i < count; i++)
        view->touched[i] = (Touch){.writer = NOBODY, .reader = NOBODY};
}

static void alloc_buffer(Machine *m, const Buffer *b) {
    View *view = &m->views[b->index];
    const size_t bytes = set_extents(m, b);
    if (!view->data || bytes > view->bytes)
        view->data = lt_arena_alloc_aligned(m->arena, bytes, 64);
    view->bytes = bytes;
    m->splits -= view->is_split;
    view->is_split = false;
    view->is_kept = m->threads > 0 && m->thread == NOBODY && lt_buffer_is_private(b);
    poison(b, view);
    if (!m->threads || !lt_buffer_is_private(b))
        reset_touches(m, view, lt_dtype_size(b->dtype));
}

static void split(Machine *m, View *view) {
    if (!view->copies)
        view->copies = lt_arena_alloc_aligned(m->arena, (size_t)m->threads * view->bytes, 64);
    for (int64_t t = 0; t < m->threads; t++)
        memcpy(view->copies + (size_t)t * view->bytes, view->data, view->bytes);
    view->is_split = true;
    m->splits++;
}

/* Where the elements are that the thread at hand sees. */
static uint8_t *elements(Machine *m, const Buffer *b, bool is_store) {
    View *view = &m->views[b->index];
    if (is_store && view->is_kept && !view->is_split && m->thread != NOBODY)
        split(m, view);
    if (view->is_split && m->thread == NOBODY)
        fail(m, lt_arena_printf(m->arena, "%s differs between threads here", b->name));
    return view->is_split ? view->copies + (size_t)m->thread * view->bytes : view->data;
}

/* --- races ------------------------------------------------------------------------------------ */

static _Noreturn void fail_race(Machine *m, const Buffer *b, int64_t at, int64_t other) {
    Str text;
    lt_str_init(&text, m->arena);
    lt_str_printf(&text, "element %lld of %s is touched by ", (long long)at, b->name);
    if (m->iteration == ALL)
        lt_str_append(&text, "all");
    else
        lt_str_printf(&text, "iteration %lld", (long long)m->iteration);
    lt_str_append(&text, m->threads ? " of a thread loop" : " of a parallel loop");
    if (other == ELSEWHERE)
        lt_str_append(&text, ", and in another block");
    else if (other < 0)
        lt_str_append(&text, ", and by others");
    else
        lt_str_printf(&text, ", and by iteration %lld", (long long)other);
    if (lt_buffer_is_private(b))
        lt_str_append(&text, " of another thread's own buffer");
    else if (other != ELSEWHERE)
        lt_str_append(&text, " with no barrier between");
    fail(m, text.text);
}

static bool differ(int64_t a, int64_t b) { return a != NOBODY && a != b; }

/* Whoever touched it before did it in another block, or in this phase as another iteration. */
static void check_race(Machine *m, const Buffer *b, int64_t at, int64_t who, uint64_t phase) {
    if (who != NOBODY && phase < m->block_phase)
        fail_race(m, b, at, ELSEWHERE);
    if (phase >= m->phase && differ(who, m->iteration))
        fail_race(m, b, at, who);
}

/* A private buffer has what this thread wrote; what the whole team did, this thread did as well. */
static void touch_private(Machine *m, const Buffer *b, int64_t at, bool is_store) {
    Touch *t = &m->views[b->index].touched[at];
    if (is_store)
        t->writer = m->iteration;
    else if (t->writer != ALL && differ(t->writer, m->iteration))
        fail_race(m, b, at, t->writer);
}

static void touch(Machine *m, const Buffer *b, int64_t at, bool is_store) {
    if (!m->views[b->index].touched)
        return;
    if (lt_buffer_is_private(b)) {
        touch_private(m, b, at, is_store);
        return;
    }
    Touch *t = &m->views[b->index].touched[at];
    check_race(m, b, at, t->writer, t->write_phase);
    if (!is_store && t->group > m->arrived)
        fail(m, lt_arena_printf(m->arena, "element %lld of %s is read before it has arrived",
                                (long long)at, b->name));
    if (is_store)
        check_race(m, b, at, t->reader, t->read_phase);
    if (is_store) {
        t->writer = m->iteration;
        t->write_phase = m->phase;
        t->group = m->is_fetch ? m->group + 1 : 0;
    } else if (m->is_late) {
        t->reader = MANY;
        t->read_phase = m->phase + 1;
    } else if (t->reader == NOBODY ||
               (t->read_phase >= m->block_phase && t->read_phase <= m->phase)) {
        const bool is_joined = t->read_phase == m->phase && differ(t->reader, m->iteration);
        t->reader = is_joined ? MANY : m->iteration;
        t->read_phase = m->phase;
    }
}

/* --- expressions ------------------------------------------------------------------------------ */

static Scalar eval_expr(Machine *m, const Expr *e);

static Scalar eval_convert(Machine *m, const Expr *e) {
    const Expr *from = e->u.call.args[0];
    const Scalar v = eval_expr(m, from);
    const bool from_float = lt_dtype_is_float(from->dtype);
    if (lt_dtype_is_float(e->dtype))
        return (Scalar){.f = from_float ? lt_dtype_round(e->dtype, v.f)
                                        : lt_convert_to_float(from->dtype, v.i, e->dtype)};
    return (Scalar){.i = from_float ? lt_convert_to_int(e->dtype, v.f)
                                    : lt_dtype_wrap(e->dtype, v.i)};
}

static Scalar call_float(ScalarFn fn, DType dtype, const Scalar v[3]) {
    if (dtype == DT_F32 && fn == FN_FMA) /* one rounding */
        return (Scalar){.f = (double)fmaf((float)v[0].f, (float)v[1].f, (float)v[2].f)};
    const double result = lt_scalar_eval_float(fn, v[0].f, v[1].f, v[2].f);
    if (dtype == DT_BOOL)
        return (Scalar){.i = result != 0};
    return (Scalar){.f = lt_dtype_round(dtype, result)};
}

/* fn of values that are `computed`, as dtype. */
static Scalar call(ScalarFn fn, DType computed, DType dtype, const Scalar v[3]) {
    if (lt_dtype_is_float(computed))
        return call_float(fn, dtype, v);
    const int64_t result = lt_scalar_eval_int(fn, v[0].i, v[1].i, v[2].i, computed == DT_U64);
    return (Scalar){.i = lt_dtype_wrap(dtype, result)};
}

static Scalar eval_call(Machine *m, const Expr *e) {
    const ScalarFn fn = e->u.call.fn;
    const Expr *const *args = e->u.call.args;
    if (fn == FN_SELECT) /* only the chosen one: the other may not be computable here */
        return eval_expr(m, eval_expr(m, args[0]).i ? args[1] : args[2]);
    Scalar v[3] = {{.i = 0}, {.i = 0}, {.i = 0}};
    for (int i = 0; i < lt_scalar_info[fn].arity; i++)
        v[i] = eval_expr(m, args[i]);
    return call(fn, args[0]->dtype, e->dtype, v);
}

/* An element of memory read as dtype, which has the size of the buffer's. */
static Scalar eval_load(Machine *m, const Expr *e, DType dtype) {
    const Expr *predicate = e->u.load.predicate;
    if (predicate && !eval_expr(m, predicate).i)
        return lt_dtype_is_float(dtype) ? (Scalar){.f = 0} : (Scalar){.i = 0};
    const Buffer *b = e->u.load.buffer;
    const int64_t at = locate(m, b, e->u.load.index, false);
    touch(m, b, at, false);
    return load_scalar(dtype, elements(m, b, false), at);
}

static Scalar eval_bitcast(Machine *m, const Expr *e) {
    const Expr *from = e->u.call.args[0];
    uint64_t bits = 0;
    if (from->kind == EXPR_LOAD)
        return eval_load(m, from, e->dtype);
    store_scalar(from->dtype, &bits, 0, eval_expr(m, from));
    return load_scalar(e->dtype, &bits, 0);
}

static Scalar compute_expr(Machine *m, const Expr *e) {
    switch (e->kind) {
    case EXPR_CALL: return eval_call(m, e);
    case EXPR_CONVERT: return eval_convert(m, e);
    case EXPR_BITCAST: return eval_bitcast(m, e);
    default: return eval_load(m, e, e->u.load.buffer->dtype);
    }
}

static Scalar eval_expr(Machine *m, const Expr *e) {
    if (e->kind == EXPR_CONST)
        return (Scalar){.i = e->u.i}; /* the bits of either */
    if (e->kind == EXPR_INDEX)
        return (Scalar){.i = eval_dim(m, e->u.dim)};
    Memo *memo = &m->memo[e->id];
    if (memo->epoch != m->epoch) {
        memo->value = compute_expr(m, e);
        memo->epoch = m->epoch;
    }
    return memo->value;
}

/* --- statements ------------------------------------------------------------------------------- */

static void run_list(Machine *m, const Stmt *list);

static void begin_iteration(Machine *m, const Stmt *s, int64_t i) {
    m->symbols[s->u.loop.var->symbol] = i;
    switch (s->u.loop.kind) {
    case LOOP_PARALLEL: m->iteration = i; break;
    case LOOP_GRID: m->block_phase = ++m->phase; break;
    case LOOP_THREAD: m->iteration = m->thread = i; break;
    default: break;
    }
}

static void run_loop(Machine *m, const Stmt *s, int64_t begin, int64_t end) {
    const int64_t iteration = m->iteration, thread = m->thread;
    const bool is_fetch = m->is_fetch, is_late = m->is_late;
    m->is_fetch |= s->u.loop.kind == LOOP_FETCH;
    m->is_late |= s->u.loop.kind == LOOP_WGMMA;
    for (int64_t i = begin; i < end; i++) {
        begin_iteration(m, s, i);
        run_list(m, s->u.loop.body);
    }
    m->iteration = iteration;
    m->thread = thread;
    m->is_fetch = is_fetch;
    m->is_late = is_late;
}

static void run_store(Machine *m, const Stmt *s) {
    const Buffer *b = s->u.store.buffer;
    const Scalar value = eval_expr(m, s->u.store.value);
    const int64_t at = locate(m, b, s->u.store.index, true);
    touch(m, b, at, true);
    store_scalar(b->dtype, elements(m, b, true), at, value);
}

static void run_let(Machine *m, const Stmt *s) {
    const Dim *var = s->u.let.var;
    const DimSymbol *range = &m->kernel->dims.symbols.data[var->symbol];
    const int64_t value = eval_expr(m, s->u.let.value).i;
    if (value < range->lo || value > range->hi)
        fail(m, lt_arena_printf(m->arena, "%s is %lld, outside its range %lld..%lld", var->name,
                                (long long)value, (long long)range->lo, (long long)range->hi));
    m->symbols[var->symbol] = value;
}

/* What the threads hold becomes the fold of it with what the thread holds whose number differs in
 * this bit. */
static void combine_pairs(Machine *m, const Stmt *s, int64_t bit) {
    const Buffer *b = s->u.combine.buffer;
    uint8_t *copies = m->views[b->index].copies;
    for (int64_t t = 0; t < m->threads; t++) {
        const int64_t other = t ^ bit;
        if (other < t)
            continue;
        const Scalar v[3] = {load_scalar(b->dtype, copies, t),
                             load_scalar(b->dtype, copies, other)};
        const Scalar both = call(s->u.combine.fn, b->dtype, b->dtype, v);
        store_scalar(b->dtype, copies, t, both);
        store_scalar(b->dtype, copies, other, both);
    }
}

/* The copies are one again, where all threads have the same. */
static void join_copies(Machine *m, View *view) {
    memcpy(view->data, view->copies, view->bytes);
    view->is_split = false;
    m->splits--;
}

/* Of the group that begins with this thread. */
static void scan_group(Machine *m, const Stmt *s, int64_t first) {
    const DType dtype = s->u.combine.buffer->dtype;
    uint8_t *own = m->views[s->u.combine.buffer->index].copies;
    uint8_t *totals = m->views[s->u.combine.total->index].copies;
    const int64_t apart = s->u.combine.apart, end = first + s->u.combine.width * apart;
    const size_t size = lt_dtype_size(dtype);
    Scalar sum = load_scalar(dtype, totals, first);
    for (int64_t t = first; t < end; t += apart) {
        if (memcmp(totals + (size_t)t * size, totals + (size_t)first * size, size) != 0)
            fail(m, "a scan's total differs between threads of a group");
        const Scalar v[3] = {sum, load_scalar(dtype, own, t)};
        store_scalar(dtype, own, t, sum);
        sum = call(s->u.combine.fn, dtype, dtype, v);
    }
    for (int64_t t = first; t < end; t += apart)
        store_scalar(dtype, totals, t, sum);
}

static void run_scan(Machine *m, const Stmt *s) {
    View *own = &m->views[s->u.combine.buffer->index];
    View *total = &m->views[s->u.combine.total->index];
    if (!own->is_split)
        split(m, own);
    if (!total->is_split)
        split(m, total);
    for (int64_t first = 0; first < m->threads; first++)
        if (first / s->u.combine.apart % s->u.combine.width == 0)
            scan_group(m, s, first);
    if (s->u.combine.width == m->threads)
        join_copies(m, total);
}

/* From the highest bit down, in warps first. */
static void run_combine(Machine *m, const Stmt *s) {
    View *view = &m->views[s->u.combine.buffer->index];
    const int64_t width = s->u.combine.width, apart = s->u.combine.apart, end = width * apart;
    const int64_t first_end = apart == 1 && width > LT_WARP ? LT_WARP : end;
    if (!view->is_split)
        split(m, view);
    for (int64_t bit = first_end / 2; bit >= apart; bit /= 2)
        combine_pairs(m, s, bit);
    for (int64_t bit = end / 2; bit >= first_end; bit /= 2)
        combine_pairs(m, s, bit);
    if (width == m->threads)
        join_copies(m, view);
}

/* What may go on after the barrier, may do so until the next one. */
static void run_barrier(Machine *m, const Stmt *s) {
    const uint64_t late = (uint64_t)s->u.barrier.fetches;
    if (late == 0)
        m->arrived = ++m->group;
    else if (m->group > late && m->group - late > m->arrived)
        m->arrived = m->group - late;
    m->phase += s->u.barrier.products ? 1 : 2;
}

static void run_stmt(Machine *m, const Stmt *s) {
    m->epoch++;
    switch (s->kind) {
    case STMT_FOR: run_loop(m, s, 0, eval_dim(m, s->u.loop.extent)); break;
    case STMT_IF: {
        const bool holds = eval_expr(m, s->u.branch.condition).i != 0;
        run_list(m, holds ? s->u.branch.body : s->u.branch.otherwise);
        break;
    }
    case STMT_STORE: run_store(m, s); break;
    case STMT_LET: run_let(m, s); break;
    case STMT_ALLOC: alloc_buffer(m, s->u.alloc.buffer); break;
    case STMT_PREFETCH: break;
    case STMT_BARRIER: run_barrier(m, s); break;
    case STMT_COMMIT: m->group++; break;
    case STMT_COMBINE: s->u.combine.total ? run_scan(m, s) : run_combine(m, s); break;
    }
}

/* Whether threads can do the statement one after the other; no thread loop is in a condition. */
static bool is_for_each_thread(const Stmt *s) {
    if (s->kind == STMT_FOR)
        return s->u.loop.kind != LOOP_THREAD && !lt_stmt_threads(s->u.loop.body) &&
               !lt_stmt_has_barrier(s->u.loop.body);
    return s->kind == STMT_IF || s->kind == STMT_STORE;
}

/* Outside of thread loops, where the threads' own locals differ. */
static void run_for_each_thread(Machine *m, const Stmt *s) {
    for (int64_t t = 0; t < m->threads; t++) {
        m->iteration = m->thread = t;
        run_stmt(m, s);
    }
    m->thread = NOBODY;
    m->iteration = ALL;
}

static void run_list(Machine *m, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        if (m->splits > 0 && m->thread == NOBODY && is_for_each_thread(s))
            run_for_each_thread(m, s);
        else
            run_stmt(m, s);
    }
}

/* --- the kernel ------------------------------------------------------------------------------- */

static int64_t *bind_ints(const Kernel *k, Arena *arena, const int64_t *ints) {
    int64_t *symbols = LT_ARRAY(arena, int64_t, k->dims.symbols.len);
    for (size_t i = 0; i < k->ints.len; i++)
        symbols[k->ints.data[i]->symbol] = ints[i];
    return symbols;
}

int64_t lt_kernel_parallel_extent(const Kernel *k, const int64_t *ints) {
    const Stmt *loop = lt_kernel_parallel_loop(k);
    if (!loop)
        return 1;
    Arena scratch;
    lt_arena_init(&scratch);
    scratch.out_of_memory = k->arena->out_of_memory;
    const int64_t extent = lt_dim_eval(loop->u.loop.extent, bind_ints(k, &scratch, ints));
    lt_arena_free(&scratch);
    return extent;
}

static bool is_grid(const Stmt *body) {
    return body && body->kind == STMT_FOR && body->u.loop.kind == LOOP_GRID;
}

static void run_kernel(Machine *m, int64_t begin, int64_t end) {
    const Stmt *loop = lt_kernel_parallel_loop(m->kernel);
    const int64_t extent = loop ? lt_dim_eval(loop->u.loop.extent, m->symbols) : 1;
    const bool is_part = begin > 0 || end < extent;
    if (begin < 0 || (end > extent && begin < end) || (m->is_team && is_part && begin < end))
        fail(m, lt_arena_printf(m->arena, "asked to run %lld..%lld of %lld", (long long)begin,
                                (long long)end, (long long)extent));
    if (loop && !m->is_team)
        run_loop(m, loop, begin, end);
    else if (begin < end)
        run_list(m, m->kernel->body);
}

const char *lt_kernel_eval(const Kernel *k, Arena *arena, void *const *buffers, const int64_t *ints,
                           int64_t begin, int64_t end) {
    Machine *m = LT_NEW(arena, Machine);
    m->kernel = k;
    m->arena = arena;
    m->symbols = bind_ints(k, arena, ints);
    m->views = LT_ARRAY(arena, View, k->buffers.len);
    m->memo = LT_ARRAY(arena, Memo, k->next_expr);
    m->epoch = 1;
    m->is_team = lt_kernel_is_team(k);
    m->threads = lt_kernel_threads(k);
    m->is_checked = m->is_team || m->threads > 0 || is_grid(k->body);
    m->iteration = ALL;
    m->thread = NOBODY;
    for (uint32_t i = 0; i < k->param_count; i++) {
        m->views[i].data = buffers[i];
        m->views[i].bytes = set_extents(m, k->buffers.data[i]);
        reset_touches(m, &m->views[i], lt_dtype_size(k->buffers.data[i]->dtype));
    }
    if (setjmp(m->failed) == 0)
        run_kernel(m, begin, end);
    return m->error;
}
