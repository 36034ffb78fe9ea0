/* test_text.c - the text form: messages for text that is wrong, with their places; text of any
 * bytes does no harm; a module with every op is printed and read back to the same text, and to the
 * same constants. */
#include "ir/build.h"
#include "tests/test.h"

static Arena arena;

static const char every_op[] =
    "module \"every op\"\n"
    "symbol batch in 1..64\n"
    "symbol h in 32..\n"
    "symbol \"odd name\" in 0..7\n"
    "symbol trips0 in 0.. data\n"
    "symbol found in 0.. data\n"
    "guard batch == h loc(_ \"Eq\")\n"
    "graph main(%x \"input.0\": f32[batch,3,224,224], %image: f32[batch,h,32,8], "
    "%seq: f32[5,2,16], %table: f32[10,4], %flag: bool[], %trips: i64[], %odd: "
    "u8[\"odd name\"]) {\n"
    "  # comments and blank lines mean nothing\n"
    "\n"
    "  %c0 = const f32[3] [1, -0, nan]\n"
    "  %c1 = const f32[64] splat(0.5)\n"
    "  %c2 = const bool[2] [true, false]\n"
    "  %c3 = const u64[2] [18446744073709551615, 0]\n"
    "  %c4 = const i8[2] hex\"80ff\"\n"
    "  %c5 = const f32[2] hex\"0100c07f00000080\"\n"
    "  %c6 = const f32[0,3] []\n"
    "  %c7 = const bool[3] splat hex\"07\"\n"
    "  %c8 = const f64[2] [0.1, -inf]\n"
    "  %c9 = const f16[2] [0.1, 65504]\n"
    "  %ids = const i64[2,3] [0, 1, 2, 3, 0, 1]\n"
    "  %pos = const i64[2,1] [4, 5]\n"
    "  %d = dims {dims = [batch, 2*h + 1]}\n"
    "  %count = const i64[1] [1]\n"
    "  %bound = bind %count {dims = [found]}\n"
    "  %fd = find %c2 {size = [found]}\n"
    "  %i = iota {axis = 1, shape = [batch, 4], dtype = i32}\n"
    "  %m1 \"act\" = relu %x\n"
    "  %m2 = add %x, %m1 loc(\"Add_1\" \"Add\", _ \"Sum\", \"n\" _)\n"
    "  %m3 = fma %x, %m1, %m2\n"
    "  %gt = gt %x, %m1\n"
    "  %sel = select %gt, %x, %m1\n"
    "  %cv = convert %x {dtype = f16}\n"
    "  %bits = bitcast %x {dtype = i32}\n"
    "  %rs = reshape %x {shape = [batch, 150528]}\n"
    "  %bc = broadcast %table {shape = [7, 10, 4]}\n"
    "  %tr = transpose %x {perm = [0, 2, 3, 1]}\n"
    "  %sl = slice %table {start = [1, 0], size = [4, 2], step = [2, 1]}\n"
    "  %pd = pad %table {pad_lo = [1, 0], pad_hi = [0, 2], mode = \"constant\", "
    "value = f32[] splat(-inf)}\n"
    "  %cc = concat %table, %table {axis = 0}\n"
    "  %ga = gather %table, %ids {axis = 0}\n"
    "  %ge = gather_elements %table, %ids {axis = 0}\n"
    "  %gn = gather_nd %table, %pos {count = 0}\n"
    "  %upd = slice %table {start = [0, 0], size = [2, 3], step = [1, 1]}\n"
    "  %se = scatter_elements %table, %ids, %upd {axis = 0, fn = max}\n"
    "  %row = slice %table {start = [0, 0], size = [2, 4], step = [1, 1]}\n"
    "  %sn = scatter_nd %table, %pos, %row\n"
    "  %re = reduce.add %x {axes = [2, 3], keep = true}\n"
    "  %ar = argreduce.max %table {axis = 1, keep = false}\n"
    "  %cu = cumulate.add %table {axis = 0, exclusive = true, reverse = false}\n"
    "  %wi = window.max %image {axes = [1, 2], kernel = [3, 3], strides = [2, 2], "
    "dilations = [1, 1], pad_lo = [1, 1], pad_hi = [1, 1]}\n"
    "  %tt = transpose %table {perm = [1, 0]}\n"
    "  %co = contract %table, %tt {spec = \"mk,kn->mn\"}\n"
    "  %w = const f32[3,3,8,16] splat(0.125)\n"
    "  %cn = conv %image, %w {strides = [2, 2], dilations = [1, 1], pad_lo = [1, 1], "
    "pad_hi = [1, 1], groups = 1}\n"
    "  %wf = const f32[4,4,1,8,16] splat(0.125)\n"
    "  %wg = winograd %image, %wf {tile = [2, 2], pad_lo = [1, 1], pad_hi = [1, 1], size = [9]}\n"
    "  %pk = pack %tt {axis = 1, packed = 4, count = 0}\n"
    "  %tv, %ti \"indices\" = topk %table {axis = 1, size = [2], largest = true, "
    "sorted = true}\n"
    "  %few = const i64[] [2]\n"
    "  %much = const f32[] [0.5]\n"
    "  %su = suppress %c2, %row, %few, %much\n"
    "  %fu = fused %m1, %m2 region \"kernel 0\"(%a: f32[batch,3,224,224], %b: "
    "f32[batch,3,224,224]) {\n"
    "    %s = mul %a, %b\n"
    "    yield %s\n"
    "  }\n"
    "  %cond, %other = if %flag, %table region(%a: f32[10,4]) {\n"
    "    %n = neg %a\n"
    "    yield %n, %a\n"
    "  } region(%a: f32[10,4]) {\n"
    "    yield %a, %a\n"
    "  }\n"
    "  %last, %all = loop %trips, %flag, %table {count = 1} region(%step: i64[], %a: "
    "f32[10,4]) {\n"
    "    %more = const bool[] splat(true)\n"
    "    %n = neg %a\n"
    "    yield %more, %n, %a\n"
    "  } : (f32[10,4], f32[trips0,10,4])\n"
    "  %so = softmax %table {axis = 1}\n"
    "  %ls = log_softmax %table {axis = 0}\n"
    "  %scale = const f32[4] [1, 2, 3, 4]\n"
    "  %ln = layer_norm %table, _, %scale {axis = 1, epsilon = 1e-05}\n"
    "  %rw = const f32[4,16] splat(0)\n"
    "  %h0 = const f32[2,4] splat(0)\n"
    "  %y, %hn, %cl = lstm %seq, %rw, %h0, %h0 {reverse = true}\n"
    "  %g3 = slice %seq {start = [0, 0, 0], size = [5, 2, 12], step = [1, 1, 1]}\n"
    "  %gw = const f32[4,12] splat(0)\n"
    "  %gb = const f32[12] splat(0)\n"
    "  %gy, %gh = gru %g3, %gw, %gb, %h0 {mode = \"linear_before_reset\"}\n"
    "  %rz = resize %image {shape = [batch, 64, (h + 1) floordiv 2, 8], mode = "
    "\"linear\", direction = \"half_pixel\"}\n"
    "  yield %m3, %fu, %cond, %last, %all, %sel, %odd\n"
    "}\n";

