/* test_strings.c - tensors of strings, compiled and by the evaluator: what is compared, joined,
 * moved, cut, looked up and matched; constants; what is refused, and how. */
#include "tests/unit/sequence_fixture.h"

/* AttributeProto of type STRINGS: words apart by '|'. */
static void add_words(Bytes *node, const char *name, const char *words) {
    Bytes a = {.len = 0};
    char *rest = lt_arena_strdup(&arena, words), *word;
    put_string(&a, 1, name);
    while ((word = strsep(&rest, "|")))
        put_string(&a, 9, word);
    put_int(&a, 20, 8);
    put_message(node, 5, &a);
}

/* A tensor of strings, an initializer. */
static void add_texts(Bytes *graph, const char *name, int64_t count, const char *words) {
    Bytes t = new_tensor(name, STRINGS, &count, 1);
    char *rest = lt_arena_strdup(&arena, words), *word;
    while ((word = strsep(&rest, "|")))
        put_string(&t, 6, word);
    put_message(graph, 5, &t);
}

/* A graph of this node, from x to y. */
static Bytes graph_of(const Bytes *node, Bytes x, Bytes y) {
    Bytes g = {.len = 0};
    declare(&g, INPUT, "x", x);
    declare(&g, OUTPUT, "y", y);
    put_message(&g, 1, node);
    return g;
}

static Bytes ml_node(const char *op) {
    Bytes n = new_node(op, "x", "y");
    put_string(&n, 7, "ai.onnx.ml");
    return n;
}

/* --- two strings ------------------------------------------------------------------------------ */

