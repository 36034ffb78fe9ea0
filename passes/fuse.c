/* fuse.c - groups nodes into kernels.
 * Requires: types. Ensures: fused (what is left: fused, const, dims, reshape, library calls).
 *   %1 = conv %x, %w; %2 = add %1, %b; %3 = relu %2
 *   =>  %3 = fused(%x, %w, %b) { conv; add; relu }
 *
 * Three kinds of members gather around at most one anchor, a node that folds:
 *   epilogue  element-wise users of the anchor on the same index space: they run on the result
 *             while it is in registers;
 *   prologue  what feeds the anchor element by element, when the anchor reads each element once;
 *   maps      what is left, each with the producers that nobody else needs.
 * Attention is the one group with three anchors (attention.h, lower_attention.c).
 * At -O0 every node is a group of its own. */
#include "passes/fuse.h"

#include "passes/attention.h"

/* How an anchor reads its operands: how much of a producer may be computed inside it. */
typedef enum { PROLOGUE_NONE, PROLOGUE_VIEWS, PROLOGUE_MAPS } Prologue;

static bool anchor_prologue(const Node *n, Prologue *out) {
    switch (n->op) {
    case OP_CONTRACT: *out = PROLOGUE_VIEWS; return true; /* read many times */
    case OP_CONV: /* in groups: vectors run along the operand's channels */
        *out = lt_attr_int(n, ATTR_GROUPS, 1) == 1 ? PROLOGUE_VIEWS : PROLOGUE_NONE;
        return true;
    case OP_WINOGRAD:
    case OP_WINDOW: *out = PROLOGUE_NONE; return true;
    case OP_REDUCE:
    case OP_ARGREDUCE:
    case OP_SOFTMAX:
    case OP_LOG_SOFTMAX:
    case OP_LAYER_NORM: *out = PROLOGUE_MAPS; return true;
    case OP_SCANREDUCE:
    case OP_SCATTER_ELEMENTS:
    case OP_SCATTER_ND:
    case OP_LSTM:
    case OP_GRU: *out = PROLOGUE_NONE; return true;
    default: return false;
    }
}

/* Several results, or a running state: nothing may follow in the same kernel. */
static bool takes_epilogue(const Node *n) {
    return n->op == OP_CONTRACT || n->op == OP_CONV || n->op == OP_WINOGRAD || n->op == OP_WINDOW ||
           n->op == OP_REDUCE || n->op == OP_SOFTMAX || n->op == OP_LAYER_NORM;
}

static bool stays_outside(const Node *n) {
    return n->op == OP_CONST || n->op == OP_RESHAPE || n->region_count ||
           lt_op_has(n->op, OPF_TERMINATOR | OPF_IRREGULAR | OPF_BINDS);
}

/* A map whose function costs more than a few instructions. */
static bool is_costly(const Node *n) {
    if (n->op != OP_MAP)
        return false;
    ScalarFn fn = lt_node_fn(n);
    return lt_scalar_info[fn].rule == RULE_FLOAT || fn == FN_POW || fn == FN_DIV;
}

static void join_group(Groups *groups, Node *n, uint32_t group) {
    groups->of[n->id] = group;
    groups->sizes[group]++;
    groups->next[n->id] = groups->first[group];
    groups->first[group] = n;
}

static uint32_t start_group(Groups *groups, Node *n) {
    join_group(groups, n, ++groups->count);
    groups->last[groups->count] = n;
    return groups->count;
}

static bool is_full(const Groups *groups, uint32_t group) {
    return groups->sizes[group] >= MAX_GROUP_MEMBERS;
}

/* --- epilogues ----------------------------------------------------------------------------- */

enum { EPILOGUE_REACH = 400 }; /* nodes behind the anchor that are looked at */

/* n reads the group and fits behind it: element-wise on the same index space. */
static bool fits_epilogue(const Groups *groups, const Node *n, uint32_t group, const Type *space) {
    if (!lt_op_has(n->op, OPF_ELEMENTWISE) || groups->of[n->id])
        return false;
    if (!lt_type_same_dims(lt_output(n)->type, space))
        return false;
    bool reads = false;
    for (uint32_t i = 0; i < n->input_count; i++) {
        const Node *def = lt_input(n, i)->def;
        if (!def || groups->of[def->id] != group)
            continue;
        if (!lt_type_same_dims(lt_input(n, i)->type, space))
            return false;
        reads = true;
    }
    return reads;
}

