/* test_graph.c - nodes, use lists, regions and copies; builders; locations and messages. */
#include "ir/build.h"
#include "tests/test.h"

static Arena arena;
static Module *module;
static Builder builder;
static Value *x, *y;

/* x, y: f32[h, 4] */
static void start(void) {
    lt_arena_init(&arena);
    module = lt_module_new(&arena, "m.onnx");
    builder = (Builder){.graph = module->main};
    const Dim *dims[] = {lt_dim_symbol(&module->dims, "h"), lt_dim_const(&module->dims, 4)};
    x = lt_graph_add_input(module->main, lt_type(module, DT_F32, 2, dims), "x");
    y = lt_graph_add_input(module->main, lt_type(module, DT_F32, 2, dims), "y");
}

static const char *message(size_t i) {
    ck_assert_uint_gt(module->diags.items.len, i);
    return lt_diag_format(&module->diags, &module->diags.items.data[i], false);
}

static const char *graph_text(void) {
    Str text;
    lt_str_init(&text, &arena);
    LT_EACH_NODE(node, module->main) {
        lt_node_print(&text, node);
        lt_str_char(&text, '\n');
    }
    return text.text;
}

/* --- errors ---------------------------------------------------------------------------------- */

START_TEST(a_failed_node_leaves_nothing) {
    start();
    const Loc loc = {.node = "Add_3", .op = "Add"};
    builder.loc = &loc;
    Value *wrong = lt_build_int(&builder, DT_I64, 1);
    const uint32_t nodes = module->next_node, values = module->next_value;
    ck_assert_ptr_null(lt_build_map2(&builder, FN_ADD, x, wrong));
    ck_assert_int_eq(strncmp(message(0), "m.onnx: Add_3 (Add): error: ", 28), 0);
    ck_assert_int_eq(lt_diag_status(&module->diags), 4);
    ck_assert_uint_eq(module->next_node, nodes);
    ck_assert_uint_eq(module->next_value, values);
    ck_assert_uint_eq(lt_value_use_count(x), 0);
    ck_assert_ptr_eq(module->main->last, wrong->def);
}
END_TEST

START_TEST(null_passes_through_builders) {
    start();
    const int64_t axes[] = {0}, perm[] = {1, 0};
    ck_assert_ptr_null(lt_build_map1(&builder, FN_RELU, NULL));
    ck_assert_ptr_null(lt_build_map2(&builder, FN_ADD, x, NULL));
    ck_assert_ptr_null(lt_build_map3(&builder, FN_FMA, x, NULL, y));
    ck_assert_ptr_null(lt_build_convert(&builder, NULL, DT_F16));
    ck_assert_ptr_null(lt_build_reshape(&builder, NULL, 2, x->type->dims));
    ck_assert_ptr_null(lt_build_broadcast(&builder, NULL, 2, x->type->dims));
    ck_assert_ptr_null(lt_build_transpose(&builder, NULL, perm));
    ck_assert_ptr_null(lt_build_slice(&builder, NULL, x->type->dims, x->type->dims, NULL));
    ck_assert_ptr_null(lt_build_pad(&builder, NULL, x->type->dims, x->type->dims, NULL, NULL));
    ck_assert_ptr_null(lt_build_concat(&builder, (Value *[]){x, NULL}, 2, 0));
    ck_assert_ptr_null(lt_build_gather(&builder, x, NULL, 0));
    ck_assert_ptr_null(lt_build_reduce(&builder, FN_ADD, NULL, axes, 1, false));
    ck_assert_ptr_null(lt_build_contract(&builder, NULL, y, "ab,cb->ac"));
    ck_assert_ptr_null(lt_build_unsqueeze(&builder, NULL, axes, 1));
    ck_assert_ptr_null(lt_build_squeeze(&builder, NULL, axes, 1));
    ck_assert_uint_eq(module->diags.items.len, 0);
    ck_assert_ptr_null(module->main->first);
}
END_TEST

/* --- building -------------------------------------------------------------------------------- */

