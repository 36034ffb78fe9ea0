/* lower_recurrent.c - lstm and gru: steps one after the other, gates of one sequence in a local
 * buffer.
 *
 *   for n { h = h0; for t { gates = x[t, n]; for k { for v { gates[v] += h[k] * R[k, v] } }; cell }
 * } The product runs over k outside, so that the loops v# along the gates are contiguous in
 * everything they touch. The state lives in the results h (and c), or in local buffers when these
 * are not wanted. */
#include <string.h>

#include "passes/lower_internal.h"

typedef struct Recurrence {
    const Dim *steps, *hidden;
    DType dtype; /* of the computation */
    LoopNest sequences, time;
    const Dim *n, *t;            /* which sequence, which step */
    const Buffer *gates, *reset; /* reset: gru only */
    const Buffer *y, *state[2];  /* y: NULL when not wanted */
    bool is_local[2];            /* state indexed without the sequence */
    Stmt *allocs;
} Recurrence;

/* --- small pieces -------------------------------------------------------------------------- */

/* A loop along gates or hidden values. */
typedef struct Columns {
    LoopNest nest;
    const Dim *v;
} Columns;

static Columns begin_columns(Lowering *lo, const Dim *extent) {
    Columns c = {.nest = {.count = 0}};
    c.v = lt_lower_full_loop(lo, &c.nest, "v#", extent);
    return c;
}

static Stmt *end_columns(Lowering *lo, const Columns *c, Stmt *body) {
    return lt_lower_nest(lo, &c->nest, lt_stmt_join(lt_lower_take_prelude(lo), body));
}

/* v + count * hidden: gate number `count` of hidden value v. */
static const Dim *gate(Lowering *lo, const Recurrence *r, const Dim *v, int count) {
    return lt_dim_add(lower_table(lo), v, lt_dim_mul_const(lower_table(lo), r->hidden, count));
}

static const Expr *local_get(Lowering *lo, const Buffer *buffer, const Dim *v) {
    return lt_expr_load(lo->k, buffer, &v, NULL);
}

static Stmt *local_set(Lowering *lo, const Buffer *buffer, const Dim *v, const Expr *value) {
    return lt_stmt_store(lo->k, buffer, &v, value);
}

static int state_index(const Recurrence *r, int which, const Dim *v, const Dim **index) {
    int rank = 0;
    if (!r->is_local[which])
        index[rank++] = r->n;
    index[rank++] = v;
    return rank;
}

static const Expr *state_get(Lowering *lo, const Recurrence *r, int which, const Dim *v) {
    const Dim *index[2];
    state_index(r, which, v, index);
    return lt_expr_convert(lo->k, lt_expr_load(lo->k, r->state[which], index, NULL), r->dtype);
}

static Stmt *state_set(Lowering *lo, const Recurrence *r, int which, const Dim *v,
                       const Expr *value) {
    const Dim *index[2];
    state_index(r, which, v, index);
    return lt_stmt_store(lo->k, r->state[which], index,
                         lt_expr_convert(lo->k, value, r->state[which]->dtype));
}

static const Expr *input_at(Lowering *lo, const Recurrence *r, const Dim *column) {
    const At at = lt_lower_here((const Dim *const[]){r->t, r->n, column}, 3);
    return lt_lower_at_as(lo, lt_input(lo->anchor, 0), &at, r->dtype);
}

static const Expr *call1(Lowering *lo, ScalarFn fn, const Expr *a) {
    return lt_expr_call(lo->k, fn, a, NULL, NULL);
}
static const Expr *call2(Lowering *lo, ScalarFn fn, const Expr *a, const Expr *b) {
    return lt_expr_call(lo->k, fn, a, b, NULL);
}

/* --- what both layers share ---------------------------------------------------------------- */

static const Buffer *local(Lowering *lo, Recurrence *r, const char *name, const Dim *extent) {
    const Buffer *buffer = lt_kernel_local(lo->k, BUFFER_STACK, name, r->dtype, 1, &extent);
    r->allocs = lt_stmt_join(r->allocs, lt_stmt_alloc(lo->k, buffer));
    return buffer;
}