static Module *read_text(const char *text) {
    Module *m = lt_module_new(&arena, "x.lir");
    const bool ok = lt_module_read(m, text, strlen(text));
    ck_assert_msg(ok, "%s", ok ? "" : lt_diag_format(&m->diags, &m->diags.items.data[0], false));
    return m;
}

static const char *text_of(const Module *m) {
    Str text;
    lt_str_init(&text, &arena);
    lt_module_print(&text, m);
    return text.text;
}

/* --- text that is wrong ---------------------------------------------------------------------- */

typedef struct BadText {
    const char *text, *message;
} BadText;

#define GRAPH "graph g(%x: f32[2,h]) {\n"

static const BadText bad_texts[] = {
    {"", "1:1: error: symbol, guard or graph is expected, found the end of the text"},
    {"graph", "1:6: error: the name of the graph is expected, found the end of the text"},
    {"module 3", "1:8: error: a string is expected, found 3"},
    {"symbol h on", "1:10: error: in is expected, found on"},
    {"symbol 2*h in 1..", "1:8: error: the name of a symbol is expected"},
    {"symbol h in 4..2", "1:8: error: the range 4..2 is empty"},
    {"symbol h in 1.5..2", "1:13: error: an integer of 64 bits is expected, found 1.5"},
    {"guard h < 2", "1:9: error: '<' has no meaning here"},
    {"graph g(%x f32[2])", "1:12: error: ':' is expected, found f32"},
    {"graph g(x: f32[2])", "1:9: error: a value (%name) is expected, found x"},
    {"graph g(%x: f33[2])",
     "1:13: error: an element type (f32, i64, bool, ...) is expected, found f33"},
    {"graph g(%x: f32[-2])", "1:13: error: dim 0 is -2, at least 0 is expected"},
    {"graph g(%x: f32[2+])", "1:19: error: a dim is expected"},
    {"graph g(%x: f32[2 3])", "1:19: error: ',' is expected, found 3"},
    {"graph g(%x: f32[1,1,1,1,1,1,1,1,1])",
     "1:13: error: a type has at most 8 dims, this one has 9"},
    {"graph g(%x: f32[2], %x: f32[2])", "1:21: error: %x is defined twice"},
    {GRAPH "}", "2:1: error: yield, which ends a graph, is expected, found '}'"},
    {GRAPH "yield %x", "2:9: error: '}' is expected, found the end of the text"},
    {GRAPH "yield %x } x", "2:12: error: the end of the text is expected, found x"},
    {GRAPH "yield %y }", "2:7: error: %y is not defined before this in its graph"},
    {GRAPH "%y = nonsense %x", "2:6: error: nonsense is not an op that is known"},
    {GRAPH "%y = reduce.nonsense %x", "2:6: error: reduce.nonsense is not an op that is known"},
    {GRAPH "%y relu %x", "2:4: error: '=' is expected, found relu"},
    {GRAPH "%y, %z = relu %x", "2:10: error: a map has 1 results, 2 are named"},
    {GRAPH "%y = add %x %x", "2:1: error: add has 1 inputs, 2 are expected"},
    {GRAPH "%y = softmax %x", "2:1: error: softmax needs the attribute axis"},
    {GRAPH "%y = softmax %x {axis = 7}",
     "2:1: error: axis 7 is outside of input 0, which is f32[2,h]"},
    {GRAPH "%y = softmax %x {axis = 1, axis = 1}", "2:28: error: axis is given twice"},
    {GRAPH "%y = softmax %x {axes}", "2:22: error: '=' is expected, found '}'"},
    {GRAPH "%y = softmax %x {colour = 1}",
     "2:18: error: the name of an attribute is expected, found colour"},
    {GRAPH "%y = softmax %x {axis = \"1\"}",
     "2:25: error: an integer of 64 bits is expected, found a string"},
    {GRAPH "%y = softmax %x {axis = 99999999999999999999}",
     "2:25: error: an integer of 64 bits is expected, found 99999999999999999999"},
    {GRAPH "%y = reduce.add %x {axes = [0], keep = 1}",
     "2:40: error: true or false is expected, found 1"},
    {GRAPH "%y = convert %x {dtype = f31}",
     "2:26: error: an element type (f32, i64, bool, ...) is expected, found f31"},
    {GRAPH "%y = relu %x : f32[3,h]",
     "2:16: error: the type is written as f32[3,h], it is f32[2,h]"},
    {GRAPH "%y = relu %x : (f32[2,h], f32[2,h])",
     "2:27: error: this is the type of result 2, the node has 1"},
    {GRAPH "%y = relu %x loc(3)", "2:18: error: a string is expected, found 3"},
    {GRAPH "%y = const f32[h] splat(0)",
     "2:12: error: the dims of a constant must be numbers whose product fits 64 bits"},
    {GRAPH "%y = const f32[4294967296,4294967296] splat(0)",
     "2:12: error: the dims of a constant must be numbers whose product fits 64 bits"},
    {GRAPH "%y = const f32[2] 3",
     "2:19: error: splat(...), [...] or hex\"...\" is expected, found 3"},
    {GRAPH "%y = const f32[2] [1]", "2:21: error: ',' is expected, found ']'"},
    {GRAPH "%y = const f32[2] [1, 2, 3]", "2:24: error: ']' is expected after 2 elements"},
    {GRAPH "%y = const i8[1] [128]", "2:19: error: 128 is not a value of i8"},
    {GRAPH "%y = const u8[1] [-1]", "2:19: error: -1 is not a value of u8"},
    {GRAPH "%y = const f32[2] hex\"00\"", "2:22: error: 16 hex digits (0-9, a-f) are expected"},
    {GRAPH "%y = const f32[99999999999] hex\"00\"",
     "2:32: error: 399999999996 bytes of elements are expected, the text is shorter"},
    {GRAPH "%y = const f32[2] hash 0x0123",
     "2:19: error: splat(...), [...] or hex\"...\" is expected, found hash"},
    {GRAPH "%y = relu %x {\"open",
     "2:15: error: this string is not closed on its line, or has an escape that "
     "is not known"},
    {GRAPH "%y = relu %x \x01", "2:14: error: byte 0x01 has no meaning here"},
    {GRAPH "%y = fused %x region(%a: f32[2,h]) {\n  yield %x\n}",
     "3:9: error: %x is not defined before this in its graph"},
    {GRAPH "%y = fused %x region(%a: f32[3,h]) {\n  yield %a\n}",
     "2:1: error: input 0 of region 0 is f32[3,h], the operand is f32[2,h]"},
};

