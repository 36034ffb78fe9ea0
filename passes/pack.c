/* pack.c - the forms that the fast kernels read.
 * Requires: types. Ensures: packed.
 *   %2 = contract %x, %w {spec = "mk,kn->mn"}
 *   =>  %p = pack %w; %2 = contract %x, %p {packed = 16}
 *   %2 = conv %x, %w {pad_lo = [1, 1]}
 *   =>  %q = pad %x; %p = pack %w; %2 = conv %q, %p {packed = 16}
 *
 * A register tile reads one column panel of operand 1 for every step of the fold: packed, that
 * panel is one stream. Weights are packed by the next `fold`; other operands are packed at run
 * time, where that pays. A padded copy of a convolution's input costs a percent of the convolution
 * and takes all conditions out of its loops. A pointwise convolution is a contraction and becomes
 * one. */
#include <string.h>

#include "ir/build.h"
#include "ir/einsum.h"
#include "passes/pass.h"

/* Rows that pay for packing at run time: fewer when the column would be gathered otherwise. */
enum { LEAST_ROWS_GATHERED = 8, LEAST_ROWS_CONTIGUOUS = 32, LEAST_COLUMNS = 4 };

static int panel_width(const PassContext *ctx, DType dtype, const Dim *columns) {
    return lt_target_panel(ctx->target, (int)lt_dtype_size(dtype),
                           lt_dim_is_const(columns) ? columns->value : INT64_MAX);
}

/* Sums in i32 are those of quantized models; a GPU has them of bytes. */
static bool is_packable(const PassContext *ctx, DType dtype) {
    return lt_dtype_is_float(dtype) || dtype == DT_I32 ||
           (lt_dtype_is_byte(dtype) && lt_target_is_gpu(ctx->target));
}

static bool below(const Dim *extent, int64_t least) {
    return lt_dim_is_const(extent) && extent->value < least;
}

/* --- contractions -------------------------------------------------------------------------- */

typedef struct Letters {
    char text[LT_MAX_RANK + 1];
    int count;
} Letters;

static void add_letter(Letters *l, char letter) {
    if (!memchr(l->text, letter, (size_t)l->count))
        l->text[l->count++] = letter;
}

/* Operand 1 in the order that makes panels streams: batch, other columns, folded axes, the column;
 * or the column before the folded axes, which is how tensor cores take bytes. */
static Letters panel_order(const LtEinsum *e, bool folds_last) {
    Letters order = {0};
    char column = lt_einsum_column(e);
    for (const char *p = e->letters[EINSUM_OUT]; *p; p++)
        if (lt_einsum_is_batch(e, *p))
            add_letter(&order, *p);
    for (const char *p = e->letters[EINSUM_OUT]; *p; p++)
        if (*p != column && lt_einsum_axis(e, EINSUM_B, *p) >= 0)
            add_letter(&order, *p);
    if (folds_last)
        add_letter(&order, column);
    for (const char *p = e->letters[EINSUM_A]; *p; p++)
        if (lt_einsum_axis(e, EINSUM_B, *p) >= 0)
            add_letter(&order, *p);
    for (const char *p = e->letters[EINSUM_B]; *p; p++)
        if (*p != column)
            add_letter(&order, *p);
    add_letter(&order, column);
    return order;
}

static int batch_letters(const LtEinsum *e) {
    int count = 0;
    for (const char *p = e->letters[EINSUM_B]; *p; p++)
        count += lt_einsum_is_batch(e, *p);
    return count;
}

/* Rows that share one panel. */
static const Dim *row_count(Module *m, const LtEinsum *e, const Type *a) {
    const Dim *rows = lt_dim_const(&m->dims, 1);
    for (int i = 0; i < e->count[EINSUM_A]; i++) {
        char letter = e->letters[EINSUM_A][i];
        bool in_result = lt_einsum_axis(e, EINSUM_OUT, letter) >= 0;
        if (in_result && lt_einsum_axis(e, EINSUM_B, letter) < 0)
            rows = lt_dim_mul(&m->dims, rows, a->dims[i]);
    }
    return rows;
}

static bool folds_something(const LtEinsum *e) {
    for (const char *p = e->letters[EINSUM_A]; *p; p++)
        if (lt_einsum_axis(e, EINSUM_OUT, *p) < 0)
            return true;
    return false;
}

