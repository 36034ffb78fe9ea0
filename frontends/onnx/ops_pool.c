/* ops_pool.c - pools over spatial axes, channels last between two transposes as convolutions are.
 */
#include <string.h>

#include "frontends/onnx/spatial.h"

/* With ceil_mode a last window may hang over the end, if it starts before the padding there does.
 */
static void extend_for_ceil(Import *im, Spatial *s, const Type *x) {
    DimTable *t = im->dims;
    for (int i = 0; i < s->rank; i++) {
        int64_t reach = (s->kernel[i] - 1) * s->dilations[i] + 1;
        const Dim *stride = lt_dim_const(t, s->strides[i]);
        const Dim *before = lt_dim_add(t, x->dims[i + 2], s->lo[i]),
                  *all = lt_dim_add(t, before, s->hi[i]);
        const Dim *rounded =
            lt_dim_add_const(t, lt_dim_ceildiv(t, lt_dim_add_const(t, all, -reach), stride), 1);
        const Dim *starts =
            lt_dim_add_const(t, lt_dim_floordiv(t, lt_dim_add_const(t, before, -1), stride), 1);
        const Dim *out = lt_dim_min(t, rounded, starts);
        const Dim *needed =
            lt_dim_add_const(t, lt_dim_mul(t, lt_dim_add_const(t, out, -1), stride), reach);
        s->hi[i] = lt_dim_max(t, s->hi[i], lt_dim_sub(t, needed, before));
    }
}

/* x is channels last. */
static Value *window(Import *im, ScalarFn fn, Value *x, const Spatial *s) {
    uint32_t n = (uint32_t)s->rank;
    int64_t axes[LT_MAX_RANK];
    for (uint32_t i = 0; i < n; i++)
        axes[i] = i + 1;
    Attr attrs[] = {lt_int(ATTR_FN, (int64_t)fn),
                    lt_ints(ATTR_AXES, axes, n),
                    lt_ints(ATTR_KERNEL, s->kernel, n),
                    lt_ints(ATTR_STRIDES, s->strides, n),
                    lt_ints(ATTR_DILATIONS, s->dilations, n),
                    lt_dims(ATTR_PAD_LO, s->lo, n),
                    lt_dims(ATTR_PAD_HI, s->hi, n)};
    NodeSpec spec = {
        .op = OP_WINDOW, .inputs = &x, .input_count = 1, .attrs = attrs, .attr_count = 7};
    return x ? lt_build(&im->b, &spec) : NULL;
}

bool lt_onnx_max_pool(Import *im) {
    Value *x = im->inputs[0];
    Spatial s = {0};
    if (!lt_onnx_spatial(im, false, &s))
        return false;
    if (lt_onnx_int(im, "ceil_mode", 0))
        extend_for_ceil(im, &s, x->type);
    Value *y = window(im, FN_MAX, lt_onnx_to_channels_last(im, x), &s);
    y = lt_onnx_to_channels_first(im, y);
    if (y && onnx_wants(im, 1) && !onnx_set(im, 1, lt_onnx_pool_indices(im, x, &s, y->type)))
        return false;
    return onnx_set(im, 0, y);
}

/* Ones where an element counts: the input's, and its explicit padding if that counts too. Summed by
 * the same window they give the divisors. */
static Value *divisors(Import *im, const Value *x, const Spatial *s, const Spatial *counted) {
    const Dim *shape[LT_MAX_RANK];
    Spatial rest = *s;
    rest.lo = lt_onnx_dim_array(im, s->rank);
    rest.hi = lt_onnx_dim_array(im, s->rank);
    shape[0] = shape[s->rank + 1] = lt_dim_const(im->dims, 1);
    for (int i = 0; i < s->rank; i++) {
        shape[i + 1] = lt_dim_add(im->dims, x->type->dims[i + 2],
                                  lt_dim_add(im->dims, counted->lo[i], counted->hi[i]));
        rest.lo[i] = lt_dim_sub(im->dims, s->lo[i], counted->lo[i]);
        rest.hi[i] = lt_dim_sub(im->dims, s->hi[i], counted->hi[i]);
    }
    Value *ones =
        lt_onnx_full(im, x->type->dtype, s->rank + 2, shape, lt_onnx_scalar_like(im, x, 1));
    return window(im, FN_ADD, ones, &rest);
}

static bool is_padded(const Spatial *s, const Spatial *counted) {
    bool padded = false;
    for (int i = 0; i < s->rank; i++)
        padded |= s->lo[i] != counted->lo[i] || s->hi[i] != counted->hi[i];
    return padded;
}

