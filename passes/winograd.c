/* winograd.c - convolutions with fewer products.
 * Requires: types. Ensures: nothing new.
 *   %1 = conv %x, %w {pad_lo = [1, 1], pad_hi = [1, 1]}
 *   =>  %u = pack(G w G^T); %1 = winograd %x, %u {tile = [4, 4], pad_lo = [1, 1], pad_hi = [1, 1]}
 *
 * F(4, 3) along both axes takes 36 products for 16 outputs where a convolution takes 144, F(2, 3)
 * takes 16 for 4; along one axis, F(4, 5) takes 8 for 4 where a convolution takes 20. What it costs
 * is a filter of 36 / 9 times the size, transforms, and tiles that hang over the edge: for small
 * images and many channels that is more than it saves. Filters are transformed by the next `fold`.
 * Convolutions of one axis are seen as images one wide. Errors grow with the tile: about 1e-6 of
 * the largest output for F(2, 3), 5e-6 for F(4, 3), in f32; other dtypes are left alone. */
#include "ir/winograd.h"

#include "ir/build.h"
#include "passes/pass.h"

/* Multiply-adds that a core does while it reads a byte of weights from memory, times 2; and
 * operations of both transforms for a channel and an element of a tile. */
enum { FLOPS_PER_BYTE = 8, TRANSFORM_FLOPS = 6, LARGE_IMAGE = 1 << 20 };

typedef struct Shape {
    int64_t images, height, width; /* of the result; LARGE_IMAGE where not known */
    int64_t channels, outputs;
    int64_t taps[2];
} Shape;

/* Outputs of a tile along both axes. */
typedef struct TileShape {
    int64_t m[2];
} TileShape;

static bool all_ones(const Node *n, AttrName name) {
    const Attr *a = lt_attr(n, name);
    for (uint32_t i = 0; a && i < a->count; i++)
        if (a->u.ints[i] != 1)
            return false;
    return true;
}

static bool is_candidate(const PassContext *ctx, const Node *n) {
    if (n->op != OP_CONV || lt_attr_int(n, ATTR_GROUPS, 1) != 1 || lt_attr_int(n, ATTR_PACKED, 0) ||
        lt_attr(n, ATTR_FN) || lt_attr(n, ATTR_DTYPE))
        return false;
    const Type *w = lt_input(n, 1)->type;
    const int lanes = lt_target_lanes(ctx->target, sizeof(float));
    return (w->rank == 3 || w->rank == 4) && w->dtype == DT_F32 && lt_value_const(lt_input(n, 1)) &&
           all_ones(n, ATTR_STRIDES) && all_ones(n, ATTR_DILATIONS) &&
           all_ones(n, ATTR_INPUT_DILATION) && w->dims[w->rank - 2]->value >= lanes &&
           w->dims[w->rank - 1]->value >= lanes;
}

static int64_t known(const Dim *d, int64_t otherwise) {
    return lt_dim_is_const(d) ? d->value : otherwise;
}

static Shape read_shape(const Node *n) {
    const Type *out = lt_output(n)->type, *w = lt_input(n, 1)->type;
    const bool is_square = w->rank == 4;
    return (Shape){.images = known(out->dims[0], 1),
                   .height = known(out->dims[1], LARGE_IMAGE),
                   .width = is_square ? known(out->dims[2], LARGE_IMAGE) : 1,
                   .channels = w->dims[w->rank - 2]->value,
                   .outputs = w->dims[w->rank - 1]->value,
                   .taps = {w->dims[0]->value, is_square ? w->dims[1]->value : 1}};
}

static int64_t products_of(const Shape *s, TileShape tile) {
    return (tile.m[0] + s->taps[0] - 1) * (tile.m[1] + s->taps[1] - 1);
}

/* In multiply-adds times 2; a tile of 1 x 1 is the convolution as it is. */
static const TileShape no_tile = {{1, 1}};
static double cost_of(const Shape *s, TileShape tile, int64_t panel) {
    const int64_t columns = (s->outputs + panel - 1) / panel * panel;
    const double filter = (double)(s->channels * columns);
    if (tile.m[0] * tile.m[1] == 1)
        return filter * (double)(s->taps[0] * s->taps[1]) *
               (2.0 * (double)(s->images * s->height) * (double)s->width +
                sizeof(float) * FLOPS_PER_BYTE);
    const double products = (double)products_of(s, tile);
    const double tiles = (double)(s->images * ((s->height + tile.m[0] - 1) / tile.m[0])) *
                         (double)((s->width + tile.m[1] - 1) / tile.m[1]);
    return filter * products * (2 * tiles + sizeof(float) * FLOPS_PER_BYTE) +
           tiles * products * TRANSFORM_FLOPS * (double)(s->channels + s->outputs);
}

