/* test_text_diff.c - unified diffs: what they look like, and that applying one to the first text
 * gives the second. */
#include "runtime/base/str.h"
#include "tests/test.h"
#include "tools/text_diff.h"

static Arena arena;

static char *diff(const char *a, const char *b) {
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    lt_text_diff(out, (NamedText){"a", a}, (NamedText){"b", b});
    fclose(out);
    char *copy = lt_arena_strdup(&arena, text);
    free(text);
    return copy;
}

START_TEST(prints_hunks_with_context) {
    lt_arena_init(&arena);
    ck_assert_str_eq(diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n"),
                     "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n");
    ck_assert_str_eq(diff("1\n2\n", "1\n2\n3\n"), "--- a\n+++ b\n@@ -1,2 +1,3 @@\n 1\n 2\n+3\n");
    ck_assert_str_eq(diff("", "1\n"), "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+1\n");
    ck_assert_str_eq(diff("1\n", ""), "--- a\n+++ b\n@@ -1,1 +0,0 @@\n-1\n");
    ck_assert_str_eq(diff("1\n2\n", "1\n2\n"), "");
    ck_assert_str_eq(diff("", ""), "");
    ck_assert_str_eq(diff("1", "2"), "--- a\n+++ b\n@@ -1,1 +1,1 @@\n-1\n+2\n");
    lt_arena_free(&arena);
}
END_TEST

START_TEST(splits_distant_changes) {
    lt_arena_init(&arena);
    ck_assert_str_eq(diff("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n"),
                     "--- a\n+++ b\n@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
    ck_assert_str_eq(diff("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n"),
                     "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
                     "@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
    lt_arena_free(&arena);
}
END_TEST

static const char *copy_line(Str *out, const char *from) {
    size_t length = strcspn(from, "\n") + 1;
    if (out)
        lt_str_append_n(out, from, length);
    return from + length;
}

/* What `patch` does, without any tolerance. */
static const char *apply(const char *a, const char *patch) {
    Str out;
    lt_str_init(&out, &arena);
    int line = 1;
    if (*patch)
        patch = copy_line(NULL, copy_line(NULL, patch));
    while (*patch) {
        int start, removed;
        ck_assert_int_eq(sscanf(patch, "@@ -%d,%d ", &start, &removed), 2);
        patch = copy_line(NULL, patch);
        for (start += removed == 0; line < start; line++)
            a = copy_line(&out, a);
        while (*patch && *patch != '@') {
            if (*patch != '+') {
                ck_assert(strncmp(patch + 1, a, strcspn(a, "\n") + 1) == 0);
                a = copy_line(*patch == ' ' ? &out : NULL, a);
                line++;
            } else {
                copy_line(&out, patch + 1);
            }
            patch = copy_line(NULL, patch);
        }
    }
    lt_str_append(&out, a);
    return out.text;
}

static uint32_t state = 1;

static uint32_t next_random(uint32_t limit) {
    state = state * 1664525 + 1013904223;
    return (state >> 16) % limit;
}

static const char *random_text(uint32_t lines, uint32_t kinds) {
    Str text;
    lt_str_init(&text, &arena);
    for (uint32_t i = 0; i < lines; i++)
        lt_str_printf(&text, "%u\n", next_random(kinds));
    return text.text;
}

START_TEST(applies) {
    for (int round = 0; round < 2000; round++) {
        lt_arena_init(&arena);
        uint32_t kinds = 1 + next_random(8);
        const char *a = random_text(next_random(30), kinds);
        const char *b = random_text(next_random(30), kinds);
        const char *patch = diff(a, b);
        ck_assert_str_eq(apply(a, patch), b);
        lt_arena_free(&arena);
    }
}
END_TEST

/* Nothing in common and more lines than the search follows: still a right diff. */
START_TEST(gives_up_on_great_changes) {
    lt_arena_init(&arena);
    Str a, b;
    lt_str_init(&a, &arena);
    lt_str_init(&b, &arena);
    for (int i = 0; i < 3000; i++) {
        lt_str_printf(&a, "a%d\n", i);
        lt_str_printf(&b, i % 10 ? "b%d\n" : "a%d\n", i);
    }
    ck_assert_str_eq(apply(a.text, diff(a.text, b.text)), b.text);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_text_diff", prints_hunks_with_context, splits_distant_changes, applies,
             gives_up_on_great_changes)
