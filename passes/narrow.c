/* narrow.c - products of quantized numbers as what they are: bytes.
 * Requires: types. Ensures: nothing new.
 *   %1 = convert %q {dtype = i32}; %2 = sub %1, %z; %3 = contract %2, %w {spec = "mk,kn->mn"}
 *   =>  %1 = contract %q, %v {spec = "mk,kn->mn", dtype = i32}; %3 = sub %1, z * sum over k of %w
 *
 * Readers write (x - zero) * (w - zero) in i32, and weights fold to i32; or they write both with
 * their scales in f32. A GPU's tensor cores multiply bytes, so scales and zero points go out of the
 * sum: sum (x - a) (w - b) is sum x w - b sum x - a sum (w - b), where the sums of weights are
 * constants. What a convolution pads with is its operand's zero point then. A CPU's kernels
 * multiply i32 and f32 as fast as bytes, and stay as they are. */
#include <string.h>

#include "ir/build.h"
#include "ir/einsum.h"
#include "ir/match.h"
#include "passes/pass.h"

enum {
    MAX_VIEWS = 4,
    LEAST_I8 = -128,
    MOST_I8 = 127,
    MOST_U8 = 255,
    MOST_TERMS = INT32_MAX / (MOST_U8 * MOST_U8) /* that add up in i32 for sure */
};

/* The operand is views of scale * (bytes - zero), or a constant that is bytes - shift. */
typedef struct Factor {
    Value *bytes; /* NULL: the constant */
    const Const *constant;
    int64_t shift;
    Value *wide;                  /* bytes - zero in i32; NULL: there is no such value */
    Value *zero;                  /* NULL: 0 */
    Value *scale;                 /* NULL: 1 */
    bool is_added;                /* the zero, not subtracted */
    const Node *views[MAX_VIEWS]; /* the last one first */
    int view_count;
} Factor;

/* --- reading ---------------------------------------------------------------------------------- */

static bool has_zero(const Factor *f) { return f->zero || f->shift; }

static bool is_single(const Type *type) {
    for (int i = 0; i < type->rank; i++)
        if (!lt_dim_is(type->dims[i], 1))
            return false;
    return true;
}

static Value *converted(const Value *v) {
    return v->def && v->def->op == OP_CONVERT ? lt_input(v->def, 0) : NULL;
}

static Value *bytes_below(const Value *v) {
    Value *from = converted(v);
    return from && lt_dtype_is_byte(from->type->dtype) ? from : NULL;
}

static int64_t elements(const Const *c) {
    int64_t count = 1;
    for (int i = 0; i < c->type->rank && !c->is_splat; i++)
        count *= c->type->dims[i]->value;
    return count;
}

