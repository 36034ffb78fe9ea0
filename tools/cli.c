/* cli.c - option tables, see cli.h: response files, parsing, suggestions. Help and tables are in
 * cli_text.c. */
#include "tools/cli.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lathe/runtime.h"
#include "runtime/base/file.h"
#include "runtime/base/str.h"

enum { WRONG_USE = 2, IO_ERROR = 74, MAX_RESPONSE_DEPTH = 8, GO_ON = -1 };

typedef struct Parse {
    Cli *cli;
    uint8_t *fields; /* the tool's options struct */
    CliList words;
    size_t next;
    bool literal; /* behind "--" */
} Parse;

static void list_push(Arena *arena, CliList *list, const char *text) {
    lt_vec_push(arena, list, text);
}

int lt_cli_wrong(const Cli *cli, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(cli->arena, format, args);
    va_end(args);
    fprintf(cli->err, "%s: error: %s\n", cli->tool->name, text);
    fprintf(cli->err, "Try '%s --help'.\n", cli->tool->name);
    return WRONG_USE;
}

int lt_cli_exit_code(int status) {
    switch (status) {
#define STATUS(e, number, exit_code, text) \
    case number: \
        return exit_code;
#include "lathe/status.def"
#undef STATUS
    }
    return 70;
}

/* --- values --- */

bool lt_cli_int(const char *text, int64_t *out) {
    static const struct {
        char letter;
        int shift;
    } suffixes[] = {{'k', 10}, {'M', 20}, {'G', 30}};
    char *end;
    errno = 0;
    int base = strncmp(text, "0x", 2) == 0 ? 16 : 10;
    if (*text == ' ' || *text == '\t' || *text == '+')
        return false;
    int64_t value = strtoll(text, &end, base);
    if (end == text || errno)
        return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (*end == suffixes[i].letter) {
            if (__builtin_mul_overflow(value, INT64_C(1) << suffixes[i].shift, &value))
                return false;
            end++;
            break;
        }
    *out = value;
    return *end == '\0';
}

bool lt_cli_range(const char *text, int64_t *lo, int64_t *hi) {
    const char *dots = strstr(text, "..");
    if (!dots) {
        bool good = lt_cli_int(text, lo);
        *hi = *lo;
        return good;
    }
    char first[32];
    size_t len = (size_t)(dots - text);
    if (len >= sizeof first)
        return false;
    memcpy(first, text, len);
    first[len] = '\0';
    return lt_cli_int(first, lo) && lt_cli_int(dots + 2, hi) && *lo <= *hi;
}

void lt_cli_split(Arena *arena, const char *text, const char **name, const char **value) {
    const char *equals = strchr(text, '=');
    *name = equals ? lt_arena_strndup(arena, text, (size_t)(equals - text)) : NULL;
    *value = equals ? equals + 1 : text;
}

/* --- suggestions --- */

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b; long words count as far
 * apart. */
static size_t edit_distance(const char *a, const char *b) {
    enum { LIMIT = 48 };
    size_t rows = strlen(a), columns = strlen(b);
    if (rows >= LIMIT || columns >= LIMIT)
        return LIMIT;
    size_t cost[LIMIT][LIMIT];
    for (size_t i = 0; i <= rows; i++)
        for (size_t j = 0; j <= columns; j++) {
            if (!i || !j) {
                cost[i][j] = i + j;
                continue;
            }
            size_t best = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = cost[i - 1][j] + 1 < best ? cost[i - 1][j] + 1 : best;
            best = cost[i][j - 1] + 1 < best ? cost[i][j - 1] + 1 : best;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && cost[i - 2][j - 2] + 1 < best)
                best = cost[i - 2][j - 2] + 1;
            cost[i][j] = best;
        }
    return cost[rows][columns];
}

