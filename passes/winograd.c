/* winograd.c - 3 x 3 convolutions with fewer products.
 * Requires: types. Ensures: nothing new.
 *   %1 = conv %x, %w {pad_lo = [1, 1], pad_hi = [1, 1]}
 *   =>  %u = pack(G w G^T); %1 = winograd %x, %u {tile = 4, pad_lo = [1, 1], pad_hi = [1, 1]}
 *
 * F(4, 3) takes 36 products for 16 outputs where a convolution takes 144, F(2, 3) takes 16 for 4.
 * What it costs is a filter of 36 / 9 times the size, transforms, and tiles that hang over the
 * edge: for small images and many channels that is more than it saves. Filters are transformed by
 * the next `fold`. Errors grow with the tile: about 1e-6 of the largest output for F(2, 3), 5e-6
 * for F(4, 3), in f32; other dtypes are left alone. */
#include "ir/winograd.h"

#include "ir/build.h"
#include "passes/pass.h"

/* Multiply-adds that a core does while it reads a byte of weights from memory, times 2; and
 * operations of both transforms for a channel and an element of a tile. */
enum { FLOPS_PER_BYTE = 4, TRANSFORM_FLOPS = 6, LARGE_IMAGE = 1 << 20 };

typedef struct Shape {
    int64_t images, height, width; /* of the result; LARGE_IMAGE where not known */
    int64_t channels, outputs;
} Shape;

static bool all_ones(const Node *n, AttrName name) {
    const Attr *a = lt_attr(n, name);
    for (uint32_t i = 0; a && i < a->count; i++)
        if (a->u.ints[i] != 1)
            return false;
    return true;
}

static bool is_candidate(const PassContext *ctx, const Node *n) {
    if (n->op != OP_CONV || lt_attr_int(n, ATTR_GROUPS, 1) != 1 || lt_attr_int(n, ATTR_PACKED, 0))
        return false;
    const Type *w = lt_input(n, 1)->type;
    const int lanes = lt_target_lanes(ctx->target, sizeof(float));
    return w->rank == 4 && w->dtype == DT_F32 && lt_value_const(lt_input(n, 1)) &&
           lt_dim_is(w->dims[0], WINOGRAD_TAPS) && lt_dim_is(w->dims[1], WINOGRAD_TAPS) &&
           all_ones(n, ATTR_STRIDES) && all_ones(n, ATTR_DILATIONS) &&
           all_ones(n, ATTR_INPUT_DILATION) && w->dims[2]->value >= lanes &&
           w->dims[3]->value >= lanes;
}

static int64_t known(const Dim *d, int64_t otherwise) {
    return lt_dim_is_const(d) ? d->value : otherwise;
}

static Shape read_shape(const Node *n) {
    const Dim *const *out = lt_output(n)->type->dims, *const *w = lt_input(n, 1)->type->dims;
    return (Shape){known(out[0], 1), known(out[1], LARGE_IMAGE), known(out[2], LARGE_IMAGE),
                   w[2]->value, w[3]->value};
}

/* In multiply-adds times 2; tile 0: the convolution as it is. */
static double cost_of(const Shape *s, int64_t tile, int64_t panel) {
    const int64_t columns = (s->outputs + panel - 1) / panel * panel;
    const double filter = (double)(s->channels * columns);
    if (!tile)
        return filter * 9 *
               (2.0 * (double)(s->images * s->height) * (double)s->width +
                sizeof(float) * FLOPS_PER_BYTE);
    const double products = (double)((tile + 2) * (tile + 2));
    const double tiles = (double)(s->images * ((s->height + tile - 1) / tile)) *
                         (double)((s->width + tile - 1) / tile);
    return filter * products * (2 * tiles + sizeof(float) * FLOPS_PER_BYTE) +
           tiles * products * TRANSFORM_FLOPS * (double)(s->channels + s->outputs);
}

static int64_t choose_tile(const Shape *s, int64_t panel) {
    int64_t best = 0;
    for (int64_t tile = 2; tile <= WINOGRAD_MOST_OUTPUTS; tile += 2)
        if (cost_of(s, tile, panel) < cost_of(s, best, panel))
            best = tile;
    return best;
}

/* G w G^T, packed: constants, which the next fold evaluates. */
static Value *transformed_filter(Builder *b, Value *w, const Winograd *winograd, int64_t panel) {
    float g[WINOGRAD_MOST_INPUTS * WINOGRAD_TAPS];
    Module *m = b->graph->module;
    for (int i = 0; i < winograd->n * WINOGRAD_TAPS; i++)
        g[i] = (float)winograd->g[i / WINOGRAD_TAPS][i % WINOGRAD_TAPS];
    const Type *type = lt_type_static(m, DT_F32, 2, (int64_t[]){winograd->n, WINOGRAD_TAPS});
    Value *left = lt_build_const(b, lt_const(m, type, lt_arena_copy(m->arena, g, sizeof g)));
    Value *rows = lt_build_contract(b, left, w, "ia,abco->ibco");
    Value *both = lt_build_contract(b, left, rows, "jb,ibco->ijco");
    return lt_build_pack(b, both, &(PackShape){.axis = 3, .leading = 2, .width = panel});
}

static bool rewrite(PassContext *ctx, Node *n) {
    const Shape shape = read_shape(n);
    const int64_t panel = lt_target_panel(ctx->target, sizeof(float), shape.outputs);
    const int64_t tile = choose_tile(&shape, panel);
    if (!tile) {
        lt_remark(&ctx->module->diags, n->loc,
                  "winograd: the larger filter would cost more than the products saved");
        return false;
    }
    const Winograd winograd = lt_winograd((int)tile);
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    Value *filter = transformed_filter(&b, lt_input(n, 1), &winograd, panel);
    const Attr *lo = lt_attr(n, ATTR_PAD_LO), *hi = lt_attr(n, ATTR_PAD_HI);
    const Type *type = lt_output(n)->type;
    Value *result =
        lt_build(&b, &(NodeSpec){.op = OP_WINOGRAD,
                                 .inputs = (Value *[]){lt_input(n, 0), filter},
                                 .input_count = 2,
                                 .attrs = (Attr[]){lt_int(ATTR_TILE, tile), *lo, *hi,
                                                   lt_dims(ATTR_SIZE, &type->dims[3], 1)},
                                 .attr_count = 4});
    if (!result || result->type != type)
        return false;
    lt_remark(&ctx->module->diags, n->loc, "winograd: F(%d, 3) takes %.2f of the time", (int)tile,
              cost_of(&shape, tile, panel) / cost_of(&shape, 0, panel));
    lt_replace(lt_output(n), result);
    lt_node_remove(n);
    return true;
}

bool lt_pass_winograd(PassContext *ctx) {
    bool changed = false;
    LT_EACH_NODE_SAFE(n, ctx->module->main)
    if (is_candidate(ctx, n))
        changed |= rewrite(ctx, n);
    return changed;
}
