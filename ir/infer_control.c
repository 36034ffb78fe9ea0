/* infer_control.c - types of the ops with regions, and of the composites. */
#include <string.h>

#include "ir/infer.h"

/* --- regions -------------------------------------------------------------------------------------
 */

static Node *region_yield(const Node *node, uint32_t region) {
    Node *last = node->regions[region]->last;
    return last && last->op == OP_YIELD ? last : NULL;
}

/* The node has `count` regions, each finished and with `inputs` inputs. */
static bool check_regions(const Node *node, uint32_t count, uint32_t inputs) {
    const char *name = lt_op_info[node->op].name;
    if (node->region_count != count)
        return lt_infer_fail(node, "%s has %u regions, %u are expected", name, node->region_count,
                             count);
    for (uint32_t i = 0; i < count; i++) {
        if (node->regions[i]->inputs.len != inputs)
            return lt_infer_fail(node, "region %u of %s has %zu inputs, %u are expected", i, name,
                                 node->regions[i]->inputs.len, inputs);
        if (!region_yield(node, i))
            return lt_infer_fail(node, "region %u of %s does not end with a yield", i, name);
    }
    return true;
}

/* Region inputs first_input... have the types of the operands first_operand... */
static bool check_region_types(const Node *node, uint32_t region, uint32_t first_input,
                               uint32_t first_operand) {
    const Graph *g = node->regions[region];
    for (uint32_t i = first_input; i < g->inputs.len; i++) {
        const Type *expected = input_type(node, i - first_input + first_operand);
        if (g->inputs.data[i]->type != expected)
            return lt_infer_fail(node, "input %u of region %u is %s, the operand is %s", i, region,
                                 lt_infer_type_text(node, g->inputs.data[i]->type),
                                 lt_infer_type_text(node, expected));
    }
    return true;
}

static bool check_yield_count(const Node *node, uint32_t region, uint32_t expected) {
    const uint32_t found = region_yield(node, region)->input_count;
    return found == expected || lt_infer_fail(node, "region %u yields %u values, %u are expected",
                                              region, found, expected);
}

bool lt_infer_FUSED(Node *node) {
    if (!check_regions(node, 1, node->input_count) || !check_region_types(node, 0, 0, 0) ||
        !check_yield_count(node, 0, node->output_count))
        return false;
    const Node *yield = region_yield(node, 0);
    for (uint32_t i = 0; i < node->output_count; i++)
        node->outputs[i]->type = input_type(yield, i);
    return true;
}

/* The type of an if's output that both branches yield. */
static bool join_branches(Node *node, uint32_t output) {
    const Type *yes = input_type(region_yield(node, 0), output);
    const Type *no = input_type(region_yield(node, 1), output);
    const Dim *dims[LT_MAX_RANK] = {0};
    bool same = yes->dtype == no->dtype && yes->rank == no->rank;
    for (int i = 0; same && i < yes->rank; i++)
        same = lt_infer_unify(node, yes->dims[i], no->dims[i], &dims[i]);
    if (same)
        return lt_infer_set(node, output, yes->dtype, yes->rank, dims);
    lt_error(&infer_module(node)->diags, INFER_UNSUPPORTED, node->loc,
             "output %u is %s in one branch and %s in the other, both must be the same", output,
             lt_infer_type_text(node, yes), lt_infer_type_text(node, no));
    return false;
}

/* A condition is one bool. */
static bool check_condition(const Node *node, uint32_t input) {
    return lt_infer_need_dtype(node, input, DT_BOOL) &&
           (lt_dim_is(lt_type_elements(infer_module(node), input_type(node, input)), 1) ||
            lt_infer_fail(node, "input %u is a condition, it must have one element, not %s", input,
                          lt_infer_type_text(node, input_type(node, input))));
}

bool lt_infer_IF(Node *node) {
    if (!check_condition(node, 0) || !check_regions(node, 2, node->input_count - 1))
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        if (!check_region_types(node, i, 0, 1) || !check_yield_count(node, i, node->output_count))
            return false;
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (!join_branches(node, i))
            return false;
    }
    return true;
}

