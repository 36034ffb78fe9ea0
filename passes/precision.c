/* precision.c - products of f32 in less precision, where --precision asks for it.
 * Requires: types. Ensures: nothing new.
 *   tf32:  %1 = contract %x, %w   =>  %1 = contract %x, %w {fn = tf32}
 *   bf16:  %1 = contract %x, %w   =>  %1 = contract bf16(%x), bf16(%w) {dtype = f32}
 *
 * Operands of contractions and convolutions are rounded, sums stay in f32; weights are rounded by
 * the next `fold`. All else is as the model states: what is already narrower, other dtypes, and
 * what other ops multiply inside of them (recurrent layers), as a remark says. */
#include "ir/build.h"
#include "passes/pass.h"

const char *const lt_precision_names[PRECISION_LIMIT] = {"f32", "bf16", "f16", "tf32"};

static bool is_product(const Node *n) {
    return (n->op == OP_CONTRACT || n->op == OP_CONV) && lt_input(n, 0)->type->dtype == DT_F32 &&
           lt_input(n, 1)->type->dtype == DT_F32 && !lt_attr(n, ATTR_FN) && !lt_attr(n, ATTR_DTYPE);
}

static void round_operands(Node *n, DType dtype) {
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    lt_node_set_attr(n, (Attr){.name = ATTR_DTYPE, .u.i = lt_output(n)->type->dtype});
    for (uint32_t i = 0; i < 2; i++)
        lt_node_set_input(n, i, lt_build_convert(&b, lt_input(n, i), dtype));
}

static bool narrow_product(const PassContext *ctx, Node *n) {
    if (ctx->precision == PRECISION_TF32)
        lt_node_set_attr(n, lt_int(ATTR_FN, FN_TF32));
    else
        round_operands(n, ctx->precision == PRECISION_BF16 ? DT_BF16 : DT_F16);
    lt_remark(&ctx->module->diags, n->loc, "precision: operands are rounded to %s",
              lt_precision_names[ctx->precision]);
    return true;
}

bool lt_pass_precision(PassContext *ctx) {
    bool changed = false;
    if (ctx->precision == PRECISION_STATED)
        return false;
    LT_EACH_NODE_SAFE(n, lt_pass_graph(ctx)) {
        if (is_product(n))
            changed |= narrow_product(ctx, n);
        else if ((n->op == OP_LSTM || n->op == OP_GRU) && lt_input(n, 0)->type->dtype == DT_F32)
            lt_remark(&ctx->module->diags, n->loc, "precision: %s stays in f32",
                      lt_op_info[n->op].name);
    }
    return changed;
}
