/* kernel_parse.c - reads kernels from text (grammar: kernel_text.c): names, declarations,
 * statements. */
#include "ir/kernel_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lathe/runtime.h"

enum { MAX_DEPTH = 200 };

/* --- tokens ----------------------------------------------------------------------------------- */

void lt_read_fail(KernelParser *p, const char *at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(p->diags->arena, format, args);
    va_end(args);
    Loc *loc = LT_NEW(p->diags->arena, Loc);
    lt_lex_position(&p->lexer, at, &loc->line, &loc->column);
    lt_error(p->diags, LATHE_MALFORMED, loc, "%s", text);
    lt_vec_last(&p->diags->items).source_line = lt_lex_line(&p->lexer);
    longjmp(p->failed, 1);
}

void lt_read_deeper(KernelParser *p) {
    if (++p->depth > MAX_DEPTH)
        lt_read_fail(p, p->lexer.token.start, "nested more than %d deep", MAX_DEPTH);
}

/* Marks of kernels that the graph's text does not have. */
static void admit_mark(KernelParser *p) {
    Token *token = &p->lexer.token;
    if (token->kind != TOKEN_BAD)
        return;
    if (!*token->start || !strchr(";<>/!@", *token->start))
        lt_read_fail(p, token->start, "%s", token->error);
    token->kind = TOKEN_MARK;
    token->mark = *token->start;
}

void lt_read_next(KernelParser *p) {
    lt_lex_next(&p->lexer);
    admit_mark(p);
}

bool lt_read_at_mark(const KernelParser *p, char mark) {
    return p->lexer.token.kind == TOKEN_MARK && p->lexer.token.mark == mark;
}

bool lt_read_at_word(const KernelParser *p, const char *word) {
    return p->lexer.token.kind == TOKEN_WORD && strcmp(p->lexer.token.text, word) == 0;
}

bool lt_read_mark(KernelParser *p, char mark) {
    const bool found = lt_read_at_mark(p, mark);
    if (found)
        lt_read_next(p);
    return found;
}

bool lt_read_word(KernelParser *p, const char *word) {
    const bool found = lt_read_at_word(p, word);
    if (found)
        lt_read_next(p);
    return found;
}

void lt_read_expect(KernelParser *p, char mark) {
    if (!lt_read_mark(p, mark))
        lt_read_fail(p, p->lexer.token.start, "expected '%c'", mark);
}

static void expect_word(KernelParser *p, const char *word) {
    if (!lt_read_word(p, word))
        lt_read_fail(p, p->lexer.token.start, "expected '%s'", word);
}

const char *lt_read_name(KernelParser *p, const char *what) {
    const Token token = p->lexer.token;
    if (token.kind != TOKEN_WORD)
        lt_read_fail(p, token.start, "expected %s", what);
    lt_read_next(p);
    return token.text;
}

int64_t lt_read_int(KernelParser *p) {
    const Token token = p->lexer.token;
    char *end = NULL;
    errno = 0;
    const int64_t value = token.kind == TOKEN_NUMBER ? strtoll(token.text, &end, 10) : 0;
    if (!end || *end || errno)
        lt_read_fail(p, token.start, "expected an integer");
    lt_read_next(p);
    return value;
}

DType lt_read_dtype(KernelParser *p) {
    const char *at = p->lexer.token.start, *name = lt_read_name(p, "a dtype");
    DType dtype = DT_F32;
    if (!lt_dtype_parse(name, &dtype))
        lt_read_fail(p, at, "there is no dtype '%s'", name);
    return dtype;
}

static const char *parse_string(KernelParser *p) {
    const Token token = p->lexer.token;
    if (token.kind != TOKEN_STRING)
        lt_read_fail(p, token.start, "expected a string");
    lt_read_next(p);
    return token.text;
}

/* --- names ------------------------------------------------------------------------------------ */

const Named *lt_read_find(const KernelParser *p, const char *name) {
    for (size_t i = p->scope.len; i-- > 0;) {
        if (strcmp(p->scope.data[i].name, name) == 0)
            return &p->scope.data[i];
    }
    return NULL;
}