START_TEST(strings_are_compared_and_joined) {
    setup();
    Bytes g = {.len = 0};
    declare(&g, INPUT, "x", tensor_type(STRINGS, "nxm"));
    declare(&g, INPUT, "y", tensor_type(STRINGS, "m"));
    declare(&g, OUTPUT, "same", tensor_type(BOOLS, "nxm"));
    declare(&g, OUTPUT, "joined", tensor_type(STRINGS, "nxm"));
    declare(&g, OUTPUT, "twice", tensor_type(STRINGS, "nxm"));
    add_node(&g, "Equal", "x y", "same");
    add_node(&g, "StringConcat", "x y", "joined");
    add_node(&g, "StringConcat", "joined joined", "twice");
    static const Try tries[] = {
        {{"2x2:a|b|ab|\xc3\xa9", "2:a|\xc3\xa9"},
         {"2x2:1 0 0 1", "2x2:aa|b\xc3\xa9|aba|\xc3\xa9\xc3\xa9",
          "2x2:aaaa|b\xc3\xa9"
          "b\xc3\xa9|abaaba|\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"}},
        {{"1x3:|a|abc", "3:||abd"}, {"1x3:1 0 0", "1x3:|a|abcabd", "1x3:|aa|abcabdabcabd"}},
        {{"1x1:", "1:"}, {"1x1:1", "1x1:", "1x1:"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

START_TEST(constants_of_strings) {
    setup();
    Bytes g = {.len = 0}, list = new_node("Constant", "", "list"),
          one = new_node("Constant", "", "one");
    declare(&g, INPUT, "x", tensor_type(STRINGS, ""));
    declare(&g, OUTPUT, "y", tensor_type(STRINGS, "3"));
    declare(&g, OUTPUT, "k", tensor_type(STRINGS, "3"));
    add_words(&list, "value_strings", "a||ccc");
    add_string(&one, "value_string", "-");
    add_texts(&g, "ends", 3, "1|22|");
    put_message(&g, 1, &list);
    put_message(&g, 1, &one);
    add_node(&g, "StringConcat", "list one", "begins");
    add_node(&g, "StringConcat", "begins ends", "k");
    add_node(&g, "StringConcat", "k x", "y");
    static const Try tries[] = {{{":!"}, {"3:a-1!|-22!|ccc-!", "3:a-1|-22|ccc-"}},
                                {{":"}, {"3:a-1|-22|ccc-", "3:a-1|-22|ccc-"}}};
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* --- moving ----------------------------------------------------------------------------------- */

START_TEST(strings_are_moved) {
    setup();
    Bytes g = {.len = 0};
    declare(&g, INPUT, "x", tensor_type(STRINGS, "nx2"));
    declare(&g, INPUT, "y", tensor_type(STRINGS, "kx2"));
    declare(&g, INPUT, "mask", tensor_type(BOOLS, "n"));
    static const char *const outputs[] = {"all", "some", "turned", "cut", "flat", "kept", "either"};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        declare(&g, OUTPUT, outputs[i], tensor_type(STRINGS, NULL));
    declare(&g, OUTPUT, "shape", tensor_type(INTS, "2"));
    add_list(&g, "picks", (int64_t[]){-1, 0, 0}, 3);
    add_list(&g, "first", (int64_t[]){0}, 1);
    add_list(&g, "last", (int64_t[]){-1}, 1);
    add_texts(&g, "dash", 1, "-");
    add_node_int(&g, "Concat", "x y > all", "axis", 0);
    add_node(&g, "Gather", "all picks", "some");
    add_node(&g, "Transpose", "all", "turned");
    add_node(&g, "Slice", "all first last", "cut");
    add_node(&g, "Reshape", "all last", "flat");
    add_node_int(&g, "Compress", "x mask > kept", "axis", 0);
    add_node(&g, "Unsqueeze", "mask last", "column");
    add_node(&g, "Where", "column x dash", "either");
    add_node(&g, "Shape", "all", "shape");
    static const Try tries[] = {
        {{"2x2:a|bb||d", "1x2:e|f", "2:0 1"},
         {"3x2:a|bb||d|e|f", "3x2:e|f|a|bb|a|bb", "2x3:a||e|bb|d|f", "2x2:a|bb||d", "6:a|bb||d|e|f",
          "1x2:|d", "2x2:-|-||d", "2:3 2"}},
        {{"1x2:|", "1x2:x|", "1:0"},
         {"2x2:||x|", "3x2:x|||||", "2x2:|x||", "1x2:|", "4:||x|", "0x2:", "1x2:-|-", "2:2 2"}},
    };
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

static Bytes joining_branch(const char *operands) {
    Bytes g = {.len = 0};
    declare(&g, OUTPUT, "out", tensor_type(STRINGS, "n"));
    add_node(&g, "StringConcat", operands, "out");
    return g;
}

START_TEST(strings_in_branches_and_loops) {
    setup();
    Bytes g = {.len = 0}, one = joining_branch("x x"), other = joining_branch("x mark");
    Bytes n = new_node("If", "c", "y"), loop = new_node("Loop", "m - x", "z");
    Bytes body = joining_branch("s x");
    declare(&body, INPUT, "i", tensor_type(INTS, ""));
    declare(&body, INPUT, "on", tensor_type(BOOLS, ""));
    declare(&body, INPUT, "s", tensor_type(STRINGS, "n"));
    Bytes whole = {.len = 0}; /* the first output tells whether to go on */
    declare(&whole, OUTPUT, "go", tensor_type(BOOLS, ""));
    add_node(&whole, "Identity", "on", "go");
    memcpy(whole.data + whole.len, body.data, body.len);
    whole.len += body.len;
    declare(&g, INPUT, "x", tensor_type(STRINGS, "n"));
    declare(&g, INPUT, "c", tensor_type(BOOLS, ""));
    declare(&g, INPUT, "m", tensor_type(INTS, ""));
    declare(&g, OUTPUT, "y", tensor_type(STRINGS, "n"));
    declare(&g, OUTPUT, "z", tensor_type(STRINGS, "n"));
    add_texts(&g, "mark", 1, "!");
    add_graph(&n, "then_branch", &one);
    add_graph(&n, "else_branch", &other);
    add_graph(&loop, "body", &whole);
    put_message(&g, 1, &n);
    put_message(&g, 1, &loop);
    static const Try tries[] = {{{"2:a|bc", ":1", ":2"}, {"2:aa|bcbc", "2:aaa|bcbcbc"}},
                                {{"2:|bc", ":0", ":0"}, {"2:!|bc!", "2:|bc"}}};
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

START_TEST(optionals_of_strings) {
    setup();
    Bytes g = {.len = 0}, type = tensor_type(STRINGS, "n");
    declare(&g, INPUT, "x", optional_type(&type));
    declare(&g, OUTPUT, "y", type);
    declare(&g, OUTPUT, "has", tensor_type(BOOLS, ""));
    add_node(&g, "OptionalGetElement", "x", "y");
    add_node(&g, "OptionalHasElement", "x", "has");
    static const Try tries[] = {{{"2:a|bc"}, {"2:a|bc", ":1"}}, {{"none"}, {"!"}}};
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* --- StringSplit ------------------------------------------------------------------------------ */

typedef struct Cut {
    const char *delimiter;
    int64_t most; /* maxsplit; -1: not given */
    Try tries[3];
} Cut;

static const Cut cuts[] = {
    {"",
     -1,
     {{{"2: a  bc\t|"}, {"2x2:a|bc||", "2:2 0"}},
      {{"2:\xe3\x80\x80x\xc2\xa0y|z"}, {"2x2:x|y|z|", "2:2 1"}}, /* U+3000, U+00A0 */
      {{"1: "}, {"1x0:", "1:0"}}}},
    {"",
     1,
     {{{"2: a b  c |d "}, {"2x2:a|b  c |d|", "2:2 1"}},
      {{"1:a b "}, {"1x2:a|b ", "1:2"}},
      {{"1:"}, {"1x0:", "1:0"}}}},
    {"",
     0,
     {{{"2: a b |"}, {"2x1:a b |", "2:1 0"}},
      {{"1:a"}, {"1x1:a", "1:1"}},
      {{"1:"}, {"1x0:", "1:0"}}}},
    {",",
     -1,
     {{{"3:a,,b|,|"}, {"3x3:a||b||||||", "3:3 2 1"}},
      {{"1:abc"}, {"1x1:abc", "1:1"}},
      {{"1:"}, {"1x1:", "1:1"}}}},
    {"aa",
     -1,
     {{{"2:aaaaa|baab"}, {"2x3:||a|b|b|", "2:3 2"}},
      {{"2:a|aa"}, {"2x2:a|||", "2:1 2"}}, /* no delimiter of two strings */
      {{"1:aaa"}, {"1x2:|a", "1:2"}}}},
    {"\xc3\xa9-",
     1,
     {{{"2:1\xc3\xa9-2\xc3\xa9-3|x"}, {"2x2:1|2\xc3\xa9-3|x|", "2:2 1"}},
      {{"1:\xc3\xa9"}, {"1x1:\xc3\xa9", "1:1"}},
      {{"1:\xc3\xa9-"}, {"1x2:|", "1:2"}}}},
};

START_TEST(strings_are_split) {
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        setup();
        Bytes n = new_node("StringSplit", "x", "y z");
        if (*cuts[i].delimiter)
            add_string(&n, "delimiter", cuts[i].delimiter);
        if (cuts[i].most >= 0)
            add_int(&n, "maxsplit", cuts[i].most);
        Bytes g = graph_of(&n, tensor_type(STRINGS, "n"), tensor_type(STRINGS, "nx?"));
        declare(&g, OUTPUT, "z", tensor_type(INTS, "n"));
        CHECK_MODEL(g, cuts[i].tries);
        teardown();
    }
}
END_TEST

/* --- StringNormalizer ------------------------------------------------------------------------- */

typedef struct Change {
    const char *action, *stopwords;
    int64_t is_sensitive;
    Try tries[2];
} Change;

static const Change changes[] = {
    {"LOWER",
     "",
     0,
     {{{"4:ABC|\xc3\x89t\xc3\xa9|\xce\xa9|1-_"}, {"4:abc|\xc3\xa9t\xc3\xa9|\xcf\x89|1-_"}},
      {{"2:\xe2\x84\xaa|\xc4\xb0"}, {"2:k|i"}}}}, /* the Kelvin sign and I with a dot get shorter */
    {"UPPER",
     "",
     0,
     {{{"3:stra\xc3\x9f"
        "e|\xf0\x90\x90\xa8|"},
       {"3:STRA\xc3\x9f"
        "E|\xf0\x90\x90\x80|"}},
      {{"2:a\xff"
        "b|\xc3"},
       {"2:A\xff"
        "B|\xc3"}}}}, /* what is no UTF-8 stays */
    {"NONE", "a|\xc3\xa9|", 0, {{{"5:A|b|\xc3\x89||aa"}, {"2:b|aa"}}, {{"2:a|A"}, {"1:"}}}},
    {"UPPER", "a|B", 1, {{{"4:a|A|b|B"}, {"2:A|B"}}, {{"2:a|B"}, {"1:"}}}},
};

START_TEST(strings_are_normalized) {
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        setup();
        Bytes n = new_node("StringNormalizer", "x", "y");
        add_string(&n, "case_change_action", changes[i].action);
        add_int(&n, "is_case_sensitive", changes[i].is_sensitive);
        if (*changes[i].stopwords)
            add_words(&n, "stopwords", changes[i].stopwords);
        const Bytes g = graph_of(&n, tensor_type(STRINGS, "n"), tensor_type(STRINGS, "?"));
        CHECK_MODEL(g, changes[i].tries);
        teardown();
    }
}
END_TEST

/* --- look-up ---------------------------------------------------------------------------------- */

START_TEST(labels_of_strings) {
    setup();
    Bytes n = ml_node("LabelEncoder");
    add_words(&n, "keys_strings", "a|bb||\xc3\xa9|a");
    add_ints(&n, "values_int64s", (int64_t[]){1, 2, 3, 4, 5}, 5);
    add_int(&n, "default_int64", -7);
    const Bytes g = graph_of(&n, tensor_type(STRINGS, "nx2"), tensor_type(INTS, "nx2"));
    static const Try tries[] = {{{"2x2:a|bb|b|"}, {"2x2:5 2 -7 3"}},
                                {{"1x2:\xc3\xa9|bbb"}, {"1x2:4 -7"}}};
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

START_TEST(labels_of_numbers) {
    setup();
    Bytes n = ml_node("LabelEncoder");
    add_ints(&n, "keys_int64s", (int64_t[]){7, -1, 3, 7}, 4);
    add_words(&n, "values_strings", "x|minus||seven");
    const Bytes g = graph_of(&n, tensor_type(INTS, "n"), tensor_type(STRINGS, "n"));
    static const Try tries[] = {{{"5:-1 3 7 4 0"}, {"5:minus||seven|_Unused|_Unused"}}};
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* What sklearn's converters write: classes picked by their numbers; numbers as labels. */
START_TEST(numbers_become_strings) {
    setup();
    Bytes n = new_node("Cast", "x", "y"),
          pick = new_node("ArrayFeatureExtractor", "classes x", "z");
    add_int(&n, "to", STRINGS);
    put_string(&pick, 7, "ai.onnx.ml");
    Bytes g = graph_of(&n, tensor_type(INTS, "n"), tensor_type(STRINGS, "n"));
    add_texts(&g, "classes", 3, "setosa||virginica");
    declare(&g, OUTPUT, "z", tensor_type(STRINGS, "1xn"));
    put_message(&g, 1, &pick);
    static const Try tries[] = {{{"3:2 0 1"}, {"3:2|0|1", "1x3:virginica|setosa|"}}};
    CHECK_MODEL(g, tries);
    g = graph_of(&n, tensor_type(INTS, "nx2"), tensor_type(STRINGS, "nx2"));
    static const Try large[] = {{{"2x2:0 -10 99 100"}, {"2x2:0|-10|99|100"}},
                                {{"1x2:1152921504606846976 -9007199254740992"},
                                 {"1x2:1152921504606846976|-9007199254740992"}},
                                {{"1x2:-9223372036854775808 -1"}, {"1x2:-9223372036854775808|-1"}}};
    CHECK_MODEL(g, large);
    teardown();
}
END_TEST

START_TEST(categories) {
    setup();
    Bytes n = ml_node("CategoryMapper"), h = new_node("OneHotEncoder", "x", "z");
    put_string(&h, 7, "ai.onnx.ml");
    add_words(&n, "cats_strings", "cat|dog");
    add_ints(&n, "cats_int64s", (int64_t[]){10, 20}, 2);
    add_words(&h, "cats_strings", "dog|cat|cow");
    Bytes g = graph_of(&n, tensor_type(STRINGS, "n"), tensor_type(INTS, "n"));
    declare(&g, OUTPUT, "z", tensor_type(FLOATS, "nx3"));
    put_message(&g, 1, &h);
    static const Try tries[] = {{{"3:dog|cat|ca"}, {"3:20 10 -1", "3x3:1 0 0 0 1 0 0 0 0"}}};
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

START_TEST(grams_of_strings) {
    setup();
    Bytes n = new_node("TfIdfVectorizer", "x", "y");
    add_string(&n, "mode", "TF");
    add_int(&n, "min_gram_length", 1);
    add_int(&n, "max_gram_length", 2);
    add_int(&n, "max_skip_count", 0);
    add_ints(&n, "ngram_counts", (int64_t[]){0, 2}, 2);
    add_ints(&n, "ngram_indexes", (int64_t[]){0, 1, 2, 3}, 4);
    add_words(&n, "pool_strings", "a|b|a|b|b|b");
    const Bytes g = graph_of(&n, tensor_type(STRINGS, "n"), tensor_type(FLOATS, "4"));
    static const Try tries[] = {{{"5:a|b|b|c|a"}, {"4:2 2 1 1"}}, {{"2:ab|"}, {"4:0 0 0 0"}}};
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

START_TEST(patterns) {
    setup();
    Bytes n = new_node("RegexFullMatch", "x", "y");
    add_string(&n, "pattern", "(\\w+\\.)*[^a\\W]{1,2}\\b");
    const Bytes g = graph_of(&n, tensor_type(STRINGS, "nx2"), tensor_type(BOOLS, "nx2"));
    static const Try tries[] = {{{"3x2:b|a|x.y.bb|x..b|abc|"}, {"3x2:1 0 1 0 0 0"}},
                                {{"1x2:|"}, {"1x2:0 0"}}};
    CHECK_MODEL(g, tries);
    teardown();
}
END_TEST

/* --- refusals --------------------------------------------------------------------------------- */

static void check_refusal(Bytes graph, const char *text) {
    DiagList *diags;
    Bytes model = new_model(&graph, OPSET);
    add_opset(&model, "ai.onnx.ml", ML_OPSET);
    ck_assert_ptr_null(lt_import_onnx(&arena, "m.onnx", model.data, model.len, NULL, &diags));
    for (size_t i = 0; i < diags->items.len; i++)
        if (strstr(diags->items.data[i].text, text))
            return;
    ck_abort_msg("expected: %s\nfound: %s", text, diags->items.data[0].text);
}

START_TEST(refuses_with_the_reason) {
    setup();
    const Bytes strings = tensor_type(STRINGS, "n"), numbers = tensor_type(INTS, "n");
    Bytes n = new_node("RegexFullMatch", "x", "y");
    add_string(&n, "pattern", "(a)\\1");
    check_refusal(graph_of(&n, strings, tensor_type(BOOLS, "n")), "back references");
    n = new_node("Neg", "x", "y");
    check_refusal(graph_of(&n, strings, strings),
                  "a tensor of strings, which the op does not take");
    n = new_node("StringConcat", "x x", "y");
    check_refusal(graph_of(&n, numbers, strings), "must be a tensor of strings, not a tensor");
    n = new_node("Gather", "x x", "y");
    check_refusal(graph_of(&n, strings, strings), "input 1 must be a tensor of numbers");
    n = new_node("Cast", "x", "y");
    add_int(&n, "to", INTS);
    check_refusal(graph_of(&n, strings, numbers), "a cast of strings to numbers");
    n = ml_node("LabelEncoder");
    add_words(&n, "keys_strings", "a|b");
    add_ints(&n, "values_int64s", (int64_t[]){1}, 1);
    check_refusal(graph_of(&n, strings, numbers), "2 keys and 1 values");
    n = ml_node("LabelEncoder");
    add_words(&n, "keys_strings", "a");
    add_ints(&n, "keys_int64s", (int64_t[]){1}, 1);
    check_refusal(graph_of(&n, strings, numbers), "two or more lists of keys");
    n = ml_node("LabelEncoder");
    add_ints(&n, "keys_int64s", (int64_t[]){1}, 1);
    add_ints(&n, "values_int64s", (int64_t[]){1}, 1);
    check_refusal(graph_of(&n, strings, numbers), "the input is strings, the keys are i64");
    n = new_node("StringNormalizer", "x", "y");
    add_string(&n, "case_change_action", "TITLE");
    check_refusal(graph_of(&n, strings, strings), "expected NONE, LOWER or UPPER");
    n = new_node("StringConcat", "x two", "y");
    Bytes g = graph_of(&n, strings, strings);
    add_texts(&g, "two", 2, "a|b|c");
    check_refusal(g, "has 3 strings, which its dims do not fit");
    teardown();
}
END_TEST

/* A file of strings, cut or with a wrong byte, is refused or holds other strings. */
START_TEST(wrong_files_do_no_harm) {
    setup();
    static const lathe_dim row[] = {{.hi = INT64_MAX}, {.hi = INT64_MAX}};
    static const lathe_tensor_info infos[] = {{"s.bytes", LATHE_U8, 1, row},
                                              {"s.lengths", LATHE_I64, 2, row}};
    const ValueSlot slot = {
        .name = "s", .count = 2, .info = {&infos[0], &infos[1]}, .is_strings = true};
    Bytes t = new_tensor("", STRINGS, (int64_t[]){2, 1}, 2);
    put_string(&t, 6, "one");
    put_string(&t, 6, "");
    const char *error = "";
    HostValue v;
    ck_assert(!lt_value_pb_parse(&arena, t.data, t.len, &slot, &v, &error));
    ck_assert_str_eq(text_of_strings(&v), "2x1:one|");
    for (size_t i = 0; i < t.len; i++)
        for (int change = 0; change < 256; change++) {
            Arena once;
            Bytes bad = t;
            lt_arena_init(&once);
            bad.data[i] ^= (uint8_t)change;
            const size_t length = change ? bad.len : i;
            const uint8_t *copy = lt_arena_copy(&once, bad.data, length); /* ASan sees its end */
            if (!lt_value_pb_parse(&once, copy, length, &slot, &v, &error))
                ck_assert_uint_eq(v.count, 2);
            lt_arena_free(&once);
        }
    teardown();
}
END_TEST

LT_TEST_MAIN("test_strings", strings_are_compared_and_joined, constants_of_strings,
             strings_are_moved, strings_in_branches_and_loops, optionals_of_strings,
             strings_are_split, strings_are_normalized, labels_of_strings, labels_of_numbers,
             numbers_become_strings, categories, grams_of_strings, patterns,
             refuses_with_the_reason, wrong_files_do_no_harm)
