/* test_verify.c - one right module, broken by hand once for each rule: the rule must name itself.
 */
#include "ir/build.h"
#include "tests/test.h"

static Arena arena;
static Module *module;

static const char text[] = "symbol h in 1..\n"
                           "graph main(%x: f32[h,4], %y: f32[h,4]) {\n"
                           "  %c = const f32[4] [1, 2, 3, 4]\n"
                           "  %a = add %x, %c\n"
                           "  %r = reduce.add %a {axes = [0, 1], keep = true}\n"
                           "  %s = softmax %a {axis = 1}\n"
                           "  %f = fused %a, %s region(%p: f32[h,4], %q: f32[h,4]) {\n"
                           "    %m = mul %p, %q\n"
                           "    yield %m\n"
                           "  }\n"
                           "  yield %f, %r\n"
                           "}\n";

static Node *find(Op op) {
    LT_EACH_NODE(node, module->main) {
        if (node->op == op)
            return node;
    }
    ck_abort_msg("no %s", lt_op_info[op].name);
}

static Attr *find_attr(Op op, AttrName name) { return (Attr *)lt_attr(find(op), name); }

/* --- one breach a function ------------------------------------------------------------------- */

static void break_links(void) { find(OP_MAP)->prev = NULL; }
static void break_ring(void) { find(OP_MAP)->graph = find(OP_FUSED)->regions[0]; }
static void break_end(void) { module->main->last = find(OP_MAP); }

static void break_yield(void) { lt_node_remove(module->main->last); }
static void break_yield_place(void) { lt_node_move_before(module->main->last, find(OP_SOFTMAX)); }
static void break_region_yield(void) { lt_node_remove(find(OP_FUSED)->regions[0]->last); }

static void break_input_index(void) { module->main->inputs.data[1]->index = 0; }
static void break_input_type(void) { module->main->inputs.data[1]->type = NULL; }
static void break_input_id(void) {
    module->main->inputs.data[1]->id = module->main->inputs.data[0]->id;
}

static void break_node_id(void) { find(OP_MAP)->id = find(OP_CONST)->id; }
static void break_node_limit(void) { find(OP_MAP)->id = module->next_node; }
static void break_value_id(void) { lt_output(find(OP_MAP))->id = 0; }
static void break_value_limit(void) { lt_output(find(OP_MAP))->id = module->next_value; }

static void break_user(void) { find(OP_SOFTMAX)->inputs[0].user = find(OP_MAP); }
static void break_operand(void) {
    find(OP_SOFTMAX)->inputs[0].value = module->main->inputs.data[0];
}
static void break_use(void) { lt_output(find(OP_MAP))->uses = NULL; }

static void break_input_count(void) {
    lt_node_add_input(find(OP_SOFTMAX), module->main->inputs.data[0]);
}
static void break_absent(void) { lt_node_set_input(find(OP_MAP), 0, NULL); }
static void break_output_index(void) { lt_output(find(OP_MAP))->index = 1; }
static void break_output_type(void) { lt_output(find(OP_MAP))->type = NULL; }

static void break_order(void) { lt_node_move_before(find(OP_SOFTMAX), find(OP_MAP)); }
static void break_scope(void) {
    lt_node_set_input(find(OP_SOFTMAX), 0, find(OP_FUSED)->regions[0]->inputs.data[0]);
}

static void break_unknown_attr(void) { lt_node_set_attr(find(OP_SOFTMAX), lt_int(ATTR_KEEP, 1)); }
static void break_attr_order(void) {
    Attr *attrs = find(OP_REDUCE)->attrs;
    const Attr first = attrs[0];
    attrs[0] = attrs[1];
    attrs[1] = first;
}
static void break_missing_attr(void) { find(OP_SOFTMAX)->attr_count = 0; }

static void break_const_dims(void) {
    const Dim *h = module->main->inputs.data[0]->type->dims[0];
    ((Const *)find_attr(OP_CONST, ATTR_VALUE)->u.c)->type = lt_type(module, DT_F32, 1, &h);
}
static void break_const_bytes(void) { ((Const *)find_attr(OP_CONST, ATTR_VALUE)->u.c)->bytes = 15; }

static void break_axis(void) { find_attr(OP_SOFTMAX, ATTR_AXIS)->u.i = -1; }
static void break_axis_limit(void) { find_attr(OP_SOFTMAX, ATTR_AXIS)->u.i = 2; }
static void break_axes(void) {
    lt_node_set_attr(find(OP_REDUCE), lt_ints(ATTR_AXES, (int64_t[]){1, 0}, 2));
}

static void break_region_parent(void) { find(OP_FUSED)->regions[0]->parent = NULL; }
static void break_region_inputs(void) {
    lt_node_add_input(find(OP_FUSED), module->main->inputs.data[0]);
}
static void break_region_type(void) {
    lt_node_set_input(find(OP_FUSED), 1, lt_output(find(OP_REDUCE)));
}
static void break_regions(void) {
    find(OP_SOFTMAX)->regions = find(OP_FUSED)->regions;
    find(OP_SOFTMAX)->region_count = 1;
}

