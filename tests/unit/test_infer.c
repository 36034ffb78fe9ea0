/* test_infer.c - inference: types and contents that it finds, guards that it records, and what it
 * says about what does not fit together. Cases are text IR. */
#include "tests/unit/eval_fixture.h"

#define HEAD "symbol h in 1..\nsymbol w in 1..\ngraph main("

static Module *read_graph(const char *inputs, const char *body, bool *ok) {
    lt_arena_init(&arena);
    const char *text = lt_arena_printf(&arena, HEAD "%s) {\n%s\n}\n", inputs, body);
    Module *m = lt_module_new(&arena, "test.lir");
    *ok = lt_module_read(m, text, strlen(text));
    return m;
}

/* --- errors --------------------------------------------------------------------------------------
 */

typedef struct ErrorCase {
    const char *inputs, *body, *message;
} ErrorCase;

#define CONV_ATTRS "pad_lo = [0, 0], pad_hi = [0, 0], strides = [1, 1], dilations = [1, 1]"

static const ErrorCase error_cases[] = {
    {"%0: f32[2,3], %1: f32[2]", "%2 = add %0, %1\nyield %2",
     "input 1 of add is f32[2], which does not broadcast with input 0, f32[2,3]"},
    {"%0: f32[2], %1: f64[2]", "%2 = add %0, %1\nyield %2",
     "input 0 of add is f32, input 1 is f64, they must be the same"},
    {"%0: i32[2]", "%2 = exp %0\nyield %2", "exp is not defined for i32"},
    {"%0: f32[2]", "%2 = bitnot %0\nyield %2", "bitnot is not defined for f32"},
    {"%0: f32[2]", "%2 = select %0, %0, %0\nyield %2", "input 0 is f32, bool is expected"},
    {"%0: f32[2,3]", "%2 = reshape %0 {shape = [4]}\nyield %2",
     "cannot reshape f32[2,3] (6 elements) to f32[4] (4 elements)"},
    {"%0: f32[2,3]", "%2 = broadcast %0 {shape = [2, 4]}\nyield %2",
     "cannot broadcast f32[2,3] to f32[2,4]"},
    {"%0: f32[2,3]", "%2 = transpose %0 {perm = [0, 0]}\nyield %2",
     "perm is not an order of the 2 axes of f32[2,3]"},
    {"%0: f32[2,3]", "%2 = transpose %0 {perm = [0]}\nyield %2",
     "attribute perm has 1 elements, 2 are expected"},
    {"%0: f32[5]", "%2 = slice %0 {start = [3], size = [3], step = [1]}\nyield %2",
     "axis 0 has extent 5, the slice takes 3 elements from 3 on by step 1"},
    {"%0: f32[5]", "%2 = slice %0 {start = [0], size = [1], step = [0]}\nyield %2",
     "the step of axis 0 is 0"},
    {"%0: f32[3]", "%2 = pad %0 {pad_lo = [3], pad_hi = [0], mode = \"reflect\"}\nyield %2",
     "axis 0 has extent 3, which is too short to reflect by 3 and 0"},
    {"%0: f32[3]", "%2 = pad %0 {pad_lo = [-2], pad_hi = [-2]}\nyield %2",
     "axis 0 has extent 3, which is too short to constant by -2 and -2"},
    {"%0: f32[2,3], %1: f32[3,3]", "%2 = concat %0, %1 {axis = 1}\nyield %2",
     "input 1 is f32[3,3], input 0 is f32[2,3], only axis 1 may differ"},
    {"%0: f32[2,3], %1: f32[2]", "%2 = gather %0, %1 {axis = 0}\nyield %2",
     "input 1 holds indices and must be i64 or i32, it is f32"},
    {"%0: f32[2,3], %1: i64[2]", "%2 = gather %0, %1 {axis = 2}\nyield %2",
     "axis 2 is outside of input 0, which is f32[2,3]"},
    {"%0: f32[2,3], %1: i64[4,3]", "%2 = gather_nd %0, %1\nyield %2",
     "the indices are i64[4,3], their last extent must be a number from 1 to 2"},
    {"%0: f32[2,3], %1: i64[4,1], %2: f32[4,2]", "%3 = scatter_nd %0, %1, %2\nyield %3",
     "input 2 (the updates) is f32[4,2], what the indices address is f32[4,3], their dims must "
     "be the same"},
    {"%0: f32[2,3]", "%2 = reduce.sub %0 {axes = [0], keep = false}\nyield %2",
     "reduce folds by add, mul, min, max, and, or; not by sub"},
    {"%0: f32[2,3]", "%2 = reduce.add %0 {axes = [1, 0], keep = false}\nyield %2",
     "the axes are not in ascending order"},
    {"%0: f32[2,3], %1: f32[4,5]", "%2 = contract %0, %1 {spec = \"mk,kn->mn\"}\nyield %2",
     "k of \"mk,kn->mn\" is 3 in input 0 and 4 in input 1"},
    {"%0: f32[2,3], %1: f32[3,5]", "%2 = contract %0, %1 {spec = \"mk,kn->mp\"}\nyield %2",
     "the spec \"mk,kn->mp\" has a letter in the result that no operand has"},
    {"%0: f32[2,3], %1: f32[3,5]", "%2 = contract %0, %1 {spec = \"mk\"}\nyield %2",
     "the spec \"mk\" is not of the form \"ab,bc->ac\""},
    {"%0: f32[1,8,8,64], %1: f32[3,3,128,9]",
     "%2 = conv %0, %1 {" CONV_ATTRS ", groups = 1}\nyield %2",
     "input 0 has 64 channels, the weight expects 128"},
    {"%0: f32[1,8,8,64], %1: f32[3,3,32,9]",
     "%2 = conv %0, %1 {" CONV_ATTRS ", groups = 2}\nyield %2",
     "the weight has 9 output channels, which 2 groups do not divide"},
    {"%0: f32[1,8,2,64], %1: f32[3,3,64,9]",
     "%2 = conv %0, %1 {" CONV_ATTRS ", groups = 1}\nyield %2",
     "spatial axis 1 has extent 2, padding included 2, which is less than the kernel's 3"},
    {"%0: f32[4]",
     "%2, %3 = topk %0 {axis = 0, size = [5], largest = true, sorted = true}\nyield %2",
     "topk takes 5 of 4 elements"},
    {"%0: f32[2,1,8], %1: f32[3,12], %2: f32[1,3]", "%3, %4, %5 = lstm %0, %1, %2, %2\nyield %3",
     "input 0 has 8 gates, 4 times the 3 of the recurrent weights are expected"},
    {"%0: f32[2,3], %1: f32[2]", "%2 = layer_norm %0, %1 {axis = 1, epsilon = 0}\nyield %2",
     "the scale is f32[2], what is normalized is f32[3], their dims must be the same"},
    {"%0: f32[2]", "%2 = resize %0 {shape = [4], mode = \"sharp\"}\nyield %2",
     "resize mode \"sharp\" is not known"},
    {"%0: f32[h], %1: f32[h + 1]", "%2 = add %0, %1\nyield %2",
     "input 1 of add is f32[h + 1], which does not broadcast with input 0, f32[h]"},
};

