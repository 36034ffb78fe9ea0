/* eval_product.c - evaluates sums of products: contract and conv, plain and packed.
 *
 * Operands are widened and brought into one order, in which the innermost loop runs along adjacent
 * output columns; sums are kept in double or int64_t. */
#include <string.h>

#include "ir/einsum.h"
#include "ir/eval_ops.h"

/* sums[i] += x[i * step] * y[i] */
typedef struct Products {
    int64_t n, step;
    bool is_float;
} Products;

static void add_products(Products p, Wide *restrict sums, const Wide *restrict x,
                         const Wide *restrict y) {
    if (p.is_float && p.step == 0) {
        const double factor = x->f;
        for (int64_t i = 0; i < p.n; i++)
            sums[i].f += factor * y[i].f;
    } else if (p.is_float) {
        for (int64_t i = 0; i < p.n; i++)
            sums[i].f += x[i * p.step].f * y[i].f;
    } else {
        for (int64_t i = 0; i < p.n; i++)
            sums[i].i =
                (int64_t)((uint64_t)sums[i].i + (uint64_t)x[i * p.step].i * (uint64_t)y[i].i);
    }
}

/* --- packed operands -----------------------------------------------------------------------------
 */

/* [before..., blocks, middle..., p] as [before..., middle..., blocks * p]. `before` axes precede
 * the blocks. */
static Tensor *unpack(Arena *arena, const Tensor *in, int before) {
    const int rank = in->rank - 1;
    const int64_t blocks = in->dims[before], width = in->dims[rank];
    const int64_t size = (int64_t)lt_dtype_size(in->dtype);
    int64_t dims[LT_MAX_RANK], strides[LT_MAX_RANK];
    for (int i = 0; i < rank - 1; i++)
        dims[i] = in->dims[i < before ? i : i + 1];
    dims[rank - 1] = blocks * width;
    Tensor *out = lt_tensor_new(arena, in->dtype, rank, dims);
    lt_dense_strides(rank, dims, strides);
    StridedCopy copy = {.rank = in->rank, .size = (size_t)size, .to = out->data, .from = in->data};
    lt_dense_strides(in->rank, in->dims, copy.from_stride);
    for (int i = 0; i < in->rank; i++) {
        copy.extent[i] = in->dims[i];
        copy.from_stride[i] *= size;
        copy.to_stride[i] = size * (i < before ? strides[i] : i > before ? strides[i - 1] : width);
    }
    lt_strided_copy(copy);
    return out;
}

/* The elements as they are multiplied. */
static const Wide *widen_factor(Arena *arena, const Node *node, const Tensor *in) {
    Wide *wide = lt_tensor_widen(arena, in);
    const Attr *fn = lt_attr(node, ATTR_FN);
    for (int64_t i = 0, n = fn ? lt_tensor_elements(in) : 0; i < n; i++)
        wide[i].f = lt_scalar_eval_float((ScalarFn)fn->u.i, wide[i].f, 0, 0);
    return wide;
}

/* --- contract ------------------------------------------------------------------------------------
 */

/* The loops of a contraction: result letters, then summed letters; strides of the operands along
 * each. */
typedef struct Contraction {
    int out_rank, rank;
    char letters[2 * LT_MAX_RANK + 1];
    int64_t extent[2 * LT_MAX_RANK], stride[2][2 * LT_MAX_RANK];
    const Wide *data[2];
    bool is_float;
    const Node *node;
} Contraction;

static void add_letters(Contraction *c, const char *letters) {
    for (; *letters; letters++) {
        if (!strchr(c->letters, *letters))
            c->letters[c->rank++] = *letters;
    }
}

/* Widens an operand whose axes are `letters` and orders them as the loops run, but the columns
 * last. */
