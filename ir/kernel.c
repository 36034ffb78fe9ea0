/* kernel.c - making kernels: parameters, local buffers, symbols, statements.
 *
 * Names are unique within a kernel and depend on nothing but the order of the calls, so that equal
 * kernels print equally. Expressions are in kernel_expr.c. */
#include "ir/kernel.h"

#include <assert.h>
#include <string.h>

#include "ir/kernel_expr.h"

Kernel *lt_kernel_new(Arena *arena, const char *name, const Loc *loc) {
    Kernel *k = LT_NEW(arena, Kernel);
    k->arena = arena;
    k->name = lt_arena_strdup(arena, name);
    k->loc = loc;
    lt_dims_init(&k->dims, arena);
    lt_map_init(&k->exprs, arena);
    return k;
}

/* --- names ------------------------------------------------------------------------------------ */

/* Words with a meaning of their own where a name may stand in the text form. */
static const char *const reserved[] = {
    "for", "parallel", "unroll", "vector",   "if",      "else", "where",    "let",     "alloc",
    "in",  "inf",      "nan",    "true",     "false",   "and",  "floordiv", "ceildiv", "mod",
    "min", "max",      "or",     "prefetch", "barrier", "grid", "thread"};

bool lt_kernel_name_is_reserved(const char *name) {
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (strcmp(name, reserved[i]) == 0)
            return true;
    }
    return false;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static char *plain_name(Arena *arena, const char *name) {
    const bool starts_well = is_letter(name[0]);
    char *plain = lt_arena_printf(arena, "%s%s", starts_well ? "" : "_", name);
    for (char *c = plain; *c; c++) {
        const bool joins = *c == '.' && (is_letter(c[1]) || is_digit(c[1]));
        if (!is_letter(*c) && !is_digit(*c) && !joins)
            *c = '_';
    }
    return plain;
}

static bool symbol_is_taken(const Kernel *k, const char *name) {
    for (size_t i = 0; i < k->dims.symbols.len; i++) {
        if (strcmp(k->dims.symbols.data[i].dim->name, name) == 0)
            return true;
    }
    return false;
}

static bool buffer_is_taken(const Kernel *k, const char *name) {
    for (size_t i = 0; i < k->buffers.len; i++) {
        if (strcmp(k->buffers.data[i]->name, name) == 0)
            return true;
    }
    return false;
}

/* name, name_2, name_3, ... */
static const char *unique_name(Kernel *k, const char *name,
                               bool (*is_taken)(const Kernel *, const char *)) {
    const char *plain = plain_name(k->arena, name), *unique = plain;
    for (int number = 2; is_taken(k, unique) || lt_kernel_name_is_reserved(unique); number++)
        unique = lt_arena_printf(k->arena, "%s_%d", plain, number);
    return unique;
}

/* --- buffers ---------------------------------------------------------------------------------- */

static Buffer *add_buffer(Kernel *k, const Buffer *spec) {
    assert(spec->rank >= 0 && spec->rank <= LT_MAX_RANK);
    Buffer *buffer = lt_arena_copy(k->arena, spec, sizeof *spec);
    buffer->index = (uint32_t)k->buffers.len;
    buffer->name = unique_name(k, spec->name, buffer_is_taken);
    buffer->dims = lt_arena_copy(k->arena, spec->dims, (size_t)spec->rank * sizeof *spec->dims);
    lt_vec_push(k->arena, &k->buffers, buffer);
    return buffer;
}

Buffer *lt_kernel_param(Kernel *k, BufferKind kind, const char *name, DType dtype, int rank,
                        const Dim *const *dims) {
    assert(kind == BUFFER_INPUT || kind == BUFFER_OUTPUT);
    assert(k->param_count == k->buffers.len);
    k->param_count++;
    return add_buffer(
        k, &(Buffer){.kind = kind, .dtype = dtype, .rank = rank, .name = name, .dims = dims});
}

Buffer *lt_kernel_local(Kernel *k, BufferKind kind, const char *name, DType dtype, int rank,
                        const Dim *const *dims) {
    assert(kind != BUFFER_INPUT && kind != BUFFER_OUTPUT);
    return add_buffer(
        k, &(Buffer){.kind = kind, .dtype = dtype, .rank = rank, .name = name, .dims = dims});
}