/* The column must come from operand 1: exchange the operands when it comes from operand 0. */
static void put_column_right(Node *n, LtEinsum *e) {
    char column = lt_einsum_column(e);
    if (lt_einsum_axis(e, EINSUM_B, column) >= 0)
        return;
    Value *a = lt_input(n, 0), *b = lt_input(n, 1);
    lt_node_set_input(n, 0, b);
    lt_node_set_input(n, 1, a);
    const char *spec = lt_arena_printf(n->graph->module->arena, "%s,%s->%s", e->letters[EINSUM_B],
                                       e->letters[EINSUM_A], e->letters[EINSUM_OUT]);
    lt_node_set_attr(n, lt_string(ATTR_SPEC, spec));
    lt_einsum_parse(e, spec);
}

static bool worth_packing(const PassContext *ctx, const Node *n, const LtEinsum *e) {
    char column = lt_einsum_column(e);
    if (!column || lt_einsum_is_batch(e, column) || !folds_something(e))
        return false;
    Value *b = lt_input(n, 1);
    int axis = lt_einsum_axis(e, EINSUM_B, column);
    if (axis < 0 || below(b->type->dims[axis], LEAST_COLUMNS))
        return false;
    if (!is_packable(ctx, b->type->dtype) || b->type->rank == LT_MAX_RANK)
        return false;
    if (lt_value_const(b))
        return true;
    bool contiguous = axis == b->type->rank - 1;
    const Dim *rows = row_count(ctx->module, e, lt_input(n, 0)->type);
    return !below(rows, contiguous ? LEAST_ROWS_CONTIGUOUS : LEAST_ROWS_GATHERED);
}

/* Operand 1 in another order of its axes; the transpose goes when it is not worth it. */
static bool turn_weights(PassContext *ctx, Node *n, Value *turned, const Letters *order) {
    LtEinsum e;
    lt_einsum_parse(&e, lt_attr_string(n, ATTR_SPEC, ""));
    if (turned == lt_input(n, 1))
        return false;
    if (!lt_value_const(lt_input(n, 1))) {
        lt_node_remove(turned->def);
        return false;
    }
    const char *spec = lt_arena_printf(ctx->module->arena, "%s,%s->%s", e.letters[EINSUM_A],
                                       order->text, e.letters[EINSUM_OUT]);
    lt_node_set_attr(n, lt_string(ATTR_SPEC, spec));
    lt_node_set_input(n, 1, turned);
    return true;
}

static bool pack_contraction(PassContext *ctx, Node *n) {
    LtEinsum e;
    if (lt_attr_int(n, ATTR_PACKED, 0))
        return false;
    lt_einsum_parse(&e, lt_attr_string(n, ATTR_SPEC, ""));
    if (!e.count[EINSUM_OUT])
        return false;
    put_column_right(n, &e);
    if (!worth_packing(ctx, n, &e))
        return false;
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    Letters order = panel_order(&e, lt_dtype_is_byte(lt_input(n, 1)->type->dtype));
    int64_t perm[LT_MAX_RANK];
    bool moved = false;
    for (int i = 0; i < order.count; i++) {
        perm[i] = lt_einsum_axis(&e, EINSUM_B, order.text[i]);
        moved |= perm[i] != i;
    }
    Value *v = lt_input(n, 1);
    const Dim *columns = v->type->dims[lt_einsum_axis(&e, EINSUM_B, lt_einsum_column(&e))];
    const int width = panel_width(ctx, lt_output(n)->type->dtype, columns);
    if (moved)
        v = lt_build_transpose(&b, v, perm);
    if (lt_target_is_gpu(ctx->target)) /* tiles there are no panels: rows are all that it reads */
        return turn_weights(ctx, n, v, &order);
    v = lt_build_pack(
        &b, v, &(PackShape){.axis = order.count - 1, .leading = batch_letters(&e), .width = width});
    const char *spec = lt_arena_printf(ctx->module->arena, "%s,%s->%s", e.letters[EINSUM_A],
                                       order.text, e.letters[EINSUM_OUT]);
    lt_node_set_attr(n, lt_string(ATTR_SPEC, spec));
    lt_node_set_attr(n, lt_int(ATTR_PACKED, width));
    lt_node_set_attr(n, lt_dims(ATTR_SIZE, &columns, 1));
    lt_node_set_input(n, 1, v);
    return true;
}

