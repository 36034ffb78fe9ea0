/* golden.c - what each pass makes of small graphs, as text.
 *
 * tests/golden/PASS/NAME.lir holds `# RUN: pass[,pass...]`, a graph, a line `# EXPECT`, and the
 * text of the graph after those passes, every line behind `# `: the whole file reads as a graph.
 * The passes run as at -O2 for x86-64-avx2, verified one by one; `for cuda` behind them names
 * another target, and `in tf32` a precision. Run from the root of the tree;
 * `golden --bless` writes what is found where something else was expected: read the diff. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "passes/pass.h"
#include "runtime/base/file.h"
#include "runtime/base/str.h"

#define ROOT "tests/golden"
static const char run_mark[] = "# RUN: ", expect_mark[] = "\n# EXPECT\n";

enum { MAX_PASSES = 32, LEVEL = 2 };

typedef struct Case {
    Arena *arena;
    const char *path;
    char *text;           /* the whole file */
    size_t input_len;     /* of the part before the line `# EXPECT` */
    const char *expected; /* the lines behind it, marks and all */
    const char *names[MAX_PASSES];
    int count;
    const Target *target;
    Precision precision;
} Case;

static bool complain(const Case *c, const char *what) {
    printf("%s: %s\n", c->path, what);
    return false;
}

/* What stands behind `for` or `in`. */
static bool read_option(Case *c, const char *option, const char *name) {
    if (!name)
        return false;
    if (strcmp(option, "for") == 0) {
        c->target = lt_target_find(name);
        return c->target != NULL;
    }
    while (c->precision < PRECISION_LIMIT && strcmp(lt_precision_names[c->precision], name) != 0)
        c->precision++;
    return c->precision < PRECISION_LIMIT;
}