START_TEST(errors) {
    for (size_t i = 0; i < sizeof error_cases / sizeof *error_cases; i++) {
        const ErrorCase *c = &error_cases[i];
        bool ok;
        const Module *m = read_graph(c->inputs, c->body, &ok);
        ck_assert_msg(!ok && m->diags.items.len > 0, "accepted: %s", c->body);
        ck_assert_str_eq(m->diags.items.data[0].text, c->message);
        ck_assert_int_eq(lt_diag_status(&m->diags), 4);
        lt_arena_free(&arena);
    }
}
END_TEST

/* --- types and guards ----------------------------------------------------------------------------
 */

typedef struct TypeCase {
    const char *inputs, *body, *type; /* of the first value that is yielded */
    const char *guard;                /* "a == b", or NULL: none */
} TypeCase;

static const TypeCase type_cases[] = {
    {"%0: f32[h,1], %1: f32[w]", "%2 = add %0, %1\nyield %2", "f32[h,w]", NULL},
    {"%0: f32[h], %1: f32[4]", "%2 = add %0, %1\nyield %2", "f32[4]", "h == 4"},
    {"%0: f32[h], %1: f32[w]", "%2 = lt %0, %1\nyield %2", "bool[h]", "h == w"},
    {"%0: bool[h], %1: f32[h], %2: f32[]", "%3 = select %0, %1, %2\nyield %3", "f32[h]", NULL},
    {"%0: f32[h,4,w]", "%2 = reshape %0 {shape = [2*h, 2*w]}\nyield %2", "f32[2*h,2*w]", NULL},
    {"%0: f32[h,4]", "%2 = reshape %0 {shape = [w, 2]}\nyield %2", "f32[w,2]", "4*h == 2*w"},
    {"%0: f32[h]", "%2 = slice %0 {start = [0], size = [h], step = [1]}\nyield %2", "f32[h]", NULL},
    {"%0: f32[h]", "%2 = slice %0 {start = [2], size = [3], step = [1]}\nyield %2", "f32[3]",
     "max(5, h) == h"},
    {"%0: f32[h,3], %1: f32[h,w]", "%2 = concat %0, %1 {axis = 1}\nyield %2", "f32[h,w + 3]", NULL},
    {"%0: f32[5,6,7], %1: i64[h,2]", "%2 = gather %0, %1 {axis = 1}\nyield %2", "f32[5,h,2,7]",
     NULL},
    {"%0: f32[5,6,7], %1: i64[h,2]", "%2 = gather_nd %0, %1\nyield %2", "f32[h,7]", NULL},
    {"%0: f32[h,6,7]", "%2 = reduce.max %0 {axes = [0, 2], keep = true}\nyield %2", "f32[1,6,1]",
     NULL},
    {"%0: f32[1,h,w,3], %1: f32[3,3,3,8]",
     "%2 = conv %0, %1 {pad_lo = [1, 1], pad_hi = [1, 1], strides = [2, 1], dilations = [1, 1], "
     "groups = 1}\nyield %2",
     "f32[1,(h + 1) floordiv 2,w,8]", NULL},
    {"%0: f32[1,4,4,3], %1: f32[2,2,3,8]",
     "%2 = conv %0, %1 {pad_lo = [1, 1], pad_hi = [1, 1], strides = [1, 1], dilations = [1, 1], "
     "groups = 1, "
     "input_dilation = [2, 2]}\nyield %2",
     "f32[1,8,8,8]", NULL},
    {"%0: f32[1,4,4,3], %1: f32[2,1,1,3,8]",
     "%2 = conv %0, %1 {" CONV_ATTRS ", groups = 1, packed = 8, size = [9]}\nyield %2",
     "f32[1,4,4,9]", NULL},
    {"%0: f32[h,5,6], %1: f32[6,w]", "%2 = contract %0, %1 {spec = \"bmk,kn->bmn\"}\nyield %2",
     "f32[h,5,w]", NULL},
    {"%0: f32[4,6], %1: f32[2,6,8]",
     "%2 = contract %0, %1 {spec = \"mk,kn->mn\", packed = 8, size = [13]}\nyield %2", "f32[4,13]",
     NULL},
    {"%0: f32[4,6,10]", "%2 = pack %0 {axis = 2, packed = 8, count = 1}\nyield %2", "f32[4,2,6,8]",
     NULL},
    {"%0: f32[2,1,12], %1: f32[3,12], %2: f32[1,3]",
     "%3, %4, %5 = lstm %0, %1, %2, %2\nyield %4, %3", "f32[1,3]", NULL},
    /* Shape arithmetic by way of contents: [h, w] as tensors becomes dims of a reshape's result. */
    {"%0: f32[h,w]",
     "%1 = dims {dims = [h, w]}\n%2 = convert %1 {dtype = i32}\n%3 = const i32[] [2]\n%4 = mul "
     "%2, %3\n"
     "%5 = reduce.mul %4 {axes = [0], keep = true}\n%6 = convert %5 {dtype = i64}\nyield %6",
     "i64[1]", NULL},
};