const Dim *lt_buffer_flat(DimTable *t, const Buffer *b, const Dim *const *index) {
    const Dim *flat = lt_dim_const(t, 0);
    for (int i = 0; i < b->rank; i++)
        flat = lt_dim_add(t, lt_dim_mul(t, flat, b->dims[i]), index[i]);
    return flat;
}

/* Each with room for a vector that begins at its last element. */
int64_t lt_kernel_scratch_offset(const Kernel *k, const Buffer *buffer) {
    enum { LINE = 64, ROOM = 256 };
    int64_t offset = 0;
    for (size_t i = k->param_count; i < k->buffers.len && k->buffers.data[i] != buffer; i++) {
        const Buffer *b = k->buffers.data[i];
        int64_t bytes = (int64_t)lt_dtype_size(b->dtype);
        for (int axis = 0; axis < b->rank; axis++)
            bytes *= b->dims[axis]->value;
        if (b->kind == BUFFER_SCRATCH || b->kind == BUFFER_SHARED)
            offset += (bytes + ROOM + LINE - 1) / LINE * LINE;
    }
    return offset;
}

/* --- symbols ---------------------------------------------------------------------------------- */

static const Dim *new_symbol(Kernel *k, const char *name, int64_t lo, int64_t hi,
                             const Dim *extent) {
    const Dim *symbol = lt_dim_symbol(&k->dims, unique_name(k, name, symbol_is_taken));
    lt_dim_set_range(&k->dims, symbol, lo, hi);
    while (k->extents.len <= symbol->symbol)
        lt_vec_push(k->arena, &k->extents, NULL);
    k->extents.data[symbol->symbol] = extent;
    return symbol;
}

const Dim *lt_kernel_loop_var(Kernel *k, const char *name, const Dim *extent) {
    int64_t lo, hi;
    lt_dim_range(&k->dims, extent, &lo, &hi);
    if (hi != LT_DIM_UNBOUNDED)
        hi = hi > 0 ? hi - 1 : 0; /* a loop that never runs: any range will do */
    return new_symbol(k, name, 0, hi, extent);
}

const Dim *lt_kernel_let_var(Kernel *k, const char *name, int64_t lo, int64_t hi) {
    return new_symbol(k, name, lo, hi, NULL);
}

const Dim *lt_kernel_int(Kernel *k, const char *name, int64_t lo, int64_t hi) {
    const Dim *symbol = new_symbol(k, name, lo, hi, NULL);
    lt_vec_push(k->arena, &k->ints, symbol);
    lt_vec_push(k->arena, &k->int_sources, NULL);
    return symbol;
}

typedef const Dim *DimFn(DimTable *t, const Dim *a, const Dim *b);

static DimFn *const two_operands[] = {
    [DIM_ADD] = lt_dim_add,         [DIM_MUL] = lt_dim_mul, [DIM_FLOORDIV] = lt_dim_floordiv,
    [DIM_CEILDIV] = lt_dim_ceildiv, [DIM_MOD] = lt_dim_mod, [DIM_MIN] = lt_dim_min,
    [DIM_MAX] = lt_dim_max};

const Dim *lt_dim_rebuild(DimTable *t, const Dim *dim, SymbolFn *symbol, void *user) {
    if (dim->kind == DIM_CONST)
        return lt_dim_const(t, dim->value);
    if (dim->kind == DIM_SYMBOL)
        return symbol(user, dim);
    const Dim *result = lt_dim_rebuild(t, dim->args[0], symbol, user);
    for (uint32_t i = 1; i < dim->count; i++)
        result = two_operands[dim->kind](t, result, lt_dim_rebuild(t, dim->args[i], symbol, user));
    if (dim->kind == DIM_ADD)
        return lt_dim_add_const(t, result, dim->value);
    return dim->kind == DIM_MUL ? lt_dim_mul_const(t, result, dim->value) : result;
}

typedef struct Import {
    Kernel *kernel;
    const DimTable *model;
} Import;

static const Dim *import_symbol(void *user, const Dim *symbol) {
    const Import *import = user;
    Kernel *k = import->kernel;
    for (size_t i = 0; i < k->ints.len; i++) {
        if (k->int_sources.data[i] == symbol)
            return k->ints.data[i];
    }
    const DimSymbol *range = &import->model->symbols.data[symbol->symbol];
    const Dim *made = lt_kernel_int(k, symbol->name, range->lo, range->hi);
    lt_vec_last(&k->int_sources) = symbol;
    return made;
}

