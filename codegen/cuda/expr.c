/* expr.c - expressions as text.
 *
 * Within a statement, what is mentioned more than once gets a name, and so does what would make a
 * line too long to read. Loads have predicates wherever they may be out of range, so that a value
 * may be computed before it is known whether it is needed. */
#include <assert.h>
#include <string.h>

#include "codegen/cuda/cuda.h"
#include "ir/schedule.h"

enum { LONG_TEXT = 72 };

static Text emit(Writer *w, const Expr *e);

/* --- elements --- */

bool lt_cuda_is_scalar(const Buffer *b) {
    for (int i = 0; i < b->rank; i++)
        if (!lt_dim_is(b->dims[i], 1))
            return false;
    return lt_buffer_is_private(b);
}

/* x ^ 8 * (row % 8), where parts of 16 bytes have 8 elements. */
static const char *swizzled(Writer *w, const Buffer *b, const Dim *row, const Dim *x) {
    const long long part = 16 / (long long)lt_dtype_size(b->dtype);
    const Dim *line = lt_dim_mod(&w->dims, row, lt_dim_const(&w->dims, 8));
    const Text at = lt_cuda_dim(w, x);
    return lt_arena_printf(w->arena, "%s ^ %lld * %s", lt_cuda_tight(w->arena, at, BIND_SUM), part,
                           lt_cuda_tight(w->arena, lt_cuda_dim(w, line), BIND_UNARY));
}

const char *lt_cuda_element(Writer *w, const Buffer *b, const Dim *const *index) {
    const char *name = w->buffers[b->index];
    if (lt_cuda_is_scalar(b))
        return name;
    lt_cuda_hint(w, b, index);
    const char *in_pack = lt_cuda_pack_element(w, b, index);
    if (in_pack)
        return in_pack;
    if (b->kind <= BUFFER_OUTPUT)
        return lt_cuda_parameter_element(w, b, lt_buffer_flat(&w->dims, b, index));
    Str text;
    lt_str_init(&text, w->arena);
    lt_str_append(&text, name);
    for (int i = 0; i < b->rank - b->is_swizzled; i++)
        if (lt_cuda_has_axis(b, i))
            lt_str_printf(&text, "[%s]", lt_cuda_dim(w, index[i]).text);
    if (b->is_swizzled)
        lt_str_printf(&text, "[%s]", swizzled(w, b, index[b->rank - 2], index[b->rank - 1]));
    if (b->rank == 0)
        lt_str_append(&text, "[0]");
    return text.text;
}

static Text zero_of(Writer *w, DType dtype) {
    return lt_dtype_is_float(dtype) ? lt_cuda_float(w->arena, dtype, 0)
                                    : lt_cuda_int(w->arena, dtype, 0);
}

/* Of a load, as if it had no predicate. */
static Text element_value(Writer *w, const Expr *e) {
    const Buffer *b = e->u.load.buffer;
    const Text element = {lt_cuda_element(w, b, e->u.load.index), BIND_ATOM};
    return lt_cuda_in_memory(b) ? lt_cuda_from_memory(w->arena, element, b->dtype) : element;
}

static Text emit_load(Writer *w, const Expr *e) {
    const Text value = element_value(w, e);
    if (!e->u.load.predicate)
        return value;
    const Text test = emit(w, e->u.load.predicate);
    return (Text){lt_arena_printf(w->arena, "%s ? %s : %s", lt_cuda_tight(w->arena, test, BIND_OR),
                                  value.text, zero_of(w, e->dtype).text),
                  BIND_CHOICE};
}

/* --- calls --- */

static bool is_index(const Expr *e) { return e->kind == EXPR_INDEX || e->kind == EXPR_CONST; }

/* Comparing positions needs no type: -1 < i + k - 1 reads i + k > 0. */
static Text emit_order(Writer *w, const Expr *e) {
    const Dim *sides[2];
    for (int i = 0; i < 2; i++) {
        const Expr *side = e->u.call.args[i];
        sides[i] = side->kind == EXPR_CONST ? lt_dim_const(&w->dims, side->u.i) : side->u.dim;
        if (w->any_replaced)
            sides[i] = lt_dim_substitute(&w->dims, sides[i], w->replaced);
    }
    for (int i = 0; i < 2; i++)
        if (sides[i]->kind == DIM_CONST && sides[1 - i]->kind == DIM_ADD) {
            const int64_t moved = sides[1 - i]->value;
            sides[i] = lt_dim_const(&w->dims, sides[i]->value - moved);
            sides[1 - i] = lt_dim_add_const(&w->dims, sides[1 - i], -moved);
        }
    const Text a = lt_cuda_dim(w, sides[0]), b = lt_cuda_dim(w, sides[1]);
    if (e->u.call.fn == FN_LT && sides[0]->kind == DIM_CONST)
        return lt_cuda_binary(w->arena, b, ">", a, BIND_COMPARE);
    return lt_cuda_call(w->arena, e->u.call.fn, DT_I64, (Text[]){a, b});
}

