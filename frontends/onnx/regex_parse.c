/* regex_parse.c - the text of a regular expression becomes a tree, by recursive descent. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/onnx/regex.h"
#include "frontends/onnx/utf8.h"

typedef struct Flags {
    bool ignores_case, is_multiline, dot_is_all;
} Flags;

typedef struct Parser {
    Arena *arena;
    const char *at, *end;
    const char *error;
    Flags flags;
    bool is_quoted; /* between \Q and \E everything is as it is written */
    int depth;
} Parser;

static RegexNode *fail(Parser *p, const char *text) {
    if (!p->error)
        p->error = text;
    p->at = p->end;
    return NULL;
}

static bool accept(Parser *p, const char *text) {
    const size_t length = strlen(text);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, text, length) != 0)
        return false;
    p->at += length;
    return true;
}

static char peek(const Parser *p) { return p->at < p->end ? *p->at : '\0'; }

static RegexNode *new_node(Parser *p, int kind) {
    RegexNode *n = LT_NEW(p->arena, RegexNode);
    n->kind = kind;
    return n;
}

static RegexNode *new_look(Parser *p, RegexLook look) {
    RegexNode *n = new_node(p, REGEX_LOOK);
    n->look = look;
    return n;
}

static RegexNode *join(Parser *p, int kind, RegexNode *left, RegexNode *right) {
    if (!left || !right)
        return left ? left : right;
    RegexNode *n = new_node(p, kind);
    n->left = left;
    n->right = right;
    return n;
}

/* --- classes ---------------------------------------------------------------------------------- */

static void add_range(Parser *p, RegexRanges *ranges, uint32_t low, uint32_t high) {
    lt_vec_push(p->arena, ranges, (RegexRange){low, high});
}

