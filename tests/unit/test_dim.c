/* test_dim.c - symbolic dims: errors of their text, canonical forms, and two properties over random
 * expressions: text reads back to the same pointer, and canonical form keeps the value. */
#include "ir/dim.h"
#include "runtime/base/checked.h"
#include "tests/test.h"

static Arena arena;
static DimTable table;

static void start(void) {
    lt_arena_init(&arena);
    lt_dims_init(&table, &arena);
    lt_dim_symbol(&table, "h");
    lt_dim_symbol(&table, "w");
    lt_dim_symbol(&table, "c");
}

static const Dim *dim(const char *text) {
    const char *at = text, *error = NULL;
    const Dim *d = lt_dim_parse(&table, &at, &error);
    ck_assert_msg(d && *at == '\0', "'%s': expected %s at '%s'", text, error ? error : "the end",
                  at);
    return d;
}

static const char *text_of(const Dim *d) {
    Str text;
    lt_str_init(&text, &arena);
    lt_dim_print(&text, d);
    return text.text;
}

/* --- text that is wrong ---------------------------------------------------------------------- */

typedef struct BadText {
    const char *text, *error;
    int offset;
} BadText;

static const BadText bad_texts[] = {
    {"", "a dim", 0},
    {"h +", "a dim", 3},
    {"(h", "')'", 2},
    {"min h", "'('", 4},
    {"min(h)", "','", 5},
    {"max(h, w", "')'", 8},
    {"floordiv", "a dim", 0},
    {"h floordiv", "a dim", 10},
    {"* 3", "a dim", 0},
    {"99999999999999999999", "an integer below 2^63", 18},
    {"\"open", "a closed string without NUL", 0},
    {"\"a\\q\"", "a closed string without NUL", 0},
    {"\"a\\x00\"", "a closed string without NUL", 0},
};

START_TEST(names_what_is_wrong) {
    start();
    for (size_t i = 0; i < sizeof bad_texts / sizeof *bad_texts; i++) {
        const char *at = bad_texts[i].text, *error = NULL;
        ck_assert_ptr_null(lt_dim_parse(&table, &at, &error));
        ck_assert_str_eq(error, bad_texts[i].error);
        ck_assert_msg(at - bad_texts[i].text == bad_texts[i].offset, "'%s' fails at %d",
                      bad_texts[i].text, (int)(at - bad_texts[i].text));
    }
}
END_TEST

START_TEST(limits_depth) {
    start();
    char deep[20001];
    memset(deep, '(', 20000);
    deep[20000] = '\0';
    const char *at = deep, *error = NULL;
    ck_assert_ptr_null(lt_dim_parse(&table, &at, &error));
    ck_assert_str_eq(error, "a dim of less than 64 nested parts");
    memset(deep, '-', 20000);
    at = deep;
    ck_assert_ptr_null(lt_dim_parse(&table, &at, &error));
    Str chain;
    lt_str_init(&chain, &arena);
    lt_str_append(&chain, "h");
    for (int i = 0; i < 1000; i++)
        lt_str_append(&chain, " mod w");
    at = chain.text;
    ck_assert_ptr_null(lt_dim_parse(&table, &at, &error));
    ck_assert_str_eq(error, "a dim with at most 256 operators");
}
END_TEST

/* --- canonical forms ------------------------------------------------------------------------- */

typedef struct SamePair {
    const char *a, *b;
} SamePair;