/* A name that is about to be defined. */
static const char *parse_new_name(KernelParser *p, const char *what) {
    const char *at = p->lexer.token.start, *name = lt_read_name(p, what);
    if (lt_kernel_name_is_reserved(name))
        lt_read_fail(p, at, "'%s' is a keyword", name);
    if (lt_read_find(p, name))
        lt_read_fail(p, at, "'%s' is already defined", name);
    return name;
}

static void add_symbol(KernelParser *p, const Dim *symbol) {
    lt_vec_push(p->kernel->arena, &p->scope, (Named){.name = symbol->name, .symbol = symbol});
}

static void add_buffer(KernelParser *p, const Buffer *buffer) {
    lt_vec_push(p->kernel->arena, &p->scope, (Named){.name = buffer->name, .buffer = buffer});
}

/* The symbol of a variable whose scope has ended, if there was one: it serves again. */
static const DimSymbol *find_old_symbol(const Kernel *k, const char *name) {
    for (size_t i = 0; i < k->dims.symbols.len; i++) {
        if (strcmp(k->dims.symbols.data[i].dim->name, name) == 0)
            return &k->dims.symbols.data[i];
    }
    return NULL;
}

static const Dim *widen_symbol(Kernel *k, const DimSymbol *old, int64_t lo, int64_t hi) {
    lt_dim_set_range(&k->dims, old->dim, lo < old->lo ? lo : old->lo, hi > old->hi ? hi : old->hi);
    return old->dim;
}

static const Dim *loop_symbol(Kernel *k, const char *name, const Dim *extent) {
    const DimSymbol *old = find_old_symbol(k, name);
    if (!old)
        return lt_kernel_loop_var(k, name, extent);
    int64_t lo, hi;
    lt_dim_range(&k->dims, extent, &lo, &hi);
    if (k->extents.data[old->dim->symbol] != extent)
        k->extents.data[old->dim->symbol] = NULL;
    return widen_symbol(k, old, 0, hi == LT_DIM_UNBOUNDED ? hi : hi > 0 ? hi - 1 : 0);
}

/* --- pieces of statements --------------------------------------------------------------------- */

static int64_t parse_bound(KernelParser *p) {
    if (lt_read_word(p, "inf"))
        return LT_DIM_UNBOUNDED;
    const Token *token = &p->lexer.token;
    if (token->kind == TOKEN_NUMBER && strcmp(token->text, "-inf") == 0) {
        lt_read_next(p);
        return -LT_DIM_UNBOUNDED;
    }
    return lt_read_int(p);
}

static void parse_range(KernelParser *p, int64_t *lo, int64_t *hi) {
    const char *at = p->lexer.token.start;
    *lo = parse_bound(p);
    lt_read_expect(p, '.');
    lt_read_expect(p, '.');
    *hi = parse_bound(p);
    if (*lo > *hi)
        lt_read_fail(p, at, "the range is empty");
}

static const Loc *parse_loc_item(KernelParser *p) {
    Loc *loc = LT_NEW(p->kernel->arena, Loc);
    if (p->lexer.token.kind == TOKEN_NUMBER) {
        loc->line = (int32_t)lt_read_int(p);
        lt_read_expect(p, ':');
        loc->column = (int32_t)lt_read_int(p);
        return loc;
    }
    if (!lt_read_at_mark(p, '('))
        loc->node = parse_string(p);
    if (lt_read_mark(p, '(')) {
        loc->op = parse_string(p);
        lt_read_expect(p, ')');
    }
    return loc;
}

static const Loc *parse_loc(KernelParser *p, const Loc *around) {
    if (!lt_read_mark(p, '@'))
        return around;
    const Loc *first = parse_loc_item(p), *last = first;
    while (lt_read_mark(p, '+')) {
        const Loc *item = parse_loc_item(p);
        ((Loc *)last)->next = item;
        last = item;
    }
    return first;
}

