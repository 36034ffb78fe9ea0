/* narrow.c - products of quantized numbers as what they are: bytes.
 * Requires: types. Ensures: nothing new.
 *   %1 = convert %q {dtype = i32}; %2 = sub %1, %z; %3 = contract %2, %w {spec = "mk,kn->mn"}
 *   =>  %1 = contract %q, %v {spec = "mk,kn->mn", dtype = i32}; %3 = sub %1, z * sum over k of %w
 *
 * Readers write (x - zero) * (w - zero) in i32, and weights fold to i32. A GPU's tensor cores
 * multiply bytes, so zero points go out of the sum: sum (x - a) (w - b) is
 * sum x w - b sum x - a sum (w - b), where the sums of weights are constants. What a convolution
 * pads with is its operand's zero point then. A CPU's kernels multiply i32 as fast as bytes, and
 * stay as they are. */
#include <string.h>

#include "ir/build.h"
#include "ir/einsum.h"
#include "ir/match.h"
#include "passes/pass.h"

enum { MAX_VIEWS = 4, LEAST_I8 = -128, MOST_I8 = 127, MOST_U8 = 255 };

/* wide = views of (bytes - zero), or a constant that is bytes - zero. */
typedef struct Factor {
    Value *wide;
    Value *bytes; /* NULL: the constant */
    const Const *constant;
    const Node *views[MAX_VIEWS]; /* the last one first */
    int view_count;
    Value *zero; /* NULL: 0 */
    bool is_added;
    int64_t shift; /* the zero point of a constant */
} Factor;

/* --- reading ---------------------------------------------------------------------------------- */

static bool is_byte(DType dtype) { return dtype == DT_I8 || dtype == DT_U8; }

static bool has_zero(const Factor *f) { return f->zero || f->shift; }