static const char *guard_text(const Module *m) {
    Str s;
    if (m->guards.len == 0)
        return NULL;
    lt_str_init(&s, &arena);
    lt_dim_print(&s, m->guards.data[0].a);
    lt_str_append(&s, " == ");
    lt_dim_print(&s, m->guards.data[0].b);
    return s.text;
}

START_TEST(types) {
    for (size_t i = 0; i < sizeof type_cases / sizeof *type_cases; i++) {
        const TypeCase *c = &type_cases[i];
        bool ok;
        const Module *m = read_graph(c->inputs, c->body, &ok);
        ck_assert_msg(ok, "%s: %s", c->body, m->diags.items.len ? m->diags.items.data[0].text : "");
        Str s;
        lt_str_init(&s, &arena);
        lt_type_print(&s, lt_input(lt_graph_yield(m->main), 0)->type);
        ck_assert_str_eq(s.text, c->type);
        const char *guard = guard_text(m);
        ck_assert_msg(!guard == !c->guard && (!guard || strcmp(guard, c->guard) == 0),
                      "%s: guard %s", c->body, guard ? guard : "missing");
        lt_arena_free(&arena);
    }
}
END_TEST

/* --- contents ------------------------------------------------------------------------------------
 */

#define CONTENT_INPUTS "%0: f32[h,w,3]"
#define SHAPE_OF "%1 = dims {dims = [h, w, 3]}\n"

