/* expected.c - the lists of cases that are known to fail, one a form: `NAME: REASON` a line, by
 * name; lines with '#' are comments. What is known to fail as given stands in that list alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/str.h"
#include "tests/conformance/conformance.h"

typedef struct Line {
    const char *name, *reason;
} Line;
typedef Vec(Line) LineList;

static const char *const forms[DIMS_FORMS] = {
    [DIMS_GIVEN] = "",
    [DIMS_BATCH] =
        "# With the leading extents of inputs symbolic. What fails as given is not here.\n",
    [DIMS_ALL] = "# With all extents of inputs symbolic. What fails as given is not here.\n",
};
static const char head[] =
    "# Cases of the ONNX backend suite that do not pass, each with its reason. A case that passes\n"
    "# must not stand here, one that fails must: `make conformance` tells. `make conformance\n"
    "# ARGS=--bless` writes the list; reasons of cases that stood here before are kept.\n";

static bool complain(const char *list, int number, const char *words) {
    fprintf(stderr, "%s:%d: error: %s\n", list, number, words);
    return false;
}

static bool read_lines(Arena *arena, const char *list, LineList *lines) {
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, list, reason, sizeof reason)) {
        fprintf(stderr, "conformance: error: %s: %s\n", list, reason);
        return false;
    }
    char *at = lt_arena_strndup(arena, (const char *)file.data, file.size);
    lt_file_unmap(&file);
    for (int number = 1; *at; number++) {
        char *line = at;
        at += strcspn(at, "\n");
        if (*at)
            *at++ = 0;
        if (*line == '#' || !*line)
            continue;
        char *colon = strstr(line, ": ");
        if (!colon || !colon[2])
            return complain(list, number, "expected NAME: REASON");
        *colon = 0;
        if (lines->len && strcmp(lt_vec_last(lines).name, line) >= 0)
            return complain(list, number, "names are in order, each once");
        lt_vec_push(arena, lines, (Line){line, colon + 2});
    }
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const Line *)a)->name, ((const Line *)b)->name);
}

/* Names that the suite does not have would stay for ever. */
static bool is_in_suite(Arena *arena, const char *list, const Line *line) {
    const char *path = lt_arena_printf(arena, "%s/%s", CASES_FOLDER, line->name);
    MappedFile file;
    char reason[128];
    bool found =
        lt_file_map(&file, lt_arena_printf(arena, "%s/model.onnx", path), reason, sizeof reason);
    if (found)
        lt_file_unmap(&file);
    else
        fprintf(stderr, "%s: error: the suite has no case %s\n", list, line->name);
    return found;
}

/* NULL: it is not in the list. */
static const char *find_reason(const LineList *lines, const char *name) {
    const Line key = {.name = name};
    const Line *line =
        lines->len ? bsearch(&key, lines->data, lines->len, sizeof key, by_name) : NULL;
    return line ? line->reason : NULL;
}

bool lt_expected_read(Conformance *c) {
    LineList lines = {0}, given = {0};
    const char *list = lt_dims_expected(c->dims);
    bool ok = read_lines(c->arena, list, &lines);
    for (size_t i = 0; ok && i < lines.len; i++)
        ok = is_in_suite(c->arena, list, &lines.data[i]);
    if (ok && c->dims != DIMS_GIVEN)
        ok = read_lines(c->arena, lt_dims_expected(DIMS_GIVEN), &given);
    for (size_t i = 0; ok && i < c->cases.len; i++) {
        Case *at = &c->cases.data[i];
        at->expected = find_reason(&lines, at->name);
        at->fails_as_given = find_reason(&given, at->name) != NULL;
    }
    return ok;
}

static const Case *find_case(const Conformance *c, const char *name) {
    for (size_t i = 0; i < c->cases.len; i++)
        if (strcmp(c->cases.data[i].name, name) == 0)
            return &c->cases.data[i];
    return NULL;
}

static const char *own_reason(Arena *arena, const Outcome *outcome) {
    const char *colon = *outcome->op ? ": " : "";
    return lt_arena_printf(arena, "%s%s%s", outcome->op, colon, outcome->reason);
}

bool lt_expected_write(const Conformance *c) {
    LineList before = {0}, lines = {0};
    const char *list = lt_dims_expected(c->dims);
    if (!read_lines(c->arena, list, &before))
        return false;
    for (size_t i = 0; i < before.len; i++)
        if (!find_case(c, before.data[i].name))
            lt_vec_push(c->arena, &lines, before.data[i]);
    for (size_t i = 0; i < c->cases.len; i++) {
        const Case *at = &c->cases.data[i];
        if (case_passed(at) || at->fails_as_given)
            continue;
        const char *reason = at->expected ? at->expected : own_reason(c->arena, at->outcome);
        lt_vec_push(c->arena, &lines, (Line){at->name, reason});
    }
    qsort(lines.data, lines.len, sizeof *lines.data, by_name);
    OutputFile out;
    if (!lt_output_open(&out, list))
        return false;
    lt_output_write(&out, forms[c->dims], strlen(forms[c->dims]));
    lt_output_write(&out, head, sizeof head - 1);
    for (size_t i = 0; i < lines.len; i++) {
        const char *text =
            lt_arena_printf(c->arena, "%s: %s\n", lines.data[i].name, lines.data[i].reason);
        lt_output_write(&out, text, strlen(text));
    }
    return lt_output_commit(&out, 0644);
}
