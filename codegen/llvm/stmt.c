/* stmt.c - statements: loops, conditions, stores, locals.
 *
 * A vector loop becomes straight code on vectors with a lane for each iteration. A condition on the
 * lane is first asked of all lanes at once: when all pass, which is every block of a tiled loop but
 * the last, the body runs without a mask; otherwise it runs under one, and not at all when no lane
 * passes. */
#include <assert.h>
#include <string.h>

#include "codegen/llvm/llvm.h"

static LLVMBasicBlockRef new_block(Emitter *e, const char *name) {
    return LLVMAppendBasicBlockInContext(e->unit->context, e->function, name);
}

static LLVMValueRef int_const(const Emitter *e, int64_t value) {
    return LLVMConstInt(e->unit->i64, (unsigned long long)value, true);
}

/* --- loops --- */

typedef struct Range {
    LLVMValueRef from, to;
    bool is_never_empty;
} Range;

static void emit_range(Emitter *e, const Stmt *s, Range range) {
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b), body = new_block(e, s->u.loop.var->name);
    LLVMBasicBlockRef after = new_block(e, "end");
    if (range.is_never_empty)
        LLVMBuildBr(e->b, body);
    else
        LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, range.from, range.to, ""), body,
                        after);
    LLVMPositionBuilderAtEnd(e->b, body);
    LLVMValueRef i = LLVMBuildPhi(e->b, e->unit->i64, s->u.loop.var->name);
    LLVMAddIncoming(i, &range.from, &before, 1);
    Binding *binding = &e->bindings[s->u.loop.var->symbol];
    *binding = (Binding){.scalar = i, .depth = ++e->depth};
    const size_t mark = lt_scope_open(e);
    lt_emit_stmts(e, s->u.loop.body);
    lt_scope_close(e, mark);
    e->depth--;
    LLVMValueRef next = LLVMBuildAdd(e->b, i, int_const(e, 1), "");
    LLVMSetNSW(next, true);
    LLVMSetNUW(next, true);
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->b);
    LLVMAddIncoming(i, &next, &latch, 1);
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, range.to, ""), body, after);
    LLVMPositionBuilderAtEnd(e->b, after);
}

static void emit_serial(Emitter *e, const Stmt *s) {
    const Dim *extent = lt_dim_now(e, s->u.loop.extent);
    int64_t lo, hi;
    lt_dim_range(&e->dims, extent, &lo, &hi);
    emit_range(e, s, (Range){int_const(e, 0), lt_emit_dim(e, extent), lo >= 1});
}

static void emit_parallel(Emitter *e, const Stmt *s) {
    emit_range(e, s, (Range){e->begin, e->end, false});
}

static void replace(Emitter *e, const Dim *var, const Dim *by) {
    e->replaced[var->symbol] = by;
    e->any_replaced = true;
}

/* The square as a whole where all of it is there; else row by row, in a loop. */
static void emit_transposed(Emitter *e, const Stmt *s, const TransposedTile *tile) {
    LLVMValueRef is_full = lt_transposed_is_full(e, tile);
    if (!is_full || (LLVMIsAConstantInt(is_full) && LLVMConstIntGetZExtValue(is_full))) {
        lt_transposed_emit(e, tile);
        return;
    }
    LLVMBasicBlockRef full = new_block(e, "full"), partial = new_block(e, "partial"),
                      after = new_block(e, "fi");
    LLVMBuildCondBr(e->b, is_full, full, partial);
    LLVMPositionBuilderAtEnd(e->b, full);
    size_t mark = lt_scope_open(e);
    lt_transposed_emit(e, tile);
    lt_scope_close(e, mark);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, partial);
    mark = lt_scope_open(e);
    emit_serial(e, s);
    lt_scope_close(e, mark);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, after);
}

static void emit_unrolled(Emitter *e, const Stmt *s) {
    TransposedTile tile;
    if (lt_transposed_match(e, s, &tile)) {
        emit_transposed(e, s, &tile);
        return;
    }
    const Dim *var = s->u.loop.var, *extent = lt_dim_now(e, s->u.loop.extent);
    if (!lt_dim_is_const(extent)) {
        emit_serial(e, s);
        return;
    }
    for (int64_t i = 0; i < extent->value; i++) {
        replace(e, var, lt_dim_const(&e->dims, i));
        const size_t mark = lt_scope_open(e);
        lt_emit_stmts(e, s->u.loop.body);
        lt_scope_close(e, mark);
    }
    e->replaced[var->symbol] = NULL;
}

/* --- vector loops --- */

