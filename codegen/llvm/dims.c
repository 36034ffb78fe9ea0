/* dims.c - index arithmetic: Dims as i64 code, how they depend on the lane, and addresses.
 *
 * A Dim that was emitted in a block that dominates this one is not emitted again; scopes say which
 * ones do. Sums are added up from the outermost loop inwards, so that what an inner loop does not
 * change can move out of it. */
#include <assert.h>
#include <string.h>

#include "codegen/llvm/llvm.h"

/* --- scopes --- */

size_t lt_scope_open(Emitter *e) { return e->undo.len; }

void lt_scope_close(Emitter *e, size_t mark) {
    while (e->undo.len > mark) {
        const MemoUndo undo = lt_vec_pop(&e->undo);
        lt_map_set(&e->memo, lt_ptr_key(undo.dim), (void *)undo.before);
    }
}

static void remember(Emitter *e, const Dim *d, LLVMValueRef value) {
    LLVMValueRef before = lt_map_get(&e->memo, lt_ptr_key(d));
    lt_vec_push(e->arena, &e->undo, (MemoUndo){d, before});
    lt_map_set(&e->memo, lt_ptr_key(d), (void *)value);
}

/* --- what a dim depends on --- */

static bool has_lane_binding(const Emitter *e, const Dim *d) {
    if (d->kind == DIM_SYMBOL)
        return e->bindings[d->symbol].vector != NULL;
    for (uint32_t i = 0; i < d->count; i++) {
        if (has_lane_binding(e, d->args[i]))
            return true;
    }
    return false;
}

static int depth_of(const Emitter *e, const Dim *d) {
    if (d->kind == DIM_SYMBOL)
        return e->bindings[d->symbol].depth;
    int depth = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        const int inner = depth_of(e, d->args[i]);
        depth = inner > depth ? inner : depth;
    }
    return depth;
}

const Dim *lt_dim_now(Emitter *e, const Dim *d) {
    return e->any_replaced && d->kind != DIM_CONST ? lt_dim_substitute(&e->dims, d, e->replaced)
                                                   : d;
}

static const Dim *substitute_lane(Emitter *e, const Dim *d, const Dim *by) {
    const Dim **slot = &e->replaced[e->lane_var->symbol];
    const Dim *before = *slot;
    *slot = by;
    const Dim *result = lt_dim_substitute(&e->dims, d, e->replaced);
    *slot = before;
    return result;
}

const Dim *lt_dim_at_lane(Emitter *e, const Dim *d, int lane) {
    return lt_dim_mentions(d, e->lane_var) ? substitute_lane(e, d, lt_dim_const(&e->dims, lane))
                                           : d;
}

LaneForm lt_lane_form(Emitter *e, const Dim *d, const Dim **stride) {
    if (e->lanes == 0 || e->lane >= 0)
        return LANES_UNIFORM;
    if (has_lane_binding(e, d))
        return LANES_ANY;
    if (!lt_dim_mentions(d, e->lane_var))
        return LANES_UNIFORM;
    const Dim *next = substitute_lane(e, d, lt_dim_add_const(&e->dims, e->lane_var, 1));
    *stride = lt_dim_sub(&e->dims, next, d);
    return lt_dim_mentions(*stride, e->lane_var) ? LANES_ANY : LANES_AFFINE;
}

/* --- arithmetic --- */

static LLVMValueRef int_const(const Emitter *e, int64_t value) {
    return LLVMConstInt(e->unit->i64, (unsigned long long)value, true);
}

/* Marks an operation that cannot wrap, which its range proves when it is finite. */
static LLVMValueRef mark_range(Emitter *e, LLVMValueRef v, const Dim *d) {
    int64_t lo, hi;
    lt_dim_range(&e->dims, d, &lo, &hi);
    const bool is_finite = lo != -LT_DIM_UNBOUNDED && hi != LT_DIM_UNBOUNDED;
    if (is_finite && LLVMIsAInstruction(v))
        LLVMSetNSW(v, true);
    return v;
}

static bool is_never_negative(const Emitter *e, const Dim *d) {
    int64_t lo, hi;
    lt_dim_range(&e->dims, d, &lo, &hi);
    return lo >= 0;
}

