/* layout.h - how ops with attributes about axes let a transpose pass. */
#ifndef LATHE_PASSES_LAYOUT_H
#define LATHE_PASSES_LAYOUT_H

#include "ir/build.h"
#include "passes/pass.h"

/* n works on transpose(x, perm): the same on x, followed by a transpose. NULL: not this op, or not
 * here. */
Value *lt_layout_sink(Builder *b, Node *n, const int64_t *perm, int rank);

#endif