static const Buffer *result_of(const Lowering *lo, const Value *value) {
    for (uint32_t i = 0; i < lo->yield_count; i++)
        if (lo->yields[i] == value)
            return lo->results[i];
    return NULL;
}

static bool is_result(const Lowering *lo, const Value *value) {
    for (uint32_t i = 0; i < lo->anchor->output_count; i++)
        if (lo->anchor->outputs[i] == value)
            return true;
    return false;
}

/* Each output once, and nothing computed from them: the state is read back while it is written. */
static bool check_yields(Lowering *lo) {
    for (uint32_t i = 0; i < lo->yield_count; i++)
        if (!is_result(lo, lo->yields[i]) || result_of(lo, lo->yields[i]) != lo->results[i])
            return lt_lower_fail(lo, "a recurrent layer is not grouped with other nodes");
    return true;
}

static bool begin_recurrence(Lowering *lo, Recurrence *r, int gates, int states) {
    const Node *node = lo->anchor;
    const Type *type = lt_output(node)->type;
    const Dim *hidden = type->dims[2];
    const int64_t limit = LT_MAX_STACK / 16 / gates;
    if (!check_yields(lo))
        return false;
    if (!lt_dim_is_const(hidden) || hidden->value > limit)
        return lt_lower_fail(lo, "the number of hidden values must be a constant of at most %lld",
                             (long long)limit);
    r->hidden = lower_dim(lo, hidden);
    r->steps = lower_dim(lo, type->dims[0]);
    r->dtype = lt_lower_sum_dtype(type->dtype);
    r->n = lt_lower_loop(lo, &r->sequences, "n", lower_dim(lo, type->dims[1]));
    r->t = lt_lower_loop(lo, &r->time, "t", r->steps);
    if (lt_attr_int(node, ATTR_REVERSE, 0))
        r->t = lt_dim_sub(lower_table(lo), lt_dim_add_const(lower_table(lo), r->steps, -1), r->t);
    r->gates = local(lo, r, "gates", lt_dim_mul_const(lower_table(lo), r->hidden, gates));
    r->y = result_of(lo, node->outputs[0]);
    for (int i = 0; i < states; i++) {
        r->state[i] = result_of(lo, node->outputs[i + 1]);
        r->is_local[i] = !r->state[i];
        if (r->is_local[i])
            r->state[i] = local(lo, r, "state", r->hidden);
    }
    lo->k->class = KERNEL_SERIAL;
    return true;
}

/* state = its first value, operand `input`. */
static Stmt *set_first_state(Lowering *lo, const Recurrence *r, int which, uint32_t input) {
    const Columns c = begin_columns(lo, r->hidden);
    const At at = lt_lower_here((const Dim *const[]){r->n, c.v}, 2);
    const Expr *value = lt_lower_at_as(lo, lt_input(lo->anchor, input), &at, r->dtype);
    return end_columns(lo, &c, state_set(lo, r, which, c.v, value));
}

/* Columns first.. of a product of `hidden` values with the recurrent weights: `from` NULL is the
 * state h. */
typedef struct RecurrentProduct {
    const Buffer *from;
    int first_gate, gates;
} RecurrentProduct;

/* Rows of the weights come a few at a time: each is one stream, and a sum is loaded and stored once
 * for all of them. */