START_TEST(builders_make_typed_nodes) {
    start();
    DimTable *t = &module->dims;
    const Dim *zero = lt_dim_const(t, 0), *one = lt_dim_const(t, 1), *h = x->type->dims[0];
    const Dim *four = lt_dim_const(t, 4);
    Builder *b = &builder;
    Value *i = lt_build_ints(b, 2, (int64_t[]){3, 1});
    Value *low = lt_build_float(b, DT_F32, 0);
    Value *high = lt_build_float(b, DT_F32, 6);
    lt_build_dims(b, 2, (const Dim *[]){h, one});
    lt_build_iota(b, DT_I32, 2, x->type->dims, 0);
    lt_build_map3(b, FN_CLAMP, x, low, high);
    lt_build_convert(b, x, DT_F16);
    lt_build_reshape(b, x, 1, (const Dim *[]){lt_dim_mul_const(t, h, 4)});
    lt_build_broadcast(b, x, 3, (const Dim *[]){lt_dim_const(t, 7), h, four});
    lt_build_transpose(b, x, (int64_t[]){1, 0});
    lt_build_slice(b, x, (const Dim *[]){zero, one}, (const Dim *[]){h, lt_dim_const(t, 2)}, NULL);
    lt_build_pad(b, x, (const Dim *[]){one, zero}, (const Dim *[]){one, zero}, NULL, NULL);
    lt_build_pad(b, x, (const Dim *[]){zero, one}, (const Dim *[]){zero, one}, "edge", NULL);
    lt_build_concat(b, (Value *[]){x, y}, 2, 1);
    lt_build_gather(b, x, i, 1);
    lt_build_reduce(b, FN_MAX, x, (int64_t[]){1}, 1, true);
    lt_build_contract(b, x, y, "ab,cb->ac");
    lt_build_squeeze(b, lt_build_unsqueeze(b, x, (int64_t[]){0, 3}, 2), (int64_t[]){0}, 1);
    ck_assert_msg(module->diags.items.len == 0, "%s", module->diags.items.len ? message(0) : "");
    ck_assert_str_eq(graph_text(),
                     "%2 = const i64[2] [3, 1]\n"
                     "%3 = const f32[] splat(0)\n"
                     "%4 = const f32[] splat(6)\n"
                     "%5 = dims {dims = [h, 1]} : i64[2]\n"
                     "%6 = iota {axis = 0, shape = [h, 4], dtype = i32} : i32[h,4]\n"
                     "%7 = clamp %0, %3, %4 : f32[h,4]\n"
                     "%8 = convert %0 {dtype = f16} : f16[h,4]\n"
                     "%9 = reshape %0 {shape = [4*h]} : f32[4*h]\n"
                     "%10 = broadcast %0 {shape = [7, h, 4]} : f32[7,h,4]\n"
                     "%11 = transpose %0 {perm = [1, 0]} : f32[4,h]\n"
                     "%12 = slice %0 {start = [0, 1], size = [h, 2], step = [1, 1]} : f32[h,2]\n"
                     "%13 = pad %0 {pad_lo = [1, 0], pad_hi = [1, 0]} : f32[h + 2,4]\n"
                     "%14 = pad %0 {pad_lo = [0, 1], pad_hi = [0, 1], mode = \"edge\"} : f32[h,6]\n"
                     "%15 = concat %0, %1 {axis = 1} : f32[h,8]\n"
                     "%16 = gather %0, %2 {axis = 1} : f32[h,2]\n"
                     "%17 = reduce.max %0 {axes = [1], keep = true} : f32[h,1]\n"
                     "%18 = contract %0, %1 {spec = \"ab,cb->ac\"} : f32[h,h]\n"
                     "%19 = reshape %0 {shape = [1, h, 4, 1]} : f32[1,h,4,1]\n"
                     "%20 = reshape %19 {shape = [h, 4, 1]} : f32[h,4,1]\n");
}
END_TEST

START_TEST(nodes_go_where_they_are_told) {
    start();
    Value *a = lt_build_map1(&builder, FN_NEG, x);
    lt_graph_set_outputs(module->main, &a, 1);
    Value *behind = lt_build_map1(&builder, FN_EXP, x); /* still before the yield */
    builder.before = a->def;
    Value *front = lt_build_map1(&builder, FN_ABS, x);
    ck_assert_ptr_eq(module->main->first, front->def);
    ck_assert_ptr_eq(behind->def->next, lt_graph_yield(module->main));
    lt_node_move_before(behind->def, front->def);
    ck_assert_ptr_eq(module->main->first, behind->def);
    ck_assert_ptr_eq(behind->def->next, front->def);
    ck_assert_ptr_eq(a->def->next, lt_graph_yield(module->main));
    lt_graph_set_outputs(module->main, (Value *[]){front, a}, 2);
    ck_assert_uint_eq(lt_graph_yield(module->main)->input_count, 2);
    ck_assert_uint_eq(lt_value_use_count(a), 1);
    ck_assert(lt_value_is_output(front));
    ck_assert(!lt_value_is_output(x));
}
END_TEST