/* Numbers that are compared need no type. */
static Text emit_operand(Writer *w, const Expr *e, ScalarRule rule) {
    const bool is_small =
        e->kind == EXPR_CONST && lt_dtype_is_int(e->dtype) && e->u.i >= 0 && e->u.i <= INT8_MAX;
    return is_small && rule == RULE_COMPARE ? lt_cuda_int(w->arena, DT_I32, e->u.i) : emit(w, e);
}

/* Whether a < b holds where a condition does, or where it does not. */
static bool is_implied(Writer *w, const Expr *e, const Expr *condition, bool holds) {
    if (holds && e == condition)
        return true;
    if (holds || e->kind != EXPR_CALL || condition->kind != EXPR_CALL || e->u.call.fn != FN_LT ||
        condition->u.call.fn != FN_LT)
        return false;
    Kernel *k = (Kernel *)w->kernel; /* interning only adds to it */
    const Dim *sides[4];
    for (int i = 0; i < 4; i++) {
        sides[i] = lt_expr_dim(k, (i < 2 ? e : condition)->u.call.args[i % 2]);
        if (!sides[i])
            return false;
    }
    /* b - a > 0 is what d <= c says as c - d + 1 > 0. */
    return lt_dim_sub(&w->dims, sides[1], sides[0]) ==
           lt_dim_add_const(&w->dims, lt_dim_sub(&w->dims, sides[2], sides[3]), 1);
}

/* An operand of a choice: what the condition says need not be asked again by a load. */
static Text emit_choice(Writer *w, const Expr *e, const Expr *condition, bool holds) {
    if (e->kind == EXPR_LOAD && e->u.load.predicate && !w->uses[e->id].name &&
        w->uses[e->id].count < 2 && is_implied(w, e->u.load.predicate, condition, holds)) {
        w->uses[e->u.load.predicate->id].count--;
        return element_value(w, e);
    }
    return emit(w, e);
}

static Text emit_select(Writer *w, const Expr *e) {
    const Expr *const *operands = e->u.call.args;
    Text args[3];
    args[1] = emit_choice(w, operands[1], operands[0], true);
    args[2] = emit_choice(w, operands[2], operands[0], false);
    args[0] = emit(w, operands[0]);
    return lt_cuda_call(w->arena, FN_SELECT, operands[1]->dtype, args);
}

static Text emit_call(Writer *w, const Expr *e) {
    const ScalarFn fn = e->u.call.fn;
    Text args[3] = {{NULL, BIND_ATOM}, {NULL, BIND_ATOM}, {NULL, BIND_ATOM}};
    const Expr *const *operands = e->u.call.args;
    if (lt_scalar_info[fn].rule == RULE_COMPARE && is_index(operands[0]) && is_index(operands[1]) &&
        operands[0]->dtype == DT_I64)
        return emit_order(w, e);
    if (fn == FN_SELECT)
        return emit_select(w, e);
    for (int i = 0; i < lt_scalar_info[fn].arity; i++)
        args[i] = emit_operand(w, operands[i], lt_scalar_info[fn].rule);
    return lt_cuda_call(w->arena, fn, operands[0]->dtype, args);
}

static Text emit_index(Writer *w, const Dim *dim, DType dtype) {
    const Dim *d = lt_cuda_replaced(w, dim);
    const Text text = lt_cuda_dim(w, d);
    const char *type = lt_cuda_register_type(dtype);
    const char *has = lt_cuda_is_wide(w, d) ? "int64_t" : "int";
    if (strcmp(type, has) == 0 && d->kind != DIM_CONST)
        return text;
    return (Text){lt_arena_printf(w->arena, "%s(%s)", type, text.text), BIND_ATOM};
}

static Text emit_convert(Writer *w, const Expr *e) {
    const Expr *from = e->u.call.args[0];
    const bool is_plain = e->dtype == DT_F32 || e->dtype == DT_F64 || e->dtype == DT_I32;
    if (from->kind == EXPR_INDEX && is_plain)
        return emit_index(w, from->u.dim, e->dtype);
    return lt_cuda_convert(w->arena, emit(w, from), from->dtype, e->dtype);
}

/* An element as memory has it. */
static bool is_element(const Expr *e) {
    return e->kind == EXPR_LOAD && !e->u.load.predicate && lt_cuda_in_memory(e->u.load.buffer);
}

