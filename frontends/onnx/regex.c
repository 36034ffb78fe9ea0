/* regex.c - a regular expression's tree becomes instructions of a nondeterministic automaton over
 * bytes (Thompson's construction), whose sets of instructions are the states of the deterministic
 * one (the subset construction).
 *
 * Assertions look at the bytes on both sides. So a state is a set of instructions that were
 * reached, not yet followed through assertions, with the kind of the byte in front of it; the next
 * byte's kind is known when it comes. */
#include "frontends/onnx/regex.h"

#include <stdlib.h>
#include <string.h>

#include "frontends/onnx/utf8.h"
#include "runtime/base/map.h"

typedef struct Step {
    enum { STEP_BYTES, STEP_BOTH, STEP_LOOK, STEP_MATCH } kind;
    uint8_t low, high; /* BYTES */
    RegexLook look;
    int32_t next, other; /* other: of BOTH */
} Step;

/* What lies beside a place between two bytes. */
typedef enum Beside { BESIDE_NOTHING, BESIDE_WORD, BESIDE_NEWLINE, BESIDE_OTHER } Beside;

typedef struct State {
    Beside before;
    int32_t count;
    const int32_t *steps; /* sorted */
    struct State *same;   /* another with the same hash */
    int32_t number;
} State;

typedef struct Compiler {
    Arena *arena;
    const char *error;
    Vec(Step) steps; /* [0]: the match */
    bool has_looks;
    /* the subset construction */
    uint8_t class_of[256], sample[256]; /* sample: a byte of each class */
    int32_t classes;
    Map known; /* hash -> State */
    Vec(const State *) states;
    Vec(int32_t) next;
    Vec(bool) accepts;
    int64_t work;
    int32_t *stack, *closure, *reached; /* [steps.len] each */
    int32_t *seen, round;               /* seen[i] == round: step i is in the set at hand */
    int32_t closure_count;
    bool *sees; /* [steps.len]: it leads to an assertion without a byte */
} Compiler;

static int32_t add_step(Compiler *c, Step s) {
    if (c->steps.len >= REGEX_MAX_STEPS) {
        c->error = "it is too large";
        return 0;
    }
    lt_vec_push(c->arena, &c->steps, s);
    return (int32_t)c->steps.len - 1;
}

static int32_t both(Compiler *c, int32_t next, int32_t other) {
    return add_step(c, (Step){.kind = STEP_BOTH, .next = next, .other = other});
}

/* --- code points as bytes --------------------------------------------------------------------- */

/* The code points low..high, whose encodings have as many bytes, each from low's to high's. */
static int32_t emit_bytes(Compiler *c, uint32_t low, uint32_t high, int32_t next) {
    uint8_t from[4], to[4];
    const uint32_t count = lt_utf8_encode(low, from);
    lt_utf8_encode(high, to);
    for (uint32_t i = count; i-- > 0;)
        next = add_step(c, (Step){.kind = STEP_BYTES, .low = from[i], .high = to[i], .next = next});
    return next;
}

/* Where a range must be cut so that each part is a product of ranges of bytes: the last code point
 * of the first part, or high. */
static uint32_t first_part(uint32_t low, uint32_t high) {
    static const uint32_t last[] = {0x7f, 0x7ff, 0xd7ff, 0xdfff, 0xffff};
    for (int i = 0; i < 5; i++)
        if (low <= last[i] && last[i] < high)
            return first_part(low, last[i]);
    for (int free = 3; free > 0; free--) {
        const uint32_t mask = (1u << (6 * free)) - 1;
        if (high <= 0x7f || (low & ~mask) == (high & ~mask))
            continue;
        if (low & mask)
            return first_part(low, low | mask);
        if ((high & mask) != mask)
            return first_part(low, (high & ~mask) - 1);
    }
    return high;
}

static int32_t emit_class(Compiler *c, const RegexRanges *ranges, int32_t next) {
    int32_t start = -1;
    for (size_t i = 0; i < ranges->len; i++) {
        uint32_t low = ranges->data[i].low;
        const uint32_t high = ranges->data[i].high;
        while (low <= high && !c->error) {
            const uint32_t part = first_part(low, high);
            if (part < 0xd800 || low > 0xdfff) { /* surrogates are no characters */
                const int32_t bytes = emit_bytes(c, low, part, next);
                start = start < 0 ? bytes : both(c, bytes, start);
            }
            low = part + 1;
        }
    }
    if (start < 0) /* it matches nothing: no byte is in 1..0 */
        return add_step(c, (Step){.kind = STEP_BYTES, .low = 1, .high = 0, .next = next});
    return start;
}

/* --- the tree as instructions ----------------------------------------------------------------- */

static int32_t emit(Compiler *c, const RegexNode *n, int32_t next);