static int compare_ranges(const void *a, const void *b) {
    const RegexRange *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

void lt_regex_sort_ranges(RegexRanges *ranges) {
    size_t kept = 0;
    if (ranges->len)
        qsort(ranges->data, ranges->len, sizeof *ranges->data, compare_ranges);
    for (size_t i = 0; i < ranges->len; i++) {
        const RegexRange r = ranges->data[i];
        if (kept && r.low <= ranges->data[kept - 1].high + 1) {
            if (r.high > ranges->data[kept - 1].high)
                ranges->data[kept - 1].high = r.high;
        } else {
            ranges->data[kept++] = r;
        }
    }
    ranges->len = kept;
}

static void add_negated(Parser *p, RegexRanges *out, RegexRanges *ranges) {
    uint32_t next = 0;
    lt_regex_sort_ranges(ranges);
    for (size_t i = 0; i < ranges->len; i++) {
        if (ranges->data[i].low > next)
            add_range(p, out, next, ranges->data[i].low - 1);
        next = ranges->data[i].high + 1;
    }
    if (next <= REGEX_LAST_CODE)
        add_range(p, out, next, REGEX_LAST_CODE);
}

/* Adds what differs from these in case alone. One round is enough but for letters that have three
 * forms, as k, K and the Kelvin sign: the second brings those. */
static void add_other_cases(Parser *p, RegexRanges *ranges) {
    for (int round = 0; round < 2; round++) {
        const size_t count = ranges->len;
        for (size_t i = 0; i < count; i++) {
            const RegexRange r = ranges->data[i];
            for (size_t k = 0; k < lt_case_count; k++) {
                const CaseRange *c = &lt_case_ranges[k];
                for (uint32_t from = c->first; from <= c->last; from += c->step) {
                    const uint32_t to = (uint32_t)((int32_t)from + c->delta);
                    if (from >= r.low && from <= r.high)
                        add_range(p, ranges, to, to);
                    if (to >= r.low && to <= r.high)
                        add_range(p, ranges, from, from);
                }
            }
        }
        lt_regex_sort_ranges(ranges);
    }
}

static RegexNode *class_node(Parser *p, RegexRanges *ranges, bool negated) {
    RegexNode *n = new_node(p, REGEX_CLASS);
    if (p->flags.ignores_case)
        add_other_cases(p, ranges);
    if (negated) {
        add_negated(p, &n->ranges, ranges);
        return n;
    }
    lt_regex_sort_ranges(ranges);
    n->ranges = *ranges;
    return n;
}

/* Names with the ends of their ranges. */
static const struct {
    const char *name, *ends;
} named_classes[] = {
    {"d", "09"},           {"s", "\t\n\f\r  "},
    {"w", "09AZ__az"},     {"alnum", "09AZaz"},
    {"alpha", "AZaz"},     {"ascii", "\x01\x7f"},
    {"blank", "\t\t  "},   {"cntrl", "\x01\x1f\x7f\x7f"},
    {"digit", "09"},       {"graph", "!~"},
    {"lower", "az"},       {"print", " ~"},
    {"punct", "!/:@[`{~"}, {"space", "\t\r  "},
    {"upper", "AZ"},       {"word", "09AZ__az"},
    {"xdigit", "09AFaf"},
};

/* False: no class has this name. Sets of ASCII include NUL where RE2's do. */
static bool add_named(Parser *p, RegexRanges *out, const char *name, bool negated) {
    RegexRanges ranges = {0};
    const char *ends = NULL;
    for (size_t i = 0; i < sizeof named_classes / sizeof *named_classes; i++)
        if (strcmp(named_classes[i].name, name) == 0)
            ends = named_classes[i].ends;
    if (!ends)
        return false;
    if (strcmp(name, "ascii") == 0 || strcmp(name, "cntrl") == 0)
        add_range(p, &ranges, 0, 0);
    for (; *ends; ends += 2)
        add_range(p, &ranges, (uint8_t)ends[0], (uint8_t)ends[1]);
    if (negated)
        add_negated(p, out, &ranges);
    else
        for (size_t i = 0; i < ranges.len; i++)
            lt_vec_push(p->arena, out, ranges.data[i]);
    return true;
}

/* \d \s \w and their opposites; the letter is at hand. */
static bool accept_letter_class(Parser *p, RegexRanges *out) {
    const char letter = peek(p), name[] = {(char)(letter | 0x20), '\0'};
    if (!letter || !strchr("dswDSW", letter))
        return false;
    p->at++;
    return add_named(p, out, name, letter < 'a');
}

/* --- characters ------------------------------------------------------------------------------- */

static uint32_t next_code(Parser *p) {
    const Utf8 c = lt_utf8_decode(p->at, (size_t)(p->end - p->at));
    if (!c.length) {
        fail(p, "it is not valid UTF-8");
        return 0;
    }
    p->at += c.length;
    return c.code;
}

static uint32_t hex_digits(Parser *p, int most) {
    uint32_t value = 0;
    int count = 0;
    for (; count < most && peek(p) && strchr("0123456789abcdefABCDEF", peek(p)); count++, p->at++) {
        const char c = *p->at;
        value = value * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (count == 0 || (most == 2 && count != 2) || value > REGEX_LAST_CODE)
        fail(p, "\\x must be followed by two hexadecimal digits, or a code point in braces");
    return value;
}

static uint32_t octal_digits(Parser *p, int most) {
    uint32_t value = 0;
    for (int i = 0; i < most && peek(p) >= '0' && peek(p) <= '7'; i++)
        value = value * 8 + (uint32_t)(*p->at++ - '0');
    return value;
}

/* One character behind a backslash. */
static uint32_t escaped_code(Parser *p) {
    static const char letters[] = "aftnrv", codes[] = "\a\f\t\n\r\v";
    const char c = peek(p), *known = c ? strchr(letters, c) : NULL;
    if (known) {
        p->at++;
        return (uint8_t)codes[known - letters];
    }
    if (accept(p, "x{")) {
        const uint32_t value = hex_digits(p, 6);
        if (!p->error && !accept(p, "}"))
            fail(p, "\\x{ lacks its closing brace");
        return value;
    }
    if (accept(p, "x"))
        return hex_digits(p, 2);
    if (c == '0' ||
        (c >= '1' && c <= '7' && p->end - p->at > 1 && p->at[1] >= '0' && p->at[1] <= '7'))
        return octal_digits(p, 3);
    if (c >= '1' && c <= '9')
        fail(p, "back references are not regular: no finite automaton has them");
    else if (c == 'p' || c == 'P')
        fail(p, "properties of characters (\\p) are not supported");
    else if (p->at == p->end)
        fail(p, "it ends in a backslash");
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        fail(p, "it has an escape that RE2 does not know");
    return p->error ? 0 : next_code(p);
}

/* [[:alpha:]], [[:^alpha:]] */
static bool accept_posix(Parser *p, RegexRanges *out) {
    const char *close = p->at + 2;
    if (p->end - p->at < 4 || p->at[0] != '[' || p->at[1] != ':')
        return false;
    while (close + 1 < p->end && !(close[0] == ':' && close[1] == ']'))
        close++;
    if (close + 1 >= p->end)
        return false;
    const char *name = p->at + 2;
    const bool negated = *name == '^';
    name += negated;
    if (!add_named(p, out, lt_arena_strndup(p->arena, name, (size_t)(close - name)), negated)) {
        fail(p, "it has a class between [: and :] that has no meaning");
        return true;
    }
    p->at = close + 2;
    return true;
}

static uint32_t class_end(Parser *p) { return accept(p, "\\") ? escaped_code(p) : next_code(p); }

/* Behind the opening bracket. */
static RegexNode *parse_class(Parser *p) {
    RegexRanges ranges = {0};
    const bool negated = accept(p, "^");
    for (bool first = true; !p->error && (first || peek(p) != ']'); first = false) {
        if (p->at == p->end)
            return fail(p, "a class lacks its closing bracket");
        if (accept_posix(p, &ranges))
            continue;
        if (peek(p) == '\\' && p->end - p->at > 1) {
            p->at++;
            if (accept_letter_class(p, &ranges))
                continue;
            p->at--;
        }
        const uint32_t low = class_end(p);
        uint32_t high = low;
        if (!p->error && peek(p) == '-' && p->end - p->at > 1 && p->at[1] != ']') {
            p->at++;
            high = class_end(p);
        }
        if (!p->error && high < low)
            return fail(p, "a class has a range whose ends are in the wrong order");
        add_range(p, &ranges, low, high);
    }
    p->at += p->at < p->end;
    return p->error ? NULL : class_node(p, &ranges, negated);
}

static RegexNode *literal(Parser *p, uint32_t code) {
    RegexRanges ranges = {0};
    add_range(p, &ranges, code, code);
    return p->error ? NULL : class_node(p, &ranges, false);
}

/* --- atoms ------------------------------------------------------------------------------------ */

static RegexNode *parse_choice(Parser *p);

/* Behind the backslash. */
static RegexNode *parse_escape(Parser *p) {
    static const struct {
        const char *text;
        RegexLook look;
    } looks[] = {
        {"A", LOOK_TEXT_BEGIN}, {"z", LOOK_TEXT_END}, {"b", LOOK_WORD}, {"B", LOOK_NO_WORD}};
    RegexRanges ranges = {0};
    if (accept_letter_class(p, &ranges))
        return class_node(p, &ranges, false);
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        if (accept(p, looks[i].text))
            return new_look(p, looks[i].look);
    if (accept(p, "C"))
        return new_node(p, REGEX_BYTE);
    return literal(p, escaped_code(p));
}

/* Behind "(?": flags up to ':' or ')'. True: they are for a group that follows. */
static bool parse_flags(Parser *p) {
    bool value = true;
    for (; p->at < p->end; p->at++) {
        switch (*p->at) {
        case 'i': p->flags.ignores_case = value; break;
        case 'm': p->flags.is_multiline = value; break;
        case 's': p->flags.dot_is_all = value; break;
        case 'U': break; /* which of several matches is taken: a full match does not tell */
        case '-': value = false; break;
        case ':': p->at++; return true;
        case ')': p->at++; return false;
        default:
            fail(p, strchr("=!<", *p->at)
                        ? "look-ahead and look-behind are not in RE2's syntax"
                        : "a group begins with (? and a flag that RE2 does not know");
            return false;
        }
    }
    fail(p, "a group lacks its closing parenthesis");
    return false;
}

static void skip_group_name(Parser *p) {
    while (p->at < p->end && peek(p) != '>')
        p->at++;
    if (!accept(p, ">"))
        fail(p, "the name of a group lacks its closing bracket");
}

/* Behind the opening parenthesis. */
static RegexNode *parse_group(Parser *p) {
    const Flags outer = p->flags;
    if (++p->depth > REGEX_MAX_DEPTH)
        return fail(p, "its groups are nested too deep");
    if (accept(p, "?P<") ||
        (p->end - p->at > 2 && p->at[2] != '=' && p->at[2] != '!' && accept(p, "?<"))) {
        skip_group_name(p);
    } else if (accept(p, "?")) {
        if (!parse_flags(p)) { /* they hold up to the end of the group around */
            p->depth--;
            return p->error ? NULL : new_node(p, REGEX_EMPTY);
        }
    }
    RegexNode *inside = parse_choice(p);
    if (!p->error && !accept(p, ")"))
        return fail(p, "a group lacks its closing parenthesis");
    p->flags = outer;
    p->depth--;
    return inside;
}

static RegexNode *parse_dot(Parser *p) {
    RegexNode *n = new_node(p, REGEX_CLASS);
    if (!p->flags.dot_is_all) {
        add_range(p, &n->ranges, 0, '\n' - 1);
        add_range(p, &n->ranges, '\n' + 1, REGEX_LAST_CODE);
    } else {
        add_range(p, &n->ranges, 0, REGEX_LAST_CODE);
    }
    return n;
}

static RegexNode *parse_atom(Parser *p) {
    if (p->is_quoted)
        return literal(p, next_code(p));
    if (accept(p, "("))
        return parse_group(p);
    if (accept(p, "["))
        return parse_class(p);
    if (accept(p, "\\"))
        return parse_escape(p);
    if (accept(p, "."))
        return parse_dot(p);
    if (accept(p, "^"))
        return new_look(p, p->flags.is_multiline ? LOOK_LINE_BEGIN : LOOK_TEXT_BEGIN);
    if (accept(p, "$"))
        return new_look(p, p->flags.is_multiline ? LOOK_LINE_END : LOOK_TEXT_END);
    if (strchr("*+?", peek(p)))
        return fail(p, "a repetition has nothing to repeat");
    return literal(p, next_code(p));
}

/* --- repetition ------------------------------------------------------------------------------- */

static int32_t parse_number(Parser *p) {
    int32_t value = -1;
    for (; peek(p) >= '0' && peek(p) <= '9'; p->at++)
        value = (value < 0 ? 0 : value) * 10 + (*p->at - '0') > 9999
                    ? 9999
                    : (value < 0 ? 0 : value) * 10 + (*p->at - '0');
    return value;
}

/* {3}, {3,}, {3,5}. What is no such thing is text. */
static bool accept_count(Parser *p, int32_t *least, int32_t *most) {
    const char *start = p->at;
    if (!accept(p, "{"))
        return false;
    *least = *most = parse_number(p);
    if (*least >= 0 && accept(p, ","))
        *most = parse_number(p);
    if (*least >= 0 && accept(p, "}"))
        return true;
    p->at = start;
    return false;
}

static bool accept_repeat(Parser *p, int32_t *least, int32_t *most) {
    *least = 0, *most = -1;
    if (accept(p, "*"))
        return true;
    if (accept(p, "+"))
        return *least = 1, true;
    if (accept(p, "?"))
        return *most = 1, true;
    return accept_count(p, least, most);
}

static RegexNode *parse_repeated(Parser *p) {
    int32_t least, most;
    RegexNode *atom = parse_atom(p);
    p->is_quoted = p->is_quoted && !accept(p, "\\E");
    if (p->error || p->is_quoted || !accept_repeat(p, &least, &most))
        return atom;
    if (least > REGEX_MAX_REPEAT || most > REGEX_MAX_REPEAT || (most >= 0 && most < least))
        return fail(p, "a repetition counts more than 1000, or backwards");
    accept(p, "?"); /* the shortest match first: a full match does not tell */
    RegexNode *n = new_node(p, REGEX_REPEAT);
    n->left = atom;
    n->least = least;
    n->most = most;
    if (accept_repeat(p, &least, &most))
        return fail(p, "a repetition follows another");
    return n;
}

static RegexNode *parse_sequence(Parser *p) {
    RegexNode *all = new_node(p, REGEX_EMPTY);
    while (!p->error && p->at < p->end) {
        if (p->is_quoted ? accept(p, "\\E") : accept(p, "\\Q"))
            p->is_quoted = !p->is_quoted;
        else if (!p->is_quoted && (peek(p) == '|' || peek(p) == ')'))
            break;
        else
            all = join(p, REGEX_THEN, all, parse_repeated(p));
    }
    return all;
}

static RegexNode *parse_choice(Parser *p) {
    RegexNode *all = parse_sequence(p);
    while (!p->error && accept(p, "|"))
        all = join(p, REGEX_OR, all, parse_sequence(p));
    return all;
}

const RegexNode *lt_regex_parse(Arena *arena, const char *pattern, const char **error) {
    Parser p = {.arena = arena, .at = pattern, .end = pattern + strlen(pattern)};
    if (p.end - p.at > REGEX_MAX_LENGTH)
        fail(&p, "it is too long");
    const RegexNode *all = parse_choice(&p);
    if (!p.error && p.at < p.end)
        fail(&p, "it closes a group that it did not open");
    *error = p.error;
    return p.error ? NULL : all;
}
