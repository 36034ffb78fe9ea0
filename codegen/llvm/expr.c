/* expr.c - expressions as LLVM values. Within a statement, an expression is emitted once. */
#include <assert.h>

#include "codegen/llvm/llvm.h"

void lt_expr_new_statement(Emitter *e) { e->stamp++; }

void lt_expr_preset(Emitter *e, const Expr *x, LLVMValueRef value) {
    e->values[x->id] = value;
    e->value_stamps[x->id] = e->stamp;
}

static LLVMValueRef emit_const(Emitter *e, const Expr *x) {
    LLVMTypeRef type = lt_register_type(e->unit, x->dtype);
    return lt_dtype_is_float(x->dtype) ? LLVMConstReal(type, x->u.f)
                                       : LLVMConstInt(type, (unsigned long long)x->u.i, true);
}

static LLVMValueRef emit_call(Emitter *e, const Expr *x) {
    const ScalarFn fn = x->u.call.fn;
    LLVMValueRef order = lt_emit_order(e, x);
    if (order)
        return order;
    LLVMValueRef args[3] = {NULL, NULL, NULL};
    const int arity = lt_scalar_info[fn].arity;
    for (int i = 0; i < arity; i++)
        args[i] = lt_emit_expr(e, x->u.call.args[i]);
    lt_unify(e->b, args, arity);
    return lt_emit_scalar(e->unit, e->b, fn, x->u.call.args[fn == FN_SELECT]->dtype, args);
}

static bool fits_i32(Emitter *e, const Dim *d) {
    int64_t lo, hi;
    lt_dim_range(&e->dims, d, &lo, &hi);
    return lo >= INT32_MIN && hi <= INT32_MAX;
}

/* An index that fits is made narrow before it becomes a float: vectors of i64 have no instruction
 * for it. */
static LLVMValueRef emit_convert(Emitter *e, const Expr *x) {
    const Expr *arg = x->u.call.args[0];
    if (arg->kind == EXPR_INDEX && x->dtype != DT_I64) {
        const Dim *d = lt_dim_now(e, arg->u.dim);
        if (fits_i32(e, d))
            return lt_convert(e->unit, e->b, lt_emit_lanes(e, d, e->unit->i32), DT_I32, x->dtype);
    }
    return lt_convert(e->unit, e->b, lt_emit_expr(e, arg), arg->dtype, x->dtype);
}

/* A load's bits stay as they are: a NaN of a narrow float would lose some on its way through f32.
 */
static LLVMValueRef emit_bitcast(Emitter *e, const Expr *x) {
    const Expr *arg = x->u.call.args[0];
    LLVMValueRef v = arg->kind == EXPR_LOAD
                         ? lt_emit_load_bits(e, arg)
                         : lt_to_memory(e->unit, e->b, lt_emit_expr(e, arg), arg->dtype);
    LLVMTypeRef type = lt_type_like(lt_memory_type(e->unit, x->dtype), v);
    return lt_from_memory(e->unit, e->b, LLVMBuildBitCast(e->b, v, type, ""), x->dtype);
}

static LLVMValueRef emit(Emitter *e, const Expr *x) {
    switch (x->kind) {
    case EXPR_CONST: return emit_const(e, x);
    case EXPR_INDEX: return lt_emit_lanes(e, lt_dim_now(e, x->u.dim), e->unit->i64);
    case EXPR_LOAD: return lt_emit_load(e, x);
    case EXPR_CALL: return emit_call(e, x);
    case EXPR_CONVERT: return emit_convert(e, x);
    case EXPR_BITCAST: return emit_bitcast(e, x);
    }
    assert(!"a kind of expression");
    return NULL;
}

LLVMValueRef lt_emit_expr(Emitter *e, const Expr *x) {
    if (e->value_stamps[x->id] == e->stamp)
        return e->values[x->id];
    LLVMValueRef v = emit(e, x);
    lt_expr_preset(e, x, v);
    return v;
}