static int32_t emit_repeat(Compiler *c, const RegexNode *n, int32_t next) {
    if (n->most < 0) {
        const int32_t again = both(c, 0, next);
        const int32_t body = emit(c, n->left, again);
        c->steps.data[again].next = body;
        next = again;
    }
    const int32_t after = next;
    for (int32_t i = n->least; i < n->most && !c->error; i++)
        next = both(c, emit(c, n->left, next), after);
    for (int32_t i = 0; i < n->least && !c->error; i++) {
        const size_t before = c->steps.len;
        next = emit(c, n->left, next);
        if (c->steps.len == before) /* nothing, however often */
            break;
    }
    return next;
}

/* The first instruction of the tree, which goes on to `next`. */
static int32_t emit(Compiler *c, const RegexNode *n, int32_t next) {
    for (; n->kind == REGEX_THEN; n = n->left)
        next = emit(c, n->right, next);
    if (c->error)
        return 0;
    switch (n->kind) {
    case REGEX_CLASS: return emit_class(c, &n->ranges, next);
    case REGEX_BYTE: return add_step(c, (Step){.kind = STEP_BYTES, .high = 255, .next = next});
    case REGEX_REPEAT: return emit_repeat(c, n, next);
    case REGEX_LOOK:
        c->has_looks = true;
        return add_step(c, (Step){.kind = STEP_LOOK, .look = n->look, .next = next});
    case REGEX_OR: {
        int32_t start = emit(c, n->right, next);
        const RegexNode *left = n->left;
        for (; left->kind == REGEX_OR; left = left->left)
            start = both(c, emit(c, left->right, next), start);
        return both(c, emit(c, left, next), start);
    }
    default: return next;
    }
}

/* --- classes of bytes ------------------------------------------------------------------------- */

static bool is_word(int byte) {
    return (byte >= '0' && byte <= '9') || byte == '_' ||
           ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

static Beside kind_of(const Compiler *c, uint8_t byte) {
    return !c->has_looks   ? BESIDE_OTHER
           : is_word(byte) ? BESIDE_WORD
           : byte == '\n'  ? BESIDE_NEWLINE
                           : BESIDE_OTHER;
}

/* Bytes are told apart by the ends of the instructions' ranges, and by their kinds. */
static void find_classes(Compiler *c) {
    bool begins[257] = {true};
    for (size_t i = 0; i < c->steps.len; i++) {
        const Step *s = &c->steps.data[i];
        if (s->kind == STEP_BYTES && s->low <= s->high)
            begins[s->low] = begins[s->high + 1] = true;
    }
    for (int byte = 1; byte < 256; byte++)
        if (kind_of(c, (uint8_t)byte) != kind_of(c, (uint8_t)(byte - 1)))
            begins[byte] = true;
    for (int byte = 0; byte < 256; byte++) {
        if (begins[byte])
            c->sample[c->classes++] = (uint8_t)byte;
        c->class_of[byte] = (uint8_t)(c->classes - 1);
    }
}

/* --- the subset construction ------------------------------------------------------------------ */

static bool holds(RegexLook look, Beside before, Beside after) {
    switch (look) {
    case LOOK_TEXT_BEGIN: return before == BESIDE_NOTHING;
    case LOOK_TEXT_END: return after == BESIDE_NOTHING;
    case LOOK_LINE_BEGIN: return before == BESIDE_NOTHING || before == BESIDE_NEWLINE;
    case LOOK_LINE_END: return after == BESIDE_NOTHING || after == BESIDE_NEWLINE;
    case LOOK_WORD: return (before == BESIDE_WORD) != (after == BESIDE_WORD);
    default: return (before == BESIDE_WORD) == (after == BESIDE_WORD);
    }
}

/* Fills c->closure with what the state's instructions lead to without a byte. True: a match. */
static bool close_over(Compiler *c, const State *from, Beside after) {
    bool matches = false;
    int32_t depth = 0;
    c->closure_count = 0;
    c->round++;
    for (int32_t i = 0; i < from->count; i++) {
        c->seen[from->steps[i]] = c->round;
        c->stack[depth++] = from->steps[i];
    }
    while (depth > 0) {
        const int32_t at = c->stack[--depth];
        const Step *s = &c->steps.data[at];
        int32_t leads[2];
        int count = 0;
        c->work++;
        switch (s->kind) {
        case STEP_BYTES: c->closure[c->closure_count++] = at; break;
        case STEP_MATCH: matches = true; break;
        case STEP_BOTH: leads[count++] = s->other, leads[count++] = s->next; break;
        case STEP_LOOK:
            if (holds(s->look, from->before, after))
                leads[count++] = s->next;
        }
        for (int i = 0; i < count; i++) {
            if (c->seen[leads[i]] == c->round)
                continue;
            c->seen[leads[i]] = c->round;
            c->stack[depth++] = leads[i];
        }
    }
    return matches;
}

static int compare_steps(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The number of the state of these instructions, a new one or one that is there already. */
static int32_t state_of(Compiler *c, const int32_t *steps, int32_t count, Beside before) {
    const State wanted = {.before = before, .count = count, .steps = steps};
    const size_t size = (size_t)count * sizeof *steps;
    const uint64_t hash = lt_hash_bytes(steps, size, (uint64_t)wanted.before);
    State *first = lt_map_get(&c->known, hash);
    for (State *s = first; s; s = s->same)
        if (s->before == wanted.before && s->count == count && memcmp(s->steps, steps, size) == 0)
            return s->number;
    if (c->states.len >= REGEX_MAX_STATES) {
        c->error = "its automaton has too many states";
        return 0;
    }
    State *s = lt_arena_copy(c->arena, &wanted, sizeof wanted);
    s->steps = lt_arena_copy(c->arena, steps, size);
    s->same = first;
    s->number = (int32_t)c->states.len;
    lt_map_set(&c->known, hash, s);
    lt_vec_push(c->arena, &c->states, s);
    return s->number;
}

/* Where the closure at hand leads with a byte. */
static int32_t follow(Compiler *c, uint8_t byte) {
    int32_t count = 0;
    bool sees = false;
    c->round++;
    c->work += c->closure_count;
    for (int32_t i = 0; i < c->closure_count; i++) {
        const Step *s = &c->steps.data[c->closure[i]];
        if (byte < s->low || byte > s->high || c->seen[s->next] == c->round)
            continue;
        c->seen[s->next] = c->round;
        c->reached[count++] = s->next;
        sees |= c->sees[s->next];
    }
    qsort(c->reached, (size_t)count, sizeof *c->reached, compare_steps);
    return state_of(c, c->reached, count, sees ? kind_of(c, byte) : BESIDE_OTHER);
}

/* The state's row: one closure for all bytes of a kind. */
static void fill_state(Compiler *c, const State *s) {
    int32_t row[256] = {0};
    lt_vec_push(c->arena, &c->accepts, close_over(c, s, BESIDE_NOTHING));
    for (Beside after = BESIDE_WORD; after <= BESIDE_OTHER; after++) {
        bool is_closed = false;
        for (int32_t k = 0; k < c->classes && !c->error; k++) {
            if (kind_of(c, c->sample[k]) != after)
                continue;
            if (!is_closed)
                close_over(c, s, after);
            is_closed = true;
            row[k] = follow(c, c->sample[k]);
        }
    }
    for (int32_t k = 0; k < c->classes; k++)
        lt_vec_push(c->arena, &c->next, row[k]);
}

/* Few rounds: steps lead to ones before them, but for loops. */
static void find_sees(Compiler *c) {
    c->sees = LT_ARRAY(c->arena, bool, c->steps.len);
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < c->steps.len; i++) {
            const Step *s = &c->steps.data[i];
            const bool sees = s->kind == STEP_LOOK ||
                              (s->kind == STEP_BOTH && (c->sees[s->next] || c->sees[s->other]));
            changed |= sees != c->sees[i];
            c->sees[i] = sees;
        }
    }
}

