/* kernel_text.c - kernels as text, which ir/kernel_parse.c reads back exactly.
 *
 *   kernel  := "kernel" [NAME | STRING] "(" [ints ";"] [params] ")" [class]
 *              ["in_place" NUMBER] ["schedule" STRING] [loc] block
 *   ints    := NAME "in" range {"," NAME "in" range}
 *   range   := bound ".." bound                               bound := NUMBER | "inf" | "-inf"
 *   params  := NAME ":" DTYPE "[" [dims] "]" ("in" | "out") {"," ...}
 *   class   := "map" | "reduce" | "window" | "contract" | "conv" | "rows"     (absent: serial)
 *   block   := "{" {stmt} "}"
 *   stmt    := ("for" | "parallel" | "unroll" | "vector" | "grid" | "thread") NAME "in" dim
 *              [loc] block
 *            | "if" "(" expr ")" [loc] block ["else" block]
 *            | "let" NAME "in" range "=" expr [loc]
 *            | "alloc" NAME ":" DTYPE "[" [dims] "]" place [loc]
 *            | "prefetch" NAME "[" [dims] "]" [loc]
 *            | "barrier" [loc]
 *            | "combine" NAME "by" SCALAR "of" NUMBER ["apart" NUMBER] [loc]
 *            | "scan" NAME "after" NAME "by" SCALAR "of" NUMBER ["apart" NUMBER] [loc]
 *            | NAME "[" [dims] "]" "=" expr [loc]
 *   place   := "register" | "stack" | "scratch" | "shared"
 *   loc     := "@" item {"+" item}       (a statement without one has that of the block around it)
 *   item    := STRING ["(" STRING ")"] | "(" STRING ")" | LINE ":" COLUMN
 *   expr    := primaries joined by, from weak to strong: or; and; < <= > >= == !=; + -; * /
 *   primary := NUMBER [":" DTYPE] | "inf" | "nan" | "true" | "false" | NAME (a symbol)
 *            | "-" primary | "(" expr ")"
 *            | NAME "[" [dims] "]" ["where" "(" expr ")"]    (a load, with its predicate)
 *            | SCALAR "(" expr {"," expr} ")"                (a call)
 *            | DTYPE "(" expr ")"                            (a conversion)
 *   dim     := an expr of symbols and integers; floordiv, ceildiv and mod bind like *
 *
 * A number without a dtype has that of its context: the stored buffer's, or that of the operand
 * before it. Where there is neither, 1.5 is f32 and 1 is i64. `#` starts a comment. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "ir/kernel_expr.h"

typedef struct Printer {
    Str *out;
    const Kernel *kernel;
    bool with_name;
    int indent;
    /* Dims are printed from a table whose symbols come in the order of the text, so that the order
     * of terms is the one that the parser's table will have. */
    DimTable shadow;
    const Dim **shadow_of; /* by symbol */
} Printer;

/* "No dtype expected": bool has literals of its own. */
#define NO_DTYPE DT_BOOL

enum { PREC_OR = 1, PREC_AND, PREC_COMPARE, PREC_SUM, PREC_PRODUCT, PREC_PRIMARY };

/* --- dims ------------------------------------------------------------------------------------- */

static const Dim *shadow_symbol(void *user, const Dim *symbol) {
    Printer *p = user;
    if (!p->shadow_of[symbol->symbol]) {
        const DimSymbol *from = &p->kernel->dims.symbols.data[symbol->symbol];
        const Dim *made = lt_dim_symbol(&p->shadow, symbol->name);
        lt_dim_set_range(&p->shadow, made, from->lo, from->hi);
        p->shadow_of[symbol->symbol] = made;
    }
    return p->shadow_of[symbol->symbol];
}

static const Dim *shadow_dim(Printer *p, const Dim *d) {
    return lt_dim_rebuild(&p->shadow, d, shadow_symbol, p);
}

static void print_dim(Printer *p, const Dim *d) { lt_dim_print(p->out, shadow_dim(p, d)); }