static const char *const content_cases[][2] = {
    {SHAPE_OF "%2 = const i64[1] [-2]\n%3 = gather %1, %2 {axis = 0}", "w"},
    {SHAPE_OF "%3 = slice %1 {start = [2], size = [3], step = [-1]}", "3, w, h"},
    {SHAPE_OF "%2 = const i64[1] [7]\n%3 = concat %2, %1 {axis = 0}", "7, h, w, 3"},
    {SHAPE_OF "%2 = const i64[] [2]\n%3 = div %1, %2", "h floordiv 2, w floordiv 2, 1"},
    {SHAPE_OF "%2 = const i64[] [-2]\n%3 = div %1, %2", NULL},
    {SHAPE_OF "%2 = const i64[] [2]\n%3 = mod %1, %2", "h mod 2, w mod 2, 1"},
    {SHAPE_OF "%2 = neg %1\n%3 = abs %2", "h, w, 3"},
    {SHAPE_OF "%2 = const i64[] [0]\n%3 = gt %1, %2", "1, 1, 1"},
    {SHAPE_OF "%2 = const i64[] [1]\n%3 = gt %1, %2", NULL},
    {SHAPE_OF "%2 = const i64[] [0]\n%4 = eq %1, %2\n%5 = const i64[] [9]\n%3 = select %4, %5, %1",
     "h, w, 3"},
    {SHAPE_OF "%2 = const i64[] [100]\n%3 = min %1, %2", "min(100, h), min(100, w), 3"},
    {SHAPE_OF "%3 = reduce.mul %1 {axes = [0], keep = false}", "3*h*w"},
    {SHAPE_OF "%3 = convert %1 {dtype = i32}", "h, w, 3"},
    {SHAPE_OF "%3 = convert %1 {dtype = i8}", NULL},
    {SHAPE_OF "%3 = convert %1 {dtype = f32}", NULL},
    {SHAPE_OF "%3 = convert %1 {dtype = bool}", "1, 1, 1"},
    {"%2 = const u8[2] [200, 1]\n%3 = add %2, %2", NULL},
    {"%2 = const u8[2] [100, 1]\n%3 = add %2, %2", "200, 2"},
    {"%3 = iota {shape = [3], axis = 0, dtype = i64}", "0, 1, 2"},
    {"%2 = const i64[1] [4]\n%4 = reshape %2 {shape = []}\n%3 = broadcast %4 {shape = [2]}",
     "4, 4"},
};

static const char *content_text(const Value *v) {
    Str s;
    if (!v->content)
        return NULL;
    lt_str_init(&s, &arena);
    const int64_t count = v->type->rank ? v->type->dims[0]->value : 1;
    for (int64_t i = 0; i < count; i++) {
        lt_str_append(&s, i ? ", " : "");
        lt_dim_print(&s, v->content[i]);
    }
    return s.text;
}

START_TEST(contents) {
    for (size_t i = 0; i < sizeof content_cases / sizeof *content_cases; i++) {
        bool ok;
        const char *expected = content_cases[i][1];
        lt_arena_init(&arena);
        const char *body = lt_arena_printf(&arena, "%s\nyield %%3", content_cases[i][0]);
        char *copy = strdup(body);
        lt_arena_free(&arena);
        const Module *m = read_graph(CONTENT_INPUTS, copy, &ok);
        ck_assert_msg(ok, "%s: %s", copy, m->diags.items.len ? m->diags.items.data[0].text : "");
        const char *found = content_text(lt_input(lt_graph_yield(m->main), 0));
        ck_assert_msg(!found == !expected && (!found || strcmp(found, expected) == 0), "%s: %s",
                      copy, found ? found : "unknown");
        free(copy);
        lt_arena_free(&arena);
    }
}
END_TEST

/* What a loop carries may vary between iterations: its type in the body stays when all is inferred
 * again. */
START_TEST(carried_dims_stay) {
    static const char text[] =
        "module \"t\"\nsymbol n in 1..\nsymbol d0 in 0.. data\n"
        "graph main(%m: i64[], %x: f32[n]) {\n%go = const bool[] [true]\n"
        "%p = loop %m, %go, %x {count = 1} region(%i: i64[], %a: f32[d0]) {\n"
        "%more = const bool[] [true] %1 = concat %a, %a {axis = 0} yield %more, %1 }\n"
        "yield %p\n}\n";
    lt_arena_init(&arena);
    Module *m = lt_module_new(&arena, "test.lir");
    ck_assert(lt_module_read(m, text, strlen(text)));
    ck_assert_msg(lt_infer_graph(m->main), "%s",
                  m->diags.items.len ? m->diags.items.data[0].text : "");
    const Node *loop = lt_input(lt_graph_yield(m->main), 0)->def;
    const Type *carried = loop->regions[0]->inputs.data[1]->type;
    ck_assert_str_eq(carried->dims[0]->name, "d0");
    ck_assert_ptr_ne(carried->dims[0], lt_input(loop, 2)->type->dims[0]);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_infer", errors, types, contents, carried_dims_stay)