START_TEST(names_what_is_wrong_and_where) {
    lt_arena_init(&arena);
    for (size_t i = 0; i < sizeof bad_texts / sizeof *bad_texts; i++) {
        Module *m = lt_module_new(&arena, "x.lir");
        ck_assert_msg(!lt_module_read(m, bad_texts[i].text, strlen(bad_texts[i].text)),
                      "%s is taken", bad_texts[i].text);
        ck_assert_int_eq(lt_diag_status(&m->diags), 4);
        ck_assert_uint_eq(m->diags.errors, 1);
        const char *text = lt_diag_format(&m->diags, &m->diags.items.data[0], false);
        const size_t prefix = strlen("x.lir:"), len = strlen(bad_texts[i].message);
        ck_assert_msg(strncmp(text + prefix, bad_texts[i].message, len) == 0 &&
                          text[prefix + len] == '\n',
                      "'%s' gives %s", bad_texts[i].text, text);
        ck_assert_ptr_null(
            lt_module_parse(&arena, bad_texts[i].text, strlen(bad_texts[i].text), NULL));
    }
}
END_TEST

START_TEST(points_with_a_caret) {
    lt_arena_init(&arena);
    Module *m = lt_module_new(&arena, "x.lir");
    const char text[] = "graph g(%x: f32[2]) {\n\t%y = relu \x02 %z\n}";
    ck_assert(!lt_module_read(m, text, strlen(text)));
    ck_assert_str_eq(lt_diag_format(&m->diags, &m->diags.items.data[0], false),
                     "x.lir:2:12: error: byte 0x02 has no meaning here\n"
                     "    \t%y = relu ? %z\n"
                     "    \t          ^");
}
END_TEST