/* The numbers as i8 or u8, moved by `shift` where they do not fit as they are. */
static bool read_constant(Module *m, Value *v, Factor *out) {
    const Const *c = lt_value_const(v);
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
    out->wide = v;
    out->shift = is_signed || is_unsigned ? 0 : LEAST_I8 - low;
    uint8_t *bytes = LT_ARRAY(m->arena, uint8_t, count);
    for (int64_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(lt_const_get_int(c, i) + out->shift);
    const DType dtype = !is_signed && is_unsigned ? DT_U8 : DT_I8;
    const Type *type = lt_type(m, dtype, c->type->rank, c->type->dims);
    out->constant = c->is_splat ? lt_const_splat(m, type, bytes) : lt_const(m, type, bytes);
    return true;
}

/* The operand of a binary map that is not `side`, where that one has the result's dims. */
static Value *other_operand(const Value *v, ScalarFn fn, uint32_t side) {
    const Node *def = v->def;
    const bool is_map = def && def->op == OP_MAP && lt_node_fn(def) == fn;
    return is_map && lt_type_same_dims(lt_input(def, side)->type, v->type) ? lt_input(def, 1 - side)
                                                                           : NULL;
}

/* Bytes, bytes - zero, or bytes + constant, in i32. */
static bool read_integers(Value *v, Factor *out) {
    out->wide = v;
    out->bytes = bytes_below(v);
    for (uint32_t side = 0; side < 2 && !out->bytes; side++) {
        Value *minus = side == 0 ? other_operand(v, FN_SUB, side) : NULL;
        Value *plus = other_operand(v, FN_ADD, side);
        out->zero = minus ? minus : plus;
        out->is_added = plus != NULL;
        out->bytes = out->zero ? bytes_below(lt_input(v->def, side)) : NULL;
    }
    return out->bytes != NULL;
}

/* The same in f32, perhaps times a scale. */
static bool read_floats(Value *v, Factor *out) {
    Value *of_bytes = converted(v);
    for (uint32_t side = 0; side < 2 && !of_bytes; side++) {
        out->scale = other_operand(v, FN_MUL, side);
        of_bytes = out->scale ? converted(lt_input(v->def, side)) : NULL;
    }
    if (!of_bytes)
        return false;
    if (!lt_dtype_is_byte(of_bytes->type->dtype))
        return of_bytes->type->dtype == DT_I32 && read_integers(of_bytes, out);
    out->bytes = of_bytes;
    return true;
}

static bool read_factor(Module *m, Value *v, Factor *out) {
    const bool is_float = v->type->dtype == DT_F32;
    *out = (Factor){.bytes = NULL};
    if (lt_value_const(v))
        return !is_float && read_constant(m, v, out);
    while (v->def && (v->def->op == OP_TRANSPOSE || v->def->op == OP_RESHAPE)) {
        if (out->view_count == MAX_VIEWS)
            return false;
        out->views[out->view_count++] = v->def;
        v = lt_input(v->def, 0);
    }
    return is_float ? read_floats(v, out) : read_integers(v, out);
}

/* --- building --------------------------------------------------------------------------------- */

/* What is as large as the bytes, as the operand has it. */
static Value *viewed(Builder *b, const Factor *f, Value *v) {
    for (int i = f->view_count - 1; i >= 0; i--) {
        const Type *type = lt_output(f->views[i])->type;
        v = f->views[i]->op == OP_RESHAPE
                ? lt_build_reshape(b, v, type->rank, type->dims)
                : lt_build_transpose(b, v, lt_attr(f->views[i], ATTR_PERM)->u.ints);
        v = lt_build_folded(b, v);
    }
    return v;
}

/* A scale or a zero point as it broadcasts against the operand: rank 0 where it is one number.
 * False: a view mixes its axes with others. */
static bool view_parameter(Builder *b, const Factor *f, Value **v) {
    if (*v && is_single((*v)->type)) {
        *v = (*v)->type->rank ? lt_build_reshape(b, *v, 0, NULL) : *v;
        return true;
    }
    for (int i = f->view_count - 1; i >= 0 && *v; i--) {
        const Attr *perm = lt_attr(f->views[i], ATTR_PERM);
        if (f->views[i]->op != OP_TRANSPOSE || (*v)->type->rank != (int)perm->count)
            return false;
        *v = lt_build_transpose(b, *v, perm->u.ints);
    }
    return true;
}

/* Brings zero points and scales into the order of the operand's axes. */
static bool view_parameters(Builder *b, Factor *f) {
    if (f->zero && f->is_added)
        f->zero = lt_build_folded(b, lt_build_map1(b, FN_NEG, f->zero));
    return view_parameter(b, f, &f->zero) && view_parameter(b, f, &f->scale);
}

static Value *bytes_of(Builder *b, const Factor *f) {
    return f->constant ? lt_build_const(b, f->constant) : viewed(b, f, f->bytes);
}

/* bytes - zero; made of constants, a constant. */
static Value *wide_of(Builder *b, const Factor *f) {
    if (f->wide && !(f->bytes && lt_value_const(f->bytes)))
        return viewed(b, f, f->wide);
    Value *wide = lt_build_folded(b, lt_build_convert(b, bytes_of(b, f), DT_I32));
    return f->zero ? lt_build_folded(b, lt_build_map2(b, FN_SUB, wide, f->zero)) : wide;
}

static Value *zero_of(Builder *b, const Factor *f) {
    return f->zero ? f->zero : lt_build_int(b, DT_I32, f->shift);
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

/* The sum in f32, times both scales. */
static Value *scaled(Builder *b, Value *sum, Value *x_scale, Value *y_scale) {
    Value *scale = x_scale && y_scale
                       ? lt_build_folded(b, lt_build_map2(b, FN_MUL, x_scale, y_scale))
                   : x_scale ? x_scale
                             : y_scale;
    Value *wide = lt_build_convert(b, sum, DT_F32);
    return scale ? lt_build_map2(b, FN_MUL, wide, scale) : wide;
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

/* A zero point or a scale of an operand, as it broadcasts against the result. */
static Value *laid_parameter(Builder *b, const LtEinsum *e, int tensor, Value *v) {
    char letters[LT_MAX_RANK + 1] = {0};
    const Dim *dims[LT_MAX_RANK];
    int count = 0;
    for (int i = 0; v && i < v->type->rank; i++) {
        if (lt_dim_is(v->type->dims[i], 1))
            continue;
        letters[count] = e->letters[tensor][e->count[tensor] - v->type->rank + i];
        dims[count++] = v->type->dims[i];
    }
    if (v && count < v->type->rank)
        v = lt_build_reshape(b, v, count, dims);
    return count ? lt_build_folded(b, laid_out(b, e, v, letters)) : v;
}

static bool differs_along(const LtEinsum *e, int tensor, const Value *v, int axis) {
    const int at = v ? axis - e->count[tensor] + v->type->rank : -1;
    return at >= 0 && !lt_dim_is(v->type->dims[at], 1);
}

/* Zero points and scales are the same along the fold, and each term of it has both factors. */
static const char *check_contraction(const Node *n, const LtEinsum *e, const Factor *factors) {
    int64_t terms = 1;
    for (int tensor = EINSUM_A; tensor <= EINSUM_B; tensor++) {
        for (int i = 0; i < e->count[tensor]; i++) {
            const Dim *extent = lt_input(n, (uint32_t)tensor)->type->dims[i];
            if (lt_einsum_axis(e, EINSUM_OUT, e->letters[tensor][i]) >= 0)
                continue;
            if (differs_along(e, tensor, factors[tensor].zero, i) ||
                differs_along(e, tensor, factors[tensor].scale, i))
                return "a zero point or a scale differs along the fold";
            if (lt_einsum_axis(e, !tensor, e->letters[tensor][i]) < 0)
                return "an operand is added up on its own";
            if (tensor == EINSUM_A)
                terms = !lt_dim_is_const(extent) || extent->value > MOST_TERMS
                            ? MOST_TERMS + 1
                            : terms * (extent->value ? extent->value : 1);
        }
    }
    return lt_output(n)->type->dtype == DT_F32 && terms > MOST_TERMS ? "the sum may not fit i32"
                                                                     : NULL;
}

static const char *narrow_contraction(Builder *b, Node *n, const Factor *factors, Value **out) {
    LtEinsum e;
    lt_einsum_parse(&e, lt_attr_string(n, ATTR_SPEC, ""));
    const char *why = check_contraction(n, &e, factors);
    if (why)
        return why;
    Value *x = bytes_of(b, &factors[0]), *y = bytes_of(b, &factors[1]);
    Value *sum = build_product(b, n, x, y);
    if (has_zero(&factors[1])) {
        Value *rows = folded_sum(b, &e, EINSUM_A, lt_build_convert(b, x, DT_I32));
        Value *zero = laid_parameter(b, &e, EINSUM_B, zero_of(b, &factors[1]));
        sum = lt_build_map2(b, FN_SUB, sum, lt_build_map2(b, FN_MUL, rows, zero));
    }
    if (has_zero(&factors[0])) {
        Value *columns = folded_sum(b, &e, EINSUM_B, wide_of(b, &factors[1]));
        Value *zero = laid_parameter(b, &e, EINSUM_A, zero_of(b, &factors[0]));
        sum = lt_build_map2(b, FN_SUB, sum, lt_build_map2(b, FN_MUL, columns, zero));
    }
    if (lt_output(n)->type->dtype == DT_F32)
        sum = scaled(b, sum, laid_parameter(b, &e, EINSUM_A, factors[0].scale),
                     laid_parameter(b, &e, EINSUM_B, factors[1].scale));
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
    const DType dtype = x->bytes ? x->bytes->type->dtype : x->constant->type->dtype;
    if (x->zero && !c)
        return false;
    *byte = c ? lt_const_get_int(c, 0) : x->shift;
    return dtype == DT_U8 ? *byte >= 0 && *byte <= MOST_U8 : *byte >= LEAST_I8 && *byte <= MOST_I8;
}

/* One number for each output, which is the last axis. */
static bool is_of_outputs(const Value *v) {
    for (int i = 0; v && i < v->type->rank - 1; i++)
        if (!lt_dim_is(v->type->dims[i], 1))
            return false;
    return true;
}

static const char *check_convolution(const Node *n, const Factor *factors, int64_t *byte) {
    const Attr *spread = lt_attr(n, ATTR_INPUT_DILATION);
    const Factor *x = &factors[0], *filter = &factors[1];
    if (has_zero(filter))
        return "the weight has a zero point";
    if ((x->zero && x->zero->type->rank) || (x->scale && x->scale->type->rank))
        return "the operand has several zero points or scales";
    if (!is_of_outputs(filter->scale))
        return "the weight has scales within an output";
    for (uint32_t i = 0; has_zero(x) && spread && i < spread->count; i++)
        if (spread->u.ints[i] != 1)
            return "between elements are zeros, which the zero point stands for";
    if (has_zero(x) && is_padded(n) && !padding_byte(x, byte))
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

/* A scale of outputs as a vector; one number as it is. */
static Value *scale_of_outputs(Builder *b, Value *v) {
    const int rank = v ? v->type->rank : 0;
    return rank > 1 ? lt_build_folded(b, lt_build_reshape(b, v, 1, v->type->dims + rank - 1)) : v;
}

static const char *narrow_convolution(Builder *b, Node *n, const Factor *factors, Value **out) {
    int64_t byte = 0, axes[LT_MAX_RANK];
    const char *why = check_convolution(n, factors, &byte);
    if (why)
        return why;
    Value *x = bytes_of(b, &factors[0]);
    if (has_zero(&factors[0]) && is_padded(n)) {
        x = padded(b, n, x, byte);
        clear_padding(n);
    }
    Value *sum = build_product(b, n, x, bytes_of(b, &factors[1]));
    if (has_zero(&factors[0])) {
        Value *filter = wide_of(b, &factors[1]);
        for (int i = 0; i < filter->type->rank - 1; i++)
            axes[i] = i;
        Value *weights = lt_build_reduce(b, FN_ADD, filter, axes, filter->type->rank - 1, false);
        Value *moved = lt_build_map2(b, FN_MUL, weights, zero_of(b, &factors[0]));
        sum = lt_build_map2(b, FN_SUB, sum, moved);
    }
    if (lt_output(n)->type->dtype == DT_F32)
        sum = scaled(b, sum, factors[0].scale, scale_of_outputs(b, factors[1].scale));
    *out = sum;
    return NULL;
}

/* --- the pass --------------------------------------------------------------------------------- */

/* Products of f32 are mostly of f32: no remark. */
static bool narrow_product(Module *m, Node *n) {
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    Factor factors[2];
    Value *product = NULL;
    const char *why = NULL;
    for (uint32_t i = 0; i < 2; i++) {
        if (!read_factor(m, lt_input(n, i), &factors[i])) {
            if (lt_output(n)->type->dtype == DT_I32)
                lt_remark(&m->diags, n->loc,
                          "narrow: products stay in i32: an operand is not made of bytes");
            return false;
        }
    }
    for (uint32_t i = 0; i < 2 && !why; i++)
        if (!view_parameters(&b, &factors[i]))
            why = "a view mixes the axes of zero points or scales with others";
    if (!why)
        why = n->op == OP_CONV ? narrow_convolution(&b, n, factors, &product)
                               : narrow_contraction(&b, n, factors, &product);
    if (product) {
        lt_remark(&m->diags, n->loc, "narrow: products of bytes%s",
                  has_zero(&factors[0]) || has_zero(&factors[1])
                      ? ", with zero points taken out of the sum"
                      : "");
        lt_replace(lt_output(n), product);
        lt_node_remove(n);
    } else if (why) {
        lt_remark(&m->diags, n->loc, "narrow: products stay in %s: %s",
                  lt_dtype_name(lt_output(n)->type->dtype), why);
    }
    return true;
}

static bool is_product(const Node *n) {
    if ((n->op != OP_CONTRACT && n->op != OP_CONV) || lt_attr(n, ATTR_DTYPE) || lt_attr(n, ATTR_FN))
        return false;
    const DType dtype = lt_output(n)->type->dtype;
    return dtype == DT_I32 || dtype == DT_F32;
}

bool lt_pass_narrow(PassContext *ctx) {
    bool changed = false;
    if (!lt_target_is_gpu(ctx->target))
        return false;
    LT_EACH_NODE_SAFE(n, lt_pass_graph(ctx))
    if (is_product(n))
        changed |= narrow_product(ctx->module, n);
    return changed;
}