static LLVMValueRef emit_sum(Emitter *e, const Dim *d) {
    LLVMValueRef sum = NULL;
    for (int depth = 0, left = (int)d->count; left > 0; depth++) {
        for (uint32_t i = 0; i < d->count; i++) {
            if (depth_of(e, d->args[i]) != depth)
                continue;
            LLVMValueRef term = lt_emit_dim(e, d->args[i]);
            sum = sum ? LLVMBuildAdd(e->b, sum, term, "") : term;
            left--;
        }
    }
    return d->value ? mark_range(e, LLVMBuildAdd(e->b, sum, int_const(e, d->value), ""), d)
                    : mark_range(e, sum, d);
}

static LLVMValueRef emit_product(Emitter *e, const Dim *d) {
    LLVMValueRef product = lt_emit_dim(e, d->args[0]);
    for (uint32_t i = 1; i < d->count; i++)
        product = LLVMBuildMul(e->b, product, lt_emit_dim(e, d->args[i]), "");
    if (d->value != 1)
        product = LLVMBuildMul(e->b, product, int_const(e, d->value), "");
    return mark_range(e, product, d);
}

/* Dims divide by what is positive; under a mask a lane may see anything, which must not trap. */
static LLVMValueRef emit_divisor(Emitter *e, const Dim *d) {
    LLVMValueRef divisor = lt_emit_dim(e, d);
    int64_t lo, hi;
    lt_dim_range(&e->dims, d, &lo, &hi);
    if (lo >= 1)
        return divisor;
    LLVMValueRef is_positive = LLVMBuildICmp(e->b, LLVMIntSGT, divisor, int_const(e, 0), "");
    return LLVMBuildSelect(e->b, is_positive, divisor, int_const(e, 1), "");
}

typedef struct Division {
    LLVMValueRef quotient, remainder; /* floored */
} Division;

static Division floor_divide(Emitter *e, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef quotient = LLVMBuildSDiv(e->b, a, b, "");
    LLVMValueRef remainder = LLVMBuildSub(e->b, a, LLVMBuildMul(e->b, quotient, b, ""), "");
    LLVMValueRef is_negative = LLVMBuildICmp(e->b, LLVMIntSLT, remainder, int_const(e, 0), "");
    LLVMValueRef one = LLVMBuildSExt(e->b, is_negative, e->unit->i64, "");
    LLVMValueRef fixed = LLVMBuildAdd(e->b, remainder, b, "");
    return (Division){LLVMBuildAdd(e->b, quotient, one, ""),
                      LLVMBuildSelect(e->b, is_negative, fixed, remainder, "")};
}

static LLVMValueRef emit_division(Emitter *e, const Dim *d) {
    const Dim *top = d->args[0];
    LLVMValueRef b = emit_divisor(e, d->args[1]), a = lt_emit_dim(e, top);
    if (is_never_negative(e, top)) {
        if (d->kind == DIM_MOD)
            return LLVMBuildURem(e->b, a, b, "");
        if (d->kind == DIM_CEILDIV)
            a = LLVMBuildAdd(e->b, a, LLVMBuildSub(e->b, b, int_const(e, 1), ""), "");
        return LLVMBuildUDiv(e->b, a, b, "");
    }
    if (d->kind == DIM_CEILDIV)
        return LLVMBuildNeg(e->b, floor_divide(e, LLVMBuildNeg(e->b, a, ""), b).quotient, "");
    const Division both = floor_divide(e, a, b);
    return d->kind == DIM_MOD ? both.remainder : both.quotient;
}

static LLVMValueRef emit_choice(Emitter *e, const Dim *d) {
    LLVMValueRef args[] = {lt_emit_dim(e, d->args[0]), lt_emit_dim(e, d->args[1])};
    return lt_intrinsic(e->unit, e->b, d->kind == DIM_MIN ? "smin" : "smax", args, 2);
}

static LLVMValueRef emit_symbol(Emitter *e, const Dim *d) {
    const Binding *binding = &e->bindings[d->symbol];
    if (!binding->vector) {
        assert(binding->scalar && "a symbol is used inside its scope");
        return binding->scalar;
    }
    assert(e->lane >= 0);
    return LLVMBuildExtractElement(e->b, binding->vector,
                                   LLVMConstInt(e->unit->i32, (unsigned)e->lane, false), "");
}