/* The bits of a load stay as they are: through f32, a NaN of a narrow float would lose some. */
const char *lt_cuda_raw(Writer *w, const Expr *e) {
    if (is_element(e))
        return lt_cuda_element(w, e->u.load.buffer, e->u.load.index);
    if (e->kind != EXPR_BITCAST)
        return NULL;
    const Expr *from = e->u.call.args[0];
    const char *bits = lt_cuda_raw(w, from);
    if (!bits)
        bits = lt_arena_printf(w->arena, "%s(%s)", lt_cuda_memory_type(from->dtype),
                               lt_cuda_to_memory(w->arena, emit(w, from), from->dtype).text);
    return lt_arena_printf(w->arena, "bitcast<%s>(%s)", lt_cuda_memory_type(e->dtype), bits);
}

static Text emit_bitcast(Writer *w, const Expr *e) {
    return lt_cuda_from_memory(w->arena, (Text){lt_cuda_raw(w, e), BIND_ATOM}, e->dtype);
}

/* --- expressions --- */

static Text compute(Writer *w, const Expr *e) {
    switch (e->kind) {
    case EXPR_CONST:
        return lt_dtype_is_float(e->dtype) ? lt_cuda_float(w->arena, e->dtype, e->u.f)
                                           : lt_cuda_int(w->arena, e->dtype, e->u.i);
    case EXPR_INDEX: return emit_index(w, e->u.dim, DT_I64);
    case EXPR_LOAD: return emit_load(w, e);
    case EXPR_CALL: return emit_call(w, e);
    case EXPR_CONVERT: return emit_convert(w, e);
    case EXPR_BITCAST: return emit_bitcast(w, e);
    }
    assert(!"a kind of expression");
    return (Text){"", BIND_ATOM};
}

static bool is_cheap(Writer *w, const Expr *e) {
    if (e->kind != EXPR_LOAD)
        return is_index(e);
    const Buffer *b = e->u.load.buffer;
    const bool is_plain =
        !e->u.load.predicate && lt_cuda_register_type(b->dtype) == lt_cuda_memory_type(b->dtype);
    return !e->u.load.predicate &&
           (lt_cuda_is_scalar(b) || (is_plain && lt_cuda_pack_element(w, b, e->u.load.index)));
}

static Text emit(Writer *w, const Expr *e) {
    ExprUse *use = &w->uses[e->id];
    if (use->name)
        return (Text){use->name, BIND_ATOM};
    const Text text = compute(w, e);
    if (is_cheap(w, e) || (use->count < 2 && strlen(text.text) < LONG_TEXT))
        return text;
    const char *wanted = e->kind == EXPR_LOAD ? "x" : e->dtype == DT_BOOL ? "inside" : "v";
    use->name = lt_cuda_scope_name(w, w->scope, wanted);
    lt_cuda_line(w, "const %s %s = %s;", lt_cuda_register_type(e->dtype), use->name, text.text);
    return (Text){use->name, BIND_ATOM};
}

static void count_uses(Writer *w, const Expr *e) {
    ExprUse *use = &w->uses[e->id];
    if (use->statement != w->statement)
        *use = (ExprUse){.statement = w->statement};
    if (use->count++ > 0)
        return;
    if (e->kind == EXPR_LOAD && e->u.load.predicate)
        count_uses(w, e->u.load.predicate);
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        if (e->u.call.args[i])
            count_uses(w, e->u.call.args[i]);
}

void lt_cuda_begin_statement(Writer *w, const Expr *e) {
    w->statement++;
    count_uses(w, e);
}

/* Outputs may lie where inputs do. */
static bool loads_stored(const Writer *w, const Expr *e, const Buffer *stored) {
    if (lt_expr_loads(e, stored))
        return true;
    for (uint32_t i = 0; i < w->kernel->param_count && stored->kind == BUFFER_OUTPUT; i++)
        if ((w->kernel->in_place >> i & 1) && lt_expr_loads(e, w->kernel->buffers.data[i]))
            return true;
    return false;
}

void lt_cuda_begin_run(Writer *w, const Stmt *first) {
    w->statement++;
    for (const Stmt *s = first; s && s->kind == STMT_STORE; s = s->next) {
        for (const Stmt *before = first; before != s; before = before->next)
            if (loads_stored(w, s->u.store.value, before->u.store.buffer))
                return;
        count_uses(w, s->u.store.value);
        w->run_end = s;
    }
}

Text lt_cuda_statement(Writer *w, const Expr *e) {
    const ExprUse *root = &w->uses[e->id];
    if (!w->run_end)
        lt_cuda_begin_statement(w, e);
    /* What one statement alone wants it has itself. */
    return root->name || root->count > 1 ? emit(w, e) : compute(w, e);
}
