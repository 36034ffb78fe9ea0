/* simplify.c - applies rewrite rules until none fires: those of simplify.rules, and those in code.
 * Requires: types. Ensures: no rule matches any node of the main graph.
 *   %1 = mul %0, 1; %2 = relu %1      =>      %2 = relu %0
 * Every rule lowers a cost, so rewriting ends; the bound on rounds is for a rewrite that forgets
 * to. */
#include "passes/pass.h"
#include "passes/rules.h"

enum { MAX_ROUNDS = 32 };

static const RuleSet *load_rules(PassContext *ctx) {
    RuleSet *rules = LT_NEW(ctx->scratch, RuleSet);
    const char *error = lt_rules_parse(ctx->scratch, lt_simplify_rules, rules);
    if (error)
        lt_error(&ctx->module->diags, 70, NULL, "simplify.rules: %s", error);
    return rules;
}

static Value *simplify_node(const RuleSet *rules, Node *n, const char **name) {
    const Rule *fired = NULL;
    Value *v = n->op == OP_MAP ? lt_rules_apply(rules, n, &fired) : NULL;
    if (v) {
        *name = fired->name;
        return v;
    }
    for (int i = 0; i < lt_rewrite_count; i++) {
        if (lt_rewrites[i].op != n->op)
            continue;
        v = lt_rewrites[i].apply(n);
        *name = lt_rewrites[i].name;
        if (v)
            return v;
    }
    return NULL;
}

static bool walk(PassContext *ctx, const RuleSet *rules) {
    bool changed = false;
    LT_EACH_NODE_SAFE(n, ctx->module->main) {
        if (n->output_count != 1 || n->region_count || !lt_output(n)->uses)
            continue;
        const char *name;
        Value *v = simplify_node(rules, n, &name);
        if (!v || !lt_can_replace(lt_output(n), v))
            continue;
        lt_remark(&ctx->module->diags, n->loc, "simplify: %s", name);
        lt_replace(lt_output(n), v);
        lt_node_remove(n);
        changed = true;
    }
    return changed;
}

bool lt_pass_simplify(PassContext *ctx) {
    const RuleSet *rules = load_rules(ctx);
    bool changed = false;
    for (int i = 0; i < MAX_ROUNDS && walk(ctx, rules); i++)
        changed = true;
    return changed;
}