static void add_operand(Contraction *c, Arena *arena, int which, const Tensor *in,
                        const char *letters) {
    const char column = c->out_rank ? c->letters[c->out_rank - 1] : '\0';
    int64_t dense[LT_MAX_RANK];
    StridedCopy copy = {.rank = 0, .size = sizeof(Wide)};
    int loop_of[LT_MAX_RANK];
    lt_dense_strides(in->rank, in->dims, dense);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < c->rank; i++) {
            const char *found = strchr(letters, c->letters[i]);
            if (!found || (c->letters[i] == column) != (pass == 1))
                continue;
            copy.extent[copy.rank] = in->dims[found - letters];
            copy.from_stride[copy.rank] = dense[found - letters] * (int64_t)sizeof(Wide);
            c->extent[i] = copy.extent[copy.rank];
            loop_of[copy.rank++] = i;
        }
    }
    const int64_t count = lt_tensor_elements(in);
    lt_dense_strides(copy.rank, copy.extent, copy.to_stride);
    for (int i = 0; i < copy.rank; i++) {
        c->stride[which][loop_of[i]] = copy.to_stride[i];
        copy.to_stride[i] *= (int64_t)sizeof(Wide);
    }
    copy.from = (const char *)widen_factor(arena, c->node, in);
    copy.to = lt_arena_array(arena, (size_t)count, sizeof(Wide));
    c->data[which] = (const Wide *)copy.to;
    lt_strided_copy(copy);
}

/* Sums a row of results along the columns, for one index of the other result letters. */
static void contract_row(const Contraction *c, const int64_t *index, Wide *sums, int64_t n) {
    const int column = c->out_rank - 1, summed = c->rank - c->out_rank;
    const Products products = {n, column >= 0 ? c->stride[0][column] : 0, c->is_float};
    int64_t k[LT_MAX_RANK * 2] = {0}, start[2] = {0};
    memset(sums, 0, sizeof(Wide) * (size_t)n);
    for (int which = 0; which < 2; which++) {
        for (int i = 0; i < column; i++)
            start[which] += index[i] * c->stride[which][i];
    }
    if (lt_count(summed, c->extent + c->out_rank) == 0)
        return;
    do {
        int64_t at[2] = {start[0], start[1]};
        for (int which = 0; which < 2; which++) {
            for (int i = 0; i < summed; i++)
                at[which] += k[i] * c->stride[which][c->out_rank + i];
        }
        add_products(products, sums, c->data[0] + at[0], c->data[1] + at[1]);
    } while (lt_next_index(summed, c->extent + c->out_rank, k));
}

bool lt_eval_CONTRACT(Evaluation *ev, const Node *node) {
    const Tensor *x = eval_input(ev, node, 0), *y = eval_input(ev, node, 1);
    Tensor *out = lt_eval_output(ev, node, 0);
    LtEinsum e;
    char y_letters[LT_MAX_RANK + 1];
    const char *error = lt_einsum_parse(&e, lt_attr_string(node, ATTR_SPEC, ""));
    if (error)
        return lt_eval_fail(ev, node, "the spec %s", error);
    memcpy(y_letters, e.letters[EINSUM_B], sizeof y_letters);
    const char column = lt_einsum_column(&e);
    if (lt_attr_int(node, ATTR_PACKED, 0)) {
        lt_einsum_packed_letters(&e, y_letters);
        char *at = strchr(y_letters, column);
        y = unpack(ev->scratch, y, (int)(at - y_letters));
        memmove(at, at + 1, strlen(at)); /* the columns are the last axis now */
        y_letters[strlen(y_letters)] = column;
        y_letters[e.count[EINSUM_B]] = '\0';
    }
    Contraction c = {.out_rank = e.count[EINSUM_OUT],
                     .is_float = lt_dtype_is_float(out->dtype),
                     .node = node};
    add_letters(&c, e.letters[EINSUM_OUT]);
    add_letters(&c, e.letters[EINSUM_A]);
    add_letters(&c, e.letters[EINSUM_B]);
    /* The second operand is walked along the columns: it is the one that has them. */
    const bool swap = column && !strchr(y_letters, column);
    add_operand(&c, ev->scratch, swap, x, e.letters[EINSUM_A]);
    add_operand(&c, ev->scratch, !swap, y, y_letters);
    int64_t index[LT_MAX_RANK] = {0};
    const int64_t n = out->rank ? out->dims[out->rank - 1] : 1;
    Wide *sums = LT_ARRAY(ev->scratch, Wide, n);
    for (int64_t at = 0; at < lt_tensor_elements(out); at += n) {
        contract_row(&c, index, sums, n);
        lt_tensor_store_row(out, (Row){at, 1, n}, sums);
        lt_next_index(out->rank ? out->rank - 1 : 0, out->dims, index);
    }
    return true;
}

/* --- conv ----------------------------------------------------------------------------------------
 */

enum { CONV_SPATIAL = LT_MAX_RANK - 2 };