/* Walks forward from the anchor. */
static void grow_epilogue(Groups *groups, Node *anchor, uint32_t group) {
    const Type *space = lt_output(anchor)->type;
    int reach = 0;
    for (Node *n = anchor->next; n && reach < EPILOGUE_REACH; n = n->next, reach++)
        if (!is_full(groups, group) && fits_epilogue(groups, n, group, space) &&
            !lt_groups_reach(groups, n, group)) {
            join_group(groups, n, group);
            groups->last[group] = n;
        }
}

/* --- producers ----------------------------------------------------------------------------- */

static bool used_only_in(const Groups *groups, const Value *v, uint32_t group) {
    for (const Operand *use = v->uses; use; use = use->next_use)
        if (groups->of[use->user->id] != group)
            return false;
    return true;
}

/* One element of the producer is needed for one element of the index space. */
static bool read_once(Module *m, const Node *producer, const Dim *space) {
    return lt_type_elements(m, lt_output(producer)->type) == space;
}

static bool is_view(const Node *n) {
    return n->op == OP_TRANSPOSE || n->op == OP_SLICE || n->op == OP_BROADCAST;
}

static bool may_inline(Groups *groups, const Node *producer, Prologue kind, const Dim *space) {
    if (kind == PROLOGUE_NONE || stays_outside(producer))
        return false;
    if (kind == PROLOGUE_VIEWS) { /* of the rows only: columns are read as vectors */
        const Operand *use = lt_output(producer)->uses;
        return is_view(producer) && use == &use->user->inputs[0];
    }
    bool moves = lt_op_has(producer->op, OPF_INJECTIVE) || producer->op == OP_GATHER ||
                 producer->op == OP_GATHER_ELEMENTS || producer->op == OP_GATHER_ND;
    if (!moves && !lt_op_has(producer->op, OPF_ELEMENTWISE))
        return false;
    bool recomputed = !read_once(groups->module, producer, space);
    return !(recomputed && is_costly(producer));
}

/* Pulls producers of the members into the group until nothing moves; the graph's order makes one
 * backward walk enough. */
static void pull_producers(Groups *groups, uint32_t group, Prologue kind, const Dim *space) {
    for (Node *n = groups->last[group]->prev; n && !is_full(groups, group); n = n->prev) {
        if (groups->of[n->id] || n->output_count != 1)
            continue;
        const Value *v = lt_output(n);
        if (!v->uses || !used_only_in(groups, v, group))
            continue;
        if (may_inline(groups, n, kind, space) && !lt_groups_reach(groups, n, group))
            join_group(groups, n, group);
    }
}

/* --- the pass ------------------------------------------------------------------------------ */

/* What puts heads beside each other again, if nothing else reads the sums: rows stay whole. */
static void take_transpose(Groups *groups, const Node *sums, uint32_t group) {
    const Operand *use = lt_output(sums)->uses;
    if (!use || use->next_use || use->user->op != OP_TRANSPOSE || groups->of[use->user->id])
        return;
    const Attr *perm = lt_attr(use->user, ATTR_PERM);
    if (perm->u.ints[perm->count - 1] == perm->count - 1)
        join_group(groups, use->user, group);
}

/* NULL, or why an attention is not computed in one kernel. */
static const char *why_no_attention(const Attention *a, const Target *target, AttentionTile *tile) {
    const Type *type = lt_output(a->sums)->type;
    if (!lt_attention_is_closed(a))
        return "others read them";
    if (lt_target_is_gpu(target))
        return lt_attention_tile(a, target, tile);
    return lt_dim_is_const(type->dims[type->rank - 1]) ? NULL
                                                       : "the size of its values is not known";
}

static void remark_attention(DiagList *diags, const Node *sums, const AttentionTile *tile) {
    if (!tile->rows) {
        lt_remark(diags, sums->loc, "fuse: attention in one kernel");
        return;
    }
    lt_remark(diags, sums->loc, "fuse: attention in one kernel, tiles of %lld x %lld",
              (long long)tile->rows, (long long)tile->columns);
    if (tile->why_no_mma)
        lt_remark(diags, sums->loc, "fuse: attention: no tensor cores: %s", tile->why_no_mma);
}

