/* infer.c - gives every value its type.
 * Requires: nothing. Ensures: types.
 *   %1 = add %x, %y      =>      %1 = add %x, %y : f32[batch, 8]
 * The readers infer while they build; this pass runs inference again over the whole graph, in
 * order, so that types and contents reflect what --dim fixed, and so that a graph made by hand may
 * leave types out. */
#include "passes/pass.h"

bool lt_pass_infer(PassContext *ctx) {
    lt_infer_graph(ctx->module->main);
    return false;
}
