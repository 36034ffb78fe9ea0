/* lower_conv.c - convolutions, channels last: [n, x..., c] * [k..., c / groups, o] -> [n, y..., o].
 *
 * A kernel of one tap that moves by one is a contraction of positions with channels and is lowered
 * as one. With one channel a group (depthwise) there is no loop over channels: o alone says which
 * one is read. */
#include "passes/lower_internal.h"

typedef struct Convolution {
    const Node *node;
    int spatial;
    int64_t groups, width;    /* width: of packed columns, 0: plain */
    const Dim *const *kernel; /* extents of the taps */
    const Dim *channels;      /* of a group, as all below */
    const Dim *outputs;
    bool is_depthwise, is_pointwise, is_single; /* single: of one channel, to one channel */
    LoopNest outer, inner;
    const Dim *tap[LT_MAX_RANK];
    const Dim *index[LT_MAX_RANK]; /* in the result */
    At x, filter;
    const Expr *condition;
} Convolution;

static int64_t int_at(const Convolution *c, AttrName name, int i) {
    const Attr *attr = lt_attr(c->node, name);
    return attr ? attr->u.ints[i] : 1;
}

static Convolution read_conv(Lowering *lo) {
    const Node *node = lo->anchor;
    const Type *filter = lt_input(node, 1)->type, *out = lt_output(node)->type;
    Convolution c = {.node = node,
                     .spatial = out->rank - 2,
                     .groups = lt_attr_int(node, ATTR_GROUPS, 1),
                     .width = lt_attr_int(node, ATTR_PACKED, 0)};
    c.kernel = filter->dims + (c.width ? 1 : 0);
    c.channels = lower_dim(lo, c.kernel[c.spatial]);
    c.outputs = lower_dim(lo, out->dims[c.spatial + 1]);
    c.is_depthwise = c.groups > 1 && lt_dim_is(c.channels, 1);
    c.is_single = c.groups == 1 && lt_dim_is(c.channels, 1) && lt_dim_is(c.outputs, 1);
    c.is_pointwise = c.groups == 1;
    for (int i = 0; i < c.spatial; i++) {
        c.is_pointwise = c.is_pointwise && lt_dim_is(c.kernel[i], 1) &&
                         int_at(&c, ATTR_STRIDES, i) == 1 &&
                         int_at(&c, ATTR_INPUT_DILATION, i) == 1 &&
                         lt_dim_is(lt_attr(node, ATTR_PAD_LO)->u.dims[i], 0) &&
                         lt_dim_is(lt_attr(node, ATTR_PAD_HI)->u.dims[i], 0);
    }
    return c;
}

/* Positions of the result, then its channels: index[spatial + 1] and, with groups, which group that
 * is. */
static const Dim *add_outer(Lowering *lo, Convolution *c) {
    const Type *out = lt_output(c->node)->type;
    DimTable *t = lower_table(lo);
    for (int i = 0; i <= c->spatial; i++) {
        const Dim *extent = lower_dim(lo, out->dims[i]);
        c->index[i] = c->is_pointwise ? lt_lower_loop(lo, &c->outer, "m#", extent)
                                      : lt_lower_full_loop(lo, &c->outer, i ? "y#" : "b", extent);
    }
    const Dim **o = &c->index[c->spatial + 1];
    const Dim *per_group = lt_dim_floordiv(t, c->outputs, lower_number(lo, c->groups));
    if (c->groups == 1 || c->is_depthwise) {
        *o = c->is_pointwise ? lt_lower_loop(lo, &c->outer, "n#", c->outputs)
             : c->is_single  ? lower_number(lo, 0)
                             : lt_lower_full_loop(lo, &c->outer, "o", c->outputs);
        return c->groups == 1 ? lower_number(lo, 0) : lt_dim_floordiv(t, *o, per_group);
    }
    const Dim *group = lt_lower_full_loop(lo, &c->outer, "g", lower_number(lo, c->groups));
    const Dim *within = lt_lower_full_loop(lo, &c->outer, "o", per_group);
    *o = lt_dim_add(t, lt_dim_mul(t, group, per_group), within);
    return group;
}

