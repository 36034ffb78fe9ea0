/* kernel.c - a kernel as a __global__ function.
 *
 * Grid loops become blockIdx, thread loops threadIdx; what is left are plain loops. A thread loop
 * directly in a grid loop over the same axis gives that axis's position one name. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "codegen/cuda/cuda.h"
#include "lathe/runtime.h"

static void emit_list(Writer *w, const Stmt *list);

static void fail(Writer *w, const char *format, const char *what) {
    w->failed = true;
    lt_error(w->diags, LATHE_UNSUPPORTED, w->kernel->loc, format, w->kernel->name, what);
}

/* --- loops --- */

/* In the scope at hand. */
static const char *symbol_name(Writer *w, const Dim *symbol) {
    return lt_cuda_scope_name(w, w->scope, lt_cuda_loop_name(w->arena, symbol->name));
}

static bool emit_strided(Writer *w, const Stmt *s) {
    Scope body;
    lt_cuda_open(w, &body);
    const char *head = lt_cuda_begin_strided(w, s);
    if (!head) {
        w->scope = body.around;
        return false;
    }
    emit_list(w, s->u.loop.body);
    lt_cuda_end_strided(w);
    lt_cuda_close(w, head);
    return true;
}

/* A loop that runs once is none. */
static void emit_once(Writer *w, const Stmt *s) {
    w->replaced[s->u.loop.var->symbol] = lt_dim_const(&w->dims, 0);
    w->any_replaced = true;
    emit_list(w, s->u.loop.body);
}

static void emit_for(Writer *w, const Stmt *s) {
    if (lt_cuda_copy(w, s) || lt_cuda_mma(w, s) || lt_cuda_quads(w, s) || lt_cuda_wgmma(w, s) ||
        emit_strided(w, s))
        return;
    const bool is_unrolled = s->u.loop.kind == LOOP_UNROLL || s->u.loop.kind == LOOP_VECTOR ||
                             s->u.loop.kind == LOOP_FETCH;
    const char *extent = lt_cuda_dim(w, s->u.loop.extent).text;
    Scope body;
    lt_cuda_begin_packs(w, s);
    lt_cuda_open(w, &body);
    const char *var =
        w->packs.len ? lt_cuda_scope_name(w, w->scope, "e") : symbol_name(w, s->u.loop.var);
    lt_cuda_bind(w, s->u.loop.var, var);
    emit_list(w, s->u.loop.body);
    if (is_unrolled)
        lt_cuda_line_in(body.around, "#pragma unroll");
    lt_cuda_close(w, lt_arena_printf(w->arena, "for (%s %s = 0; %s < %s; %s++)",
                                     lt_cuda_index_type(w, s->u.loop.var), var, var, extent, var));
    lt_cuda_end_packs(w);
}

/* The outermost grid loop is the slowest dimension of the grid, the innermost one is x. */
static const char *block_number(const Writer *w, const Stmt *s) {
    int inner = 0;
    for (const Stmt *at = s->u.loop.body;
         at && at->kind == STMT_FOR && at->u.loop.kind == LOOP_GRID; at = at->u.loop.body)
        inner++;
    assert(inner == 0 && "schedules make one grid loop");
    (void)inner;
    return lt_arena_printf(w->arena, "%s(blockIdx.x)", lt_cuda_index_type(w, s->u.loop.var));
}

/* i.0 around i.1: the name of both together, or NULL. */
static const char *common_axis(const Writer *w, const Stmt *grid) {
    const Stmt *inner = grid->u.loop.body;
    const char *a = grid->u.loop.var->name;
    const size_t len = strlen(a);
    if (!inner || inner->next || !lt_cuda_covers_block(w, inner) || len < 3 ||
        strcmp(a + len - 2, ".0") != 0 || strncmp(a, inner->u.loop.var->name, len - 1) != 0)
        return NULL;
    return lt_arena_strndup(w->arena, a, len - 2);
}

/* Both variables become what is left of their position. */
static void find_axis(Writer *w) {
    const Stmt *grid = w->kernel->body;
    const bool is_grid = grid && grid->kind == STMT_FOR && grid->u.loop.kind == LOOP_GRID;
    w->axis = is_grid ? common_axis(w, grid) : NULL;
    if (!w->axis)
        return;
    const Stmt *thread = grid->u.loop.body;
    w->block = grid->u.loop.var;
    w->positions = thread->u.loop.extent->value;
    const Dim *start = lt_dim_mul(&w->dims, grid->u.loop.var, thread->u.loop.extent);
    int64_t lo, hi;
    lt_dim_range(&w->dims, lt_dim_add(&w->dims, start, thread->u.loop.var), &lo, &hi);
    w->position = lt_dim_symbol(&w->dims, lt_arena_printf(w->arena, "%s.at", w->axis));
    lt_dim_set_range(&w->dims, w->position, lo, hi);
    w->replaced[thread->u.loop.var->symbol] = lt_dim_sub(&w->dims, w->position, start);
    w->any_replaced = true;
}

