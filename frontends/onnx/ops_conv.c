/* ops_conv.c - convolutions and pools. The IR's are channels last, so each is put between two
 * transposes, which the layout pass cancels against those of the neighbours; the weights'
 * transposes fold. */
#include <stdio.h>
#include <string.h>

#include "frontends/onnx/extents.h"
#include "frontends/onnx/spatial.h"

static int64_t const_dim(const Dim *d) { return lt_dim_is_const(d) ? d->value : -1; }

/* SAME: ceil(extent / stride) outputs; the odd element of the padding goes to the end (UPPER) or
 * the start. */
static void same_pads(Import *im, Spatial *s, int i, const Dim *extent, bool upper) {
    DimTable *t = im->dims;
    const Dim *reach = lt_onnx_reach(im, s, i);
    const Dim *out = lt_dim_ceildiv(t, extent, lt_dim_const(t, s->strides[i]));
    const Dim *covered =
        lt_dim_add(t, lt_dim_mul_const(t, lt_dim_add_const(t, out, -1), s->strides[i]), reach);
    covered = lt_dim_add_const(t, covered, 1);
    const Dim *total = lt_dim_max(t, lt_dim_const(t, 0), lt_dim_sub(t, covered, extent));
    const Dim *half = lt_dim_floordiv(t, total, lt_dim_const(t, 2)),
              *rest = lt_dim_sub(t, total, half);
    s->lo[i] = upper ? half : rest;
    s->hi[i] = upper ? rest : half;
}

static bool read_auto_pad(Import *im, Spatial *s, const Type *x) {
    const char *mode = lt_onnx_string(im, "auto_pad", "NOTSET");
    bool upper = strcmp(mode, "SAME_UPPER") == 0;
    s->same = upper || strcmp(mode, "SAME_LOWER") == 0;
    s->upper = upper;
    s->explicit_pads = strcmp(mode, "NOTSET") == 0 || !*mode;
    if (!s->same && !s->explicit_pads && strcmp(mode, "VALID") != 0)
        return lt_onnx_malformed(im, "auto_pad is '%s'", mode);
    for (int i = 0; s->same && i < s->rank; i++)
        same_pads(im, s, i, x->dims[i + 2], upper);
    return true;
}

/* kernel_shape, and the weight's extents: they must be the same. */
static bool read_kernel(Import *im, Spatial *s, Value *weight) {
    const bool is_said = lt_onnx_has(im, "kernel_shape");
    const int64_t *said = lt_onnx_ints_of(im, "kernel_shape", s->rank, 0, 1);
    int64_t *kernel = lt_onnx_int_array(im, s->rank, 0);
    bool is_known = true;
    if (!said)
        return false;
    if (!is_said && !weight)
        return lt_onnx_malformed(im, "attribute kernel_shape is missing");
    s->extents = lt_onnx_dim_array(im, s->rank);
    for (int i = 0; i < s->rank; i++) {
        if (weight && is_said &&
            !(weight = lt_onnx_fix_extent(im, weight, i + 2, said[i], "the weight")))
            return false;
        s->extents[i] = weight ? weight->type->dims[i + 2] : lt_dim_const(im->dims, said[i]);
        if (lt_dim_is(s->extents[i], 0))
            return lt_onnx_unsupported(im, "the weight's axis %d is empty", i + 2);
        kernel[i] = const_dim(s->extents[i]);
        is_known &= kernel[i] > 0;
    }
    s->kernel = is_known ? kernel : NULL;
    if (weight)
        im->inputs[1] = weight;
    return true;
}

bool lt_onnx_kernel(Import *im, bool is_weighted, Spatial *s) {
    const Type *x = im->inputs[0]->type;
    Value *weight = is_weighted ? im->inputs[1] : NULL;
    s->rank = x->rank - 2;
    if (s->rank < 1)
        return lt_onnx_malformed(
            im, "input 0 has rank %d; a batch, channels and at least one more axis are expected",
            x->rank);
    if (weight && weight->type->rank != x->rank)
        return lt_onnx_malformed(im, "input 0 has rank %d, the weight %d", x->rank,
                                 weight->type->rank);
    return read_kernel(im, s, weight);
}