LLVMValueRef lt_emit_dim(Emitter *e, const Dim *d) {
    if (d->kind == DIM_CONST)
        return int_const(e, d->value);
    if (d->kind == DIM_SYMBOL)
        return emit_symbol(e, d);
    LLVMValueRef value = lt_map_get(&e->memo, lt_ptr_key(d));
    if (value)
        return value;
    switch (d->kind) {
    case DIM_ADD: value = emit_sum(e, d); break;
    case DIM_MUL: value = emit_product(e, d); break;
    case DIM_MIN:
    case DIM_MAX: value = emit_choice(e, d); break;
    default: value = emit_division(e, d); break;
    }
    remember(e, d, value);
    return value;
}

/* --- lanes --- */

LLVMValueRef lt_ramp(Unit *u, LLVMTypeRef scalar, int lanes) {
    LLVMValueRef values[LT_MAX_LANES];
    (void)u;
    for (int i = 0; i < lanes; i++)
        values[i] = LLVMConstInt(scalar, (unsigned)i, false);
    return LLVMConstVector(values, (unsigned)lanes);
}

static LLVMValueRef emit_each_lane(Emitter *e, const Dim *d, LLVMTypeRef scalar) {
    LLVMValueRef result = LLVMGetPoison(lt_vector_of(scalar, e->lanes));
    for (int lane = 0; lane < e->lanes; lane++) {
        const size_t mark = lt_scope_open(e);
        const Dim *at = lt_dim_at_lane(e, d, lane);
        e->lane = lane;
        LLVMValueRef value = LLVMBuildIntCast2(e->b, lt_emit_dim(e, at), scalar, true, "");
        e->lane = -1;
        result = LLVMBuildInsertElement(e->b, result, value,
                                        LLVMConstInt(e->unit->i32, (unsigned)lane, false), "");
        lt_scope_close(e, mark);
    }
    return result;
}

LLVMValueRef lt_emit_lanes(Emitter *e, const Dim *d, LLVMTypeRef scalar) {
    const Dim *stride = NULL;
    switch (lt_lane_form(e, d, &stride)) {
    case LANES_UNIFORM: return LLVMBuildIntCast2(e->b, lt_emit_dim(e, d), scalar, true, "");
    case LANES_ANY:
        return d->kind == DIM_SYMBOL && scalar == e->unit->i64 ? e->bindings[d->symbol].vector
                                                               : emit_each_lane(e, d, scalar);
    case LANES_AFFINE: break;
    }
    LLVMValueRef base =
        LLVMBuildIntCast2(e->b, lt_emit_dim(e, lt_dim_at_lane(e, d, 0)), scalar, true, "");
    LLVMValueRef step = LLVMBuildIntCast2(e->b, lt_emit_dim(e, stride), scalar, true, "");
    LLVMValueRef ramp =
        LLVMBuildMul(e->b, lt_splat(e->b, step, e->lanes), lt_ramp(e->unit, scalar, e->lanes), "");
    return LLVMBuildAdd(e->b, lt_splat(e->b, base, e->lanes), ramp, "");
}

/* --- addresses --- */

static LLVMValueRef advance(Emitter *e, LLVMValueRef pointer, LLVMTypeRef element,
                            LLVMValueRef by) {
    return LLVMBuildGEP2(e->b, element, pointer, &by, 1, "");
}

/* One step of pointer arithmetic a loop depth, the constant last, where it folds into the
 * instruction. */
LLVMValueRef lt_emit_address(Emitter *e, LLVMValueRef base, LLVMTypeRef element, const Dim *flat) {
    if (flat->kind == DIM_CONST)
        return flat->value ? advance(e, base, element, int_const(e, flat->value)) : base;
    const Dim *single[] = {flat};
    const bool is_sum = flat->kind == DIM_ADD;
    const Dim *const *terms = is_sum ? flat->args : single;
    const uint32_t count = is_sum ? flat->count : 1;
    for (uint32_t depth = 0, left = count; left > 0; depth++) {
        LLVMValueRef sum = NULL;
        for (uint32_t i = 0; i < count; i++) {
            if (depth_of(e, terms[i]) != (int)depth)
                continue;
            LLVMValueRef term = lt_emit_dim(e, terms[i]);
            sum = sum ? LLVMBuildAdd(e->b, sum, term, "") : term;
            left--;
        }
        base = sum ? advance(e, base, element, sum) : base;
    }
    return is_sum && flat->value ? advance(e, base, element, int_const(e, flat->value)) : base;
}
