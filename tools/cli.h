/* cli.h - what every tool does with its command line, declared as tables.
 *
 * A tool describes its options once; parsing, --help, --help-all, --version and the error messages
 * all come from that table:
 *
 *     typedef struct Options {
 *         const char *out;
 *         int64_t threads;
 *         bool json;
 *         CliList inputs;
 *     } Options;
 *     #define ROW(field, ...) CLI_ROW(Options, field, __VA_ARGS__)
 *     static const CliOption table[] = {
 *         CLI_HEADING("Running"),
 *         ROW(out, CLI_STRING, "-o", "OUT", "write the result to OUT"),
 *         ROW(threads, CLI_INT, "--threads", "N", "how many threads", .min = 1, .max = 1024),
 *         ROW(json, CLI_FLAG, "--json", NULL, "print one JSON object"),
 *         ROW(inputs, CLI_LIST, "--input", "NAME=FILE", "may be given again"),
 *     };
 *     static const CliTool tool = {.name = "lathe-run", .synopsis = "MODEL.so [options]",
 *                                  .summary = "Runs an artifact.", .options = table,
 *                                  .option_count = sizeof table / sizeof *table};
 *     Options options = {.threads = 1};
 *     Cli cli = {.tool = &tool, .arena = &arena, .out = stdout, .err = stderr};
 *     int code = lt_cli_parse(&cli, argc, argv, &options);
 *     if (code >= 0)
 *         return code;   (help was printed: 0; wrong use: 2; an @FILE that cannot be read: 74)
 *     ... cli.arguments.data[0 .. cli.arguments.len) are MODEL.so and whatever else is no option.
 *
 * On the command line: `--name VALUE`, `--name=VALUE`, `-o VALUE`, `-oVALUE`; `--` ends the
 * options; `-` is an argument; `@FILE` is replaced by the words in FILE (quotes and backslash as
 * in a shell, nested up to 8 deep). A table's strings must live as long as the program; values
 * point into argv or into the arena. */
#ifndef LATHE_TOOLS_CLI_H
#define LATHE_TOOLS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/arena.h"
#include "runtime/base/str.h"
#include "runtime/base/vec.h"

/* Strings in the order in which they were given. */
typedef struct CliList {
    const char **data;
    size_t len, cap;
} CliList;

typedef enum CliKind {
    CLI_GROUP,    /* no option: `help` is the heading of the rows below it */
    CLI_FLAG,     /* bool: set to true */
    CLI_STRING,   /* const char *: the last one given wins */
    CLI_INT,      /* int64_t in min..max (both 0: any); 0x and suffixes k M G (1024^n) are fine */
    CLI_DOUBLE,   /* double, not negative, finite */
    CLI_LIST,     /* CliList: appended */
    CLI_CHOICE,   /* int: index into `choices`, "a|b|c"; argument NULL: help shows the choices */
    CLI_OPTIONAL, /* const char *: "" when no value is given. The value is `--name=VALUE`, or the
                   * next word when that ends in `choices` (".json") */
    CLI_WORDS,    /* const char *: the next word, even where it looks like an option */
    CLI_PAIR,     /* CliList: appended if it is NAME=VALUE with a NAME that is not empty */
} CliKind;

typedef struct CliOption {
    const char *name;     /* "--threads" or "-o" */
    const char *argument; /* what help calls the value; NULL for CLI_FLAG */
    const char *help;     /* a phrase; '\n' starts another line of it */
    CliKind kind;
    size_t offset; /* of the field in the tool's options struct */
    int64_t min, max;
    const char *choices;
    const char *alias; /* second spelling: "-j" */
    bool advanced;     /* shown by --help-all only */
    const char *words; /* completion: a command whose lines begin with the values; may be NULL */
} CliOption;

#define CLI_HEADING(text) {.kind = CLI_GROUP, .help = text}
#define CLI_ROW(Struct, field, kind_, name_, argument_, help_, ...) \
    {.offset = offsetof(Struct, field), .kind = kind_, .name = name_, .argument = argument_, \
     .help = help_, __VA_ARGS__}

/* `--help TOPIC` calls print. */
typedef struct CliTopic {
    const char *name, *help;
    void (*print)(FILE *out);
} CliTopic;

typedef struct CliTool {
    const char *name;     /* "lathec" */
    const char *synopsis; /* "[options] MODEL -o OUT" */
    const char *summary;  /* what it does, in a sentence or two */
    const CliOption *options;
    size_t option_count;
    const CliTopic *topics;
    size_t topic_count;
    const char *footer; /* printed below the options: examples, exit codes; may be NULL */
} CliTool;

typedef struct Cli {
    const CliTool *tool;
    Arena *arena;
    FILE *out, *err;
    CliList arguments; /* the words that are no options */
} Cli;

/* Fills `options` and cli->arguments. -1: go on; otherwise the exit code, with everything already
 * said. --help, -h, --help-all and --version are understood without being in the table. */
int lt_cli_parse(Cli *cli, int argc, char **argv, void *options);
void lt_cli_help(const Cli *cli, bool all);
/* A man page, and completion for bash: `--help man` and `--help bash` of every tool. */
void lt_cli_man(const Cli *cli);
void lt_cli_bash(const Cli *cli);
/* Prints "tool: error: TEXT" and how to get help on cli->err; returns 2, the exit code of wrong
 * use. */
int lt_cli_wrong(const Cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Splits at the first '=': *name is the part before it (NULL when there is no '='), *value the
 * rest. */
void lt_cli_split(Arena *arena, const char *text, const char **name, const char **value);
/* The words of a text, quotes and backslashes as in a shell: appended to words. */
void lt_cli_words(Arena *arena, const char *text, CliList *words);
/* A whole decimal or 0x number, with an optional suffix k, M or G. */
bool lt_cli_int(const char *text, int64_t *out);
/* "LO..HI" or "N" (then lo = hi); false unless lo <= hi. */
bool lt_cli_range(const char *text, int64_t *lo, int64_t *hi);
/* The name nearest to `text` out of names[0..count), or NULL when none is near. */
const char *lt_cli_nearest(const char *text, const char *const *names, size_t count);
/* The process's exit code for a lathe_status (lathe/status.def); 70 for a number that is none. */
int lt_cli_exit_code(int status);

/* JSON values. Bytes that are not UTF-8 become U+FFFD; numbers that JSON cannot write become null.
 * */
void lt_json_string(FILE *out, const char *text);
void lt_json_append(Str *out, const char *text);
void lt_json_double(FILE *out, double value);

/* A table of text with aligned columns, two spaces apart, and a line of titles. */
typedef struct TextTable {
    Arena *arena;
    const char *aligns; /* 'l' or 'r' for each column */
    size_t columns;
    CliList cells; /* row after row, the titles first */
} TextTable;

/* titles: columns separated by '\t'. */
void lt_table_init(TextTable *table, Arena *arena, const char *aligns, const char *titles);
/* One row: a format whose result holds the cells, separated by '\t'; missing ones are empty. */
void lt_table_row(TextTable *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lt_table_print(const TextTable *table, FILE *out);
/* "12.3 kB": bytes for people, powers of 1000. In the arena. */
const char *lt_text_bytes(Arena *arena, double bytes);
/* "1.234 ms": a time for people. In the arena. */
const char *lt_text_seconds(Arena *arena, double seconds);
/* The most memory that this program held so far, in bytes. */
int64_t lt_peak_memory(void);

#endif