/* const int i = 256 * blockIdx.x + threadIdx.x; */
static void emit_axis(Writer *w, const Stmt *grid) {
    const Stmt *thread = grid->u.loop.body;
    const char *name = lt_cuda_name(w->arena, &w->names, strpbrk(w->axis, "_.") ? "i" : w->axis);
    const char *type = lt_cuda_index_type(w, w->position);
    const char *number = strcmp(type, "int") == 0 ? "blockIdx.x" : "int64_t(blockIdx.x)";
    lt_cuda_line(w, "const %s %s = %lld * %s + threadIdx.x;", type, name,
                 (long long)thread->u.loop.extent->value, number);
    lt_cuda_bind(w, grid->u.loop.var, block_number(w, grid));
    lt_cuda_bind(w, w->position, name);
    emit_list(w, thread->u.loop.body);
}

static void emit_grid(Writer *w, const Stmt *s) {
    if (w->axis) {
        emit_axis(w, s);
        return;
    }
    if (w->lanes) {
        lt_cuda_begin_groups(w, s);
        emit_list(w, s->u.loop.body);
        return;
    }
    const char *var = symbol_name(w, s->u.loop.var);
    lt_cuda_line(w, "const %s %s = blockIdx.x;", lt_cuda_index_type(w, s->u.loop.var), var);
    lt_cuda_bind(w, s->u.loop.var, var);
    emit_list(w, s->u.loop.body);
}

static void emit_thread(Writer *w, const Stmt *s) {
    const bool is_part = !lt_cuda_covers_block(w, s);
    const int64_t extent = s->u.loop.extent->value;
    Scope body;
    if (is_part)
        lt_cuda_open(w, &body);
    lt_cuda_bind_thread(w, s);
    w->thread_loop = s;
    emit_list(w, s->u.loop.body);
    w->thread_loop = NULL;
    if (!is_part)
        return;
    const char *head =
        extent == 1 ? lt_arena_printf(w->arena, "if (%s == 0)", w->thread)
                    : lt_arena_printf(w->arena, "if (%s < %lld)", w->thread, (long long)extent);
    lt_cuda_close(w, head);
}

static void emit_loop(Writer *w, const Stmt *s) {
    switch (s->u.loop.kind) {
    case LOOP_GRID: emit_grid(w, s); break;
    case LOOP_THREAD: emit_thread(w, s); break;
    default: lt_dim_is(s->u.loop.extent, 1) ? emit_once(w, s) : emit_for(w, s); break;
    }
}

/* --- statements --- */

/* `a < b` the other way round, or NULL. */
static const char *negation(Writer *w, const Expr *condition) {
    if (condition->kind != EXPR_CALL || condition->u.call.fn != FN_LT ||
        lt_dtype_is_float(condition->u.call.args[0]->dtype))
        return NULL;
    const Text test = lt_cuda_statement(w, condition);
    char *text = lt_arena_strdup(w->arena, test.text), *operator= strstr(text, " < ");
    return operator? lt_arena_printf(w->arena, "%.*s >= %s", (int)(operator- text),
                                     text, operator+ strlen(" < "))
                   : NULL;
}

/* A condition around the rest of the function. */
static bool emit_guard(Writer *w, const Stmt *s) {
    const bool is_outermost = !w->scope->around;
    if (!is_outermost || s->next || s->u.branch.otherwise || lt_stmt_has_barrier(w->kernel->body))
        return false;
    const char *leaves = negation(w, s->u.branch.condition);
    if (!leaves)
        return false;
    lt_cuda_line(w, "if (%s)", leaves);
    lt_cuda_line(w, "    return;");
    emit_list(w, s->u.branch.body);
    return true;
}

/* What is in the list, or in the one loop that all threads of the block run. */
static const Stmt *enter(Writer *w, const Stmt *list) {
    if (!list || list->next || !lt_cuda_covers_block(w, list))
        return list;
    lt_cuda_bind_thread(w, list);
    w->thread_loop = list;
    return list->u.loop.body;
}