static TileShape choose_tile(const Shape *s, int64_t panel) {
    TileShape best = no_tile;
    for (int64_t y = 1; y <= WINOGRAD_MOST_OUTPUTS; y++) {
        for (int64_t x = 1; x <= WINOGRAD_MOST_OUTPUTS; x++) {
            const TileShape tile = {{y, x}};
            if (lt_winograd_has(y, s->taps[0]) && lt_winograd_has(x, s->taps[1]) &&
                products_of(s, tile) <= WINOGRAD_MOST_PRODUCTS &&
                cost_of(s, tile, panel) < cost_of(s, best, panel))
                best = tile;
        }
    }
    return best;
}

/* Of one axis: with a second one of extent 1 at `axis`. */
static Value *as_image(Builder *b, Value *v, int axis) {
    return v->type->rank == 4 ? v : lt_build_unsqueeze(b, v, (int64_t[]){axis}, 1);
}

/* G w along one axis. */
static Value *transform_axis(Builder *b, Value *w, int m, int taps, const char *spec) {
    const Winograd winograd = lt_winograd(m, taps);
    float g[WINOGRAD_MOST_INPUTS * WINOGRAD_MOST_TAPS];
    Module *module = b->graph->module;
    if (taps == 1)
        return w;
    for (int i = 0; i < winograd.n * taps; i++)
        g[i] = (float)winograd.g[i / taps][i % taps];
    const Type *type = lt_type_static(module, DT_F32, 2, (int64_t[]){winograd.n, taps});
    Value *left =
        lt_build_const(b, lt_const(module, type, lt_arena_copy(module->arena, g, sizeof g)));
    return lt_build_contract(b, left, w, spec);
}

/* G w G^T, packed: constants, which the next fold evaluates. */
static Value *transformed_filter(Builder *b, Value *w, const Shape *s, TileShape tile,
                                 int64_t panel) {
    w = as_image(b, w, 1);
    w = transform_axis(b, w, (int)tile.m[0], (int)s->taps[0], "ia,abco->ibco");
    w = transform_axis(b, w, (int)tile.m[1], (int)s->taps[1], "jb,ibco->ijco");
    return lt_build_pack(b, w, &(PackShape){.axis = 3, .leading = 2, .width = panel});
}

/* The padding of a convolution, of one axis or two. */
static Attr image_padding(Module *m, const Node *n, AttrName name) {
    const Attr *given = lt_attr(n, name);
    const Dim **dims = LT_ARRAY(m->arena, const Dim *, 2);
    dims[0] = given->u.dims[0];
    dims[1] = given->count > 1 ? given->u.dims[1] : lt_dim_const(&m->dims, 0);
    return lt_dims(name, dims, 2);
}

static bool rewrite(PassContext *ctx, Node *n) {
    const Shape shape = read_shape(n);
    const int64_t panel = lt_target_panel(ctx->target, sizeof(float), shape.outputs);
    const TileShape tile = choose_tile(&shape, panel);
    if (tile.m[0] * tile.m[1] == 1) {
        lt_remark(&ctx->module->diags, n->loc,
                  "winograd: the larger filter would cost more than the products saved");
        return false;
    }
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    const Type *type = lt_output(n)->type;
    const Attr attrs[] = {lt_ints(ATTR_TILE, tile.m, 2), image_padding(ctx->module, n, ATTR_PAD_LO),
                          image_padding(ctx->module, n, ATTR_PAD_HI),
                          lt_dims(ATTR_SIZE, &type->dims[type->rank - 1], 1)};
    Value *result =
        lt_build(&b, &(NodeSpec){.op = OP_WINOGRAD,
                                 .inputs = (Value *[]){as_image(&b, lt_input(n, 0), 2),
                                                       transformed_filter(&b, lt_input(n, 1),
                                                                          &shape, tile, panel)},
                                 .input_count = 2,
                                 .attrs = attrs,
                                 .attr_count = 4});
    if (result && type->rank == 3)
        result = lt_build_reshape(&b, result, 3, type->dims);
    if (!result || result->type != type)
        return false;
    lt_remark(&ctx->module->diags, n->loc, "winograd: F(%d, %d) x F(%d, %d) takes %.2f of the time",
              (int)tile.m[0], (int)shape.taps[0], (int)tile.m[1], (int)shape.taps[1],
              cost_of(&shape, tile, panel) / cost_of(&shape, no_tile, panel));
    lt_replace(lt_output(n), result);
    lt_node_remove(n);
    return true;
}

bool lt_pass_winograd(PassContext *ctx) {
    bool changed = false;
    if (lt_target_is_gpu(ctx->target)) /* its scratch memory is made for the cache of a core */
        return false;
    LT_EACH_NODE_SAFE(n, lt_pass_graph(ctx))
    if (is_candidate(ctx, n))
        changed |= rewrite(ctx, n);
    return changed;
}
