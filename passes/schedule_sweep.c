/* schedule_sweep.c - folds over a few taps whose results lie along vectors: pooling, convolutions
 * that do not mix channels, sums over leading axes. */
#include "passes/schedule_nest.h"

#include <string.h>

enum { FEW_TAPS = 32, SPARE_REGISTERS = 6 };

/* The conditions of a fold: all of them orders of indices? Is there one, one that a loop does not
 * move? */
typedef struct Conditions {
    const Dim *moving;
    bool orders_alone, found, standing;
} Conditions;

static void read_condition(Conditions *c, const Expr *e) {
    const bool is_call = e->kind == EXPR_CALL;
    if (is_call && e->u.call.fn == FN_AND) {
        read_condition(c, e->u.call.args[0]);
        read_condition(c, e->u.call.args[1]);
        return;
    }
    c->found = true;
    c->orders_alone &= is_call && e->u.call.fn == FN_LT && e->u.call.args[0]->kind != EXPR_LOAD &&
                       e->u.call.args[1]->kind != EXPR_LOAD;
    c->standing |= !c->moving || !lt_expr_mentions(e, c->moving);
}

static void read_conditions(Conditions *c, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        c->orders_alone &= s->kind != STMT_LET;
        if (s->kind == STMT_FOR)
            read_conditions(c, s->u.loop.body);
        if (s->kind != STMT_IF)
            continue;
        c->orders_alone &= !s->u.branch.otherwise;
        read_condition(c, s->u.branch.condition);
        read_conditions(c, s->u.branch.body);
    }
}

int64_t lt_nest_taps(const Nest *nest) {
    int64_t taps = nest->fold_count ? 1 : 0;
    for (int i = 0; i < nest->fold_count; i++) {
        const Dim *extent = nest->folds[i]->u.loop.extent;
        if (!lt_dim_is_const(extent) || extent->value < 1 || extent->value > FEW_TAPS)
            return 0;
        taps *= extent->value;
    }
    return taps <= FEW_TAPS ? taps : 0;
}

/* Elements of up to `most` vectors: a power of two of them that divides the loop, if there is one.
 * */
static int vector_columns(const Nest *nest, int most) {
    const Dim *extent = nest->v->u.loop.extent;
    const int lanes = lt_nest_lanes(nest);
    if (lt_dim_is_const(extent) && extent->value < lanes)
        return (int)extent->value;
    for (int count = most; count > 1 && lt_dim_is_const(extent); count /= 2)
        if (extent->value % (count * lanes) == 0)
            return count * lanes;
    return lt_dim_is_const(extent) && extent->value % lanes == 0 ? lanes : most * lanes;
}

static const Expr *updated_value(const Stmt *list) {
    while (list && (list->kind == STMT_FOR || list->kind == STMT_IF) && !list->next)
        list = list->kind == STMT_FOR ? list->u.loop.body : list->u.branch.body;
    return list && list->kind == STMT_STORE && !list->next ? list->u.store.value : NULL;
}

/* The innermost of at least two loops of positions, directly around the channels. */
static const Stmt *row_of_positions(const Nest *nest) {
    int positions = 0;
    for (int i = 0; i + 1 < nest->loop_count; i++)
        positions += nest->loops[i]->u.loop.var->name[0] == 'y';
    const Stmt *last = nest->loop_count > 2 ? nest->loops[nest->loop_count - 2] : NULL;
    return positions > 1 && last->u.loop.var->name[0] == 'y' ? last : NULL;
}

/* Weights of the taps stay in registers where there are enough. */
static void choose_held(Nest *nest, int64_t taps) {
    const Expr *value = updated_value(nest->folds[0]->u.loop.body);
    const Expr *weights =
        value ? lt_operand_along(value, nest->v->u.loop.var, nest->y->u.loop.var) : NULL;
    const int vectors = (int)((nest->target->registers - SPARE_REGISTERS) / taps);
    nest->vc = vector_columns(nest, vectors > 2 ? 4 : vectors > 1 ? 2 : 1);
    if (vectors < 1 || !weights || weights->u.load.predicate)
        return;
    for (int i = 0; i < nest->loop_count; i++)
        if (nest->loops[i] != nest->v && lt_expr_mentions(weights, nest->loops[i]->u.loop.var))
            return;
    nest->b = weights->u.load.buffer->name;
}

ScheduleRow lt_choose_columns(Nest *nest) {
    const int64_t taps = lt_nest_taps(nest);
    const Dim *columns = nest->v->u.loop.extent;
    nest->has_few_taps = taps > 0;
    nest->y = nest->kernel->class == KERNEL_CONV && taps ? row_of_positions(nest) : NULL;
    Conditions c = {.moving = nest->y ? nest->y->u.loop.var : NULL, .orders_alone = true};
    if (nest->fold_count)
        read_conditions(&c, nest->folds[0]->u.loop.body);
    if (nest->y && c.orders_alone) {
        choose_held(nest, taps);
        const bool has_tail = !lt_dim_is_const(columns) || columns->value % nest->vc;
        nest->w = c.standing || has_tail ? nest->y : NULL;
        return SCHEDULE_SWEEP;
    }
    nest->y = NULL;
    nest->vc = vector_columns(nest, 4);
    nest->w = taps && c.found && c.orders_alone ? nest->folds[0] : NULL;
    return SCHEDULE_COLUMNS;
}