/* if (a && b) for an `if (b)` that is all that there is in `if (a)`. */
static const char *emit_tests(Writer *w, const Stmt *s, const Stmt **body) {
    Text test = {NULL, BIND_ATOM};
    for (;;) {
        const Expr *condition = lt_cuda_open_condition(w, s->u.branch.condition);
        if (condition) {
            const Text part = lt_cuda_statement(w, condition);
            test = test.text ? lt_cuda_binary(w->arena, test, "&&", part, BIND_AND) : part;
        }
        *body = enter(w, s->u.branch.body);
        if (*body)
            *body = lt_cuda_join(w, *body);
        const bool is_only = *body && !(*body)->next && (*body)->kind == STMT_IF;
        if (s->u.branch.otherwise || !is_only || (*body)->u.branch.otherwise)
            return test.text;
        s = *body;
    }
}

static void emit_branch(Writer *w, const Stmt *s) {
    const Stmt *outer = w->thread_loop, *body;
    if (emit_guard(w, s))
        return;
    const char *test = emit_tests(w, s, &body);
    if (!test) {
        emit_list(w, body);
        w->thread_loop = outer;
        return;
    }
    Scope scope;
    lt_cuda_open(w, &scope);
    scope.has_braces = s->u.branch.otherwise;
    emit_list(w, body);
    w->thread_loop = outer;
    lt_cuda_close(w, lt_arena_printf(w->arena, "if (%s)", test));
    if (!s->u.branch.otherwise)
        return;
    lt_cuda_open(w, &scope);
    scope.has_braces = true;
    emit_list(w, s->u.branch.otherwise);
    lt_cuda_close(w, "else");
}

static bool is_same_element(const Stmt *s, const Expr *e) {
    if (e->kind != EXPR_LOAD || e->u.load.buffer != s->u.store.buffer || e->u.load.predicate)
        return false;
    for (int i = 0; i < s->u.store.buffer->rank; i++)
        if (e->u.load.index[i] != s->u.store.index[i])
            return false;
    return true;
}

static int count_writes(const Stmt *list, const Buffer *b) {
    int count = 0;
    for (const Stmt *s = list; s; s = s->next) {
        count += s->kind == STMT_STORE && s->u.store.buffer == b;
        count += s->kind == STMT_COMBINE &&
                 (s->u.combine.buffer == b || s->u.combine.total == b);
        if (s->kind == STMT_FOR)
            count += count_writes(s->u.loop.body, b);
        if (s->kind == STMT_IF)
            count += count_writes(s->u.branch.body, b) + count_writes(s->u.branch.otherwise, b);
    }
    return count;
}

static void emit_store(Writer *w, const Stmt *s) {
    const Buffer *b = s->u.store.buffer;
    const Expr *value = s->u.store.value;
    const char *element = lt_cuda_element(w, b, s->u.store.index);
    if (w->undeclared[b->index]) {
        element = lt_arena_printf(w->arena, "%s%s %s",
                                  count_writes(w->kernel->body, b) == 1 ? "const " : "",
                                  lt_cuda_register_type(b->dtype), element);
        w->undeclared[b->index] = false;
    }
    const bool adds = value->kind == EXPR_CALL && value->u.call.fn == FN_ADD &&
                      (b->dtype == DT_F32 || b->dtype == DT_F64) &&
                      is_same_element(s, value->u.call.args[0]);
    const bool is_half = b->dtype == DT_F16 || b->dtype == DT_BF16;
    const bool is_narrow = is_half || lt_dtype_is_minifloat(b->dtype);
    if (lt_cuda_in_memory(b) && is_narrow) {
        if (!w->run_end)
            lt_cuda_begin_statement(w, value);
        const char *raw = lt_cuda_raw(w, value);
        if (raw) {
            lt_cuda_line(w, "%s = %s;", element, raw);
            return;
        }
        if (is_half && value->kind == EXPR_CONVERT && value->u.call.args[0]->dtype == DT_F32)
            value = value->u.call.args[0]; /* storing it rounds */
    }
    const Text text = lt_cuda_statement(w, adds ? value->u.call.args[1] : value);
    const Text stored = lt_cuda_in_memory(b) ? lt_cuda_to_memory(w->arena, text, b->dtype) : text;
    lt_cuda_line(w, "%s %s %s;", element, adds ? "+=" : "=", stored.text);
}