bool lt_onnx_spatial(Import *im, bool is_weighted, Spatial *s) {
    if (!lt_onnx_kernel(im, is_weighted, s))
        return false;
    s->strides = lt_onnx_ints_of(im, "strides", s->rank, 1, 1);
    s->dilations = lt_onnx_ints_of(im, "dilations", s->rank, 1, 1);
    const int64_t *pads = lt_onnx_ints_of(im, "pads", 2 * s->rank, 0, 0);
    if (!s->strides || !s->dilations || !pads)
        return false;
    s->lo = lt_onnx_dim_array(im, s->rank);
    s->hi = lt_onnx_dim_array(im, s->rank);
    if (!read_auto_pad(im, s, im->inputs[0]->type))
        return false;
    for (int i = 0; !s->same && i < s->rank; i++) {
        s->lo[i] = lt_dim_const(im->dims, s->explicit_pads ? pads[i] : 0);
        s->hi[i] = lt_dim_const(im->dims, s->explicit_pads ? pads[s->rank + i] : 0);
    }
    return true;
}

const Dim *lt_onnx_reach(Import *im, const Spatial *s, int axis) {
    const Dim *steps = lt_dim_add_const(im->dims, s->extents[axis], -1);
    return lt_dim_mul_const(im->dims, steps, s->dilations[axis]);
}

/* x is channels last; so is the result. */
static Value *convolve(Import *im, Value *x, Value *filter, const Spatial *s, int64_t groups,
                       const int64_t *spread) {
    Value *inputs[] = {x, filter};
    uint32_t n = (uint32_t)s->rank;
    Attr attrs[] = {lt_ints(ATTR_STRIDES, s->strides, n), lt_ints(ATTR_DILATIONS, s->dilations, n),
                    lt_dims(ATTR_PAD_LO, s->lo, n),       lt_dims(ATTR_PAD_HI, s->hi, n),
                    lt_int(ATTR_GROUPS, groups),          lt_ints(ATTR_INPUT_DILATION, spread, n)};
    NodeSpec spec = {.op = OP_CONV,
                     .inputs = inputs,
                     .input_count = 2,
                     .attrs = attrs,
                     .attr_count = spread ? 6 : 5};
    return x && filter ? lt_build(&im->b, &spec) : NULL;
}

static bool set_with_bias(Import *im, Value *y) {
    Value *bias = onnx_in(im, 2);
    if (bias && bias->type->rank != 1)
        return lt_onnx_malformed(im, "the bias has rank %d; expected 1", bias->type->rank);
    if (bias)
        y = lt_build_map2(&im->b, FN_ADD, y, bias);
    return onnx_set(im, 0, lt_onnx_to_channels_first(im, y));
}

/* The weight's outputs are a multiple of the groups, if they can be. */
static Value *divide_outputs(Import *im, Value *w, int64_t groups) {
    const Dim *count = lt_dim_const(im->dims, groups);
    if (groups < 1 || lt_dim_divisible(im->dims, w->type->dims[0], groups))
        return w; /* inference refuses what is less than 1 */
    const Dim *part = lt_onnx_part_extent(im, w->type->dims[0], count);
    return part ? lt_onnx_fix_dim(im, w, 0, lt_dim_mul(im->dims, part, count), "the weight") : w;
}