START_TEST(limits_nesting) {
    lt_arena_init(&arena);
    Str text;
    lt_str_init(&text, &arena);
    lt_str_append(&text, "graph g() {\n");
    for (int i = 0; i < 100000; i++)
        lt_str_append(&text, "fused region() {\n");
    Module *m = lt_module_new(&arena, NULL);
    ck_assert(!lt_module_read(m, text.text, text.len));
    ck_assert_str_eq(m->diags.items.data[0].text,
                     "at most 32 regions inside each other are expected");
}
END_TEST

static uint32_t random_below(uint64_t *state, uint32_t limit) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % limit;
}

/* A piece of the text cut out, copied elsewhere, or a byte changed. */
static size_t mutate(char *text, size_t len, uint64_t *state) {
    const uint32_t at = random_below(state, (uint32_t)len),
                   from = random_below(state, (uint32_t)len);
    size_t size = random_below(state, 12) + 1;
    size = at + size > len ? len - at : size;
    size = from + size > len ? len - from : size;
    switch (random_below(state, 4)) {
    case 0: memmove(text + at, text + at + size, len - at - size); return len - size;
    case 1: memmove(text + at, text + from, size); return len;
    case 2: text[at] = (char)random_below(state, 256); return len;
    default: text[at] = "0123456789-.,(){}[]%\"\\ "[random_below(state, 23)]; return len;
    }
}

START_TEST(any_bytes_do_no_harm) {
    uint64_t state = 1;
    int taken = 0;
    for (int round = 0; round < 3000; round++) {
        char text[sizeof every_op];
        size_t len = sizeof every_op - 1;
        memcpy(text, every_op, sizeof every_op);
        for (uint32_t i = 0; i < 1 + random_below(&state, 3); i++)
            len = mutate(text, len, &state);
        lt_arena_init(&arena);
        Module *m = lt_module_new(&arena, "x.lir");
        if (lt_module_read(m, text, len)) {
            taken++;
            ck_assert_uint_eq(m->diags.errors, 0);
            const char *printed = text_of(m);
            ck_assert_str_eq(text_of(read_text(printed)), printed);
        } else {
            ck_assert_uint_ge(m->diags.errors, 1);
            lt_diag_format(&m->diags, &m->diags.items.data[0], false);
        }
        lt_arena_free(&arena);
    }
    ck_assert_int_gt(taken, 50);
    ck_assert_int_lt(taken, 2950);
}
END_TEST