static const SamePair same_pairs[] = {
    {"h + w", "w + h"},
    {"h - h", "0"},
    {"2*h + 3*h", "5*h"},
    {"(h + 1)*(w + 2)", "h*w + 2*h + w + 2"},
    {"(h + w)*(h - w)", "h*h - w*w"},
    {"h*w*c", "c*(w*h)"},
    {"(8*h) floordiv 8", "h"},
    {"(8*h + 3) floordiv 8", "h"},
    {"(9*h) floordiv 8", "h + h floordiv 8"},
    {"(h - 1) floordiv 2 + 1", "(h + 1) floordiv 2"},
    {"h ceildiv 4", "(h + 3) floordiv 4"},
    /* Two convolutions of stride 2 are one of stride 4. */
    {"((h - 1) floordiv 2 + 1 - 1) floordiv 2 + 1", "(h - 1) floordiv 4 + 1"},
    {"h floordiv 2 floordiv 3", "h floordiv 6"},
    {"(4*h + 6) floordiv 8", "(2*h + 3) floordiv 4"},
    {"(h*w) floordiv w", "h"},
    {"(h*w + w) floordiv w", "h + 1"},
    {"(h*h - w*w) floordiv (h + w)", "h - w"},
    {"(h*w*c) floordiv (w*c)", "h"},
    {"(h*c) floordiv (w*c)", "h floordiv w"},
    {"w floordiv w", "1"},
    {"h floordiv w floordiv c", "h floordiv (w*c)"},
    {"(8*h + 3) mod 8", "3"},
    {"(h + 8*w) mod 8", "h mod 8"},
    {"(4*h + 5) mod 8", "4*((h + 1) mod 2) + 1"},
    {"(h mod 16) mod 8", "h mod 8"},
    {"(h*w) mod w", "0"},
    {"min(h, h + 1)", "h"},
    {"max(h, h + 1)", "h + 1"},
    {"max(h, 1)", "h"},
    {"min(h, 0)", "0"},
    {"min(min(h, w), w)", "min(w, h)"},
    {"h floordiv -2", "(-h) floordiv 2"},
    {"h floordiv 0", "0"},
    {"\"h\"", "h"},
};

START_TEST(equal_dims_are_one_pointer) {
    start();
    for (size_t i = 0; i < sizeof same_pairs / sizeof *same_pairs; i++) {
        const Dim *a = dim(same_pairs[i].a), *b = dim(same_pairs[i].b);
        ck_assert_msg(a == b, "'%s' is %s, '%s' is %s", same_pairs[i].a, text_of(a),
                      same_pairs[i].b, text_of(b));
    }
}
END_TEST

START_TEST(different_dims_stay_apart) {
    start();
    ck_assert_ptr_ne(dim("4*(h floordiv 4)"), dim("h"));
    ck_assert_ptr_ne(dim("4*((h - 1) floordiv 4 + 1)"), dim("h"));
    ck_assert_ptr_ne(dim("h floordiv 2"), dim("h ceildiv 2"));
    ck_assert_ptr_ne(dim("h mod 2"), dim("h mod 4"));
    ck_assert_ptr_ne(dim("min(h, w)"), dim("max(h, w)"));
}
END_TEST

START_TEST(prints_readably) {
    start();
    ck_assert_str_eq(text_of(dim("1 + 2*h - w")), "2*h - w + 1");
    ck_assert_str_eq(text_of(dim("-h")), "-h");
    ck_assert_str_eq(text_of(dim("(h + 1) floordiv 2 * 3")), "3*((h + 1) floordiv 2)");
    ck_assert_str_eq(text_of(dim("min(h, 8)*w")), "w*min(8, h)");
    ck_assert_str_eq(text_of(lt_dim_symbol(&table, "past + 1")), "\"past + 1\"");
    ck_assert_str_eq(text_of(lt_dim_symbol(&table, "mod")), "\"mod\"");
    ck_assert_ptr_eq(dim("\"past + 1\" - 1 + 1"), lt_dim_symbol(&table, "past + 1"));
}
END_TEST

/* --- ranges, divisibility, substitution ------------------------------------------------------ */

static void check_range(const char *text, int64_t lo, int64_t hi) {
    int64_t found_lo, found_hi;
    lt_dim_range(&table, dim(text), &found_lo, &found_hi);
    ck_assert_msg(found_lo == lo && found_hi == hi, "%s is %lld..%lld", text, (long long)found_lo,
                  (long long)found_hi);
}

START_TEST(bounds_follow_the_symbols) {
    start();
    lt_dim_set_range(&table, dim("h"), 1, 64);
    check_range("7", 7, 7);
    check_range("h", 1, 64);
    check_range("w", 1, LT_DIM_UNBOUNDED);
    check_range("h + w", 2, LT_DIM_UNBOUNDED);
    check_range("h - w", -LT_DIM_UNBOUNDED, 63);
    check_range("h*w", 1, LT_DIM_UNBOUNDED);
    check_range("h*h", 1, 4096);
    check_range("-2*h + 1", -127, -1);
    check_range("h floordiv 7", 0, 9);
    check_range("h floordiv w", 0, 64);
    check_range("w floordiv h", 0, LT_DIM_UNBOUNDED);
    check_range("h mod 7", 0, 6);
    check_range("w mod h", 0, 63);
    check_range("min(h, w)", 1, 64);
    check_range("max(h, w)", 1, LT_DIM_UNBOUNDED);
}
END_TEST

