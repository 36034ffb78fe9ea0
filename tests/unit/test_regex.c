/* test_regex.c - regular expressions: what they match in full, and what is refused. */
#include "frontends/onnx/regex.h"

#include "frontends/onnx/utf8.h"
#include "tests/test.h"

typedef struct Match {
    const char *pattern, *matches, *fails; /* strings, apart by '\t' */
} Match;

static const Match matches[] = {
    {"", "", "a"},
    {"abc", "abc", "ab\tabcd\txabc\tABC\t"},
    {"a|bc|", "a\tbc\t", "abc\tb"},
    {"a.c",
     "abc\ta.c\ta\xc3\xa9"
     "c\ta\xf0\x9f\x98\x80"
     "c",
     "ac\ta\nc\ta\xc3"
     "c\ta\xff"
     "c"},
    {"(?s)a.c", "a\nc", "ac"},
    {"a*", "\ta\taaaa", "ab"},
    {"a+b?", "a\taab", "\tb\tabb"},
    {"a+?b??", "a\taab", "abb"},
    {"(ab)*c", "c\tababc", "abac"},
    {"(a*)*b", "b\taaab", "a"},
    {"x{3}", "xxx", "xx\txxxx"},
    {"x{2,}", "xx\txxxxx", "x"},
    {"x{1,3}", "x\txx\txxx", "\txxxx"},
    {"(?:ab){0,2}", "\tab\tabab", "ababab"},
    {"a{,3}", "a{,3}", "aaa"},
    {"a{x", "a{x", "a"},
    {"[a-c]x", "ax\tcx", "dx\tx"},
    {"[^a-c]", "d\t\xc3\xa9\t\n", "a\tdd\t\xff"},
    {"[]a]", "]\ta", "b"},
    {"[^]a]", "b", "]\ta"},
    {"[a-]", "a\t-", "b"},
    {"[\\]\\\\]", "]\t\\", "a"},
    {"[\\d_]+", "12_3", "a"},
    {"[^\\D5]", "4", "5\ta"},
    {"[[:alpha:][:digit:]]+", "aZ9", "_\t-"},
    {"[[:^digit:]]", "a\t\xc3\xa9", "4"},
    {"\\d\\D\\w\\W\\s\\S", "1a_- b", "1a_-bb\t11_- b"},
    {"\\W", "\xc3\xa9\t-", "a\t_"},
    {"\\x41\\x{e9}\\101\\.\\*",
     "A\xc3\xa9"
     "A.*",
     "A\xc3\xa9"
     "A.a"},
    {"\\n\\f\\r\\v\\a", "\n\f\r\v\a", "n"},
    {"\\Qa.b*\\E+", "a.b*\ta.b**", "aXb*\ta.b\ta.b*+"},
    {"\\Q|)*", "|)*", "|"},
    {"\\Q(\\Ex", "(x", "x"},
    {"^a$", "a", "ba"},
    {"a^b|c$d", "", "ab\tcd"},
    {"(^|x)a(x|$)", "a\txa\tax\txax", "xaxa"},
    {"(?m)a$\\n^b", "a\nb", "ab"},
    {"a$\\n^b", "", "a\nb\tab"},
    {"\\Aa\\z", "a", "aa"},
    {"\\bfoo\\b.*", "foo\tfoo bar\tfoo.", "foobar"},
    {"foo\\B.*", "foobar", "foo\tfoo bar"},
    {".*\\b\\B.*", "", "a\t.\t"},
    {"(?i)stra\xc3\x9f"
     "E",
     "STRA\xc3\x9f"
     "e\tstra\xc3\x9f"
     "e",
     "strasse"},
    {"(?i)k", "k\tK\t\xe2\x84\xaa", "c"},
    {"(?i:a)b", "ab\tAb", "aB"},
    {"(?i)[^a]", "b\tB", "a\tA"},
    {"a(?i)b|c", "ab\taB\tC", "AB"},
    {"(a(?i)b)c", "abc\taBc", "aBC"},
    {"(?P<year>\\d{4})-(?<m>\\d\\d)", "2026-11", "2026-1"},
    {"\xc3\xa9+", "\xc3\xa9\xc3\xa9", "\xc3\xa9\xa9"},
    {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", "\xc3\x80\te"},
    {"[\\x{800}-\\x{10ffff}]+", "\xe0\xa0\x80\xf4\x8f\xbf\xbf\xee\x80\x80",
     "\xdf\xbf\t\xf4\x90\x80\x80\t\xed\xa0\x80\t\xe0\x9f\xbf"},
    {"\\C", "\xff\ta", "\xc3\xa9"},
    {"www\\.[\\w.-]+\\.\\bcom\\b", "www.google.com", "www.bbc.co.uk"},
    {"(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "account@gmail.com\t account2@yahoo.com,",
     "account@hotmail.com\tnot email\taccount@gmail.comx"},
};

static void check(const Match *m, const RegexAutomaton *a, const char *texts, bool wanted) {
    for (const char *at = texts;; at++) {
        const size_t length = strcspn(at, "\t");
        ck_assert_msg(lt_regex_matches(a, at, length) == wanted, "'%s' %s '%.*s'", m->pattern,
                      wanted ? "does not match" : "matches", (int)length, at);
        at += length;
        if (!*at)
            return;
    }
}

START_TEST(matches_in_full) {
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        const Match *m = &matches[i];
        RegexAutomaton automaton;
        const char *error;
        Arena arena;
        lt_arena_init(&arena);
        ck_assert_msg(lt_regex_compile(&arena, m->pattern, &automaton, &error), "'%s': %s",
                      m->pattern, error);
        ck_assert_int_le(automaton.states, REGEX_MAX_STATES);
        if (*m->matches || m->fails[strlen(m->fails) - 1] != '\t')
            check(m, &automaton, m->matches, *m->matches || lt_regex_matches(&automaton, "", 0));
        check(m, &automaton, m->fails, false);
        lt_arena_free(&arena);
    }
}
END_TEST

