/* vector.c - memory and masks for all lanes at once.
 *
 * An access is uniform (one scalar), contiguous (lane i is element i: one vector), or anything else
 * (lane by lane). A lane that must not touch memory is turned away by a masked instruction where
 * the access is contiguous, and by pointing it at a harmless place where it is not, so that no
 * access branches. */
#include <assert.h>

#include "codegen/llvm/llvm.h"

typedef struct Access {
    const Buffer *buffer;
    const Dim *flat; /* element number */
    LaneForm form;
    const Dim *stride; /* AFFINE */
    LLVMTypeRef type;  /* of one element in memory */
} Access;

const Dim *lt_flat_index(Emitter *e, const Buffer *buffer, const Dim *const *index) {
    DimTable *t = &e->dims;
    const Dim *flat = lt_dim_const(t, 0);
    for (int i = 0; i < buffer->rank; i++)
        flat = lt_dim_add(t, lt_dim_mul(t, flat, lt_dim_now(e, buffer->dims[i])),
                          lt_dim_now(e, index[i]));
    return flat;
}

static Access make_access(Emitter *e, const Buffer *buffer, const Dim *const *index) {
    DimTable *t = &e->dims;
    const Dim *flat = lt_flat_index(e, buffer, index);
    if (e->lane_copies[buffer->index])
        flat = lt_dim_add(t, lt_dim_mul_const(t, flat, e->lanes), e->lane_var);
    Access a = {.buffer = buffer, .flat = flat, .type = lt_memory_type(e->unit, buffer->dtype)};
    a.form = lt_lane_form(e, flat, &a.stride);
    return a;
}

static bool is_local(const Buffer *b) {
    return b->kind > BUFFER_OUTPUT;
}
static bool is_contiguous(const Access *a) {
    return a->form == LANES_AFFINE && lt_dim_is(a->stride, 1);
}

/* Tensors are aligned for their elements only (they may be the caller's); local buffers for a cache
 * line. */
static unsigned alignment_of(Emitter *e, const Access *a, const Dim *first) {
    const int64_t size = (int64_t)lt_dtype_size(a->buffer->dtype);
    for (int64_t align = LT_TENSOR_ALIGN; is_local(a->buffer) && align > size; align /= 2) {
        if (lt_dim_divisible(&e->dims, first, align / size))
            return (unsigned)align;
    }
    return (unsigned)size;
}

static LLVMValueRef address(Emitter *e, const Access *a, const Dim *flat) {
    return lt_emit_address(e, e->bases[a->buffer->index], a->type, flat);
}

static LLVMValueRef lane_number(Emitter *e, int lane) {
    return LLVMConstInt(e->unit->i32, (unsigned)lane, false);
}

/* The address of one lane's element; `base` is lane 0's for an affine access. */
static LLVMValueRef lane_address(Emitter *e, const Access *a, LLVMValueRef base, int lane) {
    if (a->form == LANES_AFFINE) {
        const Dim *offset = lt_dim_mul_const(&e->dims, a->stride, lane);
        return lt_emit_address(e, base, a->type, offset);
    }
    const size_t mark = lt_scope_open(e);
    const Dim *at = lt_dim_at_lane(e, a->flat, lane);
    e->lane = lane;
    LLVMValueRef result = address(e, a, at);
    e->lane = -1;
    lt_scope_close(e, mark);
    return result;
}

static LLVMValueRef choose(Emitter *e, LLVMValueRef condition, LLVMValueRef pointer,
                           LLVMValueRef otherwise) {
    return condition ? LLVMBuildSelect(e->b, condition, pointer, otherwise, "") : pointer;
}

static LLVMValueRef lane_of(Emitter *e, LLVMValueRef mask, int lane) {
    return mask ? LLVMBuildExtractElement(e->b, mask, lane_number(e, lane), "") : NULL;
}

static LLVMValueRef load_at(Emitter *e, LLVMTypeRef type, LLVMValueRef pointer, unsigned align) {
    LLVMValueRef v = LLVMBuildLoad2(e->b, type, pointer, "");
    LLVMSetAlignment(v, align);
    return v;
}

static void store_at(Emitter *e, LLVMValueRef value, LLVMValueRef pointer, unsigned align) {
    LLVMSetAlignment(LLVMBuildStore(e->b, value, pointer), align);
}

LLVMValueRef lt_mask_and(Emitter *e, LLVMValueRef a, LLVMValueRef b) {
    return !a ? b : !b ? a : LLVMBuildAnd(e->b, a, b, "");
}

