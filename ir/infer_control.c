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

static bool is_data_symbol(const Node *node, const Dim *d) {
    return d->kind == DIM_SYMBOL && infer_dims(node)->symbols.data[d->symbol].data_dependent;
}

/* The types agree, where a dim that is a symbol of data may stand for any. */
static bool is_general(const Node *node, const Type *general, const Type *type) {
    bool same = general->dtype == type->dtype && general->rank == type->rank;
    for (int i = 0; same && i < type->rank; i++)
        same = general->dims[i] == type->dims[i] || is_data_symbol(node, general->dims[i]);
    return same;
}

/* Region inputs first_input... have the types of the operands first_operand..., but for the first
 * `carried`, which may be more general. */
static bool check_region_types(const Node *node, uint32_t region, uint32_t first_input,
                               uint32_t first_operand, uint32_t carried) {
    const Graph *g = node->regions[region];
    for (uint32_t i = first_input; i < g->inputs.len; i++) {
        const Type *expected = input_type(node, i - first_input + first_operand);
        const Type *found = g->inputs.data[i]->type;
        if (found != expected && (i >= first_input + carried || !is_general(node, found, expected)))
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
    if (!check_regions(node, 1, node->input_count) || !check_region_types(node, 0, 0, 0, 0) ||
        !check_yield_count(node, 0, node->output_count))
        return false;
    const Node *yield = region_yield(node, 0);
    for (uint32_t i = 0; i < node->output_count; i++)
        node->outputs[i]->type = input_type(yield, i);
    return true;
}

/* A dim of a result that only a run tells: a symbol, the same one whenever it is inferred. */
static const Dim *dim_of_data(const Node *node, uint32_t output, int axis, const char *prefix) {
    const Type *before = node->outputs[output]->type;
    if (before && axis < before->rank && is_data_symbol(node, before->dims[axis]))
        return before->dims[axis];
    return lt_dim_fresh_data(infer_dims(node), prefix);
}

/* The type of an if's output that both branches yield. */
static bool join_branches(Node *node, uint32_t output) {
    const Type *yes = input_type(region_yield(node, 0), output);
    const Type *no = input_type(region_yield(node, 1), output);
    const Dim *dims[LT_MAX_RANK] = {0};
    bool same = yes->dtype == no->dtype && yes->rank == no->rank;
    for (int i = 0; same && i < yes->rank; i++)
        dims[i] =
            yes->dims[i] == no->dims[i] ? yes->dims[i] : dim_of_data(node, output, i, "branch");
    if (same)
        return lt_infer_set(node, output, yes->dtype, yes->rank, dims);
    lt_error(
        &infer_module(node)->diags, INFER_UNSUPPORTED, node->loc,
        "output %u is %s in one branch and %s in the other, both must be of one dtype and rank",
        output, lt_infer_type_text(node, yes), lt_infer_type_text(node, no));
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
        if (!check_region_types(node, i, 0, 1, 0) ||
            !check_yield_count(node, i, node->output_count))
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
static const Dim *loop_trips(const Node *node, uint32_t output) {
    const Value *trip = lt_input(node, 0), *keep = lt_input(region_yield(node, 0), 0);
    const Value *start = lt_input(node, 1);
    const bool whole = keep->content && lt_dim_is(keep->content[0], 1) && start->content &&
                       lt_dim_is(start->content[0], 1);
    if (whole && trip->content)
        return trip->content[0];
    return dim_of_data(node, output, 0, "trips");
}

/* Whether a carried value's dim differs from one iteration to the next. */
static bool varies(const Node *node, uint32_t i, int axis) {
    const Dim *in_body = node->regions[0]->inputs.data[i + 1]->type->dims[axis];
    return in_body != input_type(node, i + 2)->dims[axis];
}

static bool check_carried(const Node *node, uint32_t count) {
    const Node *yield = region_yield(node, 0);
    for (uint32_t i = 0; i < count; i++) {
        const Type *in_body = node->regions[0]->inputs.data[i + 1]->type;
        const Type *next = input_type(yield, i + 1);
        bool same = in_body->dtype == next->dtype && in_body->rank == next->rank;
        for (int axis = 0; same && axis < next->rank; axis++)
            same = in_body->dims[axis] == next->dims[axis] || varies(node, i, axis);
        if (!same)
            return lt_infer_fail(node, "value %u that the loop carries starts as %s and becomes %s",
                                 i, lt_infer_type_text(node, input_type(node, i + 2)),
                                 lt_infer_type_text(node, input_type(yield, i + 1)));
    }
    return true;
}

static bool infer_carried(Node *node, uint32_t i) {
    const Type *in_body = node->regions[0]->inputs.data[i + 1]->type;
    const Dim *dims[LT_MAX_RANK] = {0};
    for (int axis = 0; axis < in_body->rank; axis++)
        dims[axis] =
            varies(node, i, axis) ? dim_of_data(node, i, axis, "carried") : in_body->dims[axis];
    return lt_infer_set(node, i, in_body->dtype, in_body->rank, dims);
}

/* Slices that lie one behind the other have one size: their dims are known outside. */
static bool check_slice(const Node *node, uint32_t output, const Type *slice) {
    const DimTable *t = infer_dims(node);
    bool *used = LT_ARRAY(infer_module(node)->arena, bool, t->symbols.len + 1);
    bool *outside = LT_ARRAY(infer_module(node)->arena, bool, t->symbols.len + 1);
    for (int i = 0; i < slice->rank; i++)
        lt_dim_symbols_used(slice->dims[i], used);
    for (uint32_t i = 0; i < node->input_count; i++)
        for (int j = 0; j < input_type(node, i)->rank; j++)
            lt_dim_symbols_used(input_type(node, i)->dims[j], outside);
    for (size_t s = 0; s < t->symbols.len; s++) {
        if (!used[s] || outside[s] || !t->symbols.data[s].data_dependent)
            continue;
        lt_error(&infer_module(node)->diags, INFER_UNSUPPORTED, node->loc,
                 "output %u collects %s, whose size depends on the iteration", output,
                 lt_infer_type_text(node, slice));
        return false;
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
        !check_regions(node, 1, node->input_count - 1) ||
        !check_region_types(node, 0, 1, 2, carried) ||
        !check_yield_count(node, 0, node->output_count + 1) || !check_carried(node, carried))
        return false;
    const Node *yield = region_yield(node, 0);
    const Dim *dims[LT_MAX_RANK + 1] = {carried < node->output_count ? loop_trips(node, carried)
                                                                     : NULL};
    for (uint32_t i = 0; i < carried; i++)
        if (!infer_carried(node, i))
            return false;
    for (uint32_t i = carried; i < node->output_count; i++) {
        const Type *type = input_type(yield, i + 1);
        memcpy(dims + 1, type->dims, sizeof(Dim *) * (size_t)type->rank);
        if (!check_slice(node, i, type) ||
            !lt_infer_set(node, i, type->dtype, type->rank + 1, dims))
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