static Stmt *add_product(Lowering *lo, const Recurrence *r, RecurrentProduct p) {
    enum { ROWS = 8 };
    DimTable *t = lower_table(lo);
    LoopNest blocks = {.count = 0}, fold = {.count = 0};
    const int64_t rows = r->hidden->value % ROWS == 0 ? ROWS : 1;
    const Dim *block = lt_lower_full_loop(lo, &blocks, "k#",
                                          lt_dim_floordiv(t, r->hidden, lower_number(lo, rows)));
    const Columns c = begin_columns(lo, lt_dim_mul_const(t, r->hidden, p.gates));
    const Dim *row = lt_lower_full_loop(lo, &fold, "u#", lower_number(lo, rows));
    const Dim *k = lt_dim_add(t, lt_dim_mul_const(t, block, rows), row);
    const Dim *column = gate(lo, r, c.v, p.first_gate);
    const Accumulator acc = lt_lower_accumulator(lo, "acc", r->dtype);
    const At at = lt_lower_here((const Dim *const[]){k, column}, 2);
    const Expr *weight = lt_lower_at_as(lo, lt_input(lo->anchor, 1), &at, r->dtype);
    const Expr *factor = p.from ? local_get(lo, p.from, k) : state_get(lo, r, 0, k);
    const Expr *sum = lt_expr_call(lo->k, FN_FMA, factor, weight, lt_lower_get(lo, acc));
    Stmt *update = lt_stmt_join(lt_lower_take_prelude(lo), lt_lower_set(lo, acc, sum));
    Stmt *body = lt_stmt_join(lt_lower_begin(lo, acc, local_get(lo, r->gates, column)),
                              lt_lower_nest(lo, &fold, update));
    body = lt_stmt_join(body, local_set(lo, r->gates, column, lt_lower_get(lo, acc)));
    return lt_lower_nest(lo, &blocks, end_columns(lo, &c, body));
}

/* h (gate `h` of the buffer) and c (gate 0, lstm) become state and result. */
static Stmt *store_step(Lowering *lo, const Recurrence *r, int h, bool has_cell) {
    const Columns c = begin_columns(lo, r->hidden);
    const Expr *value = local_get(lo, r->gates, gate(lo, r, c.v, h));
    Stmt *stores = state_set(lo, r, 0, c.v, value);
    if (has_cell)
        stores = lt_stmt_join(stores, state_set(lo, r, 1, c.v, local_get(lo, r->gates, c.v)));
    if (r->y) {
        const Dim *index[] = {r->t, r->n, c.v};
        const Expr *rounded = lt_expr_convert(lo->k, value, r->y->dtype);
        stores = lt_stmt_join(stores, lt_stmt_store(lo->k, r->y, index, rounded));
    }
    return end_columns(lo, &c, stores);
}

static bool end_recurrence(Lowering *lo, const Recurrence *r, Stmt *first, Stmt *step) {
    Stmt *body = lt_stmt_join(first, lt_lower_nest(lo, &r->time, step));
    lo->k->body = lt_stmt_join(r->allocs, lt_lower_nest(lo, &r->sequences, body));
    return !lo->failed;
}

/* --- lstm: gates i o f c ------------------------------------------------------------------- */

/* gates[0..h) = the new cell. */
static Stmt *lstm_cell(Lowering *lo, const Recurrence *r) {
    const Columns c = begin_columns(lo, r->hidden);
    const Expr *in = call1(lo, FN_SIGMOID, local_get(lo, r->gates, c.v));
    const Expr *forget = call1(lo, FN_SIGMOID, local_get(lo, r->gates, gate(lo, r, c.v, 2)));
    const Expr *candidate = call1(lo, FN_TANH, local_get(lo, r->gates, gate(lo, r, c.v, 3)));
    const Expr *kept = call2(lo, FN_MUL, forget, state_get(lo, r, 1, c.v));
    const Expr *cell = lt_expr_call(lo->k, FN_FMA, in, candidate, kept);
    return end_columns(lo, &c, local_set(lo, r->gates, c.v, cell));
}

/* gates[h..2h) = the new state. */
static Stmt *lstm_hidden(Lowering *lo, const Recurrence *r) {
    const Columns c = begin_columns(lo, r->hidden);
    const Dim *place = gate(lo, r, c.v, 1);
    const Expr *out = call1(lo, FN_SIGMOID, local_get(lo, r->gates, place));
    const Expr *hidden = call2(lo, FN_MUL, out, call1(lo, FN_TANH, local_get(lo, r->gates, c.v)));
    return end_columns(lo, &c, local_set(lo, r->gates, place, hidden));
}