START_TEST(use_lists_follow_changes) {
    start();
    Value *sum = lt_build_map2(&builder, FN_ADD, x, x);
    Value *product = lt_build_map2(&builder, FN_MUL, sum, x);
    ck_assert_uint_eq(lt_value_use_count(x), 3);
    lt_node_set_input(product->def, 1, y);
    ck_assert_uint_eq(lt_value_use_count(x), 2);
    ck_assert_uint_eq(lt_value_use_count(y), 1);
    lt_value_replace(x, y);
    ck_assert_uint_eq(lt_value_use_count(x), 0);
    ck_assert_uint_eq(lt_value_use_count(y), 3);
    ck_assert_ptr_eq(lt_input(sum->def, 0), y);
    lt_node_remove(product->def);
    ck_assert_uint_eq(lt_value_use_count(sum), 0);
    ck_assert_ptr_null(product->def->graph);
    Value *all = lt_build_concat(&builder, (Value *[]){x, y}, 2, 0);
    lt_node_add_input(all->def, x);
    ck_assert_uint_eq(all->def->input_count, 3);
    ck_assert_uint_eq(lt_value_use_count(x), 2);
    lt_node_set_input(all->def, 2, NULL);
    lt_node_set_input(all->def, 2, y);
    ck_assert_uint_eq(lt_value_use_count(x), 1);
    lt_graph_set_outputs(module->main, &all, 1);
    ck_assert(!lt_module_verify(module) && strstr(message(0), "types-inferred"));
    ck_assert(lt_infer_node(all->def) && lt_module_verify(module));
}
END_TEST

START_TEST(attributes_are_sorted_copies) {
    start();
    int64_t axes[] = {0, 1};
    Node *node = lt_build_reduce(&builder, FN_MIN, x, axes, 2, false)->def;
    axes[0] = 9;
    ck_assert_int_eq(lt_attr(node, ATTR_AXES)->u.ints[0], 0);
    ck_assert_int_eq(lt_node_fn(node), FN_MIN);
    for (uint32_t i = 1; i < node->attr_count; i++)
        ck_assert_uint_lt(node->attrs[i - 1].name, node->attrs[i].name);
    lt_node_set_attr(node, lt_int(ATTR_KEEP, true));
    ck_assert_uint_eq(node->attr_count, 3);
    ck_assert_int_eq(lt_attr_int(node, ATTR_KEEP, 0), 1);
    lt_node_set_attr(node, lt_float(ATTR_ALPHA, 0.5));
    ck_assert_uint_eq(node->attr_count, 4);
    ck_assert(lt_attr_float(node, ATTR_ALPHA, 0) == 0.5);
    ck_assert_str_eq(lt_attr_string(node, ATTR_MODE, "none"), "none");
    ck_assert_ptr_null(lt_attr(node, ATTR_MODE));
}
END_TEST

START_TEST(constants_are_seen_through_values) {
    start();
    Value *two = lt_build_float(&builder, DT_F32, 2);
    ck_assert(lt_const_get_float(lt_value_const(two), 0) == 2);
    ck_assert_ptr_null(lt_value_const(x));
    ck_assert_ptr_null(lt_value_const(lt_build_map1(&builder, FN_NEG, two)));
}
END_TEST

/* --- regions and copies ---------------------------------------------------------------------- */

static Node *build_fused(void) {
    Value *inputs[] = {x, y};
    const NodeSpec spec = {
        .op = OP_FUSED, .inputs = inputs, .input_count = 2, .region_count = 1, .output_count = 1};
    Node *node = lt_node_new(module->main, NULL, &spec);
    Builder inner = {.graph = node->regions[0]};
    Value *a = lt_graph_add_input(inner.graph, x->type, NULL);
    Value *b = lt_graph_add_input(inner.graph, y->type, NULL);
    Value *sum = lt_build_map2(&inner, FN_ADD, a, b);
    lt_graph_set_outputs(inner.graph, &sum, 1);
    ck_assert(lt_infer_node(node));
    return node;
}

START_TEST(copies_are_deep) {
    start();
    Node *node = build_fused();
    Map map;
    lt_map_init(&map, &arena);
    lt_map_set(&map, y->id, x);
    Node *copy = lt_node_clone(module->main, NULL, node, &map);
    ck_assert_ptr_eq(lt_input(copy, 1), x);
    ck_assert_ptr_eq(lt_map_get(&map, lt_output(node)->id), lt_output(copy));
    ck_assert_ptr_eq(lt_output(copy)->type, x->type);
    const Graph *region = copy->regions[0];
    ck_assert_ptr_ne(region, node->regions[0]);
    ck_assert_ptr_eq(region->parent, copy);
    ck_assert_ptr_eq(lt_input(region->first, 0), region->inputs.data[0]);
    ck_assert_ptr_eq(lt_input(region->last, 0), lt_output(region->first));
    lt_graph_set_outputs(module->main, (Value *[]){lt_output(node), lt_output(copy)}, 2);
    ck_assert_msg(lt_module_verify(module), "%s", message(0));
    Node *alone = lt_node_clone(module->main, node, node, NULL);
    ck_assert_ptr_eq(module->main->first, alone);
    ck_assert_ptr_eq(lt_input(alone, 1), y);
}
END_TEST

