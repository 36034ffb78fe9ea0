/* lower_map.c - regions without an anchor: every output element is an expression of its own. */
#include "passes/lower_internal.h"

bool lt_lower_map(Lowering *lo) {
    const Type *type = lo->yields[0]->type;
    const Dim *index[LT_MAX_RANK], *moved[LT_MAX_RANK];
    const Expr **values = LT_ARRAY(lo->ctx->scratch, const Expr *, lo->yield_count);
    LoopNest nest = {.count = 0};
    Stmt *stores = NULL;
    lo->k->class = KERNEL_MAP;
    lt_lower_axes(lo, &nest, "i#", type, index);
    for (uint32_t i = 0; i < lo->yield_count; i++) {
        const Type *other = lo->yields[i]->type;
        if (lt_type_elements(lo->module, other) != lt_type_elements(lo->module, type))
            return lt_lower_fail(lo, "the outputs of one map have different numbers of elements");
        lt_lower_reshape_index(lo, type, index, other, moved);
        const At at = lt_lower_here(moved, other->rank);
        values[i] = lt_lower_at(lo, lo->yields[i], &at);
        stores = lt_stmt_join(stores, lt_stmt_store(lo->k, lo->results[i], moved, values[i]));
    }
    lo->k->body = lt_lower_nest(lo, &nest, lt_stmt_join(lt_lower_take_prelude(lo), stores));
    return !lo->failed;
}
