/* ops_resize.c - Resize and Upsample. The resize op works from extents alone, so a scale is taken
 * only where the ratio of the extents is that scale exactly: guards make sure for symbolic extents.
 * The rest goes to resample.c.
 */
#include <math.h>
#include <string.h>

#include "frontends/onnx/resample.h"

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

/* extent * scale; NULL: that is not a whole number. */
static const Dim *scaled_dim(Import *im, const Dim *extent, double scale) {
    int64_t p, q;
    if (!as_fraction(scale, &p, &q))
        return NULL;
    const Dim *wide = lt_dim_mul_const(im->dims, extent, p),
              *out = lt_dim_floordiv(im->dims, wide, lt_dim_const(im->dims, q));
    const Dim *back = lt_dim_mul_const(im->dims, out, q);
    if (back != wide && lt_dim_is_const(wide))
        return NULL;
    lt_graph_add_guard(im->b.graph, back, wide, im->node->loc);
    return out;
}

typedef struct ResizePlan {
    const Dim *shape[LT_MAX_RANK];
    const char *mode, *direction; /* NULL: the op lacks it */
    double cubic;
    Resample general; /* the same for resample.c */
} ResizePlan;

static const struct {
    const char *onnx, *ours;
} nearest_modes[] = {
    {"floor", "nearest_floor"}, {"ceil", "nearest_ceil"}, {"round_prefer_floor", "nearest_round"}};
static const char *const directions[] = {"half_pixel",         "asymmetric",
                                         "align_corners",      "pytorch_half_pixel",
                                         "half_pixel_symmetric", "tf_crop_and_resize"};
enum { OP_DIRECTIONS = 4 }; /* the first ones, which the op has */

static bool plan_filter(Import *im, ResizePlan *plan) {
    const char *mode = lt_onnx_string(im, "mode", "nearest");
    Resample *r = &plan->general;
    r->nearest = lt_onnx_string(im, "nearest_mode", "round_prefer_floor");
    if (strcmp(mode, "nearest") == 0) {
        bool known = strcmp(r->nearest, "round_prefer_ceil") == 0;
        for (size_t i = 0; i < sizeof nearest_modes / sizeof *nearest_modes; i++)
            if (strcmp(r->nearest, nearest_modes[i].onnx) == 0) {
                plan->mode = nearest_modes[i].ours;
                known = true;
            }
        return known || lt_onnx_malformed(im, "nearest_mode is '%s'", r->nearest);
    }
    bool is_cubic = strcmp(mode, "cubic") == 0;
    if (!is_cubic && strcmp(mode, "linear") != 0 && strcmp(mode, "bilinear") != 0)
        return lt_onnx_malformed(im, "mode is '%s'", mode);
    r->filter = is_cubic ? RESAMPLE_CUBIC : RESAMPLE_LINEAR;
    if (!r->antialias && !r->exclude_outside)
        plan->mode = is_cubic ? "cubic" : "linear";
    return true;
}