/* True when a whole vector at `first` lies within a register tile, so that masked lanes may be read
 * and written back as they are: that keeps the tile in registers. */
static bool stays_inside(Emitter *e, const Access *a, const Dim *first) {
    if (a->buffer->kind != BUFFER_REGISTER || first->kind != DIM_CONST)
        return false;
    int64_t elements = 1;
    for (int i = 0; i < a->buffer->rank; i++)
        elements *= a->buffer->dims[i]->value;
    elements *= e->lane_copies[a->buffer->index] ? e->lanes : 1;
    return first->value >= 0 && first->value + e->lanes <= elements;
}

/* --- loads --- */

static LLVMValueRef reduce_mask(Emitter *e, const char *name, LLVMValueRef mask) {
    return lt_intrinsic(e->unit, e->b, name, &mask, 1);
}

/* `mask` may be NULL. `gate`: an i1 for all lanes, or NULL. */
static LLVMValueRef load_contiguous(Emitter *e, const Access *a, LLVMValueRef mask,
                                    LLVMValueRef gate) {
    const Dim *first = lt_dim_at_lane(e, a->flat, 0);
    LLVMValueRef pointer = choose(e, gate, address(e, a, first), e->unit->zeros);
    LLVMTypeRef type = lt_vector_of(a->type, e->lanes);
    const unsigned align =
        gate ? (unsigned)lt_dtype_size(a->buffer->dtype) : alignment_of(e, a, first);
    if (!mask)
        return load_at(e, type, pointer, align);
    if (!gate && stays_inside(e, a, first))
        return LLVMBuildSelect(e->b, mask, load_at(e, type, pointer, align), LLVMConstNull(type),
                               "");
    LLVMTypeRef types[] = {type, e->unit->ptr};
    LLVMValueRef args[] = {pointer, LLVMConstInt(e->unit->i32, align, false), mask,
                           LLVMConstNull(type)};
    return lt_intrinsic_at(e->unit, e->b, "masked.load", types, 2, args, 4);
}

static LLVMValueRef load_each_lane(Emitter *e, const Access *a, LLVMValueRef mask,
                                   LLVMValueRef gate) {
    LLVMValueRef base =
        a->form == LANES_AFFINE ? address(e, a, lt_dim_at_lane(e, a->flat, 0)) : NULL;
    LLVMValueRef result = LLVMGetPoison(lt_vector_of(a->type, e->lanes));
    for (int lane = 0; lane < e->lanes; lane++) {
        LLVMValueRef pointer = lane_address(e, a, base, lane);
        pointer = choose(e, lane_of(e, mask, lane), pointer, e->unit->zeros);
        pointer = choose(e, gate, pointer, e->unit->zeros);
        LLVMValueRef v = load_at(e, a->type, pointer, (unsigned)lt_dtype_size(a->buffer->dtype));
        result = LLVMBuildInsertElement(e->b, result, v, lane_number(e, lane), "");
    }
    return result;
}

/* One address for all lanes; `mask` is the predicate's alone: some lane runs, or this would not be
 * reached. */
static LLVMValueRef load_uniform(Emitter *e, const Access *a, LLVMValueRef mask,
                                 LLVMValueRef gate) {
    LLVMValueRef wanted =
        mask ? lt_mask_and(e, gate, reduce_mask(e, "vector.reduce.or", mask)) : gate;
    LLVMValueRef pointer = choose(e, wanted, address(e, a, a->flat), e->unit->zeros);
    LLVMValueRef v = load_at(e, a->type, pointer, (unsigned)lt_dtype_size(a->buffer->dtype));
    if (!mask)
        return v;
    LLVMValueRef lanes = lt_splat(e->b, v, e->lanes);
    return LLVMBuildSelect(e->b, mask, lanes, LLVMConstNull(LLVMTypeOf(lanes)), "");
}

LLVMValueRef lt_emit_load_bits(Emitter *e, const Expr *x) {
    LLVMValueRef predicate = x->u.load.predicate ? lt_emit_expr(e, x->u.load.predicate) : NULL;
    const bool is_lane_predicate = predicate && lt_is_vector(predicate);
    LLVMValueRef gate = is_lane_predicate ? NULL : predicate,
                 lanes = is_lane_predicate ? predicate : NULL;
    const Access a = make_access(e, x->u.load.buffer, x->u.load.index);
    if (a.form == LANES_UNIFORM)
        return load_uniform(e, &a, lanes, gate);
    if (is_contiguous(&a))
        return load_contiguous(e, &a, lt_mask_and(e, e->mask, lanes), gate);
    return load_each_lane(e, &a, lt_mask_and(e, e->mask, lanes), gate);
}