/* Whether the extent of some loop in the list depends on a symbol. */
static bool extents_mention(const Stmt *list, const Dim *symbol) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_IF && (extents_mention(s->u.branch.body, symbol) ||
                                   extents_mention(s->u.branch.otherwise, symbol)))
            return true;
        if (s->kind == STMT_FOR &&
            (lt_dim_mentions(s->u.loop.extent, symbol) || extents_mention(s->u.loop.body, symbol)))
            return true;
    }
    return false;
}

/* All lanes run inner loops together, so that extents must not depend on values that may differ
 * among them. */
static bool lets_reach_extents(const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_LET && extents_mention(s->next, s->u.let.var))
            return true;
        if (s->kind == STMT_FOR && lets_reach_extents(s->u.loop.body))
            return true;
        if (s->kind == STMT_IF &&
            (lets_reach_extents(s->u.branch.body) || lets_reach_extents(s->u.branch.otherwise)))
            return true;
    }
    return false;
}

static bool runs_in_lanes(const Stmt *body, const Dim *var) {
    return !extents_mention(body, var) && !lets_reach_extents(body);
}

static void emit_vector(Emitter *e, const Stmt *s) {
    const Dim *var = s->u.loop.var, *extent = lt_dim_now(e, s->u.loop.extent);
    const bool fits =
        lt_dim_is_const(extent) && extent->value >= 1 && extent->value <= LT_MAX_LANES;
    if (!fits || e->lanes || !runs_in_lanes(s->u.loop.body, var)) {
        emit_serial(e, s);
        return;
    }
    if (extent->value == 1) {
        emit_unrolled(e, s);
        return;
    }
    e->lanes = (int)extent->value;
    e->lane_var = var;
    e->bindings[var->symbol] = (Binding){.depth = ++e->depth};
    const size_t mark = lt_scope_open(e);
    lt_emit_stmts(e, s->u.loop.body);
    lt_scope_close(e, mark);
    e->depth--;
    e->lanes = 0;
    e->lane_var = NULL;
}

static void emit_loop(Emitter *e, const Stmt *s) {
    switch (s->u.loop.kind) {
    case LOOP_SERIAL:
    case LOOP_GRID: /* on a CPU, blocks and threads one after the other */
    case LOOP_THREAD:
    case LOOP_FETCH:
    case LOOP_MMA:
    case LOOP_WGMMA: emit_serial(e, s); break;
    case LOOP_PARALLEL: emit_parallel(e, s); break;
    case LOOP_UNROLL: emit_unrolled(e, s); break;
    case LOOP_VECTOR: emit_vector(e, s); break;
    }
}

/* --- conditions --- */

/* Emits the list in a block of its own, entered when `condition` holds, and goes on to `after`. */
static void emit_arm(Emitter *e, const Stmt *list, LLVMBasicBlockRef block,
                     LLVMBasicBlockRef after) {
    LLVMPositionBuilderAtEnd(e->b, block);
    const size_t mark = lt_scope_open(e);
    lt_emit_stmts(e, list);
    lt_scope_close(e, mark);
    LLVMBuildBr(e->b, after);
}

static void emit_plain_if(Emitter *e, const Stmt *s, LLVMValueRef condition) {
    LLVMBasicBlockRef body = new_block(e, "then"), after = new_block(e, "fi");
    LLVMBasicBlockRef otherwise = s->u.branch.otherwise ? new_block(e, "else") : after;
    LLVMBuildCondBr(e->b, condition, body, otherwise);
    emit_arm(e, s->u.branch.body, body, after);
    if (s->u.branch.otherwise)
        emit_arm(e, s->u.branch.otherwise, otherwise, after);
    LLVMPositionBuilderAtEnd(e->b, after);
}

/* The list under a mask, skipped when no lane is left. */
static void emit_masked(Emitter *e, const Stmt *list, LLVMValueRef mask, LLVMValueRef any) {
    LLVMBasicBlockRef body = new_block(e, "masked"), after = new_block(e, "unmasked");
    LLVMValueRef outer = e->mask;
    LLVMBuildCondBr(e->b, any, body, after);
    e->mask = mask;
    emit_arm(e, list, body, after);
    e->mask = outer;
    LLVMPositionBuilderAtEnd(e->b, after);
}

static LLVMValueRef any_of(Emitter *e, LLVMValueRef mask) {
    return lt_intrinsic(e->unit, e->b, "vector.reduce.or", &mask, 1);
}

/* The lanes that pass (uniform conditions included), then those that do not. */
static void emit_both_masked(Emitter *e, const Stmt *s, const LaneTest *test) {
    LLVMValueRef mask = lt_mask_and(e, e->mask, test->mask);
    LLVMValueRef any = e->mask ? LLVMBuildAnd(e->b, test->any, any_of(e, mask), "") : test->any;
    emit_masked(e, s->u.branch.body, mask, any);
    if (!s->u.branch.otherwise)
        return;
    /* `any` false because of a uniform condition means that every lane takes the other way. */
    LLVMValueRef passed = LLVMBuildAnd(e->b, test->mask, lt_splat(e->b, test->any, e->lanes), "");
    LLVMValueRef rest = lt_mask_and(e, e->mask, LLVMBuildNot(e->b, passed, ""));
    emit_masked(e, s->u.branch.otherwise, rest, any_of(e, rest));
}