typedef struct Convolution {
    int spatial;
    int64_t groups, channels, filters; /* per group */
    int64_t columns;                   /* of the unpacked filter, its zero padding included */
    int64_t extent[CONV_SPATIAL], kernel[CONV_SPATIAL], low[CONV_SPATIAL], spread[CONV_SPATIAL];
    const int64_t *stride, *dilation;
    const Wide *x, *filter;
    bool is_float;
} Convolution;

/* The input position under a kernel tap, as a row of channels of one image; -1 between elements or
 * outside. */
static int64_t conv_position(const Convolution *c, const int64_t *index, const int64_t *tap) {
    int64_t position = 0;
    for (int i = 0; i < c->spatial; i++) {
        const int64_t at = index[i] * c->stride[i] - c->low[i] + tap[i] * c->dilation[i];
        if (at < 0 || at % c->spread[i] != 0 || at / c->spread[i] >= c->extent[i])
            return -1;
        position = position * c->extent[i] + at / c->spread[i];
    }
    return position;
}

/* Adds what one tap contributes: x is a row of channels, filter [channels, columns]. */
static void conv_tap(const Convolution *c, const Wide *x, const Wide *filter, Wide *sums) {
    if (c->channels == 1 && c->filters == 1) { /* depthwise */
        add_products((Products){c->groups, 1, c->is_float}, sums, x, filter);
        return;
    }
    const Products products = {c->filters, 0, c->is_float};
    for (int64_t g = 0; g < c->groups; g++) {
        for (int64_t k = 0; k < c->channels; k++)
            add_products(products, sums + g * c->filters, x + g * c->channels + k,
                         filter + k * c->columns + g * c->filters);
    }
}

static void conv_row(const Convolution *c, const Wide *image, const int64_t *index, Wide *sums) {
    int64_t tap[CONV_SPATIAL] = {0};
    const Wide *filter = c->filter;
    memset(sums, 0, sizeof(Wide) * (size_t)(c->groups * c->filters));
    do {
        const int64_t position = conv_position(c, index, tap);
        if (position >= 0)
            conv_tap(c, image + position * c->groups * c->channels, filter, sums);
        filter += c->channels * c->columns;
    } while (lt_next_index(c->spatial, c->kernel, tap));
}

static Convolution read_conv(const Evaluation *ev, const Node *node, const Tensor *x,
                             const Tensor *filter) {
    Convolution c = {.spatial = x->rank - 2,
                     .groups = lt_attr_int(node, ATTR_GROUPS, 1),
                     .columns = filter->dims[x->rank - 1],
                     .channels = filter->dims[x->rank - 2],
                     .stride = eval_ints(node, ATTR_STRIDES),
                     .dilation = eval_ints(node, ATTR_DILATIONS),
                     .x = widen_factor(ev->scratch, node, x),
                     .filter = widen_factor(ev->scratch, node, filter),
                     .is_float = lt_dtype_is_float(x->dtype)};
    const int64_t *spread = eval_ints(node, ATTR_INPUT_DILATION);
    lt_eval_dims(ev, node, ATTR_PAD_LO, c.low);
    for (int i = 0; i < c.spatial; i++) {
        c.extent[i] = x->dims[i + 1];
        c.kernel[i] = filter->dims[i];
        c.spread[i] = spread ? spread[i] : 1;
    }
    return c;
}

bool lt_eval_CONV(Evaluation *ev, const Node *node) {
    const Tensor *x = eval_input(ev, node, 0), *filter = eval_input(ev, node, 1);
    Tensor *out = lt_eval_output(ev, node, 0);
    if (lt_attr_int(node, ATTR_PACKED, 0))
        filter = unpack(ev->scratch, filter, 0);
    Convolution c = read_conv(ev, node, x, filter);
    const int64_t filters = out->dims[out->rank - 1];
    const int64_t image = lt_count(c.spatial + 1, x->dims + 1);
    c.filters = filters / c.groups;
    Wide *sums = LT_ARRAY(ev->scratch, Wide, filters);
    int64_t index[LT_MAX_RANK] = {0};
    for (int64_t at = 0; at < lt_tensor_elements(out); at += filters) {
        conv_row(&c, c.x + index[0] * image, index + 1, sums);
        lt_tensor_store_row(out, (Row){at, 1, filters}, sums);
        lt_next_index(out->rank - 1, out->dims, index);
    }
    return true;
}