static void break_type(void) {
    lt_output(find(OP_MAP))->type =
        lt_type_with_dtype(module, lt_output(find(OP_MAP))->type, DT_F16);
}
static void break_inference(void) { find(OP_SOFTMAX)->op = OP_LAYER_NORM; }

typedef struct Breach {
    void (*make)(void);
    const char *rule, *text;
} Breach;

static const Breach breaches[] = {
    {break_links, "nodes-linked", "does not point back"},
    {break_ring, "nodes-linked", "in the list of a graph that is not its own"},
    {break_end, "nodes-linked", "not the end of the list"},
    {break_yield, "yield-last", "does not end with yield"},
    {break_yield_place, "yield-last", "does not end with yield"},
    {break_region_yield, "yield-last", "does not end with yield"},
    {break_input_index, "inputs-placed", "input 1"},
    {break_input_type, "inputs-placed", "input 1"},
    {break_input_id, "inputs-placed", "which another value has"},
    {break_node_id, "ids-dense", "another node has the id 0"},
    {break_node_limit, "ids-dense", "ids are below"},
    {break_value_id, "ids-dense", "which another value has"},
    {break_value_limit, "ids-dense", "ids are below"},
    {break_user, "use-lists-agree", "is not an operand of node 1"},
    {break_operand, "use-lists-agree", "use list"},
    {break_use, "use-lists-agree", "operand 0 is not in the use list"},
    {break_input_count, "arity", "2 operands, softmax takes 1 to 1"},
    {break_absent, "arity", "operand 0 is absent"},
    {break_output_index, "arity", "output 0"},
    {break_output_type, "arity", "output 0"},
    {break_order, "operands-dominate", "operand 0 is not defined before"},
    {break_scope, "operands-dominate", "operand 0 is of another graph"},
    {break_unknown_attr, "attributes-known", "softmax has no attribute keep"},
    {break_attr_order, "attributes-known", "out of order"},
    {break_missing_attr, "attributes-required", "softmax needs the attribute axis"},
    {break_const_dims, "const-type-static", "is not a number"},
    {break_const_bytes, "const-type-static", "holds 15 bytes, its type needs 16"},
    {break_axis, "axes-normalized", "axis -1 is not in 0..1"},
    {break_axis_limit, "axes-normalized", "axis 2 is not in 0..1"},
    {break_axes, "axes-normalized", "out of order"},
    {break_region_parent, "region-arguments", "does not know its node"},
    {break_region_inputs, "region-arguments", "3 operands, the region has 2 inputs"},
    {break_region_type, "region-arguments", "operand 1 and input 1 of the region differ"},
    {break_regions, "region-arguments", "softmax has regions"},
    {break_type, "types-inferred", "output 0 must be f32[h,4]"},
    {break_inference, "attributes-required", "layer_norm needs the attribute epsilon"},
};

static void start(void) {
    lt_arena_init(&arena);
    module = lt_module_parse(&arena, text, sizeof text - 1, "m.lir");
    ck_assert_ptr_nonnull(module);
}

static bool has_message(const char *rule, const char *part) {
    const char *wanted = lt_arena_printf(&arena, "rule %s: ", rule);
    for (size_t i = 0; i < module->diags.items.len; i++) {
        const Diag *diag = &module->diags.items.data[i];
        if (diag->status == 70 && lt_str_starts(diag->text, wanted) && strstr(diag->text, part))
            return true;
    }
    return false;
}

START_TEST(every_breach_is_named) {
    for (size_t i = 0; i < sizeof breaches / sizeof *breaches; i++) {
        start();
        breaches[i].make();
        ck_assert_msg(!lt_module_verify(module), "breach %zu of %s is not seen", i,
                      breaches[i].rule);
        ck_assert_msg(has_message(breaches[i].rule, breaches[i].text), "breach %zu of %s: %s", i,
                      breaches[i].rule, module->diags.items.data[0].text);
        lt_arena_free(&arena);
    }
}
END_TEST

START_TEST(breaches_show_the_node) {
    start();
    break_axis();
    ck_assert(!lt_module_verify(module));
    ck_assert_uint_eq(module->diags.items.len, 1);
    ck_assert_str_eq(lt_diag_format(&module->diags, &module->diags.items.data[0], false),
                     "m.lir:6:3: error: rule axes-normalized: axis -1 is not in 0..1: "
                     "%5 = softmax %3 {axis = -1} : f32[h,4]");
}
END_TEST

START_TEST(a_right_module_passes_unchanged) {
    start();
    Str before, after;
    lt_str_init(&before, &arena);
    lt_str_init(&after, &arena);
    lt_module_print(&before, module);
    ck_assert(lt_module_verify(module));
    ck_assert(lt_module_verify(module));
    lt_module_print(&after, module);
    ck_assert_str_eq(before.text, after.text);
    ck_assert_uint_eq(module->diags.items.len, 0);
}
END_TEST

LT_TEST_MAIN("test_verify", every_breach_is_named, breaches_show_the_node,
             a_right_module_passes_unchanged)
