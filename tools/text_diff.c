/* text_diff.c - unified diffs by Myers's greedy algorithm ("An O(ND) difference algorithm and its
 * variations", 1986). */
#include "tools/text_diff.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Beyond so many edits the middle of the texts is shown as replaced as a whole: the search keeps
 * a row for every number of edits, and nobody reads such a diff line by line. */
enum { CONTEXT = 3, MAX_EDITS = 2000 };

typedef struct Lines {
    const char **at;
    int *length;
    uint8_t *changed; /* removed from the first text, or added in the second */
    int count;
} Lines;

static Lines split_lines(Arena *arena, const char *text) {
    int count = 0, i = 0;
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
        count++;
    Lines lines = {LT_ARRAY(arena, const char *, count + 1), LT_ARRAY(arena, int, count + 1),
                   LT_ARRAY(arena, uint8_t, count + 1), count};
    for (const char *p = text; i < count; p += lines.length[i++] + 1) {
        lines.at[i] = p;
        lines.length[i] = (int)strcspn(p, "\n");
    }
    return lines;
}

static bool same_line(const Lines *a, int i, const Lines *b, int j) {
    return a->length[i] == b->length[j] && memcmp(a->at[i], b->at[j], (size_t)a->length[i]) == 0;
}

/* The part of both texts between what they begin and what they end with. */
typedef struct Span {
    int a, a_end, b, b_end;
} Span;

static void mark_all(Lines *a, Lines *b, const Span *s) {
    memset(a->changed + s->a, 1, (size_t)(s->a_end - s->a));
    memset(b->changed + s->b, 1, (size_t)(s->b_end - s->b));
}

/* Follows the stored rows back from the end; row d holds the furthest x on each diagonal k, at
 * index k + d. */
static void mark_path(Lines *a, Lines *b, const Span *s, int *const *rows, int d) {
    int x = s->a_end - s->a, y = s->b_end - s->b;
    for (; d > 0; d--) {
        const int *row = rows[d - 1];
        int k = x - y, from = d - 1;
        bool down = k == -d || (k != d && row[k - 1 + from] < row[k + 1 + from]);
        int previous = down ? k + 1 : k - 1;
        x = row[previous + from];
        y = x - previous;
        if (down)
            b->changed[s->b + y] = 1;
        else
            a->changed[s->a + x] = 1;
    }
}

static void mark_changes(Arena *arena, Lines *a, Lines *b, const Span *s) {
    const int n = s->a_end - s->a, m = s->b_end - s->b;
    int **rows = LT_ARRAY(arena, int *, MAX_EDITS + 1);
    for (int d = 0; d <= MAX_EDITS; d++) {
        int *row = rows[d] = LT_ARRAY(arena, int, 2 * d + 1);
        for (int k = -d; k <= d; k += 2) {
            const int *last = d ? rows[d - 1] : NULL;
            int x = 0;
            if (d)
                x = k == -d || (k != d && last[k - 1 + d - 1] < last[k + 1 + d - 1])
                        ? last[k + 1 + d - 1]
                        : last[k - 1 + d - 1] + 1;
            while (x < n && x - k < m && same_line(a, s->a + x, b, s->b + x - k))
                x++;
            row[k + d] = x;
            if (x >= n && x - k >= m) {
                mark_path(a, b, s, rows, d);
                return;
            }
        }
    }
    mark_all(a, b, s);
}

static Span trim(const Lines *a, const Lines *b) {
    Span s = {0, a->count, 0, b->count};
    while (s.a < s.a_end && s.b < s.b_end && same_line(a, s.a, b, s.b)) {
        s.a++;
        s.b++;
    }
    while (s.a < s.a_end && s.b < s.b_end && same_line(a, s.a_end - 1, b, s.b_end - 1)) {
        s.a_end--;
        s.b_end--;
    }
    return s;
}

/* --- hunks ----------------------------------------------------------------------------------- */

static void print_line(FILE *out, char mark, const Lines *lines, int i) {
    fprintf(out, "%c%.*s\n", mark, lines->length[i], lines->at[i]);
}

static void print_body(FILE *out, const Lines *a, const Lines *b, Span s) {
    while (s.a < s.a_end || s.b < s.b_end) {
        if (s.a < s.a_end && a->changed[s.a]) {
            print_line(out, '-', a, s.a++);
        } else if (s.b < s.b_end && b->changed[s.b]) {
            print_line(out, '+', b, s.b++);
        } else {
            print_line(out, ' ', a, s.a++);
            s.b++;
        }
    }
}

/* diff counts lines from 1, and names the line before an empty range. */
static void print_hunk(FILE *out, const Lines *a, const Lines *b, const Span *s) {
    int removed = s->a_end - s->a, added = s->b_end - s->b;
    fprintf(out, "@@ -%d,%d +%d,%d @@\n", s->a + (removed > 0), removed, s->b + (added > 0), added);
    print_body(out, a, b, *s);
}

/* Where the next change is; both ends when there is none. */
static void skip_equal(const Lines *a, const Lines *b, int *i, int *j) {
    while (*i < a->count && *j < b->count && !a->changed[*i] && !b->changed[*j]) {
        ++*i;
        ++*j;
    }
}

static void skip_changed(const Lines *a, const Lines *b, int *i, int *j) {
    while (*i < a->count && a->changed[*i])
        ++*i;
    while (*j < b->count && b->changed[*j])
        ++*j;
}

/* Changes that are less than two contexts apart share a hunk. */
static void print_hunks(FILE *out, const Lines *a, const Lines *b) {
    int i = 0, j = 0;
    skip_equal(a, b, &i, &j);
    while (i < a->count || j < b->count) {
        int before = i < j ? i : j;
        before = before < CONTEXT ? before : CONTEXT;
        Span s = {.a = i - before, .b = j - before};
        int end_a, end_b;
        do {
            skip_changed(a, b, &i, &j);
            end_a = i;
            end_b = j;
            skip_equal(a, b, &i, &j);
        } while ((i < a->count || j < b->count) && i - end_a <= 2 * CONTEXT);
        int rest = a->count - end_a < CONTEXT ? a->count - end_a : CONTEXT;
        s.a_end = end_a + rest;
        s.b_end = end_b + rest;
        print_hunk(out, a, b, &s);
    }
}

void lt_text_diff(FILE *out, NamedText before, NamedText after) {
    Arena arena;
    lt_arena_init(&arena);
    Lines a = split_lines(&arena, before.text), b = split_lines(&arena, after.text);
    Span s = trim(&a, &b);
    if (s.a < s.a_end || s.b < s.b_end) {
        mark_changes(&arena, &a, &b, &s);
        fprintf(out, "--- %s\n+++ %s\n", before.name, after.name);
        print_hunks(out, &a, &b);
    }
    lt_arena_free(&arena);
}