static void emit_lane_if(Emitter *e, const Stmt *s, const LaneTest *test) {
    if (e->mask) {
        emit_both_masked(e, s, test);
        return;
    }
    LLVMBasicBlockRef full = new_block(e, "full"), partial = new_block(e, "partial"),
                      after = new_block(e, "fi");
    LLVMBuildCondBr(e->b, test->all, full, partial);
    emit_arm(e, s->u.branch.body, full, after);
    LLVMPositionBuilderAtEnd(e->b, partial);
    const size_t mark = lt_scope_open(e);
    emit_both_masked(e, s, test);
    lt_scope_close(e, mark);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, after);
}

static void emit_if(Emitter *e, const Stmt *s) {
    if (!e->lanes) {
        LLVMValueRef condition = lt_emit_expr(e, s->u.branch.condition);
        if (LLVMIsAConstantInt(condition)) {
            const bool is_true = LLVMConstIntGetZExtValue(condition) != 0;
            lt_emit_stmts(e, is_true ? s->u.branch.body : s->u.branch.otherwise);
            return;
        }
        emit_plain_if(e, s, condition);
        return;
    }
    const LaneTest test = lt_emit_lane_test(e, s->u.branch.condition);
    if (test.mask)
        emit_lane_if(e, s, &test);
    else
        emit_plain_if(e, s, test.all);
}

/* --- the others --- */

static void emit_let(Emitter *e, const Stmt *s) {
    LLVMValueRef v = lt_emit_expr(e, s->u.let.value);
    Binding *binding = &e->bindings[s->u.let.var->symbol];
    *binding = lt_is_vector(v) ? (Binding){.vector = v, .depth = e->depth}
                               : (Binding){.scalar = v, .depth = e->depth};
}

/* Vectors of a tail may be read past a local buffer's last element, under a mask or not used: there
 * is room. */
static void emit_alloc(Emitter *e, const Stmt *s) {
    const Buffer *buffer = s->u.alloc.buffer;
    if (buffer->kind == BUFFER_SCRATCH || buffer->kind == BUFFER_SHARED) {
        assert(!e->lanes && "the verifier keeps scratch memory out of vector loops");
        LLVMValueRef offset = int_const(e, lt_kernel_scratch_offset(e->kernel, buffer));
        LLVMValueRef base = buffer->kind == BUFFER_SHARED ? e->shared : e->scratch;
        e->bases[buffer->index] = LLVMBuildGEP2(e->b, e->unit->i8, base, &offset, 1, "");
        return;
    }
    int64_t elements = e->lanes ? e->lanes : 1;
    for (int i = 0; i < buffer->rank; i++) {
        assert(lt_dim_is_const(buffer->dims[i]) && "extents of local buffers are constant");
        elements *= buffer->dims[i]->value;
    }
    LLVMTypeRef type =
        LLVMArrayType2(lt_memory_type(e->unit, buffer->dtype), (uint64_t)(elements ? elements : 1));
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    LLVMPositionBuilderBefore(e->b, LLVMGetBasicBlockTerminator(e->entry));
    LLVMValueRef place = LLVMBuildAlloca(e->b, type, buffer->name);
    LLVMSetAlignment(place, LT_TENSOR_ALIGN);
    LLVMPositionBuilderAtEnd(e->b, here);
    e->bases[buffer->index] = place;
    e->lane_copies[buffer->index] = e->lanes > 0;
}

static void emit_store(Emitter *e, const Stmt *s) {
    LLVMValueRef value = lt_emit_expr(e, s->u.store.value);
    lt_emit_store(e, s->u.store.buffer, s->u.store.index, value);
}

void lt_emit_stmts(Emitter *e, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        lt_expr_new_statement(e);
        lt_debug_line(e, s);
        switch (s->kind) {
        case STMT_FOR: emit_loop(e, s); break;
        case STMT_IF: emit_if(e, s); break;
        case STMT_STORE: emit_store(e, s); break;
        case STMT_LET: emit_let(e, s); break;
        case STMT_ALLOC: emit_alloc(e, s); break;
        case STMT_BARRIER: lt_emit_barrier(e); break;
        case STMT_COMMIT:
        case STMT_COMBINE: break; /* threads one after the other fold into one copy */
        case STMT_PREFETCH: lt_emit_prefetch(e, s->u.prefetch.buffer, s->u.prefetch.index); break;
        }
    }
}
