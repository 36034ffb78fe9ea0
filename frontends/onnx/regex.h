/* regex.h - regular expressions as deterministic automata over bytes.
 *
 * The syntax is RE2's (github.com/google/re2/wiki/Syntax) as far as a full match of UTF-8 needs
 * it: literals, '.', classes, groups, |, repetition, \d \w \s and POSIX classes, \Q...\E, the
 * flags i, m, s, U, and the assertions ^ $ \A \z \b \B. Properties (\pL) are refused, and back
 * references and look-around, which no finite automaton has. What bytes are not UTF-8 match
 * nothing but \C. */
#ifndef LATHE_FRONTENDS_ONNX_REGEX_H
#define LATHE_FRONTENDS_ONNX_REGEX_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/vec.h"

enum {
    REGEX_MAX_LENGTH = 1 << 16, /* bytes of text */
    REGEX_MAX_DEPTH = 200,      /* groups inside of groups */
    REGEX_MAX_REPEAT = 1000,    /* as RE2 */
    REGEX_MAX_STEPS = 20000,    /* instructions */
    REGEX_MAX_STATES = 4096,    /* of the automaton */
    REGEX_MAX_WORK = 1 << 26,   /* instructions that its construction may visit */
    REGEX_LAST_CODE = 0x10ffff
};

/* --- the expression as a tree (regex_parse.c) --- */

typedef struct RegexRange { /* code points, both ends included */
    uint32_t low, high;
} RegexRange;
typedef Vec(RegexRange) RegexRanges;

typedef enum RegexLook {
    LOOK_TEXT_BEGIN,
    LOOK_TEXT_END,
    LOOK_LINE_BEGIN,
    LOOK_LINE_END,
    LOOK_WORD,
    LOOK_NO_WORD
} RegexLook;

typedef struct RegexNode RegexNode;
struct RegexNode {
    enum {
        REGEX_EMPTY,
        REGEX_CLASS,
        REGEX_BYTE,
        REGEX_THEN,
        REGEX_OR,
        REGEX_REPEAT,
        REGEX_LOOK
    } kind;
    RegexRanges ranges;      /* CLASS: sorted and apart */
    RegexNode *left, *right; /* THEN, OR: lists lean left; REPEAT: left */
    int32_t least, most;     /* REPEAT; most -1: no bound */
    RegexLook look;
};

/* NULL: *error is a sentence in the arena. */
const RegexNode *lt_regex_parse(Arena *arena, const char *pattern, const char **error);
/* Sorts the ranges and joins those that touch. */
void lt_regex_sort_ranges(RegexRanges *ranges);

/* --- the automaton (regex.c) --- */

/* It starts in state 1, and never leaves state 0. */
typedef struct RegexAutomaton {
    int32_t states, classes;
    uint8_t class_of[256]; /* bytes of one class lead to the same states */
    const int32_t *next;   /* [states][classes] */
    const bool *accepts;   /* [states]: a string that ends here matches */
} RegexAutomaton;

/* False: *error is a sentence in the arena. */
bool lt_regex_compile(Arena *arena, const char *pattern, RegexAutomaton *out, const char **error);
/* Whether the bytes match in full. */
bool lt_regex_matches(const RegexAutomaton *a, const void *bytes, size_t count);

#endif
