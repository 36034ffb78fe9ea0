/* test_trace.c - reading Chrome traces: sums, what is skipped, and every kind of damage. */
#include "tests/test.h"
#include "tools/trace.h"

static Arena arena;

static const char *read_text(const char *text, Trace *trace) {
    return lt_trace_read(&arena, text, strlen(text), trace);
}

START_TEST(sums_events_by_name) {
    Trace trace;
    lt_arena_init(&arena);
    ck_assert_ptr_null(read_text(
        "{\"otherData\": {\"a\": [1, -2.5e3, true, false, null, \"x\"]}, \"traceEvents\": [\n"
        "{\"name\": \"process_name\", \"ph\": \"M\", \"args\": {\"name\": \"m\"}},\n"
        "{\"name\": \"k\", \"cat\": \"kernel\", \"ph\": \"X\", \"ts\": 1, \"dur\": 1.5},\n"
        "{\"name\": \"l\\u0041\\\"\\n\\u00e4\\u20ac\", \"ph\": \"X\", \"dur\": 8},\n"
        "{\"name\": \"k\", \"cat\": \"kernel\", \"ph\": \"X\", \"dur\": 2.25, \"args\": {}},\n"
        "{\"name\": \"run\", \"cat\": \"run\", \"ph\": \"X\", \"dur\": 12}\n"
        "], \"more\": []}\n",
        &trace));
    ck_assert_uint_eq(trace.rows.len, 2);
    ck_assert_uint_eq(trace.runs, 1);
    ck_assert_str_eq(trace.rows.data[0].name, "k");
    ck_assert_uint_eq(trace.rows.data[0].calls, 2);
    ck_assert_double_eq(trace.rows.data[0].microseconds, 3.75);
    ck_assert_str_eq(trace.rows.data[1].name, "lA\"\n\xc3\xa4\xe2\x82\xac");
    ck_assert_ptr_null(read_text("{\"traceEvents\":[]}", &trace));
    ck_assert_uint_eq(trace.rows.len, 0);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(says_what_is_wrong_and_where) {
    static const char *const cases[][2] = {
        {"", "line 1: expected an object, found the end"},
        {"[]", "line 1: expected an object"},
        {"{}", "line 1: expected \"traceEvents\" in the object, found the end"},
        {"{\"traceEvents\": {}}", "line 1: expected an array"},
        {"{\"traceEvents\": [1]}", "line 1: expected an object"},
        {"{\"traceEvents\": [\n{\"name\": 1}]}", "line 2: expected a string"},
        {"{\"traceEvents\": [{\"name\": \"x}]}",
         "line 1: expected the end of a string, found the end"},
        {"{\"traceEvents\": [{\"dur\": \"1\"}]}", "line 1: expected a number"},
        {"{\"traceEvents\": [{\"dur\": 1e999}]}", "line 1: expected a finite number before this"},
        {"{\"traceEvents\": [{\"a\" 1}]}", "line 1: expected ':'"},
        {"{\"traceEvents\": [{\"a\": 1 \"b\": 2}]}", "line 1: expected ',' or '}'"},
        {"{\"traceEvents\": [{} {}]}", "line 1: expected ',' or ']'"},
        {"{\"traceEvents\": []} x", "line 1: expected the end of the file"},
        {"{\"a\\u00g0\": 1}", "line 1: expected an escape of JSON behind a backslash"},
        {"{\"a\\", "line 1: expected an escape of JSON behind a backslash, found the end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Trace trace;
        lt_arena_init(&arena);
        const char *wrong = read_text(cases[i][0], &trace);
        ck_assert_msg(wrong != NULL, "%s", cases[i][0]);
        ck_assert_str_eq(wrong, cases[i][1]);
        lt_arena_free(&arena);
    }
}
END_TEST

START_TEST(refuses_deep_nesting_and_every_truncation) {
    static const char good[] =
        "{\"traceEvents\":[{\"name\":\"\\u00e4k\",\"ph\":\"X\",\"dur\":1.5,\"a\":[{\"b\":null}]}]}";
    Trace trace;
    lt_arena_init(&arena);
    size_t depth = 100000;
    char *deep = malloc(depth + 6);
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', depth);
    deep[depth + 5] = '\0';
    ck_assert_str_eq(read_text(deep, &trace), "line 1: expected fewer values inside each other");
    free(deep);
    ck_assert_ptr_null(lt_trace_read(&arena, good, sizeof good - 1, &trace));
    for (size_t len = 0; len < sizeof good - 1; len++)
        ck_assert_ptr_nonnull(lt_trace_read(&arena, good, len, &trace));
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_trace", sums_events_by_name, says_what_is_wrong_and_where,
             refuses_deep_nesting_and_every_truncation)
