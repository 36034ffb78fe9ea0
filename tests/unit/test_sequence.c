/* test_sequence.c - sequences and optionals: in loops, branches and maps, from outside, of several
 * ranks, split and joined; what is refused, and how. */
#include "tests/unit/sequence_fixture.h"

/* --- loops ------------------------------------------------------------------------------------ */

/* Appends x[0:i + 1] in iteration i. */
static Bytes growing_body(void) {
    Bytes g = {.len = 0};
    declare(&g, INPUT, "i", tensor_type(INTS, ""));
    declare(&g, INPUT, "on", tensor_type(BOOLS, ""));
    declare(&g, INPUT, "s", sequence_type(FLOATS, NULL));
    declare(&g, OUTPUT, "go", tensor_type(BOOLS, ""));
    declare(&g, OUTPUT, "t", sequence_type(FLOATS, NULL));
    add_node(&g, "Identity", "on", "go");
    add_node(&g, "Add", "i one", "end");
    add_node(&g, "Slice", "x zero end", "part");
    add_node(&g, "SequenceInsert", "s part", "t");
    return g;
}

static Bytes growing(const char *nodes_behind) {
    Bytes g = {.len = 0}, n = new_node("Loop", "m - none", "all"), body = growing_body();
    declare(&g, INPUT, "m", tensor_type(INTS, ""));
    declare(&g, INPUT, "k", tensor_type(INTS, ""));
    declare(&g, INPUT, "x", tensor_type(FLOATS, "n"));
    add_list(&g, "one", (int64_t[]){1}, 1);
    add_list(&g, "zero", (int64_t[]){0}, 1);
    add_node(&g, "SequenceEmpty", "", "none");
    add_graph(&n, "body", &body);
    put_message(&g, 1, &n);
    declare(&g, OUTPUT, "y", sequence_type(FLOATS, NULL));
    add_node(&g, "Identity", "all", "y");
    declare(&g, OUTPUT, "count", tensor_type(INTS, ""));
    add_node(&g, "SequenceLength", "all", "count");
    add_node(&g, "SequenceAt", "all k", nodes_behind);
    return g;
}