bool lt_lower_lstm(Lowering *lo) {
    Recurrence r = {.allocs = NULL};
    if (!begin_recurrence(lo, &r, 4, 2))
        return false;
    Stmt *first = lt_stmt_join(set_first_state(lo, &r, 0, 2), set_first_state(lo, &r, 1, 3));
    const Columns c = begin_columns(lo, lt_dim_mul_const(lower_table(lo), r.hidden, 4));
    Stmt *step = end_columns(lo, &c, local_set(lo, r.gates, c.v, input_at(lo, &r, c.v)));
    step = lt_stmt_join(step, add_product(lo, &r, (RecurrentProduct){NULL, 0, 4}));
    step = lt_stmt_join(step, lstm_cell(lo, &r));
    step = lt_stmt_join(step, lstm_hidden(lo, &r));
    step = lt_stmt_join(step, store_step(lo, &r, 1, true));
    return end_recurrence(lo, &r, first, step);
}

/* --- gru: gates z r h ---------------------------------------------------------------------- */

static const Expr *gru_gate(Lowering *lo, const Recurrence *r, const Dim *v, int which) {
    const Dim *column = gate(lo, r, v, which);
    return call1(lo, FN_SIGMOID,
                 call2(lo, FN_ADD, input_at(lo, r, column), local_get(lo, r->gates, column)));
}

/* reset = the gate r, or, when it is applied before the product, r * h. */
static Stmt *gru_reset(Lowering *lo, const Recurrence *r, bool linear_before_reset) {
    const Columns c = begin_columns(lo, r->hidden);
    const Expr *reset = gru_gate(lo, r, c.v, 1);
    if (!linear_before_reset)
        reset = call2(lo, FN_MUL, reset, state_get(lo, r, 0, c.v));
    return end_columns(lo, &c, local_set(lo, r->reset, c.v, reset));
}

/* gates[0..h) = (1 - z) * candidate + z * h. */
static Stmt *gru_hidden(Lowering *lo, const Recurrence *r, bool linear_before_reset) {
    const Columns c = begin_columns(lo, r->hidden);
    const Dim *column = gate(lo, r, c.v, 2);
    const Expr *update = gru_gate(lo, r, c.v, 0), *one = lt_expr_float(lo->k, r->dtype, 1);
    const Expr *product = local_get(lo, r->gates, column);
    if (linear_before_reset)
        product = call2(lo, FN_MUL, local_get(lo, r->reset, c.v), product);
    const Expr *candidate = call1(lo, FN_TANH, call2(lo, FN_ADD, input_at(lo, r, column), product));
    const Expr *fresh = call2(lo, FN_MUL, call2(lo, FN_SUB, one, update), candidate);
    const Expr *hidden = lt_expr_call(lo->k, FN_FMA, update, state_get(lo, r, 0, c.v), fresh);
    return end_columns(lo, &c, local_set(lo, r->gates, c.v, hidden));
}

bool lt_lower_gru(Lowering *lo) {
    Recurrence r = {.allocs = NULL};
    const bool linear = *lt_attr_string(lo->anchor, ATTR_MODE, "") != '\0';
    if (!begin_recurrence(lo, &r, 3, 1))
        return false;
    r.reset = local(lo, &r, "reset", r.hidden);
    Stmt *first = set_first_state(lo, &r, 0, 3);
    const Columns c = begin_columns(lo, lt_dim_mul_const(lower_table(lo), r.hidden, 3));
    const At at = lt_lower_here(&c.v, 1);
    const Expr *bias = lt_lower_at_as(lo, lt_input(lo->anchor, 2), &at, r.dtype);
    Stmt *step = end_columns(lo, &c, local_set(lo, r.gates, c.v, bias));
    step = lt_stmt_join(step, add_product(lo, &r, (RecurrentProduct){NULL, 0, linear ? 3 : 2}));
    step = lt_stmt_join(step, gru_reset(lo, &r, linear));
    if (!linear)
        step = lt_stmt_join(step, add_product(lo, &r, (RecurrentProduct){r.reset, 2, 1}));
    step = lt_stmt_join(step, gru_hidden(lo, &r, linear));
    step = lt_stmt_join(step, store_step(lo, &r, 0, false));
    return end_recurrence(lo, &r, first, step);
}
