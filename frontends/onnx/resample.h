/* resample.h - resizing where the resize op of the IR does not reach: scales that only a run tells
 * or that leave a rest, filters against aliasing, regions of interest. */
#ifndef LATHE_FRONTENDS_ONNX_RESAMPLE_H
#define LATHE_FRONTENDS_ONNX_RESAMPLE_H

#include "frontends/onnx/extents.h"

typedef enum { RESAMPLE_NEAREST, RESAMPLE_LINEAR, RESAMPLE_CUBIC } ResampleFilter;

typedef struct Resample {
    ResampleFilter filter;
    const char *nearest, *direction; /* as the attributes of Resize have them */
    double cubic, extrapolation;
    bool antialias, exclude_outside;
    const char *policy; /* of sizes: keep_aspect_ratio_policy */
    Value *scales, *sizes; /* one of them: for each of axes */
    Value *roi;            /* their starts, then their ends */
    const int64_t *axes;
    int64_t count;
} Resample;

/* NULL after an error. */
Value *lt_onnx_resample(Import *im, Value *x, const Resample *r);

#endif
