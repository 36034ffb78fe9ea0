/* lower_rows.c - softmax, log_softmax and layer_norm: several stages over one row, each a loop of
 * its own.
 *
 *   softmax      m = max x;  e = exp(x - m), s = sum e;  out = e / s
 *   layer_norm   mean = sum x / n;  s = sum (x - mean)^2;  out = (x - mean) / sqrt(s / n + epsilon)
 * * scale + bias Between the stages a row is kept where its result goes, if dtypes agree, or else
 * on the stack, if it is known to be short: the exponentials, and x itself when it is not simply
 * loaded. Otherwise it is computed again. */
#include <string.h>

#include "passes/lower_internal.h"

enum { MAX_KEPT_ELEMENTS = 16384 };

typedef struct Row {
    LoopNest outer;
    const Dim *index[LT_MAX_RANK]; /* the loops around the row; NULL along it */
    Value *x;
    DType dtype;         /* of the computation */
    bool keeps;          /* between stages */
    const Buffer *stack; /* NULL: rows are kept in a result */
    bool x_is_kept;
} Row;

/* The loops of one stage and the index within them. */
typedef struct Stage {
    LoopNest loops;
    const Dim *index[LT_MAX_RANK];
} Stage;

static Row begin_row(Lowering *lo, int first_axis, int axis_count) {
    Row row = {.x = lt_input(lo->anchor, 0)};
    const Type *type = row.x->type;
    row.dtype = lt_lower_sum_dtype(type->dtype);
    for (int i = 0; i < type->rank; i++)
        if (i < first_axis || i >= first_axis + axis_count)
            row.index[i] = lt_lower_loop(lo, &row.outer, "i#", lower_dim(lo, type->dims[i]));
    lo->k->class = KERNEL_ROWS;
    return row;
}

static Stage begin_stage(Lowering *lo, const Row *row) {
    Stage stage = {.loops = {.count = 0}};
    for (int i = 0; i < row->x->type->rank; i++)
        stage.index[i] = row->index[i] ? row->index[i]
                                       : lt_lower_full_loop(lo, &stage.loops, "r#",
                                                            lower_dim(lo, row->x->type->dims[i]));
    return stage;
}

/* The row's elements and extents; 0: too many, or not known. */
static int64_t row_extents(Lowering *lo, const Row *row, const Dim **dims, int *rank) {
    int64_t elements = 1;
    *rank = 0;
    for (int i = 0; i < row->x->type->rank; i++) {
        if (row->index[i])
            continue;
        const Dim *extent = lower_dim(lo, row->x->type->dims[i]);
        if (!lt_dim_is_const(extent) || extent->value > MAX_KEPT_ELEMENTS)
            return 0;
        elements *= extent->value;
        dims[(*rank)++] = extent;
        if (elements > MAX_KEPT_ELEMENTS)
            return 0;
    }
    return elements;
}

/* Decides where rows are kept; a stack buffer is made here and must be allocated by the caller. On
 * a GPU it comes first: it becomes registers of the threads that share the row out. */
static void choose_place(Lowering *lo, Row *row, const Stage *stage) {
    const At *at;
    const Dim *dims[LT_MAX_RANK];
    int rank;
    const int64_t elements = row_extents(lo, row, dims, &rank);
    const bool is_stack_first = lt_target_is_gpu(lo->ctx->target) && elements > 0;
    lt_lower_forward(lo, stage->index);
    row->keeps = !is_stack_first && lt_lower_find_scratch(lo, row->dtype, &at) != NULL;
    if (row->keeps || elements < 1)
        return;
    row->keeps = true;
    row->stack = lt_kernel_local(lo->k, BUFFER_STACK, "row", row->dtype, rank, dims);
}

/* Where the element of this stage is kept. */
static const Buffer *kept_at(Lowering *lo, const Row *row, const Stage *stage, const Dim **index) {
    int rank = 0;
    for (int i = 0; row->stack && i < row->x->type->rank; i++)
        if (!row->index[i])
            index[rank++] = stage->index[i];
    if (row->stack)
        return row->stack;
    const At *at;
    lt_lower_forward(lo, stage->index);
    const Buffer *buffer = lt_lower_find_scratch(lo, row->dtype, &at);
    memcpy(index, at->index, sizeof at->index);
    return buffer;
}

static const Expr *load_kept(Lowering *lo, const Row *row, const Stage *stage) {
    const Dim *index[LT_MAX_RANK];
    const Buffer *buffer = kept_at(lo, row, stage, index);
    return lt_expr_load(lo->k, buffer, index, NULL);
}