/* --- text that is right ---------------------------------------------------------------------- */

static void mark_ops(const Graph *g, bool *seen) {
    LT_EACH_NODE(node, g) {
        seen[node->op] = true;
        for (uint32_t i = 0; i < node->region_count; i++)
            mark_ops(node->regions[i], seen);
    }
}

START_TEST(every_op_reads_back) {
    lt_arena_init(&arena);
    const Module *m = read_text(every_op);
    bool seen[LT_OP_LIMIT] = {false};
    mark_ops(m->main, seen);
    for (int op = 0; op < LT_OP_LIMIT; op++)
        ck_assert_msg(seen[op], "%s is not in the text", lt_op_info[op].name);
    const Module *again = read_text(text_of(m));
    ck_assert_str_eq(text_of(again), text_of(m));
    ck_assert_uint_eq(again->const_list.len, m->const_list.len);
    for (size_t i = 0; i < m->const_list.len; i++) {
        const Const *a = m->const_list.data[i], *b = again->const_list.data[i];
        ck_assert(a->hash == b->hash && a->bytes == b->bytes && a->is_splat == b->is_splat);
        ck_assert_int_eq(memcmp(a->data, b->data, a->bytes), 0);
    }
    ck_assert_str_eq(again->name, "every op");
    ck_assert_int_eq(again->dims.symbols.data[1].lo, 32);
    ck_assert(again->dims.symbols.data[3].data_dependent);
    ck_assert_uint_eq(again->guards.len, m->guards.len);
}
END_TEST

START_TEST(every_scalar_reads_back) {
    lt_arena_init(&arena);
    for (int fn = 0; fn < LT_FN_LIMIT; fn++) {
        static const char *const operands[] = {"", "%f", "%f, %f", "%f, %f, %f"};
        const ScalarInfo *info = &lt_scalar_info[fn];
        const char *list = info->rule == RULE_SELECT ? "%b, %f, %f" : operands[info->arity];
        Str text;
        lt_str_init(&text, &arena);
        lt_str_printf(&text, "graph g(%%f: %s[4], %%b: bool[4]) {\n%%y = %s %s\nyield %%y }",
                      info->rule == RULE_INT     ? "i32"
                      : info->rule == RULE_LOGIC ? "bool"
                                                 : "f32",
                      info->name, list);
        const Module *m = read_text(text.text);
        ck_assert_int_eq(m->main->first->op, OP_MAP);
        ck_assert_int_eq(lt_node_fn(m->main->first), fn);
        ck_assert_str_eq(text_of(read_text(text_of(m))), text_of(m));
    }
}
END_TEST

START_TEST(large_constants_read_back) {
    lt_arena_init(&arena);
    Module *m = lt_module_new(&arena, NULL);
    float *data = LT_ARRAY(&arena, float, 1000);
    for (int i = 0; i < 1000; i++)
        data[i] = (float)i / 7;
    Builder b = {.graph = m->main};
    Value *value =
        lt_build_const(&b, lt_const(m, lt_type_static(m, DT_F32, 2, (int64_t[]){10, 100}), data));
    lt_graph_set_outputs(m->main, &value, 1);
    const Module *again = read_text(text_of(m));
    const Const *copy = again->const_list.data[0];
    ck_assert_uint_eq(copy->bytes, 4000);
    ck_assert_int_eq(memcmp(copy->data, data, 4000), 0);
    Str shown;
    lt_str_init(&shown, &arena);
    lt_module_print_elided(&shown, m);
    ck_assert_ptr_nonnull(strstr(shown.text, "%0 = const f32[10,100] hash 0x"));
}
END_TEST

START_TEST(a_node_prints_on_one_line) {
    lt_arena_init(&arena);
    const Module *m =
        read_text("graph g(%x: f32[2]) { %y \"out\" = add %x, %x loc(\"A\" \"Add\") yield %y }");
    Str text;
    lt_str_init(&text, &arena);
    lt_node_print(&text, m->main->first);
    ck_assert_str_eq(text.text, "%1 \"out\" = add %0, %0 : f32[2] loc(\"A\" \"Add\")");
}
END_TEST

LT_TEST_MAIN("test_text", names_what_is_wrong_and_where, points_with_a_caret, limits_nesting,
             any_bytes_do_no_harm, every_op_reads_back, every_scalar_reads_back,
             large_constants_read_back, a_node_prints_on_one_line)
