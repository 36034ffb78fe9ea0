/* transpose.c - a square of elements that is read along rows and written along columns.
 *
 *   unroll u in N { vector v in N { [if (...)] out[..., u, v] = f(a[..., v, u]) } }
 *
 * Lane by lane, each load would be a scalar. Here N rows are loaded as vectors along u and
 * transposed in registers by log2(N) rounds of shuffles, so that iteration u finds its lanes in one
 * vector. */
#include <assert.h>
#include <string.h>

#include "codegen/llvm/llvm.h"

/* --- recognizing one -------------------------------------------------------------------------- */

/* What d grows by when the symbol grows by one; NULL: that depends on where it is. */
static const Dim *step_of(Emitter *e, const Dim *d, const Dim *symbol) {
    DimTable *t = &e->dims;
    const Dim **slot = &e->replaced[symbol->symbol], *before = *slot;
    const Dim *here = lt_dim_now(e, d);
    *slot = lt_dim_add_const(t, symbol, 1);
    const Dim *step = lt_dim_sub(t, lt_dim_substitute(t, d, e->replaced), here);
    *slot = symbol;
    const bool moves = lt_dim_substitute(t, step, e->replaced) != step;
    *slot = lt_dim_const(t, 0);
    const bool depends = lt_dim_substitute(t, step, e->replaced) != step;
    *slot = before;
    return moves || depends ? NULL : step;
}

/* Whether what holds at the last element of the square holds at all of them: indices that grow are
 * less than a bound that stays. */
static bool holds_up_to(Emitter *e, const TransposedTile *t, const Expr *x) {
    if (x->kind == EXPR_CALL && x->u.call.fn == FN_AND)
        return holds_up_to(e, t, x->u.call.args[0]) && holds_up_to(e, t, x->u.call.args[1]);
    if (x->kind != EXPR_CALL || x->u.call.fn != FN_LT)
        return false;
    const Dim *vars[] = {t->rows->u.loop.var, t->lanes->u.loop.var}, *sides[2];
    for (int i = 0; i < 2; i++) {
        const Expr *side = x->u.call.args[i];
        if (side->kind != EXPR_INDEX && side->kind != EXPR_CONST)
            return false;
        sides[i] = side->kind == EXPR_INDEX ? side->u.dim : lt_dim_const(&e->dims, side->u.i);
    }
    const Dim *difference = lt_dim_sub(&e->dims, sides[0], sides[1]);
    for (int i = 0; i < 2; i++) {
        const Dim *step = step_of(e, difference, vars[i]);
        if (!step || !lt_dim_is_const(step) || step->value < 0)
            return false;
    }
    return true;
}

static bool add_load(TransposedTile *t, const Expr *x) {
    for (int i = 0; i < t->load_count; i++)
        if (t->loads[i] == x)
            return true;
    if (t->load_count == TRANSPOSED_LOADS)
        return false;
    t->loads[t->load_count++] = x;
    return true;
}

/* Collects the loads that run along rows; false: something does not fit. */
static bool collect_loads(Emitter *e, TransposedTile *t, const Expr *x) {
    if (x->kind == EXPR_LOAD) {
        const Buffer *b = x->u.load.buffer;
        const Dim *flat = lt_flat_index(e, b, x->u.load.index);
        const Dim *along_row = step_of(e, flat, t->rows->u.loop.var);
        const Dim *along_lanes = step_of(e, flat, t->lanes->u.loop.var);
        if (x->u.load.predicate || b->kind > BUFFER_OUTPUT || !along_row || !along_lanes)
            return false;
        if (lt_dim_is(along_lanes, 0) || lt_dim_is(along_lanes, 1))
            return true;
        /* All rows are read before the first is written: what the kernel itself writes is out. */
        return b->kind == BUFFER_INPUT && lt_dim_is(along_row, 1) && add_load(t, x);
    }
    if (x->kind == EXPR_BITCAST)
        return false; /* it reads memory by itself */
    for (int i = 0; i < 3 && lt_expr_has_args(x); i++)
        if (x->u.call.args[i] && !collect_loads(e, t, x->u.call.args[i]))
            return false;
    return true;
}

bool lt_transposed_match(Emitter *e, const Stmt *s, TransposedTile *t) {
    const Stmt *lanes = s->u.loop.body;
    *t = (TransposedTile){.rows = s, .lanes = lanes};
    if (e->lanes || !lanes || lanes->next || lanes->kind != STMT_FOR ||
        lanes->u.loop.kind != LOOP_VECTOR || lanes->u.loop.extent != s->u.loop.extent)
        return false;
    const int64_t side = s->u.loop.extent->value;
    if (!lt_dim_is_const(s->u.loop.extent) || side < 2 || side > TRANSPOSED_SIDE ||
        (side & (side - 1)))
        return false;
    const Stmt *body = lanes->u.loop.body;
    if (body && body->kind == STMT_IF && !body->next && !body->u.branch.otherwise) {
        t->condition = body->u.branch.condition;
        body = body->u.branch.body;
    }
    if (!body || body->kind != STMT_STORE || body->next)
        return false;
    t->store = body;
    return (!t->condition || holds_up_to(e, t, t->condition)) &&
           collect_loads(e, t, body->u.store.value) && t->load_count > 0;
}

