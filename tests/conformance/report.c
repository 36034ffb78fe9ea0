/* report.c - what a run says: tables by op and by reason, failures, JSON. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/str.h"
#include "tests/conformance/conformance.h"
#include "tools/cli.h"

static const char *const verdict_names[] = {
#define VERDICT(e, name) name,
#include "tests/conformance/verdicts.def"
#undef VERDICT
};

const char *lt_verdict_name(Verdict verdict) { return verdict_names[verdict]; }

/* --- groups --- */

typedef struct Group {
    const char *name;
    size_t passed, failed;
} Group;
typedef Vec(Group *) GroupList;

static Group *group_of(Arena *arena, Map *map, GroupList *groups, const char *name) {
    Group *group = lt_strmap_get(map, name);
    if (!group) {
        group = LT_NEW(arena, Group);
        *group = (Group){.name = name};
        lt_strmap_set(map, name, group);
        lt_vec_push(arena, groups, group);
    }
    return group;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(Group *const *)a)->name, (*(Group *const *)b)->name);
}

static int by_count(const void *a, const void *b) {
    size_t left = (*(Group *const *)a)->failed, right = (*(Group *const *)b)->failed;
    return left != right ? (left < right ? 1 : -1) : by_name(a, b);
}

void lt_report_ops(const Conformance *c) {
    Map map;
    GroupList groups = {0};
    lt_map_init(&map, c->arena);
    for (size_t i = 0; i < c->cases.len; i++) {
        const Case *at = &c->cases.data[i];
        Group *group = group_of(c->arena, &map, &groups, at->op);
        *(case_passed(at) ? &group->passed : &group->failed) += 1;
    }
    qsort(groups.data, groups.len, sizeof *groups.data, by_name);
    TextTable table;
    lt_table_init(&table, c->arena, "lrr", "op\tpassed\tfailed");
    for (size_t i = 0; i < groups.len; i++)
        lt_table_row(&table, "%s\t%zu\t%zu", groups.data[i]->name, groups.data[i]->passed,
                     groups.data[i]->failed);
    lt_table_print(&table, stdout);
}

/* A reason without what differs from case to case: quoted names, and numbers. */
static const char *general(Arena *arena, const char *text) {
    Str out;
    lt_str_init(&out, arena);
    while (*text) {
        const char *quote = *text == '\'' ? strchr(text + 1, '\'') : NULL;
        if (quote) {
            lt_str_append(&out, "'...'");
            text = quote + 1;
        } else if (isdigit((unsigned char)*text)) {
            lt_str_char(&out, 'N');
            text += strspn(text, "0123456789");
        } else {
            lt_str_char(&out, *text++);
        }
    }
    return out.text;
}

static const char *reason_of(Arena *arena, const Outcome *outcome) {
    if (outcome->verdict == VERDICT_WRONG)
        return lt_verdict_name(outcome->verdict);
    return lt_arena_printf(arena, "%s: %s%s%s", lt_verdict_name(outcome->verdict), outcome->op,
                           *outcome->op ? ": " : "", general(arena, outcome->reason));
}

void lt_report_reasons(const Conformance *c) {
    Map map;
    GroupList groups = {0};
    lt_map_init(&map, c->arena);
    for (size_t i = 0; i < c->cases.len; i++)
        if (!case_passed(&c->cases.data[i]))
            group_of(c->arena, &map, &groups, reason_of(c->arena, c->cases.data[i].outcome))
                ->failed++;
    if (groups.len == 0)
        return;
    qsort(groups.data, groups.len, sizeof *groups.data, by_count);
    TextTable table;
    lt_table_init(&table, c->arena, "rl", "cases\treason");
    for (size_t i = 0; i < groups.len; i++)
        lt_table_row(&table, "%zu\t%s", groups.data[i]->failed, groups.data[i]->name);
    putchar('\n');
    lt_table_print(&table, stdout);
}

/* --- cases --- */

static void print_case(const Case *at) {
    const Outcome *outcome = at->outcome;
    printf("%s: %s: %s%s%s\n", at->name, lt_verdict_name(outcome->verdict), outcome->op,
           *outcome->op ? ": " : "", outcome->reason);
}

void lt_report_failures(const Conformance *c) {
    for (size_t i = 0; i < c->cases.len; i++)
        if (!case_passed(&c->cases.data[i]))
            print_case(&c->cases.data[i]);
}

size_t lt_report_surprises(const Conformance *c) {
    size_t count = 0;
    for (size_t i = 0; i < c->cases.len; i++) {
        const Case *at = &c->cases.data[i];
        if (!case_surprises(at))
            continue;
        count++;
        if (case_passed(at))
            printf("%s: passes, and stands in %s\n", at->name, lt_dims_expected(c->dims));
        else
            print_case(at);
    }
    return count;
}

static int by_size(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double lt_median_compile_ms(const Conformance *c) {
    double *times = LT_ARRAY(c->arena, double, c->cases.len + 1);
    size_t count = 0;
    for (size_t i = 0; i < c->cases.len; i++)
        if (case_passed(&c->cases.data[i]))
            times[count++] = c->cases.data[i].outcome->compile_seconds * 1e3;
    qsort(times, count, sizeof *times, by_size);
    return count ? times[count / 2] : 0;
}

static void json_field(FILE *out, const char *key, const char *value) {
    fprintf(out, "\"%s\": ", key);
    lt_json_string(out, value);
    fputs(", ", out);
}

FILE *lt_json_open(const char *path) {
    FILE *out = fopen(path, "w");
    if (out)
        fputc('[', out);
    return out;
}

void lt_report_json(const Conformance *c, FILE *out, bool *is_first) {
    for (size_t i = 0; i < c->cases.len; i++) {
        const Case *at = &c->cases.data[i];
        fputs(*is_first ? "\n{" : ",\n{", out);
        *is_first = false;
        json_field(out, "dims", lt_dims_name(c->dims));
        json_field(out, "case", at->name);
        json_field(out, "op", at->op);
        json_field(out, "verdict", lt_verdict_name(at->outcome->verdict));
        json_field(out, "node", at->outcome->op);
        json_field(out, "reason", at->outcome->reason);
        fputs("\"compile_ms\": ", out);
        lt_json_double(out, at->outcome->compile_seconds * 1e3);
        fputc('}', out);
    }
}

bool lt_json_close(FILE *out) {
    fputs("\n]\n", out);
    return fclose(out) == 0;
}
