/* trace.c - a reader of JSON (RFC 8259) that looks for one thing: the events of a Chrome trace. */
#include "tools/trace.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/map.h"
#include "runtime/base/str.h"

/* Deeper values are refused: the reader recurses. */
enum { MAX_DEPTH = 64 };

typedef struct Reader {
    Arena *arena;
    const char *text, *at; /* NUL-terminated */
    const char *wrong;     /* the first thing that is */
    Trace *trace;
    Map numbers; /* by name: the row's number + 1 */
} Reader;

static bool fail(Reader *r, const char *expected) {
    int line = 1;
    for (const char *p = r->text; p < r->at; p++)
        line += *p == '\n';
    if (!r->wrong)
        r->wrong = lt_arena_printf(r->arena, "line %d: expected %s%s", line, expected,
                                   *r->at ? "" : ", found the end");
    return false;
}

static char peek(Reader *r) {
    r->at += strspn(r->at, " \t\r\n");
    return *r->at;
}

static bool take(Reader *r, char c) {
    bool found = peek(r) == c;
    r->at += found;
    return found;
}

/* --- values ---------------------------------------------------------------------------------- */

/* A code point of the basic plane; halves of others stay three bytes each, as names only have to
 * compare. */
static void append_code_point(Str *out, unsigned code) {
    if (code < 0x80) {
        lt_str_char(out, (char)code);
        return;
    }
    if (code < 0x800) {
        lt_str_char(out, (char)(0xc0 | code >> 6));
    } else {
        lt_str_char(out, (char)(0xe0 | code >> 12));
        lt_str_char(out, (char)(0x80 | (code >> 6 & 63)));
    }
    lt_str_char(out, (char)(0x80 | (code & 63)));
}

static bool read_escape(Reader *r, Str *out) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char c = *r->at, *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        lt_str_char(out, meanings[letter - letters]);
        r->at++;
        return true;
    }
    if (c != 'u' || strspn(r->at + 1, "0123456789abcdefABCDEF") < 4)
        return fail(r, "an escape of JSON behind a backslash");
    const char digits[] = {r->at[1], r->at[2], r->at[3], r->at[4], '\0'};
    append_code_point(out, (unsigned)strtoul(digits, NULL, 16));
    r->at += 5;
    return true;
}

static bool read_string(Reader *r, const char **value) {
    Str out;
    lt_str_init(&out, r->arena);
    if (!take(r, '"'))
        return fail(r, "a string");
    while (*r->at && *r->at != '"') {
        size_t plain = strcspn(r->at, "\"\\");
        lt_str_append_n(&out, r->at, plain);
        r->at += plain;
        if (*r->at == '\\') {
            r->at++;
            if (!read_escape(r, &out))
                return false;
        }
    }
    *value = out.text;
    return *r->at == '"' ? (r->at++, true) : fail(r, "the end of a string");
}

static bool read_number(Reader *r, double *value) {
    char *end;
    peek(r);
    if (strspn(r->at, "-0123456789") == 0)
        return fail(r, "a number");
    *value = strtod(r->at, &end);
    r->at = end;
    return isfinite(*value) || fail(r, "a finite number before this");
}

typedef bool ReadMember(Reader *r, const char *name, int depth, void *user);

static bool read_members(Reader *r, int depth, ReadMember *member, void *user) {
    const char *name;
    if (!take(r, '{'))
        return fail(r, "an object");
    if (take(r, '}'))
        return true;
    do {
        if (!read_string(r, &name) || (!take(r, ':') && !fail(r, "':'")) ||
            !member(r, name, depth + 1, user))
            return false;
    } while (take(r, ','));
    return take(r, '}') || fail(r, "',' or '}'");
}

static bool read_elements(Reader *r, int depth, ReadMember *element) {
    if (!take(r, '['))
        return fail(r, "an array");
    if (take(r, ']'))
        return true;
    do {
        if (!element(r, NULL, depth + 1, NULL))
            return false;
    } while (take(r, ','));
    return take(r, ']') || fail(r, "',' or ']'");
}

static bool skip_value(Reader *r, const char *name, int depth, void *user) {
    static const char *const words[] = {"true", "false", "null"};
    const char *text;
    double number;
    (void)name;
    if (depth > MAX_DEPTH)
        return fail(r, "fewer values inside each other");
    switch (peek(r)) {
    case '"': return read_string(r, &text);
    case '{': return read_members(r, depth, skip_value, user);
    case '[': return read_elements(r, depth, skip_value);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (lt_str_starts(r->at, words[i])) {
            r->at += strlen(words[i]);
            return true;
        }
    return read_number(r, &number);
}

/* --- events ---------------------------------------------------------------------------------- */

typedef struct Event {
    const char *name, *category, *phase;
    double duration; /* microseconds */
} Event;

static bool read_field(Reader *r, const char *name, int depth, void *user) {
    Event *event = user;
    if (strcmp(name, "name") == 0)
        return read_string(r, &event->name);
    if (strcmp(name, "cat") == 0)
        return read_string(r, &event->category);
    if (strcmp(name, "ph") == 0)
        return read_string(r, &event->phase);
    if (strcmp(name, "dur") == 0)
        return read_number(r, &event->duration);
    return skip_value(r, name, depth, NULL);
}

static void add_event(Reader *r, const Event *event) {
    if (strcmp(event->category, "run") == 0) {
        r->trace->runs++;
        return;
    }
    size_t number = (size_t)(uintptr_t)lt_strmap_get(&r->numbers, event->name);
    if (!number) {
        TraceRow row = {.name = event->name};
        lt_vec_push(r->arena, &r->trace->rows, row);
        number = r->trace->rows.len;
        lt_strmap_set(&r->numbers, event->name, (void *)(uintptr_t)number);
    }
    TraceRow *row = &r->trace->rows.data[number - 1];
    row->calls++;
    row->microseconds += event->duration;
}

static bool read_event(Reader *r, const char *name, int depth, void *user) {
    Event event = {"", "", "", 0};
    (void)name;
    (void)user;
    if (!read_members(r, depth, read_field, &event))
        return false;
    if (strcmp(event.phase, "X") == 0)
        add_event(r, &event);
    return true;
}

static bool read_top(Reader *r, const char *name, int depth, void *user) {
    if (strcmp(name, "traceEvents") != 0)
        return skip_value(r, name, depth, NULL);
    *(bool *)user = true;
    return read_elements(r, depth, read_event);
}

const char *lt_trace_read(Arena *arena, const char *text, size_t len, Trace *trace) {
    Reader r = {.arena = arena, .text = lt_arena_strndup(arena, text, len), .trace = trace};
    bool found = false;
    *trace = (Trace){0};
    r.at = r.text;
    lt_map_init(&r.numbers, arena);
    if (!read_members(&r, 0, read_top, &found))
        return r.wrong;
    if (peek(&r))
        fail(&r, "the end of the file");
    else if (!found)
        fail(&r, "\"traceEvents\" in the object");
    return r.wrong;
}