static void print_dims(Printer *p, const Dim *const *dims, int rank) {
    lt_str_char(p->out, '[');
    for (int i = 0; i < rank; i++) {
        lt_str_append(p->out, i > 0 ? ", " : "");
        print_dim(p, dims[i]);
    }
    lt_str_char(p->out, ']');
}

static int dim_precedence(const Dim *d) {
    switch (d->kind) {
    case DIM_ADD: return PREC_SUM;
    case DIM_MUL:
    case DIM_FLOORDIV:
    case DIM_CEILDIV:
    case DIM_MOD: return PREC_PRODUCT;
    case DIM_CONST:
    case DIM_SYMBOL:
    case DIM_MIN:
    case DIM_MAX: break;
    }
    return PREC_PRIMARY;
}

/* --- expressions --------------------------------------------------------------------------- */

typedef struct Infix {
    ScalarFn fn;
    const char *text;
    int precedence;
} Infix;

static const Infix infixes[] = {
    {FN_OR, " or ", PREC_OR},      {FN_AND, " and ", PREC_AND},   {FN_LT, " < ", PREC_COMPARE},
    {FN_LE, " <= ", PREC_COMPARE}, {FN_GT, " > ", PREC_COMPARE},  {FN_GE, " >= ", PREC_COMPARE},
    {FN_EQ, " == ", PREC_COMPARE}, {FN_NE, " != ", PREC_COMPARE}, {FN_ADD, " + ", PREC_SUM},
    {FN_SUB, " - ", PREC_SUM},     {FN_MUL, " * ", PREC_PRODUCT}, {FN_DIV, " / ", PREC_PRODUCT},
};

static const Infix *find_infix(ScalarFn fn) {
    for (size_t i = 0; i < sizeof infixes / sizeof *infixes; i++) {
        if (infixes[i].fn == fn)
            return &infixes[i];
    }
    return NULL;
}

static void print_float(Printer *p, double value, DType dtype, bool is_plain) {
    const bool is_whole = fabs(value) < 1e6 && trunc(value) == value;
    if (is_plain && is_whole)
        lt_str_printf(p->out, "%s%d", signbit(value) ? "-" : "", (int)fabs(value));
    else
        lt_str_double(p->out, value, dtype != DT_F64);
}

static void print_const(Printer *p, const Expr *e, DType expected) {
    if (e->dtype == DT_BOOL) {
        lt_str_append(p->out, e->u.i ? "true" : "false");
        return;
    }
    const bool is_float = lt_dtype_is_float(e->dtype);
    if (is_float)
        print_float(p, e->u.f, e->dtype, e->dtype == expected);
    else
        lt_str_printf(p->out, "%lld", (long long)e->u.i);
    const DType otherwise = is_float ? DT_F32 : DT_I64;
    if (e->dtype != expected && (expected != NO_DTYPE || e->dtype != otherwise))
        lt_str_printf(p->out, ":%s", lt_dtype_name(e->dtype));
}

static void print_expr(Printer *p, const Expr *e, DType expected, int precedence);

/* What the operand number i of e may expect: the parser knows the same when it gets there. */
static DType operand_dtype(const Expr *e, int i, DType expected) {
    const Expr *const *args = e->u.call.args;
    switch (lt_scalar_info[e->u.call.fn].rule) {
    case RULE_LOGIC:
    case RULE_TEST: return NO_DTYPE;
    case RULE_COMPARE: return i == 0 ? NO_DTYPE : args[0]->dtype;
    case RULE_SELECT:
        return i == 0 ? NO_DTYPE : i == 2 && expected == NO_DTYPE ? args[1]->dtype : expected;
    case RULE_SAME:
    case RULE_FLOAT:
    case RULE_INT: break;
    }
    return i > 0 && expected == NO_DTYPE ? args[0]->dtype : expected;
}