const Dim *lt_kernel_import_dim(Kernel *k, const DimTable *model, const Dim *dim) {
    Import import = {k, model};
    return lt_dim_rebuild(&k->dims, dim, import_symbol, &import);
}

/* --- statements ------------------------------------------------------------------------------- */

static Stmt *new_stmt(Kernel *k, StmtKind kind) {
    Stmt *s = LT_NEW(k->arena, Stmt);
    s->kind = kind;
    return s;
}

Stmt *lt_stmt_for(Kernel *k, LoopKind kind, const Dim *var, const Dim *extent, Stmt *body) {
    assert(var->kind == DIM_SYMBOL);
    Stmt *s = new_stmt(k, STMT_FOR);
    s->u.loop.kind = kind;
    s->u.loop.var = var;
    s->u.loop.extent = extent;
    s->u.loop.body = body;
    return s;
}

Stmt *lt_stmt_if(Kernel *k, const Expr *condition, Stmt *body, Stmt *otherwise) {
    Stmt *s = new_stmt(k, STMT_IF);
    s->u.branch.condition = condition;
    s->u.branch.body = body;
    s->u.branch.otherwise = otherwise;
    return s;
}

Stmt *lt_stmt_store(Kernel *k, const Buffer *buffer, const Dim *const *index, const Expr *value) {
    Stmt *s = new_stmt(k, STMT_STORE);
    s->u.store.buffer = buffer;
    s->u.store.index = lt_arena_copy(k->arena, index, (size_t)buffer->rank * sizeof *index);
    s->u.store.value = value;
    return s;
}

Stmt *lt_stmt_let(Kernel *k, const Dim *var, const Expr *value) {
    assert(var->kind == DIM_SYMBOL);
    Stmt *s = new_stmt(k, STMT_LET);
    s->u.let.var = var;
    s->u.let.value = value;
    return s;
}

Stmt *lt_stmt_alloc(Kernel *k, const Buffer *buffer) {
    Stmt *s = new_stmt(k, STMT_ALLOC);
    s->u.alloc.buffer = buffer;
    return s;
}

Stmt *lt_stmt_prefetch(Kernel *k, const Buffer *buffer, const Dim *const *index) {
    Stmt *s = new_stmt(k, STMT_PREFETCH);
    s->u.prefetch.buffer = buffer;
    s->u.prefetch.index = lt_arena_copy(k->arena, index, (size_t)buffer->rank * sizeof *index);
    return s;
}

Stmt *lt_stmt_barrier(Kernel *k) { return new_stmt(k, STMT_BARRIER); }

Stmt *lt_stmt_barrier_but(Kernel *k, int64_t fetches, int64_t products) {
    Stmt *s = new_stmt(k, STMT_BARRIER);
    s->u.barrier.fetches = fetches;
    s->u.barrier.products = products;
    return s;
}

Stmt *lt_stmt_commit(Kernel *k) { return new_stmt(k, STMT_COMMIT); }

Stmt *lt_stmt_combine(Kernel *k, const Buffer *buffer, ScalarFn fn, int64_t width, int64_t apart) {
    Stmt *s = new_stmt(k, STMT_COMBINE);
    s->u.combine.buffer = buffer;
    s->u.combine.fn = fn;
    s->u.combine.width = width;
    s->u.combine.apart = apart;
    return s;
}

Stmt *lt_stmt_scan(Kernel *k, const Buffer *buffer, const Buffer *total, ScalarFn fn, int64_t width,
                   int64_t apart) {
    Stmt *s = lt_stmt_combine(k, buffer, fn, width, apart);
    s->u.combine.total = total;
    return s;
}

Stmt *lt_stmt_join(Stmt *a, Stmt *b) {
    if (!a)
        return b;
    Stmt *last = a;
    while (last->next)
        last = last->next;
    last->next = b;
    return a;
}

/* --- copies ----------------------------------------------------------------------------------- */

static const Dim *copied_var(const Substitution *s, const Dim *var) {
    const Dim *by = s->by ? s->by[var->symbol] : NULL;
    assert(!by || by->kind == DIM_SYMBOL);
    return by ? by : var;
}

static Stmt *copy_list(Substitution *s, const Stmt *list);