/* How often the body runs: the trip count when it is known and the body never stops early, else a
 * symbol. */
static const Dim *loop_trips(const Node *node, const Dim *before) {
    const Value *trip = lt_input(node, 0), *keep = lt_input(region_yield(node, 0), 0);
    const Value *start = lt_input(node, 1);
    const bool whole = keep->content && lt_dim_is(keep->content[0], 1) && start->content &&
                       lt_dim_is(start->content[0], 1);
    if (whole && trip->content)
        return trip->content[0];
    if (before) /* inferred once already: the symbol stays the same */
        return before;
    const Dim *fresh = lt_dim_fresh(infer_dims(node), "trips");
    lt_dim_set_range(infer_dims(node), fresh, 0, LT_DIM_UNBOUNDED);
    infer_dims(node)->symbols.data[fresh->symbol].data_dependent = true;
    return fresh;
}

static bool check_carried(const Node *node, uint32_t count) {
    const Node *yield = region_yield(node, 0);
    for (uint32_t i = 0; i < count; i++) {
        if (input_type(yield, i + 1) != input_type(node, i + 2))
            return lt_infer_fail(node, "value %u that the loop carries starts as %s and becomes %s",
                                 i, lt_infer_type_text(node, input_type(node, i + 2)),
                                 lt_infer_type_text(node, input_type(yield, i + 1)));
    }
    return true;
}

bool lt_infer_LOOP(Node *node) {
    const int64_t count = lt_attr_int(node, ATTR_COUNT, 0);
    if (count < 0 || count > node->input_count - 2 || count > node->output_count)
        return lt_infer_fail(node, "a loop of %u inputs and %u outputs cannot carry %lld values",
                             node->input_count, node->output_count, (long long)count);
    const uint32_t carried = (uint32_t)count;
    if (!lt_infer_need_dtype(node, 0, DT_I64) || !check_condition(node, 1) ||
        !check_regions(node, 1, node->input_count - 1) || !check_region_types(node, 0, 1, 2) ||
        !check_yield_count(node, 0, node->output_count + 1) || !check_carried(node, carried))
        return false;
    const Node *yield = region_yield(node, 0);
    const Value *stacked = carried < node->output_count ? node->outputs[carried] : NULL;
    const Dim *dims[LT_MAX_RANK + 1] = {
        stacked ? loop_trips(node, stacked->type ? stacked->type->dims[0] : NULL) : NULL};
    for (uint32_t i = 0; i < node->output_count; i++) {
        const Type *type = input_type(yield, i + 1);
        memcpy(dims + 1, type->dims, sizeof(Dim *) * (size_t)type->rank);
        node->outputs[i]->type = type;
        if (i >= carried && !lt_infer_set(node, i, type->dtype, type->rank + 1, dims))
            return false;
    }
    return true;
}

/* --- composites ----------------------------------------------------------------------------------
 */

static bool infer_along_axis(Node *node) {
    return lt_infer_need_float(node, 0) &&
           lt_infer_need_axis(node, 0, lt_attr_int(node, ATTR_AXIS, 0)) &&
           lt_infer_set_like(node, 0, input_type(node, 0));
}

bool lt_infer_SOFTMAX(Node *node) { return infer_along_axis(node); }
bool lt_infer_LOG_SOFTMAX(Node *node) { return infer_along_axis(node); }

bool lt_infer_LAYER_NORM(Node *node) {
    if (!infer_along_axis(node))
        return false;
    const Type *x = input_type(node, 0);
    const int axis = (int)lt_attr_int(node, ATTR_AXIS, 0);
    const Type *expected = lt_type(infer_module(node), x->dtype, x->rank - axis, x->dims + axis);
    for (uint32_t i = 1; i < node->input_count; i++) {
        if (!lt_input(node, i))
            continue;
        if (!lt_infer_need_dtype(node, i, x->dtype) ||
            !lt_infer_same_dims(node, input_type(node, i), expected,
                                i == 1 ? "the scale" : "the bias", "what is normalized"))
            return false;
    }
    return true;
}