LLVMValueRef lt_emit_load(Emitter *e, const Expr *x) {
    return lt_from_memory(e->unit, e->b, lt_emit_load_bits(e, x), x->u.load.buffer->dtype);
}

/* --- stores --- */

static LLVMValueRef sink_of(Emitter *e) {
    if (!e->sink) {
        LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
        LLVMPositionBuilderBefore(e->b, LLVMGetBasicBlockTerminator(e->entry));
        e->sink = LLVMBuildAlloca(e->b, e->unit->i64, "sink");
        LLVMPositionBuilderAtEnd(e->b, here);
    }
    return e->sink;
}

static void store_contiguous(Emitter *e, const Access *a, LLVMValueRef value) {
    const Dim *first = lt_dim_at_lane(e, a->flat, 0);
    LLVMValueRef pointer = address(e, a, first);
    const unsigned align = alignment_of(e, a, first);
    if (e->mask && stays_inside(e, a, first)) {
        LLVMValueRef old = load_at(e, LLVMTypeOf(value), pointer, align);
        value = LLVMBuildSelect(e->b, e->mask, value, old, "");
    } else if (e->mask) {
        LLVMTypeRef types[] = {LLVMTypeOf(value), e->unit->ptr};
        LLVMValueRef args[] = {value, pointer, LLVMConstInt(e->unit->i32, align, false), e->mask};
        lt_intrinsic_at(e->unit, e->b, "masked.store", types, 2, args, 4);
        return;
    }
    store_at(e, value, pointer, align);
}

static void store_each_lane(Emitter *e, const Access *a, LLVMValueRef value) {
    LLVMValueRef base = a->form != LANES_ANY ? address(e, a, lt_dim_at_lane(e, a->flat, 0)) : NULL;
    const unsigned align = (unsigned)lt_dtype_size(a->buffer->dtype);
    for (int lane = 0; lane < e->lanes; lane++) {
        LLVMValueRef pointer = a->form == LANES_UNIFORM ? base : lane_address(e, a, base, lane);
        if (e->mask)
            pointer = choose(e, lane_of(e, e->mask, lane), pointer, sink_of(e));
        store_at(e, LLVMBuildExtractElement(e->b, value, lane_number(e, lane), ""), pointer, align);
    }
}

void lt_emit_store(Emitter *e, const Buffer *buffer, const Dim *const *index, LLVMValueRef value) {
    const Access a = make_access(e, buffer, index);
    value = lt_to_memory(e->unit, e->b, value, buffer->dtype);
    if (a.form == LANES_UNIFORM && !lt_is_vector(value)) {
        store_at(e, value, address(e, &a, a.flat), (unsigned)lt_dtype_size(buffer->dtype));
        return;
    }
    if (!lt_is_vector(value))
        value = lt_splat(e->b, value, e->lanes);
    if (is_contiguous(&a))
        store_contiguous(e, &a, value);
    else
        store_each_lane(e, &a, value);
}

/* Into the L2 cache: what fills it is not needed at once, and L1 is full of what is. */
void lt_emit_prefetch(Emitter *e, const Buffer *buffer, const Dim *const *index) {
    enum { FOR_READING = 0, INTO_L2 = 2, DATA = 1 };
    const Access a = make_access(e, buffer, index);
    const Unit *u = e->unit;
    LLVMValueRef args[] = {address(e, &a, lt_dim_at_lane(e, a.flat, 0)),
                           LLVMConstInt(u->i32, FOR_READING, false),
                           LLVMConstInt(u->i32, INTO_L2, false), LLVMConstInt(u->i32, DATA, false)};
    LLVMTypeRef type = u->ptr;
    lt_intrinsic_at(e->unit, e->b, "prefetch", &type, 1, args, 4);
}

/* --- conditions --- */

static LLVMValueRef const_bool(const Emitter *e, bool value) {
    return LLVMConstInt(e->unit->i1, value, false);
}