static Stmt *copy_stmt(Substitution *s, const Stmt *from) {
    Kernel *k = s->kernel;
    switch (from->kind) {
    case STMT_FOR:
        return lt_stmt_for(k, from->u.loop.kind, copied_var(s, from->u.loop.var),
                           lt_substitute_dim(s, from->u.loop.extent),
                           copy_list(s, from->u.loop.body));
    case STMT_IF:
        return lt_stmt_if(k, lt_substitute_expr(s, from->u.branch.condition),
                          copy_list(s, from->u.branch.body),
                          copy_list(s, from->u.branch.otherwise));
    case STMT_STORE: {
        const Dim *index[LT_MAX_RANK];
        lt_substitute_index(s, from->u.store.index, from->u.store.buffer->rank, index);
        return lt_stmt_store(k, lt_substitute_buffer(s, from->u.store.buffer), index,
                             lt_substitute_expr(s, from->u.store.value));
    }
    case STMT_LET:
        return lt_stmt_let(k, copied_var(s, from->u.let.var),
                           lt_substitute_expr(s, from->u.let.value));
    case STMT_ALLOC: return lt_stmt_alloc(k, lt_substitute_buffer(s, from->u.alloc.buffer));
    case STMT_BARRIER:
        return lt_stmt_barrier_but(k, from->u.barrier.fetches, from->u.barrier.products);
    case STMT_COMMIT: return lt_stmt_commit(k);
    case STMT_COMBINE:
        return lt_stmt_scan(k, lt_substitute_buffer(s, from->u.combine.buffer),
                            from->u.combine.total ? lt_substitute_buffer(s, from->u.combine.total)
                                                  : NULL,
                            from->u.combine.fn, from->u.combine.width, from->u.combine.apart);
    case STMT_PREFETCH: {
        const Dim *index[LT_MAX_RANK];
        const Buffer *buffer = from->u.prefetch.buffer;
        lt_substitute_index(s, from->u.prefetch.index, buffer->rank, index);
        return lt_stmt_prefetch(k, lt_substitute_buffer(s, buffer), index);
    }
    }
    assert(!"a statement");
    return NULL;
}

static Stmt *copy_list(Substitution *s, const Stmt *list) {
    Stmt *first = NULL, **link = &first;
    for (const Stmt *from = list; from; from = from->next) {
        *link = copy_stmt(s, from);
        (*link)->loc = from->loc;
        link = &(*link)->next;
    }
    return first;
}

Stmt *lt_stmt_copy(Kernel *k, const Stmt *list, const Dim *const *by,
                   const Buffer *const *buffer_by) {
    Substitution s;
    lt_substitution_init(&s, k, by, buffer_by);
    return copy_list(&s, list);
}

/* --- teams ------------------------------------------------------------------------------------ */

static const Stmt *find_parallel(const Stmt *list) {
    const Stmt *found = NULL;
    for (const Stmt *s = list; s && !found; s = s->next) {
        if (s->kind == STMT_FOR)
            found = s->u.loop.kind == LOOP_PARALLEL ? s : find_parallel(s->u.loop.body);
        else if (s->kind == STMT_IF)
            found = find_parallel(s->u.branch.body);
        if (!found && s->kind == STMT_IF)
            found = find_parallel(s->u.branch.otherwise);
    }
    return found;
}

const Stmt *lt_kernel_parallel_loop(const Kernel *k) { return find_parallel(k->body); }

bool lt_kernel_is_team(const Kernel *k) {
    const Stmt *loop = lt_kernel_parallel_loop(k);
    return loop && (loop != k->body || loop->next);
}

bool lt_stmt_has_barrier(const Stmt *list) {
    bool found = false;
    for (const Stmt *s = list; s && !found; s = s->next)
        found = s->kind == STMT_BARRIER || s->kind == STMT_COMBINE ||
                (s->kind == STMT_FOR && lt_stmt_has_barrier(s->u.loop.body)) ||
                (s->kind == STMT_IF && (lt_stmt_has_barrier(s->u.branch.body) ||
                                        lt_stmt_has_barrier(s->u.branch.otherwise)));
    return found;
}