static bool same_dims(const Type *a, const Type *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

static bool is_single(const Type *type) {
    for (int i = 0; i < type->rank; i++)
        if (!lt_dim_is(type->dims[i], 1))
            return false;
    return true;
}

static Value *bytes_below(const Value *v) {
    const Node *def = v->def;
    return def && def->op == OP_CONVERT && is_byte(lt_input(def, 0)->type->dtype) ? lt_input(def, 0)
                                                                                  : NULL;
}

static int64_t elements(const Const *c) {
    int64_t count = 1;
    for (int i = 0; i < c->type->rank && !c->is_splat; i++)
        count *= c->type->dims[i]->value;
    return count;
}

/* The numbers as i8 or u8, moved by `shift` where they do not fit as they are. */
static bool read_constant(Module *m, const Const *c, Factor *out) {
    const int64_t count = elements(c);
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (int64_t i = 0; i < count; i++) {
        const int64_t x = lt_const_get_int(c, i);
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    if (count == 0 || high - low > MOST_U8)
        return false;
    const bool is_signed = low >= LEAST_I8 && high <= MOST_I8;
    const bool is_unsigned = low >= 0 && high <= MOST_U8;
    out->shift = is_signed || is_unsigned ? 0 : LEAST_I8 - low;
    uint8_t *bytes = LT_ARRAY(m->arena, uint8_t, count);
    for (int64_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(lt_const_get_int(c, i) + out->shift);
    const DType dtype = !is_signed && is_unsigned ? DT_U8 : DT_I8;
    const Type *type = lt_type(m, dtype, c->type->rank, c->type->dims);
    out->constant = c->is_splat ? lt_const_splat(m, type, bytes) : lt_const(m, type, bytes);
    return true;
}

/* x - zero, or x + constant. */
static bool read_centered(const Value *v, Factor *out) {
    const Node *def = v->def;
    const ScalarFn fn = def->op == OP_MAP ? lt_node_fn(def) : FN_MUL;
    for (uint32_t side = 0; side < 2 && (fn == FN_SUB || fn == FN_ADD); side++) {
        Value *x = lt_input(def, side), *zero = lt_input(def, 1 - side);
        out->bytes =
            same_dims(x->type, v->type) && (side == 0 || fn == FN_ADD) ? bytes_below(x) : NULL;
        out->zero = zero;
        out->is_added = fn == FN_ADD;
        if (out->bytes)
            return true;
    }
    return false;
}

static bool read_factor(Module *m, Value *v, Factor *out) {
    *out = (Factor){.wide = v};
    if (lt_value_const(v))
        return read_constant(m, lt_value_const(v), out);
    while (v->def && (v->def->op == OP_TRANSPOSE || v->def->op == OP_RESHAPE)) {
        if (out->view_count == MAX_VIEWS)
            return false;
        out->views[out->view_count++] = v->def;
        v = lt_input(v->def, 0);
    }
    out->bytes = bytes_below(v);
    if (out->bytes)
        return true;
    return v->def && read_centered(v, out) && (out->view_count == 0 || is_single(out->zero->type));
}

/* --- building --------------------------------------------------------------------------------- */

static Value *bytes_of(Builder *b, const Factor *f) {
    Value *v = f->constant ? lt_build_const(b, f->constant) : f->bytes;
    for (int i = f->view_count - 1; i >= 0; i--) {
        const Type *type = lt_output(f->views[i])->type;
        v = f->views[i]->op == OP_RESHAPE
                ? lt_build_reshape(b, v, type->rank, type->dims)
                : lt_build_transpose(b, v, lt_attr(f->views[i], ATTR_PERM)->u.ints);
    }
    return v;
}

/* In i32; rank 0 where it is one number. */
static Value *zero_of(Builder *b, const Factor *f) {
    if (!f->zero)
        return lt_build_int(b, DT_I32, f->shift);
    Value *zero = f->zero;
    if (zero->type->rank > 0 && is_single(zero->type))
        zero = lt_build_reshape(b, zero, 0, NULL);
    return f->is_added ? lt_build_folded(b, lt_build_map1(b, FN_NEG, zero)) : zero;
}

/* The product of other operands, in i32. */
static Value *build_product(Builder *b, const Node *n, Value *x, Value *y) {
    Attr attrs[LT_ATTR_LIMIT];
    Value *operands[] = {x, y};
    memcpy(attrs, n->attrs, n->attr_count * sizeof *attrs);
    attrs[n->attr_count] = (Attr){.name = ATTR_DTYPE, .u.i = DT_I32};
    return lt_build(b, &(NodeSpec){.op = n->op,
                                   .inputs = operands,
                                   .input_count = 2,
                                   .attrs = attrs,
                                   .attr_count = n->attr_count + 1});
}

/* --- contractions ----------------------------------------------------------------------------- */

/* v, whose axes have these letters, as it broadcasts against the result. */
static Value *laid_out(Builder *b, const LtEinsum *e, Value *v, const char *letters) {
    const Dim *one = lt_dim_const(&b->graph->module->dims, 1), *shape[LT_MAX_RANK];
    int64_t perm[LT_MAX_RANK];
    int count = 0;
    bool moves = false;
    for (int i = 0; v && i < e->count[EINSUM_OUT]; i++) {
        const char *at = strchr(letters, e->letters[EINSUM_OUT][i]);
        shape[i] = at ? v->type->dims[at - letters] : one;
        if (!at)
            continue;
        moves |= at - letters != count;
        perm[count++] = at - letters;
    }
    if (moves)
        v = lt_build_transpose(b, v, perm);
    return lt_build_reshape(b, v, e->count[EINSUM_OUT], shape);
}

/* The sum of an operand along what the contraction folds. */
static Value *folded_sum(Builder *b, const LtEinsum *e, int tensor, Value *v) {
    char letters[LT_MAX_RANK + 1] = {0};
    int64_t axes[LT_MAX_RANK];
    int count = 0, kept = 0;
    for (int i = 0; i < e->count[tensor]; i++) {
        const char letter = e->letters[tensor][i];
        if (lt_einsum_axis(e, EINSUM_OUT, letter) < 0)
            axes[count++] = i;
        else
            letters[kept++] = letter;
    }
    return laid_out(b, e, lt_build_reduce(b, FN_ADD, v, axes, count, false), letters);
}

static Value *laid_zero(Builder *b, const LtEinsum *e, int tensor, const Factor *f) {
    Value *zero = zero_of(b, f);
    char letters[LT_MAX_RANK + 1] = {0};
    const Dim *dims[LT_MAX_RANK];
    int count = 0;
    for (int i = 0; zero && i < zero->type->rank; i++) {
        if (lt_dim_is(zero->type->dims[i], 1))
            continue;
        letters[count] = e->letters[tensor][e->count[tensor] - zero->type->rank + i];
        dims[count++] = zero->type->dims[i];
    }
    if (zero && count < zero->type->rank)
        zero = lt_build_reshape(b, zero, count, dims);
    return count ? laid_out(b, e, zero, letters) : zero;
}

/* Zero points are the same along the fold, and each term of it has both factors. */
static const char *check_contraction(const LtEinsum *e, const Factor *factors) {
    for (int tensor = EINSUM_A; tensor <= EINSUM_B; tensor++) {
        const Type *zero = factors[tensor].zero ? factors[tensor].zero->type : NULL;
        for (int i = 0; i < e->count[tensor]; i++) {
            const char letter = e->letters[tensor][i];
            const int axis = zero ? i - e->count[tensor] + zero->rank : -1;
            if (lt_einsum_axis(e, EINSUM_OUT, letter) >= 0)
                continue;
            if (axis >= 0 && !lt_dim_is(zero->dims[axis], 1))
                return "a zero point differs along the fold";
            if (lt_einsum_axis(e, !tensor, letter) < 0)
                return "an operand is added up on its own";
        }
    }
    return NULL;
}

static const char *narrow_contraction(Builder *b, const Node *n, const Factor *factors,
                                      Value **out) {
    LtEinsum e;
    lt_einsum_parse(&e, lt_attr_string(n, ATTR_SPEC, ""));
    const char *why = check_contraction(&e, factors);
    if (why)
        return why;
    Value *x = bytes_of(b, &factors[0]), *y = bytes_of(b, &factors[1]);
    Value *sum = build_product(b, n, x, y);
    if (has_zero(&factors[1])) {
        Value *rows = folded_sum(b, &e, EINSUM_A, lt_build_convert(b, x, DT_I32));
        Value *zero = laid_zero(b, &e, EINSUM_B, &factors[1]);
        sum = lt_build_map2(b, FN_SUB, sum, lt_build_map2(b, FN_MUL, rows, zero));
    }
    if (has_zero(&factors[0])) {
        Value *columns = folded_sum(b, &e, EINSUM_B, factors[1].wide);
        Value *zero = laid_zero(b, &e, EINSUM_A, &factors[0]);
        sum = lt_build_map2(b, FN_SUB, sum, lt_build_map2(b, FN_MUL, columns, zero));
    }
    *out = sum;
    return NULL;
}

/* --- convolutions ----------------------------------------------------------------------------- */

static bool is_padded(const Node *n) {
    const Attr *lo = lt_attr(n, ATTR_PAD_LO), *hi = lt_attr(n, ATTR_PAD_HI);
    for (uint32_t i = 0; i < lo->count; i++)
        if (!lt_dim_is(lo->u.dims[i], 0) || !lt_dim_is(hi->u.dims[i], 0))
            return true;
    return false;
}

/* The byte that stands for 0. */
static bool padding_byte(const Factor *x, int64_t *byte) {
    const Const *c = x->zero ? lt_value_const(x->zero) : NULL;
    if (x->zero && !c)
        return false;
    *byte = c ? lt_const_get_int(c, 0) : x->shift;
    *byte = x->is_added ? -*byte : *byte;
    const DType dtype = x->bytes ? x->bytes->type->dtype : x->constant->type->dtype;
    return dtype == DT_U8 ? *byte >= 0 && *byte <= MOST_U8 : *byte >= LEAST_I8 && *byte <= MOST_I8;
}

static const char *check_convolution(const Node *n, const Factor *factors, int64_t *byte) {
    const Attr *spread = lt_attr(n, ATTR_INPUT_DILATION);
    if (has_zero(&factors[1]))
        return "the weight has a zero point";
    if (factors[0].zero && !is_single(factors[0].zero->type))
        return "the operand has several zero points";
    for (uint32_t i = 0; has_zero(&factors[0]) && spread && i < spread->count; i++)
        if (spread->u.ints[i] != 1)
            return "between elements are zeros, which the zero point stands for";
    if (has_zero(&factors[0]) && is_padded(n) && !padding_byte(&factors[0], byte))
        return "the zero point that pads is not known";
    return NULL;
}

static Value *padded(Builder *b, const Node *n, Value *x, int64_t byte) {
    Module *m = b->graph->module;
    const Attr *lo = lt_attr(n, ATTR_PAD_LO), *hi = lt_attr(n, ATTR_PAD_HI);
    const Dim *low[LT_MAX_RANK], *high[LT_MAX_RANK];
    const int rank = x->type->rank;
    low[0] = high[0] = low[rank - 1] = high[rank - 1] = lt_dim_const(&m->dims, 0);
    for (int i = 1; i < rank - 1; i++) {
        low[i] = lo->u.dims[i - 1];
        high[i] = hi->u.dims[i - 1];
    }
    return lt_build_pad(b, x, low, high, "constant", lt_const_int(m, x->type->dtype, byte));
}

static void clear_padding(Node *n) {
    const Dim *zeros[LT_MAX_RANK];
    const uint32_t count = lt_attr(n, ATTR_PAD_LO)->count;
    for (uint32_t i = 0; i < count; i++)
        zeros[i] = lt_dim_const(&n->graph->module->dims, 0);
    lt_node_set_attr(n, lt_dims(ATTR_PAD_LO, zeros, count));
    lt_node_set_attr(n, lt_dims(ATTR_PAD_HI, zeros, count));
}

static const char *narrow_convolution(Builder *b, Node *n, const Factor *factors, Value **out) {
    int64_t byte = 0, axes[LT_MAX_RANK];
    const char *why = check_convolution(n, factors, &byte);
    if (why)
        return why;
    Value *x = bytes_of(b, &factors[0]), *filter = factors[1].wide;
    if (has_zero(&factors[0]) && is_padded(n)) {
        x = padded(b, n, x, byte);
        clear_padding(n);
    }
    Value *sum = build_product(b, n, x, bytes_of(b, &factors[1]));
    if (has_zero(&factors[0])) {
        for (int i = 0; i < filter->type->rank - 1; i++)
            axes[i] = i;
        Value *weights = lt_build_reduce(b, FN_ADD, filter, axes, filter->type->rank - 1, false);
        Value *moved = lt_build_map2(b, FN_MUL, weights, zero_of(b, &factors[0]));
        sum = lt_build_map2(b, FN_SUB, sum, moved);
    }
    *out = sum;
    return NULL;
}

/* --- the pass --------------------------------------------------------------------------------- */

static bool narrow_product(Module *m, Node *n) {
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    Factor factors[2];
    Value *product = NULL;
    const char *why = NULL;
    for (uint32_t i = 0; i < 2 && !why; i++)
        if (!read_factor(m, lt_input(n, i), &factors[i]))
            why = "an operand is not made of bytes";
    if (!why)
        why = n->op == OP_CONV ? narrow_convolution(&b, n, factors, &product)
                               : narrow_contraction(&b, n, factors, &product);
    if (why || !product) {
        lt_remark(&m->diags, n->loc, "narrow: products stay in i32: %s", why ? why : "no types");
        return false;
    }
    lt_remark(&m->diags, n->loc, "narrow: products of bytes%s",
              has_zero(&factors[0]) || has_zero(&factors[1])
                  ? ", with zero points taken out of the sum"
                  : "");
    lt_replace(lt_output(n), product);
    lt_node_remove(n);
    return true;
}

bool lt_pass_narrow(PassContext *ctx) {
    bool changed = false;
    if (!lt_target_is_gpu(ctx->target))
        return false;
    LT_EACH_NODE_SAFE(n, lt_pass_graph(ctx))
    if ((n->op == OP_CONTRACT || n->op == OP_CONV) && lt_input(n, 0)->type->dtype == DT_I32 &&
        lt_input(n, 1)->type->dtype == DT_I32 && !lt_attr(n, ATTR_DTYPE))
        changed |= narrow_product(ctx->module, n);
    return changed;
}
