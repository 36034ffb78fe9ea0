/* kernel.c - a kernel as a __global__ function.
 *
 * Grid loops become blockIdx, thread loops threadIdx; what is left are plain loops. A thread loop
 * directly in a grid loop over the same axis gives that axis's position one name. */
#include <assert.h>
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
    const char *name = lt_cuda_loop_name(w->arena, symbol->name);
    return w->scope ? lt_cuda_scope_name(w, w->scope, name)
                    : lt_cuda_name(w->arena, &w->names, name);
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
    if (lt_cuda_copy(w, s) || lt_cuda_mma(w, s) || emit_strided(w, s))
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
    lt_cuda_close(w, lt_arena_printf(w->arena, "for (%s %s = 0; %s < %s; %s++)", w->index_type, var,
                                     var, extent, var));
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
    return lt_arena_printf(w->arena, "%s(blockIdx.x)", w->index_type);
}

static bool covers_block(const Writer *w, const Stmt *s) {
    return s->u.loop.extent->value == w->threads;
}

/* i.0 around i.1: the name of both together, or NULL. */
static const char *common_axis(const Writer *w, const Stmt *grid) {
    const Stmt *inner = grid->u.loop.body;
    const char *a = grid->u.loop.var->name;
    const size_t len = strlen(a);
    if (!inner || inner->next || inner->kind != STMT_FOR || inner->u.loop.kind != LOOP_THREAD ||
        !covers_block(w, inner) || len < 3 || strcmp(a + len - 2, ".0") != 0 ||
        strncmp(a, inner->u.loop.var->name, len - 1) != 0)
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
    const char *number = strcmp(w->index_type, "int") == 0 ? "blockIdx.x" : "int64_t(blockIdx.x)";
    lt_cuda_line(w, "const %s %s = %lld * %s + threadIdx.x;", w->index_type, name,
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
    lt_cuda_line(w, "const %s %s = blockIdx.x;", w->index_type, var);
    lt_cuda_bind(w, s->u.loop.var, var);
    emit_list(w, s->u.loop.body);
}

static void emit_thread(Writer *w, const Stmt *s) {
    const int64_t extent = s->u.loop.extent->value;
    Scope body;
    if (!covers_block(w, s))
        lt_cuda_open(w, &body);
    lt_cuda_bind_thread(w, s);
    w->thread_loop = s;
    emit_list(w, s->u.loop.body);
    w->thread_loop = NULL;
    if (covers_block(w, s))
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

static void emit_branch(Writer *w, const Stmt *s) {
    if (emit_guard(w, s))
        return;
    const Expr *condition = lt_cuda_open_condition(w, s->u.branch.condition);
    if (!condition) {
        emit_list(w, s->u.branch.body);
        return;
    }
    const Text test = lt_cuda_statement(w, condition);
    const char *head = lt_arena_printf(w->arena, "if (%s)", test.text);
    Scope body;
    lt_cuda_open(w, &body);
    emit_list(w, s->u.branch.body);
    lt_cuda_close(w, head);
    if (!s->u.branch.otherwise)
        return;
    lt_cuda_open(w, &body);
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

static void emit_store(Writer *w, const Stmt *s) {
    const Buffer *b = s->u.store.buffer;
    const Expr *value = s->u.store.value;
    const char *element = lt_cuda_element(w, b, s->u.store.index);
    const bool adds = value->kind == EXPR_CALL && value->u.call.fn == FN_ADD &&
                      (b->dtype == DT_F32 || b->dtype == DT_F64) &&
                      is_same_element(s, value->u.call.args[0]);
    const bool is_narrow =
        b->dtype == DT_F16 || b->dtype == DT_BF16 || lt_dtype_is_minifloat(b->dtype);
    if (lt_cuda_in_memory(b) && is_narrow) {
        lt_cuda_begin_statement(w, value);
        const char *raw = lt_cuda_raw(w, value);
        if (raw) {
            lt_cuda_line(w, "%s = %s;", element, raw);
            return;
        }
    }
    const Text text = lt_cuda_statement(w, adds ? value->u.call.args[1] : value);
    const Text stored = lt_cuda_in_memory(b) ? lt_cuda_to_memory(w->arena, text, b->dtype) : text;
    lt_cuda_line(w, "%s %s %s;", element, adds ? "+=" : "=", stored.text);
}

static void emit_let(Writer *w, const Stmt *s) {
    const Text value = lt_cuda_statement(w, s->u.let.value);
    const bool is_narrow = strcmp(w->index_type, "int64_t") != 0;
    const char *name = symbol_name(w, s->u.let.var);
    lt_cuda_line(w, "const %s %s = %s%s%s;", w->index_type, name, is_narrow ? "int(" : "",
                 value.text, is_narrow ? ")" : "");
    lt_cuda_bind(w, s->u.let.var, name);
}

/* Declares the buffer; true when the next statement, its first value, is part of it. */
static bool emit_alloc(Writer *w, const Stmt *s) {
    const Buffer *b = s->u.alloc.buffer;
    const bool is_shared = b->kind == BUFFER_SHARED;
    const char *type = is_shared ? lt_cuda_memory_type(b->dtype) : lt_cuda_register_type(b->dtype);
    const Stmt *next = s->next;
    if (b->kind == BUFFER_SCRATCH) {
        fail(w, "kernel %s needs scratch memory (%s), which kernels of a GPU do not have yet",
             b->name);
        return false;
    }
    w->buffers[b->index] = lt_cuda_scope_name(w, w->scope, b->name);
    if (lt_cuda_is_scalar(b) && next && next->kind == STMT_STORE && next->u.store.buffer == b &&
        !lt_expr_loads(next->u.store.value, b)) {
        const Text value = lt_cuda_statement(w, next->u.store.value);
        lt_cuda_line(w, "%s %s = %s;", type, w->buffers[b->index], value.text);
        return true;
    }
    Str extents;
    lt_str_init(&extents, w->arena);
    for (int i = 0; i < b->rank && !lt_cuda_is_scalar(b); i++)
        lt_str_printf(&extents, "[%lld]", (long long)b->dims[i]->value);
    if (b->rank == 0 && !lt_cuda_is_scalar(b))
        lt_str_append(&extents, "[1]");
    lt_cuda_line(w, "%s%s %s%s;", is_shared ? "__shared__ __align__(16) " : "", type,
                 w->buffers[b->index], extents.text);
    return false;
}

static void emit_list(Writer *w, const Stmt *list) {
    for (const Stmt *s = list; s && !w->failed; s = s->next) {
        switch (s->kind) {
        case STMT_FOR: emit_loop(w, s); break;
        case STMT_IF: emit_branch(w, s); break;
        case STMT_STORE: emit_store(w, s); break;
        case STMT_LET: emit_let(w, s); break;
        case STMT_ALLOC:
            if (emit_alloc(w, s))
                s = s->next;
            break;
        case STMT_BARRIER:
            if (w->fetches)
                lt_cuda_line(w, "arrived();");
            if (w->threads > 0)
                lt_cuda_line(w, "__syncthreads();");
            break;
        case STMT_COMBINE: lt_cuda_combine(w, s); break;
        case STMT_PREFETCH: break;
        }
    }
}

/* --- how wide an index is --- */

static bool list_fits(Writer *w, const Stmt *list);

static bool dim_fits(Writer *w, const Dim *d) {
    return lt_cuda_fits_int(&w->dims, lt_cuda_replaced(w, d));
}

static bool access_fits(Writer *w, const Buffer *b, const Dim *const *index) {
    return b->kind > BUFFER_OUTPUT || dim_fits(w, lt_buffer_flat(&w->dims, b, index));
}

static bool expr_fits(Writer *w, const Expr *e) {
    bool fits = true;
    if (e->kind == EXPR_INDEX)
        return dim_fits(w, e->u.dim);
    if (e->kind == EXPR_LOAD) {
        fits = access_fits(w, e->u.load.buffer, e->u.load.index);
        return fits && (!e->u.load.predicate || expr_fits(w, e->u.load.predicate));
    }
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        fits = fits && (!e->u.call.args[i] || expr_fits(w, e->u.call.args[i]));
    return fits;
}

static bool stmt_fits(Writer *w, const Stmt *s) {
    switch (s->kind) {
    case STMT_FOR: return dim_fits(w, s->u.loop.extent) && list_fits(w, s->u.loop.body);
    case STMT_IF:
        return expr_fits(w, s->u.branch.condition) && list_fits(w, s->u.branch.body) &&
               list_fits(w, s->u.branch.otherwise);
    case STMT_STORE:
        return access_fits(w, s->u.store.buffer, s->u.store.index) &&
               expr_fits(w, s->u.store.value);
    case STMT_LET: return lt_cuda_fits_int(&w->dims, s->u.let.var) && expr_fits(w, s->u.let.value);
    default: return true;
    }
}

static bool list_fits(Writer *w, const Stmt *list) {
    bool fits = true;
    for (const Stmt *s = list; s && fits; s = s->next)
        fits = stmt_fits(w, s);
    return fits;
}

/* --- the function --- */

static bool check(Writer *w) {
    const Kernel *k = w->kernel;
    int64_t shared = 0;
    for (size_t i = 0; i < k->buffers.len && !w->failed; i++) {
        const Buffer *b = k->buffers.data[i];
        int64_t bytes = (int64_t)lt_dtype_size(b->dtype);
        if (!lt_cuda_has_dtype(b->dtype))
            fail(w, "kernel %s computes with %s, for which there is no CUDA-C yet",
                 lt_dtype_name(b->dtype));
        for (int axis = 0; axis < b->rank && b->kind == BUFFER_SHARED; axis++)
            bytes *= b->dims[axis]->value;
        shared += b->kind == BUFFER_SHARED ? bytes : 0;
        if (shared > 49152)
            fail(w, "kernel %s needs more than 48 KiB of shared memory for %s", b->name);
    }
    return !w->failed;
}

/* On a new line where this one is full; the first one holds the function's name. */
static void add_parameter(Str *out, const char *name, const char *text) {
    enum { COLUMNS = 96 };
    const char *newline = strrchr(out->text, '\n');
    const size_t used =
        newline ? strlen(newline) : out->len + strlen("__global__ void ") + strlen(name);
    if (out->len && used + strlen(text) > COLUMNS)
        lt_str_append(out, ",\n    ");
    else if (out->len)
        lt_str_append(out, ", ");
    lt_str_append(out, text);
}

static const char *parameters(Writer *w, const char *function) {
    const Kernel *k = w->kernel;
    const char *restricts = k->in_place ? "" : "__restrict__ ";
    Str out;
    lt_str_init(&out, w->arena);
    for (uint32_t i = 0; i < k->param_count; i++) {
        const Buffer *b = k->buffers.data[i];
        w->buffers[i] = lt_cuda_name(w->arena, &w->names, b->name);
        add_parameter(&out, function,
                      lt_arena_printf(w->arena, "%s%s *%s%s",
                                      b->kind == BUFFER_INPUT ? "const " : "",
                                      lt_cuda_memory_type(b->dtype), restricts, w->buffers[i]));
    }
    for (size_t i = 0; i < k->ints.len; i++) {
        const char *name = symbol_name(w, k->ints.data[i]);
        add_parameter(&out, function, lt_arena_printf(w->arena, "%s %s", w->index_type, name));
        w->symbols[k->ints.data[i]->symbol] = name;
    }
    return out.text;
}

/* Where the last word ends that fits, outside of brackets; 0: none does. */
static size_t comment_end(const char *line, size_t room) {
    size_t found = 0;
    int depth = 0;
    for (size_t at = 0; at <= room; at++) {
        depth += (line[at] == '[') - (line[at] == ']');
        if (at > 0 && line[at] == ' ' && depth == 0 && strchr(",;{", line[at - 1]))
            found = at;
    }
    return found;
}

/* The first line has the schedule, and is long. */
static void append_comment(Str *out, const char *line) {
    enum { COLUMNS = 97 };
    const char *indent = "";
    while (strlen(line) + strlen(indent) > COLUMNS) {
        const size_t at = comment_end(line, COLUMNS - strlen(indent));
        if (at == 0)
            break;
        lt_str_printf(out, "// %s%.*s\n", indent, (int)at, line);
        line += at + 1;
        indent = "    ";
    }
    lt_str_printf(out, "// %s%s\n", indent, line);
}

/* The kernel IR, line by line. */
static void comment(Str *out, const Kernel *k, Arena *arena) {
    Str text;
    lt_str_init(&text, arena);
    lt_kernel_print(&text, k, true);
    for (char *save, *line = strtok_r(text.text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        append_comment(out, line);
}

bool lt_cuda_kernel(Str *out, Kernel *k, const char *name, Arena *arena, DiagList *diags) {
    Writer w;
    Scope body;
    lt_cuda_writer(&w, arena, &k->dims, diags);
    w.kernel = k;
    w.threads = lt_kernel_threads(k);
    w.buffers = LT_ARRAY(arena, const char *, k->buffers.len + 1);
    w.uses = LT_ARRAY(arena, ExprUse, k->next_expr + 1);
    if (!check(&w))
        return false;
    find_axis(&w);
    lt_cuda_find_groups(&w);
    bool fits = list_fits(&w, k->body);
    for (size_t i = 0; i < k->ints.len; i++)
        fits = fits && lt_cuda_fits_int(&w.dims, k->ints.data[i]);
    w.index_type = fits ? "int" : "int64_t";
    const char *params = parameters(&w, name);
    lt_cuda_open(&w, &body);
    emit_list(&w, k->body);
    comment(out, k, arena);
    lt_str_printf(out, "__global__ void %s(%s) {\n%s}\n\n", name, params, body.lines.text);
    return !w.failed;
}
