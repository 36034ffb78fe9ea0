/* pipeline.c - the order of the passes, which reads as the architecture. */
#include "passes/pass.h"

static const char *const pipeline[] = {
    "infer",       /* every later pass reads types */
    "decompose",   /* its positions and weights fold */
    "fold",        /* shape arithmetic and weights' arithmetic disappear first */
    "cse",         /* rules compare operands: equal ones must be one */
    "simplify",    /* one canonical form for what exporters write in many ways */
    "recognize",   /* the parts of a softmax are in that form now */
    "cse",         /* after the canonical form, so that equal means equal */
    "dce",         /* so that layout does not care for dead users */
    "layout",      /* transposes meet and cancel */
    "dce",         /* transposes that lost their users; rewrites count uses */
    "fold",        /* transposed and reshaped weights become weights */
    "simplify",    /* scales, channels last now, move into the weights */
    "fold",        /* the scaled weights */
    "narrow",      /* weights are final, and not packed yet */
    "precision",   /* the same */
    "winograd",    /* scales are in the weights now; before they are packed */
    "pack",        /* last change of weights: panels for the kernels */
    "fold",        /* packed at compile time */
    "cse",         /* paddings and packs that several users share */
    "dce",         /* what folding and packing left */
    "fuse",        /* groups with one kernel each */
    "order",       /* groups are what is alive, not their members */
    "lower",       /* kernels and steps */
    "bands",       /* kernels know their loops; before live ranges are used */
    "plan-memory", /* live ranges are final */
};

const char *const *lt_pipeline(int *count) {
    *count = (int)(sizeof pipeline / sizeof *pipeline);
    return pipeline;
}