static bool read_names(Case *c) {
    const char *start = strstr(c->text, run_mark);
    if (start != c->text)
        return complain(c, "the first line must be '# RUN: pass[,pass...]'");
    start += strlen(run_mark);
    char *list = lt_arena_strndup(c->arena, start, strcspn(start, "\n")), *rest = NULL;
    c->target = lt_target_find("x86-64-avx2");
    for (char *name = strtok_r(list, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
        if (strcmp(name, "for") == 0 || strcmp(name, "in") == 0) {
            if (!read_option(c, name, strtok_r(NULL, ", ", &rest)))
                return complain(c, "there is no such target or precision");
            continue;
        }
        if (c->count == MAX_PASSES)
            return complain(c, "too many passes");
        c->names[c->count++] = name;
    }
    return c->count > 0 || complain(c, "no passes are named");
}

static bool read_case(Case *c) {
    MappedFile file;
    char error[128];
    if (!lt_file_map(&file, c->path, error, sizeof error))
        return complain(c, error);
    c->text = lt_arena_strndup(c->arena, (const char *)file.data, file.size);
    lt_file_unmap(&file);
    const char *mark = strstr(c->text, expect_mark);
    if (!mark)
        return complain(c, "a line '# EXPECT' is missing");
    c->input_len = (size_t)(mark + 1 - c->text);
    c->expected = mark + strlen(expect_mark);
    return read_names(c);
}

static void print_diags(const Module *m) {
    for (size_t i = 0; i < m->diags.items.len; i++)
        printf("%s\n", lt_diag_format(&m->diags, &m->diags.items.data[i], false));
}

/* The text after the passes as the file shows it, a mark before every line. */
static const char *commented(Arena *arena, const char *text) {
    Str out;
    lt_str_init(&out, arena);
    for (size_t len; *text; text += len) {
        len = strcspn(text, "\n");
        len += text[len] == '\n';
        lt_str_append(&out, *text == '\n' ? "#" : "# ");
        lt_str_append_n(&out, text, len);
    }
    return out.text;
}

/* NULL after an error, which is printed. */
static const char *run_case(const Case *c) {
    Module *m = lt_module_new(c->arena, c->path);
    Arena scratch;
    lt_arena_init(&scratch);
    PassContext ctx = {
        .module = m,
        .target = c->target,
        .level = LEVEL,
        .precision = c->precision,
        .scratch = &scratch,
    };
    PassOptions options = {.limit = -1, .verify = true};
    bool ok = lt_module_read(m, c->text, c->input_len) &&
              lt_passes_run(&ctx, c->names, c->count, &options);
    lt_arena_free(&scratch);
    if (!ok) {
        print_diags(m);
        return NULL;
    }
    Str text;
    lt_str_init(&text, c->arena);
    lt_pass_print(&text, &ctx);
    return commented(c->arena, text.text);
}

static bool bless(const Case *c, const char *found) {
    OutputFile out;
    if (!lt_output_open(&out, c->path))
        return complain(c, "cannot be written");
    lt_output_write(&out, c->text, c->input_len);
    lt_output_write(&out, expect_mark + 1, strlen(expect_mark) - 1);
    lt_output_write(&out, found, strlen(found));
    printf("%s: blessed\n", c->path);
    return lt_output_commit(&out, 0644) || complain(c, "cannot be written");
}

static bool check_file(Arena *arena, const char *path, bool blessing) {
    Case c = {.arena = arena, .path = path};
    if (!read_case(&c))
        return false;
    const char *found = run_case(&c);
    if (!found)
        return complain(&c, "the passes failed");
    if (strcmp(found, c.expected) == 0)
        return true;
    if (blessing)
        return bless(&c, found);
    printf("%s: expected\n%sfound\n%s", path, c.expected, found);
    return false;
}

typedef struct Counts {
    int passed, failed;
} Counts;

static int is_case(const struct dirent *entry) { return lt_str_ends(entry->d_name, ".lir"); }
static int is_shown(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static void check_directory(const char *name, bool blessing, Counts *counts) {
    char path[512];
    struct dirent **entries;
    snprintf(path, sizeof path, ROOT "/%s", name);
    int count = scandir(path, &entries, is_case, alphasort);
    if (count < 0)
        return; /* a file beside the directories */
    if (!lt_pass_find(name) || count == 0) {
        printf("%s: %s\n", path, count ? "no pass has this name" : "there are no cases");
        counts->failed++;
    }
    for (int i = 0; i < count; i++) {
        Arena arena;
        lt_arena_init(&arena);
        const char *file = lt_arena_printf(&arena, "%s/%s", path, entries[i]->d_name);
        bool ok = check_file(&arena, file, blessing);
        counts->passed += ok;
        counts->failed += !ok;
        lt_arena_free(&arena);
        free(entries[i]);
    }
    free(entries);
}

/* A pass that no directory is named after is not tested. */
static void check_every_pass(Counts *counts) {
    for (int i = 0; i < lt_pass_count; i++) {
        char path[512];
        snprintf(path, sizeof path, ROOT "/%s", lt_passes[i].name);
        if (access(path, F_OK) == 0)
            continue;
        printf("%s: there are no cases for this pass\n", path);
        counts->failed++;
    }
}

int main(int argc, char **argv) {
    bool blessing = argc == 2 && strcmp(argv[1], "--bless") == 0;
    struct dirent **entries;
    if (argc > 1 && !blessing) {
        fprintf(stderr, "usage: golden [--bless]\n");
        return 2;
    }
    int count = scandir(ROOT, &entries, is_shown, alphasort);
    if (count < 0) {
        perror(ROOT);
        return 1;
    }
    Counts counts = {0};
    for (int i = 0; i < count; i++) {
        check_directory(entries[i]->d_name, blessing, &counts);
        free(entries[i]);
    }
    free(entries);
    check_every_pass(&counts);
    printf("golden: %d passed, %d failed\n", counts.passed, counts.failed);
    return counts.failed == 0 && counts.passed > 0 ? 0 : 1;
}