/* The weight [o, c, k...] becomes [k..., c, o]. */
bool lt_onnx_conv(Import *im) {
    Value *x = im->inputs[0];
    Spatial s = {0};
    if (!lt_onnx_spatial(im, true, &s))
        return false;
    int64_t perm[LT_MAX_RANK] = {0}, groups = lt_onnx_int(im, "group", 1);
    if (!s.kernel)
        return lt_onnx_conv_by_taps(im, &s, lt_dim_const(im->dims, groups), NULL);
    Value *w = divide_outputs(im, im->inputs[1], groups);
    for (int i = 0; i < s.rank; i++)
        perm[i] = i + 2;
    perm[s.rank] = 1;
    perm[s.rank + 1] = 0;
    Value *filter = lt_build_transpose(&im->b, w, perm);
    return set_with_bias(im,
                         convolve(im, lt_onnx_to_channels_last(im, x), filter, &s, groups, NULL));
}

/* --- CausalConvWithState ------------------------------------------------------------------- */

/* What comes before the first element: the state, or zeros. */
static Value *with_state(Import *im, Value *x, const Dim *length) {
    const Dim *dims[] = {x->type->dims[0], x->type->dims[1], length};
    Value *before = onnx_in(im, 3);
    if (!before)
        before = lt_onnx_full(im, x->type->dtype, 3, dims, lt_onnx_scalar_like(im, x, 0));
    Value *both[] = {before, x};
    return lt_build_concat(&im->b, both, before ? 2 : 0, 2);
}

static bool set_depthwise(Import *im, Value *x, const Spatial *s) {
    static const int64_t perm[] = {2, 1, 0};
    const Dim *channels = im->inputs[1]->type->dims[0];
    im->inputs[0] = x;
    if (!s->kernel || !lt_dim_is_const(channels))
        return lt_onnx_conv_by_taps(im, s, channels, NULL);
    Value *filter = lt_build_transpose(&im->b, im->inputs[1], perm);
    return set_with_bias(
        im, convolve(im, lt_onnx_to_channels_last(im, x), filter, s, channels->value, NULL));
}

/* A depthwise convolution over the last k elements; the next state is the last k - 1. */
bool lt_onnx_causal_conv_with_state(Import *im) {
    static const int64_t one[] = {1};
    Value *x = im->inputs[0];
    Spatial s = {.strides = one, .dilations = one};
    const char *activation = lt_onnx_string(im, "activation", "none");
    bool is_plain = strcmp(activation, "none") == 0;
    if (x->type->rank != 3)
        return lt_onnx_malformed(im, "input 0 must have rank 3, not %d", x->type->rank);
    if (!lt_onnx_kernel(im, true, &s))
        return false;
    if (!is_plain && strcmp(activation, "silu") != 0 && strcmp(activation, "swish") != 0)
        return lt_onnx_malformed(im, "activation is '%s'; expected none, silu or swish",
                                 activation);
    const Dim *zero = lt_dim_const(im->dims, 0), *length = lt_onnx_reach(im, &s, 0);
    s.lo = s.hi = &zero;
    x = with_state(im, x, length);
    if (!x)
        return false;
    const Dim *kept = lt_dim_sub(im->dims, x->type->dims[2], length);
    if (onnx_wants(im, 1))
        onnx_set(im, 1, lt_onnx_slice_axis(im, x, 2, kept, length));
    if (!set_depthwise(im, x, &s) || is_plain)
        return im->outputs[0] != NULL;
    Value *y = im->outputs[0];
    return onnx_set(im, 0,
                    lt_build_map2(&im->b, FN_MUL, y, lt_build_map1(&im->b, FN_SIGMOID, y)));
}

/* --- ConvTranspose ------------------------------------------------------------------------- */

/* The weight [c, o / g, k...] as the filter of the convolution that it transposes: [k... backwards,
 * c / g, o]. */