static Stmt *keep(Lowering *lo, const Row *row, const Stage *stage, const Expr *value) {
    const Dim *index[LT_MAX_RANK];
    const Buffer *buffer = kept_at(lo, row, stage, index);
    return lt_stmt_store(lo->k, buffer, index, value);
}

static const Expr *computed_x(Lowering *lo, const Row *row, const Stage *stage) {
    const At at = lt_lower_here(stage->index, row->x->type->rank);
    return lt_lower_at_as(lo, row->x, &at, row->dtype);
}

static const Expr *stage_x(Lowering *lo, const Row *row, const Stage *stage) {
    return row->x_is_kept ? load_kept(lo, row, stage) : computed_x(lo, row, stage);
}

static bool is_cheap(const Expr *e) {
    while (e->kind == EXPR_CONVERT)
        e = e->u.call.args[0];
    return e->kind == EXPR_CONST || (e->kind == EXPR_LOAD && !e->u.load.predicate);
}

/* The first stage: acc = fn(acc, x), and x is kept if that is worth it. */
static Stmt *first_stage(Lowering *lo, Row *row, Accumulator acc, ScalarFn fn) {
    const Stage stage = begin_stage(lo, row);
    const Expr *x = computed_x(lo, row, &stage);
    choose_place(lo, row, &stage);
    const bool is_worth_it = !is_cheap(x) || lo->prelude || lt_target_is_gpu(lo->ctx->target);
    row->x_is_kept = row->keeps && is_worth_it;
    Stmt *body = lt_lower_take_prelude(lo);
    if (row->x_is_kept)
        body = lt_stmt_join(body, keep(lo, row, &stage, x));
    const Expr *folded = lt_expr_call(lo->k, fn, lt_lower_get(lo, acc), x, NULL);
    body = lt_stmt_join(body, lt_lower_set(lo, acc, folded));
    Stmt *begin = lt_lower_begin(lo, acc, lt_lower_identity(lo, fn, row->dtype));
    if (row->stack)
        begin = lt_stmt_join(lt_stmt_alloc(lo->k, row->stack), begin);
    return lt_stmt_join(begin, lt_lower_nest(lo, &stage.loops, body));
}

static Stmt *last_stage(Lowering *lo, const Row *row, const Stage *stage, const Expr *value) {
    Stmt *prelude = lt_lower_take_prelude(lo);
    const Expr *result = lt_expr_convert(lo->k, value, row->x->type->dtype);
    Stmt *store = lt_lower_store(lo, stage->index, result);
    return lt_lower_nest(lo, &stage->loops, lt_stmt_join(prelude, store));
}

static const Expr *subtract(Lowering *lo, const Expr *a, Accumulator b) {
    return lt_expr_call(lo->k, FN_SUB, a, lt_lower_get(lo, b), NULL);
}

/* --- softmax ------------------------------------------------------------------------------- */

static const Expr *exponential(Lowering *lo, const Row *row, const Stage *stage, Accumulator most) {
    return lt_expr_call(lo->k, FN_EXP, subtract(lo, stage_x(lo, row, stage), most), NULL, NULL);
}

bool lt_lower_softmax(Lowering *lo) {
    Kernel *k = lo->k;
    const bool logarithm = lo->anchor->op == OP_LOG_SOFTMAX;
    Row row = begin_row(lo, (int)lt_attr_int(lo->anchor, ATTR_AXIS, 0), 1);
    const Accumulator most = lt_lower_accumulator(lo, "most", row.dtype);
    const Accumulator sum = lt_lower_accumulator(lo, "sum", row.dtype);
    const Accumulator scale = lt_lower_accumulator(lo, "scale", row.dtype);
    Stmt *body = first_stage(lo, &row, most, FN_MAX);
    const bool keeps_exponentials = row.keeps && !logarithm;

    Stage stage = begin_stage(lo, &row);
    const Expr *e = exponential(lo, &row, &stage, most);
    Stmt *update = lt_lower_take_prelude(lo);
    const Expr *total = lt_expr_call(k, FN_ADD, lt_lower_get(lo, sum), e, NULL);
    update = lt_stmt_join(update, lt_lower_set(lo, sum, total));
    if (keeps_exponentials)
        update = lt_stmt_join(update, keep(lo, &row, &stage, e));
    body = lt_stmt_join(body, lt_lower_begin(lo, sum, lt_lower_zero(lo, row.dtype)));
    body = lt_stmt_join(body, lt_lower_nest(lo, &stage.loops, update));

    const Expr *one = lt_expr_float(k, row.dtype, 1), *s = lt_lower_get(lo, sum);
    const Expr *last =
        logarithm ? lt_expr_call(k, FN_LOG, s, NULL, NULL) : lt_expr_call(k, FN_DIV, one, s, NULL);
    body = lt_stmt_join(body, lt_lower_begin(lo, scale, last));
    stage = begin_stage(lo, &row);
    const Expr *value;
    if (logarithm)
        value = subtract(lo, subtract(lo, stage_x(lo, &row, &stage), most), scale);
    else
        value = lt_expr_call(k, FN_MUL,
                             keeps_exponentials ? load_kept(lo, &row, &stage)
                                                : exponential(lo, &row, &stage, most),
                             lt_lower_get(lo, scale), NULL);
    body = lt_stmt_join(body, last_stage(lo, &row, &stage, value));
    k->body = lt_lower_nest(lo, &row.outer, body);
    return !lo->failed;
}