bool lt_onnx_average_pool(Import *im) {
    Value *x = im->inputs[0];
    Spatial s = {0};
    if (!lt_onnx_spatial(im, false, &s))
        return false;
    Spatial counted = s;
    bool with_pads = lt_onnx_int(im, "count_include_pad", 0) != 0;
    double elements = 1;
    counted.lo = lt_onnx_dim_array(im, s.rank);
    counted.hi = lt_onnx_dim_array(im, s.rank);
    for (int i = 0; i < s.rank; i++) {
        counted.lo[i] = with_pads ? s.lo[i] : lt_dim_const(im->dims, 0);
        counted.hi[i] = with_pads ? s.hi[i] : lt_dim_const(im->dims, 0);
        elements *= (double)s.kernel[i];
    }
    if (lt_onnx_int(im, "ceil_mode", 0))
        extend_for_ceil(im, &s, x->type);
    Value *sum = window(im, FN_ADD, lt_onnx_to_channels_last(im, x), &s);
    Value *divisor = is_padded(&s, &counted) ? divisors(im, x, &s, &counted)
                                             : lt_onnx_scalar_like(im, x, elements);
    return onnx_set(im, 0,
                    lt_onnx_to_channels_first(im, lt_build_map2(&im->b, FN_DIV, sum, divisor)));
}

static bool norm_order(Import *im, double *p) {
    *p = (double)lt_onnx_int(im, "p", 2);
    return *p >= 1 || lt_onnx_malformed(im, "p is %g; expected at least 1", *p);
}

/* |x|^p, and the root that undoes it. */
static Value *power_of(Import *im, Value *x, double p) {
    return p == 2 ? lt_build_map2(&im->b, FN_MUL, x, x)
                  : lt_onnx_map_scalar(im, FN_POW, lt_build_map1(&im->b, FN_ABS, x), p);
}
static Value *root_of(Import *im, Value *x, double p) {
    return p == 2 ? lt_build_map1(&im->b, FN_SQRT, x)
                  : lt_onnx_map_scalar(im, FN_POW, x, 1 / p);
}

/* The p-norm of each window. */
bool lt_onnx_lp_pool(Import *im) {
    Value *x = im->inputs[0];
    double p;
    Spatial s = {0};
    if (!norm_order(im, &p))
        return false;
    if (!lt_onnx_spatial(im, false, &s))
        return false;
    if (lt_onnx_int(im, "ceil_mode", 0))
        extend_for_ceil(im, &s, x->type);
    Value *sum = window(im, FN_ADD, lt_onnx_to_channels_last(im, power_of(im, x, p)), &s);
    return onnx_set(im, 0, lt_onnx_to_channels_first(im, root_of(im, sum, p)));
}

/* All positions are one window: folds x, with its channels last, along them. */
typedef Value *FoldFn(Import *im, Value *x, const int64_t *axes, int count);

static bool global_pool(Import *im, FoldFn *fold) {
    const int rank = im->inputs[0]->type->rank;
    int64_t axes[LT_MAX_RANK];
    if (rank < 3)
        return lt_onnx_malformed(im, "input 0 has rank %d; expected at least 3", rank);
    for (int i = 0; i < rank - 2; i++)
        axes[i] = i + 1;
    Value *x = lt_onnx_to_channels_last(im, im->inputs[0]);
    Value *y = fold(im, x, axes, rank - 2);
    return y && onnx_set(im, 0, lt_onnx_to_channels_first(im, y));
}

static Value *fold_most(Import *im, Value *x, const int64_t *axes, int count) {
    return lt_build_reduce(&im->b, FN_MAX, x, axes, count, true);
}

static Value *fold_mean(Import *im, Value *x, const int64_t *axes, int count) {
    return lt_onnx_mean(im, x, axes, count, true);
}

static Value *fold_norm(Import *im, Value *x, const int64_t *axes, int count) {
    double p;
    if (!norm_order(im, &p))
        return NULL;
    Value *sum = lt_build_reduce(&im->b, FN_ADD, power_of(im, x, p), axes, count, true);
    return root_of(im, sum, p);
}

bool lt_onnx_global_average_pool(Import *im) { return global_pool(im, fold_mean); }

bool lt_onnx_global_lp_pool(Import *im) { return global_pool(im, fold_norm); }

bool lt_onnx_global_max_pool(Import *im) { return global_pool(im, fold_most); }