static Value *transposed_filter(Import *im, Value *w, const Spatial *s, int64_t groups) {
    DimTable *t = im->dims;
    int n = s->rank;
    const Dim *split[LT_MAX_RANK + 1], *merged[LT_MAX_RANK], *start[LT_MAX_RANK];
    int64_t perm[LT_MAX_RANK + 1], step[LT_MAX_RANK];
    const Dim *g = lt_dim_const(t, groups), *c = lt_dim_floordiv(t, w->type->dims[0], g),
              *o = w->type->dims[1];
    split[0] = g, split[1] = c, split[2] = o;
    for (int i = 0; i < n; i++) {
        split[i + 3] = merged[i] = w->type->dims[i + 2];
        perm[i] = groups == 1 ? i + 2 : i + 3;
        start[i] = lt_dim_add_const(t, merged[i], -1);
        step[i] = -1;
    }
    merged[n] = c, merged[n + 1] = lt_dim_mul(t, o, g);
    if (groups == 1) {
        perm[n] = 0, perm[n + 1] = 1;
        w = lt_build_transpose(&im->b, w, perm);
    } else {
        perm[n] = 1, perm[n + 1] = 0, perm[n + 2] = 2;
        w = lt_build_transpose(&im->b, lt_build_reshape(&im->b, w, n + 3, split), perm);
        w = lt_build_reshape(&im->b, w, n + 2, merged);
    }
    start[n] = start[n + 1] = lt_dim_const(t, 0);
    step[n] = step[n + 1] = 1;
    return lt_build_slice(&im->b, w, start, merged, step);
}

/* output_shape and SAME say the result's extent, and the padding follows from it. */
static bool pads_from_output(Import *im, Spatial *s, const Type *x, const int64_t *extra) {
    const int64_t *shape = lt_onnx_ints_of(im, "output_shape", s->rank, 0, 1);
    bool given = lt_onnx_has(im, "output_shape");
    if (!shape)
        return false;
    for (int i = 0; (given || s->same) && i < s->rank; i++) {
        const Dim *scaled = lt_dim_mul_const(im->dims, x->dims[i + 2], s->strides[i]);
        const Dim *out = given ? lt_dim_const(im->dims, shape[i]) : scaled;
        const Dim *full =
            lt_dim_add_const(im->dims, lt_dim_add(im->dims, scaled, lt_onnx_reach(im, s, i)),
                             extra[i] + 1 - s->strides[i]);
        const Dim *zero = lt_dim_const(im->dims, 0), *excess = lt_dim_sub(im->dims, full, out);
        const Dim *total = lt_dim_max(im->dims, zero, excess),
                  *lack = lt_dim_min(im->dims, zero, excess);
        const Dim *half = lt_dim_floordiv(im->dims, total, lt_dim_const(im->dims, 2)),
                  *rest = lt_dim_sub(im->dims, total, half);
        s->lo[i] = s->upper ? half : rest;
        s->hi[i] = lt_dim_add(im->dims, s->upper ? rest : half,
                              lack); /* a larger result grows at its end */
    }
    return true;
}

/* Each input element becomes a block of its own: one matrix product, then the blocks are laid side
 * by side. */
static Value *side_by_side(Import *im, Value *x, Value *w, const Spatial *s) {
    int n = s->rank;
    const Dim *columns[2] = {w->type->dims[0], lt_dim_product(im->dims, w->type->dims + 1, n + 1)};
    const Dim *split[2 * LT_MAX_RANK], *merged[LT_MAX_RANK];
    int64_t perm[LT_MAX_RANK] = {0}, order[2 * LT_MAX_RANK] = {0};
    char spec[40];
    for (int i = 0; i < n; i++)
        perm[i + 1] = i + 2;
    perm[n + 1] = 1; /* [c, k..., o] */
    Value *matrix = lt_build_reshape(&im->b, lt_build_transpose(&im->b, w, perm), 2, columns);
    const char *letters = "xyzuvw";
    snprintf(spec, sizeof spec, "n%.*sc,cm->n%.*sm", n, letters, n, letters);
    Value *y = lt_build_contract(&im->b, lt_onnx_to_channels_last(im, x), matrix, spec);
    split[0] = merged[0] = x->type->dims[0];
    split[2 * n + 1] = merged[n + 1] = w->type->dims[1];
    order[2 * n + 1] = 2 * n + 1;
    for (int i = 0; i < n; i++) {
        split[i + 1] = x->type->dims[i + 2];
        split[n + i + 1] = w->type->dims[i + 2];
        merged[i + 1] = lt_dim_mul(im->dims, split[i + 1], split[n + i + 1]);
        order[2 * i + 1] = i + 1;
        order[2 * i + 2] = n + i + 1;
    }
    y = lt_build_transpose(&im->b, lt_build_reshape(&im->b, y, 2 * n + 2, split), order);
    return lt_build_reshape(&im->b, y, n + 2, merged);
}