static void emit_let(Writer *w, const Stmt *s) {
    const Expr *e = s->u.let.value;
    const char *type = lt_cuda_index_type(w, s->u.let.var);
    bool is_narrow = strcmp(type, "int64_t") != 0;
    if (is_narrow && e->kind == EXPR_CONVERT && e->u.call.args[0]->dtype == DT_I32) {
        e = e->u.call.args[0]; /* an int already */
        is_narrow = false;
    }
    const Text value = lt_cuda_statement(w, e);
    const char *name = symbol_name(w, s->u.let.var);
    lt_cuda_line(w, "const %s %s = %s%s%s;", type, name, is_narrow ? "int(" : "", value.text,
                 is_narrow ? ")" : "");
    lt_cuda_bind(w, s->u.let.var, name);
}

static bool is_zero(const Expr *e) {
    return e->kind == EXPR_CONST &&
           (lt_dtype_is_float(e->dtype) ? e->u.f == 0 && !signbit(e->u.f) : e->u.i == 0);
}

/* Whether the axes of more than one element are the loops' variables, in their order. */
static bool is_everything(const Buffer *b, const Stmt *store, const Stmt *const *loops, int count) {
    int at = 0;
    for (int i = 0; i < b->rank; i++) {
        if (lt_dim_is(b->dims[i], 1))
            continue;
        if (at == count || store->u.store.index[i] != loops[at]->u.loop.var ||
            loops[at]->u.loop.extent != b->dims[i])
            return false;
        at++;
    }
    return at == count;
}

/* The loops behind the declaration that make all of the thread's copy 0, or NULL. */
static const Stmt *find_zeros(const Writer *w, const Stmt *alloc, const Buffer *b) {
    const Stmt *fill = alloc->next, *loops[LT_MAX_RANK];
    int count = 0;
    while (fill && fill->kind == STMT_ALLOC)
        fill = fill->next;
    const Stmt *s = fill;
    if (lt_cuda_is_scalar(b) || !lt_buffer_is_private(b))
        return NULL;
    for (; s && (s == fill || !s->next) && s->kind == STMT_FOR; s = s->u.loop.body) {
        const bool covers = lt_cuda_covers_block(w, s);
        if ((s->u.loop.kind == LOOP_THREAD && !covers) || count == LT_MAX_RANK)
            return NULL;
        if (!covers && !lt_dim_is(s->u.loop.extent, 1))
            loops[count++] = s;
    }
    const bool is_fill = s && s != fill && !s->next && s->kind == STMT_STORE &&
                         s->u.store.buffer == b && is_zero(s->u.store.value) &&
                         is_everything(b, s, loops, count);
    return is_fill ? fill : NULL;
}

static bool is_written(const Writer *w, const Stmt *s) {
    for (size_t i = 0; i < w->written.len; i++)
        if (w->written.data[i] == s)
            return true;
    return false;
}

/* The store that is all that the statement does, once; or NULL. */
static const Stmt *only_store(const Writer *w, const Stmt *s) {
    for (const Stmt *loop = s; loop && loop->kind == STMT_FOR; loop = s) {
        const bool is_once = loop->u.loop.kind != LOOP_THREAD && lt_dim_is(loop->u.loop.extent, 1);
        s = loop->u.loop.body;
        if ((!is_once && !lt_cuda_covers_block(w, loop)) || !s || s->next)
            return NULL;
    }
    return s && s->kind == STMT_STORE ? s : NULL;
}

/* Whether nothing but stores to others stands between the allocation and the first value. */
static bool begins_with_store(const Writer *w, const Stmt *alloc, const Buffer *b) {
    for (const Stmt *s = alloc->next; s; s = s->next) {
        if (s->kind == STMT_ALLOC)
            continue;
        const Stmt *store = only_store(w, s);
        if (!store || store->u.store.buffer == b)
            return store && !lt_expr_loads(store->u.store.value, b);
    }
    return false;
}

/* Declares the buffer, unless its first value does. */
static void emit_alloc(Writer *w, const Stmt *s) {
    const Buffer *b = s->u.alloc.buffer;
    const char *type = lt_cuda_register_type(b->dtype);
    if (b->kind == BUFFER_SCRATCH) {
        fail(w, "kernel %s has a scratch buffer (%s): it was not lowered for a GPU", b->name);
        return;
    }
    w->buffers[b->index] = lt_cuda_scope_name(w, w->scope, lt_cuda_local_name(w->arena, b->name));
    if (lt_cuda_is_scalar(b) && begins_with_store(w, s, b)) {
        w->undeclared[b->index] = true;
        return;
    }
    Str extents;
    lt_str_init(&extents, w->arena);
    for (int i = 0; i < b->rank; i++)
        if (lt_cuda_has_axis(b, i))
            lt_str_printf(&extents, "[%lld]", (long long)b->dims[i]->value);
    if (b->rank == 0 && !lt_cuda_is_scalar(b))
        lt_str_append(&extents, "[1]");
    const Stmt *fill = find_zeros(w, s, b);
    lt_vec_push(w->arena, &w->written, fill);
    if (b->kind == BUFFER_SHARED)
        lt_cuda_declare_shared(w, b, extents.text);
    else
        lt_cuda_line(w, "%s %s%s%s;", type, w->buffers[b->index], extents.text,
                     fill ? " = {}" : "");
}