bool lt_stmt_uses(const Stmt *list, const Buffer *b) {
    bool found = false;
    for (const Stmt *s = list; s && !found; s = s->next) {
        switch (s->kind) {
        case STMT_FOR: found = lt_stmt_uses(s->u.loop.body, b); break;
        case STMT_IF:
            found = lt_expr_loads(s->u.branch.condition, b) ||
                    lt_stmt_uses(s->u.branch.body, b) || lt_stmt_uses(s->u.branch.otherwise, b);
            break;
        case STMT_STORE:
            found = s->u.store.buffer == b || lt_expr_loads(s->u.store.value, b);
            break;
        case STMT_LET: found = lt_expr_loads(s->u.let.value, b); break;
        case STMT_COMBINE: found = s->u.combine.buffer == b || s->u.combine.total == b; break;
        default: break;
        }
    }
    return found;
}

bool lt_kernel_knows_dim(const Kernel *k, const Dim *d) {
    for (uint32_t i = 0; i < d->count; i++)
        if (!lt_kernel_knows_dim(k, d->args[i]))
            return false;
    bool is_known = d->kind != DIM_SYMBOL;
    for (size_t i = 0; i < k->ints.len && !is_known; i++)
        is_known = k->ints.data[i] == d;
    return is_known;
}

/* --- blocks and threads ----------------------------------------------------------------------- */

int64_t lt_stmt_threads(const Stmt *list) {
    int64_t most = 0;
    for (const Stmt *s = list; s; s = s->next) {
        int64_t inside = 0;
        if (s->kind == STMT_FOR)
            inside = s->u.loop.kind != LOOP_THREAD       ? lt_stmt_threads(s->u.loop.body)
                     : lt_dim_is_const(s->u.loop.extent) ? s->u.loop.extent->value
                                                         : 1;
        else if (s->kind == STMT_IF)
            inside = lt_stmt_threads(s->u.branch.body);
        most = inside > most ? inside : most;
    }
    return most;
}

int64_t lt_kernel_threads(const Kernel *k) { return lt_stmt_threads(k->body); }

const Dim *lt_kernel_blocks(Kernel *k) {
    const Dim *blocks = lt_dim_const(&k->dims, 1);
    for (const Stmt *s = k->body; s && s->kind == STMT_FOR && s->u.loop.kind == LOOP_GRID;
         s = s->u.loop.body)
        blocks = lt_dim_mul(&k->dims, blocks, s->u.loop.extent);
    return blocks;
}

typedef struct Export {
    const Kernel *kernel;
    const Dim *const *ints;
} Export;

static const Dim *export_symbol(void *user, const Dim *symbol) {
    const Export *e = user;
    size_t i = 0;
    while (i < e->kernel->ints.len && e->kernel->ints.data[i] != symbol)
        i++;
    assert(i < e->kernel->ints.len && "only integer arguments are known outside");
    return e->ints[i];
}

const Dim *lt_kernel_export_dim(const Kernel *k, DimTable *t, const Dim *const *ints,
                                const Dim *d) {
    Export e = {k, ints};
    return lt_dim_rebuild(t, d, export_symbol, &e);
}

/* --- copies ----------------------------------------------------------------------------------- */

static void copy_dims(Kernel *out, const Kernel *k) {
    lt_dims_fork(&out->dims, &k->dims, k->arena);
    memset(&out->ints, 0, sizeof out->ints);
    memset(&out->int_sources, 0, sizeof out->int_sources);
    memset(&out->extents, 0, sizeof out->extents);
    for (size_t i = 0; i < k->ints.len; i++) {
        lt_vec_push(k->arena, &out->ints, k->ints.data[i]);
        lt_vec_push(k->arena, &out->int_sources, k->int_sources.data[i]);
    }
    for (size_t i = 0; i < k->extents.len; i++)
        lt_vec_push(k->arena, &out->extents, k->extents.data[i]);
}

Kernel *lt_kernel_copy(const Kernel *k) {
    Kernel *out = lt_arena_copy(k->arena, k, sizeof *k);
    const Buffer **buffers = LT_ARRAY(k->arena, const Buffer *, k->buffers.len + 1);
    const Dim **vars = LT_ARRAY(k->arena, const Dim *, k->dims.symbols.len + 1);
    copy_dims(out, k);
    lt_map_init(&out->exprs, k->arena);
    memset(&out->buffers, 0, sizeof out->buffers);
    for (size_t i = 0; i < k->buffers.len; i++) {
        Buffer *buffer = lt_arena_copy(k->arena, k->buffers.data[i], sizeof *buffer);
        lt_vec_push(k->arena, &out->buffers, buffer);
        buffers[buffer->index] = buffer;
    }
    out->body = lt_stmt_copy(out, k->body, vars, buffers);
    return out;
}
