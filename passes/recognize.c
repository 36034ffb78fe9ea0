/* recognize.c - finds whole functions in the parts that exporters write.
 * Requires: types. Ensures: nothing new.
 *   %1 = reduce.max %x {axes = [1], keep = true}; %2 = sub %x, %1; %3 = exp %2;
 *   %4 = reduce.add %3 {axes = [1], keep = true}; %5 = div %3, %4
 *   =>  %5 = softmax %x {axis = 1}
 * A whole function is one kernel that keeps a row in cache, where the parts are several. Runs
 * behind `simplify`: one canonical form of the parts is enough here. */
#include "passes/rewrite.h"

extern const char lt_recognize_rules[]; /* passes/recognize.rules */

static const Rewrite rewrites[] = {
    {"softmax", OP_MAP, lt_recognize_softmax},
    {"layer_norm", OP_MAP, lt_recognize_layer_norm},
    {"layer_norm_scale", OP_MAP, lt_recognize_norm_scale},
    {"layer_norm_bias", OP_MAP, lt_recognize_norm_bias},
};

const RewriteSet lt_recognize_set = {
    .pass = "recognize",
    .rules = lt_recognize_rules,
    .rewrites = rewrites,
    .rewrite_count = sizeof rewrites / sizeof *rewrites,
};

bool lt_pass_recognize(PassContext *ctx) { return lt_rewrite(ctx, &lt_recognize_set); }