/* "NAME: DTYPE[dims] KIND" with a kind of first..last. */
static Buffer parse_buffer(KernelParser *p, const char *name, BufferKind first, BufferKind last,
                           const Dim **dims) {
    Buffer b = {.name = name, .dims = dims};
    lt_read_expect(p, ':');
    b.dtype = lt_read_dtype(p);
    b.rank = lt_read_dims(p, dims);
    Str words;
    lt_str_init(&words, p->diags->arena);
    for (b.kind = first; b.kind <= last; b.kind++) {
        if (lt_read_word(p, lt_buffer_kinds[b.kind])) {
            b.is_swizzled = b.kind == BUFFER_SHARED && lt_read_word(p, "swizzled");
            return b;
        }
        lt_str_printf(&words, "%s'%s'",
                      b.kind == first  ? ""
                      : b.kind == last ? " or "
                                       : ", ",
                      lt_buffer_kinds[b.kind]);
    }
    lt_read_fail(p, p->lexer.token.start, "expected %s", words.text);
    b.kind = first;
    return b;
}

/* --- statements ------------------------------------------------------------------------------- */

static Stmt *parse_block(KernelParser *p, const Loc *around);

static Stmt *parse_loop(KernelParser *p, LoopKind kind, const Loc *around) {
    const char *name = parse_new_name(p, "the name of a loop");
    expect_word(p, "in");
    const Dim *extent = lt_read_dim(p);
    const Loc *loc = parse_loc(p, around);
    const size_t visible = p->scope.len;
    const Dim *var = loop_symbol(p->kernel, name, extent);
    add_symbol(p, var);
    Stmt *s = lt_stmt_for(p->kernel, kind, var, extent, parse_block(p, loc));
    p->scope.len = visible;
    s->loc = loc;
    return s;
}

static Stmt *parse_branch(KernelParser *p, const Loc *around) {
    lt_read_expect(p, '(');
    const char *at = p->lexer.token.start;
    const Expr *condition = lt_read_expr(p, DT_BOOL);
    if (condition->dtype != DT_BOOL)
        lt_read_fail(p, at, "expected a condition, found %s", lt_dtype_name(condition->dtype));
    lt_read_expect(p, ')');
    const Loc *loc = parse_loc(p, around);
    Stmt *body = parse_block(p, loc);
    Stmt *otherwise = lt_read_word(p, "else") ? parse_block(p, loc) : NULL;
    Stmt *s = lt_stmt_if(p->kernel, condition, body, otherwise);
    s->loc = loc;
    return s;
}

static Stmt *parse_let(KernelParser *p) {
    int64_t lo, hi;
    const char *name = parse_new_name(p, "the name of a variable");
    expect_word(p, "in");
    parse_range(p, &lo, &hi);
    lt_read_expect(p, '=');
    const char *at = p->lexer.token.start;
    const Expr *value = lt_read_expr(p, DT_I64);
    if (value->dtype != DT_I64)
        lt_read_fail(p, at, "expected a value of dtype i64, found %s", lt_dtype_name(value->dtype));
    Kernel *k = p->kernel;
    const DimSymbol *old = find_old_symbol(k, name);
    const Dim *var = old ? widen_symbol(k, old, lo, hi) : lt_kernel_let_var(k, name, lo, hi);
    if (old)
        k->extents.data[var->symbol] = NULL;
    add_symbol(p, var);
    return lt_stmt_let(k, var, value);
}

