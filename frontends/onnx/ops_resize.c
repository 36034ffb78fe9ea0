/* ops_resize.c - Resize and Upsample. The resize op works from extents alone, so a scale is taken
 * only where the ratio of the extents is that scale exactly: guards make sure for symbolic extents.
 */
#include <math.h>
#include <string.h>

#include "frontends/onnx/ops.h"

/* scale as a fraction with a small denominator. */
static bool as_fraction(double scale, int64_t *numerator, int64_t *denominator) {
    for (int64_t q = 1; q <= 256; q++) {
        double p = nearbyint(scale * (double)q);
        if (p < 1 || p > 1 << 20 || fabs(p / (double)q - scale) > 1e-6 * scale)
            continue;
        *numerator = (int64_t)p;
        *denominator = q;
        return true;
    }
    return false;
}

/* floor(extent * scale); NULL after an error. */
static const Dim *scaled_dim(Import *im, const Dim *extent, double scale) {
    int64_t p, q;
    if (!(scale > 0))
        return lt_onnx_malformed(im, "a scale is %g", scale), NULL;
    if (!as_fraction(scale, &p, &q))
        return lt_onnx_unsupported(im, "the scale %g is not a simple fraction", scale), NULL;
    const Dim *wide = lt_dim_mul_const(im->dims, extent, p),
              *out = lt_dim_floordiv(im->dims, wide, lt_dim_const(im->dims, q));
    const Dim *back = lt_dim_mul_const(im->dims, out, q);
    if (back == wide)
        return out;
    if (lt_dim_is_const(wide))
        return lt_onnx_unsupported(im, "the scale %g does not divide the extent %lld evenly", scale,
                                   (long long)extent->value),
               NULL;
    lt_graph_add_guard(im->b.graph, back, wide, im->node->loc);
    return out;
}

typedef struct ResizePlan {
    const Dim *shape[LT_MAX_RANK];
    const char *mode, *direction;
    double cubic;
} ResizePlan;

static const struct {
    const char *onnx, *ours;
} nearest_modes[] = {
    {"floor", "nearest_floor"}, {"ceil", "nearest_ceil"}, {"round_prefer_floor", "nearest_round"}};
static const char *const directions[] = {"half_pixel", "asymmetric", "align_corners",
                                         "pytorch_half_pixel"};

static bool plan_nearest(Import *im, ResizePlan *plan) {
    const char *name = lt_onnx_string(im, "nearest_mode", "round_prefer_floor");
    for (size_t i = 0; i < sizeof nearest_modes / sizeof *nearest_modes; i++) {
        if (strcmp(name, nearest_modes[i].onnx) != 0)
            continue;
        plan->mode = nearest_modes[i].ours;
        return true;
    }
    return lt_onnx_unsupported(im, "nearest_mode '%s' is not supported", name);
}

static bool plan_mode(Import *im, ResizePlan *plan) {
    const char *mode = lt_onnx_string(im, "mode", "nearest");
    const char *direction = lt_onnx_string(im, "coordinate_transformation_mode", "half_pixel");
    plan->mode = mode;
    plan->cubic = lt_onnx_float(im, "cubic_coeff_a", -0.75);
    for (size_t i = 0; i < sizeof directions / sizeof *directions; i++)
        if (strcmp(direction, directions[i]) == 0)
            plan->direction = directions[i];
    if (!plan->direction)
        return lt_onnx_unsupported(im, "coordinate_transformation_mode '%s' is not supported",
                                   direction);
    if (lt_onnx_int(im, "exclude_outside", 0))
        return lt_onnx_unsupported(im, "exclude_outside is not supported");
    if (lt_onnx_int(im, "antialias", 0))
        return lt_onnx_unsupported(im, "antialias is not supported");
    if (strcmp(lt_onnx_string(im, "keep_aspect_ratio_policy", "stretch"), "stretch") != 0)
        return lt_onnx_unsupported(im, "only the keep_aspect_ratio_policy stretch is supported");
    if (strcmp(mode, "nearest") == 0)
        return plan_nearest(im, plan);
    if (strcmp(mode, "bilinear") == 0)
        plan->mode = "linear";
    if (strcmp(plan->mode, "linear") != 0 && strcmp(mode, "cubic") != 0)
        return lt_onnx_malformed(im, "mode is '%s'", mode);
    return true;
}