/* --- locations and messages ------------------------------------------------------------------ */

START_TEST(locations_join_without_repeats) {
    start();
    const Loc conv = {.node = "Conv_1", .op = "Conv"}, relu = {.op = "Relu"}, line = {.line = 3};
    const Loc *both = lt_loc_join(&arena, &conv, &relu);
    ck_assert_str_eq(lt_loc_text(&arena, both, 0), "Conv_1 (Conv) + Relu");
    ck_assert_ptr_eq(lt_loc_join(&arena, both, &relu), both);
    ck_assert_ptr_eq(lt_loc_join(&arena, NULL, &relu), &relu);
    ck_assert_ptr_null(lt_loc_join(&arena, NULL, NULL));
    const Loc *all = lt_loc_join(&arena, both, &line);
    ck_assert_str_eq(lt_loc_text(&arena, all, 0), "Conv_1 (Conv) + Relu + line 3");
    ck_assert_str_eq(lt_loc_text(&arena, all, 1), "Conv_1 (Conv) + 2 more");
    ck_assert_ptr_null(conv.next);
}
END_TEST

START_TEST(messages_have_the_promised_form) {
    start();
    const Loc loc = {.node = "Conv_23", .op = "Conv"};
    lt_remark(&module->diags, NULL, "not asked for");
    ck_assert_uint_eq(module->diags.items.len, 0);
    lt_diag(&module->diags, DIAG_WARNING, 0, NULL, "odd");
    ck_assert_int_eq(lt_diag_status(&module->diags), 0);
    lt_error(&module->diags, 3, &loc, "input %d has 64 channels", 1);
    lt_error(&module->diags, 4, NULL, "later");
    ck_assert_str_eq(message(0), "m.onnx: warning: odd");
    ck_assert_str_eq(message(1), "m.onnx: Conv_23 (Conv): error: input 1 has 64 channels");
    ck_assert_str_eq(lt_diag_format(&module->diags, &module->diags.items.data[2], true),
                     "m.onnx: \033[31merror:\033[0m later");
    ck_assert_int_eq(lt_diag_status(&module->diags), 3);
    ck_assert_uint_eq(module->diags.errors, 2);
}
END_TEST

START_TEST(tables_agree_with_their_names) {
    for (int i = 0; i < LT_OP_LIMIT; i++) {
        Op op;
        ScalarFn fn;
        ck_assert(lt_op_parse(lt_op_info[i].name, &op) && (int)op == i);
        ck_assert(
            !lt_scalar_parse(lt_op_info[i].name, &fn)); /* a map is written by its scalar's name */
    }
    for (int i = 0; i < LT_FN_LIMIT; i++) {
        ScalarFn fn;
        ck_assert(lt_scalar_parse(lt_scalar_info[i].name, &fn) && (int)fn == i);
        ck_assert(lt_scalar_info[i].for_floats || lt_scalar_info[i].for_ints);
    }
    for (int i = 0; i < LT_ATTR_LIMIT; i++) {
        AttrName name;
        ck_assert(lt_attr_parse(lt_attr_info[i].name, &name) && (int)name == i);
    }
    DType dtype;
    ck_assert(lt_dtype_parse("bf16", &dtype) && dtype == DT_BF16 && lt_dtype_size(dtype) == 2);
    ck_assert(!lt_dtype_parse("f31", &dtype));
    ck_assert(lt_scalar_info[FN_ADD].commutative && !lt_scalar_info[FN_SUB].commutative);
    ck_assert(!lt_scalar_info[FN_EXP].for_ints && !lt_scalar_info[FN_AND].for_floats);
    ck_assert(lt_op_has(OP_RESHAPE, OPF_VIEW) && !lt_op_has(OP_CONV, OPF_VIEW));
    ck_assert_uint_eq(lt_op_info[OP_SOFTMAX].required, UINT64_C(1) << ATTR_AXIS);
}
END_TEST

LT_TEST_MAIN("test_graph", a_failed_node_leaves_nothing, null_passes_through_builders,
             builders_make_typed_nodes, nodes_go_where_they_are_told, use_lists_follow_changes,
             attributes_are_sorted_copies, constants_are_seen_through_values, copies_are_deep,
             locations_join_without_repeats, messages_have_the_promised_form,
             tables_agree_with_their_names)