START_TEST(ranges_simplify) {
    start();
    lt_dim_set_range(&table, dim("h"), 1, 7);
    ck_assert_ptr_eq(dim("h floordiv 8"), dim("0"));
    ck_assert_ptr_eq(dim("h mod 8"), dim("h"));
    ck_assert_ptr_eq(dim("min(h, 8)"), dim("h"));
    lt_dim_set_range(&table, dim("w"), 10, 20);
    ck_assert_ptr_eq(dim("h floordiv w"), dim("0"));
    ck_assert_ptr_eq(dim("h mod w"), dim("h"));
    ck_assert_ptr_eq(dim("max(h, w)"), dim("w"));
}
END_TEST

START_TEST(knows_divisors) {
    start();
    ck_assert(lt_dim_divisible(&table, dim("4*(h floordiv 4)"), 4));
    ck_assert(lt_dim_divisible(&table, dim("8*h + 4*w"), 4));
    ck_assert(!lt_dim_divisible(&table, dim("8*h + 4*w + 2"), 4));
    ck_assert(lt_dim_divisible(&table, dim("min(8*h, 12*w)"), 4));
    ck_assert(!lt_dim_divisible(&table, dim("h"), 2));
    ck_assert(lt_dim_divisible(&table, dim("0"), 5));
    ck_assert(!lt_dim_divisible(&table, dim("h"), 0));
    ck_assert_ptr_eq(lt_dim_exact_div(&table, dim("6*h*w + 3*h"), dim("3*h")), dim("2*w + 1"));
    ck_assert_ptr_null(lt_dim_exact_div(&table, dim("6*h*w + 3"), dim("3*h")));
    ck_assert_ptr_null(lt_dim_exact_div(&table, dim("h"), dim("2")));
    ck_assert_ptr_null(lt_dim_exact_div(&table, dim("h"), dim("0")));
}
END_TEST

START_TEST(substitutes) {
    start();
    const Dim *by[] = {dim("8"), NULL, dim("w + 1")};
    ck_assert_ptr_eq(lt_dim_substitute(&table, dim("(h + 1) floordiv 2 + w*c"), by),
                     dim("w*w + w + 4"));
    bool used[3] = {false, false, false};
    lt_dim_symbols_used(dim("min(h, 2*c)"), used);
    ck_assert(used[0] && !used[1] && used[2]);
}
END_TEST

START_TEST(fresh_symbols_are_new) {
    start();
    lt_dim_symbol(&table, "n0");
    ck_assert_str_eq(lt_dim_fresh(&table, "n")->name, "n1");
    ck_assert_str_eq(lt_dim_fresh(&table, "n")->name, "n2");
}
END_TEST

START_TEST(saturates) {
    start();
    const int64_t values[] = {INT64_MAX, INT64_MAX, 2};
    ck_assert_int_eq(lt_dim_eval(dim("h*w*c + h"), values), INT64_MAX);
    ck_assert_int_eq(lt_dim_eval(dim("-h*w"), values), -INT64_MAX);
    const Dim *big = dim("9223372036854775807*h + 9223372036854775807");
    ck_assert_ptr_eq(lt_dim_add(&table, big, big), big);
    ck_assert_ptr_eq(lt_dim_const(&table, INT64_MIN), lt_dim_const(&table, -INT64_MAX));
    ck_assert_ptr_eq(dim(text_of(lt_dim_mul(&table, big, big))), lt_dim_mul(&table, big, big));
}
END_TEST

/* --- random expressions ---------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

enum { SAMPLES = 12, SYMBOLS = 3 };
static int64_t samples[SAMPLES][SYMBOLS];

/* A dim with its values by definition, one for each sample. */
typedef struct Model {
    const Dim *dim;
    int64_t values[SAMPLES];
} Model;

typedef const Dim *(*Build)(DimTable *, const Dim *, const Dim *);

static int64_t model_add(int64_t a, int64_t b) { return a + b; }
static int64_t model_sub(int64_t a, int64_t b) { return a - b; }
static int64_t model_mul(int64_t a, int64_t b) { return a * b; }
static int64_t model_min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t model_max(int64_t a, int64_t b) { return a > b ? a : b; }

typedef struct Operation {
    Build build;
    int64_t (*value)(int64_t, int64_t);
    bool divides;
} Operation;

