/* lower_suppress.c - boxes that overlap, best first: those of a list are looked at one after the
 * other. */
#include "passes/lower_internal.h"

typedef struct Suppress {
    Lowering *lo;
    const Dim *list[LT_MAX_RANK]; /* positions on the axes in front */
    int rank;                     /* how many these are */
    const Dim *boxes;             /* n */
    const Buffer *out;
} Suppress;

static const Dim *const *box_at(Suppress *s, const Dim *box) {
    const Dim **index = lt_arena_copy(s->lo->k->arena, s->list, sizeof s->list);
    index[s->rank] = box;
    return index;
}

static const Expr *call(Suppress *s, ScalarFn fn, const Expr *a, const Expr *b) {
    return lt_expr_call(s->lo->k, fn, a, b, NULL);
}

static const Expr *edge(Suppress *s, const Dim *box, int number) {
    At at = lt_lower_here(s->list, s->rank);
    at.index[s->rank] = box;
    at.index[s->rank + 1] = lower_number(s->lo, number);
    return lt_lower_at(s->lo, lt_input(s->lo->anchor, 1), &at);
}

static const Expr *scalar(Suppress *s, uint32_t input) {
    const At here = {.predicate = NULL};
    return lt_lower_at(s->lo, lt_input(s->lo->anchor, input), &here);
}

static const Expr *area(Suppress *s, const Dim *box) {
    return call(s, FN_MUL, call(s, FN_SUB, edge(s, box, 2), edge(s, box, 0)),
                call(s, FN_SUB, edge(s, box, 3), edge(s, box, 1)));
}

static const Expr *shared_length(Suppress *s, const Dim *a, const Dim *b, int dim) {
    const Expr *to = call(s, FN_MIN, edge(s, b, dim + 2), edge(s, a, dim + 2));
    const Expr *from = call(s, FN_MAX, edge(s, b, dim), edge(s, a, dim));
    return call(s, FN_MAX, call(s, FN_SUB, to, from), lt_lower_zero(s->lo, to->dtype));
}

static const Expr *overlaps(Suppress *s, const Dim *a, const Dim *b) {
    const Expr *shared = call(s, FN_MUL, shared_length(s, a, b, 0), shared_length(s, a, b, 1));
    const Expr *all = call(s, FN_SUB, call(s, FN_ADD, area(s, a), area(s, b)), shared);
    return call(s, FN_AND, call(s, FN_GT, call(s, FN_DIV, shared, all), scalar(s, 3)),
                call(s, FN_GT, shared, lt_lower_zero(s->lo, shared->dtype)));
}

static Stmt *copy_list(Suppress *s) {
    Lowering *lo = s->lo;
    LoopNest nest = {.count = 0};
    const Dim *box = lt_lower_full_loop(lo, &nest, "c", s->boxes);
    At at = lt_lower_here(s->list, s->rank);
    at.index[s->rank] = box;
    const Expr *keep = lt_lower_at(lo, lt_input(lo->anchor, 0), &at);
    Stmt *store = lt_stmt_store(lo->k, s->out, box_at(s, box), keep);
    return lt_lower_nest(lo, &nest, lt_stmt_join(lt_lower_take_prelude(lo), store));
}

/* Those behind box i that overlap it go. */
static Stmt *take_away(Suppress *s, const Dim *i) {
    Lowering *lo = s->lo;
    LoopNest nest = {.count = 0};
    const Dim *first = lt_dim_add_const(lower_table(lo), i, 1);
    const Dim *step =
        lt_lower_full_loop(lo, &nest, "o", lt_dim_sub(lower_table(lo), s->boxes, first));
    const Dim *other = lt_dim_add(lower_table(lo), first, step);
    const Expr *goes = overlaps(s, i, other);
    Stmt *store =
        lt_stmt_store(lo->k, s->out, box_at(s, other), lt_expr_int(lo->k, DT_BOOL, false));
    Stmt *test = lt_stmt_if(lo->k, goes, store, NULL);
    return lt_lower_nest(lo, &nest, lt_stmt_join(lt_lower_take_prelude(lo), test));
}

static Stmt *look_at_boxes(Suppress *s) {
    Lowering *lo = s->lo;
    Kernel *k = lo->k;
    LoopNest nest = {.count = 0};
    const Accumulator taken = lt_lower_accumulator(lo, "taken", DT_I64);
    const Accumulator stays = lt_lower_accumulator(lo, "stays", DT_BOOL);
    Stmt *begin = lt_lower_begin(lo, taken, lt_expr_int(k, DT_I64, 0));
    const Dim *i = lt_lower_full_loop(lo, &nest, "k", s->boxes);
    const Expr *is_there = lt_expr_load(k, s->out, box_at(s, i), NULL);
    const Expr *has_room = call(s, FN_LT, lt_lower_get(lo, taken), scalar(s, 2));
    Stmt *decide = lt_stmt_join(lt_lower_take_prelude(lo),
                                lt_lower_begin(lo, stays, call(s, FN_AND, is_there, has_room)));
    Stmt *store = lt_stmt_store(k, s->out, box_at(s, i), lt_lower_get(lo, stays));
    const Expr *one = lt_expr_convert(k, lt_lower_get(lo, stays), DT_I64);
    Stmt *count = lt_lower_set(lo, taken, call(s, FN_ADD, lt_lower_get(lo, taken), one));
    Stmt *others = lt_stmt_if(k, lt_lower_get(lo, stays), take_away(s, i), NULL);
    Stmt *body = lt_stmt_join(decide, lt_stmt_join(store, lt_stmt_join(count, others)));
    return lt_stmt_join(begin, lt_lower_nest(lo, &nest, body));
}

bool lt_lower_suppress(Lowering *lo) {
    const Type *type = lt_input(lo->anchor, 0)->type;
    Suppress s = {.lo = lo, .rank = type->rank - 1, .out = lo->results[0]};
    LoopNest nest = {.count = 0};
    for (int i = 0; i < s.rank; i++)
        s.list[i] = lt_lower_loop(lo, &nest, "i#", lower_dim(lo, type->dims[i]));
    s.boxes = lower_dim(lo, type->dims[s.rank]);
    Stmt *copy = copy_list(&s);
    lo->k->class = KERNEL_SERIAL;
    lo->k->body = lt_lower_nest(lo, &nest, lt_stmt_join(copy, look_at_boxes(&s)));
    return !lo->failed;
}