static const struct {
    const char *pattern, *error;
} refused[] = {
    {"(a)\\1", "back references"},
    {"a(?=b)", "look-ahead"},
    {"a(?!b)", "look-ahead"},
    {"(?<=a)b", "look-behind"},
    {"\\pL", "properties"},
    {"[\\p{Greek}]", "properties"},
    {"a**", "follows another"},
    {"*a", "nothing to repeat"},
    {"(|*)", "nothing to repeat"},
    {"a{2,1}", "backwards"},
    {"a{1001}", "more than 1000"},
    {"(a", "closing parenthesis"},
    {"a)", "did not open"},
    {"[a", "closing bracket"},
    {"[a\\]", "closing bracket"},
    {"[z-a]", "wrong order"},
    {"[[:letter:]]", "no meaning"},
    {"a\\", "ends in a backslash"},
    {"\\y", "does not know"},
    {"(?q)a", "does not know"},
    {"(?i", "closing parenthesis"},
    {"(?P<a", "closing bracket"},
    {"\\xg", "hexadecimal"},
    {"\\x{110000}", "hexadecimal"},
    {"\\x{41", "closing brace"},
    {"a\xff", "not valid UTF-8"},
    {"((a{100}){100}){100}", "too large"},
    {"(a|b)*a(a|b){20}", "too many states"},
};

START_TEST(refuses_with_a_sentence) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        RegexAutomaton automaton;
        const char *error = NULL;
        Arena arena;
        lt_arena_init(&arena);
        ck_assert_msg(!lt_regex_compile(&arena, refused[i].pattern, &automaton, &error), "'%s'",
                      refused[i].pattern);
        ck_assert_msg(strstr(error, refused[i].error), "'%s': %s", refused[i].pattern, error);
        lt_arena_free(&arena);
    }
}
END_TEST

/* Patterns of outside: none may take forever, however deep. */
START_TEST(bounds_its_work) {
    char deep[4000] = "", empty[4000] = "";
    for (int i = 0; i < 1000; i++) {
        strcat(deep, "(");
        if (i < 150)
            strcat(empty, "(");
    }
    for (int i = 0; i < 150; i++)
        strcat(empty, "){1000}");
    const char *patterns[] = {deep, empty, "([a-z]{0,900}[0-9]{0,900}){0,9}",
                              "(\\W{0,100}\\b[^a]{0,100}){0,3}"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        RegexAutomaton automaton;
        const char *error = NULL;
        Arena arena;
        lt_arena_init(&arena);
        const bool ok = lt_regex_compile(&arena, patterns[i], &automaton, &error);
        ck_assert_int_eq(ok, patterns[i] == empty);
        ck_assert(ok || error);
        lt_arena_free(&arena);
    }
}
END_TEST

START_TEST(utf8_goes_there_and_back) {
    static const uint32_t codes[] = {0,      0x7f,   0x80,   0x7ff,   0x800,
                                     0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        uint8_t bytes[4];
        const uint32_t length = lt_utf8_encode(codes[i], bytes);
        const Utf8 c = lt_utf8_decode((const char *)bytes, length);
        ck_assert_uint_eq(c.code, codes[i]);
        ck_assert_uint_eq(c.length, length);
        ck_assert_uint_eq(lt_utf8_decode((const char *)bytes, length - 1).length, 0);
    }
    ck_assert_uint_eq(lt_utf8_decode("\xc0\x80", 2).length, 0);
    ck_assert_uint_eq(lt_utf8_decode("\xed\xa0\x80", 3).length, 0);
    ck_assert_uint_eq(lt_utf8_decode("\x80", 1).length, 0);
}
END_TEST

LT_TEST_MAIN("test_regex", matches_in_full, refuses_with_a_sentence, bounds_its_work,
             utf8_goes_there_and_back)
