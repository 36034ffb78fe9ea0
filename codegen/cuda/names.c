/* names.c - identifiers of the emitted text. */
#include <ctype.h>
#include <string.h>

#include "codegen/cuda/cuda.h"

/* Words of C++, of its headers and of CUDA that a name of the model may be. Helpers have no
 * underscore in their names, kernels always have one. */
static const char *const reserved[] = {
    "alignas",      "alignof",       "and",
    "asm",          "auto",          "bool",
    "break",        "case",          "catch",
    "char",         "class",         "compl",
    "concept",      "const",         "continue",
    "decltype",     "default",       "delete",
    "do",           "double",        "else",
    "enum",         "explicit",      "export",
    "extern",       "false",         "float",
    "for",          "friend",        "goto",
    "if",           "inline",        "int",
    "long",         "mutable",       "namespace",
    "new",          "noexcept",      "not",
    "nullptr",      "operator",      "or",
    "private",      "protected",     "public",
    "register",     "requires",      "restrict",
    "return",       "short",         "signed",
    "sizeof",       "static",        "struct",
    "switch",       "template",      "this",
    "throw",        "true",          "try",
    "typedef",      "typeid",        "typename",
    "union",        "unsigned",      "using",
    "virtual",      "void",          "volatile",
    "while",        "xor",           "launch",
    "blockIdx",     "threadIdx",     "blockDim",
    "gridDim",      "min",           "max",
    "dims",         "arena",         "weights",
    "inputs",       "outputs",       "stream",
    "half",         "and_eq",        "or_eq",
    "not_eq",       "xor_eq",        "const_cast",
    "static_cast",  "dynamic_cast",  "reinterpret_cast",
    "thread_local", "static_assert", "co_await",
    "co_return",    "co_yield",
#define HELPER(name, text) #name,
#include "codegen/cuda/helpers.def"
#include "codegen/cuda/host_helpers.def"
#include "codegen/cuda/narrow_helpers.def"
#undef HELPER
#define SCALAR(e, name, arity, rule, F, I, llvm, cuda) name,
#include "ir/scalars.def"
#undef SCALAR
};

static bool is_reserved(const char *name) {
    const size_t len = strlen(name);
    if (len > 2 && strcmp(name + len - 2, "_t") == 0)
        return true;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(reserved[i], name) == 0)
            return true;
    return false;
}

const char *lt_cuda_name(Arena *arena, Map *taken, const char *name) {
    Str plain;
    lt_str_init(&plain, arena);
    for (; *name; name++) {
        const bool is_plain = isalnum((unsigned char)*name);
        if (plain.len == 0 && !isalpha((unsigned char)*name))
            lt_str_char(&plain, 'v');
        if (is_plain)
            lt_str_char(&plain, *name);
        else if (plain.text[plain.len - 1] != '_')
            lt_str_char(&plain, '_');
    }
    if (plain.len == 0)
        lt_str_char(&plain, 'v');
    if (is_reserved(plain.text))
        lt_str_append(&plain, "_1");
    const char *unique = plain.text;
    for (int number = 2; lt_strmap_get(taken, unique); number++)
        unique = lt_arena_printf(arena, "%s_%d", plain.text, number);
    lt_strmap_set(taken, unique, taken);
    return unique;
}

const char *lt_cuda_short_name(Arena *arena, const char *name) {
    enum { LONG = 28 };
    const char *end = name + strlen(name);
    while (end > name && !isalnum((unsigned char)end[-1]))
        end--;
    const char *begin = name;
    for (const char *at = name; at < end && end - begin > LONG; at++)
        if (at > name && isalnum((unsigned char)*at) && !isalnum((unsigned char)at[-1]))
            begin = at;
    return lt_arena_strndup(arena, begin, (size_t)(end - begin));
}

const char *lt_cuda_local_name(Arena *arena, const char *name) {
    const char *dot = strrchr(name, '.');
    if (dot && (strcmp(dot, ".tile") == 0 || strcmp(dot, ".own") == 0))
        return lt_arena_strndup(arena, name, (size_t)(dot - name));
    if (dot && strcmp(dot, ".share") == 0)
        return lt_arena_printf(arena, "%.*s_tile", (int)(dot - name), name);
    return name;
}

const char *lt_cuda_kernel_name(Arena *arena, Map *taken, const Kernel *k) {
    const Loc *first = k->loc, *last = NULL;
    while (first && !first->node)
        first = first->next;
    for (const Loc *loc = first ? first->next : NULL; loc; loc = loc->next)
        last = loc->node ? loc : last;
    const char *name = first ? lt_cuda_short_name(arena, first->node) : k->name;
    if (last)
        name = lt_arena_printf(arena, "%s_to_%s", name, lt_cuda_short_name(arena, last->node));
    Str lower;
    lt_str_init(&lower, arena);
    bool is_joint = false; /* helpers have no underscores */
    for (; *name; name++) {
        lt_str_char(&lower, (char)tolower((unsigned char)*name));
        is_joint |= !isalnum((unsigned char)*name) && name[1];
    }
    return lt_cuda_name(arena, taken,
                        lt_arena_printf(arena, "%s%s", lower.text, is_joint ? "" : "_kernel"));
}

/* "y0_y1.1.0": the axis of the first word, without its number, and what split made of it. */
const char *lt_cuda_loop_name(Arena *arena, const char *name) {
    const char *dot = strchr(name, '.');
    size_t axis = strcspn(name, "_.");
    if (!dot)
        return name;
    if (strchr(dot, '_'))
        return "block"; /* of several axes */
    while (axis > 1 && isdigit((unsigned char)name[axis - 1]))
        axis--;
    const char *part = strcmp(dot, ".0") == 0     ? "_block"
                       : strcmp(dot, ".1.0") == 0 ? "_thread"
                                                  : "";
    return lt_arena_printf(arena, "%.*s%s", (int)axis, name, part);
}
