/* cli_text.c - what tools print: help from the option table, aligned tables, JSON values, numbers
 * for people. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "runtime/base/str.h"
#include "tools/cli.h"

enum { MAX_LABEL = 28 };

/* --- help --- */

static const char *option_label(Arena *arena, const CliOption *option) {
    Str label;
    lt_str_init(&label, arena);
    if (option->alias)
        lt_str_printf(&label, "%s, ", option->alias);
    lt_str_append(&label, option->name);
    const char *value = option->argument ? option->argument : option->choices;
    if (option->kind == CLI_OPTIONAL)
        lt_str_printf(&label, " [%s]", option->argument);
    else if (option->kind != CLI_FLAG)
        lt_str_printf(&label, " %s", value);
    return label.text;
}

/* The lines of a help text, each behind `indent` spaces except the first. */
static void print_lines(FILE *out, const char *text, int indent) {
    for (const char *at = text;; at += strcspn(at, "\n") + 1) {
        int len = (int)strcspn(at, "\n");
        fprintf(out, "%*s%.*s\n", at == text ? 0 : indent, "", len, at);
        if (!at[len])
            return;
    }
}

static void print_row(FILE *out, const char *label, const char *help, int width) {
    int len = (int)strlen(label);
    fprintf(out, "  %s", label);
    if (len > width)
        fprintf(out, "\n%*s", width + 4, "");
    else
        fprintf(out, "%*s", width + 2 - len, "");
    print_lines(out, help, width + 4);
}

static int label_width(const Cli *cli, bool all) {
    int width = (int)strlen("--version");
    for (size_t i = 0; i < cli->tool->option_count; i++) {
        const CliOption *option = &cli->tool->options[i];
        if (option->kind == CLI_GROUP || (option->advanced && !all))
            continue;
        int len = (int)strlen(option_label(cli->arena, option));
        width = len > width && len <= MAX_LABEL ? len : width;
    }
    return width;
}

/* A group with nothing to show below it is not printed. */
static bool group_is_empty(const CliTool *tool, size_t group, bool all) {
    for (size_t i = group + 1; i < tool->option_count && tool->options[i].kind != CLI_GROUP; i++)
        if (all || !tool->options[i].advanced)
            return false;
    return true;
}

static bool has_advanced(const CliTool *tool) {
    for (size_t i = 0; i < tool->option_count; i++)
        if (tool->options[i].advanced)
            return true;
    return false;
}

static void print_common(const Cli *cli, bool all, int width) {
    const CliTool *tool = cli->tool;
    fprintf(cli->out, "\nHelp:\n");
    print_row(cli->out, "-h, --help", "this text", width);
    if (has_advanced(tool) && !all)
        print_row(cli->out, "--help-all", "every option", width);
    for (size_t i = 0; i < tool->topic_count; i++)
        print_row(cli->out, lt_arena_printf(cli->arena, "--help %s", tool->topics[i].name),
                  tool->topics[i].help, width);
    if (all) {
        print_row(cli->out, "--help man", "a man page", width);
        print_row(cli->out, "--help bash", "completion for bash", width);
    }
    print_row(cli->out, "--version", "the version", width);
    print_row(cli->out, "@FILE", "more options, from FILE", width);
}

void lt_cli_help(const Cli *cli, bool all) {
    const CliTool *tool = cli->tool;
    int width = label_width(cli, all);
    fprintf(cli->out, "Usage: %s %s\n%s\n", tool->name, tool->synopsis, tool->summary);
    if (tool->option_count && tool->options[0].kind != CLI_GROUP)
        fprintf(cli->out, "\nOptions:\n");
    for (size_t i = 0; i < tool->option_count; i++) {
        const CliOption *option = &tool->options[i];
        if (option->kind == CLI_GROUP) {
            if (!group_is_empty(tool, i, all))
                fprintf(cli->out, "\n%s:\n", option->help);
        } else if (all || !option->advanced) {
            print_row(cli->out, option_label(cli->arena, option), option->help, width);
        }
    }
    print_common(cli, all, width);
    if (tool->footer)
        fprintf(cli->out, "\n%s\n", tool->footer);
}

/* --- JSON --- */

/* Bytes of the well-formed UTF-8 sequence at `text` (RFC 3629 section 4), 0 when it is malformed.
 * */