static const Operation operations[] = {
    {lt_dim_add, model_add, false},     {lt_dim_sub, model_sub, false},
    {lt_dim_mul, model_mul, false},     {lt_dim_floordiv, lt_floordiv, true},
    {lt_dim_ceildiv, lt_ceildiv, true}, {lt_dim_mod, lt_floormod, true},
    {lt_dim_min, model_min, false},     {lt_dim_max, model_max, false},
    {lt_dim_add, model_add, false},     {lt_dim_floordiv, lt_floordiv, true},
};

static Model random_leaf(void) {
    Model leaf;
    const bool is_symbol = random_below(2);
    const uint32_t symbol = random_below(SYMBOLS);
    const int64_t number = (int64_t)random_below(20) - 6;
    leaf.dim = is_symbol ? table.symbols.data[symbol].dim : lt_dim_const(&table, number);
    for (int i = 0; i < SAMPLES; i++)
        leaf.values[i] = is_symbol ? samples[i][symbol] : number;
    return leaf;
}

/* At least 1 for every value of the symbols. */
static Model random_divisor(void) {
    Model divisor = random_leaf();
    if (lt_dim_is_const(divisor.dim)) {
        const int64_t number = 1 + random_below(12);
        divisor.dim = lt_dim_const(&table, number);
        for (int i = 0; i < SAMPLES; i++)
            divisor.values[i] = number;
    } else if (random_below(2)) {
        const int64_t number = 1 + random_below(3);
        divisor.dim = lt_dim_mul_const(&table, divisor.dim, number);
        for (int i = 0; i < SAMPLES; i++)
            divisor.values[i] *= number;
    }
    return divisor;
}

static Model random_model(int depth) {
    if (depth == 0)
        return random_leaf();
    const Operation *op = &operations[random_below(sizeof operations / sizeof *operations)];
    const Model a = random_model(depth - 1);
    const Model b = op->divides ? random_divisor()
                                : random_model(depth - 1 - (int)random_below((uint32_t)depth));
    Model result = {.dim = op->build(&table, a.dim, b.dim)};
    for (int i = 0; i < SAMPLES; i++)
        result.values[i] = op->value(a.values[i], b.values[i]);
    return result;
}

static void check_model(const Model *model) {
    int64_t lo, hi;
    lt_dim_range(&table, model->dim, &lo, &hi);
    for (int i = 0; i < SAMPLES; i++) {
        const int64_t value = lt_dim_eval(model->dim, samples[i]);
        ck_assert_msg(value == model->values[i], "%s is %lld for %lld %lld %lld, expected %lld",
                      text_of(model->dim), (long long)value, (long long)samples[i][0],
                      (long long)samples[i][1], (long long)samples[i][2],
                      (long long)model->values[i]);
        ck_assert_msg(lo <= value && value <= hi, "%s is %lld, outside of %lld..%lld",
                      text_of(model->dim), (long long)value, (long long)lo, (long long)hi);
        for (int64_t n = 2; n < 9; n++)
            ck_assert(!lt_dim_divisible(&table, model->dim, n) || value % n == 0);
    }
}

static void check_random(int rounds, int64_t h_lo, int64_t h_hi) {
    for (int round = 0; round < rounds; round++) {
        start();
        random_state = (uint64_t)round * 977 + 13;
        lt_dim_set_range(&table, table.symbols.data[0].dim, h_lo, h_hi);
        for (int i = 0; i < SAMPLES; i++) {
            samples[i][0] = h_lo + random_below((uint32_t)(h_hi - h_lo + 1));
            samples[i][1] = 1 + random_below(i < SAMPLES / 2 ? 5 : 90);
            samples[i][2] = 1 + random_below(9);
        }
        const Model model = random_model(1 + (int)random_below(4));
        check_model(&model);
        const char *text = text_of(model.dim);
        ck_assert_msg(dim(text) == model.dim, "%s reads back as %s", text, text_of(dim(text)));
        lt_arena_free(&arena);
    }
}

START_TEST(canonical_form_keeps_the_value) { check_random(6000, 1, 1000); }
END_TEST

START_TEST(narrow_ranges_keep_the_value) { check_random(6000, 3, 9); }
END_TEST

LT_TEST_MAIN("test_dim", names_what_is_wrong, limits_depth, equal_dims_are_one_pointer,
             different_dims_stay_apart, prints_readably, bounds_follow_the_symbols, ranges_simplify,
             knows_divisors, substitutes, fresh_symbols_are_new, saturates,
             canonical_form_keeps_the_value, narrow_ranges_keep_the_value)
