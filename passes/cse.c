/* cse.c - merges nodes that compute the same thing.
 * Requires: types. Ensures: no two nodes of a graph agree in op, operands and attributes.
 *   %1 = exp %0; %2 = exp %0; %3 = add %1, %2      =>      %1 = exp %0; %3 = add %1, %1
 * Operands of commutative maps are compared in either order. Nodes with regions stay as they are.
 */
#include "passes/pass.h"

#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t value) { return lt_hash_u64(hash ^ (value + 0x9e37)); }

static bool is_commutative(const Node *n) {
    return n->op == OP_MAP && n->input_count == 2 && lt_scalar_info[lt_node_fn(n)].commutative;
}

static uint64_t attr_hash(const Attr *a) {
    uint64_t hash = mix(a->name, a->count);
    switch (lt_attr_info[a->name].kind) {
    case ATTR_KIND_STRING: return mix(hash, lt_hash_bytes(a->u.s, strlen(a->u.s), 0));
    case ATTR_KIND_INTS: return mix(hash, lt_hash_bytes(a->u.ints, a->count * sizeof(int64_t), 0));
    case ATTR_KIND_DIMS:
        for (uint32_t i = 0; i < a->count; i++)
            hash = mix(hash, a->u.dims[i]->id);
        return hash;
    case ATTR_KIND_CONST: return mix(hash, a->u.c->id);
    default: return mix(hash, (uint64_t)a->u.i);
    }
}

static bool attrs_equal(const Attr *a, const Attr *b) {
    if (a->name != b->name || a->count != b->count)
        return false;
    switch (lt_attr_info[a->name].kind) {
    case ATTR_KIND_STRING: return strcmp(a->u.s, b->u.s) == 0;
    case ATTR_KIND_INTS: return memcmp(a->u.ints, b->u.ints, a->count * sizeof(int64_t)) == 0;
    case ATTR_KIND_DIMS: return memcmp(a->u.dims, b->u.dims, a->count * sizeof(Dim *)) == 0;
    case ATTR_KIND_CONST: return a->u.c == b->u.c;
    default: return a->u.i == b->u.i;
    }
}

static uint64_t node_hash(const Node *n) {
    uint64_t hash = mix(n->op, n->input_count), sum = 0;
    bool unordered = is_commutative(n);
    for (uint32_t i = 0; i < n->input_count; i++) {
        uint64_t id = n->inputs[i].value ? n->inputs[i].value->id + 1 : 0;
        if (unordered)
            sum += lt_hash_u64(id);
        else
            hash = mix(hash, id);
    }
    hash = mix(hash, sum);
    for (uint32_t i = 0; i < n->attr_count; i++)
        hash = mix(hash, attr_hash(&n->attrs[i]));
    return hash;
}

static bool nodes_equal(const Node *a, const Node *b) {
    if (a->op != b->op || a->input_count != b->input_count || a->attr_count != b->attr_count ||
        a->output_count != b->output_count)
        return false;
    for (uint32_t i = 0; i < a->attr_count; i++)
        if (!attrs_equal(&a->attrs[i], &b->attrs[i]))
            return false;
    bool same = true;
    for (uint32_t i = 0; i < a->input_count; i++)
        same &= lt_input(a, i) == lt_input(b, i);
    if (!same && is_commutative(a))
        same = lt_input(a, 0) == lt_input(b, 1) && lt_input(a, 1) == lt_input(b, 0);
    for (uint32_t i = 0; i < a->output_count && same; i++)
        same = a->outputs[i]->type == b->outputs[i]->type;
    return same;
}

static bool results_can_merge(const Node *into, const Node *n) {
    bool can = true;
    for (uint32_t i = 0; i < n->output_count; i++)
        can &= lt_can_replace(n->outputs[i], into->outputs[i]);
    return can;
}

typedef struct Bucket {
    Node *node;
    struct Bucket *next;
} Bucket;

static bool merge_into_earlier(Arena *scratch, Map *seen, Node *n) {
    uint64_t hash = node_hash(n);
    Bucket *first = lt_map_get(seen, hash);
    for (Bucket *b = first; b; b = b->next) {
        if (!nodes_equal(b->node, n) || !results_can_merge(b->node, n))
            continue;
        for (uint32_t i = 0; i < n->output_count; i++)
            lt_replace(n->outputs[i], b->node->outputs[i]);
        lt_node_remove(n);
        return true;
    }
    Bucket *bucket = LT_NEW(scratch, Bucket);
    *bucket = (Bucket){.node = n, .next = first};
    lt_map_set(seen, hash, bucket);
    return false;
}

bool lt_pass_cse(PassContext *ctx) {
    Map seen;
    lt_map_init(&seen, ctx->scratch);
    bool changed = false;
    LT_EACH_NODE_SAFE(n, lt_pass_graph(ctx)) {
        if (n->region_count || lt_op_has(n->op, OPF_TERMINATOR | OPF_BINDS))
            continue;
        changed |= merge_into_earlier(ctx->scratch, &seen, n);
    }
    return changed;
}
