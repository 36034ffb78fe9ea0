/* simplify.c - algebra: rewrites that make the graph smaller or cheaper.
 * Requires: types. Ensures: no rule of passes/simplify.rules applies, nor a rewrite of the table.
 *   %1 = add %x, 0; %2 = max %1, 0; %3 = min %2, 6      =>      %3 = clamp %x, 0, 6
 * What can be said in a line is a rule. The table holds the rest: rewrites that compute attributes,
 * and those that fold a scale into the weights before it. */
#include "passes/rewrite.h"

extern const char lt_simplify_rules[]; /* passes/simplify.rules */

static const Rewrite rewrites[] = {
    {"transpose", OP_TRANSPOSE, lt_rewrite_transpose},
    {"slice_nothing", OP_SLICE, lt_rewrite_slice},
    {"pad_nothing", OP_PAD, lt_rewrite_pad},
    {"gather_to_slice", OP_GATHER, lt_rewrite_gather},
    {"reduce_twice", OP_REDUCE, lt_rewrite_reduce},
    {"scale_weights", OP_MAP, lt_rewrite_scale},
    {"small_operands", OP_MAP, lt_rewrite_operands},
    {"one_hot_product", OP_CONTRACT, lt_rewrite_one_hot},
    {"lookup_map", OP_MAP, lt_rewrite_lookup_map},
    {"lookup_convert", OP_CONVERT, lt_rewrite_lookup_map},
};

const RewriteSet lt_simplify_set = {
    .pass = "simplify",
    .rules = lt_simplify_rules,
    .rewrites = rewrites,
    .rewrite_count = sizeof rewrites / sizeof *rewrites,
};

bool lt_pass_simplify(PassContext *ctx) { return lt_rewrite(ctx, &lt_simplify_set); }