/* lane < limit, or lane >= limit, for an i64 that may be any number. */
static LaneTest compare_lanes(Emitter *e, LLVMValueRef limit, bool is_upper) {
    LLVMValueRef zero = LLVMConstInt(e->unit->i64, 0, false);
    LLVMValueRef lanes = LLVMConstInt(e->unit->i64, (unsigned)e->lanes, false);
    LLVMValueRef reaches_end =
        LLVMBuildICmp(e->b, is_upper ? LLVMIntSGE : LLVMIntSLT, limit, lanes, "");
    LLVMValueRef passes_start =
        LLVMBuildICmp(e->b, is_upper ? LLVMIntSGT : LLVMIntSLE, limit, zero, "");
    LLVMValueRef low[] = {limit, zero};
    LLVMValueRef high[] = {lt_intrinsic(e->unit, e->b, "smax", low, 2), lanes};
    LLVMValueRef clamped = lt_intrinsic(e->unit, e->b, "smin", high, 2);
    LLVMValueRef narrow = lt_splat(e->b, LLVMBuildTrunc(e->b, clamped, e->unit->i32, ""), e->lanes);
    LLVMValueRef ramp = lt_ramp(e->unit, e->unit->i32, e->lanes);
    LLVMValueRef mask = LLVMBuildICmp(e->b, is_upper ? LLVMIntSLT : LLVMIntSGE, ramp, narrow, "");
    return is_upper ? (LaneTest){mask, reaches_end, passes_start}
                    : (LaneTest){mask, passes_start, reaches_end};
}

/* a < b: lane * stride + rest < 0, solved for the lane. */
static bool test_less(Emitter *e, const Dim *a, const Dim *b, LaneTest *out) {
    DimTable *t = &e->dims;
    const Dim *stride = NULL, *difference = lt_dim_sub(t, lt_dim_now(e, a), lt_dim_now(e, b));
    int64_t lo, hi;
    lt_dim_range(t, difference, &lo, &hi);
    if (hi < 0 || lo >= 0) {
        *out = (LaneTest){NULL, const_bool(e, hi < 0), const_bool(e, hi < 0)};
        return true;
    }
    if (lt_lane_form(e, difference, &stride) != LANES_AFFINE || !lt_dim_is_const(stride))
        return false;
    const Dim *rest = lt_dim_at_lane(e, difference, 0), *minus = lt_dim_mul_const(t, rest, -1);
    const int64_t step = stride->value;
    const Dim *limit =
        step > 0 ? lt_dim_ceildiv(t, minus, stride)
                 : lt_dim_add_const(t, lt_dim_floordiv(t, rest, lt_dim_const(t, -step)), 1);
    *out = compare_lanes(e, lt_emit_dim(e, limit), step > 0);
    return true;
}

static const Dim *dim_of(Emitter *e, const Expr *x) {
    if (x->kind == EXPR_INDEX)
        return x->u.dim;
    return x->kind == EXPR_CONST && x->dtype == DT_I64 ? lt_dim_const(&e->dims, x->u.i) : NULL;
}

/* Order of two index expressions, as a < b. */
static bool test_order(Emitter *e, const Expr *x, LaneTest *out) {
    if (x->kind != EXPR_CALL || lt_scalar_info[x->u.call.fn].rule != RULE_COMPARE)
        return false;
    const Dim *a = dim_of(e, x->u.call.args[0]), *b = dim_of(e, x->u.call.args[1]);
    if (!a || !b)
        return false;
    switch (x->u.call.fn) {
    case FN_LT: return test_less(e, a, b, out);
    case FN_LE: return test_less(e, a, lt_dim_add_const(&e->dims, b, 1), out);
    case FN_GT: return test_less(e, b, a, out);
    case FN_GE: return test_less(e, b, lt_dim_add_const(&e->dims, a, 1), out);
    default: return false;
    }
}

LLVMValueRef lt_emit_order(Emitter *e, const Expr *x) {
    LaneTest test;
    if (!test_order(e, x, &test))
        return NULL;
    return test.mask ? test.mask : test.all;
}

LaneTest lt_emit_lane_test(Emitter *e, const Expr *condition) {
    LaneTest test;
    if (condition->kind == EXPR_CALL && condition->u.call.fn == FN_AND) {
        const LaneTest a = lt_emit_lane_test(e, condition->u.call.args[0]);
        const LaneTest b = lt_emit_lane_test(e, condition->u.call.args[1]);
        test.mask = lt_mask_and(e, a.mask, b.mask);
        test.all = LLVMBuildAnd(e->b, a.all, b.all, "");
        test.any = LLVMBuildAnd(e->b, a.any, b.any, "");
        if (a.mask && b.mask) /* two masks may have no lane in common */
            test.any =
                LLVMBuildAnd(e->b, test.any, reduce_mask(e, "vector.reduce.or", test.mask), "");
        return test;
    }
    if (test_order(e, condition, &test))
        return test;
    LLVMValueRef v = lt_emit_expr(e, condition);
    if (!lt_is_vector(v))
        return (LaneTest){NULL, v, v};
    return (LaneTest){v, reduce_mask(e, "vector.reduce.and", v),
                      reduce_mask(e, "vector.reduce.or", v)};
}
