/* pipeline.c - the order of the passes, which reads as the architecture. */
#include "passes/pass.h"

static const char *const pipeline[] = {
    "infer",       /* every later pass reads types */
    "fold",        /* shape arithmetic and weights' arithmetic disappear first */
    "cse",         /* after the canonical form, so that equal means equal */
    "dce",         /* so that layout does not care for dead users */
    "layout",      /* transposes meet and cancel */
    "fold",        /* transposed and reshaped weights become weights */
    "pack",        /* last change of weights: panels for the kernels */
    "fold",        /* packed at compile time */
    "cse",         /* paddings and packs that several users share */
    "dce",         /* what folding and packing left */
    "fuse",        /* groups with one kernel each */
    "lower",       /* kernels and steps */
    "plan-memory", /* live ranges are final */
};

const char *const *lt_pipeline(int *count) {
    *count = (int)(sizeof pipeline / sizeof *pipeline);
    return pipeline;
}
