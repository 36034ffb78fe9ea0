/* fold.c - evaluates what depends on constants alone.
 * Requires: types. Ensures: only large results still have nothing but constant operands; what only
 * folded nodes read is gone.
 *   %0 = const [1, 2]; %1 = neg %0      =>      %1 = const [-1, -2]
 *
 * A value whose content is known to be constant (shape arithmetic) becomes a constant too; one
 * whose content is made of dims becomes a `dims` node, so that the chain that computed it dies.
 * Broadcasts and iotas stay: writing them out would only make the artifact larger. */
#include "ir/build.h"
#include "ir/eval.h"
#include "passes/pass.h"

/* So much is made before what it replaces is released. */
#define RELEASE_BYTES ((size_t)16 << 20)

/* Folding must not make more bytes than it takes away, except where they are few. */
#define LARGE_BYTES 65536

static bool grows(const Node *n, int64_t elements) {
    int64_t out = elements * (int64_t)lt_dtype_size(lt_output(n)->type->dtype), in = 0;
    for (uint32_t i = 0; i < n->input_count; i++) {
        const Const *c = lt_value_const(lt_input(n, i));
        in += c ? (int64_t)c->bytes : 0;
    }
    return out > LARGE_BYTES && out > 2 * in;
}

static bool all_constant(const Node *n) {
    for (uint32_t i = 0; i < n->input_count; i++)
        if (lt_input(n, i) && !lt_value_const(lt_input(n, i)))
            return false;
    return true;
}

/* Adds the bytes of the new constants to *made. */
static bool fold_node(Module *m, Node *n, size_t *made) {
    int64_t elements;
    for (uint32_t i = 0; i < n->output_count; i++)
        if (!lt_type_is_static(n->outputs[i]->type, &elements) || grows(n, elements))
            return false;
    const Const **results = LT_ARRAY(m->arena, const Const *, n->output_count);
    if (!lt_eval_const_node(m, n, results))
        return false;
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    for (uint32_t i = 0; i < n->output_count; i++) {
        lt_replace(n->outputs[i], lt_build_const(&b, results[i]));
        *made += results[i]->bytes;
    }
    return true;
}

/* The known content as a node: constant integers, or dims. */
static bool replace_by_content(Module *m, Node *n) {
    Value *v = lt_output(n);
    const Type *type = v->type;
    if (!v->content || type->dtype != DT_I64 || n->op == OP_DIMS)
        return false;
    int64_t count = type->rank ? type->dims[0]->value : 1;
    Builder b = {.graph = n->graph, .before = n, .loc = n->loc};
    Value *known = lt_build_dims(&b, count, v->content);
    bool constant = true;
    for (int64_t i = 0; i < count; i++)
        constant &= lt_dim_is_const(v->content[i]);
    if (constant) {
        int64_t *values = LT_ARRAY(m->arena, int64_t, count + 1);
        for (int64_t i = 0; i < count; i++)
            values[i] = v->content[i]->value;
        known = lt_build_ints(&b, count, values);
    }
    if (type->rank == 0)
        known = lt_build_reshape(&b, known, 0, NULL);
    if (!known || known->type != type)
        return false;
    lt_replace(v, known);
    return true;
}

/* Removes n, and the constants that only n had. */
static void remove_folded(Node *n) {
    for (uint32_t i = 0; i < n->input_count; i++) {
        Value *operand = lt_input(n, i);
        if (!operand || !lt_value_const(operand))
            continue;
        lt_node_set_input(n, i, NULL);
        if (!operand->uses)
            lt_node_remove(operand->def);
    }
    lt_node_remove(n);
}

bool lt_pass_fold(PassContext *ctx) {
    Module *m = ctx->module;
    bool changed = false;
    size_t made = 0;
    LT_EACH_NODE_SAFE(n, lt_pass_graph(ctx)) {
        bool skip = n->op == OP_CONST || n->op == OP_IOTA || n->op == OP_BROADCAST ||
                    n->region_count || lt_op_has(n->op, OPF_TERMINATOR | OPF_BINDS);
        if (skip)
            continue;
        bool from_dims =
            n->op == OP_RESHAPE && lt_input(n, 0)->def && lt_input(n, 0)->def->op == OP_DIMS;
        bool folded = n->output_count == 1 && !from_dims && replace_by_content(m, n);
        if (!folded && n->op != OP_DIMS && all_constant(n))
            folded = fold_node(m, n, &made);
        if (folded)
            remove_folded(n);
        if (made > RELEASE_BYTES) {
            lt_module_release_consts(m);
            made = 0;
        }
        changed |= folded;
    }
    return changed;
}
