/* test_reduce.c - reducing IR: what is left is the smallest that is interesting, every candidate is
 * well-formed, and what cannot shrink stays. */
#include "tests/test.h"
#include "tools/reduce.h"

static const char model[] =
    "module \"net\"\n"
    "symbol n in 1..8\n"
    "graph main(%x \"x\": f32[n,4], %u: f32[n,4], %unused: f32[3]) {\n"
    "  %w \"weights\" = const f32[4,4] [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]\n"
    "  %1 = contract %x, %w {spec = \"mk,kn->mn\"} loc(\"Dense\" \"Gemm\")\n"
    "  %2 \"hidden\" = relu %1\n"
    "  %3 = exp %2\n"
    "  %4 = add %3, %u\n"
    "  %5 = neg %4\n"
    "  %6 = tanh %5\n"
    "  yield %6, %2, %u\n"
    "}\n";

static Arena arena;

typedef struct Wanted {
    const char *first, *second; /* texts that must be there; NULL: any */
    int calls;
} Wanted;

static bool has_both(void *user, const char *text) {
    Wanted *wanted = user;
    Arena reading;
    lt_arena_init(&reading);
    Module *m = lt_module_parse(&reading, text, strlen(text), "candidate.lir");
    ck_assert_msg(m && lt_module_verify(m), "malformed:\n%s", text);
    lt_arena_free(&reading);
    wanted->calls++;
    return (!wanted->first || strstr(text, wanted->first)) &&
           (!wanted->second || strstr(text, wanted->second));
}

static const char *reduce(Wanted *wanted, const char *text) {
    Reduction r = {.is_interesting = has_both, .user = wanted};
    lt_arena_init(&arena);
    wanted->calls = 0;
    const char *reduced = lt_reduce(&r, &arena, text);
    ck_assert_int_eq(r.tries, wanted->calls);
    return reduced;
}

START_TEST(leaves_one_node) {
    Wanted wanted = {.first = "= exp"};
    ck_assert_str_eq(reduce(&wanted, model), "symbol n in 1..8\n"
                                             "graph main(%0: f32[n,4]) {\n"
                                             "  %1 = exp %0 : f32[n,4]\n"
                                             "  yield %1\n"
                                             "}\n");
    lt_arena_free(&arena);
}
END_TEST

START_TEST(leaves_what_lies_between) {
    Wanted wanted = {.first = "= relu", .second = "= tanh"};
    const char *text = reduce(&wanted, model);
    ck_assert_ptr_nonnull(strstr(text, "= relu"));
    ck_assert_ptr_null(strstr(text, "= add"));
    ck_assert_ptr_null(strstr(text, "= neg"));
    ck_assert_ptr_null(strstr(text, "contract"));
    ck_assert_ptr_null(strstr(text, "exp"));
    lt_arena_free(&arena);
}
END_TEST

START_TEST(keeps_names_and_constants_that_matter) {
    Wanted wanted = {.first = "\"hidden\"", .second = "[1, 2, 3"};
    const char *text = reduce(&wanted, model);
    ck_assert_ptr_nonnull(strstr(text, "\"hidden\""));
    ck_assert_ptr_null(strstr(text, "\"weights\""));
    ck_assert_ptr_null(strstr(text, "\"Dense\""));
    lt_arena_free(&arena);
}
END_TEST

START_TEST(reaches_into_regions) {
    static const char fused[] = "graph main(%x: f32[4]) {\n"
                                "  %1 = fused %x region(%a: f32[4]) {\n"
                                "    %2 = neg %a\n"
                                "    %3 = exp %2\n"
                                "    %4 = relu %3\n"
                                "    yield %4\n"
                                "  }\n"
                                "  yield %1\n"
                                "}\n";
    Wanted wanted = {.first = "fused", .second = "exp"};
    const char *text = reduce(&wanted, fused);
    ck_assert_ptr_null(strstr(text, "neg"));
    ck_assert_ptr_null(strstr(text, "relu"));
    lt_arena_free(&arena);
}
END_TEST

START_TEST(gives_back_what_cannot_shrink) {
    static const char least[] = "graph main(%0: f32[4]) {\n  yield %0\n}\n";
    Wanted wanted = {.first = "zzz"};
    ck_assert_str_eq(reduce(&wanted, least), least);
    lt_arena_free(&arena);
    ck_assert_str_eq(reduce(&wanted, model), model);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_reduce", leaves_one_node, leaves_what_lies_between,
             keeps_names_and_constants_that_matter, reaches_into_regions,
             gives_back_what_cannot_shrink)