static int utf8_length(const unsigned char *text) {
    unsigned char lead = text[0];
    int len = lead < 0x80                   ? 1
              : lead >= 0xc2 && lead < 0xe0 ? 2
              : (lead & 0xf0) == 0xe0       ? 3
              : lead >= 0xf0 && lead < 0xf5 ? 4
                                            : 0;
    for (int i = 1; i < len; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (lead == 0xe0 && text[1] < 0xa0) || (lead == 0xf0 && text[1] < 0x90);
    bool surrogate = lead == 0xed && text[1] > 0x9f, beyond = lead == 0xf4 && text[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : len;
}

void lt_json_append(Str *out, const char *text) {
    lt_str_char(out, '"');
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        int len = utf8_length(at);
        if (*at == '"' || *at == '\\')
            lt_str_printf(out, "\\%c", *at);
        else if (*at < 0x20 || *at == 0x7f)
            lt_str_printf(out, "\\u%04x", *at);
        else if (len == 0)
            lt_str_append(out, "\\ufffd");
        else
            lt_str_append_n(out, (const char *)at, (size_t)len);
        at += len ? len : 1;
    }
    lt_str_char(out, '"');
}

void lt_json_string(FILE *out, const char *text) {
    Arena arena;
    Str json;
    lt_arena_init(&arena);
    lt_str_init(&json, &arena);
    lt_json_append(&json, text);
    fputs(json.text, out);
    lt_arena_free(&arena);
}

void lt_json_double(FILE *out, double value) {
    if (isfinite(value))
        fprintf(out, "%.9g", value);
    else
        fputs("null", out);
}

/* --- tables --- */

static void push_row(TextTable *table, const char *text) {
    for (size_t c = 0; c < table->columns; c++) {
        size_t len = c + 1 < table->columns ? strcspn(text, "\t") : strlen(text);
        const char *cell = lt_arena_strndup(table->arena, text, len);
        lt_vec_push(table->arena, &table->cells, cell);
        text += len + (text[len] == '\t');
    }
}

void lt_table_init(TextTable *table, Arena *arena, const char *aligns, const char *titles) {
    *table = (TextTable){.arena = arena, .aligns = aligns, .columns = strlen(aligns)};
    push_row(table, titles);
}

void lt_table_row(TextTable *table, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(table->arena, format, args);
    va_end(args);
    push_row(table, text);
}

/* Columns that a terminal uses for a UTF-8 text: one a code point. */
static int display_width(const char *text) {
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void lt_table_print(const TextTable *table, FILE *out) {
    int *widths = LT_ARRAY(table->arena, int, table->columns);
    for (size_t i = 0; i < table->cells.len; i++) {
        int width = display_width(table->cells.data[i]);
        int *widest = &widths[i % table->columns];
        *widest = width > *widest ? width : *widest;
    }
    for (size_t i = 0; i < table->cells.len; i++) {
        size_t column = i % table->columns;
        const char *cell = table->cells.data[i];
        bool last = column + 1 == table->columns;
        int space = widths[column] - display_width(cell);
        if (table->aligns[column] == 'r')
            fprintf(out, "%*s%s", space, "", cell);
        else
            fprintf(out, "%s%*s", cell, last ? 0 : space, "");
        fputs(last ? "\n" : "  ", out);
    }
}

const char *lt_text_bytes(Arena *arena, double bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        bytes /= 1000;
        unit++;
    }
    return lt_arena_printf(arena, "%.*f %s", unit && bytes < 99.95 ? 1 : 0, bytes, units[unit]);
}

const char *lt_text_seconds(Arena *arena, double seconds) {
    if (seconds < 1e-3)
        return lt_arena_printf(arena, "%.1f us", seconds * 1e6);
    if (seconds < 1)
        return lt_arena_printf(arena, "%.3f ms", seconds * 1e3);
    return lt_arena_printf(arena, "%.3f s", seconds);
}

/* Not ru_maxrss: that one outlives exec, and so begins with what whoever started us held. */
int64_t lt_peak_memory(void) {
    long long kilobytes = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %lld", &kilobytes) != 1)
        ;
    if (file)
        fclose(file);
    return (int64_t)kilobytes * 1024;
}