static bool plan_mode(Import *im, ResizePlan *plan) {
    const char *direction = lt_onnx_string(im, "coordinate_transformation_mode", "half_pixel");
    Resample *r = &plan->general;
    r->cubic = plan->cubic = lt_onnx_float(im, "cubic_coeff_a", -0.75);
    r->extrapolation = lt_onnx_float(im, "extrapolation_value", 0);
    r->antialias = lt_onnx_int(im, "antialias", 0) != 0;
    r->exclude_outside = lt_onnx_int(im, "exclude_outside", 0) != 0;
    for (int i = 0; i < (int)(sizeof directions / sizeof *directions); i++)
        if (strcmp(direction, directions[i]) == 0) {
            r->direction = directions[i];
            plan->direction = i < OP_DIRECTIONS ? directions[i] : NULL;
        }
    if (!r->direction)
        return lt_onnx_unsupported(im, "coordinate_transformation_mode '%s' is not supported",
                                   direction);
    r->policy = lt_onnx_string(im, "keep_aspect_ratio_policy", "stretch");
    if (strcmp(r->policy, "stretch") != 0 && strcmp(r->policy, "not_larger") != 0 &&
        strcmp(r->policy, "not_smaller") != 0)
        return lt_onnx_malformed(im, "keep_aspect_ratio_policy is '%s'", r->policy);
    return plan_filter(im, plan);
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

/* False: some extent is not whole. */
static bool plan_shape(Import *im, ResizePlan *plan, const ResizeTarget *target) {
    const Type *x = im->inputs[0]->type;
    for (int i = 0; i < x->rank; i++)
        plan->shape[i] = x->dims[i];
    for (int64_t i = 0; i < target->count; i++) {
        int64_t axis = target->axes ? target->axes[i] : i;
        axis = axis < 0 ? axis + x->rank : axis;
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

/* NULL: only a run tells them, or (after an error) one is not positive. */
static const double *scales_from(Import *im, Value *v, int64_t *count) {
    const Const *c = lt_onnx_const(im, v);
    if (!c)
        return NULL;
    lt_type_is_static(c->type, count);
    double *scales = LT_ARRAY(im->arena, double, *count + 1);
    for (int64_t i = 0; i < *count; i++) {
        scales[i] = lt_const_get_float(c, c->is_splat ? 0 : i);
        if (!(scales[i] > 0))
            return lt_onnx_malformed(im, "a scale is %g", scales[i]), NULL;
    }
    return scales;
}

/* Applies what scales or sizes (one is NULL) say, by the op if that can. */
static bool resize_by(Import *im, ResizePlan *plan, Value *scales, Value *sizes) {
    Value *x = im->inputs[0], *given = scales ? scales : sizes;
    Resample *r = &plan->general;
    ResizeTarget target = {.axes = r->axes};
    if (given->type->rank != 1 || !lt_dim_is_const(given->type->dims[0]))
        return lt_onnx_malformed(im, "scales and sizes must be lists of a fixed length");
    const int64_t count = given->type->dims[0]->value;
    if (count != (r->axes ? r->count : x->type->rank))
        return lt_onnx_malformed(im, "%lld scales or sizes for %lld axes", (long long)count,
                                 (long long)(r->axes ? r->count : x->type->rank));
    for (int64_t i = 0, axis; r->axes && i < count; i++)
        if (!lt_onnx_axis(im, r->axes[i], x->type->rank, &axis))
            return false;
    target.count = r->count = count;
    const uint32_t errors = im->module->diags.errors;
    const bool is_usual = plan->mode && plan->direction;
    if (scales)
        target.scales = scales_from(im, scales, &target.count);
    else if (is_usual && strcmp(r->policy, "stretch") == 0)
        target.sizes = lt_onnx_extents(im, sizes, "the list of sizes", &target.count);
    if (im->module->diags.errors != errors)
        return false;
    if (is_usual && (target.scales || target.sizes) && plan_shape(im, plan, &target))
        return set_resize(im, plan);
    r->scales = scales;
    r->sizes = sizes;
    return onnx_set(im, 0, lt_onnx_resample(im, x, r));
}

bool lt_onnx_resize(Import *im) {
    ResizePlan plan = {0};
    if (!plan_mode(im, &plan))
        return false;
    plan.general.axes = lt_onnx_ints(im, "axes", &plan.general.count);
    Value *scales = filled(im, 2), *sizes = filled(im, 3);
    if (!scales == !sizes)
        return lt_onnx_malformed(im, "either scales or sizes are needed");
    if (strcmp(plan.general.direction, "tf_crop_and_resize") == 0) {
        Value *roi = plan.general.roi = filled(im, 1);
        int64_t wanted = plan.general.axes ? plan.general.count : im->inputs[0]->type->rank;
        if (!roi || roi->type->rank != 1 || !lt_dim_is(roi->type->dims[0], 2 * wanted))
            return lt_onnx_malformed(im, "a region of interest of %lld numbers is needed",
                                     (long long)(2 * wanted));
    }
    return resize_by(im, &plan, scales, sizes);
}

/* The attribute of Upsample before version 9. */
static Value *scales_attribute(Import *im) {
    const OnnxAttribute *a = lt_onnx_attribute(im, "scales", ONNX_ATTR_FLOATS);
    if (!a)
        return lt_onnx_malformed(im, "the scales are missing"), NULL;
    float *scales = LT_ARRAY(im->arena, float, a->floats.len + 1);
    for (size_t i = 0; i < a->floats.len; i++)
        memcpy(&scales[i], &a->floats.data[i], sizeof *scales);
    const int64_t count = (int64_t)a->floats.len;
    return lt_build_const(
        &im->b, lt_const(im->module, lt_type_static(im->module, DT_F32, 1, &count), scales));
}

/* Upsample, and Resize of version 10: coordinates are out / scale, and nearest is the floor. */
bool lt_onnx_upsample(Import *im) {
    ResizePlan plan = {.direction = "asymmetric",
                       .cubic = -0.75,
                       .general = {.nearest = "floor",
                                   .direction = "asymmetric",
                                   .policy = "stretch"}};
    const char *mode = lt_onnx_string(im, "mode", "nearest");
    const bool is_nearest = strcmp(mode, "nearest") == 0;
    plan.mode = is_nearest ? "nearest_floor" : "linear";
    plan.general.filter = is_nearest ? RESAMPLE_NEAREST : RESAMPLE_LINEAR;
    if (!is_nearest && strcmp(mode, "linear") != 0 && strcmp(mode, "bilinear") != 0)
        return lt_onnx_malformed(im, "mode is '%s'; expected nearest or linear", mode);
    Value *scales = onnx_in(im, 1) ? onnx_in(im, 1) : scales_attribute(im);
    return scales && resize_by(im, &plan, scales, NULL);
}