static bool same_buffer(const Buffer *a, const Buffer *b) {
    if (strcmp(a->name, b->name) != 0 || a->kind != b->kind || a->dtype != b->dtype ||
        a->rank != b->rank || a->is_swizzled != b->is_swizzled)
        return false;
    return memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

static Stmt *parse_alloc(KernelParser *p) {
    const Dim *dims[LT_MAX_RANK];
    const char *at = p->lexer.token.start;
    const Buffer spec = parse_buffer(p, parse_new_name(p, "the name of a buffer"), BUFFER_REGISTER,
                                     BUFFER_SHARED, dims);
    Kernel *k = p->kernel;
    const Buffer *buffer = NULL;
    for (size_t i = 0; i < k->buffers.len && !buffer; i++)
        buffer = same_buffer(k->buffers.data[i], &spec) ? k->buffers.data[i] : NULL;
    if (!buffer) {
        Buffer *made = lt_kernel_local(k, spec.kind, spec.name, spec.dtype, spec.rank, spec.dims);
        made->is_swizzled = spec.is_swizzled;
        buffer = made;
    }
    if (strcmp(buffer->name, spec.name) != 0)
        lt_read_fail(p, at, "another buffer is named '%s'", spec.name);
    add_buffer(p, buffer);
    return lt_stmt_alloc(k, buffer);
}

/* NAME "[" [dims] "]" */
static const Buffer *parse_element(KernelParser *p, const char *what, const Dim **index) {
    const char *at = p->lexer.token.start, *name = lt_read_name(p, what);
    const Named *named = lt_read_find(p, name);
    if (!named || !named->buffer)
        lt_read_fail(p, at, "there is no buffer '%s' here", name);
    const int rank = lt_read_dims(p, index);
    if (rank != named->buffer->rank)
        lt_read_fail(p, at, "'%s' has rank %d, found %d indices", name, named->buffer->rank, rank);
    return named->buffer;
}

static Stmt *parse_prefetch(KernelParser *p) {
    const Dim *index[LT_MAX_RANK];
    const Buffer *buffer = parse_element(p, "a buffer", index);
    return lt_stmt_prefetch(p->kernel, buffer, index);
}

/* ["fetches" NUMBER] ["products" NUMBER] */
static Stmt *parse_barrier(KernelParser *p) {
    const int64_t fetches = lt_read_word(p, "fetches") ? lt_read_int(p) : 0;
    const int64_t products = lt_read_word(p, "products") ? lt_read_int(p) : 0;
    return lt_stmt_barrier_but(p->kernel, fetches, products);
}

static const Buffer *parse_buffer_name(KernelParser *p) {
    const char *at = p->lexer.token.start, *name = lt_read_name(p, "a buffer");
    const Named *named = lt_read_find(p, name);
    if (!named || !named->buffer)
        lt_read_fail(p, at, "there is no buffer '%s' here", name);
    return named->buffer;
}

/* NAME ["after" NAME] "by" SCALAR "of" NUMBER ["apart" NUMBER] */
static Stmt *parse_combine(KernelParser *p, bool is_scan) {
    const Buffer *buffer = parse_buffer_name(p), *total = NULL;
    if (is_scan) {
        expect_word(p, "after");
        total = parse_buffer_name(p);
    }
    expect_word(p, "by");
    const char *at = p->lexer.token.start, *name = lt_read_name(p, "a scalar function");
    ScalarFn fn;
    if (!lt_scalar_parse(name, &fn))
        lt_read_fail(p, at, "there is no scalar function '%s'", name);
    expect_word(p, "of");
    const int64_t width = lt_read_int(p);
    return lt_stmt_scan(p->kernel, buffer, total, fn, width,
                        lt_read_word(p, "apart") ? lt_read_int(p) : 1);
}

static Stmt *parse_store(KernelParser *p) {
    const Dim *index[LT_MAX_RANK];
    const Buffer *buffer = parse_element(p, "a statement", index);
    lt_read_expect(p, '=');
    const char *at = p->lexer.token.start;
    const Expr *value = lt_read_expr(p, buffer->dtype);
    if (value->dtype != buffer->dtype)
        lt_read_fail(p, at, "'%s' holds %s, found %s", buffer->name, lt_dtype_name(buffer->dtype),
                     lt_dtype_name(value->dtype));
    return lt_stmt_store(p->kernel, buffer, index, value);
}

static Stmt *parse_stmt(KernelParser *p, const Loc *around) {
    static const char *const loops[] = {
        [LOOP_SERIAL] = "for",    [LOOP_PARALLEL] = "parallel", [LOOP_UNROLL] = "unroll",
        [LOOP_VECTOR] = "vector", [LOOP_GRID] = "grid",         [LOOP_THREAD] = "thread",
        [LOOP_FETCH] = "fetch",   [LOOP_MMA] = "mma",           [LOOP_WGMMA] = "wgmma"};
    for (int kind = LOOP_SERIAL; kind <= LOOP_WGMMA; kind++) {
        if (lt_read_word(p, loops[kind]))
            return parse_loop(p, (LoopKind)kind, around);
    }
    if (lt_read_word(p, "if"))
        return parse_branch(p, around);
    Stmt *s = lt_read_word(p, "let")        ? parse_let(p)
              : lt_read_word(p, "alloc")    ? parse_alloc(p)
              : lt_read_word(p, "prefetch") ? parse_prefetch(p)
               : lt_read_word(p, "barrier")  ? parse_barrier(p)
               : lt_read_word(p, "commit")   ? lt_stmt_commit(p->kernel)
               : lt_read_word(p, "combine")  ? parse_combine(p, false)
               : lt_read_word(p, "scan")     ? parse_combine(p, true)
                                            : parse_store(p);
    s->loc = parse_loc(p, around);
    return s;
}

static Stmt *parse_block(KernelParser *p, const Loc *around) {
    const size_t visible = p->scope.len;
    Stmt *first = NULL, **link = &first;
    lt_read_deeper(p);
    lt_read_expect(p, '{');
    while (!lt_read_mark(p, '}')) {
        *link = parse_stmt(p, around);
        link = &(*link)->next;
    }
    p->depth--;
    p->scope.len = visible;
    return first;
}

/* --- the kernel ------------------------------------------------------------------------------- */

static void parse_param(KernelParser *p, const char *name) {
    const Dim *dims[LT_MAX_RANK];
    const Buffer spec = parse_buffer(p, name, BUFFER_INPUT, BUFFER_OUTPUT, dims);
    add_buffer(p, lt_kernel_param(p->kernel, spec.kind, name, spec.dtype, spec.rank, dims));
}

static void parse_signature(KernelParser *p) {
    lt_read_expect(p, '(');
    bool in_ints = true;
    for (int count = 0; !lt_read_mark(p, ')'); count++) {
        if (count > 0 && in_ints && p->kernel->ints.len > 0 && lt_read_mark(p, ';'))
            in_ints = false;
        else if (count > 0)
            lt_read_expect(p, ',');
        if (lt_read_mark(p, ')'))
            return;
        const char *name = parse_new_name(p, "a parameter");
        int64_t lo, hi;
        if (in_ints && lt_read_word(p, "in")) {
            parse_range(p, &lo, &hi);
            add_symbol(p, lt_kernel_int(p->kernel, name, lo, hi));
        } else {
            parse_param(p, name);
        }
    }
}

static void parse_class(KernelParser *p) {
    for (int class = 0; class < KERNEL_CLASS_LIMIT; class ++) {
        if (lt_read_word(p, lt_kernel_class_names[class]))
            p->kernel->class = (KernelClass) class;
    }
}

static void parse_kernel(KernelParser *p) {
    Kernel *k = p->kernel;
    expect_word(p, "kernel");
    if (p->lexer.token.kind == TOKEN_STRING)
        k->name = parse_string(p);
    else if (!lt_read_at_mark(p, '('))
        k->name = lt_read_name(p, "the kernel's name");
    parse_signature(p);
    parse_class(p);
    if (lt_read_word(p, "in_place"))
        k->in_place = (uint64_t)lt_read_int(p);
    if (lt_read_word(p, "schedule"))
        k->schedule = parse_string(p);
    k->loc = parse_loc(p, NULL);
    k->body = parse_block(p, k->loc);
    if (p->lexer.token.kind != TOKEN_END)
        lt_read_fail(p, p->lexer.token.start, "expected the end of the text");
}

Kernel *lt_kernel_parse(Arena *arena, const char *text, size_t len, DiagList *diags) {
    KernelParser *p = LT_NEW(arena, KernelParser);
    p->kernel = lt_kernel_new(arena, "", NULL);
    p->diags = diags;
    const char *copy = lt_arena_strndup(arena, text, len); /* the lexer wants a NUL behind it */
    if (setjmp(p->failed))
        return NULL;
    lt_lex_init(&p->lexer, arena, copy, strlen(copy));
    admit_mark(p);
    parse_kernel(p);
    return p->kernel;
}