/* What has to be there, or done, in front of it. */
static void emit_barrier(Writer *w, const Stmt *s) {
    const long long fetches = (long long)s->u.barrier.fetches;
    if (w->products && s->u.barrier.products)
        lt_cuda_line(w, "multiplied_but<%lld>();", (long long)s->u.barrier.products);
    else if (w->products)
        lt_cuda_line(w, "multiplied(%s);", w->buffers[w->products->index]);
    if (w->fetches && fetches)
        lt_cuda_line(w, "arrived_but<%lld>();", fetches);
    else if (w->fetches)
        lt_cuda_line(w, "arrived();");
    if (w->products)
        lt_cuda_line(w, "publish();");
    if (w->threads > 0)
        lt_cuda_line(w, "__syncthreads();");
}

static void emit_stmt(Writer *w, const Stmt *s) {
    switch (s->kind) {
    case STMT_FOR: emit_loop(w, s); break;
    case STMT_IF: emit_branch(w, s); break;
    case STMT_STORE: emit_store(w, s); break;
    case STMT_LET: emit_let(w, s); break;
    case STMT_BARRIER: emit_barrier(w, s); break;
    case STMT_COMMIT:
        if (w->fetches)
            lt_cuda_line(w, "commit();");
        break;
    case STMT_COMBINE: lt_cuda_combine(w, s); break;
    case STMT_ALLOC: emit_alloc(w, s); break;
    case STMT_PREFETCH: break;
    }
}

static void emit_list(Writer *w, const Stmt *list) {
    for (const Stmt *s = list; s && !w->failed; s = s->next) {
        s = lt_cuda_join(w, s);
        if (is_written(w, s))
            continue;
        if (s->kind == STMT_STORE && !w->run_end)
            lt_cuda_begin_run(w, s);
        emit_stmt(w, s);
        if (s->kind == STMT_STORE && s == w->run_end)
            w->run_end = NULL;
    }
}

/* --- the function --- */

static bool check(Writer *w) {
    enum { MOST_SHARED = 232448 }; /* of any architecture */
    const Kernel *k = w->kernel;
    for (size_t i = 0; i < k->buffers.len && !w->failed; i++)
        if (!lt_cuda_has_dtype(k->buffers.data[i]->dtype))
            fail(w, "kernel %s computes with %s, for which there is no CUDA-C yet",
                 lt_dtype_name(k->buffers.data[i]->dtype));
    if (lt_cuda_shared_bytes(k) > MOST_SHARED)
        fail(w, "kernel %s needs %s of shared memory",
             lt_arena_printf(w->arena, "%lld bytes", (long long)lt_cuda_shared_bytes(k)));
    return !w->failed;
}

bool lt_cuda_kernel(Str *out, Kernel *k, const char *name, bool *reads, Arena *arena,
                    DiagList *diags) {
    Writer w;
    Scope body;
    lt_cuda_writer(&w, arena, &k->dims, diags);
    w.kernel = k;
    w.threads = lt_kernel_threads(k);
    w.buffers = LT_ARRAY(arena, const char *, k->buffers.len + 1);
    w.undeclared = LT_ARRAY(arena, bool, k->buffers.len + 1);
    w.uses = LT_ARRAY(arena, ExprUse, k->next_expr + 1);
    if (!check(&w))
        return false;
    w.products = lt_cuda_product_tile(k->body);
    find_axis(&w);
    lt_cuda_find_groups(&w);
    lt_cuda_name_parameters(&w);
    lt_cuda_open(&w, &body);
    emit_list(&w, k->body);
    const char *lines = lt_cuda_without_unused(arena, body.lines.text);
    lt_cuda_comment(out, k, arena);
    lt_str_printf(out, "__global__ void %s(%s) {\n%s}\n\n", name,
                  lt_cuda_parameters(&w, name, lines, reads), lines);
    return !w.failed;
}