/* --- layer_norm ---------------------------------------------------------------------------- */

/* value * scale + bias, both optional, along the row. */
static const Expr *scale_and_shift(Lowering *lo, const Row *row, const Stage *stage,
                                   const Expr *value) {
    const int axis = (int)lt_attr_int(lo->anchor, ATTR_AXIS, 0), rank = row->x->type->rank;
    static const ScalarFn fns[] = {FN_ADD, FN_MUL, FN_ADD};
    const At at = lt_lower_here(stage->index + axis, rank - axis);
    for (uint32_t i = 1; i < lo->anchor->input_count; i++)
        if (lt_input(lo->anchor, i))
            value =
                lt_expr_call(lo->k, fns[i], value,
                             lt_lower_at_as(lo, lt_input(lo->anchor, i), &at, row->dtype), NULL);
    return value;
}

static const Expr *element_count(Lowering *lo, const Row *row) {
    const Type *type = row->x->type;
    const int axis = (int)lt_attr_int(lo->anchor, ATTR_AXIS, 0);
    const Dim *count = lt_dim_product(&lo->module->dims, type->dims + axis, type->rank - axis);
    return lt_expr_convert(lo->k, lt_expr_index(lo->k, lower_dim(lo, count)), row->dtype);
}

bool lt_lower_layer_norm(Lowering *lo) {
    Kernel *k = lo->k;
    const int axis = (int)lt_attr_int(lo->anchor, ATTR_AXIS, 0);
    Row row = begin_row(lo, axis, lt_input(lo->anchor, 0)->type->rank - axis);
    const Accumulator sum = lt_lower_accumulator(lo, "sum", row.dtype);
    const Accumulator mean = lt_lower_accumulator(lo, "mean", row.dtype);
    const Accumulator squares = lt_lower_accumulator(lo, "squares", row.dtype);
    const Accumulator scale = lt_lower_accumulator(lo, "scale", row.dtype);
    const Expr *n = element_count(lo, &row);
    Stmt *body = first_stage(lo, &row, sum, FN_ADD);
    body = lt_stmt_join(
        body, lt_lower_begin(lo, mean, lt_expr_call(k, FN_DIV, lt_lower_get(lo, sum), n, NULL)));

    Stage stage = begin_stage(lo, &row);
    const Expr *centered = subtract(lo, stage_x(lo, &row, &stage), mean);
    Stmt *update = lt_lower_take_prelude(lo);
    const Expr *total = lt_expr_call(k, FN_FMA, centered, centered, lt_lower_get(lo, squares));
    update = lt_stmt_join(update, lt_lower_set(lo, squares, total));
    body = lt_stmt_join(body, lt_lower_begin(lo, squares, lt_lower_zero(lo, row.dtype)));
    body = lt_stmt_join(body, lt_lower_nest(lo, &stage.loops, update));

    const Expr *epsilon = lt_expr_float(k, row.dtype, lt_attr_float(lo->anchor, ATTR_EPSILON, 0));
    const Expr *variance = lt_expr_call(
        k, FN_ADD, lt_expr_call(k, FN_DIV, lt_lower_get(lo, squares), n, NULL), epsilon, NULL);
    const Expr *deviation = lt_expr_call(k, FN_SQRT, variance, NULL, NULL);
    const Expr *factor = lt_expr_call(k, FN_DIV, lt_expr_float(k, row.dtype, 1), deviation, NULL);
    body = lt_stmt_join(body, lt_lower_begin(lo, scale, factor));
    stage = begin_stage(lo, &row);
    const Expr *value = lt_expr_call(k, FN_MUL, subtract(lo, stage_x(lo, &row, &stage), mean),
                                     lt_lower_get(lo, scale), NULL);
    value = scale_and_shift(lo, &row, &stage, value);
    body = lt_stmt_join(body, last_stage(lo, &row, &stage, value));
    k->body = lt_lower_nest(lo, &row.outer, body);
    return !lo->failed;
}