/* --- convolutions -------------------------------------------------------------------------- */

static bool all_ints(const Node *n, AttrName name, int64_t value) {
    const Attr *a = lt_attr(n, name);
    for (uint32_t i = 0; a && i < a->count; i++)
        if (a->u.ints[i] != value)
            return false;
    return true;
}

static bool all_dims(const Node *n, AttrName name, int64_t value) {
    const Attr *a = lt_attr(n, name);
    for (uint32_t i = 0; a && i < a->count; i++)
        if (!lt_dim_is(a->u.dims[i], value))
            return false;
    return true;
}

static bool is_pointwise(const Node *n) {
    const Type *w = lt_input(n, 1)->type;
    for (int i = 0; i < w->rank - 2; i++)
        if (!lt_dim_is(w->dims[i], 1))
            return false;
    return all_ints(n, ATTR_STRIDES, 1) && all_dims(n, ATTR_PAD_LO, 0) &&
           all_dims(n, ATTR_PAD_HI, 0) && all_ints(n, ATTR_INPUT_DILATION, 1);
}

/* The filter [1..., c, o] as a matrix: a constant stays one, so that its packing is folded. */
static Value *filter_matrix(PassContext *ctx, Builder *b, Value *w) {
    int rank = w->type->rank;
    const Const *c = lt_value_const(w);
    if (!c)
        return lt_build_reshape(b, w, 2, w->type->dims + rank - 2);
    const Type *type = lt_type(ctx->module, c->type->dtype, 2, c->type->dims + rank - 2);
    return lt_build_const(b, c->is_splat ? lt_const_splat(ctx->module, type, c->data)
                                         : lt_const(ctx->module, type, c->data));
}

/* [n, x..., c] * [1..., c, o]: the positions are rows. */
static Node *pointwise_to_contraction(PassContext *ctx, Node *n) {
    Value *w = lt_input(n, 1);
    int rank = w->type->rank;
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    Value *matrix = filter_matrix(ctx, &b, w);
    const char *positions = "xyzuvw";
    const char *spec = lt_arena_printf(ctx->module->arena, "n%.*sc,co->n%.*so", rank - 2, positions,
                                       rank - 2, positions);
    Value *operands[] = {lt_input(n, 0), matrix};
    Value *result = lt_build_contract_like(&b, n, operands, spec);
    result->name = lt_output(n)->name;
    lt_value_replace(lt_output(n), result);
    lt_node_remove(n);
    return result->def;
}

/* The transpose in front of a convolution that reads so few channels that their order in memory
 * does not matter to it: it may read the other order in place. */
static const Node *transpose_of_few(const Node *n) {
    enum { FEW_CHANNELS = 8 };
    const Value *x = lt_input(n, 0);
    const Node *def = x->def;
    return def && def->op == OP_TRANSPOSE && below(x->type->dims[x->type->rank - 1], FEW_CHANNELS)
               ? def
               : NULL;
}

/* The input with its padding written out. Where a transpose is in front of it, in front of that:
 * the copy then runs along rows, and the convolution takes the transpose in. */
static Value *padded_input(PassContext *ctx, Builder *b, const Node *n) {
    Value *x = lt_input(n, 0);
    const Node *transpose = transpose_of_few(n);
    const int64_t *perm = transpose ? lt_attr(transpose, ATTR_PERM)->u.ints : NULL;
    const Attr *lo = lt_attr(n, ATTR_PAD_LO), *hi = lt_attr(n, ATTR_PAD_HI);
    const Dim *zero = lt_dim_const(&ctx->module->dims, 0);
    const Dim *low[LT_MAX_RANK], *high[LT_MAX_RANK];
    for (int i = 0; i < x->type->rank; i++) {
        bool position = i > 0 && i < x->type->rank - 1;
        const int at = perm ? (int)perm[i] : i;
        low[at] = position ? lo->u.dims[i - 1] : zero;
        high[at] = position ? hi->u.dims[i - 1] : zero;
    }
    if (!transpose)
        return lt_build_pad(b, x, low, high, "constant", NULL);
    Value *padded = lt_build_pad(b, lt_input(transpose, 0), low, high, "constant", NULL);
    return lt_build_transpose(b, padded, perm);
}