const char *lt_cli_nearest(const char *text, const char *const *names, size_t count) {
    size_t limit = strlen(text) / 3 + 1, best = limit < 3 ? limit + 1 : 4;
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(text, names[i]);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

static int unknown_option(Parse *p, const char *name) {
    const CliTool *tool = p->cli->tool;
    const char **names = LT_ARRAY(p->cli->arena, const char *, tool->option_count + 3);
    size_t count = 0;
    for (size_t i = 0; i < tool->option_count; i++)
        if (tool->options[i].kind != CLI_GROUP)
            names[count++] = tool->options[i].name;
    names[count++] = "--help";
    names[count++] = "--help-all";
    names[count++] = "--version";
    const char *nearest = lt_cli_nearest(name, names, count);
    if (nearest)
        return lt_cli_wrong(p->cli, "unknown option '%s'; did you mean '%s'?", name, nearest);
    return lt_cli_wrong(p->cli, "unknown option '%s'", name);
}

/* --- response files --- */

/* Takes one word off *text: quotes and backslashes as in a shell. NULL at the end. */
static const char *next_word(Arena *arena, const char **text, const char *end) {
    const char *at = *text;
    while (at < end && memchr(" \t\r\n\f\v", *at, 6))
        at++;
    if (at == end)
        return NULL;
    Str word;
    lt_str_init(&word, arena);
    char quote = '\0';
    for (; at < end && (quote || !memchr(" \t\r\n\f\v", *at, 6)); at++) {
        if (quote && *at == quote)
            quote = '\0';
        else if (!quote && (*at == '"' || *at == '\''))
            quote = *at;
        else if (*at == '\\' && quote != '\'' && at + 1 < end)
            lt_str_char(&word, *++at);
        else
            lt_str_char(&word, *at);
    }
    *text = at;
    return word.text;
}

void lt_cli_words(Arena *arena, const char *text, CliList *words) {
    const char *end = text + strlen(text), *word;
    while ((word = next_word(arena, &text, end)))
        list_push(arena, words, word);
}

static int expand_word(Parse *p, const char *word, int depth);

static int expand_file(Parse *p, const char *path, int depth) {
    Cli *cli = p->cli;
    if (depth == MAX_RESPONSE_DEPTH)
        return lt_cli_wrong(cli, "@%s: option files are nested more than %d deep", path, depth);
    MappedFile file;
    char error[128];
    if (!lt_file_map(&file, path, error, sizeof error)) {
        fprintf(cli->err, "%s: error: @%s: %s\n", cli->tool->name, path, error);
        return IO_ERROR;
    }
    const char *text = (const char *)file.data, *end = text + file.size, *word;
    int code = GO_ON;
    while (code == GO_ON && (word = next_word(cli->arena, &text, end)))
        code = expand_word(p, word, depth + 1);
    lt_file_unmap(&file);
    return code;
}

static int expand_word(Parse *p, const char *word, int depth) {
    if (strcmp(word, "--") == 0)
        p->literal = true;
    if (word[0] == '@' && word[1] && !p->literal)
        return expand_file(p, word + 1, depth);
    list_push(p->cli->arena, &p->words, word);
    return GO_ON;
}

/* --- storing --- */

static int store_int(Parse *p, const CliOption *option, const char *value) {
    int64_t number;
    bool limited = option->min || option->max;
    if (!lt_cli_int(value, &number))
        return lt_cli_wrong(p->cli, "%s: '%s' is not a whole number", option->name, value);
    if (limited && (number < option->min || number > option->max))
        return lt_cli_wrong(p->cli, "%s: %s is not in %lld..%lld", option->name, value,
                            (long long)option->min, (long long)option->max);
    *(int64_t *)(void *)(p->fields + option->offset) = number;
    return GO_ON;
}

static int store_double(Parse *p, const CliOption *option, const char *value) {
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !isfinite(number) || number < 0)
        return lt_cli_wrong(p->cli, "%s: '%s' is not a number of 0 or more", option->name, value);
    *(double *)(void *)(p->fields + option->offset) = number;
    return GO_ON;
}

static int store_choice(Parse *p, const CliOption *option, const char *value) {
    const char *at = option->choices;
    size_t len = strlen(value);
    for (int index = 0;; index++) {
        size_t width = strcspn(at, "|");
        if (width == len && memcmp(at, value, len) == 0) {
            *(int *)(void *)(p->fields + option->offset) = index;
            return GO_ON;
        }
        if (!at[width])
            break;
        at += width + 1;
    }
    return lt_cli_wrong(p->cli, "%s: '%s' is none of %s", option->name, value, option->choices);
}

static int store_pair(Parse *p, const CliOption *option, const char *value) {
    const char *equals = strchr(value, '=');
    if (!equals || equals == value)
        return lt_cli_wrong(p->cli, "%s: expected %s, found '%s'", option->name, option->argument,
                            value);
    list_push(p->cli->arena, (CliList *)(void *)(p->fields + option->offset), value);
    return GO_ON;
}

static int store(Parse *p, const CliOption *option, const char *value) {
    void *field = p->fields + option->offset;
    switch (option->kind) {
    case CLI_GROUP: break;
    case CLI_FLAG: *(bool *)field = true; break;
    case CLI_WORDS:
    case CLI_STRING:
    case CLI_OPTIONAL: *(const char **)field = value; break;
    case CLI_INT: return store_int(p, option, value);
    case CLI_DOUBLE: return store_double(p, option, value);
    case CLI_LIST: list_push(p->cli->arena, field, value); break;
    case CLI_CHOICE: return store_choice(p, option, value);
    case CLI_PAIR: return store_pair(p, option, value);
    }
    return GO_ON;
}