START_TEST(loops_build_sequences) {
    setup();
    Bytes g = growing("one_of_them");
    declare(&g, OUTPUT, "joined", tensor_type(FLOATS, "?"));
    declare(&g, OUTPUT, "one_of_them", tensor_type(FLOATS, "?"));
    add_node_int(&g, "ConcatFromSequence", "all > joined", "axis", 0);
    static const Try tries[] = {
        {{":3", ":1", "4:1 2 3 4"}, {"1:1; 2:1 2; 3:1 2 3", ":3", "6:1 1 2 1 2 3", "2:1 2"}},
        {{":1", ":-1", "2:7 8"}, {"1:7", ":1", "1:7", "1:7"}},
        {{":5", ":-2", "3:1 2 3"},
         {"1:1; 2:1 2; 3:1 2 3; 3:1 2 3; 3:1 2 3", ":5", "12:1 1 2 1 2 3 1 2 3 1 2 3", "3:1 2 3"}},
        {{":2", ":2", "2:1 2"}, {"!position"}},
        {{":2", ":-3", "2:1 2"}, {"!"}},
        {{":0", ":0", "2:1 2"}, {"!"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* --- sequences that come from outside --------------------------------------------------------- */

START_TEST(elements_go_in_and_out) {
    setup();
    Bytes g = {.len = 0};
    declare(&g, INPUT, "s", sequence_type(FLOATS, "?"));
    declare(&g, INPUT, "v", tensor_type(FLOATS, "n"));
    declare(&g, INPUT, "at", tensor_type(INTS, ""));
    declare(&g, INPUT, "gone", tensor_type(INTS, ""));
    declare(&g, OUTPUT, "more", sequence_type(FLOATS, "?"));
    declare(&g, OUTPUT, "fewer", sequence_type(FLOATS, "?"));
    declare(&g, OUTPUT, "last", sequence_type(FLOATS, "?"));
    add_node(&g, "SequenceInsert", "s v at", "more");
    add_node(&g, "SequenceErase", "more gone", "fewer");
    add_node(&g, "SequenceErase", "s", "last");
    static const Try tries[] = {
        {{"2:1 2; 1:3; 0:", "2:8 9", ":1", ":0"},
         {"2:1 2; 2:8 9; 1:3; 0:", "2:8 9; 1:3; 0:", "2:1 2; 1:3"}},
        {{"2:1 2; 1:3", "1:8", ":2", ":-1"}, {"2:1 2; 1:3; 1:8", "2:1 2; 1:3", "2:1 2"}},
        {{"2:1 2; 1:3", "1:8", ":-2", ":1"}, {"1:8; 2:1 2; 1:3", "1:8; 1:3", "2:1 2"}},
        {{"1:1", "1:8", ":2", ":0"}, {"!position"}},
        {{"1:1", "1:8", ":-2", ":0"}, {"!"}},
        {{"1:1", "1:8", ":0", ":2"}, {"!position"}},
        {{"", "1:8", ":0", ":0"}, {"!"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* Shapes that do not fit the values are refused, whatever they say. */
START_TEST(shapes_are_not_trusted) {
    setup();
    Bytes g = {.len = 0};
    Running r = {.model = NULL};
    declare(&g, INPUT, "s", sequence_type(FLOATS, "?x?"));
    declare(&g, INPUT, "k", tensor_type(INTS, ""));
    declare(&g, OUTPUT, "y", tensor_type(FLOATS, "?x?"));
    add_node(&g, "SequenceAt", "s k", "y");
    ck_assert_int_eq(compile(&r, &g), 0);
    static const int64_t wrong[][4] = {
        {2, 3, 1, 1},   {1, 1, -1, -1},        {1, 1, 2, -3},
        {-1, 1, 2, 2},  {1, 1, INT64_MAX, 2},  {1, 1, INT64_C(1) << 32, INT64_C(1) << 32},
        {-2, -2, 1, 1}, {1, 1, INT64_MIN, -1}, {3, 1, 3, 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        set_inputs(&r, (const char *const[]){"1x2:1 2; 2x1:3 4", ":1"});
        memcpy(r.members[1].data, wrong[i], sizeof wrong[i]);
        ck_assert_msg(lathe_run(r.context), "%zu ran", i);
    }
    set_inputs(&r, (const char *const[]){"1x2:1 2; 2x1:3 4", ":1"});
    ck_assert(!lathe_run(r.context));
    lathe_context_free(r.context);
    lathe_model_close(r.model);
    teardown();
}
END_TEST

START_TEST(several_ranks) {
    setup();
    Bytes g = {.len = 0};
    declare(&g, INPUT, "s", sequence_type(FLOATS, NULL));
    declare(&g, INPUT, "v", tensor_type(FLOATS, "2x1"));
    declare(&g, INPUT, "k", tensor_type(INTS, ""));
    declare(&g, OUTPUT, "more", sequence_type(FLOATS, NULL));
    declare(&g, OUTPUT, "one", tensor_type(FLOATS, "?"));
    add_node(&g, "SequenceInsert", "s v", "more");
    add_node(&g, "SequenceAt", "more k", "one");
    static const Try tries[] = {
        {{":5; 3:1 2 3", "2x1:8 9", ":1"}, {":5; 3:1 2 3; 2x1:8 9", "3:1 2 3"}},
        {{"1:5; 1x1x1:4", "2x1:8 9", ":0"}, {"1:5; 1x1x1:4; 2x1:8 9", "1:5"}},
        {{":5; 3:1 2 3", "2x1:8 9", ":0"}, {"!"}},
        {{":5; 3:1 2 3", "2x1:8 9", ":2"}, {"!"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* --- lists ------------------------------------------------------------------------------------ */

/* What is known while compiling copies nothing: the graph has no more than the reshape of an
 * output. */
START_TEST(lists_cost_nothing) {
    setup();
    Bytes g = {.len = 0};
    DiagList *diags;
    declare(&g, INPUT, "a", tensor_type(FLOATS, "n"));
    declare(&g, INPUT, "b", tensor_type(FLOATS, "nx2"));
    declare(&g, OUTPUT, "y", tensor_type(FLOATS, "nx2"));
    add_list(&g, "two", (int64_t[]){2}, 1);
    add_node(&g, "SequenceConstruct", "a a", "s");
    add_node(&g, "SequenceInsert", "s b", "t");
    add_node(&g, "SequenceErase", "t two", "u");
    add_node(&g, "SequenceInsert", "u b", "v");
    add_node(&g, "SequenceAt", "v two", "at");
    add_node(&g, "Neg", "at", "y");
    Bytes bytes = new_model(&g, OPSET);
    Module *m = lt_import_onnx(&arena, "m.onnx", bytes.data, bytes.len, NULL, &diags);
    ck_assert(m);
    const Node *neg = lt_input(lt_graph_yield(m->main), 0)->def;
    ck_assert_int_eq(neg->op, OP_MAP);
    ck_assert_ptr_eq(lt_input(neg, 0), m->main->inputs.data[1]);
    teardown();
}
END_TEST

START_TEST(lists_that_a_run_indexes) {
    setup();
    Bytes g = {.len = 0};
    declare(&g, INPUT, "a", tensor_type(FLOATS, "2"));
    declare(&g, INPUT, "b", tensor_type(FLOATS, "n"));
    declare(&g, INPUT, "k", tensor_type(INTS, ""));
    declare(&g, OUTPUT, "equal", tensor_type(FLOATS, "2"));
    declare(&g, OUTPUT, "other", tensor_type(FLOATS, "?"));
    declare(&g, OUTPUT, "rest", sequence_type(FLOATS, "?"));
    add_node(&g, "Neg", "a", "c");
    add_node(&g, "SequenceConstruct", "a c", "alike");
    add_node(&g, "SequenceAt", "alike k", "equal");
    add_node(&g, "SequenceConstruct", "a b c", "s");
    add_node(&g, "SequenceAt", "s k", "other");
    add_node(&g, "SequenceErase", "s k", "rest");
    static const Try tries[] = {
        {{"2:1 2", "3:3 4 5", ":1"}, {"2:-1 -2", "3:3 4 5", "2:1 2; 2:-1 -2"}},
        {{"2:1 2", "1:3", ":-1"}, {"2:-1 -2", "2:-1 -2", "2:1 2; 1:3"}},
        {{"2:1 2", "1:3", ":2"}, {"!position"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* --- split and join --------------------------------------------------------------------------- */

START_TEST(parts_that_a_run_tells) {
    setup();
    Bytes g = {.len = 0};
    declare(&g, INPUT, "x", tensor_type(FLOATS, "hxwx2"));
    declare(&g, INPUT, "size", tensor_type(INTS, ""));
    declare(&g, INPUT, "sizes", tensor_type(INTS, "k"));
    declare(&g, OUTPUT, "chunks", sequence_type(FLOATS, NULL));
    declare(&g, OUTPUT, "parts", sequence_type(FLOATS, NULL));
    declare(&g, OUTPUT, "rows", sequence_type(FLOATS, NULL));
    declare(&g, OUTPUT, "same", tensor_type(FLOATS, "?x?x?"));
    declare(&g, OUTPUT, "again", tensor_type(FLOATS, "?x?x?"));
    declare(&g, OUTPUT, "turned", tensor_type(FLOATS, "?x?x?"));
    add_node_int(&g, "SplitToSequence", "x size > chunks", "axis", 1);
    add_node_int(&g, "SplitToSequence", "x sizes > parts", "axis", -2);
    Bytes n = new_node("SplitToSequence", "x", "rows");
    add_int(&n, "axis", 1);
    add_int(&n, "keepdims", 0);
    put_message(&g, 1, &n);
    add_node_int(&g, "ConcatFromSequence", "chunks > same", "axis", 1);
    add_node_int(&g, "ConcatFromSequence", "parts > again", "axis", 1);
    n = new_node("ConcatFromSequence", "rows", "turned");
    add_int(&n, "axis", -1);
    add_int(&n, "new_axis", 1);
    put_message(&g, 1, &n);
    static const Try tries[] = {
        {{"2x3x2:1 2 3 4 5 6 7 8 9 10 11 12", ":2", "3:1 0 2"},
         {"2x2x2:1 2 3 4 7 8 9 10; 2x1x2:5 6 11 12",
          "2x1x2:1 2 7 8; 2x0x2:; 2x2x2:3 4 5 6 9 10 11 12",
          "2x2:1 2 7 8; 2x2:3 4 9 10; 2x2:5 6 11 12", "2x3x2:1 2 3 4 5 6 7 8 9 10 11 12",
          "2x3x2:1 2 3 4 5 6 7 8 9 10 11 12", "2x2x3:1 3 5 2 4 6 7 9 11 8 10 12"}},
        {{"1x2x2:1 2 3 4", ":5", "1:2"},
         {"1x2x2:1 2 3 4", "1x2x2:1 2 3 4", "1x2:1 2; 1x2:3 4", "1x2x2:1 2 3 4", "1x2x2:1 2 3 4",
          "1x2x2:1 3 2 4"}},
        {{"1x2x2:1 2 3 4", ":0", "1:2"}, {"!"}},
        {{"1x2x2:1 2 3 4", ":1", "2:2 1"}, {"!"}},
        {{"1x2x2:1 2 3 4", ":1", "2:3 -1"}, {"!"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* Of a tensor that is cut evenly, parts have shapes that are known, and are cut when asked for. */
START_TEST(parts_of_one_size) {
    setup();
    Bytes g = {.len = 0};
    declare(&g, INPUT, "x", tensor_type(FLOATS, "hx2"));
    declare(&g, INPUT, "k", tensor_type(INTS, ""));
    declare(&g, OUTPUT, "row", tensor_type(FLOATS, "2"));
    declare(&g, OUTPUT, "pair", tensor_type(FLOATS, "?x2"));
    declare(&g, OUTPUT, "more", sequence_type(FLOATS, NULL));
    declare(&g, OUTPUT, "count", tensor_type(INTS, ""));
    declare(&g, OUTPUT, "negated", sequence_type(FLOATS, "?"));
    add_tensor(&g, "two", INTS, NULL, 0, &(int64_t){2}, 8);
    add_node_int(&g, "SplitToSequence", "x > rows", "keepdims", 0);
    add_node_int(&g, "SplitToSequence", "x two > pairs", "axis", 0);
    add_node(&g, "SequenceAt", "rows k", "row");
    add_node(&g, "SequenceAt", "pairs k", "pair");
    add_node(&g, "SequenceInsert", "pairs x k", "more");
    add_node(&g, "SequenceLength", "more", "count");
    Bytes n = new_node("SequenceMap", "rows", "negated"), body = {.len = 0};
    declare(&body, INPUT, "a", tensor_type(FLOATS, NULL));
    declare(&body, OUTPUT, "b", tensor_type(FLOATS, NULL));
    add_node(&body, "Neg", "a", "b");
    add_graph(&n, "body", &body);
    put_message(&g, 1, &n);
    static const Try tries[] = {
        {{"3x2:1 2 3 4 5 6", ":1"},
         {"2:3 4", "1x2:5 6", "2x2:1 2 3 4; 3x2:1 2 3 4 5 6; 1x2:5 6", ":3",
          "2:-1 -2; 2:-3 -4; 2:-5 -6"}},
        {{"1x2:1 2", ":-1"}, {"2:1 2", "1x2:1 2", "1x2:1 2; 1x2:1 2", ":2", "2:-1 -2"}},
        {{"3x2:1 2 3 4 5 6", ":2"}, {"!"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

START_TEST(only_what_fits_is_joined) {
    setup();
    Bytes g = {.len = 0};
    declare(&g, INPUT, "s", sequence_type(FLOATS, "?x?"));
    declare(&g, OUTPUT, "first", tensor_type(FLOATS, "?x?"));
    add_node_int(&g, "ConcatFromSequence", "s > first", "axis", 0);
    static const Try tries[] = {
        {{"1x2:1 2; 2x2:3 4 5 6"}, {"3x2:1 2 3 4 5 6"}},
        {{"1x2:1 2; 2x1:3 4"}, {"!"}},
        {{""}, {"!"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* --- maps, branches, optionals ---------------------------------------------------------------- */

START_TEST(maps) {
    setup();
    Bytes g = {.len = 0}, body = {.len = 0};
    declare(&body, INPUT, "a", tensor_type(FLOATS, "?"));
    declare(&body, INPUT, "b", tensor_type(FLOATS, NULL));
    declare(&body, OUTPUT, "sum", tensor_type(FLOATS, "?"));
    declare(&body, OUTPUT, "shape", tensor_type(INTS, "1"));
    add_node(&body, "Add", "a b", "t");
    add_node(&body, "Mul", "t outside", "sum");
    add_node(&body, "Shape", "a", "shape");
    declare(&g, INPUT, "s", sequence_type(FLOATS, "?"));
    declare(&g, INPUT, "b", tensor_type(FLOATS, "1"));
    declare(&g, INPUT, "outside", tensor_type(FLOATS, ""));
    const char *const names[][2] = {{"s b", "y shapes"}, {"list b", "z others"}};
    add_node(&g, "SequenceConstruct", "b b", "list");
    for (int i = 0; i < 2; i++) {
        Bytes n = new_node("SequenceMap", names[i][0], names[i][1]);
        add_graph(&n, "body", &body);
        put_message(&g, 1, &n);
    }
    declare(&g, OUTPUT, "y", sequence_type(FLOATS, "?"));
    declare(&g, OUTPUT, "shapes", sequence_type(INTS, "1"));
    declare(&g, OUTPUT, "z", sequence_type(FLOATS, "?"));
    static const Try tries[] = {
        {{"2:1 2; 0:; 1:3", "1:10", ":2"}, {"2:22 24; 0:; 1:26", "1:2; 1:0; 1:1", "1:40; 1:40"}},
        {{"", "1:10", ":2"}, {"", "", "1:40; 1:40"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* What is there, else minus one; and it, or the other, as an optional. */
START_TEST(optionals) {
    setup();
    Bytes g = {.len = 0}, then = {.len = 0}, other = {.len = 0};
    const Bytes tensor = tensor_type(FLOATS, "n"), list = sequence_type(FLOATS, "?");
    declare(&then, OUTPUT, "there", tensor_type(FLOATS, "n"));
    add_node(&then, "OptionalGetElement", "x", "there");
    declare(&other, OUTPUT, "nothing", tensor_type(FLOATS, "1"));
    add_tensor(&other, "minus", FLOATS, (int64_t[]){1}, 1, &(float){-1}, 4);
    add_node(&other, "Identity", "minus", "nothing");
    declare(&g, INPUT, "x", optional_type(&tensor));
    declare(&g, INPUT, "s", optional_type(&list));
    declare(&g, OUTPUT, "y", tensor_type(FLOATS, "?"));
    declare(&g, OUTPUT, "has", tensor_type(BOOLS, ""));
    declare(&g, OUTPUT, "same", optional_type(&list));
    declare(&g, OUTPUT, "some", optional_type(&tensor));
    add_node(&g, "OptionalHasElement", "x", "has");
    Bytes n = new_node("If", "has", "y");
    add_graph(&n, "then_branch", &then);
    add_graph(&n, "else_branch", &other);
    put_message(&g, 1, &n);
    add_node(&g, "Identity", "s", "same");
    add_node(&g, "Optional", "y", "some");
    static const Try tries[] = {
        {{"2:1 2", "1:3; 2:4 5"}, {"2:1 2", ":1", "1:3; 2:4 5", "2:1 2"}},
        {{"none", "none"}, {"1:-1", ":0", "none", "1:-1"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

START_TEST(what_is_absent_is_not_taken) {
    setup();
    Bytes g = {.len = 0};
    const Bytes list = sequence_type(FLOATS, "?");
    declare(&g, INPUT, "s", optional_type(&list));
    declare(&g, OUTPUT, "y", sequence_type(FLOATS, "?"));
    add_node(&g, "OptionalGetElement", "s", "y");
    static const Try tries[] = {
        {{"1:3; 2:4 5"}, {"1:3; 2:4 5"}},
        {{"none"}, {"!"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* Branches with a list of one, a list of none, a sequence of outside. */
START_TEST(branches) {
    setup();
    Bytes g = {.len = 0}, then = {.len = 0}, other = {.len = 0};
    declare(&then, OUTPUT, "one", sequence_type(FLOATS, NULL));
    add_node(&then, "SequenceConstruct", "x", "one");
    declare(&other, OUTPUT, "more", sequence_type(FLOATS, NULL));
    add_node(&other, "SequenceInsert", "s x", "more");
    declare(&g, INPUT, "c", tensor_type(BOOLS, ""));
    declare(&g, INPUT, "x", tensor_type(FLOATS, "n"));
    declare(&g, INPUT, "s", sequence_type(FLOATS, "?"));
    declare(&g, OUTPUT, "y", sequence_type(FLOATS, NULL));
    declare(&g, OUTPUT, "z", tensor_type(FLOATS, "?"));
    Bytes n = new_node("If", "c", "y");
    add_graph(&n, "then_branch", &then);
    add_graph(&n, "else_branch", &other);
    put_message(&g, 1, &n);
    add_list(&g, "last", (int64_t[]){-1}, 1);
    add_node(&g, "SequenceAt", "y last", "z");
    static const Try tries[] = {
        {{":1", "2:1 2", "1:3; 1:4"}, {"2:1 2", "2:1 2"}},
        {{":0", "2:1 2", "1:3; 1:4"}, {"1:3; 1:4; 2:1 2", "2:1 2"}},
        {{":0", "2:1 2", ""}, {"2:1 2", "2:1 2"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* --- refusals --------------------------------------------------------------------------------- */

static void expect_refusal(void (*fill)(Bytes *g), const char *words) {
    Bytes g = {.len = 0};
    DiagList *diags;
    declare(&g, INPUT, "s", sequence_type(FLOATS, NULL));
    declare(&g, INPUT, "x", tensor_type(FLOATS, "2"));
    declare(&g, INPUT, "i", tensor_type(INTS, ""));
    declare(&g, OUTPUT, "y", (Bytes){.len = 0});
    fill(&g);
    const Bytes m = new_model(&g, OPSET);
    ck_assert_msg(!lt_import_onnx(&arena, "m.onnx", m.data, m.len, NULL, &diags),
                  "was imported; expected: %s", words);
    const char *found = lt_diag_format(diags, &diags->items.data[0], false);
    ck_assert_msg(strstr(found, words), "expected '%s', found '%s'", words, found);
}

static void adds(Bytes *g) { add_node(g, "Add", "x s", "y"); }
static void measures(Bytes *g) { add_node(g, "SequenceLength", "x", "y"); }
static void indexes(Bytes *g) { add_node(g, "SequenceAt", "s s", "y"); }
static void has_no_rank(Bytes *g) { add_node(g, "SequenceAt", "s i", "y"); }
static void joins(Bytes *g) { add_node_int(g, "ConcatFromSequence", "s > y", "axis", 0); }
static void mixes(Bytes *g) { add_node(g, "SequenceConstruct", "x i", "y"); }
static void inserts(Bytes *g) { add_node(g, "SequenceInsert", "s i", "y"); }
static void nests(Bytes *g) { add_node(g, "SequenceInsert", "s s", "y"); }
static void is_outside(Bytes *g) {
    add_list(g, "two", (int64_t[]){2}, 1);
    add_node(g, "SequenceConstruct", "x x", "t");
    add_node(g, "SequenceAt", "t two", "y");
}
static void is_empty(Bytes *g) {
    add_node(g, "SequenceEmpty", "", "t");
    add_node_int(g, "ConcatFromSequence", "t > y", "axis", 0);
}
static void maps_a_tensor(Bytes *g) { add_node(g, "SequenceMap", "x", "y"); }
static void has_no_type(Bytes *g) { add_node(g, "Optional", "", "y"); }

START_TEST(refuses_with_the_reason) {
    static const struct {
        void (*fill)(Bytes *g);
        const char *words;
    } cases[] = {
        {adds, "Add v20): error: input 1 is a sequence, which the op does not take"},
        {measures, "input 0 must be a sequence, not a tensor"},
        {indexes, "input 1 must be a tensor, not a sequence"},
        {has_no_rank, "the rank of the sequence's elements is not known"},
        {joins, "are not known to be of one rank"},
        {mixes, "element 1 of the sequence is i64 of rank 0, others are f32 of rank 1"},
        {inserts, "i64 of rank 0 cannot be put into a sequence of f32"},
        {nests, "a sequence of f32 cannot be put into a sequence of f32"},
        {is_outside, "position"},
        {is_empty, "are not known to be of one rank"},
        {maps_a_tensor, "input 0 must be a sequence, not a tensor"},
        {has_no_type, "it has neither an input nor a type"},
    };
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refusal(cases[i].fill, cases[i].words);
    teardown();
}
END_TEST

/* Any byte may be wrong: then the model is refused, or is another one that verifies. */
START_TEST(wrong_bytes_do_no_harm) {
    setup();
    Bytes g = growing("one_of_them");
    declare(&g, OUTPUT, "one_of_them", tensor_type(FLOATS, "?"));
    const Bytes good = new_model(&g, OPSET);
    for (size_t i = 0; i < good.len; i++)
        for (int change = 0; change < 3; change++) {
            static const uint8_t with[] = {0x01, 0x80, 0xff};
            DiagList *diags;
            Arena once;
            Bytes bad = good;
            lt_arena_init(&once);
            bad.data[i] ^= with[change];
            Module *m = lt_import_onnx(&once, "m.onnx", bad.data, bad.len, NULL, &diags);
            ck_assert(m ? lt_infer_graph(m->main) && lt_module_verify(m) : diags->errors > 0);
            lt_arena_free(&once);
        }
    teardown();
}
END_TEST

/* --- files ------------------------------------------------------------------------------------ */

/* A file of two elements, cut or with a wrong byte, is refused or holds other elements. */
START_TEST(wrong_files_do_no_harm) {
    setup();
    static const lathe_dim row[] = {{.hi = INT64_MAX}, {.hi = LATHE_MAX_RANK}};
    static const lathe_tensor_info infos[] = {{.name = "s.has", .dtype = LATHE_BOOL},
                                              {"s.values", LATHE_F32, 1, row},
                                              {"s.shapes", LATHE_I64, 2, row}};
    const ValueSlot slot = {.name = "s",
                            .count = 3,
                            .info = {&infos[0], &infos[1], &infos[2]},
                            .is_optional = true,
                            .is_sequence = true};
    Bytes list = {.len = 0}, optional = {.len = 0};
    for (int64_t i = 1; i <= 2; i++) {
        Bytes t = new_tensor("", FLOATS, (int64_t[]){i, 2}, 2);
        put_bytes(&t, 9, (float[]){1, 2, 3, 4}, (size_t)i * 8);
        put_message(&list, 3, &t);
    }
    put_int(&optional, 2, 3);
    put_message(&optional, 5, &list);
    HostTensor members[SLOT_MEMBERS];
    HostValue v;
    const char *error;
    ck_assert(!lt_value_pb_parse(&arena, optional.data, optional.len, &slot, &v, &error));
    ck_assert_str_eq(text_of(&v), "1x2:1 2; 2x2:1 2 3 4");
    for (size_t i = 0; i < optional.len; i++)
        for (int change = 0; change < 256; change++) {
            Arena once;
            Bytes bad = optional;
            lt_arena_init(&once);
            bad.data[i] ^= (uint8_t)change;
            const size_t length = change ? bad.len : i;
            const uint8_t *copy = lt_arena_copy(&once, bad.data, length); /* ASan sees its end */
            if (!lt_value_pb_parse(&once, copy, length, &slot, &v, &error))
                (void)lt_value_pack(&once, &slot, &v, members, &error);
            lt_arena_free(&once);
        }
    teardown();
}
END_TEST

LT_TEST_MAIN("test_sequence", loops_build_sequences, elements_go_in_and_out, shapes_are_not_trusted,
             several_ranks, lists_cost_nothing, lists_that_a_run_indexes, parts_that_a_run_tells,
             parts_of_one_size, only_what_fits_is_joined, maps, optionals,
             what_is_absent_is_not_taken, branches, refuses_with_the_reason, wrong_bytes_do_no_harm,
             wrong_files_do_no_harm)