static bool set_resize(Import *im, const ResizePlan *plan) {
    Value *x = im->inputs[0];
    bool same = true;
    for (int i = 0; i < x->type->rank; i++)
        same &= plan->shape[i] == x->type->dims[i];
    if (same)
        return onnx_set(im, 0, x);
    Attr attrs[] = {lt_dims(ATTR_SHAPE, plan->shape, (uint32_t)x->type->rank),
                    lt_string(ATTR_MODE, plan->mode), lt_string(ATTR_DIRECTION, plan->direction),
                    lt_float(ATTR_ALPHA, plan->cubic)};
    NodeSpec spec = {.op = OP_RESIZE,
                     .inputs = &x,
                     .input_count = 1,
                     .attrs = attrs,
                     .attr_count = strcmp(plan->mode, "cubic") == 0 ? 4 : 3};
    return onnx_set(im, 0, lt_build(&im->b, &spec));
}

/* Applies count scales or sizes to the axes (NULL: all, in order). */
typedef struct ResizeTarget {
    const double *scales;
    const Dim *const *sizes;
    const int64_t *axes;
    int64_t count;
} ResizeTarget;

static bool plan_shape(Import *im, ResizePlan *plan, const ResizeTarget *target) {
    const Type *x = im->inputs[0]->type;
    if (!target->axes && target->count != x->rank)
        return lt_onnx_malformed(im, "%lld scales or sizes for a tensor of rank %d",
                                 (long long)target->count, x->rank);
    for (int i = 0; i < x->rank; i++)
        plan->shape[i] = x->dims[i];
    for (int64_t i = 0; i < target->count; i++) {
        int64_t axis;
        if (!lt_onnx_axis(im, target->axes ? target->axes[i] : i, x->rank, &axis))
            return false;
        plan->shape[axis] =
            target->scales ? scaled_dim(im, x->dims[axis], target->scales[i]) : target->sizes[i];
        if (!plan->shape[axis])
            return false;
    }
    return true;
}

/* An operand of no elements counts as absent. */
static Value *filled(Import *im, uint32_t i) {
    Value *v = onnx_in(im, i);
    return v && v->type->rank == 1 && lt_dim_is(v->type->dims[0], 0) ? NULL : v;
}

static const double *scales_from(Import *im, Value *v, int64_t *count) {
    const Const *c = lt_onnx_const(im, v);
    if (!c)
        return lt_onnx_unsupported(im, "the scales depend on the input data"), NULL;
    lt_type_is_static(c->type, count);
    double *scales = LT_ARRAY(im->arena, double, *count + 1);
    for (int64_t i = 0; i < *count; i++)
        scales[i] = lt_const_get_float(c, c->is_splat ? 0 : i);
    return scales;
}

bool lt_onnx_resize(Import *im) {
    ResizePlan plan = {0};
    ResizeTarget target = {0};
    int64_t axis_count;
    if (!plan_mode(im, &plan))
        return false;
    target.axes = lt_onnx_ints(im, "axes", &axis_count);
    Value *scales = filled(im, 2), *sizes = filled(im, 3);
    if (!scales == !sizes)
        return lt_onnx_malformed(im, "either scales or sizes are needed");
    if (scales && !(target.scales = scales_from(im, scales, &target.count)))
        return false;
    if (sizes && !(target.sizes = lt_onnx_extents(im, sizes, "the list of sizes", &target.count)))
        return false;
    if (target.axes && axis_count != target.count)
        return lt_onnx_malformed(im, "%lld axes for %lld scales or sizes", (long long)axis_count,
                                 (long long)target.count);
    return plan_shape(im, &plan, &target) && set_resize(im, &plan);
}

/* Upsample, and Resize of version 10: coordinates are out / scale, and nearest is the floor. */
bool lt_onnx_upsample(Import *im) {
    ResizePlan plan = {.direction = "asymmetric", .cubic = -0.75};
    ResizeTarget target = {0};
    const char *mode = lt_onnx_string(im, "mode", "nearest");
    plan.mode = strcmp(mode, "nearest") == 0 ? "nearest_floor" : "linear";
    if (*plan.mode == 'l' && strcmp(mode, "linear") != 0 && strcmp(mode, "bilinear") != 0)
        return lt_onnx_malformed(im, "mode is '%s'; expected nearest or linear", mode);
    if (onnx_in(im, 1)) {
        target.scales = scales_from(im, onnx_in(im, 1), &target.count);
    } else {
        const OnnxAttribute *a = lt_onnx_attribute(im, "scales", ONNX_ATTR_FLOATS);
        if (!a)
            return lt_onnx_malformed(im, "the scales are missing");
        double *scales = LT_ARRAY(im->arena, double, a->floats.len + 1);
        for (size_t i = 0; i < a->floats.len; i++) {
            float f;
            memcpy(&f, &a->floats.data[i], sizeof f);
            scales[i] = (double)f;
        }
        target.scales = scales;
        target.count = (int64_t)a->floats.len;
    }
    return target.scales && plan_shape(im, &plan, &target) && set_resize(im, &plan);
}