/* An attention is one group, with what follows it. */
static void group_attention(Groups *groups, Node *sums, const Target *target) {
    Attention a;
    AttentionTile tile = {.rows = 0};
    DiagList *diags = &groups->module->diags;
    if (!lt_attention_match(sums, &a) || (!lt_target_is_gpu(target) && !lt_attention_is_packed(&a)))
        return;
    const char *why_not = why_no_attention(&a, target, &tile);
    if (why_not) {
        lt_remark(diags, sums->loc, "fuse: the scores of this attention go through memory: %s",
                  why_not);
        return;
    }
    const uint32_t group = start_group(groups, sums);
    join_group(groups, a.softmax, group);
    for (int i = 0; i < a.behind_count; i++)
        join_group(groups, a.behind[i], group);
    if (a.test)
        join_group(groups, a.test, group);
    for (int i = 0; i < a.link_count; i++)
        join_group(groups, a.links[i], group);
    join_group(groups, a.scores, group);
    grow_epilogue(groups, sums, group);
    take_transpose(groups, sums, group);
    remark_attention(diags, sums, &tile);
}

static bool has_contraction(const Groups *groups, uint32_t group) {
    const Node *member = groups->first[group];
    while (member && member->op != OP_CONTRACT)
        member = groups->next[member->id];
    return member != NULL;
}

static void group_attentions(Groups *groups, Graph *g, const Target *target) {
    LT_EACH_NODE(n, g)
    if (!groups->of[n->id])
        group_attention(groups, n, target);
}

static void group_anchors(Groups *groups, Graph *g, bool optimize) {
    LT_EACH_NODE(n, g) {
        Prologue kind;
        if (groups->of[n->id] || !anchor_prologue(n, &kind))
            continue;
        uint32_t group = start_group(groups, n);
        if (optimize && takes_epilogue(n))
            grow_epilogue(groups, n, group);
    }
    if (!optimize)
        return;
    for (Node *n = g->last; n; n = n->prev) {
        Prologue kind;
        if (!anchor_prologue(n, &kind) || kind == PROLOGUE_NONE)
            continue;
        if (n->op == OP_SOFTMAX && has_contraction(groups, groups->of[n->id]))
            kind = PROLOGUE_VIEWS; /* the contractions read many times */
        const Dim *space = lt_type_elements(groups->module, lt_input(n, 0)->type);
        pull_producers(groups, groups->of[n->id], kind, space);
    }
}

static void group_maps(Groups *groups, Graph *g, bool optimize) {
    for (Node *n = g->last; n; n = n->prev) {
        if (groups->of[n->id] || stays_outside(n))
            continue;
        uint32_t group = start_group(groups, n);
        const Dim *space = lt_type_elements(groups->module, lt_output(n)->type);
        if (optimize)
            pull_producers(groups, group, PROLOGUE_MAPS, space);
    }
}

bool lt_pass_fuse(PassContext *ctx) {
    Graph *g = lt_pass_graph(ctx);
    uint32_t limit = ctx->module->next_node;
    Groups groups = {
        .module = ctx->module,
        .scratch = ctx->scratch,
        .of = LT_ARRAY(ctx->scratch, uint32_t, limit + 1),
        .sizes = LT_ARRAY(ctx->scratch, uint32_t, limit + 2),
        .node_limit = limit,
        .first = LT_ARRAY(ctx->scratch, Node *, limit + 2),
        .last = LT_ARRAY(ctx->scratch, Node *, limit + 2),
        .next = LT_ARRAY(ctx->scratch, Node *, limit + 1),
        .seen = LT_ARRAY(ctx->scratch, uint32_t, limit + 1),
    };
    lt_groups_find_binders(&groups, g);
    if (ctx->level > 0)
        group_attentions(&groups, g, ctx->target);
    group_anchors(&groups, g, ctx->level > 0);
    group_maps(&groups, g, ctx->level > 0);
    lt_groups_build(&groups, g);
    return groups.count > 0;
}