/* An input of a recurrent layer has this dtype and these dims. */
static bool check_state(const Node *node, uint32_t input, int rank, const Dim *const *dims) {
    const Type *expected = lt_type(infer_module(node), input_type(node, 0)->dtype, rank, dims);
    char name[32] = "input 0";
    name[6] = (char)('0' + input);
    return lt_infer_need_dtype(node, input, expected->dtype) &&
           lt_infer_same_dims(node, input_type(node, input), expected, name, "what is expected");
}

/* Outputs y [t, n, h], then `states` of [n, h]; checks the gates [t, n, gates * h] and weights [h,
 * gates * h]. */
static bool infer_recurrent(Node *node, int gates, uint32_t first_state, uint32_t states) {
    if (!lt_infer_need_float(node, 0) || !lt_infer_need_rank(node, 0, 3) ||
        !lt_infer_need_rank(node, 1, 2))
        return false;
    const Type *x = input_type(node, 0);
    const Dim *hidden = input_type(node, 1)->dims[0];
    const Dim *wide = lt_dim_mul_const(infer_dims(node), hidden, gates);
    const Dim *all[3] = {x->dims[0], x->dims[1], hidden}, *ignored;
    if (!check_state(node, 1, 2, (const Dim *const[]){hidden, wide}))
        return false;
    if (!lt_infer_unify(node, x->dims[2], wide, &ignored))
        return lt_infer_fail(
            node, "input 0 has %s gates, %d times the %s of the recurrent weights are expected",
            lt_infer_dim_text(node, x->dims[2]), gates, lt_infer_dim_text(node, hidden));
    for (uint32_t i = 0; i < states; i++) {
        if (!check_state(node, first_state + i, 2, all + 1) ||
            !lt_infer_set(node, i + 1, x->dtype, 2, all + 1))
            return false;
    }
    return lt_infer_set(node, 0, x->dtype, 3, all);
}

bool lt_infer_LSTM(Node *node) { return infer_recurrent(node, 4, 2, 2); }

bool lt_infer_GRU(Node *node) {
    const char *mode = lt_attr_string(node, ATTR_MODE, "");
    if (*mode && strcmp(mode, "linear_before_reset") != 0)
        return lt_infer_fail(node, "gru mode \"%s\" is not linear_before_reset", mode);
    if (!infer_recurrent(node, 3, 3, 1))
        return false;
    const Dim *wide = input_type(node, 1)->dims[1];
    return check_state(node, 2, 1, &wide);
}

static bool one_of(const char *text, const char *const *names) {
    while (*names && strcmp(text, *names) != 0)
        names++;
    return *names != NULL;
}

bool lt_infer_RESIZE(Node *node) {
    static const char *const modes[] = {"nearest_floor", "nearest_ceil", "nearest_round",
                                        "linear",        "cubic",        NULL};
    static const char *const directions[] = {"half_pixel", "asymmetric", "align_corners",
                                             "pytorch_half_pixel", NULL};
    const Type *from = input_type(node, 0);
    const Attr *shape = lt_infer_list(node, ATTR_SHAPE, from->rank);
    const char *mode = lt_attr_string(node, ATTR_MODE, ""), *direction;
    direction = lt_attr_string(node, ATTR_DIRECTION, "half_pixel");
    if (!shape)
        return false;
    if (!one_of(mode, modes))
        return lt_infer_fail(node, "resize mode \"%s\" is not known", mode);
    if (!one_of(direction, directions))
        return lt_infer_fail(node, "coordinate mode \"%s\" of resize is not known", direction);
    if (strncmp(mode, "nearest", 7) != 0 && !lt_infer_need_float(node, 0))
        return false;
    return lt_infer_set(node, 0, from->dtype, from->rank, shape->u.dims);
}
