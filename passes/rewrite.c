/* rewrite.c - the worklist behind `simplify` and `recognize`.
 *
 * Nodes are looked at in graph order first. Where something fires, what is new and who reads it are
 * looked at again, and so is the last reader of a value that lost its others: rules apply there
 * that did not before. */
#include "passes/rewrite.h"

#include <string.h>

typedef struct Rewriting {
    PassContext *ctx;
    const RewriteSet *set;
    const RuleSet *rules;
    Vec(Node *) work; /* a queue: work.data[next] is the next one */
    size_t next;
    Map queued;      /* by node id */
    uint32_t *fired; /* by rule, then by rewrite */
    uint32_t total;
} Rewriting;

/* Far above what any measure allows: reached only when a rewrite function undoes another one. */
enum { MOST_FIRINGS_PER_NODE = 64 };

static void enqueue(Rewriting *r, Node *n) {
    if (!n || !n->graph || n->output_count != 1 || lt_map_get(&r->queued, n->id))
        return;
    lt_map_set(&r->queued, n->id, n);
    lt_vec_push(r->ctx->scratch, &r->work, n);
}

static void enqueue_users(Rewriting *r, const Value *v) {
    for (const Operand *use = v->uses; use; use = use->next_use)
        enqueue(r, use->user);
}

static bool is_wanted(const Rewriting *r, const char *name) {
    return !r->set->only || strcmp(r->set->only, name) == 0;
}

/* v in the place of n's result; what was built for a v that does not fit is taken back. */
static Value *accepted(const BuildMark *mark, Node *n, Value *v) {
    if (v && v->type == lt_output(n)->type && lt_can_replace(lt_output(n), v))
        return v;
    lt_build_undo(mark);
    return NULL;
}

static Value *apply_rules(Rewriting *r, Node *n) {
    for (const Rule *rule = lt_rules_for(r->rules, n); rule; rule = rule->next) {
        if (!is_wanted(r, rule->name))
            continue;
        const BuildMark mark = lt_build_mark(n);
        Value *v = accepted(&mark, n, lt_rule_apply(rule, n));
        if (v) {
            r->fired[rule->index]++;
            return v;
        }
    }
    return NULL;
}

static Value *apply_rewrites(Rewriting *r, Node *n) {
    for (int i = 0; i < r->set->rewrite_count; i++) {
        const Rewrite *rewrite = &r->set->rewrites[i];
        if (rewrite->op != n->op || !is_wanted(r, rewrite->name))
            continue;
        const BuildMark mark = lt_build_mark(n);
        Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
        Value *v = accepted(&mark, n, rewrite->apply(&b, n));
        if (v) {
            r->fired[r->rules->rules.len + (size_t)i]++;
            return v;
        }
    }
    return NULL;
}

/* Puts v in the place of n's result, and looks again at what that touches. */
static void replace(Rewriting *r, Node *n, const Node *mark, Value *v) {
    Value *old = lt_output(n);
    for (Node *made = n->prev; made && made != mark; made = made->prev)
        enqueue(r, made);
    lt_replace(old, v);
    enqueue_users(r, v);
    Vec(Value *) operands = {0};
    for (uint32_t i = 0; i < n->input_count; i++)
        if (lt_input(n, i))
            lt_vec_push(r->ctx->scratch, &operands, lt_input(n, i));
    lt_remove_unused(old);
    for (size_t i = 0; i < operands.len; i++)
        if (lt_value_use_count(operands.data[i]) == 1)
            enqueue_users(r, operands.data[i]);
    enqueue(r, v->def);
}

static void visit(Rewriting *r, Node *n) {
    if (!n->graph || !lt_output(n)->uses)
        return;
    const Node *mark = n->prev;
    Value *v = apply_rules(r, n);
    if (!v)
        v = apply_rewrites(r, n);
    if (!v)
        return;
    r->total++;
    replace(r, n, mark, v);
}

static void report(const Rewriting *r) {
    DiagList *diags = &r->ctx->module->diags;
    size_t rule_count = r->rules->rules.len;
    for (size_t i = 0; i < rule_count; i++)
        if (r->fired[i])
            lt_remark(diags, NULL, "%s: %s, %u times", r->set->pass, r->rules->rules.data[i]->name,
                      r->fired[i]);
    for (int i = 0; i < r->set->rewrite_count; i++)
        if (r->fired[rule_count + (size_t)i])
            lt_remark(diags, NULL, "%s: %s, %u times", r->set->pass, r->set->rewrites[i].name,
                      r->fired[rule_count + (size_t)i]);
}

bool lt_rewrite(PassContext *ctx, const RewriteSet *set) {
    enum { STATUS_INTERNAL = 70 };
    const char *error = NULL;
    const RuleSet *rules = lt_rules_read(ctx->scratch, set->rules, &error);
    Rewriting r = {.ctx = ctx, .set = set, .rules = rules};
    if (!r.rules) {
        lt_error(&ctx->module->diags, STATUS_INTERNAL, NULL, "%s: %s", set->pass, error);
        return false;
    }
    r.fired = LT_ARRAY(ctx->scratch, uint32_t, r.rules->rules.len + (size_t)set->rewrite_count);
    lt_map_init(&r.queued, ctx->scratch);
    LT_EACH_NODE(n, lt_pass_graph(ctx))
    enqueue(&r, n);
    const size_t limit = (r.work.len + 1) * MOST_FIRINGS_PER_NODE;
    while (r.next < r.work.len && r.total < limit) {
        Node *n = r.work.data[r.next++];
        lt_map_set(&r.queued, n->id, NULL);
        visit(&r, n);
    }
    report(&r);
    if (r.next < r.work.len)
        lt_remark(&ctx->module->diags, NULL, "%s: stopped after %u rewrites", set->pass, r.total);
    return r.total > 0;
}