/* Spatial axis i: where the tap reads, and under which condition. */
static void add_tap(Lowering *lo, Convolution *c, int i) {
    DimTable *t = lower_table(lo);
    const Dim *taps = lower_dim(lo, c->kernel[i]);
    const Dim *below = lower_dim(lo, lt_attr(c->node, ATTR_PAD_LO)->u.dims[i]);
    const Dim *above = lower_dim(lo, lt_attr(c->node, ATTR_PAD_HI)->u.dims[i]);
    const Dim *extent = lower_dim(lo, lt_input(c->node, 0)->type->dims[i + 1]);
    const int64_t spread = int_at(c, ATTR_INPUT_DILATION, i);
    c->tap[i] =
        c->is_pointwise ? lower_number(lo, 0) : lt_lower_full_loop(lo, &c->inner, "k#", taps);
    const Dim *begin = lt_dim_mul_const(t, c->index[i + 1], int_at(c, ATTR_STRIDES, i));
    const Dim *offset = lt_dim_mul_const(t, c->tap[i], int_at(c, ATTR_DILATIONS, i));
    const Dim *position = lt_dim_sub(t, lt_dim_add(t, begin, offset), below);
    const Dim *reach = lt_dim_add_const(t, lt_dim_mul_const(t, extent, spread), 1 - spread);
    c->condition = lt_expr_and(lo->k, c->condition,
                               lt_lower_sweep_condition(lo, position, reach, below, above));
    c->x.index[i + 1] = lt_dim_floordiv(t, position, lower_number(lo, spread));
    if (spread == 1)
        return;
    /* Between the elements of a spread operand lie zeros. */
    const Expr *rest = lt_expr_index(lo->k, lt_dim_mod(t, position, lower_number(lo, spread)));
    const Expr *hits = lt_expr_call(lo->k, FN_EQ, rest, lt_expr_int(lo->k, DT_I64, 0), NULL);
    c->condition = lt_expr_and(lo->k, c->condition, hits);
}

static void index_filter(Lowering *lo, Convolution *c, const Dim *channel) {
    DimTable *t = lower_table(lo);
    const Dim *o = c->index[c->spatial + 1], *width = lower_number(lo, c->width);
    int axis = 0;
    if (c->width)
        c->filter.index[axis++] = lt_dim_floordiv(t, o, width);
    for (int i = 0; i < c->spatial; i++)
        c->filter.index[axis++] = c->tap[i];
    c->filter.index[axis++] = channel;
    c->filter.index[axis] = c->width ? lt_dim_mod(t, o, width) : o;
}

bool lt_lower_conv(Lowering *lo) {
    Convolution c = read_conv(lo);
    DimTable *t = lower_table(lo);
    const Dim *group = add_outer(lo, &c), *channel = lower_number(lo, 0);
    for (int i = 0; i < c.spatial; i++)
        add_tap(lo, &c, i);
    if (c.is_pointwise)
        channel = lt_lower_loop(lo, &c.inner, "k#", c.channels);
    else if (!c.is_depthwise && !c.is_single)
        channel = lt_lower_full_loop(lo, &c.inner, "c", c.channels);
    c.x.index[0] = c.index[0];
    c.x.index[c.spatial + 1] = lt_dim_add(t, lt_dim_mul(t, group, c.channels), channel);
    index_filter(lo, &c, channel);
    lo->k->class = c.is_pointwise ? KERNEL_CONTRACT : KERNEL_CONV;
    const Products products = {.outer = &c.outer,
                               .inner = &c.inner,
                               .index = c.index,
                               .a = c.x,
                               .b = c.filter,
                               .condition = c.condition};
    return lt_lower_products(lo, &products);
}