static void print_call(Printer *p, const Expr *e, DType expected, int precedence) {
    const ScalarFn fn = e->u.call.fn;
    const Infix *infix = find_infix(fn);
    if (infix) {
        const bool is_weak = infix->precedence < precedence;
        const int left = infix->precedence + (infix->precedence == PREC_COMPARE);
        lt_str_append(p->out, is_weak ? "(" : "");
        print_expr(p, e->u.call.args[0], operand_dtype(e, 0, expected), left);
        lt_str_append(p->out, infix->text);
        print_expr(p, e->u.call.args[1], operand_dtype(e, 1, expected), infix->precedence + 1);
        lt_str_append(p->out, is_weak ? ")" : "");
        return;
    }
    lt_str_printf(p->out, "%s(", lt_scalar_info[fn].name);
    for (int i = 0; i < lt_scalar_info[fn].arity; i++) {
        lt_str_append(p->out, i > 0 ? ", " : "");
        print_expr(p, e->u.call.args[i], operand_dtype(e, i, expected), 0);
    }
    lt_str_char(p->out, ')');
}

static void print_index(Printer *p, const Dim *dim, int precedence) {
    const Dim *d = shadow_dim(p, dim);
    const bool is_weak = dim_precedence(d) < precedence;
    lt_str_append(p->out, is_weak ? "(" : "");
    lt_dim_print(p->out, d);
    lt_str_append(p->out, is_weak ? ")" : "");
}

static void print_expr(Printer *p, const Expr *e, DType expected, int precedence) {
    switch (e->kind) {
    case EXPR_CONST: print_const(p, e, expected); return;
    case EXPR_INDEX: print_index(p, e->u.dim, precedence); return;
    case EXPR_CALL: print_call(p, e, expected, precedence); return;
    case EXPR_CONVERT:
    case EXPR_BITCAST:
        lt_str_printf(p->out, e->kind == EXPR_BITCAST ? "bitcast.%s(" : "%s(",
                      lt_dtype_name(e->dtype));
        print_expr(p, e->u.call.args[0], NO_DTYPE, 0);
        lt_str_char(p->out, ')');
        return;
    case EXPR_LOAD:
        lt_str_append(p->out, e->u.load.buffer->name);
        print_dims(p, e->u.load.index, e->u.load.buffer->rank);
        if (e->u.load.predicate) {
            lt_str_append(p->out, " where (");
            print_expr(p, e->u.load.predicate, NO_DTYPE, 0);
            lt_str_char(p->out, ')');
        }
        return;
    }
}