static bool is_side_by_side(const Spatial *s, int64_t groups, const int64_t *extra) {
    bool fits = groups == 1 && 2 * s->rank + 2 <= LT_MAX_RANK;
    for (int i = 0; i < s->rank; i++)
        fits = fits && s->kernel[i] == s->strides[i] && s->dilations[i] == 1 && extra[i] == 0 &&
               lt_dim_is(s->lo[i], 0) && lt_dim_is(s->hi[i], 0);
    return fits;
}

/* A convolution of the input with stride - 1 zeros between its elements. Padding that would be
 * negative becomes a cut of the result, which with stride 1 is the same. */
static Value *transposed(Import *im, Value *x, Value *w, Spatial *s, int64_t groups,
                         const int64_t *extra) {
    const int64_t *spread = s->strides;
    DimTable *t = im->dims;
    const Dim *zero = lt_dim_const(t, 0), *cut_lo[LT_MAX_RANK], *cut_hi[LT_MAX_RANK];
    s->strides = lt_onnx_int_array(im, s->rank, 1);
    bool cuts = false;
    for (int i = 0; i < s->rank; i++) {
        int64_t reach = (s->kernel[i] - 1) * s->dilations[i];
        const Dim *lo = lt_dim_sub(t, lt_dim_const(t, reach), s->lo[i]);
        const Dim *hi = lt_dim_sub(t, lt_dim_const(t, reach + extra[i]), s->hi[i]);
        s->lo[i] = lt_dim_max(t, zero, lo);
        s->hi[i] = lt_dim_max(t, zero, hi);
        cut_lo[i] = lt_dim_sub(t, s->lo[i], lo);
        cut_hi[i] = lt_dim_sub(t, s->hi[i], hi);
        cuts |= !lt_dim_is(cut_lo[i], 0) || !lt_dim_is(cut_hi[i], 0);
    }
    Value *y = convolve(im, lt_onnx_to_channels_last(im, x), transposed_filter(im, w, s, groups), s,
                        groups, spread);
    for (int i = 0; y && cuts && i < s->rank; i++) {
        const Dim *size = lt_dim_sub(t, lt_dim_sub(t, y->type->dims[i + 1], cut_lo[i]), cut_hi[i]);
        y = lt_onnx_slice_axis(im, y, i + 1, cut_lo[i], size);
    }
    return y;
}

bool lt_onnx_conv_transpose(Import *im) {
    Value *x = im->inputs[0];
    Spatial s = {0};
    int64_t groups = lt_onnx_int(im, "group", 1);
    if (!lt_onnx_spatial(im, true, &s))
        return false;
    Value *w = im->inputs[1];
    const int64_t *extra = lt_onnx_ints_of(im, "output_padding", s.rank, 0, 0);
    if (!extra || !pads_from_output(im, &s, x->type, extra))
        return false;
    if (groups < 1 || !lt_onnx_part_extent(im, w->type->dims[0], lt_dim_const(im->dims, groups)))
        return lt_onnx_malformed(im, "%lld groups do not divide %s channels", (long long)groups,
                                 lt_onnx_dim_text(im, w->type->dims[0]));
    if (!s.kernel)
        return lt_onnx_conv_by_taps(im, &s, lt_dim_const(im->dims, groups), extra);
    if (is_side_by_side(&s, groups, extra))
        return set_with_bias(im, side_by_side(im, x, w, &s));
    return set_with_bias(im, transposed(im, x, w, &s, groups, extra));
}