/* --- emitting it ------------------------------------------------------------------------------ */

static void replace(Emitter *e, const Stmt *loop, const Dim *by) {
    e->replaced[loop->u.loop.var->symbol] = by;
    e->any_replaced = true;
}

LLVMValueRef lt_transposed_is_full(Emitter *e, const TransposedTile *t) {
    if (!t->condition)
        return NULL;
    const Dim *last = lt_dim_const(&e->dims, t->rows->u.loop.extent->value - 1);
    replace(e, t->rows, last);
    replace(e, t->lanes, last);
    lt_expr_new_statement(e);
    LLVMValueRef holds = lt_emit_expr(e, t->condition);
    replace(e, t->rows, NULL);
    replace(e, t->lanes, NULL);
    return holds;
}

static LLVMValueRef shuffle(Emitter *e, LLVMValueRef a, LLVMValueRef b, const unsigned *lanes,
                            int count) {
    LLVMValueRef mask[TRANSPOSED_SIDE];
    for (int i = 0; i < count; i++)
        mask[i] = LLVMConstInt(e->unit->i32, lanes[i], false);
    return LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(mask, (unsigned)count), "");
}

/* In each round, the blocks of `d` x `d` beside the diagonal of every block of 2d change places. */
static void transpose(Emitter *e, LLVMValueRef *rows, int side) {
    for (int d = 1; d < side; d *= 2) {
        unsigned low[TRANSPOSED_SIDE], high[TRANSPOSED_SIDE];
        for (int j = 0; j < side; j++) {
            low[j] = (unsigned)(j & d ? side + j - d : j);
            high[j] = (unsigned)(j & d ? side + j : j + d);
        }
        for (int i = 0; i < side; i++) {
            if (i & d)
                continue;
            LLVMValueRef a = rows[i], b = rows[i + d];
            rows[i] = shuffle(e, a, b, low, side);
            rows[i + d] = shuffle(e, a, b, high, side);
        }
    }
}

/* What iteration u finds in its lanes: columns[u], as it lies in memory. */
static void load_columns(Emitter *e, const TransposedTile *t, const Expr *load,
                         LLVMValueRef *columns) {
    const int side = (int)t->rows->u.loop.extent->value;
    const Buffer *buffer = load->u.load.buffer;
    LLVMTypeRef element = lt_memory_type(e->unit, buffer->dtype);
    replace(e, t->rows, lt_dim_const(&e->dims, 0));
    for (int lane = 0; lane < side; lane++) {
        replace(e, t->lanes, lt_dim_const(&e->dims, lane));
        const Dim *flat = lt_flat_index(e, buffer, load->u.load.index);
        LLVMValueRef from = lt_emit_address(e, e->bases[buffer->index], element, flat);
        columns[lane] = LLVMBuildLoad2(e->b, lt_vector_of(element, side), from, "");
        LLVMSetAlignment(columns[lane], (unsigned)lt_dtype_size(buffer->dtype));
    }
    replace(e, t->rows, NULL);
    replace(e, t->lanes, NULL);
    transpose(e, columns, side);
}

void lt_transposed_emit(Emitter *e, const TransposedTile *t) {
    const int side = (int)t->rows->u.loop.extent->value;
    LLVMValueRef columns[TRANSPOSED_LOADS][TRANSPOSED_SIDE];
    for (int i = 0; i < t->load_count; i++)
        load_columns(e, t, t->loads[i], columns[i]);
    e->lanes = side;
    e->lane_var = t->lanes->u.loop.var;
    e->bindings[e->lane_var->symbol] = (Binding){.depth = ++e->depth};
    for (int u = 0; u < side; u++) {
        replace(e, t->rows, lt_dim_const(&e->dims, u));
        const size_t mark = lt_scope_open(e);
        lt_expr_new_statement(e);
        lt_debug_line(e, t->store);
        for (int i = 0; i < t->load_count; i++)
            lt_expr_preset(
                e, t->loads[i],
                lt_from_memory(e->unit, e->b, columns[i][u], t->loads[i]->u.load.buffer->dtype));
        LLVMValueRef value = lt_emit_expr(e, t->store->u.store.value);
        lt_emit_store(e, t->store->u.store.buffer, t->store->u.store.index, value);
        lt_scope_close(e, mark);
    }
    replace(e, t->rows, NULL);
    e->depth--;
    e->lanes = 0;
    e->lane_var = NULL;
}