/* --- statements ---------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_loc(const Loc *a, const Loc *b) {
    for (; a && b; a = a->next, b = b->next) {
        if (!same_text(a->node, b->node) || !same_text(a->op, b->op) || a->line != b->line)
            return false;
    }
    return a == b;
}

static void print_loc(Printer *p, const Loc *loc, const Loc *around) {
    if (!p->with_name || !loc || same_loc(loc, around))
        return;
    for (const char *lead = " @ "; loc; loc = loc->next, lead = " + ") {
        lt_str_append(p->out, lead);
        if (loc->node)
            lt_str_quote(p->out, loc->node);
        if (loc->op) {
            lt_str_char(p->out, '(');
            lt_str_quote(p->out, loc->op);
            lt_str_char(p->out, ')');
        }
        if (!loc->node && !loc->op)
            lt_str_printf(p->out, "%d:%d", loc->line, loc->column);
    }
}

static void print_bound(Str *out, int64_t bound) {
    if (bound == LT_DIM_UNBOUNDED || bound == -LT_DIM_UNBOUNDED)
        lt_str_append(out, bound > 0 ? "inf" : "-inf");
    else
        lt_str_printf(out, "%lld", (long long)bound);
}

static void print_range(Printer *p, const Dim *symbol) {
    const DimSymbol *range = &p->kernel->dims.symbols.data[symbol->symbol];
    shadow_symbol(p, symbol);
    lt_str_printf(p->out, "%s in ", symbol->name);
    print_bound(p->out, range->lo);
    lt_str_append(p->out, "..");
    print_bound(p->out, range->hi);
}

const char *const lt_buffer_kinds[] = {
    [BUFFER_INPUT] = "in",    [BUFFER_OUTPUT] = "out",      [BUFFER_REGISTER] = "register",
    [BUFFER_STACK] = "stack", [BUFFER_SCRATCH] = "scratch", [BUFFER_SHARED] = "shared"};

static void print_buffer(Printer *p, const Buffer *b) {
    lt_str_printf(p->out, "%s: %s", b->name, lt_dtype_name(b->dtype));
    print_dims(p, b->dims, b->rank);
    lt_str_printf(p->out, " %s%s", lt_buffer_kinds[b->kind], b->is_swizzled ? " swizzled" : "");
}

static void print_line_start(Printer *p) {
    for (int i = 0; i < p->indent; i++)
        lt_str_append(p->out, "  ");
}

static void print_list(Printer *p, const Stmt *list, const Loc *around);

static void print_block(Printer *p, const Stmt *list, const Loc *around) {
    lt_str_append(p->out, " {\n");
    p->indent++;
    print_list(p, list, around);
    p->indent--;
    print_line_start(p);
    lt_str_char(p->out, '}');
}

static void print_loop(Printer *p, const Stmt *s, const Loc *around) {
    static const char *const words[] = {
        [LOOP_SERIAL] = "for",    [LOOP_PARALLEL] = "parallel", [LOOP_UNROLL] = "unroll",
        [LOOP_VECTOR] = "vector", [LOOP_GRID] = "grid",         [LOOP_THREAD] = "thread",
        [LOOP_FETCH] = "fetch",   [LOOP_MMA] = "mma",           [LOOP_WGMMA] = "wgmma"};
    lt_str_printf(p->out, "%s %s in ", words[s->u.loop.kind], s->u.loop.var->name);
    print_dim(p, s->u.loop.extent);
    shadow_symbol(p, s->u.loop.var);
    print_loc(p, s->loc, around);
    print_block(p, s->u.loop.body, s->loc ? s->loc : around);
}

static void print_branch(Printer *p, const Stmt *s, const Loc *around) {
    const Loc *inside = s->loc ? s->loc : around;
    lt_str_append(p->out, "if (");
    print_expr(p, s->u.branch.condition, NO_DTYPE, 0);
    lt_str_char(p->out, ')');
    print_loc(p, s->loc, around);
    print_block(p, s->u.branch.body, inside);
    if (s->u.branch.otherwise) {
        lt_str_append(p->out, " else");
        print_block(p, s->u.branch.otherwise, inside);
    }
}

static void print_simple(Printer *p, const Stmt *s) {
    if (s->kind == STMT_STORE) {
        lt_str_append(p->out, s->u.store.buffer->name);
        print_dims(p, s->u.store.index, s->u.store.buffer->rank);
        lt_str_append(p->out, " = ");
        print_expr(p, s->u.store.value, s->u.store.buffer->dtype, 0);
    } else if (s->kind == STMT_LET) {
        /* The value first: it does not see the variable. */
        Str value, *out = p->out;
        lt_str_init(&value, p->kernel->arena);
        p->out = &value;
        print_expr(p, s->u.let.value, DT_I64, 0);
        p->out = out;
        lt_str_append(out, "let ");
        print_range(p, s->u.let.var);
        lt_str_printf(out, " = %s", value.text);
    } else if (s->kind == STMT_PREFETCH) {
        lt_str_printf(p->out, "prefetch %s", s->u.prefetch.buffer->name);
        print_dims(p, s->u.prefetch.index, s->u.prefetch.buffer->rank);
    } else if (s->kind == STMT_BARRIER) {
        lt_str_append(p->out, "barrier");
        if (s->u.barrier.fetches)
            lt_str_printf(p->out, " fetches %lld", (long long)s->u.barrier.fetches);
        if (s->u.barrier.products)
            lt_str_printf(p->out, " products %lld", (long long)s->u.barrier.products);
    } else if (s->kind == STMT_COMMIT) {
        lt_str_append(p->out, "commit");
    } else if (s->kind == STMT_COMBINE) {
        lt_str_printf(p->out, "%s %s", s->u.combine.total ? "scan" : "combine",
                      s->u.combine.buffer->name);
        if (s->u.combine.total)
            lt_str_printf(p->out, " after %s", s->u.combine.total->name);
        lt_str_printf(p->out, " by %s of %lld", lt_scalar_info[s->u.combine.fn].name,
                      (long long)s->u.combine.width);
        if (s->u.combine.apart > 1)
            lt_str_printf(p->out, " apart %lld", (long long)s->u.combine.apart);
    } else {
        lt_str_append(p->out, "alloc ");
        print_buffer(p, s->u.alloc.buffer);
    }
}