static void build_states(Compiler *c, int32_t start) {
    const size_t count = c->steps.len;
    c->stack = LT_ARRAY(c->arena, int32_t, count);
    c->closure = LT_ARRAY(c->arena, int32_t, count);
    c->reached = LT_ARRAY(c->arena, int32_t, count);
    c->seen = LT_ARRAY(c->arena, int32_t, count);
    lt_map_init(&c->known, c->arena);
    find_classes(c);
    find_sees(c);
    state_of(c, &start, 0, BESIDE_OTHER);
    state_of(c, &start, 1, c->has_looks ? BESIDE_NOTHING : BESIDE_OTHER);
    for (size_t i = 0; i < c->states.len && !c->error; i++) {
        fill_state(c, c->states.data[i]);
        if (c->work > REGEX_MAX_WORK)
            c->error = "its automaton takes too long to build";
    }
}

bool lt_regex_compile(Arena *arena, const char *pattern, RegexAutomaton *out, const char **error) {
    Compiler c = {.arena = arena};
    const RegexNode *tree = lt_regex_parse(arena, pattern, error);
    if (!tree)
        return false;
    const int32_t match = add_step(&c, (Step){.kind = STEP_MATCH});
    const int32_t start = emit(&c, tree, match);
    if (!c.error)
        build_states(&c, start);
    *error = c.error;
    if (c.error)
        return false;
    *out = (RegexAutomaton){.states = (int32_t)c.states.len,
                            .classes = c.classes,
                            .next = c.next.data,
                            .accepts = c.accepts.data};
    memcpy(out->class_of, c.class_of, sizeof out->class_of);
    return true;
}

bool lt_regex_matches(const RegexAutomaton *a, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    int32_t state = 1;
    for (size_t i = 0; i < count; i++)
        state = a->next[state * a->classes + a->class_of[at[i]]];
    return a->accepts[state];
}