/* --- words --- */

static const CliOption *find_name(const CliTool *tool, const char *name, size_t len) {
    for (size_t i = 0; i < tool->option_count; i++) {
        const CliOption *option = &tool->options[i];
        const char *names[] = {option->name, option->alias};
        for (int n = 0; n < 2 && option->kind != CLI_GROUP; n++)
            if (names[n] && strlen(names[n]) == len && memcmp(names[n], name, len) == 0)
                return option;
    }
    return NULL;
}

/* The option that `word` spells, and where its attached value starts (NULL: none is attached):
 * the whole word ("-O2" may be a name), else "--name=VALUE" or "-oVALUE". */
static const CliOption *find_option(const CliTool *tool, const char *word, const char **attached) {
    bool is_long = word[1] == '-';
    size_t len = is_long ? strcspn(word, "=") : 2;
    const CliOption *whole = find_name(tool, word, strlen(word));
    *attached = whole || !word[len] ? NULL : word + len + is_long;
    return whole ? whole : find_name(tool, word, len);
}

static bool is_option(const Parse *p, const char *word) {
    const char *attached;
    return word[0] == '-' && word[1] && find_option(p->cli->tool, word, &attached) != NULL;
}

static int take_option(Parse *p, const CliOption *option, const char *attached) {
    const char *next = p->next < p->words.len ? p->words.data[p->next] : NULL;
    if (option->kind == CLI_FLAG) {
        if (attached)
            return lt_cli_wrong(p->cli, "%s takes no value", option->name);
        return store(p, option, NULL);
    }
    if (option->kind == CLI_OPTIONAL) {
        assert(option->choices); /* the suffix of values */
        bool take = !attached && next && lt_str_ends(next, option->choices) && !is_option(p, next);
        p->next += take;
        return store(p, option, attached ? attached : take ? next : "");
    }
    if (attached)
        return store(p, option, attached);
    if (!next || (option->kind != CLI_WORDS && is_option(p, next)))
        return lt_cli_wrong(p->cli, "%s needs a value: %s", option->name,
                            option->argument ? option->argument : option->choices);
    p->next++;
    return store(p, option, next);
}

/* Options that every tool has. True: `*code` is the answer. */
static bool take_common(Parse *p, const char *word, int *code) {
    const Cli *cli = p->cli;
    const CliTool *tool = cli->tool;
    *code = 0;
    if (strcmp(word, "--version") == 0) {
        fprintf(cli->out, "%s (lathe) %s\n", tool->name, LATHE_VERSION);
        return true;
    }
    bool all = strcmp(word, "--help-all") == 0;
    if (!all && strcmp(word, "--help") != 0 && strcmp(word, "-h") != 0)
        return false;
    const char *topic = p->next < p->words.len ? p->words.data[p->next] : NULL;
    for (size_t i = 0; i < tool->topic_count && topic; i++)
        if (strcmp(tool->topics[i].name, topic) == 0) {
            tool->topics[i].print(cli->out);
            return true;
        }
    if (topic && strcmp(topic, "man") == 0)
        lt_cli_man(cli);
    else if (topic && strcmp(topic, "bash") == 0)
        lt_cli_bash(cli);
    else
        lt_cli_help(cli, all);
    return true;
}

static int take_word(Parse *p, const char *word) {
    bool plain = word[0] != '-' || !word[1];
    if (p->literal || plain) {
        list_push(p->cli->arena, &p->cli->arguments, word);
        return GO_ON;
    }
    if (strcmp(word, "--") == 0) {
        p->literal = true;
        return GO_ON;
    }
    const char *attached;
    const CliOption *option = find_option(p->cli->tool, word, &attached);
    if (option)
        return take_option(p, option, attached);
    int code;
    if (take_common(p, word, &code))
        return code;
    return unknown_option(p, lt_arena_strndup(p->cli->arena, word, strcspn(word, "=")));
}

int lt_cli_parse(Cli *cli, int argc, char **argv, void *options) {
    Parse p = {.cli = cli, .fields = options};
    int code = GO_ON;
    for (int i = 1; i < argc && code == GO_ON; i++)
        code = expand_word(&p, argv[i], 0);
    p.literal = false;
    while (code == GO_ON && p.next < p.words.len)
        code = take_word(&p, p.words.data[p.next++]);
    return code;
}