static void print_list(Printer *p, const Stmt *list, const Loc *around) {
    for (const Stmt *s = list; s; s = s->next) {
        print_line_start(p);
        if (s->kind == STMT_FOR) {
            print_loop(p, s, around);
        } else if (s->kind == STMT_IF) {
            print_branch(p, s, around);
        } else {
            print_simple(p, s);
            print_loc(p, s->loc, around);
        }
        lt_str_char(p->out, '\n');
    }
}

/* --- the kernel ---------------------------------------------------------------------------- */

static void print_signature(Printer *p) {
    const Kernel *k = p->kernel;
    lt_str_char(p->out, '(');
    for (size_t i = 0; i < k->ints.len; i++) {
        lt_str_append(p->out, i > 0 ? ", " : "");
        print_range(p, k->ints.data[i]);
    }
    if (k->ints.len > 0)
        lt_str_append(p->out, k->param_count > 0 ? "; " : ";");
    for (uint32_t i = 0; i < k->param_count; i++) {
        lt_str_append(p->out, i > 0 ? ", " : "");
        print_buffer(p, k->buffers.data[i]);
    }
    lt_str_char(p->out, ')');
}

static void print_name(Str *out, const char *name) {
    bool is_plain = name[0] && !(name[0] >= '0' && name[0] <= '9');
    for (const char *c = name; *c; c++)
        is_plain = is_plain && (*c == '_' || (*c >= '0' && *c <= '9') ||
                                ((*c | 32) >= 'a' && (*c | 32) <= 'z'));
    lt_str_char(out, ' ');
    if (is_plain)
        lt_str_append(out, name);
    else
        lt_str_quote(out, name);
}

const char *const lt_kernel_class_names[] = {
    [KERNEL_SERIAL] = "serial",       [KERNEL_MAP] = "map",
    [KERNEL_REDUCE] = "reduce",       [KERNEL_WINDOW] = "window",
    [KERNEL_CONV] = "conv",           [KERNEL_ROWS] = "rows",
    [KERNEL_CONTRACT] = "contract",   [KERNEL_WINOGRAD] = "winograd",
    [KERNEL_ATTENTION] = "attention",
};

void lt_kernel_print(Str *out, const Kernel *k, bool with_name) {
    Printer p = {.out = out, .kernel = k, .with_name = with_name};
    lt_dims_init(&p.shadow, k->arena);
    p.shadow_of = LT_ARRAY(k->arena, const Dim *, k->dims.symbols.len);
    lt_str_append(out, "kernel");
    if (with_name)
        print_name(out, k->name);
    print_signature(&p);
    if (k->class != KERNEL_SERIAL)
        lt_str_printf(out, " %s", lt_kernel_class_names[k->class]);
    if (k->in_place)
        lt_str_printf(out, " in_place %llu", (unsigned long long)k->in_place);
    if (k->schedule && with_name) {
        lt_str_append(out, " schedule ");
        lt_str_quote(out, k->schedule);
    }
    print_loc(&p, k->loc, NULL);
    print_block(&p, k->body, k->loc);
    lt_str_char(out, '\n');
}
