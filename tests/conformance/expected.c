/* expected.c - the list of cases that are known to fail: `NAME: REASON` a line, by name; lines with
 * '#' are comments. */
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

static const char head[] =
    "# Cases of the ONNX backend suite that do not pass, each with its reason. A case that passes\n"
    "# must not stand here, one that fails must: `make conformance` tells. `make conformance\n"
    "# ARGS=--bless` writes the list; reasons of cases that stood here before are kept.\n";

static bool complain(int number, const char *words) {
    fprintf(stderr, "%s:%d: error: %s\n", EXPECTED_FILE, number, words);
    return false;
}

static bool read_lines(Arena *arena, LineList *lines) {
    MappedFile file;
    char reason[128];
    if (!lt_file_map(&file, EXPECTED_FILE, reason, sizeof reason)) {
        fprintf(stderr, "conformance: error: %s: %s\n", EXPECTED_FILE, reason);
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
            return complain(number, "expected NAME: REASON");
        *colon = 0;
        if (lines->len && strcmp(lt_vec_last(lines).name, line) >= 0)
            return complain(number, "names are in order, each once");
        lt_vec_push(arena, lines, (Line){line, colon + 2});
    }
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const Line *)a)->name, ((const Line *)b)->name);
}

/* Names that the suite does not have would stay for ever. */
static bool is_in_suite(Arena *arena, const Line *line) {
    const char *path = lt_arena_printf(arena, "%s/%s", CASES_FOLDER, line->name);
    MappedFile file;
    char reason[128];
    bool found =
        lt_file_map(&file, lt_arena_printf(arena, "%s/model.onnx", path), reason, sizeof reason);
    if (found)
        lt_file_unmap(&file);
    else
        fprintf(stderr, "%s: error: the suite has no case %s\n", EXPECTED_FILE, line->name);
    return found;
}

bool lt_expected_read(Conformance *c) {
    LineList lines = {0};
    bool ok = read_lines(c->arena, &lines);
    for (size_t i = 0; ok && i < lines.len; i++)
        ok = is_in_suite(c->arena, &lines.data[i]);
    for (size_t i = 0; ok && i < c->cases.len; i++) {
        const Line key = {.name = c->cases.data[i].name};
        const Line *line = lines.len ? bsearch(&key, lines.data, lines.len, sizeof key, by_name)
                                     : NULL;
        c->cases.data[i].expected = line ? line->reason : NULL;
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
    if (!read_lines(c->arena, &before))
        return false;
    for (size_t i = 0; i < before.len; i++)
        if (!find_case(c, before.data[i].name))
            lt_vec_push(c->arena, &lines, before.data[i]);
    for (size_t i = 0; i < c->cases.len; i++) {
        const Case *at = &c->cases.data[i];
        if (case_passed(at))
            continue;
        const char *reason = at->expected ? at->expected : own_reason(c->arena, at->outcome);
        lt_vec_push(c->arena, &lines, (Line){at->name, reason});
    }
    qsort(lines.data, lines.len, sizeof *lines.data, by_name);
    OutputFile out;
    if (!lt_output_open(&out, EXPECTED_FILE))
        return false;
    lt_output_write(&out, head, sizeof head - 1);
    for (size_t i = 0; i < lines.len; i++) {
        const char *text =
            lt_arena_printf(c->arena, "%s: %s\n", lines.data[i].name, lines.data[i].reason);
        lt_output_write(&out, text, strlen(text));
    }
    return lt_output_commit(&out, 0644);
}
