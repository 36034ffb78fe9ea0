/* schedule_products.c - reads a sum of products: what `share` makes tiles of.
 *
 *   alloc acc;  acc = 0;  for k0 { for k1 { if (c) { acc = fma(a, b, acc) } } };  the rest
 *
 * Of the two loops along rows and columns, a goes along one alone and b along the other one. Where
 * a condition does not hold nothing is added, which is the same as a factor of 0: each condition
 * belongs to the factor that it goes along with. */
#include "ir/schedule.h"

static bool is_accumulator(const Stmt *s) {
    return s && s->kind == STMT_ALLOC && s->u.alloc.buffer->kind == BUFFER_REGISTER &&
           s->u.alloc.buffer->rank == 0;
}

/* The factor that a condition belongs to, or -1: it goes along rows and columns. */
static int side_of(const Expr *condition, const Dim *const *vars) {
    const bool along_rows = lt_expr_mentions(condition, vars[0]);
    const bool along_columns = lt_expr_mentions(condition, vars[1]);
    return along_rows && along_columns ? -1 : along_columns;
}

const char *lt_schedule_add_condition(Kernel *k, const Expr *condition, const Dim *const *vars,
                                      const Expr **sides) {
    if (condition->kind == EXPR_CALL && condition->u.call.fn == FN_AND) {
        const char *error = lt_schedule_add_condition(k, condition->u.call.args[0], vars, sides);
        return error ? error : lt_schedule_add_condition(k, condition->u.call.args[1], vars, sides);
    }
    const int side = side_of(condition, vars);
    if (side < 0)
        return "share: a condition goes along rows and columns";
    sides[side] = lt_expr_and(k, sides[side], condition);
    return NULL;
}

static const char *read_update(const Stmt *s, const Dim *const *vars, ProductSum *out) {
    const Expr *value = s->u.store.value;
    const Expr *const *args = value->u.call.args;
    if (s->next || s->u.store.buffer != out->sum || value->kind != EXPR_CALL ||
        value->u.call.fn != FN_FMA || args[2]->kind != EXPR_LOAD ||
        args[2]->u.load.buffer != out->sum || args[2]->u.load.predicate)
        return "share: the fold does not add up products";
    for (int i = 0; i < 2; i++) {
        const Expr *a = args[i], *b = args[1 - i];
        out->factors[0] = a;
        out->factors[1] = b;
        if (!lt_expr_mentions(a, vars[1]) && !lt_expr_mentions(b, vars[0]))
            return NULL;
    }
    return "share: a factor goes along rows and columns";
}

/* From the outermost folding loop down to the update. */
static const char *read_fold(Kernel *k, Stmt *s, const Dim *const *vars, ProductSum *out) {
    const char *error = NULL;
    while (s && !error) {
        if (s->kind == STMT_STORE && out->fold_count)
            return read_update(s, vars, out);
        if (s->kind == STMT_IF && out->fold_count && !s->u.branch.otherwise && !s->next) {
            error = lt_schedule_add_condition(k, s->u.branch.condition, vars, out->conditions);
            s = s->u.branch.body;
            continue;
        }
        if (s->kind != STMT_FOR || s->u.loop.kind != LOOP_SERIAL ||
            out->fold_count == MAX_PRODUCT_FOLDS || (out->fold_count && s->next) ||
            lt_dim_mentions(s->u.loop.extent, vars[0]) ||
            lt_dim_mentions(s->u.loop.extent, vars[1]))
            break;
        out->folds[out->fold_count++] = s;
        s = s->u.loop.body;
    }
    return error ? error : "share: the fold is no nest of plain loops around an update";
}

const char *lt_schedule_products(Kernel *k, Stmt *list, const Dim *rows, const Dim *columns,
                                 ProductSum *out) {
    const Dim *vars[2] = {rows, columns};
    Stmt *first = list ? list->next : NULL;
    *out = (ProductSum){.sum = NULL};
    if (!is_accumulator(list) || !first || first->kind != STMT_STORE ||
        first->u.store.buffer != list->u.alloc.buffer || !first->next)
        return "share: there is no accumulator inside";
    out->sum = list->u.alloc.buffer;
    out->begin = first->u.store.value;
    out->rest = first->next->next;
    return read_fold(k, first->next, vars, out);
}
