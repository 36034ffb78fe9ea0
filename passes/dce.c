/* dce.c - removes nodes whose results nobody uses.
 * Requires: types. Ensures: every node but a yield has a use.
 *   %1 = exp %0; %2 = neg %0; yield %2      =>      %2 = neg %0; yield %2
 * All ops are pure, so a node without uses does nothing, but for `bind`, whose symbols may be used
 * without its result. Backward order finds whole dead chains in one walk. */
#include "passes/pass.h"

static bool is_dead(const Node *node) {
    if (lt_op_has(node->op, OPF_TERMINATOR | OPF_BINDS))
        return false;
    for (uint32_t i = 0; i < node->output_count; i++)
        if (node->outputs[i]->uses)
            return false;
    return true;
}

static bool clean_graph(Graph *g) {
    bool changed = false;
    for (Node *n = g->last, *before; n; n = before) {
        before = n->prev;
        if (is_dead(n)) {
            lt_node_remove(n);
            changed = true;
            continue;
        }
        for (uint32_t i = 0; i < n->region_count; i++)
            changed |= clean_graph(n->regions[i]);
    }
    return changed;
}

bool lt_pass_dce(PassContext *ctx) { return clean_graph(ctx->module->main); }
