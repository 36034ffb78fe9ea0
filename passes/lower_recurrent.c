/* lower_recurrent.c - lstm and gru: steps one after the other, gates of one sequence in a local
 * buffer.
 *
 *   for n { h[0] = h0; barrier; for t {
 *     gates = x[t, n]; for k { for g { for v { gates[g, v] += h[t mod 2, k] * R[k, g, v] } } }
 *     cell; h[(t + 1) mod 2] = ..; barrier } }
 *
 * The product runs over k outside, so that the loops v# along the gates are contiguous in
 * everything they touch. All of them run over the hidden values: a thread that has a part of these
 * has it in every loop and every gate, and what one iteration writes, no other one reads, but for
 * the state h, which a whole step reads. That is shared and there are two of it, the one before the
 * step and the one behind it, so that one barrier a step is enough. */
#include <string.h>

#include "passes/lower_internal.h"

typedef struct Recurrence {
    const Dim *steps, *hidden;
    DType dtype; /* of the computation */
    LoopNest sequences, time;
    const Dim *n, *t;            /* which sequence, which step */
    const Dim *before, *after;   /* which of the two states h is that before, behind the step */
    const Buffer *gates, *reset; /* reset: gru only; shared where others' values are read */
    const Buffer *h, *c;         /* [2, hidden], shared; [hidden], lstm only */
    const Buffer *y, *last[2];   /* results: all h, the last h and c; NULL when not wanted */
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

/* v + number * hidden: that gate of hidden value v. */
static const Dim *gate_at(Lowering *lo, const Recurrence *r, const Dim *v, const Dim *number) {
    return lt_dim_add(lower_table(lo), v, lt_dim_mul(lower_table(lo), r->hidden, number));
}

static const Dim *gate(Lowering *lo, const Recurrence *r, const Dim *v, int number) {
    return gate_at(lo, r, v, lower_number(lo, number));
}

static const Expr *local_get(Lowering *lo, const Buffer *buffer, const Dim *v) {
    return lt_expr_load(lo->k, buffer, &v, NULL);
}

static Stmt *local_set(Lowering *lo, const Buffer *buffer, const Dim *v, const Expr *value) {
    return lt_stmt_store(lo->k, buffer, &v, value);
}

static const Expr *h_get(Lowering *lo, const Recurrence *r, const Dim *which, const Dim *v) {
    return lt_expr_load(lo->k, r->h, (const Dim *const[]){which, v}, NULL);
}

static Stmt *h_set(Lowering *lo, const Recurrence *r, const Dim *which, const Dim *v,
                   const Expr *value) {
    return lt_stmt_store(lo->k, r->h, (const Dim *const[]){which, v}, value);
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

typedef struct LocalSpec {
    BufferKind kind;
    const char *name;
    const Dim *dims[2];
    int rank;
} LocalSpec;

static const Buffer *local(Lowering *lo, Recurrence *r, LocalSpec spec) {
    const Buffer *buffer =
        lt_kernel_local(lo->k, spec.kind, spec.name, r->dtype, spec.rank, spec.dims);
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
    r->before = lt_dim_mod(lower_table(lo), r->t, lower_number(lo, 2));
    r->after = lt_dim_mod(lower_table(lo), lt_dim_add_const(lower_table(lo), r->t, 1),
                          lower_number(lo, 2));
    if (lt_attr_int(node, ATTR_REVERSE, 0))
        r->t = lt_dim_sub(lower_table(lo), lt_dim_add_const(lower_table(lo), r->steps, -1), r->t);
    const Dim *all_gates = lt_dim_mul_const(lower_table(lo), r->hidden, gates);
    r->gates = local(lo, r, (LocalSpec){BUFFER_STACK, "gates", {all_gates}, 1});
    r->h = local(lo, r, (LocalSpec){BUFFER_SHARED, "h", {lower_number(lo, 2), r->hidden}, 2});
    if (states > 1)
        r->c = local(lo, r, (LocalSpec){BUFFER_STACK, "c", {r->hidden}, 1});
    r->y = result_of(lo, node->outputs[0]);
    for (int i = 0; i < states; i++)
        r->last[i] = result_of(lo, node->outputs[i + 1]);
    lo->k->class = KERNEL_SERIAL;
    return true;
}

/* Element v of the sequence's first state, operand `input`. */
static const Expr *first_state(Lowering *lo, const Recurrence *r, const Dim *v, uint32_t input) {
    const At at = lt_lower_here((const Dim *const[]){r->n, v}, 2);
    return lt_lower_at_as(lo, lt_input(lo->anchor, input), &at, r->dtype);
}

/* The state in front of the first step: operand `input`, and c the one behind it. */
static Stmt *begin_state(Lowering *lo, const Recurrence *r, uint32_t input) {
    const Columns c = begin_columns(lo, r->hidden);
    Stmt *stores = h_set(lo, r, lower_number(lo, 0), c.v, first_state(lo, r, c.v, input));
    if (r->c)
        stores = lt_stmt_join(stores, local_set(lo, r->c, c.v, first_state(lo, r, c.v, input + 1)));
    return lt_stmt_join(end_columns(lo, &c, stores), lt_stmt_barrier(lo->k));
}

static Stmt *store_last(Lowering *lo, const Recurrence *r, int which, const Dim *v,
                        const Expr *value) {
    const Buffer *result = r->last[which];
    const Dim *index[] = {r->n, v};
    return result
               ? lt_stmt_store(lo->k, result, index, lt_expr_convert(lo->k, value, result->dtype))
               : NULL;
}

/* The state behind the last step becomes the results. */
static Stmt *end_state(Lowering *lo, const Recurrence *r) {
    if (!r->last[0] && !r->last[1])
        return NULL;
    const Columns c = begin_columns(lo, r->hidden);
    const Dim *which = lt_dim_mod(lower_table(lo), r->steps, lower_number(lo, 2));
    Stmt *stores = store_last(lo, r, 0, c.v, h_get(lo, r, which, c.v));
    if (r->c)
        stores = lt_stmt_join(stores, store_last(lo, r, 1, c.v, local_get(lo, r->c, c.v)));
    return end_columns(lo, &c, stores);
}

/* body(column) for all columns of the first gates. */
typedef Stmt *ColumnFn(Lowering *lo, const Recurrence *r, const Dim *column);

static Stmt *for_gates(Lowering *lo, const Recurrence *r, int gates, ColumnFn *body) {
    LoopNest all = {.count = 0};
    const Dim *g = lt_lower_full_loop(lo, &all, "g#", lower_number(lo, gates));
    const Columns c = begin_columns(lo, r->hidden);
    return lt_lower_nest(lo, &all, end_columns(lo, &c, body(lo, r, gate_at(lo, r, c.v, g))));
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
    const Dim *g = lt_lower_full_loop(lo, &blocks, "g#", lower_number(lo, p.gates));
    const Columns c = begin_columns(lo, r->hidden);
    const Dim *row = lt_lower_full_loop(lo, &fold, "u#", lower_number(lo, rows));
    const Dim *k = lt_dim_add(t, lt_dim_mul_const(t, block, rows), row);
    const Dim *column = gate_at(lo, r, c.v, lt_dim_add_const(t, g, p.first_gate));
    const Accumulator acc = lt_lower_accumulator(lo, "acc", r->dtype);
    const At at = lt_lower_here((const Dim *const[]){k, column}, 2);
    const Expr *weight = lt_lower_at_as(lo, lt_input(lo->anchor, 1), &at, r->dtype);
    const Expr *factor = p.from ? local_get(lo, p.from, k) : h_get(lo, r, r->before, k);
    const Expr *sum = lt_expr_call(lo->k, FN_FMA, factor, weight, lt_lower_get(lo, acc));
    Stmt *update = lt_stmt_join(lt_lower_take_prelude(lo), lt_lower_set(lo, acc, sum));
    Stmt *body = lt_stmt_join(lt_lower_begin(lo, acc, local_get(lo, r->gates, column)),
                              lt_lower_nest(lo, &fold, update));
    body = lt_stmt_join(body, local_set(lo, r->gates, column, lt_lower_get(lo, acc)));
    return lt_lower_nest(lo, &blocks, end_columns(lo, &c, body));
}

/* The new state h, which is gate number `h` of the buffer, goes to its places; then all threads
 * have it. */
static Stmt *store_step(Lowering *lo, const Recurrence *r, int h) {
    const Columns c = begin_columns(lo, r->hidden);
    const Expr *value = local_get(lo, r->gates, gate(lo, r, c.v, h));
    Stmt *stores = h_set(lo, r, r->after, c.v, value);
    if (r->y) {
        const Dim *index[] = {r->t, r->n, c.v};
        const Expr *rounded = lt_expr_convert(lo->k, value, r->y->dtype);
        stores = lt_stmt_join(stores, lt_stmt_store(lo->k, r->y, index, rounded));
    }
    return lt_stmt_join(end_columns(lo, &c, stores), lt_stmt_barrier(lo->k));
}

static bool end_recurrence(Lowering *lo, const Recurrence *r, Stmt *first, Stmt *step) {
    Stmt *body = lt_stmt_join(first, lt_lower_nest(lo, &r->time, step));
    body = lt_stmt_join(body, end_state(lo, r));
    lo->k->body = lt_lower_nest(lo, &r->sequences, lt_stmt_join(r->allocs, body));
    return !lo->failed;
}

/* --- lstm: gates i o f c ------------------------------------------------------------------- */

/* c = the new cell. */
static Stmt *lstm_cell(Lowering *lo, const Recurrence *r) {
    const Columns c = begin_columns(lo, r->hidden);
    const Expr *in = call1(lo, FN_SIGMOID, local_get(lo, r->gates, c.v));
    const Expr *forget = call1(lo, FN_SIGMOID, local_get(lo, r->gates, gate(lo, r, c.v, 2)));
    const Expr *candidate = call1(lo, FN_TANH, local_get(lo, r->gates, gate(lo, r, c.v, 3)));
    const Expr *kept = call2(lo, FN_MUL, forget, local_get(lo, r->c, c.v));
    const Expr *cell = lt_expr_call(lo->k, FN_FMA, in, candidate, kept);
    return end_columns(lo, &c, local_set(lo, r->c, c.v, cell));
}

/* gates[h..2h) = the new state. */
static Stmt *lstm_hidden(Lowering *lo, const Recurrence *r) {
    const Columns c = begin_columns(lo, r->hidden);
    const Dim *place = gate(lo, r, c.v, 1);
    const Expr *out = call1(lo, FN_SIGMOID, local_get(lo, r->gates, place));
    const Expr *hidden = call2(lo, FN_MUL, out, call1(lo, FN_TANH, local_get(lo, r->c, c.v)));
    return end_columns(lo, &c, local_set(lo, r->gates, place, hidden));
}

static Stmt *set_input(Lowering *lo, const Recurrence *r, const Dim *column) {
    return local_set(lo, r->gates, column, input_at(lo, r, column));
}

bool lt_lower_lstm(Lowering *lo) {
    Recurrence r = {.allocs = NULL};
    if (!begin_recurrence(lo, &r, 4, 2))
        return false;
    Stmt *first = begin_state(lo, &r, 2);
    Stmt *step = for_gates(lo, &r, 4, set_input);
    step = lt_stmt_join(step, add_product(lo, &r, (RecurrentProduct){NULL, 0, 4}));
    step = lt_stmt_join(step, lstm_cell(lo, &r));
    step = lt_stmt_join(step, lstm_hidden(lo, &r));
    step = lt_stmt_join(step, store_step(lo, &r, 1));
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
        reset = call2(lo, FN_MUL, reset, h_get(lo, r, r->before, c.v));
    Stmt *set = end_columns(lo, &c, local_set(lo, r->reset, c.v, reset));
    return linear_before_reset ? set : lt_stmt_join(set, lt_stmt_barrier(lo->k));
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
    const Expr *hidden = lt_expr_call(lo->k, FN_FMA, update, h_get(lo, r, r->before, c.v), fresh);
    return end_columns(lo, &c, local_set(lo, r->gates, c.v, hidden));
}

static Stmt *set_bias(Lowering *lo, const Recurrence *r, const Dim *column) {
    const At at = lt_lower_here(&column, 1);
    const Expr *bias = lt_lower_at_as(lo, lt_input(lo->anchor, 2), &at, r->dtype);
    return local_set(lo, r->gates, column, bias);
}

bool lt_lower_gru(Lowering *lo) {
    Recurrence r = {.allocs = NULL};
    const bool linear = *lt_attr_string(lo->anchor, ATTR_MODE, "") != '\0';
    if (!begin_recurrence(lo, &r, 3, 1))
        return false;
    const BufferKind kind = linear ? BUFFER_STACK : BUFFER_SHARED;
    r.reset = local(lo, &r, (LocalSpec){kind, "reset", {r.hidden}, 1});
    Stmt *first = begin_state(lo, &r, 3);
    Stmt *step = for_gates(lo, &r, 3, set_bias);
    step = lt_stmt_join(step, add_product(lo, &r, (RecurrentProduct){NULL, 0, linear ? 3 : 2}));
    step = lt_stmt_join(step, gru_reset(lo, &r, linear));
    if (!linear)
        step = lt_stmt_join(step, add_product(lo, &r, (RecurrentProduct){r.reset, 2, 1}));
    step = lt_stmt_join(step, gru_hidden(lo, &r, linear));
    step = lt_stmt_join(step, store_step(lo, &r, 0));
    return end_recurrence(lo, &r, first, step);
}