static void clear_padding(Node *n) {
    const Dim *zeros[LT_MAX_RANK];
    uint32_t count = lt_attr(n, ATTR_PAD_LO)->count;
    for (uint32_t i = 0; i < count; i++)
        zeros[i] = lt_dim_const(&n->graph->module->dims, 0);
    lt_node_set_attr(n, lt_dims(ATTR_PAD_LO, zeros, count));
    lt_node_set_attr(n, lt_dims(ATTR_PAD_HI, zeros, count));
}

/* One output channel: nothing to pack. Along the last axis, a row of taps of all channels is one
 * run of memory, in the operand as in the filter: they become one axis, of one channel. */
static bool flatten_taps(PassContext *ctx, Builder *b, Node *n) {
    DimTable *t = &ctx->module->dims;
    Value *x = lt_input(n, 0), *w = lt_input(n, 1);
    const int rank = x->type->rank;
    const Dim *channels = x->type->dims[rank - 1], *of_x[LT_MAX_RANK], *of_w[LT_MAX_RANK];
    Attr strides = *lt_attr(n, ATTR_STRIDES);
    int64_t steps[LT_MAX_RANK];
    if (lt_dim_is(channels, 1) || !lt_dim_is_const(channels) ||
        lt_attr(n, ATTR_DILATIONS)->u.ints[rank - 3] != 1 || !all_ints(n, ATTR_INPUT_DILATION, 1) ||
        !all_dims(n, ATTR_PAD_LO, 0) || !all_dims(n, ATTR_PAD_HI, 0))
        return false;
    memcpy(of_x, x->type->dims, (size_t)rank * sizeof *of_x);
    memcpy(of_w, w->type->dims, (size_t)rank * sizeof *of_w);
    memcpy(steps, strides.u.ints, strides.count * sizeof *steps);
    of_x[rank - 2] = lt_dim_mul(t, of_x[rank - 2], channels);
    of_w[rank - 3] = lt_dim_mul(t, of_w[rank - 3], channels);
    of_x[rank - 1] = of_w[rank - 2] = lt_dim_const(t, 1);
    steps[rank - 3] *= channels->value;
    lt_node_set_input(n, 0, lt_build_reshape(b, x, rank, of_x));
    lt_node_set_input(n, 1, lt_build_reshape(b, w, rank, of_w));
    lt_node_set_attr(n, lt_ints(ATTR_STRIDES, steps, strides.count));
    return true;
}

static bool pack_convolution(PassContext *ctx, Node *n) {
    Value *w = lt_input(n, 1);
    int rank = w->type->rank;
    bool apart = lt_attr_int(n, ATTR_GROUPS, 1) != 1 || lt_attr_int(n, ATTR_PACKED, 0);
    if (apart || !is_packable(ctx, w->type->dtype))
        return false;
    if (is_pointwise(n)) {
        pack_contraction(ctx, pointwise_to_contraction(ctx, n));
        return true;
    }
    if (lt_target_is_gpu(ctx->target))
        return false;
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    bool spread = !all_ints(n, ATTR_INPUT_DILATION, 1);
    bool padded = !all_dims(n, ATTR_PAD_LO, 0) || !all_dims(n, ATTR_PAD_HI, 0);
    if (padded && !spread) {
        lt_node_set_input(n, 0, padded_input(ctx, &b, n));
        clear_padding(n);
    }
    if (lt_dim_is(w->type->dims[rank - 1], 1))
        return flatten_taps(ctx, &b, n) || (padded && !spread);
    const int width = panel_width(ctx, lt_output(n)->type->dtype, w->type->dims[rank - 1]);
    lt_node_set_attr(n, lt_int(ATTR_PACKED, width));
    lt_node_set_attr(n, lt_dims(ATTR_SIZE, &w->type->dims[rank - 1], 1));
    lt_node_set_input(n, 1, lt_build_pack(&b, w, &(PackShape){.axis = rank - 1, .width = width}));
    return true;
}

bool lt_pass_pack(PassContext *ctx) {
    bool changed = false;
    LT_EACH_NODE_SAFE(n, lt_pass_graph(ctx)) {
        if (n->op == OP_CONTRACT)
            changed |= pack_contraction(ctx, n);
        else if (n->op == OP_CONV)
            changed |= pack_convolution(ctx, n);
    }
    return changed;
}
